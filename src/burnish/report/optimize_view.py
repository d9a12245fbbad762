"""The view of a search over the whole chain: every candidate with its figures, and the answer, read from sealed artifacts."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from burnish.artifacts import Artifact, Measurement
from burnish.report.cast import assign, words_for
from burnish.report.figures import plural, show, show_interval, significant
from burnish.report.lineage import Node, lineage
from burnish.report.machine import Machine, machines
from burnish.report.optimize_found import REFERENCE, Found, Row, State
from burnish.report.view import Methods

KIND = "optimize"  # of report.json, which tells it from other reports
_NAMES = ("latency_p99_ms", "throughput_tokens_per_s", "memory_bytes", "ttft_p50_ms")


@dataclass(frozen=True)
class Shown:
    """Hold one candidate with its figures by name; quality is under "quality"."""

    row: Row
    figures: dict[str, Measurement]

    @property
    def is_within(self) -> bool:
        """Tell whether it was measured and keeps every limit."""
        return self.row.state == "complete" and not self.row.misses

    def value(self, name: str) -> float | None:
        """Give a measured value."""
        found = self.figures.get(name)
        return None if found is None else found.value

    def shown(self, name: str) -> str:
        """Show a value in words; a dash where it was not measured."""
        found = self.figures.get(name)
        return "–" if found is None else show(found.value, "" if name == "quality" else found.unit)

    def interval(self, name: str) -> str:
        """Show the 95 % interval; nothing where there is none."""
        found = self.figures.get(name)
        if found is None or found.low is None or found.high is None:
            return ""
        return show_interval(found.low, found.high, "" if name == "quality" else found.unit, beside=found.value)


@dataclass(frozen=True)
class OptimizeView:
    """Hold the whole page.

    Attributes:
        speed: throughput of the answer over the base's, loaded in turn; None where they were not.
    """

    title: str
    when: str
    found: Found
    candidates: tuple[Shown, ...]
    nodes: tuple[Node, ...]
    machines: tuple[Machine, ...]
    methods: tuple[Methods, ...]
    speed: Measurement | None = None

    @property
    def reference(self) -> Shown:
        """Give the base as it was."""
        return self.candidates[0]

    @property
    def answer(self) -> Shown | None:
        """Give the best candidate within the limits."""
        return self.numbered(self.found.answer)

    @property
    def measured(self) -> tuple[Shown, ...]:
        """List what was served and measured, the base first."""
        return tuple(each for each in self.candidates if each.row.state == "complete")

    def numbered(self, number: int | None) -> Shown | None:
        """Find a candidate."""
        return next((each for each in self.candidates if each.row.number == number), None)

    def count(self, state: State) -> int:
        """Count the candidates that ended so; the base is none."""
        return sum(each.row.state == state and each.row.number != REFERENCE for each in self.candidates)

    @property
    def quality_words(self) -> str:
        """Name the quality."""
        return {"text_kept_frac": "Text kept", "accuracy_frac": "Accuracy"}.get(self.found.quality, self.found.quality)

    @property
    def headline(self) -> str:
        """Say what was found in one sentence."""
        answer = self.answer
        if answer is None:
            return self.found.verdict
        parts = [
            self._faster(answer),
            _times(self.reference, answer, "size_bytes", "smaller"),
        ]
        limits = f" within {', '.join(self.found.limits)}" if self.found.limits else ""
        return (
            f"{answer.row.words}: {' and '.join(part for part in parts if part)} beside the base, "
            f"{self.quality_words.lower()} {answer.shown('quality')} (95 % interval {answer.interval('quality')}), "
            f"latency P99 {answer.shown('latency_p99_ms')}, memory {answer.shown('memory_bytes')}; the best for "
            f"{self.found.prefer} of {plural(len(self.candidates) - 1, 'candidate')}{limits}."
        )

    def _faster(self, answer: Shown) -> str:
        """Say how much faster the answer is: as both did in turn, else at the moments when each was measured."""
        if self.speed is None or self.speed.low is None or self.speed.high is None:
            return _times(answer, self.reference, "throughput_tokens_per_s", "the throughput")
        low, high = (significant(each, 2) for each in (self.speed.low, self.speed.high))
        between = f" ({low} to {high} in {self.speed.n} rounds in turn)" if low != high else ""
        return f"{significant(self.speed.value, 2)}× the throughput{between}"


def read_optimize(artifacts: Sequence[Artifact], found: Found, *, title: str) -> OptimizeView:
    """Read the view; a candidate's figures are those of the artifacts that its row names."""
    by_digest = {artifact.digest: artifact for artifact in artifacts}
    chosen = next(
        (row for row in found.rows if row.number == (found.nearest if found.answer is None else found.answer)), None
    )
    shown = _of_the_answer(artifacts, found, chosen)
    final = by_digest.get("" if chosen is None else chosen.digest("served"))
    cast = replace(assign(shown), compressed=final)
    return OptimizeView(
        title,
        datetime.fromtimestamp(max(a.manifest.created_unix_s for a in artifacts), UTC).strftime("%d %B %Y").lstrip("0"),
        found,
        tuple(Shown(row, _figures(row, by_digest, found.quality)) for row in found.rows),
        lineage(cast),
        machines(tuple(artifacts)),
        tuple(Methods(words_for(a.stage), a.digest[:12], a.evidence) for a in shown if a.evidence),
        by_digest[found.race].measurement("speed_ratio") if found.race else None,
    )


def as_json(view: OptimizeView) -> dict[str, Any]:
    """Give report.json: the answer, and every candidate with all that was measured of it."""
    answer = view.answer
    return {
        "kind": KIND,
        "title": view.title,
        "headline": view.headline,
        "limits": list(view.found.limits),
        "prefer": view.found.prefer,
        "ended": view.found.ended,
        "race": view.found.race or None,
        "answer": None if answer is None else {"number": answer.row.number, **dict(answer.row.digests)},
        "candidates": [
            {
                "number": each.row.number,
                "words": each.row.words,
                "state": state_words(each),
                "reason": reason_words(each),
                "is_within": each.is_within,
                "seconds": each.row.seconds,
                "digests": dict(each.row.digests),
                "proxy_frac": each.row.proxy_frac,
                "shown": {name: each.shown(name) for name in COLUMNS},
                "figures": {
                    name: {"value": m.value, "unit": m.unit, "low": m.low, "high": m.high, "n": m.n}
                    for name, m in each.figures.items()
                },
            }
            for each in view.candidates
        ],
    }


COLUMNS = {
    "quality": "Quality",
    "latency_p99_ms": "Latency P99",
    "throughput_tokens_per_s": "Throughput",
    "memory_bytes": "Memory",
    "size_bytes": "Size",
}


def state_words(each: Shown) -> str:
    """Say how a candidate ended."""
    if each.row.number == REFERENCE:
        return "base"
    if each.row.state == "complete":
        return "within" if each.is_within else "outside"
    return each.row.state


def reason_words(each: Shown) -> str:
    """Say why a candidate is not within the limits; nothing where it is."""
    return each.row.reason or "; ".join(each.row.misses)


def _times(more: Shown, less: Shown, name: str, words: str) -> str:
    above, below = more.value(name), less.value(name)
    return f"{significant(above / below, 2)}× {words}" if above and below else ""


def _figures(row: Row, by_digest: dict[str, Artifact], quality: str) -> dict[str, Measurement]:
    figures: dict[str, Measurement] = {}
    load, served, judged = (by_digest.get(row.digest(name)) for name in ("load", "served", "quality"))
    if load is not None:
        figures |= {m.name: m for m in load.evidence if m.name in _NAMES}
    if served is not None:
        figures["size_bytes"] = served.measurement("size_bytes")
    if judged is not None:
        figures["quality"] = judged.measurement(quality)
    return figures


def _of_the_answer(artifacts: Sequence[Artifact], found: Found, chosen: Row | None) -> tuple[Artifact, ...]:
    """Leave out what belongs to other candidates alone: their lineage would bury the answer's."""
    others = {digest for row in found.rows if row.number != REFERENCE for _, digest in row.digests}
    kept = {digest for row in found.rows if row.number == REFERENCE for _, digest in row.digests}
    kept |= set() if chosen is None else {digest for _, digest in chosen.digests}
    return tuple(artifact for artifact in artifacts if artifact.digest not in others - kept)
