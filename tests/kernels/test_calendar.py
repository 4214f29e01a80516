"""Dates of each frequency."""

from __future__ import annotations

from typing import Any

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


@pytest.mark.parametrize(
    ("freq", "code", "start"),
    [
        ("daily", "D", "2023-02-17"),
        ("W-TUE", "7D", "2022-06-07"),
        ("W-SUN", "7D", "2022-06-12"),
        ("W", "7D", "2022-06-09"),
        ("weekly", "7D", "2022-06-08"),
        ("MS", "MS", "2022-11-01"),
        ("monthly", "MS", "2022-11-01"),
    ],
)
def test_dates_start_on_the_given_day(freq: str, code: str, start: str) -> None:
    dates = dates_of(freq=freq, start_date=start, n_periods=40)
    assert (dates == pd.date_range(start, periods=40, freq=code)).all()


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


def test_start_date_may_be_a_date_object() -> None:
    import datetime

    text = dates_of(start_date="2022-06-06")
    assert (dates_of(start_date=datetime.date(2022, 6, 6)) == text).all()
