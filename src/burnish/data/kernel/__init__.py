"""Kernel: one pass over the bytes of a batch of texts, compiled, in place of Python for each text.

A batch is an Arrow string column seen as two arrays: `data` (uint8, all texts end to end) and `offsets`
(int64, N + 1). Bytes that are no UTF-8 are read as U+FFFD, one each; no function reads beyond its text.
The compiled code is cached after the first use, in the user's cache folder or in `NUMBA_CACHE_DIR`.
"""
