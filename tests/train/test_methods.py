"""Methods: each learns on a tiny model, packs as PEFT itself computes, thaws when it says, and saves what others open."""

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from killing import resumed_from, seal_then_kill
from peft import PeftModel
from safetensors.torch import load_file

from burnish.artifacts import DatasetArtifact, ModelArtifact
from burnish.errors import RecipeError
from burnish.learn.loop import LoopConfig
from burnish.learn.packing import Sample, pack_once
from burnish.learn.schedules import WarmupLinear
from burnish.learn.task import TokenTask, loss_sum, mean_loss
from burnish.nn.chat import ChatFormat, LabelTask
from burnish.nn.weights import device, open_model, open_tokenizer, open_tuned, quiet_transformers
from burnish.runtime import Run
from burnish.runtime.events import Event
from burnish.runtime.recipes import fill
from burnish.train.base import BaseConfig, LocalModel, take_base
from burnish.train.finetune import FinetuneConfig, finetune
from burnish.train.merge import MergeConfig, merge
from burnish.train.methods import Full, Lora, Method, Prefix, Prompt, Unfreeze, prepare
from conftest import DEEPSEEK, HEADLINES, make_model, read_lines

CONFIG = FinetuneConfig(
    LabelTask("Which?", ("serious", "sarcastic")),
    method=Lora(rank=4, alpha=8),
    loop=LoopConfig(num_steps=10, row_tokens=512, learning_rate=0.02, snapshot_every_steps=500),
    precision="fp32",
)
METHODS: tuple[tuple[Method, float], ...] = (
    (Lora(4, 8, is_weight_decomposed=True), 0.02),
    (Lora(4, 8, is_rank_stabilised=True), 0.02),
    (Lora(4, 8, base_bits=8), 0.02),
    (Lora(4, 8, base_bits=4), 0.02),
    (Lora(4, 8, base_bits=4, is_double_quantised=True, is_weight_decomposed=True), 0.02),
    (Prefix(4), 1.0),
    (Prompt(4), 1.0),
    (Prompt(4, "area man"), 0.3),
    (Unfreeze(1, 4), 0.005),
    (Full(), 0.003),
)
LENGTHS = (9, 5, 14, 2)


def losses_of(tuned: ModelArtifact) -> list[float]:
    return [row["loss_nats"] for row in read_lines(tuned.payload / "training_log.jsonl") if "loss_nats" in row]


@pytest.mark.parametrize(("method", "rate"), METHODS)
def test_every_method_learns_and_opens_again_as_it_was(
    run: Run, base: ModelArtifact, headlines: DatasetArtifact, method: Method, rate: float
) -> None:
    config = replace(CONFIG, method=method, loop=replace(CONFIG.loop, learning_rate=rate))
    tuned = run(finetune, base, headlines, config=config)
    losses = losses_of(tuned)
    assert losses[-1] < 0.8 * losses[0]
    opened = open_tuned(base.payload, tuned.payload, precision="fp32")
    chat = ChatFormat(open_tokenizer(base.payload))
    answered = [chat.answered(CONFIG.task.messages(text), label) for text, label in HEADLINES]
    held_out = [
        Sample(each.ids, tuple(float(place >= each.answer_start) for place in range(len(each.ids))))
        for each in answered
    ]
    again = mean_loss(opened, pack_once(held_out, row_tokens=512))
    if not isinstance(method, Lora) or method.base_bits == 16:  # others are opened on the full base, and differ
        assert again == pytest.approx(tuned.measurement("validation_loss_nats").value, rel=1e-4)


def samples() -> list[Sample]:
    drawn = torch.Generator().manual_seed(0)
    texts = [tuple(torch.randint(3, 320, (n,), generator=drawn).tolist()) for n in LENGTHS]
    return [Sample(ids, tuple(float(t % 3 != 1) for t in range(len(ids)))) for ids in texts]


@pytest.mark.parametrize("architecture", ["llama", "qwen3"])
@pytest.mark.parametrize("method", [Prefix(5), Prompt(5), Prompt(3, "dogs")])
def test_packed_prefixes_and_prompts_lose_what_peft_loses_unpacked(
    tmp_path: Path, architecture: str, method: Prefix | Prompt
) -> None:
    """The oracle is PEFT's own forward, one example at a time, with torch's cross-entropy."""
    folder = make_model(tmp_path / "model", architecture, num_hidden_layers=3)
    model, _ = prepare(open_model(folder, precision="fp32"), method, folder)
    torch.manual_seed(1)
    for parameter in model.prompt_encoder.parameters():
        parameter.data.normal_()
    (row,) = pack_once(samples(), row_tokens=64)
    packed = loss_sum(model, row)
    packed.backward()
    gradients = [p.grad.clone() for p in model.prompt_encoder.parameters()]
    model.zero_grad()
    alone = torch.zeros((), device=device())
    for sample in samples():
        ids = torch.tensor([sample.ids], device=device())
        with quiet_transformers():
            logits = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0, -len(sample.ids) :]
        each = torch.nn.functional.cross_entropy(logits[:-1], ids[0, 1:], reduction="none")
        alone = alone + (each * torch.tensor(sample.weights[1:], device=device())).sum()
    alone.backward()
    weight = sum(row.weights)
    assert packed.item() / weight == pytest.approx(alone.item() / weight, abs=1e-5)
    for found, parameter in zip(gradients, model.prompt_encoder.parameters(), strict=True):
        torch.testing.assert_close(found, parameter.grad, atol=1e-4, rtol=1e-3)
    one, _ = prepare(open_model(folder, precision="fp32"), Lora(rank=1), folder)
    assert abs(loss_sum(one, row).item() - packed.item()) / weight > 1e-2  # the virtual tokens are seen


def stage_of(name: str) -> int | None:
    """Say when a number of a four-layer model thaws, two layers a stage; None: never."""
    if "embed_tokens" in name:
        return 2
    return {"0": 1, "1": 1, "2": 0, "3": 0}[name.split(".")[2]] if ".layers." in name else 0


def test_groups_thaw_at_their_steps_at_their_rates(
    run: Run, headlines: DatasetArtifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AdamW's first step moves a number by the rate itself, whatever its gradient."""
    base = run(take_base, config=BaseConfig(LocalModel(make_model(tmp_path / "m", num_hidden_layers=4))))
    method = Unfreeze(layers_per_stage=2, stage_steps=3, rate_decay=2.0, has_embeddings=True)
    loop = replace(CONFIG.loop, num_steps=8, learning_rate=1e-3, schedule=WarmupLinear(0.0, 1.0))
    seen: list[dict[str, torch.Tensor]] = []
    monkeypatch.setattr(TokenTask, "backward", _watching(TokenTask.backward, seen))
    tuned = run(finetune, base, headlines, config=replace(CONFIG, method=method, loop=loop))
    end = open_model(tuned.payload, precision="fp32")
    seen.append({name: p.detach() for name, p in end.named_parameters()})
    for name in seen[0]:
        stage = stage_of(name)
        assert stage is not None
        moved = [float((after[name] - before[name]).abs().max()) for before, after in pairwise(seen)]
        assert moved[: 3 * stage] == [0.0] * (3 * stage)
        assert moved[3 * stage] == pytest.approx(1e-3 / 2**stage, rel=0.02)
        assert all(moved[3 * stage :])


def _watching(backward: Any, seen: list[dict[str, torch.Tensor]]) -> Any:
    def watched(task: TokenTask, model: Any, batch: Any, scale: float) -> Any:
        seen.append({name: p.detach().clone() for name, p in model.named_parameters()})
        return backward(task, model, batch, scale)

    return watched


@pytest.mark.parametrize("dies_at", [3, 6])  # before and after the second stage has thawed
def test_unfreezing_resumes_in_the_middle_to_the_same_bits(
    run: Run,
    base: ModelArtifact,
    headlines: DatasetArtifact,
    events: list[Event],
    monkeypatch: pytest.MonkeyPatch,
    dies_at: int,
) -> None:
    loop = replace(CONFIG.loop, num_steps=8, learning_rate=0.005, snapshot_every_steps=2)
    config = replace(CONFIG, method=Unfreeze(1, 3), loop=loop)

    def make() -> ModelArtifact:
        return run(finetune, base, headlines, config=config)

    assert seal_then_kill(run, monkeypatch, TokenTask, make, dies_at) == make().manifest.payload_digest
    assert resumed_from(events) == [2 * ((dies_at - 1) // 2)]


def test_a_fully_trained_model_is_one_that_transformers_opens(
    run: Run, base: ModelArtifact, headlines: DatasetArtifact
) -> None:
    config = replace(CONFIG, method=Full(), loop=replace(CONFIG.loop, learning_rate=0.003))
    tuned = run(finetune, base, headlines, config=config)
    assert tuned.measurement("trained_frac").value == 1
    with quiet_transformers():
        model = transformers.AutoModelForCausalLM.from_pretrained(tuned.payload)
        tokenizer = transformers.AutoTokenizer.from_pretrained(tuned.payload)
    before = open_model(base.payload, precision="fp32").state_dict()
    assert all(not torch.equal(tensor, before[name].cpu()) for name, tensor in model.state_dict().items())
    ids = tokenizer("sea levels", return_tensors="pt").input_ids
    assert math.isfinite(model(ids, labels=ids).loss.item())
    assert tokenizer.chat_template


@pytest.mark.parametrize(("method", "share"), [(Lora(4, 8, base_bits=8), 0.6), (Lora(4, 8, base_bits=4), 0.5)])
def test_an_adapter_of_a_packed_base_merges_into_the_full_one(
    run: Run, base: ModelArtifact, headlines: DatasetArtifact, method: Lora, share: float
) -> None:
    plain = run(finetune, base, headlines, config=CONFIG)
    tuned = run(finetune, base, headlines, config=replace(CONFIG, method=method))
    adapter = load_file(tuned.payload / "adapter_model.safetensors")
    assert adapter.keys() == load_file(plain.payload / "adapter_model.safetensors").keys()
    assert tuned.measurement("trained_frac").value == plain.measurement("trained_frac").value
    small, full = (each.measurement("weights_bytes").value for each in (tuned, plain))
    assert small < share * full
    merged = load_file(run(merge, base, tuned, config=MergeConfig()).payload / "model.safetensors")
    for name, given in load_file(base.payload / "model.safetensors").items():
        key = f"base_model.model.{name.removesuffix('.weight')}.lora"
        change = 2 * adapter[f"{key}_B.weight"] @ adapter[f"{key}_A.weight"] if f"{key}_A.weight" in adapter else 0.0
        torch.testing.assert_close(merged[name], given + change)


def test_bits_are_chosen_in_a_recipe_and_double_quantisation_is_of_four_alone() -> None:
    assert fill(Lora, {"base_bits": 4, "is_double_quantised": True}) == Lora(base_bits=4, is_double_quantised=True)
    with pytest.raises(RecipeError, match="base_bits is 3; allowed: 16, 8, 4"):
        fill(Lora, {"base_bits": 3})
    with pytest.raises(RecipeError, match="of 4 bits alone, base_bits is 8"):
        Lora(base_bits=8, is_double_quantised=True)


@pytest.mark.parametrize("base_bits", [16, 4])
def test_a_deepseek_model_learns_and_merges_to_the_adapters_logits(
    run: Run, headlines: DatasetArtifact, tmp_path: Path, base_bits: Any
) -> None:
    folder = make_model(tmp_path / "deepseek", "deepseek_v3", **DEEPSEEK)
    base = run(take_base, config=BaseConfig(LocalModel(folder)))
    config = replace(CONFIG, method=replace(CONFIG.method, base_bits=base_bits))
    tuned = run(finetune, base, headlines, config=config)
    losses = losses_of(tuned)
    assert losses[-1] < 0.8 * losses[0]
    merged = run(merge, base, tuned, config=MergeConfig())
    ids = torch.tensor([[1, 50, 60, 70, 2]], device=device())
    with torch.inference_mode(), quiet_transformers():
        plain = open_model(base.payload, precision="fp32")
        before = plain(ids).logits.clone()
        adapted = PeftModel.from_pretrained(plain, tuned.payload).eval()(ids).logits
        after = open_model(merged.payload, precision="fp32")(ids).logits
    torch.testing.assert_close(after, adapted, atol=1e-4, rtol=1e-4)
    assert (after - before).abs().max() > 0.05
