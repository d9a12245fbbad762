"""The journal: one line for each fact of the search, shared by its workers, whole again after any kill."""

import fcntl
import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from burnish.errors import BurnishError
from burnish.runtime import need

logger = logging.getLogger(__name__)

_BLOCK = 1 << 16


def open_journal(path: Path, *, warn: Callable[[str], None] = logger.warning) -> Any:
    """Open or begin a journal as Optuna's storage, its torn end cut off.

    Raises:
        BurnishError: a line before the last is no JSON, so that somebody else must have written into it.
    """
    storages = need("optuna", extra="search").storages
    lock = _Lock(path, warn)
    with lock.held():
        _check(path)
    return storages.JournalStorage(storages.journal.JournalFileBackend(str(path), lock_obj=lock))


@contextmanager
def turn(path: Path) -> Iterator[None]:
    """Wait until no other worker decides what to try next. The kernel ends a killed worker's turn."""
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def hold(path: Path, taken: str) -> int:
    """Hold a search for this process alone; the kernel lets go of it when the process ends.

    Returns:
        A descriptor; closing it lets go.

    Raises:
        BurnishError: another process has it; `taken` says so.
    """
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise BurnishError(taken) from error
    return descriptor


def cut_torn_end(path: Path) -> int:
    """Cut what follows the last whole line, as a kill in the middle of a write leaves; give the bytes cut."""
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        end = size
        while end > 0:
            start = max(0, end - _BLOCK)
            file.seek(start)
            at = file.read(end - start).rfind(b"\n")
            if at >= 0:
                end = start + at + 1
                break
            end = start
        if end < size:
            file.truncate(end)
            os.fsync(file.fileno())
        return size - end


class _Lock:
    """Optuna's lock on the journal: it mends the end before anybody writes, and a kill releases it."""

    def __init__(self, path: Path, warn: Callable[[str], None]) -> None:
        self._path, self._warn = path, warn
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """Wait for the lock, then cut a torn end."""
        self._descriptor = os.open(self._path.with_suffix(".lock"), os.O_CREAT | os.O_RDWR, 0o644)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        if self._path.exists() and (cut := cut_torn_end(self._path)):
            self._warn(
                f"the journal {self._path} ended in the middle of a line, as a kill leaves it; {cut} bytes were cut, and "
                "the trial that they belong to is tried again"
            )
        return True

    def release(self) -> None:
        """Let others write."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    @contextmanager
    def held(self) -> Iterator[None]:
        self.acquire()
        try:
            yield
        finally:
            self.release()


def _check(path: Path) -> None:
    """Refuse a journal with a line that no writer of ours leaves."""
    if not path.exists():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                json.loads(line)
            except ValueError as error:
                raise BurnishError(
                    f"{path}, line {number}: no JSON ({error}); the journal was altered. Delete it, and the same "
                    "command searches anew"
                ) from error
