"""Draws of what varies over time: spend of the channels, values of the controls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from mmm_xgen.config.base import shown
from mmm_xgen.config.channel import ChannelConfig, ControlConfig
from mmm_xgen.config.data import MMMDataConfig
from mmm_xgen.errors import ConfigError
from mmm_xgen.kernels.calendar import Calendar
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.kernels.kind import members
from mmm_xgen.kernels.noise import autoregressive
from mmm_xgen.kernels.patterns import PatternKind, campaign_noise, noise_draws, switch_draws
from mmm_xgen.streams import stream

if TYPE_CHECKING:
    from mmm_xgen.config.specs import PatternSpec


def draw_spend(config: MMMDataConfig, base_spend: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Spend of every channel: base spend x level of its pattern x campaign noise.

    Parameters
    ----------
    config : MMMDataConfig
        Patterns, volatilities, dates and seed.
    base_spend : array, dims (geo, channel)
        Mean spend while active, in currency per period.

    Returns
    -------
    history : array, dims (channel, geo, history_date)
        Spend of the burn-in, in currency per period.
    spend : array, dims (channel, geo, date)
        Spend inside the window.
    """
    calendar = config.calendar
    names = config.channel_names
    shape = (len(names), len(base_spend))
    spend = _noise(config, names, calendar, shape)
    _multiply_by_level(spend, config.channels, names, "spend-pattern", calendar, config.seed)
    spend *= base_spend.T[..., None]
    return spend[..., : calendar.burn_in], spend[..., calendar.burn_in :]


def _noise(
    config: MMMDataConfig, names: list[str], calendar: Calendar, shape: tuple[int, int]
) -> FloatArray:
    normal = np.empty((*shape, noise_draws(calendar)))
    for position, name in enumerate(names):
        rng = stream(config.seed, "spend", name)
        if config.channels[position].shared:
            normal[position] = rng.standard_normal(normal.shape[-1])
        else:
            rng.standard_normal(out=normal[position])
    volatility = np.array([channel.spend_volatility for channel in config.channels])
    return campaign_noise(normal, volatility[:, None, None], calendar)


def draw_controls(config: MMMDataConfig, n_geos: int) -> FloatArray:
    """Values of every control: base value x level of its pattern x persistent noise.

    Returns
    -------
    array, dims (control, geo, date)
        Values inside the window.
    """
    calendar = config.calendar.window()
    controls, names = config.control_variables, config.control_names
    values = np.empty((len(names), n_geos, calendar.n_periods))
    if not names:
        return values
    # Row 0 belongs to all geos together, so that the rows of the geos stay as geos are added.
    normal = np.empty((len(names), n_geos + 1, calendar.n_periods))
    for position, name in enumerate(names):
        stream(config.seed, "control", name).standard_normal(out=normal[position])
    persistence = np.array([control.persistence for control in controls])
    variance = np.log1p(np.square([control.value_volatility for control in controls]))
    moving = persistence > 0
    normal[moving] = autoregressive(normal[moving], persistence[moving, None, None])
    shared = np.array([control.shared for control in controls])
    normal[shared, 1:] = normal[shared, :1]
    np.multiply(normal[:, 1:], np.sqrt(variance)[:, None, None], out=values)
    values -= variance[:, None, None] / 2
    np.exp(values, out=values)
    _multiply_by_level(values, controls, names, "control-pattern", calendar, config.seed)
    values *= np.array([control.base_value for control in controls])[:, None, None]
    return values


def _multiply_by_level(
    values: FloatArray,
    items: Sequence[ChannelConfig | ControlConfig],
    names: list[str],
    place: str,
    calendar: Calendar,
    seed: int,
) -> None:
    """Multiply ``(item, geo, date)`` values by the levels of their patterns, one call a kind."""
    n_geos = values.shape[1]
    keys = [(item.pattern.registered, tuple(item.pattern.settings.values())) for item in items]
    for (kind, _), index in members(keys):
        positions = range(len(items))[index] if isinstance(index, slice) else index
        own = [names[position] for position in positions]
        shared = [items[position].shared for position in positions]
        if kind.by_geo:
            level = _level_by_geo(kind, own, shared, place, calendar, seed, n_geos)
        else:
            uniform = None
            if kind.random:
                uniform = _uniform(own, shared, place, calendar, seed, n_geos)
            specs = [items[position].pattern for position in positions]
            level = _level(kind, specs, uniform, calendar)
        values[index] *= level


def _uniform(
    names: list[str],
    shared: list[bool],
    place: str,
    calendar: Calendar,
    seed: int,
    n_geos: int,
) -> FloatArray:
    uniform = np.empty((len(names), n_geos, switch_draws(calendar)))
    for position, name in enumerate(names):
        rng = stream(seed, place, name)
        if shared[position]:
            uniform[position] = rng.random(uniform.shape[-1])
        else:
            rng.random(out=uniform[position])
    return uniform


def _level(
    kind: PatternKind, specs: list[PatternSpec], uniform: FloatArray | None, calendar: Calendar
) -> FloatArray:
    parameters = {
        name: np.array([spec.parameters[name] for spec in specs], dtype=float)[:, None, None]
        for name in kind.parameters
    }
    draws = () if uniform is None else (uniform,)
    return cast(FloatArray, kind.function(calendar, *draws, **parameters, **specs[0].settings))


def _level_by_geo(
    kind: PatternKind,
    names: list[str],
    shared: list[bool],
    place: str,
    calendar: Calendar,
    seed: int,
    n_geos: int,
) -> FloatArray:
    """Levels of a plain ``f(dates, rng)``, called once a geo, with one stream a channel."""
    import pandas as pd

    dates = pd.DatetimeIndex(calendar.dates)
    level = np.empty((len(names), n_geos, calendar.n_periods))
    for position, name in enumerate(names):
        rng = stream(seed, place, name)
        for geo in range(1 if shared[position] else n_geos):
            returned = kind.function(dates, rng)
            level[position, geo:] = _checked(returned, kind.name, name, place, calendar)
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
            f"shape ({calendar.n_periods},) of numbers at least 0, one a date",
            path="channels" if place == "spend-pattern" else "control_variables",
        )
    return level
