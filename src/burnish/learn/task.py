"""Tasks: what a step of training learns from, and how its gradient comes about.

The loop knows no losses. It hands a task the items of one step and takes the step; a task is a small class with these
five methods, and may bring state of its own that snapshots keep.

Legend: P chosen positions of a row, D width, V vocabulary.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeVar

from burnish.errors import RecipeError
from burnish.learn.fgsm import Fgsm, attack, backward
from burnish.learn.packing import IGNORED, Row
from burnish.nn.cross_entropy import linear_cross_entropy
from burnish.nn.forward import evaluating, head_of, hidden_at
from burnish.runtime import need

T = TypeVar("T", contravariant=True)
Measures = dict[str, float]  # by name with unit, as `loss_nats`


class Task(Protocol[T]):
    """Learn from items of one kind: packed rows, pairs of answers, labelled texts."""

    def num_tokens(self, item: T) -> int:
        """Count the tokens that the model reads for an item, padding left out."""

    def backward(self, model: Any, batch: Sequence[T], scale: float) -> Measures:
        """Add the gradient of `scale` times the batch's mean loss to the parameters; give `loss_nats` and others."""

    def validate(self, model: Any, items: Sequence[T]) -> Measures:
        """Measure held-out items without a gradient; give `validation_loss_nats` and others."""

    def state(self) -> dict[str, Any]:
        """Give what a snapshot must keep; {} where there is nothing."""

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` gave."""


@dataclass(frozen=True)
class TokenTask:
    """Predict tokens: pre-training, chat tuning on completions, and anything else whose loss is one token's.

    The loss is the weighted mean over the labelled tokens of all the step's rows, whatever their number, so that
    accumulating gradients changes nothing.

    Attributes:
        adversarial: train on embeddings moved against each row too; twice the cost of a step.
        smoothing_frac: share of the target that is spread over the vocabulary, in [0, 1).
    """

    adversarial: Fgsm | None = None
    smoothing_frac: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.smoothing_frac < 1:
            raise RecipeError(f"smoothing_frac is {self.smoothing_frac}; it must lie in [0, 1), 0.1 is common")

    def num_tokens(self, item: Row) -> int:
        """Count the row's tokens, filler left out."""
        return item.num_tokens

    def backward(self, model: Any, batch: Sequence[Row], scale: float) -> Measures:
        """Add the gradient of the batch's weighted mean loss."""
        weight = sum(sum(row.weights) for row in batch)
        clean, attacked = 0.0, 0.0
        for row in batch:
            loss_of = partial(loss_sum, model, row, smoothing_frac=self.smoothing_frac, factor=scale / weight)
            if self.adversarial is None:
                loss = loss_of()
                loss.backward()
                clean += float(loss.detach()) / scale
            else:
                first, second = backward(model, row.positions, loss_of, self.adversarial)
                clean, attacked = clean + first / scale, attacked + second / scale
        return {"loss_nats": clean} | ({} if self.adversarial is None else {"adversarial_loss_nats": attacked})

    def validate(self, model: Any, items: Sequence[Row]) -> Measures:
        """Average the loss of held-out rows, without label smoothing."""
        return {"validation_loss_nats": mean_loss(model, items)}

    def state(self) -> dict[str, Any]:
        """Give nothing: this task remembers nothing."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Take nothing."""


def loss_sum(model: Any, row: Row, *, smoothing_frac: float = 0.0, factor: float = 1.0) -> Any:
    """Sum the weighted cross-entropy of a row's labelled tokens, in nats, times `factor`."""
    torch = need("torch", extra="train")
    labels = torch.tensor(row.labels)
    chosen = labels != IGNORED
    hidden_PD = hidden_at(model, row.ids, row.positions, chosen)
    place = hidden_PD.device
    return linear_cross_entropy(
        hidden_PD,
        head_of(model).weight,
        labels[chosen].to(place),
        (torch.tensor(row.weights)[chosen] * factor).to(place),
        smoothing_frac=smoothing_frac,
    )


def mean_loss(model: Any, rows: Iterable[Row]) -> float:
    """Average the loss over all labelled positions of `rows` by their weights, in nats a token."""
    torch = need("torch", extra="train")
    total, weight = 0.0, 0.0
    with evaluating(model), torch.inference_mode():
        for row in rows:
            total += float(loss_sum(model, row))
            weight += sum(row.weights)
    return total / weight


def mean_attacked_loss(model: Any, rows: Iterable[Row], adversarial: Fgsm) -> float:
    """Average the loss as `mean_loss` does, each row's embeddings moved against it."""
    total, weight = 0.0, 0.0
    with evaluating(model):
        for row in rows:
            total += attack(model, row.positions, partial(loss_sum, model, row), adversarial)
            weight += sum(row.weights)
    return total / weight
