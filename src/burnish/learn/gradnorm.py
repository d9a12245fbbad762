"""Combining tasks: how much each task's loss counts where several share a trunk.

Legend: E examples of a row, D width of the trunk's output, W the weights of the last shared layer, T tasks.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, Protocol, assert_never

from burnish.learn.combination import Combination, EqualWeights, FixedWeights, GradNorm, NormalisedTrunk
from burnish.runtime import need


class Combiner(Protocol):
    """Weigh tasks, and learn from a step."""

    needs_layer: bool  # `learn` wants the gradients' norms at the last shared layer

    def weights(self, norms: Mapping[str, float], shares: Mapping[str, float]) -> dict[str, float]:
        """Give the weight of each task's loss in a row.

        Args:
            norms: of the gradient of the row's part of each mean loss at the trunk's output.
            shares: what part of the step's labels of a task the row holds, in (0, 1].
        """

    def learn(self, losses: Mapping[str, float], norms: Mapping[str, float]) -> None:
        """Learn from a step: its mean losses, and the norms of their unweighted gradients at the last shared layer."""

    def state(self) -> dict[str, Any]:
        """Give what a snapshot must keep."""

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` gave."""


def open_combiner(config: Combination, num_classes: Mapping[str, int]) -> Combiner:
    """Make a combiner that has learnt nothing yet.

    Args:
        num_classes: of each task by name.
    """
    match config:
        case EqualWeights():
            return _Fixed(dict.fromkeys(num_classes, 1.0))
        case FixedWeights(weights=weights):
            return _Fixed(dict(weights))
        case GradNorm(initial_loss=initial):
            known = {name: math.log(count) for name, count in num_classes.items()} if initial == "log_classes" else {}
            return _Balanced(config, dict.fromkeys(num_classes, 1.0), known)
        case NormalisedTrunk():
            return _Normalised()
        case _:
            assert_never(config)


class StepGradients:
    """Add up the gradients of one step, row by row, with one backward pass through the trunk a row.

    Args:
        last_layer: parameters W of the last shared layer.
        heads: parameters of each task's own.
        scale: what the losses are multiplied by (float16's loss scale).
        is_compared: compute each task's gradient at W too, which costs a backward pass through that layer a task.
    """

    def __init__(
        self,
        combiner: Combiner,
        last_layer: Sequence[Any],
        heads: Mapping[str, Sequence[Any]],
        *,
        scale: float = 1.0,
        is_compared: bool = False,
    ) -> None:
        self._combiner, self._layer, self._heads, self._scale = combiner, list(last_layer), heads, scale
        self._is_compared = is_compared or combiner.needs_layer
        self._losses: dict[str, float] = {}
        self._weights: dict[str, float] = {}
        self._at_layer: dict[str, Any] = {}

    def add(
        self, trunk_output: Any, losses_of: Callable[[Any], dict[str, Any]], shares: Mapping[str, float] | None = None
    ) -> None:
        """Add the gradient of a row to the parameters.

        Args:
            trunk_output: (E, D), with its graph.
            losses_of: from a copy of it to the row's part of each mean loss; tasks without a label are left out.
            shares: as of `Combiner.weights`; None: the row is the whole step.
        """
        torch = need("torch", extra="train")
        leaf_ED = trunk_output.detach().requires_grad_()
        losses = losses_of(leaf_ED)
        found = {
            name: torch.autograd.grad(loss * self._scale, [leaf_ED, *self._heads[name]], retain_graph=True)
            for name, loss in losses.items()
        }
        norms = {name: float(gradients[0].float().norm()) / self._scale for name, gradients in found.items()}
        weights = self._combiner.weights(norms, dict.fromkeys(found, 1.0) if shares is None else shares)
        for name, gradients in found.items():
            self._losses[name] = self._losses.get(name, 0.0) + float(losses[name].detach())
            self._weights[name] = self._weights.get(name, 0.0) + weights[name] * (
                1.0 if shares is None else shares[name]
            )
            for parameter, gradient in zip(self._heads[name], gradients[1:], strict=True):
                _accumulate(parameter, gradient * weights[name])
            if self._is_compared:
                self._at_layer[name] = self._at_layer.get(name, 0.0) + self._layer_gradient(trunk_output, gradients[0])
        trunk_output.backward(sum(gradients[0] * weights[name] for name, gradients in found.items()))

    def finish(self) -> dict[str, float]:
        """Let the combiner learn; give the losses, weights, and cosines between the tasks' gradients.

        `loss_nats` is the mean of the tasks' losses, unweighted, so that it compares between combinations.
        """
        norms = {name: float(gradient.norm()) / self._scale for name, gradient in self._at_layer.items()}
        measured = {"loss_nats": sum(self._losses.values()) / len(self._losses)}
        measured |= {f"loss_nats_{name}": loss for name, loss in self._losses.items()}
        if len(self._heads) > 1:
            measured |= {f"weight_{name}": weight for name, weight in self._weights.items()}
        for first, second in combinations(sorted(norms), 2):
            length = norms[first] * norms[second] * self._scale**2
            if length > 0:
                dot = float(self._at_layer[first] @ self._at_layer[second])
                measured[f"grad_cosine_{first}_{second}"] = dot / length
        if all(map(math.isfinite, (*self._losses.values(), *norms.values()))):
            self._combiner.learn(self._losses, norms)
        return measured

    def _layer_gradient(self, trunk_output: Any, gradient_ED: Any) -> Any:
        torch = need("torch", extra="train")
        found = torch.autograd.grad(trunk_output, self._layer, gradient_ED, retain_graph=True, materialize_grads=True)
        return torch.cat([each.float().flatten() for each in found])


def _accumulate(parameter: Any, gradient: Any) -> None:
    parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient


@dataclass
class _Fixed:
    by_name: dict[str, float]
    needs_layer: bool = False

    def weights(self, norms: Mapping[str, float], shares: Mapping[str, float]) -> dict[str, float]:
        del shares
        return {name: self.by_name[name] for name in norms}

    def learn(self, losses: Mapping[str, float], norms: Mapping[str, float]) -> None:
        del losses, norms

    def state(self) -> dict[str, Any]:
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        del state


@dataclass
class _Normalised:
    needs_layer: bool = False

    def weights(self, norms: Mapping[str, float], shares: Mapping[str, float]) -> dict[str, float]:
        return {name: shares[name] / norm if norm > 0 else 0.0 for name, norm in norms.items()}

    def learn(self, losses: Mapping[str, float], norms: Mapping[str, float]) -> None:
        del losses, norms

    def state(self) -> dict[str, Any]:
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        del state


@dataclass
class _Balanced:
    config: GradNorm
    by_name: dict[str, float]
    first_losses: dict[str, float] = field(default_factory=dict)
    needs_layer: bool = True

    def weights(self, norms: Mapping[str, float], shares: Mapping[str, float]) -> dict[str, float]:
        del shares
        return {name: self.by_name[name] for name in norms}

    def learn(self, losses: Mapping[str, float], norms: Mapping[str, float]) -> None:
        """Move the weights of the step's tasks once; what they sum to stays, T where all tasks are there."""
        for name, loss in losses.items():
            self.first_losses.setdefault(name, loss)
        weighted = {name: self.by_name[name] * norm for name, norm in norms.items()}
        mean = sum(weighted.values()) / len(weighted)
        if len(weighted) < 2 or mean == 0 or any(self.first_losses[name] <= 0 for name in weighted):
            return  # nothing to balance, or no progress can be told
        ratios = {name: losses[name] / self.first_losses[name] for name in weighted}
        mean_ratio = sum(ratios.values()) / len(ratios)
        if mean_ratio == 0:
            return
        moved = {}
        for name, norm in weighted.items():
            target = mean * (ratios[name] / mean_ratio) ** self.config.alpha
            slope = math.copysign(norm / mean, norm - target) if norm != target else 0.0  # d(L_grad / mean) / d(log w)
            moved[name] = self.by_name[name] * math.exp(-self.config.rate * slope)
        share = sum(self.by_name[name] for name in moved) / sum(moved.values())
        self.by_name |= {name: weight * share for name, weight in moved.items()}

    def state(self) -> dict[str, Any]:
        return {"weights": dict(self.by_name), "first_losses": dict(self.first_losses)}

    def restore(self, state: dict[str, Any]) -> None:
        self.by_name, self.first_losses = dict(state["weights"]), dict(state["first_losses"])
