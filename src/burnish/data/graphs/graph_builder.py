"""Graph builder: collect names, kinds and facts in any order, then make one graph of them."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from burnish.data.graphs.graph import ANY, Entity, Fact, Graph, Relation


@dataclass
class GraphBuilder:
    """Collect what a source says."""

    _names: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    _kinds: dict[str, str] = field(default_factory=dict)
    _descriptions: dict[str, str] = field(default_factory=dict)
    _facts: dict[Fact, None] = field(default_factory=dict)
    _relations: dict[str, Relation] = field(default_factory=dict)
    _priors: dict[tuple[str, str], float] = field(default_factory=dict)
    _num_skipped: int = 0

    def name(self, entity: str, name: str, language: str = ANY, *, prior: float | None = None) -> None:
        """Give an entity a name; the first of a language is the one to write."""
        if not name.strip():
            return
        names = self._names.setdefault(entity, {}).setdefault(language, [])
        if name not in names:
            names.append(name)
        if prior is not None:
            self._priors[name, entity] = prior

    def kind(self, entity: str, kind: str) -> None:
        """Say what sort of thing an entity is; the first word counts."""
        self._kinds.setdefault(entity, kind)

    def describe(self, entity: str, text: str) -> None:
        """Add running text about an entity."""
        known = self._descriptions.get(entity)
        self._descriptions[entity] = f"{known} {text}" if known else text

    def fact(self, subject: str, relation: str, target: str, *, is_literal: bool = False) -> None:
        """Add a fact; the same fact again adds nothing."""
        self._facts[Fact(subject, relation, target, is_literal)] = None

    def relate(self, relation: Relation) -> None:
        """Say how a relation is spoken; matters only where the source has facts of it."""
        self._relations[relation.name] = relation

    def skip(self) -> None:
        """Count a row that makes no fact."""
        self._num_skipped += 1

    def build(self, name_of: Callable[[str], str | None] = lambda _: None, *, are_objects_open: bool = False) -> Graph:
        """Make the graph.

        Args:
            name_of: the name of an entity that was given none; None where it has none, so that its facts are skipped.
            are_objects_open: the source does not tell literals from entities: an object nobody speaks about is a literal.
        """
        spoken_of = {fact.subject for fact in self._facts} | set(self._names) | set(self._kinds)
        facts = [
            Fact(fact.subject, fact.relation, fact.object, is_literal=True)
            if are_objects_open and fact.object not in spoken_of
            else fact
            for fact in self._facts
        ]
        ids = dict.fromkeys([*self._names, *self._kinds])
        ids |= dict.fromkeys(end for fact in facts for end in _ends(fact))
        entities = {one: self._entity(one, name_of) for one in ids}
        named = {one: entity for one, entity in entities.items() if entity is not None}
        kept = tuple(fact for fact in facts if all(end in named for end in _ends(fact)))
        relations = {name: self._relations[name] for name in {f.relation for f in kept} if name in self._relations}
        skipped = self._num_skipped + len(facts) - len(kept)
        return Graph(named, kept, dict(sorted(relations.items())), self._priors, skipped)

    def _entity(self, one: str, name_of: Callable[[str], str | None]) -> Entity | None:
        given: dict[str, list[str]] = self._names.get(one, {})
        if not given:
            name = name_of(one)
            if not name:
                return None
            given = defaultdict(list, {ANY: [name]})
        names = {language: tuple(listed) for language, listed in given.items()}
        return Entity(one, self._kinds.get(one, ""), names, self._descriptions.get(one, ""))


def _ends(fact: Fact) -> tuple[str, ...]:
    return (fact.subject,) if fact.is_literal else (fact.subject, fact.object)
