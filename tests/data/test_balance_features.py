"""Balance in a space of features: made rows lie between real ones, chosen rows are real, and a rare class is learnt."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from real_slice import evidence
from set_aside import read_rejected
from sharded import FINANCE, GRAIN, PLAIN_CHINESE, sharded
from unsealed import unsealed_run

from burnish.artifacts import DatasetArtifact
from burnish.data.balance import BalanceConfig, NearMiss, Representatives, Smote, Undersample, balance
from burnish.data.records import Record, read_kept
from burnish.data.weighing.features import FeatureTable, MetaColumns, TextVectors
from burnish.data.weighing.resample import smote
from burnish.errors import RecipeError
from burnish.runtime import Run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return unsealed_run(tmp_path)


COLUMNS = ("mean radius", "mean texture", "worst area")


def tumours(num_benign: int = 200, num_malignant: int = 30) -> list[Record]:
    """Give real measurements of tumours, as scikit-learn carries them, the malignant ones made rare."""
    from sklearn.datasets import load_breast_cancer

    bunch = load_breast_cancer()
    columns = [list(bunch.feature_names).index(name) for name in COLUMNS]
    found = []
    for label, number, wanted in (("benign", 1, num_benign), ("malignant", 0, num_malignant)):
        for row in np.flatnonzero(bunch.target == number)[:wanted]:
            meta = dict(zip(COLUMNS, bunch.data[row, columns].tolist(), strict=True)) | {"note": "x"}
            found.append(Record(f"t:{row}", "", label, "wisconsin", meta=json.dumps(meta)))
    return found


def values(records: Sequence[Record], names: Sequence[str] = COLUMNS) -> Any:
    return np.array([[json.loads(record.meta or "")[name] for name in names] for record in records], np.float64)


def made_of(dataset: DatasetArtifact) -> list[Record]:
    return [record for record in read_kept(dataset) if "smote" in record.id]


def test_smote_fills_the_rare_class_with_rows_between_its_own(run: Run) -> None:
    done = run(balance, sharded(run, tumours(), 2), config=BalanceConfig(Smote()))
    made = made_of(done)
    assert {record.label for record in made} == {"malignant"}
    assert len(made) == 170
    assert len(read_kept(done)) == 400
    real = values([record for record in tumours() if record.label == "malignant"])
    low, high = real.min(0), real.max(0)
    assert (values(made) >= low - 1e-3).all()
    assert (values(made) <= high + 1e-3).all()
    for point in values(made)[:40]:  # each lies on a line between two real rows
        away = np.linalg.norm(real[:, None] - point, axis=2)[:, 0]
        pairs = away[:, None] + away[None] - np.linalg.norm(real[:, None] - real[None], axis=2)
        assert np.min(pairs + np.eye(len(real)) * 1e9) < 1e-2
    measured = evidence(done)
    assert measured["imbalance_ratio_before"] == pytest.approx(200 / 30)
    assert measured["imbalance_ratio_after"] == 1


def test_made_rows_say_what_they_are(run: Run) -> None:
    done = run(balance, sharded(run, tumours(), 1), config=BalanceConfig(Smote(max_ratio=2.0)))
    made = made_of(done)
    assert len(made) == 70
    meta = json.loads(made[0].meta or "")
    assert meta["synthetic"] == "smote"
    assert made[0].id.startswith(f"{meta['of']}+smote")
    assert set(meta) == {"synthetic", "of", *COLUMNS}
    assert (made[0].text, made[0].source, made[0].planted) == ("", "wisconsin", "")
    assert len({record.id for record in read_kept(done)}) == 300


def test_a_run_again_makes_the_same(run: Run) -> None:
    one, other = (
        made_of(run(balance, sharded(run, tumours(), shards), config=BalanceConfig(Smote()))) for shards in (1, 1)
    )
    assert one == other
    seeded = made_of(run(balance, sharded(run, tumours(), 1), config=BalanceConfig(Smote(), seed=1)))
    assert seeded != one


def test_smote_on_text_gives_vectors_to_made_and_real_rows(run: Run) -> None:
    news = [Record(f"f:{n}", text, "finance", "s") for n, text in enumerate(FINANCE[:6])]
    other = [Record(f"p:{n}", text, "plain", "s") for n, text in enumerate([*PLAIN_CHINESE, *GRAIN])]
    done = run(balance, sharded(run, [*news, *other], 2), config=BalanceConfig(Smote(TextVectors(), 1.0, 3)))
    vectors = np.array([json.loads(record.meta or "")["vector"] for record in read_kept(done)])
    assert vectors.shape == (40, 1024)
    assert len(made_of(done)) == 14


@pytest.mark.parametrize("keep", [NearMiss(MetaColumns()), NearMiss(MetaColumns(), 2), Representatives(MetaColumns())])
def test_features_choose_who_stays(run: Run, keep: NearMiss | Representatives) -> None:
    data = sharded(run, tumours(), 2)
    done = run(balance, data, config=BalanceConfig(Undersample(2.0, keep)))
    labels = [record.label for record in read_kept(done)]
    assert labels.count("malignant") == 30
    assert 54 <= labels.count("benign") <= 60
    assert len(labels) + len(read_rejected(done)) == 230
    by_chance = run(balance, data, config=BalanceConfig(Undersample(2.0)))
    assert {r.id for r in read_kept(done)} != {r.id for r in read_kept(by_chance)}


def test_near_miss_keeps_the_nearest(run: Run) -> None:
    done = run(balance, sharded(run, tumours(), 1), config=BalanceConfig(Undersample(1.0, NearMiss(MetaColumns()))))
    rare = values([record for record in tumours() if record.label == "malignant"])

    def distance(records: list[Record]) -> float:
        away = np.linalg.norm(values(records)[:, None] - rare[None], axis=2)
        return float(np.sort(away, axis=1)[:, :3].mean())

    kept = [record for record in read_kept(done) if record.label == "benign"]
    gone = [record for record, _ in read_rejected(done)]
    assert distance(kept) < 0.5 * distance(gone)


def test_representatives_cover_the_class_better_than_its_first_rows(run: Run) -> None:
    keep = Representatives(MetaColumns())
    done = run(balance, sharded(run, tumours(), 1), config=BalanceConfig(Undersample(1.0, keep)))
    every = values([record for record in tumours() if record.label == "benign"])

    def worst(records: list[Record]) -> float:
        return float(np.linalg.norm(every[:, None] - values(records)[None], axis=2).min(1).mean())

    kept = [record for record in read_kept(done) if record.label == "benign"]
    chance = run(balance, sharded(run, tumours(), 1), config=BalanceConfig(Undersample(1.0)))
    assert worst(kept) < worst([record for record in read_kept(chance) if record.label == "benign"])


def test_a_user_is_told_what_is_missing(run: Run) -> None:
    data = sharded(run, tumours(40, 4), 1)
    with pytest.raises(RecipeError, match=r"'malignant' has 4 records; smote with 5 neighbours needs at least 6"):
        run(balance, data, config=BalanceConfig(Smote()))
    with pytest.raises(RecipeError, match=r"feature 'age' of record t:19 is None; it must be a finite number in meta"):
        run(balance, data, config=BalanceConfig(Smote(MetaColumns(("age",)))))
    with pytest.raises(RecipeError, match="are more than 10 numbers; raise max_values"):
        run(balance, data, config=BalanceConfig(Smote(), max_values=10))
    plain = [Record("a", "x", "yes", "s"), Record("b", "y", "no", "s")]
    with pytest.raises(RecipeError, match="meta holds no number; name the features, or use text_vectors"):
        run(balance, sharded(run, plain, 1), config=BalanceConfig(Smote()))


def test_smote_finds_more_of_a_rare_class_on_held_out_data() -> None:
    from sklearn.datasets import load_breast_cancer
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    bunch = load_breast_cancer()
    x, y = StandardScaler().fit_transform(bunch.data[:, :5]).astype(np.float32), 1 - bunch.target
    gains = []
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(len(y))
        test, train = order[:250], order[250:]
        train = np.concatenate([train[y[train] == 0], train[y[train] == 1][:12]])
        labels = [str(label) for label in y[train]]
        table = FeatureTable([str(i) for i in train], labels, ["s"] * len(train), (), x[train])
        made = smote(table, {"0": labels.count("0"), "1": labels.count("0")}, num_neighbours=5, seed=seed)
        filled = np.concatenate([table.values, made.values]), [*labels, *made.labels]
        recalls = []
        for features, given in ((table.values, labels), filled):
            model = LogisticRegression(max_iter=2000).fit(features, given)
            recalls.append(float((model.predict(x[test][y[test] == 1]) == "1").mean()))
        gains.append(recalls[1] - recalls[0])
    assert min(gains) > 0
    assert np.mean(gains) > 0.1
