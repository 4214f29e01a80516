"""Base of the configuration models: frozen, strict, with errors that name the user's path."""

from __future__ import annotations

import datetime
import inspect
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import numpy as np
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetJsonSchemaHandler,
    Strict,
    ValidationError,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticCustomError

from mmm_xgen.config.descriptions import Description, parameters, summary
from mmm_xgen.config.names import (
    NAMED_LISTS,
    as_part,
    entry_names,
    join_path,
    position_part,
)
from mmm_xgen.errors import ConfigError, nearest
from mmm_xgen.errors import shown as shown  # for the other modules of this package

Number = Annotated[float, Strict()]
Integer = Annotated[int, Strict()]
Switch = Annotated[bool, Strict()]
# Sales that an effect is a share of.
Scales = Literal["base_sales", "baseline"]

# Levels of mappings and lists; a configuration has about six.
LARGEST_DEPTH = 100

# Tags of the two branches of a field that takes one value or a list; never part of a path.
BRANCHES = ("<one>", "<each>")

PLAIN_WORDS = {
    "a valid tuple": "a list",
    "a valid list": "a list",
    "a valid dictionary or instance of": "a mapping of keys to values for",
    "a valid number": "a number",
    "a valid integer": "a whole number",
    "a valid string": "a text",
    "a valid boolean": "true or false",
    "greater than or equal to": "at least",
    "less than or equal to": "at most",
    "greater than": "above",
    "less than": "below",
}


if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass
else:
    ModelMetaclass = type(BaseModel)


def _default_shown(field: FieldInfo) -> Any:
    if field.is_required():
        return inspect.Parameter.empty
    return field.default_factory or field.default


class _RaisesConfigError(ModelMetaclass):
    """Raise `ConfigError` instead of pydantic's errors, once, where the user called."""

    @property
    def __signature__(self) -> inspect.Signature:
        """Fields and their defaults, for `help()` and notebooks."""
        shown = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=_default_shown(field))
            for name, field in self.model_fields.items()  # type: ignore[attr-defined]
        ]
        if len(self._keys({})) > len(shown):  # type: ignore[attr-defined]
            shown.append(inspect.Parameter("flat_keys", inspect.Parameter.VAR_KEYWORD))
        return inspect.Signature(shown)

    @__signature__.setter
    def __signature__(self, signature: Any) -> None:
        """Ignore the signature that pydantic sets: it shows validators, not defaults."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().__call__(*args, **kwargs)
        except ValidationError as error:
            raise config_error(error, kwargs) from None
        except RecursionError:
            raise too_deep() from None


class FrozenConfig(BaseModel, metaclass=_RaisesConfigError):
    """Base of all configuration models: immutable, strict, without unknown keys."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        arbitrary_types_allowed=True,
        defer_build=True,
    )

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Build the model from a mapping; errors name the paths of the mapping."""
        if not isinstance(data, Mapping):
            raise ConfigError(f"found {shown(data)}, allowed: a mapping of keys to values")
        return cls.model_validate(dict(data))

    @classmethod
    def model_validate(cls, obj: Any, **options: Any) -> Self:
        """Build the model from a mapping, as pydantic does, but raise `ConfigError`."""
        try:
            return super().model_validate(obj, **options)
        except ValidationError as error:
            raise config_error(error, obj) from None
        except RecursionError:
            raise too_deep() from None

    @classmethod
    def model_validate_json(cls, json_data: str | bytes | bytearray, **options: Any) -> Self:
        """Build the model from JSON text, as pydantic does, but raise `ConfigError`."""
        return cls.model_validate(parse_json(json_data), **options)

    def replace(self, **changes: Any) -> Self:
        """Return the same model with some fields changed, validated again."""
        kept = {name: getattr(self, name) for name in self.model_fields_set}
        return type(self)(**{**kept, **changes})

    @model_validator(mode="before")
    @classmethod
    def _only_known_keys(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        for key in data:
            if key not in cls.model_fields:
                known = nearest(str(key), cls._keys(data))
                # Escape control characters and unpaired surrogates in the key.
                text = str(key) if str(key).isprintable() else repr(key)[1:-1]
                context = {"owner": cls._owner(), "known": known, "key": text}
                raise PydanticCustomError(
                    "unknown_key", "{owner} has no such key; {known}", context
                )
        return {key: plain(value) for key, value in data.items()}

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: Any, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        reference = handler(core_schema)
        schema = handler.resolve_ref_schema(reference)
        schema["description"] = summary(cls)
        descriptions = cls._descriptions()
        for name, part in schema["properties"].items():
            # Pydantic's title repeats the name.
            part.pop("title", None)
            if name in descriptions:
                part["description"] = descriptions[name].text
        return reference

    @classmethod
    def _descriptions(cls) -> dict[str, Description]:
        """Return the description of every key."""
        return parameters(cls)

    @classmethod
    def _keys(cls, data: Mapping[str, Any]) -> list[str]:
        """Return the keys to offer when an unknown one is found in `data`."""
        return list(cls.model_fields)

    @classmethod
    def _owner(cls) -> str:
        """Return the name of the model for messages."""
        return cls.__name__


def plain(value: Any) -> Any:
    """Convert NumPy scalars and arrays to Python's numbers and lists, and dates to text."""
    if isinstance(value, datetime.date):
        return value.isoformat()[:10]
    if isinstance(value, np.datetime64 | np.ndarray) and value.dtype.kind == "M":
        # `tolist` would turn dates in nanoseconds, as those of a Dataset, into numbers.
        value = value.astype("datetime64[D]").astype(str)
    if isinstance(value, list | tuple):
        return type(value)(map(plain, value)) if type(value) in (list, tuple) else value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    return value


def parse_json(text: str | bytes | bytearray) -> Any:
    """Return the contents of JSON text.

    Raises
    ------
    ConfigError
        If the text is not JSON, has a key twice, or has values that are nested too deep.
    """
    if isinstance(text, str):
        text = text.removeprefix("\ufeff")
    try:
        data = json.loads(text, object_pairs_hook=_unique, parse_constant=_refused)
    except ConfigError:
        raise
    except (TypeError, ValueError) as error:
        raise ConfigError(f"this is not valid JSON: {error}") from None
    except RecursionError:
        raise too_deep() from None
    level = [data]
    for _ in range(LARGEST_DEPTH):
        blocks = [each for each in level if isinstance(each, dict | list)]
        level = [
            part for each in blocks for part in (each.values() if isinstance(each, dict) else each)
        ]
    if level:
        raise too_deep()
    return data


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise ConfigError(f"found the key {shown(twice)} twice")
    return found


def _refused(constant: str) -> None:
    raise ValueError(f"found {constant}, allowed: finite numbers")


def too_deep() -> ConfigError:
    """Return the error for values that are nested too deep."""
    return ConfigError(f"found values nested too deep, allowed: {LARGEST_DEPTH} levels")


def fail(message: str, *path: str | int) -> PydanticCustomError:
    """Return an error for a validator to raise, at `path` below the model that it validates."""
    escaped = message.replace("{", "{{").replace("}", "}}")
    return PydanticCustomError("at_path", escaped, {"below": path})


def config_error(error: ValidationError, data: Any) -> ConfigError:
    """Turn an error of pydantic into a `ConfigError` of one line, at the path the user wrote."""
    details = error.errors()
    # Drop pydantic's follow-up `too_short` error: it comes from a bad entry of the list.
    details = [detail for detail in details if detail["type"] != "too_short"] or details
    first = details[0]
    path = join_path(_as_spelled(_location(first), data))
    message = _message(first)
    if len(details) > 1:
        message += f" (and {len(details) - 1} more)"
    return ConfigError(message, path=path)


def _location(detail: ErrorDetails) -> tuple[str | int, ...]:
    context = detail.get("ctx", {})
    location = tuple(part for part in detail["loc"] if part not in BRANCHES)
    if detail["type"] == "unknown_key":
        return (*location, as_part(context["key"]))
    if detail["type"] == "at_path":
        return (*location, *context["below"])
    return location


def _message(detail: ErrorDetails) -> str:
    if detail["type"] in ("unknown_key", "at_path"):
        return detail["msg"]
    if detail["type"] == "missing":
        return "missing; give it a value"
    if detail["type"] == "too_short":
        return (
            f"found {shown(detail['input'])}, allowed: at least {detail['ctx']['min_length']} entry"
        )
    reason = detail["msg"].removeprefix("Value error, ")
    allowed = re.sub("^(Input|JSON input) should be ", "", reason)
    for technical, plain_words in PLAIN_WORDS.items():
        allowed = allowed.replace(technical, plain_words)
    return f"found {shown(detail['input'])}, allowed: {allowed}{_in_yaml(detail)}"


def _in_yaml(detail: ErrorDetails) -> str:
    """Return advice on values that YAML reads as another type than the user meant."""
    found = detail["input"]
    if detail["type"] == "string_type" and not isinstance(found, list | tuple | Mapping):
        return "; in YAML put it in quotes"
    is_number = detail["type"] in ("float_type", "int_type") and isinstance(found, str)
    if is_number and re.fullmatch(r"[-+]?[0-9][0-9_:]*(\.[0-9_]*)?|0[ob][0-7]+", found):
        return "; write digits without quotes, leading zeros, '_' or ':'"
    return ""


def _as_spelled(location: Sequence[str | int], data: Any) -> list[str | int]:
    """Return a path in the spelling of `data`, in which flat keys stand for nested ones.

    ``adstock.alpha`` becomes ``adstock_kwargs.alpha``, ``adstock.kind`` becomes ``adstock_fun``
    and ``pattern.seasonal_phase`` becomes ``seasonal_phase`` if the user wrote those.
    """
    spelled: list[str | int] = []
    node = data
    for position, part in enumerate(location):
        is_last = position == len(location) - 1
        if isinstance(node, Mapping) and not isinstance(part, int):
            following = None if is_last else location[position + 1]
            if part in node and (is_last or not _is_flat(node, part, following)):
                spelled.append(part)
                node = node[part]
            elif location[-1] == "kind" and f"{part}_fun" in node:
                return [*spelled, f"{part}_fun", *location[position + 1 : -1]]
            elif part not in node and (flat := _function_key(node, part)):
                spelled.append(flat)
                node = node[flat]
            elif is_last:
                spelled.append(part)
        elif isinstance(node, Sequence) and not isinstance(node, str) and isinstance(part, int):
            prefix = NAMED_LISTS.get(str(spelled[-1])) if len(spelled) == 1 else None
            names = [] if prefix is None else entry_names(node, prefix)
            spelled.append(position_part(part, names))
            node = node[part] if part < len(node) else None
        elif part != "kind" and not (isinstance(part, int) and isinstance(node, Mapping)):
            spelled.append(part)
    return spelled


def _function_key(node: Mapping[str, Any], part: str) -> str | None:
    """Return ``<part>_kwargs`` or ``<part>_fun``: the one in `node`, or the one with a list."""
    keys = [key for key in (f"{part}_kwargs", f"{part}_fun") if key in node]
    lists = [key for key in keys if isinstance(node[key], list | tuple)]
    return next(iter(lists + keys), None)


def _is_flat(node: Mapping[str, Any], part: str, following: str | int | None) -> bool:
    """Tell if `following` stands beside `part` in `node` and not below it."""
    if isinstance(following, int):
        return False
    return not isinstance(node[part], Mapping) and following in node


def _day(value: Any) -> str | None:
    """Return the ISO text of a day. `plain` has already turned dates into text."""
    if value is None:
        return None
    try:
        if not isinstance(value, str) or not re.fullmatch(r"\d{4}-\d\d-\d\d", value):
            raise ValueError
        return datetime.date.fromisoformat(value).isoformat()
    except ValueError:
        raise ValueError("an ISO date such as '2022-01-03'") from None


Day = Annotated[str | None, BeforeValidator(_day)]
