r"""Correlated spend: campaigns of channels that come together.

Planned spend is base spend x level of the pattern x campaign noise :math:`e^{s z - s^2 / 2}`, with
:math:`s^2 = \log(1 + v^2)` and volatility v. With levels a and b of two patterns over the dates of
the window, and a correlation :math:`\rho` of the normal draws z, the expected correlation of spend
is

.. math::

    r = \frac{\overline{a b}\, e^{s_a s_b \rho} - \bar a\, \bar b}{\sigma_a \sigma_b},
    \qquad \sigma_a^2 = \overline{a^2} (1 + v_a^2) - \bar a^2

Where a pattern is random, its level and the square are replaced by their means.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np

from mmm_xgen.config.causes import channel_position
from mmm_xgen.config.data import MMMDataConfig
from mmm_xgen.config.specs import PatternSpec
from mmm_xgen.errors import ConfigError
from mmm_xgen.generation.batch import Batch, numbers_of_kind
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.kernels.kind import members

# One factor for all channels may miss the target of a pair by this much.
NEAR_ENOUGH = 0.05
PATH = "spend_correlation"

Mixing = Callable[[FloatArray], None]


@dataclass(frozen=True)
class SpendMoments:
    """Moments of the expected spend of some channels over the window, per unit of base spend.

    Parameters
    ----------
    mean, sd, log_sd : array, dims (dataset, channel)
        Mean and standard deviation of spend, and standard deviation of the logarithm of its
        campaign noise.
    product : array, dims (dataset, channel, channel)
        Mean product of the levels of two patterns.
    """

    mean: FloatArray
    sd: FloatArray
    log_sd: FloatArray
    product: FloatArray

    def correlation(self, draws: FloatArray) -> FloatArray:
        """Return the correlation of spend, given that of the draws, (dataset, channel, channel)."""
        grown = self.product * np.exp(_outer(self.log_sd) * draws)
        return np.asarray((grown - _outer(self.mean)) / _outer(self.sd))

    def draws(self, target: FloatArray) -> FloatArray:
        """Return the correlation of the draws that gives spend a target correlation."""
        # Beyond what patterns allow there is none.
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = (target * _outer(self.sd) + _outer(self.mean)) / self.product
            return np.asarray(np.log(ratio) / _outer(self.log_sd))


def campaign_mixing(batch: Batch) -> Mixing | None:
    """Return the function that correlates the normal draws of campaign noise in place.

    It takes draws of dims (dataset, channel, geo, draw). Without correlation there is none.

    Raises
    ------
    ConfigError
        If patterns and volatilities do not allow a correlation, which draws nothing.
    """
    pairs = batch.shared.correlated_pairs
    if pairs:
        target = batch.each(lambda config: [pair.correlation for pair in config.correlated_pairs])
        return partial(_combine, _pairs(batch, target)) if target.any() else None
    target = batch.each(lambda config: config.spend_correlation or 0.0)
    return partial(_add_factor, batch, _loadings(batch, target)) if target.any() else None


def _loadings(batch: Batch, target: FloatArray) -> FloatArray:
    r"""Return the loading of every channel on one common factor, dims (dataset, channel).

    A channel with coefficient of variation k has the loading
    :math:`\sqrt{\log(1 + r k^2)} / s`, which knows no other channel. Two channels whose patterns
    are uncorrelated then have nearly the correlation r.
    """
    names = batch.shared.channel_names
    shared = [channel.shared for channel in batch.shared.channels]
    if any(shared) and not all(shared) and len(batch.shared.regions.names) > 1:
        raise ConfigError(
            f"found {names[shared.index(True)]!r} shared over geos and "
            f"{names[shared.index(False)]!r} not, allowed: one number if all channels are alike in "
            "'shared', or a list of pairs",
            path=PATH,
        )
    spend = _moments(batch, range(len(names)))
    variance, ratio = spend.log_sd**2, (spend.sd / spend.mean) ** 2
    wanted = target[:, None]
    limit = np.expm1(variance) / ratio
    wrong = (wanted > 0) & ~(wanted <= limit)
    if wrong.any():
        dataset = int(np.argmax(wrong.any(axis=1)))
        channel = int(np.argmin(limit[dataset]))
        raise ConfigError(
            f"found {target[dataset]:g}, allowed: at most {limit[dataset, channel]:.3g}, the limit "
            f"of {names[channel]!r}, whose pattern moves its spend too; raise its spend_volatility "
            "or give a list of pairs",
            path=PATH,
        )
    needed = np.log1p(wanted * ratio)
    share = np.divide(needed, variance, out=np.zeros_like(needed), where=variance > 0)
    loading = np.sqrt(np.minimum(share, 1))
    reached = spend.correlation(_outer(loading))
    missed = np.where(target[:, None, None] > 0, np.abs(reached - target[:, None, None]), 0)
    missed[:, range(len(names)), range(len(names))] = 0
    if np.any(missed > NEAR_ENOUGH):
        worst, one, other = np.unravel_index(np.argmax(missed), missed.shape)
        raise ConfigError(
            f"found {target[worst]:g}, but {names[one]!r} and {names[other]!r} come to "
            f"{reached[worst, one, other]:.3g} as their patterns are correlated; give a list of "
            "pairs, or other patterns",
            path=PATH,
        )
    return loading


def _add_factor(batch: Batch, loading: FloatArray, normal: FloatArray) -> None:
    n_channels, n_geos, n_draws = normal.shape[1:]
    # Row 0 is for all geos together, so the rows of single geos do not move with their number.
    rows = batch.draws([("spend-correlation",)], (n_geos + 1, n_draws))[:, 0]
    national = all(channel.shared for channel in batch.shared.channels)
    factor = rows[:, :1] if national else rows[:, 1:]
    own = np.sqrt(1 - loading**2)
    for channel in range(n_channels):
        normal[:, channel] *= own[:, channel, None, None]
        normal[:, channel] += loading[:, channel, None, None] * factor


def _pairs(batch: Batch, target: FloatArray) -> list[tuple[list[int], FloatArray]]:
    """Return each group of linked channels, and the Cholesky factor of their correlated draws.

    A factor has dims (dataset, channel, channel). National channels come first, so that they stay
    national. The order is then that of the names, so that the order in the configuration does not
    matter.
    """
    names, channels = batch.shared.channel_names, batch.shared.channels
    pairs = [
        tuple(channel_position(name, names) for name in pair.channels)
        for pair in batch.shared.correlated_pairs
    ]
    groups: list[set[int]] = []
    for pair in pairs:
        joined = [group for group in groups if group & set(pair)]
        groups = [group for group in groups if group not in joined]
        groups.append(set(pair).union(*joined))
    ordered = [
        sorted(group, key=lambda each: (not channels[each].shared, names[each])) for group in groups
    ]
    return [(rows, _cholesky(batch, target, pairs, rows)) for rows in ordered]


def _cholesky(
    batch: Batch, target: FloatArray, pairs: Sequence[tuple[int, ...]], rows: list[int]
) -> FloatArray:
    spend = _moments(batch, rows)
    wanted = np.zeros((len(target), len(rows), len(rows)))
    inside = [(k, rows.index(a), rows.index(b)) for k, (a, b) in enumerate(pairs) if a in rows]
    for k, one, other in inside:
        wanted[:, one, other] = wanted[:, other, one] = target[:, k]
    low, high = (spend.correlation(np.full(wanted.shape, end)) for end in (-1.0, 1.0))
    for k, one, other in inside:
        ends = low[:, one, other], high[:, one, other]
        wrong = (target[:, k] != 0) & ~((ends[0] < target[:, k]) & (target[:, k] < ends[1]))
        if wrong.any():
            dataset = int(np.argmax(wrong))
            both = " and ".join(repr(batch.shared.channel_names[each]) for each in pairs[k])
            raise ConfigError(
                f"found {target[dataset, k]:g} for {both}, allowed: between "
                f"{ends[0][dataset]:.3g} and {ends[1][dataset]:.3g}, the limits that their "
                "patterns and spend_volatility set",
                path=f"{PATH}.{k}.correlation",
            )
    correlation = np.where(wanted == 0, 0.0, spend.draws(wanted))
    correlation[:, range(len(rows)), range(len(rows))] = 1
    lowest = np.linalg.eigvalsh(correlation)[:, 0].min()
    if lowest < 1e-12:
        together = ", ".join(repr(batch.shared.channel_names[each]) for each in rows)
        raise ConfigError(
            f"the correlations of {together} contradict each other, with 0 for pairs that are not "
            f"named; allowed: all of them {1 / (1 - lowest):.2g} times as large, or other pairs",
            path=PATH,
        )
    return np.linalg.cholesky(correlation)


def _combine(groups: list[tuple[list[int], FloatArray]], normal: FloatArray) -> None:
    for rows, factor in groups:
        # From the last channel on, as each takes the draws of those before it.
        for own in range(len(rows) - 1, 0, -1):
            mixed = factor[:, own, own, None, None] * normal[:, rows[own]]
            for other in range(own):
                mixed += factor[:, own, other, None, None] * normal[:, rows[other]]
            normal[:, rows[own]] = mixed


def _moments(batch: Batch, positions: Sequence[int]) -> SpendMoments:
    """Return the moments of the spend of some channels, for every configuration."""
    level, square = _levels(batch, positions)
    volatility = batch.each(lambda config: [config.channels[k].spend_volatility for k in positions])
    mean, squares = level.mean(axis=-1), square.mean(axis=-1)
    variance = squares * (1 + volatility**2) - mean**2
    names = batch.shared.channel_names
    still = variance <= 1e-12 * mean**2
    if still.any():
        position = positions[int(np.argmax(still.any(axis=0)))]
        raise ConfigError(
            f"the spend of {names[position]!r} does not vary, allowed: spend that varies",
            path=PATH,
        )
    product = np.einsum("dct,dkt->dck", level, level) / level.shape[-1]
    share = batch.each(lambda config: config.synchronised_flights)
    if share.any():
        product = np.repeat(product, len(share) // len(product), axis=0)
        for one, other in combinations(range(len(positions)), 2):
            if _fly_together(batch, positions[one], positions[other]):
                together = share * squares[:, one] + (1 - share) * mean[:, one] ** 2
                product[:, [one, other], [other, one]] = together[:, None]
    return SpendMoments(mean, np.sqrt(variance), np.sqrt(np.log1p(volatility**2)), product)


def _patterns(config: MMMDataConfig) -> list[PatternSpec]:
    return [channel.pattern for channel in config.channels]


def _levels(batch: Batch, positions: Sequence[int]) -> tuple[FloatArray, FloatArray]:
    """Return the expected level and its expected square, dims (dataset, channel, date).

    The dim `dataset` has length 1 if all datasets have the same patterns.
    """
    calendar = batch.shared.calendar.window()
    specs = [batch.shared.channels[position].pattern for position in positions]
    alike = all(
        config.channels[position].pattern is spec
        for config in batch.configs
        for position, spec in zip(positions, specs, strict=True)
    )
    configs = batch.configs[: 1 if alike else None]
    each = replace(batch, configs=configs, seeds=batch.seeds[: len(configs)])
    level = np.empty((len(each), len(positions), calendar.n_periods))
    square = np.empty_like(level)
    for (kind, _), index in members((s.registered, tuple(s.settings.values())) for s in specs):
        found = range(len(specs))[index] if isinstance(index, slice) else index
        own = [positions[k] for k in found]
        numbers = numbers_of_kind(each, _patterns, own)
        settings = specs[found[0]].settings
        if kind.moments is not None:
            means = kind.moments(**numbers, **settings)
        elif kind.random or kind.by_geo:
            raise ConfigError(
                f"found {kind.name!r}, whose expected level is not known, in a correlation of "
                "spend; allowed: a pattern that is registered with 'moments', or is not random",
                path=f"channels.{own[0]}.pattern",
            )
        else:
            values = np.asarray(kind.function(calendar, **numbers, **settings))
            means = values, values**2
        shape = (len(each) * len(own), 1, calendar.n_periods)
        for target, values in zip((level, square), means, strict=True):
            spread = np.broadcast_to(values, shape)
            target[:, index] = spread.reshape(len(each), len(own), -1)
    return level, square


def _fly_together(batch: Batch, one: int, other: int) -> bool:
    """Tell if two channels have the same flights in the quarters that are synchronised."""
    first, second = batch.shared.channels[one], batch.shared.channels[other]
    kind: Any = first.pattern.registered
    same_kind = kind is second.pattern.registered
    if not (same_kind and kind.random and first.shared == second.shared):
        return False
    if any(each.channels[one].pattern != each.channels[other].pattern for each in batch.configs):
        both = " and ".join(repr(batch.shared.channel_names[each]) for each in (one, other))
        raise ConfigError(
            f"found other keys of {kind.name!r} for {both}, allowed: equal keys where "
            "synchronised_flights and spend_correlation are combined",
            path=f"channels.{other}.pattern",
        )
    return True


def _outer(values: FloatArray) -> FloatArray:
    return np.asarray(values[:, :, None] * values[:, None, :])
