"""Selection of geos, channels and dates for a plot, checks of them, and texts for units."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.artist import Artist

from mmm_xgen.config.base import shown
from mmm_xgen.errors import AlignmentError, ConfigError, SchemaError, nearest
from mmm_xgen.formatting.words import first_to_last
from mmm_xgen.kernels.calendar import period_word
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.plots.style import CHANNEL_COLOURS, OTHER_COLOUR, plain_text, plain_texts
from mmm_xgen.schema import check_variables, describe
from mmm_xgen.truth.media import channel_label

MOST_CHANNELS = 8
# Most dates of a series on a page.
MOST_DATES = 750
# Axes break beyond these values, whose squares, products and ratios are still finite.
LEAST_VALUE, GREATEST_VALUE = 1e-150, 1e150


@dataclass(frozen=True)
class Groups:
    """Channels that a picture shows, the largest first, and the small ones as one.

    Parameters
    ----------
    members : dict of str to list of str
        Names shown, each with its channels.
    other : str or None
        The name that stands for several channels.
    colour : dict of str to str
        Colour of each name; the same channel has the same colour in all pictures of a dataset.
    texts : dict of str to str
        Text of every channel of the dataset, as `texts_of` gives it.
    """

    members: dict[str, list[str]]
    other: str | None
    colour: dict[str, str]
    texts: dict[str, str]

    @property
    def labels(self) -> list[str]:
        """Names as matplotlib writes them out."""
        return [self.texts.get(name, name) for name in self.members]

    def entries(self, artists: Iterable[Artist]) -> dict[str, Artist]:
        """Entries of a legend, as `entries_of` makes them."""
        return entries_of(zip(self.labels, artists, strict=True))

    def sums(self, values: xr.DataArray) -> dict[str, FloatArray]:
        """Sum over the channels of each name."""
        return {
            name: values.sel(channel=channels).sum("channel").to_numpy()
            for name, channels in self.members.items()
        }


def texts_of(ds: xr.Dataset, dim: str) -> dict[str, str]:
    """Return a different text for each channel, geo or control of a dataset.

    Examples
    --------
    >>> import mmm_xgen
    >>> texts_of(mmm_xgen.generate_mmm_dataset(), "geo")
    {'geo_a': 'geo_a', 'geo_b': 'geo_b'}
    """
    return plain_texts(map(str, ds[dim].to_numpy()))


def entries_of(named: Iterable[tuple[str, Artist]]) -> dict[str, Artist]:
    """Make the entries of a legend; equal names get a number.

    Examples
    --------
    >>> list(entries_of([("TV", Artist()), ("Radio", Artist()), ("TV", Artist())]))
    ['TV', 'Radio', 'TV (2)']
    """
    entries = {}
    for name, artist in named:
        label, copies = name, 1
        while label in entries:
            copies += 1
            label = f"{name} ({copies})"
        entries[label] = artist
    return entries


def one_of(found: str, allowed: Sequence[str], path: str) -> None:
    """Refuse a word that an argument does not take.

    Raises
    ------
    ConfigError
        If so; it names the nearest.

    Examples
    --------
    >>> one_of("lines", ("lines", "area"), "kind")
    """
    if found not in allowed:
        raise ConfigError(f"found {found!r}, {nearest(str(found), allowed)}", path=path)


def check_panel(ds: xr.Dataset, *names: str) -> None:
    """Refuse a dataset that lacks a variable, has a further dim, nothing along a dim or odd sizes.

    An empty dim control is allowed.

    Raises
    ------
    SchemaError
        If so; it says what to select.

    Examples
    --------
    >>> import mmm_xgen
    >>> check_panel(mmm_xgen.generate_mmm_dataset(), "spend", "y")
    """
    check_variables(ds, *names)
    for name in names:
        # Sums over dates of a dataset leave its intercept with a dim date.
        allowed = {"date", *describe(name).dims}
        extra = [str(dim) for dim in ds[name].dims if dim not in allowed]
        if extra:
            raise SchemaError(
                f"{name!r} has the dim {extra[0]!r}; plot one entry: ds.isel({extra[0]}=0)"
            )
        empty = [str(dim) for dim, size in ds[name].sizes.items() if not size and dim != "control"]
        if empty:
            raise SchemaError(
                f"{name!r} has no {empty[0]}: found 0, allowed: at least 1; select some"
            )
    check_sizes(ds[list(names)])


def check_sizes(ds: xr.Dataset, *, apart: Sequence[str] = ("geo", "channel", "control")) -> None:
    """Refuse values that an axis cannot show: infinite, next to the largest or to the smallest.

    matplotlib ends the process, or draws something else, at such values.

    Parameters
    ----------
    ds : Dataset
        What is drawn.
    apart : sequence of str
        Dims of which each entry may have an axis of its own.

    Raises
    ------
    SchemaError
        If the largest absolute value of a variable is neither 0 nor between 1e-150 and 1e150.

    Examples
    --------
    >>> check_sizes(xr.Dataset({"y": ("date", [1e-312, 2e-312])}))
    Traceback (most recent call last):
    mmm_xgen.errors.SchemaError: 'y' is too small for a picture: found at most 2e-312, allowed: ...
    """
    for name, values in ds.items():
        size = abs(values.astype(float)).fillna(0.0)
        size = size.max([dim for dim in size.dims if dim not in apart])
        odd = (size > 0) & ~((size >= LEAST_VALUE) & (size <= GREATEST_VALUE))
        if not bool(odd.any()):
            continue
        place = np.unravel_index(int(odd.to_numpy().argmax()), odd.shape)
        found = size[dict(zip(size.dims, place, strict=True))]
        where = ", ".join(f"{dim} {shown(str(found[dim].item()))}" for dim in size.dims)
        what = "small" if float(found) < 1 else "large"
        raise SchemaError(
            f"{name!r} is too {what} for a picture: found at most {float(found):g}"
            f"{f' in {where}' if where else ''}, allowed: 0, or {LEAST_VALUE:g} to "
            f"{GREATEST_VALUE:g}; change its units"
        )


def at_geo(ds: xr.Dataset, geo: str | None) -> xr.Dataset:
    """Dataset of one geo, or of all if `geo` is None; the dim stays.

    Raises
    ------
    AlignmentError
        If there is no such geo.

    Examples
    --------
    >>> import mmm_xgen
    >>> at_geo(mmm_xgen.generate_mmm_dataset(), "geo_b").sizes["geo"]
    1
    """
    if geo is None:
        return ds
    known = [str(name) for name in ds["geo"].to_numpy()]
    if geo not in known:
        raise AlignmentError(f"geo: found {geo!r}; {nearest(geo, known)}")
    return ds.isel(geo=[known.index(geo)])


def by_size(ds: xr.Dataset) -> list[str]:
    """Channels, the largest contribution first, then the largest spend.

    Examples
    --------
    >>> import mmm_xgen
    >>> by_size(mmm_xgen.generate_mmm_dataset())[0]
    'Seasonal'
    """
    names = [name for name in ("spend", "channel_contribution") if name in ds]
    totals = ds[names].sum(("date", "geo"))
    order = np.lexsort([-totals[name].to_numpy() for name in names])
    return [str(name) for name in ds["channel"].to_numpy()[order]]


def chosen_channels(ds: xr.Dataset, channels: Sequence[str] | None) -> list[str]:
    """Channels that were asked for, all by default, in order of size.

    Raises
    ------
    ConfigError
        If `channels` is empty, or one name instead of a sequence of them.
    AlignmentError
        If there is no such channel.

    Examples
    --------
    >>> import mmm_xgen
    >>> chosen_channels(mmm_xgen.generate_mmm_dataset(), ["x2-Trend", "Seasonal"])
    ['Seasonal', 'Trend']
    """
    ordered = by_size(ds)
    if channels is None:
        return ordered
    if isinstance(channels, str):
        raise ConfigError(f"found {channels!r}, allowed: a list: [{channels!r}]", path="channels")
    if not len(channels):
        raise ConfigError(
            "found no channel, allowed: one or more, or None for all", path="channels"
        )
    asked = {channel_label(ds, name) for name in channels}
    return [name for name in ordered if name in asked]


def group_channels(
    ds: xr.Dataset, channels: Sequence[str] | None = None, *, most: int = MOST_CHANNELS
) -> Groups:
    """Choose the channels to show: those named, or the largest, and the rest as one.

    Parameters
    ----------
    ds : Dataset, dims (date, geo, channel)
        With ``spend``; ``channel_contribution`` decides the order if it is there.
    channels : sequence of str, optional
        Which; all by default.
    most : int
        How many have a name of their own, 8 at most: there are no more colours to tell apart.

    Raises
    ------
    AlignmentError
        If there is no such channel.

    Examples
    --------
    >>> import mmm_xgen
    >>> ds = mmm_xgen.generate_mmm_dataset(mmm_xgen.get_preset_config("large_business"))
    >>> groups = group_channels(ds)
    >>> len(groups.members), groups.other, len(groups.members[groups.other])
    (9, '22 others', 22)
    """
    everything, ordered = by_size(ds), chosen_channels(ds, channels)
    kept, rest = ordered[:most], ordered[most:]
    if len(rest) == 1:
        kept, rest = ordered[: most - 1], ordered[most - 1 :]
    members = {name: [name] for name in kept}
    other = f"{len(rest)} others" if rest else None
    if other is not None:
        members[other] = rest
    return Groups(members, other, _colours(everything, kept, other), texts_of(ds, "channel"))


def _colours(everything: list[str], kept: list[str], other: str | None) -> dict[str, str]:
    """Colour of each name: the largest channels have theirs whatever else is shown."""
    own = dict(zip(everything, CHANNEL_COLOURS, strict=False))
    taken = {own[name] for name in kept if name in own}
    free = (colour for colour in CHANNEL_COLOURS if colour not in taken)
    found = {name: own[name] if name in own else next(free) for name in kept}
    return found if other is None else {**found, other: OTHER_COLOUR}


def thinned(ds: xr.Dataset) -> tuple[xr.Dataset, int]:
    """Average neighbouring dates until there are no more than `MOST_DATES`.

    Returns
    -------
    tuple of Dataset and int
        The means, and how many dates each is of.

    Examples
    --------
    >>> import mmm_xgen
    >>> thinned(mmm_xgen.generate_mmm_dataset()[["y"]])[1]
    1
    """
    step = -(-ds.sizes["date"] // MOST_DATES)
    if step < 2:
        return ds, 1
    windows: Any = ds.coarsen(date=step, boundary="trim", coord_func={"date": "min"})
    means: xr.Dataset = windows.mean()
    return means, step


def period_of(ds: xr.Dataset) -> str:
    """Return the word for one period of a dataset, such as ``"week"``."""
    return period_word(str(ds.attrs.get("freq", "")))


def kpi_of(ds: xr.Dataset) -> str:
    """Units of the sales of a dataset."""
    return plain_text(str(ds["y"].attrs.get("units", "sales")) if "y" in ds else "sales")


def currency_of(ds: xr.Dataset) -> str:
    """Currency of a dataset."""
    return plain_text(str(ds["spend"].attrs.get("units", "currency")))


def per_period(units: str, ds: xr.Dataset, step: int = 1) -> str:
    """Label of an axis: units a period, and what each point is a mean of.

    Examples
    --------
    >>> import mmm_xgen
    >>> per_period("USD", mmm_xgen.generate_mmm_dataset(), 2)
    'USD per week, means of 2 weeks'
    """
    period = period_of(ds)
    return f"{units} per {period}" + (f", means of {step} {period}s" if step > 1 else "")


def span_of(ds: xr.Dataset) -> str:
    """Write the first and last date.

    Examples
    --------
    >>> import mmm_xgen
    >>> span_of(mmm_xgen.generate_mmm_dataset())
    '2022-01-03 to 2023-12-25'
    """
    return first_to_last(ds["date"].to_numpy())


def where(ds: xr.Dataset, geo: str | None) -> str:
    """Name the geos of a plot.

    Examples
    --------
    >>> import mmm_xgen
    >>> ds = mmm_xgen.generate_mmm_dataset()
    >>> where(ds, None), where(ds, "geo_a"), where(ds.isel(geo=[0]), None)
    (' in 2 geos', ' in geo_a', '')
    """
    if geo is not None:
        return f" in {texts_of(ds, 'geo')[geo]}"
    return f" in {ds.sizes['geo']} geos" if ds.sizes["geo"] > 1 else ""
