"""Trimming: domain text keeps its tokens and logits, any text keeps its letters, and what is written opens."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from burnish.artifacts import DatasetArtifact, ModelArtifact
from burnish.compress.bpe import Bpe
from burnish.compress.vocabulary import NumTokens, UsedTokens, VocabularyConfig, choose, trim_vocabulary
from burnish.errors import BurnishError, RecipeError
from burnish.nn.weights import open_model, open_tokenizer
from burnish.runtime import Run
from burnish.train.base import BaseConfig, LocalModel, take_base
from conftest import HEADLINES, make_model, sealed_records

DOMAIN = [HEADLINES[0][0], HEADLINES[4][0]]  # English and Chinese
FOREIGN = ["sea levels are rising", "congress 🙂 naïve\tcafé\n\n  ", "龙🐉<|im_end|>", ""]


@pytest.fixture
def domain(run: Run) -> DatasetArtifact:
    def rows(texts: list[str]) -> list[dict[str, Any]]:
        return [{"id": f"d{i}", "text": text, "label": "x"} for i, text in enumerate(texts)]

    return sealed_records(run, {"train": rows(DOMAIN), "validation": rows([text for text, _ in HEADLINES])})


@pytest.fixture
def trimmed(run: Run, base: ModelArtifact, domain: DatasetArtifact) -> ModelArtifact:
    return run(trim_vocabulary, base, domain, config=VocabularyConfig(NumTokens(300)))


def ids_of(folder: Path, text: str) -> list[int]:
    tokenizer = open_tokenizer(folder)
    tokenizer.split_special_tokens = True
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def tokens_of(folder: Path, text: str) -> list[str]:
    return list(open_tokenizer(folder).convert_ids_to_tokens(ids_of(folder, text)))


@pytest.mark.parametrize("is_tied", [True, False])
def test_domain_text_keeps_its_tokens_and_logits(
    run: Run, tmp_path: Path, domain: DatasetArtifact, is_tied: bool
) -> None:
    folder = make_model(tmp_path / "m", tie_word_embeddings=is_tied)
    base = run(take_base, config=BaseConfig(LocalModel(folder)))
    small = run(trim_vocabulary, base, domain, config=VocabularyConfig(NumTokens(300)))
    old, new = (open_model(each.payload, precision="fp32") for each in (base, small))
    vocabulary = [open_tokenizer(each.payload).get_vocab() for each in (base, small)]
    assert len(vocabulary[1]) == new.config.vocab_size == 300 < len(vocabulary[0])
    rows = torch.tensor([vocabulary[0][token] for token in sorted(vocabulary[1], key=vocabulary[1].__getitem__)])
    for text in DOMAIN:
        assert tokens_of(base.payload, text) == tokens_of(small.payload, text)
        with torch.inference_mode():
            before = old(torch.tensor([ids_of(base.payload, text)])).logits[0]
            after = new(torch.tensor([ids_of(small.payload, text)])).logits[0]
        torch.testing.assert_close(after, before[:, rows])
    assert any(tokens_of(base.payload, t) != tokens_of(small.payload, t) for t, _ in HEADLINES)  # something did go
    assert small.measurement("saved_bytes").value == 4 * (len(vocabulary[0]) - 300) * 64 * (1 if is_tied else 2)


def test_every_text_survives(base: ModelArtifact, trimmed: ModelArtifact) -> None:
    """The tokenizer opened once, over any text that hypothesis finds."""
    tokenizers = [open_tokenizer(each.payload) for each in (base, trimmed)]

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
    @given(st.text(max_size=60))
    def survives(text: str) -> None:
        for given_text in (text, *FOREIGN, *(headline for headline, _ in HEADLINES)):
            for tokenizer in tokenizers:
                tokenizer.split_special_tokens = True
                ids = tokenizer(given_text, add_special_tokens=False)["input_ids"]
                assert tokenizer.decode(ids, clean_up_tokenization_spaces=False) == given_text

    survives()


def test_what_names_tokens_is_renumbered_and_the_rest_stays(base: ModelArtifact, trimmed: ModelArtifact) -> None:
    old, new = open_tokenizer(base.payload), open_tokenizer(trimmed.payload)
    chat = [{"role": "user", "content": DOMAIN[0]}]
    texts = [each.apply_chat_template(chat, tokenize=False, add_generation_prompt=True) for each in (old, new)]
    assert texts[0] == texts[1]
    assert old.tokenize(texts[0]) == new.tokenize(texts[1])  # the template's words cost no more than before
    for name in ("bos_token", "eos_token", "pad_token"):
        assert getattr(old, name) == getattr(new, name)
    model = open_model(trimmed.payload, precision="fp32")
    before = open_model(base.payload, precision="fp32")
    for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
        for kind in ("config", "generation_config"):
            was, now = getattr(getattr(before, kind), name), getattr(getattr(model, kind), name)
            assert old.convert_ids_to_tokens(was) == new.convert_ids_to_tokens(now)
    chat_file = "chat_template.jinja"
    assert (base.payload / chat_file).read_bytes() == (trimmed.payload / chat_file).read_bytes()
    out = model.generate(torch.tensor([ids_of(trimmed.payload, DOMAIN[0])]), max_new_tokens=3, do_sample=False)
    assert int(out.max()) < 300


def test_evidence_counts_and_compares(base: ModelArtifact, trimmed: ModelArtifact) -> None:
    texts = [text for text, _ in HEADLINES]
    counts = [sum(len(ids_of(each.payload, text)) + 1 for text in texts) for each in (base, trimmed)]
    growth = trimmed.measurement("token_growth_ratio")
    assert growth.value == pytest.approx(counts[1] / counts[0])
    assert growth.low is not None
    assert growth.high is not None
    assert growth.low <= growth.value <= growth.high
    assert growth.high > 1
    assert trimmed.measurement("bits_per_byte").value != trimmed.measurement("bits_per_byte_before").value


def test_parts_stay_with_what_they_make(base: ModelArtifact) -> None:
    bpe = Bpe.of(base.payload)
    longest = max((left + right for left, right in bpe.merges), key=len)
    kept = {token for token, number in bpe.ids.items() if number in bpe.with_parts([bpe.ids[longest]])}
    made = {longest}
    for left, right in reversed(bpe.merges):  # take it apart by hand
        if left + right in made:
            made |= {left, right}
    assert kept == made
    chosen = choose(bpe, {bpe.ids[longest]: 1}, bpe.must_keep(), UsedTokens(), 10_000)
    assert {bpe.ids[token] for token in made} | bpe.must_keep() <= set(chosen)
    assert len(chosen) % 64 == 0
    rare = choose(bpe, {bpe.ids[longest]: 1}, {0, 1, 2}, UsedTokens(min_count=2), 10_000)
    assert bpe.ids[longest] not in rare


@pytest.mark.parametrize("are_pairs_text", [True, False])
def test_control_tokens_after_the_vocabulary_are_renumbered(tmp_path: Path, are_pairs_text: bool) -> None:
    """As Qwen and Llama 3 have them: not in the model's vocabulary, and put before a text by the post-processor."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator([text for text, _ in HEADLINES], trainer)
    tokenizer.add_special_tokens(["<s>", "</s>"])
    template = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", tokenizer.token_to_id("<s>"))])
    tokenizer.post_processor = processors.Sequence([processors.ByteLevel(), template])
    file = json.loads(tokenizer.to_str())
    if are_pairs_text:
        file["model"]["merges"] = [" ".join(pair) for pair in file["model"]["merges"]]
    (tmp_path / "tokenizer.json").write_text(json.dumps(file))
    bpe = Bpe.of(tmp_path)
    counts = dict.fromkeys(tokenizer.encode(DOMAIN[0]).ids, 1)
    kept = choose(bpe, counts, bpe.must_keep(), NumTokens(290), 322)
    small = Tokenizer.from_str(json.dumps(bpe.trimmed({old: new for new, old in enumerate(kept)})))
    assert small.get_vocab_size() == 290
    assert small.token_to_id("</s>") == 289
    for text in (DOMAIN[0], f"{DOMAIN[0]}</s>"):
        assert small.encode(text).tokens == tokenizer.encode(text).tokens
    assert small.decode(small.encode(FOREIGN[1]).ids) == tokenizer.decode(tokenizer.encode(FOREIGN[1]).ids)


def test_wrong_sizes_are_refused(run: Run, base: ModelArtifact, domain: DatasetArtifact) -> None:
    for keep, words in (
        (NumTokens(10), "num_tokens is 10; 2.. must stay"),
        (NumTokens(320), "320 tokens would stay, and the model has 320"),
    ):
        with pytest.raises(RecipeError, match=words):
            run(trim_vocabulary, base, domain, config=VocabularyConfig(keep))
    for make in (lambda: NumTokens(0), lambda: UsedTokens(0), lambda: VocabularyConfig(held_out_records=0)):
        with pytest.raises(RecipeError, match="must be at least 1"):
            make()


@pytest.mark.parametrize(
    ("file", "changes", "words"),
    [
        ("tokenizer.json", {"model": {"type": "Unigram"}}, "of kind Unigram; only byte-level BPE"),
        ("tokenizer.json", {"model": {"byte_fallback": True}}, "as Llama 2's"),
        ("tokenizer.json", {"model": {"end_of_word_suffix": "</w>"}}, "ends of words"),
        ("generation_config.json", {"suppress_tokens": [3]}, "names tokens in suppress_tokens"),
        ("generation_config.json", {"eos_token_id": [2, 99999]}, "eos_token_id is 99999, which is no token"),
    ],
)
def test_tokenizers_of_other_kinds_are_refused(
    run: Run, tmp_path: Path, domain: DatasetArtifact, file: str, changes: dict[str, Any], words: str
) -> None:
    folder = make_model(tmp_path / "m")
    base = run(take_base, config=BaseConfig(LocalModel(folder)))
    content = json.loads((base.payload / file).read_text())
    for key, value in changes.items():
        content[key] = {**content[key], **value} if isinstance(value, dict) else value
    (base.payload / file).chmod(0o644)
    (base.payload / file).write_text(json.dumps(content))
    with pytest.raises(BurnishError, match=words):
        trim(base, domain, tmp_path)


def trim(base: ModelArtifact, data: DatasetArtifact, folder: Path) -> None:
    """Call the stage itself: the store would refuse an altered artifact before it."""
    from burnish.runtime import Workdir
    from burnish.runtime.events import EventLog

    out = Workdir(folder / "out", "trim", EventLog(folder / "events.jsonl", ()))
    trim_vocabulary(out, base, data, config=VocabularyConfig())
