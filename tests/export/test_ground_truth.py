"""The nested ground truth: plain JSON that says what the Dataset says."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import xarray as xr

import mmm_xgen as m
from mmm_xgen.aggregate import aggregate
from mmm_xgen.ensemble import element
from mmm_xgen.export import ground_truth
from mmm_xgen.kernels.saturation import SATURATIONS
from mmm_xgen.truth import attribution, roas
from tests.connected import connected
from tests.export.datasets import CONFIGS, made, planned
from tests.strategies import config_with, generate, steady


def leaves(node: Any) -> list[Any]:
    """Every value of a nested dictionary."""
    if isinstance(node, dict):
        return [leaf for child in node.values() for leaf in leaves(child)]
    return [tuple(node) if isinstance(node, list) else node]


def test_every_parameter_is_told_and_decides_something() -> None:
    config = config_with(
        steady(
            "TV",
            spend_volatility=0.3,
            adstock={"kind": "geometric_adstock", "alpha": 0.4},
            saturation={"kind": "hill_function", "slope": 1.2, "kappa": 1500.0},
            base_effectiveness=0.1,
        ),
        regions={"n_regions": 2, "transform_variation": 0.2},
    )
    ds = generate(config)
    told = set(leaves(m.ground_truth(ds)["parameters"]["TV"]))
    for name in ("adstock_alpha", "saturation_slope", "saturation_kappa", "saturation_beta"):
        values = {float(value) for value in ds[name].values.ravel()}
        assert values <= told, f"the ground truth says nothing of {name}"
        shifted = ds.copy(deep=True)
        shifted[name] = shifted[name] * 1.05
        # The effect is inside beta: it is left out, or refused where it says something else.
        if name == "saturation_beta":
            with pytest.raises(m.AlignmentError, match="effect"):
                m.respond(ds["spend"], shifted)
            shifted = shifted.drop_vars("effect")
        # A parameter that could be wrong without consequence would be no truth at all.
        if name != "adstock_alpha":
            moved = m.respond(ds["spend"], shifted) - ds["channel_contribution"]
            assert float(np.abs(moved).max()) > 0, f"{name} decides nothing"
    assert not np.array_equal(
        ds["saturation_kappa"].isel(geo=0), ds["saturation_kappa"].isel(geo=1)
    )


pytestmark = pytest.mark.filterwarnings("ignore::mmm_xgen.XgenWarning")


@pytest.fixture(scope="module")
def ds() -> xr.Dataset:
    return m.generate_mmm_dataset()


def is_plain(node: Any) -> bool:
    if isinstance(node, dict):
        return all(type(key) is str and is_plain(value) for key, value in node.items())
    if isinstance(node, list):
        return all(map(is_plain, node))
    return node is None or type(node) in (str, int, float, bool)


@pytest.mark.parametrize("name", CONFIGS)
def test_ground_truth_is_plain_json(name):
    ds = made(name)
    truth = ground_truth(ds, series=True)
    assert is_plain(truth)
    assert json.loads(json.dumps(truth, allow_nan=False)) == truth
    del truth["series"]
    assert ground_truth(ds) == truth


def test_ground_truth_tells_what_the_dataset_has():
    ds = made("daily with seasons and events")
    truth = ground_truth(ds, series=True)
    geo, channel = "geo_2", "TV"
    one = ds.sel(geo=geo, channel=channel)
    parameters = truth["parameters"][channel]
    assert parameters["effect"]["by_geo"][geo] == float(one["effect"])
    alpha = parameters["adstock"]["parameters"]["alpha"]
    assert alpha["by_geo"][geo] == float(one["adstock_alpha"])
    assert alpha["population"] == {
        "scale": "logit",
        "mean": float(one["adstock_alpha_mean"]),
        "sd": float(one["adstock_alpha_sd"]),
    }
    assert parameters["saturation"]["parameters"]["kappa"]["population"]["scale"] == "log"
    assert parameters["column"] == "x1-TV"
    baseline = truth["baseline"]
    assert baseline["intercept"][geo] == float(one["intercept_contribution"])
    assert baseline["period_days"]["weekday_monday"] == 7.0
    seasonal = ds["gamma_seasonal"].sel(geo=geo, seasonal_mode="weekday_friday")
    assert baseline["gamma_seasonal"][geo]["weekday_friday"] == float(seasonal)
    assert baseline["gamma_fourier"][geo].keys() == {"sin_1", "sin_2", "cos_1", "cos_2"}
    assert baseline["events"]["Fête"][geo] == float(ds["event_effect"].sel(geo=geo, event="Fête"))
    assert baseline["noise"]["kind"] == "gaussian"
    assert baseline["noise"]["y_sigma"][geo] == float(one["y_sigma"])
    assert truth["metadata"]["sizes"]["date"] == 52
    total = truth["contributions"]["channels"][channel][geo]
    assert total == pytest.approx(float(one["channel_contribution"].sum()))
    assert truth["series"]["channels"][channel][geo] == one["channel_contribution"].values.tolist()
    assert truth["series"]["baseline"]["intercept"][geo] == [baseline["intercept"][geo]] * 52
    assert len(truth["series"]["dates"]) == 52


def test_ground_truth_adds_up(ds):
    sums = ground_truth(ds)["contributions"]
    for geo in ("geo_a", "geo_b"):
        parts = [part[geo] for key in ("channels", "controls") for part in sums[key].values()]
        parts += [part[geo] for part in sums["baseline"].values()]
        assert sum(parts) == pytest.approx(sums["mu"][geo], rel=1e-9)
        assert sums["mu"][geo] + sums["noise"][geo] == pytest.approx(sums["y"][geo], rel=1e-9)


def test_ground_truth_repeats_the_estimands(ds):
    truth = ground_truth(ds)
    assert list(truth["roas"]["by_channel"].values()) == roas(ds).values.tolist()
    by_cell = roas(ds, by=("geo", "channel"))
    for channel, by_geo in truth["roas"]["by_channel_and_geo"].items():
        assert list(by_geo.values()) == by_cell.sel(channel=channel).values.tolist()
    assert list(truth["attribution"]["share_of_sales"].values()) == attribution(ds).values.tolist()
    assert sum(truth["attribution"]["share_of_media"].values()) == pytest.approx(1)


def test_each_channel_has_the_parameters_of_its_kind():
    truth = ground_truth(made("all kinds"))
    found = {
        entry["saturation"]["kind"]: set(entry["saturation"]["parameters"])
        for entry in truth["parameters"].values()
    }
    for kind, names in found.items():
        spec = SATURATIONS[kind]
        assert names == set(spec.parameters) | (set() if spec.amplitude else {"beta"}), kind


def test_what_is_not_there_is_none(ds):
    truth = ground_truth(made("placebo and silent channel"))
    assert truth["roas"]["by_channel"] == {"Placebo": 0.0, "Silent": None}
    assert truth["parameters"]["Placebo"]["effect"]["population"]["mean"] is None
    assert ground_truth(ds)["controls"]["Price"]["gamma"] == {"geo_a": None, "geo_b": None}


def test_settings_and_piecewise_trend_are_told():
    truth = ground_truth(made("weibull types and no normalisation"))
    adstocks = {name: entry["adstock"] for name, entry in truth["parameters"].items()}
    assert adstocks["TV"]["settings"] == {"type": "CDF"}
    assert adstocks["TV"]["normalize"] is False
    assert adstocks["Radio"]["l_max"] == 3
    assert adstocks["Print"]["settings"] == {}
    trend = ground_truth(made("piecewise trend"))["baseline"]["trend"]
    assert trend["kind"] == "piecewise_linear"
    assert trend["settings"] == {"change_periods": [10, 20], "trend_changes": [-0.02, 0.01]}
    assert trend["parameters"]["sales_trend"] == {"geo_1": 0.01}


def test_ground_truth_of_a_media_plan_and_of_an_aggregate(ds):
    truth = ground_truth(planned())
    assert truth["metadata"]["spend_is_given"] is True
    assert truth["parameters"]["TV"]["base_spend"] is None
    national = aggregate(ds, freq="MS")
    truth = ground_truth(national, series=True)
    assert truth["metadata"]["aggregation"] == national.attrs["aggregation"]
    assert truth["parameters"]["Trend"]["saturation"]["parameters"] == {}
    assert truth["parameters"]["Trend"]["effect"]["by_geo"] == {"national": None}
    assert truth["roas"]["by_channel"]["Trend"] == pytest.approx(1.5)


def test_ground_truth_of_a_dataset_of_an_ensemble_is_its_own():
    config = m.DEFAULT_CONFIG
    vary = {"regions.noise.sales_volatility": [0.01, 0.2]}
    ensemble = m.generate_ensemble(config, seeds=[5, 6], vary=vary, chunks=None)
    for position in range(2):
        assert ground_truth(ensemble.isel(dataset=position)) == ground_truth(
            element(ensemble, position)
        )
    with pytest.raises(m.SchemaError, match=r"dim 'dataset'.*isel\(dataset=0\)"):
        ground_truth(ensemble)
    national = aggregate(ensemble.isel(dataset=1), geo="national")
    assert ground_truth(national)["metadata"]["seed"] == 6


def test_ground_truth_of_something_else():
    with pytest.raises(m.SchemaError, match="no 'spend'"):
        ground_truth(xr.Dataset())


def test_outliers_and_lost_sales_are_told() -> None:
    regions = {"capacity": 1.3, "outliers": {"share": 0.1}, "noise": {"kind": "ar1", "shared": 0.5}}
    ds = m.generate_mmm_dataset(regions=regions)
    truth = ground_truth(ds, series=True)
    for geo in ds["geo"].values:
        one = ds.sel(geo=geo)
        assert truth["baseline"]["capacity"][geo] == pytest.approx(one["capacity"].item())
        for name in ("outlier_contribution", "lost_sales"):
            assert truth["contributions"][name][geo] == pytest.approx(float(one[name].sum()))
            assert truth["series"][name][geo] == pytest.approx(one[name].values.tolist())
    assert truth["baseline"]["noise"]["settings"]["shared"] == 0.5
    json.dumps(ground_truth(ds.mmm.aggregate()), allow_nan=False)


def test_a_world_with_mechanisms_has_its_connections_and_all_parts() -> None:
    ds = connected()
    truth = ground_truth(ds, series=True)
    assert "connections" not in ground_truth(m.generate_mmm_dataset())
    funnel = truth["connections"]["funnels"]["Video > Social"]
    assert funnel == {
        "source": "Video",
        "target": "Social",
        "lag": 1,
        "paid": True,
        "strength": {"geo_1": -0.2, "geo_2": -0.2},
    }
    mediator = truth["connections"]["mediators"]["Visits"]
    assert mediator["loading"] == {"TV": 0.0, "Search": 0.6, "Social": 0.0, "Video": 0.0}
    assert truth["parameters"]["Social"]["pull_forward"]["periods"] == 4
    parts = truth["contributions"]
    assert {"interactions", "mediators"} <= {*parts}
    items = ("channels", "controls", "interactions", "mediators", "promotions")
    for geo in ds["geo"].values:
        total = sum(one[geo] for item in items for one in parts[item].values())
        total += sum(part[geo] for part in parts["baseline"].values())
        assert total == pytest.approx(parts["mu"][geo])
    assert len(truth["series"]["baseline"]["demand"]["geo_1"]) == ds.sizes["date"]
    json.dumps(truth, allow_nan=False)
