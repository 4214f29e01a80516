"""Pictures of recovery: what is drawn, not its pixels, and that every size of it draws."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.colors import to_hex
from matplotlib.patches import StepPatch

import mmm_xgen
from mmm_xgen import ChannelConfig, ConfigError, ControlConfig, MMMDataConfig, RegionConfig
from mmm_xgen.plots.panels import MOST_PANELS
from mmm_xgen.recovery.fit import Fit
from mmm_xgen.recovery.plots import (
    independent_ranks,
    plot_contributions,
    plot_coverage,
    plot_fit,
    plot_metrics,
    plot_parameters,
    plot_predictive,
    plot_ranks,
    plot_response_curves,
    plot_roas,
    plot_roas_recovery,
    plot_runtime,
    plot_study,
    read_returns,
)
from mmm_xgen.recovery.plots.panels import MISSED, TRUTH
from mmm_xgen.recovery.study.results import read_units
from mmm_xgen.recovery.study.saved import QUANTILES, series_of, write_posterior
from mmm_xgen.recovery.study.unit import write_stats
from mmm_xgen.recovery.study.work import DATA, POSTERIOR
from mmm_xgen.streams import stream

ENDS = (QUANTILES[0], QUANTILES[-1])
MULTIPLIERS = [0, 0.5, 1, 1.3]


def generated(n_channels=3, n_geos=2, n_periods=40, names=None):
    names = names or [f"channel {place}" for place in range(n_channels)]
    config = MMMDataConfig(
        channels=[
            ChannelConfig(name=name, base_spend=1000.0 + 100 * place, roas=2.0)
            for place, name in enumerate(names)
        ],
        control_variables=[ControlConfig(name="Price", gamma_control=-100.0)],
        regions=RegionConfig(n_regions=n_geos, base_sales_rate=20_000.0 * len(names)),
        n_periods=n_periods,
    )
    return mmm_xgen.generate_mmm_dataset(config)


def spread(array, sd=0.1, shift=0.0):
    """Draws around an array."""
    bare = array.drop_vars([name for name in array.coords if name not in array.dims])
    noise = stream(1, "draws", str(array.name)).normal(shift, sd, (2, 20, *bare.shape))
    return bare * xr.DataArray(np.exp(noise), dims=("chain", "draw", *bare.dims))


def estimated(ds, sd=0.1, shift=0.0):
    curve = mmm_xgen.truth.response_curve(ds, multipliers=MULTIPLIERS).contribution
    return xr.Dataset(
        {
            "roas": spread(mmm_xgen.truth.roas(ds), sd, shift),
            "response_curve": spread(curve, sd, shift),
            "channel_contribution": spread(ds.channel_contribution, sd, shift),
            "mu": spread(ds.mu, 0.01),
            "y_sigma": spread(ds.y_sigma),
        }
    )


@pytest.fixture(scope="module")
def ds():
    return generated()


@pytest.fixture(scope="module")
def estimates(ds):
    return estimated(ds)


@pytest.fixture(scope="module")
def series(estimates):
    return series_of(estimates, seed=1)


def drawn(figure):
    """Lay out and draw for real: matplotlib warns, and with it the test fails, only here."""
    figure.draw_without_rendering()
    for each in figure.legends:
        box = each.get_window_extent()
        assert box.x0 >= 0 and box.x1 <= figure.bbox.x1
    return figure


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def titles(figure):
    return [axes.get_title(loc="left") for axes in figure.axes]


def tick_names(axes):
    return [text.get_text() for text in axes.get_yticklabels()]


def lines(axes):
    return {line.get_label(): line for line in axes.get_lines()}


# --- one fit


def test_predictive_shows_data_truth_prediction_and_holdout(ds, series):
    end = str(ds.date.values[29])[:10]
    figure = drawn(plot_predictive(ds, series, train_end=end))
    largest = str(ds.mu.sum("date").idxmax("geo").item())
    axes = figure.axes[0]
    assert axes.get_title(loc="left") == largest
    here = lines(axes)
    np.testing.assert_array_equal(here["sales"].get_ydata(), ds.y.sel(geo=largest))
    np.testing.assert_array_equal(here["truth"].get_ydata(), ds.mu.sel(geo=largest))
    np.testing.assert_array_equal(here["mean"].get_ydata(), series.y_mean.sel(geo=largest))
    (band,) = axes.collections
    heights = band.get_paths()[0].vertices[:, 1]
    low, high = series.y.sel(geo=largest, quantile=[*ENDS]).values
    assert (heights.min(), heights.max()) == pytest.approx((low.min(), high.max()))
    (shade,) = axes.patches
    assert shade.get_label() == "holdout"
    assert legend(figure)[-1] == "not seen by the model"
    assert axes.get_ylabel() == "sales per week"


def test_without_noise_or_holdout_the_picture_says_so(ds, series):
    figure = drawn(plot_predictive(ds, series.drop_vars(["y", "y_mean"])))
    assert "expected by the model, mean" in legend(figure)
    assert "not seen by the model" not in legend(figure)
    assert not figure.axes[0].patches


def test_contributions_are_of_one_geo_whose_band_is_true(ds, series):
    figure = drawn(plot_contributions(ds, series, geo="geo_2"))
    assert "geo_2, of 2 geos" in figure.get_suptitle()
    name = titles(figure)[0]
    truth = ds.channel_contribution.sel(geo="geo_2", channel=name)
    np.testing.assert_array_equal(lines(figure.axes[0])["truth"].get_ydata(), truth)
    totals = ds.channel_contribution.sel(geo="geo_2").sum("date").sel(channel=titles(figure))
    assert (np.diff(totals) <= 0).all()
    with pytest.raises(ConfigError, match="no geo is named 'geo_9'"):
        plot_contributions(ds, series, geo="geo_9")


def test_response_curves_mark_observed_spend(ds, estimates):
    figure = drawn(plot_response_curves(ds, estimates))
    axes, name = figure.axes[0], titles(figure)[0]
    truth = mmm_xgen.truth.response_curve(ds, multipliers=MULTIPLIERS).contribution
    np.testing.assert_allclose(lines(axes)["truth"].get_ydata(), truth.sel(channel=name))
    spend = ds.spend.sel(channel=name)
    share = spend / spend.mean("date")
    (shade,) = axes.patches
    assert shade.get_x() == pytest.approx(float(share.min()))
    assert shade.get_x() + shade.get_width() == pytest.approx(float(share.max()))
    assert "observed spend" in legend(figure)


def test_roas_marks_truth_and_tells_what_intervals_miss(ds):
    draws = estimated(ds, sd=0.02).roas
    off = xr.where(draws.channel == "channel 1", 2 * draws, draws).to_dataset(name="roas")
    figure = drawn(plot_roas(ds, off))
    (axes,) = figure.axes
    names = tick_names(axes)
    truth = mmm_xgen.truth.roas(ds).sel(channel=names)
    found = lines(axes)
    inside, outside = found["truth"], found["truth outside the 94% interval"]
    missed = np.array([name == "channel 1" for name in names])
    np.testing.assert_array_equal(outside.get_ydata(), np.flatnonzero(missed))
    np.testing.assert_allclose(inside.get_xdata(), truth[~missed])
    assert (to_hex(inside.get_color()), to_hex(outside.get_color())) == tuple(
        map(to_hex, (TRUTH, MISSED))
    )
    assert "USD" in axes.get_xlabel()


def test_long_intervals_are_cut_with_an_arrow(ds):
    draws = estimated(ds).roas.copy()
    draws[0, 0] = 1e4
    draws[0, 1] = -1e4
    figure = drawn(plot_roas(ds, draws.to_dataset()))
    (axes,) = figure.axes
    assert axes.get_xlim()[1] < 100
    assert "interval goes on" in legend(figure)


def test_forest_has_a_panel_a_parameter_with_its_truth(ds):
    names = ["adstock_alpha", "effect", "y_sigma", "gamma_control"]
    draws = xr.Dataset({name: spread(ds[name]) for name in names})
    ridge = xr.DataArray(
        [[1, 0, 0]],
        {"parameter": ["effect"], "channel": ds.channel.values},
        ("parameter", "channel"),
    )
    figure = drawn(plot_parameters(ds, draws, ridge=ridge))
    assert set(titles(figure)) == set(names)
    axes = figure.axes[titles(figure).index("effect")]
    assert tick_names(axes)[0].endswith("channel 0 *")
    assert "ridge" in figure.get_suptitle()
    marks = [line.get_xdata() for name, line in lines(axes).items() if name.startswith("truth")]
    both = np.concatenate(marks)
    np.testing.assert_allclose(np.sort(both), np.sort(ds.effect.values.ravel()))


def test_parameters_without_a_truth_have_no_mark_and_without_draws_no_row(ds):
    changed = ds.assign(intercept_contribution=("geo", [1.0, 2.0]))
    draws = xr.Dataset(
        {
            "intercept_contribution": spread(ds.y_sigma.isel(geo=0, drop=True)),
            "unknown": spread(ds.y_sigma),
            "gamma_control": spread(
                ds.gamma_control.isel(control=[0, 0]).assign_coords(control=["Price", "trend"])
            ),
        }
    )
    draws["effect"] = spread(ds.effect.where(ds.channel != "channel 2"))
    figure = drawn(plot_parameters(changed, draws))
    names = tick_names(figure.axes[titles(figure).index("effect")])
    assert names and not any("channel 2" in name for name in names)
    for axes, name in zip(figure.axes, titles(figure), strict=True):
        drawn_truths = [
            np.isfinite(line.get_xdata()).sum()
            for label, line in lines(axes).items()
            if label.startswith("truth")
        ]
        expected = {"gamma_control": 2, "effect": 4}
        assert sum(drawn_truths) == expected.get(name, 0), name


@pytest.mark.parametrize(
    ("n_channels", "n_geos"),
    [
        (1, 1),
        (1, 14),
        pytest.param(14, 1, marks=pytest.mark.slow),
        pytest.param(13, 14, marks=pytest.mark.slow),
    ],
)
def test_every_size_draws_in_pages(n_channels, n_geos):
    ds = generated(n_channels, n_geos, 30)
    estimates = estimated(ds)
    series = series_of(estimates, seed=1)
    parameters = xr.Dataset({name: spread(ds[name]) for name in ("effect", "y_sigma")})
    by_geo = drawn(plot_predictive(ds, series))
    assert len(by_geo.axes) == min(n_geos, MOST_PANELS)
    for figure in (plot_contributions(ds, series), plot_response_curves(ds, estimates)):
        assert len(drawn(figure).axes) == min(n_channels, MOST_PANELS)
    assert len(tick_names(drawn(plot_roas(ds, estimates)).axes[0])) == n_channels
    drawn(plot_parameters(ds, parameters))
    if n_geos > MOST_PANELS:
        second = drawn(plot_predictive(ds, series, page=2))
        assert "geos 13 to 14 of 14, page 2 of 2" in second.get_suptitle()
        assert not {*titles(by_geo)} & {*titles(second)}
        with pytest.raises(ConfigError, match="page: found 3, allowed: 1 to 2"):
            plot_predictive(ds, series, page=3)


def test_odd_names_and_a_single_date_draw():
    ds = generated(names=["_hidden", "US$ & CA$ (x_1)", "A channel with a name that has no end"])
    estimates = estimated(ds)
    drawn(plot_roas(ds, estimates))
    one = ds.isel(date=slice(1))
    series = series_of(estimates.isel(date=slice(1)), seed=1)
    drawn(plot_predictive(one, series))
    drawn(plot_contributions(one, series))


def test_pictures_of_what_a_fit_lacks_say_what_it_has(ds, estimates):
    with pytest.raises(ConfigError, match="the fit has no 'roas', it has: response_curve"):
        plot_roas(ds, estimates[["response_curve"]])
    with pytest.raises(ConfigError, match="no 'mu', it has: nothing"):
        plot_predictive(ds, xr.Dataset())
    with pytest.raises(ConfigError, match="no 'parameter'"):
        plot_parameters(ds, xr.Dataset())


def test_pyplot_has_no_part_in_it(ds, estimates):
    import matplotlib as mpl
    from matplotlib import pyplot

    before = dict(mpl.rcParams)
    plot_roas(ds, estimates)
    assert not pyplot.get_fignums()
    assert dict(mpl.rcParams) == before


# --- a study


def scored(models=("ols", "pymc"), seeds=40, datasets=("a",), channels=("TV", "Radio")):
    rng = stream(1, "scores")
    rows = []
    for dataset in datasets:
        for place, model in enumerate(models):
            for seed in range(seeds):
                key = (dataset, model, seed)
                rows.append((*key, "regret_recommended_percent", "value", "", rng.lognormal()))
                rows.append((*key, "channel_ranking_spearman", "value", "", rng.uniform(-1, 1)))
                for channel in channels:
                    errors = [abs(rng.normal(0, 0.1 * (place + 1))) for _ in range(2)]
                    covers = [float(rng.random() < share) for share in (0.5, 0.94)]
                    rank = (int(100 * rng.random() ** (1 + 3 * place)) + 0.5) / 100
                    metrics = ("absolute_error", "interval_score_94", "coverage_50", "coverage_94")
                    for metric, value in zip(
                        (*metrics, "rank"), (*errors, *covers, rank), strict=True
                    ):
                        rows.append((*key, "roas", metric, channel, value))
    names = ["dataset", "model", "seed", "quantity", "metric", "channel", "value"]
    return pd.DataFrame(rows, columns=names).assign(converged=True, geo="", label="")


@pytest.fixture(scope="module")
def scores():
    return scored()


def costs(models=("ols", "pymc"), datasets=("a",)):
    rows = [
        {
            "dataset": dataset,
            "model": model,
            "seed": seed,
            "status": "done",
            "build": 1.0,
            "compile": 2.0 * place,
            "sample": 3.0 + seed,
            "total": 7.0 + seed + 2.0 * place,
            "ess_bulk_min": 100.0 * (seed + 1) if place else np.nan,
            "ess_tail_min": 80.0 * (seed + 1) if place else np.nan,
            "ess_per_second_of_all": 10.0 if place else np.nan,
        }
        for dataset in datasets
        for place, model in enumerate(models)
        for seed in range(3)
    ]
    return pd.DataFrame(rows)


def test_coverage_is_beside_the_nominal_one(scores):
    figure = drawn(plot_coverage(scores))
    assert titles(figure) == ["nominal 50%", "nominal 94%"]
    assert tick_names(figure.axes[0]) == ["ols", "pymc"]
    share = scores[scores.metric == "coverage_94"].groupby("model").value.mean()
    dots = lines(figure.axes[1])["roas"]
    np.testing.assert_allclose(dots.get_xdata(), share[["ols", "pymc"]])
    nominal = [line for line in figure.axes[1].get_lines() if list(line.get_xdata()) == [0.94] * 2]
    assert len(nominal) == 1
    (bars,) = figure.axes[1].collections
    n = 80
    for (left, _), (right, _) in bars.get_segments():
        assert right - left > 2 * np.sqrt(0.94 * 0.06 / n)
    assert legend(figure) == ["nominal", "ROAS"]
    with pytest.raises(ConfigError, match="found no coverage"):
        plot_coverage(scores, quantities=["mroas"])


def test_ranks_have_bars_a_curve_and_a_verdict(scores):
    ranks = independent_ranks(scores)
    assert [len(values) for values in ranks.values()] == [40, 40]
    figure = drawn(plot_ranks(ranks))
    assert titles(figure)[0] == "ols, 40 fits"
    assert titles(figure)[1].startswith("none detected")
    assert titles(figure)[3].startswith("estimates too high (p < 0.001)")
    (steps,) = (each for each in figure.axes[0].patches if isinstance(each, StepPatch))
    assert steps.get_data().values.sum() == 40
    curve = figure.axes[1].get_lines()[0]
    points = curve.get_xdata()
    below = (ranks["ols"][:, None] < points).mean(axis=0)
    np.testing.assert_allclose(curve.get_ydata(), below - points, atol=1e-12)
    with pytest.raises(ConfigError, match="found no ranks"):
        plot_ranks({})


def test_one_rank_a_fit_whatever_the_channel(scores):
    of_ranks = scores[(scores.metric == "rank") & (scores.model == "ols")]
    channels = np.array(["TV", "Radio"])[of_ranks.seed % 2]
    expected = of_ranks[of_ranks.channel == channels].value
    np.testing.assert_array_equal(independent_ranks(scores)["ols"], expected)
    assert independent_ranks(scored(seeds=5)) == {}


@pytest.mark.parametrize("by", ["model", "channel"])
def test_metrics_are_means_with_bootstrap_intervals(scores, by):
    figure = drawn(plot_metrics(scores, by=by))
    assert titles(figure)[:2] == ["log-ROAS error", "log-ROAS interval score"]
    assert ("ranking of channels" in titles(figure)) == (by == "model")
    errors = scores[scores.metric == "absolute_error"]
    if by == "channel":
        errors = errors[errors.model == "pymc"]
        dots = lines(figure.axes[0])["pymc"]
        assert legend(figure) == ["ols", "pymc"]
    else:
        (dots,) = (line for line in figure.axes[0].get_lines() if len(line.get_xdata()) == 2)
    expected = errors.groupby(by).value.mean()[tick_names(figure.axes[0])]
    np.testing.assert_allclose(dots.get_xdata(), expected)
    words = [axes.get_xlabel() for axes in figure.axes]
    assert words[0] == "less is better"
    assert figure.axes[0].collections


def test_metrics_refuse_what_is_not_there(scores):
    with pytest.raises(ConfigError, match="allowed: model, channel"):
        plot_metrics(scores, by="geo")
    with pytest.raises(ConfigError, match="found no scores"):
        plot_metrics(scores, metrics=[("baseline", "crps")])


def test_runtime_is_split_and_adds_up():
    figure = drawn(plot_runtime(costs()))
    assert titles(figure) == [
        "seconds",
        "smallest effective sample size",
        "effective draws a second, of all",
    ]
    bars = [patch.get_width() for patch in figure.axes[0].patches]
    # build, compile, sample and the rest, each of both models
    np.testing.assert_allclose(bars, [1, 1, 0, 2, 4, 4, 3, 3])
    assert [text.get_text() for text in figure.axes[0].texts] == ["8 s", "10 s"]
    assert list(lines(figure.axes[1])["bulk"].get_xdata()) == [200.0]
    assert legend(figure) == ["build", "compile", "sample", "rest", "ESS, bulk", "ESS, tail"]
    without = drawn(plot_runtime(costs(models=["ols"])))
    assert titles(without) == ["seconds"]
    long = drawn(plot_runtime(costs(models=["ols"]).assign(total=1203.7)))
    assert [text.get_text() for text in long.axes[0].texts] == ["1,204 s"]
    with pytest.raises(ConfigError, match="found no units that are done"):
        plot_runtime(costs().assign(status="failed"))


def returned(models=("ols",), datasets=("a",), n=6):
    truth = np.linspace(1, 3, n)
    parts = [
        pd.DataFrame({"dataset": dataset, "model": model, "truth": truth, "median": 1.1 * truth})
        for dataset in datasets
        for model in models
    ]
    table = pd.concat(parts, ignore_index=True)
    return table.assign(lower=0.8 * table["median"], upper=1.3 * table["median"])


def test_scatter_has_every_channel_and_keeps_what_is_off_the_axis():
    returns = returned()
    returns.loc[0, ["median", "lower"]] = -1.0
    figure = drawn(plot_roas_recovery(returns))
    (axes,) = figure.axes
    np.testing.assert_allclose(lines(axes)["median"].get_xdata(), returns.truth[1:])
    (below,) = (line for line in axes.get_lines() if line.get_marker() == "v")
    assert list(below.get_xdata()) == [1.0]
    assert below.get_ydata()[0] == axes.get_ylim()[0] > 0
    assert axes.get_xscale() == axes.get_yscale() == "log"
    with pytest.raises(ConfigError, match="found no returns"):
        plot_roas_recovery(returns.assign(truth=0.0))


def test_many_models_and_datasets_draw_in_pages():
    models = [f"a-model-with-a-long-name-{place}" for place in range(7)]
    datasets = ["small_business", "medium_business"]
    scores = scored(models, seeds=10, datasets=datasets, channels=["TV"])
    assert len(tick_names(drawn(plot_coverage(scores)).axes[0])) == 14
    assert "page 1 of 2" in drawn(plot_ranks(independent_ranks(scores))).get_suptitle()
    drawn(plot_metrics(scores))
    drawn(plot_metrics(scores, by="channel"))
    drawn(plot_runtime(costs(models, datasets)))
    figure = drawn(plot_roas_recovery(returned(models, datasets, n=300), page=2))
    assert len(figure.axes) == 2
    assert "models 13 to 14 of 14, page 2 of 2" in figure.get_suptitle()
    # Dataset and model below each other, both whole: models differ in their ends.
    assert titles(figure) == [f"medium_business\n{model}" for model in models[-2:]]


def test_a_study_of_one_fit_draws():
    scores = scored(["ols"], seeds=1)
    for figure in (plot_coverage(scores), plot_metrics(scores), plot_runtime(costs(["ols"]))):
        drawn(figure)


# --- files


@pytest.fixture
def out(tmp_path, ds, estimates):
    """Folder of a study with two fits, one of them failed."""
    done, failed = (tmp_path / "a" / "ols" / f"000{seed}-x" for seed in (1, 2))
    about = {"dataset": "a", "label": "ols", "settings": {"train_end": None}}
    for folder in (done, failed):
        folder.mkdir(parents=True)
    write_stats(failed, {**about, "status": "failed", "seed": 2, "hash": "2", "began": "now"})
    write_stats(done, {**about, "status": "done", "seed": 1, "hash": "1", "began": "now"})
    mmm_xgen.to_netcdf(ds, done / DATA)
    fit = Fit(estimates=estimates, parameters=spread(ds.effect).to_dataset(name="effect"))
    write_posterior(fit, done / POSTERIOR, seed=1)
    return tmp_path


@pytest.fixture
def without_pixels(monkeypatch):
    """Files of pictures, where not the pictures but their files are tested."""
    monkeypatch.setattr(
        "matplotlib.figure.Figure.savefig", lambda self, path, **_: Path(path).write_bytes(b"")
    )


def test_pictures_of_a_fit_are_all_there_or_none(out, monkeypatch, without_pixels):
    folder = next(out.glob("a/ols/0001*"))

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("mmm_xgen.recovery.plots.files.plot_response_curves", interrupted)
        with pytest.raises(KeyboardInterrupt):
            plot_fit(folder)
    assert not list(folder.glob("*plots*"))
    assert len(plot_fit(folder)) == 5


def test_returns_are_read_once(out, ds, estimates):
    units = read_units(out)
    collected = out / "returns.parquet"
    found = read_returns(units, collected)
    np.testing.assert_allclose(found.truth, mmm_xgen.truth.roas(ds))
    middle = estimates.roas.quantile(0.5, ("chain", "draw"))
    np.testing.assert_allclose(found["median"], middle, rtol=1e-5)
    (next(out.glob("a/ols/0001*")) / POSTERIOR).unlink()
    pd.testing.assert_frame_equal(read_returns(units, collected), found, check_dtype=False)
    assert read_returns(units).empty


def test_a_study_is_drawn_anew_and_its_first_fits_once(out):
    units = read_units(out)
    scores = scored(["ols"], seeds=1)
    old = out / "summary" / "plots" / "gone.png"
    old.parent.mkdir(parents=True)
    old.write_bytes(b"")
    paths = plot_study(units, scores, out / "summary")
    names = ["roas_recovery", "coverage", "metrics_by_model", "metrics_by_channel", "runtime"]
    assert [path.stem for path in paths] == names
    assert not old.exists()
    first = {path: path.stat().st_mtime_ns for path in sorted(out.glob("a/ols/0001*/plots/*"))}
    assert [path.name for path in first] == [
        f"{name}.png"
        for name in ("contributions", "parameters", "predictive", "response_curves", "roas")
    ]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in [*first, *paths])
    content = [path.read_bytes() for path in paths]
    assert plot_study(units, scores, out / "summary") == paths
    assert [path.read_bytes() for path in paths] == content
    assert all(path.stat().st_mtime_ns == when for path, when in first.items())
    assert not list(out.rglob(".*"))


def test_every_dataset_has_pictures_of_its_own(out, without_pixels):
    """All rows of a large study would not be on the first page, which is the one that is kept."""
    (out / "summary").mkdir()
    units = read_units(out)
    units = pd.concat(
        [units, units.assign(dataset="b"), units.assign(dataset="c", status="failed")]
    )
    scores = scored(["ols"], seeds=1)
    paths = plot_study(units, pd.concat([scores, scores.assign(dataset="b")]), out / "summary")
    stems = {path.stem for path in paths}
    assert {"runtime_a", "runtime_b", "coverage_a", "coverage_b"} <= stems
    assert not [stem for stem in stems if stem.endswith("_c") or stem == "runtime"]


def test_nothing_done_draws_nothing(out):
    units = read_units(out)
    none = units[units["status"] != "done"]
    assert plot_study(none, scored(seeds=0), Path(out)) == []
