"""Broken steps: a loss or gradient that is not finite; its batch is kept, so that somebody can look at it."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, is_dataclass
from typing import Any, Literal

from burnish.errors import Diverged
from burnish.runtime import Workdir

OnBrokenStep = Literal["stop", "skip"]

_MAX_IN_A_ROW = 20  # nothing will mend it then


@dataclass
class BrokenSteps:
    """Stop at a broken step, or let it be left out.

    Attributes:
        action: what the recipe says.
        num_steps: of the whole run: where all of them break there is nothing to go on with.
        steps: numbers of those left out, counted from 1.
    """

    out: Workdir
    action: OnBrokenStep
    num_steps: int
    steps: list[int] = field(default_factory=list)

    def leave_out(self, step: int, batch: Sequence[Any], measured: Mapping[str, float]) -> None:
        """Keep the batch of `step`, counted from 1, in the snapshots' folder.

        Raises:
            Diverged: the recipe says stop, or 20 steps in a row broke.
        """
        self.steps.append(step)
        found = ", ".join(f"{name} {value:.4g}" for name, value in measured.items())
        folder = self.out.snapshots / "broken"
        folder.mkdir(exist_ok=True)
        path = folder / f"step_{step}.json"
        rows = {"step": step, **measured, "batch": [_row(item) for item in batch]}
        path.write_text(json.dumps(_strict(rows), allow_nan=False) + "\n", encoding="utf-8")
        limit = min(_MAX_IN_A_ROW, self.num_steps)
        if self.action == "stop":
            raise Diverged(
                f"training broke at step {step}: {found}; its batch is in {path}. Lower learning_rate or use precision "
                "fp32, which begins anew; or set on_broken_step: skip, and the same command goes on from the last "
                "snapshot without such steps"
            )
        if self.steps[-limit:] == list(range(step - limit + 1, step + 1)):
            raise Diverged(
                f"training broke at {limit} steps in a row, the last of them step {step}: {found}; their batches are in "
                f"{folder}. Lower learning_rate or use precision fp32, which begins anew"
            )
        self.out.warn(f"step {step} left out: {found}; its batch is in {path}")

    def hand_over(self) -> None:
        """Copy the batches of all steps left out to the artifact's `broken/`."""
        for step in self.steps:
            name = f"broken/step_{step}.json"
            (self.out / name).write_bytes((self.out.snapshots / name).read_bytes())


def _row(item: object) -> object:
    return asdict(item) if is_dataclass(item) and not isinstance(item, type) else repr(item)


def _strict(value: Any) -> Any:
    """Write numbers that JSON has not as text: nan, inf, -inf."""
    match value:
        case dict():
            return {key: _strict(item) for key, item in value.items()}
        case list() | tuple():
            return [_strict(item) for item in value]
        case float() if not math.isfinite(value):
            return str(value)
        case _:
            return value
