"""From draws of a model's parameters to draws of what every model is asked, in original units."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

import numpy as np
import xarray as xr

from mmm_xgen.dataset import in_memory
from mmm_xgen.errors import AlignmentError
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.recovery.fit import FitSettings, training_dates
from mmm_xgen.response import Media, media_of, response_parameters, with_amplitudes
from mmm_xgen.truth.media import contribution, derivative, history_of, spend_of

# Multiples of today's spend at which response curves are compared; the denser part is where
# budgets are moved by at most 30%.
MULTIPLIERS = np.round(np.concatenate([[0, 0.1, 0.25, 0.5], np.arange(70, 131, 5) / 100]), 2)
SAMPLE = ("chain", "draw")
Labelled = TypeVar("Labelled", xr.Dataset, xr.DataArray)
# Numbers computed at once: what fits into a cache beats what fits into memory.
CHUNK = 1_000_000
# Most numbers in the draws of a series by date, geo and channel, and the fewest draws.
LARGEST_SERIES = 40_000_000
FEWEST_DRAWS = 100


@in_memory
def estimates_of(
    ds: xr.Dataset,
    settings: FitSettings | None = None,
    *,
    media: xr.Dataset,
    baseline: xr.DataArray | None = None,
    y_sigma: xr.DataArray | None = None,
) -> xr.Dataset:
    r"""Estimates of a dataset's returns, contributions and sales, from draws of parameters.

    All comes from the one response function that made the data, so that a model with the true
    parameters has the true estimates, to rounding.

    .. math::

        \text{roas}_c = \frac{\sum_{t,g} r_{tg}\, f_c(s)_{tg}}{\sum_{t,g} s_{tgc}}, \qquad
        \text{mroas}_c = \frac{\frac{d}{dm} \sum_{t,g} r_{tg}\, f_c(m s)_{tg}}
        {\sum_{t,g} s_{tgc}}\bigg|_{m=1}

    with f the contribution, r the revenue per KPI, sums over the training window and all geos.

    Parameters
    ----------
    ds : Dataset
        The generated Dataset, with all its dates.
    settings : FitSettings, optional
        Its ``train_end`` is the end of the window, ``scored_draws`` the number of draws kept;
        ``FitSettings()`` by default, which has all dates and 1000 draws.
    media : Dataset, dims (chain, draw, geo, channel) or fewer
        Parameters of the response as `mmm_xgen.respond` takes them: ``adstock_*``,
        ``saturation_*``, ``spend_unit``, and the coordinates of the kinds.
    baseline : DataArray, dims (chain, draw, date, geo), optional
        All of the expected KPI but media, KPI units per period, on all dates; without it there is
        no ``mu``.
    y_sigma : DataArray, dims (chain, draw, geo) or (chain, draw, date, geo), optional
        Sd of the noise, in KPI units per period.

    Returns
    -------
    Dataset, dims (chain, draw, ...)
        ``roas``, ``mroas`` (channel), ``response_curve`` (channel, multiplier),
        ``channel_contribution`` (date, geo, channel), ``mu`` (date, geo), ``y_sigma``; see
        `mmm_xgen.recovery.Fit`.

    Raises
    ------
    AlignmentError
        If `media` or `baseline` lacks a geo, a channel or a date of `ds`.

    Examples
    --------
    >>> import mmm_xgen
    >>> ds = mmm_xgen.generate_mmm_dataset()
    >>> one_draw = ds.expand_dims(chain=[0], draw=[0])
    >>> media = one_draw[["effect", "spend_unit", "adstock_alpha", "saturation_slope",
    ...                   "saturation_kappa"]]
    >>> estimates = estimates_of(ds, media=media)
    >>> bool(abs(estimates.roas.squeeze() - mmm_xgen.truth.roas(ds)).max() < 1e-12)
    True
    """
    settings = FitSettings() if settings is None else settings
    n_draws = _affordable_draws(ds, settings)
    media = with_amplitudes(_labelled_as(ds, thinned(media, n_draws), "media", ("geo", "channel")))
    sample = [media.sizes.get(dim, 1) for dim in SAMPLE]
    n_seen = len(training_dates(ds, settings))
    parts = [
        _response(ds, part, n_seen) for part in _chunks(ds, media, n_draws=int(np.prod(sample)))
    ]
    curve, slope, made = (np.concatenate(piece) for piece in zip(*parts, strict=True))

    spend = ds["spend"].isel(date=slice(n_seen)).sum(("date", "geo"))
    revenue = ds["revenue_per_kpi"].isel(date=slice(n_seen)).transpose("geo", "date").to_numpy()
    earned = np.einsum("scgt,gt->sc", made[..., :n_seen], revenue)
    dims = {
        "roas": ("channel",),
        "mroas": ("channel",),
        "response_curve": ("channel", "multiplier"),
        "channel_contribution": ("channel", "geo", "date"),
    }
    values = {
        "roas": earned,
        "mroas": slope,
        "response_curve": curve,
        "channel_contribution": made,
    }
    coords = {
        **{dim: media[dim] for dim in SAMPLE if dim in media.coords},
        **{dim: ds[dim].variable for dim in ("date", "geo", "channel")},
        "multiplier": MULTIPLIERS,
    }
    estimates = xr.Dataset(
        {
            name: ((*SAMPLE, *dims[name]), array.reshape(*sample, *array.shape[1:]))
            for name, array in values.items()
        },
        coords,
    )
    for name in ("roas", "mroas"):
        estimates[name] = estimates[name] / spend.where(spend > 0)
    contributions = estimates["channel_contribution"]
    estimates["channel_contribution"] = contributions.transpose(*SAMPLE, "date", "geo", "channel")
    if baseline is not None:
        rest = _labelled_as(ds, thinned(baseline, n_draws), "baseline", ("geo", "date"))
        estimates["mu"] = (rest + contributions.sum("channel")).transpose(*SAMPLE, "date", "geo")
    if y_sigma is not None:
        # One that is the same in every draw has no dims of draws.
        known = {dim: estimates[dim] for dim in SAMPLE if dim not in y_sigma.dims}
        sigma = thinned(y_sigma, n_draws) if not known else y_sigma.expand_dims(known)
        estimates["y_sigma"] = _labelled_as(ds, sigma, "y_sigma", ("geo",))
    return estimates.drop_vars([c for c in estimates.coords if c not in estimates.dims])


def thinned(draws: Labelled, n_draws: int) -> Labelled:
    """At most `n_draws` draws over all chains, evenly spaced; one of each chain at least.

    Examples
    --------
    >>> thinned(xr.DataArray(np.zeros((4, 1000)), dims=("chain", "draw")), 100).shape
    (4, 25)
    """
    for dim in SAMPLE:
        if dim not in draws.dims:
            draws = draws.expand_dims({dim: [0]})
    available = draws.sizes["draw"]
    kept = min(available, max(1, n_draws // draws.sizes["chain"]))
    positions = np.linspace(0, available - 1, kept).round().astype(int)
    return draws.isel(draw=positions)


def _affordable_draws(ds: xr.Dataset, settings: FitSettings) -> int:
    most = LARGEST_SERIES // max(1, ds["spend"].size)
    return min(settings.scored_draws, max(FEWEST_DRAWS, most))


def _labelled_as(ds: xr.Dataset, draws: Labelled, name: str, dims: tuple[str, ...]) -> Labelled:
    """`draws` in the order of the labels of `ds`."""
    for dim in dims:
        if dim not in draws.dims:
            continue
        missing = [str(label) for label in ds[dim].values if label not in draws[dim].values]
        if missing:
            raise AlignmentError(f"{name} lacks the {dim} {missing[0]!r}")
        draws = draws.sel({dim: ds[dim].values})
    return draws


def _chunks(ds: xr.Dataset, media: xr.Dataset, *, n_draws: int) -> Iterator[Media]:
    """`media` on plain arrays with dims (sample, geo, channel), some draws at a time."""
    shape = {dim: media.sizes.get(dim, 1) for dim in SAMPLE}
    shape |= {dim: ds.sizes[dim] for dim in ("geo", "channel")}
    template = xr.DataArray(np.empty(tuple(shape.values())), dims=tuple(shape))
    arrays = {}
    for name in ("spend_unit", *response_parameters(media)):
        values = media[name].drop_vars(list(media[name].coords)).broadcast_like(template)
        arrays[name] = values.transpose(*shape).to_numpy().reshape(n_draws, *template.shape[2:])
    step = max(1, CHUNK // ds["spend"].size)
    for start in range(0, n_draws, step):
        part = {name: values[start : start + step] for name, values in arrays.items()}
        unit = part.pop("spend_unit")
        yield media_of(media, part, unit)


def _response(
    ds: xr.Dataset, media: Media, n_seen: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Response curve, slope of the revenue at today's spend, and contribution on all dates.

    Returns
    -------
    curve : array, dims (sample, channel, multiplier)
    slope : array, dims (sample, channel)
    contribution : array, dims (sample, channel, geo, date)
    """
    spend, history = spend_of(ds), history_of(ds)
    seen = spend[..., :n_seen]
    revenue = ds["revenue_per_kpi"].transpose("geo", "date").to_numpy()[:, :n_seen]

    def earned(step: complex) -> FloatArray:
        factor: Any = 1 + step
        # Earlier spend moves too, as it does in the truth.
        past = None if history is None else history * factor
        made = contribution(seen * factor, media, past)
        return np.asarray(np.einsum("scgt,gt->sc", made, revenue))

    curve = [contribution(seen * m, media, history).sum(axis=(-1, -2)) for m in MULTIPLIERS]
    # Where a curve leaves the range of complex numbers, `derivative` differences instead.
    with np.errstate(over="ignore", invalid="ignore"):
        slope = derivative(earned)
    return np.stack(curve, axis=-1), slope, contribution(spend, media, history)
