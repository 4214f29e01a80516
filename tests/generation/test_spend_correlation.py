"""Correlated spend meets its target, says where it cannot, and leaves other channels alone."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest

import mmm_xgen as m
from mmm_xgen.ensemble import config_of_element
from mmm_xgen.errors import ConfigError
from mmm_xgen.generation.batch import Batch
from mmm_xgen.generation.spend_and_controls import draw_spend
from mmm_xgen.generation.spend_correlation import NEAR_ENOUGH
from tests.strategies import config_with, generate, steady

N_SEEDS, N_GEOS = 400, 2
# A sample correlation falls short of the true one by this much at 208 weeks of campaigns.
SMALL_SAMPLE = 0.006

FLAT = steady(spend_volatility=0.5)
GROWING = FLAT | {"spend_trend": 0.003}
SEASON = FLAT | {"pattern": "seasonal", "seasonal_amplitude": 0.3}
ON_OFF = FLAT | {"pattern": "on_off", "spend_volatility": 0.7}
BURSTS = FLAT | {"pattern": "always_on"}
UNIFORM = FLAT | {"pattern": "uniform", "spend_volatility": 0.6}
LATE = FLAT | {"pattern": "delayed_start", "start_period": 60}


def named(*channels: dict[str, Any]) -> list[dict[str, Any]]:
    return [channel | {"name": f"C{k}"} for k, channel in enumerate(channels)]


def pair(correlation: float, one: str = "C0", other: str = "C1") -> dict[str, Any]:
    return {"channels": [one, other], "correlation": correlation}


def drawn(
    channels: list[dict[str, Any]], correlation: Any, n_seeds: int = N_SEEDS, **fields: Any
) -> np.ndarray:
    """Planned spend of many seeds, dims (seed, channel, geo, date)."""
    fields = {"n_periods": 208, "regions": {"n_regions": N_GEOS}} | fields
    config = m.MMMDataConfig(**config_with(*channels, spend_correlation=correlation, **fields))
    batch = Batch((config,), tuple(range(n_seeds)))
    spend = draw_spend(batch, np.ones((1, config.regions.n_regions, len(channels))))
    return spend[..., config.burn_in_periods :]


def realised(spend: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean correlation of each pair over the seeds, and its Monte Carlo error."""
    centred = spend - spend.mean(axis=-1, keepdims=True)
    unit = centred / np.linalg.norm(centred, axis=-1, keepdims=True)
    found = np.einsum("scgt,skgt->sck", unit, unit) / spend.shape[2]
    return found.mean(axis=0), found.std(axis=0) / np.sqrt(len(found))


def pooled(spend: np.ndarray, one: int = 0, other: int = 1) -> tuple[float, float]:
    """Correlation of the expected series of two channels, and its Monte Carlo error."""
    pair = spend[:, [one, other]]
    unit = (pair - pair.mean(axis=(0, 2, 3), keepdims=True)) / pair.std(axis=(0, 2, 3))[
        :, None, None
    ]
    products, squares = unit.prod(axis=1).mean(axis=(1, 2)), (unit**2).mean(axis=(1, 2, 3))
    found = products.mean()
    return found, (products - found * squares).std() / np.sqrt(len(spend))


@pytest.mark.parametrize("n_channels", [2, 5, 30])
@pytest.mark.parametrize("target", [0.2, 0.7])
def test_one_number_is_met_by_all_pairs(n_channels: int, target: float) -> None:
    n_seeds = N_SEEDS if n_channels < 30 else 100
    spend = drawn(named(*[FLAT] * n_channels), target, n_seeds)
    found, error = realised(spend)
    pairs = np.triu_indices(n_channels, 1)
    assert np.abs(found[pairs] - target).max() < 4.5 * error[pairs].max() + SMALL_SAMPLE
    # Pairs of one seed share the factor, so their mean is hardly surer than each of them.
    assert abs(found[pairs].mean() - target) < 4 * error[pairs].mean() + SMALL_SAMPLE


def test_one_number_is_nearly_met_by_different_patterns() -> None:
    channels = named(FLAT, UNIFORM, BURSTS, GROWING, FLAT | {"spend_volatility": 0.2}, ON_OFF)
    found, error = realised(drawn(channels, 0.3))
    pairs = np.triu_indices(len(channels), 1)
    missed = np.abs(found[pairs] - 0.3)
    assert missed.max() < NEAR_ENOUGH + 4 * error.max()
    assert missed.mean() < 0.015


@pytest.mark.parametrize(
    ("one", "other", "target"),
    [
        (FLAT, FLAT | {"spend_volatility": 0.1}, 0.9),
        (SEASON, GROWING, 0.6),
        (SEASON, SEASON, 0.8),
        (SEASON, SEASON, -0.1),
        (FLAT, ON_OFF, 0.4),
        (ON_OFF, ON_OFF, 0.25),
        (UNIFORM, BURSTS, -0.3),
        (LATE, GROWING, 0.5),
    ],
)
def test_a_named_pair_is_met_whatever_the_patterns(
    one: dict[str, Any], other: dict[str, Any], target: float
) -> None:
    spend = drawn(named(one, other, FLAT), [pair(target)], burn_in_periods=3)
    expected, error_expected = pooled(spend)
    assert abs(expected - target) < 4 * error_expected
    # Channels that are not named stay independent.
    found, error = realised(spend)
    assert abs(found[0, 2]) < 4 * error[0, 2] + 0.01


def test_pairs_that_share_channels_are_all_met() -> None:
    channels = named(SEASON, SEASON, FLAT, GROWING)
    targets = dict(zip(combinations(range(4), 2), (0.7, 0.3, 0.2, 0.4, 0.1, 0.5), strict=True))
    listed = [pair(target, f"C{i}", f"C{j}") for (i, j), target in targets.items()]
    spend = drawn(channels, listed)
    for (i, j), target in targets.items():
        found, error = pooled(spend, i, j)
        assert abs(found - target) < 4 * error


def test_the_noise_of_each_channel_keeps_its_mean_and_volatility() -> None:
    free = drawn(named(FLAT, UNIFORM, FLAT), 0.0)
    for correlation in (0.6, [pair(0.6), pair(-0.3, "C1", "C2")]):
        tied = drawn(named(FLAT, UNIFORM, FLAT), correlation)
        for spend in (free, tied):
            assert np.allclose(spend.mean(axis=(0, 2, 3)), 1, atol=0.01)
        spread = tied.std(axis=(0, 2, 3)) / free.std(axis=(0, 2, 3))
        assert np.allclose(spread, 1, atol=0.02)


@pytest.mark.parametrize("correlation", [0, 0.0, [], None, [pair(0.0)]])
def test_without_correlation_every_bit_is_as_before(correlation: Any) -> None:
    channels = named(SEASON, ON_OFF, FLAT)
    plain = m.generate_mmm_dataset(config_with(*channels))
    with_key = m.generate_mmm_dataset(config_with(*channels, spend_correlation=correlation))
    assert plain.drop_attrs().identical(with_key.drop_attrs())


@pytest.mark.parametrize(
    "correlation", [0.4, [pair(0.5), pair(0.3, "C1", "C2"), pair(0.6, "C3", "C4")]]
)
def test_other_channels_and_geos_keep_their_bits(correlation: Any) -> None:
    channels = named(*[FLAT] * 5)
    before = drawn(channels, correlation, 3)
    reordered = drawn(channels[::-1], correlation, 3)
    assert (reordered[:, ::-1] == before).all()
    added = drawn([FLAT | {"name": "New"}, *channels], correlation, 3)
    assert (added[:, 1:] == before).all()
    more_geos = drawn(channels, correlation, 3, regions={"n_regions": 4})
    assert (more_geos[:, :, :N_GEOS] == before).all()


def test_a_further_pair_leaves_the_other_pairs_alone() -> None:
    channels = named(*[FLAT] * 5)
    before = drawn(channels, [pair(0.5)], 3)
    after = drawn(channels, [pair(0.6, "C4", "C3"), pair(0.5, "C1", "C0")], 3)
    assert (after[:, :3] == before[:, :3]).all()
    # The first of a pair keeps its own campaigns.
    assert (after[:, 3] == before[:, 3]).all()
    assert (after[:, 4] != before[:, 4]).any()


def test_geos_stay_independent_or_identical() -> None:
    local = drawn(named(FLAT, FLAT), 0.8)
    across = np.corrcoef(local[:, 0, 0].ravel(), local[:, 0, 1].ravel())[0, 1]
    assert abs(across) < 0.02
    shared = FLAT | {"shared": True}
    national = drawn(named(shared, shared), 0.8)
    assert (national[:, :, 0] == national[:, :, 1]).all()
    # A local channel can follow a national one, which stays national, whatever their names.
    mixed = drawn(named(FLAT, shared), [pair(0.8)])
    assert (mixed[:, 1, 0] == mixed[:, 1, 1]).all()
    assert (mixed[:, 0, 0] != mixed[:, 0, 1]).any()
    found, error = pooled(mixed)
    assert abs(found - 0.8) < 4 * error


def test_in_one_geo_national_and_local_channels_are_alike() -> None:
    channels = named(FLAT, FLAT | {"shared": True})
    found, error = pooled(drawn(channels, 0.5, regions={"n_regions": 1}))
    assert abs(found - 0.5) < 4 * error


NEVER_TOGETHER = FLAT | {"pattern": "delayed_start", "end_period": 30, "ramp_up_periods": 0}


@pytest.mark.parametrize(
    ("channels", "correlation", "message"),
    [
        (
            (FLAT, ON_OFF),
            0.9,
            r"^spend_correlation: found 0.9, allowed: at most 0.\d+, the limit of 'C1'",
        ),
        ((SEASON, SEASON), 0.3, r"^spend_correlation: found 0.3, but 'C0' and 'C1' come to"),
        ((FLAT, FLAT | {"shared": True}), 0.3, r"^spend_correlation: found 'C1' shared"),
        ((FLAT, steady()), 0.3, r"^spend_correlation: the spend of 'C1' does not vary"),
        ((FLAT, SEASON | {"spend_volatility": 0.0}), 0.3, r"at most 0, the limit of 'C1'"),
        (
            (FLAT, ON_OFF),
            [pair(0.9)],
            r"^spend_correlation.0.correlation: found 0.9 for 'C0' and 'C1', allowed: between",
        ),
        ((NEVER_TOGETHER, LATE), [pair(0.1)], r"allowed: between -0.\d+ and -0.\d+, the limits"),
        (
            (FLAT, FLAT, FLAT),
            [pair(0.9), pair(0.9, "C1", "C2")],
            r"^spend_correlation: .*'C0', 'C1', 'C2' contradict .* all of them 0.7\d* times",
        ),
        (
            (FLAT, FLAT | {"pattern": lambda dates, rng: np.ones(len(dates))}),
            0.3,
            r"^channels.1.pattern: .*registered with 'moments'",
        ),
        ((FLAT, FLAT), 1.0, r"^spend_correlation: found 1.0, allowed: below 1"),
        ((FLAT, FLAT), -0.1, r"^spend_correlation: found -0.1, allowed: at least 0"),
        ((FLAT, FLAT), "much", r"^spend_correlation: found 'much'"),
        ((FLAT, FLAT), [pair(-1.0)], r"^spend_correlation.0.correlation: found -1.0"),
        ((FLAT, FLAT), [pair(0.1, "C0", "TV")], r"^spend_correlation.0.channels.1: no channel"),
        ((FLAT, FLAT), [pair(0.1, "C0", "C0")], r"^spend_correlation.0.channels: found 'C0' twice"),
        (
            (FLAT, FLAT),
            [pair(0.1), pair(0.2, "C1", "C0")],
            r"^spend_correlation.1.channels: found the pair of spend_correlation.0 again",
        ),
    ],
)
def test_an_impossible_correlation_is_refused_before_a_draw(
    monkeypatch: pytest.MonkeyPatch, channels: Any, correlation: Any, message: str
) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("spend was drawn")

    monkeypatch.setattr(Batch, "streams", refuse)
    with pytest.raises(ConfigError, match=message):
        drawn(named(*channels), correlation, 2)


def test_the_limit_in_the_message_is_the_limit() -> None:
    channels = named(SEASON, GROWING)
    with pytest.raises(ConfigError) as error:
        drawn(channels, [pair(0.99)], 1)
    highest = float(str(error.value).split(" and ")[-2].split(",")[0])
    drawn(channels, [pair(highest - 0.001)], 1)
    with pytest.raises(ConfigError, match="allowed: between"):
        drawn(channels, [pair(highest + 0.001)], 1)


@pytest.mark.parametrize(
    ("correlation", "vary"),
    [
        (0.1, {"spend_correlation": [0.0, 0.6], "channels.C0.spend_volatility": [0.2, 1.0]}),
        (
            [pair(0.1), pair(0.1, "C1", "C2")],
            {
                "spend_correlation.0.correlation": [0.0, -0.2],
                "channels.C1.spend_trend": [0.0, 0.002],
            },
        ),
    ],
)
def test_an_element_of_an_ensemble_is_the_single_dataset(
    correlation: Any, vary: dict[str, Any]
) -> None:
    config = config_with(*named(FLAT, GROWING, FLAT), spend_correlation=correlation)
    ensemble = m.generate_ensemble(config, vary=vary, seeds=[5, 6, 7, 8])
    for k in range(4):
        single = generate(config_of_element(ensemble, k))
        for name in ("spend", "mu", "y"):
            assert (ensemble[name].isel(dataset=k) == single[name]).all()


def test_a_dataset_is_regenerated_and_meets_its_roas_targets() -> None:
    channels = [channel | {"roas": 2.0} for channel in named(FLAT, GROWING)]
    ds = generate(config_with(*channels, spend_correlation=0.6))
    assert m.regenerate(ds).identical(ds)
    assert np.allclose(m.truth.roas(ds), 2.0, rtol=1e-9)
