"""A real posterior, sampled in the test, of a dataset, a seed and bounds that are named here.

1 geo, 3 channels, 104 weeks, media 40% of sales, noise 2% of base sales; 4 chains of 1,000 draws
after 1,000 of tuning. The curves bend (lam 2.5): of nearly straight ones (lam 1, the first choice)
only the product of height and bend is known, and R-hat was 1.013.
"""

import numpy as np
import pytest
import xarray as xr

import mmm_xgen as m
from mmm_xgen import ChannelConfig, MMMDataConfig, RegionConfig, TransformConfig
from mmm_xgen.recovery import MODELS, Fit, FitSettings, score
from mmm_xgen.recovery.alignment.groups import group, inference_data
from mmm_xgen.recovery.models.pymc_fit import _with_free_variables_only

pytestmark = pytest.mark.fits

SEED = 2026
FLIGHTS = {"activation_probability": 0.3, "min_active_periods": 2, "max_active_periods": 5}


@pytest.fixture(scope="module")
def ds() -> xr.Dataset:
    return m.generate_mmm_dataset(
        MMMDataConfig(
            n_periods=104,
            start_date="2023-01-02",
            freq="W-MON",
            seed=SEED,
            channels=[
                ChannelConfig(name="TV", pattern="on_off", base_spend=6000.0, roas=2.0, **FLIGHTS),
                ChannelConfig(
                    name="Radio", pattern="on_off", base_spend=4000.0, roas=1.5, **FLIGHTS
                ),
                ChannelConfig(
                    name="Social", pattern="on_off", base_spend=3000.0, roas=2.5, **FLIGHTS
                ),
            ],
            regions=RegionConfig(
                base_sales_rate=18000.0, sales_volatility=0.02, seasonal_amplitude=0.1
            ),
            transforms=TransformConfig(
                adstock_kwargs={"alpha": 0.4, "l_max": 8},
                saturation_fun="logistic_saturation",
                saturation_kwargs={"lam": 2.5},
                spend_unit="base_spend",
            ),
        )
    )


@pytest.fixture(scope="module")
def fit(ds: xr.Dataset) -> Fit:
    pytest.importorskip("nutpie")
    return MODELS["pymc-matched"](ds, FitSettings(seed=1))


def test_the_data_are_those_that_were_named(ds: xr.Dataset) -> None:
    assert dict(ds.sizes)["date"] == 104 and ds.sizes["geo"] == 1 and ds.sizes["channel"] == 3
    assert float(m.truth.attribution(ds).sum()) == pytest.approx(0.40, abs=0.05)
    assert float((ds.y_sigma / ds.intercept_contribution).item()) == pytest.approx(0.02)


def test_it_converges(fit: Fit) -> None:
    assert fit.diagnostics["rhat_max"] < 1.01
    assert fit.diagnostics["ess_bulk_min"] > 400
    assert fit.estimates.sizes["chain"] == 4
    assert set(fit.timings) == {"build", "compile", "sample", "total"}


def test_it_recovers_roas(ds: xr.Dataset, fit: Fit) -> None:
    estimate = fit.estimates.roas.median(("chain", "draw"))
    truth = m.truth.roas(ds)
    assert float(abs(estimate / truth - 1).max()) < 0.15
    # Negative control: the ROAS of the channels are further apart than that.
    assert float(abs(estimate / truth.roll(channel=1, roll_coords=False) - 1).min()) > 0.15


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["pymc", "numpyro", "blackjax"])
# What JAX and its users warn about in their own code.
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_every_sampler_samples_the_same_posterior(ds: xr.Dataset, fit: Fit, sampler: str) -> None:
    other = MODELS["pymc-matched"](ds, FitSettings(sampler=sampler, chains=2, draws=500, seed=2))
    assert other.diagnostics["rhat_max"] < 1.05
    spread = fit.estimates.roas.std(("chain", "draw"))
    gap = other.estimates.roas.mean(("chain", "draw")) - fit.estimates.roas.mean(("chain", "draw"))
    assert float(abs(gap / spread).max()) < 0.4
    assert other.timings["sample"] > 0


# JAX looks for a TPU, and its users have warnings of their own.
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_what_jax_still_computes_is_waited_for() -> None:
    """Its arrays are promises: the time it takes to keep them is the sampler's."""
    numbers = pytest.importorskip("jax").numpy.ones((2, 3))
    groups = {
        "posterior": xr.Dataset({"a": (("chain", "draw"), numbers)}),
        "sample_stats": xr.Dataset({"diverging": (("chain", "draw"), numbers > 2)}),
    }
    assert not isinstance(groups["posterior"]["a"].data, np.ndarray)
    made = _with_free_variables_only(inference_data(groups), ["a"])
    for name, variable in (("posterior", "a"), ("sample_stats", "diverging")):
        assert isinstance(group(made, name)[variable].data, np.ndarray)


def test_it_learns_from_the_data(ds: xr.Dataset, fit: Fit) -> None:
    """Its own prior is known, so that what the data add can be told."""
    assert fit.prior is not None
    scores = score(ds, fit, FitSettings(), prior=fit.prior)
    assert float(scores.contraction.min()) > 0.9
    # With the true structure and its own prior it is no sharper than the bound allows, by much.
    assert float(scores.efficiency.min()) > 0.5 and float(scores.efficiency.max()) < 1.5
