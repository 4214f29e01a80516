"""Safe loading of YAML, imported only where YAML is read: it costs more than all else here."""

from __future__ import annotations

import re
from typing import Any

import yaml

from mmm_xgen.errors import ConfigError


class _UniqueKeyLoader(yaml.SafeLoader):
    """Safe loading that refuses a key given twice, which YAML would let the last one win."""


def _mapping(loader: _UniqueKeyLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    keys: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        if isinstance(key, list | dict):
            raise ConfigError(f"line {key_node.start_mark.line + 1}: found a key that is no word")
        if key in keys:
            raise ConfigError(f"line {key_node.start_mark.line + 1}: found the key {key!r} twice")
        keys.add(key)
    loader.flatten_mapping(node)
    return dict(loader.construct_pairs(node, deep=True))


# YAML 1.1 reads 1e3 as text; everybody else, JSON included, reads it as a number.
_UniqueKeyLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"),
    list("-+0123456789."),
)
_UniqueKeyLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def parse_yaml(text: str) -> Any:
    """Contents of YAML text, by safe loading.

    Raises
    ------
    ConfigError
        If the text is no YAML, has a key twice, or a tag that would run code.
    """
    try:
        loader = _UniqueKeyLoader(text)
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "no valid YAML"
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ConfigError(f"{where}{problem}; write plain YAML") from None
    except ConfigError:
        raise
    except (ValueError, RecursionError) as error:
        raise ConfigError(
            f"found a value that cannot be read ({error}); write plain YAML"
        ) from None
