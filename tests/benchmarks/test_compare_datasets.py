"""The comparison of datasets before and after a change finds every bit that differs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from benchmarks import compare_datasets
from mmm_xgen.kernels.adstock import ADSTOCKS
from mmm_xgen.kernels.noise import NOISES
from mmm_xgen.kernels.patterns import PATTERNS
from mmm_xgen.kernels.saturation import SATURATIONS

SOME = ("preset basic 1", "plan frame 2025", "ensemble long seeds 4")


def changed(ds: xr.Dataset, **changes: object) -> dict[str, list[object]]:
    return compare_datasets.prints(lambda: ds.assign(changes))


def test_the_list_has_every_kind_in_many_datasets() -> None:
    names = list(compare_datasets.datasets())
    assert len(names) >= 428
    for what, registry in (
        ("adstock", ADSTOCKS),
        ("noise", NOISES),
        ("pattern", PATTERNS),
        ("saturation", SATURATIONS),
    ):
        assert all(f"{what} {kind} 1" in names for kind in registry)


@pytest.mark.parametrize("name", SOME)
def test_what_is_made_twice_does_not_differ(name: str) -> None:
    first, again = (compare_datasets.all_prints(name) for _ in range(2))
    assert list(first) == [name]
    assert not [*compare_datasets.differences(first, again)]


def test_the_last_bit_of_one_number_a_label_and_an_attribute_are_seen() -> None:
    ds = compare_datasets.datasets()["preset basic 1"]()
    before = {"it": changed(ds)}
    y = ds["y"].copy()
    y[3] = np.nextafter(y[3], np.inf)
    double = y.copy(data=2 * ds["y"].values)
    bit, twice = ({"it": changed(ds, y=each)} for each in (y, double))
    (rounding,), (change,) = (
        [*compare_datasets.differences(before, after)] for after in (bit, twice)
    )
    assert rounding.startswith("y differs in 1 datasets (it)")
    assert float(change.split("at most ")[1].split()[0]) == 0.5
    assert float(rounding.split("at most ")[1].split()[0]) < 1e-15
    renamed = {"it": changed(ds, geo=["other"])}
    assert next(compare_datasets.differences(before, renamed)).startswith("(attributes)")
    told = {"it": changed(ds.assign_attrs(seed=2))}
    assert next(compare_datasets.differences(before, told)).startswith("(attributes)")
    version = {"it": changed(ds.assign_attrs(mmm_xgen_version="9"))}
    assert not [*compare_datasets.differences(before, version)]
    assert [*compare_datasets.differences(before, {})] == ["it: not made any more"]


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, only = tmp_path / "before.json", ["--only", "preset basic *"]
    assert compare_datasets.main(["--out", str(out), *only]) == 0
    assert compare_datasets.main(["--against", str(out), *only]) == 0
    assert capsys.readouterr().out == "no difference\n"
    made = json.loads(out.read_text())
    assert len(made) == 5
    made["preset basic 1"]["mu"][0] = "another digest"
    out.write_text(json.dumps(made))
    assert compare_datasets.main(["--against", str(out), *only]) == 1
    assert "mu differs in 1 datasets (preset basic 1)" in capsys.readouterr().out
