"""Random streams addressed by name, so that two places never share random numbers."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.random.bit_generator import ISeedSequence
from numpy.typing import NDArray

Words = NDArray[np.uint32]

# Streams from which on hashing all of them at once is faster than one by one.
MANY = 16
# Constants of NumPy's SeedSequence.
POOL = 4
INIT_A, MULT_A = 0x43B0D7E5, 0x931E8875
INIT_B, MULT_B = 0x8B51F9DD, 0x58F38DED
MIX_LEFT, MIX_RIGHT = np.uint32(0xCA01F9DD), np.uint32(0x4973F715)
HALF_WORD = np.uint32(16)


def stream(seed: int, *path: str) -> np.random.Generator:
    """Return the random stream of one named place under one seed.

    The path is hashed into the spawn key of a `numpy.random.SeedSequence` [1]_. Streams of
    different paths or seeds are independent, and no stream depends on which others exist.

    Parameters
    ----------
    seed : int
        Seed of the dataset.
    *path : str
        Name of the place, such as ``("spend", "TV")``.

    Returns
    -------
    numpy.random.Generator
        New generator. Draw from it once: with a second draw, the numbers of one geo would
        depend on the number of geos.

    References
    ----------
    .. [1] NumPy, "Parallel random number generation", section on `SeedSequence` spawning.

    Examples
    --------
    >>> stream(1, "spend", "TV").normal() == stream(1, "spend", "TV").normal()
    True
    >>> stream(1, "spend", "TV").normal() == stream(1, "spend", "Radio").normal()
    False
    """
    # What SeedSequence(entropy=seed, spawn_key=words of the hash) makes of the two: the words of
    # the seed, filled up to its pool of four, then those of the key. As one array they cost a
    # third of it.
    size = max(4 * POOL, -(-int(seed).bit_length() // 32) * 4)
    words = np.frombuffer(int(seed).to_bytes(size, "little") + _spawn_key(path), dtype="<u4")
    sequence = np.random.SeedSequence(words.astype(np.uint32, copy=False))
    return np.random.Generator(np.random.PCG64(sequence))


def streams(
    seeds: Sequence[int], paths: Sequence[tuple[str, ...]]
) -> Iterator[np.random.Generator]:
    """Random streams of named places under many seeds, each as `stream` makes it.

    Parameters
    ----------
    seeds : sequence of int
        Seed of every dataset.
    paths : sequence of tuple of str
        Name of every place.

    Yields
    ------
    numpy.random.Generator
        Those of every place under the first seed, then those under the next seed.

    Examples
    --------
    >>> [rng.normal() for rng in streams([1, 2], [("noise",)])] == [
    ...     stream(1, "noise").normal(), stream(2, "noise").normal()
    ... ]
    True
    """
    if len(seeds) * len(paths) < MANY or max(seeds) >= 2**64:
        yield from (stream(seed, *path) for seed in seeds for path in paths)
        return
    numbers = np.array(seeds, dtype=np.uint64)
    keys = np.frombuffer(b"".join(map(_spawn_key, paths)), dtype="<u4").reshape(-1, POOL)
    entropy = np.zeros((2 * POOL, len(seeds), len(paths)), dtype=np.uint32)
    entropy[0] = (numbers & np.uint64(2**32 - 1))[:, None]
    entropy[1] = (numbers >> np.uint64(32))[:, None]
    entropy[POOL:] = keys.T[:, None]
    for state in seed_sequence_state(entropy.reshape(2 * POOL, -1), 2 * POOL):
        # NumPy takes any ISeedSequence; its annotation names the usual one only.
        generator = np.random.PCG64(_Generated(state))  # type: ignore[arg-type]
        yield np.random.Generator(generator)


class _Generated(ISeedSequence):
    """Seed sequence whose state is generated already; it cannot spawn others."""

    def __init__(self, state: NDArray[np.uint64]) -> None:
        self.state = state

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> NDArray[Any]:
        """Return the state, which is all that a bit generator asks for."""
        return self.state


def seed_sequence_state(entropy: Words, n_words: int) -> NDArray[np.uint64]:
    """State that `numpy.random.SeedSequence` generates, for many sequences at once.

    Parameters
    ----------
    entropy : array of uint32, dims (word, sequence)
        Words of the entropy and the spawn key, at least as many as the pool has.
    n_words : int
        Number of words of 32 bits to generate.

    Returns
    -------
    array of uint64, dims (sequence, n_words // 2)

    References
    ----------
    NumPy, ``numpy/random/bit_generator.pyx``; O'Neill, "Developing a seed_seq alternative", 2015.

    Examples
    --------
    >>> entropy = np.array([[7], [0], [0], [0]], dtype=np.uint32)
    >>> seed_sequence_state(entropy, 4)[0] == np.random.SeedSequence(7).generate_state(2, np.uint64)
    array([ True,  True])
    """
    # Each word is hashed with constants of its own, so that all that are hashed in a row can be
    # hashed at once.
    constants = _powers(INIT_A, MULT_A, POOL * len(entropy) + 1)
    pool = _hashed(entropy[:POOL], constants[: POOL + 1])
    used = POOL
    for source in range(POOL):
        others = [target for target in range(POOL) if target != source]
        own = constants[used : used + POOL]
        pool[others] = _mixed(pool[others], _hashed(pool[source], own))
        used += POOL - 1
    for words in entropy[POOL:]:
        pool = _mixed(pool, _hashed(words, constants[used : used + POOL + 1]))
        used += POOL
    repeated = np.resize(pool, (n_words, pool.shape[1]))
    generated = _hashed(repeated, _powers(INIT_B, MULT_B, n_words + 1)).astype(np.uint64)
    return np.ascontiguousarray((generated[0::2] | generated[1::2] << np.uint64(32)).T)


def _hashed(words: Words, constants: Words) -> Words:
    """Hash one word, or each of several, with each of the constants but the last."""
    hashed = (words ^ constants[:-1]) * constants[1:]
    return np.asarray(hashed ^ hashed >> HALF_WORD)


def _mixed(pool: Words, hashed: Words) -> Words:
    mixed = MIX_LEFT * pool - MIX_RIGHT * hashed
    return np.asarray(mixed ^ mixed >> HALF_WORD)


@functools.cache
def _powers(first: int, factor: int, count: int) -> Words:
    """Constants of consecutive hashes, dims (constant, 1)."""
    numbers = [first * pow(factor, k, 2**32) % 2**32 for k in range(count)]
    return np.array(numbers, dtype=np.uint32)[:, None]


# Thousands of datasets ask for the same places.
@functools.lru_cache(maxsize=4096)
def _spawn_key(path: tuple[str, ...]) -> bytes:
    # The length before each part keeps ("a", "bc") and ("ab", "c") apart.
    name = "".join(f"{len(part)}:{part}" for part in path)
    return hashlib.blake2b(name.encode(), digest_size=16).digest()
