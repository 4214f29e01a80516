"""The report: what is in it, that it is the same each time, and that a browser shows it whole."""

from __future__ import annotations

import html
import re
import time
import warnings
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.figure import Figure

import mmm_xgen as m
from mmm_xgen.aggregate import aggregate
from mmm_xgen.errors import SchemaError, XgenError
from mmm_xgen.frames.observed import from_frame
from mmm_xgen.report import figures, images, pictures, write_report
from mmm_xgen.report.page import SECTIONS, render
from mmm_xgen.truth import simulate
from tests.browser import CHROMIUM, browser
from tests.report import blank
from tests.strategies import config_with, generate, steady

pytestmark = pytest.mark.filterwarnings("ignore::mmm_xgen.XgenWarning")

HOSTILE = "<script>alert('1')</script> & \"US$\" ünï 電視"
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium on the path")


class Page(HTMLParser):
    """What a browser would find: sections, headings, tables, pictures, code."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.sections: list[str] = []
        self.images: list[dict[str, str]] = []
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.tables: list[list[list[str]]] = []
        self.code: list[str] = []
        self.headings: list[str] = []
        self._into: list[str] | None = None
        self._code = self._heading = False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = {name: value or "" for name, value in attrs}
        self.tags.add(tag)
        if tag == "section":
            self.sections.append(found["id"])
        elif tag == "img":
            self.images.append(found)
        elif tag == "a":
            self.links.append(found["href"])
        elif tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
            self._into = self.tables[-1][-1]
        elif tag == "pre":
            self.code.append("")
            self._into = self.code
        elif tag in ("h1", "h2", "h3", "summary"):
            self.headings.append("")
            self._into = self.headings

    def handle_endtag(self, tag):
        if tag in ("td", "th", "pre", "h1", "h2", "h3", "summary"):
            self._into = None

    def handle_data(self, data):
        if self._into is not None:
            self._into[-1] += data

    def table(self, *heads):
        """Rows of the table whose heads begin with these."""
        found = [rows for rows in self.tables if rows[0][: len(heads)] == list(heads)]
        assert len(found) == 1, [rows[0] for rows in self.tables]
        return found[0][1:]


@pytest.fixture
def no_pixels(monkeypatch):
    blank.no_pixels(monkeypatch)


@pytest.fixture
def no_pictures(monkeypatch):
    blank.no_pictures(monkeypatch)


@pytest.fixture(scope="module")
def ds():
    return m.generate_mmm_dataset(m.get_preset_config("basic", seed=5))


@pytest.fixture(scope="module")
def text(ds):
    with pytest.MonkeyPatch.context() as patched, warnings.catch_warnings():
        warnings.simplefilter("error")
        patched.setattr(images, "DPI", 30)
        return render(ds, title=HOSTILE)


@pytest.fixture(scope="module")
def page(text):
    return Page(text)


# What is in it --------------------------------------------------------------------------------


def test_sections_and_contents(page):
    sections = "summary configuration sales media correlation truth quality recoverability code"
    assert page.sections == ["recommendations", *sections.split()]
    assert page.links == [f"#{name}" for name in page.sections]


def test_nothing_is_loaded_and_nothing_runs(text, page):
    assert not page.tags & {"script", "iframe", "object", "video"}
    assert all(image["src"].startswith("data:image/png;base64,") for image in page.images)
    assert "Content-Security-Policy" in text
    beyond = re.sub(r"data:image/png;base64,[^\"]*", "", text)
    assert not re.search(r"https?:|//[a-z]|url\(|@import", beyond)


def test_every_picture_says_what_it_shows(page):
    assert len(page.images) >= 12
    assert len({image["alt"] for image in page.images}) == len(page.images)
    assert all(len(image["alt"]) > 20 and "\\" not in image["alt"] for image in page.images)


def test_returns_are_the_truth(ds, page):
    truth = m.truth.estimands(ds, by="channel")
    rows = {row[0]: row for row in page.table("channel", "spendUSD", "contributionsales")}
    assert set(rows) == {*ds.channel.values.tolist(), "all"}
    for name in ds.channel.values:
        one = truth.sel(channel=name)
        assert rows[name][1] == f"{float(one.spend):,.0f}"
        assert rows[name][3] == f"{float(one.roas):#.3g}"
        assert rows[name][4] == f"{float(one.mroas):#.3g}"
        assert rows[name][6] == f"{float(one.attribution):.1%}"
    everything = float(truth.revenue.sum() / truth.spend.sum())
    assert rows["all"][3] == f"{everything:#.3g}"
    assert rows["all"][7] == "100.0%"


def test_parts_sum_to_sales(ds, page):
    rows = {row[0]: float(row[1].replace(",", "")) for row in page.table("part")}
    assert rows["sales"] == pytest.approx(float(ds.y.sum()), abs=1)
    names = ("media", "controls", "base", "trend", "seasons", "events")
    assert sum(rows[name] for name in names) == pytest.approx(rows["expected sales"], abs=4)


def test_parameters_and_grades(ds, page):
    rows = {row[0]: row for row in page.table("channel", "column", "adstock", "saturation")}
    tv = ds.sel(channel="TV", geo="geo_a")
    assert rows["TV"][1] == "x1-TV"
    assert f"alpha {float(tv.adstock_alpha):.3g}" in rows["TV"][2]
    assert f"slope {float(tv.saturation_slope):.3g}" in rows["TV"][3]
    rows = {row[0]: row for row in page.table("channel", "grade")}
    found = m.truth.recoverability(ds)
    for name in ds.channel.values:
        one = found.sel(channel=name)
        assert (rows[name][1], rows[name][4]) == (str(one.grade.item()), str(one.reason.item()))


def test_a_placebo_has_no_error_to_tell():
    channels = steady("none", base_effectiveness=0.0), steady("Radio", spend_volatility=0.5)
    config = config_with(*channels, n_periods=30, regions={"sales_volatility": 0.05})
    made = m.generate_mmm_dataset(m.MMMDataConfig(**config))
    [table] = figures.recoverability_table(made, m.truth.recoverability(made))
    rows = {row[0]: row for row in table.rows}
    assert list(rows["none"][1:4]) == ["not identified", "-", "-"]
    assert "±" in rows["Radio"][2]
    assert "not identified: " in table.note


def test_configuration(ds, page):
    settings = dict(page.table("setting"))
    assert settings["seed"] == "5"
    assert settings["periods"] == "52"
    yaml = next(code for code in page.code if code.startswith("n_periods"))
    assert m.MMMDataConfig.from_yaml(yaml) == ds.mmm.config


SIMILAR = {"similarity": 0.6}
VARIED = {"baseline_variation": 0.3, "channel_param_variation": 0.4, "transform_variation": 0.25}


@pytest.mark.parametrize(
    ("regions", "baselines", "effects", "adstock", "saturation"),
    [
        (SIMILAR, "0.2", "0.283", "0.2", "0.2 to 0.283"),
        (SIMILAR | {"geo_response": "common"}, "0.2", "0.2", "0.2", "0.2"),
        (VARIED, "0.3", "0.5", "0.25", "0.25 to 0.5"),
        ({}, "0", "0", "0", "0"),
    ],
)
def test_spreads_over_geos_are_those_used(regions, baselines, effects, adstock, saturation):
    config = config_with(steady(), n_periods=20, regions={"n_regions": 3, **regions})
    made = m.generate_mmm_dataset(m.MMMDataConfig(**config))
    settings = dict(Page(render(made, sections="configuration")).table("setting"))
    found = {key: value for key, value in settings.items() if key.startswith("sd over geos")}
    assert list(found.values()) == [baselines, effects, adstock, saturation]
    assert settings.get("similarity of geos") == ("0.6" if "similarity" in regions else None)
    # Sums keep no parameters: the settings of their source say the same of the baselines.
    summed = Page(render(aggregate(made, freq="QS"), sections="configuration"))
    assert dict(summed.table("setting"))["sd over geos of baselines, log scale"] == baselines


def test_recommendations_follow_from_the_truth(ds):
    text = html.unescape(render(ds, sections="recommendations"))
    returns = m.truth.mroas(ds)
    low, high = (str(name.item()) for name in (returns.idxmin(), returns.idxmax()))
    assert f"Move spend from {low} to {high}: " in text
    assert f" makes {float(returns.min()):#.3g} USD of revenue in {low}" in text
    losing = returns.channel.values[returns.values < 1].tolist()
    assert ("Spend less on " in text) == bool(losing)
    grades = m.truth.recoverability(ds).grade
    for name in ds.channel.values:
        grade = str(grades.sel(channel=name).item())
        assert (f"{name} ({grade})" in text) == (grade not in ("good", "fair"))


def test_recommendations_for_data_of_ones_own(ds):
    frame = m.to_frame(ds)
    frame.loc[3, "y"] = np.nan
    text = html.unescape(render(frame, sections="recommendations"))
    assert text.index("Fill missing values") > text.index("<h3>Data</h3>")
    assert "Budget" not in text


def test_sections_are_chosen_before_anything_is_drawn(ds, monkeypatch):
    monkeypatch.setattr(pictures, "_figure", lambda *_: 1 / 0)
    page = Page(render(ds, sections=["code", "truth", "geos"]))
    assert page.sections == ["geos", "truth", "code"]
    assert "These data have nothing to show here." in render(ds, sections="geos")
    with pytest.raises(m.ConfigError, match=r"found 'thruth'; did you mean 'truth'\?") as caught:
        render(ds, sections=["sales", "thruth"])
    assert all(repr(name) in str(caught.value) for name in SECTIONS)
    with pytest.raises(m.ConfigError, match="sections: found none; allowed: 'code', "):
        render(ds, sections=())


def test_functions_that_draw_are_left_out_on_demand(no_pictures, monkeypatch, ds):
    monkeypatch.setattr(pictures, "MOST_CURVES", 0)
    sections = [name for name in SECTIONS if name != "code"]
    with_captions, without = (render(ds, sections=sections, captions=c) for c in (True, False))
    assert "Drawn by <code>plot_overview(ds)</code>" in with_captions
    assert "Draw with <code>plot_efficiency_frontier(ds)</code>" in with_captions
    assert "plot_" not in without and "Draw" not in without


def test_quality(no_pictures, ds):
    frame = m.to_frame(ds)
    frame.loc[20, "x1-TV"] *= 40
    report = m.check_data_quality(frame)
    page = Page(render(frame))
    rows = page.table("severity", "check")
    assert [row[1] for row in rows] == [f.code for f in (*report.errors, *report.warnings)]
    figures = {row[0]: row for row in page.table("variable", "role")}
    assert figures["x1-TV"][-1] == "1"


# The code that reproduces it ------------------------------------------------------------------


def run(code, **names):
    exec(compile(code, "report", "exec"), names)
    return names["ds"]


def python_of(page):
    return next(code for code in page.code if code.startswith("import mmm_xgen"))


def test_preset_is_named_and_reproduced(ds, page):
    code = python_of(page)
    assert "get_preset_config('basic', seed=5)" in code
    assert run(code).identical(ds)
    commands = page.code[-1]
    assert f"# In a checkout of mmm-xgen {m.__version__}\npip install .\n" in commands
    assert "mmm-xgen generate basic --seed 5" in commands


def test_other_configurations_are_written_out(no_pictures):
    names = ["TV", HOSTILE, 'a """ b', "back\\slash", "emoji 📺"]
    made = generate(config_with(*(steady(name, roas=0.1 + 0.2) for name in names), n_periods=20))
    assert run(python_of(Page(render(made)))).identical(made)


def test_what_was_given_comes_from_the_file(tmp_path, monkeypatch):
    config = m.get_preset_config("basic")
    spend = m.generate_mmm_dataset(config, seed=1).spend
    made = m.generate_mmm_dataset(config, spend=spend)
    monkeypatch.chdir(tmp_path)
    m.to_netcdf(made, "dataset.nc")
    text = render(made, sections=["configuration", "code"])
    assert run(python_of(Page(text))).identical(made)
    assert "Given and not drawn: spend" in text


def test_unregistered_parts_are_said(no_pictures):
    config = config_with(
        {"name": "TV", "pattern": lambda dates, rng: np.ones(len(dates)), "base_spend": 9.0}
    )
    text = render(generate(config))
    assert "register them first" in text


def test_counterfactual_and_aggregate(no_pictures, ds):
    other = simulate(ds, spend=ds.spend * 2)
    assert "No configuration makes it" in render(other)
    text = render(aggregate(m.generate_mmm_dataset(), freq="MS"))
    page = Page(text)
    assert "generate from it, and change the dataset again" in text
    assert dict(page.table("setting"))["periods"] == "104"
    assert "recoverability" not in page.sections
    assert [row[0] for row in page.table("channel", "spendUSD")][-1] == "all"


# Bytes ----------------------------------------------------------------------------------------


def test_same_data_same_bytes(no_pictures, tmp_path):
    made = generate(config_with(steady(), n_periods=30))
    path = write_report(made, tmp_path / "a.html")
    assert path == tmp_path / "a.html"
    assert path.read_bytes() == render(made).encode()
    assert [each.name for each in tmp_path.iterdir()] == ["a.html"]


def test_pictures_have_no_date_and_letters_that_the_font_lacks_are_no_warning():
    figure = Figure(figsize=(2, 1))
    figure.suptitle("電視")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert images.data_uri(figure) == images.data_uri(figure)


def test_old_file_is_kept_when_it_fails(ds, tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    path.write_text("old")
    with pytest.raises(XgenError, match="there is no folder"):
        write_report(ds, tmp_path / "no" / "report.html")
    with pytest.raises(XgenError, match="this is a folder"):
        write_report(ds, tmp_path)
    monkeypatch.setattr("mmm_xgen.report.page.render", lambda *a, **k: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_report(ds, path)
    assert path.read_text() == "old"


# Data of all kinds ----------------------------------------------------------------------------


def test_data_of_ones_own(no_pictures, ds):
    page = Page(render(m.to_frame(ds).assign(week=1, note="x"), title="Mine"))
    assert page.headings[0] == "Mine"
    assert page.sections[:4] == ["recommendations", "summary", "quality", "sales"]
    assert any("week" in row[2] for row in page.table("severity"))
    assert not {"truth", "recoverability", "configuration"} & set(page.sections)
    assert not any("ROAS" in head for rows in page.tables for head in rows[0])
    as_dataset = Page(render(from_frame(m.to_frame(ds)), title="Mine"))
    assert as_dataset.sections == page.sections
    assert as_dataset.images == page.images


def broken_frames(frame):
    yield "no date", frame.drop(columns="date")
    yield "no y", frame.drop(columns="y")
    yield "missing", frame.assign(y=frame.y.where(frame.index != 3))
    yield "negative", frame.assign(y=-frame.y)
    yield "text", frame.assign(y="many")
    yield "no rows", frame[:0]
    yield "no columns", pd.DataFrame()
    yield "duplicates", pd.concat([frame, frame])
    yield "same names", pd.concat([frame, frame[["y"]]], axis=1)
    yield "same channel", frame.rename(columns={"x2-Digital": "x9-TV"})
    yield "dates", frame.assign(date="soon")
    yield "leaked", frame.assign(**{HOSTILE: 1.0}).drop(columns="y")


def test_broken_frames_get_a_report_of_their_faults(ds):
    for name, frame in broken_frames(m.to_frame(ds)):
        text = render(frame)
        page = Page(text)
        assert page.sections == ["recommendations", "summary", "quality", "code"], name
        assert page.table("severity"), name
        assert "not ok" in text and "With these faults no pictures" in text, name
        assert "script" not in page.tags


@pytest.mark.parametrize(
    "change",
    [
        lambda ds: ds.drop_vars("y"),
        lambda ds: ds.expand_dims(dataset=2),
        lambda ds: ds.assign(spend=ds.spend.where(ds.spend.date != ds.date[3])),
        lambda ds: ds.isel(date=slice(0)),
        lambda ds: ds.isel(channel=[0, 0]),
        lambda ds: ds.assign_coords(date=np.arange(ds.sizes["date"])),
        lambda ds: ds.isel(geo=0),
    ],
)
def test_broken_datasets_get_a_report_of_their_faults(ds, change):
    page = Page(render(change(ds)))
    assert "truth" not in page.sections
    assert {"summary", "quality"} <= set(page.sections)


def test_what_cannot_be_shown_is_no_fault_if_the_check_finds_none(ds):
    text = render(xr.Dataset({"spend": ds.spend.isel(channel=[]), "y": ds.y}).drop_attrs())
    assert "Data quality: ok" in text
    assert "Still no pictures and figures can be made: there is no channel." in text
    assert "With these faults" not in text


def test_datasets_from_elsewhere(no_pictures, ds):
    other = xr.Dataset(
        {"spend": ds.spend.transpose("channel", "date", "geo"), "y": ds.y}
    ).drop_vars(["channel_column", "adstock_kind", "saturation_kind", "l_max", "normalize"])
    other = other.drop_attrs()
    page = Page(render(other))
    assert "sales" in page.sections and page.images


def test_neither_dataset_nor_frame():
    with pytest.raises(SchemaError, match="allowed"):
        render([1, 2, 3])


SMALL = {
    "hostile names": config_with(
        steady(HOSTILE), steady("a" * 100), regions={"region_names": [HOSTILE, "north $1 $2"]},
        control_variables=[{"name": HOSTILE, "gamma_control": 1.0}],
        events=[{"name": HOSTILE, "dates": ["12-25"], "effect": 0.1}],
        currency="$<b>", kpi="{orders}", n_periods=30,
    ),
    "one date": config_with(steady(), n_periods=1),
    "two dates, two geos": config_with(
        steady(), n_periods=2, regions={"n_regions": 2}
    ),
    "no spend": config_with(steady(base_spend=0.0), steady("Radio"), n_periods=30),
    "no spend at all": config_with(steady(base_spend=0.0), n_periods=30),
    "placebo": config_with(steady(base_effectiveness=0.0), n_periods=30),
    "daily": config_with(steady(), freq="D", n_periods=60, start_date=None),
    "monthly with burn-in": config_with(
        steady(), freq="MS", n_periods=30, burn_in_periods=3, start_date=None
    ),
}  # fmt: skip
LESS_HOSTILE = {"no spend", "placebo", "daily", "monthly with burn-in"}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if name in LESS_HOSTILE else ()) for name in SMALL],
)
def test_small_and_hostile(no_pixels, name):
    made = generate(SMALL[name])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", m.XgenWarning)
        text = render(made, title=HOSTILE)
        if name in {"hostile names", "no spend at all"}:
            render(m.to_frame(made))
    page = Page(text)
    assert "script" not in page.tags and "b" not in page.tags
    assert page.headings[0] == HOSTILE
    assert "truth" in page.sections
    assert html.escape(HOSTILE, quote=False) in text.replace("&#39;", "'").replace("&#34;", '"')


@pytest.mark.slow
def test_large_business_is_small_and_quick(tmp_path):
    made = m.generate_mmm_dataset(m.get_preset_config("large_business"))
    start = time.process_time()
    path = write_report(made, tmp_path / "report.html")
    assert time.process_time() - start < 30
    assert path.stat().st_size < 5e6
    rows = Page(path.read_text()).table("channel", "spendUSD")
    assert len(rows) == 31


# In a browser ---------------------------------------------------------------------------------


@needs_chromium
def test_a_browser_shows_all_of_it(text, page, tmp_path):
    path = tmp_path / "report & more.html"
    path.write_text(text, encoding="utf-8")
    with browser(tmp_path / "profile") as tab:
        tab.resize(1280)
        tab.open(path)
        assert tab.complaints == []
        beyond = [url for url in tab.requests if not url.startswith("data:image/")]
        assert beyond == [path.as_uri()]
        widths = tab.value(
            "[...document.images].map(image => image.complete ? image.naturalWidth : 0)"
        )
        assert len(widths) == len(page.images)
        assert min(widths) > 100
        assert tab.value("document.querySelector('h1').textContent") == HOSTILE
        # Every entry of the contents leads somewhere.
        assert tab.value(
            "[...document.querySelectorAll('nav a')].every(a => document.querySelector(a.hash))"
        )
        for width in (1280, 820, 390):
            tab.resize(width)
            assert tab.value("document.documentElement.scrollWidth") <= width


@needs_chromium
def test_the_browser_would_complain(tmp_path):
    path = tmp_path / "bad.html"
    path.write_text(
        "<img src='none.png'><script>console.error('no'); fetch('http://127.0.0.1:9/x')</script>"
    )
    with browser(tmp_path / "profile") as tab:
        tab.open(path)
        assert any("none.png" in each for each in tab.complaints)
        assert any('"no"' in each for each in tab.complaints)
        assert any("127.0.0.1" in url for url in tab.requests)
        assert tab.value("document.images[0].naturalWidth") == 0
