"""Take examples: conversations and pairs of answers in the formats people keep them, as a dataset with splits.

`payload/data/{train,validation,test}.parquet` has the columns `id`, `kind` and `example` (JSON), in a random order
that follows from the ids; `payload/rejected/examples.parquet` what could not be used, each with its rule.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from burnish.artifacts import DatasetArtifact, Draft, Measurement, counted
from burnish.errors import BurnishError, RecipeError
from burnish.runtime import Workdir, need
from burnish.train.example_sources import ExampleSource, Given, Split, read_source
from burnish.train.formats import Unusable, read_example

_SPLITS: tuple[Split, ...] = ("train", "validation", "test")


@dataclass(frozen=True)
class ExamplesConfig:
    """Say where examples come from, and how many are held out.

    Attributes:
        validation_frac: share of examples held out to watch training, in [0, 1); sizes vary by chance around it.
        test_frac: likewise, to judge by afterwards; 0 makes no test split.
        seed: another seed is another split.
    """

    sources: tuple[ExampleSource, ...]
    validation_frac: float = 0.05
    test_frac: float = 0.05
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.sources:
            raise RecipeError("sources is empty; give at least one, such as {kind: example_files, path: chats.jsonl}")
        if min(self.validation_frac, self.test_frac) < 0 or self.validation_frac + self.test_frac >= 1:
            raise RecipeError(
                f"validation_frac is {self.validation_frac}, test_frac {self.test_frac}; neither may be below 0, and "
                "their sum must be below 1"
            )


def take_examples(out: Workdir, *, config: ExamplesConfig) -> Draft[DatasetArtifact]:
    """Read all sources, set aside what is no example, and split the rest by a hash of each id.

    An id is the source's with the file's name before it, else a hash of the example, so that an example keeps its
    place when others come or go.

    Raises:
        BurnishError: no example is usable, or there are conversations and pairs of answers, which learn by unlike
            stages.
        RecipeError: a split would be empty.
    """
    book = _Book(config)
    with out.progress("reading examples", total=None, unit="examples") as bar:
        for source in config.sources:
            for given in read_source(source, out.warn):
                book.add(given)
                bar.advance()
    kind = _kind(book)
    for split in _SPLITS:
        rows = sorted(book.kept[split], key=lambda row: (row["draw"], row["id"]))
        if rows:
            _write(out, f"data/{split}.parquet", rows, ("id", "kind", "example"))
        elif split != "test" or config.test_frac:
            raise RecipeError(
                f"split {split!r} would be empty of {book.num_kept} examples; give more, hold out another share"
                f"{' or set test_frac to 0' if split == 'test' else ''}"
            )
    _write(out, "rejected/examples.parquet", book.rejected, ("source", "row", "rule", "detail", "record"))
    sizes = ", ".join(f"{len(rows):,} {split}" for split, rows in book.kept.items() if rows)
    summary = f"{book.num_kept:,} examples of kind {kind}: {sizes}; {len(book.rejected):,} set aside."
    return Draft(DatasetArtifact, _evidence(book), summary)


@dataclass
class _Book:
    """What was kept and what was set aside so far."""

    config: ExamplesConfig
    kept: dict[Split, list[dict[str, Any]]] = field(default_factory=lambda: {split: [] for split in _SPLITS})
    rejected: list[dict[str, Any]] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    num_turns: int = 0
    _ids: set[str] = field(default_factory=set)
    _bodies: set[bytes] = field(default_factory=set)

    @property
    def num_kept(self) -> int:
        return self.kinds.total()

    def add(self, given: Given) -> None:
        """Keep an example or set its record aside."""
        try:
            if isinstance(given.record, Unusable):
                raise given.record
            found = read_example(given.record, given.form)
            body = json.dumps(found.body(), ensure_ascii=False, sort_keys=True)
            digest = hashlib.sha256(body.encode()).digest()
            name = self._name(given, digest)
            self._refuse_seen(name, digest)
        except Unusable as reason:
            self._set_aside(given, reason)
            return
        self._ids.add(name)
        self._bodies.add(digest)
        self.kinds[found.kind] += 1
        self.num_turns += len(found.turns) + (found.kind == "preference")
        draw = _draw(name, self.config.seed)
        row = {"id": name, "kind": found.kind, "example": body, "draw": draw}
        self.kept[given.split or self._place(draw)].append(row)

    def _name(self, given: Given, digest: bytes) -> str:
        own = given.record.get("id") if isinstance(given.record, Mapping) else None
        if own is None or own == "":
            return digest.hex()[:24]
        if not isinstance(own, str | int) or not str(own).isprintable():
            raise Unusable("bad_id", f"its id is {own!r}; it must be a text without control characters or a number")
        return f"{given.source}/{own}"

    def _refuse_seen(self, name: str, digest: bytes) -> None:
        if digest in self._bodies:
            raise Unusable("duplicate", "another record says the same word for word")
        if name in self._ids:
            raise Unusable("duplicate_id", f"another record has id {name}")

    def _place(self, draw: float) -> Split:
        if draw < self.config.test_frac:
            return "test"
        return "validation" if draw >= 1 - self.config.validation_frac else "train"

    def _set_aside(self, given: Given, reason: Unusable) -> None:
        record = None if isinstance(given.record, Unusable) else json.dumps(given.record, default=str)
        self.rejected.append(
            {
                "source": given.source,
                "row": given.row,
                "rule": reason.rule,
                "detail": reason.detail.encode(errors="backslashreplace").decode(),
                "record": record,
            }
        )


def _draw(name: str, seed: int) -> float:
    """Draw a number in [0, 1) that belongs to this id and seed."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:6], "big") / (1 << 48)


def _kind(book: _Book) -> str:
    if not book.num_kept:
        rules = ", ".join(f"{count} {rule}" for rule, count in Counter(row["rule"] for row in book.rejected).items())
        first = f"; the first: {book.rejected[0]['detail']}" if book.rejected else ""
        raise BurnishError(f"no record is a usable example ({rules or 'the sources are empty'}){first}")
    if len(book.kinds) > 1:
        raise BurnishError(
            f"the sources hold {book.kinds['conversation']} conversations and {book.kinds['preference']} pairs of "
            "answers, which learn by unlike stages; take each by an `examples` of its own"
        )
    return next(iter(book.kinds))


def _evidence(book: _Book) -> tuple[Measurement, ...]:
    total = book.num_kept + len(book.rejected)
    rules = Counter(row["rule"] for row in book.rejected)
    return (
        counted("kept_frac", book.num_kept, of=total, how="records that are whole examples"),
        *(Measurement(f"{split}_examples", len(book.kept[split]), "examples", total) for split in _SPLITS),
        Measurement(
            "mean_turns",
            book.num_turns / book.num_kept,
            "turns",
            book.num_kept,
            how="of kept examples; an answer is one",
        ),
        *(
            Measurement(f"{rule}_records", count, "records", total, how="set aside")
            for rule, count in sorted(rules.items())
        ),
    )


def _write(out: Workdir, name: str, rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    arrow, parquet = need("pyarrow", extra="data"), need("pyarrow.parquet", extra="data")
    schema = arrow.schema([(column, arrow.int64() if column == "row" else arrow.string()) for column in columns])
    whole = [{column: row[column] for column in columns} for row in rows]
    parquet.write_table(arrow.Table.from_pylist(whole, schema), out / name, compression="zstd")
