"""Score a model's quality: labels on the domain's task, bits a byte on the domain's and on general text.

The same sequences and the same arithmetic serve for a model in memory and for one behind a server, so that
before and after differ in the model alone.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from burnish.artifacts import DatasetArtifact, Draft, Measurement, ModelArtifact, ReportArtifact, counted
from burnish.evaluate.served import Served, served
from burnish.learn.records import Record, read_labelled, read_records
from burnish.learn.scoring import token_logprobs
from burnish.measure.bootstrap import DRAWS, bootstrap
from burnish.measure.metrics import bits_per_byte, macro_f1
from burnish.nn.chat import ChatFormat, Example, LabelTask
from burnish.nn.precision import Precision, resolve
from burnish.nn.weights import open_model, open_tokenizer, open_tuned
from burnish.runtime import Workdir

Scorer = Callable[[Sequence[Sequence[int]], Callable[[int], None]], list[list[float]]]


@dataclass(frozen=True)
class ScoreConfig:
    """Say what quality is measured on.

    Attributes:
        test_records: the first so many of the test split.
        general_records: documents of general text, for forgetting.
        max_general_tokens: each is scored up to here.
        precision: of a model in memory; a served model has its engine's own.
    """

    task: LabelTask
    test_records: int = 400
    general_records: int = 60
    max_general_tokens: int = 256
    precision: Precision = "fp32"
    seed: int = 0


def score_model(
    out: Workdir, model: ModelArtifact, data: DatasetArtifact, general: DatasetArtifact, *, config: ScoreConfig
) -> Draft[ReportArtifact]:
    """Score a model of the Hugging Face layout in memory."""
    precision = resolve(config.precision)
    sheet = _Sheet.prepare(model, data, general, config)
    scorer = _memory_scorer(open_model(model.payload, precision=precision))
    return sheet.mark(out, scorer, f"transformers, {precision}", model)


def score_tuned(
    out: Workdir,
    base: ModelArtifact,
    tuned: ModelArtifact,
    data: DatasetArtifact,
    general: DatasetArtifact,
    *,
    config: ScoreConfig,
) -> Draft[ReportArtifact]:
    """Score what training made, an adapter beside its base or a model of its own, in memory."""
    precision = resolve(config.precision)
    sheet = _Sheet.prepare(base, data, general, config)
    scorer = _memory_scorer(open_tuned(base.payload, tuned.payload, precision=precision))
    return sheet.mark(out, scorer, f"transformers, {precision}", tuned)


def score_served(
    out: Workdir, model: ModelArtifact, data: DatasetArtifact, general: DatasetArtifact, *, config: ScoreConfig
) -> Draft[ReportArtifact]:
    """Score a model through its real server: log-probabilities of echoed prompts."""
    sheet = _Sheet.prepare(model, data, general, config)
    with served(model) as server:
        return sheet.mark(out, _echo_scorer(server), "burnish serve, /v1/completions with echo", model)


def _memory_scorer(network: Any) -> Scorer:
    def scorer(sequences: Sequence[Sequence[int]], each: Callable[[int], None]) -> list[list[float]]:
        return token_logprobs(network, sequences, each=each)

    return scorer


@dataclass
class _Sheet:
    """All sequences to score, and where each one's numbers belong."""

    config: ScoreConfig
    records: list[Record]
    answers: list[list[Example]]  # one a label, for each record
    general_ids: list[tuple[int, ...]]
    general_bytes: list[int]
    rows: list[dict[str, object]] = field(default_factory=list)

    @staticmethod
    def prepare(model: ModelArtifact, data: DatasetArtifact, general: DatasetArtifact, config: ScoreConfig) -> "_Sheet":
        chat = ChatFormat(open_tokenizer(model.payload))
        records = read_labelled(data, "test", config.task.labels, at_most=config.test_records)
        answers = [
            [chat.answered(config.task.messages(record.text), label) for label in config.task.labels]
            for record in records
        ]
        texts = [record.text for record in read_records(general, at_most=config.general_records)]
        ids = [chat.plain(text, max_tokens=config.max_general_tokens) for text in texts]
        ids = [tokens for tokens in ids if len(tokens) > 1]
        return _Sheet(config, records, answers, ids, [chat.num_bytes(tokens[1:]) for tokens in ids])

    def mark(self, out: Workdir, scorer: Scorer, engine: str, model: ModelArtifact) -> Draft[ReportArtifact]:
        sequences: list[Sequence[int]] = [example.ids for row in self.answers for example in row]
        sequences += self.general_ids
        with out.progress("scoring", total=len(sequences), unit="texts") as bar:
            scores = scorer(sequences, bar.advance)
        num_answers = len(sequences) - len(self.general_ids)
        guesses, domain_nats = self._read_answers(scores[:num_answers])
        general_nats = [-sum(score) for score in scores[num_answers:]]
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in self.rows)
        (out / "predictions.jsonl").write_text(lines, encoding="utf-8")
        evidence = self._evidence(guesses, domain_nats, general_nats, engine)
        summary = f"Quality of {model.label} on {len(self.records)} unseen records and general text, through {engine}."
        return Draft(ReportArtifact, evidence, summary)

    def _read_answers(self, scores: list[list[float]]) -> tuple[list[str], list[float]]:
        labels = self.config.task.labels
        guesses, domain_nats = [], []
        for number, record in enumerate(self.records):
            mine = scores[number * len(labels) : (number + 1) * len(labels)]
            # scores[t] belongs to token t + 1, hence the - 1
            sums = [
                sum(score[example.answer_start - 1 :])
                for score, example in zip(mine, self.answers[number], strict=True)
            ]
            guess = labels[sums.index(max(sums))]
            example = self.answers[number][0]
            guesses.append(guess)
            domain_nats.append(-sum(mine[0][example.text_start - 1 : example.text_end - 1]))
            logprobs = {label: round(value, 4) for label, value in zip(labels, sums, strict=True)}
            self.rows.append({"id": record.id, "label": record.label, "guess": guess, "logprob_nats": logprobs})
        return guesses, domain_nats

    def _evidence(
        self, guesses: list[str], domain_nats: list[float], general_nats: list[float], engine: str
    ) -> tuple[Measurement, ...]:
        truths = [str(record.label) for record in self.records]
        labels = self.config.task.labels
        hits = sum(truth == guess for truth, guess in zip(truths, guesses, strict=True))
        how = f"likeliest label as the answer; {engine}"
        text_bytes = [len(record.text.strip().encode()) for record in self.records]

        def f1(at: Sequence[int]) -> float:
            return macro_f1([truths[i] for i in at], [guesses[i] for i in at], labels)

        low, high = bootstrap(f1, len(truths), seed=self.config.seed)
        return (
            counted("accuracy_frac", hits, of=len(truths), how=how),
            Measurement("f1_frac", f1(range(len(truths))), "1", len(truths), low, high, f"macro F1, {how}; {_HOW}"),
            self._bits("domain", domain_nats, text_bytes, f"the record's text inside the chat prompt; {engine}"),
            self._bits("general", general_nats, self.general_bytes, f"running text, first token given; {engine}"),
        )

    def _bits(self, name: str, nats: list[float], num_bytes: list[int], how: str) -> Measurement:
        def statistic(at: Sequence[int]) -> float:
            return bits_per_byte([nats[i] for i in at], [num_bytes[i] for i in at])

        low, high = bootstrap(statistic, len(nats), seed=self.config.seed)
        value = statistic(range(len(nats)))
        return Measurement(f"{name}_bits_per_byte", value, "bits/byte", len(nats), low, high, f"{how}; {_HOW}")


_HOW = f"bootstrap over documents, {DRAWS} draws, 95 %"


def _echo_scorer(server: Served) -> Scorer:
    def scorer(sequences: Sequence[Sequence[int]], each: Callable[[int], None]) -> list[list[float]]:
        return server.prompt_logprobs(sequences, each)

    return scorer
