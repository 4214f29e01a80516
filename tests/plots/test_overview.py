"""The overview: what is on the page, not its pixels."""

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

import mmm_xgen
from mmm_xgen import (
    ChannelConfig,
    MMMDataConfig,
    SchemaError,
    plots,
    register_saturation,
)
from mmm_xgen.aggregate import aggregate
from mmm_xgen.formatting.amounts import short_number
from mmm_xgen.kernels.calendar import period_word
from mmm_xgen.kernels.domain import Positive
from mmm_xgen.kernels.saturation import SATURATIONS
from mmm_xgen.plots import plot_overview
from mmm_xgen.plots.selection import MOST_CHANNELS, MOST_DATES
from mmm_xgen.plots.style import (
    CHANNEL_COLOURS,
    LONGEST_NAME,
    OTHER_COLOUR,
    plain_text,
    plain_texts,
)
from tests.drawing import drawn, generated, panels
from tests.strategies import quietly

# Pictures without the name of a channel, a geo or a control.
PANELS = ["sales", "contributions", "spend", "roas", "response"]


def legend_names(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def tick_names(axes):
    return [text.get_text() for text in axes.get_yticklabels()]


@pytest.fixture(scope="module")
def ds():
    return mmm_xgen.generate_mmm_dataset()


def test_the_page_has_five_panels_with_titles_and_units(ds):
    figure = drawn(plot_overview(ds))
    assert isinstance(figure, Figure)
    axes = panels(figure)
    assert list(axes) == PANELS
    assert all(each.get_title(loc="left") for each in axes.values())
    assert axes["sales"].get_ylabel() == "sales per week"
    assert axes["response"].get_ylabel() == "sales per week"
    assert "USD" in axes["roas"].get_xlabel()
    assert "USD" in axes["spend"].get_title(loc="left")
    title = figure.get_suptitle()
    assert "104 weeks, 2 geos, 3 channels, 2 controls" in title
    assert "2022-01-03 to 2023-12-25" in title


def test_sales_are_sums_over_geos(ds):
    sales, expected = panels(plot_overview(ds))["sales"].get_lines()
    np.testing.assert_allclose(sales.get_ydata(), ds.y.sum("geo"))
    np.testing.assert_allclose(expected.get_ydata(), ds.mu.sum("geo"))
    np.testing.assert_array_equal(sales.get_xdata(), ds.date)


def test_contributions_stack_up_to_expected_sales(ds):
    axes = panels(plot_overview(ds))["contributions"]
    highest = [area.get_paths()[0].vertices[:, 1].max() for area in axes.collections]
    assert len(highest) == 1 + ds.sizes["channel"]
    assert highest[-1] == pytest.approx(float(ds.mu.sum("geo").max()))
    assert highest == sorted(highest)
    share = float(ds.channel_contribution.sum() / ds.mu.sum())
    assert f"{share:.1%}" in axes.get_title(loc="left")


def test_roas_bars_show_the_configured_returns(ds):
    axes = panels(plot_overview(ds))["roas"]
    widths = dict(zip(tick_names(axes), [bar.get_width() for bar in axes.patches], strict=True))
    assert widths == pytest.approx({"Seasonal": 2.4, "Trend": 1.5, "On-Off": 3.0})
    (line,) = axes.get_lines()
    assert line.get_xdata() == [1.0, 1.0]


def test_response_curves_pass_through_the_mean_contribution(ds):
    axes = panels(plot_overview(ds))["response"]
    dots = [line for line in axes.get_lines() if line.get_marker() == "o"]
    heights = sorted(float(dot.get_ydata()[0]) for dot in dots)
    means = ds.channel_contribution.sum("geo").mean("date")
    np.testing.assert_allclose(heights, np.sort(means))
    curves = [line for line in axes.get_lines() if len(line.get_xdata()) > 1]
    assert all(np.nan_to_num(curve.get_ydata()[0]) == 0 for curve in curves)


def test_spend_rows_name_totals_and_shares(ds):
    axes = panels(plot_overview(ds))["spend"]
    total = ds.spend.sum(("date", "geo")).to_series()
    texts = {text.get_text() for text in axes.texts}
    share = total / total.sum()
    expected = {f"{short_number(total[name])} ({share[name]:.1%})" for name in total.index}
    assert texts == expected


def test_channels_have_one_colour_in_all_panels(ds):
    figure = plot_overview(ds)
    axes = panels(figure)
    bars = [to_hex(bar.get_facecolor()) for bar in axes["roas"].patches]
    rows = [to_hex(area.get_facecolor()[0]) for area in axes["spend"].collections]
    layers = [to_hex(area.get_facecolor()[0]) for area in axes["contributions"].collections]
    assert bars == rows == layers[1:] == [colour.lower() for colour in CHANNEL_COLOURS[:3]]
    assert legend_names(figure) == ["base sales", *tick_names(axes["roas"])]


@pytest.mark.parametrize("n_channels", [MOST_CHANNELS, MOST_CHANNELS + 1])
def test_small_channels_are_shown_as_one(n_channels):
    ds = generated(n_channels, n_regions=3)
    figure = drawn(plot_overview(ds))
    axes = panels(figure)
    names = tick_names(axes["roas"])
    if n_channels == MOST_CHANNELS:
        assert names == list(ds.channel.values)
        return
    largest = list(ds.channel.values[: len(names) - 1])
    rest = n_channels - len(largest)
    assert rest > 1
    assert names == [*largest, f"{rest} others"]
    assert to_hex(axes["roas"].patches[-1].get_facecolor()) == OTHER_COLOUR.lower()
    assert axes["roas"].patches[-1].get_width() == pytest.approx(2.0)
    top = axes["contributions"].collections[-1].get_paths()[0].vertices[:, 1].max()
    assert top == pytest.approx(float(ds.mu.sum("geo").max()))


@pytest.mark.parametrize(("freq", "word"), [("D", "day"), ("MS", "month")])
def test_the_axes_speak_of_the_frequency(freq, word):
    figure = plot_overview(generated(freq=freq, n_periods=30))
    assert panels(figure)["sales"].get_ylabel() == f"sales per {word}"


def test_long_series_are_thinned_to_means_and_say_so():
    ds = generated(1, 1, n_periods=2 * MOST_DATES, freq="D")
    axes = panels(drawn(plot_overview(ds)))["sales"]
    line = axes.get_lines()[1]
    assert len(line.get_ydata()) == MOST_DATES
    assert line.get_ydata()[0] == pytest.approx(float(ds.mu[:2].sum("geo").mean()))
    assert "means of 2 days" in axes.get_ylabel()


def test_the_units_are_those_of_the_dataset():
    ds = generated(currency="EUR", kpi="orders", revenue_per_kpi=50.0)
    axes = panels(plot_overview(ds))
    assert axes["sales"].get_ylabel() == "orders per week"
    assert axes["roas"].get_xlabel() == "revenue (EUR) per EUR of spend"
    # ROAS is in revenue, whatever the KPI is.
    assert [bar.get_width() for bar in axes["roas"].patches] == pytest.approx([2.0] * 3)


def test_names_that_differ_never_become_the_same_text():
    names = [
        f"{'x' * 40}{middle}{'y' * 40}" for middle in ("", "x", "xx", "xy", "a" * 30, "a" * 31)
    ]
    names += [plain_text(names[0]), "xxxxxxxx…xyyyyyyyyyyyyyy…", "TV"]
    texts = plain_texts(names)
    assert len(set(texts.values())) == len(names)
    assert all(texts[name] == name for name in names[-3:])
    assert max(map(len, texts.values())) < 2 * LONGEST_NAME


SIZES = ["y", "spend", "control_value"]


@pytest.mark.parametrize(("size", "word"), [(1e-312, "small"), (1e-200, "small"), (1e305, "large")])
def test_sizes_that_no_axis_can_show_are_refused_with_the_reason(size, word, ds):
    sales = ds.assign(y=ds.y.copy(data=np.full(ds.y.shape, size)))
    for plot in (plots.plot_decomposition, plots.plot_sales, plots.plot_geos, plots.plot_waterfall):
        for data in (sales, sales[SIZES].assign_attrs(ds.attrs)):
            if plot is plots.plot_waterfall and "mu" not in data:
                continue
            with pytest.raises(SchemaError, match=f"'y' is too {word} for a picture"):
                plot(data)
    spend = ds.assign(spend=ds.spend.copy(data=np.full(ds.spend.shape, size)))
    with pytest.raises(SchemaError, match=f"'spend' is too {word} .* geo 'geo_a', channel"):
        plots.plot_spend(spend)
    with pytest.raises(SchemaError, match=f"'spend' is too {word}"):
        plots.plot_what_if(ds, spend.spend)
    control = ds.assign(control_value=ds.control_value.copy(data=np.full((104, 2, 2), size)))
    for plot in (plots.plot_controls, plots.plot_outliers, plots.plot_correlation):
        with pytest.raises(SchemaError, match=f"'control_value' is too {word}"):
            plot(control)
    base = ds.assign(intercept_contribution=0 * ds.intercept_contribution + size)
    with pytest.raises(SchemaError, match=f"'intercept_contribution' is too {word}"):
        plots.plot_baseline(base)


@pytest.mark.parametrize("size", [0.0, 1e-149, 1e149])
def test_constant_sales_of_any_other_size_are_drawn(size, ds):
    short = ds[SIZES].assign_attrs(ds.attrs).isel(date=slice(30))
    sales = short.assign(y=size + 0 * short.y)
    for plot in (plots.plot_decomposition, plots.plot_sales, plots.plot_geos, plots.plot_outliers):
        drawn(plot(sales))


def test_one_infinite_value_is_named(ds):
    values = ds.y.values.copy()
    values[3, 1] = np.inf
    with pytest.raises(SchemaError, match="found at most inf in geo 'geo_b'"):
        plots.plot_sales(ds.assign(y=ds.y.copy(data=values)))


def test_a_placebo_and_a_silent_channel_are_drawn():
    channels = [
        ChannelConfig(name="TV", roas=2.0),
        ChannelConfig(name="placebo", base_effectiveness=0.0),
        ChannelConfig(name="silent", base_spend=0.0, base_effectiveness=0.0),
    ]
    with pytest.warns(mmm_xgen.XgenWarning, match="silent"):
        ds = mmm_xgen.generate_mmm_dataset(MMMDataConfig(channels=channels))
    axes = panels(drawn(plot_overview(ds)))["roas"]
    texts = dict(zip(tick_names(axes), (text.get_text() for text in axes.texts), strict=True))
    assert texts == {"TV": "2.00", "placebo": "0.00", "silent": "no spend"}


def test_without_parameters_the_curves_are_left_out(ds):
    """As after an aggregation, which the other panels survive."""
    figure = drawn(plot_overview(aggregate(ds, freq="QS")))
    axes = panels(figure)
    assert not axes["response"].get_lines()
    assert "no parameters" in axes["response"].texts[0].get_text()
    assert axes["sales"].get_ylabel() == "sales per quarter"
    assert "8 quarters, 1 geo" in figure.get_suptitle()
    widths = dict(
        zip(
            tick_names(axes["roas"]), [bar.get_width() for bar in axes["roas"].patches], strict=True
        )
    )
    assert widths == pytest.approx({"Seasonal": 2.4, "Trend": 1.5, "On-Off": 3.0})


@pytest.fixture(scope="module")
def fatigued():
    """A channel of which more than twice 1500 of spend costs sales, in most weeks."""

    @register_saturation("fatigue")
    def fatigue(x, *, s: Positive = 1500.0):
        return x / s * (2 - x / s)

    tv = {"base_spend": 3600.0, "base_effectiveness": 0.05, "saturation_fun": "fatigue"}
    channels = [
        ChannelConfig(name="TV", pattern="seasonal", seasonal_amplitude=0.3, **tv),
        ChannelConfig(name="Search", roas=3.0),
    ]
    config = MMMDataConfig(n_periods=52, channels=channels)
    yield quietly(lambda: mmm_xgen.generate_mmm_dataset(config))
    SATURATIONS.remove("fatigue")


@pytest.mark.parametrize(
    "plot",
    [
        plot_overview,
        plots.plot_roas,
        lambda ds: plots.plot_budget(ds, ds.mmm.optimize_allocation()),
        plots.plot_response_curves,
        lambda ds: plots.plot_response_curves(ds, marginal=True),
        lambda ds: plots.plot_efficiency_frontier(ds, budgets=[1e5, 8e5]),
        plots.plot_response_stages,
        lambda ds: plots.plot_contributions(ds, kind="stacked"),
    ],
    ids=["overview", "roas", "budget", "curves", "slopes", "frontier", "stages", "stacked"],
)
def test_what_is_below_zero_is_in_the_picture(fatigued, plot):
    figure = plot(fatigued)
    lowest = [(axes.dataLim.x0, axes.dataLim.y0) for axes in figure.axes]
    ends = [(min(axes.get_xlim()), min(axes.get_ylim())) for axes in figure.axes]
    assert (np.array(ends) <= lowest).all()
    assert np.min(lowest) < -0.5


def test_layers_below_zero_hang_from_it_and_cover_no_other(fatigued):
    areas = plots.plot_contributions(fatigued, kind="stacked").axes[0].collections
    spans = [(area.get_paths()[0].vertices[:, 1]) for area in areas]
    total = fatigued.sum("geo")
    tv, search = (total.channel_contribution.sel(channel=name) for name in ("TV", "Search"))
    base = total.mu - tv - search
    assert spans[1].max() == pytest.approx(float((base + search).max()))
    assert spans[-1].max() == 0
    assert spans[-1].min() == pytest.approx(float(tv.min()))
    assert min(span.min() for span in spans[:-1]) == 0


def test_a_negative_return_has_the_colour_of_nothing(fatigued):
    [mesh, *_] = drawn(plots.plot_roas(fatigued, by="geo")).axes[0].collections
    assert mesh.get_array().tolist() == [[pytest.approx(np.log2(3.0)), mesh.get_clim()[0]]]


def test_words_and_numbers():
    assert short_number(999.99) == "1k"
    assert short_number(999_990) == "1M"
    assert short_number(-1234) == "-1.23k"
    assert period_word("W-MON") == "week"
    assert period_word("YE") == "period"
    assert len(plain_text("x" * 80)) == LONGEST_NAME
