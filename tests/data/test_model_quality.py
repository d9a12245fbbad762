"""Model quality: a language model's surprise and a classifier of good text, on real and on planted random rows."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from real_slice import CHINESE, dataset, evidence, slice_lines, texts
from set_aside import read_rejected
from sharded import FINANCE, GRAIN, PLAIN_CHINESE, sharded

from burnish.artifacts import Measurement
from burnish.data.model_quality import Bounds, ModelQualityConfig, Percentiles, gate_model_quality
from burnish.data.records import read_kept
from burnish.data.scoring.quality_classifier import Classifier, CorpusSample, corrupt, fit_classifier, load_classifier
from burnish.data.scoring.quality_perplexity import Perplexity, bits_per_byte_of
from burnish.data.scoring.sample import Sampled
from burnish.errors import RecipeError
from burnish.runtime import Run
from burnish.runtime.recipes import fill

GENERAL = [json.loads(line) for line in slice_lines("type")]
PROSE = [row["text"] for row in GENERAL if row["type"] in ("c4", "oscar", "openwebtext", "Abirate/english_quotes")]
RANDOM = [row["text"] for row in GENERAL if row["type"].startswith("Random")]
HEADLINES = [json.loads(line)["input"][-1]["content"] for line in slice_lines("ideal")]


def write_good(folder: Path, good: list[str]) -> Path:
    path = folder / "good.jsonl"
    path.write_text("".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in good), encoding="utf-8")
    return path


def rows_with_random() -> list[object]:
    clean = [replace(record, id=f"c:{record.id}") for record in texts(*PROSE)]
    return [*clean, *(replace(record, id=f"x:{record.id}") for record in texts(*RANDOM, planted="random"))]


PLANTED = Measurement("planted_random_records", 20.0, "records", 20)


def test_a_classifier_of_good_text_catches_random_rows_and_counts_them(run: Run, tmp_path: Path) -> None:
    sentences = [part.strip() for text in PROSE for part in text.split(". ") if len(part) > 40]
    config = ModelQualityConfig(Classifier(write_good(tmp_path, sentences)), Bounds(low=0.0))
    done = run(gate_model_quality, dataset(run, rows_with_random(), PLANTED), config=config)  # type: ignore[arg-type]
    found = evidence(done)
    assert found["model_quality_random_caught_frac"] >= 0.95
    assert found["model_quality_clean_lost_frac"] <= 0.1
    assert found["model_quality_low"] == 0
    gone = [record.planted for record, _ in read_rejected(done)]
    assert gone.count("random") == 20 * found["model_quality_random_caught_frac"]
    for _, rejection in read_rejected(done):
        assert rejection.rule == "unlike_good_text"
        assert rejection.value is not None
        assert rejection.value < 0 == rejection.threshold


def test_chinese_good_text_is_told_from_its_own_characters_in_another_order(tmp_path: Path) -> None:
    good = [*FINANCE, *PLAIN_CHINESE, *CHINESE]
    model = fit_classifier(Classifier(write_good(tmp_path, good)), (), seed=0)
    bad = corrupt(good, seed=9)  # drawn anew, not those it learnt from
    assert np.quantile(model.score(good), 0.1) > np.quantile(model.score(bad), 0.9)


def test_corruption_is_repeatable_and_bad_in_three_ways() -> None:
    bad = corrupt([GRAIN[0], FINANCE[0]], seed=1)
    assert bad == corrupt([GRAIN[0], FINANCE[0]], seed=1) != corrupt([GRAIN[0], FINANCE[0]], seed=2)
    assert len(bad) == 6
    assert len(bad[0]) == len(GRAIN[0])
    letters = [sorted(word.strip(".")) for word in GRAIN[0].split()]
    assert [sorted(word) for word in bad[2].split()] == letters  # each word holds its own letters
    assert sorted(bad[5]) == sorted(character for character in FINANCE[0] if character not in ",。")
    assert corrupt(["!!"], seed=0) != ["!!"]


def test_the_corpus_can_be_what_good_text_is_told_from(run: Run, tmp_path: Path) -> None:
    path = write_good(tmp_path, [*GRAIN, *GRAIN])
    config = ModelQualityConfig(Classifier(path, CorpusSample()), Percentiles(0.95, 1.0))
    records = texts(*HEADLINES[:95], *(text.replace("The", "This") for text in GRAIN[:5]))
    kept = {record.id for record in read_kept(run(gate_model_quality, sharded(run, records, 3), config=config))}
    assert len(kept & {f"t:{row:04}" for row in range(95, 100)}) >= 4
    assert 5 <= len(kept) <= 6


def test_the_classifier_comes_back_from_disk(tmp_path: Path) -> None:
    sample = [Sampled(str(row), text) for row, text in enumerate(HEADLINES[:40])]
    model = fit_classifier(Classifier(write_good(tmp_path, PROSE), CorpusSample()), sample, seed=0)
    model.save(tmp_path / "model.npz")
    ids = [row.id for row in sample]
    again = load_classifier(tmp_path / "model.npz").score(HEADLINES[:40], ids)
    assert np.array_equal(again, model.score(HEADLINES[:40], ids))
    assert not np.array_equal(again, model.score(HEADLINES[:40]))


def test_perplexity_is_bits_a_byte_of_what_was_read(tiny_model: Path) -> None:
    import math

    import torch
    import transformers

    model = transformers.AutoModelForCausalLM.from_pretrained(tiny_model)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny_model)
    found = bits_per_byte_of([*HEADLINES[:3], FINANCE[0], "", "a"], Perplexity(tiny_model, max_tokens=20))
    assert np.isnan(found[4:]).tolist() == [True, True]
    for text, bits in zip([*HEADLINES[:3], FINANCE[0]], found.tolist(), strict=False):
        ids = tokenizer(text, add_special_tokens=False)["input_ids"][:20]
        with torch.inference_mode():
            logprobs = torch.log_softmax(model(torch.tensor([ids])).logits[0, :-1].float(), 1)
        nats = -sum(float(logprobs[place, token]) for place, token in enumerate(ids[1:]))
        num_bytes = len(tokenizer.decode(ids[1:]).encode())
        assert bits == pytest.approx(nats / math.log(2) / num_bytes, rel=1e-3)


def test_perplexity_gates_by_percentile_on_both_sides(run: Run, tiny_model: Path) -> None:
    config = ModelQualityConfig(Perplexity(tiny_model, max_tokens=16), Percentiles(0.1, 0.8))
    done = run(gate_model_quality, sharded(run, texts(*HEADLINES[:40], "a"), 2), config=config)
    found = evidence(done)
    scores = bits_per_byte_of(HEADLINES[:40], Perplexity(tiny_model, max_tokens=16))
    assert found["dropped_too_predictable_records"] == (scores < found["model_quality_low"]).sum() == 3
    assert found["dropped_too_surprising_records"] == (scores > found["model_quality_high"]).sum() == 7
    assert "t:0040" in {record.id for record in read_kept(done)}  # one token cannot be measured, and passes


def test_bounds_without_planted_rows_leave_no_figures_of_them(run: Run, tmp_path: Path) -> None:
    config = ModelQualityConfig(Classifier(write_good(tmp_path, [*GRAIN, *FINANCE])), Bounds(low=-100.0))
    done = run(gate_model_quality, dataset(run, texts(*HEADLINES[:5])), config=config)
    assert evidence(done)["kept_frac"] == 1
    assert not [m for m in done.evidence if m.name.endswith(("caught_frac", "lost_frac", "_high"))]


def test_wrong_values_are_refused(run: Run, tmp_path: Path) -> None:
    for values, said in (({}, "neither low nor high"), ({"low": 2, "high": 1}, "low must be below high")):
        with pytest.raises(RecipeError, match=said):
            Bounds(**values)
    with pytest.raises(RecipeError, match="need 0 <= low < high <= 1"):
        Percentiles(0.9, 0.1)
    with pytest.raises(RecipeError, match="must be a Hugging Face folder"):
        Perplexity(tmp_path)
    good = write_good(tmp_path, PROSE)
    with pytest.raises(RecipeError, match="a classifier's score has no upper bound"):
        run(
            gate_model_quality,
            dataset(run, texts("a text")),
            config=ModelQualityConfig(Classifier(good), Bounds(high=2.0)),
        )
    with pytest.raises(RecipeError, match="holds 3 good texts; give at least 20"):
        fit_classifier(Classifier(write_good(tmp_path, PROSE[:3])), (), seed=0)


def test_yaml_fills_scorer_and_bounds(tmp_path: Path) -> None:
    good = write_good(tmp_path, PROSE)
    values = {
        "scorer": {"kind": "classifier", "path": str(good), "against": "corpus_sample"},
        "keep": {"kind": "bounds", "low": 0.5},
    }
    assert fill(ModelQualityConfig, values) == ModelQualityConfig(Classifier(good, CorpusSample()), Bounds(0.5))
