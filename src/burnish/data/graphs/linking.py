"""Linking: tie the names in a text to the entities of a graph, each link with its score, and measure how well it does."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from burnish.artifacts import Measurement, counted
from burnish.data.graphs.disambiguate import Disambiguator, Fit, Question, SharedWords
from burnish.data.graphs.graph import Graph
from burnish.data.graphs.mentions import Mention, NameIndex, NameRules
from burnish.errors import RecipeError
from burnish.measure.bootstrap import DRAWS, bootstrap


@dataclass(frozen=True)
class LinkConfig:
    """Say which names count and how sure a link must be.

    Attributes:
        fit: how an ambiguous name is told.
        min_score: the entity's share among those of the name, in [0, 1]: a half is "more likely than all others".
            A name that one entity alone has scores 1.
        window_chars: of the text on either side of a name that tell what it means.
    """

    names: NameRules = field(default_factory=NameRules)
    fit: Fit = field(default_factory=SharedWords)
    min_score: float = 0.5
    window_chars: int = 300

    def __post_init__(self) -> None:
        if not 0 <= self.min_score <= 1:
            raise RecipeError(f"min_score is {self.min_score}; it must be in [0, 1]")
        if self.window_chars < 1:
            raise RecipeError(f"window_chars is {self.window_chars}; it must be at least 1")


@dataclass(frozen=True, slots=True)
class Link:
    """Tie a stretch of a text to an entity.

    Attributes:
        start, end: in characters, half open.
        score: the entity's share among those of the name, in [0, 1].
        num_candidates: how many entities have the name.
    """

    start: int
    end: int
    entity: str
    score: float
    num_candidates: int


class Linker:
    """Link texts to one graph."""

    def __init__(self, graph: Graph, config: LinkConfig) -> None:
        self.graph = graph
        self._disambiguator = Disambiguator(graph, config.fit)
        self._config = config
        self._names = NameIndex(graph, config.names)

    def rarity(self, word: str) -> float:
        """Give how rare a word is in the graph; see `Disambiguator.rarity`."""
        return self._disambiguator.rarity(word)

    def link(self, texts: Sequence[str]) -> list[list[Link]]:
        """Give each text's links, from left to right, none overlapping; of equal scores the graph's first entity."""
        mentions = [(number, mention) for number, text in enumerate(texts) for mention in self._names.find(text)]
        unsure = [(number, mention) for number, mention in mentions if len(mention.candidates) > 1]
        shares = iter(self._disambiguator.shares([self._question(texts[number], m) for number, m in unsure]))
        found: list[list[Link]] = [[] for _ in texts]
        for number, mention in mentions:
            entity, score = next(iter(mention.candidates)), 1.0
            if len(mention.candidates) > 1:
                entity, score = max(next(shares).items(), key=lambda share: share[1])
            if score >= self._config.min_score:
                found[number].append(Link(mention.start, mention.end, entity, score, len(mention.candidates)))
        return found

    def _question(self, text: str, mention: Mention) -> Question:
        window = self._config.window_chars
        before, after = text[max(0, mention.start - window) : mention.start], text[mention.end :][:window]
        return Question(mention.candidates, f"{before}\n{after}")


@dataclass(frozen=True)
class Labelled:
    """Hold a text with the links that it should have.

    Attributes:
        links: (start, end) -> entity id, None where a name that looks like an entity's is none. Other stretches of the
            text are not judged, unless `is_complete`: then every other link is wrong.
    """

    text: str
    links: dict[tuple[int, int], str | None]
    is_complete: bool = True


def read_labelled(path: Path) -> list[Labelled]:
    """Read JSON lines: `{"text": …, "links": [{"start": 0, "end": 5, "entity": "Q1"}], "is_complete": true}`.

    Raises:
        RecipeError: the file cannot be read, or a line is not of this form.
    """
    found = []
    try:
        for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), start=1):
            if line.strip():
                found.append(_labelled(json.loads(line), number, path))
    except (OSError, ValueError) as error:
        raise RecipeError(f"labelled links in {path} cannot be read ({error}); give JSON lines in UTF-8") from error
    if not found:
        raise RecipeError(f"{path} holds no labelled text; give at least one")
    return found


def measure_links(linker: Linker, labelled: Sequence[Labelled], *, seed: int = 0) -> tuple[Measurement, ...]:
    """Measure precision, recall and F1: a link is right where place and entity are those labelled.

    Precision is left out where nothing is linked, recall where there is nothing to link.
    """
    links = linker.link([one.text for one in labelled])
    counts = [_count(*pair) for pair in zip(links, labelled, strict=True)]
    right, linked, wanted = (sum(count[i] for count in counts) for i in range(3))

    def f1(at: Sequence[int]) -> float:
        chosen = [counts[i] for i in at]
        num = sum(count[1] + count[2] for count in chosen)
        return 2 * sum(count[0] for count in chosen) / num if num else 0.0

    found = []
    if linked:
        found.append(counted("link_precision_frac", right, of=linked, how="links at the labelled place and entity"))
    if wanted:
        found.append(counted("link_recall_frac", right, of=wanted, how="labelled entities linked"))
    if linked or wanted:
        low, high = bootstrap(f1, len(counts), seed=seed)
        how = f"2PR/(P+R) over links; bootstrap over texts, {DRAWS} draws, 95 %"
        found.append(Measurement("link_f1_frac", f1(range(len(counts))), "1", len(counts), low, high, how))
    return tuple(found)


@lru_cache(maxsize=2)
def linker_of(graph: Graph, config: LinkConfig) -> Linker:
    """Build the linker of a graph, once a process."""
    return Linker(graph, config)


def _labelled(row: object, number: int, path: Path) -> Labelled:
    match row:
        case {"text": str(text), "links": list(links), **rest} if all(map(_is_link, links)):
            wanted = {(link["start"], link["end"]): link["entity"] for link in links}
            return Labelled(text, wanted, bool(rest.get("is_complete", True)))
        case _:
            raise RecipeError(f"line {number} of {path.name} must have `text` and `links` with start, end and entity")


def _is_link(link: object) -> bool:
    match link:
        case {"start": int(), "end": int(), "entity": str() | None}:
            return True
        case _:
            return False


def _count(links: Sequence[Link], truth: Labelled) -> tuple[int, int, int]:
    """Count the links that are right, those that are judged, and the entities that should be linked."""
    judged = [link for link in links if truth.is_complete or _touches(link, truth)]
    right = sum(truth.links.get((link.start, link.end)) == link.entity for link in judged)
    return right, len(judged), sum(entity is not None for entity in truth.links.values())


def _touches(link: Link, truth: Labelled) -> bool:
    return any(link.start < end and start < link.end for start, end in truth.links)
