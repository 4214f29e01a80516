"""The commands that tell the truth: they print what the functions give, and refuse in one line."""

import csv
import io
import json

import numpy as np
import pytest
import xarray as xr
from rich.console import Console

import mmm_xgen
from mmm_xgen import ChannelConfig, MMMDataConfig, RegionConfig
from mmm_xgen.aggregate import aggregate
from mmm_xgen.cli import tables
from mmm_xgen.cli.figures import RETURNS
from mmm_xgen.errors import XgenWarning
from mmm_xgen.export.files import load, to_netcdf
from mmm_xgen.truth import (
    change_investment,
    compare_scenarios,
    estimands,
    optimize_allocation,
    predict_impact,
    recoverability,
    simulate,
)
from tests.cli import commands
from tests.cli.commands import refused

CHANNELS = (
    ChannelConfig(name="TV", pattern="seasonal", base_spend=3000.0, roas=2.0),
    ChannelConfig(name="a:b=50%", base_spend=1500.0, roas=3.0),
    ChannelConfig(name="Idle", base_spend=500.0, base_effectiveness=0.05),
)
REGIONS = RegionConfig(region_names=["North", "South"], similarity=0.7, base_sales_rate=20_000.0)


def ran(*arguments):
    result = commands.ran(*arguments)
    assert result.stderr == ""
    return result.stdout


def no_constant(word):
    raise AssertionError(f"{word} is no JSON")


def as_json(*arguments):
    return json.loads(ran(*arguments, "--format", "json"), parse_constant=no_constant)


def as_rows(*arguments):
    return list(csv.DictReader(io.StringIO(ran(*arguments, "--format", "csv"))))


def cells(text, *first):
    """Cells of the line of a table that begins with these labels."""
    found = [line.split() for line in text.splitlines() if line.split()[: len(first)] == [*first]]
    assert found, text
    return [row[len(first) :] for row in found]


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    config = MMMDataConfig(n_periods=60, channels=CHANNELS, regions=REGIONS, seed=3, currency="EUR")
    spend = mmm_xgen.generate_mmm_dataset(config).spend
    with pytest.warns(XgenWarning, match="Idle"):
        ds = mmm_xgen.generate_mmm_dataset(config, spend=spend.where(spend.channel != "Idle", 0.0))
    return to_netcdf(ds, tmp_path_factory.mktemp("truth") / "made.nc")


@pytest.fixture(scope="module")
def ds(file):
    # The same arrays in memory as the command has, so that sums are equal to the last bit.
    return load(file)


@pytest.fixture(scope="module")
def free(ds):
    return optimize_allocation(ds)


@pytest.fixture(scope="module")
def without_truth(ds, tmp_path_factory):
    """Files that no command tells the truth of, and what it says."""
    folder = tmp_path_factory.mktemp("without_truth")
    (folder / "text.nc").write_text("no data")
    (folder / "frame.csv").write_text("date,geo\n")
    xr.Dataset({"temperature": ("time", [1.0, 2.0])}).to_netcdf(folder / "weather.nc")
    to_netcdf(aggregate(ds, freq="MS"), folder / "monthly.nc")
    to_netcdf(ds.isel(date=slice(20, None)), folder / "cut.nc")
    to_netcdf(ds.drop_vars("channel_column"), folder / "nameless.nc")
    return {
        folder / "nowhere.nc": "no such file",
        folder / "frame.csv": "'.csv', allowed: .nc",
        folder / "text.nc": "cannot be read",
        folder / "weather.nc": "not a dataset of mmm-xgen",
        folder / "monthly.nc": "no parameters, as after an aggregation (sum over",
        folder / "cut.nc": "after a cut of its dates",
        folder / "nameless.nc": "no 'channel_column'",
    }


# --- truth


def same(figure, expected):
    """Whether JSON has exactly this number, with null for what is not a number."""
    if not np.isfinite(expected):
        return figure is None
    return figure == float(expected)


def test_truth_prints_what_estimands_gives(file, ds):
    wanted = estimands(ds, by="channel")
    told = as_json("truth", file)
    assert (told["file"], told["currency"], told["kpi"]) == (str(file), "EUR", "sales")
    assert told["units"]["spend"] == "EUR"
    rows = told["rows"]
    assert [row["channel"] for row in rows] == ["TV", "a:b=50%", "Idle"]
    for row in rows:
        for name, values in wanted.items():
            assert same(row[name], values.sel(channel=row["channel"])), name
    shown = ran("truth", file)
    assert "(EUR)" in shown
    returns, effects = cells(shown, "TV")
    tv = wanted.sel(channel="TV")
    assert returns[0] == f"{float(tv.spend):,.0f}"
    assert returns[3:] == [
        f"{float(tv[name]):#.3g}"
        for name in ("roas", "roas_with_carryout", "mroas", "mroas_with_carryout")
    ]
    assert f"{float(tv.attribution):.1%}" in effects
    assert f"{float(tv.half_saturation):,.0f}" in effects
    # What is no number is a dash, a null and an empty cell.
    assert cells(shown, "Idle")[0] == ["0", "0", "0", "-", "-", "-", "-"]
    assert (rows[2]["roas"], rows[2]["spend"]) == (None, 0.0)
    assert as_rows("truth", file)[2]["roas"] == ""


def test_truth_by_geo_window_and_period(file, ds):
    wanted = estimands(ds, by=("geo", "channel"), window=("2022-03", "2022-09"), freq="QS")
    options = ("truth", file, "--by", "geo", "--window", "2022-03:2022-09", "--freq", "QS")
    rows = as_rows(*options)
    assert len(rows) == wanted.roas.size == 3 * 2 * 3
    for row in rows:
        one = wanted.sel(period=row["period"], geo=row["geo"], channel=row["channel"])
        assert row["first_date"] == str(one.first_date.values)[:10]
        for name in wanted:
            number = float(row[name]) if row[name] else np.nan
            np.testing.assert_array_equal(number, one[name])
    shown = ran(*options)
    assert cells(shown, "2022-04-01", "South", "TV")
    assert "2022-03-07 to 2022-09-26" in shown


def test_truth_grades_channels(tmp_path):
    made = to_netcdf(mmm_xgen.generate_mmm_dataset(), tmp_path / "made.nc")
    wanted = recoverability(load(made))
    rows = as_json("truth", made, "--recoverability")["rows"]
    shown = ran("truth", made, "--recoverability")
    for row, name in zip(rows, wanted.channel.values, strict=True):
        one = wanted.sel(channel=name)
        grade, reason = one.grade.item(), one.reason.item()
        assert (row["grade"], row["roas_bound"]) == (grade, float(one.roas_bound))
        assert [*grade.split(), *reason.split()] in cells(shown, name)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--window", "2030:"], ["--window", "2030", "2022-01-03 to 2023-02-20"]),
        (["--window", "2022-13"], ["--window", "'2022-13'", "START:END"]),
        (["--window", "next year"], ["--window", "'next year'"]),
        (["--window", ""], ["--window", "START:END"]),
        (["--window", "2022-06:2022-02"], ["--window", "the earlier one first"]),
        (["--freq", "Q"], ["--freq", "did you mean 'QS'"]),
        (["--by", "month"], ["--by", "'channel', 'geo'"]),
        (["--format", "xml"], ["--format", "'json'"]),
        (["--recoverability", "--by", "geo"], ["--recoverability", "drop --by geo"]),
    ],
)
def test_truth_refuses(options, words, file):
    message = refused("truth", file, *options)
    assert all(word in message for word in words), message


# --- what-if


def test_a_single_change_is_what_predict_impact_gives(file, ds):
    options = ("whatif", file, "--set", "TV:North=+50%", "--window", "2022-05:2022-06")
    window = ("2022-05", "2022-06")
    wanted = predict_impact(ds, channel="TV", geo="North", window=window, by=0.5)
    told = as_json(*options)
    change, total = told["rows"]
    for name, value in wanted.items():
        assert change[name] == float(value), name
        assert total[name] == pytest.approx(float(value), rel=1e-9), name
    assert (change["channel"], change["geo"]) == ("TV", "North")
    assert (told["window_start"], told["window_end"]) == ("2022-05-02", "2022-06-27")
    assert told["carryout_periods"] == wanted.attrs["carryout_periods"] == 7
    rows = cells(ran(*options), "TV:North=+50%")
    assert rows == [
        [
            f"{float(wanted.incremental_spend):+,.0f}",
            *(
                f"{float(wanted[f'incremental_{name}{ending}']):+,.0f}"
                for name in ("sales", "revenue", "profit")
            ),
            f"{float(wanted[f'incremental_roas{ending}']):#.3g}",
        ]
        for ending in ("", "_with_carryout")
    ]
    assert wanted.incremental_roas_with_carryout > wanted.incremental_roas
    assert "total" not in ran(*options)


def test_several_changes_are_one_scenario(file, ds):
    window = ("2022-05", "2022-06")
    changes = [
        {"channel": "TV", "by": 0.5, "window": window},
        {"channel": "TV", "geo": "South", "to": 100.0, "window": window},
        {"channel": "a:b=50%", "by": -0.2, "window": window},
    ]
    wanted = compare_scenarios(ds, {"all": changes}).isel(scenario=0)
    settings = ("--set", "x1-TV=+50%", "--set", "TV:South=100", "--set", "a:b=50%=-20%")
    told = as_json("whatif", file, *settings, "--window", "2022-05:2022-06")
    *rows, total = told["rows"]
    assert total["change"] == "total"
    assert total["incremental_spend"] == float(wanted.incremental_spend)
    for name in ("sales", "revenue", "profit"):
        whole = float(wanted[f"incremental_{name}"])
        assert total[f"incremental_{name}_with_carryout"] == pytest.approx(whole, rel=1e-9)
    # TV falls in one geo: no ratio of the sums is a return.
    assert total["incremental_roas"] is total["incremental_roas_with_carryout"] is None
    # Each change starts from those before it, on the same channel too.
    for name in ("spend", "sales", "sales_with_carryout", "revenue_with_carryout", "profit"):
        figures = [row[f"incremental_{name}"] for row in rows]
        assert sum(figures) == pytest.approx(total[f"incremental_{name}"], rel=1e-9)
    first = simulate(ds, spend=change_investment(ds, **changes[0]))
    second = predict_impact(first, **changes[1])
    alone = predict_impact(ds, **changes[1])
    assert rows[1]["incremental_sales"] == float(second.incremental_sales)
    assert rows[1]["incremental_sales"] != pytest.approx(float(alone.incremental_sales), rel=1e-3)
    today, other = told["scenarios"]
    assert other["sales"] == float(wanted.sales)
    assert today["spend"] == pytest.approx(float(ds.spend.sum()))
    shown = cells(ran("whatif", file, *settings), "total")[0]
    total = as_json("whatif", file, *settings)["rows"][-1]
    assert shown[0] == f"{total['incremental_spend']:+,.0f}"
    assert shown[3:] == [f"{total['incremental_profit']:+,.0f}", "-"]


def test_whatif_shows_today_beside_the_scenario(file, ds):
    shown = ran("whatif", file, "--set", "TV=0")
    wanted = compare_scenarios(ds, {"today": [], "what-if": {"channel": "TV", "to": 0.0}})
    for name in ("today", "what-if"):
        one = wanted.sel(scenario=name)
        sizes = [f"{float(one[key]):,.0f}" for key in ("spend", "sales", "revenue")]
        assert cells(shown, name) == [[*sizes, f"{float(one.roas):#.3g}"]]
    assert "after the last date" in shown
    assert "after the last date" not in ran("whatif", file, "--set", "TV=0", "--window", "2022-05")


def test_only_changes_that_add_spend_have_a_return_together(file):
    total = as_json("whatif", file, "--set", "TV=+25%", "--set", "a:b=50%=+20%")["rows"][-1]
    for ending in ("", "_with_carryout"):
        ratio = total[f"incremental_revenue{ending}"] / total["incremental_spend"]
        assert total[f"incremental_roas{ending}"] == pytest.approx(ratio, rel=1e-12)
    settings = ("--set", "TV=+25%", "--set", "TV=-20%")
    total = as_rows("whatif", file, *settings)[-1]
    assert float(total["incremental_spend"]) == 0.0
    assert total["incremental_roas"] == total["incremental_roas_with_carryout"] == ""
    assert cells(ran("whatif", file, *settings), "total")[0][4] == "-"


def test_a_colon_divides_only_what_is_no_channel(tmp_path):
    # `:tv:` is the name of an emoji too, which is not to be drawn.
    channels = [
        ChannelConfig(name="a:b", base_spend=900.0, roas=2.0),
        ChannelConfig(name="a", base_spend=900.0, roas=2.0),
    ]
    regions = RegionConfig(region_names=["b", "x:tv:y", "y"], base_sales_rate=9000.0)
    config = MMMDataConfig(n_periods=20, channels=channels, regions=regions)
    made = to_netcdf(mmm_xgen.generate_mmm_dataset(config), tmp_path / "made.nc")
    settings = ("a:b=+10%", "a:b:b=+10%", "a:x:tv:y=+10%")
    rows = as_rows("whatif", made, *(word for each in settings for word in ("--set", each)))
    assert [(row["channel"], row["geo"]) for row in rows[:-1]] == [
        ("a:b", "b, x:tv:y, y"),
        ("a:b", "b"),
        ("a", "x:tv:y"),
    ]
    assert cells(ran("whatif", made, "--set", settings[2]), settings[2])
    assert "no channel named 'c:x:tv'" in refused("whatif", made, "--set", "c:x:tv:y=0")


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("TV", ["found 'TV'", "CHANNEL=CHANGE"]),
        ("TV=", ["found 'TV='"]),
        ("=+5%", ["CHANNEL:GEO=CHANGE"]),
        ("Ilde=+5%", ["no channel named 'Ilde'", "did you mean 'Idle'"]),
        ("TV:Nord=+5%", ["no geo named 'Nord'", "did you mean 'North'"]),
        ("TW:North=+5%", ["no channel named 'TW'"]),
        ("TV=50%", ["'50%'", "+50% or -20%"]),
        ("TV=+50", ["'+50'", "2000"]),
        ("TV=nan", ["'nan'"]),
        ("TV=1e999", ["inf"]),
        ("TV=-150%", ["-1.5", "at least -1"]),
    ],
)
def test_whatif_refuses_a_malformed_change(setting, words, file):
    message = refused("whatif", file, "--set", setting)
    assert message.startswith("--set")
    assert all(word in message for word in words), message


def test_whatif_needs_a_change_and_dates(file):
    assert "--set" in refused("whatif", file)
    assert "--window" in refused("whatif", file, "--set", "TV=+5%", "--window", "1999")


# --- optimize


def test_optimize_prints_what_optimize_allocation_gives(file, ds):
    rules = {"TV": {"min": 0.2}, "a:b=50%": {"max": 0.5}}
    best = optimize_allocation(ds, total_budget=200_000.0, constraints=rules)
    options = (
        *("optimize", file, "--budget", "200000"),
        *("--min", "x-TV=20%", "--max", "a:b=50%=0.5"),
    )
    told = as_json(*options)
    assert told["status"] == best.attrs["status"]
    assert told["total_budget"] == 200_000.0
    for name in ("gap_bound", "gap_estimate", "shadow_price"):
        assert told[name] == float(best[name])
    for row in told["rows"]:
        one = best.sel(channel=row["channel"])
        for name in ("optimal_spend", "current_spend", "multiplier", "contribution", "mroas"):
            assert same(row[name], one[name]), name
        assert (row["lower"], row["upper"]) == (float(one.lower), float(one.upper))
    shown = ran(*options)
    tv = best.sel(channel="TV")
    assert cells(shown, "TV") == [
        [
            f"{float(tv.current_spend):,.0f}",
            f"{float(tv.optimal_spend):,.0f}",
            f"{float(tv.multiplier) - 1:+.1%}",
            f"{float(tv.current_contribution):,.0f}",
            f"{float(tv.contribution):,.0f}",
            f"{float(tv.mroas):#.3g}",
        ]
    ]
    assert cells(shown, "Idle")[0][2] == "-"
    total = cells(shown, "total")[0]
    assert total[1] == f"{float(best.optimal_spend.sum()):,.0f}" == "200,000"
    assert total[4] == f"{float(best.contribution.sum()):,.0f}"
    assert f"status: {best.attrs['status']}\n" in shown
    assert f"no allowed split earns over EUR {float(best.gap_bound):.4g}" in shown
    assert f"earns {float(best.shadow_price):#.3g}" in shown


def test_optimize_has_todays_budget_by_default(file, ds):
    best = optimize_allocation(ds, window=("2022-06", None))
    told = as_json("optimize", file, "--window", "2022-06:")
    assert told["total_budget"] == float(ds.spend.sel(date=slice("2022-06", None)).sum())
    assert told["window"] == "2022-06-06 to 2023-02-20"
    assert [row["optimal_spend"] for row in told["rows"]] == best.optimal_spend.values.tolist()


def test_optimize_per_geo(file, ds):
    # 20 dates do for geos that are optimized apart.
    window = ("2022-10", None)
    best = optimize_allocation(ds, per_geo=True, window=window)
    words = ("optimize", file, "--per-geo", "--window", "2022-10:")
    rows = as_rows(*words)
    assert len(rows) == best.optimal_spend.size
    for row in rows:
        one = best.optimal_spend.sel(geo=row["geo"], channel=row["channel"])
        assert float(row["optimal_spend"]) == float(one)
        assert float(row["gap_bound"]) == float(best.gap_bound)
    shown = ran(*words)
    tv = best.optimal_spend.sel(geo="South", channel="TV")
    assert cells(shown, "South", "TV")[0][1] == f"{float(tv):,.0f}"
    assert cells(shown, "total")


@pytest.mark.parametrize(
    ("options", "rules"),
    [
        (["--lock", "x1-TV"], {"TV": {"locked": True}}),
        (
            ["--max-change", "*=30%", "--min-change", "TV=-0.1"],
            {"*": {"max_change": 0.3}, "TV": {"min_change": -0.1}},
        ),
        (
            ["--min-currency", "TV=1000", "--max-currency", "TV=9e4"],
            {"TV": {"min_currency": 1000.0, "max_currency": 90_000.0}},
        ),
    ],
)
def test_optimize_takes_every_constraint(options, rules, file, ds, free):
    best = optimize_allocation(ds, constraints=rules)
    rows = as_json("optimize", file, *options)["rows"]
    assert [row["optimal_spend"] for row in rows] == best.optimal_spend.values.tolist()
    assert not np.allclose(best.optimal_spend, free.optimal_spend, rtol=1e-3)


def test_a_budget_of_nothing(file):
    told = as_json("optimize", file, "--budget", "0")
    assert all(row["optimal_spend"] == 0 for row in told["rows"])
    assert cells(ran("optimize", file, "--budget", "0"), "total")[0][1:3] == ["0", "-100.0%"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--budget", "-5"], ["--budget", "-5", "at least 0"]),
        (["--budget", "nan"], ["--budget", "nan"]),
        (["--budget", "lots"], ["--budget"]),
        (["--min", "Ilde=0.2"], ["--min", "no channel named 'Ilde'", "'Idle'?"]),
        (["--lock", "TW"], ["--lock", "no channel named 'TW'"]),
        (["--min", "TV=lots"], ["--min TV", "'lots'"]),
        (["--min", "TV"], ["--min", "CHANNEL=NUMBER"]),
        (["--min", "TV=20"], ["--min TV", "a share of the budget from 0 to 1"]),
        (["--min-change", "TV=-200%"], ["--min-change TV", "-2"]),
        (["--min", "TV=0.1", "--min", "x-TV=0.2"], ["--min x-TV", "twice"]),
        (["--min", "TV=0.7", "--min", "Idle=0.5"], ["TV min=0.7", "Idle min=0.5", "minima"]),
        (["--max", "*=0.1"], ["TV max=0.1", "maxima", "--budget"]),
        (["--min", "TV=0.5", "--max", "x1-TV=0.2"], ["TV", "min 0.5 is above max 0.2"]),
        (["--lock", "TV", "--min", "TV=0.1"], ["TV", "locked together with min"]),
        (["--lock", "TV", "--budget", "1000"], ["TV locked at", "budget of 1000"]),
        (["--window", "1999"], ["--window", "1999"]),
    ],
)
def test_optimize_refuses(options, words, file):
    message = refused("optimize", file, *options)
    assert all(word in message for word in words), message
    assert "total_budget" not in message


# --- files


@pytest.mark.parametrize("command", [["truth"], ["whatif", "--set", "TV=+5%"], ["optimize"]])
def test_a_file_that_has_no_truth_is_refused(command, without_truth):
    name, *options = command
    for path, words in without_truth.items():
        message = refused(name, path, *options)
        assert message.startswith(str(path)), message
        assert words in message


@pytest.mark.parametrize("width", [10, 60])
def test_a_narrow_terminal_cuts_no_number(width, file, ds, monkeypatch):
    monkeypatch.setattr(tables, "console", lambda: Console(width=width, emoji=False))
    shown = ran("truth", file)
    tv = estimands(ds, by="channel").sel(channel="TV")
    assert cells(shown, "TV")[0] == [column.shown(float(tv[column.name])) for column in RETURNS]
    for command in (["truth", file, "--by", "geo"], ["optimize", file], ["describe", file]):
        shown += ran(*command)
    assert "…" not in shown


# --- channels that act on each other -----------------------------------------------------------


@pytest.fixture(scope="module")
def tied(tmp_path_factory):
    config = MMMDataConfig(
        n_periods=40,
        seed=3,
        channels=CHANNELS[:2],
        interactions=[{"channels": ["TV", "a:b=50%"], "strength": 0.1}],
    )
    ds = mmm_xgen.generate_mmm_dataset(config)
    return to_netcdf(ds, tmp_path_factory.mktemp("tied") / "tied.nc")


def test_channels_that_act_on_each_other_are_added_up_together(tied):
    best = optimize_allocation(load(tied))
    printed = ran("optimize", tied)
    assert "channels act on each other, so nothing proves" in " ".join(printed.split())
    assert " inf" not in printed
    total = cells(printed, "total")[0]
    assert total[-2] == f"{float(best.media_contribution):,.0f}"
    assert float(best.contribution.sum()) > 1.01 * float(best.media_contribution)
    told = as_json("optimize", tied)
    assert told["gap_bound"] is None
    assert told["media_revenue"] == float(best.media_revenue)


def test_grades_of_what_the_bounds_do_not_know_are_refused(tied):
    assert "recoverability" in refused("truth", tied, "--recoverability")
    assert "ROAS" in ran("truth", tied)
