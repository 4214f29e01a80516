"""The true parameters: configured means, and how the geos vary around them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mmm_xgen.config.data import MMMDataConfig
from mmm_xgen.config.region import DEFAULT_VOLATILITY, RegionConfig
from mmm_xgen.config.specs import AdstockSpec, SaturationSpec, days_in_half_life
from mmm_xgen.kernels.baseline import fourier_basis
from mmm_xgen.kernels.calendar import DAYS_IN_YEAR, PEAK_DAY
from mmm_xgen.kernels.domain import POSITIVE, FloatArray
from mmm_xgen.kernels.saturation import SATURATIONS
from mmm_xgen.streams import stream

Parameters = dict[str, FloatArray]

DEFAULT_POPULATION = 1_000_000.0
# Columns of the draws of one geo: base sales, trend, size and timing of the season, noise.
BASELINE_COLUMNS = 5
# Columns of the draws of one channel and geo: base spend, effect, then adstock and saturation.
CHANNEL_COLUMNS = 18
FIRST_ADSTOCK_COLUMN, FIRST_SATURATION_COLUMN = 2, 10


def draw_baseline(config: MMMDataConfig, base: FloatArray | None = None) -> Parameters:
    """Parameters of size, base sales, trend, seasons, events and controls, by Dataset name.

    Parameters
    ----------
    config : MMMDataConfig
        What is configured.
    base : array, dims (geo,), optional
        Base sales in place of drawn ones.
    """
    regions = config.regions
    sizes = _sizes(regions)
    geos = len(sizes["geo_scale"])
    normal = stream(config.seed, "baseline").standard_normal((geos, BASELINE_COLUMNS))
    shift = regions.variation("baseline_variation") * normal
    if base is None:
        base = regions.base_sales_rate * sizes["geo_scale"] * np.exp(shift[:, 0])
    trend = {
        f"trend_{name}": value * np.exp(shift[:, 1])
        for name, value in regions.trend.parameters.items()
    }
    seasons = {
        "gamma_fourier": base[:, None] * _yearly(config, np.exp(shift[:, 2]), shift[:, 3]),
        "gamma_seasonal": base[:, None] * _other_seasons(regions) * np.exp(shift[:, 2:3]),
    }
    events = np.array([event.effect for event in config.events])
    return {
        **sizes,
        "intercept_contribution": base,
        **trend,
        **seasons,
        "event_effect": base[:, None] * events,
        **_controls(config, sizes["geo_scale"]),
        **_noise(regions, base, sizes["geo_scale"]),
    }


def _sizes(regions: RegionConfig) -> Parameters:
    population = np.array(regions.population or [DEFAULT_POPULATION] * regions.n_regions)
    reference = regions.population_reference or population[0]
    return {"population": population, "geo_scale": population / reference}


def _yearly(config: MMMDataConfig, size: FloatArray, phase: FloatArray) -> FloatArray:
    """Coefficients of the yearly sines and cosines as a share of base sales, (geo, mode).

    The first harmonic has the configured phase; each further one half the amplitude of the one
    before and a drawn phase. Together they swing by the configured amplitude.
    """
    regions = config.regions
    modes = regions.fourier_modes
    if modes == 0:
        return np.empty((len(size), 0))
    harmonic = np.arange(1, modes + 1)
    turns = 2 * np.pi * stream(config.seed, "seasonality").random(modes)
    turns[0] = 0
    angle = 2 * np.pi * harmonic * PEAK_DAY / DAYS_IN_YEAR + harmonic * regions.seasonal_phase
    weight = 0.5 ** (harmonic - 1.0)
    shape = np.concatenate([weight * np.sin(angle + turns), weight * np.cos(angle + turns)])
    curve = shape @ fourier_basis(np.arange(1.0, 367.0), DAYS_IN_YEAR, modes)
    swing = (curve.max() - curve.min()) / 2 if modes > 1 else 1.0
    # A shift of the whole curve in time turns harmonic k by k times the angle.
    sines, cosines = shape[:modes], shape[modes:]
    turn = harmonic * phase[:, None]
    turned = [
        sines * np.cos(turn) + cosines * np.sin(turn),
        cosines * np.cos(turn) - sines * np.sin(turn),
    ]
    return np.concatenate(turned, axis=1) * (regions.seasonal_amplitude / swing * size[:, None])


def _other_seasons(regions: RegionConfig) -> FloatArray:
    """Coefficients of the other seasons as a share of base sales, (mode,)."""
    coefficients: list[float] = []
    for season in regions.seasonalities:
        if season.weekday_effects is not None:
            coefficients += season.weekday_effects
            continue
        weight = season.amplitude * 0.5 ** np.arange(season.modes)
        coefficients += [*(weight * np.sin(season.phase)), *(weight * np.cos(season.phase))]
    return np.array(coefficients)


def _controls(config: MMMDataConfig, geo_scale: FloatArray) -> Parameters:
    controls = config.control_variables
    elastic = np.array([control.elasticity is not None for control in controls], dtype=bool)
    gamma = np.array([control.gamma_control or 0.0 for control in controls])
    elasticity = np.array([control.elasticity or 0.0 for control in controls])
    everywhere = np.ones_like(geo_scale)[:, None]
    return {
        "gamma_control": np.where(elastic, np.nan, gamma * geo_scale[:, None]),
        "control_elasticity": np.where(elastic, elasticity, np.nan) * everywhere,
        "control_reference": np.array([control.zero_point for control in controls]),
    }


def _noise(regions: RegionConfig, base: FloatArray, geo_scale: FloatArray) -> Parameters:
    """Parameters of the noise; ``y_sigma`` is NaN where a target R² decides it."""
    noise = regions.noise
    if noise.r_squared is not None:
        sigma = np.full_like(base, np.nan)
    elif noise.y_sigma is not None:
        # A list states the sd of every geo, a number that of a geo of reference size.
        is_list = isinstance(noise.y_sigma, tuple)
        sigma = np.array(noise.y_sigma) if is_list else noise.y_sigma * geo_scale
    else:
        share = noise.sales_volatility
        sigma = base * (DEFAULT_VOLATILITY if share is None else share)
    named = {f"noise_{name}": np.full_like(base, v) for name, v in noise.parameters.items()}
    return {"y_sigma": np.asarray(sigma, dtype=float), **named}


def draw_media(config: MMMDataConfig, baseline: Parameters) -> Parameters:
    """Parameters of the channels, dims (geo, channel), with their population mean and sd.

    Saturation parameters are those of the curve, before the effect; the effect of a channel
    with a `roas` is relative and solved on its contribution.
    """
    regions = config.regions
    geos = len(baseline["geo_scale"])
    names = config.channel_names
    normal = np.empty((len(names), geos, CHANNEL_COLUMNS))
    for position, name in enumerate(names):
        stream(config.seed, "parameters", name).standard_normal(out=normal[position])
    sd = regions.variation("channel_param_variation")
    size = baseline["geo_scale"][:, None]
    per_capita = regions.geo_response == "per_capita"
    base_spend = np.array([channel.base_spend for channel in config.channels])
    effectiveness = np.array([channel.effectiveness for channel in config.channels])
    # Base sales carry the size of the geo already, so each is scaled once.
    sales = baseline["intercept_contribution"][:, None] if per_capita else regions.base_sales_rate
    effect_sd = np.hypot(sd, regions.variation("baseline_variation") if per_capita else 0.0)
    counts_base_spend = (config.transforms.spend_unit == "base_spend") & (base_spend > 0)
    unit = np.where(counts_base_spend, base_spend, 1.0)
    return {
        "base_spend": base_spend * size * np.exp(sd * normal[..., 0].T),
        "spend_unit": unit * (size if per_capita else np.ones_like(size)),
        "effect": effectiveness * sales * np.exp(sd * normal[..., 1].T),
        "effect_mean": POSITIVE.to_link(effectiveness * regions.base_sales_rate),
        "effect_sd": np.full(len(names), effect_sd),
        **_adstock_parameters(config, normal, regions.variation("transform_variation")),
        **_saturation_parameters(config, normal, regions.variation("transform_variation")),
    }


def _adstock_parameters(config: MMMDataConfig, normal: FloatArray, sd: float) -> Parameters:
    means = [_adstock_means(spec, config.calendar.mean_days) for spec in config.adstocks]
    return _varied("adstock_", config.adstocks, means, normal[..., FIRST_ADSTOCK_COLUMN:], sd)


def _adstock_means(spec: AdstockSpec, days_in_period: float) -> dict[str, float]:
    if spec.half_life is None:
        return spec.parameters
    periods = days_in_half_life(spec.half_life) / days_in_period
    return {**spec.parameters, "alpha": spec.registered.alpha_at(periods)}  # type: ignore[attr-defined]


def _saturation_parameters(config: MMMDataConfig, normal: FloatArray, sd: float) -> Parameters:
    in_currency = config.transforms.spend_unit == "currency"
    means = [
        _saturation_means(spec, channel.base_spend if in_currency else 1.0)
        for spec, channel in zip(config.saturations, config.channels, strict=True)
    ]
    draws = normal[..., FIRST_SATURATION_COLUMN:]
    return _varied("saturation_", config.saturations, means, draws, sd)


def _saturation_means(spec: SaturationSpec, base_spend: float) -> dict[str, float]:
    """Means of the parameters; one in units of spend that is not given follows base spend."""
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
    means: list[dict[str, float]],
    normal: FloatArray,
    sd: float,
) -> Parameters:
    """Parameters of all kinds in use, NaN where a channel's kind has none of that name."""
    n_channels, n_geos = normal.shape[:2]
    parameters: Parameters = {}
    for kind in dict.fromkeys(spec.registered for spec in specs):
        index = [i for i, spec in enumerate(specs) if spec.registered is kind]
        for column, (name, parameter) in enumerate(kind.parameters.items()):
            full = prefix + name
            if full not in parameters:
                parameters[full] = np.full((n_geos, n_channels), np.nan)
                parameters[f"{full}_mean"] = np.full(n_channels, np.nan)
                parameters[f"{full}_sd"] = np.full(n_channels, np.nan)
            values = np.array([means[i][name] for i in index])
            own_sd = sd if parameter.varies else 0.0
            shift = own_sd * normal[index, :, column].T
            parameters[full][:, index] = parameter.domain.vary(values, shift)
            parameters[f"{full}_mean"][index] = parameter.domain.to_link(values)
            parameters[f"{full}_sd"][index] = own_sd
    return parameters


def fold_population(truth: Parameters, factor: FloatArray, kinds: tuple[str, ...]) -> Parameters:
    """Population mean and sd, on the log scale, of the effect and of what contains it.

    Parameters
    ----------
    truth : mapping of str to array
        Parameters, with the effect before the factor.
    factor : array, dims (channel,)
        What the effect was multiplied with to meet a ROAS.
    kinds : tuple of str, one a channel
        Kinds of saturation.
    """
    shift = POSITIVE.to_link(factor)
    effect = np.array([truth["effect_mean"] + shift, truth["effect_sd"]])
    folded: Parameters = {"effect_mean": effect[0], "effect_sd": effect[1]}
    for name in dict.fromkeys(kinds):
        kind = SATURATIONS[name]
        index = [i for i, each in enumerate(kinds) if each == name]
        own = effect[:, index]
        if kind.amplitude is None:
            # An amplitude of 1, which does not vary.
            _put(folded, truth, "saturation_beta", index, own, alone=True)
        else:
            _put(folded, truth, f"saturation_{kind.amplitude}", index, own)
        if kind.over_amplitude:
            # A placebo has no effect to shrink by, and keeps the parameter as configured.
            shrunk = np.where(np.isneginf(own[0]), 0, own) * [[-1], [1]]
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
    """Add mean and variance of the effect to those of one parameter, or put them there alone."""
    mean, sd = f"{name}_mean", f"{name}_sd"
    for suffixed in (mean, sd):
        empty = np.full_like(truth["effect_sd"], np.nan)
        folded.setdefault(suffixed, np.array(truth.get(suffixed, empty)))
    folded[mean][index] = effect[0] if alone else folded[mean][index] + effect[0]
    folded[sd][index] = effect[1] if alone else np.hypot(folded[sd][index], effect[1])
