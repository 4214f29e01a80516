"""Fits of PyMC-Marketing's models: build, sample, and back to original units."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import xarray as xr

from mmm_xgen.dataset import in_memory
from mmm_xgen.errors import ConfigError, NotApplicableError, check_packages, nearest
from mmm_xgen.export.pymc_marketing import model_inputs
from mmm_xgen.kernels.adstock import ADSTOCKS
from mmm_xgen.kernels.baseline import fourier_basis
from mmm_xgen.kernels.calendar import DAYS_IN_YEAR
from mmm_xgen.kernels.kind import component_names
from mmm_xgen.kernels.saturation import SATURATIONS
from mmm_xgen.recovery.alignment.built_model import is_older
from mmm_xgen.recovery.alignment.groups import group, groups_of, inference_data, with_truth
from mmm_xgen.recovery.alignment.pymc import from_pymc, plain_labels
from mmm_xgen.recovery.alignment.pymc_truth import (
    TREND_COLUMN,
    no_single_truth,
    to_pymc_truth,
)
from mmm_xgen.recovery.estimates import estimates_of
from mmm_xgen.recovery.fit import (
    SAMPLERS,
    Fit,
    FitSettings,
    Model,
    register_model,
    training_data,
    training_dates,
)
from mmm_xgen.recovery.models.convergence import (
    convergence_of,
    not_computed,
    parameters_of,
    total,
)

Build: TypeAlias = Callable[[xr.Dataset], Any]

# A lift test's standard error, as a share of its true lift, and the change of spend in it.
LIFT_ERROR = 0.2
LIFT_CHANGE = 0.5


def register_pymc_model(name: str) -> Callable[[Build], Build]:
    """Add a specification of PyMC-Marketing's MMM to the benchmark.

    Parameters
    ----------
    name : str
        Name in studies and results.

    Returns
    -------
    callable
        Decorator of a function that gets a Dataset (the training window) and returns an MMM
        that is not yet built, with ``dims=("geo",)`` and the columns of
        `mmm_xgen.export.model_inputs`; a control named ``(trend)`` (`TREND_COLUMN`) is the share
        of the training window gone by.

    Examples
    --------
    >>> from mmm_xgen.recovery.models.pymc_fit import components_of, model_class
    >>> @register_pymc_model("no-controls")
    ... def no_controls(ds):
    ...     adstock, saturation = components_of(ds)
    ...     return model_class()(date_column="date", target_column="y", dims=("geo",),
    ...                          channel_columns=list(ds.channel_column.values),
    ...                          adstock=adstock, saturation=saturation)
    """

    def keep(build: Build) -> Build:
        register_model(name, needs=("pymc_marketing",))(posterior_model(build))
        return build

    return keep


def posterior_model(build: Build) -> Model:
    """Model of the benchmark that samples the posterior of what `build` specifies."""

    def fit(ds: xr.Dataset, settings: FitSettings) -> Fit:
        return fit_pymc(ds, settings, build)

    # What a worker process imports to know the model too.
    fit.__module__ = build.__module__
    return fit


def fit_pymc(ds: xr.Dataset, settings: FitSettings, build: Build) -> Fit:
    """Fit what `build` specifies to the training window of a Dataset.

    What a sampler compiles in its own processes (``pymc``) or with JAX (``numpyro``,
    ``blackjax``) counts as sampling.

    Raises
    ------
    MissingDependencyError
        If the sampler is not installed.
    """
    check_packages(f"the sampler {settings.sampler!r} needs", *SAMPLERS[settings.sampler])
    # Libraries are imported once in a process, which is no time of this fit.
    model_class()
    started = time.perf_counter()
    mmm = built_model(training_data(ds, settings), settings, build)
    built = time.perf_counter()
    idata = _sample(mmm, settings)
    sampled = time.perf_counter()
    sampling = float(group(idata, "posterior").attrs.get("sampling_time", np.nan))
    fit = fit_of(
        ds,
        settings,
        mmm,
        idata,
        diagnostics=_diagnostics(idata, sampling),
        timings={
            "build": built - started,
            "compile": sampled - built - sampling,
            "sample": sampling,
            "total": sampled - started,
        },
    )
    missing = not_computed(parameters_of(group(idata, "posterior")))
    return replace(fit, not_computed=missing, prior=prior_fit(ds, settings, mmm))


def prior_fit(ds: xr.Dataset, settings: FitSettings, mmm: Any) -> Fit:
    """Fit made of draws from the prior of a built model, before it has seen any sales."""
    import pymc as pm

    free = [variable.name for variable in mmm.model.free_RVs]
    with mmm.model, without_chatter():
        prior = pm.sample_prior_predictive(
            draws=settings.scored_draws, var_names=free, random_seed=settings.seed
        )
    return fit_of(ds, settings, mmm, inference_data({"posterior": group(prior, "prior")}))


def fit_of(
    ds: xr.Dataset,
    settings: FitSettings,
    mmm: Any,
    idata: Any,
    *,
    diagnostics: Mapping[str, float] | None = None,
    timings: Mapping[str, float] | None = None,
) -> Fit:
    """Fit of a Dataset, from draws of the free parameters of a built model.

    Spend before the first date, which the model does not know, carries over here.
    """
    parameters = from_pymc(group(idata, "posterior"), mmm, ds)
    truth = to_pymc_truth(training_data(ds, settings), mmm)
    return Fit(
        estimates=estimates_of(
            ds,
            settings,
            media=parameters,
            baseline=_baseline(ds, parameters, mmm, len(training_dates(ds, settings))),
            y_sigma=parameters.get("y_sigma"),
        ),
        parameters=_comparable(ds, parameters, truth),
        no_single_truth=no_single_truth(truth),
        inference=with_truth(idata, truth),
        diagnostics=diagnostics or {},
        timings=timings or {},
    )


def built_model(train: xr.Dataset, settings: FitSettings, build: Build) -> Any:
    """The specified model, built on a training window, with its lift tests."""
    mmm = build(train)
    features, target = model_inputs(train)
    for column in mmm.control_columns or ():
        # PyMC-Marketing makes a control of zeros of one that is not there.
        if column not in features and column != TREND_COLUMN:
            known = [*map(str, train.get("control_column", xr.DataArray([])).values), TREND_COLUMN]
            raise ConfigError(
                f"the model has a control column {column!r}, which the data have not; "
                f"{nearest(column, known)}"
            )
    if TREND_COLUMN in (mmm.control_columns or ()):
        features[TREND_COLUMN] = (
            trend_column(train, train.sizes["date"])
            .sel(date=features["date"].to_xarray())
            .to_numpy()
        )
    mmm.build_model(features, target)
    if settings.lift_tests:
        mmm.add_lift_test_measurements(lift_tests(train, settings))
    return mmm


def trend_column(ds: xr.Dataset, n_seen: int) -> xr.DataArray:
    """Share of the training window gone by at each date, dims (date,)."""
    share = np.arange(ds.sizes["date"]) / n_seen
    return xr.DataArray(share, {"date": ds["date"].values}, ("date",))


def lift_tests(ds: xr.Dataset, settings: FitSettings) -> pd.DataFrame:
    """Result of one lift test of every channel that spends, as PyMC-Marketing takes it."""
    from mmm_xgen.truth.what_if.lift_tests import lift_test

    tests = []
    for channel in map(str, ds["channel"].values):
        spend = ds["spend"].sel(channel=channel).sum("date")
        if not bool((spend > 0).all()):
            continue

        def test(se: Any, channel: str = channel) -> pd.DataFrame:
            return lift_test(
                ds,
                channel=channel,
                window=(str(ds["date"].values[0])[:10], str(ds["date"].values[-1])[:10]),
                change=LIFT_CHANGE,
                estimand="steady_state",
                se=se,
                seed=settings.seed,
                allow_any_sign=not is_older(),
            )

        sizes = test(1e-12)["true_delta_y"].abs()
        # A channel without effect is tested as precisely as a usual one.
        errors = LIFT_ERROR * sizes.where(sizes > 0, float(ds["y_sigma"].mean()))
        geos = map(str, ds["geo"].values)
        tests.append(test(dict(zip(geos, errors.tolist(), strict=True))))
    if not tests:
        raise ConfigError("no channel spends in every geo, so there is nothing to test")
    columns = ["channel", "geo", "x", "delta_x", "delta_y", "sigma"]
    return pd.concat(tests, ignore_index=True)[columns]


def model_class() -> Any:
    """PyMC-Marketing's MMM with dims, wherever the installed release keeps it."""
    import importlib

    # The newer generation warns where the older one has it.
    name = "pymc_marketing.mmm.multidimensional" if is_older() else "pymc_marketing.mmm"
    return importlib.import_module(name).MMM


@in_memory
def components_of(
    ds: xr.Dataset,
    *,
    adstock_priors: Mapping[str, Any] | None = None,
    saturation_priors: Mapping[str, Any] | None = None,
) -> tuple[Any, Any]:
    """Adstock and saturation of PyMC-Marketing that made the data.

    Parameters
    ----------
    ds : Dataset
        A generated Dataset.
    adstock_priors, saturation_priors : mapping of str to Prior, optional
        In place of the library's.

    Raises
    ------
    NotApplicableError
        If the channels have different kinds, so that no one model made the data; a channel
        without carry-over is a geometric one whose alpha is 0.
    """
    import pymc_marketing.mmm as library

    carried = ds["adstock_kind"].values != "no_adstock"
    kept = ds.isel(channel=np.flatnonzero(carried)) if carried.any() else ds
    adstock = _the_only(kept, "adstock_kind")
    if not carried.all() and adstock not in ("geometric_adstock", "no_adstock"):
        found = f"found adstock kinds {adstock} and no_adstock"
        raise NotApplicableError(f"{found}; no one model has both")
    type_ = _the_only(kept, "adstock_type") if "adstock_type" in ds.coords else ""
    saturation = _the_only(ds, "saturation_kind")
    weights = component_names(ADSTOCKS).get((adstock, type_), "")
    curve = component_names(SATURATIONS).get((saturation, ""), "")
    if not (hasattr(library, weights or "-") and hasattr(library, curve or "-")):
        raise NotApplicableError(
            f"PyMC-Marketing {version('pymc-marketing')} has no {adstock} or no {saturation}"
        )
    l_max = int(_the_only(kept, "l_max"))
    # 0.19 gives the Weibull CDF one weight more than l_max.
    l_max -= int(is_older() and type_ == "CDF")
    return (
        getattr(library, weights)(
            l_max=l_max,
            normalize=_the_only(kept, "normalize") in ("True", "1"),
            priors=adstock_priors,
        ),
        getattr(library, curve)(priors=saturation_priors),
    )


def _the_only(ds: xr.Dataset, name: str) -> str:
    found = list(dict.fromkeys(map(str, ds[name].values)))
    if len(found) != 1:
        raise NotApplicableError(
            f"found {name} {', '.join(found)}, allowed: one for all channels, as one model has "
            "one; no model of PyMC-Marketing is matched to these data"
        )
    return found[0]


def _sample(mmm: Any, settings: FitSettings) -> Any:
    import pymc as pm

    free = [variable.name for variable in mmm.model.free_RVs]
    with mmm.model, without_chatter():
        idata = pm.sample(
            draws=settings.draws,
            tune=settings.tune,
            chains=settings.chains,
            cores=settings.cores,
            target_accept=settings.target_accept,
            nuts_sampler=settings.sampler,
            random_seed=settings.seed,
            # Deterministics of (date, geo, channel) are larger than all else together.
            var_names=free,
            progressbar=False,
            compute_convergence_checks=False,
        )
    return _with_free_variables_only(idata, free)


@contextmanager
def without_chatter() -> Iterator[None]:
    """Leave out what PyMC logs of every run; its warnings stay."""
    logger = logging.getLogger("pymc")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


def _with_free_variables_only(idata: Any, free: list[str]) -> Any:
    """The result without the transformed copies of variables that some samplers keep."""
    # As numbers: what JAX returns may still have to be computed, on somebody else's clock.
    groups = {name: group(idata, name).as_numpy() for name in groups_of(idata)}
    posterior = groups["posterior"]
    groups["posterior"] = posterior[free].assign_attrs(posterior.attrs)
    return inference_data(groups, attrs=dict(idata.attrs))


def _diagnostics(idata: Any, sampling: float) -> dict[str, float]:
    """Convergence over all free parameters: the worst R-hat and effective sample sizes."""
    found = convergence_of(parameters_of(group(idata, "posterior")))
    return {
        **found,
        "ess_bulk_min_per_second": found["ess_bulk_min"] / sampling,
        "divergences": total(group(idata, "sample_stats"), "diverging"),
    }


def _baseline(ds: xr.Dataset, parameters: xr.Dataset, mmm: Any, n_seen: int) -> xr.DataArray | None:
    """All of the expected KPI but media, on all dates; None where the model has more in it."""
    varying = ("time_varying_intercept", "time_varying_media")
    if getattr(mmm, "mu_effects", None) or any(getattr(mmm, name, False) for name in varying):
        return None
    dates = pd.DatetimeIndex(ds["date"].values)
    flat = xr.DataArray(np.ones(len(dates)), {"date": dates}, ("date",))
    baseline = parameters["intercept_contribution"] * flat
    for control in map(str, parameters.get("control", xr.DataArray([])).values):
        gamma = parameters["gamma_control"].sel(control=control, drop=True)
        if control == TREND_COLUMN:
            baseline = baseline + gamma * trend_column(ds, n_seen)
            continue
        value, reference = (
            ds[name].sel(control=control, drop=True)
            for name in ("control_value", "control_reference")
        )
        baseline = baseline + gamma * (value - reference)
    if "gamma_fourier" in parameters:
        modes = parameters["fourier_mode"].values
        basis = fourier_basis(dates.day_of_year.to_numpy(float), DAYS_IN_YEAR, len(modes) // 2)
        waves = xr.DataArray(
            basis, {"fourier_mode": modes, "date": dates}, ("fourier_mode", "date")
        )
        baseline = baseline + xr.dot(parameters["gamma_fourier"], waves, dim="fourier_mode")
    return baseline


def _comparable(ds: xr.Dataset, parameters: xr.Dataset, truth: xr.Dataset) -> xr.Dataset:
    """Parameters that the Dataset has too, where they have a truth; without the others."""
    known = truth.assign_coords(
        {
            dim: plain_labels(truth[dim].values)
            for dim in ("channel", "control")
            if dim in truth.dims
        }
    )
    kept = {}
    for name in map(str, truth.data_vars):
        if name in parameters and bool(known[name].notnull().any()):
            values = parameters[name]
            plain = values.drop_vars([c for c in values.coords if c not in values.dims])
            kept[name] = plain.where(known[name].notnull()).transpose(*plain.dims)
    # A trend among the controls, or a mode more than the data have, is the model's alone.
    own = {
        dim: [label for label in parameters[dim].values if label in ds[dim].values]
        for dim in ("control", "fourier_mode")
        if dim in parameters.dims and dim in ds.dims
    }
    both = xr.Dataset(kept)
    return both.sel({dim: labels for dim, labels in own.items() if dim in both.dims})
