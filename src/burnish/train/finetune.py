"""Fine-tune a base model on labelled records."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from burnish.artifacts import DatasetArtifact, Draft, Measurement, ModelArtifact
from burnish.errors import RecipeError
from burnish.learn.fgsm import Fgsm
from burnish.learn.loop import Fitted, LoopConfig, fit, mean_attacked_loss
from burnish.learn.packing import Row, Sample, pack, pack_once
from burnish.learn.records import Record, read_labelled
from burnish.nn.chat import ChatFormat, LabelTask
from burnish.nn.precision import Precision, resolve
from burnish.nn.weights import open_model, open_tokenizer, quiet_transformers
from burnish.runtime import Workdir, need


@dataclass(frozen=True)
class Lora:
    """Train low-rank additions to the linear layers.

    Source: Hu et al. 2022, arXiv 2106.09685; rank 16, alpha 32 on all linear layers after Dettmers et al.
    2023, arXiv 2305.14314.

    Attributes:
        rank: width of the additions, at least 1.
        alpha: their output is scaled by alpha / rank.
        dropout: of their input, in [0, 1).
        targets: names of linear layers, or "all-linear" alone.
    """

    rank: int = 16
    alpha: float = 32.0
    dropout: float = 0.0
    targets: tuple[str, ...] = ("all-linear",)

    def __post_init__(self) -> None:
        if self.rank < 1 or self.alpha <= 0 or not 0 <= self.dropout < 1 or not self.targets:
            raise RecipeError(
                f"rank is {self.rank}, alpha {self.alpha}, dropout {self.dropout}, targets {list(self.targets)}; "
                "rank must be at least 1, alpha above 0, dropout in [0, 1), and targets name a layer"
            )


@dataclass(frozen=True)
class FinetuneConfig:
    """Say what to train, on what, for how long.

    Attributes:
        text_weight: what a token of the record's text counts beside one of the answer, in [0, 1]: 0 learns the
            labels alone, more also the domain's language.
        precision: of the frozen base; "auto" measures whether bf16 is faster here. Adapters are float32.
        adversarial: train on embeddings moved against each example too; None does not. Twice the cost of a step.
    """

    task: LabelTask
    method: Lora = field(default_factory=Lora)
    loop: LoopConfig = field(default_factory=LoopConfig)
    text_weight: float = 0.0
    precision: Precision = "auto"
    validation_records: int = 100
    adversarial: Fgsm | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.text_weight <= 1 or self.validation_records < 1:
            raise RecipeError(
                f"text_weight is {self.text_weight}, validation_records {self.validation_records}; "
                "the first must lie in [0, 1], the second be at least 1"
            )


def finetune(
    out: Workdir, base: ModelArtifact, data: DatasetArtifact, *, config: FinetuneConfig
) -> Draft[ModelArtifact]:
    """Train an adapter; resume from the last snapshot if the run was killed.

    Raises:
        BurnishError: a record's label is not among the task's, or the loss broke.
    """
    torch = need("torch", extra="train")
    torch.manual_seed(config.seed)
    chat = ChatFormat(open_tokenizer(base.payload))
    labels = config.task.labels
    records = read_labelled(data, "train", labels)
    held_out = read_labelled(data, "validation", labels, at_most=config.validation_records)
    samples = [_sample(chat, record, config) for record in records]
    validation = pack_once([_sample(chat, record, config) for record in held_out], row_tokens=config.loop.row_tokens)
    precision = resolve(config.precision)
    model = _with_adapter(open_model(base.payload, precision=precision), config.method)
    rows = pack(samples, row_tokens=config.loop.row_tokens, seed=config.seed)
    fitted = fit(model, rows, validation, config.loop, out, config.adversarial)
    _save_adapter(model, out.payload, base)
    log = "".join(json.dumps(row) + "\n" for row in fitted.log)
    (out / "training_log.jsonl").write_text(log, encoding="utf-8")
    evidence = _evidence(model, fitted, records, held_out, precision)
    if config.adversarial is not None:
        evidence += _under_attack(model, validation, config.adversarial, len(held_out))
    return Draft(ModelArtifact, evidence, _summary(config, precision))


def _sample(chat: ChatFormat, record: Record, config: FinetuneConfig) -> Sample:
    example = chat.answered(config.task.messages(record.text), str(record.label))
    weights = [0.0] * len(example.ids)
    weights[example.text_start : example.text_end] = [config.text_weight] * (example.text_end - example.text_start)
    weights[example.answer_start :] = [1.0] * (len(example.ids) - example.answer_start)
    return Sample(example.ids, tuple(weights))


def _with_adapter(model: Any, method: Lora) -> Any:
    peft = need("peft", extra="train")
    targets = method.targets[0] if method.targets == ("all-linear",) else list(method.targets)
    config = peft.LoraConfig(
        r=method.rank,
        lora_alpha=method.alpha,
        lora_dropout=method.dropout,
        target_modules=targets,
        task_type="CAUSAL_LM",
    )
    with quiet_transformers():
        return peft.get_peft_model(model, config)


def _save_adapter(model: Any, folder: Path, base: ModelArtifact) -> None:
    """Write the adapter so that equal training gives equal bytes: no paths, no order of sets."""
    model.peft_config["default"].base_model_name_or_path = f"burnish:{base.digest}"
    with quiet_transformers():
        model.save_pretrained(folder, safe_serialization=True)
    (folder / "README.md").unlink(missing_ok=True)
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    for key, value in config.items():
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            config[key] = sorted(value)
    path.write_text(json.dumps(config, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _evidence(
    model: Any, fitted: Fitted, records: list[Record], held_out: list[Record], precision: str
) -> tuple[Measurement, ...]:
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    total = sum(p.numel() for p in model.parameters())
    steps = sum("loss_nats" in row for row in fitted.log)
    return (
        Measurement(
            "train_loss_nats",
            fitted.last("loss_nats"),
            "nats",
            steps,
            how="last step, weighted mean over its labelled tokens",
        ),
        Measurement(
            "validation_loss_nats",
            fitted.last("validation_loss_nats"),
            "nats",
            len(held_out),
            how="after the last step, weighted mean over the labelled tokens of held-out records",
        ),
        Measurement("labelled_records", len(records), "records", len(records), how="of the train split"),
        Measurement("trained_parameters", trained, "1", 1),
        Measurement("trained_frac", trained / total, "1", 1, how="of base and adapter parameters"),
        Measurement("train_tokens", fitted.log[-1]["tokens"], "tokens", steps, how="all tokens, none padding"),
        Measurement(
            "train_tokens_per_s",
            fitted.num_tokens / max(fitted.seconds, 1e-9),
            "tokens/s",
            max(1, steps),
            how=f"base in {precision}, adapters in fp32; steps of the last process, validation left out",
        ),
    )


def _under_attack(model: Any, validation: list[Row], adversarial: Fgsm, num_records: int) -> tuple[Measurement, ...]:
    return (
        Measurement(
            "attacked_validation_loss_nats",
            mean_attacked_loss(model, validation, adversarial),
            "nats",
            num_records,
            how=f"as validation_loss_nats, embeddings moved against each record by {adversarial.epsilon_frac:g} of their "
            f"length, form {adversarial.form}",
        ),
    )


def _summary(config: FinetuneConfig, precision: str) -> str:
    return (
        f"LoRA adapter (rank {config.method.rank}, alpha {config.method.alpha:g}), {config.loop.num_steps} steps of "
        f"{config.loop.rows_per_step} × {config.loop.row_tokens} packed tokens, base in {precision}; a token "
        f"of the text counts {config.text_weight:g} of one of the answer{_adversary(config.adversarial)}."
    )


def _adversary(config: Fgsm | None) -> str:
    return "" if config is None else f"; adversarial training (FGSM, {config.epsilon_frac:g}, weight {config.weight:g})"
