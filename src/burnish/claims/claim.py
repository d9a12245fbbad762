"""A claim: what was published, what we measure beside it, and what the two say together."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal, assert_never

from burnish.artifacts import Artifact, Draft, Measurement, ReportArtifact
from burnish.errors import RecipeError
from burnish.runtime import Run, Workdir

SOURCE = "the field's guides"
READING = "reading.json"
_MOST_DIGITS = 2  # after the point, that people publish shares of a hundred with

Form = Literal["share", "gain", "drop", "times"]


class Verdict(Enum):
    """What a published figure and ours say together."""

    HOLDS = "holds"
    FALLS_SHORT = "falls short"
    UNDECIDED = "undecided"
    NOT_COMPARABLE = "not comparable"
    NOT_MEASURED = "not measured yet"

    @property
    def meaning(self) -> str:
        """Say when it is given."""
        return {
            "holds": "all of our interval is at or beyond the published figure",
            "falls short": "all of our interval is short of the published figure",
            "undecided": "our interval holds the published figure, so that neither is shown",
        }.get(self.value, "")

    @property
    def symbol(self) -> str:
        """Give the sign that says the same without colour."""
        return {"holds": "✓", "falls short": "✗", "undecided": "≈", "not comparable": "–"}.get(self.value, "·")


@dataclass(frozen=True)
class Figure:
    """One published number, and the measurement of ours that stands beside it; more is better.

    Attributes:
        name: of the measurement in the reading's evidence.
        what: the same in words.
        published: in the measurement's unit.
        form: how both are written: 92 %, +15 %, −78 %, 2.3×; a drop is stored as a positive share.
        incomparable: why ours says nothing about theirs; empty where it does.
    """

    name: str
    what: str
    published: float
    form: Form
    incomparable: str = ""

    def show(self, value: float) -> str:
        """Write a value; what was published has its own digits, ours one more than none."""
        if self.form == "times":
            return f"{value:g}×" if value == self.published else show(value, "times")
        written = len(f"{100 * self.published:.6g}".partition(".")[2])
        digits = written if written <= _MOST_DIGITS else 0  # else it is a quotient of ours, not what was written
        return show(value, self.form, digits=digits if value == self.published else max(1, digits))


@dataclass(frozen=True)
class Claim:
    """One row of the ledger.

    Attributes:
        id: of the feature table.
        feature: what is claimed to do it.
        published: the claim as it stands there.
        method: what is measured here, in a sentence or two.
        figures: its numbers.
        stage: the last stage of the measurement; its artifact is the reading.
        measure: runs the stages, from the seed that draws all samples.
    """

    id: str
    feature: str
    published: str
    method: str
    figures: tuple[Figure, ...]
    stage: Callable[..., Draft[ReportArtifact]]
    measure: Callable[[Run, int], ReportArtifact]
    source: str = SOURCE

    @property
    def stage_name(self) -> str:
        """Name the stage as artifacts do."""
        return f"{self.stage.__module__}.{self.stage.__qualname__}"


def judge(figure: Figure, ours: Measurement | None) -> tuple[Verdict, str]:
    """Set our measurement against the published figure, and say why in a sentence.

    The published figures come without intervals, so each is taken as exact.
    """
    if ours is None:
        return Verdict.NOT_MEASURED, ""
    if figure.incomparable:
        return Verdict.NOT_COMPARABLE, figure.incomparable
    low, high = (ours.value, ours.value) if ours.low is None or ours.high is None else (ours.low, ours.high)
    if low >= figure.published:
        verdict = Verdict.HOLDS
    elif high < figure.published:
        verdict = Verdict.FALLS_SHORT
    else:
        verdict = Verdict.UNDECIDED
    return verdict, verdict.meaning.replace("the published figure", figure.show(figure.published))


def show(value: float, form: Form, *, digits: int = 1) -> str:
    """Write a value in its form."""
    match form:
        case "share":
            text = f"{100 * value:.{digits}f} %"
        case "gain":
            text = f"{100 * value:+.{digits}f} %"
        case "drop":
            text = f"{-100 * value:+.{digits}f} %"
        case "times":
            text = f"{value:.{1 + digits}f}×"
        case _:
            assert_never(form)
    return text.replace("-", "−")


def show_interval(ours: Measurement, form: Form) -> str:
    """Write an interval, its smaller end first as it is written; empty where the value is exact."""
    if ours.low is None or ours.high is None:
        return ""
    ends = (ours.high, ours.low) if form == "drop" else (ours.low, ours.high)
    first, second = (show(end, form) for end in ends)
    mark = first[-2:] if first.endswith(" %") else first[-1:]
    return f"{first.removesuffix(mark)} to {second}"


def write_reading(out: Workdir, claim_id: str, setting: str, notes: Sequence[str], **details: Any) -> None:
    """Write what people should know beside the evidence.

    Args:
        claim_id: whose reading it is.
        setting: what was measured on, with its sizes.
        notes: what limits the reading, a sentence each.
        **details: further values, for programs.
    """
    body = {"claim": claim_id, "setting": setting, "notes": list(notes), **details}
    (out / READING).write_text(json.dumps(body, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def seed_of(artifact: Artifact) -> int:
    """Read the seed in the configuration that an artifact was made with."""
    return int(artifact.manifest.arguments["config"]["seed"])


def find_claims(claims: Sequence[Claim], ids: Sequence[str]) -> tuple[Claim, ...]:
    """Find claims by their ids, in any case, each once, in the order of the ledger.

    Raises:
        RecipeError: there is no such claim.
    """
    known = {claim.id.lower(): claim for claim in claims}
    for given in ids:
        if given.lower() not in known:
            raise RecipeError(
                f"no claim {given!r} is measured; there are: {', '.join(claim.id for claim in claims)}. "
                "`burnish claims` lists them"
            )
    wanted = {given.lower() for given in ids}
    return tuple(claim for key, claim in known.items() if key in wanted)
