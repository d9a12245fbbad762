"""Sketch: a text's key for exact copies, and its MinHash signature for near ones."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from burnish.data.kernel.alphabet import SIZE
from burnish.data.kernel.decode import astral_kind, decode
from burnish.data.kernel.hashing import mix
from burnish.data.kernel.jit import compiled
from burnish.data.kernel.runs import run, weight_of
from burnish.data.kernel.tokens import NO_SYMBOLS
from burnish.data.sketches import NUM_SLOTS

_SEED = 0x5EED
_FAR = 0xFFFFFFFF


def permutations() -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Draw the factors (odd) and summands of the slots' hash functions; the same in every run.

    Source: Dietzfelbinger et al. 1997, doi:10.1006/jagm.1997.0873 (multiply-shift, over 32 bits).
    """
    draws = np.random.Generator(np.random.PCG64(_SEED)).integers(0, 1 << 32, (2, NUM_SLOTS), np.uint32)
    return draws[0] | np.uint32(1), draws[1]


@compiled()
def exact_key(hashes: Any, num_words: int, symbols: int, data: Any, start: int, end: int, key: Any) -> None:
    """Write the 128-bit key of a text's words and symbols, in order; of a text without either, of its bytes."""
    first, second = np.uint64(symbols), np.uint64(num_words)
    for place in range(num_words):
        first = (first ^ hashes[place]) * np.uint64(0x9E3779B97F4A7C15)
        second = (second + hashes[place]) * np.uint64(0xC2B2AE3D27D4EB4F)
        second ^= second >> np.uint64(29)
    if num_words == 0 and symbols == NO_SYMBOLS:
        for place in range(start, end):
            first = (first ^ np.uint64(data[place])) * np.uint64(0x9E3779B97F4A7C15)
            second = (second + np.uint64(data[place])) * np.uint64(0xC2B2AE3D27D4EB4F)
    key[0], key[1] = mix(first), mix(second)


@compiled()
def shingles(prefixes: Any, num_units: int, length: int, out: Any) -> int:
    """Hash each run of `length` units to 32 bits, in order; a shorter text is its own only one. Give their number."""
    if num_units == 0:
        return 0
    span = min(length, num_units)
    weight = weight_of(span)
    for start in range(num_units - span + 1):
        out[start] = np.uint32(mix(run(prefixes, start, span, weight)) >> np.uint64(32))
    return num_units - span + 1


@compiled()
def minhash(values: Any, count: int, factors: Any, summands: Any, least: Any, signature: Any) -> None:
    """Write each slot's least hash, its two halves laid over each other; zeros for a text without shingles.

    Two signatures agree in a slot with the probability of their Jaccard similarity, plus 2^-16.

    Source: Broder 1997, doi:10.1109/SEQUEN.1997.666900; Li & Koenig 2010, arXiv:0910.3349 (b bits a slot).
    """
    for slot in range(NUM_SLOTS):
        least[slot] = _FAR
    for place in range(count):
        value = values[place]
        for slot in range(NUM_SLOTS):
            hashed = np.uint32(factors[slot] * value + summands[slot])
            least[slot] = min(least[slot], hashed)
    for slot in range(NUM_SLOTS):
        signature[slot] = np.uint16((least[slot] ^ (least[slot] >> np.uint32(16))) & np.uint32(0xFFFF))


@compiled()
def byte_units(data: Any, start: int, end: int, kinds: Any, folds: Any, units: Any) -> int:
    """Give a text's folded characters as UTF-8 bytes, words parted by one space where both are spelled out.

    Bytes let one shingle length serve all scripts: a Chinese character is three bytes, and says about as much as
    three letters. Texts with the same key have the same units. Give the number of units written, at most
    `3 * (end - start)`.
    """
    count, was_word, gap = 0, False, False
    is_spelled: Any
    position = start
    while position < end:
        code, length = decode(data, position, end)
        position += length
        kind = np.int64(kinds[code]) if code < SIZE else np.int64(astral_kind(code))
        fold = np.int64(folds[code]) if code < SIZE else code
        is_spelled = 2 <= kind <= 5 or kind == 8
        is_unspaced = kind == 6 or kind == 7 or kind == 10
        if not (is_spelled or is_unspaced):
            gap = gap or kind != 11
            continue
        if gap and was_word and is_spelled:
            units[count] = np.uint64(32)
            count += 1
        count = _write_utf8(fold, units, count)
        was_word, gap = bool(is_spelled), False
    return count


@compiled(inline="always")
def _write_utf8(code: Any, units: Any, count: int) -> int:
    if code < 0x80:
        units[count] = np.uint64(code)
        return count + 1
    if code < 0x800:
        units[count], units[count + 1] = np.uint64(0xC0 | (code >> 6)), np.uint64(0x80 | (code & 0x3F))
        return count + 2
    if code < 0x10000:
        units[count] = np.uint64(0xE0 | (code >> 12))
        units[count + 1], units[count + 2] = np.uint64(0x80 | ((code >> 6) & 0x3F)), np.uint64(0x80 | (code & 0x3F))
        return count + 3
    units[count], units[count + 1] = np.uint64(0xF0 | (code >> 18)), np.uint64(0x80 | ((code >> 12) & 0x3F))
    units[count + 2], units[count + 3] = np.uint64(0x80 | ((code >> 6) & 0x3F)), np.uint64(0x80 | (code & 0x3F))
    return count + 4
