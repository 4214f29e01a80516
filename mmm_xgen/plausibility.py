"""Warnings of results that are legal but that no marketer would believe."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mmm_xgen.config.data import MMMDataConfig
from mmm_xgen.errors import ConfigError, warn
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.kernels.kind import members
from mmm_xgen.parameters import Parameters

Names = NDArray[np.str_]

LARGEST_MEDIA_SHARE = 0.6
PLAUSIBLE_ROAS = (0.1, 20.0)
LARGEST_CORRELATION = 0.95
# Channels that one message names.
NAMED = 3
# Geos on which twins are looked for.
TELLING_GEOS = 8
LARGEST_LOSS = 0.05
# Lags beyond l_max on which the lost mass is measured, as a multiple of l_max.
TAIL = 8


def reject_overflow(*arrays: FloatArray) -> None:
    """Refuse numbers that grew beyond what a float can hold.

    Raises
    ------
    ConfigError
        If any number is infinite or undefined.
    """
    if not all(np.isfinite(values.sum()) for values in arrays):
        raise ConfigError(
            "the numbers grow beyond what a float can hold; look for huge values of spend, sales, "
            "trends, volatilities or effects"
        )


def warn_of_implausible(
    config: MMMDataConfig, truth: Parameters, spend: FloatArray, sales: FloatArray, mu: FloatArray
) -> None:
    """Warn of too much media, odd returns, silent channels, twin channels and cut kernels.

    Parameters
    ----------
    config : MMMDataConfig
        Names, and revenue per KPI unit.
    truth : mapping of str to array
        True parameters.
    spend, sales : array, dims (channel, geo, date)
        Spend in currency and contribution in KPI units, per period.
    mu : array, dims (geo, date)
        Expected sales in KPI units per period.
    """
    names = np.array(config.channel_names)
    total_spend, total_sales = spend.sum(axis=(1, 2)), sales.sum(axis=(1, 2))
    for message in (
        _too_much_media(total_sales.sum(), mu.sum()),
        _never_runs(names, total_spend),
        _odd_return(names, total_spend, total_sales * config.revenue_per_kpi),
        _twins(names, spend),
        _cut_kernel(config, truth),
    ):
        if message:
            warn(message)


def warn_of_absent_events(config: MMMDataConfig, intensity: FloatArray) -> None:
    """Warn of events, with intensities of dims (event, date), that touch no period."""
    absent = [e.name for e, row in zip(config.events, intensity, strict=True) if not row.any()]
    if absent:
        names = ", ".join(map(repr, absent))
        warn(f"no period contains the event {names}")


def _too_much_media(media: float, total: float) -> str | None:
    share = media / total if total > 0 else 0.0
    if share <= LARGEST_MEDIA_SHARE:
        return None
    return (
        f"media makes {share:.0%} of sales, above {LARGEST_MEDIA_SHARE:.0%}; lower "
        "base_effectiveness or roas, or raise base_sales_rate"
    )


def _never_runs(names: Names, spend: FloatArray) -> str | None:
    silent = ", ".join(map(repr, names[spend == 0].tolist()))
    return f"no spend in the window on {silent}; its effect cannot show" if silent else None


def _odd_return(names: Names, spend: FloatArray, revenue: FloatArray) -> str | None:
    low, high = PLAUSIBLE_ROAS
    roas = revenue / np.where(spend > 0, spend, np.nan)
    odd = (roas > 0) & ((roas < low) | (roas > high))
    if not odd.any():
        return None
    pairs = list(zip(names[odd], roas[odd], strict=True))
    found = ", ".join(f"{name} {value:.3g}" for name, value in pairs[:NAMED])
    if len(pairs) > NAMED:
        found += f" and {len(pairs) - NAMED} more"
    return f"ROAS outside {low:g} to {high:g}: {found}; compare effect, spend and sales"


def _twins(names: Names, spend: FloatArray) -> str | None:
    """Name the two channels whose spend moves most alike, over dates and geos."""
    if spend.shape[0] < 2 or spend.shape[2] < 8:
        return None
    # Twins are twins in every geo: some of them tell it at a fraction of the cost.
    spend = spend[:, :: max(1, spend.shape[1] // TELLING_GEOS)]
    level = spend.mean(axis=2, keepdims=True)
    moves = (spend / np.where(level > 0, level, 1) - (level > 0)).reshape(len(names), -1)
    size = np.sqrt(np.einsum("ci,ci->c", moves, moves))
    product = np.einsum("ci,di->cd", moves, moves, optimize=True)
    scale = np.where(size > 1e-9 * np.sqrt(moves.shape[1]), size, np.inf)
    correlation = np.triu(product / scale[:, None] / scale, k=1)
    first, second = np.unravel_index(np.argmax(correlation), correlation.shape)
    if correlation[first, second] <= LARGEST_CORRELATION:
        return None
    return (
        f"spend on {str(names[first])!r} and {str(names[second])!r} correlates "
        f"{correlation[first, second]:.3f}, above {LARGEST_CORRELATION}; no model can tell them "
        "apart"
    )


def _cut_kernel(config: MMMDataConfig, truth: Parameters) -> str | None:
    """Name the adstock that loses the largest share of its mass to its l_max."""
    keys = [
        (spec.registered, l_max, tuple(spec.settings.items()))
        for spec, l_max in zip(config.adstocks, config.l_max, strict=True)
    ]
    lost = np.zeros(len(config.channels))
    for (kind, l_max, settings), index in members(keys):
        if not kind.fits_l_max:
            # The mean over the geos tells enough: long kernels of all geos cost more than they say.
            mean = {name: truth[f"adstock_{name}"].mean(axis=0) for name in kind.parameters}
            values = {name: each[index, None] for name, each in mean.items()}
            kernel = kind.function(
                np.arange(l_max * (TAIL + 1), dtype=float), **values, **dict(settings)
            )
            total = kernel.sum(axis=-1)
            kept = kernel[..., :l_max].sum(axis=-1) / np.where(total > 0, total, 1)
            lost[index] = np.where(total > 0, 1 - kept, 0)
    worst = int(np.argmax(lost))
    if lost[worst] <= LARGEST_LOSS:
        return None
    return (
        f"the {config.adstocks[worst].kind} of {config.channel_names[worst]!r} loses "
        f"{lost[worst]:.0%} of its mass to l_max; use a longer l_max"
    )
