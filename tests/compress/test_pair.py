"""Teacher and student on held-out rows: what is drawn for an interval are documents that hang together."""

from pathlib import Path

import pytest
import torch
from teaching_texts import text_data

from burnish.compress import pair
from burnish.compress.pair import TextRows, compared, text_rows
from burnish.learn.loop import LoopConfig
from burnish.learn.running_text import Ends
from burnish.nn.weights import open_tokenizer
from burnish.runtime import Run, Workdir
from burnish.runtime.events import EventLog


def test_a_row_starts_a_group_where_no_document_goes_on(run: Run, tiny_model: Path, tmp_path: Path) -> None:
    out = Workdir(tmp_path / "work", "test", EventLog(tmp_path / "log.jsonl", ()))
    loop = LoopConfig(row_tokens=32)
    rows = text_rows(out, tiny_model, text_data(run), loop, validation_records=100, seed=0)
    ends = Ends.of(open_tokenizer(tiny_model), None)
    assert rows.end == ends.end
    assert rows.starts == [at for at, row in enumerate(rows.held_out) if row.ids[0] == ends.start]
    assert 1 < len(rows.starts) < len(rows.held_out)


@pytest.mark.parametrize("num_rows", [5, 3])
def test_rows_of_one_document_are_drawn_together(monkeypatch: pytest.MonkeyPatch, num_rows: int) -> None:
    """Rows differ within their groups and the groups do not, so that an interval over groups has no width."""
    kl = [1.0, 3.0, 2.0, 0.5, 3.5][:num_rows]
    sums = torch.tensor([[each, 2 * each, each, 0.5, 1.0] for each in kl], dtype=torch.float64)
    monkeypatch.setattr(pair, "measure_rows", lambda *_: sums)
    starts = [0, 2, 3] if num_rows == 5 else [0]
    found = {m.name: m for m in compared(None, None, TextRows(None, 0, [], starts, 9, 7), seed=0)}
    measured = found["validation_kl_nats"]
    assert (measured.value, measured.n) == (2.0, len(starts))
    assert (measured.low, measured.high) == ((2.0, 2.0) if len(starts) > 1 else (None, None))
    assert "7 held-out documents" in measured.how
    assert found["teacher_validation_perplexity"].value == pytest.approx(torch.tensor(2.0).exp().item())
    begun = compared(None, None, TextRows(None, 0, [], starts, 9, 7), seed=0, prefix="start_")
    assert "start_teacher_validation_perplexity" not in {m.name for m in begun}
