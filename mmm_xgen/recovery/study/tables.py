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
# Model whose scores count for fits without result.
FLOOR = "prior-only"
# Models to compare others with; the first that the study has is used.
REFERENCES = ("spend-share", "ols", "prior-only")
# Other pairs to compare, for every sampler. Every model with lift tests is compared with itself
# without them.
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
    """Compute all tables of a study's summary.

    Parameters
    ----------
    units : DataFrame
        See `mmm_xgen.recovery.study.results.read_units`.
    scores : DataFrame
        See `mmm_xgen.recovery.study.results.read_scores`.

    Returns
    -------
    dict of str to DataFrame
        ``recovery`` (the main figures), ``runtime_comparison``,
        ``ess_comparison``, ``ess_per_second``, ``diagnostics_summary``, ``performance_metrics``,
        ``parameter_recovery``, ``contribution_recovery``, ``roas_recovery``,
        ``decision_regret``, ``paired_differences``, ``parameter_counts``, ``failures``.

        Scores are aggregated over two populations. In ``"every fit"``, a fit without result has
        the scores of the model ``prior-only`` on the same data, if the study has it; ``imputed``
        counts these fits. ``"converged"`` has only fits with R-hat of at most 1.01 and no
        divergences. Rows without ``channel`` are over all channels. Errors are Monte Carlo errors
        over datasets.
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
    """Collect the scores of all fits and of converged fits, with ``population`` and ``imputed``.

    Parameters
    ----------
    units, scores : DataFrame
        As for `summary_tables`.
    """
    what = ["model", "quantity", "metric"]
    # A model that does not exist for the data is not a failed fit.
    exists = ~units["reason"].astype(str).str.startswith(NOT_APPLICABLE)
    lost = units.loc[exists & (units["status"] != DONE), ["dataset", "model", "seed"]]
    floor = scores[scores["model"] == FLOOR].drop(columns="model")
    imputed = lost.merge(floor, on=["dataset", "seed"]).assign(converged=False, imputed=1)
    # A model has imputed scores only for quantities that its other fits have scores for.
    known = scores[what].drop_duplicates()
    never_scored = ~imputed["model"].isin(known["model"])
    imputed = pd.concat([imputed[never_scored], imputed[~never_scored].merge(known, on=what)])
    every = pd.concat([scores.assign(imputed=0), imputed], ignore_index=True)
    return pd.concat(
        [
            every.assign(population=EVERY),
            every[every["converged"].astype(bool)].assign(population=CONVERGED),
        ],
        ignore_index=True,
    )


def aggregated(long: pd.DataFrame, *, channels: bool = False) -> pd.DataFrame:
    """Aggregate scores over datasets, with Monte Carlo errors; by channel too if requested."""
    by = ("population", *KEYS, "quantity", "metric")
    columns = [*by, "channel", "units", "imputed", "missing", "mean", "standard_error"]
    if long.empty:
        return pd.DataFrame(columns=columns)
    parts = [_with_imputed(long, by).assign(channel="")]
    by_channel = long[long["channel"] != ""]
    if channels and len(by_channel):
        parts.append(_with_imputed(by_channel, (*by, "channel")))
    table = pd.concat(parts, ignore_index=True)
    # Drop metrics that are not defined for a quantity.
    table = table[table["units"] > 0]
    others = [name for name in table.columns if name not in columns]
    return table[[*columns, *others]].reset_index(drop=True)


def _with_imputed(long: pd.DataFrame, by: tuple[str, ...]) -> pd.DataFrame:
    once = long.drop_duplicates([*by, "seed"])
    counts = once.groupby(list(by))["imputed"].sum().reset_index()
    return aggregate(long, by=by).merge(counts, on=list(by), how="left")


def _scored(parameters: pd.DataFrame) -> pd.Series:
    """Mark rows that are scores of parameters, and not properties of parameters."""
    return (parameters["metric"] != "value") | parameters["quantity"].str.startswith("contraction")


def with_ridge(table: pd.DataFrame, parameters: pd.DataFrame) -> pd.DataFrame:
    """Add the share of channels in which the data identify a parameter only along a ridge."""
    about = parameters[(parameters["quantity"] == RIDGE) & (parameters["value"] >= 0)]
    shares = about.groupby(["dataset", "label"])["value"].mean().rename("ridge_share")
    keyed = shares.reset_index().rename(columns={"label": "quantity"})
    return table.merge(keyed, on=["dataset", "quantity"], how="left")


def paired(long: pd.DataFrame) -> pd.DataFrame:
    """Compute differences of main scores from a reference model, on datasets that both have.

    The pairs of `compared_pairs` are added.
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
    """List pairs of a model and the model to compare it with, among the given models.

    Examples
    --------
    >>> compared_pairs(["ols", "pymc-default", "pymc-default-lift", "pymc-matched"])
    [('pymc-default-lift', 'pymc-default'), ('pymc-matched', 'pymc-default')]
    """
    known = sorted(models)
    pairs = [(name, name.removesuffix(LIFT)) for name in known if name.endswith(LIFT)]
    for model, other in PAIRS:
        # Sampler and lift tests follow the name.
        pairs += [
            (name, other + name.removeprefix(model))
            for name in known
            if name == model or name.startswith(f"{model}-")
        ]
    return [pair for pair in pairs if pair[1] in known]


def over_seeds(units: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Compute mean and median over seeds of finished fits, with errors, minimum and maximum."""
    done = units[units["status"] == DONE]
    keys = [*KEYS, "figure"]
    long = done.melt(id_vars=[*KEYS, "seed"], value_vars=columns, var_name="figure").dropna()
    if long.empty:
        return pd.DataFrame(columns=[*keys, "units", "median", "mean", "min", "max"])
    ends = long.groupby(keys, sort=False)["value"].agg(["min", "max"]).reset_index()
    return aggregate(long, by=tuple(keys)).drop(columns="missing").merge(ends, on=keys)


def diagnostics_summary(units: pd.DataFrame) -> pd.DataFrame:
    """Count fits that are done and converged, and find the worst diagnostics."""
    statuses = (DONE, FAILED, TIMED_OUT, SKIPPED)
    is_status = {status.replace(" ", "_"): units["status"] == status for status in statuses}
    groups = units.assign(**is_status).groupby(KEYS, sort=False)
    counts = {name: groups[name].sum() for name in is_status}
    table = pd.DataFrame({"units": groups.size(), **counts, "converged": groups["converged"].sum()})
    share = table["converged"] / table["units"]
    table["converged_share"] = share
    table["converged_share_error"] = np.sqrt(share * (1 - share) / table["units"])
    # The worst figures below leave out fits without them.
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
    """List units without result and the reasons; seeds with the same reason share a row."""
    lost = units[units["status"] != DONE]
    groups = lost.groupby([*KEYS, "status", "reason"], sort=False)["seed"]
    return groups.agg(units="size", seeds=lambda s: ", ".join(map(str, s))).reset_index()


def recovery(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Collect the main figures, one row for each dataset, model and population."""
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
        # These figures are over all fits.
        found = found.rename(columns={"median": name}).assign(population=EVERY)
        table = table.merge(found, on=["population", *KEYS], how="left")
    return table.sort_values(["population", *KEYS], ascending=[False, True, True])
