"""Packaged graphs: WordNet's nouns, the drug dictionary, ICD-10-CM, each read from the files its package carries."""

import bz2
import io
import pickle
import re
import xml.etree.ElementTree as Tree
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from burnish.data.graphs.graph import Graph, Relation
from burnish.data.graphs.graph_builder import GraphBuilder
from burnish.errors import ArtifactError

KIND_OF = Relation("kind of", {"en": "{subject} is a kind of {object}.", "zh": "{subject}是一种{object}。"}, True)
ALSO_CALLED = Relation(
    "also called", {"en": "{object} is another name for {subject}.", "zh": "{object}是{subject}的别名。"}, True
)

_WORDNET = (
    KIND_OF,
    Relation("example of", {"en": "{subject} is an example of a {object}.", "zh": "{subject}是{object}的一例。"}, True),
    Relation("part of", {"en": "{subject} is a part of {object}.", "zh": "{subject}是{object}的一部分。"}),
    Relation("means", {"en": "{subject} means {object}.", "zh": "{subject}的意思是{object}。"}),
)
# Pointers of data.noun, source: wndb(5WN) and wninput(5WN), WordNet manual.
_POINTERS = {"@": "kind of", "@i": "example of", "#p": "part of"}


def read_wordnet(folder: Path) -> Graph:
    """Read nouns: a synset is an entity, its words are its names, its lexicographer file its kind.

    The priors fall with the rank that `index.noun` gives a sense, by how often it was met in tagged text: 1/rank,
    after Zipf 1945, doi:10.1080/00221309.1945.10544509 (the meanings of a word fall off as a power of their rank).
    """
    builder = GraphBuilder()
    try:
        ranks = _sense_ranks(folder / "index.noun")
        with (folder / "data.noun").open(encoding="utf-8") as file:
            for line in file:
                if not line.startswith("  "):  # two spaces begin the licence
                    _take_synset(builder, line, ranks)
    except (OSError, ValueError, IndexError) as error:
        raise ArtifactError(f"{folder} does not hold WordNet's index.noun and data.noun ({error})") from error
    for relation in _WORDNET:
        builder.relate(relation)
    return builder.build()


def read_drugs(path: Path) -> Graph:
    """Read the drug dictionary: a canonical name is an entity, its kind the first letter of its MeSH tree number."""
    names, substances = _drug_tables(path)
    builder = GraphBuilder()
    in_tree = {place: key for key, about in substances.items() for place in about.get("mesh_tree", ())}
    for key, about in substances.items():
        places = about.get("mesh_tree", ())
        builder.name(key, str(about.get("name", key)), "en")
        builder.kind(key, places[0].partition(".")[0] if places else "substance")
        for place in places:
            parent = in_tree.get(place.rpartition(".")[0])
            if parent not in (None, key):
                builder.fact(key, KIND_OF.name, str(parent))
        if "formula" in about:
            builder.fact(key, "molecular formula", str(about["formula"]), is_literal=True)
    for name, keys in names.items():
        for key in keys:
            if key not in substances:
                continue
            written = name.title() if name.isascii() and name.isalpha() else name
            builder.name(key, written, "en")
            if _words(name) != _words(str(substances[key].get("name", key))):
                builder.fact(key, ALSO_CALLED.name, written, is_literal=True)
    for relation in (KIND_OF, ALSO_CALLED):
        builder.relate(relation)
    builder.relate(Relation("molecular formula", {"en": "The molecular formula of {subject} is {object}."}))
    return builder.build()


def read_icd_10_cm(path: Path) -> Graph:
    """Read the tabular list: a chapter, section or diagnosis is an entity; each belongs to the one around it."""
    file = path if path.is_file() else next(iter(sorted(path.rglob("icd10c*.xml"))), path)
    builder = GraphBuilder()
    try:
        root = Tree.parse(file).getroot()  # noqa: S314 - a pinned file, checked by its digest
    except (OSError, Tree.ParseError) as error:
        raise ArtifactError(f"{path} is not the tabular list of ICD-10-CM ({error})") from error
    for chapter in root.iter("chapter"):
        key = f"chapter {chapter.findtext('name', '').strip()}"
        _take_heading(builder, key, chapter, None)
        for section in chapter.iter("section"):
            _take_heading(builder, section.get("id", ""), section, key)
            for diagnosis in section.findall("diag"):
                _take_diagnosis(builder, diagnosis, section.get("id", ""))
    builder.relate(Relation("belongs to", {"en": "{subject} belongs to {object}."}, True))
    builder.relate(Relation("code", {"en": "The ICD-10-CM code of {subject} is {object}."}))
    return builder.build()


def _sense_ranks(path: Path) -> dict[tuple[str, str], int]:
    ranks = {}
    with path.open(encoding="utf-8") as file:
        for line in file:
            if line.startswith("  "):
                continue
            fields = line.split()
            num_senses, num_pointers = int(fields[2]), int(fields[3])
            offsets = fields[6 + num_pointers :]
            for rank, offset in enumerate(offsets[:num_senses], start=1):
                ranks[fields[0], offset] = rank
    return ranks


def _take_synset(builder: GraphBuilder, line: str, ranks: dict[tuple[str, str], int]) -> None:
    head, _, gloss = line.partition(" | ")
    fields = head.split(" ")
    offset, num_words = fields[0], int(fields[3], 16)
    builder.kind(offset, fields[1])
    for word in fields[4 : 4 + 2 * num_words : 2]:
        rank = ranks.get((word.lower(), offset), 1)
        builder.name(offset, word.replace("_", " "), "en", prior=1 / rank)
    pointers = fields[5 + 2 * num_words :]
    for start in range(0, 4 * int(fields[4 + 2 * num_words]), 4):
        symbol, target, part = pointers[start : start + 3]
        if part == "n" and symbol in _POINTERS:
            builder.fact(offset, _POINTERS[symbol], target)
    definition = gloss.partition('; "')[0].strip()
    builder.describe(offset, definition)  # without its examples: they are the truth that linking is measured on
    if definition:
        builder.fact(offset, "means", definition, is_literal=True)


class _PlainUnpickler(pickle.Unpickler):
    """Read containers, text and numbers only; a pickle that names any class or function is refused."""

    def find_class(self, module: str, name: str) -> NoReturn:
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")


def _drug_tables(path: Path) -> tuple[dict[str, list[str]], dict[str, dict[str, Any]]]:
    try:
        with bz2.open(path, "rb") as file:
            tables = _PlainUnpickler(io.BytesIO(file.read())).load()
        return tables["drug_variant_to_canonical"], tables["drug_canonical_to_data"]
    except (OSError, EOFError, pickle.UnpicklingError, KeyError, TypeError) as error:
        raise ArtifactError(f"{path} is not the drug dictionary ({error}); fetch the asset again") from error


def _words(name: str) -> tuple[str, ...]:
    """Give a name's words without order and number: MeSH lists "sprays, nasal" beside "nasal spray"."""
    return tuple(sorted(word.rstrip("s") for word in re.findall(r"\w+", name.casefold())))


def _take_heading(builder: GraphBuilder, key: str, node: Tree.Element, parent: str | None) -> None:
    name = " ".join(node.findtext("desc", "").rpartition(" (")[0].split())
    builder.name(key, name, "en")
    builder.kind(key, "heading")
    if parent is not None:
        builder.fact(key, "belongs to", parent)


def _take_diagnosis(builder: GraphBuilder, node: Tree.Element, parent: str) -> None:
    key = node.findtext("name", "").strip()
    for name in _diagnosis_names(node):
        builder.name(key, name, "en")
    builder.kind(key, "diagnosis")
    builder.fact(key, "belongs to", parent)
    builder.fact(key, "code", key, is_literal=True)
    for inside in node.findall("diag"):
        _take_diagnosis(builder, inside, key)


def _diagnosis_names(node: Tree.Element) -> Iterator[str]:
    yield " ".join(node.findtext("desc", "").split())
    for note in node.findall("inclusionTerm/note"):
        yield " ".join((note.text or "").split())
