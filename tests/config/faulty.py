"""Configurations with a fault, and what comes of building them."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import xarray as xr

from mmm_xgen.errors import ConfigError
from tests.strategies import (
    assert_valid,
    config_with,
    quietly,
    steady,
)


def three_channels(**last: Any) -> dict[str, Any]:
    """Mapping of three channels, the last with the given keys."""
    return config_with(
        steady("TV"), steady("Radio", pattern="seasonal"), steady("Web", pattern="on_off") | last
    )


def with_field(path: str, value: Any) -> dict[str, Any]:
    """Copy of a valid mapping with one dotted entry set."""
    config: Any = three_channels()
    config["transforms"] = {"adstock_fun": "geometric_adstock", "adstock_kwargs": {"alpha": 0.5}}
    config["control_variables"] = [{"name": "Price", "pattern": "linear_trend"}]
    config["regions"]["n_regions"] = 3
    node, keys = config, path.split(".")
    for key, following in itertools.pairwise(keys):
        if isinstance(node, list):
            node = node[int(key)]
        else:
            node = node.setdefault(key, [] if following.isdigit() else {})
    if isinstance(node, list):
        node[int(keys[-1])] = value
    else:
        node[keys[-1]] = value
    return config


def refusal(build: Callable[[], Any]) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        quietly(build)
    error = caught.value
    assert "\n" not in str(error)
    assert "pydantic" not in str(error).lower()
    assert str(error).startswith(error.path)
    return error


def outcome(build: Callable[[], xr.Dataset]) -> str:
    """ "dataset" or "refused"; any other exception or warning passes through."""
    try:
        ds = quietly(build)
    except ConfigError as error:
        assert "\n" not in str(error)
        assert str(error)
        return "refused"
    assert_valid(ds)
    return "dataset"
