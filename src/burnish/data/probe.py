"""Probe: questions about a graph, as a dataset; `probe_score` lets a model answer them with and without facts."""

import json
from dataclasses import dataclass

from burnish.artifacts import DatasetArtifact, Draft
from burnish.data.flow import num_records
from burnish.data.graphs.graph_sources import GraphSource, Saying, load_graph
from burnish.data.graphs.questions import Question, QuestionMaker
from burnish.data.records import Record, read_kept, write_kept
from burnish.errors import ArtifactError, RecipeError
from burnish.runtime import Workdir


@dataclass(frozen=True)
class ProbeConfig:
    """Say what is asked.

    Attributes:
        relations: ask facts of these alone; empty is all that the source has a sentence for.
        num_factual: questions of one fact; fewer where the graph gives no more.
        num_logical: questions of two, likewise.
        num_options: endings of a question, at least 2.
        language: of the questions, among those that the graph has names in.
        seed: another seed asks others.
    """

    graph: GraphSource
    sayings: tuple[Saying, ...] = ()
    relations: tuple[str, ...] = ()
    num_factual: int = 200
    num_logical: int = 200
    num_options: int = 4
    language: str = "en"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.num_options < 2 or self.num_factual < 0 or self.num_logical < 0:
            raise RecipeError(
                f"num_options={self.num_options}, num_factual={self.num_factual}, num_logical={self.num_logical}; "
                "give at least 2 options, and numbers of questions that are not below 0"
            )


def make_probe(out: Workdir, *, config: ProbeConfig) -> Draft[DatasetArtifact]:
    """Write questions to `data/test.parquet`, and the facts that answer them, a record each, to `data/train.parquet`.

    Raises:
        RecipeError: the graph gives no question.
    """
    graph = load_graph(config.graph, config.sayings)
    maker = QuestionMaker(
        graph,
        language=config.language,
        num_options=config.num_options,
        relations=config.relations,
        seed=config.seed,
    )
    factual, logical = maker.factual(config.num_factual), maker.logical(config.num_logical)
    questions = [*factual, *logical]
    if not questions:
        raise RecipeError("the graph gives no question; name relations with a sentence and more than one ending")
    write_kept(out, [_record(question) for question in questions], "test")
    facts = dict.fromkeys(fact for question in questions for fact in question.facts)
    write_kept(out, [Record(f"fact:{n:05}", fact, None, "probe") for n, fact in enumerate(facts)], "train")
    of = len(graph.facts)
    evidence = (
        num_records("factual_questions", len(factual), of=of, how="questions that one fact answers"),
        num_records("logical_questions", len(logical), of=of, how="questions that take two facts"),
        num_records("probed_facts", len(facts), of=of, how="facts that answer them"),
    )
    return Draft(DatasetArtifact, evidence, f"{len(factual)} factual and {len(logical)} logical questions.")


def read_questions(probe: DatasetArtifact) -> list[Question]:
    """Read the questions of a probe.

    Raises:
        ArtifactError: the dataset is none.
    """
    try:
        return [_question(record) for record in read_kept(probe, "test")]
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"{probe.label} is no probe ({error}); make one with `make_probe`") from error


def _record(question: Question) -> Record:
    meta = {
        "kind": question.kind,
        "lang": question.language,
        "options": question.options,
        "answer": question.answer,
        "facts": question.facts,
        "decoys": question.decoys,
        "tail": question.tail,
    }
    right = question.options[question.answer]
    return Record(question.id, question.stem, right, "probe", meta=json.dumps(meta, ensure_ascii=False))


def _question(record: Record) -> Question:
    meta = json.loads(record.meta or "{}")
    return Question(
        record.id,
        meta["kind"],
        meta["lang"],
        record.text,
        tuple(meta["options"]),
        int(meta["answer"]),
        tuple(meta["facts"]),
        tuple(meta["decoys"]),
        meta["tail"],
    )
