"""Repair: undo damage to a text (mojibake, markup residue, invalid characters) and bring it to a normal form."""

import re
import unicodedata
from dataclasses import dataclass

from burnish.data.repairs.repair_hanzi import LOST
from burnish.data.repairs.repair_markup import strip_html
from burnish.data.repairs.repair_mojibake import fix_mojibake

KINDS = ("mojibake", "html", "invalid_characters", "lost_characters", "unicode_form", "spaces")

# Scripts and emoji that need the joiners U+200C and U+200D; between other characters these only hide something.
_JOINING = (
    "\u0600-\u08ff\u0900-\u0dff\u0f00-\u109f\u1780-\u18af\u200c\u200d\u2190-\u2bff\ufb50-\ufdcf\ufe0f\ufe70-\ufefc"
    "\U0001f000-\U0001faff"
)
_TAGS = "\U000e0000-\U000e007f"  # a second, invisible ASCII; sound in flags alone
INVALID_CLASS = (
    # Controls but tab and newline; soft hyphen; Mongolian vowel separator; zero-width, direction and invisible
    # operators; Hangul fillers; halves of pairs; noncharacters; byte order mark; annotation marks.
    "\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ud800-\udfff\ufdd0-\ufdef"
    "\ufeff\uffa0\ufff0-\ufffc\ufffe\uffff"
    + "".join(f"{chr(p + 0xFFFE)}{chr(p + 0xFFFF)}" for p in range(0x10000, 0x110000, 0x10000))
)
JOINER_CLASS = f"\u200c\u200d{_TAGS}"  # sound in some places
SPACE_CLASS = "\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"

_LINE_END = re.compile("\r\n?|[\x0b\x0c\x1c-\x1e\u0085\u2028\u2029]")
_INVALID = re.compile(
    f"[{INVALID_CLASS}]|(?<![{_JOINING}])[\u200c\u200d]+|[\u200c\u200d]+(?![{_JOINING}])"
    f"|(?<![\U0001f3f4{_TAGS}])[{_TAGS}]+"
)
_MAYBE_INVALID = re.compile(f"[{INVALID_CLASS}{JOINER_CLASS}{LOST}]")
_INDENT = re.compile(f"^[ \\t]*[{SPACE_CLASS}][ \\t{SPACE_CLASS}]*", re.MULTILINE)
_WIDE = re.compile(f"[ \\t]*[{SPACE_CLASS}][ \\t{SPACE_CLASS}]*")
_LINE_TAIL = re.compile(r"[ \t]+$", re.MULTILINE)
_BLANK_LINES = re.compile(r"\n{3,}")


@dataclass(frozen=True, slots=True)
class Repaired:
    """Hold a repaired text and what was done to it.

    Attributes:
        did: of `KINDS`.
        num_lost: characters that an earlier program could not read; they were U+FFFD and cannot be brought back.
    """

    text: str
    did: frozenset[str]
    num_lost: int


def repair(text: str) -> Repaired:
    """Undo damage and bring to the normal form. Idempotent: what is repaired needs no repair.

    One repair may lay bare another, as where mojibake was written in entities. Each makes the text shorter or
    takes out a kind of character for good, so this ends.
    """
    did: set[str] = set()
    num_lost = 0
    while True:
        start = text
        text = _note("mojibake", did, text, fix_mojibake(text))
        text = _note("html", did, text, strip_html(text))
        if LOST in text:
            num_lost += text.count(LOST)
            text = _note("lost_characters", did, text, text.replace(LOST, ""))
        text = _note("invalid_characters", did, text, drop_invalid(text))
        text = _note("unicode_form", did, text, _composed(text))
        text = _note("spaces", did, text, _normal_spaces(text))
        if text == start:
            return Repaired(text, frozenset(did), num_lost)


def drop_invalid(text: str) -> str:
    """Take out control, zero-width, direction and non-characters; tab and newline stay, and joiners that join."""
    if _MAYBE_INVALID.search(text) is None:
        return text
    return _INVALID.sub("", _LINE_END.sub("\n", text).replace(LOST, ""))


def normalise(text: str) -> str:
    """Bring to the normal form: NFC, line ends as newline, plain spaces, at most one blank line, trimmed.

    Layout made of plain spaces and tabs stays inside and before a line: it is code, a table or a poem.
    Unlike `text.normal_form`, which only compares, this changes nothing that a reader would miss.
    """
    return _normal_spaces(_composed(text))


def _note(kind: str, did: set[str], before: str, after: str) -> str:
    if after != before:
        did.add(kind)
    return after


def _composed(text: str) -> str:
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def _normal_spaces(text: str) -> str:
    text = _LINE_END.sub("\n", text)
    if not text.isascii():
        text = _WIDE.sub(" ", _INDENT.sub("", text))
    return _BLANK_LINES.sub("\n\n", _LINE_TAIL.sub("", text)).strip(" \t\n")
