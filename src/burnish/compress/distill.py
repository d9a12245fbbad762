"""Distil: train a student to say what its teacher says; after pruning this is what heals."""

from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

from burnish.artifacts import DatasetArtifact, Draft, Measurement, ModelArtifact
from burnish.compress.pair import (
    TextRows,
    check_tokenizers,
    compared,
    open_reader,
    text_rows,
    trained,
)
from burnish.compress.pruning.layout import check_prunable, check_whole
from burnish.compress.sizes import size_evidence
from burnish.compress.student import StudentConfig, keep_layers
from burnish.errors import RecipeError
from burnish.learn.distillation import DistillTask
from burnish.learn.feature_matching import Features, matching_features
from burnish.learn.loop import LoopConfig, fit
from burnish.learn.on_policy import OnPolicy
from burnish.nn.compiled import compile_layers
from burnish.nn.divergence_loss import Matching
from burnish.nn.frozen import num_weights
from burnish.nn.precision import Precision, resolve
from burnish.nn.weights import copy_tokenizer, save_model
from burnish.runtime import Workdir, need


def _loop() -> LoopConfig:
    # the peak rate that NVIDIA's Model Optimizer gives for healing pruned models, examples/pruning: 1e-4, falling to 1e-5
    return LoopConfig(num_steps=200, row_tokens=1024, rows_per_step=4, learning_rate=1e-4)


@dataclass(frozen=True)
class DistillConfig:
    """Say how a student learns from its teacher.

    Attributes:
        logits: how predictions are matched.
        features: match hidden states in the first steps; null matches predictions from the start.
        on_policy: let a model write a share of the text itself; null learns from the data alone. Slow: a row is
            written token by token.
        student: take only some layers of the student that is given, so that the teacher can be given twice.
        precision: of the student in memory; 16-bit weights have float32 master copies. "auto" measures.
        teacher_precision: of the teacher.
        validation_records: held-out records that are watched.
    """

    logits: Matching = field(default_factory=Matching)
    features: Features | None = None
    on_policy: OnPolicy | None = None
    student: StudentConfig | None = None
    loop: LoopConfig = field(default_factory=_loop)
    precision: Precision = "auto"
    teacher_precision: Precision = "auto"
    validation_records: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        if self.validation_records < 1:
            raise RecipeError(f"validation_records is {self.validation_records}; it must be at least 1")
        if self.precision == "fp16":
            raise RecipeError("precision fp16 holds a model that stays as it is; use bf16 or fp32 to train a student")
        if self.features is not None and self.features.num_steps >= self.loop.num_steps:
            raise RecipeError(
                f"features.num_steps is {self.features.num_steps} of {self.loop.num_steps} steps in all; leave some to "
                "the predictions"
            )
        if self.logits.ce_frac == 1:
            raise RecipeError("logits.ce_frac is 1, which learns nothing of the teacher; that is control_tune's task")


def distill(
    out: Workdir, teacher: ModelArtifact, student: ModelArtifact, data: DatasetArtifact, *, config: DistillConfig
) -> Draft[ModelArtifact]:
    """Train the student on the teacher's predictions over the data's text; a killed run resumes.

    Raises:
        RecipeError: the models' tokenizers differ, or the student has too few layers.
        BurnishError: the student is an adapter or quantised, or layers are to be taken of a model of no known family; a
            split has no text, or the loss broke.
    """
    return _train(out, teacher, student, data, config, is_control=False)


def control_tune(
    out: Workdir, teacher: ModelArtifact, student: ModelArtifact, data: DatasetArtifact, *, config: DistillConfig
) -> Draft[ModelArtifact]:
    """Train the same student on the same rows by plain cross-entropy, to print beside what `distill` reached.

    Both stages read the same rows in the same order at the same rates; where `on_policy` writes rows anew, this reads
    the data's own. What the data alone brings can so be told from what the teacher brings. Raises as `distill` does.
    """
    plain = replace(config, features=None, on_policy=None)
    return _train(out, teacher, student, data, plain, is_control=True)


def _train(
    out: Workdir,
    teacher: ModelArtifact,
    student: ModelArtifact,
    data: DatasetArtifact,
    config: DistillConfig,
    *,
    is_control: bool,
) -> Draft[ModelArtifact]:
    torch = need("torch", extra="train")
    (check_whole if config.student is None else check_prunable)(student.payload)
    check_tokenizers(teacher, student)
    options = {"validation_records": config.validation_records, "seed": config.seed}
    rows = text_rows(out, student.payload, data, config.loop, **options)
    torch.manual_seed(config.seed)
    precision = resolve(config.precision)
    model, above = _open(teacher, student, config, precision)
    start = compared(model, above, rows, seed=config.seed, prefix="start_")
    fitted = _fit(out, model, above, rows, config, is_control=is_control)
    save_model(model, out.payload)
    copy_tokenizer(student.payload, out.payload)
    fitted.write_log(out.payload)
    sizes = num_weights(model), num_weights(above)
    evidence = (
        *compared(model, above, rows, seed=config.seed),
        *start,
        *trained(fitted, rows, precision),
        *size_evidence(sizes[0], out.payload),
        Measurement("kept_weights_frac", sizes[0] / sizes[1], "1", 1, how="student over teacher"),
    )
    return Draft(ModelArtifact, evidence, _summary(teacher, student, config, precision, is_control=is_control))


def _open(teacher: ModelArtifact, student: ModelArtifact, config: DistillConfig, precision: str) -> tuple[Any, Any]:
    above = open_reader(teacher.payload, resolve(config.teacher_precision)).requires_grad_(False)
    model = open_reader(student.payload, precision)
    if config.student is not None:
        keep_layers(model, config.student)
    if config.loop.should_compile:
        compile_layers(model)
        compile_layers(above)
    return model, above


def _fit(out: Workdir, model: Any, above: Any, rows: TextRows, config: DistillConfig, *, is_control: bool) -> Any:
    if is_control:
        task = DistillTask(None, Matching(ce_frac=1.0))
        return fit(model, rows.items, rows.held_out, task, config.loop, out)
    features = config.features
    with nullcontext() if features is None else matching_features(model, above, features) as matcher:
        early = None if features is None or matcher is None else (matcher, features.num_steps)
        own = None if config.on_policy is None else (config.on_policy, rows.end)
        task = DistillTask(above, config.logits, early, own)
        return fit(model, rows.items, rows.held_out, task, config.loop, out)


def _summary(
    teacher: ModelArtifact, student: ModelArtifact, config: DistillConfig, precision: str, *, is_control: bool
) -> str:
    loop, logits = config.loop, config.logits
    steps = f"{loop.num_steps} steps of {loop.rows_per_step} × {loop.row_tokens} tokens, student in {precision}"
    if is_control:
        return f"Control: {student.digest[:12]} tuned by cross-entropy alone, {steps}."
    early = "" if config.features is None else f" after {config.features.num_steps} steps on hidden states"
    mixed = f", {logits.ce_frac:.0%} cross-entropy" if logits.ce_frac else ""
    own = "" if config.on_policy is None else f", {config.on_policy.frac:.0%} of the rows written by the {config.on_policy.writer}"  # fmt: skip
    return (
        f"{student.digest[:12]} distilled from {teacher.digest[:12]}: predictions at temperature "
        f"{logits.temperature:g}{mixed}{early}{own}; {steps}."
    )
