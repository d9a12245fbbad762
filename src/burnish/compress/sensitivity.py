"""Sensitivity: what a model would lose with each FFN channel, each group of heads, each layer.

A group is one key/value head with the query heads that read it: nothing smaller can go without an index at run time.
Scores are added up over calibration rows in float32, one forward (and backward) pass a row. A gradient of a matrix is
scored and dropped as soon as it is whole, so that there is never more than one in memory.

Legend: T tokens, F FFN channels, K key/value groups, U units (F or K), I inputs, O outputs, S inputs of a unit.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, assert_never

from burnish.learn.packing import Row, Sample, lay
from burnish.learn.task import loss_sum
from burnish.nn.forward import hidden_at, layers_of
from burnish.runtime import need


@dataclass(frozen=True)
class Fisher:
    """Square of the loss's derivative by a gate on the unit's output: what removing it costs, to second order.

    Source: Kwon et al. 2022, arXiv 2204.09656, section 4 (diagonal empirical Fisher of masks), an observation being a
    calibration row. With a gate of 1 the first-order term is the same derivative.
    """


@dataclass(frozen=True)
class GradientNorm:
    """Squared norm of the gradient of the unit's weights, a calibration row at a time; the rule of the field's guides.

    It says how fast the loss would change if the weights moved, not what it would be without them.
    """


@dataclass(frozen=True)
class Taylor:
    """Sum of |weight x gradient| over the unit's weights. Source: Ma et al. 2023, arXiv 2305.11627, section 3.2."""


@dataclass(frozen=True)
class MeanActivation:
    """Mean magnitude of the unit's output; no backward pass. Source: Muralidharan et al. 2024, arXiv 2407.14679, 2.2."""


@dataclass(frozen=True)
class Wanda:
    """Norm of what the unit adds to the layer's output; no backward pass.

    Source: Sun et al. 2023, arXiv 2306.11695, equation 1, whose score of a weight is squared and added up here over
    the weights that read the unit.
    """


@dataclass(frozen=True)
class Magnitude:
    """Norm of the unit's weights; reads no text, and so knows nothing of what passes through the unit: a yardstick."""


Criterion = Fisher | GradientNorm | Taylor | MeanActivation | Wanda | Magnitude


@dataclass(frozen=True)
class Scores:
    """What the units of each layer are worth; more is more.

    Attributes:
        ffn_F: a float32 tensor a layer.
        kv_K: a float32 tensor a layer.
    """

    ffn_F: list[Any]
    kv_K: list[Any]


def score_units(
    model: Any, rows: Sequence[Sequence[int]], criterion: Criterion, *, seen: Callable[[], object] = lambda: None
) -> Scores:
    """Score all FFN channels and key/value groups of a model.

    Args:
        model: a dense decoder in float32, in evaluation mode; its gradients are None before and after.
        rows: token ids, at least two a row.
        seen: called after each row.
    """
    torch = need("torch", extra="compress")
    places = [_Place(*each) for layer in layers_of(model) for each in _units_of(layer, model.config)]
    match criterion:
        case Fisher():
            _gate_gradients(model, places, rows, seen)
        case GradientNorm():
            _weight_gradients(model, places, rows, seen, lambda _, grad: grad.square())
        case Taylor():
            _weight_gradients(model, places, rows, seen, lambda weight, grad: (weight * grad).abs())
        case MeanActivation():
            _inputs(model, places, rows, seen, lambda input_TI, _: input_TI.abs().sum(0))
        case Wanda():
            _inputs(model, places, rows, seen, _added_to_output)
        case Magnitude():
            with torch.no_grad():
                for place in places:
                    for weight, axis in place.weights:
                        place.total_U += place.by_unit(weight.detach().float().square(), axis)
        case _:
            assert_never(criterion)
    return Scores([place.total_U for place in places[::2]], [place.total_U for place in places[1::2]])


def row_loss(model: Any, ids: Sequence[int]) -> Any:
    """Sum the loss of predicting a row's tokens, in nats."""
    return loss_sum(model, as_row(ids))


def as_row(ids: Sequence[int]) -> Row:
    """Make a calibration row a row of the training loop: every token but the first is predicted."""
    return lay([Sample(tuple(ids), (1.0,) * len(ids))])


class _Place:
    """The units of one layer and kind: FFN channels, or key/value groups.

    Args:
        reader: the linear layer that reads the units' outputs.
        weights: each weight and the axis along which its units lie.
        num_units: U.
    """

    def __init__(self, reader: Any, weights: Sequence[tuple[Any, int]], num_units: int) -> None:
        torch = need("torch", extra="compress")
        self.reader, self.weights, self.num_units = reader, weights, num_units
        self.total_U = torch.zeros(num_units, device=reader.weight.device)

    def by_unit(self, values: Any, axis: int = 0) -> Any:
        """Add values up to one a unit; a unit's rows (or columns) lie side by side."""
        values = values.flatten(1).sum(1) if axis == 0 and values.ndim > 1 else values
        values = values.sum(0) if axis == 1 else values
        return values.unflatten(0, (self.num_units, -1)).sum(1)


def _units_of(layer: Any, config: Any) -> Iterator[tuple[Any, list[tuple[Any, int]], int]]:
    """Give the reader, the weights and the number of FFN channels, then of key/value groups."""
    ffn, attention = layer.mlp, layer.self_attn
    yield (
        ffn.down_proj,
        [(ffn.gate_proj.weight, 0), (ffn.up_proj.weight, 0), (ffn.down_proj.weight, 1)],
        config.intermediate_size,
    )
    projections = [(each.weight, 0) for each in (attention.q_proj, attention.k_proj, attention.v_proj)]
    yield attention.o_proj, [*projections, (attention.o_proj.weight, 1)], config.num_key_value_heads


def _gate_gradients(model: Any, places: Sequence[_Place], rows: Sequence[Sequence[int]], seen: Any) -> None:
    """Add up the squared derivatives by a gate a unit."""
    torch = need("torch", extra="compress")
    gates = [torch.ones(place.num_units, device=place.reader.weight.device, requires_grad=True) for place in places]

    def gated(gate_U: Any) -> Any:
        def hook(_: Any, given: tuple[Any, ...]) -> tuple[Any, ...]:
            return (given[0] * gate_U.repeat_interleave(given[0].shape[-1] // len(gate_U)), *given[1:])

        return hook

    with ExitStack() as stack:
        stack.enter_context(_training(model, ()))
        for place, gate_U in zip(places, gates, strict=True):
            stack.callback(place.reader.register_forward_pre_hook(gated(gate_U)).remove)
        for ids in rows:
            row_loss(model, ids).backward()
            for place, gate_U in zip(places, gates, strict=True):
                place.total_U += gate_U.grad.square()
                gate_U.grad = None
            seen()


def _weight_gradients(
    model: Any, places: Sequence[_Place], rows: Sequence[Sequence[int]], seen: Any, score: Callable[[Any, Any], Any]
) -> None:
    """Add up a score of each weight and its gradient, which is dropped at once."""

    def scored(place: _Place, axis: int) -> Any:
        def hook(weight: Any) -> None:
            place.total_U += place.by_unit(score(weight.detach(), weight.grad).float(), axis)
            weight.grad = None

        return hook

    with ExitStack() as stack:
        chosen = [(place, weight, axis) for place in places for weight, axis in place.weights]
        stack.enter_context(_training(model, [weight for _, weight, _ in chosen]))
        for place, weight, axis in chosen:
            stack.callback(weight.register_post_accumulate_grad_hook(scored(place, axis)).remove)
        for ids in rows:
            row_loss(model, ids).backward()
            seen()


def _inputs(
    model: Any, places: Sequence[_Place], rows: Sequence[Sequence[int]], seen: Any, score: Callable[[Any, Any], Any]
) -> None:
    """Add up a score of what the readers read; `score` takes inputs (T, I) in float32 and the reader."""
    torch = need("torch", extra="compress")
    with ExitStack() as stack, torch.inference_mode():
        for place in places:
            stack.callback(place.reader.register_forward_pre_hook(_adding(place, score)).remove)
        for ids in rows:
            hidden_at(model, ids, range(len(ids)), torch.zeros(len(ids), dtype=torch.bool))
            seen()


def _adding(place: _Place, score: Callable[[Any, Any], Any]) -> Callable[..., None]:
    def hook(_: Any, given: tuple[Any, ...]) -> None:
        place.total_U += place.by_unit(score(given[0].flatten(0, -2).float(), place.reader))

    return hook


def _added_to_output(input_TI: Any, reader: Any) -> Any:
    return input_TI.square().sum(0) * reader.weight.float().square().sum(0)


@contextmanager
def _training(model: Any, weights: Sequence[Any]) -> Iterator[None]:
    """Let these weights alone train, inside."""
    before = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    chosen = {id(weight) for weight in weights}
    for parameter, _ in before:
        parameter.requires_grad_(id(parameter) in chosen)
    try:
        yield
    finally:
        for parameter, was in before:
            parameter.requires_grad_(was)
