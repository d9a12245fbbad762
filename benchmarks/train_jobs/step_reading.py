"""What every job of the training benchmark shares: the model's shape, the tokens, and the reading that it prints."""

import argparse
import importlib.metadata
import json
import os
import statistics
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

SHAPES: dict[str, dict[str, Any]] = {
    # DeepSeek-R1-Distill-Qwen-1.5B's config.json, untied
    "qwen2-1.5b": {
        "vocab_size": 151936, "hidden_size": 1536, "intermediate_size": 8960, "num_hidden_layers": 28,
        "num_attention_heads": 12, "num_key_value_heads": 2, "max_position_embeddings": 131072,
        "rope_theta": 10000.0, "tie_word_embeddings": False, "use_cache": False,
    },
    "tiny": {
        "vocab_size": 4096, "hidden_size": 256, "intermediate_size": 768, "num_hidden_layers": 4,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 4096,
        "tie_word_embeddings": False, "use_cache": False,
    },
}  # fmt: skip
_PATTERN = 4000  # tokens of the loop that documents are cut from: learnable, and no two documents alike
RANK, ALPHA = 16, 32
LEARNING_RATE = {"full": 1e-4, "lora": 2e-4}


@dataclass
class Reading:
    """Steps of one job.

    Attributes:
        step_s: seconds of each step, the device waited for.
        losses: of each step, in nats; they must fall.
        grad_norms: of each step; zero would mean that nothing trains.
        tokens: of a step, none padding.
    """

    tool: str
    mode: str
    tokens: int
    step_s: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    grad_norms: list[float] = field(default_factory=list)
    peak_memory_bytes: int = 0
    versions: dict[str, str] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)

    def write(self, path: Path, packages: tuple[str, ...]) -> None:
        """Write the reading with the versions of the tool's packages."""
        import torch

        if torch.cuda.is_available():
            self.peak_memory_bytes = torch.cuda.max_memory_allocated()
        self.versions = {name: importlib.metadata.version(name) for name in packages}
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")


def arguments(doc: str) -> argparse.Namespace:
    """Read the options that all jobs take."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--mode", choices=("full", "lora"), required=True)
    parser.add_argument("--sequence", type=int, default=2048)
    parser.add_argument("--rows", type=int, default=4, help="sequences of a step")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--precision", choices=("bf16", "fp32"), default="bf16")
    parser.add_argument("--out", type=Path, required=True)
    return parser.parse_args()


def documents(vocab: int, sequence: int, count: int) -> list[list[int]]:
    """Give documents of one length, the same in every job."""
    import torch

    base = torch.randint(0, min(2000, vocab), (_PATTERN,), generator=torch.Generator().manual_seed(1))
    starts = torch.randint(0, _PATTERN, (count,), generator=torch.Generator().manual_seed(2)).tolist()
    return [base[(torch.arange(sequence) * 7 + start * 13) % _PATTERN].tolist() for start in starts]


def write_model(folder: Path, shape: str) -> Path:
    """Write a model of this shape with random weights, bf16, as any tool opens it."""
    import torch
    from transformers import AutoModelForCausalLM, Qwen2Config

    if not (folder / "config.json").exists():
        torch.manual_seed(0)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        with torch.device(device):
            model = AutoModelForCausalLM.from_config(Qwen2Config(**SHAPES[shape]), dtype=torch.bfloat16)
        model.save_pretrained(folder)
        _write_tokenizer(folder, SHAPES[shape]["vocab_size"])
    return folder


def _write_tokenizer(folder: Path, vocab: int) -> None:
    """Write a tokenizer of words `t0`, `t1` …: trainers that ask for one never use it here."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = {f"t{number}": number for number in range(vocab - 1)} | {"<end>": vocab - 1}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="t0"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<end>", pad_token="<end>", unk_token="t0"
    ).save_pretrained(folder)


class Clock:
    """Note when steps end, the device waited for."""

    def __init__(self) -> None:
        self.last_s = self._now_s()

    def lap_s(self) -> float:
        """Give the seconds since the last lap."""
        before, self.last_s = self.last_s, self._now_s()
        return self.last_s - before

    @staticmethod
    def _now_s() -> float:
        import torch

        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return time.perf_counter()


def median_s(step_s: list[float], warm_up: int = 4) -> float:
    """Give the median of the steps after the first few, in which code is compiled."""
    return statistics.median(step_s[warm_up:])


def quiet() -> None:
    """Keep trainers from asking networks and from reporting to anyone."""
    os.environ.update(
        HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", WANDB_DISABLED="true", HF_DATASETS_OFFLINE="1",
        UNSLOTH_DISABLE_STATISTICS="1", TOKENIZERS_PARALLELISM="false", DO_NOT_TRACK="1",
    )  # fmt: skip
