"""Hand-over parity: the same prompts through trainer, merged, compressed and served model.

The commonest complaint in this field is a served model that does not answer like the trained one. Here
each hand-over is measured by itself: do both sides see the same tokens, put the same token first, and give
it the same probability?
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from burnish.artifacts import DatasetArtifact, Draft, Measurement, ModelArtifact, ReportArtifact, counted
from burnish.errors import RecipeError
from burnish.evaluate.logits import Logits, adapter_logits, greedy, model_logits, openvino_logits
from burnish.evaluate.served import Served, served
from burnish.learn.records import read_labelled
from burnish.measure.bootstrap import DRAWS, bootstrap
from burnish.measure.divergence import kl_divergence, log_softmax, top1_agrees
from burnish.nn.chat import ChatFormat, Example, LabelTask
from burnish.nn.weights import open_tokenizer
from burnish.runtime import Workdir

if TYPE_CHECKING:
    import numpy as np


FLOORS = {"tuned_to_merged": 0.99, "merged_to_compressed": 0.85, "compressed_to_served": 0.9}


@dataclass(frozen=True)
class ParityConfig:
    """Say how much is compared.

    Attributes:
        num_prompts: records of the test split, each with its label as the answer.
        served_tokens: greedy tokens that the server adds to each prompt, every one checked.
        num_examples: prompts whose answers are kept for people to read.
        floors: hand-over -> smallest share of positions at which both sides must put the same token first.
    """

    task: LabelTask
    num_prompts: int = 32
    served_tokens: int = 8
    num_examples: int = 4
    floors: dict[str, float] = field(default_factory=lambda: dict(FLOORS))
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.num_examples <= self.num_prompts or self.served_tokens < 1:
            raise RecipeError(
                f"num_prompts is {self.num_prompts}, num_examples {self.num_examples}, served_tokens "
                f"{self.served_tokens}; need 1 <= num_examples <= num_prompts and served_tokens >= 1"
            )
        for name, floor in self.floors.items():
            if name not in FLOORS or not 0 <= floor <= 1:
                raise RecipeError(f"floors.{name} is {floor}; floors are shares in [0, 1] for: {', '.join(FLOORS)}")


@dataclass(frozen=True)
class Handover:
    """What one hand-over did, position by position; `kl_nats` is empty where the far side gives no logits."""

    name: str
    agrees: list[list[bool]]
    kl_nats: list[list[float]]


def check_parity(
    out: Workdir,
    base: ModelArtifact,
    adapter: ModelArtifact,
    merged: ModelArtifact,
    compressed: ModelArtifact,
    data: DatasetArtifact,
    *,
    config: ParityConfig,
) -> Draft[ReportArtifact]:
    """Compare each form of the model with the one before it."""
    chat = ChatFormat(open_tokenizer(base.payload))
    records = read_labelled(data, "test", config.task.labels, at_most=config.num_prompts)
    examples = [chat.answered(config.task.messages(r.text), str(r.label)) for r in records]
    prompts = [config.task.messages(record.text) for record in records]
    forms = {
        "tuned": adapter_logits(base.payload, adapter.payload),
        "merged": model_logits(merged.payload),
        "compressed": openvino_logits(compressed.payload),
    }
    with out.progress("comparing logits", total=len(examples), unit="prompts") as bar:
        handovers = _compare_forms(forms, examples, bar.advance)
    with served(compressed) as server:
        handovers.append(_compare_served(forms["compressed"], server, examples, config))
        equal, total = _count_equal_tokens(prompts, (base, merged, compressed), server)
        answers = _answers(model_logits(base.payload), forms, server, prompts, chat, config)
    report = {
        "handovers": [_row(handover, config.floors.get(handover.name)) for handover in handovers],
        "template_tokens_equal_frac": equal / total,
        "examples": answers,
    }
    (out / "parity.json").write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    how = "conversations whose token ids equal the base tokenizer's: merged, compressed, and the server's /tokenize"
    evidence = [counted("template_tokens_equal_frac", equal, of=total, how=how)]
    for handover in handovers:
        evidence += _evidence(handover, config.seed)
    summary = f"Parity over {len(examples)} prompts from trainer to server: {', '.join(h.name for h in handovers)}."
    return Draft(ReportArtifact, tuple(evidence), summary)


def _compare_forms(forms: dict[str, Logits], examples: Sequence[Example], each: Any) -> list[Handover]:
    names = list(forms)
    pairs = list(pairwise(names))
    handovers = [Handover(f"{a}_to_{b}", [], []) for a, b in pairs]
    for example in examples:
        found: dict[str, np.ndarray] = {name: log_softmax(logits(example.ids)) for name, logits in forms.items()}
        for handover, (a, b) in zip(handovers, pairs, strict=True):
            handover.agrees.append(top1_agrees(found[a], found[b]).tolist())
            handover.kl_nats.append(kl_divergence(found[a], found[b]).tolist())
        each()
    return handovers


def _compare_served(compressed: Logits, server: Served, examples: Sequence[Example], config: ParityConfig) -> Handover:
    """Let the server continue each prompt, and ask the compressed model what it would have said at each step."""
    handover = Handover("compressed_to_served", [], [])
    prompts = [example.ids[: example.answer_start] for example in examples]
    for prompt, tokens in zip(prompts, server.continue_greedily(prompts, config.served_tokens), strict=True):
        if tokens:
            first = compressed([*prompt, *tokens])[len(prompt) - 1 : -1].argmax(axis=-1)
            handover.agrees.append([int(a) == b for a, b in zip(first, tokens, strict=True)])
    return handover


def _count_equal_tokens(
    prompts: list[list[dict[str, str]]], models: Sequence[ModelArtifact], server: Served
) -> tuple[int, int]:
    base, *others = (ChatFormat(open_tokenizer(model.payload)) for model in models)
    expected = [base.prompt(messages).ids for messages in prompts]
    equal = 0
    for messages, ids in zip(prompts, expected, strict=True):
        equal += sum(other.prompt(messages).ids == ids for other in others)
        equal += tuple(server.tokenize(messages)) == ids
    return equal, len(prompts) * (len(others) + 1)


def _answers(
    base: Logits,
    forms: dict[str, Logits],
    server: Served,
    prompts: list[list[dict[str, str]]],
    chat: ChatFormat,
    config: ParityConfig,
) -> list[dict[str, str]]:
    rows = []
    for messages in prompts[: config.num_examples]:
        ids = chat.prompt(messages).ids
        row = {"prompt": messages[-1]["content"]}
        for name, logits in (("base", base), ("tuned", forms["tuned"]), ("compressed", forms["compressed"])):
            tokens = greedy(logits, ids, max_tokens=config.served_tokens, stop=chat.end_of_turn)
            row[name] = chat.text(tuple(tokens)).strip()
        row["served"] = server.answer(messages, config.served_tokens).strip()
        rows.append(row)
    return rows


def _row(handover: Handover, floor: float | None) -> dict[str, Any]:
    agrees = [value for row in handover.agrees for value in row]
    kl = [value for row in handover.kl_nats for value in row]
    return {
        "name": handover.name,
        "top1_agreement_frac": sum(agrees) / len(agrees),
        "kl_nats": sum(kl) / len(kl) if kl else None,
        "num_positions": len(agrees),
        "floor": floor,
    }


def _evidence(handover: Handover, seed: int) -> list[Measurement]:
    agrees = [value for row in handover.agrees for value in row]
    how = f"same first token, {len(handover.agrees)} prompts"
    evidence = [counted(f"top1_agreement_{handover.name}_frac", sum(agrees), of=len(agrees), how=how)]
    if handover.kl_nats:
        rows = handover.kl_nats

        def mean(at: Sequence[int]) -> float:
            return sum(sum(rows[i]) for i in at) / sum(len(rows[i]) for i in at)

        low, high = bootstrap(mean, len(rows), seed=seed)
        how = f"KL of next-token distributions, mean over positions; bootstrap over prompts, {DRAWS} draws, 95 %"
        value = mean(range(len(rows)))
        evidence.append(Measurement(f"kl_{handover.name}_nats", value, "nats", len(agrees), low, high, how))
    return evidence
