"""Ensembles: many datasets along a leading dim `dataset`, generated lazily in chunks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from numbers import Integral
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mmm_xgen.config.base import shown
from mmm_xgen.config.data import MMMDataConfig
from mmm_xgen.config.paths import entries, with_overrides_at
from mmm_xgen.dataset import VARIED, config_of, coordinate_of, sizes_of, varied_paths
from mmm_xgen.ensemble.recipe import DATASET, Chunks, Recipe, chunk_lengths
from mmm_xgen.ensemble.vary import Sampling, Varied, vary_config
from mmm_xgen.errors import ConfigError, SchemaError, nearest
from mmm_xgen.generate import variable_names
from mmm_xgen.media_plan.fitting import check_no_plan
from mmm_xgen.presets import Config, config_from
from mmm_xgen.schema import describe, takes_datasets
from mmm_xgen.streams import stream

__all__ = ["config_of_element", "element", "generate_ensemble", "regenerate_ensemble"]

# Largest seed: seeds are a coordinate of type int64, which every file format can hold.
LARGEST_SEED = 2**63 - 1
# Advice in errors about a changed ensemble.
ONLY = "only datasets may be selected"
ONE_BY_ONE = (
    "an ensemble takes no plan; generate the datasets one by one, as in "
    "generate_mmm_dataset(config, spend='plan.csv', seed=1)"
)


def generate_ensemble(
    config: Config = None,
    *,
    n: int | None = None,
    seeds: Sequence[int] | None = None,
    vary: Mapping[str, Any] | None = None,
    sampling: Sampling = "random",
    chunks: Chunks = "auto",
    variables: str | Sequence[str] | None = None,
    drop: str | Sequence[str] = (),
    **overrides: Any,
) -> xr.Dataset:
    """Generate many datasets with known parameters, along a leading dim `dataset`.

    Each dataset is identical in every bit to `generate_mmm_dataset` with its own numbers and seed,
    `config_of_element`. The size of the chunks changes nothing. With `chunks`, nothing is
    generated before Dask's ``compute``.

    Parameters
    ----------
    config : MMMDataConfig, str, Path or mapping, optional
        Configuration, in any form that `generate_mmm_dataset` takes. Default: `DEFAULT_CONFIG`.
        Its seed decides the seeds of the datasets and the numbers that vary. It cannot have a
        ``spend_plan``.
    n : int, optional
        Number of datasets. Not needed if `seeds` or a full grid gives it.
    seeds : sequence of int, optional
        Seed of every dataset. Default: n different random seeds; a smaller n gives the first of
        them.
    vary : mapping of str to distribution, optional
        Numbers that differ between datasets, by dotted path, such as ``"channels.*.roas"``. A
        ``*`` stands for every channel, control, event, population, funnel, interaction, mediator or
        promotion, each with its own draw. A distribution is `Uniform`, a frozen distribution of
        SciPy, a `Prior` or its description ``{"dist": "Beta", "kwargs": {"alpha": 1, "beta": 3}}``,
        or any object with a ``ppf``. A list of numbers is one axis of a full factorial grid; the
        last axis changes fastest. Every path has its own random stream, so a further path does not
        change the draws of the others.
    sampling : {"random", "latin_hypercube", "sobol", "grid"}
        Design of the draws. ``"grid"`` takes evenly spaced quantiles of each distribution.
        ``"sobol"`` gives the paths their dimensions in the order of `vary`, so append new paths at
        the end.
    chunks : int, "auto" or None
        Datasets per chunk; ``"auto"`` makes chunks of about 64 MB. None generates at once, with
        NumPy.
    variables, drop : str or sequence of str
        Variables to keep (default all) and to leave out: names, or patterns such as
        ``"adstock_*"``.
    **overrides
        Values of `config` to change, as in `customize_preset`.

    Returns
    -------
    Dataset
        Variables of `generate_mmm_dataset` with the leading dim `dataset`. The coordinates are
        ``dataset``, ``seed`` and one for each path of `vary`, with the path as its name (with the
        prefix ``config.`` if the path is a top-level field). Its dims are (dataset,), or
        (dataset, channel) for a ``*``. With controls, those of demand, promotions and mediators,
        which have no such numbers, come last and are NaN.

    Raises
    ------
    ConfigError
        If a path does not lead to a number, or if a value or argument is impossible. If generation
        fails later, the message names the dataset and its numbers.
    MissingDependencyError
        If `chunks` needs Dask and it is not installed.

    Warns
    -----
    XgenWarning
        Once for each kind of questionable setting or result. The message gives the number of
        datasets among those that were generated together.

    Examples
    --------
    >>> from mmm_xgen import Uniform
    >>> ds = generate_ensemble("basic", n=100, vary={"channels.*.roas": Uniform(1, 4)})
    >>> dict(ds.spend.sizes)
    {'dataset': 100, 'date': 52, 'geo': 1, 'channel': 3}
    >>> ds["channels.*.roas"].dims
    ('dataset', 'channel')
    """
    config = config_from(config, overrides)
    check_no_plan(config, ONE_BY_ONE)
    _check_counts(n, seeds, chunks)
    if n is None and seeds is not None:
        n = len(seeds)
    prototype, varied, n = vary_config(config, vary or {}, n=n, sampling=sampling)
    if n is None:
        raise ConfigError("found neither n nor seeds, allowed: one of them", path="n")
    recipe = Recipe(
        config=prototype,
        labels=np.arange(n),
        seeds=_drawn_seeds(config.seed, n) if seeds is None else np.array(seeds, dtype=np.int64),
        varied=varied,
        names=_chosen(variable_names(prototype), variables, drop),
    )
    return recipe.dataset(chunks).assign_attrs(sampling=sampling)


def regenerate_ensemble(ds: xr.Dataset) -> xr.Dataset:
    """Generate an ensemble again, or the datasets of it that are left.

    Parameters
    ----------
    ds : Dataset
        Ensemble from `generate_ensemble`. Datasets and variables may have been selected, and it
        may have been saved and loaded.

    Returns
    -------
    Dataset
        Identical to `ds`, with its chunks of datasets.

    Raises
    ------
    SchemaError
        If `ds` is not an ensemble, has no datasets, or was changed otherwise: other dates, geos or
        channels were selected, labels changed, or dims reordered.

    Examples
    --------
    >>> ds = generate_ensemble(n=4, chunks=None)
    >>> regenerate_ensemble(ds.isel(dataset=[1, 3])).identical(ds.isel(dataset=[1, 3]))
    True
    """
    recipe = recipe_of(ds)
    lengths = one_chunking(ds, ds.data_vars)
    wanted = recipe.as_dataset({}).variables
    for name, values in ds.coords.items():
        if name not in wanted or not values.variable.equals(wanted[name]):
            raise SchemaError(f"the coordinate {name!r} is not the one of the ensemble; {ONLY}")
    again = recipe.dataset(lengths).assign_attrs(ds.attrs)
    return again.drop_vars([name for name in again.coords if name not in ds.coords])


def config_of_element(ds: xr.Dataset, position: int) -> MMMDataConfig:
    """Return the configuration of one dataset of an ensemble, with its own numbers and seed.

    Raises
    ------
    SchemaError
        If `ds` is not an ensemble.

    Examples
    --------
    >>> ds = generate_ensemble(seeds=[5, 6], chunks=None)
    >>> config_of_element(ds, 1).seed
    6
    """
    check_ensemble(ds)
    return config_of(ds.isel({DATASET: position}))


def element(ds: xr.Dataset, position: int) -> xr.Dataset:
    """Return one dataset of an ensemble, identical to that of `generate_mmm_dataset`.

    Parameters
    ----------
    ds : Dataset
        Ensemble.
    position : int
        Position along `dataset`.

    Returns
    -------
    Dataset

    Raises
    ------
    SchemaError
        If `ds` is not an ensemble.

    Examples
    --------
    >>> import mmm_xgen
    >>> ds = generate_ensemble(seeds=[5, 6], chunks=None)
    >>> element(ds, 1).identical(mmm_xgen.generate_mmm_dataset(seed=6))
    True
    """
    config = config_of_element(ds, position)
    bare = ds.isel({DATASET: position}).drop_vars(
        [DATASET, "seed", *map(coordinate_of, varied_paths(ds))]
    )
    kept = {name: value for name, value in ds.attrs.items() if name not in (VARIED, "sampling")}
    bare.attrs = {**kept, "config": config.to_json(), "seed": config.seed}
    return bare


def _check_counts(n: Any, seeds: Any, chunks: Any) -> None:
    def is_count(value: Any, least: int) -> bool:
        whole = isinstance(value, Integral) and not isinstance(value, bool)
        return whole and least <= int(value) <= LARGEST_SEED

    if n is not None and not is_count(n, 1):
        raise ConfigError(f"found {shown(n)}, allowed: a whole number, at least 1", path="n")
    if chunks not in (None, "auto") and not is_count(chunks, 1):
        allowed = "'auto', None, or a whole number of datasets"
        raise ConfigError(f"found {shown(chunks)}, allowed: {allowed}", path="chunks")
    if seeds is None:
        return
    if not isinstance(seeds, Sequence | np.ndarray) or not len(seeds):
        raise ConfigError(f"found {shown(seeds)}, allowed: a list of seeds", path="seeds")
    plain = set(map(type, seeds)) == {int} and min(seeds) >= 0 and max(seeds) <= LARGEST_SEED
    wrong = [] if plain else [k for k, seed in enumerate(seeds) if not is_count(seed, 0)]
    if wrong:
        found = shown(seeds[wrong[0]])
        allowed = f"a whole number, 0 to {LARGEST_SEED}"
        raise ConfigError(f"found {found}, allowed: {allowed}", path=f"seeds.{wrong[0]}")
    if n is not None and n != len(seeds):
        raise ConfigError(f"found {n} datasets and {len(seeds)} seeds, allowed: one each", path="n")


def _drawn_seeds(seed: int, n: int) -> NDArray[np.int64]:
    """Return different random seeds. Seed + 1 may already be the seed of another dataset."""
    rng = stream(seed, "ensemble", "seeds")
    seeds: dict[int, None] = {}
    while len(seeds) < n:
        seeds |= dict.fromkeys(rng.integers(LARGEST_SEED, size=n - len(seeds)).tolist())
    return np.array(list(seeds), dtype=np.int64)


def _chosen(
    names: list[str], variables: str | Sequence[str] | None, drop: str | Sequence[str]
) -> tuple[str, ...]:
    def matching(wanted: str | Sequence[str], argument: str) -> set[str]:
        found: set[str] = set()
        for pattern in [wanted] if isinstance(wanted, str) else wanted:
            matches = {name for name in names if fnmatchcase(name, str(pattern))}
            if not matches:
                known = nearest(str(pattern), names)
                raise ConfigError(f"no variable is named {pattern!r}; {known}", path=argument)
            found |= matches
        return found

    kept = set(names) if variables is None else matching(variables, "variables")
    kept -= matching(drop, "drop")
    if not kept:
        raise ConfigError("found every variable, which leaves none", path="drop")
    return tuple(name for name in names if name in kept)


@takes_datasets
def check_ensemble(ds: xr.Dataset) -> None:
    """Raise if a Dataset is not an ensemble of at least one dataset.

    Raises
    ------
    SchemaError
        If an attribute, the dim or a coordinate of an ensemble is missing, or no dataset is left.
    """
    if VARIED not in ds.attrs or "config" not in ds.attrs or DATASET not in ds.dims:
        raise SchemaError("the Dataset is not an ensemble; pass what generate_ensemble made")
    for name in (DATASET, "seed", *map(coordinate_of, varied_paths(ds))):
        if name not in ds.coords:
            raise SchemaError(f"the Dataset has lost its coordinate {name!r}; keep it")
    if not ds.sizes[DATASET]:
        raise SchemaError("the ensemble has no datasets left; select at least one")


def one_chunking(ds: xr.Dataset, names: Iterable[Any]) -> tuple[int, ...] | None:
    """Return the datasets per chunk of lazy variables; None if all are in memory.

    Raises
    ------
    SchemaError
        If they differ.
    """
    found = chunk_lengths(ds, names)
    if len(found) > 1:
        some = " and ".join(map(str, sorted(found)[:2]))
        raise SchemaError(
            f"the variables have different chunks along {DATASET!r}, {some}; pass "
            f"ds.chunk({DATASET}={max(max(found))})"
        )
    return found.pop() if found else None


def values_of(ds: xr.Dataset, path: str) -> NDArray[Any]:
    """Return the numbers of a path that varies, dims (dataset, entry)."""
    values = ds[coordinate_of(path)].transpose(DATASET, ...).to_numpy()
    return values.reshape(ds.sizes[DATASET], -1)


def _check_other(ds: xr.Dataset, config: MMMDataConfig) -> None:
    """Raise for variables, dims and lengths that differ from those of the configuration."""
    sizes, known = sizes_of(config), variable_names(config)
    for name in map(str, ds.data_vars):
        if name not in known:
            raise SchemaError(f"{name!r} is not a variable of the ensemble; {ONLY}")
        found, wanted = ds[name].dims, (DATASET, *describe(name).dims)
        if found != wanted:
            raise SchemaError(f"{name!r} has dims {found}, allowed: {wanted}; {ONLY}")
    for dim, size in ds.sizes.items():
        if size != sizes.get(str(dim), size):
            raise SchemaError(f"{str(dim)!r} has {size} of {sizes[str(dim)]} entries; {ONLY}")


def recipe_of(ds: xr.Dataset) -> Recipe:
    """Return the recipe of an ensemble, from its attributes and coordinates.

    Raises
    ------
    SchemaError
        If `ds` is not an ensemble, or its variables are not those of its configuration.
    ConfigError
        If its configuration is for a media plan, or has a callable or kind that is not
        registered.
    """
    check_ensemble(ds)
    config = config_of(ds)
    check_no_plan(config, ONE_BY_ONE)
    _check_other(ds, config)
    written: dict[str, list[str]] = {}
    dims: dict[str, str | None] = {}
    for path in varied_paths(ds):
        dims[path], written[path] = entries(config, path)
    values = {path: values_of(ds, path)[:, : len(paths)] for path, paths in written.items()}
    first = {
        each: value
        for path, paths in written.items()
        for each, value in zip(paths, values[path][0].tolist(), strict=True)
    }
    _, places = with_overrides_at(config, first)
    return Recipe(
        config=config,
        labels=ds[DATASET].to_numpy(),
        seeds=ds["seed"].to_numpy(),
        varied=tuple(
            Varied(path, dims[path], tuple(places[each] for each in paths), values[path])
            for path, paths in written.items()
        ),
        names=tuple(map(str, ds.data_vars)),
    )
