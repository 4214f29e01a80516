"""Overrides of a written configuration, by dotted paths and nested mappings.

An override uses the spelling of the written configuration, flat or nested. An error about an
override names the path that the user gave.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any

from pydantic import BaseModel

from mmm_xgen.config.base import shown
from mmm_xgen.config.channel import ADSTOCK, PATTERN, SATURATION
from mmm_xgen.config.data import MMMDataConfig
from mmm_xgen.config.names import (
    NAMED_LISTS,
    KeyPath,
    Quoted,
    coordinate_label,
    entry_names,
    find_entry,
    join_path,
    split_path,
)
from mmm_xgen.config.region import NOISE, TREND, VARIATIONS
from mmm_xgen.config.specs import CUSTOM, KindOf, Spec
from mmm_xgen.errors import ConfigError, nearest

# Fields whose keys may stand flat beside them, and fields that may be `_fun` and `_kwargs`.
BESIDE: dict[str, KindOf] = {"pattern": PATTERN, "trend": TREND, "noise": NOISE}
FUNCTIONS = {"adstock": ADSTOCK, "saturation": SATURATION}
# Lists with one entry per geo.
PER_GEO = ("region_names", "population", "y_sigma", "r_squared")
# Keys that each key removes, because they cannot stand together.
REPLACES: dict[str, tuple[str, ...]] = {
    "roas": ("base_effectiveness",),
    "base_effectiveness": ("roas",),
    "elasticity": ("gamma_control",),
    "gamma_control": ("elasticity",),
    "sales_volatility": ("y_sigma", "r_squared"),
    "y_sigma": ("sales_volatility", "r_squared"),
    "r_squared": ("sales_volatility", "y_sigma"),
    "similarity": VARIATIONS,
    "alpha": ("half_life",),
    "half_life": ("alpha",),
    "spend_trend": ("value_trend",),
    "value_trend": ("spend_trend",),
    "period": ("period_days", "weekday_effects"),
    "period_days": ("period", "weekday_effects"),
    "weekday_effects": ("period", "period_days"),
}


@dataclass
class _Change:
    """One value to set: the path as the user wrote it, and its place in the configuration."""

    text: str
    written: KeyPath
    value: Any
    place: KeyPath = ()
    # Mapping that holds the value; empty if a list holds it.
    block: dict[str, Any] = field(default_factory=dict)


def with_overrides(
    data: Mapping[str, Any] | MMMDataConfig, overrides: Mapping[str, Any]
) -> MMMDataConfig:
    """Return a written configuration with some of its values changed.

    Parameters
    ----------
    data : mapping or MMMDataConfig
        Configuration in the flat or the nested spelling. It is not modified.
    overrides : mapping of str to anything
        New values by field name or dotted path. Entries of a list are found by name or by position
        from 0; names come first. A name with periods may be in quotes,
        ``channels."TV.Radio".roas``, and a position in brackets, ``channels[0].roas``. A mapping
        is merged into the mapping that is there; any other value replaces the old one. A value
        removes another that cannot stand beside it, as `roas` does `base_effectiveness`. A new
        kind removes the keys that only the old kind has. A smaller `n_regions` keeps the first
        geos.

    Returns
    -------
    MMMDataConfig

    Raises
    ------
    ConfigError
        If a path does not exist, or if the result is not a valid configuration.

    Examples
    --------
    >>> data = {"channels": [{"name": "TV", "roas": 2.0}, {"name": "Radio"}]}
    >>> config = with_overrides(data, {"channels.TV.base_effectiveness": 0.1, "seed": 7})
    >>> config.channels[0].base_effectiveness, config.channels[0].roas, config.seed
    (0.1, None, 7)
    >>> with_overrides(data, {"channels.2.roas": 1.0})
    Traceback (most recent call last):
    mmm_xgen.errors.ConfigError: channels.2: found position 2, allowed: 0 to 1
    """
    return with_places(data, overrides)[0]


def with_places(
    data: Mapping[str, Any] | MMMDataConfig, overrides: Mapping[str, Any]
) -> tuple[MMMDataConfig, dict[str, KeyPath]]:
    """Return `with_overrides`, and the place in `data` that each dotted path leads to.

    Examples
    --------
    >>> data = {"channels": [{"name": "TV", "pattern": {"kind": "linear_trend"}}]}
    >>> with_places(data, {"channels.TV.spend_trend": 0.1})[1]
    {'channels.TV.spend_trend': ('channels', 0, 'pattern', 'spend_trend')}
    """
    written = _fields(data) if isinstance(data, MMMDataConfig) else data
    changed: dict[str, Any] = {key: _copied(value) for key, value in written.items()}
    changes = [
        _Change(text=text, written=path, value=_copied(value))
        for key, given in overrides.items()
        for text, path, value in _leaves(str(key), split_path(str(key)), given)
    ]
    for change in changes:
        _lay(changed, change)
    _drop_what_is_excluded(changes)
    _drop_keys_of_other_kinds(changes)
    _keep_the_first_geos(changes)
    places = {change.text: change.place for change in changes}
    try:
        return MMMDataConfig.from_dict(changed), places
    except ConfigError as error:
        path = _as_written(error.path, changes)
        if path == error.path:
            raise
        raise ConfigError(error.message, path=path) from None


def _copied(value: Any) -> Any:
    """Copy mappings and lists; models are frozen and callables cannot change, so both stay."""
    if isinstance(value, Mapping):
        return {key: _copied(inner) for key, inner in value.items()}
    return [_copied(inner) for inner in value] if isinstance(value, list | tuple) else value


def _fields(model: BaseModel) -> dict[str, Any]:
    """Return the settings of a configuration object as a file would have them; callables stay."""
    fields = {name: getattr(model, name) for name in model.model_fields_set}
    if isinstance(model, Spec):
        return {**fields, "kind": model.kind}
    specs = {name: value for name, value in fields.items() if isinstance(value, Spec)}
    for name, spec in specs.items():
        is_callable = spec.kind.startswith(CUSTOM)
        fields[name] = spec.registered.function if is_callable else _fields(spec)
    return fields


def _leaves(text: str, path: KeyPath, value: Any) -> Iterator[tuple[str, KeyPath, Any]]:
    """Yield every value inside nested mappings, with its path as text and in parts."""
    if not isinstance(value, Mapping) or not value:
        yield text, path, value
        return
    for key, inner in value.items():
        below = (*path, *split_path(str(key)))
        yield from _leaves(join_path(below), below, inner)


def _lay(data: dict[str, Any], change: _Change) -> None:
    """Set the value of one change at its place in `data`."""
    node: dict[str, Any] | list[Any] = data
    place: KeyPath = ()
    rest = change.written
    while True:
        used = 1
        if isinstance(node, dict):
            rest = _in_the_spelling_of(node, rest, change.value)
            part: Any = str(rest[0])
        else:
            part, used = _position(node, rest, place)
        place, rest = (*place, part), rest[used:]
        if not rest:
            break
        child = node.get(part) if isinstance(node, dict) else node[part]
        if not isinstance(child, dict | list):
            child = _opened(child, place, change.written)
            node[part] = child
        node = child
    change.place = place
    if isinstance(node, dict):
        change.block = node
        if change.value == {} and isinstance(node.get(part), dict):
            return
    node[part] = change.value


def _opened(child: Any, place: KeyPath, written: KeyPath) -> dict[str, Any]:
    """Return the mapping in which a path continues: a new one, or a configuration object's."""
    if child is None and (len(place) > 1 or place[0] not in NAMED_LISTS):
        return {}
    if isinstance(child, BaseModel):
        opened: dict[str, Any] = _copied(_fields(child))
        return opened
    here, whole = join_path(place), join_path(written)
    if child is None:
        raise ConfigError(f"found no {here}; give {here} as a list", path=whole)
    raise ConfigError(f"found {shown(child)} at {here}, which has no parts", path=whole)


def _position(items: list[Any], rest: KeyPath, place: KeyPath) -> tuple[int, int]:
    """Return the position of the entry that a path names, and the number of parts it uses."""
    part, path = rest[0], join_path((*place, rest[0]))
    prefix = NAMED_LISTS.get(str(place[-1])) if len(place) == 1 else None
    names = [] if prefix is None else entry_names(items, prefix)
    # In a list without names, only positions can match.
    position, used = find_entry(names or [""] * len(items), rest, prefix or "")
    if position >= 0:
        return position, used
    if isinstance(part, int) or (part.isdecimal() and not isinstance(part, Quoted)):
        allowed = f"0 to {len(items) - 1}" if items else "none, as the list is empty"
        raise ConfigError(f"found position {part}, allowed: {allowed}", path=path)
    if prefix is None:
        raise ConfigError(
            f"found {str(part)!r}, allowed: a position in the list, from 0", path=path
        )
    known = nearest(coordinate_label(part, prefix, 0), names)
    raise ConfigError(f"no entry has that name or position; {known}", path=path)


def _in_the_spelling_of(block: Mapping[str, Any], path: KeyPath, value: Any) -> KeyPath:
    """Return `path` below `block`, flat if the block is flat and nested if it is nested."""
    key, *rest = path
    for name, kinds in BESIDE.items():
        nested = isinstance(block.get(name), Mapping)
        if key == name and rest and not nested:
            return (name,) if rest == ["kind"] else tuple(rest)
        if key == name and not rest and nested and isinstance(value, str):
            return (name, "kind")
        if nested and key not in block and key in kinds.flat_keys():
            return (name, *path)
    for name in FUNCTIONS:
        function, arguments = f"{name}_fun", f"{name}_kwargs"
        nested = isinstance(block.get(name), Mapping)
        if key == name and rest and name not in block:
            return (function,) if rest == ["kind"] else (arguments, *rest)
        if key == function and nested:
            return (name, "kind")
        if key == arguments and nested:
            return (name, *rest)
    return path


def _drop_what_is_excluded(changes: list[_Change]) -> None:
    """Remove the values that cannot stand beside a new one."""
    wanted = {change.place for change in changes}
    for change in changes:
        *above, last = change.place
        excluded = REPLACES.get(str(last), ())
        for key in excluded if change.value is not None else ():
            if (*above, key) not in wanted:
                change.block.pop(key, None)


def _drop_keys_of_other_kinds(changes: list[_Change]) -> None:
    """Remove the keys that only the old kind has, if a new kind was set."""
    wanted = {change.place for change in changes}
    for change in changes:
        *above, last = change.place
        name = str(above[-1] if last == "kind" and above else last).removesuffix("_fun")
        block, where = change.block, tuple(above)
        if name in FUNCTIONS and last == name:
            # A nested transform replaces both `_fun` and `_kwargs`.
            for half in (f"{name}_fun", f"{name}_kwargs"):
                if (*where, half) not in wanted:
                    block.pop(half, None)
            continue
        if name in FUNCTIONS and last != "kind":
            block, where = block.get(f"{name}_kwargs", {}), (*where, f"{name}_kwargs")
        if isinstance(block, dict):
            for key in _keys_to_drop(name, change.value):
                if (*where, key) not in wanted:
                    block.pop(key, None)


def _keys_to_drop(name: str, kind: Any) -> set[str]:
    """Return the keys of all kinds of the field `name` that `kind` does not have."""
    kinds = {**BESIDE, **FUNCTIONS}.get(name)
    if name in FUNCTIONS and kind is None:
        kind = f"no_{name}"
    if kinds is None or kind is None or (isinstance(kind, str) and kind not in kinds.registry):
        return set()
    # A callable or a spec has no keys.
    known = kinds.keys_of(kind) if isinstance(kind, str) else []
    return kinds.flat_keys() - set(known)


def _keep_the_first_geos(changes: list[_Change]) -> None:
    """Shorten the lists with one entry per geo if there are fewer geos now."""
    wanted = {change.place for change in changes}
    for change in changes:
        if change.place != ("regions", "n_regions") or not isinstance(change.value, Integral):
            continue
        for key in PER_GEO:
            values = change.block.get(key)
            if isinstance(values, list) and ("regions", key) not in wanted:
                change.block[key] = values[: max(int(change.value), 1)]


def _as_written(path: str, changes: list[_Change]) -> str:
    """Return the path of an error as the user wrote it, if an override caused the error."""
    if not path:
        return path
    parts = split_path(path)
    best: tuple[int, str] = (0, path)
    for change in changes:
        length = len(change.place)
        if [*map(str, parts[:length])] == [*map(str, change.place)]:
            best = max(best, (length, join_path((*change.written, *parts[length:]))))
    return best[1]
