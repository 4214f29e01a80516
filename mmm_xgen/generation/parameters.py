"""True parameters: configured means, and the variation of the geos around them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from mmm_xgen.config.causes import channel_position
from mmm_xgen.config.channel import ControlConfig
from mmm_xgen.config.data import MMMDataConfig
from mmm_xgen.config.event import event_places
from mmm_xgen.config.region import DEFAULT_VOLATILITY, RegionConfig
from mmm_xgen.config.specs import AdstockSpec, NoiseSpec, SaturationSpec, days_in_half_life
from mmm_xgen.generation.batch import Batch
from mmm_xgen.generation.promotions import promotion_parameters
from mmm_xgen.kernels.baseline import fourier_basis
from mmm_xgen.kernels.calendar import DAYS_IN_YEAR, PEAK_DAY
from mmm_xgen.kernels.domain import POSITIVE, FloatArray
from mmm_xgen.kernels.saturation import SATURATIONS
from mmm_xgen.response import scaled_curves

Parameters = dict[str, FloatArray]

DEFAULT_POPULATION = 1_000_000.0
# Columns of the draws of one geo: base sales, trend, size and timing of the season, noise.
BASELINE_COLUMNS = 5
# Columns of the draws of one channel and geo: base spend, effect, then adstock and saturation.
CHANNEL_COLUMNS = 18
FIRST_ADSTOCK_COLUMN, FIRST_SATURATION_COLUMN = 2, 10


def draw_baseline(batch: Batch, base: FloatArray | None = None) -> Parameters:
    """Return size, base sales, trend, seasons, events, controls and connections of channels.

    Parameters
    ----------
    batch : Batch
        Configurations and seeds.
    base : array, dims (dataset, geo), optional
        Base sales that replace random ones.

    Returns
    -------
    dict of str to array
        Dims (dataset, ...); `dataset` has length 1 if the values do not depend on it.
    """
    regions = batch.shared.regions
    sizes = _sizes(batch)
    scale = sizes["geo_scale"]
    sd = _variation(batch, "baseline_variation")
    shift = _shift(batch, sd, (scale.shape[-1], BASELINE_COLUMNS))
    if base is None:
        rate = batch.each_region(lambda regions: regions.base_sales_rate)[:, None]
        base = rate * scale * np.exp(shift[..., 0])
    share = base_of_shares(batch, base)
    slope = np.exp(shift[..., 1])
    trend = {
        f"trend_{name}": batch.each_region(partial(_trend_parameter, name=name))[:, None] * slope
        for name in regions.trend.parameters
    }
    other = batch.each_region(_other_seasons)[:, None]
    seasons = {
        "gamma_fourier": share[..., None] * _yearly(batch, np.exp(shift[..., 2]), shift[..., 3]),
        "gamma_seasonal": share[..., None] * other * np.exp(shift[..., 2:3]),
    }
    if regions.season_shift is not None:
        moves = batch.each_region(lambda regions: regions.season_shift)
        seasons["season_shift"] = moves[:, None] * np.ones_like(scale)
    events = batch.each(lambda config: [event.effect for event in config.events])
    return {
        **sizes,
        "intercept_contribution": base,
        **trend,
        **seasons,
        "event_effect": share[..., None] * _where_they_happen(batch, events),
        **_connections(batch, share, sizes["population"]),
        **promotion_parameters(batch, base),
        **_controls(batch, scale),
        **_noise(batch, share, scale),
        **_capacity(batch, base),
    }


def _where_they_happen(batch: Batch, events: FloatArray) -> FloatArray:
    """Return the effects of events, dims (dataset, event), as (dataset, geo, event); 0 elsewhere.

    The dim `geo` has length 1 if all events happen in all geos.
    """
    config = batch.shared
    if not any(event.geos for event in config.events):
        return events[:, None]
    is_there = event_places(config.events, config.regions.names)
    return np.where(is_there, events[:, None], 0.0)


def base_of_shares(batch: Batch, base: FloatArray) -> FloatArray:
    """Return what a share of base sales multiplies: 1 if it is a number of log points."""
    return np.ones_like(base) if batch.shared.link == "log" else base


def _variation(batch: Batch, factor: str) -> FloatArray:
    """Return one of the three variations: sd on the link scale, dims (dataset,)."""
    return batch.each_region(lambda regions: regions.variation(factor))


def _shift(batch: Batch, sd: FloatArray, shape: tuple[int, int]) -> FloatArray:
    """Return normal draws times their sd, dims (dataset, *shape), or zeros if all are 0."""
    if not sd.any():
        return np.zeros((1, *shape))
    return sd[:, None, None] * batch.draws([("baseline",)], shape)[:, 0]


def _trend_parameter(regions: RegionConfig, name: str) -> float:
    return float(getattr(regions.trend, name))


def _sizes(batch: Batch) -> Parameters:
    population = batch.each_region(
        lambda regions: regions.population or [DEFAULT_POPULATION] * regions.n_regions
    )
    reference = batch.each_region(
        lambda regions: (
            regions.population_reference or (regions.population or [DEFAULT_POPULATION])[0]
        )
    )
    return {"population": population, "geo_scale": population / reference[:, None]}


def _yearly(batch: Batch, size: FloatArray, phase: FloatArray) -> FloatArray:
    """Return the yearly Fourier coefficients as a share of base sales, (..., geo, mode).

    The first harmonic has the configured phase. Each further harmonic has half the amplitude of the
    one before and a random phase. Together they swing by the configured amplitude.
    """
    modes = batch.shared.regions.fourier_modes
    if modes == 0:
        return np.empty((*size.shape, 0))
    harmonic = np.arange(1, modes + 1)
    start = batch.each_region(lambda regions: regions.seasonal_phase)[:, None]
    turns = np.zeros((1, modes))
    if modes > 1:
        turns = 2 * np.pi * batch.draws([("seasonality",)], (modes,), uniform=True)[:, 0]
        turns[:, 0] = 0
    angle = 2 * np.pi * harmonic * PEAK_DAY / DAYS_IN_YEAR + harmonic * start
    weight = 0.5 ** (harmonic - 1.0)
    sines, cosines = weight * np.sin(angle + turns), weight * np.cos(angle + turns)
    amplitude = batch.each_region(lambda regions: regions.seasonal_amplitude)
    if modes > 1:
        amplitude = amplitude / _swing(np.concatenate([sines, cosines], axis=-1))
    # A shift of the whole curve in time changes the angle of harmonic k by k times the shift.
    turn = harmonic * phase[..., None]
    sines, cosines = sines[:, None], cosines[:, None]
    turned = [
        sines * np.cos(turn) + cosines * np.sin(turn),
        cosines * np.cos(turn) - sines * np.sin(turn),
    ]
    return np.concatenate(turned, axis=-1) * (amplitude[:, None, None] * size[..., None])


def _swing(shape: FloatArray) -> FloatArray:
    """Return half the distance from trough to peak over a year of curves, dims (dataset,)."""
    basis = fourier_basis(np.arange(1.0, 367.0), DAYS_IN_YEAR, shape.shape[-1] // 2)
    # One product per curve: one product for all would round differently with their number.
    curve = (shape[:, None] @ basis)[:, 0]
    return np.asarray((curve.max(axis=-1) - curve.min(axis=-1)) / 2)


def _other_seasons(regions: RegionConfig) -> FloatArray:
    """Return the coefficients of the other seasons as a share of base sales, (mode,)."""
    coefficients: list[float] = []
    for season in regions.seasonalities:
        if season.weekday_effects is not None:
            coefficients += season.weekday_effects
            continue
        weight = season.amplitude * 0.5 ** np.arange(season.modes)
        coefficients += [*(weight * np.sin(season.phase)), *(weight * np.cos(season.phase))]
    return np.array(coefficients)


def _controls(batch: Batch, geo_scale: FloatArray) -> Parameters:
    shared = batch.shared
    others = len(shared.control_names) - len(shared.control_variables)

    def of_controls(read: Callable[[ControlConfig], float | None]) -> FloatArray:
        # Controls of other mechanisms have no effect of their own.
        return batch.each(
            lambda config: [read(each) or 0.0 for each in config.control_variables] + [0.0] * others
        )

    elastic = np.array([each.elasticity is not None for each in shared.control_variables], bool)
    elastic = np.append(elastic, np.zeros(others, bool))
    size = geo_scale
    if shared.link == "log":
        # As a share of the base sales of a geo of reference size, it is the same in all geos.
        rate = batch.each_region(lambda regions: regions.base_sales_rate)[:, None]
        size = np.ones_like(geo_scale) / rate
    gamma = of_controls(lambda control: control.gamma_control)[:, None] * size[..., None]
    elasticity = of_controls(lambda control: control.elasticity)[:, None]
    everywhere = np.ones_like(geo_scale)[..., None]
    return {
        "gamma_control": np.where(elastic, np.nan, gamma),
        "control_elasticity": np.where(elastic, elasticity, np.nan) * everywhere,
        "control_reference": of_controls(lambda control: control.zero_point),
    }


def _connections(batch: Batch, base: FloatArray, population: FloatArray) -> Parameters:
    """Return the strengths of what connects channels and geos, dims (dataset, geo, item)."""
    funnels = batch.each(lambda config: [each.strength for each in config.funnels])
    pairs = batch.each(lambda config: [each.strength for each in config.interactions])
    found = {}
    # With a population, media add pressure, and only what it buys is a share of base sales.
    added = base if batch.shared.response is None else np.ones_like(base)
    if batch.shared.funnels:
        found["funnel_strength"] = funnels[:, None] * np.ones_like(base)[..., None]
    if batch.shared.interactions:
        found["interaction_strength"] = pairs[:, None] * added[..., None]
    if any(channel.pull_forward for channel in batch.shared.channels):
        pulls = batch.each(
            lambda config: [
                each.pull_forward.share if each.pull_forward else 0.0 for each in config.channels
            ]
        )
        found["pull_forward_share"] = pulls[:, None] * np.ones_like(base)[..., None]
    if batch.shared.competitor is not None:
        share = batch.each(lambda config: config.competitor.share)  # type: ignore[union-attr]
        found["competitor_effect"] = share[:, None] * base
    if spills_over(batch.shared):
        found["spillover"] = batch.each(
            lambda config: [channel.spillover or 0.0 for channel in config.channels]
        )
        found["spillover_share"] = population / population.sum(axis=-1, keepdims=True)
    if batch.shared.response is not None:
        found |= _population(batch, base)
    return found | (_mediators(batch, added) if batch.shared.mediators else {})


def spills_over(config: MMMDataConfig) -> bool:
    """Tell if media spill over between geos."""
    stated = any(channel.spillover is not None for channel in config.channels)
    return stated and config.regions.n_regions > 1


def _mediators(batch: Batch, unit: FloatArray) -> Parameters:
    """Return loadings, persistence and effects of the mediators, for the size of a share."""
    names = batch.shared.channel_names
    loading = np.zeros((len(batch.configs), len(batch.shared.mediators), len(names)))
    for dataset, config in enumerate(batch.configs):
        for row, mediator in enumerate(config.mediators):
            for parent, rise in mediator.parents.items():
                loading[dataset, row, channel_position(parent, names)] = rise
    effect = batch.each(lambda config: [each.effect for each in config.mediators])
    return {
        "mediator_loading": loading,
        "mediator_persistence": batch.each(
            lambda config: [each.persistence for each in config.mediators]
        ),
        "mediator_effect": effect[:, None] * unit[..., None],
    }


def _population(batch: Batch, base: FloatArray) -> Parameters:
    """Return what a population buys where all of it buys, and its rates, dims (dataset, geo)."""

    def each(name: str) -> FloatArray:
        return batch.each(lambda config: getattr(config.response, name))[:, None]

    rates = batch.shared.response.parameters if batch.shared.response else ()
    return {
        "response_size": each("size") * base,
        **{f"response_{name}": each(name) * np.ones_like(base) for name in rates},
    }


def _noise(batch: Batch, base: FloatArray, geo_scale: FloatArray) -> Parameters:
    """Return the parameters of the noise; ``y_sigma`` is NaN if a target R² decides it."""
    noise = batch.shared.regions.noise
    if noise.r_squared is not None:
        sigma = np.full_like(base, np.nan)
    elif noise.y_sigma is not None:
        stated = batch.each_region(lambda regions: regions.noise.y_sigma)
        # A list has the sd of every geo; a number is the sd of a geo of reference size.
        sigma = stated if stated.ndim == 2 else stated[:, None] * base_of_shares(batch, geo_scale)
    else:
        sigma = base * batch.each_region(lambda regions: _volatility(regions.noise))[:, None]
    everywhere = np.ones((1, base.shape[-1]))
    named = {
        f"noise_{name}": batch.each_region(partial(_noise_parameter, name=name))[:, None]
        * everywhere
        for name in noise.parameters
    }
    return {"y_sigma": sigma, **named}


def _capacity(batch: Batch, base: FloatArray) -> Parameters:
    """Return the largest sales of each geo, a multiple of its base sales."""
    regions = batch.shared.regions
    if regions.capacity is None:
        return {}
    capacity = base * batch.each_region(lambda regions: regions.capacity)[:, None]
    # Counts stay counts.
    return {
        "capacity": np.floor(capacity) if regions.noise.kind == "negative_binomial" else capacity
    }


def _volatility(noise: NoiseSpec) -> float:
    return DEFAULT_VOLATILITY if noise.sales_volatility is None else noise.sales_volatility


def _noise_parameter(regions: RegionConfig, name: str) -> float:
    return float(getattr(regions.noise, name))


def draw_media(batch: Batch, baseline: Parameters) -> Parameters:
    """Return the parameters of channels, dims (dataset, geo, channel), with population mean and sd.

    The effect is inside the amplitudes of the curves. That of a channel with a `roas` is relative
    and solved on its contribution.
    """
    config = batch.shared
    size = baseline["geo_scale"][..., None]
    sd = _variation(batch, "channel_param_variation")
    transform_sd = _variation(batch, "transform_variation")
    normal = _media_draws(batch, size.shape[-2], any_varies=bool(sd.any() or transform_sd.any()))
    drawn = normal if sd.any() else normal[:1]
    varied = np.exp(sd[:, None, None, None] * drawn[..., :2].swapaxes(1, 2))
    per_capita = config.regions.geo_response == "per_capita"
    base_spend = batch.each(lambda config: [each.base_spend for each in config.channels])
    effectiveness = batch.each(lambda config: [each.effectiveness for each in config.channels])
    rate = batch.each_region(lambda regions: regions.base_sales_rate)[:, None]
    # Base sales already scale with the size of the geo, so shares of them are not scaled again.
    sales = base_of_shares(batch, baseline["intercept_contribution"] if per_capita else rate)
    rate = base_of_shares(batch, rate)
    if config.response is not None:
        # The effect is a rate, and only the size of the response is a share of base sales.
        sales, rate = np.ones_like(sales), np.ones_like(rate)
    with_sales = per_capita and config.response is None and config.link == "identity"
    effect_sd = np.hypot(sd, _variation(batch, "baseline_variation") if with_sales else 0.0)
    counts_base_spend = np.array(config.counts_base_spend, dtype=bool) & (base_spend > 0)
    unit = np.where(counts_base_spend, base_spend, 1.0)[:, None]
    effect = effectiveness[:, None] * sales[..., None] * varied[..., 1]
    curves = _saturation_parameters(batch, normal, transform_sd)
    kinds = tuple(spec.kind for spec in config.saturations)
    return {
        "base_spend": base_spend[:, None] * size * varied[..., 0],
        "spend_unit": unit * (size if per_capita else np.ones_like(size)),
        "effect": effect,
        "effect_mean": POSITIVE.to_link(effectiveness * base_of_shares(batch, rate)),
        "effect_sd": np.repeat(effect_sd[:, None], len(config.channels), axis=1),
        **_adstock_parameters(batch, normal, transform_sd),
        **curves,
        **scaled_curves(_with_amplitudes(curves, kinds, effect.shape), effect, kinds),
    }


def _media_draws(batch: Batch, geos: int, *, any_varies: bool) -> FloatArray:
    """Return normal draws of every channel, dims (dataset, channel, geo, column), or zeros."""
    names = batch.shared.channel_names
    if not any_varies:
        return np.zeros((1, len(names), geos, CHANNEL_COLUMNS))
    return batch.draws([("parameters", name) for name in names], (geos, CHANNEL_COLUMNS))


def _adstock_parameters(batch: Batch, normal: FloatArray, sd: FloatArray) -> Parameters:
    days = batch.shared.calendar.mean_days
    means = [[_adstock_means(spec, days) for spec in config.adstocks] for config in batch.configs]
    draws = normal[..., FIRST_ADSTOCK_COLUMN:]
    return _varied("adstock_", batch.shared.adstocks, means, draws, sd)


def _adstock_means(spec: AdstockSpec, days_in_period: float) -> dict[str, float]:
    if spec.half_life is None:
        return spec.parameters
    periods = days_in_half_life(spec.half_life) / days_in_period
    return {**spec.parameters, "alpha": spec.registered.alpha_at(periods)}  # type: ignore[attr-defined]


def _saturation_parameters(batch: Batch, normal: FloatArray, sd: FloatArray) -> Parameters:
    counts = batch.shared.counts_base_spend
    means = [
        [
            _saturation_means(spec, 1.0 if in_base_spend else channel.base_spend)
            for spec, channel, in_base_spend in zip(
                config.saturations, config.channels, counts, strict=True
            )
        ]
        for config in batch.configs
    ]
    draws = normal[..., FIRST_SATURATION_COLUMN:]
    return _varied("saturation_", batch.shared.saturations, means, draws, sd)


def _with_amplitudes(
    curves: Parameters, kinds: tuple[str, ...], shape: tuple[int, ...]
) -> Parameters:
    """Parameters of the curves by geo, with an amplitude of 1 where a kind has none of its own."""
    own = {name: each for name, each in curves.items() if not name.endswith(("_mean", "_sd"))}
    for channel, kind in enumerate(kinds):
        if SATURATIONS[kind].amplitude is None:
            beta = own.setdefault("saturation_beta", np.full(shape, np.nan))
            beta[..., channel] = 1.0
    return own


def _saturation_means(spec: SaturationSpec, base_spend: float) -> dict[str, float]:
    """Return the means of the parameters; unset ones in units of spend follow the base spend."""
    means = spec.parameters
    for name, parameter in spec.registered.parameters.items():
        if means[name] is None:
            scale = base_spend if base_spend > 0 else 1.0
            means[name] = parameter.default * scale**parameter.spend_power
    to_component = SATURATIONS[spec.kind].to_component
    return to_component(means) if to_component else means


def _varied(
    prefix: str,
    specs: Sequence[AdstockSpec] | Sequence[SaturationSpec],
    means: list[list[dict[str, float]]],
    normal: FloatArray,
    sd: FloatArray,
) -> Parameters:
    """Return the parameters of all kinds in use; NaN if a channel's kind does not have one."""
    if not sd.any():
        normal = np.zeros((1, *normal.shape[1:]))
    n_channels, n_geos = normal.shape[1:3]
    rows = max(len(means), len(normal))
    parameters: Parameters = {}
    for kind in dict.fromkeys(spec.registered for spec in specs):
        index = [i for i, spec in enumerate(specs) if spec.registered is kind]
        for column, (name, parameter) in enumerate(kind.parameters.items()):
            full = prefix + name
            if full not in parameters:
                parameters[full] = np.full((rows, n_geos, n_channels), np.nan)
                parameters[f"{full}_mean"] = np.full((len(means), n_channels), np.nan)
                parameters[f"{full}_sd"] = np.full((len(sd), n_channels), np.nan)
            values = np.array([[each[i][name] for i in index] for each in means], dtype=float)
            own_sd = sd if parameter.varies else np.zeros_like(sd)
            shift = own_sd[:, None, None] * normal[..., column][:, index].swapaxes(1, 2)
            varied = parameter.domain.vary(values[:, None], shift)
            parameters[full][..., index] = varied
            parameters[f"{full}_mean"][:, index] = parameter.domain.to_link(values)
            parameters[f"{full}_sd"][:, index] = own_sd[:, None]
    return parameters


def fold_population(truth: Parameters, factor: FloatArray, kinds: tuple[str, ...]) -> Parameters:
    """Return population mean and sd, on the log scale, of the effect and of what contains it.

    Parameters
    ----------
    truth : mapping of str to array
        Parameters, with the effect before the factor.
    factor : array, dims (dataset, channel)
        Factor that multiplied the effect to meet a target ROAS.
    kinds : tuple of str, one per channel
        Kinds of saturation.
    """
    shift = POSITIVE.to_link(np.abs(factor))
    effect = np.array(np.broadcast_arrays(truth["effect_mean"] + shift, truth["effect_sd"]))
    folded: Parameters = {"effect_mean": effect[0], "effect_sd": effect[1]}
    for name in dict.fromkeys(kinds):
        kind = SATURATIONS[name]
        index = [i for i, each in enumerate(kinds) if each == name]
        own = effect[..., index]
        if kind.amplitude is None:
            # An amplitude of 1, which does not vary.
            _put(folded, truth, "saturation_beta", index, own, alone=True)
        else:
            _put(folded, truth, f"saturation_{kind.amplitude}", index, own)
        if kind.over_amplitude:
            # The effect of a placebo is 0 and cannot divide; keep the parameter as configured.
            shrunk = np.where(np.isneginf(own[0]), 0, own) * [[[-1]], [[1]]]
            _put(folded, truth, f"saturation_{kind.over_amplitude}", index, shrunk)
    return folded


def _put(
    folded: Parameters,
    truth: Parameters,
    name: str,
    index: list[int],
    effect: FloatArray,
    *,
    alone: bool = False,
) -> None:
    """Add mean and variance of the effect to those of one parameter, or store them alone."""
    mean, sd = f"{name}_mean", f"{name}_sd"
    for suffixed in (mean, sd):
        known = truth.get(suffixed, np.array(np.nan))
        folded.setdefault(suffixed, np.array(np.broadcast_to(known, folded["effect_sd"].shape)))
    folded[mean][:, index] = effect[0] if alone else folded[mean][:, index] + effect[0]
    folded[sd][:, index] = effect[1] if alone else np.hypot(folded[sd][:, index], effect[1])
