"""Contributions, waterfall and attribution: what is in the pictures, not their pixels."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

import mmm_xgen
from mmm_xgen import ChannelConfig, ControlConfig, MMMDataConfig
from mmm_xgen.errors import ConfigError
from mmm_xgen.formatting.amounts import short_number
from mmm_xgen.plots.contributions import plot_attribution, plot_contributions, plot_waterfall
from mmm_xgen.plots.selection import by_size
from mmm_xgen.plots.style import CHANNEL_COLOURS, OTHER_COLOUR
from mmm_xgen.truth import attribution
from tests.drawing import drawn, generated, legend_names, row_names, row_texts, title


def stacked(ds, **arguments):
    return plot_contributions(ds, kind="stacked", **arguments)


def of_media(ds, **arguments):
    return plot_attribution(ds, of="media", **arguments)


def bars(figure):
    return dict(zip(row_names(figure), figure.axes[0].patches, strict=True))


def top_of(area):
    return area.get_paths()[0].vertices[:, 1].max()


@pytest.fixture(scope="module")
def ds():
    return mmm_xgen.generate_mmm_dataset()


@pytest.fixture(scope="module")
def many():
    return generated(45, 50, 20)


@pytest.fixture(scope="module")
def quiet():
    """A channel without effect, one without spend, and a control that takes more than media add."""
    channels = [
        ChannelConfig(name="placebo", base_effectiveness=0.0),
        ChannelConfig(name="silent", base_spend=0.0, base_effectiveness=0.0),
        ChannelConfig(name="TV", roas=2.0),
    ]
    controls = [ControlConfig(name="price", gamma_control=-3000.0)]
    with pytest.warns(mmm_xgen.XgenWarning, match="silent"):
        return mmm_xgen.generate_mmm_dataset(
            MMMDataConfig(channels=channels, control_variables=controls)
        )


# --- contributions


def test_lines_are_contributions_summed_over_geos(ds):
    figure = drawn(plot_contributions(ds))
    lines = {line.get_label(): line.get_ydata() for line in figure.axes[0].get_lines()}
    assert set(lines) == set(ds.channel.values)
    for name, values in lines.items():
        expected = ds.channel_contribution.sel(channel=name).sum("geo")
        np.testing.assert_allclose(values, expected)
    assert figure.axes[0].get_ylabel() == "sales per week"
    amount = short_number(float(ds.channel_contribution.sum()))
    most = float(attribution(ds, of="media").max())
    assert title(figure) == f"What media adds: {amount} sales in 2 geos, {most:.1%} by Seasonal"


def test_areas_stack_on_the_baseline_up_to_expected_sales(ds):
    figure = drawn(stacked(ds))
    axes = figure.axes[0]
    expected = ds.mu.sum("geo")
    base = expected - ds.channel_contribution.sum(("geo", "channel"))
    assert top_of(axes.collections[0]) == pytest.approx(float(base.max()))
    assert top_of(axes.collections[-1]) == pytest.approx(float(expected.max()))
    floor, top = axes.get_lines()
    np.testing.assert_allclose(floor.get_ydata(), base)
    np.testing.assert_allclose(top.get_ydata(), expected)
    names = legend_names(figure)
    assert names == ["expected sales", *reversed(by_size(ds)), "without media"]
    share = float(ds.channel_contribution.sum() / ds.mu.sum())
    assert title(figure) == f"Where sales in 2 geos come from: media {share:.1%} of them"


def test_channels_that_are_not_chosen_are_one_area(ds):
    figure = drawn(stacked(ds, channels=["Trend"]))
    assert legend_names(figure) == ["expected sales", "Trend", "other media", "without media"]
    areas = figure.axes[0].collections
    assert len(areas) == 3
    assert top_of(areas[-1]) == pytest.approx(float(ds.mu.sum("geo").max()))
    assert legend_names(plot_contributions(ds, channels=["Trend"])) == ["Trend"]


def test_small_channels_are_one_series(many):
    for plot in (plot_contributions, stacked):
        names = legend_names(plot(many))
        assert "37 others" in names
        assert sum(name.startswith("channel") for name in names) == 8


def test_one_geo_has_its_own_contributions(ds):
    figure = plot_contributions(ds, geo="geo_b")
    for line in figure.axes[0].get_lines():
        expected = ds.channel_contribution.sel(geo="geo_b", channel=line.get_label())
        np.testing.assert_allclose(line.get_ydata(), expected)
    assert "in geo_b" in title(figure)


# --- waterfall


def test_steps_lead_from_nothing_to_sales(ds):
    figure = drawn(plot_waterfall(ds))
    steps = bars(figure)
    assert list(steps)[:1] == ["base"]
    assert list(steps)[-3:] == ["expected sales", "noise", "sales"]
    end = 0.0
    for name, bar in steps.items():
        if name in ("expected sales", "sales"):
            assert bar.get_x() == 0.0
            assert bar.get_width() == pytest.approx(end)
        else:
            assert bar.get_x() == pytest.approx(end)
            end += bar.get_width()
    assert end == pytest.approx(float(ds.y.sum()))
    assert steps["expected sales"].get_width() == pytest.approx(float(ds.mu.sum()))
    for name in ds.channel.values:
        expected = float(ds.channel_contribution.sel(channel=name).sum())
        assert steps[name].get_width() == pytest.approx(expected)
    controls = float(ds.control_contribution.sum())
    assert steps["2 controls"].get_width() == pytest.approx(controls)


def test_amounts_are_written_with_sign_and_share_of_expected_sales(ds):
    figure = plot_waterfall(ds)
    texts = dict(zip(row_names(figure), row_texts(figure), strict=True))
    share = float(attribution(ds).sel(channel="Trend"))
    amount = short_number(float(ds.channel_contribution.sel(channel="Trend").sum()))
    assert texts["Trend"] == f"+{amount} ({share:.1%})"
    assert texts["sales"] == short_number(float(ds.y.sum()))
    whole = float(attribution(ds).sum())
    assert title(figure).endswith(f"in 2 geos are made of: media makes {whole:.1%}")


def test_parts_that_a_dataset_does_not_have_are_left_out():
    figure = plot_waterfall(generated(1, 1))
    assert row_names(figure) == ["base", "channel 0", "expected sales", "noise", "sales"]


def test_a_part_that_takes_sales_away_goes_back(quiet):
    figure = drawn(plot_waterfall(quiet))
    steps = bars(figure)
    assert steps["controls"].get_width() < 0
    assert row_texts(figure)[1].startswith("-")
    assert steps["placebo"].get_width() == 0


def test_lost_sales_are_a_step_of_their_own():
    ds = mmm_xgen.generate_mmm_dataset(regions={"capacity": 1.4})
    steps = bars(drawn(plot_waterfall(ds)))
    assert list(steps)[-4:] == ["expected sales", "noise", "lost sales", "sales"]
    assert steps["lost sales"].get_width() == pytest.approx(-float(ds.lost_sales.sum()))
    kept = float((ds.noise + ds.lost_sales).sum())
    assert steps["noise"].get_width() == pytest.approx(kept)


def test_a_waterfall_has_one_row_for_small_channels(many):
    figure = plot_waterfall(many)
    assert len(row_names(figure)) == 1 + 9 + 3
    rest = bars(figure)["37 others"]
    small = by_size(many)[8:]
    expected = float(many.channel_contribution.sel(channel=small).sum())
    assert rest.get_width() == pytest.approx(expected)


# --- attribution


@pytest.mark.parametrize("of", ["sales", "media"])
@pytest.mark.parametrize("geo", [None, "geo_b"])
def test_bars_are_the_true_shares(ds, of, geo):
    figure = plot_attribution(ds, of=of, geo=geo)
    by = "channel" if geo is None else ("geo", "channel")
    truth = attribution(ds, by=by, of=of)
    truth = truth if geo is None else truth.sel(geo=geo)
    shares = {name: bar.get_width() for name, bar in bars(figure).items()}
    assert shares == pytest.approx({name: float(truth.sel(channel=name)) for name in shares})
    assert list(shares.values()) == sorted(shares.values(), reverse=True)
    assert row_texts(figure)[0].split()[0] == f"{max(shares.values()):.1%}"
    assert (geo or "2 geos") in title(figure)


def test_shares_of_media_stand_beside_shares_of_spend(ds):
    figure = of_media(ds)
    (marks,) = figure.axes[0].get_lines()
    spend = ds.spend.sum(("date", "geo")).sel(channel=row_names(figure))
    np.testing.assert_allclose(marks.get_xdata(), spend / spend.sum())
    last = float(spend[-1] / spend.sum())
    assert row_texts(figure)[-1].endswith(f"(of spend {last:.1%})")
    assert legend_names(figure) == ["share of contribution", "share of spend"]
    assert plot_attribution(ds).axes[0].get_legend() is None


def test_colours_are_those_of_all_pictures(many):
    figure = plot_attribution(many)
    colours = [to_hex(bar.get_facecolor()) for bar in bars(figure).values()]
    assert colours[:8] == [colour.lower() for colour in CHANNEL_COLOURS]
    assert set(colours[8:]) == {OTHER_COLOUR.lower()}


def test_shares_of_nothing_are_not_drawn(quiet):
    nothing = quiet.sel(channel=["placebo", "silent"])
    figure = drawn(of_media(nothing))
    assert row_texts(figure) == ["nothing (of spend 100.0%)", "nothing (of spend 0%)"]
    assert title(figure) == "Media adds nothing to sales"
    assert row_texts(drawn(plot_attribution(nothing))) == ["0%", "0%"]
    assert "nothing" in title(drawn(plot_contributions(nothing)))


# --- all


def test_a_channel_may_have_the_name_of_another_entry():
    figure = stacked(generated(names=["expected sales", "without media", "TV"]))
    shown = legend_names(figure)
    assert (shown[0], shown[-1]) == ("expected sales", "without media")
    assert sorted(shown[1:-1]) == ["TV", "expected sales (2)", "without media (2)"]


def test_words_and_names_are_checked(ds):
    with pytest.raises(ConfigError, match="kind: found 'stack', did you mean 'stacked'"):
        plot_contributions(ds, kind="stack")
    with pytest.raises(ConfigError, match="of: found 'revenue', allowed: 'media', 'sales'"):
        plot_attribution(ds, of="revenue")


def test_the_units_are_those_of_the_dataset():
    ds = generated(currency="EUR", kpi="orders", revenue_per_kpi=50.0)
    for plot in (plot_contributions, stacked):
        assert plot(ds).axes[0].get_ylabel() == "orders per week"
    assert plot_waterfall(ds).axes[0].get_xlabel() == "orders in all"
