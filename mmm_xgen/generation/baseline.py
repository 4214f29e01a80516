"""Baseline over time: trend, seasons, events and controls, from their true parameters."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray

from mmm_xgen.config.data import MMMDataConfig
from mmm_xgen.errors import ConfigError
from mmm_xgen.generation.parameters import Parameters
from mmm_xgen.kernels.baseline import (
    EVENT_SHAPES,
    event_intensity,
    fourier_basis,
    weekday_basis,
    yearly_basis,
)
from mmm_xgen.kernels.calendar import DAYS_IN_YEAR, Calendar
from mmm_xgen.kernels.domain import FloatArray


def parts(
    config: MMMDataConfig,
    truth: Parameters,
    calendar: Calendar,
    intensity: FloatArray,
    control_value: FloatArray,
    paths: Mapping[str, FloatArray],
) -> Parameters:
    """Return the parts of the baseline by Dataset name.

    Parameters
    ----------
    config : MMMDataConfig
        Kinds, which all datasets share.
    truth : mapping of str to array
        True parameters.
    calendar : Calendar
        Dates of the window.
    intensity : array, dims (event, date)
        Result of `intensities`.
    control_value : array, dims (dataset, control, geo, date)
        Values of the controls.
    paths : mapping of str to array
        Result of `baseline_paths`.

    Returns
    -------
    dict of str to array
        KPI units per period, dims (dataset, [item,] geo, date); base sales have no date.
    """
    base = truth["intercept_contribution"]
    found = {
        "intercept_contribution": base,
        "trend_contribution": trend(config, truth, calendar),
        "seasonality_contribution": seasonality(config, truth, calendar, paths.get("season_path")),
    }
    if "baseline_path" in paths:
        found["level_contribution"] = base[..., None] * (paths["baseline_path"] - 1)
    grows = np.array([event.scales == "baseline" for event in config.events], dtype=bool)
    some = grows.any() or any(each.scales == "baseline" for each in config.control_variables)
    # With a log link, all parts multiply the baseline of their date anyway.
    steady = total(found) if some and config.link == "identity" else None
    found["event_contribution"] = happening = events(truth, intensity, grows, steady)
    standing = None if steady is None else steady + happening
    found["control_contribution"] = control_effects(config, truth, control_value, standing)
    return found


def total(parts: Parameters) -> FloatArray:
    """Return the sum of parts, dims (dataset, geo, date).

    Parts of several items, such as controls, have the dims (dataset, item, geo, date).
    """
    base, *others = parts.values()
    found = base[..., None]
    for part in others:
        found = found + (part.sum(axis=1) if part.ndim == 4 else part)
    return found


def trend(config: MMMDataConfig, truth: Parameters, calendar: Calendar) -> FloatArray:
    """Return the contribution of the trend, dims (..., geo, date)."""
    spec = config.regions.trend
    base = truth["intercept_contribution"]
    values = {name: truth[f"trend_{name}"] for name in spec.parameters}
    shape = np.broadcast_shapes((1,) * base.ndim, *(each.shape for each in values.values()))
    # To the function of the kind, the geos of further datasets are further geos.
    rows = {name: np.broadcast_to(each, shape).reshape(-1, 1) for name, each in values.items()}
    share = np.asarray(spec.registered.function(calendar.period, **rows, **spec.settings))
    share = np.broadcast_to(share, np.broadcast_shapes(share.shape, (np.prod(shape), 1)))
    return np.asarray(base[..., None] * share.reshape(*shape, -1))


def seasonality(
    config: MMMDataConfig,
    truth: Parameters,
    calendar: Calendar,
    path: FloatArray | None = None,
) -> FloatArray:
    """Return the contribution of the yearly and all other seasons, dims (..., geo, date).

    `path` multiplies the yearly season, dims (..., geo, date).
    """
    regions = config.regions
    if "season_shift" in truth:
        yearly = _moving_season(truth["gamma_fourier"], calendar, truth["season_shift"])
    else:
        yearly = _weighted(truth["gamma_fourier"], yearly_basis(calendar, regions.fourier_modes))
    if path is not None:
        yearly = yearly * path
    bases = [
        weekday_basis(calendar)
        if season.weekday_effects is not None
        else fourier_basis(calendar.day, season.days, season.modes)
        for season in regions.seasonalities
    ]
    if not bases:
        return yearly
    return yearly + _weighted(truth["gamma_seasonal"], np.concatenate(bases))


def _moving_season(gamma: FloatArray, calendar: Calendar, shift: FloatArray) -> FloatArray:
    """Return the yearly season, which moves later by `shift` days per year, dims (..., geo)."""
    years = (calendar.day - calendar.day[0]) / DAYS_IN_YEAR
    turn = 2 * np.pi * (calendar.day_of_year - shift[..., None] * years) / DAYS_IN_YEAR
    modes = gamma.shape[-1] // 2
    season = np.zeros(np.broadcast_shapes((*gamma.shape[:-1], 1), turn.shape))
    for mode in range(modes):
        sine, cosine = gamma[..., mode, None], gamma[..., modes + mode, None]
        season = season + sine * np.sin((mode + 1) * turn) + cosine * np.cos((mode + 1) * turn)
    return season


def events(
    truth: Parameters,
    intensity: FloatArray,
    grows: NDArray[np.bool_] | None = None,
    steady: FloatArray | None = None,
) -> FloatArray:
    """Return the contribution of all events, dims (..., geo, date).

    Parameters
    ----------
    truth : mapping of str to array
        True parameters.
    intensity : array, dims (event, date)
        Result of `intensities`.
    grows : array of bool, dims (event,), optional
        Events whose effect is a share of `steady`, not of base sales.
    steady : array, dims (..., geo, date), optional
        Baseline without events and controls.
    """
    effect = truth["event_effect"]
    if grows is None or steady is None or not grows.any():
        return _weighted(effect, intensity)
    base = truth["intercept_contribution"][..., None]
    growth = np.divide(steady, base, out=np.ones_like(steady), where=base != 0)
    growing = growth * _weighted(effect[..., grows], intensity[grows])
    return growing + _weighted(effect[..., ~grows], intensity[~grows])


def _weighted(coefficients: FloatArray, basis: FloatArray) -> FloatArray:
    """Return (..., geo, mode) times (mode, date), summed over modes one by one.

    A matrix product would round differently with the number of geos.
    """
    return np.asarray(np.einsum("...gm,mt->...gt", coefficients, basis))


def intensities(config: MMMDataConfig, calendar: Calendar) -> FloatArray:
    """Return the intensity of every event in every period, dims (event, date)."""
    rows = []
    for event in config.events:
        shape = EVENT_SHAPES[event.shape].function
        if event.width_days is not None:
            shape = partial(shape, width_days=event.width_days)
        moments = calendar.moments(event.dates_in(config.calendar), event.years_around)
        rows.append(event_intensity(calendar, moments, shape, event.lag_days))
    return np.array(rows).reshape(len(rows), calendar.n_periods)


def control_effects(
    config: MMMDataConfig,
    truth: Parameters,
    value: FloatArray,
    standing: FloatArray | None = None,
) -> FloatArray:
    """Return the contribution of every control, dims (..., control, geo, date).

    Parameters
    ----------
    config : MMMDataConfig
        Controls.
    truth : mapping of str to array
        True parameters.
    value : array, dims (..., control, geo, date)
        Values of the controls.
    standing : array, dims (..., geo, date), optional
        Baseline without controls, which some elasticities act on.

    Raises
    ------
    ConfigError
        If a control with an elasticity is 0 somewhere: an elasticity is not defined there.
    """
    reference = truth["control_reference"][..., None, None]
    elasticity = truth["control_elasticity"].swapaxes(-1, -2)[..., None]
    numbers = np.result_type(elasticity, truth["intercept_contribution"], truth["gamma_control"])
    gamma = truth["gamma_control"].swapaxes(-1, -2)[..., None]
    contribution = gamma * (value - reference).astype(numbers)
    others = tuple(axis for axis in range(value.ndim) if axis != value.ndim - 3)
    elastic = ~np.isnan(elasticity[..., :1, :]).any(axis=others)
    without_price = elastic & (value <= 0).any(axis=others)
    if without_price.any():
        position = int(np.argmax(without_price))
        raise ConfigError(
            f"found a value of 0 or less of {config.control_names[position]!r}, allowed: above 0 "
            "with an elasticity; choose a pattern without zeros, or gamma_control",
            path=f"control_variables.{position}.elasticity",
        )
    base = truth["intercept_contribution"][..., None, :, None]
    if standing is not None:
        grows = np.zeros(value.shape[-3], dtype=bool)
        grows[: len(config.control_variables)] = [
            control.scales == "baseline" for control in config.control_variables
        ]
        base = np.where(grows[elastic][:, None, None], standing[..., None, :, :], base)
    at = (..., elastic, slice(None), slice(None))
    contribution[at] = base * np.expm1(elasticity[at] * _log_ratio(value[at], reference[at]))
    return np.asarray(contribution)


def _log_ratio(value: FloatArray, reference: FloatArray) -> FloatArray:
    """Return log(value / reference), with all digits even if the two are nearly equal."""
    change = (value - reference) / reference
    is_near = np.abs(change) < 0.5
    far = np.log(np.where(is_near, 1.0, value / reference))
    return np.asarray(np.where(is_near, np.log1p(np.where(is_near, change, 0.0)), far))
