r"""A marketing-mix model by least squares: what a careful from-scratch model does.

.. math::

    \frac{y_{tg}}{s_g} = a_g + b\, t + \sum_j d_j\, \text{season}_{tj}
        + \sum_k \gamma_k\, \text{control}_{tgk}
        + \frac{u_g}{s_g} \sum_c \beta_c\, f_c(\text{spend}_{tgc} / u_g) + \varepsilon_{tg}

with :math:`s_g` the size of the geo, and :math:`u_g = s_g` where a geo responds per capita, 1
where all geos have one response. So noise grows with the geo, and only the intercept is a geo's
own. The transforms f are searched on a grid first; all inference is given the chosen ones.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import numpy as np
import xarray as xr

from mmm_xgen.dataset import in_memory
from mmm_xgen.errors import ConfigError, SchemaError, nearest
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.kernels.saturation import hill_function
from mmm_xgen.recovery.models.panel import (
    GeoResponse,
    Panel,
    baseline_columns,
    panel_of,
    stacked,
)
from mmm_xgen.recovery.models.regression import Regression, regress
from mmm_xgen.recovery.models.transform_search import (
    TransformGrid,
    carried_over,
    search_transforms,
)
from mmm_xgen.schema import check_variables

Transforms = Literal["searched", "true", "total-spend"]
TRANSFORMS: tuple[Transforms, ...] = ("searched", "true", "total-spend")
TOTAL = "media: total spend"


@dataclass(frozen=True, kw_only=True)
class LeastSquares:
    """A least-squares fit; with a dim `dataset` in front where many were fitted at once.

    Parameters
    ----------
    coefficients : Dataset, dims (..., term)
        ``estimate``, ``standard_error``, ``t_value``, ``p_value`` (two-sided), ``lower``,
        ``upper``, ``kept``; in KPI units for a geo of reference size, given the chosen
        transforms. A term that is zero or a combination of terms before it is not kept: its
        estimate is 0 and the rest NaN.
    root : DataArray, dims (..., term, column)
        The covariance of the coefficients is ``residual_sd**2`` times root times its transpose.
    statistics : Dataset, dims (...)
        ``r_squared``, ``adjusted_r_squared``, ``log_likelihood``, ``aic``, ``bic``,
        ``residual_sd``, ``residual_freedom``, ``n_rows``, ``durbin_watson``; of the KPI per geo
        size on the training dates.
    transforms : Dataset, dims (..., channel)
        ``adstock_alpha``, ``half_point`` (currency per period, for a geo of reference size) and
        ``l_max`` where they were searched; empty where not.
    design : DataArray, dims (..., date, geo, term)
        KPI units per unit of coefficient, on all dates.
    response : DataArray, dims (..., date, geo, channel)
        Likewise, of every channel.
    spend : DataArray, dims (..., date, geo, channel)
        Currency per period.
    revenue_per_kpi : DataArray, dims (..., date, geo)
        Currency per KPI unit.
    size, unit : DataArray, dims (..., geo)
        Size of the geo, and what its spend is divided by before the curve.
    n_train : int
        Number of training dates.
    level : float
        Probability of the intervals.
    """

    coefficients: xr.Dataset
    root: xr.DataArray
    statistics: xr.Dataset
    transforms: xr.Dataset
    design: xr.DataArray
    response: xr.DataArray
    spend: xr.DataArray
    revenue_per_kpi: xr.DataArray
    size: xr.DataArray
    unit: xr.DataArray
    n_train: int
    level: float

    def of_channels(self, by_term: xr.DataArray) -> xr.DataArray:
        """Select the terms of the channels, dims (..., channel) in place of term."""
        channels = self.response["channel"]
        pooled = TOTAL in by_term["term"].values
        terms = [TOTAL if pooled else f"media: {channel}" for channel in channels.values]
        chosen = by_term.sel(term=terms).drop_vars("term").rename(term="channel")
        return chosen.assign_coords(channel=channels.variable)

    def contributions(self) -> xr.DataArray:
        """Contribution of every channel on all dates, KPI units, dims (..., date, geo, channel)."""
        effect = self.of_channels(self.coefficients["estimate"])
        return (self.response * effect).rename("channel_contribution")

    def fitted(self) -> xr.DataArray:
        """Expected KPI on all dates, dims (..., date, geo)."""
        expected: xr.DataArray = xr.dot(self.design, self.coefficients["estimate"], dim="term")
        return expected.rename("mu")

    def roas(self) -> xr.Dataset:
        """Revenue of the contributions over spend, in the training window and all geos.

        Returns
        -------
        Dataset, dims (..., channel)
            ``estimate``, ``lower``, ``upper``, given the chosen transforms; NaN without spend.
        """
        seen = slice(self.n_train)
        spend = self.spend.isel(date=seen).sum(("date", "geo"))
        revenue = (self.response * self.revenue_per_kpi).isel(date=seen).sum(("date", "geo"))
        per_unit = revenue / spend.where(spend > 0)
        return xr.Dataset(
            {
                name: per_unit * self.of_channels(self.coefficients[name])
                for name in ("estimate", "lower", "upper")
            }
        )

    def at(self, dataset: Hashable) -> LeastSquares:
        """The fit of one of many datasets, by its label, or its position where there is none.

        Raises
        ------
        ConfigError
            If there is no such dataset.
        """
        if "dataset" not in self.statistics.dims:
            raise ConfigError("found a fit of one dataset, allowed: one of many", path="dataset")
        labels = self.statistics["dataset"].values.tolist()
        if dataset not in labels:
            known = nearest(str(dataset), map(str, labels))
            raise ConfigError(f"found {dataset!r}, {known}", path="dataset")
        place = {"dataset": labels.index(dataset)}
        parts = {field.name: getattr(self, field.name) for field in fields(self)}
        own: dict[str, Any] = {
            name: part.isel(place, drop=True, missing_dims="ignore")
            for name, part in parts.items()
            if isinstance(part, xr.Dataset | xr.DataArray)
        }
        return replace(self, **own)

    def summary(self) -> str:
        """Table of the fit of one dataset, for reading.

        Raises
        ------
        ConfigError
            If it is a fit of many datasets.

        Examples
        --------
        >>> import mmm_xgen
        >>> print(fit_least_squares(mmm_xgen.generate_mmm_dataset()).summary())
        Least squares: 208 rows, 12 coefficients, 196 degrees of freedom
        ...
        """
        statistics, coefficients = self.statistics, self.coefficients
        if "dataset" in statistics.dims:
            raise ConfigError(
                "found a fit of many datasets, allowed: of one; take fit.at(label) first"
            )
        figures = {str(name): float(value) for name, value in statistics.items()}
        rank = int(coefficients["kept"].sum())
        lines = [
            f"Least squares: {figures['n_rows']:.0f} rows, {rank} coefficients, "
            f"{figures['residual_freedom']:.0f} degrees of freedom",
            f"R2 {figures['r_squared']:.4f}   adjusted R2 {figures['adjusted_r_squared']:.4f}   "
            f"residual sd {figures['residual_sd']:.6g}",
            f"AIC {figures['aic']:.2f}   BIC {figures['bic']:.2f}   "
            f"Durbin-Watson {figures['durbin_watson']:.3f}",
            "",
            *_coefficients(coefficients, self.level),
            "",
            *_returns(self.roas(), self.transforms, self.level),
            "",
            "Standard errors, p and intervals are given the chosen transforms.",
        ]
        dropped = coefficients["term"].values[~coefficients["kept"].values]
        if len(dropped):
            lines.append(f"No coefficient, for want of variation of its own: {', '.join(dropped)}")
        return "\n".join(lines)


@in_memory
def fit_least_squares(
    ds: xr.Dataset,
    *,
    transforms: Transforms = "searched",
    train_end: str | None = None,
    grid: TransformGrid | None = None,
    l_max: int | None = None,
    fourier_modes: int = 2,
    geo_response: GeoResponse | None = None,
    level: float = 0.94,
) -> LeastSquares:
    """Fit a marketing-mix model by least squares, or one to each of many datasets.

    It sees KPI, spend, controls, dates, the sizes of the geos and the revenue per KPI unit, and
    nothing of the truth, unless ``transforms="true"``.

    Parameters
    ----------
    ds : Dataset
        ``y`` (date, geo), ``spend`` (date, geo, channel) and, if there are any,
        ``spend_history``, ``control_value``, ``geo_scale``, ``revenue_per_kpi``; each may have a
        dim `dataset` (`xarray.concat` of datasets with the same dates and labels).
    transforms : {"searched", "true", "total-spend"}
        Geometric adstock and Hill saturation searched on a grid; the true response of every
        channel but for its amplitude; or one coefficient on the untransformed spend of all
        channels together, which gives all of them the same return.
    train_end : str, optional
        Last date that is fitted, ISO 8601. What comes after is predicted.
    grid : TransformGrid, optional
        Candidates of the search.
    l_max : int, optional
        Number of adstock weights of the search; about two months by default.
    fourier_modes : int
        Number of yearly sines, and of cosines.
    geo_response : {"per_capita", "common"}, optional
        Whether spend per geo size has the same effect everywhere, or spend. By default what the
        configuration of `ds` says, that of the first if there are several, and per capita where
        there is none.
    level : float
        Probability of the intervals, which are given the chosen transforms.

    Raises
    ------
    SchemaError
        If a variable is missing, has a missing, infinite or impossible value, if a channel cannot
        be told apart from the rest, or if there are no more rows than columns.
    ConfigError
        If an argument is out of range.

    Notes
    -----
    The search uses up freedom that no standard error knows of: intervals are too short and
    p-values too small, as they are in every model whose transforms were tuned on the same data.
    A channel without spend, a control without variation and a control that is a combination of
    intercepts, trend and season get no coefficient.

    Examples
    --------
    >>> import mmm_xgen
    >>> fit = fit_least_squares(mmm_xgen.generate_mmm_dataset())
    >>> dict(fit.roas().sizes), list(fit.transforms)
    ({'channel': 3}, ['adstock_alpha', 'half_point', 'l_max'])
    """
    _check(transforms, l_max, fourier_modes, level)
    panel = panel_of(ds, train_end=train_end, geo_response=geo_response)
    baseline, terms = baseline_columns(panel, fourier_modes)
    found: dict[str, FloatArray] = {}
    if transforms == "searched":
        lags = panel.calendar.default_l_max if l_max is None else l_max
        found = _search(panel, baseline, grid or TransformGrid(), lags)
        response = _response(panel, **found, l_max=lags)
        found["l_max"] = np.full_like(found["half_point"], lags)
    elif transforms == "true":
        response = _true_response(ds, panel)
    else:
        response = panel.spend
    media = response / panel.size[:, None, :, None]
    own = [f"media: {channel}" for channel in panel.labels["channel"]]
    if transforms == "total-spend":
        media, own = media.sum(axis=1, keepdims=True), [TOTAL]
    columns = np.concatenate([baseline, np.moveaxis(media, 1, -1)], axis=-1)
    terms = [*terms, *own]
    seen = columns[:, :, : panel.n_train]
    rows = seen.reshape(panel.n_datasets, -1, len(terms))
    y = panel.y / panel.size[..., None]
    regression = regress(rows, y.reshape(panel.n_datasets, -1), names=terms)
    _check_told_apart(regression, rows, terms, len(own), panel)
    return _labelled(panel, regression, columns, response, found, terms, level)


def _check(transforms: str, l_max: int | None, fourier_modes: int, level: float) -> None:
    if transforms not in TRANSFORMS:
        known = nearest(str(transforms), TRANSFORMS)
        raise ConfigError(f"found {transforms!r}, {known}", path="transforms")
    for name, value, lowest in (("fourier_modes", fourier_modes, 0), ("l_max", l_max, 1)):
        if value is not None and value < lowest:
            raise ConfigError(f"found {value}, allowed: {lowest} or more", path=name)
    if not 0 < level < 1:
        raise ConfigError(f"found {level}, allowed: between 0 and 1", path="level")


def _search(
    panel: Panel, baseline: FloatArray, grid: TransformGrid, l_max: int
) -> dict[str, FloatArray]:
    unit, history = panel.unit[:, None, :, None], panel.history
    alpha, half_point = search_transforms(
        panel.spend[..., : panel.n_train] / unit,
        panel.y / panel.size[..., None],
        baseline[:, :, : panel.n_train],
        weight=panel.unit / panel.size,
        grid=grid,
        l_max=l_max,
        history=None if history is None else history / unit,
    )
    return {"adstock_alpha": alpha, "half_point": half_point}


def _response(
    panel: Panel, adstock_alpha: FloatArray, half_point: FloatArray, l_max: int
) -> FloatArray:
    """Response of every channel on all dates, dims (dataset, channel, geo, date)."""
    unit = panel.unit[:, None, :, None]
    past = None if panel.history is None else panel.history / unit
    carried = carried_over(panel.spend / unit, adstock_alpha, l_max=l_max, history=past)
    return unit * hill_function(carried, kappa=half_point[..., None, None])


def _true_response(ds: xr.Dataset, panel: Panel) -> FloatArray:
    # What the effect multiplies is the last stage of the response.
    stage = "saturated" if ds.attrs.get("adstock_first", 1) else "carryover"
    check_variables(ds, stage)
    true = stacked(ds[stage], ("channel", "geo", "date"))
    return np.asarray(true * panel.unit[:, None, :, None])


def _check_told_apart(
    regression: Regression, rows: FloatArray, terms: list[str], n_media: int, panel: Panel
) -> None:
    has_spend = np.any(rows != 0, axis=-2)
    lost = (has_spend & ~regression.kept)[:, -n_media:]
    if lost.any():
        dataset, position = np.argwhere(lost)[0]
        where = f" of dataset {panel.labels['dataset'][dataset]}" if panel.n_datasets > 1 else ""
        raise SchemaError(
            f"{terms[len(terms) - n_media + position]!r}{where} is a combination of the other "
            "columns, so that it has no effect of its own; merge it with the channel that has "
            "its pattern, or let its spend vary"
        )


def _labelled(
    panel: Panel,
    regression: Regression,
    columns: FloatArray,
    response: FloatArray,
    found: dict[str, FloatArray],
    terms: list[str],
    level: float,
) -> LeastSquares:
    labels: dict[str, Any] = {**panel.labels, "term": terms, "column": terms}
    many = "dataset" in labels

    def label(values: FloatArray, *dims: str) -> xr.DataArray:
        dims = ("dataset", *dims) if many else dims
        coords = {dim: labels[dim] for dim in dims}
        return xr.DataArray(values if many else values[0], coords, dims)

    def labels_on(values: dict[str, FloatArray], *dims: str) -> xr.Dataset:
        return xr.Dataset({name: label(array, *dims) for name, array in values.items()})

    residuals = regression.residuals.reshape(panel.y.shape)
    series = ("date", "geo")
    return LeastSquares(
        coefficients=labels_on(_inference(regression, level), "term"),
        root=label(regression.root, "term", "column"),
        statistics=labels_on(
            {**regression.statistics(), "durbin_watson": _durbin_watson(residuals)}
        ),
        transforms=labels_on(found, "channel"),
        design=label(np.swapaxes(columns * panel.size[..., None, None], 1, 2), *series, "term"),
        response=label(np.moveaxis(response, 1, -1).swapaxes(1, 2), *series, "channel"),
        spend=label(np.moveaxis(panel.spend, 1, -1).swapaxes(1, 2), *series, "channel"),
        revenue_per_kpi=label(panel.revenue.swapaxes(1, 2), *series),
        size=label(panel.size, "geo"),
        unit=label(panel.unit, "geo"),
        n_train=panel.n_train,
        level=level,
    )


def _inference(regression: Regression, level: float) -> dict[str, FloatArray]:
    from scipy import stats

    estimate, error = regression.coefficients, regression.standard_errors
    freedom = regression.freedom[..., None]
    reach = stats.t.ppf((1 + level) / 2, freedom) * error
    with np.errstate(divide="ignore", invalid="ignore"):
        t_value = estimate / error
    return {
        "estimate": estimate,
        "standard_error": error,
        "t_value": t_value,
        "p_value": 2 * stats.t.sf(np.abs(t_value), freedom),
        "lower": estimate - reach,
        "upper": estimate + reach,
        "kept": regression.kept,
    }


def _durbin_watson(residuals: FloatArray) -> FloatArray:
    """Squared steps of the residuals, geo by geo, over their squares; 2 without autocorrelation."""
    steps = np.square(np.diff(residuals, axis=-1)).sum(axis=(-2, -1))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(steps / np.square(residuals).sum(axis=(-2, -1)))


def _coefficients(table: xr.Dataset, level: float) -> list[str]:
    names = ("estimate", "standard_error", "t_value", "p_value", "lower", "upper")
    heads = ("estimate", "std. error", "t", "p", *_ends(level))
    width = max(map(len, table["term"].values))
    lines = [" " * width + "".join(f"{head:>13}" for head in heads)]
    for position, term in enumerate(table["term"].values):
        own = table.isel(term=position)
        formats = (".5g", ".4g", ".2f", ".4f", ".5g", ".5g")
        cells = [f"{float(own[name]):>13{f}}" for name, f in zip(names, formats, strict=True)]
        lines.append(f"{term:<{width}}" + "".join(cells))
    return lines


def _returns(roas: xr.Dataset, transforms: xr.Dataset, level: float) -> list[str]:
    channels = roas["channel"].values
    width = max(len("channel"), *(len(str(channel)) for channel in channels))
    heads = ["ROAS", *_ends(level)]
    searched = list(transforms.data_vars)
    if searched:
        heads += ["alpha", "half point"]
    lines = [f"{'channel':<{width}}" + "".join(f"{head:>13}" for head in heads)]
    for position, channel in enumerate(channels):
        own = roas.isel(channel=position)
        values = [float(own[name]) for name in ("estimate", "lower", "upper")]
        if searched:
            chosen = transforms.isel(channel=position)
            values += [float(chosen["adstock_alpha"]), float(chosen["half_point"])]
        lines.append(f"{channel!s:<{width}}" + "".join(f"{value:>13.4g}" for value in values))
    return lines


def _ends(level: float) -> tuple[str, str]:
    tail = 50 * (1 - level)
    return f"{tail:.3g}%", f"{100 - tail:.3g}%"
