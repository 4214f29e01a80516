"""Curves that PyMC-Marketing does not have: shape, kinks and derivatives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmm_xgen.kernels.adstock import ADSTOCKS
from mmm_xgen.kernels.saturation import SATURATIONS
from tests.strategies import config_with, generate, steady

# Numbers of each curve, and its kinks.
CURVES: dict[str, tuple[dict[str, float], list[float]]] = {
    "sigmoid_saturation": ({"asymptote": 1.0, "slope": 0.8}, []),
    "polynomial_saturation": ({"top": 3.0}, [3.0]),
    "piecewise_linear_saturation": (
        {"knot": 1.0, "share": 0.5, "decay": 0.25},
        [1.0, 5.0],
    ),
    "threshold_saturation": ({"threshold": 0.5, "kappa": 1.5}, [0.5]),
}
STEP = 1e-30


def curve(kind: str, x: Any) -> Any:
    keys = {name: np.array([value]) for name, value in CURVES[kind][0].items()}
    return SATURATIONS[kind].function(np.asarray(x), **keys)


@pytest.mark.parametrize("kind", CURVES)
@given(spends=st.lists(st.floats(0.0, 1e3), min_size=3, max_size=3))
def test_a_curve_rises_from_zero_to_its_limit_and_bends_down(
    kind: str, spends: list[float]
) -> None:
    low, middle, high = np.sort(spends)
    at = curve(kind, [0.0, low, middle, high, 1e9])
    assert at[0] == 0
    assert at[-1] == pytest.approx(1.0, abs=1e-8)
    assert (np.diff(at) >= -1e-15).all()
    if kind == "threshold_saturation":
        assert (curve(kind, np.minimum(spends, 0.5)) == 0).all()
        low, middle, high = (max(each, 0.5) for each in (low, middle, high))
        at = curve(kind, [0.0, low, middle, high, 1e9])
    # A chord lies below a concave curve.
    if high > low:
        share = (middle - low) / (high - low)
        assert at[2] >= at[1] + share * (at[3] - at[1]) - 1e-12


@pytest.mark.parametrize("kind", CURVES)
def test_a_complex_step_gives_the_slope_to_the_right_of_a_kink(kind: str) -> None:
    points = np.array([0.0, 0.2, 0.9, 2.2, 7.0, *CURVES[kind][1]])
    slope = np.imag(curve(kind, points + 1j * STEP)) / STEP
    ahead = 1e-7
    right = (curve(kind, points + ahead) - curve(kind, points)) / ahead
    np.testing.assert_allclose(slope, right, rtol=1e-5, atol=1e-6)
    left = (curve(kind, points - ahead) - curve(kind, points))[5:] / -ahead
    if kind not in ("sigmoid_saturation", "polynomial_saturation"):
        assert (abs(left - slope[5:]) > 0.01).all()


def test_the_slope_of_a_sigmoid_at_zero_is_its_parameter() -> None:
    assert np.imag(curve("sigmoid_saturation", 1j * STEP)) / STEP == pytest.approx(0.8, rel=1e-14)


def test_the_sixteen_weights_of_beta_gamma_decay() -> None:
    keys = {"kind": "beta_gamma_decay", "beta": 0.5, "gamma": 0.8, "normalize": False}
    ds = generate(config_with(steady(adstock=keys), steady("Web", adstock=keys | {"l_max": 3})))
    weights = ds["adstock_weights"].values[0]
    assert ds["l_max"].values.tolist() == [16, 3]
    np.testing.assert_allclose(weights[0], [1.0, *(0.5 * 0.8**lag for lag in range(1, 16))])
    np.testing.assert_allclose(weights[1, :4], [1.0, 0.4, 0.32, 0.0])
    # The gamma density is another kernel.
    other = ADSTOCKS["beta_gamma_adstock"].function(np.arange(16.0))
    assert abs(other / other[0] - weights[0]).max() > 0.1
