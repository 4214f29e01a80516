"""The what-if simulator: what its sliders say is what is true."""

from __future__ import annotations

import sys
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import mmm_xgen as m
from mmm_xgen import AlignmentError, MissingDependencyError, SchemaError
from mmm_xgen.formatting.amounts import short_number, signed
from mmm_xgen.plots.simulator import MOST, _change, plot_what_if, what_if_simulator
from tests.drawing import drawn

# Round numbers for arithmetic, not for economics.
pytestmark = pytest.mark.filterwarnings("ignore::mmm_xgen.XgenWarning")


def dataset(**changes: Any) -> xr.Dataset:
    geos = changes.pop("geos", ["north", "south"])
    channels = changes.pop("channels", 3)
    settings = {"n_periods": 30, "seed": 3, **changes}
    return m.generate_mmm_dataset(
        m.MMMDataConfig(
            channels=[
                m.ChannelConfig(name=f"Channel {number}", base_spend=100.0 * number, roas=2.0)
                for number in range(1, channels + 1)
            ],
            regions=m.RegionConfig(region_names=geos, base_sales_rate=5000.0, similarity=0.7),
            **settings,
        )
    )


@pytest.fixture(scope="module")
def ds() -> xr.Dataset:
    return dataset()


# --- the picture


def bars(axes: Any) -> np.ndarray:
    """Lengths of the bars: today's, then those of the plan."""
    return np.array([[patch.get_width() for patch in group] for group in axes.containers])


def test_the_picture_shows_what_simulate_says(ds: xr.Dataset) -> None:
    plan = ds.spend * xr.DataArray([2.0, 1.0, 0.5], {"channel": ds.channel}, ("channel",))
    figure = plot_what_if(ds, plan.reset_coords(drop=True))
    sales, increment, spend, contribution = figure.axes
    simulated = m.truth.simulate(ds, spend=plan)
    then, now = (line.get_ydata() for line in sales.get_lines())
    np.testing.assert_allclose(now, ds.mu.sum("geo"))
    np.testing.assert_allclose(then, simulated.mu.sum("geo"))
    order = [label.get_text() for label in spend.get_yticklabels()]
    for axes, name in ((spend, "spend"), (contribution, "channel_contribution")):
        for row, each in zip(bars(axes), (ds, simulated), strict=True):
            np.testing.assert_allclose(row, each[name].sum(("date", "geo")).sel(channel=order))
    # What the plan adds is seen by itself, not as the distance of two lines.
    rise = (simulated.mu - ds.mu).sum("geo").to_numpy()
    [area] = increment.collections
    edge = area.get_paths()[0].vertices[:, 1]
    assert (edge.min(), edge.max()) == pytest.approx((min(rise.min(), 0), max(rise.max(), 0)))
    added = m.truth.compare_scenarios(ds, {"plan": plan}).isel(scenario=0)
    assert increment.get_title(loc="left") == (
        f"Sales added: {signed(float(added.incremental_sales), short_number)} sales"
    )
    note = figure.get_suptitle().splitlines()[1]
    for name in ("spend", "revenue", "profit"):
        assert f"{name} {signed(float(added[f'incremental_{name}']), short_number)}" in note
    ratio = float(simulated.mu.sum() / ds.mu.sum() - 1)
    word = "more" if ratio > 0 else "less"
    assert sales.get_title(loc="left") == f"Expected sales: {100 * abs(ratio):.3g}% {word}"


def test_the_picture_of_a_geo_is_of_that_geo(ds: xr.Dataset) -> None:
    figure = plot_what_if(ds, 0 * ds.spend, geo="south")
    then, now = (line.get_ydata() for line in figure.axes[0].get_lines())
    np.testing.assert_allclose(now, ds.mu.sel(geo="south"))
    lost = ds.channel_contribution.sel(geo="south").sum("channel")
    np.testing.assert_allclose(then, ds.mu.sel(geo="south") - lost)
    assert "south" in figure.get_suptitle()


def test_nothing_changed_is_said(ds: xr.Dataset) -> None:
    figure = plot_what_if(ds, ds.spend)
    assert figure.axes[0].get_title(loc="left") == "Expected sales: as today"
    assert figure.axes[1].get_title(loc="left") == "Sales added: 0 sales"
    assert figure.get_suptitle().endswith("spend 0, revenue 0, profit 0")


@pytest.mark.parametrize(
    ("today", "plan", "words"),
    [
        (100.0, 150.0, "50% more"),
        (100.0, 1094.0, "994% more"),
        (100.0, 1099.9, "11 times as much"),
        (100.0, 2000.0, "20 times as much"),
        (1.0, 12_300.0, "12.3k times as much"),
        (0.0, 2000.0, "2k more"),
        (-10.0, 2000.0, "2.01k more"),
        (10.0, -2000.0, "2.01k less"),
    ],
)
def test_a_change_is_said_without_powers_of_ten(today: float, plan: float, words: str) -> None:
    assert _change(today, plan) == words


@pytest.mark.parametrize(
    "changes",
    [
        {"geos": ["one"], "channels": 1, "n_periods": 1},
        {"channels": 20, "geos": [f"geo {number}" for number in range(30)], "n_periods": 8},
        {"freq": "D", "n_periods": 900, "geos": ["US$ & CA$", "b"]},
    ],
    ids=["one of each", "many", "daily"],
)
def test_it_draws(changes: dict[str, Any]) -> None:
    small = dataset(**changes)
    drawn(plot_what_if(small, 1.5 * small.spend, geo=str(small.geo.values[0])))
    assert len(figure_rows(plot_what_if(small, small.spend))) <= 9


def figure_rows(figure: Any) -> list[str]:
    return [label.get_text() for label in figure.axes[2].get_yticklabels()]


def test_a_channel_without_spend_has_empty_bars(without_pictures: None) -> None:
    silent = m.generate_mmm_dataset(
        m.MMMDataConfig(
            n_periods=20,
            channels=[
                m.ChannelConfig(name="Off", base_spend=0.0, base_effectiveness=0.1),
                m.ChannelConfig(name="On", base_spend=100.0, roas=1.0),
            ],
        )
    )
    figure = plot_what_if(silent, silent.spend)
    assert figure.axes[2].get_title(loc="left") == "Spend by channel: as today"
    drawn(figure)
    pytest.importorskip("ipywidgets")
    simulator = Simulator(silent)
    assert [slider.disabled for slider in simulator.sliders.values()] == [True, False]
    simulator.split.click()
    assert simulator.spend("Off") == 0.0


def test_a_wrong_geo_or_dataset_is_refused(ds: xr.Dataset) -> None:
    with pytest.raises(AlignmentError, match="'north'"):
        plot_what_if(ds, ds.spend, geo="nort")
    with pytest.raises(SchemaError, match="mu"):
        plot_what_if(ds.drop_vars("mu"), ds.spend)
    with pytest.raises(SchemaError, match="mu"):
        what_if_simulator(ds.drop_vars("mu"))


# --- the sliders


class Simulator:
    """The widgets of a simulator by what they are."""

    def __init__(self, ds: xr.Dataset) -> None:
        view = what_if_simulator(ds)
        top, self.picture = view.children
        controls, self.table_html = top.children
        self.geo, rows, self.budget, buttons = controls.children
        self.split, self.reset = buttons.children
        self.sliders = {slider.description: slider for slider in rows.children}

    @property
    def table(self) -> pd.DataFrame:
        head, body = ElementTree.fromstring(self.table_html.value)
        names = [cell.text for cell in head[0]][1:]
        cells = {row[0].text: [cell.text for cell in row[1:]] for row in body}
        return pd.DataFrame(cells, index=names).T

    def spend(self, channel: str) -> float:
        return number(self.table.loc[channel, "spend"])


def number(text: Any) -> float:
    """Number that a table writes short."""
    factors = {"k": 1e3, "M": 1e6}
    text = str(text)
    return float(text.rstrip("kM")) * factors.get(text[-1], 1.0)


@pytest.fixture
def without_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each move of a slider draws a picture, which takes a quarter of a second."""
    pytest.importorskip("ipywidgets")
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", lambda self, page, **_: None)


@pytest.fixture
def simulator(ds: xr.Dataset, without_pictures: None) -> Simulator:
    return Simulator(ds)


@pytest.fixture
def drawing_simulator(ds: xr.Dataset) -> Simulator:
    pytest.importorskip("ipywidgets")
    return Simulator(ds)


def test_it_begins_with_today(ds: xr.Dataset, drawing_simulator: Simulator) -> None:
    assert list(drawing_simulator.sliders) == list(ds.channel.values)
    assert {slider.value for slider in drawing_simulator.sliders.values()} == {1.0}
    assert drawing_simulator.budget.value == pytest.approx(float(ds.spend.sum()))
    assert [label for label, _ in drawing_simulator.geo.options] == ["all geos", "north", "south"]
    # The widget shows nothing for a value of None.
    assert drawing_simulator.geo.label == drawing_simulator.geo.value == "all geos"
    assert bytes(drawing_simulator.picture.value).startswith(b"\x89PNG")
    assert number(drawing_simulator.table.loc["all", "more sales"]) == 0


def test_a_channel_moves_and_the_budget_follows(
    ds: xr.Dataset, drawing_simulator: Simulator
) -> None:
    before = bytes(drawing_simulator.picture.value)
    drawing_simulator.sliders["Channel 2"].value = 2.0
    today = ds.spend.sum(("date", "geo"))
    assert drawing_simulator.budget.value == pytest.approx(float(today.sum() + today[1]))
    impact = m.truth.predict_impact(ds, channel="Channel 2", by=1.0)
    row = drawing_simulator.table.loc["Channel 2"]
    assert number(row["more sales"]) == pytest.approx(float(impact.incremental_sales), rel=0.01)
    for title in ("revenue", "profit"):
        wanted = float(impact[f"incremental_{title}"])
        assert number(row[f"more {title}"]) == pytest.approx(wanted, rel=0.01)
    assert number(row["incremental ROAS"]) == pytest.approx(
        float(impact.incremental_roas), rel=0.01
    )
    assert bytes(drawing_simulator.picture.value) != before


def test_the_budget_moves_all_channels_alike(ds: xr.Dataset, simulator: Simulator) -> None:
    simulator.sliders["Channel 1"].value = 2.0
    planned = simulator.budget.value
    simulator.budget.value = planned / 2
    levels = [slider.value for slider in simulator.sliders.values()]
    assert levels == pytest.approx([1.0, 0.5, 0.5])
    assert simulator.budget.value == pytest.approx(planned / 2)


def test_no_budget_is_the_way_back_to_todays_split(ds: xr.Dataset, simulator: Simulator) -> None:
    simulator.budget.value = 0.0
    assert {slider.value for slider in simulator.sliders.values()} == {0.0}
    simulator.budget.value = float(ds.spend.sum()) / 2
    assert [slider.value for slider in simulator.sliders.values()] == pytest.approx([0.5] * 3)


def test_the_best_split_is_the_optimum(ds: xr.Dataset, simulator: Simulator) -> None:
    simulator.split.click()
    best = m.truth.optimize_allocation(ds, constraints={"*": {"max_change": MOST - 1}})
    levels = [slider.value for slider in simulator.sliders.values()]
    assert levels == pytest.approx(best.multiplier.values, rel=1e-6)
    assert simulator.budget.value == pytest.approx(float(ds.spend.sum()))
    gain = float(best.revenue.sum() - best.current_revenue.sum())
    assert number(simulator.table.loc["all", "more sales"]) == pytest.approx(gain, rel=0.01)


def test_the_largest_budget_can_be_split(simulator: Simulator) -> None:
    simulator.budget.value = simulator.budget.max
    simulator.split.click()
    assert [slider.value for slider in simulator.sliders.values()] == pytest.approx([MOST] * 3)


def test_a_geo_is_moved_by_itself_and_kept(ds: xr.Dataset, simulator: Simulator) -> None:
    simulator.geo.value = "south"
    south = ds.spend.sel(geo="south").sum("date")
    assert simulator.budget.value == pytest.approx(float(south.sum()))
    simulator.sliders["Channel 3"].value = 0.0
    simulator.geo.value = "north"
    assert simulator.sliders["Channel 3"].value == 1.0
    simulator.geo.label = "all geos"
    whole = ds.spend.sel(channel="Channel 3").sum()
    assert simulator.sliders["Channel 3"].value == pytest.approx(
        float(1 - south.sel(channel="Channel 3") / whole)
    )
    assert simulator.spend("Channel 3") == pytest.approx(
        float(whole - south.sel(channel="Channel 3")), rel=0.01
    )


def test_a_geo_with_the_name_of_all_is_one_of_them(without_pictures: None) -> None:
    simulator = Simulator(dataset(geos=["all geos", "south"], n_periods=20))
    whole = simulator.budget.value
    simulator.geo.value = "all geos"
    assert simulator.budget.value < 0.9 * whole


def test_the_table_forms_a_return_only_where_spend_rises(simulator: Simulator) -> None:
    simulator.sliders["Channel 1"].value = 0.5
    simulator.sliders["Channel 3"].value = 2.0
    ratios = simulator.table["incremental ROAS"]
    assert (ratios.loc[["Channel 1", "Channel 2", "all"]] == "-").all()
    assert number(ratios.loc["Channel 3"]) > 0
    heads = ElementTree.fromstring(simulator.table_html.value)[0][0]
    units = {cell.text: cell.find("span").text for cell in heads}
    assert (units["spend"], units["more sales"], units["more profit"]) == ("USD", "sales", "USD")


def test_no_budget_can_be_given_where_nothing_is_spent(
    ds: xr.Dataset, without_pictures: None
) -> None:
    there = xr.DataArray([1.0, 0.0], {"geo": ds.geo}, ("geo",)).reset_coords(drop=True)
    effect = ds.channel_contribution * there
    mu = ds.mu - (ds.channel_contribution - effect).sum("channel")
    simulator = Simulator(
        ds.assign(spend=ds.spend * there, channel_contribution=effect, mu=mu, y=mu)
    )
    simulator.geo.value = "south"
    simulator.budget.value = simulator.budget.max
    assert simulator.budget.value == 0.0
    assert {slider.value for slider in simulator.sliders.values()} == {1.0}


def test_back_to_today(ds: xr.Dataset, simulator: Simulator) -> None:
    first = simulator.table_html.value
    simulator.split.click()
    simulator.reset.click()
    assert {slider.value for slider in simulator.sliders.values()} == {1.0}
    assert simulator.table_html.value == first


def test_names_are_text_in_the_table(without_pictures: None) -> None:
    name = "<script>alert(1)</script>"
    hostile = m.generate_mmm_dataset(
        m.MMMDataConfig(n_periods=20, channels=[m.ChannelConfig(name=name, roas=1.0)])
    )
    assert "<script>" not in what_if_simulator(hostile).children[0].children[1].value


def test_without_ipywidgets_it_says_what_to_install(
    ds: xr.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    with pytest.raises(MissingDependencyError, match=r"mmm-xgen\[notebooks\]"):
        what_if_simulator(ds)
