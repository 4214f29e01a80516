"""What a user gets beside the code: the image, the workflow, the citation, the wheel's contents."""

import fnmatch
import json
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PYTHONS = [
    found[1]
    for line in PROJECT["classifiers"]
    if (found := re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", line))
]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


# --- the image


def instructions(text: str) -> list[tuple[str, str]]:
    """Instructions of a Dockerfile with their arguments, continued lines joined."""
    text = re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in lines if line.strip()]


DOCKERFILE = instructions((ROOT / "Dockerfile").read_text())


def arguments(name: str) -> list[str]:
    return [rest for word, rest in DOCKERFILE if word == name]


def sources() -> list[str]:
    """What the image copies out of the checkout."""
    words = [shlex.split(rest) for rest in arguments("COPY")]
    return [path for line in words if not line[0].startswith("--from") for path in line[:-1]]


def is_sent(path: str) -> bool:
    """Whether a file at the top is sent to the build: the last rule that fits decides."""
    sent = True
    for rule in (ROOT / ".dockerignore").read_text().splitlines():
        if rule and not rule.startswith("#") and fnmatch.fnmatch(path, rule.removeprefix("!")):
            sent = rule.startswith("!")
    return sent


def test_the_image_copies_what_is_there_is_sent_and_is_read_by_a_build_of_the_wheel():
    for path in sources():
        assert (ROOT / path).exists(), path
        assert is_sent(path), path
    assert not is_sent("tests") and not is_sent(".git")
    needed = {"pyproject.toml", PROJECT["readme"], *PROJECT["license-files"], "mmm_xgen"}
    assert needed <= set(sources())


def test_the_image_is_slim_and_of_a_python_that_is_supported():
    for rest in arguments("FROM"):
        found = re.match(r"python:(3\.\d+)-slim\b", rest)
        assert found, rest
        assert found[1] in PYTHONS


def test_the_image_runs_the_command_as_a_plain_user_in_a_folder_of_its_own():
    names = [word for word, _ in DOCKERFILE]
    assert json.loads(arguments("ENTRYPOINT")[-1])[0] in PROJECT["scripts"]
    (user,) = arguments("USER")
    assert user not in {"root", "0"}
    assert any(f"useradd --create-home --uid 1000 {user}" in rest for rest in arguments("RUN"))
    # The user is last to be set, so that no step after it needs rights; the folder is theirs.
    assert "RUN" not in names[names.index("USER") :]
    folder = arguments("WORKDIR")[-1]
    assert any(f"chown {user}:{user} {folder}" in rest for rest in arguments("RUN"))


# --- the workflow


def workflow(path: Path) -> dict[str, Any]:
    content = yaml.safe_load(path.read_text())
    assert isinstance(content, dict)
    return content


def steps(path: Path) -> list[dict[str, Any]]:
    return [step for job in workflow(path)["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_calls_targets_that_there_are_may_only_read_and_ends_in_time(path: Path):
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    called = [step["run"].split()[1] for step in steps(path) if step.get("run", "")[:5] == "make "]
    assert called
    assert set(called) <= set(targets)
    content = workflow(path)
    assert content["permissions"] == {"contents": "read"}
    assert all(job["timeout-minutes"] <= 60 for job in content["jobs"].values())
    assert all("@v" in step["uses"] for step in steps(path) if "uses" in step)


def test_the_workflow_tests_every_python_that_the_package_names():
    (matrix,) = [
        job["strategy"]["matrix"]["python"]
        for path in WORKFLOWS
        for job in workflow(path)["jobs"].values()
        if "strategy" in job
    ]
    assert matrix == PYTHONS
    assert PROJECT["requires-python"] == f">={PYTHONS[0]}"


def test_a_commit_is_held_to_what_make_lint_asks_for():
    content = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    assert [hook["entry"] for repo in content["repos"] for hook in repo["hooks"]] == ["make lint"]


# --- the targets


def recipe(target: str) -> str:
    makefile = (ROOT / "Makefile").read_text()
    found = re.search(rf"^{target}:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    assert found, target
    return found[1]


def test_the_documentation_is_built_with_warnings_as_errors():
    assert {"--fail-on-warning", "--nitpicky"} <= set(recipe("docs").split())


def test_the_wheel_is_tried_away_from_the_checkout():
    text = recipe("wheel")
    assert "pip wheel" in text
    assert "--editable" not in text
    assert text.index("pip install") < text.index("mmm-xgen generate")


def test_every_target_of_the_first_page_has_its_line_of_help():
    text = (ROOT / "Makefile").read_text()
    for target in ("demo", "docs", "lint", "test", "wheel"):
        assert re.search(rf"^{target}:.*## \w", text, re.MULTILINE), target


# --- the citation


def test_the_citation_is_of_this_version_and_licence():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["cff-version"] == "1.2.0"
    assert str(citation["version"]) == PROJECT["version"]
    assert citation["license"] == PROJECT["license"]
    assert [author["name"] for author in citation["authors"]] == [
        author["name"] for author in PROJECT["authors"]
    ]
    # The schema of the format takes no other keys, and no empty ones.
    known = {
        "abstract", "authors", "cff-version", "commit", "contact", "date-released", "doi",
        "identifiers", "keywords", "license", "message", "preferred-citation", "references",
        "repository", "repository-artifact", "repository-code", "title", "type", "url", "version",
    }  # fmt: skip
    assert set(citation) <= known
    assert all(citation.values())


# --- the package


def test_every_file_of_the_package_is_of_a_kind_that_the_wheel_takes():
    # Hatchling takes all that git does not ignore; what is neither code nor named here would be
    # an accident. `test_packaging.py` opens a wheel.
    package = ROOT / "mmm_xgen"
    kinds = {
        path.suffix
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert kinds <= {".py", ".pyi", ".yaml", ".typed", ".j2"}
    assert {".py", ".yaml", ".typed"} <= kinds


def test_the_source_distribution_has_what_its_tests_read():
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    included = build["targets"]["sdist"]["include"]
    for path in ("docs", "Dockerfile", ".dockerignore", ".github", "CITATION.cff", "Makefile"):
        assert f"/{path}" in included
        assert (ROOT / path).exists()
