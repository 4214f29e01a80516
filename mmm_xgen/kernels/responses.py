r"""Responses with memory: a population that media move, one period after the other.

A response is a function ``f(state, pressure, *, parameters) -> (state, bought)``. `state` is a
tuple of arrays, dims ``(..., geo)``, one for each of the names that the registration gives.
`pressure` is what all media add in the period, of the same dims. `bought` is what the population
buys, per unit of size. The library owns the loop over dates, the start at the steady state without
media, and the number of periods until media no longer work.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from mmm_xgen.errors import ConfigError
from mmm_xgen.kernels.domain import FloatArray, NonNegative, Numbers, Positive, Share
from mmm_xgen.kernels.kind import Kind, positional_names
from mmm_xgen.kernels.registry import Function, Registry, registering

ARGUMENTS = ("state", "pressure")
State = tuple[FloatArray, ...]
# What the function of a kind returns: the next state, and what it buys.
Step = tuple[State, FloatArray]


@dataclass(frozen=True, kw_only=True, eq=False)
class ResponseKind(Kind):
    """A response with memory; `states` are the names of its states in the Dataset."""

    states: tuple[str, ...] = ()

    @classmethod
    def of(cls, *, function: Callable[..., Any], family: str = "", **about: Any) -> ResponseKind:
        """Response whose keyword-only arguments are its parameters."""
        takes = positional_names(function)
        if takes != ARGUMENTS:
            raise ConfigError(
                f"the response {function.__name__} takes ({', '.join(takes)}); write "
                f"f({', '.join(ARGUMENTS)}, *, ...)"
            )
        return super().of(function=function, family=family, **about)


RESPONSES: Registry[ResponseKind] = Registry("response")


def register_response(
    name: str, *, states: tuple[str, ...], check: Callable[..., str | None] | None = None
) -> Callable[[Function], Function]:
    """Register a function as a response with memory under `name`.

    Parameters
    ----------
    name : str
        Name for ``kind`` in `MMMDataConfig.response`.
    states : tuple of str
        Name of each state. The Dataset shows it as the variable ``state_<name>``.
    check : callable, optional
        Takes the parameters as keywords and returns what is wrong with them taken together, or
        None.

    Raises
    ------
    ConfigError
        If the name is taken, or the function takes other arguments.

    Examples
    --------
    >>> from mmm_xgen.kernels.domain import Share
    >>> @register_response("two_speeds", states=("fast", "slow"))
    ... def two_speeds(state, pressure, *, fast: Share = 0.6, slow: Share = 0.05):
    ...     quick, long = (1 - fast) * state[0] + pressure, (1 - slow) * state[1] + pressure
    ...     return (quick, long), quick + 0.1 * long
    >>> RESPONSES["two_speeds"].keys, RESPONSES["two_speeds"].states
    (['fast', 'slow'], ('state_fast', 'state_slow'))
    >>> RESPONSES.remove("two_speeds")
    """
    names = tuple(f"state_{state}" for state in states)
    return _registering(name, names, check)


def _registering(
    name: str, states: tuple[str, ...], check: Callable[..., str | None] | None = None
) -> Callable[[Function], Function]:
    return registering(
        RESPONSES, ResponseKind.of, name, family="response_", states=states, check=check
    )


def _moved(organic: Numbers, pressure: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the share of people that word of mouth and media move up, and the share that stays."""
    stays = np.exp(np.minimum(-organic - pressure, 0.0))
    return 1 - stays, stays


Forget = Annotated[Share, "share that forgets in a period"]
Convert = Annotated[Share, "share that becomes loyal in a period"]
Churn = Annotated[Share, "share of loyal people that is loyal no more in a period"]
Organic = Annotated[NonNegative, "pressure without media"]


@_registering("goodwill", ("aware_share", "considering_share", "loyal_share"))
def goodwill(
    state: State,
    pressure: FloatArray,
    *,
    forget: Forget = 0.15,
    cool: Annotated[Share, "share that considers no more in a period"] = 0.2,
    convert: Convert = 0.2,
    churn: Churn = 0.12,
    organic: Organic = 0.1,
    trial: Annotated[Share, "purchases of a considering person, relative to a loyal one"] = 0.3,
) -> Step:
    r"""Unaware, aware, considering and loyal people, whom media move up and time moves down.

    Each period has two halves. In the first, people fall: of the aware and the considering, the
    share `forget` becomes unaware; of the considering who are left, the share `cool` becomes
    aware; of the loyal, the share `churn` becomes considering. In the second, people climb: with

    .. math:: p_t = 1 - e^{-(\text{organic} + \text{pressure}_t)}

    the unaware become aware and the aware considering, each with probability p, and of the
    considering the share `convert` becomes loyal. Nobody climbs twice in a period. All shares stay
    between 0 and 1, since each half moves shares of shares. People buy
    :math:`\text{trial} \cdot \text{considering} + \text{loyal}`. A pressure below
    ``-organic`` counts as that.

    Parameters
    ----------
    forget : float, share per period
        Share of the aware and the considering that becomes unaware.
    cool : float, share per period
        Share of the considering, without those who forget, that becomes aware.
    convert : float, share per period
        Share of the considering that becomes loyal.
    churn : float, share per period
        Share of the loyal that becomes considering.
    organic : float, pressure
        Pressure without media, as by word of mouth.
    trial : float, share
        Purchases of a considering person, relative to those of a loyal one.
    """
    aware, considering, loyal = state
    moved, stays = _moved(organic, pressure)
    left = 1 - forget
    aware = left * (aware + cool * considering)
    considering = left * (1 - cool) * considering + churn * loyal
    loyal = (1 - churn) * loyal
    unaware = np.maximum(1 - aware - considering - loyal, 0.0)
    loyal = loyal + convert * considering
    considering = (1 - convert) * considering + moved * aware
    aware = stays * aware + moved * unaware
    return (aware, considering, loyal), trial * considering + loyal


@_registering("awareness", ("aware_share", "loyal_share"))
def awareness(
    state: State,
    pressure: FloatArray,
    *,
    forget: Forget = 0.2,
    convert: Convert = 0.15,
    churn: Churn = 0.1,
    organic: Organic = 0.1,
    trial: Annotated[Share, "purchases of an aware person, relative to a loyal one"] = 0.1,
) -> Step:
    r"""Unaware, aware and loyal people: `goodwill` without the considering.

    In each period, the share `forget` of the aware becomes unaware and the share `churn` of the
    loyal becomes aware. Then the unaware become aware with probability
    :math:`1 - e^{-(\text{organic} + \text{pressure}_t)}`, and the share `convert` of the aware
    becomes loyal. People buy :math:`\text{trial} \cdot \text{aware} + \text{loyal}`.

    Parameters
    ----------
    forget : float, share per period
        Share of the aware that becomes unaware.
    convert : float, share per period
        Share of the aware that becomes loyal.
    churn : float, share per period
        Share of the loyal that becomes aware.
    organic : float, pressure
        Pressure without media, as by word of mouth.
    trial : float, share
        Purchases of an aware person, relative to those of a loyal one.
    """
    aware, loyal = state
    moved, _ = _moved(organic, pressure)
    aware, loyal = (1 - forget) * aware + churn * loyal, (1 - churn) * loyal
    unaware = np.maximum(1 - aware - loyal, 0.0)
    loyal = loyal + convert * aware
    aware = (1 - convert) * aware + moved * unaware
    return (aware, loyal), trial * aware + loyal


@_registering("nerlove_arrow", ("goodwill",))
def nerlove_arrow(state: State, pressure: FloatArray, *, forget: Forget = 0.15) -> Step:
    r"""Stock of goodwill, :math:`g_t = (1 - \text{forget})\, g_{t-1} + \text{pressure}_t`.

    Sales are in proportion to it. This is a geometric adstock without a last lag, and no
    saturation: the linear case of `goodwill`. The stock is that of Nerlove and Arrow (1962),
    Economica 29(114), 129-142.

    Parameters
    ----------
    forget : float, share per period
        Share of goodwill that is lost.
    """
    stock = (1 - forget) * state[0] + pressure
    return (stock,), stock


@_registering("saturating_goodwill", ("goodwill",))
def saturating_goodwill(
    state: State,
    pressure: FloatArray,
    *,
    forget: Forget = 0.15,
    half: Annotated[Positive, "goodwill at which half of the size is bought"] = 1.0,
) -> Step:
    r"""Stock of goodwill as in `nerlove_arrow`, of which people buy :math:`g / (\text{half} + g)`.

    Parameters
    ----------
    forget : float, share per period
        Share of goodwill that is lost.
    half : float, pressure
        Goodwill at which half of the size is bought.
    """
    stock = np.maximum((1 - forget) * state[0] + pressure, 0.0)
    return (stock,), stock / (half + stock)
