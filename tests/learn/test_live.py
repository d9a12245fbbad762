"""What a step shows: counted arithmetic against torch's own count, listed peaks, and what reaches the events."""

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from burnish.artifacts import DatasetArtifact, ModelArtifact
from burnish.learn.live import Live, flops_per_token, listed_peak, peak_flops_per_s
from burnish.learn.loop import LoopConfig
from burnish.nn.chat import LabelTask
from burnish.nn.weights import open_model, quiet_transformers
from burnish.runtime import Run
from burnish.runtime.events import Event, Metrics, Progress
from burnish.train.finetune import FinetuneConfig, finetune

TOKENS = 24


def counted(model: Any) -> float:
    """What torch counts for forward and backward of a token, products of tokens with tokens taken out."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        model(input_ids=torch.arange(TOKENS)[None] + 5).logits.sum().backward()
    per_op: dict[Any, int] = counter.get_flop_counts()["Global"]
    pairs = [ops for op, ops in per_op.items() if "bmm" in str(op) or "attention" in str(op)]
    total: int = counter.get_total_flops()
    return (total - sum(pairs)) / TOKENS


def training(tiny_model: Path, names: str) -> Any:
    model = open_model(tiny_model, precision="fp32", attention="eager")
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(re.search(names, name) is not None)
    return model


def test_full_training_multiplies_each_weight_three_times(tiny_model: Path) -> None:
    model = training(tiny_model, ".")
    assert flops_per_token(model) == counted(model)


def test_layers_below_the_first_that_trains_are_passed_once(tiny_model: Path) -> None:
    model = training(tiny_model, r"layers\.1\.")
    assert flops_per_token(model) == counted(model)
    assert flops_per_token(model) < flops_per_token(training(tiny_model, "."))


def test_adapters_leave_out_the_gradients_of_the_base(tiny_model: Path) -> None:
    import peft

    with quiet_transformers():
        model = peft.get_peft_model(training(tiny_model, "^$"), peft.LoraConfig(r=4, target_modules="all-linear"))
    first = model.base_model.model.model.layers[0].self_attn
    unneeded = sum(
        2 * (proj.base_layer.weight.numel() + proj.lora_A["default"].weight.numel())
        for proj in (first.q_proj, first.k_proj, first.v_proj)
    )
    assert flops_per_token(model) == counted(model) + unneeded


@pytest.mark.parametrize(
    ("name", "tflops"),
    [
        ("NVIDIA H100 80GB HBM3", 989.4),
        ("NVIDIA H100 PCIe", 756),
        ("NVIDIA H200", 989.4),
        ("NVIDIA A100-SXM4-80GB", 312),
        ("NVIDIA L40S", 362),
        ("NVIDIA L4", 121),
        ("NVIDIA A10", 125),
        ("NVIDIA GeForce RTX 4090", 165.2),
        ("NVIDIA A10G", None),
        ("Tesla T4", None),
    ],
)
def test_peaks_are_found_by_the_whole_word(name: str, tflops: float | None) -> None:
    assert listed_peak(name) == (None if tflops is None else pytest.approx(tflops * 1e12))


def test_a_measured_peak_is_measured_once() -> None:
    assert 1e8 < peak_flops_per_s("float32") == peak_flops_per_s("float32") < 1e14


def test_figures_follow_from_the_step(tiny_model: Path) -> None:
    model = training(tiny_model, ".")
    live = Live(model)
    shown = live.step(tokens=500, tokens_total=1500, seconds=0.25)
    assert shown["tokens_per_s"] == 2000
    assert shown["mfu_frac"] == pytest.approx(2000 * flops_per_token(model) / peak_flops_per_s("float32"))
    assert shown["memory_bytes"] > 1e7
    assert "last_snapshot_unix_s" not in shown
    assert live.note({"grad_norm": 9.0, "loss_nats": 1.5}, 1e-4, shown).startswith(
        "loss 1.500 · lr 1.0e-04 · 2,000 tokens/s · MFU "
    )
    assert live.note({"loss_nats": 1.5}, 1e-4, shown).endswith(" GiB")
    assert live.note({"feature_loss": 0.25}, 1e-4, shown).startswith("feature loss 0.250 · lr ")
    assert live.note({"grad_norm": 9.0}, 1e-4, shown).startswith("step left out · lr ")


def test_what_begins_to_train_later_counts_later(tiny_model: Path) -> None:
    model = training(tiny_model, r"layers\.1\.")
    live = Live(model)
    before = live.step(tokens=1, tokens_total=1, seconds=1.0, phase=0)["mfu_frac"]
    for parameter in model.parameters():
        parameter.requires_grad_(requires_grad=True)
    assert live.step(tokens=1, tokens_total=2, seconds=1.0, phase=1)["mfu_frac"] > before


def test_training_tells_its_metrics(
    run: Run, base: ModelArtifact, headlines: DatasetArtifact, events: list[Event]
) -> None:
    task = LabelTask("Sarcastic or serious?", ("sarcastic", "serious"))
    loop = LoopConfig(num_steps=4, row_tokens=128, snapshot_every_steps=2, validate_every_steps=4)
    run(finetune, base, headlines, config=FinetuneConfig(task=task, loop=loop, precision="fp32"))
    steps = [event.values for event in events if isinstance(event, Metrics) and "loss_nats" in event.values]
    assert len(steps) == 4
    wanted = {"loss_nats", "grad_norm", "lr", "tokens_per_s", "tokens_total", "step_s", "memory_bytes", "mfu_frac"}
    assert all(wanted <= set(values) for values in steps)
    assert all(early["tokens_total"] < late["tokens_total"] for early, late in pairwise(steps))
    assert ["last_snapshot_unix_s" in values for values in steps] == [False, False, True, True]
    notes = [event.note for event in events if isinstance(event, Progress) and event.task == "training" and event.note]
    assert all(re.search(r"loss .* tokens/s · MFU \d+% · .* GiB( · validating)?$", note) for note in notes)
    assert notes[-1].endswith("validating")
