"""Continued pre-training: every token of every document is learnt once, packed as alone; kills cost nothing."""

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from killing import resumed_from, seal_then_kill

from burnish.artifacts import DatasetArtifact, ModelArtifact
from burnish.errors import BurnishError, RecipeError
from burnish.learn.loop import LoopConfig
from burnish.learn.packing import IGNORED, pack_once
from burnish.learn.running_text import Ends, Pieces
from burnish.learn.task import TokenTask, mean_loss
from burnish.nn.weights import open_model, open_tokenizer, quiet_transformers
from burnish.runtime import Run
from burnish.runtime.events import Event
from burnish.runtime.recipes import fill
from burnish.train.methods import Full, Lora
from burnish.train.pretrain import PretrainConfig, TextTask, pretrain
from conftest import make_tokenizer, read_lines, sealed_records

DOCUMENTS = (
    "Sea levels are rising faster than expected, a study finds. " * 6,
    "央行宣布下调存款准备金率，释放长期资金。" * 5,
    "Short.",
    "A control token, spelt out: <|im_end|> and <|endoftext|>.",
)
CONFIG = PretrainConfig(
    method=Full(),
    loop=LoopConfig(num_steps=8, row_tokens=128, learning_rate=1e-3, snapshot_every_steps=2, validate_every_steps=4),
    precision="fp32",
)


@pytest.fixture
def documents(run: Run) -> DatasetArtifact:
    rows = [{"id": f"d{n}", "text": text, "label": None} for n, text in enumerate(DOCUMENTS)]
    return sealed_records(run, {"train": rows, "validation": rows[1:], "test": rows})


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=6), st.integers(2, 12))
def test_every_token_after_a_documents_first_is_learnt_once(lengths: list[int], row_tokens: int) -> None:
    texts = [[7, *range(100 + 100 * n, 100 + 100 * n + length), 9] for n, length in enumerate(lengths)]
    pieces = Pieces(texts, row_tokens=row_tokens)
    rows = pack_once(pieces, row_tokens=row_tokens)
    assert max(len(row.ids) for row in rows) <= row_tokens
    learnt = [token for row in rows for token in row.labels if token != IGNORED]
    assert learnt == [token for text in texts for token in text[1:]]
    assert pieces.num_learnt == len(learnt)
    # a token is learnt from what truly stands before it, never from another document
    before = {label: token for text in texts for token, label in pairwise(text[:-1])}
    for row in rows:
        assert all(before[label] == token for token, label in zip(row.ids, row.labels, strict=True) if label in before)


def test_documents_decode_to_themselves_between_their_ends(
    run: Run, documents: DatasetArtifact, base: ModelArtifact
) -> None:
    tuned = run(pretrain, base, documents, config=replace(CONFIG, loop=replace(CONFIG.loop, num_steps=1)))
    tokenizer = open_tokenizer(base.payload)
    ends = Ends.of(tokenizer, None)
    assert tokenizer.decode([ends.start]) == tokenizer.decode([ends.end]) == "<|endoftext|>"
    control = set(tokenizer.all_special_ids) | {ends.end}
    total = 0
    for text in DOCUMENTS:
        ids = tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        assert not control & set(ids)  # letters, though they spell a control token
        assert tokenizer.decode(ids) == text
        total += len(ids) + 1
    assert tuned.measurement("corpus_tokens").value == total
    assert f"every token of {len(DOCUMENTS)} documents is learnt" in tuned.card


def test_packed_and_alone_are_the_same_loss_and_bits_a_byte(tiny_model: Path) -> None:
    """The oracle: transformers' own loss on one whole document at a time."""
    tokenizer, model = open_tokenizer(tiny_model), open_model(tiny_model, precision="fp32")
    ends = Ends.of(tokenizer, None)
    texts = [[ends.start, *tokenizer(text, add_special_tokens=False)["input_ids"], ends.end] for text in DOCUMENTS]
    nats, count = 0.0, 0
    for ids in texts:
        tensor = torch.tensor([ids], device=model.device)
        with torch.inference_mode(), quiet_transformers():
            nats += float(model(tensor, labels=tensor).loss) * (len(ids) - 1)
        count += len(ids) - 1
    longest = max(map(len, texts))
    packed = pack_once(Pieces(texts, row_tokens=longest), row_tokens=sum(map(len, texts)))
    alone = pack_once(Pieces(texts, row_tokens=longest), row_tokens=longest)
    assert len(packed) == 1 < len(alone)
    num_bytes = sum(len(text.encode()) for text in DOCUMENTS)
    for rows in (packed, alone):
        assert mean_loss(model, rows) == pytest.approx(nats / count, rel=1e-5)
        found = TextTask(num_bytes=num_bytes).validate(model, rows)
        assert found["validation_bits_per_byte"] == pytest.approx(nats / math.log(2) / num_bytes, rel=1e-5)


def test_it_learns_text_of_two_languages(run: Run, base: ModelArtifact, documents: DatasetArtifact) -> None:
    tuned = run(pretrain, base, documents, config=replace(CONFIG, loop=replace(CONFIG.loop, num_steps=12)))
    log = read_lines(tuned.payload / "training_log.jsonl")
    bits = [row["validation_bits_per_byte"] for row in log if "validation_bits_per_byte" in row]
    assert bits[-1] < bits[0]
    last = tuned.measurement("validation_bits_per_byte")
    assert (last.value, last.n) == (bits[-1], 3)
    assert (tuned.payload / "model.safetensors").exists()


def test_a_killed_run_resumes_to_the_same_bits(
    run: Run, base: ModelArtifact, documents: DatasetArtifact, events: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(CONFIG, method=Lora(rank=4, alpha=8, dropout=0.2))

    def make() -> ModelArtifact:
        return run(pretrain, base, documents, config=config)

    digest = seal_then_kill(run, monkeypatch, TokenTask, make, 6)
    assert make().manifest.payload_digest == digest
    assert resumed_from(events) == [4]


def test_the_ends_are_the_tokenizers_own_or_the_recipes() -> None:
    tokenizer = make_tokenizer()
    assert Ends.of(make_tokenizer(), "<|im_end|>").end == tokenizer.convert_tokens_to_ids("<|im_end|>")
    with pytest.raises(
        RecipeError, match=r"end_of_text is '<\|nowhere\|>', .* its control tokens are: <\|endoftext\|>"
    ):
        Ends.of(tokenizer, "<|nowhere|>")
    from tokenizers.processors import TemplateProcessing

    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<|im_start|> $A", special_tokens=[("<|im_start|>", tokenizer.bos_token_id)]
    )
    ends = Ends.of(tokenizer, None)  # as Llama's: the tokenizer begins a text with a token of its own
    assert (ends.start, ends.end) == (tokenizer.bos_token_id, tokenizer.convert_tokens_to_ids("<|endoftext|>"))


def test_mistakes_say_what_to_do(run: Run, base: ModelArtifact) -> None:
    assert fill(PretrainConfig, {"end_of_text": "</s>"}).end_of_text == "</s>"
    with pytest.raises(RecipeError, match=r"row_tokens is 1; .* at least 2"):
        replace(CONFIG, loop=replace(CONFIG.loop, row_tokens=1))
    empty = [{"id": "x", "text": "", "label": None}]
    with pytest.raises(BurnishError, match=r"no record in split 'train' .* has a text"):
        run(pretrain, base, sealed_records(run, {"train": empty, "validation": empty}), config=CONFIG)
