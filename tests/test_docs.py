"""The documentation: every snippet runs and prints what the page says it prints."""

import contextlib
import io
import re
import shlex
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import mmm_xgen
from mmm_xgen import plots
from mmm_xgen.kernels.adstock import ADSTOCKS
from mmm_xgen.kernels.baseline import EVENT_SHAPES, TRENDS
from mmm_xgen.kernels.budget_rules import BUDGET_RULES
from mmm_xgen.kernels.effect_paths import EFFECT_PATHS
from mmm_xgen.kernels.noise import NOISES
from mmm_xgen.kernels.patterns import PATTERNS
from mmm_xgen.kernels.responses import RESPONSES
from mmm_xgen.kernels.saturation import SATURATIONS
from mmm_xgen.recovery import METRICS, MODELS

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
FENCE = re.compile(
    r"^(?P<mark><!-- (?P<word>not run|file|fails): (?P<what>.*?) -->\n+)?"
    r"^```(?P<language>\w+)\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
# What may stand between a snippet and what it prints.
BETWEEN = re.compile(r"\s*(prints|says)?\s*")
REGISTRIES = (
    *(ADSTOCKS, BUDGET_RULES, EFFECT_PATHS, EVENT_SHAPES, METRICS, MODELS, NOISES, PATTERNS),
    *(RESPONSES, SATURATIONS, TRENDS),
)


@dataclass(frozen=True)
class Snippet:
    """One fenced block, with the mark above it and the line that it begins on."""

    language: str
    code: str
    word: str
    what: str
    line: int
    start: int
    end: int


def pages() -> list[Path]:
    found = [path for path in DOCS.rglob("*.md") if {"_build", "generated"}.isdisjoint(path.parts)]
    return sorted(found)


def name_of(page: Path) -> str:
    return page.relative_to(DOCS).with_suffix("").as_posix()


def snippets(text: str) -> list[Snippet]:
    return [
        Snippet(
            **{name: found[name] or "" for name in ("language", "code", "word", "what")},
            line=text[: found.start("code")].count("\n"),
            start=found.start(),
            end=found.end(),
        )
        for found in FENCE.finditer(text)
    ]


def with_outputs(text: str) -> Iterator[tuple[Snippet, Snippet | None]]:
    """Every snippet that is not an output, with the one that shows its output, if there is one."""
    found = snippets(text)
    for position, snippet in enumerate(found):
        if snippet.language == "text":
            continue
        following = found[position + 1] if position + 1 < len(found) else None
        is_output = (
            following is not None
            and following.language == "text"
            and not following.word
            and BETWEEN.fullmatch(text[snippet.end : following.start])
        )
        yield snippet, following if is_output else None


def stripped(text: str) -> str:
    """Text without spaces at the ends of lines, which an editor may take away."""
    return "\n".join(line.rstrip() for line in text.strip("\n").splitlines())


def run_python(snippet: Snippet, page: Path, names: dict[str, object]) -> str:
    # Errors point at the line of the page.
    code = compile("\n" * snippet.line + snippet.code, str(page), "exec")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code, names)
    return printed.getvalue()


def run_command(line: str) -> str:
    """Run one line of a shell, if it is of this program; others are for the reader only."""
    from typer.testing import CliRunner

    from mmm_xgen.cli.app import app

    words = shlex.split(line, comments=True)
    if not words or words[0] != "mmm-xgen":
        return ""
    target = words.pop() if ">" in words[-2:-1] else None
    if target:
        words.pop()
    done = CliRunner().invoke(app, words[1:], prog_name="mmm-xgen")
    assert done.exit_code == 0, f"{line}\n{done.output}\n{done.exception!r}"
    if target:
        Path(target).write_text(done.stdout, encoding="utf-8")
    return "" if target else done.stdout


def run_page(text: str, page: Path) -> Iterator[tuple[Snippet, Snippet | None, str]]:
    """Run a page in the current folder; give every snippet, its shown and its real output."""
    names: dict[str, object] = {"__name__": "page"}
    for snippet, output in with_outputs(text):
        printed = ""
        if snippet.word == "not run":
            pass
        elif snippet.word == "file":
            Path(snippet.what).write_text(snippet.code, encoding="utf-8")
        elif snippet.word == "fails":
            with pytest.raises(mmm_xgen.XgenError) as caught:
                run_python(snippet, page, names)
            printed = f"{type(caught.value).__name__}: {caught.value}"
        elif snippet.language == "python":
            printed = run_python(snippet, page, names)
        elif snippet.language == "bash":
            printed = "".join(map(run_command, snippet.code.splitlines()))
        yield snippet, output, printed


@pytest.fixture
def unchanged_registries() -> Iterator[None]:
    """Take out what a page registers."""
    kept = [dict(registry) for registry in REGISTRIES]
    yield
    for registry, entries in zip(REGISTRIES, kept, strict=True):
        for name in set(registry) - set(entries):
            registry.remove(name)


# Pages whose examples take longer than the rest together.
SLOW = ("guides/ensembles", "guides/report", "guides/study")


def marked(page):
    return pytest.param(page, marks=pytest.mark.slow) if name_of(page) in SLOW else page


@pytest.mark.usefixtures("unchanged_registries")
@pytest.mark.parametrize("page", [marked(page) for page in pages()], ids=name_of)
def test_snippets_run_and_print_what_the_page_says(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    text = page.read_text(encoding="utf-8")
    with warnings.catch_warnings():
        # Warnings of the library's own are for the reader.
        warnings.simplefilter("ignore", mmm_xgen.XgenWarning)
        for snippet, output, printed in run_page(text, page):
            if output is not None and snippet.word != "not run":
                assert stripped(printed) == stripped(output.code), f"{page}:{snippet.line}"


def test_there_are_snippets_and_what_is_not_run_says_why():
    assert len(pages()) > 25
    found = [s for page in pages() for s in snippets(page.read_text(encoding="utf-8"))]
    assert sum(s.language == "python" and s.word != "not run" for s in found) > 50
    assert [s for s in found if s.word == "not run" and len(s.what) <= 5] == []


# --- the generated pages


@pytest.fixture
def builders(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the modules that generate pages importable, as they are for Sphinx."""
    monkeypatch.syspath_prepend(str(DOCS))
    yield
    for name in ("files", "gallery", "reference", "tutorials"):
        sys.modules.pop(name, None)


@pytest.mark.usefixtures("builders")
def test_the_gallery_shows_every_plot():
    import gallery

    shown = {picture.name for picture in gallery.available()}
    assert shown == {name for name in plots.__all__ if name.startswith("plot_")}


@pytest.mark.usefixtures("builders")
def test_the_reference_has_every_public_name_every_variable_and_every_command(tmp_path: Path):
    import reference

    reference.write_pages(tmp_path)
    api = "\n".join(path.read_text() for path in (tmp_path / "api").iterdir())
    for name in mmm_xgen.__all__:
        assert name.startswith("__") or re.search(rf"\b{name}\b", api), name
    schema = (tmp_path / "schema.md").read_text()
    for name in mmm_xgen.schema.VARIABLES:
        assert f"`{name}`" in schema
    configuration = (tmp_path / "configuration.md").read_text()
    causes = (BUDGET_RULES, EFFECT_PATHS, RESPONSES)
    for registry in (ADSTOCKS, PATTERNS, SATURATIONS, NOISES, TRENDS, EVENT_SHAPES, *causes):
        for name in registry:
            assert f"`{name}`" in configuration
    # Every key has its meaning.
    assert not re.search(r"^\| `\w+` \|[^|]*\|  \|$", configuration, re.MULTILINE)
    commands = (tmp_path / "command_line.md").read_text()
    for name in ("generate", "truth", "whatif", "optimize", "benchmark"):
        assert f"## {name}\n" in commands


@pytest.mark.usefixtures("builders")
def test_notebooks_become_tutorials_and_vanish_with_their_source(tmp_path: Path):
    import tutorials

    source, target = tmp_path / "notebooks", tmp_path / "tutorials"
    source.mkdir()
    tutorials.collect(source, target)
    assert "none yet" in target.with_suffix(".md").read_text()
    (source / "01_start.ipynb").write_text("{}")
    tutorials.collect(source, target)
    assert (target / "01_start.ipynb").is_file()
    assert "tutorials/01_start" in target.with_suffix(".md").read_text()
    (source / "01_start.ipynb").unlink()
    tutorials.collect(source, target)
    assert not list(target.iterdir())


def test_the_options_of_the_old_benchmark_are_as_the_migration_page_says():
    from typer.main import get_command

    from mmm_xgen.cli.app import app

    command = get_command(app).commands["benchmark"]
    options = {name: each for each in command.params for name in (*each.opts, *each.secondary_opts)}
    page = (DOCS / "migration.md").read_text()
    table = page.partition("## Options of the benchmark")[2].partition("\n## ")[0]
    rows = [line.split("|")[1:3] for line in table.splitlines() if line.startswith("| `--")]
    assert len(rows) == 7
    for old, new in rows:
        for name in re.findall(r"--[a-z-]+", old + new):
            assert (name in options) != ("not there" in new), name
    same = [options[name].default for name in re.findall(r"--[a-z-]+", rows[0][0])]
    assert ", ".join(map(str, same)) in rows[0][1]
    assert options["--datasets"].required
    assert options["--seed"].help == "First seed of the data."


# --- the tests themselves


def test_an_output_belongs_to_the_snippet_before_it():
    text = "```python\nprint(1)\n```\n\nprints\n\n```text\n1\n```\n\nAnd:\n\n```text\n2\n```\n"
    (found,) = with_outputs(text)
    assert found[1] is not None
    assert found[1].code == "1\n"


def test_a_mark_belongs_to_the_block_below_it():
    text = "<!-- not run: takes long -->\n```python\nf()\n```\n\n```python\ng()\n```\n"
    assert [s.word for s in snippets(text)] == ["not run", ""]
