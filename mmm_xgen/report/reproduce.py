"""The code that makes a dataset again, and this report of it."""

from __future__ import annotations

import json
from collections.abc import Sequence

import xarray as xr

from mmm_xgen.dataset import config_of
from mmm_xgen.errors import ConfigError
from mmm_xgen.presets import (
    get_preset_config,
    list_available_presets,
    list_available_worlds,
)
from mmm_xgen.report.content import Block, Code, Text
from mmm_xgen.report.subject import Subject
from mmm_xgen.version import __version__

FROM_PRESET = """\
import mmm_xgen

config = mmm_xgen.get_preset_config({preset!r}, seed={seed})
ds = mmm_xgen.generate_mmm_dataset(config)
"""
FROM_YAML = """\
import mmm_xgen

config = mmm_xgen.MMMDataConfig.from_yaml({text})
ds = mmm_xgen.generate_mmm_dataset(config)
"""
FROM_FILE = """\
import mmm_xgen

ds = mmm_xgen.regenerate(mmm_xgen.load("dataset.nc"))
"""
REPORT_OF_DATA = """\
import pandas
from mmm_xgen.report import write_report

write_report(pandas.read_csv("data.csv"), "report.html")
"""


def reproduction(subject: Subject) -> Sequence[Block]:
    """Show the Python code and the commands that make the data again."""
    data = subject.data
    if not isinstance(data, xr.Dataset) or not subject.config:
        return _of_foreign()
    version = str(data.attrs.get("mmm_xgen_version", __version__))
    seed = data.attrs.get("seed", "unknown")
    made = f"Made by mmm-xgen {version} with seed {seed}"
    if "counterfactual" in data.attrs:
        what = data.attrs["counterfactual"]
        return [Text(f"{made}, then made a counterfactual: {what}. No configuration makes it.")]
    if "config" not in data.attrs:
        steps = data.attrs.get("aggregation", "in a way that it does not say")
        return [
            Text(
                f"{made}, then changed: {steps}. The configuration above is that of its source: "
                "generate from it, and change the dataset again."
            )
        ]
    promise = "The same versions on the same machine give the same numbers, bit for bit."
    return [Text(f"{made}. {promise}"), *_recipe(data, version)]


def preset_of(ds: xr.Dataset) -> str | None:
    """Find the preset or world that a dataset was made from unchanged, except for its seed.

    Examples
    --------
    >>> import mmm_xgen
    >>> preset_of(mmm_xgen.generate_mmm_dataset(mmm_xgen.get_preset_config("basic"), seed=9))
    'basic'
    >>> preset_of(mmm_xgen.generate_mmm_dataset())
    """
    written = str(ds.attrs["config"])
    n_periods, seed = (json.loads(written).get(name) for name in ("n_periods", "seed"))
    for name in (*list_available_presets(), *list_available_worlds()):
        preset = get_preset_config(name, seed=seed)
        if preset.n_periods == n_periods and preset.to_json() == written:
            return name
    return None


def _recipe(ds: xr.Dataset, version: str) -> Sequence[Block]:
    install = f"# In a checkout of mmm-xgen {version}\npip install .\n"
    try:
        text = config_of(ds).to_yaml()
    except ConfigError as error:
        return [
            Text(f"It uses parts that are registered elsewhere; register them first ({error})."),
            Code("Python", FROM_FILE),
        ]
    given = [name for name in str(ds.attrs.get("given_params", "")).split(",") if name]
    given = ["spend"] * bool(ds.attrs.get("spend_is_given")) + given
    if given:
        return [
            Text(
                f"Given and not drawn: {', '.join(given)}. The file of the dataset holds what was "
                "given, the configuration alone does not."
            ),
            Code("Python", FROM_FILE),
        ]
    preset, seed = preset_of(ds), int(ds.attrs["seed"])
    if preset is not None:
        command = f"mmm-xgen generate {preset} --seed {seed}\n"
        command += f"mmm-xgen report {preset}.nc --out report.html\n"
        python = FROM_PRESET.format(preset=preset, seed=seed)
        return [Code("Python", python), Code("Command line", install + command)]
    command = "mmm-xgen generate config.yaml\nmmm-xgen report config.nc --out report.html\n"
    return [
        Code("Python", FROM_YAML.format(text=_quoted(text))),
        Text("Or, with the YAML of the section on the configuration saved as config.yaml:"),
        Code("Command line", install + command),
    ]


def _quoted(text: str) -> str:
    """Python literal of the text, readable where it can be."""
    if "\\" in text or '"""' in text or not text.replace("\n", "").isprintable():
        return repr(text)
    return f'"""\\\n{text}"""'


def yaml_of(subject: Subject) -> str:
    """Write the configuration as YAML; its kinds need not be registered here."""
    from mmm_xgen.config.safe_yaml import dump_yaml

    return dump_yaml(dict(subject.config))


def _of_foreign() -> Sequence[Block]:
    command = "mmm-xgen validate data.csv\nmmm-xgen report data.csv --out report.html\n"
    return [
        Text(
            f"These data were not made by mmm-xgen, or do not say how. mmm-xgen {__version__} made "
            "this report of them, with the name of your file in place of data.csv:"
        ),
        Code("Python", REPORT_OF_DATA),
        Code("Command line", command),
    ]
