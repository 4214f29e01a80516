"""YAML and JSON in and out."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import yaml

from mmm_xgen.config.base import FrozenConfig
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


def read_text(path: str | Path) -> str:
    """Contents of a UTF-8 file, or a `ConfigError` that says why there are none."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "no UTF-8 text"
        raise ConfigError(f"cannot read {str(path)!r}: {reason}") from None


class TextConfig(FrozenConfig):
    """Configuration that reads and writes YAML and JSON."""

    @classmethod
    def from_yaml(cls, source: str | Path) -> Self:
        """Read a configuration from YAML text, or from the file at a `Path`.

        Raises
        ------
        ConfigError
            If the text is no YAML or no valid configuration.

        Examples
        --------
        >>> from mmm_xgen import MMMDataConfig
        >>> MMMDataConfig.from_yaml("channels: [{name: TV}]").channels[0].name
        'TV'
        """
        return cls._from_data(parse_yaml(_text(source)))

    @classmethod
    def from_json(cls, source: str | Path) -> Self:
        """Read a configuration from JSON text, or from the file at a `Path`."""
        try:
            data = json.loads(_text(source))
        except ValueError as error:
            raise ConfigError(f"no valid JSON: {error}") from None
        return cls._from_data(data)

    @classmethod
    def _from_data(cls, data: Any) -> Self:
        if not isinstance(data, Mapping):
            raise ConfigError("found no mapping, allowed: keys such as 'channels' and 'n_periods'")
        return cls.from_dict(data)

    def to_yaml(self, path: str | Path | None = None) -> str:
        """YAML text of the configuration, also written to `path` if there is one."""
        data = self.model_dump(mode="json", exclude_none=True)
        text: str = yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
        if path is not None:
            _write(text, path)
        return text

    def to_json(self, path: str | Path | None = None) -> str:
        """Canonical JSON text of the configuration, also written to `path` if there is one."""
        text = self.model_dump_json(exclude_none=True)
        if path is not None:
            _write(text, path)
        return text


def _text(source: str | Path) -> str:
    if isinstance(source, Path):
        return read_text(source)
    looks_like_a_path = "\n" not in source and source.endswith((".yaml", ".yml", ".json"))
    return read_text(source) if looks_like_a_path else source


def _write(text: str, path: str | Path) -> None:
    from mmm_xgen.atomic import atomic_path

    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
