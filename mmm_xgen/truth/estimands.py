"""Estimands that follow from the noise-free contributions of a dataset alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeAlias

import xarray as xr

from mmm_xgen.errors import ConfigError, nearest
from mmm_xgen.schema import require

MEDIA_DIMS = ("date", "geo", "channel")
BY = ("geo", "channel")
By: TypeAlias = str | Iterable[str]

PARTS = (
    "channel_contribution",
    "control_contribution",
    "intercept_contribution",
    "trend_contribution",
    "seasonality_contribution",
    "event_contribution",
)
OUTCOMES = ("mu", "noise", "y")


def roas(ds: xr.Dataset, by: By = "channel") -> xr.DataArray:
    r"""Compute the true return on ad spend.

    .. math::

        \text{ROAS}_c = \frac{\sum_{t, g} \text{revenue per KPI}_{tg}\,
            \text{contribution}_{tgc}}{\sum_{t, g} \text{spend}_{tgc}}

    The numerator is the revenue lost if the channel were zero on *all* dates: every curve is 0
    at zero spend, and noise and baseline stay as they are.

    Parameters
    ----------
    ds : Dataset
        A generated Dataset.
    by : {"channel", "geo"} or both, default "channel"
        What to tell apart; sums run over the rest. ``("geo", "channel")`` for one figure a geo
        and channel, ``"geo"`` for all media of a geo together.

    Returns
    -------
    DataArray, dims `by`
        Currency of revenue per currency of spend; NaN where nothing was spent.

        *Window*: all dates of `ds`. *Carry-over*: the effect of earlier spend
        (``spend_history``) counts, that of the window's spend after its end does not. *Sign*:
        positive where spend adds sales. *Scale*: original units, noise-free.

    Raises
    ------
    SchemaError
        If `ds` lacks a variable.
    ConfigError
        If `by` names something else than a geo or channel.

    Examples
    --------
    >>> import mmm_xgen
    >>> ds = mmm_xgen.generate_mmm_dataset()
    >>> roas(ds).values.round(3).tolist()
    [2.4, 1.5, 3.0]
    >>> roas(ds, by=("geo", "channel")).sizes["geo"]
    2
    """
    require(ds, "spend", "channel_contribution", "revenue_per_kpi")
    over = _summed_over(by)
    revenue = (ds["channel_contribution"] * ds["revenue_per_kpi"]).sum(over, skipna=False)
    spend = ds["spend"].sum(over, skipna=False)
    result = (revenue / spend.where(spend > 0)).transpose(..., *_kept(over)).rename("roas")
    return result.assign_attrs(
        units="1",
        long_name="return on ad spend: revenue lost without the channel, per unit of its spend",
    )


def attribution(
    ds: xr.Dataset, by: By = "channel", *, of: Literal["sales", "media"] = "sales"
) -> xr.DataArray:
    r"""Compute the share of expected sales, or of media's part of them, that each channel makes.

    .. math::

        \text{attribution}_c = \frac{\sum_{t, g} \text{contribution}_{tgc}}{\sum_{t, g} \mu_{tg}}

    Parameters
    ----------
    ds : Dataset
        A generated Dataset.
    by : {"channel", "geo"} or both, default "channel"
        What to tell apart. With geos, the shares are of the geo's own sales or media.
    of : {"sales", "media"}
        Whole that the share is of: the sum of ``mu``, or of all channels' contributions.

    Returns
    -------
    DataArray, dims `by`
        Share, a number; NaN where the whole is 0.

        *Window*: all dates of `ds`. *Carry-over*: the effect of earlier spend counts, that of
        the window's spend after its end does not. *Sign*: positive where spend adds sales.
        *Scale*: shares of media sum to 1, those of sales to what media makes of them;
        noise-free.

    Raises
    ------
    SchemaError
        If `ds` lacks a variable.
    ConfigError
        If `by` or `of` is something else.

    Examples
    --------
    >>> import mmm_xgen
    >>> ds = mmm_xgen.generate_mmm_dataset()
    >>> round(float(attribution(ds, of="media").sum()), 9)
    1.0
    >>> 0 < float(attribution(ds).sum()) < 1
    True
    """
    if of not in ("sales", "media"):
        raise ConfigError(f"found {of!r}, {nearest(str(of), ['sales', 'media'])}", path="of")
    require(ds, "channel_contribution", "mu")
    over = _summed_over(by)
    contribution = ds["channel_contribution"]
    part = contribution.sum(over, skipna=False)
    if of == "sales":
        whole = ds["mu"].sum([dim for dim in over if dim != "channel"], skipna=False)
    else:
        whole = contribution.sum({*over, "channel"}, skipna=False)
    share = (part / whole.where(whole != 0)).transpose(..., *_kept(over))
    words = "expected sales" if of == "sales" else "the contribution of all media"
    return share.rename("attribution").assign_attrs(units="1", long_name=f"share of {words}")


def contribution_totals(ds: xr.Dataset) -> xr.Dataset:
    """Sum over all dates of every part of sales, and of sales themselves.

    Parameters
    ----------
    ds : Dataset
        A generated Dataset.

    Returns
    -------
    Dataset, dims (geo, channel), (geo, control) or (geo,)
        The variables of `ds` under their names, in KPI units. The parts sum to ``mu``, and
        ``mu`` and ``noise`` to ``y``.

        *Window*: all dates of `ds`. *Carry-over*: the effect of earlier spend counts, that of
        the window's spend after its end does not. *Sign*: positive where sales are added.
        *Scale*: original units; all but ``noise`` and ``y`` noise-free.

    Raises
    ------
    SchemaError
        If `ds` lacks a variable.

    Examples
    --------
    >>> import mmm_xgen
    >>> totals = contribution_totals(mmm_xgen.generate_mmm_dataset())
    >>> totals["channel_contribution"].dims
    ('geo', 'channel')
    """
    require(ds, *PARTS, *OUTCOMES)
    totals = {}
    for name in (*PARTS, *OUTCOMES):
        variable = ds[name]
        if "date" in variable.dims:
            total = variable.sum("date", skipna=False)
        else:
            total = variable * ds.sizes["date"]
        attrs = {**variable.attrs, "long_name": f"{variable.attrs.get('long_name', name)}, in all"}
        totals[name] = total.assign_attrs(attrs)
    return xr.Dataset(totals)


def _summed_over(by: By) -> list[str]:
    names = (by,) if isinstance(by, str) or not isinstance(by, Iterable) else tuple(by)
    for name in names:
        if name not in BY:
            raise ConfigError(f"found {name!r}, {nearest(str(name), BY)}", path="by")
    return [dim for dim in MEDIA_DIMS if dim not in names]


def _kept(over: list[str]) -> list[str]:
    return [dim for dim in BY if dim not in over]
