"""Faults of the core, put into a copy of the package one at a time: which do the tests catch?

    python -m tests.mutants               # all, each against the tests that are named beside it
    python -m tests.mutants lag roas      # those whose name has one of these words

A mutant is caught if one of its tests fails, as the default suite selects them. The exit status
is the count of mutants that are missed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
COPIED = ("mmm_xgen", "tests", "benchmarks", "docs", "pyproject.toml", "README.md")


@dataclass(frozen=True)
class Mutant:
    """One wrong line: `old` of the file in the package becomes `new`."""

    name: str
    file: str
    old: str
    new: str
    tests: str


MUTANTS = (
    # Kernels: what one period does to the next, and how spend saturates.
    Mutant("geometric lag", "kernels/adstock.py", "(alpha) ** lag)", "(alpha) ** (lag + 1))",
           "kernels/test_digits.py"),
    Mutant("delayed peak", "kernels/adstock.py", "(lag - theta) ** 2)", "(lag + theta) ** 2)",
           "kernels/test_digits.py"),
    Mutant("binomial length", "kernels/adstock.py", "lag / (lag.size + 1)", "lag / lag.size",
           "kernels/test_digits.py"),
    Mutant("history of the wrong end", "kernels/adstock.py",
           "history[..., -(n_lags - 1) :]", "history[..., : n_lags - 1]",
           "kernels/test_adstock.py"),
    Mutant("logistic half", "kernels/saturation.py",
           "np.tanh(np.multiply(lam, x) / 2)", "np.tanh(np.multiply(lam, x))",
           "test_generate.py"),
    Mutant("tanh scale", "kernels/saturation.py", "np.tanh(x / np.multiply(b, c))",
           "np.tanh(x / np.asarray(c))", "kernels/test_parity.py"),
    Mutant("hill slope of one channel", "kernels/saturation.py", "np.any(slope != 1)",
           "np.all(slope != 1)", "ensemble/test_generate.py test_response.py test_generate.py"),
    Mutant("student scale", "kernels/noise.py", "(degrees - 2) / degrees",
           "degrees / (degrees - 2)", "generation/test_noise.py"),
    Mutant("lognormal mean", "kernels/noise.py", "* z - variance / 2)", "* z)",
           "generation/test_noise.py"),
    Mutant("correlated noise grows", "kernels/noise.py",
           "series[..., 1:] *= np.sqrt((1 - kept) * (1 + kept))",
           "series[..., 1:] *= np.sqrt(1 - kept)", "generation/test_noise.py"),
    Mutant("season moves earlier", "generation/baseline.py",
           "calendar.day_of_year - shift", "calendar.day_of_year + shift",
           "generation/test_baseline_over_time.py"),
    Mutant("events scale with themselves", "generation/baseline.py",
           "steady + happening", "steady", "generation/test_baseline_over_time.py"),
    Mutant("all days of a holiday", "config/holidays.py",
           "if day - timedelta(days=1) not in days", "", "config/test_holidays.py"),
    Mutant("a dip without recovery", "kernels/baseline.py",
           "fall * np.exp(-np.maximum(days / width_days - 1, 0))", "fall",
           "generation/test_baseline_over_time.py"),
    Mutant("trend a period late", "kernels/baseline.py", "np.maximum(sales_trend * period, -1.0)",
           "np.maximum(sales_trend * (period - 1), -1.0)", "generation/test_baseline.py"),
    # Generation: each term of the equation.
    Mutant("variance that geos share", "generation/noise.py", "np.sqrt(self.share) * self.common",
           "self.share * self.common", "generation/test_outliers_and_capacity.py"),
    Mutant("outliers beyond a target", "generation/noise.py", "ratio / (1 + rate * size**2)",
           "ratio / (1 + rate * size)", "generation/test_outliers_and_capacity.py"),
    Mutant("rules see what was lost", "generation/feedback.py",
           "np.minimum(sales, self.capacity)", "sales", "generation/test_feedback.py"),
    Mutant("control reference", "generation/baseline.py", "gamma * (value - reference)",
           "gamma * (value + 0 * reference)", "generation/test_spend_and_controls.py"),
    Mutant("elasticity sign", "generation/baseline.py", "np.expm1(elasticity[at]",
           "np.expm1(-elasticity[at]", "generation/test_spend_and_controls.py"),
    Mutant("per capita unit", "generation/parameters.py",
           "(size if per_capita else np.ones_like(size))",
           "(np.ones_like(size) if per_capita else size)", "generation/test_parameters.py"),
    Mutant("one draw twice", "generation/parameters.py",
           "FIRST_ADSTOCK_COLUMN, FIRST_SATURATION_COLUMN = 2, 10",
           "FIRST_ADSTOCK_COLUMN, FIRST_SATURATION_COLUMN = 2, 2", "generation/test_parameters.py"),
    Mutant("roas without price", "generation/roas_target.py", ".sum(axis=2) * revenue",
           ".sum(axis=2) * np.ones_like(revenue)", "test_generate.py"),
    Mutant("mean of a control", "generation/spend_and_controls.py", "values -= variance / 2",
           "values -= variance", "generation/test_spend_and_controls.py"),
    Mutant("shared control", "generation/spend_and_controls.py",
           "normal[:, shared, 1:] = normal[:, shared, :1]", "pass",
           "generation/test_spend_and_controls.py"),
    Mutant("sign of a geo test", "generation/experiments.py", "*= 1 + changes",
           "*= 1 - changes", "truth/what_if/test_lift_tests.py"),
    Mutant("one name for two streams", "streams.py", 'f"{len(part)}:{part}"', 'f"{part}"',
           "test_streams.py test_golden.py"),
    Mutant("factor without its log", "generation/multiplicative.py",
           "share = np.log1p(share)", "share = np.asarray(share)",
           "generation/test_multiplicative.py"),
    Mutant("derivative of another channel", "generation/log_target.py",
           "slopes - other.slopes(rest)", "slopes", "truth/test_multiplicative.py"),
    Mutant("demand in the plan of sales", "generation/equilibrium.py",
           "beside(scaled.link, planned_sales)", "scaled.link",
           "generation/test_multiplicative.py"),
    # The response function.
    Mutant("history before saturation", "response.py",
           "past = None if history is None else saturate(history, media)", "past = None",
           "test_response.py test_generate.py"),
    Mutant("effect over amplitude", "response.py", "against[inside] /= ", "against[inside] *= ",
           "test_response.py test_generate.py"),
    # Truth: returns, counterfactuals, information.
    Mutant("carry-out a lag short", "truth/returns/incremental.py",
           "periods.stop + self.world.reach", "periods.stop + self.world.reach - 1",
           "truth/returns/test_estimands.py"),
    Mutant("marginal from nothing", "truth/returns/incremental.py",
           "rise = self._earned(periods, 1 + delta)", "rise = self._earned(periods, delta)",
           "truth/returns/test_estimands.py"),
    Mutant("noise of a counterfactual", "truth/what_if/counterfactual.py",
           "np.where(new_mu == mu, y, new_mu + noise)", "np.where(new_mu == mu, y, new_mu)",
           "truth/what_if/test_counterfactual.py"),
    Mutant("latent noise in realised sales", "truth/returns/incremental.py",
           "uncapped / mu if is_relative else None", "None", "truth/test_beyond.py"),
    Mutant("mediators by base sales", "generation/parameters.py",
           "_mediators(batch, added)", "_mediators(batch, base)", "test_goodwill.py"),
    Mutant("log outliers of no size", "generation/noise.py",
           'sd = sd_of_sales(sd, mu) if batch.shared.link == "log" else sd',
           "sd = sd", "generation/test_scalar_sales.py"),
    Mutant("a capacity that cuts twice", "truth/what_if/reacting.py",
           'noise + array_of(ds, "lost_sales", "geo", "date")', "noise",
           "truth/returns/test_realised.py"),
    Mutant("realised sales forget what was lost", "truth/returns/incremental.py",
           "mu + noise + lost", "mu + noise", "truth/returns/test_realised.py"),
    Mutant("information of correlated noise", "kernels/noise.py",
           "- kept * whitened[:, :-1]", "+ kept * whitened[:, :-1]",
           "truth/information/test_information_bound.py"),
    Mutant("gain of heavy tails", "kernels/noise.py",
           "(degrees + 1) / (degrees + 3) * ", "", "truth/information/test_information_bound.py"),
    # Export, aggregation and the scores of what a model recovers.
    Mutant("effect in units of the target", "export/pymc_marketing.py",
           "values = values / target", "values = values * target",
           "export/test_pymc_marketing.py"),
    Mutant("control of all geos", "aggregate.py", "(ds[name] * share)",
           '(ds[name] / ds.sizes["geo"])', "test_aggregate.py"),
    Mutant("sign of a bias", "recovery/scoring/metrics.py",
           "asarray((draws - truth[:, None])", "asarray((truth[:, None] - draws)",
           "recovery/scoring/test_scores.py"),
    Mutant("crps of few draws", "recovery/scoring/metrics.py", "(n * max(n - 1, 1) if fair",
           "(n * n if fair", "recovery/scoring/test_metrics.py"),
    Mutant("coverage of half the tail", "recovery/scoring/metrics.py",
           "tail = (1 - probability) / 2", "tail = 1 - probability",
           "recovery/scoring/test_metrics.py"),
    # Causes.
    Mutant("funnel without its lag", "world.py", ": shape[-1] - delay]", ": shape[-1]]",
           "test_world.py"),
    Mutant("path from the end", "world.py", "np.clip(np.arange(first, first + n_dates)",
           "np.clip(np.arange(0, n_dates)", "test_world.py"),
    Mutant("kept funnels borrow", "truth/returns/effect_paths.py", ", pull_forward=None,", ",",
           "truth/returns/test_effect_paths.py"),
    Mutant("reach of borrowed sales", "truth/what_if/counterfactual.py",
           "world.is_connected or world.pull_forward is not None", "world.is_connected",
           "truth/what_if/test_reacting.py"),
    Mutant("bound of falling curves", "truth/budget/global_search.py",
           "falls = value[:, -1] < value[:, 0]", "falls = value[:, -1] < -np.inf",
           "truth/budget/test_joint_search.py"),
    Mutant("spend before a window", "truth/budget/revenue_curves.py",
           "self.history[group] * on, worth)", "self.history[group], worth)",
           "truth/budget/test_joint_search.py"),
    Mutant("sign of an interaction", "world.py", '= product * strength', '= -product * strength',
           "test_world.py"),
    Mutant("chain of funnels cut", "connections.py", "depth[source] + 1)", "1)", "test_world.py"),
    Mutant("share of an indicator", "generation/demand.py", "np.sqrt(1 / reliability - 1)",
           "np.sqrt(1 - reliability)", "generation/test_causes.py"),
    Mutant("roas alone where channels act together", "generation/roas_target.py",
           "if not world.is_connected:", "if True:", "truth/test_worlds.py"),
    Mutant("contraction of sds", "recovery/scoring/precision.py", "1 - share**2", "1 - share",
           "recovery/scoring/test_scores.py"),
    # Promotions.
    Mutant("promotion runs that touch", "generation/promotions.py",
           "date + length[..., None] + 1", "date + length[..., None]",
           "generation/test_promotions.py"),
    Mutant("promotions answer without a correction", "generation/promotions.py",
           "start + wanted - np.log(share / (1 - share))", "start + 0 * share",
           "generation/test_promotions.py"),
    Mutant("promotion's discount on additional sales only", "truth/returns/promotions.py",
           'price * ds["mu"]', "price * sold", "truth/returns/test_promotions.py"),
    Mutant("media that spill over twice", "connections.py", "(1 - strength) * media +", "media +",
           "generation/test_spillover.py"),
    Mutant("spill-over of a what-if", "truth/what_if/counterfactual.py", "is not None or spills",
           "is not None", "generation/test_spillover.py"),
    Mutant("bias of a test", "truth/what_if/lift_tests.py", "true * (1 + wrong)", "true",
           "generation/test_over_reporting.py"),
    Mutant("threshold", "kernels/saturation.py", "np.maximum(x - np.asarray(threshold), 0.0)", "x",
           "kernels/test_saturation.py"),
)  # fmt: skip


def is_caught(mutant: Mutant, root: Path) -> bool:
    """Whether a test fails that is named beside the mutant."""
    file = root / "mmm_xgen" / mutant.file
    sound = file.read_text(encoding="utf-8")
    if sound.count(mutant.old) != 1:
        raise SystemExit(f"{mutant.name}: {mutant.old!r} is {sound.count(mutant.old)} times there")
    tests = [f"tests/{each}" for each in mutant.tests.split()]
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    file.write_text(sound.replace(mutant.old, mutant.new), encoding="utf-8")
    try:
        done = subprocess.run(
            command,
            cwd=root,
            env={**os.environ, "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
    finally:
        file.write_text(sound, encoding="utf-8")
    # Of what cannot even be collected, no test says anything.
    if done.returncode not in (0, 1) or "error" in done.stdout.splitlines()[-1]:
        raise SystemExit(f"{mutant.name}: the tests do not run\n{done.stdout}")
    return done.returncode == 1


def main(words: list[str]) -> int:
    """Run the chosen mutants and print a line for each."""
    missed = 0
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in COPIED:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, root / name)
        for mutant in MUTANTS:
            if words and not any(word in mutant.name for word in words):
                continue
            caught = is_caught(mutant, root)
            missed += not caught
            print(
                f"{'caught' if caught else 'MISSED'}  {mutant.name:34} {mutant.tests}", flush=True
            )
    return missed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
