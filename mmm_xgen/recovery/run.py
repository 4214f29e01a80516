"""Studies: fit every model to every dataset and seed, once, and go on after an interruption."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pandas as pd

from mmm_xgen.config.data import MMMDataConfig
from mmm_xgen.config.text import name_of
from mmm_xgen.errors import ConfigError, check_packages
from mmm_xgen.media_plan.fitting import check_no_plan
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
    finished_stats,
    remove_leftovers,
)
from mmm_xgen.recovery.study.work import run_unit
from mmm_xgen.recovery.study.workers import with_executor, with_workers

if TYPE_CHECKING:
    from mmm_xgen.recovery.study.results import Study

Template: TypeAlias = str | Path | MMMDataConfig
Source: TypeAlias = Template | Mapping[str, Any] | Callable[[int], MMMDataConfig]
Datasets: TypeAlias = Template | Iterable[Template] | Mapping[str, Source]
# Advice for configurations with a media plan.
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
    """Fit models to datasets, score them against the truth, and save everything in a folder.

    Finished fits are not repeated. A study that was interrupted continues where it stopped, and
    a study called with more datasets, models or seeds fits only what is new.

    Parameters
    ----------
    datasets : preset name, path, MMMDataConfig, several of them, or a mapping by name
        Datasets to generate. A path is that of a YAML or JSON file. Configurations must not have
        a ``spend_plan``, as a study draws its spend. A value of a mapping can also be a function
        of a seed that returns a configuration, so that each seed has a truth of its own. With a
        fixed configuration, a seed only redraws what the configuration leaves random.
    models : str or iterable of str
        Names of registered models.
    seeds : iterable of int
        Seeds of the data.
    settings : FitSettings or several, optional
        Settings of the fits. A model is not fitted twice for settings that it does not use, such
        as the sampler of a model without sampling.
    out : path
        Folder of the study.
    jobs : int, optional
        Number of fits at once, each in a worker process. 0 fits in this process, which is the
        default without `timeout`. A script with worker processes must call this function under
        ``if __name__ == "__main__":``, as the workers import the script.
    timeout : float, optional
        Seconds after which a fit is ended. It needs worker processes.
    executor : optional
        A dask ``Client`` or a `concurrent.futures.Executor` that runs the fits. Its workers must
        share the folder `out`. Workers of dask should have one thread each.
    force : bool
        Whether to repeat finished fits.
    retry_failed : bool
        Whether to repeat fits that failed or took too long. Fits that took longer than a smaller
        `timeout` are always repeated.
    progress : bool or callable
        Whether to show progress and time left on stderr if it is a terminal. If it is not, a
        callable receives a line of text for each fit.
    protocol : path, optional
        Protocol of the study. Its hash is saved with every result, so that results of another
        protocol are never used.

    Returns
    -------
    Study

    Raises
    ------
    ConfigError
        If a preset or model does not exist, there is nothing to do, a configuration has a media
        plan, or `timeout` is given without worker processes.
    MissingDependencyError
        If a model's library or sampler is not installed.
    WorkerError
        If worker processes cannot start.
    StorageError
        If the disk is full or not writable. No fit counts as failed for this reason.

    Notes
    -----
    Fits do not know the source code of your own models. After changing one, use ``force=True`` or
    another name.

    A worker process runs several fits, so that libraries are imported and compiled once.

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
    units = study_units(datasets, models, seeds, settings, protocol=protocol)
    folder = Path(out)
    found = {unit.hash: finished_stats(unit, folder) for unit in units}
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
    """Return whether to fit a unit again, given the content of its `stats.json`."""
    if stats is None or stats["status"] == DONE:
        return stats is None
    if any(os.strerror(number) in stats["reason"] for number in NO_ROOM):
        # A full disk says nothing about the model.
        return True
    limit = stats.get("timeout")
    longer = limit is not None and (timeout is None or timeout > limit)
    return retry_failed or (stats["status"] == TIMED_OUT and longer)


def _check_installed(units: Iterable[Unit], *, pool: bool) -> None:
    """Raise an error before the first fit if a package is missing."""
    needed = dict.fromkeys(["psutil", *(["pebble"] if pool else [])], "studies need")
    for unit in units:
        needed |= {package: f"{unit.label} needs" for package in unit.needs}
    for package, who in needed.items():
        check_packages(who, package)
    for prepare in dict.fromkeys(about(unit.model).prepare for unit in units):
        if prepare is not None:
            prepare()


def study_units(
    datasets: Datasets,
    models: str | Iterable[str],
    seeds: Iterable[int],
    settings: FitSettings | Iterable[FitSettings] | None = None,
    *,
    protocol: str | Path | None = None,
) -> list[Unit]:
    """List the units of a study in the order of fitting: all models of a seed, then the next seed.

    Parameters
    ----------
    datasets, models, seeds, settings, protocol
        See `run_study`.

    Returns
    -------
    list of Unit
        Without duplicates.

    Examples
    --------
    >>> from mmm_xgen.recovery.fit import MODELS, register_model
    >>> _ = register_model("nothing")(lambda ds, settings: None)
    >>> units = study_units(["basic", "demo"], "nothing", range(2), FitSettings(sampler="pymc"))
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
        raise ConfigError("found no dataset, model, seed or settings, allowed: one of each")
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
    """Configuration of a seed, and the hash of the part that all seeds share."""
    if not callable(source):
        template = config_from(source)
        check_no_plan(template, NO_PLAN)
        return template.model_copy(update={"seed": seed}), _template(template)
    drawn = source(seed)
    if not isinstance(drawn, MMMDataConfig):
        raise ConfigError(
            f"a function returned {type(drawn).__name__}, allowed: MMMDataConfig", path="datasets"
        )
    check_no_plan(drawn, NO_PLAN)
    return drawn, ""


def _template(config: MMMDataConfig) -> str:
    return digest(config=config.model_copy(update={"seed": 0}).to_json())
