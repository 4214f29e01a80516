"""The benchmarks run, on small sizes, so that they cannot rot."""

from __future__ import annotations

import time
from math import prod
from pathlib import Path

import pytest

import mmm_xgen
from benchmarks import __main__ as command
from benchmarks import generation, roofline
from benchmarks.bench_ensemble import places_of
from benchmarks.timing import Figure, busy_core, in_process, paired, processor_time_of_children


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


FIGURES = [
    Figure("one", 1.0, 0.5, 6).making(10, 30),
    Figure("two", 1.0, 0.5),
    Figure("three", 300.0, 100.0, 2, unit="MB"),
]


def test_the_table_shows_every_figure() -> None:
    table = command.table(FIGURES)
    assert table.row_count == 3
    assert list(table.columns[3].cells) == ["2.00", "2.00", "3.00 (above)"]
    assert list(table.columns[6].cells) == ["300", "", ""]


def test_the_table_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "SUITE", {"some": lambda: FIGURES, "none": lambda: []})
    out = tmp_path / "results.md"
    assert command.main(["--out", str(out)]) == 0
    assert "| three | 300 MB | 100 MB | 3.00 (above) | 2 |  |  |" in out.read_text()
    assert command.main(["--strict", "none"]) == 0
    assert command.main(["--strict", "some"]) == 1
    with pytest.raises(SystemExit):
        command.main(["nothing"])


def test_the_figures_of_generation_run() -> None:
    assert generation.preset("basic", runs=1).cells == 52 * 3
    assert generation.memory(100, 20, 5).unit == "MB"


def test_figures_alone_and_beside_a_busy_core() -> None:
    alone, beside = (generation.labels("basic", busy=busy, runs=2) for busy in (False, True))
    assert alone.name.endswith("CPU time alone")
    assert beside.name.endswith("CPU time beside a busy core")
    assert min(alone.ratio, beside.ratio) > 0
    wall = generation.large(busy=False, clock=time.perf_counter, limit=4, runs=1)
    assert (wall.limit, "wall time alone" in wall.name) == (4, True)


def test_a_busy_core_is_kept_busy_and_left_alone_after() -> None:
    before = processor_time_of_children()
    with busy_core():
        time.sleep(0.2)
    # The time of a child is known once it has ended.
    assert processor_time_of_children() - before > 0.01


def test_the_check_of_contributions_is_measured() -> None:
    roas, check = generation.check_of_contributions("basic", runs=2)
    assert roas.ratio > 1
    assert check.limit == 1


def test_the_processor_time_of_a_process_is_counted() -> None:
    # The idle one works for a little, since clocks of the processor go in steps.
    rests = "import time; sum(range(10**6)); time.sleep(0.3)"
    busy, idle = (in_process(code) for code in ("sum(range(10**7))", rests))
    assert paired("", busy, idle, runs=1, clock=processor_time_of_children).ratio > 1


# --- where the time goes


@pytest.mark.parametrize("preset", ["basic", "medium_business"])
def test_the_roofline_has_every_stage(preset: str) -> None:
    config = mmm_xgen.get_preset_config(preset)
    work, seconds = roofline.work_of(config), roofline.measured_stages(config, runs=1)
    assert list(seconds) == list(work)
    assert all(took >= 0 for took in seconds.values())
    drawn = sum(prod(shape) for _, _, shape in places_of(config))
    assert sum(each.normal + each.uniform for each in work.values()) == drawn


def test_a_bound_is_what_the_rates_make_of_the_work() -> None:
    rates = roofline.Rates(byte=1, normal=10, uniform=5, stream=100, exp=40, pow=50, log=60)
    assert roofline.Work(bytes=64, normal=2, stream=1).bound(rates) == 64 + 20 + 100
    # A pass that takes an exponential reads and writes 16 bytes, which wait for it.
    assert roofline.Work(bytes=64, exp=2).bound(rates) == 32 + 80


def test_the_page_of_the_roofline(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    roofline.main(["basic", "--runs", "1", "--out", str(tmp_path / "page.md")])
    text = (tmp_path / "page.md").read_text()
    assert text in capsys.readouterr().out
    assert "| all |" in text


def test_the_oracle_s_figures_are_calls_of_the_accessor() -> None:
    ds = mmm_xgen.generate_mmm_dataset()
    names = ("estimands", "response_curve", "optimize_allocation", "information_bound")
    assert all(callable(getattr(ds.mmm, name)) for name in names)
