"""The stages of a data run: which sealed dataset stands where on the way, and what it did with the records."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import Any

from burnish.artifacts import Artifact, DatasetArtifact
from burnish.data.ledger import ledger_schema
from burnish.report.cast import count
from burnish.runtime import need


class Role(Enum):
    """What a stage does with the records that come to it."""

    SOURCE = "source"  # brings records from outside
    REWRITE = "rewrite"  # changes or adds records, removes none
    SIEVE = "sieve"  # keeps some, sets the others aside
    RESAMPLE = "resample"  # sets some aside, repeats or makes others
    PAIRS = "pairs"  # says which records are alike, and holds none itself


_WORDS = {
    "collect": "Collect",
    "clean": "Clean",
    "find_copies": "Find copies",
    "select": "Select",
    "split": "Split",
    "augment": "Augment",
    "balance": "Balance",
    "mix": "Mixture",
    "deduplicate_semantic": "Copies in other words",
    "inject_knowledge": "Knowledge",
}


_ASKED = re.compile(r"(?:dropped|refused)_(\w+)_records")


@dataclass(frozen=True)
class Stage:
    """Hold one dataset on the way.

    Attributes:
        before: the dataset whose records came to it; None for a source.
    """

    artifact: DatasetArtifact
    role: Role
    before: "Stage | None"

    @property
    def name(self) -> str:
        """Give the stage function's name."""
        return self.artifact.stage.rsplit(".", 1)[-1]

    @property
    def words(self) -> str:
        """Name the stage for people: `gate_domain` is Domain."""
        plain = self.name.removeprefix("gate_").replace("_", " ").capitalize()
        return _WORDS.get(self.name, plain)

    @property
    def removes(self) -> bool:
        """Tell whether it sets aside records that came to it."""
        return self.role in (Role.SIEVE, Role.RESAMPLE)

    def shards(self, folder: str) -> list[Path]:
        """List the Parquet files of one folder of the payload (`data`, `rejected`, `ledger`, `measures`) in order."""
        return sorted((self.artifact.payload / folder).glob("*.parquet"))

    def shard(self, folder: str, name: str) -> Path | None:
        """Give one file, or None where the stage wrote none."""
        path = self.artifact.payload / folder / name
        return path if path.is_file() else None

    @cached_property
    def quiet_rules(self) -> tuple[str, ...]:
        """Name the rules that were asked and removed nothing."""
        return tuple(rule for rule, num in self._asked if num == 0)

    @cached_property
    def rule_order(self) -> dict[str, int]:
        """Say in which order the rules were asked."""
        return {rule: place for place, (rule, _) in enumerate(self._asked)}

    @property
    def num_in(self) -> int | None:
        """Count the records that came, as the stage measured it."""
        return count(self.artifact, "records_in")

    @property
    def num_kept(self) -> int | None:
        """Count the records that a sieve kept, as it measured it."""
        return count(self.artifact, "records_kept")

    def decision_shards(self) -> list[Path]:
        """List the files that say what was decided: the ledger, or where there is none what was set aside."""
        return self.shards("ledger") or self.shards("rejected")

    def decisions(self, path: Path | None = None) -> Any:
        """Open what the stage decided, or one file of it, as a lazy Polars frame with the columns of a ledger.

        None where it decided nothing. A stage without a ledger says the same in what it set aside.
        """
        polars = need("polars", extra="data")
        paths = self.decision_shards() if path is None else [path]
        if not paths:
            return None
        frame = polars.scan_parquet(paths, glob=False)
        if self.shards("ledger"):
            return frame
        said = {"step": polars.lit(self.name), "kept": polars.lit(value=False)}
        return frame.with_columns(**said).select(ledger_schema().names)

    @cached_property
    def _asked(self) -> tuple[tuple[str, int], ...]:
        return tuple(
            (match[1], round(m.value))
            for m in self.artifact.evidence
            if (match := _ASKED.fullmatch(m.name)) is not None
        )


def trace_stages(artifacts: Iterable[Artifact]) -> tuple[Stage, ...]:
    """Order the datasets from the sources to the last one that holds records; what it does not descend from is left out.

    Args:
        artifacts: sealed, in any order, where a child stands after its parents.
    """
    datasets = {a.digest: a for a in artifacts if isinstance(a, DatasetArtifact)}
    holders = [a for a in datasets.values() if _holds_records(a)]
    if not holders:
        return ()
    done: dict[str, Stage] = {}
    for artifact in _ancestry(_last(holders), datasets):
        done[artifact.digest] = _place(artifact, done)
    return tuple(done.values())


def _last(holders: list[DatasetArtifact]) -> DatasetArtifact:
    """Choose the dataset that no other was made from; of several the one given last."""
    parents = {parent.digest for artifact in holders for parent in artifact.manifest.parents}
    ends = [artifact for artifact in holders if artifact.digest not in parents]
    cleaned = [artifact for artifact in ends if artifact.manifest.parents]
    return (cleaned or ends or holders)[-1]


def _ancestry(artifact: DatasetArtifact, known: dict[str, DatasetArtifact]) -> Iterator[DatasetArtifact]:
    """Give parents before their children, each once."""
    seen: set[str] = set()

    def visit(current: DatasetArtifact) -> Iterator[DatasetArtifact]:
        if current.digest in seen:
            return
        seen.add(current.digest)
        for parent in current.manifest.parents:
            if parent.digest in known:
                yield from visit(known[parent.digest])
        yield current

    yield from visit(artifact)


def _place(artifact: DatasetArtifact, done: dict[str, Stage]) -> Stage:
    parents = [done[parent.digest] for parent in artifact.manifest.parents if parent.digest in done]
    before = next((stage for stage in parents if _holds_records(stage.artifact)), None)
    if not _holds_records(artifact):
        return Stage(artifact, Role.PAIRS, before)
    if before is None:
        return Stage(artifact, Role.SOURCE, None)
    if count(artifact, "records_kept") is not None:
        return Stage(artifact, Role.SIEVE, before)
    stage = Stage(artifact, Role.REWRITE, before)
    return replace(stage, role=Role.RESAMPLE) if _rejects_what_came(stage, before) else stage


def _rejects_what_came(stage: Stage, before: Stage) -> bool:
    """Tell a stage that sets records aside from one that refuses what it made itself, by the first that it rejected."""
    parquet = need("pyarrow.parquet", extra="data")
    for path in stage.shards("rejected"):
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=1, columns=["id"]):
                polars = need("polars", extra="data")
                here = polars.scan_parquet(before.shards("data"), glob=False).select("id")
                return not here.filter(polars.col("id") == batch.column(0)[0].as_py()).head(1).collect().is_empty()
    return False


def _holds_records(artifact: Artifact) -> bool:
    return any(name.startswith("data/") and name.endswith(".parquet") for name in artifact.manifest.files)
