"""Interventions to which budget rules and paid funnels answer: the effect of a policy."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mmm_xgen.dataset import config_of
from mmm_xgen.errors import SchemaError
from mmm_xgen.generation.batch import Batch
from mmm_xgen.generation.budget_rules import feedback_rules
from mmm_xgen.generation.competitor import competitor_of, sales_beside
from mmm_xgen.generation.feedback import Market, answered_spend
from mmm_xgen.generation.given_parameters import true_parameters
from mmm_xgen.generation.spend_and_controls import Inputs, spend_and_controls
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.link import LogLink
from mmm_xgen.schema import check_variables
from mmm_xgen.truth.media import array_of, history_of, spend_of, world_from
from mmm_xgen.world import World, media_sales, respond_to


@dataclass(frozen=True)
class Reaction:
    """Spend of a dataset, and what it answers to.

    Parameters
    ----------
    market : Market
        Plans and rules, held under intervention.
    spend : array, dims (channel, geo, date)
        Today's spend, in currency per period.
    is_tested : array of bool, dims (channel, geo, date)
        Cells whose spend an experiment sets.
    """

    market: Market
    spend: FloatArray
    is_tested: NDArray[np.bool_]

    def answer(
        self, spend: FloatArray, is_set: NDArray[np.bool_], history: FloatArray
    ) -> FloatArray:
        """Return the spend of all cells if an intervention sets some of them.

        Parameters
        ----------
        spend : array, dims (..., channel, geo, date)
            Spend that the intervention sets.
        is_set : array of bool, dims (..., channel, geo, date)
            Cells that it sets. Experiments set theirs, and rules decide the others.
        history : array, dims (..., channel, geo, history_date)
            Spend before the first date.
        """
        fixed = np.where(is_set, spend, self.spend)
        return answered_spend(replace(self.market, history=history), fixed, is_set | self.is_tested)

    def beside(self, spend: FloatArray) -> tuple[World, dict[str, FloatArray]]:
        """Return the world and the series of a competitor that answers to our spend.

        `spend` has dims (..., channel, geo, date).
        """
        market = self.market
        if market.competitor is None:
            return market.world, {}
        world, its_spend = market.competitor.under(market.world, spend, market.history)
        is_log = isinstance(world.link, LogLink)
        return world, {
            "competitor_spend": its_spend,
            "log_competitor" if is_log else "competitor_contribution": market.competitor.added(
                its_spend
            ),
            "effect_path": np.asarray(world.effect_path),
        }

    def sales_by(self, factor: Any, *, together: bool = False) -> FloatArray:
        """Return the sales of all media if one channel is multiplied, and the others answer.

        Parameters
        ----------
        factor : number, or array of the dates of the window
            What multiplies the spend of the channel. A number multiplies the history too.
        together : bool, default False
            If True, all channels are multiplied, so that a competitor alone answers.

        Returns
        -------
        array, dims (channel, geo, date)
            Entry c has the sales of all media with the spend of channel c multiplied; there is one
            entry if they change together.
        """
        n_channels = len(self.spend)
        own = np.ones((1, n_channels)) if together else np.eye(n_channels)
        own = own.astype(bool)[..., None, None]
        past = factor if np.ndim(factor) == 0 else 1
        history = self.market.history * np.where(own, past, 1)
        is_set = own & (np.broadcast_to(factor, self.spend.shape[-1:]) != 1)
        spend = self.answer(self.spend * np.where(own, factor, 1), is_set, history)
        return sales_beside(self.market.competitor, spend, self.market.world, history)


def reaction_of(ds: xr.Dataset) -> Reaction | None:
    """Return how spend answers in a Dataset; None if nothing answers.

    Raises
    ------
    SchemaError
        If the Dataset is an ensemble or a counterfactual, or lacks its configuration or a channel.
    """
    if "dataset" in ds.dims or "counterfactual" in ds.attrs:
        found = "an ensemble" if "dataset" in ds.dims else "a counterfactual"
        raise SchemaError(
            f"found {found} with reacting=True, allowed: one generated Dataset, as in "
            "ds.isel(dataset=0), since the answer starts from generated plans"
        )
    is_given = bool(ds.attrs.get("spend_is_given"))
    if "competitor_spend" not in ds and (is_given or "spend_plan" not in ds):
        return None
    batch, world = Batch.of(config_of(ds)), world_from(ds)
    missing = set(batch.shared.channel_names) - set(map(str, ds["channel"].values))
    if missing:
        raise SchemaError(
            f"the Dataset has lost the channel {min(missing)!r}, and with reacting=True spend "
            "answers to all channels; pass it with all of them and select in the result"
        )
    names = [name for name in str(ds.attrs.get("given_params", "")).split(",") if name]
    check_variables(ds, "mu", "noise", *names)
    truth, _ = true_parameters(batch, ds[names] if names else None)
    geos = [batch.shared.regions.names.index(str(name)) for name in ds["geo"].values]
    spend, past = spend_of(ds), history_of(ds)
    history = spend[..., :0] if past is None else past
    inputs = _given(batch, spend, geos) if is_given else spend_and_controls(batch, None, truth)
    if is_given:
        # Nothing changes given spend, so paid funnels do not raise it.
        world = replace(world, funnels=world.unpaid)
    made = respond_to(spend, world, past)
    mu, noise = array_of(ds, "mu", "geo", "date"), uncapped_noise(ds)
    is_relative = bool(batch.shared.regions.noise.registered.follows_mu)  # type: ignore[attr-defined]
    rules = [
        replace(rule, parameters={name: each[0] for name, each in rule.parameters.items()})
        for rule in ([] if is_given else feedback_rules(batch))
    ]
    answering = [channel for rule in rules for channel in rule.channels]
    plan = inputs.spend[0][:, geos]
    if inputs.plan is not None:
        plan[answering] = inputs.plan[0][answering][:, geos]
    has_target = "sales_plan" in ds
    baseline = mu - media_sales(made, world)
    competitor = competitor_of(batch, truth, inputs.untested)
    if competitor is not None:
        competitor = competitor.of_geos(geos)
        its_spend = competitor.spend(spend, history)
        world = competitor.undampened(world, its_spend)
        baseline = baseline - competitor.sales(its_spend, world.link)
    market = Market(
        world=world,
        rules=rules,
        plan=plan,
        history=history,
        baseline=baseline,
        noise=noise / mu if is_relative else noise,
        is_relative=is_relative,
        sales_plan=array_of(ds, "sales_plan", "geo", "date") if has_target else np.ones_like(mu),
        revenue=array_of(ds, "revenue_per_kpi", "geo", "date"),
        competitor=competitor,
        capacity=capacity_of(ds),
    )
    is_tested = np.zeros(spend.shape, dtype=bool)
    if inputs.is_tested is not None:
        is_tested = inputs.is_tested[0][:, geos]
    return Reaction(market, spend, is_tested)


def uncapped_noise(ds: xr.Dataset) -> FloatArray:
    """Return the noise before a capacity cuts sales, dims (geo, date)."""
    noise = array_of(ds, "noise", "geo", "date")
    return noise + array_of(ds, "lost_sales", "geo", "date") if "lost_sales" in ds else noise


def capacity_of(ds: xr.Dataset) -> FloatArray | None:
    """Return the largest sales per period, dims (geo, 1); None without a capacity."""
    return array_of(ds, "capacity", "geo")[:, None] if "capacity" in ds else None


def _given(batch: Batch, spend: FloatArray, geos: list[int]) -> Inputs:
    """Return spend that the user gave as the plan of all geos; other geos have none."""
    whole = np.zeros((1, len(spend), len(batch.shared.regions.names), spend.shape[-1]))
    whole[0][:, geos] = spend
    return Inputs(whole[..., :0], whole, whole, whole[:, :0])
