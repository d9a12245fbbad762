"""What training leaves behind beside the weights."""

import json
from dataclasses import dataclass
from pathlib import Path

LOG = "training_log.jsonl"


@dataclass
class Fitted:
    """What training left behind beside the weights.

    Attributes:
        log: a row a step (the task's measures, `grad_norm`, `lr`, `tokens`) and a row a validation. A step that was
            left out has `skipped` 1 and of the measures those that are finite.
        num_tokens: tokens seen by this process since it started or resumed, padding left out.
        seconds: time of the training steps of this process, validation and snapshots left out.
    """

    log: list[dict[str, float]]
    num_tokens: int
    seconds: float

    def last(self, name: str) -> float:
        """Give the newest logged value of `name`."""
        return next(row[name] for row in reversed(self.log) if name in row)

    @property
    def num_skipped(self) -> int:
        """Count the steps that were left out."""
        return sum("skipped" in row for row in self.log)

    def write_log(self, folder: Path) -> None:
        """Write the log as JSON lines."""
        (folder / LOG).write_text("".join(json.dumps(row) + "\n" for row in self.log), encoding="utf-8")
