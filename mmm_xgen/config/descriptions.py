"""Descriptions of configuration keys, read from the numpydoc `Parameters` of the docstrings.

`help()`, the JSON Schema and the reference pages all take their text from here.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

from mmm_xgen.kernels.kind import REQUIRED, Kind, Parameter, Setting
from mmm_xgen.schema import NONE

SECTION = re.compile(r"^Parameters\n-+\n(.*?)(?=^\S[^\n]*\n-{3,}|\Z)", re.MULTILINE | re.DOTALL)
ENTRY = re.compile(r"^(\w[\w, ]*?) : ([^\n]*)\n((?:[ \n][^\n]*\n?)*)", re.MULTILINE)

Model = TypeVar("Model", bound=type)


class Description(NamedTuple):
    """Type and meaning of one key, as its docstring gives them."""

    type: str
    meaning: str

    @property
    def text(self) -> str:
        """Meaning and type in plain text."""
        return _plain(f"{self.meaning} ({self.type})")


def summary(documented: Any) -> str:
    """Return the first paragraph of a docstring as plain text in one line.

    Examples
    --------
    >>> summary(summary)
    'Return the first paragraph of a docstring as plain text in one line.'
    """
    return _plain(inspect.cleandoc(documented.__doc__ or "").split("\n\n")[0])


def _plain(text: str) -> str:
    """Text in one line, without the markup of formulas and code."""
    return " ".join(re.sub(r"(?::math:)?`+([^`]*)`+", r"\1", text).split())


def parameters(documented: Any) -> dict[str, Description]:
    """Return the description of each entry in the `Parameters` section of a docstring.

    Examples
    --------
    >>> from mmm_xgen import EventConfig
    >>> parameters(EventConfig)["effect"].type
    'float, share of base sales'
    """
    section = SECTION.search(inspect.cleandoc(documented.__doc__ or "") + "\n")
    return {
        name.strip(): Description(kind, " ".join(text.split()))
        for names, kind, text in ENTRY.findall(section[1] if section else "")
        for name in names.split(",")
    }


def keys_of_kind(kind: Kind) -> dict[str, Description]:
    """Return the description of every parameter and setting of a kind.

    The meaning comes from the docstring of the kind's function, or else from the annotation of
    the argument. The type says which values are allowed.
    """
    written = parameters(kind.function)
    keys: dict[str, Parameter | Setting] = {**kind.parameters, **kind.settings}
    found = {}
    for name, key in keys.items():
        type_, meaning = written.get(name, ("", ""))
        if isinstance(key, Parameter):
            units, annotated = _annotated(kind, name)
            unit = type_.partition(", ")[2] or units
            type_ = ", ".join(filter(None, [key.domain.describe(), unit]))
            meaning = meaning or _sentence(annotated)
        type_ = f"{type_ or 'setting'}, {_default(key)}"
        found[name] = Description(type_, meaning or f"Key of the kind {kind.name}.")
    return found


def _annotated(kind: Kind, name: str) -> tuple[str, str]:
    """Units and meaning that the annotation of a parameter gives; empty where it gives none."""
    parameter = kind.parameters[name]
    units = parameter.units.format(kpi="KPI unit", currency="currency")
    return "" if units == NONE else units, parameter.meaning


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}." if text else ""


def _default(key: Parameter | Setting) -> str:
    if key.default is REQUIRED:
        return "required"
    if key.default is None:
        return "optional"
    power = key.spend_power if isinstance(key, Parameter) else 0
    base = {0: "", 1: " times the base spend", -1: " / base spend"}[power]
    default = list(key.default) if isinstance(key.default, tuple) else key.default
    text = f"{default:.6g}" if isinstance(default, float) else repr(default)
    return f"default {text}{base}"


def kinds_in_words(field: str, kinds: Mapping[str, Kind], shared: Any = None) -> str:
    """Return numpydoc text on the kinds of a field and their keys.

    Parameters
    ----------
    field : str
        Field that holds the name of a kind.
    kinds : mapping of str to Kind
        Registered kinds.
    shared : class, optional
        Class whose docstring describes the keys that all the kinds have.
    """
    lines = [f"Kinds of `{field}`, each with its keys:", ""]
    for name, kind in kinds.items():
        lines += [name, f"    {summary(kind.function)}", ""]
        for key, (type_, meaning) in keys_of_kind(kind).items():
            lines += _entry(key, type_, meaning, "    ")
        lines += [""] * bool(kind.keys)
    described = parameters(shared)
    if described:
        lines += [f"Keys of every kind of `{field}`:", ""]
        for key, (type_, meaning) in described.items():
            lines += _entry(key, type_, meaning)
        lines.append("")
    return "\n".join(lines)


def _entry(name: str, type_: str, meaning: str, indent: str = "") -> list[str]:
    lines = textwrap.wrap(meaning, 90, initial_indent="    ", subsequent_indent="    ")
    return [f"{indent}{line}" for line in (f"{name} : {type_}", *lines)]


def with_kinds(**fields: tuple[Any, ...]) -> Callable[[Model], Model]:
    """Decorate a configuration model: append the kinds of its fields to the docstring.

    Parameters
    ----------
    **fields
        For each field a tuple: its registered kinds and, if the kinds have keys in common, the
        class that describes these.
    """

    def decorate(model: Model) -> Model:
        notes = [kinds_in_words(field, *kinds) for field, kinds in fields.items()]
        doc = inspect.cleandoc(model.__doc__ or "")
        model.__doc__ = "\n".join([doc, "", "Notes", "-----", *notes])
        return model

    return decorate
