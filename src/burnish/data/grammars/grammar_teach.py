"""Teaching: sentences to learn from, and models of them none of which judges a record that it learnt from.

A model knows by heart what it was taught, bad sentences too, and in a small dataset every record teaches. So records
fall into folds by a hash of their ids, each model learns from all folds but one, and judges that one.
"""

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from burnish.data.grammars.grammar_model import Features, GrammarModel, features, train
from burnish.data.grammars.grammar_parse import parse
from burnish.data.grammars.grammar_sentences import Sentence
from burnish.data.grammars.grammar_twins import DAMAGES, split_words, twin
from burnish.runtime import need

NUM_FOLDS = 4


@dataclass(frozen=True, slots=True)
class Lesson:
    """Hold a sentence to learn from, and the fold of its record."""

    sentence: Sentence
    fold: int


@dataclass(frozen=True)
class Taught:
    """Hold what was learnt of one language.

    Attributes:
        models: by the fold that each judges.
        ranking_frac: how often a sentence has better odds than a damaged twin of one, by the models that know
            neither: the area under the ROC curve.
    """

    models: tuple[GrammarModel, ...]
    ranking_frac: float


def fold_of(identity: str) -> int:
    """Give the fold of a record."""
    return hashlib.blake2b(identity.encode(), digest_size=2).digest()[0] % NUM_FOLDS


def teach(lessons: Sequence[Lesson], seed: int) -> Taught:
    """Train the models of one language on its sentences and their twins, of every fold at least one."""
    rng = random.Random(f"{seed}/twins")
    sentences = [lesson.sentence for lesson in lessons]
    vocabulary = [word for sentence in sentences for word in split_words(sentence)]
    damaged = [
        Lesson(each, lesson.fold)
        for lesson in lessons
        for damage in DAMAGES
        if (each := twin(lesson.sentence, damage, vocabulary, rng)) is not None
    ]
    known = {"real": _features(lessons), "damaged": _features(damaged)}
    models = tuple(
        train(*(_rows(known[kind], folds=set(range(NUM_FOLDS)) - {fold}) for kind in _KINDS))
        for fold in range(NUM_FOLDS)
    )
    odds = {
        kind: [models[fold].logit(row) for fold in range(NUM_FOLDS) for row in _rows(known[kind], folds={fold})]
        for kind in _KINDS
    }
    metrics = need("sklearn.metrics", extra="data")
    is_real = [kind == "real" for kind in _KINDS for _ in odds[kind]]
    return Taught(models, float(metrics.roc_auc_score(is_real, [*odds["real"], *odds["damaged"]])))


_KINDS: tuple[Literal["real", "damaged"], ...] = ("real", "damaged")
_Known = list[tuple[int, Features]]


def _features(lessons: Sequence[Lesson]) -> _Known:
    parsed = parse([lesson.sentence.text for lesson in lessons], lessons[0].sentence.language)
    return [(lesson.fold, features(each)) for lesson, each in zip(lessons, parsed, strict=True)]


def _rows(known: _Known, folds: set[int]) -> list[Features]:
    return [row for fold, row in known if fold in folds]
