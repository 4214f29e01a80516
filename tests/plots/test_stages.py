"""Stages of the response and adstock kernels: what is in the pictures, not their pixels."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

import mmm_xgen
from mmm_xgen import ChannelConfig, MMMDataConfig, RegionConfig
from mmm_xgen.aggregate import aggregate
from mmm_xgen.plots.selection import by_size
from mmm_xgen.plots.stages import plot_adstock_kernels, plot_response_stages
from mmm_xgen.plots.style import CHANNEL_COLOURS
from mmm_xgen.truth import estimands
from tests.drawing import drawn, generated

VARIED = {"channel_param_variation": 0.2, "transform_variation": 0.2}


def rows_of(figure):
    """Rows of three panels by their names."""
    panels = figure.axes
    return {panels[at].get_ylabel(): panels[at : at + 3] for at in range(0, len(panels), 3)}


def panels_of(figure):
    return {axes.get_title(loc="left"): axes for axes in figure.axes}


def tops(area):
    """Upper edge of a filled area at each of its points, from left to right."""
    points = area.get_paths()[0].vertices
    return [points[points[:, 0] == x, 1].max() for x in np.unique(points[:, 0])]


def line_of(axes):
    (line,) = axes.get_lines()
    return line.get_ydata()


@pytest.fixture(scope="module")
def ds():
    return generated(3, 4, regions=VARIED)


# --- stages


def test_each_channel_has_a_row_of_its_three_stages(ds):
    rows = rows_of(drawn(plot_response_stages(ds)))
    assert list(rows) == by_size(ds)
    for name, (spend, carryover, saturated) in rows.items():
        here = ds.sel(channel=name)
        (area,) = spend.collections
        np.testing.assert_allclose(tops(area), here.spend.sum("geo"))
        np.testing.assert_allclose(line_of(carryover), here.carryover.sum("geo"))
        # By effect, a mean over geos is what the channel contributes of what it could.
        share = here.channel_contribution.sum("geo") / here.effect.sum("geo")
        np.testing.assert_allclose(line_of(saturated), share)


def test_spend_and_what_is_carried_over_share_a_scale(ds):
    for spend, carryover, saturated in rows_of(plot_response_stages(ds)).values():
        assert spend.get_ylim() == carryover.get_ylim() != saturated.get_ylim()
        # Spend is behind what is made of it.
        np.testing.assert_allclose(tops(carryover.collections[0]), tops(spend.collections[0]))


def test_titles_say_what_the_columns_are_and_in_which_units(ds):
    figure = plot_response_stages(ds)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["Spend", "Carried over", "Saturated", *[""] * 6]
    assert "in 4 geos" in figure.get_suptitle()
    assert "USD per week" in figure.get_suptitle()


def test_one_geo_shows_its_own_stages(ds):
    figure = plot_response_stages(ds, geo="geo_2", channels=["channel 1"])
    assert "in geo_2" in figure.get_suptitle()
    ((_, carryover, saturated),) = rows_of(figure).values()
    here = ds.sel(geo="geo_2", channel="channel 1")
    np.testing.assert_allclose(line_of(carryover), here.carryover)
    np.testing.assert_allclose(line_of(saturated), here.saturated)
    assert to_hex(carryover.get_lines()[0].get_color()) == CHANNEL_COLOURS[1].lower()


def test_a_curve_before_the_adstock_comes_before_it():
    ds = generated(2, regions=VARIED, transforms={"adstock_first": False})
    figure = drawn(plot_response_stages(ds))
    titles = [axes.get_title(loc="left") for axes in figure.axes[:3]]
    assert titles == ["Spend", "Saturated", "Carried over"]
    assert "saturated and carried over: per unit of effect" in figure.get_suptitle()
    for name, (_, saturated, carryover) in rows_of(figure).items():
        here = ds.sel(channel=name)
        share = here.channel_contribution.sum("geo") / here.effect.sum("geo")
        np.testing.assert_allclose(line_of(carryover), share)
        assert saturated.get_ylim() == carryover.get_ylim()
        np.testing.assert_allclose(tops(carryover.collections[0]), line_of(saturated))


def test_an_aggregated_dataset_has_no_curve_and_says_so(ds):
    for spend, carryover, saturated in rows_of(
        plot_response_stages(aggregate(ds, freq="QS"))
    ).values():
        assert spend.collections
        assert carryover.get_lines()
        assert not saturated.get_lines()
        assert "not known" in saturated.texts[0].get_text()


# --- kernels


def test_bars_are_the_weights_of_each_lag():
    ds = generated(2, 1)
    figure = drawn(plot_adstock_kernels(ds))
    for name, axes in panels_of(figure).items():
        weights = ds.adstock_weights.sel(channel=name)[0].to_numpy()
        heights = [bar.get_height() for bar in axes.patches]
        np.testing.assert_allclose(heights, weights)
        # What is left out to the right cannot be seen.
        reach = int(axes.get_xlim()[1])
        assert 1 < reach < len(weights)
        assert weights[reach:].max() < 0.01 * weights.max()
        assert [bar.get_x() for bar in axes.patches] == list(range(len(heights)))
        assert all(bar.get_width() == 1 for bar in axes.patches)
        assert not axes.collections
    assert "weight of each week" in figure.get_suptitle()
    assert figure.axes[-1].get_xlabel() == "weeks since the spend began"


def test_the_line_marks_half_of_the_effect_as_the_truth_has_it(ds):
    truth = estimands(ds, by="channel").half_of_effect
    for name, axes in panels_of(drawn(plot_adstock_kernels(ds))).items():
        (line,) = axes.get_lines()
        half = float(truth.sel(channel=name))
        assert line.get_xdata()[0] == pytest.approx(half)
        assert axes.texts[0].get_text() == f"half after {half:.1f} weeks"


def test_the_band_reaches_from_the_lowest_to_the_highest_geo(ds):
    figure = plot_adstock_kernels(ds)
    for name, axes in panels_of(figure).items():
        (band,) = axes.collections
        weights = ds.adstock_weights.sel(channel=name)
        points = band.get_paths()[0].vertices
        assert points[:, 1].max() == pytest.approx(float(weights.max()))
        first = points[points[:, 0] == 0, 1]
        assert first.min() == pytest.approx(float(weights[:, 0].min()))
    (legend,) = figure.legends
    assert "lowest to highest geo" in [text.get_text() for text in legend.get_texts()]
    assert not plot_adstock_kernels(ds, geo="geo_1").axes[0].collections


def test_other_kernels_are_drawn():
    kinds = {
        "weibull": {"kind": "weibull_adstock", "lam": 4.0, "k": 2.0},
        "delayed": {"kind": "delayed_adstock", "alpha": 0.7, "theta": 3.0},
        "none": {"kind": "no_adstock"},
        "binomial": {"kind": "binomial_adstock", "alpha": 0.4, "normalize": False},
    }
    channels = [ChannelConfig(name=name, adstock=spec, roas=2.0) for name, spec in kinds.items()]
    ds = mmm_xgen.generate_mmm_dataset(MMMDataConfig(channels=channels))
    panels = panels_of(drawn(plot_adstock_kernels(ds)))
    assert panels["none"].texts[0].get_text() == "half at once"
    assert len({axes.get_xlim() for axes in panels.values()}) == 1
    assert panels["binomial"].patches[0].get_height() == pytest.approx(1.0)
    assert plot_response_stages(ds).axes


def test_the_geos_of_a_channel_without_spend_count_by_population():
    channels = [
        ChannelConfig(name="TV", roas=2.0),
        ChannelConfig(name="silent", base_spend=0.0, base_effectiveness=0.0),
    ]
    regions = RegionConfig(n_regions=2, population=[1.0, 3.0], transform_variation=0.3)
    with pytest.warns(mmm_xgen.XgenWarning, match="silent"):
        ds = mmm_xgen.generate_mmm_dataset(MMMDataConfig(channels=channels, regions=regions))
    axes = panels_of(drawn(plot_adstock_kernels(ds)))["silent"]
    first = ds.adstock_weights.sel(channel="silent")[:, 0].to_numpy()
    assert axes.patches[0].get_height() == pytest.approx(first @ [0.25, 0.75])
    drawn(plot_response_stages(ds))


# --- both


def test_long_series_are_drawn():
    drawn(plot_response_stages(generated(2, 1, 1501, freq="D")))
