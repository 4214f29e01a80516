"""Convergence of chains: a figure that cannot be computed is not a good one."""

from __future__ import annotations

import math

import numpy as np
import pytest
import xarray as xr

from mmm_xgen.recovery.alignment.groups import group, inference_data
from mmm_xgen.recovery.models.convergence import convergence_of, not_computed, parameters_of
from mmm_xgen.recovery.models.pymc_fit import _diagnostics
from mmm_xgen.recovery.study.results import converged, why_not_converged

SIZE = (4, 200, 3)


def idata(values: np.ndarray, diverging: np.ndarray | None = None):
    posterior = xr.Dataset(
        {
            "saturation_beta": (("chain", "draw", "channel"), values),
            "intercept": (("chain", "draw"), normal((4, 200), seed=2)),
        },
        {"channel": ["TV", "Radio", "Post"]},
    )
    posterior = posterior.isel(chain=slice(values.shape[0]), draw=slice(values.shape[1]))
    if diverging is None:
        diverging = np.zeros(values.shape[:2], bool)
    stats = xr.Dataset({"diverging": (("chain", "draw"), diverging)})
    return inference_data({"posterior": posterior, "sample_stats": stats})


def normal(size, *, seed=1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=size)


@pytest.mark.parametrize(
    ("lost", "value"),
    [
        (np.s_[0, :, 1], np.nan),
        (np.s_[2, 3, 1], np.nan),
        (np.s_[2, 3, 1], -np.inf),
        (np.s_[..., 1], np.nan),
    ],
    ids=["one chain", "one draw", "one infinite draw", "all draws"],
)
def test_draws_that_are_no_numbers_hide_nothing(lost, value):
    values = normal(SIZE)
    values[0, :, 0] += 5.0
    values[lost] = value
    found = _diagnostics(idata(values), 1.0)
    assert found["n_parameters"] == 4
    for name in ("rhat_max", "ess_bulk_min", "ess_tail_min", "ess_bulk_min_per_second"):
        assert math.isnan(found[name]), name
    assert not converged({"status": "done", "diagnostics": found})


def test_the_reason_names_the_parameters():
    values = normal((4, 200, 6))
    values[1, 0, 1:] = np.nan
    draws = parameters_of(xr.Dataset({"b": (("chain", "draw", "geo"), values)}))
    reasons = not_computed(draws)
    assert reasons["rhat_max"] == "draws that are not finite: b[1], b[2], b[3] and 2 more"
    stats = {"status": "done", "diagnostics": {"rhat_max": None}, "not_computed": reasons}
    assert why_not_converged(stats).startswith(
        "rhat_max cannot be computed: draws that are not finite: b[1]"
    )


def test_a_parameter_that_never_moved_has_no_r_hat():
    values = normal(SIZE)
    values[..., 1] = 0.3
    found = _diagnostics(idata(values), 1.0)
    assert math.isnan(found["rhat_max"]) and not converged({"status": "done", "diagnostics": found})
    said = not_computed(parameters_of(group(idata(values), "posterior")))
    assert said == {"rhat_max": "the same value in all draws: saturation_beta[Radio]"}


@pytest.mark.parametrize(
    ("size", "reason"),
    [
        ((1, 200, 3), "found 1 chain, allowed: 2 or more"),
        ((4, 3, 3), "found 3 draws in a chain, allowed: 4 or more"),
        ((4, 200, 0), "no parameter was sampled"),
    ],
)
def test_too_little_for_an_r_hat_is_said(size, reason):
    draws = xr.DataArray(normal(size), dims=("chain", "draw", "parameter"))
    found = convergence_of(draws)
    assert math.isnan(found["rhat_max"])
    assert not_computed(draws)["rhat_max"] == reason
    assert not converged({"status": "done", "diagnostics": found})


def test_good_chains_converge_and_are_those_of_arviz():
    import arviz

    data = idata(normal(SIZE))
    found = _diagnostics(data, 2.0)
    assert converged({"status": "done", "diagnostics": found})
    assert not_computed(parameters_of(group(data, "posterior"))) == {}
    each = [*np.moveaxis(normal(SIZE), -1, 0), normal((4, 200), seed=2)]
    assert found["rhat_max"] == pytest.approx(max(float(arviz.rhat(one)) for one in each))
    assert found["ess_bulk_min_per_second"] == found["ess_bulk_min"] / 2.0


@pytest.mark.parametrize("known", [True, False])
def test_divergences_that_nobody_counted_are_not_none(known):
    diverging = np.zeros((4, 200))
    diverging[0, 0] = 0.0 if known else np.nan
    found = _diagnostics(idata(normal(SIZE), diverging), 1.0)
    assert converged({"status": "done", "diagnostics": found}) is known


@pytest.mark.parametrize("name", ["rhat_max", "divergences", "ess_bulk_min", "ess_tail_min"])
@pytest.mark.parametrize("value", [None, math.nan])
def test_any_figure_that_is_missing_is_no_good_one(name, value):
    good = {"rhat_max": 1.0, "divergences": 0, "ess_bulk_min": 400.0, "ess_tail_min": 400.0}
    assert why_not_converged({"status": "done", "diagnostics": good}) == ""
    stats = {"status": "done", "diagnostics": good | {name: value}}
    assert why_not_converged(stats) == f"{name} cannot be computed"
    assert not converged(stats)
