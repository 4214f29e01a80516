"""The notebooks: stripped, of public names only, and run from top to bottom."""

import ast
import importlib
import io
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from mmm_xgen.kernels.adstock import ADSTOCKS
from mmm_xgen.kernels.patterns import PATTERNS
from mmm_xgen.kernels.saturation import SATURATIONS
from mmm_xgen.recovery import MODELS

nbformat = pytest.importorskip("nbformat")

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
# These fit models.
FITTING = {"05", "07"}
# These draw for seconds; CI runs them when it builds the documentation.
SLOW = FITTING | {"02", "03", "04", "06"}
# Packages whose `__all__` a notebook may draw on.
PUBLIC = {
    "mmm_xgen",
    "mmm_xgen.export",
    "mmm_xgen.plots",
    "mmm_xgen.recovery",
    "mmm_xgen.recovery.plots",
    "mmm_xgen.truth",
}
SUBPACKAGES = {"export", "plots", "truth"}
# Names that notebooks give to them.
ALIASES = {
    "m": "mmm_xgen",
    "plots": "mmm_xgen.plots",
    "recovery_plots": "mmm_xgen.recovery.plots",
}

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code_of(path: Path) -> list[str]:
    cells = nbformat.read(path, as_version=4).cells
    # Magics are IPython's; the kernel test below has them.
    return [
        re.sub(r"^%.*$", "", cell.source, flags=re.MULTILINE)
        for cell in cells
        if cell.cell_type == "code"
    ]


def prose_of(path: Path) -> list[str]:
    cells = nbformat.read(path, as_version=4).cells
    return [cell.source for cell in cells if cell.cell_type == "markdown"]


def test_there_are_eight() -> None:
    assert [path.name[:2] for path in NOTEBOOKS] == [f"0{number}" for number in range(1, 9)]


# --- what is in the files


@every_notebook
def test_it_is_stripped_named_in_order_and_installs_nothing(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    notebook = nbformat.reads(text, as_version=4)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert notebook.metadata == METADATA
    stem = path.stem.replace("_", "-")
    magics = []
    for place, cell in enumerate(notebook.cells, 1):
        assert cell.metadata == {}
        assert cell.id == f"{stem}-{place:02d}"
        if cell.cell_type == "code":
            assert cell.outputs == [] and cell.execution_count is None
            magics += [line for line in cell.source.splitlines() if re.match(r"\s*[%!]", line)]
    assert magics == ["%matplotlib inline"]
    # As nbformat writes it, so that a change is one in the content.
    assert text == nbformat.writes(notebook) + "\n"


@every_notebook
def test_its_text_teaches(path: Path) -> None:
    prose = prose_of(path)
    assert prose[0].startswith(f"# {path.name[:2]} ")
    assert "**Try it.**" in prose[-1] and "**Where to go next.**" in prose[-1]
    named = re.findall(r"\]\((\S+?)\)", "\n".join(prose))
    assert [name for name in named if not (path.parent / name).is_file()] == []
    if path.name[:2] in FITTING:
        assert "`MMM_XGEN_QUICK=1`" in prose[0]


def not_public(source: str) -> Iterator[str]:
    """Names of the package that a user is not meant to use."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mmm_xgen"):
            allowed = set()
            if node.module in PUBLIC:
                allowed = {*importlib.import_module(node.module).__all__, "plots"}
            yield from (
                f"{node.module}.{each.name}" for each in node.names if each.name not in allowed
            )
        if isinstance(node, ast.Attribute):
            package = ALIASES.get(ast.unparse(node.value))
            known = {*importlib.import_module(package).__all__, *SUBPACKAGES} if package else None
            private = node.attr.startswith("_") and not node.attr.startswith("__")
            if private or (known and node.attr not in known):
                yield ast.unparse(node)


@every_notebook
def test_it_uses_public_names_only(path: Path) -> None:
    assert list(not_public("\n".join(code_of(path)))) == []


@pytest.mark.parametrize(
    "source",
    [
        "from mmm_xgen.truth.media import channel_label",
        "from mmm_xgen.recovery import fit_pymc",
        "ds._replace()",
        "m.config_of(ds)",
        "plots.no_such_plot(ds)",
    ],
)
def test_other_names_are_found(source: str) -> None:
    assert list(not_public(source))


# --- what they do


@pytest.fixture
def own_kinds_removed() -> Iterator[None]:
    """Take out what a notebook registers: other tests do not know it."""
    registries = (ADSTOCKS, PATTERNS, SATURATIONS, MODELS)
    before = [set(registry) for registry in registries]
    yield
    for registry, known in zip(registries, before, strict=True):
        for name in set(registry) - known:
            registry.remove(name)


def show(value: Any) -> None:
    """Render a cell's last value as a notebook would."""
    if isinstance(value, Figure):
        value.savefig(io.BytesIO(), format="png")
    elif hasattr(value, "_repr_html_"):
        value._repr_html_()
    else:
        repr(value)


def run(path: Path) -> dict[str, Any]:
    """Run all cells in one namespace, in this process, where warnings are errors."""
    names: dict[str, Any] = {"__name__": "__main__"}
    for number, source in enumerate(code_of(path), 1):
        body = ast.parse(source).body
        last = body.pop() if body and isinstance(body[-1], ast.Expr) else None
        place = f"{path.name}, code cell {number}"
        exec(compile(ast.Module(body, []), place, "exec"), names)
        if isinstance(last, ast.Expr):
            show(eval(compile(ast.Expression(last.value), place, "eval"), names))
    return names


@pytest.mark.usefixtures("own_kinds_removed")
# ArviZ 0.23 on matplotlib 3.11.
@pytest.mark.filterwarnings("ignore:Passing a dict or None as alias_mapping:DeprecationWarning")
@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, id=path.stem, marks=pytest.mark.slow if path.name[:2] in SLOW else ())
        for path in NOTEBOOKS
    ],
)
def test_it_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ipywidgets")
    if path.name[:2] in FITTING:
        pytest.importorskip("nutpie")
    monkeypatch.setenv("MMM_XGEN_QUICK", "1")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    run(path)


@pytest.mark.slow
def test_a_kernel_shows_figures_and_sliders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ipykernel")
    pytest.importorskip("ipywidgets")
    nbclient = pytest.importorskip("nbclient")
    (path,) = (path for path in NOTEBOOKS if path.name.startswith("06"))
    notebook = nbformat.read(path, as_version=4)
    ends = [i for i, cell in enumerate(notebook.cells) if "plot_what_if" in cell.source]
    notebook.cells = notebook.cells[: ends[0] + 1]
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    # The kernel chooses for itself, as it does for a user.
    monkeypatch.delenv("MPLBACKEND", raising=False)
    nbclient.NotebookClient(
        notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    shown = {
        kind
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        for kind in output.get("data", {})
    }
    assert {"image/png", "application/vnd.jupyter.widget-view+json"} <= shown
