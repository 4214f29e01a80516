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
from mmm_xgen.presets import get_preset_config, list_available_presets
from tests.cli.commands import refused, run

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


def ran(*arguments):
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result


def shell(*arguments, cwd, **environment):
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "mmm_xgen", *map(os.fsencode, arguments)],
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
    result = ran("generate", "basic", "--out", "a/b", "--no-plot")
    assert "wrote a/b/basic.csv" in result.stdout
    assert files(tmp_path / "a" / "b") == {"basic.csv", "basic.nc"}


def test_without_out_files_land_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "wrote basic.csv\n" in ran("generate", "basic", "--no-plot").stdout
    assert files(tmp_path) == {"basic.csv", "basic.nc"}


@pytest.mark.parametrize("choice", ["csv", "parquet", "json", "nc"])
def test_a_format_alone_is_the_only_file(choice, config_file, out):
    ran("generate", config_file, "--out", out, "--format", choice, "--no-plot")
    assert files(out) == {f"small.{choice}"}


@pytest.mark.parametrize("words", ["--format parquet --format json", "--format parquet,json"])
def test_formats_add_up(words, config_file, out):
    ran("generate", config_file, "--out", out, *words.split())
    assert files(out) == {"small.parquet", "small.json", "small_overview.png"}
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


def test_the_seed_decides(config_file, out):
    ran("generate", config_file, "--out", out, "--seed", 5, "--no-plot")
    expected = mmm_xgen.generate_mmm_dataset(MMMDataConfig.from_yaml(SMALL), seed=5)
    xr.testing.assert_identical(load(out / "small.nc"), expected)


def test_json_and_yaml_configurations_are_the_same(tmp_path):
    (tmp_path / "a.yaml").write_text(SMALL)
    (tmp_path / "a.yml").write_text(SMALL)
    (tmp_path / "a.json").write_text(json.dumps(yaml.safe_load(SMALL)))
    made = []
    for name in ("a.yaml", "a.yml", "a.json"):
        folder = tmp_path / name.removeprefix("a.")
        ran("generate", tmp_path / name, "--out", folder, "--format", "nc", "--no-plot")
        made.append(load(folder / "a.nc"))
    xr.testing.assert_identical(made[0], made[1])
    xr.testing.assert_identical(made[0], made[2])


def test_quiet_says_nothing(config_file, out):
    result = ran("generate", config_file, "--out", out, "--quiet", "--set", "channels.TV.roas=50")
    assert result.output == ""
    assert "small.nc" in files(out)


def test_warnings_are_one_line_each_and_each_once(config_file, out):
    result = ran("generate", config_file, "--out", out, "--no-plot", "--set", "channels.TV.roas=50")
    lines = result.stderr.splitlines()
    assert lines
    assert all(line.startswith("mmm-xgen: warning: ") for line in lines)
    assert len(set(lines)) == len(lines)
    assert sum("ROAS outside" in line for line in lines) == 1


def test_no_progress_bar_off_a_terminal(config_file, out):
    assert ran("generate", config_file, "--out", out).stderr == ""


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


@pytest.mark.parametrize(
    ("setting", "read", "expected"),
    [
        ("n_periods=30", lambda c: c.n_periods, 30),
        ("channels.0.base_spend=50", lambda c: c.channels[0].base_spend, 50),
        ("channels.TV.base_spend=50", lambda c: c.channels[0].base_spend, 50),
        ("channels.x-TV.base_spend=50", lambda c: c.channels[0].base_spend, 50),
        (
            "channels.Radio.seasonal_amplitude=0.2",
            lambda c: c.channels[1].pattern.seasonal_amplitude,
            0.2,
        ),
        ("regions.n_regions=3", lambda c: c.regions.n_regions, 3),
        ("regions.region_names=[north, south]", lambda c: c.regions.names, ("north", "south")),
        ("transforms.adstock_kwargs={alpha: 0.2}", lambda c: c.adstocks[0].alpha, 0.2),
        ("start_date=2024-01-01", lambda c: c.start_date, "2024-01-01"),
        ("currency=EUR", lambda c: c.currency, "EUR"),
        ("kpi=a=b", lambda c: c.kpi, "a=b"),
    ],
)
def test_set_changes_the_configuration(setting, read, expected, config_file, out):
    ran("generate", config_file, "--out", out, "--no-plot", "--format", "nc", "--set", setting)
    config = MMMDataConfig.from_json(load(out / "small.nc").attrs["config"])
    assert read(config) == expected


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
@pytest.mark.parametrize("command", ["generate", "validate"])
def test_a_bad_configuration_is_refused_in_one_line(command, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text, words = BAD_FILES[name]
    Path(name).write_text(text)
    message = refused(command, name)
    assert all(word in message for word in words), message
    assert files(tmp_path) == {name}


def test_a_configuration_that_is_no_text_is_refused(tmp_path):
    path = tmp_path / "binary.yaml"
    path.write_bytes(b"\xff\xfe\x00\x01")
    assert "binary.yaml" in refused("generate", path)
    assert "folder.yaml" in refused("generate", _folder(tmp_path / "folder.yaml"))


def _folder(path):
    path.mkdir()
    return path


@pytest.mark.parametrize("suffix", [".nc", ".csv", ".parquet"])
@pytest.mark.parametrize("contents", [b"", b"\x00\xff no data at all \xfe"])
def test_a_data_file_that_is_none_is_refused(suffix, contents, tmp_path):
    path = tmp_path / f"broken{suffix}"
    path.write_bytes(contents)
    assert f"broken{suffix}" in refused("validate", path)
    if suffix == ".nc":
        assert "broken.nc" in refused("describe", path)


def test_a_folder_is_no_data_file(tmp_path):
    for suffix in (".nc", ".csv", ".parquet"):
        path = _folder(tmp_path / f"folder{suffix}")
        if suffix == ".parquet":  # an empty partitioned dataset reads as an empty frame
            continue
        assert f"folder{suffix}" in refused("validate", path)


def test_someone_elses_netcdf_is_refused(tmp_path):
    path = tmp_path / "other.nc"
    xr.Dataset({"temperature": ("time", [1.0, 2.0])}).to_netcdf(path)
    assert "other.nc" in refused("describe", path)


def test_a_folder_that_cannot_be_written_is_refused(config_file, tmp_path):
    (tmp_path / "file").write_text("")
    assert "file" in refused("generate", config_file, "--out", tmp_path / "file")
    assert "file" in refused("generate", config_file, "--out", tmp_path / "file" / "below")
    if os.name == "posix" and os.geteuid() != 0:
        locked = _folder(tmp_path / "locked")
        locked.chmod(0o500)
        assert "locked" in refused("generate", config_file, "--out", locked)


def test_a_target_that_is_a_folder_is_refused(config_file, out):
    (out / "small.csv").mkdir(parents=True)
    assert "small.csv" in refused("generate", config_file, "--out", out)


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
    result = run("generate", config_file, "--out", out)
    assert result.exit_code == 2
    assert "No space left on device" in result.stderr
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


def test_validate_says_that_a_configuration_is_valid(config_file):
    result = ran("validate", config_file)
    assert result.stdout == f"{config_file}: valid\n"
    ran("validate", EXAMPLES / "robyn_plan.yaml")


def test_validate_warns_of_a_questionable_configuration(config_file):
    config_file.write_text(SMALL.replace("roas: 1.5", "roas: 50.0"))
    result = ran("validate", config_file)
    assert "mmm-xgen: warning: " in result.stderr
    assert "valid" in result.stdout


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".nc"])
def test_validate_reports_on_good_data(suffix, out):
    ran("generate", "basic", "--out", out, "--no-plot", "--format", suffix[1:])
    result = ran("validate", out / f"basic{suffix}")
    assert "ok, 0 errors" in result.stdout


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
    rows = [
        {"date": date, "geo": geo, "y": 5.0 + place, "x1-TV": float(place % 7)}
        for place, date in enumerate(pd.date_range("2024-01-01", periods=60, freq="7D"))
        for geo in ("NA", "EMEA")
    ]
    frame = pd.DataFrame(rows)
    frame.to_csv(tmp_path / "theirs.csv", index=False)
    assert "ok, 0 errors" in ran("validate", tmp_path / "theirs.csv").stdout
    frame.loc[0, "geo"] = None
    frame.to_csv(tmp_path / "theirs.csv", index=False)
    assert "missing-values" in run("validate", tmp_path / "theirs.csv").stdout
    frame["y"] = ["five", *frame["y"][1:].astype(str)]
    frame.to_csv(tmp_path / "theirs.csv", index=False)
    assert "non-numeric" in run("validate", tmp_path / "theirs.csv").stdout

    theirs = mmm_xgen.generate_mmm_dataset()[["y", "spend"]].drop_attrs()
    theirs.to_netcdf(tmp_path / "theirs.nc")
    assert "ok, 0 errors" in ran("validate", tmp_path / "theirs.nc").stdout
    xr.Dataset({"temperature": ("time", [1.0, 2.0])}).to_netcdf(tmp_path / "weather.nc")
    result = run("validate", tmp_path / "weather.nc")
    assert result.exit_code == 1
    assert "missing-variable" in result.stdout


@pytest.mark.parametrize("mark", [";", "\t"])
@pytest.mark.parametrize("command", ["validate", "report"])
def test_columns_divided_by_something_else_are_named(mark, command, tmp_path):
    path = tmp_path / "theirs.csv"
    # As Excel writes it where numbers have decimal commas.
    rows = ["date y x1-TV", "2024-01-01 1,5 2", "2024-01-08 2,5 3,25"]
    path.write_text("\n".join(rows).replace(" ", mark))
    assert refused(command, path).endswith(f"columns are divided by {mark!r}, allowed: ','")


def test_describe_shows_what_is_in_a_dataset(config_file, out):
    ran("generate", config_file, "--out", out, "--no-plot", "--set", "regions.n_regions=15")
    shown = ran("describe", out / "small.nc").stdout
    for words in (
        "20 weeks from 2022-01-03 to 2022-05-16, 15 geos, 2 channels, 0 controls",
        "x1-TV",
        "geometric_adstock",
        "hill_function",
        " 1.50 ",
        "gaussian",
        "geo_12",
        "and 3 more geos",
    ):
        assert words in shown
    assert "geo_13" not in shown


def test_describe_shows_controls_and_does_not_read_names_as_markup(config_file, out):
    config_file.write_text(
        SMALL.replace("x-TV", '"[red]TV"') + "control_variables: [{name: Price, base_value: 9.0}]"
    )
    ran("generate", config_file, "--out", out, "--no-plot")
    shown = ran("describe", out / "small.nc").stdout
    assert "[red]TV" in shown
    assert "c1-Price" in shown


def test_describe_takes_an_aggregated_dataset(tmp_path):
    monthly = aggregate(mmm_xgen.generate_mmm_dataset(), freq="MS")
    to_netcdf(monthly, tmp_path / "monthly.nc")
    shown = ran("describe", tmp_path / "monthly.nc").stdout
    assert "24 months" in shown
    assert "aggregated: sum over 2 geos" in shown
    assert " 2.40 " in shown
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
    done = shell("generate", config_file.name, "--out", "made", cwd=tmp_path, **settings)
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
    done = subprocess.run(
        [sys.executable, "-c", COMMANDS, *map(os.fsencode, (*shown, "then", *wrong))],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"},
        cwd=tmp_path,
    )
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
        ("show basic >&-", 2, "mmm-xgen: error: standard output: not writable\n"),
        ("presets > /dev/full", 2, "mmm-xgen: error: standard output: No space left on device\n"),
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


def test_a_limit_of_the_system_is_told_with_the_path(config_file, tmp_path):
    resource = pytest.importorskip("resource")

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))

    done = subprocess.run(
        [sys.executable, "-m", "mmm_xgen", "generate", config_file, "--format", "nc", "--no-plot"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        preexec_fn=limit,
    )
    said = "mmm-xgen: error: small.nc: cannot be written: File too large\n"
    assert (done.returncode, done.stderr) == (2, said)
    assert files(tmp_path) == {"small.yaml"}


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


def test_a_media_plan_becomes_dataset_and_frame(plan_config, tmp_path, out):
    rows = plan_rows()
    plan = write_plan(tmp_path / "plan.csv", rows)
    ran("generate", plan_config, "--spend", plan, "--out", out, "--format", "csv", "--format", "nc")
    ds = load(out / "mapping.nc")
    frame = pd.read_csv(out / "mapping.csv", dtype=str)
    for place, (name, column) in enumerate([("TV", "x1-TV"), ("Radio", "x2-Radio")], start=1):
        given = [float(row[place]) for row in rows]
        assert ds.spend.sel(channel=name, geo="national").values.tolist() == given
        assert frame[column].astype(float).tolist() == given
    assert [str(date)[:10] for date in ds.date.values] == [row[0] for row in rows]
    assert (ds.control_value.sel(control="price") == 9.5).all()


FAULTS = {
    "missing week": (lambda rows: rows.pop(5), ["line 6", "'week'", "2024-02-05"]),
    "negative spend": (lambda rows: rows[3].__setitem__(1, "-4"), ["line 5", "'tv_S'", "-4"]),
    "bad date": (lambda rows: rows[2].__setitem__(0, "15/01/2024"), ["line 4", "'week'", "15/01"]),
    "missing value": (lambda rows: rows[7].__setitem__(2, ""), ["line 9", "'radio_S'"]),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_a_plan_is_refused_with_row_and_column(fault, plan_config, tmp_path, out):
    spoil, words = FAULTS[fault]
    rows = plan_rows()
    spoil(rows)
    plan = write_plan(tmp_path / "plan.csv", rows)
    message = refused("generate", plan_config, "--spend", plan, "--out", out)
    assert all(word in message for word in ["plan.csv", *words]), message
    assert not out.exists()


def test_a_column_that_a_plan_lacks_is_refused(plan_config, tmp_path):
    header = ("week", "tv_S", "raido_S", "price", "note")
    plan = write_plan(tmp_path / "plan.csv", plan_rows(), header)
    message = refused("generate", plan_config, "--spend", plan, "--out", tmp_path / "out")
    assert "'radio_S'" in message
    assert "'raido_S'" in message


def test_a_mapping_without_its_plan_is_refused(plan_config):
    assert "--spend" in refused("generate", plan_config)


def test_a_plan_is_never_overwritten(plan_config, tmp_path):
    plan = write_plan(tmp_path / "mapping.csv", plan_rows())
    before = plan.read_text()
    assert "overwrite" in refused("generate", plan_config, "--spend", plan, "--out", tmp_path)
    assert plan.read_text() == before


def weekly_rows():
    with WEEKLY.open(newline="") as stream:
        return list(csv.reader(stream))


def test_a_plan_with_columns_of_its_own(out):
    # The shipped example, as the README spells it.
    result = ran("generate", EXAMPLES / "robyn_plan.yaml", "--spend", WEEKLY, "--out", out)
    header, *rows = weekly_rows()
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


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda rows: rows.pop(10), ["line 10", "'DATE'", "2016-01-25"]),
        (lambda rows: rows[10].__setitem__(2, "-5.5"), ["line 11", "'tv_S'", "-5.5"]),
        (lambda rows: rows[10].__setitem__(0, "2016-13-01"), ["line 11", "'DATE'", "2016-13-01"]),
    ],
    ids=["missing week", "negative spend", "bad date"],
)
def test_the_same_plan_with_a_fault_is_refused(spoil, words, tmp_path, out):
    rows = weekly_rows()
    spoil(rows)
    header, *rest = rows
    plan = write_plan(tmp_path / "robyn.csv", rest, header)
    message = refused("generate", EXAMPLES / "robyn_plan.yaml", "--spend", plan, "--out", out)
    assert all(word in message for word in ["robyn.csv", *words]), message


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
    # To write a report's pictures as pixels takes most of the time.
    pixels = ("data:image/png;base64,AA==", 1, 1)
    monkeypatch.setattr("mmm_xgen.report.pictures.data_uri", lambda figure: pixels)
    commands = [command for command in readme_commands() if command[0] != "benchmark"]
    assert commands
    for command in commands:
        if ">" in command:
            *command, _, target = command
            Path(target).write_text(ran(*command).stdout)
        elif "--spend" in command:
            Path("my_plan.csv").write_text("\n".join([README_PLAN_HEADER, *readme_plan()]))
            Path("my_mapping.yaml").write_text(next(iter(blocks("yaml"))))
            ran(*command)
        else:
            ran(*command)


README_PLAN_HEADER = "week,tv_spend,search_spend,price"


def readme_plan():
    return [f"{row[0]},{row[1]},{row[2]},{row[3]}" for row in plan_rows(60)]


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
