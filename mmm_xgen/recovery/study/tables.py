"""The summary of a study, as tables."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from mmm_xgen.recovery.scoring.aggregates import aggregate, paired_differences
from mmm_xgen.recovery.study.results import NOT_COMPUTED
from mmm_xgen.recovery.study.unit import DONE, FAILED, NOT_APPLICABLE, SKIPPED, TIMED_OUT

EVERY, CONVERGED = "every fit", "converged"
KEYS = ["dataset", "model"]
# What a fit that came to nothing leaves its user with.
FLOOR = "prior-only"
# What others are compared with, the first that there is.
REFERENCES = ("spend-share", "ols", "prior-only")
# Compared with each other besides, whatever the sampler; so is every model with itself with lift
# tests.
PAIRS = (("pymc-matched", "pymc-default"), ("pymc-default", "pymc-published"))
LIFT = "-lift"

RETURNS = ("roas", "mroas", "roas_at_floor", "mroas_at_floor", "contraction", "efficiency")
RANKING = "channel_ranking_"
CONTRIBUTIONS = ("contribution_total", "channel_contribution", "baseline", "response_curve")
PREDICTIONS = ("training_", "holdout_")
DECISIONS = ("regret_", "recommended_multiplier")
RIDGE = "ridge_identified"
PRIMARY = (
    ("roas", "bias"),
    ("roas", "absolute_error"),
    ("roas", "rmse"),
    ("roas", "coverage_50"),
    ("roas", "coverage_94"),
    ("roas", "crps"),
    ("roas", "interval_score_94"),
    ("mroas", "absolute_error"),
    ("regret_recommended_percent", "value"),
    ("channel_ranking_spearman", "value"),
    ("training_crps", "value"),
    ("holdout_crps", "value"),
)


def summary_tables(units: pd.DataFrame, scores: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Make every table of a study's summary.

    Parameters
    ----------
    units : DataFrame
        See `mmm_xgen.recovery.study.results.read_units`.
    scores : DataFrame
        See `mmm_xgen.recovery.study.results.read_scores`.

    Returns
    -------
    dict of str to DataFrame
        ``recovery`` (who recovered what, the main figures), ``runtime_comparison``,
        ``ess_comparison``, ``ess_per_second``, ``diagnostics_summary``, ``performance_metrics``,
        ``parameter_recovery``, ``contribution_recovery``, ``roas_recovery``,
        ``decision_regret``, ``paired_differences``, ``parameter_counts``, ``failures``.

        Aggregated scores are there twice, by ``population``: ``"every fit"`` is
        intention-to-score, where a fit that came to nothing counts as the model ``prior-only``
        on the same data, if the study has it (``imputed`` counts them); ``"converged"`` has
        only fits with R-hat of at most 1.01 and no divergences. Rows without ``channel`` are
        over all channels. Errors are Monte Carlo errors over datasets.
    """
    long = populations(units, scores)
    quantity = long["quantity"].astype(str)
    returns = long[quantity.isin(RETURNS) | quantity.str.startswith(RANKING)]
    contributions = long[quantity.isin(CONTRIBUTIONS)]
    predictions = long[quantity.str.startswith(PREDICTIONS)]
    decisions = long[quantity.str.startswith(DECISIONS)]
    named = (returns, contributions, predictions, decisions)
    taken = long.index.isin(np.concatenate([part.index.to_numpy() for part in named]))
    parameters = long[~taken]
    tables = {
        "runtime_comparison": over_seeds(units, ["build", "compile", "sample", "total"]),
        "ess_comparison": over_seeds(units, ["ess_bulk_min", "ess_tail_min"]),
        "ess_per_second": over_seeds(units, ["ess_per_second", "ess_per_second_of_all"]),
        "diagnostics_summary": diagnostics_summary(units),
        "performance_metrics": aggregated(predictions),
        "parameter_recovery": with_ridge(aggregated(parameters[_scored(parameters)]), parameters),
        "contribution_recovery": aggregated(contributions, channels=True),
        "roas_recovery": aggregated(returns, channels=True),
        "decision_regret": aggregated(decisions[decisions["quantity"] != DECISIONS[1]]),
        "paired_differences": paired(long),
        "parameter_counts": parameter_counts(units),
        "failures": failures(units),
    }
    return {"recovery": recovery(tables), **tables}


def populations(units: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """Scores of every fit and of the converged ones, with ``population`` and ``imputed``.

    Parameters
    ----------
    units, scores : DataFrame
        As for `summary_tables`.
    """
    what = ["model", "quantity", "metric"]
    # A model that does not exist for the data is nothing that a user is left with.
    exists = ~units["reason"].astype(str).str.startswith(NOT_APPLICABLE)
    lost = units.loc[exists & (units["status"] != DONE), ["dataset", "model", "seed"]]
    floor = scores[scores["model"] == FLOOR].drop(columns="model")
    imputed = lost.merge(floor, on=["dataset", "seed"]).assign(converged=False, imputed=1)
    # A model is not credited with what it never says anything about.
    said = scores[what].drop_duplicates()
    silent = ~imputed["model"].isin(said["model"])
    imputed = pd.concat([imputed[silent], imputed[~silent].merge(said, on=what)])
    every = pd.concat([scores.assign(imputed=0), imputed], ignore_index=True)
    return pd.concat(
        [
            every.assign(population=EVERY),
            every[every["converged"].astype(bool)].assign(population=CONVERGED),
        ],
        ignore_index=True,
    )


def aggregated(long: pd.DataFrame, *, channels: bool = False) -> pd.DataFrame:
    """Figures over datasets with their Monte Carlo errors, also by channel if wanted."""
    by = ("population", *KEYS, "quantity", "metric")
    columns = [*by, "channel", "units", "imputed", "missing", "mean", "standard_error"]
    if long.empty:
        return pd.DataFrame(columns=columns)
    parts = [_with_imputed(long, by).assign(channel="")]
    by_channel = long[long["channel"] != ""]
    if channels and len(by_channel):
        parts.append(_with_imputed(by_channel, (*by, "channel")))
    table = pd.concat(parts, ignore_index=True)
    # A metric that means nothing for a quantity has no figure anywhere.
    table = table[table["units"] > 0]
    others = [name for name in table.columns if name not in columns]
    return table[[*columns, *others]].reset_index(drop=True)


def _with_imputed(long: pd.DataFrame, by: tuple[str, ...]) -> pd.DataFrame:
    once = long.drop_duplicates([*by, "seed"])
    counts = once.groupby(list(by))["imputed"].sum().reset_index()
    return aggregate(long, by=by).merge(counts, on=list(by), how="left")


def _scored(parameters: pd.DataFrame) -> pd.Series:
    """Rows that are scores of parameters, and not what is said about them."""
    return (parameters["metric"] != "value") | parameters["quantity"].str.startswith("contraction")


def with_ridge(table: pd.DataFrame, parameters: pd.DataFrame) -> pd.DataFrame:
    """Table of parameters with the share of channels of which the data tell a ridge only."""
    about = parameters[(parameters["quantity"] == RIDGE) & (parameters["value"] >= 0)]
    shares = about.groupby(["dataset", "label"])["value"].mean().rename("ridge_share")
    keyed = shares.reset_index().rename(columns={"label": "quantity"})
    return table.merge(keyed, on=["dataset", "quantity"], how="left")


def paired(long: pd.DataFrame) -> pd.DataFrame:
    """Differences of the main scores from a reference model, on the datasets that both have.

    Besides, those of the pairs of models that have been asked about.
    """
    pairs = pd.MultiIndex.from_frame(long[["quantity", "metric"]]).isin(PRIMARY)
    table = long[pairs]
    models = set(table["model"])
    reference = next((name for name in (*REFERENCES, *sorted(models)) if name in models), None)
    if reference is None or len(models) < 2:
        return pd.DataFrame(columns=["population", "dataset", "quantity", "metric", "model"])
    by = ("population", "dataset", "quantity", "metric")
    parts = [paired_differences(table, reference, by=by)]
    for model, other in compared_pairs(models):
        if other != reference:
            parts.append(paired_differences(table, other, models=[model], by=by))
    return pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)


def compared_pairs(models: Iterable[str]) -> list[tuple[str, str]]:
    """Pairs of a model and what it is compared with, of those that there are.

    Examples
    --------
    >>> compared_pairs(["ols", "pymc-default", "pymc-default-lift", "pymc-matched"])
    [('pymc-default-lift', 'pymc-default'), ('pymc-matched', 'pymc-default')]
    """
    known = sorted(models)
    pairs = [(name, name.removesuffix(LIFT)) for name in known if name.endswith(LIFT)]
    for model, other in PAIRS:
        # What follows the name is the sampler and the lift tests.
        pairs += [
            (name, other + name.removeprefix(model))
            for name in known
            if name == model or name.startswith(f"{model}-")
        ]
    return [pair for pair in pairs if pair[1] in known]


def over_seeds(units: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Mean and median over seeds with their Monte Carlo errors, least and most, of done fits."""
    done = units[units["status"] == DONE]
    keys = [*KEYS, "figure"]
    long = done.melt(id_vars=[*KEYS, "seed"], value_vars=columns, var_name="figure").dropna()
    if long.empty:
        return pd.DataFrame(columns=[*keys, "units", "median", "mean", "min", "max"])
    ends = long.groupby(keys, sort=False)["value"].agg(["min", "max"]).reset_index()
    return aggregate(long, by=tuple(keys)).drop(columns="missing").merge(ends, on=keys)


def diagnostics_summary(units: pd.DataFrame) -> pd.DataFrame:
    """How many fits were asked for, done and converged, and the worst diagnostics."""
    statuses = (DONE, FAILED, TIMED_OUT, SKIPPED)
    is_status = {status.replace(" ", "_"): units["status"] == status for status in statuses}
    groups = units.assign(**is_status).groupby(KEYS, sort=False)
    counts = {name: groups[name].sum() for name in is_status}
    table = pd.DataFrame({"units": groups.size(), **counts, "converged": groups["converged"].sum()})
    share = table["converged"] / table["units"]
    table["converged_share"] = share
    table["converged_share_error"] = np.sqrt(share * (1 - share) / table["units"])
    # The worst figures below are of the fits that have one.
    unknown = units["not_converged"].astype(str).str.contains(NOT_COMPUTED, regex=False)
    table["not_computed"] = units.assign(unknown=unknown).groupby(KEYS, sort=False)["unknown"].sum()
    for name, column, how in (
        ("rhat_median", "rhat_max", "median"),
        ("rhat_worst", "rhat_max", "max"),
        ("divergences", "divergences", "sum"),
        ("fits_with_divergences", "divergences", lambda values: (values > 0).sum()),
        ("ess_bulk_min", "ess_bulk_min", "min"),
        ("cold_fits", "cold", "sum"),
    ):
        table[name] = groups[column].agg(how)
    return table.reset_index()


def parameter_counts(units: pd.DataFrame) -> pd.DataFrame:
    """Count the parameters of each model, beside the sizes of the data; medians over seeds."""
    names = {"n_geo": "G", "n_channel": "C", "n_control": "K", "n_date": "D"}
    columns = {**names, "n_parameters": "counted"}
    table = units.groupby(KEYS, sort=False)[[*columns]].median()
    return table.rename(columns=columns).reset_index()


def failures(units: pd.DataFrame) -> pd.DataFrame:
    """What was not done, with its reasons; the same reason of several seeds is one row."""
    lost = units[units["status"] != DONE]
    groups = lost.groupby([*KEYS, "status", "reason"], sort=False)["seed"]
    return groups.agg(units="size", seeds=lambda s: ", ".join(map(str, s))).reset_index()


def recovery(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Who recovered what: one row a dataset, model and population, with the main figures."""
    main = {
        "log_roas_error": ("roas_recovery", "roas", "absolute_error"),
        "log_roas_rmse": ("roas_recovery", "roas", "rmse"),
        "coverage_50": ("roas_recovery", "roas", "coverage_50"),
        "coverage_94": ("roas_recovery", "roas", "coverage_94"),
        "interval_score": ("roas_recovery", "roas", "interval_score_94"),
        "log_mroas_error": ("roas_recovery", "mroas", "absolute_error"),
        "ranking": ("roas_recovery", "channel_ranking_spearman", "value"),
        "regret_percent": ("decision_regret", "regret_recommended_percent", "value"),
    }
    keys = ["population", *KEYS]
    counts = tables["diagnostics_summary"][[*KEYS, "units", "done", "converged"]]
    table = counts.merge(pd.DataFrame({"population": [EVERY, CONVERGED]}), how="cross")
    table = table[[*keys, "units", "done", "converged"]]
    for name, (source, quantity, metric) in main.items():
        figures = tables[source]
        chosen = figures["quantity"].eq(quantity) & figures["metric"].eq(metric)
        chosen &= figures["channel"].eq("")
        found = figures.loc[chosen, [*keys, "mean", "standard_error"]]
        renamed = found.rename(columns={"mean": name, "standard_error": f"{name}_mc_error"})
        table = table.merge(renamed, on=keys, how="left")
    for name, source, figure in (
        ("seconds", "runtime_comparison", "total"),
        ("ess_per_second", "ess_per_second", "ess_per_second"),
    ):
        figures = tables[source]
        found = figures.loc[figures["figure"] == figure, [*KEYS, "median"]]
        # They are of every fit, converged or not.
        found = found.rename(columns={"median": name}).assign(population=EVERY)
        table = table.merge(found, on=["population", *KEYS], how="left")
    return table.sort_values(["population", *KEYS], ascending=[False, True, True])
