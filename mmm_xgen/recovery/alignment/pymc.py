"""Posteriors of PyMC-Marketing's models in original units, and the truth as a posterior."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import xarray as xr

from mmm_xgen.dataset import in_memory
from mmm_xgen.errors import AlignmentError
from mmm_xgen.export.pymc_marketing import has_log_sales, model_inputs, rescaled_curve
from mmm_xgen.kernels.adstock import ADSTOCKS
from mmm_xgen.kernels.saturation import SATURATIONS, SaturationKind
from mmm_xgen.recovery.alignment.built_model import INTERCEPT_PATH, Built, built
from mmm_xgen.recovery.alignment.groups import group, inference_data, one_draw
from mmm_xgen.recovery.alignment.pymc_truth import REASONS, no_single_truth, to_pymc_truth
from mmm_xgen.recovery.estimates import SAMPLE

_COLUMN = re.compile(r"^[xc]\d+-(?=.)")


@in_memory
def from_pymc(idata: Any, mmm: Any, ds: xr.Dataset | None = None) -> xr.Dataset:
    """Posterior of a model in original units, under the Dataset's names and labels.

    Parameters
    ----------
    idata : InferenceData, DataTree or Dataset
        With a group ``posterior``; a Dataset is taken as the posterior itself. It may be the
        truth of `to_pymc_truth`, which has no draws: the posterior is held against the result.
    mmm : pymc_marketing MMM
        The built model.
    ds : Dataset, optional
        The Dataset that the model was built on, whose order, spend unit and references of
        controls the result gets, so that it can be held against it. Without it the spend unit
        is 1, and controls count from 0.

    Returns
    -------
    Dataset, dims (chain, draw, ...) or those of the truth
        The media parameters (geo, channel) with their coordinates of the kinds, as
        `mmm_xgen.respond` takes them; ``intercept_contribution`` (geo), ``gamma_control`` (geo,
        control), ``gamma_fourier`` (geo, fourier_mode) and ``y_sigma`` (geo) in KPI units, as
        far as the model has them. Channels and controls are labelled without the prefix of
        their column (``TV`` for ``x1-TV``). A truth is NaN where it has no single value, and
        `no_single_truth` of the result gives the reasons.

    Raises
    ------
    AlignmentError
        If there is no posterior, or the model's components are none of the Dataset's kinds.
    """
    posterior, model = group(idata, "posterior"), built(mmm)
    if not (model.adstock and model.saturation):
        raise AlignmentError(
            f"found a model with {type(mmm.adstock).__name__} and {type(mmm.saturation).__name__},"
            " which the Dataset has no kinds for; its response is not ours to compute"
        )
    curve = SATURATIONS[model.saturation]
    needed = [f"saturation_{name}" for name in curve.shown if name not in curve.constants]
    needed += [f"adstock_{name}" for name in ADSTOCKS[model.adstock].parameters]
    missing = [name for name in needed if name not in posterior]
    if missing:
        raise AlignmentError(f"the posterior has no {missing[0]!r}, which its model has")
    result = xr.Dataset(_in_original_units(posterior, model)).transpose(
        *SAMPLE, ..., missing_dims="ignore"
    )
    channels = model.coords["channel"]
    kinds = {
        "adstock_kind": model.adstock,
        "adstock_type": model.adstock_type,
        "saturation_kind": model.saturation,
        "l_max": model.n_weights,
        "normalize": int(model.normalize),
    }
    labels: dict[str, Any] = {
        dim: plain_labels(result[dim].values)
        for dim in ("channel", "control")
        if dim in result.dims
    }
    labels |= {name: ("channel", np.full(len(channels), kind)) for name, kind in kinds.items()}
    result = result.assign_coords(labels).assign_attrs(adstock_first=int(model.adstock_first))
    if REASONS in posterior.attrs:
        result.attrs[REASONS] = posterior.attrs[REASONS]
    return result if ds is None else _in_terms_of(ds, result, curve)


def _in_terms_of(ds: xr.Dataset, result: xr.Dataset, kind: SaturationKind) -> xr.Dataset:
    """The same in the order, spend unit and references of controls of a Dataset."""
    for dim in ("channel", "geo"):
        missing = [str(each) for each in ds[dim].values if each not in result[dim].values]
        if missing:
            raise AlignmentError(f"the model lacks the {dim} {missing[0]!r}")
    result = result.sel(channel=ds["channel"].values, geo=ds["geo"].values)
    unit = ds["spend_unit"].reset_coords(drop=True)
    changed = rescaled_curve(result, kind, unit, xr.DataArray(1.0))
    if "gamma_control" in result and "control_reference" in ds:
        # The model's controls count from 0.
        start = (result["gamma_control"] * ds["control_reference"]).sum("control")
        base = result["intercept_contribution"]
        base = base * np.exp(start) if has_log_sales(ds) else base + start
        changed["intercept_contribution"] = base
    plain = {
        name: values.drop_vars(set(values.coords) - set(result.coords))
        for name, values in changed.items()
    }
    result = result.assign(plain).assign(spend_unit=unit)
    return result.transpose(*SAMPLE, ..., missing_dims="ignore")


def plain_labels(columns: Iterable[str]) -> list[str]:
    """Names of channels or controls without the prefix of their columns.

    Examples
    --------
    >>> plain_labels(["x1-TV", "c2-Price", "x3"])
    ['TV', 'Price', 'x3']
    """
    return [_COLUMN.sub("", str(column)) for column in columns]


def _in_original_units(posterior: xr.Dataset, model: Built) -> dict[str, xr.DataArray]:
    kind = SATURATIONS[model.saturation]
    if INTERCEPT_PATH in posterior:
        # The truth has the two factors, a posterior has their product too.
        product = posterior["intercept_baseline"] * posterior[INTERCEPT_PATH]
        posterior = posterior.assign(intercept_contribution=product)
    ones = model.empty(("geo", "channel")).fillna(1.0)
    fixed = {
        f"saturation_{name}": xr.full_like(ones, value) for name, value in kind.constants.items()
    }
    complete = posterior.assign(fixed)
    found = rescaled_curve(complete, kind, 1 / model.channel_scale, 1 / model.unit_of_effects)
    for name in ADSTOCKS[model.adstock].parameters:
        found[f"adstock_{name}"] = posterior[f"adstock_{name}"]
    found = {name: values * ones for name, values in (found | fixed).items()}
    for name in ("intercept_contribution", "gamma_control", "gamma_fourier", "y_sigma"):
        if name in posterior:
            found[name] = posterior[name] * model.unit_of_effects
    if model.link == "log" and "intercept_contribution" in posterior:
        # The model's own mean is a median.
        mean = posterior["intercept_contribution"] + posterior.get("y_sigma", 0.0) ** 2 / 2
        found["intercept_contribution"] = xr.ufuncs.exp(mean) * model.target_scale
    return {**found, "spend_unit": ones}


@in_memory
def from_pymc_prior(draw: Any, mmm: Any, ds: xr.Dataset | None = None) -> xr.Dataset:
    """One draw of a model's prior as ``params=`` of `mmm_xgen.generate_mmm_dataset`.

    Parameters
    ----------
    draw : InferenceData, DataTree or Dataset
        With one draw (dims chain and draw of length 1, or none) in its group ``prior``; a
        Dataset is taken as the group itself.
    mmm : pymc_marketing MMM
        The built model.
    ds : Dataset, optional
        The Dataset that the model was built on; needed where its controls have references.

    Returns
    -------
    Dataset
        Parameters in original units, dims (geo, channel), (geo,), ...

    Raises
    ------
    AlignmentError
        If there is more than one draw.

    Notes
    -----
    The library's default prior of the intercept is normal, so that half of its draws have
    negative base sales, which the generator refuses.
    """
    prior = one_draw(draw)
    params = from_pymc(prior, mmm, ds).isel(chain=0, draw=0, drop=True)
    # The generator's configuration says the kinds.
    return params.drop_vars([c for c in params.coords if c not in params.dims])


@in_memory
def truth_as_posterior(ds: xr.Dataset, mmm: Any) -> Any:
    """Hand the truth to a built model as the one draw of its posterior.

    Every tool of PyMC-Marketing (ROAS, incrementality, curves, the budget optimiser, plots) then
    says what it would say if the model knew the truth.

    Parameters
    ----------
    ds : Dataset
        A generated Dataset.
    mmm : pymc_marketing MMM
        A model built on its data; its ``idata`` is replaced.

    Returns
    -------
    InferenceData or DataTree
        With the groups ``posterior``, ``constant_data`` and ``fit_data``; also ``mmm.idata``.

    Raises
    ------
    AlignmentError
        If a parameter of the model has no single truth; it gives the reasons.
    """
    import pymc as pm
    from pymc.backends.arviz import find_constants

    if "spend_history" in ds and bool((ds["spend_history"] != 0).any()):
        raise AlignmentError(
            "the data have spend before their first date (burn_in_periods), which the model does "
            "not know, so that no parameters give it the true sales of the first dates"
        )
    truth = to_pymc_truth(ds, mmm)
    reasons = no_single_truth(truth)
    if reasons:
        name, why = next(iter(reasons.items()))
        more = f", and {len(reasons) - 1} more" if len(reasons) > 1 else ""
        raise AlignmentError(f"{name!r} of the model has no single truth: {why}{more}")
    draw = truth.drop_attrs().expand_dims(chain=[0], draw=[0])
    model = mmm.model
    # The default mode compiles for seconds, to the same values.
    computed = pm.compute_deterministics(
        draw, model=model, progressbar=False, compile_kwargs={"mode": "FAST_COMPILE"}
    )
    constants = {
        name: (model.named_vars_to_dims.get(name, ()), np.asarray(value))
        for name, value in find_constants(model).items()
    }
    features, target = model_inputs(ds)
    groups = {
        "posterior": xr.merge([draw, computed], join="exact"),
        "constant_data": xr.Dataset(constants, {d: list(v) for d, v in model.coords.items()}),
        "fit_data": mmm.create_fit_data(features, target),
    }
    mmm.idata = inference_data(groups)
    mmm.set_idata_attrs(mmm.idata)
    return mmm.idata
