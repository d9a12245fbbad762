"""The three stages of curation in one call, what they give by id, and records with something of everything."""

from typing import Any

import pyarrow.parquet
from real_slice import CHINESE, texts
from set_aside import read_rejected
from test_rules import CASES, CHINESE_PROSE, PROSE

from burnish.artifacts import DatasetArtifact
from burnish.data.clean import CleanConfig, clean
from burnish.data.find_copies import FindCopiesConfig, find_copies
from burnish.data.records import Record, Rejection, read_kept
from burnish.data.select import SelectConfig, select
from burnish.data.shingle import Shingle, Words
from burnish.runtime import Run

DOCUMENTS = Words()
NO_RULES = SelectConfig(min_words=0, min_language_score=0, gibberish=None, documents=None, lines=None)


def selected(
    run: Run, raw: DatasetArtifact, config: SelectConfig, *, shingle: Shingle = DOCUMENTS, looked: float = 0.5, languages: tuple[str, ...] = ("en", "zh")
) -> DatasetArtifact:  # fmt: skip
    cleaned = run(clean, raw, config=CleanConfig(languages=languages, pii=None, shingle=shingle))
    return run(select, cleaned, run(find_copies, cleaned, config=FindCopiesConfig(looked)), config=config)


def kept_ids(made: DatasetArtifact) -> set[str]:
    return {record.id for record in read_kept(made)}


def reasons(made: DatasetArtifact) -> dict[str, Rejection]:
    return {record.id: rejection for record, rejection in read_rejected(made)}


def ledger(made: DatasetArtifact) -> list[dict[str, Any]]:
    return [
        row
        for path in sorted((made.payload / "ledger").glob("*"))
        for row in pyarrow.parquet.read_table(path).to_pylist()
    ]


def mixed() -> list[Record]:
    """Give good and bad documents of both languages, and copies of both."""
    good = [*PROSE, *CHINESE, CHINESE_PROSE]
    bad = [text for text, _ in CASES]
    copies = [
        *PROSE[:6],
        *(text.replace(" the ", " a ", 1) for text in PROSE[:6]),
        CHINESE_PROSE.replace("上海", "北京"),
        *bad[:4],
    ]
    return texts(*good, *bad, *copies)


MIXED = mixed()
