"""What every job of this folder is given and what it reports. Standard library only: each runs in its tool's own environment.

A job reads CORPUS/jsonl/*.jsonl (id, text, source, lang), cleans, filters and deduplicates it with one worker, and writes
OUT/kept/*.jsonl (id, text: what is left), OUT/filtered.txt (the ids left after cleaning and filters, before any
deduplication, one a line) and OUT/reading.json (`Reading.report`). Standard output is not used: data-juicer takes it over.
"""

import argparse
import importlib.metadata
import json
import platform
import resource
import time
from collections.abc import Iterable
from pathlib import Path

_STARTED_S = time.monotonic()


def arguments(description: str | None) -> tuple[Path, Path]:
    """Read the folder of the corpus and an empty folder for the results."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--corpus", required=True, type=Path, help="folder that holds jsonl/*.jsonl")
    parser.add_argument("--out", required=True, type=Path, help="folder for the results; must be empty or absent")
    given = parser.parse_args()
    if not list((given.corpus / "jsonl").glob("*.jsonl")):
        parser.error(f"{given.corpus}/jsonl holds no .jsonl file")
    if given.out.exists() and any(given.out.iterdir()):
        parser.error(f"{given.out} is not empty")
    given.out.mkdir(parents=True, exist_ok=True)
    return given.corpus.resolve(), given.out.resolve()


class Reading:
    """Count the CPU time of this process and of the children that it waited for, from the interpreter's first instruction."""

    def __init__(self) -> None:
        """Mark the end of the start-up: interpreter and imports."""
        self._start_cpu_s = _cpu_s()
        self._done: dict[str, float] = {}

    def stop(self) -> None:
        """Mark the end of the work, before anything that only the grading needs."""
        self._done = {
            "cpu_s": _cpu_s(),
            "start_cpu_s": self._start_cpu_s,
            "wall_s": time.monotonic() - _STARTED_S,
            "peak_memory_bytes": _peak_memory_bytes(),
        }

    def report(self, out: Path, packages: Iterable[str], settings: dict[str, object]) -> None:
        """Write the reading, the versions of `packages` and what the tool was told."""
        versions = {name: importlib.metadata.version(name) for name in packages}
        versions["python"] = platform.python_version()
        whole = {**self._done, "versions": versions, "settings": settings}
        (out / "reading.json").write_text(json.dumps(whole, ensure_ascii=False, indent=1), encoding="utf-8")


def write_filtered(out: Path, ids: Iterable[str]) -> None:
    """Write the ids that were left when deduplication began."""
    (out / "filtered.txt").write_text("".join(f"{row}\n" for row in ids), encoding="utf-8")


def _cpu_s() -> float:
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _peak_memory_bytes() -> int:
    # VmHWM begins at exec; ru_maxrss of a fresh process would begin at the peak of the one that forked it.
    own = next(
        int(line.split()[1]) * 1024
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        if line.startswith("VmHWM:")
    )
    return max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)
