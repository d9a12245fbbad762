r"""Roff: the text of a manual page, from its source with the macros `man` or `mdoc`.

A page is lines of text, and lines that begin with a dot and call a macro. Fonts go, headings and items stay lines.
Source: groff_man(7), groff_char(7), mdoc(7).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_CHARACTERS = {
    "-": "-", "hy": "-", "en": "–", "em": "—", "lq": "“", "rq": "”", "oq": "‘", "cq": "’", "aq": "'", "dq": '"', "co": "©",
    "rg": "®", "tm": "™", "bu": "•", "ha": "^", "ti": "~", "rs": "\\", "ga": "`", "aa": "´", "at": "@", "sh": "#", "Do": "$",
    "->": "→", "<-": "←", ">=": "≥", "<=": "≤", "!=": "≠", "mu": "×", "+-": "±", "ss": "ß", "ae": "æ", "o/": "ø", "de": "°",
    "fo": "‹", "fc": "›", "Fo": "«", "Fc": "»", "or": "|", "sl": "/", "lB": "[", "rB": "]", "lC": "{", "rC": "}",
}  # fmt: skip
_ACCENTS = {"'": "\u0301", "`": "\u0300", "^": "\u0302", "~": "\u0303", ":": "\u0308", ",": "\u0327"}
_ESCAPE = re.compile(
    r"\\(?:f(?:\[[^]]*\]|\(..|.)|s[-+]?(?:\[[^]]*\]|\(..|\d{1,2})|\*(?:\[([^]]*)\]|\((..)|(.))|\[([^]]*)\]|\((..)"
    r"|[hvwlLDXo]'[^']*'|[mMnFgkY](?:\[[^]]*\]|\(..|.)|N'(\d+)'|(.))"
)
_STRINGS = {"lq": "“", "rq": "”", "R": "®", "Tm": "™"}
_HEADINGS = {"SH", "SS", "Sh", "Ss"}
_FONTS = {"B", "I", "R", "SM", "SB", "BR", "RB", "BI", "IB", "IR", "RI", "MR"}  # and links to other pages
_ALTERNATING = {"BR", "RB", "BI", "IB", "IR", "RI", "MR"}  # arguments stand side by side without a space
_BREAKS = {"PP", "P", "LP", "sp", "Pp", "br", "RS", "RE", "Lp"}
_ITEMS = {"IP", "TP", "TQ", "HP", "It"}
_LITERAL = {"nf", "EX", "Bd", "TS"}
_FILLED = {"fi", "EE", "Ed", "TE"}
_SILENT = {"Dd", "Dt", "Os", "Bl", "El", "Rs", "Re", "Bk", "Ek", "Sm", "Xc", "Xo"}  # of mdoc; others are dropped anyway
_MARKS = {
    "Fl": "-",
    "Op": "[",
    "Oo": "[",
    "Oc": "]",
    "Pq": "(",
    "Po": "(",
    "Pc": ")",
    "Dq": "“",
    "Sq": "‘",
    "Aq": "<",
    "Bq": "[",
}
_CLOSING = {"Op": "]", "Pq": ")", "Dq": "”", "Sq": "’", "Aq": ">", "Bq": "]"}
_MDOC = re.compile(r"[A-Z][a-z]")


def is_roff(text: str) -> bool:
    """Tell a manual page from other text: it names itself, or stands for another page."""
    return re.search(r"^[.'] *(TH|Dd|SH|Sh|so) ", text, re.MULTILINE) is not None


def roff_text(source: str) -> str:
    """Give the text of a manual page."""
    page = _Page()
    for line in _logical_lines(source):
        page.add(line)
    page.end_line()
    return re.sub(r"\n{3,}", "\n\n", "\n".join(page.lines)).strip()


@dataclass
class _Page:
    """The text so far: whole lines, and the one that running text fills."""

    lines: list[str] = field(default_factory=list)
    _filling: str = ""
    _is_literal: bool = False
    _is_tag: bool = False  # the next text is the head of an item, and stands alone
    _name: str = ""  # that mdoc repeats where it is called without one
    _is_format: bool = False  # of a table: the lines before its rows, the last of which ends with a dot

    def add(self, line: str) -> None:
        if not line.startswith((".", "'")) or line.startswith(("..", "'\\")):
            self._put(_plain(line))
            return
        macro, _, rest = line[1:].strip().partition(" ")
        self._is_literal = macro in _LITERAL or (self._is_literal and macro not in _FILLED)
        self._is_format = macro in ("TS", "T&")
        words = _arguments(rest.strip())
        if macro in _HEADINGS | _BREAKS | _ITEMS | _LITERAL | _FILLED:
            self._break(macro, words)
        elif macro in _FONTS:
            self._put(_plain(("" if macro in _ALTERNATING else " ").join(words)))
        elif _MDOC.fullmatch(macro) and macro not in _SILENT and (text := self._mdoc_text(macro, words)):
            self._put(text)

    def end_line(self) -> None:
        if self._filling:
            self.lines.append(self._filling.rstrip())
        self._filling = ""

    def _mdoc_text(self, macro: str, words: list[str]) -> str:
        match macro, words:
            case "Nm", []:
                return self._name
            case "Nm", [name, *_]:
                self._name = self._name or _plain(name)
            case "Nd", _:
                words = ["-", *words]
            case "Xr", [page, section, *rest]:
                words = [f"{page}({section})", *rest]
        return _plain(_mdoc([macro, *words]))

    def _put(self, text: str) -> None:
        if self._is_format:
            self._is_format = not text.rstrip().endswith(".")
        elif self._is_literal:
            self.lines.append("" if text.strip() in ("_", "=") else text.rstrip())  # rules of tables
        elif not text.strip():
            self._blank()
        else:
            self._filling = _join(self._filling, text)
            if self._is_tag:
                self.end_line()
            self._is_tag = False

    def _break(self, macro: str, words: list[str]) -> None:
        self.end_line()
        if macro in _HEADINGS:
            self._blank()
            self.lines.append(_plain(" ".join(words)))
        elif macro in _ITEMS:
            self._blank()
            self._is_tag = macro in ("TP", "TQ")
            tag = {"IP": words[:1], "It": words}.get(macro, [])
            self._filling = _plain(_mdoc(tag) if macro == "It" else " ".join(tag))
        elif macro not in ("br", "RS", "RE"):
            self._blank()

    def _blank(self) -> None:
        self.end_line()
        self.lines.append("")


def _logical_lines(source: str) -> Iterator[str]:
    """Drop comments and definitions of macros; join what a backslash at the line's end joins."""
    lines = iter(source.replace("\r\n", "\n").split("\n"))
    for line in lines:
        while line.endswith("\\") and not line.endswith("\\\\"):
            line = line[:-1] + next(lines, "")
        if re.match(r"[.']\s*(de|ig|am)\b", line):
            end = line.split()[2] if len(line.split()) > 2 else "."
            while next(lines, f".{end}").strip() not in (f".{end}", ".."):
                pass
            continue
        if re.match(r"[.']\s*\\[\"#]", line):
            continue
        yield re.sub(r"\\[\"#].*$", "", line)


def _mdoc(words: list[str]) -> str:
    """Write a line of mdoc: names of macros go, brackets and dashes that they stand for come."""
    parts: list[str] = []
    closing = ""
    for word in words:
        if not _MDOC.fullmatch(word):
            parts.append(word)
        elif word in _MARKS:
            parts.append(_MARKS[word] + "\\&")
            closing = _CLOSING.get(word, "") + closing
    joined = re.sub(r"\\& ?", "", " ".join(parts))
    return re.sub(r" ([.,;:)\]])(?= |$)", r"\1", joined + closing)


def _arguments(rest: str) -> list[str]:
    """Split at spaces; quotes hold words together, and two of them inside stand for one."""
    found = re.findall(r'"((?:[^"]|"")*)"?|((?:\\.|[^\s\\])+)', rest)
    return [(quoted or bare).replace('""', '"') for quoted, bare in found]


def _plain(text: str) -> str:
    return _ESCAPE.sub(_character, text)


def _character(match: re.Match[str]) -> str:
    long_string, short_string, string, bracketed, two, code, one = match.groups()
    if (name := long_string or short_string or string) is not None:
        return _STRINGS.get(name, "")
    if code is not None:
        return chr(int(code)) if int(code) < 0xD800 else ""
    name = bracketed if bracketed is not None else two
    if name is not None:
        return _named(name)
    return {"e": "\\", "-": "-", " ": " ", "~": " ", "0": " ", "t": "\t", "'": "'", "`": "`", ".": "."}.get(one, "")


def _named(name: str) -> str:
    if name in _CHARACTERS:
        return _CHARACTERS[name]
    if re.fullmatch(r"u[0-9A-F]{4,6}", name):
        return chr(int(name[1:], 16)) if int(name[1:], 16) <= 0x10FFFF else ""
    if len(name) == 2 and name[0] in _ACCENTS and name[1].isalpha():
        return name[1] + _ACCENTS[name[0]]
    return ""


def _join(before: str, text: str) -> str:
    """Join two lines of running text; Chinese has no space between them."""
    wide = before[-1:] >= "\u2e80" and text[:1] >= "\u2e80"
    return before + text if wide or not text or not before else f"{before} {text}"
