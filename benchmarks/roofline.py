"""Where the time of one generation goes, against what the machine can do at best.

``python -m benchmarks.roofline [PRESET] [--out FILE]`` measures how fast this machine copies
memory, draws, and takes exponentials, powers and logarithms with NumPy; then how long each stage
of a generation takes; and sets that against the time that the stage's bytes, draws and functions
would take at those rates. Times are the least CPU time of many runs, as others use the machine.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from math import prod
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

import mmm_xgen
from benchmarks.bench_ensemble import places_of
from mmm_xgen import generate, response
from mmm_xgen.generation import equilibrium
from mmm_xgen.generation import spend_and_controls as draws
from mmm_xgen.streams import streams

# Numbers of the array on which rates are measured: that of spend in large_business.
RATE_SIZE = 312_000
FUNCTIONS = ("exp", "pow", "log")


@dataclass(frozen=True)
class Rates:
    """Seconds that the machine takes for one of each, with NumPy and on one core."""

    byte: float
    normal: float
    uniform: float
    stream: float
    exp: float
    pow: float
    log: float


@dataclass(frozen=True)
class Work:
    """What a stage has to do: bytes read and written, draws, and functions of numbers."""

    bytes: float = 0
    normal: float = 0
    uniform: float = 0
    stream: float = 0
    exp: float = 0
    pow: float = 0
    log: float = 0

    def __add__(self, other: Work) -> Work:
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return Work(*(one + two for one, two in pairs))

    def bound(self, rates: Rates) -> float:
        """Seconds at the machine's rates, in which a function hides the bytes that it passes."""
        functions = sum(getattr(self, name) * getattr(rates, name) for name in FUNCTIONS)
        passed = 16 * sum(getattr(self, name) for name in FUNCTIONS)
        drawn = sum(getattr(self, n) * getattr(rates, n) for n in ("normal", "uniform", "stream"))
        return float(max(self.bytes - passed, 0) * rates.byte + functions + drawn)


def least(call: Callable[[], object], runs: int = 30) -> float:
    """Least CPU seconds of one call."""
    seconds = []
    for _ in range(runs):
        start = time.process_time()
        call()
        seconds.append(time.process_time() - start)
    return min(seconds)


def measured_rates(runs: int = 30) -> Rates:
    rng = np.random.default_rng(0)
    numbers, out = np.exp(rng.standard_normal(RATE_SIZE)), np.empty(RATE_SIZE)
    # More than the caches hold, as the arrays of a large generation are together.
    source = np.ones(4_000_000)
    target = np.empty_like(source)
    # As many places as a large generation asks for at once.
    places = [("spend", str(k)) for k in range(30)]

    def per(call: Callable[[], object], count: float) -> float:
        return least(call, runs) / count

    return Rates(
        byte=per(lambda: np.copyto(target, source), 16 * source.size),
        normal=per(lambda: rng.standard_normal(out=out), out.size),
        uniform=per(lambda: rng.random(out=out), out.size),
        stream=per(lambda: list(streams([1], places)), len(places)),
        exp=per(lambda: np.exp(numbers, out=out), out.size),
        pow=per(lambda: np.power(numbers, 1.3, out=out), out.size),
        log=per(lambda: np.log1p(numbers, out=out), out.size),
    )


# ---------------------------------------------------------------------- what has to be done


def drawn(config: mmm_xgen.MMMDataConfig) -> dict[str, Work]:
    """Streams and draws of every first part of a place, and the bytes that they write."""
    work: dict[str, Work] = {}
    for path, how, shape in places_of(config):
        count = prod(shape)
        kind = "normal" if how == "standard_normal" else "uniform"
        one = Work(bytes=8 * count, stream=1, **{kind: count})
        work[path[0]] = work.get(path[0], Work()) + one
    return work


def work_of(config: mmm_xgen.MMMDataConfig) -> dict[str, Work]:
    """What every stage has to do, counted by hand along the code."""
    dates, geos, channels = config.n_periods, config.regions.n_regions, len(config.channels)
    spend, lags = dates * geos * channels, max(config.l_max)
    values, sales = dates * geos * len(config.control_variables), dates * geos
    own, none = drawn(config), Work()
    steep = _with_slope(config) * dates * geos
    random = own.get("spend-pattern", none)
    return {
        "parameters": own.get("parameters", none)
        + own.get("baseline", none)
        + own.get("seasonality", none),
        # Campaigns are spread over the dates (3 passes), exponentiated and multiplied by base
        # spend: each pass reads and writes.
        "spend: noise": own.get("spend", none) + Work(bytes=5 * 16 * spend, exp=spend),
        # Waits are logarithms of half of the uniform draws; the levels are multiplied in.
        "spend: patterns": random
        + Work(bytes=16 * spend + 5 * 8 * random.uniform, log=random.uniform / 2),
        "controls": own.get("control", none)
        + own.get("control-pattern", none)
        + Work(bytes=5 * 16 * values, exp=values),
        # Spend is put behind a margin of zeros and multiplied by the weights.
        "carry-over": Work(bytes=32 * spend + 8 * spend * lags / dates),
        # In spend units, kappa over it, to the power, plus 1, the reciprocal, and a look below 0.
        "saturation": Work(bytes=5 * 16 * spend + 8 * spend, pow=steep),
        # Sums for the ROAS, the effect, and the sum over channels.
        "contribution": Work(bytes=40 * spend),
        # Trend, seasons, events, controls, expected sales and noise.
        "baseline, noise, rest": own.get("noise", none) + Work(bytes=12 * 16 * sales + 48 * values),
        # Sums of spend and contributions, the search for twins in some geos.
        "checks": Work(bytes=24 * spend),
        "labels": none,
    }


def _with_slope(config: mmm_xgen.MMMDataConfig) -> int:
    """Channels whose curve takes a power of every number."""
    curves = config.saturations
    hill = [curve for curve in curves if curve.kind == "hill_function"]
    return len(hill) if any(curve.parameters["slope"] != 1 for curve in hill) else 0


# ---------------------------------------------------------------------- what is done

# Stages, and the functions that make them: the first minus the others, which are inside of it.
LEVEL = "spend_and_controls._multiply_by_level"
PARTS: dict[str, tuple[str, ...]] = {
    "parameters": ("generate.true_parameters",),
    "spend: noise": (
        "spend_and_controls.draw_spend",
        "spend_and_controls._multiply_by_level of spend",
    ),
    "spend: patterns": ("spend_and_controls._multiply_by_level of spend",),
    "controls": ("spend_and_controls.draw_controls",),
    "carry-over": ("response.convolve",),
    "saturation": ("response.saturate",),
    "contribution": ("equilibrium.factor_for_roas",),
    "checks": ("generate.check_overflow+generate.warn_of_implausible",),
    "labels": ("generate.as_dataset",),
}
TIMED: tuple[tuple[Any, str], ...] = (
    (generate, "true_parameters"),
    (draws, "draw_spend"),
    (draws, "draw_controls"),
    (equilibrium, "factor_for_roas"),
    (generate, "expected_sales"),
    (generate, "check_overflow"),
    (generate, "warn_of_implausible"),
    (generate, "as_dataset"),
    (draws, "_multiply_by_level"),
    (response, "convolve"),
    (response, "saturate"),
)


@contextmanager
def stopwatch(seconds: dict[str, float]) -> Iterator[None]:
    """Add up the CPU seconds of the functions in `TIMED`, by name."""

    def watched(function: Callable[..., Any], name: str) -> Callable[..., Any]:
        def call(*args: Any, **named: Any) -> Any:
            of_spend = name == LEVEL and args[3][0] == "spend-pattern"
            key = f"{name} of spend" if of_spend else name
            start = time.process_time()
            try:
                return function(*args, **named)
            finally:
                seconds[key] = seconds.get(key, 0.0) + time.process_time() - start

        return call

    with ExitStack() as patches:
        for module, name in TIMED:
            full = f"{module.__name__.split('.')[-1]}.{name}"
            own = watched(getattr(module, name), full)
            patches.enter_context(mock.patch.object(module, name, own))
        yield


def measured_stages(config: mmm_xgen.MMMDataConfig, runs: int = 30) -> dict[str, float]:
    """Least CPU seconds of every stage, and of the whole."""
    samples: list[dict[str, float]] = []
    for _ in range(runs + 1):
        seconds: dict[str, float] = {}
        with stopwatch(seconds):
            start = time.process_time()
            mmm_xgen.generate_mmm_dataset(config)
            seconds["all"] = time.process_time() - start
        samples.append(seconds)
    of = {key: min(sample.get(key, 0.0) for sample in samples[1:]) for key in samples[0]}
    stages = {}
    for stage, (first, *inside) in PARTS.items():
        whole = sum(of.get(name, 0.0) for name in first.split("+"))
        stages[stage] = whole - sum(of.get(name, 0.0) for name in inside)
    stages["contribution"] += of.get("generate.expected_sales", 0.0)
    stages["baseline, noise, rest"] = max(of["all"] - sum(stages.values()), 0.0)
    return {stage: stages[stage] for stage in work_of(config)}


# ---------------------------------------------------------------------- the page


def rates_table(rates: Rates) -> list[str]:
    return [
        "| what this machine does at best, with NumPy on one core | rate |",
        "|---|--:|",
        f"| copy memory, bytes read and written | {1e-9 / rates.byte:.1f} GB/s |",
        f"| standard normal draws | {1e-6 / rates.normal:.0f} million/s |",
        f"| uniform draws | {1e-6 / rates.uniform:.0f} million/s |",
        f"| named random streams | {1e-3 / rates.stream:.0f} thousand/s |",
        f"| exp | {1e-6 / rates.exp:.0f} million/s |",
        f"| pow | {1e-6 / rates.pow:.0f} million/s |",
        f"| log1p | {1e-6 / rates.log:.0f} million/s |",
    ]


def stages_table(work: dict[str, Work], seconds: dict[str, float], rates: Rates) -> list[str]:
    def row(stage: str, one: Work, took: float) -> str:
        functions = sum(getattr(one, name) for name in FUNCTIONS)
        bound = one.bound(rates)
        cells = (
            f"{1e3 * took:.2f}",
            f"{one.bytes / 1e6:.1f}",
            f"{(one.normal + one.uniform) / 1e3:.0f}",
            f"{one.stream:.0f}",
            f"{functions / 1e3:.0f}",
            f"{1e3 * bound:.2f}",
            f"{took / bound:.1f}" if bound > 1e-6 else "",
        )
        return f"| {stage} | " + " | ".join(cells) + " |"

    total = sum(work.values(), Work())
    return [
        "| stage | ms | MB moved | draws, 1000 | streams | functions, 1000 | bound, ms | ratio |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
        *(row(stage, one, seconds[stage]) for stage, one in work.items()),
        row("all", total, sum(seconds.values())),
    ]


def page(preset: str, runs: int = 30) -> str:
    """Both tables, as Markdown."""
    config = mmm_xgen.get_preset_config(preset)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mmm_xgen.XgenWarning)
        rates, seconds, work = measured_rates(runs), measured_stages(config, runs), work_of(config)
    sizes = f"{config.n_periods} dates x {config.regions.n_regions} geos x {len(config.channels)}"
    lines = [
        f"`{preset}`, {sizes} channels, on {datetime.now():%Y-%m-%d} with Python "
        f"{platform.python_version()} and NumPy {np.__version__} on {os.cpu_count()} cores, least "
        f"CPU time of {runs} runs.",
        "",
        *rates_table(rates),
        "",
        *stages_table(work, seconds, rates),
    ]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.roofline", description=__doc__)
    parser.add_argument("preset", nargs="?", default="large_business")
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--out", type=Path, help="Markdown file to write as well")
    chosen = parser.parse_args(arguments)
    text = page(chosen.preset, chosen.runs)
    print(text)
    if chosen.out:
        chosen.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
