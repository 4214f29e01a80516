"""What the committed benchmark says of its hypotheses and of calibration, on scores made up."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.recovery import calibration, hypotheses
from benchmarks.recovery.tiers import tier_a
from mmm_xgen import generate_mmm_dataset, truth
from mmm_xgen.recovery.study.results import read_units

ROOT = Path(__file__).parents[2]
SEEDS = range(1, 13)
CHANNELS = ("Search", "TV", "Social", "Radio")
KEYS = ("dataset", "model", "seed", "quantity", "metric", "channel", "geo", "label", "value")

pytestmark = pytest.mark.filterwarnings("ignore::mmm_xgen.errors.XgenWarning")


def scored(model: str, values: dict[int, list[float]], metric: str) -> pd.DataFrame:
    """Rows of scores of the ROAS by seed and channel."""
    return pd.DataFrame(
        [
            ("tier_a", model, seed, "roas", metric, channel, "", "", value)
            for seed, row in values.items()
            for channel, value in zip(CHANNELS, row, strict=True)
        ],
        columns=list(KEYS),
    )


@pytest.fixture(scope="module")
def returns() -> dict[int, list[float]]:
    """True log ROAS of tier A by seed."""
    made = {seed: generate_mmm_dataset(tier_a(seed)) for seed in SEEDS}
    return {seed: np.log(truth.roas(ds).values).tolist() for seed, ds in made.items()}


def test_a_pull_towards_one_value_is_found_and_a_mere_shift_is_not(
    returns: dict[int, list[float]],
) -> None:
    pulled = {seed: [0.5 * (0.6 - each) for each in row] for seed, row in returns.items()}
    shifted = {seed: [0.3] * len(row) for seed, row in returns.items()}
    scores = pd.concat([scored("pulled", pulled, "bias"), scored("shifted", shifted, "bias")])
    (table,) = hypotheses.pulled(scores)
    rows = table.set_index("model")
    spread = np.mean(
        [np.mean(sorted(row)[2:]) - np.mean(sorted(row)[:2]) for row in returns.values()]
    )
    assert rows.loc["pulled", "mean"] == pytest.approx(-0.5 * spread, rel=1e-9)
    assert rows.loc["pulled", "upper"] < 0
    assert rows.loc["shifted", "mean"] == pytest.approx(0.0, abs=1e-12)


def test_channels_are_told_apart_by_their_information_bound() -> None:
    bounds = {
        seed: truth.information_bound(generate_mmm_dataset(tier_a(seed)))["roas"].values
        for seed in SEEDS
    }
    covers = {seed: (row <= 0.2).astype(float).tolist() for seed, row in bounds.items()}
    models = ("ols", "pymc-default-nutpie-lift")
    scores = pd.concat([scored(model, covers, "coverage_94") for model in models])
    poor, rich = hypotheses.coverage_where_data_are_poor(scores)
    assert poor["model"].tolist() == rich["model"].tolist() == ["ols"]
    assert poor["mean"].item() == 0.0
    assert rich["mean"].item() == 1.0
    assert poor["units"].item() == sum((row > 0.2).any() for row in bounds.values())


@pytest.mark.parametrize(("share", "halved"), [(0.4, True), (0.6, False)])
def test_lift_tests_that_halve_the_error_are_told_from_those_that_do_not(
    share: float, halved: bool
) -> None:
    plain = {seed: [1.0 + 0.01 * seed] * 4 for seed in SEEDS}
    tested = {seed: [share * each for each in row] for seed, row in plain.items()}
    errors = {"pymc-default-nutpie": plain, "pymc-default-nutpie-lift": tested}
    scores = pd.concat([scored(model, each, "rmse") for model, each in errors.items()])
    less, half = hypotheses.lift_tests(scores)
    assert less["upper"].item() < 0
    assert (half["mean"].item() < 0) is halved


def test_the_order_of_arms_is_paired_by_seed() -> None:
    first = {seed: [1.0 * seed] * 4 for seed in SEEDS}
    second = {seed: [1.0 * seed + 0.1] * 4 for seed in list(SEEDS)[:5]}
    errors = {"pymc-matched-nutpie": first, "pymc-default-nutpie": second}
    scores = pd.concat([scored(model, each, "rmse") for model, each in errors.items()])
    table, hill, logistic = hypotheses.arms_in_order(scores)
    assert [each["units"].item() for each in (table, hill, logistic)] == [5, 2, 3]
    assert table["mean"].item() == pytest.approx(-0.1)


def test_a_fit_that_came_to_nothing_counts_as_the_prior(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    promised = hashlib.sha256(hypotheses.PROTOCOL.read_bytes()).hexdigest()
    units = pd.DataFrame(
        [
            (model, seed, "timed out" if model == "ols" and seed > 3 else "done")
            for model in ("ols", "ols-oracle", "prior-only")
            for seed in range(1, 6)
        ],
        columns=["model", "seed", "status"],
    ).assign(
        **{"dataset": "tier_a", "protocol": promised, "context": "x", "template": ""},
        **{"versions": "x", "began": "1", "reason": "", "converged": True},
    )
    other = units.assign(protocol="another", seed=units["seed"] + 100)
    # Of a fit that was made again the earlier one counts no more.
    earlier = units[units["seed"] == 1].assign(status="timed out", began="0")
    monkeypatch.setattr(hypotheses, "read_units", lambda _: pd.concat([other, earlier, units]))
    covers = {
        model: {seed: [value] * 4 for seed in seeds}
        for model, value, seeds in (
            ("ols", 1.0, range(1, 4)),
            ("ols-oracle", 1.0, range(1, 6)),
            ("prior-only", 0.0, range(1, 6)),
        )
    }
    parts = [scored(model, values, "coverage_94") for model, values in covers.items()]
    scores = pd.concat(parts).assign(converged=True)

    def read(wanted: pd.DataFrame, _: Path) -> pd.DataFrame:
        assert wanted["seed"].max() == 5
        return scores

    monkeypatch.setattr(hypotheses, "read_scores", read)
    table = hypotheses.judged(tmp_path)
    rows = table[table["hypothesis"] == 5].set_index("model")
    assert rows["units"].to_dict() == {"ols": 5, "ols-oracle": 5}
    assert rows["mean"].to_dict() == {"ols": 0.6, "ols-oracle": 1.0}


def test_the_committed_results_judge_every_hypothesis(monkeypatch: pytest.MonkeyPatch) -> None:
    # The information bound of every dataset takes its time; some datasets are enough.
    monkeypatch.setattr(hypotheses, "read_units", lambda out: read_units(out).query("seed <= 12"))
    table = hypotheses.judged(Path(hypotheses.__file__).parent / "results")
    assert set(table["hypothesis"]) == {1, 2, 3, 4, 5, 6}
    assert np.isfinite(table["mean"]).all()
    coverage = table[table["hypothesis"] == 5]
    assert coverage["mean"].between(0, 1).all()
    assert set(coverage["model"]) == {"ols", "ols-oracle"}


@pytest.mark.parametrize(("power", "words"), [(1.0, "none detected"), (2.0, "too high")])
def test_ranks_of_every_quantity_are_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, power: float, words: str
) -> None:
    even = (np.arange(100) + 0.5) / 100
    rows = [
        ("calibration", "pymc-calibration", seed, quantity, "rank", "", "", "", value)
        for quantity in ("roas", "contribution_total", "y_sigma")
        for seed, value in enumerate(even**power)
    ]
    scores = pd.DataFrame(rows, columns=list(KEYS))
    monkeypatch.setattr(calibration, "read_scores", lambda *_: scores)
    (tmp_path / "summary" / "plots").mkdir(parents=True)
    table = calibration.ranked(tmp_path)
    assert table["quantity"].tolist() == ["roas", "y_sigma"]
    assert table["miscalibration"].str.contains(words).all()
    assert (tmp_path / "summary" / "plots" / calibration.PICTURE).stat().st_size > 1000
    assert (tmp_path / "summary" / calibration.TABLE).exists()


# --- what is said in words


SUMMARY = Path(hypotheses.__file__).parent / "results/summary"
README_MODELS = {
    "least squares that knows the transforms": "ols-oracle",
    "PyMC-Marketing, its defaults": "pymc-default-nutpie",
    "PyMC-Marketing, matched to the data": "pymc-matched-nutpie",
    "Meridian, its defaults": "meridian-default",
    "Meridian, matched to the data": "meridian-matched",
    "least squares": "ols",
    "the same ROAS for all channels": "spend-share",
}


@pytest.fixture(scope="module")
def recovery() -> pd.DataFrame:
    """The committed main table, every fit counted."""
    table = pd.read_csv(SUMMARY / "recovery.csv")
    return table[table["population"] == "every fit"].set_index(["dataset", "model"])


def rows_of(text: str) -> list[list[str]]:
    """Cells of all rows of the tables in a page."""
    lines = (line for line in text.splitlines() if line.startswith("|"))
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def is_rounded(said: str, value: float) -> bool:
    """Whether a text is a number rounded to the digits that it has."""
    digits = len(said.partition(".")[2])
    return abs(float(said) - value) <= 0.5 * 10.0**-digits * (1 + 1e-9)


def test_the_readme_says_what_was_found(recovery: pd.DataFrame) -> None:
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    said = {
        row[0]: [cell.rstrip("%") for cell in row[1:]]
        for row in rows_of(page)
        if row[0] in README_MODELS
    }
    assert said.keys() == README_MODELS.keys()
    for name, model in README_MODELS.items():
        found = recovery.loc[("tier_a", model)]
        converged, error, coverage, regret = said[name]
        fitted = model.startswith(("pymc", "meridian"))
        assert converged == (f"{found['converged']:.0f} of {found['units']:.0f}" if fitted else "-")
        assert is_rounded(error, found["log_roas_error"]), name
        assert is_rounded(coverage, 100 * found["coverage_94"]), name
        assert is_rounded(regret, found["regret_percent"]), name
    regrets = pd.read_csv(SUMMARY / "decision_regret.csv")
    regrets = (
        regrets[regrets["population"] == "every fit"].set_index(["dataset", "model"]).sort_index()
    )
    today = regrets.loc[("tier_a", "meridian-default")].set_index("quantity")["mean"]
    said_today = re.search(r"first 20 of the 50; .* loses (\S+)%\.", page.replace("\n", " "))
    assert said_today and is_rounded(said_today[1], today["regret_today_percent"])


def test_the_results_say_what_was_found(recovery: pd.DataFrame) -> None:
    page = (ROOT / "benchmarks/recovery/RESULTS.md").read_text(encoding="utf-8")
    checked = 0
    for section in page.split("\n## "):
        tier = "tier_b" if section.startswith("Tier B") else "tier_a"
        plain = ""
        for name, *figures in rows_of(section):
            if len(figures) != 4 or "±" not in figures[1]:
                continue
            plain = plain if name == "... with lift tests" else name.split("`")[1]
            lift = "-lift" if name == "... with lift tests" else ""
            found = recovery.loc[
                (tier, f"{plain}-nutpie{lift}" if plain.startswith("pymc") else plain)
            ]
            if plain.startswith(("pymc", "meridian")):
                assert figures[0] == f"{found['converged']:.0f} of {found['units']:.0f}", name
            columns = ("log_roas_error", "coverage_94", "regret_percent")
            for column, figure in zip(columns, figures[1:], strict=True):
                value, error = figure.split(" ± ")
                assert is_rounded(value, found[column]), (tier, name, column)
                assert is_rounded(error, found[f"{column}_mc_error"]), (tier, name, column)
            checked += 1
    assert checked >= 13
