"""One form of a model beside another, on text: oracles in plain torch, and tokenizers that differ."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from burnish.artifacts import DatasetArtifact, Draft, ModelArtifact
from burnish.errors import RecipeError
from burnish.evaluate.text_quality import TextQualityConfig, compare_on_text
from burnish.nn.weights import open_model, open_tokenizer
from burnish.runtime import Run, Workdir
from conftest import HEADLINES, make_model

CONFIG = TextQualityConfig(num_documents=6, max_tokens=24)


@pytest.fixture
def pair(run: Run, tmp_path: Path) -> tuple[ModelArtifact, ModelArtifact]:
    """A model, and the same with its last layer's weights moved."""
    reference = make_model(tmp_path / "reference")
    candidate = make_model(tmp_path / "candidate")
    moved = open_model(candidate, precision="fp32")
    with torch.no_grad():
        moved.model.layers[-1].mlp.down_proj.weight.mul_(0.5)
    moved.save_pretrained(candidate)
    return _sealed(run, reference), _sealed(run, candidate)


def _sealed(run: Run, folder: Path) -> ModelArtifact:
    def given(out: Workdir, *, config: str) -> Draft[ModelArtifact]:
        for file in sorted(Path(config).iterdir()):
            (out / file.name).write_bytes(file.read_bytes())
        return Draft(ModelArtifact, (), "a model of a test")

    return run(given, config=str(folder))


def _logprobs(model: ModelArtifact, ids: list[int]) -> Any:
    with torch.inference_mode():
        return open_model(model.payload, precision="fp32")(torch.tensor([ids])).logits[0].log_softmax(-1)


def test_figures_are_those_of_plain_torch(
    run: Run, pair: tuple[ModelArtifact, ModelArtifact], headlines: DatasetArtifact
) -> None:
    report = run(compare_on_text, *pair, headlines, config=CONFIG)
    tokenizer = open_tokenizer(pair[0].payload)
    nats, kl, agreed, tokens, num_bytes = [0.0, 0.0], 0.0, 0, 0, 0
    for text, _ in HEADLINES:
        start = tokenizer.get_vocab()["<|endoftext|>"]
        ids = [start, *tokenizer(text)["input_ids"]][:25]
        while "\ufffd" in tokenizer.decode(ids[1:]):  # cut within a Chinese character
            ids.pop()
        p, q = (_logprobs(model, ids)[:-1] for model in pair)
        wanted = torch.tensor(ids[1:])[:, None]
        nats = [total - float(side.gather(1, wanted).sum()) for total, side in zip(nats, (p, q), strict=True)]
        kl += float((p.exp() * (p - q)).sum())
        agreed += int((p.argmax(1) == q.argmax(1)).sum())
        tokens += len(ids) - 1
        num_bytes += len(tokenizer.decode(ids[1:]).encode())
    expected = {
        "reference_bits_per_byte": nats[0] / math.log(2) / num_bytes,
        "bits_per_byte": nats[1] / math.log(2) / num_bytes,
        "perplexity_ratio": math.exp((nats[1] - nats[0]) / tokens),
        "kl_nats": kl / tokens,
        "top1_agreement_frac": agreed / tokens,
        "text_tokens": tokens,
    }
    assert {m.name: m.value for m in report.evidence} == pytest.approx(expected, rel=1e-4)
    for name in ("perplexity_ratio", "kl_nats"):
        found = report.measurement(name)
        assert found.low is not None
        assert found.high is not None
        assert found.low < found.value < found.high
    rows = [json.loads(line) for line in (report.payload / "documents.jsonl").read_text().splitlines()]
    assert [row["id"] for row in rows] == [f"h{i}" for i in range(6)]


def test_a_model_beside_itself_loses_nothing(
    run: Run, pair: tuple[ModelArtifact, ModelArtifact], headlines: DatasetArtifact
) -> None:
    report = run(compare_on_text, pair[0], pair[0], headlines, config=CONFIG)
    assert report.measurement("perplexity_ratio").value == 1.0
    assert report.measurement("kl_nats").value == 0.0
    assert report.measurement("top1_agreement_frac").value == 1.0


def test_another_tokenizer_is_compared_a_byte(
    run: Run, pair: tuple[ModelArtifact, ModelArtifact], headlines: DatasetArtifact, tmp_path: Path
) -> None:
    folder = tmp_path / "fewer"
    folder.mkdir()
    for file in pair[0].payload.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    state = json.loads((folder / "tokenizer.json").read_text())
    state["model"]["merges"] = []  # every byte by itself
    (folder / "tokenizer.json").write_text(json.dumps(state))
    report = run(compare_on_text, pair[0], _sealed(run, folder), headlines, config=CONFIG)
    names = {m.name for m in report.evidence}
    assert "bits_per_byte" in names
    assert not {"kl_nats", "top1_agreement_frac"} & names


def test_too_little_is_refused() -> None:
    with pytest.raises(RecipeError, match="num_documents is 1"):
        TextQualityConfig(num_documents=1)
