"""The benchmarks run, on small sizes, so that they cannot rot."""

from __future__ import annotations

import mmm_xgen
from benchmarks import __main__ as command
from benchmarks import generation
from benchmarks.timing import Figure, paired


def test_a_floor_and_a_generation_of_the_same_size_are_paired() -> None:
    config = generation.sized_config(20, 2, 3)
    assert dict(generation.generate(config)["spend"].sizes) == {"date": 20, "geo": 2, "channel": 3}
    assert generation.floor(20, 2, 3)().size == 120  # type: ignore[attr-defined]
    figure = paired(
        "small", lambda: generation.generate(config), generation.floor(20, 2, 3), runs=2
    )
    assert figure.seconds > 0
    assert figure.ratio == figure.seconds / figure.floor


def test_memory_is_counted_in_arrays() -> None:
    assert 1 < generation.peak_memory(200, 40, 30) < 12


def test_the_table_shows_every_figure() -> None:
    table = command.table([Figure("one", 1.0, 0.5, 6), Figure("two", 1.0, 0.5, None)])
    assert table.row_count == 2
    assert list(table.columns[3].cells) == ["2.00", "2.00"]


def test_the_oracle_s_figures_are_calls_of_the_accessor() -> None:
    ds = mmm_xgen.generate_mmm_dataset()
    names = ("estimands", "response_curve", "optimize_allocation", "information_bound")
    assert all(callable(getattr(ds.mmm, name)) for name in names)
