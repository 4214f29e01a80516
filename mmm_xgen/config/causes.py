"""Configuration of causes: latent demand, and channels that act on each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from mmm_xgen.config.base import BRANCHES, FrozenConfig, Integer, Number, Switch, fail
from mmm_xgen.config.names import checked_name, coordinate_label
from mmm_xgen.errors import nearest

Text = Annotated[str, Field(min_length=1, max_length=100)]
ControlName = Annotated[Text, AfterValidator(checked_name("c"))]
ShareOfVariance = Annotated[Number, Field(ge=0, le=1)]
ShareOfQuarters = Annotated[Number, Field(ge=0, le=1)]


class IndicatorConfig(FrozenConfig):
    """A control that follows latent demand and has no effect of its own, such as query volume.

    Its value is ``level + loading * (demand + error)``, with an error of the size that
    `reliability` says.

    Parameters
    ----------
    name : str
        Name of the control, as in `ControlConfig`.
    level : float, units of the control, default 0.0
        Mean value.
    loading : float, units of the control per standard deviation of demand, default 1.0
        Rise of the value when demand is one standard deviation higher.
    reliability : float, share of variance, default 1.0
        Share of the variance of the value that is demand. At 1 the control shows demand as it is.

    Raises
    ------
    ConfigError
        If a key is unknown or a value has the wrong type or range.

    Examples
    --------
    >>> IndicatorConfig(name="Queries", reliability=0.6).loading
    1.0
    """

    name: ControlName
    level: Number = 0.0
    loading: Number = 1.0
    reliability: Annotated[Number, Field(gt=0, le=1)] = 1.0


class DriverConfig(FrozenConfig):
    """A control that explains a part of latent demand, such as the weather.

    Parameters
    ----------
    control : str
        Name of the control.
    share : float, share of variance
        Share of the variance of demand that the control explains.

    Raises
    ------
    ConfigError
        If a key is unknown or a value has the wrong type or range.

    Examples
    --------
    >>> DriverConfig(control="Temperature", share=0.3).share
    0.3
    """

    control: Text
    share: Annotated[Number, Field(gt=0, le=1)]


class DemandConfig(FrozenConfig):
    """Latent demand: people want more at some times than at others, and nobody records it.

    Demand is an AR(1) series of variance 1. It moves base sales, and with a `budget_rule` it moves
    spend too. Then it is a confounder: a model that does not see it gives its sales to media.

    Parameters
    ----------
    effect : float, share of base sales per standard deviation, default 0.05
        Rise of sales when demand is one standard deviation higher.
    persistence : float, correlation, default 0.8
        Correlation of the demand of neighbouring periods.
    shared : float, share of variance, default 0.5
        Share of the variance of demand that all geos have in common.
    season : float, share of variance, default 0.0
        Share of the variance of demand that is a yearly season, with its peak at the start of
        July.
    indicators : list of IndicatorConfig, optional
        Controls that follow demand and have no effect of their own.
    drivers : list of DriverConfig, optional
        Controls that explain a part of demand.

    Raises
    ------
    ConfigError
        If a key is unknown, a value has the wrong type or range, or the shares of season and
        drivers exceed 1.

    Examples
    --------
    >>> DemandConfig(effect=0.03, indicators=[{"name": "Queries"}]).indicators[0].name
    'Queries'
    """

    effect: Number = 0.05
    persistence: Annotated[Number, Field(ge=0, lt=1)] = 0.8
    shared: ShareOfVariance = 0.5
    season: ShareOfVariance = 0.0
    indicators: tuple[IndicatorConfig, ...] = ()
    drivers: tuple[DriverConfig, ...] = ()

    @model_validator(mode="after")
    def _shares_of_one_variance(self) -> DemandConfig:
        total = self.season + sum(driver.share for driver in self.drivers)
        if total > 1 + 1e-12:
            raise fail(
                f"found shares of {total:.4g} for season and drivers together, allowed: at most 1",
                "drivers" if self.drivers else "season",
            )
        return self


class FunnelConfig(FrozenConfig):
    """A channel that raises the delivered media of another, as TV raises brand search.

    Parameters
    ----------
    source, target : str
        Names of two channels.
    strength : float, share of the target's media
        Relative rise of the target's media where the response curve of the source, its amplitude
        set to 1, is 1. A fall ends at no media.
    lag : int, periods, default 0
        Periods between the response of the source and the rise.
    paid : bool, default False
        If True, the advertiser pays for the rise: the spend of the target rises. If False, the
        media come without spend, as clicks on an organic result do.

    Raises
    ------
    ConfigError
        If a key is unknown, a value has the wrong type or range, or both channels are the same.

    Examples
    --------
    >>> FunnelConfig(source="TV", target="Search", strength=0.3).lag
    0
    """

    source: Text
    target: Text
    strength: Annotated[Number, Field(gt=-1)]
    lag: Annotated[Integer, Field(ge=0, le=1000)] = 0
    paid: Switch = False


class InteractionConfig(FrozenConfig):
    """Two channels that sell more together than the sum of the two, or less.

    Parameters
    ----------
    channels : list of str
        Names of two channels.
    strength : float, share of base sales
        Sales per period where the response curves of both channels are 1, positive for synergy
        and negative for cannibalisation. With a `response`, pressure on people instead.

    Raises
    ------
    ConfigError
        If a key is unknown, a value has the wrong type or range, or there are not two channels.

    Examples
    --------
    >>> InteractionConfig(channels=["TV", "Search"], strength=0.02).strength
    0.02
    """

    channels: Annotated[tuple[Text, ...], Field(min_length=2, max_length=2)]
    strength: Number


class PullForwardConfig(FrozenConfig):
    """Sales that a channel borrows from later periods: buyers come earlier and are missing later.

    Parameters
    ----------
    share : float, share of the channel's sales, default 0.3
        Share that is missing in the periods after. At 1 the channel only moves sales in time.
    periods : int, periods, default 4
        Number of later periods that miss it, in equal parts.

    Raises
    ------
    ConfigError
        If a key is unknown or a value has the wrong type or range.

    Examples
    --------
    >>> PullForwardConfig(share=0.5).periods
    4
    """

    share: Annotated[Number, Field(ge=0, le=1)] = 0.3
    periods: Annotated[Integer, Field(ge=1, le=1000)] = 4


class MediatorConfig(FrozenConfig):
    """A state between media and sales, such as awareness or visits of a website.

    It is ``persistence`` times its last value plus ``1 - persistence`` times what media add.

    Parameters
    ----------
    name : str
        Label of the mediator, and of its control if it is observed.
    parents : mapping of str to float
        Channels that raise the mediator, each with the rise where its response curve is 1.
    persistence : float, correlation, default 0.7
        Share of the mediator that is left after one period.
    effect : float, share of base sales, default 0.1
        Sales per period where the mediator is 1. With a `response`, pressure on people instead.
    observed : {"whole", "survey", "no"}, default "whole"
        What the data show of the mediator: its value in every period, the estimate of a survey,
        or nothing. What they show is a control without an effect of its own.
    coverage : float, share of periods, default 0.25
        Share of the periods with a survey. Between surveys the control keeps its last estimate.
    respondents : int, default 500
        People asked in one survey. The estimate is a share of them, so that the mediator must lie
        between 0 and 1.

    Raises
    ------
    ConfigError
        If a key is unknown or a value has the wrong type or range.

    Examples
    --------
    >>> MediatorConfig(name="Awareness", parents={"TV": 0.5}).persistence
    0.7
    """

    name: ControlName
    parents: Annotated[dict[Text, Number], Field(min_length=1)]
    persistence: Annotated[Number, Field(ge=0, lt=1)] = 0.7
    effect: Number = 0.1
    observed: Literal["whole", "survey", "no"] = "whole"
    coverage: Annotated[Number, Field(gt=0, le=1)] = 0.25
    respondents: Annotated[Integer, Field(ge=1)] = 500


class CampaignConfig(FrozenConfig):
    """A campaign within a channel: it shares the curve of the channel and has its own quality.

    The shares of spend move over time, and with them the quality of the media of the channel. The
    mean quality, weighted by spend, is 1.

    Parameters
    ----------
    name : str
        Name of the campaign, unique within its channel.
    share : float, relative, default 1.0
        Usual share of the spend of the channel, relative to the other campaigns.
    quality : float, relative, default 1.0
        Delivered media per unit of spend, relative to the other campaigns.
    volatility : float, log scale, default 0.5
        Standard deviation of the log of the share before shares are scaled to sum to 1.
    persistence : float, correlation, default 0.8
        Correlation of the share in neighbouring periods, on the log scale.

    Raises
    ------
    ConfigError
        If a key is unknown or a value has the wrong type or range.

    Examples
    --------
    >>> CampaignConfig(name="Brand", share=3, quality=0.5).volatility
    0.5
    """

    name: Annotated[Text, AfterValidator(str.strip)]
    share: Annotated[Number, Field(gt=0)] = 1.0
    quality: Annotated[Number, Field(gt=0)] = 1.0
    volatility: Annotated[Number, Field(ge=0)] = 0.5
    persistence: Annotated[Number, Field(ge=0, lt=1)] = 0.8


class CompetitorConfig(FrozenConfig):
    """A competitor whose media take sales, answer ours, and lower our effect in the same weeks.

    Its spend is an index with an expected mean of 1. It takes ``share * 2 c / (1 + c)`` of base
    sales where the index is c.

    Parameters
    ----------
    share : float, share of base sales, default 0.05
        Sales that the competitor takes at its mean spend.
    persistence : float, correlation, default 0.8
        Correlation of its spend in neighbouring periods, on the log scale.
    volatility : float, log scale, default 0.3
        Standard deviation of the log of its spend.
    shared : float, share of variance, default 0.5
        Share of the variance that all geos have in common.
    answer : float, elasticity, default 0.0
        Rise of its spend, in percent, in the period after our spend in the geo was 1% above its
        planned mean.
    dampening : float, log scale, default 0.0
        Fall of the log of the effect of all channels where its spend is 1 above its mean. Over the
        window of planned spend, the mean effect stays as it is.

    Raises
    ------
    ConfigError
        If a key is unknown or a value has the wrong type or range.

    Examples
    --------
    >>> CompetitorConfig(answer=0.5).share
    0.05
    """

    share: Annotated[Number, Field(ge=0)] = 0.05
    persistence: Annotated[Number, Field(ge=0, lt=1)] = 0.8
    volatility: Annotated[Number, Field(ge=0)] = 0.3
    shared: ShareOfVariance = 0.5
    answer: Annotated[Number, Field(ge=0, le=1)] = 0.0
    dampening: Annotated[Number, Field(ge=0)] = 0.0


class SpendCorrelationConfig(FrozenConfig):
    """Two channels whose planned spend is correlated.

    Their campaigns come together as often as it takes, whatever their patterns do. A local channel
    that is correlated with a national one (`shared`) follows it in all geos.

    Parameters
    ----------
    channels : list of str
        Names of two channels.
    correlation : float, correlation
        Expected correlation of their spend over the dates of a geo. 0 leaves their campaigns
        independent.

    Raises
    ------
    ConfigError
        If a key is unknown, a value has the wrong type or range, or there are not two channels.

    Examples
    --------
    >>> SpendCorrelationConfig(channels=["TV", "Search"], correlation=0.6).correlation
    0.6
    """

    channels: Annotated[tuple[Text, ...], Field(min_length=2, max_length=2)]
    correlation: Annotated[Number, Field(gt=-1, lt=1)]


def _one_or_pairs(value: object) -> str:
    return BRANCHES[1] if isinstance(value, list | tuple) else BRANCHES[0]


# One number for all pairs of channels, or a list of named pairs.
SpendCorrelation = Annotated[
    Annotated[Number, Field(ge=0, lt=1), Tag(BRANCHES[0])]
    | Annotated[tuple[SpendCorrelationConfig, ...], Tag(BRANCHES[1])],
    Discriminator(_one_or_pairs),
]


def channel_position(name: str, channels: Sequence[str], *path: str | int) -> int:
    """Return the position of a channel written as ``"TV"``, ``"x-TV"`` or ``"x1-TV"``.

    Raises
    ------
    PydanticCustomError
        If there is no such channel, at `path`.
    """
    label = name if name in channels else coordinate_label(name, "x", 0)
    if label not in channels:
        raise fail(f"no channel named {name!r}; {nearest(name, channels)}", *path)
    return list(channels).index(label)


def check_funnels(funnels: Sequence[FunnelConfig], channels: Sequence[str]) -> None:
    """Raise if a funnel names an unknown channel, is there twice, or funnels form a circle."""
    targets: dict[int, list[int]] = {}
    seen: dict[tuple[int, int], int] = {}
    for position, funnel in enumerate(funnels):
        source, target = (
            channel_position(getattr(funnel, end), channels, "funnels", position, end)
            for end in ("source", "target")
        )
        if _reaches(targets, target, source):
            raise fail(
                f"found a funnel from {channels[source]!r} to {channels[target]!r}, which closes a "
                "circle of funnels; allowed: channels in an order in which each raises later ones",
                "funnels",
                position,
            )
        targets.setdefault(source, []).append(target)
        if (source, target) in seen:
            raise fail(
                f"found the channels of funnels.{seen[source, target]} again, allowed: each pair "
                "once",
                "funnels",
                position,
            )
        seen[source, target] = position


def _reaches(targets: dict[int, list[int]], start: int, goal: int) -> bool:
    return start == goal or any(_reaches(targets, each, goal) for each in targets.get(start, ()))


def check_mediators(mediators: Sequence[MediatorConfig], channels: Sequence[str]) -> None:
    """Raise if a mediator has the name of another, or an unknown channel as a parent."""
    names: list[str] = []
    for position, mediator in enumerate(mediators):
        label = coordinate_label(mediator.name, "c", 0)
        if label in names:
            first = names.index(label)
            raise fail(
                f"found {label!r}, the name of mediators.{first} already; give another one",
                "mediators",
                position,
                "name",
            )
        names.append(label)
        for parent in mediator.parents:
            channel_position(parent, channels, "mediators", position, "parents", parent)


def check_pairs(
    pairs: Sequence[InteractionConfig | SpendCorrelationConfig],
    channels: Sequence[str],
    key: str,
) -> None:
    """Raise if a pair names an unknown channel, one twice, or a pair is in the list `key` twice."""
    seen: dict[frozenset[int], int] = {}
    for position, pair in enumerate(pairs):
        both = frozenset(
            channel_position(name, channels, key, position, "channels", at)
            for at, name in enumerate(pair.channels)
        )
        if len(both) < 2:
            raise fail(
                f"found {pair.channels[0]!r} twice, allowed: two channels",
                key,
                position,
                "channels",
            )
        if both in seen:
            raise fail(
                f"found the pair of {key}.{seen[both]} again, allowed: each pair once",
                key,
                position,
                "channels",
            )
        seen[both] = position
