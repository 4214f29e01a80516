"""Holidays as dates of events: known dates, refusals, and data that stay the same."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest
from dateutil.easter import EASTER_ORTHODOX, easter

import mmm_xgen as m
from mmm_xgen.config import holidays
from mmm_xgen.config.holidays import holiday_dates
from mmm_xgen.dataset import config_of
from tests.strategies import config_with, generate, steady

EASTER = {"name": "easter", "holiday": "Easter Sunday", "country": "DE", "effect": 0.2}


def with_event(**changes: Any) -> dict[str, Any]:
    fields = {"n_periods": 160, **changes.pop("fields", {})}
    event = {key: value for key, value in (EASTER | changes).items() if value is not None}
    return config_with(steady(base_effectiveness=0.0), events=[event], **fields)


@pytest.mark.parametrize(
    ("holiday", "country", "days"),
    [
        ("Thanksgiving", "US", ["2022-11-24", "2023-11-23", "2024-11-28"]),
        ("Thanksgiving Day", "CA", ["2022-10-10", "2023-10-09", "2024-10-14"]),
        ("Lunar New Year", "CN", ["2022-02-01", "2023-01-22", "2024-02-10"]),
        ("Lunar New Year", "KR", ["2022-02-01", "2023-01-22", "2024-02-10"]),
        ("Chinese New Year", "SG", ["2022-02-01", "2023-01-22", "2024-02-10"]),
        ("Eid al-Fitr", "TR", ["2022-05-02", "2023-04-21", "2024-04-10"]),
        ("eid al-fitr", "DZ", ["2022-05-02", "2023-04-21", "2024-04-10"]),
        ("Karfreitag", "DE", ["2022-04-15", "2023-04-07", "2024-03-29"]),
        ("Christmas Day", "GB", ["2022-12-25", "2023-12-25", "2024-12-25"]),
    ],
)
def test_holidays_have_their_known_dates(holiday: str, country: str, days: list[str]) -> None:
    assert holiday_dates(holiday, country, 2022, 2024) == tuple(days)


@pytest.mark.parametrize("country", ["US", "DE", "GB", "FR", "NZ", "BR"])
@pytest.mark.parametrize("name", ["Easter", "Easter Sunday"])
def test_easter_is_known_where_only_days_around_it_are_holidays(name: str, country: str) -> None:
    expected = tuple(str(easter(year)) for year in range(1992, 2050))
    assert holiday_dates(name, country, 1992, 2049) == expected


def test_easter_is_that_of_the_country() -> None:
    days = [str(easter(year, EASTER_ORTHODOX)) for year in (2021, 2022, 2024)]
    assert [holiday_dates("Easter", "GR", year, year)[0] for year in (2021, 2022, 2024)] == days


def test_an_event_peaks_in_the_periods_of_its_holiday_and_nowhere_else() -> None:
    ds = generate(with_event())
    starts = pd.DatetimeIndex(ds["date"].values)
    days = [pd.Timestamp(easter(year)) for year in range(2021, 2027)]
    expected = [float(any(0 <= (day - start).days < 7 for day in days)) for start in starts]
    assert ds["event_intensity"].values[:, 0].tolist() == expected
    np.testing.assert_allclose(ds["event_contribution"].values[:, 0], 2000 * np.array(expected))


@pytest.mark.parametrize("burn_in", [0, 60])
def test_a_wide_shape_shows_the_holiday_of_earlier_years(burn_in: int) -> None:
    fields = {"start_date": "2022-01-03", "burn_in_periods": burn_in, "n_periods": 10}
    ds = generate(with_event(shape="decay", width_days=900.0, fields=fields))
    days = (ds["date"].values - np.datetime64(easter(2021))) / np.timedelta64(1, "D")
    np.testing.assert_allclose(ds["event_intensity"].values[:, 0], np.exp(-days / 900))


def test_the_dataset_keeps_the_dates_whatever_a_later_release_of_the_package_knows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ds = generate(with_event())
    (event,) = json.loads(ds.attrs["config"])["events"]
    assert "holiday" not in event and "2023-04-09" in event["dates"]
    holidays._named_days.cache_clear()
    holiday_dates.cache_clear()
    monkeypatch.setattr(holidays, "_named_days", lambda *_: {})
    assert m.regenerate(ds).identical(ds)
    assert config_of(ds).events[0].holiday is None


def test_an_ensemble_has_the_holidays_of_single_datasets() -> None:
    config = m.MMMDataConfig(**with_event())
    vary = {"events.easter.effect": m.Uniform(0.1, 0.3)}
    both = m.generate_ensemble(config, n=3, seed=5, vary=vary, chunks=None)
    for k in range(3):
        one = both.isel(dataset=k)
        effect = float(one["events.easter.effect"])
        seed = int(one["seed"])
        alone = generate(with_event(effect=effect, fields={"seed": seed}))
        assert (alone["mu"].values == one["mu"].values).all()
        assert m.regenerate(one).identical(one)


@pytest.mark.parametrize(
    ("changes", "path", "words"),
    [
        ({"country": "XQ"}, "events.0.country", "unknown country"),
        ({"country": "de"}, "events.0.country", "did you mean 'DE'"),
        ({"country": None}, "events.0.country", "ISO code"),
        ({"holiday": "Thanksgivin", "country": "US"}, "events.0.holiday", "'Thanksgiving Day'"),
        ({"holiday": "Thanksgiving"}, "events.0.holiday", "no holiday of DE"),
        ({"holiday": None}, "events.0.dates", "or a holiday"),
        ({"holiday": None, "dates": ["12-25"]}, "events.0.country", "without a holiday"),
        ({"dates": ["2022-01-01"]}, "events.0.holiday", "one of them"),
        ({"shape": "step"}, "events.0.holiday", "every year"),
    ],
)
def test_what_cannot_be_dated_is_refused_at_its_place(
    changes: dict[str, Any], path: str, words: str
) -> None:
    with pytest.raises(m.ConfigError) as caught:
        m.MMMDataConfig(**with_event(**changes))
    assert caught.value.path == path
    assert words in str(caught.value)


def test_dates_do_not_depend_on_the_language_of_the_machine() -> None:
    code = (
        "from mmm_xgen.config.holidays import holiday_dates;"
        "print(holiday_dates('Ostermontag', 'DE', 2024, 2024))"
    )
    for language in ("de_DE.UTF-8", "en_US.UTF-8", "fr_FR.UTF-8"):
        env = {"LANGUAGE": language, "LANG": language, "PYTHONPATH": ":".join(sys.path)}
        done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
        assert done.stdout.strip() == "('2024-04-01',)", done.stderr
