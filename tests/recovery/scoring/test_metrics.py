"""Metrics of draws against a truth, and what many of them say about calibration."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import energy_distance

from mmm_xgen import ConfigError
from mmm_xgen.recovery.scoring.aggregates import aggregate, paired_differences
from mmm_xgen.recovery.scoring.calibration import FINE, SHAPES, coverage, uniformity
from mmm_xgen.recovery.scoring.metrics import (
    METRICS,
    RANK_DRAWS,
    coverage_names,
    crps,
    evaluate,
    metrics_table,
    names_of,
    register_metric,
)
from mmm_xgen.streams import stream

LOW, HIGH, NARROW, WIDE = SHAPES


def posteriors(n: int, *, shift: float = 0.0, spread: float = 1.0, seed: int = 1, draws: int = 400):
    """Draws of n posteriors of many sizes, and truths drawn from them before any distortion."""
    rng = stream(seed, "posteriors")
    mean, sd = 3 * rng.normal(size=n), np.exp(rng.normal(size=n))
    truth = mean + sd * rng.normal(size=n)
    centre = mean + shift * sd
    return centre[:, None] + spread * sd[:, None] * rng.normal(size=(n, draws)), truth


def scores_of(n: int, **distortion: float) -> dict[str, np.ndarray]:
    return dict(zip(METRICS, evaluate(*posteriors(n, **distortion)), strict=True))


def table_of(values: dict[str, np.ndarray], **columns: str) -> pd.DataFrame:
    keys = {"dataset": "made up", "model": "one", "quantity": "roas", **columns}
    frames = [
        pd.DataFrame({**keys, "metric": name, "seed": range(len(each)), "value": each})
        for name, each in values.items()
    ]
    return pd.concat(frames, ignore_index=True)


# --- metrics


@pytest.mark.parametrize("draws", [1, 2, 100])
@pytest.mark.parametrize("name", names_of("accuracy"))
def test_accuracy_is_perfect_at_the_truth(name, draws):
    truth = np.array([0.1, -3.7, 1e9 / 3])
    values = evaluate(np.repeat(truth[:, None], draws, axis=1), truth, [name])
    assert (values == METRICS[name].perfect).all()


@pytest.mark.parametrize("name", names_of("accuracy"))
def test_accuracy_is_worse_off_the_truth(name):
    truth = np.zeros(1)
    values = [evaluate(np.full((1, 50), off), truth, [name])[0, 0] for off in (0.1, 1.0)]
    losses = METRICS[name].loss(np.array(values))
    assert 0 < losses[0] < losses[1]


def test_other_metrics_at_the_truth():
    values = dict(zip(METRICS, evaluate(np.ones((1, 7)), np.ones(1))[:, 0], strict=True))
    expected = {"coverage_50": 1.0, "coverage_94": 1.0, "z": 0.0, "sd": 0.0, "rank": 0.5}
    assert {name: values[name] for name in expected} == expected


def test_crps_of_the_draws_themselves_is_half_the_energy_distance():
    draws, truth = posteriors(20, draws=50)
    expected = [energy_distance(d, [t]) ** 2 / 2 for d, t in zip(draws, truth, strict=True)]
    np.testing.assert_allclose(crps(draws, truth, fair=False), expected, rtol=1e-12)
    # Of one draw it is the absolute error.
    assert evaluate(np.array([[2.0]]), np.array([5.0]), ["crps"]).item() == 3


def test_crps_is_fair_to_few_draws():
    draws, truth = posteriors(20, draws=7)
    pairs = np.abs(draws[:, :, None] - draws[:, None, :]).sum(axis=(1, 2)) / (7 * 6)
    expected = np.abs(draws - truth[:, None]).mean(axis=1) - pairs / 2
    found = evaluate(draws, truth, ["crps"])[0]
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
    assert (found >= 0).all()
    # On average 2 draws score what 100 do, in sds: E|X - x| - E|X - X'| / 2, of normal ones.
    truth = stream(1, "truth").normal(size=20_000)
    for n in (2, 100):
        draws = stream(1, "draws", str(n)).normal(size=(len(truth), n))
        assert crps(draws, truth).mean() == pytest.approx(1 / np.sqrt(np.pi), rel=0.02)


@pytest.mark.parametrize(("truth", "outside"), [(0.5, 0.0), (-1.0, 1.03), (2.0, 1.03)])
def test_interval_score_by_hand(truth, outside):
    draws = np.linspace(0, 1, 101)[None]
    score, inside = evaluate(draws, np.array([truth]), ["interval_score_94", "coverage_94"])[:, 0]
    assert score == pytest.approx(0.94 + 2 / 0.06 * outside)
    assert inside == (outside == 0)


def test_intervals_are_equal_tailed():
    # The highest-density interval of these draws would begin at 0.
    draws = np.linspace(0, 1, 1001)[None] ** 4
    assert evaluate(draws, np.array([1e-9]), ["coverage_94"])[0, 0] == 0


def test_rank_counts_ties_half_and_thins():
    draws = np.arange(990.0)[None]
    rank = evaluate(draws, np.array([495.0]), ["rank"])[0, 0]
    assert rank * (RANK_DRAWS + 1) % 1 in (0.0, 0.5)
    assert rank == pytest.approx(0.5, abs=0.01)
    assert evaluate(np.array([[1.0, 2.0, 2.0, 3.0]]), np.array([2.0]), ["rank"])[0, 0] == 0.5


def test_what_is_not_finite_has_no_score():
    draws = np.array([[1.0, 2.0], [1.0, np.inf], [1.0, 2.0]])
    values = evaluate(draws, np.array([1.5, 1.5, np.nan]))
    assert np.isfinite(values[:, 0]).all()
    assert np.isnan(values[:, 1:]).all()
    # Nor have draws without spread that miss a z.
    assert np.isnan(evaluate(np.ones((1, 3)), np.zeros(1), ["z"])).all()


def test_values_stay_within_their_bounds():
    for values, metric in zip(evaluate(*posteriors(200, shift=1.0)), METRICS.values(), strict=True):
        assert (values >= metric.lower).all()
        assert (values <= metric.upper).all()


def test_every_list_follows_from_the_records():
    table = metrics_table()
    assert list(table.index) == list(METRICS)
    assert set(names_of("accuracy")) == set(table.index[table.role == "accuracy"])
    assert set(coverage_names()) == {"coverage_50", "coverage_94"}
    with pytest.raises(ConfigError, match="did you mean 'crps'"):
        evaluate(np.zeros((1, 2)), np.zeros(1), ["crp"])


def test_a_metric_of_the_users_own_is_scored_and_listed():
    @register_metric("coverage_80", "target", best=0.8, lower=0.0, upper=1.0, role="calibration")
    def coverage_80(draws, truth):
        """Whether the 80% interval has the truth.

        Both ends count.
        """
        low, high = np.quantile(draws, [0.1, 0.9], axis=-1)
        return ((low <= truth) & (truth <= high)).astype(float)

    try:
        row = metrics_table().loc["coverage_80"]
        assert row.long_name == "whether the 80% interval has the truth"
        assert coverage_names()[-1] == "coverage_80"
        scores = scores_of(500)
        assert abs(scores["coverage_80"].mean() - 0.8) < 0.06
        table = coverage(table_of(scores))
        assert table.set_index("metric").nominal["coverage_80"] == 0.8
        with pytest.raises(ConfigError, match="'coverage_80' is registered already"):
            register_metric("coverage_80", "target")(crps)
    finally:
        METRICS.remove("coverage_80")


# --- calibration


def test_truths_drawn_from_the_posteriors_are_covered_nominally_and_rank_flat():
    scores = scores_of(2000)
    for name in coverage_names():
        nominal = METRICS[name].perfect
        error = np.sqrt(nominal * (1 - nominal) / 2000)
        assert abs(scores[name].mean() - nominal) < 3 * error
    assert not coverage(table_of(scores)).miscalibrated.any()
    test = uniformity(scores["rank"])
    assert test.uniform
    assert test.miscalibration == FINE
    assert test.chi_square_p > 0.01
    assert (test.difference >= test.lower).all()
    assert (test.difference <= test.upper).all()
    assert abs(scores["z"].mean()) < 0.1
    assert scores["z"].std() == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(
    ("distortion", "shape"),
    [
        ({"shift": 2.0}, HIGH),
        ({"shift": -2.0}, LOW),
        ({"spread": 0.5}, NARROW),
        ({"spread": 2.0}, WIDE),
    ],
)
@pytest.mark.parametrize("n", [50, 200])
def test_miscalibration_is_detected_by_ranks_and_by_coverage(distortion, shape, n):
    scores = scores_of(n, **distortion)
    test = uniformity(scores["rank"])
    assert not test.uniform
    assert test.miscalibration == shape
    assert test.ecdf_p < 0.01
    assert test.chi_square_p < 0.01
    assert coverage(table_of(scores)).miscalibrated.any()


def test_false_alarms_are_as_rare_as_promised():
    tests = [uniformity(scores_of(100, seed=s)["rank"], probability=0.95) for s in range(100)]
    # 1 to 12 of 100 is what a binomial of 0.05 gives with 99%.
    assert sum(not test.uniform for test in tests) <= 12
    assert 1 <= sum(test.ecdf_p < 0.1 for test in tests) <= 20
    for test in tests:
        inside = (test.difference >= test.lower - 1e-12) & (test.difference <= test.upper + 1e-12)
        assert inside.all() or not test.uniform


@pytest.mark.parametrize("ranks", [np.full(5, 0.5), np.linspace(-1, 1, 30)])
def test_ranks_that_are_none_are_refused(ranks):
    with pytest.raises(ConfigError, match="allowed"):
        uniformity(ranks)


def test_coverage_knows_that_channels_of_a_dataset_go_together():
    together = np.repeat(np.array([1.0, 0.0] * 10), 8)
    table = table_of({"coverage_50": together}).assign(seed=np.repeat(np.arange(20), 8))
    row = coverage(table).iloc[0]
    assert row.n == 160
    assert row.units == 20
    assert row.standard_error == pytest.approx(np.sqrt(0.25 / 160))
    assert row.clustered_error == pytest.approx(np.sqrt(0.25 / 19))
    assert not row.miscalibrated


# --- aggregates


def test_aggregate_covers_the_mean_and_repeats():
    inside = 0
    for seed in range(100):
        values = stream(seed, "values").normal(loc=2.0, size=40)
        row = aggregate(table_of({"crps": values}), resamples=300).iloc[0]
        assert row["mean"] == pytest.approx(values.mean())
        assert row["standard_error"] == pytest.approx(values.std(ddof=1) / np.sqrt(40))
        assert row["median"] == pytest.approx(np.median(values))
        inside += row["lower"] <= 2.0 <= row["upper"]
    assert 85 <= inside <= 99
    table = table_of({"crps": values})
    pd.testing.assert_frame_equal(aggregate(table), aggregate(table))
    assert aggregate(table, seed=1)["lower"].iloc[0] != aggregate(table)["lower"].iloc[0]


def test_aggregate_resamples_datasets_not_channels():
    values = np.repeat(np.arange(5.0), 10)
    table = table_of({"crps": values}).assign(seed=np.repeat(np.arange(5), 10))
    row = aggregate(table).iloc[0]
    assert row["units"] == 5
    assert row["standard_error"] == pytest.approx(np.std(np.arange(5), ddof=1) / np.sqrt(5))


def test_aggregate_counts_what_is_missing():
    row = aggregate(table_of({"z": np.array([1.0, np.nan, 3.0])})).iloc[0]
    assert (row["units"], row["missing"], row["mean"]) == (2, 1, 2.0)
    alone = aggregate(table_of({"z": np.array([1.0])})).iloc[0]
    assert alone["mean"] == 1
    assert np.isnan(alone["standard_error"])
    with pytest.raises(ConfigError, match="no column 'model'"):
        aggregate(table_of({"z": np.ones(3)}).drop(columns="model"))


@pytest.mark.parametrize(
    ("metric", "quantity", "ours", "reference"),
    [
        ("crps", "roas", 1.0, 2.0),
        ("bias", "roas", -0.1, 0.5),
        ("value", "regret_recommended", 1.0, 2.0),
        ("value", "holdout_r2", 0.9, 0.5),
        ("value", "channel_ranking_kendall", 0.9, 0.5),
    ],
)
def test_paired_differences_know_what_is_better(metric, quantity, ours, reference):
    pairs = np.arange(6.0) * 1e-3
    frames = [
        table_of({metric: value + pairs}, model=model, quantity=quantity)
        for model, value in (("ours", ours), ("reference", reference))
    ]
    # A dataset that only one of them was fitted to is not a pair.
    frames[0] = frames[0].iloc[:-1]
    row = paired_differences(pd.concat(frames), "reference").iloc[0]
    assert row["mean"] < 0
    assert row["upper"] < 0
    assert (row["better"], row["units"]) == (1.0, 5)


def test_coverage_is_compared_as_it_is():
    hits = np.array([1.0] * 47 + [0.0] * 3)
    frames = [
        table_of({"coverage_94": hits}, model="calibrated"),
        table_of({"coverage_94": np.ones(50)}, model="always"),
    ]
    row = paired_differences(pd.concat(frames), "always").iloc[0]
    assert row["mean"] == pytest.approx(-0.06)
    assert row["lower"] < -0.06 < row["upper"] <= 0
    assert np.isnan(row["better"])


def test_pairing_removes_what_datasets_share():
    hard = 100 * stream(1, "hard").normal(size=30)
    frames = [table_of({"crps": hard + d}, model=m) for m, d in (("a", 0.0), ("b", 1.0))]
    row = paired_differences(pd.concat(frames), "a").iloc[0]
    assert row["mean"] == pytest.approx(1)
    assert row["standard_error"] < 1e-9
    with pytest.raises(ConfigError, match="no row is of the model 'c'"):
        paired_differences(pd.concat(frames), "c")
    with pytest.raises(ConfigError, match="no row is of the model 'd'"):
        paired_differences(pd.concat(frames), "a", models=["d"])


def test_any_models_are_compared_with_any_other():
    frames = [table_of({"crps": np.ones(4) * n}, model=m) for n, m in enumerate("abc")]
    # A reference without scores of a dataset leaves it out.
    frames.append(frames[0].assign(dataset="other"))
    table = paired_differences(pd.concat(frames), "b", models=["c"])
    assert table[["dataset", "model", "reference", "mean"]].to_numpy().tolist() == [
        [frames[0]["dataset"].iloc[0], "c", "b", 1.0]
    ]
