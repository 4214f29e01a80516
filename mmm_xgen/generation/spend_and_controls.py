"""Random draws over time: spend of the channels, values of the controls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mmm_xgen.config.base import shown
from mmm_xgen.config.channel import ChannelConfig, ControlConfig
from mmm_xgen.config.data import MMMDataConfig
from mmm_xgen.errors import ConfigError
from mmm_xgen.generation.batch import Batch
from mmm_xgen.generation.budget_rules import apply_budget_rules, performance_of, rules_of
from mmm_xgen.generation.demand import draw_demand, draw_indicators, drivers_of
from mmm_xgen.generation.experiments import apply_experiments
from mmm_xgen.generation.followers import move_spend
from mmm_xgen.generation.parameters import Parameters
from mmm_xgen.generation.spend_correlation import campaign_mixing
from mmm_xgen.generation.synchronised_flights import common_draws, synchronised_dates
from mmm_xgen.kernels.calendar import Calendar
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.kernels.kind import members
from mmm_xgen.kernels.noise import autoregressive
from mmm_xgen.kernels.patterns import PatternKind, campaign_noise, noise_draws, switch_draws
from mmm_xgen.media_plan.fitting import given_spend

if TYPE_CHECKING:
    import xarray as xr

    from mmm_xgen.config.specs import PatternSpec

Items = Sequence[ChannelConfig | ControlConfig]


@dataclass(frozen=True)
class Inputs:
    """Series that the sales equation starts from.

    Parameters
    ----------
    history, spend : array, dims (dataset, channel, geo, date)
        Spend before and inside the window, in currency per period, with experiments.
    untested : array, dims (dataset, channel, geo, date)
        Spend in the window before experiments, and before rules that answer to sales.
    control_value : array, dims (dataset, control, geo, date)
        Values of the controls.
    demand : array, dims (dataset, geo, date), or None
        Latent demand in the window.
    plan : array, dims (dataset, channel, geo, date), or None
        Planned spend in the window, where budget rules change it.
    is_tested : array of bool, dims (dataset, channel, geo, date), or None
        Cells whose spend an experiment sets.
    """

    history: FloatArray
    spend: FloatArray
    untested: FloatArray
    control_value: FloatArray
    demand: FloatArray | None = None
    plan: FloatArray | None = None
    is_tested: NDArray[np.bool_] | None = None


def spend_and_controls(batch: Batch, plan: xr.Dataset | None, truth: Parameters) -> Inputs:
    """Return spend, control values, and the latent demand that moves both."""
    config, calendar = batch.shared, batch.shared.calendar
    n_geos = truth["geo_scale"].shape[1]
    value, normal = draw_controls(batch, n_geos)
    demand = inside = None
    if config.demand is not None:
        drivers = drivers_of(batch, config.demand, normal)
        demand = draw_demand(batch, config.demand, calendar, drivers, n_geos)
        inside = demand[..., calendar.burn_in :]
        value = np.concatenate([value, draw_indicators(batch, inside)], axis=1)
    others = len(config.shown_promotions) + len(config.observed)
    if others:
        # `with_depths` and `with_observed` fill them in.
        unknown = np.zeros((len(value), others, *value.shape[2:]))
        value = np.concatenate([value, unknown], axis=1)
    if plan is not None:
        history, spent, value = given_spend(plan, config, value)
        # The configured base spend is not true of a plan.
        del truth["base_spend"]
        tested = _with_experiments(batch, spent, plan)
        return Inputs(history, tested, spent, value, inside)
    planned = draw_spend(batch, truth["base_spend"])
    move_spend(batch, planned[..., calendar.burn_in :], normal)
    spent = planned
    rules = rules_of(config)
    if not all(rule is None or rule.answers_to_sales for rule in rules):
        spent = apply_budget_rules(batch, planned, demand, performance_of(truth))
    history, window = spent[..., : calendar.burn_in], spent[..., calendar.burn_in :]
    planned = window if spent is planned else planned[..., calendar.burn_in :]
    tested = _with_experiments(batch, planned)
    # An experiment sets the spend of its cells, whatever a budget rule would answer.
    is_tested = tested != planned if config.experiments else None
    if any(rules) and is_tested is not None:
        spent = np.where(is_tested, tested, window)
    else:
        spent = window if any(rules) else tested
    plans = planned if any(rules) else None
    return Inputs(history, spent, window, value, inside, plans, is_tested)


def _with_experiments(
    batch: Batch, spent: FloatArray, plan: xr.Dataset | None = None
) -> FloatArray:
    """Return the spend with the experiments of the configuration."""
    config = batch.shared
    if config.experiments and (plan is None or not plan.attrs["contains_experiments"]):
        return apply_experiments(
            spent,
            config.experiments,
            channels=config.channel_names,
            geos=config.regions.names,
            calendar=config.calendar.window(),
            changes=batch.each(lambda config: [each.change for each in config.experiments]),
            warn_where=batch.warn,
        )
    return spent


def draw_spend(batch: Batch, base_spend: FloatArray) -> FloatArray:
    """Return the spend of every channel: base spend x level of its pattern x campaign noise.

    Parameters
    ----------
    batch : Batch
        Patterns, volatilities, dates and seeds.
    base_spend : array, dims (dataset, geo, channel)
        Mean spend while active, in currency per period.

    Returns
    -------
    array, dims (dataset, channel, geo, date)
        Spend in currency per period, burn-in included.
    """
    calendar = batch.shared.calendar
    channels, names = batch.shared.channels, batch.shared.channel_names
    # An impossible correlation is refused before anything is drawn.
    mix = campaign_mixing(batch)
    normal = batch.draws(
        [("spend", name) for name in names],
        (base_spend.shape[1], noise_draws(calendar)),
        shared=[channel.shared for channel in channels],
    )
    if mix is not None:
        mix(normal)
    volatility = batch.each(lambda config: [each.spend_volatility for each in config.channels])
    spend = campaign_noise(normal, volatility[..., None, None], calendar)
    _multiply_by_level(spend, batch, _channels, ("spend-pattern", names), calendar)
    spend *= base_spend.swapaxes(1, 2)[..., None]
    return spend


def _channels(config: MMMDataConfig) -> Items:
    return config.channels


def _controls(config: MMMDataConfig) -> Items:
    return config.control_variables


def draw_controls(batch: Batch, n_geos: int) -> tuple[FloatArray, FloatArray]:
    """Return the values of every control: base value x level of its pattern x persistent noise.

    Returns
    -------
    values : array, dims (dataset, control, geo, date)
        Values inside the window.
    normal : array, dims (dataset, control, geo, date)
        Random variation of the values, on the log scale and in standard deviations.
    """
    calendar = batch.shared.calendar.window()
    controls = batch.shared.control_variables
    names = batch.shared.control_names[: len(controls)]
    values = np.empty((len(batch), len(names), n_geos, calendar.n_periods))
    if not names:
        return values, values
    # Row 0 is for all geos together, so the rows of single geos do not move with their number.
    places = [("control", name) for name in names]
    normal = batch.draws(places, (n_geos + 1, calendar.n_periods))

    def of_controls(read: Callable[[ControlConfig], float]) -> FloatArray:
        numbers = batch.each(lambda config: [read(each) for each in config.control_variables])
        return numbers[..., None, None]

    persistence = of_controls(lambda control: control.persistence)
    variance = np.log1p(np.square(of_controls(lambda control: control.value_volatility)))
    moving = (persistence > 0).any(axis=(0, 2, 3))
    normal[:, moving] = autoregressive(normal[:, moving], persistence[:, moving])
    shared = np.array([control.shared for control in controls])
    normal[:, shared, 1:] = normal[:, shared, :1]
    np.multiply(normal[:, :, 1:], np.sqrt(variance), out=values)
    values -= variance / 2
    np.exp(values, out=values)
    _multiply_by_level(values, batch, _controls, ("control-pattern", names), calendar)
    values *= of_controls(lambda control: control.base_value)
    return values, normal[:, :, 1:]


def _multiply_by_level(
    values: FloatArray,
    batch: Batch,
    items_of: Callable[[MMMDataConfig], Items],
    places: tuple[str, list[str]],
    calendar: Calendar,
) -> None:
    """Multiply ``(dataset, item, geo, date)`` values by the levels of their patterns.

    The function of a kind is called once for all of its items and datasets.
    """
    items = items_of(batch.shared)
    place, names = places
    together = synchronised_dates(batch, calendar) if place == "spend-pattern" else None
    keys = [(item.pattern.registered, tuple(item.pattern.settings.values())) for item in items]
    for (kind, _), index in members(keys):
        positions = range(len(items))[index] if isinstance(index, slice) else index
        own = {names[position]: items[position].shared for position in positions}
        if kind.by_geo:
            shape = (len(batch), len(own), values.shape[2])
            level = _level_by_geo(kind, batch, own, place, calendar, shape)
        else:
            specs = [
                [items_of(config)[position].pattern for position in positions]
                for config in batch.configs
            ]
            uniform = None
            if kind.random:
                uniform = batch.draws(
                    [(place, name) for name in own],
                    (values.shape[2], switch_draws(calendar)),
                    shared=list(own.values()),
                    uniform=True,
                )
            level = _level(kind, specs, uniform, calendar)
            if kind.random and together is not None:
                draws = common_draws(batch, kind, list(own.values()), calendar, values.shape[2])
                level = np.where(together, _level(kind, specs, draws, calendar), level)
        values[:, index] *= level


def _level(
    kind: PatternKind,
    specs: list[list[PatternSpec]],
    uniform: FloatArray | None,
    calendar: Calendar,
) -> FloatArray:
    """Return the levels of one kind; to its function, further datasets are further items."""
    datasets = len(specs) if uniform is None else len(uniform)
    rows = datasets * len(specs[0])

    def stacked(name: str) -> FloatArray:
        values = np.array([[getattr(spec, name) for spec in each] for each in specs], dtype=float)
        return np.broadcast_to(values, (datasets, values.shape[1])).reshape(rows, 1, 1)

    draws = () if uniform is None else (uniform.reshape(rows, *uniform.shape[2:]),)
    parameters = {name: stacked(name) for name in kind.parameters}
    level = np.asarray(kind.function(calendar, *draws, **parameters, **specs[0][0].settings))
    level = np.broadcast_to(level, np.broadcast_shapes(level.shape, (rows, 1, 1)))
    return level.reshape(datasets, -1, *level.shape[1:])


def _level_by_geo(
    kind: PatternKind,
    batch: Batch,
    shared: dict[str, bool],
    place: str,
    calendar: Calendar,
    shape: tuple[int, int, int],
) -> FloatArray:
    """Return the levels of a plain ``f(dates, rng)``: one call per geo, one stream per channel."""
    import pandas as pd

    dates = pd.DatetimeIndex(calendar.dates)
    level = np.empty((*shape, calendar.n_periods))
    for position, (name, is_shared) in enumerate(shared.items()):
        for rng, rows in zip(batch.streams(place, name), level[:, position], strict=True):
            for geo in range(1 if is_shared else len(rows)):
                returned = kind.function(dates, rng)
                rows[geo:] = _checked(returned, kind.name, name, place, calendar)
    return level


def _checked(returned: Any, function: str, name: str, place: str, calendar: Calendar) -> FloatArray:
    problem = None
    try:
        level = np.asarray(returned, dtype=float)
    except (TypeError, ValueError):
        level, problem = np.empty(0), f"{shown(returned)}"
    if problem is None and level.shape != (calendar.n_periods,):
        problem = f"an array of shape {level.shape}"
    elif problem is None and (not np.all(np.isfinite(level)) or np.any(level < 0)):
        problem = "a negative or missing number"
    if problem:
        raise ConfigError(
            f"the pattern {function!r} of {name!r} returned {problem}, allowed: an array of "
            f"shape ({calendar.n_periods},) of numbers at least 0, one per date",
            path="channels" if place == "spend-pattern" else "control_variables",
        )
    return level
