"""Digests: canonical JSON, files and folder trees, all SHA-256 in lower-case hex."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from burnish.errors import ArtifactError

HOW = {"lineage": False}
"""Metadata of a dataclass field that says how a result is made and never what it is: workers, a cluster's address."""


def file_digest(path: Path) -> str:
    """Hash one file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def tree_digests(root: Path) -> dict[str, str]:
    """Hash every regular file below `root`, keyed by POSIX path relative to it, sorted.

    Raises:
        ArtifactError: the tree holds a symbolic link or special file, whose content is not the tree's own.
    """
    digests: dict[str, str] = {}
    for folder, names, files in os.walk(root):
        linked = [name for name in names if (Path(folder) / name).is_symlink()]
        for name in sorted([*files, *linked]):
            path = Path(folder) / name
            if path.is_symlink() or not path.is_file():
                raise ArtifactError(f"{path} is not a regular file; copy its content in instead of linking")
            digests[path.relative_to(root).as_posix()] = file_digest(path)
    return dict(sorted(digests.items()))


def input_digests(root: Path) -> dict[str, str]:
    """Hash what a folder from outside the store shows, links followed: it may hold what an artifact may not.

    Each folder counts once, however many links lead to it, so that a loop of links ends; what cannot be read counts by
    its reason.
    """
    digests: dict[str, str] = {}
    seen: set[tuple[int, int]] = set()
    todo = [(root, "")]
    while todo:
        folder, prefix = todo.pop()
        try:
            status = folder.stat()
            if (status.st_dev, status.st_ino) in seen:
                digests[prefix] = "seen"
                continue
            seen.add((status.st_dev, status.st_ino))
            entries = sorted(folder.iterdir(), key=os.fsencode, reverse=True)
        except OSError as error:
            digests[prefix] = str(error.strerror)
            continue
        for path in entries:
            name = prefix + os.fsencode(path.name).decode("utf-8", "backslashreplace")
            if path.is_dir():
                todo.append((path, f"{name}/"))
            else:
                digests[name] = _shown(path)
    return dict(sorted(digests.items()))


def _shown(path: Path) -> str:
    try:
        return file_digest(path) if path.is_file() else "no file"
    except OSError as error:
        return str(error.strerror)


def json_digest(value: object) -> str:
    """Hash a value's canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def canonical_json(value: object) -> str:
    """Write `value` as JSON with sorted keys and no spaces, so that equal values are equal text.

    Raises:
        ArtifactError: a number in it is not finite, which JSON cannot say.
    """
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    except ValueError as error:
        raise ArtifactError(f"a value has no stable form ({error}); numbers must be finite") from error


def plain(value: object, *, inputs: dict[str, str] | None = None) -> Any:
    """Turn a configuration into plain JSON values that say everything which matters to its result.

    A dataclass carries its type's name, so that `Lora(rank=8)` and `Other(rank=8)` differ. A `Path` is an
    input from outside the store: it enters by the digest of its content, never by its name, and
    `inputs`, where given, collects digest -> path for people to read. A field with the metadata `HOW` is left out.

    Raises:
        ArtifactError: a value of a type that has no stable JSON form, or a path that does not exist.
    """
    match value:
        case None | bool() | int() | float() | str():
            return value
        case Enum():
            return value.value
        case Path():
            return {"content_sha256": _content_digest(value, inputs)}
        case Mapping():
            return {str(key): plain(item, inputs=inputs) for key, item in value.items()}
        case list() | tuple():
            return [plain(item, inputs=inputs) for item in value]
        case _ if is_dataclass(value) and not isinstance(value, type):
            body = {
                field.name: plain(getattr(value, field.name), inputs=inputs)
                for field in fields(value)
                if field.metadata.get("lineage", True)
            }
            return {"type": type(value).__name__, **body}
        case _:
            raise ArtifactError(
                f"a stage argument of type {type(value).__name__} has no stable form; "
                "use numbers, text, paths, lists, mappings and dataclasses of these"
            )


def _content_digest(path: Path, inputs: dict[str, str] | None) -> str:
    if path.is_dir():
        digest = json_digest(input_digests(path))
    elif path.is_file():
        digest = file_digest(path)
    else:
        raise ArtifactError(f"input {path} does not exist; give the path of a file or folder that does")
    if inputs is not None:
        inputs[digest] = str(path.resolve())
    return digest
