"""Make a Dataset of the observed variables in a wide frame, which does not hold the truth."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import xarray as xr

from mmm_xgen.errors import ConfigError, SchemaError, nearest
from mmm_xgen.frames.faults import check_faults
from mmm_xgen.frames.frequency import REGULAR, declared_frequency, fitted_frequency
from mmm_xgen.frames.panel import Panel
from mmm_xgen.frames.reading import VARIABLES, labels_of, read, same_labels
from mmm_xgen.schema import attributes, describe


def from_frame(
    frame: pd.DataFrame, *, freq: str | None = None, currency: str = "USD", kpi: str = "sales"
) -> xr.Dataset:
    """Label the numbers of a wide frame as a Dataset, the inverse of `to_frame`.

    Parameters
    ----------
    frame : pandas.DataFrame
        Columns ``date``, ``geo``, ``y``, channels ``x1-*, x2-*, ...`` with spend and controls
        ``c1-*, ...``, in any order. One row a date and geo, in any order, with all dates for all
        geos. ``date`` and ``geo`` may be levels of the index; without ``geo``, all rows are of
        the geo ``"national"``. Dates may be text such as ``2022-01-03``.
    freq : str, optional
        Frequency of the dates as pandas writes it (``"D"``, ``"W-MON"``, ``"MS"`` ...). By
        default, the one that the dates follow.
    currency, kpi : str
        Units of spend and of y.

    Returns
    -------
    Dataset, dims (date, geo, channel, control)
        ``y`` in `kpi`, ``spend`` in `currency` and ``control_value``, bit-identical to the
        numbers of `frame`, with dates and geos sorted. The channel of column ``x1-TV`` is ``TV``;
        the coordinates ``channel_column`` and ``control_column`` keep the columns. The attribute
        ``freq`` is ``""`` if the dates do not follow a frequency, or if there is only one date.

    Raises
    ------
    SchemaError
        If a column is missing, unknown, or there twice; if a row has no date or geo, or repeats
        those of another row; if a geo lacks a date; or if a cell is not a finite number, or is
        negative in spend or y. The error names the first such row and column.
    ConfigError
        If the dates do not follow `freq`.

    See Also
    --------
    mmm_xgen.check_data_quality : Report everything that is wrong with a frame.

    Examples
    --------
    >>> import mmm_xgen
    >>> ds = mmm_xgen.generate_mmm_dataset()
    >>> observed = from_frame(mmm_xgen.to_frame(ds))
    >>> list(observed), observed.attrs["freq"]
    (['y', 'spend', 'control_value'], 'W-MON')
    >>> bool((observed.spend == ds.spend).all())
    True
    """
    if not isinstance(frame, pd.DataFrame):
        raise SchemaError(f"found {type(frame).__name__!r}, allowed: a wide DataFrame of pandas")
    panel = read(frame)
    _check_columns(panel)
    check_faults(panel)
    dates = pd.DatetimeIndex(panel.unique_dates).as_unit("ns")
    by_geo = np.argsort(panel.geo_labels.astype(str), kind="stable")
    # (date, geo, variable), the geos sorted.
    cube = panel.cells[panel.cube_rows[:, by_geo]]

    units = {"currency": currency, "kpi": kpi}
    coordinates = {
        "date": ("date", dates, {"long_name": attributes("date", **units)["long_name"]}),
        "geo": ("geo", panel.geo_labels[by_geo].astype(str), attributes("geo", **units)),
        **_named(panel, "channel", units),
        **_named(panel, "control", units),
    }
    variables = {
        name: (
            describe(name).dims,
            cube[..., panel.roles == role][..., slice(None) if dim else 0],
            attributes(name, **units),
        )
        for name, (role, dim) in VARIABLES.items()
    }
    return xr.Dataset(variables, coordinates, {"freq": _frequency(dates, freq), **units})


def _check_columns(panel: Panel) -> None:
    """Raise if a column is there twice, is missing, or is one that a wide frame does not have."""
    panel.table.check_different_names()
    for name in panel.absent:
        panel.table.check_variables(name)
    for name in panel.unexpected:
        raise panel.table.header_fault(
            f"the column {name!r} is neither date, geo, y, a channel (x1-...) nor a control "
            f"(c1-...); rename it, as to {_suggestion(name)!r}, or drop it"
        )
    for role, label, (first, second, *_) in same_labels(panel):
        raise panel.table.header_fault(
            f"the columns {first!r} and {second!r} both name the {role} {label!r}; rename one"
        )


def _suggestion(name: str) -> str:
    plain = name.strip()
    if plain.lower() in ("date", "geo", "y"):
        return plain.lower()
    found = re.fullmatch(r"([xXcC]\d+)[-_ .]?(.*)", plain, re.DOTALL)
    return f"{found[1].lower()}-{found[2]}" if found else f"x1-{plain}"


def _named(panel: Panel, role: str, units: dict[str, str]) -> dict[str, tuple[object, ...]]:
    """Coordinates of the channels or controls: their labels and their columns."""
    labels = labels_of(panel, role)
    for column, label in labels.items():
        if not label:
            raise SchemaError(f"the column {column!r} does not name a {role}")
    return {
        name: (role, np.array(list(values), dtype=str), attributes(name, **units))
        for name, values in ((role, labels.values()), (f"{role}_column", labels))
    }


def _frequency(dates: pd.DatetimeIndex, freq: str | None) -> str:
    """Frequency as asked for, if the dates follow it, or the one that they follow."""
    followed = ""
    if len(dates) > 1:
        found, misfit = fitted_frequency(dates.to_numpy(), REGULAR)
        followed = "" if misfit else found
    if freq is None:
        return followed
    wanted = declared_frequency(str(freq), dates.to_numpy())
    if wanted not in REGULAR:
        raise ConfigError(f"found {freq!r}, {nearest(str(freq), REGULAR)}", path="freq")
    misfit = fitted_frequency(dates.to_numpy(), [wanted])[1]
    if misfit:
        other = f"the dates follow {followed!r}" if followed else "the dates do not follow it"
        raise ConfigError(f"found {freq!r}, but {other}: {misfit.message}", path="freq")
    return wanted
