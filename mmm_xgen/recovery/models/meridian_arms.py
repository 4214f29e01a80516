"""Specification of Meridian's model, by arm of the benchmark, and its lift tests."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from mmm_xgen.errors import NotApplicableError, XgenWarning
from mmm_xgen.export.meridian import to_meridian
from mmm_xgen.kernels.calendar import DAYS_IN_YEAR
from mmm_xgen.recovery.alignment.meridian import DEFAULT_MAX_LAG
from mmm_xgen.recovery.fit import FitSettings, training_data
from mmm_xgen.recovery.models.pymc_fit import LIFT_ERROR
from mmm_xgen.truth import lift_test, meridian_roi_prior

# Knots for each period of the highest yearly mode: straight lines between 8 points stay within
# 8% of a wave's amplitude.
KNOTS_PER_WAVE = 8
# Standard deviations of a control between geos below which Meridian takes them for the same.
SAME_IN_ALL_GEOS = 1e-4
Prior = tuple[Any, ...]
# Priors that the published benchmark documents, and leaves at Meridian's defaults in its code. A
# national model has no `xi_c`, and Meridian makes it 0 there.
DOCUMENTED: Mapping[str, Prior] = {
    "slope_m": ("Gamma", 2.0, 1.0),
    "ec_m": ("Beta", 2.0, 2.0),
    "gamma_c": ("Normal", 0.0, 1.0),
    "xi_c": ("HalfNormal", 1.0),
}


@dataclass(frozen=True, kw_only=True)
class MeridianModel:
    """Specification of Meridian's model; its own defaults are the defaults.

    Parameters
    ----------
    max_lag : int
        Lags of the carry-over, 0 included on top.
    knots : tuple of int, optional
        Positions of the knots of the time effect; Meridian's choice by default: one knot in a
        national model, one per period where there are several geos.
    media_prior_type : {"roi", "coefficient"}
        What the prior of a channel's strength is about: ``roi_m`` or ``beta_m``.
    unique_sigma_for_each_geo, hill_before_adstock : bool
        As in Meridian's ``ModelSpec``.
    linear : tuple of str
        Channels without saturation.
    priors : mapping of str to tuple
        By parameter, a distribution of TensorFlow Probability and its arguments, numbers or
        lists with one per channel: ``{"alpha_m": ("Beta", 1.0, 3.0)}``.
    adapt_share : float
        Share of the ``tune`` draws that the sampler adapts in; the others are burn-in.
    """

    max_lag: int = DEFAULT_MAX_LAG
    knots: tuple[int, ...] | None = None
    media_prior_type: str = "roi"
    unique_sigma_for_each_geo: bool = False
    hill_before_adstock: bool = False
    linear: tuple[str, ...] = ()
    priors: Mapping[str, Prior] = field(default_factory=dict)
    adapt_share: float = 0.8

    def specification(self) -> dict[str, Any]:
        """Arguments of Meridian's ``ModelSpec``, apart from priors."""
        arguments = asdict(self)
        for name in ("linear", "priors", "adapt_share"):
            del arguments[name]
        if self.linear:
            arguments["saturation_spec"] = dict.fromkeys(self.linear, "none")
        return arguments


def without_common_controls(ds: xr.Dataset, model: MeridianModel) -> xr.Dataset:
    """Data without the controls that Meridian refuses beside a time effect of every date.

    A control that is the same in all geos is such a time effect itself, and in it here.

    Parameters
    ----------
    ds : Dataset
        A generated Dataset, cut to the dates that the model sees.
    model : MeridianModel
        Whose ``knots`` decide; with fewer knots than dates all controls stay.

    Warns
    -----
    XgenWarning
        If there is such a control; it names them.
    """
    n_dates = ds.sizes["date"]
    n_knots = n_dates if model.knots is None else len(model.knots)
    if ds.sizes["geo"] == 1 or n_knots < n_dates or not ds.sizes.get("control", 0):
        return ds
    value = ds["control_value"]
    common = (value.std("geo") < SAME_IN_ALL_GEOS * value.std(("geo", "date"))).all("date")
    if not common.any():
        return ds
    names = ", ".join(map(str, ds["control"].values[common.values]))
    warnings.warn(
        XgenWarning(
            f"controls left out: {names}, the same in all geos; Meridian refuses these beside a "
            "time effect of every date, which contains them"
        ),
        stacklevel=2,
    )
    return ds.isel(control=np.flatnonzero(~common.values))


def published(ds: xr.Dataset) -> MeridianModel:
    """Arm of the published benchmark, as its code has it.

    Its documentation lists four priors more, which its code leaves at Meridian's defaults; see
    `documented`.

    The prior on the strength of media is about ``beta_m`` and positive. In a model of several
    geos the effect is ``exp(beta_m + eta_m z)``, so that it is hardly ever below 1 sd of the KPI.

    Parameters
    ----------
    ds : Dataset
        A generated Dataset, cut to the dates that the model sees.
    """
    spend = ds["spend"].sum("date")
    share = (spend / spend.sum("channel")).mean("geo")
    sigma = (ds.sizes["channel"] * share).values
    return MeridianModel(
        knots=_every(ds, _half_year(ds)),
        media_prior_type="coefficient",
        unique_sigma_for_each_geo=ds.sizes["geo"] > 1,
        adapt_share=0.5,
        priors={
            "beta_m": ("LogNormal", [0.0] * len(sigma), sigma.tolist()),
            "alpha_m": ("Beta", 1.0, 3.0),
        },
    )


def documented(ds: xr.Dataset) -> MeridianModel:
    """Arm of the published benchmark, as its documentation has it.

    It is `published` with the priors of `DOCUMENTED`. A slope below 1 has no gradient where the
    carry-over is 0, so that the sampler may stop where a channel is silent for longer than that.

    Parameters
    ----------
    ds : Dataset
        A generated Dataset, cut to the dates that the model sees.

    Examples
    --------
    >>> import mmm_xgen
    >>> model = documented(mmm_xgen.generate_mmm_dataset())
    >>> model.priors["slope_m"], model.priors["ec_m"]
    (('Gamma', 2.0, 1.0), ('Beta', 2.0, 2.0))
    """
    model = published(ds)
    return replace(model, priors={**model.priors, **DOCUMENTED})


def matched(ds: xr.Dataset) -> MeridianModel:
    """Arm that knows the kinds that made the data, as far as Meridian has them.

    The kernels are as long as the longest true one, and geometric: Meridian's binomial decay is
    one lag longer than the generator's and PyMC-Marketing's, and it has no other. Slopes are
    free unless all true ones are 1, but from 1 upwards where a channel is silent for longer than
    its carry-over: there Meridian has no gradient below 1. Saturation is left out where there is
    none, the order of adstock and saturation is the true one, and knots follow the season.

    Parameters
    ----------
    ds : Dataset
        A generated Dataset, cut to the dates that the model sees.
    """
    carries = ds["adstock_kind"].values != "no_adstock"
    max_lag = int(ds["l_max"].values[carries].max()) - 1 if carries.any() else 0
    linear = ds["channel"].values[ds["saturation_kind"].values == "no_saturation"]
    modes = [int(str(mode).split("_")[1]) for mode in ds["fourier_mode"].values]
    yearly = [m for m, g in zip(modes, ds["gamma_fourier"].values.T, strict=True) if np.any(g)]
    step = _half_year(ds)
    if yearly:
        step = max(1, int(2 * step / (KNOTS_PER_WAVE * max(yearly))))
    return MeridianModel(
        max_lag=max_lag,
        knots=_every(ds, step),
        unique_sigma_for_each_geo=ds.sizes["geo"] > 1,
        hill_before_adstock=not ds.attrs.get("adstock_first", 1),
        linear=tuple(map(str, linear)),
        priors=_slope_prior(ds, max_lag),
    )


def _slope_prior(ds: xr.Dataset, max_lag: int) -> dict[str, Prior]:
    hill = ds["saturation_kind"].values == "hill_function"
    if not hill.any() or np.all(ds["saturation_slope"].values[..., hill] == 1):
        return {}
    media = to_meridian(ds)["media"].transpose("geo", "media_channel", "media_time").values
    running = np.apply_along_axis(np.convolve, -1, media, np.ones(max_lag + 1))
    n_dates = ds.sizes["date"]
    within = running[..., media.shape[-1] - n_dates : media.shape[-1]]
    lowest = np.where((within > 0).all(axis=(0, 2)), 0.1, 1.0)
    return {"slope_m": ("TruncatedNormal", 1.0, 0.5, lowest.tolist(), 10.0)}


def _half_year(ds: xr.Dataset) -> int:
    """Periods in half a year: 26 weeks."""
    return _periods(ds, DAYS_IN_YEAR / 2)


def _periods(ds: xr.Dataset, days: float) -> int:
    """Whole periods in a number of days, 1 at least."""
    steps = np.diff(ds["date"].values) / np.timedelta64(1, "D")
    return max(1, round(days / float(np.mean(steps)))) if steps.size else 1


def _every(ds: xr.Dataset, step: int) -> tuple[int, ...]:
    """Positions of knots, `step` periods apart from the first; one in very short windows."""
    return tuple(range(0, ds.sizes["date"], step))


def with_lift_tests(model: MeridianModel, tests: pd.DataFrame) -> MeridianModel:
    """Model whose priors on ROI are the results of lift tests.

    An ROI cannot be negative in Meridian, so an estimate stands for a normal distribution cut off
    at 0, and the prior is the lognormal with the same mean and sd.

    Raises
    ------
    NotApplicableError
        If the model has no prior on ROI.
    """
    from scipy import stats

    if model.media_prior_type != "roi":
        raise NotApplicableError(
            "found lift_tests with priors on coefficients, allowed: priors on ROI, the one thing "
            "that a lift test tells Meridian; take meridian-default or meridian-matched",
            path="settings.lift_tests",
        )
    prior = meridian_roi_prior(tests)
    mean, sd = prior["mean"].to_numpy(), prior["sd"].to_numpy()
    positive = stats.truncnorm(-mean / sd, np.inf, loc=mean, scale=sd)
    variance = np.log1p(positive.var() / positive.mean() ** 2)
    location = np.log(positive.mean()) - variance / 2
    lognormal = ("LogNormal", location.tolist(), np.sqrt(variance).tolist())
    return replace(model, priors={**model.priors, "roi_m": lognormal})


def switch_off_tests(ds: xr.Dataset, settings: FitSettings) -> pd.DataFrame:
    """One lift test of every channel, of what Meridian's ROI means: all its spend off.

    As long as the window that the model sees, and as precise in each geo as the tests that
    PyMC-Marketing is told of, so that both libraries know the same.

    Parameters
    ----------
    ds : Dataset
        A generated Dataset, with all its dates.
    settings : FitSettings
        ``train_end`` and ``seed`` count.
    """
    seen = training_data(ds, settings)
    first, last = (str(day)[:10] for day in seen["date"].values[[0, -1]])

    def test(channel: str, geos: list[str], se: Mapping[str, float]) -> pd.DataFrame:
        return lift_test(
            seen,
            channel=channel,
            window=(first, last),
            change=-1.0,
            se=se,
            geos=geos,
            estimand="in_test_and_cooldown",
            # Meridian's ROI over all dates ends at the last one.
            within_data=True,
            labels="channel",
            seed=settings.seed,
            allow_any_sign=True,
        )

    tests = []
    for channel in map(str, seen["channel"].values):
        spend = seen["spend"].sel(channel=channel).sum("date")
        geos = [str(geo) for geo in seen["geo"].values[(spend > 0).values]]
        sizes = test(channel, geos, dict.fromkeys(geos, 1.0))["true_delta_y"].abs()
        # A channel without effect is tested as precisely as a usual one.
        errors = LIFT_ERROR * sizes.where(sizes > 0, float(seen["y_sigma"].mean()))
        tests.append(test(channel, geos, dict(zip(geos, errors.tolist(), strict=True))))
    return pd.concat(tests, ignore_index=True)
