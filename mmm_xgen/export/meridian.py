"""Data for Google Meridian's loader."""

from __future__ import annotations

import numpy as np
import xarray as xr

from mmm_xgen.dataset import in_memory
from mmm_xgen.errors import SchemaError
from mmm_xgen.schema import check_variables


@in_memory
def to_meridian(ds: xr.Dataset) -> xr.Dataset:
    """Return the data that Meridian's ``XrDatasetDataLoader`` takes, without the truth.

    Spend also serves as media execution. Spend before the window (``spend_history``) becomes media
    at times before the first KPI, which Meridian carries over. A single geo makes a national model.
    Meridian sets the population of a national model to 1, so it is left out.

    Parameters
    ----------
    ds : Dataset
        A generated Dataset, or one dataset of an ensemble.

    Returns
    -------
    Dataset, dims (geo, time, media_time, media_channel, control_variable)
        ``kpi`` (KPI units), ``revenue_per_kpi``, ``population``, ``media`` and ``media_spend``
        (currency per period), ``controls``. Times are ISO dates. The loader reads dims by
        position, and they are in the order that it expects: pass it the Dataset unchanged, with
        ``kpi_type="non_revenue"``. The loader sorts the geos in natural order, so align results by
        label.

    Raises
    ------
    SchemaError
        If a variable is missing. If a channel never spends or a control never changes, which
        Meridian does not accept. If earlier spend overlaps with the window. If `ds` is a whole
        ensemble.

    References
    ----------
    Google Meridian, `meridian.data.load.XrDatasetDataLoader`.

    Examples
    --------
    >>> import mmm_xgen
    >>> data = to_meridian(mmm_xgen.generate_mmm_dataset())
    >>> data.media.dims, data.media.shape
    (('geo', 'media_time', 'media_channel'), (2, 104, 3))
    >>> data.time.values[0].item()
    '2022-01-03'
    """
    if "dataset" in ds.dims:
        raise SchemaError(
            "the Dataset has the dim 'dataset', allowed: one dataset, as in "
            "to_meridian(ds.isel(dataset=0))"
        )
    check_variables(ds, "y", "spend", "control_value", "population", "revenue_per_kpi")
    _check_constant(ds)
    spend = ds["spend"].transpose("geo", "date", "channel")
    media, media_time = spend.to_numpy(), ds["date"].to_numpy()
    if "spend_history" in ds:
        history = ds["spend_history"].transpose("geo", "history_date", "channel")
        earlier = history["history_date"].to_numpy()
        _check_overlap(earlier, media_time)
        media_time = np.concatenate([earlier, media_time])
        media = np.concatenate([history.to_numpy(), media], axis=1)
    panel = ("geo", "time")
    variables = {
        "kpi": (panel, ds["y"].transpose("geo", "date").values),
        "revenue_per_kpi": (panel, ds["revenue_per_kpi"].transpose("geo", "date").values),
        "media": (("geo", "media_time", "media_channel"), np.asarray(media, dtype=float)),
        "media_spend": ((*panel, "media_channel"), np.asarray(spend, dtype=float)),
    }
    coords = {
        "geo": _words(ds["geo"]),
        "time": _days(ds["date"].values),
        "media_time": _days(media_time),
        "media_channel": _words(ds["channel"]),
    }
    if ds.sizes["geo"] > 1:
        variables["population"] = (("geo",), ds["population"].values.astype(float))
    if ds.sizes.get("control", 0):
        values = ds["control_value"].transpose("geo", "date", "control").values
        variables["controls"] = ((*panel, "control_variable"), values)
        coords["control_variable"] = _words(ds["control"])
    return xr.Dataset(variables, coords)


def _check_constant(ds: xr.Dataset) -> None:
    for name, dim, what in (("spend", "channel", "spends"), ("control_value", "control", "is")):
        values = ds[name]
        nothing = (values == values.isel(date=0)).all(("date", "geo"))
        if name == "spend":
            nothing = (values == 0).all(("date", "geo"))
        for label in ds[dim].values[nothing.values]:
            found = "nothing" if name == "spend" else "the same on all dates"
            raise SchemaError(
                f"{dim} {str(label)!r} {what} {found}, which Meridian refuses; leave it out with "
                f"ds.drop_sel({dim}={str(label)!r})"
            )


def _check_overlap(earlier: np.ndarray, dates: np.ndarray) -> None:
    """Raise for a period that lies partly before the window and partly inside it."""
    if earlier.size and dates.size and earlier[-1] >= dates[0]:
        raise SchemaError(
            f"'spend_history' ends with {str(earlier[-1])[:10]}, allowed: a period before the "
            f"first date, {str(dates[0])[:10]}; begin the window on a whole period before "
            "aggregate(), or drop_dims('history_date')"
        )


def _words(labels: xr.DataArray) -> list[str]:
    return [str(label) for label in labels.values]


def _days(dates: np.ndarray) -> list[str]:
    return [str(day) for day in dates.astype("datetime64[D]")]
