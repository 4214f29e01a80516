"""Parity with PyMC-Marketing: the same kinds, and the same values to 1e-12.

Where its two generations differ, the kernels follow the newer one. The older one is then held
to the same values where it is right; each such point says why.
"""

import importlib
import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from itertools import product
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

# First: it switches off the warning that `pytensor.xtensor` gives on its own.
import pymc_marketing.mmm  # isort: skip
import pytensor
from pymc_marketing.mmm import transformers
from pymc_marketing.mmm.components.adstock import AdstockTransformation
from pymc_marketing.mmm.components.saturation import SaturationTransformation
from pytensor.tensor import lscalar
from pytensor.xtensor import xtensor

from mmm_xgen import ChannelConfig, ConfigError, MMMDataConfig, TransformConfig
from mmm_xgen.generate import generate_mmm_dataset
from mmm_xgen.kernels.adstock import ADSTOCKS, convolve, normalized
from mmm_xgen.kernels.kind import component_names
from mmm_xgen.kernels.saturation import SATURATIONS
from mmm_xgen.labelled_world import respond

ADSTOCK_COMPONENTS = component_names(ADSTOCKS)
SATURATION_COMPONENTS = {kind: name for (kind, _), name in component_names(SATURATIONS).items()}

RELEASE = tuple(map(int, version("pymc-marketing").split(".")[:2]))
NEWER = RELEASE >= (1, 0)
# What both sides round away, relative to the largest value that the curve or kernel can take.
TOLERANCE = 1e-12
N_DRAWS = 300
N_DATES = 30
L_MAX = (1, 2, 8, 30)
# Own kinds, which PyMC-Marketing does not have.
OURS_ALONE = {
    "beta_gamma_adstock",
    "beta_gamma_decay",
    "sigmoid_saturation",
    "polynomial_saturation",
    "piecewise_linear_saturation",
    "threshold_saturation",
}

Values = np.ndarray[Any, np.dtype[np.float64]]


# --- the same kinds


def functions_of(module: ModuleType) -> Iterator[tuple[str, Callable[..., Any]]]:
    """The transformations that a module defines: public functions of a series `x` alone."""
    for name, function in inspect.getmembers(module, inspect.isfunction):
        arguments = inspect.signature(function).parameters
        is_own = function.__module__ == module.__name__ and not name.startswith("_")
        # `batched_convolution(x, w)` is the tool, no kind.
        if is_own and next(iter(arguments), "") == "x" and "w" not in arguments:
            yield name, function


def kinds_missing_from(module: ModuleType) -> list[str]:
    """Functions of `module` that are not registered, or with other parameters."""
    missing = []
    for name, function in functions_of(module):
        arguments = set(inspect.signature(function).parameters) - {"x", "dim", "mode"}
        registry = ADSTOCKS if "l_max" in arguments else SATURATIONS
        if name not in registry:
            missing.append(name)
        elif arguments - {"l_max", "normalize"} != set(registry[name].keys):
            missing.append(f"{name}: {sorted(arguments)}")
    return missing


def components_of(base: type) -> dict[str, set[str]]:
    """Parameters of every component class that PyMC-Marketing defines under `base`."""
    module = importlib.import_module(base.__module__)
    return {
        name: {n for n, p in inspect.signature(cls.function).parameters.items()}
        - {"self", "x", "dim", "halflife"}
        for name, cls in inspect.getmembers(module, inspect.isclass)
        if issubclass(cls, base) and cls is not base and cls.__module__ == module.__name__
    }


def test_no_function_of_the_installed_release_is_missing():
    assert len(dict(functions_of(transformers))) >= 12
    assert kinds_missing_from(transformers) == []


def test_a_function_that_is_new_would_be_noticed():
    def cubic_adstock(x, alpha, *, l_max=12, normalize=False, dim): ...

    def hill_function(x, slope, kappa, offset): ...

    def batched_convolution(x, w, *, dim): ...

    next_release = ModuleType("next_release")
    for function in (cubic_adstock, hill_function, batched_convolution):
        function.__module__ = next_release.__name__
        setattr(next_release, function.__name__, function)
    assert kinds_missing_from(next_release) == [
        "cubic_adstock",
        "hill_function: ['kappa', 'offset', 'slope']",
    ]


def test_every_adstock_component_has_its_kind():
    kinds = {component: kind for (kind, _), component in ADSTOCK_COMPONENTS.items()}
    installed = components_of(AdstockTransformation)
    assert set(installed) == set(kinds)
    for component, parameters in installed.items():
        assert parameters == set(ADSTOCKS[kinds[component]].parameters), component


def test_every_saturation_component_has_its_kind():
    kinds = {component: kind for kind, component in SATURATION_COMPONENTS.items()}
    installed = components_of(SaturationTransformation)
    # The older release has no log saturation.
    assert set(installed) == set(kinds) - (set() if NEWER else {"LogSaturation"})
    for component, parameters in installed.items():
        kind = SATURATIONS[kinds[component]]
        own = set(kind.parameters) | (set() if kind.amplitude else {"beta"})
        # The component fixes eps, which its function takes.
        assert parameters == own - {"eps"}, component


def test_every_kind_here_has_its_component():
    assert set(ADSTOCKS) - OURS_ALONE == {kind for kind, _ in ADSTOCK_COMPONENTS}
    assert set(SATURATIONS) - OURS_ALONE == set(SATURATION_COMPONENTS)
    assert {*ADSTOCKS, *SATURATIONS} >= OURS_ALONE


# --- adstock

Draw = Callable[[np.random.Generator, int], Values]


def uniform(low: float, high: float) -> Draw:
    return lambda rng, size: rng.uniform(low, high, size)


def log_uniform(low: float, high: float) -> Draw:
    return lambda rng, size: np.exp(rng.uniform(np.log(low), np.log(high), size))


@dataclass(frozen=True)
class Case:
    """A kind with how to draw its parameters, and points beyond what is drawn."""

    kind: str
    draws: Mapping[str, Draw]
    settings: tuple[tuple[str, str], ...] = ()
    points: tuple[tuple[float, ...], ...] = ()

    def __str__(self) -> str:
        return "-".join([self.kind, *(value for _, value in self.settings)])

    def parameters(self, rng: np.random.Generator) -> dict[str, Values]:
        """Random draws, then the points."""
        drawn = {name: draw(rng, N_DRAWS) for name, draw in self.draws.items()}
        for position, name in enumerate(drawn):
            extra = [point[position] for point in self.points]
            drawn[name] = np.concatenate([drawn[name], extra])
        return drawn


ADSTOCK_CASES = [
    Case("geometric_adstock", {"alpha": uniform(0, 1)}, points=((0.0,), (1.0,), (1e-9,))),
    Case(
        "delayed_adstock",
        {"alpha": uniform(0.01, 1), "theta": uniform(0, 12)},
        # At alpha 0 all weight is at theta, if that is a lag at all.
        points=((0.0, 0.0), (1.0, 0.0), (1.0, 3.5), (0.5, 0.0), (1e-9, 0.0)),
    ),
    Case("binomial_adstock", {"alpha": uniform(0, 1)}, points=((0.0,), (1.0,), (1e-3,))),
    Case(
        "weibull_adstock",
        {"lam": log_uniform(0.5, 20), "k": log_uniform(0.3, 6)},
        settings=(("type", "PDF"),),
        points=((1.0, 1.0), (100.0, 2.0), (5.0, 0.1)),
    ),
    Case(
        "weibull_adstock",
        {"lam": log_uniform(0.2, 20), "k": log_uniform(0.3, 6)},
        settings=(("type", "CDF"),),
        points=((1.0, 1.0), (100.0, 2.0), (0.2, 5.0)),
    ),
]


@cache
def their_adstock(
    kind: str, names: tuple[str, ...], settings: tuple[tuple[str, str], ...]
) -> Callable[..., list[Values]]:
    """PyMC-Marketing's function, compiled once: normalised and bare, l_max an argument."""
    spend, l_max = xtensor("spend", dims=("date",)), lscalar("l_max")
    symbols = {name: xtensor(name, dims=("draw",)) for name in names}
    keywords = {**symbols, **dict(settings), "l_max": l_max, "dim": "date"}
    function = getattr(transformers, kind)
    results = [
        function(spend, normalize=normalize, **keywords).transpose("draw", "date")
        for normalize in (True, False)
    ]
    return compiled([spend, *symbols.values(), l_max], results)


def compiled(inputs: list[Any], outputs: Any) -> Callable[..., Any]:
    # Values are what counts here; the default mode compiles for seconds a kind.
    return pytensor.function(inputs, outputs, mode="FAST_COMPILE", on_unused_input="ignore")


def their_response(
    case: Case, spend: Values, parameters: Mapping[str, Values], l_max: int
) -> list[Values]:
    with warnings.catch_warnings():
        # Their graphs divide by 0 and overflow on the way, in NumPy where nothing is compiled.
        warnings.filterwarnings("ignore", category=RuntimeWarning)
        function = their_adstock(case.kind, tuple(case.draws), case.settings)
        return function(spend, *parameters.values(), l_max)


def our_weights(case: Case, parameters: Mapping[str, Values], l_max: int) -> Values:
    columns = {name: values[:, None] for name, values in parameters.items()}
    function = ADSTOCKS[case.kind].function
    weights = function(np.arange(l_max, dtype=float), **columns, **dict(case.settings))
    return np.broadcast_to(weights, (len(next(iter(parameters.values()))), l_max))


def their_kernel_has_no_limit(case: Case, parameters: Mapping[str, Values], l_max: int) -> Any:
    """Where PyMC-Marketing's kernel is 0 / 0, on both generations."""
    if dict(case.settings).get("type") == "PDF":
        # One lag has no range to scale to, and a density that is 0 or subnormal no digits.
        time = np.arange(1, l_max + 1) / parameters["lam"][:, None]
        k = parameters["k"][:, None]
        log_density = np.log(k / parameters["lam"][:, None]) + (k - 1) * np.log(time) - time**k
        return (log_density.max(axis=1) < np.log(1e-290)) | (l_max == 1)
    if case.kind == "delayed_adstock":
        # The peak lies so far beyond l_max that no weight is left to normalise.
        distance = np.maximum(parameters["theta"] - (l_max - 1), 0)
        digits = -np.log10(np.maximum(parameters["alpha"], 1e-300))
        # At alpha 0 only a lag of exactly theta has weight.
        between = (parameters["alpha"] == 0) & (parameters["theta"] % 1 != 0)
        return (distance**2 * digits > 290) | between
    return np.zeros(len(next(iter(parameters.values()))), dtype=bool)


def n_weights(case: Case, l_max: int) -> int:
    """How many weights PyMC-Marketing makes of `l_max`."""
    # 0.19 gives the Weibull CDF one more than it should; the values are those of l_max + 1.
    return l_max + (not NEWER and dict(case.settings).get("type") == "CDF")


def compare_adstock(case: Case, parameters: Mapping[str, Values], l_max: int) -> None:
    impulse = np.zeros(max(L_MAX) + 5)
    impulse[0] = 1.0
    n_lags = n_weights(case, l_max)
    weights = our_weights(case, parameters, n_lags)
    assert np.isfinite(weights).all()
    assert ((weights >= 0) & (weights <= 1)).all()
    kept = ~their_kernel_has_no_limit(case, parameters, l_max)
    for theirs, ours in zip(
        their_response(case, impulse, parameters, l_max),
        (normalized(weights), weights),
        strict=True,
    ):
        expected = np.zeros_like(theirs)
        expected[:, :n_lags] = ours
        np.testing.assert_allclose(expected[kept], theirs[kept], rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize("case", ADSTOCK_CASES, ids=str)
@pytest.mark.parametrize("l_max", L_MAX)
def test_adstock_weights(case: Case, l_max: int):
    rng = np.random.default_rng(1)
    compare_adstock(case, case.parameters(rng), l_max)


@given(data=st.data())
def test_adstock_weights_of_any_parameters(data: st.DataObject):
    case = data.draw(st.sampled_from(ADSTOCK_CASES), label="case")
    bounds = {"alpha": (0.0, 1.0), "theta": (0.0, 12.0), "lam": (0.05, 50.0), "k": (0.1, 10.0)}
    parameters = {
        name: np.array([data.draw(st.floats(*bounds[name]), label=name)]) for name in case.draws
    }
    compare_adstock(case, parameters, data.draw(st.integers(1, max(L_MAX)), label="l_max"))


def test_no_adstock():
    """The component returns its input; it has no function."""
    spend = np.random.default_rng(3).gamma(2.0, 500.0, N_DATES)
    for l_max in L_MAX:
        weights = ADSTOCKS["no_adstock"].function(np.arange(l_max, dtype=float))
        np.testing.assert_array_equal(convolve(spend, normalized(weights)), spend)


@pytest.mark.parametrize("n_dates", [4, 40])
def test_convolution(n_dates: int):
    rng = np.random.default_rng(4)
    spend, weights = rng.normal(size=(2, 3, n_dates)), rng.normal(size=(2, 3, 13))
    x, w = xtensor("x", dims=("channel", "geo", "date")), xtensor("w", dims=("channel", "geo", "l"))
    result = transformers.batched_convolution(x, w, dim="date", kernel_dim="l")
    theirs = compiled([x, w], result.transpose("channel", "geo", "date"))(spend, weights)
    np.testing.assert_allclose(convolve(spend, weights), theirs, rtol=TOLERANCE, atol=TOLERANCE)


# --- Weibull density where it underflows


@pytest.mark.parametrize(("lam", "k"), [(0.2, 5.0), (0.05, 3.0), (0.9, 40.0)])
def test_a_weibull_density_that_underflows_has_its_limit(lam: float, k: float):
    case = ADSTOCK_CASES[3]
    parameters = {"lam": np.array([lam]), "k": np.array([k])}
    weights = our_weights(case, parameters, 8)
    # The log density falls by hundreds a lag, so that all mass is at lag 0.
    np.testing.assert_allclose(weights, np.eye(8)[:1], atol=1e-300)
    theirs = their_response(case, np.eye(8)[0], parameters, 8)[0]
    assert np.isnan(theirs).any() or np.allclose(theirs, weights)


def test_a_weibull_density_of_one_lag_is_one():
    """Theirs is 0 / 0: one density has no range."""
    case = ADSTOCK_CASES[3]
    parameters = case.parameters(np.random.default_rng(7))
    np.testing.assert_array_equal(our_weights(case, parameters, 1), 1.0)


@pytest.mark.parametrize("l_max", [1, 8])
@pytest.mark.parametrize("type_", ["PDF", "CDF"])
@pytest.mark.filterwarnings("ignore::mmm_xgen.errors.XgenWarning")
def test_a_weibull_dataset_is_finite_or_refused(l_max: int, type_: str):
    for lam, k in product((0.01, 0.2, 500.0), (0.05, 5.0, 200.0)):
        kernel = {"kind": "weibull_adstock", "lam": lam, "k": k, "type": type_, "l_max": l_max}
        channel = ChannelConfig(name="TV", base_effectiveness=0.2, adstock=kernel)
        with suppress(ConfigError):
            ds = generate_mmm_dataset(MMMDataConfig(n_periods=20, channels=[channel]))
            for name in ("adstock_weights", "carryover", "channel_contribution", "mu"):
                assert np.isfinite(ds[name]).all(), (name, lam, k)


@pytest.mark.filterwarnings("ignore::mmm_xgen.errors.XgenWarning")
def test_the_response_to_given_parameters_is_finite_or_refused():
    """What generation checks at its end, `respond` has to see in the kernel."""
    transforms = TransformConfig(adstock_fun="weibull_adstock")
    channel = ChannelConfig(name="TV", base_effectiveness=0.2)
    ds = generate_mmm_dataset(MMMDataConfig(channels=[channel], transforms=transforms))
    steep = ds.assign(adstock_lam=ds["adstock_lam"] * 0 + 0.01, adstock_k=ds["adstock_k"] * 0 + 200)
    with suppress(ConfigError):
        assert np.isfinite(respond(ds["spend"], steep)).all()


# --- saturation

SPEND = np.concatenate([[0.0, 1e-12, 1e-3], np.geomspace(0.01, 50.0, 40), [1e3, 1e6]])

SATURATION_CASES = [
    Case(
        "hill_function",
        {"slope": log_uniform(0.2, 8), "kappa": log_uniform(0.05, 20)},
        points=((1.0, 1.0), (50.0, 1.0), (1.0, 1e4)),
    ),
    Case("logistic_saturation", {"lam": log_uniform(0.01, 20)}, points=((1e-6,), (1e3,))),
    Case(
        "inverse_scaled_logistic_saturation",
        {"lam": log_uniform(0.05, 20), "eps": log_uniform(0.5, 5)},
        points=((1.0, float(np.log(3.0))),),
    ),
    Case("michaelis_menten", {"alpha": log_uniform(0.01, 100), "lam": log_uniform(0.05, 20)}),
    Case(
        "hill_saturation_sigmoid",
        {
            "sigma": log_uniform(0.01, 100),
            "beta": log_uniform(0.05, 20),
            "lam": log_uniform(0.05, 20),
        },
        points=((1.0, 1e3, 1.0), (1.0, 1e-6, 1.0)),
    ),
    Case("tanh_saturation", {"b": log_uniform(0.01, 100), "c": log_uniform(0.01, 100)}),
    Case(
        "tanh_saturation_baselined",
        {"x0": log_uniform(0.05, 20), "gain": log_uniform(0.05, 20), "r": uniform(0.001, 0.999)},
    ),
    Case("root_saturation", {"alpha": uniform(0.01, 1.5)}, points=((1.0,), (2.0,), (1e-6,))),
]


@cache
def their_curve(kind: str, names: tuple[str, ...]) -> Callable[..., Values]:
    x = xtensor("x", dims=("x",))
    symbols = {name: xtensor(name, dims=("draw",)) for name in names}
    result = getattr(transformers, kind)(x, **symbols).transpose("draw", "x")
    return compiled([x, *symbols.values()], result)


def both_curves(
    case: Case, x: Values, parameters: Mapping[str, Values]
) -> tuple[Values, Values, Values]:
    """Ours, theirs, and the largest value of the curve, which rounding is relative to."""
    columns = {name: values[:, None] for name, values in parameters.items()}
    ours = SATURATIONS[case.kind].function(x, **columns)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=RuntimeWarning)
        theirs = their_curve(case.kind, tuple(case.draws))(x, *parameters.values())
    size = np.ones((len(ours), 1))
    for name in ("alpha", "sigma", "b"):
        if name in parameters and case.kind != "root_saturation":
            size = columns[name]
    if case.kind == "tanh_saturation_baselined":
        size = columns["gain"] * columns["x0"] / columns["r"]
    return ours, theirs, size


def older_is_right(case: Case, x: Values, parameters: Mapping[str, Values]) -> Any:
    """Points at which 0.19 has the value that 1.3 has."""
    columns = {name: values[:, None] for name, values in parameters.items()}
    if NEWER or case.kind != "hill_function":
        return True
    # x**slope and kappa**slope overflow or vanish together, and give inf / inf or 0 / 0.
    slope, kappa = columns["slope"], columns["kappa"]
    with np.errstate(divide="ignore"):
        largest = slope * np.maximum(np.log10(np.maximum(x, kappa)), 0)
        smallest = slope * np.log10(kappa)
    return (largest < 300) & (smallest > -300)


def compare_saturation(case: Case, x: Values, parameters: Mapping[str, Values]) -> None:
    ours, theirs, size = both_curves(case, x, parameters)
    assert np.isfinite(ours).all()
    right = older_is_right(case, x, parameters)
    error = np.abs(ours - theirs)
    allowed = TOLERANCE * np.maximum(np.abs(theirs), size)
    # `<=` on the whole: NaN on their side is a difference too.
    worst = np.where(right, error / allowed, 0)
    assert (worst <= 1).all(), f"{case}: {np.nanmax(worst) * TOLERANCE:g} at {x[~(worst <= 1)]}"


@pytest.mark.parametrize("case", SATURATION_CASES, ids=str)
def test_saturation(case: Case):
    compare_saturation(case, SPEND, case.parameters(np.random.default_rng(5)))


# The other curves of PyMC-Marketing's are differences of two numbers, near-equal at little spend.
@pytest.mark.parametrize(
    "case",
    [
        case
        for case in SATURATION_CASES
        # 0.19 subtracts from 1 what is near 1.
        if case.kind.startswith(("michaelis", "tanh", "root"))
        or (case.kind == "hill_function" and NEWER)
    ],
    ids=str,
)
def test_the_response_to_little_spend_keeps_its_digits(case: Case):
    ours, theirs, _ = both_curves(case, SPEND, case.parameters(np.random.default_rng(5)))
    np.testing.assert_allclose(ours, theirs, rtol=TOLERANCE, atol=1e-290)


@given(data=st.data())
def test_saturation_of_any_parameters(data: st.DataObject):
    case = data.draw(st.sampled_from(SATURATION_CASES), label="case")
    bounds = {name: (0.01, 0.99) if name == "r" else (0.02, 50.0) for name in case.draws}
    parameters = {
        name: np.array([data.draw(st.floats(*bounds[name]), label=name)]) for name in case.draws
    }
    compare_saturation(case, np.array([data.draw(st.floats(0.0, 1e3), label="x")]), parameters)


@pytest.mark.parametrize("kind", ["hill_function", "root_saturation"])
def test_below_zero_the_response_is_zero(kind: str):
    case = next(case for case in SATURATION_CASES if case.kind == kind)
    x = np.array([-1e6, -1.0, -1e-9, -0.0, 0.0])
    ours, theirs, _ = both_curves(case, x, case.parameters(np.random.default_rng(6)))
    assert (ours == 0).all()
    if NEWER:
        # 0.19 gives NaN, or values that are no response.
        assert (theirs == 0).all()


@pytest.mark.parametrize("slope", [20.0, 200.0, 2000.0])
def test_a_steep_hill_is_a_step(slope: float):
    case = SATURATION_CASES[0]
    x = np.array([0.0, 0.5, 0.999, 1.0, 1.001, 2.0, 1e6]) * 1500.0
    parameters = {"slope": np.array([slope]), "kappa": np.array([1500.0])}
    ours, theirs, _ = both_curves(case, x, parameters)
    assert np.isfinite(ours).all()
    np.testing.assert_allclose(ours[0, [0, 3, -1]], [0, 0.5, 1], rtol=TOLERANCE)
    if NEWER:
        # 0.19 gives inf / inf. Rounding grows with slope * log(x).
        np.testing.assert_allclose(ours, theirs, rtol=4e-16 * slope * np.log(1.5e9), atol=1e-300)


def test_the_curves_of_components_without_a_function():
    """Log and no saturation are components only, with beta in them."""
    x, beta = xtensor("x", dims=("x",)), xtensor("beta", dims=("draw",))
    scale = np.array([0.5, 3.0])
    for kind, component in SATURATION_COMPONENTS.items():
        if hasattr(transformers, kind) or (component == "LogSaturation" and not NEWER):
            continue
        curve = getattr(pymc_marketing.mmm, component)().function(x, beta)
        theirs = compiled([x, beta], curve.transpose("draw", "x"))(SPEND, scale)
        ours = scale[:, None] * SATURATIONS[kind].function(SPEND)
        np.testing.assert_allclose(ours, theirs, rtol=TOLERANCE)
