"""Configuration of adstock and saturation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import ConfigDict, Discriminator, Field, Tag, model_validator

from mmm_xgen.config.base import BRANCHES, FrozenConfig, Switch
from mmm_xgen.config.channel import ADSTOCK, SATURATION, Adstock, Saturation
from mmm_xgen.config.descriptions import with_kinds
from mmm_xgen.config.specs import AdstockSpec, flat_keys_schema, fold_function
from mmm_xgen.kernels.adstock import ADSTOCKS
from mmm_xgen.kernels.saturation import SATURATIONS

Transform = TypeVar("Transform")


def _one_or_each(value: Any) -> str:
    return BRANCHES[1] if isinstance(value, list | tuple) else BRANCHES[0]


# One spec for all channels, or a tuple with one per channel.
OneOrEach = Annotated[
    Annotated[Transform, Tag(BRANCHES[0])] | Annotated[tuple[Transform, ...], Tag(BRANCHES[1])],
    Discriminator(_one_or_each),
]

_FLAT_KEYS = flat_keys_schema(functions={"adstock": ADSTOCK, "saturation": SATURATION})


@with_kinds(adstock=(ADSTOCKS, AdstockSpec), saturation=(SATURATIONS,))
class TransformConfig(FrozenConfig):
    """Adstock and saturation of all channels.

    Each key takes one value for all channels, or a list with one value per channel.

    Parameters
    ----------
    adstock : str, mapping or list of them, default "geometric_adstock"
        Kind of adstock: its name, or a mapping with ``kind`` and its keys.
    saturation : str, mapping or list of them, default "hill_function"
        Kind of saturation: its name, or a mapping with ``kind`` and its keys.
    adstock_fun : str or list of str, optional
        Kind of adstock, in the flat spelling. Cannot be combined with `adstock`.
    adstock_kwargs : mapping or list of mappings, optional
        Keys of the adstock, in the flat spelling.
    saturation_fun : str or list of str, optional
        Kind of saturation, in the flat spelling. Cannot be combined with `saturation`.
    saturation_kwargs : mapping or list of mappings, optional
        Keys of the saturation, in the flat spelling.
    spend_unit : {"currency", "base_spend"}, default "currency"
        Unit of spend in the saturation curves: 1 unit of currency, or the base spend of the
        channel.
    adstock_first : bool, default True
        If True, the saturation acts on the carry-over of spend. If False, the adstock acts on the
        saturated spend.

    Raises
    ------
    ConfigError
        If a key is unknown or a value has the wrong type or range.

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
