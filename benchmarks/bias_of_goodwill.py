"""Adstock and Hill curves fitted to a population: ``python -m benchmarks.bias_of_goodwill``.

Four populations, from one that forgets fast to one that forgets slowly. A model with a trend, a
yearly season, and a geometric adstock and a Hill curve of each channel is fitted to expected sales,
without noise, by least squares from several starts. The page shows how well it fits, and how far
off its ROAS is.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.optimize import least_squares, nnls
from scipy.signal import lfilter

from mmm_xgen import generate_mmm_dataset, total_response
from mmm_xgen.truth import roas

PAGE = Path(__file__).parents[1] / "docs" / "beyond.md"
PICTURE = Path(__file__).parents[1] / "docs" / "images" / "goodwill.png"
BEGIN, END = "<!-- goodwill: begin -->", "<!-- goodwill: end -->"
# Rates of each population: forget, cool, convert and churn.
POPULATIONS = {
    "forgets at once": (0.5, 0.5, 0.5, 0.6),
    "forgets fast": (0.3, 0.3, 0.3, 0.3),
    "forgets slowly": (0.15, 0.2, 0.2, 0.12),
    "hardly forgets": (0.08, 0.1, 0.15, 0.06),
}
RATES = ("forget", "cool", "convert", "churn")
# Channel and share of its campaigns that are on.
CHANNELS = {"TV": 0.3, "Radio": 0.4, "Search": 0.5}
BASE_SPEND, PRESSURE, SIZE = 390.0, 0.6, 2.0
SEEDS, STARTS = 24, 6
# Bounds of adstock alpha, log of the half-saturation relative to base spend, and log of the slope.
LOWER, UPPER = (0.0, -3.0, np.log(0.5)), (0.99, 3.0, np.log(3.0))
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Fit:
    """Fit to one dataset.

    Parameters
    ----------
    weeks : float
        Weeks until half of the effect of a week's spend has come.
    r_squared : float
        Share of the variance of expected sales that the model explains.
    error : array, dims (channel,)
        Error of the ROAS in percent.
    """

    weeks: float
    r_squared: float
    error: Floats


def dataset(population: str, seed: int) -> xr.Dataset:
    """Dataset of 208 weeks whose media make about a fifth of sales."""
    response = dict(zip(RATES, POPULATIONS[population], strict=True))
    channels = [
        {
            "name": name,
            "pattern": "on_off",
            "activation_probability": share,
            "base_spend": BASE_SPEND,
            "spend_volatility": 0.5,
            "base_effectiveness": PRESSURE,
        }
        for name, share in CHANNELS.items()
    ]
    changes = {f"response.{name}": rate for name, rate in response.items()}
    return generate_mmm_dataset(
        "goodwill", seed=seed, channels=channels, **changes, **{"response.size": SIZE}
    )


def fitted(ds: xr.Dataset, starts: int = STARTS) -> Fit:
    """Fit of the model to the expected sales of a dataset of one geo."""
    past, spend, sales = (ds[name].isel(geo=0).values for name in ("spend_history", "spend", "mu"))
    whole = np.concatenate([past, spend]).T / BASE_SPEND
    week = np.arange(len(sales))
    turns = 2 * np.pi * np.outer([1, 2], week) * 7 / 365.25
    others = np.stack([np.ones(len(week)), week, *np.sin(turns), *np.cos(turns)], axis=1)
    basis, _ = np.linalg.qr(others)

    def free(values: Floats) -> Floats:
        return np.asarray(values - basis @ (basis.T @ values))

    target = free(sales)
    scale = target.std()

    def curves(numbers: Floats) -> Floats:
        found = []
        for series, (alpha, half, slope) in zip(whole, numbers.reshape(-1, 3), strict=True):
            carried = lfilter([1 - alpha], [1, -alpha], series)[-len(sales) :]
            power = (carried / np.exp(half)) ** np.exp(slope)
            found.append(power / (1 + power))
        return np.stack(found, axis=1)

    def rest(numbers: Floats) -> Floats:
        columns = free(curves(numbers))
        return np.asarray(target - columns @ nnls(columns, target)[0]) / scale

    lower, upper = (np.tile(bound, len(whole)) for bound in (LOWER, UPPER))
    inner = np.random.default_rng(0).uniform(0.2, 0.8, (starts, len(lower)))
    tried = [
        least_squares(rest, lower + each * (upper - lower), bounds=(lower, upper), max_nfev=150)
        for each in inner
    ]
    best = min(tried, key=lambda each: each.cost).x
    made = curves(best)
    effect, _ = nnls(free(made), target)
    returns = (made * effect).sum(axis=0) / spend.sum(axis=0)
    left = (rest(best) * scale) ** 2
    share = 1 - left.sum() / ((sales - sales.mean()) ** 2).sum()
    return Fit(weeks_to_half(ds), float(share), 100 * (returns / roas(ds).values - 1))


def weeks_to_half(ds: xr.Dataset) -> float:
    """Weeks until half of the effect of a week's spend has come, median over weeks."""
    today, halves = total_response(ds["spend"], ds), []
    for week in range(0, ds.sizes["date"] // 2, 4):
        without = total_response(ds["spend"].where(ds["date"] != ds["date"][week], 0.0), ds)
        lost = (today - without).isel(geo=0).values[week:]
        if not lost.sum():
            continue
        share = np.cumsum(lost) / lost.sum()
        after = int(np.argmax(share >= 0.5))
        before = share[after - 1] if after else 0.0
        halves.append(after + (0.5 - before) / (share[after] - before))
    return float(np.median(halves))


def table(fits: dict[str, list[Fit]]) -> list[str]:
    """Lines of a Markdown table with one row for each population."""
    heads = ["people", "forget, cool, convert, churn", "half of the response", "R² of sales"]
    heads += [f"error of {channel}" for channel in CHANNELS]
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for name, found in fits.items():
        errors = np.median(np.abs([each.error for each in found]), axis=0)
        cells = [
            name,
            ", ".join(f"{rate:g}" for rate in POPULATIONS[name]),
            f"{np.median([each.weeks for each in found]):.1f} weeks",
            f"{np.median([each.r_squared for each in found]):.3f}",
            *(f"{error:.0f}%" for error in errors),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def draw(fits: dict[str, list[Fit]], path: Path) -> None:
    """Draw the fit of every dataset against the error of its ROAS."""
    import matplotlib.pyplot as plt

    from mmm_xgen.plots.style import CHANNEL_COLOURS, INK, STYLE

    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(7.0, 4.2))
        for (name, found), colour in zip(fits.items(), CHANNEL_COLOURS, strict=False):
            share = [each.r_squared for each in found]
            error = [float(np.abs(each.error).mean()) for each in found]
            axes.scatter(share, error, s=14, color=colour, alpha=0.45, linewidths=0)
            centre = (float(np.median(share)), float(np.median(error)))
            axes.scatter(*centre, s=110, color=colour, edgecolors="white", zorder=3, label=name)
        axes.set_xlabel("R² of adstock, Hill curves, trend and season, fitted to expected sales")
        axes.set_ylabel("error of the ROAS, mean of the channels")
        axes.set_title("Good fits, and wrong returns on ad spend", color=INK)
        axes.set_yscale("log")
        ticks = [5, 10, 20, 50, 100, 200]
        axes.set_yticks(ticks, labels=[f"{tick}%" for tick in ticks])
        axes.minorticks_off()
        axes.legend(title="large dots: medians", loc="upper left")
        path.parent.mkdir(exist_ok=True)
        figure.savefig(path, bbox_inches="tight", dpi=110)
        plt.close(figure)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the table into the page, and the picture beside it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    seeds = range(parser.parse_args(arguments).seeds)
    fits = {name: [fitted(dataset(name, seed)) for seed in seeds] for name in POPULATIONS}
    lines = table(fits)
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    text = "\n".join([before + BEGIN, "", *lines, "", END + rest.split(END)[1]])
    PAGE.write_text(text, encoding="utf-8")
    draw(fits, PICTURE)
    print("\n".join(lines))


if __name__ == "__main__":
    main()
