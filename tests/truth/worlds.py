"""Worlds that the tests of truth share, and the same worlds generated with other spend."""

from __future__ import annotations

import importlib
from functools import cache
from importlib.metadata import version
from typing import Any

import numpy as np
import xarray as xr

import mmm_xgen as m
from mmm_xgen import ChannelConfig, MMMDataConfig, RegionConfig
from mmm_xgen.kernels.saturation import SATURATIONS
from mmm_xgen.truth.what_if.counterfactual import window_periods
from tests.strategies import quietly, regenerated

ADSTOCKS = ["geometric_adstock", "weibull_adstock", "delayed_adstock", "no_adstock"]
BOTH = ("geo", "channel")
# The generation of PyMC-Marketing that this interpreter has.
NEWER = int(version("pymc-marketing").split(".")[0]) >= 1


def assert_near(found: Any, wanted: Any, tolerance: float = 1e-9, size: float = 0.0) -> None:
    """Equality relative to the value, and to `size` where sums cancel."""
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance * size)


@cache
def world(adstock_first: bool = True) -> xr.Dataset:
    """All curves, four adstocks, a burn-in, three unlike geos, prices that change."""
    channels = [
        ChannelConfig(
            name=f"channel {i}",
            base_spend=1000.0,
            spend_volatility=0.4,
            base_effectiveness=0.05,
            saturation_fun=saturation,
            adstock_fun=ADSTOCKS[i % 4],
            adstock_kwargs={"type": "CDF", "l_max": 6} if i % 4 == 1 else {},
        )
        for i, saturation in enumerate(SATURATIONS)
    ]
    config = MMMDataConfig(
        n_periods=60,
        start_date="2022-01-03",
        burn_in_periods=5,
        channels=channels,
        regions=RegionConfig(
            region_names=["a", "b", "c"], similarity=0.7, population=[3e6, 1e6, 2e6]
        ),
        transforms={"spend_unit": "base_spend", "adstock_first": adstock_first},
    )
    ds = quietly(lambda: m.generate_mmm_dataset(config))
    prices = np.random.default_rng(0).uniform(1.0, 5.0, ds["revenue_per_kpi"].shape)
    return ds.assign(revenue_per_kpi=ds["revenue_per_kpi"].copy(data=prices))


@cache
def remade(
    adstock_first: bool, window: Any = None, factor: float = 1.0, history: float = 1.0
) -> xr.DataArray:
    """Contributions where the spend of a window, and that of history, is a multiple of today's.

    They last until all carry-over is used up.
    """
    ds = world(adstock_first)
    inside = xr.zeros_like(ds["date"], dtype=bool)
    inside[window_periods(ds, window)] = True
    plan = ds["spend"].where(~inside, factor * ds["spend"])
    after = int(ds["l_max"].max()) - 1
    return regenerated(ds, plan, history, after)["channel_contribution"]


def pymc_marketing_model(ds: xr.Dataset, *, l_max: int) -> Any:
    """Geo model of PyMC-Marketing, built on a Dataset of geometric adstock and Hill curves."""
    import pymc_marketing.mmm as components

    from mmm_xgen.export.pymc_marketing import model_inputs

    # The newer generation warns where the older one has its only multidimensional model.
    module = "pymc_marketing.mmm.mmm" if NEWER else "pymc_marketing.mmm.multidimensional"
    mmm = importlib.import_module(module).MMM(
        date_column="date",
        target_column="y",
        channel_columns=list(ds["channel_column"].values),
        dims=("geo",),
        adstock=components.GeometricAdstock(l_max=l_max),
        saturation=components.HillSaturation(),
    )
    mmm.build_model(*model_inputs(ds))
    return mmm
