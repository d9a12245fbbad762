"""Neighbours: vectors with a large cosine, found among many without comparing each with all.

About sqrt(N) rows drawn by chance are the centres of cells; no clustering is trained. Each row lies in the cell of its
nearest centre, and is compared with the rows of the few cells nearest to it. In memory are 12 bytes a row and probe,
one block of comparisons, and of each row with copies the first few in each cell.

Source: Sivic and Zisserman 2003, doi:10.1109/ICCV.2003.1238663 (inverted file); centres by chance are ours.
Legend: N rows, best first; D dimensions; C cells; P probes.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_BLOCK_ROWS = 2048  # compared with as many at once: 16 MB of cosines
_FIRST_COPIES = 3  # of a row in one cell; the best rows come first, and of a cluster the best one stays
_ROUNDING = 1e-6  # of cosines in single precision; equal texts must reach a threshold of 1

Half = NDArray[np.float16]
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Cells:
    """Hold where rows lie and where each is looked for.

    Attributes:
        members: rows by cell, ascending; cell c has `members[starts[c]:starts[c + 1]]`.
        asking: rows that are looked for in a cell, likewise.
        probes: (N, P) cells in which each row is looked for, the nearest first.
    """

    members: Rows
    starts: Rows
    asking: Rows
    asking_starts: Rows
    probes: NDArray[np.int32]

    def of(self, cell: int) -> Rows:
        """Give the rows that lie in a cell."""
        return self.members[self.starts[cell] : self.starts[cell + 1]]

    def askers(self, cell: int) -> Rows:
        """Give the rows that are looked for in a cell."""
        return self.asking[self.asking_starts[cell] : self.asking_starts[cell + 1]]


def draw_cells(vectors: Half, *, num_probes: int, seed: int) -> Cells:
    """Draw centres, and find every row's cells."""
    count = max(1, math.isqrt(len(vectors)))
    chosen = np.sort(np.random.default_rng(seed).choice(len(vectors), count, replace=False))
    centres = unit_rows(vectors, chosen)
    width = min(num_probes, count)
    probes = np.empty((len(vectors), width), np.int32)
    for start in range(0, len(vectors), _BLOCK_ROWS):
        rows = np.arange(start, min(len(vectors), start + _BLOCK_ROWS))
        cosines = unit_rows(vectors, rows) @ centres.T
        nearest = np.argpartition(-cosines, width - 1, axis=1)[:, :width]
        by_cosine = np.argsort(-np.take_along_axis(cosines, nearest, axis=1), axis=1, kind="stable")
        probes[rows] = np.take_along_axis(nearest, by_cosine, axis=1)
    members, starts = _by_cell(probes[:, :1], count)
    asking, asking_starts = _by_cell(probes, count)
    return Cells(members, starts, asking, asking_starts, probes)


def find_copies(
    vectors: Half, cells: Cells, threshold: float, *, advance: Callable[[float], None] = lambda _: None
) -> dict[int, tuple[int, float]]:
    """Take rows in order; keep each unless it is as like a kept one as the threshold; give row -> (kept row, cosine).

    So every copy's partner is itself kept, and clusters joined by a chain of likenesses are not dropped whole.

    Args:
        advance: told of each number of cells done.
    """
    rows, others, cosines, is_full = _candidates(vectors, cells, threshold, advance)
    if len(rows) == 0:
        return {}
    order = np.lexsort((others, rows))
    rows, others, cosines, is_full = rows[order], others[order], cosines[order], is_full[order]
    firsts = np.flatnonzero(np.r_[True, rows[1:] != rows[:-1]])
    copies: dict[int, tuple[int, float]] = {}
    for start, end in zip(firsts.tolist(), [*firsts[1:].tolist(), len(rows)], strict=True):
        row = int(rows[start])
        kept = [place for place in range(start, end) if int(others[place]) not in copies]
        if kept:
            best = max(kept, key=lambda place: (cosines[place], -others[place]))
            copies[row] = (int(others[best]), float(min(1.0, cosines[best])))
        elif is_full[start:end].any():  # all that were noted go themselves, and there may be more
            found = _among_kept(vectors, row, np.concatenate([cells.of(int(c)) for c in cells.probes[row]]), copies)
            if found is not None and found[1] >= threshold - _ROUNDING:
                copies[row] = found
    return copies


def best_kept(vectors: Half, rows: Rows, copies: dict[int, tuple[int, float]]) -> NDArray[np.float32]:
    """Give the largest cosine of each of `rows` with any kept row before it, in one pass over all; -1 where none is."""
    is_kept = np.ones(len(vectors), np.bool_)
    is_kept[list(copies)] = False
    best = np.full(len(rows), -1.0, np.float32)
    mine = unit_rows(vectors, rows)
    for start in range(0, len(vectors), _BLOCK_ROWS):
        others = np.arange(start, min(len(vectors), start + _BLOCK_ROWS))
        cosines = np.where(is_kept[others] & (others < rows[:, None]), mine @ unit_rows(vectors, others).T, -1.0)
        best = np.maximum(best, cosines.max(axis=1))
    return best


def unit_rows(vectors: Half, rows: Rows) -> NDArray[np.float32]:
    """Read rows in single precision, at length 1 again after rounding; a row of zeros stays."""
    block = np.asarray(vectors[rows], np.float32)
    lengths = np.linalg.norm(block, axis=1, keepdims=True)
    block /= np.where(lengths == 0, 1, lengths)
    return block


def _by_cell(probes: NDArray[np.int32], count: int) -> tuple[Rows, Rows]:
    """Sort rows by cell, ascending within each."""
    order = np.argsort(probes.ravel(), kind="stable")
    starts = np.zeros(count + 1, np.int64)
    np.cumsum(np.bincount(probes.ravel(), minlength=count), out=starts[1:])
    return order // probes.shape[1], starts


def _candidates(
    vectors: Half, cells: Cells, threshold: float, advance: Callable[[float], None]
) -> tuple[Rows, Rows, NDArray[np.float32], NDArray[np.bool_]]:
    """Find each row's first few copies in each cell: rows, others, cosines, and whether a cell may hold more."""
    parts: list[tuple[Rows, Rows, NDArray[np.float32], NDArray[np.bool_]]] = []
    for cell in range(len(cells.starts) - 1):
        members, asking = cells.of(cell), cells.askers(cell)
        noted = np.zeros(len(asking), np.int64)
        for mine in _blocks(len(members)):
            held = unit_rows(vectors, members[mine])
            for yours in _blocks(len(asking)):
                parts += _first(
                    unit_rows(vectors, asking[yours]) @ held.T, asking[yours], members[mine], noted[yours], threshold
                )
        advance(1)
    if not parts:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32), np.zeros(0, np.bool_)
    rows, others, cosines, is_full = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return rows, others, cosines, is_full


def _first(
    cosines: NDArray[np.float32], asking: Rows, members: Rows, noted: Rows, threshold: float
) -> Iterator[tuple[Rows, Rows, NDArray[np.float32], NDArray[np.bool_]]]:
    """Give the first members that each asking row copies, up to a few in all blocks; `noted` counts them, in place."""
    close = (cosines >= threshold - _ROUNDING) & (members[None, :] < asking[:, None])
    for _ in range(_FIRST_COPIES):
        place = np.argmax(close, axis=1)
        found = np.flatnonzero(close[np.arange(len(asking)), place] & (noted < _FIRST_COPIES))
        if len(found) == 0:
            return
        at = place[found]
        noted[found] += 1
        yield asking[found], members[at], cosines[found, at], noted[found] == _FIRST_COPIES
        close[found, at] = False


def _blocks(count: int) -> Iterator[slice]:
    for start in range(0, count, _BLOCK_ROWS):
        yield slice(start, min(count, start + _BLOCK_ROWS))


def _among_kept(vectors: Half, row: int, among: Rows, copies: dict[int, tuple[int, float]]) -> tuple[int, float] | None:
    """Find the most alike of the rows before `row` that are kept."""
    kept = np.array([other for other in among.tolist() if other < row and other not in copies], np.int64)
    if len(kept) == 0:
        return None
    cosines = unit_rows(vectors, kept) @ unit_rows(vectors, np.array([row]))[0]
    place = int(np.argmax(cosines))
    return int(kept[place]), float(min(1.0, cosines[place]))
