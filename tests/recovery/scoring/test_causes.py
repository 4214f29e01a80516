"""Datasets with mechanisms that models do not know: what is scored, and what is refused."""

from __future__ import annotations

import warnings
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import xarray as xr

import mmm_xgen as m
from mmm_xgen.labelled_world import total_response
from mmm_xgen.recovery import plots
from mmm_xgen.recovery.alignment.meridian import to_meridian_truth
from mmm_xgen.recovery.alignment.pymc_truth import beyond_curves
from mmm_xgen.recovery.fit import MODELS, Fit, FitSettings
from mmm_xgen.recovery.run import run_study
from mmm_xgen.recovery.scoring.scores import score
from mmm_xgen.recovery.scoring.self_check import fit_at_truth, self_check
from mmm_xgen.recovery.study import work
from mmm_xgen.recovery.study.results import read_scores
from mmm_xgen.truth import (
    information_bound,
    recoverability,
    roas,
    what_would_help,
)
from tests.recovery import fake_models
from tests.truth.worlds import assert_near

SETTINGS = FitSettings()
MECHANISMS: dict[str, dict[str, Any]] = {
    "demand": {"demand": {"effect": 0.05, "indicators": [{"name": "Queries"}]}},
    "moving effects": {"own": {"A": {"effect_path": {"kind": "linear_drift"}}}},
    "borrowed sales": {"own": {"B": {"pull_forward": {"share": 0.4}}}},
    "funnel": {"funnels": [{"source": "A", "target": "B", "strength": 0.5}]},
    "interaction": {"interactions": [{"channels": ["A", "C"], "strength": -0.02}]},
    "mediator": {"mediators": [{"name": "Aware", "parents": {"C": 0.5}, "effect": 0.05}]},
}
RULES = {
    "demand": {"effect": 0.05},
    "own": {
        "A": {"budget_rule": {"kind": "follows_demand", "strength": 0.2}},
        "B": {"budget_rule": {"kind": "share_of_sales", "share": 0.05}},
    },
}
ALL = {
    **{name: part for each in MECHANISMS.values() for name, part in each.items()},
    "own": {
        "A": {"effect_path": {"kind": "linear_drift"}, **RULES["own"]["A"]},
        "B": {"pull_forward": {"share": 0.4}, **RULES["own"]["B"]},
    },
}


def config_of(**config: Any) -> dict[str, Any]:
    own = config.pop("own", {})
    channels = [
        {"name": name, "base_spend": 900.0, "roas": roas, **own.get(name, {})}
        for name, roas in (("A", 2.0), ("B", 1.5), ("C", 1.0))
    ]
    return {"n_periods": 40, "seed": 4, "burn_in_periods": 2, "channels": channels, **config}


def made(**config: Any) -> xr.Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", m.XgenWarning)
        return m.generate_mmm_dataset(config_of(**config))


@cache
def of_all() -> xr.Dataset:
    return made(**ALL)


@pytest.mark.parametrize(("config", "train_end"), [(RULES, None), (ALL, "2022-08-01")])
def test_a_fit_at_the_truth_is_perfect(config: dict[str, Any], train_end: str | None) -> None:
    ds = made(**config)
    assert self_check(ds, FitSettings(train_end=train_end)) == []
    assert self_check(ds.assign(mu=1.01 * ds["mu"]), FitSettings(train_end=train_end))
    stronger = m.generate_mmm_dataset(config_of(**config) | {"seed": 5})
    assert self_check(stronger.assign_attrs(config=ds.attrs["config"]), SETTINGS)


def test_contributions_are_scored_against_what_is_lost() -> None:
    ds = of_all()
    media = total_response(ds["spend"], ds)
    rest = [
        total_response(off["spend"], ds, history=off["spend_history"])
        for name in ds["channel"].values
        for off in [ds[["spend", "spend_history"]].where(ds["channel"] != name, 0.0)]
    ]
    lost = media - xr.concat(rest, "channel").assign_coords(channel=ds["channel"].values)
    # The baseline follows from sales less contributions.
    mu = ds["mu"] - media + lost.sum("channel")
    twice = xr.Dataset({"channel_contribution": lost, "mu": mu, "roas": roas(ds)})
    fit = Fit(estimates=twice.expand_dims(chain=1, draw=1).reset_coords(drop=True))
    scores = score(ds, fit, SETTINGS)
    for name in ("contribution_total", "channel_contribution", "baseline", "roas"):
        assert_near(scores[name].sel(metric="bias"), 0.0, 1e-9, 1.0)
    # The channels' own responses are something else.
    own = twice.assign(channel_contribution=ds["channel_contribution"])
    fit = Fit(estimates=own.expand_dims(chain=1, draw=1).reset_coords(drop=True))
    assert float(abs(score(ds, fit, SETTINGS)["contribution_total"].sel(metric="bias")).max()) > 0.1


def test_what_cannot_be_scored_has_a_reason() -> None:
    scores = score(of_all(), fit_at_truth(of_all(), SETTINGS), SETTINGS)
    assert "efficiency" not in scores
    assert "alone and alike on all dates" in scores.attrs["information"]
    negative = made(own={"B": {"roas": -0.5}})
    scores = score(negative, fit_at_truth(negative, SETTINGS), SETTINGS)
    assert scores["roas"].sel(metric="bias").isnull().values.tolist() == [False, True, False]
    assert_near(scores["contribution_total"].sel(metric="bias"), 0.0, 1e-9, 1.0)


@pytest.mark.parametrize("name", MECHANISMS)
@pytest.mark.parametrize("figure", [information_bound, recoverability, what_would_help])
def test_bounds_refuse_what_they_do_not_know(figure: Any, name: str) -> None:
    with pytest.raises(m.SchemaError, match=f"{figure.__name__}.*: found .* in the Dataset"):
        figure(made(**MECHANISMS[name]))


def test_rules_alone_have_bounds() -> None:
    """Spend that answers to sales is still spend, so that the bounds of its figures hold."""
    ds = made(own={"B": {"budget_rule": {"kind": "chases_target", "strength": 0.5}}})
    assert set(recoverability(ds)["grade"].values) <= {"good", "fair", "poor", "weak"}


@pytest.mark.parametrize(
    ("name", "reasons"),
    [
        ("demand", {}),
        ("moving effects", {"A": "its effect moves over time"}),
        ("borrowed sales", {"B": "it borrows sales from later periods"}),
        ("funnel", {"B": "A raises its media"}),
        ("interaction", {"A": "it sells together with C", "C": "it sells together with A"}),
        ("mediator", {"C": "it sells through Aware too"}),
    ],
)
def test_models_of_single_curves_have_no_truth_beyond_them(
    name: str, reasons: dict[str, str]
) -> None:
    ds = made(**MECHANISMS[name])
    assert beyond_curves(ds) == reasons
    truth = to_meridian_truth(ds)
    known = truth["beta_gm"].notnull().all("geo")
    assert known.values.tolist() == [str(each) not in reasons for each in ds["channel"].values]
    for channel, why in reasons.items():
        assert f"{channel}: {why}" in truth.attrs["no_single_truth"]
    assert_near(truth["roi_m"], [2.0, 1.5, 1.0])


@pytest.mark.filterwarnings("ignore::mmm_xgen.XgenWarning")
def test_a_study_of_worlds_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plots, "plot_study", lambda *found: [])
    monkeypatch.setattr(MODELS, "_entries", {**MODELS._entries, **fake_models.FAKES})
    worlds = {
        name: m.MMMDataConfig(**config_of(**config))
        for name, config in {"rules": RULES, "all": ALL}.items()
    }
    monkeypatch.setattr(work, "_check_truth", lambda ds, unit: None)
    settings = FitSettings(chains=2, draws=50, scored_draws=50)
    models = ["fake-instant", "ols-oracle"]
    study = run_study(worlds, models, [1], settings, out=tmp_path, jobs=0, progress=False)
    assert study.units["status"].tolist() == ["done"] * 4
    scores = read_scores(study.units)
    is_fake = scores["model"].str.startswith("fake-instant")
    of_fake = scores[is_fake & (scores["metric"] == "absolute_error")]
    assert set(of_fake["quantity"]) == {"roas"}
    assert (of_fake["value"] < 0.1).all()
    scored = set(scores.loc[scores["model"] == "ols-oracle", "quantity"])
    assert {"roas", "contribution_total", "baseline", "effect", "regret_today"} <= scored
    assert (scores.loc[scores["quantity"] == "regret_recommended", "value"] >= 0).all()
