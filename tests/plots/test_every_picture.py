"""Every picture of a dataset: what it draws, refuses and leaves alone."""

import re
from functools import cache
from inspect import signature

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.text import Text

import mmm_xgen
from mmm_xgen import ChannelConfig, ControlConfig, MMMDataConfig, RegionConfig, plots
from mmm_xgen.aggregate import aggregate
from mmm_xgen.errors import AlignmentError, ConfigError, SchemaError
from mmm_xgen.plots.spend import KINDS
from mmm_xgen.plots.style import plain_texts
from tests.drawing import drawn, observed
from tests.strategies import quietly

# The other pictures need a plan or a table beside the dataset.
PICTURES = {
    name: (getattr(plots, name), {})
    for name in plots.__all__
    if name.startswith("plot_") and name not in ("plot_budget", "plot_scenarios", "plot_what_if")
} | {
    **{f"spend as {kind}": (plots.plot_spend, {"kind": kind}) for kind in KINDS},
    "contributions stacked": (plots.plot_contributions, {"kind": "stacked"}),
    "attribution of media": (plots.plot_attribution, {"of": "media"}),
    "returns by geo": (plots.plot_roas, {"by": "geo"}),
    "slopes of response": (plots.plot_response_curves, {"marginal": True}),
}
# Every budget of a frontier is an optimisation.
SMALL = [name for name in PICTURES if name != "plot_efficiency_frontier"]
NAMES = [
    "US$ and CA$",
    "_hidden {100%}",
    "\\alpha",
    "Programmatic display network retargeting 12",
    "Programmatic display prospecting retargeting 12",
    "a" * 100,
]
NAMED = {
    "plot_baseline": [],
    "plot_controls": ["control"],
    "plot_correlation": ["channel", "control"],
    "plot_decomposition": [],
    "plot_geos": ["geo", "channel"],
    "plot_outliers": ["channel", "control"],
    "plot_pairs": [],
    "plot_quality": ["channel", "control"],
    "plot_sales": [],
    "returns by geo": ["geo", "channel"],
}


def picture(name, ds, **options):
    function, settings = PICTURES[name]
    return function(ds, **settings, **options)


def takes(option):
    return [name for name in SMALL if option in signature(PICTURES[name][0]).parameters]


def written(figure):
    return [text.get_text() for text in figure.findobj(Text) if text.get_visible()]


@cache
def world(name):
    """Datasets at the ends of what there is; tests leave them as they are."""
    if name == "usual":
        return mmm_xgen.generate_mmm_dataset()
    if name == "quarters":
        return aggregate(world("usual"), freq="QS")
    if name == "odd":
        # The last two have no effect and no spend.
        media = [{"roas": 2.0}] * 4 + [{"base_effectiveness": 0.0}]
        media += [{"base_effectiveness": 0.0, "base_spend": 0.0}]
        channels = [ChannelConfig(name=n, **keys) for n, keys in zip(NAMES, media, strict=True)]
        controls, geos = (
            (f"{label} 100% \\beta", "_" + label, 9 * label) for label in ("US$ rain", "A & B")
        )
        settings = {"n_periods": 2, "freq": "MS"}
    else:
        n_channels, n_geos, n_controls, n_periods = {
            "one of each": (1, 1, 0, 1),
            "many": (30, 50, 10, 6),
            "more than a page": (45, 45, 14, 4),
        }[name]
        channels = [ChannelConfig(name=f"channel {i}", roas=2.0) for i in range(n_channels)]
        controls = [f"control {i}" for i in range(n_controls)]
        geos, settings = [f"geo {i}" for i in range(n_geos)], {"n_periods": n_periods}
    config = MMMDataConfig(
        channels=channels,
        control_variables=[ControlConfig(name=n, gamma_control=5.0) for n in controls],
        regions=RegionConfig(region_names=geos, base_sales_rate=2e4 * len(channels)),
        # Short enough for the default l_max at every frequency.
        transforms={"adstock_kwargs": {"alpha": 0.3}},
        **settings,
    )
    return quietly(lambda: mmm_xgen.generate_mmm_dataset(config))


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("size", ["one of each", "many"])
def test_every_size_is_drawn_without_a_warning(name, size):
    drawn(picture(name, world(size)))


@pytest.mark.parametrize("name", SMALL)
def test_any_name_is_written_as_it_is_even_if_two_look_the_same(name):
    ds = world("odd")
    texts = written(drawn(picture(name, ds)))
    for dim in NAMED.get(name, ["channel"]):
        for label in plain_texts(ds[dim].values.tolist()).values():
            assert any(label in text.replace("\n", " ") for text in texts), label
    assert not any("Programmatic…" in text for text in texts)


@pytest.mark.parametrize("name", SMALL)
def test_an_aggregated_dataset_is_drawn(name):
    if name == "plot_adstock_kernels":
        with pytest.raises(SchemaError, match="no kernels, as after an aggregation"):
            picture(name, world("quarters"))
    elif name in ("plot_response_curves", "slopes of response", "plot_information_bound"):
        with pytest.raises(SchemaError, match=r"aggregat|no 'config'"):
            picture(name, world("quarters"))
    else:
        assert picture(name, world("quarters")).axes


def content(figure):
    """Data of all artists that hold some, in the order of drawing."""
    for axes in figure.axes:
        for line in axes.get_lines():
            yield np.asarray(line.get_ydata(), dtype=float)
        for patch in axes.patches:
            yield np.asarray(patch.get_extents())
        for area in axes.collections:
            array = area.get_array()
            yield area.get_offsets() if array is None else np.ma.filled(array, np.nan)
            if isinstance(area, PolyCollection):
                yield from (path.vertices for path in area.get_paths())


@pytest.mark.parametrize("name", SMALL)
def test_order_of_dims_does_not_matter_and_size_and_settings_are_the_users(name):
    ds, before = world("usual"), dict(mpl.rcParams)
    orders = ds, ds.transpose("channel", "control", "lag", "geo", "date", ...)
    usual, turned = (picture(name, each, figsize=(9, 8)) for each in orders)
    assert written(turned) == written(usual)
    for one, two in zip(content(usual), content(turned), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-6)
    assert tuple(usual.get_size_inches()) == (9, 8)
    assert dict(mpl.rcParams) == before
    assert not plt.get_fignums()


@pytest.mark.parametrize("name", takes("ax"))
def test_the_axes_may_be_the_users(name):
    figure = Figure(figsize=(16, 6), layout="constrained")
    axes, other = figure.subplots(1, 2)
    assert picture(name, world("usual"), ax=axes) is figure
    assert axes.has_data() and not other.has_data()
    drawn(figure)
    with pytest.raises(ConfigError, match="figsize"):
        picture(name, world("usual"), ax=axes, figsize=(7, 4))


@pytest.mark.parametrize("name", SMALL)
def test_a_wrong_dataset_or_place_is_refused(name):
    ds = world("usual")
    if name not in ("plot_quality", "plot_baseline", "plot_controls"):
        with pytest.raises(SchemaError, match=r"'(spend|y|mu)'"):
            picture(name, ds.drop_vars(["spend", "y", "mu"]))
    if name != "plot_quality":
        with pytest.raises(SchemaError, match=r"isel\(dataset=0\)"):
            picture(name, xr.concat([ds, ds], dim="dataset", data_vars="all"))
    wrong = {
        "geo": ("geo_z", AlignmentError, "geo: found 'geo_z'|'geo_b'"),
        "channels": (["TV"], AlignmentError, "no channel named 'TV'"),
        "page": (2, ConfigError, "page: found 2, allowed: 1 to 1"),
    }
    for option, (value, error, words) in wrong.items():
        if name in takes(option):
            with pytest.raises(error, match=words):
                picture(name, ds, **{option: value})
    if name in takes("channels"):
        with pytest.raises(ConfigError, match="channels: found no channel"):
            picture(name, ds, channels=[])


# Lines and areas have one page, on which small channels are one.
PAGED = [
    name for name in takes("page") if name not in ("plot_spend", "spend as lines", "spend as area")
]


@pytest.mark.parametrize("name", sorted(PAGED))
def test_pages_hold_every_row_once_and_say_so(name):
    ds = world("more than a page")
    pages = [picture(name, ds)]
    last = int(re.search(r"page 1 of (\d+)", " ".join(written(pages[0])))[1])
    pages += [picture(name, ds, page=page) for page in range(2, last + 1)]
    dim = NAMED.get(name, ["channel"])[0]
    for label in ds[dim].values:
        found = [any(re.match(rf"{label}(:|$)", text) for text in written(page)) for page in pages]
        assert found.count(True) == 1, label
    assert f", page {last} of {last}" in " ".join(written(pages[-1]))
    with pytest.raises(ConfigError, match=f"page: found {last + 1}, allowed: 1 to {last}"):
        picture(name, ds, page=last + 1)


OBSERVED = """plot_controls plot_correlation plot_decomposition plot_geos plot_lags plot_outliers
plot_pairs plot_quality plot_sales plot_spend plot_spend_against_sales plot_spend_distribution"""


@pytest.mark.parametrize("name", [*OBSERVED.split(), "spend as heatmap"])
def test_observed_variables_with_gaps_are_enough(name):
    ds = observed(world("usual"))
    gaps = np.where(np.arange(104)[:, None] % 9 == 0, np.nan, ds.y.values)
    figure = picture(name, ds.assign(y=ds.y.copy(data=gaps)))
    assert not any("nan" in text for text in written(figure))


@pytest.mark.parametrize("name", sorted({*SMALL} & {*plots.__all__} - {"plot_quality"}))
@pytest.mark.parametrize("dim", ["date", "channel", "geo"])
def test_a_dataset_without_dates_channels_or_geos_is_refused(name, dim):
    empty = world("usual").isel({dim: slice(0, 0)})
    if dim == "channel" and name in ("plot_baseline", "plot_controls"):
        assert picture(name, empty)
        return
    with pytest.raises(SchemaError, match=f"has no {dim}: found 0, allowed: at least 1"):
        picture(name, empty)
