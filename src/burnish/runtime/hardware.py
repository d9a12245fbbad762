"""The machine and its software, as evidence records them."""

import contextlib
import ctypes
import functools
import gc
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from burnish import __version__
from burnish.runtime.extras import EXTRAS, installed_version

_FLAGS_THAT_DECIDE_SPEED = (
    "avx2",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "amx_bf16",
    "amx_int8",
    "asimd",
    "i8mm",
    "bf16",
)


@functools.cache
def fingerprint() -> dict[str, Any]:
    """Describe hardware and software: what a reader needs to believe or repeat a figure."""
    versions = {name: installed_version(name) for names in EXTRAS.values() for name in names}
    return {
        "hardware": hardware(),
        "software": {
            "burnish": __version__,
            "python": platform.python_version(),
            "os": platform.platform(),
            **{name: version for name, version in sorted(versions.items()) if version is not None},
        },
    }


@functools.cache
def hardware() -> dict[str, Any]:
    """Describe processor, cores, memory and GPUs."""
    cpuinfo = _cpuinfo()
    flags = set((cpuinfo.get("flags") or cpuinfo.get("Features") or "").split())
    return {
        "cpu": cpuinfo.get("model name") or platform.processor() or platform.machine(),
        "architecture": platform.machine(),
        "num_cores": num_cores(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "cpu_features": [flag for flag in _FLAGS_THAT_DECIDE_SPEED if flag in flags],
        "gpus": _gpus(),
    }


def num_cores() -> int:
    """Count the cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cpuinfo() -> dict[str, str]:
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return {}
    first = path.read_text(encoding="utf-8").split("\n\n", 1)[0]
    pairs = (line.split(":", 1) for line in first.splitlines() if ":" in line)
    return {key.strip(): value.strip() for key, value in pairs}


def _gpus() -> list[str]:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    command = [tool, "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        output = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in output.splitlines() if line.strip()]


def give_memory_back() -> None:
    """Return freed memory to the system, which glibc otherwise keeps: gigabytes after training.

    Cycles that hold tensors are collected first; without torch there are none worth the time.
    """
    if "torch" in sys.modules:
        gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


class PeakMemory:
    """Measure the peak resident memory of this process over a span of work, in bytes.

    On Linux the kernel's high-water mark is reset at the start, so that each stage has its own peak.
    Where it cannot be reset, the peak since the process began is given, which is never too small.
    """

    def __enter__(self) -> "PeakMemory":
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        return self

    def __exit__(self, *_: object) -> None:
        return

    @property
    def peak_bytes(self) -> int:
        """Read the peak so far."""
        status = Path("/proc/self/status")
        if status.exists():
            for line in status.read_text(encoding="ascii").splitlines():
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
