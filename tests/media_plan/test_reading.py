"""A user's own media plan: what is read, and that every fault names its row and column."""

from __future__ import annotations

import csv
import datetime
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from mmm_xgen.config.spend_plan import SpendPlanConfig
from mmm_xgen.errors import ConfigError, SchemaError
from mmm_xgen.frames.columns import chosen_columns
from mmm_xgen.frames.frequency import GENERATED, declared_frequency, fitted_frequency
from mmm_xgen.media_plan.reading import read_plan

# Drawn for the tests, in the shape of the example frame of Robyn.
WEEKLY = Path(__file__).parents[1] / "data" / "weekly_plan.csv"
ROBYN_MAPPING = SpendPlanConfig(
    date="DATE", channels="*_S", controls=["competitor_sales_B", "newsletter"]
)
PLAIN = SpendPlanConfig()
WIDE = SpendPlanConfig(geo="geo")
LONG = SpendPlanConfig(geo="geo", channel="medium", spend="amount")


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def _write(text: str, name: str = "plan.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(text.encode())
        return path

    return _write


@pytest.fixture
def wide() -> pd.DataFrame:
    """Two geos, not in alphabetical order, three weeks, two channels and a control."""
    return pd.DataFrame(
        {
            "date": np.repeat(["2024-01-01", "2024-01-08", "2024-01-15"], 2),
            "geo": ["north", "east"] * 3,
            "y": 1.0,
            "x1-TV": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
            "x2-Ads": [0.5, 0.0, 0.25, 0.125, 1.5, 2.5],
            "c1-Price": [9.0, 8.0, 7.0, 6.0, 5.0, 4.0],
        },
        index=[f"r{row}" for row in range(6)],
    )


@pytest.fixture
def long(wide: pd.DataFrame) -> pd.DataFrame:
    names = {"x1-TV": "TV", "x2-Ads": "Ads"}
    frame = wide.rename(columns=names).melt(
        ["date", "geo", "c1-Price"], ["TV", "Ads"], "medium", "amount"
    )
    return frame.set_axis([f"r{row}" for row in range(len(frame))])


def refused(source: Any, mapping: SpendPlanConfig, *parts: str) -> str:
    with pytest.raises(SchemaError) as caught:
        read_plan(source, mapping)
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert part in message
    return message


def spend_array(plan: xr.Dataset) -> np.ndarray:
    return plan["spend"].transpose("date", "geo", "channel").to_numpy()


# What is read


def test_a_frame_with_quotes_texts_and_many_decimals():
    plan = read_plan(WEEKLY, ROBYN_MAPPING)
    assert dict(plan.sizes) == {"date": 208, "geo": 1, "channel": 5, "control": 2}
    assert plan["spend"].dims == ("date", "geo", "channel")
    assert plan["geo"].values.tolist() == ["national"]
    assert plan["date"].dtype == np.dtype("datetime64[ns]")
    assert plan.attrs == {"freq": "W-MON"}
    with WEEKLY.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert plan["date"].dt.strftime("%Y-%m-%d").values.tolist() == [row["DATE"] for row in rows]
    labels = [name.removesuffix("_S") for name in rows[0] if name.endswith("_S")]
    assert plan["channel"].values.tolist() == labels
    for label in labels:
        by_python = [float(row[f"{label}_S"]) for row in rows]
        assert plan["spend"].sel(channel=label).values[:, 0].tolist() == by_python
    for label in ROBYN_MAPPING.controls:
        by_python = [float(row[label]) for row in rows]
        assert plan["control_value"].sel(control=label).values[:, 0].tolist() == by_python
    frame = plan["spend"].squeeze("geo").to_pandas().add_suffix("_S").reset_index()
    again = read_plan(frame, SpendPlanConfig(channels="*_S"))
    xr.testing.assert_identical(again, plan.drop_vars(["control_value", "control"]))
    text = ROBYN_MAPPING.model_copy(update={"controls": ("events",)})
    refused(WEEKLY, text, "line 2, column 'events': found 'na', allowed: a number")


def test_default_mapping_reads_the_own_export(wide):
    plan = read_plan(wide, WIDE)
    assert plan["channel"].values.tolist() == ["TV", "Ads"]
    assert plan["control"].values.tolist() == ["Price"]
    assert plan["geo"].values.tolist() == ["north", "east"]
    assert set(plan.data_vars) == {"spend", "control_value"}
    assert plan["spend"].sel(geo="east", channel="TV").values.tolist() == [2.0, 4.0, 6.0]
    assert plan["control_value"].sel(geo="north", control="Price").values.tolist() == [9, 7, 5]


def test_no_mapping_is_the_default_one(wide):
    national = wide[wide["geo"] == "north"]
    assert read_plan(national).equals(read_plan(national, PLAIN))
    named = read_plan(national, SpendPlanConfig(national_name="Germany"))
    assert named["geo"].values.tolist() == ["Germany"]


def test_no_controls_no_variable(wide):
    for plan in (
        read_plan(wide.drop(columns="c1-Price"), WIDE),
        read_plan(wide, SpendPlanConfig(geo="geo", controls=[])),
    ):
        assert set(plan.variables) == {"date", "geo", "channel", "spend"}


@pytest.mark.parametrize(
    ("channels", "labels"),
    [
        ({"Search": "x2-Ads", "x-Television": "x1-TV"}, ["Television", "Search"]),
        (["x2-Ads", "x1-TV"], ["TV", "Ads"]),
        (("x2-Ads",), ["Ads"]),
        ("x1-*", ["TV"]),
        ("*-Ads", ["x2"]),
    ],
)
def test_forms_of_channels_keep_the_order_of_the_file(wide, channels, labels):
    plan = read_plan(wide, SpendPlanConfig(geo="geo", channels=channels))
    assert plan["channel"].values.tolist() == labels


@pytest.mark.parametrize(
    ("pattern", "names", "chosen"),
    [
        # Unnamed and look-alike columns.
        (None, ["x1", "x2-TV", "x", "x-Radio", "xy1-A", "X3-B"], {"x1": "x1", "x2-TV": "TV"}),
        # A pattern needs something in place of the star.
        ("*_S", ["_S", "tv_S", "a.b_S"], {"tv_S": "tv", "a.b_S": "a.b"}),
    ],
)
def test_columns_that_are_chosen(pattern, names, chosen):
    assert chosen_columns(pattern, names, field="channels", own_names_only=True) == chosen


def test_shuffled_rows_give_sorted_dates_and_first_appearance_of_geos(wide):
    shuffled = wide.iloc[[5, 0, 3, 2, 4, 1]]
    plan = read_plan(shuffled, WIDE)
    assert plan["geo"].values.tolist() == ["east", "north"]
    assert plan.indexes["date"].is_monotonic_increasing
    xr.testing.assert_equal(plan.sel(geo=["north", "east"]), read_plan(wide, WIDE))


def test_long_plan_takes_some_of_its_channels(long, write):
    mapping = SpendPlanConfig(
        geo="geo", channel="medium", spend="amount", channels={"Search": "Ads"}
    )
    plan = read_plan(long, mapping)
    assert plan["channel"].values.tolist() == ["Search"]
    assert spend_array(plan).ravel().tolist() == [0.5, 0.0, 0.25, 0.125, 1.5, 2.5]
    ads = LONG.model_copy(update={"channels": ("Ads",)})
    assert read_plan(write(long.to_csv(index=False)), ads)["channel"].values.tolist() == ["Ads"]
    # Rows are still named as in the whole frame.
    long.loc["r9", "amount"] = -1.0
    refused(long, mapping, "index label r9, column 'amount'")


def test_national_long_file(write):
    path = write(
        "date,channel,spend\n2024-01-01,B,1\n2024-01-01,A,2\n2024-01-02,A,3\n2024-01-02,B,4\n"
    )
    plan = read_plan(path, SpendPlanConfig(channel="channel"))
    assert plan["channel"].values.tolist() == ["B", "A"]
    assert spend_array(plan)[:, 0].tolist() == [[1.0, 2.0], [4.0, 3.0]]
    assert plan.attrs["freq"] == "D"


@pytest.mark.parametrize("kind", ["csv", "PARQUET"])
def test_files_and_long_frames_equal_the_wide_frame(wide, long, tmp_path, kind):
    path, expected = tmp_path / f"plan.{kind}", read_plan(wide, WIDE)
    xr.testing.assert_identical(read_plan(long, LONG), expected)
    for frame, mapping in ((wide, WIDE), (long, LONG)):
        frame.to_csv(path, index=False) if kind == "csv" else frame.to_parquet(path)
        xr.testing.assert_identical(read_plan(path, mapping), expected)
        xr.testing.assert_identical(read_plan(str(path), mapping), expected)


def test_frame_with_date_and_geo_in_its_index(wide):
    indexed = wide.set_index(["date", "geo"])
    xr.testing.assert_identical(read_plan(indexed, WIDE), read_plan(wide, WIDE))
    indexed.iloc[3, 1] = -1.0
    refused(indexed, WIDE, "index label ('2024-01-08', 'east'), column 'x1-TV'")


def test_source_is_left_alone(wide):
    before = wide.copy(deep=True)
    plan = read_plan(wide, WIDE)
    plan["spend"][:] = 0.0
    pd.testing.assert_frame_equal(wide, before)


@pytest.mark.parametrize(
    "convert",
    [
        pd.to_datetime,
        lambda dates: pd.to_datetime(dates).dt.date,
        lambda dates: [int(text.replace("-", "")) for text in dates],
        lambda dates: pd.Categorical(dates),
        lambda dates: [text.replace("-", "/") for text in dates],
        lambda dates: [datetime.datetime.fromisoformat(dates.iloc[0]), *dates.iloc[1:]],
    ],
    ids=["datetime64", "date", "integer", "categorical", "slashes", "mixed"],
)
def test_kinds_of_date_cells(wide, convert):
    expected = read_plan(wide, WIDE)
    wide["date"] = pd.Series(convert(wide["date"]), index=wide.index)
    xr.testing.assert_identical(read_plan(wide, WIDE), expected)


def test_date_format(write):
    path = write("date,x1-TV\n01.02.2024,1\n02.02.2024,2\n")
    plan = read_plan(path, SpendPlanConfig(date_format="%d.%m.%Y"))
    assert plan["date"].values[0] == np.datetime64("2024-02-01")
    dated = pd.DataFrame({"date": pd.date_range("2024-02-01", periods=2), "x1-TV": 1.0})
    plan = read_plan(dated, SpendPlanConfig(date_format="%d.%m.%Y"))
    assert plan["date"].values[0] == np.datetime64("2024-02-01")


@pytest.mark.parametrize("kind", [int, np.uint8, np.float32, "Int64", Decimal, object])
def test_kinds_of_number_cells(wide, kind):
    expected = read_plan(wide, WIDE)
    numbers = range(1, 7)
    wide["x1-TV"] = [*map(Decimal, numbers)] if kind is Decimal else pd.array(numbers, dtype=kind)
    xr.testing.assert_identical(read_plan(wide, WIDE), expected)


@given(st.lists(st.floats(0, 1e300) | st.integers(0, 2**70), min_size=2, max_size=20))
def test_csv_numbers_are_bit_identical(tmp_path_factory, numbers):
    path = tmp_path_factory.mktemp("numbers") / "plan.csv"
    days = np.datetime64("2024-01-01") + np.arange(len(numbers))
    lines = [f"{day},{number!r}" for day, number in zip(days, numbers, strict=True)]
    path.write_text("\n".join(["date,x1", *lines]))
    read = read_plan(path)["spend"].values.ravel()
    assert read.tobytes() == np.array([float(number) for number in numbers]).tobytes()


def test_geos_stay_as_they_are_written(write):
    path = write(
        "date,geo,x1\n2024-01-01,NA,1\n2024-01-01,01,2\n2024-01-02,NA,3\n2024-01-02,01,4\n"
    )
    assert read_plan(path, WIDE)["geo"].values.tolist() == ["NA", "01"]


def test_byte_order_mark_blank_lines_and_windows_line_ends(write):
    text = "\ufeffdate,x1-TV\r\n2024-01-01,1\r\n\r\n2024-01-02,-2\r\n"
    refused(write(text), PLAIN, "line 4, column 'x1-TV': found -2.0")
    plan = read_plan(write(text.replace("-2\r", "2\r")))
    assert spend_array(plan).ravel().tolist() == [1.0, 2.0]


def test_line_numbers_count_lines_inside_quotes(write):
    path = write('date,note,x1\n2024-01-01,"two\nlines",1\n2024-01-02,,x\n')
    refused(path, PLAIN, "plan.csv, line 4, column 'x1': found 'x'")


def some_of(names: list[str]) -> st.SearchStrategy[list[str]]:
    return st.integers(1, len(names)).map(lambda count: names[:count])


@given(
    n_dates=st.integers(2, 4),
    geos=st.permutations(["b", "a", "NA"]).flatmap(some_of),
    channels=st.permutations(["TV", "ü", "x"]).flatmap(some_of),
    freq=st.sampled_from(["D", "W-WED", "W-SUN", "MS"]),
    data=st.data(),
)
def test_array_wide_and_long_agree(n_dates, geos, channels, freq, data):
    dates = pd.date_range("2023-11-01", periods=n_dates, freq=freq)
    shape = (n_dates, len(geos), len(channels))
    size = int(np.prod(shape))
    values = data.draw(st.lists(st.floats(0, 1e12), min_size=size, max_size=size))
    array = xr.DataArray(
        np.reshape(values, shape),
        {"date": dates, "geo": geos, "channel": channels},
        ("date", "geo", "channel"),
        name="spend",
    )
    rows = pd.MultiIndex.from_product([dates, geos], names=["date", "geo"])
    wide = array.to_series().unstack("channel")[channels].loc[rows].reset_index()
    long = wide.melt(["date", "geo"], channels, "channel", "spend")
    order = data.draw(st.permutations(["date", "geo", "channel"]))
    from_wide = read_plan(wide, SpendPlanConfig(geo="geo", channels=channels))
    from_long = read_plan(long, SpendPlanConfig(geo="geo", channel="channel"))
    from_array = read_plan(array.transpose(*order), PLAIN)
    xr.testing.assert_identical(from_wide, from_long)
    xr.testing.assert_identical(from_wide, from_array)
    assert spend_array(from_wide).tobytes() == array.values.tobytes()
    assert from_wide["geo"].values.tolist() == geos
    # Two dates a month apart on the first of it are monthly, whatever their weekday.
    assert from_wide.attrs["freq"] == freq


# xarray sources


@pytest.fixture
def plan(wide) -> xr.Dataset:
    return read_plan(wide, WIDE)


def test_dataset_round_trip(plan):
    xr.testing.assert_identical(
        read_plan(plan.transpose("control", "channel", "geo", "date")), plan
    )
    xr.testing.assert_identical(
        read_plan(plan["spend"]), plan.drop_vars(["control_value", "control"])
    )


def test_array_without_geo(plan):
    array = plan["spend"].isel(geo=0, drop=True)
    mapping = SpendPlanConfig(national_name="all")
    assert read_plan(array.T, mapping)["geo"].values.tolist() == ["all"]
    selected = plan["spend"].sel(geo="east")
    assert read_plan(selected, mapping)["geo"].values.tolist() == ["east"]


def test_control_without_geo_holds_for_every_geo(plan):
    source = plan.assign(control_value=plan["control_value"].isel(geo=1, drop=True))
    read = read_plan(source)
    for geo in ("north", "east"):
        assert read["control_value"].sel(geo=geo).values.ravel().tolist() == [8, 6, 4]


def test_control_with_geo_needs_spend_with_geo(plan):
    source = plan.assign(spend=plan["spend"].isel(geo=0, drop=True))
    refused(source, PLAIN, "'control_value' has the dim 'geo'")


def test_dataset_selects_and_renames_labels(plan):
    mapping = SpendPlanConfig(channels={"Television": "TV"}, controls=[], channel="medium")
    read = read_plan(plan, mapping)
    assert read["channel"].values.tolist() == ["Television"]
    assert "control_value" not in read


def test_prefixed_labels_lose_their_prefix(plan):
    source = plan["spend"].assign_coords(channel=["x-TV", "x2-Ads"])
    assert read_plan(source)["channel"].values.tolist() == ["TV", "Ads"]


def test_dask_array_is_computed(plan):
    pytest.importorskip("dask.array")
    xr.testing.assert_identical(read_plan(plan.chunk({"date": 1})), plan)


def test_dataset_faults(plan):
    refused(plan.rename(spend="spent"), PLAIN, "no variable 'spend'", "did you mean 'spent'?")
    refused(plan["spend"].rename(geo="region"), PLAIN, "'region'", "allowed: ('date', 'channel')")
    refused(plan["spend"].drop_vars("channel"), PLAIN, "the dim 'channel' has no coordinate")
    refused(plan["spend"].assign_coords(channel=["TV", "TV"]), PLAIN, "the channel 'TV' is there")
    refused(plan["spend"].isel(date=[0]), PLAIN, "one date only")
    refused(plan["spend"].isel(date=[]), PLAIN, "there are no rows")
    refused(plan["spend"].isel(channel=[]), PLAIN, "no label")
    mapping = SpendPlanConfig(channels=["tv"])
    refused(plan["spend"], mapping, "no label 'tv' (spend_plan.channels); did you mean 'TV'?")
    mapping = SpendPlanConfig(controls=["Price"])
    refused(plan["spend"], mapping, "no variable 'control_value'")
    bad = plan.copy(deep=True)
    bad["spend"].loc[{"date": "2024-01-08", "geo": "east", "channel": "Ads"}] = np.nan
    refused(bad, PLAIN, "date 2024-01-08, geo 'east', column 'spend[Ads]': the value is missing")
    bad = plan.copy(deep=True)
    bad["control_value"].loc[{"date": "2024-01-15", "geo": "north"}] = -np.inf
    refused(bad, PLAIN, "date 2024-01-15, geo 'north', column 'control_value[Price]': found -inf")
    twice = plan.isel(date=[0, 1, 1])
    refused(twice, SpendPlanConfig(channel="medium"), "date 2024-01-08, geo 'north'", "already")
    refused(plan["spend"] > 0, PLAIN, "column 'spend[TV]': found True, allowed: a number")


# Faults of cells


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("-0.01", "found -0.01, allowed: zero or more"),
        ("", "the value is missing; where nothing was spent write 0"),
        ("NaN", "the value is missing"),
        ("NA", "the value is missing"),
        ("inf", "found inf, allowed: zero or more, finite"),
        ("-Infinity", "found -inf"),
        ("1e999", "found inf"),
        ("na", "found 'na', allowed: a number"),
        ("1_000", "found '1_000', allowed: a number"),
        ('"1,000"', "found '1,000', allowed: a number"),
        ("$5", "found '$5', allowed: a number"),
        ("True", "found 'True', allowed: a number"),
        ("0x10", "found '0x10', allowed: a number"),
        ("\u0661", "found '\u0661', allowed: a number"),
    ],
)
@pytest.mark.parametrize("column", ["x1-TV", "c1-Price"])
def test_bad_number_in_a_file(write, cell, words, column):
    cells = {"x1-TV": "1", "c1-Price": "1"} | {column: cell}
    path = write(f"date,x1-TV,c1-Price\n2024-01-01,1,1\n2024-01-02,{','.join(cells.values())}\n")
    if column == "c1-Price":
        if cell == "-0.01":  # Controls may be below zero.
            read_plan(path, PLAIN)
            return
        words = words.replace("where nothing was spent write 0", "give every value")
        words = words.replace("zero or more, finite", "a finite number")
    refused(path, PLAIN, f"plan.csv, line 3, column {column!r}: {words}")


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        (-1.0, "found -1.0"),
        (np.nan, "the value is missing"),
        (None, "the value is missing"),
        (pd.NA, "the value is missing"),
        (np.inf, "found inf"),
        (10**400, "found inf"),
        ("5", "found '5', allowed: a number"),
        (True, "found True, allowed: a number"),
        (1 + 2j, "found (1+2j), allowed: a number"),
        (pd.Timestamp("2024-01-01"), "allowed: a number"),
        ([1.0], "found [1.0], allowed: a number"),
    ],
)
@pytest.mark.parametrize("column", ["x2-Ads", "c1-Price"])
def test_bad_number_in_a_frame(wide, cell, words, column):
    if isinstance(cell, float) and cell == -1.0 and column == "c1-Price":
        cell, words = -np.inf, "found -inf, allowed: a finite number"
    cells = wide[column].astype(object)
    cells.iat[4] = cell
    wide[column] = cells
    refused(wide, WIDE, f"index label r4, column {column!r}: ", words)


@pytest.mark.parametrize("cells", [[True] * 6, pd.array([1, 2, None, 4, 5, 6], dtype="Int64")])
def test_bad_dtype_in_a_frame(wide, cells):
    wide["x1-TV"] = cells
    refused(wide, WIDE, "index label r", "column 'x1-TV'")


def test_bad_number_in_a_long_plan(long):
    faulty = long.copy()
    faulty.loc["r7", "amount"] = np.nan
    refused(faulty, LONG, "index label r7, column 'amount': the value is missing")
    # A control has one value, whatever the channel.
    long.loc["r3", "c1-Price"] = 77.0
    refused(long, LONG, "index label r3, column 'c1-Price': found 77.0", "6.0")


def test_missing_name(write, wide):
    head = "date,geo,medium,amount\n2024-01-01,a,TV,1\n2024-01-02"
    for blank in ("", "  "):
        refused(write(f"{head},{blank},TV,1\n"), LONG, "line 3, column 'geo': the name is missing")
        refused(write(f"{head},a,{blank},1\n"), LONG, "line 3, column 'medium': the name is missin")
    wide.loc["r3", "geo"] = None
    refused(wide, WIDE, "index label r3, column 'geo': the name is missing")


# Faults of dates


@pytest.mark.parametrize(
    "cell",
    [
        "02/01/2024", "2.1.2024", "2024", "2024-13-01", "2024-02-30", "now", "today", "Jan 2 2024",
        "2024-01-02T00:00:00Z", "2024-01-02 00:00+01:00", "2024-01-02 10:00", "3000-01-01",
        "1600-01-01", "45293.0", "x",
    ],
)  # fmt: skip
def test_unreadable_date(write, cell):
    path = write(f"date,x1\n2024-01-01,1\n{cell},1\n2024-01-03,1\n")
    refused(path, PLAIN, f"line 3, column 'date': found {cell!r}, allowed: an ISO date")


def test_unreadable_date_of_a_frame(wide):
    wide.loc["r4", "date"] = "15/01/2024"
    refused(wide, WIDE, "index label r4, column 'date': found '15/01/2024'", "date_format")
    wide["date"] = pd.date_range("2024-01-01", periods=6, tz="UTC")
    refused(wide, WIDE, "index label r0, column 'date'", "without a zone")


def test_missing_date(write, wide):
    refused(write("date,x1\n,1\n"), PLAIN, "line 2, column 'date': the date is missing")
    wide["date"] = pd.to_datetime(wide["date"])
    wide.loc["r2", "date"] = pd.NaT
    refused(wide, WIDE, "index label r2, column 'date': the date is missing")


def test_date_that_does_not_have_the_format(write):
    path = write("date,x1\n01/02/2024,1\n2024-02-02,1\n")
    mapping = SpendPlanConfig(date_format="%d/%m/%Y")
    refused(path, mapping, "line 3, column 'date': found '2024-02-02'", "'%d/%m/%Y'")


def daily(days: str) -> str:
    """CSV of the days of 2024, written as month-day."""
    return "date,x1\n" + "".join(f"2024-{day},1\n" for day in days.split())


@pytest.mark.parametrize(
    ("days", "line", "words"),
    [
        ("01-01", 2, "found one date only (2024-01-01)"),
        ("01-01 01-02 01-04", 3, "2024-01-03 is missing after this row (the next is 2024-01-04)"),
        ("01-01 01-02 01-03 01-10 01-11", 4, "2024-01-04 is missing after this row"),
        ("01-22 01-01 01-08", 4, "2024-01-15 is missing after this row"),
        ("01-01 02-01 04-01", 3, "2024-03-01 is missing after this row"),
        (
            "01-01 01-08 01-15 01-21 01-28",
            5,
            "found 2024-01-21 (6 days after 2024-01-15)",
        ),
        (
            "01-01 01-02 01-03 01-04 01-11 01-18",
            5,
            "2024-01-05 is missing after this row (the next",
        ),
        ("01-01 02-01 03-01 03-08", 5, "found 2024-03-08 (7 days after 2024-03-01), which is not"),
        ("01-31 02-29 03-31", 3, "2024-02-29 is 29 days after 2024-01-31, allowed: daily"),
        ("01-02 01-16 01-30", 3, "2024-01-16 is 14 days after 2024-01-02, allowed: daily"),
        ("01-01 04-01 07-01", 3, "2024-04-01 is 91 days after 2024-01-01, allowed: daily"),
        ("01-01 01-04", 3, "2024-01-04 is 3 days after 2024-01-01, allowed: daily"),
    ],
)
def test_dates_of_no_frequency(write, days, line, words):
    refused(write(daily(days)), PLAIN, f"line {line}, column 'date': {words}")


@pytest.mark.parametrize(
    ("freq", "days", "line", "words"),
    [
        ("daily", "01-01 01-08", 2, "2024-01-02 is missing"),
        ("W-SUN", "01-07 01-15", 3, "found 2024-01-15 (8 days"),
        ("weekly", "01-01 01-09", 3, "found 2024-01-09 (8 days"),
        ("W", "01-01 01-15", 2, "2024-01-08 is missing"),
        ("MS", "01-01 02-02", 3, "found 2024-02-02 (32 days"),
        ("monthly", "01-01 03-01", 2, "2024-02-01 is missing"),
    ],
)
def test_dates_that_break_the_declared_frequency(write, freq, days, line, words):
    mapping = SpendPlanConfig(freq=freq)
    refused(write(daily(days)), mapping, f"line {line}, column 'date': {words}")


@pytest.mark.parametrize(
    ("freq", "declared"),
    [("D", None), ("D", "daily"), ("MS", None), ("MS", "MS"), ("W-MON", "W"), ("W-SAT", "weekly")]
    + [(f"W-{day}", None) for day in ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")],
)
@pytest.mark.parametrize("n_dates", [2, 3, 40])
def test_frequency_is_found(freq, declared, n_dates):
    dates = pd.date_range("2023-12-29", periods=n_dates, freq=freq).to_numpy()
    declared = SpendPlanConfig(freq=declared).freq
    allowed = GENERATED if declared is None else [declared_frequency(declared, dates)]
    assert fitted_frequency(dates, allowed) == (freq, None)


def test_first_of_february_and_march_are_monthly():
    dates = np.array(["2023-02-01", "2023-03-01"], "datetime64[D]")
    assert fitted_frequency(dates, GENERATED) == ("MS", None)
    assert fitted_frequency(dates, [declared_frequency("W", dates)])[1] is not None


# Faults of rows


def test_duplicate_rows(wide, long, write):
    path = write(wide.iloc[[0, 1, 2, 3, 2, 4, 5]].to_csv(index=False))
    words = "line 6, column 'date': date '2024-01-08', geo 'north' is there already (line 4)"
    refused(path, WIDE, words)
    doubled = pd.concat([long, long.iloc[[8]].set_axis(["again"])])
    words = "date '2024-01-08', geo 'north', medium 'Ads' is there already (index label r8)"
    refused(doubled, LONG, f"index label again, column 'date': {words}")


def test_forgotten_geo_or_channel_column(wide, long):
    refused(wide, PLAIN, "index label r1, column 'date'", "set spend_plan.geo")
    mapping = SpendPlanConfig(geo="geo", channels=["amount"])
    refused(long, mapping, "index label r6, column 'date'", "set spend_plan.channel")
    wide["date"] = pd.to_datetime(wide["date"])
    refused(wide, PLAIN, "date '2024-01-01' is there already (index label r0)")


def test_geo_that_lacks_a_date(wide, write):
    path = write(wide.drop(index="r3").to_csv(index=False))
    refused(path, WIDE, "line 4, column 'date': geo 'east' has no row for 2024-01-08, the date of")
    words = "index label r1, column 'date': geo 'north' has no row for 2024-01-01, the date of"
    refused(wide.drop(index="r0"), WIDE, words)
    words = "index label r4, column 'date': geo 'east' has no row for 2024-01-15, the date of"
    refused(wide.drop(index="r5"), WIDE, words)


def test_gap_of_all_geos_names_the_last_row_before_it(wide):
    later = wide.assign(date=wide["date"].replace("2024-01-15", "2024-01-22"))
    refused(later, WIDE, "index label r3, column 'date': 2024-01-15 is missing after this row")


def test_channel_that_lacks_a_date(long):
    words = "channel 'Ads' of geo 'north' has no row for 2024-01-15, the date of this row"
    refused(long.drop(index="r10"), LONG, f"index label r4, column 'date': {words}")
    words = "channel 'Ads' of geo 'east' has no row for 2024-01-01, the date of this row; where"
    message = refused(long.drop(index=["r7", "r9", "r11"]), LONG, "index label r0", words)
    assert message.endswith("nothing was spent write 0 (and 2 more rows are missing)")
    national = long[long["geo"] == "north"].drop(index="r10")
    mapping = LONG.model_copy(update={"geo": None})
    refused(national, mapping, "index label r4, column 'date': channel 'Ads' has no row for")


# Faults of columns and files


def test_missing_columns(wide, long, write):
    path = write(WEEKLY.read_text(encoding="utf-8"))
    found = "did you mean 'DATE'? found: 'DATE', 'revenue', 'tv_S'"
    refused(path, PLAIN, f"plan.csv, line 1: no column 'date' (spend_plan.date); {found}")
    mapping = SpendPlanConfig(date="DATE", channels=["tv_S", "tvv_S"])
    refused(path, mapping, "line 1: no column 'tvv_S' (spend_plan.channels); did you mean 'tv_S'?")
    mapping = SpendPlanConfig(date="DATE", channels="*_S", controls={"n": "Newsletter"})
    refused(path, mapping, "'Newsletter' (spend_plan.controls); did you mean 'newsletter'?")
    mapping = SpendPlanConfig(date="DATE", channels="*_S", controls="*_Z")
    refused(path, mapping, "line 1: no column like '*_Z' (set spend_plan.controls)")
    mapping = SpendPlanConfig(date="DATE")
    refused(path, mapping, "line 1: no column like 'x1-TV' (set spend_plan.channels); found: ")
    mapping = SpendPlanConfig(geo="region")
    refused(wide, mapping, "the header of the frame: no column 'region' (spend_plan.geo)")
    mapping = SpendPlanConfig(geo="geo", channel="media", spend="amount")
    refused(long, mapping, "no column 'media' (spend_plan.channel)", "'medium'")
    mapping = SpendPlanConfig(geo="geo", channel="medium")
    refused(long, mapping, "no column 'spend' (spend_plan.spend)")
    mapping = LONG.model_copy(update={"channels": ("Radio",)})
    refused(long, mapping, "no label 'Radio' (spend_plan.channels); found: 'TV', 'Ads'")


def test_columns_with_one_name(wide, write):
    path = write("date,x1-TV,x1-TV\n2024-01-01,1,2\n2024-01-02,1,2\n")
    refused(path, PLAIN, "line 1: column 'x1-TV' is there 2 times")
    path = write("date,x1-TV,x2-TV\n2024-01-01,1,2\n2024-01-02,1,2\n")
    refused(path, PLAIN, "line 1: 'x1-TV', 'x2-TV' would all be called 'TV'")
    refused(pd.concat([wide, wide[["geo"]]], axis=1), WIDE, "column 'geo' is there 2 times")
    mapping = SpendPlanConfig(geo="geo", controls=["x1-TV"])
    refused(wide, mapping, "column 'x1-TV' is both a channel and a control")


def test_empty_files(write, wide):
    refused(write(""), PLAIN, "the file is empty")
    refused(write("\n\n"), PLAIN, "the file is empty")
    refused(write("date,x1-TV\n"), PLAIN, "line 1: there are no rows")
    refused(wide.iloc[:0], WIDE, "the header of the frame: there are no rows")


def test_broken_files(write, tmp_path):
    path = write("date,x1,x2\n2024-01-01,1,2\n2024-01-02,1,5,2\n")
    refused(path, PLAIN, "line 3, column 'x2': the row has 4 cells and the header 3")
    path = write("date,x1,x2\n2024-01-01,1,2\n2024-01-02,1\n")
    refused(path, PLAIN, "line 3, column 'x1': the row has 2 cells and the header 3")
    refused(write('date,x1\n2024-01-01,"1\n'), PLAIN, "line 2: cannot be read as CSV")
    refused(write("date;x1\n2024-01-01;1\n"), PLAIN, "line 1", "separated by commas")
    path = tmp_path / "latin.csv"
    path.write_bytes("date,x1\n2024-01-01,1 €\n".encode("cp1252"))
    refused(path, PLAIN, "latin.csv", "is not UTF-8 text")
    refused(write("no parquet", "plan.parquet"), PLAIN, "cannot be read as Parquet")


def test_unsupported_sources(tmp_path, write):
    refused(tmp_path / "none.csv", PLAIN, str(tmp_path / "none.csv"), "no such file")
    refused(str(tmp_path / "none.parquet"), PLAIN, "none.parquet: no such file")
    refused(write("x", "plan.xlsx"), PLAIN, "plan.xlsx", "'.csv', '.parquet'")
    (tmp_path / "folder.csv").mkdir()
    refused(tmp_path / "folder.csv", PLAIN, "no such file")
    for source in (None, 3, [1.0], np.ones((2, 2)), pd.Series([1.0])):
        refused(source, PLAIN, f"type {type(source).__name__}", "a pandas DataFrame")


# The mapping


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"channels": "tv_S"}, "channels: found 'tv_S', allowed: a pattern with one '*'"),
        ({"channels": "x*-*"}, "channels: found 'x*-*', allowed: a pattern with one '*'"),
        ({"channels": []}, "channels: found "),
        ({"channels": {}}, "channels: found "),
        ({"channels": ["a", "a"]}, "channels: found ['a', 'a'], allowed: each column once"),
        ({"channels": {"a": "c", "b": "c"}}, "allowed: each column once"),
        ({"channels": ["a", 1]}, "allowed: names and columns that are texts"),
        ({"channels": {"": "a"}}, "allowed: names and columns that are texts"),
        ({"controls": 3}, "controls: found 3, allowed: a mapping"),
        ({"freq": "yearly"}, "freq: found 'yearly', allowed: 'D', 'W'"),
        ({"freq": 7}, "freq: found 7"),
        ({"date": ""}, "date: found ''"),
        ({"date_format": "%d/%m"}, "date_format: found '%d/%m', allowed: a format with a year"),
        ({"date_format": "%Y-%m-%d %z"}, "without a time zone"),
        ({"date_format": "%Y %Q"}, "date_format: found '%Y %Q', allowed: a format with a year"),
        ({"colour": 1}, "colour"),
    ],
)
def test_bad_mapping(keys, words):
    with pytest.raises(ConfigError, match=re.escape(words)):
        SpendPlanConfig(**keys)


def test_mapping_survives_its_dump():
    mapping = SpendPlanConfig(channels={"tv": "tv_S"}, controls=["a"], freq="weekly")
    assert SpendPlanConfig(**mapping.model_dump(mode="json")) == mapping
    assert SpendPlanConfig.model_validate_json(mapping.model_dump_json()) == mapping
