"""Ctrl-C and SIGTERM: stop cleanly within seconds, and at once when asked twice.

Python acts on a signal only between its own instructions, so a long call into a library would hold it up.
A small thread is woken by the signal itself: it says that the run is stopping, and ends the process when that
takes too long or when the signal comes again. Ending at any moment is safe: the store seals by one rename.
"""

import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

import click

GRACE_S = 8.0
EXIT_CODE = 130  # 128 + SIGINT, as shells report it
_STOPPING = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stops_cleanly(say: Callable[[str], None], *, grace_s: float = GRACE_S) -> Iterator[None]:
    """Turn the first signal into `KeyboardInterrupt`, the second or `grace_s` without an end into an exit."""
    woken, waker = os.pipe()
    os.set_blocking(waker, False)
    before = {number: signal.signal(number, _interrupt) for number in _STOPPING}
    outer = signal.set_wakeup_fd(waker)
    watch = threading.Thread(target=_watch, args=(woken, say, grace_s), name="stopping", daemon=True)
    watch.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(outer)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(waker)
        watch.join(1.0)
        os.close(woken)


def say_stopped() -> int:
    """Say after a clean stop how to go on, and give the exit code."""
    click.echo("stopped; what is sealed stays. Give the same command again to resume.", err=True)
    return EXIT_CODE


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _watch(woken: int, say: Callable[[str], None], grace_s: float) -> None:
    is_stopping = False
    while True:
        ready, _, _ = select.select([woken], [], [], grace_s if is_stopping else None)
        signals = os.read(woken, 64) if ready else b""
        if ready and not signals:
            return  # the run has ended and closed the other end
        count = sum(number in _STOPPING for number in signals)
        if not ready or (is_stopping and count) or count > 1:
            _end_now()
        if count:
            is_stopping = True
            say("stopping; press Ctrl-C again to stop at once")


def _end_now() -> None:
    shown_again = "\x1b[?25h" if sys.stdout.isatty() else ""  # the cursor, which a live display hides
    with suppress(OSError):
        os.write(2, f"{shown_again}\nstopped at once; give the same command again to resume\n".encode())
    os._exit(EXIT_CODE)
