"""Compile: the one way in which the kernel's functions are compiled."""

import hashlib
import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from burnish.runtime import need

F = TypeVar("F", bound=Callable[..., Any])


def compiled(*, inline: str = "never") -> Callable[[F], F]:
    """Compile a function to machine code on its first call, without the interpreter's lock, and keep it on disk.

    Integers wrap around, and indices are not checked: each function says what it relies on.
    """
    numba = need("numba", extra="data")

    def compile_it(function: F) -> F:
        before, numba.config.CACHE_DIR = numba.config.CACHE_DIR, _cache_folder(numba.config.CACHE_DIR)
        try:
            made: F = numba.njit(cache=True, nogil=True, boundscheck=False, inline=inline)(function)
        finally:
            numba.config.CACHE_DIR = before
        return made

    return compile_it


@lru_cache(maxsize=1)
def _cache_folder(base: str) -> str:
    """Name the folder of compiled code by the kernel's sources; where it cannot be written, Numba takes another.

    What a function calls, and each constant that it reads, is compiled into it, and Numba asks only whether the
    function's own file has changed.
    """
    kernel = Path(__file__).parent
    sources = [*sorted(kernel.glob("*.py")), kernel.with_name("sketches.py")]
    digest = hashlib.sha256(b"\0".join(path.read_bytes() for path in sources)).hexdigest()[:16]
    user = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "burnish"
    return str(Path(base or user) / f"kernel-{digest}")
