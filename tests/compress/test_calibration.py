"""Calibration rows, and what linear layers are given while a model reads them."""

from pathlib import Path

import pytest
import torch

from burnish.artifacts import DatasetArtifact
from burnish.compress.calibration import (
    CalibrationConfig,
    calibration_rows,
    warn_if_unreadable,
)
from burnish.compress.layer_walk import LayerWalk
from burnish.errors import BurnishError, RecipeError
from burnish.nn.weights import open_model, open_tokenizer
from burnish.runtime import Run, Workdir
from burnish.runtime.events import Event, EventLog, Warned
from conftest import HEADLINES, make_model, sealed_records

ROWS = [[1, 50, 60, 70, 2, 9, 200, 33], [5, 6, 7, 8, 90, 100, 110, 120], [300, 3, 4, 1, 2, 7, 7, 7]]


@pytest.fixture
def out(tmp_path: Path, events: list[Event]) -> Workdir:
    (tmp_path / "out/payload").mkdir(parents=True)
    return Workdir(tmp_path / "out", "test", EventLog(tmp_path / "out.jsonl", (events.append,)))


@pytest.fixture
def texts(run: Run) -> DatasetArtifact:
    rows = [{"id": f"h{i}", "text": HEADLINES[i % 6][0] + f" {i}", "label": ""} for i in range(12)]
    return sealed_records(run, {"train": rows, "test": [{"id": "long", "text": "very long " * 60, "label": ""}]})


def test_rows_are_full_begin_with_documents_and_hold_the_text(
    out: Workdir, tiny_model: Path, texts: DatasetArtifact
) -> None:
    config = CalibrationConfig(num_rows=4, row_tokens=40)
    rows = calibration_rows(out, tiny_model, texts, config)
    assert [len(row) for row in rows] == [40] * 4
    tokenizer = open_tokenizer(tiny_model)
    starts = tokenizer.get_vocab()["<|endoftext|>"]
    documents = {text + f" {i}" for i in range(12) for text in [HEADLINES[i % 6][0]]}
    for row in rows:
        assert row[0] == starts
        pieces = [piece for piece in tokenizer.decode(row).split("<|endoftext|>") if piece]
        assert all(any(document.startswith(piece) for document in documents) for piece in pieces), pieces
    assert rows == calibration_rows(out, tiny_model, texts, config)
    assert rows != calibration_rows(out, tiny_model, texts, CalibrationConfig(num_rows=4, row_tokens=40, seed=1))


def test_one_long_document_fills_many_rows(out: Workdir, tiny_model: Path, texts: DatasetArtifact) -> None:
    rows = calibration_rows(out, tiny_model, texts, CalibrationConfig(num_rows=5, row_tokens=64, split="test"))
    assert [len(row) for row in rows] == [64] * 5
    tokens = [token for row in rows for token in row]
    assert open_tokenizer(tiny_model).decode(tokens[1:]) in "very long " * 60


def test_too_little_text_is_refused_with_what_it_would_fill(
    out: Workdir, tiny_model: Path, texts: DatasetArtifact
) -> None:
    with pytest.raises(RecipeError, match=r"fills \d rows of 100 tokens; calibration wants num_rows 64"):
        calibration_rows(out, tiny_model, texts, CalibrationConfig(row_tokens=100))
    with pytest.raises(BurnishError, match="no records in split 'validation'"):
        calibration_rows(out, tiny_model, texts, CalibrationConfig(split="validation"))
    with pytest.raises(RecipeError, match="at least 1 row"):
        CalibrationConfig(num_rows=0)


def test_a_text_that_the_model_cannot_read_is_told(out: Workdir, tmp_path: Path, events: list[Event]) -> None:
    wild = open_model(make_model(tmp_path / "wild", initializer_range=1.0), precision="fp32")
    warn_if_unreadable(out, wild, ROWS)
    assert [event for event in events if isinstance(event, Warned) and "nats a token" in event.message]
    events.clear()
    calm = open_model(make_model(tmp_path / "calm", initializer_range=0.01), precision="fp32")
    warn_if_unreadable(out, calm, ROWS)  # log(320) = 5.8 nats
    assert not events


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "qwen3", "mistral"])
def test_a_walk_ends_where_the_model_does(tmp_path: Path, architecture: str) -> None:
    model = open_model(make_model(tmp_path / "m", architecture), precision="fp32")
    walk = LayerWalk(model, ROWS)
    assert set(walk.linears(1)) == {
        f"model.layers.1.{name}_proj" for name in
        ("self_attn.q", "self_attn.k", "self_attn.v", "self_attn.o", "mlp.gate", "mlp.up", "mlp.down")
    }  # fmt: skip
    ahead = walk.through(walk.hidden, 0, 1)
    walk.step(0)
    walk.step(1)
    for row, state, other in zip(ROWS, walk.hidden, ahead, strict=True):
        with torch.no_grad():
            expected = model.model(torch.tensor([row])).last_hidden_state
            torch.testing.assert_close(walk.norm(state), expected, rtol=1e-4, atol=1e-5)
        assert torch.equal(state, other)
