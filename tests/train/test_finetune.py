"""Fine-tuning: it learns, it is repeatable, it resumes to the bit, and it merges without loss."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from killing import resumed_from, seal_then_kill
from peft import PeftModel

from burnish.artifacts import DatasetArtifact, ModelArtifact
from burnish.errors import BurnishError, RecipeError
from burnish.learn.clipping import FixedNorm
from burnish.learn.fgsm import Fgsm
from burnish.learn.loop import LoopConfig
from burnish.learn.packing import Sample, pack_once
from burnish.learn.task import TokenTask
from burnish.nn.chat import ChatFormat, LabelTask
from burnish.nn.weights import device, open_model, open_tokenizer, quiet_transformers
from burnish.runtime import Run
from burnish.runtime.events import Event
from burnish.runtime.recipes import fill
from burnish.train.base import BaseConfig, LocalModel, take_base
from burnish.train.finetune import FinetuneConfig, finetune
from burnish.train.merge import MergeConfig, merge
from burnish.train.methods import Lora
from conftest import HEADLINES, make_model, read_lines, sealed_records

TASK = LabelTask("Which?", ("serious", "sarcastic"))
CONFIG = FinetuneConfig(
    TASK,
    method=Lora(rank=4, alpha=8),
    loop=LoopConfig(num_steps=8, row_tokens=512, learning_rate=0.02, snapshot_every_steps=2, validate_every_steps=4),
    precision="fp32",
)
WITH_DROPOUT = Lora(rank=4, alpha=8, dropout=0.2)


def test_it_learns_and_leaves_its_curve(run: Run, base: ModelArtifact, headlines: DatasetArtifact) -> None:
    tuned = run(finetune, base, headlines, config=CONFIG)
    log = read_lines(tuned.payload / "training_log.jsonl")
    losses = [row["loss_nats"] for row in log if "loss_nats" in row]
    assert len(losses) == 8
    assert losses[-1] < losses[0] / 2
    assert [row["step"] for row in log if "validation_loss_nats" in row] == [4, 8]
    assert all(math.isfinite(row.get("grad_norm", 0)) for row in log)
    assert tuned.measurement("trained_frac").value < 0.5
    assert sorted(path.name for path in tuned.payload.iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
        "training_log.jsonl",
    ]


def test_same_seed_same_bytes(run: Run, base: ModelArtifact, headlines: DatasetArtifact) -> None:
    first = run(finetune, base, headlines, config=CONFIG)
    assert first.manifest.payload_digest  # read now: its folder is made anew
    run.store.set_aside(first.digest)
    again = run(finetune, base, headlines, config=CONFIG)
    assert again.manifest.payload_digest == first.manifest.payload_digest
    other = run(finetune, base, headlines, config=replace(CONFIG, seed=1))
    assert other.manifest.payload_digest != first.manifest.payload_digest


@pytest.mark.parametrize("adversarial", [None, Fgsm(0.05)])
def test_a_killed_run_resumes_to_the_same_bits(
    run: Run,
    base: ModelArtifact,
    headlines: DatasetArtifact,
    events: list[Event],
    monkeypatch: pytest.MonkeyPatch,
    adversarial: Fgsm | None,
) -> None:
    # dropout, so that the RNG must be restored too
    config = replace(CONFIG, method=WITH_DROPOUT, adversarial=adversarial)

    def make() -> ModelArtifact:
        return run(finetune, base, headlines, config=config)

    digest = seal_then_kill(run, monkeypatch, TokenTask, make, 6)
    assert make().manifest.payload_digest == digest
    assert resumed_from(events) == [4]


def test_gradients_of_accumulated_rows_weigh_tokens_alike(tiny_model: Path) -> None:
    """One long row or many short ones of unequal label counts: the same loss and the same gradient."""
    chat = ChatFormat(open_tokenizer(tiny_model))
    examples = [chat.answered(TASK.messages(text), label).ids for text, label in HEADLINES]
    samples = [
        Sample(ids, tuple(0.0 if t % (n + 2) else 0.5 + n for t in range(len(ids)))) for n, ids in enumerate(examples)
    ]
    found = []
    for row_tokens in (10_000, max(map(len, examples))):
        model = open_model(tiny_model, precision="fp32")
        rows = pack_once(samples, row_tokens=row_tokens)
        measured = TokenTask().backward(model, rows, 1.0)
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        found.append((len(rows), measured["loss_nats"], float(torch.nn.utils.get_total_norm(gradients))))
    (one, loss, norm), (many, loss_of_many, norm_of_many) = found
    assert one == 1 < many
    assert loss_of_many == pytest.approx(loss, rel=1e-5)
    assert norm_of_many == pytest.approx(norm, rel=1e-4)


def test_merged_equals_base_with_adapter(run: Run, base: ModelArtifact, headlines: DatasetArtifact) -> None:
    tuned = run(finetune, base, headlines, config=CONFIG)
    merged = run(merge, base, tuned, config=MergeConfig())
    ids = torch.tensor([[1, 50, 60, 70, 2]], device=device())
    plain = open_model(base.payload, precision="fp32")
    with torch.inference_mode(), quiet_transformers():
        before = plain(ids).logits
        with_adapter = PeftModel.from_pretrained(plain, tuned.payload).eval()(ids).logits
        after = open_model(merged.payload, precision="fp32")(ids).logits
    torch.testing.assert_close(after, with_adapter, atol=1e-4, rtol=1e-4)
    assert (after - before).abs().max() > 0.1
    for name in ("tokenizer.json", "chat_template.jinja"):
        assert (merged.payload / name).read_bytes() == (base.payload / name).read_bytes()


def test_an_adapter_of_another_base_is_refused(
    run: Run, base: ModelArtifact, headlines: DatasetArtifact, tmp_path: Path
) -> None:
    tuned = run(finetune, base, headlines, config=CONFIG)
    other = run(take_base, config=BaseConfig(LocalModel(make_model(tmp_path / "other", num_hidden_layers=1))))
    with pytest.raises(RecipeError, match="was trained on base"):
        run(merge, other, tuned, config=MergeConfig())


def test_a_label_outside_the_task_is_refused(run: Run, base: ModelArtifact) -> None:
    rows = [{"id": "x", "text": HEADLINES[0][0], "label": "funny"}]
    data = sealed_records(run, {"train": rows, "validation": rows})
    with pytest.raises(BurnishError, match="record x has label 'funny'; the task allows serious, sarcastic"):
        run(finetune, base, data, config=CONFIG)


def test_records_without_a_label_are_left_out(run: Run, base: ModelArtifact) -> None:
    rows = [{"id": f"h{i}", "text": text, "label": label} for i, (text, label) in enumerate(HEADLINES)]
    data = sealed_records(run, {"train": [*rows, {"id": "x", "text": "no label", "label": None}], "validation": rows})
    assert run(finetune, base, data, config=CONFIG).measurement("train_records").value == len(HEADLINES)
    bare = [{"id": "x", "text": "no label", "label": None}]
    with pytest.raises(BurnishError, match=r"no record in split 'train' .* has a label"):
        run(finetune, base, sealed_records(run, {"train": bare, "validation": rows}), config=CONFIG)


def test_a_loss_that_breaks_stops_with_a_remedy(run: Run, base: ModelArtifact, headlines: DatasetArtifact) -> None:
    config = replace(CONFIG, loop=replace(CONFIG.loop, learning_rate=1e30, clipping=FixedNorm(1e30)))
    with pytest.raises(BurnishError, match=r"training broke at step .* Lower learning_rate"):
        run(finetune, base, headlines, config=config)


def test_the_text_weight_decides_what_the_loss_sees(run: Run, base: ModelArtifact, headlines: DatasetArtifact) -> None:
    def first_loss(weight: float) -> float:
        config = replace(CONFIG, text_weight=weight, loop=replace(CONFIG.loop, num_steps=1))
        return run(finetune, base, headlines, config=config).measurement("train_loss_nats").value

    answer, some, whole = first_loss(0.0), first_loss(0.1), first_loss(1.0)
    assert answer != some != whole
    assert min(answer, whole) < some < max(answer, whole)
    with pytest.raises(RecipeError, match="text_weight is 2"):
        replace(CONFIG, text_weight=2.0)
    with pytest.raises(RecipeError, match="smoothing_frac is 1"):
        replace(CONFIG, smoothing_frac=1.0)


def test_adversarial_training_is_off_unless_asked_for(
    run: Run, base: ModelArtifact, headlines: DatasetArtifact
) -> None:
    assert CONFIG.adversarial is None
    fgsm = fill(FinetuneConfig, {"task": {"instruction": "?", "labels": ["a", "b"]}, "adversarial": {"form": "sign"}})
    assert fgsm.adversarial == Fgsm(form="sign")
    far = Fgsm(0.1)
    plain = run(finetune, base, headlines, config=replace(CONFIG, method=WITH_DROPOUT))
    control = run(finetune, base, headlines, config=replace(CONFIG, method=WITH_DROPOUT, adversarial=Fgsm(0.0)))
    hard = run(finetune, base, headlines, config=replace(CONFIG, method=WITH_DROPOUT, adversarial=far))
    weights = [(done.payload / "adapter_model.safetensors").read_bytes() for done in (plain, control, hard)]
    assert weights[0] == weights[1] != weights[2]
    assert not [m for m in plain.evidence if "attacked" in m.name]
    untouched = control.measurement("attacked_validation_loss_nats").value
    assert untouched == pytest.approx(plain.measurement("validation_loss_nats").value, rel=1e-5)
    attacked = hard.measurement("attacked_validation_loss_nats").value
    assert attacked > hard.measurement("validation_loss_nats").value
    steps = [row for row in read_lines(hard.payload / "training_log.jsonl") if "loss_nats" in row]
    assert all(row["adversarial_loss_nats"] > row["loss_nats"] for row in steps)


def test_a_local_model_that_is_none_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(RecipeError, match=r"config\.json"):
        run(take_base, config=BaseConfig(LocalModel(tmp_path / "empty")))
    (tmp_path / "empty" / "config.json").write_text(json.dumps({"model_type": "nonsense"}))
    with pytest.raises(BurnishError, match="cannot be opened"):
        run(take_base, config=BaseConfig(LocalModel(tmp_path / "empty")))
