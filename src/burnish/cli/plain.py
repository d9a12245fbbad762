"""The console without a terminal: one line an event, progress now and then."""

import sys
import threading
import time
from dataclasses import dataclass, field
from types import TracebackType

from burnish.cli.units import in_amount, in_time
from burnish.cli.wording import Wording
from burnish.runtime.events import Event, Progress

PROGRESS_EVERY_S = 10.0


@dataclass
class PlainConsole:
    """Write events as lines for logs and files; a task's progress at most every ten seconds."""

    wording: Wording = field(default_factory=Wording)
    _began_s: dict[tuple[str, str], float] = field(default_factory=dict)
    _told_s: dict[tuple[str, str], float] = field(default_factory=dict)
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> "PlainConsole":
        return self

    def __exit__(self, _type: type[BaseException] | None, _error: object, _trace: TracebackType | None) -> None:
        return

    def __call__(self, event: Event) -> None:
        """Read one event."""
        if isinstance(event, Progress):
            self._progress(event)
        elif (line := self.wording(event)) is not None:
            self.say(str(line))

    def say(self, words: str) -> None:
        """Write a line."""
        with self._turn:
            sys.stdout.write(f"{words}\n")
            sys.stdout.flush()

    def _progress(self, event: Progress) -> None:
        if event.total == 0:
            return  # it counted nothing
        key = (event.stage, event.task)
        now = time.monotonic()
        began_s = self._began_s.setdefault(key, now)
        if now - self._told_s.setdefault(key, now) < PROGRESS_EVERY_S:
            return
        self._told_s[key] = now
        parts = [in_amount(event.done, event.total, event.unit)]
        if event.total and 0 < event.done <= event.total:
            parts[0] += f" ({event.done / event.total:.0%})"
        if event.total and 0 < event.done < event.total:
            parts.append(f"ETA {in_time((now - began_s) * (event.total - event.done) / event.done)}")
        self.say(f"  {event.stage}: {event.task} {' · '.join([*parts, *([event.note] if event.note else [])])}")
