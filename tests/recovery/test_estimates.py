"""Draws of parameters to draws of estimates, against the truth's own functions."""

from typing import Any

import numpy as np
import pytest
import xarray as xr

import mmm_xgen as m
from mmm_xgen import AlignmentError, ChannelConfig, ConfigError, MMMDataConfig, RegionConfig
from mmm_xgen.recovery import MODELS, Fit, FitSettings, estimates_of, register_model
from mmm_xgen.recovery import estimates as estimates_module
from mmm_xgen.recovery.estimates import MULTIPLIERS, thinned
from mmm_xgen.recovery.fit import training_data, training_dates
from mmm_xgen.response import response_parameters

pytestmark = pytest.mark.filterwarnings("ignore::mmm_xgen.errors.XgenWarning")


@pytest.fixture(scope="module")
def ds() -> xr.Dataset:
    """Three unlike geos, a burn-in, prices that change, all in one order that no alphabet has."""
    made = m.generate_mmm_dataset(
        MMMDataConfig(
            n_periods=60,
            burn_in_periods=5,
            start_date="2023-01-02",
            channels=[
                ChannelConfig(name="TV", roas=2.0, spend_volatility=0.4),
                ChannelConfig(name="Radio", roas=1.2, saturation_fun="logistic_saturation"),
                ChannelConfig(name="Off", base_effectiveness=0.0),
            ],
            regions=RegionConfig(region_names=["west", "north", "east"], similarity=0.5),
        )
    )
    prices = np.random.default_rng(0).uniform(1.0, 5.0, made["revenue_per_kpi"].shape)
    return made.assign(revenue_per_kpi=made["revenue_per_kpi"].copy(data=prices))


def draws_of(ds: xr.Dataset, n: int = 3, spread: float = 0.0) -> tuple[xr.Dataset, xr.DataArray]:
    """Parameters and baseline as draws: the truth, n times, with the effect spread around it."""
    names = ["spend_unit", *response_parameters(ds)]
    media = ds[list(dict.fromkeys(names))].expand_dims(chain=[0, 1], draw=np.arange(n))
    factor = xr.DataArray(1 + spread * np.arange(2 * n).reshape(2, n), dims=("chain", "draw"))
    media["saturation_beta"] = media["saturation_beta"] * factor
    baseline = (ds.mu - ds.channel_contribution.sum("channel")) * xr.ones_like(factor)
    return media, baseline


def near(found: xr.DataArray, wanted: xr.DataArray, tolerance: float = 1e-9) -> None:
    both = found.broadcast_like(wanted) if set(wanted.dims) - set(found.dims) else found
    np.testing.assert_allclose(
        both.transpose(..., *wanted.dims).values,
        np.broadcast_to(wanted.values, both.transpose(..., *wanted.dims).shape),
        rtol=tolerance,
        atol=1e-12,
    )


@pytest.mark.parametrize("train_end", [None, "2023-09-30"])
def test_at_the_truth_the_estimates_are_true(ds: xr.Dataset, train_end: str | None) -> None:
    media, baseline = draws_of(ds)
    settings = FitSettings(train_end=train_end)
    estimates = estimates_of(ds, settings, media=media, baseline=baseline, y_sigma=ds.y_sigma)
    window = None if train_end is None else (None, train_end)
    near(estimates.roas, m.truth.roas(ds, by="channel", window=window))
    near(estimates.mroas, m.truth.mroas(ds, by="channel", window=window))
    curve = m.truth.response_curve(ds, by="channel", multipliers=MULTIPLIERS, window=window)
    near(estimates.response_curve, curve.contribution.transpose("channel", "multiplier"))
    near(estimates.channel_contribution, ds.channel_contribution)
    near(estimates.mu, ds.mu)
    near(estimates.y_sigma, ds.y_sigma)
    assert dict(estimates.sizes)["date"] == 60
    if train_end:
        # Negative control: the whole window is another number.
        whole = m.truth.roas(ds, by="channel").sel(channel="TV")
        assert abs(estimates.roas.sel(channel="TV").isel(chain=0, draw=0) / whole - 1) > 1e-3


def test_every_draw_has_its_own_estimates(ds: xr.Dataset) -> None:
    media, baseline = draws_of(ds, n=4, spread=0.1)
    estimates = estimates_of(ds, FitSettings(), media=media, baseline=baseline)
    wanted = m.truth.roas(ds, by="channel").sel(channel="TV").item()
    factors = 1 + 0.1 * np.arange(8).reshape(2, 4)
    np.testing.assert_allclose(estimates.roas.sel(channel="TV"), wanted * factors, rtol=1e-12)


def test_chunks_change_nothing(ds: xr.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    media, baseline = draws_of(ds, n=5, spread=0.1)
    whole = estimates_of(ds, FitSettings(), media=media, baseline=baseline)
    monkeypatch.setattr(estimates_module, "CHUNK", 2 * ds.spend.size)
    parts = estimates_of(ds, FitSettings(), media=media, baseline=baseline)
    xr.testing.assert_allclose(whole, parts, rtol=1e-13)


def test_labels_count_and_not_positions(ds: xr.Dataset) -> None:
    media, baseline = draws_of(ds)
    shuffled = media.isel(geo=[2, 0, 1], channel=[1, 2, 0])
    estimates = estimates_of(ds, FitSettings(), media=shuffled, baseline=baseline[::-1])
    assert list(estimates.channel.values) == list(ds.channel.values)
    near(estimates.channel_contribution, ds.channel_contribution)
    with pytest.raises(AlignmentError, match="media lacks the channel 'Radio'"):
        estimates_of(ds, FitSettings(), media=media.drop_sel(channel="Radio"), baseline=baseline)
    with pytest.raises(AlignmentError, match="baseline lacks the geo 'east'"):
        estimates_of(ds, FitSettings(), media=media, baseline=baseline.drop_sel(geo="east"))


def test_without_a_baseline_there_is_no_mu(ds: xr.Dataset) -> None:
    media, _ = draws_of(ds)
    assert "mu" not in estimates_of(ds, FitSettings(), media=media, baseline=None)


def test_thinning_is_even_and_keeps_every_chain() -> None:
    draws = xr.DataArray(np.arange(400.0).reshape(4, 100), dims=("chain", "draw"))
    kept = thinned(draws, 20)
    assert kept.sizes == {"chain": 4, "draw": 5}
    assert kept.isel(chain=0).values.tolist() == [0, 25, 50, 74, 99]
    assert thinned(draws, 1).sizes == {"chain": 4, "draw": 1}
    assert thinned(draws, 10_000).sizes == {"chain": 4, "draw": 100}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sampler": "nuts"}, "settings.sampler: found 'nuts', allowed: nutpie, pymc, numpyro"),
        ({"chains": 0}, "settings.chains: found 0, allowed: 1 or more"),
        ({"target_accept": 1.0}, "settings.target_accept: found 1.0, allowed: between 0 and 1"),
    ],
)
def test_bad_settings_are_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        FitSettings(**change)


def test_training_dates(ds: xr.Dataset) -> None:
    assert len(training_dates(ds, FitSettings())) == 60
    seen = training_data(ds, FitSettings(train_end="2023-01-31"))
    assert str(seen.date.values[-1])[:10] <= "2023-01-31" and seen.sizes["date"] == 5
    assert "spend_history" in seen
    with pytest.raises(ConfigError, match=r"train_end: found 2020-01-01, which is before the fi"):
        training_dates(ds, FitSettings(train_end="2020-01-01"))
    with pytest.raises(ConfigError, match=r"after the last date .*; leave it out to train on all"):
        training_dates(ds, FitSettings(train_end="2035-01-01"))
    last = str(ds.date.values[-1])[:10]
    assert len(training_dates(ds, FitSettings(train_end=last))) == ds.sizes["date"]
    # As in xarray's slices, a month is all of it.
    seen = training_data(ds, FitSettings(train_end="2023-02"))
    assert seen.identical(ds.sel(date=slice(None, "2023-02"))) and seen.sizes["date"] > 6


@pytest.mark.parametrize(
    "change",
    [
        *({"train_end": end} for end in ("some day", "today", "", "2023-13", "2023-06-30T00:00Z")),
        *({"chains": 2.5}, {"draws": True}, {"cores": 0}, {"seed": -1}, {"tune": "9"}),
    ],
)
def test_settings_that_are_none_are_named(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=rf"^settings\.{next(iter(change))}: found"):
        FitSettings(**change)


def test_a_model_is_a_function_that_registers() -> None:
    @register_model("of this test")
    def model(ds: xr.Dataset, settings: FitSettings) -> Fit:
        return Fit(estimates=xr.Dataset())

    try:
        assert MODELS["of this test"].function is model
        with pytest.raises(ConfigError, match="'of this test' is registered already"):
            register_model("of this test")(lambda ds, settings: Fit(estimates=xr.Dataset()))
    finally:
        MODELS.remove("of this test")
