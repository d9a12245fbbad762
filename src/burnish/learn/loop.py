"""The training loop: packed rows in, updated parameters out, resumable to the bit on one device."""

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any

from burnish.errors import BurnishError, RecipeError
from burnish.learn.fgsm import Fgsm, attack, backward
from burnish.learn.packing import IGNORED, Row
from burnish.learn.schedules import WarmupCosine
from burnish.learn.snapshots import load_snapshot, save_snapshot
from burnish.nn.forward import logits_at
from burnish.runtime import Workdir, need


@dataclass(frozen=True)
class LoopConfig:
    """Say how long and how fast to train.

    Attributes:
        num_steps: optimizer steps.
        row_tokens: length of a packed row; one row is one micro batch.
        rows_per_step: rows whose gradients are summed before a step (gradient accumulation).
        learning_rate: peak; 2e-4 is the common choice for LoRA (Dettmers et al. 2023, arXiv 2305.14314, table 9).
        max_grad_norm: gradients are scaled down to this norm.
        snapshot_every_steps: resume loses at most this many steps.
        validate_every_steps: validation loss is measured so often, and at the end.
    """

    num_steps: int = 60
    row_tokens: int = 1024
    rows_per_step: int = 1
    learning_rate: float = 2e-4
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    schedule: WarmupCosine = field(default_factory=WarmupCosine)
    snapshot_every_steps: int = 500
    validate_every_steps: int = 20

    def __post_init__(self) -> None:
        for name in ("num_steps", "row_tokens", "rows_per_step", "snapshot_every_steps", "validate_every_steps"):
            if getattr(self, name) < 1:
                raise RecipeError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if self.learning_rate <= 0 or self.max_grad_norm <= 0 or self.weight_decay < 0:
            raise RecipeError(
                f"learning_rate is {self.learning_rate}, max_grad_norm {self.max_grad_norm}, weight_decay "
                f"{self.weight_decay}; the first two must be above 0, the last not below"
            )


@dataclass
class Fitted:
    """What training left behind beside the weights.

    Attributes:
        log: a row a step (`loss_nats`, of the rows as they are, `lr`, `tokens`; with adversarial training also
            `adversarial_loss_nats`) and a row a validation (`validation_loss_nats`).
        num_tokens: tokens seen by this process since it started or resumed.
        seconds: time of the training steps of this process, validation left out.
    """

    log: list[dict[str, float]]
    num_tokens: int
    seconds: float

    def last(self, name: str) -> float:
        """Give the newest logged value of `name`."""
        return next(row[name] for row in reversed(self.log) if name in row)


def fit(
    model: Any,
    rows: Iterator[Row],
    validation: Sequence[Row],
    config: LoopConfig,
    out: Workdir,
    adversarial: Fgsm | None = None,
) -> Fitted:
    """Train the parameters that require gradients.

    Args:
        model: in training precision; its trainable parameters should be float32.
        rows: endless and the same at every call, so that a resumed run can skip what was used.
        out: snapshots go to `out.snapshots`; a newer one there is resumed from.
        adversarial: train on embeddings moved against each row too, at twice the cost of a step.

    Raises:
        BurnishError: the loss is not finite; the last snapshot is kept.
    """
    torch = need("torch", extra="train")
    trainable = {name: p for name, p in model.named_parameters() if p.requires_grad}
    optimizer = torch.optim.AdamW(trainable.values(), lr=config.learning_rate, weight_decay=config.weight_decay)
    fitted = Fitted([], 0, 0.0)
    first_step = _resume(trainable, optimizer, fitted, out)
    stream = islice(rows, first_step * config.rows_per_step, None)
    model.train()
    with out.progress("training", total=config.num_steps, unit="steps") as bar:
        bar.advance(first_step)
        for step in range(first_step, config.num_steps):
            start_s = time.perf_counter()
            batch = list(islice(stream, config.rows_per_step))
            lr = config.learning_rate * config.schedule.factor(step, config.num_steps)
            measured = _step(model, trainable, optimizer, batch, lr, config.max_grad_norm, adversarial)
            if not all(map(math.isfinite, measured.values())):
                found = ", ".join(f"{name} {value}" for name, value in measured.items())
                raise BurnishError(
                    f"training broke at step {step + 1}: {found}; "
                    "lower learning_rate or use precision fp32, and give the same command again"
                )
            fitted.num_tokens += sum(len(row.ids) for row in batch)
            fitted.seconds += time.perf_counter() - start_s
            seen = fitted.log[-1]["tokens"] if fitted.log else 0
            tokens = seen + sum(len(row.ids) for row in batch)
            fitted.log.append({"step": step + 1, **measured, "lr": lr, "tokens": tokens})
            out.metrics(step + 1, **measured, lr=lr)
            bar.advance(1, f"loss {measured['loss_nats']:.3f} · {fitted.num_tokens / fitted.seconds:.0f} tokens/s")
            _between_steps(step + 1, model, trainable, optimizer, validation, config, fitted, out)
    model.eval()
    return fitted


def mean_loss(model: Any, rows: Iterable[Row]) -> float:
    """Average the loss over all labelled positions of `rows` by their weights, in nats a token."""
    torch = need("torch", extra="train")
    total, weight = 0.0, 0.0
    was_training = model.training
    model.eval()
    with torch.inference_mode():
        for row in rows:
            total += float(_loss_sum(model, row))
            weight += sum(row.weights)
    model.train(was_training)
    return total / weight


def mean_attacked_loss(model: Any, rows: Iterable[Row], adversarial: Fgsm) -> float:
    """Average the loss as `mean_loss` does, each row's embeddings moved against it."""
    total, weight = 0.0, 0.0
    was_training = model.training
    model.eval()
    for row in rows:
        total += attack(model, row.positions, partial(_loss_sum, model, row), adversarial)
        weight += sum(row.weights)
    model.train(was_training)
    return total / weight


def _step(
    model: Any,
    trainable: dict[str, Any],
    optimizer: Any,
    batch: list[Row],
    lr: float,
    max_norm: float,
    adversarial: Fgsm | None = None,
) -> dict[str, float]:
    """Take one optimizer step on the weighted mean loss over the labelled tokens of the whole batch.

    Returns:
        `loss_nats`, `grad_norm`, and with adversarial training `adversarial_loss_nats`.
    """
    torch = need("torch", extra="train")
    weight = sum(sum(row.weights) for row in batch)
    losses = {"loss_nats": 0.0} if adversarial is None else {"loss_nats": 0.0, "adversarial_loss_nats": 0.0}
    for row in batch:
        for name, loss in zip(losses, _backward(model, row, weight, adversarial), strict=True):
            losses[name] += loss
    norm = torch.nn.utils.clip_grad_norm_(trainable.values(), max_norm)
    for group in optimizer.param_groups:
        group["lr"] = lr
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return {**losses, "grad_norm": float(norm)}


def _backward(model: Any, row: Row, weight: float, adversarial: Fgsm | None) -> tuple[float, ...]:
    if adversarial is not None:
        return backward(model, row.positions, lambda: _loss_sum(model, row) / weight, adversarial)
    loss = _loss_sum(model, row) / weight
    loss.backward()
    return (float(loss.detach()),)


def _loss_sum(model: Any, row: Row) -> Any:
    torch = need("torch", extra="train")
    labels = torch.tensor(row.labels)
    chosen = labels != IGNORED
    logits = logits_at(model, row.ids, row.positions, chosen)
    loss = torch.nn.functional.cross_entropy(logits.float(), labels[chosen].to(logits.device), reduction="none")
    return (loss * torch.tensor(row.weights)[chosen].to(loss.device)).sum()


def _between_steps(
    step: int,
    model: Any,
    trainable: dict[str, Any],
    optimizer: Any,
    validation: Sequence[Row],
    config: LoopConfig,
    fitted: Fitted,
    out: Workdir,
) -> None:
    torch = need("torch", extra="train")
    is_last = step == config.num_steps
    if validation and (is_last or step % config.validate_every_steps == 0):
        loss = mean_loss(model, validation)
        tokens = fitted.log[-1]["tokens"]
        fitted.log.append({"step": step, "validation_loss_nats": loss, "tokens": tokens})
        out.metrics(step, validation_loss_nats=loss)
    if not is_last and step % config.snapshot_every_steps == 0:
        state = {
            "step": step,
            "parameters": {name: parameter.detach().clone() for name, parameter in trainable.items()},
            "optimizer": optimizer.state_dict(),
            "rng": torch.get_rng_state(),
            "gpu_rng": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
            "log": fitted.log,
        }
        save_snapshot(out.snapshots, state)


def _resume(trainable: dict[str, Any], optimizer: Any, fitted: Fitted, out: Workdir) -> int:
    torch = need("torch", extra="train")
    state = load_snapshot(out.snapshots)
    if state is None:
        return 0
    with torch.no_grad():
        for name, parameter in trainable.items():
            parameter.copy_(state["parameters"][name])
    optimizer.load_state_dict(state["optimizer"])
    torch.set_rng_state(state["rng"])
    if state["gpu_rng"] is not None:
        torch.cuda.set_rng_state(state["gpu_rng"])
    fitted.log = list(state["log"])
    step: int = state["step"]
    out.warn(f"resumed from the snapshot of step {step}")
    return step
