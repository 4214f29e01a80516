"""Studies: every model on every dataset and seed, each fit once, whatever happens meanwhile."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pandas as pd

from mmm_xgen.config.data import MMMDataConfig
from mmm_xgen.config.text import name_of
from mmm_xgen.errors import ConfigError, require_packages
from mmm_xgen.media_plan.fitting import require_no_plan
from mmm_xgen.presets import config_from
from mmm_xgen.recovery.fit import MODELS, FitSettings, about, seen_of
from mmm_xgen.recovery.study.progress import progress_of
from mmm_xgen.recovery.study.storage import NO_ROOM, storing
from mmm_xgen.recovery.study.unit import (
    DONE,
    TIMED_OUT,
    Unit,
    check_name,
    digest,
    finished,
    remove_leftovers,
)
from mmm_xgen.recovery.study.work import run_unit
from mmm_xgen.recovery.study.workers import with_executor, with_workers

if TYPE_CHECKING:
    from mmm_xgen.recovery.study.results import Study

Template: TypeAlias = str | Path | MMMDataConfig
Source: TypeAlias = Template | Mapping[str, Any] | Callable[[int], MMMDataConfig]
Datasets: TypeAlias = Template | Iterable[Template] | Mapping[str, Source]
# How data of a media plan are fitted.
NO_PLAN = (
    "a study takes no plan; generate the dataset with generate_mmm_dataset(config, "
    "spend='plan.csv') and fit it with mmm_xgen.recovery.fit"
)


def run_study(
    datasets: Datasets,
    models: str | Iterable[str],
    seeds: Iterable[int],
    settings: FitSettings | Iterable[FitSettings] | None = None,
    *,
    out: str | Path,
    jobs: int | None = None,
    timeout: float | None = None,
    executor: Any = None,
    force: bool = False,
    retry_failed: bool = False,
    progress: bool | Callable[[str], object] = True,
    protocol: str | Path | None = None,
) -> Study:
    """Fit models to datasets, score them against the truth, and keep it all in a folder.

    A fit that is there is not done again: a study that was killed goes on where it stopped, and
    a study that is asked for more does only that.

    Parameters
    ----------
    datasets : preset name, path, MMMDataConfig, several of them, or a mapping by name
        What to generate. A path is that of a YAML or JSON file. Configurations have no
        ``spend_plan``: a study draws its spend. A mapping's values may also be functions of a
        seed that return a configuration, so that each seed draws its own truth; of the others
        each seed redraws all that the configuration leaves to chance.
    models : str or iterable of str
        Names of registered models.
    seeds : iterable of int
        Seeds of the data.
    settings : FitSettings or several, optional
        Settings of the fits. What a model makes nothing of, such as the sampler of one that does
        not sample, does not make it fit twice.
    out : path
        Folder of the study.
    jobs : int, optional
        Number of fits at once, each in a worker process; 0 to fit in this process, as is done
        by default unless there is a `timeout`. A script that has worker processes calls this
        under ``if __name__ == "__main__":``, since they import it.
    timeout : float, optional
        Seconds after which a fit is ended; needs worker processes.
    executor : optional
        Where to fit instead: a dask ``Client``, or a `concurrent.futures.Executor`. `out` must
        be a folder that its workers share; give dask's workers one thread each.
    force : bool
        Whether to do again what is there.
    retry_failed : bool
        Whether to do again what failed or took too long. What took longer than a smaller
        `timeout` is tried again in any case.
    progress : bool or callable
        Whether to show progress and time left on stderr, if it is a terminal. If it is not, a
        callable gets a plain line for each fit.
    protocol : path, optional
        The study's protocol, whose hash is kept with every result: none that was made under
        another one is taken for one that was made under this.

    Returns
    -------
    Study

    Raises
    ------
    ConfigError
        If there is no such preset or model, nothing to do, a configuration is for a media plan,
        or `timeout` cannot be kept.
    MissingDependencyError
        If a model's library or sampler is not installed.
    WorkerError
        If worker processes cannot start.
    StorageError
        If the disk is full or cannot be written to. No fit counts as failed for that.

    Notes
    -----
    The code of a model of your own is no part of what a fit is known by: after a change, give
    ``force=True`` or another name.

    A worker process is used for several fits, so that libraries are imported and compiled once.

    Examples
    --------
    >>> import tempfile
    >>> from mmm_xgen.recovery.fit import MODELS, Fit, register_model
    >>> @register_model("equal-roas")
    ... def equal_roas(ds, settings):
    ...     roas = (1 + 0 * ds.spend.isel(date=0, geo=0, drop=True)).rename("roas")
    ...     return Fit(estimates=roas.expand_dims(chain=1, draw=1).to_dataset())
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     study = run_study("basic", "equal-roas", [1, 2], out=folder)
    >>> study.units[["dataset", "seed", "status"]].values.tolist()
    [['basic', 1, 'done'], ['basic', 2, 'done']]
    >>> MODELS.remove("equal-roas")
    """
    from mmm_xgen.recovery.report import summarise

    if executor is not None and jobs is not None:
        raise ConfigError("found both jobs and executor; give one of them", path="jobs")
    if jobs is None:
        jobs = 0 if timeout is None else 1
    if timeout is not None and (executor is not None or jobs == 0):
        raise ConfigError(
            "only worker processes of the study's own can be ended; give jobs of 1 or more and "
            "no executor",
            path="timeout",
        )
    units = planned_units(datasets, models, seeds, settings, protocol=protocol)
    folder = Path(out)
    found = {unit.hash: finished(unit, folder) for unit in units}
    waiting = [
        unit
        for unit in units
        if force or _to_do(found[unit.hash], timeout, retry_failed=retry_failed)
    ]
    _check_installed(waiting, pool=executor is None and jobs > 0)
    again = {unit.hash for unit in waiting if force or found[unit.hash] is not None}
    with storing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder)
        with progress_of(len(units), len(units) - len(waiting), show=progress) as report:
            if executor is not None:
                with_executor(waiting, folder, executor, report, again=again)
            elif jobs == 0:
                for unit in waiting:
                    report(unit, run_unit(unit, folder, again=unit.hash in again))
            elif waiting:
                with_workers(waiting, folder, jobs, timeout, report, again=again)
    return summarise(folder, units)


def _to_do(stats: Mapping[str, Any] | None, timeout: float | None, *, retry_failed: bool) -> bool:
    """Whether a unit of which `stats.json` says this is fitted, if not all are."""
    if stats is None or stats["status"] == DONE:
        return stats is None
    if any(os.strerror(number) in stats["reason"] for number in NO_ROOM):
        # A full disk was no fault of the model.
        return True
    limit = stats.get("timeout")
    longer = limit is not None and (timeout is None or timeout > limit)
    return retry_failed or (stats["status"] == TIMED_OUT and longer)


def _check_installed(units: Iterable[Unit], *, pool: bool) -> None:
    """Refuse to begin what would end for lack of a package."""
    needed = dict.fromkeys(["psutil", *(["pebble"] if pool else [])], "studies need")
    for unit in units:
        needed |= {package: f"{unit.label} needs" for package in unit.needs}
    for package, who in needed.items():
        require_packages(who, package)
    for prepare in dict.fromkeys(about(unit.model).prepare for unit in units):
        if prepare is not None:
            prepare()


def planned_units(
    datasets: Datasets,
    models: str | Iterable[str],
    seeds: Iterable[int],
    settings: FitSettings | Iterable[FitSettings] | None = None,
    *,
    protocol: str | Path | None = None,
) -> list[Unit]:
    """Units of a study in the order in which they are done: all models on a seed, then the next.

    Parameters
    ----------
    datasets, models, seeds, settings, protocol
        See `run_study`.

    Returns
    -------
    list of Unit
        Each once.

    Examples
    --------
    >>> from mmm_xgen.recovery.fit import MODELS, register_model
    >>> _ = register_model("nothing")(lambda ds, settings: None)
    >>> units = planned_units(["basic", "demo"], "nothing", range(2), FitSettings(sampler="pymc"))
    >>> [(unit.dataset, unit.seed, unit.label) for unit in units[:3]]
    [('basic', 0, 'nothing-pymc'), ('basic', 1, 'nothing-pymc'), ('demo', 0, 'nothing-pymc')]
    >>> MODELS.remove("nothing")
    """
    names = [models] if isinstance(models, str) else list(models)
    seeds = [int(seed) for seed in seeds]
    if any(seed < 0 for seed in seeds):
        raise ConfigError(f"found {min(seeds)}, allowed: 0 or more", path="seeds")
    for name in names:
        MODELS[check_name(name, "models")]
    if settings is None:
        settings = FitSettings()
    every = [settings] if isinstance(settings, FitSettings) else list(settings)
    promise = None
    if protocol is not None:
        promise = hashlib.sha256(Path(protocol).read_bytes()).hexdigest()
    units = {}
    for dataset, source in _named(datasets).items():
        for seed in seeds:
            config, template = _config(source, seed)
            for each in every:
                seen_of(pd.DatetimeIndex(config.calendar.dates[config.burn_in_periods :]), each)
            for name in names:
                for each in every:
                    unit = Unit.of(
                        config,
                        settings=each,
                        model=name,
                        dataset=dataset,
                        seed=seed,
                        template=template,
                        protocol=promise,
                    )
                    units[unit.hash] = unit
    if not units:
        raise ConfigError("found no dataset, model, seed or settings, needed: one of each")
    return list(units.values())


def _named(datasets: Datasets) -> dict[str, Source]:
    named: dict[str, Source] = {}
    if isinstance(datasets, str | Path | MMMDataConfig):
        datasets = [datasets]
    if isinstance(datasets, Mapping):
        named.update(datasets)
    else:
        for source in datasets:
            if isinstance(source, MMMDataConfig):
                name = f"data-{_template(source)[:8]}"
            else:
                name = name_of(source)
            if named.setdefault(name, source) != source:
                raise ConfigError(
                    f"two datasets are named {name!r}; give a mapping by name", path="datasets"
                )
    return {check_name(name, "datasets"): source for name, source in named.items()}


def _config(source: Source, seed: int) -> tuple[MMMDataConfig, str]:
    """Configuration of a seed, and the hash of what is the same for all seeds."""
    if not callable(source):
        template = config_from(source)
        require_no_plan(template, NO_PLAN)
        return template.model_copy(update={"seed": seed}), _template(template)
    drawn = source(seed)
    if not isinstance(drawn, MMMDataConfig):
        raise ConfigError(
            f"a function returned {type(drawn).__name__}, needed: MMMDataConfig", path="datasets"
        )
    require_no_plan(drawn, NO_PLAN)
    return drawn, ""


def _template(config: MMMDataConfig) -> str:
    return digest(config=config.model_copy(update={"seed": 0}).to_json())
