"""Snapshots by breaking them: at every moment of a write, in either slot, on a full disk, while training goes on."""

import os
import resource
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from burnish.errors import BurnishError
from burnish.learn import snapshots
from burnish.learn.snapshots import SnapshotWriter, load_snapshot, save_snapshot


def state(step: int, size: int = 3) -> dict[str, Any]:
    return {"step": step, "weights": torch.full((size,), float(step)), "nested": [({"a": torch.tensor(step)}, None)]}


@pytest.fixture
def said() -> list[str]:
    return []


def loaded(folder: Path, said: list[str] | None = None) -> int:
    """Load, check that all of it is of one step, and give the step; -1 for none."""
    heard: list[str] = []
    found = load_snapshot(folder, (heard if said is None else said).append)
    assert said is not None or heard == []
    if found is None:
        return -1
    step: int = found["step"]
    assert found["weights"].unique().tolist() == [step]
    assert found["nested"][0][0]["a"].item() == step
    return step


def slot_of(folder: Path, step: int) -> Path:
    return next(p for p in folder.glob("*.mark") if p.read_text().startswith(f"{step} ")).with_suffix(".pt")


def flip_last_byte(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1] + b"x")


def test_the_newest_wins(tmp_path: Path) -> None:
    assert loaded(tmp_path) == -1
    for step in (1, 2, 3, 10):
        save_snapshot(tmp_path, state(step))
        assert loaded(tmp_path) == step
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mark", "a.pt", "b.mark", "b.pt"]


@pytest.mark.parametrize("how", ["flipped", "cut", "gone"])
def test_a_corrupt_slot_is_told_and_the_older_one_taken(tmp_path: Path, said: list[str], how: str) -> None:
    for step in (1, 2, 3):
        save_snapshot(tmp_path, state(step))
    newest = slot_of(tmp_path, 3)
    match how:
        case "flipped":
            flip_last_byte(newest)
        case "cut":
            os.truncate(newest, 100)
        case _:
            newest.unlink()
    assert loaded(tmp_path, said) == 2
    assert said == [
        f"the snapshot of step 3 ({newest}) is corrupt and left out; the one before it is taken where there is one, else "
        "training begins anew"
    ]
    save_snapshot(tmp_path, state(4))
    assert slot_of(tmp_path, 2).exists()  # the new one went over the corrupt one, not over the good one
    flip_last_byte(slot_of(tmp_path, 4))
    assert loaded(tmp_path, said) == 2


def test_two_corrupt_slots_are_both_told(tmp_path: Path, said: list[str]) -> None:
    for step in (1, 2):
        save_snapshot(tmp_path, state(step))
    for path in tmp_path.glob("*.pt"):
        flip_last_byte(path)
    assert loaded(tmp_path, said) == -1
    assert len(said) == 2
    save_snapshot(tmp_path, state(5))
    assert loaded(tmp_path) == 5


@pytest.mark.parametrize("torn", [b"", b"4", b"x y", b"\xff\xfe 12", b"9 " + b"0" * 64])
def test_a_torn_mark_is_told(tmp_path: Path, said: list[str], torn: bytes) -> None:
    save_snapshot(tmp_path, state(7))
    (tmp_path / "b.mark").write_bytes(torn)
    assert loaded(tmp_path, said) == 7
    assert len(said) == 1
    assert "is corrupt" in said[0]


class Watch:
    """Copy a folder at each of the process's changes of the file system: what kill -9 would leave there."""

    def __init__(self) -> None:
        self.folder: Path | None = None
        self.moments: list[Path] = []
        sys.addaudithook(self._seen)  # stays for good, and does nothing without a folder

    def _seen(self, event: str, arguments: tuple[object, ...]) -> None:
        if self.folder is not None and event in ("open", "os.rename", "os.remove"):
            self.take()

    def take(self) -> None:
        folder, self.folder = self.folder, None
        assert folder is not None
        self.moments.append(folder.with_name(f"moment_{len(self.moments)}"))
        shutil.copytree(folder, self.moments[-1])
        self.folder = folder


def test_killed_at_any_moment_of_a_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At each moment the state before or the new one is there whole, and a resumed run can write on."""
    folder = tmp_path / "snapshots"
    folder.mkdir()
    for step in (1, 2):
        save_snapshot(folder, state(step, 5000))
    watch, write = Watch(), snapshots._Writing.write

    def watched(self: Any, data: bytes) -> int:
        written = write(self, data)
        watch.take()
        return written

    monkeypatch.setattr(snapshots._Writing, "write", watched)
    watch.folder = folder
    save_snapshot(folder, state(3, 5000))
    watch.folder = None
    monkeypatch.undo()
    steps = []
    for moment in watch.moments:
        for torn in (False, True):
            copy = tmp_path / "copy"
            shutil.copytree(moment, copy)
            for partial in copy.glob("*partial"):
                if torn:
                    os.truncate(partial, partial.stat().st_size // 2)
            steps.append(loaded(copy))
            save_snapshot(copy, state(4, 5000))
            assert loaded(copy) == 4
            assert not list(copy.glob("*partial"))
            shutil.rmtree(copy)
    assert len(watch.moments) > 10
    assert steps == sorted(steps)
    assert set(steps) == {2, 3}  # the new one counts from its mark on
    assert loaded(folder) == 3


def test_what_is_written_is_the_state_when_it_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    may_write = threading.Event()

    def slow(folder: Path, state: dict[str, Any]) -> None:
        assert may_write.wait(30)
        save_snapshot(folder, state)

    monkeypatch.setattr(snapshots, "save_snapshot", slow)
    living = state(5)
    with SnapshotWriter(tmp_path, pytest.fail) as writer:
        writer.save(living, until_update=("weights",))
        assert not list(tmp_path.iterdir())  # the caller is not held up
        writer.before_update()
        living["weights"] += 1
        living["nested"][0][0]["a"] += 1
        living["nested"].append(None)
        writer.check()
        may_write.set()
    assert loaded(tmp_path) == 5


def test_there_is_never_more_than_one_in_flight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at_work: list[int] = []
    most = []

    def counted(folder: Path, state: dict[str, Any]) -> None:
        at_work.append(1)
        time.sleep(0.02)
        most.append(len(at_work))
        save_snapshot(folder, state)
        at_work.pop()

    monkeypatch.setattr(snapshots, "save_snapshot", counted)
    with SnapshotWriter(tmp_path, pytest.fail) as writer:
        for step in range(1, 6):
            writer.save(state(step))
    assert most == [1] * 5  # none was left out either
    assert loaded(tmp_path) == 5


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file of this process may grow over 64 KiB: a real failed write, with no privilege."""
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, ignored)


@pytest.mark.usefixtures("small_files")
def test_a_failed_write_is_raised_and_leaves_nothing_half_done(tmp_path: Path, said: list[str]) -> None:
    with SnapshotWriter(tmp_path, said.append) as writer:
        writer.save(state(1))
        writer.save(state(2, 100_000))
        with pytest.raises(BurnishError, match=r"snapshot of step 2 was not written, .* are kept: .* too large"):
            wait_for(writer)
        writer.check()  # told once
        writer.save(state(3))
        writer.save(state(4, 100_000))
        with pytest.raises(BurnishError, match="snapshot of step 4 was not written"):
            writer.save(state(5))
        assert said == []
        writer.save(state(6, 100_000))
    assert len(said) == 1  # training is over, and its result does not hang on this
    assert "snapshot of step 6 was not written" in said[0]
    assert loaded(tmp_path) == 3
    assert not list(tmp_path.glob("*partial"))


def wait_for(writer: SnapshotWriter) -> None:
    for _ in range(500):
        writer.check()
        time.sleep(0.01)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="copies beside the training need a GPU")
def test_a_copy_on_a_stream_of_its_own_is_of_the_time_it_was_asked_for(tmp_path: Path) -> None:
    weights = torch.zeros(1 << 26, device="cuda")
    with SnapshotWriter(tmp_path, pytest.fail) as writer:
        for step in range(1, 6):
            writer.save({"step": step, "weights": weights, "seen": weights[:1]}, until_update=("weights",))
            writer.before_update()
            weights += 1
    found = load_snapshot(tmp_path, pytest.fail)
    assert found is not None
    assert found["weights"].unique().tolist() == [4.0]
    assert found["seen"].item() == 4.0
