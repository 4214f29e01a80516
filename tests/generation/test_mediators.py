"""Mediators by a recursion over dates, and the controls that show them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

import mmm_xgen as m
from tests.truth.worlds import assert_near

AWARE = {"name": "Aware", "parents": {"TV": 0.5, "Radio": 0.3}, "persistence": 0.7}


def made(*mediators: dict[str, Any], **config: Any) -> xr.Dataset:
    channels = [
        {"name": name, "base_spend": 900.0, "base_effectiveness": 0.08} for name in ("TV", "Radio")
    ]
    settings = {"n_periods": 40, "seed": 3, "channels": channels, "regions": {"n_regions": 2}}
    return m.generate_mmm_dataset({**settings, "mediators": list(mediators), **config})


def test_a_mediator_keeps_a_share_and_adds_what_media_bring() -> None:
    ds = made(AWARE, {"name": "Visits", "parents": {"TV": 1.0}, "persistence": 0.0, "effect": -0.1})
    curves = ds["saturated"].transpose("date", "geo", "channel").values
    state, wanted = np.zeros(2), []
    for curve in curves:
        state = 0.7 * state + 0.3 * curve @ [0.5, 0.3]
        wanted.append(state)
    aware = ds["mediator_value"].sel(mediator="Aware").transpose("date", "geo")
    assert_near(aware, wanted)
    visits = ds["mediator_value"].sel(mediator="Visits").transpose("date", "geo")
    assert_near(visits, curves[..., 0])
    base = ds["intercept_contribution"]
    sold = ds["mediator_contribution"].transpose("mediator", "geo", "date")
    assert_near(sold.sel(mediator="Aware"), 0.1 * base * aware.T)
    assert_near(sold.sel(mediator="Visits"), -0.1 * base * visits.T)


def test_the_burn_in_builds_a_mediator_up() -> None:
    short, long = made(AWARE), made(AWARE, burn_in_periods=30)
    first = [float(ds["mediator_value"].isel(date=0, geo=0, mediator=0)) for ds in (short, long)]
    assert first[1] > 2 * first[0] > 0


def test_a_whole_mediator_is_a_control_without_effect() -> None:
    ds = made(
        {**AWARE, "observed": "whole"}, {"name": "Hidden", "parents": {"TV": 1.0}, "observed": "no"}
    )
    assert ds["control"].values.tolist() == ["Aware"]
    shown = ds["control_value"].sel(control="Aware")
    assert_near(shown, ds["mediator_value"].sel(mediator="Aware"))
    assert not ds["control_contribution"].any()
    assert set(ds["mediator"].values) == {"Aware", "Hidden"}


@pytest.mark.parametrize("coverage", [0.25, 0.4, 1.0])
def test_a_survey_estimates_at_its_dates_and_keeps_the_estimate(coverage: float) -> None:
    survey = {**AWARE, "observed": "survey", "coverage": coverage, "respondents": 400}
    ds = made(survey, n_periods=200)
    shown = ds["control_value"].isel(control=0).transpose("date", "geo").values
    truth = ds["mediator_value"].isel(mediator=0).transpose("date", "geo").values
    is_new = np.vstack([np.ones((1, 2), dtype=bool), np.diff(shown, axis=0) != 0])
    assert abs(is_new.mean() - coverage) < 0.02
    z = (shown - truth) / np.sqrt(truth * (1 - truth) / 400)
    asked = z[is_new]
    assert abs(asked.mean()) < 4 / np.sqrt(asked.size)
    assert abs(asked.std() - 1) < 4 / np.sqrt(2 * asked.size)
    assert shown.min() >= 0
    assert shown.max() <= 1
    more = made({**survey, "respondents": 10**9}, n_periods=200)
    exact = more["control_value"].isel(control=0).transpose("date", "geo").values
    assert float(np.abs(exact - truth)[is_new].max()) < 1e-3


def test_a_survey_of_what_is_no_share_is_refused() -> None:
    with pytest.raises(m.ConfigError, match=r"mediators\.0\.parents.*0 to 1"):
        made({"name": "Aware", "parents": {"TV": 5.0}, "observed": "survey"})


def test_carry_out_says_what_is_cut_of_a_mediator() -> None:
    ds = made({"name": "Aware", "parents": {"TV": 0.5}})
    cut = m.truth.roas(ds, with_carryout=True)["complete"].attrs["cut"]
    assert cut == "less than 1e-12 of the rise of a mediator"
