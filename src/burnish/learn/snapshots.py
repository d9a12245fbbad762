"""Snapshots of a training run: two slots, a checksum each, the newest good one wins; written beside the training.

A slot is `a.pt` or `b.pt` with a mark that names its step and its SHA-256. A new snapshot goes to the older slot under
another name, and only when all of it is on the disk it takes the slot's name, and then the mark: whatever moment a
machine stops at, a whole snapshot is there. Each takes as much space as the state, and while one is written there are
three.
"""

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

from burnish.artifacts.digest import file_digest
from burnish.artifacts.store import storage_error
from burnish.errors import BurnishError, StorageError
from burnish.runtime import need

_SLOTS = ("a", "b")


class SnapshotWriter:
    """Copy states and write the copies in a thread of its own, one at a time.

    A state that comes while another is being written waits for it: a resumed run then loses no more steps than the
    recipe says, and there is never more than one copy in memory. A copy takes as much of the CPU's memory as the state.

    Used as a context, it ends with the last snapshot written. A write that failed is raised by the next `check` or
    `save`; at the end of the context it is a warning, since what it was for is over.

    Args:
        folder: survives a killed run.
        say: is told what a failed write at the end costs.
    """

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        self._folder, self._say = folder, say
        self._thread = ThreadPoolExecutor(1, "snapshots")
        self._pending: Future[None] | None = None
        self._copied: Any = None  # the CUDA event after the copies under way
        self._side: Any = None  # the CUDA stream that copies

    def __enter__(self) -> "SnapshotWriter":
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._finish()
        except BurnishError as error:
            self._say(str(error))
        finally:
            self._thread.shutdown()

    def save(self, state: dict[str, Any], *, until_update: tuple[str, ...] = ()) -> None:
        """Copy `state` and begin to write the copy.

        Args:
            state: tensors, numbers, text and containers of these; must hold an int `step`.
            until_update: entries that stay as they are until `before_update` is called; on a GPU their copies run
                beside the next step. The other entries are copied before this returns.

        Raises:
            BurnishError: the snapshot before this one could not be written.
        """
        self._finish()
        moved = {key: self._copy(value, is_late=key in until_update) for key, value in state.items()}
        if self._side is not None:
            self._copied = self._side.record_event()
        self._pending = self._thread.submit(_write, self._folder, moved, self._copied)

    def before_update(self) -> None:
        """Let the GPU's next work wait for copies of what it is about to change."""
        if self._copied is not None:
            need("torch", extra="train").cuda.current_stream().wait_event(self._copied)
            self._copied = None

    def check(self) -> None:
        """Tell whether the newest write failed; ask at every step.

        Raises:
            BurnishError: it did.
        """
        if self._pending is not None and self._pending.done():
            self._finish()

    def _finish(self) -> None:
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def _copy(self, value: Any, *, is_late: bool) -> Any:
        torch = need("torch", extra="train")
        match value:
            case dict():
                return {key: self._copy(item, is_late=is_late) for key, item in value.items()}
            case list() | tuple():
                return type(value)(self._copy(item, is_late=is_late) for item in value)
            case torch.Tensor() if value.is_cuda and is_late:
                return self._copy_beside(value.detach())
            case torch.Tensor():
                return value.detach().to("cpu", copy=True)
            case _:
                return value

    def _copy_beside(self, tensor: Any) -> Any:
        """Copy a GPU's tensor to pinned memory, on a stream that waits for the work so far and holds up none."""
        torch = need("torch", extra="train")
        if self._side is None:
            self._side = torch.cuda.Stream()
        target = torch.empty_like(tensor, device="cpu", pin_memory=True)
        self._side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._side):
            target.copy_(tensor, non_blocking=True)
        tensor.record_stream(self._side)
        return target


def save_snapshot(folder: Path, state: dict[str, Any]) -> None:
    """Write `state` into the older slot: the other slot stays whole whatever happens meanwhile.

    Args:
        folder: survives a killed run.
        state: tensors, numbers, text and containers of these; must hold an int `step`.

    Raises:
        OSError: the disk is full or broken. What was half written is gone then, and both slots are as they were.
    """
    torch = need("torch", extra="train")
    slot = min(_SLOTS, key=lambda name: _step(folder, name))
    partial, partial_mark = folder / f"{slot}.partial", folder / f"{slot}.mark.partial"
    try:
        with partial.open("wb", buffering=0) as file:
            writing = _Writing(file)
            torch.save(state, writing)
            digest = writing.finish()
        (folder / f"{slot}.mark").unlink(missing_ok=True)
        partial.replace(folder / f"{slot}.pt")
        _sync(folder)
        with partial_mark.open("w", encoding="ascii") as mark:
            mark.write(f"{state['step']} {digest}\n")
            mark.flush()
            os.fsync(mark.fileno())
        partial_mark.replace(folder / f"{slot}.mark")
        _sync(folder)
    except OSError:
        partial.unlink(missing_ok=True)
        partial_mark.unlink(missing_ok=True)
        raise


def load_snapshot(folder: Path, say: Callable[[str], None]) -> dict[str, Any] | None:
    """Read the newest snapshot whose checksum holds, its tensors on the CPU; None where there is none.

    Args:
        folder: as given to `save_snapshot`.
        say: is told of each slot that is corrupt. Such a slot counts as empty from then on, so that the next snapshot
            goes there and not over the good one.
    """
    torch = need("torch", extra="train")
    steps = {slot: _step(folder, slot) for slot in _SLOTS}
    for slot in sorted(_SLOTS, key=lambda name: (steps[name] >= 0, -steps[name])):  # torn marks first
        mark, path = folder / f"{slot}.mark", folder / f"{slot}.pt"
        if not mark.exists():
            continue
        step = steps[slot]
        if step >= 0 and path.exists() and file_digest(path) == _words(mark)[1]:
            state: dict[str, Any] = torch.load(path, weights_only=True)
            return state
        what = f"the snapshot of step {step} ({path})" if step >= 0 else f"{mark}"
        say(f"{what} is corrupt and left out; the one before it is taken where there is one, else training begins anew")
        mark.unlink()
    return None


def _write(folder: Path, state: dict[str, Any], copied: Any) -> None:
    if copied is not None:
        copied.synchronize()
    try:
        save_snapshot(folder, state)
    except OSError as error:
        reason = storage_error(error, folder)
        raise StorageError(f"the snapshot of step {state['step']} was not written, those before it are kept: {reason}") from error  # fmt: skip


class _Writing:
    """A file as torch sees it: hashes what passes, and keeps an error to itself until torch is done with the file.

    Torch's zip writer is C++ and cannot be left in the middle by an exception.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self._error: OSError | None = None

    def write(self, data: bytes | memoryview) -> int:
        view = memoryview(data).cast("B")
        if self._error is None:
            try:
                self._hash.update(view)
                done = 0
                while done < len(view):
                    done += self._file.write(view[done:])
            except OSError as error:
                self._error = error
        return len(view)

    def flush(self) -> None:
        """Do nothing: the file has no buffer."""

    def finish(self) -> str:
        """Bring the file to the disk; give its digest."""
        if self._error is not None:
            raise self._error
        os.fsync(self._file.fileno())
        return self._hash.hexdigest()


def _step(folder: Path, slot: str) -> int:
    """Give the step of a slot, or -1 where it is empty or its mark is torn."""
    words = _words(folder / f"{slot}.mark")
    return int(words[0]) if len(words) == 2 and words[0].isdigit() else -1


def _words(mark: Path) -> list[str]:
    return mark.read_text(encoding="ascii", errors="replace").split() if mark.exists() else []


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
