"""Semantic copies: the best copy stays, every partner is kept, and nothing depends on order or shards."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from real_slice import CHINESE, dataset, evidence, texts, workdir
from set_aside import read_rejected
from sharded import FINANCE, GRAIN, PLAIN_CHINESE, sharded

from burnish.data.duplicates.neighbours import best_kept, draw_cells, find_copies, unit_rows
from burnish.data.records import Record, read_kept, write_kept
from burnish.data.scoring.embed import HashedNgrams, encode
from burnish.data.semantic import SemanticConfig, _Embedding, deduplicate_semantic
from burnish.errors import RecipeError
from burnish.runtime import Run
from burnish.runtime.recipes import fill

REAL = [*GRAIN, *FINANCE, *PLAIN_CHINESE, *CHINESE]
COPIES = {
    GRAIN[0]: GRAIN[0].replace("is expected", "is widely expected"),  # longer, so it stays
    GRAIN[1]: GRAIN[1].replace(" on Friday", ""),
    FINANCE[0]: FINANCE[0].replace("宣布", ""),
    FINANCE[6]: FINANCE[6].replace("今日", "昨日"),
}
RECORDS = [
    *texts(*REAL),
    *(Record(f"u:{row}", text, None, "t") for row, text in enumerate(COPIES.values())),
    Record("v:0", GRAIN[5], None, "t"),
]
CONFIG = SemanticConfig(threshold=0.75)


def brute_force(vectors: np.ndarray, threshold: float) -> dict[int, int]:
    """Take rows in order, comparing each with every kept one."""
    kept: list[int] = []
    copies: dict[int, int] = {}
    unit = unit_rows(vectors, np.arange(len(vectors)))
    for row in range(len(unit)):
        cosines = unit[kept] @ unit[row] if kept else np.zeros(0)
        if len(cosines) and cosines.max() >= threshold:
            copies[row] = kept[int(np.argmax(cosines))]
        else:
            kept.append(row)
    return copies


def test_the_longest_copy_stays_then_the_smallest_id(run: Run) -> None:
    done = run(deduplicate_semantic, dataset(run, RECORDS), config=CONFIG)
    gone = {record.id: rejection for record, rejection in read_rejected(done)}
    assert {identity: rejection.partner_id for identity, rejection in gone.items()} == {
        "t:0000": "u:0",
        "u:1": "t:0001",
        "u:2": "t:0010",
        "u:3": "t:0016",
        "v:0": "t:0005",
        "t:0033": "t:0016",  # two real sentences of which one is the start of the other
    }
    for rejection in gone.values():
        assert rejection.rule == "semantic_copy"
        assert rejection.similarity == rejection.value
        assert rejection.value is not None
        assert CONFIG.threshold <= rejection.value <= 1
    assert gone["v:0"].similarity == pytest.approx(1.0, abs=1e-6)
    assert {record.id for record in read_kept(done)} == {record.id for record in RECORDS} - set(gone)
    found = evidence(done)
    assert found["dropped_semantic_copy_records"] == 6
    assert found["semantic_recall_frac"] == 1.0


def test_the_kept_set_does_not_depend_on_order_or_shards(run: Run) -> None:
    kept = [
        {r.id for r in read_kept(run(deduplicate_semantic, sharded(run, given_records, number), config=CONFIG))}
        for given_records, number in ((RECORDS, 1), (RECORDS, 4), (RECORDS[::-1], 8))
    ]
    assert kept[0] == kept[1] == kept[2]


def test_equal_texts_reach_a_threshold_of_one(run: Run) -> None:
    records = [*texts(*REAL), *(replace(record, id=f"w:{record.id}") for record in texts(*REAL))]
    done = run(deduplicate_semantic, dataset(run, records), config=SemanticConfig(threshold=1.0))
    assert sorted(record.id for record, _ in read_rejected(done)) == [f"w:t:{row:04}" for row in range(len(REAL))]


def test_one_long_id_costs_no_more_than_itself(run: Run, tmp_path: Path) -> None:
    write_kept(workdir(tmp_path), [*texts(*REAL), Record("http://" + "x" * 100_000, "one more text", None, "t")])
    (tmp_path / "folder").mkdir()
    _Embedding(HashedNgrams())(tmp_path / "payload/data/records.parquet", tmp_path / "folder", lambda _: None)
    sizes = {path.name: path.stat().st_size for path in (tmp_path / "folder").iterdir() if "vectors" not in path.name}
    assert sum(sizes.values()) < 110_000, sizes


def test_texts_without_letters_are_no_copies_of_each_other(run: Run) -> None:
    done = run(deduplicate_semantic, dataset(run, texts("!?", "...", "a text")), config=SemanticConfig())
    assert len(read_kept(done)) == 3


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.floats(0.3, 0.99))
def test_with_all_cells_probed_it_is_the_plain_search(seed: int, count: int, threshold: float) -> None:
    random = np.random.default_rng(seed)
    centres = random.normal(size=(4, 8))
    vectors = (centres[random.integers(0, 4, count)] + 0.4 * random.normal(size=(count, 8))).astype(np.float16)
    cosines = unit_rows(vectors, np.arange(count)) @ unit_rows(vectors, np.arange(count)).T
    if np.abs(cosines - threshold).min() < 1e-5:
        return  # on the edge, rounding decides
    cells = draw_cells(vectors, num_probes=count, seed=seed)
    found = find_copies(vectors, cells, threshold)
    expected = brute_force(vectors, threshold)
    assert set(found) == set(expected)
    for row, (partner, similarity) in found.items():
        assert partner not in found
        assert partner < row
        assert similarity == pytest.approx(min(1.0, float(cosines[row, partner])), abs=1e-5)
        assert similarity >= threshold - 1e-5


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_with_few_probes_it_finds_most_and_invents_none(seed: int) -> None:
    random = np.random.default_rng(seed)
    originals = random.normal(size=(150, 32))
    near = originals[:100] + 0.1 * random.normal(size=(100, 32))
    vectors = np.concatenate([originals, near]).astype(np.float16)
    found = find_copies(vectors, draw_cells(vectors, num_probes=4, seed=seed), 0.95)
    assert set(found) <= set(brute_force(vectors, 0.95))
    assert len(found) >= 0.85 * len(brute_force(vectors, 0.95))


def test_a_cluster_larger_than_what_is_noted_keeps_one() -> None:
    # A chain: each is like its neighbours alone, so the first few noted for a row may all be gone.
    angles = np.linspace(0, np.pi / 2, 40)
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float16)
    cells = draw_cells(vectors, num_probes=40, seed=0)
    assert set(find_copies(vectors, cells, 0.99)) == set(brute_force(vectors, 0.99))
    same = np.ones((200, 4), np.float16)
    assert set(find_copies(same, draw_cells(same, num_probes=2, seed=0), 0.9)) == set(range(1, 200))


def test_the_recall_that_is_reported_falls_when_pairs_are_missed() -> None:
    vectors = encode(REAL + REAL, HashedNgrams()).astype(np.float16)
    cells = draw_cells(vectors, num_probes=8, seed=0)
    copies = find_copies(vectors, cells, 0.9)
    assert len(copies) == len(REAL)
    assert best_kept(vectors, np.array(list(copies)), copies).min() >= 0.9
    assert best_kept(vectors, np.arange(len(REAL)), copies).max() < 0.9
    missed = dict(list(copies.items())[1:])
    first = np.array([next(iter(copies))])
    assert best_kept(vectors, first, missed)[0] >= 0.9  # a pair that was missed is seen
    assert best_kept(vectors, np.array([0]), {})[0] == -1


def test_wrong_values_are_refused_and_yaml_fills_the_encoder() -> None:
    for values, said in (({"threshold": 0}, "threshold is 0"), ({"num_probes": 0}, "num_probes is 0")):
        with pytest.raises(RecipeError, match=said):
            fill(SemanticConfig, values)
    assert fill(SemanticConfig, {"encoder": {"kind": "hashed_ngrams", "num_dims": 64}}).encoder == HashedNgrams(64)
