"""Synonyms: other words for some of a text's, in English by WordNet and in Chinese by a list of synonym sets."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from burnish.data.augmenting.chinese_synonyms import ChineseSynonyms, open_chinese_synonyms
from burnish.data.augmenting.inflection import Form, analyses, inflect, with_article
from burnish.data.augmenting.word_spans import Word, replaced, words_with_places
from burnish.data.augmenting.wordnet import PARTS, Pos, WordNet, open_wordnet
from burnish.data.text import normal_form
from burnish.errors import RecipeError
from burnish.runtime.assets import fetch

_NOUN_FOLLOWS = frozenset(
    word
    for line in (
        "a an the this that these those my your his her its our their every each some any no another several many",
        "few first last next new old of",
    )
    for word in line.split()
)
_VERB_FOLLOWS = frozenset(
    word
    for line in (
        "to will would can could may might must shall should do does did don't doesn't didn't won't can't i we",
        "they he she who you let's please",
    )
    for word in line.split()
)
_CLOSED = frozenset(  # closed classes that WordNet lists among the open ones
    word
    for line in (
        "another ever even much many more most less least such yet still also again other others very quite first",
        "last next one two three four five six seven eight nine ten hundred thousand million billion like back",
        "away already soon once",
    )
    for word in line.split()
)
_CHINESE_CONTENT = ("n", "v", "vn", "vd", "a", "ad", "an", "d")  # neither names (nr, ns, nt, nz) nor times, numbers


@dataclass(frozen=True)
class Synonyms:
    """Put synonyms in the place of words.

    Function words, negations, numbers, names and the labels' own words stay. English words keep their inflection.
    A word whose part of speech or meaning is in doubt stays, so that a text of such words has no copy.

    Source: WordNet synonyms of random words after Wei and Zou 2019, arXiv:1901.11196, whose α is `frac_words`; ours
    takes the commonest sense only and asks that it be the synonym's commonest too.

    Attributes:
        frac_words: share of all words to change, in (0, 1]; at least one.
        max_senses: an English word with more meanings than this in its part of speech stays: the commonest need not
            be the one meant.
    """

    frac_words: float = 0.2
    max_senses: int = 4

    def __post_init__(self) -> None:
        if not 0 < self.frac_words <= 1 or self.max_senses < 1:
            raise RecipeError(
                f"frac_words is {self.frac_words}, max_senses {self.max_senses}; the first must be above 0 and at most "
                "1, the second at least 1"
            )


@dataclass(frozen=True)
class Sources:
    """Hold the open sources of synonyms."""

    wordnet: WordNet
    chinese: ChineseSynonyms


def open_sources(say: Callable[[str], None] = lambda _: None) -> Sources:
    """Open both sources, fetching their assets on first use; `say` is told of a download."""
    return Sources(open_wordnet(fetch("wordnet", say=say)), open_chinese_synonyms(fetch("chinese-synonyms", say=say)))


def with_synonyms(
    text: str, config: Synonyms, sources: Sources, rng: random.Random, keep: frozenset[str] = frozenset()
) -> str:
    """Change words of a text; the text itself comes back where none has a synonym.

    Args:
        keep: words in normal form that stay.
    """
    words = words_with_places(text)
    wanted = max(1, round(config.frac_words * len(words)))
    order = list(range(len(words)))
    rng.shuffle(order)
    changes: dict[Word, str] = {}
    for place in order:
        word = words[place]
        if len(changes) == wanted:
            break
        if word.is_open and normal_form(word.text) not in keep:
            found = sorted(set(_synonyms(words, place, config, sources)))
            if found:
                changes[word] = _like(word.text, rng.choice(found))
    _fit_articles(words, changes)
    return replaced(text, changes)


def _synonyms(words: Sequence[Word], place: int, config: Synonyms, sources: Sources) -> list[str]:
    word = words[place]
    if word.is_chinese:
        return list(sources.chinese.synonyms(word.text, word.tag)) if word.tag in _CHINESE_CONTENT else []
    if not word.text.isascii() or word.text.lower() in _CLOSED or _is_name(words, place):
        return []
    reading = _reading(words, place, sources.wordnet)
    if reading is None or sources.wordnet.is_name(reading[0]):
        return []
    lemma, pos, form = reading
    found = sources.wordnet.synonyms(lemma, pos, max_senses=config.max_senses)
    return [other for synonym in found if (other := _inflected(synonym, pos, form)) is not None]


def _reading(words: Sequence[Word], place: int, wordnet: WordNet) -> tuple[str, Pos, Form | None] | None:
    """Tell lemma, part of speech and form of a word, or None where there is more than one that fits its neighbour."""
    text = words[place].text.lower()
    readings: list[tuple[str, Pos, Form | None]] = [
        (text, pos, None) for pos in PARTS if wordnet.entry(text, pos) is not None
    ]
    for lemma, form in analyses(text):
        pos: Pos = "noun" if form == "plural" else "verb"
        if wordnet.entry(lemma, pos) is not None:
            readings.append((lemma, pos, form))
    before = _neighbour(words, place, -1)
    if before in _NOUN_FOLLOWS:
        readings = [r for r in readings if r[1] != "verb"]
    elif before in _VERB_FOLLOWS:
        readings = [r for r in readings if r[1] in ("verb", "adv") and r[2] != "plural"]
    return readings[0] if len(readings) == 1 else None


def _inflected(lemma: str, pos: Pos, form: Form | None) -> str | None:
    """Inflect the word that carries the inflection: the first of a verb, the last of a noun."""
    if form is None:
        return lemma
    parts = lemma.split(" ")
    head = 0 if pos == "verb" else -1
    changed = inflect(parts[head], form)
    if changed is None:
        return None
    parts[head] = changed
    return " ".join(parts)


def _is_name(words: Sequence[Word], place: int) -> bool:
    """Tell a word with a capital that does not begin a clause; a title in capitals has no names to tell."""
    text = words[place].text
    return text[0].isupper() and _neighbour(words, place, -1) != "" and not text.isupper()


def _neighbour(words: Sequence[Word], place: int, step: int) -> str:
    """Give the word beside another in its clause, in lower case; empty at the clause's end."""
    other = place + step
    if not 0 <= other < len(words) or words[other].clause != words[place].clause:
        return ""
    return words[other].text.lower().replace("\u2019", "'")


def _like(word: str, other: str) -> str:
    """Give `other` the case of `word`."""
    if word.isupper() and len(word) > 1:
        return other.upper()
    return f"{other[0].upper()}{other[1:]}" if word[0].isupper() else other


def _fit_articles(words: Sequence[Word], changes: dict[Word, str]) -> None:
    for place, word in enumerate(words):
        if word in changes and place and _neighbour(words, place, -1) in ("a", "an"):
            article = words[place - 1]
            fitting = with_article(article.text, changes[word])
            changes[article] = fitting.upper() if article.text.isupper() and changes[word].isupper() else fitting
