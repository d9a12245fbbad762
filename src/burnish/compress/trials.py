"""Trials: put weights of a decoder on grids for a moment, and measure how far its predictions move.

Legend: P positions, D model width, V vocabulary.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from burnish.compress.clip import Clip
from burnish.compress.exchange import Trial
from burnish.compress.grids import Grid
from burnish.compress.layer_walk import LayerWalk
from burnish.compress.rounding import place_alone
from burnish.nn.divergence_loss import Head
from burnish.nn.forward import head_of
from burnish.nn.head_comparison import compare_heads
from burnish.runtime import need


@dataclass(frozen=True)
class Unit:
    """Linear layers of one decoder layer that share a grid, by the names of their weights."""

    layer: int
    name: str
    weights: tuple[str, ...]


class Trying:
    """Measure a decoder with some weights on grids against itself in float.

    Args:
        rows: token ids, all rows of one length.
    """

    def __init__(self, model: Any, rows: Sequence[Sequence[int]], clip: Clip) -> None:
        self._walk = LayerWalk(model, rows)
        self._at = 0  # the layer before which the walk stands
        self._entered = list(self._walk.hidden)
        self._clip = clip
        self._head_VD = head_of(model).weight.detach()
        self._float = self._finish(self._entered, 0)

    def units(self, names: set[str], kind: Literal["kind", "linear"]) -> list[Unit]:
        """Group the named weights of the decoder's layers, first layer first."""
        units: dict[str, Unit] = {}
        for layer in range(len(self._walk.layers)):
            for linear in self._walk.linears(layer):
                if f"{linear}.weight" in names:
                    name = linear.rsplit(".", 1)[0] if kind == "kind" else linear
                    before = units.get(name, Unit(layer, name, ()))
                    units[name] = Unit(layer, name, (*before.weights, f"{linear}.weight"))
        return list(units.values())

    def num_weights(self, unit: Unit) -> int:
        """Count the numbers of a unit."""
        return sum(weight.numel() for weight in self._weights(unit).values())

    def alone(self, unit: Unit, grid: Grid) -> Trial:
        """Measure one unit on a grid; units must come in the order of their layers."""
        while self._at < unit.layer:
            self._walk.step(self._at)
            self._at += 1
        with self._placed({unit: grid}) as num_bytes:
            return Trial(self._kl_nats(self._walk.hidden, unit.layer), num_bytes)

    def together(self, grids: Mapping[Unit, Grid]) -> float:
        """Measure all units on their grids at once: mean divergence from the float model, nats a prediction."""
        with self._placed(grids):
            return self._kl_nats(self._entered, 0)

    def _weights(self, unit: Unit) -> dict[str, Any]:
        linears = self._walk.linears(unit.layer)
        return {name: linears[name.removesuffix(".weight")].weight for name in unit.weights}

    @contextmanager
    def _placed(self, grids: Mapping[Unit, Grid]) -> Iterator[int]:
        """Put units on grids while the block runs; give their bytes."""
        torch = need("torch", extra="compress")
        kept: list[tuple[Any, Any]] = []
        num_bytes = 0
        try:
            with torch.no_grad():
                for unit, grid in grids.items():
                    for name, weight in self._weights(unit).items():
                        placed = place_alone(name, weight.detach(), grid, self._clip)
                        kept.append((weight, weight.detach().clone()))
                        weight.copy_(placed.dequantize())
                        num_bytes += placed.num_bytes
            yield num_bytes
        finally:
            with torch.no_grad():
                for weight, before in kept:
                    weight.copy_(before)

    def _finish(self, hidden: Sequence[Any], first: int) -> list[Any]:
        torch = need("torch", extra="compress")
        last = len(self._walk.layers) - 1
        with torch.no_grad():
            return [self._walk.norm(self._walk.through([state], first, last)[0])[0] for state in hidden]

    def _kl_nats(self, hidden: Sequence[Any], first: int) -> float:
        torch = need("torch", extra="compress")
        total, count = 0.0, 0
        for found_PD, float_PD in zip(self._finish(hidden, first), self._float, strict=True):
            labels_P = torch.zeros(len(found_PD), dtype=torch.long, device=found_PD.device)  # losses are not asked for
            found = compare_heads(Head(found_PD, self._head_VD), Head(float_PD, self._head_VD), labels_P)
            total += float(found[0].sum())
            count += len(found_PD)
        return max(0.0, total / count)
