"""Configuration of geo experiments, and the cells of spend that each of them changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field, field_validator, model_validator

from mmm_xgen.config.base import Day, FrozenConfig, Integer, Number, fail, shown
from mmm_xgen.config.names import coordinate_label, split_path
from mmm_xgen.errors import ConfigError, nearest
from mmm_xgen.kernels.calendar import Calendar


class ExperimentConfig(FrozenConfig):
    """A test that changes the spend of one channel in some geos for some time.

    The test changes the spend itself, generated or from a media plan, so the data contain the test.
    In each of its geos, and in every period that starts within the test, the spend is
    ``spend * (1 + change)``.

    Parameters
    ----------
    channel : str
        Name of the channel: ``"TV"``, ``"x-TV"`` or ``"x1-TV"``.
    geos : list of str, default all geos
        Geos in which the spend changes. The others are the control group; the default leaves none.
    start : str or date, optional
        First day of the test. Set `start` or `start_period`.
    end : str or date, optional
        Last day of the test. Set `end` or `n_periods`.
    start_period : int, periods, optional
        First period of the test, counted from 0.
    n_periods : int, periods, optional
        Length of the test.
    change : float, share of spend
        Relative change of spend: 0.5 is 50% more, -1 switches the channel off.
    bias : float, share of the lift, optional
        Relative bias of the evaluation of the test: 0.3 if it reports a lift that is 30% too large
        on average. It changes what `mmm_xgen.truth.lift_test` reports of this test, and no data.

    Raises
    ------
    ConfigError
        If a key is unknown, or if start, end or change are missing, set twice or impossible.

    Examples
    --------
    >>> test = ExperimentConfig(
    ...     channel="TV", geos=["north"], start="2022-03-07", end="2022-04-03", change=-1.0
    ... )
    >>> test.start, test.change
    ('2022-03-07', -1.0)
    """

    channel: Annotated[str, Field(min_length=1)]
    geos: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    start: Day = None
    end: Day = None
    start_period: Annotated[Integer, Field(ge=0)] | None = None
    n_periods: Annotated[Integer, Field(ge=1)] | None = None
    change: Annotated[Number, Field(ge=-1)]
    bias: Number | None = None

    @field_validator("geos")
    @classmethod
    def _each_geo_once(cls, geos: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if geos is not None and len(set(geos)) < len(geos):
            raise ValueError("each geo once")
        return geos

    @field_validator("change")
    @classmethod
    def _changes_something(cls, change: float) -> float:
        if change == 0:
            raise ValueError("a change other than 0, such as 0.5 (50% more) or -1 (off)")
        return change

    @model_validator(mode="after")
    def _one_beginning_and_one_end(self) -> ExperimentConfig:
        for day, period in (("start", "start_period"), ("end", "n_periods")):
            given = [name for name in (day, period) if getattr(self, name) is not None]
            if len(given) != 1:
                found = " and ".join(given) or f"neither {day} nor {period}"
                raise fail(
                    f"found {found}, allowed: one of {day} and {period}", (given or [day])[-1]
                )
        if self.start and self.end and self.end < self.start:
            raise fail(f"found {self.end}, which is before start {self.start}", "end")
        return self


@dataclass(frozen=True)
class ExperimentCells:
    """Cells of the spend that one experiment changes.

    Parameters
    ----------
    channel : int
        Position of the channel.
    geos : tuple of int
        Positions of the geos.
    start, stop : int
        First period, and the one after the last.
    """

    channel: int
    geos: tuple[int, ...]
    start: int
    stop: int


def check_experiments(
    experiments: Sequence[ExperimentConfig],
    *,
    channels: Sequence[str],
    geos: Sequence[str],
    calendar: Calendar,
) -> None:
    """Raise the error of `experiment_cells` in the form that a pydantic validator needs."""
    try:
        experiment_cells(experiments, channels=channels, geos=geos, calendar=calendar)
    except ConfigError as error:
        raise fail(error.message, *split_path(error.path)) from None


def experiment_cells(
    experiments: Sequence[ExperimentConfig],
    *,
    channels: Sequence[str],
    geos: Sequence[str],
    calendar: Calendar,
) -> list[ExperimentCells]:
    """Where each experiment changes spend.

    Raises
    ------
    ConfigError
        As for `apply_experiments`.

    Examples
    --------
    >>> import numpy as np
    >>> from mmm_xgen.kernels.calendar import regular
    >>> calendar = regular(np.datetime64("2022-01-03"), 4, "week")
    >>> test = ExperimentConfig(channel="x-TV", start="2022-01-05", end="2022-01-17", change=-1.0)
    >>> experiment_cells([test], channels=["TV"], geos=["north", "south"], calendar=calendar)
    [ExperimentCells(channel=0, geos=(0, 1), start=1, stop=3)]
    """
    found: list[ExperimentCells] = []
    for position, experiment in enumerate(experiments):
        path = f"experiments.{position}"
        start, stop = _periods(experiment, calendar, path)
        cells = ExperimentCells(
            _position(experiment.channel, channels, path),
            _geos(experiment, geos, path),
            start,
            stop,
        )
        for other, earlier in enumerate(found):
            _check_overlap(cells, earlier, (geos, path, other))
        found.append(cells)
    return found


def _position(name: str, channels: Sequence[str], path: str) -> int:
    known = [str(channel) for channel in channels]
    for written in (name, coordinate_label(name, "x", 0)):
        if written in known:
            return known.index(written)
    raise ConfigError(f"no channel named {name!r}; {nearest(name, known)}", path=f"{path}.channel")


def _geos(experiment: ExperimentConfig, geos: Sequence[str], path: str) -> tuple[int, ...]:
    known = [str(geo) for geo in geos]
    if experiment.geos is None:
        return tuple(range(len(known)))
    for name in experiment.geos:
        if name not in known:
            raise ConfigError(f"no geo named {name!r}; {nearest(name, known)}", path=f"{path}.geos")
    return tuple(known.index(name) for name in experiment.geos)


def _periods(experiment: ExperimentConfig, calendar: Calendar, path: str) -> tuple[int, int]:
    """Return the first period of a test and the one after its last."""
    dates = calendar.dates
    first_day, last_day = dates[0], calendar.ends[-1] - np.timedelta64(1, "D")
    for field in ("start", "end"):
        day = getattr(experiment, field)
        if day is not None and not first_day <= np.datetime64(day) <= last_day:
            raise ConfigError(
                f"found {day}, which is outside the data, allowed: {first_day} to {last_day}",
                path=f"{path}.{field}",
            )
    if experiment.start is not None:
        start = int(np.searchsorted(dates, np.datetime64(experiment.start)))
    else:
        start = int(experiment.start_period or 0)
    if start >= len(dates):
        where = "start" if experiment.start is not None else "start_period"
        found = shown(getattr(experiment, where))
        raise ConfigError(
            f"found {found}, after which no period begins, allowed: before period {len(dates)}",
            path=f"{path}.{where}",
        )
    if experiment.end is not None:
        stop = int(np.searchsorted(dates, np.datetime64(experiment.end), side="right"))
        if stop <= start:
            raise ConfigError(
                f"found {experiment.end}, but no period begins from the start of the test to "
                f"then; the first that could be in it begins {dates[start]}",
                path=f"{path}.end",
            )
        return start, stop
    stop = start + int(experiment.n_periods or 0)
    if stop > len(dates):
        raise ConfigError(
            f"found {experiment.n_periods}, allowed: at most {len(dates) - start}, as the data "
            f"end with period {len(dates) - 1}",
            path=f"{path}.n_periods",
        )
    return start, stop


def _check_overlap(
    cells: ExperimentCells, earlier: ExperimentCells, place: tuple[Sequence[str], str, int]
) -> None:
    geos, path, other = place
    shared = [geo for geo in cells.geos if geo in earlier.geos]
    apart = cells.start >= earlier.stop or earlier.start >= cells.stop
    if cells.channel != earlier.channel or not shared or apart:
        return
    raise ConfigError(
        f"found {str(geos[shared[0]])!r}, where experiments.{other} tests the same channel in "
        f"periods {earlier.start} to {earlier.stop - 1}; move one of them in time or to other geos",
        path=f"{path}.geos",
    )
