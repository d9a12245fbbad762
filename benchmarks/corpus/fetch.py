"""Fetch the packages that the corpus is made of and unpack them; nothing of them is installed or run."""

import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from burnish.runtime.packages import Registry, download


@dataclass(frozen=True)
class Packages:
    """Name the packages of a corpus.

    Attributes:
        debian: documentation packages of a Debian release.
        has_poetry: also the npm package of classical Chinese verse.
    """

    debian: tuple[str, ...]
    has_poetry: bool = False


POETRY = ("chinese-poetry", "2.0.1")
# 252 MB to download; 176 MB of text that does not repeat, 68 MB of it Chinese
FULL = Packages(
    debian=(
        *("linux-doc-6.1", "python3.11-doc", "postgresql-doc-15", "perl-doc", "libreoffice-help-zh-cn"),
        *("libreoffice-help-en-us", "libreoffice-help-zh-tw", "manpages-zh", "manpages", "manpages-dev"),
        *("debian-edu-doc-zh-cn", "debian-handbook", "debian-reference-zh-cn", "debian-faq-zh-cn"),
        *("maint-guide-zh-cn", "anarchism", "fortunes-zh", "bible-kjv-text", "gnome-user-docs"),
        *("python-django-doc", "git-doc", "dict-gcide", "dict-foldoc", "lilypond-doc-html-zh"),
    ),
    has_poetry=True,
)
# 13 MB to download, for continuous integration; 12.9 MB of text, 6.9 MB of it Chinese; the last three are the others
SMALL = Packages(
    debian=(
        *("manpages-zh", "manpages", "manpages-dev", "debian-reference-zh-cn", "debian-faq-zh-cn"),
        *("maint-guide-zh-cn", "fortunes-zh", "maint-guide-fr", "debian-faq-ja", "debian-faq-ru"),
    )
)
PRESETS = {"full": FULL, "small": SMALL}


def fetch(work: Path, packages: Packages) -> None:
    """Fill `work` with what is missing: `debs/*.deb`, `deb-x/<package>/`, `npm/package/`.

    Raises:
        ArtifactError: apt-get or npm is not on this machine, or could not download a package; says why.
    """
    for name in packages.debian:
        if not (work / "deb-x" / name).exists():
            deb = _downloaded("debian", name, None, work / "debs", f"{name}_*.deb")
            _unpack(["dpkg-deb", "-x", str(deb)], work / "deb-x" / name)
    if packages.has_poetry and not (work / "npm" / "package").exists():
        tgz = _downloaded("npm", *POETRY, work / "npm", f"{POETRY[0]}-*.tgz")
        _unpack(["tar", "--strip-components=1", "-xzf", str(tgz), "-C"], work / "npm" / "package")


def _downloaded(registry: Registry, name: str, version: str | None, folder: Path, pattern: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    here = sorted(folder.glob(pattern))
    if here:
        return here[0]
    with tempfile.TemporaryDirectory(dir=folder) as fresh:
        came = download(registry, name, version, Path(fresh))
        return came.rename(folder / came.name)


def _unpack(command: list[str], target: Path) -> None:
    """Unpack beside the target and rename, so that a folder which is there is whole."""
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    partial.mkdir(parents=True)
    subprocess.run([*command, str(partial)], check=True)
    partial.rename(target)
