"""Time the steps of a Hugging Face Trainer from outside."""

from typing import Any

from step_reading import Clock, Reading


def callback(reading: Reading) -> Any:
    """Make a callback that notes each step's time, loss and gradient norm."""
    from transformers import TrainerCallback

    class Timed(TrainerCallback):  # type: ignore[misc]
        clock: Clock

        def on_train_begin(self, *_args: Any, **_kwargs: Any) -> None:
            self.clock = Clock()

        def on_step_end(self, *_args: Any, **_kwargs: Any) -> None:
            reading.step_s.append(self.clock.lap_s())

        def on_log(
            self, _args: Any, _state: Any, _control: Any, logs: dict[str, Any] | None = None, **_kwargs: Any
        ) -> None:
            if logs and "loss" in logs:
                reading.losses.append(float(logs["loss"]))
                reading.grad_norms.append(float(logs.get("grad_norm", 0.0)))

    return Timed()
