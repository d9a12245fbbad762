"""Schedules by their shape; snapshots by breaking them."""

from itertools import pairwise
from pathlib import Path

import pytest
import torch

from burnish.errors import RecipeError
from burnish.learn.schedules import WarmupCosine
from burnish.learn.snapshots import load_snapshot, save_snapshot


def test_cosine_rises_to_one_and_falls_to_its_end() -> None:
    schedule = WarmupCosine(warmup_frac=0.1, final_frac=0.2)
    factors = [schedule.factor(step, 100) for step in range(100)]
    assert factors[:10] == pytest.approx([(i + 1) / 10 for i in range(10)])
    assert factors[10] == 1.0
    assert factors[-1] == pytest.approx(0.2)
    assert all(a >= b for a, b in pairwise(factors[10:]))


@pytest.mark.parametrize("values", [{"warmup_frac": 1.0}, {"final_frac": -0.1}])
def test_schedule_refuses_what_is_no_share(values: dict[str, float]) -> None:
    with pytest.raises(RecipeError, match="must lie in"):
        WarmupCosine(**values)


def state(step: int) -> dict[str, object]:
    return {"step": step, "weights": torch.full((3,), float(step))}


def test_the_newest_good_snapshot_wins(tmp_path: Path) -> None:
    assert load_snapshot(tmp_path) is None
    for step in (1, 2, 3):
        save_snapshot(tmp_path, state(step))
    found = load_snapshot(tmp_path)
    assert found is not None
    assert found["step"] == 3
    newest = next(p for p in tmp_path.glob("*.mark") if p.read_text().startswith("3 ")).with_suffix(".pt")
    newest.write_bytes(newest.read_bytes()[:-1] + b"x")
    older = load_snapshot(tmp_path)
    assert older is not None
    assert older["step"] == 2
    assert older["weights"].tolist() == [2.0] * 3


@pytest.mark.parametrize("torn", ["", "4", "x y"])
def test_a_torn_mark_is_an_empty_slot(tmp_path: Path, torn: str) -> None:
    save_snapshot(tmp_path, state(7))
    (tmp_path / "b.mark").write_text(torn)
    found = load_snapshot(tmp_path)
    assert found is not None
    assert found["step"] == 7
