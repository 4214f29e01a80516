"""The search for channels that move alike finds the same, however its products are cut."""

from __future__ import annotations

import numpy as np
import pytest

from mmm_xgen.generation import plausibility


@pytest.mark.parametrize("limit", [1, 60, 2**18])
def test_inner_products_of_all_pairs(monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    monkeypatch.setattr(plausibility, "IN_ONE_THREAD", limit)
    rows = np.random.default_rng(0).standard_normal((2, 5, 33))
    found = plausibility.inner_products(rows, rows)
    np.testing.assert_allclose(found, np.einsum("dcn,den->dce", rows, rows), rtol=1e-12)


def test_twins_are_found_over_all_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    # Half of the dates say that the first two channels are twins; the other half that none are.
    monkeypatch.setattr(plausibility, "IN_ONE_THREAD", 90)
    spend = np.random.default_rng(0).uniform(1, 2, (1, 3, 1, 40))
    names = np.array(["a", "b", "c"])
    spend[:, 1, :, :20] = spend[:, 0, :, :20]
    assert not plausibility._twins(names, spend)[0]
    spend[:, 1] = spend[:, 0]
    found, say = plausibility._twins(names, spend)
    assert found
    assert "'a' and 'b' correlates 1.000" in say(0)
