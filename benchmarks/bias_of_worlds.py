"""Bias of least squares in every named world: ``python -m benchmarks.bias_of_worlds``.

The model of the study, `ols-oracle`, knows the true adstock and saturation of each channel, and has
the true trend and season and the controls that the data show. What is left is what the world does.
Worlds of other curves have a second model, which takes the curves of the world `clean` for true.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mmm_xgen import get_preset_config
from mmm_xgen.ensemble import generate_ensemble
from mmm_xgen.presets import NamedWorld, list_available_worlds
from mmm_xgen.recovery import fit_least_squares
from mmm_xgen.threads import in_one_thread
from mmm_xgen.truth import roas

PAGE = Path(__file__).parents[1] / "docs" / "worlds.md"
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"
SEEDS = 2000
# Worlds of which a dataset takes long, and their number of datasets.
FEWER = {"everything": 400}
# World whose curves the second model takes for true.
BASE = "clean"
# Datasets that are generated and fitted together.
TOGETHER = 200
# Median bias in percent that counts as none, and spread that counts as wide.
NEGLIGIBLE, WIDE = 5.0, 28.0
# Standard errors that a bias must exceed.
CERTAIN = 3.0


def bias_of(
    world: NamedWorld, n_seeds: int = SEEDS, *, base_curves: bool | None = None
) -> xr.Dataset:
    """Bias of the ROAS by channel, in percent of its true size.

    A placebo is compared with the ROAS of the other channels. With `base_curves` the model takes
    the curves of the world `clean` for true; by default if the direction of the world is of it.

    Returns
    -------
    Dataset, dims (channel,)
        ``median``; its Monte Carlo standard error ``error``, by the formula for a normal sample;
        and ``spread``, the standard deviation of the error of one dataset, from the quartiles.
    """
    seeds = range(n_seeds)
    base = world.base_curves if base_curves is None else base_curves
    percent = 100 * np.concatenate(
        [_errors(world, seeds[k : k + TOGETHER], base) for k in range(0, n_seeds, TOGETHER)]
    )
    low, median, high = np.quantile(percent, [0.25, 0.5, 0.75], axis=0)
    spread = (high - low) / 1.349
    error = np.sqrt(np.pi / 2 / n_seeds) * spread
    found = {"median": median, "error": error, "spread": spread}
    return xr.Dataset(
        {name: ("channel", values) for name, values in found.items()},
        {"channel": list(world.direction)},
    )


def _errors(world: NamedWorld, seeds: Sequence[int], base_curves: bool) -> NDArray[np.float64]:
    """Errors relative to the size of the truth, dims (dataset, channel)."""
    ds = generate_ensemble(get_preset_config(world.name), seeds=seeds, chunks=None)
    seen = ds
    if base_curves:
        base = generate_ensemble(get_preset_config(BASE), seeds=seeds, chunks=None)
        if not np.array_equal(base["spend"], ds["spend"]):
            raise ValueError(f"{world.name} has another spend than {BASE}, so no response to it")
        seen = ds.assign(saturated=ds["saturated"].copy(data=base["saturated"].to_numpy()))
    with in_one_thread():
        fit = fit_least_squares(seen, transforms="true")
    dates = slice(-(world.last_periods or ds.sizes["date"]), None)
    first, last = (str(date)[:10] for date in ds["date"].values[dates][[0, -1]])
    parts = (fit.contributions() * fit.revenue_per_kpi, fit.spend)
    revenue, spend = (part.isel(date=dates).sum(("date", "geo")) for part in parts)
    if world.reacting:
        datasets = (ds.isel(dataset=k) for k in range(len(seeds)))
        true = np.array([roas(each, reacting=True, window=(first, last)) for each in datasets])
    else:
        true = roas(ds, window=(first, last)).to_numpy()
    size = np.abs(true)
    scale = np.where(size > 0, size, size.max(axis=-1, keepdims=True))
    return np.asarray(((revenue / spend).to_numpy() - true) / scale)


def agrees(direction: str, bias: xr.Dataset) -> bool:
    """Return True if the bias of one channel is what a world says."""
    median, error, spread = (float(bias[name]) for name in ("median", "error", "spread"))
    if direction == "above":
        return median > CERTAIN * error
    if direction == "below":
        return median < -CERTAIN * error
    if direction == "none (wide)" and spread < WIDE:
        return False
    return abs(median) <= max(CERTAIN * error, NEGLIGIBLE)


def _cells(bias: xr.Dataset) -> list[str]:
    """Cells of a row: median, its Monte Carlo error, and the spread, by channel."""
    columns = (bias[name].to_numpy() for name in ("median", "error", "spread"))
    rows = zip(*columns, strict=True)
    return [f"{median:+.0f} ± {error:.1f} ({spread:.0f})" for median, error, spread in rows]


def table(n_seeds: int = SEEDS) -> list[str]:
    """Lines of a Markdown table with one row for each world."""
    channels = list(next(iter(list_available_worlds().values())).direction)
    head = ["world", "what it breaks", "direction", *channels, "well specified"]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for world in list_available_worlds().values():
        found = bias_of(world, min(n_seeds, FEWER.get(world.name, n_seeds)))
        for channel, direction in world.direction.items():
            if not agrees(direction, found.sel(channel=channel)):
                print(f"{world.name}, {channel}: the direction is {direction}, and not:")
        models = ", ".join(world.representable) or "none"
        row = (f"`{world.name}`", world.breaks, world.bias, *_cells(found), models)
        lines.append(f"| {' | '.join(row)} |")
        print(lines[-1], flush=True)
        if world.base_curves:
            oracle = bias_of(world, n_seeds, base_curves=False)
            lines.append(f"| {' | '.join(('', 'with the true curves', '', *_cells(oracle), ''))} |")
            print(lines[-1], flush=True)
    return lines


def sources() -> list[str]:
    """Lines of a Markdown list: note and reference of each world."""
    lines = []
    for world in list_available_worlds().values():
        note = f"{world.note} " if world.note else ""
        if world.last_periods is not None:
            note = f"The bias is of the ROAS of the last {world.last_periods} weeks. {note}"
        if world.reacting:
            note = f"The true ROAS is that with budgets that react. {note}"
        lines.append(f"- `{world.name}`: {note}Source: {world.reference}")
    return lines


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the table into the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    lines = table(parser.parse_args(arguments).seeds)
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    text = "\n".join([before + BEGIN, "", *lines, "", *sources(), "", END + after])
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
