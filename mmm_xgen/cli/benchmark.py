"""The command that fits models to generated data and compares them with the truth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from mmm_xgen.cli.tables import new_table
from mmm_xgen.cli.terminal import note, say
from mmm_xgen.errors import ConfigError, nearest
from mmm_xgen.formatting.amounts import ratio

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

    from mmm_xgen.recovery.fit import FitSettings
    from mmm_xgen.recovery.study.results import Study

# Largest table: letters across, and rows.
WIDTH = 100
MOST_ROWS = 200
ARMS = ("published", "documented", "default", "matched")
LIBRARIES = {
    "pymc": tuple(f"pymc-{arm}" for arm in ARMS if arm != "documented"),
    "meridian": tuple(f"meridian-{arm}" for arm in ARMS),
    "ols": ("ols", "ols-oracle"),
}
FLOORS = ("prior-only", "spend-share")


Presets = Annotated[
    list[str], typer.Option(metavar="PRESET|FILE ...", help="Presets, or .yaml or .json files.")
]
Libraries = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME ...", help="pymc, meridian, ols, or names of models.  [default: pymc ols]"
    ),
]
Arms = Annotated[
    list[str] | None,
    typer.Option(
        metavar="ARM ...",
        help="Arms of pymc and meridian: published, documented (meridian), default, matched.  "
        "[default: all]",
    ),
]
Samplers = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME ...",
        help="Samplers of pymc: nutpie, pymc, numpyro, blackjax.  [default: nutpie]",
    ),
]
Chains = Annotated[int, typer.Option(min=1, help="Markov chains.")]
Draws = Annotated[int, typer.Option(min=1, help="Kept draws of a chain.")]
Tune = Annotated[int, typer.Option(min=1, help="Discarded draws of a chain.")]
Acceptance = Annotated[float, typer.Option(help="Target acceptance probability.")]
Seed = Annotated[int, typer.Option(min=0, help="First seed of the data.")]
Seeds = Annotated[int, typer.Option(min=1, help="Number of seeds, one after the other.")]
LiftTests = Annotated[
    bool, typer.Option("--lift-tests", help="Tell models the results of lift tests.")
]
TrainEnd = Annotated[
    str | None, typer.Option(metavar="DATE", help="Last date that models see.  [all]")
]
Floors = Annotated[
    bool, typer.Option(help="Whether to add prior-only and spend-share, to be beaten.")
]
Timeout = Annotated[
    float | None, typer.Option(min=0, metavar="SECONDS", help="End fits that take longer.")
]
ForceRerun = Annotated[bool, typer.Option(help="Fit again what is there.")]
RetryFailed = Annotated[
    bool, typer.Option("--retry-failed", help="Fit again what failed or took too long.")
]
PlotsOnly = Annotated[
    bool, typer.Option("--plots-only", help="Fit nothing; tables and plots of what is there.")
]
Jobs = Annotated[
    int, typer.Option(min=0, help="Fits at once, in worker processes; 0: in this process.")
]
Out = Annotated[Path, typer.Option(help="Folder to write to.")]
Protocol = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Protocol, hashed into every result.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")]


class ManyValues(TyperCommand):
    """Command whose repeatable options also take several values after one flag.

    ``--datasets a b --seed 1`` is read as ``--datasets a --datasets b --seed 1``; the command
    takes no arguments of its own that this could swallow.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Repeat the flag before every value, then parse as usual."""
        flags = {
            flag
            for option in self.params
            if getattr(option, "multiple", False)
            for flag in option.opts
        }
        return super().parse_args(ctx, repeated(args, flags))


def repeated(words: list[str], flags: set[str]) -> list[str]:
    """Return the arguments of a command line with a flag of `flags` before each of its values.

    Examples
    --------
    >>> repeated(["--datasets", "a", "b", "--seed", "1"], {"--datasets"})
    ['--datasets', 'a', '--datasets', 'b', '--seed', '1']
    """
    result: list[str] = []
    flag, values = "", 0
    for word in words:
        if word in flags:
            flag, values = word, 0
        elif word.startswith("-"):
            flag = ""
        elif flag:
            if values:
                result.append(flag)
            values += 1
        result.append(word)
    return result


def benchmark(
    datasets: Presets,
    libraries: Libraries = None,
    arms: Arms = None,
    samplers: Samplers = None,
    chains: Chains = 4,
    draws: Draws = 1000,
    tune: Tune = 1000,
    target_accept: Acceptance = 0.9,
    seed: Seed = 1,
    seeds: Seeds = 1,
    lift_tests: LiftTests = False,
    train_end: TrainEnd = None,
    floors: Floors = True,
    timeout: Timeout = None,
    force_rerun: ForceRerun = False,
    retry_failed: RetryFailed = False,
    plots_only: PlotsOnly = False,
    jobs: Jobs = 1,
    out: Out = Path("results"),
    protocol: Protocol = None,
    quiet: Quiet = False,
) -> None:
    """Fit models to generated data and compare them with the truth.

    Options that take several values take them after one flag, or one after each of several.
    What is there is not fitted again: a command that was interrupted goes on where it stopped.
    """
    from mmm_xgen.recovery.report import summarise
    from mmm_xgen.recovery.run import run_study, study_units
    from mmm_xgen.recovery.study.unit import DONE

    models = chosen_models(libraries or ["pymc", "ols"], arms or list(ARMS), floors=floors)
    settings = _settings(
        samplers or ["nutpie"],
        chains=chains,
        draws=draws,
        tune=tune,
        target_accept=target_accept,
        train_end=train_end,
        lift_tests=lift_tests,
    )
    if protocol is not None and not protocol.is_file():
        raise ConfigError(f"no such file: {str(protocol)!r}", path="--protocol")
    what = (_read(datasets), models, range(seed, seed + seeds), settings)
    if plots_only:
        study = summarise(out, study_units(*what, protocol=protocol))
    else:
        study = run_study(
            *what,
            out=out,
            jobs=jobs,
            timeout=timeout,
            force=force_rerun,
            retry_failed=retry_failed,
            progress=False if quiet else note,
            protocol=protocol,
        )
    if not quiet:
        _show(study)
        say(f"wrote {study.report}")
    if not (study.units["status"] == DONE).any():
        raise typer.Exit(1)


def chosen_models(libraries: list[str], arms: list[str], *, floors: bool) -> list[str]:
    """Names of the models of libraries, each once.

    Raises
    ------
    ConfigError
        If there is no such library, model or arm.

    Examples
    --------
    >>> chosen_models(["pymc", "ols"], ["default"], floors=False)
    ['pymc-default', 'ols', 'ols-oracle']
    """
    from mmm_xgen.recovery.fit import MODELS

    for arm in arms:
        if arm not in ARMS:
            raise ConfigError(f"no arm named {arm!r}; {nearest(arm, ARMS)}", path="--arms")
    models: list[str] = []
    for name in libraries:
        if name not in LIBRARIES and name not in MODELS:
            known = nearest(name, {**LIBRARIES, **MODELS})
            raise ConfigError(f"no library or model named {name!r}; {known}", path="--libraries")
        chosen = [
            model
            for model in LIBRARIES.get(name, (name,))
            if name in ("ols", model) or model.rpartition("-")[2] in arms
        ]
        if not chosen:
            raise ConfigError(f"{name} has no arm {', '.join(arms)}", path="--arms")
        models += chosen
    return list(dict.fromkeys([*models, *(FLOORS if floors else ())]))


def _settings(samplers: list[str], **common: Any) -> list[FitSettings]:
    from mmm_xgen.recovery.fit import FitSettings

    try:
        return [FitSettings(sampler=sampler, **common) for sampler in samplers]
    except ConfigError as error:
        path = error.path.replace("settings.sampler", "--samplers").replace("settings.", "--")
        raise ConfigError(error.message, path=path.replace("_", "-")) from None


def _read(sources: list[str]) -> dict[str, Any]:
    """Presets by name, files by their stem."""
    from mmm_xgen.cli.sources import read_config
    from mmm_xgen.config.text import name_of

    datasets: dict[str, Any] = {}
    for source in sources:
        name = name_of(source)
        config = read_config(source)
        if datasets.setdefault(name, config) != config:
            raise ConfigError(f"two datasets are named {name!r}; rename a file", path="--datasets")
    return datasets


def _show(study: Study) -> None:
    from mmm_xgen.cli.tables import show_all
    from mmm_xgen.recovery.plots import read_returns

    parts: list[str | Table] = []
    returns = read_returns(study.units)
    for dataset, rows in returns.groupby("dataset", sort=False):
        shown = rows.sort_values(["seed", "channel", "model"], kind="stable")
        parts.append(_returns(shown[:MOST_ROWS], str(dataset)))
        if len(shown) > MOST_ROWS:
            parts.append(f"and {len(shown) - MOST_ROWS} more rows; the report has all fits")
    failures = study.tables["failures"]
    if len(failures):
        table = new_table(
            "dataset", "model", "status", "reason", right=("units",), title="Not done"
        )
        for row in failures[["dataset", "model", "status", "reason", "units"]].itertuples():
            table.add_row(*map(str, row[1:]))
        parts.append(table)
    show_all(parts, width=WIDTH)


def _returns(rows: pd.DataFrame, dataset: str) -> Table:
    """Table of true and estimated ROAS, one row a fit and channel."""
    table = new_table(
        "channel",
        "model",
        right=("seed", "true ROAS", "estimate", "94% interval"),
        title=f"ROAS in {dataset}; * marks a fit that did not converge",
    )
    for row in rows.to_dict("records"):
        lower, upper = (ratio(row[end]) for end in ("lower", "upper"))
        model = str(row["model"]) + ("" if row["converged"] else " *")
        figures = (str(row["seed"]), ratio(row["truth"]), ratio(row["median"]))
        table.add_row(str(row["channel"]), model, *figures, f"{lower} to {upper}")
    return table
