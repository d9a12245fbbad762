"""Text of strangers on a page: what cannot be seen is named, what is long is cut, what differs is marked.

Nothing here escapes: the template does. What it gives holds no control character, so that no text can turn the
reading direction of the page, hide in it, or break its markup.
"""

import re
from dataclasses import dataclass
from difflib import SequenceMatcher

# Controls but newline and tab, zero-width and direction marks, tags, halves of pairs, noncharacters. The joiners
# U+200C and U+200D stay: many scripts and emoji need them.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff\U000e0000-\U000e007f]"
)
# A character of Chinese or Japanese, a word with its combining marks, a run of spaces, any other character.
_MARKS = (
    "\u0300-\u036f\u0483-\u0489\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed\u0900-\u0903\u093a-\u094f"
    "\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\u3099\u309a\ufe00-\ufe0f\ufe20-\ufe2f"
)
_TOKEN = re.compile(
    f"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff][{_MARKS}]*|\\w(?:\\w|[{_MARKS}])*|\\s+|.[{_MARKS}]*",
    re.DOTALL,
)
_BEFORE_CHARS = 60  # of what is equal, shown before the first difference
_BEFORE_LINES = 4
_MAX_LINES = 14
_LONGEST_WORD = 24  # a window does not begin inside a word that is no longer


@dataclass(frozen=True)
class Piece:
    """Hold a part of a text; `is_marked` where it differs from the text beside it."""

    text: str
    is_marked: bool = False


Pieces = tuple[Piece, ...]


def visible(text: str) -> str:
    """Name the characters that show nothing: `⟨U+202E⟩`. Carriage returns before newlines go."""
    return _UNSEEN.sub(lambda match: f"⟨U+{ord(match[0]):04X}⟩", text.replace("\r\n", "\n"))


def clip(text: str, max_chars: int, *, start: int = 0) -> tuple[str, str, str]:
    """Cut a text to a window; give what stands before it (`… ` or nothing), the window, and what stands after it."""
    window = "\n".join(text[start : start + max_chars].split("\n")[:_MAX_LINES])
    is_cut = start + len(window) < len(text)
    return "… " if start else "", window.rstrip() if is_cut else window, " …" if is_cut else ""


def plain(text: str, max_chars: int) -> Pieces:
    """Give the start of a text."""
    return _filled([Piece(visible("".join(clip(text, max_chars))))])


def around(text: str, pattern: re.Pattern[str], max_chars: int) -> Pieces:
    """Give a window around the first place where a pattern is found, all places in it marked."""
    found = pattern.search(text)
    before, window, after = clip(text, max_chars, start=_start(text, found.start() if found else 0, max_chars // 3))
    pieces = [Piece(before)]
    place = 0
    for match in pattern.finditer(window):
        pieces += [Piece(visible(window[place : match.start()])), Piece(match[0], is_marked=True)]
        place = match.end()
    return _filled([*pieces, Piece(visible(window[place:]) + after)])


def side_by_side(left: str, right: str, max_chars: int) -> tuple[Pieces, Pieces]:
    """Give windows of two texts from shortly before their first difference, with what differs marked.

    The comparison goes by words, and by characters in Chinese and Japanese.
    """
    equal = _common_prefix(left, right)
    start = 0 if equal == len(left) == len(right) else _start(left, equal, _BEFORE_CHARS)
    # More is compared than is shown: what differs at the end of a window may stand right behind it on the other side.
    tokens = [_TOKEN.findall(text[start : start + 2 * max_chars]) for text in (left, right)]
    sides: tuple[list[Piece], list[Piece]] = ([], [])
    matcher = SequenceMatcher(None, tokens[0], tokens[1], autojunk=False)
    for tag, left_from, left_to, right_from, right_to in matcher.get_opcodes():
        for side, part in zip(sides, (tokens[0][left_from:left_to], tokens[1][right_from:right_to]), strict=True):
            text = "".join(part)
            side.append(Piece(text, is_marked=tag != "equal" and not text.isspace()))
    return _cut(sides[0], left, start, max_chars), _cut(sides[1], right, start, max_chars)


def _cut(pieces: list[Piece], text: str, start: int, max_chars: int) -> Pieces:
    """Cut the pieces of a text as `clip` cuts the text."""
    before, window, after = clip(text, max_chars, start=start)
    left = len(window)
    cut = [Piece(before)]
    for piece in pieces:
        cut.append(Piece(visible(piece.text[:left]), piece.is_marked))
        left -= len(piece.text[:left])
    return _filled([*cut, Piece(after)])


def _start(text: str, place: int, num_before: int) -> int:
    """Choose where a window begins that shows `place`: some characters and lines before it, at the start of a word."""
    start = max(0, place - num_before)
    if start <= _LONGEST_WORD:
        return 0
    lines = text[start:place].split("\n")
    if len(lines) > _BEFORE_LINES:
        start = place - len("\n".join(lines[-_BEFORE_LINES:]))
    elif not text[start - 1].isspace() and (space := re.compile(r"\s").search(text, start, start + _LONGEST_WORD)):
        start = min(place, space.end())
    return start


def _filled(pieces: list[Piece]) -> Pieces:
    return tuple(piece for piece in pieces if piece.text)


def _common_prefix(left: str, right: str) -> int:
    """Count the characters that two texts begin with alike, halving the range at each step."""
    low, high = 0, min(len(left), len(right))
    while low < high:
        middle = (low + high + 1) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
