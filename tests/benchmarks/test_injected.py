"""The curation's own gate: recall and precision on faults that were put in, whatever the number of shards."""

import subprocess
import sys
from pathlib import Path

import polars
import pytest

from burnish.artifacts import DatasetArtifact, Store
from burnish.data.clean import CleanConfig, clean
from burnish.data.collect import CollectConfig, collect
from burnish.data.find_copies import FindCopiesConfig, find_copies
from burnish.data.select import SelectConfig, select
from burnish.data.sources import Files
from burnish.runtime import Run
from burnish.runtime.events import EventLog

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SHARDS = (1, 2, 8)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Make 5 MB of Chinese and English manuals with known faults, in 1, 2 and 8 shards; 13 MB are downloaded once."""
    out = tmp_path_factory.mktemp("corpora")
    command = [sys.executable, str(BENCHMARKS / "make_corpus.py"), "--mb", "5", "--packages", "small"]
    subprocess.run([*command, "--shards", *map(str, SHARDS), "--out", str(out)], check=True, capture_output=True)
    return {count: out / f"shards-{count}" for count in SHARDS}


@pytest.fixture(scope="module")
def curated(corpora: dict[int, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[int, DatasetArtifact]:
    done = {}
    for count, corpus in corpora.items():
        folder = tmp_path_factory.mktemp(f"store-{count}")
        run = Run(Store(folder), EventLog(folder / "events.jsonl"))
        source = Files(path=corpus / "jsonl", pattern="*.jsonl", id_key="id")
        cleaned = run(clean, run(collect, config=CollectConfig((source,))), config=CleanConfig())
        done[count] = run(select, cleaned, run(find_copies, cleaned, config=FindCopiesConfig()), config=SelectConfig())
    return done


def kept(dataset: DatasetArtifact) -> dict[str, str]:
    rows = polars.read_parquet(dataset.payload / "data" / "*.parquet", columns=["id", "text"])
    return dict(zip(rows["id"], rows["text"], strict=True))


def test_the_kept_set_does_not_depend_on_the_shards(curated: dict[int, DatasetArtifact]) -> None:
    one, two, eight = (kept(curated[count]) for count in SHARDS)
    assert one == two == eight
    assert len(one) > 500


def test_injected_faults_are_caught_and_clean_documents_stay(
    corpora: dict[int, Path], curated: dict[int, DatasetArtifact], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from grade import grade  # type: ignore[import-not-found]  # a script's neighbour, no package

    aside = polars.read_parquet(curated[1].payload / "rejected" / "*.parquet", columns=["id", "rule"])
    copies = aside.filter(polars.col("rule").is_in(("exact_copy", "near_copy")))["id"]
    texts = kept(curated[1])
    shares = grade(corpora[1], texts, filtered={*texts, *copies})
    assert shares["exact_recall"] == 1.0
    assert shares["near_recall"] >= 0.995
    assert shares["precision"] >= 0.999
    assert shares["gibberish_recall"] >= 0.98
    assert shares["clean_lost_frac"] <= 0.02
    assert min(share for share in shares["pii_masked"].values() if share is not None) >= 0.95
