"""Configuration of adstock and saturation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import ConfigDict, Discriminator, Field, Tag, model_validator

from mmm_xgen.config.base import BRANCHES, FrozenConfig, Switch
from mmm_xgen.config.channel import ADSTOCK, SATURATION, Adstock, Saturation
from mmm_xgen.config.specs import flat_keys_schema, fold_function

Transform = TypeVar("Transform")


def _one_or_each(value: Any) -> str:
    return BRANCHES[1] if isinstance(value, list | tuple) else BRANCHES[0]


# One spec for all channels, or a tuple with one for each.
OneOrEach = Annotated[
    Annotated[Transform, Tag(BRANCHES[0])] | Annotated[tuple[Transform, ...], Tag(BRANCHES[1])],
    Discriminator(_one_or_each),
]

_FLAT_KEYS = flat_keys_schema(functions={"adstock": ADSTOCK, "saturation": SATURATION})


class TransformConfig(FrozenConfig):
    """Adstock and saturation of all channels.

    Parameters
    ----------
    adstock_fun : str or list of str
        Kind of adstock, under PyMC-Marketing's function name; one for all channels, or a list
        with one a channel.
    adstock_kwargs : mapping or list of mappings
        Its parameters, and ``l_max``, ``normalize``, ``half_life``.
    saturation_fun, saturation_kwargs : likewise
        Kind and parameters of the saturation. A parameter that carries the unit of spend and is
        not given follows from the base spend of the channel.
    spend_unit : {"currency", "base_spend"}
        What the saturation counts spend in: 1 currency unit, or the base spend of the channel.
    adstock_first : bool
        Whether saturation acts on carried-over spend, or carry-over on saturated spend.

    Examples
    --------
    >>> transforms = TransformConfig(adstock_fun="geometric_adstock", adstock_kwargs={"alpha": 0.5})
    >>> transforms.adstock.kind, transforms.adstock.parameters
    ('geometric_adstock', {'alpha': 0.5})
    """

    model_config = ConfigDict(json_schema_extra=_FLAT_KEYS)

    adstock: OneOrEach[Adstock] = Field(default="geometric_adstock", validate_default=True)
    saturation: OneOrEach[Saturation] = Field(default="hill_function", validate_default=True)
    spend_unit: Literal["currency", "base_spend"] = "currency"
    adstock_first: Switch = True

    @model_validator(mode="before")
    @classmethod
    def _nest(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        return fold_function(fold_function(data, "adstock"), "saturation")

    @classmethod
    def _keys(cls, data: Mapping[str, Any]) -> list[str]:
        flat = ["adstock_fun", "adstock_kwargs", "saturation_fun", "saturation_kwargs"]
        return [*cls.model_fields, *flat]
