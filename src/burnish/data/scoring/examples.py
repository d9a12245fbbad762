"""Examples: texts that the user gives to show what is wanted, or to mark what is and what is not."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from burnish.errors import RecipeError

SUFFIXES = (".txt", ".jsonl")


@dataclass(frozen=True)
class Example:
    """Hold a text, and whether it belongs; None where the file does not say."""

    text: str
    is_wanted: bool | None = None


def check_suffix(name: str, path: Path) -> None:
    """Refuse a file of examples that is neither .txt nor .jsonl."""
    if path.suffix.lower() not in SUFFIXES:
        raise RecipeError(f"{name} is {path}; its suffix must be .txt (a text a line) or .jsonl (objects with `text`)")


def read_examples(path: Path, mark: str = "is_domain") -> list[Example]:
    """Read a .txt file, a text a line, or a .jsonl file of objects with `text` and, where marked, a true or false.

    Args:
        mark: the key of that true or false; 1 and 0 will do.

    Raises:
        RecipeError: the file cannot be read, a line is not what it should be, or there is no text.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} cannot be read as UTF-8 text ({error})") from error
    if path.suffix.lower() == ".jsonl":
        examples = list(_objects(lines, path, mark))
    else:
        examples = [Example(line.strip()) for line in lines if line.strip()]
    if not examples:
        raise RecipeError(f"{path} holds no text; give at least one")
    return examples


def _objects(lines: list[str], path: Path, mark: str) -> Iterator[Example]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise RecipeError(f"line {number} of {path.name} is not JSON ({error})") from error
        text = row.get("text") if isinstance(row, dict) else None
        if not isinstance(text, str) or not text.strip():
            raise RecipeError(f"line {number} of {path.name} has no `text`; each line is an object with one")
        wanted = row.get(mark)
        if wanted not in (None, True, False):  # 1 == True and 0 == False in Python, and so they pass
            raise RecipeError(f"line {number} of {path.name} has {mark}={wanted!r}; it must be true or false")
        yield Example(text, None if wanted is None else bool(wanted))
