r"""The baseline's parts: trend, seasonality and events, each as a share of base sales.

A trend kind is a function ``f(period, *, parameters)`` that returns what the trend adds by each
period, as a share of base sales, 0 at period 0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge

from mmm_xgen.kernels.calendar import DAYS_IN_YEAR, Calendar, weekday
from mmm_xgen.kernels.domain import FloatArray, Positive, Real, Unit
from mmm_xgen.kernels.kind import Kind
from mmm_xgen.kernels.registry import Function, Registry, registering
from mmm_xgen.kernels.saturation import hill_saturation_sigmoid

SLOPE = "share of base sales added each period"

TRENDS: Registry[Kind] = Registry("trend")
EVENT_SHAPES: Registry[Kind] = Registry("event shape")


def register_trend(
    name: str, *, check: Callable[..., str | None] | None = None
) -> Callable[[Function], Function]:
    """Register a function as a trend under `name`; `check` says what is wrong with its keys."""
    return registering(TRENDS, Kind.of, name, family="trend_", check=check)


def register_event_shape(name: str) -> Callable[[Function], Function]:
    """Register a function ``f(days, *, width_days)`` as the shape of an event under `name`."""
    return registering(EVENT_SHAPES, Kind.of, name)


@register_trend("linear")
def linear(
    period: FloatArray, *, sales_trend: Annotated[Real, SLOPE, Unit("1 / periods")] = 0.0
) -> FloatArray:
    """Add the same share of base sales each period; base sales and trend never go below 0.

    Parameters
    ----------
    sales_trend : float, share of base sales per period
        Change from period to period. Negative values shrink the sales.
    """
    return np.maximum(sales_trend * period, -1.0)


def _as_many_changes(
    *, change_periods: tuple[int, ...], trend_changes: tuple[float, ...], **_: Any
) -> str | None:
    if len(change_periods) != len(trend_changes):
        return (
            f"change_periods has {len(change_periods)} entries and trend_changes "
            f"{len(trend_changes)}; give one change for each period"
        )
    return None


@register_trend("piecewise_linear", check=_as_many_changes)
def piecewise_linear(
    period: FloatArray,
    *,
    sales_trend: Annotated[Real, SLOPE, Unit("1 / periods")] = 0.0,
    change_periods: tuple[Annotated[int, Ge(0)], ...] = (),
    trend_changes: tuple[float, ...] = (),
) -> FloatArray:
    """Add a share of base sales each period, with changes of the slope at given periods.

    Parameters
    ----------
    sales_trend : float, share of base sales per period
        Slope at the start.
    change_periods : list of int, periods
        Periods at which the slope changes, counted from 0.
    trend_changes : list of float, share of base sales per period
        Change of the slope at each of `change_periods`.
    """
    bends = np.maximum(period[:, None] - np.array(change_periods, dtype=float), 0)
    slopes = np.array(trend_changes, dtype=float)
    return np.asarray(np.maximum(sales_trend * period + bends @ slopes, -1.0))


@register_trend("logistic_growth")
def logistic_growth(
    period: FloatArray,
    *,
    growth_capacity: Annotated[Real, "share of base sales added in the end"] = 0.5,
    growth_rate: Annotated[Positive, "rate of growth", Unit("1 / periods")] = 0.05,
    growth_midpoint: Annotated[Real, "period of fastest growth", Unit("periods")] = 52.0,
) -> FloatArray:
    """Grow along an S-curve from 0 at period 0.

    Parameters
    ----------
    growth_capacity : float, share of base sales
        Distance between the two ends of the S-curve. Negative values give a decline.
    growth_rate : float, 1 / periods
        Steepness of the curve.
    growth_midpoint : float, periods
        Period of the fastest growth.
    """
    rise = hill_saturation_sigmoid(
        period, sigma=growth_capacity, beta=growth_rate, lam=growth_midpoint
    )
    return np.maximum(rise, -1.0)


def fourier_basis(position: FloatArray, period: float, n_modes: int) -> FloatArray:
    r"""Sines, then cosines, of :math:`2 \pi k\, \text{position} / \text{period}`.

    Parameters
    ----------
    position : array, dims (date,)
        Day of the year, or day count, of every date.
    period : float
        Length of the cycle in days.
    n_modes : int
        Number of harmonics k = 1, 2, ...

    Returns
    -------
    array, dims (mode, date)
        ``sin_1, ..., sin_n, cos_1, ..., cos_n``, PyMC-Marketing's order.
    """
    turns = 2 * np.pi * np.arange(1, n_modes + 1)[:, None] * position / period
    return np.concatenate([np.sin(turns), np.cos(turns)])


def yearly_basis(calendar: Calendar, n_modes: int) -> FloatArray:
    """Yearly sines and cosines of the day of the year, PyMC-Marketing's basis."""
    return fourier_basis(calendar.day_of_year, DAYS_IN_YEAR, n_modes)


def weekday_basis(calendar: Calendar) -> FloatArray:
    """One row a weekday, Monday first: 1 on that day and 0 elsewhere."""
    return np.asarray(weekday(calendar.dates) == np.arange(7)[:, None], dtype=float)


@register_event_shape("pulse")
def pulse(days: FloatArray, *, width_days: Positive = 1.0) -> FloatArray:
    """Full effect for some days, none before and after.

    Parameters
    ----------
    width_days : float, days
        Length of the effect.
    """
    return np.asarray((days >= 0) & (days < width_days), dtype=float)


@register_event_shape("gaussian")
def gaussian_bump(days: FloatArray, *, width_days: Positive = 7.0) -> FloatArray:
    """Rise and fall around the day as a normal density does, with value 1 on the day.

    Parameters
    ----------
    width_days : float, days
        Standard deviation of the normal density.
    """
    return np.asarray(np.exp(-0.5 * (days / width_days) ** 2))


@register_event_shape("decay")
def decay(days: FloatArray, *, width_days: Positive = 7.0) -> FloatArray:
    """Full effect on the day, then exponential decay.

    Parameters
    ----------
    width_days : float, days
        Time constant: the days in which the effect falls to 37%.
    """
    return np.where(days >= 0, np.exp(-np.maximum(days, 0) / width_days), 0.0)


@register_event_shape("step")
def step(days: FloatArray) -> FloatArray:
    """No effect before the day and full effect from it on: a shift of the level for ever."""
    return np.asarray(days >= 0, dtype=float)


@register_event_shape("dip")
def dip(days: FloatArray, *, width_days: Positive = 90.0) -> FloatArray:
    r"""Fall, a low and a recovery, as in a pandemic; the low is the full effect.

    The effect grows in a straight line over the first quarter of :math:`w` = `width_days`, stays
    full until day :math:`w`, and then recovers exponentially:

    .. math::

        \min(4 d / w,\, 1) \text{ for } 0 \le d < w, \qquad e^{-(d - w) / w}
        \text{ for } d \ge w

    Parameters
    ----------
    width_days : float, days
        Days from the start to the end of the low, and time constant of the recovery.
    """
    fall = np.clip(4 * days / width_days, 0, 1)
    return np.asarray(fall * np.exp(-np.maximum(days / width_days - 1, 0)))


def event_intensity(
    calendar: Calendar, moments: Any, shape: Callable[[FloatArray], FloatArray], lag_days: float
) -> FloatArray:
    """Intensity of an event in every period: the largest of the period's days, 1 at its peak.

    Parameters
    ----------
    calendar : Calendar
        The periods.
    moments : array of datetime64[D], dims (moment,)
        Days of the event; none of a 29 February far from any leap year.
    shape : callable
        Intensity as a function of the days since the event.
    lag_days : float
        Days by which the effect comes after the event; negative for before.

    Returns
    -------
    array, dims (date,)
    """
    first, last = calendar.days_since(moments)
    longest = int((last - first).max(initial=0)) + 1
    days = first[..., None] + np.arange(longest)
    inside = days <= last[..., None]
    intensity = np.where(inside, shape(days - lag_days), 0.0)
    return np.asarray(intensity.max(axis=(1, 2), initial=0.0))
