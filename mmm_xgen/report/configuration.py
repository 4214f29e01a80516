"""The configuration of a dataset as tables to read, and whole as YAML."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import xarray as xr

from mmm_xgen.config.names import coordinate_label
from mmm_xgen.config.region import LARGEST_VARIATION
from mmm_xgen.formatting.amounts import MISSING, amount, share, short_number
from mmm_xgen.report.content import Block, Code, Column, Text, kind_words, number, table
from mmm_xgen.report.reproduce import yaml_of
from mmm_xgen.report.subject import Subject

Nested = Mapping[str, Any]
Data: TypeAlias = xr.Dataset | pd.DataFrame
# Settings that the tables leave out.
LEFT_OUT = {"kind", "normalize"}
SETTINGS = (
    ("n_periods", "periods"),
    ("freq", "frequency"),
    ("start_date", "first date"),
    ("burn_in_periods", "burn-in periods"),
    ("seed", "seed"),
    ("currency", "currency"),
    ("kpi", "KPI"),
    ("revenue_per_kpi", "revenue per unit of the KPI"),
)
REGIONS = (
    ("geo_response", "response of geos"),
    ("base_sales_rate", "base sales per period"),
    ("seasonal_amplitude", "yearly swing, share of base sales"),
)
# What varies over geos: setting, prefix of the sds that the Dataset records, and words.
SPREADS = (
    ("baseline_variation", None, "baselines, log scale"),
    ("channel_param_variation", "effect_", "effects, log scale"),
    ("transform_variation", "adstock_", "adstock parameters, log or logit scale"),
    ("transform_variation", "saturation_", "saturation parameters, log or logit scale"),
)


def configuration(subject: Subject) -> Sequence[Block]:
    """Settings, channels, controls and events, and the YAML of all."""
    config = subject.config
    if not config:
        return []
    blocks: list[Block] = []
    for change in ("aggregation", "counterfactual"):
        if change in subject.data.attrs:
            what = subject.data.attrs[change]
            blocks.append(Text(f"This is of the source, before the {change} ({what})."))
    blocks += [_settings(config, subject.data)]
    if config.get("channels"):
        blocks.append(_channels(config))
    blocks += _controls(config)
    blocks += _events(config)
    blocks.append(Code("The whole configuration as YAML", yaml_of(subject), fold=True))
    return blocks


def _settings(config: Nested, data: Data) -> Block:
    regions: Nested = config.get("regions") or {}
    transforms: Nested = config.get("transforms") or {}
    rows = [(words, _setting(config[key])) for key, words in SETTINGS if key in config]
    rows += [(words, _setting(regions[key])) for key, words in REGIONS if key in regions]
    rows += _spreads(regions, data)
    rows += [
        (words, _part(regions[key]))
        for key, words in (("trend", "trend"), ("noise", "noise"))
        if isinstance(regions.get(key), Mapping)
    ]
    if transforms:
        order = "adstock, then saturation"
        if not transforms.get("adstock_first", True):
            order = "saturation, then adstock"
        rows.append(("order of transforms", order))
        rows.append(("spend unit of curves", _setting(transforms.get("spend_unit", MISSING))))
    return table("Settings", (Column("setting"), Column("value")), rows)


def _spreads(regions: Nested, data: Data) -> list[tuple[str, str]]:
    """List the sds over geos: recorded ones of the Dataset, else those of the settings."""
    similarity = regions.get("similarity")
    rows = []
    if similarity is not None:
        rows.append(("similarity of geos", _setting(similarity)))
    for key, prefix, words in SPREADS:
        sd = regions.get(key, 0.0)
        sds = [sd if similarity is None else LARGEST_VARIATION * (1 - similarity)]
        if prefix is not None:
            names = [n for n in map(str, data) if n.startswith(prefix) and n.endswith("_sd")]
            recorded = [value for name in names for value in data[name].to_numpy().ravel()]
            sds = [value for value in recorded if np.isfinite(value)] or sds
        low, high = (short_number(end(sds)) for end in (min, max))
        rows.append((f"sd over geos of {words}", low if low == high else f"{low} to {high}"))
    return rows


def _channels(config: Nested) -> Block:
    channels: Sequence[Nested] = config["channels"]
    rows = []
    for place, channel in enumerate(channels):
        rows.append(
            [
                coordinate_label(channel.get("name"), "x", place),
                _part(channel.get("pattern")),
                amount(float(channel.get("base_spend", 0.0))),
                share(float(channel.get("spend_volatility", 0.0))),
                _part(_transform(config, channel, "adstock", place)),
                _part(_transform(config, channel, "saturation", place)),
                _target(channel),
            ]
        )
    heads = [
        Column("channel"),
        Column("pattern"),
        number("base spend", str(config.get("currency", ""))),
        number("volatility"),
        *map(Column, ("adstock", "saturation", "effect")),
    ]
    return table("Channels", heads, rows)


def _transform(config: Nested, channel: Nested, name: str, place: int) -> Any:
    """Transform of a channel: its own, or the one for it or for all of them."""
    if channel.get(name) is not None:
        return channel[name]
    shared = (config.get("transforms") or {}).get(name)
    return shared[place] if isinstance(shared, list) else shared


def _target(channel: Nested) -> str:
    if channel.get("roas") is not None:
        return f"ROAS {channel['roas']:g}"
    effectiveness = channel.get("base_effectiveness")
    if effectiveness is None:
        return "by default"
    return f"{share(float(effectiveness))} of base sales"


def _controls(config: Nested) -> list[Block]:
    rows = [
        [
            coordinate_label(control.get("name"), "c", place),
            _part(control.get("pattern")),
            amount(float(control.get("base_value", 0.0))),
            f"elasticity {control['elasticity']:g}"
            if control.get("elasticity") is not None
            else f"{amount(float(control.get('gamma_control') or 0.0))} per unit",
        ]
        for place, control in enumerate(config.get("control_variables") or ())
    ]
    heads = [Column("control"), Column("pattern"), number("base value"), Column("effect")]
    return [table("Controls", heads, rows)] if rows else []


def _events(config: Nested) -> list[Block]:
    rows = [
        [
            str(event.get("name", "")),
            ", ".join(map(str, event.get("dates", ()))),
            share(float(event.get("effect", 0.0))),
            str(event.get("shape", "")),
        ]
        for event in config.get("events") or ()
    ]
    heads = [Column("event"), Column("dates"), number("effect, share of base"), Column("shape")]
    return [table("Events", heads, rows)] if rows else []


def _part(part: Any) -> str:
    """Kind of a pattern or transform and its settings, in words."""
    if not isinstance(part, Mapping):
        return MISSING
    told = [
        f"{str(name).replace('_', ' ')} {_setting(value)}"
        for name, value in part.items()
        if name not in LEFT_OUT
    ]
    return ", ".join([kind_words(str(part.get("kind", ""))), *told])


def _setting(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.6g}" if abs(value) < 1e6 else f"{value:,.0f}"
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False)
    return str(value)
