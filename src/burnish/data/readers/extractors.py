"""Extractors: processes that take the text out of HTML and PDF files, some files ahead of who asks."""

import json
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

from burnish.data.readers.extract import DocumentLimits
from burnish.data.records import Rejection
from burnish.errors import MissingExtra
from burnish.runtime.extras import installed_version

STARTS = ("burnish.data.readers.extract",)

# Each holds a document of up to max_document_bytes, and two per process wait their turn: four fit the memory that
# collecting may take.
_MAX_PROCESSES = 4
_WALL_TO_CPU = 20  # of a process that waits for a disk or a busy machine; beyond, it hangs
_LIBRARIES = {"html": "trafilatura", "pdf": "pypdf"}
T = TypeVar("T")


@dataclass(frozen=True)
class Extracted:
    """Hold what was taken out of a file: text and other values, or why there is none."""

    text: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    fault: tuple[Rejection, str] | None = None


def extract_ahead(
    items: Iterable[T], ask: Callable[[T], dict[str, Any] | None], limits: DocumentLimits, processes: int
) -> Iterator[tuple[T, Extracted | None]]:
    """Give each item, in order, with what was extracted of it; processes work on those to come.

    Args:
        ask: gives the request for an item (`kind`, `path`, `max_document_bytes`), or None where there is nothing to do.
        processes: at most; started when there is work for them.

    Raises:
        MissingExtra: the library that reads such files is not installed.
    """
    count = max(1, min(processes, _MAX_PROCESSES))
    waiting: deque[tuple[T, Future[Extracted] | None]] = deque()
    own = threading.local()
    all_processes: list[_Extractor] = []

    def work(request: dict[str, Any]) -> Extracted:
        if not hasattr(own, "extractor"):
            own.extractor = _Extractor(limits)
            all_processes.append(own.extractor)
        extracted: Extracted = own.extractor.extract(request)
        return extracted

    pool = ThreadPoolExecutor(count)
    try:
        for item in items:
            request = ask(item)
            if request is not None:
                _refuse_missing(str(request["kind"]))
            waiting.append((item, None if request is None else pool.submit(work, request)))
            while len(waiting) > 2 * count or (waiting and waiting[0][1] is None):
                yield _done(waiting.popleft())
        while waiting:
            yield _done(waiting.popleft())
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for extractor in all_processes:
            extractor.stop()
        pool.shutdown(wait=True)
        for extractor in all_processes:
            extractor.close()


def _refuse_missing(kind: str) -> None:
    """Check here that the library is installed: the process could only say so of each file.

    Raises:
        MissingExtra: it is not.
    """
    if installed_version(_LIBRARIES[kind]) is None:
        raise MissingExtra(f"{_LIBRARIES[kind]} is not installed; type: pip install 'burnish[data]'")


def _done(pair: tuple[T, Future[Extracted] | None]) -> tuple[T, Extracted | None]:
    item, future = pair
    return item, None if future is None else future.result()


@dataclass
class _Extractor:
    """One process, started when it is needed and again when a file has ended it."""

    limits: DocumentLimits
    _process: subprocess.Popen[str] | None = None

    def extract(self, request: dict[str, Any]) -> Extracted:
        process = self._process or self._start()
        watch = threading.Timer(_WALL_TO_CPU * self.limits.max_s, process.kill)
        watch.start()
        try:
            line = _ask(process, json.dumps({**request, "limits": asdict(self.limits)}))
        finally:
            watch.cancel()
        answer: dict[str, Any] = json.loads(line) if line else {"is_spent": True}
        code = self._end() if "is_spent" in answer else 0
        if "text" in answer:
            return Extracted(answer["text"], answer["values"])
        if "rule" in answer:
            return Extracted(fault=(Rejection(answer["rule"], answer["value"], answer["threshold"]), answer["reason"]))
        if code in (-signal.SIGXCPU, -signal.SIGKILL):
            max_s = float(self.limits.max_s)
            return Extracted(fault=(Rejection("timed_out", max_s, max_s), "its reader was stopped"))
        return Extracted(fault=(Rejection("broken_file"), f"its reader ended with exit code {code}"))

    def stop(self) -> None:
        """End what it does now, from another thread."""
        if self._process is not None:
            self._process.kill()

    def close(self) -> None:
        """Let go of the process."""
        if self._process is not None:
            self._process.kill()
            self._end()

    def _start(self) -> subprocess.Popen[str]:
        command = [sys.executable, "-W", "ignore", "-m", "burnish.data.readers.extract"]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
        )
        return self._process

    def _end(self) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        with process:  # closes its pipes and waits
            return process.wait()


def _ask(process: subprocess.Popen[str], request: str) -> str:
    """Give the process's answer, nothing where it died or was stopped."""
    if process.stdin is None or process.stdout is None:
        return ""
    try:
        process.stdin.write(request + "\n")
        process.stdin.flush()
        return process.stdout.readline()
    except (BrokenPipeError, ValueError):
        return ""
