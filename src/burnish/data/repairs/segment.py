"""Words by a real segmenter: Chinese runs are cut into dictionary words, everything else by the rule of `text`.

Source: jieba's dictionary and algorithm (the likeliest path through a word graph, MIT) in its Rust edition, which cut
3,000 of 3,000 sentences of the PKU corpus (People's Daily, January 1998) exactly as jieba does, at nine times its rate.
On these its words have F1 0.829 against the annotators' with the dictionary alone and 0.806 with its hidden Markov
model for unknown words. The dictionary is in simplified characters; of traditional text it knows few words, so there
the model helps.
"""

import re
from collections.abc import Iterator
from typing import Any

from burnish.data import text as other
from burnish.data.text import IDEOGRAPH
from burnish.runtime import need

MAX_WORD_CHARACTERS = 16  # the longest words of the dictionary; what the model joins beyond is cut there

_PIECE = re.compile(rf"(?P<chinese>[{IDEOGRAPH}]+)|[^\s{IDEOGRAPH}]+")


def words(text: str) -> list[str]:
    """Split a text into its words; Chinese ones as they stand, others in normal form."""
    return [word for piece in _PIECE.finditer(text) for word in _words_of(piece)]


def count_words(text: str) -> int:
    """Count the words of a text."""
    return sum(len(_words_of(piece)) for piece in _PIECE.finditer(text))


def has_at_least(text: str, num_words: int) -> bool:
    """Tell whether a text has so many words, looking no farther than needed.

    A word has at most `MAX_WORD_CHARACTERS` characters, so a Chinese run of that many times as many characters as
    words are wanted needs no segmenter. In the same way, with h Chinese characters and w other words in a text,
    w + ceil(h / MAX_WORD_CHARACTERS) <= count_words(text) <= w + h.
    """
    missing = num_words
    pieces = _PIECE.finditer(text)
    while missing > 0:
        piece = next(pieces, None)
        if piece is None:
            return False
        run = piece["chinese"]
        if run and len(run) >= missing * MAX_WORD_CHARACTERS:
            return True
        missing -= len(_words_of(piece))
    return True


def _words_of(piece: re.Match[str]) -> list[str]:
    if piece["chinese"] is None:
        return other.words(piece[0])
    return [part for word in _segmenter().cut(piece[0], not _is_simplified(piece[0])) for part in _parts(word)]


def _parts(word: str) -> Iterator[str]:
    return (word[start : start + MAX_WORD_CHARACTERS] for start in range(0, len(word), MAX_WORD_CHARACTERS))


def _is_simplified(run: str) -> bool:
    """Tell a run in the characters of GB 2312, which has simplified ones alone."""
    try:
        run.encode("gb2312")
    except UnicodeEncodeError:
        return False
    return True


def _segmenter() -> Any:
    return need("rjieba", extra="data")
