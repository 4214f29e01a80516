"""Configuration of a whole dataset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, cast

import numpy as np
from pydantic import AfterValidator, Field, model_validator

from mmm_xgen.config.base import Day, Integer, Number, fail
from mmm_xgen.config.causes import (
    CompetitorConfig,
    DemandConfig,
    FunnelConfig,
    IndicatorConfig,
    InteractionConfig,
    MediatorConfig,
    ShareOfQuarters,
    SpendCorrelation,
    SpendCorrelationConfig,
    channel_position,
    check_funnels,
    check_mediators,
    check_pairs,
)
from mmm_xgen.config.channel import ADSTOCK, SATURATION, ChannelConfig, ControlConfig
from mmm_xgen.config.descriptions import with_kinds
from mmm_xgen.config.event import EventConfig, event_places
from mmm_xgen.config.experiment import ExperimentConfig, check_experiments
from mmm_xgen.config.names import coordinate_label, split_path
from mmm_xgen.config.promotion import PromotionConfig, check_promotions
from mmm_xgen.config.region import RegionConfig
from mmm_xgen.config.specs import AdstockSpec, KindOf, ResponseSpec, SaturationSpec
from mmm_xgen.config.spend_plan import SpendPlanConfig
from mmm_xgen.config.text import TextConfig
from mmm_xgen.config.transform import TransformConfig
from mmm_xgen.errors import ConfigError, nearest
from mmm_xgen.kernels.calendar import (
    ANCHORS,
    DAYS_IN_YEAR,
    FREQUENCIES,
    Calendar,
    frequency_code,
    regular,
    weekday,
)
from mmm_xgen.kernels.responses import RESPONSES

# Dates that tables, plots and databases can hold. The burn-in must lie between them too.
EARLIEST, LATEST = np.datetime64("1700-01-01"), np.datetime64("2200-01-01")
FIRST_DATE = np.datetime64("2022-01-01")
# Two seasons whose periods differ by less than this share cannot be told apart.
SAME_PERIOD = 0.01


def _frequency(text: str) -> str:
    frequency = frequency_code(text)
    if frequency not in FREQUENCIES:
        raise ValueError(
            "'D' (daily), 'W' (weekly from the start date), 'W-MON' to 'W-SUN', or 'MS' (monthly)"
        )
    return frequency


def _printable(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise ValueError("a text such as 'USD', in one line")
    return text


Unit = Annotated[str, AfterValidator(_printable)]
RESPONSE = KindOf(ResponseSpec, "goodwill")
Response = Annotated[ResponseSpec, RESPONSE]
# Adstock and curve of a channel that states none, where a response has memory and saturates.
NO_ADSTOCK = cast(AdstockSpec, ADSTOCK.validate({"kind": "no_adstock", "l_max": 1}))
NO_SATURATION = cast(SaturationSpec, SATURATION.validate("no_saturation"))


@with_kinds(response=(RESPONSES, ResponseSpec))
class MMMDataConfig(TextConfig):
    """Configuration of a whole dataset.

    Together with its seed it determines every number of the dataset.

    Parameters
    ----------
    channels : list of ChannelConfig
        Media channels. The list may be empty only with a `spend_plan`, which names the channels.
    n_periods : int, periods, default 104
        Number of dates.
    start_date : str or date, optional
        First date. Default: the first date from 2022-01-01 on that fits `freq`.
    freq : str, default "W"
        Length of a period: ``"D"``, ``"W"`` (weeks from the start date, Monday by default),
        ``"W-MON"`` to ``"W-SUN"`` or ``"MS"`` (months). ``"daily"``, ``"weekly"`` and ``"monthly"``
        also work. Upper and lower case mean the same.
    burn_in_periods : int, periods, default 0
        Periods of spend before the first date, which carry over into the data.
    seed : int, default 42
        Seed of all random numbers.
    currency : str, default "USD"
        Unit of spend.
    kpi : str, default "sales"
        Unit of the KPI, the variable `y`.
    revenue_per_kpi : float, currency per KPI unit, default 1.0
        Revenue per unit of the KPI.
    control_variables : list of ControlConfig, optional
        Variables other than media that move sales.
    regions : RegionConfig, optional
        Geos, with baseline, trend, seasons and noise.
    transforms : TransformConfig, optional
        Adstock and saturation of all channels.
    events : list of EventConfig, optional
        Holidays, sales and shocks.
    experiments : list of ExperimentConfig, optional
        Geo tests that change the spend.
    demand : DemandConfig, optional
        Latent demand, which moves sales and, with a `budget_rule`, spend.
    funnels : list of FunnelConfig, optional
        Channels that raise the delivered media of others.
    interactions : list of InteractionConfig, optional
        Pairs of channels that sell more or less together.
    spend_correlation : float or list of SpendCorrelationConfig, correlation, default 0.0
        Expected correlation of planned spend over the dates of a geo: one number for all pairs of
        channels, or a list of pairs, each with its own number. A pair is met exactly in
        expectation, one number to within 0.05 for all pairs. 0 leaves campaigns independent.
    synchronised_flights : float, share of quarters, default 0.0
        Share of the quarters in which all channels of one random pattern (`on_off`, `always_on` or
        `uniform`) follow the same draws. Channels with equal keys then run and pause together.
    mediators : list of MediatorConfig, optional
        States between media and sales, such as awareness.
    competitor : CompetitorConfig, optional
        Competitor whose media take sales.
    promotions : list of PromotionConfig, optional
        Lower prices for some periods, which sell more.
    response : str or mapping, optional
        Kind of response with memory: its name, or a mapping with ``kind``, its keys and ``size``.
        Media then move a population that remembers and saturates. The effect of a channel is the
        pressure on it at the base spend. The adstock and the saturation in `transforms` do not
        apply; those of a channel itself act on its spend before the population.
    link : {"identity", "log"}, default "identity"
        Scale on which causes add up. With ``"log"`` sales are multiplicative: every share of base
        sales is a number of log points, and the noise is lognormal.
    spend_plan : SpendPlanConfig, optional
        Columns of the user's own media plan.

    Raises
    ------
    ConfigError
        If a key is unknown, a value is impossible, or two values contradict each other. The error
        names the path as the user wrote it.

    Examples
    --------
    >>> config = MMMDataConfig(n_periods=52, channels=[ChannelConfig(name="TV")], seed=1)
    >>> config.calendar.dates[0]
    np.datetime64('2022-01-03')
    """

    n_periods: Annotated[Integer, Field(ge=1, le=1_000_000)] = 104
    start_date: Day = None
    freq: Annotated[str, AfterValidator(_frequency)] = "W"
    burn_in_periods: Annotated[Integer, Field(ge=0, le=10_000)] = 0
    seed: Annotated[Integer, Field(ge=0)] = 42
    currency: Unit = "USD"
    kpi: Unit = "sales"
    revenue_per_kpi: Annotated[Number, Field(gt=0)] = 1.0
    channels: tuple[ChannelConfig, ...] = ()
    control_variables: tuple[ControlConfig, ...] = ()
    regions: RegionConfig = Field(default_factory=RegionConfig)
    transforms: TransformConfig = Field(default_factory=TransformConfig)
    events: tuple[EventConfig, ...] = ()
    experiments: tuple[ExperimentConfig, ...] = ()
    demand: DemandConfig | None = None
    funnels: tuple[FunnelConfig, ...] = ()
    interactions: tuple[InteractionConfig, ...] = ()
    spend_correlation: SpendCorrelation = 0.0
    synchronised_flights: ShareOfQuarters = 0.0
    mediators: tuple[MediatorConfig, ...] = ()
    competitor: CompetitorConfig | None = None
    promotions: tuple[PromotionConfig, ...] = ()
    response: Response | None = None
    link: Literal["identity", "log"] = "identity"
    spend_plan: SpendPlanConfig | None = None

    @model_validator(mode="before")
    @classmethod
    def _no_null_blocks(cls, data: Any) -> Any:
        """Drop the empty blocks of a YAML file."""
        if not isinstance(data, Mapping):
            return data
        blocks = {"regions", "transforms", "control_variables", "events", "experiments"}
        blocks |= {"funnels", "interactions", "mediators", "spend_correlation", "promotions"}
        kept = {k: v for k, v in data.items() if not (k in blocks and v is None)}
        if kept.get("link") == "log":
            kept["regions"] = _with_lognormal_noise(kept.get("regions", {}))
        return kept

    @model_validator(mode="after")
    def _is_whole_with_its_link(self) -> MMMDataConfig:
        if self.link == "identity":
            return self
        if self.regions.noise.kind != "lognormal":
            raise fail(
                f"found {self.regions.noise.kind!r} with link='log', allowed: 'lognormal', since "
                "noise multiplies sales as all causes do",
                "regions",
                "noise",
            )
        if self.response is not None:
            raise fail(
                "found a response with link='log', allowed: one of them, since a population "
                "decides how media act together; use link='identity'",
                "response",
            )
        return self

    @model_validator(mode="after")
    def _names_are_unique(self) -> MMMDataConfig:
        events = [event.name for event in self.events]
        named = (
            ("channels", self.channel_names),
            ("control_variables", self.control_names),
            ("promotions", self.promotion_names),
            ("events", events),
        )
        for key, names in named:
            for position, name in enumerate(names):
                if name in names[:position]:
                    first = names.index(name)
                    raise fail(
                        f"found {name!r}, the name of {key}.{first} already; give another one",
                        *self._place_of(key, position),
                        "name",
                    )
        if not self.channels and self.spend_plan is None:
            raise fail("found no channel, allowed: at least one", "channels")
        return self

    def _place_of(self, key: str, position: int) -> tuple[str | int, ...]:
        """Return the path of an entry; controls of other mechanisms have their own."""
        rest = position - len(self.control_variables)
        if key != "control_variables" or rest < 0:
            return (key, position)
        if rest < len(self.indicators):
            return ("demand", "indicators", rest)
        rest -= len(self.indicators)
        if rest < len(self.shown_promotions):
            return ("promotions", self.shown_promotions[rest])
        rest -= len(self.shown_promotions)
        return ("mediators", self.mediators.index(self.observed[rest]))

    @model_validator(mode="after")
    def _one_transform_a_channel(self) -> MMMDataConfig:
        if not self.channels:
            return self
        for field in ("adstock", "saturation"):
            specs = getattr(self.transforms, field)
            if isinstance(specs, tuple) and len(specs) != len(self.channels):
                raise fail(
                    f"found a list of {len(specs)} for {len(self.channels)} channels, "
                    "allowed: one entry for all, or a list with one per channel",
                    "transforms",
                    field,
                )
        return self

    @model_validator(mode="after")
    def _starts_on_its_grid(self) -> MMMDataConfig:
        start = np.datetime64(self.start_date) if self.start_date else None
        if start is not None and start != first_date(self.freq, start):
            nearest = first_date(self.freq, start)
            raise fail(
                f"found {start}, which is not a date of freq {self.freq!r}; the next is {nearest}",
                "start_date",
            )
        return self

    @model_validator(mode="after")
    def _dates_can_be_held(self) -> MMMDataConfig:
        calendar = self.calendar
        start = calendar.dates[calendar.burn_in]
        if not EARLIEST <= start <= LATEST:
            raise fail(f"found {start}, allowed: {EARLIEST} to {LATEST}", "start_date")
        first, end = calendar.dates[0], calendar.ends[-1]
        if first < EARLIEST:
            raise fail(f"found dates from {first} on, allowed: from {EARLIEST}", "burn_in_periods")
        if end > LATEST:
            raise fail(f"found dates up to {end}, allowed: up to {LATEST}", "n_periods")
        return self

    @model_validator(mode="after")
    def _seasons_can_be_sampled(self) -> MMMDataConfig:
        check_seasons(self)
        return self

    @model_validator(mode="after")
    def _experiments_fit(self) -> MMMDataConfig:
        # With a media plan, `apply_experiments` checks against the plan's channels and dates.
        if self.spend_plan is None and self.experiments:
            check_experiments(
                self.experiments,
                channels=self.channel_names,
                geos=self.regions.names,
                calendar=self.calendar.window(),
            )
        return self

    @model_validator(mode="after")
    def _events_fit(self) -> MMMDataConfig:
        # With a media plan, generation checks against the plan's geos.
        if self.spend_plan is None:
            try:
                event_places(self.events, self.regions.names)
            except ConfigError as error:
                raise fail(error.message, *split_path(error.path)) from None
        return self

    @model_validator(mode="after")
    def _causes_fit(self) -> MMMDataConfig:
        if self.spend_plan is None:
            check_funnels(self.funnels, self.channel_names)
            check_pairs(self.interactions, self.channel_names, "interactions")
            check_pairs(self.correlated_pairs, self.channel_names, "spend_correlation")
            check_mediators(self.mediators, self.channel_names)
            self._check_controls()
        for position, channel in enumerate(self.channels):
            rule = channel.budget_rule
            if rule is not None and rule.answers_to == "demand" and self.demand is None:
                raise fail(
                    f"found {rule.kind!r} without demand to answer, allowed: with a 'demand' block",
                    "channels",
                    position,
                    "budget_rule",
                )
        check_promotions(self.promotions, has_demand=self.demand is not None)
        self._check_drivers()
        self._check_gain()
        return self

    def _check_controls(self) -> None:
        for position, control in enumerate(self.control_variables):
            for key in ("moves_spend", "follows_spend"):
                for name in getattr(control, key) or ():
                    path = ("control_variables", position, key, name)
                    channel_position(name, self.channel_names, *path)

    def _check_gain(self) -> None:
        """Raise if spend and sales feed each other without limit.

        A linear channel that spends a share of sales makes sales of the share times its ROAS. With
        a curve that saturates, the gain falls as spend rises.
        """
        gain = 0.0
        for position, (channel, curve) in enumerate(
            zip(self.channels, self.saturations, strict=True)
        ):
            rule = channel.budget_rule
            share = rule.parameters.get("share") if rule and rule.answers_to_sales else None
            if curve.kind != "no_saturation" or share is None or channel.roas is None:
                continue
            gain += share * channel.roas
            if gain >= 1:
                raise fail(
                    f"found shares of sales whose returns sum to {gain:.4g} per unit of sales, "
                    "allowed: below 1 for linear channels, since spend and sales feed each other; "
                    "choose a smaller share, a smaller roas, or a curve that saturates",
                    "channels",
                    position,
                    "budget_rule",
                    "share",
                )

    def _check_drivers(self) -> None:
        own = [
            coordinate_label(control.name, "c", i)
            for i, control in enumerate(self.control_variables)
        ]
        drivers = [
            coordinate_label(driver.control, "c", 0)
            for driver in (self.demand.drivers if self.demand else ())
        ]
        for position, name in enumerate(drivers):
            where = ("demand", "drivers", position, "control")
            if name not in own:
                raise fail(f"no control named {name!r}; {nearest(name, own)}", *where)
            if name in drivers[:position]:
                first = drivers.index(name)
                raise fail(
                    f"found {name!r}, the control of demand.drivers.{first} already; "
                    "give one share for both",
                    *where,
                )

    @property
    def calendar(self) -> Calendar:
        """Dates of the dataset, burn-in included."""
        start = np.datetime64(self.start_date) if self.start_date else first_date(self.freq)
        return regular(start, self.n_periods, FREQUENCIES[self.freq], self.burn_in_periods)

    def with_holiday_dates(self) -> MMMDataConfig:
        """Return the configuration with the dates of holidays in place of their names.

        Another release of the `holidays` package may know other dates.
        """
        if not any(event.holiday for event in self.events):
            return self
        events = [
            event.replace(holiday=None, country=None, dates=dates)
            if event.holiday and (dates := event.dates_in(self.calendar))
            else event
            for event in self.events
        ]
        return self.replace(events=events)

    @property
    def channel_names(self) -> list[str]:
        """Labels of the channels."""
        return [coordinate_label(channel.name, "x", i) for i, channel in enumerate(self.channels)]

    @property
    def campaign_names(self) -> list[tuple[str, str]]:
        """Labels of channel and campaign of every campaign."""
        named = zip(self.channel_names, self.channels, strict=True)
        return [(name, each.name) for name, channel in named for each in channel.campaigns or ()]

    @property
    def control_names(self) -> list[str]:
        """Labels of the controls."""
        return [
            coordinate_label(control.name, "c", i)
            for i, control in enumerate(self.control_variables)
        ] + [
            coordinate_label(name, "c", 0)
            for name in (
                *(each.name for each in self.indicators),
                *(self.promotions[position].name for position in self.shown_promotions),
                *(each.name for each in self.observed),
            )
        ]

    @property
    def indicators(self) -> tuple[IndicatorConfig, ...]:
        """Controls that follow latent demand; they come after the other controls."""
        return self.demand.indicators if self.demand else ()

    @property
    def promotion_names(self) -> list[str]:
        """Labels of the promotions."""
        return [coordinate_label(each.name, "c", 0) for each in self.promotions]

    @property
    def shown_promotions(self) -> list[int]:
        """Positions of the promotions that the data show; their controls follow indicators."""
        return [position for position, each in enumerate(self.promotions) if each.observed]

    @property
    def correlated_pairs(self) -> tuple[SpendCorrelationConfig, ...]:
        """Pairs of channels with a correlation of their own."""
        found = self.spend_correlation
        return found if isinstance(found, tuple) else ()

    @property
    def observed(self) -> tuple[MediatorConfig, ...]:
        """Mediators that the data show; their controls come last."""
        return tuple(each for each in self.mediators if each.observed != "no")

    @property
    def adstocks(self) -> list[AdstockSpec]:
        """Adstock of every channel: its own, or the one in `transforms`; none with a response."""
        shared = self.transforms.adstock if self.response is None else NO_ADSTOCK
        return [
            channel.adstock or (shared[i] if isinstance(shared, tuple) else shared)
            for i, channel in enumerate(self.channels)
        ]

    @property
    def l_max(self) -> list[int]:
        """Number of adstock weights of every channel."""
        default = self.calendar.default_l_max
        return [spec.l_max or spec.own_l_max or default for spec in self.adstocks]

    @property
    def saturations(self) -> list[SaturationSpec]:
        """Saturation of every channel: its own, or that in `transforms`; none with a response."""
        shared = self.transforms.saturation if self.response is None else NO_SATURATION
        return [
            channel.saturation or (shared[i] if isinstance(shared, tuple) else shared)
            for i, channel in enumerate(self.channels)
        ]

    @property
    def counts_base_spend(self) -> list[bool]:
        """True for channels whose spend unit is their base spend.

        With a response it is, as the effect is then a rate, unless a curve of the channel counts
        currency.
        """
        shared = self.transforms.spend_unit == "base_spend"
        is_linear = [curve.kind == NO_SATURATION.kind for curve in self.saturations]
        return [shared or (self.response is not None and each) for each in is_linear]


def _with_lognormal_noise(regions: Any) -> Any:
    """Return the geos with lognormal noise, unless they name a kind of noise."""
    if isinstance(regions, RegionConfig):
        is_named = "noise" in regions.model_fields_set
        return regions if is_named else regions.replace(noise="lognormal")
    if not isinstance(regions, Mapping):
        return regions
    noise = regions.get("noise")
    if isinstance(noise, Mapping):
        return {**regions, "noise": {"kind": "lognormal", **noise}}
    return {**regions, "noise": "lognormal"} if noise is None else regions


def resolved_frequency(config: MMMDataConfig) -> str:
    """Return the frequency as pandas writes it, with the weekday that ``"W"`` starts on.

    Examples
    --------
    >>> resolved_frequency(MMMDataConfig.from_dict({"channels": [{"name": "TV"}]}))
    'W-MON'
    """
    if config.freq != "W":
        return config.freq
    return f"W-{ANCHORS[weekday(config.calendar.dates)[0]]}"


def first_date(freq: str, start: np.datetime64 | None = None) -> np.datetime64:
    """Return the first date of frequency `freq` on or after `start`, or from 2022 on.

    Examples
    --------
    >>> first_date("W-SUN")
    np.datetime64('2022-01-02')
    """
    if start is None:
        start, freq = FIRST_DATE, "W-MON" if freq == "W" else freq
    start = start.astype("datetime64[D]")
    if freq == "MS":
        month = start.astype("datetime64[M]")
        begins = month.astype("datetime64[D]") == start
        return np.datetime64(month if begins else month + 1, "D")
    if freq.startswith("W-"):
        days_until = (ANCHORS.index(freq[2:]) - int(weekday(start))) % 7
        return start + np.timedelta64(days_until, "D")
    return start


def check_seasons(config: MMMDataConfig) -> None:
    """Raise if a season is too fast for the sampling, or if it is in the configuration twice.

    A season needs more than two dates in each cycle (the Nyquist limit).
    """
    step = config.calendar.mean_days
    regions = config.regions
    used = {
        f"the {k}. harmonic of the year": DAYS_IN_YEAR / k
        for k in range(1, regions.fourier_modes + 1)
    }
    shortest = DAYS_IN_YEAR / max(regions.fourier_modes, 1)
    if regions.fourier_modes and shortest <= 2 * step:
        raise fail(
            f"found {regions.fourier_modes}, allowed: fewer than {DAYS_IN_YEAR / (2 * step):.4g}, "
            f"with a date every {step:.4g} days (Nyquist)",
            "regions",
            "fourier_modes",
        )
    for position, season in enumerate(regions.seasonalities):
        where = ("regions", "seasonalities", position)
        if season.weekday_effects is not None and FREQUENCIES[config.freq] != "day":
            raise fail(
                "found weekday effects, allowed: with daily data only", *where, "weekday_effects"
            )
        for harmonic in range(1, season.modes + 1):
            days = season.days / harmonic
            if season.weekday_effects is None and days <= 2 * step:
                raise fail(
                    f"found a season of {days:.4g} days (harmonic {harmonic}), allowed: above "
                    f"{2 * step:.4g} days with a date every {step:.4g} days (Nyquist)",
                    *where,
                )
            for name, other in used.items():
                if abs(days / other - 1) < SAME_PERIOD:
                    raise fail(
                        f"found a season of {days:.4g} days (harmonic {harmonic}), the same as "
                        f"{name}; drop one of them",
                        *where,
                    )
            used[f"harmonic {harmonic} of seasonalities.{position}"] = days
        if season.weekday_effects is not None:
            # Seven effects carry every season of whole days within a week.
            used |= {f"weekday_effects of seasonalities.{position} ({k})": 7 / k for k in (2, 3)}
