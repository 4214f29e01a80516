"""Cost of each mechanism of a world, as a ratio to the same dataset without it."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.timing import Figure, paired
from mmm_xgen import MMMDataConfig, XgenWarning, generate_mmm_dataset, get_preset_config
from mmm_xgen.ensemble import generate_ensemble

DEMAND = {"demand": {"effect": 0.05}}


def _with_rule(rule: str, count: int) -> Callable[[MMMDataConfig], dict[str, Any]]:
    """Return changes that give a budget rule to some channels."""
    return lambda config: {
        **DEMAND,
        "channels": [
            channel.replace(budget_rule=rule) if position < count else channel
            for position, channel in enumerate(config.channels)
        ],
    }


def _with_path(kind: str) -> Callable[[MMMDataConfig], dict[str, Any]]:
    return lambda config: {
        "channels": [channel.replace(effect_path=kind) for channel in config.channels]
    }


def _with_all(**keys: float) -> Callable[[MMMDataConfig], dict[str, Any]]:
    """Return changes that give numbers to all channels."""
    return lambda config: {"channels": [channel.replace(**keys) for channel in config.channels]}


def _with_campaigns(config: MMMDataConfig) -> dict[str, Any]:
    campaigns = [{"name": "brand", "quality": 0.5}, {"name": "offer", "quality": 1.5}]
    some = [channel.replace(campaigns=campaigns) for channel in config.channels[:3]]
    return {"channels": [*some, *config.channels[3:]]}


def _with_geos(**regions: Any) -> Callable[[MMMDataConfig], dict[str, Any]]:
    return lambda config: {"regions": config.regions.replace(**regions)}


def _with_holidays(config: MMMDataConfig) -> dict[str, Any]:
    about = {"country": "US", "effect": 0.1, "scales": "baseline"}
    names = ("Easter Sunday", "Thanksgiving")
    some = config.regions.names[::2]
    return {"events": [{"name": each, "holiday": each, "geos": some, **about} for each in names]}


def _with_noise(config: MMMDataConfig) -> dict[str, Any]:
    noise = {"kind": "gaussian", "level_power": 1.0, "shared": 0.3}
    regions = config.regions.replace(noise=noise, outliers={}, capacity=1.5)
    return {"regions": regions}


def _with_promotions(config: MMMDataConfig) -> dict[str, Any]:
    pull = {"share": 0.3}
    local = {"name": "Sale", "depth": 0.3, "answer": 1.0, "pull_forward": pull}
    national = {"name": "Season-Sale", "dates": ["01-05", "07-05"], "duration": 3}
    return {**DEMAND, "promotions": [local, national]}


def _with_population(config: MMMDataConfig) -> dict[str, Any]:
    """Return changes that put a population in the place of adstock and curves."""
    channels = [each.replace(adstock=None, saturation=None) for each in config.channels]
    linear = [
        each if each.roas is not None else each.replace(base_effectiveness=0.01)
        for each in channels
    ]
    return {"channels": linear, "response": "goodwill"}


def _without_targets(config: MMMDataConfig) -> MMMDataConfig:
    """Return the configuration with effects in place of targets of ROAS."""
    channels = [each.replace(roas=None, base_effectiveness=0.1) for each in config.channels]
    return config.replace(channels=channels)


def _connected(config: MMMDataConfig, key: str) -> dict[str, Any]:
    # The first channel is brand search, whose ROAS is below what funnels would earn it.
    one, other = config.channel_names[1:3]
    return {
        "funnels": {"funnels": [{"source": one, "target": other, "strength": 0.3}]},
        "paid funnels": {
            "funnels": [{"source": one, "target": other, "strength": 0.3, "paid": True}]
        },
        "interactions": {"interactions": [{"channels": [one, other], "strength": 0.002}]},
        "mediators": {"mediators": [{"name": "Awareness", "parents": {one: 0.5}, "effect": 0.01}]},
    }[key]


def _multiplicative(config: MMMDataConfig) -> dict[str, Any]:
    noise = {"kind": "lognormal", "sales_volatility": config.regions.noise.sales_volatility}
    return {"link": "log", "regions": config.regions.replace(noise=noise)}


def _with_everything(config: MMMDataConfig) -> dict[str, Any]:
    """Return changes that switch all mechanisms on at once, each of them mild."""
    one, two, three = config.channel_names[1:4]
    common = {"effect_path": "smooth", "spillover": 0.1, "over_reporting": 0.3}
    campaigns = [{"name": "brand", "quality": 0.8}, {"name": "offer", "quality": 1.2}]
    answers = {"kind": "chases_target", "strength": 0.3}
    follows = {"kind": "follows_demand", "strength": 0.05}
    channels = [
        channel.replace(
            **common,
            budget_rule=answers if position < 5 else follows,
            campaigns=campaigns if position < 3 else None,
            pull_forward={"share": 0.1} if position < 3 else None,
        )
        for position, channel in enumerate(config.channels)
    ]
    paths = {"level_path": "random_walk", "season_path": "smooth", "season_shift": 3.0}
    noise = {"kind": "gaussian", "level_power": 1.0, "shared": 0.3}
    regions = config.regions.replace(**paths, noise=noise, outliers={}, capacity=2.0)
    return {
        **_with_promotions(config),
        **_with_holidays(config),
        "channels": channels,
        "regions": regions,
        "competitor": {"answer": 0.3, "dampening": 0.1},
        "funnels": [
            {"source": one, "target": two, "strength": 0.05},
            {"source": one, "target": three, "strength": 0.05, "paid": True},
        ],
        "interactions": [{"channels": [one, two], "strength": 0.002}],
        "mediators": [{"name": "Awareness", "parents": {one: 0.5}, "effect": 0.01}],
    }


# Changes that switch a mechanism on, the limit of the ratio, and whether targets of ROAS stay.
MECHANISMS: Mapping[str, tuple[Callable[[MMMDataConfig], dict[str, Any]], float, bool]] = {
    "demand": (lambda config: DEMAND, 1.3, True),
    "30 channels follow demand": (_with_rule("follows_demand", 30), 1.3, True),
    "30 channels follow a forecast": (_with_rule("follows_forecast", 30), 1.3, True),
    "5 channels of search": (_with_rule("search", 5), 1.3, True),
    "a competitor": (lambda config: {"competitor": {"answer": 0.5, "dampening": 0.2}}, 1.3, True),
    "promotions": (_with_promotions, 1.3, True),
    "campaigns of 3 channels": (_with_campaigns, 1.3, True),
    "media of 30 channels spill over": (_with_all(spillover=0.2), 1.3, True),
    "30 platforms report too much": (_with_all(over_reporting=0.3), 1.3, True),
    "smooth paths": (_with_path("smooth"), 1.3, True),
    "random walks": (_with_path("random_walk"), 1.3, True),
    "a level that moves": (_with_geos(level_path="random_walk"), 1.3, True),
    "a season that changes": (_with_geos(season_path="smooth", season_shift=3.0), 1.3, True),
    "holidays by geo, as shares of the baseline": (_with_holidays, 1.3, True),
    **{
        key: (lambda config, key=key: _connected(config, key), 1.3, True)
        for key in ("funnels", "paid funnels", "interactions", "mediators")
    },
    "noise of every size": (_with_noise, 1.3, True),
    "multiplicative sales": (_multiplicative, 1.3, False),
    "multiplicative sales, roas given": (_multiplicative, 1.3, True),
    "5 channels chase a target": (_with_rule("chases_target", 5), 3.0, False),
    "30 channels chase a target": (_with_rule("chases_target", 30), 3.0, False),
    "30 channels chase a target, roas given": (_with_rule("chases_target", 30), 8.0, True),
    "a population": (_with_population, 1.4, False),
    # Each evaluation of the targets is 31 worlds, and Broyden's method needs some seven.
    "a population, roas given": (_with_population, 6.0, True),
    "everything at once": (_with_everything, 8.0, False),
    "everything at once, roas given": (_with_everything, 8.0, True),
}


def figures() -> list[Figure]:
    """Rows of the table: large_business with each mechanism, and an ensemble."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", XgenWarning)
        plain = get_preset_config("large_business")
        found = [_figure(name, plain, *about) for name, about in MECHANISMS.items()]
        return [*found, _ensemble()]


def _figure(
    name: str,
    plain: MMMDataConfig,
    changes: Callable[[MMMDataConfig], dict[str, Any]],
    limit: float,
    with_targets: bool,
) -> Figure:
    clean = plain if with_targets else _without_targets(plain)
    config = clean.replace(**changes(clean))
    return paired(
        f"large_business, {name}, against without",
        lambda: generate_mmm_dataset(config),
        lambda: generate_mmm_dataset(clean),
        limit=limit,
        runs=7,
        clock=time.process_time,
    )


def _ensemble() -> Figure:
    clean = get_preset_config("small_business")
    rule = {"kind": "follows_demand", "strength": 0.1}
    channels = [channel.replace(budget_rule=rule) for channel in clean.channels]
    chasing = clean.replace(**DEMAND, channels=channels)
    return paired(
        "1,000 small_business, all follow demand, against without",
        lambda: generate_ensemble(chasing, n=1000, chunks=None),
        lambda: generate_ensemble(clean, n=1000, chunks=None),
        limit=1.5,
        runs=5,
        clock=time.process_time,
    )
