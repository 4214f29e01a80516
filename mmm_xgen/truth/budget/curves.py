"""Response, marginal and average return as functions of spend, and the efficiency frontier."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import xarray as xr

from mmm_xgen.config.base import shown
from mmm_xgen.dataset import in_memory
from mmm_xgen.errors import ConfigError, nearest
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.response import contribute
from mmm_xgen.schema import check_variables
from mmm_xgen.truth.budget.constraints import Constraints
from mmm_xgen.truth.budget.revenue_curves import JointPanel, Panel, panel_of
from mmm_xgen.truth.media import spend_of, value_and_slope
from mmm_xgen.truth.what_if.counterfactual import (
    Window,
    check_contributions,
    window_periods,
)
from mmm_xgen.world import respond_to

Grid: TypeAlias = Iterable[float] | xr.DataArray | None

# 50 points, of which today's spend is one.
MULTIPLIERS = np.concatenate([np.linspace(0, 1, 25), np.linspace(1, 2, 26)[1:]])
BUDGETS = np.linspace(0.2, 2.0, 10)
WAYS = {"total": (), "channel": ("channel",), "geo and channel": ("geo", "channel")}
MADE = ("contribution", "revenue")
# Most numbers that one call of the response function returns.
CHUNK = 400_000

FIGURES = {
    "spend": ("{currency}", "spend"),
    "multiplier": ("1", "multiple of the historical pattern of spend"),
    "contribution": ("{kpi}", "contribution"),
    "revenue": ("{currency}", "revenue from the contribution"),
    "marginal_return": ("1", "revenue that one more unit of spend earns"),
    "average_return": ("1", "revenue per unit of spend"),
    "budget": ("{currency}", "spend of all channels"),
    "optimal_spend": ("{currency}", "spend under the best split"),
    "best_contribution": ("{kpi}", "contribution of all media under the best split"),
    "best_revenue": ("{currency}", "revenue from all media under the best split"),
    "best_sales": ("{kpi}", "expected sales under the best split"),
    "shadow_price": ("1", "revenue that one more unit of budget earns"),
    "gap_bound": ("{currency}", "revenue by which no allowed split can be better"),
    "current_split_revenue": ("{currency}", "revenue from all media under today's split"),
}


@in_memory
def response_curve(
    ds: xr.Dataset,
    *,
    multipliers: Grid = None,
    spend: Grid = None,
    by: str | Iterable[str] = "channel",
    window: Window = None,
) -> xr.Dataset:
    r"""Compute contribution, marginal and average return at levels of spend.

    .. math::

        C_c(m) = \sum_{t, g} \text{contribution}_{tgc}(m \cdot \text{spend}_{gc}), \qquad
        \text{marginal return} = \frac{1}{S_c} \frac{\mathrm{d} R_c}{\mathrm{d} m}, \qquad
        \text{average return} = \frac{R_c(m)}{m S_c}

    with R the same sum in revenue and :math:`S_c` the historical spend. The spend of all dates
    and geos moves in proportion; derivatives are exact, by a complex step.

    Parameters
    ----------
    ds : Dataset
        A generated Dataset with all its dates.
    multipliers : array-like, dims (multiplier,), optional
        Multiples of the historical pattern of spend, at least 0; 50 from 0 to 2 by default, of
        which 1 is one.
    spend : array-like, dims (spend,), optional
        Currency for the whole window instead, the same grid for every curve, spread as the
        historical pattern, or flat where there is none (over geos by population).
    by : {"channel", "total"} or ("geo", "channel"), default "channel"
        One curve a channel, one per geo and channel, or one of all media together, whose spend
        moves in proportion.
    window : str, slice, pair or date, optional
        Dates whose spend moves and whose sales count, as for
        `mmm_xgen.truth.what_if.counterfactual.window_periods`; all by default.
        Spend before it stays.

    Returns
    -------
    Dataset, dims ("multiplier",) or ("spend",), and those of `by`
        ``spend`` or ``multiplier`` (NaN where there is no historical spend), whichever is not
        the dim; ``contribution`` (KPI units), ``revenue`` (currency), ``marginal_return``
        (currency per currency; at 0 from the right, and infinite where a curve starts vertically,
        as a root or a Hill curve of slope below 1 does; NaN without a pattern),
        ``average_return`` (NaN at zero spend).

        *Window*: spend and sales of the same dates. *Carry-over*: the effect of earlier spend
        counts, also at a multiplier of 0; that of the window's spend after its end does not.
        *Sign*: positive where spend adds sales. *Scale*: original units, noise-free, sums over
        the window. At a multiplier of 1 the average return is `mmm_xgen.truth.roas`. If channels
        act on each other, the spend of the others is held at today's. The curve of a channel is
        then what its spend adds to the sales of all media, against a channel that never spent.

    Raises
    ------
    ConfigError
        If a grid is not a list of finite numbers of at least 0, both grids are given, or `by` is
        unknown.
    SchemaError
        If `ds` lacks a variable, or its spend does not make its contributions.

    Examples
    --------
    >>> import mmm_xgen
    >>> ds = mmm_xgen.generate_mmm_dataset()
    >>> curve = response_curve(ds)
    >>> curve.average_return.sel(multiplier=1).values.round(3).tolist()
    [2.4, 1.5, 3.0]
    >>> total = response_curve(ds, spend=[0, 1e5, 2e5], by="total").revenue
    >>> bool((total.diff("spend") > 0).all())
    True
    """
    check_variables(ds, "spend", "channel_contribution", "revenue_per_kpi", "population")
    if multipliers is not None and spend is not None:
        raise ConfigError("found both multipliers and spend; give one grid or the other")
    kept = _kept(by)
    name = "multiplier" if spend is None else "spend"
    chosen = multipliers if spend is None else spend
    grid = MULTIPLIERS if chosen is None else _check_grid(name, chosen)
    check_contributions(ds)
    periods = window_periods(ds, window)
    panel = panel_of(ds, periods, per_geo="geo" in kept)

    history = _together(spend_of(ds)[..., periods].sum(axis=-1), kept)
    if name == "spend" and kept:
        unit = _together(panel.pattern.sum(axis=-1), kept)
    else:
        # Multiples of nothing are nothing, whatever a flat pattern would make.
        unit = history
        panel.pattern[...] = spend_of(ds)[..., periods]
    if name == "spend" and not unit.all():
        raise ConfigError("nothing is spent in the window, so no budget has today's split")
    levels = grid[:, None, None] / unit if name == "spend" else grid[:, None, None] + 0 * unit
    figures = _figures(panel, levels, unit, kept)
    spent = levels * unit
    figures["average_return"] = _ratio(figures["revenue"], spent)
    other = {"spend": spent} if name == "multiplier" else {"multiplier": _ratio(spent, history)}
    return _labelled(ds, name, grid, other | figures, kept)


@in_memory
def efficiency_frontier(
    ds: xr.Dataset,
    *,
    budgets: Grid = None,
    constraints: Constraints | None = None,
    window: Window = None,
) -> xr.Dataset:
    r"""Compute the best sales that each total budget can make.

    .. math:: \max_s \sum_c R_c(s_c) \quad\text{with}\quad \sum_c s_c \le B

    for each budget B, globally, by `mmm_xgen.truth.budget.optimum.optimize_allocation`.

    Parameters
    ----------
    ds : Dataset
        A generated Dataset with all its dates.
    budgets : array-like, dims (budget,), optional
        Currency for all dates of the window, channels and geos together; 20% to 200% of
        today's spend in 10 steps by default.
    constraints : mapping of mappings, optional
        As for `mmm_xgen.truth.budget.optimum.optimize_allocation`; shares are of each budget.
    window : str, slice, pair or date, optional
        Dates whose spend is decided and whose sales count; all by default.

    Returns
    -------
    Dataset, dims (budget, channel) and (budget,)
        By channel: ``optimal_spend``, ``contribution``, ``revenue``; of all media:
        ``best_contribution``, ``best_revenue``, ``best_sales`` (with the baseline, KPI units),
        ``shadow_price``, ``gap_bound``, and ``current_split_revenue``, which today's split makes
        of the budget (NaN if nothing is spent today).

        *Window*: spend and sales of the same dates. *Carry-over*: the effect of earlier spend
        counts, that of the window's spend after its end does not. *Sign*: positive where spend
        adds sales. *Scale*: original units, noise-free, sums over the window.

    Raises
    ------
    ConfigError
        If a budget is negative, or the constraints conflict at one of them.
    SchemaError
        If `ds` lacks a variable, or its spend does not make its contributions.

    Examples
    --------
    >>> import mmm_xgen
    >>> ds = mmm_xgen.generate_mmm_dataset()
    >>> frontier = efficiency_frontier(ds, budgets=[2e5, 4e5])
    >>> bool((frontier.best_revenue >= frontier.current_split_revenue).all())
    True
    """
    from mmm_xgen.truth.budget.optimum import optimize_allocation

    check_variables(ds, "spend", "mu")
    periods = window_periods(ds, window)
    today = float(spend_of(ds)[..., periods].sum())
    grid = BUDGETS * today if budgets is None else _check_grid("budgets", budgets)
    parts = [
        optimize_allocation(ds, total_budget=float(each), constraints=constraints, window=window)
        for each in grid
    ]
    names = ("optimal_spend", "contribution", "revenue", "shadow_price", "gap_bound")
    best = {name: np.stack([part[name].to_numpy() for part in parts]) for name in names}
    if "media_revenue" in parts[0]:
        # What channels make together is not the sum of what each adds.
        whole = {name: np.array([float(part[f"media_{name}"]) for part in parts]) for name in MADE}
        today_made = parts[0]["current_media_contribution"]
    else:
        whole = {name: best[name].sum(axis=-1) for name in MADE}
        today_made = ds["channel_contribution"].isel(date=periods).sum()
    baseline = float(ds["mu"].isel(date=periods).sum() - today_made)
    figures = {
        **best,
        "best_contribution": whole["contribution"],
        "best_revenue": whole["revenue"],
        "best_sales": whole["contribution"] + baseline,
    }
    split = np.full(grid.shape, np.nan)
    if today:
        split = response_curve(ds, spend=grid, by="total", window=window)["revenue"].to_numpy()
    dims = ("budget", "channel")
    variables = {name: (dims[: each.ndim], each) for name, each in figures.items()}
    variables["current_split_revenue"] = (("budget",), split)
    coords = {"budget": grid, "channel": ds["channel"].variable}
    return _stamped(ds, xr.Dataset(variables, coords))


def _kept(by: Any) -> tuple[str, ...]:
    """Dims of the curves."""
    names = (by,) if isinstance(by, str) or not isinstance(by, Iterable) else tuple(by)
    if names == ("total",):
        return ()
    for kept in WAYS.values():
        if kept and sorted(map(str, names)) == sorted(kept):
            return kept
    words = nearest(str(by), ["channel", "total"]) if len(names) == 1 else "allowed: "
    raise ConfigError(
        f"found {shown(by)}, {words}{', ' if len(names) == 1 else ''}('geo', 'channel')", path="by"
    )


def _check_grid(name: str, grid: Any) -> FloatArray:
    """Return a grid as an array; raise ConfigError if it is invalid."""
    wrong = ConfigError(
        f"found {shown(grid)}, allowed: a list of finite numbers, at least 0", path=name
    )
    try:
        values = np.asarray(grid if isinstance(grid, xr.DataArray) else list(grid), dtype=float)
    except (TypeError, ValueError):
        raise wrong from None
    if values.ndim != 1 or not values.size or not np.all(np.isfinite(values) & (values >= 0)):
        raise wrong
    return values


def _together(values: FloatArray, kept: tuple[str, ...]) -> FloatArray:
    """Values with dims (..., channel, geo) summed over dims of length 1 that stay."""
    over = tuple(axis for axis, dim in ((-2, "channel"), (-1, "geo")) if dim not in kept)
    return np.asarray(values.sum(axis=over, keepdims=True)) if over else values


def _incremental(panel: JointPanel, kept: tuple[str, ...], levels: Any) -> FloatArray:
    """Contribution and revenue of channels that act on each other, dims (2, point, channel, geo).

    All channels move together if no curve is of a channel. Else one moves, the others spend as
    today, and its curve is what its spend adds.
    """
    worth = np.stack([np.ones_like(panel.revenue), panel.revenue])
    # Where a curve leaves the range of complex numbers, `value_and_slope` differences instead.
    with np.errstate(over="ignore", invalid="ignore"):
        if "channel" not in kept:
            return panel.joint(levels[..., None] * panel.pattern, worth)[..., None, :]
        lost = panel.without(panel.now, worth)[:, None]
        return np.asarray(panel.alone(levels, panel.now, worth) - lost)


def _figures(
    panel: Panel, levels: FloatArray, unit: FloatArray, kept: tuple[str, ...]
) -> dict[str, FloatArray]:
    """Contribution, revenue and marginal return, dims (point, channel, geo), in chunks."""
    size = max(1, CHUNK // panel.pattern.size)
    function = partial(_made, panel)
    if isinstance(panel, JointPanel):
        function = partial(_incremental, panel, kept)
    values, slopes = [], []
    for start in range(0, len(levels), size):
        part = levels[start : start + size]
        value, slope = value_and_slope(function, part)
        values.append(_together(value, kept))
        slopes.append(_together(slope[1], kept))
    contribution, revenue = np.concatenate(values, axis=1)
    marginal = _ratio(np.concatenate(slopes), unit)
    return {"contribution": contribution, "revenue": revenue, "marginal_return": marginal}


def _made(panel: Panel, levels: Any) -> FloatArray:
    """Contribution and revenue, dims (2, point, channel, geo)."""
    plan = levels[..., None] * panel.pattern
    # Where a curve leaves the range of complex numbers, `value_and_slope` differences instead.
    with np.errstate(over="ignore", invalid="ignore"):
        response = respond_to(plan, panel.world, panel.history).response
    # The effect multiplies all dates alike, so their sum can come first.
    sums = np.stack([response.sum(axis=-1), np.einsum("...gt,gt->...g", response, panel.revenue)])
    return contribute(sums[..., None], panel.world.media)[..., 0]


def _ratio(above: FloatArray, below: FloatArray) -> FloatArray:
    below = np.broadcast_to(below, above.shape)
    return np.asarray(np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0))


def _labelled(
    ds: xr.Dataset,
    name: str,
    grid: FloatArray,
    figures: dict[str, FloatArray],
    kept: tuple[str, ...],
) -> xr.Dataset:
    index = tuple(slice(None) if dim in kept else 0 for dim in ("channel", "geo"))
    dims = (name, *(dim for dim in ("channel", "geo") if dim in kept))
    variables = {key: (dims, values[(slice(None), *index)]) for key, values in figures.items()}
    coords = {name: grid, **{dim: ds[dim].variable for dim in kept}}
    return _stamped(ds, xr.Dataset(variables, coords).transpose(name, *kept))


def _stamped(ds: xr.Dataset, result: xr.Dataset) -> xr.Dataset:
    units = {"currency": ds.attrs.get("currency", ""), "kpi": ds.attrs.get("kpi", "")}
    for name in result.variables:
        if name in FIGURES:
            unit, meaning = FIGURES[str(name)]
            result[name].attrs = {"units": unit.format(**units), "long_name": meaning}
    return result.assign_attrs({key: value for key, value in units.items() if value})
