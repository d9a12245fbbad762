"""Three small stages and a chain of them, for tests of the core; run as a script, the chain in a process of its own.

`python tiny_stages.py STORE` runs the chain. Environment: TINY_DELAY_S slows each step of `walk`; TINY_DIARY is
a file to which every attempt of a stage adds a line; TINY_KILL_AT=n kills the process with SIGKILL at the n-th
change of the file system.
"""

import json
import os
import random
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from burnish.artifacts import DatasetArtifact, Draft, Measurement, ModelArtifact, ReportArtifact, Store
from burnish.runtime import Run, Workdir
from burnish.runtime.events import EventLog

KILL_AT, DELAY, DIARY = "TINY_KILL_AT", "TINY_DELAY_S", "TINY_DIARY"


@dataclass(frozen=True)
class Make:
    num_lines: int = 5
    seed: int = 0


@dataclass(frozen=True)
class Walk:
    num_steps: int = 8
    seed: int = 0


@dataclass(frozen=True)
class Tell:
    title: str = "told"


def make(out: Workdir, *, config: Make) -> Draft[DatasetArtifact]:
    note(f"make {config.seed}")
    rng = random.Random(config.seed)
    for number in range(config.num_lines):
        (out / f"data/{number}.txt").write_text(str(rng.random()))
    count = Measurement("num_lines", config.num_lines, "1", config.num_lines)
    return Draft(DatasetArtifact, (count,), "Random lines.")


def walk(out: Workdir, data: DatasetArtifact, *, config: Walk) -> Draft[ModelArtifact]:
    snapshot = out.snapshots / "state.json"
    position, start = json.loads(snapshot.read_text()) if snapshot.exists() else (0.0, 0)
    note(f"walk from {start}")
    numbers = [float(path.read_text()) for path in sorted((data.payload / "data").iterdir())]
    for step in range(start, config.num_steps):
        position += numbers[step % len(numbers)] * random.Random(config.seed + step).random()
        time.sleep(float(os.environ.get(DELAY, "0")))
        partial = snapshot.with_suffix(".part")
        partial.write_text(json.dumps([position, step + 1]))
        partial.replace(snapshot)
    (out / "position.json").write_text(json.dumps(position))
    return Draft(ModelArtifact, (Measurement("position", position, "1", config.num_steps),), "A walk.")


def tell(out: Workdir, data: DatasetArtifact, model: ModelArtifact, *, config: Tell) -> Draft[ReportArtifact]:
    note("tell")
    lines = data.measurement("num_lines")
    (out / "report.txt").write_text(f"{config.title}: {lines} lines, {model.measurement('position')}")
    return Draft(ReportArtifact, (lines,), "A report.")


def chain(run: Run, *, steps: int = 8) -> ReportArtifact:
    data = run(make, config=Make())
    return run(tell, data, run(walk, data, config=Walk(steps)), config=Tell())


def note(line: str) -> None:
    """Write to the diary, which is outside the store and the lineage."""
    if DIARY in os.environ:
        with Path(os.environ[DIARY]).open("a", encoding="utf-8") as diary:
            diary.write(f"{line}\n")


def new_run(store: Path, *, is_dry: bool = False) -> Run:
    opened = Store(store)
    return Run(opened, EventLog(store / "runs" / f"{os.getpid()}.jsonl"), is_dry)


def _die_at(number: int) -> None:
    seen = 0

    def count(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal seen
        is_write = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if is_write or event in ("os.rename", "os.mkdir", "os.rmdir", "os.remove", "os.truncate"):
            seen += 1
            if seen == number:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)


if __name__ == "__main__":
    import tiny_stages as importable  # under its own name, so that its stages are the same as in tests

    tiny_run = importable.new_run(Path(sys.argv[1]))
    if KILL_AT in os.environ:
        _die_at(int(os.environ[KILL_AT]))
    print(importable.chain(tiny_run).digest)
