"""Ways on which spend reaches sales: directly, through mediators, and through funnels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import xarray as xr

from mmm_xgen.dataset import in_memory
from mmm_xgen.errors import SchemaError
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.schema import check_variables
from mmm_xgen.truth.media import history_of, spend_of, world_from
from mmm_xgen.truth.what_if.counterfactual import Window, check_contributions, window_periods
from mmm_xgen.world import Kept, World, media_sales, respond_to


@in_memory
def effect_paths(ds: xr.Dataset, *, window: Window = None) -> xr.Dataset:
    r"""Split the sales that each channel makes by the ways on which they arise.

    The total is the loss of sales without the channel, the spend of the others held. It is split
    in steps, in each of which one more way is cut:

    .. math::

        \text{total}_c = v(\text{all}) - v(\text{without } c)
        = \underbrace{v_0 - v_1}_{\text{direct}}
        + \sum_f \underbrace{v_f - v_{f+1}}_{\text{through } f}

    First the channel's own response, its mediators and its interactions go, while the channels that
    it raises keep their media; then one funnel of the channel after the other, in the order of the
    configuration. What a raised channel does for further ones, and for mediators, counts to the
    funnel that raised it.

    Parameters
    ----------
    ds : Dataset
        A generated Dataset with all its dates and channels.
    window : str, slice, pair or date, optional
        Dates whose sales count, as for `roas`; all by default.

    Returns
    -------
    Dataset, dims (channel,), (channel, mediator) and (channel, funnel)
        ``direct``, ``through_mediator``, ``through_funnel`` (0 where the funnel does not begin at
        the channel) and ``total``, in KPI units. The first three add up to ``total``.

        *Window*: `window`. *Carry-over*: the effect of earlier spend counts. *Sign*: positive where
        spend adds sales. *Scale*: original units, noise-free, sums over dates and geos.

    Raises
    ------
    SchemaError
        If `ds` lacks a variable, if its contributions do not follow from its spend, or if it has
        both mediators and a response with memory.
    ConfigError
        If the window is not valid.

    References
    ----------
    Pearl, J. (2001). Direct and indirect effects. Proceedings of the 17th Conference on Uncertainty
    in Artificial Intelligence, 411-420.

    Examples
    --------
    >>> import mmm_xgen
    >>> funnel = {"source": "Trend", "target": "Seasonal", "strength": 0.3}
    >>> ds = mmm_xgen.generate_mmm_dataset(funnels=[funnel])
    >>> paths = effect_paths(ds)
    >>> gap = paths.direct + paths.through_funnel.sum("funnel") - paths.total
    >>> bool(abs(gap).max() < 1e-6)
    True
    """
    check_variables(ds, "spend", "channel_contribution", "mu")
    check_contributions(ds)
    periods = window_periods(ds, window)
    world, spend, history = world_from(ds), spend_of(ds), history_of(ds)
    if world.link is not None and world.mediators is not None:
        raise SchemaError(
            "found mediators in a world whose channels all act on each other, where sales through "
            "a mediator do not add up with the others; allowed: one of the two"
        )
    today = media_sales(respond_to(spend, world, history), world)
    curves = _curves_today(spend, world, history)
    funnels = world.unpaid
    labels = [] if "funnel" not in ds.dims else [str(name) for name in ds["funnel"].values]
    unpaid = [name for name, paid in zip(labels, _paid(ds), strict=True) if not paid]
    n_channels = len(spend)
    direct, total = np.zeros(n_channels), np.zeros(n_channels)
    through = np.zeros((n_channels, len(labels)))
    states = [str(name) for name in ds["mediator"].values] if world.mediators else []
    mediated = np.zeros((n_channels, len(states)))
    n_past = 0 if history is None else history.shape[-1]

    for channel in range(n_channels):
        keep = np.ones((n_channels, 1, 1))
        keep[channel] = 0
        past = None if history is None else history * keep
        own = [] if funnels is None else [f for f, s in enumerate(funnels.source) if s == channel]
        values = [float(today[:, periods].sum())]
        for cut in range(len(own) + 1):
            kept = Kept(tuple(own[cut:]), curves)
            made = respond_to(spend * keep, world, past, kept=kept)
            values.append(float(media_sales(made, world)[:, periods].sum()))
        mediated[channel] = _through_mediators(curves * (1 - keep), world, periods, n_past)
        direct[channel] = values[0] - values[1] - mediated[channel].sum()
        total[channel] = values[0] - values[-1]
        for position, funnel in enumerate(own):
            step = values[1 + position] - values[2 + position]
            through[channel, labels.index(unpaid[funnel])] = step
    attrs = {"units": str(ds.attrs.get("kpi", ""))}
    figures = {
        "direct": (
            "channel",
            direct,
            {**attrs, "long_name": "sales of the channel's own response"},
        ),
        "total": ("channel", total, {**attrs, "long_name": "sales lost without the channel"}),
    }
    result = xr.Dataset(figures, {"channel": ds["channel"].variable})
    meaning = {**attrs, "long_name": "sales through the funnel"}
    result["through_funnel"] = (("channel", "funnel"), through, meaning)
    meaning = {**attrs, "long_name": "sales through the mediator"}
    result["through_mediator"] = (("channel", "mediator"), mediated, meaning)
    named = {"funnel": labels, "mediator": states}
    return result.assign_coords({dim: each for dim, each in named.items() if each})


def _through_mediators(curves: FloatArray, world: World, periods: slice, n_past: int) -> FloatArray:
    """Return the sales through each mediator that some curves make, dims (mediator,)."""
    if world.mediators is None:
        return np.empty(0)
    values = world.mediators.values(curves)[..., n_past:][..., periods]
    return np.asarray(np.einsum("mgt,gm->m", values, world.mediators.effect))


def _curves_today(spend: FloatArray, world: World, history: FloatArray | None) -> FloatArray:
    """Return the curves of all channels from the first date of the history on."""
    whole = spend if history is None else np.concatenate([history, spend], axis=-1)
    start = world.quality_start - (whole.shape[-1] - spend.shape[-1])
    bare = replace(world, effect_path=None, pull_forward=None, quality_start=start)
    return respond_to(whole, replace(bare, interactions=None, mediators=None)).response


def _paid(ds: xr.Dataset) -> list[bool]:
    return [bool(paid) for paid in ds["funnel_paid"].values] if "funnel_paid" in ds.coords else []
