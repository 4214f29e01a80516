"""Configuration of a media channel and of a control."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from mmm_xgen.config.base import FrozenConfig, Number, Scales, Switch, fail, shown
from mmm_xgen.config.causes import CampaignConfig, PullForwardConfig
from mmm_xgen.config.descriptions import with_kinds
from mmm_xgen.config.names import checked_name
from mmm_xgen.config.specs import (
    CUSTOM,
    AdstockSpec,
    BudgetRuleSpec,
    EffectPath,
    EffectPathSpec,
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
from mmm_xgen.kernels.adstock import ADSTOCKS
from mmm_xgen.kernels.budget_rules import BUDGET_RULES
from mmm_xgen.kernels.effect_paths import EFFECT_PATHS
from mmm_xgen.kernels.patterns import PATTERNS, PatternKind
from mmm_xgen.kernels.saturation import SATURATIONS

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
BUDGET_RULE = KindOf(BudgetRuleSpec, "planned")

Pattern = Annotated[PatternSpec, PATTERN]
Adstock = Annotated[AdstockSpec, ADSTOCK]
Saturation = Annotated[SaturationSpec, SATURATION]
BudgetRule = Annotated[BudgetRuleSpec, BUDGET_RULE]
Text = Annotated[str, Field(max_length=100)]
ChannelName = Annotated[Text, AfterValidator(checked_name("x"))]
ControlName = Annotated[Text, AfterValidator(checked_name("c"))]

_FLAT_CHANNEL_KEYS = flat_keys_schema(
    PATTERN, functions={"adstock": ADSTOCK, "saturation": SATURATION}
)


@with_kinds(
    pattern=(PATTERNS,),
    adstock=(ADSTOCKS, AdstockSpec),
    saturation=(SATURATIONS,),
    budget_rule=(BUDGET_RULES,),
    effect_path=(EFFECT_PATHS, EffectPathSpec),
)
class ChannelConfig(FrozenConfig):
    """A media channel: its spend over time and its effect on sales.

    Parameters
    ----------
    name : str, optional
        Name of the channel. ``"x-TV"`` and ``"TV"`` both give the coordinate ``TV`` and the column
        ``x1-TV``. Default ``x1``, ``x2`` and so on.
    pattern : str, mapping or callable, default "linear_trend"
        Kind of the spend pattern: its name, or a mapping with ``kind`` and its keys. The keys may
        also stand flat beside `pattern`. A callable ``f(dates, rng) -> array (date,)`` returns the
        level of spend relative to `base_spend` and is called once per geo.
    base_spend : float, currency per period, default 1000.0
        Mean spend of a geo of reference size while the channel is active, before trend, season
        and bursts.
    spend_volatility : float, coefficient of variation, default 0.1
        Size of the random variation of spend: campaigns, and jitter within them.
    base_effectiveness : float, share of base sales, default 0.15 unless `roas` is set
        Contribution per period at which the response curve is 1, as a share of the base sales of
        the geo, or of `base_sales_rate` if `geo_response` is ``"common"``. 0 makes a placebo,
        and a negative number a channel that costs sales. Cannot be combined with `roas`.
    roas : float, revenue per unit of currency spent, optional
        Target for the return on ad spend over the window and all geos, of either sign. It is met
        exactly.
    pull_forward : PullForwardConfig, optional
        Share of the sales of the channel that it borrows from later periods.
    campaigns : list of CampaignConfig, optional
        Campaigns that share the curve of the channel and differ in quality.
    spillover : float, share of media, optional
        Share of the media of each geo that reaches the people of all geos alike, so that it counts
        in each geo by population. A single geo has no spill-over.
    over_reporting : float, share of contribution, optional
        What the platform of the channel reports beyond the sales that the channel makes:
        ``reported_sales`` in the Dataset is ``(1 + over_reporting)`` times the contribution. A
        platform with a number below 0 reports too little.
    shared : bool, default False
        If True, all geos follow one national plan, each with its share of the spend. If False, the
        campaigns of the geos are independent, so the total over many geos rarely pauses.
    adstock : str or mapping, optional
        Kind of adstock of this channel: its name, or a mapping with ``kind`` and its keys.
        Default: the adstock in `transforms`.
    saturation : str or mapping, optional
        Kind of saturation of this channel: its name, or a mapping with ``kind`` and its keys.
        Default: the saturation in `transforms`.
    budget_rule : str or mapping, optional
        Kind of budget rule: how spend answers to latent demand, which needs `demand`, to sales, or
        to the effects of the geos. Default: spend follows its plan.
    effect_path : str or mapping, optional
        Kind of path of the effect over time. Its mean over the window is 1, so that `roas` holds.
        Default: the effect is the same on all dates.
    adstock_fun : str, optional
        Kind of adstock, in the flat spelling. Cannot be combined with `adstock`.
    adstock_kwargs : mapping, optional
        Keys of the adstock, in the flat spelling.
    saturation_fun : str, optional
        Kind of saturation, in the flat spelling. Cannot be combined with `saturation`.
    saturation_kwargs : mapping, optional
        Keys of the saturation, in the flat spelling.

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
    base_effectiveness: Number | None = None
    roas: Number | None = None
    shared: Switch = False
    adstock: Adstock | None = None
    saturation: Saturation | None = None
    budget_rule: BudgetRule | None = None
    effect_path: EffectPath | None = None
    pull_forward: PullForwardConfig | None = None
    campaigns: tuple[CampaignConfig, ...] | None = None
    spillover: Annotated[Number, Field(ge=0, lt=1)] | None = None
    over_reporting: Annotated[Number, Field(ge=-1)] | None = None

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

    @model_validator(mode="after")
    def _campaigns_are_unique(self) -> ChannelConfig:
        names = [campaign.name for campaign in self.campaigns or ()]
        for position, name in enumerate(names):
            if name in names[:position]:
                first = names.index(name)
                raise fail(
                    f"found {name!r}, the name of campaigns.{first} already; give another one",
                    "campaigns",
                    position,
                    "name",
                )
        return self

    @classmethod
    def _keys(cls, data: Mapping[str, Any]) -> list[str]:
        flat = ["adstock_fun", "adstock_kwargs", "saturation_fun", "saturation_kwargs"]
        return [*cls.model_fields, *flat, *PATTERN.keys_of(data.get("pattern"))]

    @property
    def effectiveness(self) -> float:
        """Size of the effect as a share of base sales; 1 if `roas` sets the effect instead."""
        if self.roas is not None:
            return 1.0
        own = self.base_effectiveness
        return DEFAULT_EFFECTIVENESS if own is None else abs(own)

    @property
    def sign(self) -> float:
        """Sign of the effect, 1 or -1, before `roas` sets it."""
        return -1.0 if self.base_effectiveness is not None and self.base_effectiveness < 0 else 1.0


def _flat_control_keys(schema: dict[str, Any]) -> None:
    flat_keys_schema(PATTERN)(schema)
    schema["properties"]["value_trend"] = dict(schema["properties"]["spend_trend"])


@with_kinds(pattern=(PATTERNS,))
class ControlConfig(FrozenConfig):
    """A control: a variable other than media that moves sales.

    Parameters
    ----------
    name : str, optional
        Name of the control. ``"c-Price"`` and ``"Price"`` both give the coordinate ``Price`` and
        the column ``c1-Price``. Default ``c1``, ``c2`` and so on.
    pattern : str, mapping or callable, default "linear_trend"
        Kind of the pattern over time, as in `ChannelConfig`; levels are relative to `base_value`.
    base_value : float, units of the control, default 1.0
        Mean value while the pattern is active.
    value_trend : float, share of base value per period, default 0.0
        Another name for the key `spend_trend` of a pattern.
    value_volatility : float, coefficient of variation, default 0.1
        Size of the random variation of the value.
    persistence : float, correlation, default 0.0
        Correlation of the random variation of neighbouring periods, on the log scale. At 0.9 the
        value drifts as an economy does; at 0 it jumps.
    shared : bool, default False
        If True, all geos have the same values, as for national prices.
    gamma_control : float, KPI units per unit of the control, default 0.0
        Effect on the sales of a geo of reference size, positive or negative.
    elasticity : float, optional
        Elasticity of base sales to the value. The contribution is
        ``base * ((value / reference)**elasticity - 1)``. Cannot be combined with `gamma_control`.
    scales : {"base_sales", "baseline"}, default "base_sales"
        Sales that an elasticity acts on: base sales, or all of the baseline at its date, with
        trend, seasons, level and events. ``"baseline"`` needs an `elasticity`.
    reference : float, units of the control, default 0.0, or `base_value` with an elasticity
        Value at which the control contributes nothing.
    moves_spend : mapping of str to float, optional
        Channels whose planned spend the control moves, each with the rise of the log of spend when
        the random variation of the control is one standard deviation higher. Without an effect on
        sales, the control is an instrument, such as the cost of media.
    follows_spend : mapping of str to float, optional
        Channels whose spend the control follows, each with the rise of the value, as a share of
        `base_value`, where spend is 100% above its mean. Such a control has no effect on sales;
        `mediators` have one.
    follows_sales : float, share of base value, optional
        Rise of the value where sales are 100% above their mean. Such a control has no effect on
        sales: it is a collider.

    Raises
    ------
    ConfigError
        If a key is unknown or a value has the wrong type or range.

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
    scales: Scales = "base_sales"
    reference: Annotated[Number, Field(ge=0)] | None = None
    moves_spend: dict[Text, Number] | None = None
    follows_spend: dict[Text, Number] | None = None
    follows_sales: Number | None = None

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
        if self.elasticity is None and self.scales == "baseline":
            raise fail("found 'baseline' without elasticity, allowed: 'base_sales'", "scales")
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

    @model_validator(mode="after")
    def _followers_move_nothing(self) -> ControlConfig:
        causes = ("gamma_control", "elasticity", "moves_spend")
        for follows in ("follows_spend", "follows_sales"):
            for cause in causes:
                if None not in (getattr(self, follows), getattr(self, cause)):
                    raise fail(
                        f"found both {follows} and {cause}, allowed: one of them, as what follows "
                        "media or sales would otherwise move them again",
                        follows,
                    )
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
