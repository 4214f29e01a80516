"""Configuration of one channel, and of one control."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from mmm_xgen.config.base import FrozenConfig, Number, Switch, fail, shown
from mmm_xgen.config.names import checked_name
from mmm_xgen.config.specs import (
    CUSTOM,
    AdstockSpec,
    KindOf,
    PatternSpec,
    SaturationSpec,
    Spec,
    custom_pattern,
    flat_keys_schema,
    fold,
    fold_function,
    spec_model,
)
from mmm_xgen.kernels.patterns import PatternKind

DEFAULT_EFFECTIVENESS = 0.15


class _PatternKindOf(KindOf):
    """A registered pattern, or a callable ``f(dates, rng) -> array (date,)``."""

    def validate(self, value: Any) -> Spec:
        if callable(value):
            return spec_model(self._kind_of(value), self.base)(kind=self._kind_of(value).name)
        if isinstance(value, Mapping) and value.get("kind") not in (None, *self.registry):
            name = str(value["kind"])
            if name.startswith(CUSTOM):
                raise fail(
                    f"the callable {name.removeprefix(CUSTOM)!r} is not registered; a config "
                    "that is read back knows it only if @register_pattern gave it a name",
                    "kind",
                )
        return super().validate(value)

    def _kind_of(self, function: Any) -> PatternKind:
        for kind in self.registry.values():
            if kind.function is function:
                return kind  # type: ignore[no-any-return]
        return custom_pattern(function)


PATTERN = _PatternKindOf(PatternSpec, "linear_trend")
ADSTOCK = KindOf(AdstockSpec, "geometric_adstock")
SATURATION = KindOf(SaturationSpec, "hill_function")

Pattern = Annotated[PatternSpec, PATTERN]
Adstock = Annotated[AdstockSpec, ADSTOCK]
Saturation = Annotated[SaturationSpec, SATURATION]
Text = Annotated[str, Field(max_length=100)]
ChannelName = Annotated[Text, AfterValidator(checked_name("x"))]
ControlName = Annotated[Text, AfterValidator(checked_name("c"))]

_FLAT_CHANNEL_KEYS = flat_keys_schema(
    PATTERN, functions={"adstock": ADSTOCK, "saturation": SATURATION}
)


class ChannelConfig(FrozenConfig):
    """A media channel: how much is spent on it, when, and what it does to sales.

    Parameters
    ----------
    name : str, optional
        ``"x-TV"`` and ``"TV"`` both give the coordinate ``TV`` and the column ``x1-TV``.
    pattern : str, mapping or callable
        Registered kind of spend pattern (its keys may stand flat beside it), or a callable
        ``f(dates, rng) -> array (date,)``, called once a geo, that returns the level of spend
        relative to `base_spend`.
    base_spend : float
        Mean spend in currency per period while active, before trend, season and bursts, in a geo
        of reference size.
    spend_volatility : float
        Coefficient of variation of the campaign-like noise on spend.
    base_effectiveness : float, optional
        Effect as a share of the geo's base sales, or of ``base_sales_rate`` with
        ``geo_response="common"``; 0 makes a placebo. Default 0.15 unless `roas` is given.
    roas : float, optional
        Return on ad spend that the channel has over the window and all geos, exactly.
    shared : bool
        Whether all geos follow one plan, each with its share, as for national campaigns. Without
        it the runs and campaigns of the geos are independent, and their sum hardly pauses.
    adstock, saturation : mapping, optional
        Transforms of this channel; ``adstock_fun``, ``adstock_kwargs``, ``saturation_fun`` and
        ``saturation_kwargs`` are the flat spelling. Without them those of `TransformConfig`.

    Raises
    ------
    ConfigError
        If a key is unknown or a value has the wrong type or range.

    Examples
    --------
    >>> tv = ChannelConfig(name="x-TV", pattern="seasonal", seasonal_amplitude=0.5)
    >>> tv.pattern.kind, tv.pattern.parameters["seasonal_amplitude"]
    ('seasonal', 0.5)
    """

    model_config = ConfigDict(json_schema_extra=_FLAT_CHANNEL_KEYS)

    name: ChannelName | None = None
    pattern: Pattern = Field(default="linear_trend", validate_default=True)
    base_spend: Annotated[Number, Field(ge=0)] = 1000.0
    spend_volatility: Annotated[Number, Field(ge=0)] = 0.1
    base_effectiveness: Annotated[Number, Field(ge=0)] | None = None
    roas: Annotated[Number, Field(ge=0)] | None = None
    shared: Switch = False
    adstock: Adstock | None = None
    saturation: Saturation | None = None

    @model_validator(mode="before")
    @classmethod
    def _nest(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        data = fold(data, "pattern", PATTERN.flat_keys())
        return fold_function(fold_function(data, "adstock"), "saturation")

    @model_validator(mode="after")
    def _one_effect_size(self) -> ChannelConfig:
        if self.base_effectiveness is not None and self.roas is not None:
            raise fail(
                f"found both roas {self.roas:g} and base_effectiveness "
                f"{self.base_effectiveness:g}, allowed: one of them",
                "roas",
            )
        return self

    @classmethod
    def _keys(cls, data: Mapping[str, Any]) -> list[str]:
        flat = ["adstock_fun", "adstock_kwargs", "saturation_fun", "saturation_kwargs"]
        return [*cls.model_fields, *flat, *PATTERN.keys_of(data.get("pattern"))]

    @property
    def effectiveness(self) -> float:
        """Effect as a share of base sales; 1 where `roas` decides instead."""
        if self.roas is not None:
            return 1.0
        return DEFAULT_EFFECTIVENESS if self.base_effectiveness is None else self.base_effectiveness


def _flat_control_keys(schema: dict[str, Any]) -> None:
    flat_keys_schema(PATTERN)(schema)
    schema["properties"]["value_trend"] = schema["properties"]["spend_trend"]


class ControlConfig(FrozenConfig):
    """A control: a variable other than media that moves sales.

    Parameters
    ----------
    name : str, optional
        ``"c-Price"`` and ``"Price"`` both give the coordinate ``Price`` and column ``c1-Price``.
    pattern : str, mapping or callable
        As in `ChannelConfig`; the level over time relative to `base_value`.
    base_value : float
        Mean value while active. ``value_trend`` is ``spend_trend`` by the name that fits here.
    value_volatility : float
        Coefficient of variation of the noise on the value.
    persistence : float
        Correlation of the logarithm of the noise of neighbouring periods: 0.9 drifts like an
        economy, 0 jumps.
    shared : bool
        Whether all geos have the same values, as for national prices or the economy.
    gamma_control : float, optional
        Effect in KPI units per unit of value, for a geo of reference size; either sign, 0 by
        default.
    elasticity : float, optional
        Elasticity of base sales to the value, in place of `gamma_control`:
        ``base * ((value / reference)**elasticity - 1)``.
    reference : float, optional
        Value at which the control contributes nothing; 0 by default, with `elasticity` the
        `base_value`.

    Examples
    --------
    >>> ControlConfig(name="Price", base_value=10.0, elasticity=-1.5).zero_point
    10.0
    """

    model_config = ConfigDict(json_schema_extra=_flat_control_keys)

    name: ControlName | None = None
    pattern: Pattern = Field(default="linear_trend", validate_default=True)
    base_value: Annotated[Number, Field(ge=0)] = 1.0
    value_volatility: Annotated[Number, Field(ge=0)] = 0.1
    persistence: Annotated[Number, Field(ge=0, lt=1)] = 0.0
    shared: Switch = False
    gamma_control: Number | None = None
    elasticity: Number | None = None
    reference: Annotated[Number, Field(ge=0)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _nest(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        data = dict(data)
        if "value_trend" in data and "spend_trend" not in data:
            data["spend_trend"] = data.pop("value_trend")
        return fold(data, "pattern", PATTERN.flat_keys())

    @model_validator(mode="after")
    def _elasticity_needs_positive_values(self) -> ControlConfig:
        if self.elasticity is None:
            return self
        if self.gamma_control is not None:
            raise fail(
                "found both elasticity and gamma_control, allowed: one of them", "elasticity"
            )
        if not self.zero_point > 0:
            message = f"found {shown(self.zero_point)}, allowed: above 0 with an elasticity"
            raise fail(message, "base_value" if self.reference is None else "reference")
        return self

    @classmethod
    def _keys(cls, data: Mapping[str, Any]) -> list[str]:
        return [*cls.model_fields, *PATTERN.keys_of(data.get("pattern"))]

    @property
    def zero_point(self) -> float:
        """Value at which the control contributes nothing."""
        if self.reference is not None:
            return self.reference
        return 0.0 if self.elasticity is None else self.base_value
