"""Text that a served model keeps: held-out documents read by the whole model once, and by each candidate in its server."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from burnish.artifacts import DatasetArtifact, Draft, Measurement, ModelArtifact, ReportArtifact
from burnish.errors import ArtifactError, BurnishError
from burnish.evaluate.served import served
from burnish.evaluate.text_quality import TextQualityConfig
from burnish.learn.running_text import Ends, records_with_text
from burnish.learn.scoring import token_logprobs
from burnish.measure.bootstrap import DRAWS, bootstrap
from burnish.measure.metrics import bits_per_byte
from burnish.nn.precision import resolve
from burnish.nn.weights import open_model, open_tokenizer
from burnish.runtime import Workdir

READINGS = "readings.jsonl"


@dataclass(frozen=True)
class ServedTextConfig:
    """Set the seed of the intervals; documents are those of the reading."""

    seed: int = 0


@dataclass(frozen=True)
class Reading:
    """What the whole model made of a document.

    Attributes:
        text: as far as it is read.
        ids: of its tokens, with the one that stands before.
        num_bytes: UTF-8 bytes of the text.
        nats: summed over all tokens but the first.
    """

    id: str
    text: str
    ids: tuple[int, ...]
    num_bytes: int
    nats: float


def read_text(
    out: Workdir, model: ModelArtifact, data: DatasetArtifact, *, config: TextQualityConfig
) -> Draft[ReportArtifact]:
    """Read held-out documents with a model in memory, so that others can be set beside it.

    Raises:
        BurnishError: the split has no text, or the tokenizer makes nothing of it.
    """
    precision = resolve(config.precision)
    records = records_with_text(data, config.split)[: config.num_documents]
    ends = Ends.of(open_tokenizer(model.payload), None)
    cuts = [(record.id, ends.cut(record.text, config.max_tokens)) for record in records]
    texts = [(name, text, ids) for name, text in cuts if len(ids := ends.ids(text)) > 1]
    if not texts:
        raise BurnishError(
            f"the tokenizer of {model.label} makes no token of any of {len(records)} documents of split {config.split!r}; "
            "give text that is more than blanks, or another split"
        )
    network = open_model(model.payload, precision=precision)
    with out.progress("reading", total=len(texts), unit="documents") as bar:
        scores = token_logprobs(network, [ids for *_, ids in texts], each=bar.advance)
    readings = [
        Reading(name, text, tuple(ids), len(text.encode()), -sum(score))
        for (name, text, ids), score in zip(texts, scores, strict=True)
    ]
    (out / READINGS).write_text("".join(json.dumps(asdict(each)) + "\n" for each in readings), encoding="ascii")
    how = f"first {config.max_tokens} tokens of documents of split {config.split}, transformers, {precision}"
    evidence = (_bits(readings, [each.nats for each in readings], config.seed, how),)
    return Draft(ReportArtifact, evidence, f"{model.label} on {len(readings)} held-out documents, {precision}.")


def compare_served(
    out: Workdir, reading: ReportArtifact, model: ModelArtifact, *, config: ServedTextConfig
) -> Draft[ReportArtifact]:
    """Let a served model read the same tokens, and say which share of the text it keeps.

    Text kept is the inverse of the perplexity ratio: 1 predicts as well as the whole model, 0.5 half as well.

    Raises:
        BurnishError: the server does not start, or the model has another tokenizer than the reading.
    """
    readings = _readings(reading)
    _check_tokenizer(Ends.of(open_tokenizer(model.payload), None), readings, model)
    with out.progress("served reading", total=len(readings), unit="documents") as bar, served(model) as server:
        scores = server.prompt_logprobs([each.ids for each in readings], bar.advance)
    nats = [-sum(score) for score in scores]
    rows = (
        {"id": each.id, "reference_nats": each.nats, "nats": mine} for each, mine in zip(readings, nats, strict=True)
    )
    (out / "documents.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    how = "prompts echoed by burnish serve, beside the whole model in memory"
    evidence = (*_kept(readings, nats, config.seed, how), _bits(readings, nats, config.seed, how))
    return Draft(
        ReportArtifact, evidence, f"Text that {model.label} keeps when it is served, {len(readings)} documents."
    )


def _kept(readings: Sequence[Reading], nats: Sequence[float], seed: int, how: str) -> tuple[Measurement, ...]:
    def ratio(at: Sequence[int]) -> float:
        more = sum(nats[i] - readings[i].nats for i in at)
        return math.exp(more / sum(len(readings[i].ids) - 1 for i in at))

    n = len(readings)
    value, (low, high) = ratio(range(n)), bootstrap(ratio, n, seed=seed)
    resampled = f"{how}; bootstrap over documents, {DRAWS} draws, 95 %"
    return (
        Measurement("text_kept_frac", 1 / value, "1", n, 1 / high, 1 / low, f"inverse perplexity ratio; {resampled}"),
        Measurement("perplexity_ratio", value, "1", n, low, high, resampled),
    )


def _bits(readings: Sequence[Reading], nats: Sequence[float], seed: int, how: str) -> Measurement:
    def statistic(at: Sequence[int]) -> float:
        return bits_per_byte([nats[i] for i in at], [readings[i].num_bytes for i in at])

    n = len(readings)
    low, high = bootstrap(statistic, n, seed=seed)
    return Measurement("bits_per_byte", statistic(range(n)), "bits/byte", n, low, high, how)


def _readings(reading: ReportArtifact) -> list[Reading]:
    try:
        rows = (reading.payload / READINGS).read_text(encoding="ascii").splitlines()
    except OSError as error:
        raise ArtifactError(f"{reading.label} is no reading of text; give what read_text made") from error
    return [Reading(**{**json.loads(row), "ids": tuple(json.loads(row)["ids"])}) for row in rows]


def _check_tokenizer(ends: Ends, readings: Sequence[Reading], model: ModelArtifact) -> None:
    if any(tuple(ends.ids(each.text)) != each.ids for each in readings):
        raise BurnishError(
            f"{model.label} has another tokenizer than the model that read the text, so that tokens cannot be compared; "
            "give a model whose vocabulary is untouched"
        )
