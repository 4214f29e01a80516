"""Who causes what, and the other pictures of a world with all mechanisms."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

import mmm_xgen
from mmm_xgen import plots
from mmm_xgen.aggregate import aggregate
from mmm_xgen.errors import SchemaError
from mmm_xgen.plots.world import _spread, plot_world
from mmm_xgen.schema import parts_of
from mmm_xgen.truth import compare_scenarios, simulate
from tests.connected import connected
from tests.drawing import drawn, panels, rows_of, title

pytestmark = pytest.mark.filterwarnings("ignore::mmm_xgen.XgenWarning")

TOGETHER = "channels together"
OF_MEDIA = ("channel", "interaction", "mediator")


def words(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def arrows(figure):
    return [patch for patch in figure.axes[0].patches if hasattr(patch, "get_arrowstyle")]


def heading(figure):
    return figure.get_suptitle().splitlines()[0]


# --- who causes what


def test_every_cause_has_a_box_and_says_what_it_is():
    ds = connected()
    figure = drawn(plot_world(ds))
    found = words(figure)
    for name in [*ds.channel.values, *ds.control.values, "sales", "latent demand", "earlier sales"]:
        assert str(name) in found
    # A mediator is a box, and its control another.
    assert found.count("Awareness") == 2
    assert {"synergy", "cannibalisation", "budget: follows demand, effect: smooth"} <= {*found}
    assert heading(figure) == (
        "Who causes what: latent demand moves sales and the spend of 2 of 4 channels"
    )
    assert "1 of 4 channels answer to earlier sales" in figure.get_suptitle()


def test_the_legend_has_the_arrows_of_the_world():
    kinds = {"raises", "lowers", "latent demand", "answer to earlier sales", "shown by a control"}
    kinds |= {"funnel: raises delivered media", "paid funnel: raises spend"}
    assert {*legend(plot_world(connected()))} == kinds
    assert legend(plot_world(mmm_xgen.generate_mmm_dataset(control_variables=[]))) == ["raises"]


@pytest.mark.parametrize(
    ("changes", "more"),
    [
        ({"demand": None, "channels.0.roas": 2.0}, 0),
        ({"demand": {}}, 1),
        ({"demand": {}, "channels.0.budget_rule": "follows_demand"}, 2),
        ({"demand": {"indicators": [{"name": "Queries"}]}}, 2),
        # To the channel, and from sales.
        ({"channels.0.budget_rule": "chases_target"}, 2),
        ({"funnels": [{"source": "Trend", "target": "On-Off", "strength": 0.1}]}, 1),
        # From two channels, and to sales.
        ({"interactions": [{"channels": ["Trend", "On-Off"], "strength": 0.1}]}, 3),
        ({"mediators": [{"name": "Awareness", "parents": {"Trend": 0.5}, "observed": "no"}]}, 2),
        # And to its control.
        ({"mediators": [{"name": "Awareness", "parents": {"Trend": 0.5}}]}, 3),
        ({"promotions": [{"name": "Sale"}, {"name": "Coupon", "observed": False}]}, 2),
        # From demand to sales and to the promotion.
        ({"demand": {}, "promotions": [{"name": "Sale", "answer": 1.0}]}, 3),
    ],
)
def test_each_mechanism_adds_its_arrows(changes, more):
    plain = plot_world(mmm_xgen.generate_mmm_dataset())
    figure = drawn(plot_world(mmm_xgen.generate_mmm_dataset(**changes)))
    assert len(arrows(figure)) == len(arrows(plain)) + more
    # Three channels and two controls move sales.
    assert len(arrows(plain)) == 5


def test_correlated_campaigns_are_told():
    ds = mmm_xgen.generate_mmm_dataset(synchronised_flights=0.5)
    assert "campaigns of channels come together" in plot_world(ds).get_suptitle()
    assert "campaigns" not in plot_world(connected()).get_suptitle()


def test_a_bar_ends_what_lowers_sales_and_a_placebo_has_no_arrow():
    changes = {"channels.0.base_effectiveness": -0.1, "channels.1.base_effectiveness": 0.0}
    ds = mmm_xgen.generate_mmm_dataset(control_variables=[], **changes)
    figure = plot_world(ds)
    ends = [type(arrow.get_arrowstyle()).__name__ for arrow in arrows(figure)]
    assert sorted(ends) == ["BarAB", "CurveFilledB"]
    assert "no effect" in words(figure)


def test_what_nothing_connects_shares_a_box_beyond_thirty_channels():
    channels = [{"name": f"channel {i}", "roas": 1.0} for i in range(40)]
    funnel = {"source": "channel 38", "target": "channel 39", "strength": 0.1}
    regions = {"base_sales_rate": 1e6}
    config = {"channels": channels, "n_periods": 10, "funnels": [funnel], "regions": regions}
    found = words(drawn(plot_world(mmm_xgen.generate_mmm_dataset(config))))
    assert "11 other channels" in found
    assert {"channel 38", "channel 39"} <= {*found}


def test_a_changed_dataset_shows_the_world_that_it_comes_from():
    ds = connected()
    whole = words(plot_world(ds))
    assert words(plot_world(aggregate(ds, freq="QS"))) == whole
    assert words(plot_world(simulate(ds, spend=2 * ds.spend))) == whole
    part = words(drawn(plot_world(ds.sel(channel=["TV", "Video"]))))
    assert "Search" not in part
    assert "synergy" in part
    with pytest.raises(SchemaError, match="no 'config' attribute"):
        plot_world(ds.drop_attrs())


@pytest.mark.parametrize("wanted", [[], [0.0], [2.0, 2.0, 2.0], [-0.4, 5.0, 5.0], [1.0] * 9])
def test_boxes_between_do_not_overlap(wanted):
    rows = _spread(wanted, 6)
    assert len(rows) == len(wanted)
    assert all(after - before >= 1.1 - 1e-9 for before, after in pairwise(rows))


# --- other pictures add up to expected sales


def test_rows_of_sales_add_up():
    ds = connected()
    rows = panels(drawn(plots.plot_sales(ds)))
    names = ["base", "seasons", "controls", "promotions", "demand"]
    names += ["media", "interactions", "mediators", "noise"]
    assert list(rows) == ["sales", *names]
    total = np.sum([rows[name].get_lines()[0].get_ydata() for name in names], axis=0)
    np.testing.assert_allclose(total, ds.y.sum("geo"))


def test_steps_of_the_waterfall_add_up():
    ds = connected()
    axes = drawn(plots.plot_waterfall(ds)).axes[0]
    names = rows_of(axes)
    width = dict(zip(names, (bar.get_width() for bar in axes.patches), strict=True))
    parts = names[: names.index("expected sales")]
    assert {"promotions", "latent demand", "interactions", "mediators"} <= {*parts}
    np.testing.assert_allclose(sum(width[name] for name in parts), float(ds.mu.sum()))


def test_the_stack_has_what_channels_make_together_beside_sales_without_media():
    ds = connected()
    figure = drawn(plots.plot_contributions(ds, kind="stacked"))
    names = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert names[-2:] == [TOGETHER, "without media"]
    media = sum(float(ds[name].sum()) for name in parts_of(ds) if name.split("_")[0] in OF_MEDIA)
    assert title(figure).endswith(f"media {100 * media / float(ds.mu.sum()):.1f}% of them")
    assert f"makes {100 * media / float(ds.mu.sum()):.1f}%" in title(plots.plot_attribution(ds))


def test_the_baseline_has_latent_demand_and_promotions():
    ds = connected()
    rows = panels(plots.plot_baseline(ds))
    assert {"demand", "promotion"} <= {*rows}
    _, total = rows["baseline"].get_lines()
    wanted = (ds.mu - ds.control_contribution.sum("control")).sum("geo")
    wanted -= sum(ds[f"{name}_contribution"].sum(("geo", name)) for name in OF_MEDIA)
    np.testing.assert_allclose(total.get_ydata(), wanted)


def test_a_what_if_counts_what_channels_make_together():
    ds = connected()
    plan = 0 * ds.spend.sel(channel="TV")
    figure = drawn(plots.plot_what_if(ds, plan))
    axes = panels(figure)["contribution"]
    assert rows_of(axes)[-1] == TOGETHER
    bars = np.array([bar.get_width() for bar in axes.patches]).reshape(2, -1)
    then = simulate(ds, spend=plan)
    np.testing.assert_allclose((bars[1] - bars[0]).sum(), float((then.mu - ds.mu).sum()))
    alone = float((then.channel_contribution - ds.channel_contribution).sum())
    assert abs((bars[1] - bars[0]).sum() - alone) > 100


def test_bars_of_a_scenario_end_at_its_revenue():
    ds = connected()
    table = compare_scenarios(ds, {"no TV": {"channel": "TV", "to": 0}})
    figure = drawn(plots.plot_scenarios(table))
    assert TOGETHER in legend(figure)
    added = sum(bar.get_width() for bar in figure.axes[1].patches)
    np.testing.assert_allclose(added, float(table.incremental_revenue[0]))


def test_plain_worlds_have_no_entry_for_channels_together():
    ds = mmm_xgen.generate_mmm_dataset()
    table = compare_scenarios(ds, {"no Trend": {"channel": "Trend", "to": 0}})
    for figure in (plots.plot_scenarios(table), plots.plot_overview(ds)):
        assert TOGETHER not in legend(figure)
    assert TOGETHER in legend(plots.plot_overview(connected()))


def test_spend_shows_the_plan_that_rules_changed():
    ds = connected()
    axes = drawn(plots.plot_spend(ds)).axes[0]
    assert axes.get_legend().get_texts()[-1].get_text() == "planned"
    planned = axes.get_lines()[ds.sizes["channel"] :]
    totals = sorted(float(np.sum(line.get_ydata())) for line in planned)
    wanted = sorted(ds.spend_plan.sum(("date", "geo")).values)
    np.testing.assert_allclose(totals, wanted)
