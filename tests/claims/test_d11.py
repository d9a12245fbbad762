import math
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from natural_set import collected, dataset

from burnish.artifacts import DatasetArtifact
from burnish.claims.claim import Verdict, judge
from burnish.claims.convergence import (
    CURVE,
    ByteModelConfig,
    CurveConfig,
    read_held_out,
    rows_of,
    smoothed,
    speed_up,
    steps_to,
    train_byte_model,
    train_curve,
)
from burnish.claims.d11_gate import CLAIM, GateClaimConfig, measure_gate, speed
from burnish.claims.gate_set import KINDS, LABELLED, SEEDS, GateSetConfig, plant_gate_set
from burnish.data.records import read_kept
from burnish.data.scoring.examples import read_examples
from burnish.errors import BurnishError, RecipeError
from burnish.learn.loop import LoopConfig
from burnish.runtime import Run

SET = GateSetConfig(
    domain={"en": 50},
    elsewhere={"zh": 14},
    num_shuffled=4,
    num_disturbed=4,
    num_attacked=9,
    num_off_domain=8,
    num_seeds=5,
    num_labelled=6,
    num_held_out=5,
)
LOOP = LoopConfig(num_steps=6, row_tokens=64, rows_per_step=1, validate_every_steps=2, learning_rate=1e-2)
CURVES = st.lists(st.floats(0.01, 1.0), min_size=3, max_size=9).map(
    lambda falls: [(10.0 * k, 5.0 - sum(falls[:k])) for k in range(len(falls) + 1)]
)


@pytest.fixture
def planted(run: Run) -> DatasetArtifact:
    return run(plant_gate_set, collected(run), config=SET)


def test_the_set_holds_every_fault_and_its_parts_share_no_text(planted: DatasetArtifact) -> None:
    records = read_kept(planted)
    kinds = Counter(record.planted for record in records)
    assert kinds == {"": 50 - 5 - 6 - 5 - 17, "shuffled": 4, "disturbed": 4, "attacked": 9, "off_domain": 8}
    assert planted.measurement("invalid_before_frac").value == pytest.approx(25 / 42)
    seeds, labelled = (read_examples(planted.payload / name) for name in (SEEDS, LABELLED))
    assert [example.is_wanted for example in labelled] == [True] * 6 + [False] * 6
    parts = [
        {e.text for e in seeds},
        {e.text for e in labelled},
        set(read_held_out(planted)),
        {r.text for r in records},
    ]
    assert [len(part) for part in parts] == [5, 12, 5, 42]
    assert len(set.union(*parts)) == 64


def test_more_faults_than_documents_are_refused(run: Run) -> None:
    with pytest.raises(RecipeError, match=r"num_shuffled is 99; it can be done to \d+ documents"):
        run(plant_gate_set, collected(run), config=replace(SET, num_shuffled=99))
    with pytest.raises(RecipeError, match=r"num_off_domain is 99; there are 8 texts left"):
        run(plant_gate_set, collected(run), config=replace(SET, num_off_domain=99))


@given(CURVES, st.floats(1.1, 4.0))
def test_a_curve_that_falls_k_times_as_fast_is_k_times_as_fast(curve: list[tuple[float, float]], times: float) -> None:
    faster = [(step / times, loss) for step, loss in curve]
    assert speed_up(curve, faster) == pytest.approx(times)
    assert speed_up(faster, curve) == pytest.approx(1 / times)
    assert speed_up(curve, curve) == pytest.approx(1)


@given(CURVES)
def test_a_curve_that_ends_higher_sets_the_loss_that_both_reach(curve: list[tuple[float, float]]) -> None:
    short = curve[:-1]
    assert speed_up(curve, short) == pytest.approx(1 / speed_up(short, curve))
    assert steps_to(curve, curve[-1][1] - 1) is None
    assert steps_to(curve, curve[0][1]) == 0
    assert smoothed([(0.0, 1.0)] * 4) == [(0.0, 1.0)] * 4


def test_a_model_that_learns_nothing_is_no_reading() -> None:
    with pytest.raises(BurnishError, match="does not fall below the other's start"):
        speed_up([(0, 3.0), (10, 2.0)], [(0, 3.0), (10, 3.5)])
    with pytest.raises(BurnishError, match="does not fall below the other's start"):
        speed_up([(10, 3.0), (20, 2.0)], [(10, 5.0), (20, 4.0)])  # read from the tenth step on


@given(st.lists(st.floats(0.5, 3.0), min_size=3, max_size=8))
def test_the_interval_over_seeds_holds_the_geometric_mean_and_turns_with_the_question(ratios: list[float]) -> None:
    measured, inverse = speed(ratios, 0.95), speed([1 / ratio for ratio in ratios], 0.95)
    assert measured.value == pytest.approx(math.prod(ratios) ** (1 / len(ratios)))
    assert measured.low is not None
    assert measured.high is not None
    assert inverse.high is not None
    assert measured.low <= measured.value * (1 + 1e-9)
    assert measured.value <= measured.high * (1 + 1e-9)
    assert measured.low == pytest.approx(1 / inverse.high)


@given(st.lists(st.text(min_size=1), min_size=1, max_size=20), st.integers(2, 40), st.integers(0, 5))
def test_rows_are_equally_long_and_hold_each_byte_once(texts: list[str], length: int, seed: int) -> None:
    rows = list(rows_of(texts, length, seed))
    total = sum(len(text.encode()) + 1 for text in texts)
    assert len(rows) == total // length
    assert all(len(row.ids) == len(row.labels) == length for row in rows)
    used = Counter(token for row in rows for token in row.ids)
    whole = Counter(token for text in texts for token in (*text.encode(), 256))
    assert used <= whole
    assert (whole - used).total() < length


def test_a_byte_model_learns_and_its_curve_follows_from_the_seeds(run: Run, planted: DatasetArtifact) -> None:
    start = run(train_byte_model, planted, config=ByteModelConfig(32, 1, 2, LOOP))
    config = CurveConfig(LOOP, validation_rows=4)
    reading = run(train_curve, start, planted, planted, config=config)
    curve = reading.read_json(CURVE)
    assert [step for step, _ in curve] == [0, 2, 4, 6]
    assert curve[-1][1] < curve[0][1]
    assert reading.measurement("validation_loss_nats").value == curve[-1][1]
    other = run(train_curve, start, planted, planted, config=replace(config, seed=1)).read_json(CURVE)
    assert other[0] == curve[0]
    assert other[-1] != curve[-1]
    assert reading.manifest.payload_digest  # read now: its folder is made anew
    run.store.set_aside(reading.digest)
    assert run(train_curve, start, planted, planted, config=config).read_json(CURVE) == curve


def test_a_dataset_that_is_too_small_is_refused(run: Run, planted: DatasetArtifact) -> None:
    with pytest.raises(RecipeError, match=r"fills \d+ rows of 64 bytes; 99000 are needed"):
        run(train_byte_model, planted, config=ByteModelConfig(32, 1, 2, replace(LOOP, num_steps=99_000)))


def test_the_reading_counts_what_the_gate_left(run: Run, planted: DatasetArtifact) -> None:
    valid = [record for record in read_kept(planted) if not record.planted]
    bad = [record for record in read_kept(planted) if record.planted]
    start = run(train_byte_model, planted, config=ByteModelConfig(32, 1, 2, LOOP))
    one, other = (run(train_curve, start, planted, planted, config=CurveConfig(LOOP, 2, seed)) for seed in (0, 1))
    curves = (one, one, other, other)
    for gated, drop, lost in (([*valid, *bad], 0.0, 0.0), (valid[:-1], 1.0, 1 / 17), ([*valid, *bad[:17]], 0.16, 0.0)):
        reading = run(measure_gate, planted, dataset(run, gated), *curves, config=GateClaimConfig())
        assert reading.measurement("invalid_drop_frac").value == pytest.approx(drop, abs=1e-9)
        assert reading.measurement("valid_lost_frac").value == pytest.approx(lost)
        assert reading.measurement("convergence_speedup").value == pytest.approx(1)
        assert {figure.name for figure in CLAIM.figures} <= {m.name for m in reading.evidence}
        verdict, _ = judge(CLAIM.figures[0], reading.measurement("invalid_drop_frac"))
        assert verdict is (Verdict.FALLS_SHORT if drop < 0.5 else Verdict.UNDECIDED)
        gone = [reading.measurement(f"gone_{kind}_frac") for kind in KINDS]
        assert sum(round(m.value * m.n) for m in gone) == 25 - sum(bool(record.planted) for record in gated)
