"""The accessor does what the functions do, and nothing else."""

from __future__ import annotations

import inspect
import json
from functools import partial

import pandas as pd
import pytest
import xarray as xr

import mmm_xgen as m
import mmm_xgen.accessor
from mmm_xgen import export, truth
from mmm_xgen.accessor import MMMAccessor
from mmm_xgen.aggregate import aggregate

METHODS = {name: getattr(MMMAccessor, name) for name in [*vars(MMMAccessor)] if name[0] != "_"}
SOURCES = {
    "to_frame": export.to_frame,
    "ground_truth": export.ground_truth,
    "to_netcdf": export.to_netcdf,
    "write_csv": export.write_csv,
    "write_parquet": export.write_parquet,
    "write_json": export.write_json,
    "write_ground_truth": export.write_ground_truth,
    "aggregate": aggregate,
    "regenerate": m.regenerate,
    "check_quality": m.check_data_quality,
    "write_report": m.write_report,
    **{name: getattr(truth, name) for name in truth.__all__},
}
# They take no dataset first.
NO_METHODS = {"meridian_roi_prior", "write_scenarios"}
SOURCES = {name: source for name, source in SOURCES.items() if name not in NO_METHODS}


@pytest.fixture(scope="module")
def ds() -> xr.Dataset:
    return m.generate_mmm_dataset()


def test_what_it_has():
    assert {*METHODS} == {*SOURCES, "config", "plot", "respond"}


@pytest.mark.parametrize("name", SOURCES)
def test_a_method_takes_what_its_function_takes(name):
    """The same arguments, defaults and kinds, after the dataset."""
    own = list(inspect.signature(METHODS[name]).parameters.values())[1:]
    original = list(inspect.signature(SOURCES[name]).parameters.values())[1:]
    assert [(p.name, p.default, p.kind) for p in own] == [
        (p.name, p.default, p.kind) for p in original
    ]


def test_methods_forward(ds, tmp_path):
    pd.testing.assert_frame_equal(ds.mmm.to_frame(), export.to_frame(ds))
    assert ds.mmm.ground_truth(series=True) == export.ground_truth(ds, series=True)
    assert export.load(ds.mmm.to_netcdf(tmp_path / "a.nc", compression=1)).identical(ds)
    for name in ("write_csv", "write_parquet", "write_json"):
        written = getattr(ds.mmm, name)(tmp_path / "a")
        expected = getattr(export, name)(ds, tmp_path / "b")
        assert written.read_bytes() == expected.read_bytes()
    path = ds.mmm.write_ground_truth(tmp_path / "t.json", series=True)
    assert json.loads(path.read_text(encoding="utf-8")) == export.ground_truth(ds, series=True)
    assert ds.mmm.aggregate("all", "QS").identical(aggregate(ds, "all", "QS"))
    assert ds.mmm.regenerate().identical(ds)
    assert ds.mmm.config == m.DEFAULT_CONFIG
    assert ds.mmm.roas(("geo", "channel")).identical(truth.roas(ds, ("geo", "channel")))
    assert ds.mmm.attribution(of="media").identical(truth.attribution(ds, of="media"))
    assert (ds.mmm.respond(ds["spend"]) == ds["channel_contribution"]).all()
    assert (ds.mmm.respond(ds["spend"] * 0) == 0).all()
    assert str(ds.mmm.check_quality()) == str(m.check_data_quality(ds))


# What it shows --------------------------------------------------------------------------------

TEN_LINES = """\
dataset  generated, with the truth
date     52 weeks, 2022-01-03 to 2022-12-26
geo      1 geo: geo_a
channel  3 channels: TV, Digital, Print
control  0 controls
spend    {spend:,.0f} USD in all
y        {sales:,.0f} sales in all
media    {media:.1%} of expected sales
ROAS     TV {tv:.2f}, Digital {digital:.2f}, Print {print:.2f}
made     by mmm-xgen {version}, seed 42, configuration: ds.mmm.config"""


def test_ten_lines_say_what_it_is():
    ds = m.generate_mmm_dataset(m.get_preset_config("basic"))
    roas = truth.roas(ds).values
    assert repr(ds.mmm) == TEN_LINES.format(
        spend=float(ds.spend.sum()),
        sales=float(ds.y.sum()),
        media=float(ds.channel_contribution.sum() / ds.mu.sum()),
        **dict(zip(("tv", "digital", "print"), roas, strict=True)),
        version=m.__version__,
    )


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda ds: ds.sel(geo="geo_a"), "geo      geo_a"),
        (lambda ds: ds.isel(date=3), "date     1 week, 2022-01-24"),
        (lambda ds: ds.isel(channel=[]), "channel  0 channels"),
        (lambda ds: aggregate(ds, "all", "QS"), "date     8 quarters, 2022-01-01 to 2023-10-01"),
        (lambda ds: ds[["spend", "y"]].drop_attrs(), "dataset  from elsewhere, without the truth"),
        (lambda ds: ds.assign(y=ds.y.astype(str)), "dataset  generated, with the truth"),
        (lambda ds: ds.assign(spend=ds.spend * 2), "dataset  generated, with the truth"),
        (lambda ds: truth.roas(ds).to_dataset(), "dataset  not marketing-mix data: "),
        (
            lambda ds: m.generate_ensemble(n=3, chunks=None),
            "dataset  ensemble of 3 datasets, with the truth",
        ),
        (
            lambda ds: m.generate_ensemble(seeds=[8, 9], chunks=1).isel(dataset=1),
            f"made     by mmm-xgen {m.__version__}, seed 9",
        ),
        (
            lambda ds: ds.assign_coords(channel=["<b>\x1b\n", "x" * 200, "Radio"]),
            "channel  3 channels: <b>??, xxx",
        ),
    ],
)
def test_any_dataset_is_shown_in_ten_lines(ds, change, line):
    changed = change(ds)
    lines = repr(changed.mmm).split("\n")
    assert [each for each in lines if each.startswith(line)]
    assert len(lines) <= 10 and max(map(len, lines)) <= 100
    assert changed.mmm._repr_html_().count("<tr>") == len(lines)
    assert "<b>" not in changed.mmm._repr_html_()


def test_the_configuration_is_printed_as_yaml(ds):
    config = ds.mmm.config
    assert isinstance(config, m.MMMDataConfig)
    assert repr(config) == str(config) == config.to_yaml()
    assert m.MMMDataConfig.from_yaml(str(config)) == config


# Pictures -------------------------------------------------------------------------------------


def test_every_picture_has_a_method(ds, monkeypatch):
    from mmm_xgen import plots

    names = {name.removeprefix("plot_"): name for name in plots.__all__}
    assert {name for name in dir(ds.mmm.plot) if name[0] != "_"} == {*names}
    for name, function in names.items():
        method, original = getattr(ds.mmm.plot, name), getattr(plots, function)
        assert method.__doc__ == original.__doc__
        own = list(inspect.signature(method).parameters.values())
        assert own == list(inspect.signature(original).parameters.values())[1:]
    drawn = ds.mmm.plot.spend(kind="area").axes[0].get_ylabel()
    assert drawn == plots.plot_spend(ds, kind="area").axes[0].get_ylabel()


# Selections of one label ----------------------------------------------------------------------

ARGUMENTS = {
    "change_investment": {"channel": "Trend", "by": 0.1},
    "compare_scenarios": {"scenarios": {"more": {"channel": "Trend", "by": 0.1}}},
    "lift_test": {
        "channel": "Trend", "window": ("2022-02-07", "2022-03-07"), "change": -0.5, "se": 10.0
    },
    "meridian_calibration_period": {"prior": pd.DataFrame()},
    "predict_impact": {"channel": "Trend", "by": 0.1},
    "write_csv": {"path": "a.csv"},
    "write_ground_truth": {"path": "a.json"},
    "write_json": {"path": "b.json"},
    "write_parquet": {"path": "a.parquet"},
    "to_netcdf": {"path": "a.nc"},
}  # fmt: skip
# They take any Dataset, or the configuration alone.
TAKE_ALL = {"check_quality", "regenerate", "write_report"}
SELECTIONS = {
    'channel=["Trend"]': lambda ds: ds.sel(channel="Trend"),
    'date=["2022-01-03"]': lambda ds: ds.isel(date=0),
    "geo=[0]": lambda ds: ds.isel(geo=0, drop=True),
    'channel=["Seasonal"], geo=["geo_a"]': lambda ds: ds.isel(channel=[0], geo=[0]).squeeze(),
}


@pytest.mark.parametrize("selection", SELECTIONS)
def test_a_lost_dim_is_named_with_the_selection_that_keeps_it(ds, selection, tmp_path, monkeypatch):
    from mmm_xgen import plots

    monkeypatch.chdir(tmp_path)
    selected = SELECTIONS[selection](ds)
    calls = {
        name: partial(getattr(selected.mmm, name), **ARGUMENTS.get(name, {}))
        for name in {*SOURCES} - TAKE_ALL
    }
    calls["simulate"] = partial(truth.simulate, selected, spend=ds.spend)
    calls["regret"] = partial(truth.regret, selected, ds[["spend"]])
    promoted = m.generate_mmm_dataset(promotions=[{"name": "Sale"}, {"name": "Offer"}])
    calls["promotion_returns"] = SELECTIONS[selection](promoted).mmm.promotion_returns
    calls["respond"] = partial(m.respond, selected.spend, ds)
    calls |= {name: partial(getattr(plots, name), selected) for name in plots.__all__}
    calls["plot_what_if"] = partial(plots.plot_what_if, selected, ds.spend)
    calls["plot_budget"] = partial(plots.plot_budget, selected, ds)
    for name in ("plot_scenarios", "plot_quality", "what_if_simulator"):
        del calls[name]
    kept = 0
    for name, call in calls.items():
        try:
            call()
        except m.XgenError as error:
            # A variable may lack a part of the selection only.
            parts = [selection, *selection.split(", ")]
            assert any(f"sel({part})" in str(error) for part in parts), (name, str(error))
        else:
            kept += 1
    assert kept < len(calls) / 2


def test_a_lost_control_is_named_too(ds):
    with pytest.raises(m.SchemaError, match=r'.sel\(control=\["Price"\]\)'):
        truth.recoverability(ds.sel(control="Price"))


def test_a_view_sees_its_own_data(ds):
    """The accessor is kept with the object, so a selection must get one of its own."""
    assert ds.mmm.to_frame().shape == (208, 8)
    assert ds.isel(geo=[0], date=slice(10)).mmm.to_frame().shape == (10, 8)


def test_other_datasets_get_an_error_that_teaches():
    other = xr.Dataset({"a": ("x", [1.0])})
    for call in (other.mmm.to_frame, other.mmm.roas, other.mmm.regenerate, other.mmm.ground_truth):
        with pytest.raises(m.SchemaError, match="generate_mmm_dataset"):
            call()


@pytest.mark.parametrize(
    ("key", "advice"),
    [("data", "to_frame()"), ("ground_truth", "ground_truth()"), ("config", "ds.mmm.config")],
)
def test_a_key_of_the_former_dictionary_gets_a_hint(ds, key, advice):
    for each in (ds, ds.isel(date=slice(3))):
        with pytest.raises(KeyError) as error:
            each[key]
        assert advice in str(error.value)
    # Other keys, and other people's Datasets, get the message of xarray.
    with pytest.raises(KeyError, match="No variable named 'spent'"):
        ds["spent"]
    with pytest.raises(KeyError, match=f"No variable named '{key}'"):
        xr.Dataset({"a": 1})[key]
    assert type(ds) is xr.Dataset
