"""Mentions: the names of a graph's entities in a text, all found in one pass.

A mention is the longest name that begins leftmost. In scripts with spaces it must be whole words (an English plural
counts). A Chinese name must be whole words, or the start of one, as a segmenter cuts them: 中国 is in 中国政府, but neither
in 发展中国家 nor 海地 in 沿海地区.

Source: Aho and Corasick 1975, doi:10.1145/360825.360855.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from burnish.data.augmenting.inflection import inflect
from burnish.data.augmenting.word_spans import words_with_places
from burnish.data.function_words import is_function_word
from burnish.data.graphs.graph import Entity, Graph
from burnish.data.text import IDEOGRAPH, KANA
from burnish.errors import RecipeError
from burnish.runtime import need

_UNSPACED = re.compile(f"[{IDEOGRAPH}{KANA}]")
_MAX_ACRONYM_CHARS = 5  # WHO, COVID: a name of so many capitals and nothing else must stand in capitals


@dataclass(frozen=True)
class NameRules:
    """Say which names count.

    Attributes:
        min_latin_chars: shorter names in scripts with spaces are passed over, unless they are in capitals.
        min_unspaced_chars: shorter names in Chinese characters or kana.
        is_segmented: a Chinese name must fit a segmenter's words; without, it matches anywhere.
        stop_names: names never linked, in any case of letters: words that the texts use otherwise.
    """

    min_latin_chars: int = 3
    min_unspaced_chars: int = 2
    is_segmented: bool = True
    stop_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("min_latin_chars", "min_unspaced_chars"):
            if getattr(self, name) < 1:
                raise RecipeError(f"{name} is {getattr(self, name)}; it must be at least 1")


@dataclass(frozen=True, slots=True)
class Mention:
    """Place a name in a text, half open, in characters, with the entities that have the name and their priors."""

    start: int
    end: int
    candidates: dict[str, float]


@dataclass(frozen=True, slots=True)
class _Meaning:
    entity: str
    prior: float
    capitals: str  # how the name must stand; empty: in any case


class NameIndex:
    """Find the names of a graph.

    Raises:
        RecipeError: no name passes the rules.
    """

    def __init__(self, graph: Graph, rules: NameRules) -> None:
        self._rules = rules
        self._meanings: dict[str, list[_Meaning]] = defaultdict(list)
        stopped = {fold(name) for name in rules.stop_names}
        for entity in graph.entities.values():
            for name in entity.all_names():
                if fold(name) not in stopped:
                    self._add(name, entity, graph.priors.get((name, entity.id), 1.0))
        if not self._meanings:
            raise RecipeError("no name of the graph passes the rules; lower min_latin_chars and min_unspaced_chars")
        self._patterns = list(self._meanings)
        self._automaton = need("ahocorasick_rs", extra="data").AhoCorasick(self._patterns)

    def find(self, text: str) -> list[Mention]:
        """Find names from left to right, the longest first, none overlapping."""
        matches = self._automaton.find_matches_as_indexes(fold(text), overlapping=True)
        edges = _Edges(text, self._rules.is_segmented)
        found: list[Mention] = []
        for start, backwards, pattern in sorted((start, -end, pattern) for pattern, start, end in matches):
            end = -backwards
            if (found and start < found[-1].end) or not edges.are_free(start, end):
                continue
            candidates: dict[str, float] = {}
            for meaning in self._meanings[self._patterns[pattern]]:
                if meaning.capitals in ("", text[start:end]):
                    candidates[meaning.entity] = max(meaning.prior, candidates.get(meaning.entity, 0.0))
            if candidates:
                found.append(Mention(start, end, candidates))
        return found

    def _add(self, name: str, entity: Entity, prior: float) -> None:
        folded = fold(" ".join(name.split()))
        is_acronym = name.isascii() and name.isalpha() and name.isupper() and 2 <= len(name) <= _MAX_ACRONYM_CHARS
        if is_acronym:
            self._meanings[folded].append(_Meaning(entity.id, prior, name))
            return
        is_unspaced = _UNSPACED.search(folded) is not None
        least = self._rules.min_unspaced_chars if is_unspaced else self._rules.min_latin_chars
        is_joining = not is_unspaced and is_function_word(folded)
        if len(folded) < least or is_joining or not any(character.isalpha() for character in folded):
            return
        for form in (folded, *_plurals(name)):
            self._meanings[form].append(_Meaning(entity.id, prior, ""))


class _Edges:
    """Tell whether a stretch of a text begins and ends where it may."""

    def __init__(self, text: str, is_segmented: bool) -> None:
        self._text = text
        self._is_segmented = is_segmented

    def are_free(self, start: int, end: int) -> bool:
        return self._is_free(start, start) and self._is_free(end, start)

    def _is_free(self, place: int, start: int) -> bool:
        """Judge one edge; a longer Chinese word may begin with the name, so its end then lies inside that word."""
        if not 0 < place < len(self._text):
            return True
        sides = self._text[place - 1 : place + 1]
        if not sides.isalnum():
            return True
        num_unspaced = len(_UNSPACED.findall(sides))
        if num_unspaced == 0:
            return False  # inside a word of a script with spaces
        if num_unspaced == 1 or not self._is_segmented:
            return True
        cut = self._words_cut.get(place)
        return cut is None or (place != start and cut == start)

    @cached_property
    def _words_cut(self) -> dict[int, int]:
        """Give for each place inside a word where that word starts."""
        words = words_with_places(self._text)
        return {place: word.start for word in words for place in range(word.start + 1, word.end)}


class _Folding(dict[int, str]):
    """Fold a character's case and width where the result is one character too, so that places stay; remembered."""

    def __missing__(self, code_point: int) -> str:
        character = chr(code_point)
        folded = unicodedata.normalize("NFKC", character).lower()
        if character.isspace():
            folded = " "
        self[code_point] = folded if len(folded) == 1 else character
        return self[code_point]


_FOLDING = _Folding()


def fold(text: str) -> str:
    """Fold case, width and kinds of space; the length stays."""
    return text.translate(_FOLDING)


def _plurals(name: str) -> Iterator[str]:
    """Give the English plural of a name whose last word is a common noun: lower case, Latin letters."""
    head, space, last = name.rpartition(" ")
    if last.isascii() and last.isalpha() and last.islower() and (plural := inflect(last, "plural")):
        yield fold(f"{head}{space}{plural}")
