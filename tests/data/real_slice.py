"""The committed slice of the real assets, put where the asset cache would have them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from set_aside import write_rejected

from burnish.artifacts import DatasetArtifact, Draft, Measurement
from burnish.artifacts.digest import file_digest
from burnish.data.collect import CollectConfig, collect
from burnish.data.records import Record, write_kept
from burnish.data.sources import Source
from burnish.runtime import Run, Workdir
from burnish.runtime.assets import ASSETS, CACHE_VARIABLE, cached_path
from burnish.runtime.events import EventLog
from burnish.runtime.workdir import fresh

SLICE = Path(__file__).with_name("slice.jsonl")

CHINESE = (
    "中国银行上海分行昨日公布了上半年的财务报告。",
    "今天天气很好,我们一起去公园散步吧!",
    "人工智能技术正在改变我们的生活方式。",
    "股票市场今日大幅下跌,投资者信心受挫。",
    "這是一個關於臺灣歷史的故事,請仔細閱讀。",
    "床前明月光,疑是地上霜。举头望明月,低头思故乡。",
    "营业收入同比增长12.5%,净利润创历史新高",
    "这款手机的电池续航能力很强,屏幕显示效果也不错。",
    "质量很差,完全不推荐购买,客服态度恶劣",
    "学而时习之,不亦说乎?有朋自远方来,不亦乐乎?",
    "iPhone 15 发布会将于9月举行,国行价格尚未公布",
    "香港特別行政區政府公布最新失業率",
)


def slice_lines(key: str) -> list[str]:
    """Give the slice's lines of one format: those that have `key`."""
    return [line for line in SLICE.read_text(encoding="utf-8").splitlines() if key in json.loads(line)]


def use_slice(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    """Make the slice what the two assets hold; `fetch` still checks the digest and finds nothing to download."""
    monkeypatch.setenv(CACHE_VARIABLE, str(cache))
    for name, key in (("sarcasm-headlines", "ideal"), ("text-compression", "type")):
        path = cached_path(ASSETS[name])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in slice_lines(key)), encoding="utf-8")
        monkeypatch.setitem(ASSETS, name, replace(ASSETS[name], member_sha256=file_digest(path)))


def collected(run: Run, *sources: Source, seed: int = 0) -> DatasetArtifact:
    """Collect from sources."""
    return run(collect, config=CollectConfig(sources, seed))


def texts(*given: str, label: str | None = None, planted: Any = "") -> list[Record]:
    """Make records of texts."""
    return [Record(f"t:{number:04}", text, label, "t", planted) for number, text in enumerate(given)]


@dataclass(frozen=True)
class Given:
    """Records to seal as they are, and evidence to go with them."""

    records: tuple[Record, ...]
    evidence: tuple[Measurement, ...] = ()


def give(out: Workdir, *, config: Given) -> Draft[DatasetArtifact]:
    """Seal given records."""
    write_kept(out, config.records)
    write_rejected(out, [])
    return Draft(DatasetArtifact, config.evidence, "records of a test")


def dataset(run: Run, records: Sequence[Record], *evidence: Measurement) -> DatasetArtifact:
    """Make a dataset of records."""
    return run(give, config=Given(tuple(records), evidence))


def workdir(folder: Path) -> Workdir:
    """Make a workdir."""
    folder.mkdir(parents=True, exist_ok=True)
    return fresh(folder, "test", EventLog(folder / "events.jsonl"))


def evidence(artifact: DatasetArtifact) -> dict[str, float]:
    """Give the evidence's values by name."""
    return {measurement.name: measurement.value for measurement in artifact.evidence}
