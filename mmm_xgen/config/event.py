"""Configuration of a holiday or another event."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from mmm_xgen.config.base import FrozenConfig, Number, fail, shown
from mmm_xgen.config.specs import kind_to_send, received_kind
from mmm_xgen.kernels.baseline import EVENT_SHAPES
from mmm_xgen.kernels.calendar import is_day


def _event_day(value: Any) -> str:
    text = str(value)
    if not is_day(text):
        raise ValueError("a date such as '2024-11-29', or '12-25' for every year")
    return text


EventDay = Annotated[Any, BeforeValidator(_event_day)]


def _registered_shape(name: str) -> str:
    if name not in EVENT_SHAPES:
        raise ValueError(f"one of {', '.join(map(repr, EVENT_SHAPES))}")
    return name


class EventConfig(FrozenConfig):
    """A holiday, a sale or a shock, and what it does to sales.

    Parameters
    ----------
    name : str
        Label.
    dates : list of str
        ISO dates, or ``"MM-DD"`` for every year.
    effect : float
        Effect at the peak, as a share of base sales; negative for a loss.
    shape : {"pulse", "gaussian", "decay"}
        Course of the effect over the days around the event.
    width_days : float, optional
        Width of the shape in days; the shape's own by default.
    lag_days : float
        Days by which the effect comes after the event; negative for before.

    Examples
    --------
    >>> EventConfig(name="christmas", dates=["12-25"], effect=0.3).shape
    'pulse'
    """

    name: Annotated[str, Field(min_length=1)]
    dates: tuple[EventDay, ...] = Field(min_length=1)
    effect: Number
    shape: Annotated[str, AfterValidator(_registered_shape)] = "pulse"
    width_days: Annotated[Number, Field(gt=0, le=400)] | None = None
    lag_days: Annotated[Number, Field(ge=-400, le=400)] = 0.0

    def __reduce__(self) -> tuple[Any, ...]:
        # As a spec does, so that a worker process knows a shape of the user's own.
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
