"""One function, registered in one place, makes a new kind."""

from __future__ import annotations

import copy
import inspect
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest
from hypothesis import given

from mmm_xgen import (
    ChannelConfig,
    ConfigError,
    MMMDataConfig,
    generate_mmm_dataset,
    regenerate,
    register_adstock,
    register_noise,
    register_pattern,
    register_saturation,
    register_trend,
    respond,
)
from mmm_xgen.export.pymc_marketing import scaled_parameters
from mmm_xgen.kernels.adstock import ADSTOCKS
from mmm_xgen.kernels.baseline import EVENT_SHAPES
from mmm_xgen.kernels.domain import Positive, PositiveSpend, Share, Unit
from mmm_xgen.kernels.noise import NOISES
from mmm_xgen.kernels.patterns import PATTERNS
from mmm_xgen.kernels.saturation import SATURATIONS
from mmm_xgen.truth import information_bound
from tests.strategies import valid_configs

# Round numbers for arithmetic, not for economics.
pytestmark = pytest.mark.filterwarnings("ignore::mmm_xgen.XgenWarning")


@pytest.fixture(autouse=True)
def clean_registries() -> Iterator[None]:
    registries = (ADSTOCKS, PATTERNS, SATURATIONS)
    before = [set(registry) for registry in registries]
    yield
    for registry, known in zip(registries, before, strict=True):
        for name in set(registry) - known:
            registry.remove(name)


def dataset_of(**channel: object) -> object:
    channel = {"name": "TV", "spend_volatility": 0.0, "base_effectiveness": 0.1, **channel}
    return generate_mmm_dataset(MMMDataConfig(n_periods=40, channels=[ChannelConfig(**channel)]))


def test_a_pattern_is_a_function_of_the_calendar() -> None:
    @register_pattern("every_third")
    def every_third(calendar, *, rest: Share = 0.25):  # type: ignore[no-untyped-def]
        return np.where(calendar.period % 3 == 0, 1.0, rest)

    ds = dataset_of(pattern="every_third", rest=0.5, base_spend=100.0)
    np.testing.assert_allclose(ds["spend"].squeeze()[:4], [100, 50, 50, 100])
    assert regenerate(ds).identical(ds)
    with pytest.raises(ConfigError, match="rest: found 2"):
        ChannelConfig(name="TV", pattern="every_third", rest=2.0)


def test_a_pattern_may_take_chance_and_any_argument() -> None:
    # Arguments of a pattern are not in the Dataset: names that it uses itself are allowed.
    @register_pattern("coin")
    def coin(calendar, uniform, *, mean: Share = 0.5, amplitude: float = 1.0):  # type: ignore[no-untyped-def]
        return amplitude * (uniform[..., : calendar.n_periods] < mean)

    ds = dataset_of(pattern="coin", mean=0.4, base_spend=10.0)
    assert set(np.unique(ds["spend"])) == {0.0, 10.0}
    assert regenerate(ds).identical(ds)


def test_a_registered_plain_callable_regenerates_and_another_is_named_after() -> None:
    def ramp(dates, rng):  # type: ignore[no-untyped-def]
        return rng.uniform(0.5, 1.5, len(dates)) + np.linspace(0, 1, len(dates))

    ds = dataset_of(pattern=ramp)
    assert 500 <= float(ds["spend"].min()) < float(ds["spend"].max()) <= 2500
    with pytest.raises(ConfigError, match=r"channels\.0\.pattern.*ramp.*not registered"):
        regenerate(ds)
    register_pattern("ramp")(ramp)
    by_name, by_function = dataset_of(pattern="ramp"), dataset_of(pattern=ramp)
    assert by_name.identical(by_function)
    assert by_name["spend"].equals(ds["spend"])
    assert regenerate(by_name).identical(by_name)


def test_an_adstock_is_a_function_of_the_lags() -> None:
    @register_adstock("flat")
    def flat(lag, *, level: Positive = 1.0):  # type: ignore[no-untyped-def]
        return np.broadcast_to(level, np.broadcast_shapes(np.shape(level), lag.shape))

    ds = dataset_of(adstock_fun="flat", adstock_kwargs={"l_max": 4})
    np.testing.assert_allclose(ds["adstock_weights"], 0.25)
    np.testing.assert_array_equal(ds["adstock_level"], 1.0)
    assert regenerate(ds).identical(ds)


def test_a_saturation_is_a_function_of_spend() -> None:
    @register_saturation("exponential")
    def exponential(x, *, scale: PositiveSpend = 1.0):  # type: ignore[no-untyped-def]
        return -np.expm1(-x / scale)

    ds = dataset_of(saturation_fun="exponential", saturation_kwargs={"scale": 700.0})
    expected = ds["effect"] * -np.expm1(-ds["carryover"] / 700)
    np.testing.assert_allclose(ds["channel_contribution"], expected.transpose("date", ...))
    np.testing.assert_array_equal(ds["saturation_beta"], ds["effect"])
    np.testing.assert_array_equal(respond(ds["spend"], ds), ds["channel_contribution"])


def test_a_kind_says_all_about_itself_where_it_is_written() -> None:
    """Units, meaning, component, prior and conversion, beside the function and nowhere else."""

    def root_in_beta(values, ratio):  # type: ignore[no-untyped-def]
        return {**values, "beta": values["beta"] * ratio ** values["power"]}

    @register_saturation(
        "own_root",
        component="OwnRoot",
        beta_meaning="contribution of one unit",
        priors={"power": ("beta", 1, 2), "beta": ("half_normal",)},
        rescale=root_in_beta,
    )
    def own_root(x, *, power: Annotated[Positive, "exponent", Unit("log / log")] = 0.5):  # type: ignore[no-untyped-def]
        return x**power

    @register_adstock("own_tail", component="OwnTail", priors={"kept": ("beta", 1, 3)})
    def own_tail(lag, *, kept: Annotated[float, "share kept"] = 0.5):  # type: ignore[no-untyped-def]
        return kept**lag

    ds = dataset_of(saturation_fun="own_root", adstock_fun="own_tail")
    assert ds["saturation_power"].attrs == {"units": "log / log", "long_name": "own_root: exponent"}
    assert ds["saturation_beta"].attrs["long_name"] == "own_root: contribution of one unit"
    assert ds["adstock_kept"].attrs["long_name"] == "own_tail: share kept"
    truth = scaled_parameters(ds, channel_scale=3.0 * ds.spend_unit.item(), target_scale=10.0)
    assert (truth.attrs["adstock"], truth.attrs["saturation"]) == ("OwnTail", "OwnRoot")
    expected = ds["saturation_beta"].item() / 10 * np.sqrt(3)
    assert truth["saturation_beta"].item() == pytest.approx(expected, rel=1e-12)
    bounds = [information_bound(ds, prior=prior) for prior in (None, "pymc-marketing")]
    assert bounds[1]["saturation_power"].item() < bounds[0]["saturation_power"].item()


@pytest.mark.parametrize(
    ("priors", "message"),
    [
        ({"powr": ("half_normal",)}, "no parameter 'powr'; did you mean 'power'"),
        ({"power": ("normal", 1)}, "found .*normal.* as the prior of 'power' of own, allowed"),
        ({"power": ("gamma",)}, "found .*gamma.* allowed"),
        ({"power": 0.5}, "found 0.5 as the prior"),
    ],
)
def test_a_prior_is_checked_where_it_is_written(priors: dict[str, Any], message: str) -> None:
    def own(x, *, power: Positive = 0.5):  # type: ignore[no-untyped-def]
        return x**power

    with pytest.raises(ConfigError, match=f"^priors: .*{message}"):
        register_saturation("own", priors=priors)(own)
    assert "own" not in SATURATIONS


def test_a_noise_brings_its_information() -> None:
    def quarter(columns, mu, sigma, *, factor, label):  # type: ignore[no-untyped-def]
        assert (label, factor.shape, sigma.shape) == ("a", (1, 1), (1, 1))
        return columns / sigma[..., None] / factor[..., None]

    def own(rng, mu, sigma, *, factor: Positive = 2.0, label: str = "a"):  # type: ignore[no-untyped-def]
        return sigma * rng.standard_normal(mu.shape)

    register_noise("plain")(own)
    register_noise("informed", information=quarter)(own)
    try:
        bounds = [
            information_bound(
                generate_mmm_dataset(
                    MMMDataConfig(channels=[ChannelConfig(name="TV")], regions={"noise": kind})
                )
            ).roas.item()
            for kind in ("gaussian", "plain", "informed")
        ]
    finally:
        for name in ("plain", "informed"):
            NOISES.remove(name)
    assert bounds[0] == bounds[1]
    assert bounds[2] == pytest.approx(2 * bounds[0], rel=1e-9)


def test_a_curve_that_responds_to_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="at zero spend"):
        register_saturation("biased")(lambda x: x + 1)


@pytest.mark.parametrize(
    ("register", "name"),
    [
        *((register_adstock, name) for name in ("kind", "mean", "sd", "rate_mean", "weights")),
        *((register_saturation, name) for name in ("kind", "rate_sd", "settings_mean")),
        (register_trend, "contribution"),
        (register_noise, "sd"),
        (register_pattern, "kind"),
    ],
)
def test_an_argument_may_not_have_a_name_of_the_dataset(register: Any, name: str) -> None:
    def own(x, **_):  # type: ignore[no-untyped-def]
        return x

    named = inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=0.5)
    own.__signature__ = inspect.Signature([named])  # type: ignore[attr-defined]
    message = f"^own: an argument may not be called '{name}', which .* uses itself; choose .*$"
    with pytest.raises(ConfigError, match=message):
        register("own")(own)


def test_an_argument_is_not_taken_for_the_effect() -> None:
    with pytest.raises(ConfigError, match="'beta', as which the Dataset shows the effect"):
        register_saturation("power")(lambda x, *, beta=0.5: x**beta)


def test_a_name_is_taken_once() -> None:
    with pytest.raises(ConfigError, match="registered already"):
        register_pattern("seasonal")(lambda calendar: calendar.period)


# --- configurations in other processes


def sent(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))


@given(valid_configs(max_periods=12))
def test_a_configuration_comes_out_of_a_pickle_as_it_was(config: MMMDataConfig) -> None:
    for copied in (sent(config), copy.deepcopy(config)):
        assert copied == config
        assert copied.replace(seed=7) == config.replace(seed=7)


def own_level(dates: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return rng.uniform(0.5, 1.5, len(dates))


def test_a_pickled_configuration_draws_the_same() -> None:
    @register_adstock("own_tail")
    def own_tail(lag, *, alpha: Share = 0.5):  # type: ignore[no-untyped-def]
        return alpha ** (2 * lag)

    # One kind that a pickle cannot name, one callable that is not registered, and a half-life.
    config = MMMDataConfig(
        channels=[
            ChannelConfig(name="TV", pattern=own_level, adstock={"kind": "own_tail"}),
            ChannelConfig(name="Radio", adstock_kwargs={"half_life": "10D"}),
        ]
    )
    assert sent(config) == config
    assert generate_mmm_dataset(sent(config)).identical(generate_mmm_dataset(config))


# What cloudpickle, and with it joblib and Dask, do with functions of a script or a notebook.
SCRIPT = """
import sys
import cloudpickle
from mmm_xgen import MMMDataConfig, generate_mmm_dataset
from mmm_xgen import register_event_shape, register_saturation

@register_saturation("own_curve")
def own_curve(x, *, power: float = 0.5):
    return x**power

@register_event_shape("own_shape")
def own_shape(days, *, width_days: float = 3.0):
    return (abs(days) <= width_days).astype(float)

config = MMMDataConfig(
    n_periods=20,
    channels=[{"name": "TV", "saturation": {"kind": "own_curve"}}],
    events=[{"name": "fair", "dates": ["2022-02-01"], "effect": 0.2, "shape": "own_shape"}],
)
sys.stdout.buffer.write(cloudpickle.dumps((config, generate_mmm_dataset(config).y.values)))
"""


def test_a_kind_of_a_script_goes_to_the_worker_with_the_configuration(tmp_path: Path) -> None:
    pytest.importorskip("cloudpickle")
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run([sys.executable, str(script)], capture_output=True, check=True)
    config, y = pickle.loads(done.stdout)
    try:
        np.testing.assert_array_equal(generate_mmm_dataset(config)["y"], y)
    finally:
        EVENT_SHAPES.remove("own_shape")
