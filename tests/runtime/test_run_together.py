"""Several processes that want the same artifact: one makes it, the others find it."""

import multiprocessing
import os
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from tiny_stages import DELAY, DIARY, chain, new_run

from burnish.artifacts import Store
from burnish.runtime.events import StageWaiting, read_events

NUM_PROCESSES = 4


def _run(store: str, diary: str, delay_s: str, barrier: Barrier, digests: "multiprocessing.Queue[str]") -> None:
    os.environ.update({DIARY: diary, DELAY: delay_s})
    run = new_run(Path(store))
    barrier.wait(timeout=60)
    digests.put(chain(run).manifest.payload_digest)


def run_together(tmp_path: Path, delay_s: str) -> list[str]:
    spawn = multiprocessing.get_context("spawn")
    barrier = spawn.Barrier(NUM_PROCESSES)
    digests: multiprocessing.Queue[str] = spawn.Queue()
    arguments = (str(tmp_path / "store"), str(tmp_path / "diary.txt"), delay_s, barrier, digests)
    processes = [spawn.Process(target=_run, args=arguments) for _ in range(NUM_PROCESSES)]
    for process in processes:
        process.start()
    found = [digests.get(timeout=60) for _ in processes]
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    return found


@pytest.mark.slow
def test_processes_at_once_make_each_artifact_once(tmp_path: Path) -> None:
    found = run_together(tmp_path, "0.05")
    assert len(set(found)) == 1
    assert sorted((tmp_path / "diary.txt").read_text().splitlines()) == ["make 0", "tell", "walk from 0"]
    logs = (tmp_path / "store" / "runs").glob("*.jsonl")
    waited = [event for log in logs for _, event in read_events(log) if isinstance(event, StageWaiting)]
    assert len(waited) >= NUM_PROCESSES - 1


@pytest.mark.slow
def test_processes_at_once_mend_a_corrupt_artifact_once(tmp_path: Path) -> None:
    sealed = chain(new_run(tmp_path / "store"))
    data = next((tmp_path / "store" / "dataset").iterdir())
    (data / "payload/data/0.txt").write_text("altered")
    found = run_together(tmp_path, "0")
    assert set(found) == {sealed.manifest.payload_digest}
    assert (tmp_path / "diary.txt").read_text().splitlines() == ["make 0"]
    assert len(list((tmp_path / "store" / "corrupt").iterdir())) == 1
    assert Store(tmp_path / "store").find(data.name) is not None
