"""Tokens: the words of a text as hashes, and its characters counted by kind, in one decoding.

A word is a run of letters and digits, apostrophes within it left out; each ideograph and each kana is a word.
Case and width are folded away (`alphabet`), so that two spellings of a word have one hash.
"""

from typing import Any

import numpy as np

from burnish.data.kernel.alphabet import (
    APOSTROPHE,
    COMMON_HANZI,
    DIGIT,
    HANGUL,
    IDEOGRAPH,
    KANA,
    LOWER,
    NEWLINE,
    NUM_KINDS,
    PUNCTUATION,
    SIZE,
    SPACE,
    SYMBOL,
    UPPER,
    WIDE_SPACE,
)
from burnish.data.kernel.decode import astral_kind, decode
from burnish.data.kernel.jit import compiled

# Slots of `counts`: the kinds of characters have their own numbers, then:
NUM_CHARS, NUM_VISIBLE, NUM_LATIN, NUM_COMMON, NUM_PAIRS, NUM_HASHES, NUM_COUNTS = range(NUM_KINDS, NUM_KINDS + 7)

# Bits of `traits`, one number a word.
HAS_LETTER, HAS_DIGIT, IS_MIXED, IS_CJK, IS_LATIN = 1, 2, 4, 8, 16

_PRIME = np.uint64(0x100000001B3)  # FNV-1a, 64 bits
_BASIS = np.uint64(0xCBF29CE484222325)
NO_SYMBOLS = _BASIS  # the hash of none


@compiled()
def tokenise(data: Any, start: int, end: int, alphabet: Any, room: Any, counts: Any) -> Any:  # noqa: C901 - the hot loop
    """Read one text.

    Args:
        alphabet: (kinds, folds, marks, surprise).
        room: (hashes uint64, sizes int32, traits uint8), each of at least `end - start + 1`; written from 0.
        counts: int64, `NUM_COUNTS`; zeroed here.

    Returns:
        The number of words; the sum of the surprises of neighbouring Latin letters, in bits; and a hash of the
        symbols and where they stand: they are no words, but texts that differ in one are no exact copies.
    """
    kinds, folds, marks, surprise = alphabet
    hashes, sizes, traits = room
    counts[:] = 0
    num_words, size, trait = 0, 0, 0
    word_hash = _BASIS
    symbols = _BASIS
    bits = 0.0
    num_lower = num_pairs = num_latin = num_repeated = 0
    before: Any
    before_code: Any
    before_letter: Any
    before, before_code, before_letter = SPACE, -1, 0
    position = start
    while position < end:
        byte = data[position]
        if 97 <= byte <= 122:  # most of all bytes: the same as below, in fewer steps
            if size > 0:
                if before_letter > 0:
                    bits += surprise[before_letter - 1, byte - 97]
                    num_pairs += 1
                elif before == DIGIT:
                    trait |= IS_MIXED
            num_lower += 1
            trait |= HAS_LETTER | IS_LATIN
            word_hash = (word_hash ^ np.uint64(byte)) * _PRIME
            size += 1
            before, before_code, before_letter = LOWER, byte, np.int64(byte - 96)
            position += 1
            continue
        code, length = decode(data, position, end)
        position += length
        if code < SIZE:
            kind, fold = np.int64(kinds[code]), np.int64(folds[code])
        else:
            kind, fold = np.int64(astral_kind(code)), np.int64(code)
        counts[kind] += 1
        letter: Any = 0
        if LOWER <= kind <= DIGIT or kind == HANGUL:
            if kind == DIGIT:
                trait |= HAS_DIGIT
                if before in (LOWER, UPPER):
                    trait |= IS_MIXED
            else:
                trait |= HAS_LETTER
                if code < 0x250:
                    trait |= IS_LATIN
                    num_latin += 1
                    if 97 <= fold <= 122:
                        letter = fold - 96
                if (before == DIGIT or (before == LOWER and kind == UPPER)) and size > 0:
                    trait |= IS_MIXED
            word_hash = (word_hash ^ np.uint64(fold)) * _PRIME
            size += 1
            if size > 1 and before_letter > 0 and letter > 0:
                bits += surprise[before_letter - 1, letter - 1]
                num_pairs += 1
        elif kind != APOSTROPHE or size == 0:
            if size > 0:
                hashes[num_words], sizes[num_words], traits[num_words] = word_hash, size, trait
                num_words, size, trait, word_hash = num_words + 1, 0, 0, _BASIS
            if kind in (IDEOGRAPH, KANA):
                hashes[num_words] = (_BASIS ^ np.uint64(fold)) * _PRIME
                sizes[num_words], traits[num_words] = 1, IS_CJK | HAS_LETTER
                num_words += 1
                if code < SIZE and marks[code] & COMMON_HANZI:
                    counts[NUM_COMMON] += 1
            elif kind == SYMBOL:
                symbols = (symbols ^ np.uint64(fold + 0x200000 * num_words)) * _PRIME
            elif code == 35:
                counts[NUM_HASHES] += 1
        if PUNCTUATION <= kind < WIDE_SPACE and code == before_code:
            num_repeated += 1
        before, before_code, before_letter = kind, code, letter
    if size > 0:
        hashes[num_words], sizes[num_words], traits[num_words] = word_hash, size, trait
        num_words += 1
    counts[LOWER] += num_lower
    counts[NUM_LATIN], counts[NUM_PAIRS] = num_latin + num_lower, num_pairs
    counts[NUM_CHARS] = counts[:NUM_KINDS].sum()
    blank = counts[SPACE] + counts[NEWLINE] + counts[WIDE_SPACE]
    counts[NUM_VISIBLE] = counts[NUM_CHARS] - blank - num_repeated
    return num_words, bits, symbols
