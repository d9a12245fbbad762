"""Personal: what of personal data a text may hold, told from its bytes; `pii` looks closely where there is a hint.

The hints are the necessary conditions that `pii.may_have_pii` states: without one, no kind that needs it is there.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from burnish.data.kernel.jit import compiled

AT, NUMBER, DOTS, COLONS, RUN, PRIVATE = (1 << bit for bit in range(6))

_NUM_DIGITS = 7
_MAX_GAP = 3
_NUM_RUN_CHARS = 16
_NUM_GROUPS = 7
_PRIVATE_KEY = np.frombuffer(b"PRIVATE KEY", np.uint8)


@dataclass(frozen=True)
class Windows:
    """Hold W pieces of texts, in order, that may hold personal data.

    A piece is a line that hints, with the line before it that is not blank, since a key may stand below its name;
    overlapping ones are one. A text with the words of a private key, which goes over lines, is one piece.

    Attributes:
        rows: (W,) of the text.
        starts: (W,) in the batch's bytes.
        ends: (W,).
        hints: (W,) sums of `AT`, `NUMBER`, ….
    """

    rows: NDArray[np.int64]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    hints: NDArray[np.uint8]


def windows(data: NDArray[np.uint8], offsets: NDArray[np.int64]) -> Windows:
    """Find the pieces of each text in which `pii.mask` may find something; elsewhere it finds nothing."""
    rows, starts, ends, hints = _windows(data, offsets, _PRIVATE_KEY)
    return Windows(rows, starts, ends, hints)


@compiled()
def _windows(data: Any, offsets: Any, private_key: Any) -> Any:
    rows, starts, ends, hints = [np.int64(0)], [np.int64(0)], [np.int64(0)], [np.uint8(0)]  # types for the compiler
    for row in range(len(offsets) - 1):
        start, end = offsets[row], offsets[row + 1]
        before, line, first = start, start, len(rows)
        while line < end:
            stop = line
            while stop < end and data[stop] != 10:
                stop += 1
            hint = _numbers(data, line, stop) | _words(data, line, stop, private_key)
            if hint & PRIVATE:
                while len(rows) > first:
                    hints.pop()
                    rows.pop()
                    starts.pop()
                    ends.pop()
                rows.append(np.int64(row))
                starts.append(start)
                ends.append(end)
                hints.append(np.uint8(63))
                break
            if hint and len(rows) > first and before <= ends[-1]:
                ends[-1], hints[-1] = stop, np.uint8(hints[-1] | hint)
            elif hint:
                rows.append(np.int64(row))
                starts.append(before)
                ends.append(stop)
                hints.append(np.uint8(hint))
            before, line = line if stop > line else before, stop + 1
    return np.array(rows[1:]), np.array(starts[1:]), np.array(ends[1:]), np.array(hints[1:])


@compiled()
def _numbers(data: Any, start: int, end: int) -> int:
    """Look for seven digits with up to three separators between two, and for four numbers parted by dots."""
    found = num_digits = gap = num_dots = size = 0
    for position in range(start, end):
        byte = data[position]
        if 48 <= byte <= 57:
            num_digits, gap, size = num_digits + 1, 0, size + 1
            if num_digits >= _NUM_DIGITS:
                found |= NUMBER
            if num_dots >= 3:
                found |= DOTS
            continue
        if byte == 46 and gap == 0 and size > 0 and (num_dots == 0 or size <= 3):
            num_dots += 1
        elif byte == 46 and gap == 0 and size > 3:
            num_dots = 1
        else:
            num_dots = 0
        gap, size = gap + 1, 0
        if gap > _MAX_GAP or byte not in (32, 40, 41, 43, 45, 46):
            num_digits = 0
    return found


@compiled()
def _words(data: Any, start: int, end: int, private_key: Any) -> int:
    """Look for at signs, IPv6 addresses, long runs of letters and digits, and the words of a private key."""
    found = size = num_groups = group = word = 0
    has_digit = has_letter = False
    for position in range(start, end):
        byte = data[position]
        is_digit = 48 <= byte <= 57
        is_letter = 65 <= byte <= 90 or 97 <= byte <= 122
        if is_digit or is_letter or byte in (43, 45, 47, 61, 95):
            size, has_digit, has_letter = size + 1, has_digit or is_digit, has_letter or is_letter
            if size >= _NUM_RUN_CHARS and has_digit and has_letter:
                found |= RUN
            if byte == 80 and _starts_with(data, position, end, private_key):
                found |= PRIVATE
        else:
            size, has_digit, has_letter = 0, False, False
            if byte == 64:
                found |= AT
        if byte == 58:
            is_group = 0 < group <= 4 and group == word
            num_groups = num_groups + 1 if is_group else 0
            is_open = group > 0 or (position + 2 < end and _is_hex(data[position + 2]))  # `::` alone is no address
            is_double = position + 1 < end and data[position + 1] == 58
            if num_groups >= _NUM_GROUPS or (is_double and is_open and group == word):
                found |= COLONS
            group = word = 0
        else:
            group = group + 1 if is_digit or _is_hex(byte) else 0
            word = word + 1 if is_digit or is_letter or byte == 95 else 0
            num_groups = num_groups if group > 0 else 0
    return found


@compiled(inline="always")
def _is_hex(byte: int) -> bool:
    return 48 <= byte <= 57 or 65 <= byte <= 70 or 97 <= byte <= 102


@compiled(inline="always")
def _starts_with(data: Any, position: int, end: int, words: Any) -> bool:
    if end - position < len(words):
        return False
    for place in range(len(words)):  # noqa: SIM110 - compiled code has no generators
        if data[position + place] != words[place]:
            return False
    return True
