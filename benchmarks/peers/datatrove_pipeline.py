"""The job in datatrove's own blocks, in the order of its FineWeb examples: repair, mask, rules, exact copies, near copies.

The corpus is split by its `lang` column (a gift: datatrove would have to run a language model first), one rank a split.
Runs in datatrove's environment; both of its jobs differ only in the tokenizers that they pass.
"""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datatrove.data import Document
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import (
    ExactDedupConfig,
    ExactDedupFilter,
    ExactDedupSignature,
    ExactFindDedups,
    MinhashConfig,
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupFilter,
    MinhashDedupSignature,
)
from datatrove.pipeline.filters import GopherQualityFilter, GopherRepetitionFilter
from datatrove.pipeline.formatters import FTFYFormatter, PIIFormatter
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import JsonlWriter
from datatrove.utils.word_tokenizers import WordTokenizer, load_word_tokenizer
from reading import Reading, write_filtered


@dataclass(frozen=True)
class Split:
    """One language of the corpus: its word tokenizer and how its filters differ from datatrove's defaults."""

    name: str
    tokenizer: str | WordTokenizer
    quality: dict[str, Any] = field(default_factory=dict)
    repetition: dict[str, Any] = field(default_factory=dict)

    def holds(self, document: Document) -> bool:
        """Say whether a document belongs here; every language but Chinese is in the other split."""
        return (document.metadata["lang"] == "zh") == (self.name == "zh")


CHINESE_STOP_WORDS = [
    "的",
    "了",
    "是",
    "在",
    "和",
    "有",
    "不",
    "为",
    "為",
    "与",
    "與",
    "也",
    "而",
    "以",
    "及",
    "或",
    "就",
    "这",
    "這",
    "他",
]

# The default asks that 80 % of the words hold a letter, punctuation marks being words: on technical English that drops
# most of the text, so the filter is loosened until prose about programs passes.
ENGLISH_QUALITY: dict[str, Any] = {"max_non_alpha_words_ratio": 0.5}

# Source: FineWeb-2, configs/cmn_Hani.yml (Mandarin), for datatrove's own filters; stop words are ours.
CHINESE_QUALITY: dict[str, Any] = {
    "min_avg_word_length": 1,
    "max_avg_word_length": 5,
    "max_non_alpha_words_ratio": 0.5,  # theirs is 0.735, which suits news and drops manuals
    "stop_words": CHINESE_STOP_WORDS,
}
CHINESE_REPETITION: dict[str, Any] = {
    "dup_line_frac": 0.287,
    "top_n_grams": ((2, 0.256), (3, 0.201), (4, 0.171)),
    "dup_n_grams": ((5, 0.198), (6, 0.182), (7, 0.167), (8, 0.154), (9, 0.14), (10, 0.127)),
}


def run(corpus: Path, out: Path, splits: tuple[Split, ...], reading: Reading) -> None:
    """Run every stage with one worker in this process."""
    work = out / "work"
    filtered, copies, near = work / "filtered", work / "exact", work / "near"
    exact = ExactDedupConfig(content_getter=text_of)
    minhash = MinhashConfig()  # 14 bands of 8, word 5-grams
    _clean(corpus, splits, filtered, copies / "signatures", exact, work)
    _stage([ExactFindDedups(str(copies / "signatures"), str(copies / "found"), exact)], work / "logs/exact")
    for rank, split in enumerate(splits):
        steps = [
            JsonlReader(str(filtered)),
            ExactDedupFilter(str(copies / "found"), exact),
            MinhashDedupSignature(str(near / "signatures"), minhash, language=split.tokenizer),
        ]
        _stage(steps, work / "logs/signatures", tasks=len(splits), rank=rank)
    buckets = [MinhashDedupBuckets(str(near / "signatures"), str(near / "buckets"), config=minhash)]
    _stage(buckets, work / "logs/buckets", tasks=minhash.num_buckets)
    _stage([MinhashDedupCluster(str(near / "buckets"), str(near / "remove"), minhash)], work / "logs/cluster")
    last = [
        JsonlReader(str(filtered)),
        ExactDedupFilter(str(copies / "found"), exact),
        MinhashDedupFilter(str(near / "remove")),
        JsonlWriter(str(out / "kept"), compression=None),
    ]
    _stage(last, work / "logs/kept", tasks=len(splits))
    reading.stop()
    write_filtered(out, (json.loads(line)["id"] for path in sorted(filtered.glob("*.jsonl")) for line in path.open()))
    shutil.rmtree(work)


def text_of(document: Document) -> str:
    """Give what the exact stage hashes."""
    return document.text


def _clean(
    corpus: Path, splits: tuple[Split, ...], filtered: Path, signatures: Path, exact: ExactDedupConfig, work: Path
) -> None:
    for rank, split in enumerate(splits):
        # Every rank reads the whole corpus and takes its language, so that a rank is a language in all later stages.
        def documents(_data: Any, _rank: int, _world_size: int, split: Split = split) -> Iterator[Document]:
            return (row for row in JsonlReader(str(corpus / "jsonl")).run(None, 0, 1) if split.holds(row))

        steps = [
            documents,
            FTFYFormatter(),
            PIIFormatter(),
            GopherRepetitionFilter(language=split.tokenizer, **split.repetition),
            GopherQualityFilter(language=split.tokenizer, **split.quality),
            JsonlWriter(str(filtered), compression=None),
            ExactDedupSignature(str(signatures), exact),
        ]
        _stage(steps, work / "logs/clean", tasks=len(splits), rank=rank)


def _stage(steps: list[Any], logs: Path, tasks: int = 1, rank: int | None = None) -> None:
    """Run one pipeline with one worker: all its ranks, or the one that is named."""
    # The executor copies the steps deeply, which fails on a jieba tokenizer that has been used; a new one is made on use.
    load_word_tokenizer.cache_clear()
    chosen = {} if rank is None else {"local_tasks": 1, "local_rank_offset": rank}
    LocalPipelineExecutor(steps, tasks=tasks, workers=1, logging_dir=str(logs), **chosen).run()
