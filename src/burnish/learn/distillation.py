"""Distillation: a student learns what a teacher says at every position, not only the token that came.

Legend: P positions that count, D width, V vocabulary, N rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from burnish.errors import RecipeError
from burnish.learn.feature_matching import FeatureMatcher
from burnish.learn.on_policy import OnPolicy, own_words
from burnish.learn.packing import Row
from burnish.learn.row_tensors import RowTensors, read_row, row_tensors
from burnish.learn.task import Measures
from burnish.nn.cross_entropy import linear_cross_entropy
from burnish.nn.divergence_loss import Head, Matching, linear_divergence
from burnish.nn.forward import head_of
from burnish.nn.head_comparison import compare_heads
from burnish.runtime import need


@dataclass
class DistillTask:
    """Match a teacher's hidden states first, where asked, and its predictions then.

    The loss is the weighted mean over the labelled tokens of all the step's rows, whatever their number. Nothing waits
    for the device until a step's rows are through.

    Attributes:
        teacher: in evaluation mode, in its own precision; None where cross-entropy is all (`ce_frac` 1).
        matching: of predictions.
        features: what matches hidden states, and in how many steps at the start.
        on_policy: share of the rows that a model writes itself, and which; with the token that ends a text. None: none.
        num_steps: taken so far.
        num_written: tokens of the newest step's rows that a model wrote, by the identity of the row it wrote anew.
    """

    teacher: Any
    matching: Matching = field(default_factory=Matching)
    features: tuple[FeatureMatcher, int] | None = None
    on_policy: tuple[OnPolicy, int] | None = None
    num_steps: int = 0
    num_written: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.teacher is None and self.matching.ce_frac < 1:
            raise RecipeError("there is no teacher to match; give one, or set ce_frac to 1")

    def num_tokens(self, item: Row) -> int:
        """Count the tokens of the row, or of what a model wrote in its place in the newest step, filler left out."""
        return self.num_written.get(id(item), item.num_tokens)

    def backward(self, model: Any, batch: Sequence[Row], scale: float) -> Measures:
        """Add the gradient of the batch's weighted mean loss."""
        place = next(model.parameters()).device
        is_early = self.features is not None and self.num_steps < self.features[1]
        self.num_steps += 1
        rows = batch if is_early or self.on_policy is None else own_words(*self.on_policy, model, self.teacher, batch)
        self.num_written = {id(old): new.num_tokens for old, new in zip(batch, rows, strict=True)}
        weight = sum(sum(row.weights) for row in rows)
        total: Any = 0.0
        for row in rows:
            laid = row_tensors(row, place)
            loss = self.features[0].measure(model, self.teacher, laid) if is_early and self.features else self._loss(model, laid)  # fmt: skip
            loss = loss / weight
            (loss * scale).backward()
            total = total + loss.detach()
        return {"feature_loss" if is_early else "loss_nats": float(total)}

    def validate(self, model: Any, items: Sequence[Row]) -> Measures:
        """Measure held-out rows at temperature 1: KL to the teacher, cross-entropy, same first tokens."""
        kl, student, _, agreed, weight = measure_rows(model, self.teacher, items).sum(0).tolist()
        found = {"validation_loss_nats": student / weight}
        if self.teacher is not None:
            found |= {"validation_kl_nats": kl / weight, "validation_top1_agreement_frac": agreed / weight}
        return found

    def state(self) -> dict[str, Any]:
        """Give how many steps were taken; projections are the model's parameters."""
        return {"num_steps": self.num_steps}

    def restore(self, state: dict[str, Any]) -> None:
        """Take it back."""
        self.num_steps = state["num_steps"]

    def _loss(self, model: Any, row: RowTensors) -> Any:
        """Sum the weighted loss of a row's predictions."""
        torch = need("torch", extra="train")
        if self.matching.ce_frac == 1:
            hidden_PD = row.at_chosen(read_row(model, row))
            return linear_cross_entropy(hidden_PD, head_of(model).weight, row.labels_P, row.weights_P)
        with torch.inference_mode():
            theirs = _head(self.teacher, row)
        student, teacher = shared_vocabulary(_head(model, row), theirs)
        return linear_divergence(student, teacher, row.labels_P, row.weights_P, self.matching)


def measure_rows(student: Any, teacher: Any, rows: Sequence[Row]) -> Any:
    """Compare two models on held-out rows at temperature 1, without dropout.

    Args:
        teacher: None compares the student with itself.

    Returns:
        (N, 5) float64 on the CPU, sums a row by the weights of its positions: KL(teacher || student), cross-entropy of
        the student and of the teacher in nats, positions where both put the same token first, and all positions.
    """
    torch = need("torch", extra="train")
    place = next(student.parameters()).device
    was_training = student.training
    student.eval()
    sums = []
    with torch.inference_mode():
        for row in rows:
            laid = row_tensors(row, place)
            mine = _head(student, laid)
            student_head, teacher_head = (mine, mine) if teacher is None else shared_vocabulary(mine, _head(teacher, laid))  # fmt: skip
            each_4P = compare_heads(student_head, teacher_head, laid.labels_P)
            sums.append(torch.cat([(each_4P * laid.weights_P).double().sum(1), laid.weights_P.double().sum()[None]]))
    student.train(was_training)
    return torch.stack(sums).cpu()


def shared_vocabulary(student: Head, teacher: Head) -> tuple[Head, Head]:
    """Cut both heads to the rows that both have: models of one tokenizer are padded to different sizes."""
    num = min(len(student.weight_VD), len(teacher.weight_VD))
    return _cut(student, num), _cut(teacher, num)


def _cut(head: Head, num: int) -> Head:
    """Cut a head to its first rows; a slice of all of them would still cost a copy of its gradient."""
    return head if len(head.weight_VD) == num else Head(head.hidden_PD, head.weight_VD[:num])


def _head(model: Any, row: RowTensors) -> Head:
    return Head(row.at_chosen(read_row(model, row)), head_of(model).weight)
