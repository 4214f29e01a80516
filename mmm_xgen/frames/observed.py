"""From a wide frame back to a Dataset: of what is observed, since no frame holds the truth."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from mmm_xgen.config.names import label
from mmm_xgen.errors import ConfigError, SchemaError, nearest
from mmm_xgen.frames.panel import Panel
from mmm_xgen.frames.reading import read
from mmm_xgen.kernels.calendar import ANCHORS, frequency_code
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.schema import CONTROLS, MEDIA, PANEL, attributes

ROLES = {"channel": "x", "control": "c"}
# Those of this package, then others that data come in.
REGULAR = ("D", *(f"W-{day}" for day in ANCHORS), "MS", "QS", "YS", "ME", "QE", "YE", "B")
# Columns that a message lists.
MOST_NAMED = 8


def from_frame(
    frame: pd.DataFrame, *, freq: str | None = None, currency: str = "USD", kpi: str = "sales"
) -> xr.Dataset:
    """Label the numbers of a wide frame as a Dataset: the inverse of `to_frame`.

    Parameters
    ----------
    frame : pandas.DataFrame
        Columns ``date``, ``geo``, ``y``, channels ``x1-*, x2-*, ...`` with spend and controls
        ``c1-*, ...``, in any order. One row a date and geo, in any order, with all dates for all
        geos. ``date`` and ``geo`` may be levels of the index; without ``geo``, all rows are of
        the geo ``"national"``. Dates may be text such as ``2022-01-03``.
    freq : str, optional
        Frequency of the dates as pandas writes it (``"D"``, ``"W-MON"``, ``"MS"`` ...);
        by default the one that they follow.
    currency, kpi : str
        Units of spend and of y.

    Returns
    -------
    Dataset, dims (date, geo, channel, control)
        ``y`` in `kpi`, ``spend`` in `currency` and ``control_value``, bit-identical to the
        numbers of `frame`, with dates and geos sorted. The channel of column ``x1-TV`` is ``TV``;
        the coordinates ``channel_column`` and ``control_column`` keep the columns. The attribute
        ``freq`` is ``""`` where the dates follow no frequency, or where there is one date only.

    Raises
    ------
    SchemaError
        If a column is missing, unknown, or there twice; if a row has no date or geo, or has them
        in common with another; if a geo lacks a date; or if a cell is no finite number, or a
        negative one of spend or y. It names the first such column or cell.
    ConfigError
        If the dates do not follow `freq`.

    See Also
    --------
    mmm_xgen.check_data_quality : All that is wrong with a frame, not only the first.

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
        raise SchemaError(f"found {type(frame).__name__!r}, needed: a wide DataFrame of pandas")
    panel = read(frame)
    _refuse_columns(panel)
    _refuse_rows(panel)
    _refuse_cells(panel)
    dates = _dates(panel)
    by_geo = np.argsort(panel.geo_labels.astype(str), kind="stable")
    # (date, geo, variable), the geos sorted.
    cube: FloatArray = panel.cells[panel.cube_rows[:, by_geo]]

    units = {"currency": currency, "kpi": kpi}
    coordinates = {
        "date": ("date", dates, {"long_name": attributes("date", **units)["long_name"]}),
        "geo": ("geo", panel.geo_labels[by_geo].astype(str), attributes("geo", **units)),
        **_named(panel, "channel", units),
        **_named(panel, "control", units),
    }
    variables = {
        "y": (PANEL, cube[..., panel.roles == "y"][..., 0], attributes("y", **units)),
        "spend": (MEDIA, cube[..., panel.roles == "channel"], attributes("spend", **units)),
        "control_value": (
            CONTROLS,
            cube[..., panel.roles == "control"],
            attributes("control_value", **units),
        ),
    }
    attrs = {"freq": _frequency(dates, freq), **units}
    return xr.Dataset(variables, coords=coordinates, attrs=attrs)


# Columns --------------------------------------------------------------------------------------


def _refuse_columns(panel: Panel) -> None:
    labels = panel.layout.labels
    twice = [name for name in dict.fromkeys(labels) if labels.count(name) > 1]
    if twice:
        raise SchemaError(f"the column {twice[0]!r} is there more than once, allowed: once")
    if panel.layout.absent:
        name = panel.layout.absent[0]
        raise SchemaError(f"there is no column {name!r}; {_likely(name, labels)}")
    if panel.layout.unexpected:
        name = panel.layout.unexpected[0]
        raise SchemaError(
            f"the column {name!r} is neither date, geo, y, a channel (x1-...) nor a control "
            f"(c1-...); rename it, as to {_suggestion(name)!r}, or drop it"
        )


def _likely(name: str, labels: Sequence[str]) -> str:
    """Word on the column that was probably meant, and on those there are."""
    more = f" and {len(labels) - MOST_NAMED} more" if len(labels) > MOST_NAMED else ""
    found = "found: " + (", ".join(map(repr, labels[:MOST_NAMED])) or "none") + more
    lowered = {text.strip().lower(): text for text in reversed(labels)}
    close = difflib.get_close_matches(name.lower(), lowered, n=1)
    return f"did you mean {lowered[close[0]]!r}? {found}" if close else found


def _suggestion(name: str) -> str:
    plain = name.strip()
    if plain.lower() in ("date", "geo", "y"):
        return plain.lower()
    if re.fullmatch(r"[xXcC]\d+[-_ .]?.*", plain):
        return re.sub(r"^([xXcC]\d+)[-_ .]?", lambda found: f"{found[1].lower()}-", plain)
    return f"x1-{plain}"


def _named(panel: Panel, role: str, units: dict[str, str]) -> dict[str, tuple[object, ...]]:
    """Coordinates of the channels or controls: their labels and their columns."""
    prefix = ROLES[role]
    columns = [str(name) for name in np.array(panel.names, dtype=object)[panel.roles == role]]
    labels = [label(name, prefix, position) for position, name in enumerate(columns)]
    for position, name in enumerate(labels):
        if not name:
            raise SchemaError(f"the column {columns[position]!r} names no {role}")
        if name in labels[:position]:
            other = columns[labels.index(name)]
            raise SchemaError(
                f"the columns {other!r} and {columns[position]!r} both name the {role} {name!r}; "
                "rename one of them"
            )
    return {
        role: (role, np.array(labels, dtype=str), attributes(role, **units)),
        f"{role}_column": (
            role,
            np.array(columns, dtype=str),
            attributes(f"{role}_column", **units),
        ),
    }


# Rows and cells -------------------------------------------------------------------------------


def _refuse_rows(panel: Panel) -> None:
    if not len(panel.dates):
        raise SchemaError("the frame has no rows, needed: one a date and geo")
    faulty = np.flatnonzero(np.isnat(panel.dates))
    if faulty.size:
        found = panel.raw_dates[faulty[0]]
        what = f"no date {str(found)!r}" if panel.unparsable[faulty[0]] else "no date"
        raise SchemaError(
            f"{what} in row {faulty[0]} ({faulty.size} such rows), needed: YYYY-MM-DD"
        )
    nowhere = np.flatnonzero(panel.geo_codes < 0)
    if nowhere.size:
        raise SchemaError(f"no geo in row {nowhere[0]} ({nowhere.size} such rows)")
    if len(panel.first_rows) < len(panel.dates):
        again = np.setdiff1d(np.arange(len(panel.dates)), panel.first_rows)
        raise SchemaError(
            f"row {again[0]} repeats the date and geo of an earlier one "
            f"({_place(panel, int(again[0]))}), allowed: one row for each"
        )
    expected = panel.n_dates * len(panel.geo_labels)
    if len(panel.dates) < expected:
        raise SchemaError(
            f"{_gap(panel)}; needed: all {panel.n_dates} dates for all {len(panel.geo_labels)} "
            f"geos ({expected - len(panel.dates)} rows are missing)"
        )


def _gap(panel: Panel) -> str:
    counts = np.bincount(panel.geo_codes)
    geo = int(np.flatnonzero(counts < panel.n_dates)[0])
    there = panel.dates[panel.geo_codes == geo]
    missing = np.setdiff1d(panel.unique_dates, there)[0]
    return f"the geo {panel.geo_labels[geo]!r} has no row at {str(missing)[:10]}"


def _refuse_cells(panel: Panel) -> None:
    cells = panel.cells
    negative = (cells < 0) & (panel.roles != "control")
    for bad, fault in (
        (panel.text, "what is no number"),
        (panel.missing, "a missing value"),
        (np.isinf(cells), "an infinite number"),
        (negative, "a negative number"),
    ):
        if bad.any():
            row, column = (int(position[0]) for position in np.nonzero(bad))
            more = int(bad.sum()) - 1
            others = f" and {more} more" if more else ""
            raise SchemaError(
                f"{fault} in column {panel.names[column]!r}, row {row} ({_place(panel, row)})"
                f"{others}; allowed: finite numbers, of spend and y at least 0"
            )


def _place(panel: Panel, row: int) -> str:
    return f"{str(panel.dates[row])[:10]}, geo {panel.geos[row]!r}"


# Dates ----------------------------------------------------------------------------------------


def _dates(panel: Panel) -> pd.DatetimeIndex:
    try:
        return pd.DatetimeIndex(panel.unique_dates).as_unit("ns")
    except pd.errors.OutOfBoundsDatetime:
        first, last = (str(panel.unique_dates[end])[:10] for end in (0, -1))
        raise SchemaError(
            f"the dates {first} to {last} are out of range, allowed: 1678 to 2261"
        ) from None


def _frequency(dates: pd.DatetimeIndex, freq: str | None) -> str:
    """Frequency as asked for, if the dates follow it, or the one that they follow."""
    followed = ""
    if len(dates) > 1:
        followed = next((name for name in REGULAR if _follow(dates, name)), "")
    if freq is None:
        return followed
    wanted = frequency_code(str(freq))
    if wanted == "W":
        wanted = f"W-{ANCHORS[dates[0].weekday()]}"
    if wanted not in REGULAR:
        raise ConfigError(f"found {freq!r}, {nearest(str(freq), REGULAR)}", path="freq")
    if not _follow(dates, wanted):
        raise ConfigError(
            f"found {freq!r}, but the dates {_some(dates)} do not follow it: they follow "
            f"{repr(followed) if followed else 'none'}",
            path="freq",
        )
    return wanted


def _follow(dates: pd.DatetimeIndex, freq: str) -> bool:
    regular: NDArray[np.datetime64] = pd.date_range(
        dates[0], periods=len(dates), freq=freq, unit="ns"
    ).to_numpy()
    return bool(np.array_equal(regular, dates.to_numpy()))


def _some(dates: pd.DatetimeIndex) -> str:
    return ", ".join(str(date)[:10] for date in dates[:3]) + (" ..." if len(dates) > 3 else "")
