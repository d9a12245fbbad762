"""Linear cross-entropy: torch's own loss and gradients, with smoothing and weights, whatever the chunks."""

import pytest
import torch

from burnish.nn import cross_entropy
from burnish.nn.cross_entropy import linear_cross_entropy
from burnish.nn.weights import device

NUM, WIDTH, VOCABULARY = 23, 16, 50


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("chunk", [1, 7, 100])
def test_loss_and_gradients_are_torchs(monkeypatch: pytest.MonkeyPatch, smoothing: float, chunk: int) -> None:
    for name in ("_CHUNK_BYTES", "_CPU_CHUNK_BYTES"):
        monkeypatch.setattr(cross_entropy, name, chunk * 4 * VOCABULARY)
    torch.manual_seed(0)
    hidden, head = torch.randn(NUM, WIDTH, device=device()), torch.randn(VOCABULARY, WIDTH, device=device())
    labels, weights = torch.randint(0, VOCABULARY, (NUM,), device=device()), torch.rand(NUM, device=device())
    labels[3], weights[5] = -100, 0.0
    found, expected = ([hidden.clone().requires_grad_(), head.clone().requires_grad_()] for _ in range(2))
    mine = linear_cross_entropy(found[0], found[1], labels, weights, smoothing_frac=smoothing)
    each = torch.nn.functional.cross_entropy(
        expected[0] @ expected[1].T, labels, reduction="none", ignore_index=-100, label_smoothing=smoothing
    )
    theirs = (each * weights).sum()
    torch.testing.assert_close(mine, theirs)
    (3 * mine).backward()
    (3 * theirs).backward()
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.grad, other.grad, atol=1e-5, rtol=1e-4)
    with torch.inference_mode():
        torch.testing.assert_close(
            linear_cross_entropy(hidden, head, labels, weights, smoothing_frac=smoothing), theirs
        )
