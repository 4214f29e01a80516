"""Platforms that report too much, and tests whose evaluation is biased."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mmm_xgen as m
from mmm_xgen import ConfigError
from mmm_xgen.ensemble import element, generate_ensemble
from mmm_xgen.generate import variable_names
from mmm_xgen.truth import lift_test, meridian_roi_prior, simulate
from tests.strategies import config_with, generate, same

pytestmark = pytest.mark.filterwarnings("ignore::mmm_xgen.XgenWarning")

TV = {"name": "TV", "roas": 2.0, "over_reporting": 0.5}
SEARCH = {
    "name": "Search",
    "roas": 1.5,
    "budget_rule": {"kind": "search", "substitution": 0.2},
    "over_reporting": -0.1,
}
WEB = {"name": "Web", "roas": 1.0}
REGIONS = {"region_names": ["north", "south"], "population": [2e6, 1e6]}
TEST = {"channel": "TV", "geos": ["north"], "start_period": 10, "n_periods": 8, "change": -1.0}
WINDOW = slice("2022-03-14", "2022-05-08")


def config(*channels: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return config_with(*channels, n_periods=40, seed=4, regions=REGIONS, **fields)


def test_a_platform_reports_more_than_its_channel_sells() -> None:
    ds = generate(config(TV, SEARCH, WEB, demand={}))
    reported = ds["reported_sales"] / ds["channel_contribution"]
    # Both causes multiply: clicks that replace organic ones, and what the platform adds.
    np.testing.assert_allclose(reported.sel(channel="TV"), 1.5, rtol=1e-12)
    np.testing.assert_allclose(reported.sel(channel="Search"), 0.9 / 0.8, rtol=1e-12)
    np.testing.assert_allclose(reported.sel(channel="Web"), 1.0, rtol=1e-12)
    assert ds["over_reporting"].values.tolist() == [0.5, -0.1, 0.0]
    half = simulate(ds, spend=0.5 * ds["spend"])
    same(
        half["reported_sales"] / half["channel_contribution"],
        reported.transpose(*half["reported_sales"].dims),
        1e-9,
    )
    assert m.regenerate(ds).identical(ds)
    assert m.schema.mechanisms_of(ds)["over_reporting"]


def test_a_report_changes_no_sales_and_is_off_by_default() -> None:
    honest = generate(config({**TV, "over_reporting": None}, WEB))
    boasting = generate(config(TV, WEB))
    assert not {"reported_sales", "over_reporting", "clicks"} & set(honest)
    assert "clicks" not in boasting
    for name in honest:
        assert boasting[name].equals(honest[name]), name
    own = m.MMMDataConfig(**config(TV, WEB))
    assert {"reported_sales", "over_reporting"} <= set(variable_names(own))
    with pytest.raises(ConfigError, match=r"channels\.0\.over_reporting: found -1\.5"):
        m.MMMDataConfig(**config({**TV, "over_reporting": -1.5}))


def test_reports_and_biases_of_an_ensemble() -> None:
    own = m.MMMDataConfig(**config(TV, WEB, experiments=[TEST | {"bias": 0.0}]))
    vary = {"channels.TV.over_reporting": [0.0, 0.2, 1.0], "experiments.0.bias": [0.1, 0.0, -0.3]}
    many = generate_ensemble(own, n=9, vary=vary, chunks=None)
    pairs = [(more, bias) for more in (0.0, 0.2, 1.0) for bias in (0.1, 0.0, -0.3)]
    for k, (more, bias) in enumerate(pairs):
        one = element(many, k)
        assert m.regenerate(one).identical(one)
        np.testing.assert_allclose(one["over_reporting"], [more, 0.0])
        # Spend during the test is 0, so it takes the spend without it.
        without = m.generate_mmm_dataset(own.replace(experiments=()), seed=int(one.attrs["seed"]))
        told = lift_test(
            one,
            geos=["north"],
            channel="TV",
            window=WINDOW,
            change=-1.0,
            se=1.0,
            spend=without["spend"],
            allow_any_sign=True,
        )
        assert told["bias"].tolist() == [bias]


def test_the_bias_of_a_configured_test_is_in_its_lift() -> None:
    plain = config(TV, WEB)
    without = generate(plain)["spend"]
    ds = generate(plain | {"experiments": [TEST | {"bias": 0.4}]})
    honest = generate(plain | {"experiments": [TEST]})
    for name in ("spend", "y", "mu"):
        assert ds[name].equals(honest[name]), name
    how: dict[str, Any] = {"channel": "TV", "change": -1.0, "se": 5.0, "spend": without}
    told = lift_test(ds, window=WINDOW, **how)
    fair = lift_test(honest, window=WINDOW, **how)
    assert told["bias"].tolist() == [0.4, 0.0]
    assert fair["bias"].tolist() == [0.0, 0.0]
    np.testing.assert_allclose(told["true_delta_y"], fair["true_delta_y"])
    # The same draw of noise, and 40% of the true lift more where the test was.
    np.testing.assert_allclose(
        told["delta_y"] - fair["delta_y"], 0.4 * fair["true_delta_y"] * [1, 0], atol=1e-9
    )
    # Another window, change or channel is another test.
    for other in (
        {"window": slice("2022-03-14", "2022-05-01")},
        {"window": WINDOW, "change": -0.5},
        {"window": WINDOW, "channel": "Web"},
    ):
        assert (lift_test(ds, **(how | other | {"spend": without}))["bias"] == 0).all()
    stated = lift_test(honest, window=WINDOW, bias=-0.2, **how)
    np.testing.assert_allclose(
        stated["delta_y"] - fair["delta_y"], -0.2 * fair["true_delta_y"], atol=1e-9
    )
    prior, fair_prior = (meridian_roi_prior(each).iloc[0] for each in (stated, fair))
    assert prior["mean"] < fair_prior["mean"]
    assert prior["true_mean"] == fair_prior["true_mean"]
    for wrong in ("much", float("nan"), True):
        with pytest.raises(ConfigError, match="relative bias"):
            lift_test(honest, window=WINDOW, bias=wrong, **how)


def test_without_a_configuration_a_test_has_no_bias_of_its_own() -> None:
    ds = generate(config(TV, WEB, experiments=[TEST | {"bias": 0.4, "change": 0.5}]))
    how: dict[str, Any] = {"channel": "TV", "window": WINDOW, "change": 0.5, "se": 5.0}
    assert lift_test(ds, geos=["north"], **how)["bias"].tolist() == [0.4]
    other = simulate(ds, spend=1.1 * ds["spend"])
    assert lift_test(other, geos=["north"], **how)["bias"].tolist() == [0.0]
