"""Log-probabilities from hidden states: what torch finds from full logits, without having them."""

import pytest
import torch

from burnish.learn.packing import IGNORED
from burnish.nn import cross_entropy
from burnish.nn.cross_entropy import linear_logprobs


@pytest.mark.parametrize("chunk_positions", [1, 4, 1000])
def test_values_and_gradients_are_those_of_full_logits(monkeypatch: pytest.MonkeyPatch, chunk_positions: int) -> None:
    torch.manual_seed(0)
    hidden, weight = torch.randn(11, 8, requires_grad=True), torch.randn(50, 8, requires_grad=True)
    labels = torch.randint(0, 50, (11,))
    labels[3] = IGNORED

    def squared(logprobs: torch.Tensor) -> torch.Tensor:
        return (logprobs * torch.arange(1.0, 12.0)).square().sum()  # not linear: the gradient needs the values

    full = torch.log_softmax(hidden @ weight.T, 1)
    right = full.gather(1, labels.clamp_min(0)[:, None])[:, 0] * (labels >= 0)
    wanted = torch.autograd.grad(squared(right), (hidden, weight))
    monkeypatch.setattr(cross_entropy, "_CPU_CHUNK_BYTES", 4 * 50 * chunk_positions)
    ours = linear_logprobs(hidden, weight, labels)
    found = torch.autograd.grad(squared(ours), (hidden, weight))
    assert ours.dtype == torch.float32
    assert ours[3] == 0
    torch.testing.assert_close(ours, right)
    for mine, theirs in zip(found, wanted, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4)


def test_a_frozen_head_gets_no_gradient() -> None:
    hidden, weight = torch.randn(3, 8, requires_grad=True), torch.randn(50, 8)
    linear_logprobs(hidden, weight, torch.tensor([1, 2, 3])).sum().backward()
    assert hidden.grad is not None
    assert weight.grad is None
