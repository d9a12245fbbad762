"""Tuning: what every way to tune a model has in common, from the base model to what is sealed."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from burnish.artifacts import Measurement, ModelArtifact
from burnish.errors import RecipeError
from burnish.learn.fitted import Fitted
from burnish.learn.groups import Group
from burnish.learn.loop import LoopConfig, fit
from burnish.learn.task import Task
from burnish.nn import varlen
from burnish.nn.attention import (
    Attention,
    FullAttention,
    LocalGlobal,
    SlidingWindow,
    attention_of,
    describe_attention,
    keep_beside_adapter,
)
from burnish.nn.compiled import compile_layers
from burnish.nn.encoders import is_encoder, open_encoder
from burnish.nn.frozen import num_weights, weights_bytes
from burnish.nn.precision import Precision, resolve
from burnish.nn.weights import copy_tokenizer, device, open_model
from burnish.runtime import Workdir, need
from burnish.train.methods import (
    Full,
    Lora,
    Method,
    Prefix,
    Prompt,
    Unfreeze,
    describe,
    is_adapter,
    prepare,
)
from burnish.train.saving import save_tuned

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class TuneConfig:
    """Say how to tune, whatever is learnt.

    Attributes:
        method: which numbers train.
        precision: of the base in memory; "auto" measures whether bf16 is faster here. Adapters are float32, and
            weights in 16 bits that train have float32 master copies.
        validation_records: held-out records whose loss is watched.
        attention: what each token attends to; None keeps the base's own.
    """

    method: Method = field(default_factory=Lora)
    loop: LoopConfig = field(default_factory=LoopConfig)
    precision: Precision = "auto"
    validation_records: int = 100
    seed: int = 0
    attention: Attention | None = None

    def __post_init__(self) -> None:
        if self.validation_records < 1:
            raise RecipeError(f"validation_records is {self.validation_records}; it must be at least 1")
        if isinstance(self.method, Prefix) and self.loop.memory.recompute_every:
            raise RecipeError(
                "method prefix goes through the cache of keys and values, which recompute_every cannot compute again; "
                "set loop.memory.recompute_every to 0, or use method lora or prompt"
            )
        if isinstance(self.method, Prefix) and isinstance(self.attention, SlidingWindow | LocalGlobal):
            raise RecipeError(
                "method prefix needs attention to all that stands before a token; use another method, or leave attention out"
            )
        if isinstance(self.method, Full | Unfreeze) and self.precision == "fp16":
            raise RecipeError(
                "precision fp16 holds a base that stays as it is; use bf16 or fp32 to train all its numbers"
            )

    @property
    def is_compiled(self) -> bool:
        """Tell whether a decoder's layers are compiled, so that its rows must be of one length."""
        return self.loop.should_compile and not isinstance(self.method, Prefix | Prompt)


@dataclass
class Tuned:
    """A model after training, before it is saved."""

    model: Any
    fitted: Fitted
    precision: str


def tune(
    out: Workdir,
    base: ModelArtifact,
    config: TuneConfig,
    task: Task[T],
    items: Iterator[T],
    validation: Sequence[T],
) -> Tuned:
    """Open the base, train it as the method says, and write it with its log; a killed run resumes.

    Raises:
        BurnishError: the loss broke, or the method does not suit the model.
    """
    model, groups, precision = open_trainable(base, config)
    tuned = Tuned(model, fit(model, items, validation, task, config.loop, out, groups), precision)
    write_tuned(out, base, config, tuned)
    return tuned


def open_trainable(base: ModelArtifact, config: TuneConfig) -> tuple[Any, tuple[Group, ...], str]:
    """Open the base and make the method's numbers train; give it, its groups and its precision.

    Raises:
        BurnishError: the method does not suit the model.
    """
    torch = need("torch", extra="train")
    torch.manual_seed(config.seed)
    precision = resolve(config.precision)
    model, groups = prepare(open_base(base, config, precision), config.method, base.payload)
    if config.is_compiled and not is_encoder(base.payload):
        compile_layers(model)
    return model, groups, precision


def write_tuned(out: Workdir, base: ModelArtifact, config: TuneConfig, tuned: Tuned) -> None:
    """Write what was trained, and its log."""
    save_tuned(tuned.model, config.method, out.payload, base)
    if is_adapter(config.method):
        keep_beside_adapter(out.payload, _sees(base, config))
    if not is_adapter(config.method):
        copy_tokenizer(base.payload, out.payload)
    tuned.fitted.write_log(out.payload)


def open_base(base: ModelArtifact, config: TuneConfig, precision: str) -> Any:
    """Open the base as it is before it is tuned, with the attention that tuning uses."""
    if is_encoder(base.payload):
        _check_encoder(config)
        return open_encoder(base.payload, precision=precision)
    name = _attention(base, config, precision)
    return open_model(base.payload, precision=precision, attention=name, sees=_sees(base, config))


def _sees(base: ModelArtifact, config: TuneConfig) -> Attention | None:
    """Say what tokens attend to, by the recipe or else by the base."""
    return config.attention or attention_of(base.payload)


def _check_encoder(config: TuneConfig) -> None:
    if isinstance(config.method, Prefix | Prompt):
        raise RecipeError(
            "the base is an encoder, which method prefix and prompt do not suit; use full, lora or unfreeze"
        )
    if config.attention is not None:
        raise RecipeError("the base is an encoder, whose tokens see those after them too; leave attention out")
    if config.loop.is_compiled:
        raise RecipeError("the base is an encoder, whose layers are not compiled; leave loop.is_compiled out")


def _attention(base: ModelArtifact, config: TuneConfig, precision: str) -> str | None:
    """Name the attention: the packed kernel on a GPU in 16 bits, else what transformers takes."""
    shape = json.loads((base.payload / "config.json").read_text(encoding="utf-8"))
    is_latent = shape.get("kv_lora_rank") is not None  # keys wider than values, which the packed kernel cannot take
    if device() != "cuda" or precision == "fp32" or is_latent or isinstance(config.method, Prefix):
        return None
    match _sees(base, config):
        case LocalGlobal():
            return None
        case SlidingWindow(window_tokens=window_tokens):
            return varlen.register_varlen(window_tokens)
        case FullAttention() | None:
            return varlen.register_varlen()


def evidence_of(
    tuned: Tuned, *, num_records: int, num_held_out: int, mean: str = "weighted mean over the labelled tokens"
) -> tuple[Measurement, ...]:
    """Say what training did, from its log; `mean` says over what the loss is one."""
    model, fitted = tuned.model, tuned.fitted
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    total = num_weights(model)
    steps = sum("loss_nats" in row for row in fitted.log)
    return (
        Measurement(
            "train_loss_nats",
            fitted.last("loss_nats"),
            "nats",
            steps,
            how=f"last step, {mean}",
        ),
        Measurement(
            "validation_loss_nats",
            fitted.last("validation_loss_nats"),
            "nats",
            num_held_out,
            how=f"after the last step, held-out records, {mean}",
        ),
        Measurement("train_records", num_records, "records", num_records, how="of the train split"),
        Measurement("trained_parameters", trained, "1", 1),
        Measurement("trained_frac", trained / total, "1", 1, how="of base and adapter parameters"),
        Measurement("weights_bytes", weights_bytes(model), "bytes", 1, how="of base and adapter, in memory"),
        Measurement(
            "skipped_steps_count",
            fitted.num_skipped,
            "steps",
            sum("lr" in row for row in fitted.log),
            how="left out, since loss or gradient was not finite; their batches are in broken/",
        ),
        Measurement("train_tokens", fitted.log[-1]["tokens"], "tokens", steps, how="all tokens, none padding"),
        Measurement(
            "train_tokens_per_s",
            fitted.num_tokens / max(fitted.seconds, 1e-9),
            "tokens/s",
            max(1, steps),
            how=f"base in {tuned.precision}; steps of the last process, validation left out",
        ),
    )


def summary_of(config: TuneConfig, precision: str, learnt: str) -> str:
    """Say in a sentence what was tuned, how and on what."""
    loop = config.loop
    seen = "" if config.attention is None else f"; {describe_attention(config.attention)}"
    return (
        f"{describe(config.method)}, {loop.num_steps} steps of {loop.rows_per_step} × {loop.row_tokens} packed tokens, "
        f"base in {precision}; {learnt}{seen}."
    )
