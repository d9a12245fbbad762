"""A1: what is saved is measured in processes of their own, and quality on the same documents."""

from pathlib import Path

import pytest

from burnish.artifacts import ModelArtifact
from burnish.claims.a1_sparse_attention import (
    CLAIM,
    SparseClaimConfig,
    StepMemoryConfig,
    measure_sparse_attention,
    measure_step_memory,
)
from burnish.claims.long_documents import AdaptConfig, adapt
from burnish.claims.step_cost import CostConfig, WrittenOut, cost_here, measure_cost
from burnish.errors import BurnishError, RecipeError
from burnish.learn.loop import LoopConfig
from burnish.nn.attention import FullAttention, LocalGlobal
from burnish.runtime import Run
from conftest import HEADLINES, make_model, read_lines, sealed_records

SPARSE = LocalGlobal(16, 2)


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose cost is its attention."""
    return make_model(tmp_path_factory.mktemp("narrow"), hidden_size=16, intermediate_size=16, num_hidden_layers=1)


def test_scores_written_out_take_memory_with_the_square_and_a_window_does_not(narrow: Path) -> None:
    def peak(attention: WrittenOut | LocalGlobal) -> int:
        return measure_cost(CostConfig(narrow, attention, 3072, what="layer", num_steps=1)).peak_bytes

    scores_bytes = 4 * 4 * 3072**2
    assert peak(WrittenOut()) > 3 * scores_bytes
    assert peak(SPARSE) < scores_bytes / 2


def test_the_claim_runs_from_the_model_to_the_reading(
    run: Run, base: ModelArtifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "burnish.claims.a1_sparse_attention.measure_cost", cost_here
    )  # other processes are slow to start
    text = " ".join(text for text, _ in HEADLINES)
    rows = [{"id": f"d{i}", "text": f"{i} {text}", "label": None} for i in range(6)]
    data = sealed_records(run, {"train": rows})
    memory = run(measure_step_memory, base, config=StepMemoryConfig(SPARSE, 256, 1, "fp32"))
    loop = LoopConfig(num_steps=2, row_tokens=64, learning_rate=1e-3)
    full, sparse = (
        run(adapt, base, data, config=AdaptConfig(kind, loop, "fp32", num_held_out=3))
        for kind in (FullAttention(), SPARSE)
    )
    reading = run(measure_sparse_attention, memory, full, sparse, config=SparseClaimConfig())
    for figure in CLAIM.figures:
        assert reading.measurement(figure.name).n >= 1
    change = reading.measurement("bits_per_byte_change")
    assert change.n == 3
    assert change.low is not None
    assert change.low <= change.value <= (change.high or 0.0)
    levels = [each.measurement("bits_per_byte").value for each in (full, sparse)]
    assert change.value == pytest.approx(levels[1] - levels[0])
    assert [len(read_lines(each.payload / "documents.json")[0]) for each in (full, sparse)] == [3, 3]


def test_too_few_documents_and_too_little_memory_are_said_beforehand(run: Run, base: ModelArtifact) -> None:
    data = sealed_records(run, {"train": [{"id": "a", "text": HEADLINES[0][0], "label": None}]})
    with pytest.raises(RecipeError, match="gives 0 held-out documents"):
        run(adapt, base, data, config=AdaptConfig(loop=LoopConfig(row_tokens=64)))
    with pytest.raises(RecipeError, match="measure on a GPU"):
        run(measure_step_memory, base, config=StepMemoryConfig(num_tokens=10_000_000))


def test_a_step_that_dies_is_told_with_its_reason(tmp_path: Path) -> None:
    with pytest.raises(BurnishError, match="did not end"):
        measure_cost(CostConfig(tmp_path, FullAttention(), 16))
