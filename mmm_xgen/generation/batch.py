"""Batch: datasets that differ only in numbers, so one broadcast can generate them all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmm_xgen.config.data import MMMDataConfig
from mmm_xgen.config.region import RegionConfig
from mmm_xgen.config.specs import Spec
from mmm_xgen.errors import warn
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.streams import streams


@dataclass(frozen=True)
class Batch:
    """Configurations that differ only in numbers, and one seed per dataset.

    Every array made from a batch has a leading axis `dataset`. Its length is 1 if all datasets
    share the values, so nothing is computed twice. A single dataset is a batch of one.

    Parameters
    ----------
    configs : tuple of MMMDataConfig
        One for all datasets, or one for each.
    seeds : tuple of int
        Seed of each dataset. Seeds in the configurations are ignored.
    labels : sequence of int, optional
        Names of the datasets in their ensemble; None outside of an ensemble.
    warned : dict
        Kinds of warnings that the ensemble has already issued, shared by all of its batches.
    """

    configs: tuple[MMMDataConfig, ...]
    seeds: tuple[int, ...]
    labels: Sequence[int] | None = None
    warned: dict[str, object] = field(default_factory=dict)

    @classmethod
    def of(cls, config: MMMDataConfig) -> Batch:
        """Return the batch of the one dataset that a configuration describes."""
        return cls((config,), (config.seed,))

    def __len__(self) -> int:
        return len(self.seeds)

    @property
    def shared(self) -> MMMDataConfig:
        """Configuration for everything that all datasets share: kinds, names, dates and sizes."""
        return self.configs[0]

    def each(self, read: Callable[[MMMDataConfig], Any]) -> FloatArray:
        """Return numbers from every configuration, dims (dataset, ...)."""
        return np.array([read(config) for config in self.configs], dtype=float)

    def each_region(self, read: Callable[[RegionConfig], Any]) -> FloatArray:
        """Return numbers from the geos of every configuration, once if all share them."""
        regions = [config.regions for config in self.configs]
        if all(each is regions[0] for each in regions):
            regions = regions[:1]
        return np.array([read(each) for each in regions], dtype=float)

    def streams(self, *path: str) -> Iterator[np.random.Generator]:
        """Random stream of a named place, dataset by dataset."""
        return streams(self.seeds, [path])

    def draws(
        self,
        places: Sequence[tuple[str, ...]],
        shape: tuple[int, ...],
        *,
        shared: Sequence[bool] | None = None,
        uniform: bool = False,
    ) -> FloatArray:
        """Return standard normal draws of named places, dims (dataset, place, *shape).

        Parameters
        ----------
        places : sequence of tuple of str
            Path of the stream of each place, such as ``("spend", "TV")``.
        shape : tuple of int
            Shape of the draws of one place in one dataset.
        shared : sequence of bool, optional
            Places where all geos, the first axis of `shape`, have the same draws.
        uniform : bool, default False
            Draw uniform numbers between 0 and 1 instead.
        """
        drawn = np.empty((len(self), len(places), *shape))
        rngs, rows = streams(self.seeds, places), drawn.reshape(len(self) * len(places), *shape)
        is_shared = list(shared or [False] * len(places)) * len(self)
        for rng, row, same in zip(rngs, rows, is_shared, strict=True):
            draw = rng.random if uniform else rng.standard_normal
            if same:
                row[:] = draw(shape[1:])
            else:
                draw(out=row)
        return drawn

    def warn(self, kind: str, where: NDArray[np.bool_], say: Callable[[int], str] | str) -> None:
        """Warn about some datasets; in an ensemble once per kind, with the number of datasets.

        The number counts this batch only, because others may not be generated yet.

        Parameters
        ----------
        kind : str
            Kind of the warning.
        where : array of bool, dims (dataset,)
            Datasets that the warning is about.
        say : callable or str
            Message, or a function that returns the message for the dataset at one position.
        """
        # `setdefault` tests and enters in one step, which is safe if many threads do it.
        mine = object()
        if not where.any() or self.warned.setdefault(kind, mine) is not mine:
            return
        position = int(np.argmax(where))
        message = say if isinstance(say, str) else say(position)
        if self.labels is not None:
            found = int(np.broadcast_to(where, len(self)).sum())
            message = (
                f"in {found} of {len(self)} datasets made together, as in dataset "
                f"{self.labels[position]} (seed {self.seeds[position]}): {message}"
            )
        warn(message)


def numbers_of_kind(
    batch: Batch, read: Callable[[MMMDataConfig], Sequence[Spec | None]], positions: Sequence[int]
) -> dict[str, FloatArray]:
    """Return the parameters of a kind, dims (dataset and item, 1, 1), for one call of it.

    Parameters
    ----------
    batch : Batch
        Configurations and seeds.
    read : callable
        Returns the spec of every item, such as a channel.
    positions : sequence of int
        Items of the kind.
    """
    specs = [[items[each] for each in positions] for items in map(read, batch.configs)]
    kind = specs[0][0].registered  # type: ignore[union-attr]
    found = {}
    for name in kind.parameters:
        values = np.array([[getattr(spec, name) for spec in each] for each in specs], dtype=float)
        found[name] = np.broadcast_to(values, (len(batch), values.shape[1])).reshape(-1, 1, 1)
    return found
