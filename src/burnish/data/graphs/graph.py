"""Graph: entities with their names, facts that join them, and the sentence that each fact makes."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from burnish.errors import RecipeError

ANY = ""  # the language of a name that belongs to none: a code, a formula, a name of unknown language


@dataclass(frozen=True, slots=True)
class Entity:
    """Hold one thing that facts are about.

    Attributes:
        kind: what sort of thing; answers to choose from are of one kind.
        names: by language; the first of a language is the one to write, all are recognised.
        description: running text about it, read when a name must be told from another thing's same name.
    """

    id: str
    kind: str
    names: Mapping[str, tuple[str, ...]]
    description: str = ""

    def name(self, language: str) -> str:
        """Give the name to write in a language, or the nearest there is."""
        for wanted in (language, ANY, "en"):
            if self.names.get(wanted):
                return self.names[wanted][0]
        return next((names[0] for names in self.names.values() if names), self.id)

    def all_names(self) -> Iterable[str]:
        """Give every name once."""
        return dict.fromkeys(name for names in self.names.values() for name in names)


@dataclass(frozen=True, slots=True)
class Fact:
    """Join an entity to another, or to a literal.

    Attributes:
        object: an entity's id, or the literal itself.
    """

    subject: str
    relation: str
    object: str
    is_literal: bool = False


@dataclass(frozen=True)
class Relation:
    """Say how a relation's facts are spoken.

    Attributes:
        sentences: by language, a sentence with `{subject}` and `{object}`, once each.
        is_inherited: what holds of the object's own facts holds of the subject too ("is a kind of", "is another
            name for"), so that two facts in a row make a conclusion.
    """

    name: str
    sentences: Mapping[str, str] = field(default_factory=dict)
    is_inherited: bool = False

    def __post_init__(self) -> None:
        for language, sentence in self.sentences.items():
            if sentence.count("{subject}") != 1 or sentence.count("{object}") != 1:
                raise RecipeError(
                    f"the {language!r} sentence of relation {self.name!r} is {sentence!r}; "
                    "it must hold {subject} and {object}, once each"
                )

    def sentence(self, language: str) -> str:
        """Give the sentence of a language; where there is none, one made of the relation's name."""
        if language in self.sentences:
            return self.sentences[language]
        words = " ".join(self.name.replace("_", " ").split())
        return f"{{subject}}的{words}是{{object}}。" if language == "zh" else f"{{subject}}: {words}: {{object}}."


@dataclass(frozen=True, eq=False)
class Graph:
    """Hold a graph in memory; a graph equals itself alone.

    Attributes:
        priors: (name as written, entity id) -> how often the name means this entity, in any unit; where a name has
            no number at all, its entities are equally likely.
        num_skipped: rows of the source that made no fact: too few columns, or about a thing without a name.
    """

    entities: Mapping[str, Entity]
    facts: tuple[Fact, ...]
    relations: Mapping[str, Relation]
    priors: Mapping[tuple[str, str], float] = field(default_factory=dict)
    num_skipped: int = 0

    @cached_property
    def facts_of(self) -> Mapping[str, tuple[int, ...]]:
        """Give the facts that an entity takes part in, by number: those it is the subject of, then the others."""
        mine: dict[str, list[int]] = defaultdict(list)
        for number, fact in enumerate(self.facts):
            mine[fact.subject].append(number)
        for number, fact in enumerate(self.facts):
            if not fact.is_literal and fact.object != fact.subject:
                mine[fact.object].append(number)
        return {entity: tuple(numbers) for entity, numbers in mine.items()}

    def ends(self, fact: Fact, language: str) -> tuple[str, str]:
        """Give subject and object as they are written in a language."""
        written = fact.object if fact.is_literal else self.entities[fact.object].name(language)
        return self.entities[fact.subject].name(language), written

    def say(self, fact: Fact, language: str) -> str:
        """Make a sentence of a fact."""
        subject, written = self.ends(fact, language)
        sentence = self.sentence(fact.relation, language)
        # one pass each, in the order of the text: a name may itself hold a brace
        before, _, after = sentence.partition("{subject}")
        return f"{before.replace('{object}', written)}{subject}{after.replace('{object}', written)}"

    def sentence(self, relation: str, language: str) -> str:
        """Give the sentence of a relation, with `{subject}` and `{object}`."""
        return self._relation(relation).sentence(language)

    def is_inherited(self, relation: str) -> bool:
        """Tell whether what holds of a fact's object holds of its subject too."""
        return self._relation(relation).is_inherited

    def _relation(self, name: str) -> Relation:
        return self.relations.get(name) or Relation(name)
