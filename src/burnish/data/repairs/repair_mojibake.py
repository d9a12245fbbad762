"""Mojibake: text that was decoded in the wrong encoding, and how to undo it.

Three kinds of damage are undone, each where it is found, so that one broken paragraph in a sound document is mended:

- UTF-8 read as a one-byte code page (`cafÃ©`), by ftfy.
- UTF-8 read as GBK (`鍝佽川` for `品质`), which ftfy does not know.
- GBK read as Latin-1 (`ÖÐÎÄ`), which it does not know either.

Chinese is told from mojibake by how common its characters are: the first levels of GB 2312 (3,755 characters) and of
Big5 (5,401) are those in everyday use, and Python's codecs hold them. Of the hanzi in a real document, a Tang poem
included, more than nine in ten are among them; of GBK mojibake about three in ten.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from burnish.data.repairs.repair_hanzi import LOST, common_hanzi, has_gbk_sign
from burnish.runtime import need

# What a character costs in bits, about -log2 of its chance in real text: a common hanzi is one of 6,722; the others
# are one of 20,000 and make up a few hundredths of a text. Only the gaps matter: a reading has to win clearly.
# Letters of other scripts are cheap where they stand and dear as a reading: two bytes of any hanzi may make one.
_COMMON_BITS, _RARE_BITS, _MARK_BITS, _ASCII_BITS, _ABSENT_BITS, _LOST_BITS = 10, 20, 8, 6, 30, 12
_LETTER_BITS, _READ_LETTER_BITS = 10, 22
_INVALID_BITS = 12  # on top of a lost one, for bytes that are no UTF-8 and that no known loss explains
_MARGIN_BITS = 12

_RUN = re.compile(r"[^\x00-\x7f]+(?:\?[^\x00-\x7f]+)*\??")
_MARK = re.compile("([，。！？：；、（）《》“”「」])")
_LATIN_RUN = re.compile("[\u00a1-\u00ff]{4,}")
_UTF8_BYTE = re.compile(  # Latin-1's and Windows-1252's reading of 0x80 to 0xA0, beside a letter; GB 2312 has none
    "[\u00a1-\u00ff][\u0080-\u00a0\u0152-\u0192\u02c6\u02dc\u2013-\u203a\u20ac\u2122]"
)
_LATIN_MIX = re.compile("[\u00a1-\u00bf\u00d7].*[À-Öà-ö]|[À-Öà-ö].*[\u00a1-\u00bf\u00d7]")

# One byte was lost where a decoder met one that it could not read. GBK pairs any byte from 0x81 with a following one
# from 0x40, so what it could not read before such a byte was 0x80. Before a space or the like it may be any.
_WAS_80 = re.compile(rb"\xff(?=[\x40-\xff])|(?<=[\x80-\xef])\?(?=[\x80-\xfe])")
_STOP = re.compile(rb"\xe3\x80[\xff?](?=[ \r\n])")  # of 158,146 such places in real Chinese, 157,286 were a full stop
_QUOTE = re.compile(rb"\xe2\x80[\xff?](?=[\r\n])")  # 288 of 300 were a closing quote
_CUT = re.compile(rb"(?:[\xe0-\xef][\x80-\xbf]?|[\xc2-\xdf]|[\xf0-\xf4][\x80-\xbf]{0,2})(?:[\xff?]|(?=[\x00-\x7f]))")


def fix_mojibake(text: str) -> str:
    """Undo text that was decoded in the wrong encoding: `cafÃ©` to `café`, `鍝佽川` to `品质`.

    A character of which a byte is lost becomes U+FFFD. Sound text, Chinese of any age included, is left alone.
    """
    if text.isascii():
        return text
    return _fix_utf8_as_gbk(_fix_utf8_as_latin(_fix_gbk_as_latin(text)))


def _fix_utf8_as_latin(text: str) -> str:
    """Undo UTF-8 read as a one-byte code page, of the whole text or else line by line.

    Source: ftfy (Speer 2019, doi:10.5281/zenodo.2591652), its encoding repair alone: quotes and full-width
    forms stay as they are.
    """
    ftfy, badness = need("ftfy", extra="data"), need("ftfy.badness", extra="data")
    if _latin_sign().search(text) is None or not badness.is_bad(text):
        return text
    fixed: str = ftfy.fix_encoding(text)
    if badness.is_bad(fixed):
        lines = fixed.split("\n")
        fixed = "\n".join(ftfy.fix_encoding(line) if badness.is_bad(line) else line for line in lines)
    return fixed


def latin_signs() -> Iterable[str]:
    """List ftfy's characters of damage but punctuation that Chinese has too; each rule of its needs one of these."""
    badness = need("ftfy.badness", extra="data")
    classes = "".join(ranges for name, ranges in badness.MOJIBAKE_CATEGORIES.items() if name != "common")
    every = "".join(map(chr, range(0x80, 0x10000)))
    return set(re.findall(f"[{classes}\u00a1-\u00ff]", every)) - set("‘’“”•…—–·´")


@lru_cache(maxsize=1)
def _latin_sign() -> re.Pattern[str]:
    return re.compile(f"[{re.escape(''.join(sorted(latin_signs())))}]")


def _fix_gbk_as_latin(text: str) -> str:
    """Undo GB 2312 read as Latin-1, in runs that no Latin script has and that become common Chinese."""

    def read(run: re.Match[str]) -> str:
        data = run[0].encode("latin-1")
        if not _LATIN_MIX.search(run[0]) or len(set(run[0])) < 3 or _is_utf8(data):  # ÀÉÈÊ, ¡¿¡¿, »à»à, Ã©Ã¨
            return run[0]
        try:
            chinese = data.decode("gb2312")
        except UnicodeDecodeError:
            return run[0]
        return chinese if _is_better(run[0], _Reading(chinese)) else run[0]

    if _LATIN_RUN.search(text) is None:
        return text
    return "\n".join(line if _UTF8_BYTE.search(line) else _LATIN_RUN.sub(read, line) for line in text.split("\n"))


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _fix_utf8_as_gbk(text: str) -> str:
    """Undo UTF-8 read as GBK or GB 18030: all of a text that is damaged throughout, or else the runs that are."""
    if not has_gbk_sign(text):
        return text
    runs = list(_RUN.finditer(text))
    readings = [_read(text, run) for run in runs]
    pieces = []
    end = 0
    throughout = all(reading.num_invalid == 0 for reading in readings) and _is_better(
        "".join(run[0] for run in runs), _Reading("".join(reading.text for reading in readings))
    )
    for run, reading in zip(runs, readings, strict=True):
        pieces.append(text[end : run.start()])
        pieces.append(reading.text if throughout else _better_of(run[0], reading))
        end = run.end()
    return "".join((*pieces, text[end:]))


@dataclass(frozen=True, slots=True)
class _Reading:
    """Hold a run read anew, and how many of its bytes make no sense that way."""

    text: str
    num_invalid: int = 0

    @property
    def bits(self) -> int:
        return sum(map(_cost_bits(_READ_LETTER_BITS).__getitem__, self.text)) + _INVALID_BITS * self.num_invalid


def _better_of(run: str, reading: _Reading) -> str:
    """Choose between a run, its reading, and the run with some of its parts read anew."""
    if reading.num_invalid == 0 and _is_better(run, reading):
        return reading.text
    parts = list(_fix_parts(run))
    is_mixed = _is_better(run, reading) and reading.bits < sum(map(_bits, parts))
    return reading.text if is_mixed else "".join(parts)


def _fix_parts(run: str) -> Iterator[str]:
    """Read anew those parts of a run, cut at sound Chinese punctuation, that are damaged."""
    for part in _MARK.split(run):
        match = _RUN.fullmatch(part) if has_gbk_sign(part) else None
        reading = _read(part, match) if match else None
        yield reading.text if reading and _is_better(part, reading) else part


def _is_better(text: str, reading: _Reading) -> bool:
    return reading.bits + _MARGIN_BITS < _bits(text)


def _bits(text: str) -> int:
    return sum(map(_cost_bits(_LETTER_BITS).__getitem__, text))


def _read(text: str, run: re.Match[str]) -> _Reading:
    """Read a run's GBK bytes as UTF-8."""
    before, after = text[max(0, run.start() - 1) : run.start()], text[run.end() : run.end() + 1] or "\n"
    if run[0] == "鈥" + LOST and (before, after) == (" ", " "):
        return _Reading("\u2014")  # of the marks E2 80 xx, a dash is the one that stands between spaces
    plain = _read_bytes(_gbk_bytes(run[0]) + after.encode())
    if "€" not in run[0]:
        return plain
    euro = _read_bytes(_gbk_bytes(run[0].replace("€", LOST)) + after.encode())  # Windows reads the byte 0x80 as €
    return min(plain, euro, key=lambda reading: reading.bits)


def _read_bytes(data: bytes) -> _Reading:
    data = _WAS_80.sub(b"\x80", data)
    data = _QUOTE.sub("”".encode(), _STOP.sub("。".encode(), data))
    data = _CUT.sub(LOST.encode(), data)
    text = data.decode("utf-8", errors="replace")
    return _Reading(text[:-1], text.count(LOST) - data.count(LOST.encode()))


def _gbk_bytes(run: str) -> bytes:
    """Give the bytes that were read as this run, 0xFF (which neither encoding has) for what was lost."""
    return b"\xff".join(part.encode("gb18030", errors="replace") for part in run.split(LOST))


class _CostBits(dict[str, int]):
    """Know what a character costs; looked up once a character, then remembered."""

    def __init__(self, letter_bits: int) -> None:
        super().__init__(dict.fromkeys(common_hanzi(), _COMMON_BITS))
        self._letter_bits = letter_bits

    def __missing__(self, character: str) -> int:
        category = unicodedata.category(character)
        if character.isascii():
            bits = _ASCII_BITS
        elif character == LOST:
            bits = _LOST_BITS
        elif category in ("Co", "Cn", "Cs", "Cc"):
            bits = _ABSENT_BITS
        elif category == "Lo" and (name := unicodedata.name(character, "")).startswith(("CJK", "HIRA", "KATA")):
            bits = _RARE_BITS if name.startswith("CJK") else _COMMON_BITS
        elif category[0] in "PZ" or "\uff00" <= character <= "\uffef":
            bits = _MARK_BITS
        else:
            bits = self._letter_bits
        self[character] = bits
        return bits


@lru_cache(maxsize=2)
def _cost_bits(letter_bits: int) -> _CostBits:
    return _CostBits(letter_bits)
