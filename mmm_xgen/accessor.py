"""The accessor ``ds.mmm``: functions of the package that take a dataset, as methods.

Functions whose first argument is not a dataset are not methods, such as `write_scenarios` and
`meridian_roi_prior`. Neither are those of ensembles (`write_ensemble`, `write_ensemble_frames`)
and those for one model's library (`model_inputs`, `scaled_parameters`). All of them are in
`mmm_xgen.export` or `mmm_xgen.truth`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import xarray as xr

if TYPE_CHECKING:
    from mmm_xgen import export, generate, plots, truth
    from mmm_xgen.aggregate import aggregate as aggregated
    from mmm_xgen.config.data import MMMDataConfig
    from mmm_xgen.quality import DataQualityReport

__all__ = ["MMMAccessor", "MMMPlots"]

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class _Later:
    """Method made from a function whose module is imported at the first access."""

    def __init__(self, module: str, function: str) -> None:
        self._module, self._function = module, function

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type) -> Any:
        method = _method(getattr(import_module(self._module), self._function))
        setattr(owner, self._name, method)
        return getattr(owner if instance is None else instance, self._name)


class _LaterModule:
    """Stand-in for a module that is slow to import."""

    def __init__(self, module: str) -> None:
        self._module = module

    def __getattr__(self, name: str) -> _Later:
        return _Later(self._module, name)


if not TYPE_CHECKING:
    # All of the package, and matplotlib: `import mmm_xgen` waits for none of them.
    aggregated = _Later("mmm_xgen.aggregate", "aggregate")
    export, generate, plots, truth = (
        _LaterModule(f"mmm_xgen.{name}") for name in ("export", "generate", "plots", "truth")
    )


def _method(
    function: Callable[Concatenate[xr.Dataset, Arguments], Result],
) -> Callable[Concatenate[_OfDataset, Arguments], Result]:
    """Return a method that passes the dataset of the accessor to `function`."""
    if isinstance(function, _Later):
        return function

    @functools.wraps(function)
    def forward(self: _OfDataset, /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        return function(self._ds, *args, **kwargs)

    return forward


class _OfDataset:
    """Holder of the dataset that methods forward."""

    def __init__(self, ds: xr.Dataset) -> None:
        self._ds = ds


class MMMPlots(_OfDataset):
    """Plots of one dataset: each method forwards to a function of `mmm_xgen.plots`.

    A method has the name of its function without ``plot_``. Matplotlib is imported at the first
    access to a method.

    Examples
    --------
    >>> import mmm_xgen
    >>> ds = mmm_xgen.generate_mmm_dataset()
    >>> ds.mmm.plot.spend(kind="area").axes[0].get_ylabel()
    'USD per week'
    """

    adstock_kernels = _method(plots.plot_adstock_kernels)
    attribution = _method(plots.plot_attribution)
    baseline = _method(plots.plot_baseline)
    budget = _method(plots.plot_budget)
    contributions = _method(plots.plot_contributions)
    controls = _method(plots.plot_controls)
    correlation = _method(plots.plot_correlation)
    decomposition = _method(plots.plot_decomposition)
    efficiency_frontier = _method(plots.plot_efficiency_frontier)
    geos = _method(plots.plot_geos)
    information_bound = _method(plots.plot_information_bound)
    lags = _method(plots.plot_lags)
    outliers = _method(plots.plot_outliers)
    overview = _method(plots.plot_overview)
    pairs = _method(plots.plot_pairs)
    quality = _method(plots.plot_quality)
    response_curves = _method(plots.plot_response_curves)
    response_stages = _method(plots.plot_response_stages)
    roas = _method(plots.plot_roas)
    sales = _method(plots.plot_sales)
    scenarios = _method(plots.plot_scenarios)
    spend = _method(plots.plot_spend)
    spend_against_sales = _method(plots.plot_spend_against_sales)
    spend_distribution = _method(plots.plot_spend_distribution)
    waterfall = _method(plots.plot_waterfall)
    what_if = _method(plots.plot_what_if)
    what_if_simulator = _method(plots.what_if_simulator)
    world = _method(plots.plot_world)

    def __repr__(self) -> str:
        return f"Pictures of the dataset: {', '.join(each for each in dir(self) if each[0] != '_')}"


@xr.register_dataset_accessor("mmm")  # type: ignore[no-untyped-call]
class MMMAccessor(_OfDataset):
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
    >>> ds.mmm
    dataset  generated, with the truth
    date     104 weeks, 2022-01-03 to 2023-12-25
    geo      2 geos: geo_a, geo_b
    channel  3 channels: Seasonal, Trend, On-Off
    control  2 controls: Price, Promotion
    ...
    """

    def __repr__(self) -> str:
        from mmm_xgen.report.digest import as_text, digest

        return as_text(digest(self._ds))

    def _repr_html_(self) -> str:
        from mmm_xgen.report.digest import as_html, digest

        return as_html(digest(self._ds))

    @property
    def config(self) -> MMMDataConfig:
        """Configuration that the dataset was generated from; printed, it is YAML."""
        from mmm_xgen.dataset import config_of

        return config_of(self._ds)

    @property
    def plot(self) -> MMMPlots:
        """Plots: ``ds.mmm.plot.spend()`` is `mmm_xgen.plots.plot_spend`, and so on."""
        return MMMPlots(self._ds)

    def respond(self, spend: xr.DataArray, *, history: xr.DataArray | None = None) -> xr.DataArray:
        """Return the contribution of another spend: `mmm_xgen.respond`."""
        from mmm_xgen.labelled_world import respond

        return respond(spend, self._ds, history=history)

    def check_quality(self) -> DataQualityReport:
        """Check the data for faults and oddities: `mmm_xgen.check_data_quality`."""
        # Import only when it is used: it is slow.
        from mmm_xgen.quality import check_data_quality

        return check_data_quality(self._ds)

    def write_report(
        self,
        path: str | Path,
        *,
        title: str | None = None,
        sections: str | Iterable[str] | None = None,
        captions: bool = True,
    ) -> Path:
        """Write a report on the data to one HTML file: `mmm_xgen.write_report`."""
        from mmm_xgen.report import write_report

        return write_report(self._ds, path, title=title, sections=sections, captions=captions)

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
    effect_paths = _method(truth.effect_paths)
    promotion_returns = _method(truth.promotion_returns)
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


# Keys of the dictionary that mmm_data_generator returned, and their replacements.
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
