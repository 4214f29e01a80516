"""Data of Dask give every function the numbers that they give it in memory.

The functions are found by what they take: a new one is tested, or fails here for want of arguments.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.figure import Figure

import mmm_xgen as m
from mmm_xgen import recovery, truth
from mmm_xgen.dataset import in_memory
from mmm_xgen.ensemble import element
from mmm_xgen.export import open_ensemble, write_ensemble
from mmm_xgen.recovery import FitSettings
from mmm_xgen.recovery.scoring.self_check import fit_at_truth

pytest.importorskip("dask")
pytestmark = pytest.mark.filterwarnings("ignore::mmm_xgen.XgenWarning")

MODULES = ["", "truth", "export", "export.meridian", "plots", "quality", "report", "recovery"]
MODULES += ["recovery.plots", "ensemble"]
CONFIG = m.MMMDataConfig.model_validate(
    {
        "n_periods": 24,
        "burn_in_periods": 2,
        "channels": [{"name": "TV", "roas": 2.0}, {"name": "Radio", "roas": 1.0}],
        "control_variables": [{"name": "Price", "gamma_control": -20.0}],
        "regions": {"n_regions": 2, "base_sales_rate": 20_000.0, "similarity": 0.5},
    }
)
SETTINGS = FitSettings(chains=1, draws=4, tune=4, scored_draws=4)
CHANGE = {"channel": "TV", "by": 0.2}
TEST: dict[str, Any] = {"channel": "TV", "window": "2022-02", "change": -1.0, "se": 10.0}

Call = Callable[[Any, Any, Path], Any]
# What a function takes beside the Dataset, or in its place.
CALLS: dict[str, Call] = {
    "respond": lambda f, ds, _: f(ds["spend"] * 2, ds),
    "total_response": lambda f, ds, _: f(ds["spend"] * 2, ds),
    "generate_mmm_dataset": lambda f, ds, _: f(CONFIG, params=ds[["effect", "adstock_alpha"]]),
    "truth.simulate": lambda f, ds, _: f(ds, spend=ds["spend"] * 2),
    "truth.change_investment": lambda f, ds, _: f(ds, **CHANGE),
    "truth.predict_impact": lambda f, ds, _: f(ds, **CHANGE),
    "truth.compare_scenarios": lambda f, ds, _: f(ds, {"a": CHANGE, "b": ds["spend"] * 2}),
    "truth.write_scenarios": lambda f, ds, path: (f(scenarios(ds), path), path)[1],
    "truth.lift_test": lambda f, ds, _: f(ds, **TEST, spend=ds["spend"] * 2),
    "truth.meridian_calibration_period": lambda f, ds, _: f(
        ds, truth.meridian_roi_prior(truth.lift_test(ds, **TEST))
    ),
    "truth.promotion_returns": lambda f, ds, _: f(promoted(ds)),
    "truth.regret": lambda f, ds, _: f(ds, ds["spend"] * 1.1),
    "export.scaled_parameters": lambda f, ds, _: f(ds, channel_scale=2.0, target_scale=3.0),
    "plots.plot_budget": lambda f, ds, _: f(ds, truth.optimize_allocation(ds)),
    "plots.plot_scenarios": lambda f, ds, _: f(scenarios(ds)),
    "plots.plot_what_if": lambda f, ds, _: f(ds, ds["spend"] * 2),
    "recovery.score": lambda f, ds, _: f(ds, fit_at_truth(ds, SETTINGS), SETTINGS),
    "recovery.self_check": lambda f, ds, _: f(ds, SETTINGS),
    "recovery.tidy": lambda f, ds, _: f(
        recovery.score(ds, fit_at_truth(ds, SETTINGS), SETTINGS).chunk()
    ),
    "recovery.series_of": lambda f, ds, _: f(fit_at_truth(ds, SETTINGS).estimates, seed=1),
    "recovery.from_meridian": lambda f, ds, _: f(one_draw(ds), ds),
    "recovery.from_meridian_prior": lambda f, ds, _: f(one_draw(ds), ds, max_lag=7),
    "recovery.no_single_truth": lambda f, ds, _: f(recovery.to_meridian_truth(ds).chunk()),
    "recovery.plots.plot_contributions": lambda f, ds, _: f(ds, series(ds)),
    "recovery.plots.plot_predictive": lambda f, ds, _: f(ds, series(ds)),
    "recovery.plots.plot_parameters": lambda f, ds, _: f(ds, fit_at_truth(ds, SETTINGS).parameters),
    "recovery.plots.plot_response_curves": lambda f, ds, _: f(
        ds, fit_at_truth(ds, SETTINGS).estimates
    ),
    "recovery.plots.plot_roas": lambda f, ds, _: f(ds, fit_at_truth(ds, SETTINGS).estimates),
}
# A model of a library has to be built or fitted for them.
WITH_LIBRARY = {
    *("ask_analyzer", "components_of", "estimates_of", "from_pymc", "from_pymc_prior"),
    *("to_pymc_truth", "truth_as_posterior", "write_reference", "what_if_simulator"),
}
# What takes an array of Dask as it is: chunk by chunk, or by functions that compute it.
LAZY = {
    *("aggregate", "attribution", "contribution_totals", "cost_per_incremental", "estimands"),
    *("generate_mmm_dataset", "mroas", "regenerate", "respond", "roas", "run_study", "to_netcdf"),
    *("promotion_returns", "total_response"),
    *("write_csv", "write_ground_truth", "write_json", "write_parquet"),
}
# They take a whole ensemble, whose tests are in truth/test_ensembles.py and ensemble/test_store.py.
OF_ENSEMBLES = {"write_ensemble", "write_ensemble_frames", "regenerate_ensemble"}
OF_ENSEMBLES |= {"config_of_element", "element"}


def scenarios(ds: xr.Dataset) -> xr.Dataset:
    return truth.compare_scenarios(ds, {"more": CHANGE}).chunk()


def promoted(ds: xr.Dataset) -> xr.Dataset:
    made = m.generate_mmm_dataset(CONFIG, promotions=[{"name": "Sale", "pull_forward": {}}])
    return made.chunk(date=15, geo=1) if ds.chunks else made


def series(ds: xr.Dataset) -> xr.Dataset:
    return recovery.series_of(fit_at_truth(ds, SETTINGS).estimates, seed=1).chunk()


def one_draw(ds: xr.Dataset) -> xr.Dataset:
    return recovery.to_meridian_truth(ds).expand_dims(chain=1, draw=1).chunk()


def functions() -> Iterator[tuple[str, Any]]:
    """Public functions that take something labelled."""
    for part in MODULES:
        module = importlib.import_module(".".join(filter(None, ("mmm_xgen", part))))
        names = getattr(module, "__all__", [n for n in vars(module) if not n.startswith("_")])
        for name in names:
            function = getattr(module, name)
            if not inspect.isfunction(function) or name in OF_ENSEMBLES:
                continue
            kinds = [
                str(each.annotation) for each in inspect.signature(function).parameters.values()
            ]
            is_own = "__all__" in vars(module) or function.__module__ == module.__name__
            if is_own and any("xr.Data" in kind for kind in kinds):
                yield f"{part}.{name}".strip("."), function


# Each once, under the first of its names.
FUNCTIONS = {name: each for each, name in {f: n for n, f in [*functions()][::-1]}.items()}
NAMES = {name: name.split(".")[-1] for name in FUNCTIONS}
# Fits, optima and pictures take their time; that they compute first is looked up for all.
LONG = (
    "write_report",
    "efficiency_frontier",
    "information_bound",
    "recoverability",
    "what_would_help",
)
CALLED = [
    pytest.param(name, marks=pytest.mark.slow)
    if name.startswith(("plots", "report", "recovery")) or NAMES[name] in LONG
    else name
    for name in FUNCTIONS
    if NAMES[name] not in WITH_LIBRARY
]
# What computes first takes numbers from anywhere; one such function stands for the others.
FROM_STORES = [
    name for name in FUNCTIONS if name.startswith("truth.") and NAMES[name] in LAZY | {"simulate"}
]


@pytest.fixture(scope="module")
def ds() -> xr.Dataset:
    return m.generate_mmm_dataset(CONFIG)


@pytest.fixture(scope="module")
def chunked(ds: xr.Dataset) -> xr.Dataset:
    return ds.chunk(date=15, geo=1, channel=1)


def called(name: str, ds: xr.Dataset, folder: Path) -> Any:
    function = FUNCTIONS[name]
    if name in CALLS:
        return CALLS[name](function, ds, folder / "a.nc")
    needed = [
        each.name
        for each in inspect.signature(function).parameters.values()
        if each.default is each.empty
    ]
    return function(ds, folder / "a.nc") if "path" in needed else function(ds)


def assert_same(found: Any, wanted: Any) -> None:
    assert type(found) is type(wanted)
    if isinstance(wanted, xr.Dataset | xr.DataArray):
        xr.testing.assert_allclose(found.compute(), wanted, rtol=1e-12, atol=1e-9)
    elif isinstance(wanted, pd.DataFrame):
        pd.testing.assert_frame_equal(found, wanted, rtol=1e-12)
    elif isinstance(wanted, pd.Series):
        pd.testing.assert_series_equal(found, wanted, rtol=1e-12)
    elif isinstance(wanted, tuple | list):
        for one, other in zip(found, wanted, strict=True):
            assert_same(one, other)
    elif isinstance(wanted, dict):
        assert list(found) == list(wanted)
        assert_same(list(found.values()), list(wanted.values()))
    elif isinstance(wanted, Figure):
        assert_same(numbers_of(found), numbers_of(wanted))
    elif isinstance(wanted, float | np.ndarray):
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-9)
    elif hasattr(wanted, "__dataclass_fields__"):
        assert str(found) == str(wanted)
    elif not isinstance(wanted, Path):
        assert found == wanted


def numbers_of(figure: Figure) -> list[Any]:
    lines = [line.get_xydata() for axes in figure.axes for line in axes.lines]
    boxes = [
        np.array(box.get_bbox().bounds)
        for axes in figure.axes
        for box in axes.patches
        if hasattr(box, "get_bbox")
    ]
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    return [*(np.asarray(line, dtype=float) for line in lines), *boxes, texts]


@pytest.mark.parametrize("name", CALLED)
def test_chunks_change_no_number(chunked: xr.Dataset, tmp_path: Path, name: str) -> None:
    # Memory in another order adds up to other last digits, which an optimiser magnifies.
    wanted = called(name, chunked.compute(), tmp_path)
    assert_same(called(name, chunked, tmp_path), wanted)


def test_a_stored_dataset_and_one_of_a_stored_ensemble(ds: xr.Dataset, tmp_path: Path) -> None:
    pytest.importorskip("zarr")
    path = tmp_path / "ensemble.zarr"
    write_ensemble(m.generate_ensemble(CONFIG, n=2, chunks=1), path, progress=False)
    with xr.open_dataset(m.to_netcdf(ds, tmp_path / "stored.nc"), chunks={}) as stored:
        for data in (stored, element(open_ensemble(path), 1)):
            computed = data.compute()
            for name in FROM_STORES:
                assert_same(called(name, data, tmp_path), called(name, computed, tmp_path))


def test_functions_compute_first_but_for_the_lazy_ones() -> None:
    for path, function in FUNCTIONS.items():
        computes = function.__code__ is in_memory(function).__code__
        assert computes is (NAMES[path] not in LAZY or path.startswith("recovery.plots")), path
