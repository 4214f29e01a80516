"""Random streams addressed by name, so that two places never share random numbers."""

from __future__ import annotations

import functools
import hashlib

import numpy as np


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
    size = max(16, -(-int(seed).bit_length() // 32) * 4)
    words = np.frombuffer(int(seed).to_bytes(size, "little") + _spawn_key(path), dtype="<u4")
    sequence = np.random.SeedSequence(words.astype(np.uint32, copy=False))
    return np.random.Generator(np.random.PCG64(sequence))


# Thousands of datasets ask for the same places.
@functools.lru_cache(maxsize=4096)
def _spawn_key(path: tuple[str, ...]) -> bytes:
    # The length before each part keeps ("a", "bc") and ("ab", "c") apart.
    name = "".join(f"{len(part)}:{part}" for part in path)
    return hashlib.blake2b(name.encode(), digest_size=16).digest()
