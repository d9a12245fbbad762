"""`kill -9` at any moment loses nothing sealed, and the same command ends where an undisturbed run ends."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny_stages import DELAY, DIARY, KILL_AT, chain, new_run

from burnish.artifacts import Store

SCRIPT = Path(__file__).with_name("tiny_stages.py")


def start(store: Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), str(store)],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def payloads(store: Path) -> dict[str, str]:
    """Verify every byte in a store and give lineage digest -> payload digest."""
    opened = Store(store)
    digests = [path.name for kind in ("dataset", "model", "report") for path in (store / kind).iterdir()]
    found = {digest: opened.find(digest) for digest in digests}
    return {digest: artifact.manifest.payload_digest for digest, artifact in found.items() if artifact is not None}


@pytest.fixture
def undisturbed(tmp_path: Path) -> dict[str, str]:
    chain(new_run(tmp_path / "undisturbed"))
    return payloads(tmp_path / "undisturbed")


def wait_for(path: Path, text: str) -> None:
    deadline_s = time.monotonic() + 20
    while time.monotonic() < deadline_s:
        if path.exists() and text in path.read_text():
            return
        time.sleep(0.005)
    raise AssertionError(f"{text!r} did not come in {path}")


def test_a_stage_killed_in_the_middle_goes_on_from_its_snapshot(tmp_path: Path, undisturbed: dict[str, str]) -> None:
    store, diary = tmp_path / "store", tmp_path / "diary.txt"
    process = start(store, **{DELAY: "0.05", DIARY: str(diary)})
    wait_for(diary, "walk from 0")
    snapshots = next(iter((store / "work").glob("*.snapshots")))
    wait_for(snapshots / "state.json", ", 3]")
    process.kill()
    assert process.wait() == -signal.SIGKILL
    process.communicate()
    assert payloads(store).items() < undisturbed.items()
    output, errors = start(store, **{DIARY: str(diary)}).communicate(timeout=60)
    assert errors == ""
    assert payloads(store) == undisturbed
    assert output.strip() in undisturbed
    made, first, second, told = diary.read_text().splitlines()
    assert (made, first, told) == ("make 0", "walk from 0", "tell")
    assert int(second.removeprefix("walk from ")) >= 3


def test_killed_at_every_change_of_the_file_system_it_resumes(tmp_path: Path, undisturbed: dict[str, str]) -> None:
    """The n-th write, rename or removal of a fresh process is its last; every n until one comes through."""
    store = tmp_path / "store"
    for number in range(1, 200):
        process = start(store, **{KILL_AT: str(number)})
        _, errors = process.communicate(timeout=60)
        assert payloads(store).items() <= undisturbed.items()
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL, errors
    else:
        pytest.fail("no run came through")
    assert payloads(store) == undisturbed
    assert number > 10  # the kills hit something


@pytest.mark.parametrize("number", range(2, 60, 6))
def test_one_kill_then_one_run_is_enough(tmp_path: Path, undisturbed: dict[str, str], number: int) -> None:
    store = tmp_path / "store"
    killed = start(store, **{KILL_AT: str(number)})
    killed.communicate(timeout=60)
    assert killed.returncode == -signal.SIGKILL
    before = {path: path.stat().st_mtime_ns for path in store.glob("*/*/manifest.json") if path.parts[-3] != "work"}
    resumed = start(store)
    _, errors = resumed.communicate(timeout=60)
    assert (resumed.returncode, errors) == (0, "")
    assert payloads(store) == undisturbed
    assert {path: path.stat().st_mtime_ns for path in before} == before  # nothing sealed was made again


@pytest.mark.slow
def test_killed_twenty_times_at_random_moments_it_ends_the_same(tmp_path: Path, undisturbed: dict[str, str]) -> None:
    rng = random.Random(20)
    num_killed, num_tries = 0, 0
    while num_killed < 20:
        store = tmp_path / f"store-{num_tries // 4}"  # four disturbances to a store
        num_tries += 1
        process = start(store, **{DELAY: "0.03"})
        time.sleep(rng.uniform(0.05, 0.35))
        process.kill()
        num_killed += process.wait() == -signal.SIGKILL
        process.communicate()
        if store.exists():
            assert payloads(store).items() <= undisturbed.items()
        assert num_tries < 200
    for store in tmp_path.glob("store-*"):
        _, errors = start(store).communicate(timeout=60)
        assert errors == ""
        assert payloads(store) == undisturbed
