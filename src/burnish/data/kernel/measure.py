"""Measure: everything that rules and copies need to know of a batch of texts, in one call.

The texts are tidy (`tidy`): that is the form whose lines and characters are counted.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from burnish.data.kernel.alphabet import DIGIT, HANGUL, IDEOGRAPH, KANA, LOWER, NEWLINE, REPLACEMENT, tables
from burnish.data.kernel.hashing import Slots, clear, make_slots
from burnish.data.kernel.jit import compiled
from burnish.data.kernel.letters import surprises
from burnish.data.kernel.lines import measure_lines
from burnish.data.kernel.repeats import passage_frac, phrase_frac
from burnish.data.kernel.runs import add_up
from burnish.data.kernel.sketch import byte_units, exact_key, minhash, permutations, shingles
from burnish.data.kernel.tokens import (
    HAS_LETTER,
    IS_CJK,
    IS_LATIN,
    IS_MIXED,
    NUM_CHARS,
    NUM_COMMON,
    NUM_COUNTS,
    NUM_HASHES,
    NUM_LATIN,
    NUM_PAIRS,
    NUM_VISIBLE,
    tokenise,
)
from burnish.data.kernel.wordlist import ENGLISH, FUNCTION, traits_of, word_table
from burnish.data.sketches import NUM_SLOTS

MEASURES = (
    "num_bytes",
    "num_chars",
    "num_words",
    "num_lines",
    "num_function_words",
    "ideograph_frac",  # of letters
    "kana_frac",  # of ideographs and kana
    "hangul_frac",  # of letters
    "latin_frac",  # of letters
    "english_frac",  # words that only English has so often, of words that are spelled out
    "function_word_frac",
    "mean_word_chars",  # of words that are spelled out
    "letter_frac",
    "mixed_word_frac",
    "alphabetic_word_frac",
    "symbol_frac",
    "bullet_line_frac",
    "ellipsis_line_frac",
    "line_end_frac",
    "short_line_frac",
    "repeated_line_frac",
    "phrase_2_frac",
    "phrase_3_frac",
    "phrase_4_frac",
    "repeated_passage_frac",
    "letter_surprise_bits",
    "rare_hanzi_frac",
    "replacement_frac",
    "spaced_frac",  # words that are spelled out, of all
)
COLUMN = {name: index for index, name in enumerate(MEASURES)}

_PASSAGE_WORDS = 5
_UNSPACED_FACTOR = 2  # Chinese characters that say about as much as one word
_SPACED = COLUMN["spaced_frac"]


@dataclass(frozen=True)
class Readings:
    """Hold what was read of N texts.

    Attributes:
        values: (N, len(MEASURES)).
        keys: (N, 2): equal for texts with the same words and symbols, 128 bits.
        signatures: (N, 120) of shingles; `sketch.minhash`.
    """

    values: NDArray[np.float32]
    keys: NDArray[np.uint64]
    signatures: NDArray[np.uint16]


def measure(data: NDArray[np.uint8], offsets: NDArray[np.int64], *, length: int, is_bytes: bool) -> Readings:
    """Read a batch of tidy texts.

    Args:
        length: of a shingle, in words or bytes.
        is_bytes: shingles are of bytes (`sketch.byte_units`), not of words.
    """
    longest = int(np.diff(offsets).max(initial=0)) + 1
    num_units = 3 * longest if is_bytes else longest
    room = (np.empty(longest, np.uint64), np.empty(longest, np.int32), np.empty(longest, np.uint8))
    units = np.empty(num_units, np.uint64), np.empty(num_units, np.uint32), np.empty(num_units + 1, np.uint64)
    found = np.zeros((len(offsets) - 1, len(MEASURES)), np.float32)
    keys = np.zeros((len(found), 2), np.uint64)
    signatures = np.zeros((len(found), NUM_SLOTS), np.uint16)
    alphabet = (*tables(), surprises())
    shape = (length, is_bytes)
    _measure(
        (data, offsets), alphabet, word_table(), permutations(), room, units, make_slots(longest), shape,
        (found, keys, signatures),
    )  # fmt: skip
    return Readings(found, keys, signatures)


@compiled()
def _measure(
    texts: Any, alphabet: Any, words: Any, draws: Any, room: Any, units: Any, slots: Slots, shape: Any, out: Any
) -> None:
    data, offsets = texts
    found, keys, signatures = out
    counts, lines = np.zeros(NUM_COUNTS, np.int64), np.zeros(8, np.int64)
    least = np.zeros(NUM_SLOTS, np.uint32)
    for row in range(len(found)):
        start, end = offsets[row], offsets[row + 1]
        num_words, bits, symbols = tokenise(data, start, end, alphabet, room, counts)
        clear(slots, counts[NEWLINE] + 1)  # a text of marks has more lines than words
        measure_lines(data, start, end, alphabet[2], slots, lines)
        _characters(counts, bits, end - start, found[row])
        _lines(lines, num_words, counts[NUM_HASHES], found[row])
        _words(room, num_words, words, found[row])
        add_up(room[0], num_words, units[2])
        _repeats(units[2], num_words, slots, found[row])
        exact_key(room[0], num_words, symbols, data, start, end, keys[row])
        length, is_bytes = shape
        if is_bytes:
            num_units = byte_units(data, start, end, alphabet[0], alphabet[1], units[0])
            add_up(units[0], num_units, units[2])
            count = shingles(units[2], num_units, length, units[1])
        else:
            count = shingles(units[2], num_words, length, units[1])
        minhash(units[1], count, draws[0], draws[1], least, signatures[row])


def shingle_sets(
    data: NDArray[np.uint8], offsets: NDArray[np.int64], *, length: int, is_bytes: bool
) -> list[NDArray[np.uint32]]:
    """Give the different shingles of each tidy text, hashed and sorted: the sets that `measure` signs."""
    longest = int(np.diff(offsets).max(initial=0)) + 1
    room = (np.empty(longest, np.uint64), np.empty(longest, np.int32), np.empty(longest, np.uint8))
    size = 3 * longest
    units = np.empty(size, np.uint64), np.empty(size, np.uint32), np.empty(size + 1, np.uint64)
    counts, alphabet = np.zeros(NUM_COUNTS, np.int64), (*tables(), surprises())
    sets = []
    for start, end in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
        count = _shingles(data, start, end, alphabet, room, units, counts, (length, is_bytes))
        sets.append(np.unique(units[1][:count]))
    return sets


@compiled()
def _shingles(data: Any, start: int, end: int, alphabet: Any, room: Any, units: Any, counts: Any, shape: Any) -> int:
    length, is_bytes = shape
    if is_bytes:
        num_units = byte_units(data, start, end, alphabet[0], alphabet[1], units[0])
        add_up(units[0], num_units, units[2])
        return shingles(units[2], num_units, length, units[1])
    num_words, _, _ = tokenise(data, start, end, alphabet, room, counts)
    add_up(room[0], num_words, units[2])
    return shingles(units[2], num_words, length, units[1])


@compiled()
def _characters(counts: Any, bits: float, num_bytes: int, row: Any) -> None:
    ideographs, kana = counts[IDEOGRAPH], counts[KANA]
    letters = ideographs + kana + counts[HANGUL]
    for kind in range(LOWER, DIGIT):
        letters += counts[kind]
    alphanumeric = letters + counts[DIGIT]
    row[0], row[1] = num_bytes, counts[NUM_CHARS]
    row[5] = ideographs / max(1, letters)
    row[6] = kana / max(1, ideographs + kana)
    row[7] = counts[HANGUL] / max(1, letters)
    row[8] = counts[NUM_LATIN] / max(1, letters)
    # An ideograph says about as much as three letters, a mark that is repeated counts once.
    row[12] = (alphanumeric + 2 * ideographs) / max(1, counts[NUM_VISIBLE] + 2 * ideographs)
    row[25] = bits / max(1, counts[NUM_PAIRS])
    row[26] = 1 - counts[NUM_COMMON] / ideographs if ideographs > 0 else 0.0
    row[27] = counts[REPLACEMENT] / max(1, counts[NUM_CHARS])


@compiled()
def _lines(lines: Any, num_words: int, num_hashes: int, row: Any) -> None:
    total = max(1, lines[0])
    row[3] = lines[0]
    row[15] = (num_hashes + lines[7]) / max(1, num_words)
    row[16], row[17], row[18], row[19] = lines[1] / total, lines[2] / total, lines[3] / total, lines[4] / total
    row[20] = lines[6] / max(1, lines[5])


@compiled()
def _words(room: Any, num_words: int, words: Any, row: Any) -> None:
    hashes, sizes, traits = room
    num_function = num_english = num_spaced = num_alphabetic = num_mixed = num_letters = 0
    for place in range(num_words):
        trait, known = traits[place], traits_of(words, hashes[place])
        num_function += known & FUNCTION != 0
        num_english += known & ENGLISH != 0
        num_alphabetic += trait & HAS_LETTER != 0
        if trait & IS_CJK == 0:
            num_spaced += 1
            num_letters += sizes[place]
            num_mixed += (trait & IS_MIXED != 0) and (trait & IS_LATIN != 0)
    total, spaced = max(1, num_words), max(1, num_spaced)
    row[2], row[4] = num_words, num_function
    row[9], row[10] = num_english / spaced, num_function / total
    row[11] = num_letters / spaced
    row[13], row[14] = num_mixed / total, num_alphabetic / total
    row[28] = num_spaced / total


@compiled()
def _repeats(prefixes: Any, num_words: int, slots: Slots, row: Any) -> None:
    factor = 1 if row[_SPACED] > 0.5 else _UNSPACED_FACTOR
    for length in range(2, 5):
        row[19 + length] = phrase_frac(prefixes, num_words, length * factor, slots)
    row[24] = passage_frac(prefixes, num_words, _PASSAGE_WORDS * factor, slots)
