"""A training that is killed: what its artifact was when nothing happened, and a store without it for another try."""

from collections.abc import Callable
from typing import Any

import pytest

from burnish.artifacts import Artifact
from burnish.runtime import Run
from burnish.runtime.events import Event, Warned


class Killed(BaseException):
    """What a killed process is to the code it was in."""


def seal_then_kill(
    run: Run, monkeypatch: pytest.MonkeyPatch, task: type[Any], make: Callable[[], Artifact], *steps: int
) -> str:
    """Make an artifact and forget it, then be killed at steps of making it again; give its payload's digest.

    Args:
        task: what is learnt; its `backward` is a step.
        steps: counted from 1 on, over all tries.
    """
    whole = make()
    digest = whole.manifest.payload_digest  # read now: its folder is made anew
    run.store.set_aside(whole.digest)
    step, taken = task.backward, []

    def dies(*arguments: Any) -> Any:
        taken.append(1)
        if len(taken) in steps:
            raise Killed
        return step(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(task, "backward", dies)
        for _ in steps:
            with pytest.raises(Killed):
                make()
    return digest


def resumed_from(events: list[Event]) -> list[int]:
    """List the steps whose snapshots were resumed from."""
    said = [event.message for event in events if isinstance(event, Warned)]
    return [int(message.rsplit(" ", 1)[1]) for message in said if message.startswith("resumed from the snapshot")]
