"""The accessor ``ds.mmm``: functions of the package that take a dataset, as methods.

Outside stay those whose first argument is something else, such as `write_scenarios` and
`meridian_roi_prior`, those of ensembles (`write_ensemble`, `write_ensemble_frames`), and those for
one model's library (`model_inputs`, `scaled_parameters`), all in `mmm_xgen.export` or
`mmm_xgen.truth`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import xarray as xr

from mmm_xgen import export, generate, labelled, response
from mmm_xgen.aggregate import aggregate as aggregated

if TYPE_CHECKING:
    from mmm_xgen import truth
    from mmm_xgen.config.data import MMMDataConfig
    from mmm_xgen.quality import DataQualityReport

__all__ = ["MMMAccessor"]

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class _Later:
    """Method made of a function of `truth`, which is imported when the first is asked for."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type) -> Any:
        method = _method(getattr(import_module("mmm_xgen.truth"), self._name))
        setattr(owner, self._name, method)
        return getattr(owner if instance is None else instance, self._name)


class _LaterTruth:
    """Stands for `mmm_xgen.truth`, which is half of the package, where methods are named."""

    def __getattr__(self, name: str) -> _Later:
        return _Later(name)


if not TYPE_CHECKING:
    truth = _LaterTruth()


def _method(
    function: Callable[Concatenate[xr.Dataset, Arguments], Result],
) -> Callable[Concatenate[MMMAccessor, Arguments], Result]:
    """Method that hands the dataset of the accessor to `function`."""
    if isinstance(function, _Later):
        return function

    @functools.wraps(function)
    def forward(self: MMMAccessor, /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        return function(self._ds, *args, **kwargs)

    return forward


@xr.register_dataset_accessor("mmm")  # type: ignore[no-untyped-call]
class MMMAccessor:
    """Functions of `mmm_xgen` on one dataset; each method forwards and does nothing else.

    Parameters
    ----------
    ds : Dataset
        A generated Dataset.

    Examples
    --------
    >>> import mmm_xgen
    >>> ds = mmm_xgen.generate_mmm_dataset()
    >>> ds.mmm.to_frame().shape
    (208, 8)
    >>> ds.mmm.aggregate(freq="YS").mmm.roas().values.round(3).tolist()
    [2.4, 1.5, 3.0]
    """

    def __init__(self, ds: xr.Dataset) -> None:
        self._ds = ds

    @property
    def config(self) -> MMMDataConfig:
        """Configuration that the dataset was generated from."""
        return labelled.config_of(self._ds)

    def respond(self, spend: xr.DataArray, *, history: xr.DataArray | None = None) -> xr.DataArray:
        """Contribution that other spend makes: `mmm_xgen.respond`."""
        return response.respond(spend, self._ds, history=history)

    def check_quality(self) -> DataQualityReport:
        """What is wrong or odd in the data: `mmm_xgen.check_data_quality`."""
        # Only who asks pays for the import.
        from mmm_xgen.quality import check_data_quality

        return check_data_quality(self._ds)

    def write_report(self, path: str | Path, *, title: str | None = None) -> Path:
        """One HTML file that shows and tells what is in the data: `mmm_xgen.write_report`."""
        from mmm_xgen.report import write_report

        return write_report(self._ds, path, title=title)

    regenerate = _method(generate.regenerate)
    aggregate = _method(aggregated)

    to_frame = _method(export.to_frame)
    ground_truth = _method(export.ground_truth)
    to_netcdf = _method(export.to_netcdf)
    write_csv = _method(export.write_csv)
    write_parquet = _method(export.write_parquet)
    write_json = _method(export.write_json)
    write_ground_truth = _method(export.write_ground_truth)

    estimands = _method(truth.estimands)
    roas = _method(truth.roas)
    mroas = _method(truth.mroas)
    attribution = _method(truth.attribution)
    contribution_totals = _method(truth.contribution_totals)
    cost_per_incremental = _method(truth.cost_per_incremental)
    response_curve = _method(truth.response_curve)
    efficiency_frontier = _method(truth.efficiency_frontier)
    simulate = _method(truth.simulate)
    change_investment = _method(truth.change_investment)
    predict_impact = _method(truth.predict_impact)
    compare_scenarios = _method(truth.compare_scenarios)
    lift_test = _method(truth.lift_test)
    meridian_calibration_period = _method(truth.meridian_calibration_period)
    optimize_allocation = _method(truth.optimize_allocation)
    regret = _method(truth.regret)
    information_bound = _method(truth.information_bound)
    recoverability = _method(truth.recoverability)
    what_would_help = _method(truth.what_would_help)


# Keys of the dictionary that mmm_data_generator returned, and what stands in their place.
FORMER_KEYS = {
    "data": "ds.mmm.to_frame() is the frame",
    "ground_truth": "ds has the truth, and ds.mmm.ground_truth() gives it as a dictionary",
    "config": "ds.mmm.config is the configuration",
}


def _with_hint(get: Callable[[xr.Dataset, Any], Any]) -> Callable[[xr.Dataset, Any], Any]:
    @functools.wraps(get)
    def get_or_hint(ds: xr.Dataset, key: Any) -> Any:
        try:
            return get(ds, key)
        except KeyError:
            if not isinstance(key, str) or key not in FORMER_KEYS or "config" not in ds.attrs:
                raise
            raise KeyError(
                f"the result is one xarray.Dataset and has no {key!r}: {FORMER_KEYS[key]}"
            ) from None

    return get_or_hint


# A subclass of Dataset would no longer pass for one in `xarray.testing.assert_identical`.
xr.Dataset.__getitem__ = _with_hint(xr.Dataset.__getitem__)  # type: ignore[method-assign]
