"""Sales without media: the baseline, promotions and latent demand, on the scale of the link."""

from __future__ import annotations

from dataclasses import dataclass, field

from mmm_xgen.generation import baseline
from mmm_xgen.generation.batch import Batch
from mmm_xgen.generation.demand import demand_contribution
from mmm_xgen.generation.effect_paths import baseline_paths
from mmm_xgen.generation.multiplicative import in_kpi_units, log_sales, of_unit_base_sales
from mmm_xgen.generation.parameters import Parameters
from mmm_xgen.generation.promotions import draw_depth, promotion_sales
from mmm_xgen.generation.spend_and_controls import Inputs
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.link import Link
from mmm_xgen.schema import LOG_PARTS
from mmm_xgen.world import Stages, World, added_by_media, media_outcome


@dataclass(frozen=True)
class WithoutMedia:
    """Sales without media, and what they are made of.

    Parameters
    ----------
    sales : array, dims (dataset, geo, date)
        Expected sales without media and demand, in KPI units per period.
    demand : array, dims (dataset, geo, date), or None
        Sales that latent demand adds to them.
    intensity : array, dims (event, date)
        Intensity of the events.
    depth : array, dims (dataset, promotion, geo, date), or None
        Depth of the promotions.
    paths : dict of str to array
        Paths of the baseline, by Dataset name.
    parts : dict of str to array
        Parts in KPI units per period, by Dataset name; with a log link, shares of base sales.
    link : Link, optional
        Log link, from what media add to sales.
    logs : dict of str to array
        Parts of log sales, by Dataset name, with a log link.
    """

    sales: FloatArray
    demand: FloatArray | None
    intensity: FloatArray
    depth: FloatArray | None
    paths: Parameters
    parts: Parameters
    link: Link | None = None
    logs: Parameters = field(default_factory=dict)


def sales_without_media(batch: Batch, truth: Parameters, inputs: Inputs) -> WithoutMedia:
    """Return sales without media, and what they are made of."""
    config, window = batch.shared, batch.shared.calendar.window()
    intensity, paths = baseline.intensities(config, window), baseline_paths(batch)
    depth = draw_depth(batch, inputs.demand, truth["intercept_contribution"])
    own = of_unit_base_sales(truth) if config.link == "log" else truth
    parts = baseline.parts(config, own, window, intensity, inputs.control_value, paths)
    if depth is not None:
        parts["promotion_contribution"] = promotion_sales(config, own, depth)
    demand = demand_contribution(batch, inputs.demand, own["intercept_contribution"][..., None])
    if config.link != "log":
        sales = baseline.total(parts)
        return WithoutMedia(sales, demand, intensity, depth, paths, parts)
    parts = parts if demand is None else parts | {"demand_contribution": demand}
    sales, demand, link, logs = log_sales(parts, truth)
    return WithoutMedia(sales, demand, intensity, depth, paths, parts, link, logs)


def expected_sales(
    without: WithoutMedia, stages: Stages, world: World, taken: FloatArray | None, base: FloatArray
) -> tuple[FloatArray, Parameters, Parameters]:
    """Return expected sales, their parts, and what else they are made of, by Dataset name.

    Parameters
    ----------
    without : WithoutMedia
        Sales without media.
    stages, world : Stages, World
        Response of media, with their final effects.
    taken : array, dims (dataset, geo, date), or None
        What a competitor adds on the scale of the link, below 0.
    base : array, dims (dataset, geo)
        Base sales in KPI units per period.
    """
    if without.link is not None:
        added = added_by_media(stages, world)
        added |= {} if taken is None else {"competitor_contribution": taken}
        logs = without.logs | {LOG_PARTS[name]: part for name, part in added.items()}
        parts, mu = in_kpi_units(logs, base)
        return mu, parts, logs
    sold, states = media_outcome(stages, world)
    causes = {"demand_contribution": without.demand, "competitor_contribution": taken}
    parts = without.parts | {"channel_contribution": sold.pop("channel_contribution")}
    parts |= {name: part for name, part in causes.items() if part is not None} | sold
    return baseline.total(parts), parts, states
