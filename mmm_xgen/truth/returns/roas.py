"""Returns on spend and shares of sales, one function each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from numbers import Real
from typing import Any, Literal, TypeAlias, TypeVar

import numpy as np
import xarray as xr

from mmm_xgen.config.base import shown
from mmm_xgen.connections import FADED
from mmm_xgen.errors import ConfigError, nearest
from mmm_xgen.goodwill import population_in
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.schema import check_variables
from mmm_xgen.truth.media import outlasts_data
from mmm_xgen.truth.returns.incremental import (
    Arrays,
    Response,
    incremental_contribution,
    media_together,
    of_response,
    reacting_rise,
)
from mmm_xgen.truth.returns.shapley import shapley_contribution
from mmm_xgen.truth.returns.windows import Windows, windows_of
from mmm_xgen.truth.what_if.counterfactual import MEDIA_DIMS, Window
from mmm_xgen.truth.what_if.reacting import reaction_of

BY = ("geo", "channel")
RULES = ("zero_out", "shapley")
By: TypeAlias = str | Iterable[str]
Figures = TypeVar("Figures", xr.DataArray, xr.Dataset)

# Dims of the revenue by window from `mmm_xgen.truth.returns.incremental.Response`.
EARNED = ("channel", "geo", "period")


def roas(
    ds: xr.Dataset,
    by: By = "channel",
    *,
    window: Window = None,
    freq: str | None = None,
    with_carryout: bool = False,
    within_data: bool = False,
    reacting: bool = False,
    realised: bool = False,
) -> xr.DataArray:
    r"""Compute the true return on ad spend.

    .. math::

        \text{ROAS}_c = \frac{\sum_{t \in W, g} \text{revenue per KPI}_{tg}\,
            \text{contribution}_{tgc}}{\sum_{t \in W, g} \text{spend}_{tgc}}

    The numerator is the revenue lost in the window W if the channel were zero on *all* dates:
    every curve is 0 at zero spend, and noise and baseline stay as they are. With carry-out it
    is the revenue lost if the channel were zero *in the window only*, from the window's start
    to ``l_max - 1`` periods after its end:

    .. math::

        \sum_{t \in W^+, g} \text{revenue per KPI}_{tg}\,
        \bigl(\text{contribution}_{tgc} - \text{contribution without } W_{tgc}\bigr)

    After the last date, spend is 0 and the revenue per KPI unit stays at its last value. Where
    funnels, pull-forward or mediators carry the effect on, the window extends to the last of it.
    Mediators and the population of a `response` never forget the last of a change: carry-out ends
    where less than 1e-12 of it is left, or after 5,000 periods, as ``complete.attrs["cut"]`` says.

    *Channels that act on each other.* The spend of all other channels is held while funnels,
    interactions and mediators work, so that a channel earns what it does for others too, and the
    returns of all channels need not add up. Without ``"channel"`` in `by`, all channels are zero at
    once. Where spend feeds back into spend, `reacting` gives the effect of a policy instead.

    *Capacity.* Returns are latent: what channels would sell if nothing ran out. `realised` cuts
    sales at the capacity with and without the channel, with the noise :math:`e` before the cut:

    .. math:: \min(\mu_t + e_t,\ \text{capacity})
        - \min(\mu^{\text{without}}_t + e_t,\ \text{capacity})

    *Media that spill over between geos.* The return of a geo is what the channel sells in the geo,
    wherever it was paid for, over what is spent in it. `simulate` with other spend in one geo gives
    what that spend sells everywhere.

    Parameters
    ----------
    ds : Dataset
        A generated Dataset with all its dates, an aggregated one, or an ensemble, which
        may be lazy.
    by : {"channel", "geo"} or both, default "channel"
        Dims of the result; the others are summed. ``("geo", "channel")`` for one figure a geo
        and channel, ``"geo"`` for all media of a geo together.
    window : str, slice, pair or date, optional
        Dates, as for `mmm_xgen.truth.what_if.counterfactual.window_periods`; all by default.
    freq : {"D", "W-MON", ..., "W-SUN", "MS", "QS", "YS"}, optional
        One figure for every such period of the window.
    with_carryout : bool, default False
        If True, sales after the window count and the effect of earlier spend does not.
    within_data : bool, default False
        If True, the carry-out ends at the last date, as in PyMC-Marketing's incrementality. Only
        with `with_carryout`.
    reacting : bool, default False
        If True, budget rules and paid funnels answer to the change, so that the figure is the
        effect of a policy. If False, the spend of all other channels is held.
    realised : bool, default False
        If True, sales are cut at the capacity. The carry-out then ends at the last date, because
        later noise is not known. Without a capacity, nothing changes.

    Returns
    -------
    DataArray, dims `by`, after ``dataset`` of an ensemble and ``period`` if there is a `freq`
        Currency of revenue per currency of spend; NaN without spend. With
        `with_carryout` its coordinate ``complete`` says where all carry-out arrives by the last
        date, so `within_data` makes no difference.

        *Window*: `window`, or each period. *Carry-over*: the effect of earlier spend
        (``spend_history``) counts, that of the window's spend after its end does not; with
        `with_carryout` the reverse. *Sign*: positive where spend adds sales. *Scale*: original
        units, noise-free.

    Raises
    ------
    SchemaError
        If `ds` lacks a variable, or if its contributions do not follow from its spend.
    ConfigError
        If `by` names something other than a geo or channel, a window has no dates, or
        `within_data` has no carry-out to cut.

    References
    ----------
    The first rule is that of Meridian's ``Analyzer.roi``, the second that of PyMC-Marketing's
    ``incrementality``.

    Examples
    --------
    >>> import mmm_xgen
    >>> ds = mmm_xgen.generate_mmm_dataset()
    >>> roas(ds).values.round(3).tolist()
    [2.4, 1.5, 3.0]
    >>> roas(ds, by=("geo", "channel"), freq="QS").sizes
    Frozen({'period': 8, 'geo': 2, 'channel': 3})
    """
    check_variables(ds, "spend", "channel_contribution", "revenue_per_kpi")
    check_carryout(with_carryout, within_data, reacting)
    over, windows = summed_over(by), windows_of(ds, window, freq)
    realised = realised and "capacity" in ds
    if with_carryout:
        (lost,) = of_response(
            ds,
            lambda response, _: [by_window(windows, response.lost)],
            [EARNED],
            {"period": len(windows.periods)},
            within_data=within_data,
            together="channel" in over,
            realised=realised,
        )
        revenue = with_complete(summed(lost, windows, over), ds, over, windows)
        cut = within_data or realised
        rule = meaning_of_carryout("from the window to the end of its carry-over", cut)
        rule += ", without it in the window"
    else:
        revenue = total(
            incremental_contribution(
                ds, reacting=reacting, together="channel" in over, realised=realised
            )
            * ds["revenue_per_kpi"],
            over,
            windows,
        )
        rule = "without the channel" + (", the others reacting" if reacting else "")
    rule += ", cut at the capacity" if realised else ""
    result = ratio(revenue, total(ds["spend"], over, windows)).rename("roas")
    return result.assign_attrs(
        units="1", long_name=f"return on ad spend: revenue lost {rule}, per unit of its spend"
    )


def mroas(
    ds: xr.Dataset,
    by: By = "channel",
    *,
    window: Window = None,
    freq: str | None = None,
    delta: float | None = None,
    with_carryout: bool = False,
    within_data: bool = False,
    reacting: bool = False,
    realised: bool = False,
) -> xr.DataArray:
    r"""Compute the true marginal return: the revenue of the next unit of spend.

    With :math:`R(h)` the revenue in the window W if the channel had spent :math:`1 + h` times as
    much on *all* dates, earlier ones included, and in every geo:

    .. math::

        \text{mROAS}_c = \frac{R'(0)}{\sum_{t \in W, g} \text{spend}_{tgc}}
        \qquad\text{or}\qquad \frac{R(\delta) - R(0)}{\delta \sum_{t \in W, g} \text{spend}_{tgc}}

    With carry-out, spend changes *in the window only*, and :math:`R(h)` counts revenue until
    ``l_max - 1`` periods after the window. Each of the two is the derivative of the return of the
    same rule (`roas`), so both are equal if the curve of the channel is linear. The derivative is
    exact, by a complex step.

    Parameters
    ----------
    ds : Dataset
        A generated Dataset with all its dates, or an ensemble, which may be lazy.
    by : {"channel", "geo"} or both, default "channel"
        Dims of the result. The spend of all others changes in equal proportion.
    window, freq : optional
        Dates, and one figure for every period of them, as for `roas`.
    delta : float, optional
        Finite change instead of the derivative; 0.01 for 1% more, as Meridian and
        PyMC-Marketing report by default.
    with_carryout, within_data, reacting, realised : bool, default False
        As for `roas`.

    Returns
    -------
    DataArray, dims `by`, after ``dataset`` of an ensemble and ``period`` if there is a `freq`
        Currency of revenue per currency of spend; NaN without spend. With
        `with_carryout` it has the coordinate ``complete``, as `roas` has.

        *Window*: `window`, or each period. *Carry-over*: the effect of earlier spend counts and
        moves with the change, revenue after the window does not count; with `with_carryout`
        earlier spend stays as it is and later revenue counts. *Sign*: positive where spend adds
        sales. *Scale*: original units, noise-free.

    Raises
    ------
    SchemaError
        If `ds` lacks a variable or if its contributions do not follow from its spend.
    ConfigError
        If `by`, the window or `delta` is not valid, or `within_data` has no carry-out to cut.

    References
    ----------
    The first rule is that of Meridian's ``Analyzer.marginal_roi``, the second that of
    PyMC-Marketing's ``incrementality.marginal_contribution_over_spend``.

    Examples
    --------
    >>> import mmm_xgen
    >>> ds = mmm_xgen.generate_mmm_dataset()
    >>> bool((mroas(ds) < roas(ds)).all())
    True
    >>> bool(abs(mroas(ds, delta=1e-4) - mroas(ds)).max() < 1e-3)
    True
    """
    check_variables(ds, "spend")
    check_carryout(with_carryout, within_data, reacting)
    delta = checked_delta(delta)
    over, windows = summed_over(by), windows_of(ds, window, freq)
    realised = realised and "capacity" in ds

    def rise(response: Response, _: Arrays) -> list[FloatArray]:
        if not with_carryout:
            return [response.marginal_of_all_spend(windows, delta)]
        return [by_window(windows, lambda period: response.marginal(period, delta))]

    reaction = reaction_of(ds) if reacting else None
    if reaction is not None:
        together = "channel" in over
        made = reacting_rise(ds, reaction, windows, delta, together=together, realised=realised)
        labels = {dim: ds[dim] for dim in EARNED[:2]}
        found = xr.DataArray(made, dims=EARNED, coords=labels)
    else:
        sizes = {"period": len(windows.periods)}
        cut = within_data or not with_carryout
        # Under a capacity, the rises of single channels do not add up to that of all.
        together = realised and "channel" in over
        (found,) = of_response(
            ds, rise, [EARNED], sizes, within_data=cut, together=together, realised=realised
        )
    revenue = summed(found, windows, over)
    if with_carryout:
        revenue = with_complete(revenue, ds, over, windows)
    result = ratio(revenue, total(ds["spend"], over, windows)).rename("mroas")
    meaning = meaning_of_mroas(delta, with_carryout, within_data or realised)
    meaning += ", cut at the capacity" if realised else ""
    return result.assign_attrs(units="1", long_name=meaning)


def attribution(
    ds: xr.Dataset,
    by: By = "channel",
    *,
    of: Literal["sales", "media"] = "sales",
    rule: Literal["zero_out", "shapley"] = "zero_out",
    window: Window = None,
    freq: str | None = None,
    reacting: bool = False,
) -> xr.DataArray:
    r"""Compute each channel's share of expected sales, or of the contribution of all media.

    .. math::

        \text{attribution}_c = \frac{\sum_{t, g} \text{contribution}_{tgc}}{\sum_{t, g} \mu_{tg}}

    Parameters
    ----------
    ds : Dataset
        A generated Dataset, or an ensemble, which may be lazy.
    by : {"channel", "geo"} or both, default "channel"
        Dims of the result. With geos, the shares are of the geo's own sales or media.
    of : {"sales", "media"}
        Whole that the share is of: the sum of ``mu``, or the sales of all media.
    rule : {"zero_out", "shapley"}
        Sales of a channel: those lost without it, or its Shapley value. Both are the contribution
        of the channel unless channels act on each other; then only Shapley values add up to the
        sales of all media.
    window, freq : optional
        Dates, and one figure for every period of them, as for `roas`.
    reacting : bool, default False
        As for `roas`.

    Returns
    -------
    DataArray, dims `by`, after ``dataset`` of an ensemble and ``period`` if there is a `freq`
        Share, a number; NaN where the whole is 0.

        For Shapley values of more than 12 connected channels, which are sampled, the coordinate
        ``standard_error`` has the error of the sum over all dates and geos, as a share.

        *Window*: `window`, or each period. *Carry-over*: the effect of earlier spend counts,
        that of the window's spend after its end does not. *Sign*: positive where spend adds
        sales. *Scale*: shares of media sum to 1 unless
        channels act on each other, and with Shapley values always; noise-free.

    Raises
    ------
    SchemaError
        If `ds` lacks a variable, or if its contributions do not follow from its spend.
    ConfigError
        If `by`, `of`, `rule` or the window is not valid, or `rule` is "shapley" with `reacting`.

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
    if rule not in ("zero_out", "shapley"):
        raise ConfigError(f"found {rule!r}, {nearest(str(rule), RULES)}", path="rule")
    if rule == "shapley" and reacting:
        raise ConfigError("found 'shapley' with reacting=True, allowed: one of them", path="rule")
    check_variables(ds, "channel_contribution", "mu")
    over, windows = summed_over(by), windows_of(ds, window, freq)
    whole = ds["mu"] if of == "sales" else media_together(ds)
    error = None
    if rule == "shapley":
        shares = shapley_contribution(ds)
        made, error = shares.values, shares.standard_error
    else:
        made = incremental_contribution(ds, reacting=reacting, together="channel" in over)
    part = share(made, whole, over, windows).rename("attribution")
    if error is not None and "channel" not in over:
        total_sales = made.sum() if whole is None else whole.sum()
        part = part.assign_coords(standard_error=error / float(total_sales))
    words = "expected sales" if of == "sales" else "the sales of all media"
    return part.assign_attrs(units="1", long_name=f"share of {words}")


def cost_per_incremental(
    ds: xr.Dataset,
    by: By = "channel",
    *,
    window: Window = None,
    freq: str | None = None,
    reacting: bool = False,
    realised: bool = False,
) -> xr.DataArray:
    r"""Compute the spend per incremental unit of the KPI.

    .. math::

        \frac{\sum_{t \in W, g} \text{spend}_{tgc}}{\sum_{t \in W, g} \text{contribution}_{tgc}}

    Parameters
    ----------
    ds : Dataset
        A generated Dataset, or an ensemble, which may be lazy.
    by : {"channel", "geo"} or both, default "channel"
        Dims of the result; the others are summed.
    window, freq : optional
        Dates, and one figure for every period of them, as for `roas`.
    reacting, realised : bool, default False
        As for `roas`.

    Returns
    -------
    DataArray, dims `by`, after ``dataset`` of an ensemble and ``period`` if there is a `freq`
        Currency per unit of the KPI; NaN without spend, infinite if spend adds nothing.

        *Window*: `window`, or each period. *Carry-over*: the effect of earlier spend counts,
        that of the window's spend after its end does not. *Sign*: positive where spend adds
        sales. *Scale*: original units, noise-free.

    Raises
    ------
    SchemaError
        If `ds` lacks a variable, or if its contributions do not follow from its spend.
    ConfigError
        If `by` or the window is not valid.

    Examples
    --------
    >>> import mmm_xgen
    >>> ds = mmm_xgen.generate_mmm_dataset()
    >>> (1 / cost_per_incremental(ds)).values.round(3).tolist()
    [2.4, 1.5, 3.0]
    """
    check_variables(ds, "spend", "channel_contribution")
    over, windows = summed_over(by), windows_of(ds, window, freq)
    spend = total(ds["spend"], over, windows)
    result = cost(
        spend,
        total(
            incremental_contribution(
                ds, reacting=reacting, together="channel" in over, realised=realised
            ),
            over,
            windows,
        ),
    )
    currency, kpi = ds.attrs.get("currency", "currency"), ds.attrs.get("kpi", "KPI")
    return result.rename("cost_per_incremental").assign_attrs(
        units=f"{currency} / {kpi}", long_name="spend per incremental unit of the KPI"
    )


# --- parts that these functions and `mmm_xgen.truth.returns.estimands` share


def summed_over(by: By) -> list[str]:
    """Return the dims of media that are summed.

    Raises
    ------
    ConfigError
        If `by` names something other than a geo or channel.
    """
    names = (by,) if isinstance(by, str) or not isinstance(by, Iterable) else tuple(by)
    for name in names:
        if name not in BY:
            raise ConfigError(f"found {name!r}, {nearest(str(name), BY)}", path="by")
    return [dim for dim in MEDIA_DIMS if dim not in names]


def total(array: xr.DataArray, over: list[str], windows: Windows) -> xr.DataArray:
    """Return the sum over dims, and over the dates of each window."""
    apart = [dim for dim in over if dim != "date" and dim in array.dims]
    return in_order(windows.sum(array.astype(float, copy=False).sum(apart, skipna=False)))


def by_window(windows: Windows, function: Callable[[slice], FloatArray]) -> FloatArray:
    """Return the results of `function` for each window, dims (..., period)."""
    return np.stack([function(period) for period in windows.periods], axis=-1)


def summed(array: xr.DataArray, windows: Windows, over: list[str]) -> xr.DataArray:
    """Return an array with the dims `EARNED`, summed over dims and labelled by period."""
    apart = [dim for dim in over if dim != "date"]
    return in_order(windows.label(array.sum(apart, skipna=False)))


def with_complete(figures: Figures, ds: xr.Dataset, over: list[str], windows: Windows) -> Figures:
    """Add the coordinate ``complete``: True if all carry-out arrives by the last date."""
    late = (ds["spend"] > 0) & outlasts_data(ds)
    attrs = {"units": "1", "long_name": "whether all carry-out arrives by the last date"}
    if (population := population_in(ds)) is not None:
        attrs["cut"] = f"{population.left:.1g} of a change, after {population.reach} periods"
    elif "mediator_effect" in ds:
        attrs["cut"] = f"less than {FADED:g} of the rise of a mediator"
    complete = total(late, over, windows) == 0
    return figures.assign_coords(complete=(complete.dims, complete.data, attrs))


def share(
    contribution: xr.DataArray, mu: xr.DataArray | None, over: list[str], windows: Windows
) -> xr.DataArray:
    """Return contributions as a share of `mu`, or of all contributions if `mu` is None."""
    if mu is None:
        whole = total(contribution, [*{*over, "channel"}], windows)
    else:
        whole = total(mu, [dim for dim in over if dim != "channel"], windows)
    return in_order(total(contribution, over, windows) / whole.where(whole != 0))


def in_order(array: xr.DataArray) -> xr.DataArray:
    """Return an array with period, geo and channel last."""
    dims = [dim for dim in ("period", *BY) if dim in array.dims]
    return array.transpose(..., *dims)


def ratio(above: xr.DataArray, below: xr.DataArray) -> xr.DataArray:
    """Return the ratio; NaN if the denominator is not above 0."""
    return in_order(above / below.where(below > 0))


def cost(spend: xr.DataArray, contribution: xr.DataArray) -> xr.DataArray:
    """Return spend per unit; NaN without spend, infinite if spend adds nothing."""
    # Avoid a division by zero: NumPy would warn, for lazy data only at the computation.
    finite = spend.where(spend > 0) / contribution.where(contribution != 0)
    return in_order(finite.where((contribution != 0) | ~(spend > 0), np.inf))


def checked_delta(delta: Any) -> float | None:
    """Return a relative change of spend, after a check.

    Raises
    ------
    ConfigError
        If it is not a number, is 0, or would make spend negative.
    """
    if delta is None:
        return None
    if isinstance(delta, Real) and not isinstance(delta, bool):
        number = float(delta)
        if np.isfinite(number) and number >= -1 and number != 0:
            return number
    raise ConfigError(
        f"found {shown(delta)}, allowed: a relative change such as 0.01, at least -1 and not 0, "
        "or None for the derivative",
        path="delta",
    )


def check_carryout(with_carryout: bool, within_data: bool, reacting: bool = False) -> None:
    """Raise if `within_data` is used without carry-out, or `reacting` with it.

    Raises
    ------
    ConfigError
        If `within_data` is True and `with_carryout` is False, or if `reacting` and `with_carryout`
        are both True.
    """
    if reacting and with_carryout:
        raise ConfigError(
            "found True with with_carryout=True, allowed: one of them, since what spend answers to "
            "after the last date is not known",
            path="reacting",
        )
    if within_data and not with_carryout:
        raise ConfigError(
            "found True without with_carryout=True, whose carry-out it ends at the last date; "
            "drop it, or add with_carryout=True",
            path="within_data",
        )


def meaning_of_carryout(where: str, within_data: bool) -> str:
    """Return a text on the end of the carry-out of a figure."""
    return f"{where}, up to the last date" if within_data else where


def meaning_of_mroas(delta: float | None, with_carryout: bool, within_data: bool = False) -> str:
    """Return a text on a marginal return."""
    change = "one more unit of spend" if delta is None else f"spend changed by {delta:+.4g} times"
    if not with_carryout:
        return (
            f"marginal return: revenue in the window by {change}, in proportion on all dates, "
            "per unit of that change in the window"
        )
    where = meaning_of_carryout("there and within the carry-over after it", within_data)
    return f"marginal return: revenue by {change} in the window, {where}, per unit of that change"
