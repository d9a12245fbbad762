"""Multi-task: rows keep texts apart, heads learn, runs resume to the bit, and what is saved predicts the same."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from killing import resumed_from, seal_then_kill

from burnish.artifacts import DatasetArtifact, ModelArtifact
from burnish.errors import BurnishError, RecipeError
from burnish.learn.classify import ClassifyTask, Labelled, LabelledRow
from burnish.learn.combination import EqualWeights, FixedWeights, GradNorm, NormalisedTrunk
from burnish.learn.gradnorm import open_combiner
from burnish.learn.loop import LoopConfig
from burnish.learn.task_labels import LabelSource, read_targets
from burnish.nn.encoders import open_encoder
from burnish.nn.heads import TaskLabels, attach_heads, heads_of, open_heads, pooled, predict, probabilities, tokenise
from burnish.nn.weights import open_model, quiet_transformers
from burnish.runtime import Run
from burnish.runtime.events import Event
from burnish.runtime.recipes import fill
from burnish.train.base import BaseConfig, LocalModel, take_base
from burnish.train.methods import Full, Lora, Prefix, Prompt, Unfreeze
from burnish.train.multitask import MultitaskConfig, multitask
from conftest import HEADLINES, make_tokenizer, read_lines, sealed_records

TONE = LabelSource("tone", ("serious", "sarcastic"))
SCRIPT = LabelSource("script", ("latin", "han"), column="planted")
CONFIG = MultitaskConfig(
    (TONE, SCRIPT),
    method=Lora(rank=4, alpha=8),
    loop=LoopConfig(num_steps=8, row_tokens=256, learning_rate=0.02, snapshot_every_steps=2, validate_every_steps=4),
    precision="fp32",
    max_tokens=64,
    compare_every_steps=2,
)
TASKS = (TaskLabels("tone", TONE.labels), TaskLabels("script", SCRIPT.labels))
SEQUENCES = [(5, 6, 7, 8), (9, 10), (5, 6, 7, 8, 11, 12, 13), (30,)]


@pytest.fixture
def texts(run: Run) -> DatasetArtifact:
    """Six headlines with two labels; the fourth has no tone."""
    rows = [
        {"id": f"h{i}", "text": text, "label": None if i == 3 else label, "planted": "han" if i == 4 else "latin"}
        for i, (text, label) in enumerate(HEADLINES)
    ]
    data: DatasetArtifact = sealed_records(run, {"train": rows, "validation": rows, "test": rows})
    return data


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random BERT folder with a masked language model's head; do not write into it."""
    import transformers

    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=320, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=48,
        max_position_embeddings=256, initializer_range=0.3,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("tiny-encoder")
    with quiet_transformers():
        transformers.BertForMaskedLM(config).save_pretrained(folder)
    make_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture
def encoder(run: Run, tiny_encoder: Path) -> ModelArtifact:
    """The tiny BERT as a base artifact."""
    return run(take_base, config=BaseConfig(LocalModel(tiny_encoder), "encoder"))


@pytest.mark.parametrize("pooling", ["last", "mean", "cls"])
@pytest.mark.parametrize("kind", ["decoder", "encoder"])
def test_a_text_in_a_row_is_read_as_if_alone(
    kind: str, pooling: Any, base: ModelArtifact, encoder: ModelArtifact
) -> None:
    if kind == "decoder" and pooling == "cls":
        with pytest.raises(RecipeError, match="whose first token sees no other"):
            _config_error(base, pooling)
        return
    model = open_model(base.payload, precision="fp32") if kind == "decoder" else None
    model = model or open_encoder(encoder.payload, precision="fp32")
    with torch.inference_mode():
        together = pooled(model, SEQUENCES, pooling, num_filler=5)
        for at, ids in enumerate(SEQUENCES):
            (inner,) = model(torch.tensor([ids]), output_hidden_states=True).hidden_states[-1]
            alone = {"last": inner[-1], "mean": inner.mean(0), "cls": inner[0]}[pooling]
            torch.testing.assert_close(together[at], alone, atol=1e-5, rtol=1e-4)


def _config_error(base: ModelArtifact, pooling: Any) -> None:
    from burnish.nn.encoders import is_encoder
    from burnish.nn.heads import check_pooling

    check_pooling(pooling, reads_both_ways=is_encoder(base.payload))


def _examples() -> list[Labelled]:
    targets = [{"tone": 0, "script": 1}, {"script": 0}, {"tone": 1}, {"tone": 1, "script": 0}]
    return [Labelled(ids, target) for ids, target in zip(SEQUENCES, targets, strict=True)]


def _headed(folder: Path) -> Any:
    model = open_model(folder, precision="fp32")
    torch.manual_seed(1)
    attach_heads(model, TASKS)
    return model


def test_gradients_are_those_of_plain_cross_entropy_over_the_labels_there_are(tiny_model: Path) -> None:
    """One row or one text a row: the loss and gradient that plain autograd gives, absent labels left out."""
    model = _headed(tiny_model)
    losses = []
    for name, index in (("tone", 0), ("script", 1)):
        chosen = [e for e in _examples() if name in e.targets]
        vectors = [model(torch.tensor([e.ids]), output_hidden_states=True).hidden_states[-1][0, -1] for e in chosen]
        logits = heads_of(model)[name](torch.stack(vectors))
        targets = torch.tensor([e.targets[name] for e in chosen])
        losses.append((2.0 if index else 1.0) * torch.nn.functional.cross_entropy(logits, targets))
    (losses[0] + losses[1]).backward()
    expected = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    for rows in ([LabelledRow(tuple(_examples()), 3)], [LabelledRow((e,)) for e in _examples()]):
        model.zero_grad(set_to_none=True)
        weights = FixedWeights({"tone": 1.0, "script": 2.0})
        task = ClassifyTask(TASKS, "last", open_combiner(weights, {"tone": 2, "script": 2}))
        measured = task.backward(model, rows, 1.0)
        assert measured["loss_nats_tone"] == pytest.approx(losses[0].item(), rel=1e-5)
        assert measured["loss_nats_script"] == pytest.approx(losses[1].item() / 2, rel=1e-5)
        for name, parameter in model.named_parameters():
            if name in expected:
                torch.testing.assert_close(parameter.grad, expected[name], atol=1e-5, rtol=1e-3)


def test_it_learns_each_task_and_leaves_its_evidence(run: Run, base: ModelArtifact, texts: DatasetArtifact) -> None:
    config = replace(CONFIG, combination=GradNorm(), loop=replace(CONFIG.loop, num_steps=16))
    tuned = run(multitask, base, texts, config=config)
    log = read_lines(tuned.payload / "training_log.jsonl")
    steps = [row for row in log if "loss_nats" in row]
    assert steps[-1]["loss_nats"] < steps[0]["loss_nats"] / 2
    assert tuned.measurement("accuracy_frac_tone").value == 1
    assert tuned.measurement("accuracy_frac_tone").n == 5  # the sixth has no tone
    assert tuned.measurement("macro_f1_frac_script").value == 1
    weights = [(row["weight_tone"], row["weight_script"]) for row in steps]
    assert weights[0] == (1.0, 1.0)
    assert weights[-1] != weights[0]
    assert all(sum(pair) == pytest.approx(2.0) for pair in weights)
    assert all(-1.001 <= row["grad_cosine_script_tone"] <= 1.001 for row in steps)
    assert sorted(path.name for path in tuned.payload.iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
        "heads.json",
        "heads.safetensors",
        "training_log.jsonl",
    ]


def test_a_killed_run_resumes_to_the_same_bits_with_its_weights(
    run: Run, base: ModelArtifact, texts: DatasetArtifact, events: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(CONFIG, combination=GradNorm(rate=0.2), method=Lora(rank=4, alpha=8, dropout=0.2))

    def make() -> ModelArtifact:
        return run(multitask, base, texts, config=config)

    digest = seal_then_kill(run, monkeypatch, ClassifyTask, make, 6)
    assert make().manifest.payload_digest == digest
    assert resumed_from(events) == [4]


@pytest.mark.parametrize("method", [Lora(rank=4, alpha=8), Full(), Unfreeze(1, 2), Prompt(4)])
@pytest.mark.parametrize("kind", ["decoder", "encoder"])
def test_what_is_saved_predicts_the_same(
    run: Run, kind: str, method: Any, base: ModelArtifact, encoder: ModelArtifact, texts: DatasetArtifact
) -> None:
    trunk = base if kind == "decoder" else encoder
    config = replace(CONFIG, method=method, loop=replace(CONFIG.loop, num_steps=3))
    if kind == "encoder" and isinstance(method, Prompt):
        with pytest.raises(RecipeError, match="the base is an encoder"):
            run(multitask, trunk, texts, config=config)
        return
    tuned = run(multitask, trunk, texts, config=config)
    is_adapter = isinstance(method, Lora | Prompt)
    opened = open_heads(tuned.payload, trunk.payload if is_adapter else None)
    assert opened.spec.pooling == ("last" if kind == "decoder" else "mean")
    found = predict(opened, [text for text, _ in HEADLINES])
    right = [found[i]["tone"].label == label for i, (_, label) in enumerate(HEADLINES) if i != 3]
    assert sum(right) / 5 == tuned.measurement("accuracy_frac_tone").value
    assert [set(each) for each in found] == [{"tone", "script"}] * 6
    for text, both in zip(HEADLINES, found, strict=True):
        (one,) = predict(opened, [text[0]], tasks=["script"])
        assert one["script"].label == both["script"].label
        assert one["script"].probability == pytest.approx(both["script"].probability, abs=1e-5)
        assert 0.5 <= one["script"].probability <= 1
    losses = read_lines(tuned.payload / "training_log.jsonl")[-1]
    ids, _ = tokenise(opened.tokenizer, [text for text, _ in HEADLINES], max_tokens=64)
    rows = probabilities(opened.model, ids, opened.spec.pooling, ["tone"], lambda _: None)["tone"]
    nats = [-math.log(rows[i][TONE.labels.index(label)]) for i, (_, label) in enumerate(HEADLINES) if i != 3]
    assert sum(nats) / 5 == pytest.approx(losses["validation_loss_nats_tone"], rel=1e-4)
    if is_adapter:
        with pytest.raises(BurnishError, match="give the folder of the base model too"):
            open_heads(tuned.payload)
    with pytest.raises(RecipeError, match="no head is for task 'topic'; there are: tone, script"):
        predict(opened, ["x"], tasks=["topic"])


def test_one_task_is_plain_classification_and_controls_train_each_alone(
    run: Run, base: ModelArtifact, texts: DatasetArtifact
) -> None:
    both = run(multitask, base, texts, config=replace(CONFIG, controls=True, combination=NormalisedTrunk()))
    alone = run(multitask, base, texts, config=CONFIG.alone(TONE))
    for name in ("accuracy_frac_tone", "macro_f1_frac_tone"):
        assert both.measurement(f"control_{name}").value == alone.measurement(name).value
    gain = both.measurement("macro_f1_frac_tone").value / alone.measurement("macro_f1_frac_tone").value - 1
    assert both.measurement("macro_f1_gain_frac_tone").value == pytest.approx(gain)
    assert not [m for m in alone.evidence if "cosine" in m.name or "weight_tone" in m.name]
    assert not [key for row in read_lines(alone.payload / "training_log.jsonl") for key in row if "script" in key]


def test_tasks_of_several_sources_and_of_meta(run: Run, texts: DatasetArtifact) -> None:
    """Records of another source have no label of the task; a cap counts each task's own."""
    import pyarrow
    import pyarrow.parquet

    path = texts.payload / "data/train.parquet"
    table = pyarrow.parquet.read_table(path).to_pylist()
    for index, row in enumerate(table):
        row |= {
            "source": "news" if index % 2 else "satire",
            "meta": json.dumps({"length": index % 2}) if index else None,
        }

    def given(out: Any, *, config: list[dict[str, Any]]) -> Any:
        from burnish.artifacts import Draft

        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(config), out / "data/train.parquet")
        return Draft(DatasetArtifact, (), "records of two sources")

    data = run(given, config=table)
    news = replace(TONE, source="news")
    length = LabelSource("length", ("0", "1"), column="meta.length")
    found = read_targets(data, "train", [news, length])
    assert [each.targets for each in found] == [
        {"tone": 0, "length": 1},
        {"length": 0},
        {"length": 1},
        {"length": 0},
        {"tone": 1, "length": 1},
    ]
    capped = read_targets(data, "train", [news, length], at_most=1)
    assert [each.targets for each in capped] == [{"tone": 0, "length": 1}]
    with pytest.raises(BurnishError, match="no record of source 'web' in split 'train'"):
        read_targets(data, "train", [replace(TONE, source="web")])
    with pytest.raises(BurnishError, match="record h0 has 'sarcastic' in column 'label'; task tone allows yes, no"):
        read_targets(data, "train", [replace(TONE, labels=("yes", "no"))])
    with pytest.raises(BurnishError, match="has no column 'topic'; there are: id, label, meta"):
        read_targets(data, "train", [replace(TONE, column="topic")])


def test_encoders_are_taken_as_such(run: Run, tiny_model: Path, tiny_encoder: Path, encoder: ModelArtifact) -> None:
    assert json.loads((encoder.payload / "config.json").read_text())["architectures"] == ["BertModel"]
    again = Run(run.store, run.events)
    assert encoder.manifest.payload_digest  # read now: its folder is made anew
    run.store.set_aside(encoder.digest)
    fresh = again(take_base, config=BaseConfig(LocalModel(tiny_encoder), "encoder"))
    assert fresh.manifest.payload_digest == encoder.manifest.payload_digest  # nothing in it is drawn by chance
    with pytest.raises(BurnishError, match="is no encoder: a token sees only what comes before it"):
        run(take_base, config=BaseConfig(LocalModel(tiny_model), "encoder"))


def test_recipes_are_checked() -> None:
    filled = fill(
        MultitaskConfig,
        {
            "tasks": [
                {"name": "tone", "labels": ["serious", "sarcastic"]},
                {"name": "grain", "labels": ["no", "yes"], "source": "reuters"},
            ],
            "combination": {"kind": "grad_norm", "alpha": 0.5},
            "pooling": "mean",
        },
    )
    assert filled.combination == GradNorm(alpha=0.5)
    assert filled.tasks[1].source == "reuters"
    with pytest.raises(RecipeError, match="there is one task, with nothing to combine"):
        replace(CONFIG, tasks=(TONE,), combination=NormalisedTrunk())
    with pytest.raises(RecipeError, match=r"combination\.weights names tone; give each task's: tone, script"):
        replace(CONFIG, combination=FixedWeights({"tone": 1.0}))
    for tasks in ((), (TONE, TONE), (replace(TONE, name="Tone!"),), (replace(TONE, labels=("a",)),)):
        with pytest.raises(RecipeError):
            replace(CONFIG, tasks=tasks, combination=EqualWeights())
    with pytest.raises(RecipeError, match="max_tokens is 0"):
        replace(CONFIG, max_tokens=0)


def test_a_prefix_serves_too(run: Run, base: ModelArtifact, texts: DatasetArtifact) -> None:
    config = replace(CONFIG, method=Prefix(4), combination=GradNorm(), loop=replace(CONFIG.loop, num_steps=3))
    tuned = run(multitask, base, texts, config=config)
    found = predict(open_heads(tuned.payload, base.payload), [text for text, _ in HEADLINES])
    right = [found[i]["tone"].label == label for i, (_, label) in enumerate(HEADLINES) if i != 3]
    assert sum(right) / 5 == tuned.measurement("accuracy_frac_tone").value
