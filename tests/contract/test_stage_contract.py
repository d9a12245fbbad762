"""What every stage owes: the same bytes for the same call, evidence, a typed promise, and untouched inputs."""

import inspect
import json
import typing
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from test_finetune import CONFIG as TRAINING

from burnish.artifacts import Artifact, DatasetArtifact, Draft, ModelArtifact, ReportArtifact
from burnish.artifacts.digest import tree_digests
from burnish.compress.calibration import CalibrationConfig
from burnish.compress.distill import DistillConfig, control_tune, distill
from burnish.compress.export.write import ExportConfig, export
from burnish.compress.prune import PruneConfig, prune
from burnish.compress.qat import QatConfig, qat
from burnish.compress.quantize import QuantizeConfig, quantize
from burnish.compress.sparsify import SparsifyConfig, sparsify
from burnish.compress.student import StudentConfig, make_student
from burnish.compress.vocabulary import NumTokens, VocabularyConfig, trim_vocabulary
from burnish.data.adversarial import AdversarialConfig, gate_adversarial
from burnish.data.augment import AugmentConfig, augment
from burnish.data.augmenting.perturb import Perturb
from burnish.data.balance import BalanceConfig, balance
from burnish.data.clean import CleanConfig, clean
from burnish.data.collect import CollectConfig, collect
from burnish.data.domain import DomainConfig, gate_domain
from burnish.data.find_copies import FindCopiesConfig, find_copies
from burnish.data.grammar import GrammarConfig, gate_grammar
from burnish.data.graphs.graph_sources import Triples
from burnish.data.knowledge import KnowledgeConfig, inject_knowledge
from burnish.data.mixture import MixtureConfig, mix
from burnish.data.model_quality import ModelQualityConfig, gate_model_quality
from burnish.data.scoring.keywords import Keywords
from burnish.data.scoring.quality_classifier import Classifier
from burnish.data.select import SelectConfig, select
from burnish.data.semantic import SemanticConfig, deduplicate_semantic
from burnish.data.sources import LocalFile
from burnish.data.split import ByFraction, SplitConfig, split
from burnish.evaluate.exported import ExportParityConfig, check_export
from burnish.evaluate.generate import load_generate
from burnish.evaluate.latency import load_served
from burnish.evaluate.parity import check_parity
from burnish.evaluate.race import race
from burnish.evaluate.score import ScoreConfig, score_model, score_served, score_tuned
from burnish.evaluate.served_text import compare_served, read_text
from burnish.evaluate.speculative import measure_draft
from burnish.evaluate.text_quality import TextQualityConfig, compare_on_text
from burnish.learn.loop import LoopConfig
from burnish.learn.task_labels import LabelSource
from burnish.loop import chain, compress_chain, data_chain, matrix_chain, optimize_chain, search_chain, train_chain
from burnish.loop.optimizing import quality as optimizing_quality
from burnish.report.data_page import write_data_report
from burnish.report.forms_page import write_forms_page
from burnish.report.optimize_page import write_optimize_page
from burnish.report.page import write_report
from burnish.report.search_page import write_search_report
from burnish.runtime import Run
from burnish.train import learning
from burnish.train.base import BaseConfig, LocalModel, take_base
from burnish.train.converse import ConverseConfig, converse
from burnish.train.example_sources import ExampleFiles
from burnish.train.examples import ExamplesConfig, take_examples
from burnish.train.finetune import FinetuneConfig, finetune
from burnish.train.merge import MergeConfig, merge
from burnish.train.methods import Lora
from burnish.train.multitask import MultitaskConfig, multitask
from burnish.train.pairs import FromLabels
from burnish.train.prefer import PreferConfig, prefer
from burnish.train.pretrain import PretrainConfig, pretrain
from burnish.train.search import SearchConfig, SearchPlan, search
from burnish.train.searching.space import Rates, Regularisation

SLICE = Path(__file__).parents[1] / "data" / "slice.jsonl"


@dataclass(frozen=True)
class Call:
    """One stage call, ready to be made again."""

    stage: Callable[..., Any]
    parents: tuple[Artifact, ...]
    config: Any


@pytest.fixture
def calls(run: Run, base: ModelArtifact, headlines: DatasetArtifact, tiny_model: Path, tmp_path: Path) -> list[Call]:
    """Every stage whose payload is made of bytes and not of times, on real little inputs."""
    lines = SLICE.read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    texts = [row["input"][1]["content"] for row in rows if "input" in row]
    source = tmp_path / "rows.jsonl"
    source.write_text("".join(json.dumps({"text": text, "label": str(len(text) % 2)}) + "\n" for text in texts))
    made: list[Call] = []

    def call(stage: Callable[..., Any], *parents: Artifact, config: Any) -> Any:
        made.append(Call(stage, parents, config))
        return run(stage, *parents, config=config)

    raw = call(collect, config=CollectConfig((LocalFile(source, label_key="label"),)))
    cleaned = call(clean, raw, config=CleanConfig())
    copies = call(find_copies, cleaned, config=FindCopiesConfig())
    good = call(select, cleaned, copies, config=SelectConfig(min_words=3))
    data = call(split, good, config=SplitConfig(ByFraction()))
    graph = tmp_path / "graph.csv"
    graph.write_text("us,name,america\nus,capital,washington\n", encoding="utf-8")
    examples = tmp_path / "good.txt"
    examples.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    call(deduplicate_semantic, good, config=SemanticConfig(recall_records=0))
    call(gate_grammar, good, config=GrammarConfig())
    call(gate_domain, good, config=DomainConfig((Keywords(("man", "woman", "nation")),)))
    call(gate_adversarial, good, config=AdversarialConfig(trial_records=2))
    call(gate_model_quality, good, config=ModelQualityConfig(Classifier(examples)))
    call(inject_knowledge, data, config=KnowledgeConfig(Triples(graph)))
    call(augment, data, config=AugmentConfig((Perturb(),)))
    call(balance, data, config=BalanceConfig())
    call(mix, data, config=MixtureConfig())
    call(take_base, config=BaseConfig(LocalModel(tiny_model)))
    _call_trainings(call, base, headlines, tmp_path)
    tuned = call(finetune, base, headlines, config=TRAINING)
    merged = call(merge, base, tuned, config=MergeConfig())
    quantized = call(quantize, merged, config=QuantizeConfig())
    exported = call(export, quantized, config=ExportConfig())
    call(check_export, quantized, exported, headlines, config=ExportParityConfig(num_prompts=2, max_tokens=8))
    read = TextQualityConfig(num_documents=3, max_tokens=16)
    call(compare_on_text, merged, quantized, headlines, config=read)
    call(read_text, merged, headlines, config=read)
    student = call(make_student, merged, config=StudentConfig(layers=(0,)))
    lesson = LoopConfig(num_steps=2, row_tokens=64, learning_rate=0.001)
    precisions: dict[str, Any] = {"precision": "fp32", "teacher_precision": "fp32"}
    for stage in (distill, control_tune):
        call(stage, merged, student, headlines, config=DistillConfig(loop=lesson, **precisions))
    call(qat, merged, merged, headlines, config=QatConfig(loop=lesson, **precisions))
    calibration = CalibrationConfig(num_rows=2, row_tokens=16)
    call(prune, merged, headlines, config=PruneConfig(0.3, calibration=calibration))
    call(trim_vocabulary, merged, headlines, config=VocabularyConfig(NumTokens(300)))
    call(sparsify, merged, headlines, config=SparsifyConfig(calibration=calibration))
    score = ScoreConfig(TRAINING.task, test_records=6, general_records=6)
    call(score_model, base, headlines, headlines, config=score)
    call(score_tuned, base, tuned, headlines, headlines, config=score)
    return made


def _call_trainings(call: Callable[..., Any], base: ModelArtifact, headlines: DatasetArtifact, tmp_path: Path) -> None:
    """Call the stages that learn otherwise than `finetune`, and the search, each on its own kind of example."""
    talks = tmp_path / "talks.jsonl"
    rows = [
        {"id": n, "messages": [{"role": role, "content": f"{role} {n} 无疑"} for role in ("user", "assistant")]}
        for n in range(20)
    ]
    talks.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    given = call(take_examples, config=ExamplesConfig((ExampleFiles(talks),), 0.3, 0.1))
    shared: dict[str, Any] = {
        "method": Lora(rank=2),
        "loop": LoopConfig(num_steps=2, row_tokens=512, learning_rate=0.01),
        "precision": "fp32",
    }
    task = TRAINING.task
    call(converse, base, given, config=ConverseConfig(**shared))
    call(pretrain, base, headlines, config=PretrainConfig(**shared))
    call(prefer, base, headlines, config=PreferConfig(pairs=FromLabels(task), **shared))
    tasks = (LabelSource("tone", task.labels),)
    call(multitask, base, headlines, config=MultitaskConfig(tasks=tasks, **shared))
    plan = SearchPlan(
        Rates(num_trials=2, rows_per_step=(1, 2)),
        {"rank": (2, 4)},
        Regularisation(num_trials=1),
        trial_rows=2,
        num_validations=2,
    )
    call(search, base, headlines, config=SearchConfig(FinetuneConfig(task, **shared), plan))


def test_every_stage_gives_the_same_bytes_again_and_leaves_its_inputs_alone(run: Run, calls: list[Call]) -> None:
    for call in calls:
        first = run(call.stage, *call.parents, config=call.config)
        inputs = {parent.digest: tree_digests(parent.payload) for parent in call.parents}
        assert first.manifest.payload_digest  # read now: its folder is made anew
        run.store.set_aside(first.digest)
        again = run(call.stage, *call.parents, config=call.config)
        assert again.manifest.files == first.manifest.files, call.stage.__name__
        assert {parent.digest: tree_digests(parent.payload) for parent in call.parents} == inputs
        assert again.evidence, f"{call.stage.__name__} leaves no evidence"
        assert len({m.name for m in again.evidence}) == len(again.evidence)


def test_the_contract_covers_every_stage_that_makes_bytes(calls: list[Call]) -> None:
    """A stage that the chain gains must be added above, or named here as one that measures or shows times."""
    pages = {write_report, write_data_report, write_search_report, write_forms_page, write_optimize_page}
    timed = {load_generate, load_served, race, check_parity, score_served, measure_draft, compare_served}
    stages = {
        value
        for module in (
            chain,
            data_chain,
            train_chain,
            search_chain,
            learning,
            compress_chain,
            matrix_chain,
            optimize_chain,
            optimizing_quality,
        )
        for value in vars(module).values()
        if inspect.isfunction(value) and "out" in inspect.signature(value).parameters
    }
    assert stages - timed - pages == {call.stage for call in calls}


@pytest.mark.parametrize("stage", [clean, finetune, search, score_served, write_report, quantize])
def test_a_stage_promises_a_kind(stage: Callable[..., Any]) -> None:
    promised = typing.get_type_hints(stage)["return"]
    assert typing.get_origin(promised) is Draft
    assert typing.get_args(promised)[0] in (DatasetArtifact, ModelArtifact, ReportArtifact)
