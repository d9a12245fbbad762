"""Tidy: bring white space to its normal form, as `repair.normalise` does, without Python."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from burnish.data.kernel.alphabet import NEWLINE, SIZE, SPACE, WIDE_SPACE, tables
from burnish.data.kernel.decode import decode
from burnish.data.kernel.jit import compiled

_MAX_NEWLINES = 2  # at most one blank line


def tidy(data: NDArray[np.uint8], offsets: NDArray[np.int64]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Rewrite each text: line breaks as newlines, lines and text trimmed at the end, at most one blank line.

    Plain spaces and tabs before and inside a line stay: they lay out code, tables and verse. A run of spaces with
    another kind of space in it becomes one plain space, and nothing at the start of a line.

    Returns:
        The new bytes and the new offsets.
    """
    kinds = tables()[0]
    result: tuple[NDArray[np.uint8], NDArray[np.int64]] = _tidy(data, offsets, kinds)
    return result


@compiled()
def _tidy(data: Any, offsets: Any, kinds: Any) -> Any:
    target = np.empty(offsets[-1] - offsets[0] + 1, np.uint8)  # nothing grows
    ends = np.zeros(len(offsets), np.int64)
    written = 0
    for row in range(len(offsets) - 1):
        start, end = offsets[row], offsets[row + 1]
        if _is_tidy(data, start, end, kinds):
            target[written : written + end - start] = data[start:end]
            written += end - start
        else:
            written = _tidy_one(data, start, end, kinds, target, written)
        ends[row + 1] = written
    return target[:written], ends


@compiled()
def _is_tidy(data: Any, start: int, end: int, kinds: Any) -> bool:
    """Tell a text that tidying would not change; most are."""
    if end == start:
        return True
    if data[start] <= 32 or data[end - 1] <= 32:
        return False
    before, num_newlines = 0, 0
    for position in range(start, end):
        byte = data[position]
        if byte == 10:
            num_newlines += 1
            if num_newlines > _MAX_NEWLINES or before == 32 or before == 9:
                return False
        else:
            num_newlines = 0
            if byte < 32 and byte != 9:
                return False
            if 0xC2 <= byte <= 0xE3 and (byte == 0xC2 or byte >= 0xE1):  # the leads of all spaces and breaks
                code, _ = decode(data, position, end)
                kind = kinds[code] if code < SIZE else -1
                if kind in (WIDE_SPACE, NEWLINE):
                    return False
        before = byte
    return True


@compiled()
def _tidy_one(data: Any, start: int, end: int, kinds: Any, target: Any, begin: int) -> int:
    """Write one text to `target` from `begin`; give where it ends."""
    written, num_newlines, run, is_wide = begin, 0, start, False
    position = start
    while position < end:
        byte = data[position]
        if 32 < byte < 127:
            kind, length = -1, 1
        else:
            code, length = decode(data, position, end)
            kind = kinds[code] if code < SIZE else -1
        if kind in (SPACE, WIDE_SPACE):
            is_wide = is_wide or kind == WIDE_SPACE
        elif kind == NEWLINE:
            if not (byte == 13 and position + 1 < end and data[position + 1] == 10):
                num_newlines += 1
            run, is_wide = position + length, False
        else:
            if written > begin:
                for _ in range(min(num_newlines, _MAX_NEWLINES)):
                    target[written] = 10
                    written += 1
                written = _write_run(data, run, position, is_wide, num_newlines > 0, target, written)
            for place in range(position, position + length):
                target[written] = data[place]
                written += 1
            num_newlines, run, is_wide = 0, position + length, False
        position += length
    return written


@compiled(inline="always")
def _write_run(data: Any, start: int, end: int, is_wide: bool, at_line_start: bool, target: Any, written: int) -> int:
    """Write the spaces that stand before a character."""
    if is_wide:
        if not at_line_start:
            target[written] = 32
            written += 1
        return written
    for place in range(start, end):
        target[written] = data[place]
        written += 1
    return written
