"""The loop, broken off and poisoned: it resumes to the bit, and leaves out or stops at what is not finite."""

import json
import math
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from fitting import DiesAt, Fitting, Killed, equal, samples

from burnish.artifacts.digest import plain
from burnish.errors import BurnishError
from burnish.learn.clipping import DecayingNorm
from burnish.learn.loop import LoopConfig, fit
from burnish.learn.packing import Row, pack
from burnish.learn.task import Measures
from burnish.runtime.events import Metrics
from burnish.train.methods import Full, Lora, Method, Unfreeze
from conftest import read_lines

LORA = Lora(rank=4, alpha=8, dropout=0.2)  # dropout, so that the generator must come back too


def poisoned(*broken: int, num: int = 6) -> list[Row]:
    """Rows of `num` steps; the loss of those counted from 1 in `broken` is not a number."""
    rows = pack(samples(), row_tokens=64, seed=0)
    found = [next(rows) for _ in range(num)]
    return [
        replace(row, weights=[math.nan] * len(row.weights)) if step in broken else row
        for step, row in enumerate(found, start=1)
    ]


@pytest.mark.parametrize(
    ("method", "precision", "every"),
    [
        (LORA, "fp32", 1),
        (LORA, "fp32", 2),
        (LORA, "fp16", 2),
        (Full(), "fp32", 2),
        (Full(), "bf16", 2),
        (Unfreeze(1, 2), "fp32", 2),
    ],
)
def test_killed_in_any_step_it_resumes_to_the_same_bits(
    tmp_path: Path, tiny_model: Path, method: Method, precision: str, every: int
) -> None:
    loop = LoopConfig(
        num_steps=6,
        row_tokens=64,
        learning_rate=0.01,
        weight_decay=0.1,
        clipping=DecayingNorm(),
        snapshot_every_steps=every,
        validate_every_steps=3,
    )
    calm = Fitting(tmp_path / "calm", tiny_model, method, precision, loop)
    fitted, weights = calm.go()
    for number in range(1, 7):
        wild = Fitting(tmp_path / f"wild_{number}", tiny_model, method, precision, loop)
        with pytest.raises(Killed):
            wild.go(DiesAt(number))
        again, resumed = wild.go()
        kept = (number - 1) // every * every
        assert wild.warnings == ([f"resumed from the snapshot of step {kept}"] if kept else [])
        assert equal(resumed, weights), number
        assert again.log == fitted.log, number


def test_a_run_killed_many_times_ends_the_same(tmp_path: Path, tiny_model: Path) -> None:
    _, weights = Fitting(tmp_path / "calm", tiny_model).go()
    wild = Fitting(tmp_path / "wild", tiny_model)
    for number in (3, 2, 3, 1, 1):
        with pytest.raises(Killed):
            wild.go(DiesAt(number))
    assert equal(wild.go()[1], weights)


def test_it_goes_on_from_the_older_snapshot_where_the_newest_is_corrupt(tmp_path: Path, tiny_model: Path) -> None:
    _, weights = Fitting(tmp_path / "calm", tiny_model).go()
    for num_corrupt, kept in ((1, 2), (2, 0)):
        wild = Fitting(tmp_path / f"wild_{num_corrupt}", tiny_model)
        with pytest.raises(Killed):
            wild.go(DiesAt(6))
        marks = sorted(wild.out.snapshots.glob("*.mark"), key=lambda path: -int(path.read_text().split()[0]))
        for mark in marks[:num_corrupt]:
            os.truncate(mark.with_suffix(".pt"), 1000)
        assert equal(wild.go()[1], weights)
        assert sum("is corrupt and left out" in each for each in wild.warnings) == num_corrupt
        assert any(each == f"resumed from the snapshot of step {kept}" for each in wild.warnings) == (kept > 0)


def test_a_full_disk_stops_with_a_remedy_and_the_same_command_goes_on(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = replace(Fitting(tmp_path, tiny_model).loop, num_steps=60)
    _, weights = Fitting(tmp_path / "calm", tiny_model, loop=loop).go()
    wild = Fitting(tmp_path / "wild", tiny_model, loop=loop)
    fsync, calls = os.fsync, []

    def full_after_two_snapshots(descriptor: int) -> None:
        calls.append(1)
        if len(calls) > 8:
            raise OSError(28, "No space left on device")
        fsync(descriptor)

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", full_after_two_snapshots)
        with pytest.raises(
            BurnishError, match=r"snapshot of step 6 was not written.*no space left in .*Free some space"
        ):
            wild.go()
    assert equal(wild.go()[1], weights)
    assert wild.warnings == ["resumed from the snapshot of step 4"]


def test_a_broken_step_stops_and_the_same_run_goes_on_with_skip(tmp_path: Path, tiny_model: Path) -> None:
    fitting = Fitting(tmp_path, tiny_model)
    with pytest.raises(BurnishError, match=r"broke at step 5: loss_nats nan.*step_5\.json\. Lower learning_rate"):
        fitting.go(rows=poisoned(5))
    kept = json.loads((fitting.out.snapshots / "broken" / "step_5.json").read_text())
    assert (kept["step"], kept["loss_nats"]) == (5, "nan")
    assert kept["batch"][0]["ids"] == poisoned(5)[4].ids
    skipping = replace(fitting, loop=replace(fitting.loop, on_broken_step="skip"))
    assert plain(skipping.loop) == plain(fitting.loop)  # the same artifact, so the same snapshots
    _, weights = skipping.go(rows=poisoned(5))
    assert "resumed from the snapshot of step 4" in fitting.warnings
    calm = Fitting(tmp_path / "calm", tiny_model, loop=skipping.loop)
    assert equal(calm.go(rows=poisoned(5))[1], weights)


def test_a_skipped_step_changes_nothing_and_is_counted_told_and_handed_over(tmp_path: Path, tiny_model: Path) -> None:
    loop = LoopConfig(
        num_steps=6,
        row_tokens=64,
        learning_rate=0.01,
        on_broken_step="skip",
        clipping=DecayingNorm(),
        snapshot_every_steps=1,
    )
    fitting = Fitting(tmp_path, tiny_model, Full(), loop=loop)
    with pytest.raises(Killed):
        fitting.go(DiesAt(4), poisoned(3, 5))
    states = [torch.load(fitting.out.snapshots / f"{slot}.pt", weights_only=True) for slot in "ab"]
    before, after = sorted(states, key=lambda each: int(each["step"]))
    assert (before["step"], after["step"]) == (2, 3)
    assert equal(before["parameters"], after["parameters"])
    assert before["clipper"] == after["clipper"]
    moments = [each["optimizer"]["plain"]["state"][0] for each in states]
    assert equal(moments[0], moments[1])
    fitted, weights = fitting.go(rows=poisoned(3, 5))
    assert all(bool(weight.isfinite().all()) for weight in weights.values())
    steps = [row for row in fitted.log if "lr" in row]
    assert [row["step"] for row in steps if row.get("skipped")] == [3, 5]
    assert all(math.isfinite(value) for row in fitted.log for value in row.values())
    assert all(math.isfinite(v) for e in fitting.events if isinstance(e, Metrics) for v in e.values.values())
    assert sorted(path.name for path in (fitting.out / "broken").iterdir()) == ["step_3.json", "step_5.json"]
    assert [each for each in fitting.warnings if "step 5 left out: loss_nats nan" in each]


@pytest.mark.parametrize(("num_steps", "limit"), [(30, 20), (6, 6)])
def test_steps_that_break_one_after_another_stop_even_with_skip(
    tmp_path: Path, tiny_model: Path, num_steps: int, limit: int
) -> None:
    loop = LoopConfig(num_steps=num_steps, row_tokens=64, on_broken_step="skip", snapshot_every_steps=2)
    fitting = Fitting(tmp_path, tiny_model, loop=loop)
    first = num_steps - limit + 1
    broken = [2, *range(first, num_steps + 1)]
    killed_halfway = DiesAt(first + 3)
    with pytest.raises(Killed):
        fitting.go(killed_halfway, poisoned(*broken, num=num_steps))
    with pytest.raises(BurnishError, match=f"broke at {limit} steps in a row, the last of them step {num_steps}"):
        fitting.go(rows=poisoned(*broken, num=num_steps))


def test_a_gradient_that_overflows_is_broken_too(tmp_path: Path, tiny_model: Path) -> None:
    rows = poisoned()
    rows[1] = replace(rows[1], weights=[1.0, math.inf, *rows[1].weights[2:]])
    loop = replace(Fitting(tmp_path, tiny_model).loop, on_broken_step="skip")
    fitted, _ = Fitting(tmp_path, tiny_model, loop=loop).go(rows=rows)
    assert [row["step"] for row in fitted.log if "skipped" in row] == [2]


def test_float16_overflow_lowers_the_scale_and_is_not_broken(tmp_path: Path, tiny_model: Path) -> None:
    """Gradients past 65,504 at the first scale of 65,536 are float16's own way; no batch is to blame."""
    fitting = Fitting(tmp_path, tiny_model, LORA, "fp16")

    class Steep(DiesAt):
        def __init__(self) -> None:
            super().__init__(100)

        def backward(self, model: Any, batch: Sequence[Row], scale: float) -> Measures:
            measured = super().backward(model, batch, scale)
            if scale > 2**14:
                next(p for p in model.parameters() if p.grad is not None).grad.fill_(math.inf)
            return measured

    fitted, _ = fitting.go(Steep())
    assert not any("skipped" in row for row in fitted.log)
    assert ["grad_norm" in row for row in fitted.log if "lr" in row] == [False, False, True, True, True, True]
    assert not fitting.warnings


def test_running_statistics_are_part_of_a_snapshot(tmp_path: Path, tiny_model: Path) -> None:
    """Batch normalisation has numbers that training changes and no gradient reaches."""

    class Squares:
        def __init__(self, dies_at: int = 0) -> None:
            self.dies_at = dies_at

        def num_tokens(self, item: int) -> int:
            return 1

        def backward(self, model: Any, batch: Sequence[int], scale: float) -> Measures:
            loss = model(torch.arange(8.0)[:, None] * batch[0]).square().mean()
            (loss * scale).backward()
            if batch[0] == self.dies_at:
                raise Killed
            return {"loss_nats": float(loss.detach())}

        def validate(self, model: Any, items: Any) -> Measures:
            return {}

        def state(self) -> dict[str, Any]:
            return {}

        def restore(self, state: dict[str, Any]) -> None:
            pass

    def go(fitting: Fitting, task: Squares) -> dict[str, Any]:
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Linear(1, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 1))
        fit(model, iter(range(1, 7)), (), task, fitting.loop, fitting.out)
        return dict(model.state_dict())

    for name in ("calm", "wild"):
        (tmp_path / name).mkdir()
    calm, wild = (Fitting(tmp_path / name, tiny_model) for name in ("calm", "wild"))
    with pytest.raises(Killed):
        go(wild, Squares(dies_at=6))
    assert equal(go(wild, Squares()), go(calm, Squares()))
    assert wild.warnings == ["resumed from the snapshot of step 4"]


def test_the_events_name_what_was_skipped(tmp_path: Path, tiny_model: Path) -> None:
    loop = replace(Fitting(tmp_path, tiny_model).loop, on_broken_step="skip")
    Fitting(tmp_path, tiny_model, loop=loop).go(rows=poisoned(2))
    rows = [row for row in read_lines(tmp_path / "events.jsonl") if row["event"] == "Metrics"]
    assert [row["step"] for row in rows if row["values"].get("skipped")] == [2]


@pytest.mark.slow
def test_the_drill_with_three_kills() -> None:
    """A process of its own, killed with SIGKILL: `scripts/kill_training.py` in short."""
    script = Path(__file__).parents[2] / "scripts" / "kill_training.py"
    done = subprocess.run([sys.executable, str(script), "--kills", "3"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("equal, byte for byte") == 2
