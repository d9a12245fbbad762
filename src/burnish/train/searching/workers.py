"""Workers: one in this process, or several processes that share the journal; one that dies is replaced."""

import os
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from burnish.errors import BurnishError
from burnish.runtime import need
from burnish.train.searching.job import Board, Job, Running, open_board
from burnish.train.searching.trial import Say, attempt

_POLL_S = 0.2
_MAX_DEATHS = 10  # of one stage; then something is wrong that a new worker does not mend


def work_here(board: Board, say: Say, after: Callable[[], None]) -> None:
    """Try until the stage is done."""
    while (trial := board.take()) is not None:
        attempt(board.job, board.running, board.study, trial, say)
        after()


def work_apart(board: Board, workers: int, warn: Say, after: Callable[[], None]) -> None:
    """Let processes try until the stage is done.

    Raises:
        BurnishError: a worker found the recipe or the data wrong, or workers die one after another.
    """
    crew = {index: _start(board, index, workers) for index in range(workers)}
    num_deaths = 0
    try:
        while any(process.is_alive() for process in crew.values()) or _has_dead(crew):
            for index, process in list(crew.items()):
                if process.is_alive() or process.exitcode == 0:
                    continue
                _raise_what_it_said(board.job, index, process)
                num_deaths += 1
                num_back = board.take_back(process.pid)
                warn(
                    f"worker {index} died ({_how(process)}); {num_back} of its trials queued again and another started"
                )
                if num_deaths >= _MAX_DEATHS:
                    raise BurnishError(
                        f"{num_deaths} workers died, most likely for want of memory; finished trials are kept, and the "
                        "same command goes on. Give search.workers=1, or a smaller loop.row_tokens"
                    )
                crew[index] = _start(board, index, workers)
            after()
            time.sleep(_POLL_S)
    finally:
        for process in crew.values():
            process.kill()
            process.join()
    after()


def _has_dead(crew: dict[int, BaseProcess]) -> bool:
    return any(process.exitcode not in (None, 0) for process in crew.values())


def _start(board: Board, index: int, workers: int) -> BaseProcess:
    said_path(board.job.folder, index).unlink(missing_ok=True)
    threads = max(1, len(os.sched_getaffinity(0)) // workers)
    process = get_context("spawn").Process(
        target=_work, args=(board.job, board.running, index, threads, os.getpid()), name=f"search-{index}", daemon=True
    )
    process.start()
    return process


def said_path(folder: Path, index: int) -> Path:
    """Name the file in which a worker leaves what stopped it."""
    return folder / f"worker_{index}.error"


def _raise_what_it_said(job: Job, index: int, process: BaseProcess) -> None:
    path = said_path(job.folder, index)
    if path.exists():
        raise BurnishError(path.read_text(encoding="utf-8"))
    if process.exitcode == 1:
        raise RuntimeError(f"worker {index} failed; its traceback stands above")


def _how(process: BaseProcess) -> str:
    code = process.exitcode or 0
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def _work(job: Job, running: Running, index: int, threads: int, parent: int) -> None:
    """Be a worker process."""
    _die_with(parent)
    need("torch", extra="train").set_num_threads(threads)

    def silent(_: Any) -> None:
        """Say nothing: the console is the parent's."""

    try:
        work_here(open_board(job, running, warn=silent), silent, lambda: None)
    except BurnishError as error:
        said_path(job.folder, index).write_text(str(error), encoding="utf-8")
        raise SystemExit(2) from error


def _die_with(parent: int) -> None:
    """End this worker on Ctrl-C, of which the parent tells, and when its parent is gone: killed, it tells nobody."""
    signal.signal(signal.SIGINT, lambda *_: os._exit(3))

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_POLL_S)
        os._exit(3)

    threading.Thread(target=watch, daemon=True).start()
