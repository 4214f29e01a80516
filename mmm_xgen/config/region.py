"""Configuration of the geos: size, baseline, seasons, noise and differences between them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from mmm_xgen.config.base import FrozenConfig, Integer, Number, fail, plain, shown
from mmm_xgen.config.descriptions import with_kinds
from mmm_xgen.config.specs import (
    EffectPath,
    KindOf,
    NoiseSpec,
    TrendSpec,
    flat_keys_schema,
    fold,
)
from mmm_xgen.kernels.baseline import TRENDS
from mmm_xgen.kernels.calendar import PERIODS, WEEKDAYS
from mmm_xgen.kernels.effect_paths import EFFECT_PATHS
from mmm_xgen.kernels.noise import NOISES

DEFAULT_VOLATILITY = 0.05
# Standard deviation on the link scale at similarity 0.
LARGEST_VARIATION = 0.5
VARIATIONS = ("baseline_variation", "channel_param_variation", "transform_variation")
NAMED_PERIODS = {
    "weekly": PERIODS["week"].mean_days,
    "monthly": PERIODS["month"].mean_days,
    "quarterly": PERIODS["quarter"].mean_days,
}

TREND = KindOf(TrendSpec, "linear")
NOISE = KindOf(NoiseSpec, "gaussian")

Variation = Annotated[Number, Field(ge=0, le=2)]


class SeasonalityConfig(FrozenConfig):
    """A season with another period than the year, or one effect per weekday.

    Set one of `period`, `period_days` and `weekday_effects`.

    Parameters
    ----------
    period : {"weekly", "monthly", "quarterly"}, optional
        Name of the period.
    period_days : float, days, optional
        Length of the period.
    amplitude : float, share of base sales, default 0.1
        Half the distance between peak and trough of the first harmonic.
    phase : float, radians, default 0.0
        Shift of the season; a positive one peaks later.
    modes : int, default 1
        Number of harmonics. Each has half the amplitude of the one before.
    weekday_effects : list of 7 floats, share of base sales, optional
        Effects of Monday to Sunday, for daily data only. Cannot be combined with `amplitude`,
        `phase` or `modes`.

    Raises
    ------
    ConfigError
        If a key is unknown or a value has the wrong type or range.

    Examples
    --------
    >>> SeasonalityConfig(period="weekly", amplitude=0.2).days
    7.0
    """

    period: Literal["weekly", "monthly", "quarterly"] | None = None
    period_days: Annotated[Number, Field(gt=0)] | None = None
    amplitude: Annotated[Number, Field(ge=0, le=1)] = 0.1
    phase: Number = 0.0
    modes: Annotated[Integer, Field(ge=1, le=50)] = 1
    weekday_effects: tuple[Number, ...] | None = None

    @model_validator(mode="after")
    def _one_form(self) -> SeasonalityConfig:
        forms = [self.period, self.period_days, self.weekday_effects]
        if sum(form is not None for form in forms) != 1:
            raise fail(
                "found none or several of period, period_days and weekday_effects, "
                "allowed: one of them"
            )
        if self.weekday_effects is not None and len(self.weekday_effects) != 7:
            found = len(self.weekday_effects)
            raise fail(f"found {found} values, allowed: 7, Monday to Sunday", "weekday_effects")
        beside = self.model_fields_set & {"amplitude", "phase", "modes"}
        defaults = {name: type(self).model_fields[name].default for name in beside}
        changed = [name for name in sorted(beside) if getattr(self, name) != defaults[name]]
        if self.weekday_effects is not None and changed:
            raise fail("cannot be combined with weekday_effects; leave it out", changed[0])
        return self

    @property
    def days(self) -> float:
        """Length of the period in days."""
        if self.weekday_effects is not None:
            return 7.0
        return NAMED_PERIODS[self.period] if self.period else self.period_days or 0.0

    @property
    def mode_names(self) -> list[str]:
        """Labels of the coefficients, such as ``weekly_sin_1`` or ``weekday_monday``."""
        if self.weekday_effects is not None:
            return [f"weekday_{day}" for day in WEEKDAYS]
        stem = self.period or f"{self.days:g}d"
        return [f"{stem}_{wave}_{k + 1}" for wave in ("sin", "cos") for k in range(self.modes)]


class OutlierConfig(FrozenConfig):
    """Single periods whose sales are far off, up or down, for a reason that nobody records.

    Parameters
    ----------
    share : float, share of periods, default 0.02
        Probability that a period of a geo is an outlier.
    size : float, standard deviations of the noise, default 5.0
        Sales that an outlier adds or takes, each with probability 1/2.

    Raises
    ------
    ConfigError
        If a key is unknown or a value has the wrong type or range.

    Examples
    --------
    >>> OutlierConfig(share=0.01).size
    5.0
    """

    share: Annotated[Number, Field(ge=0, le=1)] = 0.02
    size: Annotated[Number, Field(gt=0)] = 5.0


def _length(values: Any) -> int:
    """Length of a list or an array, 0 for anything else."""
    values = plain(values)
    return len(values) if isinstance(values, list | tuple) else 0


@with_kinds(trend=(TRENDS,), noise=(NOISES, NoiseSpec))
class RegionConfig(FrozenConfig):
    """The geos: their size, their base sales and how much they differ.

    Parameters
    ----------
    n_regions : int, default 1, or the length of `region_names` or `population`
        Number of geos.
    region_names : list of str, optional
        Labels of the geos. Default ``geo_1``, ``geo_2`` and so on.
    population : list of float, people, default 1,000,000 each
        Population of each geo. Spend and sales are proportional to it.
    population_reference : float, people, default the population of the first geo
        Population of a geo of reference size.
    geo_response : {"per_capita", "common"}, default "per_capita"
        If ``"per_capita"``, spend unit and effect of a channel scale with the size of the geo. If
        ``"common"``, they are the same in all geos.
    base_sales_rate : float, KPI units per period, default 10000.0
        Base sales of a geo of reference size.
    trend : str or mapping, default "linear"
        Kind of the trend: its name, or a mapping with ``kind`` and its keys. The keys may also
        stand flat beside `trend`.
    sales_trend : float, share of base sales per period, default 0.0
        Slope of the trend of kind ``linear`` or ``piecewise_linear``.
    noise : str or mapping, default "gaussian"
        Family of the noise: its name, or a mapping with ``kind`` and its keys. The keys may also
        stand flat beside `noise`. With ``link: log`` it is ``"lognormal"``.
    sales_volatility : float, share of base sales, default 0.05
        Standard deviation of the noise. `y_sigma` or `r_squared` can set it instead.
    outliers : OutlierConfig, optional
        Outliers, which are a part of the noise.
    capacity : float, multiple of base sales, optional
        Largest sales per period of a geo, at least 1. Sales beyond it are lost, as when a product
        is out of stock.
    seasonal_amplitude : float, share of base sales, default 0.0
        Half the distance between peak and trough of the year.
    seasonal_phase : float, radians, default 0.0
        Shift of the yearly season. At 0 the peak is at the start of July; a positive shift moves
        it later.
    fourier_modes : int, default 1
        Number of harmonics of the yearly season. Those after the first are random, each with half
        the amplitude of the one before.
    seasonalities : list of SeasonalityConfig, optional
        Seasons with other periods than the year.
    level_path : str or mapping, optional
        Kind of path of base sales over time, one of those of `effect_path` of a channel that do not
        need spend. Its mean over the window is 1. Default: base sales stay the same.
    season_path : str or mapping, optional
        Kind of path of the size of the yearly season, as `level_path`.
        Default: the season has the same size in all years.
    season_shift : float, days per year, optional
        Days by which the yearly season moves later in each year after the first date; negative if
        it moves earlier.
    baseline_variation : float, log scale, default 0.0
        Standard deviation over geos of the base sales. Trend and season as shares of base sales
        have the same standard deviation, and so has the timing of the season, in radians.
    channel_param_variation : float, log scale, default 0.0
        Standard deviation over geos of base spend and of the effect of a channel. With
        ``geo_response="per_capita"`` the effect is a share of base sales, so its standard deviation
        is ``hypot(channel_param_variation, baseline_variation)``.
    transform_variation : float, log or logit scale, default 0.0
        Standard deviation over geos of the parameters of adstock and saturation.
    similarity : float, optional
        Sets the three variations together: 1 makes the geos identical, 0 gives each variation a
        standard deviation of 0.5. Cannot be combined with them.

    Raises
    ------
    ConfigError
        If a key is unknown or a value has the wrong type or range.

    Examples
    --------
    >>> RegionConfig(region_names=["north", "south"], similarity=0.8).n_regions
    2
    """

    model_config = ConfigDict(json_schema_extra=flat_keys_schema(TREND, NOISE))

    n_regions: Annotated[Integer, Field(ge=1, le=100_000)] = 1
    region_names: tuple[Annotated[str, Field(min_length=1)], ...] | None = None
    population: tuple[Annotated[Number, Field(gt=0)], ...] | None = None
    population_reference: Annotated[Number, Field(gt=0)] | None = None
    geo_response: Literal["per_capita", "common"] = "per_capita"
    base_sales_rate: Annotated[Number, Field(gt=0)] = 10000.0
    trend: Annotated[TrendSpec, TREND] = Field(default="linear", validate_default=True)
    seasonal_amplitude: Annotated[Number, Field(ge=0, le=1)] = 0.0
    seasonal_phase: Number = 0.0
    fourier_modes: Annotated[Integer, Field(ge=0, le=50)] = 1
    seasonalities: tuple[SeasonalityConfig, ...] = ()
    level_path: EffectPath | None = None
    season_path: EffectPath | None = None
    season_shift: Number | None = None
    noise: Annotated[NoiseSpec, NOISE] = Field(default="gaussian", validate_default=True)
    outliers: OutlierConfig | None = None
    capacity: Annotated[Number, Field(ge=1)] | None = None
    baseline_variation: Variation = 0.0
    channel_param_variation: Variation = 0.0
    transform_variation: Variation = 0.0
    similarity: Annotated[Number, Field(ge=0, le=1)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _nest(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        data = fold(fold(data, "trend", TREND.flat_keys()), "noise", NOISE.flat_keys())
        if "n_regions" not in data:
            for key in ("region_names", "population"):
                if n_geos := _length(data.get(key)):
                    data["n_regions"] = n_geos
                    break
        return data

    @model_validator(mode="after")
    def _as_many_as_geos(self) -> RegionConfig:
        for key in ("region_names", "population"):
            values = getattr(self, key)
            if values is not None and len(values) != self.n_regions:
                raise fail(f"found {len(values)} entries for {self.n_regions} geos", key)
        for key in ("y_sigma", "r_squared"):
            values = getattr(self.noise, key)
            if isinstance(values, tuple) and len(values) != self.n_regions:
                raise fail(f"found {len(values)} entries for {self.n_regions} geos", "noise", key)
        names = self.region_names or ()
        for position, name in enumerate(names):
            if not name.strip() or not name.isprintable():
                message = f"found {shown(name)}, allowed: a text in one line"
                raise fail(message, "region_names", position)
        if len(set(names)) != len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise fail(f"found {shown(twice)} twice, allowed: every name once", "region_names")
        other = next((key for key in VARIATIONS if getattr(self, key)), None)
        if self.similarity is not None and other:
            raise fail(f"found both similarity and {other}, allowed: one of them", "similarity")
        return self

    @model_validator(mode="after")
    def _paths_need_no_spend(self) -> RegionConfig:
        kinds = [name for name, kind in EFFECT_PATHS.items() if "level" not in kind.takes]
        for key in ("level_path", "season_path"):
            path = getattr(self, key)
            if path is not None and path.kind not in kinds:
                allowed = ", ".join(map(repr, kinds))
                raise fail(
                    f"found {path.kind!r}, which follows spend; allowed: {allowed}", key, "kind"
                )
        return self

    @model_validator(mode="after")
    def _season_has_a_harmonic(self) -> RegionConfig:
        if self.seasonal_amplitude and not self.fourier_modes:
            raise fail(
                f"found {self.seasonal_amplitude:g} with fourier_modes=0, which leaves no yearly "
                "season to swing, allowed: 0, or fourier_modes of at least 1",
                "seasonal_amplitude",
            )
        return self

    @classmethod
    def _keys(cls, data: Mapping[str, Any]) -> list[str]:
        trend, noise = TREND.keys_of(data.get("trend")), NOISE.keys_of(data.get("noise"))
        return [*cls.model_fields, *trend, *noise]

    def replace(self, **changes: Any) -> Self:
        """Return the geos with some fields changed; the number of geos follows the new names."""
        if {"region_names", "population"} & set(changes) and "n_regions" not in changes:
            names, sizes = (_length(changes.get(key)) for key in ("region_names", "population"))
            changes["n_regions"] = names or sizes or self.n_regions
        return super().replace(**changes)

    @property
    def names(self) -> tuple[str, ...]:
        """Labels of the geos."""
        return self.region_names or tuple(f"geo_{g + 1}" for g in range(self.n_regions))

    def variation(self, factor: str) -> float:
        """Standard deviation of one of the three variations on the link scale."""
        if self.similarity is not None:
            return LARGEST_VARIATION * (1 - self.similarity)
        return float(getattr(self, factor))
