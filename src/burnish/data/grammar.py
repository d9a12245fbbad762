"""Grammar: set aside what no one wrote as sentences: words out of order, words missing, words drawn at random.

Real parsers read a sample of each record's sentences, and a model trained on this very dataset says how much their
parse looks like that of its real sentences rather than of damaged ones. Only prose is judged: a record without a
sentence of prose (code, a table, a list of names) passes, and so does one in a language that has too few sentences
here to learn from.
"""

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from burnish.artifacts import HOW, DatasetArtifact, Draft, Measurement
from burnish.data.engine import Engine, Local
from burnish.data.flow import carry_planted, num_records
from burnish.data.grammars.grammar_model import GrammarModel, features
from burnish.data.grammars.grammar_parse import parse
from burnish.data.grammars.grammar_sentences import Language, Sentence, sample_sentences
from burnish.data.grammars.grammar_teach import Lesson, Taught, fold_of, teach
from burnish.data.language import LanguageModel
from burnish.data.ledger import Verdict, at_least
from burnish.data.scoring.sample import sample_records
from burnish.data.sift import sift
from burnish.errors import RecipeError
from burnish.runtime import Workdir, need

RULES = ("ungrammatical",)
LANGUAGES: tuple[Language, ...] = get_args(Language)

_MIN_ENGLISH = 0.2  # probability; of 500 pages with their function words cut out, 499 have more
_ENGLISH_CHARS = 600
_LEAST_TAUGHT = 100  # of which each fold has some
_PRIOR_SENTENCES = 2  # of no opinion: one odd sentence alone condemns a record less than eight


@dataclass(frozen=True)
class GrammarConfig:
    """Say how odd a record's sentences may be.

    Attributes:
        min_score: in [0, 1]; mean log odds of a record's sentences as a probability. At 0.26, 0 % of Chinese news fall,
            1.2 % of English manuals and of Chinese manuals and poems, 1.4 % of reviews and of headlines. Of their
            twins with words of the same dataset drawn at random fall 100, 100, 85, 81 and 50 %; with words shuffled
            100, 98, 70, 81 and 44 %; with neighbours out of order 87, 84, 11 (poems), 50 and 20 %.
        num_sentences: how many of a record are read, spread over it.
        sample_records: how many records to draw sentences to learn from.
        num_taught: how many sentences to learn a language from; of 1,500 instead of 2,000, Chinese with neighbours
            out of order falls in 39 of 100 documents instead of 50, English is as good with 1,200.
        min_taught: with fewer a language is not judged.
        engine: where records are judged.
    """

    min_score: float = 0.26
    num_sentences: int = 8
    sample_records: int = 4000
    num_taught: int = 2000
    min_taught: int = 500
    seed: int = 0
    engine: Engine = field(default_factory=Local, metadata=HOW)

    def __post_init__(self) -> None:
        if not 0 <= self.min_score <= 1:
            raise RecipeError(f"min_score is {self.min_score}; it must be in [0, 1]")
        for name in ("num_sentences", "sample_records", "num_taught"):
            if getattr(self, name) < 1:
                raise RecipeError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if not _LEAST_TAUGHT <= self.min_taught <= self.num_taught:
            raise RecipeError(
                f"min_taught is {self.min_taught}; it must be from {_LEAST_TAUGHT} to num_taught ({self.num_taught})"
            )


def gate_grammar(out: Workdir, records: DatasetArtifact, *, config: GrammarConfig) -> Draft[DatasetArtifact]:
    """Set aside the records whose sentences are not built like those of this dataset.

    Raises:
        MissingExtra: a parser is not installed.
        RecipeError: no record is left.
    """
    sample = sample_records(records, config.sample_records, seed=config.seed, purpose="grammar")
    lessons = _draw_lessons([(row.id, row.text) for row in sample], config)
    taught = _learn(out, lessons, config)
    judge = GrammarJudge({language: each.models for language, each in taught.items()}, config)
    flow = sift(out, records, judge, rules=RULES, step="grammar", engine=config.engine)
    total = flow[0].n
    num_judged = _count_judged(out)
    judged = num_records("judged_records", num_judged, of=total, how="with a sentence of prose in a language learnt")
    kept = next(m for m in flow if m.name == "records_kept")
    summary = f"{kept.value:,.0f} of {total:,} records kept by the grammar gate; it judged {num_judged:,}."
    return Draft(DatasetArtifact, (*flow, judged, *_measure_taught(lessons, taught), *carry_planted(records)), summary)


@dataclass(frozen=True)
class GrammarJudge:
    """Judges rows by the parse of their sentences.

    Attributes:
        models: by language, and by the fold that each judges.
    """

    models: dict[Language, tuple[GrammarModel, ...]]
    config: GrammarConfig

    def __call__(self, rows: Any) -> Sequence[Verdict]:
        """Score a table's records; NaN for those that have no sentence to judge."""
        pairs = zip(rows.column("id").to_pylist(), rows.column("text").to_pylist(), strict=True)
        return [at_least("ungrammatical", self.scores(pairs), self.config.min_score)]

    def scores(self, rows: Iterable[tuple[str, str]]) -> NDArray[np.float64]:
        """Score records given as id and text: (N,) in [0, 1], or NaN."""
        found: dict[Language, list[tuple[int, int, str]]] = defaultdict(list)
        num_rows = 0
        for row, (identity, text) in enumerate(rows):
            num_rows, fold = row + 1, fold_of(identity)
            for sentence in sentences_of(identity, text, self.config.num_sentences, self.config.seed):
                found[sentence.language].append((row, fold, sentence.text))
        totals, counts = np.zeros(num_rows), np.zeros(num_rows)
        for language in found.keys() & self.models.keys():
            models = self.models[language]
            parsed = parse([text for *_, text in found[language]], language)
            for (row, fold, _), each in zip(found[language], parsed, strict=True):
                totals[row] += models[fold].logit(features(each))
                counts[row] += 1
        scores = 1 / (1 + np.exp(-totals / (counts + _PRIOR_SENTENCES)))
        return np.where(counts > 0, scores, np.nan)


def sentences_of(identity: str, text: str, num_sentences: int, seed: int) -> list[Sentence]:
    """Draw sentences of a record, Latin ones only where they are English."""
    drawn = sample_sentences(text, num_sentences, f"{seed}/{identity}")
    latin = " ".join(sentence.text for sentence in drawn if sentence.language == "en")[:_ENGLISH_CHARS]
    if latin and _language_model().guess(latin, ("en",)).score < _MIN_ENGLISH:
        return [sentence for sentence in drawn if sentence.language != "en"]
    return drawn


def _draw_lessons(rows: Iterable[tuple[str, str]], config: GrammarConfig) -> dict[Language, list[Lesson]]:
    """Draw sentences to learn from: one of each record, then a second, until there are enough.

    A sentence that many records repeat is learnt once.
    """
    rounds: list[list[Lesson]] = [[] for _ in range(config.num_sentences)]
    for identity, text in rows:
        drawn = sentences_of(identity, text, config.num_sentences, config.seed)
        random.Random(f"{config.seed}/lessons/{identity}").shuffle(drawn)
        for turn, sentence in zip(rounds, drawn, strict=False):
            turn.append(Lesson(sentence, fold_of(identity)))
    found: dict[Language, dict[str, Lesson]] = {language: {} for language in LANGUAGES}
    for lesson in chain.from_iterable(rounds):
        if len(each := found[lesson.sentence.language]) < config.num_taught:
            each.setdefault(lesson.sentence.text, lesson)
    return {language: list(each.values()) for language, each in found.items()}


def _learn(out: Workdir, lessons: dict[Language, list[Lesson]], config: GrammarConfig) -> dict[Language, Taught]:
    taught: dict[Language, Taught] = {}
    with out.progress("learn", total=len(lessons), unit="languages") as bar:
        for language, each in lessons.items():
            if len(each) >= config.min_taught:
                taught[language] = teach(each, config.seed)
            elif each:
                out.warn(
                    f"{len(each)} sentences in {language} are too few to learn from ({config.min_taught} are needed); "
                    "the grammar gate passes them"
                )
            bar.advance()
    return taught


def _measure_taught(lessons: dict[Language, list[Lesson]], taught: dict[Language, Taught]) -> Iterator[Measurement]:
    for language, each in taught.items():
        how = "area under the curve, sentences against damaged twins, by models that know neither"
        yield Measurement(f"grammar_{language}_auc", each.ranking_frac, "1", len(lessons[language]), how=how)


def _count_judged(out: Workdir) -> int:
    dataset = need("pyarrow.dataset", extra="data").dataset(str(out.payload / "measures"), format="parquet")
    column = dataset.to_table(columns=["ungrammatical"]).column(0)
    return len(column) - int(column.null_count)


@lru_cache(maxsize=1)
def _language_model() -> LanguageModel:
    return LanguageModel()
