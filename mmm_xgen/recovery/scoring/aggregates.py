"""Scores of many fits taken together, each figure with its Monte Carlo error."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from mmm_xgen.errors import ConfigError, nearest
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.recovery.scoring.metrics import INTERVAL, METRICS, names_of
from mmm_xgen.streams import stream

GROUPS = ("dataset", "model", "quantity", "metric")
UNIT = ("dataset", "seed")
RESAMPLES = 1000
# Scalars whose smaller values are better; of other scalars the sign says nothing.
LOWER_IS_BETTER = ("regret_", "crps", "mape", "srmse")
HIGHER_IS_BETTER = ("r2", "spearman", "kendall")


def aggregate(
    table: pd.DataFrame,
    *,
    by: tuple[str, ...] = GROUPS,
    unit: tuple[str, ...] = UNIT,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> pd.DataFrame:
    """Mean and median of every metric over datasets, with standard error and bootstrap interval.

    The values of one dataset (its channels, say) go together: they are averaged first, and
    errors and bootstrap are over datasets.

    Parameters
    ----------
    table : DataFrame
        Rows of `mmm_xgen.recovery.scoring.tidy` with the columns of `by` and `unit`.
    by : tuple of str
        What to tell apart; add ``"channel"`` for figures by channel.
    unit : tuple of str
        What makes one independent dataset.
    resamples : int
        Bootstrap samples.
    seed : int
        Seed of the bootstrap.

    Returns
    -------
    DataFrame, one row a group
        ``units`` datasets with a value, ``missing`` without one; ``mean``, ``standard_error``,
        ``lower`` and ``upper`` (94% bootstrap interval of the mean), ``median``,
        ``median_lower``, ``median_upper``. Errors of a single dataset are NaN.

    Raises
    ------
    ConfigError
        If the table lacks a column.

    Examples
    --------
    >>> table = pd.DataFrame({"dataset": "a", "model": "ols", "seed": range(4),
    ...     "quantity": "roas", "metric": "crps", "value": [1.0, 2.0, 3.0, 4.0]})
    >>> aggregate(table)[["units", "mean", "standard_error"]].round(3).values.tolist()
    [[4.0, 2.5, 0.645]]
    """
    rows = []
    for key, values in _units(table, by, unit):
        known = values[np.isfinite(values)]
        rows.append(
            {
                **dict(zip(by, key, strict=True)),
                "units": len(known),
                "missing": len(values) - len(known),
                **_summary(known, resamples, seed, key),
            }
        )
    return pd.DataFrame(rows)


def paired_differences(
    table: pd.DataFrame,
    reference: str,
    *,
    models: Iterable[str] | None = None,
    by: tuple[str, ...] = ("dataset", "quantity", "metric"),
    unit: tuple[str, ...] = UNIT,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> pd.DataFrame:
    """Compare models with one of them on the datasets that both have scores of.

    What is compared is the loss: the value where less is better, minus the value where more is,
    and the distance to the best value where there is a target. Metrics of calibration, such as
    coverage, are compared as they are: of a single fit they say nothing that could be better.

    Parameters
    ----------
    table : DataFrame
        Rows of `mmm_xgen.recovery.scoring.tidy` with ``model`` and the columns of `by` and
        `unit`.
    reference : str
        Model that the others are compared with.
    models : iterable of str, optional
        The others; all by default.
    by, unit, resamples, seed
        As for `aggregate`, without the model.

    Returns
    -------
    DataFrame, one row a group and other model
        ``model``, ``reference``; ``units`` pairs; ``mean`` loss of the model minus that of the
        reference, negative where the model is better, with its errors as in `aggregate`;
        ``better``: share of pairs in which it is, ties counted half, and ``better_error``. Of
        metrics of calibration ``mean`` is the difference of the values and ``better`` is NaN.

    Raises
    ------
    ConfigError
        If no row is of one of those models.

    Examples
    --------
    >>> table = pd.DataFrame({"dataset": "a", "model": ["ols", "pymc"] * 3, "seed": [1, 1, 2, 2,
    ...     3, 3], "quantity": "roas", "metric": "crps", "value": [2.0, 1.0, 3.0, 1.0, 4.0, 5.0]})
    >>> paired_differences(table, "ols")[["units", "mean", "better"]].round(3).values.tolist()
    [[3.0, -0.667, 0.667]]
    """
    known = list(map(str, table["model"].unique()))
    others = known if models is None else list(models)
    for name in (reference, *others):
        if name not in known:
            raise ConfigError(f"no row is of the model {name!r}; {nearest(name, known)}")
    table = table.assign(value=_loss(table))
    keys = [*by, "model", *[name for name in unit if name not in by]]
    losses = table.groupby(keys, sort=False)["value"].mean().unstack("model")
    rows = []
    for key, group in losses.groupby(level=list(by), sort=False):
        for model in others:
            if model == reference or not {model, reference} <= set(group):
                continue
            difference = (group[model] - group[reference]).to_numpy(dtype=float)
            difference = difference[np.isfinite(difference)]
            if not len(difference):
                continue
            names = tuple(map(str, key if isinstance(key, tuple) else (key,)))
            wins = (difference < 0) + (difference == 0) / 2
            better, error = wins.mean(), _standard_error(wins)
            if dict(zip(by, names, strict=True)).get("metric") in names_of("calibration"):
                better = error = np.nan
            rows.append(
                {
                    **dict(zip(by, names, strict=True)),
                    "model": model,
                    "reference": reference,
                    "units": len(difference),
                    "better": float(better),
                    "better_error": float(error),
                    **_summary(difference, resamples, seed, (*names, model)),
                }
            )
    return pd.DataFrame(rows)


def _loss(table: pd.DataFrame) -> pd.Series:
    """Values such that less is better, calibration as it is; NaN where neither direction is."""
    loss = pd.Series(np.nan, index=table.index)
    for name, metric in METRICS.items():
        rows = table["metric"] == name
        values = table.loc[rows, "value"].to_numpy(dtype=float)
        # The distance of one 0 or 1 from 0.94 is least for intervals that always cover.
        loss[rows] = values if metric.role == "calibration" else metric.loss(values)
    quantity = table["quantity"].astype(str)
    scalar = ~table["metric"].isin(METRICS)
    lower = quantity.str.startswith(LOWER_IS_BETTER[0]) | quantity.str.endswith(LOWER_IS_BETTER[1:])
    higher = quantity.str.endswith(HIGHER_IS_BETTER)
    loss = loss.mask(scalar & lower, table["value"])
    return loss.mask(scalar & higher, -table["value"])


def _units(
    table: pd.DataFrame, by: tuple[str, ...], unit: tuple[str, ...]
) -> list[tuple[tuple[str, ...], FloatArray]]:
    """Value of each independent dataset, by group."""
    columns = list(dict.fromkeys((*by, *unit)))
    for name in (*columns, "value"):
        if name not in table:
            raise ConfigError(f"the table has no column {name!r}; {nearest(name, table.columns)}")
    means = table.groupby(columns, sort=False)["value"].mean().reset_index()
    return [
        (tuple(map(str, key)), group["value"].to_numpy(dtype=float))
        for key, group in means.groupby(list(by), sort=False)
    ]


def _summary(
    values: FloatArray, resamples: int, seed: int, key: tuple[str, ...]
) -> dict[str, float]:
    names = ("mean", "standard_error", "lower", "upper", "median", "median_lower", "median_upper")
    summary = dict.fromkeys(names, np.nan)
    n = len(values)
    if n:
        summary |= {"mean": float(values.mean()), "median": float(np.median(values))}
    if n > 1:
        # A stream a group: figures do not depend on which other groups there are.
        chosen = stream(seed, "bootstrap", *map(str, key)).integers(n, size=(resamples, n))
        tail = (1 - INTERVAL) / 2
        summary["standard_error"] = _standard_error(values)
        for function, prefix in ((np.mean, ""), (np.median, "median_")):
            ends = np.quantile(function(values[chosen], axis=1), [tail, 1 - tail])
            summary[f"{prefix}lower"], summary[f"{prefix}upper"] = map(float, ends)
    return summary


def _standard_error(values: FloatArray) -> float:
    """Standard error of a mean; NaN for a single value."""
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")
