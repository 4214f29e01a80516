"""Run a tier of the recovery benchmark: ``python -m benchmarks.recovery tier_a --seeds 50``.

It continues where it stopped, so that it can be interrupted at any time. The `stats.json` of every
fit is collected in ``summary/units.parquet``, which the repository keeps. ``calibration`` runs the
calibration study of the protocol. ``hypotheses`` computes the results on its hypotheses.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.recovery import calibration
from benchmarks.recovery.hypotheses import HYPOTHESES, judged
from benchmarks.recovery.tiers import TIERS
from mmm_xgen import get_preset_config
from mmm_xgen.atomic import atomic_path
from mmm_xgen.recovery import FitSettings
from mmm_xgen.recovery.fit import SAMPLERS
from mmm_xgen.recovery.run import run_study
from mmm_xgen.recovery.study.results import collect_units
from mmm_xgen.recovery.study.unit import SUMMARY

HERE = Path(__file__).parent
PYMC = ("pymc-default", "pymc-matched", "pymc-published")
FLOORS = ("spend-share", "prior-only")
OTHERS = ("ols", "ols-oracle", *FLOORS)
MERIDIAN = ("meridian-default", "meridian-matched", "meridian-published")
# Lift tests and Meridian follow after so many seeds, so that an interrupted study is balanced.
BLOCK = 10
# Minutes, as in the protocol.
TIMEOUT = {"tier_a": 15, "tier_b": 45, "tier_c": 45}
# Number of seeds in the protocol; tier C has the one seed of the presets.
SEEDS = {"tier_a": 50, "tier_b": 10, "tier_c": 1, "calibration": 200, "hypotheses": 0}
TIER_C = ("small_business", "medium_business", "large_business", "growing_business")


def main() -> None:
    """Run a tier, calibration or the hypotheses."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tier", choices=list(SEEDS))
    parser.add_argument(
        "--seeds", type=int, help="last seed, from 1; by default that of the protocol"
    )
    parser.add_argument(
        "--meridian-seeds",
        type=int,
        default=0,
        help="last seed for Meridian, from 1; tier_c has only one",
    )
    parser.add_argument(
        "--out", type=Path, help="folder of the study; by default that of the repository"
    )
    parser.add_argument("--jobs", type=int, default=1)
    arguments = parser.parse_args()
    seeds = range(1, (arguments.seeds or SEEDS[arguments.tier]) + 1)
    if arguments.tier == "calibration":
        out = arguments.out or HERE / "calibration_results"
        print(calibration.run(out, seeds, jobs=arguments.jobs).to_string())
        collect_units(out)
        return
    out = arguments.out or HERE / "results"
    if arguments.tier == "hypotheses":
        table = judged(out)
        with atomic_path(out / SUMMARY / HYPOTHESES) as temporary:
            table.to_csv(temporary, index=False)
        print(table.to_string())
        return
    study: dict[str, Any] = {"out": out, "jobs": arguments.jobs}
    study["timeout"] = 60.0 * TIMEOUT[arguments.tier]
    study["protocol"] = HERE / "PROTOCOL.md"
    if arguments.tier == "tier_c":
        presets(study, meridian=arguments.meridian_seeds > 0)
    else:
        for block in (seeds[start : start + BLOCK] for start in range(0, len(seeds), BLOCK)):
            meridian = [seed for seed in block if seed <= arguments.meridian_seeds]
            drawn(arguments.tier, block, meridian, study)
    collect_units(out)


def drawn(tier: str, seeds: Iterable[int], meridian: list[int], study: dict[str, Any]) -> None:
    """Fit all models to seeds of a tier, Meridian to seeds of its own."""
    datasets = {tier: TIERS[tier]}
    run_study(datasets, (*OTHERS, *PYMC), seeds, FitSettings(), **study)
    run_study(datasets, PYMC, seeds, FitSettings(lift_tests=True), **study)
    if meridian:
        run_study(datasets, MERIDIAN, meridian, FitSettings(), **study)


def presets(study: dict[str, Any], *, meridian: bool) -> None:
    """Fit the business presets with their own seed, with each library and each sampler."""
    for name in TIER_C:
        config = get_preset_config(name)
        samplers = [FitSettings(sampler=sampler) for sampler in SAMPLERS]
        run_study(name, ("ols", *FLOORS), [config.seed], FitSettings(), **study)
        run_study(name, "pymc-default", [config.seed], samplers, **study)
        if meridian:
            run_study(name, "meridian-default", [config.seed], FitSettings(), **study)


if __name__ == "__main__":
    main()
