"""Classification: learn the labels of one or many tasks from one vector of each text.

Legend: E examples of a row, D width of the trunk.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from burnish.learn.gradnorm import Combiner, StepGradients
from burnish.learn.packing import place, place_once
from burnish.learn.task import Measures
from burnish.measure.metrics import macro_f1
from burnish.nn.forward import evaluating, layers_of
from burnish.nn.heads import Pooling, TaskLabels, heads_of, pooled
from burnish.runtime import need


@dataclass(frozen=True)
class Labelled:
    """One text.

    Attributes:
        targets: index of its label by task; tasks for which it has none are left out.
    """

    ids: tuple[int, ...]
    targets: dict[str, int]


@dataclass(frozen=True)
class LabelledRow:
    """Texts that a step reads together, of whatever tasks; none sees another.

    Attributes:
        num_filler: tokens that fill a decoder's row up and belong to no text.
    """

    examples: tuple[Labelled, ...]
    num_filler: int = 0

    @property
    def num_tokens(self) -> int:
        """Count the tokens of the texts."""
        return sum(len(example.ids) for example in self.examples)

    def counts(self) -> Counter[str]:
        """Count its labels by task."""
        return Counter(name for example in self.examples for name in example.targets)


def pack_labelled(
    examples: Sequence[Labelled], *, row_tokens: int, seed: int, is_filled: bool = False
) -> Iterator[LabelledRow]:
    """Pack endlessly as `packing.pack` does; `is_filled` brings all rows to one length."""
    for places in place([len(example.ids) for example in examples], row_tokens=row_tokens, seed=seed):
        row = LabelledRow(tuple(examples[index] for index in places))
        yield LabelledRow(row.examples, row_tokens - row.num_tokens) if is_filled else row


def pack_labelled_once(examples: Sequence[Labelled], *, row_tokens: int) -> list[LabelledRow]:
    """Pack each example once, in order, for validation."""
    lengths = [len(example.ids) for example in examples]
    return [
        LabelledRow(tuple(examples[index] for index in places)) for places in place_once(lengths, row_tokens=row_tokens)
    ]


@dataclass
class ClassifyTask:
    """Learn all tasks' labels at once: a trunk that they share, and a head of each, `nn.heads.attach_heads`.

    A task's loss is the mean cross-entropy of its labels over all rows of a step, so that accumulating gradients
    changes nothing; the combiner says what each counts.

    Attributes:
        compare_every_steps: the tasks' gradients are compared so often.
        num_steps: steps taken.
    """

    tasks: tuple[TaskLabels, ...]
    pooling: Pooling
    combiner: Combiner
    compare_every_steps: int = 10
    num_steps: int = field(default=0, init=False)

    def num_tokens(self, item: LabelledRow) -> int:
        """Count the row's tokens, filler left out."""
        return item.num_tokens

    def backward(self, model: Any, batch: Sequence[LabelledRow], scale: float) -> Measures:
        """Add the gradient of the batch's combined loss; the losses are each task's own, unweighted."""
        totals = sum((row.counts() for row in batch), Counter[str]())
        names = [task.name for task in self.tasks]
        step = StepGradients(
            self.combiner,
            last_layer(model),
            {name: list(head.parameters()) for name, head in heads_of(model).items()},
            scale=scale,
            is_compared=len(names) > 1 and self.num_steps % self.compare_every_steps == 0,
        )
        for row in batch:
            vectors_ED = pooled(model, [each.ids for each in row.examples], self.pooling, num_filler=row.num_filler)
            shares = {name: count / totals[name] for name, count in row.counts().items()}
            step.add(vectors_ED, partial(_losses, model, row, totals), shares)
        self.num_steps += 1
        return step.finish()

    def validate(self, model: Any, items: Sequence[LabelledRow]) -> Measures:
        """Measure each task's loss, accuracy and macro-F1 on held-out rows."""
        torch = need("torch", extra="train")
        totals = sum((row.counts() for row in items), Counter[str]())
        losses = dict.fromkeys(totals, 0.0)
        pairs: dict[str, list[tuple[str, str]]] = {name: [] for name in totals}
        with evaluating(model), torch.inference_mode():
            for row in items:
                vectors_ED = pooled(model, [each.ids for each in row.examples], self.pooling)
                for name, loss in _losses(model, row, totals, vectors_ED).items():
                    losses[name] += float(loss)
                for task in self.tasks:
                    pairs.setdefault(task.name, []).extend(_guesses(model, task, row, vectors_ED))
        measured = {"validation_loss_nats": sum(losses.values()) / len(losses)}
        for task in self.tasks:
            if task.name in losses:
                truths, guesses = zip(*pairs[task.name], strict=True)
                right = sum(truth == guess for truth, guess in pairs[task.name])
                measured |= {
                    f"validation_loss_nats_{task.name}": losses[task.name],
                    f"validation_accuracy_frac_{task.name}": right / len(truths),
                    f"validation_macro_f1_frac_{task.name}": macro_f1(truths, guesses, task.labels),
                }
        return measured

    def state(self) -> dict[str, Any]:
        """Give what the combiner has learnt, and the number of steps."""
        return {"combiner": self.combiner.state(), "num_steps": self.num_steps}

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` gave."""
        self.combiner.restore(state["combiner"])
        self.num_steps = state["num_steps"]


def last_layer(model: Any) -> list[Any]:
    """Give the parameters that train in the last layer which the tasks share; of a soft prompt, all that train."""
    found = [parameter for parameter in layers_of(model)[-1].parameters() if parameter.requires_grad]
    if found:
        return found
    of_heads = {id(p) for head in heads_of(model).values() for p in head.parameters()}
    return [p for p in model.parameters() if p.requires_grad and id(p) not in of_heads]


def _losses(model: Any, row: LabelledRow, totals: Mapping[str, int], vectors_ED: Any) -> dict[str, Any]:
    """Compute the row's part of each task's mean loss, in nats."""
    torch = need("torch", extra="train")
    found = {}
    for name, head in heads_of(model).items():
        at = [index for index, example in enumerate(row.examples) if name in example.targets]
        if at:
            targets = torch.tensor([row.examples[index].targets[name] for index in at], device=vectors_ED.device)
            logits = head(vectors_ED[at].float())
            found[name] = torch.nn.functional.cross_entropy(logits, targets, reduction="sum") / totals[name]
    return found


def _guesses(model: Any, task: TaskLabels, row: LabelledRow, vectors_ED: Any) -> list[tuple[str, str]]:
    """Give truth and guess of each labelled example."""
    chosen = heads_of(model)[task.name](vectors_ED.float()).argmax(-1).tolist()
    return [
        (task.labels[example.targets[task.name]], task.labels[guess])
        for example, guess in zip(row.examples, chosen, strict=True)
        if task.name in example.targets
    ]
