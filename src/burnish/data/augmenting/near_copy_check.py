"""The check of made copies: neither the source again, nor a second time the same, nor something else, nor its opposite."""

from collections.abc import Collection
from dataclasses import dataclass

from burnish.data.augmenting.word_spans import num_negations
from burnish.data.records import Rejection
from burnish.data.text import normal_form
from burnish.errors import RecipeError

RULES = (
    "missing_translation",
    "near_copy_of_source",
    "repeats_another",
    "too_far",
    "negation_changed",
    "label_flip",
)

_SHINGLE_BYTES = 4  # as in near deduplication: a Chinese character and a bit, or four letters


@dataclass(frozen=True)
class Bounds:
    """Say what a copy may be.

    Attributes:
        max_similarity: at this or above it repeats its source; 0.8 is where near deduplication would remove it again.
        min_similarity: below it the meaning is taken to be lost. It counts shared letters, so a true paraphrase in
            other words is refused too.
        label_confidence: with at least this probability of another label, by a classifier trained on the dataset's
            own labels, a copy has lost its own; a source that the classifier gets wrong is not judged.
        guard_records: how many labelled records that classifier learns from at most; 0 leaves it out.
    """

    max_similarity: float = 0.8
    min_similarity: float = 0.2
    label_confidence: float = 0.6
    guard_records: int = 20_000

    def __post_init__(self) -> None:
        if not 0 <= self.min_similarity < self.max_similarity <= 1:
            raise RecipeError(
                f"min_similarity is {self.min_similarity}, max_similarity {self.max_similarity}; they must lie in "
                "[0, 1], the first below the second"
            )
        if not 0.5 <= self.label_confidence <= 1 or self.guard_records < 0:
            raise RecipeError(
                f"label_confidence is {self.label_confidence}, guard_records {self.guard_records}; the first must lie "
                "in [0.5, 1], the second be at least 0"
            )


@dataclass(frozen=True)
class Copy:
    """Hold a copy beside its source.

    Attributes:
        text: None where no copy came.
        p_other: probability of the likeliest other label; None where nothing can be said.
    """

    source_id: str
    source: str
    text: str | None
    p_other: float | None = None


def find_fault(copy: Copy, earlier: Collection[str], bounds: Bounds) -> tuple[Rejection | None, float]:
    """Give the first rule of `RULES` that a copy breaks, and its similarity to its source.

    Args:
        earlier: normal forms of the copies of the same source that were made before it.
    """
    if copy.text is None or not copy.text.strip():
        return Rejection("missing_translation", partner_id=copy.source_id), 0.0
    normal = normal_form(copy.text)
    alike = similarity(copy.source, copy.text)

    def fault(rule: str, value: float | None, threshold: float | None) -> tuple[Rejection, float]:
        return Rejection(rule, value, threshold, copy.source_id, alike), alike

    if alike >= bounds.max_similarity or normal == normal_form(copy.source):
        return fault("near_copy_of_source", alike, bounds.max_similarity)
    if normal in earlier:
        return fault("repeats_another", None, None)
    if alike < bounds.min_similarity:
        return fault("too_far", alike, bounds.min_similarity)
    negations = num_negations(copy.text) - num_negations(copy.source)
    if negations:
        return fault("negation_changed", negations, 0)
    if copy.p_other is not None and copy.p_other >= bounds.label_confidence:
        return fault("label_flip", copy.p_other, bounds.label_confidence)
    return None, alike


def similarity(one: str, other: str) -> float:
    """Measure the Jaccard similarity of two texts' sets of byte shingles, in normal form, in [0, 1]."""
    first, second = _shingles(one), _shingles(other)
    return len(first & second) / len(first | second)


def _shingles(text: str) -> set[bytes]:
    normal = normal_form(text).encode()
    return {normal[at : at + _SHINGLE_BYTES] for at in range(max(1, len(normal) - _SHINGLE_BYTES + 1))}
