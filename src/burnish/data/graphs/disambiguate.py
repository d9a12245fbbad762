"""Disambiguate: of the entities that share a name, tell which one a text means.

The score of an entity is its share: the name's prior for it, times the exponential of how well the text around the
name fits what the graph says of it.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from burnish.data.augmenting.inflection import analyses
from burnish.data.augmenting.word_spans import words_with_places
from burnish.data.function_words import is_function_word
from burnish.data.graphs.graph import Graph
from burnish.data.scoring.embed import Encoder, SentenceEncoder, encode
from burnish.errors import RecipeError

_MAX_NEIGHBOURS = 50  # whose names describe an entity: a class with thousands of members would have every word


@dataclass(frozen=True)
class SharedWords:
    """Fit by the words that the text shares with an entity's names, description and neighbours, rare ones counting more.

    Source: Lesk 1986, doi:10.1145/318723.318728; Banerjee and Pedersen 2003, IJCAI (the neighbours' words).

    Attributes:
        weight: of the shared words' rarity (their sum in nats, over the root of the number of words that describe the
            entity) against the log of the prior.
    """

    weight: float = 2.0

    def __post_init__(self) -> None:
        _check(self.weight)


@dataclass(frozen=True)
class Meaning:
    """Fit by the likeness of the text and an entity's names and description, as an encoder of meaning sees them.

    Attributes:
        weight: of the likeness, a cosine, against the log of the prior.
    """

    encoder: Encoder = field(default_factory=SentenceEncoder)
    weight: float = 30.0

    def __post_init__(self) -> None:
        _check(self.weight)


Fit = SharedWords | Meaning


@dataclass(frozen=True, slots=True)
class Question:
    """Ask what a name means.

    Attributes:
        candidates: the entities that have the name, at least one, with its prior for each.
        around: the text around the name.
    """

    candidates: Mapping[str, float]
    around: str


class Disambiguator:
    """Choose among the entities of one graph."""

    def __init__(self, graph: Graph, fit: Fit) -> None:
        self._graph = graph
        self._fit = fit
        self._words: dict[str, frozenset[str]] = {}
        self._vectors: dict[str, NDArray[np.float32]] = {}
        self._num_with: Counter[str] | None = None

    def shares(self, questions: Sequence[Question]) -> list[dict[str, float]]:
        """Give each question's candidates their shares, all together 1."""
        if not questions:
            return []
        match self._fit:
            case SharedWords(weight=weight):
                fits = [self._fit_words(question, weight) for question in questions]
            case Meaning(encoder=encoder, weight=weight):
                self._encode_missing(questions, encoder)
                seen = encode([question.around for question in questions], encoder)
                fits = [self._fit_vector(*pair, weight) for pair in zip(questions, seen, strict=True)]
            case _:
                assert_never(self._fit)
        return [_shares(question.candidates, fit) for question, fit in zip(questions, fits, strict=True)]

    def rarity(self, word: str) -> float:
        """Give the log of how many entities there are for one that has the word in its own names or description."""
        if self._num_with is None:
            self._num_with = Counter()
            for entity in self._graph.entities:
                self._num_with.update(terms(self._own_text(entity)))
        return math.log(len(self._graph.entities) / max(1, self._num_with[word]))

    def _fit_words(self, question: Question, weight: float) -> list[float]:
        seen = terms(question.around)
        return [weight * self._shared(entity, seen) for entity in question.candidates]

    def _fit_vector(self, question: Question, seen: NDArray[np.float32], weight: float) -> list[float]:
        return [weight * float(seen @ self._vectors[entity]) for entity in question.candidates]

    def _shared(self, entity: str, seen: frozenset[str]) -> float:
        if entity not in self._words:
            about = [self._own_text(entity), *(self._own_text(other) for other in self._neighbours(entity))]
            self._words[entity] = terms("\n".join(about))
        profile = self._words[entity]
        return sum(map(self.rarity, seen & profile)) / math.sqrt(max(1, len(profile)))

    def _encode_missing(self, questions: Sequence[Question], encoder: Encoder) -> None:
        asked = dict.fromkeys(entity for question in questions for entity in question.candidates)
        missing = [entity for entity in asked if entity not in self._vectors]
        vectors = encode([self._own_text(entity) for entity in missing], encoder)
        self._vectors |= dict(zip(missing, vectors, strict=True))

    def _own_text(self, entity: str) -> str:
        known = self._graph.entities[entity]
        return f"{', '.join(known.all_names())}: {known.description}"

    def _neighbours(self, entity: str) -> list[str]:
        facts = (self._graph.facts[number] for number in self._graph.facts_of.get(entity, ()))
        others = (fact.object if fact.subject == entity else fact.subject for fact in facts if not fact.is_literal)
        return list(dict.fromkeys(others))[:_MAX_NEIGHBOURS]


def terms(text: str) -> frozenset[str]:
    """Give the words of a text that carry meaning, of two characters and more, English ones by their shortest lemma."""
    found = {
        word.text if word.is_chinese else _lemma(word.text.lower())
        for word in words_with_places(text)
        if word.is_chinese or not is_function_word(word.text.lower())
    }
    return frozenset(term for term in found if len(term) > 1)


@lru_cache(maxsize=1 << 16)
def _lemma(word: str) -> str:
    return min((word, *(lemma for lemma, _ in analyses(word))), key=len)


def _shares(candidates: Mapping[str, float], fits: Sequence[float]) -> dict[str, float]:
    logits = np.log(list(candidates.values())) + np.array(fits)
    shares = np.exp(logits - logits.max())
    return dict(zip(candidates, (shares / shares.sum()).tolist(), strict=True))


def _check(weight: float) -> None:
    if not weight > 0:
        raise RecipeError(f"weight is {weight}; it must be above 0")
