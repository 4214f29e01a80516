"""Settings that are legal and questionable: a warning that names the channel and the figure."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mmm_xgen as m
from tests.strategies import config_with, generate, steady, warnings_of


def warnings_from(*channels: dict[str, Any], **fields: Any) -> list[str]:
    mapping = config_with(*channels, **fields)
    return warnings_of(lambda: m.generate_mmm_dataset(m.MMMDataConfig(**mapping)))


def test_media_above_60_percent_of_sales_warns() -> None:
    curve = {"kind": "hill_function", "slope": 1.0, "kappa": 100.0}
    messages = warnings_from(steady(base_spend=9000.0, base_effectiveness=4.0, saturation=curve))
    assert any("media" in text.lower() and "%" in text for text in messages), messages


@pytest.mark.parametrize("roas", [0.05, 25.0])
def test_roas_outside_its_plausible_range_warns(roas: float) -> None:
    channel = {"name": "Billboard", "pattern": "linear_trend", "base_spend": 10.0, "roas": roas}
    messages = warnings_from(channel)
    assert any("roas" in text.lower() and "Billboard" in text for text in messages), messages
    assert not warnings_from(channel | {"roas": 1.0})


@pytest.mark.parametrize(
    "idle",
    [
        {"base_spend": 0.0, "pattern": "linear_trend"},
        {"pattern": "on_off", "activation_probability": 0.0},
        {"pattern": "delayed_start", "start_period": 52},
        {"pattern": "delayed_start", "start_period": 51, "ramp_up_periods": 40, "base_spend": 0.0},
    ],
)
def test_a_channel_that_never_runs_warns_by_name_and_does_nothing(idle: dict[str, Any]) -> None:
    channels = [{"name": "Ghost", "spend_volatility": 0.3} | idle, steady("TV")]
    messages = warnings_from(*channels)
    assert any("Ghost" in text for text in messages), messages
    ds = generate(config_with(*channels))
    assert (ds["spend"].sel(channel="Ghost") == 0).all()
    assert (ds["channel_contribution"].sel(channel="Ghost") == 0).all()
    assert np.isfinite(ds["y"]).all()
    assert m.to_frame(ds)["x1-Ghost"].eq(0).all()


def test_two_channels_that_move_together_warn_by_name() -> None:
    twins = [steady(name, spend_trend=0.02) for name in ("Left", "Right")]
    messages = warnings_from(*twins)
    assert any("Left" in text and "Right" in text for text in messages), messages


def test_a_plausible_config_is_silent() -> None:
    assert not warnings_from(
        {"name": "TV", "pattern": "on_off", "base_spend": 1000.0, "roas": 1.2},
        {"name": "Web", "pattern": "always_on", "base_spend": 500.0, "roas": 2.0},
        n_periods=104,
        regions={"sales_volatility": 0.05},
    )
