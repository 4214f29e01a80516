"""Returns of promotions: what they sell, against the price that they give away."""

from __future__ import annotations

from collections.abc import Iterable

import xarray as xr

from mmm_xgen.errors import ConfigError, SchemaError, nearest
from mmm_xgen.schema import check_dataset, check_variables
from mmm_xgen.truth.returns.roas import By, ratio, total
from mmm_xgen.truth.returns.windows import windows_of
from mmm_xgen.truth.what_if.counterfactual import Window

BY = ("geo", "promotion")


def promotion_returns(
    ds: xr.Dataset, by: By = "promotion", *, window: Window = None, freq: str | None = None
) -> xr.Dataset:
    r"""Compute the true returns of promotions.

    The revenue per KPI unit of a Dataset is that at the regular price. All sales of a promoted
    period have the lower price: those that the promotion adds, and those that would have been there
    without it. With expected sales :math:`\mu`, depth d, the contribution of the promotion and the
    revenue per KPI unit r,

    .. math::

        \text{incremental revenue}_k &= \sum_{t \in W, g} r_{tg}\, \text{contribution}_{tgk} \\
        \text{discount}_k &= \sum_{t \in W, g} d_{tgk}\, r_{tg}\, \mu_{tg} \\
        \text{net gain}_k &= \text{incremental revenue}_k - \text{discount}_k \\
        \text{return on discount}_k &= \text{incremental revenue}_k / \text{discount}_k

    The net gain is the change of revenue at the prices that buyers pay. A promotion whose return is
    above 1 raises that revenue, as a channel whose ROAS is above 1 earns more than its spend. The
    costs of goods do not count. With multiplicative sales, the contribution is what sales lose
    without the promotion.

    Parameters
    ----------
    ds : Dataset
        A generated Dataset with promotions, or an ensemble, which may be lazy.
    by : {"promotion", "geo"} or both, default "promotion"
        Dims of the result; the others are summed.
    window : str, slice, pair or date, optional
        Dates, as for `roas`; all by default.
    freq : {"D", "W-MON", ..., "W-SUN", "MS", "QS", "YS"}, optional
        One figure for every such period of the window.

    Returns
    -------
    Dataset, dims `by`, after ``dataset`` of an ensemble and ``period`` if there is a `freq`
        ``incremental_sales`` in KPI units, ``incremental_revenue``, ``discount`` and ``net_gain``
        in currency, and ``return_on_discount``, a number, NaN without promoted sales.

        *Window*: `window`, or each period. *Carry-over*: sales that are missing in the window since
        an earlier promotion borrowed them count; those that are missing after the window do not.
        *Sign*: positive where a promotion adds sales. *Scale*: original units, noise-free, before a
        capacity cuts sales. Spend is held. Promotions that meet add up, in sales and in discounts.

    Raises
    ------
    SchemaError
        If `ds` has no promotions, or is an aggregation: a mean depth times summed sales is not the
        discount.
    ConfigError
        If `by` or the window is not valid.

    Examples
    --------
    >>> import mmm_xgen
    >>> sale = {"name": "Sale", "depth": 0.25, "pull_forward": {"share": 0.3}}
    >>> ds = mmm_xgen.generate_mmm_dataset(promotions=[sale])
    >>> returns = promotion_returns(ds)
    >>> gap = returns.net_gain - (returns.incremental_revenue - returns.discount)
    >>> returns.return_on_discount.dims, bool(abs(gap).max() < 1e-6)
    (('promotion',), True)
    """
    check_dataset(ds)
    if "promotion_contribution" not in ds:
        raise SchemaError(
            "the Dataset has no promotions; configure some, as in "
            'promotions=[{"name": "Sale", "depth": 0.2}]'
        )
    names = (by,) if isinstance(by, str) or not isinstance(by, Iterable) else tuple(by)
    for name in names:
        if name not in BY:
            raise ConfigError(f"found {name!r}, {nearest(str(name), BY)}", path="by")
    check_variables(ds, "promotion_contribution", "promotion_depth", "revenue_per_kpi", "mu")
    if "reason" in ds.variables.get("promotion_elasticity", ds["mu"].variable).attrs:
        raise SchemaError(
            "the Dataset is an aggregation, which has lost the depth that single sales had; pass "
            "the one that it was aggregated from"
        )
    windows = windows_of(ds, window, freq)
    over = ["date", *(dim for dim in BY if dim not in names)]
    sold, price = ds["promotion_contribution"], ds["revenue_per_kpi"]
    revenue = total(sold * price, over, windows)
    discount = total(ds["promotion_depth"] * price * ds["mu"], over, windows)
    currency, kpi = ds.attrs.get("currency", ""), ds.attrs.get("kpi", "")
    figures = {
        "incremental_sales": (total(sold, over, windows), kpi, "sales that the promotion adds"),
        "incremental_revenue": (revenue, currency, "revenue that it adds, at the regular price"),
        "discount": (discount, currency, "price given away on all promoted sales"),
        "net_gain": (revenue - discount, currency, "incremental revenue less the discount"),
        "return_on_discount": (
            ratio(revenue, discount),
            "1",
            "incremental revenue per unit of the discount",
        ),
    }
    order = [dim for dim in ("period", *BY) if dim in revenue.dims]
    return xr.Dataset(
        {
            name: values.transpose(..., *order)
            .drop_vars("promotion_pull_forward_periods", errors="ignore")
            .assign_attrs(units=units, long_name=meaning)
            for name, (values, units, meaning) in figures.items()
        },
        attrs={"currency": currency, "kpi": kpi, "window": windows.describe()},
    )
