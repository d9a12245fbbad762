"""Lines: what the lines of a text begin and end with, how short they are, and how many were there before."""

from typing import Any

import numpy as np

from burnish.data.kernel.alphabet import BULLET, LINE_END, SIZE
from burnish.data.kernel.decode import decode
from burnish.data.kernel.hashing import Slots, add, mix
from burnish.data.kernel.jit import compiled

# Slots of `counts`.
NUM_LINES, NUM_BULLET, NUM_ELLIPSIS, NUM_ENDED, NUM_SHORT, LINE_BYTES, REPEATED_BYTES, NUM_ELLIPSES = range(8)

_PRIME = np.uint64(0x100000001B3)  # FNV-1a, 64 bits
_BASIS = np.uint64(0xCBF29CE484222325)
SHORT_LINE_BYTES = 30  # 30 Latin characters, 10 Chinese ones


@compiled()
def measure_lines(data: Any, start: int, end: int, marks: Any, slots: Slots, counts: Any) -> None:
    """Count over the lines of a tidy text that are not blank; `counts` (int64, 8) is zeroed here."""
    counts[:] = 0
    begin, num_ellipses = start, 0
    while begin < end:
        stop = begin
        line_hash = _BASIS
        while stop < end:
            byte = data[stop]
            if byte == 10:
                break
            line_hash = (line_hash ^ np.uint64(byte)) * _PRIME
            if byte == 46 or byte == 0xE2:
                num_ellipses += _is_ellipsis(data, stop, end)
            stop += 1
        if stop > begin:
            _count_line(data, begin, stop, marks, counts)
            if add(slots, mix(line_hash)) > 1:
                counts[REPEATED_BYTES] += stop - begin
        begin = stop + 1
    counts[NUM_ELLIPSES] = num_ellipses


@compiled(inline="always")
def _count_line(data: Any, begin: int, stop: int, marks: Any, counts: Any) -> None:
    first, last = begin, stop - 1
    while first < last and data[first] <= 32:  # what stays of an indent
        first += 1
    while last > begin and data[last] & 0xC0 == 0x80:
        last -= 1
    if last + decode(data, last, stop)[1] < stop:
        last = stop - 1  # the last byte is no part of a character
    counts[NUM_LINES] += 1
    counts[LINE_BYTES] += stop - begin
    counts[NUM_SHORT] += stop - begin < SHORT_LINE_BYTES
    counts[NUM_BULLET] += marks_at(data, first, stop, marks) & BULLET != 0
    counts[NUM_ENDED] += marks_at(data, last, stop, marks) & LINE_END != 0
    counts[NUM_ELLIPSIS] += _is_ellipsis(data, last, stop) or (stop - begin >= 3 and _is_ellipsis(data, stop - 3, stop))


@compiled(inline="always")
def marks_at(data: Any, position: int, end: int, marks: Any) -> Any:
    """Give the marks of the character at `position`."""
    code, _ = decode(data, position, end)
    return marks[code] if code < SIZE else 0


@compiled(inline="always")
def _is_ellipsis(data: Any, position: int, end: int) -> Any:
    """Tell `…` and the first of three dots."""
    if position + 2 >= end:
        return False
    first, second, third = data[position], data[position + 1], data[position + 2]
    if first == 46:
        return second == 46 and third == 46 and (position + 3 >= end or data[position + 3] != 46)
    return first == 0xE2 and second == 0x80 and third == 0xA6
