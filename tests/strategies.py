"""Hypothesis strategies for configurations, and the independent arithmetic that checks a Dataset.

``config_dicts`` draws mappings in the spelling of a YAML file, flat and nested mixed;
``valid_configs`` draws configurations that must generate. ``reckless_config_dicts`` draws
from far outside: each must give a valid Dataset or one ``ConfigError``.
The reference formulas are written from the definitions, not from the package.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from hypothesis import assume, settings
from hypothesis import strategies as st

import mmm_xgen as m
from mmm_xgen.dataset import config_of
from mmm_xgen.errors import XgenWarning

PATTERN_KINDS = (
    *("linear_trend", "seasonal", "delayed_start", "on_off", "step", "cyclical", "event_spikes"),
    *("pulsed", "always_on", "uniform"),
)
# Patterns that spend something in every window: only these may carry a ROAS target.
RUNNING_KINDS = ("linear_trend", "seasonal", "cyclical", "always_on", "uniform")
ADSTOCK_KINDS = (
    *("geometric_adstock", "delayed_adstock", "binomial_adstock", "weibull_adstock", "no_adstock"),
)
FREQUENCIES = ("D", "W", "W-MON", "W-SUN", "W-THU", "MS", "daily", "weekly", "monthly")

# Curves on raw currency, sensible for spends around 1000.
CURVES: dict[str, dict[str, float]] = {
    "hill_function": {"slope": 1.3, "kappa": 1500.0},
    "logistic_saturation": {"lam": 1.0e-3},
    "inverse_scaled_logistic_saturation": {"lam": 1500.0},
    "michaelis_menten": {"alpha": 1.0, "lam": 1500.0},
    "hill_saturation_sigmoid": {"sigma": 1.0, "beta": 2.0e-3, "lam": 1200.0},
    "tanh_saturation": {"b": 1.0, "c": 1500.0},
    "tanh_saturation_baselined": {"x0": 1000.0, "gain": 5.0e-4, "r": 0.6},
    "root_saturation": {"alpha": 0.4},
    "log_saturation": {},
    "no_saturation": {},
    "sigmoid_saturation": {"asymptote": 1.0, "slope": 1.0e-3},
    "polynomial_saturation": {"top": 2500.0},
    "piecewise_linear_saturation": {"knot": 800.0, "share": 0.6, "decay": 0.4},
    "threshold_saturation": {"threshold": 5.0, "kappa": 1200.0},
}
SATURATION_KINDS = tuple(CURVES)
NOISE_KEYS: dict[str, dict[str, Any]] = {
    "gaussian": {"sales_volatility": 0.05},
    "student_t": {"sales_volatility": 0.05, "degrees_of_freedom": 6.0},
    "lognormal": {"sales_volatility": 0.05},
    "negative_binomial": {"sales_volatility": 0.05},
    "ar1": {"sales_volatility": 0.05, "autocorrelation": 0.6},
}


def examples(share: float) -> settings:
    """Settings of a test whose examples are slow: a share of what the profile draws."""
    return settings(max_examples=round(share * settings.default.max_examples))


def quietly(build: Callable[[], Any]) -> Any:
    """Result of ``build()`` with warnings of the package (and no other) silenced."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", XgenWarning)
        return build()


def warnings_of(build: Callable[[], Any]) -> list[str]:
    """Messages that ``build()`` warns with; a warning of another class is a failure."""
    with warnings.catch_warnings(record=True) as record:
        warnings.simplefilter("always")
        build()
    foreign = [item for item in record if not issubclass(item.category, XgenWarning)]
    assert not foreign, [str(item.message) for item in foreign]
    return [str(item.message) for item in record]


def generate(config: Any, **options: Any) -> xr.Dataset:
    """Dataset of a config or of a mapping in its spelling, questionable settings allowed."""
    if isinstance(config, Mapping):
        mapping = config
        return quietly(lambda: m.generate_mmm_dataset(m.MMMDataConfig(**mapping), **options))
    return quietly(lambda: m.generate_mmm_dataset(config, **options))


def config_with(*channels: Mapping[str, Any], **fields: Any) -> dict[str, Any]:
    """Mapping of a small quiet config: noise-free, flat baseline, the given channels."""
    regions = {"base_sales_rate": 10_000.0, "sales_volatility": 0.0} | fields.pop("regions", {})
    return {
        "n_periods": 52,
        "start_date": "2022-01-03",
        "freq": "W-MON",
        "seed": 11,
        "channels": [
            ({} if "roas" in channel else {"base_effectiveness": 0.05}) | dict(channel)
            for channel in channels
        ],
        "control_variables": [],
        "regions": regions,
    } | fields


def steady(name: str = "TV", **fields: Any) -> dict[str, Any]:
    """Mapping of a channel that spends its base spend every period."""
    numbers = {"base_spend": 1000.0, "spend_volatility": 0.0}
    return {"name": name, "pattern": "linear_trend"} | numbers | fields


# ------------------------------------------------------------------ strategies: the parts


def share(low: float = 0.0, high: float = 1.0) -> st.SearchStrategy[float]:
    """Finite float in [low, high], coarse so that examples shrink to readable ones."""
    return st.integers(0, 100).map(lambda step: low + (high - low) * step / 100)


def pattern_keys(kind: str, n_periods: int) -> st.SearchStrategy[dict[str, Any]]:
    """Keys of one kind of pattern, valid for a window of ``n_periods``."""
    periods = st.integers(0, max(n_periods - 1, 0))
    keys: dict[str, dict[str, st.SearchStrategy[Any]]] = {
        "linear_trend": {"spend_trend": share(-0.1, 0.1)},
        "seasonal": {"seasonal_amplitude": share(), "seasonal_phase": share(-3.0, 3.0)},
        "delayed_start": {"start_period": periods, "ramp_up_periods": st.integers(0, 5)},
        "on_off": {
            "activation_probability": share(),
            "min_active_periods": st.integers(1, 3),
            "max_active_periods": st.integers(3, 8),
        },
        "step": {
            "step_periods": st.just([n_periods // 3, 2 * n_periods // 3 + 1]),
            "step_levels": st.tuples(share(0, 3), share(0, 3)).map(list),
        },
        "cyclical": {
            "cycle_periods": share(2.0, 30.0),
            "cycle_amplitude": share(),
            "cycle_phase": share(-3.0, 3.0),
        },
        "event_spikes": {
            "spike_dates": st.lists(
                st.sampled_from(["12-25", "07-04", "02-14", "2022-02-01"]),
                min_size=1,
                max_size=3,
                unique=True,
            ),
            "spike_height": share(0.5, 4.0),
            "spike_periods": st.integers(1, 4),
            "rest_level": share(),
        },
        "pulsed": {
            "pulse_on_periods": st.integers(1, 6),
            "pulse_off_periods": st.integers(1, 6),
            "pulse_offset": st.integers(0, 5),
            "rest_level": share(),
        },
        "always_on": {
            "burst_probability": share(),
            "burst_height": share(0.0, 3.0),
            "burst_periods": st.integers(1, 5),
        },
        "uniform": {"low": share(0.1, 0.9), "high": share(1.0, 3.0)},
    }
    return st.fixed_dictionaries({}, optional=keys[kind]).map(
        lambda drawn: _complete_pattern(kind, drawn, n_periods)
    )


def _complete_pattern(kind: str, drawn: dict[str, Any], n_periods: int) -> dict[str, Any]:
    """Add the keys that a kind cannot do without, and keep pairs of keys consistent."""
    required: dict[str, dict[str, Any]] = {
        "step": {"step_periods": [n_periods // 3, 2 * n_periods // 3 + 1], "step_levels": [2, 0.5]},
        "cyclical": {"cycle_periods": 13.0},
        "event_spikes": {"spike_dates": ["12-25"]},
        "pulsed": {"pulse_on_periods": 3, "pulse_off_periods": 2},
        "uniform": {"low": 0.5, "high": 1.5},
        "on_off": {"min_active_periods": 2, "max_active_periods": 8},
    }
    return required.get(kind, {}) | drawn


@st.composite
def adstock_specs(draw: st.DrawFn) -> dict[str, Any]:
    """Nested spec of one adstock, its kernel short enough to keep its mass."""
    kind = draw(st.sampled_from(ADSTOCK_KINDS))
    spec: dict[str, Any] = {"kind": kind}
    if kind == "no_adstock":
        return spec
    if kind in ("geometric_adstock", "delayed_adstock"):
        # Near 0 a delayed adstock whose theta varies over geos has no mass.
        spec["alpha"] = draw(share(0.05 if kind == "delayed_adstock" else 0.0, 0.8))
    if kind == "binomial_adstock":
        spec["alpha"] = draw(share(0.1, 0.8))
    if kind == "delayed_adstock":
        spec["theta"] = float(draw(st.integers(0, 3)))
    if kind == "weibull_adstock":
        spec |= {"lam": draw(share(0.5, 3.0)), "k": draw(share(0.7, 3.0))}
        spec["type"] = draw(st.sampled_from(["PDF", "CDF"]))
    spec |= draw(
        st.fixed_dictionaries(
            {}, optional={"l_max": st.integers(4, 16), "normalize": st.booleans()}
        )
    )
    return spec


@st.composite
def saturation_specs(draw: st.DrawFn) -> dict[str, Any]:
    """Nested spec of one saturation curve, its scale within a factor of 2 of the default."""
    kind = draw(st.sampled_from(SATURATION_KINDS))
    stretch = draw(share(0.5, 2.0))
    scales = {"kappa", "lam", "c", "x0"}
    curve = {
        key: value * (stretch if key in scales and value > 1 else 1.0)
        for key, value in CURVES[kind].items()
    }
    return {"kind": kind} | curve


@st.composite
def channel_dicts(draw: st.DrawFn, name: str, n_periods: int) -> dict[str, Any]:
    """Mapping of one channel, its pattern flat or nested, its effect as either of the two."""
    kind = draw(st.sampled_from(PATTERN_KINDS))
    keys = draw(pattern_keys(kind, n_periods))
    channel: dict[str, Any] = {
        "name": name,
        "base_spend": float(draw(st.sampled_from([0, 50, 1000, 2500]))),
        "spend_volatility": draw(share(0.0, 0.8)),
    }
    if draw(st.booleans()):
        channel |= {"pattern": kind} | keys
    else:
        channel["pattern"] = {"kind": kind} | keys
    may_target = kind in RUNNING_KINDS and channel["base_spend"] > 0 and "spend_trend" not in keys
    if may_target and draw(st.booleans()):
        channel["roas"] = draw(share(0.2, 3.0))
    else:
        channel["base_effectiveness"] = draw(st.sampled_from([0.0, 0.02, 0.1, 0.4]))
    if draw(st.booleans()):
        channel["adstock"] = draw(adstock_specs())
    if draw(st.booleans()):
        channel["saturation"] = draw(saturation_specs())
    return channel


@st.composite
def control_dicts(draw: st.DrawFn, name: str, n_periods: int) -> dict[str, Any]:
    """Mapping of one control, with a linear effect or an elasticity."""
    kind = draw(st.sampled_from(PATTERN_KINDS))
    control: dict[str, Any] = {
        "name": name,
        "pattern": {"kind": kind} | draw(pattern_keys(kind, n_periods)),
        "base_value": draw(share(0.5, 20.0)),
        "value_volatility": draw(share(0.0, 0.3)),
    }
    if draw(st.booleans()):
        control["persistence"] = draw(share(0.0, 0.9))
    if draw(st.booleans()):
        control["shared"] = draw(st.booleans())
    # A level of zero has no elasticity: only patterns that never rest may carry one.
    if kind in ("always_on", "uniform") and draw(st.booleans()):
        control["elasticity"] = draw(share(-1.5, 0.5))
    else:
        control["gamma_control"] = draw(share(-40.0, 60.0))
    return control


@st.composite
def trend_specs(draw: st.DrawFn) -> dict[str, Any]:
    """Nested spec of one trend of base sales."""
    kind = draw(st.sampled_from(["linear", "piecewise_linear", "logistic_growth"]))
    keys = {
        "linear": {"sales_trend": draw(share(-0.01, 0.02))},
        "piecewise_linear": {
            "sales_trend": draw(share(0.0, 0.02)),
            "change_periods": [2, 3],
            "trend_changes": [draw(share(-0.02, 0.01)), 0.005],
        },
        "logistic_growth": {
            "growth_capacity": draw(share(0.1, 1.0)),
            "growth_rate": draw(share(0.05, 0.5)),
            "growth_midpoint": float(draw(st.integers(1, 20))),
        },
    }
    return {"kind": kind} | keys[kind]


@st.composite
def region_dicts(draw: st.DrawFn, *, daily: bool = False) -> dict[str, Any]:
    """Mapping of the regions: geos, baseline, seasons, noise family and variation."""
    n_regions = draw(st.integers(1, 4))
    regions: dict[str, Any] = {
        "n_regions": n_regions,
        "base_sales_rate": 10_000.0,
        "seasonal_amplitude": draw(share(0.0, 0.3)),
    }
    if draw(st.booleans()):
        regions["population"] = [float(draw(st.integers(1, 9))) * 100_000 for _ in range(n_regions)]
        regions["geo_response"] = draw(st.sampled_from(["per_capita", "common"]))
    if draw(st.booleans()):
        regions |= draw(
            st.one_of(
                st.builds(lambda trend: {"sales_trend": trend}, share(-0.005, 0.02)),
                st.builds(lambda trend: {"trend": trend}, trend_specs()),
            )
        )
    if daily and draw(st.booleans()):
        week: dict[str, Any] = {"weekday_effects": [0.0, 0.0, 0.01, 0.0, 0.05, 0.1, -0.1]}
        wave: dict[str, Any] = {"period": "weekly", "amplitude": draw(share(0.0, 0.1)), "modes": 2}
        regions["seasonalities"] = [draw(st.sampled_from([week, wave]))]
    regions["sales_volatility"] = draw(share(0.0, 0.15))
    if draw(st.booleans()):
        regions["noise"] = draw(noise_specs())
        del regions["sales_volatility"]
    if draw(st.booleans()):
        regions["outliers"] = {"share": draw(share(0.0, 0.2)), "size": draw(share(1.0, 4.0))}
    if draw(st.booleans()):
        regions["capacity"] = draw(share(1.0, 2.0))
    if draw(st.booleans()):
        regions["fourier_modes"] = draw(st.integers(1, 2))
    if n_regions > 1 and draw(st.booleans()):
        regions |= {
            "baseline_variation": draw(share(0.0, 0.3)),
            "channel_param_variation": draw(share(0.0, 0.3)),
            "transform_variation": draw(share(0.0, 0.3)),
        }
    return regions


@st.composite
def noise_specs(draw: st.DrawFn) -> dict[str, Any]:
    """Nested spec of one noise family, small against the base sales."""
    kind = draw(st.sampled_from(list(NOISE_KEYS)))
    spec = {"kind": kind} | NOISE_KEYS[kind]
    if kind in ("gaussian", "ar1", "lognormal"):
        spec["shared"] = draw(share(0.0, 1.0))
    if kind in ("gaussian", "ar1", "student_t"):
        spec["level_power"] = draw(share(0.0, 1.5))
    return spec


@st.composite
def config_dicts(draw: st.DrawFn, max_periods: int = 40) -> dict[str, Any]:
    """Mapping of a whole config that must be accepted and generate."""
    n_periods = draw(st.integers(4, max_periods))
    freq = draw(st.sampled_from(FREQUENCIES))
    starts = {"W-SUN": "2022-01-02", "W-THU": "2022-01-06", "MS": "2022-01-01"}
    config: dict[str, Any] = {
        "n_periods": n_periods,
        "freq": freq,
        "start_date": starts.get(freq, "2022-01-01" if freq == "monthly" else "2022-01-03"),
        "seed": draw(st.integers(0, 2**32 - 1)),
        "channels": [
            draw(channel_dicts(name, n_periods)) for name in _names(draw, ["TV", "x-Radio", "Web"])
        ],
        "control_variables": [
            draw(control_dicts(name, n_periods)) for name in _names(draw, ["Price", "c-Rain"], 0)
        ],
        "regions": draw(region_dicts(daily=freq in ("D", "daily"))),
    }
    if draw(st.booleans()):
        config["burn_in_periods"] = draw(st.integers(0, 12))
    if draw(st.booleans()):
        config["transforms"] = {
            "adstock_fun": "geometric_adstock",
            "adstock_kwargs": {"alpha": draw(share(0.0, 0.6))},
            "saturation_fun": "hill_function",
            "saturation_kwargs": {"slope": draw(share(0.5, 2.0)), "kappa": 1500.0},
            "adstock_first": draw(st.booleans()),
        }
    if draw(st.booleans()):
        config["events"] = draw(st.lists(event_dicts(), max_size=1))
    if draw(st.booleans()):
        config["revenue_per_kpi"] = draw(share(0.5, 50.0))
    return config


@st.composite
def event_dicts(draw: st.DrawFn) -> dict[str, Any]:
    """Mapping of one yearly event, its lift positive or negative."""
    event: dict[str, Any] = {
        "name": "launch",
        "dates": [draw(st.sampled_from(["01-20", "12-25", "2022-02-10"]))],
        "effect": draw(share(-0.1, 0.3)),
    }
    shape = st.sampled_from(["pulse", "gaussian", "decay"])
    keys = {"shape": shape, "width_days": st.integers(1, 20), "lag_days": st.integers(0, 9)}
    return event | draw(st.fixed_dictionaries({}, optional=keys))


def _names(draw: st.DrawFn, pool: list[str], least: int = 1) -> list[str]:
    return pool[: draw(st.integers(least, len(pool)))]


def valid_configs(max_periods: int = 40) -> st.SearchStrategy[Any]:
    """``MMMDataConfig`` objects that must generate."""
    return config_dicts(max_periods).map(
        lambda mapping: quietly(lambda: m.MMMDataConfig(**mapping))
    )


# ------------------------------------------------------------------ strategies: far outside

WILD_VALUES = st.sampled_from(
    [
        *(0, -1, 1, 2, 1e-12, 1e12, 1e300, -1e300, float("nan"), float("inf"), True, None),
        *("", "1", "geometric_adstock", "12-25", "13-45", "2022-02-30", ["13-45"], [], [[]]),
        *([1, 2], {}, {"kind": "seasonal"}, {"kind": "gaussian"}, 2**63),
    ]
)


def places(node: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) of a nested mapping or list."""
    if isinstance(node, dict):
        pairs = list(node.items())
    elif isinstance(node, list):
        pairs = list(enumerate(node))
    else:
        return []
    return [(node, key) for key, _ in pairs] + [
        place for _, child in pairs for place in places(child)
    ]


@st.composite
def reckless_config_dicts(draw: st.DrawFn) -> dict[str, Any]:
    """A valid mapping in which up to three entries are replaced by wild values."""
    config = draw(config_dicts(max_periods=12))
    for _ in range(draw(st.integers(0, 3))):
        found = places(config)
        container, key = found[draw(st.integers(0, len(found) - 1))]
        container[key] = copy.deepcopy(draw(WILD_VALUES))
    return config


# ------------------------------------------------------------------ independent arithmetic

BASELINE_PARTS = (
    "intercept_contribution",
    "trend_contribution",
    "seasonality_contribution",
    "event_contribution",
)


def same(actual: Any, expected: Any, rtol: float = 1e-9, *, scale: Any = 0.0) -> None:
    """Assert equality to ``rtol`` relative to the value, or to ``scale`` where sums cancel."""
    actual, expected = xr.broadcast(xr.DataArray(actual), xr.DataArray(expected))
    actual, expected = actual.transpose(*expected.dims).values, expected.values
    allowed = rtol * np.maximum(np.abs(expected), np.max(np.abs(np.asarray(scale)), initial=0.0))
    np.testing.assert_array_less(np.abs(actual - expected), allowed + 1e-280)


def convolve(spend: xr.DataArray, weights: xr.DataArray) -> xr.DataArray:
    """Causal convolution along date, one lag at a time, zero before the first date."""
    total = xr.zeros_like(spend)
    for lag in range(weights.sizes["lag"]):
        total = total + weights.isel(lag=lag, drop=True) * spend.shift(date=lag, fill_value=0.0)
    return total.transpose(*spend.dims)


def with_history(ds: xr.Dataset) -> xr.DataArray:
    """Spend preceded by the drawn burn-in, if the Dataset keeps one."""
    if "spend_history" not in ds:
        return ds["spend"].drop_vars([n for n in ds["spend"].coords if n not in ds["spend"].dims])
    history = ds["spend_history"]
    (past,) = set(history.dims) - {"geo", "channel"}
    values = np.concatenate(
        [history.transpose(past, "geo", "channel").values, ds["spend"].values], axis=0
    )
    return xr.DataArray(
        values,
        dims=("date", "geo", "channel"),
        coords={"geo": ds["geo"].values, "channel": ds["channel"].values},
    )


def in_window(array: xr.DataArray, ds: xr.Dataset) -> xr.DataArray:
    """Last dates of a series that may start with a burn-in, labelled as in the Dataset."""
    return array.isel(date=slice(-ds.sizes["date"], None)).assign_coords(date=ds["date"].values)


def logistic(x: Any) -> Any:
    """Logistic function of a number or an array."""
    return 1 / (1 + np.exp(-x))


def component(ds: xr.Dataset, x: xr.DataArray) -> xr.DataArray:
    """Amplitude-folded curve of PyMC-Marketing's component of each channel, at ``x``."""

    def parameter(name: str, label: str) -> xr.DataArray:
        return ds[f"saturation_{name}"].sel(channel=label, drop=True)

    def curve(kind: str, x: xr.DataArray, label: str) -> xr.DataArray:
        def p(name: str) -> xr.DataArray:
            return parameter(name, label)

        formulas: dict[str, Callable[[], xr.DataArray]] = {
            "hill_function": lambda: (
                p("beta") * x ** p("slope") / (p("kappa") ** p("slope") + x ** p("slope"))
            ),
            "logistic_saturation": lambda: p("beta") * np.tanh(p("lam") * x / 2),
            "inverse_scaled_logistic_saturation": lambda: (
                p("beta") * np.tanh(np.log(3) / p("lam") * x / 2)
            ),
            "michaelis_menten": lambda: p("alpha") * x / (p("lam") + x),
            "hill_saturation_sigmoid": lambda: (
                p("sigma") / (1 + np.exp(-p("beta") * (x - p("lam"))))
                - p("sigma") / (1 + np.exp(p("beta") * p("lam")))
            ),
            "tanh_saturation": lambda: p("b") * np.tanh(x / (p("b") * p("c"))),
            "tanh_saturation_baselined": lambda: (
                p("beta") * p("gain") * p("x0") * np.tanh(x * np.arctanh(p("r")) / p("x0")) / p("r")
            ),
            "root_saturation": lambda: p("beta") * x ** p("alpha"),
            "log_saturation": lambda: p("beta") * np.log1p(x),
            "no_saturation": lambda: p("beta") * x,
            "sigmoid_saturation": lambda: (
                p("asymptote")
                * (logistic(0.7 + p("slope") * x / logistic(0.7)) - logistic(0.7))
                / (1 - logistic(0.7))
            ),
            "polynomial_saturation": lambda: (
                p("beta") * (1 - (1 - np.minimum(x / p("top"), 1)) ** 2)
            ),
            "piecewise_linear_saturation": lambda: (
                p("beta")
                * xr.where(
                    x < p("knot"),
                    p("share") * x / p("knot"),
                    np.minimum(p("share") * (1 + p("decay") * (x / p("knot") - 1)), 1),
                )
            ),
            "threshold_saturation": lambda: (
                p("beta")
                * xr.where(
                    x > p("threshold"), 1 - p("kappa") / (p("kappa") + x - p("threshold")), 0
                )
            ),
        }
        return formulas[kind]()

    parts = []
    for label in ds["channel"].values:
        kind = str(ds["saturation_kind"].sel(channel=label).item())
        with np.errstate(divide="ignore", invalid="ignore"):
            value = curve(kind, x.sel(channel=label, drop=True), str(label))
        silent = ds["effect"].sel(channel=label, drop=True) == 0
        parts.append(value.where(~silent, 0.0))
    return xr.concat(
        parts, dim=pd.Index(ds["channel"].values, name="channel"), coords="minimal"
    ).transpose("date", "geo", "channel")


def assert_valid(ds: xr.Dataset) -> None:
    """Assert what every Dataset owes its reader: section 2 to 1e-9, and sane values."""
    for name in ("spend", "carryover", "saturated", "channel_contribution", "mu", "noise", "y"):
        assert np.isfinite(ds[name].values).all(), f"{name} has a value that is not finite"
    assert (ds["spend"].values >= 0).all()
    assert (ds["y"].values >= 0).all()
    assert_parts_add_up(ds)
    # Compared, not subtracted: a difference of dates that overflowed is right again.
    dates = ds["date"].values
    assert (dates[1:] > dates[:-1]).all(), "dates do not increase"
    assert ds["spend"].dims == ("date", "geo", "channel")
    assert ds["y"].dims == ("date", "geo")


def assert_parts_add_up(ds: xr.Dataset) -> None:
    """Assert that the components sum to mu, and that y is mu plus noise."""
    channel, control = ds["channel_contribution"], ds["control_contribution"]
    total = channel.sum("channel") + control.sum("control")
    for part in BASELINE_PARTS:
        total = total + ds[part]
    gross = np.abs(channel).sum("channel") + np.abs(control).sum("control")
    for part in BASELINE_PARTS:
        gross = gross + np.abs(ds[part])
    total = total.transpose("date", "geo")
    gross = gross.transpose("date", "geo")
    error = np.abs(total.values - ds["mu"].values)
    assert (error <= 1e-9 * gross.values).all(), "components do not sum to mu"
    error = np.abs((ds["y"] - ds["mu"] - ds["noise"]).values)
    room = 1e-9 * np.maximum(np.abs(ds["mu"].values), np.abs(ds["y"].values))
    assert (error <= room).all(), "y - mu is not the noise"


def regenerated(
    ds: xr.Dataset, plan: xr.DataArray, history: float = 1.0, after: int = 0
) -> xr.Dataset:
    """The same weekly world generated with another plan: an independent path to counterfactuals.

    With `after` it lasts that many weeks longer, in which nothing is spent.
    """
    dates = pd.date_range(ds["date"].values[0], periods=ds.sizes["date"] + after, freq="W-MON")
    given = xr.Dataset({"spend": plan.reindex(date=dates, fill_value=0.0)})
    given["control_value"] = ds["control_value"].reindex(date=dates, method="ffill")
    if "spend_history" in ds:
        given["spend_history"] = history * ds["spend_history"]
    config = config_of(ds).replace(n_periods=len(dates))
    return quietly(lambda: m.generate_mmm_dataset(config, spend=given, params=ds))


def drawn(config: m.MMMDataConfig) -> xr.Dataset:
    """Dataset of a drawn config; one that its noise family cannot serve is no example."""
    try:
        return generate(config)
    except m.ConfigError as error:
        assume("regions.noise" not in str(error))
        raise
