"""Damage: what happens to text on its way into a corpus, done on purpose, so that cleaning can be measured.

Each takes a natural text and a source of chance and gives the damaged text; None where it cannot be applied.
"""

import html
import random
import re
from collections.abc import Callable

from burnish.claims.natural import is_chinese
from burnish.data.augmenting.perturb import Perturb, perturbed
from burnish.data.augmenting.word_spans import replaced, words_with_places
from burnish.data.text import IDEOGRAPH

Damage = Callable[[str, random.Random], str | None]

# Control and invisible characters as they come out of terminals, PDFs, editors and web pages. Two kinds are not among
# them, since they stand for something: vertical tabs for the end of a line, those from U+0080 on for Windows-1252.
_CONTROLS = "\x00\x01\x07\x08\x1b\x7f\u200b\u200e\u2060\ufeff"
_DISTURBED = Perturb(order_frac=0.5, omit_frac=0.2)
_CURLY = str.maketrans({"'": "\u2019", '"': "\u201d"})
_HANZI = re.compile(f"[{IDEOGRAPH}]")
_SPANS = (
    ("<b>", "</b>"),
    ("<i>", "</i>"),
    ('<span style="color:#333">', "</span>"),
    ('<a href="/p?id=7&amp;s=1">', "</a>"),
)
_SCRIPT = '<script type="text/javascript">var _hmt = _hmt || []; (function() { push("x"); })();</script>'


def mojibake(text: str, rng: random.Random) -> str | None:
    """Read the bytes of one encoding as another; English has its quotation marks curled before, or it has none to break."""
    if not is_chinese(text):
        curled = text.translate(_CURLY)
        return None if curled == text else as_cp1252(curled.encode())
    encoding = rng.choice(("utf-8 as latin", "utf-8 as gbk", "gbk as latin"))
    match encoding:
        case "utf-8 as latin":
            return as_cp1252(text.encode())
        case "utf-8 as gbk":  # bytes that are no GBK are lost, as in real life
            return text.encode().decode("gb18030", "replace")
        case _:
            return as_cp1252(text.encode("gb18030"))


def control_characters(text: str, rng: random.Random) -> str:
    """Put a control or invisible character about every forty characters, two at least."""
    characters = list(text)
    for place in sorted(rng.sample(range(1, len(text)), max(2, len(text) // 40)), reverse=True):
        characters.insert(place, rng.choice(_CONTROLS))
    return "".join(characters)


def markup(text: str, rng: random.Random) -> str:
    """Leave the tags, the entities and, every second time, the script of a web page in a text."""
    words = html.escape(text).split(" ")
    start, end = rng.choice(_SPANS)
    place = rng.randrange(len(words))
    words[place] = f"{start}{words[place]}{end}"
    body = "&nbsp;".join((" ".join(words[:place]), " ".join(words[place:]))) if place else " ".join(words)
    script = _SCRIPT if rng.random() < 0.5 else ""
    lines = body.replace("\n", "<br />\n")
    return f'<div class="post-body">\n<p>{lines}</p>\n<!-- end of post -->{script}\n</div>'


def truncation(text: str, rng: random.Random) -> str:
    """Cut a text to three to eight runs of letters and digits, or four to eight Chinese characters."""
    if is_chinese(text):
        return "".join(_HANZI.findall(text)[: rng.randint(4, 8)])
    ends = [match.end() for match in re.finditer(r"[A-Za-z0-9]+", text)]
    return text[: ends[rng.randint(3, 8) - 1]]


def lost_characters(text: str, rng: random.Random) -> str:
    """Put the sign of a lost character in place of one in twelve, two at least."""
    characters = list(text)
    for place in rng.sample(range(len(text)), max(2, len(text) // 12)):
        characters[place] = "\ufffd"
    return "".join(characters)


def shuffled_words(text: str, rng: random.Random) -> str | None:
    """Put the words of each clause in any order; None where that changes nothing."""
    clauses: dict[int, list[int]] = {}
    words = words_with_places(text)
    for place, word in enumerate(words):
        clauses.setdefault(word.clause, []).append(place)
    changes = {}
    for places in clauses.values():
        order = rng.sample(places, len(places))
        changes.update({words[place]: words[other].text for place, other in zip(places, order, strict=True)})
    mixed = replaced(text, changes)
    return mixed if mixed != text else None


def disturbed_words(text: str, rng: random.Random) -> str | None:
    """Let half of the words change places with a neighbour, and leave a fifth out; None where that changes nothing."""
    changed = perturbed(text, _DISTURBED, rng)
    return changed if changed != text else None


def random_ideographs(rng: random.Random) -> str:
    """Draw ideographs as if each were as common as any other."""
    return "".join(chr(rng.randint(0x4E00, 0x9FA5)) for _ in range(rng.randint(30, 120)))


def as_cp1252(raw: bytes) -> str:
    """Read bytes as Windows-1252, the five that it does not define as control characters, as browsers do."""
    text = []
    for byte in raw:
        try:
            text.append(bytes([byte]).decode("cp1252"))
        except UnicodeDecodeError:
            text.append(chr(byte))
    return "".join(text)


DAMAGES: dict[str, Damage] = {
    damage.__name__: damage
    for damage in (
        mojibake,
        control_characters,
        markup,
        truncation,
        lost_characters,
        shuffled_words,
        disturbed_words,
    )
}
