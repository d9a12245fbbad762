"""What training leaves behind beside the weights."""

from dataclasses import dataclass


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
