"""Hand-over parity: what the parity stage found between trainer, merged, compressed and served model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from burnish.artifacts import Artifact, Measurement
from burnish.report.cast import look

_MAX_EXAMPLES = 6
_MAX_CHARACTERS = 700  # keeps the page small whatever a model answers
_SIDES = ("base", "tuned", "compressed", "served")


@dataclass(frozen=True)
class Handover:
    """Hold one hand-over; `kl` is None where logits cannot be had (over HTTP)."""

    words: str
    top1_frac: float
    interval: tuple[float, float] | None
    kl_nats: float | None
    num_positions: int
    floor_frac: float | None

    @property
    def is_passed(self) -> bool | None:
        """Tell whether the agreement reaches its floor; None where no floor is set."""
        return None if self.floor_frac is None else self.top1_frac >= self.floor_frac


@dataclass(frozen=True)
class Example:
    """Hold one prompt and what each form of the model answered, in the order of the chain."""

    prompt: str
    answers: tuple[tuple[str, str], ...]

    @property
    def changed(self) -> frozenset[str]:
        """Name the later forms whose answer is not the tuned model's."""
        said = dict(self.answers)
        later = ("compressed", "served") if "tuned" in said else ()
        return frozenset(side for side in later if side in said and said[side] != said["tuned"])


@dataclass(frozen=True)
class Parity:
    """Hold the parity table, the share of prompts with equal template tokens, and some answers."""

    handovers: tuple[Handover, ...]
    template: Measurement | None
    template_frac: float | None
    examples: tuple[Example, ...]

    @property
    def has_floors(self) -> bool:
        """Tell whether any hand-over has a floor, so that there is a gate to show."""
        return any(handover.floor_frac is not None for handover in self.handovers)

    @property
    def gates(self) -> list[dict[str, Any]]:
        """Give the outcome of every floor, as report.json holds it."""
        return [
            {
                "name": f"top-1 agreement, {h.words}",
                "value": h.top1_frac,
                "at_least": h.floor_frac,
                "is_passed": h.is_passed,
            }
            for h in self.handovers
            if h.floor_frac is not None
        ]


def read_parity(parity: Artifact | None) -> Parity | None:
    """Read parity.json and the intervals in the evidence; None where the run made no parity artifact."""
    if parity is None or "parity.json" not in parity.manifest.files:
        return None
    facts = parity.read_json("parity.json")
    examples = [_example(row) for row in facts.get("examples", ())[:_MAX_EXAMPLES]]
    return Parity(
        tuple(_handover(row, parity) for row in facts.get("handovers", ())),
        look(parity, "template_tokens_equal_frac"),
        facts.get("template_tokens_equal_frac"),
        tuple(example for example in examples if example.answers),
    )


def _handover(row: Mapping[str, Any], parity: Artifact) -> Handover:
    name = str(row["name"])
    measured = look(parity, f"top1_agreement_{name}_frac")
    has_interval = measured is not None and measured.low is not None and measured.high is not None
    return Handover(
        words=name.replace("_to_", " → ").replace("_", " "),
        top1_frac=float(row["top1_agreement_frac"]),
        interval=(measured.low, measured.high) if has_interval and measured else None,  # type: ignore[arg-type]
        kl_nats=row.get("kl_nats"),
        num_positions=int(row.get("num_positions", 0)),
        floor_frac=row.get("floor"),
    )


def _example(row: Mapping[str, Any]) -> Example:
    answers = tuple((side, _cut(str(row[side]))) for side in _SIDES if row.get(side) is not None)
    return Example(_cut(str(row.get("prompt", ""))), answers)


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_CHARACTERS else f"{text[:_MAX_CHARACTERS].rstrip()} …"
