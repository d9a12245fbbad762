"""Batch: an Arrow column of texts as the two arrays that the kernel reads, and back."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from burnish.runtime import need


def to_arrays(texts: Any) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """See a string column without nulls as (data, offsets); nothing is copied but the offsets."""
    arrow = need("pyarrow", extra="data")
    column = texts.combine_chunks() if isinstance(texts, arrow.ChunkedArray) else texts
    if isinstance(column, arrow.ChunkedArray):  # of no chunk, or of too many bytes for one
        column = arrow.concat_arrays(column.chunks) if column.num_chunks else arrow.array([], arrow.string())
    if len(column) == 0:
        return np.zeros(0, np.uint8), np.zeros(1, np.int64)
    _, offsets, data = column.buffers()
    places = np.frombuffer(offsets, np.int32)[column.offset : column.offset + len(column) + 1]
    return np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8), places.astype(np.int64)


def to_column(data: NDArray[np.uint8], offsets: NDArray[np.int64]) -> Any:
    """Make a string column of arrays that hold valid UTF-8."""
    arrow = need("pyarrow", extra="data")
    buffers = [None, arrow.py_buffer(offsets.astype(np.int32)), arrow.py_buffer(data)]
    return arrow.Array.from_buffers(arrow.string(), len(offsets) - 1, buffers)
