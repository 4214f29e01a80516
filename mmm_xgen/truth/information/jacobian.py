"""Derivatives of expected sales by every free parameter, on its link scale.

They are taken through the functions that generate: the response function for media, and those of
`mmm_xgen.generation.baseline` for the rest. Derivatives are complex steps, exact to the last
digits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from mmm_xgen.config.data import MMMDataConfig
from mmm_xgen.dataset import config_of
from mmm_xgen.errors import SchemaError
from mmm_xgen.generation import baseline
from mmm_xgen.kernels.adstock import ADSTOCKS
from mmm_xgen.kernels.calendar import Calendar
from mmm_xgen.kernels.domain import POSITIVE, REAL, Domain, FloatArray
from mmm_xgen.kernels.saturation import SATURATIONS
from mmm_xgen.response import Media, amplitude_names, lag_weights, of_channels, stages
from mmm_xgen.schema import check_variables, describe
from mmm_xgen.truth.media import contribution, derivative, history_of, media_from, spend_of
from mmm_xgen.truth.what_if.counterfactual import check_contributions

BASELINE = ("intercept_contribution", "gamma_fourier", "gamma_seasonal", "event_effect")
CONTROLS = ("gamma_control", "control_elasticity")


@dataclass(frozen=True)
class Columns:
    """Derivatives of expected sales by a set of parameters.

    Parameters
    ----------
    labels : tuple of (str, str), one per column
        Name of the variable, and its label along channel, control, mode or event, or "".
    values : array, dims (geo, date, column)
        Change of expected sales by a unit change on the link scale, in KPI units per period.
    links : tuple of str, one per column
        Link scale: ``log``, ``logit`` or ``identity``.
    """

    labels: tuple[tuple[str, str], ...]
    values: FloatArray
    links: tuple[str, ...]

    def positions(self, name: str) -> list[int]:
        """Return the columns of the variable `name`."""
        return [column for column, label in enumerate(self.labels) if label[0] == name]

    def positions_at(self, label: str) -> list[int]:
        """Return the columns of all variables at one label, such as a channel."""
        return [column for column, each in enumerate(self.labels) if each[1] == label]

    def without(self, names: Iterable[str]) -> Columns:
        """Return all columns except those of some variables."""
        left = set(names)
        kept = [column for column, (name, _) in enumerate(self.labels) if name not in left]
        return Columns(
            tuple(self.labels[column] for column in kept),
            self.values[..., kept],
            tuple(self.links[column] for column in kept),
        )


@dataclass(frozen=True)
class Model:
    """True model of a Dataset, as arrays.

    Parameters
    ----------
    config : MMMDataConfig
        Configuration of the Dataset.
    calendar : Calendar
        Dates of the window.
    channels : tuple of str
        Labels of the channels.
    media : Media
        True response.
    spend : array, dims (channel, geo, date)
        Spend in currency per period.
    history : array, dims (channel, geo, history_date), or None
        Spend before the window.
    truth : mapping of str to array, dims (geo, ...)
        Parameters of the baseline by Dataset name.
    labels : mapping of str to tuple of str
        Labels of the dims of the baseline's parameters.
    control : array, dims (control, geo, date)
        Values of the controls.
    """

    config: MMMDataConfig
    calendar: Calendar
    channels: tuple[str, ...]
    media: Media
    spend: FloatArray
    history: FloatArray | None
    truth: Mapping[str, FloatArray]
    labels: Mapping[str, tuple[str, ...]]
    control: FloatArray

    def expected_sales(self) -> FloatArray:
        """Expected sales, dims (geo, date), in KPI units per period."""
        media = contribution(self.spend, self.media, self.history).sum(axis=0)
        return np.asarray(baseline_sales(self, self.truth) + media)


def model_of(ds: xr.Dataset) -> Model:
    """Return the true model of a generated Dataset.

    Raises
    ------
    SchemaError
        If `ds` lacks a parameter, a channel or a date of its window, as after an aggregation, or if
        its contributions do not follow from its spend.
    """
    config = config_of(ds)
    calendar = config.calendar.window()
    check_variables(ds, "spend", "intercept_contribution", "y_sigma")
    if ds.sizes["date"] != calendar.n_periods:
        raise SchemaError(
            f"found {ds.sizes['date']} dates, allowed: all {calendar.n_periods} that the Dataset "
            "was generated with, since trend and carry-over count from the first"
        )
    found = [str(name) for name in ds["channel"].values]
    if sorted(found) != sorted(config.channel_names):
        raise SchemaError(
            f"found the channels {found}, allowed: all of {config.channel_names}, which make "
            "the expected sales; select channels in the result"
        )
    media = media_from(ds, "information_bound, recoverability and what_would_help")
    _check_steady(ds, config)
    check_contributions(ds)
    _check_unknown_truth(ds, media)
    control = np.empty((0, ds.sizes["geo"], ds.sizes["date"]))
    if ds.sizes.get("control", 0):
        control = ds["control_value"].transpose("control", "geo", "date").to_numpy()
    dims = ("fourier_mode", "seasonal_mode", "event", "control")
    return Model(
        config=config,
        calendar=calendar,
        channels=tuple(map(str, ds["channel"].values)),
        media=media,
        spend=spend_of(ds),
        history=history_of(ds),
        truth=_baseline_truth(ds, config),
        labels={dim: tuple(map(str, ds[dim].values)) if dim in ds.dims else () for dim in dims},
        control=np.asarray(control, dtype=float),
    )


def _baseline_truth(ds: xr.Dataset, config: MMMDataConfig) -> dict[str, FloatArray]:
    """Return the parameters of the baseline, also those that a Dataset leaves out as empty."""
    trend = [f"trend_{name}" for name in config.regions.trend.parameters]
    truth = {}
    for name in (*BASELINE, *CONTROLS, "control_reference", *trend):
        dims = describe(name).dims
        if name in ds:
            check_variables(ds, name)
            truth[name] = np.asarray(ds[name].transpose(*dims).to_numpy(), dtype=float)
        else:
            truth[name] = np.empty([ds.sizes.get(dim, 0) for dim in dims])
    return truth


def _check_steady(ds: xr.Dataset, config: MMMDataConfig) -> None:
    """Raise if the baseline moves in ways that no parameter of it describes."""
    moves = [name for name in ("level_contribution", "season_path", "season_shift") if name in ds]
    scaled: tuple[Any, ...] = (*config.events, *config.control_variables)
    moves += [f"scales={each.scales!r}" for each in scaled if each.scales == "baseline"]
    if moves:
        raise SchemaError(
            f"found {moves[0]} in the Dataset, allowed for information_bound, recoverability and "
            "what_would_help: a baseline without level_path, season_path and season_shift, and "
            "events and controls with scales='base_sales'"
        )


def _check_unknown_truth(ds: xr.Dataset, media: Media) -> None:
    base = ds["intercept_contribution"].to_numpy()
    for name, values in {"effect": media.amplitude, "intercept_contribution": base}.items():
        if not np.all(np.isfinite(values)):
            raise SchemaError(
                f"{name!r} has missing values, so the truth is unknown; pass the Dataset that "
                "this one was aggregated from"
            )


def baseline_sales(model: Model, truth: Mapping[str, FloatArray]) -> FloatArray:
    """Return expected sales without media, dims (geo, date), for given baseline parameters."""
    config, calendar = model.config, model.calendar
    values = _of_one_dtype(truth)
    events = baseline.events(values, baseline.intensities(config, calendar))
    return np.asarray(
        values["intercept_contribution"][:, None]
        + baseline.trend(config, values, calendar)
        + baseline.seasonality(config, values, calendar)
        + events
        + baseline.control_effects(config, values, model.control).sum(axis=0)
    )


def _of_one_dtype(truth: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """Return all arrays as complex if one is, so that functions do not lose the complex step."""
    dtype = np.result_type(*truth.values())
    return {name: values.astype(dtype) for name, values in truth.items()}


def media_columns(model: Model, channels: list[int] | None = None) -> Columns:
    """Return derivatives by the media parameters, with one evaluation per parameter name.

    One evaluation serves all channels and geos, because they do not affect each other. The
    amplitude of a channel without effect has no log scale; its column is the response to one unit
    of effect (times the size of the geo under ``per_capita``).
    """
    index = list(range(len(model.channels))) if channels is None else channels
    media = of_channels(model.media, index)
    spend = model.spend[index]
    history = None if model.history is None else model.history[index]
    unit = stages(spend, media, lag_weights(media), history)[-1]
    domains = [_domains(media, position) for position in range(len(index))]
    names = list(dict.fromkeys(name for each in domains for name in each))
    labels, columns, links = [], [], []
    for name in names:
        domain = {c: each[name] for c, each in enumerate(domains) if name in each}
        slopes = derivative(partial(_moved_response, name, domain, media, spend, history))
        for position, each in domain.items():
            slope = slopes[position]
            if name == amplitude_of(media, position) and not media.amplitude[:, position].any():
                slope = unit[position] * _size(model)[:, None]
            labels.append((name, model.channels[index[position]]))
            columns.append(slope)
            links.append(each.link)
    values = np.stack(columns, axis=-1) if columns else np.empty((*spend.shape[1:], 0))
    return Columns(tuple(labels), values, tuple(links))


def amplitude_of(media: Media, channel: int) -> str:
    """Name of the parameter that scales the whole curve of a channel."""
    return amplitude_names([media.saturation_kind[channel]])[0]


def _size(model: Model) -> FloatArray:
    """Return the size of the geos that scales a common effect, dims (geo,)."""
    base = model.truth["intercept_contribution"]
    if model.config.regions.geo_response == "per_capita":
        return np.asarray(base / base.mean())
    return np.ones(model.spend.shape[1])


def _domains(media: Media, channel: int) -> dict[str, Domain]:
    """Free parameters of one channel, the amplitude included, by Dataset name.

    What PyMC-Marketing's component fixes is not free: it says nothing that the others do not.
    """
    adstock = ADSTOCKS[media.adstock_kind[channel]]
    saturation = SATURATIONS[media.saturation_kind[channel]]
    return {
        **{f"adstock_{name}": each.domain for name, each in adstock.parameters.items()},
        **{
            f"saturation_{name}": each.domain
            for name, each in saturation.shown.items()
            if name not in saturation.constants
        },
    }


def _moved_response(
    name: str,
    domain: Mapping[int, Domain],
    media: Media,
    spend: FloatArray,
    history: FloatArray | None,
    step: complex,
) -> FloatArray:
    """Return the contribution with one parameter of all channels moved on its link scale."""
    dtype = np.result_type(type(step), float)
    values = np.array(media.parameters[name], dtype=dtype)
    for channel, each in domain.items():
        values[:, channel] = each.vary(values[:, channel], step)
    parameters = {**media.parameters, name: values}
    return contribution(spend, replace(media, parameters=parameters), history)


def baseline_columns(model: Model) -> Columns:
    """Return derivatives by the parameters of the baseline, separate for each geo.

    The intercept scales base sales and everything that is a share of it: trend and elastic
    controls. Coefficients in KPI units stay.
    """
    parts = [_of_geos(model), *_of_modes(model), *_of_controls(model)]
    return Columns(
        tuple(label for part in parts for label in part.labels),
        np.concatenate([part.values for part in parts], axis=-1),
        tuple(link for part in parts for link in part.links),
    )


def _of_geos(model: Model) -> Columns:
    """Return the columns of intercept and trend: one number per geo each."""
    kind = model.config.regions.trend.registered
    domains = {
        "intercept_contribution": POSITIVE,
        **{f"trend_{name}": each.domain for name, each in kind.parameters.items()},
    }

    def moved(name: str, step: complex) -> FloatArray:
        values = np.asarray(domains[name].vary(model.truth[name].astype(type(step)), step))
        return baseline_sales(model, {**model.truth, name: values})

    columns = [derivative(partial(moved, name)) for name in domains]
    links = tuple(str(domain.link) for domain in domains.values())
    return Columns(tuple((name, "") for name in domains), np.stack(columns, axis=-1), links)


def _of_modes(model: Model) -> list[Columns]:
    """Return the columns of seasons and events: the baseline of unit coefficients."""
    yearly, other = len(model.labels["fourier_mode"]), len(model.labels["seasonal_mode"])
    unit = np.eye(yearly + other)
    coefficients = {"gamma_fourier": unit[:, :yearly], "gamma_seasonal": unit[:, yearly:]}
    basis = np.empty((0, model.calendar.n_periods))
    if yearly + other:
        basis = baseline.seasonality(model.config, coefficients, model.calendar)
    intensity = baseline.intensities(model.config, model.calendar)
    rows = {
        ("gamma_fourier", "fourier_mode"): basis[:yearly],
        ("gamma_seasonal", "seasonal_mode"): basis[yearly:],
        ("event_effect", "event"): intensity,
    }
    n_geos = model.spend.shape[1]
    return [
        Columns(
            tuple((name, label) for label in model.labels[dim]),
            np.broadcast_to(values.T, (n_geos, *values.T.shape)),
            (REAL.link,) * len(values),
        )
        for (name, dim), values in rows.items()
    ]


def _of_controls(model: Model) -> list[Columns]:
    """Return the columns of the controls, each with a linear effect or an elasticity."""
    if not len(model.control):
        return []

    def moved(name: str, step: complex) -> FloatArray:
        moved_truth = np.asarray(model.truth[name] + step)
        values = _of_one_dtype({**model.truth, name: moved_truth})
        return baseline.control_effects(model.config, values, model.control)

    parts = []
    for name in CONTROLS:
        free = np.flatnonzero(~np.isnan(model.truth[name]).any(axis=0))
        if not len(free):
            continue
        slopes = derivative(partial(moved, name))[free]
        labels = tuple((name, model.labels["control"][position]) for position in free)
        parts.append(Columns(labels, np.moveaxis(slopes, 0, -1), (REAL.link,) * len(free)))
    return parts
