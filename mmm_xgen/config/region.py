"""Configuration of the geos: their size, baseline, seasons, noise and differences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from mmm_xgen.config.base import FrozenConfig, Integer, Number, fail, plain, shown
from mmm_xgen.config.specs import KindOf, NoiseSpec, TrendSpec, flat_keys_schema, fold

DEFAULT_VOLATILITY = 0.05
# Sd on the link scale at similarity 0, the largest that `similarity` can set.
LARGEST_VARIATION = 0.5
VARIATIONS = ("baseline_variation", "channel_param_variation", "transform_variation")
NAMED_PERIODS = {"weekly": 7.0, "monthly": 365.25 / 12, "quarterly": 365.25 / 4}
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

TREND = KindOf(TrendSpec, "linear")
NOISE = KindOf(NoiseSpec, "gaussian")

Variation = Annotated[Number, Field(ge=0, le=2)]


class SeasonalityConfig(FrozenConfig):
    """A season with a period other than the year, or one effect a weekday.

    Parameters
    ----------
    period : {"weekly", "monthly", "quarterly"}, optional
        Name of the period.
    period_days : float, optional
        Length of the period in days, in place of `period`.
    amplitude : float
        Half the swing of the first harmonic, as a share of base sales.
    phase : float
        Shift in radians; a positive one peaks later.
    modes : int
        Number of harmonics, each with half the amplitude of the one before.
    weekday_effects : list of 7 floats, optional
        Effect of Monday to Sunday as a share of base sales; daily data only, and nothing else
        beside it.
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
            raise fail("found beside weekday_effects, which say it all", changed[0])
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


def _length(values: Any) -> int:
    """Number of entries of a list or an array, 0 of what is neither."""
    values = plain(values)
    return len(values) if isinstance(values, list | tuple) else 0


class RegionConfig(FrozenConfig):
    """The geos and their baseline sales.

    Parameters
    ----------
    n_regions : int
        Number of geos; follows from `region_names` or `population` where they are given.
    region_names : list of str, optional
        Labels of the geos; ``geo_1, geo_2, ...`` by default.
    population : list of float, optional
        People in each geo; 1,000,000 each by default.
    population_reference : float, optional
        Population of a geo of reference size; the first geo's by default.
    geo_response : {"per_capita", "common"}
        Whether spend unit and effect scale with the size of the geo, or neither does.
    base_sales_rate : float
        Base sales in KPI units per period of a geo of reference size.
    sales_trend : float
        Share of base sales added per period; `trend` is the general form.
    sales_volatility : float
        Sd of the noise as a share of base sales; `noise` is the general form.
    seasonal_amplitude : float
        Half the yearly swing as a share of base sales; 0 without `fourier_modes`.
    seasonal_phase : float
        Shift of the season in radians; 0 peaks at the start of July, a positive one later.
    fourier_modes : int
        Harmonics of the year; those after the first are drawn, half as large each.
    seasonalities : list of SeasonalityConfig
        Seasons with other periods.
    baseline_variation : float
        Sd of the geos' base sales around the configured value, log scale. The trend and the season
        as shares of base sales have the same sd, and so has the timing of the season, in radians.
    channel_param_variation : float
        Sd of the geos' base spend and of their effect, log scale. With ``"per_capita"`` the effect
        is a share of base sales and varies with them too: its sd is
        ``hypot(channel_param_variation, baseline_variation)``.
    transform_variation : float
        Sd of the geos' adstock and saturation parameters, log or logit scale.
    similarity : float, optional
        Sets the three variations together: 1 for identical parameters, 0 for a sd of 0.5 each,
        which is one of 0.71 for the effect with ``"per_capita"``.

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
    noise: Annotated[NoiseSpec, NOISE] = Field(default="gaussian", validate_default=True)
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
        """Return the same geos with some fields changed; their number follows their names."""
        if {"region_names", "population"} & set(changes) and "n_regions" not in changes:
            names, sizes = (_length(changes.get(key)) for key in ("region_names", "population"))
            changes["n_regions"] = names or sizes or self.n_regions
        return super().replace(**changes)

    @property
    def names(self) -> tuple[str, ...]:
        """Labels of the geos."""
        return self.region_names or tuple(f"geo_{g + 1}" for g in range(self.n_regions))

    def variation(self, factor: str) -> float:
        """Sd of one of the three variation factors on the link scale."""
        if self.similarity is not None:
            return LARGEST_VARIATION * (1 - self.similarity)
        return float(getattr(self, factor))
