"""Engine: do the same work on every shard, here or on many machines, and resume at the first shard not done.

The work reads one shard and writes files into one folder. A finished folder is moved to its place by one rename,
so that after `kill -9` the same call takes what is there and does the rest.
"""

import os
import platform
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import active_children, get_context
from pathlib import Path
from typing import Protocol, assert_never

from burnish.data.shards import num_rows
from burnish.errors import BurnishError, RecipeError
from burnish.runtime import Workdir

_MIN_ROWS_TO_SHARE = 20_000  # below, starting a second Python costs more than it saves
_PARENT_CHECK_S = 1.0


@dataclass(frozen=True)
class Local:
    """Work in this machine's processes.

    Attributes:
        workers: processes side by side; 0 is one a core, at most one a shard.
    """

    workers: int = 0

    def __post_init__(self) -> None:
        if self.workers < 0:
            raise RecipeError(f"workers is {self.workers}; it must be at least 0 (0 = one a core)")


@dataclass(frozen=True)
class Ray:
    """Work in the tasks of a Ray cluster, through Ray Data; needs `pip install 'burnish[ray]'`.

    The store must be a folder that every node sees.

    Attributes:
        address: of a running cluster, such as `auto` or `ray://host:10001`; empty starts one on this machine.
        workers: tasks side by side, one core each.
    """

    address: str = ""
    workers: int = 2

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise RecipeError(f"workers is {self.workers}; it must be at least 1")


Engine = Local | Ray


class ShardWork(Protocol):
    """What is done to one shard; picklable, and a function of the shard's bytes alone."""

    def __call__(self, shard: Path, folder: Path, advance: Callable[[float], None]) -> None:
        """Read `shard`, write files into `folder` (empty), tell `advance` of each number of rows done."""


def run_shards(
    out: Workdir, shards: Sequence[Path], work: ShardWork, *, step: str, engine: Engine
) -> Iterator[tuple[Path, Path]]:
    """Do `work` on every shard, then give each shard with its finished folder, in order.

    Folders are the caller's to empty: their files stay in the workdir's snapshots too, where a run that is killed
    while it empties them finds them again. Names of shards must differ.

    Raises:
        BurnishError: a worker died.
    """
    base = out.snapshots / step
    base.mkdir(exist_ok=True)
    folders = {shard: base / shard.stem for shard in shards}
    counts = {shard: num_rows(shard) for shard in shards}
    todo = [shard for shard in shards if not folders[shard].exists()]
    with out.progress(step, total=sum(counts.values()), unit="records") as bar:
        bar.advance(sum(counts.values()) - sum(counts[shard] for shard in todo))
        match engine:
            case Local() if _workers(engine, todo, counts) == 1:
                for shard in todo:
                    do_shard(work, shard, folders[shard], bar.advance)
            case Local():
                tasks = [(work, shard, folders[shard]) for shard in todo]
                for shard in _in_processes(tasks, _workers(engine, todo, counts)):
                    bar.advance(counts[shard], note=shard.name)
            case Ray():
                from burnish.data.ray_engine import in_ray

                for shard in in_ray(engine, work, [(shard, folders[shard]) for shard in todo]):
                    bar.advance(counts[shard], note=shard.name)
            case _:
                assert_never(engine)
    for shard, folder in folders.items():
        yield shard, _lent(folder)


def _lent(folder: Path) -> Path:
    """Give a folder with the same files, which takes no room on the disk where this knows links."""
    lent = folder.with_name(f".{folder.name}.lent")
    shutil.rmtree(lent, ignore_errors=True)
    shutil.copytree(folder, lent, copy_function=_link)
    return lent


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def do_shard(work: ShardWork, shard: Path, folder: Path, advance: Callable[[float], None] = lambda _: None) -> None:
    """Do the work in a folder of its own, then put it in its place; a folder that is there already stays."""
    partial = folder.with_name(f".{folder.name}.{platform.node()}.{os.getpid()}")  # machines may share the disk
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    work(shard, partial, advance)
    try:
        partial.rename(folder)
    except OSError:
        if not folder.exists():
            raise
        shutil.rmtree(partial)  # another worker, asked twice, was faster with the same bytes


def _workers(engine: Local, todo: Sequence[Path], counts: dict[Path, int]) -> int:
    if sum(counts[shard] for shard in todo) < _MIN_ROWS_TO_SHARE and engine.workers == 0:
        return 1
    return max(1, min(engine.workers or len(os.sched_getaffinity(0)), len(todo)))


def _in_processes(tasks: Sequence[tuple[ShardWork, Path, Path]], workers: int) -> Iterator[Path]:
    context = get_context("spawn")
    others = set(active_children())
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_die_with, initargs=(os.getpid(),)) as pool:
        try:
            signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT,))  # workers inherit it: Ctrl-C is the parent's
            try:
                running = {pool.submit(do_shard, *task): task[1] for task in tasks}
            finally:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT,))
            for future in as_completed(running):
                future.result()
                yield running[future]
        except KeyboardInterrupt:
            for worker in set(active_children()) - others:
                worker.terminate()  # what they are at is done again; what is finished is kept
            raise
        except BrokenProcessPool as error:
            raise BurnishError(
                "a worker process died, most likely for want of memory; finished shards are kept, and the same "
                "command goes on with the rest. Give engine.workers=1 if it happens again."
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _die_with(parent: int) -> None:
    """End this worker when its parent is gone: a parent killed by force tells nobody."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_PARENT_CHECK_S)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
