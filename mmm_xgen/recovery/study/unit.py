"""Unit of a study: one fit, with its name, its hash and its folder.

The folder of a unit exists complete or not at all. It is made under a temporary name beside its
final place, and renamed at the end. A killed process leaves the temporary folder behind, which
the next start of the study removes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import cache, cached_property, lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from mmm_xgen.atomic import owned_prefix
from mmm_xgen.config.data import MMMDataConfig
from mmm_xgen.errors import ConfigError
from mmm_xgen.formatting.plain import plain
from mmm_xgen.recovery.fit import SAMPLERS, FitSettings, about
from mmm_xgen.streams import stream
from mmm_xgen.version import __version__

DONE, FAILED, TIMED_OUT, SKIPPED = "done", "failed", "timed out", "skipped"
STATUSES = (DONE, FAILED, TIMED_OUT, SKIPPED)
STATS = "stats.json"
UNITS = "units.parquet"
PLOTS = "plots"
SUMMARY = "summary"
DAY = 86_400.0
# Process and host in the name of a temporary file; see `mmm_xgen.atomic.owned_prefix`.
OWNER = re.compile(r"~(?P<process>\d+)@(?P<host>[^~]*)~")
FILE_NAME = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-."
# Start of the reason of a unit that is skipped because the model does not exist for the data.
NOT_APPLICABLE = "not applicable"

PACKAGE = Path(__file__).parents[2]
BASE_PACKAGES = ("numpy", "scipy", "xarray")
PYMC_PACKAGES = ("pymc-marketing", "pymc", "pytensor", "arviz")


@dataclass(frozen=True, kw_only=True)
class Unit:
    """One fit of a study: a model, its settings, and the data that it sees.

    Parameters
    ----------
    dataset : str
        Name of the dataset in the study.
    config : str
        Configuration of the data, as JSON.
    model : str
        Name of a registered model.
    seed : int
        Seed of the data; the seed of the fit is drawn from it and ``settings.seed``.
    settings : FitSettings
        Settings of the fit. Settings that the model does not use have their default.
    template : str
        Hash of the configuration without its seed; empty where every seed has a configuration of
        its own.
    protocol : str, optional
        Hash of the protocol of the study.
    requested : FitSettings, optional
        Settings that the study was called with; `settings` by default.

    Examples
    --------
    >>> import mmm_xgen
    >>> config = mmm_xgen.get_preset_config("basic", seed=3)
    >>> unit = Unit(dataset="basic", config=config.to_json(), model="ols", seed=3)
    >>> unit.label, unit.folder(Path("results")).parent.as_posix()
    ('ols', 'results/basic/ols')
    """

    dataset: str
    config: str
    model: str
    seed: int
    settings: FitSettings = field(default_factory=FitSettings)
    template: str = ""
    protocol: str | None = None
    requested: FitSettings | None = None

    @classmethod
    def of(cls, config: MMMDataConfig, *, settings: FitSettings, model: str, **more: Any) -> Unit:
        """Make a unit; settings that the model does not use are set to their default."""
        own = used_settings(model, settings)
        return cls(config=config.to_json(), model=model, settings=own, requested=settings, **more)

    def __getstate__(self) -> dict[str, Any]:
        # The hash depends on the model, which the receiving process may not have imported yet.
        _ = self.label, self.versions, self.hash, self.context
        return dict(vars(self))

    @cached_property
    def label(self) -> str:
        """Name of the model, followed by its sampler and by ``-lift`` if these matter to it."""
        has_sampler = "sampler" in about(self.model).uses_settings
        sampler = f"-{self.settings.sampler}" if has_sampler else ""
        return f"{self.model}{sampler}{'-lift' if self.settings.lift_tests else ''}"

    @property
    def fit_settings(self) -> FitSettings:
        """Settings with the seed of the fit, the same for all models of a dataset and seed."""
        seed = stream(self.settings.seed, "fit", self.dataset, str(self.seed)).integers(2**31 - 1)
        return replace(self.settings, seed=int(seed))

    @cached_property
    def versions(self) -> dict[str, str]:
        """Versions of the packages that decide the result."""
        packages: tuple[str, ...] = BASE_PACKAGES
        model = about(self.model)
        if self.model == "prior-only" or "sampler" in model.uses_settings:
            packages += PYMC_PACKAGES + SAMPLERS[self.settings.sampler]
        return {**installed(packages), **model.runs_on}

    @property
    def needs(self) -> tuple[str, ...]:
        """Modules that have to be installed to fit the model."""
        model = about(self.model)
        sampled = "pymc_marketing" in model.needs and "sampler" in model.uses_settings
        return model.needs + (SAMPLERS[self.settings.sampler] if sampled else ())

    @cached_property
    def hash(self) -> str:
        """Hash of all that decides the result."""
        return digest(
            dataset=self.dataset,
            config=self.config,
            model=self.model,
            seed=self.seed,
            settings=asdict(self.settings),
            versions=self.versions,
            protocol=self.protocol,
        )

    @cached_property
    def context(self) -> str:
        """Hash that is the same for units that can be compared in one table."""
        requested = self.requested or self.settings
        settings = asdict(replace(requested, sampler="nutpie", lift_tests=False))
        versions = installed(BASE_PACKAGES)
        return digest(settings=settings, versions=versions, protocol=self.protocol)

    def folder(self, out: Path) -> Path:
        """Folder of the unit in a study's folder."""
        return out / self.dataset / self.label / f"{self.seed:04d}-{self.hash[:8]}"

    def identity(self) -> dict[str, Any]:
        """Entries of `stats.json` that identify the fit."""
        return {
            "dataset": self.dataset,
            "model": self.model,
            "label": self.label,
            "seed": self.seed,
            "settings": asdict(self.settings),
            "fit_seed": self.fit_settings.seed,
            "hash": self.hash,
            "context": self.context,
            "template": self.template,
            "protocol": self.protocol,
            "versions": self.versions,
            "code": code_digest(),
        }


def used_settings(model: str, settings: FitSettings) -> FitSettings:
    """Set settings that the model does not use to their default.

    Examples
    --------
    >>> used_settings("ols", FitSettings(sampler="numpyro", draws=500))
    FitSettings(sampler='nutpie', chains=4, draws=1000, ...)
    """
    return FitSettings(**{name: getattr(settings, name) for name in about(model).uses_settings})


@cache
def code_digest() -> str:
    """Hash of this package's source, which changes more often than its version.

    Examples
    --------
    >>> len(code_digest())
    64
    """
    whole = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        whole.update(path.relative_to(PACKAGE).as_posix().encode() + b"\0")
        whole.update(path.read_bytes() + b"\0")
    return whole.hexdigest()


@cache
def installed(packages: tuple[str, ...]) -> dict[str, str]:
    """Versions of packages and of this package; ``"none"`` where one is not installed.

    Examples
    --------
    >>> sorted(installed(("numpy",)))
    ['mmm-xgen', 'numpy']
    """
    found = {"mmm-xgen": __version__}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "none"
    return found


def digest(**content: Any) -> str:
    """Hash of arguments that JSON can hold.

    Examples
    --------
    >>> len(digest(seed=1)), digest(seed=1) == digest(seed=2)
    (64, False)
    """
    text = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def check_name(name: str, path: str) -> str:
    """Return a name that is valid for a folder.

    Raises
    ------
    ConfigError
        If the name is not valid.

    Examples
    --------
    >>> check_name("../secret", "datasets")
    Traceback (most recent call last):
    mmm_xgen.errors.ConfigError: datasets: found '../secret', allowed: letters, digits, _ - .
    """
    if name in (SUMMARY, "") or name.startswith(".") or set(name) - set(FILE_NAME):
        allowed = (
            f"any other name than {SUMMARY!r}" if name == SUMMARY else "letters, digits, _ - ."
        )
        raise ConfigError(f"found {name!r}, allowed: {allowed}", path=path)
    return name


def finished_stats(unit: Unit, out: Path) -> dict[str, Any] | None:
    """Content of `stats.json` of a unit, None if the unit is not finished."""
    stats = read_stats(unit.folder(out))
    return stats if stats and stats.get("hash") == unit.hash else None


def read_stats(folder: Path) -> dict[str, Any] | None:
    """Content of `stats.json`, None if there is no valid one.

    Without the file, the study's table of units counts; see `collected_stats`.
    """
    try:
        stats = json.loads((folder / STATS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        out = folder.parent.parent.parent
        text = collected_stats(out).get(folder.relative_to(out).as_posix())
        stats = None if text is None else json.loads(text)
    known = isinstance(stats, dict) and stats.get("status") in STATUSES
    return stats if known else None


def collected_stats(out: Path) -> Mapping[str, str]:
    """Text of every `stats.json` in a study's table of units, by the folder within the study.

    See `mmm_xgen.recovery.study.results.collect_units`.
    """
    path = out / SUMMARY / UNITS
    try:
        modified = path.stat().st_mtime_ns
    except OSError:
        return {}
    return _stats_in_table(path, modified)


@lru_cache(maxsize=4)
def _stats_in_table(path: Path, modified: int) -> dict[str, str]:
    import pandas as pd

    table = pd.read_parquet(path, columns=["folder", "stats"])
    return dict(zip(table["folder"], table["stats"], strict=True))


def write_stats(folder: Path, stats: Mapping[str, Any]) -> None:
    """Write `stats.json`; NaN and infinity become null."""
    text = json.dumps(plain(stats), indent=2, ensure_ascii=False, allow_nan=False)
    (folder / STATS).write_text(text + "\n", encoding="utf-8")


@contextmanager
def whole_folder(folder: Path, *, again: bool = False) -> Iterator[Path]:
    """Write into a temporary folder, which becomes `folder` if the block ends without error.

    Parameters
    ----------
    folder : Path
        The final folder.
    again : bool
        Whether to replace a finished unit. By default it stays, and the new files are dropped.

    Yields
    ------
    Path
        The temporary folder.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    # The name holds the process, so that the next start can remove folders of ended processes.
    temporary = Path(tempfile.mkdtemp(prefix=owned_prefix(folder.name), dir=folder.parent))
    temporary.chmod(folder.parent.stat().st_mode)
    try:
        yield temporary
        for path in temporary.iterdir():
            # Windows syncs only what is open for writing.
            with path.open("r+b") as written:
                os.fsync(written.fileno())
        if again or read_stats(folder) is None:
            _take_place(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _take_place(temporary: Path, folder: Path) -> None:
    aside = temporary.with_name(f"{temporary.name}~old")
    with contextlib.suppress(FileNotFoundError):
        folder.replace(aside)
    temporary.replace(folder)
    shutil.rmtree(aside, ignore_errors=True)


def remove_leftovers(out: Path) -> int:
    """Remove temporary files and folders of ended processes; return their number."""
    # Files of the summary, units and pictures of the summary, pictures of a unit.
    patterns = ("*/.*~*~*", "*/*/.*~*~*", "*/*/*/.*~*~*")
    left = [path for each in patterns for path in out.glob(each) if not _in_use(path)]
    for path in left:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return len(left)


def owner_of(temporary: Path) -> tuple[int, str] | None:
    """Process and host that made a temporary file or folder."""
    found = OWNER.search(temporary.name)
    return (int(found["process"]), found["host"]) if found else None


def _in_use(temporary: Path) -> bool:
    import psutil

    owner = owner_of(temporary)
    try:
        made = temporary.stat().st_mtime
    except FileNotFoundError:
        return True
    if owner is None:
        # Not a temporary file of this package.
        return True
    if owner[1] != socket.gethostname():
        # It is unknown whether a process on another host still runs.
        return time.time() - made < DAY
    try:
        # A process that began after the last change is another one with the same number.
        return bool(psutil.Process(owner[0]).create_time() <= made)
    except psutil.NoSuchProcess:
        return False
