"""Configuration models of registered kinds, made from the signatures of their functions."""

from __future__ import annotations

import functools
import operator
import sys
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import AfterValidator, Field, GetCoreSchemaHandler, create_model, model_validator
from pydantic_core import core_schema

from mmm_xgen.config.base import FrozenConfig, Integer, Number, Switch, fail, shown
from mmm_xgen.config.descriptions import Description, keys_of_kind, parameters
from mmm_xgen.errors import UnknownKindError
from mmm_xgen.kernels.adstock import ADSTOCKS
from mmm_xgen.kernels.baseline import TRENDS
from mmm_xgen.kernels.budget_rules import BUDGET_RULES
from mmm_xgen.kernels.domain import NON_NEGATIVE, Domain
from mmm_xgen.kernels.effect_paths import EFFECT_PATHS
from mmm_xgen.kernels.kind import REQUIRED, Kind, Parameter
from mmm_xgen.kernels.noise import NOISES
from mmm_xgen.kernels.patterns import PATTERNS, PatternKind
from mmm_xgen.kernels.registry import Registry
from mmm_xgen.kernels.responses import RESPONSES
from mmm_xgen.kernels.saturation import SATURATIONS

# Start of the name of a callable that is not registered.
CUSTOM = "custom:"


class Spec(FrozenConfig):
    """A registered kind, by its name and with its keys.

    Parameters
    ----------
    kind : str
        Name of the kind.
    """

    kind: str
    registry: ClassVar[Registry[Any]]
    registered: ClassVar[Kind]

    def __reduce__(self) -> tuple[Any, ...]:
        # The class is created at run time, so the pickle holds the base class and the kind.
        kind = kind_to_send(self.registered, self.registry)
        return _spec_from, (type(self).__bases__[0], kind, self.__getstate__())

    @property
    def parameters(self) -> dict[str, Any]:
        """Values of the numeric parameters; None if the library derives the value."""
        return {name: getattr(self, name) for name in self.registered.parameters}

    @property
    def settings(self) -> dict[str, Any]:
        """Values of the arguments that are not numbers."""
        return {name: getattr(self, name) for name in self.registered.settings}

    @classmethod
    def _keys(cls, data: Mapping[str, Any]) -> list[str]:
        return [key for key in cls.model_fields if key != "kind"]

    @classmethod
    def _descriptions(cls) -> dict[str, Description]:
        base = cls.__bases__[0]
        return parameters(Spec) | parameters(base) | keys_of_kind(cls.registered)

    @classmethod
    def _owner(cls) -> str:
        return cls.registered.name

    @model_validator(mode="after")
    def _consistent(self) -> Spec:
        check = self.registered.check
        problem = check(**self.parameters, **self.settings) if check else None
        if problem:
            raise fail(problem)
        return self


class AdstockSpec(Spec):
    """An adstock: its kind, length and parameters.

    Parameters
    ----------
    l_max : int, periods, default 56, 8 or 3 for daily, weekly or monthly data
        Number of weights. They belong to the lags 0 to ``l_max - 1``. The default of
        ``beta_gamma_decay`` is 16.
    normalize : bool, default True
        If True, the weights are scaled to sum to 1.
    half_life : str, optional
        Time after the peak in which the weight falls to half, such as ``"10D"``. Replaces
        `alpha` in kinds that have a half-life.
    """

    registry = ADSTOCKS

    l_max: Annotated[Integer, Field(ge=1, le=1000)] | None = None
    normalize: Switch = True
    half_life: str | None = None

    @property
    def own_l_max(self) -> int | None:
        """Number of weights by default, where the kind has its own."""
        return self.registered.default_l_max  # type: ignore[attr-defined,no-any-return]

    @model_validator(mode="before")
    @classmethod
    def _half_life_stands_for_alpha(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        if data.get("half_life") is None:
            own = cls.registered.parameters.get("alpha")
            if own and "alpha" in data and data["alpha"] is None:
                allowed = own.domain.describe()
                raise fail(f"found None as alpha, allowed: {allowed}, or half_life", "alpha")
            return data
        if getattr(cls.registered, "alpha_at", None) is None:
            raise fail(f"{cls.registered.name} has no half-life; give its parameters", "half_life")
        if data.get("alpha") is not None:
            raise fail("found both half_life and alpha, allowed: one of them", "half_life")
        days_in_half_life(data["half_life"])
        return {**data, "alpha": None}


class SaturationSpec(Spec):
    """A saturation curve: its kind and parameters.

    A parameter in units of spend that is not set follows from the base spend of the channel.
    The half-saturation of a Hill curve, for instance, is then the base spend.
    """

    registry = SATURATIONS


class PatternSpec(Spec):
    """A spend pattern: its kind and parameters."""

    registry = PATTERNS


class BudgetRuleSpec(Spec):
    """A budget rule: its kind and parameters."""

    registry = BUDGET_RULES

    @property
    def answers_to_sales(self) -> bool:
        """True if the rule answers to earlier sales."""
        return self.answers_to == "sales"

    @property
    def answers_to(self) -> str:
        """Cause that spend answers to: demand, performance, sales, or nothing if it is planned."""
        return "nothing" if self.kind == "planned" else self.registered.answers_to  # type: ignore[attr-defined]


class EffectPathSpec(Spec):
    """A path of the effect: its kind and parameters.

    Parameters
    ----------
    shared : bool, default True
        If True, the effect moves alike in all geos.
    """

    registry = EFFECT_PATHS

    shared: Switch = True


class ResponseSpec(Spec):
    """A response with memory: its kind, size and parameters.

    Parameters
    ----------
    size : float, share of base sales, default 5.0
        Sales per period if all people were loyal, as a share of the base sales of the geo.
    """

    registry = RESPONSES

    size: Annotated[Number, Field(gt=0)] = 5.0


class TrendSpec(Spec):
    """A trend: its kind and parameters."""

    registry = TRENDS


ABOVE_ZERO_TO_ONE = Domain(lower=0, upper=1, open_lower=True)


def _number_or_list(domain: Domain) -> Callable[[Any], Any]:
    """Return a validator for one number, or a list with one number per geo, inside `domain`."""

    def validate(value: Any) -> Any:
        if value is None:
            return None
        values = value if isinstance(value, list | tuple) else [value]
        numbers = [isinstance(each, int | float) and not isinstance(each, bool) for each in values]
        if not values or not all(numbers) or not domain.contains(values):
            raise ValueError(f"{domain.describe()}, or a list with one per geo")
        return tuple(values) if isinstance(value, list | tuple) else value

    return validate


class NoiseSpec(Spec):
    """A noise family: its kind, parameters and size.

    Set the size with one of `sales_volatility`, `y_sigma` and `r_squared`. With ``link: log``, all
    three are about log sales.

    Parameters
    ----------
    sales_volatility : float, share of base sales, default 0.05 unless another size is set
        Standard deviation of the noise, relative to the base sales of the geo.
    y_sigma : float or list of float, KPI units per period, optional
        Standard deviation of the noise. One number is for a geo of reference size; a list has
        one number per geo.
    r_squared : float or list of float, optional
        Share of the variance of sales that is not noise: one number for all geos, or a list
        with one number per geo.
    level_power : float, default 0.0
        Power of expected sales that the standard deviation follows: 0 keeps it constant, 1 makes
        it a constant share of expected sales. Not for families that decide this themselves, such
        as ``lognormal``.
    shared : float, share of variance, default 0.0
        Share of the variance of the noise that all geos have in common. For families that are
        made of normal numbers: ``gaussian``, ``ar1`` and ``lognormal``.
    """

    registry = NOISES

    sales_volatility: Annotated[Number, Field(ge=0)] | None = None
    y_sigma: Annotated[Any, AfterValidator(_number_or_list(NON_NEGATIVE))] = None
    r_squared: Annotated[Any, AfterValidator(_number_or_list(ABOVE_ZERO_TO_ONE))] = None
    level_power: Annotated[Number, Field(ge=0, le=2)] = 0.0
    shared: Annotated[Number, Field(ge=0, le=1)] = 0.0

    @model_validator(mode="after")
    def _fits_the_family(self) -> NoiseSpec:
        kinds: dict[str, Any] = dict(NOISES.items())
        for key, takes_it in (
            ("level_power", lambda kind: not kind.has_own_sd),
            ("shared", lambda kind: kind.from_normal),
        ):
            value = getattr(self, key)
            if value and not takes_it(self.registered):
                allowed = ", ".join(name for name, kind in kinds.items() if takes_it(kind))
                raise fail(
                    f"found {value:g} with {self.kind} noise, allowed: 0, or noise of kind "
                    f"{allowed}",
                    key,
                )
        return self

    @model_validator(mode="after")
    def _one_size(self) -> NoiseSpec:
        sizes = ("sales_volatility", "y_sigma", "r_squared")
        given = [name for name in sizes if getattr(self, name) is not None]
        if len(given) > 1:
            raise fail(f"found {' and '.join(given)}, allowed: one of them", given[1])
        return self


def days_in_half_life(text: Any) -> float:
    """Return the days in a half-life written as a pandas time delta, such as ``"10D"``."""
    import pandas as pd

    try:
        days = pd.Timedelta(text) / pd.Timedelta("1D") if isinstance(text, str) else float("nan")
    except ValueError:
        days = float("nan")
    if not days > 0:
        message = f"found {shown(text)}, allowed: a positive time such as '10D' or '36h'"
        raise fail(message, "half_life")
    return float(days)


@functools.cache
def spec_model(kind: Kind, base: Any) -> type[Spec]:
    """Return the model of one kind, with a field for each keyword-only argument of its function.

    The cache hashes the kind by identity, so a newly registered function gets a new model.
    """
    fields: dict[str, Any] = {}
    for name, parameter in kind.parameters.items():
        annotation, default = _number_field(parameter)
        if name == "alpha" and getattr(kind, "alpha_at", None):
            annotation = annotation | None
        fields[name] = (annotation, default)
    for name, setting in kind.settings.items():
        default = ... if setting.default is REQUIRED else setting.default
        fields[name] = (setting.annotation, default)
    fields["kind"] = (Annotated[str, Field(json_schema_extra={"const": kind.name})], ...)
    name = f"{base.__name__}_{kind.name}"
    model: type[Spec] = create_model(name, __base__=base, __doc__=kind.function.__doc__, **fields)
    model.registered = kind
    return model


def kind_to_send(kind: Kind, registry: Registry[Any]) -> Any:
    """Return the kind as a pickle holds it: its name, or the kind itself if the user defined it.

    So a worker process also knows the kinds of a script or a notebook. A kind whose functions
    cannot be pickled by name, such as a lambda, is sent by its name; the worker must register it.
    """
    if kind.name.startswith(CUSTOM):
        return kind.function
    functions = [value for value in vars(kind).values() if callable(value)]
    is_ours = kind.function.__module__.split(".")[0] == __name__.split(".")[0]
    is_current = registry.get(kind.name) is kind
    return kind if is_current and not is_ours and all(map(_has_address, functions)) else kind.name


def _has_address(function: Any) -> bool:
    """Tell if pickle can find a function by its module and name."""
    try:
        found = operator.attrgetter(function.__qualname__)(sys.modules[function.__module__])
    except (AttributeError, KeyError):
        return False
    return found is function


def received_kind(sent: Any, registry: Registry[Any]) -> Kind:
    """Return the kind that `kind_to_send` sent; register a user's kind if it is new here."""
    if isinstance(sent, Kind):
        if sent.name not in registry:
            registry.add(sent.name, sent)
        sent = sent.name
    kind: Kind = registry[sent] if isinstance(sent, str) else custom_pattern(sent)
    return kind


def _spec_from(base: type[Spec], sent: Any, state: dict[str, Any]) -> Spec:
    model = spec_model(received_kind(sent, base.registry), base)
    spec = model.__new__(model)
    spec.__setstate__(state)
    return spec


@functools.cache
def custom_pattern(function: Any) -> PatternKind:
    """Return the kind of an unregistered callable, always the same for the same callable."""
    name = f"{CUSTOM}{getattr(function, '__qualname__', type(function).__qualname__)}"
    return PatternKind(name=name, function=function, parameters={}, settings={}, by_geo=True)


def _number_field(parameter: Parameter) -> tuple[Any, Any]:
    number: Any = Integer if parameter.domain.integer else Number
    bounds = Field(json_schema_extra=_bounds(parameter.domain))
    annotation = Annotated[number, AfterValidator(_inside(parameter.domain)), bounds]
    if parameter.spend_power:
        return (annotation | None, None)
    return (annotation, ... if parameter.default is REQUIRED else parameter.default)


def _bounds(domain: Domain) -> dict[str, Any]:
    """Bounds of a number as JSON Schema spells them."""
    lower = "exclusiveMinimum" if domain.open_lower else "minimum"
    upper = "exclusiveMaximum" if domain.open_upper else "maximum"
    bounds = {lower: domain.lower, upper: domain.upper}
    return {key: bound for key, bound in bounds.items() if np.isfinite(bound)}


def _inside(domain: Domain) -> Callable[[Any], Any]:
    def validate(value: Any) -> Any:
        if not domain.contains(value):
            raise ValueError(domain.describe())
        return value

    return validate


class KindOf:
    """Annotation of a field that holds a spec of a registered kind.

    Accepts the name of the kind, a mapping with ``kind`` and its keys, or a spec.
    """

    def __init__(self, base: type[Spec], default: str) -> None:
        self.registry = base.registry
        self.base = base
        self.default = default

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.validate,
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda spec: spec.model_dump(mode="json", exclude_none=True)
            ),
        )

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        models = [spec_model(kind, self.base) for kind in self.registry.values()]
        # A schema with a name of its own stands once, in the definitions of the JSON Schema.
        named = [
            {**model.__pydantic_core_schema__, "ref": f"{model.__name__}:{id(model)}"}
            for model in models
        ]
        names = core_schema.literal_schema(list(self.registry))
        described: dict[str, Any] = handler(core_schema.union_schema([names, *named]))
        return described

    def validate(self, value: Any) -> Spec:
        """Return the spec that `value` describes."""
        if isinstance(value, self.base):
            return value
        if isinstance(value, str):
            value = {"kind": value}
        if not isinstance(value, Mapping):
            raise ValueError(f"the name of a {self.registry.noun} or a mapping with 'kind'")
        name = value.get("kind", self.default)
        try:
            kind = self.registry[name if name is not None else self.default]
        except (UnknownKindError, TypeError) as error:
            raise fail(str(error), "kind") from None
        # Call pydantic directly to keep nested error paths; a ConfigError would cut them off.
        model = spec_model(kind, self.base)
        spec: Spec = model.__pydantic_validator__.validate_python({**value, "kind": kind.name})
        return spec

    def keys_of(self, value: Any) -> list[str]:
        """Return the keys of the kind that `value` names, or of all kinds if it names none."""
        name = value.get("kind") if isinstance(value, Mapping) else value
        name = self.default if name is None else name
        if not isinstance(name, str) or name not in self.registry:
            return sorted(self.flat_keys())
        return [
            key for key in spec_model(self.registry[name], self.base).model_fields if key != "kind"
        ]

    def schemas_of_keys(self) -> dict[str, dict[str, Any]]:
        """JSON Schema of every key of every kind, for the flat spelling."""
        found: dict[str, dict[str, dict[str, Any]]] = {}
        for kind in self.registry.values():
            properties = spec_model(kind, self.base).model_json_schema()["properties"]
            for key in properties.keys() - {"kind"}:
                found.setdefault(key, {})[kind.name] = properties[key]
        return {key: _for_all_kinds(found[key], len(self.registry)) for key in sorted(found)}

    def flat_keys(self) -> set[str]:
        """Return the keys of all kinds, which may stand beside the field instead of inside it."""
        return {key for kind in self.registry.values() for key in kind.keys} | (
            set(self.base.model_fields) - {"kind"}
        )


def _for_all_kinds(schemas: Mapping[str, dict[str, Any]], n_kinds: int) -> dict[str, Any]:
    """JSON Schema of a key that several kinds may have, given the schema for each of them."""
    texts: dict[str, list[str]] = {}
    branches: list[dict[str, Any]] = []
    for kind, schema in schemas.items():
        texts.setdefault(schema["description"], []).append(kind)
        branch = {
            name: part for name, part in schema.items() if name not in ("default", "description")
        }
        if branch not in branches:
            branches.append(branch)
    described = [
        text if len(kinds) == n_kinds else f"{', '.join(kinds)}: {text}"
        for text, kinds in texts.items()
    ]
    merged = branches[0] if len(branches) == 1 else {"anyOf": branches}
    return merged | {"description": "; ".join(described)}


def flat_keys_schema(
    *folded: KindOf, functions: Mapping[str, KindOf] | None = None
) -> Callable[[dict[str, Any]], None]:
    """Return a function that adds the flat spelling to a JSON Schema with the nested one.

    Parameters
    ----------
    *folded : KindOf
        Fields whose keys may stand beside them.
    functions : mapping of str to KindOf, optional
        Fields that have a ``<field>_fun`` and ``<field>_kwargs``.
    """

    def extend(schema: dict[str, Any]) -> None:
        properties = schema["properties"]
        for kind_of in folded:
            for key, key_schema in kind_of.schemas_of_keys().items():
                properties.setdefault(key, key_schema)
        for field, kind_of in (functions or {}).items():
            name = {"enum": [*kind_of.registry, None]}
            properties[f"{field}_fun"] = {"anyOf": [name, {"type": "array", "items": name}]}
            keys = {"type": ["object", "null"]}
            properties[f"{field}_kwargs"] = {"anyOf": [keys, {"type": "array", "items": keys}]}

    return extend


def fold(data: Mapping[str, Any], field: str, flat: set[str]) -> dict[str, Any]:
    """Return `data` with its `flat` keys moved into the spec under `field`."""
    found = {key: data[key] for key in data if key in flat}
    if not found:
        return dict(data)
    rest = {key: value for key, value in data.items() if key not in found}
    spec = rest.get(field)
    if isinstance(spec, Spec):
        key = next(iter(found))
        raise fail(f"found beside a ready spec of {field}, allowed: inside it", key)
    written = {"kind": spec} if spec is None or isinstance(spec, str) else spec
    if not isinstance(written, Mapping):
        key = next(iter(found))
        raise fail(f"found beside {field} {shown(spec)}, which takes no keys", key)
    twice = next((key for key in found if key in written), None)
    if twice:
        raise fail(f"found beside {field} and inside it, allowed: one of the two", twice)
    rest[field] = {**written, **found}
    return rest


def fold_function(data: Mapping[str, Any], field: str) -> dict[str, Any]:
    """Return `data` with ``<field>_fun`` and ``<field>_kwargs`` joined to specs under `field`."""
    name, arguments = f"{field}_fun", f"{field}_kwargs"
    if name not in data and arguments not in data:
        return dict(data)
    rest = {key: value for key, value in data.items() if key not in (name, arguments)}
    none = f"no_{field}"
    if field in data:
        found = name if name in data else arguments
        raise fail(f"found beside {field}, allowed: one of the two spellings", found)
    kinds, kwargs = data.get(name), data.get(arguments, {})
    if isinstance(kinds, list | tuple):
        kinds = [none if kind is None else kind for kind in kinds]
    elif name in data and kinds is None:
        kinds = none
    if isinstance(kinds, list | tuple) and isinstance(kwargs, list | tuple):
        if len(kinds) != len(kwargs):
            message = f"found {len(kwargs)} entries for {len(kinds)} of {name}, allowed: as many"
            raise fail(message, arguments)
        rest[field] = [_joined(*pair, field) for pair in zip(kinds, kwargs, strict=True)]
    elif isinstance(kinds, list | tuple):
        rest[field] = [_joined(kind, kwargs, field) for kind in kinds]
    elif isinstance(kwargs, list | tuple):
        rest[field] = [
            _joined(kinds, each, field, position) for position, each in enumerate(kwargs)
        ]
    else:
        rest[field] = _joined(kinds, kwargs, field)
    return rest


def _joined(kind: Any, kwargs: Any, field: str, position: int | None = None) -> dict[str, Any]:
    if kwargs is None:
        kwargs = {}
    if not isinstance(kwargs, Mapping):
        where = (f"{field}_kwargs",) if position is None else (f"{field}_kwargs", position)
        raise fail(f"found {shown(kwargs)}, allowed: a mapping of parameters", *where)
    return {"kind": kind, **kwargs}


EFFECT_PATH = KindOf(EffectPathSpec, "smooth")
EffectPath = Annotated[EffectPathSpec, EFFECT_PATH]
