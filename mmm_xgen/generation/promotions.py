"""Promotions: their calendar, their depth by period, and what they sell."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mmm_xgen.config.data import MMMDataConfig
from mmm_xgen.config.promotion import PromotionConfig
from mmm_xgen.connections import PullForward
from mmm_xgen.generation.batch import Batch
from mmm_xgen.kernels.adstock import convolve
from mmm_xgen.kernels.calendar import Calendar
from mmm_xgen.kernels.domain import FloatArray

# Points of the Gauss-Hermite rule for the mean over demand, and steps of the fixed point.
POINTS, STEPS = 32, 40


def promotion_parameters(batch: Batch, base: FloatArray) -> dict[str, FloatArray]:
    """Return elasticities and borrowed shares, dims (dataset, geo, promotion), for base sales."""
    if not batch.shared.promotions:
        return {}
    everywhere = np.ones_like(base)[..., None]
    found = {"promotion_elasticity": _numbers(batch, "elasticity")[:, None] * everywhere}
    if any(each.pull_forward for each in batch.shared.promotions):
        shares = batch.each(
            lambda config: [
                each.pull_forward.share if each.pull_forward else 0.0 for each in config.promotions
            ]
        )
        found["promotion_pull_forward_share"] = shares[:, None] * everywhere
    return found


def draw_depth(batch: Batch, demand: FloatArray | None, base: FloatArray) -> FloatArray | None:
    r"""Return the depth of every promotion by period, dims (dataset, promotion, geo, date).

    In a random calendar, a run begins in a period after one without promotion with the chance

    .. math:: p_t = \operatorname{logistic}(c + \text{answer} \cdot d_t)

    with latent demand d. Without an answer, :math:`p = s / (n (1 - s))` for the share s of periods
    and runs of n periods. At the first date a run is under way with the chance
    :math:`n p_0 / (1 + n p_0)`, and each of its periods is equally likely. There is no promotion
    before the first date.

    Parameters
    ----------
    batch : Batch
        Configurations and seeds.
    demand : array, dims (dataset, geo, date), or None
        Latent demand in the window.
    base : array, dims (dataset, geo)
        Base sales, the weights of the geos in the demand that shared promotions answer to.
    """
    config, calendar = batch.shared, batch.shared.calendar.window()
    if not config.promotions:
        return None
    is_random = np.array([each.dates is None for each in config.promotions])
    # Without a random calendar, all datasets share the dates.
    rows = len(batch) if is_random.any() or len(batch.configs) > 1 else 1
    is_on = np.zeros((rows, len(is_random), base.shape[-1], calendar.n_periods), dtype=bool)
    duration = batch.each(lambda config: [each.run for each in config.promotions]).astype(int)
    absent = []
    for position in np.flatnonzero(~is_random):
        start = _starts_at(config.promotions[position], calendar)
        absent += [] if start.any() else [config.promotion_names[position]]
        is_on[:, position] = _running(start, duration[:, position, None])[:, None]
    names = ", ".join(map(repr, absent))
    batch.warn("promotions", np.array([bool(absent)]), f"no period contains a date of {names}")
    if is_random.any():
        chosen = np.flatnonzero(is_random)
        is_on[:, chosen] = _random_runs(batch, chosen, duration[:, chosen], demand, base)
    depth = _numbers(batch, "depth")[..., None, None] * is_on
    together = depth.sum(axis=1).max(axis=(1, 2))
    batch.warn(
        "depth",
        together >= 1,
        lambda dataset: (
            f"promotions meet and give away {together[dataset]:.0%} of the price; choose smaller "
            "depths, or dates that do not meet"
        ),
    )
    return depth


def _starts_at(promotion: PromotionConfig, calendar: Calendar) -> NDArray[np.bool_]:
    """Return True for every period that contains one of the dates."""
    first, last = calendar.days_since(calendar.moments(promotion.dates or ()))
    return np.asarray(((first <= 0) & (last >= 0)).any(axis=-1))


def _running(start: NDArray[np.bool_], duration: NDArray[np.int_]) -> NDArray[np.bool_]:
    """Return True in the periods of runs, dims (..., date), for starts of the same dims.

    `duration` has the length of the runs, dims (..., 1).
    """
    at = np.arange(start.shape[-1])
    latest = np.maximum.accumulate(np.where(start, at, -at.size - duration), axis=-1)
    return np.asarray(at - latest < duration)


def _random_runs(
    batch: Batch,
    chosen: NDArray[np.int_],
    duration: NDArray[np.int_],
    demand: FloatArray | None,
    base: FloatArray,
) -> NDArray[np.bool_]:
    """Return True in the periods of random runs, dims (dataset, chosen promotion, geo, date)."""
    config, n_geos = batch.shared, base.shape[-1]
    n_periods = config.calendar.n_periods - config.calendar.burn_in
    places = [("promotion", config.promotion_names[position]) for position in chosen]
    # Row 0 is for all geos together, so the rows of single geos do not move with their number.
    uniform = batch.draws(places, (n_geos + 1, n_periods), uniform=True)
    is_shared = np.array([config.promotions[position].shared for position in chosen])
    uniform[:, is_shared, 1:] = uniform[:, is_shared, :1]
    uniform = uniform[:, :, 1:]
    chance = _numbers(batch, "chance")[:, chosen, None, None]
    answer = _numbers(batch, "answer")[:, chosen, None, None]
    if demand is not None and answer.any():
        wanted = np.repeat(demand[:, None], len(chosen), axis=1)
        weight = (base / base.sum(axis=-1, keepdims=True))[..., None]
        wanted[:, is_shared] = (demand * weight).sum(axis=1)[:, None, None]
        spread = np.where(is_shared[:, None, None], _sd_of_mean(batch, weight), 1.0)
        length = duration[..., None, None]
        start = _log_odds(batch, chance, answer * spread, length)
        chance = 1 / (1 + np.exp(-(start + answer * wanted)))
    return runs(uniform, chance, duration[..., None])


def runs(uniform: FloatArray, chance: FloatArray, duration: NDArray[np.int_]) -> NDArray[np.bool_]:
    """Return True in the periods of runs, which have at least one period between them.

    Parameters
    ----------
    uniform : array, dims (..., date)
        Uniform draws. A run begins after a period without one if the draw is below the chance.
    chance : array, dims (..., date) or (..., 1)
        Chance that a run begins.
    duration : array of int, dims (...)
        Length of the runs.

    Examples
    --------
    >>> draws = np.array([0.9, 0.1, 0.1, 0.1, 0.1, 0.9])
    >>> runs(draws, np.array([0.2]), np.array(2)).astype(int)
    array([0, 1, 1, 0, 1, 1])
    """
    n_dates = uniform.shape[-1]
    length = np.broadcast_to(duration, uniform.shape[:-1])
    odds = length * np.broadcast_to(chance, uniform.shape)[..., 0]
    first, under_way = uniform[..., 0], odds / (1 + odds)
    # Periods that are left of a run that began before the first date; 0 if there is none.
    left = np.where(first < under_way, np.floor(first / under_way * length) + 1, 0).astype(int)
    at = np.where(uniform < chance, np.arange(n_dates), n_dates)
    # Next date that may begin a run, and one place more for none.
    following = np.minimum.accumulate(at[..., ::-1], axis=-1)[..., ::-1]
    following = np.append(following, np.full((*length.shape, 1), n_dates), axis=-1)
    start = np.zeros(following.shape, dtype=bool)
    date = np.minimum(left + 1, n_dates)[..., None]
    while (date < n_dates).any():
        date = np.take_along_axis(following, date, axis=-1)
        np.put_along_axis(start, date, True, axis=-1)
        date = np.minimum(date + length[..., None] + 1, n_dates)
    running = _running(start[..., :-1], length[..., None])
    return np.asarray(running | (np.arange(n_dates) < left[..., None]))


def _log_odds(
    batch: Batch, chance: FloatArray, answer: FloatArray, duration: NDArray[np.int_]
) -> FloatArray:
    r"""Return the log odds of a run at mean demand that keep the share of periods as configured.

    With :math:`g(p) = n p / (1 + n p)`, the share of periods on promotion is :math:`g(E\, p)` if
    demand changes at once, and :math:`E\, g(p)` if it never changes. In between it is a mean of the
    two, with a weight that is exact to the second order of the answer:

    .. math:: w = \frac{a / (1 + p a)}{n / (1 + p n)}, \quad a = \sum_{k=1}^n \rho^k

    with the autocorrelation :math:`\rho` of demand.

    Parameters
    ----------
    batch : Batch
        Configurations, for the autocorrelation of demand.
    chance : array, dims (dataset, promotion, 1, 1)
        Chance of a run without an answer, p.
    answer : array, dims (dataset, promotion, 1, 1)
        Log odds per standard deviation of the demand that a promotion answers to.
    duration : array of int, dims (dataset, promotion, 1, 1)
        Length of the runs, n.
    """
    points, weights = np.polynomial.hermite_e.hermegauss(POINTS)
    weights = weights / weights.sum()
    kept = batch.each(lambda config: config.demand.persistence)  # type: ignore[union-attr]
    season = batch.each(lambda config: config.demand.season)  # type: ignore[union-attr]
    # A season hardly changes within a run.
    kept = np.minimum(season + (1 - season) * kept, 1 - 1e-9)[:, None, None, None]
    lasting = kept * (1 - kept**duration) / (1 - kept)
    weight = (lasting / (1 + chance * lasting)) / (duration / (1 + chance * duration))
    chance = np.minimum(chance, 1 - 1e-9)
    wanted = np.log(duration * chance)
    start = np.log(chance / (1 - chance))
    for _ in range(STEPS):
        each = 1 / (1 + np.exp(-(start + answer * points)))
        mean = duration * (each * weights).sum(axis=-1, keepdims=True)
        share = (duration * each / (1 + duration * each) * weights).sum(axis=-1, keepdims=True)
        share = (1 - weight) * mean / (1 + mean) + weight * share
        start = start + wanted - np.log(share / (1 - share))
    return np.asarray(start)


def _sd_of_mean(batch: Batch, weight: FloatArray) -> FloatArray:
    """Return the standard deviation of the mean demand of geos, dims (dataset, 1, 1, 1)."""
    own = batch.each(
        lambda config: (1 - config.demand.season) * (1 - config.demand.shared)  # type: ignore[union-attr]
    )[:, None]
    return np.asarray(np.sqrt(1 - own + own * np.square(weight).sum(axis=1))[..., None, None])


def promotion_sales(
    config: MMMDataConfig, truth: dict[str, FloatArray], depth: FloatArray
) -> FloatArray:
    r"""Return the sales that promotions add, dims (dataset, promotion, geo, date).

    With depth d and elasticity e, a period sells :math:`\text{base} \cdot ((1 - d)^e - 1)` more,
    and with a pull-forward, later periods lack their share of it in equal parts.

    Parameters
    ----------
    config : MMMDataConfig
        Periods that lack borrowed sales.
    truth : mapping of str to array
        True parameters.
    depth : array, dims (dataset, promotion, geo, date)
        Result of `draw_depth`.
    """
    elasticity = truth["promotion_elasticity"].swapaxes(-1, -2)[..., None]
    base = truth["intercept_contribution"][:, None, :, None]
    sold = base * np.expm1(elasticity * np.log1p(-depth))
    if "promotion_pull_forward_share" in truth:
        pulls = PullForward(borrowed_periods(config), truth["promotion_pull_forward_share"])
        sold = convolve(sold, pulls.weights)
    return np.asarray(sold)


def borrowed_periods(config: MMMDataConfig) -> tuple[int, ...]:
    """Return the number of periods that lack what each promotion borrows; 0 if it does not."""
    pulls = (each.pull_forward for each in config.promotions)
    return tuple(0 if each is None else each.periods for each in pulls)


def with_depths(batch: Batch, control_value: FloatArray, depth: FloatArray | None) -> FloatArray:
    """Return control values, dims (dataset, control, geo, date), with the depths of promotions."""
    shown = batch.shared.shown_promotions
    if depth is None or not shown:
        return control_value
    first = len(batch.shared.control_variables) + len(batch.shared.indicators)
    rows = max(len(control_value), len(depth))
    value = np.array(np.broadcast_to(control_value, (rows, *control_value.shape[1:])))
    value[:, first : first + len(shown)] = depth[:, shown]
    return value


def _numbers(batch: Batch, key: str) -> FloatArray:
    """Return one number of every promotion, 0 if it has none, dims (dataset, promotion)."""
    return batch.each(lambda config: [getattr(each, key) or 0.0 for each in config.promotions])
