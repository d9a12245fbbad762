"""Candidate models with size, memory and speed, and what they miss of limits."""

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from burnish.errors import RecipeError
from burnish.nn.model_size import size_of
from burnish.nn.products import Format, ModelSize
from burnish.plan.model_catalogue import Candidate, Task
from burnish.plan.model_speed import NEW_TOKENS, PROMPT_TOKENS, Speed, Untimed, time_candidate
from burnish.runtime.hardware import hardware

Purpose = Literal["serve", "lora", "full"]

FORMATS: tuple[Format, ...] = ("fp32", "bf16", "int8", "int4")
CACHE_TOKENS = 4096  # of one conversation, beside the weights that serve
ROW_TOKENS = 1024  # of a training row, as LoopConfig has it
LORA_RANK = 16  # as Lora has it


@dataclass(frozen=True)
class Scene:
    """Say what a scene asks of a model, and where its bound is from."""

    task: Task
    max_p50_ms: float | None
    why: str


SCENES = {
    "fraud": Scene("classify", 480.0, "card fraud: 480 ms after distillation and INT8, from 2.1 s"),
    "defects": Scene("image", None, "defects in images: no bound on time is published"),
    "finance": Scene("generate", 1800.0, "financial reports: 1.8 s, from 4.2 s"),
    "medical": Scene("classify", None, "medical text: no bound on time is published"),
}


@dataclass(frozen=True)
class Limits:
    """Say what a model must do and what it may take.

    Attributes:
        purpose: what the memory is for: serving one conversation, LoRA, or full training.
        held: format of the weights that serve.
        max_memory_gb: in 10^9 bytes.
        max_p50_ms: median time of one request: 32 new tokens after a prompt of 128, one text of 128, or one image.
        min_tokens_per_s: new tokens of one conversation for generate, tokens read for classify and embed.
    """

    task: Task
    purpose: Purpose = "serve"
    held: Format = "bf16"
    max_memory_gb: float | None = None
    max_p50_ms: float | None = None
    min_tokens_per_s: float | None = None

    def __post_init__(self) -> None:
        for name in ("max_memory_gb", "max_p50_ms", "min_tokens_per_s"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise RecipeError(f"{name} is {value}; it must be above 0, and finite")
        if self.task == "image" and self.min_tokens_per_s is not None:
            raise RecipeError("an image has no tokens to count by the second; bound its time with --max-p50-ms")

    @property
    def needs_speed(self) -> bool:
        """Tell whether a limit is on time."""
        return self.max_p50_ms is not None or self.min_tokens_per_s is not None


@dataclass(frozen=True)
class Row:
    """One candidate with what is known of it."""

    candidate: Candidate
    size: ModelSize
    speed: Speed | Untimed

    def memory_bytes(self, limits: Limits) -> int:
        """Estimate what the purpose takes: weights and cache, or training on a row (an image)."""
        match limits.purpose:
            case "serve":
                return self.size.weight_bytes(limits.held) + self.size.cache_bytes(CACHE_TOKENS)
            case "lora":
                return self.size.training_bytes(ROW_TOKENS, rank=LORA_RANK)
            case "full":
                return self.size.training_bytes(ROW_TOKENS)

    def p50_ms(self, task: Task) -> float | None:
        """Give the median time of one request of a task."""
        if isinstance(self.speed, Untimed):
            return None
        new_s = (NEW_TOKENS - 1) * self.speed.step_s if task == "generate" and self.speed.step_s is not None else 0.0
        return 1000 * (self.speed.read_s + new_s)

    def tokens_per_s(self, task: Task) -> float | None:
        """Give new tokens a second for generate, else tokens read; None for images."""
        if isinstance(self.speed, Untimed) or self.size.kind == "image":
            return None
        if task == "generate":
            return None if self.speed.step_s is None else 1 / self.speed.step_s
        return PROMPT_TOKENS / self.speed.read_s

    @property
    def flops(self) -> float:
        """Count the arithmetic of a token of such a prompt, or of an image."""
        return self.size.forward_flops(1) if self.size.kind == "image" else (
            self.size.forward_flops(PROMPT_TOKENS) / PROMPT_TOKENS
        )  # fmt: skip


@dataclass(frozen=True)
class Excess:
    """By how much a candidate misses a limit: the ratio of what it needs to what it may, or the reverse; above 1."""

    limit: str
    ratio: float
    words: str


def machine_memory_gb() -> float:
    """Say what a model may take here: the memory of the largest GPU, else of the system, in 10^9 bytes."""
    found = hardware()
    gpus = [int(match[1]) * 2**20 for gpu in found["gpus"] if (match := re.search(r", (\d+) MiB", gpu))]
    return float(max(gpus, default=found["memory_bytes"])) / 1e9


def candidates_for(
    task: Task, candidates: Sequence[Candidate], purpose: Purpose = "serve"
) -> list[tuple[Candidate, ModelSize]]:
    """Give those that do a task, the smallest first; LoRA leaves out convolutional networks, which it cannot adapt.

    Raises:
        RecipeError: none does.
    """
    sized = [(candidate, size_of(candidate.config)) for candidate in candidates if task in candidate.tasks]
    found = [pair for pair in sized if purpose != "lora" or pair[1].lora_parameters(1)]
    if not found:
        raise RecipeError(f"no candidate does {task} by {purpose}; take another --task, or give a --model that does")
    return sorted(found, key=lambda pair: pair[1].parameters)


def measure_rows(
    sized: Sequence[tuple[Candidate, ModelSize]],
    limits: Limits,
    *,
    seconds: float,
    tell: Callable[[str], None] = lambda _: None,
) -> list[Row]:
    """Time the candidates that meet the memory limit, the smallest first, until `seconds` are over.

    Args:
        tell: hears the name of each that is timed.
    """
    until_s = time.monotonic() + seconds
    rows = []
    for candidate, size in sized:
        row = Row(candidate, size, Untimed("speed was not asked for"))
        if any(excess.limit == "memory" for excess in excesses(row, limits)):
            row = Row(candidate, size, Untimed("over the memory limit"))
        elif seconds > 0:
            tell(candidate.name)
            row = Row(candidate, size, time_candidate(candidate, size, until_s=until_s))
        rows.append(row)
    return rows


def excesses(row: Row, limits: Limits) -> list[Excess]:
    """Say which limits a candidate misses, and by how much; a speed that is not known misses none."""
    found = []
    memory_gb = row.memory_bytes(limits) / 1e9
    if limits.max_memory_gb is not None and memory_gb > limits.max_memory_gb:
        over = memory_gb - limits.max_memory_gb
        words = f"needs {memory_gb:.3g} GB, {over:.2g} GB above --max-memory-gb {limits.max_memory_gb:g}"
        found.append(Excess("memory", memory_gb / limits.max_memory_gb, words))
    p50_ms, tokens_per_s = row.p50_ms(limits.task), row.tokens_per_s(limits.task)
    if limits.max_p50_ms is not None and p50_ms is not None and p50_ms > limits.max_p50_ms:
        over = p50_ms - limits.max_p50_ms
        words = f"takes {p50_ms:,.0f} ms, {over:,.0f} ms above --max-p50-ms {limits.max_p50_ms:g}"
        found.append(Excess("time", p50_ms / limits.max_p50_ms, words))
    least = limits.min_tokens_per_s
    if least is not None and tokens_per_s is not None and tokens_per_s < least:
        words = f"makes {tokens_per_s:.3g} tokens/s, {least - tokens_per_s:.3g} below --min-tokens-per-s {least:g}"
        found.append(Excess("speed", least / tokens_per_s, words))
    return found


def as_json(row: Row, limits: Limits) -> dict[str, Any]:
    """Write a row as plain values, units in the names."""
    size, speed = row.size, row.speed
    is_timed = isinstance(speed, Speed)
    return {
        "name": row.candidate.name,
        "source": row.candidate.source,
        "architecture": size.architecture,
        "parameters": size.parameters,
        "active_parameters": size.active_parameters,
        "weight_bytes": {held: size.weight_bytes(held) for held in FORMATS},
        "cache_bytes_per_token": size.cache_bytes(),
        "full_training_bytes": size.training_bytes(ROW_TOKENS),
        "lora_training_bytes": size.training_bytes(ROW_TOKENS, rank=LORA_RANK) if size.lora_parameters(1) else None,
        "forward_flops_per_" + ("image" if size.kind == "image" else "token"): row.flops,
        "memory_bytes": row.memory_bytes(limits),
        "read_ms": 1000 * speed.read_s if isinstance(speed, Speed) else None,
        "prefill_tokens_per_s": row.tokens_per_s("classify"),
        "decode_tokens_per_s": row.tokens_per_s("generate"),
        "images_per_s": 1 / speed.read_s if isinstance(speed, Speed) and size.kind == "image" else None,
        "p50_ms": row.p50_ms(limits.task),
        "how": speed.how if isinstance(speed, Speed) else None,
        "not_timed": None if is_timed else getattr(speed, "reason", None),
        "misses": [excess.words for excess in excesses(row, limits)],
    }
