"""A tiny real model, made here: Llama architecture, random weights, a byte-level tokenizer with a chat template."""

import json
from pathlib import Path
from typing import Any

import pytest

from burnish.artifacts import DatasetArtifact, Draft, ModelArtifact, Store
from burnish.runtime import Run, Workdir
from burnish.runtime.events import Event, EventLog

HEADLINES = (
    ("scientists unveil doomsday clock of hair loss", "sarcastic"),
    ("congress is falling short on gender and racial equality", "serious"),
    ("area man passionate defender of what he imagines constitution to be", "sarcastic"),
    ("sea levels are rising faster than expected, study finds", "serious"),
    ("央行宣布下调存款准备金率", "serious"),
    ("nation's dogs demand longer walks", "sarcastic"),
)

CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


# of a tiny DeepSeek-V3: latent attention, experts
DEEPSEEK = {
    "kv_lora_rank": 16,
    "q_lora_rank": 24,
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 16,
    "v_head_dim": 16,
    "head_dim": 8,
    "num_key_value_heads": 4,
    "n_routed_experts": 4,
    "n_group": 2,
    "topk_group": 1,
    "num_experts_per_tok": 2,
    "n_shared_experts": 1,
    "moe_intermediate_size": 32,
    "first_k_dense_replace": 1,
}


def tiny_config(**changes: Any) -> dict[str, Any]:
    """Give the config of a two-layer Llama that runs in milliseconds."""
    return {
        "vocab_size": 320,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "max_position_embeddings": 512,
        "tie_word_embeddings": True,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 2,
        "initializer_range": 0.3,
        **changes,
    }


def make_tokenizer() -> Any:
    """Train a byte-level BPE on the headlines: every byte has a token, so any text round-trips."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([text for text, _ in HEADLINES], trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<|im_start|>", eos_token="<|im_end|>", pad_token="<|im_end|>"
    )
    fast.chat_template = CHAT_TEMPLATE
    return fast


def make_model(folder: Path, architecture: str = "llama", **changes: Any) -> Path:
    """Write a tiny random model of a Hugging Face architecture, with its tokenizer."""
    import torch
    import transformers

    torch.manual_seed(0)
    config = transformers.AutoConfig.for_model(architecture, **tiny_config(**changes))
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.save_pretrained(folder)
    make_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Llama folder; do not write into it."""
    return make_model(tmp_path_factory.mktemp("tiny-model"))


@pytest.fixture
def events(tmp_path: Path) -> list[Event]:
    """All events of the `run` fixture, in order."""
    del tmp_path
    return []


@pytest.fixture
def run(tmp_path: Path, events: list[Event]) -> Run:
    """A run on a fresh store."""
    return Run(Store(tmp_path / "store"), EventLog(tmp_path / "events.jsonl", (events.append,)))


def sealed_records(run: Run, splits: dict[str, list[dict[str, Any]]]) -> DatasetArtifact:
    """Seal records as a dataset, one Parquet file a split."""
    import pyarrow
    import pyarrow.parquet

    def given(out: Workdir, *, config: dict[str, list[dict[str, Any]]]) -> Draft[DatasetArtifact]:
        schema = pyarrow.schema([(name, pyarrow.string()) for name in ("id", "text", "label", "source", "planted")])
        for split, rows in config.items():
            whole = [{"source": "test", "planted": "", **row} for row in rows]
            pyarrow.parquet.write_table(pyarrow.Table.from_pylist(whole, schema), out / f"data/{split}.parquet")
        return Draft(DatasetArtifact, (), "records of a test")

    return run(given, config=splits)


@pytest.fixture
def headlines(run: Run) -> DatasetArtifact:
    """Six labelled headlines in each split."""
    rows = [{"id": f"h{i}", "text": text, "label": label} for i, (text, label) in enumerate(HEADLINES)]
    return sealed_records(run, {"train": rows, "validation": rows, "test": rows})


@pytest.fixture
def base(run: Run, tiny_model: Path) -> ModelArtifact:
    """The tiny model as a base artifact."""
    from burnish.train.base import BaseConfig, LocalModel, take_base

    return run(take_base, config=BaseConfig(LocalModel(tiny_model)))


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test may ask a hub."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Read a JSONL file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def served_form(run: Run, model: ModelArtifact) -> ModelArtifact:
    """Quantise a model as the recipes do by default, and write it for the engine that serves it."""
    from burnish.compress.export.write import ExportConfig, export
    from burnish.compress.quantize import QuantizeConfig, quantize

    return run(export, run(quantize, model, config=QuantizeConfig()), config=ExportConfig())
