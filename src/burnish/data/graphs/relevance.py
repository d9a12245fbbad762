"""Relevance: of all facts about the entities that a text names, choose the few that say most for it."""

import hashlib
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from burnish.data.augmenting.word_spans import is_chinese
from burnish.data.graphs.disambiguate import terms
from burnish.data.graphs.graph import Fact, Graph
from burnish.data.graphs.linking import Link, Linker
from burnish.data.text import normal_form

_MAX_FACTS_PER_ENTITY = 400  # looked at, of a class with thousands of members; drawn by the seed


@dataclass(frozen=True, slots=True)
class Chosen:
    """Hold a fact to tell.

    Attributes:
        number: of the fact in the graph.
        link: the name in the text that it belongs to.
        about: the entity that it tells of: the one linked, or one that it inherits from.
        relevance: above 0: the link's score, times one plus the rarity of the words that fact and text share, over one
            plus the number of facts that lead there from the linked entity.
    """

    number: int
    sentence: str
    link: Link
    about: str
    relevance: float


def choose_facts(
    linker: Linker,
    identity: str,
    text: str,
    links: Sequence[Link],
    *,
    relations: Sequence[str] = (),
    max_facts: int,
    num_hops: int,
    seed: int,
) -> list[Chosen]:
    """Choose facts for one text, the most relevant first, none that it says already, none twice.

    A fact counts less for each chosen one of its kind (same entity, same relation), so that ten aliases do not crowd
    out what a thing is. Of equal facts the seed draws.

    Args:
        identity: of the record.
        relations: choose among facts of these alone; empty is all.
        num_hops: 1 tells of the linked entities alone, 2 also of what they inherit from, and so on.
    """
    seen, normal = terms(text), normal_form(text)
    waiting = {
        chosen.number: chosen
        for link in reversed(_first_links(links))
        for entity, distance in _reached(linker.graph, link.entity, num_hops).items()
        for chosen in _about(linker, link, entity, distance, _Asked(seen, language_of(text), f"{seed}/{identity}"))
        if not relations or linker.graph.facts[chosen.number].relation in relations
    }
    used: Counter[tuple[str, str]] = Counter()
    told: list[Chosen] = []
    while waiting and len(told) < max_facts:
        number = max(
            waiting, key=lambda n: (_discounted(linker.graph, waiting[n], used), _draw(f"{seed}/{identity}", n))
        )
        chosen = waiting.pop(number)
        if normal_form(chosen.sentence) in normal or any(chosen.sentence == one.sentence for one in told):
            continue
        told.append(chosen)
        used[_kind(linker.graph, chosen)] += 1
    return told


def _first_links(links: Sequence[Link]) -> list[Link]:
    """Give each entity's surest link, the first of equals."""
    best: dict[str, Link] = {}
    for link in links:
        if link.entity not in best or link.score > best[link.entity].score:
            best[link.entity] = link
    return list(best.values())


@dataclass(frozen=True, slots=True)
class _Asked:
    words: frozenset[str]
    language: str
    lot: str


def _reached(graph: Graph, entity: str, num_hops: int) -> dict[str, int]:
    """Give the entities whose facts hold of one, each with the number of facts that lead there."""
    found = {entity: 0}
    for distance in range(1, num_hops):
        for near in [one for one, at in found.items() if at == distance - 1]:
            facts = (graph.facts[number] for number in graph.facts_of.get(near, ()))
            for fact in facts:
                if fact.subject == near and not fact.is_literal and graph.is_inherited(fact.relation):
                    found.setdefault(fact.object, distance)
    return found


def _about(linker: Linker, link: Link, entity: str, distance: int, asked: _Asked) -> Iterator[Chosen]:
    graph = linker.graph
    numbers: Sequence[int] = graph.facts_of.get(entity, ())
    own = [number for number in numbers if graph.facts[number].subject == entity]
    others = [number for number in numbers if graph.facts[number].subject != entity and distance == 0]
    if len(numbers) > _MAX_FACTS_PER_ENTITY:
        others.sort(key=lambda number: _draw(asked.lot, number))
    for number in [*own, *others][:_MAX_FACTS_PER_ENTITY]:
        fact = graph.facts[number]
        shared = _shared_with_end(linker, fact, entity, asked)
        if fact.subject == entity or shared > 0:  # what else refers to it, only where the text names that too
            shared += _shared_with_relation(graph, fact, asked)
            relevance = link.score * (1 + shared) / (1 + distance)
            yield Chosen(number, graph.say(fact, asked.language), link, entity, relevance)


def _shared_with_end(linker: Linker, fact: Fact, entity: str, asked: _Asked) -> float:
    """Measure the rarity of the words that the text shares with a fact's other end."""
    subject, target = linker.graph.ends(fact, asked.language)
    other = terms(target if fact.subject == entity else subject)
    return sum(linker.rarity(word) for word in other & asked.words) / math.sqrt(max(1, len(other)))


def _shared_with_relation(graph: Graph, fact: Fact, asked: _Asked) -> float:
    relation = _relation_words(graph, asked.language).get(fact.relation, {})
    return sum(weight for word, weight in relation.items() if word in asked.words)


@lru_cache(maxsize=8)
def _relation_words(graph: Graph, language: str) -> dict[str, dict[str, float]]:
    """Give the words of each relation, with the log of how many relations there are for one that has the word."""
    relations = dict.fromkeys(fact.relation for fact in graph.facts)
    words = {name: terms(f"{name} {graph.sentence(name, language)}") - {"subject", "object"} for name in relations}
    num_with = Counter(word for mine in words.values() for word in mine)
    return {name: {word: math.log((1 + len(words)) / num_with[word]) for word in mine} for name, mine in words.items()}


def _kind(graph: Graph, chosen: Chosen) -> tuple[str, str]:
    return chosen.about, graph.facts[chosen.number].relation


def _discounted(graph: Graph, chosen: Chosen, used: Counter[tuple[str, str]]) -> float:
    return chosen.relevance / (1 + used[_kind(graph, chosen)])


def language_of(text: str) -> str:
    """Tell in which language facts are told to a text: Chinese where most of its letters are, else English."""
    return "zh" if is_chinese(text) else "en"


def _draw(lot: str, number: int) -> bytes:
    return hashlib.blake2b(f"{lot}/{number}".encode(), digest_size=8).digest()
