"""World of a Dataset, and its response to labelled spend.

The structural function on plain arrays is `mmm_xgen.world.respond_to`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from mmm_xgen.connections import Funnels, Interactions, Mediators, PullForward, Spillover
from mmm_xgen.errors import AlignmentError, SchemaError
from mmm_xgen.goodwill import SIZE, parameter_names, population_of
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.link import LogLink, log_baseline
from mmm_xgen.response import matching, media_of, response_parameters, with_amplitudes
from mmm_xgen.schema import LOG_BASELINE, check_variables, describe, takes_datasets
from mmm_xgen.world import World, media_parts, media_sales, respond_to

if TYPE_CHECKING:
    import xarray as xr

# Variables that connect channels or move their effects over time, where a Dataset has them.
CONNECTIONS = (
    "effect_path",
    "media_quality",
    "funnel_strength",
    "interaction_strength",
    "pull_forward_share",
    "mediator_loading",
    "mediator_persistence",
    "mediator_effect",
    "spillover",
    "spillover_share",
    *LOG_BASELINE,
)


def world_of(
    params: xr.Dataset, arrays: Mapping[str, FloatArray], *, own: Mapping[str, FloatArray]
) -> World:
    """`World` from the coordinates of a Dataset and arrays of its variables.

    Parameters
    ----------
    params : Dataset
        Coordinates of the kinds and connections.
    arrays : mapping of str to array
        ``spend_unit`` and the `CONNECTIONS` that the Dataset has, in the order of the kernels.
    own : mapping of str to array, dims (..., geo, channel)
        Parameters of adstock and saturation.

    Raises
    ------
    SchemaError
        If there is no response, or a connected channel or geo is missing, as after a selection.
    """
    media = media_of(params, own, arrays["spend_unit"])
    world = World(media, effect_path=arrays.get("effect_path"), quality=arrays.get("media_quality"))
    if "funnel_strength" in arrays:
        funnels = Funnels(
            source=_positions(params, "funnel_source"),
            target=_positions(params, "funnel_target"),
            lag=tuple(map(int, params["funnel_lag"].values)),
            paid=tuple(map(bool, params["funnel_paid"].values)),
            strength=arrays["funnel_strength"],
        )
        world = replace(world, funnels=funnels)
    if "interaction_strength" in arrays:
        interactions = Interactions(
            first=_positions(params, "interaction_first"),
            second=_positions(params, "interaction_second"),
            strength=arrays["interaction_strength"],
        )
        world = replace(world, interactions=interactions)
    if "pull_forward_share" in arrays:
        periods = tuple(map(int, params["pull_forward_periods"].values))
        world = replace(world, pull_forward=PullForward(periods, arrays["pull_forward_share"]))
    if "mediator_effect" in arrays:
        numbers = (arrays[f"mediator_{name}"] for name in ("loading", "persistence", "effect"))
        world = replace(world, mediators=Mediators(*numbers))
    if "spillover" in arrays:
        spillover = Spillover(arrays["spillover"], arrays["spillover_share"])
        world = replace(world, spillover=spillover)
    if SIZE in arrays:
        world = replace(world, link=population_of(params, arrays))
    if "log_intercept" in arrays:
        world = replace(world, link=LogLink(log_baseline(arrays)))
    return world


def _positions(params: xr.Dataset, coordinate: str) -> tuple[int, ...]:
    """Return the positions of the channels that a coordinate names."""
    known = {str(name): position for position, name in enumerate(params["channel"].values)}
    names = [str(name) for name in params[coordinate].values]
    missing = [name for name in names if name not in known]
    if missing:
        raise SchemaError(
            f"{coordinate!r} has the channel {missing[0]!r}, which the Dataset has lost; the sales "
            "of connected channels depend on each other, so pass it with all of its channels and "
            "select in the result"
        )
    return tuple(known[name] for name in names)


def connections(params: xr.Dataset) -> list[str]:
    """Return the names of the connections that a Dataset has, those without an item left out."""
    found = [name for name in CONNECTIONS if name in params and params[name].size]
    return [*found, *parameter_names(params)]


def kernel_dims(name: str) -> tuple[str, ...]:
    """Return the dims of a variable in the order of the kernels, dates last."""
    dims = describe(name).dims
    return tuple(reversed(dims)) if dims[0] in ("date", "history_date") else dims


@takes_datasets
def respond(
    spend: xr.DataArray, params: xr.Dataset, *, history: xr.DataArray | None = None
) -> xr.DataArray:
    """Return the contribution of spend under given true parameters.

    Further dims of `spend` or `params` (scenario, draw, dataset) broadcast. The function is pure
    and deterministic.

    Parameters
    ----------
    spend : DataArray, dims (date, geo, channel) and more
        Spend in currency per period. If media spill over between geos, it needs all geos.
    params : Dataset
        A generated Dataset, or its parameters: ``spend_unit``, ``adstock_*``, ``saturation_*``
        and the coordinates of the kinds. ``effect`` follows from them and is read only where an
        amplitude, such as ``saturation_beta``, is missing. ``effect_path`` and
        ``funnel_strength`` count where the Dataset has them.
    history : DataArray, dims (history_date, geo, channel), optional
        Spend before the first date. Default: ``params["spend_history"]`` if there is one, else 0.

    Returns
    -------
    DataArray, dims (..., date, geo, channel)
        Contribution in KPI units per period, without noise and baseline.

    Raises
    ------
    SchemaError
        If `params` lacks a variable, or has no response, as after an aggregation.
    AlignmentError
        If a geo or channel of `spend` is not in `params`, or `effect` contradicts
        ``saturation_beta``.

    Examples
    --------
    >>> import mmm_xgen
    >>> ds = mmm_xgen.generate_mmm_dataset()
    >>> bool((respond(ds.spend, ds) == ds.channel_contribution).all())
    True
    """

    def contributions(spend: FloatArray, world: World, past: FloatArray | None) -> FloatArray:
        return media_parts(respond_to(spend, world, past), world)["channel_contribution"]

    found = _applied(contributions, spend, params, history, ["channel", "geo", "date"])
    return found.transpose(..., "date", "geo", "channel").rename("channel_contribution")


@takes_datasets
def total_response(
    spend: xr.DataArray, params: xr.Dataset, *, history: xr.DataArray | None = None
) -> xr.DataArray:
    """Return the sales that all media make, with what channels make together.

    Parameters
    ----------
    spend, params, history
        As for `respond`.

    Returns
    -------
    DataArray, dims (..., date, geo)
        Sales in KPI units per period, without noise and baseline.

    Raises
    ------
    SchemaError, AlignmentError
        As for `respond`.

    Examples
    --------
    >>> import mmm_xgen
    >>> ds = mmm_xgen.generate_mmm_dataset()
    >>> gap = total_response(ds.spend, ds) - ds.channel_contribution.sum("channel")
    >>> bool(abs(gap).max() < 1e-9)
    True
    """

    def sales(spend: FloatArray, world: World, past: FloatArray | None) -> FloatArray:
        return media_sales(respond_to(spend, world, past), world)

    return _applied(sales, spend, params, history, ["geo", "date"]).transpose(..., "date", "geo")


def _applied(
    function: Callable[[FloatArray, World, FloatArray | None], FloatArray],
    spend: xr.DataArray,
    params: xr.Dataset,
    history: xr.DataArray | None,
    output: list[str],
) -> xr.DataArray:
    """Apply a function of arrays to labelled spend and parameters."""
    import xarray as xr

    if not isinstance(spend, xr.DataArray):
        raise AlignmentError(f"found {type(spend).__name__} as spend, allowed: DataArray")
    check_variables(params, "spend_unit")
    params = with_amplitudes(matching(params, spend))
    if history is None:
        history = params.get("spend_history")
    own = response_parameters(params)
    between = connections(params)
    # Spend may have other dates than the Dataset.
    paths = [name for name in between if describe(name).dims[0] == "date"]
    values = {name: params[name] for name in ("spend_unit", *own, *between)}
    values |= {name: _of_dates(params[name], spend) for name in paths}
    pasts = [] if history is None else [history]
    names = list(values)

    def kernel(spend: FloatArray, *arrays: FloatArray) -> FloatArray:
        past = arrays[-1] if pasts else None
        by_name = dict(zip(names, arrays, strict=False))
        world = world_of(params, by_name, own={name: by_name[name] for name in own})
        return function(spend, world, past)

    found: xr.DataArray = xr.apply_ufunc(
        kernel,
        spend,
        *values.values(),
        *pasts,
        input_core_dims=[
            ["channel", "geo", "date"],
            *(list(kernel_dims(name)) for name in names),
            *[["channel", "geo", "history_date"]] * len(pasts),
        ],
        output_core_dims=[output],
        dask="parallelized",
        output_dtypes=[float],
        # Only the core dims are rechunked: the kernel needs all dates.
        dask_gufunc_kwargs={"allow_rechunk": True},
    )
    return found


def _of_dates(path: xr.DataArray, spend: xr.DataArray) -> xr.DataArray:
    """Return a path on the dates of the spend; beyond its own dates it stays constant."""
    if "date" in path.indexes and "date" in spend.indexes:
        at = path.indexes["date"].get_indexer(spend.indexes["date"], method="ffill")
        return path.isel(date=at.clip(min=0)).assign_coords(date=spend["date"])
    n_dates = spend.sizes["date"]
    path = path.drop_vars("date", errors="ignore").isel(date=slice(n_dates))
    return path.pad(date=(0, n_dates - path.sizes["date"]), mode="edge")
