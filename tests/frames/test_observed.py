"""From the wide frame back to a Dataset of observed variables."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given

import mmm_xgen as m
from mmm_xgen.aggregate import aggregate
from mmm_xgen.errors import ConfigError, SchemaError
from mmm_xgen.frames.observed import from_frame
from tests.strategies import config_with, generate, steady, valid_configs

pytestmark = pytest.mark.filterwarnings("ignore::mmm_xgen.XgenWarning")


@pytest.fixture(scope="module")
def ds():
    return m.generate_mmm_dataset()


@pytest.fixture
def frame(ds):
    return m.to_frame(ds)


def observed(ds):
    """The part of a generated dataset that a frame holds, geos sorted as text."""
    part = ds[["y", "spend", "control_value"]]
    order = np.argsort(part["geo"].to_numpy().astype(str), kind="stable")
    kept = {"date", "geo", "channel", "control", "channel_column", "control_column"}
    return part.isel(geo=order).drop_vars(set(part.coords) - kept)


def refused(frame, error=SchemaError, **options):
    with pytest.raises(error) as found:
        from_frame(frame, **options)
    text = str(found.value)
    assert "\n" not in text
    return text


@given(valid_configs(max_periods=12))
def test_round_trip_is_exact(config):
    made = generate(config)
    back = from_frame(m.to_frame(made), currency=made.attrs["currency"], kpi=made.attrs["kpi"])
    xr.testing.assert_identical(back.assign_attrs({}).drop_attrs(), observed(made).drop_attrs())
    for name in back.variables:
        assert back[name].attrs == made[name].attrs, name
        assert back[name].dims == made[name].dims
    if made.sizes["date"] > 1:
        assert back.attrs["freq"] == made.attrs["freq"] or made.sizes["date"] == 2


@pytest.mark.parametrize("freq", ["D", "W-WED", "MS", "QS", "YS"])
def test_frequency_is_inferred(ds, freq):
    if freq in ("QS", "YS"):
        made = aggregate(ds, freq=freq)
    else:
        made = generate(config_with(steady(), freq=freq, start_date=None, n_periods=40))
    assert from_frame(m.to_frame(made)).attrs["freq"] == freq


def test_frequency_is_a_word_or_checked(frame, ds):
    assert from_frame(frame, freq="weekly").attrs["freq"] == ds.attrs["freq"]
    assert from_frame(frame, freq="W").attrs["freq"] == ds.attrs["freq"]
    assert from_frame(frame, freq="Weekly").attrs["freq"] == ds.attrs["freq"]
    assert "'W-MON'" in refused(frame, ConfigError, freq="D")
    assert "allowed" in refused(frame, ConfigError, freq="fortnight")
    assert from_frame(frame[frame.date == frame.date[0]]).attrs["freq"] == ""
    gap = frame[frame.date != frame.date[10]]
    assert from_frame(gap).attrs["freq"] == ""


def on(dates):
    return pd.DataFrame({"date": dates, "y": 1.0, "x1-TV": 2.0})


def test_other_frequencies_than_ours():
    frame = on(pd.date_range("2022-01-31", periods=12, freq="ME"))
    assert from_frame(frame).attrs["freq"] == "ME"
    assert from_frame(frame, freq="ME").attrs["freq"] == "ME"


def test_many_irregular_days_follow_no_frequency():
    days = np.sort(np.random.default_rng(0).choice(900, size=400, replace=False))
    frame = on(np.datetime64("2022-01-03") + days)
    assert from_frame(frame).attrs["freq"] == ""
    assert "the dates do not follow it" in refused(frame, ConfigError, freq="D")


def test_business_days_and_dates_at_noon():
    frame = on(pd.date_range("2022-01-03", periods=300, freq="B"))
    assert from_frame(frame).attrs["freq"] == "B"
    noon = frame.assign(date=frame.date + pd.Timedelta(hours=12))
    assert from_frame(noon).attrs["freq"] == "B"
    noon.loc[0, "date"] -= pd.Timedelta(hours=5)
    assert from_frame(noon).attrs["freq"] == ""


@pytest.mark.parametrize("text", ["now", "2024"])
def test_text_that_is_not_a_date_is_not_guessed(frame, text):
    dates = frame.date.astype(str).where(frame.index != 3, text)
    assert f"index label 3, column 'date': found {text!r}" in refused(frame.assign(date=dates))


def test_rows_columns_and_keys_in_any_order(frame):
    wanted = from_frame(frame)
    shuffled = frame.sample(frac=1, random_state=1)[frame.columns[::-1]]
    back = from_frame(shuffled)
    xr.testing.assert_identical(back.sel(channel=wanted.channel, control=wanted.control), wanted)
    xr.testing.assert_identical(from_frame(frame.set_index(["date", "geo"])), wanted)
    xr.testing.assert_identical(from_frame(frame.assign(date=frame.date.astype(str))), wanted)


def test_without_geo_all_is_national(frame):
    one = frame[frame.geo == "geo_a"].drop(columns="geo")
    back = from_frame(one)
    assert back.geo.values.tolist() == ["national"]
    assert back.y.values[:, 0].tolist() == one.y.tolist()


def test_columns_are_kept_and_labels_are_names():
    dates = pd.date_range("2022-01-03", periods=3, freq="7D")
    frame = pd.DataFrame({"date": dates, "y": 1, "x2": 2, "x-TV": 3, "x7-x-y": 4, "c1-P$": -5})
    back = from_frame(frame, currency="EUR", kpi="orders")
    assert back.channel.values.tolist() == ["x2", "TV", "x-y"]
    assert back.channel_column.values.tolist() == ["x2", "x-TV", "x7-x-y"]
    assert back.control.values.tolist() == ["P$"]
    assert back.control_value.values.ravel().tolist() == [-5.0] * 3
    assert back.spend.attrs["units"] == "EUR"
    assert back.y.attrs["units"] == "orders"
    assert all(back[name].dtype == np.float64 for name in back)


def test_channels_are_needed_and_controls_are_not(frame):
    assert "'x1-<channel>'" in refused(frame[["date", "geo", "y"]])
    back = from_frame(frame[["date", "geo", "y", "x1-Seasonal"]])
    assert back.sizes["control"] == 0
    assert m.to_frame(back).columns.tolist() == ["date", "geo", "y", "x1-Seasonal"]


@pytest.mark.parametrize("column", ["date", "y"])
def test_missing_column(frame, column):
    assert f"no column {column!r}" in refused(frame.drop(columns=column))
    text = refused(frame.rename(columns={column: column.upper()}))
    assert f"no column {column!r}; did you mean {column.upper()!r}?" in text


@pytest.mark.parametrize(
    ("name", "suggestion"), [("tv", "x1-tv"), ("X1_TV", "x1-TV"), ("C2 Price", "c2-Price")]
)
def test_unknown_column(frame, name, suggestion):
    text = refused(frame.assign(**{name: 1.0}))
    assert repr(name) in text and repr(suggestion) in text


def test_columns_that_mean_the_same(frame):
    assert "column 'y' is there 2 times" in refused(pd.concat([frame, frame[["y"]]], axis=1))
    text = refused(frame.assign(**{"x9-Trend": 1.0}))
    assert "'x2-Trend' and 'x9-Trend'" in text
    assert "does not name a channel" in refused(frame.assign(**{"x9-": 1.0}))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (np.nan, "the value is missing"),
        (np.inf, "found inf, allowed: zero or more, finite"),
        (-1.0, "found -1.0, allowed: zero or more, finite"),
        ("a", "found 'a', allowed: a number"),
    ],
)
@pytest.mark.parametrize("column", ["y", "x2-Trend"])
def test_cells(frame, column, value, words):
    broken = frame.astype({column: object})
    broken.loc[7, column] = value
    text = refused(broken)
    assert text.startswith(f"index label 7, column {column!r}: {words}")
    assert text.endswith(f"({str(frame.date[7])[:10]}, geo 'geo_b')")


def test_rows(frame):
    assert "no rows" in refused(frame[:0])
    text = refused(pd.concat([frame, frame[:2]], ignore_index=True))
    assert "index label 208, column 'date'" in text and text.endswith("(and 1 more)")
    assert "geo 'geo_a' is there already (index label 0), allowed: once" in text
    text = refused(frame[:-1])
    assert "geo 'geo_b' has no row for" in text and str(frame.date.iloc[-1])[:10] in text
    text = refused(frame.drop(index=[201, 203, 205]))
    assert "(and 2 more rows are missing)" in text
    text = refused(frame.assign(date=frame.date.astype(str).where(frame.index != 3, "soon")))
    assert "index label 3, column 'date': found 'soon', allowed: an ISO date" in text
    text = refused(frame.assign(geo=frame.geo.where(frame.index != 2)))
    assert "index label 2, column 'geo': the name is missing" in text


def test_dates_beyond_nanoseconds_and_what_is_no_frame():
    assert "3022-01-03" in refused(on(["3022-01-03", "3022-01-10"]))
    assert "DataFrame" in refused([1, 2])


def test_the_frame_is_left_alone(frame):
    before = frame.copy(deep=True)
    back = from_frame(frame)
    back["y"].values[:] = 0
    pd.testing.assert_frame_equal(frame, before)
