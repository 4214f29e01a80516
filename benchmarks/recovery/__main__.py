"""Run a tier of the recovery benchmark: ``python -m benchmarks.recovery tier_a --seeds 50``.

It goes on where it stopped, so it can be killed and started again at will.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.recovery.tiers import TIERS
from mmm_xgen.recovery import FitSettings
from mmm_xgen.recovery.models.pymc_calibration import calibration_config
from mmm_xgen.recovery.study.run import run_study

HERE = Path(__file__).parent
PYMC = ("pymc-default", "pymc-matched", "pymc-published")
OTHERS = ("ols", "ols-oracle", "spend-share", "prior-only")
MERIDIAN = ("meridian-default", "meridian-matched", "meridian-published")
# Seeds after which lift tests and Meridian come: a study cut short is balanced.
BLOCK = 10
# Minutes, as the protocol says.
TIMEOUT = {"tier_a": 15, "tier_b": 45}


def main() -> None:
    """Fit some seeds with everything, then the next."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tier", choices=[*TIERS, "calibration"])
    parser.add_argument("--seeds", type=int, default=50, help="seeds 1 to this one")
    parser.add_argument("--meridian-seeds", type=int, default=0)
    parser.add_argument("--out", type=Path, default=HERE / "results")
    parser.add_argument("--jobs", type=int, default=1)
    arguments = parser.parse_args()
    seeds = range(1, arguments.seeds + 1)
    if arguments.tier == "calibration":
        # Simulation-based calibration: truths from the model's own priors, so not of a tier.
        run_study(
            {"calibration": calibration_config},
            "pymc-calibration",
            seeds,
            out=arguments.out,
            jobs=arguments.jobs,
        )
        return
    plain, lifted = FitSettings(), FitSettings(lift_tests=True)
    common = {
        "out": arguments.out,
        "jobs": arguments.jobs,
        "timeout": 60.0 * TIMEOUT[arguments.tier],
        "protocol": HERE / "PROTOCOL.md",
    }
    datasets = {arguments.tier: TIERS[arguments.tier]}
    for block in (seeds[start : start + BLOCK] for start in range(0, len(seeds), BLOCK)):
        run_study(datasets, (*OTHERS, *PYMC), block, plain, **common)
        run_study(datasets, PYMC, block, lifted, **common)
        meridian = [seed for seed in block if seed <= arguments.meridian_seeds]
        if meridian:
            run_study(datasets, MERIDIAN, meridian, plain, **common)


if __name__ == "__main__":
    main()
