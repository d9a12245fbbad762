"""Multi-task: one trunk for several tasks of labels, a head of each; one task alone is plain classification."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from statistics import fmean
from typing import Literal

from burnish.artifacts import DatasetArtifact, Draft, Measurement, ModelArtifact
from burnish.errors import RecipeError
from burnish.learn.classify import ClassifyTask, Labelled, pack_labelled, pack_labelled_once
from burnish.learn.combination import Combination, EqualWeights, FixedWeights
from burnish.learn.fitted import Fitted
from burnish.learn.gradnorm import open_combiner
from burnish.learn.loop import fit
from burnish.learn.task_labels import LabelSource, read_targets
from burnish.nn.encoders import is_encoder
from burnish.nn.heads import (
    HeadsSpec,
    Pooling,
    TaskLabels,
    attach_heads,
    check_pooling,
    probabilities,
    save_heads,
    take_heads_off,
    tokenise,
)
from burnish.nn.weights import open_tokenizer
from burnish.runtime import Workdir
from burnish.train.methods import is_adapter
from burnish.train.multitask_evidence import Answers, answers_of, compared, scored
from burnish.train.tuning import TuneConfig, Tuned, evidence_of, open_trainable, summary_of, write_tuned

_MEAN = "mean over the tasks of each one's mean cross-entropy over its labels"


@dataclass(frozen=True)
class MultitaskConfig(TuneConfig):
    """Say which tasks to learn, and how they share the trunk.

    Attributes:
        tasks: each with its labels, and the column or source that they stand in.
        combination: what each task's loss counts.
        pooling: which vector stands for a text; null is the last token of a decoder, the mean of an encoder.
        max_tokens: of a text; what comes after is not read.
        compare_every_steps: the cosine between the tasks' gradients is measured so often; GradNorm does so each step.
        controls: train each task alone too, with the same steps, tokens and seed, and compare.
        score_split: held-out records that are scored at the end.
        score_records: of each task, the first so many.
    """

    tasks: tuple[LabelSource, ...]
    combination: Combination = field(default_factory=EqualWeights)
    pooling: Pooling | None = None
    max_tokens: int = 256
    compare_every_steps: int = 10
    controls: bool = False
    score_split: str = "test"
    score_records: int = 1000

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_tasks(self.tasks)
        names = [task.name for task in self.tasks]
        if isinstance(self.combination, FixedWeights) and sorted(self.combination.weights) != sorted(names):
            raise RecipeError(
                f"combination.weights names {', '.join(self.combination.weights)}; give each task's: {', '.join(names)}"
            )
        if len(names) == 1 and (self.controls or not isinstance(self.combination, EqualWeights)):
            raise RecipeError("there is one task, with nothing to combine; leave combination and controls out")
        for name in ("max_tokens", "compare_every_steps", "score_records"):
            if getattr(self, name) < 1:
                raise RecipeError(f"{name} is {getattr(self, name)}; it must be at least 1")

    def alone(self, task: LabelSource) -> "MultitaskConfig":
        """Give the same with one task."""
        return replace(self, tasks=(task,), combination=EqualWeights(), controls=False)


def multitask(
    out: Workdir, base: ModelArtifact, data: DatasetArtifact, *, config: MultitaskConfig
) -> Draft[ModelArtifact]:
    """Train a trunk and a head of each task; resume from the last snapshot if the run was killed.

    Raises:
        BurnishError: labels are missing or unknown, or the loss broke.
    """
    texts = _Texts.read(base, data, config)
    tuned, answers = _train(out, base, texts, config, is_kept=True)
    evidence = evidence_of(tuned, num_records=len(texts.train), num_held_out=len(texts.validation), mean=_MEAN)
    evidence += (
        Measurement(
            "texts_cut_frac", texts.cut_frac, "1", texts.num_texts, how=f"texts of more than {config.max_tokens} tokens"
        ),
    )
    how = f"{config.score_split} split"
    evidence += tuple(m for task in config.tasks for m in scored(task, answers[task.name], config.seed, how=how))
    evidence += _from_log(tuned.fitted, [task.name for task in config.tasks])
    if config.controls:
        for task in config.tasks:
            root = out.snapshots / f"control_{task.name}"
            (root / "payload").mkdir(parents=True, exist_ok=True)
            place = Workdir(root, f"{out.stage}.{task.name}", out.events)
            _, control = _train(place, base, texts, config.alone(task), is_kept=False)
            evidence += compared(task, answers[task.name], control[task.name], config.seed)
    return Draft(ModelArtifact, evidence, summary_of(config, tuned.precision, _learnt(config)))


@dataclass(frozen=True)
class _Texts:
    """All records as tokens."""

    train: list[Labelled]
    validation: list[Labelled]
    test: list[Labelled]
    pooling: Pooling
    num_texts: int
    cut_frac: float

    @staticmethod
    def read(base: ModelArtifact, data: DatasetArtifact, config: MultitaskConfig) -> "_Texts":
        reads_both_ways = is_encoder(base.payload)
        pooling: Pooling = config.pooling or ("mean" if reads_both_ways else "last")
        check_pooling(pooling, reads_both_ways=reads_both_ways)
        tokenizer = open_tokenizer(base.payload)
        parts = []
        num_texts = num_cut = 0
        for split, at_most in (
            ("train", None),
            ("validation", config.validation_records),
            (config.score_split, config.score_records),
        ):
            records = read_targets(data, split, config.tasks, at_most=at_most)
            ids, cut = tokenise(tokenizer, [record.text for record in records], max_tokens=config.max_tokens)
            num_texts, num_cut = num_texts + len(ids), num_cut + cut
            parts.append([Labelled(each, record.targets) for each, record in zip(ids, records, strict=True)])
        return _Texts(parts[0], parts[1], parts[2], pooling, num_texts, num_cut / num_texts)


def _train(
    out: Workdir, base: ModelArtifact, texts: _Texts, config: MultitaskConfig, *, is_kept: bool
) -> tuple[Tuned, dict[str, Answers]]:
    """Train on the config's tasks; give the model, and its answers on the scored split by task."""
    loop = config.loop
    tasks = tuple(TaskLabels(task.name, task.labels) for task in config.tasks)
    names = [task.name for task in tasks]
    model, groups, precision = open_trainable(base, config)
    attach_heads(model, tasks)
    is_filled = config.is_compiled and not is_encoder(base.payload)
    train, validation, test = (_of(part, names) for part in (texts.train, texts.validation, texts.test))
    items = pack_labelled(train, row_tokens=loop.row_tokens, seed=config.seed, is_filled=is_filled)
    combiner = open_combiner(config.combination, {task.name: len(task.labels) for task in tasks})
    learning = ClassifyTask(tasks, texts.pooling, combiner, config.compare_every_steps)
    held_out = pack_labelled_once(validation, row_tokens=loop.row_tokens)
    tuned = Tuned(model, fit(model, items, held_out, learning, loop, out, groups), precision)
    with out.progress("scoring", total=len(test), unit="texts") as bar:
        given = probabilities(model, [each.ids for each in test], texts.pooling, names, bar.advance)
    answers = answers_of(tasks, test, given)
    if is_kept:
        trunk: Literal["model", "adapter"] = "adapter" if is_adapter(config.method) else "model"
        save_heads(model, HeadsSpec(tasks, texts.pooling, config.max_tokens, trunk), out.payload)
        take_heads_off(model)
        write_tuned(out, base, config, tuned)
    return tuned, answers


def _of(examples: Sequence[Labelled], names: Sequence[str]) -> list[Labelled]:
    """Keep what has a label of these tasks."""
    kept = [Labelled(e.ids, {name: e.targets[name] for name in names if name in e.targets}) for e in examples]
    return [example for example in kept if example.targets]


def _from_log(fitted: Fitted, names: Sequence[str]) -> tuple[Measurement, ...]:
    """Say how the tasks' gradients stood to each other, and what weights they had at the end."""
    found = []
    for first, second in combinations(sorted(names), 2):
        name = f"grad_cosine_{first}_{second}"
        cosines = [row[name] for row in fitted.log if name in row]
        if cosines:
            how = "mean over the steps that compared the tasks' gradients, at the last shared layer"
            found.append(Measurement(name, fmean(cosines), "1", len(cosines), how=how))
    if len(names) > 1:
        found += [
            Measurement(f"weight_{name}", fitted.last(f"weight_{name}"), "1", 1, how="of its loss, at the last step")
            for name in names
        ]
    return tuple(found)


def _check_tasks(tasks: Sequence[LabelSource]) -> None:
    names = [task.name for task in tasks]
    if not tasks or len(set(names)) != len(names):
        raise RecipeError(f"tasks names {', '.join(names) or 'nothing'}; give at least one, each with its own name")
    for task in tasks:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", task.name):
            raise RecipeError(f"a task is named {task.name!r}; use small letters, digits and _, a letter first")
        if len(set(task.labels)) < 2 or len(set(task.labels)) != len(task.labels):
            raise RecipeError(f"task {task.name}: labels is {list(task.labels)}; give at least two, all different")


def _learnt(config: MultitaskConfig) -> str:
    names = ", ".join(f"{task.name} ({len(task.labels)} labels)" for task in config.tasks)
    if len(config.tasks) == 1:
        return f"a head for {names}"
    return f"heads for {names}, combined by {type(config.combination).__name__}"
