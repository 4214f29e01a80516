"""Golden values: what a preset or a named world makes must not drift unnoticed.

They may change only when (a) a preset's YAML changes, (b) the meaning of a setting changes, or
(c) the way of drawing changes; each is a breaking change, belongs in CHANGELOG.md, and raises
the schema version or the version of the package. To accept one on purpose:

    python -m tests.test_golden
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

import mmm_xgen
from mmm_xgen.streams import stream

# The kernel of reference_notebook is cut where the notebook cut it, and says so.
pytestmark = pytest.mark.filterwarnings("ignore::mmm_xgen.XgenWarning")

GOLDEN = Path(__file__).parent / "golden" / "presets.json"
SEEDS = (1, 2025)
PRESETS = tuple(mmm_xgen.list_available_presets())
GOLDEN_WORLDS = GOLDEN.with_name("worlds.json")
WORLDS = tuple(mmm_xgen.list_available_worlds())
PLACES = (("spend", "TV"), ("parameters", "TV"), ("baseline",), ("noise",), ("control", "Price"))


def raw_draws() -> dict[str, str]:
    """Digest of the first draws of named streams: these must stay equal to the bit."""
    digests = {}
    for seed in SEEDS:
        for place in PLACES:
            rng = stream(seed, *place)
            draws = np.concatenate([rng.standard_normal(100), rng.random(100)])
            digest = hashlib.sha256(draws.astype("<f8").tobytes()).hexdigest()
            digests[f"{seed} {' / '.join(place)}"] = digest
    return digests


def summary(name: str, seed: int) -> dict[str, list[float]]:
    """Sum, and sum weighted by position, of every number a dataset holds."""
    ds = mmm_xgen.generate_mmm_dataset(mmm_xgen.get_preset_config(name, seed=seed))
    values = {}
    for variable in sorted(map(str, ds.data_vars)):
        cells = np.nan_to_num(ds[variable].to_numpy().astype(float), posinf=1e6, neginf=-1e6)
        # Weights that do not repeat make the order of the cells count.
        weights = 1 + np.modf(np.arange(1, cells.size + 1) * 0.6180339887498949)[0]
        values[variable] = [float(np.abs(cells).sum()), float(np.abs(cells).ravel() @ weights)]
    return values


def golden() -> dict[str, object]:
    presets = {f"{name} {seed}": summary(name, seed) for name in PRESETS for seed in SEEDS}
    return {"raw_draws": raw_draws(), "presets": presets}


def test_raw_draws_are_the_same_to_the_bit() -> None:
    assert raw_draws() == json.loads(GOLDEN.read_text())["raw_draws"]


def assert_same(found: dict[str, list[float]], expected: dict[str, list[float]]) -> None:
    assert list(found) == list(expected)
    for variable, values in expected.items():
        np.testing.assert_allclose(found[variable], values, rtol=1e-9, err_msg=variable)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_makes_what_it_made(name: str, seed: int) -> None:
    expected = json.loads(GOLDEN.read_text())["presets"][f"{name} {seed}"]
    assert_same(summary(name, seed), expected)


@pytest.mark.parametrize("name", WORLDS)
def test_a_world_makes_what_it_made(name: str) -> None:
    assert_same(summary(name, SEEDS[0]), json.loads(GOLDEN_WORLDS.read_text())[name])


def test_every_world_has_golden_values() -> None:
    assert tuple(json.loads(GOLDEN_WORLDS.read_text())) == WORLDS


if __name__ == "__main__":
    GOLDEN.parent.mkdir(exist_ok=True)
    GOLDEN.write_text(json.dumps(golden(), indent=1) + "\n")
    lines = (f'"{name}": {json.dumps(summary(name, SEEDS[0]))}' for name in WORLDS)
    GOLDEN_WORLDS.write_text("{\n" + ",\n".join(lines) + "\n}\n")
