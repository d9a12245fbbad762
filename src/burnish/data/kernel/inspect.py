"""Inspect: which texts need a repair that only Python can do, told from their bytes.

A flag says "may": the repair itself looks closely. A text without a flag needs nothing; what can be missed is a few
characters that GBK misread in a line of sound Chinese.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from burnish.data.kernel.alphabet import (
    COMMON_HANZI,
    IDEOGRAPH,
    IN_CONTEXT,
    INVALID,
    LATIN_SIGN,
    LONE_SIGN,
    NOT_NFC,
    REPLACEMENT,
    SIZE,
    tables,
)
from burnish.data.kernel.decode import astral_kind, decode
from burnish.data.kernel.jit import compiled

MARKUP, CHARACTERS = 1, 2

_MIN_HANZI = 8
_MIN_COMMON_FRAC = 0.8
_MAX_ENTITY_BYTES = 40
_MAX_TAG_BYTES = 400
_MIN_LINE_HANZI = 2
_EURO = 0x20AC  # how Windows reads the byte 0x80
_ODD_MARKS = NOT_NFC | IN_CONTEXT | LONE_SIGN


def damaged(data: NDArray[np.uint8], offsets: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Tell what repair each text may need: 0, or a sum of `MARKUP` and `CHARACTERS` (any other)."""
    kinds, _, marks = tables()
    found: NDArray[np.uint8] = _damaged(data, offsets, kinds, marks)
    return found


@compiled()
def _damaged(data: Any, offsets: Any, kinds: Any, marks: Any) -> Any:
    found = np.zeros(len(offsets) - 1, np.uint8)
    for row in range(len(found)):
        start, end = offsets[row], offsets[row + 1]
        found[row] = MARKUP * _has_markup(data, start, end) + CHARACTERS * _is_misread(data, start, end, kinds, marks)
    return found


@compiled()
def _has_markup(data: Any, start: int, end: int) -> bool:
    """Find a tag that does something (`</p>`, `<br>`, `<a href=…>`, `<!--`) or an entity; `<name>` is none."""
    for position in range(start, end - 1):
        byte = data[position]
        if byte == 60 and _is_used_tag(data, position + 1, min(end, position + _MAX_TAG_BYTES)):
            return True
        if byte == 38 and _is_entity(data, position + 1, min(end, position + _MAX_ENTITY_BYTES)):
            return True
    return False


@compiled()
def _is_used_tag(data: Any, start: int, end: int) -> bool:
    """Tell what follows `<` in `repair_markup`'s tags that are in use: a superset, by first letters and an `=`."""
    first = data[start] | 0x20  # in lower case; `!` and `/` become 0x21 and 0x2f as they were
    if data[start] == 33:
        return True
    if data[start] == 47:
        return start + 1 < end and _is_letter(data[start + 1])
    if not _is_letter(data[start]):
        return False
    second = data[start + 1] | 0x20 if start + 1 < end else 0
    if (first == 98 or first == 104) and second == 114:  # br, hr
        return True
    if first == 115 and (second == 99 or second == 116):  # script, style
        return True
    for place in range(start, end):
        if data[place] == 61:
            return True
        if data[place] in (60, 62):
            return False
    return end - start >= _MAX_TAG_BYTES - 1


@compiled(inline="always")
def _is_letter(byte: int) -> bool:
    return 65 <= byte <= 90 or 97 <= byte <= 122


@compiled()
def _is_entity(data: Any, start: int, end: int) -> bool:
    """Tell what follows an ampersand in `&amp;` and `&#38;`."""
    for place in range(start, end):
        byte = data[place]
        if byte == 59:
            return place > start
        is_alphanumeric = 48 <= byte <= 57 or 65 <= byte <= 90 or 97 <= byte <= 122
        if not (is_alphanumeric or (byte == 35 and place == start)):
            return False
    return False


@compiled()
def _is_misread(data: Any, start: int, end: int, kinds: Any, marks: Any) -> bool:  # noqa: C901 - the hot loop
    """Find what no sound text has: controls, lost characters, odd pairs of letters, many rare ideographs."""
    num_hanzi = line_hanzi = 0
    num_common: Any = 0
    line_common: Any = 0
    is_after_rare = False
    last_mark: Any = 0
    is_ascii = True
    position = start
    while position < end:
        byte = data[position]
        if byte < 0x80:
            if kinds[byte] == INVALID or (byte == 63 and is_after_rare):  # one byte of a character was lost
                return True
            if byte == 10:
                if _is_rare(line_hanzi, line_common):
                    return True
                line_hanzi = line_common = 0
            is_ascii, is_after_rare = True, False
            position += 1
            continue
        code, length = decode(data, position, end)
        position += length
        if code >= SIZE:
            if _is_odd(code):
                return True
            kind, mark = np.int64(astral_kind(code)), np.int64(0)
        else:
            kind, mark = np.int64(kinds[code]), np.int64(marks[code])
        if kind in (REPLACEMENT, INVALID) or mark & _ODD_MARKS or (code == _EURO and is_after_rare):
            return True
        if not is_ascii and (mark | last_mark) & LATIN_SIGN:
            return True
        is_after_rare = kind == IDEOGRAPH and not mark & COMMON_HANZI
        if kind == IDEOGRAPH:
            num_hanzi, line_hanzi = num_hanzi + 1, line_hanzi + 1
            num_common, line_common = num_common + (mark & COMMON_HANZI), line_common + (mark & COMMON_HANZI)
        last_mark, is_ascii = mark, False
    if _is_rare(line_hanzi, line_common):
        return True
    return num_hanzi >= _MIN_HANZI and num_common < _MIN_COMMON_FRAC * num_hanzi


@compiled(inline="always")
def _is_rare(num_hanzi: int, num_common: int) -> bool:
    """Tell a line whose ideographs are rare: UTF-8 that was read as GBK, as in `don鈥檛`."""
    return num_hanzi >= _MIN_LINE_HANZI and 2 * num_common < num_hanzi


@compiled(inline="always")
def _is_odd(code: int) -> bool:
    """Tell a code point above U+FFFF that is no emoji and no unified ideograph; some of those are not sound."""
    is_ideograph = 0x20000 <= code < 0x2F800 or 0x30000 <= code <= 0x3FFFD
    return not (is_ideograph or 0x1F000 <= code <= 0x1FAFF)
