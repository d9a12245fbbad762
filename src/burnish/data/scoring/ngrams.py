"""Hashed character n-grams: a text as a sparse vector, in any script, without a model.

A word of a script with spaces gives itself and its 3- to 5-grams with marked ends, as in fastText; Chinese
characters and kana, which write no spaces, give runs of one to three. Each is hashed to a column and a sign, so that
no vocabulary is kept and the inner product of two rows is, on average, that of the counts before hashing.

Source: Weinberger et al. 2009, arXiv:0902.2206 (signed hashing); Bojanowski et al. 2017, arXiv:1607.04606 (n-grams).
"""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from burnish.data.kernel.jit import compiled
from burnish.data.text import IDEOGRAPH, KANA, normal_form
from burnish.runtime import need

_CHUNK_CHARS = 1 << 19  # hashed at once: bounds memory to about 50 MB however much text comes
_NGRAMS_PER_CHAR = 7  # a word of one letter has the most: six of its n-grams with marked ends, and itself
_SPACE, _LETTER, _UNSPACED = 0, 1, 2
_IS_UNSPACED = re.compile(f"[{IDEOGRAPH}{KANA}]")
_NUM_CLASSED = 0x40000  # beyond lies no script that writes without spaces


def hashed_ngrams(texts: Sequence[str], *, num_dims: int) -> Any:
    """Count n-grams of each text's normal form into a `scipy.sparse.csr_matrix` (N, num_dims) of rows of length 1.

    A count c enters as its sign times log(1 + |c|), so that a word said ten times does not drown the rest. A text
    without letters is a row of zeros.

    Args:
        num_dims: a power of two.
    """
    sparse = need("scipy.sparse", extra="data")
    normals = [normal_form(text) for text in texts]
    parts = [_counts(chunk, num_dims, sparse) for chunk in _chunks(normals)]
    if not parts:
        return sparse.csr_matrix((0, num_dims), dtype=np.float32)
    rows = sparse.vstack(parts, format="csr") if len(parts) > 1 else parts[0]
    rows.data = (np.sign(rows.data) * np.log1p(np.abs(rows.data))).astype(np.float32)
    lengths = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1))).ravel()
    lengths[lengths == 0] = 1
    rows.data /= np.repeat(lengths, np.diff(rows.indptr)).astype(np.float32)
    return rows


def code_points(texts: Sequence[str]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """Lay texts end to end as code points; text i is `codes[starts[i]:starts[i + 1]]`."""
    codes = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), np.uint32)
    starts = np.zeros(len(texts) + 1, np.int64)
    np.cumsum([len(text) for text in texts], out=starts[1:])
    return codes, starts


def _chunks(texts: Sequence[str]) -> Iterator[list[str]]:
    chunk: list[str] = []
    num_chars = 0
    for text in texts:
        if chunk and num_chars + len(text) > _CHUNK_CHARS:
            yield chunk
            chunk, num_chars = [], 0
        chunk.append(text)
        num_chars += len(text)
    if chunk:
        yield chunk


def _counts(normals: Sequence[str], num_dims: int, sparse: Any) -> Any:
    codes, starts = code_points(normals)
    hashes, ends = _hash_all(codes, starts, _classes())
    columns = (hashes & np.uint64(num_dims - 1)).astype(np.int32)
    signs = np.where(hashes >> np.uint64(63), np.float32(1), np.float32(-1))
    rows = np.repeat(np.arange(len(normals), dtype=np.int32), np.diff(ends))
    return sparse.coo_matrix((signs, (rows, columns)), shape=(len(normals), num_dims)).tocsr()


@lru_cache(maxsize=1)
def _classes() -> NDArray[np.uint8]:
    """Tell what each code point of a normal form is: a space between words, a character of a word, or a word alone."""
    classes = np.full(_NUM_CLASSED, _LETTER, np.uint8)
    classes[ord(" ")] = _SPACE
    for match in _IS_UNSPACED.finditer("".join(map(chr, range(0xD800))) + "".join(map(chr, range(0xE000, 0x10000)))):
        classes[ord(match[0])] = _UNSPACED
    classes[0x20000:0x3FFFE] = _UNSPACED
    return classes


@compiled()
def _hash_all(codes: Any, starts: Any, classes: Any) -> Any:
    """Hash every n-gram of every text; text i has `hashes[ends[i]:ends[i + 1]]`."""
    hashes = np.empty(_NGRAMS_PER_CHAR * len(codes) + 1, np.uint64)
    ends = np.zeros(len(starts), np.int64)
    size = 0
    for text in range(len(starts) - 1):
        position, last = starts[text], starts[text + 1]
        while position < last:
            kind = classes[min(np.int64(codes[position]), len(classes) - 1)]
            end = position + 1
            while end < last and classes[min(np.int64(codes[end]), len(classes) - 1)] == kind:
                end += 1
            if kind == _LETTER:
                size = _hash_run(codes, position, end, 3, 5, 1, hashes, size)
                if end - position > 3:  # a shorter one is among its own n-grams already
                    size = _hash_run(codes, position, end, end - position, end - position, 0, hashes, size)
            elif kind == _UNSPACED:
                size = _hash_run(codes, position, end, 1, 3, 0, hashes, size)
            position = end
        ends[text + 1] = size
    return hashes[:size], ends


@compiled()
def _hash_run(codes: Any, first: int, end: int, shortest: int, longest: int, pad: int, hashes: Any, size: int) -> int:
    """Hash the n-grams of one run, `pad` marks on both sides, from `size` on; give the new size.

    The hash is FNV-1a over code points, its bits mixed as in splitmix64, since columns take the low and signs the
    high ones.
    """
    for start in range(first - pad, end + pad):
        digest = np.uint64(14695981039346656037)
        for place in range(start, min(start + longest, end + pad)):
            code = np.uint64(0) if place < first or place >= end else np.uint64(codes[place])
            digest = (digest ^ code) * np.uint64(1099511628211)
            if place - start + 1 >= shortest:
                mixed = (digest ^ (digest >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
                mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
                hashes[size] = mixed ^ (mixed >> np.uint64(31))
                size += 1
    return size
