"""Domain: the gate keeps what belongs to a domain, English and Chinese, whatever the shards."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from real_slice import dataset, evidence, slice_lines, texts
from set_aside import read_ledger, read_rejected
from sharded import FINANCE, GRAIN, PLAIN_CHINESE, sharded

from burnish.data.domain import DomainConfig, gate_domain
from burnish.data.records import Record, read_kept
from burnish.data.scoring.domain_model import SeedClassifier, SeedSimilarity, fit_domain, load_domain
from burnish.data.scoring.domain_threshold import LabelledFile, LabelledRecords, MinScore, TopShare
from burnish.data.scoring.keywords import Keywords
from burnish.data.scoring.sample import Sampled
from burnish.errors import RecipeError
from burnish.runtime import Run
from burnish.runtime.recipes import fill

HEADLINES = [json.loads(line)["input"][-1]["content"] for line in slice_lines("ideal")][:60]


def mixed(domain: tuple[str, ...], rest: list[str]) -> list[Record]:
    return [
        *(replace(record, id=f"d:{record.id}", label="domain") for record in texts(*domain)),
        *(replace(record, id=f"r:{record.id}", label="other") for record in texts(*rest)),
    ]


def write(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def seeds(folder: Path, given: tuple[str, ...]) -> Path:
    return write(folder / "seeds.jsonl", [{"text": text} for text in given])


def kept_ids(done: object) -> set[str]:
    return {record.id for record in read_kept(done)}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("domain", "rest", "terms"),
    [
        (GRAIN, HEADLINES, ("wheat", "corn", "barley", "tonnes")),
        (FINANCE, list(PLAIN_CHINESE) * 3, ("准备金率", "净利润", "市场", "银行")),
    ],
)
def test_seeds_and_terms_together_keep_the_domain(
    run: Run, tmp_path: Path, domain: tuple[str, ...], rest: list[str], terms: tuple[str, ...]
) -> None:
    path = seeds(tmp_path, domain[:5])
    records = mixed(domain[5:], rest)
    config = DomainConfig(
        (Keywords(terms), SeedSimilarity(path), SeedClassifier(path)), TopShare(5 / len(records)), seed=3
    )
    done = run(gate_domain, dataset(run, records), config=config)
    assert kept_ids(done) == {record.id for record in records if record.label == "domain"}
    found = evidence(done)
    assert found["kept_frac"] == 5 / len(records)
    assert found["dropped_off_domain_records"] == len(rest)
    for _, rejection in read_rejected(done):
        assert rejection.value is not None
        assert rejection.value < found["domain_threshold"] == rejection.threshold


def test_the_kept_set_does_not_depend_on_shards(run: Run, tmp_path: Path) -> None:
    path = seeds(tmp_path, GRAIN[:5])
    records = mixed(GRAIN[5:], HEADLINES)
    config = DomainConfig((SeedSimilarity(path), SeedClassifier(path)), TopShare(0.2), sample_records=40)
    kept = [kept_ids(run(gate_domain, sharded(run, records, number), config=config)) for number in (1, 2, 8)]
    assert kept[0] == kept[1]
    assert len(kept[0]) == 13


def test_what_every_signal_measured_is_kept_for_all_records(run: Run, tmp_path: Path) -> None:
    config = DomainConfig((Keywords(("wheat",)), SeedSimilarity(seeds(tmp_path, GRAIN[:5]))), MinScore(0.0))
    done = run(gate_domain, dataset(run, mixed(GRAIN[5:], HEADLINES)), config=config)
    import polars

    measures = polars.read_parquet(done.payload / "measures" / "*.parquet")
    assert set(measures.columns) == {"id", "off_domain", "keywords", "seed_similarity"}
    assert measures.height == 65
    has_wheat = {row["id"] for row in measures.filter(polars.col("keywords") > 0).to_dicts()}
    assert has_wheat == {f"d:t:{row:04}" for row, text in enumerate(GRAIN[5:]) if "wheat" in text}
    assert read_ledger(done).height == evidence(done)["dropped_off_domain_records"]


def test_labels_of_records_choose_the_threshold_and_measure_it(run: Run) -> None:
    records = mixed(GRAIN * 3, HEADLINES)
    records = [replace(record, id=f"{record.id}+{row}") for row, record in enumerate(records)]
    config = DomainConfig((Keywords(("wheat", "corn", "barley")),), LabelledRecords(("domain",)))
    done = run(gate_domain, dataset(run, [*records, replace(records[0], id="none", label=None)]), config=config)
    found = {m.name: m for m in done.evidence}
    assert found["domain_f1_frac"].n == len(records)
    assert found["domain_recall_frac"].value == 1.0
    assert found["domain_precision_frac"].value == 1.0
    assert found["domain_f1_frac"].low is not None
    assert kept_ids(done) == {record.id for record in records if record.label == "domain"} | {"none"}


def test_labelled_texts_that_are_seeds_do_not_praise_the_gate(run: Run, tmp_path: Path) -> None:
    path = seeds(tmp_path, GRAIN[:5])
    labelled = [{"text": text, "is_domain": True} for text in GRAIN]
    labelled += [{"text": text, "is_domain": False} for text in HEADLINES[:20]]
    config = DomainConfig((SeedSimilarity(path),), LabelledFile(write(tmp_path / "labelled.jsonl", labelled)))
    done = run(gate_domain, dataset(run, mixed(GRAIN[5:], HEADLINES[20:])), config=config)
    assert {m.name: m.n for m in done.evidence}["domain_f1_frac"] == 25
    assert evidence(done)["domain_recall_frac"] >= 0.6
    only_seeds = write(tmp_path / "only.jsonl", labelled[:5] + labelled[10:])
    with pytest.raises(RecipeError, match=r"only.jsonl: 0 of 20 labelled texts that are no seeds"):
        run(
            gate_domain,
            dataset(run, mixed(GRAIN[5:], HEADLINES[20:])),
            config=DomainConfig((SeedSimilarity(path),), LabelledFile(only_seeds)),
        )


def test_a_record_is_not_judged_by_a_model_that_learnt_to_reject_it(tmp_path: Path) -> None:
    path = seeds(tmp_path, GRAIN[:5])
    # The corpus holds half the domain: as its own negatives these would be pushed below the rest.
    rows = [Sampled(f"c:{row}", text) for row, text in enumerate([*GRAIN[5:], *HEADLINES[:10]])]
    model, measured = fit_domain((SeedClassifier(path),), rows)
    again = model.measure([row.text for row in rows], [row.id for row in rows])
    assert np.array_equal(measured, again)
    from_elsewhere = model.measure([row.text for row in rows], None)
    assert np.abs(from_elsewhere - measured).max() > 0.1  # the mean of both halves is another number
    assert measured[:5].min() > np.median(measured[5:])


def test_the_model_comes_back_from_disk_as_it_was(tmp_path: Path) -> None:
    path = seeds(tmp_path, FINANCE[:5])
    signals = (Keywords(("银行",)), SeedSimilarity(path), SeedClassifier(path))
    model, _ = fit_domain(signals, [Sampled(str(row), text) for row, text in enumerate([*FINANCE, *PLAIN_CHINESE])])
    model.save(tmp_path / "model.npz")
    read = load_domain(signals, tmp_path / "model.npz")
    some = [*FINANCE[5:], "", "!!"]
    assert np.array_equal(read.measure(some, None), model.measure(some, None))
    assert np.array_equal(read.standardise(read.measure(some, None)), model.standardise(model.measure(some, None)))
    assert np.isfinite(model.standardise(model.measure(some, None))).all()


def test_a_signal_that_is_everywhere_the_same_says_nothing(run: Run) -> None:
    config = DomainConfig((Keywords(("unheard of",)),), MinScore(0.0))
    assert evidence(run(gate_domain, dataset(run, texts(*HEADLINES)), config=config))["kept_frac"] == 1.0


def test_wrong_configurations_are_refused(run: Run, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="signals is"):
        DomainConfig(())
    with pytest.raises(RecipeError, match=r"signals is \['keywords', 'keywords'\]"):
        DomainConfig((Keywords(("a",)), Keywords(("b",))))
    with pytest.raises(RecipeError, match="sample_records is 1"):
        DomainConfig((Keywords(("a",)),), sample_records=1)
    with pytest.raises(RecipeError, match="holds 2 seed documents; give at least 5"):
        fit_domain((SeedSimilarity(seeds(tmp_path, GRAIN[:2])),), [Sampled("a", "b"), Sampled("c", "d")])
    with pytest.raises(RecipeError, match=r"its suffix must be \.txt"):
        SeedSimilarity(tmp_path / "seeds.csv")


def test_yaml_fills_every_choice() -> None:
    values = {
        "signals": [
            {"kind": "keywords", "terms": ["央行"]},
            {"kind": "seed_similarity", "path": "a.txt", "encoder": {"kind": "hashed_ngrams", "num_dims": 2048}},
            {"kind": "seed_classifier", "path": "a.txt", "encoder": "multilingual_e5"},
        ],
        "threshold": {"kind": "labelled_records", "domain_labels": ["finance"]},
        "sample_records": 100,
    }
    config = fill(DomainConfig, values)
    assert config.threshold == LabelledRecords(("finance",))
    assert [type(signal) for signal in config.signals] == [Keywords, SeedSimilarity, SeedClassifier]
