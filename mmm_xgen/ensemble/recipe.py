"""Recipe of an ensemble: the inputs that decide its datasets, and the generation of chunks."""

from __future__ import annotations

import json
import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from math import prod
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mmm_xgen.config.data import MMMDataConfig
from mmm_xgen.config.paths import with_numbers
from mmm_xgen.dataset import VARIED, as_dataset, coordinate_of, in_dataset_order, sizes_of
from mmm_xgen.ensemble.vary import Varied, configs_at, numbers_at
from mmm_xgen.errors import ConfigError, XgenError, XgenWarning, check_packages
from mmm_xgen.formatting.words import listed
from mmm_xgen.generate import sales_equation, variable_names
from mmm_xgen.generation.batch import Batch
from mmm_xgen.generation.given_parameters import true_parameters
from mmm_xgen.kernels.baseline import EVENT_SHAPES
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.kernels.kind import members
from mmm_xgen.schema import describe
from mmm_xgen.version import __version__

DATASET = "dataset"
# Bytes of a chunk, and of all the variables that one broadcast generates.
CHUNK_BYTES = 64_000_000
# Largest number of varied numbers that an error message names.
NAMED = 6

Chunks = int | Literal["auto"] | tuple[int, ...] | None
Arrays = dict[str, FloatArray]


@dataclass(frozen=True, kw_only=True, eq=False)
class Recipe:
    """Inputs that decide an ensemble.

    Parameters
    ----------
    config : MMMDataConfig
        Configuration that the datasets share, with a number at every place that varies.
    labels, seeds : array of int, dims (dataset,)
        Name and seed of each dataset.
    varied : tuple of Varied
        Numbers that vary.
    names : tuple of str
        Variables to keep.
    warned : dict
        Kinds of warnings that were already issued.
    """

    config: MMMDataConfig
    labels: NDArray[np.int64]
    seeds: NDArray[np.int64]
    varied: tuple[Varied, ...]
    names: tuple[str, ...]
    warned: dict[str, object] = field(default_factory=dict)

    def __getstate__(self) -> dict[str, Any]:
        # Do not send the record of issued warnings.
        return {**vars(self), "warned": {}}

    def dataset(self, chunks: Chunks) -> xr.Dataset:
        """Return the datasets of the ensemble, lazy unless `chunks` is None."""
        arrays = self.chunk(0, len(self.seeds)) if chunks is None else self._lazy(chunks)
        return self.as_dataset(arrays)

    def as_dataset(self, arrays: Mapping[str, Any]) -> xr.Dataset:
        """Return arrays of variables, dims (dataset, ...), as a Dataset with all coordinates."""
        ds = as_dataset(self.config, arrays, given=[], spend_is_given=False, leading=(DATASET,))
        about = {"units": "1", "long_name": "dataset of the ensemble"}
        coordinates: dict[str, Any] = {
            DATASET: (DATASET, self.labels, about),
            "seed": (DATASET, self.seeds, {"units": "1", "long_name": "seed of the dataset"}),
        }
        for each in self.varied:
            dims = (DATASET,) if each.dim is None else (DATASET, each.dim)
            values = each.values[:, 0] if each.dim is None else self._padded(each)
            about = {"long_name": f"{each.path} of the dataset"}
            coordinates[coordinate_of(each.path)] = (dims, values, about)
        paths = json.dumps([each.path for each in self.varied])
        return ds.assign_coords(coordinates).assign_attrs({VARIED: paths})

    def _padded(self, each: Varied) -> NDArray[Any]:
        """Return the numbers of a path, with a mark for controls that it does not lead to.

        They are the controls of demand, promotions and mediators, which come last.
        """
        missing = self._sizes[str(each.dim)] - each.values.shape[1]
        if not missing:
            return each.values
        mark = np.nan if each.values.dtype.kind == "f" else -1
        return np.pad(each.values, [(0, 0), (0, missing)], constant_values=mark)

    def makes(self, ds: xr.Dataset) -> bool:
        """Tell if a lazy Dataset is exactly what this recipe generates, without later changes."""
        found = chunk_lengths(ds, ds.data_vars)
        if len(found) != 1 or tuple(map(str, ds.data_vars)) != self._shown():
            return False
        token = self._token(found.pop())
        return all(
            getattr(ds[name].data, "name", None) == f"{name}-{token}" for name in ds.data_vars
        )

    def _shown(self) -> tuple[str, ...]:
        """Return the variables in the Dataset: `as_dataset` leaves out those without an entry."""
        return tuple(
            name
            for name in self.names
            if "control" in describe(name).dims or 0 not in self._shape(name)
        )

    @cached_property
    def _sizes(self) -> dict[str, int]:
        return sizes_of(self.config)

    def _shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._sizes[dim] for dim in describe(name).dims)

    def _datasets_in(self, size: int, names: Sequence[str]) -> int:
        """Return the number of datasets whose variables fill `size` bytes, at least one."""
        of_one = 8 * sum(prod(self._shape(name)) for name in names)
        return max(1, size // max(of_one, 1))

    @cached_property
    def _together(self) -> int:
        """Datasets that one broadcast makes."""
        return self._datasets_in(CHUNK_BYTES, variable_names(self.config))

    # ------------------------------------------------------------------ laziness

    def _lazy(self, chunks: int | Literal["auto"] | tuple[int, ...]) -> dict[str, Any]:
        """Return Dask arrays: one task per chunk generates all variables, others select them."""
        check_packages("an ensemble in chunks needs", "dask.array")
        import dask.array as da
        from dask.highlevelgraph import HighLevelGraph

        lengths = chunks if isinstance(chunks, tuple) else self._lengths(chunks)
        token = self._token(lengths)
        recipe, datasets = f"recipe-{token}", f"datasets-{token}"
        ends = [0, *np.cumsum(lengths).tolist()]
        tasks: dict[Any, Any] = {
            (datasets, position): (Recipe.chunk, recipe, start, stop)
            for position, (start, stop) in enumerate(pairwise(ends))
        }
        layers: Any = {recipe: {recipe: self}, datasets: tasks}
        needs: dict[str, set[str]] = {recipe: set(), datasets: {recipe}}
        arrays = {}
        for name in self.names:
            key, shape = f"{name}-{token}", self._shape(name)
            layer = {
                (key, position, *(0 for _ in shape)): (operator.getitem, task, name)
                for position, task in enumerate(tasks)
            }
            graph = HighLevelGraph(layers | {key: layer}, {**needs, key: {datasets}})
            pieces = (lengths, *((length,) for length in shape))
            arrays[name] = da.Array(graph, key, chunks=pieces, dtype=float)  # type: ignore[no-untyped-call]
        return arrays

    def _lengths(self, chunks: int | Literal["auto"]) -> tuple[int, ...]:
        size = self._datasets_in(CHUNK_BYTES, self.names) if chunks == "auto" else int(chunks)
        whole, rest = divmod(len(self.seeds), size)
        return (size,) * whole + ((rest,) if rest else ())

    def _token(self, lengths: tuple[int, ...]) -> str:
        """Return a name that only equal ensembles share."""
        from dask.base import tokenize

        values = [(each.path, each.values) for each in self.varied]
        parts = (self.config.to_json(), self.labels, self.seeds, values, self._shown(), lengths)
        return str(tokenize(__version__, *parts, *_own_functions(self.config)))

    # ------------------------------------------------------------------ generation

    def chunk(self, start: int, stop: int) -> Arrays:
        """Variables of some of the datasets, dims (dataset, ...) as in the Dataset."""
        size = self._together
        if stop - start <= size:
            return self._block(range(start, stop))
        arrays: Arrays = {}
        for first in range(start, stop, size):
            block = range(first, min(first + size, stop))
            for name, values in self._block(block).items():
                if name not in arrays:
                    shape = (stop - start, *values.shape[1:])
                    # In the order in memory of its parts: to reorder costs more than to copy.
                    arrays[name] = np.empty_like(values, shape=shape)
                arrays[name][block.start - start : block.stop - start] = values
        return arrays

    def _block(self, block: range) -> Arrays:
        """Return the variables of as many datasets as one broadcast can generate."""
        if len(block) == 1:
            return self._stacked(block, self._one_by_one(block))
        try:
            return self._stacked(block, self._by_group(block))
        except XgenWarning:
            raise
        except Exception:
            # Generate the datasets one by one: the error then names the dataset, and a user's own
            # kind need not be able to process many datasets at once.
            return self._stacked(block, self._one_by_one(block))

    def _stacked(self, block: range, parts: Iterable[tuple[Any, int, Arrays]]) -> Arrays:
        arrays: Arrays = {}
        for index, count, made in parts:
            for name in self.names:
                shape = made[name].shape[1:]
                values = np.broadcast_to(made[name], (count, *shape))
                if count < len(block):
                    arrays.setdefault(name, np.empty((len(block), *shape)))[index] = values
                else:
                    arrays[name] = values
        return {name: in_dataset_order(name, values, 1) for name, values in arrays.items()}

    def _by_group(self, block: range) -> Iterator[tuple[Any, int, Arrays]]:
        """Group the datasets so that one broadcast can generate each group."""
        keys: list[tuple[Any, ...]] = [()] * len(block)
        broadcast = False
        for each in self.varied:
            for column, place in enumerate(each.places):
                if place.is_broadcast(self.config):
                    broadcast = True
                    continue
                values = each.values[block.start : block.stop, column].tolist()
                keys = [(*key, value) for key, value in zip(keys, values, strict=True)]
        for _, index in members(keys):
            own = block[index] if isinstance(index, slice) else [block[k] for k in index]
            configs = configs_at(self.config, self.varied, own if broadcast else own[:1])
            yield index, len(own), _made(self._batch(own, configs))

    def _one_by_one(self, block: range) -> Iterator[tuple[Any, int, Arrays]]:
        for k, dataset in enumerate(block):
            try:
                made = _made(self._batch([dataset], (self._config(dataset),)))
            except XgenError as error:
                path, message = getattr(error, "path", ""), getattr(error, "message", str(error))
                raise ConfigError(f"{self._named(dataset)}: {message}", path=path) from error
            except Exception as error:
                error.add_note(f"in {self._named(dataset)}")
                raise
            yield [k], 1, made

    def _config(self, dataset: int) -> MMMDataConfig:
        return with_numbers(self.config, numbers_at(self.varied, dataset))

    def _batch(self, datasets: Sequence[int], configs: tuple[MMMDataConfig, ...]) -> Batch:
        own = list(datasets)
        seeds = tuple(self.seeds[own].tolist())
        return Batch(configs, seeds, self.labels[own].tolist(), self.warned)

    def _named(self, dataset: int) -> str:
        """Return name, seed and numbers of one dataset for a message."""
        numbers = numbers_at(self.varied, dataset).items()
        words = [f"{place.written} {value:.6g}" for place, value in numbers]
        named = listed([f"seed {self.seeds[dataset]}", *words], 1 + NAMED)
        return f"dataset {self.labels[dataset]} ({named})"


def chunk_lengths(ds: xr.Dataset, names: Iterable[Any]) -> set[tuple[int, ...]]:
    """Return the datasets per chunk of the lazy variables: one tuple if they agree.

    Coordinates are ignored: `Dataset.chunk` makes them lazy too, in other chunks.
    """
    found = (ds[name].variable.chunksizes for name in names)
    return {lengths[DATASET] for lengths in found if DATASET in lengths}


def _made(batch: Batch) -> Arrays:
    truth, given = true_parameters(batch, None)
    return sales_equation(batch, truth, given)


def _own_functions(config: MMMDataConfig) -> list[Any]:
    """Return the functions of the user's own kinds; they may change and keep their names."""
    items: tuple[Any, ...] = (*config.channels, *config.control_variables)
    specs = (*(item.pattern for item in items), *config.adstocks, *config.saturations)
    kinds = [spec.registered for spec in (*specs, config.regions.trend, config.regions.noise)]
    own = (spec for each in config.channels for spec in (each.budget_rule, each.effect_path))
    paths = (config.regions.level_path, config.regions.season_path)
    kinds += [spec.registered for spec in (*own, *paths) if spec is not None]
    kinds += [EVENT_SHAPES[event.shape] for event in config.events]
    package = __name__.split(".")[0]
    functions = [kind.function for kind in kinds]
    return [each for each in functions if str(each.__module__).split(".")[0] != package]
