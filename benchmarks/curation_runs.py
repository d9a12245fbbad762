"""Run the jobs of peers/ as child processes, in turn, and read what each left."""

import argparse
import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

JOBS = Path(__file__).parent / "peers"
ONE_THREAD = dict.fromkeys(
    (
        "MKL_NUM_THREADS",
        "NUMBA_NUM_THREADS",
        "NUMEXPR_NUM_THREADS",
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "POLARS_MAX_THREADS",
        "RAYON_NUM_THREADS",
    ),
    "1",
)


@dataclass(frozen=True)
class Tool:
    """Name one job: its title, its script under peers/ and the environment that runs it (none = this one)."""

    title: str
    job: str
    environment: str | None


TOOLS = {
    "burnish": Tool("burnish", "burnish_job.py", None),
    "datatrove_tuned": Tool("datatrove, regex tokenizer plugged in", "datatrove_tuned_job.py", "datatrove"),
    "datatrove": Tool("datatrove as shipped (spaCy, jieba)", "datatrove_job.py", "datatrove"),
    "data_juicer": Tool("data-juicer (lighter rules)", "data_juicer_job.py", "data_juicer"),
}


@dataclass(frozen=True)
class Round:
    """One run of one tool. `process_cpu_s` is the parent's count, which also holds what only the grading needs."""

    cpu_s: float
    start_cpu_s: float
    wall_s: float
    process_cpu_s: float
    peak_memory_bytes: int
    kept_docs: int
    kept_sha256: str


@dataclass(frozen=True)
class Outcome:
    """A round, what the job said of itself, the texts it kept by id, and the ids it had left before deduplication."""

    reading: Round
    versions: dict[str, str]
    settings: dict[str, Any]
    kept: dict[str, str]
    filtered: frozenset[str]


def interpreter(name: str, environments: Path) -> str:
    """Give the Python that runs a tool's job."""
    environment = TOOLS[name].environment
    return sys.executable if environment is None else str(environments / environment / "bin" / "python")


def job_command(name: str, corpus: Path, out: Path, environments: Path) -> list[str]:
    """Give the command line of one run."""
    script = str(JOBS / TOOLS[name].job)
    return [interpreter(name, environments), script, "--corpus", str(corpus.resolve()), "--out", str(out)]


def run_rounds(given: argparse.Namespace, corpora: dict[str, Path], work: Path) -> dict[str, list[Outcome]]:
    """Run the tools in turn, round by round, so that a change of the machine's load meets all of them."""
    outcomes: dict[str, list[Outcome]] = {name: [] for name in given.tools}
    for number in range(max(given.tools.values())):
        for name in (name for name, rounds in given.tools.items() if number < rounds):
            outcome = run_once(name, corpora[name], given, work)
            outcomes[name].append(outcome)
            print(f"round {number + 1}: {name} {outcome.reading.cpu_s:.2f} CPU s", file=sys.stderr, flush=True)
    return outcomes


def warm_up(given: argparse.Namespace, corpora: dict[str, Path], work: Path) -> None:
    """Run each tool once, uncounted, on the first documents."""
    for name in given.tools if given.warm_up_docs else ():
        few = work / f"few-{name}"
        (few / "jsonl").mkdir(parents=True)
        first = (line for line, _ in zip(lines_of(corpora[name] / "jsonl"), range(given.warm_up_docs), strict=False))
        (few / "jsonl" / "part-000.jsonl").write_bytes(b"".join(first))
        run_once(name, few, given, work)


def run_once(name: str, corpus: Path, given: argparse.Namespace, work: Path) -> Outcome:
    """Run one job in a child process of one thread.

    Raises:
        SystemExit: the job failed; its last lines are in the message.
    """
    out = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=work))
    log = work / f"{out.name}.log"
    before_s = _children_cpu_s()
    with log.open("wb") as sink:
        code = subprocess.run(
            job_command(name, corpus, out, given.environments),
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            env={**os.environ, **ONE_THREAD, "PYTHONHASHSEED": "0"},
            timeout=given.timeout_s,
            check=False,
        ).returncode
    if code:
        last = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-20:])
        raise SystemExit(f"{name} ended with {code}; its last lines:\n{last}")
    return _outcome(out, _children_cpu_s() - before_s)


def lines_of(folder: Path) -> Iterator[bytes]:
    """Give the lines of a folder's JSONL shards in order."""
    for path in sorted(folder.glob("*.jsonl")):
        with path.open("rb") as shard:
            yield from shard


def reshard(corpus: Path, shards: int, out: Path) -> Path:
    """Write the same lines in the same order as another number of shards."""
    lines = list(lines_of(corpus / "jsonl"))
    (out / "jsonl").mkdir(parents=True)
    for number in range(shards):
        part = lines[number * len(lines) // shards : (number + 1) * len(lines) // shards]
        (out / "jsonl" / f"part-{number:03d}.jsonl").write_bytes(b"".join(part))
    return out


def _outcome(out: Path, process_cpu_s: float) -> Outcome:
    said = json.loads((out / "reading.json").read_text(encoding="utf-8"))
    rows = [json.loads(line) for line in lines_of(out / "kept")]
    kept = {row["id"]: row["text"] for row in rows}
    if len(kept) < len(rows):
        raise SystemExit(f"{out.name} kept {len(rows)} rows with {len(kept)} ids; an id may be kept once")
    digest = hashlib.sha256(json.dumps(sorted(kept.items()), ensure_ascii=False).encode())
    measured = {key: said[key] for key in ("cpu_s", "start_cpu_s", "wall_s", "peak_memory_bytes")}
    return Outcome(
        Round(**measured, process_cpu_s=process_cpu_s, kept_docs=len(kept), kept_sha256=digest.hexdigest()),
        said["versions"],
        said["settings"],
        kept,
        frozenset((out / "filtered.txt").read_text(encoding="utf-8").split()),
    )


def _children_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
