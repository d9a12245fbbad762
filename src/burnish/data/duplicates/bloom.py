"""Bloom filter: which keys may have been seen before, in a fixed number of bits a key."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from burnish.data.kernel.jit import compiled
from burnish.errors import RecipeError


class Bloom:
    """Remember 128-bit keys; never forget one, and take a new one for seen with a stated probability.

    The probability holds once `num_keys` different keys are in; before, it is smaller. A key's bits follow from its
    two halves, which must be spread evenly (hashes), as first + i x second.

    Source: Bloom 1970, doi:10.1145/362686.362692; Kirsch & Mitzenmacher 2006, doi:10.1007/11841036_42 (two
    hashes serve as well as many).
    """

    def __init__(self, num_keys: int, false_positive_frac: float) -> None:
        if not 0 < false_positive_frac < 1:
            raise RecipeError(f"false_positive_frac is {false_positive_frac}; it must be above 0 and below 1")
        self.num_hashes = max(1, round(-math.log2(false_positive_frac)))
        num_bits = math.ceil(
            -max(1, num_keys) * self.num_hashes / math.log1p(-(false_positive_frac ** (1 / self.num_hashes)))
        )
        self._words = np.zeros(num_bits // 64 + 1, np.uint64)

    @property
    def num_bytes(self) -> int:
        """Give the memory that it takes."""
        return self._words.nbytes

    def add(self, keys: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Add keys, (N, 2), one after another; tell of each whether it may have been there before, (N,)."""
        found: NDArray[np.bool_] = _add(self._words, np.ascontiguousarray(keys), self.num_hashes)
        return found


@compiled()
def _add(words: Any, keys: Any, num_hashes: int) -> Any:
    found = np.ones(len(keys), np.bool_)
    num_bits = np.uint64(64 * len(words))
    for row in range(len(keys)):
        place, step = keys[row, 0], keys[row, 1] | np.uint64(1)
        for _ in range(num_hashes):
            bit = place % num_bits
            mask = np.uint64(1) << (bit & np.uint64(63))
            word = np.int64(bit >> np.uint64(6))
            if words[word] & mask == 0:
                found[row] = False
                words[word] |= mask
            place += step
    return found
