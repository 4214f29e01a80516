"""A kind: one function whose keyword-only arguments are its parameters and settings.

    def curve(x, *, kappa: Annotated[PositiveSpend, "half-saturation"] = 1.0): ...

The annotation of a parameter gives its domain, what it means, and its unit (`domain.Unit`).
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeAlias, TypeVar, get_args, get_origin, get_type_hints

import numpy as np

from mmm_xgen.errors import ConfigError, nearest
from mmm_xgen.kernels.domain import REAL, Domain, Fixed, FloatArray, SpendPower, Unit
from mmm_xgen.schema import COORDINATES, NONE, POPULATION_SUFFIXES, VARIABLES

REQUIRED = inspect.Parameter.empty
# Unit of a parameter by the power of the spend unit that it carries.
SPEND_UNITS = {0: NONE, 1: "spend unit", -1: "1 / spend unit"}
# A prior by family and shape. Its scale is left out, as it does not change the sd of the logarithm.
Prior: TypeAlias = tuple[Any, ...]
HALF_NORMAL: Prior = ("half_normal",)
# Number of shapes of each family.
PRIOR_SHAPES = {"half_normal": 0, "gamma": 1, "beta": 2}
AnyKind = TypeVar("AnyKind", bound="Kind")
# Relative steps, and how far, in units of the function, the two derivatives may differ.
COMPLEX_STEP, CENTRAL_STEP, AGREEMENT = 1e-30, 1e-6, 1e-6


@dataclass(frozen=True)
class Parameter:
    """A numeric parameter of a kind, one value a channel (and geo)."""

    domain: Domain
    default: Any = REQUIRED
    spend_power: int = 0
    varies: bool = True
    units: str = NONE
    meaning: str = ""


@dataclass(frozen=True)
class Setting:
    """An argument of a kind that is not a number: a choice, a list, a date."""

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

    @classmethod
    def of(
        cls: type[AnyKind], *, function: Callable[..., Any], family: str = "", **about: Any
    ) -> AnyKind:
        """Kind with the parameters and settings of `signature_of`."""
        parameters, settings = signature_of(function, family)
        return cls(function=function, parameters=parameters, settings=settings, **about)

    @property
    def keys(self) -> list[str]:
        """Names of all parameters and settings."""
        return [*self.parameters, *self.settings]

    @property
    def shown(self) -> dict[str, Parameter]:
        """Parameters that the Dataset shows."""
        return dict(self.parameters)


@dataclass(frozen=True, kw_only=True, eq=False)
class TransformKind(Kind):
    """An adstock or a saturation.

    `component` names the class in `pymc_marketing.mmm` that is the same, `priors` gives the
    default prior of its parameters: ``("half_normal",)``, ``("gamma", shape)`` or
    ``("beta", a, b)``. A kind with a setting ``type`` has a mapping of its values to either.
    """

    component: str | Mapping[str, str] = ""
    priors: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse priors that are none, or of no parameter."""
        priors = [pair for type_ in self.components for pair in self.priors_of(type_).items()]
        for parameter, prior in priors:
            if parameter not in self.shown:
                raise ConfigError(
                    f"{self.name} has no parameter {parameter!r}; {nearest(parameter, self.shown)}",
                    path="priors",
                )
            if not isinstance(prior, tuple) or PRIOR_SHAPES.get((*prior, "")[0]) != len(prior) - 1:
                raise ConfigError(
                    f"found {prior!r} as the prior of {parameter!r} of {self.name}, allowed: "
                    "('half_normal',), ('gamma', shape), ('beta', a, b)",
                    path="priors",
                )

    @property
    def components(self) -> Mapping[str, str]:
        """Name of the component by value of the setting ``type``, "" where there is none."""
        return {"": self.component} if isinstance(self.component, str) else self.component

    def priors_of(self, type_: str = "") -> Mapping[str, Prior]:
        """Default prior of each parameter that has one."""
        return self.priors if isinstance(self.component, str) else self.priors.get(type_, {})


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
        such as ``adstock_weights``, ``saturation_kind`` or any ``_mean`` and ``_sd``.
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
        if domain is None and (get_args(hint)[0] if marks else hint) is float:
            domain = REAL
        if domain is None:
            settings[argument.name] = Setting(hint, argument.default)
        else:
            units = (mark.text for mark in marks if isinstance(mark, Unit))
            parameters[argument.name] = Parameter(
                domain,
                argument.default,
                power,
                varies=not any(isinstance(mark, Fixed) for mark in marks),
                units=next(units, SPEND_UNITS.get(power, NONE)),
                meaning=next((mark for mark in marks if isinstance(mark, str)), ""),
            )
    for name in (*parameters, *settings):
        if name == "kind" or (family and _is_taken(family + name)):
            raise ConfigError(
                f"{function.__name__}: an argument may not be called {name!r}, which the Dataset "
                "uses itself; choose another name"
            )
    return parameters, settings


def positional_names(function: Callable[..., Any]) -> tuple[str, ...]:
    """Return the names of the positional arguments of a function.

    Examples
    --------
    >>> positional_names(lambda calendar, normal, *, sd: 0)
    ('calendar', 'normal')
    """
    return tuple(
        argument.name
        for argument in inspect.signature(function).parameters.values()
        if argument.kind in (argument.POSITIONAL_ONLY, argument.POSITIONAL_OR_KEYWORD)
    )


def _is_taken(name: str) -> bool:
    """True if a variable of this name means something else in the Dataset."""
    known = name in VARIABLES or name in COORDINATES
    return known or name.endswith(tuple(POPULATION_SUFFIXES))


def component_names(registry: Mapping[str, TransformKind]) -> dict[tuple[str, str], str]:
    """PyMC-Marketing's component of each kind, and of each value of its setting ``type``.

    Examples
    --------
    >>> from mmm_xgen.kernels.adstock import ADSTOCKS
    >>> component_names(ADSTOCKS)["weibull_adstock", "PDF"]
    'WeibullPDFAdstock'
    """
    return {
        (name, type_): component
        for name, kind in registry.items()
        for type_, component in kind.components.items()
        if component
    }


def defaults_of(parameters: Mapping[str, Parameter], required: float) -> dict[str, FloatArray]:
    """Default of each parameter, and `required` where it has none, as arrays of length 1."""
    return {
        name: np.array([required if each.default is REQUIRED else each.default], dtype=float)
        for name, each in parameters.items()
    }


def carries_derivatives(function: Callable[..., Any], *arguments: FloatArray) -> bool:
    """True if a complex step of every argument gives the same as a central difference.

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
