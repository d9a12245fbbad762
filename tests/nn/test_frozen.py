"""Frozen layers: the levels from their definition, errors within bounds, gradients of the dense layer, bytes counted."""

import math
from pathlib import Path
from statistics import NormalDist, fmean

import pytest
import torch
from peft import LoraConfig, get_peft_model

from burnish.errors import BurnishError
from burnish.nn.frozen import NF4, Int8, Nf4, Scheme, freeze_linears, num_weights, pack, unpack, weights_bytes
from burnish.nn.weights import device, open_model, quiet_transformers
from conftest import DEEPSEEK, make_model

SCHEMES: tuple[Scheme, ...] = (Int8(), Nf4(), Nf4(is_double_quantised=True))


def test_the_levels_are_those_of_the_paper() -> None:
    """Eight quantiles above zero, seven below and zero itself, from the tail that QLoRA's code sets."""
    tail = fmean((1 - 1 / 30, 1 - 1 / 32))
    quantile = NormalDist().inv_cdf
    above = [quantile(tail + (0.5 - tail) * step / 8) for step in range(8)]
    below = [-quantile(tail + (0.5 - tail) * step / 7) for step in range(7)]
    levels = sorted([*above, *below, 0.0])
    assert pytest.approx([level / max(levels) for level in levels], abs=1e-6) == NF4


def weight(rows: int, columns: int) -> torch.Tensor:
    torch.manual_seed(0)
    drawn = torch.randn(rows, columns) * torch.logspace(-3, 1, rows)[:, None]
    drawn[0] = 0  # a channel of zeros has no scale
    return drawn


def restored(given: torch.Tensor, scheme: Scheme) -> torch.Tensor:
    found: torch.Tensor = unpack(pack(given, scheme), (given.shape[0], given.shape[1]), torch.float32)
    return found


def test_int8_moves_a_weight_by_half_a_scale_at_most() -> None:
    given = weight(40, 100)
    error = (restored(given, Int8()) - given).abs()
    largest = given.abs().amax(1, keepdim=True)
    assert (error <= largest / 254 * (1 + 1e-5)).all()
    assert error.max() > (largest / 254).max() * 0.9


def blocks_of(given: torch.Tensor, length: int = 64) -> list[torch.Tensor]:
    return list(given.flatten().split(length))


@pytest.mark.parametrize("shape", [(8, 128), (7, 100), (3, 21)])  # whole blocks, across rows, a torn last one
def test_nf4_gives_the_nearest_level_of_each_block(shape: tuple[int, int]) -> None:
    given = weight(*shape)
    expected = []
    for block in blocks_of(given):
        largest = float(block.abs().max())
        expected += [min((abs(level * largest - w), level * largest) for level in NF4)[1] for w in block.tolist()]
    torch.testing.assert_close(restored(given, Nf4()).flatten(), torch.tensor(expected))
    for block, found in zip(blocks_of(given), blocks_of(restored(given, Nf4())), strict=True):
        assert (found - block).abs().max() <= block.abs().max() * (1 - 0.6961928) / 2 * (1 + 1e-5)


def test_double_quantisation_moves_a_scale_by_a_sixteenth_of_its_distance_from_the_mean() -> None:
    given = torch.randn(600, 64, generator=torch.Generator().manual_seed(0)) * torch.linspace(0.5, 2, 600)[:, None]
    once, twice = (restored(given, Nf4(is_double)) for is_double in (False, True))
    scales = given.abs().amax(1)
    ratio = torch.where(once == 0, torch.nan, twice / once).nanmean(1)
    moved = (ratio * scales - scales).abs()
    deviation = (scales - scales.mean()).abs()
    for group in (slice(0, 256), slice(256, 512), slice(512, 600)):
        smallest = deviation[group].max() / 448 * 2**-10
        assert (moved[group] <= deviation[group] / 16 + smallest + 1e-5).all()
    assert moved.max() > 1e-3


@pytest.mark.parametrize(
    ("scheme", "num_bits"),
    [(Int8(), 8 + 32 / 512), (Nf4(), 4 + 32 / 64), (Nf4(is_double_quantised=True), 4 + 8 / 64 + 32 / (64 * 256))],
)
def test_a_weight_takes_the_bits_that_the_scheme_says(scheme: Scheme, num_bits: float) -> None:
    given = torch.randn(512, 512)
    num_bytes = sum(tensor.numel() * tensor.element_size() for tensor in pack(given, scheme))
    mean_bytes = 4 if scheme == Nf4(is_double_quantised=True) else 0
    assert 8 * (num_bytes - mean_bytes) / given.numel() == pytest.approx(num_bits)


class Small(torch.nn.Module):  # type: ignore[misc]  # torch is not typed here
    def __init__(self, *, has_bias: bool) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(48, 30, bias=has_bias)
        self.head = torch.nn.Linear(30, 5)

    def get_output_embeddings(self) -> torch.nn.Module:
        return self.head


@pytest.mark.parametrize("has_bias", [True, False])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_outputs_and_gradients_are_the_dense_layers_and_only_packed_weights_are_kept(
    scheme: Scheme, has_bias: bool
) -> None:
    torch.manual_seed(0)
    model = Small(has_bias=has_bias)
    head = model.head
    assert freeze_linears(model, scheme) == 1
    assert model.head is head
    frozen = model.linear
    dense = torch.nn.Linear(48, 30, bias=has_bias)
    dense.weight.data.copy_(frozen.weight)
    if has_bias:
        dense.bias.data.copy_(frozen.bias)
    given = torch.randn(2, 7, 48)
    xs = [given.clone().requires_grad_(), given.clone().requires_grad_()]
    kept: list[torch.Tensor] = []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        found = frozen(xs[0])
    expected = dense(xs[1])
    torch.testing.assert_close(found, expected)
    for output in (found, expected):
        output.square().sum().backward()
    torch.testing.assert_close(xs[0].grad, xs[1].grad)
    assert {id(tensor) for tensor in kept} <= {id(buffer) for buffer in frozen.buffers()}
    assert not list(frozen.parameters())


def test_a_damaged_weight_is_refused() -> None:
    model = Small(has_bias=True)
    model.linear.weight.data[3, 4] = math.nan
    with pytest.raises(BurnishError, match=r"linear\.weight holds numbers that are not finite"):
        freeze_linears(model, Int8())


def test_a_model_keeps_its_head_and_counts_as_before(tiny_model: Path) -> None:
    model = open_model(tiny_model, precision="fp32")
    before, dense_bytes = num_weights(model), weights_bytes(model)
    assert dense_bytes == 4 * before
    assert freeze_linears(model, Nf4()) == 2 * 7
    assert num_weights(model) == before
    left = sum(p.numel() for p in model.parameters())
    assert weights_bytes(model) == 4 * left + (before - left) * 9 // 16
    assert freeze_linears(model, Nf4()) == 0


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("use_dora", [False, True])
def test_peft_wraps_packed_layers_like_any_others(tiny_model: Path, scheme: Scheme, use_dora: bool) -> None:
    """With the adapter at zero the packed model's logits stay; DoRA reads the restored weight's lengths."""
    model = open_model(tiny_model, precision="fp32")
    freeze_linears(model, scheme)
    ids = torch.tensor([[5, 9, 200, 31, 7]], device=device())
    with torch.inference_mode(), quiet_transformers():
        before = model(ids).logits
        wrapped = get_peft_model(model, LoraConfig(r=4, target_modules="all-linear", use_dora=use_dora)).eval()
        torch.testing.assert_close(wrapped(ids).logits, before, atol=1e-4, rtol=1e-4)
    assert sum("lora_A" in name for name, _ in wrapped.named_parameters()) == 14
    assert all("lora" in name for name, p in wrapped.named_parameters() if p.requires_grad)


def test_stacked_experts_stay_and_the_rest_is_packed(tmp_path: Path) -> None:
    model = open_model(make_model(tmp_path / "moe", "deepseek_v3", **DEEPSEEK), precision="fp32")
    experts = [p for name, p in model.named_parameters() if "experts" in name and p.ndim == 3]
    freeze_linears(model, Int8())
    assert experts
    assert all(any(p is each for p in model.parameters()) for each in experts)
    assert not [m for m in model.modules() if type(m) is torch.nn.Linear and m is not model.get_output_embeddings()]
