r"""Paths of effects: how the effect of a channel moves over time, relative to its mean.

An effect path is a function ``f(calendar, normal, level, *, parameters)`` that returns a positive
path in an array that broadcasts to ``(row, geo, date)``. It may leave out `normal` and `level`.
Rows are the channels, and datasets, of one call. Its parameters arrive with shape ``(row, 1, 1)``.
`normal` holds independent standard normal draws, dims ``(row, geo, date)``; there is one geo if
the path is shared. `level` is the spend relative to the mean spend of the channel and geo, dims
``(row, geo, date)``. The library divides each path by its mean over the window, so that a path
changes when a channel sells, and not how much.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from annotated_types import Gt

from mmm_xgen.errors import ConfigError
from mmm_xgen.kernels.calendar import DAYS_IN_YEAR, PEAK_DAY, Calendar, is_day
from mmm_xgen.kernels.domain import FloatArray, NonNegative, Positive, Real, Share, Unit
from mmm_xgen.kernels.kind import Kind, positional_names
from mmm_xgen.kernels.registry import Function, Registry, registering

ARGUMENTS = ("calendar", "normal", "level")


@dataclass(frozen=True, kw_only=True, eq=False)
class EffectPathKind(Kind):
    """A path of effects; `takes` are the names of its positional arguments."""

    takes: tuple[str, ...] = ()

    @classmethod
    def of(cls, *, function: Callable[..., Any], family: str = "", **about: Any) -> EffectPathKind:
        """Path whose positional arguments say what it is called with."""
        takes = positional_names(function)
        if takes[:1] != ("calendar",) or not {*takes} <= {*ARGUMENTS}:
            raise ConfigError(
                f"the effect path {function.__name__} takes ({', '.join(takes)}); write "
                f"f({', '.join(ARGUMENTS)}, *, ...), of which normal and level may be left out"
            )
        return super().of(function=function, family=family, takes=takes, **about)


EFFECT_PATHS: Registry[EffectPathKind] = Registry("effect path")

# Cosines of a smooth path: enough for the shortest length, 5% of the window.
COSINES = 40


def register_effect_path(
    name: str, *, check: Callable[..., str | None] | None = None
) -> Callable[[Function], Function]:
    """Register a function as an effect path under `name`.

    Parameters
    ----------
    name : str
        Name for `ChannelConfig.effect_path`.
    check : callable, optional
        Takes the parameters as keywords and returns what is wrong with them taken together, or
        None.

    Raises
    ------
    ConfigError
        If the name is taken.

    Examples
    --------
    >>> import numpy as np
    >>> @register_effect_path("first_half")
    ... def first_half(calendar, *, gain: float = 2.0):
    ...     return np.where(calendar.period < calendar.n_periods / 2, gain, 1.0)
    >>> EFFECT_PATHS["first_half"].keys
    ['gain']
    >>> EFFECT_PATHS.remove("first_half")
    """
    return registering(EFFECT_PATHS, EffectPathKind.of, name, check=check)


@register_effect_path("random_walk")
def random_walk(calendar: Calendar, normal: FloatArray, *, sd: NonNegative = 0.05) -> FloatArray:
    r"""Random walk of the log effect: :math:`\log p_t = \log p_{t-1} + \text{sd}\, z_t`.

    Parameters
    ----------
    sd : float, log scale per period
        Standard deviation of the step from one period to the next.
    """
    return np.asarray(np.exp(sd * np.cumsum(normal, axis=-1)))


@register_effect_path("smooth")
def smooth(
    calendar: Calendar,
    normal: FloatArray,
    *,
    sd: NonNegative = 0.3,
    length: Annotated[Positive, Unit("share of window")] = 0.25,
) -> FloatArray:
    r"""Smooth path of the log effect: a Gaussian process with a squared-exponential kernel.

    The process is a sum of cosines over twice the window, whose weights follow the spectral
    density of the kernel, as in the approximation that PyMC-Marketing's time-varying media
    use [1]_.

    Parameters
    ----------
    sd : float, log scale
        Standard deviation of the log effect.
    length : float, share of the window
        Length scale: how far apart two dates are whose effects differ.

    References
    ----------
    .. [1] Solin, A. and Särkkä, S. (2020). Hilbert space methods for reduced-rank Gaussian
       process regression. Statistics and Computing, 30, 419-446.
    """
    n_terms = min(COSINES, normal.shape[-1])
    frequency = np.pi * np.arange(n_terms) / 2
    density = np.asarray(np.exp(-0.25 * np.square(frequency * np.asarray(length))))
    density[..., 0] /= np.sqrt(2)
    weights = normal[..., :n_terms] * density / np.sqrt(np.square(density).sum(-1, keepdims=True))
    at = calendar.period / max(calendar.n_periods, 1)
    basis = np.sqrt(2) * np.cos(frequency[:, None] * at)
    basis[0] = 1
    return np.asarray(np.exp(sd * np.einsum("...k,kt->...t", weights, basis)))


@register_effect_path("linear_drift")
def linear_drift(
    calendar: Calendar,
    *,
    start: Positive = 1.5,
    end: Positive = 0.5,
) -> FloatArray:
    """Straight line from the first date of the window to its last.

    Parameters
    ----------
    start, end : float, relative
        Effect on the first date and on the last. Only their ratio matters.
    """
    share = calendar.period / max(calendar.n_periods - 1, 1)
    return np.asarray(start + (np.asarray(end) - start) * share)


@register_effect_path("step_change")
def step_change(
    calendar: Calendar,
    *,
    at: Share = 0.5,
    change: Positive = 0.5,
) -> FloatArray:
    """One change at a date, as by a new creative.

    Parameters
    ----------
    at : float, share of the window
        Position of the change.
    change : float, relative
        Effect after the change, relative to the effect before it.
    """
    after = calendar.period >= np.asarray(at) * calendar.n_periods
    return np.where(after, change, 1.0)


def _a_level_for_each_date(*, dates: tuple[str, ...], levels: tuple[float, ...]) -> str | None:
    if len(dates) != len(levels):
        return f"found {len(dates)} dates and {len(levels)} levels, allowed: one level a date"
    if list(dates) != sorted(set(dates)):
        return f"found the dates {', '.join(dates)}, allowed: each once, the earliest first"
    wrong = [each for each in dates if len(each) != len("2022-01-03") or not is_day(each)]
    return f"found {wrong[0]!r}, allowed: an ISO date such as '2022-06-27'" if wrong else None


@register_effect_path("steps", check=_a_level_for_each_date)
def steps(
    calendar: Calendar,
    *,
    dates: tuple[str, ...],
    levels: tuple[Annotated[float, Gt(0)], ...],
) -> FloatArray:
    """Changes at dates, as by several creatives one after the other.

    Parameters
    ----------
    dates : list of str
        ISO dates of the changes, the earliest first.
    levels : list of float, relative
        Effect from each date on, relative to the effect before the first date.
    """
    count = np.searchsorted(np.array(dates, dtype="datetime64[D]"), calendar.dates, side="right")
    return np.array([1.0, *levels])[count]


@register_effect_path("seasonal_response")
def seasonal_response(
    calendar: Calendar,
    *,
    amplitude: Share = 0.3,
    phase: Real = 0.0,
) -> FloatArray:
    """Season of the response: people answer more at one time of the year.

    Parameters
    ----------
    amplitude : float, share of the mean effect
        Half the distance between peak and trough.
    phase : float, radians
        Shift of the peak. At 0 the peak is at the start of July; a positive shift moves it later.
    """
    turn = 2 * np.pi * (calendar.day_of_year - PEAK_DAY) / DAYS_IN_YEAR
    return np.asarray(1 + np.asarray(amplitude) * np.cos(turn - np.asarray(phase)))


@register_effect_path("wear_out")
def wear_out(
    calendar: Calendar,
    level: FloatArray,
    *,
    rate: NonNegative = 0.1,
    rest: Share = 0.5,
) -> FloatArray:
    r"""Wear-out within a campaign: each period of spend tires the audience, each pause rests it.

    With fatigue :math:`F_t = F_{t-1} + \text{rate}` in a period with spend, and
    :math:`F_t = (1 - \text{rest}) F_{t-1}` in a period without, the path is :math:`e^{-F_{t-1}}`.
    The path follows the generated spend and stays as it is in a counterfactual.

    Parameters
    ----------
    rate : float, log scale per period
        Fall of the log effect in each period with spend.
    rest : float, share
        Share of the fatigue that a period without spend takes away.
    """
    fatigue: FloatArray = np.zeros(np.broadcast_shapes(level.shape, np.shape(rate), np.shape(rest)))
    kept = np.broadcast_to(np.subtract(1, rest), fatigue.shape)[..., 0]
    added = np.broadcast_to(rate, fatigue.shape)[..., 0]
    is_on = level > 0
    for date in range(1, fatigue.shape[-1]):
        before = fatigue[..., date - 1]
        fatigue[..., date] = np.where(is_on[..., date - 1], before + added, before * kept)
    return np.asarray(np.exp(-fatigue))


@register_effect_path("satiation")
def satiation(
    calendar: Calendar,
    level: FloatArray,
    *,
    half: Positive = 1.0,
    memory: Share = 0.5,
) -> FloatArray:
    r"""Lower effect where recent spend is high: :math:`1 / (\text{half} + r_t)`.

    Recent spend is :math:`r_t = \text{memory}\, r_{t-1} + (1 - \text{memory}) \text{level}_t`. If
    `memory` is the alpha of a geometric adstock, a straight curve with this path sells what a
    Michaelis-Menten curve without it sells, and only the response to other spend tells the two
    apart. The path follows the generated spend and stays as it is in a counterfactual.

    Parameters
    ----------
    half : float, share of mean spend
        Recent spend at which the effect is half of what it is without recent spend.
    memory : float, share
        Share of recent spend that is left after one period.
    """
    recent: FloatArray = np.zeros(
        np.broadcast_shapes(level.shape, np.shape(half), np.shape(memory))
    )
    kept = np.broadcast_to(memory, recent.shape)[..., 0]
    for date in range(recent.shape[-1]):
        before = recent[..., date - 1] if date else 0.0
        recent[..., date] = kept * before + (1 - kept) * level[..., date]
    return np.asarray(1 / (half + recent))
