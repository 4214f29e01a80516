"""Environment and process of a Meridian fit.

Meridian's requirements conflict with those of recent releases of PyMC-Marketing. It therefore has
a virtual environment of its own, made on first use, and is called through NetCDF files.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import TypeAlias

import xarray as xr

from mmm_xgen.atomic import NETCDF_LOCK
from mmm_xgen.errors import MissingDependencyError, XgenError

VERSION = "2.1.0"
REQUIREMENTS = (f"google-meridian[jax]=={VERSION}", "h5netcdf>=1.3")
# Name of the variable that holds the path of a Python that has Meridian.
VARIABLE = "MMM_XGEN_MERIDIAN_PYTHON"
WORKER = Path(__file__).with_name("meridian_worker.py")
# Number of last lines of a failed process that an error repeats.
LINES = 8
PathLike: TypeAlias = str | os.PathLike[str]

SETTINGS = {
    "MERIDIAN_BACKEND": "jax",
    "MERIDIAN_ENABLE_JAX_X64": "true",
    "JAX_PLATFORMS": "cpu",
    # TensorFlow's messages on the machine would hide the error in the last lines.
    "TF_CPP_MIN_LOG_LEVEL": "3",
}


def meridian_python(python: PathLike | None = None) -> Path:
    """Find a Python with Meridian, or install one on first use.

    Parameters
    ----------
    python : path, optional
        An interpreter with Meridian. By default that of the environment variable
        ``MMM_XGEN_MERIDIAN_PYTHON``, or else one in the user's cache folder
        (``$XDG_CACHE_HOME/mmm-xgen/meridian-<version>-py<x.y>``), which pip installs if it does
        not exist (2 GB; some minutes).

    Returns
    -------
    Path

    Raises
    ------
    MissingDependencyError
        If the interpreter does not have the required release of Meridian, or pip cannot install
        it.
    """
    path = python or os.environ.get(VARIABLE)
    if path:
        return _check_python(Path(path), "the argument python" if python else VARIABLE)
    home = _cache() / f"meridian-{VERSION}-py{sys.version_info[0]}.{sys.version_info[1]}"
    if not home.exists():
        _make(home)
    return _interpreter(home)


def ask_worker(
    request: xr.Dataset,
    *,
    python: PathLike | None = None,
    timeout: float | None = None,
    cores: int | None = None,
) -> xr.Dataset:
    """Send a request to Meridian's own Python, and read its reply.

    Parameters
    ----------
    request : Dataset
        See `mmm_xgen.recovery.models.meridian_worker`.
    python : path, optional
        As for `meridian_python`.
    timeout : float, optional
        Seconds after which the process is ended; no limit by default.
    cores : int, optional
        Threads of its computations.

    Returns
    -------
    Dataset

    Raises
    ------
    MissingDependencyError
        If there is no Meridian.
    TimeoutError
        If it takes longer than `timeout`.
    XgenError
        If it fails; the error has the last lines of its output.
    """
    interpreter = meridian_python(python)
    environment = {**os.environ, **SETTINGS}
    if cores is not None:
        # XLA's thread pool on CPUs is as large as this says.
        environment |= {"NPROC": str(cores), "OMP_NUM_THREADS": str(cores)}
    with tempfile.TemporaryDirectory(prefix="mmm-xgen-meridian-") as folder:
        paths = [str(Path(folder) / name) for name in ("request.nc", "reply.nc")]
        with NETCDF_LOCK:
            request.to_netcdf(paths[0], engine="netcdf4")
        # -I: no module of ours, or of the folder we are in, shadows one of Meridian's.
        command = [str(interpreter), "-I", "-W", "ignore", str(WORKER), *paths, str(os.getpid())]
        try:
            done = subprocess.run(
                command, env=environment, timeout=timeout, capture_output=True, check=False
            )
        except subprocess.TimeoutExpired:
            raise TimeoutError(
                f"Meridian was still running after {timeout:g} s and was ended; allow more time, "
                "or fewer draws"
            ) from None
        if done.returncode != 0 or not Path(paths[1]).exists():
            message = _last_lines(done.stderr or done.stdout, LINES)
            raise XgenError(
                f"Meridian failed with exit status {done.returncode}; its last lines: {message}"
            )
        with NETCDF_LOCK, xr.open_dataset(paths[1], engine="netcdf4") as reply:
            return reply.load()


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mmm-xgen"


def _interpreter(home: Path) -> Path:
    return home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _check_python(python: Path, source: str) -> Path:
    code = "import importlib.metadata as m; print(m.version('google-meridian'), end='')"
    try:
        done = subprocess.run(
            [str(python), "-I", "-c", code], capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise MissingDependencyError(
            f"{source} is {str(python)!r}, which is not a Python: {error.strerror}"
        ) from None
    found = done.stdout if done.returncode == 0 else "no Meridian"
    if found != VERSION:
        raise MissingDependencyError(
            f"{source} is {str(python)!r}, which has {found}, allowed: google-meridian {VERSION}; "
            f"install it there with: {python} -m pip install {' '.join(map(repr, REQUIREMENTS))}"
        )
    return python


def _make(home: Path) -> None:
    """Make the environment in a temporary folder and move it into place when it is complete."""
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.parent, prefix=f".{home.name}-") as folder:
        fresh = Path(folder) / "environment"
        venv.create(fresh, with_pip=True)
        install = [str(_interpreter(fresh)), "-m", "pip", "install", "--quiet", *REQUIREMENTS]
        done = subprocess.run(install, capture_output=True, check=False)
        if done.returncode != 0:
            raise MissingDependencyError(
                f"pip could not install google-meridian {VERSION}: "
                f"{_last_lines(done.stderr, 1)}; connect to a package index, or set {VARIABLE} "
                "to a Python that has it"
            )
        try:
            fresh.rename(home)
        except OSError:
            # Another process made the same environment first.
            if not home.exists():
                raise


def _last_lines(output: bytes, n: int) -> str:
    lines = [line.strip() for line in output.decode(errors="replace").splitlines()]
    return " | ".join([line for line in lines if line][-n:]) or "none"
