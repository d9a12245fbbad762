"""Speed of a model's shape on this machine: layers of the real size with random weights, timed."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from burnish.nn.precision import resolve
from burnish.nn.products import Format, ModelSize
from burnish.nn.weights import device, quiet_transformers, torch_dtype
from burnish.plan.model_catalogue import Candidate
from burnish.runtime import need

PROMPT_TOKENS = 128
NEW_TOKENS = 32
REPEATS = 3
_DECODE_REPEATS = 8  # of one token each, which are short
_WHOLE_BELOW = 200_000_000  # parameters; smaller models are built and timed whole
_NUM_LAYERS = 2
_SPARE = 1.2  # of the memory that the weights need, for what lies beside them
_TIMED_VOCABULARY = 256  # the head is timed by itself, and looking a row up costs next to nothing


@dataclass(frozen=True)
class Speed:
    """What was timed, one text or image at a time.

    Attributes:
        read_s: a prompt of 128 tokens, a text of as many, or an image: median, extrapolated to all layers.
        step_s: one new token of a decoder after that prompt; None for others.
        num_timed_layers: how many of the layers were built and timed.
        how: all of this in words, with the format of the weights.
    """

    read_s: float
    step_s: float | None
    num_timed_layers: int
    how: str


@dataclass(frozen=True)
class Untimed:
    """Why there is no speed."""

    reason: str


@dataclass(frozen=True)
class _Piece:
    """Layers that are timed together, and how many of the model they stand for."""

    changes: dict[str, Any]
    num_timed: int
    stands_for: int

    @property
    def factor(self) -> float:
        return self.stands_for / self.num_timed


def time_candidate(candidate: Candidate, size: ModelSize, *, until_s: float) -> Speed | Untimed:
    """Build some layers, or the whole of a small model, and time them.

    Layers of one kind cost the same, so their time is multiplied; embeddings and last norm, which are multiplied
    with them, are small beside a layer.

    Args:
        candidate: its configuration goes to transformers.
        size: of it.
        until_s: on `time.monotonic()`; when it is passed, nothing more is begun.
    """
    free_bytes = free_memory_bytes()
    wanted: Format = "fp32" if resolve("auto") == "fp32" else "bf16"
    formats: tuple[Format, ...] = (wanted, "bf16")
    held = next((name for name in formats if size.weight_bytes(name) * _SPARE <= free_bytes), None)
    if held is None:
        need_gib, free_gib = (count / 2**30 for count in (size.weight_bytes("bf16"), free_bytes))
        return Untimed(f"its weights take {need_gib:.1f} GiB in bf16, and {free_gib:.1f} GiB are free")
    pieces = _pieces(candidate, size)
    try:
        found = [_time_piece(candidate, size, piece, held, until_s) for piece in pieces]
    except (RuntimeError, ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
        return Untimed(f"it could not be built and run: {str(error).strip().splitlines()[0]}")
    timed = [pair for pair in found if pair is not None]
    if len(timed) < len(pieces):
        return Untimed("the time budget ran out first")
    num_timed = sum(piece.num_timed for piece in pieces)
    how = _how(size, num_timed, held)
    read_s = sum(piece.factor * read for piece, (read, _) in zip(pieces, timed, strict=True))
    if size.kind != "decoder":
        return Speed(read_s, None, num_timed, how)
    head_s = _time_head(size, held)
    step_s = sum(piece.factor * (step or 0) for piece, (_, step) in zip(pieces, timed, strict=True))
    return Speed(read_s + head_s, step_s + head_s, num_timed, how)


def free_memory_bytes() -> int:
    """Read the memory that is free where models live: the GPU's, or the system's."""
    torch = need("torch", extra="train")
    if device() == "cuda":
        return int(torch.cuda.mem_get_info()[0])
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0


def _how(size: ModelSize, num_timed: int, held: Format) -> str:
    built = "whole" if num_timed == size.num_layers else f"{num_timed} of {size.num_layers} layers, extrapolated to all"
    head = ", and the head" if size.kind == "decoder" else ""
    return (
        f"random weights of the real shape in {held} on {device()}, {built}{head}; plain PyTorch, one text of "
        f"{PROMPT_TOKENS} tokens or one image at a time, median of {REPEATS} or more after one that does not count"
    )


def _pieces(candidate: Candidate, size: ModelSize) -> list[_Piece]:
    """Cut a model into what is timed; dense layers and layers of experts by themselves."""
    if size.kind == "image" or size.parameters <= _WHOLE_BELOW:
        return [_Piece({}, size.num_layers, size.num_layers)]
    small = {"vocab_size": _TIMED_VOCABULARY, **dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"), 0)}
    dense = candidate.config.get("first_k_dense_replace")
    if dense is None:
        count = min(_NUM_LAYERS, size.num_layers)
        return [_Piece({**small, "num_hidden_layers": count}, count, size.num_layers)]
    kinds = [(1, min(dense, size.num_layers)), (0, size.num_layers - dense)]
    return [
        _Piece({**small, "num_hidden_layers": 1, "first_k_dense_replace": first}, 1, stands_for)
        for first, stands_for in kinds
        if stands_for > 0
    ]


def _time_piece(
    candidate: Candidate, size: ModelSize, piece: _Piece, held: Format, until_s: float
) -> tuple[float, float | None] | None:
    """Time a piece: reading, and a new token; None where the time ran out."""
    torch = need("torch", extra="train")
    if time.monotonic() >= until_s:
        return None
    model = _build(candidate, size, piece.changes, held)
    with torch.inference_mode():
        read = _reading(model, candidate, size, held)
        read_s = _median(read, REPEATS, until_s)
        if read_s is None or size.kind != "decoder":
            return None if read_s is None else (read_s, None)
        past = read().past_key_values
        token = torch.zeros(1, 1, dtype=torch.long, device=device())
        step_s = _median(lambda: model(input_ids=token, past_key_values=past), _DECODE_REPEATS, until_s)
    return None if step_s is None else (read_s, step_s)


def _build(candidate: Candidate, size: ModelSize, changes: dict[str, Any], held: Format) -> Any:
    """Make a model with random weights: a text model without a head, an image model with its classifier."""
    transformers = need("transformers", extra="train")
    config = {**candidate.config, **changes}
    kind = config.pop("model_type")
    for name in ("quantization_config", "torch_dtype", "dtype", *(("layer_types",) if changes else ())):
        config.pop(name, None)
    with quiet_transformers():
        made = transformers.AutoConfig.for_model(kind, **config)
        if kind == "clip":
            model = transformers.CLIPVisionModelWithProjection(made.vision_config)
        else:
            auto = transformers.AutoModelForImageClassification if size.kind == "image" else transformers.AutoModel
            model = auto.from_config(made, dtype=torch_dtype(held))
    return model.to(device(), torch_dtype(held)).eval()


def _reading(model: Any, candidate: Candidate, size: ModelSize, held: Format) -> Callable[[], Any]:
    torch = need("torch", extra="train")
    if size.kind == "image":
        shape = candidate.config.get("vision_config", candidate.config)
        side, channels = int(shape["image_size"]), int(shape.get("num_channels") or 3)
        pixels = torch.zeros(1, channels, side, side, dtype=torch_dtype(held), device=device())
        return lambda: model(pixel_values=pixels)
    ids = torch.arange(PROMPT_TOKENS, device=device())[None]
    return lambda: model(input_ids=ids)


def _time_head(size: ModelSize, held: Format) -> float:
    """Time the head on one token, the last of a prompt or the newest."""
    torch = need("torch", extra="train")
    head = size.products[-1]
    like = {"dtype": torch_dtype(held), "device": device()}
    x, weight = torch.ones(1, head.inputs, **like), torch.ones(head.outputs, head.inputs, **like)
    with torch.inference_mode():
        found = _median(lambda: torch.nn.functional.linear(x, weight), _DECODE_REPEATS, float("inf"))
    return found or 0.0


def _median(call: Callable[[], object], repeats: int, until_s: float) -> float | None:
    """Time a call after a first one that does not count; None where all of them would not end in time."""
    first_s = _seconds(call)
    if time.monotonic() + first_s * repeats > until_s:
        return None
    return statistics.median(_seconds(call) for _ in range(repeats))


def _seconds(call: Callable[[], object]) -> float:
    torch = need("torch", extra="train")
    start_s = time.perf_counter()
    call()
    if device() == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start_s
