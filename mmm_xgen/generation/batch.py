"""A batch: datasets that one broadcast generates, since they differ in nothing but numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmm_xgen.config.data import MMMDataConfig
from mmm_xgen.config.region import RegionConfig
from mmm_xgen.errors import warn
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.streams import streams


@dataclass(frozen=True)
class Batch:
    """Configurations that are alike but for numbers, and one seed a dataset.

    Every array that is made of a batch has a leading axis `dataset`. It has length 1 where all
    datasets share the values, so that nothing is computed twice, and a single dataset is a
    batch of one.

    Parameters
    ----------
    configs : tuple of MMMDataConfig
        One for all datasets, or one for each.
    seeds : tuple of int
        Seed of each dataset; those of the configurations have no say.
    labels : sequence of int, optional
        Names of the datasets in their ensemble; None for a dataset that is in none.
    heard : dict
        Kinds of warnings that the ensemble has given already, shared by all of its batches.
    """

    configs: tuple[MMMDataConfig, ...]
    seeds: tuple[int, ...]
    labels: Sequence[int] | None = None
    heard: dict[str, object] = field(default_factory=dict)

    @classmethod
    def of(cls, config: MMMDataConfig) -> Batch:
        """Batch of the one dataset that a configuration describes."""
        return cls((config,), (config.seed,))

    def __len__(self) -> int:
        return len(self.seeds)

    @property
    def shared(self) -> MMMDataConfig:
        """What all datasets have in common: kinds, names, dates and sizes, not numbers."""
        return self.configs[0]

    def each(self, read: Callable[[MMMDataConfig], Any]) -> FloatArray:
        """Numbers read off every configuration, dims (dataset, ...)."""
        return np.array([read(config) for config in self.configs], dtype=float)

    def each_region(self, read: Callable[[RegionConfig], Any]) -> FloatArray:
        """Numbers read off the geos of every configuration, once where they share them."""
        regions = [config.regions for config in self.configs]
        if all(each is regions[0] for each in regions):
            regions = regions[:1]
        return np.array([read(each) for each in regions], dtype=float)

    def streams(self, *path: str) -> Iterator[np.random.Generator]:
        """Random stream of a named place, dataset by dataset: draw before you go on to the next."""
        return streams(self.seeds, *path)

    def normal(self, shape: tuple[int, ...], *path: str) -> FloatArray:
        """Standard normal draws of a named place, dims (dataset, *shape)."""
        draws = np.empty((len(self), *shape))
        for rng, row in zip(self.streams(*path), draws, strict=True):
            rng.standard_normal(out=row)
        return draws

    def warn(self, kind: str, where: NDArray[np.bool_], say: Callable[[int], str] | str) -> None:
        """Warn of the datasets where something is: in an ensemble once a kind, with their number.

        The number is that of this batch: others may not have been made yet.

        Parameters
        ----------
        kind : str
            What the warning is about.
        where : array of bool, dims (dataset,)
            Datasets that it is about.
        say : callable or str
            Message about the dataset at one position, or about any.
        """
        # One step, not a look and an entry: the chunks of an ensemble are made by many threads.
        mine = object()
        if not where.any() or self.heard.setdefault(kind, mine) is not mine:
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
