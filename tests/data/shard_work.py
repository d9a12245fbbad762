"""Work on shards that a second process can import in no time: it copies, waits, or ends its process."""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from burnish.errors import RecipeError

Advance = Callable[[float], None]


@dataclass(frozen=True)
class Copy:
    """Copy the shard's bytes; note in `log` that it was done, and by which process."""

    log: Path

    def __call__(self, shard: Path, folder: Path, advance: Advance) -> None:
        (folder / "copy").write_bytes(shard.read_bytes())
        (self.log / f"{shard.stem}.{os.getpid()}.{time.monotonic_ns()}").touch()
        advance(1)


@dataclass(frozen=True)
class KillAt:
    """Copy, but at one shard, for the first time, be killed half-way, once `num_before` others are done."""

    log: Path
    at: str
    num_before: int

    def __call__(self, shard: Path, folder: Path, advance: Advance) -> None:
        if shard.stem == self.at and not (self.log / "killed").exists():
            (folder / "copy").write_bytes(b"half")
            while len(list(folder.parent.glob("[!.]*"))) < self.num_before:
                time.sleep(0.01)
            (self.log / "killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        Copy(self.log)(shard, folder, advance)


@dataclass(frozen=True)
class Refuse:
    """Copy, but refuse one shard."""

    log: Path
    at: str

    def __call__(self, shard: Path, folder: Path, advance: Advance) -> None:
        if shard.stem == self.at:
            raise RecipeError(f"{shard.name} is refused")
        Copy(self.log)(shard, folder, advance)


@dataclass(frozen=True)
class WaitForever:
    """Say which process this is, and do not end."""

    log: Path

    def __call__(self, shard: Path, folder: Path, advance: Advance) -> None:
        (self.log / f"pid.{os.getpid()}").touch()
        time.sleep(60)
