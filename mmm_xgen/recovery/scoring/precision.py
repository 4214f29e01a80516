"""Sharpness of a posterior, against its prior and against the information bound of the data."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from mmm_xgen.errors import XgenError
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.recovery.fit import Fit, FitSettings, training_dates
from mmm_xgen.recovery.scoring.scales import linked, scale_of
from mmm_xgen.truth.information.diagnosis import MEANINGLESS
from mmm_xgen.truth.information.information_bound import LOCAL, Information, information_of


@dataclass(frozen=True)
class Precision:
    """Precision that the training window allows, from `mmm_xgen.truth.information_bound`.

    Parameters
    ----------
    log_roas_error : array, dims (channel,)
        Smallest standard error of the log ROAS, with the prior; geos share media parameters.
        NaN where it is not finite, and, unless all media parameters have a prior, where it is
        above 1: a local bound means nothing there, see `mmm_xgen.truth.information.recoverability`.
    ridge : DataArray of int, dims (parameter, channel)
        1 where a media parameter, without a prior, has a standard error above 0.2 on its link
        scale: it moves along a ridge on which others make up for it, or the data say nothing
        of it. -1 where the channel has no such parameter.
    prior : str
        Prior of the bound: ``"none"``, or the parameters that have the model's own.
    """

    log_roas_error: FloatArray
    ridge: xr.DataArray
    prior: str


def precision_of(ds: xr.Dataset, settings: FitSettings, prior: Fit | None) -> Precision | str:
    """Bounds of the training window, or the reason why there are none.

    Parameters
    ----------
    ds : Dataset
        A generated Dataset with all its dates.
    settings : FitSettings
        Its ``train_end`` ends the window.
    prior : Fit, optional
        Draws from the model's prior, whose sds on the link scale the bound takes; parameters
        that it lacks have a flat one. A bound without any prior otherwise.
    """
    n_seen = len(training_dates(ds, settings))
    try:
        without = information_of(ds)
        free = {name for name, _ in (*without.media.labels, *without.baseline.labels)}
        sds = {} if prior is None else _prior_sds(ds, prior, free)
        with_prior = information_of(ds, prior=sds) if sds else without
    except XgenError as reason:
        return str(reason)
    without, with_prior = (_until(each, n_seen) for each in (without, with_prior))
    seen = ds.isel(date=slice(n_seen))
    revenue = seen["revenue_per_kpi"].transpose("geo", "date").to_numpy()
    earned = (seen["channel_contribution"] * seen["revenue_per_kpi"]).sum(("date", "geo"))
    error = np.sqrt(with_prior.bound().variance(with_prior.totals(revenue)))[0]
    total = np.abs(earned.to_numpy())
    every = {name for name, _ in without.media.labels} <= set(sds)
    share = np.divide(error, total, out=np.full_like(total, np.nan), where=total > 0)
    most = np.finfo(float).max if every else MEANINGLESS
    return Precision(
        log_roas_error=np.where(share <= most, share, np.nan),
        ridge=_ridge(ds, without),
        prior=f"the model's own: {', '.join(sds)}" if sds else "none",
    )


def _until(information: Information, n_seen: int) -> Information:
    """Information of the first dates only."""
    media, baseline = (
        replace(columns, values=columns.values[:, :n_seen])
        for columns in (information.media, information.baseline)
    )
    return replace(information, media=media, baseline=baseline, mu=information.mu[:, :n_seen])


def _ridge(ds: xr.Dataset, information: Information) -> xr.DataArray:
    error = np.sqrt(information.bound().parameter_variance())[0]
    names = list(dict.fromkeys(name for name, _ in information.media.labels))
    channels = [str(name) for name in ds["channel"].values]
    found = np.full((len(names), len(channels)), -1)
    for (name, channel), each in zip(information.media.labels, error, strict=True):
        found[names.index(name), channels.index(channel)] = int(not each <= LOCAL)
    about = {"long_name": "whether the parameter is identified along a ridge only, -1: has none"}
    coords = {"parameter": names, "channel": channels}
    return xr.DataArray(found, coords, ("parameter", "channel"), attrs=about)


def _prior_sds(ds: xr.Dataset, prior: Fit, free: set[str]) -> dict[str, xr.DataArray]:
    """Sd of the prior draws on the link scale, the same in all geos, by free parameter."""
    sds = {}
    for name in sorted(free & {str(each) for each in prior.parameters}):
        spread = link_sd(ds, name, prior.parameters[name])
        if "geo" in spread.dims:
            spread = spread.mean("geo")
        # Of a channel without the parameter nothing is asked; a flat prior says so.
        sds[name] = spread.where(spread > 0, np.inf)
    return sds


def link_sd(ds: xr.Dataset, name: str, draws: xr.DataArray) -> xr.DataArray:
    """Sd of draws of a parameter on its link scale, over chains and draws; NaN if a draw is NaN."""
    values = linked(draws, ds[name], scale_of(ds, name))
    return values.std([dim for dim in ("chain", "draw") if dim in values.dims], skipna=False)


def contraction(before: xr.DataArray, after: xr.DataArray) -> xr.DataArray:
    r"""Share of the prior variance that the data took away, :math:`1 - s^2 / s_0^2`.

    1 if the data tell all, 0 if they tell nothing, negative if the posterior is wider.
    """
    about = {"long_name": "1 - posterior variance over prior variance", "scale": "link"}
    share = after / before.where(before > 0)
    return (1 - share**2).assign_attrs(about)
