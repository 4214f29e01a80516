"""Models of the benchmark that are fitted by Google Meridian, in a process of its own."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from mmm_xgen.dataset import in_memory
from mmm_xgen.export.meridian import to_meridian
from mmm_xgen.recovery.alignment.groups import inference_data, with_truth
from mmm_xgen.recovery.alignment.meridian import from_meridian, to_meridian_truth
from mmm_xgen.recovery.alignment.pymc_truth import no_single_truth
from mmm_xgen.recovery.estimates import SAMPLE, estimates_of, thinned
from mmm_xgen.recovery.fit import Fit, FitSettings, register_model, training_data
from mmm_xgen.recovery.models.convergence import (
    convergence_of,
    not_computed,
    parameters_of,
    total,
)
from mmm_xgen.recovery.models.meridian_arms import (
    MeridianModel,
    documented,
    matched,
    published,
    switch_off_tests,
    with_lift_tests,
    without_common_controls,
)
from mmm_xgen.recovery.models.meridian_environment import (
    VERSION,
    PathLike,
    ask_worker,
    meridian_python,
)

STATISTICS = "sample_stats_"
# Meridian has one sampler, so that the setting of the sampler does not matter.
register = partial(
    register_model,
    uses_settings=("chains", "draws", "tune", "target_accept", "lift_tests", "cores"),
    runs_on={"google-meridian": VERSION},
    prepare=meridian_python,
)


def request_of(
    ds: xr.Dataset,
    settings: FitSettings,
    model: MeridianModel,
) -> xr.Dataset:
    """Data and settings for Meridian's own Python, in one Dataset that NetCDF can hold.

    Parameters
    ----------
    ds : Dataset
        A generated Dataset, cut to the dates that the model sees.
    settings : FitSettings
        ``chains``, ``draws``, ``tune`` (adaptation and burn-in), ``target_accept``, ``seed``.
    model : MeridianModel
        What to fit.
    """
    request = to_meridian(ds)
    adapt = min(settings.tune - 1, round(settings.tune * model.adapt_share))
    sampling = {
        "n_chains": settings.chains,
        "n_adapt": max(1, adapt),
        "n_burnin": settings.tune - adapt,
        "n_keep": settings.draws,
        "seed": settings.seed,
        "target_accept": settings.target_accept,
    }
    instructions = {
        "model": model.specification(),
        "priors": dict(model.priors),
        "sampling": sampling,
        "analyze": None,
    }
    return request.assign_attrs(settings=json.dumps(instructions))


@in_memory
def ask_analyzer(
    ds: xr.Dataset,
    parameters: xr.Dataset,
    model: MeridianModel,
    *,
    windows: Mapping[str, Sequence[Any]] | None = None,
    python: PathLike | None = None,
) -> xr.Dataset:
    """Ask Meridian's own Analyzer for results at given parameters, such as the true ones.

    Parameters
    ----------
    ds : Dataset
        A generated Dataset, cut to the dates that the model sees.
    parameters : Dataset, dims (chain, draw, ...) or without them
        All parameters of the model under Meridian's names, as from `to_meridian_truth`.
    model : MeridianModel
        The model of these parameters.
    windows : mapping of str to list of dates, optional
        Windows of additional returns, by name.
    python : path, optional
        An interpreter that has Meridian.

    Returns
    -------
    Dataset, dims (chain, draw, ...)
        ``analyzer_roi``, ``analyzer_marginal_roi`` of 1% more spend (media_channel), both also
        with ``_by_window`` (media_channel, window),
        ``analyzer_expected_outcome`` (geo, time) and ``analyzer_incremental_outcome`` (geo, time,
        media_channel) in KPI units.
    """
    request = request_of(ds, FitSettings(), model)
    instructions = json.loads(request.attrs["settings"]) | {
        "sampling": None,
        "analyze": {
            name: [str(day) for day in np.asarray(dates, dtype="datetime64[D]")]
            for name, dates in (windows or {}).items()
        },
    }
    missing = [dim for dim in SAMPLE if dim not in parameters.dims]
    draws = parameters.expand_dims(missing).drop_attrs()
    draws = draws.transpose(*SAMPLE, "geo", "time", ..., missing_dims="ignore")
    request = request.assign({f"parameter_{name}": draws[name] for name in draws.data_vars})
    reply = ask_worker(request.assign_attrs(settings=json.dumps(instructions)), python=python)
    geos = [str(geo) for geo in ds["geo"].values]
    named = reply.sel(geo=geos) if len(geos) > 1 else reply.assign_coords(geo=geos)
    if windows:
        named = named.assign_coords(window=list(windows))
    return named[[name for name in named.data_vars if str(name).startswith("analyzer_")]]


def fit_meridian(
    ds: xr.Dataset,
    settings: FitSettings,
    model: MeridianModel,
    *,
    python: PathLike | None = None,
    timeout: float | None = None,
) -> Fit:
    """Fit a Meridian model in Meridian's own environment.

    Parameters
    ----------
    ds : Dataset
        A generated Dataset, with all its dates.
    settings : FitSettings
        Settings of the fit; Meridian has one sampler, so ``sampler`` does not count.
    model : MeridianModel
        What to fit.
    python : path, optional
        An interpreter that has Meridian; by default see
        `mmm_xgen.recovery.models.meridian_environment.meridian_python`.
    timeout : float, optional
        Seconds that the process may take.

    Returns
    -------
    Fit
        Dates after the training window have the last time effect of the model.

    Raises
    ------
    MissingDependencyError
        If there is no Meridian and pip cannot install it.
    TimeoutError
        If the fit takes longer than `timeout`.
    XgenError
        If Meridian fails, with the last lines that it wrote.

    Warns
    -----
    XgenWarning
        If a control is left out, see `without_common_controls`.
    """
    start = time.perf_counter()
    seen = without_common_controls(training_data(ds, settings), model)
    if "control" in ds.dims:
        ds = ds.sel(control=seen["control"].values)
    if settings.lift_tests:
        model = with_lift_tests(model, switch_off_tests(ds, settings))
    request = request_of(seen, settings, model)
    reply = ask_worker(request, python=python, timeout=timeout, cores=settings.cores)
    timings = json.loads(reply.attrs["timings"])
    # Importing libraries does not count as fitting, as for other libraries.
    timings["total"] = time.perf_counter() - start - timings["import"]
    statistics = [str(name) for name in reply.data_vars if str(name).startswith(STATISTICS)]
    posterior = reply.drop_vars([*statistics, "media_scale", "kpi_scale", "knot_locations"])
    sampler = reply[statistics].rename({n: n.removeprefix(STATISTICS) for n in statistics})
    draws = from_meridian(
        thinned(posterior, settings.scored_draws),
        ds,
        train_end=settings.train_end,
        max_lag=model.max_lag,
        hill_before_adstock=model.hill_before_adstock,
        linear=model.linear,
    )
    estimates = estimates_of(
        ds,
        settings,
        media=draws.drop_vars(["baseline", "y_sigma"]),
        baseline=draws["baseline"],
        y_sigma=draws["y_sigma"],
    )
    diagnostics = {
        **_diagnostics(posterior),
        "divergences": total(sampler, "diverging"),
    }
    truth = to_meridian_truth(
        seen, max_lag=model.max_lag, hill_before_adstock=model.hill_before_adstock
    )
    inference = inference_data(
        {"posterior": posterior, "sample_stats": sampler}, {"meridian": reply.meridian}
    )
    return Fit(
        estimates=estimates,
        parameters=_comparable(draws, ds, truth),
        diagnostics=diagnostics,
        not_computed=not_computed(_sampled(posterior)),
        timings=timings,
        no_single_truth=no_single_truth(truth),
        inference=with_truth(inference, truth),
    )


def _comparable(draws: xr.Dataset, ds: xr.Dataset, truth: xr.Dataset) -> xr.Dataset:
    """Draws of parameters with a single true value; NaN in channels without one."""
    hill = (ds["saturation_kind"] == "hill_function").drop_vars("saturation_kind")
    geometric = ds["adstock_kind"] == "geometric_adstock"
    known = {
        name: xr.DataArray(truth[name].notnull().values, {"channel": ds["channel"]}, ["channel"])
        for name in ("alpha_m", "ec_m", "slope_m")
    }
    height = truth["beta_gm"].notnull().all("geo").rename(media_channel="channel")
    height = height.assign_coords(channel=ds["channel"].values)
    # The Dataset has its own spend units, and adstock that may not be normalised.
    kappa = draws["saturation_kappa"] * draws["spend_unit"] / ds["spend_unit"]
    normalized = ds["normalize"] | (ds["adstock_kind"] == "no_adstock")
    parameters = {
        "adstock_alpha": draws["adstock_alpha"].where(geometric & known["alpha_m"]),
        "saturation_slope": draws["saturation_slope"].where(hill & known["slope_m"]),
        "saturation_kappa": kappa.where(hill & normalized & known["ec_m"]),
        "effect": draws["effect"].where(hill & normalized & height),
        "y_sigma": draws["y_sigma"].where(bool(truth["sigma"].notnull().all())),
    }
    if "gamma_control" in draws:
        linear_control = ds["control_elasticity"].isnull().all("geo")
        parameters["gamma_control"] = draws["gamma_control"].where(linear_control)
    shared = {
        name: values.reset_coords(drop=True)
        for name, values in parameters.items()
        if name in ds and bool(values.notnull().any())
    }
    return xr.Dataset(shared)


def _diagnostics(posterior: xr.Dataset) -> dict[str, float]:
    """Convergence of all parameters that were sampled, constants left out."""
    return convergence_of(_sampled(posterior))


def _sampled(posterior: xr.Dataset) -> xr.DataArray:
    """Draws of sampled parameters, dims (chain, draw, parameter)."""
    derived = {"mu_t", "beta_m"} if "roi_m" in posterior else {"mu_t"}
    if posterior.sizes["geo"] == 1:
        derived |= {"beta_gm", "gamma_gc"}
    draws = parameters_of(posterior.drop_vars(derived, errors="ignore"))
    # Drop constants of priors, which Meridian keeps among the draws. Draws of NaN stay.
    constant = (draws == draws[:1, :1].values).all(SAMPLE)
    return draws[..., ~constant.values]


@register("meridian-published")
def meridian_published(ds: xr.Dataset, settings: FitSettings) -> Fit:
    """Meridian with the priors of the published benchmark's code: see `published`."""
    return fit_meridian(ds, settings, published(training_data(ds, settings)))


@register("meridian-documented")
def meridian_documented(ds: xr.Dataset, settings: FitSettings) -> Fit:
    """Meridian with the priors of the published benchmark's documentation: see `documented`."""
    return fit_meridian(ds, settings, documented(training_data(ds, settings)))


@register("meridian-default")
def meridian_default(ds: xr.Dataset, settings: FitSettings) -> Fit:
    """Meridian with its defaults."""
    return fit_meridian(ds, settings, MeridianModel())


@register("meridian-matched")
def meridian_matched(ds: xr.Dataset, settings: FitSettings) -> Fit:
    """Meridian with the kinds that made the data: see `matched`."""
    return fit_meridian(ds, settings, matched(training_data(ds, settings)))
