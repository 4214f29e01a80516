"""Multiplicative sales: the parts of expected sales in log points and in KPI units."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mmm_xgen.errors import ConfigError
from mmm_xgen.generation.parameters import Parameters
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.link import LogLink, log_baseline, zero_out
from mmm_xgen.schema import LOG_PARTS, OF_MEDIA, describe

# Parts that multiply sales by one plus a share, with the path of their configuration. The shares
# of all other parts are log points themselves.
FACTORS = {
    "trend_contribution": "regions.trend",
    "level_contribution": "regions.level_path",
    "promotion_contribution": "promotions",
}


def of_unit_base_sales(truth: Parameters) -> Parameters:
    """Return the parameters with base sales of 1, under which parts are shares of base sales."""
    base = truth["intercept_contribution"]
    return {**truth, "intercept_contribution": np.ones_like(base)}


def log_parts(shares: Parameters, truth: Parameters) -> Parameters:
    r"""Return the parts of log sales by Dataset name, such as ``log_trend``.

    Parts in `FACTORS` and elastic controls multiply sales by one plus their share, so that their
    log is :math:`\log(1 + \text{share})`. Other shares are log points.

    Parameters
    ----------
    shares : mapping of str to array, dims (dataset, [item,] geo, date)
        Parts of the baseline for base sales of 1, by the name of the part in KPI units.
    truth : mapping of str to array
        True parameters.

    Raises
    ------
    ConfigError
        If a factor is 0 or less, so that it has no log.
    """
    base = truth["intercept_contribution"]
    if np.any(base <= 0):
        raise ConfigError(
            f"found base sales of {base.min():g} with link='log', allowed: above 0",
            path="regions.base_sales_rate",
        )
    logs = {LOG_PARTS["intercept_contribution"]: np.log(base)}
    for name, share in shares.items():
        if name == "intercept_contribution":
            continue
        if name in FACTORS:
            check_factor(share, FACTORS[name])
            share = np.log1p(share)
        if name == "control_contribution":
            is_elastic = ~np.isnan(truth["control_elasticity"].swapaxes(-1, -2)[..., None])
            share = np.where(is_elastic, np.log1p(np.where(is_elastic, share, 0.0)), share)
        logs[LOG_PARTS[name]] = share
    return logs


def check_factor(share: FloatArray, path: str) -> None:
    """Raise if one plus a share is 0 or less.

    Raises
    ------
    ConfigError
        The message has the share and the path.
    """
    if np.any(share <= -1):
        raise ConfigError(
            f"found a share of {share.min():.4g} of base sales with link='log', allowed: above -1, "
            "since sales of 0 have no log; choose a weaker decline, or link='identity'",
            path=path,
        )


def log_sales(
    shares: Parameters, truth: Parameters
) -> tuple[FloatArray, FloatArray | None, LogLink, Parameters]:
    """Return expected sales without media and demand, what demand adds, the link, and log parts.

    Parameters
    ----------
    shares, truth
        As for `log_parts`.
    """
    logs = log_parts(shares, truth)
    link, demand = LogLink(log_baseline(logs)), logs.get("log_demand")
    if demand is None:
        return np.exp(link.log_baseline), None, link, logs
    base = np.exp(log_baseline({**logs, "log_demand": np.zeros(1)}))
    return base, base * np.expm1(demand), link, logs


def in_kpi_units(logs: Mapping[str, FloatArray], base: FloatArray) -> tuple[Parameters, FloatArray]:
    r"""Return the parts of expected sales by Dataset name, and expected sales.

    A part is what sales lose without it, :math:`\mu (1 - e^{-\text{log part}})`. The part
    ``remainder_contribution`` is what base sales and these losses leave. Beside the parts,
    ``media_sales`` is what sales lose without all media.

    Parameters
    ----------
    logs : mapping of str to array, dims (..., [item,] geo, date)
        Parts of log sales by Dataset name; ``log_intercept`` has no date.
    base : array, dims (..., geo)
        Base sales in KPI units per period.

    Returns
    -------
    parts : dict of str to array
        KPI units per period.
    mu : array, dims (..., geo, date)
        Expected sales in KPI units per period.
    """
    added = [logs[LOG_PARTS[name]].sum(axis=-3) for name in OF_MEDIA if LOG_PARTS[name] in logs]
    without = np.exp(log_baseline(logs))
    mu = without * np.exp(sum(added[1:], added[0]))
    parts, rest = {"intercept_contribution": base}, mu - base[..., None]
    for name, log in LOG_PARTS.items():
        if log not in logs or name == "intercept_contribution":
            continue
        has_items = len(describe(log).dims) > 2
        part = zero_out(logs[log], mu[..., None, :, :] if has_items else mu)
        parts[name], rest = part, rest - (part.sum(axis=-3) if has_items else part)
    return {**parts, "remainder_contribution": rest, "media_sales": mu - without}, mu
