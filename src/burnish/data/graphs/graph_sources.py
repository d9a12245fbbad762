"""Graph sources: where a graph comes from, as values of a recipe: own triples, RDF, or a packaged dictionary."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, assert_never

from burnish.data.graphs.graph import ANY, Graph, Relation
from burnish.data.graphs.graph_builder import GraphBuilder
from burnish.data.graphs.graph_packaged import KIND_OF, read_drugs, read_icd_10_cm, read_wordnet
from burnish.data.graphs.graph_territories import read_territories
from burnish.errors import RecipeError
from burnish.runtime import need
from burnish.runtime.assets import fetch

_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_RDF_SUFFIXES = (".nt", ".nq", ".ttl", ".trig", ".n3", ".rdf", ".xml", ".jsonld")

_RDFS = "http://www.w3.org/2000/01/rdf-schema#"
_SKOS = "http://www.w3.org/2004/02/skos/core#"
_TYPE = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"
_NAMES = (f"{_RDFS}label", f"{_SKOS}prefLabel", f"{_SKOS}altLabel", "http://schema.org/name", "https://schema.org/name")
_DESCRIPTIONS = (f"{_RDFS}comment", f"{_SKOS}definition", "http://schema.org/description")
_KIND_OF = (f"{_RDFS}subClassOf", f"{_SKOS}broader")


@dataclass(frozen=True)
class Triples:
    """Take a table of three columns without a header: subject, relation, object (.csv or .tsv, UTF-8).

    Some relations say what a subject is called rather than a fact: `name`, `alias`, with a language `name@zh`; `kind`;
    `description`. An object that is a subject elsewhere, by its id, is that entity; any other is a literal.
    """

    path: Path

    def __post_init__(self) -> None:
        _check_suffix(self.path, tuple(_DELIMITERS))


@dataclass(frozen=True)
class Rdf:
    """Take an RDF file: N-Triples, N-Quads, Turtle, TriG, N3, RDF/XML or JSON-LD, by its suffix.

    Labels of RDFS, SKOS and schema.org are names, with their languages; rdf:type is the kind; rdfs:comment and
    skos:definition describe; rdfs:subClassOf and skos:broader are "is a kind of".
    """

    path: Path

    def __post_init__(self) -> None:
        _check_suffix(self.path, _RDF_SUFFIXES)


@dataclass(frozen=True)
class WordNet:
    """Take WordNet's nouns: senses, hypernyms, parts, definitions.

    Attributes:
        path: a folder with `data.noun` and `index.noun`; None is the `wordnet` asset.
    """

    path: Path | None = None


@dataclass(frozen=True)
class DrugDictionary:
    """Take the drug dictionary: 20,070 substances, 107,360 names, MeSH classes, formulas (`drug-dictionary` asset)."""


@dataclass(frozen=True)
class Icd10Cm:
    """Take the diagnoses of ICD-10-CM: codes, names, what belongs to what (`icd-10-cm` asset)."""


@dataclass(frozen=True)
class Territories:
    """Take countries and regions in English and Chinese: currency, official language, code (CLDR, through babel)."""


GraphSource = Triples | Rdf | WordNet | DrugDictionary | Icd10Cm | Territories


@dataclass(frozen=True)
class Saying:
    """Say how a relation is spoken: sentences with `{subject}` and `{object}`.

    Attributes:
        relation: its name in the graph; of RDF, the last part of the predicate's address.
        en: the English sentence; empty keeps the source's own.
        zh: the Chinese one, likewise.
        is_inherited: "A relates to B" lets A inherit what is true of B.
    """

    relation: str
    en: str = ""
    zh: str = ""
    is_inherited: bool = False

    def __post_init__(self) -> None:
        Relation(self.relation, self.sentences())

    def sentences(self) -> dict[str, str]:
        """Give the sentences that are said, by language."""
        return {language: text for language, text in (("en", self.en), ("zh", self.zh)) if text}


def load_graph(source: GraphSource, sayings: tuple[Saying, ...] = ()) -> Graph:
    """Read a graph, once a process and state of its file.

    Raises:
        RecipeError: the file cannot be read as what it is said to be, or a saying names no relation of it.
    """
    match source:
        case Triples(path=Path() as path) | Rdf(path=Path() as path) if path.exists():
            changed_ns = path.stat().st_mtime_ns
        case _:
            changed_ns = 0
    return _load(source, sayings, changed_ns)


@cache
def _load(source: GraphSource, sayings: tuple[Saying, ...], _changed_ns: int) -> Graph:
    graph = _read(source)
    relations = dict(graph.relations)
    named = {fact.relation for fact in graph.facts}
    for saying in sayings:
        if saying.relation not in named:
            there = ", ".join(sorted(named)[:12]) or "none"
            raise RecipeError(f"relation {saying.relation!r} is in no fact of the graph; there are: {there}")
        old = relations.get(saying.relation, Relation(saying.relation))
        sentences = {**old.sentences, **saying.sentences()}
        relations[saying.relation] = Relation(saying.relation, sentences, saying.is_inherited or old.is_inherited)
    if not graph.facts:
        raise RecipeError(f"the graph of {source} holds no fact ({graph.num_skipped} rows were skipped)")
    return replace(graph, relations=relations)


def _read(source: GraphSource) -> Graph:
    match source:
        case Triples(path=path):
            return _read_triples(path)
        case Rdf(path=path):
            return _read_rdf(path)
        case WordNet(path=path):
            return read_wordnet(path or fetch("wordnet"))
        case DrugDictionary():
            return read_drugs(fetch("drug-dictionary"))
        case Icd10Cm():
            return read_icd_10_cm(fetch("icd-10-cm"))
        case Territories():
            return read_territories()
        case _:
            assert_never(source)


def _read_triples(path: Path) -> Graph:
    builder = GraphBuilder()
    for row in _rows(path):
        cells = [cell.strip() for cell in row]
        if len(cells) != 3 or not all(cells):
            builder.skip()
            continue
        subject, relation, written = cells
        told, _, language = relation.partition("@")
        match told:
            case "name" | "alias":
                builder.name(subject, written, language or ANY)
            case "kind":
                builder.kind(subject, written)
            case "description":
                builder.describe(subject, written)
            case _:
                builder.fact(subject, relation, written)
    return builder.build(lambda one: one, are_objects_open=True)


def _rows(path: Path) -> Iterator[list[str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from csv.reader(file, delimiter=_DELIMITERS[path.suffix.lower()])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RecipeError(f"the triples in {path} cannot be read ({error}); give UTF-8 with three columns") from error


def _read_rdf(path: Path) -> Graph:
    oxigraph = need("pyoxigraph", extra="data")
    builder = GraphBuilder()
    form = oxigraph.RdfFormat.from_extension("rdf" if path.suffix.lower() == ".xml" else path.suffix.lower()[1:])
    try:
        for quad in oxigraph.parse(path=path, format=form):
            _take(builder, quad, oxigraph)
    except (OSError, SyntaxError) as error:
        raise RecipeError(f"{path} cannot be read as {form.name} ({error}); mend the file") from error
    builder.relate(KIND_OF)
    return builder.build(_name_of_address)


def _take(builder: GraphBuilder, quad: Any, oxigraph: Any) -> None:
    if not all(isinstance(node, oxigraph.NamedNode | oxigraph.Literal) for node in (quad.subject, quad.object)):
        builder.skip()  # a blank node has no name
        return
    subject, predicate, target = quad.subject.value, quad.predicate.value, quad.object.value
    is_literal = isinstance(quad.object, oxigraph.Literal)
    if predicate in _NAMES:
        builder.name(subject, target, (quad.object.language or ANY).split("-")[0])
    elif predicate in _DESCRIPTIONS:
        builder.describe(subject, target)
    elif predicate == _TYPE:
        builder.kind(subject, _local(target))
    else:
        relation = "kind of" if predicate in _KIND_OF else _local(predicate)
        builder.fact(subject, relation, target, is_literal=is_literal)


def _name_of_address(address: str) -> str | None:
    return _local(address).replace("_", " ") or None


def _local(address: str) -> str:
    return address.rstrip("/#").rpartition("#")[2].rpartition("/")[2]


def _check_suffix(path: Path, allowed: tuple[str, ...]) -> None:
    if path.suffix.lower() not in allowed:
        raise RecipeError(f"path is {path}; its suffix must be one of: {', '.join(allowed)}")
