"""Configuration of promotions: lower prices for some periods."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from mmm_xgen.config.base import FrozenConfig, Integer, Number, Switch, fail
from mmm_xgen.config.causes import ControlName, PullForwardConfig
from mmm_xgen.config.event import EventDay

DEFAULT_SHARE, DEFAULT_DURATION = 0.15, 3


class PromotionConfig(FrozenConfig):
    """A promotion: the price falls by `depth` for some periods, and more is sold.

    A period on promotion sells ``base sales * ((1 - depth)**elasticity - 1)`` more, and with
    `pull_forward` the periods after it sell less. Promotions are planned before spend. They stay as
    they are when spend changes.

    The calendar is random, or a list of `dates`. In a random one, runs of `duration` periods have
    at least one period without promotion between them. Promotions have 12 to 18% of weeks, a depth
    of 5 to 40% and runs of 2 to 5 weeks in published simulators, an elasticity of -2.6 on average
    [1]_, and a third of their bump comes from other periods [2]_.

    Parameters
    ----------
    name : str
        Label of the promotion, and of its control if it is observed.
    depth : float, share of the price, default 0.2
        Share of the price that buyers save.
    share : float, share of periods, default 0.15
        Expected share of periods on promotion. Not with `dates`.
    duration : int, periods, default 3, or 1 with `dates`
        Length of a run. The edges of the window cut it.
    dates : list of str, optional
        ISO dates such as ``"2024-11-29"``, or ``"MM-DD"`` for every year. A run begins in the
        period of each, in all geos. Dates before the window have no run.
    elasticity : float, elasticity, default -2.62
        Rise of sales, in percent, for a price that is 1% higher; below 0.
    pull_forward : PullForwardConfig, optional
        Share of the additional sales that the periods after it lack.
    answer : float, log odds per standard deviation, optional
        Rise of the log odds that a run begins when latent demand of the geo is one standard
        deviation higher. A `shared` promotion answers to the mean demand of the geos. The expected
        share of periods stays at `share` to within 0.005 for answers up to 2, and 0.01 up to 3; it
        is up to 0.02 higher where demand is nearly all season. Default: promotions do not depend on
        demand, as with 0.
    shared : bool, default False
        True if all geos have the same random calendar.
    observed : bool, default True
        True if the data show the depth by period, as a control without an effect of its own.

    Raises
    ------
    ConfigError
        If a key is unknown, a value has the wrong type or range, or two keys contradict each other.

    References
    ----------
    .. [1] Bijmolt, T. H. A., van Heerde, H. J. and Pieters, R. G. M. (2005). New empirical
       generalizations on the determinants of price elasticity. Journal of Marketing Research,
       42(2), 141-156.
    .. [2] van Heerde, H. J., Leeflang, P. S. H. and Wittink, D. R. (2004). Decomposing the sales
       promotion bump with store data. Marketing Science, 23(3), 317-334.

    Examples
    --------
    >>> PromotionConfig(name="Sale", depth=0.3).elasticity
    -2.62
    """

    name: ControlName
    depth: Annotated[Number, Field(gt=0, lt=1)] = 0.2
    share: Annotated[Number, Field(gt=0, lt=1)] | None = None
    duration: Annotated[Integer, Field(ge=1, le=1000)] | None = None
    dates: Annotated[tuple[EventDay, ...], Field(min_length=1)] | None = None
    elasticity: Annotated[Number, Field(lt=0)] = -2.62
    pull_forward: PullForwardConfig | None = None
    answer: Number | None = None
    shared: Switch = False
    observed: Switch = True

    @property
    def expected_share(self) -> float:
        """Expected share of periods on promotion, if the calendar is random."""
        return DEFAULT_SHARE if self.share is None else self.share

    @property
    def run(self) -> int:
        """Length of a run in periods."""
        default = DEFAULT_DURATION if self.dates is None else 1
        return default if self.duration is None else self.duration

    @property
    def chance(self) -> float:
        """Chance that a run begins in a period after one without promotion."""
        return self.expected_share / (self.run * (1 - self.expected_share))

    @model_validator(mode="after")
    def _one_calendar(self) -> PromotionConfig:
        if self.dates is not None:
            for key, value in (("share", self.share), ("answer", self.answer)):
                if value:
                    raise fail(
                        f"found {value:g} beside dates, allowed: one of the two, as dates fix the "
                        "calendar",
                        key,
                    )
        elif self.chance > 1:
            raise fail(
                f"found {self.expected_share:g}, allowed: at most {self.run / (self.run + 1):.4g} "
                f"with runs of {self.run}, as a period without promotion lies between two runs",
                "share",
            )
        return self


def check_promotions(promotions: tuple[PromotionConfig, ...], *, has_demand: bool) -> None:
    """Raise if a promotion answers to demand that is not there."""
    for position, promotion in enumerate(promotions):
        if promotion.answer and not has_demand:
            raise fail(
                f"found {promotion.answer:g} without demand to answer, allowed: with a 'demand' "
                "block",
                "promotions",
                position,
                "answer",
            )
