"""Noise that follows the level, noise that geos share, outliers, and a capacity of sales."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

import mmm_xgen as m
from mmm_xgen.dataset import config_of
from mmm_xgen.errors import AlignmentError, ConfigError, XgenWarning
from mmm_xgen.kernels.noise import NOISES, level_weights, register_noise
from mmm_xgen.truth import contribution_totals
from tests.strategies import NOISE_KEYS, config_with, generate, share, steady

FOLLOWS = ("gaussian", "student_t", "ar1")
SHARES = ("gaussian", "ar1", "lognormal")


def noisy(kind: str = "gaussian", *, noise: Any = (), seed: int = 3, **regions: Any) -> xr.Dataset:
    """Dataset of seasonal sales in several geos."""
    spec = {"kind": kind} | NOISE_KEYS[kind] | dict(noise)
    sizes = {"n_periods": regions.pop("n_periods", 104), "freq": regions.pop("freq", "W-MON")}
    fields = {"n_regions": 3, "seasonal_amplitude": 0.4, "noise": spec, **regions}
    config = config_with(steady(), regions=fields, seed=seed, **sizes)
    del config["regions"]["sales_volatility"]
    return generate(config)


def rows(ds: xr.Dataset, name: str) -> list[list[float]]:
    return ds[name].transpose("geo", "date").values.tolist()


# --- noise that follows expected sales


@given(
    mu=st.lists(share(0.1, 100.0), min_size=2, max_size=30),
    power=share(0.0, 2.0),
)
def test_weights_are_powers_of_the_level_with_root_mean_square_one(
    mu: list[float], power: float
) -> None:
    mean = sum(mu) / len(mu)
    powers = [math.pow(each / mean, power) for each in mu]
    size = math.sqrt(sum(each**2 for each in powers) / len(powers))
    weights = level_weights(np.array(mu), power)
    np.testing.assert_allclose(weights, [each / size for each in powers], rtol=1e-9)
    assert (level_weights(np.array(mu), 0.0) == 1).all()


@pytest.mark.parametrize("kind", FOLLOWS)
@pytest.mark.parametrize("power", [0.5, 1.0])
def test_the_sd_follows_expected_sales(kind: str, power: float) -> None:
    constant, follows = noisy(kind), noisy(kind, noise={"level_power": power})
    for plain, moved, mu in zip(
        rows(constant, "noise"), rows(follows, "noise"), rows(follows, "mu"), strict=True
    ):
        # The same draws, larger where sales are: the ratio is the power of the level.
        at = int(np.argmax(mu))
        for t in range(len(mu)):
            wanted = math.pow(mu[t] / mu[at], power) * moved[at] / plain[at]
            assert moved[t] == pytest.approx(plain[t] * wanted, rel=1e-6)
    assert max(mu) > 1.5 * min(mu)
    xr.testing.assert_identical(follows["y_sigma"], constant["y_sigma"])


def test_y_sigma_stays_the_root_mean_square_sd() -> None:
    ds = noisy(noise={"level_power": 1.0}, n_periods=20_000, freq="D", n_regions=1)
    noise, mu = ds["noise"].values.ravel(), ds["mu"].values.ravel()
    assert noise.std() == pytest.approx(ds["y_sigma"].item(), rel=0.03)
    relative = noise / mu
    high = mu > np.median(mu)
    assert relative[high].std() == pytest.approx(relative[~high].std(), rel=0.05)
    assert noise[high].std() > 1.2 * noise[~high].std()


@pytest.mark.parametrize("kind", ["lognormal", "negative_binomial"])
def test_families_with_an_sd_of_their_own_refuse_another(kind: str) -> None:
    assert noisy(kind, noise={"level_power": 0.0}).identical(noisy(kind))
    with pytest.raises(ConfigError, match=r"regions\.noise\.level_power.*gaussian, student_t, ar1"):
        noisy(kind, noise={"level_power": 1.0})


def test_a_level_below_zero_is_refused() -> None:
    price = {"name": "Price", "pattern": "linear_trend", "gamma_control": -20_000.0}
    noise = {"kind": "gaussian", "level_power": 1.0}
    config = config_with(steady(), control_variables=[price], regions={"noise": noise})
    del config["regions"]["sales_volatility"]
    with pytest.raises(ConfigError, match=r"regions\.noise\.level_power.*not above 0 in \d+ of"):
        generate(config)


# --- noise that geos share


@pytest.mark.parametrize("kind", SHARES)
def test_geos_share_a_part_of_the_variance(kind: str) -> None:
    ds = noisy(kind, noise={"shared": 0.6}, n_periods=20_000, freq="D", seasonal_amplitude=0.0)
    noise = ds["noise"].transpose("geo", "date").values
    correlation = np.corrcoef(noise)
    assert np.abs(correlation[np.triu_indices(3, 1)] - 0.6).max() < 0.05
    np.testing.assert_allclose(noise.std(axis=1), ds["y_sigma"], rtol=0.03)
    alone = noisy(kind, n_periods=20_000, freq="D", seasonal_amplitude=0.0)["noise"].values
    assert np.abs(np.corrcoef(alone.T)[np.triu_indices(3, 1)]).max() < 0.05


def test_noise_that_geos_share_in_whole_is_one_series() -> None:
    ds = noisy(noise={"shared": 1.0})
    standard = (ds["noise"] / ds["y_sigma"]).transpose("geo", "date").values
    np.testing.assert_allclose(standard[1:], np.broadcast_to(standard[0], (2, 104)), atol=1e-9)


def test_a_geo_more_moves_no_noise_of_the_others() -> None:
    keys: dict[str, Any] = {
        "noise": {"shared": 0.4, "level_power": 1.0},
        "outliers": {"share": 0.2},
    }
    few, many = noisy(n_regions=2, capacity=1.2, **keys), noisy(n_regions=4, capacity=1.2, **keys)
    for name in ("y", "noise", "outlier_contribution", "lost_sales", "capacity"):
        assert few[name].equals(many[name].isel(geo=slice(2))), name


@pytest.mark.parametrize("kind", ["student_t", "negative_binomial"])
def test_families_that_are_not_made_of_normal_numbers_share_nothing(kind: str) -> None:
    with pytest.raises(ConfigError, match=r"regions\.noise\.shared.*gaussian, lognormal, ar1"):
        noisy(kind, noise={"shared": 0.2})


def test_a_kind_of_the_users_own_may_share() -> None:
    @register_noise("cubed_noise", from_normal=True)
    def cubed_noise(rng: Any, mu: Any, sigma: Any) -> Any:
        return sigma * rng.standard_normal(mu.shape) ** 3 / np.sqrt(15)

    try:
        config = config_with(steady(), regions={"n_regions": 2})
        config["regions"] |= {"noise": {"kind": "cubed_noise", "shared": 1.0}}
        ds = generate(config)
        standard = (ds["noise"] / ds["y_sigma"]).values
        np.testing.assert_allclose(standard[:, 0], standard[:, 1], atol=1e-9)
    finally:
        NOISES.remove("cubed_noise")


# --- outliers


@pytest.mark.parametrize("kind", list(NOISE_KEYS))
def test_outliers_are_added_to_the_same_noise(kind: str) -> None:
    plain, ds = noisy(kind), noisy(kind, outliers={"share": 0.1, "size": 3.0})
    added = ds["outlier_contribution"]
    found = added != 0
    assert 0.05 < float(found.mean()) < 0.16
    assert (added > 0).any()
    assert (added < 0).any()
    np.testing.assert_allclose(ds["noise"], plain["noise"] + added, atol=1e-7)
    xr.testing.assert_identical(ds["mu"], plain["mu"])
    xr.testing.assert_identical(ds["y_sigma"], plain["y_sigma"])
    sd = ds["y_sigma"] * xr.ones_like(ds["mu"])
    if kind == "lognormal":
        sd = ds["y_sigma"] * ds["mu"] / np.sqrt((ds["mu"] ** 2).mean("date"))
    if kind == "negative_binomial":
        assert (ds["y"] == np.round(ds["y"])).all()
        sd = np.round(3.0 * sd) / 3.0
    wanted = (3.0 * sd).transpose(*added.dims).where(found, 0.0)
    np.testing.assert_allclose(abs(added).where(found, 0.0), wanted)
    assert (ds["y"] - ds["mu"] == ds["noise"]).all()
    assert m.regenerate(ds).identical(ds)


def test_outliers_have_the_size_of_the_noise_in_their_cell() -> None:
    keys: dict[str, Any] = {"outliers": {"share": 0.3, "size": 2.0}}
    constant, follows = noisy(**keys), noisy(noise={"level_power": 1.0}, **keys)
    ratio = follows["mu"] / np.sqrt((follows["mu"] ** 2).mean("date"))
    wanted = constant["outlier_contribution"] * ratio
    np.testing.assert_allclose(follows["outlier_contribution"], wanted, atol=1e-9)


def test_more_outliers_keep_the_ones_there_were() -> None:
    few, many = (noisy(outliers={"share": each})["outlier_contribution"] for each in (0.02, 0.2))
    assert few.where(few != 0, many).equals(many)
    assert (many != 0).sum() > 3 * (few != 0).sum() > 0


def test_a_target_r_squared_counts_outliers() -> None:
    noise = {"kind": "gaussian", "r_squared": 0.7}
    config = config_with(steady(), regions={"noise": noise, "seasonal_amplitude": 0.4})
    del config["regions"]["sales_volatility"]
    config |= {"n_periods": 10_000, "freq": "D"}
    config["regions"] |= {"outliers": {"share": 0.05, "size": 6.0}}
    ds = generate(config)
    explained = float(ds["mu"].var()) / float(ds["y"].var())
    assert explained == pytest.approx(0.7, abs=0.01)
    rest = float((ds["noise"] - ds["outlier_contribution"]).std())
    assert rest == pytest.approx(ds["y_sigma"].item(), rel=0.03)


# --- capacity


@pytest.mark.parametrize("kind", list(NOISE_KEYS))
def test_sales_end_at_the_capacity(kind: str) -> None:
    free, ds = noisy(kind), noisy(kind, capacity=1.25)
    assert "lost_sales" not in free
    for g, base in enumerate(ds["intercept_contribution"].values.tolist()):
        limit = 1.25 * base
        assert ds["capacity"].values[g] == (math.floor(limit) if kind[0] == "n" else limit)
        limit = ds["capacity"].values[g]
        for y, wanted, lost, noise, mu in zip(
            *(rows(each, name)[g] for each, name in ((ds, "y"), (free, "y"), (ds, "lost_sales"))),
            rows(ds, "noise")[g],
            rows(ds, "mu")[g],
            strict=True,
        ):
            assert y == min(wanted, limit)
            assert lost == pytest.approx(max(wanted - limit, 0.0), abs=1e-9)
            assert mu + noise + lost == pytest.approx(wanted, rel=1e-12)
            assert y - mu == noise
    assert 0.1 < float((ds["lost_sales"] > 0).mean()) < 0.9
    xr.testing.assert_identical(ds["mu"], free["mu"])
    assert m.regenerate(ds).identical(ds)


def test_a_capacity_that_no_sales_reach_changes_no_sales() -> None:
    free, ds = noisy(), noisy(capacity=100.0)
    assert not ds["lost_sales"].any()
    xr.testing.assert_identical(ds[list(free.data_vars)].drop_attrs(), free.drop_attrs())


def test_a_capacity_below_base_sales_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"regions\.capacity: found 0\.9, allowed: at least 1"):
        noisy(capacity=0.9)
    ds = noisy(capacity=1.2)
    too_small = xr.Dataset({"capacity": 0.5 * ds["intercept_contribution"]})
    with pytest.raises(AlignmentError, match=r"capacity.*at least intercept_contribution"):
        generate(config_of(ds), params=too_small)


def test_a_given_capacity_is_kept() -> None:
    ds = noisy(capacity=1.2)
    given_capacity = xr.Dataset({"capacity": 1.1 * ds["capacity"]})
    other = generate(config_of(ds), params=given_capacity)
    np.testing.assert_array_equal(other["capacity"], 1.1 * ds["capacity"])
    assert (other["lost_sales"].sum() < ds["lost_sales"].sum()).all()
    assert m.regenerate(other).identical(other)


def test_sales_that_are_always_sold_out_are_told() -> None:
    config = config_with(steady(), regions={"capacity": 1.0, "sales_trend": 0.2})
    with pytest.warns(XgenWarning, match=r"capacity on all dates in 'geo_1'.*regions.capacity"):
        m.generate_mmm_dataset(m.MMMDataConfig(**config))


def test_sums_and_totals_keep_lost_sales_and_outliers() -> None:
    ds = noisy(capacity=1.2, outliers={"share": 0.2})
    whole = ds.mmm.aggregate(freq="MS")
    for name in ("lost_sales", "outlier_contribution"):
        assert float(whole[name].sum()) == pytest.approx(float(ds[name].sum()))
        wanted = ds[name].sum("date")
        np.testing.assert_allclose(contribution_totals(ds)[name], wanted, atol=1e-6)
    assert whole["capacity"].isnull().all()
    assert (whole["y"] - whole["mu"] == whole["noise"]).all()
