"""Generation of a dataset: the sales equation, from one configuration and one seed."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mmm_xgen.config.data import MMMDataConfig
from mmm_xgen.dataset import as_dataset, config_of, in_dataset_order, is_element
from mmm_xgen.errors import SchemaError, XgenWarning
from mmm_xgen.generation.batch import Batch
from mmm_xgen.generation.budget_rules import platform_numbers, rules_of
from mmm_xgen.generation.campaigns import Campaigns, campaigns_of
from mmm_xgen.generation.competitor import Competitor, competitor_of
from mmm_xgen.generation.effect_paths import BASELINE_PATHS, effect_paths
from mmm_xgen.generation.equilibrium import Equilibrium, settle
from mmm_xgen.generation.followers import with_followers
from mmm_xgen.generation.given_parameters import effect_is_given, true_parameters
from mmm_xgen.generation.media import scaled_media, shown_parameters, true_media, true_world
from mmm_xgen.generation.mediators import with_observed
from mmm_xgen.generation.noise import noise_sd, observe
from mmm_xgen.generation.parameters import Parameters
from mmm_xgen.generation.plausibility import (
    check_overflow,
    warn_of_absent_events,
    warn_of_implausible,
)
from mmm_xgen.generation.promotions import with_depths
from mmm_xgen.generation.spend_and_controls import Inputs, spend_and_controls
from mmm_xgen.generation.without_media import expected_sales, sales_without_media
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.link import Link
from mmm_xgen.media_plan.fitting import config_and_plan
from mmm_xgen.presets import Config
from mmm_xgen.response import per_effect, platform_report
from mmm_xgen.schema import LOG_PARTS, check_variables, takes_datasets
from mmm_xgen.world import World

if TYPE_CHECKING:
    import xarray as xr


def generate_mmm_dataset(
    config: Config = None,
    *,
    seed: int | None = None,
    spend: Any = None,
    params: xr.Dataset | None = None,
    **overrides: Any,
) -> xr.Dataset:
    r"""Generate a marketing-mix dataset with known parameters.

    For every geo,

    .. math::

        \text{carryover}_{t} &= \sum_l w_l\, \text{spend}_{t-l} \\
        \text{contribution}_{t} &= f(\text{carryover}_{t} / \text{spend unit}) \\
        \mu_t &= \text{intercept} + \text{trend}_t + \text{seasonality}_t + \text{events}_t
            + \sum_k \text{controls}_{tk} + \sum_c \text{contribution}_{tc} \\
        y_t &= \mu_t + \text{noise}_t

    with lag weights w, saturation curve f, controls k and channels c. `mmm_xgen.schema` lists the
    variables. Demand, budget rules, funnels and other causes, all off by default, add to this
    equation; `mmm_xgen.world.respond_to` has it with them.

    Parameters
    ----------
    config : MMMDataConfig, str, Path or mapping, optional
        Configuration, name of a preset, path of a YAML or JSON file, or mapping with the contents
        of such a file. Default: `DEFAULT_CONFIG`.
    seed : int, optional
        Seed that replaces the one in `config`.
    spend : path, DataFrame, DataArray or Dataset, optional
        Media plan that replaces random spend: a CSV or Parquet file, a wide or long frame, read as
        ``config.spend_plan`` says, or labelled data with dims (date, geo, channel). Channels, dates
        and geos come from the plan. ``config.experiments`` change it as they change random spend,
        unless it is a Dataset made with the same experiments: ``spend=ds`` already contains them,
        but a bare ``ds.spend`` does not say so and is changed again.
    params : Dataset, optional
        True parameters that replace random ones, under their names in the generated Dataset, with
        all or some of their dims.
    **overrides
        Values of `config` to change, as in `customize_preset`: by field, or by dotted path.

    Returns
    -------
    Dataset
        Dims (date, geo, channel), and control, fourier_mode, seasonal_mode and event if there are
        any. Everything is in original units: currency and KPI units per period.

    Raises
    ------
    ConfigError
        If the configuration is not valid, or has a ``spend_plan`` and `spend` is missing.
    UnknownKindError
        If there is no such preset or kind. The message names the nearest.
    SchemaError
        If the media plan has a fault. The message names row and column.
    AlignmentError
        If `params` does not fit.

    Warns
    -----
    XgenWarning
        If the result is allowed but questionable.

    Examples
    --------
    >>> ds = generate_mmm_dataset(seed=1)
    >>> dict(ds.spend.sizes)
    {'date': 104, 'geo': 2, 'channel': 3}
    >>> parts = ds.intercept_contribution + ds.trend_contribution + ds.seasonality_contribution
    >>> parts = parts + ds.event_contribution + ds.control_contribution.sum("control")
    >>> bool(abs(parts + ds.channel_contribution.sum("channel") - ds.mu).max() < 1e-9)
    True
    >>> changes = {"regions": {"sales_volatility": 0.02}, "channels.TV.roas": 2.5}
    >>> ds = generate_mmm_dataset("basic", n_periods=104, seed=3, **changes)
    >>> ds.sizes["date"], round(ds.mmm.roas().sel(channel="TV").item(), 6)
    (104, 2.5)
    """
    config, plan = config_and_plan(config, seed, spend, overrides)
    batch = Batch.of(config)
    truth, given = true_parameters(batch, params)
    variables = sales_equation(batch, truth, given, plan)
    ds = as_dataset(
        config,
        {name: in_dataset_order(name, values[0]) for name, values in variables.items()},
        given=list(given),
        spend_is_given=plan is not None,
    )
    # Record only given parameters that are in the Dataset. The others have no effect, such as the
    # base spend beside a plan.
    ds.attrs["given_params"] = ",".join(name for name in given if name in ds)
    return ds


@takes_datasets
def regenerate(ds: xr.Dataset) -> xr.Dataset:
    """Generate a dataset again from its configuration, seed and given parameters.

    Parameters
    ----------
    ds : Dataset
        A generated Dataset, also after saving and loading.

    Returns
    -------
    Dataset
        Identical to `ds` on the same machine with the same versions.

    Raises
    ------
    SchemaError
        If `ds` lacks its configuration or a given parameter, or is a counterfactual, which no
        configuration generates.
    ConfigError
        If a custom pattern, transform or callable in it is not registered.

    Examples
    --------
    >>> ds = generate_mmm_dataset(seed=1)
    >>> regenerate(ds).identical(ds)
    True
    """
    if "counterfactual" in ds.attrs:
        raise SchemaError(
            f"the Dataset is a counterfactual ({ds.attrs['counterfactual']}), which no "
            "configuration made; regenerate the factual one and simulate its spend again, as in "
            "simulate(regenerate(factual), spend=ds.spend)"
        )
    if "dataset" in ds.dims:
        raise SchemaError(
            "the Dataset has the dim 'dataset'; regenerate one of them, as in "
            "regenerate(ds.isel(dataset=0)), or all with mmm_xgen.ensemble.regenerate_ensemble(ds)"
        )
    names = [name for name in str(ds.attrs.get("given_params", "")).split(",") if name]
    check_variables(ds, *names)
    kept = [name for name in ("spend", "spend_history", "control_value") if name in ds]
    with warnings.catch_warnings():
        # The warnings were already issued when the dataset was generated.
        warnings.simplefilter("ignore", XgenWarning)
        made = generate_mmm_dataset(
            config_of(ds),
            spend=ds[kept] if ds.attrs.get("spend_is_given") else None,
            params=ds[names] if names else None,
        )
    if not is_element(ds):
        return made
    # Restore what comes from the ensemble: position, numbers that vary, and selected variables.
    own = {name: ds.coords[name] for name in ds.coords if name not in made.coords}
    return (
        made[list(ds.data_vars)]
        .assign_coords(made.coords)
        .assign_coords(own)
        .assign_attrs(ds.attrs)
    )


# Variables that every dataset has. Its parameters depend on the kinds in use.
SERIES = (
    "y",
    "spend",
    "control_value",
    "carryover",
    "saturated",
    "channel_contribution",
    "control_contribution",
    "trend_contribution",
    "seasonality_contribution",
    "event_contribution",
    "mu",
    "noise",
    "revenue_per_kpi",
    "spend_history",
    "adstock_weights",
    "event_intensity",
)


# `check_overflow` raises for numbers too large for a float, so NumPy need not warn of each.
@np.errstate(over="ignore", invalid="ignore")
def sales_equation(
    batch: Batch, truth: Parameters, given: Parameters, plan: xr.Dataset | None = None
) -> Parameters:
    """Return all variables of the datasets of a batch, from their true parameters.

    Parameters
    ----------
    batch : Batch
        Configurations and seeds.
    truth, given : mapping of str to array
        All parameters, and those that the user gave, from `true_parameters`.
    plan : Dataset, optional
        Media plan that replaces random spend.

    Returns
    -------
    dict of str to array
        By Dataset name. Dims are (dataset, ...) in the order of `schema` without a date, and in
        reversed order, the date last, with one. `dataset` has length 1 if all datasets have the
        same values.
    """
    inputs = spend_and_controls(batch, plan, truth)
    without = sales_without_media(batch, truth, inputs)
    competitor = competitor_of(batch, truth, inputs.untested)
    campaigns = campaigns_of(batch, inputs.untested)
    world = _planned_world(batch, inputs, truth, competitor, campaigns, without.link)
    fixed, is_given = effect_is_given(batch.shared, given), plan is not None
    settled = settle(batch, inputs, world, truth, without, fixed, competitor, is_given=is_given)
    stages, spent, factor = settled.made, settled.made.spend, settled.factor
    media = scaled_media(world.media, factor)

    taken = None
    if competitor is not None and settled.competitor_spend is not None:
        taken = competitor.added(settled.competitor_spend)
    final, base = replace(world, media=media), truth["intercept_contribution"]
    mu, parts, others = expected_sales(without, stages, final, taken, base)
    sigma = noise_sd(batch, mu if settled.sales_plan is None else settled.sales_plan, truth)
    outcomes = observe(batch, mu, sigma, truth, settled.noise, settled.sales_plan)

    y, channels = outcomes["y"], parts["channel_contribution"]
    values = with_depths(batch, inputs.control_value, without.depth)
    values = with_observed(batch, values, stages.mediators)
    carryover, saturated = per_effect(
        (stages.carryover, stages.saturated), world.media, truth["effect"]
    )
    check_overflow(spent, mu, y)
    warn_of_implausible(batch, truth, spent, channels, mu)
    warn_of_absent_events(batch, without.intensity)
    platform = platform_numbers(batch)
    revenue = batch.each(lambda config: config.revenue_per_kpi)[:, None, None]
    return {
        **outcomes,
        "spend": spent,
        "control_value": with_followers(batch, values, spent, y, _given_controls(plan)),
        "carryover": carryover,
        "saturated": saturated,
        "mu": mu,
        "revenue_per_kpi": np.full_like(mu, revenue),
        "spend_history": settled.history,
        **parts,
        **others,
        **without.paths,
        **shown_parameters(truth, media, factor),
        **_shown_causes(inputs, settled, campaigns),
        **({} if without.depth is None else {"promotion_depth": without.depth}),
        **platform,
        **platform_report(spent, channels, platform),
        "adstock_weights": world.weights.swapaxes(1, 2),
        "event_intensity": without.intensity[None],
        "y_sigma": sigma,
    }


def _given_controls(plan: xr.Dataset | None) -> set[str]:
    has_controls = plan is not None and "control_value" in plan
    return set(map(str, plan["control"].values)) if plan is not None and has_controls else set()


def _planned_world(
    batch: Batch,
    inputs: Inputs,
    truth: Parameters,
    competitor: Competitor | None,
    campaigns: Campaigns | None,
    link: Link | None,
) -> World:
    """Return the structural function before a competitor dampens it."""
    path = effect_paths(batch, inputs.spend)
    if competitor is not None:
        path = competitor.path(path, inputs.untested, inputs.history)
    world = true_world(batch.shared, truth, path)
    world = world if link is None else replace(world, link=link)
    return world if campaigns is None else replace(world, quality=campaigns.quality)


def _shown_causes(
    inputs: Inputs,
    settled: Equilibrium,
    campaigns: Campaigns | None,
) -> Parameters:
    """Return the series that only worlds with causes have."""
    world = settled.world
    has_paid = world.funnels is not None and any(world.funnels.paid)
    shown = {
        "demand": inputs.demand,
        "spend_plan": inputs.spend if inputs.plan is None and has_paid else inputs.plan,
        "sales_plan": settled.sales_plan,
        "effect_path": _for_all_geos(world.effect_path, settled.made.spend),
        "mediator_value": settled.made.mediators,
        "competitor_spend": settled.competitor_spend,
        "media_quality": world.quality,
        "exposure": settled.made.exposure if _delivers(world) else None,
    }
    if campaigns is not None:
        shown |= {
            "campaign_spend": campaigns.spend(settled.made.spend),
            "campaign_share": campaigns.share,
            "campaign_quality": campaigns.campaign_quality,
        }
    return {name: values for name, values in shown.items() if values is not None}


def _delivers(world: World) -> bool:
    """Tell if delivered media are not spend."""
    changes = (world.unpaid, world.quality, world.spillover)
    return any(each is not None for each in changes)


def _for_all_geos(path: FloatArray | None, spend: FloatArray) -> FloatArray | None:
    """Return a path that geos share once for each of them."""
    if path is None:
        return None
    return np.array(np.broadcast_to(path, (len(path), *spend.shape[1:])))


def variable_names(config: MMMDataConfig) -> list[str]:
    """Return the names of all variables of the sales equation, without computing it."""
    truth, _ = true_parameters(Batch.of(config), None)
    media = true_media(config, truth)
    names = [*SERIES, *shown_parameters(truth, media, np.ones_like(truth["effect_mean"]))]
    has_paid = any(funnel.paid for funnel in config.funnels)
    platform = platform_numbers(Batch.of(config))
    optional = {
        "demand": config.demand is not None,
        "demand_contribution": config.demand is not None,
        "interaction_contribution": bool(config.interactions),
        "remainder_contribution": config.response is not None or config.link == "log",
        "media_sales": config.link == "log",
        **dict.fromkeys(config.response.registered.states if config.response else (), True),  # type: ignore[attr-defined]
        "spend_plan": has_paid or any(rules_of(config)),
        "sales_plan": any(rule and rule.answers_to_sales for rule in rules_of(config)),
        "effect_path": config.competitor is not None
        or any(channel.effect_path for channel in config.channels),
        "level_contribution": config.regions.level_path is not None,
        **{name: getattr(config.regions, key) is not None for key, name in BASELINE_PATHS.items()},
        "competitor_spend": config.competitor is not None,
        "competitor_contribution": config.competitor is not None,
        "outlier_contribution": config.regions.outliers is not None,
        "lost_sales": config.regions.capacity is not None,
        "mediator_value": bool(config.mediators),
        "mediator_contribution": bool(config.mediators),
        "promotion_depth": bool(config.promotions),
        "promotion_contribution": bool(config.promotions),
        "exposure": bool(config.campaign_names)
        or "spillover" in truth
        or not all(funnel.paid for funnel in config.funnels),
        **dict.fromkeys(
            ("media_quality", "campaign_spend", "campaign_share", "campaign_quality"),
            bool(config.campaign_names),
        ),
        **dict.fromkeys(
            ("cost_per_click", "click_substitution", "clicks"), "cost_per_click" in platform
        ),
        "over_reporting": "over_reporting" in platform,
        "reported_sales": bool(platform),
    }
    names += [name for name, is_there in optional.items() if is_there]
    if config.link == "log":
        names += [log for part, log in LOG_PARTS.items() if part in names]
    return names
