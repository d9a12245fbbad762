"""Scores of a first pass and samples: found again by id, the same for any order and shards, resumed after a kill."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from real_slice import dataset, texts, workdir
from sharded import FINANCE, GRAIN, sharded

from burnish.data.scoring.sample import sample_records
from burnish.data.scoring.scores import Scores, keys_of, score_records
from burnish.errors import BurnishError
from burnish.runtime import Run

RECORDS = texts(*(f"{text} {number}" for number in range(10) for text in (*GRAIN, *FINANCE)))


@dataclass(frozen=True)
class Lengths:
    """Score a record by its text's length and by whether it is Chinese."""

    log: Path

    def __call__(self, rows: Any) -> Scores:
        with self.log.open("a", encoding="utf-8") as file:
            file.write(f"{rows.num_rows}\n")
        found = [(len(text), not text.isascii()) for text in rows.column("text").to_pylist()]
        return np.array(found, np.float32)


@pytest.mark.parametrize("num_shards", [1, 3, 8])
def test_every_record_finds_its_own_scores(run: Run, tmp_path: Path, num_shards: int) -> None:
    out = workdir(tmp_path / "work")
    table = score_records(out, sharded(run, RECORDS, num_shards), Lengths(tmp_path / "log"), step="score")
    some = RECORDS[::7][::-1]
    found = table.of([record.id for record in some])
    assert found.tolist() == [[len(record.text), float(not record.text.isascii())] for record in some]
    assert table.all().shape == (len(RECORDS), 2)
    assert table.all()[:, 0].sum() == sum(len(record.text) for record in RECORDS)


def test_what_was_scored_before_a_kill_is_not_scored_again(run: Run, tmp_path: Path) -> None:
    records, log = sharded(run, RECORDS, 4), tmp_path / "log"
    score_records(workdir(tmp_path / "work"), records, Lengths(log), step="score")
    calls = len(log.read_text().splitlines())
    again = score_records(workdir(tmp_path / "work"), records, Lengths(log), step="score")
    assert len(log.read_text().splitlines()) == calls == 4
    assert again.of([RECORDS[0].id])[0, 0] == len(RECORDS[0].text)


def test_an_unknown_record_is_an_error_and_no_neighbours_score(run: Run, tmp_path: Path) -> None:
    table = score_records(workdir(tmp_path / "w"), dataset(run, RECORDS), Lengths(tmp_path / "log"), step="score")
    with pytest.raises(BurnishError, match="has no score"):
        table.of(["never seen"])


@given(st.sets(st.text(st.characters(codec="utf-8"), max_size=10), max_size=50))
def test_ids_have_keys_of_their_own(ids: set[str]) -> None:
    keys = keys_of(sorted(ids))
    assert keys.dtype == np.uint64
    assert len(set(keys.tolist())) == len(ids)


def test_a_sample_depends_on_ids_alone_and_its_start_is_a_sample(run: Run) -> None:
    samples = [
        sample_records(sharded(run, rows, number), 40, seed=1, purpose="test")
        for rows, number in ((RECORDS, 1), (RECORDS, 7), (RECORDS[::-1], 2))
    ]
    assert samples[0] == samples[1] == samples[2]
    assert {(row.id, row.text) for row in samples[0]} <= {(record.id, record.text) for record in RECORDS}
    data = dataset(run, RECORDS)
    assert sample_records(data, 10, seed=1, purpose="test") == samples[0][:10]
    assert len(sample_records(data, 10**6, seed=1, purpose="test")) == len(RECORDS)
    assert sample_records(data, 0, seed=1, purpose="test") == []


def test_another_purpose_or_seed_draws_another_sample(run: Run) -> None:
    data = dataset(run, RECORDS)
    ids = [
        {row.id for row in sample_records(data, 50, seed=seed, purpose=purpose)}
        for seed, purpose in ((0, "a"), (0, "b"), (1, "a"))
    ]
    assert len(ids[0] & ids[1]) < 25
    assert len(ids[0] & ids[2]) < 25
