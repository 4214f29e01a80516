"""Truth of whole ensembles: that of every dataset alone, lazily, chunk by chunk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xarray as xr

import mmm_xgen as m
from mmm_xgen import truth
from mmm_xgen.ensemble import element
from tests.strategies import quietly
from tests.truth.worlds import BOTH

N = 3
CONFIG: dict[str, Any] = {
    "n_periods": 40,
    "burn_in_periods": 3,
    "seed": 11,
    "channels": [
        {"name": "TV", "pattern": "on_off", "roas": 2.0},
        {
            "name": "Search",
            "roas": 3.0,
            "saturation_fun": "root_saturation",
            "saturation_kwargs": {"alpha": 0.5},
        },
        {"name": "Print", "base_effectiveness": 0.0},
        {
            "name": "Radio",
            "pattern": "delayed_start",
            "start_period": 20,
            "roas": 1.5,
            "adstock_fun": "weibull_adstock",
            "adstock_kwargs": {"lam": 2.0, "k": 1.5},
        },
    ],
    "control_variables": [{"name": "Price", "gamma_control": -20.0}],
    "promotions": [{"name": "Sale", "pull_forward": {}}],
    "regions": {
        "n_regions": 2,
        "sales_trend": 0.001,
        "seasonal_amplitude": 0.1,
        "channel_param_variation": 0.2,
        "transform_variation": 0.2,
    },
}
CALLS: dict[str, Callable[[xr.Dataset], xr.Dataset | xr.DataArray]] = {
    "estimands by channel": lambda ds: truth.estimands(ds, by="channel"),
    "estimands in all": lambda ds: truth.estimands(ds, by=()),
    "estimands by month": lambda ds: truth.estimands(ds, freq="MS"),
    "estimands of a window": lambda ds: truth.estimands(ds, window="2022-05", delta=0.1),
    "roas": truth.roas,
    "roas with carry-out": lambda ds: truth.roas(ds, BOTH, freq="QS", with_carryout=True),
    "mroas": lambda ds: truth.mroas(ds, BOTH),
    "mroas by quarter": lambda ds: truth.mroas(ds, freq="QS", with_carryout=True),
    "attribution": lambda ds: truth.attribution(ds, BOTH),
    "attribution of media": lambda ds: truth.attribution(ds, of="media", freq="QS"),
    "cost_per_incremental": lambda ds: truth.cost_per_incremental(ds, BOTH, freq="QS"),
    "contribution_totals": truth.contribution_totals,
    "promotion_returns": lambda ds: truth.promotion_returns(ds, ("geo", "promotion"), freq="QS"),
}


def ensemble(**options: Any) -> xr.Dataset:
    vary = {"channels.TV.roas": m.Uniform(1, 4), "channels.TV.adstock.alpha": m.Uniform(0.1, 0.8)}
    config = m.MMMDataConfig.model_validate(CONFIG)
    return quietly(lambda: m.generate_ensemble(config, n=N, vary=vary, **options))


@pytest.fixture(scope="module")
def lazy() -> xr.Dataset:
    return ensemble(chunks=2)


@pytest.fixture(scope="module")
def made(lazy: xr.Dataset) -> xr.Dataset:
    return quietly(lazy.compute)


def assert_near(found: Any, wanted: Any) -> None:
    arrays = {"": found} if isinstance(found, xr.DataArray) else dict(found.data_vars)
    others = {"": wanted} if isinstance(wanted, xr.DataArray) else dict(wanted.data_vars)
    assert set(arrays) == set(others)
    for name, array in arrays.items():
        other = others[name]
        assert array.dims == other.dims, name
        assert array.attrs == other.attrs, name
        for coordinate in other.coords:
            assert array[coordinate].variable.equals(other[coordinate].variable), (name, coordinate)
        size = np.nanmax(np.abs(other.where(np.isfinite(other))), initial=0.0)
        np.testing.assert_allclose(array, other, rtol=1e-12, atol=1e-13 * size, err_msg=name)


@pytest.mark.parametrize("name", CALLS)
def test_truth_of_an_ensemble_is_that_of_each_dataset(lazy, made, name):
    of_lazy = CALLS[name](lazy)
    arrays = [of_lazy] if isinstance(of_lazy, xr.DataArray) else of_lazy.data_vars.values()
    for array in arrays:
        assert array.dims[0] == "dataset"
        assert array.chunks is not None and array.chunks[0] == (2, 1)
    computed = quietly(of_lazy.compute)
    at_once = CALLS[name](made)
    for position in range(N):
        alone = CALLS[name](element(made, position))
        for found in (computed, at_once):
            assert_near(found.isel(dataset=position), alone)


def test_what_varies_stays_beside_the_truth(lazy: xr.Dataset) -> None:
    found = truth.estimands(lazy)
    for name in ("seed", "channels.TV.roas", "channels.TV.adstock.alpha"):
        assert found[name].equals(lazy[name])
    assert truth.roas(lazy)["channels.TV.roas"].equals(lazy["channels.TV.roas"])
    np.testing.assert_allclose(
        quietly(truth.roas(lazy).sel(channel="TV").compute), lazy["channels.TV.roas"], rtol=1e-12
    )


def test_a_dataset_beyond_the_range_of_complex_numbers_changes_no_other() -> None:
    from mmm_xgen.truth.media import derivative

    def function(step: complex) -> Any:
        values = np.array([[1.0, 2.0], [3.0, 4.0]]) * (1 + step) ** 3
        if np.iscomplexobj(values):
            values[1, 0] = np.inf
        return values

    apart = derivative(function, apart=0)
    assert apart[0].tolist() == [3.0, 6.0]
    np.testing.assert_allclose(apart[1], [9.0, 12.0], rtol=1e-9)
    np.testing.assert_allclose(derivative(function), [[3.0, 6.0], [9.0, 12.0]], rtol=1e-9)


def test_faults_show_when_a_lazy_ensemble_is_computed(lazy: xr.Dataset, made: xr.Dataset) -> None:
    with pytest.raises(m.SchemaError, match="cut of its dates"):
        truth.mroas(made.isel(date=slice(20, None)))
    cut = truth.mroas(lazy.isel(date=slice(20, None)))
    with pytest.raises(m.SchemaError, match="cut of its dates"):
        quietly(cut.compute)
    # One dataset that was changed is found among the others, however small it is.
    spoilt = made.assign(spend=made["spend"].copy())
    spoilt["spend"][1] *= 1.001
    with pytest.raises(m.SchemaError, match="not what its spend"):
        truth.estimands(spoilt)


def test_truth_of_numbers_of_seven_digits(made: xr.Dataset) -> None:
    short = made.astype(np.float32)
    found = truth.estimands(short, by="channel")
    assert found["roas"].dtype == float
    wanted = truth.estimands(made, by="channel")
    for name in ("roas", "mroas", "roas_with_carryout", "contribution"):
        np.testing.assert_allclose(found[name], wanted[name], rtol=1e-4)
