"""Verify copies: measure the similarity of candidate pairs on the texts themselves, in bounded memory."""

from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from burnish.artifacts import DatasetArtifact
from burnish.data.shards import read_tables, shard_paths
from burnish.data.shingle import Bytes
from burnish.data.sketches import read_shingle
from burnish.runtime import Workdir

_MAX_SETS_BYTES = 64 << 20  # of shingles held at a time


def verified(
    out: Workdir, cleaned: DatasetArtifact, pairs: NDArray[np.int64], threshold: float
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Keep the pairs, (P, 2) of rows, that are at least `threshold` alike; give them and their similarities.

    The shingles of every row in a pair are written to a scratch file once, and read back in blocks.
    """
    from burnish.data.kernel.bands import similarities

    if len(pairs) == 0:
        return pairs, np.zeros(0)
    pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    rows = np.unique(pairs)
    found = np.zeros(len(pairs))
    path = out.snapshots / "shingles.bin"
    with path.open("w+b") as file, out.progress("compare", total=len(pairs), unit="pairs") as bar:
        ends = _write_sets(cleaned, rows, file)
        places = np.searchsorted(rows, pairs)
        for start, stop in _blocks(places, np.diff(ends)):
            mine, local = np.unique(places[start:stop], return_inverse=True)
            flat, cuts = _read_sets(file, ends, mine)
            found[start:stop] = similarities(flat, cuts, local.reshape(-1, 2))
            bar.advance(stop - start)
    path.unlink()
    is_copy = found >= threshold
    return pairs[is_copy], found[is_copy]


def _write_sets(cleaned: DatasetArtifact, rows: NDArray[np.int64], file: BinaryIO) -> NDArray[np.int64]:
    """Write the sets of `rows` (sorted) one after another; give where each ends, in shingles, from 0."""
    from burnish.data.kernel.batch import to_arrays
    from burnish.data.kernel.measure import shingle_sets

    shingle, sizes, start = read_shingle(cleaned), [0], 0
    for path in shard_paths(cleaned):
        for table in read_tables(path):
            low, high = np.searchsorted(rows, [start, start + table.num_rows])
            if high > low:
                data, offsets = to_arrays(table.column("text").take(rows[low:high] - start))
                for each in shingle_sets(data, offsets, length=shingle.length, is_bytes=isinstance(shingle, Bytes)):
                    file.write(each.tobytes())
                    sizes.append(len(each))
            start += table.num_rows
    file.flush()
    return np.cumsum(sizes)


def _blocks(places: NDArray[np.int64], sizes: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Cut the pairs into blocks whose sets, each pair's counted for itself, stay under the bound."""
    weight = np.cumsum((sizes[places[:, 0]] + sizes[places[:, 1]]) * np.dtype(np.uint32).itemsize)
    start = 0
    while start < len(places):
        done = weight[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(weight, done + _MAX_SETS_BYTES)))
        yield start, stop
        start = stop


def _read_sets(
    file: BinaryIO, ends: NDArray[np.int64], which: NDArray[np.int64]
) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    sizes = ends[which + 1] - ends[which]
    flat, cuts = np.empty(sizes.sum(), np.uint32), np.concatenate([[0], np.cumsum(sizes)])
    for index, place in enumerate(which.tolist()):
        file.seek(int(ends[place]) * flat.itemsize)
        file.readinto(flat[cuts[index] : cuts[index + 1]])  # type: ignore[attr-defined]  # a file on disk has it
    return flat, cuts
