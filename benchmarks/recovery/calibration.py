"""Simulation-based calibration of PyMC-Marketing: ranks of truths drawn from its own prior."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from mmm_xgen.atomic import atomic_path
from mmm_xgen.recovery.models.pymc_calibration import calibration_config
from mmm_xgen.recovery.plots import plot_ranks
from mmm_xgen.recovery.plots.panels import save
from mmm_xgen.recovery.plots.ranks import independent_ranks
from mmm_xgen.recovery.report import COLLECTED
from mmm_xgen.recovery.run import run_study
from mmm_xgen.recovery.scoring.calibration import uniformity
from mmm_xgen.recovery.study.results import read_scores, read_units
from mmm_xgen.recovery.study.unit import PLOTS, SUMMARY

MODEL = "pymc-calibration"
DATASET = "calibration"
# Left out, as it has the ranks of the ROAS: the two differ by known spend only.
SAME = "contribution_total"
# Probability of each band, which is high as there are several quantities.
PROBABILITY = 0.99
TABLE = "rank_uniformity.csv"
PICTURE = "ranks_by_quantity.png"


def run(out: Path, seeds: range, *, jobs: int = 1) -> pd.DataFrame:
    """Fit datasets whose truths are drawn from the model's prior, and test the ranks.

    Parameters
    ----------
    out : Path
        Folder of the study.
    seeds : range
        One dataset each.
    jobs : int
        Fits at a time.

    Returns
    -------
    DataFrame
        See `ranked`.
    """
    run_study({DATASET: calibration_config}, MODEL, seeds, out=out, jobs=jobs)
    return ranked(out)


def ranked(out: Path) -> pd.DataFrame:
    """Test and plot the ranks of all scored quantities, one rank for each fit.

    Returns
    -------
    DataFrame
        ``quantity``; ``n`` ranks; p values of chi-square (``chi_square_p``) and of the largest
        departure of the distribution (``ecdf_p``), each for a single quantity;
        ``miscalibration`` in words.
    """
    folder = out / SUMMARY
    scores = read_scores(read_units(out), folder / COLLECTED)
    ranks = {
        str(quantity): of_models[0]
        for quantity in scores["quantity"].unique()
        if quantity != SAME
        and (of_models := list(independent_ranks(scores, str(quantity)).values()))
    }
    rows = []
    for quantity, values in ranks.items():
        found = uniformity(values, probability=PROBABILITY)
        figures = {name: getattr(found, name) for name in ("n", "chi_square_p", "ecdf_p")}
        rows.append({"quantity": quantity, **figures, "miscalibration": found.miscalibration})
    table = pd.DataFrame(rows)
    save(plot_ranks(ranks, probability=PROBABILITY), folder / PLOTS / PICTURE)
    with atomic_path(folder / TABLE) as temporary:
        table.to_csv(temporary, index=False)
    return table
