"""Walk: the files below a folder, in a fixed order, each folder once whatever links there are."""

import os
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISDIR, S_ISREG

from burnish.data.records import Rejection
from burnish.errors import RecipeError

Fault = tuple[Rejection, str]


@dataclass(frozen=True)
class Found:
    """Hold a file that was found, or a place that cannot be read, with the reason.

    Attributes:
        name: its path below the folder, with slashes, in valid UTF-8.
    """

    path: Path
    name: str
    num_bytes: int = 0
    fault: Fault | None = None


def walk(root: Path, pattern: str) -> Iterator[Found]:
    """Find the files below `root` that match, or `root` itself where it is a file; hidden ones are passed over.

    Args:
        pattern: of the path below the folder; `*` stops at a slash, `**/` is any number of folders, `?` and `[a-z]`
            stand for one character.

    Raises:
        RecipeError: there is nothing at `root`, or it cannot be opened.
    """
    try:
        top = root.stat()
        if S_ISREG(top.st_mode):
            yield Found(root, _utf8(root.name), top.st_size)
            return
        os.scandir(root).close()
    except OSError as error:
        raise RecipeError(f"{root} cannot be read ({error.strerror}); give a file or folder that can") from error
    matches = re.compile(glob_regex(pattern)).fullmatch
    for found in _Walk((top.st_dev, top.st_ino)).below(root):
        if found.fault is not None or matches(found.name):
            yield found


class _Folder:
    """A folder being walked."""

    def __init__(self, path: Path, name: str, identity: tuple[int, int]) -> None:
        self.name = name
        self.identity = identity
        with os.scandir(path) as entries:
            visible = [entry for entry in entries if not entry.name.startswith(".")]
        self.entries = iter(sorted(visible, key=lambda entry: os.fsencode(entry.name)))


@dataclass
class _Walk:
    """The folders read so far, and links to folders: they come last, so that a folder goes by its own name."""

    top: tuple[int, int]
    read: set[tuple[int, int]] = field(default_factory=set)
    links: deque[tuple[Path, str, tuple[int, int]]] = field(default_factory=deque)

    def below(self, root: Path) -> Iterator[Found]:
        self.links.append((root, "", self.top))
        while self.links:
            path, name, identity = self.links.popleft()
            if identity in self.read:
                fault = Rejection("repeated_directory"), "it leads to a folder that is read elsewhere"
                yield Found(path, name.rstrip("/"), fault=fault)
            else:
                yield from self._down(path, name, identity)

    def _down(self, path: Path, name: str, identity: tuple[int, int]) -> Iterator[Found]:
        stack: list[_Folder] = []
        found: Found | _Folder | None = self._folder(path, name, identity)
        while True:
            if isinstance(found, _Folder):
                stack.append(found)
            elif found is not None:
                yield found
            entry = next(stack[-1].entries, None) if stack else None
            if entry is not None:
                found = self._look(entry, f"{stack[-1].name}{_utf8(entry.name)}", stack)
            elif len(stack) > 1:
                stack.pop()
                found = None
            else:
                return

    def _look(self, entry: os.DirEntry[str], name: str, stack: list[_Folder]) -> Found | _Folder | None:
        path = Path(entry.path)
        try:
            status = entry.stat()
        except OSError as error:
            return Found(path, name, fault=(Rejection("unreadable_file"), error.strerror or str(error)))
        if S_ISREG(status.st_mode):
            return Found(path, name, status.st_size)
        if not S_ISDIR(status.st_mode):
            return Found(path, name, fault=(Rejection("unreadable_file"), "it is neither a file nor a folder"))
        identity = (status.st_dev, status.st_ino)
        if any(folder.identity == identity for folder in stack):
            return Found(path, name, fault=(Rejection("directory_loop"), "it leads back to a folder that holds it"))
        if entry.is_symlink():
            self.links.append((path, f"{name}/", identity))
            return None
        return self._folder(path, f"{name}/", identity)

    def _folder(self, path: Path, name: str, identity: tuple[int, int]) -> Found | _Folder:
        self.read.add(identity)
        try:
            return _Folder(path, name, identity)
        except OSError as error:
            return Found(path, name.rstrip("/"), fault=(Rejection("unreadable_file"), error.strerror or str(error)))


def glob_regex(pattern: str) -> str:
    """Translate a pattern of paths to a regular expression."""
    parts: list[str] = []
    rest = pattern
    while rest:
        if rest.startswith("**/"):
            piece, taken = "(?:[^/]+/)*", 3
        elif rest.startswith("**"):
            piece, taken = ".*", 2
        elif rest[0] in "*?":
            piece, taken = "[^/]*" if rest[0] == "*" else "[^/]", 1
        elif found := re.match(r"\[(!?)([^]]+)\]", rest):
            inner = found.group(2).replace("\\", "\\\\").replace("[", "\\[").replace("^", "\\^")
            piece, taken = f"[{'^/' if found.group(1) else ''}{inner}]", found.end()
        else:
            piece, taken = re.escape(rest[0]), 1
        parts.append(piece)
        rest = rest[taken:]
    return "".join(parts)


def _utf8(name: str) -> str:
    return os.fsencode(name).decode("utf-8", "backslashreplace")
