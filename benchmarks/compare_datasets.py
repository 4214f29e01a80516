"""Compare the datasets of two versions of the package bit by bit.

``python -m benchmarks.compare_datasets --out before.json`` generates every dataset of the list
below and writes a digest of each of their variables. After a change, ``--against before.json``
generates them again and says which datasets and variables differ. The sum and the maximum of each
variable are written as well: they tell a change of rounding from a change of the numbers.
The exit code is 1 where anything differs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

import mmm_xgen
from mmm_xgen.ensemble.generate import element
from mmm_xgen.errors import collected_warnings
from mmm_xgen.kernels.adstock import ADSTOCKS
from mmm_xgen.kernels.baseline import EVENT_SHAPES, TRENDS
from mmm_xgen.kernels.noise import NOISES
from mmm_xgen.kernels.patterns import PATTERNS
from mmm_xgen.kernels.saturation import SATURATIONS

Json = dict[str, Any]
# Digest, sum and maximum of every variable of a dataset.
Prints = dict[str, list[Any]]

# Small and large ones: a seed may have any number of words of 32 bits.
SEEDS = (1, 2025, 2**40 + 7, 2**130 + 3)
PRESET_SEEDS = (*SEEDS, 42)
ELEMENTS = 5
# Of the attributes, it alone must change with the version.
VERSION = "mmm_xgen_version"


# ---------------------------------------------------------------------- the list of datasets


def walk(dates: pd.DatetimeIndex, rng: np.random.Generator) -> Any:
    """Pattern of a user's own."""
    return np.exp(0.1 * rng.standard_normal(len(dates)).cumsum())


def channels(*changes: Json) -> list[Json]:
    """Three channels whose response is strong enough to show, the changes in turn."""
    made = []
    for k, (name, spend) in enumerate((("TV", 900.0), ("Ads", 600.0), ("Print", 400.0))):
        change = changes[k % len(changes)] if changes else {}
        effect = {} if "roas" in change else {"base_effectiveness": 0.2}
        own = {"name": name, "base_spend": spend, "spend_volatility": 0.4}
        made.append(own | effect | change)
    return made


def controls(*changes: Json) -> list[Json]:
    return [
        {"name": f"Control {k}", "base_value": 4.0, "value_volatility": 0.2, **change}
        for k, change in enumerate(changes)
    ]


BASE: Json = {
    "n_periods": 60,
    "channels": channels(),
    "regions": {
        "n_regions": 3,
        "population": [1e6, 4e5, 2e6],
        "base_sales_rate": 1e4,
        "seasonal_amplitude": 0.1,
        "similarity": 0.8,
    },
}


def config(seed: int = 1, *, regions: Json | None = None, **changes: Any) -> Any:
    """Configuration of a small dataset with changes."""
    regions = {**BASE["regions"], **(regions or {})}
    return mmm_xgen.MMMDataConfig(**{**BASE, "regions": regions, "seed": seed, **changes})


def of_config(seed: int, **changes: Any) -> xr.Dataset:
    return mmm_xgen.generate_mmm_dataset(config(seed, **changes))


# Keys of the kinds whose own would change nothing, or too little to show.
KEYS: dict[str, Json] = {
    "linear_trend": {"spend_trend": 0.01},
    "on_off": {"activation_probability": 0.5},
    "delayed_start": {"start_period": 9},
    "geometric_adstock": {"alpha": 0.6},
    "hill_function": {"slope": 1.3},
    "linear": {"sales_trend": 0.002},
    "piecewise_linear": {"sales_trend": 0.003, "change_periods": [20], "trend_changes": [-0.004]},
    "gaussian": {"sales_volatility": 0.1},
}


def kind(name: str) -> Json:
    return {"kind": name, **KEYS.get(name, {})}


def patterns() -> Iterator[tuple[str, Json]]:
    for name in PATTERNS:
        pattern = kind(name)
        yield (
            f"pattern {name}",
            {
                "channels": channels({"pattern": pattern}, {"pattern": pattern, "shared": True}),
                "control_variables": controls({"pattern": pattern, "gamma_control": 90.0}),
            },
        )
    yield "pattern callable", {"channels": channels({"pattern": walk})}


def responses() -> Iterator[tuple[str, Json]]:
    for name in ADSTOCKS:
        yield f"adstock {name}", {"channels": channels({"adstock": kind(name)}, {})}
    more: dict[str, Json] = {
        "weibull CDF": {"kind": "weibull_adstock", "type": "CDF", "l_max": 12},
        "not normalised": {"kind": "geometric_adstock", "alpha": 0.6, "normalize": False},
        "half-life": {"kind": "delayed_adstock", "half_life": "10D", "l_max": 16},
    }
    for name, adstock in more.items():
        yield f"adstock {name}", {"channels": channels({"adstock": adstock}, {})}
    for name in SATURATIONS:
        yield f"saturation {name}", {"channels": channels({"saturation": kind(name)}, {})}
    yield "saturation first", {"transforms": {"adstock_first": False}}
    yield "spend in base spends", {"transforms": {"spend_unit": "base_spend"}}
    yield "roas", {"channels": channels({"roas": 2.0}, {}, {"roas": 0.5})}


def baselines() -> Iterator[tuple[str, Json]]:
    for name in TRENDS:
        yield f"trend {name}", {"regions": {"trend": kind(name)}}
    for shape in EVENT_SHAPES:
        event = {"name": "launch", "dates": ["03-01", "2022-05-20"], "effect": 0.3, "shape": shape}
        yield f"event {shape}", {"events": [event, {**event, "name": "late", "lag_days": 9}]}
    for name in NOISES:
        yield f"noise {name}", {"regions": {"noise": kind(name)}}
    yield "noise r_squared", {"regions": {"r_squared": [0.9, 0.8, 0.7]}}
    yield "noise y_sigma", {"regions": {"y_sigma": 300.0}}
    yield "season of three modes", {"regions": {"fourier_modes": 3, "seasonal_amplitude": 0.2}}
    for period in ("monthly", "quarterly"):
        season = {"period": period, "amplitude": 0.1}
        yield f"season {period}", {"regions": {"seasonalities": [season]}}
    week = {"weekday_effects": [0, 0, 0.01, 0, 0.05, 0.1, -0.1]}
    yield "season of weekdays", {"freq": "D", "regions": {"seasonalities": [week]}}
    for freq in ("D", "W-SUN", "MS"):
        yield f"freq {freq}", {"freq": freq}


def mixtures() -> Iterator[tuple[str, Json]]:
    kinds = (
        {"pattern": "on_off", "adstock": "no_adstock", "saturation": "root_saturation"},
        {"pattern": "pulsed", "adstock": "weibull_adstock", "saturation": "tanh_saturation"},
        {"pattern": "seasonal", "adstock": {"kind": "binomial_adstock", "l_max": 5}, "roas": 2.0},
    )
    yield "mixture of kinds", {"channels": channels(*kinds), "burn_in_periods": 7}
    adstocks = [None, "geometric_adstock", "delayed_adstock"]
    arguments = [{}, {"alpha": 0.7, "l_max": 3}, {"alpha": 0.4, "theta": 2, "l_max": 9}]
    yield (
        "mixture of transforms",
        {"transforms": {"adstock_fun": adstocks, "adstock_kwargs": arguments}},
    )
    promotion = {"pattern": "on_off", "gamma_control": 300.0}
    test = {"channel": "Print", "geos": ["geo_1"], "start_period": 30, "n_periods": 5, "change": 2}
    yield (
        "mixture of all parts",
        {
            "channels": channels(*kinds),
            "control_variables": controls(promotion, {"elasticity": 0.5, "shared": True}),
            "events": [{"name": "sale", "dates": ["2022-04-01"], "effect": -0.2, "shape": "decay"}],
            "experiments": [test],
            "regions": {"noise": "ar1", "trend": "logistic_growth", "fourier_modes": 2},
        },
    )


def sizes() -> Iterator[tuple[str, Json]]:
    yield "burn-in", {"burn_in_periods": 12}
    yield (
        "burn-in of patterns",
        {
            "burn_in_periods": 3,
            "channels": channels({"pattern": "on_off"}, {"pattern": "always_on"}),
        },
    )
    price = {"elasticity": -1.2, "persistence": 0.8}
    yield "control with elasticity", {"control_variables": controls(price, price)}
    shared = {"gamma_control": -80.0, "shared": True, "persistence": 0.5, "reference": 4.0}
    yield "control of all geos", {"control_variables": controls(shared, {"gamma_control": 50.0})}
    test = {"channel": "TV", "geos": ["geo_2"], "start_period": 20, "n_periods": 8, "change": -1.0}
    yield "experiment", {"experiments": [test]}
    more = {"channel": "Ads", "start_period": 40, "n_periods": 4, "change": 0.5}
    yield "experiments", {"experiments": [test, more], "burn_in_periods": 6}
    yield "one geo", {"regions": {"n_regions": 1, "population": None, "region_names": ["all"]}}
    yield "many geos", {"regions": {"n_regions": 25, "population": None}}
    yield "many channels", {"channels": [{"name": f"channel {k}"} for k in range(20)]}
    yield "short", {"n_periods": 5}
    yield "revenue per KPI", {"revenue_per_kpi": 40.0, "kpi": "orders", "currency": "EUR"}
    yield "no variation", {"regions": {"similarity": 1.0}}
    variation = {"similarity": None, "transform_variation": 0.3, "channel_param_variation": 0.2}
    yield "variation of responses", {"regions": variation}
    yield "common response of geos", {"regions": {"geo_response": "common", "similarity": 0.5}}


def plan(seed: int, *, form: str) -> xr.Dataset:
    """Dataset of a media plan: spend of another dataset in several forms."""
    source = of_config(seed + 1, control_variables=controls({"gamma_control": 60.0}))
    if form == "array":
        return mmm_xgen.generate_mmm_dataset(config(seed), spend=source["spend"])
    if form == "dataset":
        own = config(seed, control_variables=controls({"gamma_control": 60.0}))
        return mmm_xgen.generate_mmm_dataset(own, spend=source, params=source[["effect"]])
    own = config(seed, spend_plan={"geo": "geo", "channel": "channel", "spend": "spend"})
    frame = source["spend"].reset_coords(drop=True).to_dataframe().reset_index()
    return mmm_xgen.generate_mmm_dataset(own, spend=frame)


def given(seed: int, *, names: Sequence[str]) -> xr.Dataset:
    """Dataset with some of the parameters of another one."""
    return mmm_xgen.generate_mmm_dataset(config(seed), params=of_config(seed + 1)[list(names)])


OTHERS: dict[str, Callable[[int], xr.Dataset]] = {
    "plan array": partial(plan, form="array"),
    "plan dataset": partial(plan, form="dataset"),
    "plan frame": partial(plan, form="frame"),
    "given intercept": partial(given, names=["intercept_contribution"]),
    "given response": partial(given, names=["adstock_alpha", "saturation_kappa", "effect"]),
    "given noise": partial(given, names=["y_sigma"]),
    "regenerated": lambda seed: mmm_xgen.regenerate(of_config(seed, burn_in_periods=4)),
}

ENSEMBLES: dict[str, Json] = {
    "basic": {"config": "basic"},
    "small": {"config": "small_business"},
    "medium": {"config": "medium_business"},
    "in chunks": {"config": "small_business", "chunks": 2},
    "long seeds": {"config": "basic", "seeds": [0, 2**31, 2**32, 2**62 + 5, 2**63 - 1]},
    "daily": {"config": "high_frequency"},
    "alpha": {"config": "basic", "vary": {"channels.*.adstock_kwargs.alpha": (0.1, 0.6)}},
    "roas": {"config": "small_business", "vary": {"channels.*.roas": (1, 4)}},
    "Sobol'": {
        "config": "basic",
        "vary": {"regions.sales_volatility": (0.02, 0.1)},
        "sampling": "sobol",
    },
    "grid": {"config": "medium_business", "vary": {"revenue_per_kpi": [1, 2, 3, 4, 5]}},
}


def of_ensemble(name: str, position: int) -> xr.Dataset:
    """One dataset of an ensemble."""
    options = {"n": ELEMENTS, "chunks": None, **ENSEMBLES[name]}
    if "seeds" in options:
        del options["n"]
    vary = {
        path: mmm_xgen.Uniform(*values) if isinstance(values, tuple) else values
        for path, values in options.pop("vary", {}).items()
    }
    return element(mmm_xgen.generate_ensemble(vary=vary, **options), position).compute()


def datasets() -> dict[str, Callable[[], xr.Dataset]]:
    """Every dataset that is compared, by name."""
    made: dict[str, Callable[[], xr.Dataset]] = {}
    for name in mmm_xgen.list_available_presets():
        for seed in PRESET_SEEDS:
            made[f"preset {name} {seed}"] = partial(mmm_xgen.generate_mmm_dataset, name, seed=seed)
    for name, changes in (*patterns(), *responses(), *baselines(), *mixtures(), *sizes()):
        for seed in SEEDS:
            made[f"{name} {seed}"] = partial(of_config, seed, **changes)
    for name, make in OTHERS.items():
        for seed in SEEDS:
            made[f"{name} {seed}"] = partial(make, seed)
    for name in ENSEMBLES:
        for position in range(ELEMENTS):
            made[f"ensemble {name} {position}"] = partial(of_ensemble, name, position)
    return made


# ---------------------------------------------------------------------- what is compared


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def of_values(values: np.ndarray[Any, Any]) -> list[Any]:
    """Digest of the bits, and the sum and the maximum of the finite numbers."""
    content = values.astype(str) if values.dtype.kind == "O" else values
    bits = digest(f"{values.dtype} {values.shape}".encode() + content.tobytes())
    if values.dtype.kind not in "fiub":
        return [bits, 0.0, 0.0]
    finite = values[np.isfinite(values)].astype(float)
    return [bits, float(finite.sum()), float(np.abs(finite).max(initial=0.0))]


def prints(make: Callable[[], xr.Dataset]) -> Prints:
    """Digests of all variables of a dataset, of its labels and of the warnings that it gave."""
    with collected_warnings() as messages:
        ds = make()
    found = {str(name): of_values(values.to_numpy()) for name, values in ds.variables.items()}
    attrs = {name: value for name, value in ds.attrs.items() if name != VERSION}
    labels = {str(name): [values.dims, values.attrs] for name, values in ds.variables.items()}
    for name, content in (("(attributes)", [attrs, labels]), ("(warnings)", messages)):
        text = json.dumps(content, sort_keys=True, default=str)
        found[name] = [digest(text.encode()), 0.0, 0.0]
    return dict(sorted(found.items()))


def all_prints(pattern: str = "*") -> dict[str, Prints]:
    return {name: prints(make) for name, make in datasets().items() if fnmatchcase(name, pattern)}


def moved(old: Sequence[Any], new: Sequence[Any]) -> float:
    """Largest relative change of the sum and the maximum."""
    before, after = np.array(old[1:], dtype=float), np.array(new[1:], dtype=float)
    largest = np.maximum(np.maximum(np.abs(before), np.abs(after)), 1e-300)
    return float((np.abs(after - before) / largest).max())


def differences(before: Mapping[str, Prints], after: Mapping[str, Prints]) -> Iterator[str]:
    """Sentences about what differs: one a variable, with the datasets that it differs in."""
    for name in before.keys() - after.keys():
        yield f"{name}: not made any more"
    changed: dict[str, dict[str, float]] = {}
    for name in before.keys() & after.keys():
        old, new = before[name], after[name]
        for variable in old.keys() | new.keys():
            if variable not in old or variable not in new:
                changed.setdefault(variable, {})[name] = float("inf")
            elif old[variable][0] != new[variable][0]:
                changed.setdefault(variable, {})[name] = moved(old[variable], new[variable])
    for variable, places in sorted(changed.items()):
        worst = max(places, key=places.__getitem__)
        some = ", ".join(sorted(places)[:5]) + (", ..." if len(places) > 5 else "")
        yield (
            f"{variable} differs in {len(places)} datasets ({some}); its sum or maximum moves by "
            f"at most {places[worst]:.3g} of itself ({worst})"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the digests, or compare them with those of a file; 1 where anything differs."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compare_datasets")
    parser.add_argument("--out", type=Path, help="JSON file to write the digests to")
    parser.add_argument("--against", type=Path, help="JSON file to compare with")
    parser.add_argument("--only", default="*", help="pattern of the names of datasets")
    chosen = parser.parse_args(arguments)
    after = all_prints(chosen.only)
    if chosen.out:
        chosen.out.write_text(json.dumps(after, indent=0) + "\n", encoding="utf-8")
    print(f"{len(after)} datasets", file=sys.stderr)
    if not chosen.against:
        return 0
    before = json.loads(chosen.against.read_text(encoding="utf-8"))
    before = {name: made for name, made in before.items() if fnmatchcase(name, chosen.only)}
    found = [*differences(before, after)]
    print("\n".join(found) or "no difference")
    return int(bool(found))


if __name__ == "__main__":
    raise SystemExit(main())
