"""Layers: which ones a decoder can do without.

Legend: T tokens, D width.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, assert_never

from burnish.compress.pruning.layout import Shape
from burnish.compress.sensitivity import row_loss
from burnish.nn.forward import layers_of
from burnish.runtime import need


@dataclass(frozen=True)
class BlockInfluence:
    """Drop the layers that turn their input least: 1 - cosine of input and output, mean over tokens; one forward pass.

    Source: Men et al. 2024 (ShortGPT), arXiv 2403.03853, equation 1.
    """


@dataclass(frozen=True)
class GreedyLoss:
    """Drop one layer after another, each the one without which the loss is least: a forward pass a layer left.

    It sees what layers do for each other once some are gone, which block influence, measured once, cannot.
    """


LayerCriterion = BlockInfluence | GreedyLoss


def layers_to_keep(
    model: Any,
    rows: Sequence[Sequence[int]],
    criterion: LayerCriterion,
    num_dropped: int,
    *,
    seen: Callable[[], object] = lambda: None,
) -> list[int]:
    """Choose the layers that stay, in order."""
    match criterion:
        case BlockInfluence():
            influence = block_influence(model, rows, seen=seen)
            dropped = set(sorted(range(len(influence)), key=influence.__getitem__)[:num_dropped])
            return [index for index in range(len(influence)) if index not in dropped]
        case GreedyLoss():
            kept = list(range(Shape.of(model.config).layers))
            gone: list[int] = []
            for _ in range(num_dropped):
                losses = {index: loss_without(model, rows, [*gone, index], seen=seen) for index in kept}
                gone.append(min(kept, key=losses.__getitem__))
                kept.remove(gone[-1])
            return kept
        case _:
            assert_never(criterion)


def block_influence(
    model: Any, rows: Sequence[Sequence[int]], *, seen: Callable[[], object] = lambda: None
) -> list[float]:
    """Measure 1 - cosine of each layer's input and output, mean over all tokens."""
    torch = need("torch", extra="compress")
    layers = layers_of(model)
    totals = torch.zeros(len(layers), dtype=torch.float64)
    num_tokens = 0

    def measured(index: int) -> Any:
        def hook(_: Any, given: tuple[Any, ...], result: Any) -> None:
            output = result[0] if isinstance(result, tuple) else result
            cosine_T = torch.nn.functional.cosine_similarity(given[0].float(), output.float(), dim=-1)
            totals[index] += float((1 - cosine_T).sum())

        return hook

    with ExitStack() as stack, torch.inference_mode():
        for index, layer in enumerate(layers):
            stack.callback(layer.register_forward_hook(measured(index)).remove)
        for ids in rows:
            row_loss(model, ids)
            num_tokens += len(ids)
            seen()
    return [float(total) / num_tokens for total in totals]


def loss_without(
    model: Any, rows: Sequence[Sequence[int]], dropped: Sequence[int], *, seen: Callable[[], object] = lambda: None
) -> float:
    """Measure the loss with some layers skipped, in nats a token."""
    torch = need("torch", extra="compress")
    with torch.inference_mode(), _skipping(model, dropped):
        total, num_tokens = 0.0, 0
        for ids in rows:
            total += float(row_loss(model, ids))
            num_tokens += len(ids) - 1
            seen()
    return total / num_tokens


@contextmanager
def _skipping(model: Any, dropped: Sequence[int]) -> Iterator[None]:
    """Let layers give back their input, inside."""
    layers = layers_of(model)

    def passing(hidden_TD: Any, *_: Any, **__: Any) -> Any:
        return hidden_TD

    for index in dropped:
        layers[index].forward = passing
    try:
        yield
    finally:
        for index in dropped:
            del layers[index].forward  # the class's own shows again
