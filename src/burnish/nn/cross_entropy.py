"""Linear cross-entropy: output head and loss in one, chunk by chunk, so that the full logits never lie in memory.

The gradients are made in the forward pass, while a chunk's logits are at hand; nothing is computed twice.
Source: the chunking of Liger Kernel (Hsu et al. 2024, arXiv 2410.10989, section 3.2); label smoothing as in Szegedy
et al. 2016, arXiv 1512.00567, section 7.

Legend: P positions, C positions of a chunk, D width, V vocabulary.
"""

import functools
from collections.abc import Callable, Iterator
from typing import Any

from burnish.runtime import need

_CHUNK_BYTES = 1 << 30  # of a chunk's logits in float32: 1,024 positions of a vocabulary of 262,144
_CPU_CHUNK_BYTES = 1 << 26


def linear_cross_entropy(
    hidden_PD: Any, weight_VD: Any, labels_P: Any, weights_P: Any, *, smoothing_frac: float = 0.0
) -> Any:
    """Sum the weighted cross-entropy of the head's predictions, in nats, as a float32 scalar with a gradient.

    Args:
        hidden_PD: last hidden states, in the model's precision.
        weight_VD: of the output head; gets a gradient where it trains.
        labels_P: the right tokens; -100 leaves a position out, as a weight of 0 does.
        weights_P: what each position counts, float32.
        smoothing_frac: share of the target that is spread over all tokens alike, in [0, 1).
    """
    loss: Any = _function().apply(hidden_PD, weight_VD, labels_P, weights_P, smoothing_frac)
    return loss


def linear_logprobs(hidden_PD: Any, weight_VD: Any, labels_P: Any) -> Any:
    """Compute the log-probability that the head gives each label, in nats, as a (P,) float32 tensor with a gradient.

    For losses that are not linear in the log-probabilities, whose gradient is known only once all of them are: the
    backward pass makes a chunk's logits again. Arguments as of `linear_cross_entropy`; a label of -100 gives 0.
    """
    logprobs: Any = _logprobs_function().apply(hidden_PD, weight_VD, labels_P)
    return logprobs


@functools.cache
def _function() -> Any:
    """Make the autograd function; torch is imported no earlier."""
    torch = need("torch", extra="train")

    class LinearCrossEntropy(torch.autograd.Function):  # type: ignore[misc, name-defined]
        @staticmethod
        def forward(ctx: Any, hidden: Any, weight: Any, labels: Any, weights: Any, smoothing: float) -> Any:
            wants_hidden, wants_weight = ctx.needs_input_grad[:2]
            loss, d_hidden, d_weight = _run(hidden, weight, labels, weights, smoothing, wants_hidden, wants_weight)
            ctx.save_for_backward(d_hidden, d_weight)
            return loss

        @staticmethod
        def backward(ctx: Any, d_loss: Any) -> tuple[Any, ...]:
            d_hidden, d_weight = ctx.saved_tensors
            scaled = [None if grad is None else grad.mul_(d_loss.to(grad.dtype)) for grad in (d_hidden, d_weight)]
            return (*scaled, None, None, None)

    return LinearCrossEntropy


@functools.cache
def _logprobs_function() -> Any:
    torch = need("torch", extra="train")

    class LinearLogprobs(torch.autograd.Function):  # type: ignore[misc, name-defined]
        @staticmethod
        def forward(ctx: Any, hidden: Any, weight: Any, labels: Any) -> Any:
            ctx.save_for_backward(hidden, weight, labels)
            found = torch.empty(len(hidden), dtype=torch.float32, device=hidden.device)
            for part in chunks(hidden, weight):
                logits_CV = (hidden[part] @ weight.T).float()
                picked = logits_CV.gather(1, labels[part].clamp_min(0)[:, None])[:, 0]
                found[part] = picked - logits_CV.logsumexp(1)
            return torch.where(labels < 0, 0.0, found)

        @staticmethod
        def backward(ctx: Any, d_logprobs: Any) -> tuple[Any, ...]:
            hidden, weight, labels = ctx.saved_tensors
            # a log-probability is a cross-entropy of weight -1
            _, d_hidden, d_weight = _run(hidden, weight, labels, -d_logprobs, 0.0, *ctx.needs_input_grad[:2])
            return d_hidden, d_weight, None

    return LinearLogprobs


def chunks(hidden: Any, weight: Any) -> Iterator[slice]:
    """Cut the positions so that a chunk's logits in float32 keep to the limit."""
    positions = max(1, (_CHUNK_BYTES if hidden.is_cuda else _CPU_CHUNK_BYTES) // (4 * weight.shape[0]))
    for start in range(0, len(hidden), positions):
        yield slice(start, start + positions)


def _run(
    hidden: Any, weight: Any, labels: Any, weights: Any, smoothing: float, wants_hidden: bool, wants_weight: bool
) -> tuple[Any, Any, Any]:
    torch = need("torch", extra="train")
    weights = torch.where(labels < 0, 0.0, weights)
    labels = labels.clamp_min(0)
    loss = torch.zeros((), dtype=torch.float32, device=hidden.device)
    d_hidden = torch.empty_like(hidden) if wants_hidden else None
    d_weight = torch.zeros_like(weight, dtype=torch.float32) if wants_weight else None
    chunk_loss = _chunk_loss(hidden.is_cuda)
    for part in chunks(hidden, weight):
        h_CD = hidden[part]
        if not (wants_hidden or wants_weight):
            loss += _loss_only(h_CD @ weight.T, labels[part], weights[part], smoothing)
            continue
        each, d_logits_CV = chunk_loss(h_CD @ weight.T, labels[part], weights[part], smoothing)
        loss += each
        if d_hidden is not None:
            d_hidden[part] = d_logits_CV @ weight
        if d_weight is not None:
            add_product(d_weight, d_logits_CV.T, h_CD)
    return loss, d_hidden, None if d_weight is None else d_weight.to(weight.dtype)


def add_product(total: Any, left: Any, right: Any) -> None:
    """Add a matrix product to a float32 sum, the product's own additions in float32 too."""
    torch = need("torch", extra="train")
    if left.is_cuda and left.dtype != torch.float32:
        torch.addmm(total, left, right, out_dtype=torch.float32, out=total)
    else:
        total += (left @ right).float()


def _loss_only(logits_CV: Any, labels_C: Any, weights_C: Any, smoothing: float) -> Any:
    logits_CV = logits_CV.float()
    picked = logits_CV.gather(1, labels_C[:, None])[:, 0]
    nats = logits_CV.logsumexp(1) - (1 - smoothing) * picked
    if smoothing:
        nats = nats - smoothing * logits_CV.mean(1)
    return (nats * weights_C).sum()


def _loss_and_gradient(logits_CV: Any, labels_C: Any, weights_C: Any, smoothing: float) -> tuple[Any, Any]:
    """Give the loss of a chunk, and its gradient by the logits in their precision."""
    torch = need("torch", extra="train")
    x_CV = logits_CV.float()
    lse_C1 = x_CV.logsumexp(1, keepdim=True)
    is_label = torch.arange(x_CV.shape[1], device=x_CV.device)[None] == labels_C[:, None]
    target_CV = torch.where(is_label, 1.0 - smoothing, 0.0) + smoothing / x_CV.shape[1]
    nats_C = (target_CV * (lse_C1 - x_CV)).sum(1)
    gradient = ((x_CV - lse_C1).exp() - target_CV) * weights_C[:, None]
    return (nats_C * weights_C).sum(), gradient.to(logits_CV.dtype)


@functools.cache
def _chunk_loss(on_gpu: bool) -> Callable[..., tuple[Any, Any]]:
    """Compile where a kernel of its own saves passes over memory."""
    return need("torch", extra="train").compile(_loss_and_gradient, dynamic=None) if on_gpu else _loss_and_gradient
