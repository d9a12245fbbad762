"""The stages of balance and knowledge through a real run: sealed, found again, and byte for byte the same elsewhere."""

from pathlib import Path
from typing import Any

import pytest
from countries import SAYINGS, write_countries
from sharded import FINANCE, GRAIN, sharded

from burnish.artifacts import Store
from burnish.data.balance import BalanceConfig, Oversample, Smote, Undersample, balance
from burnish.data.graphs.knowledge_text import InText, OwnRecords
from burnish.data.knowledge import KnowledgeConfig, inject_knowledge
from burnish.data.mixture import MixtureConfig, mix
from burnish.data.probe import ProbeConfig, make_probe
from burnish.data.records import Record, read_kept
from burnish.data.weighing.features import TextVectors
from burnish.runtime import Run
from burnish.runtime.events import EventLog

RECORDS = [
    *(Record(f"f:{n}", text, "finance", "news") for n, text in enumerate(FINANCE[:4])),
    *(Record(f"g:{n}", f"{text} Japan and 法国.", "grain", "wire") for n, text in enumerate(GRAIN * 2)),
]


@pytest.mark.parametrize(
    "config",
    [
        BalanceConfig(),
        BalanceConfig(Undersample(2.0)),
        BalanceConfig(Oversample()),
        BalanceConfig(Smote(TextVectors(), 1.0, 2)),
        MixtureConfig(),
        "text",
        "records",
    ],
)
def test_equal_calls_make_equal_bytes(config: Any, tmp_path: Path) -> None:
    source = write_countries(tmp_path / "graph")
    stage: Any = {BalanceConfig: balance, MixtureConfig: mix}.get(type(config), inject_knowledge)
    if isinstance(config, str):
        config = KnowledgeConfig(source, SAYINGS, mode=InText() if config == "text" else OwnRecords())
    digests = []
    for place in ("here", "there"):
        run = Run(Store(tmp_path / place), EventLog(tmp_path / f"{place}.jsonl"))
        done = run(stage, sharded(run, RECORDS, 2), config=config)
        assert run(stage, sharded(run, RECORDS, 2), config=config) == done
        assert all(measurement.how for measurement in done.evidence)
        digests.append(done.manifest.payload_digest)
    assert digests[0] == digests[1]


def test_a_probe_is_sealed_with_its_evidence(run: Run, tmp_path: Path) -> None:
    probe = run(make_probe, config=ProbeConfig(write_countries(tmp_path / "graph"), SAYINGS, num_options=3))
    assert probe.measurement("factual_questions").value == sum(
        record.id.startswith("factual") for record in read_kept(probe, "test")
    )
