"""The commands."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmm_xgen.cli import benchmark, ensemble, report, truth_commands
from mmm_xgen.cli.arguments import Force, check_new, choices
from mmm_xgen.cli.terminal import (
    PROGRAM,
    OneLineGroup,
    open_streams,
    say,
    warnings_in_one_line,
    write_any_text,
)
from mmm_xgen.errors import ConfigError
from mmm_xgen.formatting.progress import progress_bar
from mmm_xgen.version import __version__

if TYPE_CHECKING:
    import xarray as xr

    from mmm_xgen.config.data import MMMDataConfig

    Write = Callable[[xr.Dataset, Path], object]

app = typer.Typer(
    cls=OneLineGroup,
    name=PROGRAM,
    help="Synthetic marketing-mix data whose truth is known.",
    epilog="Begin with: mmm-xgen generate demo",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Source = Annotated[
    str, typer.Argument(metavar="PRESET|FILE", help="A preset, or a .yaml or .json configuration.")
]
FOUND_ERRORS = 1


class Format(StrEnum):
    """Formats of a dataset."""

    CSV = "csv"
    PARQUET = "parquet"
    JSON = "json"
    NC = "nc"


def main() -> None:
    """Run the command line."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Plots are files: settings of a display or of fonts must not end a command.
    os.environ["MPLBACKEND"] = "agg"
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    open_streams()
    write_any_text()
    app(prog_name=PROGRAM)


def _version(wanted: bool) -> None:
    if wanted:
        say(f"{PROGRAM} {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _without_command(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        say(context.get_help())


@app.command()
def generate(
    source: Source,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed in place of the one in it.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PATH=VALUE", help="Change a value; may be repeated."),
    ] = None,
    spend: Annotated[
        Path | None, typer.Option(help="Your media plan, .csv or .parquet, as spend.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder to write to.")] = Path(),
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            metavar="NAME,...",
            help="What to write: csv, parquet, json, nc; may be repeated.  [default: csv,nc]",
        ),
    ] = None,
    plot: Annotated[bool, typer.Option(help="Whether to draw an overview.")] = True,
    force: Force = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
) -> None:
    """Generate data, its truth and an overview picture."""
    from mmm_xgen.cli.sources import read_config
    from mmm_xgen.config.text import name_of

    settings = [*(settings or ()), *([] if seed is None else [f"seed={seed}"])]
    chosen = choices(formats or ["csv", "nc"], Format, "--format")
    targets = _targets(name_of(source), out, chosen, plot=plot)
    inputs = [path for path in (Path(source), spend) if path is not None and path.is_file()]
    with warnings_in_one_line(quiet=quiet):
        config = read_config(source, settings)
        _check_plan(config, spend)
        _check_folder(out)
        check_new(targets, inputs, force=force)
        with progress_bar("generating", 1 + len(targets), wanted=not quiet) as advance:
            ds = _generated(config, spend)
            out.mkdir(parents=True, exist_ok=True)
            for path, write in targets.items():
                advance(what=f"writing {path.name}")
                write(ds, path)
    if not quiet:
        _report(ds, list(targets))


@app.command()
def presets() -> None:
    """List the presets."""
    from mmm_xgen.cli.tables import console, presets_table

    console().print(presets_table())


@app.command()
def worlds(
    name: Annotated[str | None, typer.Argument(metavar="WORLD", help="A named world.")] = None,
) -> None:
    """List the named worlds with what each breaks, or tell all of one."""
    from mmm_xgen.cli.tables import console, world_lines, worlds_table

    if name is not None:
        say("\n".join(world_lines(name)))
        return
    screen = console()
    screen.print(worlds_table(screen.width))
    say("wide: right on average, far off in one dataset; mmm-xgen worlds WORLD: all of it")


@app.command()
def show(
    preset: Annotated[str, typer.Argument(metavar="PRESET", help="A preset or a named world.")],
) -> None:
    """Print a preset or a named world as YAML, to be edited and generated from."""
    from mmm_xgen.presets import preset_yaml

    say(preset_yaml(preset).rstrip("\n"))


@app.command()
def schema() -> None:
    """Print the JSON Schema of a configuration."""
    import json

    from mmm_xgen.config.data import MMMDataConfig

    say(json.dumps(MMMDataConfig.model_json_schema(), indent=2))


@app.command()
def validate(
    file: Annotated[
        Path, typer.Argument(help="A configuration (.yaml, .json) or data (.csv, .parquet, .nc).")
    ],
) -> None:
    """Check a configuration, or the quality of data.

    Data with errors exits with status 1, anything that cannot be read with 2.
    """
    from mmm_xgen.cli.sources import CONFIG, naming, read_any_data, read_config

    if file.suffix.lower() in CONFIG:
        with warnings_in_one_line(quiet=False):
            config = read_config(str(file))
            if config.channels and config.spend_plan is None:
                _generated(config, None)
        say(f"{file}: valid")
        return
    from mmm_xgen.quality import check_data_quality, suggest_fixes

    data = read_any_data(file)
    with naming(file), warnings_in_one_line(quiet=False):
        report = check_data_quality(data)
    say(f"{file}: {report}")
    for fix in suggest_fixes(report):
        say(f"fix      {fix}")
    if not report.ok:
        raise typer.Exit(FOUND_ERRORS)


@app.command()
def describe(
    file: Annotated[Path, typer.Argument(metavar="FILE.nc", help="A generated dataset.")],
) -> None:
    """Show what a generated dataset has in it."""
    from mmm_xgen.cli import tables
    from mmm_xgen.cli.sources import naming, read_generated

    ds = read_generated(file)
    with naming(file), warnings_in_one_line(quiet=False):
        tables.show_all(tables.describe(ds, str(file)))


app.command()(truth_commands.truth)
app.command()(truth_commands.whatif)
app.command()(truth_commands.optimize)
app.command()(report.report)
app.command()(ensemble.ensemble)
app.command(cls=benchmark.ManyValues)(benchmark.benchmark)


def _generated(config: MMMDataConfig, spend: Path | None) -> xr.Dataset:
    from mmm_xgen.generate import generate_mmm_dataset

    return generate_mmm_dataset(config, spend=spend)


def _check_plan(config: MMMDataConfig, spend: Path | None) -> None:
    if spend is None and config.spend_plan is not None:
        raise ConfigError("this configuration is for a media plan; give it with --spend plan.csv")


def _targets(name: str, out: Path, formats: list[Format], *, plot: bool) -> dict[Path, Write]:
    """Files to write, each with the function that writes it."""
    from mmm_xgen.export.files import to_netcdf, write_csv, write_json, write_parquet

    writers: dict[Format, Write] = {
        Format.CSV: write_csv,
        Format.PARQUET: write_parquet,
        Format.JSON: write_json,
        Format.NC: to_netcdf,
    }
    targets: dict[Path, Write] = {
        out / f"{name}.{choice.value}": writers[choice] for choice in formats
    }
    if plot:
        targets[out / f"{name}_overview.png"] = _write_overview
    return targets


def _write_overview(ds: xr.Dataset, path: Path) -> None:
    from mmm_xgen.atomic import writing
    from mmm_xgen.plots import plot_overview

    figure = plot_overview(ds)
    with writing(path) as temporary:
        figure.savefig(temporary)


def _check_folder(out: Path) -> None:
    """Refuse a folder that could not be written to later, before the work is done."""
    existing = next(path for path in (out, *out.absolute().parents) if path.exists())
    if not existing.is_dir():
        raise ConfigError(f"{str(existing)!r} is not a folder; choose another with --out")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise ConfigError(
            f"cannot write to the folder {str(existing)!r}; choose another with --out"
        )


def _report(ds: xr.Dataset, paths: list[Path]) -> None:
    from mmm_xgen.cli.tables import summary

    for line in summary(ds):
        say(line)
    for path in paths:
        say(f"wrote {path}")
