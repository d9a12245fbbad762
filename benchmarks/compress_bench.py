"""Run the jobs of benchmarks/compress_chain.py as child processes of one thread, and gather what they leave."""

import argparse
import hashlib
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from typing import IO, Any

from compress_report import Reading
from compress_rows import PREPARED, Make, Row
from curation_runs import ONE_THREAD

FOLDER = Path(__file__).parent
JOBS = FOLDER / "compress_jobs"
_NOTE = "made.json"  # what stands in the folder of a model that was made whole
_WEIGHTS = (".xml", ".bin", ".onnx", ".data", ".gguf", ".safetensors")


def ensure_environments(rows: Sequence[Row], folder: Path) -> dict[str, str]:
    """Make the environments that are missing; give those that could not be made, with the reason."""
    refused = {}
    for name in sorted(set().union(*(row.environments for row in rows))):
        if not python_of(name, folder).exists():
            done = subprocess.run(
                [FOLDER / "peers" / "environments.sh", folder.resolve(), name], stdout=sys.stderr, check=False
            )
            if done.returncode or not python_of(name, folder).exists():
                refused[name] = f"environment {name} could not be made; peers/environments.sh says why"
    return refused


def python_of(environment: str | None, folder: Path) -> Path:
    """Give the Python of a peer, or this one."""
    return Path(sys.executable) if environment is None else folder.resolve() / environment / "bin" / "python"


@dataclass
class Bench:
    """The preparation, and how jobs are run.

    Attributes:
        prepared: what compress_jobs/prepare.py left.
        refused: makes that failed, by folder, so that forms of one model do not fail one after the other.
    """

    given: argparse.Namespace
    work: Path
    prepared: dict[str, Any] = field(default_factory=dict)
    refused: dict[Path, str] = field(default_factory=dict)

    @staticmethod
    def of(given: argparse.Namespace) -> "Bench":
        """Take the float model and the texts; a second call with equal settings finds them.

        Raises:
            SystemExit: there is nothing to measure without them.
        """
        calibration = {"num_rows": given.calibration_rows, "row_tokens": given.calibration_tokens, "seed": 0}
        spec = {"documents": given.documents, "tokens": given.tokens, "calibration": calibration}
        bench = Bench(given, given.work.resolve())
        bench.work.mkdir(parents=True, exist_ok=True)
        try:
            bench.run("prepare.py", None, spec, bench.work)
        except RuntimeError as error:
            raise SystemExit(f"the float model and the texts could not be prepared: {error}") from error
        bench.prepared = json.loads((bench.work / "prepared.json").read_text(encoding="utf-8"))
        bench.prepared["calibration"] = calibration
        return bench

    @property
    def tokens(self) -> dict[str, list[int]]:
        """Count the tokens of each document that the baseline predicts."""
        return {name: [len(each["ids"]) - 1 for each in told] for name, told in self.prepared["texts"].items()}

    def read(self, reading: Reading) -> None:
        """Make a row's model unless that was done, and read the texts with it."""
        row = reading.row
        path = self.path_of(row, reading)
        found = self.engine(row, path, speed=None)
        reading.size_bytes = found["size_bytes"] or weights_bytes(path)
        reading.versions, reading.losses = found["versions"], found["losses"]

    def time(self, reading: Reading, number: int) -> None:
        """Time one round of a row."""
        given = self.given
        size = given.prefill_tokens + given.decode_tokens
        flat = [token for documents in self.texts_of(reading.row).values() for ids in documents for token in ids]
        speed = {"ids": list(islice(cycle(flat), size)), "prefill_tokens": given.prefill_tokens, "passes": given.passes}
        found = self.engine(reading.row, self.path_of(reading.row, reading), speed=speed)
        reading.rounds[number] = {name: statistics.median(found[name]) for name in ("prefill_cpu_s", "step_cpu_s")}

    def engine(self, row: Row, path: Path, *, speed: dict[str, Any] | None) -> dict[str, Any]:
        """Run a row's engine in a process of its own."""
        spec = {"runtime": row.runtime, "path": str(path), "settings": row.settings, "speed": speed}
        spec["texts"] = {} if speed else self.texts_of(row)
        with tempfile.TemporaryDirectory(dir=self.work) as folder:
            out = Path(folder) / "reading.json"
            self.run("read.py", row.environment, spec, out)
            found: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
            return found

    def texts_of(self, row: Row) -> dict[str, list[list[int]]]:
        """Cut the texts as the row's tokenizer does."""
        texts = self.prepared["texts"]
        if row.folder is None:
            return {name: [each["ids"] for each in told] for name, told in texts.items()}
        from burnish.nn.weights import open_tokenizer

        cut = open_tokenizer(row.folder)
        return {
            name: [list(cut(each["text"], add_special_tokens=False)["input_ids"]) for each in told]
            for name, told in texts.items()
        }

    def path_of(self, row: Row, reading: Reading) -> Path:
        """Give a row's model, made on first use."""
        if row.make is None:
            return Path(self.prepared[row.path.removeprefix(PREPARED)] if row.path.startswith(PREPARED) else row.path)
        folder = self.made(row.make)
        note = json.loads((folder / _NOTE).read_text(encoding="utf-8"))
        reading.make_cpu_s, reading.make_versions = note["cpu_s"], note["versions"]
        return folder / row.path

    def made(self, make: Make) -> Path:
        """Run a make once; give its folder.

        Raises:
            RuntimeError: it fails, or has failed before.
        """
        versions = versions_in(python_of(make.environment, self.given.environments), make.packages)
        given = [self.prepared[key] for key in ("base", "calibration", "calibration_rows")]
        told = json.dumps([make.settings, versions, given, sources_of(make)], sort_keys=True)
        folder = self.work / "made" / hashlib.sha256(told.encode()).hexdigest()[:16]
        if folder in self.refused:
            raise RuntimeError(self.refused[folder])
        if (folder / _NOTE).exists():
            return folder
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        spec = {"settings": make.settings, "prepared": self.prepared, "calibration": self.prepared["calibration"]}
        try:
            cpu_s = self.run(make.job, make.environment, spec, folder)
        except RuntimeError as error:
            self.refused[folder] = str(error)
            raise
        note = {"job": make.job, "settings": make.settings, "versions": versions, "cpu_s": cpu_s}
        (folder / _NOTE).write_text(json.dumps(note), encoding="utf-8")
        return folder

    def run(self, job: str, environment: str | None, spec: dict[str, Any], out: Path) -> float:
        """Run a job; give its CPU seconds.

        Raises:
            RuntimeError: it failed; its last words are in the message.
        """
        before_s = _children_cpu_s()
        with tempfile.TemporaryDirectory(dir=self.work) as folder:
            path = Path(folder) / "spec.json"
            path.write_text(json.dumps(spec), encoding="utf-8")
            with (self.work / f"{Path(job).stem}.log").open("wb") as log:
                code = _ended(
                    [python_of(environment, self.given.environments), JOBS / job, path, out],
                    log, Path(folder), self.given.timeout_s,
                )  # fmt: skip
            if code:
                raise RuntimeError(last_words(Path(log.name).read_text(encoding="utf-8", errors="replace"), code))
        return _children_cpu_s() - before_s


def _ended(command: Sequence[Any], log: IO[bytes], folder: Path, timeout_s: float) -> int:
    try:
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, check=False, cwd=folder,
            timeout=timeout_s, env={**os.environ, **ONE_THREAD},
        ).returncode  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(f"stopped after {timeout_s:,.0f} s") from error


def sources_of(make: Make) -> list[str]:
    """Say what else a made model depends on: the job, our own code, and the files of a given folder."""
    code = [JOBS / make.job]
    if make.environment is None:
        code += sorted((FOLDER.parent / "src" / "burnish" / "compress").rglob("*.py"))
    told = [hashlib.sha256(path.read_bytes()).hexdigest() for path in code]
    given = Path(make.settings["folder"]).iterdir() if "folder" in make.settings else []
    return told + sorted(f"{path.name} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in given)


def versions_in(python: Path, packages: Sequence[str]) -> dict[str, str]:
    """Ask an environment for versions."""
    code = "import json, sys, importlib.metadata as m; print(json.dumps({n: m.version(n) for n in sys.argv[1:]}))"
    told = subprocess.run([python, "-c", code, *packages], capture_output=True, text=True, check=True).stdout
    versions: dict[str, str] = json.loads(told)
    return versions


def last_words(log: str, code: int) -> str:
    """Give what a job said last: its exception, where it had one."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    return f"ended with {code}: {lines[-1][:300] if lines else 'it said nothing'}"


def weights_bytes(path: Path) -> int:
    """Add up the files of a model that hold weights or the graph."""
    files = [path] if path.is_file() else [each for each in path.iterdir() if each.suffix in _WEIGHTS]
    return sum(each.stat().st_size for each in files)


def _children_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
