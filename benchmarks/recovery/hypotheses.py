"""Results on the hypotheses of PROTOCOL.md: one function each, one table for all."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.recovery.tiers import TIERS
from mmm_xgen import generate_mmm_dataset
from mmm_xgen.recovery.report import COLLECTED
from mmm_xgen.recovery.scoring.aggregates import aggregate, paired_differences
from mmm_xgen.recovery.study.results import newest, read_scores, read_units
from mmm_xgen.recovery.study.tables import EVERY, populations
from mmm_xgen.recovery.study.unit import SUMMARY
from mmm_xgen.truth import information_bound, roas

PROTOCOL = Path(__file__).with_name("PROTOCOL.md")
HYPOTHESES = "hypotheses.csv"
LIFT = "-lift"
# Hypothesis 2: if the bound is larger, data say too little of a ROAS for its interval to cover.
TELLING = 0.2
FIGURES = ["units", "mean", "standard_error", "lower", "upper"]
COLUMNS = ["hypothesis", "dataset", "model", "figure", *FIGURES]


def judged(out: Path) -> pd.DataFrame:
    """Compute the figures of all hypotheses from the scores of a study.

    Parameters
    ----------
    out : Path
        Folder of the study, with its summary.

    Returns
    -------
    DataFrame
        ``hypothesis`` (its number in the protocol), ``dataset``, ``model``, ``figure``; the mean
        over ``units`` datasets, its standard error and 94% bootstrap interval. All fits of the
        protocol count that have the settings and versions of the newest. A fit without result
        counts as ``prior-only``.
    """
    units = read_units(out)
    protocol = hashlib.sha256(PROTOCOL.read_bytes()).hexdigest()
    units = units[units["dataset"].isin(TIERS) & (units["protocol"] == protocol)]
    latest = units.sort_values("began", kind="stable")["context"].iloc[-1]
    units = newest(units[units["context"] == latest])
    scores = read_scores(units, out / SUMMARY / COLLECTED)
    every = populations(units, scores)
    scores = every[every["population"] == EVERY]
    tables = []
    for number, judge in enumerate(JUDGES, start=1):
        tables += [table.assign(hypothesis=number) for table in judge(scores)]
    table = pd.concat(tables, ignore_index=True)[COLUMNS]
    return table.sort_values(["hypothesis", "dataset", "figure", "model"], ignore_index=True)


def arms_in_order(scores: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """1. The matched arm errs less than the default one, and that one less than the published."""
    rows = chosen(scores, "roas", "rmse")
    for model, other in (("matched", "default"), ("default", "published")):
        first, second = f"pymc-{model}-nutpie", f"pymc-{other}-nutpie"
        figure = f"RMSE of log ROAS minus {second}'s"
        yield from compared(rows, first, second, figure)
        # Tiers draw Hill curves for even seeds and logistic ones for odd seeds.
        for curve, seeds in (("Hill", rows["seed"] % 2 == 0), ("logistic", rows["seed"] % 2 == 1)):
            yield from compared(rows[seeds], first, second, f"{figure}, {curve} curves")


def coverage_where_data_are_poor(scores: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """2. No model without lift tests covers 94% where the information bound exceeds 0.2."""
    rows = chosen(scores, "roas", "coverage_94")
    rows = rows[~rows["model"].str.endswith(LIFT)]
    rows = rows.merge(known(rows), on=["dataset", "seed", "channel"])
    poor = rows["bound"] > TELLING
    yield figures(rows[poor], f"94% intervals cover, bound above {TELLING}")
    yield figures(rows[~poor], f"94% intervals cover, bound up to {TELLING}")


def lift_tests(scores: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """3. Lift tests halve the RMSE: then with them it is half of it less, or more, than without."""
    rows = chosen(scores, "roas", "rmse")
    tested = rows["model"].str.endswith(LIFT)
    half = rows.assign(value=rows["value"].where(tested, 0.5 * rows["value"]))
    for model in sorted(name for name in rows["model"].unique() if name.endswith(LIFT)):
        without = model.removesuffix(LIFT)
        yield from compared(rows, model, without, "RMSE of log ROAS minus that without lift tests")
        yield from compared(half, model, without, "RMSE of log ROAS minus half of that without")


def budgets(scores: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """4. Recommended budgets beat today's on average, which is that of ``spend-share``."""
    rows = chosen(scores, "regret_recommended_percent", "value")
    for model in sorted(set(rows["model"]) - {"spend-share"}):
        yield from compared(rows, model, "spend-share", "regret minus today's, % of media")


def least_squares(scores: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """5. The intervals of ``ols`` cover far less than 94%, those of ``ols-oracle`` nominally."""
    rows = chosen(scores, "roas", "coverage_94")
    yield figures(rows[rows["model"].isin(["ols", "ols-oracle"])], "94% intervals cover")


def pulled(scores: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """6. Meridian's default errs less upwards for high ROAS than for low.

    Bias of channels above the median of the true ROAS minus that of channels below, in a
    dataset; below 0 estimates are pulled towards some middle. Other models are there to compare.
    """
    rows = chosen(scores, "roas", "bias")
    rows = rows.merge(known(rows), on=["dataset", "seed", "channel"])
    middle = rows.groupby(["dataset", "seed", "model"])["truth"].transform("median")
    # Twice the mean of signed biases is the difference of the two halves' means.
    signed = rows.assign(value=2.0 * rows["value"] * np.sign(rows["truth"] - middle))
    yield figures(signed, "bias of log ROAS, upper half of channels minus lower")


JUDGES: tuple[Callable[[pd.DataFrame], Iterator[pd.DataFrame]], ...] = (
    arms_in_order,
    coverage_where_data_are_poor,
    lift_tests,
    budgets,
    least_squares,
    pulled,
)


def chosen(scores: pd.DataFrame, quantity: str, metric: str) -> pd.DataFrame:
    """Scores of one metric of one quantity, labels as plain text."""
    rows = scores[(scores["quantity"] == quantity) & (scores["metric"] == metric)]
    return rows.astype({name: object for name in ("dataset", "model", "channel")})


def figures(rows: pd.DataFrame, figure: str) -> pd.DataFrame:
    """Mean by dataset and model."""
    if rows.empty:
        return pd.DataFrame(columns=COLUMNS)
    return aggregate(rows, by=("dataset", "model")).assign(figure=figure)


def compared(rows: pd.DataFrame, model: str, reference: str, figure: str) -> Iterator[pd.DataFrame]:
    """Mean paired difference of two models, if both are there."""
    if {model, reference} <= set(rows["model"]):
        by = ("dataset", "metric", "quantity")
        yield paired_differences(rows, reference, models=[model], by=by).assign(figure=figure)


def known(rows: pd.DataFrame) -> pd.DataFrame:
    """True ROAS of each channel, and the bound of its logarithm without any prior."""
    tables = [pd.DataFrame(columns=["dataset", "seed", "channel", "truth", "bound"])]
    for dataset, seed in rows[["dataset", "seed"]].drop_duplicates().itertuples(index=False):
        ds = generate_mmm_dataset(TIERS[dataset](int(seed)))
        values = {"truth": roas(ds), "bound": information_bound(ds)["roas"]}
        table = pd.DataFrame({name: each.to_series() for name, each in values.items()})
        table = table.rename_axis("channel").reset_index()
        tables.append(table.assign(dataset=dataset, seed=seed))
    return pd.concat(tables, ignore_index=True)
