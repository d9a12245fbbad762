"""Collect from sources in a folder, and look at what came of it."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from set_aside import read_rejected

from burnish.artifacts import DatasetArtifact
from burnish.data.collect import CollectConfig, collect
from burnish.data.records import Record, Rejected, Rejection, read_kept
from burnish.data.sources import Source
from burnish.errors import ArtifactError
from burnish.runtime.events import Event, EventLog
from burnish.runtime.workdir import Workdir, fresh, snapshots_of


@dataclass(frozen=True)
class Collected:
    """What a call of the stage gave."""

    kept: list[Record]
    rejected: list[Rejected]
    evidence: dict[str, float]
    payload: Path

    @property
    def rules(self) -> list[tuple[str, str]]:
        return [(record.id, rejection.rule) for record, rejection in self.rejected]

    @property
    def reasons(self) -> dict[str, Rejection]:
        return {record.id: rejection for record, rejection in self.rejected}


def peak_mb() -> int:
    """Measure the most memory that this process has held; `ru_maxrss` would count what its parent held at its start."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024


def workdir(folder: Path, events: list[Event] | None = None) -> Workdir:
    """Make a workdir, with the snapshots of an earlier attempt where there are any."""
    folder.mkdir(parents=True, exist_ok=True)
    readers = () if events is None else (events.append,)
    return fresh(folder, "collect", EventLog(folder / "events.jsonl", readers))


def gather(folder: Path, *sources: Source, seed: int = 0, events: list[Event] | None = None) -> Collected:
    """Run the stage in a workdir of its own."""
    out = workdir(folder, events)
    draft = collect(out, config=CollectConfig(sources, seed))
    shutil.rmtree(snapshots_of(folder))  # as the run does once the artifact is sealed
    sealed = DatasetArtifact("0" * 64, "collect", folder)
    try:
        kept = read_kept(sealed)
    except ArtifactError:
        kept = []
    return Collected(kept, read_rejected(sealed), {m.name: m.value for m in draft.evidence}, out.payload)
