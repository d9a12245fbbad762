"""D3: does likeness to seed documents add 15 % to the F1 of a keyword list?"""

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from burnish.artifacts import Draft, Measurement, ReportArtifact
from burnish.claims.claim import Claim, Figure, write_reading
from burnish.data.scoring.domain_claim import GRAIN_TERMS, DomainReading, measure_domain_claim
from burnish.data.scoring.domain_threshold import Counts
from burnish.data.scoring.embed import Encoder, SentenceEncoder
from burnish.measure.bootstrap import DRAWS
from burnish.runtime import Run, Workdir
from burnish.runtime.assets import fetch

_ASSET = "reuters-grain"


@dataclass(frozen=True)
class DomainF1Config:
    """Say how texts are compared.

    Attributes:
        encoder: 64 tokens are the first two or three sentences of a news text, and an eighth of the encoder's time.
        seed: draws seeds and resamples.
    """

    encoder: Encoder = field(default_factory=lambda: SentenceEncoder(max_tokens=64))
    seed: int = 0


def measure_domain_f1(out: Workdir, *, config: DomainF1Config) -> Draft[ReportArtifact]:
    """Filter Reuters' grain news by keyword lists, alone and with likeness and a classifier of seeds."""
    grain = fetch(_ASSET, say=out.warn)
    with tempfile.TemporaryDirectory() as folder:
        readings = measure_domain_claim(grain, Path(folder), config.encoder, seed=config.seed)
    evidence = tuple(m for reading in readings for m in _measured(reading))
    num_texts = _num_texts(readings[0].keywords)
    gains = ", ".join(f"{reading.gain:+.1%} to {reading.name}" for reading in readings)
    pairs = "; ".join(f"{r.name} {r.keywords.f1:.3f}, {r.combined.f1:.3f}" for r in readings)
    setting = (
        f"{num_texts} English news texts of Reuters-21578, {_num_wanted(readings[0].keywords)} of them on grain; seeds "
        f"and thresholds from the train split; {_words(config.encoder)}; seed {config.seed}."
    )
    notes = (
        "The guides name no list, corpus or encoder. A better list leaves less to add: all three lists are printed, "
        "and none is chosen.",
        f"F1 of each list alone and with likeness: {pairs}.",
        "15 % is read as relative, F1 with likeness over F1 of the list alone.",
        "English alone: no labelled Chinese set of a domain is in a package.",
    )
    write_reading(out, CLAIM.id, setting, notes, terms={name: list(terms) for name, terms in GRAIN_TERMS.items()})
    return Draft(ReportArtifact, evidence, f"What likeness to seeds adds to keyword lists: {gains}.")


def _measured(reading: DomainReading) -> tuple[Measurement, ...]:
    num_texts, words = _num_texts(reading.keywords), f"{len(GRAIN_TERMS[reading.name])}_words"
    how = f"bootstrap over texts, {DRAWS} draws, 95 %"
    return (
        Measurement(
            _gain(reading.name), reading.gain, "1", num_texts, reading.gain_low, reading.gain_high,
            f"F1 of list, likeness and classifier over F1 of the list, less 1; both on the same drawn texts; {how}",
        ),
        Measurement(
            f"keywords_f1_{words}_frac", reading.keywords.f1, "1", num_texts, reading.keywords_low,
            reading.keywords_high, how,
        ),
        Measurement(
            f"combined_f1_{words}_frac", reading.combined.f1, "1", num_texts, reading.combined_low,
            reading.combined_high, how,
        ),
    )  # fmt: skip


def _measure(run: Run, seed: int) -> ReportArtifact:
    return run(measure_domain_f1, config=DomainF1Config(seed=seed), label="D3")


def _num_texts(counts: Counts) -> int:
    return counts.true_positive + counts.false_positive + counts.false_negative + counts.true_negative


def _num_wanted(counts: Counts) -> int:
    return counts.true_positive + counts.false_negative


def _words(encoder: Encoder) -> str:
    if isinstance(encoder, SentenceEncoder) and encoder.path is None:
        return f"all-MiniLM-L6-v2 on the first {encoder.max_tokens} tokens"
    return type(encoder).__name__


def _gain(name: str) -> str:
    return f"domain_f1_gain_{len(GRAIN_TERMS[name])}_words_frac"


CLAIM = Claim(
    id="D3",
    feature="Domain fit: keyword list and sentence-embedding similarity",
    published="domain F1 +15 %",
    method="F1 of a filter of keywords, likeness to seed documents and a classifier of seeds, over F1 of the keywords.",
    figures=tuple(Figure(_gain(name), f"F1 gain over keywords: {name}", 0.15, "gain") for name in GRAIN_TERMS),
    stage=measure_domain_f1,
    measure=_measure,
)
