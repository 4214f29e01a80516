"""Budget that a model recommends, and the revenue lost by following it."""

from __future__ import annotations

import numpy as np
import xarray as xr

from mmm_xgen.errors import SchemaError
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.labelled_world import total_response
from mmm_xgen.recovery.estimates import SAMPLE
from mmm_xgen.recovery.fit import FitSettings, training_dates
from mmm_xgen.recovery.scoring.samples import samples
from mmm_xgen.truth.budget.optimum import optimize_allocation
from mmm_xgen.truth.budget.piecewise_linear import Curves, maximize_curves
from mmm_xgen.truth.what_if.counterfactual import Window

# No channel's budget moves by more than this share of today's, for model and oracle alike.
MOST_CHANGE = 0.3
CONSTRAINTS = {"*": {"min_change": -MOST_CHANGE, "max_change": MOST_CHANGE}}
# Splits whose contributions differ by less than this share count as equal. The one nearest to
# today's is recommended, as a model without differences gives no reason to move a budget.
INDIFFERENT = 1e-5
# Gap of the search, as a share of the value.
TOLERANCE = 1e-9


def window_of(ds: xr.Dataset, settings: FitSettings) -> Window:
    """Dates of the training window, in the form that `mmm_xgen.truth` takes."""
    dates = training_dates(ds, settings)
    return None if len(dates) == ds.sizes["date"] else slice(dates[0], dates[-1])


def recommended_multipliers(
    ds: xr.Dataset, curves: xr.DataArray, settings: FitSettings
) -> xr.DataArray:
    r"""Compute the split of today's budget that maximises the posterior mean of the curves.

    .. math::

        \max_m \sum_c v_c \bar C_c(m_c) \quad\text{with}\quad
        \sum_c m_c S_c = \sum_c S_c, \quad 0.7 \le m_c \le 1.3

    with :math:`\bar C_c` the mean curve, linear between the given multipliers, :math:`v_c` the
    mean revenue per KPI unit, weighted by the channel's spend, and :math:`S_c` today's spend in
    the training window. The optimum is global for curves of any shape, also for curves that fall.

    Parameters
    ----------
    ds : Dataset
        A generated Dataset with all its dates.
    curves : DataArray, dims (chain, draw, channel, multiplier)
        Contribution of the training window, KPI units.
    settings : FitSettings
        Its ``train_end`` ends the window.

    Returns
    -------
    DataArray, dims (channel)
        Multiples of today's spend; 1 for channels without spend.

    Raises
    ------
    SchemaError
        If the multipliers do not go from 0.7 or less to 1.3 or more, or lack 1.

    Examples
    --------
    >>> import mmm_xgen
    >>> from mmm_xgen.recovery.estimates import MULTIPLIERS
    >>> ds = mmm_xgen.generate_mmm_dataset()
    >>> curves = mmm_xgen.truth.response_curve(ds, multipliers=MULTIPLIERS).contribution
    >>> best = recommended_multipliers(ds, curves, FitSettings())
    >>> spend = ds.spend.sum(("date", "geo"))
    >>> bool(abs((best * spend).sum() - spend.sum()) < 1e-6 * spend.sum())
    True
    """
    nodes, value = _within_bounds(ds, curves)
    inside = ds.isel(date=slice(len(training_dates(ds, settings))))
    spend = inside["spend"].sum(("date", "geo")).to_numpy()
    worth = (inside["revenue_per_kpi"] * inside["spend"]).sum(("date", "geo")).to_numpy()
    value = value * np.divide(worth, spend, out=np.ones_like(spend), where=spend > 0)[:, None]
    chosen = np.ones(len(spend))
    moves = spend > 0
    if moves.sum() > 1 and np.isfinite(value[moves]).all():
        chosen[moves] = _best(nodes, value[moves], spend[moves])
    about = {"units": "1", "long_name": "recommended spend over today's"}
    return xr.DataArray(chosen, {"channel": ds["channel"].values}, ("channel",), attrs=about)


def _within_bounds(ds: xr.Dataset, curves: xr.DataArray) -> tuple[FloatArray, FloatArray]:
    """Nodes from 0.7 to 1.3, and the posterior mean there, dims (channel, node)."""
    mean = curves.mean([dim for dim in SAMPLE if dim in curves.dims]).sortby("multiplier")
    grid = mean["multiplier"].to_numpy().astype(float)
    low, high = 1 - MOST_CHANGE, 1 + MOST_CHANGE
    if not (grid[0] <= low + 1e-9 and grid[-1] >= high - 1e-9 and np.isclose(grid, 1).any()):
        raise SchemaError(
            f"found response curves at the multipliers {grid.tolist()}, allowed: from {low:g} or "
            f"less to {high:g} or more, with 1"
        )
    like = xr.DataArray(
        np.empty((ds.sizes["channel"], len(grid))),
        {"channel": ds["channel"].values, "multiplier": mean["multiplier"].values},
        ("channel", "multiplier"),
    )
    values = samples(mean, like)[..., 0]
    between = grid[(grid > low + 1e-9) & (grid < high - 1e-9)]
    nodes = np.concatenate([[low], between, [high]])
    return nodes, np.array([np.interp(nodes, grid, row) for row in values])


def _best(nodes: FloatArray, value: FloatArray, spend: FloatArray) -> FloatArray:
    """Multipliers, dims (channel,), of the best split of exactly today's spend."""
    size = np.abs(value[:, np.argmin(np.abs(nodes - 1))]).sum()
    if size == 0:
        return np.ones(len(spend))
    share = spend / spend.sum()
    dislike = INDIFFERENT * np.abs(nodes - 1) * share[:, None]
    first = np.zeros(len(spend), dtype=np.intp)
    # All channels are one group, which has to spend the budget even where curves fall.
    curves = Curves(
        spend=share[:, None] * nodes,
        value=value / size - dislike,
        budget=1.0,
        group=first,
        group_lower=np.ones(1),
        group_upper=np.ones(1),
        first=first,
        last=np.full(len(spend), len(nodes) - 1),
    )
    _, _, best = maximize_curves(curves, TOLERANCE)
    return np.asarray(np.clip(best.spend / share, nodes[0], nodes[-1]))


def decision_scores(
    ds: xr.Dataset, curves: xr.DataArray, settings: FitSettings
) -> dict[str, xr.DataArray]:
    """Compute the regret of the recommended budget, of today's and of the oracle's.

    All have the same bounds. Regrets are sums over the training window against the best split
    that is known, which is that of the oracle, unless its search missed a better one.

    Parameters
    ----------
    ds : Dataset
        A generated Dataset with all its dates.
    curves : DataArray, dims (chain, draw, channel, multiplier)
        Contribution of the training window, KPI units.
    settings : FitSettings
        Its ``train_end`` ends the window.

    Returns
    -------
    dict of str to DataArray
        ``regret_*`` in currency of revenue and ``regret_*_percent`` of media's revenue at its
        best, for ``recommended``, ``today`` and ``oracle``, never negative;
        ``recommended_multiplier`` (channel).
    """
    window = window_of(ds, settings)
    inside = {"date": slice(len(training_dates(ds, settings)))}
    multipliers = recommended_multipliers(ds, curves, settings)
    best = optimize_allocation(ds, constraints=CONSTRAINTS, window=window)
    # As `mmm_xgen.truth.regret`, but with one search for the best split of all plans.
    plan = ds["spend"].copy()
    plan[inside] = plan[inside] * multipliers
    made = {
        name: float((total_response(spend, ds)[inside] * ds["revenue_per_kpi"][inside]).sum())
        for name, spend in {
            "recommended": plan,
            "today": ds["spend"],
            "oracle": best["spend"],
        }.items()
    }
    most = max(made.values())
    currency = str(ds.attrs.get("currency", ""))
    scores = {"recommended_multiplier": multipliers}
    for name, revenue in made.items():
        loss = most - revenue
        meaning = f"revenue lost by the {name} budget against the best"
        scores[f"regret_{name}"] = xr.DataArray(
            loss, attrs={"units": currency, "long_name": meaning}
        )
        scores[f"regret_{name}_percent"] = xr.DataArray(
            100 * loss / most if most > 0 else np.nan,
            attrs={"units": "percent", "long_name": f"{meaning}, of media's revenue"},
        )
    return scores
