"""Probe: questions have one right ending, no free hints, and a model's answers follow from the facts before them."""

import re
from pathlib import Path

import pytest
from countries import SAYINGS, countries, write_countries
from real_slice import evidence
from unsealed import unsealed_run

from burnish.data.graphs.endings import ending_logprobs
from burnish.data.graphs.graph import Graph
from burnish.data.graphs.probe_score import (
    LinkedFacts,
    NoFacts,
    OtherFacts,
    RightFacts,
    Told,
    compare_probe,
    measure_probe,
    score_probe,
    told_facts,
)
from burnish.data.graphs.questions import Question, QuestionMaker
from burnish.data.probe import ProbeConfig, make_probe, read_questions
from burnish.data.records import read_kept
from burnish.errors import ArtifactError, RecipeError
from burnish.learn.scoring import token_logprobs
from burnish.nn.weights import open_model
from burnish.runtime import Run
from conftest import make_tokenizer


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return unsealed_run(tmp_path)


def questions(graph: Graph, language: str = "en", seed: int = 0, **more: int) -> list[Question]:
    relations = ("capital", "lies in", "is the capital of")
    maker = QuestionMaker(graph, language=language, num_options=3, relations=relations, seed=seed)
    return [*maker.factual(more.get("factual", 9)), *maker.logical(more.get("logical", 9))]


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_right_ending_is_true_and_the_others_are_not(tmp_path: Path, language: str, seed: int) -> None:
    graph = countries(tmp_path)
    true = {graph.say(fact, language).rstrip(".。") for fact in graph.facts}
    asked = questions(graph, language, seed)
    assert {question.kind for question in asked} == {"factual", "logical"}
    for question in asked:
        assert len(set(question.options)) == 3
        for option in range(3):
            is_right = option == question.answer
            assert (question.ended(option) in true) == (is_right and question.kind == "factual")


def test_a_logical_question_takes_both_facts(tmp_path: Path) -> None:
    graph = countries(tmp_path)
    (question,) = [q for q in questions(graph) if q.kind == "logical" and q.stem == "Tokyo lies in"]
    assert question.facts == ("Tokyo is the capital of Japan.", "Japan lies in Asia.")
    assert question.options[question.answer] == "Asia"
    assert all(re.fullmatch(r"\w[\w ]* lies in \w[\w ]*\.", decoy) for decoy in question.decoys)
    assert {question.ended(option) for option in range(3) if option != question.answer} == {
        f"Tokyo lies in {decoy.removesuffix('.').split(' lies in ')[1]}" for decoy in question.decoys
    }


def test_a_chinese_stem_has_no_space_before_its_ending(tmp_path: Path) -> None:
    question = next(q for q in questions(countries(tmp_path), "zh") if q.kind == "factual")
    assert question.ended(question.answer) in question.facts[0]


def test_names_that_give_the_answer_away_are_not_asked(tmp_path: Path) -> None:
    graph = countries(tmp_path)
    maker = QuestionMaker(graph, language="en", num_options=3, relations=("currency",), seed=0)
    stems = {question.stem for question in maker.factual(99)}
    assert "The currency of Japan is the" in stems
    assert "The currency of Egypt is the" not in stems  # the Egyptian pound


def test_no_answer_is_right_too_often(tmp_path: Path) -> None:
    maker = QuestionMaker(countries(tmp_path), language="en", num_options=2, relations=("lies in",), seed=0)
    asked = maker.factual(99)
    answers = [question.options[question.answer] for question in asked]
    assert max(map(answers.count, answers)) <= 3
    assert len({question.answer for question in asked}) == 2  # the right one is not always at the same place


def test_a_probe_is_a_dataset_of_questions_and_their_facts(run: Run, tmp_path: Path) -> None:
    config = ProbeConfig(write_countries(tmp_path), SAYINGS, ("capital", "lies in"), 5, 0, num_options=3)
    probe = run(make_probe, config=config)
    asked = read_questions(probe)
    maker = QuestionMaker(countries(tmp_path), language="en", num_options=3, relations=("capital", "lies in"), seed=0)
    assert asked == maker.factual(5)
    assert evidence(probe) == {"factual_questions": 5, "logical_questions": 0, "probed_facts": 5}
    assert {record.text for record in read_kept(probe, "train")} == {q.facts[0] for q in asked}
    assert [record.label for record in read_kept(probe, "test")] == [q.options[q.answer] for q in asked]


def test_a_probe_that_asks_nothing_is_refused(run: Run, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="the graph gives no question"):
        run(make_probe, config=ProbeConfig(write_countries(tmp_path), SAYINGS, ("capital",), num_options=20))
    with pytest.raises(RecipeError, match="num_options=1"):
        ProbeConfig(write_countries(tmp_path), num_options=1)


def test_other_datasets_are_no_probes(run: Run, tmp_path: Path) -> None:
    from conftest import sealed_records

    with pytest.raises(ArtifactError, match=r"is no probe \('kind'\); make one with `make_probe`"):
        read_questions(sealed_records(run, {"test": [{"id": "1", "text": "x"}]}))


def test_what_is_told_before_a_question(tmp_path: Path) -> None:
    asked = questions(countries(tmp_path), factual=4, logical=4)
    assert told_facts(asked, NoFacts()) == [()] * len(asked)
    assert told_facts(asked, RightFacts()) == [question.facts for question in asked]
    for question, told in zip(asked, told_facts(asked, RightFacts(has_decoys=True)), strict=True):
        assert set(told) == {*question.facts, *question.decoys}
    for question, told in zip(asked, told_facts(asked, OtherFacts()), strict=True):
        assert not set(told) & set(question.facts)
        assert not any(option in " ".join(told) for option in question.options)


def test_linked_facts_come_from_the_question_alone(tmp_path: Path) -> None:
    asked = questions(countries(tmp_path), factual=4, logical=4)
    told = LinkedFacts(write_countries(tmp_path), SAYINGS, relations=("capital", "lies in", "is the capital of"))
    for question, facts in zip(asked, told_facts(asked, told), strict=True):
        assert set(question.facts) <= set(facts), question.stem
        assert len(facts) <= told.max_facts


@pytest.mark.parametrize("architecture", ["llama", "qwen2"])
def test_endings_score_as_separate_sequences_do(tmp_path: Path, architecture: str) -> None:
    from conftest import make_model

    model = open_model(make_model(tmp_path / architecture, architecture), precision="fp32")
    text, endings = [5, 6, 7], [[8], [9, 10, 11], [8, 12]]
    alone = token_logprobs(model, [[*text, *ending] for ending in endings], each=lambda _: None)
    expected = [sum(scores[len(text) - 1 :]) for scores in alone]
    assert ending_logprobs(model, text, endings) == pytest.approx(expected, abs=1e-4)


def test_a_model_answers_by_the_likeliest_ending_a_byte(tiny_model: Path, tmp_path: Path) -> None:
    asked = questions(countries(tmp_path), factual=3, logical=2)
    model, tokenizer = open_model(tiny_model, precision="fp32"), make_tokenizer()
    expected = []
    for question in asked:
        stem = tokenizer(f"Facts:\n- {question.facts[0]}\n\n{question.stem}")["input_ids"]
        if question.kind == "logical":
            stem = tokenizer("Facts:\n" + "".join(f"- {f}\n" for f in question.facts) + f"\n{question.stem}")[
                "input_ids"
            ]
        ends = [tokenizer(f" {option}")["input_ids"] for option in question.options]
        (scores,) = [token_logprobs(model, [[*stem, *end] for end in ends], each=lambda _: None)]
        means = [
            sum(s[len(stem) - 1 :]) / len(option.encode()) for s, option in zip(scores, question.options, strict=True)
        ]
        expected.append(means.index(max(means)))
    assert score_probe(tiny_model, asked, RightFacts()) == expected


@pytest.mark.parametrize("told", [NoFacts(), OtherFacts()])
def test_every_question_is_answered(tiny_model: Path, tmp_path: Path, told: Told) -> None:
    asked = questions(countries(tmp_path), "zh", factual=2, logical=2)
    done: list[int] = []
    answers = score_probe(tiny_model, asked, told, each=done.append)
    assert len(answers) == len(asked) == sum(done)


def test_accuracy_and_gain_are_counted_by_kind(tmp_path: Path) -> None:
    asked = questions(countries(tmp_path), factual=4, logical=2)
    right = [question.answer for question in asked]
    wrong = [(question.answer + 1) % 3 for question in asked]
    before, after = [*wrong[:3], *right[3:]], right
    measured = {m.name: m for m in measure_probe(asked, before, "a test")}
    assert measured["factual_accuracy_frac"].value == 0.25
    assert measured["logical_accuracy_frac"].value == 1
    gains = {m.name: m for m in compare_probe(asked, before, after)}
    assert gains["factual_gain_frac"].value == 0.75
    assert gains["logical_gain_frac"].value == 0
    assert gains["factual_gain_frac"].n == 4
