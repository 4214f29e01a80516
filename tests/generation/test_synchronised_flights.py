"""Synchronised flights: a share of the quarters in which channels run and pause together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mmm_xgen as m
from mmm_xgen.errors import ConfigError
from mmm_xgen.generation.batch import Batch
from mmm_xgen.generation.spend_and_controls import draw_spend
from mmm_xgen.generation.synchronised_flights import synchronised_dates
from tests.strategies import config_with, generate, steady

FLIGHTS = steady(pattern="on_off")
N_SEEDS, N_GEOS = 300, 2


def drawn(
    channels: list[dict[str, Any]], share: float, n_seeds: int = N_SEEDS, **fields: Any
) -> np.ndarray:
    """Planned spend of many seeds, dims (seed, channel, geo, date)."""
    fields = {"n_periods": 208, "regions": {"n_regions": N_GEOS}} | fields
    config = m.MMMDataConfig(**config_with(*channels, synchronised_flights=share, **fields))
    batch = Batch((config,), tuple(range(n_seeds)))
    return draw_spend(batch, np.ones((1, config.regions.n_regions, len(channels))))


def named(*channels: dict[str, Any]) -> list[dict[str, Any]]:
    return [channel | {"name": f"C{k}"} for k, channel in enumerate(channels)]


def correlation(spend: np.ndarray) -> tuple[float, float]:
    """Correlation of the first two channels over all seeds, and its Monte Carlo error."""
    centred = spend[:, :2] - spend[:, :2].mean(axis=(0, 2, 3), keepdims=True)
    product = (centred[:, 0] * centred[:, 1]).mean(axis=(1, 2))
    unit = np.sqrt((centred**2).mean(axis=(0, 2, 3)).prod())
    return product.mean() / unit, product.std() / np.sqrt(len(product)) / unit


@pytest.mark.parametrize("pattern", ["on_off", "always_on", "uniform"])
@pytest.mark.parametrize("share", [0.3, 0.8])
def test_the_correlation_of_equal_flights_is_the_share(pattern: str, share: float) -> None:
    found, error = correlation(drawn(named(*[steady(pattern=pattern)] * 2), share))
    assert abs(found - share) < 4 * error


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_share_of_the_quarters_is_synchronised(share: float) -> None:
    config = m.MMMDataConfig(
        **config_with(FLIGHTS, n_periods=13 * 9, synchronised_flights=share)  # 9 quarters
    )
    batch = Batch((config,), tuple(range(400)))
    dates = synchronised_dates(batch, config.calendar)
    if share == 0:
        assert dates is None
        return
    assert dates is not None
    quarters = dates.reshape(400, 9, 13)
    assert (quarters == quarters[..., :1]).all()
    assert set(quarters[..., 0].sum(axis=1)) == {int(np.floor(9 * share)), int(np.ceil(9 * share))}
    assert np.abs(quarters[..., 0].mean(axis=0) - share).max() < 4 * 0.5 / np.sqrt(400)


def test_a_full_share_gives_one_calendar_and_none_gives_every_bit_of_before() -> None:
    channels = named(FLIGHTS, FLIGHTS, FLIGHTS | {"activation_probability": 0.2})
    one = drawn(channels, 1.0, 3)
    assert (one[:, 0] == one[:, 1]).all()
    assert (one[:, 0] != one[:, 2]).any()
    assert (one[:, :, 0] != one[:, :, 1]).any()
    plain = m.generate_mmm_dataset(config_with(*channels))
    off = m.generate_mmm_dataset(config_with(*channels, synchronised_flights=0.0))
    assert plain.drop_attrs().identical(off.drop_attrs())


def test_outside_the_quarters_flights_are_those_without_synchronisation() -> None:
    channels = named(FLIGHTS, FLIGHTS)
    before, after = drawn(channels, 0.0, 3), drawn(channels, 0.5, 3)
    alone = (after == before).all(axis=(1, 2))
    together = (after[:, 0] == after[:, 1]).all(axis=1)
    assert (alone | together).all()
    assert not alone.all()
    assert not together.all()


def test_flights_keep_their_share_of_time() -> None:
    free, tied = (drawn(named(FLIGHTS, FLIGHTS), share) for share in (0.0, 0.6))
    assert np.allclose(free.mean(axis=(0, 2, 3)), tied.mean(axis=(0, 2, 3)), rtol=0.03)


def test_other_channels_controls_and_geos_keep_their_bits() -> None:
    channels = named(FLIGHTS, steady(), FLIGHTS, FLIGHTS | {"shared": True})
    before = drawn(channels, 0.5, 3)
    assert (drawn(channels[::-1], 0.5, 3)[:, ::-1] == before).all()
    assert (drawn(channels[1:], 0.5, 3) == before[:, 1:]).all()
    assert (drawn(channels, 0.5, 3, regions={"n_regions": 4})[:, :, :N_GEOS] == before).all()
    # A national plan stays national.
    assert (before[:, 3, 0] == before[:, 3, 1]).all()
    control = {"control_variables": [{"name": "Price", "pattern": "on_off"}]}
    values = [
        generate(config_with(*channels, synchronised_flights=share, **control))["control_value"]
        for share in (0.0, 0.5)
    ]
    assert values[0].equals(values[1])


@pytest.mark.parametrize("target", [0.5, 0.7])
def test_spend_correlation_counts_flights_that_are_synchronised(target: float) -> None:
    channels = named(*[FLIGHTS | {"spend_volatility": 0.6}] * 2)
    pair = {"channels": ["C0", "C1"], "correlation": target}
    with pytest.raises(ConfigError, match="allowed: between"):
        drawn(channels, 0.0, 1, spend_correlation=[pair])
    found, error = correlation(drawn(channels, 0.6, spend_correlation=[pair]))
    assert abs(found - target) < 4 * error + 0.005


def test_correlated_flights_of_different_keys_are_refused() -> None:
    channels = named(FLIGHTS, FLIGHTS | {"max_active_periods": 4})
    pair = {"channels": ["C0", "C1"], "correlation": 0.1}
    with pytest.raises(ConfigError, match=r"^channels.1.pattern: .*equal keys"):
        drawn([c | {"spend_volatility": 0.5} for c in channels], 0.5, 1, spend_correlation=[pair])


@pytest.mark.parametrize("share", [-0.1, 1.1, "half", True])
def test_an_impossible_share_is_refused(share: Any) -> None:
    with pytest.raises(ConfigError, match=r"^synchronised_flights: found"):
        drawn([FLIGHTS], share, 1)


def test_an_element_of_an_ensemble_is_the_single_dataset() -> None:
    config = config_with(*named(FLIGHTS, FLIGHTS))
    shares = [0.0, 0.5, 0.7]
    ensemble = m.generate_ensemble(config, vary={"synchronised_flights": shares}, seeds=[5, 6, 7])
    for k, share in enumerate(shares):
        single = generate(config, seed=5 + k, synchronised_flights=share)
        assert (ensemble["spend"].isel(dataset=k) == single["spend"]).all()
    assert m.regenerate(single).identical(single)
