"""Copy methods: the choice of how copies are made, and one call that makes them all."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, assert_never

from burnish.data.augmenting.backtranslate import BackTranslation, back_translations
from burnish.data.augmenting.perturb import Perturb, perturbed
from burnish.data.augmenting.synonyms import Synonyms, open_sources, with_synonyms
from burnish.runtime.recipes import choice_name

Method = BackTranslation | Synonyms | Perturb
Made = tuple[str, str | None]  # the method's name, and the copy; None where a translation is missing

_SUFFIXES = {"back_translation": "bt", "synonyms": "syn", "perturb": "per"}


@dataclass(frozen=True)
class Words:
    """Hold what all methods share.

    Attributes:
        keep: words in normal form that stay.
    """

    keep: frozenset[str]
    seed: int


def make_copies(
    records: Sequence[Mapping[str, Any]], methods: Sequence[Method], num_copies: int, words: Words
) -> list[list[Made]]:
    """Make each record's copies, method by method; every draw follows from the seed and the record's id alone."""
    found: list[list[Made]] = [[] for _ in records]
    for place, method in enumerate(methods):
        name = choice_name(type(method))
        if isinstance(method, BackTranslation):
            translated = back_translations([record["text"] for record in records], method, num_copies)
            for made, copies in zip(found, translated, strict=True):
                made += [(name, copy) for copy in copies]
            continue
        for made, record in zip(found, records, strict=True):
            for number in range(num_copies):
                rng = random.Random(f"{words.seed}/{place}/{number}/{record['id']}")
                made.append((name, _changed(record["text"], method, rng, words)))
    return found


def suffix_of(method: str) -> str:
    """Give what a method's copies have at the end of their ids, before a number."""
    return _SUFFIXES[method]


def _changed(text: str, method: Synonyms | Perturb, rng: random.Random, words: Words) -> str:
    match method:
        case Synonyms():
            return with_synonyms(text, method, open_sources(), rng, words.keep)
        case Perturb():
            return perturbed(text, method, rng)
        case _:
            assert_never(method)
