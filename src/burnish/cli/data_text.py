"""Texts of records in a terminal: one line or a few, in cells that count Chinese characters as two."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.text import Text

    from burnish.report.data_text import Pieces

_SNIPPET_CHARS = 400  # read of a text for one line: more than any terminal shows in it


def one_line(text: str, max_chars: int = _SNIPPET_CHARS) -> str:
    """Put the start of a text into one line; characters that show nothing, escape sequences among them, are named."""
    from burnish.report.data_text import visible

    line = " ".join(visible(text[: 2 * max_chars]).split())
    return line[: max_chars - 1] + "…" if len(line) > max_chars or len(text) > 2 * max_chars else line


def styled(pieces: "Pieces") -> "Text":
    """Turn the pieces of a text into rich text, marked ones underlined; nothing is read as markup."""
    from rich.text import Text

    text = Text()
    for piece in pieces:
        text.append(piece.text, style="underline yellow" if piece.is_marked else "")
    return text
