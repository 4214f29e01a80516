"""Figures as the tests of the plots draw them."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import mmm_xgen
from mmm_xgen import ChannelConfig, MMMDataConfig, RegionConfig, TransformConfig


def drawn(figure: Figure, dpi: float = 40) -> Figure:
    """Draw for real, once: matplotlib warns, and with it the test fails, only here."""
    usual, figure.dpi = figure.dpi, dpi
    FigureCanvasAgg(figure).draw()
    figure.dpi = usual
    return figure


def generated(n_channels=3, n_regions=2, n_periods=52, names=None, **settings):
    names = names or [f"channel {position}" for position in range(n_channels)]
    # Contributions differ, so that their order does not hang on the noise.
    channels = [
        ChannelConfig(name=name, base_spend=1000.0 * 1.2 ** (len(names) - position), roas=2.0)
        for position, name in enumerate(names)
    ]
    base = 10 * sum(channel.base_spend for channel in channels)
    config = MMMDataConfig(
        channels=channels,
        regions=RegionConfig(n_regions=n_regions, base_sales_rate=base),
        # Short enough for the default l_max at every frequency.
        transforms=TransformConfig(adstock_kwargs={"alpha": 0.3}),
        n_periods=n_periods,
        **settings,
    )
    return mmm_xgen.generate_mmm_dataset(config)


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
