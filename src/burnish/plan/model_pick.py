"""The pick of a model under limits, and the plain answer where none fits."""

from collections.abc import Sequence
from dataclasses import dataclass

from burnish.plan.model_speed import Speed, Untimed
from burnish.plan.models import Limits, Row, excesses


@dataclass(frozen=True)
class Choice:
    """The pick, or None, and why."""

    picked: Row | None
    reason: str


def pick(rows: Sequence[Row], limits: Limits) -> Choice:
    """Pick, of those that meet every limit, the one with most arithmetic a token or image; then the smallest.

    Arithmetic stands in for quality, which a plan cannot measure: within a family the larger is the better
    (Kaplan et al. 2020, arXiv 2001.08361).
    """
    known = [row for row in rows if not limits.needs_speed or isinstance(row.speed, Speed)]
    fitting = [row for row in known if not excesses(row, limits)]
    if not fitting:
        return Choice(None, _none_fits(rows, known, limits))
    best = max(fitting, key=lambda row: (row.flops, -row.size.parameters))
    unknown = sum(row not in known and not excesses(row, limits) for row in rows)
    left = f"; {unknown} more have no speed and could not be judged" if unknown else ""
    untimed = "" if isinstance(best.speed, Speed) else f" Its speed is not known: {best.speed.reason}."
    unit = "image" if limits.task == "image" else "token"
    return Choice(
        best,
        f"{best.candidate.name}. {len(fitting)} of {len(rows)} meet the limits{left}; of these it does the most arithmetic "
        f"for each {unit}, the best sign of quality before any is measured.{untimed}",
    )


def _none_fits(rows: Sequence[Row], known: Sequence[Row], limits: Limits) -> str:
    """Name the limit that binds: the one that the nearest candidate misses most."""
    judged = [(row, found) for row in rows if (found := excesses(row, limits))]
    unknown = [row for row in rows if row not in known and not excesses(row, limits)]
    sentences = [f"None of {len(rows)} candidates meets the limits."]
    if judged:
        row, found = min(judged, key=lambda pair: max(excess.ratio for excess in pair[1]))
        worst = max(found, key=lambda excess: excess.ratio)
        sentences.append(f"The {worst.limit} limit binds: the nearest, {row.candidate.name}, {worst.words}.")
    if unknown:
        first = unknown[0]
        reason = first.speed.reason if isinstance(first.speed, Untimed) else ""
        sentences.append(
            f"{len(unknown)} could not be judged, having no speed ({first.candidate.name}: {reason}); give more --seconds."
        )
    return " ".join(sentences)
