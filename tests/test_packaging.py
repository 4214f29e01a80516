"""The distribution: its version, what it contains, and what an installation can do."""

import json
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from functools import partial
from pathlib import Path

import pytest

import mmm_xgen
from mmm_xgen.cli.ensemble import _client
from mmm_xgen.errors import EXTRAS

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "mmm_xgen"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def presets() -> list[Path]:
    return sorted((PACKAGE / "presets").glob("*.yaml"))


def run(*command: object, cwd: Path) -> str:
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_version_licence_and_type_marker_are_those_declared():
    assert mmm_xgen.__version__ == PROJECT["version"]
    assert f"## [{PROJECT['version']}]" in (ROOT / "CHANGELOG.md").read_text()
    assert PROJECT["license"] == "Apache-2.0"
    text = (ROOT / "LICENSE").read_text()
    for words in ("Apache License", "Version 2.0, January 2004", "END OF TERMS AND CONDITIONS"):
        assert words in text
    assert (PACKAGE / "py.typed").is_file()
    assert presets()


def test_every_extra_is_on_the_page_on_installation_and_installs_what_messages_say():
    page = (ROOT / "docs" / "installation.md").read_text()
    listed = {line.split("`")[1] for line in page.splitlines() if line.startswith("| `")}
    assert listed == set(PROJECT["optional-dependencies"])
    for extra, packages in EXTRAS.items():
        listed = set(re.findall(r"\w+", " ".join(PROJECT["optional-dependencies"][extra])))
        # JAX comes with NumPyro and with BlackJAX.
        assert {*packages} - {"jax"} <= listed


def fit_with(sampler):
    def fit(folder):
        from mmm_xgen.recovery import FitSettings
        from mmm_xgen.recovery.models.pymc_fit import fit_pymc

        fit_pymc(mmm_xgen.generate_mmm_dataset(), FitSettings(sampler=sampler), build=None)

    return fit


def study(folder, **options):
    from mmm_xgen.recovery import run_study

    run_study("basic", "spend-share", [1], out=folder, **options)


def write_store(folder):
    from mmm_xgen.export import write_ensemble

    write_ensemble(mmm_xgen.generate_ensemble(n=2, chunks=None), folder / "a.zarr")


def load_store(folder):
    (folder / "zarr.json").write_text("{}")
    mmm_xgen.load(folder)


def on_workers(folder):
    with _client(1, None):
        pass


@pytest.mark.parametrize(
    ("package", "extra", "call"),
    [
        ("zarr", "scale", write_store),
        ("dask", "scale", write_store),
        ("zarr", "scale", load_store),
        ("distributed", "scale", on_workers),
        ("psutil", "recovery", study),
        ("pebble", "recovery", partial(study, jobs=1)),
        ("nutpie", "recovery", fit_with("nutpie")),
        ("jax", "recovery", fit_with("numpyro")),
        ("blackjax", "recovery", fit_with("blackjax")),
    ],
)
def test_what_lacks_a_package_names_the_extra(monkeypatch, tmp_path, package, extra, call):
    # What is installed counts as there, so that the one package alone is missing.
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name.startswith(package) else object()
    )
    with pytest.raises(mmm_xgen.MissingDependencyError) as caught:
        call(tmp_path)
    assert str(caught.value).endswith(f" {package}; pip install 'mmm-xgen[{extra}]'")


def test_no_file_of_the_package_is_ignored_by_git():
    # The build leaves out what git ignores.
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("no git checkout")
    files = [path for path in PACKAGE.rglob("*") if path.suffix in {".py", ".yaml", ".typed"}]
    done = subprocess.run(
        ["git", "check-ignore", "--no-index", *map(str, files)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, f"ignored: {done.stdout or done.stderr}"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy, so that no build directory is left behind."""
    base = tmp_path_factory.mktemp("wheel")
    source = base / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", ".gitignore"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(
        PACKAGE, source / "mmm_xgen", ignore=shutil.ignore_patterns("__pycache__", ".*")
    )
    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "-w", base, source, cwd=base)
    (built,) = base.glob("*.whl")
    return built


@pytest.mark.slow
def test_the_wheel_contains_the_package_and_nothing_else(wheel: Path):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    expected = {
        path.relative_to(ROOT).as_posix()
        for path in [*PACKAGE.rglob("*.py"), *presets(), PACKAGE / "py.typed"]
    }
    assert expected <= names
    assert {name.split("/")[0] for name in names} == {
        "mmm_xgen",
        f"mmm_xgen-{PROJECT['version']}.dist-info",
    }
    assert any(name.endswith("/licenses/LICENSE") for name in names)


@pytest.mark.slow
def test_an_installed_wheel_runs_away_from_the_checkout(wheel: Path, tmp_path: Path):
    venv.create(tmp_path / "env", with_pip=True)
    paths = {"base": str(tmp_path / "env"), "platbase": str(tmp_path / "env")}
    scripts = Path(sysconfig.get_path("scripts", "venv", vars=paths))
    site_packages = Path(sysconfig.get_path("purelib", "venv", vars=paths))
    run(scripts / "python", "-m", "pip", "install", "--no-deps", wheel, cwd=tmp_path)
    # The dependencies are borrowed from the environment of the tests. Its own `.pth` files,
    # and with them an editable installation of this checkout, have no effect there.
    (site_packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))

    report = run(
        scripts / "python",
        "-c",
        "import json, mmm_xgen\n"
        "print(json.dumps([mmm_xgen.__file__, sorted(mmm_xgen.list_available_presets())]))",
        cwd=tmp_path,
    )
    location, names = json.loads(report)
    assert Path(location).is_relative_to(site_packages)
    assert names == [path.stem for path in presets()]

    run(scripts / "mmm-xgen", "generate", "demo", "--out", "out", cwd=tmp_path)
    made = {path.suffix for path in (tmp_path / "out").iterdir()}
    assert {".csv", ".nc", ".png"} <= made
