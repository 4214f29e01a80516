"""Fixtures that the tests of truth share; datasets are not changed in place."""

import pytest
import xarray as xr

from tests.truth.worlds import world


@pytest.fixture(scope="session")
def ds() -> xr.Dataset:
    return world()
