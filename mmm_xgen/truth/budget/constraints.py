"""Constraints on a budget: bounds in shares, in currency and against today's spend."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any, TypeAlias

import numpy as np
import xarray as xr

from mmm_xgen.config.base import shown
from mmm_xgen.errors import AlignmentError, ConfigError, nearest
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.truth.media import channel_label

Constraints: TypeAlias = Mapping[str, Mapping[str, Any]]

EVERY_CHANNEL = "*"
# Keys of a lower and an upper bound, the allowed values, and their description.
PAIRS = (
    ("min", "max", (0.0, 1.0), "a share of the budget from 0 to 1"),
    ("min_currency", "max_currency", (0.0, np.inf), "currency, at least 0"),
    ("min_change", "max_change", (-1.0, np.inf), "a relative change, at least -1 (nothing left)"),
)
KEYS = (*(key for pair in PAIRS for key in pair[:2]), "locked")
# Bound in currency, its description, and its change with a unit of budget.
Limit: TypeAlias = tuple[float, str, float]
# Sums of shares such as 0.1 and 0.7 may miss the budget by rounding.
ROUNDING = 1e-9


@dataclass(frozen=True)
class Bounds:
    """Least and most that each channel spends, in currency, and which channels are locked.

    Parameters
    ----------
    budget : float
        Currency for all channels together.
    lower, upper : array, dims (channel,)
        Currency.
    locked : array of bool, dims (channel,)
        Channels that keep today's spend.
    maximum : array, dims (channel,)
        Currency that the constraints allow; infinite without one.
    lower_share, upper_share : array, dims (channel,)
        Change of a bound with a unit of budget: the share if the bound is a share, else 0.
    """

    budget: float
    lower: FloatArray
    upper: FloatArray
    locked: Any
    maximum: FloatArray
    lower_share: FloatArray
    upper_share: FloatArray


def bounds_of(
    ds: xr.Dataset,
    *,
    today: FloatArray,
    total_budget: float | None,
    constraints: Constraints | None,
) -> Bounds:
    """Compute the bounds of each channel.

    Parameters
    ----------
    ds : Dataset
        A generated Dataset.
    today : array, dims (channel,)
        Today's spend, in currency.
    total_budget : float, optional
        Currency; the sum of `today` by default.
    constraints : mapping of mappings, optional
        As for `mmm_xgen.truth.budget.optimum.optimize_allocation`.

    Raises
    ------
    ConfigError
        If a constraint is invalid, or no allocation satisfies all constraints.
    """
    budget = _budget(total_budget, today)
    names = [str(name) for name in ds["channel"].values]
    rules = _by_channel(ds, constraints)
    lower, upper = np.zeros(len(names)), np.full(len(names), budget)
    locked = np.zeros(len(names), dtype=bool)
    shares = np.zeros((2, len(names)))
    sources: list[tuple[str, str]] = []
    for position, name in enumerate(names):
        rule = rules.get(name, {})
        locked[position] = bool(rule.get("locked", False))
        low, high = _of_channel(name, rule, float(today[position]), budget)
        lower[position], upper[position] = low[0], high[0]
        shares[:, position] = low[2], high[2]
        sources.append((low[1], high[1]))
    _check_sums(names, sources, budget, lower, upper)
    # Minima that sum to the budget up to rounding are the budget.
    budget = max(budget, float(lower.sum()))
    return Bounds(budget, lower, np.minimum(upper, budget), locked, upper, *shares)


def _budget(total_budget: float | None, today: FloatArray) -> float:
    if total_budget is None:
        return float(today.sum())
    if not _is_number(total_budget) or not 0 <= float(total_budget) < np.inf:
        raise ConfigError(
            f"found {shown(total_budget)}, allowed: currency for the whole window, at least 0",
            path="total_budget",
        )
    return float(total_budget)


def _by_channel(ds: xr.Dataset, constraints: Constraints | None) -> dict[str, dict[str, Any]]:
    """Rules by channel label, those for every channel included."""
    if constraints is None:
        return {}
    if not isinstance(constraints, Mapping):
        raise ConfigError(
            f"found {shown(constraints)}, allowed: a mapping such as {{'TV': {{'min': 0.2}}}}",
            path="constraints",
        )
    written: dict[str, str] = {}
    own: dict[str, dict[str, Any]] = {}
    for name, rule in constraints.items():
        checked = _check_rule(name, rule)
        label = EVERY_CHANNEL if name == EVERY_CHANNEL else _label(ds, name)
        if label in own:
            raise ConfigError(
                f"found constraints on {label!r} twice, as {written[label]!r} and as {name!r}",
                path=f"constraints.{name}",
            )
        written[label], own[label] = str(name), checked
    common = own.pop(EVERY_CHANNEL, {})
    channels = [str(name) for name in ds["channel"].values]
    return {name: _merged(common, own.get(name, {})) for name in channels}


def _merged(common: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """Combine a channel's own rule with the common one; a lock replaces all other keys."""
    if own and (own.get("locked") or common.get("locked")):
        return own
    return {**common, **own}


def _label(ds: xr.Dataset, name: Any) -> str:
    try:
        return channel_label(ds, str(name))
    except AlignmentError as error:
        raise ConfigError(str(error), path=f"constraints.{name}") from None


def _check_rule(name: Any, rule: Any) -> dict[str, Any]:
    path = f"constraints.{name}"
    if not isinstance(rule, Mapping):
        raise ConfigError(
            f"found {shown(rule)}, allowed: a mapping such as {{'min': 0.2, 'max': 0.5}}", path=path
        )
    for key in rule:
        if key not in KEYS:
            raise ConfigError(f"no constraint {key!r}; {nearest(str(key), KEYS)}", path=path)
    for least, most, (low, high), meaning in PAIRS:
        for key in (least, most):
            value = rule.get(key, 0.0)
            finite = _is_number(value) and np.isfinite(value)
            if not finite or not low <= float(value) <= high:
                raise ConfigError(f"found {shown(value)}, allowed: {meaning}", path=f"{path}.{key}")
        if rule.get(least, -np.inf) > rule.get(most, np.inf):
            raise ConfigError(
                f"{least} {rule[least]:g} is above {most} {rule[most]:g}; swap them or drop one",
                path=path,
            )
    locked = rule.get("locked", False)
    if not isinstance(locked, bool | np.bool_):
        raise ConfigError(f"found {shown(locked)}, allowed: True, False", path=f"{path}.locked")
    others = [key for key in rule if key != "locked"]
    if locked and others:
        raise ConfigError(
            f"found locked together with {', '.join(others)}; a locked channel keeps today's "
            "spend, so drop the one or the others",
            path=path,
        )
    return dict(rule)


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool | np.bool_)


def _of_channel(
    name: str, rule: Mapping[str, Any], today: float, budget: float
) -> tuple[Limit, Limit]:
    """Find the tightest lower and upper bound of a channel."""
    if rule.get("locked"):
        words = f"{name} locked at {today:.10g}"
        return (today, words, 0.0), (today, words, 0.0)
    lower: Limit = (0.0, "", 0.0)
    upper: Limit = (np.inf, "", 0.0)
    currency = {
        "min": lambda value: value * budget,
        "min_currency": lambda value: value,
        "min_change": lambda value: (1 + value) * today,
    }
    for least, most, *_ in PAIRS:
        for key, tightest in ((least, max), (most, min)):
            # A maximum of the whole budget does not limit the channel.
            if key not in rule or (key == "max" and rule[key] == 1):
                continue
            amount = float(currency[least](float(rule[key])))
            words = f"{name} {key}={rule[key]:g}, which is {amount:.10g}"
            bound = (amount, words, float(rule[key]) if least == "min" else 0.0)
            if key == least:
                lower = tightest(lower, bound)
            else:
                upper = tightest(upper, bound)
    if lower[0] > upper[0] + ROUNDING * max(budget, upper[0]):
        raise ConfigError(
            f"{lower[1]}, is above {upper[1]} (today's spend is {today:.10g})",
            path=f"constraints.{name}",
        )
    return (min(lower[0], upper[0]), *lower[1:]), upper


def _check_sums(
    names: list[str],
    sources: list[tuple[str, str]],
    budget: float,
    lower: FloatArray,
    upper: FloatArray,
) -> None:
    """Raise ConfigError if minima sum to more than the budget, or maxima to less."""
    slack = ROUNDING * budget
    if lower.sum() > budget + slack:
        listed = "; ".join(low for low, _ in sources if low)
        raise ConfigError(
            f"the minima sum to {lower.sum():.10g}, above the budget of {budget:.10g} "
            f"({listed}); lower a minimum or raise total_budget",
            path="constraints",
        )
    # A channel without an upper bound can take the whole budget.
    if all(high for _, high in sources) and upper.sum() < budget - slack:
        listed = "; ".join(high for _, high in sources)
        raise ConfigError(
            f"the maxima sum to {upper.sum():.10g}, below the budget of {budget:.10g} "
            f"({listed}); raise a maximum or lower total_budget",
            path="constraints",
        )
