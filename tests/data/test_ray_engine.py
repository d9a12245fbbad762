"""The same work in a real local Ray cluster, with a worker that is killed."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as arrow
import pytest

from burnish.artifacts import DatasetArtifact, Draft
from burnish.data.clean import CleanConfig, clean
from burnish.data.engine import Local, Ray, run_shards
from burnish.data.shards import kept_schema, write_table
from burnish.errors import BurnishError
from burnish.runtime import Run, Workdir

ray = pytest.importorskip("ray", reason="the extra ray is not installed")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # Ray's own: sockets and files that its start leaves to the collector
]

TEXTS = (
    "The quick brown fox jumps over the lazy dog again and again.",
    "央行宣布下调存款准备金率，市场反应积极，股市上涨。",
)


@dataclass(frozen=True)
class Rows:
    num_shards: int


def rows(out: Workdir, *, config: Rows) -> Draft[DatasetArtifact]:
    for shard in range(config.num_shards):
        count = 30
        texts = [f"{TEXTS[row % 2]} Call 13800138000, number {shard}-{row}." for row in range(count)]
        columns = {
            "id": [f"{shard}-{row}" for row in range(count)],
            "text": texts,
            "label": [None] * count,
            "source": ["made"] * count,
            "planted": [""] * count,
            "meta": [None] * count,
        }
        write_table(out / f"data/part-{shard:05d}.parquet", arrow.table(columns, schema=kept_schema()))
    return Draft(DatasetArtifact, (), "rows")


@dataclass(frozen=True)
class Touch:
    """Write the shard's name; the first time at shard 1, wait to be killed."""

    trap: Path

    def __call__(self, shard: Path, folder: Path, advance: Callable[[float], None]) -> None:
        flag = self.trap / "sprung"
        if shard.stem.endswith("1") and not flag.exists():
            flag.write_text(str(os.getpid()), encoding="ascii")
            time.sleep(60)
        (folder / "name.txt").write_text(shard.stem, encoding="ascii")


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.mark.usefixtures("cluster")
def test_two_workers_of_a_cluster_give_the_bytes_of_one_process(run: Run) -> None:
    raw = run(rows, config=Rows(4))
    there = run(clean, raw, config=CleanConfig(engine=Ray(workers=2)))
    assert there.measurement("masked_cn_mobile_count").value == 120
    here = {path.relative_to(there.payload): path.read_bytes() for path in there.payload.rglob("*") if path.is_file()}
    again = Run(type(run.store)(run.store.root.parent / "other"), run.events)
    alone = again(clean, again(rows, config=Rows(4)), config=CleanConfig(engine=Local(workers=1)))
    assert alone.digest == there.digest  # how it was made is no part of the lineage
    assert {path: (alone.payload / path).read_bytes() for path in here} == here


@pytest.mark.usefixtures("cluster")
def test_a_shard_whose_worker_is_killed_is_done_by_another(run: Run, tmp_path: Path) -> None:
    raw = run(rows, config=Rows(3))
    shards = sorted((raw.payload / "data").glob("*.parquet"))
    out = Workdir(tmp_path / "work", "touch", run.events)
    killed: list[int] = []

    def kill() -> None:
        flag = tmp_path / "sprung"
        while not (flag.exists() and flag.read_text(encoding="ascii")):
            time.sleep(0.05)
        killed.append(int(flag.read_text(encoding="ascii")))
        os.kill(killed[0], signal.SIGKILL)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    done: dict[str, Any] = {
        shard.stem: (folder / "name.txt").read_text(encoding="ascii")
        for shard, folder in run_shards(out, shards, Touch(tmp_path), step="touch", engine=Ray(workers=2))
    }
    assert killed
    assert done == {shard.stem: shard.stem for shard in shards}


def test_an_address_where_nobody_answers_is_one_sentence(run: Run, tmp_path: Path) -> None:
    if ray.is_initialized():
        ray.shutdown()
    raw = run(rows, config=Rows(1))
    out = Workdir(tmp_path / "work", "touch", run.events)
    engine = Ray(address="ray://127.0.0.1:1", workers=1)
    with pytest.raises(BurnishError, match=r"no Ray cluster could be reached at ray://127\.0\.0\.1:1"):
        list(run_shards(out, sorted((raw.payload / "data").glob("*")), Touch(tmp_path), step="touch", engine=engine))
