"""Counterfactuals: a Dataset under another spend."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from mmm_xgen.config.base import shown
from mmm_xgen.dataset import in_memory
from mmm_xgen.errors import AlignmentError, ConfigError, SchemaError, nearest
from mmm_xgen.generation.multiplicative import in_kpi_units
from mmm_xgen.kernels.adstock import convolve
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.labelled_world import kernel_dims
from mmm_xgen.response import per_effect, platform_report
from mmm_xgen.schema import LOG_BASELINE, LOG_PARTS, PARTS, check_variables, describe
from mmm_xgen.truth.media import array_of, channel_label, history_of, spend_of, world_from
from mmm_xgen.truth.what_if.reacting import (
    Reaction,
    capacity_of,
    reaction_of,
    uncapped_noise,
)
from mmm_xgen.world import Stages, World, added_by_media, media_outcome, media_parts, respond_to

Window: TypeAlias = str | slice | Sequence[Any] | datetime.date | np.datetime64 | None

MEDIA_DIMS = ("date", "geo", "channel")
# Variables that change with the spend.
RESPONSES = ("carryover", "saturated", "channel_contribution")
# Numbers of channels that platforms report with.
PLATFORM = ("cost_per_click", "click_substitution", "over_reporting")
# Number of letters of the longest text that can be a date.
LONGEST_DATE = 40
# Largest relative difference between stored contributions and those computed from the spend.
TOLERANCE = 1e-7
# The same for files of float32, whose parameters have 7 digits too.
TOLERANCE_OF_FLOAT32 = 1e-4


@in_memory
def simulate(ds: xr.Dataset, *, spend: xr.DataArray, reacting: bool = False) -> xr.Dataset:
    r"""Return the Dataset under another spend, with everything else unchanged.

    With :math:`C` the contributions of the channels under today's spend and :math:`C'` those
    under the other spend:

    .. math:: \mu'_t = \mu_t + \sum_c (C'_{tc} - C_{tc}), \qquad y'_t = \mu'_t + \text{noise}_t

    Baseline, controls, noise, parameters and the spend before the window stay, and y is not clipped
    at 0 again. With multiplicative sales, the log of the baseline and the noise as a share of
    expected sales stay. A capacity cuts sales again:

    .. math:: y'_t = \min(\mu'_t + \text{noise}_t + \text{lost sales}_t,\ \text{capacity})

    Cells that the change does not reach, even by carry-over, keep every bit, so
    ``simulate(ds, spend=ds.spend)`` is identical to `ds`.

    Parameters
    ----------
    ds : Dataset
        A generated Dataset with all its dates; it may be a selection of geos or channels.
    spend : DataArray, dims (date, geo, channel) and more
        Currency per period. Missing dates, geos and channels keep today's spend. A scalar
        coordinate can replace a dim, as in ``ds.spend.sel(channel="TV")``. Further dims (scenario,
        draw) come first in the results. Experiments of the configuration are part of ``ds.spend``
        and are not applied again.
    reacting : bool, default False
        If True, `spend` sets the cells that differ from today's, and budget rules and paid funnels
        decide the others: the effect of a policy. Noise that is a share of expected sales, which
        rules see, then stays the same share. If False, the spend of all others is held.

    Returns
    -------
    Dataset
        `ds` with other ``spend``, ``carryover``, ``saturated``, ``channel_contribution``, ``mu``
        and ``y``, and with a capacity ``noise`` and ``lost_sales``. If anything changed,
        ``attrs["counterfactual"]`` describes it, and the configuration moves to
        ``attrs["factual_config"]``, because it does not generate this.

    Raises
    ------
    ConfigError
        If spend is negative, missing or infinite. The message names date, geo and channel.
    AlignmentError
        If `spend` has a label that `ds` does not have, a label twice, or no labels.
    SchemaError
        If the contributions of `ds` do not follow from its spend, as after a cut of dates.

    Examples
    --------
    >>> import mmm_xgen
    >>> ds = mmm_xgen.generate_mmm_dataset()
    >>> simulate(ds, spend=ds.spend).identical(ds)
    True
    >>> without = simulate(ds, spend=0 * ds.spend.sel(channel="Trend"))
    >>> lost = ds.y - without.y
    >>> bool(abs(lost - ds.channel_contribution.sel(channel="Trend")).max() < 1e-9)
    True
    """
    check_variables(ds, "spend", "effect", *RESPONSES, "mu", "noise", "y")
    plan = full_plan(ds, spend)
    extra = plan.dims[:-3]
    new_spend = plan.transpose(*extra, "channel", "geo", "date").to_numpy()
    changed = new_spend != spend_of(ds)
    check_contributions(ds)
    reaction = reaction_of(ds) if reacting and changed.any() else None
    if reaction is not None:
        new_spend = reaction.answer(new_spend, changed, reaction.market.history)
        changed = new_spend != spend_of(ds)
    if not extra and not changed.any():
        return ds.copy()

    new = _series(ds, new_spend, reaction)
    stored = {name: array_of(ds, name, *kernel_dims(name)) for name in new}
    world = world_from(ds)
    # Keep the cells that the change does not reach, so that rounding does not change them.
    spills = world.spillover is not None
    lasting = world.is_connected or world.pull_forward is not None or spills
    if lasting or {"effect_path", "campaign_spend"} & set(new):
        today = _series(ds, spend_of(ds), reaction)
        reached = {name: new[name] != today[name] for name in new}
    else:
        kernel = (world.weights != 0).astype(float)
        reached = dict.fromkeys(new, convolve(changed.astype(float), kernel) > 0)
    new = {name: np.where(reached[name], new[name], stored[name]) for name in new}

    mu = array_of(ds, "mu", "geo", "date")
    parts = [name for name in new if name in PARTS]
    rises = ((new[name] - stored[name], describe(name).dims[2:]) for name in parts)
    new_mu = sum((rise.sum(axis=-3) if items else rise for rise, items in rises), mu)
    new["mu"] = new_mu
    # With multiplicative sales, and with rules that answered to them, noise is a share of sales.
    is_relative = "log_channel" in ds or (reaction is not None and reaction.market.is_relative)
    new |= _observed(ds, new_mu, is_relative)
    arrays = {"spend": new_spend, **new}
    labelled = {name: _labelled(ds, plan, name, values) for name, values in arrays.items()}
    return _stamped(ds.assign(labelled), plan, changed)


def _observed(ds: xr.Dataset, new_mu: FloatArray, is_relative: bool) -> dict[str, FloatArray]:
    """Return sales, and the noise if it changes, dims (..., geo, date), by Dataset name.

    Cells whose expected sales stay keep every bit. Relative noise keeps its share of them, as in
    the sales that rules answered to.
    """
    mu, y, stored = (array_of(ds, name, "geo", "date") for name in ("mu", "y", "noise"))
    new: dict[str, FloatArray] = {}
    noise = uncapped_noise(ds)
    if is_relative:
        noise = new["noise"] = np.where(new_mu == mu, noise, noise * new_mu / mu)
        if "outlier_contribution" in ds:
            added = array_of(ds, "outlier_contribution", "geo", "date")
            new["outlier_contribution"] = np.where(new_mu == mu, added, added * new_mu / mu)
    capacity = capacity_of(ds)
    if capacity is None:
        return new | {"y": np.where(new_mu == mu, y, new_mu + noise)}
    sales = new_mu + noise
    is_cut, lost = sales > capacity, array_of(ds, "lost_sales", "geo", "date")
    noise = np.where(is_cut, capacity - new_mu, noise)
    new["noise"] = np.where(new_mu == mu, stored, noise)
    new["lost_sales"] = np.where(new_mu == mu, lost, np.maximum(sales - capacity, 0.0))
    return new | {"y": np.where(new_mu == mu, y, np.minimum(sales, capacity))}


def _series(ds: xr.Dataset, spend: FloatArray, reaction: Reaction | None) -> dict[str, FloatArray]:
    """Return the series that depend on spend, by Dataset name; a competitor answers if known."""
    world = world_from(ds)
    competing: dict[str, FloatArray] = {}
    if reaction is not None and reaction.market.competitor is not None:
        world, competing = reaction.beside(spend)
    made, effect = (
        respond_to(spend, world, history_of(ds)),
        array_of(ds, "effect", "geo", "channel"),
    )
    shown = per_effect((made.carryover, made.saturated), world.media, effect)
    sold, states = _parts_and_states(ds, made, world, competing)
    contributions = sold["channel_contribution"]
    series = dict(zip(RESPONSES, shown, strict=False)) | sold | states | competing
    platform = {name: array_of(ds, name, "channel") for name in PLATFORM if name in ds}
    series |= platform_report(made.spend, contributions, platform)
    if made.mediators is not None:
        series["mediator_value"] = made.mediators
    if "campaign_share" in ds:
        series["campaign_spend"] = _campaign_spend(ds, made.spend)
    return series | ({"exposure": made.exposure} if "exposure" in ds else {})


def _parts_and_states(
    ds: xr.Dataset, made: Stages, world: World, competing: Mapping[str, FloatArray]
) -> tuple[dict[str, FloatArray], dict[str, FloatArray]]:
    """Return the parts of sales that depend on spend, and states, by Dataset name.

    With multiplicative sales, the losses without each part of the baseline are among them.
    `competing` has the series of a competitor that answers.
    """
    if "log_channel" not in ds:
        return media_outcome(made, world)
    logs = {LOG_PARTS[name]: part for name, part in added_by_media(made, world).items()}
    held = {name: array_of(ds, name, *kernel_dims(name)) for name in LOG_BASELINE if name in ds}
    held |= {name: competing[name] for name in held.keys() & competing.keys()}
    parts, _ = in_kpi_units(held | logs, array_of(ds, "intercept_contribution", "geo"))
    del parts["intercept_contribution"]
    return parts | logs, {}


def _campaign_spend(ds: xr.Dataset, spend: FloatArray) -> FloatArray:
    """Return the spend of each campaign; a campaign keeps its spend if its channel is missing."""
    names = [str(name) for name in ds["channel"].values]
    share, today = (
        array_of(ds, f"campaign_{name}", "campaign", "geo", "date") for name in ("share", "spend")
    )
    made = np.array(np.broadcast_to(today, (*spend.shape[:-3], *today.shape)), spend.dtype)
    for row, channel in enumerate(map(str, ds["campaign_channel"].values)):
        if channel in names:
            made[..., row, :, :] = spend[..., names.index(channel), :, :] * share[row]
    return made


def _labelled(ds: xr.Dataset, plan: xr.DataArray, name: str, values: FloatArray) -> xr.DataArray:
    """Return arrays with dates last, labelled like the variable of that name in `ds`."""
    extra = plan.dims[:-3]
    dims = (*extra, *reversed(describe(name).dims))
    coords = {key: coord for key, coord in plan.coords.items() if set(coord.dims) <= {*extra}}
    array = xr.DataArray(values, dims=dims, coords=coords, attrs=ds[name].attrs)
    return array.transpose(*extra, *ds[name].dims)


def _stamped(simulated: xr.Dataset, plan: xr.DataArray, changed: NDArray[np.bool_]) -> xr.Dataset:
    """Mark the Dataset as a counterfactual, which its configuration does not generate."""
    cells = changed.reshape(-1, *changed.shape[-3:]).any(axis=0)
    channel, geo, date = (np.unique(positions) for positions in np.nonzero(cells))
    channels, geos, dates = (
        plan[dim].values[at] for dim, at in (("channel", channel), ("geo", geo), ("date", date))
    )
    told = "today's spend"
    if channels.size:
        first, last = (np.datetime_as_string(date, unit="D") for date in (dates[0], dates[-1]))
        told = f"other spend of {', '.join(channels)} in {', '.join(geos)}, {first} to {last}"
    if plan.dims[:-3]:
        told += f", by {', '.join(map(str, plan.dims[:-3]))}"
    attrs = dict(simulated.attrs)
    if "config" in attrs:
        attrs["factual_config"] = attrs.pop("config")
    before = attrs.get("counterfactual")
    attrs["counterfactual"] = f"{before}; then {told}" if before else told
    simulated.attrs = attrs
    return simulated


def check_contributions(ds: xr.Dataset) -> None:
    """Raise if contributions do not follow from the spend: every what-if would be wrong.

    Parameters
    ----------
    ds : Dataset
        A generated Dataset, or a selection of its geos and channels.

    Raises
    ------
    SchemaError
        If stored and computed contributions differ, as after a cut of dates or a change of
        spend alone.
    """
    check_variables(ds, "spend", "channel_contribution")
    world = world_from(ds)
    made = respond_to(spend_of(ds), world, history_of(ds))
    stored = array_of(ds, "channel_contribution", "channel", "geo", "date")
    check_equal(stored, media_parts(made, world)["channel_contribution"])


def check_equal(stored: FloatArray, today: FloatArray) -> None:
    """Raise if contributions, dims (..., channel, geo, date), do not follow from the spend.

    Raises
    ------
    SchemaError
        If they differ by more than rounding. The tolerance allows for files of float32.
    """
    tolerance = TOLERANCE if stored.dtype == float else TOLERANCE_OF_FLOAT32
    sizes, known = np.abs(stored), np.isfinite(stored)
    size = sizes.max(axis=(-3, -2, -1), keepdims=True, initial=0.0, where=known)
    if not np.allclose(today, stored, rtol=tolerance, atol=tolerance * size):
        raise SchemaError(
            "the contributions of the Dataset are not what its spend and parameters make, as "
            "after a cut of its dates, which loses the spend carried over, an aggregation, or a "
            "change of spend alone; pass the whole Dataset, choose dates by window= or in the "
            "result, and change spend by simulate(ds, spend=...)"
        )


# Arguments -------------------------------------------------------------------------------------


def window_periods(ds: xr.Dataset, window: Window) -> slice:
    """Return the positions of the dates in a window; both ends belong to it.

    Raises
    ------
    ConfigError
        If the window is not valid, or contains no date.

    Examples
    --------
    >>> import mmm_xgen
    >>> ds = mmm_xgen.generate_mmm_dataset()
    >>> window_periods(ds, "2022-02"), window_periods(ds, slice(None, "2022-01-10"))
    (slice(5, 9, None), slice(0, 2, None))
    """
    dates = pd.DatetimeIndex(ds["date"].values)
    problem = ConfigError(
        f"found the window {shown(window)}, allowed: '2023', '2023-05', "
        "('2023-05-01', '2023-06-30') or a slice of two dates"
    )
    if window is None:
        return slice(0, len(dates))
    if isinstance(window, slice):
        if window.step is not None:
            raise problem
        ends = [window.start, window.stop]
    elif isinstance(window, list | tuple):
        ends = list(window)
    else:
        ends = [window, window]
    if len(ends) != 2 or any(isinstance(end, Real) for end in ends):
        raise problem
    # Reading a long text as a date would take long.
    if any(isinstance(end, str) and len(end) > LONGEST_DATE for end in ends):
        raise problem
    try:
        first, last = (
            end if end is None or isinstance(end, str) else pd.Timestamp(end) for end in ends
        )
        found: Any = dates.slice_indexer(first, last)
    except (KeyError, TypeError, ValueError):
        raise problem from None
    if not isinstance(found, slice) or found.stop <= found.start:
        raise ConfigError(
            f"found the window {shown(window)}, in which no period begins; allowed: dates from "
            f"{dates[0].date()} to {dates[-1].date()}, the earlier one first"
        )
    return slice(int(found.start), int(found.stop))


def geo_positions(ds: xr.Dataset, geo: str | Sequence[str] | None) -> list[int]:
    """Return the positions of one geo, of several, or of all.

    Raises
    ------
    AlignmentError
        If there is no such geo.
    ConfigError
        If it is neither a label nor a list of labels, or the list is empty.
    """
    known = [str(name) for name in ds["geo"].values]
    if geo is None:
        return list(range(len(known)))
    if not isinstance(geo, Iterable):
        raise ConfigError(f"found the geo {shown(geo)}, allowed: a label, a list of labels or None")
    wanted = [geo] if isinstance(geo, str) else [str(name) for name in geo]
    if not wanted:
        raise ConfigError("found no geo, allowed: at least one, or None for all")
    for name in wanted:
        if name not in known:
            raise AlignmentError(f"no geo named {name!r}; {nearest(name, known)}")
    return [known.index(name) for name in dict.fromkeys(wanted)]


def full_plan(ds: xr.Dataset, spend: xr.DataArray) -> xr.DataArray:
    """Complete a plan: the spend of every date, geo and channel, today's if the plan lacks it.

    Parameters
    ----------
    ds : Dataset
        A generated Dataset.
    spend : DataArray
        Plan, as for `simulate`.

    Returns
    -------
    DataArray, dims (..., date, geo, channel)
        Currency per period, with the labels of `ds`.

    Raises
    ------
    ConfigError, AlignmentError
        As for `simulate`.
    """
    if not isinstance(spend, xr.DataArray):
        raise ConfigError(
            f"found {shown(spend)} as spend, allowed: a DataArray with dims date, geo, channel"
        )
    for dim in MEDIA_DIMS:
        if dim not in spend.dims and dim in spend.coords:
            spend = spend.expand_dims(dim)
        if dim not in spend.dims:
            raise AlignmentError(f"spend has dims {spend.dims}, allowed: date, geo and channel")
    extra = [str(dim) for dim in spend.dims if dim not in MEDIA_DIMS]
    for dim in extra:
        if dim in ds.dims or dim in ds.variables:
            raise AlignmentError(f"spend has the dim {dim!r}, a name that the Dataset uses itself")
    spend = spend.transpose(*extra, *MEDIA_DIMS)
    positions = [_positions(ds, spend, dim) for dim in MEDIA_DIMS]
    values = _checked_values(spend)

    today = array_of(ds, "spend", *MEDIA_DIMS)
    full = np.array(np.broadcast_to(today, (*values.shape[:-3], *today.shape)), float)
    date, geo, channel = np.ix_(*positions)
    full[..., date, geo, channel] = values
    coords = {name: coord for name, coord in spend.coords.items() if {*coord.dims} <= {*extra}}
    labels = {dim: ds["spend"][dim] for dim in MEDIA_DIMS}
    kept = {name: coords[name] for name in coords if name not in ds.coords}
    plan = xr.DataArray(full, dims=(*extra, *MEDIA_DIMS), coords=kept, attrs=ds["spend"].attrs)
    return plan.assign_coords(labels).rename("spend")


def _positions(ds: xr.Dataset, spend: xr.DataArray, dim: str) -> list[int]:
    """Return the positions in `ds` of the labels of a plan."""
    if dim not in spend.coords:
        if spend.sizes[dim] != ds.sizes[dim]:
            raise AlignmentError(
                f"spend has {spend.sizes[dim]} entries along {dim!r} and no labels; give it the "
                f"labels, or all {ds.sizes[dim]} entries"
            )
        return list(range(ds.sizes[dim]))
    labels = list(spend[dim].values)
    if dim == "date":
        try:
            known = pd.DatetimeIndex(ds["date"].values)
            found = known.get_indexer(pd.DatetimeIndex(labels))
        except (TypeError, ValueError):
            raise AlignmentError(f"spend has no dates along 'date': {shown(labels[0])}") from None
        for label, position in zip(labels, found, strict=True):
            if position < 0:
                raise AlignmentError(
                    f"spend has the date {str(label)[:10]}, which the Dataset does not have; its "
                    f"periods begin {known[0].date()} to {known[-1].date()}"
                )
        positions = [int(position) for position in found]
    elif dim == "channel":
        order = [str(name) for name in ds["channel"].values]
        positions = [order.index(channel_label(ds, str(name))) for name in labels]
    else:
        positions = [geo_positions(ds, str(name))[0] for name in labels]
    if len(set(positions)) < len(positions):
        twice = next(p for i, p in enumerate(positions) if p in positions[:i])
        raise AlignmentError(f"spend has the {dim} {str(ds[dim].values[twice])!r} twice")
    return positions


def _checked_values(spend: xr.DataArray) -> FloatArray:
    """Return the values of a plan, after a check that names the first bad one."""
    raw = spend.to_numpy()
    if raw.dtype.kind not in "iuf":
        raise ConfigError(f"found spend of type {raw.dtype}, allowed: numbers")
    values: FloatArray = raw.astype(float)
    bad = ~np.isfinite(values) | (values < 0)
    if bad.any():
        cell = dict(zip(spend.dims, np.argwhere(bad)[0], strict=True))
        names = {
            str(dim): str(spend[dim].values[at])[:10] if dim == "date" else spend[dim].values[at]
            for dim, at in cell.items()
        }
        value = float(spend.isel(cell))
        found = "missing" if np.isnan(value) else f"{value:g}"
        where = ", ".join(f"{dim} {name}" for dim, name in names.items())
        raise ConfigError(f"spend is {found} at {where}; allowed: finite numbers, at least 0")
    return values
