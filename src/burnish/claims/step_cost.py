"""The cost of a training step on one long row: time, and peak memory, each in a process of its own.

`python -m burnish.claims.step_cost '{"kind": …}'` measures one and prints JSON; `measure_cost` calls that.

Legend: T tokens of the row, D width.
"""

import gc
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from burnish.errors import BurnishError
from burnish.learn.optimizer import AdamW
from burnish.learn.packing import IGNORED, Row
from burnish.learn.task import TokenTask
from burnish.nn.attention import Attention, FullAttention, LocalGlobal, SlidingWindow
from burnish.nn.weights import device, open_model, torch_dtype
from burnish.runtime import need
from burnish.runtime.hardware import PeakMemory, give_memory_back
from burnish.runtime.recipes import choice_name, fill

What = Literal["layer", "model"]
_WARM_UP_TOKENS = 300  # more than a block of any window that is common


@dataclass(frozen=True)
class WrittenOut:
    """Attend to everything, with all scores written to memory, as transformers' eager attention does."""


@dataclass(frozen=True)
class CostConfig:
    """Say which step to measure.

    Attributes:
        folder: of the model.
        what: the whole training step of the model (forward, backward, optimizer; nothing computed again), or one
            attention layer forward and backward.
        num_layers: the model is cut to its first layers; None takes all.
        num_steps: repeats, the first of which only warms up.
    """

    folder: Path
    attention: FullAttention | SlidingWindow | LocalGlobal | WrittenOut
    num_tokens: int
    what: What = "model"
    num_layers: int | None = None
    precision: Literal["fp32", "bf16"] = "fp32"
    num_steps: int = 3


@dataclass(frozen=True)
class Cost:
    """What it took.

    Attributes:
        seconds: median of the steps after the first: by the clock on a GPU, else of one core's work, which others on
            the machine change little.
        peak_bytes: most memory at any time of model, optimizer and steps, beyond what the libraries hold; on a GPU
            what torch had allocated there, else what was resident.
    """

    seconds: float
    peak_bytes: int


def measure_cost(config: CostConfig) -> Cost:
    """Measure in a new process, which has nothing left over from before.

    Raises:
        BurnishError: the step did not end; the memory may not suffice.
    """
    given = {**asdict(config), "folder": str(config.folder)}
    given["attention"] = {"kind": choice_name(type(config.attention)), **asdict(config.attention)}
    command = [sys.executable, "-m", "burnish.claims.step_cost", json.dumps(given)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise BurnishError(
            f"a step on {config.num_tokens:,} tokens with {given['attention']['kind']} did not end (exit code "
            f"{done.returncode}: {last}); if memory did not suffice, lower num_tokens or num_layers"
        )
    return fill(Cost, json.loads(done.stdout.strip().splitlines()[-1]))


def cost_here(config: CostConfig) -> Cost:
    """Measure in this process."""
    torch = need("torch", extra="train")
    torch.manual_seed(0)
    _step_of(replace(config, num_tokens=_WARM_UP_TOKENS))()  # loads modules and kernels, which hold memory of their own
    give_memory_back()
    before, peak = _held_bytes(torch), PeakMemory()
    if device() == "cuda":
        torch.cuda.reset_peak_memory_stats()
    with peak:
        step = _step_of(config)
        seconds = [_timed(torch, step) for _ in range(config.num_steps)]
        highest = torch.cuda.max_memory_allocated() if device() == "cuda" else peak.peak_bytes
    return Cost(statistics.median(seconds[1:] or seconds), highest - before)


def _step_of(config: CostConfig) -> Callable[[], None]:
    return _layer_step(config) if config.what == "layer" else _model_step(config)


def _model_step(config: CostConfig) -> Callable[[], None]:
    model = _open(config)
    model.requires_grad_(True).train()
    optimizer = AdamW(dict(model.named_parameters()), weight_decay=0.0)
    torch = need("torch", extra="train")
    ids = torch.randint(3, model.config.vocab_size, (config.num_tokens,)).tolist()
    length = config.num_tokens
    row = Row(ids, list(range(length)), [*ids[1:], IGNORED], [1.0] * (length - 1) + [0.0])

    def step() -> None:
        TokenTask().backward(model, [row], 1.0)
        optimizer.step(1e-6)

    return step


def _layer_step(config: CostConfig) -> Callable[[], None]:
    torch = need("torch", extra="train")
    masks = need("transformers.masking_utils", extra="train")
    decoder = _open(config).model
    layer = decoder.layers[0].self_attn
    hidden_1TD = torch.randn(
        1, config.num_tokens, decoder.config.hidden_size, dtype=torch_dtype(config.precision), device=device()
    ).requires_grad_(True)
    positions = torch.arange(config.num_tokens, device=device())[None]
    given = {"config": decoder.config, "attention_mask": None, "past_key_values": None, "position_ids": positions}

    def step() -> None:
        mask = masks.create_causal_mask(inputs_embeds=hidden_1TD, **given)
        turned = decoder.rotary_emb(hidden_1TD, positions)
        out, _ = layer(hidden_1TD, position_embeddings=turned, attention_mask=mask, position_ids=positions)
        out.float().square().mean().backward()
        hidden_1TD.grad = None

    return step


def _open(config: CostConfig) -> Any:
    torch = need("torch", extra="train")
    attention, sees = implementation(config.attention)
    model = open_model(config.folder, precision=config.precision, attention=attention, sees=sees)
    if config.num_layers is not None:
        model.model.layers = torch.nn.ModuleList(list(model.model.layers)[: config.num_layers])
        model.config.num_hidden_layers = config.num_layers
        gc.collect()
    return model


def implementation(attention: Attention | WrittenOut) -> tuple[str | None, Attention]:
    """Give the name that transformers has for it, None where burnish's own serves, and what is seen."""
    match attention:
        case WrittenOut():
            return "eager", FullAttention()
        case FullAttention():
            return "sdpa", attention
        case _:
            return None, attention


def _timed(torch: Any, step: Callable[[], None]) -> float:
    if device() != "cuda":
        start_s = time.process_time()
        step()
        return time.process_time() - start_s
    torch.cuda.synchronize()
    start_s = time.perf_counter()
    step()
    torch.cuda.synchronize()
    return time.perf_counter() - start_s


def _held_bytes(torch: Any) -> int:
    if device() == "cuda":
        return int(torch.cuda.memory_allocated())
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096


if __name__ == "__main__":
    need("torch", extra="train").set_num_threads(1)
    sys.stdout.write(json.dumps(asdict(cost_here(fill(CostConfig, json.loads(sys.argv[1]))))) + "\n")
