"""Truths drawn from a model's own priors: the distributions are those that the model has."""

from importlib.metadata import version
from typing import Any

import numpy as np
import pytest
from scipy import stats

import mmm_xgen as m
from mmm_xgen import ConfigError
from mmm_xgen.recovery import FitSettings, no_single_truth, to_pymc_truth
from mmm_xgen.recovery.models import pymc_calibration
from mmm_xgen.recovery.models.pymc_calibration import calibration, calibration_config
from mmm_xgen.recovery.models.pymc_fit import built_model

NEWER = not version("pymc-marketing").startswith("0.")
N = 300

pytestmark = pytest.mark.filterwarnings("ignore::mmm_xgen.errors.XgenWarning")


@pytest.fixture(scope="module")
def truths() -> dict[str, Any]:
    """Truths of many seeds, in the model's scaled space."""
    made = [m.generate_mmm_dataset(calibration_config(seed)) for seed in range(N)]
    assert all(float(ds.y.min()) > 0 for ds in made), "a clip would be another likelihood"
    sales, spend = pymc_calibration.SALES, pymc_calibration.SPEND
    return {
        "alpha": np.concatenate([ds.adstock_alpha.values.ravel() for ds in made]),
        "lam": np.concatenate([ds.saturation_lam.values.ravel() * spend for ds in made]),
        "beta": np.concatenate([ds.saturation_beta.values.ravel() / sales for ds in made]),
        "intercept": np.array([ds.intercept_contribution.item() / sales for ds in made]),
        "waves": np.concatenate([ds.gamma_fourier.values.ravel() / sales for ds in made]),
        "sigma": np.array([ds.y_sigma.item() / sales for ds in made]),
    }


@pytest.mark.parametrize(
    ("name", "distribution"),
    [
        ("alpha", stats.beta(1, 3)),
        ("lam", stats.gamma(3)),
        ("beta", stats.halfnorm(scale=0.5)),
        ("intercept", stats.lognorm(0.2)),
        ("waves", stats.norm(0, 0.05)),
        ("sigma", stats.lognorm(0.3, scale=0.05)),
    ],
    ids=["alpha", "lam", "beta", "intercept", "waves", "sigma"],
)
def test_truths_come_from_the_priors(truths: dict[str, Any], name: str, distribution: Any) -> None:
    assert stats.kstest(truths[name], distribution.cdf).pvalue > 1e-3
    # Negative control: of another spread it would be seen.
    assert stats.kstest(1.3 * truths[name], distribution.cdf).pvalue < 0.05


@pytest.mark.skipif(not NEWER, reason="the older release cannot fix its scales")
def test_the_model_has_these_priors_and_all_of_the_truth() -> None:
    import pymc as pm

    ds = m.generate_mmm_dataset(calibration_config(4))
    mmm = built_model(ds, FitSettings(), calibration)
    truth = to_pymc_truth(ds, mmm)
    assert no_single_truth(truth) == {}
    expected = {
        "adstock_alpha": stats.beta(1, 3),
        "saturation_lam": stats.gamma(3),
        "saturation_beta": stats.halfnorm(scale=0.5),
        "intercept_contribution": stats.lognorm(0.2),
        "gamma_fourier": stats.norm(0, 0.05),
        "y_sigma": stats.lognorm(0.3, scale=0.05),
    }
    assert set(truth.data_vars) == set(expected)
    with mmm.model:
        for name, distribution in expected.items():
            draws = pm.draw(mmm.model[name], draws=2000, random_seed=1).ravel()[:2000]
            assert stats.kstest(draws, distribution.cdf).pvalue > 1e-4, name


@pytest.mark.skipif(NEWER, reason="the newer release can fix its scales")
def test_it_is_refused_where_scales_come_from_the_data() -> None:
    ds = m.generate_mmm_dataset(calibration_config(4))
    with pytest.raises(ConfigError, match="needs scales that are fixed"):
        built_model(ds, FitSettings(), calibration)
