"""Optimizer: AdamW over groups of parameters, with float32 master copies where the weights are in 16 bits.

Source: Loshchilov and Hutter 2019, arXiv 1711.05101, algorithm 2; master copies as in Micikevicius et al. 2018,
arXiv 1710.03740, section 3.1.
"""

from collections.abc import Mapping
from typing import Any

from burnish.nn.kernels.adamw import adamw_step
from burnish.runtime import need

_BETAS = (0.9, 0.999)
_EPSILON = 1e-8


class AdamW:
    """Update named parameters; those without a gradient stay as they are, and so do their moments.

    Float32 parameters go through torch's own AdamW (fused on a GPU). The others have a master copy each, which
    takes 12 bytes a number with the moments; the weight is the master copy, rounded.

    Args:
        parameters: those that may train at any time.
        rates: factor of the learning rate by parameter name; 1 where a name is missing.
        weight_decay: of matrices alone: norms and biases are not decayed (Loshchilov and Hutter leave it open; all
            anchors of the field do so).
    """

    def __init__(
        self, parameters: Mapping[str, Any], *, weight_decay: float, rates: Mapping[str, float] | None = None
    ) -> None:
        torch = need("torch", extra="train")
        self._rates = dict(rates or {})
        self._decays = {name: weight_decay if p.ndim > 1 else 0.0 for name, p in parameters.items()}
        self._small = {name: p for name, p in parameters.items() if p.dtype != torch.float32}
        plain: dict[tuple[float, float], list[Any]] = {}
        for name, parameter in parameters.items():
            if name not in self._small:
                plain.setdefault((self._rates.get(name, 1.0), self._decays[name]), []).append(parameter)
        groups = [{"params": ps, "rate": rate, "weight_decay": decay} for (rate, decay), ps in plain.items()]
        on_gpu = any(p.is_cuda for p in parameters.values())
        self._plain = torch.optim.AdamW(groups, lr=0.0, betas=_BETAS, eps=_EPSILON, fused=on_gpu) if groups else None
        self._masters = {
            name: (p.detach().float().clone(), torch.zeros_like(p, dtype=torch.float32), torch.zeros_like(p, dtype=torch.float32))
            for name, p in self._small.items()
        }  # fmt: skip
        self._steps = dict.fromkeys(self._small, 0)

    def step(self, lr: float, factor: float = 1.0) -> None:
        """Take a step with each gradient multiplied by `factor`, and forget the gradients."""
        torch = need("torch", extra="train")
        if self._plain is not None:
            gradients = [p.grad for group in self._plain.param_groups for p in group["params"] if p.grad is not None]
            if factor != 1 and gradients:
                torch._foreach_mul_(gradients, factor)
            for group in self._plain.param_groups:
                group["lr"] = lr * group["rate"]
            self._plain.step()
            self._plain.zero_grad(set_to_none=True)
        with torch.no_grad():
            for name, parameter in self._small.items():
                if parameter.grad is not None:
                    self._steps[name] += 1
                    self._update(name, parameter, lr, factor)
                    parameter.grad = None

    def _update(self, name: str, parameter: Any, lr: float, factor: float) -> None:
        master, *moments = self._masters[name]
        adamw_step(
            parameter,
            parameter.grad,
            master,
            (moments[0], moments[1]),
            lr=lr * self._rates.get(name, 1.0),
            betas=_BETAS,
            epsilon=_EPSILON,
            weight_decay=self._decays[name],
            step=self._steps[name],
            factor=factor,
        )

    def state_dict(self) -> dict[str, Any]:
        """Give everything that a later `load_state_dict` needs to go on to the bit."""
        return {
            "plain": None if self._plain is None else self._plain.state_dict(),
            "masters": {name: list(tensors) for name, tensors in self._masters.items()},
            "steps": dict(self._steps),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        torch = need("torch", extra="train")
        if self._plain is not None:
            self._plain.load_state_dict(state["plain"])
        with torch.no_grad():
            for name, tensors in state["masters"].items():
                for mine, theirs in zip(self._masters[name], tensors, strict=True):
                    mine.copy_(theirs)
        self._steps = dict(state["steps"])
