"""The command that writes the report of a dataset."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmm_xgen.cli.arguments import Force, check_new
from mmm_xgen.cli.terminal import say, warnings_in_one_line
from mmm_xgen.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


def report(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FILE|PRESET",
            help="Data (.nc, .csv, .parquet), or a preset or configuration to generate from.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="The HTML file to write.")] = Path("report.html"),
    title: Annotated[str | None, typer.Option(help="Heading.  [the name of the source]")] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Seed, where the source is generated from.")
    ] = None,
    sections: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME,...", help="Sections to write, as summary,truth.  [default: all]"
        ),
    ] = None,
    captions: Annotated[
        bool,
        typer.Option("--captions/--no-captions", help="Name the function that draws each picture."),
    ] = True,
    force: Force = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
) -> None:
    """Write one HTML file that shows and tells what is in data.

    Data of your own is a wide table with columns date, geo, y, x1-..., c1-...; if it is too
    broken to be shown, the report says what is wrong with it.
    """
    import xarray as xr

    from mmm_xgen.atomic import check_target
    from mmm_xgen.cli.sources import DATA, check_unharmed, naming
    from mmm_xgen.report.page import chosen_sections, write_report

    names = [name.strip() for text in sections or () for name in text.split(",")]
    chosen = chosen_sections(names or None, path="--sections")
    _check_suffix(out)
    check_target(out)
    given = Path(source)
    check_new([out], [given] if given.exists() else [], force=force)
    with warnings_in_one_line(quiet=quiet):
        data = _read(source, seed)
        with naming(given) if given.suffix.lower() in DATA else nullcontext():
            if isinstance(data, xr.Dataset) and "schema_version" in data.attrs:
                check_unharmed(data)
            path = write_report(
                data, out, title=title or given.stem, sections=chosen, captions=captions
            )
    if not quiet:
        say(f"wrote {path}")


def _check_suffix(out: Path) -> None:
    if out.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(
            f"found the suffix {out.suffix!r}, allowed: .html, as in report.html", path="--out"
        )


def _read(source: str, seed: int | None) -> xr.Dataset | pd.DataFrame:
    """Data of a file, or generated from a preset or configuration."""
    from mmm_xgen.cli.sources import DATA, read_any_data, read_config

    if Path(source).suffix.lower() in DATA:
        if seed is not None:
            raise ConfigError(
                "this file has its data; drop the seed, or name a preset", path="--seed"
            )
        return read_any_data(Path(source))
    from mmm_xgen.generate import generate_mmm_dataset

    config = read_config(source, [] if seed is None else [f"seed={seed}"])
    if config.spend_plan is not None:
        raise ConfigError(
            "this configuration is for a media plan; generate with --spend first, then report the "
            ".nc file"
        )
    return generate_mmm_dataset(config)
