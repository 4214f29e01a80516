"""YAML and JSON in and out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from mmm_xgen.config.base import FrozenConfig
from mmm_xgen.errors import ConfigError


def parse_yaml(text: str) -> Any:
    """Contents of YAML text, by safe loading.

    Raises
    ------
    ConfigError
        If the text is no YAML, has a key twice, or a tag that would run code.
    """
    from mmm_xgen.config import safe_yaml

    return safe_yaml.parse_yaml(text)


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
        """YAML text of the configuration, also written to `path` if there is one.

        Raises
        ------
        XgenError
            If the folder of `path` is missing or cannot be written to.
        """
        import yaml

        data = self.model_dump(mode="json", exclude_none=True)
        text: str = yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
        if path is not None:
            _write(text, path)
        return text

    def to_json(self, path: str | Path | None = None) -> str:
        """Canonical JSON text of the configuration, also written to `path` if there is one.

        Raises
        ------
        XgenError
            If the folder of `path` is missing or cannot be written to.
        """
        text = self.model_dump_json(exclude_none=True)
        if path is not None:
            _write(text, path)
        return text

    def __repr__(self) -> str:
        return self.to_yaml()

    __str__ = __repr__


def _text(source: str | Path) -> str:
    if isinstance(source, Path):
        return read_text(source)
    looks_like_a_path = "\n" not in source and source.endswith((".yaml", ".yml", ".json"))
    return read_text(source) if looks_like_a_path else source


def _write(text: str, path: str | Path) -> None:
    from mmm_xgen.atomic import writing

    with writing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
