"""All estimands of a dataset at once, and total contributions."""

from __future__ import annotations

import numpy as np
import xarray as xr

from mmm_xgen.dataset import VARIED, coordinate_of, varied_paths
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.schema import check_variables, parts_of
from mmm_xgen.truth.returns.incremental import (
    STORED,
    Arrays,
    Response,
    checked_contribution,
    media_together,
    of_response,
)
from mmm_xgen.truth.returns.roas import (
    EARNED,
    By,
    attribution,
    by_window,
    checked_delta,
    cost,
    cost_per_incremental,
    in_order,
    meaning_of_carryout,
    meaning_of_mroas,
    mroas,
    ratio,
    roas,
    share,
    summed,
    summed_over,
    total,
    with_complete,
)
from mmm_xgen.truth.returns.shape import (
    amplitude_weights,
    half_life,
    half_of_effect,
    half_saturation,
    limits,
)
from mmm_xgen.truth.returns.windows import Windows, windows_of
from mmm_xgen.truth.what_if.counterfactual import Window

__all__ = [
    "By",
    "attribution",
    "contribution_totals",
    "cost_per_incremental",
    "estimands",
    "mroas",
    "roas",
]

OUTCOMES = ("mu", "noise", "y")
# Parts of the noise, which a Dataset has if it has the mechanism.
OF_NOISE = ("outlier_contribution", "lost_sales")

# Estimands of adstock and saturation shape.
SHAPES = ("adstock_half_life", "half_of_effect", "half_saturation", "saturation_level")

# Units and meaning of every estimand.
FIGURES = {
    "spend": ("{currency}", "spend"),
    "contribution": ("{kpi}", "contribution of the channel"),
    "revenue": ("{currency}", "revenue from the contribution of the channel"),
    "roas": ("1", "return on ad spend: revenue lost without the channel, per unit of its spend"),
    "roas_with_carryout": (
        "1",
        "return on ad spend: revenue lost without the channel's spend in the window, there and "
        "within the carry-over after it, per unit of that spend",
    ),
    "mroas": ("1", ""),
    "mroas_with_carryout": ("1", ""),
    "cost_per_incremental": ("{currency} / {kpi}", "spend per incremental unit of the KPI"),
    "attribution": ("1", "share of expected sales"),
    "attribution_of_media": ("1", "share of the contribution of all media"),
    "adstock_half_life": (
        "periods",
        "periods after its peak in which the weight of the adstock falls to half the peak",
    ),
    "half_of_effect": ("periods", "periods until half of the effect of spend has arrived"),
    "half_saturation": (
        "{currency}",
        "constant spend per period that makes half of what any spend could make",
    ),
    "saturation_level": ("1", "mean of the curve over its limit"),
}


def estimands(
    ds: xr.Dataset,
    *,
    by: By = ("geo", "channel"),
    window: Window = None,
    freq: str | None = None,
    delta: float | None = None,
    within_data: bool = False,
    realised: bool = False,
) -> xr.Dataset:
    r"""Compute every estimand of a dataset, on the noise-free mean and without sampling error.

    :math:`W` is the window, :math:`r` the revenue per KPI unit and :math:`C` the contribution.
    Sums run over the dims that are not in `by`:

    ========================  ===================================================================
    variable                  definition
    ========================  ===================================================================
    ``spend``                 sum over W
    ``contribution``          :math:`\sum_W C`, KPI units
    ``revenue``               :math:`\sum_W r C`
    ``roas``                  revenue in W lost if the channel were zero on *all* dates, over
                              ``spend``: carry-in counts, carry-out does not
    ``roas_with_carryout``    revenue lost from the start of W to ``l_max - 1`` periods after its
                              end if the channel were zero *in W only*, over ``spend``
    ``mroas``                 derivative of the revenue in W by an equal proportional change of
                              spend on *all* dates, earlier ones included, over ``spend``
    ``mroas_with_carryout``   derivative of the revenue from the start of W to ``l_max - 1``
                              periods after its end by the same change *in W only*, over
                              ``spend``
    ``cost_per_incremental``  ``spend`` over ``contribution``
    ``attribution``           ``contribution`` over :math:`\sum_W \mu`
    ``attribution_of_media``  ``contribution`` over that of all channels
    ``adstock_half_life``     periods after its peak in which the weight of the kernel falls to
                              half the peak, as ``half_life`` in a configuration: for a geometric
                              adstock :math:`\log 0.5 / \log \alpha`, for any l_max. For kinds
                              without ``half_life``, interpolated between lags on the log scale
    ``half_of_effect``        periods until half of the mass of the kernel has arrived. The
                              kernel ends at l_max; interpolated in the same way
    ``half_saturation``       constant spend per period at which a channel reaches, in the long
                              run, half of the limit of its curve; NaN without a limit
    ``saturation_level``      mean over W of the curve over its limit; NaN without a limit
    ========================  ===================================================================

    After the last date, spend is 0 and the revenue per KPI unit stays at its last value.
    Over several geos, ``half_saturation`` is the total spend, split as the spend of all dates (by
    population if there is none). ``saturation_level`` is the share of their limits together. The
    two half-lives are means weighted by spend. If media spill over between geos, a figure of a geo
    divides what is sold in it by what is spent in it, and it has no ``half_saturation``.

    Parameters
    ----------
    ds : Dataset
        A generated Dataset with all its dates, or an ensemble of them, lazily if it is lazy; it
        may be a selection of geos or channels.
    by : {"channel", "geo"} or both, default both
        Dims of the result; the others are summed. Without ``"channel"`` the last four variables
        are left out.
    window : str, slice, pair or date, optional
        Dates, as for `mmm_xgen.truth.what_if.counterfactual.window_periods`; all by default.
    freq : {"D", "W-MON", ..., "W-SUN", "MS", "QS", "YS"}, optional
        One figure for every such period of the window. A date belongs to the period that
        contains it.
    delta : float, optional
        ``mroas`` by a finite relative change, such as 0.01, instead of the derivative.
    within_data : bool, default False
        If True, carry-out ends at the last date, as in PyMC-Marketing's incrementality.
    realised : bool, default False
        If True, sales are cut at the capacity, as for `roas`, and shares are of sales ``y`` and of
        the sum over channels. The last four variables do not change.

    Returns
    -------
    Dataset, dims `by`, after ``dataset`` of an ensemble and ``period`` if there is a `freq`
        The variables above. Half-lives and half-saturation do not depend on the window. Periods
        are labelled by their first day, with the coordinates ``first_date`` and ``last_date``.
        The coordinate ``complete`` is True if all carry-out arrives by the last date, so
        `within_data` makes no difference.

        *Window*: `window`, or each period. *Carry-over*: as in the table. The figures of several
        windows do not add up to that of all dates once curves saturate. *Sign*: positive where
        spend adds sales. *Scale*: original units. Ratios to spend are NaN where nothing was
        spent; ``cost_per_incremental`` is infinite where spend adds nothing.

    Raises
    ------
    SchemaError
        If `ds` lacks a variable, or if its contributions do not follow from its spend, as after
        a cut of dates or an aggregation.
    ConfigError
        If `by`, the window, `freq` or `delta` is not valid.

    Examples
    --------
    >>> import mmm_xgen
    >>> ds = mmm_xgen.generate_mmm_dataset()
    >>> truth = estimands(ds, by="channel")
    >>> truth.roas.values.round(3).tolist()
    [2.4, 1.5, 3.0]
    >>> bool((truth.mroas < truth.roas).all())
    True
    >>> estimands(ds, window="2022", freq="QS").mroas.sizes
    Frozen({'period': 4, 'geo': 2, 'channel': 3})
    """
    check_variables(ds, "spend", "channel_contribution", "revenue_per_kpi", "mu", "population")
    delta = checked_delta(delta)
    over, windows = summed_over(by), windows_of(ds, window, freq)
    together, with_shapes = "geo" in over, "channel" not in over
    realised = realised and "capacity" in ds

    def of_chunk(response: Response, arrays: Arrays) -> list[FloatArray]:
        lost = by_window(windows, response.lost)
        rise = response.marginal_of_all_spend(windows, delta)
        carried_rise = by_window(windows, lambda period: response.marginal(period, delta))
        stored = arrays["channel_contribution"]
        without = response.incremental()[..., : stored.shape[-1]] if response.is_joint else stored
        made = [without, lost, rise, carried_rise]
        if not with_shapes:
            return made
        return [*made, *_shapes(response, arrays["population"], windows, together=together)]

    item = ("channel",) if together else ("channel", "geo")
    shape_dims = [item, item, item, (*item, "period")] if with_shapes else []
    checked, *found = of_response(
        ds,
        of_chunk,
        [STORED, EARNED, EARNED, EARNED, *shape_dims],
        {"period": len(windows.periods)},
        within_data=within_data,
        together=not with_shapes,
        realised=realised,
    )
    lost, rise, carried_rise = (summed(revenue, windows, over) for revenue in found[:3])
    made = checked.transpose(*ds["channel_contribution"].dims)
    spend = total(ds["spend"], over, windows)
    contribution = total(made, over, windows)
    revenue = total(made * ds["revenue_per_kpi"], over, windows)
    of_media = None if realised else media_together(ds)
    figures = {
        "spend": spend,
        "contribution": contribution,
        "revenue": revenue,
        "roas": ratio(revenue, spend),
        "roas_with_carryout": ratio(lost, spend),
        "mroas": ratio(rise, spend),
        "mroas_with_carryout": ratio(carried_rise, spend),
        "cost_per_incremental": cost(spend, contribution),
        "attribution": share(made, ds["y" if realised else "mu"], over, windows),
        "attribution_of_media": share(made, of_media, over, windows),
    }
    figures |= {
        name: in_order(windows.label(values))
        for name, values in zip(SHAPES, found[3:], strict=False)
    }
    result = _stamped(ds, figures, windows, delta, within_data=within_data or realised)
    if realised:
        result.attrs["sales"] = "realised, cut at the capacity"
    return with_complete(result, ds, over, windows)


def _shapes(
    response: Response, population: FloatArray, windows: Windows, *, together: bool
) -> list[FloatArray]:
    """Return the estimands in `SHAPES`, for single geos or for all geos together."""
    media, weights = response.media, response.weights
    split = response.spend[..., response.n_past :].sum(axis=-1)
    split = np.where(split.any(axis=-1, keepdims=True), split, population[..., None, :])
    spillover = response.world.spillover

    def mean(values: FloatArray) -> FloatArray:
        if not together:
            return values
        share = split / split.sum(axis=-1, keepdims=True)
        # A geo without spend has weight 0, even if its half-life is infinite.
        parts = np.multiply(share, values, out=np.zeros_like(share), where=share > 0)
        return np.asarray(parts.sum(axis=-1, keepdims=True))

    weight = amplitude_weights(media)
    reached = weight[..., None] * windows.sum_last(response.saturated) / windows.lengths
    limit = (weight * limits(media))[..., None]
    if together:
        reached, limit = (each.sum(axis=-2, keepdims=True) for each in (reached, limit))
    arrived = split if spillover is None else spillover.spread(split[..., None])[..., 0]
    half = half_saturation(media, weights, arrived, together=together)
    if spillover is not None and not together:
        # The spend of a single geo does not make half of what can be sold there.
        half = np.where(spillover.strength[..., None] > 0, np.nan, half)
    shapes = [mean(half_life(media, weights)), mean(half_of_effect(weights)), half]
    level = reached / limit
    if together:
        return [*(each[..., 0] for each in shapes), level[..., 0, :]]
    return [*shapes, level]


def _stamped(
    ds: xr.Dataset,
    figures: dict[str, xr.DataArray],
    windows: Windows,
    delta: float | None,
    *,
    within_data: bool,
) -> xr.Dataset:
    """Return estimands with units and meaning, without the coordinates of the kinds."""
    units = {"currency": ds.attrs.get("currency", ""), "kpi": ds.attrs.get("kpi", "")}
    # Keep the coordinates that identify the datasets of an ensemble.
    told = {"first_date", "last_date"}
    if VARIED in ds.attrs and "dataset" in ds.dims:
        told |= {"seed", *map(coordinate_of, varied_paths(ds))}
    result = xr.Dataset()
    for name, values in figures.items():
        unit, meaning = FIGURES[name]
        if name.startswith("mroas"):
            meaning = meaning_of_mroas(delta, name.endswith("carryout"), within_data)
        elif name.endswith("carryout"):
            meaning = meaning_of_carryout(meaning, within_data)
        others = {*values.coords} - {*values.dims, *told}
        attrs = {"units": unit.format(**units), "long_name": meaning}
        result[name] = values.drop_vars(others).drop_attrs(deep=False).assign_attrs(attrs)
    result.attrs = {key: value for key, value in units.items() if value}
    return result.assign_attrs(window=windows.describe(), mroas=delta or "derivative")


def outcomes_of(ds: xr.Dataset) -> list[str]:
    """Return the names of sales, expected sales and noise, and of known parts of the noise.

    Examples
    --------
    >>> import mmm_xgen
    >>> outcomes_of(mmm_xgen.generate_mmm_dataset(regions={"capacity": 2.0}))
    ['mu', 'noise', 'y', 'lost_sales']
    """
    return [*OUTCOMES, *(name for name in OF_NOISE if name in ds)]


def contribution_totals(ds: xr.Dataset) -> xr.Dataset:
    """Sum over all dates of every part of sales, and of sales themselves.

    Parameters
    ----------
    ds : Dataset
        A generated Dataset, or an ensemble, which may be lazy.

    Returns
    -------
    Dataset, dims (geo, channel), (geo, control) or (geo,), after ``dataset`` of an ensemble
        The variables of `ds` under their names, in KPI units; interactions and mediators have
        their own dims. The parts sum to ``mu``, and ``mu`` and ``noise`` to ``y``; outliers and
        lost sales are in the noise.

        *Window*: all dates of `ds`. *Carry-over*: the effect of earlier spend counts, that of
        the window's spend after its end does not. *Sign*: positive where sales are added.
        *Scale*: original units; all but ``noise`` and ``y`` noise-free.

    Raises
    ------
    SchemaError
        If `ds` lacks a variable, or if its contributions do not follow from its spend.

    Examples
    --------
    >>> import mmm_xgen
    >>> totals = contribution_totals(mmm_xgen.generate_mmm_dataset())
    >>> totals["channel_contribution"].dims
    ('geo', 'channel')
    """
    shown = [*parts_of(ds), *outcomes_of(ds)]
    check_variables(ds, *shown)
    ds = ds.assign(channel_contribution=checked_contribution(ds))
    totals = {}
    for name in shown:
        variable = ds[name]
        if "date" in variable.dims:
            in_all = variable.sum("date", skipna=False)
        else:
            in_all = variable * ds.sizes["date"]
        attrs = {**variable.attrs, "long_name": f"{variable.attrs.get('long_name', name)}, in all"}
        totals[name] = in_all.assign_attrs(attrs)
    return xr.Dataset(totals)
