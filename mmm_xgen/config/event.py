"""Configuration of a holiday or another event."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from mmm_xgen.config.base import FrozenConfig, Number, fail, shown
from mmm_xgen.config.descriptions import with_kinds
from mmm_xgen.config.specs import kind_to_send, received_kind
from mmm_xgen.kernels.baseline import EVENT_SHAPES
from mmm_xgen.kernels.calendar import is_day


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

    Parameters
    ----------
    name : str
        Label of the event.
    dates : list of str
        ISO dates such as ``"2024-11-29"``, or ``"MM-DD"`` for every year.
    effect : float, share of base sales
        Effect at the peak; negative for a loss.
    shape : str, default "pulse"
        Kind of the course of the effect over the days around the event.
    width_days : float, days, default from the shape
        Width of the shape.
    lag_days : float, days, default 0.0
        Delay of the effect after the event; negative if the effect comes before.

    Raises
    ------
    ConfigError
        If a key is unknown or a value has the wrong type or range.

    Examples
    --------
    >>> EventConfig(name="christmas", dates=["12-25"], effect=0.3).shape
    'pulse'
    """

    name: Annotated[str, Field(min_length=1)]
    dates: tuple[EventDay, ...] = Field(min_length=1)
    effect: Number
    shape: Annotated[str, AfterValidator(_registered_shape)] = Field(
        default="pulse", json_schema_extra=lambda schema: schema.update(enum=list(EVENT_SHAPES))
    )
    width_days: Annotated[Number, Field(gt=0, le=400)] | None = None
    lag_days: Annotated[Number, Field(ge=-400, le=400)] = 0.0

    def __reduce__(self) -> tuple[Any, ...]:
        # Send the user's own shape along, so that a worker process knows it.
        shape = kind_to_send(EVENT_SHAPES[self.shape], EVENT_SHAPES)
        return _event_from, (type(self), shape, self.__getstate__())

    @model_validator(mode="before")
    @classmethod
    def _one_date(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and isinstance(data.get("dates"), str):
            found = shown(data["dates"])
            raise fail(f"found {found}, allowed: a list of dates", "dates")
        return data


def _event_from(model: type[EventConfig], shape: Any, state: dict[str, Any]) -> EventConfig:
    received_kind(shape, EVENT_SHAPES)
    event = model.__new__(model)
    event.__setstate__(state)
    return event
