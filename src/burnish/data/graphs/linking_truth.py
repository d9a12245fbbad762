"""Linking truth: texts whose links are known because people marked them, to measure a linker on.

WordNet's lexicographers illustrate a sense with sentences: the word in such a sentence has that sense. The Peking
University corpus marks each place name: a territory's name marked so is that territory, and all other stretches are not.
"""

import random
import re
from collections.abc import Iterator
from pathlib import Path

from burnish.data.augmenting.inflection import inflect
from burnish.data.graphs.graph import Graph
from burnish.data.graphs.linking import Labelled

_PLACE = "ns"


def wordnet_examples(folder: Path, graph: Graph, *, at_most: int, seed: int = 0) -> list[Labelled]:
    """Give example sentences of noun senses; of each, one word is labelled and others are not judged.

    Args:
        folder: of WordNet; `graph` is `read_wordnet` of it, which holds no example.
        at_most: so many, drawn by the seed.
    """
    found = [
        Labelled(text, {place: offset}, is_complete=False)
        for offset, text in _examples(folder)
        if (place := _place(text, sorted(graph.entities[offset].all_names(), key=len, reverse=True)))
    ]
    random.Random(seed).shuffle(found)
    return found[:at_most]


def marked_places(corpus: Path, graph: Graph, *, at_most: int, seed: int = 0) -> list[Labelled]:
    """Give lines of a corpus in `word/tag` notation; a word tagged as a place with a name of the graph is that entity.

    Args:
        corpus: as the `pku-news` asset.
        graph: whose entities are all places, with Chinese names.
        at_most: lines, drawn by the seed.
    """
    entity_of = {name: entity.id for entity in graph.entities.values() for name in entity.names.get("zh", ())}
    lines = [line for line in corpus.read_text(encoding="utf-8").splitlines() if line.strip()]
    random.Random(seed).shuffle(lines)
    return [_marked(line, entity_of) for line in lines[:at_most]]


def _marked(line: str, entity_of: dict[str, str]) -> Labelled:
    text, links = "", dict[tuple[int, int], str | None]()
    for token in line.split():
        word, _, tag = token.rpartition("/")
        word = word.removeprefix("[")  # a bracket opens a compound, whose own tag follows its last word
        if tag.partition("]")[0] == _PLACE and word in entity_of:
            links[len(text), len(text) + len(word)] = entity_of[word]
        text += word
    return Labelled(text, links)


def _examples(folder: Path) -> Iterator[tuple[str, str]]:
    with (folder / "data.noun").open(encoding="utf-8") as file:
        for line in file:
            if not line.startswith("  "):
                head, _, gloss = line.partition(" | ")
                for text in re.findall(r'"([^"]+)"', gloss):
                    yield head.partition(" ")[0], text


def _place(text: str, names: list[str]) -> tuple[int, int] | None:
    for name in names:
        head, space, last = name.rpartition(" ")
        plural = inflect(last, "plural") if last.isalpha() and last.islower() else None
        forms = [name, *([f"{head}{space}{plural}"] if plural else [])]
        match = re.search(rf"(?<!\w)(?:{'|'.join(map(re.escape, forms))})(?!\w)", text, re.IGNORECASE)
        if match:
            return match.span()
    return None
