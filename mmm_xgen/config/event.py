"""Configuration of a holiday or another event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from mmm_xgen.config.base import FrozenConfig, Number, Scales, fail, shown
from mmm_xgen.config.descriptions import with_kinds
from mmm_xgen.config.holidays import check_holiday, holiday_dates
from mmm_xgen.config.specs import kind_to_send, received_kind
from mmm_xgen.errors import ConfigError, nearest
from mmm_xgen.kernels.baseline import EVENT_SHAPES
from mmm_xgen.kernels.calendar import DAYS_IN_YEAR, Calendar, is_day
from mmm_xgen.kernels.kind import REQUIRED

# A century: the longest width of a shape.
LONGEST = 36_525


def _event_day(value: Any) -> str:
    text = str(value)
    if not is_day(text):
        raise ValueError("a date such as '2024-11-29', or '12-25' for every year")
    return text


EventDay = Annotated[Any, BeforeValidator(_event_day, json_schema_input_type=str)]


def _registered_shape(name: str) -> str:
    if name not in EVENT_SHAPES:
        raise ValueError(f"one of {', '.join(map(repr, EVENT_SHAPES))}")
    return name


@with_kinds(shape=(EVENT_SHAPES,))
class EventConfig(FrozenConfig):
    """A holiday, a sale or a shock, and its effect on sales.

    Set either `dates`, or `holiday` and `country`.

    Parameters
    ----------
    name : str
        Label of the event.
    dates : list of str, optional
        ISO dates such as ``"2024-11-29"``, or ``"MM-DD"`` for every year.
    effect : float, share of base sales
        Effect at the peak; negative for a loss.
    shape : str, default "pulse"
        Kind of the course of the effect over the days around the event.
    width_days : float, days, default from the shape
        Width of the shape.
    lag_days : float, days, default 0.0
        Delay of the effect after the event; negative if the effect comes before.
    holiday : str, optional
        Holiday whose dates may move, such as ``"Easter Sunday"``, ``"Lunar New Year"``,
        ``"Eid al-Fitr"`` or ``"Thanksgiving"``: a name of the package ``holidays``, in English or
        in the language of the country. A holiday of several days has the date of its first.
    country : str, optional
        ISO code of the country whose calendar dates the holiday, such as ``"DE"``.
    geos : list of str, optional
        Geos that have the event. Default: all.
    scales : {"base_sales", "baseline"}, default "base_sales"
        Sales that `effect` is a share of: base sales, or all of the baseline at its date, with
        trend, seasons and level.

    Raises
    ------
    ConfigError
        If a key is unknown or a value has the wrong type or range.

    Examples
    --------
    >>> EventConfig(name="christmas", dates=["12-25"], effect=0.3).shape
    'pulse'
    >>> easter = EventConfig(name="easter", holiday="Easter Sunday", country="DE", effect=0.2)
    >>> easter.holiday
    'Easter Sunday'
    """

    name: Annotated[str, Field(min_length=1)]
    dates: Annotated[tuple[EventDay, ...], Field(min_length=1)] | None = None
    effect: Number
    shape: Annotated[str, AfterValidator(_registered_shape)] = Field(
        default="pulse", json_schema_extra=lambda schema: schema.update(enum=list(EVENT_SHAPES))
    )
    width_days: Annotated[Number, Field(gt=0, le=LONGEST)] | None = None
    lag_days: Annotated[Number, Field(ge=-400, le=400)] = 0.0
    holiday: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    country: Annotated[str, Field(max_length=100)] | None = None
    geos: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    scales: Scales = "base_sales"

    def __reduce__(self) -> tuple[Any, ...]:
        # Send the user's own shape along, so that a worker process knows it.
        shape = kind_to_send(EVENT_SHAPES[self.shape], EVENT_SHAPES)
        return _event_from, (type(self), shape, self.__getstate__())

    @model_validator(mode="before")
    @classmethod
    def _one_date(cls, data: Any) -> Any:
        for key in ("dates", "geos"):
            if isinstance(data, Mapping) and isinstance(data.get(key), str):
                found = shown(data[key])
                raise fail(f"found {found}, allowed: a list of {key}", key)
        return data

    @model_validator(mode="after")
    def _dates_or_holiday(self) -> EventConfig:
        if self.holiday is None:
            if self.dates is None:
                raise fail("missing; give it a value, or a holiday and its country", "dates")
            if self.country is not None:
                raise fail("found a country without a holiday, allowed: with one", "country")
            return self
        if self.dates is not None:
            raise fail("found both dates and holiday, allowed: one of them", "holiday")
        if self.country is None:
            raise fail("missing; give the ISO code of a country, such as 'DE'", "country")
        check_holiday(self.holiday, self.country)
        return self

    @model_validator(mode="after")
    def _shape_fits(self) -> EventConfig:
        if self.width_days is not None and "width_days" not in EVENT_SHAPES[self.shape].keys:
            raise fail(f"found {self.width_days:g}, but {self.shape!r} has no width", "width_days")
        recurs = self.holiday or next((day for day in self.dates or () if len(day) == 5), None)
        if self.shape == "step" and recurs:
            key = "holiday" if self.holiday else "dates"
            raise fail(
                f"found {recurs!r}, which comes every year, with a step, which lasts for ever; "
                "allowed: ISO dates such as '2024-11-29'",
                key,
            )
        return self

    @property
    def years_around(self) -> int:
        """Number of years before the first date in which the event can still have an effect."""
        width = EVENT_SHAPES[self.shape].parameters.get("width_days")
        default = width.default if width and width.default is not REQUIRED else 0.0
        days = self.width_days or default
        return 1 + int((days + abs(self.lag_days)) / DAYS_IN_YEAR)

    def dates_in(self, calendar: Calendar) -> tuple[str, ...]:
        """Return the dates as written, or those of the holiday in and around a calendar."""
        if self.holiday is None or self.country is None:
            return self.dates or ()
        years = calendar.years(self.years_around).astype(int) + 1970
        return holiday_dates(self.holiday, self.country, int(years[0]), int(years[-1]))


def event_places(events: Sequence[EventConfig], geos: Sequence[str]) -> list[list[bool]]:
    """Return for every geo which of the events it has.

    Raises
    ------
    ConfigError
        If an event names a geo that does not exist.

    Examples
    --------
    >>> storm = EventConfig(name="storm", dates=["2022-06-01"], effect=-0.4, geos=["north"])
    >>> event_places([storm], ["north", "south"])
    [[True], [False]]
    """
    for position, event in enumerate(events):
        for place, geo in enumerate(event.geos or ()):
            if geo not in geos:
                raise ConfigError(
                    f"no geo named {geo!r}; {nearest(geo, geos)}",
                    path=f"events.{position}.geos.{place}",
                )
    return [[event.geos is None or geo in event.geos for event in events] for geo in geos]


def _event_from(model: type[EventConfig], shape: Any, state: dict[str, Any]) -> EventConfig:
    received_kind(shape, EVENT_SHAPES)
    event = model.__new__(model)
    event.__setstate__(state)
    return event
