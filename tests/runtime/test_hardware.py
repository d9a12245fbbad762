"""Memory that was freed goes back, and peaks are a span's own."""

import ctypes
import mmap
from pathlib import Path

from burnish.runtime.hardware import PeakMemory, give_memory_back

MIB = 1 << 20


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096


def test_freed_memory_goes_back_to_the_system() -> None:
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]
    blocks = [libc.malloc(64 * 1024) for _ in range(3200)]  # 200 MiB in blocks that glibc keeps when freed
    for block in blocks:
        ctypes.memset(block, 1, 64 * 1024)
    top = libc.malloc(64 * 1024)  # keeps the heap's end in use, so that free alone cannot shrink it
    for block in blocks:
        libc.free(block)
    before = resident_bytes()
    give_memory_back()
    assert before - resident_bytes() > 100 * MIB
    libc.free(top)


def test_a_peak_begins_anew() -> None:
    # from the system: a block of the heap may be resident before
    with PeakMemory() as high, mmap.mmap(-1, 200 * MIB) as block:
        block.write(b"x" * (200 * MIB))
    top = high.peak_bytes
    with PeakMemory() as low:
        assert low.peak_bytes < top - 100 * MIB
