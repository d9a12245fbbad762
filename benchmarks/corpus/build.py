"""Build the rows: a clean base in two languages, and defects whose place and kind are written down."""

import hashlib
import random
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from corpus.defects import Vocabulary, gibberish, jaccard, markup, mojibake, near_copy, norm_copy, short_text
from corpus.extract import CJK, cut, is_chinese, raw_documents
from corpus.fetch import Packages
from corpus.personal import add_personal

# shares of the clean documents; copies come in skewed clusters, as on the web
PERSONAL_FRAC, MARKUP_FRAC, MOJIBAKE_FRAC = 0.03, 0.015, 0.02
EXACT_FRAC, NORM_FRAC, NEAR_FRAC = 0.08, 0.02, 0.09
GIBBERISH_FRAC, SHORT_FRAC = 0.03, 0.05
# shares of the bytes: what the defects above leave for the base, and its languages
BASE_FRAC, ZH_FRAC, OTHER_FRAC = 0.74, 0.45, 0.03
MIN_DEFECT_CHARS = 400


@dataclass
class Row:
    """A document and what is known about it.

    Attributes:
        of: the row that it copies.
        truth: more to write down: similarity to `of`, how it was edited, the personal data inside.
        original: the text before a defect was put into it, and how that was done.
    """

    text: str
    source: str
    lang: str
    kind: str
    of: int | None = None
    truth: dict[str, Any] = field(default_factory=dict)
    original: tuple[str, str] | None = None


@dataclass(frozen=True)
class Base:
    """Clean documents as (source, language, text): Chinese, English, other; no two mostly alike."""

    zh: list[tuple[str, str, str]]
    en: list[tuple[str, str, str]]
    other: list[tuple[str, str, str]]

    def vocabulary(self) -> Vocabulary:
        """Give words to edit with."""
        return {
            "en": sorted({word for *_, text in self.en[:400] for word in re.findall(r"[A-Za-z]{3,10}", text)}),
            "zh": sorted({word for *_, text in self.zh[:400] for word in CJK.findall(text)}),
        }


def gather(work: Path, packages: Packages, rng: random.Random) -> Base:
    """Cut the packages' text into documents; leave out those that mostly repeat what came before.

    A document of which more than a quarter of the long lines were seen would be a natural duplicate, uncounted.
    """
    base = Base([], [], [])
    seen_lines: set[bytes] = set()
    seen_documents: set[bytes] = set()
    for source, lang, text in raw_documents(work, packages):
        for document in cut(text, rng) if len(text) >= 80 else ():
            long_lines = [_hash(line) for line in map(str.strip, document.split("\n")) if len(line) > 20]
            num_old = sum(line in seen_lines for line in long_lines)
            seen_lines.update(long_lines)
            digest = _hash(document)
            if digest in seen_documents or not long_lines or num_old > 0.25 * len(long_lines):
                continue
            seen_documents.add(digest)
            _file(base, source, lang, document)
    for pool in (base.zh, base.en, base.other):
        rng.shuffle(pool)
    return base


def _file(base: Base, source: str, lang: str, text: str) -> None:
    if lang in ("ja", "ko"):
        base.other.append((source, lang, text))
    elif is_chinese(text):
        base.zh.append((source, "zh", text))
    elif lang in ("en", "zh"):
        base.en.append((source, "en", text))
    else:
        base.other.append((source, lang, text))


def build(base: Base, num_bytes: float, rng: random.Random) -> list[Row]:
    """Make about `num_bytes` of rows, or as many as the base allows; copies point to rows by their number."""
    vocabulary = base.vocabulary()
    budget = num_bytes * BASE_FRAC
    want_zh = min(sum(len(text.encode()) for *_, text in base.zh), budget * ZH_FRAC)
    picked = _take(base.zh, want_zh) + _take(base.en, budget - want_zh)
    other = _take(base.other, budget * OTHER_FRAC)
    rng.shuffle(picked)
    rows = [Row(text, source, lang, "clean") for source, lang, text in picked]
    num_clean = len(rows)
    rows += [Row(text, source, lang, "other_lang") for source, lang, text in other]
    _spoil(rows, num_clean, rng)
    _copy(rows, num_clean, rng, vocabulary)
    for _ in range(int(num_clean * GIBBERISH_FRAC)):
        rows.append(Row(gibberish(rng, vocabulary), "synthetic", "xx", "gibberish"))
    for _ in range(int(num_clean * SHORT_FRAC)):
        text, lang = short_text(rows[rng.randrange(num_clean)].text, rng)
        rows.append(Row(text, "synthetic", lang, "short"))
    return rows


def _take(pool: Iterable[tuple[str, str, str]], limit: float) -> list[tuple[str, str, str]]:
    size, out = 0, []
    for document in pool:
        if size > limit:
            break
        out.append(document)
        size += len(document[2].encode())
    return out


def _some(rows: list[Row], num_clean: int, share: float, rng: random.Random) -> list[int]:
    """Draw clean rows, with repetition, that are long enough to take a defect."""
    drawn: list[int] = []
    while len(drawn) < int(num_clean * share):
        number = rng.randrange(num_clean)
        if len(rows[number].text) >= MIN_DEFECT_CHARS and rows[number].kind == "clean":
            drawn.append(number)
    return drawn


def _spoil(rows: list[Row], num_clean: int, rng: random.Random) -> None:
    """Put defects into documents themselves: the kind of the row changes."""
    for number in _some(rows, num_clean, PERSONAL_FRAC, rng):
        row = rows[number]
        row.text, personal = add_personal(row.text, rng, is_zh=row.lang == "zh")
        row.kind, row.truth = "pii", {"pii": personal}
    for number in _some(rows, num_clean, MARKUP_FRAC, rng):
        row = rows[number]
        row.original = row.original or (row.text, "markup")
        row.text, row.kind = markup(row.text, rng), "markup"
    for number in _some(rows, num_clean, MOJIBAKE_FRAC, rng):
        row = rows[number]
        before = row.original[0] if row.original else row.text
        row.text, how = mojibake(row.text, rng)
        row.kind, row.original = "mojibake", (before, how)


def _copy(rows: list[Row], num_clean: int, rng: random.Random, vocabulary: Vocabulary) -> None:
    for number in _some(rows, num_clean, EXACT_FRAC, rng):
        row = rows[number]
        num_copies = 1 + min(12, int(rng.paretovariate(1.6)) - 1)
        rows += [Row(row.text, row.source, row.lang, "exact", number, {"jaccard": 1.0}) for _ in range(num_copies)]
    for number in _some(rows, num_clean, NORM_FRAC, rng):
        row = rows[number]
        text = norm_copy(row.text, rng)
        rows.append(Row(text, row.source, row.lang, "norm", number, {"jaccard": round(jaccard(row.text, text), 4)}))
    for number in _some(rows, num_clean, NEAR_FRAC, rng):
        row = rows[number]
        for _ in range(1 + min(4, int(rng.paretovariate(2.5)) - 1)):
            text, how = near_copy(row.text, rng, vocabulary, is_zh=row.lang == "zh")
            truth = {"jaccard": round(jaccard(row.text, text), 4), "edits": how}
            rows.append(Row(text, row.source, row.lang, "near", number, truth))


def _hash(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest()
