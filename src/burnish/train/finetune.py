"""Fine-tune a base model on labelled records: the text is the user's turn, the label the assistant's."""

from dataclasses import dataclass
from typing import Any

from burnish.artifacts import DatasetArtifact, Draft, Measurement, ModelArtifact
from burnish.errors import RecipeError
from burnish.learn.fgsm import Fgsm
from burnish.learn.packing import Row, Sample, pack, pack_once
from burnish.learn.records import Record, read_labelled
from burnish.learn.task import TokenTask, mean_attacked_loss
from burnish.nn.chat import ChatFormat, LabelTask
from burnish.nn.weights import open_tokenizer
from burnish.runtime import Workdir
from burnish.train.tuning import TuneConfig, Tuned, evidence_of, summary_of, tune


@dataclass(frozen=True)
class FinetuneConfig(TuneConfig):
    """Say what to train, on what, for how long.

    Attributes:
        text_weight: what a token of the record's text counts beside one of the answer, in [0, 1]: 0 learns the
            labels alone, more also the domain's language.
        smoothing_frac: label smoothing: share of the target that is spread over the vocabulary, in [0, 1).
        adversarial: train on embeddings moved against each example too; None does not. Twice the cost of a step.
    """

    task: LabelTask
    text_weight: float = 0.0
    smoothing_frac: float = 0.0
    adversarial: Fgsm | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.text_weight <= 1:
            raise RecipeError(f"text_weight is {self.text_weight}; it must lie in [0, 1]")
        TokenTask(self.adversarial, self.smoothing_frac)  # refuses what lies outside


def finetune(
    out: Workdir, base: ModelArtifact, data: DatasetArtifact, *, config: FinetuneConfig
) -> Draft[ModelArtifact]:
    """Train on the labelled records; resume from the last snapshot if the run was killed.

    Raises:
        BurnishError: a record's label is not among the task's, or the loss broke.
    """
    chat = ChatFormat(open_tokenizer(base.payload))
    labels = config.task.labels
    records = read_labelled(data, "train", labels)
    held_out = read_labelled(data, "validation", labels, at_most=config.validation_records)
    shape: dict[str, Any] = {"row_tokens": config.loop.row_tokens, "is_filled": config.is_compiled}
    items = pack([_sample(chat, record, config) for record in records], seed=config.seed, **shape)
    validation = pack_once([_sample(chat, record, config) for record in held_out], **shape)
    task = TokenTask(config.adversarial, config.smoothing_frac)
    tuned = tune(out, base, config, task, items, validation)
    evidence = evidence_of(tuned, num_records=len(records), num_held_out=len(held_out))
    if config.adversarial is not None:
        evidence += _under_attack(tuned, validation, config.adversarial, len(held_out))
    return Draft(ModelArtifact, evidence, summary_of(config, tuned.precision, _learnt(config)))


def _sample(chat: ChatFormat, record: Record, config: FinetuneConfig) -> Sample:
    example = chat.answered(config.task.messages(record.text), str(record.label))
    weights = [0.0] * len(example.ids)
    weights[example.text_start : example.text_end] = [config.text_weight] * (example.text_end - example.text_start)
    weights[example.answer_start :] = [1.0] * (len(example.ids) - example.answer_start)
    return Sample(example.ids, tuple(weights))


def _under_attack(tuned: Tuned, validation: list[Row], adversarial: Fgsm, num_records: int) -> tuple[Measurement, ...]:
    return (
        Measurement(
            "attacked_validation_loss_nats",
            mean_attacked_loss(tuned.model, validation, adversarial),
            "nats",
            num_records,
            how=f"as validation_loss_nats, embeddings moved against each record by {adversarial.epsilon_frac:g} of their "
            f"length, form {adversarial.form}",
        ),
    )


def _learnt(config: FinetuneConfig) -> str:
    smoothed = f"; label smoothing {config.smoothing_frac:g}" if config.smoothing_frac else ""
    adversary = config.adversarial
    attacked = (
        "" if adversary is None
        else f"; adversarial training (FGSM, {adversary.epsilon_frac:g}, weight {adversary.weight:g})"
    )  # fmt: skip
    return f"a token of the text counts {config.text_weight:g} of one of the answer{smoothed}{attacked}"
