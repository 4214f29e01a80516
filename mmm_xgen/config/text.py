"""Reading and writing of configurations as YAML and JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from mmm_xgen.atomic import is_there
from mmm_xgen.config.base import FrozenConfig, parse_json
from mmm_xgen.errors import ConfigError

SUFFIXES = (".yaml", ".yml", ".json")


def parse_yaml(text: str) -> Any:
    """Return the contents of YAML text, by safe loading.

    Raises
    ------
    ConfigError
        If the text is not YAML, has a key twice, a tag that would run code, or values that are
        nested too deep or repeated too often.
    """
    from mmm_xgen.config import safe_yaml

    return safe_yaml.parse_yaml(text)


def read_text(path: str | Path) -> str:
    """Return the contents of a UTF-8 file.

    Raises
    ------
    ConfigError
        If the file cannot be read. The message gives the reason.
    """
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "no UTF-8 text"
        raise ConfigError(f"cannot read {str(path)!r}: {reason}") from None


def is_config_file(source: str | Path) -> bool:
    """Tell if `source` names a file and not a preset.

    Examples
    --------
    >>> is_config_file("plan.yaml"), is_config_file("folder/plan"), is_config_file("basic")
    (True, True, False)
    """
    if isinstance(source, Path):
        return True
    return Path(source).suffix.lower() in SUFFIXES or Path(source).name != source


def name_of(source: str | Path) -> str:
    """Return the stem of the files made from a preset or configuration file.

    Examples
    --------
    >>> name_of("folder/plan.yaml"), name_of("basic")
    ('plan', 'basic')
    """
    return Path(source).stem if is_config_file(source) else str(source)


def read_mapping(path: str | Path) -> dict[str, Any]:
    """Return the contents of a YAML or JSON file with a configuration.

    Raises
    ------
    ConfigError
        If the file does not exist or does not hold a mapping. The message names the file.
    """
    path = Path(path)
    try:
        suffix = path.suffix.lower()
        if suffix not in SUFFIXES:
            allowed = ", ".join(SUFFIXES)
            raise ConfigError(
                f"found the suffix {suffix!r}, allowed: {allowed}, or a preset's name"
            )
        if not is_there(path):
            raise ConfigError("no such file; 'mmm-xgen show PRESET' writes one to begin with")
        text = read_text(path)
        return _mapping(parse_json(text) if suffix == ".json" else parse_yaml(text))
    except ConfigError as error:
        raise ConfigError(str(error), path=str(path)) from None


def _mapping(data: Any) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise ConfigError("found no mapping, allowed: keys such as 'channels' and 'n_periods'")
    return data


class TextConfig(FrozenConfig):
    """Configuration that can be read from and written to YAML and JSON."""

    @classmethod
    def from_yaml(cls, source: str | Path) -> Self:
        """Read a configuration from YAML text, or from the file at a `Path`.

        Raises
        ------
        ConfigError
            If the text is not YAML or not a valid configuration.

        Examples
        --------
        >>> from mmm_xgen import MMMDataConfig
        >>> MMMDataConfig.from_yaml("channels: [{name: TV}]").channels[0].name
        'TV'
        """
        return cls.from_dict(_mapping(parse_yaml(_text(source))))

    @classmethod
    def from_json(cls, source: str | Path) -> Self:
        """Read a configuration from JSON text, or from the file at a `Path`."""
        return cls.from_dict(_mapping(parse_json(_text(source))))

    def to_yaml(self, path: str | Path | None = None) -> str:
        """Return the configuration as YAML text, and write it to `path` if given.

        Raises
        ------
        XgenError
            If the folder of `path` is missing or cannot be written to.
        """
        from mmm_xgen.config.safe_yaml import dump_yaml

        text = dump_yaml(self.model_dump(mode="json", exclude_none=True))
        if path is not None:
            _write(text, path)
        return text

    def to_json(self, path: str | Path | None = None) -> str:
        """Return the configuration as canonical JSON text, and write it to `path` if given.

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
    looks_like_a_path = "\n" not in source and source.endswith(SUFFIXES)
    return read_text(source) if looks_like_a_path else source


def _write(text: str, path: str | Path) -> None:
    from mmm_xgen.atomic import writing

    with writing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
