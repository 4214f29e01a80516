"""The structure of the package, read off its syntax trees: imports run one way, the heavy
libraries are imported where they are used, and some constructs appear nowhere.
"""

import ast
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = "mmm_xgen"
SOURCE = Path(__file__).parents[1] / PACKAGE

# Modules and subpackages in import order: each imports what stands in an earlier row or in
# its own, and nothing below. Within a row too there is no cycle.
LAYERS = [
    {"atomic", "errors", "formatting", "schema", "streams", "threads", "version"},
    {"kernels"},
    {"config"},
    {"presets"},
    {"connections", "dataset", "goodwill", "link", "response"},
    {"world"},
    {"frames", "storage"},
    {"generation", "media_plan"},
    {"generate"},
    {"aggregate", "ensemble", "truth"},
    {"export", "quality"},
    {"plots"},
    {"recovery", "report"},
    {"accessor"},
    {"__init__", "cli"},
    {"__main__"},
]

# What kernels may import besides the standard library and earlier rows: arrays, and words
# for what an argument may be.
KERNELS_MAY_IMPORT = {"annotated_types", "numpy"}

# Imported inside the functions that use them, since they cost up to seconds.
HEAVY = {
    *("arviz", "arviz_base", "arviz_plots", "arviz_stats", "click", "dask", "distributed"),
    *(
        "holidays",
        "jinja2",
        "matplotlib",
        "netCDF4",
        "numba",
        "pymc",
        "pymc_marketing",
        "pytensor",
        "rich",
    ),
    *("scipy", "seaborn", "sklearn", "statsmodels", "typer", "zarr"),
}
HEAVY_ALLOWED = {
    "cli": {"typer", "rich"},
    "plots": {"matplotlib"},
    "recovery.plots": {"matplotlib"},
}

# What a Generator is made of; all else in numpy.random has global state.
RANDOM_ALLOWED = {
    "bit_generator",
    "BitGenerator",
    "Generator",
    "PCG64",
    "PCG64DXSM",
    "Philox",
    "SeedSequence",
}
# Randomness is addressed by name, in one module.
RANDOM_SOURCE = "streams"

BANNED_IMPORTS = {"cloudpickle", "dill", "joblib", "marshal", "pickle", "random", "shelve"}
BANNED_CALLS = {"__import__", "compile", "eval", "exec"}
BANNED_METHODS = {"read_pickle", "to_pickle", "full_load", "unsafe_load", "full_load_all"}
# A docstring opens with the thing or the action itself.
BANNED_OPENINGS = {"How", "Of", "Those", "What", "Whether", "Words"}
BANNED_STEMS = {"common", "helper", "helpers", "manager", "misc", "util", "utils"}
SAFE_LOADERS = {"SafeLoader", "CSafeLoader"}
NETCDF_METHODS = {"to_netcdf", "open_dataset", "open_datatree", "open_mfdataset", "from_netcdf"}
# The worker runs in a process of its own, where the package is not installed.
NETCDF_ALONE = {"recovery.models.meridian_worker"}

MODULE_LINES = 500
FUNCTION_LINES = 70

Function = ast.FunctionDef | ast.AsyncFunctionDef
Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Import:
    """One import: the dotted name that it loads, where, and how."""

    target: str
    line: int
    deferred: bool
    typing_only: bool


@dataclass(frozen=True)
class Module:
    """A module of the package; `name` is dotted, without the package itself."""

    path: Path
    name: str
    source: str

    @property
    def unit(self) -> str:
        """The row entry that the module belongs to: a module or a subpackage."""
        return self.name.split(".")[0] or "__init__"

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.source, str(self.path))

    @cached_property
    def nodes(self) -> list[ast.AST]:
        return list(ast.walk(self.tree))

    @cached_property
    def calls(self) -> list[tuple[ast.Call, str]]:
        return [(node, dotted(node.func)) for node in self.nodes if isinstance(node, ast.Call)]

    @cached_property
    def imports(self) -> list[Import]:
        return list(self._imports(self.tree, deferred=False, typing_only=False))

    def _imports(self, node: ast.AST, *, deferred: bool, typing_only: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import | ast.ImportFrom):
                for target in self._targets(child):
                    yield Import(target, child.lineno, deferred, typing_only)
            elif isinstance(child, ast.If) and "TYPE_CHECKING" in dotted(child.test):
                for branch, typing_branch in ((child.body, True), (child.orelse, typing_only)):
                    block = ast.Module(body=branch, type_ignores=[])
                    yield from self._imports(block, deferred=deferred, typing_only=typing_branch)
            else:
                inside = deferred or isinstance(child, Function | ast.Lambda)
                yield from self._imports(child, deferred=inside, typing_only=typing_only)

    def _targets(self, node: ast.Import | ast.ImportFrom) -> Iterator[str]:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
            return
        base = node.module or ""
        if node.level:
            parts = f"{PACKAGE}.{self.name}".rstrip(".").split(".")
            if self.path.name != "__init__.py":
                parts = parts[:-1]
            parts = parts[: len(parts) - node.level + 1]
            base = ".".join([*parts, base]).rstrip(".")
        yield from (f"{base}.{alias.name}" for alias in node.names)

    def at(self, node: ast.AST | Import) -> str:
        line = node.line if isinstance(node, Import) else getattr(node, "lineno", 1)
        return f"{PACKAGE}/{self.path.relative_to(SOURCE)}:{line}"


def read(path: Path) -> Module:
    parts = list(path.relative_to(SOURCE).with_suffix("").parts)
    if parts[-1] == "__init__":
        parts.pop()
    return Module(path, ".".join(parts), path.read_text(encoding="utf-8"))


def module_of(source: str, name: str = "example") -> Module:
    """A made-up module, to show that a rule catches what it should."""
    return Module(SOURCE / f"{name.replace('.', '/')}.py", name, source)


MODULES = [read(path) for path in sorted(SOURCE.rglob("*.py"))]
NAMES = {module.name for module in MODULES}
POSITION = {unit: position for position, row in enumerate(LAYERS) for unit in row}


def module_named(target: str) -> str | None:
    """The module of this package that an imported dotted name is in, if any."""
    package, _, inner = target.partition(".")
    if package != PACKAGE:
        return None
    parts = inner.split(".") if inner else []
    while parts and ".".join(parts) not in NAMES:
        parts.pop()
    return ".".join(parts)


def unit_named(target: str) -> str | None:
    """The row entry that an imported dotted name belongs to, if it is of this package."""
    package, *inner = target.split(".")
    if package != PACKAGE:
        return None
    return inner[0] if inner and inner[0] in POSITION else "__init__"


def dotted(node: ast.AST) -> str:
    """Return `a.b.c` of such an expression; what is no name in it is left out."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


# --- imports


def against_the_order(module: Module) -> Iterator[str]:
    for found in module.imports:
        unit = unit_named(found.target)
        if unit is None or unit == module.unit:
            continue
        if POSITION.get(unit, 0) > POSITION.get(module.unit, len(LAYERS)):
            yield f"{module.at(found)}: {module.unit} may not import {unit}"


def beyond_numpy(module: Module) -> Iterator[str]:
    if module.unit != "kernels":
        return
    allowed = {PACKAGE, *KERNELS_MAY_IMPORT, *sys.stdlib_module_names}
    for found in module.imports:
        if found.target.split(".")[0] not in allowed:
            yield f"{module.at(found)}: kernels may not import {found.target}"


def heavy_at_import(module: Module) -> Iterator[str]:
    within = f"{module.name}."
    allowed = (names for part, names in HEAVY_ALLOWED.items() if within.startswith(f"{part}."))
    heavy = HEAVY.difference(*allowed)
    for found in module.imports:
        if found.deferred or found.typing_only:
            continue
        if found.target.split(".")[0] in heavy:
            yield f"{module.at(found)}: import {found.target} where it is used"


def test_every_module_has_its_place():
    units = {module.unit for module in MODULES}
    assert units <= set(POSITION), f"not in LAYERS: {sorted(units - set(POSITION))}"


def circle(graph: Mapping[str, Iterable[str]]) -> list[str]:
    """Return the names along a circle of imports, or an empty list."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def import_graph(modules: Iterable[Module]) -> dict[str, set[str]]:
    """Return the modules that each module imports, at once, later, or for its types."""
    return {
        module.name: {
            target
            for found in module.imports
            # A package is loaded with any of its modules, which is not an import of its own.
            if (target := module_named(found.target)) not in {None, module.name}
        }
        for module in modules
    }


def between_folders(graph: Mapping[str, Iterable[str]]) -> dict[str, set[str]]:
    """Return `graph` with one name for all modules of a folder that has no folder in it."""
    parents = {name.rpartition(".")[0] for name in graph}
    leaves = {
        name for name in parents if name and not any(p.startswith(f"{name}.") for p in parents)
    }

    def folder(name: str) -> str:
        parent = name.rpartition(".")[0]
        return parent if parent in leaves else f"{name} itself" if name in leaves else name

    folders: dict[str, set[str]] = {}
    for name, targets in graph.items():
        folders.setdefault(folder(name), set()).update(map(folder, targets))
    return {name: targets - {name} for name, targets in folders.items()}


def test_no_modules_and_no_folders_import_each_other():
    assert circle(import_graph(MODULES)) == []
    assert circle(between_folders(import_graph(MODULES))) == []


def test_circles_are_found():
    deferred = module_of("def f():\n    from mmm_xgen.generate import regenerate", "response")
    typing = module_of("if TYPE_CHECKING:\n    from mmm_xgen import response", "generate")
    assert set(circle(import_graph([deferred, typing]))) == {"generate", "response"}
    folders = {"truth.budget.a": ["truth.returns.b"], "truth.returns.c": ["truth.budget.d"]}
    assert circle(folders) == []
    assert set(circle(between_folders(folders))) == {"truth.budget", "truth.returns"}


# --- randomness and safety


def global_randomness(module: Module) -> Iterator[str]:
    allowed = RANDOM_ALLOWED | ({"default_rng"} if module.unit == RANDOM_SOURCE else set())
    for node in module.nodes:
        if not isinstance(node, ast.Attribute) or node.attr in allowed:
            continue
        if dotted(node.value) in {"np.random", "numpy.random"}:
            yield f"{module.at(node)}: {dotted(node)}"
    for found in module.imports:
        # "numpy.random" itself counts: under another name its functions go unseen.
        parts = found.target.split(".")
        if parts[:2] == ["numpy", "random"] and (len(parts) == 2 or parts[2] not in allowed):
            yield f"{module.at(found)}: {found.target}"


def unsafe(module: Module) -> Iterator[str]:
    for found in module.imports:
        if found.target.split(".")[0] in BANNED_IMPORTS:
            yield f"{module.at(found)}: import of {found.target}"
    safe = SAFE_LOADERS | {
        node.name
        for node in module.nodes
        if isinstance(node, ast.ClassDef)
        and any(dotted(base).split(".")[-1] in SAFE_LOADERS for base in node.bases)
    }
    for node, function in module.calls:
        method = function.split(".")[-1]
        if function in BANNED_CALLS or ("." in function and method in BANNED_METHODS):
            yield f"{module.at(node)}: {function}()"
        if any(keyword.arg == "allow_pickle" for keyword in node.keywords):
            yield f"{module.at(node)}: allow_pickle"
        if function in {"yaml.load", "yaml.load_all"}:
            given = [*node.args[1:], *(k.value for k in node.keywords if k.arg == "Loader")]
            if not any(dotted(loader).split(".")[-1] in safe for loader in given):
                yield f"{module.at(node)}: {function}() with a loader that runs code"


def unlocked(module: Module) -> Iterator[str]:
    locked = {
        inner
        for node in module.nodes
        if isinstance(node, ast.With)
        and "NETCDF_LOCK" in {dotted(item.context_expr) for item in node.items}
        for inner in ast.walk(node)
    }
    for node, function in module.calls:
        is_netcdf = function.split(".")[-1] in NETCDF_METHODS and "." in function
        is_zarr = any(getattr(each.value, "value", "") == "zarr" for each in node.keywords)
        if is_netcdf and not is_zarr and node not in locked and module.name not in NETCDF_ALONE:
            yield f"{module.at(node)}: {function}() without NETCDF_LOCK"


# --- conduct and size


def prints(module: Module) -> Iterator[str]:
    if module.unit != "cli":
        for node, function in module.calls:
            if function in {"print", "sys.stdout.write", "sys.stderr.write"}:
                yield f"{module.at(node)}: {function}()"


def asserts(module: Module) -> Iterator[str]:
    for node in module.nodes:
        if isinstance(node, ast.Assert):
            yield f"{module.at(node)}: assert"


def too_long(module: Module) -> Iterator[str]:
    """Modules and functions that are too long without their docstrings."""
    nodes = [node for node in module.nodes if isinstance(node, Documented)]
    lines = len(module.source.splitlines()) - sum(map(docstring_lines, nodes))
    if lines > MODULE_LINES:
        yield f"{module.at(module.tree)}: {lines} lines, at most {MODULE_LINES}"
    for node in nodes:
        if not isinstance(node, Function):
            continue
        lines = (node.end_lineno or node.lineno) - node.lineno + 1 - docstring_lines(node)
        if lines > FUNCTION_LINES:
            yield f"{module.at(node)}: {node.name} has {lines} lines, at most {FUNCTION_LINES}"


def docstring_lines(node: ast.Module | ast.ClassDef | Function) -> int:
    if ast.get_docstring(node) is None:
        return 0
    docstring = node.body[0]
    return (docstring.end_lineno or docstring.lineno) - docstring.lineno + 1


def riddling(module: Module) -> Iterator[str]:
    for node in module.nodes:
        text = ast.get_docstring(node) if isinstance(node, Documented) else None
        opening = text.split()[0].strip(",:") if text else ""
        if opening in BANNED_OPENINGS:
            yield f"{module.at(node)}: a docstring that opens with {opening!r}"


def nameless(module: Module) -> Iterator[str]:
    if module.path.stem in BANNED_STEMS or module.path.parent.name in BANNED_STEMS:
        yield f"{module.at(module.tree)}: a name that says nothing"


def test_the_readme_says_of_each_folder_what_its_docstring_says():
    described = {
        module.name.replace(".", "/"): ast.get_docstring(module.tree).split("\n\n")[0]
        for module in MODULES
        if module.path.name == "__init__.py" and module.name
    }
    readme = (SOURCE.parent / "README.md").read_text(encoding="utf-8")
    section = readme.partition("## Folders of the package\n")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    assert rows == [
        f"| `{name}` | {' '.join(described[name].split())} |" for name in sorted(described)
    ]


@pytest.mark.parametrize(
    "rule",
    [
        *(against_the_order, asserts, beyond_numpy, global_randomness, heavy_at_import, nameless),
        *(prints, riddling, too_long, unlocked, unsafe),
    ],
)
def test_every_module_keeps_the_rule(rule):
    found = [line for module in MODULES for line in rule(module)]
    assert not found, "\n" + "\n".join(found)


# --- each rule catches what it is for


@pytest.mark.parametrize(
    ("rule", "name", "source"),
    [
        (against_the_order, "errors", "from mmm_xgen.config import ChannelConfig"),
        (against_the_order, "kernels.adstock", "from ..generate import generate_mmm_dataset"),
        (against_the_order, "generate", "def f():\n    from mmm_xgen import truth"),
        (
            against_the_order,
            "errors",
            "from typing import TYPE_CHECKING\n"
            "if TYPE_CHECKING:\n    from mmm_xgen.config import ChannelConfig",
        ),
        (beyond_numpy, "kernels.adstock", "import xarray as xr"),
        (beyond_numpy, "kernels.adstock", "def f():\n    from scipy import stats"),
        (heavy_at_import, "generate", "import scipy.stats"),
        (heavy_at_import, "plots.overview", "import seaborn as sns"),
        (heavy_at_import, "recovery.fit", "from matplotlib.figure import Figure"),
        (global_randomness, "generate", "import numpy as np\nnp.random.seed(1)"),
        (global_randomness, "generate", "import numpy as np\nnp.random.default_rng(1)"),
        (global_randomness, "generate", "from numpy.random import normal"),
        (global_randomness, "generate", "from numpy import random"),
        (unsafe, "export.files", "import pickle"),
        (unsafe, "export.files", "def f(frame):\n    frame.to_pickle('a')"),
        (unsafe, "export.files", "import numpy as np\nnp.load('a', allow_pickle=True)"),
        (unsafe, "config.files", "import yaml\nyaml.load(text, Loader=yaml.Loader)"),
        (unsafe, "config.files", "import yaml\nyaml.load(text)"),
        (unsafe, "config.files", "eval('1')"),
        (unlocked, "export.files", "xr.open_dataset(path)"),
        (unlocked, "export.files", "with LOCK:\n    found.sum().to_netcdf(path)"),
        (prints, "generate", "print(1)"),
        (asserts, "generate", "assert True"),
        (too_long, "generate", "\n" * (MODULE_LINES + 1)),
        (too_long, "generate", "def f():\n" + "    x = 1\n" * FUNCTION_LINES),
        (riddling, "generate", '"""What every dataset has."""'),
        (riddling, "generate", 'def f():\n    """Whether it is so."""'),
        (riddling, "generate", 'class Part:\n    """Of the parts, one."""'),
        (nameless, "utils", ""),
        (nameless, "helpers.dates", ""),
    ],
)
def test_rule_catches(rule, name, source):
    assert list(rule(module_of(source, name)))


@pytest.mark.parametrize(
    ("rule", "name", "source"),
    [
        (against_the_order, "generate", "from mmm_xgen.kernels import adstock"),
        (beyond_numpy, "kernels.adstock", "from numpy.typing import NDArray\nimport math"),
        (heavy_at_import, "plots.overview", "from matplotlib.figure import Figure"),
        (heavy_at_import, "recovery.plots.fits", "from matplotlib.figure import Figure"),
        (heavy_at_import, "truth.optimum", "def f():\n    from scipy import optimize"),
        (global_randomness, "streams", "import numpy as np\nnp.random.default_rng(1)"),
        (unsafe, "config.files", "import yaml\nyaml.safe_load(text)"),
        (
            unsafe,
            "config.files",
            "import yaml\n"
            "class UniqueKeys(yaml.SafeLoader):\n    pass\n"
            "yaml.load(text, Loader=UniqueKeys)",
        ),
        (unsafe, "config.files", "import re\nre.compile('a')"),
        (unlocked, "export.files", "with writing(p) as to, NETCDF_LOCK:\n    ds.to_netcdf(to)"),
        (unlocked, "export.files", "xr.open_dataset(path, engine='zarr')"),
        (prints, "cli", "print(1)"),
        (riddling, "generate", '"""Whatever."""\nx = """What is not a docstring."""'),
        (
            too_long,
            "generate",
            'def f():\n    """' + "Words.\n" * FUNCTION_LINES + '"""\n    return 1\n',
        ),
    ],
)
def test_rule_lets_pass(rule, name, source):
    assert not list(rule(module_of(source, name)))
