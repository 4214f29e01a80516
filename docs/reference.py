"""Reference pages that follow from the code: API, Dataset schema, configuration, command line."""

from __future__ import annotations

import importlib
import inspect
import re
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from files import keep_only, table, write

import mmm_xgen
from mmm_xgen import schema
from mmm_xgen.config import causes
from mmm_xgen.config.descriptions import Description, keys_of_kind, parameters
from mmm_xgen.config.promotion import PromotionConfig
from mmm_xgen.config.region import OutlierConfig, SeasonalityConfig
from mmm_xgen.config.specs import AdstockSpec, EffectPathSpec, NoiseSpec, ResponseSpec
from mmm_xgen.config.spend_plan import SpendPlanConfig
from mmm_xgen.kernels.adstock import ADSTOCKS
from mmm_xgen.kernels.baseline import EVENT_SHAPES, TRENDS
from mmm_xgen.kernels.budget_rules import BUDGET_RULES
from mmm_xgen.kernels.effect_paths import EFFECT_PATHS
from mmm_xgen.kernels.noise import NOISES
from mmm_xgen.kernels.patterns import PATTERNS
from mmm_xgen.kernels.responses import RESPONSES
from mmm_xgen.kernels.saturation import SATURATIONS

# What is public, each page with the words at its head. A name is documented where it is first.
MODULES = {
    "mmm_xgen": "Configuration, generation, files, quality checks and registration.",
    "mmm_xgen.ensemble": "Thousands of datasets along a leading dim.",
    "mmm_xgen.truth": "What is true of a dataset; most of it is also a method of `ds.mmm`.",
    "mmm_xgen.plots": "Pictures of a Dataset.",
    "mmm_xgen.export": "Data and truth for other libraries.",
    "mmm_xgen.export.meridian": "Data for Google Meridian.",
    "mmm_xgen.quality": "Checks of any modelling dataset.",
    "mmm_xgen.recovery": "Fits of real models, scored against the truth.",
    "mmm_xgen.recovery.plots": "Pictures of fits and studies.",
    "mmm_xgen.recovery.scoring.metrics": "Metrics of draws against a true value.",
    "mmm_xgen.presets": "Presets, what they keep to, and named worlds.",
    "mmm_xgen.errors": "What is raised and warned.",
    "mmm_xgen.accessor": "The accessor `ds.mmm`.",
    "mmm_xgen.schema": "The table of all variables.",
}
MODELS = {
    "MMMDataConfig": "The whole.",
    "ChannelConfig": "`channels`: a list.",
    "ControlConfig": "`control_variables`: a list.",
    "RegionConfig": "`regions`.",
    "SeasonalityConfig": "`regions.seasonalities`: a list.",
    "OutlierConfig": "`regions.outliers`.",
    "TransformConfig": "`transforms`.",
    "EventConfig": "`events`: a list.",
    "ExperimentConfig": "`experiments`: a list.",
    "SpendPlanConfig": "`spend_plan`.",
    "DemandConfig": "`demand`.",
    "IndicatorConfig": "`demand.indicators`: a list.",
    "DriverConfig": "`demand.drivers`: a list.",
    "FunnelConfig": "`funnels`: a list.",
    "InteractionConfig": "`interactions`: a list.",
    "MediatorConfig": "`mediators`: a list.",
    "PromotionConfig": "`promotions`: a list.",
    "PullForwardConfig": "`pull_forward` of a channel or promotion.",
    "SpendCorrelationConfig": "`spend_correlation`: a list.",
}
# Fields that name a kind, with the class that describes the keys that all the kinds have.
KINDS = (
    ("Spend patterns", "`pattern` of a channel or control", PATTERNS, None),
    ("Adstock", "`adstock_fun`", ADSTOCKS, AdstockSpec),
    ("Saturation", "`saturation_fun`", SATURATIONS, None),
    ("Trends", "`trend` of `regions`", TRENDS, None),
    ("Shapes of events", "`shape` of an event", EVENT_SHAPES, None),
    ("Noise", "`noise` of `regions`", NOISES, NoiseSpec),
    ("Budget rules", "`budget_rule` of a channel", BUDGET_RULES, None),
    ("Paths of effects", "`effect_path` of a channel", EFFECT_PATHS, EffectPathSpec),
    ("Responses", "`response`", RESPONSES, ResponseSpec),
)


def write_pages(target: Path) -> None:
    """Write all reference pages into the folder `target`."""
    pages = {f"{name}.rst": text for name, text in _api()}
    keep_only(target / "api", set(pages))
    for name, text in pages.items():
        write(target / "api" / name, text)
    write(target / "schema.md", _schema())
    write(target / "configuration.md", _configuration())
    write(target / "command_line.md", _command_line())
    for name, text in _benchmark():
        write(target / "benchmark" / f"{name}.inc", text)


# Benchmark -------------------------------------------------------------------------------------

BENCHMARK = Path(__file__).parents[1] / "benchmarks" / "recovery"
PARTS = {
    "results": "results-so-far",
    "protocol": "protocol-of-the-recovery-benchmark",
    "deviations": "deviations-from-the-protocol",
}


def _benchmark() -> Iterator[tuple[str, str]]:
    """Texts of the benchmark; what they link to is on the same page, or in the repository only."""
    for name in PARTS:
        text = (BENCHMARK / f"{name.upper()}.md").read_text(encoding="utf-8")
        for other, anchor in PARTS.items():
            text = text.replace(f"]({other.upper()}.md)", f"](#{anchor})")
        yield name, re.sub(r"\[([^\]]*)\]\((?!#)[^)]*\)", r"`\1`", text)


# API -------------------------------------------------------------------------------------------


def public_names(module: types.ModuleType) -> list[str]:
    """Return what a module offers: its `__all__`, else what it defines without an underscore."""
    declared = getattr(module, "__all__", None)
    if declared is not None:
        return [name for name in declared if not name.startswith("__")]
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    ]


def _api() -> Iterator[tuple[str, str]]:
    seen: dict[int, str] = {}
    for path, words in MODULES.items():
        module = importlib.import_module(path)
        parts: dict[str, list[str]] = {"Functions": [], "Classes": [], "Values": []}
        elsewhere = []
        for name in public_names(module):
            value = getattr(module, name)
            is_object = callable(value) and not isinstance(value, mmm_xgen.MMMDataConfig)
            if is_object and id(value) in seen:
                elsewhere.append(f"{path}.{name} = {seen[id(value)]}")
                continue
            if is_object:
                seen[id(value)] = f"{path}.{name}"
            group = "Classes" if inspect.isclass(value) else "Functions" if is_object else "Values"
            parts[group].append(name)
        yield path, _api_page(path, words, module, parts, elsewhere)


def _api_page(
    path: str,
    words: str,
    module: types.ModuleType,
    parts: dict[str, list[str]],
    elsewhere: list[str],
) -> str:
    lines = [path, "=" * len(path), "", words, "", f".. currentmodule:: {path}", ""]
    for title, names in parts.items():
        if not names:
            continue
        lines += [title, "-" * len(title), ""]
        if title != "Values":
            lines += [".. autosummary::", "   :nosignatures:", ""]
            lines += [f"   {name}" for name in names] + [""]
        for name in names:
            lines += _entry(path, name, getattr(module, name), title)
    if elsewhere:
        lines += ["Also here, under the same name", "-" * 30, ""]
        for line in elsewhere:
            alias, _, home = line.partition(" = ")
            lines.append(f"* ``{alias.rsplit('.', 1)[1]}``: see `{home}`")
        lines.append("")
    return "\n".join(lines)


def _entry(path: str, name: str, value: Any, title: str) -> list[str]:
    if title == "Functions":
        return [f".. autofunction:: {path}.{name}", ""]
    if title == "Values":
        kind = type(value).__name__
        return [f".. py:data:: {name}", f"   :module: {path}", "", f"   {_value(value, kind)}", ""]
    lines = [f".. autoclass:: {path}.{name}"]
    is_pydantic = hasattr(value, "model_fields")
    if issubclass(value, BaseException):
        lines = [f".. autoexception:: {path}.{name}", "   :show-inheritance:"]
    elif is_pydantic:
        methods = ["from_yaml", "to_yaml", "from_json", "to_json", "from_dict", "replace"]
        methods = [method for method in methods if hasattr(value, method)]
        for method in methods:
            lines += ["", f"   .. automethod:: {method}"]
    else:
        lines += ["   :members:"]
    return [*lines, ""]


def _value(value: Any, kind: str) -> str:
    if isinstance(value, mmm_xgen.MMMDataConfig):
        return "Configuration of `generate_mmm_dataset()` without arguments."
    if hasattr(value, "keys"):
        return f"Entries: {', '.join(f'``{key}``' for key in value)}."
    if isinstance(value, tuple | list) and all(hasattr(each, "code") for each in value):
        return f"The {len(value)} checks, most serious first."
    text = repr(value)
    return f"``{text}``" if len(text) < 300 else f"A {kind} of {len(value)} entries."


# Dataset ---------------------------------------------------------------------------------------


FAMILIES: dict[str, Mapping[str, Any]] = {
    "adstock": ADSTOCKS,
    "saturation": SATURATIONS,
    "trend": TRENDS,
    "noise": NOISES,
}


def _schema() -> str:
    def rows(variables: dict[str, schema.Variable]) -> list[list[str]]:
        return [
            [
                f"`{name}`",
                ", ".join(variable.dims),
                _unit(variable.units),
                variable.long_name,
                "yes" if variable.is_parameter else "",
            ]
            for name, variable in variables.items()
        ]

    meanings = [
        [f"`{kind.name}`", f"`{family}_{name}`", _unit(parameter.units), parameter.meaning]
        for family, registry in FAMILIES.items()
        for kind in registry.values()
        for name, parameter in kind.shown.items()
    ]
    head = ["name", "dims", "units", "meaning", "parameter"]
    families = {f"{prefix}*": variable for prefix, variable in schema.FAMILIES.items()}
    return f"""\
# The Dataset

Version {schema.SCHEMA_VERSION} of the schema. This page is made from `mmm_xgen.schema` and from the
registered kinds, which labels, checks and messages read too. Everything is in original units;
`currency` and `kpi` stand for `ds.attrs["currency"]` and `ds.attrs["kpi"]`. *Parameter* marks what
`generate_mmm_dataset(..., params=)` takes.

## Variables

{table(head, rows(schema.VARIABLES))}

## Parameters whose names depend on the kinds in use

{table(head, rows(families))}

A parameter that varies over geos also has `<name>_mean` and `<name>_sd`, its population mean and
standard deviation on the scale on which it varies (logit for shares, log for positive numbers),
with the same dims but for `geo`.

## What each parameter means

Those of the media satisfy `channel_contribution = component(carryover / spend_unit)`, where the
component is PyMC-Marketing's of that kind: the amplitude contains the effect. A channel whose kind
has no such parameter has NaN there.

{table(["kind", "name", "units", "meaning"], meanings)}

## Coordinates

{table(head[:4], [row[:4] for row in rows(schema.COORDINATES)])}

## Attributes

`config` (the whole configuration as JSON), `seed`, `currency`, `kpi`, `freq`, `schema_version`,
`package_version`, and what was given instead of drawn. `mmm_xgen.regenerate(ds)` makes the same
Dataset again from them.
"""


def _unit(template: str) -> str:
    return "" if template == "1" else template.replace("{", "").replace("}", "")


# Configuration ---------------------------------------------------------------------------------


def _configuration() -> str:
    parts = [
        "# Configuration\n\n"
        "The same keys in Python, YAML and JSON. This page is made from the models and from the "
        "registered kinds. `mmm-xgen schema` prints the JSON Schema; an unknown key is an error "
        "that names the nearest known one.\n"
    ]
    classes: dict[str, Any] = {
        "PromotionConfig": PromotionConfig,
        "SeasonalityConfig": SeasonalityConfig,
        "OutlierConfig": OutlierConfig,
        "SpendPlanConfig": SpendPlanConfig,
    }
    for name, words in MODELS.items():
        model = classes.get(name) or getattr(causes, name, None) or getattr(mmm_xgen, name)
        rows = _rows(parameters(model))
        parts.append(f"## {name}\n\n{words}\n\n{table(['key', 'type', 'meaning'], rows)}\n")
    parts.append(
        "## Kinds\n\n"
        "The keys of a kind stand beside it: flat (`pattern: seasonal`, "
        "`seasonal_amplitude: 0.5`) or nested (`pattern: {kind: seasonal, seasonal_amplitude: "
        "0.5}`); for transforms as `adstock_kwargs` and `saturation_kwargs`.\n"
    )
    for title, where, registry, shared in KINDS:
        rows = [["every kind", *row] for row in _rows(parameters(shared))]
        for name, kind in registry.items():
            rows.append([f"`{name}`", "", "", _first_line(kind.function)])
            rows += [["", *row] for row in _rows(keys_of_kind(kind))]
        head = ["kind", "key", "type", "meaning"]
        parts.append(f"### {title}\n\nNames for {where}.\n\n{table(head, rows)}\n")
    return "\n".join(parts)


def _rows(descriptions: dict[str, Description]) -> list[list[str]]:
    return [
        [f"`{key}`", each.type.replace("``", "`"), each.meaning.replace("``", "`")]
        for key, each in descriptions.items()
    ]


def _first_line(function: Any) -> str:
    """First line of a docstring, with its maths in Markdown's spelling."""
    text = inspect.cleandoc(function.__doc__ or "").split("\n")[0]
    return re.sub(r":math:`([^`]*)`", r"$\1$", text)


# Command line ----------------------------------------------------------------------------------


def _command_line() -> str:
    import typer

    from mmm_xgen.cli.app import app

    group = typer.main.get_command(app)
    parts = [
        "# Command line\n\n"
        "`mmm-xgen`, or `python -m mmm_xgen`. This page is made from the program itself. Exit "
        "status 0 means done, 1 that data have errors, 2 that something given is wrong; the "
        "message is one line and names the place.\n"
    ]
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        arguments = " ".join(
            p.metavar or str(p.name).upper()
            for p in command.params
            if p.param_type_name == "argument"
        )
        rows = [
            [
                ", ".join(f"`{flag}`" for flag in (*p.opts, *p.secondary_opts)),
                _escaped(_default_of(p)),
                _escaped(getattr(p, "help", "") or ""),
            ]
            for p in command.params
            if p.param_type_name == "option"
        ]
        text = inspect.cleandoc(command.help or "")
        usage = " ".join(part for part in ("mmm-xgen", name, arguments, "[OPTIONS]") if part)
        parts.append(f"## {name}\n\n{text}\n\n```text\n{usage}\n```\n")
        if rows:
            parts.append(table(["option", "default", "meaning"], rows) + "\n")
    return "\n".join(parts)


def _default_of(parameter: Any) -> str:
    value = parameter.default
    return "" if value is None or value is False or callable(value) else str(value)


def _escaped(text: str) -> str:
    return text.replace("*", "\\*").replace("<", "\\<")
