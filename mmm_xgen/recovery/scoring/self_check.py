"""Is the truth that fits are scored against the truth? A fit placed at it must score perfectly."""

from __future__ import annotations

import numpy as np
import xarray as xr

from mmm_xgen.dataset import in_memory
from mmm_xgen.errors import XgenError
from mmm_xgen.generate import regenerate
from mmm_xgen.generation.noise import sd_of_sales
from mmm_xgen.labelled_world import connections
from mmm_xgen.recovery.estimates import MULTIPLIERS, estimates_of
from mmm_xgen.recovery.fit import Fit, FitSettings
from mmm_xgen.recovery.scoring.decisions import window_of
from mmm_xgen.recovery.scoring.metrics import METRICS, names_of
from mmm_xgen.recovery.scoring.scores import score
from mmm_xgen.response import response_parameters
from mmm_xgen.schema import describe
from mmm_xgen.truth.budget.curves import response_curve
from mmm_xgen.truth.returns.incremental import incremental_contribution, media_together
from mmm_xgen.truth.returns.roas import mroas, roas

# Rounding, on scales whose values are of order one: logs, shares and percentages.
TOLERANCE = 1e-6
# Percent of media's revenue that linear curves between multipliers may cost.
GRID_ERROR = 0.5
QUANTITIES = ("roas", "mroas", "contribution_total", "response_curve", "channel_contribution")


def fit_at_truth(ds: xr.Dataset, settings: FitSettings) -> Fit:
    """Fit of a model that knows the truth: one draw, from the parameters by the response function.

    Parameters
    ----------
    ds : Dataset
        A generated Dataset with all its dates.
    settings : FitSettings
        Its ``train_end`` ends the window.

    Examples
    --------
    >>> import mmm_xgen
    >>> ds = mmm_xgen.generate_mmm_dataset()
    >>> fit_at_truth(ds, FitSettings()).estimates.roas.values.round(6).tolist()
    [[[2.4, 1.5, 3.0]]]
    """
    draw = ds.expand_dims(chain=[0], draw=[0])
    if connections(ds):
        # Parameters of single channels do not make these sales.
        estimates = _true_estimates(ds, settings).expand_dims(chain=[0], draw=[0])
    else:
        estimates = estimates_of(
            ds,
            settings,
            media=draw[["spend_unit", *response_parameters(ds)]],
            baseline=draw["mu"] - draw["channel_contribution"].sum("channel"),
            y_sigma=draw["y_sigma"],
        )
    parameters = [str(name) for name in ds.data_vars if _is_estimated(str(name))]
    return Fit(estimates=estimates, parameters=draw[parameters].reset_coords(drop=True))


def _true_estimates(ds: xr.Dataset, settings: FitSettings) -> xr.Dataset:
    """Return what a model that knows the world would say of it."""
    window = window_of(ds, settings)
    curves = response_curve(ds, multipliers=MULTIPLIERS, window=window)["contribution"]
    lost, media = incremental_contribution(ds), media_together(ds)
    # The baseline is sales less contributions, and losses of single channels do not add up.
    rest = 0.0 if media is None else lost.sum("channel") - media
    figures = {
        "roas": roas(ds, window=window),
        "mroas": mroas(ds, window=window),
        "response_curve": curves.transpose("channel", "multiplier"),
        "channel_contribution": lost,
        "mu": ds["mu"] + rest,
        "y_sigma": _sd_of_sales(ds),
    }
    plain = {name: values.reset_coords(drop=True) for name, values in figures.items()}
    return xr.Dataset(plain).reset_coords(drop=True)


def _sd_of_sales(ds: xr.Dataset) -> xr.DataArray:
    """Return the root-mean-square sd of the noise in KPI units, dims (geo,)."""
    if "log_channel" not in ds:
        return ds["y_sigma"]
    sigma, mu = (ds[name].transpose("geo", ...).to_numpy() for name in ("y_sigma", "mu"))
    return ds["y_sigma"].copy(data=sd_of_sales(sigma[:, None], mu)[:, 0])


def _is_estimated(name: str) -> bool:
    """True for a parameter that a model can estimate, and not for a unit or a setting."""
    settings = ("spend_unit", "base_spend", "control_reference")
    return describe(name).is_parameter and name not in settings


@in_memory
def self_check(
    ds: xr.Dataset, settings: FitSettings, *, truth: xr.Dataset | None = None
) -> list[str]:
    """Score a fit placed at the truth, and say what is not perfect.

    The truth is made anew from the configuration that the dataset carries, so that a dataset
    whose truth was changed, or mixed up with another's, does not pass.

    Parameters
    ----------
    ds : Dataset
        What fits are scored against.
    settings : FitSettings
        Settings of the study.
    truth : Dataset, optional
        What it should be; generated from the configuration of `ds` by default.

    Returns
    -------
    list of str
        One sentence for each accuracy metric that is not perfect; empty if all is well.

    Examples
    --------
    >>> import mmm_xgen
    >>> ds = mmm_xgen.generate_mmm_dataset()
    >>> self_check(ds, FitSettings())
    []
    >>> wrong = ds.assign(channel_contribution=1.1 * ds.channel_contribution)
    >>> len(self_check(wrong, FitSettings())) > 0
    True
    """
    try:
        fit = fit_at_truth(regenerate(ds) if truth is None else truth, settings)
        scores = score(ds, fit, settings)
    except XgenError as error:
        return [f"the dataset cannot be scored: {error}"]
    found = []
    scored = [str(name) for name, each in scores.items() if "metric" in each.dims]
    found += [f"{name} is not scored" for name in QUANTITIES if name not in scored]
    for name in scored:
        for metric in names_of("accuracy"):
            values = scores[name].sel(metric=metric).to_numpy()
            # NaN: a series does not have every metric, a placebo has no log ROAS.
            off = np.abs(values - METRICS[metric].perfect)
            worst = float(np.max(off[~np.isnan(off)], initial=0.0))
            size = 1.0
            if scores[name].attrs["scale"] == "identity":
                size = max(float(np.abs(ds[name]).max()), 1e-300)
            if worst > TOLERANCE * size:
                found.append(f"{metric} of {name} is {worst:.3g} at the truth, not 0")
    regret = scores.get("regret_recommended_percent")
    if regret is not None and float(regret) > GRID_ERROR:
        found.append(f"the budget from the true curves loses {float(regret):.3g}% of media")
    return found
