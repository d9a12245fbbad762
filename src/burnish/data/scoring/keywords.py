"""Keywords: how much of a text is made of a domain's own terms, all terms found in one pass.

Texts and terms are compared in normal form (case, width, accents' encoding and punctuation folded away). A term that
begins or ends with a letter or digit of a script with spaces matches whole words alone: `rice` is not in `price`.
Chinese terms match anywhere, since nothing marks their ends.

Source: Aho and Corasick 1975, doi:10.1145/360825.360855.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from burnish.data.text import IDEOGRAPH, KANA, normal_form, words_of_normal
from burnish.errors import RecipeError
from burnish.runtime import need

_UNSPACED = re.compile(f"[{IDEOGRAPH}{KANA}]")
_PER_UNITS = 1000.0


@dataclass(frozen=True)
class Keywords:
    """List a domain's terms, here or in a file; of a term listed twice the last weight counts.

    Attributes:
        terms: each weighs 1.
        path: UTF-8 text, a term a line; a weight may follow after a tab. Lines that begin with `#` are comments.
    """

    terms: tuple[str, ...] = ()
    path: Path | None = None

    def __post_init__(self) -> None:
        if not self.terms and self.path is None:
            raise RecipeError("keywords has neither terms nor a path; give at least one term")
        if blank := [term for term in self.terms if not normal_form(term)]:
            raise RecipeError(f"terms has {blank[0]!r}; a term needs at least one letter or digit")

    def weights(self) -> dict[str, float]:
        """Read all terms with their weights.

        Raises:
            RecipeError: the file cannot be read, a weight is no number above 0, or there are no terms.
        """
        weights = dict.fromkeys(self.terms, 1.0)
        if self.path is not None:
            weights |= _read_terms(self.path)
        if not weights:
            raise RecipeError(f"{self.path} lists no terms; give at least one")
        return weights


@dataclass(frozen=True)
class Match:
    """Place a term in a text's normal form, half open."""

    term: int
    start: int
    end: int


class KeywordMatcher:
    """Find terms in texts.

    Args:
        weights: of each term, above 0. Terms that are equal in normal form count as one, with the last's weight.
    """

    def __init__(self, weights: Mapping[str, float]) -> None:
        library = need("ahocorasick_rs", extra="data")
        folded = {normal_form(term): weight for term, weight in weights.items()}
        self.terms = tuple(folded)
        self._weights = tuple(folded.values())
        self._automaton = library.AhoCorasick(list(self.terms))

    def find(self, normal: str) -> list[Match]:
        """Find the terms in a text that is in normal form: from left to right, the longest first, none overlapping."""
        found = [
            Match(term, start, end)
            for term, start, end in self._automaton.find_matches_as_indexes(normal, overlapping=True)
            if not _cuts_word(normal, start) and not _cuts_word(normal, end)
        ]
        chosen: list[Match] = []
        for match in sorted(found, key=lambda match: (match.start, -match.end)):
            if not chosen or match.start >= chosen[-1].end:
                chosen.append(match)
        return chosen

    def score(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Score texts, (N, 2): weights of all matches per 1,000 words, and the number of different terms."""
        scores = np.zeros((len(texts), 2))
        for row, text in enumerate(texts):
            normal = normal_form(text)
            matches = self.find(normal)
            if matches:
                weight = sum(self._weights[match.term] for match in matches)
                scores[row, 0] = _PER_UNITS * weight / max(1, len(words_of_normal(normal)))
                scores[row, 1] = len({match.term for match in matches})
        return scores


@lru_cache(maxsize=4)
def matcher_of(keywords: Keywords) -> KeywordMatcher:
    """Build the matcher of a list, once a process."""
    return KeywordMatcher(keywords.weights())


def _cuts_word(normal: str, place: int) -> bool:
    """Tell whether a word of a script with spaces goes on over `place`."""
    return 0 < place < len(normal) and _joins(normal[place - 1]) and _joins(normal[place])


def _joins(character: str) -> bool:
    return character.isalnum() and not _UNSPACED.match(character)


def _read_terms(path: Path) -> dict[str, float]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} cannot be read as UTF-8 text ({error}); give a list of terms, one a line") from error
    weights: dict[str, float] = {}
    for number, line in enumerate(lines, 1):
        term, _, weight = line.partition("\t")
        if line.startswith("#") or not normal_form(term):
            continue
        weights[term.strip()] = _weight(weight.strip(), f"line {number} of {path.name}")
    return weights


def _weight(text: str, place: str) -> float:
    if not text:
        return 1.0
    try:
        weight = float(text)
    except ValueError:
        weight = 0.0
    if not 0 < weight < float("inf"):
        raise RecipeError(f"{place} has the weight {text!r}; it must be a number above 0")
    return weight
