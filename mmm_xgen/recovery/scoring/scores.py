"""Scores of one fit against the truth of its dataset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from mmm_xgen.dataset import in_memory
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.recovery.estimates import SAMPLE
from mmm_xgen.recovery.fit import Fit, FitSettings, training_dates
from mmm_xgen.recovery.scoring.decisions import decision_scores, window_of
from mmm_xgen.recovery.scoring.holdout import prediction_scores
from mmm_xgen.recovery.scoring.metrics import METRICS, SERIES
from mmm_xgen.recovery.scoring.precision import contraction, link_sd, precision_of
from mmm_xgen.recovery.scoring.samples import pooled, samples, scored
from mmm_xgen.recovery.scoring.scales import FLOOR, linked, scale_of, words
from mmm_xgen.truth.budget.curves import response_curve
from mmm_xgen.truth.returns.incremental import incremental_contribution, media_together
from mmm_xgen.truth.returns.roas import mroas, roas

Scores = dict[str, xr.DataArray]
LOG = xr.DataArray("log")
# Parts of the baseline, of which a model may have less than the data.
PARTS = ("control", "fourier_mode")
RETURNS = {"roas": roas, "mroas": mroas}
TIDY = ("quantity", "metric", "channel", "geo", "label", "value")


@in_memory
def score(
    ds: xr.Dataset, fit: Fit, settings: FitSettings, *, prior: Fit | None = None
) -> xr.Dataset:
    r"""Score what a model says about a dataset against what is true of it.

    All is of the training window, predictions after it apart; what the fit does not have is not
    scored. Metrics are those of `mmm_xgen.recovery.scoring.metrics.METRICS`; intervals are
    equal-tailed.

    Parameters
    ----------
    ds : Dataset
        The generated Dataset, with all its dates.
    fit : Fit
        What the model says.
    settings : FitSettings
        Settings of the fit.
    prior : Fit, optional
        The same model's draws without data, such as `fit.prior`, for contraction and for the
        prior of efficiency; without it the bound of efficiency has no prior either.

    Returns
    -------
    Dataset
        ``roas``, ``mroas`` (metric, channel)
            On the log scale, so that errors are shares. Draws below a hundredth of the truth,
            negative ones included, count as that; ``*_at_floor`` (channel) is their share.
            NaN where the truth is not above 0: see ``contribution_total``.
        ``contribution_total`` (metric, channel)
            Of the window, in percent of its expected sales. Where channels act on each other, the
            truth is the sales that are lost without the channel, the spend of the others held, as
            for the returns and curves.
        ``response_curve`` (metric, channel)
            Likewise, over the points of the curve within the spend that was observed: between
            the least and the most spend of a period and geo, by the geo's mean.
        ``channel_contribution`` (metric, channel), ``baseline`` (metric)
            Bias, RMSE and CRPS over dates and geos, in percent of mean expected sales.
        parameters (metric, their dims)
            On their link scale, ``attrs["scale"]``; ``attrs["ridge_identified"]`` names the
            channels of which the data tell the parameter along a ridge only, also in
            ``ridge_identified`` (parameter, channel).
        ``channel_ranking_spearman``, ``channel_ranking_kendall``
            Correlation of the ranks of median and true ROAS; 0 if all medians are equal.
        ``regret_*``, ``recommended_multiplier``
            See `mmm_xgen.recovery.scoring.decisions.decision_scores`.
        ``training_*``, ``holdout_*``
            See `mmm_xgen.recovery.scoring.holdout.prediction_scores`.
        ``contraction``, ``contraction_<parameter>``
            1 - posterior variance over prior variance, of log ROAS and of each parameter on
            its link scale, given `prior`.
        ``efficiency`` (channel)
            Smallest standard error of the log ROAS by the information bound, over the
            posterior sd. It is a ratio of standard deviations; the efficiency of textbooks is a
            ratio of variances, its square. Above 1 the posterior is sharper than data and prior
            allow a model with the true structure whose geos share media parameters. NaN where
            the bound means nothing; ``attrs["prior"]`` tells its prior.

        ``attrs["not_scored"]`` tells which parameters have no single truth, which channels have
        no spend in the window, and so neither returns nor a budget to move, which estimates
        have draws that are not finite, and which controls or modes of a season a model has not,
        whose scores are NaN.

    Raises
    ------
    AlignmentError
        If the fit lacks a channel, geo or date of `ds`.

    Examples
    --------
    >>> import mmm_xgen
    >>> ds = mmm_xgen.generate_mmm_dataset()
    >>> twice = 2 * mmm_xgen.truth.roas(ds).expand_dims(chain=1, draw=1)
    >>> scores = score(ds, Fit(estimates=twice.to_dataset()), FitSettings())
    >>> scores.roas.sel(metric="absolute_error").values.round(6).tolist()
    [0.693147, 0.693147, 0.693147]
    """
    missing_parts = _missing_parts(ds, fit.parameters)
    fit = _with_all_parts(ds, fit)
    prior = None if prior is None else _with_all_parts(ds, prior)
    estimates = _with_samples(fit.estimates)
    precision = precision_of(ds, settings, prior)
    ridge = None if isinstance(precision, str) else precision.ridge
    parameters, not_scored = _parameters(ds, _with_samples(fit.parameters), ridge)
    idle = _idle(ds, settings)
    not_scored |= missing_parts | _lost(ds, estimates, idle)
    scores: Scores = {
        **_returns(ds, estimates, settings),
        **_contributions(ds, estimates, settings),
        **_curves(ds, estimates, settings, idle),
        **prediction_scores(ds, estimates, settings),
        **parameters,
    }
    spread = _log_roas_sd(ds, fit, settings)
    if not isinstance(precision, str):
        scores["ridge_identified"] = precision.ridge
        if spread is not None:
            least = spread.copy(data=precision.log_roas_error)
            scores["efficiency"] = (least / spread.where(spread > 0)).assign_attrs(
                long_name="least standard error of log ROAS over posterior sd, a ratio of sds",
                prior=precision.prior,
            )
    if prior is not None:
        scores |= _contractions(ds, fit, prior, settings, spread, parameters)
    dates = training_dates(ds, settings)
    attrs = {
        "training_window": " to ".join(str(each.date()) for each in dates[[0, -1]]),
        "not_scored": "; ".join(f"{name}: {why}" for name, why in not_scored.items()),
        "information": precision if isinstance(precision, str) else "",
    }
    return xr.Dataset({name: _bare(each) for name, each in scores.items()}, attrs=attrs)


@in_memory
def tidy(scores: xr.Dataset) -> pd.DataFrame:
    """Scores as a long table, one value a row; values that are missing stay.

    Returns
    -------
    DataFrame
        ``quantity``; ``metric``, ``"value"`` where there is only one; ``channel`` and ``geo``,
        empty where the quantity has none; ``label`` along any other dims; ``value``.

    Examples
    --------
    >>> scores = xr.Dataset({"regret_today": 2.0})
    >>> tidy(scores).drop(columns="value").values.tolist()
    [['regret_today', 'value', '', '', '']]
    """
    parts = []
    for name, variable in scores.data_vars.items():
        table = variable.to_dataframe(name="value").reset_index() if variable.dims else None
        if table is None:
            table = pd.DataFrame({"value": [float(variable)]})
        others = [str(d) for d in variable.dims if d not in ("metric", "channel", "geo")]
        table = table.assign(quantity=str(name))
        for column, default in (("metric", "value"), ("channel", ""), ("geo", "")):
            if column not in table:
                table[column] = default
        table["label"] = [", ".join(map(str, each)) for each in table[others].to_numpy()]
        parts.append(table[list(TIDY)].astype({"value": float}))
    if not parts:
        return pd.DataFrame(columns=list(TIDY))
    return pd.concat(parts, ignore_index=True)


def _with_samples(draws: xr.Dataset) -> xr.Dataset:
    """A Dataset whose variables all have chains and draws."""
    for dim in SAMPLE:
        lacking = [name for name, each in draws.data_vars.items() if dim not in each.dims]
        # What is the same in all draws has as many of them as the others.
        labels = {dim: draws[dim].values if dim in draws.coords else draws.sizes.get(dim, 1)}
        draws = draws.assign({name: draws[name].expand_dims(labels) for name in lacking})
    return draws


def _bare(array: xr.DataArray) -> xr.DataArray:
    """Without the coordinates that are no dims, which variables do not share."""
    return array.drop_vars([name for name in array.coords if name not in array.dims])


def _returns(ds: xr.Dataset, estimates: xr.Dataset, settings: FitSettings) -> Scores:
    scores: Scores = {}
    for name, true_value in RETURNS.items():
        if name not in estimates:
            continue
        truth = true_value(ds, window=window_of(ds, settings))
        draws = xr.DataArray(samples(estimates[name], truth), truth.coords, (*truth.dims, "draw"))
        log = linked(draws, truth, LOG).transpose(*truth.dims, "draw").to_numpy()
        meaning = f"log {name} of the training window"
        scores[name] = scored(log, linked(truth, truth, LOG), scale="log", long_name=meaning)
        floor = (draws <= FLOOR * truth).mean("draw").where(truth > 0)
        about = {"units": "1", "long_name": f"share of draws that count as {FLOOR:g} of the truth"}
        scores[f"{name}_at_floor"] = floor.assign_attrs(about)
        if name == "roas":
            scores |= _ranking(draws.median("draw").to_numpy(), truth.to_numpy())
    return scores


def _ranking(estimate: FloatArray, truth: FloatArray) -> Scores:
    """Rank correlations over the channels that have a ROAS."""
    from scipy.stats import kendalltau, spearmanr

    known = np.isfinite(estimate) & np.isfinite(truth)
    estimate, truth = estimate[known], truth[known]
    scores = {}
    for name, correlation in (("spearman", spearmanr), ("kendall", kendalltau)):
        if len(truth) < 2 or np.ptp(truth) == 0:
            value = np.nan
        elif np.ptp(estimate) == 0:
            value = 0.0
        else:
            value = float(correlation(estimate, truth).statistic)
        about = {"long_name": f"{name.capitalize()} correlation of estimated and true ROAS"}
        scores[f"channel_ranking_{name}"] = xr.DataArray(value, attrs=about)
    return scores


def _contributions(ds: xr.Dataset, estimates: xr.Dataset, settings: FitSettings) -> Scores:
    """Totals of the channels, and series of channels and baseline."""
    if "channel_contribution" not in estimates:
        return {}
    dates = slice(len(training_dates(ds, settings)))
    seen = ds.isel(date=dates)
    true_parts = incremental_contribution(ds).isel(date=dates)
    media = media_together(ds)
    media = true_parts.sum("channel") if media is None else media.isel(date=dates)
    made = estimates["channel_contribution"].sel(date=seen["date"].values)
    percent = 100 / float(seen["mu"].mean())
    names = [str(name) for name in ds["channel"].values]
    totals, series = [], []
    # One channel after another: all draws of all series may fill the memory.
    for name in names:
        truth = _bare(true_parts.sel(channel=name))
        draws = samples(made.sel(channel=name, drop=True), truth) * percent
        series.append(pooled(draws, truth.to_numpy() * percent, SERIES))
        totals.append(draws.mean(axis=(0, 1)))
    true_totals = true_parts.mean(("date", "geo")) * percent
    scale = "percent of expected sales"
    scores = {
        "contribution_total": scored(
            np.array(totals), true_totals, scale=scale, long_name="total contribution"
        ),
        "channel_contribution": _of_series(
            np.array(series), {"channel": names}, "contribution by date and geo"
        ),
    }
    if "mu" in estimates:
        truth = _bare(seen["mu"] - media)
        rest = estimates["mu"].sel(date=seen["date"].values) - made.sum("channel")
        values = pooled(
            samples(rest.rename("baseline"), truth) * percent, truth.to_numpy() * percent, SERIES
        )
        scores["baseline"] = _of_series(values[None], {}, "expected sales without media")
    return scores


def _of_series(values: FloatArray, by: Mapping[str, list[str]], meaning: str) -> xr.DataArray:
    """Pooled metrics, given with dims (item, metric)."""
    about = {"scale": "percent of expected sales", "long_name": meaning}
    coords = {"metric": list(METRICS), **by}
    shape = [len(labels) for labels in coords.values()]
    return xr.DataArray(values.T.reshape(shape), coords, tuple(coords), attrs=about)


def _idle(ds: xr.Dataset, settings: FitSettings) -> NDArray[np.bool_]:
    """True for channels without spend in the training window, dims (channel)."""
    seen = ds["spend"].isel(date=slice(len(training_dates(ds, settings))))
    return np.asarray(seen.sum(("date", "geo")) == 0)


def _lost(ds: xr.Dataset, estimates: xr.Dataset, idle: NDArray[np.bool_]) -> dict[str, str]:
    """Channels that started later, and estimates of others with draws that are not finite."""
    names = np.array([str(name) for name in ds["channel"].values])
    why = {
        f"returns and budget of {name}": "no spend in the training window" for name in names[idle]
    }
    for key, draws in estimates.data_vars.items():
        finite: xr.DataArray = xr.apply_ufunc(np.isfinite, draws)
        finite = finite.all([dim for dim in draws.dims if dim != "channel"])
        if finite.dims:
            lost = finite["channel"].values[~finite.values]
            where = [f" of {name}" for name in names[~idle] if name in lost]
        else:
            where = [] if finite else [""]
        why |= {f"{key}{place}": "some draws are not finite" for place in where}
    if any(each.startswith("response_curve of ") for each in why):
        why["regret"] = "it needs the response curves of all channels with spend"
    return why


def _curves(
    ds: xr.Dataset, estimates: xr.Dataset, settings: FitSettings, idle: NDArray[np.bool_]
) -> Scores:
    """Error of the response curves, and of the budget that follows from them."""
    if "response_curve" not in estimates:
        return {}
    curves = estimates["response_curve"]
    window = window_of(ds, settings)
    grid = curves["multiplier"].values
    truth = response_curve(ds, by="channel", window=window, multipliers=grid)["contribution"]
    truth = _bare(truth.transpose("channel", "multiplier"))
    seen = ds.isel(date=slice(len(training_dates(ds, settings))))
    percent = 100 / float(seen["mu"].sum())
    draws = samples(curves, truth) * percent
    level = seen["spend"].mean("date")
    share = seen["spend"] / level.where(level > 0)
    low, high = (
        getattr(share, which)(("date", "geo")).fillna(1).to_numpy()[:, None]
        for which in ("min", "max")
    )
    inside = (grid >= low) & (grid <= high) | np.isclose(grid, 1)
    values = [
        pooled(draws[row, points], truth.to_numpy()[row, points] * percent)
        for row, points in enumerate(inside)
    ]
    names = [str(name) for name in ds["channel"].values]
    meaning = "response curve within observed spend"
    scores = {"response_curve": _of_series(np.array(values), {"channel": names}, meaning)}
    # Nothing is moved to or from a channel without spend, whatever its curve.
    if np.isfinite(draws[~idle]).all():
        scores |= decision_scores(ds, curves, settings)
    return scores


def _missing_parts(ds: xr.Dataset, parameters: xr.Dataset) -> dict[str, str]:
    """Controls and modes of a season that the data have and a model has not, by parameter."""
    return {
        str(name): f"the model has no {', '.join(missing)}"
        for name, draws in parameters.data_vars.items()
        for dim in PARTS
        if dim in draws.indexes and dim in ds.indexes
        if (missing := [str(part) for part in ds[dim].values if part not in draws[dim].values])
    }


def _with_all_parts(ds: xr.Dataset, fit: Fit) -> Fit:
    """Estimates of a model, NaN where it has no parameter that the data have."""
    own = fit.parameters.indexes
    parts = {dim: ds[dim].values for dim in PARTS if dim in own and dim in ds.indexes}
    return replace(fit, parameters=fit.parameters.reindex(parts))


def _parameters(
    ds: xr.Dataset, parameters: xr.Dataset, ridge: xr.DataArray | None
) -> tuple[Scores, dict[str, str]]:
    """Scores of every parameter that the Dataset has, and why others have none."""
    scores: Scores = {}
    not_scored = {}
    for key, draws in parameters.data_vars.items():
        name = str(key)
        if name not in ds:
            not_scored[name] = "the dataset has no such parameter"
            continue
        truth = _bare(ds[name])
        if not truth.size:
            continue
        if "geo" in truth.dims and "geo" not in draws.dims:
            if bool((abs(truth - truth.isel(geo=0)) > 1e-9 * abs(truth)).any()):
                not_scored[name] = "one for all geos, but its truth differs between them"
                continue
            truth = _bare(truth.isel(geo=0))
        if "geo" in draws.dims and "geo" not in truth.dims:
            not_scored[name] = "one per geo, but its truth is one for all geos"
            continue
        scale = scale_of(ds, name)
        dims = (*truth.dims, "sample")
        values = xr.DataArray(samples(draws, truth), truth.coords, dims)
        link = linked(values, truth, scale).transpose(*dims).to_numpy()
        true_link = linked(truth, truth, scale).transpose(*truth.dims)
        meaning = str(ds[name].attrs.get("long_name", name))
        scores[name] = scored(link, true_link, scale=words(scale, truth), long_name=meaning)
        if ridge is not None and name in ridge["parameter"]:
            confounded = ridge["channel"].values[ridge.sel(parameter=name).values == 1]
            scores[name].attrs["ridge_identified"] = ", ".join(confounded)
    return scores, not_scored


def _log_roas_sd(ds: xr.Dataset, fit: Fit, settings: FitSettings) -> xr.DataArray | None:
    """Posterior sd of the log ROAS, dims (channel)."""
    if "roas" not in fit.estimates:
        return None
    truth = _bare(roas(ds, window=window_of(ds, settings)))
    draws = xr.DataArray(samples(fit.estimates["roas"], truth), truth.coords, ("channel", "draw"))
    log = linked(draws, truth, LOG)
    return log.where(np.isfinite(log)).std("draw", skipna=False)


def _contractions(
    ds: xr.Dataset,
    fit: Fit,
    prior: Fit,
    settings: FitSettings,
    spread: xr.DataArray | None,
    scored_parameters: Scores,
) -> Scores:
    scores: Scores = {}
    before = _log_roas_sd(ds, prior, settings)
    if spread is not None and before is not None:
        scores["contraction"] = contraction(before, spread)
    for name in scored_parameters:
        if name in prior.parameters:
            each = [link_sd(ds, name, source.parameters[name]) for source in (prior, fit)]
            scores[f"contraction_{name}"] = contraction(*each)
    return scores
