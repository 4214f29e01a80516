"""Settings that all tests share."""

import gc
import os
import sys
from collections.abc import Iterator

# Before anything imports matplotlib: no test opens a window.
os.environ["MPLBACKEND"] = "Agg"

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes depends on the machine and on what else it runs, so that neither
# a deadline nor the check for slow data may fail a test.
settings.register_profile(
    "default",
    max_examples=25,
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[
        HealthCheck.data_too_large,
        HealthCheck.filter_too_much,
        HealthCheck.too_slow,
    ],
)
# `make test-slow` draws other examples each time.
settings.register_profile(
    "thorough", settings.get_profile("default"), max_examples=500, derandomize=False
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def pytest_collection_finish() -> None:
    # What was imported and collected stays to the end: every full collection would go through it.
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def no_waiting_for_disks() -> Iterator[None]:
    """No test cuts the power, and each write that waits for the disk takes milliseconds."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "fsync", lambda number: None)
        yield


@pytest.fixture(autouse=True)
def close_figures() -> Iterator[None]:
    """Close the figures that a test leaves open, as matplotlib warns about too many."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
