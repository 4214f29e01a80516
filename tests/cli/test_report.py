"""The command `report`: what it writes and says, and one line for everything that is wrong."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import mmm_xgen as m
from tests.cli import commands
from tests.report import blank

ROOT = Path(__file__).parents[2]
SMALL = """
n_periods: 20
channels:
- name: x-TV
  roas: 1.5
- name: Radio
"""


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch):
    blank.no_pictures(monkeypatch)


def ran(*arguments):
    return commands.ran("report", *arguments)


def refused(*arguments):
    return commands.refused("report", *arguments)


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sources")
    (folder / "small.yaml").write_text(SMALL)
    ds = m.generate_mmm_dataset(m.MMMDataConfig.from_yaml(SMALL))
    m.to_netcdf(ds, folder / "small.nc")
    m.write_csv(ds, folder / "small.csv")
    m.write_parquet(ds, folder / "small.parquet")
    return folder


@pytest.fixture
def folder(sources, tmp_path, monkeypatch):
    shutil.copytree(sources, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def heading(path):
    return re.search("<h1>(.*?)</h1>", Path(path).read_text())[1]


def test_sources(folder):
    pages = {}
    for source in ("small.nc", "small.csv", "small.parquet", "small.yaml"):
        assert ran(source, "--out", f"{source}.html").stdout == f"wrote {source}.html\n"
        assert heading(f"{source}.html") == "small"
        pages[source] = Path(f"{source}.html").read_text()
        has_truth = source in ("small.nc", "small.yaml")
        assert ("The truth in tables" in pages[source]) == has_truth
    assert pages["small.nc"] == pages["small.yaml"]
    assert len(list(folder.iterdir())) == 8


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
    assert refusal.startswith("--sections: found 'figures'; ")
    assert "'recommendations', 'recoverability', 'sales', 'summary'" in refusal


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (lambda frame: frame.drop(columns="date"), "missing-variable"),
        (lambda frame: frame.assign(y="<b>x</b>"), "non-numeric"),
    ],
)
def test_broken_data_get_a_report(folder, change, finding):
    change(m.to_frame(m.load("small.nc"))).to_csv("broken.csv", index=False)
    assert ran("broken.csv").stdout == "wrote report.html\n"
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
    Path("data.html").symlink_to("small.nc")
    assert "would overwrite 'small.nc'" in refused("small.nc", "--out", "data.html")


def test_what_is_not_for_a_source(folder):
    assert "--seed" in refused("small.csv", "--seed", 1)
    Path("plan.yaml").write_text("n_periods: 20\nspend_plan: {date_column: day}\n")
    assert "spend_plan" in refused("plan.yaml")


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
