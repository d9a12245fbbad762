from pathlib import Path

import pytest

from burnish.artifacts import ModelArtifact
from burnish.claims.claim import READING, Verdict, judge
from burnish.claims.t7_memory import (
    CLAIM,
    NONE,
    WAYS,
    MemoryConfig,
    Reading,
    _check_losses,
    _measured,
    measure_memory,
    read_way,
)
from burnish.errors import BurnishError, RecipeError
from burnish.learn.memory import Memory
from burnish.runtime import Run

CONFIG = MemoryConfig(row_tokens=64, num_steps=2)


def reading(peak_bytes: int, step_s: float = 1.0, loss: float = 3.0) -> Reading:
    return Reading(peak_bytes, step_s, (loss, loss))


@pytest.mark.parametrize(("peak_bytes", "verdict"), [(650, Verdict.HOLDS), (651, Verdict.FALLS_SHORT)])
def test_each_way_is_a_figure_of_its_own(peak_bytes: int, verdict: Verdict) -> None:
    readings = {way.name: reading(1000 if way.name == NONE else peak_bytes, 2.0) for way in WAYS}
    measured = {m.name: m for way in WAYS for m in _measured(way, readings, CONFIG, "cpu")}
    assert [judge(figure, measured[figure.name])[0] for figure in CLAIM.figures] == [verdict] * 3
    assert measured["time_every_layer_ratio"].value == 1.0
    assert measured["peak_none_bytes"].value == 1000


def test_another_loss_is_refused() -> None:
    _check_losses({NONE: reading(2), "every_layer": reading(1)}, "cpu")
    with pytest.raises(BurnishError, match=r"every_layer gives the loss 3\.0000001"):
        _check_losses({NONE: reading(2), "every_layer": reading(1, loss=3.0000001)}, "cpu")
    with pytest.raises(RecipeError, match="num_steps is 1"):
        MemoryConfig(num_steps=1)


def test_ways_train_alike(tiny_model: Path) -> None:
    found = [read_way(tiny_model, memory, CONFIG) for memory in (Memory(), Memory(1))]
    assert found[0].losses == found[1].losses
    assert found[0].losses[1] < found[0].losses[0]


@pytest.mark.slow
def test_the_stage_reads_each_way_in_a_process_of_its_own(run: Run, base: ModelArtifact) -> None:
    done = run(measure_memory, base, config=CONFIG)
    assert (done.payload / READING).exists()
    peaks = [done.measurement(f"peak_{way.name}_bytes").value for way in WAYS if not way.memory.is_offloaded]
    assert all(peak > 50 << 20 for peak in peaks)
    assert "Losses are the same" in (done.payload / READING).read_text(encoding="utf-8")
