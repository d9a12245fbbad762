"""Students from layers, distillation and its control: nearer to the teacher, resumable, only with one tokenizer."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from killing import seal_then_kill
from teaching_texts import text_data

from burnish.artifacts import DatasetArtifact, Draft, Measurement, ModelArtifact
from burnish.compress.distill import DistillConfig, control_tune, distill
from burnish.compress.quantize import QuantizeConfig, quantize
from burnish.compress.student import StudentConfig, make_student
from burnish.errors import BurnishError, RecipeError
from burnish.learn.distillation import DistillTask
from burnish.learn.feature_matching import Features
from burnish.learn.loop import LoopConfig
from burnish.learn.on_policy import OnPolicy
from burnish.nn.divergence_loss import Matching
from burnish.nn.weights import open_model
from burnish.runtime import Run, Workdir
from burnish.train.base import BaseConfig, LocalModel, take_base
from conftest import make_model, read_lines

CONFIG = DistillConfig(
    loop=LoopConfig(
        num_steps=8, row_tokens=128, rows_per_step=2, learning_rate=3e-3, snapshot_every_steps=3, validate_every_steps=4
    ),
    precision="fp32",
    teacher_precision="fp32",
)
IDS = torch.tensor([[5, 17, 90, 33, 41]])


@pytest.fixture
def documents(run: Run) -> DatasetArtifact:
    return text_data(run)


@pytest.fixture
def teacher(run: Run, tmp_path: Path) -> ModelArtifact:
    """Six layers, whose random weights are small enough that predictions are learnable."""
    folder = make_model(tmp_path / "teacher", "qwen2", num_hidden_layers=6, initializer_range=0.15)
    return run(take_base, config=BaseConfig(LocalModel(folder)))


def test_a_student_is_some_layers_of_its_teacher(run: Run, teacher: ModelArtifact) -> None:
    student = run(make_student, teacher, config=StudentConfig(3))
    shape = json.loads((student.payload / "config.json").read_text())
    assert (shape["num_hidden_layers"], len(shape["layer_types"])) == (3, 3)
    small, large = (open_model(artifact.payload, precision="fp32") for artifact in (student, teacher))
    for place, index in enumerate((0, 2, 5)):  # round(2.5) is 2
        for one, other in zip(small.model.layers[place].parameters(), large.model.layers[index].parameters(), strict=True):  # fmt: skip
            assert torch.equal(one, other)
    large.model.layers = torch.nn.ModuleList([large.model.layers[index] for index in (0, 2, 5)])
    with torch.no_grad():
        torch.testing.assert_close(small(IDS, use_cache=False).logits, large(IDS, use_cache=False).logits)
        with_cache = small.generate(IDS, max_new_tokens=3, do_sample=False)
    assert with_cache.shape == (1, 8)
    assert 0 < student.measurement("kept_weights_frac").value < 1
    assert (student.payload / "tokenizer.json").exists()


def test_layers_are_evenly_spaced_with_first_and_last() -> None:
    assert StudentConfig(4).kept(12) == [0, 4, 7, 11]
    assert StudentConfig(2).kept(30) == [0, 29]
    assert StudentConfig(layers=(0, 3)).kept(4) == [0, 3]
    for wrong in (StudentConfig(5), StudentConfig(layers=(0, 4))):
        with pytest.raises(RecipeError, match="teacher has 4 layers"):
            wrong.kept(4)
    with pytest.raises(RecipeError, match="rising order"):
        StudentConfig(layers=(3, 1))
    with pytest.raises(RecipeError, match="at least 2"):
        StudentConfig(1)


def test_distilling_brings_the_student_nearer_than_the_control(
    run: Run, teacher: ModelArtifact, documents: DatasetArtifact
) -> None:
    config = replace(CONFIG, student=StudentConfig(3), features=Features(num_steps=2))
    made = run(distill, teacher, teacher, documents, config=config)
    control = run(control_tune, teacher, teacher, documents, config=config)
    kl, start = made.measurement("validation_kl_nats"), made.measurement("start_validation_kl_nats")
    assert kl.low is not None
    assert kl.high is not None
    assert kl.low <= kl.value <= kl.high < start.value
    assert kl.value < control.measurement("validation_kl_nats").value
    # the teacher is random, so what the text says and what the teacher says differ: each learns its own
    assert control.measurement("validation_perplexity").value < made.measurement("validation_perplexity").value
    assert control.measurement("train_tokens") == made.measurement("train_tokens")
    assert control.measurement("start_validation_kl_nats") == start
    ratio = made.measurement("validation_perplexity").value / made.measurement("teacher_validation_perplexity").value
    assert made.measurement("validation_perplexity_ratio").value == pytest.approx(ratio, rel=1e-6)
    log = read_lines(made.payload / "training_log.jsonl")
    assert log[-1]["validation_kl_nats"] == pytest.approx(kl.value, rel=1e-5)
    opened = open_model(made.payload, precision="fp32")
    assert len(opened.model.layers) == 3
    assert not any("projection" in name for name in opened.state_dict())


def test_a_killed_distillation_is_the_same_in_the_end(
    run: Run, teacher: ModelArtifact, documents: DatasetArtifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(
        CONFIG, student=StudentConfig(3), features=Features(num_steps=2), on_policy=OnPolicy(0.5, prompt_tokens=60),
        logits=Matching(ce_frac=0.2),
    )  # fmt: skip

    def make() -> ModelArtifact:
        return run(distill, teacher, teacher, documents, config=config)

    digest = seal_then_kill(run, monkeypatch, DistillTask, make, 6)
    assert make().manifest.payload_digest == digest


def test_other_tokenizers_are_refused(
    run: Run, teacher: ModelArtifact, base: ModelArtifact, documents: DatasetArtifact, tmp_path: Path
) -> None:
    folder = make_model(tmp_path / "other")
    path = folder / "tokenizer.json"
    body = json.loads(path.read_text())
    vocabulary = body["model"]["vocab"]
    body["model"]["vocab"] = vocabulary | {"a": vocabulary["b"], "b": vocabulary["a"]}
    path.write_text(json.dumps(body))
    other = run(take_base, config=BaseConfig(LocalModel(folder)))
    with pytest.raises(RecipeError, match="different tokenizers"):
        run(distill, teacher, other, documents, config=CONFIG)
    healed = run(distill, teacher, base, documents, config=CONFIG)  # another architecture, the same tokenizer
    assert healed.measurement("validation_kl_nats").value < healed.measurement("start_validation_kl_nats").value


@pytest.mark.parametrize("stage", [distill, control_tune])
def test_a_student_that_must_not_be_trained_is_refused(
    run: Run, base: ModelArtifact, documents: DatasetArtifact, tmp_path: Path, stage: Any
) -> None:
    on_grid = run(quantize, base, config=QuantizeConfig())
    with pytest.raises(BurnishError, match="quantisation grid"):
        run(stage, base, on_grid, documents, config=CONFIG)
    folder = make_model(tmp_path / "packed")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"quantization_config": {"quant_method": "gptq"}}))
    for student, words in ((folder, "quantised already"), (tmp_path, "no whole model")):
        with pytest.raises(BurnishError, match=words):
            run(stage, base, imported(run, student), documents, config=CONFIG)


def test_layers_are_taken_of_known_families_alone(run: Run, documents: DatasetArtifact, tmp_path: Path) -> None:
    folder = make_model(tmp_path / "other", "gemma", head_dim=16)
    other = run(take_base, config=BaseConfig(LocalModel(folder)))
    with pytest.raises(BurnishError, match="model_type is 'gemma'; what can be cut"):
        run(make_student, other, config=StudentConfig(2))
    with pytest.raises(BurnishError, match="model_type is 'gemma'; what can be cut"):
        run(distill, other, other, documents, config=replace(CONFIG, student=StudentConfig(2)))


def imported(run: Run, folder: Path) -> ModelArtifact:
    """Seal a folder as it is."""

    def taken(out: Workdir, *, config: str) -> Draft[ModelArtifact]:
        for path in Path(config).glob("*.json"):
            (out / path.name).write_bytes(path.read_bytes())
        if (weights := Path(config) / "model.safetensors").exists():
            (out / weights.name).write_bytes(weights.read_bytes())
        return Draft(ModelArtifact, (Measurement("files_count", 1, "1", 1),), "As it came.")

    return run(taken, config=str(folder))


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(RecipeError, match="num_steps"):
        replace(CONFIG, features=Features(num_steps=8))
    with pytest.raises(RecipeError, match="control_tune"):
        replace(CONFIG, logits=Matching(ce_frac=1.0))
    with pytest.raises(RecipeError, match="fp16"):
        replace(CONFIG, precision="fp16")
