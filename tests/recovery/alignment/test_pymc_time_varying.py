"""PyMC-Marketing's model with parts that vary over time, given the truth, computes what is true."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any

import numpy as np
import pymc as pm
import pytest
import xarray as xr

import mmm_xgen as m
from mmm_xgen.kernels.effect_paths import EFFECT_PATHS, register_effect_path
from mmm_xgen.recovery import from_pymc, no_single_truth, to_pymc_truth, truth_as_posterior
from mmm_xgen.recovery.alignment import pymc as alignment
from mmm_xgen.recovery.alignment.built_model import INTERCEPT_PATH, MEDIA_PATH
from mmm_xgen.recovery.alignment.groups import group
from mmm_xgen.recovery.fit import FitSettings
from mmm_xgen.recovery.models.pymc_fit import built_model
from tests.strategies import generate

NEWER = int(version("pymc-marketing").split(".")[0]) >= 1
pytestmark = [
    pytest.mark.filterwarnings("ignore::mmm_xgen.XgenWarning"),
    pytest.mark.filterwarnings("ignore:PyTensor could not link to a BLAS"),
    pytest.mark.filterwarnings("ignore:The 'log' link is experimental"),
    pytest.mark.filterwarnings("ignore:Under link='log'"),
    pytest.mark.skipif(not NEWER, reason="only the newer generation is held to this"),
]
N_DATES, N_FUNCTIONS = 60, 200
ETA, LENGTH = 1.0, 5.0
Data = Callable[..., xr.Dataset]


def configuration(reference: float = 2.0, link: str = "identity") -> dict[str, Any]:
    return {
        "link": link,
        "n_periods": N_DATES,
        "seed": 3,
        "channels": [
            {"name": "TV", "pattern": "on_off", "base_spend": 3000.0, "roas": 2.0},
            {"name": "Radio", "base_spend": 900.0, "roas": 1.2},
        ],
        "control_variables": [
            {"name": "Rain", "base_value": 3.0, "reference": reference, "gamma_control": -150.0}
        ],
        "transforms": {
            "adstock_kwargs": {"alpha": 0.4, "l_max": 6},
            "saturation_fun": "logistic_saturation",
        },
        "regions": {
            "region_names": ["west", "east"],
            "population": [1e6, 3e6],
            "similarity": 0.5,
            "noise": {"kind": "lognormal" if link == "log" else "gaussian"},
        },
    }


@pytest.fixture
def data() -> Iterator[Data]:
    """Make data whose base sales and media follow given paths, dims (geo, date)."""

    def made(
        base: np.ndarray | None,
        media: np.ndarray | None,
        reference: float = 2.0,
        link: str = "identity",
    ) -> xr.Dataset:
        config = configuration(reference, link)
        if base is not None:
            register_effect_path("given_base")(lambda calendar: base)
            config["regions"]["level_path"] = {"kind": "given_base", "shared": False}
        if media is not None:
            register_effect_path("given_media")(lambda calendar: media)
            for channel in config["channels"]:
                channel["effect_path"] = {"kind": "given_media", "shared": False}
        return generate(config)

    yield made
    for name in {"given_base", "given_media"} & set(EFFECT_PATHS):
        EFFECT_PATHS.remove(name)


def model(ds: xr.Dataset, **varying: Any) -> Any:
    from pymc_marketing.mmm import GeometricAdstock, LogisticSaturation
    from pymc_marketing.mmm.mmm import MMM

    def build(train: xr.Dataset) -> Any:
        return MMM(
            date_column="date",
            target_column="y",
            channel_columns=[*map(str, train["channel_column"].values)],
            control_columns=[*map(str, train["control_column"].values)],
            dims=("geo",),
            adstock=GeometricAdstock(l_max=6),
            saturation=LogisticSaturation(),
            **varying,
        )

    return built_model(ds, FitSettings(), build)


def walk(n_dates: int, n_geos: int = 2, seed: int = 0) -> np.ndarray:
    steps = np.random.default_rng(seed).normal(size=(n_geos, n_dates))
    return np.exp(0.05 * np.cumsum(steps, axis=-1))


def step(n_dates: int, n_geos: int = 2) -> np.ndarray:
    return np.tile(np.where(np.arange(n_dates) < n_dates / 2, 1.0, 0.5), (n_geos, 1))


def basis(n_dates: int, n_functions: int = N_FUNCTIONS) -> tuple[np.ndarray, np.ndarray]:
    """Return the functions of PyMC-Marketing's default process, and their prior's deviations."""
    at = np.arange(n_dates)
    covariance = ETA**2 * pm.gp.cov.Matern52(1, ls=LENGTH)
    process = pm.gp.HSGP(m=[n_functions], L=[2 * at.mean()], cov_func=covariance)
    functions, deviations = process.prior_linearized(at[:, None] - at.mean())
    return functions.eval(), deviations.eval()


def path_of(coefficients: np.ndarray, functions: np.ndarray) -> np.ndarray:
    path = np.logaddexp(0, coefficients @ functions.T)
    return path / path.mean(axis=-1, keepdims=True)


def coefficients_of(path: np.ndarray, functions: np.ndarray) -> np.ndarray:
    """Coefficients whose path is the nearest by least squares, before their softplus."""
    raw = np.log(np.expm1(path / path.mean(axis=-1, keepdims=True)))
    return np.linalg.lstsq(functions, raw.T, rcond=None)[0].T


def completed(truth: xr.Dataset, **coefficients: np.ndarray) -> xr.Dataset:
    """Truth with a process for each path; without coefficients it stays flat."""
    _, deviations = basis(N_DATES)
    whole = truth.drop_attrs().drop_vars([INTERCEPT_PATH, MEDIA_PATH], errors="ignore")
    for name in {INTERCEPT_PATH, MEDIA_PATH} & set(truth):
        offset = f"{name}_raw_hsgp_coefs_offset"
        given = coefficients.get(str(name), np.zeros(truth[offset].shape))
        whole[f"{name}_raw_eta"] = whole[f"{name}_raw_eta"].fillna(ETA)
        whole[f"{name}_raw_ls"] = whole[f"{name}_raw_ls"].fillna(LENGTH)
        whole[offset] = whole[offset].copy(data=given / deviations)
    return whole


def sales(mmm: Any, of: Any, draw: xr.Dataset) -> xr.DataArray:
    found = pm.compute_deterministics(
        draw.expand_dims(chain=[0], draw=[0]),
        model=of,
        var_names=["mu"],
        progressbar=False,
        compile_kwargs={"mode": "FAST_COMPILE"},
    )
    mu = found["mu"].isel(chain=0, draw=0)
    if mmm.link == "log":
        # Their mean of a lognormal likelihood.
        mu = np.exp(mu + draw["y_sigma"] ** 2 / 2)
    return (mu * mmm.scalers["_target"]).transpose("date", "geo")


def miss(found: xr.DataArray, ds: xr.Dataset) -> float:
    found = found.sel(geo=ds["geo"].values)
    return float(np.max(np.abs(found.values / ds["mu"].transpose("date", "geo").values - 1)))


@pytest.mark.parametrize("link", ["identity", "log"])
@pytest.mark.parametrize("varies", [("intercept",), ("media",), ("intercept", "media")])
def test_with_the_true_multipliers_sales_are_ours(
    data: Data, varies: tuple[str, ...], link: str
) -> None:
    base = walk(N_DATES) if "intercept" in varies else None
    ds = data(base, step(N_DATES) if "media" in varies else None, link=link)
    mmm = model(ds, link=link, **{f"time_varying_{part}": True for part in varies})
    truth = to_pymc_truth(ds, mmm)
    paths = {name: truth[name] for name in (INTERCEPT_PATH, MEDIA_PATH) if name in truth}
    assert len(paths) == len(varies)
    for path in paths.values():
        np.testing.assert_allclose(path.mean("date"), 1.0, rtol=1e-12)
    held = pm.do(mmm.model, {str(name): path.values for name, path in paths.items()})
    assert miss(sales(mmm, held, completed(truth)), ds) < 1e-9
    # Negative control: paths that stay flat.
    assert miss(sales(mmm, mmm.model, completed(truth)), ds) > 1e-2
    back = from_pymc(truth.drop_attrs().expand_dims(chain=[0], draw=[0]), mmm, ds)
    found = back["intercept_contribution"].isel(chain=0, draw=0)
    wanted = (ds["intercept_contribution"] * ds.get("baseline_path", 1.0)).transpose(*found.dims)
    np.testing.assert_allclose(found.values, wanted.values, rtol=1e-9)
    # Only processes and their priors have no truth.
    reasons = no_single_truth(truth)
    assert all("_raw_" in name for name in reasons)
    coefficients = [why for name, why in reasons.items() if "_hsgp_coefs" in name]
    assert len(coefficients) == len(varies)
    assert all("several sets of coefficients make one path" in why for why in coefficients)
    with pytest.raises(m.AlignmentError, match="no single truth"):
        truth_as_posterior(ds, mmm)


def test_a_positive_multiplier_cannot_change_the_sign_of_the_intercept(data: Data) -> None:
    ds = data(walk(N_DATES), None)
    mmm = model(ds, time_varying_intercept=True)
    # A control that takes all of base sales at its reference.
    gamma = ds["intercept_contribution"] / ds["control_reference"].sel(control="Rain", drop=True)
    ds = ds.assign(gamma_control=ds["gamma_control"].copy(data=gamma.values[:, None]))
    truth = to_pymc_truth(ds, mmm)
    for name in ("intercept_baseline", INTERCEPT_PATH):
        assert truth[name].isnull().all()
        assert "the intercept changes its sign" in no_single_truth(truth)[name]


@pytest.mark.parametrize("kind", ["of the basis", "walk", "step"])
def test_coefficients_of_the_path_make_our_sales(
    data: Data, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    functions, deviations = basis(N_DATES)
    if kind == "of the basis":
        drawn = np.random.default_rng(1).normal(size=(2, 2, N_FUNCTIONS)) * deviations
        base, media = (path_of(each, functions) for each in drawn)
    else:
        base, media = walk(N_DATES, seed=1), {"walk": walk, "step": step}[kind](N_DATES)
    # With another reference of the control the intercept's path is not that of base sales.
    ds = data(base, media, reference=0.0)
    mmm = model(ds, time_varying_intercept=True, time_varying_media=True)
    truth = to_pymc_truth(ds, mmm)
    order = [[*ds["geo"].values].index(geo) for geo in truth["geo"].values]
    if kind == "of the basis":
        base, media = drawn
    else:
        base, media = (coefficients_of(path, functions) for path in (base, media))
    draw = completed(truth, **{INTERCEPT_PATH: base[order], MEDIA_PATH: media[order]})
    assert miss(sales(mmm, mmm.model, draw), ds) < 1e-9

    monkeypatch.setattr(alignment, "to_pymc_truth", lambda *_: draw)
    posterior = group(truth_as_posterior(ds, mmm), "posterior").isel(chain=0, draw=0)
    for name in (INTERCEPT_PATH, MEDIA_PATH):
        wanted = truth[name].transpose(*posterior[name].dims)
        np.testing.assert_allclose(posterior[name].values, wanted.values, rtol=1e-9)
    theirs = mmm.incrementality.contribution_over_spend(frequency="all_time")
    theirs = theirs.squeeze(["chain", "draw"], drop=True).sel(geo=ds["geo"].values)
    ours = m.truth.estimands(ds, within_data=True)["roas_with_carryout"]
    np.testing.assert_allclose(theirs.transpose(*ours.dims).values, ours.values, rtol=1e-9)


@pytest.mark.parametrize(
    ("make", "off_in_three_years", "off_in_four_years"), [(walk, 0.02, 0.04), (step, 0.09, 0.14)]
)
def test_the_basis_reaches_any_path_only_with_two_functions_for_each_date(
    make: Any, off_in_three_years: float, off_in_four_years: float
) -> None:
    def largest_miss(n_dates: int, n_functions: int = N_FUNCTIONS) -> float:
        functions, _ = basis(n_dates, n_functions)
        path = make(n_dates, 1)
        found = path_of(coefficients_of(path, functions), functions)
        return float(np.max(np.abs(found - path / path.mean())))

    assert largest_miss(100) < 1e-9
    assert largest_miss(156) > off_in_three_years
    assert largest_miss(208) > off_in_four_years
    assert largest_miss(208, 416) < 1e-9


@pytest.mark.parametrize("dims", [("date", "channel"), ("date", "geo", "channel")])
def test_paths_of_their_own_need_a_path_for_each_channel(dims: tuple[str, ...]) -> None:
    from pymc_marketing.mmm.hsgp import SoftPlusHSGP

    config = configuration()
    config["channels"][0]["effect_path"] = "linear_drift"
    # Over these dates the mean of the path is not 1.
    ds = generate(config).isel(date=slice(None, 40))
    truth = to_pymc_truth(ds, model(ds, time_varying_media=True))
    for name in (MEDIA_PATH, "saturation_beta", "saturation_lam"):
        assert "the model shares it over channel" in no_single_truth(truth)[name]
    assert truth["saturation_beta"].isnull().all()
    assert truth["adstock_alpha"].notnull().all()

    process = SoftPlusHSGP(eta=1.0, ls=5.0, m=20, L=60.0, dims=dims)
    mmm = model(ds, time_varying_media=process)
    truth = to_pymc_truth(ds, mmm)
    assert truth[MEDIA_PATH].dims == dims
    assert all("_raw_" in name for name in no_single_truth(truth))
    np.testing.assert_allclose(truth[MEDIA_PATH].mean("date"), 1.0, rtol=1e-12)
    held = pm.do(mmm.model, {MEDIA_PATH: truth[MEDIA_PATH].values})
    draw = truth.drop_attrs().drop_vars(MEDIA_PATH).fillna(0.0)
    assert miss(sales(mmm, held, draw), ds) < 1e-9
