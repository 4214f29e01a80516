"""Panels over time of a world: sales, spend, and what breaks."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

import mmm_xgen
from mmm_xgen.aggregate import aggregate
from mmm_xgen.plots.what_breaks import BREAKS, MOST_BREAKS, WITHOUT, panels_of
from mmm_xgen.plots.world import FURTHER, plot_world
from tests.connected import connected
from tests.drawing import drawn, panels

pytestmark = pytest.mark.filterwarnings("ignore::mmm_xgen.XgenWarning")


def lines(figure: Figure, title: str) -> list[np.ndarray]:
    return [np.asarray(line.get_ydata(), float) for line in panels(figure)[title].get_lines()]


def world(name: str, **changes: object) -> xr.Dataset:
    return mmm_xgen.generate_mmm_dataset(name, n_periods=60, **changes)


@pytest.mark.parametrize(
    ("name", "variables"),
    [
        ("demand_chasing", ["demand", "spend_plan"]),
        ("target_chasing", ["demand", "spend_plan"]),
        ("competitor", ["competitor_contribution", "effect_path"]),
        ("drifting_effects", ["effect_path"]),
        ("synergy", ["interaction_contribution"]),
        ("mediator_as_control", ["mediator_value"]),
        ("instruments", ["demand", "spend_plan", "control_role"]),
        ("collider", ["control_role"]),
        ("campaigns", ["exposure", "campaign_spend"]),
        # The rule moves spend from geo to geo, and the sum over geos keeps to its plan.
        ("performance_chasing_geos", []),
        ("clean", []),
    ],
)
def test_a_world_shows_what_it_breaks(name: str, variables: list[str]) -> None:
    expected = [BREAKS[variable].title for variable in variables] or [WITHOUT.title]
    assert list(panels_of(world(name))) == ["Spend", *expected]


def test_panels_have_the_series_of_the_dataset() -> None:
    ds = world("demand_chasing")
    figure = drawn(plot_world(ds))
    found = panels(figure)
    assert list(found) == ["", "Sales, and expected sales", *panels_of(ds)]
    sales, expected = lines(figure, "Sales, and expected sales")
    np.testing.assert_array_equal(sales, ds.y.squeeze("geo"))
    np.testing.assert_array_equal(expected, ds.mu.squeeze("geo"))
    np.testing.assert_array_equal(lines(figure, BREAKS["demand"].title)[0], ds.demand[:, 0])
    ratio = (ds.spend / ds.spend_plan).squeeze("geo").sel(channel=["TV", "Search"])
    np.testing.assert_allclose(lines(figure, BREAKS["spend_plan"].title), ratio.T, rtol=1e-12)
    colours = {line.get_color() for line in found["Spend"].get_lines()}
    assert len(colours) == 4


def test_what_does_not_move_has_no_panel() -> None:
    still = {"channels.TV.effect_path.start": 1.0, "channels.TV.effect_path.end": 1.0}
    assert list(panels_of(world("drifting_effects", **still))) == ["Spend", WITHOUT.title]


SERIES = ("level_contribution", "baseline_path", "season_path", "lost_sales", "goodwill")
SERIES += ("outlier_contribution", "remainder_contribution", "aware_share")


@pytest.mark.parametrize("name", [*SERIES, "promotion_contribution"])
def test_each_further_mechanism_has_a_panel_or_a_box(name: str) -> None:
    ds = world("clean")
    values = xr.zeros_like(ds.y) + np.linspace(0.0, 2.0, 60)[:, None]
    if name == "promotion_contribution":
        values = values.expand_dims(promotion=["Spring", "Autumn"])
    figure = drawn(plot_world(ds.assign({name: values})))
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert name in BREAKS or name in FURTHER
    if name in BREAKS:
        assert BREAKS[name].title in panels(figure)
    assert (name in FURTHER) == any(FURTHER[each][0] in texts for each in FURTHER)
    still = plot_world(ds.assign({name: 0 * values}))
    assert len(still.axes[0].patches) == len(plot_world(ds).axes[0].patches)
    assert WITHOUT.title in panels(still)


def test_many_mechanisms_share_two_rows_and_none_need_be_over_time() -> None:
    ds = connected()
    figure = drawn(plot_world(ds))
    assert len(figure.axes) == 1 + 2 + MOST_BREAKS
    assert len(drawn(plot_world(ds, over_time=False)).axes) == 1
    # Paths are lost in an aggregated dataset.
    less = panels(drawn(plot_world(aggregate(ds, freq="QS"))))
    assert BREAKS["effect_path"].title not in less


def test_titles_of_panels_differ() -> None:
    titles = [each.title for each in (*BREAKS.values(), WITHOUT)]
    assert len(set(titles)) == len(titles)
