"""The command line: what it writes and says, and one line for everything that is wrong."""

import contextlib
import csv
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml

import mmm_xgen
from mmm_xgen import MMMDataConfig
from mmm_xgen.aggregate import aggregate
from mmm_xgen.export.files import load, to_netcdf
from mmm_xgen.frames.wide import to_frame
from mmm_xgen.presets import get_preset_config, list_available_presets, list_available_worlds
from tests.cli.commands import ran, refused, run
from tests.connected import connected
from tests.report import blank

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs" / "examples"
# Drawn for the tests, in the shape of the example frame of Robyn.
WEEKLY = ROOT / "tests" / "data" / "weekly_plan.csv"
SMALL = """
n_periods: 20
channels:
- name: x-TV
  roas: 1.5
- name: Radio
  pattern: seasonal
  seasonal_amplitude: 0.5
  base_effectiveness: 0.1
"""
SPEND_COLUMNS = ["tv_S", "ooh_S", "print_S", "search_S", "facebook_S"]


def process(*command, cwd, **environment):
    """A process of its own, whose command has the words of the program or a snippet first."""
    return subprocess.run(
        [sys.executable, "-W", "error", *map(os.fsencode, command)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        cwd=cwd,
    )


def files(folder):
    return {path.name for path in folder.iterdir()}


@pytest.fixture
def config_file(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(SMALL)
    return path


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


# --- generate


def test_generate_writes_frame_truth_and_picture(out):
    result = ran("generate", "basic", "--out", out)
    assert files(out) == {"basic.csv", "basic.nc", "basic_overview.png"}
    ds = mmm_xgen.generate_mmm_dataset(get_preset_config("basic"))
    xr.testing.assert_identical(load(out / "basic.nc"), ds)
    frame = pd.read_csv(out / "basic.csv", parse_dates=["date"])
    assert list(frame.columns) == list(to_frame(ds).columns)
    np.testing.assert_allclose(frame["y"], to_frame(ds)["y"], rtol=1e-12)
    assert (out / "basic_overview.png").read_bytes().startswith(b"\x89PNG")
    size, economics, *wrote = result.stdout.splitlines()
    assert "52 weeks" in size
    assert "seed" in size
    assert "ROAS" in economics
    assert wrote == [f"wrote {out}/basic{end}" for end in (".csv", ".nc", "_overview.png")]
    assert result.stderr == ""


def test_no_spend_has_no_roas_and_one_week_is_no_weeks(tmp_path):
    path = tmp_path / "late.yaml"
    path.write_text(
        "n_periods: 1\nchannels:\n"
        "- {name: TV, pattern: delayed_start, start_period: 10, base_effectiveness: 0.1}\n"
    )
    said = ran("generate", path, "--out", tmp_path, "--format", "nc", "--no-plot").stdout
    assert said.startswith("1 week from 2022-01-03 to 2022-01-03, 1 geo,")
    assert "spend USD 0; media makes 0% of sales; no spend, so no ROAS\n" in said
    assert " nan" not in ran("describe", tmp_path / "late.nc").stdout


def test_paths_are_shown_as_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "wrote basic.csv\n" in ran("generate", "basic", "--no-plot").stdout
    assert files(tmp_path) == {"basic.csv", "basic.nc"}
    result = ran("generate", "basic", "--out", "a/b", "--no-plot", "--format", "nc")
    assert "wrote a/b/basic.nc" in result.stdout
    assert files(tmp_path / "a" / "b") == {"basic.nc"}


@pytest.mark.parametrize("words", ["--format parquet --format json", "--format parquet,json"])
def test_formats_add_up(words, config_file, out):
    ran("generate", config_file, "--out", out, "--no-plot", *words.split())
    assert files(out) == {"small.parquet", "small.json"}
    frame = pd.read_parquet(out / "small.parquet")
    assert {"date", "geo", "y", "x1-TV", "x2-Radio"} <= set(frame.columns)
    assert json.loads((out / "small.json").read_text())


def test_a_file_is_replaced_only_with_force(config_file, out):
    words = ("generate", config_file, "--out", out, "--no-plot", "--seed")
    ran(*words, 1)
    found = refused(*words, 2)
    rest = "exists; replace it with --force, or choose another place with --out"
    assert found == f"'{out}/small.csv' {rest}"
    assert load(out / "small.nc").attrs["seed"] == 1
    ran(*words, 2, "--force")
    assert files(out) == {"small.csv", "small.nc"}
    assert load(out / "small.nc").attrs["seed"] == 2
    page = out / "report.html"
    page.write_text("mine")
    assert refused("report", out / "small.csv", "--out", page) == f"'{page}' {rest}"
    assert page.read_text() == "mine"


def test_json_and_yaml_configurations_are_the_same_and_the_seed_decides(tmp_path):
    (tmp_path / "a.yml").write_text(SMALL)
    (tmp_path / "a.json").write_text(json.dumps(yaml.safe_load(SMALL)))
    expected = mmm_xgen.generate_mmm_dataset(MMMDataConfig.from_yaml(SMALL), seed=5)
    for name in ("a.yml", "a.json"):
        words = ("--format", "nc", "--no-plot", "--seed", 5, "--force")
        ran("generate", tmp_path / name, "--out", tmp_path, *words)
        xr.testing.assert_identical(load(tmp_path / "a.nc"), expected)


def test_warnings_are_one_line_each_and_each_once_and_none_when_quiet(config_file, out):
    words = ("generate", config_file, "--out", out, "--no-plot", "--set", "channels.TV.roas=50")
    lines = ran(*words).stderr.splitlines()
    assert lines
    assert all(line.startswith("mmm-xgen: warning: ") for line in lines)
    assert len(set(lines)) == len(lines)
    assert sum("ROAS outside" in line for line in lines) == 1
    assert ran(*words, "--quiet", "--force").output == ""


def test_progress_is_shown_on_a_terminal_and_not_when_quiet(config_file, out):
    pty = pytest.importorskip("pty")

    ours, theirs = pty.openpty()
    silent = config_file.with_name("silent.yaml")
    silent.write_text(SMALL)
    words = ["--out", out, "--no-plot"]
    both = ["generate", config_file, *words, "then", "generate", silent, *words, "--quiet"]
    with os.fdopen(theirs, "w") as terminal:
        done = subprocess.run(
            [sys.executable, "-c", COMMANDS, *both],
            stdout=subprocess.PIPE,
            stderr=terminal,
            env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "80"},
            check=True,
        )
    os.set_blocking(ours, False)
    shown = b""
    with contextlib.suppress(OSError):
        while piece := os.read(ours, 65536):
            shown += piece
    os.close(ours)
    assert files(out) == {"small.csv", "small.nc", "silent.csv", "silent.nc"}
    assert b"small.nc" in done.stdout and b"small.nc" in shown
    assert b"silent" not in done.stdout and b"silent" not in shown


# --- --set


@pytest.mark.parametrize("tv", ["0", "TV", "x-TV"])
def test_set_changes_the_configuration(tv, config_file, out):
    settings = [
        "n_periods=30",
        "start_date=2024-01-01",
        "currency=EUR",
        "kpi=a=b",
        f"channels.{tv}.base_spend=50",
        "channels.Radio.seasonal_amplitude=0.2",
        "regions.region_names=[north, south]",
        "regions.n_regions=2",
        "transforms.adstock_kwargs={alpha: 0.2}",
    ]
    options = [part for each in settings for part in ("--set", each)]
    ran("generate", config_file, "--out", out, "--no-plot", "--format", "nc", *options)
    found = MMMDataConfig.from_json(load(out / "small.nc").attrs["config"])
    assert (found.n_periods, found.start_date) == (30, "2024-01-01")
    assert (found.currency, found.kpi) == ("EUR", "a=b")
    assert found.channels[0].base_spend == 50
    assert found.channels[1].pattern.seasonal_amplitude == 0.2
    assert (found.regions.n_regions, found.regions.names) == (2, ("north", "south"))
    assert found.adstocks[0].alpha == 0.2


def test_settings_add_up_and_the_last_one_counts(out):
    changes = ["n_periods=30", "channels.TV.roas=2", "n_periods=40"]
    options = [part for change in changes for part in ("--set", change)]
    ran("generate", "basic", "--out", out, "--no-plot", *options)
    ds = load(out / "basic.nc")
    assert ds.sizes["date"] == 40
    revenue = ds.channel_contribution.sel(channel="TV").sum() * float(ds.revenue_per_kpi[0, 0])
    assert float(revenue / ds.spend.sel(channel="TV").sum()) == pytest.approx(2)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("n_periods", ["'n_periods'", "PATH=VALUE"]),
        ("=3", ["'=3'"]),
        ("a..b=3", ["'a..b=3'"]),
        ("n_periods=many", ["n_periods", "'many'"]),
        ("n_periods=-1", ["n_periods", "-1"]),
        ("n_periods=[1", ["--set n_periods"]),
        ("n_perods=3", ["n_perods", "n_periods"]),
        ("channels.Tv.base_spend=3", ["channels.Tv", "TV"]),
        ("channels.7.base_spend=3", ["channels.7", "0 to 1"]),
        ("channels.TV.base_spend=-3", ["channels.TV.base_spend", "-3"]),
        ("channels.TV.base_spnd=3", ["channels.TV.base_spnd", "base_spend"]),
        ("regions.n_regions=0", ["regions.n_regions", "0"]),
        ("regions.n_region=2", ["regions.n_region", "n_regions"]),
        ("n_periods.value=2", ["n_periods"]),
        ("channels=[]", ["channels"]),
        ("spend_plan.date=!!python/object/apply:os.getcwd []", ["spend_plan.date"]),
    ],
)
def test_a_bad_setting_is_refused_by_its_path(setting, words, config_file, out):
    message = refused("generate", config_file, "--out", out, "--set", setting)
    assert all(word in message for word in words), message
    assert not out.exists()


# --- bad input


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["generate"], ["Missing argument"]),
        (["generate", "basik"], ["basik", "'basic'"]),
        (["show", "basik"], ["basik", "'basic'"]),
        (["generate", "missing.yaml"], ["missing.yaml", "no such file"]),
        (["generate", "missing.json"], ["missing.json", "no such file"]),
        (["generate", "plan.txt/"], ["plan.txt"]),
        (["generate", "basic", "--format", "xls"], ["xls", "csv", "parquet"]),
        (["generate", "basic", "--seed", "-1"], ["--seed", "0"]),
        (["generate", "basic", "--seed", "one"], ["--seed", "integer"]),
        (["generate", "basic", "--spend", "missing.csv"], ["missing.csv", "no such file"]),
        (["generate", "basic", "--sed", "1"], ["--sed"]),
        (["genrate", "basic"], ["genrate"]),
        (["describe", "missing.nc"], ["missing.nc", "no such file"]),
        (["describe", "basic"], ["basic", ".nc"]),
        (["validate", "missing.csv"], ["missing.csv", "no such file"]),
        (["validate", "missing.yaml"], ["missing.yaml", "no such file"]),
        (["validate", "picture.png"], ["picture.png", ".csv", ".nc"]),
    ],
)
def test_bad_arguments_are_refused_in_one_line(arguments, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    message = refused(*arguments)
    assert all(word in message for word in words), message
    assert not files(tmp_path)


BAD_FILES = {
    "broken.yaml": ("channels: [{name: TV", ["broken.yaml", "line 1"]),
    "twice.yaml": ("seed: 1\nseed: 2\nchannels: [{name: TV}]", ["twice.yaml", "'seed'"]),
    "list.yaml": ("- 1\n- 2", ["list.yaml", "mapping"]),
    "empty.yaml": ("", ["empty.yaml", "mapping"]),
    "run.yaml": ("!!python/object/apply:os.getcwd []", ["run.yaml"]),
    "key.yaml": ("channels: [{name: TV}]\nn_perods: 3", ["key.yaml", "n_perods", "n_periods"]),
    "type.yaml": (
        "channels: [{name: TV, base_spend: lots}]",
        ["type.yaml", "channels.0.base_spend", "lots"],
    ),
    "deep.yaml": ("[" * 1500, ["deep.yaml"]),
    "broken.json": ('{"channels": [', ["broken.json", "JSON"]),
    "list.json": ("[1, 2]", ["list.json", "mapping"]),
    "deep.json": ("[" * 200_000, ["deep.json"]),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_configuration_is_refused_in_one_line(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text, words = BAD_FILES[name]
    Path(name).write_text(text)
    message = refused("generate", name)
    assert all(word in message for word in words), message
    assert files(tmp_path) == {name}
    if not name.startswith("deep"):
        assert refused("validate", name) == message


def test_a_configuration_that_is_no_text_is_refused(tmp_path):
    path = tmp_path / "binary.yaml"
    path.write_bytes(b"\xff\xfe\x00\x01")
    assert "binary.yaml" in refused("generate", path)
    (tmp_path / "folder.yaml").mkdir()
    assert "folder.yaml" in refused("generate", tmp_path / "folder.yaml")


@pytest.mark.parametrize("suffix", [".nc", ".csv", ".parquet"])
def test_a_data_file_that_is_none_is_refused(suffix, tmp_path):
    for number, contents in enumerate((b"", b"\x00\xff no data at all \xfe")):
        path = tmp_path / f"broken{number}{suffix}"
        path.write_bytes(contents)
        assert path.name in refused("validate", path)
        if suffix == ".nc":
            assert path.name in refused("describe", path)
    # An empty partitioned dataset reads as an empty frame.
    if suffix != ".parquet":
        folder = tmp_path / f"folder{suffix}"
        folder.mkdir()
        assert folder.name in refused("validate", folder)


def test_a_place_that_cannot_be_written_is_refused(config_file, tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "taken" / "small.csv").mkdir(parents=True)
    places = {"file": "file", "file/below": "file", "taken": "small.csv"}
    if os.name == "posix" and os.geteuid() != 0:
        (tmp_path / "locked").mkdir(mode=0o500)
        places["locked"] = "locked"
    for place, named in places.items():
        assert named in refused("generate", config_file, "--out", tmp_path / place)


def test_inputs_are_never_overwritten(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = json.dumps(yaml.safe_load(SMALL))
    Path("small.json").write_text(text)
    assert "overwrite 'small.json'" in refused("generate", "small.json", "--format", "json")
    assert Path("small.json").read_text() == text


def test_nothing_is_left_of_an_interrupted_write(config_file, out, monkeypatch):
    def fails(*_arguments, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", fails)
    assert "No space left on device" in refused("generate", config_file, "--out", out)
    assert files(out) == {"small.csv", "small.nc"}


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [(KeyboardInterrupt, 130, ""), (MemoryError, 2, "not enough memory")],
)
def test_a_generation_that_is_stopped_leaves_no_traceback(
    error, status, words, config_file, out, monkeypatch
):
    def stops(*_arguments, **_options):
        raise error

    monkeypatch.setattr("mmm_xgen.generate.generate_mmm_dataset", stops)
    result = run("generate", config_file, "--out", out)
    assert result.exit_code == status
    assert words in result.stderr
    assert isinstance(result.exception, SystemExit)
    assert not out.exists()


# --- presets, show, schema, validate, describe


def test_worlds_lists_every_world_and_show_prints_one():
    shown = ran("worlds").stdout
    for name, world in list_available_worlds().items():
        line = rf"^  {name} +{re.escape(world.short)} +{re.escape(world.bias)} *$"
        assert re.search(line, shown, re.MULTILINE)
    assert max(map(len, shown.splitlines())) <= 140
    text = ran("show", "demand_chasing_geo").stdout
    assert MMMDataConfig.from_yaml(text) == get_preset_config("demand_chasing_geo")


def test_worlds_tells_all_of_one_world():
    shown = ran("worlds", "drifting_effects").stdout
    world = list_available_worlds()["drifting_effects"]
    assert shown.splitlines()[0] == "drifting_effects (effects over time)"
    for text in (world.breaks, world.bias, world.note, world.reference, "the last 26 weeks"):
        assert text in shown
    assert "react\n" in ran("worlds", "funnel").stdout
    result = run("worlds", "drifting_efects")
    assert result.exit_code == 2
    assert "no world named 'drifting_efects'; did you mean 'drifting_effects'?" in result.stderr


def test_presets_lists_every_preset():
    shown = ran("presets").stdout
    for name, description in list_available_presets().items():
        assert re.search(rf"^ *{name} ", shown, re.MULTILINE)
        assert description.split()[0] in shown


def test_show_is_a_configuration_ready_to_generate_from(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(ran("show", "seasonal").stdout)
    assert MMMDataConfig.from_yaml(path) == get_preset_config("seasonal")
    ran("generate", path, "--out", tmp_path, "--format", "nc", "--no-plot")
    expected = mmm_xgen.generate_mmm_dataset(get_preset_config("seasonal"))
    xr.testing.assert_identical(load(tmp_path / "mine.nc"), expected)


def test_schema_is_json_schema_of_the_configuration():
    schema = json.loads(ran("schema").stdout)
    assert schema["type"] == "object"
    assert {"channels", "regions", "transforms", "n_periods"} <= set(schema["properties"])


def test_validate_says_that_a_configuration_is_valid_and_questionable(config_file):
    assert ran("validate", config_file).output == f"{config_file}: valid\n"
    ran("validate", EXAMPLES / "robyn_plan.yaml")
    config_file.write_text(SMALL.replace("roas: 1.5", "roas: 50.0"))
    result = ran("validate", config_file)
    assert "mmm-xgen: warning: " in result.stderr
    assert "valid" in result.stdout


def test_validate_reports_on_good_data(config_file, out):
    ran("generate", "basic", "--out", out, "--no-plot", "--format", "csv,parquet,nc")
    for path in out.iterdir():
        assert "ok, 0 errors" in ran("validate", path).stdout


def test_validate_finds_errors_and_says_what_to_do(config_file, out):
    ran("generate", config_file, "--out", out, "--no-plot", "--format", "csv")
    frame = pd.read_csv(out / "small.csv")
    frame.loc[3, "y"] = np.nan
    frame.loc[4, "x1-TV"] = -1.0
    frame.to_csv(out / "bad.csv", index=False)
    result = run("validate", out / "bad.csv")
    assert result.exit_code == 1
    assert "missing-values" in result.stdout
    assert "negative-values" in result.stdout
    assert re.search(r"^fix +Fill missing values", result.stdout, re.MULTILINE)
    assert result.stderr == ""


def test_validate_takes_data_that_did_not_come_from_here(tmp_path):
    def said(data):
        if isinstance(data, xr.Dataset):
            data.to_netcdf(tmp_path / "theirs.nc")
            return run("validate", tmp_path / "theirs.nc").stdout
        data.to_csv(tmp_path / "theirs.csv", index=False)
        return run("validate", tmp_path / "theirs.csv").stdout

    rows = [
        {"date": date, "geo": geo, "y": 5.0 + place, "x1-TV": float(place % 7)}
        for place, date in enumerate(pd.date_range("2024-01-01", periods=60, freq="7D"))
        for geo in ("NA", "EMEA")
    ]
    frame = pd.DataFrame(rows)
    assert "ok, 0 errors" in said(frame)
    frame.loc[0, "geo"] = None
    assert "missing-values" in said(frame)
    frame["y"] = ["five", *frame["y"][1:].astype(str)]
    assert "non-numeric" in said(frame)
    assert "ok, 0 errors" in said(mmm_xgen.generate_mmm_dataset()[["y", "spend"]].drop_attrs())
    weather = xr.Dataset({"temperature": ("time", [1.0, 2.0])})
    assert "missing-variable" in said(weather)
    assert run("validate", tmp_path / "theirs.nc").exit_code == 1


@pytest.mark.parametrize("mark", [";", "\t"])
@pytest.mark.parametrize("command", ["validate", "report"])
def test_columns_divided_by_something_else_are_named(mark, command, tmp_path):
    path = tmp_path / "theirs.csv"
    # As Excel writes it where numbers have decimal commas.
    rows = ["date y x1-TV", "2024-01-01 1,5 2", "2024-01-08 2,5 3,25"]
    path.write_text("\n".join(rows).replace(" ", mark))
    assert refused(command, path).endswith(f"columns are divided by {mark!r}, allowed: ','")


def test_describe_shows_what_is_in_a_dataset_and_does_not_read_names_as_markup(config_file, out):
    config_file.write_text(
        SMALL.replace("x-TV", '"[red]TV"') + "control_variables: [{name: Price, base_value: 9.0}]"
    )
    ran("generate", config_file, "--out", out, "--no-plot", "--set", "regions.n_regions=15")
    shown = ran("describe", out / "small.nc").stdout
    for words in (
        "20 weeks from 2022-01-03 to 2022-05-16, 15 geos, 2 channels, 1 control",
        "x1-[red]TV",
        "c1-Price",
        "geometric_adstock",
        "hill_function",
        " 1.50 ",
        "gaussian",
        "geo_12",
        "and 3 more geos",
    ):
        assert words in shown
    assert "geo_13" not in shown


def test_describe_takes_an_aggregated_dataset(tmp_path):
    monthly = aggregate(mmm_xgen.generate_mmm_dataset(), freq="MS")
    shown = ran("describe", to_netcdf(monthly, tmp_path / "monthly.nc")).stdout
    for words in ("24 months", "aggregated: sum over 2 geos", " 2.40 "):
        assert words in shown
    assert "nan" not in shown.replace("national", "")


def test_version_and_help():
    assert ran("--version").stdout == f"mmm-xgen {mmm_xgen.__version__}\n"
    assert ran().stdout == ran("--help").stdout
    for command in ("generate", "presets", "show", "schema", "validate", "describe"):
        assert command in ran("--help").stdout
        assert "Usage" in ran(command, "--help").stdout


# --- as a process


@pytest.mark.parametrize(
    "settings",
    [
        {"MPLBACKEND": "nonsense"},
        # Without a folder, it looks for fonts anew.
        pytest.param({"MPLCONFIGDIR": "/dev/null/matplotlib"}, marks=pytest.mark.slow),
    ],
)
def test_it_runs_as_a_module_whatever_matplotlib_is_told(tmp_path, config_file, settings):
    words = ("generate", config_file.name, "--out", "made")
    done = process("-m", "mmm_xgen", *words, cwd=tmp_path, **settings)
    assert (done.returncode, done.stderr) == (0, "")
    assert files(tmp_path / "made") == {"small.csv", "small.nc", "small_overview.png"}
    assert "wrote made/small.csv" in done.stdout


# One process runs several commands, "then" between them, and ends with the status of the last.
COMMANDS = """
import sys
from mmm_xgen.cli.app import main
words = sys.argv[1:]
while words:
    place = words.index("then") if "then" in words else len(words)
    sys.argv[1:], words = words[:place], words[place + 1:]
    try:
        main()
    except SystemExit as end:
        if end.code or not words:
            raise
"""


def test_a_name_that_the_terminal_cannot_show_is_no_traceback(tmp_path):
    settings = ("--set", "channels.0.name=Ü", "--set", "kpi=Umsätze", "--no-plot")
    shown = ("generate", "basic", *settings, "then", "describe", "basic.nc", "then", "presets")
    wrong = ("generate", "basic", "--set", b"kpi=\xff", "--no-plot")
    words = (*shown, "then", *wrong)
    done = process("-c", COMMANDS, *words, cwd=tmp_path, PYTHONIOENCODING="ascii")
    assert done.returncode == 2, done.stderr
    assert "wrote basic.nc" in done.stdout and "small_business" in done.stdout
    assert "'\udcff" not in done.stdout
    assert done.stderr.startswith("mmm-xgen: error: ")
    assert done.stderr.count("\n") == 1


posix = pytest.mark.skipif(os.name != "posix", reason="needs a POSIX shell")


@posix
@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        # The reader ends before the first word.
        ("show basic | true", 141, ""),
        ("--version >&-", 2, "mmm-xgen: error: standard output: not writable\n"),
        ("--version > /dev/full", 2, "mmm-xgen: error: standard output: No space left on device\n"),
        ("show basik 2> /dev/full", 2, ""),
    ],
)
def test_an_output_that_takes_nothing_is_one_line(words, status, said, tmp_path):
    if "/dev/full" in words and not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    words, pipe, reader = words.partition(" | ")
    # The shell of the reader waits until nobody reads any more.
    command = f"{shlex.quote(sys.executable)} -m mmm_xgen {words}"
    script = f"set -o pipefail; {{ sleep 0.2; {command}; }}{pipe}{reader}"
    done = subprocess.run(
        ["bash", "-c", script],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert (done.returncode, done.stderr, done.stdout) == (status, said, "")


@posix
def test_ctrl_c_during_the_imports_is_status_130_without_a_word(tmp_path):
    (tmp_path / "xarray.py").write_text("import sys, time\nprint('!', flush=True)\ntime.sleep(60)")
    process = subprocess.Popen(
        [sys.executable, "-m", "mmm_xgen", "presets"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
    )
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=30)
    assert (process.returncode, said) == (130, (b"", b""))


def test_a_limit_of_the_system_is_told_with_the_path(config_file, out):
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        message = refused("generate", config_file, "--out", out, "--format", "nc", "--no-plot")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert message == f"{out}/small.nc: cannot be written: File too large"
    assert files(out) == set()


# --- a real media plan

PLAN = """
spend_plan:
  date: week
  channels: {TV: tv_S, Radio: radio_S}
  controls: [price]
channels:
- {name: TV, base_spend: 100.0, roas: 2.0}
- {name: Radio, base_spend: 50.0, roas: 1.5}
control_variables:
- {name: price, gamma_control: -10.0, reference: 9.0}
regions: {base_sales_rate: 2000.0}
"""


def plan_rows(n=30):
    days = pd.date_range("2024-01-01", periods=n, freq="7D")
    rng = np.random.default_rng(7)
    return [
        [str(day.date()), repr(float(tv)), repr(float(radio)), "9.5", "ignored"]
        for day, tv, radio in zip(days, rng.gamma(2, 50, n), rng.gamma(2, 25, n), strict=True)
    ]


def write_plan(path, rows, header=("week", "tv_S", "radio_S", "price", "note")):
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])
    return path


@pytest.fixture
def plan_config(tmp_path):
    path = tmp_path / "mapping.yaml"
    path.write_text(PLAN)
    return path


FAULTS = {
    "unknown column": ((0, 2, "raido_S"), ["'radio_S'", "'raido_S'"]),
    "negative spend": ((4, 1, "-4"), ["line 5", "'tv_S'", "-4"]),
    "another order of the date": ((3, 0, "15/01/2024"), ["line 4", "'week'", "15/01"]),
    "no such date": ((3, 0, "2024-13-01"), ["line 4", "'week'", "2024-13-01"]),
    "missing value": ((8, 2, ""), ["line 9", "'radio_S'"]),
    "missing week": (None, ["line 6", "'week'", "2024-02-05"]),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_a_plan_is_refused_with_row_and_column(fault, plan_config, tmp_path, out):
    place, words = FAULTS[fault]
    rows = [["week", "tv_S", "radio_S", "price", "note"], *plan_rows()]
    if place is None:
        del rows[6]
    else:
        row, column, value = place
        rows[row][column] = value
    plan = write_plan(tmp_path / "plan.csv", rows[1:], rows[0])
    message = refused("generate", plan_config, "--spend", plan, "--out", out)
    assert all(word in message for word in ["plan.csv", *words]), message
    assert not out.exists()


def test_a_plan_is_never_overwritten(plan_config, tmp_path):
    assert "--spend" in refused("generate", plan_config)
    plan = write_plan(tmp_path / "mapping.csv", plan_rows())
    before = plan.read_text()
    assert "overwrite" in refused("generate", plan_config, "--spend", plan, "--out", tmp_path)
    assert plan.read_text() == before


def test_a_plan_with_columns_of_its_own(out):
    # The shipped example, as the README spells it.
    result = ran("generate", EXAMPLES / "robyn_plan.yaml", "--spend", WEEKLY, "--out", out)
    with WEEKLY.open(newline="") as stream:
        header, *rows = csv.reader(stream)
    ds = load(out / "robyn_plan.nc")
    frame = pd.read_csv(out / "robyn_plan.csv", dtype=str)
    assert dict(ds.spend.sizes) == {"date": 208, "geo": 1, "channel": 5}
    for place, column in enumerate(SPEND_COLUMNS, start=1):
        name = column.removesuffix("_S")
        given = np.array([float(row[header.index(column)]) for row in rows])
        for made in (ds.spend.sel(channel=name).values[:, 0], frame[f"x{place}-{name}"].values):
            assert made.astype(float).tobytes() == given.tobytes()
    competitor = [float(row[header.index("competitor_sales_B")]) for row in rows]
    assert ds.control_value.sel(control="competitor").values[:, 0].tolist() == competitor
    assert [str(date)[:10] for date in ds.date.values] == [row[0] for row in rows]
    assert result.stderr == ""
    assert 0.05 < float(ds.channel_contribution.sum() / ds.mu.sum()) < 0.25


# --- the README


README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def test_the_python_of_the_readme_runs_and_says_what_it_says(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    examples = blocks("python")
    assert examples
    shared = {}
    for example in examples:
        exec(compile(example, "README.md", "exec"), shared)
    # Releases of rich before 14.3 leave an empty line behind a progress bar.
    said = [line for line in capsys.readouterr().out.splitlines() if line]
    assert said == [line for line in "".join(blocks("text")).splitlines() if line]


def readme_commands():
    return [
        shlex.split(line, comments=True)[1:]
        for block in blocks("bash")
        for line in block.splitlines()
        if line.startswith("mmm-xgen")
    ]


@pytest.mark.slow
def test_the_benchmark_of_the_readme_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (command,) = (command for command in readme_commands() if command[0] == "benchmark")
    # Its posteriors take minutes to sample.
    ran(*(word for word in command if word != "pymc"), "--no-floors", "--seeds", "1")


def test_the_commands_of_the_readme_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # Pictures take most of the time.
    blank.no_pictures(monkeypatch)
    monkeypatch.setattr(
        "matplotlib.figure.Figure.savefig", lambda self, path, **_: Path(path).write_bytes(b"")
    )
    commands = [command for command in readme_commands() if command[0] != "benchmark"]
    assert commands
    for command in commands:
        if ">" in command:
            *command, _, target = command
            Path(target).write_text(ran(*command).stdout)
        elif "--spend" in command:
            header = ("week", "tv_spend", "search_spend", "price", "note")
            write_plan(Path("my_plan.csv"), plan_rows(60), header)
            Path("my_mapping.yaml").write_text(next(iter(blocks("yaml"))))
            ran(*command)
        else:
            ran(*command)


def test_the_readme_names_what_exists():
    for name in re.findall(r"`ds\.mmm\.|`mmm_xgen\.(\w+)", README):
        assert not name or hasattr(mmm_xgen, name), name
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    named = re.findall(r"(?:`|^ {4})make ([a-z-]+)", README, re.MULTILINE)
    assert {"demo", "test"} <= set(named) <= set(targets)
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert len(links) > 5
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_labels_of_a_file_do_not_steer_the_terminal(tmp_path):
    evil = "\x1b]0;title\x07\u202edaor"
    config = MMMDataConfig(n_periods=10, channels=[mmm_xgen.ChannelConfig(name="TV", roas=2.0)])
    ds = mmm_xgen.generate_mmm_dataset(config).assign_coords(channel=[evil])
    path = to_netcdf(ds, tmp_path / "a.nc")
    assert r"its channel '\x1b]0;title\x07\u202edaor' is not in" in refused("truth", path)
    # A counterfactual has labels that no configuration is compared with.
    ds.attrs["factual_config"] = ds.attrs.pop("config")
    path = to_netcdf(ds, tmp_path / "b.nc")
    for command in ("describe", "truth"):
        shown = ran(command, path).stdout
        assert shown.replace("\n", "").isprintable()
        assert r"\x1b]0;title\x07\u202edaor" in shown.replace("\n", "")
    # Data that go to a file stay as they are.
    assert evil in ran("truth", path, "--format", "csv").stdout
    (tmp_path / "a.yaml").write_text(f'"{"a" * 100_000}\\e]0;title\\a": 1\n')
    assert len(refused("validate", tmp_path / "a.yaml")) < 1100


def test_describe_tells_who_causes_what_and_leaves_out_what_sums_lose(tmp_path):
    ds = connected()
    shown = " ".join(ran("describe", to_netcdf(ds, tmp_path / "world.nc")).stdout.split())
    assert "Who causes what" in shown
    assert "budget rule of Social spend of Social chases target, strength 1.0, lag 1" in shown
    monthly = to_netcdf(aggregate(ds, freq="MS"), tmp_path / "monthly.nc")
    summed = ran("describe", monthly).stdout
    assert " 3.00 " in shown
    assert " 3.00 " not in summed
    assert "Who causes what" in summed
