"""Feature matching: a student's layers are held to those of its teacher, before their predictions are.

Source: Jiao et al. 2020, arXiv 1909.10351, equation 8, whose projection between widths this is; uniform mapping as there.

Legend: P positions, D width of the student, E of the teacher.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from burnish.errors import RecipeError
from burnish.learn.row_tensors import RowTensors, read_row
from burnish.nn.divergence_loss import FeatureLoss, MeanSquare, hidden_loss
from burnish.nn.forward import layers_of
from burnish.runtime import need

PROJECTIONS = "feature_projections"


@dataclass(frozen=True)
class Features:
    """Say how hidden states are matched in the first steps of a distillation.

    Attributes:
        num_steps: of all steps, the first so many match features; the rest match predictions.
        loss: distance of two hidden states.
        layers: pairs (student's layer, teacher's layer), counted from 0, whose outputs are held together; empty: each
            layer of the student to the one at the same share of the teacher's depth, the last to the last.
    """

    num_steps: int = 20
    loss: FeatureLoss = field(default_factory=MeanSquare)
    layers: tuple[tuple[int, ...], ...] = ()

    def __post_init__(self) -> None:
        if self.num_steps < 1:
            raise RecipeError(f"num_steps is {self.num_steps}; it must be at least 1, features null leaves them out")
        for pair in self.layers:
            if len(pair) != 2 or min(pair) < 0:
                raise RecipeError(f"layers holds {pair}; each entry is a pair: student's layer, teacher's layer")

    def mapped(self, num_student: int, num_teacher: int) -> list[tuple[int, int]]:
        """Give the pairs of layers for these depths.

        Raises:
            RecipeError: a pair names a layer that is not there.
        """
        if not self.layers:
            return [(at, max(0, round((at + 1) * num_teacher / num_student) - 1)) for at in range(num_student)]
        for mine, theirs in self.layers:
            if mine >= num_student or theirs >= num_teacher:
                raise RecipeError(
                    f"layers pairs the student's layer {mine} with the teacher's {theirs}; they have {num_student} and "
                    f"{num_teacher}, counted from 0"
                )
        return [(mine, theirs) for mine, theirs in self.layers]


@dataclass
class FeatureMatcher:
    """Hold a student's layers to its teacher's; projections between widths are parameters of the student meanwhile.

    Attributes:
        pairs: of layers.
        mine, theirs: outputs of the layers, in a forward pass that is watched.
        is_watching: the next forward passes are. Others, in validation and once the feature steps are over, would keep
            their outputs in memory for nothing.
    """

    loss: FeatureLoss
    pairs: list[tuple[int, int]]
    mine: dict[int, Any] = field(default_factory=dict)
    theirs: dict[int, Any] = field(default_factory=dict)
    is_watching: bool = False

    def measure(self, student: Any, teacher: Any, row: RowTensors) -> Any:
        """Sum the weighted distance over the row's positions, mean over the pairs, as a scalar with a gradient."""
        torch = need("torch", extra="train")
        self.is_watching = True
        with torch.no_grad():
            read_row(teacher, row)
        read_row(student, row)
        self.is_watching = False
        projections = getattr(student, PROJECTIONS, None)
        losses = [
            hidden_loss(
                row.at_chosen(self.mine[mine]),
                row.at_chosen(self.theirs[theirs]),
                row.weights_P,
                self.loss,
                None if projections is None else projections[index].weight,
            )
            for index, (mine, theirs) in enumerate(self.pairs)
        ]
        self.forget()
        return torch.stack(losses).mean()

    def forget(self) -> None:
        """Let go of the outputs."""
        self.mine.clear()
        self.theirs.clear()


@contextmanager
def matching_features(student: Any, teacher: Any, features: Features) -> Iterator[FeatureMatcher]:
    """Watch the mapped layers of both models, inside; call it after they are compiled.

    Where the widths differ, the student gets a module `feature_projections` with a matrix a pair, which trains and is
    kept in snapshots as its other parameters are, and is taken away at the end.
    """
    torch = need("torch", extra="train")
    layers = layers_of(student), layers_of(teacher)
    matcher = FeatureMatcher(features.loss, features.mapped(len(layers[0]), len(layers[1])))
    widths = student.config.hidden_size, teacher.config.hidden_size
    if widths[0] != widths[1]:
        place = next(student.parameters()).device
        made = [torch.nn.Linear(*widths, bias=False, device=place) for _ in matcher.pairs]
        setattr(student, PROJECTIONS, torch.nn.ModuleList(made))
    undone = [_watch(matcher, layers[0], {a for a, _ in matcher.pairs}, matcher.mine)]
    undone.append(_watch(matcher, layers[1], {b for _, b in matcher.pairs}, matcher.theirs))
    try:
        yield matcher
    finally:
        for layer, call in (each for watched in undone for each in watched):
            layer._compiled_call_impl = call
        matcher.forget()
        if hasattr(student, PROJECTIONS):
            delattr(student, PROJECTIONS)


def _watch(
    matcher: FeatureMatcher, layers: Sequence[Any], chosen: set[int], kept: dict[int, Any]
) -> list[tuple[Any, Any]]:
    """Keep the outputs of layers, outside of compiled code, to which a hook's side effect would be a new program."""
    before = [(layers[index], layers[index]._compiled_call_impl) for index in sorted(chosen)]

    def watched(index: int, call: Any) -> Any:
        def run(*args: Any, **kwargs: Any) -> Any:
            out = call(*args, **kwargs)
            if matcher.is_watching:
                kept[index] = out[0] if isinstance(out, tuple) else out
            return out

        return run

    for index in chosen:
        layer = layers[index]
        layer._compiled_call_impl = watched(index, layer._compiled_call_impl or layer._call_impl)
    return before
