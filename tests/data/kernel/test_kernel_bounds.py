"""Bounds: a read of one byte before or beyond the texts ends the process, since no memory is there."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

_SCRIPT = """
import ctypes, mmap, sys
import numpy as np
from burnish.data.duplicates import bloom
from burnish.data.kernel import bands, inspect, measure, personal, tidy

page = mmap.PAGESIZE
memory = mmap.mmap(-1, 3 * page)
base = ctypes.addressof(ctypes.c_char.from_buffer(memory))
libc = ctypes.CDLL(None, use_errno=True)
for place in (base, base + 2 * page):  # nothing can be read there
    assert libc.mprotect(ctypes.c_void_p(place), ctypes.c_size_t(page), 0) == 0, ctypes.get_errno()
between = np.ctypeslib.as_array((ctypes.c_uint8 * page).from_address(base + page))

def read(data, offsets):
    inspect.damaged(data, offsets)
    personal.windows(data, offsets)
    tidied = tidy.tidy(data, offsets)
    measure.measure(data, offsets, length=3, is_bytes=False)
    measure.measure(data, offsets, length=3, is_bytes=True)
    measure.shingle_sets(data, offsets, length=3, is_bytes=True)
    return len(tidied[0])

ends = [b"", b"a", b"\\r", b"\\n", b"<", b"</", b"<a", b"<b", b"<s", b"&", b"&amp", b"&#", b"1.2.3.", b"::", b"a:", b"P", b"PRIVATE KE",
        b".", b"..", b"@", b"1", b"-", b"x ", "…".encode(), "中".encode(), "𠀀".encode(), "\\u3000".encode(), b"\\xc2", b"\\xe2", b"\\xe2\\x80", b"\\xf0\\x9f\\x98", b"\\x80"]
rng = np.random.default_rng(0)
pairs = bands.bucket_pairs(np.zeros(100, np.uint64), np.arange(100))
signatures = rng.integers(0, 9, (100, 120)).astype(np.uint16)
bands.agreement(signatures, pairs), bands.band_keys(signatures, 116, 4), bands.band_keys(signatures, 0, 120)
bands.similarities(np.arange(9, dtype=np.uint32), np.array([0, 0, 4, 9]), np.array([[0, 1], [1, 2], [2, 2]]))
bloom.Bloom(3, 0.5).add(rng.integers(0, 2**64, (500, 2), np.uint64))
ends += [bytes(rng.integers(0, 256, size, dtype=np.uint8)) for size in range(1, 40) for _ in range(5)]
ends += [bytes(rng.choice(np.frombuffer(b" \\n.<&a1:@\\xe2\\x80\\xa6\\xc2\\xa0\\xf0", np.uint8), size)) for size in range(1, 40) for _ in range(5)]
for text in ends:
    size = len(text)
    for place in (0, page - size):
        between[place : place + size] = np.frombuffer(text, np.uint8)
        read(between[place : place + size], np.array([0, size], np.int64))
        read(between[place : place + size], np.array([0, size // 2, size // 2, size], np.int64))
print("read", len(ends))
if len(sys.argv) > 1:
    print(int(np.ctypeslib.as_array((ctypes.c_uint8 * 1).from_address(base + 2 * page))[0]))
"""


def run_script(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", _SCRIPT, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=250, env=os.environ | variables)


def test_nothing_outside_a_text_is_read() -> None:
    done = run_script("and then one byte beyond")
    assert done.stdout.startswith("read 422"), done.stderr
    assert done.returncode == -signal.SIGSEGV  # which shows that the pages are guarded


def test_the_same_script_ends_well_without_that_byte() -> None:
    assert run_script().returncode == 0


@pytest.mark.slow  # compiles everything anew
def test_no_array_is_too_short(tmp_path: Path) -> None:
    done = run_script(NUMBA_BOUNDSCHECK="1", NUMBA_CACHE_DIR=str(tmp_path))
    assert (done.returncode, done.stdout) == (0, "read 422\n"), done.stderr
