"""The answer: the best candidate within the limits and its recipe, or which limit binds and by how much."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

from burnish.loop.optimizing.board import Record
from burnish.loop.optimizing.limits import Limits, Measured, Prefer, choose, limit_words, misses, nearest
from burnish.loop.optimizing.quality import Quality, quality_name
from burnish.loop.optimizing.space import Candidate, Space
from burnish.loop.optimizing.way import Outcome
from burnish.report.optimize_found import REFERENCE, Found, Row
from burnish.runtime.recipes import given


class Asked(Protocol):
    """What a recipe says of the answer."""

    @property
    def limits(self) -> Limits:
        """Say what must be kept."""

    @property
    def prefer(self) -> Prefer:
        """Say which is the best."""

    @property
    def quality(self) -> Quality:
        """Say what quality is."""

    @property
    def space(self) -> Space:
        """Say what was tried."""


def found_of(recipe: Any, reference: Outcome, records: Sequence[Record], ended: str) -> Found:
    """Put together what the page shows.

    Args:
        recipe: an `Asked`, a dataclass.
        reference: the base as it was.
    """
    asked: Asked = recipe
    measured = [Measured(each.number, each.outcome.figures) for each in records if each.outcome.state == "complete"]
    best = choose(measured, asked.limits, asked.prefer)
    near = nearest(measured, asked.limits) if best is None else None
    by_number = {each.number: each for each in records}
    rows = (
        _row(REFERENCE, "base, float32", reference, 0.0, asked.limits),
        *(_of(each, asked.limits) for each in records),
    )
    return Found(
        rows=rows,
        answer=None if best is None else best.number,
        nearest=None if near is None else near.number,
        verdict="" if best is not None else verdict(records, near, asked.limits, ended),
        quality=quality_name(asked.quality),
        limits=limit_words(asked.limits),
        prefer=asked.prefer,
        min_quality=asked.limits.min_quality,
        max_p99_ms=asked.limits.max_p99_ms,
        ended=ended,
        recipe="" if best is None else best_recipe(recipe, by_number[best.number].candidate),
    )


def verdict(records: Sequence[Record], near: Measured | None, limits: Limits, ended: str) -> str:
    """Say in plain words that no candidate meets the limits, which binds, and by how much the nearest misses it."""
    if not records:
        return f"No candidate was tried: {ended}. Give a larger budget."
    head = f"None of {len(records)} candidate{'' if len(records) == 1 else 's'} meets the limits"
    if near is None:
        return f"{head}, and none came as far as the server: {_last_reason(records)}. Loosen the limits, or widen the space."
    record = next(each for each in records if each.number == near.number)
    worst, *others = misses(limits, near.figures)
    also = f"; also {'; '.join(miss.words for miss in others)}" if others else ""
    return (
        f"{head}: {worst.limit} binds. The nearest, number {near.number} ({record.candidate.words}), misses it by "
        f"{worst.by}: {worst.words}{also}."
    )


def best_recipe(recipe: Any, candidate: Candidate) -> str:
    """Write the recipe whose only candidate is the best, as YAML."""
    import yaml  # type: ignore[import-untyped]  # PyYAML ships no types

    narrowed = replace(recipe, space=recipe.space.only(candidate))
    head = f"# Found by `burnish optimize`: {candidate.words}.\n# Make and measure it: burnish optimize best.yaml\n"
    text: str = yaml.safe_dump(given(narrowed), sort_keys=False, allow_unicode=True, width=120)
    return head + text


def _last_reason(records: Sequence[Record]) -> str:
    """Name the rejection that came nearest, else the last reason."""
    judged = [each for each in records if each.outcome.figures.quality_frac is not None]
    best = max(judged, key=lambda each: each.outcome.figures.quality_frac or 0.0, default=records[-1])
    return f"number {best.number} ({best.candidate.words}) {best.outcome.state}: {best.outcome.reason}"


def _of(record: Record, limits: Limits) -> Row:
    return _row(record.number, record.candidate.words, record.outcome, record.seconds, limits)


def _row(number: int, words: str, outcome: Outcome, seconds: float, limits: Limits) -> Row:
    is_complete = outcome.state == "complete"
    return Row(
        number=number,
        words=words,
        state=outcome.state,
        reason=outcome.reason,
        seconds=round(seconds, 1),
        digests=tuple(sorted(outcome.digests.items())),
        misses=tuple(miss.words for miss in misses(limits, outcome.figures)) if is_complete else (),
        proxy_frac=None if is_complete else outcome.figures.quality_frac,
    )
