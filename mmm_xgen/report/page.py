"""The report as a file: its sections in order, put into the template."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from mmm_xgen.atomic import check_target, writing
from mmm_xgen.dataset import in_memory
from mmm_xgen.errors import ConfigError, nearest
from mmm_xgen.formatting.amounts import amount, ratio, share, short_number
from mmm_xgen.formatting.words import count, first_to_last
from mmm_xgen.kernels.calendar import period_word
from mmm_xgen.report import figures, pictures
from mmm_xgen.report.causes import causes
from mmm_xgen.report.configuration import configuration
from mmm_xgen.report.content import Block, Section, Text, Tiles, attempt
from mmm_xgen.report.digest import some
from mmm_xgen.report.faults import faults
from mmm_xgen.report.recommendations import recommendations
from mmm_xgen.report.reproduce import reproduction
from mmm_xgen.report.subject import Subject
from mmm_xgen.truth.returns.estimands import roas
from mmm_xgen.truth.returns.incremental import has_returns, media_share
from mmm_xgen.version import __version__

TEMPLATE = "report.html.j2"
SECTIONS = (
    "recommendations",
    "summary",
    "configuration",
    "world",
    "sales",
    "media",
    "geos",
    "correlation",
    "tables",
    "truth",
    "quality",
    "recoverability",
    "code",
)


@in_memory
def write_report(
    data: xr.Dataset | pd.DataFrame,
    path: str | Path,
    *,
    title: str | None = None,
    sections: str | Iterable[str] | None = None,
    captions: bool = True,
) -> Path:
    """Write a report on a dataset as one HTML file.

    The file contains its pictures, loads nothing and runs no script. The same data give the same
    bytes.

    Parameters
    ----------
    data : Dataset or DataFrame
        A generated or aggregated Dataset; or data from elsewhere, as a Dataset with ``spend``
        (date, geo, channel) and ``y`` (date, geo) or as a wide frame with columns ``date``,
        ``geo``, ``y``, ``x1-*``, ``c1-*``. Without the truth, its sections are left out. For data
        too broken to be shown, the report lists their faults.
    path : str or Path
        The file; its folder must exist. A file that is there is replaced.
    title : str, optional
        Heading; says the size of the data by default.
    sections : str or iterable of str, optional
        Sections to write, in the order of the report; all that the data have by default. Allowed
        are ``"recommendations"``, ``"summary"``, ``"configuration"``, ``"world"`` (who causes
        what, where there is more than spend and controls), ``"sales"``, ``"media"``, ``"geos"``,
        ``"correlation"``, ``"tables"``, ``"truth"``, ``"quality"``, ``"recoverability"`` and
        ``"code"``.
    captions : bool
        Whether pictures and notes name the function of `mmm_xgen.plots` that draws them.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    SchemaError
        If `data` is neither a Dataset nor a DataFrame.
    ConfigError
        If there is no section of a name.
    XgenError
        If there is no such folder, or it cannot be written to.

    Examples
    --------
    >>> import tempfile, mmm_xgen
    >>> frame = mmm_xgen.to_frame(mmm_xgen.generate_mmm_dataset())
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = write_report(frame[:0], Path(folder) / "report.html", title="No data")
    ...     "<h1>No data</h1>" in path.read_text()
    True
    """
    target = Path(path)
    check_target(target)
    text = render(data, title=title, sections=sections, captions=captions)
    with writing(target) as temporary:
        # Bytes keep the line ends on every system.
        temporary.write_bytes(text.encode("utf-8", errors="replace"))
    return target


def render(
    data: xr.Dataset | pd.DataFrame,
    *,
    title: str | None = None,
    sections: str | Iterable[str] | None = None,
    captions: bool = True,
) -> str:
    """HTML of the report, as `write_report` writes it.

    Raises
    ------
    SchemaError
        If `data` is neither a Dataset nor a DataFrame.
    ConfigError
        If there is no section of a name.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    chosen = chosen_sections(sections)
    subject = Subject.of(data)
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(TEMPLATE).render(
        title=title or _title(subject),
        subtitle=_subtitle(subject, with_sizes=bool(title)),
        sections=_sections(subject, chosen),
        captions=captions,
        version=__version__,
    )


def _sections(subject: Subject, chosen: Collection[str] | None) -> list[Section]:
    """Make the chosen sections, or all that have something to show."""
    makers: dict[str, tuple[str, Callable[[Subject], Sequence[Block]]]] = {
        "recommendations": ("Recommendations", recommendations),
        "summary": ("Summary", _summary),
        "configuration": ("How it was configured", configuration),
        "world": ("Who causes what", _world),
        "sales": ("Sales and where they come from", _drawn(pictures.SALES)),
        "media": ("Media: spend, returns and response", _drawn(pictures.MEDIA)),
        "geos": ("Geos", _drawn(pictures.GEOS)),
        "correlation": ("Correlation", _drawn(pictures.CORRELATION)),
        "tables": ("Geos and controls in figures", _tables),
        "truth": ("The truth in tables", _truth),
        "quality": ("Data quality", _quality),
        "recoverability": ("Recoverability", _bounds),
        "code": ("The code that reproduces it", reproduction),
    }
    order = list(SECTIONS)
    if not subject.has_truth:
        makers["sales"] = ("Sales and controls", _drawn(pictures.SALES))
        makers["media"] = ("Media: spend", _drawn(pictures.MEDIA))
        # Data from elsewhere may have faults: show these first.
        order.remove("quality")
        order.insert(order.index("summary") + 1, "quality")
    sections = []
    for anchor in order:
        if chosen is not None and anchor not in chosen:
            continue
        title, make = makers[anchor]
        blocks = tuple(make(subject))
        if not blocks and chosen is not None:
            blocks = (Text("These data have nothing to show here.", "note"),)
        if blocks:
            sections.append(Section(anchor, title, blocks))
    return sections


def chosen_sections(
    sections: str | Iterable[str] | None, *, path: str = "sections"
) -> Collection[str] | None:
    """Names of the sections to write, None for all.

    Raises
    ------
    ConfigError
        If there is none, or a name is not a section's; `path` names the argument.

    Examples
    --------
    >>> chosen_sections(["quality", "truth"])
    ['quality', 'truth']
    """
    if sections is None:
        return None
    names = [sections] if isinstance(sections, str) else list(sections)
    for name in names:
        if name not in SECTIONS:
            raise ConfigError(f"found {name!r}; {nearest(str(name), SECTIONS)}", path=path)
    if not names:
        raise ConfigError(f"found none; {nearest('', SECTIONS)}", path=path)
    return names


def _drawn(drawings: Sequence[pictures.Drawing]) -> Callable[[Subject], Sequence[Block]]:
    return partial(pictures.draw, drawings=drawings)


def _world(subject: Subject) -> Sequence[Block]:
    rows = causes(subject.config)
    return [*pictures.draw(subject, pictures.WORLD), *rows] if rows else []


def _quality(subject: Subject) -> Sequence[Block]:
    figures_found = subject.quality.figures
    outlying = len(figures_found) and figures_found["outliers"].any()
    # Tables replace `plot_quality` here, since they can be copied.
    return [*faults(subject), *(pictures.draw(subject, pictures.OUTLIERS) if outlying else ())]


def _tables(subject: Subject) -> Sequence[Block]:
    ds = subject.ds
    if ds is None or subject.has_truth:
        return []
    return [
        *attempt("Controls", lambda: figures.controls_table(ds)),
        *attempt("Geos", lambda: figures.geos_table(ds)),
    ]


def _truth(subject: Subject) -> Sequence[Block]:
    ds = subject.ds
    if ds is None or not subject.has_truth:
        return []
    blocks = [
        *attempt("Returns by channel", lambda: figures.returns_table(ds)),
        *attempt("Parts of sales", lambda: figures.parts_table(ds)),
    ]
    if subject.has_parameters:
        blocks += attempt("Carry-over and saturation", lambda: figures.shapes_table(ds))
        blocks += attempt("Parameters by channel", lambda: figures.parameters_table(ds))
    blocks += attempt("Controls", lambda: figures.controls_table(ds))
    blocks += attempt("Geos", lambda: figures.geos_table(ds))
    return blocks


def _bounds(subject: Subject) -> Sequence[Block]:
    ds = subject.ds
    if ds is None or not subject.has_parameters:
        return []
    drawn = pictures.draw(subject, pictures.RECOVERABILITY)
    table = attempt(
        "Recoverability", lambda: figures.recoverability_table(ds, subject.recoverability)
    )
    return [*drawn, *table]


# Summary --------------------------------------------------------------------------------------


def _title(subject: Subject) -> str:
    ds = subject.ds
    if ds is None:
        return "Marketing-mix data with faults"
    return f"Marketing-mix data: {_sizes(ds)}"


def _subtitle(subject: Subject, *, with_sizes: bool) -> str:
    if subject.ds is None:
        return ""
    dates = first_to_last(subject.ds["date"].to_numpy())
    return f"{_sizes(subject.ds)}, {dates}" if with_sizes else dates


def _sizes(ds: xr.Dataset) -> str:
    return ", ".join(
        [
            count(ds.sizes["date"], period_word(ds.attrs.get("freq", ""))),
            count(ds.sizes["geo"], "geo"),
            count(ds.sizes["channel"], "channel"),
        ]
    )


def _summary(subject: Subject) -> Sequence[Block]:
    ds = subject.ds
    verdict = _verdict(subject)
    if ds is None:
        # The quality check may find no fault in data that cannot be shown.
        shown = f"no pictures and figures can be made: {subject.fault}"
        why = f"Still {shown}" if subject.quality.ok else f"With these faults {shown}"
        return [Text(f"{verdict} {_sentence(why)}", "alert")]
    currency, kpi = (str(ds[name].attrs.get("units", "")) for name in ("spend", "y"))
    spend, sales = float(ds["spend"].sum()), float(ds["y"].sum())
    tiles = [
        (
            count(ds.sizes["date"], period_word(ds.attrs.get("freq", ""))),
            first_to_last(ds["date"].to_numpy()),
        ),
        (count(ds.sizes["geo"], "geo"), some(ds, "geo", 3)),
        (count(ds.sizes["channel"], "channel"), some(ds, "channel", 3)),
        (count(ds.sizes["control"], "control"), some(ds, "control", 3) or "none"),
        (f"{currency} {short_number(spend)}".strip(), f"spend in all: {amount(spend)}"),
        (short_number(sales), f"{kpi} in all: {amount(sales)}".strip()),
    ]
    if subject.has_truth:
        tiles += _media_tiles(ds)
    blocks: list[Block] = [Tiles(tuple(tiles)), Text(verdict)]
    return [*blocks, *pictures.draw(subject, pictures.OVERVIEW)]


def _media_tiles(ds: xr.Dataset) -> list[tuple[str, str]]:
    tiles = [(share(media_share(ds)), "of expected sales come from media")]
    if not has_returns(ds):
        return tiles
    returns = roas(ds).to_numpy()
    returns = returns[np.isfinite(returns)]
    if returns.size:
        low, high = float(returns.min()), float(returns.max())
        spread = f"median ROAS; {ratio(low)} to {ratio(high)} by channel"
        tiles.append((ratio(float(np.median(returns))), spread))
    return tiles


def _verdict(subject: Subject) -> str:
    report = subject.quality
    counts = f"{count(len(report.errors), 'error')} and {count(len(report.warnings), 'warning')}"
    return f"Data quality: {'ok' if report.ok else 'not ok'}, {counts}."


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."
