"""Assets through the real pip, from a folder that stands for the package index."""

import hashlib
import zipfile
from pathlib import Path

import pytest

from burnish.errors import ArtifactError, RecipeError
from burnish.runtime import assets
from burnish.runtime.assets import ASSETS, CACHE_VARIABLE, Asset, cache_folder, cached_path, fetch

FILES = {"good_data/a.jsonl": b'{"a": 1}\n', "good_data/b.txt": b"second file"}


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels that pip uses in place of the network, and an empty cache."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return folder


def write_wheel(index: Path, files: dict[str, bytes] = FILES) -> bytes:
    path = index / "good_data-1.0-py3-none-any.whl"
    info = "good_data-1.0.dist-info"
    metadata = {
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: good-data\nVersion: 1.0\nRequires-Dist: not-there-at-all\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": b"",
    }
    with zipfile.ZipFile(path, "w") as wheel:
        for name, body in {**files, **metadata}.items():
            wheel.writestr(zipfile.ZipInfo(name), body)
    return path.read_bytes()


def register(monkeypatch: pytest.MonkeyPatch, wheel: bytes, files: dict[str, bytes] = FILES) -> None:
    release = hashlib.sha256(wheel).hexdigest()
    known = {
        Path(member).stem: Asset(
            name=Path(member).stem,
            what="for a test",
            package="good-data",
            version="1.0",
            member=member,
            release_sha256=release,
            member_sha256=hashlib.sha256(body).hexdigest(),
            num_bytes=len(wheel),
            licence="MIT",
        )
        for member, body in files.items()
    }
    monkeypatch.setattr(assets, "ASSETS", known)


def test_an_asset_is_downloaded_checked_and_kept_without_its_dependencies(
    index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(monkeypatch, write_wheel(index))
    said: list[str] = []
    path = fetch("a", say=said.append)
    assert path.read_bytes() == FILES["good_data/a.jsonl"]
    assert path == cached_path(assets.ASSETS["a"])
    assert said == ["downloading good-data==1.0 (0 MB) for a"]
    # the sibling came with the same download, and nothing else is in the cache
    assert sorted(file.name for file in cache_folder().rglob("*") if file.is_file()) == ["a.jsonl", "b.txt"]


def test_what_is_in_the_cache_needs_no_index(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, write_wheel(index))
    first = fetch("a")
    (index / "good_data-1.0-py3-none-any.whl").unlink()
    said: list[str] = []
    assert fetch("a", say=said.append) == first
    assert fetch("b", say=said.append).read_bytes() == b"second file"
    assert said == []


def test_a_corrupt_file_in_the_cache_is_fetched_again(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, write_wheel(index))
    fetch("a").write_bytes(b"broken")
    assert fetch("a").read_bytes() == FILES["good_data/a.jsonl"]


def test_a_release_with_another_digest_is_refused(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, write_wheel(index))
    write_wheel(index, {**FILES, "good_data/extra.txt": b"?"})
    with pytest.raises(ArtifactError, match=r"good_data-1.0.* has SHA-256 .* pinned is .*; it is not used"):
        fetch("a")
    assert not cached_path(assets.ASSETS["a"]).exists()


def test_a_member_with_another_digest_is_refused(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = write_wheel(index)
    register(monkeypatch, wheel, {**FILES, "good_data/a.jsonl": b"what was pinned"})
    with pytest.raises(ArtifactError, match=r"good_data/a.jsonl in .* has SHA-256"):
        fetch("a")
    assert [file for file in cache_folder().rglob("*") if file.is_file()] == []


def test_no_index_at_all_says_how_to_go_on(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, write_wheel(index))
    (index / "good_data-1.0-py3-none-any.whl").unlink()
    with pytest.raises(ArtifactError, match=r"could not download it .*run `burnish assets all`.*set BURNISH_ASSETS"):
        fetch("a")


def test_an_unknown_asset_names_those_there_are() -> None:
    with pytest.raises(RecipeError, match=r"asset 'nope' is not known; there are: smollm2-135m-instruct, "):
        fetch("nope")


def test_a_cache_that_cannot_be_written_is_said(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, write_wheel(index))
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "file"))
    with pytest.raises(ArtifactError, match=r"the asset cache .*file cannot be written"):
        fetch("a")


def test_the_cache_is_in_the_users_cache_folder_unless_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CACHE_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "burnish" / "assets"


def test_every_pin_is_a_whole_one() -> None:
    for name, asset in ASSETS.items():
        assert name == asset.name
        assert asset.licence
        assert asset.use
        assert {len(pin) for pin in (asset.release_sha256, asset.member_sha256) if pin is not None} <= {64}


def test_only_what_a_distribution_moves_is_without_a_pin() -> None:
    moving = {name for name, asset in ASSETS.items() if asset.member_sha256 is None}
    assert moving == {"manpages-zh", "manpages", "python-docs", "debian-reference-zh-cn"}
    for asset in ASSETS.values():
        is_debian = asset.registry == "debian"
        assert is_debian == (asset.version is None) == (asset.release_sha256 is None)
