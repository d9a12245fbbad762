"""Select: keep what is good enough, and of each set of copies the best; say of everything else why it went.

It reads measures and pairs, never a text: another bound costs seconds, and cleaning is not done again.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from burnish.artifacts import HOW, DatasetArtifact, Draft
from burnish.data.duplicates.copy_plan import columns_of, copy_verdicts, read_plan, refuse_nearer, write_plan
from burnish.data.duplicates.resolve import Copies
from burnish.data.engine import Engine, Local, run_shards
from burnish.data.flow import carry_planted
from burnish.data.ledger import Verdict, at_least
from burnish.data.planted import measure_planted
from burnish.data.rules import (
    DOCUMENT_RULES,
    GIBBERISH_RULES,
    LINE_RULES,
    Columns,
    Documents,
    Gibberish,
    Lines,
    judge_documents,
    judge_gibberish,
    judge_lines,
)
from burnish.data.shards import read_tables, shard_paths
from burnish.data.sift import collect_sifted, sift_tables
from burnish.errors import RecipeError
from burnish.runtime import Workdir, need

RULES = ("too_few_words", "language", *GIBBERISH_RULES, *DOCUMENT_RULES, *LINE_RULES, "exact_copy", "near_copy")

MAX_FLOOR_WORDS = 16  # above, a Chinese text that cleaning did not segment could have fewer


@dataclass(frozen=True)
class KeepBest:
    """Say which copies are too many.

    Attributes:
        min_similarity: least Jaccard similarity of near copies; `find_copies` must have looked as far. 0.75 is what
            FineWeb's bands aim at (Penedo et al. 2024, arXiv:2406.17557, section 3.4).
    """

    min_similarity: float = 0.75

    def __post_init__(self) -> None:
        if not 0 < self.min_similarity <= 1:
            raise RecipeError(f"min_similarity is {self.min_similarity}; it must be above 0 and at most 1")


@dataclass(frozen=True)
class SelectConfig:
    """Say what is good enough; null turns a group of rules off.

    Attributes:
        min_words: of running text 10; half of all news headlines are shorter, so give them 3. A Chinese word is
            what a segmenter finds.
        min_language_score: least probability that a text is in one of `clean.languages`. FineWeb asks 0.65 of web
            pages; that takes 4 % of technical ones, whose tables and commands the model knows no language for. 0.1
            takes 0.05 % of those and 0.4 % of real English headlines, and still knows others.
    """

    min_words: int = 10
    min_language_score: float = 0.1
    gibberish: Gibberish | None = field(default_factory=Gibberish)
    documents: Documents | None = field(default_factory=Documents)
    lines: Lines | None = field(default_factory=Lines)
    copies: KeepBest | None = field(default_factory=KeepBest)
    engine: Engine = field(default_factory=Local, metadata=HOW)

    def __post_init__(self) -> None:
        if not 0 <= self.min_words <= MAX_FLOOR_WORDS:
            raise RecipeError(f"min_words is {self.min_words}; it must be from 0 to {MAX_FLOOR_WORDS}")
        if not 0 <= self.min_language_score <= 1:
            raise RecipeError(f"min_language_score is {self.min_language_score}; it must be in [0, 1]")


def select(
    out: Workdir, cleaned: DatasetArtifact, copies: DatasetArtifact, *, config: SelectConfig
) -> Draft[DatasetArtifact]:
    """Keep the records that break no rule and are no worse copy of one that stays.

    Raises:
        RecipeError: `find_copies` did not look as far as is asked here, or no record is left.
    """
    shards = shard_paths(cleaned)
    plan = out.snapshots / "copies"
    if config.copies is not None:
        refuse_nearer(copies, config.copies.min_similarity)
        write_plan(plan, cleaned, Copies.read(copies), config.copies.min_similarity, lambda table: _good(table, config))
    work = _Selecting(config, cleaned.payload / "measures", plan)
    evidence = collect_sifted(out, run_shards(out, shards, work, step="select", engine=config.engine), RULES, "select")
    kept = {m.name: m for m in evidence}["records_kept"]
    summary = f"{kept.value:,.0f} of {kept.n:,} records kept."
    planted = measure_planted(cleaned, sorted((out.payload / "data").glob("*.parquet")))
    return Draft(DatasetArtifact, (*evidence, *planted, *carry_planted(cleaned)), summary)


def judge(columns: Columns, config: SelectConfig) -> list[Verdict]:
    """Judge N records by their measures alone."""
    verdicts = [
        at_least("too_few_words", columns("num_real_words"), config.min_words),
        at_least("language", columns("language_score"), config.min_language_score),
    ]
    if config.gibberish is not None:
        verdicts += judge_gibberish(columns, config.gibberish)
    if config.documents is not None:
        verdicts += judge_documents(columns, config.documents)
    if config.lines is not None:
        verdicts += judge_lines(columns, config.lines)
    return verdicts


@dataclass(frozen=True)
class _Selecting:
    """Select from one shard. `plan` names a file a shard: what a worker reads, not what it is sent."""

    config: SelectConfig
    measures: Path
    plan: Path

    def __call__(self, shard: Path, folder: Path, advance: Callable[[float], None]) -> None:
        sift_tables(self._judged(shard), folder, "select", advance)

    def _judged(self, shard: Path) -> Iterator[tuple[Any, Sequence[Verdict]]]:
        measures = need("pyarrow.parquet", extra="data").read_table(self.measures / shard.name)
        copies = self.config.copies
        removals = None if copies is None else read_plan(self.plan, shard)
        start = 0
        for rows in read_tables(shard):
            verdicts = judge(columns_of(measures.slice(start, rows.num_rows)), self.config)
            if copies is not None and removals is not None:
                verdicts += copy_verdicts(removals, start, rows.num_rows, copies.min_similarity)
            yield rows, verdicts
            start += rows.num_rows


def _good(measures: Any, config: SelectConfig) -> NDArray[np.bool_]:
    good: NDArray[np.bool_] = ~np.logical_or.reduce([verdict.fails for verdict in judge(columns_of(measures), config)])
    return good
