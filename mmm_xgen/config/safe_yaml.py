"""Safe reading and writing of YAML, imported only when needed because it is slow to import."""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Any

import yaml

from mmm_xgen.config.base import LARGEST_DEPTH, shown, too_deep
from mmm_xgen.errors import ConfigError

# Largest number of entries that aliases may add.
LARGEST_EXPANSION = 100_000
TAG = "tag:yaml.org,2002:"
NUMBERS = (f"{TAG}int", f"{TAG}float")
# Tags of types that no configuration needs.
EXOTIC = (f"{TAG}value", *(TAG + name for name in ("binary", "omap", "pairs", "set")))
# Numbers that YAML 1.1, YAML 1.2 and JSON read alike. Everything else stays text: YAML 1.1 reads
# 012 as 10 and 1:30 as 90, YAML 1.2 reads 012 as 12 and 1:30 as text.
WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]*)$|[-+]?0x[0-9a-fA-F]+$")
DECIMAL = re.compile(
    r"[-+]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?$"
    r"|[-+]?\.(inf|Inf|INF)$|\.(nan|NaN|NAN)$"
)
# Texts that some reader would take for a number, a date, true, false or null.
NOT_PLAIN = re.compile(r"[-+]*[0-9.]|(y|n|yes|no|on|off|true|false|null|~|=|<<|)$", re.IGNORECASE)


class _StrictLoader(yaml.SafeLoader):
    """Safe loader that raises if a key appears twice; YAML itself would keep the last one."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep=deep)
        except ConfigError:
            raise
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            tag = str(node.tag).replace(TAG, "!!")
            raise ConfigError(
                f"{_where(node.start_mark)}found {shown(node.value)}, which cannot be read as "
                f"{tag}; write plain YAML"
            ) from None


def _where(mark: Any) -> str:
    return f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""


def _mapping(loader: _StrictLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    keys: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, Hashable):
            raise ConfigError(
                f"line {key_node.start_mark.line + 1}: found a key that is not a word"
            )
        if key in keys:
            raise ConfigError(f"line {key_node.start_mark.line + 1}: found the key {key!r} twice")
        keys.add(key)
    loader.flatten_mapping(node)
    return dict(loader.construct_pairs(node, deep=True))


def _number(loader: _StrictLoader, node: yaml.ScalarNode) -> int | float:
    text = str(loader.construct_scalar(node))
    if WHOLE.match(text):
        return int(text, 16 if "x" in text else 10)
    if node.tag == NUMBERS[0] or not DECIMAL.match(text):
        raise ValueError
    word = text.lower()
    return float(word.replace(".", "") if word.endswith(("inf", "nan")) else word)


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    style = "'" if NOT_PLAIN.match(text) else None
    return dumper.represent_scalar(f"{TAG}str", text, style=style)


class _QuotingDumper(yaml.SafeDumper):
    """Dumper that quotes every text that YAML 1.1 or 1.2 would read as another type."""


_QuotingDumper.add_representer(str, _text)
_StrictLoader.yaml_constructors = {
    tag: make for tag, make in yaml.SafeLoader.yaml_constructors.items() if tag not in EXOTIC
}
_StrictLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in (*NUMBERS, *EXOTIC)]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _tag, _pattern in zip(NUMBERS, (WHOLE, DECIMAL), strict=True):
    _StrictLoader.add_implicit_resolver(_tag, _pattern, list("-+0123456789."))
    _StrictLoader.add_constructor(_tag, _number)
_StrictLoader.add_constructor(f"{TAG}map", _mapping)


def parse_yaml(text: str) -> Any:
    """Return the contents of YAML text, by safe loading.

    Only numbers that YAML 1.1, YAML 1.2 and JSON read alike are numbers; ``012``, ``1:30`` and
    ``1_000`` are texts.

    Raises
    ------
    ConfigError
        If the text is not YAML, has a key twice, a tag that would run code, or values that are
        nested too deep or repeated too often by aliases.
    """
    try:
        loader = _StrictLoader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            _check_expansion(node)
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        problem = getattr(error, "problem", None) or getattr(error, "reason", "not valid YAML")
        where = _where(getattr(error, "problem_mark", None))
        raise ConfigError(f"{where}{problem}; write plain YAML") from None
    except RecursionError:
        raise too_deep() from None


def _check_expansion(root: yaml.Node) -> None:
    """Raise for values nested too deep, inside themselves, or too large with all aliases."""
    sizes: dict[int, int] = {}
    above: set[int] = set()
    # Each node is visited twice: before its parts, and as finished after them.
    waiting = [(root, False)]
    while waiting:
        node, is_finished = waiting.pop()
        parts = _parts(node)
        if is_finished:
            above.discard(id(node))
            sizes[id(node)] = 1 + sum(sizes[id(part)] for part in parts)
        elif id(node) in above:
            raise ConfigError(f"{_where(node.start_mark)}found a value inside itself")
        elif id(node) not in sizes:
            above.add(id(node))
            if len(above) > LARGEST_DEPTH:
                raise too_deep()
            waiting.append((node, True))
            waiting.extend((part, False) for part in parts)
    if sizes[id(root)] - len(sizes) > LARGEST_EXPANSION:
        raise ConfigError(
            f"found aliases that repeat more than {LARGEST_EXPANSION} entries; write fewer"
        )


def _parts(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def dump_yaml(data: Any) -> str:
    """Return plain data as YAML text that every reader of YAML 1.1 or 1.2 reads alike."""
    text: str = yaml.dump(data, Dumper=_QuotingDumper, sort_keys=False, allow_unicode=True)
    return text
