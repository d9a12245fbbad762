"""Twins: sentences made ungrammatical on purpose, from which the model learns what good ones are not."""

import random
import re
from collections.abc import Callable, Sequence

from burnish.data.function_words import is_function_word
from burnish.data.grammars.grammar_sentences import Language, Sentence
from burnish.runtime import need

_END = re.compile(r"[.!?。！？”』」）\"')\]]+\Z")
_SHUFFLED = 4  # words in a stretch that changes order
_SHUFFLE_CHANCE = 0.6  # of each stretch
_OMIT_FUNCTION_CHANCE = 0.8
_OMIT_CHANCE = 0.25
_REPLACE_CHANCE = 0.3

Damage = Callable[[list[str], Sequence[str], random.Random], list[str]]


def split_words(sentence: Sentence) -> list[str]:
    """Split a sentence into words, marks with the English word before them."""
    if sentence.language == "en":
        return sentence.text.split()
    found: list[str] = need("rjieba", extra="data").cut(sentence.text, False)
    return found


def twin(sentence: Sentence, damage: Damage, vocabulary: Sequence[str], rng: random.Random) -> Sentence | None:
    """Damage a sentence; None where that changes nothing. Its first capital and its last mark stay where they are."""
    end = _END.search(sentence.text)
    mark = end[0] if end else ""
    words = split_words(Sentence(sentence.text[: len(sentence.text) - len(mark)], sentence.language))
    if sentence.language == "en" and words and words[0][1:] == words[0][1:].lower():
        words[0] = words[0].lower()
    damaged = join_words(damage(words, vocabulary, rng), sentence.language)
    if not damaged or damaged == join_words(words, sentence.language):
        return None
    return Sentence(
        (damaged[0].upper() if sentence.text[0].isupper() else damaged[0]) + damaged[1:] + mark, sentence.language
    )


def join_words(words: Sequence[str], language: Language) -> str:
    """Put words together the way the language writes them."""
    return (" " if language == "en" else "").join(words)


def shuffle_near(words: list[str], _: Sequence[str], rng: random.Random) -> list[str]:
    """Change the order of words that stand near each other."""
    words = list(words)
    for start in range(0, len(words) - 2, _SHUFFLED - 1):
        if rng.random() < _SHUFFLE_CHANCE:
            stretch = words[start : start + _SHUFFLED]
            rng.shuffle(stretch)
            words[start : start + _SHUFFLED] = stretch
    return words


def omit_function_words(words: list[str], _: Sequence[str], rng: random.Random) -> list[str]:
    """Leave out most articles, prepositions, auxiliaries, particles."""
    return [w for w in words if not (_is_function(w) and rng.random() < _OMIT_FUNCTION_CHANCE)]


def omit_any(words: list[str], _: Sequence[str], rng: random.Random) -> list[str]:
    """Leave out words of every kind."""
    return [word for word in words if rng.random() >= _OMIT_CHANCE]


def replace_any(words: list[str], vocabulary: Sequence[str], rng: random.Random) -> list[str]:
    """Put words of other sentences in the places of some."""
    return [rng.choice(vocabulary) if rng.random() < _REPLACE_CHANCE else word for word in words]


DAMAGES: tuple[Damage, ...] = (shuffle_near, omit_function_words, omit_any, replace_any)


def _is_function(word: str) -> bool:
    return (
        len(word) <= 2 and is_function_word(word)
        if not word.isascii()
        else is_function_word(word.lower().strip("\"'(),;:"))
    )
