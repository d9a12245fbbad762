"""Events in words, for every console."""

from dataclasses import dataclass, field

from burnish.cli.units import in_bytes, in_time
from burnish.runtime.events import (
    Event,
    GateChecked,
    Noted,
    RunFinished,
    RunStarted,
    StageCached,
    StageFailed,
    StageSealed,
    StageStarted,
    StageWaiting,
    Warned,
)

_MARKS = {Warned: ("!", "yellow"), Noted: ("·", "cyan")}


@dataclass(frozen=True)
class Line:
    """One line of the console: a mark with its colour, and the words."""

    mark: str
    colour: str
    words: str

    def __str__(self) -> str:
        return f"{self.mark} {self.words}"


@dataclass
class Wording:
    """Put the events of one run into words; counts what was made and what was cached for the last line."""

    num_made: int = 0
    num_cached: int = 0
    _labels: dict[str, str] = field(default_factory=dict)

    def __call__(self, event: Event) -> Line | None:
        """Give the line for an event, or None for one that is not told."""
        match event:
            case RunStarted(run_id=run_id, recipe=recipe):
                return Line("▶", "bold", f"{recipe} · run {run_id}")
            case StageStarted(label=label, digest=digest):
                self._labels[digest] = label
                return Line("●", "cyan", f"{label:<14} making")
            case StageCached(label=label, digest=digest):
                self.num_cached += 1
                return Line("↺", "blue", f"{label:<14} cached · {digest[:12]}")
            case StageSealed(label=label, digest=digest, seconds=seconds, peak_memory_bytes=peak):
                self.num_made += 1
                return Line(
                    "✓", "green", f"{label:<14} sealed in {in_time(seconds)} · peak {in_bytes(peak)} · {digest[:12]}"
                )
            case StageWaiting(stage=label):
                return Line("…", "yellow", f"{label:<14} another process is making it; waiting for that one")
            case StageFailed(digest=digest, error=error):
                state = "stopped" if error.startswith(("KeyboardInterrupt", "OutOfTime")) else "failed"
                return Line("✗", "red", f"{self._labels.get(digest, 'stage'):<14} {state}")
            case GateChecked(name=name, value=value, bound=bound, is_passed=is_passed):
                words = f"{'gate passed' if is_passed else 'gate failed':<14} {name} {value:.4g}, required {bound}"
                return Line("✓", "green", words) if is_passed else Line("✗", "red", words)
            case Warned(message=message) | Noted(message=message):
                return Line(*_MARKS[type(event)], message)
            case RunFinished(status="ok", seconds=seconds):
                made = f"{self.num_made} made, {self.num_cached} cached"
                return Line("■", "bold", f"done in {in_time(seconds)}: {made}")
            case _:
                return None
