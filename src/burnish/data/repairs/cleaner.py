"""Cleaner: the record function of cleaning, Arrow table in, Arrow tables out; the same on every engine."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from burnish.data.kernel.batch import to_arrays, to_column
from burnish.data.kernel.inspect import MARKUP, damaged
from burnish.data.kernel.measure import COLUMN, MEASURES, Readings, measure
from burnish.data.kernel.personal import AT, COLONS, DOTS, NUMBER, PRIVATE, RUN, windows
from burnish.data.kernel.tidy import tidy
from burnish.data.language import DocumentLanguage
from burnish.data.repairs.pii import Kind, PiiConfig, mask
from burnish.data.repairs.repair import repair
from burnish.data.repairs.repair_markup import strip_html
from burnish.data.repairs.segment import count_words
from burnish.data.shingle import Bytes, Shingle
from burnish.runtime import need

STEP = "clean"
_SEGMENTED_WORDS = 64  # a Chinese text with more characters has more words than any floor asks


@dataclass(frozen=True)
class Cleaned:
    """Hold what cleaning made of N records.

    Attributes:
        rows: the records with their new texts.
        measures: `id`, `language` and a column for each of `MEASURES`, `num_real_words` and `language_score`.
        ledger: a row for each repair and each kind of personal data, `kept`.
        counts: of records and of what was done.
    """

    rows: Any
    measures: Any
    ledger: Any
    counts: Counter[str]
    readings: Readings


@dataclass(frozen=True)
class Cleaner:
    """Clean tables of records."""

    languages: tuple[str, ...]
    pii: PiiConfig | None
    shingle: Shingle

    def __call__(self, rows: Any) -> Cleaned:
        """Clean one table; its columns are those of a kept record."""
        done = _Done(rows.num_rows)
        data, offsets = to_arrays(rows.column("text"))
        data, offsets = done.repaired(damaged(data, offsets), data, offsets)
        data, offsets = tidy(data, offsets)
        if self.pii is not None:
            data, offsets = self._masked(data, offsets, done)
        readings = measure(data, offsets, length=self.shingle.length, is_bytes=isinstance(self.shingle, Bytes))
        done.write_losses(readings.values)
        column = to_column(data, offsets)
        index = rows.column_names.index("text")
        cleaned = rows.set_column(index, rows.field("text"), column)
        measures = self._measures(rows.column("id"), column, readings.values)
        return Cleaned(cleaned, measures, done.ledger(rows.column("id")), done.counts, readings)

    def _masked(
        self, data: NDArray[np.uint8], offsets: NDArray[np.int64], done: "_Done"
    ) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Mask the pieces that hint at personal data, each asked only for the kinds that it hints at."""
        found = windows(data, offsets)
        changed = Splices()
        places = zip(*(each.tolist() for each in (found.rows, found.starts, found.ends, found.hints)), strict=True)
        for row, start, end, hint in places:
            config = self._pii_by_hint[hint]
            if config is not None:
                masked = mask(bytes(data[start:end]).decode(), config, is_suspect=True)
                if masked.spans:
                    changed.add(row, start, end, masked.text)
                    done.note_masked(row, masked.counts)
        return changed.apply(data, offsets)

    @cached_property
    def _pii_by_hint(self) -> "dict[int, PiiConfig | None]":
        return {hint: None if self.pii is None else narrowed(self.pii, hint) for hint in range(1, 64)}

    def _measures(self, ids: Any, texts: Any, values: NDArray[np.float32]) -> Any:
        arrow = need("pyarrow", extra="data")
        codes, scores = self._language(texts, lambda name: values[:, COLUMN[name]])
        columns = {name: arrow.array(values[:, index]) for index, name in enumerate(MEASURES)}
        columns["num_real_words"] = arrow.array(_num_real_words(texts, values))
        return arrow.table(
            {
                "id": ids,
                "language": arrow.array(codes, arrow.string()),
                "language_score": arrow.array(scores),
                **columns,
            }
        )

    @cached_property
    def _language(self) -> DocumentLanguage:
        return DocumentLanguage(self.languages)


def measures_schema() -> Any:
    """Give the columns of the measures."""
    arrow = need("pyarrow", extra="data")
    texts = [arrow.field("id", arrow.string(), nullable=False), arrow.field("language", arrow.string())]
    return arrow.schema(
        [*texts, *((name, arrow.float32()) for name in ("language_score", *MEASURES, "num_real_words"))]
    )


class _Done:
    """Remember what was done to which row, and count it."""

    def __init__(self, num_rows: int) -> None:
        self.counts = Counter(records=num_rows, repaired=0, masked=0)
        self._notes: list[tuple[int, str, float]] = []
        self._losses: dict[int, int] = {}
        self._masks: dict[int, Counter[Kind]] = {}

    def repaired(
        self, damage: NDArray[np.uint8], data: NDArray[np.uint8], offsets: NDArray[np.int64]
    ) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Repair the texts that may be damaged; a byte that is no UTF-8 becomes U+FFFD, which repair knows."""
        changed = Splices()
        for row in np.flatnonzero(damage).tolist():
            start, end = int(offsets[row]), int(offsets[row + 1])
            text = bytes(data[start:end]).decode(errors="replace")
            if damage[row] == MARKUP and strip_html(text) == text:
                continue
            result = repair(text)
            if result.num_lost:
                self._losses[row] = result.num_lost
            if result.text != text:
                changed.add(row, start, end, result.text)
            if did := sorted(result.did - {"spaces"}):
                self.counts["repaired"] += 1
                self._note(row, [(f"repaired_{name}", 1.0) for name in did])
        return changed.apply(data, offsets)

    def note_masked(self, row: int, counts: Mapping[Kind, int]) -> None:
        """Note what was masked in a piece of a row's text."""
        self._masks.setdefault(row, Counter()).update(counts)

    def write_losses(self, values: NDArray[np.float32]) -> None:
        """Put the share of characters that were lost before, which repair left out, among the measures."""
        for row, num_lost in self._losses.items():
            num_chars = values[row, COLUMN["num_chars"]]
            values[row, COLUMN["replacement_frac"]] = num_lost / max(1.0, num_chars + num_lost)

    def ledger(self, ids: Any) -> Any:
        """Give the ledger's rows."""
        arrow = need("pyarrow", extra="data")
        for row, counts in self._masks.items():
            self.counts["masked"] += 1
            self._note(row, [(f"masked_{kind}", float(count)) for kind, count in sorted(counts.items())])
        rows, rules, values = zip(*sorted(self._notes), strict=True) if self._notes else ((), (), ())
        return arrow.table(
            {
                "id": ids.take(arrow.array(rows, arrow.int64())),
                "step": arrow.repeat(STEP, len(rows)),
                "rule": arrow.array(rules, arrow.string()),
                "value": arrow.array(values, arrow.float64()),
                "kept": arrow.repeat(True, len(rows)),
            }
        )

    def _note(self, row: int, done: Sequence[tuple[str, float]]) -> None:
        for rule, value in done:
            self._notes.append((row, rule, value))
            self.counts[rule] += int(value) if rule.startswith("masked_") else 1


_NEEDS: dict[Kind, int] = {
    "email": AT,
    "url_credentials": AT,
    "key": RUN | PRIVATE,
    "cn_id": NUMBER,
    "card": NUMBER,
    "iban": NUMBER,
    "cn_mobile": NUMBER,
    "phone": NUMBER,
    "ip": DOTS | COLONS,
}


def narrowed(config: PiiConfig, hint: int) -> PiiConfig | None:
    """Leave out the kinds that a text with this hint cannot hold; None where that leaves none."""
    kinds = tuple(kind for kind in config.kinds if _NEEDS[kind] & hint)
    return replace(config, kinds=kinds) if kinds else None


class Splices:
    """Pieces of a batch's texts with what stands in their place."""

    def __init__(self) -> None:
        self._pieces: list[tuple[int, int, int, bytes]] = []

    def add(self, row: int, start: int, end: int, text: str) -> None:
        """Put `text` in the place of the bytes `start` to `end`, within the text of `row`; pieces come in order."""
        self._pieces.append((row, start, end, text.encode()))

    def apply(self, data: NDArray[np.uint8], offsets: NDArray[np.int64]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Give the new bytes and offsets."""
        if not self._pieces:
            return data, offsets
        parts, sizes, done = [], np.diff(offsets), int(offsets[0])
        for row, start, end, new in self._pieces:
            parts += [data[done:start], np.frombuffer(new, np.uint8)]
            sizes[row] += len(new) - (end - start)
            done = end
        parts.append(data[done : offsets[-1]])
        return np.concatenate(parts), np.concatenate([[0], np.cumsum(sizes)])


def _num_real_words(texts: Any, values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Count words as a segmenter does, where a text is Chinese and so short that it matters."""
    num_words = values[:, COLUMN["num_words"]].copy()
    short = np.flatnonzero((num_words <= _SEGMENTED_WORDS) & (values[:, COLUMN["ideograph_frac"]] > 0))
    for row, text in zip(short.tolist(), texts.take(short).to_pylist(), strict=True):
        num_words[row] = count_words(text)
    return num_words
