"""The command that writes thousands of datasets."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from mmm_xgen.cli.arguments import OVERWRITE, Force, choices
from mmm_xgen.cli.terminal import say, warnings_in_one_line
from mmm_xgen.errors import ConfigError, SchemaError, check_packages, nearest
from mmm_xgen.formatting.amounts import amount
from mmm_xgen.formatting.words import count

VARY = re.compile(r"(?P<path>.+?)=(?P<value>\[.*\]|[A-Za-z_]\w*\(.*\))", re.DOTALL)
CALL = re.compile(r"(?P<name>\w+)\((?P<arguments>.*)\)", re.DOTALL)
ALLOWED = "PATH=uniform(1,4), another distribution such as normal(mu=2,sigma=0.5), or [1,2,3]"
# Seconds to wait for a scheduler.
PATIENCE = 10
# Advice in errors of the library.
INSTEAD = "choose another path, or replace it with resume=False"
SUFFIXES = {"zarr": ".zarr", "parquet": "_frames"}


class Store(StrEnum):
    """Formats of an ensemble."""

    ZARR = "zarr"
    PARQUET = "parquet"


class Number(StrEnum):
    """Types of stored numbers."""

    FLOAT64 = "float64"
    FLOAT32 = "float32"


class Way(StrEnum):
    """Ways to sample distributions."""

    RANDOM = "random"
    LATIN_HYPERCUBE = "latin_hypercube"
    SOBOL = "sobol"
    GRID = "grid"


Source = Annotated[
    str, typer.Argument(metavar="PRESET|FILE", help="A preset, or a .yaml or .json configuration.")
]
N = Annotated[int | None, typer.Option("--n", min=1, help="Number of datasets.")]
Out = Annotated[
    Path | None, typer.Option(help="Folder to write to.  [default: NAME.zarr or NAME_frames]")
]
Seeds = Annotated[
    str | None,
    typer.Option(metavar="1:100", help="Seeds, both ends with them, or 3,5,8.  [default: drawn]"),
]
Vary = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PATH=DISTRIBUTION",
        help="What differs, as channels.*.roas=uniform(1,4) or =[1,2,3]; may be repeated.",
    ),
]
Sampling = Annotated[Way, typer.Option(help="How distributions are covered.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Change a value; may be repeated."),
]
Variables = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME,...", help="Variables to keep, or patterns.  [default: all]"),
]
Drop = Annotated[
    list[str] | None, typer.Option(metavar="NAME,...", help="Variables to leave out, or patterns.")
]
Chunks = Annotated[
    int | None, typer.Option(min=1, help="Datasets a chunk.  [default: as many as have 64 MB]")
]
Formats = Annotated[
    list[str] | None,
    typer.Option(
        "--format",
        metavar="NAME,...",
        help="zarr for all variables, parquet for wide frames.  [default: zarr]",
    ),
]
Dtype = Annotated[Number, typer.Option(help="Numbers of a Zarr store; float32 errs by 6e-8.")]
Workers = Annotated[
    int | None, typer.Option(min=1, help="Worker processes.  [default: threads of this one]")
]
Scheduler = Annotated[
    str | None, typer.Option(metavar="tcp://...", help="Scheduler of a Dask cluster that writes.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")]


def ensemble(
    source: Source,
    n: N = None,
    out: Out = None,
    seeds: Seeds = None,
    vary: Vary = None,
    sampling: Sampling = Way.RANDOM,
    settings: Settings = None,
    variables: Variables = None,
    drop: Drop = None,
    chunks: Chunks = None,
    formats: Formats = None,
    dtype: Dtype = Number.FLOAT64,
    workers: Workers = None,
    scheduler: Scheduler = None,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Generate thousands of datasets to disk, chunk by chunk.

    A command that was interrupted, or killed, goes on where it stopped when it is given again.
    """
    from mmm_xgen.cli.sources import read_config
    from mmm_xgen.config.text import name_of
    from mmm_xgen.ensemble.generate import generate_ensemble
    from mmm_xgen.export import write_ensemble, write_ensemble_frames

    began = time.monotonic()
    if workers is not None and scheduler is not None:
        raise ConfigError("found --workers and --scheduler; give one of them")
    forms = choices(formats or [Store.ZARR.value], Store, "--format")
    if Store.PARQUET in forms and dtype is Number.FLOAT32:
        raise ConfigError("frames are float64 only; drop it, or use --format zarr", path="--dtype")
    if out is not None and len(forms) > 1:
        raise ConfigError("found several formats; drop it, or give one format", path="--out")
    targets = {form: out or Path(name_of(source) + SUFFIXES[form.value]) for form in forms}
    with warnings_in_one_line(quiet=quiet), _as_options():
        ds = generate_ensemble(
            read_config(source, settings or ()),
            n=n,
            seeds=None if seeds is None else read_seeds(seeds),
            vary=read_vary(vary or []),
            sampling=sampling.value,
            chunks=chunks or "auto",
            variables=_names(variables) or None,
            drop=_names(drop),
        )
        with _client(workers, scheduler) as client:
            options: dict[str, Any] = {"resume": not force, "progress": not quiet, "client": client}
            for form, target in targets.items():
                if form is Store.PARQUET:
                    write_ensemble_frames(ds, target, **options)
                else:
                    write_ensemble(ds, target, dtype=dtype.value, **options)
    if quiet:
        return
    for target in targets.values():
        size = sum(file.stat().st_size for file in target.rglob("*") if file.is_file())
        parts = count(len(ds.chunksizes["dataset"]), "chunk")
        say(
            f"wrote {target}: {count(ds.sizes['dataset'], 'dataset')} in {parts}, "
            f"{amount(size / 1e6)} MB, {time.monotonic() - began:.0f} s"
        )


def read_seeds(text: str) -> list[int]:
    """Seeds of ``FIRST:LAST``, both of them included, or of a list with commas.

    Raises
    ------
    ConfigError
        If `text` is neither.

    Examples
    --------
    >>> read_seeds("1:4"), read_seeds("3,5,8")
    ([1, 2, 3, 4], [3, 5, 8])
    """
    first, colon, last = (part.strip() for part in text.partition(":"))
    words = [first, last] if colon else [word.strip() for word in text.split(",")]
    if not all(re.fullmatch(r"[0-9]+", word) for word in words):
        raise ConfigError(
            f"found {text!r}, allowed: FIRST:LAST, such as 1:100, or a list such as 3,5,8",
            path="--seeds",
        )
    numbers = [int(word) for word in words]
    if not colon:
        return numbers
    if numbers[1] < numbers[0]:
        raise ConfigError(f"found {text!r}, allowed: the smaller one first", path="--seeds")
    return list(range(numbers[0], numbers[1] + 1))


def read_vary(texts: list[str]) -> dict[str, Any]:
    """Distributions by path, of ``PATH=NAME(NUMBER, ...)`` or ``PATH=[NUMBER, ...]``.

    Names and parameters are PyMC's, the former in any case.

    Raises
    ------
    ConfigError
        If one cannot be read; nothing of it is run.

    Examples
    --------
    >>> read_vary(["channels.*.roas=uniform(1,4)", "regions.sales_trend=[0, 0.01]"])
    {'channels.*.roas': Uniform(low=1.0, high=4.0), 'regions.sales_trend': [0.0, 0.01]}
    >>> read_vary(["channels.TV.roas=TruncatedNormal(mu=2, sigma=1, lower=0)"])["channels.TV.roas"]
    {'dist': 'TruncatedNormal', 'kwargs': {'mu': 2.0, 'sigma': 1.0, 'lower': 0.0}}
    """
    varied: dict[str, Any] = {}
    for text in texts:
        found = VARY.fullmatch(text.strip())
        if found is None:
            raise ConfigError(f"found {text!r}, allowed: {ALLOWED}", path="--vary")
        path = found["path"].strip()
        if path in varied:
            raise ConfigError("found twice; drop one of them", path=f"--vary {path}")
        varied[path] = _distribution(found["value"], f"--vary {path}")
    return varied


def _distribution(text: str, path: str) -> Any:
    from inspect import signature

    from mmm_xgen.ensemble.distributions import DESCRIBED, Uniform

    if text.startswith("["):
        return [_number(word, path) for word in text[1:-1].split(",")]
    call = CALL.fullmatch(text)
    names = {name.lower(): name for name in DESCRIBED}
    written = "" if call is None else call["name"]
    name = names.get(written.lower())
    if call is None or name is None:
        raise ConfigError(
            f"no distribution is named {written!r}; {nearest(written.lower(), names)}", path=path
        )
    parameters = list(signature(DESCRIBED[name]).parameters)
    arguments: dict[str, float] = {}
    words = call["arguments"].split(",") if call["arguments"].strip() else []
    for position, word in enumerate(words):
        key, equals, value = (part.strip() for part in word.rpartition("="))
        if not equals:
            key = parameters[position] if position < len(parameters) else ""
        if key not in parameters or key in arguments:
            raise ConfigError(
                f"found {word.strip()!r} in {text!r}, allowed: {', '.join(parameters)}, once each",
                path=path,
            )
        arguments[key] = _number(value, path)
    if name != "Uniform":
        return {"dist": name, "kwargs": arguments}
    # PyMC completes uniform(1) with an end of 1, which is hardly meant.
    if len(arguments) < len(parameters):
        raise ConfigError(f"found {text!r}, allowed: both ends, as in uniform(1,4)", path=path)
    try:
        return Uniform(*(arguments[key] for key in parameters))
    except ConfigError as error:
        raise ConfigError(error.message, path=path) from None


def _number(word: str, path: str) -> float:
    try:
        return float(word)
    except ValueError:
        raise ConfigError(f"found {word.strip()!r}, allowed: a number", path=path) from None


def _names(texts: list[str] | None) -> list[str]:
    return [name.strip() for text in texts or () for name in text.split(",") if name.strip()]


@contextmanager
def _as_options() -> Iterator[None]:
    """Re-raise errors with the options of the command line."""
    try:
        yield
    except ConfigError as error:
        options = ("n", "seeds", "chunks", "variables", "drop", "sampling")
        first, dot, rest = error.path.partition(".")
        if first not in options:
            raise
        raise ConfigError(error.message, path=f"--{first}{dot}{rest}") from None
    except SchemaError as error:
        text = str(error).replace(INSTEAD, OVERWRITE).replace("resume=False", "--force")
        raise SchemaError(text) from None


@contextmanager
def _client(workers: int | None, scheduler: str | None) -> Iterator[Any]:
    """Client of the cluster that was asked for, if one was."""
    if workers is None and scheduler is None:
        yield None
        return
    check_packages("--workers and --scheduler need", "distributed")
    import distributed

    # Their classes are untyped.
    connect: Any = distributed.Client
    new_cluster: Any = distributed.LocalCluster
    if scheduler is not None:
        try:
            client = connect(scheduler, timeout=PATIENCE, set_as_default=False)
        except (OSError, ValueError) as error:
            reason = str(error).splitlines()[0] if str(error) else "no answer"
            raise ConfigError(
                f"cannot connect to {scheduler!r} ({reason})", path="--scheduler"
            ) from None
        with client:
            yield client
        return
    # A dead worker is replaced and its chunks are made again: do not log it.
    cluster: Any = new_cluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        dashboard_address=None,
        silence_logs=logging.CRITICAL,
    )
    with cluster, connect(cluster, set_as_default=False) as client:
        yield client
