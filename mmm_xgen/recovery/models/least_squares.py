"""The least-squares models of the benchmark: ``ols``, ``ols-oracle`` and ``spend-share``.

Draws come from the exact posterior of a linear regression under a flat prior: the residual
variance is scaled inverse chi-square, the coefficients given it are normal, so that they are
multivariate t. Transforms are the same in every draw: intervals are given the chosen ones.
"""

from __future__ import annotations

from time import perf_counter

import numpy as np
import xarray as xr

from mmm_xgen.recovery.estimates import SAMPLE, estimates_of
from mmm_xgen.recovery.fit import Fit, FitSettings, register_model
from mmm_xgen.recovery.models.linear_fit import (
    TOTAL,
    LeastSquares,
    Transforms,
    fit_least_squares,
)
from mmm_xgen.recovery.models.transform_search import TransformGrid
from mmm_xgen.response import amplitude_names, scaled_curves
from mmm_xgen.streams import stream
from mmm_xgen.truth.media import world_from

__all__ = ["LeastSquares", "TransformGrid", "coefficient_draws", "fit_least_squares"]

PANEL = (*SAMPLE, "geo", "channel")


@register_model("ols", uses_settings=())
def ols(ds: xr.Dataset, settings: FitSettings) -> Fit:
    """Least squares with transforms searched on a grid; it sees nothing of the truth.

    Examples
    --------
    >>> import mmm_xgen
    >>> fit = ols(mmm_xgen.generate_mmm_dataset(), FitSettings(scored_draws=100))
    >>> dict(fit.estimates.roas.sizes)
    {'chain': 1, 'draw': 100, 'channel': 3}
    """
    return _fitted(ds, settings, "ols", "searched")


@register_model("ols-oracle", uses_settings=())
def ols_oracle(ds: xr.Dataset, settings: FitSettings) -> Fit:
    """Least squares with the true adstock and curve of every channel and geo.

    Only the amplitude of each channel is unknown, the same in all geos (per capita, if the geos
    respond so).
    """
    return _fitted(ds, settings, "ols-oracle", "true")


@register_model("spend-share", uses_settings=())
def spend_share(ds: xr.Dataset, settings: FitSettings) -> Fit:
    """Least squares on total spend: media is credited in proportion to spend.

    All channels have one contribution per unit of spend, and so one return where a KPI unit has
    one revenue; neither adstock nor saturation.
    """
    return _fitted(ds, settings, "spend-share", "total-spend")


def coefficient_draws(fit: LeastSquares, n_draws: int, *, seed: int, model: str) -> xr.Dataset:
    """Draws of the coefficients and of the residual sd, under a flat prior.

    Parameters
    ----------
    fit : LeastSquares
        Of one dataset.
    n_draws : int
    seed : int
    model : str
        Name of the random stream.

    Returns
    -------
    Dataset, dims (chain, draw, ...)
        ``coefficient`` (term) and ``residual_sd``.

    Examples
    --------
    >>> import mmm_xgen
    >>> fit = fit_least_squares(mmm_xgen.generate_mmm_dataset())
    >>> draws = coefficient_draws(fit, 50, seed=1, model="ols")
    >>> dict(draws.coefficient.sizes)["draw"]
    50
    """
    freedom = float(fit.statistics["residual_freedom"])
    chi_square = stream(seed, "recovery", model, "residual_sd").chisquare(freedom, n_draws)
    sigma = float(fit.statistics["residual_sd"]) * np.sqrt(freedom / chi_square)
    center = fit.coefficients["estimate"]
    normal = stream(seed, "recovery", model).standard_normal((n_draws, center.size))
    draws = center.to_numpy() + sigma[:, None] * (normal @ fit.root.to_numpy().T)
    return xr.Dataset(
        {
            "coefficient": ((*SAMPLE, "term"), draws[None]),
            "residual_sd": (SAMPLE, sigma[None]),
        },
        {"chain": [0], "draw": np.arange(n_draws), "term": center["term"]},
    )


def _fitted(ds: xr.Dataset, settings: FitSettings, model: str, transforms: Transforms) -> Fit:
    start = perf_counter()
    fit = fit_least_squares(ds, transforms=transforms, train_end=settings.train_end)
    built = perf_counter()
    draws = coefficient_draws(fit, settings.scored_draws, seed=settings.seed, model=model)
    baseline_terms = [t for t in draws["term"].values if not t.startswith("media: ")]
    baseline = xr.dot(
        draws["coefficient"].sel(term=baseline_terms),
        fit.design.sel(term=baseline_terms),
        dim="term",
    )
    effect = fit.of_channels(draws["coefficient"]) * fit.unit
    y_sigma = draws["residual_sd"] * fit.size
    media = _media(ds, fit, effect.transpose(*PANEL), transforms)
    estimates = estimates_of(ds, settings, media=media, baseline=baseline, y_sigma=y_sigma)
    done = perf_counter()
    statistics = {str(name): float(value) for name, value in fit.statistics.items()}
    searched = fit.transforms.sizes.get("channel", 0) * 2
    return Fit(
        estimates=estimates,
        parameters=_parameters(ds, fit, draws, effect.transpose(*PANEL)),
        diagnostics={
            **statistics,
            "n_parameters": float(fit.coefficients["kept"].sum()) + 1 + searched,
        },
        timings={"build": built - start, "sample": done - built, "total": done - start},
        no_single_truth=_no_single_truth(ds, transforms),
    )


def _media(
    ds: xr.Dataset, fit: LeastSquares, effect: xr.DataArray, transforms: Transforms
) -> xr.Dataset:
    """Draws of the response, as `mmm_xgen.respond` takes them."""
    if transforms == "true":
        truth, before = world_from(ds).media, ds["effect"].transpose(*PANEL[2:]).to_numpy()
        curves, kinds = dict(truth.parameters), truth.saturation_kind
        for name in dict.fromkeys(amplitude_names(kinds)):
            # The curve of a placebo has to have a size to be scaled.
            curves[name] = np.where(curves[name] == 0, 1, curves[name])
        drawn = scaled_curves(curves, effect.to_numpy() / np.where(before == 0, 1, before), kinds)
        full = {name: np.broadcast_to(array, effect.shape) for name, array in drawn.items()}
        return ds[["spend_unit"]].assign(
            {name: xr.Variable(PANEL, array) for name, array in full.items()}
        )
    searched = bool(fit.transforms.data_vars)
    n_channels = effect.sizes["channel"]
    media = xr.Dataset(
        {"effect": effect, "spend_unit": fit.unit.broadcast_like(effect.isel(chain=0, draw=0))},
        attrs={"adstock_first": 1},
    ).drop_vars([c for c in ("term",) if c in effect.coords])
    kinds = ("geometric_adstock", "hill_function") if searched else ("no_adstock", "no_saturation")
    lags = fit.transforms["l_max"].astype(int).values if searched else [1] * n_channels
    if searched:
        media["adstock_alpha"] = fit.transforms["adstock_alpha"]
        media["saturation_kappa"] = fit.transforms["half_point"]
        media["saturation_slope"] = xr.ones_like(fit.transforms["half_point"])
    return media.assign_coords(
        adstock_kind=("channel", [kinds[0]] * n_channels),
        saturation_kind=("channel", [kinds[1]] * n_channels),
        l_max=("channel", lags),
        normalize=("channel", [True] * n_channels),
    )


def _parameters(
    ds: xr.Dataset, fit: LeastSquares, draws: xr.Dataset, effect: xr.DataArray
) -> xr.Dataset:
    """Draws of what the Dataset has under the same name, in its units; NaN where kinds differ."""
    coefficient = draws["coefficient"]
    controls = _of_group(coefficient, "control") * fit.size
    intercept = _of_group(coefficient, "intercept").rename(intercept="geo") * fit.size
    if "control_reference" in ds and controls.sizes["control"]:
        # The Dataset's intercept is sales where every control has its reference value.
        intercept = intercept + (controls * ds["control_reference"]).sum("control")
    season = _of_group(coefficient, "season").rename(season="fourier_mode") * fit.size
    found = {
        "intercept_contribution": intercept,
        "gamma_control": controls,
        "y_sigma": draws["residual_sd"] * fit.size,
    }
    if "fourier_mode" in ds.dims:
        known = np.isin(season["fourier_mode"], ds["fourier_mode"])
        found["gamma_fourier"] = season.isel(fourier_mode=known)
    if fit.transforms.data_vars:
        # The model's carry-over comes before its curve, with weights that sum to 1.
        first, none = bool(ds.attrs.get("adstock_first", 1)), ds["adstock_kind"] == "no_adstock"
        geometric = first & (ds["adstock_kind"] == "geometric_adstock")
        hill = (ds["saturation_kind"] == "hill_function") & (none | (first & ds["normalize"]))
        everywhere = xr.ones_like(effect)
        # One currency unit of the model, in what the Dataset's curve counts as 1.
        unit = everywhere * fit.unit / ds["spend_unit"]
        found["adstock_alpha"] = (everywhere * fit.transforms["adstock_alpha"]).where(geometric)
        found["saturation_kappa"] = (unit * fit.transforms["half_point"]).where(hill)
        found["saturation_beta"] = effect.where(hill)
    elif TOTAL not in coefficient["term"].values:
        found["effect"] = effect
    own = {name: values for name, values in found.items() if name in ds and values.size}
    parameters = xr.Dataset(own).transpose(*SAMPLE, "geo", ...)
    return parameters.drop_vars([c for c in parameters.coords if c not in parameters.dims])


def _of_group(coefficient: xr.DataArray, group: str) -> xr.DataArray:
    """Coefficients of the terms ``"group: name"``, dims (chain, draw, group), named by name."""
    terms = [term for term in coefficient["term"].values if term.startswith(f"{group}: ")]
    names = np.array([term.removeprefix(f"{group}: ") for term in terms], dtype=str)
    return coefficient.sel(term=terms).rename(term=group).assign_coords({group: names})


def _no_single_truth(ds: xr.Dataset, transforms: Transforms) -> dict[str, str]:
    reasons = {}
    if transforms == "searched":
        reasons["saturation_slope"] = "the model's is fixed at 1"
        for name, kind in (
            ("adstock_kind", "geometric_adstock"),
            ("saturation_kind", "hill_function"),
        ):
            others = [str(c) for c in ds["channel"].values[ds[name].values != kind]]
            if others:
                reasons[name] = f"the model has a {kind}, the data another of: {', '.join(others)}"
        if not ds.attrs.get("adstock_first", 1):
            reasons["adstock_first"] = "the model's carry-over comes before its curve"
        if not bool(ds["normalize"].all()):
            reasons["normalize"] = "the model's weights sum to 1, which moves the curve"
    if transforms == "total-spend":
        reasons["effect"] = "the model has one for all channels, without a curve"
    return reasons
