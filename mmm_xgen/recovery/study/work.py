"""Work on one unit: generate data, check the truth, fit, score and save."""

from __future__ import annotations

import gc
import platform
import re
import sys
import time
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import xarray as xr

from mmm_xgen.atomic import NETCDF_LOCK
from mmm_xgen.config.data import MMMDataConfig
from mmm_xgen.errors import (
    ConfigError,
    MissingDependencyError,
    NotApplicableError,
    SchemaError,
)
from mmm_xgen.export.files import to_netcdf
from mmm_xgen.generate import generate_mmm_dataset
from mmm_xgen.recovery.fit import MODELS, Fit, Model
from mmm_xgen.recovery.study.saved import POSTERIOR, write_posterior
from mmm_xgen.recovery.study.storage import StorageError, storage_fault, storing
from mmm_xgen.recovery.study.unit import (
    DONE,
    FAILED,
    NOT_APPLICABLE,
    PACKAGE,
    SKIPPED,
    Unit,
    whole_folder,
    write_stats,
)

DATA, SCORES = "data.nc", "scores.nc"
MOST_WARNINGS = 20


@dataclass
class _Process:
    """Number of units that this process began, and the dataset that it checked last."""

    units: int = 0
    checked: tuple[str, str | None] | None = None


_PROCESS = _Process()


def run_unit(unit: Unit, out: Path, *, module: str = "", again: bool = False) -> dict[str, Any]:
    """Fit a unit and save the result, also if the fit fails.

    Parameters
    ----------
    unit : Unit
        The fit.
    out : Path
        Folder of the study.
    module : str
        Module that registers the model; imported if this process does not know the model.
    again : bool
        Whether to replace a finished unit.

    Returns
    -------
    dict
        Content of `stats.json`. If the model fails or the data cannot be generated, ``status`` is
        ``"failed"`` and ``reason`` says why.

    Raises
    ------
    MissingDependencyError
        If a package is missing.
    StorageError
        If the disk is full or not writable.
    """
    stats: dict[str, Any] = {
        **unit.identity(),
        "status": FAILED,
        "reason": "",
        "python": platform.python_version(),
        "units_before": _PROCESS.units,
        "began": _now(),
    }
    _PROCESS.units += 1
    began = time.perf_counter()
    with storing(out), whole_folder(unit.folder(out), again=again) as folder:
        try:
            with _kept_warnings(stats):
                _work(unit, out, folder, stats, module)
        except (MissingDependencyError, StorageError):
            raise
        except NotApplicableError as error:
            stats["status"] = SKIPPED
            stats["reason"] = f"{NOT_APPLICABLE}: {error}"
        # Any error of a library is the result of this fit; the study goes on.
        except Exception as error:
            if storage_fault(error, out):
                raise
            stats["reason"] = reason_of(error)
            stats["traceback"] = without_local_paths(traceback.format_exc())
        stats["seconds"] = time.perf_counter() - began
        write_stats(folder, stats)
    # Models are large and full of reference cycles; free them before the next fit.
    gc.collect()
    return stats


def record(
    unit: Unit, out: Path, *, status: str, reason: str, again: bool = False, **more: Any
) -> dict[str, Any]:
    """Save a unit without result, such as one that took too long."""
    # The ended process knew when the unit began. The present is later than any earlier fit.
    stats = {**unit.identity(), "status": status, "reason": reason, "began": _now(), **more}
    with storing(out), whole_folder(unit.folder(out), again=again) as folder:
        write_stats(folder, stats)
    return stats


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


def model_named(name: str, module: str = "") -> Model:
    """Model with a name; `module` is imported if the model is not registered."""
    if name not in MODELS and module:
        import_module(module)
    return MODELS[name]


def score_fit(ds: xr.Dataset, fit: Fit, unit: Unit) -> xr.Dataset:
    """Scores of a fit against the truth."""
    from mmm_xgen.recovery.scoring.scores import score

    return score(ds, fit, unit.fit_settings, prior=fit.prior)


def reason_of(error: BaseException) -> str:
    """Kind and message of an error in one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def without_local_paths(text: str) -> str:
    """Shorten the paths of a traceback to the part below the import folder.

    Examples
    --------
    >>> without_local_paths(f'File "{__file__}", line 1')
    'File "mmm_xgen/recovery/study/work.py", line 1'
    """
    folders = sorted(filter(None, {*sys.path, str(PACKAGE.parent)}), key=len, reverse=True)

    def named(found: re.Match[str]) -> str:
        path = Path(found[1])
        inside = next((each for each in folders if path.is_relative_to(each)), path.parent)
        return f'File "{path.relative_to(inside).as_posix()}"'

    return re.sub(r'File "([^"<>]+)"', named, text)


def _work(unit: Unit, out: Path, folder: Path, stats: dict[str, Any], module: str) -> None:
    model = model_named(unit.model, module)
    ds = generate_mmm_dataset(MMMDataConfig.from_json(unit.config))
    _check_truth(ds, unit)
    with storing(out, own_files=True):
        to_netcdf(ds, folder / DATA)
    stats["sizes"] = {dim: ds.sizes.get(dim, 0) for dim in ("date", "geo", "channel", "control")}
    before = time.perf_counter()
    fit = model(ds, unit.fit_settings)
    if not isinstance(fit, Fit):
        raise ConfigError(f"model {unit.model!r} returned {type(fit).__name__}, allowed: Fit")
    stats["timings"] = {"total": time.perf_counter() - before, **fit.timings}
    stats["diagnostics"] = dict(fit.diagnostics)
    stats["not_computed"] = dict(fit.not_computed)
    stats["no_single_truth"] = dict(fit.no_single_truth)
    with storing(out, own_files=True):
        write_posterior(fit, folder / POSTERIOR, seed=unit.fit_settings.seed)
    scores = score_fit(ds, fit, unit)
    with storing(out, own_files=True), NETCDF_LOCK:
        scores.to_netcdf(folder / SCORES, engine="netcdf4")
    stats["status"] = DONE


def _check_truth(ds: xr.Dataset, unit: Unit) -> None:
    """Raise SchemaError if a fit at the truth does not have perfect scores."""
    from mmm_xgen.recovery.scoring.self_check import self_check

    known = (unit.config, unit.settings.train_end)
    if known != _PROCESS.checked:
        if faults := self_check(ds, unit.fit_settings):
            raise SchemaError(f"self-check: {'; '.join(faults)}")
        # All models are fitted to a dataset before the next dataset.
        _PROCESS.checked = known


@contextmanager
def _kept_warnings(stats: dict[str, Any]) -> Iterator[None]:
    """Collect warnings in ``stats["warnings"]`` instead of showing them."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield
        finally:
            texts = (f"{w.category.__name__}: {' '.join(str(w.message).split())}" for w in caught)
            stats["warnings"] = list(dict.fromkeys(texts))[:MOST_WARNINGS]
