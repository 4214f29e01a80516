"""Dates of each frequency."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import mmm_xgen as m
from mmm_xgen.config.spend_plan import SpendPlanConfig
from mmm_xgen.errors import ConfigError
from tests.strategies import config_with, generate, steady


@pytest.mark.parametrize(
    ("written", "code"),
    [("Weekly", "W"), ("DAILY", "D"), ("w-sun", "W-SUN"), ("ms", "MS"), ("Monthly", "MS")],
)
def test_a_frequency_is_read_in_any_case_here_and_in_a_plan(written: str, code: str) -> None:
    assert m.MMMDataConfig(**config_with(steady(), freq=written, start_date=None)).freq == code
    assert SpendPlanConfig(freq=written).freq == code


def dates_of(**fields: Any) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(generate(config_with(steady(), **fields))["date"].values)


@pytest.mark.parametrize("freq", ["D", "daily"])
def test_daily_dates_start_on_the_given_day(freq: str) -> None:
    dates = dates_of(freq=freq, start_date="2023-02-17", n_periods=40)
    assert (dates == pd.date_range("2023-02-17", periods=40, freq="D")).all()


@pytest.mark.parametrize(
    ("freq", "start"),
    [
        ("W-MON", "2022-06-06"),
        ("W-TUE", "2022-06-07"),
        ("W-WED", "2022-06-08"),
        ("W-THU", "2022-06-09"),
        ("W-FRI", "2022-06-10"),
        ("W-SAT", "2022-06-11"),
        ("W-SUN", "2022-06-12"),
        ("W", "2022-06-06"),
        ("W", "2022-06-09"),
        ("weekly", "2022-06-08"),
    ],
)
def test_weekly_dates_start_on_the_given_day(freq: str, start: str) -> None:
    dates = dates_of(freq=freq, start_date=start, n_periods=30)
    assert dates[0] == pd.Timestamp(start)
    assert (np.diff(dates) == np.timedelta64(7, "D")).all()


def test_an_anchor_that_the_start_date_misses_is_never_moved_in_silence() -> None:
    def build() -> Any:
        return generate(config_with(steady(), freq="W-SUN", start_date="2022-06-08"))

    try:
        ds = build()
    except ConfigError as error:
        assert "2022-06-08" in str(error) or "start_date" in str(error)
    else:
        first = pd.Timestamp(ds["date"].values[0])
        assert first.day_name() == "Sunday"
        assert pd.Timedelta(0) <= first - pd.Timestamp("2022-06-08") < pd.Timedelta(7, "D")


@pytest.mark.parametrize("freq", ["MS", "monthly"])
def test_monthly_dates_are_the_first_of_each_month(freq: str) -> None:
    dates = dates_of(freq=freq, start_date="2022-11-01", n_periods=30)
    assert (dates == pd.date_range("2022-11-01", periods=30, freq="MS")).all()


def test_start_date_may_be_a_date_object() -> None:
    import datetime

    text = dates_of(start_date="2022-06-06")
    assert (dates_of(start_date=datetime.date(2022, 6, 6)) == text).all()
