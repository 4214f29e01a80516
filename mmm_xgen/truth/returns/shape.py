"""Estimands of adstock and saturation shape: half-lives, limits and half-saturation."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np

from mmm_xgen.kernels.adstock import ADSTOCKS
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.response import Media, stages

# Levels of spend between which every curve rises.
LOWEST, HIGHEST = 1e-100, 1e300
# Powers of ten for the search of the end of a curve, first coarse, then fine.
COARSE, FINE = range(-100, 301, 5), range(1, 5)
# A curve is at its limit if a doubling of spend changes it by at most this share.
ARRIVED = 1e-9
# Factor between three levels that show if a slow curve has a limit: its rises must shrink to this
# share. The rises of log(log(x)), which has no limit, shrink to 0.82.
FAR, CONVERGING = 1e50, 0.75
# Share of a limit that may be extrapolated.
EXTRAPOLATED = 1e-3
ROUNDING = 1e-12
# Number of bisections down to the last digits.
HALVINGS = 64


def half_life(media: Media, weights: FloatArray) -> FloatArray:
    """Return the periods after its peak in which the weight of a kernel falls to half the peak.

    For kinds that can be configured by ``half_life`` it is exactly that number. For the others the
    weights are interpolated on the log scale between lags, and end at l_max.

    Returns
    -------
    array, dims (..., channel, geo)
    """
    peak = weights.argmax(axis=-1)[..., None]
    highest = np.take_along_axis(weights, peak, axis=-1)
    before = np.arange(weights.shape[-1]) < peak
    falling = np.where(before, highest, weights)
    life = _halved(falling) - peak[..., 0]
    for name in set(media.adstock_kind):
        alpha_at = ADSTOCKS[name].alpha_at
        if alpha_at is not None:
            index = [c for c, kind in enumerate(media.adstock_kind) if kind == name]
            alpha = np.swapaxes(media.parameters["adstock_alpha"], -1, -2)
            life[..., index, :] = _half_life_of(alpha_at, alpha[..., index, :])
    return np.asarray(life)


def half_of_effect(weights: FloatArray) -> FloatArray:
    """Return the periods from the spend until half of a kernel's mass has arrived.

    The remaining mass is interpolated on the log scale between periods. This is exact for a
    geometric kernel that l_max does not cut.

    Returns
    -------
    array, dims (..., channel, geo)
    """
    return _halved(np.cumsum(weights[..., ::-1], axis=-1)[..., ::-1])


def _halved(falling: FloatArray) -> FloatArray:
    """Return the position on the last axis where falling values reach half of the first one."""
    first = falling[..., :1]
    with np.errstate(divide="ignore", invalid="ignore"):
        # Twice the values in units of the first value, with 0 after the last.
        values = np.append(2 * falling / first, np.zeros_like(first), axis=-1)
        after = (values <= 1).argmax(axis=-1)[..., None]
        above = np.take_along_axis(values, np.maximum(after - 1, 0), axis=-1)
        below = np.take_along_axis(values, after, axis=-1)
        # The logarithm of 0 is minus infinity: the position is exact there.
        position = after - 1 + np.log(above) / (np.log(above) - np.log(below))
    return np.asarray(np.where(first > 0, position, np.nan)[..., 0])


def _half_life_of(alpha_at: Callable[[float], float], alpha: FloatArray) -> FloatArray:
    """Return the half-life that gives alpha, by bisection of its logarithm."""
    low, high = np.full(alpha.shape, -40.0), np.full(alpha.shape, 40.0)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        is_below = _applied(alpha_at, np.exp(middle)) < alpha
        low, high = np.where(is_below, middle, low), np.where(is_below, high, middle)
    life = np.exp((low + high) / 2)
    return np.where(alpha > 0, np.where(alpha < 1, life, np.inf), 0.0)


def _applied(function: Callable[[float], float], values: FloatArray) -> FloatArray:
    """Return a function of each value, one by one if a user's function takes no arrays."""
    whole: Callable[[Any], Any] = function
    try:
        return np.asarray(whole(values))
    except (TypeError, ValueError):
        return np.asarray(np.vectorize(function, otypes=[float])(values))


def limits(media: Media) -> FloatArray:
    """Return the limit of each curve of amplitude 1; NaN if it has no finite limit.

    The limit is the value at infinite spend. Some curves have no value there in floating point,
    such as ``x / (1 + x)``. These are followed to the largest levels: NaN if they still rise there,
    or are not near a limit.

    Returns
    -------
    array, dims (..., channel, geo)
    """
    ones = np.ones_like(np.swapaxes(media.amplitude, -1, -2))
    return _limit(lambda level: _steady(level * ones, media, ones[..., None])[0])[0]


def half_saturation(
    media: Media, weights: FloatArray, split: FloatArray, *, together: bool
) -> FloatArray:
    """Return the constant spend per period that makes half of the limit in the long run.

    Parameters
    ----------
    media : Media
        True response.
    weights : array, dims (channel, geo, lag)
        `lag_weights` of `media`.
    split : array, dims (channel, geo)
        Spend in each geo, in any unit, if the geos are taken together.
    together : bool
        If True, the geos are taken together.

    Returns
    -------
    array, dims (..., channel, geo)
        Currency per period. The dim of the geos has length 1 if they are taken together. NaN if
        there is no finite limit.
    """
    mass = weights.sum(axis=-1, keepdims=True)
    share = split / split.sum(axis=-1, keepdims=True) if together else np.ones_like(split)
    weight = amplitude_weights(media) if together else np.ones_like(split)

    def made(level: FloatArray | float) -> FloatArray:
        # A geo with share 0 has spend 0, even if the level is infinite.
        spend = np.where(share > 0, level * share, 0.0)
        by_geo = weight * _steady(spend, media, mass)[1]
        return np.asarray(by_geo.sum(axis=-1, keepdims=True) if together else by_geo)

    whole, last = _limit(made)
    low, high = np.full(whole.shape, np.log(LOWEST)), np.log(last)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        is_below = made(np.exp(middle)) / whole < 0.5
        low, high = np.where(is_below, middle, low), np.where(is_below, high, middle)
    return np.where(made(last) / whole >= 0.5, np.exp((low + high) / 2), np.nan)


def amplitude_weights(media: Media) -> FloatArray:
    """Amplitude by channel and geo, by which curves add up over geos; 1 for a placebo's curves."""
    amplitude = np.swapaxes(media.amplitude, -1, -2)
    return np.where(amplitude.any(axis=-1, keepdims=True), amplitude, 1.0)


def _steady(spend: FloatArray, media: Media, mass: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Curve, and response of amplitude 1, under constant spend, dims (..., channel, geo)."""
    with np.errstate(all="ignore"):
        # Under constant spend, a kernel multiplies the spend by its mass.
        _, saturated, response = stages(spend[..., None], media, mass)
    return saturated[..., 0], response[..., 0]


def _limit(function: Callable[[Any], FloatArray]) -> tuple[FloatArray, FloatArray]:
    """Return the limit of curves, NaN if not finite, and a level that comes near to it."""
    with np.errstate(all="ignore"):
        limit = np.array(_at_infinity(function))
        last = np.full(limit.shape, HIGHEST)
        unknown = np.isnan(limit)
        if unknown.any():
            # Infinity over infinity, as in x / (1 + x), is NaN; large x have a value.
            last = np.where(unknown, _last_level(function, limit.shape), last)
            limit = np.where(unknown, _extrapolated(function, last), limit)
    # Treat numbers near the largest float as overflowed.
    is_limit = (np.abs(limit) < HIGHEST) & (limit != 0)
    return np.where(is_limit, limit, np.nan), last


def _at_infinity(function: Callable[[Any], FloatArray]) -> FloatArray:
    """Return curves at infinite spend; NaN if a user's curve cannot take it."""
    refusals = (ValueError, ArithmeticError)
    try:
        return function(np.inf)
    except refusals:
        values: FloatArray = np.full(function(1.0).shape, np.nan)
        for channel in range(values.shape[-2]):
            level = np.ones(values.shape)
            level[..., channel, :] = np.inf
            with contextlib.suppress(*refusals):
                values[..., channel, :] = function(level)[..., channel, :]
        return values


def _last_level(function: Callable[[Any], FloatArray], shape: tuple[int, ...]) -> FloatArray:
    """Return the largest level at which no part of a curve has overflowed."""
    level, largest = np.ones(shape), np.zeros(shape)
    for exponents in (COARSE, FINE):
        start = level
        for exponent in exponents:
            tried = start * 10.0**exponent
            size = np.abs(function(tried))
            is_kept = np.isfinite(size) & (size >= largest * (1 - ROUNDING))
            level = np.where(is_kept, tried, level)
            largest = np.where(is_kept, np.maximum(size, largest), largest)
    return level


def _extrapolated(function: Callable[[Any], FloatArray], last: FloatArray) -> FloatArray:
    """Return the limit of curves from values up to a level; NaN if they are not near one."""
    value = function(last)
    has_arrived = np.abs(value - function(last / 2)) <= ARRIVED * np.abs(value)
    # Aitken's delta-squared method: rises that shrink by a constant factor are a geometric series.
    middle = function(last / FAR)
    rise = value - middle
    factor = rise / (middle - function(last / FAR**2))
    rest = rise * factor / (1 - factor)
    is_slow = (factor > 0) & (factor <= CONVERGING) & (np.abs(rest) <= EXTRAPOLATED * np.abs(value))
    return np.where(is_slow, value + rest, np.where(has_arrived, value, np.nan))
