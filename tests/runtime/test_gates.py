from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_stages import Make, make, new_run

from burnish.artifacts import ModelArtifact
from burnish.errors import ArtifactError, GateFailed, RecipeError
from burnish.runtime.gates import Bound, require

FINITE = st.floats(allow_nan=False, allow_infinity=False)


@given(value=FINITE, low=FINITE | st.none(), high=FINITE | st.none())
def test_a_bound_is_inclusive_on_both_sides(value: float, low: float | None, high: float | None) -> None:
    inside = Bound(low, high).allows(value)
    below = low is not None and value < low
    above = high is not None and value > high
    assert inside == (not below and not above)
    assert low is None or Bound(low, None).allows(low)
    assert high is None or Bound(None, high).allows(high)


@pytest.mark.parametrize(
    ("bound", "words"),
    [(Bound(1, None), "at least 1"), (Bound(None, 0.5), "at most 0.5"), (Bound(1, 2), "at least 1 and at most 2")],
)
def test_a_bound_in_words(bound: Bound, words: str) -> None:
    assert str(bound) == words


def test_passing_gives_value_and_bound(tmp_path: Path) -> None:
    data = new_run(tmp_path)(make, config=Make())
    assert require(data, "num_lines", at_least=1, at_most=5) == (5.0, Bound(1, 5))


@pytest.mark.parametrize("bound", [{"at_least": 5.1}, {"at_most": 4.9}, {"at_least": 6, "at_most": 7}])
def test_outside_stops_with_exit_code_3_and_says_where_to_look(tmp_path: Path, bound: dict[str, float]) -> None:
    data = new_run(tmp_path)(make, config=Make())
    with pytest.raises(GateFailed, match=rf"burnish show {data.digest[:12]}. Loosen the gate") as failed:
        require(data, "num_lines", **bound)
    assert failed.value.exit_code == 3


def test_a_gate_without_a_bound_is_a_mistake_in_the_recipe(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"the gate on num_lines has no bound"):
        require(new_run(tmp_path)(make, config=Make()), "num_lines")


def test_a_gate_on_what_was_not_measured_names_what_was(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"no measurement 'accuracy'; it holds: num_lines"):
        require(new_run(tmp_path)(make, config=Make()), "accuracy", at_least=0)


def test_a_planned_artifact_has_nothing_to_check() -> None:
    assert require(ModelArtifact("a" * 64, "room.stage", None), "anything", at_least=1) is None
