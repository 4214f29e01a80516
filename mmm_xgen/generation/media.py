"""Response of the channels of a batch, from their configured kinds and true parameters."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import numpy as np

from mmm_xgen.config.causes import channel_position
from mmm_xgen.config.data import MMMDataConfig
from mmm_xgen.connections import Funnels, Interactions, Mediators, PullForward, Spillover
from mmm_xgen.generation.parameters import Parameters, fold_population
from mmm_xgen.goodwill import Population
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.kernels.responses import ResponseKind
from mmm_xgen.response import Media, scaled_curves
from mmm_xgen.world import World


def true_media(config: MMMDataConfig, truth: Parameters) -> Media:
    """Return the response of all channels, from their configured kinds and true parameters."""
    adstocks, saturations = config.adstocks, config.saturations
    return Media(
        adstock_kind=tuple(spec.kind for spec in adstocks),
        saturation_kind=tuple(spec.kind for spec in saturations),
        adstock_settings=tuple(tuple(spec.settings.items()) for spec in adstocks),
        saturation_settings=tuple(tuple(spec.settings.items()) for spec in saturations),
        l_max=tuple(config.l_max),
        normalize=tuple(spec.normalize for spec in adstocks),
        parameters={
            name: values
            for name, values in truth.items()
            if name.startswith(("adstock_", "saturation_")) and not name.endswith(("_mean", "_sd"))
        },
        spend_unit=truth["spend_unit"],
        adstock_first=config.transforms.adstock_first,
    )


def true_world(config: MMMDataConfig, truth: Parameters, effect_path: FloatArray | None) -> World:
    """Return the response of all channels and what connects them."""
    world = World(true_media(config, truth), effect_path)
    names = config.channel_names
    if config.funnels:
        funnels = Funnels(
            source=tuple(channel_position(each.source, names) for each in config.funnels),
            target=tuple(channel_position(each.target, names) for each in config.funnels),
            lag=tuple(each.lag for each in config.funnels),
            paid=tuple(each.paid for each in config.funnels),
            strength=truth["funnel_strength"],
        )
        world = replace(world, funnels=funnels)
    if config.interactions:
        pairs = [
            [channel_position(name, names) for name in each.channels]
            for each in config.interactions
        ]
        interactions = Interactions(
            first=tuple(first for first, _ in pairs),
            second=tuple(second for _, second in pairs),
            strength=truth["interaction_strength"],
        )
        world = replace(world, interactions=interactions)
    pulls = [channel.pull_forward for channel in config.channels]
    if any(pulls):
        periods = tuple(0 if each is None else each.periods for each in pulls)
        world = replace(world, pull_forward=PullForward(periods, truth["pull_forward_share"]))
    if config.mediators:
        numbers = (truth[f"mediator_{name}"] for name in ("loading", "persistence", "effect"))
        world = replace(world, mediators=Mediators(*numbers))
    if "spillover" in truth:
        spillover = Spillover(truth["spillover"], truth["spillover_share"])
        world = replace(world, spillover=spillover)
    if config.response is not None:
        kind = config.response.registered
        rates = {name: truth[f"response_{name}"] for name in kind.parameters}
        # A kind of the registry of responses; models of kinds do not say of which.
        population = Population(cast(ResponseKind, kind), rates, truth["response_size"])
        world = replace(world, link=population)
    return world


def scaled_media(media: Media, factor: FloatArray) -> Media:
    """Response whose amplitudes are `factor` times as high, dims (dataset, channel)."""
    if np.all(factor == 1):
        return media
    by = np.broadcast_to(factor[:, None], (len(factor), *media.amplitude.shape[1:]))
    return replace(media, parameters=scaled_curves(media.parameters, by, media.saturation_kind))


def shown_parameters(truth: Parameters, media: Media, factor: FloatArray) -> Parameters:
    """True parameters, with the factor on the effects in the curves and beside them."""
    return {
        **truth,
        **media.parameters,
        **fold_population(truth, factor, media.saturation_kind),
        "effect": truth["effect"] * factor[:, None],
    }
