"""Returns by channel and by geo: what is drawn against the truth, not its pixels."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import mmm_xgen
from mmm_xgen import (
    ChannelConfig,
    ConfigError,
    MMMDataConfig,
    SchemaError,
)
from mmm_xgen.aggregate import aggregate
from mmm_xgen.plots.overview import plot_overview
from mmm_xgen.plots.panels import MOST_ROWS
from mmm_xgen.plots.returns import ALL_GEOS, MOST_COLUMNS, plot_roas
from mmm_xgen.plots.selection import by_size
from mmm_xgen.plots.style import plain_text
from mmm_xgen.plots.tables import MOST_NUMBERS, doublings_of
from mmm_xgen.truth import mroas, roas
from tests.drawing import drawn, generated, odd, rows_of, texts_of
from tests.strategies import quietly


@pytest.fixture(scope="module")
def ds() -> xr.Dataset:
    return mmm_xgen.generate_mmm_dataset()


def test_bars_and_diamonds_are_the_returns(ds: xr.Dataset) -> None:
    [axes] = drawn(plot_roas(ds)).axes
    order = by_size(ds)
    assert rows_of(axes) == order
    widths = [bar.get_width() for bar in axes.patches]
    np.testing.assert_allclose(widths, roas(ds).sel(channel=order))
    diamonds, break_even = axes.get_lines()
    np.testing.assert_allclose(diamonds.get_xdata(), mroas(ds).sel(channel=order))
    assert list(break_even.get_xdata()) == [1.0, 1.0]
    assert {"2.40", "1.50", "3.00", "ROAS", "mROAS"} <= {*texts_of(axes)}


def test_the_title_counts_who_earns_the_cost_back() -> None:
    ds = generated(3, n_periods=26, roas=[0.5, 1.5, 2.5], currency="EUR", kpi="orders")
    figure = plot_roas(ds)
    assert figure.axes[0].get_xlabel() == "revenue (EUR) per EUR of spend"
    beyond = int((mroas(ds) >= 1).sum())
    title = figure.get_suptitle()
    assert (
        f"2 of 3 channels earn their cost back; one more unit of spend would in {beyond}" in title
    )
    assert "2022-01-03 to 2022-06-27" in title


def test_the_legend_says_what_the_marks_are(ds: xr.Dataset) -> None:
    figure = plot_roas(ds)
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert [name.split(":")[0] for name in names] == ["ROAS", "mROAS", "break-even"]


def test_a_window_is_the_truths(ds: xr.Dataset) -> None:
    figure = plot_roas(ds, window="2022-03")
    widths = [bar.get_width() for bar in figure.axes[0].patches]
    np.testing.assert_allclose(widths, roas(ds, window="2022-03").sel(channel=by_size(ds)))
    assert "2022-03-07 to 2022-03-28" in figure.get_suptitle()


def test_cells_are_the_returns_by_geo_below_those_of_all(ds: xr.Dataset) -> None:
    left, right, scale = drawn(plot_roas(ds, by="geo")).axes
    order, geos = by_size(ds), list(ds.geo.values)
    assert rows_of(left) == [ALL_GEOS, *geos]
    assert [text.get_text() for text in left.get_xticklabels()] == order
    for axes, function in ((left, roas), (right, mroas)):
        cells = np.asarray(axes.collections[0].get_array()).reshape(1 + len(geos), len(order))
        each = function(ds, by=("geo", "channel")).sel(geo=geos, channel=order)
        np.testing.assert_allclose(cells[0], np.log2(function(ds).sel(channel=order)))
        np.testing.assert_allclose(cells[1:], np.log2(each))
    assert "revenue" in scale.get_ylabel()


def test_one_geo_has_no_row_of_all() -> None:
    ds = generated(2, n_regions=1)
    figure = plot_roas(ds, by="geo")
    assert rows_of(figure.axes[0]) == list(ds.geo.values)
    assert str(ds.geo.values[0]) in figure.get_suptitle()


def test_cells_have_numbers_while_there_is_room() -> None:
    few, many = (
        plot_roas(generated(n, n_periods=10), by="geo") for n in (MOST_NUMBERS, MOST_NUMBERS + 1)
    )
    assert len(few.axes[0].texts) == 3 * MOST_NUMBERS
    assert not many.axes[0].texts


def test_channels_without_spend_or_effect_are_shown_as_such() -> None:
    ds = odd()
    [axes] = drawn(plot_roas(ds)).axes
    assert sorted(rows_of(axes)) == sorted(map(plain_text, ds.channel.values.tolist()))
    row = rows_of(axes).index("silent")
    assert texts_of(axes)[row] == "no spend"
    left, right, _ = drawn(plot_roas(ds, by="geo")).axes
    for panel in (left, right):
        cells = panel.collections[0].get_array().reshape(-1, 5)
        names = [text.get_text() for text in panel.get_xticklabels()]
        assert cells.mask[:, names.index("silent")].all()
        # No effect is the end of the scale, not a gap in it.
        assert not cells.mask[:, names.index("placebo")].any()


def test_small_returns_keep_three_figures(ds: xr.Dataset) -> None:
    small = ds.assign(revenue_per_kpi=1e-3 * ds.revenue_per_kpi)
    returns = roas(small).sel(channel=by_size(small)).to_numpy()
    wanted = {f"{value:#.3g}" for value in returns}
    assert all(len(text.lstrip("0.")) == 3 for text in wanted)
    for figure in (plot_roas(small), plot_overview(small)):
        texts = {text.get_text() for axes in figure.axes for text in axes.texts}
        assert wanted <= texts
    cells = plot_roas(small, by="geo").axes[0].texts
    assert wanted <= {text.get_text() for text in cells}
    assert all(text.get_text() not in ("0.00", "0.01") for text in cells)


def test_nothing_spent_at_all_is_drawn() -> None:
    channel = ChannelConfig(name="TV", base_spend=0.0, base_effectiveness=0.0)
    ds = quietly(lambda: mmm_xgen.generate_mmm_dataset(MMMDataConfig(channels=[channel])))
    for by in ("channel", "geo"):
        assert "no spend" in drawn(plot_roas(ds, by=by)).get_suptitle()


def test_an_aggregated_dataset_has_no_marginal_returns(ds: xr.Dataset) -> None:
    months = aggregate(ds, freq="MS")
    [axes] = plot_roas(months).axes
    widths = [bar.get_width() for bar in axes.patches]
    np.testing.assert_allclose(widths, roas(months).sel(channel=by_size(months)))
    assert "mROAS" not in texts_of(axes)
    assert len(plot_roas(months, by="geo").axes) == 2


def test_many_rows_are_paged_and_many_columns_cut() -> None:
    ds = generated(MOST_ROWS + 2, MOST_ROWS + 1, n_periods=4)
    figure = plot_roas(ds, page=2)
    assert rows_of(figure.axes[0]) == by_size(ds)[MOST_ROWS:]
    assert "channels 41 to 42 of 42, page 2 of 2" in figure.get_suptitle()
    table = plot_roas(ds, by="geo", page=2)
    assert rows_of(table.axes[0]) == [ALL_GEOS, str(ds.geo.values[-1])]
    assert f"the {MOST_COLUMNS} largest of 42 channels" in table.get_suptitle()
    with pytest.raises(ConfigError, match="page: found 3, allowed: 1 to 2"):
        plot_roas(ds, page=3)


def test_the_colours_reach_as_far_as_the_ratios() -> None:
    assert doublings_of(np.array([0.1, np.nan, np.inf])) == 4.0
    assert doublings_of(np.array([np.nan])) == 1.0
    assert doublings_of(np.array([1e9])) == 4.0


def test_words_and_datasets_that_do_not_fit_are_refused(ds: xr.Dataset) -> None:
    with pytest.raises(ConfigError, match="by: found 'gea', did you mean 'geo'"):
        plot_roas(ds, by="gea")  # type: ignore[arg-type]
    with pytest.raises(SchemaError, match="channel_contribution"):
        plot_roas(ds[["y", "spend"]])
    with pytest.raises(ConfigError, match="window"):
        plot_roas(ds, window="1999")
