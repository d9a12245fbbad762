"""The resident memory of this process."""

import contextlib
import resource
from pathlib import Path


def resident_bytes() -> int:
    """Read this process's resident memory; where /proc is missing, its peak."""
    with contextlib.suppress(OSError):
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
