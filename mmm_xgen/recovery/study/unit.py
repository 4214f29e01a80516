"""What one fit of a study is: its name, its hash, its folder, and the folder's life.

A unit's folder exists whole or not at all: it is made under a temporary name beside its place
and renamed at the end. What a killed process leaves is a temporary folder, which the next start
removes.
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
# As `mmm_xgen.atomic.owned_prefix` names the maker of something temporary.
OWNER = re.compile(r"~(?P<process>\d+)@(?P<host>[^~]*)~")
FILE_NAME = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-."
# What the reason of a skipped unit begins with where the model does not exist for the data.
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
        Name of the sort of data.
    config : str
        Configuration of the data, as JSON.
    model : str
        Name of a registered model.
    seed : int
        Seed of the data; the seed of the fit is drawn from it and ``settings.seed``.
    settings : FitSettings
        What the model heeds of those given, the others as by default; see `fit_settings`.
    given : FitSettings, optional
        As given, if others: what its study is known by.
    template : str
        What `config` is made from but for the seed, hashed; empty where each seed redraws it.
    protocol : str, optional
        Hash of the protocol that the study was promised to follow.

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
    given: FitSettings | None = None

    @classmethod
    def of(cls, config: MMMDataConfig, *, settings: FitSettings, model: str, **more: Any) -> Unit:
        """Unit whose settings are those that the model heeds."""
        own = heeded(model, settings)
        return cls(config=config.to_json(), model=model, settings=own, given=settings, **more)

    def __getstate__(self) -> dict[str, Any]:
        # A process that gets the unit may not know the model yet, nor what it heeds.
        _ = self.label, self.versions, self.hash, self.context
        return dict(vars(self))

    @cached_property
    def label(self) -> str:
        """Model, its sampler if it lets one choose, and whether it saw lift tests."""
        sampler = f"-{self.settings.sampler}" if "sampler" in about(self.model).heeds else ""
        return f"{self.model}{sampler}{'-lift' if self.settings.lift_tests else ''}"

    @property
    def fit_settings(self) -> FitSettings:
        """Settings with a seed that all models of a dataset share, and no other dataset has."""
        seed = stream(self.settings.seed, "fit", self.dataset, str(self.seed)).integers(2**31 - 1)
        return replace(self.settings, seed=int(seed))

    @cached_property
    def versions(self) -> dict[str, str]:
        """Versions of the packages that the result hangs on."""
        packages: tuple[str, ...] = BASE_PACKAGES
        model = about(self.model)
        if self.model == "prior-only" or "sampler" in model.heeds:
            packages += PYMC_PACKAGES + SAMPLERS[self.settings.sampler]
        return {**installed(packages), **model.runs_on}

    @property
    def needs(self) -> tuple[str, ...]:
        """Modules without which the model cannot be fitted."""
        model = about(self.model)
        sampled = "pymc_marketing" in model.needs and "sampler" in model.heeds
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
        """Hash of what units have in common that may stand in one table."""
        given = self.given or self.settings
        settings = asdict(replace(given, sampler="nutpie", lift_tests=False))
        versions = installed(BASE_PACKAGES)
        return digest(settings=settings, versions=versions, protocol=self.protocol)

    def folder(self, out: Path) -> Path:
        """Where the unit is kept."""
        return out / self.dataset / self.label / f"{self.seed:04d}-{self.hash[:8]}"

    def identity(self) -> dict[str, Any]:
        """What `stats.json` says about which fit this is."""
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


def heeded(model: str, settings: FitSettings) -> FitSettings:
    """Settings, those that the model makes nothing of put back to what they are by default.

    Examples
    --------
    >>> heeded("ols", FitSettings(sampler="numpyro", draws=500))
    FitSettings(sampler='nutpie', chains=4, draws=1000, ...)
    """
    return FitSettings(**{name: getattr(settings, name) for name in about(model).heeds})


@cache
def code_digest() -> str:
    """Hash of this package's own source, which changes more often than its version.

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
    """Versions of packages, with this one's; ``"none"`` where one is not installed.

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
    """Hash of whatever JSON can hold.

    Examples
    --------
    >>> len(digest(seed=1)), digest(seed=1) == digest(seed=2)
    (64, False)
    """
    text = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def check_name(name: str, path: str) -> str:
    """Name, if it can be that of a folder.

    Raises
    ------
    ConfigError
        If it cannot.

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


def finished(unit: Unit, out: Path) -> dict[str, Any] | None:
    """What a unit's `stats.json` says, if there is such a unit; it is whole if it is there."""
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
    """Write `stats.json`; numbers that are none become null."""
    text = json.dumps(_plain(stats), indent=2, ensure_ascii=False, allow_nan=False)
    (folder / STATS).write_text(text + "\n", encoding="utf-8")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not abs(value) < float("inf"):
        return None
    return value


@contextmanager
def whole_folder(folder: Path, *, again: bool = False) -> Iterator[Path]:
    """Temporary folder that takes the place of `folder` when the block ends well.

    Parameters
    ----------
    folder : Path
        Where the folder shall be.
    again : bool
        Whether a finished unit that is there is replaced; else it stays as it is, and what was
        made is dropped.

    Yields
    ------
    Path
        Where to write.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Whose it is is in the name, so that the next start knows what nobody works on any more.
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
    """Remove what processes that are no more left half done; return how many there were."""
    # Files of the summary, units and pictures of the summary, pictures of a unit.
    places = ("*/.*~*~*", "*/*/.*~*~*", "*/*/*/.*~*~*")
    left = [path for place in places for path in out.glob(place) if not _in_use(path)]
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
        # None of ours, whatever it is.
        return True
    if owner[1] != socket.gethostname():
        # Nothing tells whether a process elsewhere still runs.
        return time.time() - made < DAY
    try:
        # A process that began after the folder was last touched only has the number of its maker.
        return bool(psutil.Process(owner[0]).create_time() <= made)
    except psutil.NoSuchProcess:
        return False
