"""Information bound: the smallest standard errors that a dataset allows."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from mmm_xgen.config.base import shown
from mmm_xgen.dataset import in_memory
from mmm_xgen.errors import ConfigError, nearest
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.schema import attributes, describe, takes_datasets
from mmm_xgen.threads import in_one_thread
from mmm_xgen.truth.information.jacobian import (
    Columns,
    Model,
    amplitude_of,
    baseline_columns,
    media_columns,
    model_of,
)
from mmm_xgen.truth.information.likelihood import Noise, noise_of, whiten
from mmm_xgen.truth.information.linear_algebra import Bound, bound_of, sparse_directions
from mmm_xgen.truth.information.priors import Prior, named, prior_precision

# Largest standard error on the link scale at which the local bound describes fits. Measured with
# three channels and growing noise: the spread of least squares follows the bound up to here, and
# grows along the curve's amplitude and scale from 0.22 on.
LOCAL = 0.2
# Largest number of parameters of a direction that are named.
TERMS = 6


@dataclass(frozen=True)
class Information:
    """Inputs from which the bound of a Dataset follows.

    Parameters
    ----------
    model : Model
        True model.
    noise : Noise
        Its noise.
    mu : array, dims (geo, date)
        Expected sales.
    media, baseline : Columns
        Derivatives by the free parameters.
    precision : pair of array, dims (geo, column)
        Square roots of the prior precision of media and baseline.
    pooled : bool
        True if the geos share the media parameters.
    """

    model: Model
    noise: Noise
    mu: FloatArray
    media: Columns
    baseline: Columns
    precision: tuple[FloatArray, FloatArray]
    pooled: bool

    def bound(self) -> Bound:
        """Return the bound of this information."""
        media, baseline = (
            whiten(columns.values, self.noise, self.mu) for columns in (self.media, self.baseline)
        )
        with in_one_thread():
            return bound_of(media, baseline, *self.precision, pooled=self.pooled)

    def totals(self, worth: FloatArray) -> FloatArray:
        """Return the derivative of each channel's weighted total contribution by media parameters.

        Parameters
        ----------
        worth : array, dims (geo, date)
            Weight of a unit of contribution.

        Returns
        -------
        array, dims (fit, channel, column)
        """
        owner = [self.model.channels.index(label) for _, label in self.media.labels]
        own = np.arange(len(self.model.channels))[:, None] == np.array(owner, dtype=int)
        total = np.einsum("gtk,gt->gk", self.media.values, worth)
        if self.pooled:
            total = total.sum(axis=0, keepdims=True)
        return np.where(own, total[:, None], 0.0)


@takes_datasets
def information_of(
    ds: xr.Dataset, *, prior: Prior = None, pooled: bool = True, known: Sequence[str] = ()
) -> Information:
    """Return derivatives, noise and prior of a Dataset; arguments as for `information_bound`."""
    if not isinstance(pooled, bool | np.bool_):
        raise ConfigError(f"found {shown(pooled)}, allowed: True, False", path="pooled")
    model = model_of(ds)
    media, baseline = media_columns(model), baseline_columns(model)
    names = list(dict.fromkeys(name for name, _ in (*media.labels, *baseline.labels)))
    known = _known_names(known, names)
    media, baseline = media.without(known), baseline.without(known)
    mu = model.expected_sales()
    return Information(
        model=model,
        noise=noise_of(ds, model.config.regions),
        mu=mu,
        media=media,
        baseline=baseline,
        precision=prior_precision(ds, model, media, baseline, prior),
        pooled=pooled,
    )


def _known_names(known: Any, names: list[str]) -> tuple[str, ...]:
    chosen = (known,) if isinstance(known, str) else known
    if not isinstance(chosen, Collection) or not all(isinstance(name, str) for name in chosen):
        raise ConfigError(
            f"found {shown(known)}, allowed: a list of names of parameters", path="known"
        )
    for name in chosen:
        if name not in names:
            raise ConfigError(f"no parameter is named {name!r}; {nearest(name, names)}")
    return tuple(chosen)


@in_memory
def information_bound(
    ds: xr.Dataset, *, prior: Prior = None, pooled: bool = True, known: Sequence[str] = ()
) -> xr.Dataset:
    r"""Compute the smallest standard errors of any unbiased fit: the Cramér-Rao bound [1]_ [2]_.

    .. math:: \mathrm{Cov}(\hat\theta) \ge (I + P)^{-1}, \qquad
        I = \sum_g J_g^\top \Sigma_g^{-1} J_g

    J is the Jacobian of mu at the truth by all free parameters on their link scale, exact by
    complex steps. :math:`\Sigma^{-1}` is the information of the noise model about mu. P is the
    prior precision, 0 without a prior. Without a prior the result is the bound for unbiased
    estimators. With a prior it is the Bayesian bound [3]_, which a posterior sd can be compared
    with. The bound is local: above standard errors of about 0.2 on the log or logit scale, the
    curvature at the truth does not describe fits, and ``weak`` is True. The bound of the ROAS
    holds for longer (it matched the spread of fits up to 0.4).

    Parameters
    ----------
    ds : Dataset
        A generated Dataset, dims (date, geo, channel).
    prior : mapping of str to float or DataArray, or "pymc-marketing", optional
        Prior sd on the link scale by parameter name; other parameters have a flat prior.
        ``"pymc-marketing"`` takes the library's default priors of intercept, ``gamma_control``,
        ``gamma_fourier`` and all media parameters of its components, independent of each other.
    pooled : bool
        If True, the geos share the media parameters: one shift on the link scale per channel. If
        False, every geo has its own, and geos do not inform each other.
    known : sequence of str
        Parameters taken as known, such as ``trend_sales_trend`` for a model without trend.

    Returns
    -------
    Dataset
        Standard errors, each under the name of its parameter, on its link scale
        (``attrs["scale"]``): media parameters (channel) or (geo, channel), those of the baseline
        with their own dims; NaN if there is no such parameter, inf if it is not identified.
        Further variables:

        ``effect``
            Standard error of the amplitude (``saturation_beta``, or the curve's own name for it).
        ``roas``, ``channel_contribution``
            Standard errors of the ROAS (contribution of the window over its spend: carry-in
            counts, carry-out does not) and of the total contribution, by the delta method, as a
            share of the true value (log scale); ``*_in_units`` in currency per currency and in
            KPI units. Over all geos if pooled, else for each geo.
        ``weak``
            True if some parameter of the channel has a standard error above 0.2. The ``weak`` of
            `mmm_xgen.truth.recoverability` is different: the ROAS, without the prior, above 1.
        ``condition_number``
            Condition number of the media information in correlation form, with the baseline
            unknown; inf if singular.

        ``attrs["unidentified"]`` names every direction along which sales do not change, in steps
        on the link scale.

    Raises
    ------
    ConfigError
        If a prior or a known name is not a free parameter, or if a geo has no noise.
    SchemaError
        If `ds` lacks parameters, channels or dates, or if geos share noise or a capacity cuts
        sales, under which the information is not known.

    Notes
    -----
    Parametrisation. The amplitude of a channel is a free parameter, so base sales do not change
    contributions, even under ``per_capita``. The intercept (log scale) moves trend and elastic
    controls, which are shares of it; coefficients in KPI units (``gamma_*``, ``event_effect``)
    stay. Settings (bends of the trend, dates of events, l_max, eps, control references) are known.
    The parameters of the noise may be unknown: they are orthogonal to mu (lognormal: projected
    out, see `mmm_xgen.truth.information.likelihood`). Where the sd follows expected sales, it is
    known up to one factor. A clip at zero is ignored.

    A channel with effect 0 has no log amplitude: its standard error is inf, ``*_in_units`` are
    finite, and its shape is not identified.

    No pseudo-inverse is used: a parameter or total is inf if a direction without information
    changes it, and finite otherwise.

    References
    ----------
    .. [1] Rao, C. R. (1945). Information and the accuracy attainable in the estimation of
       statistical parameters. Bulletin of the Calcutta Mathematical Society, 37, 81-91.
    .. [2] Cramér, H. (1946). Mathematical methods of statistics. Princeton University Press.
    .. [3] Van Trees, H. L. (1968). Detection, estimation, and modulation theory, part I. Wiley.

    Examples
    --------
    >>> import mmm_xgen
    >>> ds = mmm_xgen.generate_mmm_dataset(seed=1)
    >>> bound = information_bound(ds)
    >>> bound.saturation_kappa.dims, bound.saturation_kappa.attrs["scale"]
    (('channel',), 'log')
    >>> bayesian = information_bound(ds, prior="pymc-marketing")
    >>> bool((bayesian.roas < bound.roas).all())
    True
    """
    information = information_of(ds, prior=prior, pooled=pooled, known=known)
    bound = information.bound()
    variables = {
        **_media_errors(ds, information, bound),
        **_baseline_errors(ds, information, bound),
        **_total_errors(ds, information, bound),
    }
    fit = () if pooled else ("geo",)
    condition = bound.condition[0] if pooled else bound.condition
    variables["condition_number"] = xr.Variable(
        fit, condition, {"units": "1", "long_name": "condition number of the media information"}
    )
    coords = {
        dim: ds[dim].variable
        for dim in dict.fromkeys(str(d) for each in variables.values() for d in each.dims)
    }
    attrs = {
        "pooled": int(pooled),
        "prior": named(prior),
        "known": ", ".join([known] if isinstance(known, str) else known),
        "noise": information.noise.kind.name,
        "unidentified": "; ".join(unidentified(information, bound, list(map(str, ds.geo.values)))),
    }
    return xr.Dataset(variables, coords=coords, attrs=attrs)


def _media_errors(ds: xr.Dataset, information: Information, bound: Bound) -> dict[str, xr.Variable]:
    """Return the standard errors of media parameters and effect, and which are meaningless."""
    model, media = information.model, information.media
    deviation = np.sqrt(bound.parameter_variance())
    channels = [model.channels.index(label) for _, label in media.labels]
    empty = np.full((len(deviation), len(model.channels)), np.nan)
    errors: dict[str, FloatArray] = {}
    scales: dict[str, list[str]] = {}
    effect, weak = empty.copy(), np.zeros(empty.shape, dtype=bool)
    placebo = (model.media.amplitude == 0).all(axis=0) if information.pooled else None
    for column, ((name, _), channel) in enumerate(zip(media.labels, channels, strict=True)):
        error = deviation[:, column]
        if name == amplitude_of(model.media, channel):
            # There is no log scale at zero, though the effect itself is identified.
            zero = model.media.amplitude[:, channel] == 0 if placebo is None else placebo[channel]
            error = effect[:, channel] = np.where(zero, np.inf, error)
        errors.setdefault(name, empty.copy())[:, channel] = error
        scales.setdefault(name, []).append(media.links[column])
        weak[:, channel] |= ~(error <= LOCAL)
    dims, row = (("channel",), 0) if information.pooled else (("geo", "channel"), slice(None))
    variables = {
        name: _error(ds, name, dims, values[row], " or ".join(dict.fromkeys(scales[name])))
        for name, values in errors.items()
    }
    if not np.isnan(effect).all():
        variables["effect"] = _error(ds, "effect", dims, effect[row], "log")
    about = {"units": "1", "long_name": "fits spread beyond the local bound"}
    variables["weak"] = xr.Variable(dims, weak[row], about)
    return variables


def _baseline_errors(
    ds: xr.Dataset, information: Information, bound: Bound
) -> dict[str, xr.Variable]:
    columns = information.baseline
    deviation = np.sqrt(bound.baseline_variance)
    variables = {}
    for name in dict.fromkeys(name for name, _ in columns.labels):
        dims = describe(name).dims
        positions = columns.positions(name)
        values = deviation[:, positions[0]]
        if len(dims) > 1:
            known = list(map(str, ds[dims[1]].values))
            values = np.full((len(deviation), len(known)), np.nan)
            values[:, [known.index(columns.labels[p][1]) for p in positions]] = deviation[
                :, positions
            ]
        variables[name] = _error(ds, name, dims, values, columns.links[positions[0]])
    return variables


def _error(
    ds: xr.Dataset, name: str, dims: tuple[str, ...], values: FloatArray, scale: str
) -> xr.Variable:
    currency, kpi = str(ds.attrs.get("currency", "")), str(ds.attrs.get("kpi", ""))
    about = attributes(name, currency=currency, kpi=kpi)
    units = about["units"] if scale == "identity" else "1"
    long_name = f"standard error of {about['long_name']}"
    return xr.Variable(dims, values, {"units": units, "long_name": long_name, "scale": scale})


def _total_errors(ds: xr.Dataset, information: Information, bound: Bound) -> dict[str, xr.Variable]:
    """Return the standard errors of contribution and ROAS, as shares and in units."""
    currency, kpi = str(ds.attrs.get("currency", "")), str(ds.attrs.get("kpi", ""))
    dims, row = (("channel",), 0) if information.pooled else (("geo", "channel"), slice(None))
    over = ("date", "geo") if information.pooled else ("date",)
    revenue = ds["revenue_per_kpi"].transpose("geo", "date").to_numpy()
    spend = ds["spend"].sum(over).transpose(*dims).to_numpy()
    contribution = ds["channel_contribution"]
    kpis = contribution.sum(over).transpose(*dims).to_numpy()
    revenues = (contribution * ds["revenue_per_kpi"]).sum(over).transpose(*dims).to_numpy()
    totals = {
        "channel_contribution": (np.ones_like(revenue), kpis, 1.0, kpi),
        "roas": (revenue, revenues, np.where(spend > 0, spend, np.nan), "1"),
    }
    names = {"channel_contribution": "total contribution", "roas": "return on ad spend"}
    variables = {}
    for name, (worth, truth, per, units) in totals.items():
        error = np.sqrt(bound.variance(information.totals(worth)))[row]
        share = np.where(truth != 0, error / np.where(truth != 0, np.abs(truth), 1), np.inf)
        long_name = f"standard error of the {names[name]}"
        about = {"units": "1", "long_name": f"{long_name}, as a share", "scale": "log"}
        variables[name] = xr.Variable(dims, share, about)
        units = f"{currency} / {currency}" if name == "roas" else units
        about = {"units": units, "long_name": long_name, "scale": "identity"}
        variables[f"{name}_in_units"] = xr.Variable(dims, error / per, about)
    return variables


def unidentified(information: Information, bound: Bound, geos: list[str]) -> list[str]:
    """Describe every direction along which expected sales do not change.

    A direction is a sum of steps on the link scales. ``saturation_beta[TV] - 1
    saturation_beta[Radio]`` says that one can rise as the other falls.
    """
    media = [f"{name}[{label}]" for name, label in information.media.labels]
    found = []
    for fit in np.flatnonzero(bound.null.any(axis=(1, 2))):
        here = list(range(len(geos))) if information.pooled else [int(fit)]
        where = "" if information.pooled else f" in {geos[fit]}"
        for direction in sparse_directions(bound.null[fit]):
            steps = direction / bound.scale[fit]
            names, sizes = list(media), [direction]
            values = [steps]
            for geo in here:
                answer = -bound.answer[geo] @ steps
                names += _baseline_names(information, geos[geo])
                sizes.append(answer * bound.baseline_scale[geo])
                values.append(answer)
            found.append(_in_words(names, np.concatenate(sizes), np.concatenate(values)) + where)
    for place in np.flatnonzero(bound.baseline_null.any(axis=(1, 2))):
        names = _baseline_names(information, geos[place])
        for direction in sparse_directions(bound.baseline_null[place]):
            found.append(_in_words(names, direction, direction / bound.baseline_scale[place]))
    return found


def _baseline_names(information: Information, geo: str) -> list[str]:
    return [
        f"{name}[{geo}, {label}]" if label else f"{name}[{geo}]"
        for name, label in information.baseline.labels
    ]


def _in_words(names: list[str], sizes: FloatArray, values: FloatArray) -> str:
    """Return a sum of steps as text, the largest step first and scaled to 1."""
    order = [int(i) for i in np.argsort(-np.abs(sizes), kind="stable") if abs(sizes[i]) > 1e-6]
    parts = [names[order[0]]]
    for position in order[1:TERMS]:
        step = values[position] / values[order[0]]
        parts.append(f"{'-' if step < 0 else '+'} {abs(step):.3g} {names[position]}")
    if len(order) > TERMS:
        parts.append(f"and {len(order) - TERMS} more")
    return " ".join(parts)
