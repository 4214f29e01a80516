"""Reasons for an imprecise return: a ladder of bounds, and figures of the spend."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.truth.information.information_bound import Information
from mmm_xgen.truth.information.jacobian import amplitude_of
from mmm_xgen.truth.information.likelihood import whiten
from mmm_xgen.truth.information.linear_algebra import NULL_SHARE, RANK_TOLERANCE, Bound
from mmm_xgen.truth.media import contribution, derivative

# Largest relative standard error of the ROAS for a grade.
GOOD, FAIR = 0.10, 0.25
# A local bound on the log ROAS above this is meaningless.
MEANINGLESS = 1.0
RUNGS = ("effect", "and baseline", "and own curve", "and other channels")
# Limits of the diagnostics that decide the words of a reason.
OFF_TOO_LONG = 0.7
LITTLE_VARIATION = 0.2
LINEAR, SATURATED = 0.9, 0.2
NEVER_OFF = 0.2


@dataclass(frozen=True)
class Diagnostics:
    """Figures of the channels' spend; arrays have dims (channel,).

    Parameters
    ----------
    off : array
        Share of cells without spend.
    variation : array
        Standard deviation of spend over time, divided by its mean.
    lowest : array
        Lowest contribution, divided by the mean one.
    elasticity : array
        Percent change of the contribution for one percent more spend; 1 if the curve is linear.
    """

    off: FloatArray
    variation: FloatArray
    lowest: FloatArray
    elasticity: FloatArray


def diagnose(information: Information) -> Diagnostics:
    """Return figures of the channels' spend and curves."""
    model = information.model
    kpis = contribution(model.spend, model.media, model.history)

    def more(step: complex) -> FloatArray:
        history = None if model.history is None else np.asarray(model.history * (1 + step))
        return contribution(np.asarray(model.spend * (1 + step)), model.media, history)

    spend = model.spend
    total = kpis.sum(axis=(1, 2))
    mean = spend.mean(axis=-1)
    level = np.where(mean > 0, mean, 1)
    return Diagnostics(
        off=np.mean(spend <= 0, axis=(1, 2)),
        variation=(spend.std(axis=-1) / level).mean(axis=1),
        lowest=_by(kpis.min(axis=-1).sum(axis=1), kpis.mean(axis=-1).sum(axis=1)),
        elasticity=_by(derivative(more).sum(axis=(1, 2)), total),
    )


def _by(values: FloatArray, divisor: FloatArray) -> FloatArray:
    known = divisor != 0
    return np.where(known, values / np.where(known, divisor, 1), np.nan)


def ladder_of(
    information: Information, bound: Bound, gradient: FloatArray, final: FloatArray
) -> FloatArray:
    """Return the bound on log ROAS with more and more unknown, dims (unknown, channel)."""
    model, media = information.model, information.media
    prior = information.precision[0][0]
    whitened = whiten(media.values, information.noise, information.mu)
    columns = np.concatenate([*whitened, np.diag(prior)])
    scale = bound.scale[0]
    ladder = np.full((len(RUNGS), len(model.channels)), np.inf)
    ladder[-1] = final
    for channel, name in enumerate(model.channels):
        own = media.positions_at(name)
        amplitude = [p for p in own if media.labels[p][0] == amplitude_of(model.media, channel)]
        rungs = [(columns, amplitude), (bound.residual[0], amplitude), (bound.residual[0], own)]
        for rung, (matrix, free) in enumerate(rungs):
            slopes = gradient[channel, free] / scale[free]
            ladder[rung, channel] = _error(matrix[:, free] / scale[free], slopes)
    return ladder


def _error(columns: FloatArray, gradient: FloatArray) -> float:
    """Return the standard error of a function of some parameters, given whitened columns."""
    if not gradient.size:
        return 0.0
    _, values, axes = np.linalg.svd(columns, full_matrices=False)
    along = axes @ gradient
    kept = values > RANK_TOLERANCE
    lost = np.square(along[~kept]).sum() > NULL_SHARE * np.square(along).sum()
    if lost or not along.any():
        return np.inf
    return float(np.linalg.norm(along[kept] / values[kept]))


def partners_of(information: Information, bound: Bound, gradient: FloatArray) -> list[str]:
    """Return for each channel the other one whose knowledge would help most; "" if alone."""
    names, media = information.model.channels, information.media
    covariance = bound.covariance[0]
    moved = gradient @ covariance
    gain = np.zeros((len(names), len(names)))
    for other, name in enumerate(names):
        block = media.positions_at(name)
        inverse = np.linalg.pinv(covariance[np.ix_(block, block)], hermitian=True)
        gain[:, other] = np.einsum("ci,ij,cj->c", moved[:, block], inverse, moved[:, block])
    # Directions without prior and data have no covariance; compare the columns instead.
    alike = _alignment(information, bound)
    gain = np.where(alike > 1 - 1e-9, np.inf, gain)
    np.fill_diagonal(gain, -1)
    return [names[int(np.argmax(row))] if len(names) > 1 else "" for row in gain]


def _alignment(information: Information, bound: Bound) -> FloatArray:
    """Return the correlation of the channels' amplitude columns, with the baseline unknown."""
    model, media = information.model, information.media
    columns = np.zeros((len(bound.residual[0]), len(model.channels)))
    for channel, name in enumerate(model.channels):
        label = (amplitude_of(model.media, channel), name)
        if label in media.labels:
            columns[:, channel] = bound.residual[0][:, media.labels.index(label)]
    length = np.sqrt(np.square(columns).sum(axis=0))
    columns = columns / np.where(
        length > RANK_TOLERANCE * bound.scale.max(initial=0), length, np.inf
    )
    return np.abs(columns.T @ columns)


def reason_of(
    information: Information, seen: Diagnostics, ladder: FloatArray, partner: str, channel: int
) -> str:
    """Describe in words what costs most precision."""
    model = information.model
    if not model.spend[channel].any():
        return "no spend in the window"
    if not model.media.amplitude[:, channel].any():
        return "effect is 0, so that there is no relative error"
    if ladder[-1] <= GOOD:
        return "enough variation against the noise"
    with np.errstate(invalid="ignore", divide="ignore"):
        cost = np.diff(np.log(np.concatenate([[GOOD], ladder])))
    # After an infinite rung, further rungs add nothing.
    rung = int(np.argmax(np.nan_to_num(cost, nan=-np.inf, posinf=np.inf)))
    off, variation = seen.off[channel], seen.variation[channel]
    if rung == 0:
        if off > OFF_TOO_LONG:
            return f"off too long: no spend in {off:.0%} of the periods"
        return f"effect too small against the noise: {ladder[0]:.0%} with all else known"
    if rung == 3:
        return f"collinear with {partner}"
    if variation < LITTLE_VARIATION:
        return f"too little spend variation: {variation:.0%} of its mean"
    if rung == 2 and seen.elasticity[channel] > LINEAR:
        return "never leaves the linear part of its curve"
    if seen.elasticity[channel] < SATURATED:
        return "always saturated"
    if seen.lowest[channel] > NEVER_OFF:
        return f"never off: its lowest contribution is {seen.lowest[channel]:.0%} of the mean one"
    if rung == 1:
        return "moves with the baseline: trend, season, events or controls"
    return "its curve and adstock cannot be told apart"
