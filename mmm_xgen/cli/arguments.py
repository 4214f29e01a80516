"""Parsing of option values: windows, changes of spend, constraints, output files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from mmm_xgen.errors import AlignmentError, ConfigError, nearest

if TYPE_CHECKING:
    import xarray as xr

    Period = tuple[str | None, str | None]

Choice = TypeVar("Choice", bound=StrEnum)
Force = Annotated[bool, typer.Option("--force", help="Replace what is there.")]
DATE = re.compile(r"\d{4}(-\d{2}(-\d{2})?)?", re.ASCII)
NUMBER = re.compile(r"(?P<sign>[+-]?)(\d+\.?\d*|\.\d+)(e[+-]?\d+)?(?P<percent>%?)", re.I | re.ASCII)
CHANGES = "+50% or -20% (against today), or 2000 (spend per period and geo)"
LOCK = "locked"
OVERWRITE = "replace it with --force, or choose another place with --out"


def choices(texts: Iterable[str], allowed: type[Choice], option: str) -> list[Choice]:
    """Members of `allowed` that are named in lists with commas, each once.

    Raises
    ------
    ConfigError
        If a name is not in `allowed`.

    Examples
    --------
    >>> Color = StrEnum("Color", ["RED", "BLUE"])
    >>> choices(["red,blue", "red"], Color, "--color")
    [<Color.RED: 'red'>, <Color.BLUE: 'blue'>]
    """
    names = [name.strip().lower() for text in texts for name in text.split(",")]
    known = [str(member) for member in allowed]
    for name in names:
        if name not in known:
            raise ConfigError(f"found {name!r}; {nearest(name, known)}", path=option)
    return [allowed(name) for name in dict.fromkeys(names)]


def check_new(targets: Iterable[Path], inputs: Iterable[Path] = (), *, force: bool) -> None:
    """Refuse to write over a file, unless `force` is given, and never over an input.

    Raises
    ------
    ConfigError
        It names the file.
    """
    targets, inputs = list(targets), list(inputs)
    for target in targets:
        if target.is_dir():
            raise ConfigError(f"{str(target)!r} is a folder; choose another one with --out")
        for given in inputs:
            if target.exists() and target.samefile(given):
                raise ConfigError(
                    f"would overwrite {str(given)!r}; choose another place with --out"
                )
    for target in targets:
        if target.exists() and not force:
            raise ConfigError(f"{str(target)!r} exists; {OVERWRITE}")


def read_window(ds: xr.Dataset, text: str | None) -> Period | None:
    """Window of ``START:END``, ``START:``, ``:END``, or one date, month or year.

    Raises
    ------
    ConfigError
        If `text` is not a window, or contains no date of `ds`.

    Examples
    --------
    >>> import mmm_xgen
    >>> ds = mmm_xgen.generate_mmm_dataset()
    >>> read_window(ds, "2022-03:2022-06-30"), read_window(ds, "2023:"), read_window(ds, "2023")
    (('2022-03', '2022-06-30'), ('2023', None), ('2023', '2023'))
    """
    from mmm_xgen.truth.what_if.counterfactual import window_periods

    if text is None:
        return None
    first, colon, last = text.strip().partition(":")
    window = (first or None, last or None) if colon else (first, first)
    if not all(end is None or _is_date(end) for end in window):
        raise ConfigError(
            f"found {text!r}, allowed: START:END, each a day (2023-05-01), a month (2023-05), a "
            "year (2023) or nothing, or one of them alone",
            path="--window",
        )
    try:
        window_periods(ds, window)
    except ConfigError as error:
        raise ConfigError(error.message, path="--window") from None
    return window


def _is_date(text: str) -> bool:
    import numpy as np

    try:
        np.datetime64(text)
    except ValueError:
        return False
    return DATE.fullmatch(text) is not None


def read_change(ds: xr.Dataset, text: str) -> dict[str, Any]:
    """Arguments of `change_investment` for ``CHANNEL=CHANGE`` or ``CHANNEL:GEO=CHANGE``.

    The last ``=`` ends the name. A colon divides channel and geo only if the whole name is not a
    channel.

    Raises
    ------
    ConfigError
        If the channel, the geo or the change is unknown.

    Examples
    --------
    >>> import mmm_xgen
    >>> ds = mmm_xgen.generate_mmm_dataset()
    >>> read_change(ds, "x-Trend:geo_a=+50%")
    {'channel': 'Trend', 'geo': 'geo_a', 'by': 0.5}
    >>> read_change(ds, "Trend=2000")
    {'channel': 'Trend', 'geo': None, 'to': 2000.0}
    """
    from mmm_xgen.truth.what_if.scenarios import change_investment

    name, value = _halves(text, "--set", "CHANNEL=CHANGE or CHANNEL:GEO=CHANGE, as in TV=+50%")
    try:
        channel, geo = _channel_and_geo(ds, name)
        change: dict[str, Any] = {"channel": channel, "geo": geo, **_changed(value)}
        # Make the change once, to report its errors under the name of the option.
        change_investment(ds, **change)
    except (AlignmentError, ConfigError) as error:
        raise ConfigError(str(error), path=f"--set {text}") from None
    return change


def _changed(value: str) -> dict[str, float]:
    found = NUMBER.fullmatch(value)
    if found is None or bool(found["sign"]) != bool(found["percent"]):
        raise ConfigError(f"found the change {value!r}, allowed: {CHANGES}")
    number = _number(value)
    return {"by": number} if found["percent"] else {"to": number}


def _number(value: str) -> float:
    return float(value[:-1]) / 100 if value.endswith("%") else float(value)


def _channel_and_geo(ds: xr.Dataset, name: str) -> tuple[str, str | None]:
    from mmm_xgen.truth.media import channel_label
    from mmm_xgen.truth.what_if.counterfactual import geo_positions

    try:
        return channel_label(ds, name), None
    except AlignmentError:
        if ":" not in name:
            raise
    splits = [(name[:at], name[at + 1 :]) for at, sign in enumerate(name) if sign == ":"][::-1]
    geos = {str(geo) for geo in ds["geo"].values}
    # Names of geos may contain colons: take the last colon that leaves a channel and a geo.
    likely = [split for split in splits if split[1] in geos] or splits
    refusals = []
    for channel, geo in likely:
        try:
            label = channel_label(ds, channel)
            geo_positions(ds, geo)
        except AlignmentError as error:
            refusals.append(error)
        else:
            return label, geo
    raise refusals[0]


def read_constraints(
    ds: xr.Dataset, bounds: Mapping[str, Iterable[str]], locked: Iterable[str]
) -> dict[str, dict[str, Any]]:
    """Constraints of `optimize_allocation`.

    Parameters
    ----------
    ds : Dataset
        A generated Dataset.
    bounds : mapping of str to texts
        By key of a constraint, such as ``"min_change"``, what was given: ``CHANNEL=NUMBER``.
        ``20%`` is 0.2.
    locked : texts
        Names of channels.

    Raises
    ------
    ConfigError
        If a channel is unknown, or a value is not a number or given twice.

    Examples
    --------
    >>> import mmm_xgen
    >>> ds = mmm_xgen.generate_mmm_dataset()
    >>> read_constraints(ds, {"min": ["x-Trend=20%"], "max": ["Trend=0.5"]}, ["Seasonal"])
    {'Trend': {'min': 0.2, 'max': 0.5}, 'Seasonal': {'locked': True}}
    """
    rules: dict[str, dict[str, Any]] = {}
    for key, texts in bounds.items():
        for text in texts:
            option = option_of(key)
            name, value = _halves(text, option, "CHANNEL=NUMBER, as in TV=0.2")
            if NUMBER.fullmatch(value) is None:
                raise ConfigError(
                    f"found {value!r}, allowed: a number such as 0.2 or 20%",
                    path=f"{option} {name}",
                )
            rule = rules.setdefault(_channel(ds, name, option), {})
            if key in rule:
                raise ConfigError("found twice; drop one of them", path=f"{option} {name}")
            rule[key] = _number(value)
    for name in locked:
        rules.setdefault(_channel(ds, name, option_of(LOCK)), {})[LOCK] = True
    return rules


def _channel(ds: xr.Dataset, name: str, option: str) -> str:
    from mmm_xgen.truth.budget.constraints import EVERY_CHANNEL
    from mmm_xgen.truth.media import channel_label

    if name == EVERY_CHANNEL:
        return name
    try:
        return channel_label(ds, name)
    except AlignmentError as error:
        raise ConfigError(str(error), path=option) from None


def option_of(key: str) -> str:
    """Option that gives a constraint.

    Examples
    --------
    >>> option_of("min_change"), option_of("locked")
    ('--min-change', '--lock')
    """
    return "--lock" if key == LOCK else f"--{key.replace('_', '-')}"


def as_written(error: ConfigError) -> ConfigError:
    """Rewrite an error of `optimize_allocation` with the options of the command line.

    Examples
    --------
    >>> as_written(ConfigError("found 3, allowed: a share", path="constraints.TV.min"))
    ConfigError('--min TV: found 3, allowed: a share')
    >>> as_written(ConfigError("found -1, allowed: currency", path="total_budget"))
    ConfigError('--budget: found -1, allowed: currency')
    """
    from mmm_xgen.truth.budget.constraints import KEYS

    path = error.path.replace("total_budget", "--budget")
    begin, _, rest = path.partition(".")
    name, _, key = rest.rpartition(".")
    if begin == "constraints" and name and key in KEYS:
        path = f"{option_of(key)} {name}"
    return ConfigError(error.message.replace("total_budget", "--budget"), path=path)


def _halves(text: str, option: str, allowed: str) -> tuple[str, str]:
    """Name before the last ``=``, and value after it."""
    name, equals, value = (part.strip() for part in text.rpartition("="))
    if not equals or not name or not value:
        raise ConfigError(f"found {text!r}, allowed: {allowed}", path=option)
    return name, value
