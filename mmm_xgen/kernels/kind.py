"""A kind: one function whose keyword-only arguments are its parameters and settings."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import numpy as np

from mmm_xgen.errors import ConfigError
from mmm_xgen.kernels.domain import REAL, Domain, Fixed, FloatArray, SpendPower
from mmm_xgen.schema import COORDINATES, POPULATION_SUFFIXES, VARIABLES

REQUIRED = inspect.Parameter.empty
# Relative steps, and how far, in units of the function, the two derivatives may differ.
COMPLEX_STEP, CENTRAL_STEP, AGREEMENT = 1e-30, 1e-6, 1e-6


@dataclass(frozen=True)
class Parameter:
    """A numeric parameter of a kind, one value a channel (and geo)."""

    domain: Domain
    default: Any = REQUIRED
    spend_power: int = 0
    varies: bool = True


@dataclass(frozen=True)
class Setting:
    """An argument of a kind that is no number: a choice, a list, a date."""

    annotation: Any
    default: Any = REQUIRED


@dataclass(frozen=True, kw_only=True, eq=False)
class Kind:
    """A named function with what its signature says of it.

    The keyword-only arguments annotated with a `Domain` (or plain ``float``) are
    *parameters*: they come as arrays that broadcast. All others are *settings*: every
    channel of one call shares them. `check` takes all of them as keywords and returns what
    is wrong with them taken together, or None.
    """

    name: str
    function: Callable[..., Any]
    parameters: Mapping[str, Parameter]
    settings: Mapping[str, Setting]
    check: Callable[..., str | None] | None = None

    @property
    def keys(self) -> list[str]:
        """Names of all parameters and settings."""
        return [*self.parameters, *self.settings]


def signature_of(
    function: Callable[..., Any], family: str = ""
) -> tuple[dict[str, Parameter], dict[str, Setting]]:
    """Parameters and settings that the keyword-only arguments of `function` declare.

    Parameters
    ----------
    function : callable
        What is registered.
    family : str
        What the names of its parameters begin with in the Dataset, if they are there.

    Raises
    ------
    ConfigError
        If an argument is called ``kind``, or would be a variable that the Dataset uses itself,
        such as ``adstock_weights``, ``saturation_amplitude`` or any ``_mean`` and ``_sd``.
    """
    hints = get_type_hints(function, include_extras=True)
    parameters: dict[str, Parameter] = {}
    settings: dict[str, Setting] = {}
    for argument in inspect.signature(function).parameters.values():
        if argument.kind is not argument.KEYWORD_ONLY:
            continue
        hint = hints.get(argument.name, float)
        marks = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
        domain = next((mark for mark in marks if isinstance(mark, Domain)), None)
        power = next((mark.power for mark in marks if isinstance(mark, SpendPower)), 0)
        if domain is None and hint is float:
            domain = REAL
        if domain is None:
            settings[argument.name] = Setting(hint, argument.default)
        else:
            varies = not any(isinstance(mark, Fixed) for mark in marks)
            parameters[argument.name] = Parameter(domain, argument.default, power, varies)
    for name in (*parameters, *settings):
        if name == "kind" or (family and _is_taken(family + name)):
            raise ConfigError(
                f"{function.__name__}: an argument may not be called {name!r}, which the Dataset "
                "uses itself; choose another name"
            )
    return parameters, settings


def _is_taken(name: str) -> bool:
    """Whether a variable of this name means something else in the Dataset."""
    known = name in VARIABLES or name in COORDINATES
    return known or name.endswith(tuple(POPULATION_SUFFIXES))


def defaults_of(parameters: Mapping[str, Parameter], required: float) -> dict[str, FloatArray]:
    """Default of each parameter, and `required` where it has none, as arrays of length 1."""
    return {
        name: np.array([required if each.default is REQUIRED else each.default], dtype=float)
        for name, each in parameters.items()
    }


def carries_derivatives(function: Callable[..., Any], *arguments: FloatArray) -> bool:
    """Whether a complex step of every argument gives the same as a central difference.

    Not so if a function takes real parts or absolute values, which no error need tell.

    Examples
    --------
    >>> carries_derivatives(lambda x: x / (1 + x), np.array([2.0]))
    True
    >>> carries_derivatives(lambda x: x / (1 + np.abs(x)), np.array([2.0]))
    False
    """

    def moved(position: int, step: complex) -> FloatArray:
        steps = [step if each == position else 0.0 for each in range(len(arguments))]
        pairs = zip(arguments, steps, strict=True)
        return np.asarray(function(*(values * (1 + step) for values, step in pairs)))

    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("error", np.exceptions.ComplexWarning)
            for position in range(len(arguments)):
                slope = np.imag(moved(position, 1j * COMPLEX_STEP)) / COMPLEX_STEP
                rise = moved(position, CENTRAL_STEP) - moved(position, -CENTRAL_STEP)
                size = np.abs(moved(position, 0.0)).max()
                gap = np.abs(slope - rise / (2 * CENTRAL_STEP))
                if not np.all(gap <= AGREEMENT * size):
                    return False
    except Exception:  # A user's function may raise anything where it meets complex numbers.
        return False
    return True


def members(keys: Iterable[Hashable]) -> Iterator[tuple[Any, slice | list[int]]]:
    """Positions of each distinct key, as a slice where they are neighbours.

    A slice is a view of an array, where a list of positions would copy it.

    Examples
    --------
    >>> list(members(["hill", "hill", "tanh", "hill"]))
    [('hill', [0, 1, 3]), ('tanh', slice(2, 3, None))]
    """
    positions: dict[Hashable, list[int]] = {}
    for position, key in enumerate(keys):
        positions.setdefault(key, []).append(position)
    for key, found in positions.items():
        first, last = found[0], found[-1]
        yield key, slice(first, last + 1) if last - first + 1 == len(found) else found
