"""Every check finds what it is for, keeps quiet otherwise, and nothing bad raises."""

from __future__ import annotations

import datetime
import decimal
import json
from collections.abc import Callable
from functools import cache

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

import mmm_xgen
from mmm_xgen.errors import SchemaError
from mmm_xgen.frames.statistics import (
    isolation,
    median_over_dates,
    outliers,
    variance_inflation,
    within_geo_correlation,
    zero_runs,
)
from mmm_xgen.quality import CHECKS, DataQualityReport, Finding, check_data_quality, suggest_fixes
from tests.strategies import quietly

N_DATES = 60
GEOS = ("a", "b", "c")
CHANNELS = ("TV", "Radio", "Search")
VALUES = ("y", "x1-TV", "x2-Radio", "x3-Search", "c1-Price")


def clean_dataset(seed: int = 0, n_dates: int = N_DATES) -> xr.Dataset:
    """Uniform noise: varies, never negative, no outlier, no dependence."""
    rng = np.random.default_rng(seed)
    scale = np.array([1.0, 3.0, 10.0])
    shape = (n_dates, len(GEOS))
    spend = rng.uniform(500, 1500, (*shape, len(CHANNELS))) * scale[:, None]
    price = rng.uniform(8, 12, (*shape, 1))
    noise = rng.uniform(-300, 300, shape) * scale
    intercept = 8000 * scale
    channel = 0.5 * spend
    control = -20.0 * price
    trend = np.linspace(0, 100, n_dates)[:, None] * scale
    mu = intercept + trend + channel.sum(-1) + control.sum(-1)
    dims = ("date", "geo")
    return xr.Dataset(
        {
            "spend": ((*dims, "channel"), spend),
            "control_value": ((*dims, "control"), price),
            "y": (dims, mu + noise),
            "intercept_contribution": ("geo", intercept),
            "trend_contribution": (dims, trend),
            "channel_contribution": ((*dims, "channel"), channel),
            "control_contribution": ((*dims, "control"), control),
            "mu": (dims, mu),
            "noise": (dims, noise),
        },
        coords={
            "date": pd.date_range("2022-01-03", periods=n_dates, freq="7D"),
            "geo": list(GEOS),
            "channel": list(CHANNELS),
            "control": ["Price"],
        },
    )


def clean_frame(seed: int = 0, n_dates: int = N_DATES) -> pd.DataFrame:
    dataset = clean_dataset(seed, n_dates)
    return pd.DataFrame(
        {
            "date": np.repeat(dataset["date"].values, len(GEOS)),
            "geo": list(GEOS) * n_dates,
            "y": dataset["y"].values.ravel(),
            **{
                f"x{number}-{name}": dataset["spend"].sel(channel=name).values.ravel()
                for number, name in enumerate(CHANNELS, start=1)
            },
            "c1-Price": dataset["control_value"].values.ravel(),
        }
    )


def codes(report: DataQualityReport) -> set[str]:
    return {finding.code for finding in (*report.errors, *report.warnings)}


def only(report: DataQualityReport, code: str) -> Finding:
    (finding,) = [one for one in (*report.errors, *report.warnings) if one.code == code]
    return finding


def edit(column: str, rows: object, value: object) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def change(frame: pd.DataFrame) -> pd.DataFrame:
        if isinstance(value, str | pd.Timestamp | type(None)):
            frame[column] = frame[column].astype(object)
        frame.loc[rows, column] = value
        return frame

    return change


def assign(**columns: object) -> Callable[[pd.DataFrame], pd.DataFrame]:
    return lambda frame: frame.assign(**columns)


def of(column: str) -> Callable[[pd.DataFrame], pd.Series]:
    return lambda frame: frame[column]


def jitter(frame: pd.DataFrame) -> pd.Series:
    return frame["x1-TV"] * (1 + 0.01 * np.random.default_rng(5).uniform(-1, 1, len(frame)))


def in_geo(geo: str) -> Callable[[pd.DataFrame], pd.Series]:
    return lambda frame: frame["geo"] == geo


def drop_date(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame["date"] != pd.Timestamp("2022-03-07")]


def shift_date(frame: pd.DataFrame) -> pd.DataFrame:
    old = pd.Timestamp("2022-03-07")
    frame["date"] = frame["date"].where(frame["date"] != old, old + pd.Timedelta(days=2))
    return frame


def off_from_april(frame: pd.DataFrame) -> pd.DataFrame:
    off = frame["date"].between("2022-04-01", "2022-09-30") & (frame["geo"] == "b")
    return edit("x2-Radio", off, 0.0)(frame)


# (code, severity, what breaks a clean frame, what `where` must start with)
BROKEN_FRAMES = [
    ("missing-variable", "error", lambda f: f.drop(columns="date"), "date"),
    ("missing-variable", "error", lambda f: f.drop(columns="y"), "y"),
    ("missing-variable", "error", lambda f: f[["date", "geo", "y", "c1-Price"]], "x1-"),
    ("no-rows", "error", lambda f: f.iloc[:0], "date"),
    ("duplicate-columns", "error", lambda f: pd.concat([f, f["y"]], axis=1), "y"),
    ("duplicate-columns", "error", lambda f: f.rename(columns={"x2-Radio": "x7-TV"}), "x1-TV, x7"),
    ("duplicate-columns", "error", assign(**{"c4-Price": jitter}), "c1-Price, c4-Price"),
    ("unparsable-dates", "error", edit("date", 4, "week five"), "date"),
    ("unparsable-dates", "error", assign(date=range(N_DATES * 3)), "date"),
    ("missing-values", "error", edit("date", 4, pd.NaT), "date"),
    ("missing-values", "error", edit("geo", 4, None), "geo"),
    ("missing-values", "error", edit("x1-TV", 4, np.nan), "x1-TV at b 2022-01-10"),
    ("missing-values", "error", edit("y", 4, np.nan), "y at b 2022-01-10"),
    ("leaked-truth", "error", assign(**{"TV_contribution": of("y")}), "TV_contribution"),
    ("leaked-truth", "error", assign(**{"roas": 2.0}), "roas"),
    ("leaked-truth", "error", assign(**{"x4-TVEffect": of("x1-TV")}), "x4-TVEffect"),
    ("leaked-truth", "error", assign(mu=of("y")), "mu"),
    ("duplicate-rows", "error", lambda f: pd.concat([f, f.iloc[[4]]]), "(date, geo) at b"),
    ("non-numeric", "error", edit("x1-TV", 4, "n/a"), "x1-TV at b 2022-01-10"),
    ("non-numeric", "error", edit("x1-TV", 4, "12.5"), "x1-TV at b 2022-01-10"),
    ("non-numeric", "error", lambda f: f.assign(y=f["date"]), "y at"),
    ("infinite-values", "error", edit("x1-TV", 4, np.inf), "x1-TV at b 2022-01-10"),
    ("infinite-values", "error", edit("y", 4, -np.inf), "y at b 2022-01-10"),
    ("negative-values", "error", edit("x1-TV", 4, -1.0), "x1-TV at b 2022-01-10"),
    ("negative-values", "error", edit("y", 4, -1.0), "y at b 2022-01-10"),
    ("unbalanced-geos", "error", lambda f: f.drop(index=4), "geo b at 2022-01-10"),
    ("date-gaps", "error", drop_date, "date after 2022-02-28"),
    ("zero-y", "error", assign(y=0.0), "y"),
    ("constant-y", "error", assign(y=7.0), "y"),
    ("constant-y", "warning", edit("y", in_geo("b"), 7.0), "y in b"),
    ("irregular-dates", "warning", shift_date, "date at 2022-03-09"),
    ("unsorted-rows", "warning", lambda f: f.iloc[::-1], "(date, geo) at"),
    ("unsorted-rows", "warning", lambda f: f.sort_values(["geo", "date"]), "(date, geo) at"),
    ("copy-of-y", "warning", assign(**{"c2-Copy": of("y")}), "c2-Copy"),
    ("few-rows", "warning", lambda f: f.iloc[:6], "date"),
    ("collinear", "warning", assign(**{"x4-B": jitter}), "x1-TV"),
    ("collinear", "warning", assign(**{"x4-Sum": lambda f: f["x1-TV"] + f["x2-Radio"]}), "x1-TV"),
    ("correlated-pair", "warning", assign(**{"x4-B": jitter}), "x1-TV and x4-B"),
    ("zero-channel", "warning", assign(**{"x1-TV": 0.0}), "x1-TV"),
    ("constant-channel", "warning", assign(**{"x1-TV": 3.0}), "x1-TV"),
    ("constant-channel", "warning", edit("x1-TV", in_geo("b"), 0.0), "x1-TV in b"),
    ("zero-control", "warning", assign(**{"c1-Price": 0.0}), "c1-Price"),
    ("constant-control", "warning", assign(**{"c1-Price": 0.1}), "c1-Price"),
    ("constant-control", "warning", edit("c1-Price", in_geo("c"), 3.0), "c1-Price in c"),
    ("spend-gap", "warning", off_from_april, "x2-Radio at b 2022-04-04 to b 2022-09-26"),
    ("outliers", "warning", edit("x1-TV", 4, 1e6), "x1-TV at b 2022-01-10"),
    ("outliers", "warning", edit("y", 4, 0.0), "y at b 2022-01-10"),
    ("object-dtype", "warning", lambda f: f.astype({"x1-TV": object}), "x1-TV"),
    ("unexpected-column", "warning", assign(store="s"), "store"),
]


@pytest.mark.parametrize(("code", "severity", "breaks", "where"), BROKEN_FRAMES)
def test_broken_frame_is_found_where_it_is_broken(code, severity, breaks, where):
    report = check_data_quality(breaks(clean_frame()))
    found = [one for one in getattr(report, f"{severity}s") if one.code == code]
    assert any(one.where.startswith(where) for one in found), str(report)
    assert report.ok == (not report.errors)
    assert all(one.message and one.fix.endswith(".") for one in found)
    json.dumps(report.to_dict(), allow_nan=False)


# (code, severity, what breaks a clean Dataset, what `where` must start with)
BROKEN_DATASETS = [
    ("missing-variable", lambda d: d.drop_vars("spend"), "spend"),
    ("missing-variable", lambda d: d.drop_vars("y"), "y"),
    ("missing-variable", lambda d: d.drop_vars("date"), "date"),
    ("missing-variable", lambda _: xr.Dataset(), "spend"),
    ("wrong-dims", lambda d: d.rename(date="time"), "spend (time, geo, channel)"),
    ("wrong-dims", lambda d: d.expand_dims(dataset=2), "y (dataset, date, geo)"),
    ("wrong-dims", lambda d: d.assign(y=d["y"].sum("geo")), "y (date)"),
    ("wrong-dims", lambda d: d.assign(spend=d["spend"].mean("date")), "spend (geo, channel)"),
    ("no-rows", lambda d: d.isel(date=slice(0)), "date"),
    ("no-rows", lambda d: d.isel(geo=slice(0)), "date"),
    ("duplicate-columns", lambda d: d.assign_coords(channel=["TV", "TV", "Web"]), "channel TV"),
    ("unparsable-dates", lambda d: d.assign_coords(date=np.arange(N_DATES)), "date"),
    ("missing-values", lambda d: d.assign(y=d["y"].where(d["y"] > d["y"].min())), "y at"),
    ("leaked-truth", lambda d: d.assign_coords(control=["roas"]), "control roas"),
    ("broken-identity", lambda d: d.assign(mu=d["mu"] * (1 + 1e-8)), "mu"),
    ("broken-identity", lambda d: d.assign(noise=d["noise"] + 1e-3), "noise"),
    ("broken-identity", lambda d: d.drop_vars("trend_contribution"), "mu"),
    ("broken-identity", lambda d: d.assign(mu=d["mu"].where(d["geo"] != "a")), "mu"),
    ("broken-identity", lambda d: d.assign(mu=d["mu"].astype(str) + "?"), "mu"),
    ("duplicate-rows", lambda d: d.isel(date=[0, 0, 1, 2]), "(date, geo) at a 2022-01-03"),
    ("duplicate-rows", lambda d: d.assign_coords(geo=["a", "a", "c"]), "(date, geo) at"),
    ("non-numeric", lambda d: d.assign(spend=d["spend"].astype(str)), "TV at"),
    ("negative-values", lambda d: d.assign(spend=-d["spend"]), "TV at"),
    ("date-gaps", lambda d: d.drop_isel(date=9), "date after 2022-02-28"),
    ("unsorted-rows", lambda d: d.isel(date=slice(None, None, -1)), "(date, geo) at"),
    ("zero-channel", lambda d: d.assign(spend=d["spend"] * 0), "TV"),
    ("object-dtype", lambda d: d.assign(spend=d["spend"].astype(object)), "spend"),
]


@pytest.mark.parametrize(("code", "breaks", "where"), BROKEN_DATASETS)
def test_broken_dataset_is_found_where_it_is_broken(code, breaks, where):
    report = check_data_quality(breaks(clean_dataset()))
    found = [one for one in (*report.errors, *report.warnings) if one.code == code]
    assert any(one.where.startswith(where) for one in found), str(report)


def test_every_code_has_a_positive_case():
    tested = {case[0] for case in (*BROKEN_FRAMES, *BROKEN_DATASETS)}
    assert tested == {check.code for check in CHECKS}


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("make", [clean_frame, clean_dataset])
def test_clean_data_give_no_finding(make, seed):
    report = check_data_quality(make(seed))
    assert report.ok
    assert not codes(report), str(report)
    assert list(report.figures["role"]) == ["y", "channel", "channel", "channel", "control"]


def test_frame_and_dataset_agree():
    frame, dataset = check_data_quality(clean_frame()), check_data_quality(clean_dataset())
    pd.testing.assert_frame_equal(
        frame.figures.reset_index(drop=True), dataset.figures.reset_index(drop=True)
    )
    assert frame == dataset
    assert list(frame.figures.index) == list(VALUES)
    assert list(dataset.figures.index) == ["y", *CHANNELS, "Price"]


MUTILATIONS = [
    ("missing-values", np.nan),
    ("missing-values", None),
    ("infinite-values", np.inf),
    ("negative-values", -5.0),
    ("non-numeric", "?"),
    ("outliers", 1e9),
]


@given(
    column=st.sampled_from(VALUES),
    rows=st.sets(st.integers(0, N_DATES * len(GEOS) - 1), min_size=1, max_size=5),
    kind=st.sampled_from(MUTILATIONS),
)
def test_mutilated_cells_are_found_and_counted(column, rows, kind):
    code, value = kind
    frame = clean_frame()
    report = check_data_quality(edit(column, sorted(rows), value)(frame))
    if (code, column) == ("negative-values", "c1-Price"):
        # Controls may be below zero.
        assert code not in [each.code for each in report.errors]
        return
    finding = only(report, code)
    assert finding.where.startswith(f"{column} at ")
    assert finding.message.startswith(f"{len(rows)} of {len(frame)} ")


@given(rows=st.sets(st.integers(0, N_DATES * len(GEOS) - 1), min_size=1, max_size=20))
def test_mutilated_rows_are_found(rows):
    frame, chosen = clean_frame(), sorted(rows)
    copied = check_data_quality(pd.concat([frame, frame.iloc[chosen]]))
    assert only(copied, "duplicate-rows").message.startswith(f"{len(rows)} rows")
    left = frame.drop(index=chosen)
    dropped = check_data_quality(left)
    lost = len(GEOS) * left["date"].nunique() - len(left)
    counted = [int(one.message.split()[1]) for one in dropped.errors if one.code[:5] == "unbal"]
    assert sum(counted) == lost
    inner_dates_lost = left["date"].drop_duplicates().diff().max() > pd.Timedelta(days=7)
    assert ("date-gaps" in codes(dropped)) == inner_dates_lost


@cache
def clean_figures() -> pd.DataFrame:
    return check_data_quality(clean_frame()).figures


@given(seed=st.integers(0, 2**32 - 1))
def test_shuffled_rows_change_nothing_but_their_order(seed):
    report = check_data_quality(clean_frame().sample(frac=1, random_state=seed))
    assert codes(report) == {"unsorted-rows"}
    pd.testing.assert_frame_equal(report.figures, clean_figures())


HOSTILE_CELLS = st.one_of(
    *(st.none(), st.integers(), st.floats(), st.text(max_size=5), st.booleans(), st.dates()),
    *(st.complex_numbers(), st.decimals(), st.binary(max_size=3), st.tuples(st.integers())),
    st.lists(st.integers(), max_size=2),
    st.sampled_from([pd.NaT, pd.NA, 10**400]),
    st.just({}),
)
NAMES = st.sampled_from(["date", "geo", "y", "x1-TV", "x1-TV", "x2", "c1-P", "roas", 3, None, ""])


@given(data=st.data(), n_columns=st.integers(0, 5), n_rows=st.integers(0, 4))
def test_no_frame_raises(data, n_columns, n_rows):
    names = data.draw(st.lists(NAMES, min_size=n_columns, max_size=n_columns))
    cells = st.lists(HOSTILE_CELLS, min_size=n_rows, max_size=n_rows)
    columns = [pd.Series(data.draw(cells), dtype=object) for _ in names]
    frame = pd.concat(columns, axis=1) if columns else pd.DataFrame(index=range(n_rows))
    frame.columns = pd.Index(names, dtype=object)
    before = frame.copy(deep=True)
    report = check_data_quality(frame)
    json.dumps(report.to_dict(), allow_nan=False)
    assert isinstance(str(report) + report._repr_html_(), str)
    assert suggest_fixes(report) or report.ok
    assert list(frame.columns) == list(before.columns)


VALUE_ARRAYS = st.sampled_from([np.nan, np.inf, -np.inf, 0.0, 1.0, -1.0, 1e308, -1e308, 5e-324])


@given(
    data=st.data(),
    sizes=st.tuples(st.integers(0, 8), st.integers(0, 2), st.integers(0, 2)),
    drop=st.sets(st.sampled_from(["date", "geo", "channel"])),
)
def test_no_dataset_raises(data, sizes, drop):
    n_dates, n_geos, n_channels = sizes

    def draw(*shape: int) -> np.ndarray:
        size = int(np.prod(shape))
        cells = st.lists(VALUE_ARRAYS, min_size=size, max_size=size)
        return np.array(data.draw(cells)).reshape(shape)

    dataset = xr.Dataset(
        {
            "spend": (("date", "geo", "channel"), draw(n_dates, n_geos, n_channels)),
            "y": (("geo", "date"), draw(n_geos, n_dates)),
            "mu": (("date", "geo"), draw(n_dates, n_geos)),
            "noise": (("date", "geo"), draw(n_dates, n_geos)),
        },
        coords={
            "date": pd.date_range("2022-01-03", periods=n_dates, freq="D"),
            "geo": [f"g{number}" for number in range(n_geos)],
            "channel": [f"c{number}" for number in range(n_channels)],
        },
    ).drop_vars(drop)
    json.dumps(check_data_quality(dataset).to_dict(), allow_nan=False)


@pytest.mark.parametrize(
    "data",
    [None, 3, "frame.csv", {"y": [1.0]}, np.zeros((3, 3)), pd.Series([1.0]), xr.DataArray([1.0])],
)
def test_only_what_is_no_dataset_raises(data):
    with pytest.raises(SchemaError, match=r"found a .*allowed: an xarray.Dataset with spend"):
        check_data_quality(data)


HOSTILE_FRAMES: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "empty": lambda f: pd.DataFrame(),
    "no columns": lambda f: pd.DataFrame(index=range(3)),
    "only a date": lambda f: pd.DataFrame({"date": ["2022-01-03"]}),
    "only a geo": lambda f: pd.DataFrame({"geo": ["a", "a"]}),
    "one column": lambda f: pd.DataFrame({"y": [1.0, 2.0]}),
    "all NaT": lambda f: f.assign(date=pd.NaT),
    "all missing": lambda f: f.astype(object).where(f.isna()),
    "all objects": lambda f: f.astype(object),
    "all text": lambda f: f.astype(str),
    "signalling NaN": lambda f: f.assign(geo=decimal.Decimal("sNaN"), y=decimal.Decimal("sNaN")),
    "all categories": lambda f: f.astype("category"),
    "twice each column": lambda f: pd.concat([f, f], axis=1),
    "column levels": lambda f: pd.concat({"one": f}, axis=1),
    "short floats": lambda f: f.assign(date=np.float16(1), geo=np.float16(1)),
    "tuple dates": lambda f: f.assign(date=[(1, 2)] * len(f)),
    "each row a geo": lambda f: f.assign(geo=range(len(f)), date=range(len(f))),
    "each row a geo and a date": lambda f: f.assign(
        geo=range(len(f)), date=pd.date_range("2000-01-01", periods=len(f))
    ),
}


@pytest.mark.parametrize("name", HOSTILE_FRAMES)
def test_hostile_frames_are_reported(name):
    report = check_data_quality(HOSTILE_FRAMES[name](clean_frame()))
    assert report.ok == (name in {"all categories", "all objects"}), str(report)
    json.dumps(report.to_dict(), allow_nan=False)
    assert report._repr_html_().startswith("<p>")


def test_single_row():
    report = check_data_quality(clean_frame().iloc[:1])
    assert report.ok
    assert codes(report) == {"few-rows"}
    assert report.figures["sd"].isna().all()


def test_sparse_panel_reports_a_bounded_number_of_geos():
    sparse = HOSTILE_FRAMES["each row a geo and a date"](clean_frame())
    report = check_data_quality(sparse)
    unbalanced = [one for one in report.errors if one.code == "unbalanced-geos"]
    assert len(unbalanced) == 11
    assert unbalanced[-1].where == "170 other geos"


def test_first_of_duplicate_rows_counts():
    frame = clean_frame()
    copy = frame.iloc[[4]].assign(**{"x1-TV": 1e9})
    report = check_data_quality(pd.concat([frame, copy]))
    assert report.figures.loc["x1-TV", "outliers"] == 0
    assert report.figures.loc["x1-TV", "max"] == 1e9


WEEKS = pd.date_range("2022-01-03", periods=N_DATES, freq="7D")
MONTHS = {months: pd.DateOffset(months=months) for months in (1, 3)}
CALENDARS = [
    *(
        pd.date_range(start, periods=N_DATES, freq=freq)
        for start, freq in [
            *(("2022-01-01", "D"), ("2022-01-03", "W-WED"), ("2020-01-01", "MS")),
            *(("2020-01-31", "ME"), ("2010-01-01", "QS"), ("1960-01-01", "YS")),
            *(("2020-01-31", "28D"), ("2022-01-03", "B"), ("2022-01-03", "14D")),
            *(("2020-01-15", MONTHS[1]), ("2010-02-15", MONTHS[3])),
        ]
    ),
    WEEKS.tz_localize("Europe/Berlin"),
    *(WEEKS.strftime(form) for form in ("%Y-%m-%d", "%Y%m%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y")),
    WEEKS.date,
    pd.period_range("2020-01", periods=N_DATES, freq="M"),
    [datetime.datetime(2022, 1, 1) + datetime.timedelta(days=n) for n in range(N_DATES)],
]


@pytest.mark.parametrize("dates", CALENDARS)
def test_regular_calendars_are_clean(dates):
    given_dates = pd.Index(dates).repeat(len(GEOS))
    report = check_data_quality(clean_frame().assign(date=given_dates))
    assert not codes(report), str(report)


@pytest.mark.parametrize("form", ["%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y"])
def test_the_order_of_day_and_month_is_not_guessed(form):
    months = pd.date_range("2022-01-01", periods=12, freq="MS").strftime(form)
    frame = clean_frame(n_dates=12).assign(date=months.repeat(len(GEOS)))
    finding = only(check_data_quality(frame), "unparsable-dates")
    assert "36 of 36" in finding.message
    with pytest.raises(SchemaError, match="YYYY-MM-DD"):
        mmm_xgen.from_frame(frame)
    # One day after the twelfth says which of them it is.
    days = pd.date_range("2022-01-01", periods=14).strftime(form)
    frame = clean_frame(n_dates=14).assign(date=days.repeat(len(GEOS)))
    assert mmm_xgen.from_frame(frame).attrs["freq"] == "D"


@pytest.mark.parametrize(
    "text", [str, pd.Timestamp.isoformat, lambda date: f"{date:%Y%m%dT%H%M%S%z}"]
)
def test_dates_with_a_time_zone_keep_their_day(text):
    dates = pd.date_range("2022-01-03", periods=N_DATES, freq="W-MON", tz="Europe/Berlin")
    frame = clean_frame().assign(date=dates.map(text).repeat(len(GEOS)))
    assert not codes(check_data_quality(frame))
    ds = mmm_xgen.from_frame(frame)
    assert ds.attrs["freq"] == "W-MON"
    np.testing.assert_array_equal(ds["date"], dates.tz_localize(None))


MIDDLE = pd.Timestamp("2020-05-17")


@pytest.mark.parametrize(
    ("dates", "code"),
    [
        (pd.date_range("2020-01-01", periods=N_DATES, freq="MS").delete(5), "date-gaps"),
        (pd.date_range("2020-01-31", periods=N_DATES, freq="ME").delete(5), "date-gaps"),
        (pd.date_range("2020-01-01", periods=N_DATES, freq="D").delete([5, 6]), "date-gaps"),
        (pd.date_range("2020-01-01", periods=3, freq="MS").delete(1), None),
        (pd.DatetimeIndex(["2022-07-01", "2022-08-01", "2022-10-01"]), "date-gaps"),
        (pd.DatetimeIndex(["2022-01-03", "2022-01-10", "2022-01-24"]), "date-gaps"),
        (pd.date_range("2020-01-01", periods=12, freq="MS").insert(5, MIDDLE), "irregular-dates"),
    ],
)
def test_calendar_defects_are_told_apart(dates, code):
    frame = clean_frame(n_dates=len(dates)).assign(date=dates.repeat(len(GEOS)))
    found = codes(check_data_quality(frame)) & {"date-gaps", "irregular-dates"}
    assert found == ({code} if code else set())


def test_one_date_with_a_time_of_day_is_the_irregular_one():
    frame = clean_frame()
    frame["date"] = frame["date"].where(frame.index >= 3, frame["date"] + pd.Timedelta(hours=5))
    finding = only(check_data_quality(frame), "irregular-dates")
    assert finding.where == "date at 2022-01-03"
    assert finding.message == "1 of 60 dates are not on the calendar"


def test_number_of_lost_periods():
    frame = clean_frame()
    lost = pd.to_datetime(["2022-03-07", "2022-03-14", "2022-06-06"])
    report = check_data_quality(frame[~frame["date"].isin(lost)])
    finding = only(report, "date-gaps")
    assert finding.message == "3 periods are missing"
    assert finding.where == "date after 2022-02-28, 2022-05-30"


def test_one_geo_without_a_geo_column_and_keys_in_the_index():
    frame = clean_frame().query("geo == 'a'").drop(columns="geo")
    assert not codes(check_data_quality(frame))
    assert not codes(check_data_quality(frame.set_index("date")))
    unnamed = frame.set_index("date").rename_axis(None)
    assert not codes(check_data_quality(unnamed))
    assert not codes(check_data_quality(clean_frame().set_index(["date", "geo"])))


def test_geos_may_be_in_any_steady_order():
    frame = clean_frame().replace({"geo": {"a": "geo_10", "b": "geo_2", "c": "Berlin"}})
    assert not codes(check_data_quality(frame))
    assert not codes(check_data_quality(frame.sort_values(["date", "geo"])))


@pytest.mark.parametrize(
    "transform",
    [
        lambda d: d.transpose("channel", "geo", ...),
        lambda d: d.isel(geo=0),
        lambda d: d.isel(geo=0, drop=True),
        lambda d: d.drop_vars(["geo", "channel", "control"]),
        lambda d: d[["spend", "y"]].isel(channel=1),
        lambda d: d.assign(control_value=d["control_value"].isel(geo=0, drop=True)),
        lambda d: d.astype(np.float32)[["spend", "y", "control_value"]],
        lambda d: d.set_coords("spend"),
    ],
)
def test_datasets_of_other_make_are_clean(transform):
    report = check_data_quality(transform(clean_dataset()))
    assert not codes(report), str(report)


def test_dask_dataset():
    pytest.importorskip("dask.array")
    chunked = clean_dataset().chunk({"date": 7})
    assert check_data_quality(chunked) == check_data_quality(clean_dataset())


def test_dataset_does_not_count_its_padding_as_missing():
    dataset = clean_dataset()[["spend", "y"]]
    late = (dataset["geo"] == "b") & (dataset["date"] < np.datetime64("2022-02-01"))
    report = check_data_quality(dataset.where(~late))
    assert {one.code for one in report.errors} == {"unbalanced-geos"}
    finding = only(report, "unbalanced-geos")
    assert finding.message == f"lacks 5 of {N_DATES} dates"
    assert finding.where.startswith("geo b at 2022-01-03, 2022-01-10, 2022-01-17 and 2 more")


def test_a_date_empty_in_all_geos_is_missing():
    dataset = clean_dataset()[["spend", "y"]]
    report = check_data_quality(dataset.where(dataset["date"] != dataset["date"][4]))
    assert {one.code for one in report.errors} == {"missing-values"}


def test_identities_hold_to_rounding_and_no_further():
    dataset = clean_dataset()
    assert check_data_quality(dataset.assign(mu=dataset["mu"] * (1 + 1e-13))).ok
    assert check_data_quality(dataset.isel(date=slice(3, 40))).ok
    broken = dataset.copy(deep=True)
    broken["noise"][3, 1] += 1.0
    finding = only(check_data_quality(broken), "broken-identity")
    assert finding.where == "noise"
    assert finding.message.startswith(f"1 of {N_DATES * 3} cells differ from y - mu")


@pytest.mark.parametrize(
    "name", ["x4-Trend", "c2-Noise_level", "c2-Prospecting", "x4-Affective", "c2-intercepted"]
)
def test_fair_names_are_no_leak(name):
    rng = np.random.default_rng(8)
    frame = clean_frame()
    report = check_data_quality(frame.assign(**{name: rng.uniform(1, 2, len(frame))}))
    assert not codes(report), str(report)


def test_numbers_of_other_types_are_numbers():
    frame = clean_frame()
    frame["x1-TV"] = frame["x1-TV"].round().astype(int)
    frame["x2-Radio"] = frame["x2-Radio"].astype("Float64")
    frame["c1-Price"] = frame["c1-Price"] > 10
    assert not codes(check_data_quality(frame))
    frame["x3-Search"] = [decimal.Decimal(str(value)) for value in frame["x3-Search"]]
    assert codes(check_data_quality(frame)) == {"object-dtype"}


def test_nullable_missing_values():
    frame = clean_frame()
    frame["x2-Radio"] = frame["x2-Radio"].astype("Float64")
    frame.loc[4, "x2-Radio"] = pd.NA
    assert only(check_data_quality(frame), "missing-values").where == "x2-Radio at b 2022-01-10"


@pytest.mark.parametrize(
    "values",
    [
        pd.to_timedelta(np.arange(N_DATES * 3), unit="D"),
        pd.date_range("2020-01-01", periods=N_DATES * 3, tz="UTC"),
        pd.interval_range(0, N_DATES * 3),
        pd.period_range("2020-01-01", periods=N_DATES * 3, freq="D"),
        [b"1"] * N_DATES * 3,
        np.ones(N_DATES * 3, dtype=complex),
    ],
)
def test_other_types_are_no_numbers(values):
    finding = only(check_data_quality(clean_frame().assign(y=values)), "non-numeric")
    assert finding.message == "180 of 180 values are not numbers"


@pytest.mark.parametrize("number", [10**30, 10**400, -(10**5000)], ids=["30", "400", "5000"])
@pytest.mark.parametrize("column", ["date", "geo", "x1-TV"])
@pytest.mark.parametrize("other", [datetime.date(2022, 1, 3), pd.NaT, "2022-01-03"])
def test_huge_integers_do_not_raise(number, column, other):
    frame = clean_frame().iloc[:2].reset_index(drop=True)
    frame[column] = pd.Series([other, number], dtype=object)
    report = check_data_quality(frame)
    assert str(report)
    if column == "date":
        assert only(report, "unparsable-dates").message.startswith("1 of 2 dates")


@pytest.mark.parametrize("factor", [1e-300, 1e-6, 1e6, 1e300])
def test_currency_units_do_not_matter(factor):
    frame = clean_frame()
    frame["x1-TV"] *= factor
    report = check_data_quality(frame)
    assert not codes(report), str(report)
    np.testing.assert_allclose(report.figures["vif"], clean_figures()["vif"], rtol=1e-9)


def test_short_pauses_are_no_gap():
    frame = clean_frame()
    paused = frame["date"].between("2022-04-01", "2022-06-01")
    report = check_data_quality(edit("x2-Radio", paused, 0.0)(frame))
    assert "spend-gap" not in codes(report)
    assert report.figures.loc["x2-Radio", "longest_gap"] == paused.sum() / 3


def test_on_off_channels_have_no_outliers():
    rng = np.random.default_rng(3)
    frame = clean_frame()
    frame["x1-TV"] *= rng.random(len(frame)) < 0.2
    report = check_data_quality(frame)
    assert report.figures.loc["x1-TV", "outliers"] == 0
    assert 0.7 < report.figures.loc["x1-TV", "zero_share"] < 0.9


def indicator(share: float, seed: int = 4) -> np.ndarray:
    return (np.random.default_rng(seed).random(N_DATES * len(GEOS)) < share).astype(float)


COUNTS = np.random.default_rng(6).poisson(0.3, N_DATES * len(GEOS)).astype(float)


@pytest.mark.parametrize("values", [*map(indicator, (0.02, 0.1, 0.5, 0.9)), COUNTS])
def test_indicators_and_counts_have_no_outliers(values):
    for height in (1.0, 40.0):
        report = check_data_quality(clean_frame().assign(**{"c1-Price": height * values}))
        assert report.figures.loc["c1-Price", "outliers"] == 0


def test_a_false_entry_in_an_indicator_is_an_outlier():
    values = indicator(0.3)
    values[4] = 100.0
    report = check_data_quality(clean_frame().assign(**{"c1-Price": values}))
    assert only(report, "outliers").where == "c1-Price at b 2022-01-10"


@pytest.mark.parametrize("seed", range(3))
def test_skewed_spend_has_no_outliers_and_a_spike_in_it_is_one(seed):
    rng = np.random.default_rng(seed)
    frame = clean_frame().assign(**{"x1-TV": rng.lognormal(5, 0.9, N_DATES * len(GEOS))})
    frame["x1-TV"] *= rng.random(len(frame)) < 0.7
    assert check_data_quality(frame).figures.loc["x1-TV", "outliers"] == 0
    spend = frame.loc[frame["geo"] == "b", "x1-TV"]
    frame.loc[4, "x1-TV"] += 20 * spend[spend > 0].std()
    assert only(check_data_quality(frame), "outliers").where == "x1-TV at b 2022-01-10"


def test_isolation_equals_leaving_one_out():
    values = np.random.default_rng(7).lognormal(size=9)
    others = [np.delete(values, position) for position in range(9)]
    pairs = zip(values, others, strict=True)
    expected = [abs(value - rest.mean()) / rest.std(ddof=1) for value, rest in pairs]
    np.testing.assert_allclose(isolation(values.reshape(-1, 1, 1)).ravel(), expected, rtol=1e-9)


def with_channels(frame: pd.DataFrame, number: int, value: object) -> pd.DataFrame:
    return frame.assign(**{f"x{position}-New": value for position in range(4, 4 + number)})


def test_three_variables_are_reported_each_and_more_together():
    few = check_data_quality(with_channels(clean_frame(), 3, 5.0))
    found = [one.where for one in few.warnings if one.code == "constant-channel"]
    assert found == ["x4-New", "x5-New", "x6-New"]
    many = only(check_data_quality(with_channels(clean_frame(), 20, 5.0)), "constant-channel")
    assert many.where == "x4-New, x5-New, x6-New and 17 more"
    assert many.message == "20 in all, such as x4-New: is 5 in all 180 rows"


def test_the_worst_is_named_first():
    frame = clean_frame()
    for size, column in enumerate(VALUES[1:], start=3):
        frame.loc[4, column] *= 10.0**size
    finding = only(check_data_quality(frame), "outliers")
    assert finding.where == "c1-Price, x3-Search, x2-Radio and 1 more"
    assert "c1-Price at b 2022-01-10: 1 of 180" in finding.message


def test_a_gap_is_named_before_pauses_and_launches():
    rng = np.random.default_rng(9)
    frame = with_channels(clean_frame(), 5, 0.0)
    for position in range(4, 9):
        frame[f"x{position}-New"] = rng.uniform(1, 2, len(frame)) * (
            frame["date"] > frame["date"].iloc[75 + 3 * position]
        )
    finding = only(check_data_quality(off_from_april(frame)), "spend-gap")
    assert finding.where.startswith("x2-Radio, ")
    assert "x2-Radio at b 2022-04-04 to b 2022-09-26: 26 of 60 periods" in finding.message


@cache
def preset(name: str) -> xr.Dataset:
    return quietly(lambda: mmm_xgen.generate_mmm_dataset(mmm_xgen.get_preset_config(name)))


PRESETS = sorted(mmm_xgen.list_available_presets())


@pytest.mark.parametrize("name", PRESETS)
def test_presets_have_no_error_and_few_warnings(name):
    report = check_data_quality(preset(name))
    assert report.ok, str(report)
    assert len(report.warnings) <= 6, str(report)


# The enterprise is as varied as the large business, in a tenth of the cells.
@pytest.mark.parametrize("name", sorted({*PRESETS} - {"large_business"}))
def test_faults_put_into_a_preset_are_found_and_named(name):
    clean = preset(name)[["spend", "y"]]
    first, second = clean["channel"].values[:2].tolist()
    middle = clean.sizes["date"] // 2

    def found(code: str, dataset: xr.Dataset) -> str:
        report = check_data_quality(dataset)
        return " | ".join(str(one) for one in report.warnings if one.code == code)

    spiked = clean.copy(deep=True)
    spiked["y"][middle, 0] += 20 * float(clean["y"].isel(geo=0).std())
    assert " y at " in found("outliers", spiked).replace("[", " "), name
    for channel in clean["channel"].values.tolist():
        spiked = clean.copy(deep=True)
        spend = spiked["spend"].sel(channel=channel).isel(geo=0).values
        cell = int(spend.argmax())
        spend[cell] += 20 * spend.std()
        spiked["spend"].loc[{"channel": channel}][cell, 0] = spend[cell]
        if (spend > 0).sum() >= 8:
            assert channel in found("outliers", spiked), channel

    pair = clean.copy(deep=True)
    pair["spend"].loc[{"channel": second}] = 2.0 * pair["spend"].sel(channel=first).values
    assert f"{first} and {second}" in found("correlated-pair", pair)
    assert first in found("collinear", pair)

    constant = clean.copy(deep=True)
    constant["spend"].loc[{"channel": first}] = 5.0
    assert first in found("constant-channel", constant)

    gap = clean.copy(deep=True)
    always = clean["channel"].values[(clean["spend"] > 0).all(("date", "geo")).values].tolist()
    long = max(8, clean.sizes["date"] // 4 + 1)
    for channel in always[:2]:
        gap["spend"].loc[{"channel": channel}][5 : 5 + long, 0] = 0.0
        assert channel in found("spend-gap", gap)


def test_geo_size_is_no_collinearity():
    frame = clean_frame()
    raw = np.corrcoef(frame["x1-TV"], frame["x2-Radio"])[0, 1]
    report = check_data_quality(frame)
    assert raw > 0.8
    assert report.figures["vif"].max() < 1.2


def test_figures_equal_pandas():
    frame = clean_frame()
    frame.loc[[3, 7], "x1-TV"] = np.nan
    frame.loc[[8, 9, 10], "x2-Radio"] = 0.0
    figures = check_data_quality(frame).figures
    values = frame[list(VALUES)]
    np.testing.assert_allclose(figures["mean"], values.mean(), rtol=1e-13)
    np.testing.assert_allclose(figures["sd"], values.std(), rtol=1e-12)
    np.testing.assert_array_equal(figures["min"], values.min())
    np.testing.assert_array_equal(figures["max"], values.max())
    np.testing.assert_array_equal(figures["missing"], values.isna().sum())
    assert figures.loc["x2-Radio", "zero_share"] == 3 / len(frame)
    assert figures.loc["y", "vif"] != figures.loc["y", "vif"]


def test_vif_equals_regression():
    frame = clean_frame()
    frame["x3-Search"] += 0.8 * frame["x1-TV"]
    predictors = frame[list(VALUES[1:])] - frame.groupby("geo")[list(VALUES[1:])].transform("mean")
    expected = []
    for name in predictors:
        target, others = predictors[name].to_numpy(), predictors.drop(columns=name).to_numpy()
        left = target - others @ np.linalg.lstsq(others, target, rcond=None)[0]
        expected.append((target @ target) / (left @ left))
    figures = check_data_quality(frame).figures
    np.testing.assert_allclose(figures["vif"][1:], expected, rtol=1e-9)


def test_exact_dependence_is_infinite_only_for_those_in_it():
    one = np.array([[1.0, 1.0, 0.3], [1.0, 1.0, 0.3], [0.3, 0.3, 1.0]])
    factors = variance_inflation(one)
    assert np.isinf(factors[:2]).all()
    assert factors[2] == pytest.approx(1 / (1 - 0.09))
    assert variance_inflation(np.full((2, 2), np.nan)).tolist() != [1.0, 1.0]
    assert variance_inflation(np.zeros((0, 0))).size == 0


def test_kernels_on_nothing():
    nothing = np.full((4, 2, 3), np.nan)
    no_dates = np.zeros((0, 2, 3))
    assert np.isnan(median_over_dates(nothing)).all()
    assert np.isnan(median_over_dates(no_dates)).all()
    assert not outliers(nothing, np.zeros(3, dtype=bool)).any()
    assert np.isnan(within_geo_correlation(no_dates)).all()
    assert zero_runs(nothing).max() == 0
    assert zero_runs(no_dates).shape == (0, 2, 3)


@given(
    st.lists(st.one_of(st.just(np.nan), st.floats(-1e6, 1e6)), min_size=1, max_size=9).filter(
        lambda values: not np.isnan(values).all()
    )
)
def test_median_equals_numpy(values):
    cube = np.array(values).reshape(-1, 1, 1)
    assert median_over_dates(cube)[0, 0] == pytest.approx(np.nanmedian(cube), abs=1e-9)


@given(st.lists(st.sampled_from([0.0, 1.0, np.nan]), max_size=12))
def test_zero_runs_equal_a_loop(values):
    expected, run = [], 0
    for value in values:
        run = run + 1 if value == 0 else 0
        expected.append(run)
    found = zero_runs(np.array(values, dtype=float).reshape(-1, 1, 1)).ravel().tolist()
    assert found == expected


def test_report_in_words():
    frame = edit("x1-TV", [4, 5], np.nan)(clean_frame()).assign(store="s")
    report = check_data_quality(frame.assign(y=frame["y"].where(frame.index != 4)))
    assert str(report).splitlines() == [
        "data quality: not ok, 2 errors, 1 warning, 5 variables",
        "error    missing-values [y at b 2022-01-10]: 1 of 180 values are missing",
        "error    missing-values [x1-TV at b 2022-01-10, c 2022-01-10]: "
        "2 of 180 values are missing",
        "warning  unexpected-column [store]: "
        "neither date, geo, y, a channel (x1-...) nor a control (c1-...)",
    ]
    fixes = suggest_fixes(report)
    assert len(fixes) == 2
    assert fixes[0].startswith("Fill missing values")
    assert "&lt;" not in report._repr_html_()


def test_html_is_escaped_and_short():
    frame = clean_frame().assign(**{f"<b>{number}": 1.0 for number in range(30)})
    page = check_data_quality(frame)._repr_html_()
    assert "<b>0" not in page
    assert "&lt;b&gt;0" in page
    assert "and 27 more" in page
    leaks = clean_frame().assign(**{f"roas_{number}": 1.0 for number in range(29)})
    assert "<p>and 10 more</p>" in check_data_quality(leaks)._repr_html_()


def test_report_is_frozen_and_plain():
    report = check_data_quality(clean_frame())
    with pytest.raises(AttributeError):
        report.errors = ()
    with pytest.raises(AttributeError):
        Finding("a", "b", "c", "d").code = "e"
    plain = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert plain["ok"] is True
    assert plain["figures"][0]["variable"] == "y"
    assert plain["figures"][0]["vif"] is None
    assert plain["figures"][1]["missing"] == 0
    assert isinstance(hash(report), int)


def test_slugs_and_sentences():
    for check in CHECKS:
        assert check.code == check.code.lower().replace(" ", "-").replace("_", "-")
        assert check.severity in {"error", "warning"}
        assert check.fix[0].isupper()
        assert check.fix.endswith(".")


def test_nothing_is_changed():
    frame, dataset = clean_frame().iloc[::-1], clean_dataset()
    frame_before, dataset_before = frame.copy(deep=True), dataset.copy(deep=True)
    check_data_quality(frame)
    check_data_quality(dataset)
    pd.testing.assert_frame_equal(frame, frame_before)
    xr.testing.assert_identical(dataset, dataset_before)
