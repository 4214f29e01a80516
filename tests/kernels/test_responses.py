"""Responses that users register: one small function, and its states in the Dataset."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mmm_xgen as m
from mmm_xgen.errors import ConfigError
from mmm_xgen.kernels.domain import Share
from mmm_xgen.kernels.responses import RESPONSES
from mmm_xgen.schema import check_whole
from mmm_xgen.truth import mroas, roas
from tests.population import made, pressures, whole_spend
from tests.truth.worlds import assert_near


def word_of_mouth(state: Any, pressure: Any, *, forget: Share = 0.2, spread: Share = 0.3) -> Any:
    """Aware people, who tell others: the next state is no straight line of the last."""
    aware = state[0]
    reached = 1 - np.exp(-(0.02 + pressure + spread * aware))
    aware = (1 - forget) * aware + reached * (1 - aware)
    return (aware,), aware


@pytest.fixture
def registered() -> Iterator[None]:
    m.register_response("word_of_mouth", states=("aware",))(word_of_mouth)
    yield
    RESPONSES.remove("word_of_mouth")


@pytest.mark.usefixtures("registered")
def test_a_user_adds_a_kind_by_one_function(tmp_path: Path) -> None:
    ds = made({"kind": "word_of_mouth", "spread": 0.5})
    spend, n_past = whole_spend(ds), ds.sizes["history_date"]
    for geo, pressure in enumerate(pressures(ds, spend).T):
        aware, found = 0.0, []
        for pressed in [0.0] * 2000 + pressure.tolist():
            aware = 0.8 * aware + (1 - np.exp(-(0.02 + pressed + 0.5 * aware))) * (1 - aware)
            found.append(aware)
        shown = ds["state_aware"].isel(geo=geo)
        assert_near(shown, found[2000 + n_past :], 1e-11)
        size = float(ds["response_size"][geo])
        sold = ds["channel_contribution"].sum("channel") + ds["remainder_contribution"]
        wanted = size * (np.array(found[2000 + n_past :]) - found[1999])
        assert_near(sold.isel(geo=geo), wanted, 1e-9, size)
    assert ds["state_aware"].attrs["long_name"] == "state of the population aware"
    assert_near(mroas(ds), mroas(ds, delta=1e-7), 1e-5)
    assert (roas(ds, with_carryout=True) > 0).all()
    m.to_netcdf(ds, tmp_path / "ds.nc")
    assert m.load(tmp_path / "ds.nc").identical(ds)
    national = ds.mmm.aggregate()
    assert national["state_aware"].isnull().all()
    check_whole(national)


def test_a_function_of_other_arguments_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"f\(state, pressure, \*, \.\.\.\)"):

        @m.register_response("wrong", states=("aware",))
        def wrong(pressure: Any) -> Any:
            return pressure


@pytest.mark.usefixtures("registered")
def test_a_population_that_comes_to_no_rest_is_refused() -> None:
    @m.register_response("runaway", states=("stock",))
    def runaway(state: Any, pressure: Any) -> Any:
        return (0.5 * state[0] + 1e6 * np.sin(1e3 * state[0] + 1) + pressure,), state[0]

    try:
        with pytest.raises(ConfigError, match="come to no rest") as error:
            made("runaway")
    finally:
        RESPONSES.remove("runaway")
    assert error.value.path == "response"
