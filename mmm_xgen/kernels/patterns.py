r"""Spend patterns: the level of a channel over time, relative to its base.

A pattern is a function ``f(calendar, *, parameters)`` (or ``f(calendar, uniform, *, parameters)``
where chance decides) that returns the level, 1 meaning base spend, in an array that broadcasts
to ``(channel, geo, date)``. Its parameters arrive with shape ``(channel, 1, 1)``, its `uniform`
with shape ``(channel, geo, draw)``, independent draws from [0, 1). The library multiplies the
level with base spend, size of the geo and campaign noise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge

from mmm_xgen.errors import ConfigError
from mmm_xgen.kernels.calendar import DAYS_IN_YEAR, PEAK_DAY, Calendar, is_day
from mmm_xgen.kernels.domain import (
    Count,
    FloatArray,
    NonNegative,
    Numbers,
    Positive,
    PositiveCount,
    Real,
    Share,
)
from mmm_xgen.kernels.kind import Kind, positional_names
from mmm_xgen.kernels.registry import Function, Registry, registering

# Draws at the end that decide what the window opens in: two waits and two lengths.
EQUILIBRIUM_CYCLES = 2


@dataclass(frozen=True, kw_only=True, eq=False)
class PatternKind(Kind):
    """A spend pattern.

    `random` marks those that take uniform draws, `by_geo` a plain ``f(dates, rng)`` that is
    called once for each geo and returns an array (date,). `moments` gives the mean of a random
    level and of its square.
    """

    random: bool = False
    by_geo: bool = False
    moments: Callable[..., tuple[FloatArray, FloatArray]] | None = None

    @classmethod
    def of(cls, *, function: Callable[..., Any], family: str = "", **about: Any) -> PatternKind:
        """Pattern whose positional arguments say what it is called with."""
        positional = positional_names(function)
        by_geo = positional == ("dates", "rng")
        random = len(positional) == 2 and not by_geo
        kind = super().of(function=function, family=family, random=random, by_geo=by_geo, **about)
        if len(positional) not in (1, 2) or (by_geo and kind.keys):
            raise ConfigError(
                f"pattern {kind.name!r} takes ({', '.join(positional)}); write "
                "f(calendar, *, ...), f(calendar, uniform, *, ...) or f(dates, rng)"
            )
        return kind


PATTERNS: Registry[PatternKind] = Registry("pattern")


def register_pattern(
    name: str,
    *,
    check: Callable[..., str | None] | None = None,
    moments: Callable[..., tuple[FloatArray, FloatArray]] | None = None,
) -> Callable[[Function], Function]:
    """Register a function as a spend pattern under `name`.

    Parameters
    ----------
    name : str
        Name for `ChannelConfig.pattern`.
    check : callable, optional
        Takes the pattern's parameters as keywords and returns what is wrong with them
        taken together, or None.
    moments : callable, optional
        Takes the pattern's parameters as keywords and returns the mean of the level and of its
        square. `spend_correlation` needs them of a pattern that takes uniform draws.

    Raises
    ------
    ConfigError
        If the name is taken.

    Examples
    --------
    >>> import numpy as np
    >>> @register_pattern("every_other")
    ... def every_other(calendar, *, low: float = 0.5):
    ...     return np.where(calendar.period % 2 == 0, 1.0, low)
    >>> PATTERNS["every_other"].keys
    ['low']
    >>> PATTERNS.remove("every_other")
    """
    return registering(PATTERNS, PatternKind.of, name, check=check, moments=moments)


@register_pattern("linear_trend")
def linear_trend(calendar: Calendar, *, spend_trend: Real = 0.0) -> FloatArray:
    """Add the same share of base spend each period; the level never goes below 0.

    Parameters
    ----------
    spend_trend : float, share of base spend per period
        Change of the level from period to period. Negative values shrink the spend.
    """
    return np.maximum(1 + spend_trend * calendar.period, 0)


@register_pattern("seasonal")
def seasonal(
    calendar: Calendar, *, seasonal_amplitude: Share = 0.3, seasonal_phase: Real = 0.0
) -> FloatArray:
    """Swing once a year as a cosine.

    Parameters
    ----------
    seasonal_amplitude : float, share of base spend
        Half the distance between peak and trough.
    seasonal_phase : float, radians
        Shift of the peak. At 0 the peak is at the start of July; a positive shift moves it later.
    """
    turn = 2 * np.pi * (calendar.day_of_year - PEAK_DAY) / DAYS_IN_YEAR
    return np.asarray(1 + seasonal_amplitude * np.cos(turn - seasonal_phase))


def _ends_after_start(*, start_period: int, end_period: int | None, **_: Any) -> str | None:
    if end_period is not None and end_period <= start_period:
        return f"end_period {end_period} must be after start_period {start_period}"
    return None


@register_pattern("delayed_start", check=_ends_after_start)
def delayed_start(
    calendar: Calendar,
    *,
    start_period: Count = 0,
    ramp_up_periods: Count = 4,
    end_period: Annotated[int, Ge(0)] | None = None,
) -> FloatArray:
    """Start late, rise over a ramp to the full level, and stop at an end if one is set.

    Parameters
    ----------
    start_period : int, periods
        First period with spend, counted from 0.
    ramp_up_periods : int, periods
        Number of periods below the full level at the start.
    end_period : int, periods, optional
        First period without spend again. None: spend goes on to the end of the data.
    """
    ramp = (calendar.period - start_period + 1) / (np.asarray(ramp_up_periods) + 1)
    level = np.clip(ramp, 0, 1)
    last = np.inf if end_period is None else end_period
    return np.where(calendar.period < last, level, 0.0)


def _ordered_runs(*, min_active_periods: int, max_active_periods: int, **_: Any) -> str | None:
    if max_active_periods < min_active_periods:
        return (
            f"max_active_periods {max_active_periods} must be at least "
            f"min_active_periods {min_active_periods}"
        )
    return None


def on_off_moments(
    *,
    activation_probability: FloatArray,
    min_active_periods: FloatArray,
    max_active_periods: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Return the mean of the level and of its square: both are the share of time that is on."""
    mean_run = (np.asarray(min_active_periods) + max_active_periods) / 2
    on = mean_run * activation_probability / (mean_run * activation_probability + 1)
    return on, on


@register_pattern("on_off", check=_ordered_runs, moments=on_off_moments)
def on_off(
    calendar: Calendar,
    uniform: FloatArray,
    *,
    activation_probability: Share = 0.4,
    min_active_periods: PositiveCount = 2,
    max_active_periods: PositiveCount = 8,
) -> FloatArray:
    """Run at full level at random times, with pauses of level 0 between the runs.

    In a pause, a run starts with `activation_probability` each period. It lasts uniformly from
    `min_active_periods` to `max_active_periods`, and at least one period of pause follows. The
    first period of the window finds the process in equilibrium, as if it had always run [1]_.

    Parameters
    ----------
    activation_probability : float, probability per period
        Chance that a run starts in a period of a pause.
    min_active_periods : int, periods
        Length of the shortest run.
    max_active_periods : int, periods
        Length of the longest run.

    References
    ----------
    .. [1] Cox, D. R. (1962). Renewal Theory. Methuen.
    """
    # A renewal process: the number of failures before a start is geometric, so waiting times
    # and run lengths come from one uniform each and no loop over dates is needed.
    probability, shortest = np.asarray(activation_probability), np.asarray(min_active_periods)
    longest = np.asarray(max_active_periods)

    def ends_of(cycles: int) -> FloatArray:
        wait_draws, length_draws = (uniform[..., k : 2 * cycles : 2] for k in range(2))
        with np.errstate(divide="ignore", invalid="ignore"):
            waits = np.floor(np.log1p(-wait_draws) / np.log1p(-probability))
        if np.any((probability <= 0) | (probability >= 1)):
            waits = np.where(probability > 0, np.where(probability < 1, waits, 0.0), np.inf)
        lengths = np.floor(length_draws * (longest - shortest + 1)) + shortest
        _start_in_equilibrium(waits, lengths, uniform, probability, (shortest, longest))
        return _ends(waits, lengths, calendar.n_periods)

    every = uniform.shape[-1] // 2 - EQUILIBRIUM_CYCLES
    # There are draws for the shortest cycles that can be; hardly a window needs so many.
    ends = ends_of(min(every, _likely_cycles(probability, shortest, longest, calendar)))
    if ends[..., -1].min() < calendar.n_periods:
        ends = ends_of(every)
    return _states(ends)


def _likely_cycles(
    probability: FloatArray, shortest: FloatArray, longest: FloatArray, calendar: Calendar
) -> int:
    """Twice as many cycles, and some more, as fill the window on average."""
    with np.errstate(divide="ignore"):
        mean_cycle = 1 / probability + (shortest + longest) / 2
    return int(np.ceil(2 * calendar.n_periods / mean_cycle.min())) + 8


def _start_in_equilibrium(
    waits: FloatArray,
    lengths: FloatArray,
    uniform: FloatArray,
    probability: FloatArray,
    bounds: tuple[FloatArray, FloatArray],
) -> None:
    """Change the first wait and run to those of a process that has run for ever.

    The window opens inside a run with the share of time that is on, and a run is then the likelier
    the longer it is (renewal theory); what is left of a spell off is geometric, as all of it.
    """
    shortest, longest = bounds
    inside, which, where = (uniform[..., -1 - k] for k in range(3))
    squares = shortest * (shortest - 1.0)
    total = (longest * (longest + 1.0) - squares)[..., 0]
    run = np.ceil((np.sqrt(1 + 4 * (squares[..., 0] + which * total)) - 1) / 2)
    mean_run = (shortest + longest)[..., 0] / 2
    chance = probability[..., 0]
    is_on = inside * (mean_run * chance + 1) < mean_run * chance
    waits[..., 0] = np.where(is_on, 0, waits[..., 0] + 1)
    lengths[..., 0] = np.where(is_on, np.maximum(np.ceil(where * run), 1), lengths[..., 0])


def _ends(waits: FloatArray, lengths: FloatArray, n_periods: int) -> FloatArray:
    """Periods at which waits and runs end in turn, cut to the window."""
    # At least one period off after each run.
    waits[..., 1:] += 1
    steps = np.empty((*waits.shape[:-1], 2 * waits.shape[-1]))
    steps[..., 0::2] = waits
    steps[..., 1::2] = lengths
    np.minimum(steps, n_periods, out=steps)
    np.cumsum(steps, axis=-1, out=steps)
    return np.minimum(steps, n_periods, out=steps)


def _states(ends: FloatArray) -> FloatArray:
    """1 inside the runs and 0 outside: run-length decoding of rows that end together."""
    counts = np.diff(ends, axis=-1, prepend=0.0).astype(np.intp).ravel()
    states = np.tile([0.0, 1.0], counts.size // 2)
    return np.repeat(states, counts).reshape(*ends.shape[:-1], -1)


def _as_many_levels(*, step_periods: tuple[int, ...], step_levels: tuple[float, ...]) -> str | None:
    if len(step_periods) != len(step_levels):
        return (
            f"step_periods has {len(step_periods)} entries and step_levels {len(step_levels)}; "
            "give one level for each step"
        )
    if list(step_periods) != sorted(set(step_periods)):
        return f"step_periods {list(step_periods)} must rise from entry to entry"
    return None


@register_pattern("step", check=_as_many_levels)
def step(
    calendar: Calendar,
    *,
    step_periods: tuple[Annotated[int, Ge(0)], ...] = (26,),
    step_levels: tuple[Annotated[float, Ge(0)], ...] = (1.5,),
) -> FloatArray:
    """Keep the level constant between steps: 1 before the first step, then that of the last step.

    Parameters
    ----------
    step_periods : list of int, periods
        Periods at which the level changes, counted from 0, in rising order.
    step_levels : list of float, multiples of base spend
        Level from each step on, one entry per step.
    """
    levels = np.array([1.0, *step_levels])
    return levels[np.searchsorted(np.asarray(step_periods), calendar.period, side="right")]


@register_pattern("cyclical")
def cyclical(
    calendar: Calendar,
    *,
    cycle_periods: Positive = 13.0,
    cycle_amplitude: Share = 0.3,
    cycle_phase: Real = 0.0,
) -> FloatArray:
    """Swing as a cosine with a cycle of any length.

    Parameters
    ----------
    cycle_periods : float, periods
        Length of the cycle.
    cycle_amplitude : float, share of base spend
        Half the distance between peak and trough.
    cycle_phase : float, radians
        Shift of the peak. At 0 the peak is at period 0; a positive shift moves it later.
    """
    turn = 2 * np.pi * calendar.period / cycle_periods
    return np.asarray(1 + cycle_amplitude * np.cos(turn - cycle_phase))


def _dates_exist(*, spike_dates: tuple[str, ...], **_: Any) -> str | None:
    unknown = [text for text in spike_dates if not is_day(text)]
    if unknown:
        return f"spike_dates has {unknown[0]!r}; write '2024-11-29', or '12-25' for every year"
    return None


@register_pattern("event_spikes", check=_dates_exist)
def event_spikes(
    calendar: Calendar,
    *,
    spike_dates: tuple[str, ...] = ("11-27", "12-15"),
    spike_height: NonNegative = 3.0,
    spike_periods: PositiveCount = 2,
    rest_level: NonNegative = 1.0,
) -> FloatArray:
    """Rise before each of some dates, since advertising leads up to its event.

    The level is `spike_height` in the period of each date and the ``spike_periods - 1`` periods
    before it.

    Parameters
    ----------
    spike_dates : list of str
        ISO dates such as ``"2024-11-29"``, or ``"MM-DD"`` for every year.
    spike_height : float, multiples of base spend
        Level in a spike.
    spike_periods : int, periods
        Length of a spike. It ends in the period of the date.
    rest_level : float, multiples of base spend
        Level between the spikes.
    """
    moments = calendar.moments(spike_dates)
    inside = np.searchsorted(calendar.dates, moments, side="right") - 1.0
    # A spike after the last date still casts its lead into the window.
    beyond = np.floor((moments - calendar.ends[-1]).astype(float) / calendar.mean_days)
    spike = inside + np.maximum(beyond + 1, 0)
    ahead = spike - np.arange(calendar.n_periods)[:, None]
    wait = np.where(ahead >= 0, ahead, np.inf).min(axis=1, initial=np.inf)
    return np.where(wait < spike_periods, spike_height, rest_level)


@register_pattern("pulsed")
def pulsed(
    calendar: Calendar,
    *,
    pulse_on_periods: PositiveCount = 3,
    pulse_off_periods: Count = 3,
    pulse_offset: Count = 0,
    rest_level: NonNegative = 0.0,
) -> FloatArray:
    """Run in flights of equal length, with equal pauses between them.

    A `rest_level` of 0 gives flighting, one above 0 pulsing.

    Parameters
    ----------
    pulse_on_periods : int, periods
        Length of a flight, in which the level is 1.
    pulse_off_periods : int, periods
        Length of the pause between two flights.
    pulse_offset : int, periods
        First period of a flight.
    rest_level : float, multiples of base spend
        Level between the flights.
    """
    cycle = np.asarray(pulse_on_periods) + pulse_off_periods
    position = (calendar.period - pulse_offset) % cycle
    return np.where(position < pulse_on_periods, 1.0, rest_level)


def always_on_moments(
    *, burst_probability: FloatArray, burst_height: FloatArray, burst_periods: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the mean of the level and of its square."""
    bursts, _ = on_off_moments(
        activation_probability=burst_probability,
        min_active_periods=burst_periods,
        max_active_periods=burst_periods,
    )
    height = np.asarray(burst_height)
    return 1 + (height - 1) * bursts, 1 + (height**2 - 1) * bursts


@register_pattern("always_on", moments=always_on_moments)
def always_on(
    calendar: Calendar,
    uniform: FloatArray,
    *,
    burst_probability: Share = 0.08,
    burst_height: NonNegative = 2.5,
    burst_periods: PositiveCount = 2,
) -> FloatArray:
    """Run at level 1 always, with random bursts on top.

    Parameters
    ----------
    burst_probability : float, probability per period
        Chance that a burst starts in a period outside a burst.
    burst_height : float, multiples of base spend
        Level in a burst.
    burst_periods : int, periods
        Length of a burst.
    """
    bursts = on_off(
        calendar,
        uniform,
        activation_probability=burst_probability,
        min_active_periods=burst_periods,
        max_active_periods=burst_periods,
    )
    return np.asarray(1 + (np.asarray(burst_height) - 1) * bursts)


def _low_below_high(*, low: float, high: float) -> str | None:
    return f"low {low:g} must not be above high {high:g}" if low > high else None


def uniform_moments(*, low: FloatArray, high: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the mean of the level and of its square."""
    low, high = np.asarray(low), np.asarray(high)
    return (low + high) / 2, (low**2 + low * high + high**2) / 3


@register_pattern("uniform", check=_low_below_high, moments=uniform_moments)
def uniform_level(
    calendar: Calendar, uniform: FloatArray, *, low: NonNegative = 0.5, high: NonNegative = 1.5
) -> FloatArray:
    """Draw a new level each period from a uniform distribution.

    Parameters
    ----------
    low : float, multiples of base spend
        Lowest level.
    high : float, multiples of base spend
        Highest level.
    """
    draws = uniform[..., : calendar.n_periods]
    return np.asarray(low + (np.asarray(high) - low) * draws)


def campaign_noise(normal: FloatArray, volatility: Numbers, calendar: Calendar) -> FloatArray:
    r"""Multiplicative noise of mean 1: campaigns that last, and jitter within them.

    .. math:: \exp(s z - s^2 / 2), \quad s^2 = \log(1 + v^2), \quad
              z = \sqrt{0.7}\, z_\text{campaign} + \sqrt{0.3}\, z_\text{period}

    Parameters
    ----------
    normal : array, dims (channel, geo, draw)
        Standard normal draws, `noise_draws` of them, one per period and one per campaign.
    volatility : array, dims (channel, 1, 1)
        Coefficient of variation v of the result, at least 0.
    calendar : Calendar
        Periods, and how long a campaign lasts.

    Returns
    -------
    array, dims (channel, geo, date)
        Noise whose mean is 1 and whose coefficient of variation is `volatility`.
    """
    n_periods = calendar.n_periods
    length = calendar.campaign_periods
    variance = np.log1p(np.square(volatility))
    # Scaled before they are spread over the periods: a pass over few campaigns costs little.
    level = np.sqrt(0.7 * variance) * normal[..., n_periods:] - variance / 2
    noise = np.sqrt(0.3 * variance) * normal[..., :n_periods]
    whole = n_periods // length
    campaigns = noise[..., : whole * length].reshape(*noise.shape[:-1], whole, length)
    campaigns += level[..., :whole, None]
    noise[..., whole * length :] += level[..., whole:]
    return np.exp(noise, out=noise)


def switch_draws(calendar: Calendar) -> int:
    """Number of uniform draws that a random pattern takes: a wait and a length for each run."""
    return 2 * (calendar.n_periods // 2 + 1 + EQUILIBRIUM_CYCLES)


def noise_draws(calendar: Calendar) -> int:
    """Number of normal draws that `campaign_noise` takes from one channel and geo."""
    return calendar.n_periods - (-calendar.n_periods // calendar.campaign_periods)
