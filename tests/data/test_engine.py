"""Engine: the same files from one process or two; what is done stays done through every kind of death."""

import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pytest
from real_slice import workdir
from shard_work import Copy, KillAt, Refuse

from burnish.data import engine
from burnish.data.engine import Local, Ray, ShardWork, do_shard, run_shards
from burnish.data.ray_engine import _Task
from burnish.data.shards import write_table
from burnish.errors import BurnishError, RecipeError
from burnish.runtime import Workdir


@pytest.fixture
def log(tmp_path: Path) -> Path:
    (tmp_path / "log").mkdir()
    return tmp_path / "log"


@pytest.fixture
def shards(tmp_path: Path) -> list[Path]:
    (tmp_path / "in").mkdir()
    paths = [tmp_path / f"in/part-{number}.parquet" for number in range(5)]
    for number, path in enumerate(paths):
        write_table(path, pyarrow.table({"text": [f"row {row}" for row in range(number)]}))
    return paths


@pytest.fixture
def out(tmp_path: Path) -> Workdir:
    return workdir(tmp_path / "work")


def run_all(out: Workdir, shards: list[Path], work: ShardWork, workers: int) -> dict[str, bytes]:
    found = {}
    for shard, folder in run_shards(out, shards, work, step="s", engine=Local(workers)):
        assert [path.name for path in folder.iterdir()] == ["copy"]
        found[shard.stem] = (folder / "copy").read_bytes()
    return found


def finished(out: Workdir) -> dict[str, tuple[int, int]]:
    paths = sorted((out.snapshots / "s").glob("[!.]*"))
    return {path.name: ((path / "copy").stat().st_ino, (path / "copy").stat().st_mtime_ns) for path in paths}


def pids(log: Path) -> list[int]:
    """Give the process of each piece of work."""
    return [int(path.name.split(".")[1]) for path in log.iterdir()]


def test_two_processes_give_what_one_gives_in_the_order_of_the_shards(
    tmp_path: Path, shards: list[Path], log: Path
) -> None:
    expected = {path.stem: path.read_bytes() for path in shards}
    one = run_all(workdir(tmp_path / "one"), shards, Copy(log), 1)
    assert set(pids(log)) == {os.getpid()}
    two = run_all(workdir(tmp_path / "two"), shards, Copy(log), 2)
    assert one == two == expected
    assert list(one) == list(two) == [path.stem for path in shards]
    assert len(set(pids(log))) > 1  # it was done elsewhere


def test_a_killed_worker_is_named_and_the_same_call_does_the_rest(out: Workdir, shards: list[Path], log: Path) -> None:
    with pytest.raises(BurnishError, match=r"a worker process died.*finished shards are kept.*engine\.workers=1"):
        run_all(out, shards, KillAt(log, "part-3", num_before=3), 2)
    before = finished(out)
    assert 3 <= len(before) < 5
    assert "part-3" not in before
    done = {path.name for path in log.iterdir()}
    found = run_all(out, shards, KillAt(log, "part-3", num_before=3), 2)
    assert found == {path.stem: path.read_bytes() for path in shards}
    assert {name: finished(out)[name] for name in before} == before  # the same files, untouched
    again = {path.name.split(".")[0] for path in log.iterdir() if path.name not in done}
    assert again == {path.stem for path in shards} - set(before)


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_the_work_is_the_callers_and_costs_no_finished_shard(
    out: Workdir, shards: list[Path], log: Path, workers: int
) -> None:
    with pytest.raises(RecipeError, match=r"part-4\.parquet is refused"):
        run_all(out, shards, Refuse(log, "part-4"), workers)
    before = finished(out)
    assert set(before) <= {"part-0", "part-1", "part-2", "part-3"}
    assert len(before) >= 3
    assert run_all(out, shards, Copy(log), 1)["part-4"] == shards[4].read_bytes()
    assert {name: finished(out)[name] for name in before} == before


def test_a_caller_that_is_killed_while_it_empties_the_folders_loses_nothing(
    out: Workdir, shards: list[Path], log: Path
) -> None:
    taken = []
    for shard, folder in run_shards(out, shards, Copy(log), step="s", engine=Local(1)):
        (folder / "copy").rename(out / shard.name)
        taken.append(shard)
        if len(taken) == 3:
            break  # killed here: the payload is thrown away, the snapshots stay
    num_done = len(pids(log))
    again = run_all(workdir(out.root), shards, Copy(log), 1)
    assert again == {path.stem: path.read_bytes() for path in shards}
    assert len(pids(log)) == num_done  # and nothing was done twice


_PARENT = """
import signal
import sys
from pathlib import Path
from real_slice import workdir
from shard_work import WaitForever
from burnish.data.engine import Local, run_shards

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background command would ignore it
    folder = Path(sys.argv[1])
    shards = sorted((folder / "in").iterdir())
    list(run_shards(workdir(folder / "work"), shards, WaitForever(folder / "log"), step="s", engine=Local(2)))
"""


def test_workers_end_when_their_parent_is_killed(tmp_path: Path, shards: list[Path], log: Path) -> None:
    (tmp_path / "parent.py").write_text(_PARENT, encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    parent = subprocess.Popen([sys.executable, str(tmp_path / "parent.py"), str(tmp_path)], env=environment)
    workers = wait_for(lambda: pids(log) if len(pids(log)) == 2 else [])
    assert all(map(is_running, workers))
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    wait_for(lambda: [] if any(map(is_running, workers)) else [1], timeout_s=10)


def test_ctrl_c_ends_workers_without_a_word(tmp_path: Path, shards: list[Path], log: Path) -> None:
    (tmp_path / "parent.py").write_text(_PARENT, encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    parent = subprocess.Popen(
        [sys.executable, str(tmp_path / "parent.py"), str(tmp_path)],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a terminal's Ctrl-C goes to every process of the group
    )
    workers = wait_for(lambda: pids(log) if len(pids(log)) == 2 else [])
    os.killpg(parent.pid, signal.SIGINT)
    said = parent.communicate(timeout=30)[1]
    assert parent.returncode != 0
    assert said.count("Traceback") == 1, said  # the parent's own, which the command line turns into a word
    assert "KeyboardInterrupt" in said
    wait_for(lambda: [] if any(map(is_running, workers)) else [1], timeout_s=10)


def wait_for(condition: Callable[[], list[int]], timeout_s: float = 60) -> list[int]:
    end_s = time.monotonic() + timeout_s
    while time.monotonic() < end_s:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError("waited in vain")


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"  # dead, and not yet asked for by the process that adopted it


def test_few_records_are_worked_on_here_and_many_in_other_processes(
    out: Workdir, shards: list[Path], log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = dict.fromkeys(shards, 4_000)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2})
    assert engine._workers(Local(), shards, counts) == 3
    assert engine._workers(Local(), shards[:4], counts) == 1  # under 20,000 records
    assert engine._workers(Local(2), shards[:4], counts) == 2
    assert engine._workers(Local(9), shards, counts) == 5
    assert engine._workers(Local(1), shards, counts) == 1
    assert engine._workers(Local(), [], counts) == 1
    run_all(out, shards, Copy(log), 0)
    assert set(pids(log)) == {os.getpid()}


def test_the_slower_of_two_who_do_the_same_shard_gives_way(tmp_path: Path, shards: list[Path], log: Path) -> None:
    target = tmp_path / "done"

    def work(shard: Path, folder: Path, advance: Callable[[float], None]) -> None:
        Copy(log)(shard, folder, advance)
        target.mkdir()  # another machine's, in the meantime
        (target / "copy").write_bytes(shard.read_bytes())

    do_shard(work, shards[1], target)
    inode = (target / "copy").stat().st_ino
    do_shard(Copy(log), shards[1], target)
    assert (target / "copy").stat().st_ino == inode
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_two_machines_with_a_process_of_the_same_number_do_not_share_a_folder(
    tmp_path: Path, shards: list[Path], log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "done"

    def work(shard: Path, folder: Path, advance: Callable[[float], None]) -> None:
        (folder / "begun").touch()
        monkeypatch.setattr(platform, "node", lambda: "other")
        do_shard(Copy(log), shard, target)
        assert (folder / "begun").exists()

    monkeypatch.setattr(platform, "node", lambda: "one")
    do_shard(work, shards[1], target)
    assert [path.name for path in target.iterdir()] == ["copy"]


def test_a_ray_task_reads_relative_paths_as_the_process_that_made_it(
    tmp_path: Path, shards: list[Path], log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    task = _Task(Copy(Path("log")))
    monkeypatch.chdir(log)  # where the worker of a running cluster happens to be
    task({"shard": "in/part-2.parquet", "folder": "out/part-2"})
    assert (tmp_path / "out/part-2/copy").read_bytes() == shards[2].read_bytes()


def test_bounds() -> None:
    with pytest.raises(RecipeError, match="workers is -1"):
        Local(-1)
    with pytest.raises(RecipeError, match="workers is 0"):
        Ray(workers=0)
