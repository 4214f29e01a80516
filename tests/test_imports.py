"""Lightness: each step loads what it needs and nothing else, in one fresh process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import matplotlib
import pytest

import mmm_xgen as m

MODELS = {"arviz", "jax", "numba", "pymc", "pymc_marketing", "pytensor"}
FILES = {"netCDF4", "zarr"}
# Steps run one after the other. Of what a step names, nothing may be loaded when it is done.
STEPS: dict[str, tuple[str, set[str]]] = {
    "import": (
        "import mmm_xgen as m",
        MODELS | FILES | {"dask", "holidays", "matplotlib", "rich", "scipy", "typer"},
    ),
    "help": (
        "from mmm_xgen.cli import app\ntry:\n    app(['--help'])\nexcept SystemExit:\n    pass",
        MODELS | FILES | {"dask", "holidays", "matplotlib", "rich", "scipy"},
    ),
    "checks and exports": (
        "import mmm_xgen.quality, mmm_xgen.export, mmm_xgen.export.pymc_marketing",
        MODELS | FILES | {"holidays", "matplotlib", "scipy"},
    ),
    # A model compiled for each channel and geo would take minutes here.
    "generation": (
        "ds = m.generate_mmm_dataset(m.get_preset_config('large_business'))\n"
        "ds = m.generate_mmm_dataset()\n"
        "m.list_available_presets(), repr(ds.mmm), dir(ds.mmm.plot)",
        MODELS | FILES | {"holidays", "matplotlib"},
    ),
    "scoring": (
        "from mmm_xgen.recovery.fit import Fit, FitSettings\n"
        "from mmm_xgen.recovery.scoring import score\n"
        "score(ds, Fit(estimates=m.truth.roas(ds).to_dataset()), FitSettings())",
        MODELS | {"matplotlib"},
    ),
    # A cache on disk could give the data of yesterday.
    "files": ("left = [str(each) for each in Path().rglob('*') if each.is_file()]", set()),
    "plots": (
        "from mmm_xgen.plots import plot_overview\nplot_overview(ds).savefig('overview.png')",
        MODELS | {"matplotlib.pyplot"},
    ),
}


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Modules that are loaded after each step, and the files that were written."""
    folder = tmp_path_factory.mktemp("process")
    lines = ["import json, sys, warnings", "from pathlib import Path", "found = {}"]
    for name, (code, _) in STEPS.items():
        lines += [code, f"found[{name!r}] = [*sys.modules]"]
    lines += ["found['files'] = left", "Path('found.json').write_text(json.dumps(found))"]
    places = {name: str(folder) for name in ("HOME", "XDG_CACHE_HOME", "TMPDIR")}
    # The list of fonts, which takes matplotlib seconds to make.
    places["MPLCONFIGDIR"] = matplotlib.get_cachedir()
    subprocess.run(
        [sys.executable, "-W", "error", "-c", "\n".join(lines)],
        env=os.environ
        | {"PYTHONPATH": str(Path(m.__file__).parents[1]), "PYTHONDONTWRITEBYTECODE": "1"}
        | places,
        cwd=folder,
        stdout=subprocess.DEVNULL,
        check=True,
    )
    found: dict[str, list[str]] = json.loads((folder / "found.json").read_text())
    return found


@pytest.mark.parametrize("step", STEPS)
def test_a_step_loads_nothing_heavy(loaded: dict[str, list[str]], step: str) -> None:
    assert STEPS[step][1] & {*loaded[step]} == set()


def test_generating_writes_no_file_and_steps_that_load_something_are_seen(
    loaded: dict[str, list[str]],
) -> None:
    assert loaded["files"] == []
    assert {"xarray", "pandas"} <= {*loaded["generation"]}
    assert "matplotlib" in loaded["plots"]
