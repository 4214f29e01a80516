"""Globally best split of a budget over channels, and the regret of other splits."""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mmm_xgen.config.base import shown
from mmm_xgen.dataset import in_memory
from mmm_xgen.errors import AlignmentError, ConfigError, SchemaError
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.labelled_world import total_response
from mmm_xgen.schema import check_variables
from mmm_xgen.truth.budget.constraints import ROUNDING, Bounds, Constraints, bounds_of
from mmm_xgen.truth.budget.global_search import Solution, maximize, roughly_best
from mmm_xgen.truth.budget.joint_search import maximize_jointly
from mmm_xgen.truth.budget.local_search import Problem, sums
from mmm_xgen.truth.budget.revenue_curves import JointPanel, Panel, panel_of
from mmm_xgen.truth.media import NEXT_TO_NOTHING, channel_label, spend_of
from mmm_xgen.truth.what_if.counterfactual import (
    MEDIA_DIMS,
    Window,
    check_contributions,
    full_plan,
    geo_positions,
    window_periods,
)

# Panels of at most this size, divided by the size, decide the rounds of the proof.
PROOF_EFFORT = 1_000_000
NEEDED = ("spend", "channel_contribution", "revenue_per_kpi", "population")
# Units and meaning of every figure of an optimum.
FIGURES = {
    "optimal_spend": ("{currency}", "spend under the best split"),
    "current_spend": ("{currency}", "today's spend"),
    "multiplier": ("1", "best spend over today's"),
    "contribution": ("{kpi}", "contribution under the best split"),
    "current_contribution": ("{kpi}", "contribution under today's split"),
    "revenue": ("{currency}", "revenue from the contribution under the best split"),
    "current_revenue": ("{currency}", "revenue from the contribution under today's split"),
    "roas": ("1", "revenue from the contribution over spend, under the best split"),
    "mroas": ("1", "revenue that one more unit of spend earns, under the best split"),
    "media_contribution": ("{kpi}", "contribution of all media under the best split"),
    "current_media_contribution": ("{kpi}", "contribution of all media under today's split"),
    "media_revenue": ("{currency}", "revenue from all media under the best split"),
    "current_media_revenue": ("{currency}", "revenue from all media under today's split"),
    "lower": ("{currency}", "least spend of the channel that is allowed"),
    "upper": ("{currency}", "most spend of the channel that is allowed"),
    "shadow_price": ("1", "revenue that one more unit of budget earns"),
    "gap_bound": ("{currency}", "revenue by which no allowed split can be better"),
    "gap_estimate": ("{currency}", "the same for smooth curves"),
    "spend": ("{currency}", "spend per period under the best split"),
    "allocated_spend": ("{currency}", "spend under the allocation"),
    "regret": ("{kpi}", "sales lost by the allocation against the best split"),
    "regret_revenue": ("{currency}", "revenue lost by the allocation against the best split"),
    "regret_percent_of_media": ("percent", "revenue lost over media's revenue at its best"),
    "regret_percent_of_sales": ("percent", "regret over expected sales at their best"),
}
# Largest gap, as a share of the revenue, of a status "optimal".
CLOSED = 2e-3


@in_memory
def optimize_allocation(
    ds: xr.Dataset,
    *,
    total_budget: float | None = None,
    constraints: Constraints | None = None,
    per_geo: bool = False,
    window: Window = None,
) -> xr.Dataset:
    r"""Find the split of a budget over channels that earns the most, globally.

    .. math::

        \max_{s} \sum_{c} R_c(s_c) \quad\text{with}\quad \sum_c s_c \le B, \quad
        l_c \le s_c \le u_c, \qquad
        R_c(s_c) = \sum_{t, g} \text{revenue per KPI}_{tg}\,
        \text{contribution}_{tgc}\!\left(\frac{s_c}{S_c}\, \text{pattern}_{tgc}\right)

    The decision is one multiplier for each channel, or each geo of a channel, of its historical
    pattern of spend, whose sum is :math:`S_c`. Without history the pattern is flat over dates and
    proportional to population over geos. S-shaped curves make the problem non-concave, but it is
    separable. The curves are therefore tabulated and maximised by branch and bound over their
    concave hulls. A local search with exact derivatives refines the result until marginal returns
    are equal.

    The revenue of channels that act on each other (funnels, interactions, mediators) is maximised
    jointly, by local searches with exact derivatives from several starts: today's split, the best
    split if each channel acted alone, an even one, and the best of some random ones. The figures of
    a channel are then the sales that are lost if it had never spent, the others at the best split;
    ``media_contribution`` and ``media_revenue`` have all media.

    Parameters
    ----------
    ds : Dataset
        A generated Dataset with all its dates.
    total_budget : float, optional
        Currency for all dates of the window, channels and geos together; today's spend by
        default. All of it is spent, unless more spend earns nothing in any channel. 0 is allowed.
    constraints : mapping of mappings, optional
        ``{"TV": {"min": 0.2, "max": 0.5}}``, shares of the budget; ``min_currency`` and
        ``max_currency``; ``min_change`` and ``max_change`` against today's spend (0.3 is at most
        30% more, -0.3 at least 70% of today); ``locked`` keeps today's spend, and today's
        multiplier in every geo. ``"*"`` stands for all channels; keys of a channel's own come
        first. Constraints hold for a channel over all geos, also with `per_geo`. The tightest
        bound counts.
    per_geo : bool, default False
        Whether every geo of a channel has a multiplier of its own.
    window : str, slice, pair or date, optional
        Dates whose spend is decided and whose sales count, as for `change_investment`; all dates
        by default. Spend before it stays.

    Returns
    -------
    Dataset, dims (channel,) or (geo, channel)
        ``optimal_spend``, ``current_spend`` (currency), ``multiplier`` (their ratio, NaN where
        nothing is spent today), ``contribution``, ``current_contribution`` (KPI units),
        ``revenue``, ``current_revenue`` (currency), ``roas``, ``mroas`` (what one more unit of
        currency earns; at 0 from the right, infinite where a curve starts vertically), ``lower``
        and ``upper`` (channel; currency); ``shadow_price``: revenue of one more unit of budget,
        where bounds in shares move with the budget; ``gap_bound``: largest revenue (currency) that
        any allowed split can have more; ``gap_estimate``: the same for smooth curves, see Notes;
        if channels act on each other, ``media_contribution``, ``media_revenue``, and the same of
        today as ``current_media_*``;
        ``spend`` (date, geo, channel): the plan, for `simulate` and `respond`. ``attrs`` has the
        budget, unspent currency and the status.

        *Window*: spend and sales of the same dates. *Carry-over*: the effect of earlier spend
        counts, that of the window's spend after its end does not. *Sign*: positive where spend
        adds sales. *Scale*: original units, noise-free, sums over the window.

    Raises
    ------
    ConfigError
        If the budget is negative, a channel or constraint does not exist, or constraints
        conflict.
    SchemaError
        If `ds` lacks a variable or a value of ``revenue_per_kpi``, or its spend does not make its
        contributions.

    Notes
    -----
    ``gap_bound`` is proven for every response that never falls as spend rises, or never rises, as
    that of a channel with a negative effect. Between two tabulated levels such a response is at
    most its value at one of them. The bound is mostly below 0.1% of the revenue of media.
    ``gap_estimate`` assumes in addition that a curve turns from convex to concave, or back, at most
    once within three neighbouring intervals. It is about a hundred times smaller. For channels that
    act on each other nothing is proven, and both are infinite.

    Examples
    --------
    >>> import mmm_xgen
    >>> ds = mmm_xgen.generate_mmm_dataset()
    >>> best = optimize_allocation(ds, constraints={"Trend": {"max_change": 0.2}})
    >>> bool(best.revenue.sum() > best.current_revenue.sum())
    True
    >>> bool(abs(best.optimal_spend.sum() - ds.spend.sum()) < 1e-6)
    True
    >>> bool(best.gap_bound < 1e-3 * best.revenue.sum())
    True
    """
    check_variables(ds, *NEEDED)
    if not isinstance(per_geo, bool):
        raise ConfigError(f"found {shown(per_geo)}, allowed: True, False", path="per_geo")
    check_contributions(ds)
    periods = window_periods(ds, window)
    panel = panel_of(ds, periods, per_geo=per_geo)
    if not np.isfinite(panel.revenue).all():
        raise SchemaError(
            "'revenue_per_kpi' has missing values in the window, so the best split is unknown; "
            "fill them, or choose a window without missing values"
        )
    now = spend_of(ds)[..., periods]
    bounds = bounds_of(
        ds, today=now.sum(axis=(1, 2)), total_budget=total_budget, constraints=constraints
    )
    current = panel.by_item(now.sum(axis=-1))
    problem = _problem(panel, bounds, current)
    if isinstance(panel, JointPanel):
        # As if each item acted alone, the others as today: a good place to start.
        solution = maximize_jointly(panel, problem, [current, roughly_best(problem)])
    else:
        solution = maximize(problem)
    return _labelled(ds, panel, periods, bounds, problem, solution)


@in_memory
def regret(
    ds: xr.Dataset,
    allocation: xr.DataArray | xr.Dataset,
    *,
    constraints: Constraints | None = None,
    per_geo: bool | None = None,
    window: Window = None,
) -> xr.Dataset:
    r"""Compute the loss of a split of the budget against the best split of the same budget.

    .. math::

        \text{regret} = \sum_{t, g, c} \text{contribution}_{tgc}(s^*)
        - \sum_{t, g, c} \text{contribution}_{tgc}(s)

    Parameters
    ----------
    ds : Dataset
        A generated Dataset with all its dates.
    allocation : DataArray or Dataset
        Spend over the window, in currency, with dims (channel,) or (geo, channel). It is spread
        over dates (and geos) as by `optimize_allocation`. Or a plan with dims (date, geo,
        channel), of which only dates in the window count, or a Dataset of `optimize_allocation`.
    constraints : mapping of mappings, optional
        Constraints on the best split, as for `optimize_allocation`. Shares are of the budget of
        `allocation`, which need not satisfy the constraints itself.
    per_geo : bool, optional
        Whether the best split has a multiplier for every geo; by default if `allocation` has
        dims (geo, channel).
    window : str, slice, pair or date, optional
        As for `optimize_allocation`. Both splits have today's spend outside the window.

    Returns
    -------
    Dataset
        ``regret`` (KPI units), ``regret_revenue`` (currency), ``regret_percent_of_media`` (lost
        revenue in percent of media's revenue under the best split), ``regret_percent_of_sales``
        (``regret`` in percent of expected sales under the best split), ``allocated_spend`` and
        ``optimal_spend`` (channel) or (geo, channel), ``gap_bound`` (currency): by how much the
        lost revenue may be larger.

        *Window* and *carry-over*: as for `optimize_allocation`. *Sign*: positive where the best
        split sells more. It can be negative for a split that breaks `constraints`, or for a plan
        (date, geo, channel) with a better timing than the historical pattern. ``regret`` in KPI
        units can also be negative where revenue per KPI unit differs between geos or dates: the
        split with the most revenue may sell fewer units at a higher price. *Scale*: original
        units, noise-free, sums over the window.

    Raises
    ------
    ConfigError
        If spend is negative, missing or infinite, or if the constraints conflict.
    AlignmentError
        If the labels of `allocation` are not those of `ds`.

    Examples
    --------
    >>> import mmm_xgen
    >>> ds = mmm_xgen.generate_mmm_dataset()
    >>> today = regret(ds, ds.spend)
    >>> bool(today.regret > 0)
    True
    >>> bool(abs(regret(ds, optimize_allocation(ds)).regret_percent_of_media) < 1e-6)
    True
    """
    check_variables(ds, *NEEDED, "mu")
    check_contributions(ds)
    if not isinstance(per_geo, bool | None):
        raise ConfigError(f"found {shown(per_geo)}, allowed: True, False, None", path="per_geo")
    periods = window_periods(ds, window)
    spend, has_geos = _plan_of(ds, allocation, periods)
    per_geo = has_geos if per_geo is None else per_geo
    best = optimize_allocation(
        ds,
        total_budget=float(spend.isel(date=periods).sum()),
        constraints=constraints,
        per_geo=per_geo,
        window=window,
    )
    dims = best["optimal_spend"].dims
    inside = {"date": periods}
    allocated, ideal, today = (
        total_response(plan, ds)[inside] for plan in (spend, best["spend"], ds["spend"])
    )
    rate = ds["revenue_per_kpi"][inside]
    lost, lost_revenue = (_lost(ideal * worth, allocated * worth) for worth in (1.0, rate))
    media = (ideal * rate).sum()
    sales = ds["mu"][inside].sum() + (ideal - today).sum()
    result = xr.Dataset(
        {
            "regret": lost,
            "regret_revenue": lost_revenue,
            "regret_percent_of_media": 100 * lost_revenue / media.where(media != 0),
            "regret_percent_of_sales": 100 * lost / sales.where(sales != 0),
            "allocated_spend": spend[inside].sum([dim for dim in MEDIA_DIMS if dim not in dims]),
            "optimal_spend": best["optimal_spend"],
            "gap_bound": best["gap_bound"],
        }
    )
    return _stamped(ds, result).assign_attrs(best.attrs)


def _lost(ideal: xr.DataArray, allocated: xr.DataArray) -> xr.DataArray:
    """Sum over all dims of the loss; 0 if it is only rounding."""
    lost = (ideal - allocated).sum()
    return lost.where(abs(lost) > ROUNDING * abs(ideal).sum(), 0.0)


def _plan_of(
    ds: xr.Dataset, allocation: xr.DataArray | xr.Dataset, periods: slice
) -> tuple[xr.DataArray, bool]:
    """Plan of an allocation, and whether the allocation has dim geo."""
    has_geos = False
    if isinstance(allocation, xr.Dataset):
        check_variables(allocation, "spend")
        has_geos = "geo" in allocation.get("optimal_spend", xr.DataArray()).dims
        allocation = allocation["spend"]
    if not isinstance(allocation, xr.DataArray):
        raise SchemaError(
            f"allocation: found {shown(allocation)}, allowed: a DataArray with dims (channel), "
            "(geo, channel) or (date, geo, channel), or an xarray.Dataset with such spend"
        )
    plan = ds["spend"].transpose(*MEDIA_DIMS).astype(float).copy()
    dims = set(map(str, allocation.dims))
    if dims == {*MEDIA_DIMS}:
        plan[periods] = full_plan(ds, allocation)[periods]
        return plan, has_geos
    if dims not in ({"channel"}, {"geo", "channel"}):
        raise AlignmentError(
            f"the allocation has dims {tuple(allocation.dims)}, allowed: (channel), (geo, channel) "
            "or (date, geo, channel)"
        )
    per_geo = "geo" in dims
    panel = panel_of(ds, periods, per_geo=per_geo)
    values = panel.plan(_totals(ds, allocation))
    plan[periods] = values.transpose(2, 1, 0)
    return plan, per_geo


def _totals(ds: xr.Dataset, allocation: xr.DataArray) -> FloatArray:
    """Spend of each item, in the order of the items of a panel."""
    positions = []
    for dim in ("channel", "geo"):
        if dim not in allocation.dims:
            continue
        known = [str(name) for name in ds[dim].values]
        if dim not in allocation.coords:
            raise AlignmentError(f"the allocation has no labels along {dim!r}")
        names = [str(name) for name in allocation[dim].values]
        if dim == "channel":
            found = [known.index(channel_label(ds, name)) for name in names]
        else:
            found = [geo_positions(ds, name)[0] for name in names]
        if sorted(found) != list(range(len(known))):
            missing = [name for at, name in enumerate(known) if found.count(at) != 1]
            raise AlignmentError(
                f"the allocation needs every {dim} once; see {', '.join(missing)} in it"
            )
        positions.append(np.argsort(found))
    values = allocation.transpose("channel", ...).to_numpy()
    if values.dtype.kind not in "iuf" or not np.all(np.isfinite(values) & (values >= 0)):
        raise ConfigError(
            f"found {shown(values.tolist())}, allowed: finite currency, at least 0",
            path="allocation",
        )
    return np.asarray(values.astype(float)[np.ix_(*positions)].ravel())


def _problem(panel: Panel, bounds: Bounds, current: FloatArray) -> Problem:
    geos = panel.pattern.shape[1] if panel.per_geo else 1
    group = np.repeat(np.arange(len(bounds.lower)), geos)
    others = bounds.lower.sum() - bounds.lower
    most = np.minimum(bounds.upper, bounds.budget - others)
    most = np.maximum(most, bounds.lower)
    lower = bounds.lower if geos == 1 else np.zeros(len(bounds.lower))
    locked = bounds.locked[group]
    # A curve that starts vertically has no finite slope at 0, but it has one next to 0.
    least = NEXT_TO_NOTHING * panel.unit
    return Problem(
        value=panel.value,
        slope=lambda spend: panel.slope(np.maximum(spend, least)),
        budget=bounds.budget,
        lower=np.where(locked, current, lower[group]),
        upper=np.where(locked, current, most[group]),
        scale=current,
        group=group,
        group_lower=bounds.lower,
        group_upper=most,
        # Small panels are cheap to evaluate, so that they can have a tighter bound.
        proofs=int(np.clip(PROOF_EFFORT // panel.pattern.size, 3, 12)),
    )


def _labelled(
    ds: xr.Dataset,
    panel: Panel,
    periods: slice,
    bounds: Bounds,
    problem: Problem,
    solution: Solution,
) -> xr.Dataset:
    """Return the Dataset of `optimize_allocation`, with labels and units."""
    spend, current = solution.spend, problem.scale
    ones = np.ones_like(panel.revenue)
    figures = {
        "optimal_spend": spend,
        "current_spend": current,
        "multiplier": _ratio(spend, current),
        "contribution": panel.earned(spend, ones),
        "current_contribution": panel.earned(current, ones),
        "revenue": panel.earned(spend, panel.revenue),
        "current_revenue": panel.earned(current, panel.revenue),
        "mroas": panel.slope(spend),
    }
    figures["roas"] = _ratio(figures["revenue"], spend)
    together = {}
    if isinstance(panel, JointPanel):
        # What channels make together is not the sum of what each adds.
        for prefix, each in (("", spend), ("current_", current)):
            worths = {"contribution": ones, "revenue": panel.revenue}
            for name, worth in worths.items():
                made = panel.joint(panel.plan(each), worth).sum()
                together[f"{prefix}media_{name}"] = float(made)
    dims = ("geo", "channel") if panel.per_geo else ("channel",)
    shape = (len(ds["channel"]), -1)
    by_item = {
        name: (dims, values.reshape(shape).T if panel.per_geo else values)
        for name, values in figures.items()
    }
    unspent = max(bounds.budget - float(spend.sum()), 0.0)
    gap = solution.bound - solution.value
    result = xr.Dataset(
        {
            **by_item,
            **together,
            "lower": ("channel", bounds.lower),
            "upper": ("channel", bounds.upper),
            "shadow_price": _shadow_price(problem, bounds, spend, figures["mroas"]),
            "gap_bound": gap,
            "gap_estimate": solution.estimate - solution.value,
        },
        coords={name: ds[name] for name in ("geo", "channel") if name in {"channel", *dims}},
    )
    plan = ds["spend"].transpose("channel", "geo", "date").astype(float).copy()
    plan[..., periods] = panel.plan(spend)
    result["spend"] = plan.transpose(*MEDIA_DIMS)
    dates = ds["date"].values[periods]
    status = "best found, gap_bound above 0.2%" if np.isfinite(gap) else "best found, not proven"
    if gap <= CLOSED * abs(solution.value):
        status = "optimal"
    return _stamped(ds, result).assign_attrs(
        total_budget=bounds.budget,
        unspent=unspent if unspent > 1e-9 * bounds.budget else 0.0,
        status=status,
        window=" to ".join(np.datetime_as_string(dates[[0, -1]], unit="D")),
        per_geo=int(panel.per_geo),
    )


def _ratio(above: FloatArray, below: FloatArray) -> FloatArray:
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)


def _shadow_price(problem: Problem, bounds: Bounds, spend: FloatArray, slope: FloatArray) -> float:
    """Compute the revenue of one more unit of budget, by the envelope theorem.

    A part of the unit moves bounds in shares, and goes to the channels at these bounds, at their
    own marginal returns. The rest goes to channels that are at no bound.
    """
    size = 1e-9 * problem.budget
    of_group = sums(problem.group, spend, len(problem.group_lower))
    at_upper = of_group >= bounds.maximum - size
    at_lower = of_group <= problem.group_lower + size
    share = np.where(at_upper, bounds.upper_share, np.where(at_lower, bounds.lower_share, 0.0))
    of_free = 0.0
    if problem.budget - spend.sum() <= size:
        rises = ~(at_upper | bounds.locked)[problem.group]
        inside = rises & ~at_lower[problem.group] & (spend > problem.lower + size)
        of_free = _free_return(slope, rises, inside)
    held = share > 0
    # The next unit in a channel goes to its best geo.
    best = [slope[problem.group == group].max() for group in np.flatnonzero(held)]
    moved, rest = float(share[held] @ np.array(best, dtype=float)), 1.0 - float(share.sum())
    # Shares that sum to 1 leave nothing for channels at no bound.
    return moved + (rest * of_free if rest > ROUNDING else 0.0)


def _free_return(slope: FloatArray, rises: NDArray[np.bool_], inside: NDArray[np.bool_]) -> float:
    """Marginal return of items at no bound, or else the largest of items that can still rise.

    A channel that has the whole budget can rise, as the next unit of budget can go to it.
    """
    if inside.any():
        return float(np.median(slope[inside]))
    return float(slope[rises].max(initial=0.0))


def _stamped(ds: xr.Dataset, result: xr.Dataset) -> xr.Dataset:
    """Add units and meaning to every variable, and currency and KPI to the Dataset."""
    units = {"currency": ds.attrs.get("currency", ""), "kpi": ds.attrs.get("kpi", "")}
    for name in result.data_vars:
        unit, meaning = FIGURES[str(name)]
        result[name].attrs = {"units": unit.format(**units), "long_name": meaning}
    result = result.reset_coords(drop=True)
    result.attrs = {key: value for key, value in units.items() if value}
    return result
