"""Adversarial: set aside texts made to mislead a model, and measure on the stage's own input how well that works.

Six rules, in order: letters of two scripts in one word, invisible characters, words split or respelt, one thing said
over and over, instructions to the model, and a passage that is like nothing else in the corpus.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from burnish.artifacts import HOW, DatasetArtifact, Draft
from burnish.data.attacks.adversarial_trial import evaluate_detector
from burnish.data.attacks.disguise import num_invisible, num_mixed_words, rejoined_words, respelt_words
from burnish.data.attacks.injection import injection_score
from burnish.data.engine import Engine, Local
from burnish.data.flow import carry_planted
from burnish.data.ledger import Verdict, at_most
from burnish.data.scoring.sample import sample_records
from burnish.data.scoring.scores import keys_of
from burnish.data.shards import num_bytes, read_tables, shard_paths
from burnish.data.sift import sift
from burnish.errors import RecipeError
from burnish.runtime import Workdir

RULES = (
    "mixed_scripts",
    "invisible_characters",
    "split_words",
    "repeated_passage",
    "injection_pattern",
    "surprising_passage",
)
# On clean manuals, headlines and reviews the 99.5th percentile of surprise, length taken into account, lies 2.4, 2.7 and
# 2.4 times as far above the median as the 90th; with 2 % of random characters among the manuals 12 times.
_MAX_SPREAD = 2.5
_NUM_SIZE_GROUPS = 10
_MAX_TRAINING_BYTES = 256 << 20  # of text counted by the surprise model: minutes at 13 MB a second
_MAX_USUAL_BITS = 3.5  # a character of a word that the corpus knows
_MAX_WORD_BITS = 5.0  # 98 % of the words of manuals and of headlines have less; of letters in a row by chance none had
_MIN_BITS_SAVED = 4.0  # a character, where digits are read as letters: with these two, 2 of 6,326 manuals alarmed


@dataclass(frozen=True)
class AdversarialConfig:
    """Say what counts as made to mislead. Defaults are measured on manuals, headlines and reviews, zh and en.

    Attributes:
        max_mixed_words: words with look-alike letters of two scripts.
        max_invisible_chars: zero-width, direction and other characters that show nothing.
        max_split_words: `i.g.n.o.r.e`, `1gn0r3`, 忽.略.指.令.
        max_repeats: of a passage up to 64 characters long, without a break.
        min_injection_score: the sum of weights of the moves of an injection (see `injection`) that is one.
        max_surprising_frac: share of the records that are otherwise clean which the last rule takes: it asks for the
            strangest ones, and where nobody attacks these are tables and names. It takes more only where more lie
            2.5 times as far above the median as the 90th percentile does, as gibberish and nonsense do.
        sample_records: what is usual is learnt from so many.
        trial_records: so many are attacked in every way, to measure what share is caught; 0 measures nothing.
        seed: draws samples and attacks.
    """

    max_mixed_words: int = 0
    max_invisible_chars: int = 0
    max_split_words: int = 0
    max_repeats: int = 10
    min_injection_score: float = 1.0
    max_surprising_frac: float = 0.005
    sample_records: int = 5000
    trial_records: int = 200
    seed: int = 0
    engine: Engine = field(default_factory=Local, metadata=HOW)

    def __post_init__(self) -> None:
        for name in ("max_mixed_words", "max_invisible_chars", "max_split_words", "trial_records"):
            if getattr(self, name) < 0:
                raise RecipeError(f"{name} is {getattr(self, name)}; it must be at least 0")
        for name in ("max_repeats", "sample_records"):
            if getattr(self, name) < 1:
                raise RecipeError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if self.min_injection_score <= 0:
            raise RecipeError(f"min_injection_score is {self.min_injection_score}; it must be above 0")
        if not 0 <= self.max_surprising_frac < 1:
            raise RecipeError(f"max_surprising_frac is {self.max_surprising_frac}; it must be in [0, 1)")


def gate_adversarial(out: Workdir, records: DatasetArtifact, *, config: AdversarialConfig) -> Draft[DatasetArtifact]:
    """Set aside the records that a rule takes for an attack.

    Raises:
        RecipeError: no record is left.
    """
    sample = sample_records(records, config.sample_records, seed=config.seed, purpose="usual")
    detector = fit_detector(_batches(records), [row.text for row in sample], out.snapshots / "surprise.npz", config)
    trial = sample_records(records, config.trial_records, seed=config.seed, purpose="trial")
    words = [row.text for row in sample[: max(1, config.trial_records)]]
    with out.progress("trial", total=len(trial), unit="records") as bar:
        measured = evaluate_detector(detector.judge, trial, words, seed=config.seed, advance=bar.advance)
    flow = sift(out, records, detector, rules=RULES, step="adversarial", engine=config.engine)
    kept = next(m for m in flow if m.name == "records_kept")
    summary = f"{kept.value:,.0f} of {kept.n:,} records kept by the gate against adversarial samples."
    return Draft(DatasetArtifact, (*flow, *measured, *carry_planted(records)), summary)


@dataclass(frozen=True)
class Detector:
    """Judge rows by all rules; small, since the surprise model stays on disk until it is used.

    Attributes:
        surprise: where the model lies.
        max_surprise: the bound that `max_surprising_frac` gave.
        surprise_growth: of a text's strangest passage when the text is e times as long, taken away before judging, so
            that a long text is not strange for having many passages.
    """

    config: AdversarialConfig
    surprise: Path
    max_surprise: float
    surprise_growth: float = 0.0

    def __call__(self, rows: Any) -> Sequence[Verdict]:
        """Judge the rows of a `pyarrow.Table`."""
        return self.judge(rows.column("text").to_pylist())

    def judge(self, texts: Sequence[str]) -> Sequence[Verdict]:
        """Give one verdict a rule."""
        from burnish.data.attacks.flood import most_repeats
        from burnish.data.attacks.surprise import load_surprise

        model, config = load_surprise(self.surprise), self.config
        scores = np.array([injection_score(text)[0] for text in texts], np.float64)
        return (
            at_most("mixed_scripts", _each(num_mixed_words, texts), config.max_mixed_words),
            at_most("invisible_characters", _each(num_invisible, texts), config.max_invisible_chars),
            at_most("split_words", num_split_words(texts, model), config.max_split_words),
            at_most("repeated_passage", most_repeats(texts), config.max_repeats),
            Verdict("injection_pattern", scores, config.min_injection_score, scores >= config.min_injection_score),
            at_most(
                "surprising_passage", model.score(texts) - self.surprise_growth * _log_windows(texts), self.max_surprise
            ),
        )


def fit_detector(
    batches: Iterator[list[str]], sample: Sequence[str], path: Path, config: AdversarialConfig
) -> Detector:
    """Count the corpus, unless a killed run did so before; and find the bound of what is surprising.

    The bound is a percentile of the sample without those that another rule takes, and no higher than its bulk allows,
    so that attacks do not raise it.
    """
    from burnish.data.attacks.surprise import train_surprise

    if not path.exists():
        partial = path.with_name(f"partial.{path.name}")
        train_surprise(batches, sample).save(partial)
        partial.replace(path)
    loose = Detector(config, path, np.inf)
    verdicts = loose.judge(sample)
    is_read = ~np.any([verdict.fails for verdict in verdicts], axis=0) & np.isfinite(verdicts[-1].values)
    surprises, sizes = verdicts[-1].values[is_read], _log_windows(sample)[is_read]
    if len(surprises) == 0:
        return loose
    growth = growth_of(surprises, sizes)
    surprises = surprises - growth * sizes
    bound = np.quantile(surprises, 1 - config.max_surprising_frac, method="higher")
    middle, high = np.quantile(surprises, [0.5, 0.9])
    return Detector(config, path, float(min(bound, middle + _MAX_SPREAD * (high - middle))), growth)


def growth_of(surprises: NDArray[np.float64], sizes: NDArray[np.float64]) -> float:
    """Give the slope of surprise over the logarithm of length, from the medians of ten groups; at least 0.

    The largest of n draws from a tail that falls exponentially grows with log n (Gumbel 1958, Statistics of Extremes).
    Texts of less than a window are left out, since what fills them up lowers them. Medians, so that attacks among the
    sample do not turn it.
    """
    surprises, sizes = surprises[sizes > 0], sizes[sizes > 0]
    if len(sizes) < _NUM_SIZE_GROUPS:
        return 0.0
    groups = np.array_split(np.argsort(sizes, kind="stable"), _NUM_SIZE_GROUPS)
    x = np.array([np.median(sizes[group]) for group in groups])
    y = np.array([np.median(surprises[group]) for group in groups])
    spread = float(((x - x.mean()) ** 2).sum())
    return max(0.0, float(((x - x.mean()) * (y - y.mean())).sum()) / spread) if spread > 0 else 0.0


def num_split_words(texts: Sequence[str], model: Any) -> NDArray[np.float64]:
    """Count split words that are like the corpus's own, and respelt ones that it knows better by the letters.

    Of letters apart in a list (`b a d c`) no such word comes; a word that is not ASCII counts as it stands.
    """
    joined = [(row, word) for row, text in enumerate(texts) for word in rejoined_words(text)]
    is_word = np.array([not word.isascii() for _, word in joined], bool)
    is_word |= model.bits_of_words([word for _, word in joined]) < _MAX_WORD_BITS
    split = np.zeros(len(texts))
    np.add.at(split, [row for row, _ in joined], is_word)
    pairs = [(row, pair) for row, text in enumerate(texts) for pair in respelt_words(text)]
    as_is = model.bits_of_words([pair[0] for _, pair in pairs])
    as_letters = model.bits_of_words([pair[1] for _, pair in pairs])
    is_respelt = (as_letters < _MAX_USUAL_BITS) & (as_is - as_letters > _MIN_BITS_SAVED)
    np.add.at(split, [row for row, _ in pairs], is_respelt)
    return split


def _log_windows(texts: Sequence[str]) -> NDArray[np.float64]:
    from burnish.data.attacks.surprise import WINDOW_CHARS

    return np.log(np.maximum(1.0, _each(len, texts) / WINDOW_CHARS))


def _each(measure: Any, texts: Sequence[str]) -> NDArray[np.float64]:
    return np.array([measure(text) for text in texts], np.float64)


def _batches(records: DatasetArtifact) -> Iterator[list[str]]:
    """Give the corpus's texts, or where it is large a share of them that follows from their ids."""
    paths = shard_paths(records)
    share = min(1.0, _MAX_TRAINING_BYTES / max(1, sum(num_bytes(path) for path in paths)))
    limit = np.uint64(min(2**64 - 1, int(share * 2**64)))
    for path in paths:
        for rows in read_tables(path):
            chosen = rows.filter(keys_of(rows.column("id").to_pylist()) <= limit)
            yield chosen.column("text").to_pylist()
