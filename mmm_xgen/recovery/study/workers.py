"""Fits in worker processes of the study, or on an executor of the user."""

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
    """Worker processes that cannot start, or end without a fit."""

    def __init__(self) -> None:
        super().__init__(
            "worker processes could not start, or all ended; in a script, call run_study under "
            '`if __name__ == "__main__":`, or fit in this process with jobs=0'
        )


def _module(unit: Unit) -> str:
    """Module that a worker process imports to register the model.

    Raises
    ------
    ConfigError
        If the model is defined in an interactive session, which other processes cannot import.
    """
    import sys

    model = MODELS[unit.model]
    module = str(getattr(model, "__module__", ""))
    if module == "__main__" and not hasattr(sys.modules["__main__"], "__file__"):
        raise ConfigError(
            f"the model {unit.model!r} is defined in this session, which workers cannot import; "
            "put it into a module, or fit in this process with jobs=0",
            path="jobs",
        )
    return module


def with_executor(
    units: Sequence[Unit], out: Path, executor: Any, report: Report, *, again: Container[str]
) -> None:
    """Fit units with a dask ``Client`` or an executor."""
    # Fits are not pure functions, as they write files.
    pool = executor.get_executor(pure=False) if hasattr(executor, "get_executor") else executor
    futures = {
        pool.submit(run_unit, unit, out, module=_module(unit), again=unit.hash in again): unit
        for unit in units
    }
    try:
        collect(futures, out, report, again=again)
    except BaseException:
        # The pool belongs to the user and would go on with the submitted fits.
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
    """Fit units in worker processes; a fit is ended after `timeout` seconds."""
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

    def schedule(unit: Unit) -> Future[Any]:
        options = {"module": modules[unit.model], "again": unit.hash in again}
        try:
            return pool.schedule(run_unit, (unit, out.absolute()), options, timeout)
        except RuntimeError as error:
            # The pool broke before all fits were scheduled.
            raise WorkerError from error

    try:
        futures = {schedule(unit): unit for unit in units}
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
    """Report fits as they end, and save a result for each fit whose process was ended."""
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
            remove_unfinished(unit, out, workers)
            limit = error.args[-1] if error.args else None
            reason = reason_of(error) if limit is None else f"took more than {limit:g} s"
            stats = record(unit, out, status=TIMED_OUT, reason=reason, again=redone, timeout=limit)
        except Exception as error:
            remove_unfinished(unit, out, workers)
            if fault := storage_fault(error, out):
                raise StorageError(fault) from error
            code = getattr(error, "exitcode", None)
            died = "(the process was killed; was memory short?)" if code == KILLED else ""
            reason = f"{reason_of(error)} {died}".strip()
            stats = record(unit, out, status=FAILED, reason=reason, again=redone)
        report(unit, stats)


def remove_unfinished(unit: Unit, out: Path, workers: Path | None) -> None:
    """End the child processes of an ended worker, and remove the temporary folder of its unit.

    Files of other processes stay, as another study may fit the same unit.
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
    """Make a worker and its child processes end together with the process of the study.

    A killed process cannot end its workers. A fit that continued would race with the same fit
    after the next start. A worker that leads a process group creates a file named after its
    process number in `workers`.
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
