"""Numbers that vary between the datasets of an ensemble: their draws and checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import prod
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from mmm_xgen.config.base import shown
from mmm_xgen.config.data import MMMDataConfig
from mmm_xgen.config.experiment import experiment_cells
from mmm_xgen.config.paths import Place, entries, with_columns, with_numbers, with_overrides_at
from mmm_xgen.dataset import labels_of
from mmm_xgen.ensemble.distributions import is_list_of_numbers, listed_values, quantile
from mmm_xgen.errors import ConfigError, nearest, warn
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.streams import stream

Sampling = Literal["random", "latin_hypercube", "sobol", "grid"]
# Binary digits of a Sobol' point, as SciPy has them.
SOBOL_BITS = 30
# Probabilities stay inside these bounds, because quantiles at 0 and 1 may be infinite.
SMALLEST = 2.0**-54
# Quantile to try if the median is invalid, as a change of 0 in an experiment.
OTHER_SHARE = 0.75


@dataclass(frozen=True)
class Varied:
    """Numbers of one path of `vary`.

    Parameters
    ----------
    path : str
        Path as the user wrote it, and name of the coordinate.
    dim : str or None
        Dim that its ``*`` stands for.
    places : tuple of Place
        Places of the numbers: one per entry of `dim`, or one.
    values : array, dims (dataset, entry)
        Values.
    """

    path: str
    dim: str | None
    places: tuple[Place, ...]
    values: NDArray[Any]


def vary_config(
    config: MMMDataConfig,
    vary: Mapping[str, Any],
    *,
    n: int | None,
    sampling: Sampling = "random",
) -> tuple[MMMDataConfig, tuple[Varied, ...], int | None]:
    """Draw the numbers of every dataset, and check them as far as possible without generation.

    Parameters
    ----------
    config : MMMDataConfig
        Configuration of everything that does not vary, and the seed of the draws.
    vary : mapping of str to distribution
        Distribution of each path that varies.
    n : int, optional
        Number of datasets. Default: the size of the grid, if there is one.
    sampling : {"random", "latin_hypercube", "sobol", "grid"}
        Design of the draws.

    Returns
    -------
    config : MMMDataConfig
        Configuration that has a number at every place that varies.
    varied : tuple of Varied
    n : int or None
        Number of datasets; None if nothing gives it.

    Raises
    ------
    ConfigError
        If a path does not lead to a number, if a distribution is not one, or if a value is
        impossible.
    """
    if not isinstance(vary, Mapping):
        raise ConfigError(f"found {shown(vary)}, allowed: a mapping of paths", path="vary")
    if sampling not in get_args(Sampling):
        found = nearest(str(sampling), get_args(Sampling))
        raise ConfigError(f"found {shown(sampling)}; {found}", path="sampling")
    expanded = {path: entries(config, path) for path in vary}
    written = {each: vary[path] for path, (_, paths) in expanded.items() for each in paths}
    n = _size(written, n, sampling)
    if n is None or not written:
        return config, (), n
    prototype, places = _probed(config, written)
    _check_twice(places)
    values = _values(prototype, {places[path]: each for path, each in written.items()}, n, sampling)
    varied = tuple(
        Varied(
            path,
            dim,
            tuple(places[each] for each in paths),
            np.stack([values[places[each]] for each in paths], axis=1),
        )
        for path, (dim, paths) in expanded.items()
    )
    _check_impossible(prototype, varied)
    return prototype, varied, n


def numbers_at(varied: tuple[Varied, ...], dataset: int) -> dict[Place, Any]:
    """Return the number at every place in one dataset."""
    return {
        place: value
        for each in varied
        for place, value in zip(each.places, each.values[dataset].tolist(), strict=True)
    }


def configs_at(
    config: MMMDataConfig, varied: tuple[Varied, ...], datasets: Sequence[int]
) -> tuple[MMMDataConfig, ...]:
    """Return the configurations of some datasets, or one for all if no numbers vary.

    Raises
    ------
    ConfigError
        If a number is impossible at its place.
    """
    own = np.asarray(datasets)
    columns = {
        place: values
        for each in varied
        for place, values in zip(each.places, each.values[own].T, strict=True)
    }
    return with_columns(config, columns) if columns else (config,)


def _probed(
    config: MMMDataConfig, written: Mapping[str, Any]
) -> tuple[MMMDataConfig, dict[str, Place]]:
    """Return the configuration with a trial value at every path, and the places of the paths."""
    middle, other = (
        {path: _probe(distribution, path, share) for path, distribution in written.items()}
        for share in (0.5, OTHER_SHARE)
    )
    try:
        return with_overrides_at(config, middle)
    except ConfigError:
        with suppress(ConfigError):
            return with_overrides_at(config, other)
        raise


def _probe(distribution: Any, path: str, share: float) -> float | int:
    """Return one value of a distribution."""
    if is_list_of_numbers(distribution):
        values = listed_values(distribution, path)
    else:
        values = np.ravel(quantile(distribution, path)(np.array([share])))
    value = float(values[0])
    # A field of whole numbers rejects 3.0, but every field accepts 3.
    return int(value) if value.is_integer() else value


def _check_twice(places: Mapping[str, Place]) -> None:
    seen: dict[Any, str] = {}
    for path, place in places.items():
        if place.keys in seen:
            raise ConfigError(
                f"leads where {seen[place.keys]!r} leads; give one of them", path=path
            )
        seen[place.keys] = path


def _size(written: Mapping[str, Any], n: int | None, sampling: str) -> int | None:
    """Return the number of datasets, which must be a multiple of a full grid."""
    lists = {p: d for p, d in written.items() if is_list_of_numbers(d)}
    grid = prod(len(listed_values(each, path)) for path, each in lists.items())
    if n is None:
        return grid if lists and len(lists) == len(written) else None
    if n % grid:
        raise ConfigError(
            f"found {n} datasets for a grid of {grid}, allowed: a multiple of it", path="n"
        )
    if sampling == "grid" and len(lists) < len(written):
        levels = _levels(n // grid, len(written) - len(lists))
        if levels is None:
            power = f"{grid} x k ** {len(written) - len(lists)}"
            raise ConfigError(f"found {n} datasets, allowed with a grid: {power}", path="n")
    return n


def _levels(n: int, axes: int) -> int | None:
    """Return the number k of levels with ``k ** axes == n``, or None."""
    levels = round(n ** (1 / axes))
    return levels if levels**axes == n else None


def _values(
    config: MMMDataConfig, distributions: Mapping[Place, Any], n: int, sampling: Sampling
) -> dict[Place, NDArray[Any]]:
    """Return the values of every place, dims (dataset,)."""
    listed = {place: each for place, each in distributions.items() if is_list_of_numbers(each)}
    drawn = [place for place in distributions if place not in listed]
    axes = {place: listed_values(each, place.written) for place, each in listed.items()}
    values: dict[Place, FloatArray] = {}
    if sampling == "grid" and drawn:
        levels = _levels(n // prod(map(len, axes.values())), len(drawn)) or 1
        middles = (np.arange(levels) + 0.5) / levels
        for place in drawn:
            axes[place] = np.ravel(quantile(distributions[place], place.written)(middles))
    elif drawn:
        shares = _shares(config, drawn, n, sampling)
        for place, share in zip(drawn, shares, strict=True):
            values[place] = np.ravel(quantile(distributions[place], place.written)(share))
    # Full factorial, the last path fastest, repeated if n is a multiple of it.
    grid = np.unravel_index(
        np.arange(n) % prod(map(len, axes.values())), tuple(map(len, axes.values())) or (1,)
    )
    for (place, levels_of), position in zip(axes.items(), grid, strict=False):
        values[place] = levels_of[position]
    return {place: _typed(config, place, values[place]) for place in distributions}


def _typed(config: MMMDataConfig, place: Place, values: FloatArray) -> NDArray[Any]:
    """Return the values as whole numbers if the configuration holds whole numbers."""
    is_whole = _is_whole(config, place)
    wrong = ~np.isfinite(values) | (is_whole & (values != np.round(values)))
    if wrong.any():
        dataset = int(np.argmax(wrong))
        allowed = "a whole number" if is_whole else "a finite number"
        raise ConfigError(
            f"found {values[dataset]:g} for dataset {dataset}, allowed: {allowed}",
            path=place.written,
        )
    return values.astype(np.int64) if is_whole else values


def _is_whole(config: MMMDataConfig, place: Place) -> bool:
    """Tell if a place takes whole numbers only."""
    value = place.of(config)
    if not isinstance(value, int):
        return False
    try:
        with_numbers(config, {place: float(value)})
    except ConfigError:
        return True
    return False


def _shares(
    config: MMMDataConfig, places: list[Place], n: int, sampling: Sampling
) -> list[FloatArray]:
    """Return the probabilities to draw quantiles at, dims (dataset,), one stream per place.

    A place is identified by names and not by positions, so no other place, channel or spelling
    changes its draws.
    """
    streams = [stream(config.seed, "ensemble", "vary", *_named(config, each)) for each in places]
    if sampling == "random":
        return [np.maximum(rng.random(n), SMALLEST) for rng in streams]
    from scipy.stats import qmc

    if sampling == "latin_hypercube":
        return [qmc.LatinHypercube(d=1, rng=rng).random(n)[:, 0] for rng in streams]
    if n & (n - 1):
        better = 2 ** n.bit_length()
        warn(f"{n} is not a power of 2, so that Sobol' points lose their balance; better: {better}")
    points = qmc.Sobol(d=len(places), scramble=False, bits=SOBOL_BITS)
    integers = (points.random_base2(int(n - 1).bit_length())[:n] * 2**SOBOL_BITS).astype(np.int64)
    # A digital shift by the place's own stream keeps the net property, and does not
    # change other dimensions.
    return [
        ((row ^ rng.integers(2**SOBOL_BITS)) + np.maximum(rng.random(n), SMALLEST)) / 2**SOBOL_BITS
        for row, rng in zip(integers.T, streams, strict=True)
    ]


def _named(config: MMMDataConfig, place: Place) -> list[str]:
    labels = labels_of(config)
    lists = {
        "channels": labels["channel"],
        "control_variables": labels["control"],
        "events": labels["event"],
        "funnels": labels["funnel"],
        "interactions": labels["interaction"],
        "mediators": labels["mediator"],
        "promotions": labels["promotion"],
        "indicators": [each.name for each in config.indicators],
        "population": labels["geo"],
    }
    pairs = zip(("", *place.keys), place.keys, strict=False)
    return [
        lists[str(above)][key] if isinstance(key, int) and above in lists else str(key)
        for above, key in pairs
    ]


def _check_impossible(config: MMMDataConfig, varied: tuple[Varied, ...]) -> None:
    """Check the datasets that have the smallest and the largest value of each place.

    The allowed values are nearly always an interval. The rest is checked when a dataset is
    generated.
    """
    wanted = _structure(config)
    for each in varied:
        for entry, place in enumerate(each.places):
            column = each.values[:, entry]
            for dataset in {int(np.argmin(column)), int(np.argmax(column))}:
                found = with_numbers(config, numbers_at(varied, dataset))
                if place.keys[0] == "experiments":
                    _check_unfit_experiments(found)
                if _structure(found) != wanted:
                    raise ConfigError(
                        f"{column[dataset]:g} gives dataset {dataset} other names or sizes than "
                        "the others; an ensemble varies only what leaves them alone",
                        path=place.written,
                    )


def _check_unfit_experiments(config: MMMDataConfig) -> None:
    """Raise for experiments outside of the data; later steps do not check changed numbers again."""
    experiment_cells(
        config.experiments,
        channels=config.channel_names,
        geos=config.regions.names,
        calendar=config.calendar.window(),
    )


def _structure(config: MMMDataConfig) -> tuple[Any, ...]:
    """Return the names and sizes that all datasets of an ensemble share."""
    specs = (*config.adstocks, *config.saturations)
    return (
        labels_of(config),
        config.calendar.dates.tolist(),
        config.l_max,
        [(spec.kind, spec.settings) for spec in specs],
        [(spec.normalize, spec.half_life is None) for spec in config.adstocks],
    )
