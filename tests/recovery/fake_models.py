"""Models that cost nothing, for tests of studies; workers import this module."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import xarray as xr

from mmm_xgen.recovery.fit import MODELS, Fit, FitSettings, register_model
from mmm_xgen.streams import stream
from mmm_xgen.truth.returns.roas import roas


def instant(ds: xr.Dataset, settings: FitSettings) -> Fit:
    """ROAS near the truth, with draws of its own seed."""
    truth = roas(ds)
    noise = stream(settings.seed, "fake").normal(0, 0.1, (2, 50, truth.size))
    draws = truth.reset_coords(drop=True) * xr.DataArray(
        np.exp(noise), dims=("chain", "draw", "channel")
    )
    return Fit(
        estimates=draws.to_dataset(name="roas"),
        diagnostics={"rhat_max": 1.0, "divergences": 0.0, "ess_bulk_min": 100.0},
        timings={"sample": 0.5, "total": 1.0},
    )


def failing(ds: xr.Dataset, settings: FitSettings) -> Fit:
    """Fails on odd seeds of the data."""
    if int(ds.attrs["seed"]) % 2:
        raise FloatingPointError("bad initial energy")
    return instant(ds, settings)


def sleeping(ds: xr.Dataset, settings: FitSettings) -> Fit:
    """Takes a fifth of a second."""
    time.sleep(0.2)
    return instant(ds, settings)


def endless(ds: xr.Dataset, settings: FitSettings) -> Fit:
    """Never ends, nor does the child that it starts; tells the child's number."""
    import subprocess
    import sys

    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    Path(os.environ["FAKE_CHILD"]).write_text(str(child.pid), encoding="ascii")
    time.sleep(60)
    return instant(ds, settings)


def dying(ds: xr.Dataset, settings: FitSettings) -> Fit:
    """Takes its process with it, as a lack of memory does."""
    os.kill(os.getpid(), 9)
    return instant(ds, settings)


def unconverged(ds: xr.Dataset, settings: FitSettings) -> Fit:
    """Far off, and says that it did not converge."""
    fit = instant(ds, settings)
    return Fit(estimates=3 * fit.estimates, diagnostics={"rhat_max": 1.3, "divergences": 7.0})


FAKES = {
    "fake-instant": instant,
    "fake-failing": failing,
    "fake-sleeping": sleeping,
    "fake-endless": endless,
    "fake-dying": dying,
    "fake-unconverged": unconverged,
}
for _name, _model in FAKES.items():
    if _name not in MODELS:
        register_model(_name)(_model)
