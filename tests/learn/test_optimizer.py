"""AdamW: torch's own in float32, and in bf16 the master copies that float32 would have, rounded once."""

from typing import Any

import pytest
import torch

from burnish.learn.optimizer import AdamW
from burnish.nn.weights import device

NAMES = ("matrix", "norm", "late")


def parameters(dtype: torch.dtype) -> dict[str, Any]:
    drawn = torch.Generator().manual_seed(0)
    shapes = {"matrix": (6, 5), "norm": (5,), "late": (4, 4)}
    return {
        name: torch.nn.Parameter(torch.randn(shape, generator=drawn).to(torch.bfloat16).to(device(), dtype))
        for name, shape in shapes.items()
    }


def step(mine: dict[str, Any], optimizer: AdamW, number: int, factor: float) -> None:
    drawn = torch.Generator().manual_seed(number)
    for name in NAMES:
        gradient = torch.randn(mine[name].shape, generator=drawn).to(torch.bfloat16)
        mine[name].grad = None if name == "late" and number < 3 else gradient.to(device(), mine[name].dtype)
    optimizer.step(0.01 * (1 + number), factor)


def expected(num_steps: int, factor: float) -> dict[str, Any]:
    """Take the same steps with torch's AdamW, one a parameter, gradients scaled by hand."""
    plain = parameters(torch.float32)
    optimizers = {name: torch.optim.AdamW([p], weight_decay=0.1 if p.ndim > 1 else 0.0) for name, p in plain.items()}
    for number in range(num_steps):
        drawn = torch.Generator().manual_seed(number)
        for name in NAMES:
            gradient = torch.randn(plain[name].shape, generator=drawn).to(torch.bfloat16).float().to(device())
            if name == "late" and number < 3:
                continue
            plain[name].grad = gradient * factor
            optimizers[name].param_groups[0]["lr"] = 0.01 * (1 + number) * (0.5 if name == "late" else 1.0)
            optimizers[name].step()
    return plain


@pytest.mark.parametrize("factor", [1.0, 0.25])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_it_takes_the_steps_of_torchs_adamw(dtype: torch.dtype, factor: float) -> None:
    mine = parameters(dtype)
    optimizer = AdamW(mine, weight_decay=0.1, rates={"late": 0.5})
    for number in range(8):
        step(mine, optimizer, number, factor)
        assert all(p.grad is None for p in mine.values())
    plain = expected(8, factor)
    masters = {name: tensors[0] for name, tensors in optimizer.state_dict()["masters"].items()}
    assert bool(masters) == (dtype != torch.float32)
    for name in NAMES:
        torch.testing.assert_close(masters.get(name, mine[name]), plain[name], atol=1e-5, rtol=1e-5)
        if name in masters:
            assert torch.equal(mine[name], masters[name].to(torch.bfloat16))


def test_small_steps_that_bf16_would_lose_add_up_in_the_master_copy() -> None:
    weight = torch.nn.Parameter(torch.full((2, 2), 100.0, dtype=torch.bfloat16, device=device()))
    optimizer = AdamW({"w": weight}, weight_decay=0.0)
    for _ in range(40):
        weight.grad = torch.ones_like(weight)
        optimizer.step(0.01)
    assert 100 + weight.new_tensor(-0.01) == 100  # a single step is below what bf16 tells apart at 100
    assert weight.float().max() < 99.8


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_state_goes_on_to_the_bit(dtype: torch.dtype) -> None:
    whole, first = parameters(dtype), parameters(dtype)
    straight, before = (AdamW(p, weight_decay=0.1, rates={"late": 0.5}) for p in (whole, first))
    for number in range(6):
        step(whole, straight, number, 1.0)
    for number in range(3):
        step(first, before, number, 1.0)
    second = {name: torch.nn.Parameter(p.detach().clone()) for name, p in first.items()}
    after = AdamW(second, weight_decay=0.1, rates={"late": 0.5})
    after.load_state_dict(before.state_dict())
    for number in range(3, 6):
        step(second, after, number, 1.0)
    assert all(torch.equal(second[name], whole[name]) for name in NAMES)
