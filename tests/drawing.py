"""Figures as the tests of the plots draw them."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import mmm_xgen
from mmm_xgen import ChannelConfig, ControlConfig, MMMDataConfig, RegionConfig, TransformConfig
from tests.strategies import quietly


def drawn(figure: Figure, dpi: float = 40) -> Figure:
    """Draw for real, once: matplotlib warns, and with it the test fails, only here."""
    usual, figure.dpi = figure.dpi, dpi
    FigureCanvasAgg(figure).draw()
    figure.dpi = usual
    return figure


def generated(
    n_channels=3, n_regions=2, n_periods=52, names=None, *, controls=0, roas=2.0, regions=None,
    transforms=None, **settings,
):  # fmt: skip
    """Dataset of channels, geos and controls (their number or names) of a given number."""
    names = names or [f"channel {position}" for position in range(n_channels)]
    returns = np.broadcast_to(roas, len(names)).tolist()
    # Contributions differ, so that their order does not hang on the noise.
    channels = [
        ChannelConfig(
            name=name, base_spend=1000.0 * 1.2 ** (len(names) - place), roas=returns[place]
        )
        for place, name in enumerate(names)
    ]
    base = 10 * sum(channel.base_spend for channel in channels)
    if isinstance(controls, int):
        controls = [f"control {position}" for position in range(controls)]
    config = MMMDataConfig(
        channels=channels,
        control_variables=[
            ControlConfig(name=name, base_value=10.0, gamma_control=5.0 * (place + 1))
            for place, name in enumerate(controls)
        ],
        regions=RegionConfig(**{"n_regions": n_regions, "base_sales_rate": base} | (regions or {})),
        # Short enough for the default l_max at every frequency.
        transforms=TransformConfig(**{"adstock_kwargs": {"alpha": 0.3}} | (transforms or {})),
        n_periods=n_periods,
        **settings,
    )
    return quietly(lambda: mmm_xgen.generate_mmm_dataset(config))


def odd():
    """A vertical start, constant spend, no effect, no spend, one burst; odd names."""
    root = {"saturation_fun": "root_saturation", "saturation_kwargs": {"alpha": 0.5}}
    rare = {"pattern": "event_spikes", "spike_dates": ["02-14"], "rest_level": 0.0}
    channels = [
        ChannelConfig(name="US$ and CA$", roas=2.0, **root),
        ChannelConfig(name="_" + "long $ " * 12 + "12", roas=1.0, spend_volatility=0.0),
        ChannelConfig(name="placebo", base_effectiveness=0.0),
        ChannelConfig(name="silent", base_spend=0.0, base_effectiveness=0.0),
        ChannelConfig(name="burst", base_effectiveness=0.1, **rare),
    ]
    config = MMMDataConfig(channels=channels, n_periods=30)
    return quietly(lambda: mmm_xgen.generate_mmm_dataset(config))


def title(figure):
    return figure.axes[0].get_title(loc="left")


def legend_names(figure):
    return [text.get_text() for text in figure.axes[0].get_legend().get_texts()]


def row_names(figure):
    return [text.get_text() for text in figure.axes[0].get_yticklabels()]


def row_texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def panels(figure):
    return {axes.get_label(): axes for axes in figure.axes}


def titles(figure: Figure) -> list[str]:
    return [axes.get_title(loc="left") for axes in figure.axes]


def rows_of(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.get_yticklabels()]


def texts_of(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def observed(ds):
    coords = {"date", "geo", "channel", "control", "channel_column", "control_column"}
    kept = ds[["y", "spend", "control_value"]]
    kept = kept.drop_vars([name for name in kept.coords if name not in coords])
    kept.attrs = {"freq": ds.attrs["freq"]}
    return kept
