"""Domain claim: what likeness and a classifier add to a list of keywords, on held-out labelled news.

Reuters' grain news, as Weka packages them: the test split is the corpus to filter, unlabelled to the filter. Half of
the train split's grain news are the seeds; the rest of the train split weighs the signals and chooses the threshold.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from burnish.data.scoring.domain_model import SeedClassifier, SeedSimilarity, fit_domain
from burnish.data.scoring.domain_threshold import Counts, count, f1_interval, fit_cut
from burnish.data.scoring.embed import Encoder
from burnish.data.scoring.examples import Example
from burnish.data.scoring.keywords import Keywords
from burnish.data.scoring.sample import Sampled
from burnish.data.scoring.scores import keys_of
from burnish.errors import RecipeError
from burnish.measure.bootstrap import DRAWS

GRAIN_TERMS: dict[str, tuple[str, ...]] = {
    "the category's name": ("grain",),
    "three main grains": ("grain", "wheat", "corn"),
    "seventeen of the trade": (
        *("grain", "grains", "wheat", "corn", "maize", "barley", "oats", "oat", "rice", "sorghum", "rye"),
        *("soybean", "soybeans", "rapeseed", "feedgrain", "cereal", "cereals"),
    ),
}
_ROW = re.compile(r"'((?:[^'\\]|\\.)*)',([01])\s*")
_ESCAPE = re.compile(r"\\(.)")
_CONTROLS = {"n": "\n", "t": "\t", "r": "\r"}


@dataclass(frozen=True)
class DomainReading:
    """Hold one list's result on the held-out texts.

    Attributes:
        keywords_low, keywords_high, combined_low, combined_high: 95 % bootstrap intervals of the two F1.
        gain: F1 of keywords with the seeds' signals over that of keywords alone, less 1, as in "F1 +15 %".
        gain_low, gain_high: its 95 % bootstrap interval, both filters on the same drawn texts.
    """

    name: str
    keywords: Counts
    combined: Counts
    keywords_low: float
    keywords_high: float
    combined_low: float
    combined_high: float
    gain: float
    gain_low: float
    gain_high: float


def measure_domain_claim(grain: Path, folder: Path, encoder: Encoder, *, seed: int = 0) -> list[DomainReading]:
    """Filter Reuters' grain news by each list of `GRAIN_TERMS`, alone and with likeness and a classifier.

    Args:
        grain: the asset `reuters-grain`.
        folder: where the seeds are written, for the signals to read.
        encoder: of likeness and classifier.
    """
    train, test = (read_arff(grain / f"ReutersGrain-{split}.arff") for split in ("train", "test"))
    is_seed = (keys_of(f"{seed}/{example.text}" for example in train) & np.uint64(1)).astype(np.bool_)
    seeds = [e.text for e, drawn in zip(train, is_seed, strict=True) if drawn and e.is_wanted]
    labelled = [e for e, drawn in zip(train, is_seed, strict=True) if not drawn]
    path = folder / "seeds.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in seeds), encoding="utf-8")
    lists = tuple(Keywords(terms) for terms in GRAIN_TERMS.values())
    sample = [Sampled(f"test:{row}", example.text) for row, example in enumerate(test)]
    model, corpus = fit_domain((*lists, SeedSimilarity(path, encoder), SeedClassifier(path, encoder)), sample)
    chosen_on = model.standardise(model.measure([e.text for e in labelled], None))
    columns = _Columns(model.standardise(corpus), chosen_on, _wanted(labelled))
    by_seeds = (len(lists), len(lists) + 1)
    return [
        _compare(name, columns.keep((number,)), columns.keep((number, *by_seeds)), _wanted(test), seed)
        for number, name in enumerate(GRAIN_TERMS)
    ]


def read_arff(path: Path) -> list[Example]:
    """Read Weka's rows of a quoted text and a class, 1 or 0.

    Raises:
        RecipeError: there are none.
    """
    # Reuters is ASCII but for a few bytes in an encoding that nobody recorded; Latin-1 reads any byte.
    rows = map(_ROW.fullmatch, path.read_text(encoding="latin-1").splitlines())
    examples = [
        Example(_ESCAPE.sub(lambda escaped: _CONTROLS.get(escaped[1], escaped[1]), row[1]), row[2] == "1")
        for row in rows
        if row is not None
    ]
    if not examples:
        raise RecipeError(f"{path} holds no rows of a quoted text and 0 or 1; give a text file of Weka's")
    return examples


def _wanted(examples: Sequence[Example]) -> NDArray[np.bool_]:
    return np.array([example.is_wanted for example in examples], np.bool_)


@dataclass(frozen=True)
class _Columns:
    """All signals of the corpus and of the labelled texts, measured once: texts are encoded for minutes."""

    corpus: NDArray[np.float64]
    labelled: NDArray[np.float64]
    wanted: NDArray[np.bool_]

    def keep(self, chosen: tuple[int, ...]) -> NDArray[np.bool_]:
        """Tell which texts of the corpus the filter of these signals keeps."""
        at = list(chosen)
        cut = fit_cut(self.labelled[:, at], self.wanted)
        return np.asarray(cut.scores(self.corpus[:, at]) >= cut.threshold)


def _compare(
    name: str, alone: NDArray[np.bool_], combined: NDArray[np.bool_], wanted: NDArray[np.bool_], seed: int
) -> DomainReading:
    before, after = count(alone, wanted), count(combined, wanted)
    random = np.random.default_rng(seed)
    gains = []
    for _ in range(DRAWS):
        at = random.integers(0, len(wanted), len(wanted))
        drawn = count(alone[at], wanted[at]).f1
        if drawn > 0:
            gains.append(count(combined[at], wanted[at]).f1 / drawn - 1)
    low, high = np.quantile(gains, [0.025, 0.975])
    return DomainReading(
        name,
        before,
        after,
        *f1_interval(before, seed=seed),
        *f1_interval(after, seed=seed),
        after.f1 / before.f1 - 1,
        float(low),
        float(high),
    )
