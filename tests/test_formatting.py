"""Text of numbers: what is written says the number, wherever it is written."""

import io
import json
import math
import re
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmm_xgen.formatting.amounts import amount, ratio, share, short_number, signed, signed_share
from mmm_xgen.formatting.plain import plain
from mmm_xgen.formatting.progress import progress_bar
from mmm_xgen.formatting.words import count, listed
from mmm_xgen.kernels.calendar import period_word

UNITS = {"k": 1e3, "M": 1e6, "bn": 1e9, "tn": 1e12}
NUMBERS = st.floats(1e-9, 1e13)
SIGNS = st.sampled_from([-1, 1])


def read(text):
    """Number that a text says, the other way round and without the code that wrote it."""
    found = re.fullmatch(r"([+-]?[\d.,]+(?:e[+-]\d+)?)(k|M|bn|tn|%)?", text)
    assert found, text
    scale = 0.01 if found[2] == "%" else UNITS.get(found[2], 1.0)
    return float(found[1].replace(",", "")) * scale


@pytest.mark.parametrize(
    ("write", "figures"), [(amount, 4), (short_number, 3), (ratio, 3), (signed, 4)]
)
@given(size=NUMBERS, sign=SIGNS)
def test_numbers_keep_their_leading_figures(write, figures, size, sign):
    text = write(sign * size)
    assert read(text) == pytest.approx(sign * size, rel=0.51 * 10 ** (1 - figures), abs=1e-12)
    assert "e" not in text or size < 1e-4


@given(size=st.floats(1e-3, 90.0), sign=SIGNS)
def test_a_ratio_has_three_figures_however_small(size, sign):
    digits = ratio(sign * size).lstrip("-").replace(".", "").lstrip("0")
    assert len(digits) == 3


@given(size=st.floats(0, 50), sign=SIGNS)
def test_a_share_is_a_percentage_or_a_bound(size, sign):
    text = share(sign * size)
    if text.startswith("<"):
        assert 0 < size < 1e-4
        return
    assert read(text) == pytest.approx(sign * size, abs=0.00051 if size >= 0.01 else 0.000051)
    assert (text == "0%") == (size < 1e-12)


@given(size=st.floats(0, 50), sign=SIGNS)
def test_a_change_has_its_sign_unless_nothing_is_left_of_it(size, sign):
    text = signed_share(sign * size)
    assert (text == "0%") or text[0] == ("+" if sign > 0 else "-")
    assert read(text) == pytest.approx(sign * size, abs=0.00051)


@pytest.mark.parametrize("write", [amount, ratio, share, short_number, signed, signed_share])
def test_what_is_no_number_is_a_dash(write):
    assert write(math.nan) == "-"
    assert write(-math.inf) == "-inf"


def test_counts_lists_and_periods():
    assert [count(n, "row") for n in (0, 1, 12_000)] == ["0 rows", "1 row", "12,000 rows"]
    assert listed("abcde", 3) == "a, b, c and 2 more"
    assert listed([], 3) == ""
    assert [period_word(f) for f in ("D", "W-MON", "QS-OCT", "3D")] == [
        "day", "week", "quarter", "period",
    ]  # fmt: skip


def test_plain_values_survive_json_and_are_never_nan():
    value = {
        1: np.float32(0.5),
        "nested": [{"a": np.array([[1.0, np.nan], [np.inf, 2.0]])}, (np.bool_(True), None)],
        "text": np.str_("a"),
        "count": np.int64(2**40),
    }
    expected = {
        "1": 0.5,
        "nested": [{"a": [[1.0, None], [None, 2.0]]}, [True, None]],
        "text": "a",
        "count": 2**40,
    }
    assert json.loads(json.dumps(plain(value), allow_nan=False)) == expected


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_is_drawn_on_a_terminal_and_escapes_names(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr(sys, "stderr", Terminal())
    with progress_bar("datasets", 10, done=2, estimate=True) as advance:
        advance(3)
        advance(what="[red]a\x07", left="0:10 left")
    shown = sys.stderr.getvalue()
    assert "6/10" in shown
    assert r"[red]a\x07" in shown
    assert "0:10 left" in shown


@pytest.mark.parametrize(("stream", "wanted"), [(io.StringIO, True), (Terminal, False)])
def test_progress_is_silent_elsewhere(stream, wanted, monkeypatch):
    monkeypatch.setattr(sys, "stderr", stream())
    with progress_bar("datasets", 10, wanted=wanted) as advance:
        advance(3, what="a", left="b")
    assert sys.stderr.getvalue() == ""
