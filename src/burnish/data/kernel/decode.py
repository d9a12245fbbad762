"""Decode: one character of UTF-8, and what kind it is."""

from typing import Any

from burnish.data.kernel.alphabet import APOSTROPHE, IDEOGRAPH, LETTER, SYMBOL
from burnish.data.kernel.jit import compiled

REPLACEMENT_CODE = 0xFFFD


@compiled(inline="always")
def decode(data: Any, position: int, end: int) -> tuple[int, int]:
    """Read the character at `position` < `end`: its code point and its length in bytes.

    A byte that begins no whole character (stray, overlong, surrogate, cut off at `end`) is U+FFFD of length 1.
    """
    first = data[position]
    if first < 0x80:
        return int(first), 1
    left = end - position
    if 0xC2 <= first < 0xE0 and left > 1 and data[position + 1] & 0xC0 == 0x80:
        return ((first & 0x1F) << 6) | (data[position + 1] & 0x3F), 2
    if 0xE0 <= first < 0xF0 and left > 2 and data[position + 1] & 0xC0 == 0x80 and data[position + 2] & 0xC0 == 0x80:
        code = ((first & 0x0F) << 12) | ((data[position + 1] & 0x3F) << 6) | (data[position + 2] & 0x3F)
        if code >= 0x800 and (code < 0xD800 or code > 0xDFFF):
            return code, 3
    if 0xF0 <= first < 0xF5 and left > 3:
        second, third, fourth = data[position + 1], data[position + 2], data[position + 3]
        if second & 0xC0 == 0x80 and third & 0xC0 == 0x80 and fourth & 0xC0 == 0x80:
            code = ((first & 0x07) << 18) | ((second & 0x3F) << 12) | ((third & 0x3F) << 6) | (fourth & 0x3F)
            if 0x10000 <= code <= 0x10FFFF:
                return code, 4
    return REPLACEMENT_CODE, 1


@compiled(inline="always")
def astral_kind(code: int) -> int:
    """Give the kind of a code point above U+FFFF."""
    if 0x20000 <= code <= 0x3FFFD:
        return IDEOGRAPH
    if 0x1F000 <= code <= 0x1FAFF or 0x1D000 <= code <= 0x1D3FF:
        return SYMBOL
    return APOSTROPHE if 0xE0000 <= code <= 0xE0FFF else LETTER  # tags and variation selectors, which nobody sees
