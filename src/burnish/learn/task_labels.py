"""Labels of several tasks, read from one dataset: several columns, or records of several sources."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from burnish.artifacts import DatasetArtifact
from burnish.errors import BurnishError
from burnish.runtime import need

_META = "meta."


@dataclass(frozen=True)
class LabelSource:
    """Say where a task's labels stand.

    Attributes:
        column: of the records; `meta.KEY` is a key of what the source kept beside the text.
        source: only records of this source have the task; "" takes all.
    """

    name: str
    labels: tuple[str, ...]
    column: str = "label"
    source: str = ""


@dataclass(frozen=True)
class TextWithLabels:
    """One text with the index of its label in each task that it has one for; at least one."""

    id: str
    text: str
    targets: dict[str, int]


def read_targets(
    dataset: DatasetArtifact, split: str, tasks: Sequence[LabelSource], *, at_most: int | None = None
) -> list[TextWithLabels]:
    """Read the records of a split that have a label of at least one task, in order.

    Args:
        at_most: give the first so many of each task's.

    Raises:
        BurnishError: a label is not among its task's, or a task has none in the split.
    """
    columns = {task.column.partition(".")[0] if task.column.startswith(_META) else task.column for task in tasks}
    rows = _rows(dataset, split, {"id", "text", "source"} | columns)
    num_left = {task.name: len(rows) if at_most is None else at_most for task in tasks}
    num_found = dict.fromkeys(num_left, 0)
    found = []
    for row in rows:
        targets = {task.name: index for task in tasks if (index := _index(row, task)) is not None}
        targets = {name: index for name, index in targets.items() if num_found[name] < num_left[name]}
        for name in targets:
            num_found[name] += 1
        if targets:
            found.append(TextWithLabels(row["id"], row["text"], targets))
    for task in tasks:
        if not num_found[task.name]:
            where = f" of source {task.source!r}" if task.source else ""
            raise BurnishError(
                f"task {task.name}: no record{where} in split {split!r} of {dataset.label} has a label in column "
                f"{task.column!r}"
            )
    return found


def _rows(dataset: DatasetArtifact, split: str, columns: set[str]) -> list[dict[str, Any]]:
    parquet = need("pyarrow.parquet", extra="data")
    rows: list[dict[str, Any]] = []
    files: list[Path] = sorted((dataset.payload / "data").glob(f"{split}*.parquet"))
    for path in files:
        there = set(parquet.read_schema(path).names)
        if missing := columns - there:
            raise BurnishError(f"{dataset.label} has no column {min(missing)!r}; there are: {', '.join(sorted(there))}")
        rows += parquet.read_table(path, columns=sorted(columns)).to_pylist()
    if not rows:
        raise BurnishError(f"{dataset.label} holds no records in split {split!r}")
    return rows


def _index(row: dict[str, Any], task: LabelSource) -> int | None:
    """Give the index of a record's label, None where it has none for the task."""
    if task.source and row["source"] != task.source:
        return None
    if task.column.startswith(_META):
        label = json.loads(row["meta"] or "{}").get(task.column.removeprefix(_META))
    else:
        label = row[task.column]
    if label is None:
        return None
    if str(label) not in task.labels:
        raise BurnishError(
            f"record {row['id']} has {label!r} in column {task.column!r}; task {task.name} allows "
            f"{', '.join(task.labels)}"
        )
    return task.labels.index(str(label))
