"""Presets of published simulations, against their equations, written anew.

The equations are those of the public files that docs/published_specifications.md names.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from numpy.typing import NDArray

import mmm_xgen as m

Array = NDArray[np.float64]
# Sales of some weeks in the file mmm_example.csv of PyMC-Marketing.
MMM_EXAMPLE = {
    "2018-04-02": 3984.662237343649,
    "2018-05-21": 6079.099042190235,
    "2019-05-13": 6815.8201468315065,
    "2020-09-14": 6496.500776816234,
    "2021-08-30": 4675.973438674285,
}


def carried_over(spend: Array, weights: Array) -> Array:
    """Sum of earlier spend, week by week; nothing was spent before the first."""
    lags = range(len(weights))
    weeks = range(len(spend))
    return np.array([sum(weights[k] * spend[t - k] for k in lags if t >= k) for t in weeks])


# ------------------------------------------------------------------ PyMC-Marketing


def notebook_draws(n: int) -> tuple[Array, Array]:
    """Spend of both channels, and noise, from the draws of the notebook."""
    rng = np.random.default_rng(sum(map(ord, "mmm")))
    first, second = rng.uniform(size=n), rng.uniform(size=n)
    spend = np.array([np.where(first > 0.9, first, first / 2), np.where(second > 0.8, second, 0)])
    return spend, rng.normal(scale=0.25, size=n)


def notebook_media(spend: Array) -> Array:
    rows = []
    for x, alpha, lam, beta in zip(spend, (0.4, 0.2), (4.0, 3.0), (3.0, 2.0), strict=True):
        weights = alpha ** np.arange(8.0)
        x_star = carried_over(x, weights / weights.sum())
        rows.append(beta * (1 - np.exp(-lam * x_star)) / (1 + np.exp(-lam * x_star)))
    return np.array(rows)


@pytest.fixture(scope="module")
def with_published_spend() -> xr.Dataset:
    drawn = m.generate_mmm_dataset("pymc_example")
    spend, _ = notebook_draws(drawn.sizes["date"])
    return m.generate_mmm_dataset("pymc_example", spend=drawn["spend"].copy(data=spend.T[:, None]))


def test_media_of_the_pymc_example_are_those_of_its_equations(
    with_published_spend: xr.Dataset,
) -> None:
    spend = with_published_spend["spend"].values[:, 0].T
    found = with_published_spend["channel_contribution"].values[:, 0].T
    np.testing.assert_allclose(found, 1000 * notebook_media(spend), rtol=1e-9)
    assert not np.allclose(found, 1000 * notebook_media(spend * 1.001), rtol=1e-5)


def test_the_equations_of_the_pymc_example_make_the_published_file(
    with_published_spend: xr.Dataset,
) -> None:
    dates = pd.DatetimeIndex(with_published_spend["date"].values)
    spend, noise = notebook_draws(len(dates))
    trend = (np.linspace(0, 50, len(dates)) + 10) ** 0.25 - 1
    turn = 2 * np.pi * dates.day_of_year.to_numpy() / 365.5
    season = 0.5 * (np.cos(turn) - np.sin(2 * turn))
    events = 1.5 * (dates == "2019-05-13") + 2.5 * (dates == "2020-09-14")
    sales = 2 + trend + season + events + notebook_media(spend).sum(0) + noise
    file = pd.Series(1000 * sales, dates.strftime("%Y-%m-%d"))
    np.testing.assert_allclose(file[list(MMM_EXAMPLE)], list(MMM_EXAMPLE.values()), rtol=1e-12)
    # Trend and season of the preset are near those of the file.
    made = with_published_spend["mu"].values[:, 0] + 1000 * noise
    assert np.abs(made - file).max() < 25
    np.testing.assert_array_equal(
        with_published_spend["control_contribution"].sum("control")[:, 0], 1000 * events
    )
    assert with_published_spend["y_sigma"].item() == 250


# ------------------------------------------------------------------ Jin and others


def test_media_of_jin_2017_have_delayed_carryover_and_hill_curves() -> None:
    ds = m.generate_mmm_dataset("jin_2017").squeeze("geo")
    spend = np.concatenate([ds["spend_history"].values, ds["spend"].values])
    reported = {"rate": (0.6, 0.8, 0.8), "theta": (5, 3, 4), "slope": (1, 2, 2)}
    lag = np.arange(13.0)
    for k, beta in enumerate((0.8, 0.6, 0.3)):
        rate, theta, slope = (reported[name][k] for name in ("rate", "theta", "slope"))
        weights = rate ** ((lag - theta) ** 2)
        adstock = carried_over(spend[:, k], weights / weights.sum())[len(spend) - 104 :]
        expected = beta - 0.2**slope * beta / (adstock**slope + 0.2**slope)
        np.testing.assert_allclose(ds["channel_contribution"][:, k], expected, rtol=1e-9)
    assert (ds["intercept_contribution"].item(), ds["y_sigma"].item()) == (4.0, 0.05)


# ------------------------------------------------------------------ Meridian


def test_media_of_the_meridian_simulation_are_its_hill_of_adstock() -> None:
    ds = m.generate_mmm_dataset("meridian_simulation").isel(geo=[0, 7, 19])
    for g in range(3):
        one = ds.isel(geo=g)
        population = float(one["population"])
        for k, (alpha, ec) in enumerate(((0.2, 0.6), (0.4, 0.9), (0.5, 1.2), (0.7, 1.6))):
            # The notebook has the median of a person in place of 0.0207, the mean of a person.
            media = one["spend"].values[:, k] / population / 0.0207
            weights = alpha ** np.arange(9.0)
            hill = 1 / (1 + (carried_over(media, weights / weights.sum()) / ec) ** -1.0)
            beta = float(one["effect"][k]) / population
            found = one["channel_contribution"].values[:, k] / population
            np.testing.assert_allclose(found, beta * hill, rtol=1e-9)


def test_numbers_of_the_meridian_simulation_are_what_the_notebook_draws() -> None:
    ds = m.generate_mmm_dataset("meridian_simulation", seed=3)
    people = ds["population"]
    assert people.min() > 1e5 and people.max() < 1e6
    per_person = ds["intercept_contribution"] / people
    assert abs(float(per_person.mean()) - 15) < 1 and 0.6 < float(per_person.std()) < 2
    logs = np.log(ds["effect"] / people)
    assert abs(float(logs.mean()) - 0.9) < 0.05 and 0.08 < float(logs.std("geo").mean()) < 0.25
    standard = ds["control_value"].std(("date", "geo"))
    np.testing.assert_allclose(standard, 3, rtol=0.1)
    np.testing.assert_allclose((ds["y_sigma"] / people).mean(), 0.5, rtol=0.1)
    impressions = ds["spend"] / people / 0.0115
    assert abs(float(impressions.mean()) - 1.8) < 0.1
    assert abs(float(impressions.std(("date", "geo")).mean()) - 0.5 * 2**0.5) < 0.1
