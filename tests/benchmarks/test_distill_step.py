"""The benchmark of a distillation step: a mode's models are on the device while it plays, and no longer."""

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
distill_step: Any = importlib.import_module("distill_step")


class Model:
    """Say where it is put."""

    def __init__(self, told: list[str]) -> None:
        self.told = told

    def to(self, place: str) -> None:
        self.told.append(place)

    def cpu(self) -> None:
        self.told.append("host")

    def zero_grad(self) -> None:
        self.told.append("no gradients")


class Loop:
    def __init__(self, told: list[str], breaks: bool) -> None:
        self.teacher, self.student = Model(told), Model(told)
        self.told, self.breaks = told, breaks

    def play(self, _: Any) -> None:
        self.told.append("play")
        if self.breaks:
            raise MemoryError


@pytest.mark.parametrize("breaks", [False, True])
def test_a_modes_models_wait_in_the_hosts_memory(monkeypatch: pytest.MonkeyPatch, breaks: bool) -> None:
    monkeypatch.setattr(distill_step, "device", lambda: "device")
    told: list[str] = []
    reading = distill_step.Reading("ours")
    distill_step.play(Loop(told, breaks), reading)
    assert told == ["device", "device", "play", "no gradients", "host", "host"]
    assert bool(reading.error) is breaks
