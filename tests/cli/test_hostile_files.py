"""Files that are damaged, altered or of something else: one line and status 2, no traceback."""

import json
import warnings

import numpy as np
import pytest
from hypothesis import settings

import mmm_xgen
from mmm_xgen.storage.names import stored_names
from tests.cli.commands import refused, run
from tests.report import blank

# `make test-slow` tries twenty times as many.
CALLS = settings.default.max_examples
COMMANDS = (
    ("describe",),
    ("truth",),
    ("truth", "--by", "geo", "--format", "json"),
    ("truth", "--freq", "MS", "--format", "csv"),
    ("truth", "--recoverability"),
    ("truth", "--window", "2022-02:"),
    ("whatif", "--set", "TV=+50%"),
    ("whatif", "--set", "TV:north=-20%", "--set", "Radio=100", "--format", "json"),
    ("optimize",),
    ("optimize", "--per-geo", "--lock", "Radio", "--window", "2022-02:"),
    ("validate",),
)
CHANNELS = [
    {"name": "x-TV", "roas": 1.5},
    {"name": "Radio", "pattern": "seasonal", "seasonal_amplitude": 0.5, "roas": 2.0},
]
CONFIG = {
    "n_periods": 12,
    "channels": CHANNELS,
    "regions": {"region_names": ["north", "south"]},
    "control_variables": [{"name": "Price", "base_value": 9.0, "gamma_control": -10.0}],
}


def datasets():
    config = mmm_xgen.MMMDataConfig(**CONFIG)
    bare = config.replace(control_variables=[], burn_in_periods=3)
    many = mmm_xgen.generate_ensemble(config, n=2, vary={"channels.TV.roas": [1.0, 2.0]})
    many = many.compute()
    return {
        "one": mmm_xgen.generate_mmm_dataset(config),
        "bare": mmm_xgen.generate_mmm_dataset(bare),
        "monthly": mmm_xgen.aggregate(mmm_xgen.generate_mmm_dataset(config), geo=None, freq="MS"),
        "national": mmm_xgen.aggregate(mmm_xgen.generate_mmm_dataset(config)),
        "ensemble": many.rename(stored_names(many)),
        "element": many.isel(dataset=1).rename(stored_names(many)),
    }


# What can be done to a Dataset. Each takes it and a Generator and returns another one. ----------


def pick(rng, names):
    names = list(names)
    return names[rng.integers(len(names))] if names else None


def drop_variable(ds, rng):
    return ds.drop_vars(pick(rng, ds.variables))


def drop_attribute(ds, rng):
    return ds.drop_attrs() if rng.random() < 0.1 else ds.assign_attrs({pick(rng, ds.attrs): None})


def change_attribute(ds, rng):
    values = ["", "nonsense", -1, 0, 1.5, np.nan, [1, 2], "[]", "{}", "null", "\u00fc\n\x1b[2J"]
    return ds.assign_attrs({pick(rng, ds.attrs): values[rng.integers(len(values))]})


def lose_dim(ds, rng):
    return ds.isel({pick(rng, ds.dims): 0}, drop=bool(rng.integers(2)))


def lose_dim_of_one(ds, rng):
    name = pick(rng, [n for n in ds.data_vars if ds[n].dims])
    return ds.assign({name: ds[name].isel({pick(rng, ds[name].dims): 0}, drop=True)})


def scalar_variable(ds, rng):
    name = pick(rng, ds.data_vars)
    return ds.drop_vars(name).assign({name: 1.0})


def add_dim(ds, rng):
    return ds.expand_dims({pick(rng, ["draw", "dataset", "scenario", "brand"]): 2})


def add_dim_to_one(ds, rng):
    name = pick(rng, ds.data_vars)
    return ds.assign({name: ds[name].expand_dims({"extra": 2})})


def add_own_dim_to_one(ds, rng):
    name = pick(rng, ds.data_vars)
    dim = pick(rng, [d for d in ds.dims if d not in ds[name].dims])
    return ds if dim is None else ds.assign({name: ds[name].expand_dims({dim: ds.sizes[dim]})})


def reset_index(ds, rng):
    return ds.drop_vars(pick(rng, ds.dims), errors="ignore")


def rename_dim(ds, rng):
    return ds.rename({pick(rng, ds.dims): "renamed"})


def rename_variable(ds, rng):
    return ds.rename({pick(rng, ds.variables): "renamed"})


def empty_dim(ds, rng):
    return ds.isel({pick(rng, ds.dims): slice(0)})


def part_of_dim(ds, rng):
    return ds.isel({pick(rng, ds.dims): slice(0, 1)})


def reverse_dim(ds, rng):
    return ds.isel({pick(rng, ds.dims): slice(None, None, -1)})


def duplicate_labels(ds, rng):
    dim = pick(rng, ds.indexes)
    return ds.assign_coords({dim: np.repeat(ds[dim].values[:1], ds.sizes[dim])})


def duplicate_entries(ds, rng):
    dim = pick(rng, ds.dims)
    return ds.isel({dim: [0, *range(ds.sizes[dim])]})


def replace_labels(ds, rng):
    dim = pick(rng, ds.dims)
    size = ds.sizes[dim]
    labels = [
        np.arange(size),
        np.arange(size) * 0.5,
        np.full(size, np.nan),
        np.full(size, ""),
        np.array([f"new {i}" for i in range(size)]),
        np.full(size, np.datetime64("NaT", "ns")),
        np.array(["2022-01-03"] * size, dtype="datetime64[ns]"),
        np.array([f"\x1b]0;{i}\x07\n" for i in range(size)]),
    ]
    return ds.assign_coords({dim: (dim, labels[rng.integers(len(labels))])})


def replace_values(ds, rng):
    name = pick(rng, ds.variables)
    shape, dims = ds[name].shape, ds[name].dims
    values = [
        np.full(shape, np.nan),
        np.full(shape, np.inf),
        np.full(shape, -1.0),
        np.zeros(shape),
        np.full(shape, 1e300),
        np.full(shape, 1e-312),
        np.zeros(shape, dtype=int),
        np.full(shape, 10**6),
        np.full(shape, "text"),
        np.full(shape, ""),
        np.full(shape, np.datetime64("2022-01-03", "ns")),
        np.zeros(shape, dtype="int8"),
        rng.normal(size=shape),
    ]
    changed = (dims, values[rng.integers(len(values))])
    return ds.assign_coords({name: changed}) if name in ds.coords else ds.assign({name: changed})


def some_missing(ds, rng):
    name = pick(rng, [n for n in ds.data_vars if ds[n].size and ds[n].dtype.kind == "f"])
    values = ds[name].values.copy()
    values.flat[rng.integers(values.size)] = pick(rng, [np.nan, np.inf, -np.inf, -1e9])
    return ds.assign({name: (ds[name].dims, values)})


def change_type(ds, rng):
    name = pick(rng, ds.variables)
    kind = pick(rng, ["float32", "int64", "int8", "str", "bool"])
    assign = ds.assign if name in ds.data_vars else ds.assign_coords
    return assign({name: ds[name].astype(kind)})


def move_coordinate(ds, rng):
    return ds.reset_coords(pick(rng, [n for n in ds.coords if n not in ds.dims]))


def make_coordinate(ds, rng):
    return ds.set_coords(pick(rng, ds.data_vars))


def change_config(ds, rng):
    config = json.loads(ds.attrs["config"])
    changes = [
        {"channels": config["channels"][:1]},
        {"channels": []},
        {"channels": [*config["channels"], {"name": "New"}]},
        {"regions": {"region_names": ["east"]}},
        {"n_periods": 3},
        {"start_date": "2019-01-06"},
        {"seed": "many"},
        {"unknown": 1},
        {"control_variables": [{"name": "Other"}]},
        {"regions": {"noise": {"kind": "nonsense"}}},
        {"regions": None},
        {"currency": 3},
    ]
    changed = {**config, **changes[rng.integers(len(changes))]}
    return ds.assign_attrs(config=json.dumps(changed))


def nothing(ds, rng):
    return ds


CHANGES = (
    drop_variable, drop_attribute, change_attribute, lose_dim, lose_dim_of_one,
    scalar_variable, add_dim, add_dim_to_one, add_own_dim_to_one, reset_index,
    rename_dim, rename_variable, empty_dim, part_of_dim, reverse_dim,
    duplicate_labels, duplicate_entries, replace_labels, replace_values, some_missing,
    change_type, move_coordinate, make_coordinate, change_config, nothing,
)  # fmt: skip


def changed(ds, rng):
    for _ in range(rng.integers(1, 4)):
        change = CHANGES[rng.integers(len(CHANGES))]
        try:
            ds = change(ds, rng)
        except (KeyError, ValueError, TypeError, IndexError):
            continue
    ds = ds.drop_encoding()
    ds.attrs = {name: value for name, value in ds.attrs.items() if value is not None}
    return ds


def write_hostile(path, ds, rng):
    """Write a changed Dataset, and sometimes damage the file; False where NetCDF cannot hold it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            changed(ds, rng).to_netcdf(path, engine="netcdf4")
    except Exception:
        return False
    if rng.random() < 0.05:
        content = path.read_bytes()
        path.write_bytes(content[: rng.integers(len(content))])
    return True


DATASETS = datasets()


@pytest.mark.hypothesis
@pytest.mark.parametrize("seed", range(CALLS))
def test_a_hostile_file_gives_one_line(seed, tmp_path, monkeypatch):
    blank.no_pixels(monkeypatch)
    rng = np.random.default_rng(seed)
    path = tmp_path / "hostile.nc"
    while not write_hostile(path, DATASETS[pick(rng, DATASETS)], rng):
        path.unlink(missing_ok=True)
    # A report takes as long as ten of the others.
    command, *options = pick(rng, COMMANDS) if seed % 40 else ("report",)
    if command == "report":
        options = ["--out", str(tmp_path / "report.html")]
    result = run(command, path, *options)
    told = (command, options, repr(result.exception))
    assert result.exception is None or isinstance(result.exception, SystemExit), told
    lines = result.stderr.splitlines()
    errors = [line for line in lines if line.startswith("mmm-xgen: error: ")]
    assert all(line.startswith("mmm-xgen: ") for line in lines), lines
    assert len(errors) == (result.exit_code == 2), lines
    if errors:
        assert str(path) in errors[0] or errors[0].startswith("mmm-xgen: error: --"), errors
        assert result.stdout == ""
    else:
        assert result.exit_code in ((0, 1) if command == "validate" else (0,))


ONE = DATASETS["one"]
KINDS = {
    "ensemble": (DATASETS["ensemble"], "this is an ensemble of 2 datasets"),
    "lost dim": (ONE.isel(geo=0, drop=True), "'spend' has dims ['channel', 'date'], allowed"),
    "extra dim": (
        ONE.expand_dims(draw=2),
        "has dims ['date', 'draw', 'geo'], allowed: ['date', 'geo']",
    ),
    "coordinate reset": (ONE.drop_vars("channel"), "the dim 'channel' has no labels"),
    "geo twice": (ONE.assign_coords(geo=["north", "north"]), "'geo' has the label 'north' twice"),
    "dates backwards": (ONE.isel(date=slice(None, None, -1)), "'date' is not in order"),
    "dates as numbers": (ONE.assign_coords(date=range(12)), "'date' has labels of type integer"),
    "scalar": (ONE.assign(mu=1.0), "'mu' has dims [], allowed: ['date', 'geo']"),
    "text": (ONE.assign(y=ONE.y.astype(str)), "'y' has values of type"),
    "gap": (ONE.assign(spend=ONE.spend.where(ONE.date > ONE.date[0])), "'spend' has values that"),
    "no unit": (ONE.assign_attrs(kpi=3), "as its attribute 'kpi'"),
    "other configuration": (
        ONE.assign_coords(geo=["north", "east"]),
        "its geo 'east' is not in its configuration; allowed: 'north', 'south'",
    ),
    "broken configuration": (ONE.assign_attrs(config="{"), "its configuration cannot be used"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_damage_is_named(kind, tmp_path):
    path = tmp_path / "hostile.nc"
    ds, words = KINDS[kind]
    ds.to_netcdf(path)
    for command in ("describe", "truth"):
        message = refused(command, path)
        assert message.startswith(f"{path}: ")
        assert words in message
        assert "may be damaged (" not in message
