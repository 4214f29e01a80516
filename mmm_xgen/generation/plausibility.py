"""Warnings of results that are legal but implausible."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmm_xgen.config.data import MMMDataConfig
from mmm_xgen.errors import ConfigError
from mmm_xgen.generation.batch import Batch
from mmm_xgen.generation.parameters import Parameters
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.kernels.kind import members

Names = NDArray[np.str_]
# Datasets of a batch that a warning is about, and the function for its message.
Finding = tuple[NDArray[np.bool_], Callable[[int], str]]

LARGEST_MEDIA_SHARE = 0.6
PLAUSIBLE_ROAS = (0.1, 20.0)
LARGEST_CORRELATION = 0.95
# Largest number of channels that one message names.
NAMED = 3
# Number of geos in which twins are searched for.
TELLING_GEOS = 8
# Multiplications up to which OpenBLAS keeps a matrix product in one thread (its
# GEMM_MULTITHREAD_THRESHOLD). Threads wait for each other, on a busy core for milliseconds.
IN_ONE_THREAD = 2**18
LARGEST_LOSS = 0.05
# Number of lags beyond l_max that count as lost mass, as a multiple of l_max.
TAIL = 8


def check_overflow(*arrays: FloatArray) -> None:
    """Raise if numbers exceeded the range of floats.

    Raises
    ------
    ConfigError
        If any number is infinite or undefined.
    """
    # Sum each dataset alone: the sum of many large numbers may overflow.
    sums = (values.sum(axis=tuple(range(1, values.ndim))) for values in arrays)
    if not all(np.isfinite(each).all() for each in sums):
        raise ConfigError(
            "the numbers grow beyond what a float can hold; look for huge values of spend, sales, "
            "trends, volatilities or effects"
        )


def warn_of_implausible(
    batch: Batch, truth: Parameters, spend: FloatArray, sales: FloatArray, mu: FloatArray
) -> None:
    """Warn of too much media, odd returns, silent channels, twin channels and cut kernels.

    Parameters
    ----------
    batch : Batch
        Names, and revenue per KPI unit.
    truth : mapping of str to array
        True parameters.
    spend, sales : array, dims (dataset, channel, geo, date)
        Spend in currency and contribution in KPI units, per period.
    mu : array, dims (dataset, geo, date)
        Expected sales in KPI units per period.
    """
    names = np.array(batch.shared.channel_names)
    total_spend, total_sales = spend.sum(axis=(2, 3)), sales.sum(axis=(2, 3))
    revenue = total_sales * batch.each(lambda config: config.revenue_per_kpi)[:, None]
    batch.warn("media share", *_too_much_media(total_sales.sum(axis=1), mu.sum(axis=(1, 2))))
    batch.warn("silence", *_never_runs(names, total_spend))
    batch.warn("return", *_odd_return(names, total_spend, revenue))
    batch.warn("twins", *_twins(names, spend))
    batch.warn("kernel", *_cut_kernel(batch.shared, truth))


def warn_of_absent_events(batch: Batch, intensity: FloatArray) -> None:
    """Warn of events that touch no period, given intensities of dims (event, date)."""
    events = batch.shared.events
    absent = [event.name for event, row in zip(events, intensity, strict=True) if not row.any()]
    names = ", ".join(map(repr, absent))
    batch.warn(
        "events", np.array([bool(absent)]), lambda _: f"no period contains the event {names}"
    )


def _too_much_media(media: FloatArray, total: FloatArray) -> Finding:
    share = np.where(total > 0, media / np.where(total > 0, total, 1), 0.0)
    return (
        share > LARGEST_MEDIA_SHARE,
        lambda dataset: (
            f"media makes {share[dataset]:.0%} of sales, above {LARGEST_MEDIA_SHARE:.0%}; lower "
            "base_effectiveness or roas, or raise base_sales_rate"
        ),
    )


def _never_runs(names: Names, spend: FloatArray) -> Finding:
    def say(dataset: int) -> str:
        silent = ", ".join(map(repr, names[spend[dataset] == 0].tolist()))
        return f"no spend in the window on {silent}; its effect cannot show"

    return (spend == 0).any(axis=1), say


def _odd_return(names: Names, spend: FloatArray, revenue: FloatArray) -> Finding:
    low, high = PLAUSIBLE_ROAS
    roas = revenue / np.where(spend > 0, spend, np.nan)
    odd = (roas > 0) & ((roas < low) | (roas > high))

    def say(dataset: int) -> str:
        inside = odd[dataset]
        pairs = list(zip(names[inside], roas[dataset, inside], strict=True))
        found = ", ".join(f"{name} {value:.3g}" for name, value in pairs[:NAMED])
        if len(pairs) > NAMED:
            found += f" and {len(pairs) - NAMED} more"
        return f"ROAS outside {low:g} to {high:g}: {found}; compare effect, spend and sales"

    return np.asarray(odd.any(axis=1)), say


def _twins(names: Names, spend: FloatArray) -> Finding:
    """Find the two channels whose spend is most correlated over dates and geos."""
    datasets, channels, geos, dates = spend.shape
    if channels < 2 or dates < 8:
        return np.zeros(1, dtype=bool), lambda _: ""
    # Twins are alike in every geo, so a few geos are enough and cheaper.
    spend = spend[:, :, :: max(1, geos // TELLING_GEOS)]
    level = spend.mean(axis=3, keepdims=True)
    moves = spend / np.where(level > 0, level, 1)
    moves -= level > 0
    moves = moves.reshape(datasets, channels, -1)
    size = np.sqrt(np.einsum("...ci,...ci->...c", moves, moves))
    product = inner_products(moves, moves)
    scale = np.where(size > 1e-9 * np.sqrt(moves.shape[2]), size, np.inf)
    correlation = np.triu(product / scale[..., None] / scale[:, None], k=1)
    worst = correlation.reshape(datasets, -1).argmax(axis=1)
    highest = correlation.max(axis=(1, 2))

    def say(dataset: int) -> str:
        first, second = np.unravel_index(worst[dataset], (channels, channels))
        return (
            f"spend on {str(names[first])!r} and {str(names[second])!r} correlates "
            f"{highest[dataset]:.3f}, above {LARGEST_CORRELATION}; no model can tell them apart"
        )

    return np.asarray(highest > LARGEST_CORRELATION), say


def inner_products(rows: FloatArray, others: FloatArray) -> FloatArray:
    """Inner products of all pairs of rows, (..., row, n) to (..., row, other), in one thread."""
    width = max(1, IN_ONE_THREAD // (rows.shape[-2] * others.shape[-2]))
    parts = (slice(k, k + width) for k in range(0, rows.shape[-1], width))
    return np.asarray(sum(rows[..., at] @ others[..., at].swapaxes(-1, -2) for at in parts))


def _cut_kernel(config: MMMDataConfig, truth: Parameters) -> Finding:
    """Find the adstock that loses the largest share of its mass beyond l_max."""
    keys = [
        (spec.registered, l_max, tuple(spec.settings.items()))
        for spec, l_max in zip(config.adstocks, config.l_max, strict=True)
    ]
    parts: list[tuple[Any, FloatArray]] = []
    for (kind, l_max, settings), index in members(keys):
        if not kind.fits_l_max:
            # Use the mean over the geos: long kernels of all geos would take much longer.
            mean = {name: truth[f"adstock_{name}"].mean(axis=1) for name in kind.parameters}
            values = {name: each[:, index, None] for name, each in mean.items()}
            lags = np.arange(l_max * (TAIL + 1), dtype=float)
            kernel = kind.function(lags, **values, **dict(settings))
            total = kernel.sum(axis=-1)
            kept = kernel[..., :l_max].sum(axis=-1) / np.where(total > 0, total, 1)
            parts.append((index, np.where(total > 0, 1 - kept, 0)))
    rows = max((len(part) for _, part in parts if part.ndim == 2), default=1)
    lost = np.zeros((rows, len(config.channels)))
    for index, part in parts:
        lost[:, index] = part
    worst = lost.argmax(axis=1)

    def say(dataset: int) -> str:
        row = dataset % rows
        channel = worst[row]
        return (
            f"the {config.adstocks[channel].kind} of {config.channel_names[channel]!r} loses "
            f"{lost[row, channel]:.0%} of its mass to l_max; use a longer l_max"
        )

    return lost.max(axis=1) > LARGEST_LOSS, say
