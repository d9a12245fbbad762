"""Natural texts: passages of people's prose, Chinese and English, that repeat nothing; what claims plant faults in."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from burnish.artifacts import DatasetArtifact
from burnish.data.shards import read_tables, shard_paths
from burnish.data.text import IDEOGRAPH
from burnish.errors import RecipeError
from burnish.runtime import need

# With a margin over the ten words that cleaning asks: the truth must not hang on how a word is counted.
_MIN_WORDS = 12
_MIN_IDEOGRAPHS = 30
_MIN_PROSE_FRAC = 0.8  # of words with letters alone, marks apart; of Chinese, half that in ideographs
_MAX_JACCARD = 0.3  # of 5-grams of characters; two texts are taken for copies from 0.7 on
_SPARE = 1.5  # candidates for each text that is wanted, since some repeat others

_ENDS = ("\n", "。", "！", "？", ". ")
_HANZI = re.compile(f"[{IDEOGRAPH}]")
# What might be a fault already: an address or number of someone, markup, a character that was lost.
_DOUBTFUL = re.compile(
    r"\w@\w|\d[\d -]{5,}\d|(?:\d+\.){3}\d|&#?\w+;|</?[a-z]+[ />]|[\ufffd\x00-\x08\x0b-\x1f\x7f-\x9f]"
)
_WORD = re.compile(r"\W*[A-Za-z]+(?:['’.-][A-Za-z]+)*\W*")


@dataclass(frozen=True, slots=True)
class Natural:
    """One passage: where it came from, and what it says."""

    id: str
    text: str
    source: str

    @property
    def is_chinese(self) -> bool:
        """Tell Chinese prose from English."""
        return is_chinese(self.text)


def natural_texts(
    dataset: DatasetArtifact, quotas: Mapping[str, int], *, seed: int, max_chars: int = 800
) -> list[Natural]:
    """Choose passages by chance, so many of each source, no two alike.

    Args:
        quotas: how many to take of each `source` of the dataset.
        seed: draws them.
        max_chars: a longer text gives several passages, cut at the ends of lines or of sentences.

    Raises:
        RecipeError: a source has too few.
    """
    found: dict[str, list[tuple[bytes, Natural]]] = {source: [] for source in quotas}
    for path in shard_paths(dataset):
        for table in read_tables(path):
            for row in table.select(["id", "text", "source"]).to_pylist():
                if row["source"] in found:
                    naturals = _passages(row, max_chars)
                    found[row["source"]] += [(draw(seed, natural.id), natural) for natural in naturals]
    candidates: list[Natural] = []
    for source, drawn in found.items():
        chosen = sorted(drawn, key=lambda pair: pair[0])[: int(_SPARE * quotas[source])]
        candidates += [natural for _, natural in chosen]
    alone = _unlike(candidates)
    taken = []
    for source, wanted in quotas.items():
        part = [natural for natural in alone if natural.source == source][:wanted]
        if len(part) < wanted:
            raise RecipeError(f"{source} has {len(part)} passages of prose that repeat nothing; {wanted} are asked for")
        taken += part
    return taken


def draw(seed: int, name: str) -> bytes:
    """Draw a place in an order by chance, which follows from the seed and the name alone."""
    return hashlib.sha256(f"{seed}/{name}".encode()).digest()


def is_chinese(text: str) -> bool:
    """Tell whether a third of what is seen are ideographs."""
    return 3 * len(_HANZI.findall(text)) > len("".join(text.split()))


def _passages(row: Mapping[str, str], max_chars: int) -> Iterator[Natural]:
    """Cut a text into passages; those that are no prose, or might have a fault already, are left out."""
    lines = (line.strip() for line in row["text"].splitlines())  # indented prose is prose
    rest, number = "\n".join(lines).strip(), 0
    while rest:
        ends = [rest.rfind(mark, 0, max_chars) for mark in _ENDS] if len(rest) > max_chars else [len(rest)]
        end = max(ends) + 1 or max_chars
        passage, rest = rest[:end].strip(), rest[end:].strip()
        if _is_prose(passage) and not _DOUBTFUL.search(passage):
            yield Natural(f"{row['id']}#{number}" if number else row["id"], passage, row["source"])
        number += 1


def _is_prose(text: str) -> bool:
    num_seen = len("".join(text.split()))
    num_ideographs = len(_HANZI.findall(text))
    if 3 * num_ideographs > num_seen:
        return num_ideographs >= _MIN_IDEOGRAPHS and num_ideographs >= _MIN_PROSE_FRAC / 2 * num_seen
    words = text.split()
    num_plain = sum(_WORD.fullmatch(word) is not None for word in words)
    return len(words) >= _MIN_WORDS and num_plain >= max(_MIN_WORDS, _MIN_PROSE_FRAC * len(words))


def _unlike(texts: Sequence[Natural]) -> list[Natural]:
    """Leave out each text that is like one before it, by all pairs: no banding that could miss one."""
    if not texts:
        return []
    vectorizer = need("sklearn.feature_extraction.text", extra="data").HashingVectorizer(
        analyzer="char", ngram_range=(5, 5), binary=True, norm=None, alternate_sign=False, n_features=1 << 22
    )
    shingles = vectorizer.transform(natural.text for natural in texts).tocsr()
    sizes = np.asarray(shingles.sum(axis=1)).ravel()
    kept: list[int] = []
    is_kept = np.zeros(len(texts), np.bool_)
    for start in range(0, len(texts), 512):
        shared = (shingles[start : start + 512] @ shingles[: start + 512].T).tocsr()
        for row in range(shared.shape[0]):
            if not _is_like(shared[row], start + row, sizes, is_kept):
                is_kept[start + row] = True
                kept.append(start + row)
    return [texts[row] for row in kept]


def _is_like(shared: Any, row: int, sizes: Any, is_kept: Any) -> bool:
    before = shared.indices < row
    others, common = shared.indices[before], shared.data[before]
    jaccard = common / (sizes[row] + sizes[others] - common)
    return bool(np.any(is_kept[others] & (jaccard >= _MAX_JACCARD)))


def by_chance(texts: Iterable[Natural], seed: int, purpose: str) -> list[Natural]:
    """Order texts by chance, another order for each purpose."""
    return sorted(texts, key=lambda natural: draw(seed, f"{purpose}/{natural.id}"))
