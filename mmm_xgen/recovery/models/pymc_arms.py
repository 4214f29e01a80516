"""The arms of PyMC-Marketing: its own priors, a published specification, and a matched one."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from mmm_xgen.dataset import config_of
from mmm_xgen.errors import ConfigError
from mmm_xgen.recovery.alignment.pymc_truth import TREND_COLUMN
from mmm_xgen.recovery.fit import Fit, FitSettings, register_model, training_data
from mmm_xgen.recovery.models.pymc_fit import (
    built_model,
    components_of,
    model_class,
    prior_fit,
    register_pymc_model,
)

FOURIER_MODES = 2
L_MAX = 8


@register_pymc_model("pymc-default")
def default(ds: xr.Dataset) -> Any:
    """Geometric adstock and logistic saturation with all of the library's own priors.

    Carry-over lasts as long as the generator's default for days, weeks or months.
    """
    from pymc_marketing.mmm import GeometricAdstock, LogisticSaturation

    return model_class()(
        **_columns(ds),
        adstock=GeometricAdstock(l_max=config_of(ds).calendar.default_l_max),
        saturation=LogisticSaturation(),
        yearly_seasonality=FOURIER_MODES,
    )


@register_pymc_model("pymc-published")
def published(ds: xr.Dataset) -> Any:
    r"""The specification of a published comparison with Meridian, as its documentation has it.

    Geometric adstock with alpha ~ Beta(1, 3) a channel; Hill sigmoid with sigma ~ InverseGamma
    a channel and geo around a mean that grows with the channel's share of spend (mean over geos),
    beta and lam ~ HalfNormal(1.5) a channel; scales are maxima of each geo. Carry-over lasts 8
    periods, as it did there for weeks. The code of that comparison leaves the priors of intercept,
    controls, season and noise at the library's defaults.
    """
    from pymc_extras.prior import Prior
    from pymc_marketing.mmm import GeometricAdstock, HillSaturationSigmoid

    spend = ds["spend"].sum("date")
    share = (spend / spend.sum("channel")).mean("geo").to_numpy()
    # A share of zero would be no prior.
    width = np.maximum(len(share) * share, 0.01)
    sales = ds["y"] / ds["y"].max("date")
    mean, spread = (_of_geos(values) for values in (sales.mean("date"), sales.std("date")))
    columns = _columns(ds)
    return model_class()(
        **columns,
        adstock=GeometricAdstock(
            l_max=L_MAX, priors={"alpha": Prior("Beta", alpha=1, beta=3, dims="channel")}
        ),
        saturation=HillSaturationSigmoid(
            priors={
                "sigma": Prior(
                    "InverseGamma",
                    mu=Prior(
                        "HalfNormal",
                        sigma=xr.DataArray(width, dims=("channel",)),
                        dims="channel",
                    ),
                    sigma=Prior("HalfNormal", sigma=1.5),
                    dims=("channel", "geo"),
                ),
                "beta": Prior("HalfNormal", sigma=1.5, dims="channel"),
                "lam": Prior("HalfNormal", sigma=1.5, dims="channel"),
            }
        ),
        model_config={
            "intercept": Prior("Normal", mu=mean, sigma=2 * spread, dims="geo"),
            "gamma_control": Prior("Normal", mu=0, sigma=2, dims="control"),
            "gamma_fourier": Prior("Normal", mu=0, sigma=1, dims=("geo", "fourier_mode")),
            "likelihood": Prior(
                "Normal",
                sigma=Prior("HalfNormal", sigma=2 * spread, dims="geo"),
                dims=("date", "geo"),
            ),
        },
        yearly_seasonality=FOURIER_MODES,
        scaling={name: {"method": "max", "dims": ()} for name in ("channel", "target")},
    )


@register_pymc_model("pymc-matched")
def matched(ds: xr.Dataset) -> Any:
    """The adstock and saturation that made the data, with the library's priors.

    Media parameters are shared over the geos, on scales that make them equal there; a trend and
    as many seasonal modes as the data have.

    Raises
    ------
    NotApplicableError
        If the channels have different kinds, so that no model is matched.
    """
    adstock, saturation = (
        type(component)(
            **_settings(component),
            priors={
                name: _shared_over_geos(prior) for name, prior in component.default_priors.items()
            },
        )
        for component in components_of(ds)
    )
    columns = _columns(ds)
    if bool((ds["trend_contribution"] != 0).any()):
        columns["control_columns"] = [*(columns.get("control_columns") or []), TREND_COLUMN]
    modes = ds.sizes.get("fourier_mode", 0) // 2
    return model_class()(
        **columns,
        adstock=adstock,
        saturation=saturation,
        adstock_first=bool(ds.attrs.get("adstock_first", 1)),
        yearly_seasonality=modes or None,
        scaling=_scaling(ds),
    )


@register_model("prior-only", uses_settings=(), needs=("pymc_marketing",))
def prior_only(ds: xr.Dataset, settings: FitSettings) -> Fit:
    """The prior of `default`, not fitted: what a model says before it has seen any sales."""
    started = time.perf_counter()
    mmm = built_model(training_data(ds, settings), settings, default)
    fit = prior_fit(ds, settings, mmm)
    total = time.perf_counter() - started
    return replace(fit, timings={"sample": total, "total": total})


def _columns(ds: xr.Dataset) -> dict[str, Any]:
    controls = [str(name) for name in ds["control_column"].values] if "control_column" in ds else []
    return {
        "date_column": "date",
        "target_column": "y",
        "dims": ("geo",),
        "channel_columns": [str(name) for name in ds["channel_column"].values],
        "control_columns": controls or None,
    }


def _settings(component: Any) -> dict[str, Any]:
    names = [name for name in ("l_max", "normalize") if hasattr(component, name)]
    return {name: getattr(component, name) for name in names}


def _shared_over_geos(prior: Any) -> Any:
    shared = prior.deepcopy()
    shared.dims = ("channel",)
    return shared


def _of_geos(values: xr.DataArray) -> xr.DataArray:
    """By geo, in the alphabetical order of a model's frame."""
    return values.sortby("geo").drop_vars("geo")


def _scaling(ds: xr.Dataset) -> Any:
    """Scales on which geos of different size have the same parameters, if the release can."""
    if ds.sizes["geo"] == 1 or _geo_response(ds) == "common":
        # One for all geos is the library's default.
        return None
    import pymc_marketing.mmm.scaling as library

    if not hasattr(library, "FixedScaling"):
        # The nearest that the older release has: largest spend goes with the size of a geo.
        return {name: {"method": "max", "dims": ()} for name in ("channel", "target")}
    size = ds["geo_scale"] / ds["geo_scale"].max()
    largest = (ds["spend"] / size).max(("date", "geo"))
    channel = (size * largest).assign_coords(channel=ds["channel_column"].values)
    target = size * (ds["y"] / size).max()
    plain = [
        values.drop_vars([c for c in values.coords if c not in values.dims])
        for values in (channel, target)
    ]
    return library.Scaling(
        channel=library.FixedScaling(dims=(), value=plain[0]),
        target=library.FixedScaling(dims=(), value=plain[1]),
    )


def _geo_response(ds: xr.Dataset) -> str:
    try:
        return str(config_of(ds).regions.geo_response)
    except ConfigError:
        return "per_capita"
