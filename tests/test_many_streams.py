"""Streams of many seeds at once are those of each seed alone, to the last bit."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmm_xgen.streams import MANY, seed_sequence_state, stream, streams

EDGES = (0, 1, 2**31, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 2**64 - 1)
MORE = tuple(np.random.default_rng(0).integers(2**63, size=200).tolist())


def words_of(number: int, at_least: int = 0) -> list[int]:
    """Words of 32 bits of a number, the lowest first."""
    count = max(at_least, -(-number.bit_length() // 32))
    return [number >> 32 * k & 0xFFFFFFFF for k in range(count)]


@pytest.mark.parametrize("path", [("spend", "TV"), ("parameters", "x" * 200), ()])
@pytest.mark.parametrize("seeds", [EDGES + MORE, MORE[:MANY], MORE[: MANY - 1], EDGES[:1], ()])
def test_each_is_the_stream_of_its_seed(seeds: tuple[int, ...], path: tuple[str, ...]) -> None:
    for seed, rng in zip(seeds, streams(seeds, [path]), strict=True):
        alone = stream(seed, *path)
        assert rng.bit_generator.state == alone.bit_generator.state
        for draw in ("random", "standard_normal"):
            assert getattr(rng, draw)() == getattr(alone, draw)()
        assert rng.integers(2**31, dtype=np.uint32) == alone.integers(2**31, dtype=np.uint32)


@pytest.mark.parametrize("seed", [0, 2**32 - 1, 2**32, 2**127, 2**128, 2**200 + 5])
def test_a_stream_is_that_of_the_seed_and_the_spawn_key(seed: int) -> None:
    digest = hashlib.blake2b(b"5:spend2:TV", digest_size=16).digest()
    key = tuple(np.frombuffer(digest, dtype="<u4").tolist())
    plain = np.random.PCG64(np.random.SeedSequence(entropy=seed, spawn_key=key))
    assert stream(seed, "spend", "TV").bit_generator.state == plain.state


def test_seeds_of_any_length_are_streams_too() -> None:
    seeds = (*EDGES, *MORE[:MANY], 2**64, 2**128 - 1, 2**128, 2**300 + 7)
    for seed, rng in zip(seeds, streams(seeds, [("noise",)]), strict=True):
        assert rng.bit_generator.state == stream(seed, "noise").bit_generator.state


@given(
    entropies=st.lists(st.integers(0, 2**200), min_size=1, max_size=5),
    spawn_key=st.lists(st.integers(0, 2**32 - 1), max_size=6),
    n_words=st.integers(1, 6).map(lambda half: 2 * half),
)
def test_the_state_is_the_one_of_numpy(
    entropies: list[int], spawn_key: list[int], n_words: int
) -> None:
    # NumPy fills an entropy that has a spawn key up to its pool of four words.
    longest = max(4, *(len(words_of(each)) for each in entropies))
    same = [each for each in entropies if len(words_of(each, 4)) == longest]
    columns = [[*words_of(each, longest), *spawn_key] for each in same]
    entropy = np.array(columns, dtype=np.uint32).T
    made = seed_sequence_state(entropy, n_words)
    for each, found in zip(same, made, strict=True):
        sequence = np.random.SeedSequence(each, spawn_key=tuple(spawn_key))
        np.testing.assert_array_equal(found, sequence.generate_state(n_words // 2, np.uint64))


def test_a_stream_of_many_draws_what_it_draws_alone() -> None:
    paths = [("spend", "TV"), ("noise",), ("spend", "Radio")]
    made = [rng.standard_normal((3, 4)) for rng in streams(MORE, paths)]
    alone = [stream(seed, *path).standard_normal((3, 4)) for seed in MORE for path in paths]
    np.testing.assert_array_equal(made, alone)
