"""The view: what the page shows, as plain values read from sealed artifacts and from nothing else."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from burnish.artifacts import Artifact, Measurement
from burnish.report.cast import Cast, assign, look, words_for
from burnish.report.charts import Curve, Point
from burnish.report.compare import Row, compare
from burnish.report.figures import plural, show, significant
from burnish.report.flow import Flow, trace
from burnish.report.headline import Sentence, caveat, headline
from burnish.report.lineage import Node, lineage
from burnish.report.machine import Machine, machines
from burnish.report.parity import Parity, read_parity
from burnish.report.tasks import Task, read_tasks, tasks_as_json

_TILES = ("throughput_tokens_per_s", "size_bytes", "accuracy_frac", "latency_p50_ms", "memory_bytes")
_MAX_TILES = 4
_LOSS_OF = {"burnish.train.prefer.prefer": "pair of answers", "burnish.train.multitask.multitask": "label"}


@dataclass(frozen=True)
class Training:
    """Hold what the tuning left: its curve, what the loss is one of, and its figures in words."""

    curve: Curve
    loss_of: str
    facts: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Methods:
    """Hold everything that was measured on one artifact, with how."""

    words: str
    digest: str
    evidence: tuple[Measurement, ...]


@dataclass(frozen=True)
class View:
    """Hold the whole page; a section without material is None or empty."""

    title: str
    when: str
    headline: Sentence
    caveat: Sentence
    rows: tuple[Row, ...]
    tiles: tuple[Row, ...]
    groups: tuple[tuple[str, tuple[Row, ...]], ...]
    concurrency: tuple[int | None, int | None]
    load_words: str
    flow: Flow | None
    training: Training | None
    tasks: tuple[Task, ...]
    parity: Parity | None
    nodes: tuple[Node, ...]
    result_words: str
    machines: tuple[Machine, ...]
    methods: tuple[Methods, ...]
    warnings: tuple[str, ...]


def read_view(artifacts: tuple[Artifact, ...], *, title: str, price_per_hour: float, currency: str) -> View:
    """Read the view from the artifacts.

    Args:
        artifacts: sealed, in any order; told apart by their stage.
        title: of the page.
        price_per_hour: of the machine.
        currency: of the price, three letters.
    """
    cast = assign(artifacts)
    rows = compare(
        (cast.base_quality, cast.base if cast.compressed else None, cast.baseline_load),
        (cast.served_quality, cast.compressed, cast.served_load),
        price_per_hour=price_per_hour,
        currency=currency,
    )
    by_name = {row.metric.name: row for row in rows if row.change}
    loads = tuple(_count(load, "concurrency") for load in (cast.baseline_load, cast.served_load))
    training, broken = _training(cast.tuned)
    parity = read_parity(cast.parity)
    failed = tuple(gate["name"] for gate in parity.gates if not gate["is_passed"]) if parity else ()
    warnings = [f"{plural(broken, 'line')} of training_log.jsonl held no finite loss and {_were(broken)} left out"]
    if None not in loads and loads[0] != loads[1]:
        warnings.append(f"the loads differ: concurrency {loads[0]} before and {loads[1]} after; speeds do not compare")
    return View(
        title=title,
        when=_when(artifacts),
        headline=headline(cast, rows),
        caveat=caveat(cast, rows, failed),
        rows=rows,
        tiles=tuple(by_name[name] for name in _TILES if name in by_name)[:_MAX_TILES],
        groups=_groups(rows),
        concurrency=(loads[0], loads[1]),
        load_words=_load_words(cast),
        flow=trace(cast),
        training=training,
        tasks=read_tasks(cast.tuned),
        parity=parity,
        nodes=lineage(cast),
        result_words="" if cast.result is None else words_for(cast.result.stage).lower(),
        machines=machines(artifacts),
        methods=tuple(Methods(words_for(a.stage), a.digest[:12], a.evidence) for a in artifacts if a.evidence),
        warnings=tuple(warnings[0 if broken else 1 :]),
    )


def as_json(view: View) -> dict[str, Any]:
    """Give report.json: the title, the headline, the table, and the parity gates."""
    gates = [] if view.parity is None else view.parity.gates
    return {
        "title": view.title,
        "headline": "".join(span.text for span in view.headline),
        "caveat": "".join(span.text for span in view.caveat).strip(),
        "concurrency": {"before": view.concurrency[0], "after": view.concurrency[1]},
        "table": [row.as_json() for row in view.rows],
        "tasks": tasks_as_json(view.tasks),
        "gates": gates,
    }


def _groups(rows: tuple[Row, ...]) -> tuple[tuple[str, tuple[Row, ...]], ...]:
    names = dict.fromkeys(row.metric.group for row in rows)
    return tuple((name, tuple(row for row in rows if row.metric.group == name)) for name in names)


def _load_words(cast: Cast) -> str:
    parts = []
    for side, load in (("before", cast.baseline_load), ("after", cast.served_load)):
        requests, concurrency = _count(load, "num_requests"), _count(load, "concurrency")
        if requests is not None and concurrency is not None:
            parts.append(f"{side}: {plural(requests, 'request')}, {concurrency:,} at a time")
    return "; ".join(parts)


def _training(tuned: Artifact | None) -> tuple[Training | None, int]:
    """Read the training log; the second value counts lines that hold no finite loss."""
    if tuned is None or "training_log.jsonl" not in tuned.manifest.files:
        return None, 0
    training: list[Point] = []
    validation: list[Point] = []
    broken = 0
    for line in (tuned.payload / "training_log.jsonl").read_text(encoding="utf-8").splitlines():
        row = _row(line)
        step = _number(row.get("step"))
        loss, held_out = _number(row.get("loss_nats")), _number(row.get("validation_loss_nats"))
        if step is None or (loss is None and held_out is None):
            broken += bool(line.strip())
            continue
        if loss is not None:
            training.append(Point(step, loss, _number(row.get("lr"))))
        if held_out is not None:
            validation.append(Point(step, held_out))
    if not training and not validation:
        return None, broken
    curve = Curve(tuple(training), tuple(validation))
    return Training(curve, _LOSS_OF.get(tuned.stage, "token"), _training_facts(tuned)), broken


def _training_facts(tuned: Artifact) -> tuple[tuple[str, str], ...]:
    wanted = (
        ("validation_loss_nats", "Validation loss", "nats"),
        ("train_loss_nats", "Training loss", "nats"),
        ("validation_bits_per_byte", "Bits per byte, held out", "bits/byte"),
        ("preference_accuracy_frac", "Better answer preferred", "1"),
        ("trained_parameters", "Parameters trained", ""),
        ("trained_frac", "Share of the model", "1"),
        ("train_tokens", "Tokens read", ""),
        ("train_tokens_per_s", "Training speed", "tokens/s"),
    )
    found = ((words, look(tuned, name), unit) for name, words, unit in wanted)
    return tuple((words, _fact(m.value, unit)) for words, m, unit in found if m is not None)


def _fact(value: float, unit: str) -> str:
    return f"{value:,.0f}" if unit == "" else show(value, unit) if unit == "1" else f"{significant(value)} {unit}"


def _when(artifacts: tuple[Artifact, ...]) -> str:
    """Say when the last of the artifacts was sealed; the page itself adds no clock of its own."""
    if not artifacts:
        return ""
    last = max(artifact.manifest.created_unix_s for artifact in artifacts)
    return datetime.fromtimestamp(last, UTC).strftime("%d %B %Y").lstrip("0")


def _row(line: str) -> Mapping[str, Any]:
    try:
        row = json.loads(line)
    except ValueError:
        return {}
    return row if isinstance(row, dict) else {}


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _count(artifact: Artifact | None, name: str) -> int | None:
    found = look(artifact, name)
    return None if found is None else round(found.value)


def _were(number: int) -> str:
    return "was" if number == 1 else "were"
