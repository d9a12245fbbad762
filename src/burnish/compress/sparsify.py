"""Sparsify: set weights to zero one by one. The model gets no smaller and, as is measured here, no faster.

Zeros save time only where a runtime skips them. None that this project exports to does: llama.cpp, ONNX Runtime and
OpenVINO multiply them like any number, and vLLM dropped its 2:4 kernels in March 2026 (pull request 36799). What it is
good for is a yardstick for other methods, and a start for hardware that has such kernels.
"""

import json
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, assert_never

from burnish.artifacts import DatasetArtifact, Draft, Measurement, ModelArtifact
from burnish.compress.calibration import CalibrationConfig, calibration_rows, warn_if_unreadable, watched
from burnish.compress.held_out import HeldOut
from burnish.compress.layer_walk import LayerWalk
from burnish.compress.pruning.layout import check_prunable
from burnish.compress.sizes import size_evidence
from burnish.errors import RecipeError
from burnish.measure.bootstrap import bootstrap
from burnish.nn.frozen import num_weights
from burnish.nn.weights import copy_tokenizer, open_model, save_model
from burnish.runtime import Workdir, need

FILE = "sparsity.json"
_DECODE_PROMPT_TOKENS = 64
_DECODE_REPEATS = 15


@dataclass(frozen=True)
class MagnitudeWeights:
    """Drop the smallest weights. Source: Han et al. 2015, arXiv 1506.02626; a row of the matrix at a time, as Wanda."""


@dataclass(frozen=True)
class WandaWeights:
    """Drop where |weight| times the norm of its input is smallest, a row of the matrix at a time.

    Source: Sun et al. 2023, arXiv 2306.11695, equation 1 and algorithm 1: layer after layer, each on inputs that come
    through the sparse layers before it.
    """


@dataclass(frozen=True)
class Unstructured:
    """Any weights of a row go.

    Attributes:
        sparsity_frac: share of each row that goes, in (0, 1).
    """

    sparsity_frac: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.sparsity_frac < 1:
            raise RecipeError(f"sparsity_frac is {self.sparsity_frac}; it must lie in (0, 1), 0.5 is common")


@dataclass(frozen=True)
class TwoFour:
    """Two of each four neighbours of a row go, the pattern of NVIDIA's sparse tensor cores.

    Source: Mishra et al. 2021, arXiv 2104.08378.
    """


Score = MagnitudeWeights | WandaWeights
Pattern = Unstructured | TwoFour


@dataclass(frozen=True)
class SparsifyConfig:
    """Say which weights of the layers' matrices become zero; embedding and head stay.

    Attributes:
        held_out_split: documents that the loss is measured on.
        held_out_records: how many of them.
    """

    score: Score = field(default_factory=WandaWeights)
    pattern: Pattern = field(default_factory=Unstructured)
    calibration: CalibrationConfig = field(default_factory=CalibrationConfig)
    held_out_split: str = "validation"
    held_out_records: int = 100

    def __post_init__(self) -> None:
        if self.held_out_records < 1:
            raise RecipeError(f"held_out_records is {self.held_out_records}; it must be at least 1")


def sparsify(
    out: Workdir, model: ModelArtifact, data: DatasetArtifact, *, config: SparsifyConfig
) -> Draft[ModelArtifact]:
    """Zero weights of every linear layer, and measure what it costs and that it saves no time.

    Raises:
        BurnishError: no dense decoder of a known family, an adapter, or numbers on a grid; or the data has no such split.
    """
    check_prunable(model.payload)
    rows = calibration_rows(out, model.payload, data, config.calibration)
    held_out = HeldOut.of(out, model.payload, data, split=config.held_out_split, at_most=config.held_out_records)
    dense, sparse = (open_model(model.payload, precision="fp32") for _ in range(2))
    warn_if_unreadable(out, dense, rows)
    with out.progress("zeroing weights", total=sparse.config.num_hidden_layers, unit="layers") as bar:
        for _ in zero_layers(sparse, rows, config.score, config.pattern):
            bar.advance()
    save_model(sparse, out.payload)
    copy_tokenizer(model.payload, out.payload)
    matrices = {name: weight for name, weight in sparse.named_parameters() if ".layers." in name and weight.ndim == 2}
    zeros = {name: (weight.numel() - int(weight.count_nonzero()), weight.numel()) for name, weight in matrices.items()}
    shares = {name: count / of for name, (count, of) in zeros.items()}
    (out / FILE).write_text(json.dumps({"sparsity_frac": shares}, indent=1) + "\n", encoding="utf-8")
    with out.progress("measuring loss and time", total=None, unit="models"):
        losses = held_out.losses(dense), held_out.losses(sparse)
        seconds = decode_seconds(dense, sparse, rows[0][:_DECODE_PROMPT_TOKENS])
    sparsity, times = _sparsity(zeros), _times(seconds, len(rows[0][:_DECODE_PROMPT_TOKENS]))
    evidence = (
        sparsity,
        *size_evidence(num_weights(sparse), out.payload),
        held_out.perplexity("perplexity_before", losses[0]),
        held_out.perplexity("perplexity", losses[1]),
        held_out.ratio("perplexity_ratio", *losses),
        *times,
    )
    return Draft(ModelArtifact, evidence, _summary(model, config, sparsity, times[-1]))


def zero_layers(model: Any, rows: Sequence[Sequence[int]], score: Score, pattern: Pattern) -> Iterator[int]:
    """Zero weights of one layer after another, in place; give each one's number when it is done.

    Args:
        rows: token ids, all rows of one length.
    """
    torch = need("torch", extra="compress")
    walk = LayerWalk(model, rows)
    for index in range(len(walk.layers)):
        linears = walk.linears(index)
        with torch.no_grad(), watched(linears, lambda x_TI: x_TI.square().sum(0)) as inputs:
            if isinstance(score, WandaWeights):
                walk.through(walk.hidden, index, index)
            squares = inputs.means()
            for name, linear in linears.items():
                norm_I = squares[name][0].sqrt() if isinstance(score, WandaWeights) else 1.0
                scores_OI = linear.weight.abs() * norm_I
                linear.weight.masked_fill_(~kept(scores_OI, pattern), 0.0)
        walk.step(index)
        yield index


def kept(scores_OI: Any, pattern: Pattern) -> Any:
    """Say which weights stay, as a bool (O, I) tensor; of equals the first ones stay.

    Raises:
        RecipeError: the pattern leaves nothing, or does not divide the inputs.
    """
    num_inputs = scores_OI.shape[1]
    match pattern:
        case Unstructured(sparsity_frac=frac):
            num_kept = num_inputs - round(num_inputs * frac)
            if num_kept == 0:
                raise RecipeError(f"sparsity_frac {frac} leaves none of {num_inputs} inputs; ask for less")
            return _best(scores_OI, num_kept)
        case TwoFour():
            if num_inputs % 4:
                raise RecipeError(f"a matrix has {num_inputs} inputs; 2:4 needs a multiple of 4, take unstructured")
            return _best(scores_OI.unflatten(1, (-1, 4)), 2).flatten(1)
        case _:
            assert_never(pattern)


def _best(scores: Any, num_kept: int) -> Any:
    """Mark the best of the last dimension."""
    torch = need("torch", extra="compress")
    places = scores.sort(dim=-1, descending=True, stable=True).indices[..., :num_kept]
    return torch.zeros_like(scores, dtype=torch.bool).scatter_(-1, places, True)


def decode_seconds(dense: Any, sparse: Any, prompt: Sequence[int]) -> tuple[list[float], list[float]]:
    """Time one decoding step of two models in turns, in seconds: CPU time at one thread, or on a GPU wall time."""
    torch = need("torch", extra="compress")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            caches = [model(torch.tensor([list(prompt)], device=model.device), use_cache=True).past_key_values for model in (dense, sparse)]  # fmt: skip
            found: tuple[list[float], list[float]] = ([], [])
            for _ in range(_DECODE_REPEATS + 1):
                for model, cache, times in zip((dense, sparse), caches, found, strict=True):
                    times.append(_step_seconds(model, cache, prompt[-1]))
    finally:
        torch.set_num_threads(threads)
    return found[0][1:], found[1][1:]  # the first step also brings the weights into the cache


def _step_seconds(model: Any, cache: Any, token: int) -> float:
    torch = need("torch", extra="compress")
    given = torch.tensor([[token]], device=model.device)
    clock = time.perf_counter if given.is_cuda else time.thread_time
    start_s = clock()
    model(given, past_key_values=cache, use_cache=True)
    if given.is_cuda:
        torch.cuda.synchronize()
    return clock() - start_s


def _sparsity(shares: dict[str, tuple[int, int]]) -> Measurement:
    zeros, weights = (sum(each[at] for each in shares.values()) for at in (0, 1))
    how = f"zeros of {len(shares)} matrices of the layers, each in {FILE}; stored dense, so that no byte is saved"
    return Measurement("sparsity_frac", zeros / weights, "1", weights, how=how)


def _times(seconds: tuple[list[float], list[float]], num_prompt: int) -> tuple[Measurement, ...]:
    """Give the times of a decoding step, and their ratio with a bootstrap interval over pairs.

    Args:
        num_prompt: tokens before the first step, which is not timed; each step makes them one more.
    """
    pairs = list(zip(*seconds, strict=True))

    def ratio(part: Sequence[int]) -> float:
        return statistics.median(pairs[at][0] / pairs[at][1] for at in part)

    low, high = bootstrap(ratio, len(pairs), seed=0)
    after = f"{num_prompt + 1} to {num_prompt + len(pairs)} tokens"
    how = f"median; a decoding step after {after}, torch, float32, CPU time at one thread or wall time on a GPU"
    no_kernel = "dense over sparse, in turns; 1 is no gain: no runtime of this project skips zeros"
    return (
        Measurement("decode_step_s_before", statistics.median(seconds[0]), "s", len(pairs), how=how),
        Measurement("decode_step_s", statistics.median(seconds[1]), "s", len(pairs), how=how),
        Measurement(
            "decode_speedup_ratio", ratio(range(len(pairs))), "1", len(pairs), low, high, f"{no_kernel}; bootstrap"
        ),
    )


def _summary(model: ModelArtifact, config: SparsifyConfig, sparsity: Measurement, speedup: Measurement) -> str:
    pattern = "2:4" if isinstance(config.pattern, TwoFour) else "unstructured"
    score = "magnitude" if isinstance(config.score, MagnitudeWeights) else "Wanda"
    return (
        f"{model.digest[:12]} with {sparsity.value:.1%} of its layers' weights set to zero ({pattern}, by {score}). Its "
        f"files are as large as before, and a decoding step is {speedup.value:.2f} times as fast: no runtime here skips zeros."
    )
