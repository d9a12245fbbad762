"""Ray engine: the same work on every shard, as tasks of a Ray cluster through Ray Data.

A task is one shard, so a lost worker costs the shards it was at: Ray gives them to another, and the work on a shard
is the same bytes wherever it is done.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from burnish.errors import BurnishError
from burnish.runtime import need

if TYPE_CHECKING:
    from burnish.data.engine import Ray, ShardWork

_RETRIES = 3  # of a shard whose worker was lost; then the fault is likely the shard's own


def in_ray(engine: "Ray", work: "ShardWork", tasks: Sequence[tuple[Path, Path]]) -> Iterator[Path]:
    """Do the work on each (shard, folder); give each shard as its folder is in place.

    Raises:
        BurnishError: no cluster answers at the address, or a shard failed on every try.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # nothing is reported to anyone
    ray, data = need("ray", extra="ray"), need("ray.data", extra="ray")
    is_ours = not ray.is_initialized()
    if is_ours:
        _connect(ray, engine)
    try:
        context = data.DataContext.get_current()
        context.enable_progress_bars = False
        items = [{"shard": str(shard), "folder": str(folder)} for shard, folder in tasks]
        done = data.from_items(items, override_num_blocks=max(1, len(items))).map(
            _Task(work), num_cpus=1, concurrency=engine.workers, max_retries=_RETRIES
        )
        for row in done.iter_rows():
            yield Path(row["shard"])
    except ray.exceptions.RayError as error:
        raise BurnishError(
            f"Ray could not finish ({error}); finished shards are kept, and the same command goes on"
        ) from error
    finally:
        if is_ours:
            ray.shutdown()


class _Task:
    """Do one shard, in the folder that this process is in now: a path may be relative to it. Picklable."""

    def __init__(self, work: "ShardWork") -> None:
        self._work = work
        self._here = Path.cwd()

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        from burnish.data.engine import do_shard

        with suppress(OSError):  # a node may lack it, and needs it only for relative paths
            os.chdir(self._here)
        folder = Path(row["folder"])
        if not folder.exists():
            do_shard(self._work, Path(row["shard"]), folder)
        return row


def _connect(ray: Any, engine: "Ray") -> None:
    try:
        if engine.address:
            ray.init(address=engine.address, log_to_driver=False)
        else:
            ray.init(num_cpus=engine.workers, include_dashboard=False, log_to_driver=False)
    except (ConnectionError, RuntimeError, ValueError) as error:
        where = f"at {engine.address}" if engine.address else "on this machine"
        raise BurnishError(f"no Ray cluster could be reached {where} ({error}); check engine.address") from error
