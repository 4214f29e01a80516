"""Recoverability: can the data tell the channels' returns, why not, and what would help."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mmm_xgen.config.base import shown
from mmm_xgen.dataset import in_memory
from mmm_xgen.errors import ConfigError, nearest
from mmm_xgen.kernels.calendar import DAYS_IN_YEAR
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.threads import in_one_thread
from mmm_xgen.truth.information.designs import (
    geo_test,
    pulsed,
    with_half_the_noise,
    with_more_periods,
    with_plan,
    with_spend,
)
from mmm_xgen.truth.information.diagnosis import (
    FAIR,
    GOOD,
    MEANINGLESS,
    RUNGS,
    diagnose,
    ladder_of,
    partners_of,
    reason_of,
)
from mmm_xgen.truth.information.information_bound import Information, information_of
from mmm_xgen.truth.information.priors import Prior, named
from mmm_xgen.truth.media import contribution

DESIGNS = ("geo_test", "pulsed", "more_weeks", "half_noise")


@in_memory
def recoverability(
    ds: xr.Dataset, *, prior: Prior = "pymc-marketing", known: Sequence[str] = ()
) -> xr.Dataset:
    """Grade how precisely the ROAS of each channel can be estimated at best, and give the reason.

    The grade follows the bound on log ROAS of a model with the true structure whose media
    parameters are shared across geos (`information_bound` with the prior):

    ===================  =====================================================================
    ``good``             relative standard error of at most 10%
    ``fair``             at most 25%
    ``poor``             more
    ``weak``             without the prior it is above 1 (log scale). A local bound is then
                         meaningless, and an estimate of the ROAS is its prior. (The ``weak`` of
                         `information_bound` is different: some parameter's bound above 0.2)
    ``not identified``   without the prior it is infinite, or there is no ROAS
    ===================  =====================================================================

    The reason comes from a ladder of bounds, in which more and more is unknown: first only the
    effect, then the baseline, the channel's own adstock and curve, and the other channels. For the
    grades ``weak`` and ``not identified`` the ladder has no prior. The rung that adds most to the
    bound is the reason (for the first rung, the excess over 10%). Simple figures of the spend put
    the reason into words.

    Parameters
    ----------
    ds : Dataset
        A generated Dataset, dims (date, geo, channel).
    prior : mapping of str to float or DataArray, or "pymc-marketing", optional
        Prior sd on the link scale, as for `information_bound`.
    known : sequence of str
        Parameters taken as known.

    Returns
    -------
    Dataset, dims (channel)
        ``grade`` and ``reason``; ``roas_bound`` with and ``roas_bound_without_prior`` without the
        prior, as shares of the ROAS (log scale); ``weak`` (True if the latter is above 1, as in
        the grades ``weak`` and ``not identified``); ``ladder`` (unknown, channel), the bounds
        behind the reason. Figures of the spend: ``off`` (share of date-geo cells without spend),
        ``spend_variation`` (sd of spend over time, divided by its mean), ``lowest`` (lowest
        contribution, divided by the mean one), ``elasticity`` (of contribution to spend) and
        ``collinear_with`` (the channel whose knowledge would help most).

    Raises
    ------
    ConfigError
        If a prior or known name is not a free parameter, or if a geo has no noise.

    See Also
    --------
    what_would_help : Designs that would shrink these bounds.

    Examples
    --------
    >>> import mmm_xgen
    >>> ds = mmm_xgen.generate_mmm_dataset(seed=1)
    >>> sorted(set(recoverability(ds).grade.values) - {"good", "fair", "poor", "weak"})
    []
    """
    fits = [information_of(ds, prior=each, known=known) for each in (prior, None)]
    information = fits[0]
    revenue = ds["revenue_per_kpi"].transpose("geo", "date").to_numpy()
    gradient, nothing = _log_gradient(information, revenue)
    bounds = [fit.bound() for fit in fits]
    errors = [np.sqrt(bound.variance(gradient))[0] for bound in bounds]
    with_prior, without = [np.where(nothing, np.inf, error) for error in errors]
    with in_one_thread():
        ladders = [
            ladder_of(fit, bound, gradient[0], error)
            for fit, bound, error in zip(fits, bounds, (with_prior, without), strict=True)
        ]
        partners = partners_of(information, bounds[0], gradient[0])
    seen = diagnose(information)
    grades = [_grade(each, alone) for each, alone in zip(with_prior, without, strict=True)]
    weak = ~(without <= MEANINGLESS)
    telling = np.where(weak, ladders[1], ladders[0])
    reasons = [
        reason_of(information, seen, telling[:, channel], partner, channel)
        for channel, partner in enumerate(partners)
    ]

    def figure(values: Any, long_name: str) -> xr.Variable:
        return xr.Variable("channel", values, {"units": "1", "long_name": long_name})

    about = {"units": "1", "long_name": "bound on log ROAS as more is unknown", "scale": "log"}
    return xr.Dataset(
        {
            "grade": figure(grades, "how well the ROAS can be told"),
            "reason": figure(reasons, "what costs most precision"),
            "roas_bound": figure(with_prior, "standard error of the log ROAS"),
            "roas_bound_without_prior": figure(without, "the same without the prior"),
            "weak": figure(weak, "the ROAS bound without prior is above 1"),
            "ladder": xr.Variable(("unknown", "channel"), ladders[0], about),
            "off": figure(seen.off, "share of cells without spend"),
            "spend_variation": figure(seen.variation, "sd of spend over time by its mean"),
            "lowest": figure(seen.lowest, "lowest contribution by the mean one"),
            "elasticity": figure(seen.elasticity, "elasticity of contribution to spend"),
            "collinear_with": figure(partners, "channel whose knowledge would help most"),
        },
        coords={"channel": ds["channel"].variable, "unknown": list(RUNGS)},
        attrs={"prior": named(prior), "good": GOOD, "fair": FAIR, "meaningless": MEANINGLESS},
    )


def _grade(with_prior: float, without: float) -> str:
    if not np.isfinite(without):
        return "not identified"
    if without > MEANINGLESS:
        return "weak"
    return "good" if with_prior <= GOOD else "fair" if with_prior <= FAIR else "poor"


def _log_gradient(
    information: Information, revenue: FloatArray
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Return the derivatives of log ROAS, dims (fit, channel, column), and where the ROAS is 0."""
    model = information.model
    kpis = contribution(model.spend, model.media, model.history)
    total = np.einsum("cgt,gt->c", kpis, revenue)
    nothing = total == 0
    return information.totals(revenue) / np.where(nothing, 1, total)[None, :, None], nothing


@in_memory
def what_would_help(
    ds: xr.Dataset,
    *,
    prior: Prior = "pymc-marketing",
    designs: Sequence[str] | Mapping[str, xr.DataArray] | None = None,
    known: Sequence[str] = (),
) -> xr.Dataset:
    """Compute how much some designs would shrink the bound on each channel's ROAS.

    ================  ========================================================================
    ``geo_test``      For the length of two campaigns (8 weeks), where the channel spends most,
                      half more and half less spend in turn in geos ordered by population; a
                      single geo is off, then doubled. One design per channel.
    ``pulsed``        The channel in flights, one campaign on and one off (4 weeks each), in all
                      geos, with the same total in each. One design per channel.
    ``more_weeks``    Half a year more (26 weeks): trend and season continue, spend and controls
                      repeat from the start of the data.
    ``half_noise``    Half the sd of the noise: four times the information.
    ================  ========================================================================

    The ROAS is always that of the present data, so only its standard error changes; a ratio of 0.5
    halves it. Model and prior are those of `recoverability`. With a ratio of 1 the design adds no
    information on that channel; above 1 it removes information.

    Parameters
    ----------
    ds : Dataset
        A generated Dataset, dims (date, geo, channel).
    prior : mapping of str to float or DataArray, or "pymc-marketing", optional
        Prior sd on the link scale, as for `information_bound`.
    designs : sequence of str, or mapping of str to DataArray, optional
        Names of the designs above, all by default; or other plans to compare, under any name. A
        plan is a spend, dims (date, geo, channel), in currency per period. Missing dates, geos and
        channels keep today's spend, as for `simulate`.
    known : sequence of str
        Parameters taken as known.

    Returns
    -------
    Dataset, dims (design, channel)
        ``bound_ratio``: bound under the design, divided by the bound now; ``bound_now`` (channel),
        as a share of the ROAS (log scale). The ratio is 1 if the bound stays infinite, and 0 if it
        becomes finite. Coordinates ``design_kind`` and ``design_channel`` (design); the latter is
        empty for designs of all channels.

    Raises
    ------
    ConfigError
        If a design, prior or known name is not known, if a geo has no noise, or if the spend of
        a plan is negative, missing or infinite.
    AlignmentError
        If a plan does not fit the Dataset.

    Examples
    --------
    >>> import mmm_xgen
    >>> ds = mmm_xgen.generate_mmm_dataset(seed=1)
    >>> ratios = what_would_help(ds, designs=["half_noise"]).bound_ratio
    >>> bool(((ratios >= 0.5) & (ratios <= 1)).all())
    True
    """
    information = information_of(ds, prior=prior, known=known)
    revenue = ds["revenue_per_kpi"].transpose("geo", "date").to_numpy()
    gradient = information.totals(revenue)
    now = _errors(information, gradient)
    plans = _plans(ds, information, designs)
    ratios = np.empty((len(plans), len(now)))
    for position, (_, _, _, build) in enumerate(plans):
        new = _errors(build(), gradient)
        told = np.isfinite(now) & (now > 0)
        ratios[position] = np.where(told, new / np.where(told, now, 1), np.isinf(new) | (now == 0))
    slopes, nothing = _log_gradient(information, revenue)
    log_scale = np.sqrt(information.bound().variance(slopes))[0]
    ratio = {"units": "1", "long_name": "bound on the ROAS under the design by the bound now"}
    error = {"units": "1", "long_name": "standard error of the log ROAS now", "scale": "log"}
    return xr.Dataset(
        {
            "bound_ratio": (("design", "channel"), ratios, ratio),
            "bound_now": ("channel", np.where(nothing, np.inf, log_scale), error),
        },
        coords={
            "design": [label for label, *_ in plans],
            "design_kind": ("design", [kind for _, kind, *_ in plans]),
            "design_channel": ("design", [channel for _, _, channel, _ in plans]),
            "channel": ds["channel"].variable,
        },
        attrs={"prior": named(prior)},
    )


def _errors(information: Information, gradient: FloatArray) -> FloatArray:
    return np.asarray(np.sqrt(information.bound().variance(gradient))[0])


Plan = tuple[str, str, str, Callable[[], Information]]


def _plans(
    ds: xr.Dataset,
    information: Information,
    designs: Sequence[str] | Mapping[str, xr.DataArray] | None,
) -> list[Plan]:
    """Label, kind and channel of each design, and how to get its information."""
    if isinstance(designs, Mapping):
        return [
            (name, "plan", "", partial(with_plan, ds, information, name, plan))
            for name, plan in designs.items()
        ]
    chosen = DESIGNS if designs is None else (designs,) if isinstance(designs, str) else designs
    if not isinstance(chosen, Collection) or not all(isinstance(kind, str) for kind in chosen):
        raise ConfigError(
            f"found {shown(designs)}, allowed: a list of names of designs, or a mapping of names "
            "to plans",
            path="designs",
        )
    model = information.model
    population = np.ones(model.spend.shape[1])
    if "population" in ds:
        population = np.asarray(ds["population"].to_numpy(), dtype=float)
    plans: list[Plan] = []
    for kind in chosen:
        if kind == "half_noise":
            plans.append(("half the noise", kind, "", partial(with_half_the_noise, information)))
        elif kind == "more_weeks":
            half_year = int(DAYS_IN_YEAR / 2 / model.calendar.mean_days)
            label = f"{half_year} more {model.calendar.step}s"
            plans.append((label, kind, "", partial(with_more_periods, information, half_year)))
        elif kind in {"geo_test", "pulsed"}:
            for channel, name in enumerate(model.channels):
                if kind == "geo_test":
                    label, spend = f"geo test on {name}", geo_test(model, channel, population)
                else:
                    label, spend = f"pulsed {name}", pulsed(model, channel)
                plans.append((label, kind, name, partial(with_spend, information, channel, spend)))
        else:
            raise ConfigError(f"no design is named {kind!r}; {nearest(kind, DESIGNS)}")
    return plans
