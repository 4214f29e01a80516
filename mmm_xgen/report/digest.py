"""A dataset in ten lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import xarray as xr

from mmm_xgen.errors import XgenError
from mmm_xgen.formatting.amounts import amount, ratio, share
from mmm_xgen.formatting.words import count, first_to_last, listed
from mmm_xgen.kernels.calendar import period_word
from mmm_xgen.schema import mechanisms_of, parts_of
from mmm_xgen.truth.returns.estimands import roas
from mmm_xgen.truth.returns.incremental import media_share

# Characters of a line.
WIDTH = 100
# Labels in a line.
MOST = 6


def digest(ds: xr.Dataset) -> list[tuple[str, str]]:
    """Summarise a Dataset in rows of a name and a text, without computing lazy arrays.

    Examples
    --------
    >>> import mmm_xgen
    >>> for name, text in digest(mmm_xgen.generate_mmm_dataset())[:4]:
    ...     print(name, text, sep=": ")
    dataset: generated, with the truth
    date: 104 weeks, 2022-01-03 to 2023-12-25
    geo: 2 geos: geo_a, geo_b
    channel: 3 channels: Seasonal, Trend, On-Off
    """
    if "spend" not in ds and "y" not in ds:
        return [("dataset", "not marketing-mix data: it has neither 'spend' nor 'y'")]
    rows = [("dataset", _kind(ds)), *_dates(ds)]
    rows += [(dim, _labels(ds, dim)) for dim in ("geo", "channel", "control") if dim in ds.coords]
    if mechanisms := mechanisms_of(ds):
        rows.append(("world", listed(mechanisms.values(), len(mechanisms))))
    is_one = "dataset" not in ds.dims and not ds.chunks
    return [*rows, *(_totals(ds) if is_one else ()), *_origin(ds)]


def as_text(rows: Iterable[tuple[str, str]]) -> str:
    """Write one line for each row."""
    lines = (f"{name:<8} {text}" for name, text in rows)
    return "\n".join(line if len(line) <= WIDTH else f"{line[: WIDTH - 3]}..." for line in lines)


def as_html(rows: Iterable[tuple[str, str]]) -> str:
    """Write the rows as an HTML table."""
    from html import escape

    cells = (
        f'<tr><th scope="row" style="text-align: left">{escape(name)}</th>'
        f'<td style="text-align: left">{escape(text)}</td></tr>'
        for name, text in rows
    )
    return f"<table><tbody>{''.join(cells)}</tbody></table>"


def some(ds: xr.Dataset, dim: str, most: int = MOST) -> str:
    """First labels of a dim, and how many more there are."""
    return listed((_printable(name) for name in np.atleast_1d(ds[dim].to_numpy())), most)


def _printable(text: object) -> str:
    return "".join(each if each.isprintable() else "?" for each in str(text))


def _kind(ds: xr.Dataset) -> str:
    truth = "with the truth" if all(name in ds for name in parts_of(ds)) else "without the truth"
    if "dataset" in ds.dims:
        return f"ensemble of {count(ds.sizes['dataset'], 'dataset')}, {truth}"
    for change in ("counterfactual", "aggregation"):
        if change in ds.attrs:
            return f"{change}: {_printable(ds.attrs[change])}; {truth}"
    return f"{'generated' if 'config' in ds.attrs else 'from elsewhere'}, {truth}"


def _dates(ds: xr.Dataset) -> Iterator[tuple[str, str]]:
    if "date" not in ds.coords:
        return
    dates = np.atleast_1d(ds["date"].to_numpy())
    text = count(dates.size, period_word(ds.attrs.get("freq", "")))
    yield "date", f"{text}, {_printable(first_to_last(dates))}" if dates.size else text


def _labels(ds: xr.Dataset, dim: str) -> str:
    if not ds[dim].ndim:
        return _printable(ds[dim].item())
    text = count(ds[dim].size, dim)
    return f"{text}: {some(ds, dim)}" if ds[dim].size else text


def _totals(ds: xr.Dataset) -> Iterator[tuple[str, str]]:
    for name in ("spend", "y"):
        if name in ds and ds[name].dtype.kind in "fiu":
            unit = _printable(ds[name].attrs.get("units", ""))
            yield name, f"{amount(float(ds[name].sum()))} {unit} in all".replace("  ", " ")
    try:
        returns = roas(ds)
        media = media_share(ds)
    except XgenError:
        # Without the truth, or the dims that it needs.
        return
    yield "media", f"{share(media)} of expected sales"
    shown = (
        f"{_printable(name)} {ratio(value)}"
        for name, value in zip(ds["channel"].to_numpy(), returns.to_numpy(), strict=True)
    )
    yield "ROAS", listed(shown, MOST)


def _origin(ds: xr.Dataset) -> Iterator[tuple[str, str]]:
    if "mmm_xgen_version" not in ds.attrs:
        return
    parts = [f"by mmm-xgen {_printable(ds.attrs['mmm_xgen_version'])}"]
    if "dataset" not in ds.dims:
        # A dataset of an ensemble has its own seed.
        seed = ds["seed"].item() if "seed" in ds.coords else ds.attrs.get("seed", "unknown")
        parts.append(f"seed {_printable(seed)}")
    if "config" in ds.attrs:
        parts.append("configuration: ds.mmm.config")
    yield "made", ", ".join(parts)
