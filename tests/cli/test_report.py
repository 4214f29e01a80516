"""The command `report`: what it writes and says, and one line for everything that is wrong."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from typer.testing import CliRunner

import mmm_xgen as m
from mmm_xgen.cli import app
from mmm_xgen.report import pictures

ROOT = Path(__file__).parents[2]
SMALL = """
n_periods: 20
channels:
- name: x-TV
  roas: 1.5
- name: Radio
"""


def run(*arguments):
    return CliRunner().invoke(app, ["report", *(str(argument) for argument in arguments)])


def ran(*arguments):
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result


def refused(*arguments):
    """The message of a command that has to be refused: one line, exit status 2, no traceback."""
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit)
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("mmm-xgen: error: ")
    return result.stderr


def blank(ds, drawing, page):
    """A picture of nothing, in place of one that takes a third of a second to draw."""
    if page > 1:
        raise m.ConfigError("found 2, allowed: 1 to 1", path="page")
    return Figure()


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch):
    monkeypatch.setattr(pictures, "_figure", blank)
    monkeypatch.setattr(pictures, "data_uri", lambda figure: ("data:image/png;base64,AA==", 1, 1))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(SMALL)
    ds = m.generate_mmm_dataset(m.MMMDataConfig.from_yaml(SMALL))
    m.to_netcdf(ds, "small.nc")
    m.write_csv(ds, "small.csv")
    m.write_parquet(ds, "small.parquet")
    return tmp_path


def heading(path):
    return re.search("<h1>(.*?)</h1>", Path(path).read_text())[1]


@pytest.mark.parametrize("source", ["small.nc", "small.csv", "small.parquet", "small.yaml"])
def test_sources(folder, source):
    result = ran(source)
    assert result.stdout == "wrote report.html\n"
    assert heading("report.html") == "small"
    text = Path("report.html").read_text()
    assert ("The truth in tables" in text) == (source in ("small.nc", "small.yaml"))
    assert sorted(path.suffix for path in folder.iterdir()) == [
        ".csv", ".html", ".nc", ".parquet", ".yaml"
    ]  # fmt: skip


def test_preset_with_seed_title_and_out(folder):
    Path("sub").mkdir()
    result = ran("basic", "--seed", 3, "--title", "A <b>title</b>", "--out", "sub/a.html")
    assert result.stdout == f"wrote {Path('sub/a.html')}\n"
    assert heading("sub/a.html") == "A &lt;b&gt;title&lt;/b&gt;"
    assert "seed=3" in Path("sub/a.html").read_text()
    assert ran("basic", "--seed", 3, "-q").stdout == ""


def test_sections_and_captions(folder):
    ran("small.nc", "--sections", "summary, sales", "--sections", "truth", "--no-captions")
    text = Path("report.html").read_text()
    assert re.findall('<section id="(.*?)">', text) == ["summary", "sales", "truth"]
    assert "plot_" not in text
    refusal = refused("nowhere.nc", "--sections", "summary,figures")
    assert refusal.startswith("mmm-xgen: error: --sections: found 'figures'; ")
    assert "'recommendations', 'recoverability', 'sales', 'summary'" in refusal


def test_generated_and_saved_are_the_same(folder):
    ran("small.nc", "--out", "a.html")
    ran("small.yaml", "--out", "b.html")
    assert Path("a.html").read_bytes() == Path("b.html").read_bytes()


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (lambda frame: frame.drop(columns="date"), "missing-variable"),
        (lambda frame: frame.drop(columns="y"), "missing-variable"),
        (lambda frame: frame.assign(y=np.nan), "missing-values"),
        (lambda frame: frame.assign(y=-frame.y), "negative-values"),
        (lambda frame: frame.assign(y="<b>x</b>"), "non-numeric"),
        (lambda frame: frame[:0], "no-rows"),
    ],
)
def test_broken_data_get_a_report(folder, change, finding):
    change(m.to_frame(m.load("small.nc"))).to_csv("broken.csv", index=False)
    ran("broken.csv")
    text = Path("report.html").read_text()
    assert f"<td>{finding}</td>" in text
    assert "<b>" not in text


def test_what_cannot_be_read(folder):
    assert "nowhere.nc: no such file" in refused("nowhere.nc")
    assert "nowhere.csv: no such file" in refused("nowhere.csv")
    assert "no preset named 'nowhere'" in refused("nowhere")
    assert "no such file" in refused("nowhere.yaml")
    Path("text.nc").write_text("no NetCDF")
    Path("bytes.csv").write_bytes(b"\xff\xfe\x00,\n\x80")
    Path("empty.csv").write_text("")
    Path("bad.parquet").write_text("no Parquet")
    Path("data.xlsx").write_text("no table")
    for name in ("text.nc", "bytes.csv", "empty.csv", "bad.parquet"):
        assert f"{name}: " in refused(name)
    assert "data.xlsx" in refused("data.xlsx")
    assert not Path("report.html").exists()


def test_where_it_cannot_be_written(folder):
    assert "there is no folder 'no'" in refused("small.nc", "--out", "no/report.html")
    Path("x.html").mkdir()
    assert "this is a folder" in refused("small.nc", "--out", "x.html")
    assert "allowed: .html" in refused("small.nc", "--out", "report.pdf")
    assert "allowed: .html" in refused("small.nc", "--out", "small.nc")


def test_a_seed_is_for_what_is_generated(folder):
    assert "--seed" in refused("small.csv", "--seed", 1)


def test_configuration_for_a_media_plan(folder):
    Path("plan.yaml").write_text("n_periods: 20\nspend_plan: {date_column: day}\n")
    assert "media plan" in refused("plan.yaml") or "spend_plan" in refused("plan.yaml")


def test_out_is_never_the_source(folder):
    Path("data.html").symlink_to("small.nc")
    assert "would overwrite 'small.nc'" in refused("small.nc", "--out", "data.html")


def test_help_lists_it():
    result = CliRunner().invoke(app, ["--help"])
    assert "report" in result.stdout


@pytest.mark.slow
def test_as_a_program(folder):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "mmm_xgen", "report", "small.csv"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=folder,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "wrote report.html\n", "")
