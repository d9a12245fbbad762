"""Limits: what a candidate must keep, by how much it misses, and which of those that keep them is the best."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, assert_never

from burnish.errors import RecipeError

Prefer = Literal["speed", "size", "quality"]


@dataclass(frozen=True)
class Limits:
    """Say what the model must keep; null sets no limit.

    Attributes:
        min_quality: held against the low end of the quality's 95 % interval.
        max_p99_ms: of a whole request at the recipe's load.
        max_memory_gb: the server's highest resident memory, 1 GB is 1,000,000,000 bytes.
        max_size_mb: of the exported files, 1 MB is 1,000,000 bytes.
    """

    min_quality: float | None = None
    max_p99_ms: float | None = None
    max_memory_gb: float | None = None
    max_size_mb: float | None = None

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if value is not None and value <= 0:
                raise RecipeError(f"limits.{each.name} is {value}; it must be above 0, or null for no limit")


@dataclass(frozen=True)
class Figures:
    """Hold what was measured of a candidate; None where it was not.

    Attributes:
        quality_frac: 1 is the base's own for text kept; accuracy is a share of right answers.
        quality_low_frac: low end of its 95 % interval.
        p99_ms: latency of a whole request.
        memory_bytes: highest resident memory of the server.
        size_bytes: of the exported files; of the packed weights before an export.
        throughput_tokens_per_s: of all clients together.
    """

    quality_frac: float | None = None
    quality_low_frac: float | None = None
    p99_ms: float | None = None
    memory_bytes: float | None = None
    size_bytes: float | None = None
    throughput_tokens_per_s: float | None = None

    @staticmethod
    def read(values: Mapping[str, Any]) -> "Figures":
        """Read what the journal holds."""
        return Figures(**{each.name: values[each.name] for each in fields(Figures) if each.name in values})


@dataclass(frozen=True)
class Miss:
    """Hold one limit that is missed.

    Attributes:
        limit: "quality", "p99", "memory" or "size".
        by_frac: of the limit, above 0.
        by: likewise, in the limit's unit.
        words: value and limit.
    """

    limit: str
    by_frac: float
    by: str
    words: str


@dataclass(frozen=True)
class Measured:
    """Name a candidate's figures by its number."""

    number: int
    figures: Figures


def shortfalls(limits: Limits, figures: Figures) -> dict[str, float]:
    """Give how far each limit is missed as a share of it; 0 or less is kept. What was not measured is left out."""
    found = {}
    if limits.min_quality is not None and figures.quality_low_frac is not None:
        found["quality"] = (limits.min_quality - figures.quality_low_frac) / limits.min_quality
    for name, limit, value in _ceilings(limits, figures):
        if limit is not None and value is not None:
            found[name] = (value - limit) / limit
    return found


def misses(limits: Limits, figures: Figures) -> tuple[Miss, ...]:
    """List the limits that are missed, the worst first."""
    short = shortfalls(limits, figures)
    missed = [Miss(name, by, *_words(name, limits, figures)) for name, by in short.items() if by > 0]
    return tuple(sorted(missed, key=lambda miss: -miss.by_frac))


def is_within(limits: Limits, figures: Figures) -> bool:
    """Tell whether every limit is kept by a figure that was measured."""
    asked = sum(getattr(limits, each.name) is not None for each in fields(limits))
    short = shortfalls(limits, figures)
    return len(short) == asked and all(by <= 0 for by in short.values())


def choose(measured: Sequence[Measured], limits: Limits, prefer: Prefer) -> Measured | None:
    """Find the best candidate within the limits; the earlier where two are equal. None where there is none."""
    good = [each for each in measured if is_within(limits, each.figures)]
    return min(good, key=lambda each: (_rank(each.figures, prefer), each.number), default=None)


def nearest(measured: Sequence[Measured], limits: Limits) -> Measured | None:
    """Find the candidate that misses the limits by the least, all its shortfalls added up; None where there is none."""
    return min(
        measured,
        key=lambda each: (sum(max(0.0, by) for by in shortfalls(limits, each.figures).values()), each.number),
        default=None,
    )


def limit_words(limits: Limits) -> tuple[str, ...]:
    """Say each limit that is set."""
    rows = (
        ("quality at least {:g}", limits.min_quality),
        ("latency P99 at most {:g} ms", limits.max_p99_ms),
        ("memory at most {:g} GB", limits.max_memory_gb),
        ("size at most {:g} MB", limits.max_size_mb),
    )
    return tuple(words.format(value) for words, value in rows if value is not None)


def _ceilings(limits: Limits, figures: Figures) -> tuple[tuple[str, float | None, float | None], ...]:
    memory = None if limits.max_memory_gb is None else 1e9 * limits.max_memory_gb
    size = None if limits.max_size_mb is None else 1e6 * limits.max_size_mb
    return (
        ("p99", limits.max_p99_ms, figures.p99_ms),
        ("memory", memory, figures.memory_bytes),
        ("size", size, figures.size_bytes),
    )


def _rank(figures: Figures, prefer: Prefer) -> float:
    """Give what is to be small."""
    worst = float("inf")
    match prefer:
        case "speed":
            return worst if figures.throughput_tokens_per_s is None else -figures.throughput_tokens_per_s
        case "size":
            return worst if figures.size_bytes is None else figures.size_bytes
        case "quality":
            return worst if figures.quality_low_frac is None else -figures.quality_low_frac
        case _:
            assert_never(prefer)


def _words(name: str, limits: Limits, figures: Figures) -> tuple[str, str]:
    """Say by how much a limit is missed, and value and limit."""
    if name == "quality":
        low, floor = figures.quality_low_frac or 0.0, limits.min_quality or 0.0
        return (
            f"{floor - low:.3g}",
            f"quality {figures.quality_frac:.3g} (low end {low:.3g}), at least {floor:g} is asked",
        )
    rows = {
        "p99": ("latency P99", figures.p99_ms, limits.max_p99_ms, "ms"),
        "memory": ("memory", (figures.memory_bytes or 0.0) / 1e9, limits.max_memory_gb, "GB"),
        "size": ("size", (figures.size_bytes or 0.0) / 1e6, limits.max_size_mb, "MB"),
    }
    words, value, limit, unit = rows[name]
    value, limit = value or 0.0, limit or 0.0
    return f"{value - limit:.3g} {unit}", f"{words} {value:.3g} {unit}, at most {limit:g} {unit} is asked"
