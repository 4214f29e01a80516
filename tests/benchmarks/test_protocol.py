"""The committed benchmark does what its protocol says."""

import re
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import mmm_xgen as m
from benchmarks.recovery import __main__ as program
from benchmarks.recovery.tiers import TIERS
from mmm_xgen.recovery import MODELS
from mmm_xgen.recovery.study.results import read_units

FOLDER = Path(program.__file__).parent
PROTOCOL = (FOLDER / "PROTOCOL.md").read_text(encoding="utf-8")

pytestmark = pytest.mark.filterwarnings("ignore::mmm_xgen.errors.XgenWarning")


@pytest.mark.parametrize(("tier", "sizes"), [("tier_a", (1, 4, 104)), ("tier_b", (8, 8, 156))])
def test_truths_are_drawn_as_the_protocol_says(tier: str, sizes: tuple[int, int, int]) -> None:
    configs = [TIERS[tier](seed) for seed in range(1, 60)]
    made = [m.generate_mmm_dataset(config) for config in configs[:12]]
    for seed, (config, ds) in enumerate(zip(configs, made, strict=False), start=1):
        assert (ds.sizes["geo"], ds.sizes["channel"], ds.sizes["date"]) == sizes
        assert set(ds.saturation_kind.values) == {
            "logistic_saturation" if seed % 2 else "hill_function"
        }
        assert set(ds.adstock_kind.values) == {"geometric_adstock"}
        assert set(ds.l_max.values) == {8}
        assert float(ds.adstock_alpha.min()) > 0.1 and float(ds.adstock_alpha.max()) < 0.7
        noise = ds.y_sigma / ds.intercept_contribution
        assert float(noise.min()) >= 0.02 and float(noise.max()) <= 0.06
        moved = ds.control_contribution.squeeze("control").std("date") / ds.y_sigma
        assert 0.3 < float(moved.median()) < 2.5
        patterns = [channel.pattern.kind for channel in config.channels[:4]]
        assert patterns == ["linear_trend", "seasonal", "on_off", "pulsed"]
        volatility = [channel.spend_volatility for channel in config.channels]
        assert min(volatility) >= 0.3 and max(volatility) <= 0.6
        season = config.regions.seasonal_amplitude
        assert isinstance(season, float) and 0.05 <= season <= 0.2
    channels = [channel for config in configs for channel in config.channels]
    spend = np.array([channel.base_spend for channel in channels])
    hill = [each.saturation for each in channels if each.saturation.kind == "hill_function"]
    half = np.array(
        [
            getattr(each.saturation, "kappa", None) or np.log(3.0) / each.saturation.lam
            for each in channels
        ]
    )
    for values, (least, most) in (
        (np.log(half / spend), np.log([0.5, 2.5])),
        (np.array([curve.slope for curve in hill]), (0.8, 2.0)),
        (np.array([channel.adstock.alpha for channel in channels]), (0.1, 0.7)),
    ):
        assert stats.kstest(values, stats.uniform(least, most - least).cdf).pvalue > 1e-3
        assert values.min() >= least - 1e-12 and values.max() <= most + 1e-12
    for values, (middle, spread) in (
        (np.log(spend), (np.log(2000.0), 0.5)),
        (np.log([channel.roas for channel in channels]), (np.log(1.8), 0.5)),
    ):
        assert stats.kstest(values, stats.norm(middle, spread).cdf).pvalue > 1e-3
    shares = [float(m.truth.attribution(ds).sum()) for ds in made]
    assert min(shares) > 0.15 and max(shares) < 0.55
    logs = np.log(np.concatenate([m.truth.roas(ds).values for ds in made]))
    assert np.median(logs) == pytest.approx(np.log(1.8), abs=0.3)
    assert np.std(logs) == pytest.approx(0.5, abs=0.15)
    flat = [not bool((ds.trend_contribution != 0).any()) for ds in made]
    assert 0 < sum(flat) < len(flat)


def test_the_models_are_those_of_the_protocol() -> None:
    named = set(
        re.findall(r"`((?:pymc|meridian)-\w+|ols|ols-oracle|prior-only|spend-share)`", PROTOCOL)
    )
    run = {*program.PYMC, *program.OTHERS, *program.MERIDIAN}
    assert named == run
    assert run <= set(MODELS)


def test_results_carry_the_hash_of_the_protocol() -> None:
    import hashlib

    promised = hashlib.sha256((FOLDER / "PROTOCOL.md").read_bytes()).hexdigest()
    units = read_units(FOLDER / "results")
    assert len(units) > 500
    assert set(units["protocol"]) == {promised}
