"""Ready configurations: typical businesses, and named worlds that mislead models.

Each preset is one YAML file with a `description`, the `bands` that its economics keep to for any
seed, and the `config`. `named_worlds` reads the worlds.
"""

from __future__ import annotations

import copy
import functools
import textwrap
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from mmm_xgen.config.base import shown
from mmm_xgen.config.data import MMMDataConfig
from mmm_xgen.config.overrides import with_overrides
from mmm_xgen.config.text import SUFFIXES, is_config_file, parse_yaml, read_mapping
from mmm_xgen.errors import ConfigError, UnknownKindError, nearest
from mmm_xgen.presets.named_worlds import (
    NamedWorld,
    list_available_worlds,
    world_config,
    world_names,
)

Config = str | Path | Mapping[str, Any] | MMMDataConfig | None

__all__ = [
    "Config",
    "NamedWorld",
    "config_from",
    "customize_preset",
    "get_preset_config",
    "list_available_presets",
    "list_available_worlds",
    "preset_bands",
    "preset_yaml",
]

SUFFIX = ".yaml"
# Line that ends the head of a file; the configuration follows.
CONFIG_LINE = "\nconfig:\n"


def list_available_presets() -> dict[str, str]:
    """Return all presets by name, with one sentence on each.

    Returns
    -------
    dict of str to str
        Sorted by name.

    Examples
    --------
    >>> list_available_presets()["basic"]
    'One year, one geo and three channels with plain trends, for learning and for tests.'
    """
    return {name: str(_head(name)["description"]) for name in _names()}


def get_preset_config(name: str, seed: int | None = None) -> MMMDataConfig:
    """Return the configuration of a preset or of a named world.

    Parameters
    ----------
    name : str
        One of `list_available_presets` or `list_available_worlds`; a world's name with the suffix
        ``_geo`` gives it eight geos.
    seed : int, optional
        Seed in place of the preset's own.

    Returns
    -------
    MMMDataConfig

    Raises
    ------
    UnknownKindError
        If there is no such preset; it names the nearest.

    Examples
    --------
    >>> config = get_preset_config("basic", seed=7)
    >>> config.n_periods, config.channel_names, config.seed
    (52, ['TV', 'Digital', 'Print'], 7)
    >>> get_preset_config("demand_chasing_geo").regions.n_regions
    8
    """
    return with_overrides(_written(name), {} if seed is None else {"seed": seed})


def customize_preset(name: str, **overrides: Any) -> MMMDataConfig:
    """Return the configuration of a preset or a named world with some of its values changed.

    Parameters
    ----------
    name : str
        One of `list_available_presets` or `list_available_worlds`.
    **overrides
        New values by field of `MMMDataConfig`, or by dotted path, in which entries of a list are
        found by position or by name. A mapping is merged into the mapping of the preset; any other
        value, also a list, replaces the old one. A value removes another that cannot stand beside
        it (`roas` and `base_effectiveness`), a new kind removes the keys of the old one, and a
        smaller `n_regions` keeps the first geos.

    Returns
    -------
    MMMDataConfig
        The whole configuration, validated. The preset itself does not change.

    Raises
    ------
    UnknownKindError
        If there is no such preset.
    ConfigError
        If a path does not exist or a value is impossible. The message names the path.

    Examples
    --------
    >>> config = customize_preset("basic", n_periods=104, regions={"sales_volatility": 0.1})
    >>> config.n_periods, config.regions.noise.sales_volatility, config.regions.base_sales_rate
    (104, 0.1, 10000.0)
    >>> config = customize_preset("basic", **{"channels.0.roas": 2.0, "channels.Print.roas": 0.5})
    >>> [channel.roas for channel in config.channels]
    [2.0, 3.0, 0.5]
    >>> customize_preset("basic", **{"regions.base_sales_rat": 1.0})
    Traceback (most recent call last):
    mmm_xgen.errors.ConfigError: regions.base_sales_rat: ... did you mean 'base_sales_rate'? ...
    """
    return with_overrides(_written(name), overrides)


def config_from(source: Config, overrides: Mapping[str, Any] | None = None) -> MMMDataConfig:
    """Return a configuration from any form of it, with some of its values changed.

    Parameters
    ----------
    source : str, Path, mapping, MMMDataConfig or None
        Name of a preset or world, path of a YAML or JSON file, mapping with the contents of such
        a file, or a configuration. None: `DEFAULT_CONFIG`.
    overrides : mapping of str to anything, optional
        New values, as for `customize_preset`.

    Returns
    -------
    MMMDataConfig

    Raises
    ------
    UnknownKindError
        If a text is neither a preset nor the path of such a file. The message names the nearest
        preset.
    ConfigError
        If a file cannot be read, or the result is not a valid configuration.

    Examples
    --------
    >>> config_from("basic", {"n_periods": 26}).n_periods
    26
    >>> config_from({"channels": [{"name": "TV"}]}, {"channels.TV.roas": 2.0}).channels[0].roas
    2.0
    """
    changes = overrides or {}
    if isinstance(source, str | Path) and is_config_file(source):
        data = read_mapping(source)
        try:
            return with_overrides(data, changes)
        except ConfigError as error:
            raise ConfigError(str(error), path=str(source)) from None
    if isinstance(source, str):
        return with_overrides(_written(source), changes)
    if source is None:
        from mmm_xgen.config.default import DEFAULT_CONFIG

        source = DEFAULT_CONFIG
    if isinstance(source, MMMDataConfig) and not changes:
        return source
    if isinstance(source, MMMDataConfig | Mapping):
        return with_overrides(source, changes)
    raise ConfigError(
        f"found {shown(source)}, allowed: an MMMDataConfig, the name of a preset, the path of a "
        "YAML or JSON file, or a mapping"
    )


def preset_bands(name: str) -> dict[str, Any]:
    """Return the ranges that the economics of a preset stay in, for any seed.

    Parameters
    ----------
    name : str
        One of `list_available_presets`.

    Returns
    -------
    dict
        ``media_share`` (share of expected sales), ``roas_median`` and ``roas_channel`` as [lowest,
        highest]; ``saturated`` and ``headroom`` are True if at least one channel has a marginal
        return on ad spend below and above 1. Empty for presets that are kept as published, such as
        ``"reference_notebook"``.

    Examples
    --------
    >>> preset_bands("enterprise")["media_share"]
    [0.05, 0.25]
    """
    return copy.deepcopy(dict(_head(name)["bands"]))


def preset_yaml(name: str) -> str:
    """Return the configuration of a preset as YAML with comments, ready to edit.

    Parameters
    ----------
    name : str
        One of `list_available_presets`, or of `list_available_worlds`, whose YAML has no comments.

    Examples
    --------
    >>> print(preset_yaml("basic").splitlines()[0])
    n_periods: 52              # one year of weeks
    >>> MMMDataConfig.from_yaml(preset_yaml("basic")) == get_preset_config("basic")
    True
    """
    world = _world_config(name)
    return _parts(name)[1] if world is None else world.to_yaml()


@functools.cache
def _names() -> tuple[str, ...]:
    files = resources.files(__name__).iterdir()
    return tuple(sorted(f.name.removesuffix(SUFFIX) for f in files if f.name.endswith(SUFFIX)))


def _parts(name: str) -> tuple[str, str]:
    """Return head and configuration of a preset, as text."""
    # Compare and do not hash, so that any object gets the error below.
    if name not in list(_names()):
        found, known = shown(name), nearest(str(name), (*_names(), *world_names()))
        files = ", ".join(SUFFIXES)
        raise UnknownKindError(f"no preset named {found}; {known}, or a file ({files})")
    return _read(name)


@functools.cache
def _read(name: str) -> tuple[str, str]:
    text = resources.files(__name__).joinpath(name + SUFFIX).read_text(encoding="utf-8")
    head, found, config = text.partition(CONFIG_LINE)
    if not found:
        raise ConfigError(f"the file of the preset {name!r} has no line 'config:'")
    return head, textwrap.dedent(config)


@functools.cache
def _parsed(text: str) -> dict[str, Any]:
    """Return the contents of one part of a file, from a cache: copy before passing it on."""
    return dict(parse_yaml(text))


def _head(name: str) -> dict[str, Any]:
    return _parsed(_parts(name)[0])


def _written(name: str) -> Mapping[str, Any] | MMMDataConfig:
    """Return the configuration in the spelling of its file; `with_overrides` copies it."""
    return _world_config(name) or _parsed(_parts(name)[1])


def _world_config(name: str) -> MMMDataConfig | None:
    # Any object gets the error of an unknown preset, also one that cannot be hashed.
    return world_config(name) if isinstance(name, str) else None
