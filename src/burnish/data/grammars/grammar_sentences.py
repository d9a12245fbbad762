"""Sentences: those of a text that are prose, in English and Chinese, and a sample of them that is spread over the text.

A grammar is for sentences. Headings, tables, code, commands and lists of names have none, so they are not looked at,
and a text that has nothing else is not judged. One exception is a text of a single line, such as a headline or a
review: it is one sentence, or a few, whether or not a mark ends it.
"""

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from burnish.data.text import IDEOGRAPH, KANA

Language = Literal["en", "zh"]

_WINDOW_CHARS = 4_000
_MAX_WINDOWS = 16  # of a text longer than these together, as many pieces are looked at, evenly spread

_PARAGRAPH = re.compile(r"\n[ \t]*\n")
_ENGLISH_BREAK = re.compile(r"(?<=[.!?])[\"')\]”’]*\s+(?=[\"'(“‘]?[A-Z])")
_ENGLISH_SENTENCE = re.compile(r"[\"'(“‘]?[A-Z].*[.!?][\"')\]”’]*", re.DOTALL)
_ENGLISH_WORD = re.compile(r"[\"'(“‘]?[A-Za-z][A-Za-z’'-]*[\"')”’.,;:!?]*")
_CHINESE_SENTENCE = re.compile(r"[^。！？!?\n]+[。！？!?]+[”』」）]*")
_IDEOGRAPH = re.compile(f"[{IDEOGRAPH}]")
_KANA = re.compile(f"[{KANA}]")

_MIN_WORDS, _MAX_WORDS = 5, 50  # fewer are a heading or an exclamation, more a list
_MIN_WORD_FRAC = 0.8  # of the words in a sentence of prose; in the rest are numbers, names of files, operators
_MIN_IDEOGRAPHS, _MAX_IDEOGRAPHS = 8, 120  # the same in Chinese, where a word has 1.6 characters
_MIN_IDEOGRAPH_FRAC = 0.7
_PART_WORDS, _PART_IDEOGRAPHS = 25, 60  # of a longer line without marks


@dataclass(frozen=True, slots=True)
class Sentence:
    """Hold a sentence of prose."""

    text: str
    language: Language


def sample_sentences(text: str, num_sentences: int, seed: str) -> list[Sentence]:
    """Draw sentences of prose, one from each of as many equal parts of the text's; all where there are no more."""
    found = list(sentences(text))
    if len(found) <= num_sentences:
        return found
    rng = random.Random(seed)
    borders = [len(found) * part // num_sentences for part in range(num_sentences + 1)]
    return [found[rng.randrange(start, end)] for start, end in pairwise(borders)]


def sentences(text: str) -> Iterator[Sentence]:
    """Give the sentences of prose in a text, in order."""
    is_any = False
    for paragraph in _PARAGRAPH.split(_excerpt(text)):
        for sentence in (*_english(paragraph), *_chinese(paragraph)):
            is_any = True
            yield sentence
    line = text[: _WINDOW_CHARS * _MAX_WINDOWS].strip()
    if not is_any and "\n" not in line:
        yield from _unmarked(line)


def _excerpt(text: str) -> str:
    if len(text) <= _WINDOW_CHARS * _MAX_WINDOWS:
        return text
    step = (len(text) - _WINDOW_CHARS) // (_MAX_WINDOWS - 1)
    return "\n\n".join(text[start : start + _WINDOW_CHARS] for start in range(0, step * _MAX_WINDOWS, step))


def _english(paragraph: str) -> Iterator[Sentence]:
    lines = paragraph.strip("\n").split("\n")
    indented = [line[:1] in " \t" for line in lines]
    if any(indented[1:]) and not all(indented):  # code, a list or a table
        return
    for part in _ENGLISH_BREAK.split(" ".join(line.strip() for line in lines)):
        if _ENGLISH_SENTENCE.fullmatch(part) and _is_english(part):
            yield Sentence(part, "en")


def _unmarked(line: str) -> Iterator[Sentence]:
    """Take a line without marks for one sentence, or for several of a sentence's length."""
    words = line.split()
    for part in (words[start : start + _PART_WORDS] for start in range(0, len(words), _PART_WORDS)):
        if _is_english(joined := " ".join(part)):
            yield Sentence(joined, "en")
    for start in range(0, len(line), _PART_IDEOGRAPHS):
        if _is_chinese(part_line := line[start : start + _PART_IDEOGRAPHS]):
            yield Sentence(part_line, "zh")


def _is_english(line: str) -> bool:
    words = line.split()
    num_plain = sum(_ENGLISH_WORD.fullmatch(word) is not None for word in words)
    return _MIN_WORDS <= len(words) <= _MAX_WORDS and num_plain >= _MIN_WORD_FRAC * len(words)


def _chinese(paragraph: str) -> Iterator[Sentence]:
    for match in _CHINESE_SENTENCE.finditer(paragraph):
        part = match[0].strip()
        if _is_chinese(part):
            yield Sentence(part, "zh")


def _is_chinese(line: str) -> bool:
    num = len(_IDEOGRAPH.findall(line))
    is_long_enough = _MIN_IDEOGRAPHS <= num <= _MAX_IDEOGRAPHS and num >= _MIN_IDEOGRAPH_FRAC * len(line)
    return is_long_enough and _KANA.search(line) is None
