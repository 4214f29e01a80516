"""Studies: every model on every dataset and seed, each fit once, whatever happens meanwhile."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, as_completed
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from mmm_xgen.config.data import MMMDataConfig
from mmm_xgen.errors import ConfigError, MissingDependencyError
from mmm_xgen.recovery.fit import MODELS, FitSettings
from mmm_xgen.recovery.study.memory import available_memory
from mmm_xgen.recovery.study.progress import Clock, Tell, shown
from mmm_xgen.recovery.study.unit import (
    DONE,
    FAILED,
    TIMED_OUT,
    Unit,
    check_name,
    digest,
    finished,
    owner_of,
    remove_leftovers,
)
from mmm_xgen.recovery.study.work import reason_of, record, run_unit

if TYPE_CHECKING:
    from mmm_xgen.recovery.study.results import Study

Source: TypeAlias = str | MMMDataConfig | Callable[[int], MMMDataConfig]
Datasets: TypeAlias = str | MMMDataConfig | Iterable[str | MMMDataConfig] | Mapping[str, Source]
# A worker process is replaced after so many fits, since libraries leak.
FITS_A_WORKER = 12
KILLED = -9


def run_study(
    datasets: Datasets,
    models: str | Iterable[str],
    seeds: Iterable[int],
    settings: FitSettings | Iterable[FitSettings] | None = None,
    *,
    out: str | Path,
    jobs: int = 1,
    timeout: float | None = None,
    executor: Any = None,
    force: bool = False,
    retry_failed: bool = False,
    progress: bool = True,
    protocol: str | Path | None = None,
) -> Study:
    """Fit models to datasets, score them against the truth, and keep it all in a folder.

    A fit that is there is not done again: a study that was killed goes on where it stopped, and
    a study that is asked for more does only that.

    Parameters
    ----------
    datasets : preset name, MMMDataConfig, several of them, or a mapping by name
        What to generate. A mapping's values may also be functions of a seed that return a
        configuration, so that each seed draws its own truth; of the others each seed redraws
        all that the configuration leaves to chance.
    models : str or iterable of str
        Names of registered models.
    seeds : iterable of int
        Seeds of the data.
    settings : FitSettings or several, optional
        Settings of the fits. What a model makes nothing of, such as the sampler of one that does
        not sample, does not make it fit twice.
    out : path
        Folder of the study.
    jobs : int
        Number of fits at once, each in a worker process; 0 to fit in this process.
    timeout : float, optional
        Seconds after which a fit is ended; needs worker processes.
    executor : optional
        Where to fit instead: a dask ``Client``, or a `concurrent.futures.Executor`. `out` must
        be a folder that its workers share; give dask's workers one thread each.
    force : bool
        Whether to do again what is there.
    retry_failed : bool
        Whether to do again what failed, took too long or was skipped.
    progress : bool
        Whether to show progress and time left on stderr, if it is a terminal.
    protocol : path, optional
        The study's protocol, whose hash is kept with every result: none that was made under
        another one is taken for one that was made under this.

    Returns
    -------
    Study

    Raises
    ------
    ConfigError
        If there is no such preset or model, nothing to do, or `timeout` cannot be kept.

    Notes
    -----
    The code of a model of your own is no part of what a fit is known by: after a change, give
    ``force=True`` or another name.

    A worker process is used for several fits, so that libraries are imported and compiled once.
    Peak memory is that of the process while it fitted, where the system can forget the peak before
    (Linux); elsewhere `stats.json` says ``peak_memory_of: process``, and it is the largest so
    far. What earlier fits left in the process is in it; ``before`` says how much that was.

    Examples
    --------
    >>> import tempfile
    >>> from mmm_xgen.recovery.fit import MODELS, Fit, register_model
    >>> @register_model("equal-roas")
    ... def equal_roas(ds, settings):
    ...     roas = (1 + 0 * ds.spend.isel(date=0, geo=0, drop=True)).rename("roas")
    ...     return Fit(estimates=roas.expand_dims(chain=1, draw=1).to_dataset())
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     study = run_study("basic", "equal-roas", [1, 2], out=folder, jobs=0)
    >>> study.units[["dataset", "seed", "status"]].values.tolist()
    [['basic', 1, 'done'], ['basic', 2, 'done']]
    >>> MODELS.remove("equal-roas")
    """
    from mmm_xgen.recovery.study.report import summarise

    if executor is not None and jobs != 1:
        raise ConfigError("found both jobs and executor; give one of them", path="jobs")
    if timeout is not None and (executor is not None or jobs == 0):
        raise ConfigError(
            "only worker processes of the study's own can be ended; give jobs of 1 or more and "
            "no executor",
            path="timeout",
        )
    for package in ("psutil",) if executor is not None or jobs == 0 else ("psutil", "pebble"):
        if find_spec(package) is None:
            raise MissingDependencyError(
                f"studies need {package}; pip install 'mmm-xgen[recovery]'"
            )
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    remove_leftovers(folder)
    units = planned_units(datasets, models, seeds, settings, protocol=protocol)
    found = {unit.hash: finished(unit, folder) for unit in units}
    redo = {
        unit.hash
        for unit in units
        if force
        or (stats := found[unit.hash]) is None
        or (retry_failed and stats["status"] != DONE)
    }
    waiting = [unit for unit in units if unit.hash in redo]
    kept = [stats for stats in found.values() if stats]
    clock = Clock(waiting, kept, jobs)
    again = force or retry_failed
    with shown(clock, len(units), len(units) - len(waiting), wanted=progress) as tell:
        if executor is not None:
            _with_executor(waiting, folder, executor, tell, again=again)
        elif jobs == 0:
            for unit in waiting:
                tell(unit, run_unit(unit, folder, again=again))
        elif waiting:
            _with_workers(waiting, folder, jobs, timeout, tell, again=again)
    return summarise(folder, units)


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
    if isinstance(datasets, str | MMMDataConfig):
        datasets = [datasets]
    if isinstance(datasets, Mapping):
        named.update(datasets)
    else:
        for source in datasets:
            named[source if isinstance(source, str) else f"data-{_template(source)[:8]}"] = source
    return {check_name(name, "datasets"): source for name, source in named.items()}


def _config(source: Source, seed: int) -> tuple[MMMDataConfig, str]:
    """Configuration of a seed, and the hash of what is the same for all seeds."""
    from mmm_xgen.presets import get_preset_config

    if isinstance(source, str):
        source = get_preset_config(source)
    if isinstance(source, MMMDataConfig):
        return source.model_copy(update={"seed": seed}), _template(source)
    drawn = source(seed)
    if not isinstance(drawn, MMMDataConfig):
        raise ConfigError(
            f"a function returned {type(drawn).__name__}, needed: MMMDataConfig", path="datasets"
        )
    return drawn, ""


def _template(config: MMMDataConfig) -> str:
    return digest(config=config.model_copy(update={"seed": 0}).to_json())


def _module(unit: Unit) -> str:
    """Module that another process imports to know the model too.

    Raises
    ------
    ConfigError
        If the model is of an interactive session, which no other process can import.
    """
    import sys

    model = MODELS[unit.model]
    module = str(getattr(model, "__module__", ""))
    if module == "__main__" and not hasattr(sys.modules["__main__"], "__file__"):
        raise ConfigError(
            f"the model {unit.model!r} is of this session, which worker processes do not know; "
            "put it into a module, or fit in this process with jobs=0",
            path="jobs",
        )
    return module


def _with_executor(
    units: Sequence[Unit], out: Path, executor: Any, tell: Tell, *, again: bool
) -> None:
    # A dask Client gives out an Executor of the standard sort; fits are no pure functions.
    pool = executor.get_executor(pure=False) if hasattr(executor, "get_executor") else executor
    futures = {
        pool.submit(run_unit, unit, out, module=_module(unit), again=again): unit for unit in units
    }
    _collect(futures, out, tell, again=again)


def _with_workers(
    units: Sequence[Unit],
    out: Path,
    jobs: int,
    timeout: float | None,
    tell: Tell,
    *,
    again: bool,
) -> None:
    import multiprocessing

    from pebble import ProcessPool

    modules = {unit.model: _module(unit) for unit in units}
    share = available_memory() / jobs
    pool = ProcessPool(
        max_workers=min(jobs, len(units)),
        max_tasks=FITS_A_WORKER,
        initializer=_end_with_parent,
        context=multiprocessing.get_context("spawn"),
    )
    try:
        futures: dict[Future[Any], Unit] = {
            pool.schedule(
                run_unit,
                args=(unit, out.absolute()),
                kwargs={"module": modules[unit.model], "memory": share, "again": again},
                timeout=timeout,
            ): unit
            for unit in units
        }
        _collect(futures, out, tell, again=again)
        pool.close()
    except BaseException:
        pool.stop()
        raise
    finally:
        pool.join()
        remove_leftovers(out)


def _collect(futures: Mapping[Future[Any], Unit], out: Path, tell: Tell, *, again: bool) -> None:
    """Take note of fits as they end; what ended their process is a result too."""
    for future in as_completed(futures):
        unit = futures[future]
        try:
            stats = future.result()
        except TimeoutError as error:
            _drop(unit, out)
            reason = f"took more than {error.args[-1]:g} s" if error.args else reason_of(error)
            stats = record(unit, out, status=TIMED_OUT, reason=reason, again=again)
        except Exception as error:
            _drop(unit, out)
            code = getattr(error, "exitcode", None)
            died = "(the process was killed; was memory short?)" if code == KILLED else ""
            reason = f"{reason_of(error)} {died}".strip()
            stats = record(unit, out, status=FAILED, reason=reason, again=again)
        tell(unit, stats)


def _drop(unit: Unit, out: Path) -> None:
    """Remove what the ended process of a unit left: its children and its temporary folder."""
    folder = unit.folder(out)
    for temporary in folder.parent.glob(f".{folder.name}~*"):
        if (owner := owner_of(temporary)) and owner[0] != os.getpid():
            _end_group(owner[0])
        shutil.rmtree(temporary, ignore_errors=True)


def _end_with_parent() -> None:
    """Let a worker, and what it started, end as soon as the study's process does.

    A killed process cannot tell its workers; a fit that went on would race with the one that
    the next start makes.
    """
    import multiprocessing
    from multiprocessing.connection import wait

    if hasattr(os, "setpgid"):
        os.setpgid(0, 0)
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        _end_group(os.getpid())
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _end_group(leader: int) -> None:
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, signal.SIGKILL)
