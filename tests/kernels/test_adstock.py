"""Kernels of adstock: lengths, normalisation, half-lives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mmm_xgen as m
from mmm_xgen.kernels.adstock import convolve
from tests.strategies import config_with, generate, steady, warnings_of


@pytest.mark.parametrize(
    ("freq", "expected"),
    [("D", 56), ("W-MON", 8), ("W", 8), ("monthly", 3)],
)
def test_l_max_defaults_by_frequency(freq: str, expected: int) -> None:
    tv = steady(adstock={"kind": "geometric_adstock", "alpha": 0.2})
    ds = generate(config_with(tv, freq=freq, start_date=None))
    assert int(ds["l_max"].sel(channel="TV")) == expected
    assert ds.sizes["lag"] == expected
    np.testing.assert_allclose(ds["adstock_weights"].sum("lag"), 1.0)
    assert (ds["adstock_weights"] > 0).all()


def test_shorter_kernels_are_padded_with_zeros() -> None:
    ds = generate(
        config_with(
            steady("A", adstock={"kind": "geometric_adstock", "alpha": 0.2, "l_max": 4}),
            steady("B", adstock={"kind": "geometric_adstock", "alpha": 0.5, "l_max": 11}),
            steady("C", adstock={"kind": "no_adstock"}, pattern="seasonal"),
        )
    )
    assert ds.sizes["lag"] == 11
    assert list(ds["l_max"].values)[:2] == [4, 11]
    weights = ds["adstock_weights"].isel(geo=0)
    assert (weights.sel(channel="A").values[4:] == 0).all()
    assert (weights.sel(channel="A").values[:4] > 0).all()
    assert list(weights.sel(channel="C").values) == [1.0] + [0.0] * 10
    assert np.array_equal(ds["carryover"].sel(channel="C"), ds["spend"].sel(channel="C"))


def test_normalize_is_the_default_and_can_be_turned_off() -> None:
    for normalize, first in ((None, 0.5 / (1 - 0.5**6)), (True, 0.5 / (1 - 0.5**6)), (False, 1.0)):
        adstock = {"kind": "geometric_adstock", "alpha": 0.5, "l_max": 6}
        adstock |= {} if normalize is None else {"normalize": normalize}
        ds = generate(config_with(steady(adstock=adstock)))
        np.testing.assert_allclose(
            ds["adstock_weights"].values.ravel(), first * 0.5 ** np.arange(6), rtol=1e-12
        )
        assert bool(ds["normalize"].item()) is (normalize is not False)


@pytest.mark.parametrize(
    ("freq", "start", "half_life", "expected"),
    [
        ("D", "2022-01-03", "10D", 0.5 ** (1 / 10)),
        ("W-MON", "2022-01-03", "10D", 0.5 ** (7 / 10)),
        ("W-MON", "2022-01-03", "2W", 0.5 ** (1 / 2)),
        ("MS", "2022-01-01", "10D", 0.5 ** (365.25 / 12 / 10)),
    ],
)
def test_half_life_replaces_alpha(freq: str, start: str, half_life: str, expected: float) -> None:
    adstock = {"kind": "geometric_adstock", "half_life": half_life, "l_max": 60}
    ds = generate(config_with(steady(adstock=adstock), freq=freq, start_date=start))
    np.testing.assert_allclose(ds["adstock_alpha"], expected, rtol=1e-6)
    weights = ds["adstock_weights"].values.ravel()
    np.testing.assert_allclose(weights[1] / weights[0], expected, rtol=1e-6)


def test_half_life_works_in_the_flat_spelling() -> None:
    ds = generate(
        config_with(
            steady(),
            freq="D",
            transforms={
                "adstock_fun": "geometric_adstock",
                "adstock_kwargs": {"half_life": "5D", "l_max": 40},
            },
        )
    )
    np.testing.assert_allclose(ds["adstock_alpha"], 0.5 ** (1 / 5))


@pytest.mark.parametrize(
    ("adstock", "loses"),
    [
        ({"kind": "geometric_adstock", "alpha": 0.9, "l_max": 4}, True),
        ({"kind": "geometric_adstock", "alpha": 0.7, "l_max": 8}, True),  # 0.7**8 is 5.8 %
        ({"kind": "geometric_adstock", "alpha": 0.65, "l_max": 8}, False),  # 3.2 %
        ({"kind": "geometric_adstock", "alpha": 0.0, "l_max": 1}, False),
        ({"kind": "weibull_adstock", "lam": 20.0, "k": 1.0, "type": "CDF", "l_max": 5}, True),
    ],
)
def test_a_kernel_that_loses_more_than_5_percent_warns(
    adstock: dict[str, Any], loses: bool
) -> None:
    messages = warnings_of(
        lambda: m.generate_mmm_dataset(m.MMMDataConfig(**config_with(steady(adstock=adstock))))
    )
    about = [text for text in messages if "l_max" in text]
    assert bool(about) is loses, messages
    assert all("TV" in text or "channels.0" in text for text in about)


@pytest.mark.parametrize("n_past", [0, 2, 3, 7])
def test_a_convolution_goes_on_from_the_end_of_its_history(n_past: int) -> None:
    past, spend = np.arange(1.0, n_past + 1) ** 2, np.array([10.0, 0.0, 7.0, 0.0, 1.0])
    weights = np.array([0.4, 0.3, 0.2, 0.1])
    whole = [*past, *spend]
    wanted = [
        sum(weights[lag] * whole[at - lag] for lag in range(4) if lag <= at)
        for at in range(n_past, len(whole))
    ]
    np.testing.assert_allclose(convolve(spend, weights, past), wanted, rtol=1e-14)
