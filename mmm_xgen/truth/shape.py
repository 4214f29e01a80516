"""What the shape of a kernel or curve says in words: half-lives, limits, half-saturation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mmm_xgen.kernels.adstock import ADSTOCKS
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.response import Media, stages

# Between these multiples of a spend every curve has done all its rising. Far inside the range
# of a float, so that no product of parameters overflows.
LOWEST, HIGH, HIGHEST = 1e-100, 1e150, 1e200
# A curve whose rise between the last two multiples is above this has no limit.
STILL_RISING = 1e-6
# Halvings of an interval of logarithms down to the last digits.
HALVINGS = 64


def half_life(media: Media, weights: FloatArray) -> FloatArray:
    """Periods after its peak in which the weight of a kernel falls to half the peak.

    This is what ``half_life`` means in a configuration, exactly where a kind has one. Elsewhere
    the weights are interpolated on the log scale between lags, and end at l_max.

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
    """Periods from the start of the spend until half of a kernel's mass has arrived.

    The mass still to come is interpolated on the log scale between periods, which is exact for
    a geometric kernel.

    Returns
    -------
    array, dims (..., channel, geo)
    """
    return _halved(np.cumsum(weights[..., ::-1], axis=-1)[..., ::-1])


def _halved(falling: FloatArray) -> FloatArray:
    """Position on the last axis where falling values reach half of the first one."""
    first = falling[..., :1]
    with np.errstate(divide="ignore", invalid="ignore"):
        # Twice the values in units of the first; there is nothing after the last.
        values = np.append(2 * falling / first, np.zeros_like(first), axis=-1)
        after = (values <= 1).argmax(axis=-1)[..., None]
        above = np.take_along_axis(values, np.maximum(after - 1, 0), axis=-1)
        below = np.take_along_axis(values, after, axis=-1)
        # A value of 0 is reached at once: its logarithm is minus infinity.
        position = after - 1 + np.log(above) / (np.log(above) - np.log(below))
    return np.asarray(np.where(first > 0, position, np.nan)[..., 0])


def _half_life_of(alpha_at: Callable[[float], float], alpha: FloatArray) -> FloatArray:
    """Half-life that makes alpha what it is, by halving an interval of its logarithm."""
    low, high = np.full(alpha.shape, -40.0), np.full(alpha.shape, 40.0)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        is_below = _applied(alpha_at, np.exp(middle)) < alpha
        low, high = np.where(is_below, middle, low), np.where(is_below, high, middle)
    life = np.exp((low + high) / 2)
    return np.where(alpha > 0, np.where(alpha < 1, life, np.inf), 0.0)


def _applied(function: Callable[[float], float], values: FloatArray) -> FloatArray:
    """Function of each value; those of the library take arrays, a user's own need not."""
    whole: Callable[[Any], Any] = function
    try:
        return np.asarray(whole(values))
    except (TypeError, ValueError):
        return np.asarray(np.vectorize(function, otypes=[float])(values))


def limits(media: Media) -> FloatArray:
    """Limit of each curve, before the effect; NaN where there is no finite one.

    Returns
    -------
    array, dims (..., channel, geo)
    """
    ones = np.ones_like(np.swapaxes(media.effect, -1, -2))
    return _limit(lambda level: _steady(level * ones, media, ones[..., None])[0])


def half_saturation(
    media: Media, weights: FloatArray, split: FloatArray, *, together: bool
) -> FloatArray:
    """Spend per period that makes, in the long run, half of what any spend could make.

    Parameters
    ----------
    media : Media
        True response.
    weights : array, dims (channel, geo, lag)
        `lag_weights` of `media`.
    split : array, dims (channel, geo)
        Spend in each geo, in any unit, if the geos are taken together.
    together : bool
        Whether the geos are taken together.

    Returns
    -------
    array, dims (..., channel, geo)
        Currency per period, constant over time; of all geos, in a dim of length 1, if they are
        taken together. NaN where there is no finite limit.
    """
    mass = weights.sum(axis=-1, keepdims=True)
    share = split / split.sum(axis=-1, keepdims=True) if together else np.ones_like(split)
    weight = effect_weights(media) if together else np.ones_like(split)

    def made(level: FloatArray | float) -> FloatArray:
        by_geo = weight * _steady(level * share, media, mass)[1]
        return np.asarray(by_geo.sum(axis=-1, keepdims=True) if together else by_geo)

    whole = _limit(made)
    low, high = (np.full(whole.shape, np.log(end)) for end in (LOWEST, HIGH))
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        is_below = made(np.exp(middle)) < whole / 2
        low, high = np.where(is_below, middle, low), np.where(is_below, high, middle)
    return np.where(np.isnan(whole), np.nan, np.exp((low + high) / 2))


def effect_weights(media: Media) -> FloatArray:
    """Effect by channel and geo, by which curves add up over geos; 1 for a placebo's curves."""
    effect = np.swapaxes(media.effect, -1, -2)
    return np.where(effect.any(axis=-1, keepdims=True), effect, 1.0)


def _steady(spend: FloatArray, media: Media, mass: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Curve, and response per unit of effect, under constant spend, dims (..., channel, geo)."""
    with np.errstate(all="ignore"):
        # Under constant spend a kernel acts as its mass on one date.
        _, saturated, response = stages(spend[..., None], media, mass)
    return saturated[..., 0], response[..., 0]


def _limit(function: Callable[[float], FloatArray]) -> FloatArray:
    high, highest = function(HIGH), function(HIGHEST)
    with np.errstate(invalid="ignore"):
        is_flat = np.abs(highest - high) <= STILL_RISING * np.abs(highest)
    return np.where(is_flat & (highest != 0), highest, np.nan)
