"""Repeats: how much of a text is its commonest phrase, and how much stands in passages that were there before.

Source: Rae et al. 2021, arXiv:2112.11446, section A.1.1 and table A1.
"""

from typing import Any

from burnish.data.kernel.hashing import Slots, add, clear, mix
from burnish.data.kernel.jit import compiled
from burnish.data.kernel.runs import run, weight_of


@compiled()
def phrase_frac(prefixes: Any, num_words: int, length: int, slots: Slots) -> float:
    """Measure the share of words in the commonest run of `length` words; 0 if none repeats.

    Args:
        prefixes: of the words' hashes; `runs.add_up`.
    """
    if num_words < length + 1:
        return 0.0
    clear(slots, num_words)
    most, weight = 1, weight_of(length)
    for start in range(num_words - length + 1):
        most = max(most, add(slots, mix(run(prefixes, start, length, weight))))
    return min(1.0, most * length / num_words) if most > 1 else 0.0


@compiled()
def passage_frac(prefixes: Any, num_words: int, length: int, slots: Slots) -> float:
    """Measure the share of words in runs of `length` words that were there before."""
    if num_words < length + 1:
        return 0.0
    clear(slots, num_words)
    num_repeated, covered, weight = 0, 0, weight_of(length)
    for start in range(num_words - length + 1):
        if add(slots, mix(run(prefixes, start, length, weight))) > 1:
            num_repeated += start + length - max(start, covered)
            covered = start + length
    return num_repeated / num_words
