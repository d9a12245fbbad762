"""Seal artifacts for a report: by the real store, from stage functions that are given what heavy rooms would compute."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from burnish.artifacts import (
    Artifact,
    DatasetArtifact,
    Draft,
    Measurement,
    ModelArtifact,
    ReportArtifact,
    Store,
)
from burnish.artifacts.digest import plain
from burnish.artifacts.manifest import lineage_digest
from burnish.artifacts.store import Made
from burnish.runtime.events import Event, EventLog
from burnish.runtime.hardware import fingerprint
from burnish.runtime.workdir import Workdir, fresh

MEBI = 1 << 20


@dataclass(frozen=True)
class Given:
    """What a stage of the chain would have computed."""

    evidence: tuple[Measurement, ...]
    files: tuple[tuple[str, str], ...] = ()


def make_dataset(out: Workdir, *parents: Artifact, config: Given) -> Draft[DatasetArtifact]:
    return Draft(DatasetArtifact, _write(out, config), "records")


def make_model(out: Workdir, *parents: Artifact, config: Given) -> Draft[ModelArtifact]:
    return Draft(ModelArtifact, _write(out, config), "a model")


def make_report(out: Workdir, *parents: Artifact, config: Given) -> Draft[ReportArtifact]:
    return Draft(ReportArtifact, _write(out, config), "facts")


def _write(out: Workdir, config: Given) -> tuple[Measurement, ...]:
    for name, text in config.files:
        (out / name).write_text(text, encoding="utf-8")
    return config.evidence


MAKERS = {"dataset": make_dataset, "model": make_model, "report": make_report}


@dataclass
class Chain:
    """Seal one artifact after another; `artifacts` keeps them by label in the order they were made."""

    root: Path
    artifacts: dict[str, Artifact] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.store = Store(self.root / "store")
        self.log = EventLog(self.root / "events.jsonl", (self.events.append,))

    def seal(
        self,
        label: str,
        stage: str,
        kind: str,
        evidence: tuple[Measurement, ...] = (),
        *,
        parents: str = "",
        files: tuple[tuple[str, str], ...] = (),
        seconds: float = 1.0,
        memory_mebi: int = 200,
        environment: dict[str, Any] | None = None,
    ) -> Artifact:
        given = Given(evidence, files)
        made_from = tuple(self.artifacts[name] for name in parents.split())
        arguments = {"config": plain(given), "label": label}
        digest = lineage_digest(stage, "code", arguments, [artifact.digest for artifact in made_from])
        work = self.store.work(digest)
        draft = MAKERS[kind](fresh(work, label, self.log), *made_from, config=given)
        made = Made(
            digest, stage, "code", arguments, {}, made_from, environment or fingerprint(), seconds, memory_mebi * MEBI
        )
        self.artifacts[label] = self.store.seal(work, draft, made)
        return self.artifacts[label]

    def passed(self, *, without: str = "") -> tuple[Artifact, ...]:
        """Give the artifacts in the order the recipe passes them to the report, less those named."""
        left_out = set(without.split())
        return tuple(artifact for label, artifact in self.artifacts.items() if label not in left_out)


def number(name: str, value: float, unit: str = "records", n: int = 1) -> Measurement:
    return Measurement(name, value, unit, n, how="counted")


def spread(name: str, value: float, half: float, unit: str, n: int, how: str) -> Measurement:
    return Measurement(name, value, unit, n, value - half, value + half, how)
