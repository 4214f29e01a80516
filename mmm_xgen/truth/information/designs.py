"""Designs that could make a channel's effect easier to estimate, and their information."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import xarray as xr

from mmm_xgen.errors import AlignmentError, ConfigError, XgenError
from mmm_xgen.kernels.calendar import regular
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.truth.information.information_bound import Information
from mmm_xgen.truth.information.jacobian import Columns, Model, baseline_columns, media_columns
from mmm_xgen.truth.what_if.counterfactual import MEDIA_DIMS, full_plan

# Change of spend in a geo test.
TEST_CHANGE = 0.5


def geo_test(model: Model, channel: int, population: FloatArray) -> FloatArray:
    """Return the spend of one channel under a geo test, dims (geo, date).

    The test lasts as long as two campaigns (8 weeks), where the channel spends most. Geos in the
    order of population get half more and half less in turn. A single geo is off, then doubled.
    """
    spend = np.array(model.spend[channel])
    length = min(2 * model.calendar.campaign_periods, spend.shape[-1])
    running = np.convolve(spend.sum(axis=0), np.ones(length), mode="valid")
    start = int(np.argmax(running))
    if len(spend) == 1:
        middle = start + length // 2
        spend[:, start:middle] = 0
        spend[:, middle : start + length] *= 2
        return np.asarray(spend)
    tested = np.argsort(-population, kind="stable")[::2]
    change = np.where(np.arange(len(tested)) % 2 == 0, 1 + TEST_CHANGE, 1 - TEST_CHANGE)
    spend[tested, start : start + length] *= change[:, None]
    return spend


def pulsed(model: Model, channel: int) -> FloatArray:
    """Return the spend of one channel in flights: one campaign on, one off, with the same total.

    In a geo whose spend all lies in the pauses, the spend is constant over the flights.
    """
    spend = model.spend[channel]
    is_on = np.arange(spend.shape[-1]) // model.calendar.campaign_periods % 2 == 0
    flown = spend * is_on
    # If all spend lies in the pauses, the flights have no pattern to keep.
    flown = np.where(flown.any(axis=-1, keepdims=True), flown, is_on)
    scale = spend.sum(axis=-1, keepdims=True) / flown.sum(axis=-1, keepdims=True)
    return np.asarray(flown * scale)


def with_spend(information: Information, channel: int, spend: FloatArray) -> Information:
    """Return the information with another spend of one channel, dims (geo, date)."""
    model = information.model
    changed = model.spend.copy()
    changed[channel] = spend
    model = replace(model, spend=changed)
    moved = media_columns(model, [channel])
    values = information.media.values.copy()
    for label, column in zip(moved.labels, np.moveaxis(moved.values, -1, 0), strict=True):
        if label in information.media.labels:
            values[..., information.media.labels.index(label)] = column
    media = replace(information.media, values=values)
    return replace(information, model=model, media=media, mu=model.expected_sales())


def with_plan(ds: xr.Dataset, information: Information, name: str, plan: object) -> Information:
    """Return the information with the spend of a plan, dims (date, geo, channel), or of a part."""
    if not isinstance(plan, xr.DataArray):
        raise ConfigError(
            f"found {type(plan).__name__}, allowed: a DataArray of spend with dims (date, geo, "
            "channel)",
            path=f"designs.{name}",
        )
    try:
        full = full_plan(ds, plan)
        if full.ndim > len(MEDIA_DIMS):
            raise AlignmentError(f"found the dim {full.dims[0]!r}, allowed: one plan a design")
    except XgenError as error:
        raise type(error)(f"the design {name!r} does not fit the Dataset: {error}") from None
    model = replace(information.model, spend=full.transpose("channel", "geo", "date").to_numpy())
    return _with_model(information, model)


def with_more_periods(information: Information, periods: int) -> Information:
    """Return the information of a longer dataset: spend and controls repeat from its start."""
    model, calendar = information.model, information.model.calendar
    more = np.arange(periods) % calendar.n_periods
    longer = replace(
        model,
        calendar=regular(calendar.dates[0], calendar.n_periods + periods, calendar.step),
        spend=np.concatenate([model.spend, model.spend[..., more]], axis=-1),
        control=np.concatenate([model.control, model.control[..., more]], axis=-1),
    )
    return _with_model(information, longer)


def _with_model(information: Information, model: Model) -> Information:
    """Return the information of another dataset with the same parameters."""
    media, baseline = media_columns(model), baseline_columns(model)
    return replace(
        information,
        model=model,
        mu=model.expected_sales(),
        media=_the_same(media, information.media),
        baseline=_the_same(baseline, information.baseline),
    )


def _the_same(columns: Columns, wanted: Columns) -> Columns:
    """Return the columns in the order of others, without those that are known."""
    kept = [columns.labels.index(label) for label in wanted.labels]
    return replace(wanted, values=columns.values[..., kept])


def with_half_the_noise(information: Information) -> Information:
    """Return four times the information."""
    return replace(
        information,
        media=replace(information.media, values=2 * information.media.values),
        baseline=replace(information.baseline, values=2 * information.baseline.values),
    )
