"""Domain threshold: the best F1, found and measured without praising itself; and the claim's reading."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sharded import GRAIN

from burnish.data.scoring.domain_claim import GRAIN_TERMS, measure_domain_claim, read_arff
from burnish.data.scoring.domain_threshold import (
    Counts,
    LabelledFile,
    LabelledRecords,
    TopShare,
    best_threshold,
    count,
    cross_fitted,
    f1_interval,
    fit_cut,
    measure_counts,
)
from burnish.data.scoring.embed import HashedNgrams
from burnish.data.scoring.examples import Example, read_examples
from burnish.errors import RecipeError

SCORED = st.lists(st.tuples(st.integers(-5, 5), st.booleans()), min_size=1, max_size=30)


@given(SCORED)
def test_no_threshold_has_a_larger_f1(scored: list[tuple[int, bool]]) -> None:
    scores = np.array([score for score, _ in scored], np.float64)
    wanted = np.array([is_wanted for _, is_wanted in scored], np.bool_)
    found = count(scores >= best_threshold(scores, wanted), wanted).f1
    assert found == max(count(scores >= threshold, wanted).f1 for threshold in {*scores.tolist()})


def test_the_threshold_lies_between_the_two_sides() -> None:
    assert best_threshold(np.array([1.0, 4.0, 2.0]), np.array([False, True, False])) == 3.0


def test_scores_of_chance_are_not_praised() -> None:
    random = np.random.default_rng(0)
    scores, wanted = random.normal(size=400), random.random(400) < 0.1
    names = [str(row) for row in range(400)]
    in_sample = count(scores >= best_threshold(scores, wanted), wanted).f1
    assert in_sample > cross_fitted(scores[:, None], wanted, names).f1


def test_each_text_is_judged_once_and_a_clear_cut_is_found() -> None:
    scores = np.r_[np.linspace(2, 3, 50), np.linspace(0, 1, 150)]
    wanted = np.arange(200) < 50
    assert cross_fitted(scores[:, None], wanted, [str(row) for row in range(200)]) == Counts(50, 0, 0, 150)


def test_labels_weigh_a_good_signal_above_a_poor_one_and_none_below_nothing() -> None:
    random = np.random.default_rng(3)
    wanted = random.random(600) < 0.2
    good, poor, wrong = random.normal(size=(3, 600)) + np.outer([4, 0, -1], wanted)
    cut = fit_cut(np.column_stack([good, poor, wrong]), wanted)
    assert cut.weights[0] > 0.8
    assert cut.weights[2] == 0
    assert sum(cut.weights) == pytest.approx(1)
    f1 = count(cut.scores(np.column_stack([good, poor, wrong])) >= cut.threshold, wanted).f1
    assert f1 > 0.9
    assert fit_cut(wrong[:, None], wanted).weights == (1.0,)


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 40), st.integers(1, 40))
def test_the_interval_holds_f1(hits: int, false: int, missed: int, rest: int) -> None:
    counts = Counts(hits, false, missed, rest)
    low, high = f1_interval(counts, seed=0)
    assert low - 1e-9 <= counts.f1 <= high + 1e-9


def test_the_interval_is_that_of_drawing_texts() -> None:
    counts = Counts(40, 10, 20, 130)
    kept = np.r_[np.ones(50), np.zeros(150)].astype(bool)
    wanted = np.r_[np.ones(40), np.zeros(10), np.ones(20), np.zeros(130)].astype(bool)
    random = np.random.default_rng(1)
    drawn = [count(kept[at], wanted[at]).f1 for at in random.integers(0, 200, (2000, 200))]
    assert f1_interval(counts, seed=0) == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.02)


def test_counts_become_evidence() -> None:
    found = {m.name: m for m in measure_counts(Counts(8, 2, 0, 10), prefix="x", how="test", seed=0)}
    assert found["x_precision_frac"].value == 0.8
    assert found["x_recall_frac"].value == 1.0
    assert found["x_f1_frac"].value == pytest.approx(16 / 18)
    none_kept = {m.name for m in measure_counts(Counts(0, 0, 5, 5), prefix="x", how="test", seed=0)}
    assert "x_precision_frac" not in none_kept


def test_thresholds_are_checked(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="keep_frac is 0"):
        TopShare(0)
    with pytest.raises(RecipeError, match="domain_labels is empty"):
        LabelledRecords(())
    with pytest.raises(RecipeError, match="a line of text has no label"):
        LabelledFile(tmp_path / "a.txt")


def test_examples_are_read_and_faults_named_by_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "甲", "is_domain": 1}\n\n{"text": "b", "is_domain": false}\n{"text": "c"}\n', "utf-8")
    assert read_examples(path) == [Example("甲", True), Example("b", False), Example("c")]
    for line, said in (
        ("{", "is not JSON"),
        ('{"body": "x"}', "has no `text`"),
        ('{"text": "x", "is_domain": "yes"}', "'yes'"),
    ):
        path.write_text(f'{{"text": "a"}}\n{line}\n', "utf-8")
        with pytest.raises(RecipeError, match=f"line 2 of a.jsonl .*{said}|{said}"):
            read_examples(path)
    plain = tmp_path / "a.txt"
    plain.write_text("\ufeffone\n\n 二 \n", "utf-8")
    assert read_examples(plain) == [Example("one"), Example("二")]
    plain.write_text("\n", "utf-8")
    with pytest.raises(RecipeError, match="holds no text"):
        read_examples(plain)
    with pytest.raises(RecipeError, match="cannot be read"):
        read_examples(tmp_path / "missing.txt")


OTHERS = (
    "The central bank left its rate unchanged.",
    "Shares of the carmaker fell in early trading.",
    "The union called off the strike at the port.",
    "Oil output rose for the third month.",
)


def test_the_claim_is_read_from_wekas_files(tmp_path: Path) -> None:
    def quoted(text: str) -> str:
        return text.replace("'", r"\'").replace("\n", r"\n")

    for split, part in (("train", slice(0, 7)), ("test", slice(7, None))):
        rows = [f"'{quoted(text)}',1" for text in GRAIN[part] * 4]
        rows += [f"'{quoted(text)} No. {row}',0" for row, text in enumerate(OTHERS * 10)]
        body = "@relation 'x'\n\n@attribute Text string\n@attribute class-att {0,1}\n\n@data\n\n" + "\n".join(rows)
        (tmp_path / f"ReutersGrain-{split}.arff").write_text(body, encoding="latin-1")
    readings = measure_domain_claim(tmp_path, tmp_path, HashedNgrams(1 << 14), seed=1)
    assert [reading.name for reading in readings] == list(GRAIN_TERMS)
    for reading in readings:
        kept = reading.keywords
        assert kept.true_positive + kept.false_negative == 12
        assert kept.false_positive + kept.true_negative == 40
        assert reading.gain_low <= reading.gain <= reading.gain_high
        assert reading.gain == pytest.approx(reading.combined.f1 / reading.keywords.f1 - 1)
    assert readings[2].keywords.f1 > readings[0].keywords.f1
    given_seeds = [json.loads(line)["text"] for line in (tmp_path / "seeds.jsonl").read_text().splitlines()]
    assert given_seeds
    assert set(given_seeds) < set(GRAIN[:7])


def test_wekas_quoting_is_undone(tmp_path: Path) -> None:
    path = tmp_path / "x.arff"
    path.write_text("@data\n'it\\'s 5 pct\\nup \\\\ down',1\n'b',0\n", encoding="latin-1")
    assert read_arff(path) == [Example("it's 5 pct\nup \\ down", True), Example("b", False)]
    path.write_text("@data\n", encoding="latin-1")
    with pytest.raises(RecipeError, match="holds no rows"):
        read_arff(path)
