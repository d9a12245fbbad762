"""Questions: what a graph knows, as sentences to be ended, with one right ending and some wrong ones of the same sort.

A factual question is one fact cut before its last end ("Advil is another name for …"). A logical one needs two: A
inherits from B, B relates to C, and A's sentence is to be ended with C; no fact of the graph says that in one.
"""

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from burnish.data.graphs.graph import Fact, Graph

Kind = Literal["factual", "logical"]
_MAX_SAME_ANSWER = 3  # questions with one right answer: a model that always says it must not score


@dataclass(frozen=True, slots=True)
class Question:
    """Hold one sentence to be ended.

    Attributes:
        stem: the sentence up to its missing end, without a space behind.
        options: names that may stand there, the right one among them.
        tail: what follows the name in every ending; mostly nothing.
        answer: number of the right option.
        facts: sentences that answer it, one for a factual question, two for a logical one.
        decoys: true sentences that end with the wrong options, at most one for each.
    """

    id: str
    kind: Kind
    language: str
    stem: str
    options: tuple[str, ...]
    answer: int
    facts: tuple[str, ...]
    decoys: tuple[str, ...]
    tail: str = ""

    def ended(self, option: int) -> str:
        """Give the sentence with an ending."""
        return f"{self.stem}{'' if self.language == 'zh' else ' '}{self.ending(option)}"

    def ending(self, option: int) -> str:
        """Give an ending alone."""
        return f"{self.options[option]}{self.tail}"


@dataclass(frozen=True, slots=True)
class _Statement:
    """A fact as it is spoken: what stands first, what ends the sentence.

    `head` and `tail` are entity ids, or literals marked as such.
    """

    number: int
    relation: str
    head: str
    tail: str
    head_name: str
    tail_name: str


class QuestionMaker:
    """Make questions of a graph's facts, in one language."""

    def __init__(self, graph: Graph, *, language: str, num_options: int, relations: Sequence[str], seed: int) -> None:
        self._graph = graph
        self._language = language
        self._num_options = num_options
        self._seed = seed
        self._allowed = frozenset(relations) or frozenset(graph.relations)

    def factual(self, number: int) -> list[Question]:
        """Make up to `number` questions of one fact each."""
        return self._take("factual", self._single(), number)

    def logical(self, number: int) -> list[Question]:
        """Make up to `number` questions that need two facts."""
        return self._take("logical", self._pairs(), number)

    @cached_property
    def _statements(self) -> list[_Statement]:
        """Give the facts that can be asked, in an order that the seed draws."""
        found = [self._statement(n, fact) for n, fact in enumerate(self._graph.facts) if fact.relation in self._allowed]
        return sorted(found, key=lambda one: self._draw(one.number))

    @cached_property
    def _of_head(self) -> dict[str, list[_Statement]]:
        grouped: dict[str, list[_Statement]] = defaultdict(list)
        for one in self._statements:
            grouped[one.head].append(one)
        return grouped

    @cached_property
    def _with_tail(self) -> dict[tuple[str, str], list[_Statement]]:
        """Give statements by relation and the sort of thing that ends them."""
        grouped: dict[tuple[str, str], list[_Statement]] = defaultdict(list)
        for one in self._statements:
            grouped[one.relation, self._sort(one.tail)].append(one)
        return grouped

    def _single(self) -> Iterator[tuple[_Statement, tuple[_Statement, ...]]]:
        for one in self._statements:
            yield one, (one,)

    def _pairs(self) -> Iterator[tuple[_Statement, tuple[_Statement, ...]]]:
        for first in self._statements:
            if not self._graph.is_inherited(first.relation):
                continue
            for second in self._of_head.get(first.tail, ())[:1]:
                ended = _Statement(
                    second.number, second.relation, first.head, second.tail, first.head_name, second.tail_name
                )
                direct = {one.tail for one in self._of_head[first.head]}
                if second.tail not in direct and second.tail != first.head:
                    yield ended, (first, second)

    def _take(
        self, kind: Kind, asked: Iterable[tuple[_Statement, tuple[_Statement, ...]]], number: int
    ) -> list[Question]:
        found: list[Question] = []
        heads: set[str] = set()
        answers: Counter[str] = Counter()
        for ended, because in asked:
            if len(found) == number:
                break
            names = [ended.head_name, *(one.tail_name for one in because[:-1])]
            if ended.head in heads or answers[ended.tail] == _MAX_SAME_ANSWER or _tells(names, ended.tail_name):
                continue
            wrong = self._wrong(ended, because)
            if len(wrong) == self._num_options - 1:
                heads.add(ended.head)
                answers[ended.tail] += 1
                found.append(self._question(f"{kind}:{len(found):04}", kind, ended, because, wrong))
        return found

    def _question(
        self,
        identity: str,
        kind: Kind,
        ended: _Statement,
        because: tuple[_Statement, ...],
        wrong: Sequence[_Statement],
    ) -> Question:
        endings = sorted([ended, *wrong], key=lambda one: self._draw(f"{identity}/{one.tail}"))
        sentence = self._graph.sentence(ended.relation, self._language)
        first, second = (match.span() for match in re.finditer(r"\{(?:subject|object)\}", sentence))
        stem = f"{sentence[: first[0]]}{ended.head_name}{sentence[first[1] : second[0]]}".rstrip()
        return Question(
            identity,
            kind,
            self._language,
            stem,
            tuple(one.tail_name for one in endings),
            endings.index(ended),
            tuple(self._graph.say(self._graph.facts[one.number], self._language) for one in because),
            tuple(self._graph.say(self._graph.facts[one.number], self._language) for one in wrong),
            sentence[second[1] :].rstrip(".。!！?？ "),
        )

    def _wrong(self, ended: _Statement, because: tuple[_Statement, ...]) -> list[_Statement]:
        """Draw statements whose ends are wrong here: ends of the same relation and sort, none true of any head asked about."""
        true = self._true_of([ended.head, *(one.tail for one in because)])
        names = {ended.tail_name.casefold()}
        pool = self._with_tail[ended.relation, self._sort(ended.tail)]
        start = int.from_bytes(self._draw(f"wrong/{ended.head}"), "big") % len(pool)
        found: list[_Statement] = []
        for one in (*pool[start:], *pool[:start]):
            if len(found) == self._num_options - 1:
                break
            folded = one.tail_name.casefold()
            if one.tail in true or folded in names or _tells([ended.head_name], one.tail_name):
                continue
            names.add(folded)
            found.append(one)
        return found

    def _true_of(self, heads: Iterable[str]) -> set[str]:
        """Give all that the graph says of some things, through as many inherited facts as there are."""
        true: set[str] = set()
        waiting = list(heads)
        while waiting:
            head = waiting.pop()
            if head in true:
                continue
            true.add(head)
            waiting += [one.tail for one in self._of_head.get(head, ())]
        return true

    def _statement(self, number: int, fact: Fact) -> _Statement:
        sentence = self._graph.sentence(fact.relation, self._language)
        subject, target = self._graph.ends(fact, self._language)
        keys = (fact.subject, f"literal:{fact.object}" if fact.is_literal else fact.object)
        if sentence.find("{subject}") < sentence.find("{object}"):
            return _Statement(number, fact.relation, keys[0], keys[1], subject, target)
        return _Statement(number, fact.relation, keys[1], keys[0], target, subject)

    def _sort(self, key: str) -> str:
        known = self._graph.entities.get(key)
        return known.kind if known else "literal"

    def _draw(self, what: object) -> bytes:
        return hashlib.blake2b(f"{self._seed}/{what}".encode(), digest_size=8).digest()


def _tells(names: Sequence[str], answer: str) -> bool:
    """Tell whether a name gives the answer away: they share a word, but for its ending, or one holds the other."""
    words = {word[:5] for name in names for word in re.findall(r"\w+", name.casefold()) if len(word) > 2}
    folded = answer.casefold()
    return any(word[:5] in words for word in re.findall(r"\w+", folded) if len(word) > 2) or any(
        folded in name.casefold() or name.casefold() in folded for name in names
    )
