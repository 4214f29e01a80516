"""Ways on which spend reaches sales, against worlds in which a way is cut by its strength."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import xarray as xr

import mmm_xgen as m
from mmm_xgen.labelled_world import total_response
from mmm_xgen.truth import effect_paths
from mmm_xgen.truth.returns.incremental import incremental_contribution
from tests.truth.worlds import assert_near

CHAIN = [
    {"source": "A", "target": "B", "strength": 0.5, "lag": 1},
    {"source": "A", "target": "C", "strength": 0.3},
    {"source": "B", "target": "C", "strength": 0.4},
    {"source": "C", "target": "D", "strength": 0.6, "paid": True},
]
MOVING = {"effect_path": {"kind": "linear_drift"}, "pull_forward": {"share": 0.4}}


def made(**config: Any) -> xr.Dataset:
    channels = [
        {"name": name, "base_spend": 900.0, "base_effectiveness": 0.1, **(MOVING if at < 2 else {})}
        for at, name in enumerate("ABCD")
    ]
    settings = {"n_periods": 40, "seed": 4, "burn_in_periods": 3, "regions": {"n_regions": 2}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", m.XgenWarning)
        return m.generate_mmm_dataset({"channels": channels, **settings, **config})


def sales(ds: xr.Dataset, off: str, **parameters: xr.DataArray) -> float:
    """Sales of media without a channel, under changed parameters."""
    spend, past = (ds[name].where(ds["channel"] != off, 0.0) for name in ("spend", "spend_history"))
    return float(total_response(spend, ds.assign(parameters), history=past).sum())


def test_ways_add_up_and_the_total_is_what_is_lost() -> None:
    both = {
        "interactions": [{"channels": ["A", "C"], "strength": -0.05}],
        "mediators": [{"name": "Aware", "parents": {"A": 0.4, "B": 0.3}, "effect": 0.1}],
    }
    ds = made(funnels=CHAIN, **both)
    for window in (None, ("2022-03", "2022-05")):
        paths = effect_paths(ds, window=window)
        ways = paths["direct"] + paths["through_funnel"].sum("funnel")
        ways = ways + paths["through_mediator"].sum("mediator")
        assert_near(ways, paths["total"])
        lost = incremental_contribution(ds)
        inside = lost.sel(date=slice(*window)) if window else lost
        assert_near(paths["total"], inside.sum(("date", "geo")))
    # A paid funnel works through spend, which is held.
    assert not paths["through_funnel"].sel(funnel=paths["funnel"][3]).any()
    starts = [each["source"] for each in CHAIN]
    for position, source in enumerate(starts):
        others = paths["through_funnel"][:, position].drop_sel(channel=source)
        assert not others.any()


def test_a_channel_sells_its_own_contribution_directly() -> None:
    """Also where it borrows sales, and its effect moves: funnels answer to its curve."""
    ds = made(funnels=CHAIN)
    paths = effect_paths(ds)
    own = ds["channel_contribution"].sum(("date", "geo"))
    # What A adds to B and C is theirs; without A they keep it in the direct part.
    assert_near(paths["direct"], own)
    raised = paths["through_funnel"].sum("funnel")
    assert (raised.sel(channel=["A", "B"]) > 0.01 * own.sel(channel=["A", "B"])).all()
    assert not raised.sel(channel=["C", "D"]).any()


def test_a_way_through_a_funnel_is_what_the_last_cut_loses() -> None:
    """The last funnel of a channel, after its first is cut: a world without that strength."""
    ds = made(funnels=CHAIN)
    paths = effect_paths(ds)
    label = {"funnel": ds["funnel"][2]}
    cut = ds["funnel_strength"].where(ds["funnel"] != ds["funnel"][2], 0.0)
    # B has one funnel. Its own sales go in both worlds.
    own = float(ds["channel_contribution"].sel(channel="B").sum())
    today = float(total_response(ds["spend"], ds).sum())
    without_way = float(total_response(ds["spend"], ds.assign(funnel_strength=cut)).sum())
    through = float(paths["through_funnel"].sel(channel="B", **label))
    assert_near(through, today - without_way)
    assert_near(today - sales(ds, "B"), own + through)


def test_without_funnels_all_is_direct() -> None:
    paths = effect_paths(made())
    assert_near(paths["direct"], paths["total"])
    assert set(paths.data_vars) == {"direct", "total", "through_funnel", "through_mediator"}
    assert np.size(paths["through_funnel"]) == 0
