"""Surprise: how unlike the rest of the corpus the strangest passage of a text is, told character by character.

A trigram model counts the corpus's own characters in hashed tables of fixed size. A text is read in windows, since
a nonsense suffix is lost in the mean of a long text. Chinese characters surprise more than letters by nature, so each
kind of character is measured in its own standard deviations.

Source: Alon and Kamfonas 2023, arXiv:2308.14132, and Jain et al. 2023, arXiv:2309.00614 (perplexity, windowed, against
nonsense suffixes; theirs is a language model's); MacKay and Peto 1995, doi:10.1017/S1351324900000218 (smoothing).
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from burnish.data.kernel.jit import compiled
from burnish.data.scoring.ngrams import code_points
from burnish.data.text import IDEOGRAPH, KANA

WINDOW_CHARS = 48  # of 16, 32, 48, 64 and 96 the one that finds most nonsense suffixes on three real corpora
_TABLE_BITS = 22  # of trigrams: 16 MB; one of 4 million is rarely hit by two that are common
_STRENGTH = 4.0  # how many sightings the shorter context is worth
_NUM_CLASSED = 0x40000
_SPACE_RUN = re.compile(r"\s+")
_DIGIT = re.compile(r"\d")
_UNSPACED = re.compile(f"[{IDEOGRAPH}{KANA}]")
_MAX_CHARS = 1 << 20  # counted or scored at once


@dataclass(frozen=True)
class SurpriseModel:
    """Hold the counts, and what is usual for the two kinds of characters.

    Attributes:
        trigrams, pairs, singles: counts by hash.
        usual: ((mean, deviation) of others, (mean, deviation) of Chinese characters and kana), in bits a character.
    """

    trigrams: NDArray[np.uint32]
    pairs: NDArray[np.uint32]
    singles: NDArray[np.uint32]
    usual: NDArray[np.float64]

    def score(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Give each text's strangest window, in mean standard deviations above the usual; -inf for an empty text.

        Each sighting is taken from its own count, so that a passage which stands in one text alone is new.
        """
        scores = np.full(len(texts), -np.inf)
        for start, stop in _slices(texts):
            codes, starts = code_points([_plain(text) for text in texts[start:stop]])
            bits = _bits(codes, starts, self.trigrams, self.pairs, self.singles)
            kinds = kinds_of(codes)
            deviations = (bits - self.usual[kinds, 0]) / self.usual[kinds, 1]
            scores[start:stop] = _strangest(deviations, starts, WINDOW_CHARS)
        return scores

    def bits_of_words(self, words: Sequence[str]) -> NDArray[np.float64]:
        """Give each word's mean surprise in bits a character, its end included."""
        if not words:
            return np.zeros(0)
        codes, starts = code_points([f" {_plain(word)} " for word in words])
        bits = _bits(codes, starts, self.trigrams, self.pairs, self.singles)
        bits[starts[:-1]] = 0  # the space before each word is not its own
        means: NDArray[np.float64] = np.add.reduceat(bits, starts[:-1]) / (np.diff(starts) - 1)
        return means

    def save(self, path: Path) -> None:
        """Write the model to one .npz file; it holds numbers alone."""
        np.savez(
            path,
            trigrams=self.trigrams,
            pairs=self.pairs,
            singles=self.singles,
            usual=self.usual,
            allow_pickle=False,
        )


@lru_cache(maxsize=1)
def load_surprise(path: Path) -> SurpriseModel:
    """Read what `save` wrote, once a process."""
    with np.load(path, allow_pickle=False) as file:
        return SurpriseModel(file["trigrams"], file["pairs"], file["singles"], file["usual"])


def train_surprise(batches: Iterable[Sequence[str]], sample: Sequence[str]) -> SurpriseModel:
    """Count the texts of all batches, then learn from a sample of them what is usual.

    Args:
        batches: texts, each batch as large as fits in memory.
        sample: texts that are among them.
    """
    trigrams = np.zeros(1 << _TABLE_BITS, np.uint32)
    pairs = np.zeros(1 << (_TABLE_BITS - 2), np.uint32)
    singles = np.zeros(1 << 16, np.uint32)
    for texts in batches:
        for start, stop in _slices(texts):
            codes, starts = code_points([_plain(text) for text in texts[start:stop]])
            _count(codes, starts, trigrams, pairs, singles)
    usual = np.tile([8.0, 3.0], (2, 1))  # bits a character, where the sample has none of a kind
    found: tuple[list[Any], list[Any]] = ([], [])
    for start, stop in _slices(sample):
        codes, starts = code_points([_plain(text) for text in sample[start:stop]])
        bits, kinds = _bits(codes, starts, trigrams, pairs, singles), kinds_of(codes)
        for kind in (0, 1):
            found[kind].append(bits[kinds == kind])
    for kind in (0, 1):
        values = np.concatenate(found[kind]) if found[kind] else np.zeros(0)
        if len(values) > 1:
            usual[kind] = values.mean(), max(float(values.std()), 1e-6)
    return SurpriseModel(trigrams, pairs, singles, usual)


def kinds_of(codes: NDArray[np.uint32]) -> NDArray[np.uint8]:
    """Tell Chinese characters and kana (1) from all others (0)."""
    return np.asarray(_kinds()[np.minimum(codes, _NUM_CLASSED - 1)])


@lru_cache(maxsize=1)
def _kinds() -> NDArray[np.uint8]:
    kinds = np.zeros(_NUM_CLASSED, np.uint8)
    for match in _UNSPACED.finditer("".join(map(chr, range(0xD800))) + "".join(map(chr, range(0xE000, 0x10000)))):
        kinds[ord(match[0])] = 1
    kinds[0x20000:0x3FFFE] = 1
    return kinds


def _plain(text: str) -> str:
    """Take away what differs without meaning: every digit is 0, every run of spaces one space."""
    return _DIGIT.sub("0", _SPACE_RUN.sub(" ", text))


def _slices(texts: Sequence[str]) -> Iterable[tuple[int, int]]:
    start = num_chars = 0
    for row, text in enumerate(texts):
        if row > start and num_chars + len(text) > _MAX_CHARS:
            yield start, row
            start, num_chars = row, 0
        num_chars += len(text)
    if start < len(texts):
        yield start, len(texts)


@compiled(inline="always")
def _mix(first: int, second: int, third: int) -> Any:
    digest = np.uint64(first) * np.uint64(0x9E3779B97F4A7C15)
    digest = (digest ^ np.uint64(second)) * np.uint64(0xBF58476D1CE4E5B9)
    digest = (digest ^ (digest >> np.uint64(29)) ^ np.uint64(third)) * np.uint64(0x94D049BB133111EB)
    return digest >> np.uint64(32)


@compiled()
def _count(codes: Any, starts: Any, trigrams: Any, pairs: Any, singles: Any) -> None:
    for text in range(len(starts) - 1):
        before, last = 0, 0
        for position in range(starts[text], starts[text + 1]):
            code = codes[position]
            trigrams[_mix(before, last, code) & np.uint64(len(trigrams) - 1)] += 1
            pairs[_mix(1, last, code) & np.uint64(len(pairs) - 1)] += 1
            singles[_mix(2, 3, code) & np.uint64(len(singles) - 1)] += 1
            before, last = last, code


@compiled()
def _bits(codes: Any, starts: Any, trigrams: Any, pairs: Any, singles: Any) -> Any:
    """Give -log2 of each character's probability, given the two before it and all of the corpus but this sighting."""
    bits = np.empty(len(codes), np.float64)
    total = 0.0
    for count in singles:
        total += count
    for text in range(len(starts) - 1):
        before, last, context = 0, 0, 0.0
        for position in range(starts[text], starts[text + 1]):
            code = codes[position]
            single = max(0.0, float(singles[_mix(2, 3, code) & np.uint64(len(singles) - 1)]) - 1)
            pair = max(0.0, float(pairs[_mix(1, last, code) & np.uint64(len(pairs) - 1)]) - 1)
            three = max(0.0, float(trigrams[_mix(before, last, code) & np.uint64(len(trigrams) - 1)]) - 1)
            previous = max(0.0, float(singles[_mix(2, 3, last) & np.uint64(len(singles) - 1)]) - 1)
            probability = (single + 1) / (total + len(singles))
            probability = (pair + _STRENGTH * probability) / (max(previous, pair) + _STRENGTH)
            probability = (three + _STRENGTH * probability) / (max(context, three) + _STRENGTH)
            bits[position] = -np.log2(probability)
            before, last, context = last, code, pair
    return bits


@compiled()
def _strangest(deviations: Any, starts: Any, window: int) -> Any:
    """Give each text's largest mean over `window` neighbours; a shorter text is filled up with what is usual (0)."""
    best = np.full(len(starts) - 1, -np.inf)
    for text in range(len(best)):
        total = 0.0
        for position in range(starts[text], starts[text + 1]):
            total += deviations[position]
            if position - starts[text] >= window:
                total -= deviations[position - window]
            if position - starts[text] >= window - 1 or position == starts[text + 1] - 1:
                best[text] = max(best[text], total / window)
    return best
