"""Named worlds: one shared base, and in each world one assumption of the models that breaks.

The folder `worlds` has one YAML file each: what the world changes in the `config` of `base.yaml`,
and what to expect of it. Under its name with the suffix `_geo`, each world of one geo has the
geos of `base.yaml`.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from mmm_xgen.config.data import MMMDataConfig
from mmm_xgen.config.overrides import with_overrides
from mmm_xgen.config.text import parse_yaml

FOLDER, SUFFIX, BASE, GEO = "worlds", ".yaml", "base", "_geo"
# Kinds of worlds, in the order of the list of them.
GROUPS = (
    "causes of spend",
    "connections",
    "effects over time",
    "baseline",
    "noise and measurement",
    "response",
    "data",
)


@dataclass(frozen=True)
class NamedWorld:
    """A named world: the assumption that it breaks, and the bias to expect.

    Parameters
    ----------
    name : str
        Name of the world, for `get_preset_config`.
    breaks : str
        The assumption that does not hold, in one sentence.
    direction : mapping of str to str
        Bias of the ROAS of each channel in a least-squares model that knows the true adstock and
        saturation, unless `base_curves` says otherwise: ``"above"`` or ``"below"`` the truth,
        ``"none"``, or ``"none (wide)"`` if estimates are right on average and far off in a single
        dataset.
    representable : tuple of str
        Models that are well specified for the data of the world, of ``"PyMC-Marketing"``,
        ``"Meridian"`` and ``"least squares"``. All others are misspecified.
    reference : str
        Work on which the world is based, and what of its numbers is our choice.
    group : str
        Kind of the world, as in ``"causes of spend"``.
    short : str
        What breaks in at most 42 characters, for a line of a list.
    note : str
        Bias of other models, where it differs.
    reacting : bool
        True if `direction` is about the ROAS with budgets that react, as in
        ``roas(ds, reacting=True)``.
    base_curves : bool
        True if `direction` is about a model that takes adstock and saturation of the world
        ``"clean"`` for true.
    last_periods : int, optional
        Number of last periods whose ROAS `direction` is about. Default: the whole window.

    Examples
    --------
    >>> list_available_worlds()["demand_chasing"].direction["TV"]
    'above'
    """

    name: str
    breaks: str
    direction: Mapping[str, str]
    representable: tuple[str, ...]
    reference: str
    group: str
    short: str
    note: str = ""
    reacting: bool = False
    base_curves: bool = False
    last_periods: int | None = None

    @property
    def bias(self) -> str:
        """Bias of all channels in words, channels without bias left out.

        Examples
        --------
        >>> list_available_worlds()["brand_and_search"].bias
        'TV below; Search above'
        >>> list_available_worlds()["one_year"].bias
        'none (wide)'
        """
        channels: dict[str, list[str]] = {}
        for channel, own in self.direction.items():
            channels.setdefault(own, []).append(channel)
        if len(channels) > 1:
            channels.pop("none", None)
            return "; ".join(f"{', '.join(names)} {own}" for own, names in channels.items())
        return next(iter(channels))

    @property
    def side(self) -> str:
        """Bias of all channels in one word: above, below, mixed, wide or none.

        Examples
        --------
        >>> list_available_worlds()["brand_and_search"].side
        'mixed'
        """
        found = set(self.direction.values()) - {"none"}
        word = next(iter(found), "none") if len(found) < 2 else "mixed"
        return "wide" if word == "none (wide)" else word


def list_available_worlds() -> dict[str, NamedWorld]:
    """Return all named worlds by name.

    Returns
    -------
    dict of str to NamedWorld
        Sorted by name. ``get_preset_config(name)`` gives the configuration of one, and
        ``get_preset_config(f"{name}_geo")`` the same in eight geos.

    Examples
    --------
    >>> list_available_worlds()["demand_chasing"].breaks
    'Budgets rise when people want more anyway, and nobody records that demand.'
    """
    return {name: _world(name) for name in world_names()}


@functools.cache
def world_names() -> tuple[str, ...]:
    """Return the names of all worlds, sorted, without their variants in several geos."""
    files = (file.name for file in resources.files(__package__).joinpath(FOLDER).iterdir())
    names = (file.removesuffix(SUFFIX) for file in files if file.endswith(SUFFIX))
    return tuple(sorted(name for name in names if name != BASE))


@functools.cache
def world_config(name: str) -> MMMDataConfig | None:
    """Return the configuration of a world, or of its variant in several geos; None if unknown."""
    world = name if name in world_names() else name.removesuffix(GEO)
    if world not in world_names():
        return None
    config = with_overrides(_read(BASE)["config"], _read(world)["config"] or {})
    if world == name:
        return config
    is_national = config.regions.n_regions == 1
    return with_overrides(config, _read(BASE)["geo"]) if is_national else None


@functools.cache
def _read(name: str) -> dict[str, Any]:
    """Return the contents of a file, from a cache: copy before passing it on."""
    file = resources.files(__package__).joinpath(FOLDER, name + SUFFIX)
    return dict(parse_yaml(file.read_text(encoding="utf-8")))


def _world(name: str) -> NamedWorld:
    about = {key: value for key, value in _read(name).items() if key != "config"}
    config = world_config(name)
    channels = config.channel_names if config else []
    found = about.pop("direction")
    each = dict.fromkeys(channels, found) if isinstance(found, str) else found
    return NamedWorld(
        name=name,
        direction={channel: each.get(channel, "none") for channel in channels},
        representable=tuple(about.pop("representable")),
        **about,
    )
