"""A form of a model read in the engine that serves it: which next tokens it names rightly, beside the whole model.

Legend: T tokens of a document, V vocabulary.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from burnish.artifacts import DatasetArtifact, Draft, Measurement, ModelArtifact, ReportArtifact
from burnish.errors import RecipeError
from burnish.evaluate.logits import Arithmetic, Logits, openvino_logits
from burnish.learn.running_text import Ends, records_with_text
from burnish.measure.bootstrap import DRAWS, bootstrap
from burnish.nn.weights import open_tokenizer
from burnish.runtime import Workdir

DOCUMENTS = "documents.jsonl"


@dataclass(frozen=True)
class ReadConfig:
    """Say what is read, and with which arithmetic.

    Attributes:
        max_tokens: of each document.
        arithmetic: "exact" is float32 throughout; the others are a server's.
    """

    split: str = "test"
    num_documents: int = 40
    max_tokens: int = 256
    arithmetic: Arithmetic = "auto"

    def __post_init__(self) -> None:
        if self.num_documents < 2 or self.max_tokens < 2:
            raise RecipeError(
                f"num_documents is {self.num_documents}, max_tokens {self.max_tokens}; both must be at least 2"
            )


@dataclass(frozen=True)
class Document:
    """What a form made of a document.

    Attributes:
        num_tokens: that were predicted.
        num_right: of them, named first.
        nats: summed.
    """

    id: str
    num_tokens: int
    num_right: int
    nats: float


def read_form(out: Workdir, form: ModelArtifact, data: DatasetArtifact, *, config: ReadConfig) -> Draft[ReportArtifact]:
    """Read held-out documents with a form written for OpenVINO, in OpenVINO."""
    logits = openvino_logits(form.payload, arithmetic=config.arithmetic)
    return read_with(out, logits, form, data, config)


def read_with(
    out: Workdir, logits: Logits, form: ModelArtifact, data: DatasetArtifact, config: ReadConfig
) -> Draft[ReportArtifact]:
    """Read held-out documents with anything that gives logits."""
    ends = Ends.of(open_tokenizer(form.payload), None)
    records = records_with_text(data, config.split)[: config.num_documents]
    read = []
    with out.progress("reading", total=len(records), unit="documents") as bar:
        for record in records:
            ids = ends.ids(record.text)[: config.max_tokens + 1]
            read.append(_read(record.id, logits(ids), ids))
            bar.advance(1)
    (out / DOCUMENTS).write_text("".join(json.dumps(asdict(each)) + "\n" for each in read), encoding="utf-8")
    right, tokens = (sum(getattr(each, name) for each in read) for name in ("num_right", "num_tokens"))
    evidence = (Measurement("next_token_accuracy", right / tokens, "1", tokens, how="tokens named first"),)
    return Draft(ReportArtifact, evidence, f"{form.label} on {len(read)} held-out documents.")


def _read(name: str, logits_TV: Any, ids: Sequence[int]) -> Document:
    import numpy as np

    wanted, rows = np.asarray(ids[1:]), np.asarray(logits_TV[:-1], dtype=np.float64)
    most = rows.max(1, keepdims=True)
    logprobs = rows[np.arange(len(wanted)), wanted] - most[:, 0] - np.log(np.exp(rows - most).sum(1))
    return Document(name, len(wanted), int((rows.argmax(1) == wanted).sum()), -float(logprobs.sum()))


def compared(whole: ReportArtifact, form: ReportArtifact, *, seed: int) -> tuple[Measurement, ...]:
    """Set what two forms made of the same documents side by side.

    Raises:
        RecipeError: they read other documents.
    """
    before, after = _documents(whole), _documents(form)
    if [(d.id, d.num_tokens) for d in before] != [(d.id, d.num_tokens) for d in after]:
        raise RecipeError(f"{whole.label} and {form.label} read other documents; read the same with both")
    tokens = [each.num_tokens for each in before]

    def changed(at: Sequence[int]) -> float:
        return sum(after[i].num_right - before[i].num_right for i in at) / sum(tokens[i] for i in at)

    def kept(at: Sequence[int]) -> float:
        return math.exp(-sum(after[i].nats - before[i].nats for i in at) / sum(tokens[i] for i in at))

    how = f"{len(before)} held-out documents, {sum(tokens):,} tokens; bootstrap over documents, {DRAWS} draws, 95 %"
    rows = (
        ("next_token_change_frac", changed, "share of next tokens named rightly, less the whole model's"),
        ("text_kept_frac", kept, "the whole model's perplexity over the form's"),
    )
    return tuple(
        Measurement(
            name,
            statistic(range(len(before))),
            "1",
            len(before),
            *bootstrap(statistic, len(before), seed=seed),
            f"{what}; {how}",
        )
        for name, statistic, what in rows
    )


def _documents(reading: ReportArtifact) -> list[Document]:
    lines = (reading.payload / DOCUMENTS).read_text(encoding="utf-8").splitlines()
    return [Document(**json.loads(line)) for line in lines]


def named(prefix: str, evidence: Sequence[Measurement]) -> tuple[Measurement, ...]:
    """Say of several measurements which form they are of."""
    return tuple(replace(each, name=f"{prefix}_{each.name}") for each in evidence)
