"""Fits in other processes: those that a study starts and ends itself, and those of others."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import Container, Mapping, Sequence
from concurrent.futures import BrokenExecutor, Future, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from mmm_xgen.errors import ConfigError, MissingDependencyError, XgenError
from mmm_xgen.recovery.fit import MODELS
from mmm_xgen.recovery.study.progress import Report
from mmm_xgen.recovery.study.storage import StorageError, storage_fault
from mmm_xgen.recovery.study.unit import (
    FAILED,
    TIMED_OUT,
    Unit,
    owner_of,
    remove_leftovers,
)
from mmm_xgen.recovery.study.work import reason_of, record, run_unit

# A worker process is replaced after so many fits, since libraries leak.
FITS_A_WORKER = 12
KILLED = -9


class WorkerError(XgenError, BrokenProcessPool):
    """Worker processes that end before they take a fit, which says nothing about any model."""

    def __init__(self) -> None:
        super().__init__(
            "worker processes could not start, or all ended; in a script, call run_study under "
            '`if __name__ == "__main__":`, or fit in this process with jobs=0'
        )


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


def with_executor(
    units: Sequence[Unit], out: Path, executor: Any, report: Report, *, again: Container[str]
) -> None:
    """Fit units by a dask ``Client`` or an executor."""
    # A dask Client gives out an Executor of the standard sort; fits are no pure functions.
    pool = executor.get_executor(pure=False) if hasattr(executor, "get_executor") else executor
    futures = {
        pool.submit(run_unit, unit, out, module=_module(unit), again=unit.hash in again): unit
        for unit in units
    }
    try:
        collect(futures, out, report, again=again)
    except BaseException:
        # The pool is somebody else's, and goes on with what it has been given.
        for future in futures:
            future.cancel()
        raise


def with_workers(
    units: Sequence[Unit],
    out: Path,
    jobs: int,
    timeout: float | None,
    report: Report,
    *,
    again: Container[str],
) -> None:
    """Fit units in worker processes, each ended after `timeout` seconds."""
    import multiprocessing

    from pebble import ProcessPool

    modules = {unit.model: _module(unit) for unit in units}
    workers = Path(tempfile.mkdtemp())
    pool = ProcessPool(
        max_workers=min(jobs, len(units)),
        max_tasks=FITS_A_WORKER,
        initializer=_begin_worker,
        initargs=(workers,),
        context=multiprocessing.get_context("spawn"),
    )

    def begun(unit: Unit) -> Future[Any]:
        options = {"module": modules[unit.model], "again": unit.hash in again}
        try:
            return pool.schedule(run_unit, (unit, out.absolute()), options, timeout)
        except RuntimeError as error:
            # The pool is broken before all fits are given out.
            raise WorkerError from error

    try:
        futures = {begun(unit): unit for unit in units}
        collect(futures, out, report, again=again, workers=workers)
        pool.close()
    except BaseException:
        pool.stop()
        raise
    finally:
        pool.join()
        remove_leftovers(out)
        shutil.rmtree(workers, ignore_errors=True)


def collect(
    futures: Mapping[Future[Any], Unit],
    out: Path,
    report: Report,
    *,
    again: Container[str],
    workers: Path | None = None,
) -> None:
    """Take note of fits as they end; what ended their process is a result too."""
    for future in as_completed(futures):
        unit = futures[future]
        redone = unit.hash in again
        try:
            stats = future.result()
        except BrokenExecutor as error:
            raise WorkerError from error
        except (MissingDependencyError, StorageError):
            raise
        except TimeoutError as error:
            drop(unit, out, workers)
            limit = error.args[-1] if error.args else None
            reason = reason_of(error) if limit is None else f"took more than {limit:g} s"
            stats = record(unit, out, status=TIMED_OUT, reason=reason, again=redone, timeout=limit)
        except Exception as error:
            drop(unit, out, workers)
            if fault := storage_fault(error, out):
                raise StorageError(fault) from error
            code = getattr(error, "exitcode", None)
            died = "(the process was killed; was memory short?)" if code == KILLED else ""
            reason = f"{reason_of(error)} {died}".strip()
            stats = record(unit, out, status=FAILED, reason=reason, again=redone)
        report(unit, stats)


def drop(unit: Unit, out: Path, workers: Path | None) -> None:
    """Remove what the ended worker of a unit left: its children and its temporary folder.

    Nothing else is touched: another study, here or elsewhere, may do the same unit.
    """
    folder = unit.folder(out)
    for temporary in folder.parent.glob(f".{folder.name}~*"):
        owner = owner_of(temporary)
        if owner is None or workers is None or owner[1] != socket.gethostname():
            continue
        if (workers / str(owner[0])).exists():
            _end_group(owner[0])
            shutil.rmtree(temporary, ignore_errors=True)


def _begin_worker(workers: Path) -> None:
    """Let a worker, and what it started, end as soon as the study's process does.

    A killed process cannot tell its workers; a fit that went on would race with the one that
    the next start makes. The worker leaves its number in `workers`, once it leads a group.
    """
    import multiprocessing
    from multiprocessing.connection import wait

    if hasattr(os, "setpgid"):
        os.setpgid(0, 0)
        (workers / str(os.getpid())).touch()
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
