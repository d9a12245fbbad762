"""Collect at scale: shards of a fixed size, a killed run that goes on, the same bytes however often it was killed."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from collecting import gather, workdir

from burnish.artifacts.digest import tree_digests
from burnish.data.collect import CollectConfig, collect
from burnish.data.readers import batches, jsonl, parts
from burnish.data.readers.parts import Parts
from burnish.data.sources import Files, LocalFile, PlantedCopies
from burnish.errors import RecipeError
from burnish.runtime import Run
from burnish.runtime.events import Event, Progress
from burnish.runtime.workdir import snapshots_of


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "PART_BYTES", 20_000)
    monkeypatch.setattr(jsonl, "_BLOCK_BYTES", 3_000)
    monkeypatch.setattr(batches, "BATCH_BYTES", 3_000)


@pytest.fixture
def config(tmp_path: Path) -> CollectConfig:
    """Every kind of place to stop at: inside JSON lines, Parquet and CSV, between small files, among copies."""
    folder = tmp_path / "source"
    (folder / "many").mkdir(parents=True)
    rows = [{"id": f"u{n % 900}", "text": f"row {n} 第{n}行 " + "x" * (n % 70)} for n in range(1000)]
    (folder / "a.jsonl").write_text(
        "".join(json.dumps(row) + ("\n{bad\n" if n % 97 == 0 else "\n") for n, row in enumerate(rows))
    )
    table = pyarrow.table({"id": [f"p{n}" for n in range(800)], "text": [f"parquet {n} " * 9 for n in range(800)]})
    pyarrow.parquet.write_table(table, folder / "b.parquet", row_group_size=100)
    (folder / "c.csv").write_text("id,text\n" + "".join(f"c{n},cells {n} {'y' * 60}\n" for n in range(600)))
    for number in range(120):
        (folder / f"many/{number}.txt").write_text(f"small file {number} " * 20)
    lone = tmp_path / "lone.txt"
    lone.write_text("".join(f"paragraph {n}\n\n" for n in range(300)))
    return CollectConfig((Files(folder, id_key="id"), LocalFile(lone), PlantedCopies(30, 30)))


class Killed(Exception):
    """Stands for a kill."""


def test_a_run_stopped_anywhere_goes_on_and_gives_the_same_bytes(
    config: CollectConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = workdir(tmp_path / "whole")
    whole = collect(out, config=config)
    files = tree_digests(out.payload)
    assert sum(name.startswith("data/") for name in files) > 8
    assert {name.split("/")[1] for name in files if name.startswith("data/")} == {
        name.split("/")[1] for name in files if name.startswith("rejected/")
    }
    add = Parts.add
    stops = 0
    for stop in (1, 9, 12, 8, 15, 3, 10, 9, 14, 60):  # batches after which each attempt ends
        left = iter(range(stop))

        def stopping(self: Parts, *given: object, left: Iterator[int] = left) -> None:
            if next(left, None) is None:
                raise Killed
            add(self, *given)  # type: ignore[arg-type]

        monkeypatch.setattr(Parts, "add", stopping)
        again = workdir(tmp_path / "stopped")
        try:
            collect(again, config=config)
        except Killed:
            stops += 1
        else:
            break
    assert stops >= 5
    monkeypatch.setattr(Parts, "add", add)
    again = workdir(tmp_path / "stopped")
    resumed = collect(again, config=config)
    assert tree_digests(again.payload) == files
    assert resumed.evidence == whole.evidence


def test_the_same_call_gives_the_same_bytes_and_leaves_no_snapshots(config: CollectConfig, run: Run) -> None:
    first = run(collect, config=config)
    run.store.set_aside(first.digest)
    again = run(collect, config=config)
    assert again.manifest.files == first.manifest.files
    assert len({m.name for m in again.evidence}) == len(again.evidence)
    assert not snapshots_of(run.store.work(first.digest)).exists()


def test_a_run_killed_before_its_seal_still_has_all_parts(config: CollectConfig, tmp_path: Path) -> None:
    out = workdir(tmp_path / "work")
    collect(out, config=config)
    files = tree_digests(out.payload)
    stamps = [path.stat().st_mtime_ns for path in sorted(out.payload.rglob("*.parquet"))]
    again = workdir(tmp_path / "work")
    collect(again, config=config)
    assert tree_digests(again.payload) == files
    assert [path.stat().st_mtime_ns for path in sorted(again.payload.rglob("*.parquet"))] == stamps


def test_ids_that_come_again_are_set_aside_with_their_partner(config: CollectConfig, tmp_path: Path) -> None:
    done = gather(tmp_path / "work", *config.sources)
    twice = [(record, rejection) for record, rejection in done.rejected if rejection.rule == "duplicate_id"]
    assert len(twice) == 100
    record, rejection = twice[0]
    assert rejection.partner_id == "u0"
    assert record.id == "files:a.jsonl:910"  # its place: 900 rows and ten bad lines came before it
    assert record.text.startswith("row 900 ")
    ids = [record.id for record in done.kept]
    assert len(ids) == len(set(ids))
    assert done.evidence["dropped_duplicate_id_records"] == 100
    assert done.evidence["dropped_malformed_row_records"] == 11


def test_two_sources_never_share_an_id(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"uid": "same", "text": "one"}\n{"uid": "files:a.jsonl:0", "text": "two"}\n{"text": "three"}\n')
    done = gather(tmp_path / "work", Files(path), Files(path, id_key="uid"))
    assert [record.id for record in done.kept] == [
        "files:a.jsonl:0", "files:a.jsonl:1", "files:a.jsonl:2", "same", "files_2:a.jsonl:2"
    ]  # fmt: skip
    assert done.rules == [("files_2:a.jsonl:1", "duplicate_id")]


def test_an_id_key_that_no_row_has_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "one"}\n')
    events: list[Event] = []
    gather(tmp_path / "work", Files(path, id_key="uid"), events=events)
    assert any("no row of files has an id in 'uid'" in str(event) for event in events)


def test_copies_are_for_small_collections(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt"
    path.write_text("one\n\ntwo\n\nthree\n")
    monkeypatch.setattr("burnish.data.readers.planting._MAX_ORIGINALS", 2)
    with pytest.raises(RecipeError, match=r"copy from 3 records; it is for at most 2"):
        gather(tmp_path / "work", LocalFile(path), PlantedCopies(1, 0))


def test_progress_counts_the_bytes_of_the_files(config: CollectConfig, tmp_path: Path) -> None:
    events: list[Event] = []
    gather(tmp_path / "work", *config.sources, events=events)
    told = [event for event in events if isinstance(event, Progress) and event.task == "read sources"]
    total = sum(path.stat().st_size for path in tmp_path.glob("source/**/*") if path.is_file())
    total += (tmp_path / "lone.txt").stat().st_size
    assert told[0].unit == "bytes"
    assert told[0].total == total
    assert 0.98 * total <= told[-1].done <= total


_RUN = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from collecting import workdir
from burnish.data.readers import parts
from burnish.data.collect import CollectConfig, collect
from burnish.data.sources import Files
parts.PART_BYTES = 1 << 20
kill_at = int(sys.argv[4])
write = parts.ShardWriter.write
calls = 0
def counted(self, table):
    global calls
    calls += 1
    if calls == kill_at:
        os.kill(os.getpid(), signal.SIGKILL)
    write(self, table)
parts.ShardWriter.write = counted
collect(workdir(Path(sys.argv[3])), config=CollectConfig((Files(Path(sys.argv[2]), id_key="id"),)))
"""


def test_a_run_killed_by_force_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "source"
    folder.mkdir()
    for name in "ab":
        rows = (json.dumps({"id": f"{name}{n}", "text": f"第{n}行 " * 100}) for n in range(12_000))
        (folder / f"{name}.jsonl").write_text("\n".join(rows))

    def attempt(work: Path, kill_at: int) -> int:
        command = [sys.executable, "-c", _RUN, str(Path(__file__).parent), str(folder), str(work), str(kill_at)]
        return subprocess.run(command, check=False).returncode

    assert attempt(tmp_path / "killed", 7) == -signal.SIGKILL
    done = sorted((tmp_path / "killed.snapshots/collect/parts/done").glob("*.json"))
    assert done
    stamps = {path: path.stat().st_mtime_ns for path in done}
    assert attempt(tmp_path / "killed", 5) == -signal.SIGKILL
    assert stamps.items() <= {path: path.stat().st_mtime_ns for path in done}.items()  # not made again
    assert attempt(tmp_path / "killed", 0) == 0
    assert attempt(tmp_path / "whole", 0) == 0
    assert tree_digests(tmp_path / "killed/payload") == tree_digests(tmp_path / "whole/payload")


_MEMORY = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from collecting import peak_mb, workdir
from burnish.data.collect import CollectConfig, collect
from burnish.data.sources import Files
def peak_after(name):
    collect(workdir(Path(sys.argv[2]) / "work" / name), config=CollectConfig((Files(Path(sys.argv[2]) / name, id_key="id"),)))
    return peak_mb()
print(peak_after("small"), peak_after("large"))
"""


def test_memory_does_not_grow_with_the_input(tmp_path: Path) -> None:
    """36 MB and 144 MB of text: what is held is the same, a shard's row group and a few batches."""
    line = json.dumps({"text": "Streaming keeps memory bounded. 流式处理使内存有界。 " * 40}, ensure_ascii=False)[:-1]
    for name, count in (("small", 1), ("large", 4)):
        (tmp_path / name).mkdir()
        for part in range(count):
            with (tmp_path / name / f"{part}.jsonl").open("w", encoding="utf-8") as file:
                file.writelines(f'{line}, "id": "{part}-{n}"}}\n' for n in range(15_000))
    done = subprocess.run(
        [sys.executable, "-c", _MEMORY, str(Path(__file__).parent), str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    small_mb, large_mb = map(int, done.stdout.split())
    assert large_mb - small_mb < 64, (small_mb, large_mb)
    assert large_mb < 1000, (small_mb, large_mb)
