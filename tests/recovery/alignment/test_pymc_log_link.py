"""PyMC-Marketing's model with a log link, given the truth, computes what is true."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from typing import Any

import numpy as np
import pytest
import xarray as xr

import mmm_xgen as m
from mmm_xgen.export.pymc_marketing import scaled_parameters
from mmm_xgen.recovery import from_pymc, no_single_truth, to_pymc_truth, truth_as_posterior
from mmm_xgen.recovery.alignment.groups import group
from mmm_xgen.recovery.alignment.meridian import to_meridian_truth
from mmm_xgen.recovery.fit import FitSettings
from mmm_xgen.recovery.models.pymc_fit import built_model
from tests.strategies import generate

pytestmark = [
    pytest.mark.filterwarnings("ignore::mmm_xgen.XgenWarning"),
    pytest.mark.filterwarnings("ignore:The 'log' link is experimental"),
    pytest.mark.filterwarnings("ignore:Under link='log'"),
    pytest.mark.filterwarnings("ignore:A future version of pandas will return a BaseOffset"),
]
NEWER = int(version("pymc-marketing").split(".")[0]) >= 1
newer = pytest.mark.skipif(not NEWER, reason="releases before 1.0 have no log link")


@cache
def data(link: str = "log") -> xr.Dataset:
    config = {
        "n_periods": 60,
        "seed": 3,
        "link": link,
        "channels": [
            {"name": "TV", "pattern": "on_off", "base_spend": 3000.0, "roas": 2.0},
            {"name": "Radio", "base_spend": 900.0, "roas": 1.2},
        ],
        "control_variables": [{"name": "Rain", "base_value": 3.0, "gamma_control": -150.0}],
        "transforms": {
            "adstock_kwargs": {"alpha": 0.4, "l_max": 6},
            "saturation_fun": "logistic_saturation",
        },
        "regions": {
            "region_names": ["west", "east"],
            "population": [1e6, 3e6],
            "seasonal_amplitude": 0.2,
            "fourier_modes": 2,
            "similarity": 0.5,
            "noise": {"kind": "lognormal" if link == "log" else "gaussian"},
        },
    }
    return generate(config)


def model(link: str, ds: xr.Dataset) -> Any:
    from pymc_marketing.mmm import GeometricAdstock, LogisticSaturation
    from pymc_marketing.mmm.mmm import MMM

    def build(train: xr.Dataset) -> Any:
        return MMM(
            date_column="date",
            target_column="y",
            channel_columns=[*map(str, train["channel_column"].values)],
            control_columns=[*map(str, train["control_column"].values)],
            dims=("geo",),
            adstock=GeometricAdstock(l_max=6),
            saturation=LogisticSaturation(),
            yearly_seasonality=2,
            link=link,
        )

    return built_model(ds, FitSettings(), build)


@newer
def test_at_the_truth_sales_and_incrementality_are_ours() -> None:
    ds = data()
    mmm = model("log", ds)
    truth = to_pymc_truth(ds, mmm)
    assert no_single_truth(truth) == {}
    posterior = group(truth_as_posterior(ds, mmm), "posterior")
    posterior = posterior.isel(chain=0, draw=0).sel(geo=ds["geo"].values)
    # Their mean of a lognormal likelihood.
    mean = np.exp(posterior["mu"] + posterior["y_sigma"] ** 2 / 2) * mmm.scalers["_target"]
    np.testing.assert_allclose(mean.transpose("date", "geo").values, ds["mu"].values, rtol=1e-9)

    for frequency, freq in (("all_time", None), ("quarterly", "QS")):
        theirs = mmm.incrementality.contribution_over_spend(
            frequency=frequency, central_tendency="mean"
        ).squeeze(["chain", "draw"], drop=True)
        ours = m.truth.estimands(ds, freq=freq, within_data=True)["roas_with_carryout"]
        theirs = theirs.rename({"date": "period"} if freq else {}).sel(geo=ds["geo"].values)
        np.testing.assert_allclose(theirs.transpose(*ours.dims).values, ours.values, rtol=1e-9)

    parts = mmm.compute_counterfactual_contributions_dataset(central_tendency="mean")
    parts = parts.isel(chain=0, draw=0).sel(geo=ds["geo"].values)
    for name, wanted in {
        "x1-TV": ds["channel_contribution"].sel(channel="TV"),
        "c1-Rain": ds["control_contribution"].sel(control="Rain"),
        "yearly_seasonality": ds["seasonality_contribution"],
    }.items():
        found = parts[name].transpose("date", "geo").values
        np.testing.assert_allclose(found, wanted.values, rtol=1e-9, atol=1e-9 * ds["mu"].max())

    # Negative control: the truth of an intercept that is the log of base sales alone.
    off = np.exp(posterior["mu"]) * mmm.scalers["_target"]
    assert float(abs(off.transpose("date", "geo").values / ds["mu"].values - 1).max()) > 1e-3

    back = from_pymc(truth.drop_attrs().expand_dims(chain=[0], draw=[0]), mmm, ds)
    back = back.isel(chain=0, draw=0)
    names = ["intercept_contribution", "gamma_control", "gamma_fourier", "saturation_beta"]
    for name in (*names, "saturation_lam", "y_sigma"):
        wanted = ds[name].transpose(*back[name].dims)
        np.testing.assert_allclose(back[name].values, wanted.values, rtol=1e-12, err_msg=name)


@newer
def test_exported_parameters_are_those_of_the_model() -> None:
    ds = data()
    mmm = model("log", ds)
    scales = {"channel_scale": mmm.scalers["_channel"], "target_scale": mmm.scalers["_target"]}
    found, truth = scaled_parameters(ds, **scales), to_pymc_truth(ds, mmm)
    assert found.attrs["link"] == "log"
    assert "no_counterpart" not in found.attrs
    for name in found:
        wanted = truth[name].transpose(*found[name].dims).sel(geo=ds["geo"].values)
        np.testing.assert_allclose(found[name].values, wanted.values, rtol=1e-12, err_msg=name)


@newer
@pytest.mark.parametrize(("data_link", "model_link"), [("log", "identity"), ("identity", "log")])
def test_a_model_with_another_link_has_no_truth(data_link: str, model_link: str) -> None:
    ds = data(data_link)
    truth = to_pymc_truth(ds, model(model_link, ds))
    for name in truth:
        assert truth[name].isnull().all(), name
        assert "sales are " in no_single_truth(truth)[str(name)]


def test_meridian_has_no_multiplicative_sales() -> None:
    truth = to_meridian_truth(data())
    assert all(truth[name].isnull().all() for name in ("alpha_m", "ec_m", "slope_m", "beta_gm"))
    assert {"tau_g", "mu_t", "gamma_gc"}.isdisjoint(set(truth))
    assert "sales are multiplicative" in truth.attrs["no_single_truth"]
    np.testing.assert_allclose(truth["roi_m"], [2.0, 1.2], rtol=1e-12)
