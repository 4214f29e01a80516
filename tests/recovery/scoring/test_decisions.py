"""The budget that a model recommends, and what following it costs."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from mmm_xgen import (
    ChannelConfig,
    MMMDataConfig,
    RegionConfig,
    SchemaError,
    XgenWarning,
    generate_mmm_dataset,
    truth,
)
from mmm_xgen.recovery.estimates import MULTIPLIERS
from mmm_xgen.recovery.fit import FitSettings
from mmm_xgen.recovery.scoring.decisions import (
    CONSTRAINTS,
    decision_scores,
    recommended_multipliers,
)
from mmm_xgen.streams import stream

SETTINGS = FitSettings()
HILL = {"slope": 1.5, "kappa": 1500.0}
SHARP = {"slope": 9.0, "kappa": 1000.0}


def made(*kwargs, seed: int = 1, n_regions: int = 1) -> xr.Dataset:
    channels = [
        ChannelConfig(
            name=f"c{i}",
            base_spend=1000.0 * (i + 1),
            roas=1.0 + i % 3,
            saturation_kwargs=each,
            spend_volatility=0.05,
        )
        for i, each in enumerate(kwargs)
    ]
    regions = RegionConfig(n_regions=n_regions, base_sales_rate=50_000.0)
    return generate_mmm_dataset(MMMDataConfig(channels=channels, regions=regions, seed=seed))


def true_curves(ds: xr.Dataset, window=None) -> xr.DataArray:
    return truth.response_curve(ds, multipliers=MULTIPLIERS, window=window).contribution


def any_curves(ds: xr.Dataset, seed: int) -> xr.DataArray:
    """Curves of any shape, falling ones included."""
    values = stream(seed, "curves").normal(size=(ds.sizes["channel"], len(MULTIPLIERS)))
    coords = {"channel": ds.channel.values, "multiplier": MULTIPLIERS}
    return xr.DataArray(1e4 * values, coords, ("channel", "multiplier"))


@pytest.fixture(scope="module")
def ds() -> xr.Dataset:
    return made(HILL, HILL, SHARP, HILL)


def test_the_true_curves_give_the_oracles_budget_up_to_the_grid(ds):
    scores = decision_scores(ds, true_curves(ds), SETTINGS)
    assert 0 <= float(scores["regret_recommended_percent"]) < 0.05
    assert float(scores["regret_today_percent"]) > 0.5
    assert float(scores["regret_oracle"]) == 0


@pytest.mark.parametrize("seed", range(4))
def test_s_shaped_curves_too(seed):
    ds = made(SHARP, SHARP, {"slope": 5.0, "kappa": 3000.0}, SHARP, HILL, seed=seed)
    scores = decision_scores(ds, true_curves(ds), SETTINGS)
    assert 0 <= float(scores["regret_recommended_percent"]) < 0.2


def test_regret_is_that_of_the_truth(ds):
    window = slice("2022-01-03", "2023-06-26")
    curves = any_curves(ds, 1)
    scores = decision_scores(ds, curves, FitSettings(train_end="2023-06-26"))
    today = ds.spend.sel(date=window).sum(("date", "geo"))
    plans = {"today": today, "recommended": today * scores["recommended_multiplier"]}
    for name, plan in plans.items():
        expected = truth.regret(ds, plan, constraints=CONSTRAINTS, window=window)
        assert float(scores[f"regret_{name}"]) == pytest.approx(
            float(expected.regret_revenue), rel=1e-6
        )
        assert float(scores[f"regret_{name}_percent"]) == pytest.approx(
            float(expected.regret_percent_of_media), rel=1e-6
        )


@pytest.mark.parametrize("seed", range(10))
def test_any_recommendation_keeps_the_bounds_and_loses_something(ds, seed):
    scores = decision_scores(ds, any_curves(ds, seed), SETTINGS)
    multipliers = scores["recommended_multiplier"]
    spend = ds.spend.sum(("date", "geo"))
    assert float((multipliers * spend).sum()) == pytest.approx(float(spend.sum()), rel=1e-6)
    assert float(multipliers.min()) >= 0.7 - 1e-9
    assert float(multipliers.max()) <= 1.3 + 1e-9
    assert all(float(scores[name]) >= 0 for name in scores if name.startswith("regret"))
    assert float(scores["regret_recommended"]) > 0


def test_a_model_that_is_wrong_about_every_channel_does_worse_than_today(ds):
    scores = decision_scores(ds, -true_curves(ds), SETTINGS)
    assert float(scores["regret_recommended"]) > float(scores["regret_today"])


@pytest.mark.parametrize("seed", range(20))
def test_the_split_is_the_global_one(seed):
    ds = made(HILL, HILL)
    curves = any_curves(ds, seed)
    spend = ds.spend.sum(("date", "geo")).values
    found = recommended_multipliers(ds, curves, SETTINGS).values

    def total(first):
        second = 1 + (1 - first) * spend[0] / spend[1]
        return sum(
            np.interp(m, MULTIPLIERS, row)
            for m, row in zip((first, second), curves.values, strict=True)
        )

    grid = np.linspace(0.7, 1.3, 20_001)
    grid = grid[abs((1 - grid) * spend[0] / spend[1]) <= 0.3]
    # Between equal splits today's counts a little more.
    slack = 2e-5 * abs(curves.sel(multiplier=1)).sum()
    assert total(found[0]) >= total(grid).max() - float(slack)


def test_no_reason_to_move_a_budget_leaves_it(ds):
    spend = ds.spend.sum(("date", "geo"))
    equal = spend * xr.DataArray(MULTIPLIERS, {"multiplier": MULTIPLIERS}, ("multiplier",))
    np.testing.assert_allclose(recommended_multipliers(ds, equal, SETTINGS), 1, atol=1e-9)
    nothing = recommended_multipliers(ds, 0 * equal, SETTINGS)
    np.testing.assert_allclose(nothing, 1, atol=1e-9)
    # A difference, however small to the eye, is one.
    better = equal.where(equal.channel != "c0", 1.01 * equal)
    assert float(recommended_multipliers(ds, better, SETTINGS).sel(channel="c0")) > 1.2


def test_the_posterior_mean_decides(ds):
    curves = true_curves(ds)
    rng = stream(1, "draws").normal(size=(2, 30))
    noise = xr.DataArray(rng - rng.mean(), dims=("chain", "draw"))
    spread = curves + 100 * noise * any_curves(ds, 1)
    assert float(abs(spread - curves).max()) > float(curves.mean())
    np.testing.assert_allclose(
        recommended_multipliers(ds, spread, SETTINGS),
        recommended_multipliers(ds, curves, SETTINGS),
        atol=1e-6,
    )


def test_channels_without_spend_keep_still():
    with pytest.warns(XgenWarning, match="no spend"):
        ds = generate_mmm_dataset(
            MMMDataConfig(
                channels=[
                    ChannelConfig(name="on", base_spend=1000.0),
                    ChannelConfig(name="also on", base_spend=2000.0),
                    ChannelConfig(name="off", base_spend=0.0),
                ]
            )
        )
    multipliers = recommended_multipliers(ds, any_curves(ds, 1), SETTINGS)
    assert float(multipliers.sel(channel="off")) == 1


def test_curves_that_do_not_reach_the_bounds_are_refused(ds):
    with pytest.raises(SchemaError, match=r"allowed: from 0.7 or less to 1.3 or more, with 1"):
        recommended_multipliers(ds, true_curves(ds).sel(multiplier=slice(0.8, 1.2)), SETTINGS)
