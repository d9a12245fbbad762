"""Probe score: let a model answer the questions of a probe, with and without facts before them.

The model's answer is the ending that it finds likeliest, by the mean log-probability a byte.
Source: Brown et al. 2020, arXiv:2005.14165, section 2.4 (likelihood of endings); the mean a byte is `acc_norm` of the
language model evaluation harness, Gao et al. 2021, doi:10.5281/zenodo.5371628.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, assert_never

from burnish.artifacts import Measurement, counted
from burnish.data.graphs.endings import ending_logprobs
from burnish.data.graphs.graph_sources import GraphSource, Saying, load_graph
from burnish.data.graphs.knowledge_text import InPrompt
from burnish.data.graphs.linking import LinkConfig, linker_of
from burnish.data.graphs.questions import Question
from burnish.data.graphs.relevance import choose_facts
from burnish.measure.bootstrap import DRAWS, bootstrap
from burnish.nn.precision import Precision, resolve
from burnish.nn.weights import open_model, open_tokenizer


@dataclass(frozen=True)
class NoFacts:
    """Ask without facts: what the model knows by itself."""


@dataclass(frozen=True)
class RightFacts:
    """Tell the facts that answer.

    Attributes:
        has_decoys: tell with them the true facts that end in the wrong options, in mixed order, so that an ending does
            not win by being the only one told.
    """

    has_decoys: bool = False


@dataclass(frozen=True)
class OtherFacts:
    """Tell as many facts, those of another question: the control."""


@dataclass(frozen=True)
class LinkedFacts:
    """Tell what linking the question itself to the graph finds: its errors count."""

    graph: GraphSource
    sayings: tuple[Saying, ...] = ()
    linking: LinkConfig = field(default_factory=LinkConfig)
    relations: tuple[str, ...] = ()
    max_facts: int = 3
    num_hops: int = 2


Told = NoFacts | RightFacts | OtherFacts | LinkedFacts


def told_facts(questions: Sequence[Question], told: Told) -> list[tuple[str, ...]]:
    """Give the facts that stand before each question."""
    match told:
        case NoFacts():
            return [()] * len(questions)
        case RightFacts(has_decoys=has_decoys):
            return [_mixed(question) if has_decoys else question.facts for question in questions]
        case OtherFacts():
            return [_other(questions, at) for at in range(len(questions))]
        case LinkedFacts():
            return _linked(questions, told)
        case _:
            assert_never(told)


def score_probe(
    model: Path,
    questions: Sequence[Question],
    told: Told,
    *,
    precision: Precision = "fp32",
    each: Callable[[int], None] = lambda _: None,
) -> list[int]:
    """Let a model answer.

    Args:
        model: a causal language model in the Hugging Face layout.
        told: which facts stand before a question.
        precision: of the weights in memory.
        each: told of each question answered.

    Returns:
        The number of the option that the model ends each question with.
    """
    tokenizer, network = open_tokenizer(model), open_model(model, precision=resolve(precision))
    prompt = InPrompt()
    answers = []
    for question, facts in zip(questions, told_facts(questions, told), strict=True):
        before = prompt.block(facts, question.language)
        shared, endings = _tokens(tokenizer, before, question)
        scores = ending_logprobs(network, shared, endings)
        means = [score / len(question.ending(option).encode()) for option, score in enumerate(scores)]
        answers.append(means.index(max(means)))
        each(1)
    return answers


def measure_probe(questions: Sequence[Question], answers: Sequence[int], how: str) -> tuple[Measurement, ...]:
    """Measure the share of right answers, for each kind of question that was asked."""
    found = []
    for kind in ("factual", "logical"):
        right = [a == q.answer for q, a in zip(questions, answers, strict=True) if q.kind == kind]
        if right:
            found.append(counted(f"{kind}_accuracy_frac", sum(right), of=len(right), how=how))
    return tuple(found)


def compare_probe(
    questions: Sequence[Question], before: Sequence[int], after: Sequence[int], *, seed: int = 0
) -> tuple[Measurement, ...]:
    """Measure what was gained on the same questions, for each kind."""
    found = []
    for kind in ("factual", "logical"):
        gains = [
            (late == question.answer) - (early == question.answer)
            for question, early, late in zip(questions, before, after, strict=True)
            if question.kind == kind
        ]
        if gains:
            low, high = bootstrap(lambda at, gains=gains: sum(gains[i] for i in at) / len(at), len(gains), seed=seed)  # type: ignore[misc]
            how = f"accuracy after less before, same questions; bootstrap over questions, {DRAWS} draws, 95 %"
            found.append(Measurement(f"{kind}_gain_frac", sum(gains) / len(gains), "1", len(gains), low, high, how))
    return tuple(found)


def _tokens(tokenizer: Any, before: str, question: Question) -> tuple[list[int], list[list[int]]]:
    """Give the tokens that all ended sentences begin with, and each one's own; a token across the border is its own."""
    stem = tokenizer(before + question.stem)["input_ids"]
    wholes = [tokenizer(before + question.ended(option))["input_ids"] for option in range(len(question.options))]
    shared = 0
    while shared < len(stem) and all(whole[shared] == stem[shared] for whole in wholes):
        shared += 1
    return stem[:shared], [whole[shared:] for whole in wholes]


def _mixed(question: Question) -> tuple[str, ...]:
    told = dict.fromkeys((*question.facts, *question.decoys))
    return tuple(sorted(told, key=lambda fact: hashlib.blake2b(f"{question.id}/{fact}".encode()).digest()))


def _other(questions: Sequence[Question], at: int) -> tuple[str, ...]:
    """Give the facts of the next question of the kind that says nothing of this one's endings."""
    mine = questions[at]
    names = [option.casefold() for option in mine.options]
    for step in range(1, len(questions)):
        other = questions[(at + step) % len(questions)]
        text = " ".join(other.facts).casefold()
        if other.kind == mine.kind and not any(name in text for name in names):
            return other.facts
    return ()


def _linked(questions: Sequence[Question], told: LinkedFacts) -> list[tuple[str, ...]]:
    linker = linker_of(load_graph(told.graph, told.sayings), told.linking)
    links = linker.link([question.stem for question in questions])
    chosen = (
        choose_facts(
            linker,
            question.id,
            question.stem,
            mine,
            relations=told.relations,
            max_facts=told.max_facts,
            num_hops=told.num_hops,
            seed=0,
        )
        for question, mine in zip(questions, links, strict=True)
    )
    return [tuple(fact.sentence for fact in facts) for facts in chosen]
