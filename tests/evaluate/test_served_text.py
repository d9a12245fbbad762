"""Text that a served model keeps: the reading against plain torch, the interval's direction, another tokenizer refused."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from burnish.artifacts import DatasetArtifact, Draft, ModelArtifact
from burnish.compress.export.write import ExportConfig, export
from burnish.errors import ArtifactError, BurnishError
from burnish.evaluate import served_text
from burnish.evaluate.served_text import ServedTextConfig, compare_served, read_text
from burnish.evaluate.text_quality import TextQualityConfig
from burnish.nn.weights import open_model, open_tokenizer
from burnish.runtime import Run, Workdir
from conftest import read_lines, sealed_records

CONFIG = TextQualityConfig(num_documents=6, max_tokens=12)


def test_a_reading_is_what_plain_torch_gives(run: Run, base: ModelArtifact, headlines: DatasetArtifact) -> None:
    reading = run(read_text, base, headlines, config=CONFIG)
    model, tokenizer = open_model(base.payload, precision="fp32"), open_tokenizer(base.payload)
    rows = read_lines(reading.payload / served_text.READINGS)
    assert len(rows) == 6
    nats = num_bytes = 0.0
    for row in rows:
        assert tokenizer.decode(row["ids"][1:]) == row["text"]
        assert len(row["ids"]) <= 13
        ids = torch.tensor([row["ids"]])
        with torch.inference_mode():
            logprobs = model(ids).logits[0, :-1].log_softmax(-1)
        wanted = -float(logprobs.gather(1, ids[0, 1:, None]).sum())
        assert row["nats"] == pytest.approx(wanted, rel=1e-4)
        nats, num_bytes = nats + wanted, num_bytes + len(row["text"].encode())
    assert reading.measurement("bits_per_byte").value == pytest.approx(nats / math.log(2) / num_bytes, rel=1e-4)


class FakeServer:
    """A server that predicts every token worse than the reading by so many nats."""

    worse_nats = 0.0

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self._rows: dict[tuple[int, ...], float] = {tuple(row["ids"]): row["nats"] for row in rows}

    def __enter__(self) -> "FakeServer":
        return self

    def __exit__(self, *_: object) -> None:
        """End."""

    def prompt_logprobs(self, sequences: list[tuple[int, ...]], each: object) -> list[list[float]]:
        return [[-self._rows[ids] / (len(ids) - 1) - self.worse_nats] * (len(ids) - 1) for ids in sequences]


@pytest.mark.parametrize(("worse_nats", "kept"), [(0.0, 1.0), (0.1, math.exp(-0.1)), (-0.2, math.exp(0.2))])
def test_text_kept_is_the_inverse_of_the_perplexity_ratio(
    run: Run,
    base: ModelArtifact,
    headlines: DatasetArtifact,
    monkeypatch: pytest.MonkeyPatch,
    worse_nats: float,
    kept: float,
) -> None:
    reading = run(read_text, base, headlines, config=CONFIG)
    fake = FakeServer(read_lines(reading.payload / served_text.READINGS))
    fake.worse_nats = worse_nats
    monkeypatch.setattr(served_text, "served", lambda _model: fake)
    report = run(compare_served, reading, base, config=ServedTextConfig())
    found = report.measurement("text_kept_frac")
    assert found.value == pytest.approx(kept)
    assert found.low is not None
    assert found.high is not None
    assert found.low <= found.value * (1 + 1e-9)
    assert found.value <= found.high * (1 + 1e-9)
    assert report.measurement("perplexity_ratio").value == pytest.approx(1 / kept)


def test_another_tokenizer_and_what_is_no_reading_are_refused(
    run: Run, base: ModelArtifact, headlines: DatasetArtifact, tmp_path: Path
) -> None:
    reading = run(read_text, base, headlines, config=CONFIG)

    def retokenized(out: Workdir, model: ModelArtifact, *, config: int) -> Draft[ModelArtifact]:
        from tokenizers import pre_tokenizers

        _with_tokenizer(out, model, pre_tokenizer=pre_tokenizers.ByteLevel(add_prefix_space=True))
        return Draft(ModelArtifact, (), "another tokenizer")

    other = run(retokenized, base, config=0)
    with pytest.raises(BurnishError, match="has another tokenizer than the model that read the text"):
        run(compare_served, reading, other, config=ServedTextConfig())
    report = run(_unread, base, config=0)
    with pytest.raises(ArtifactError, match="is no reading of text"):
        run(compare_served, report, base, config=ServedTextConfig())


def test_a_tokenizer_that_differs_in_a_later_document_alone_is_refused(run: Run, base: ModelArtifact) -> None:
    texts = ("a plain line", "another line", "a line with ünïcode")
    data = sealed_records(run, {"test": [{"id": str(at), "text": text} for at, text in enumerate(texts)]})
    reading = run(read_text, base, data, config=CONFIG)

    def retokenized(out: Workdir, model: ModelArtifact, *, config: int) -> Draft[ModelArtifact]:
        from tokenizers import normalizers

        _with_tokenizer(out, model, normalizer=normalizers.Replace("ü", "u"))
        return Draft(ModelArtifact, (), "a tokenizer that drops an accent")

    with pytest.raises(BurnishError, match="has another tokenizer than the model that read the text"):
        run(compare_served, reading, run(retokenized, base, config=0), config=ServedTextConfig())


def test_text_of_which_no_token_comes_is_refused(run: Run, base: ModelArtifact) -> None:
    def blind(out: Workdir, model: ModelArtifact, *, config: int) -> Draft[ModelArtifact]:
        from tokenizers import normalizers

        _with_tokenizer(out, model, normalizer=normalizers.Strip())
        for path in model.payload.iterdir():
            if path.suffix == ".safetensors" or path.name == "config.json":
                (out / path.name).write_bytes(path.read_bytes())
        return Draft(ModelArtifact, (), "a tokenizer that drops blanks")

    model = run(blind, base, config=0)
    blanks = [{"id": str(at), "text": " " * (at + 1)} for at in range(2)]
    with pytest.raises(
        BurnishError, match="makes no token of any of 2 documents of split 'test'; give text that is more"
    ):
        run(read_text, model, sealed_records(run, {"test": blanks}), config=CONFIG)
    words = {"id": "words", "text": "two words"}
    reading = run(read_text, model, sealed_records(run, {"test": [*blanks, words]}), config=CONFIG)
    assert [row["id"] for row in read_lines(reading.payload / served_text.READINGS)] == ["words"]


def _with_tokenizer(out: Workdir, model: ModelArtifact, **parts: Any) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model.payload)
    for name, part in parts.items():
        setattr(tokenizer.backend_tokenizer, name, part)
    tokenizer.save_pretrained(out.payload)


def _unread(out: Workdir, model: ModelArtifact, *, config: int) -> Draft[ModelArtifact]:
    (out / "nothing.txt").write_text("")
    return Draft(ModelArtifact, (), "no reading")


@pytest.mark.slow
def test_the_real_server_reads_what_the_model_in_memory_reads(
    run: Run, base: ModelArtifact, headlines: DatasetArtifact
) -> None:
    reading = run(read_text, base, headlines, config=CONFIG)
    written = run(export, base, config=ExportConfig())
    report = run(compare_served, reading, written, config=ServedTextConfig())
    assert report.measurement("text_kept_frac").value == pytest.approx(1.0, abs=0.02)
