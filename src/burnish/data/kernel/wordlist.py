"""Word list: the function words that the kernel knows, found by hash."""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from burnish.data.function_words import chinese_characters, english_words
from burnish.data.kernel.hashing import mix
from burnish.data.kernel.jit import compiled

FUNCTION, ENGLISH = 1, 2

_SIZE = 1024
# Words that make up a fifth of English prose and, together, of no other language's.
_ENGLISH_ONLY = (
    "the",
    "of",
    "and",
    "to",
    "is",
    "that",
    "with",
    "are",
    "be",
    "this",
    "which",
    "by",
    "it",
    "you",
    "from",
)


@lru_cache(maxsize=1)
def word_table() -> tuple[NDArray[np.uint64], NDArray[np.uint8]]:
    """Make the table: hashes (0 = empty) and traits, open addressing."""
    hashes, traits = np.zeros(_SIZE, np.uint64), np.zeros(_SIZE, np.uint8)
    known = dict.fromkeys([*english_words(), *chinese_characters()], FUNCTION)
    for word in _ENGLISH_ONLY:
        known[word] = FUNCTION | ENGLISH
    for word, trait in known.items():
        value = word_hash(word)
        place = _place(np.uint64(value))
        while hashes[place] != 0:
            place = (place + 1) % _SIZE
        hashes[place], traits[place] = value, trait
    return hashes, traits


def word_hash(word: str) -> int:
    """Hash a folded word as `tokens.tokenise` does."""
    value = 0xCBF29CE484222325
    for character in word:
        value = ((value ^ ord(character)) * 0x100000001B3) % (1 << 64)
    return value


@compiled()
def _place(value: Any) -> Any:
    return np.int64(mix(value) & np.uint64(_SIZE - 1))


@compiled(inline="always")
def traits_of(words: Any, value: Any) -> Any:
    """Look up a word's hash; 0 for a word that is not in the table."""
    hashes, traits = words
    place = _place(value)
    while hashes[place] != 0:
        if hashes[place] == value:
            return traits[place]
        place = (place + 1) & (_SIZE - 1)
    return 0
