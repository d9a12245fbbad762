"""Markup residue: tags, scripts and entities that an extraction left in a text.

A text that speaks about markup keeps it: documentation is full of `<label>` and `&amp;`. So tags go only from a text
that is itself marked up, and entities only where they are not what the text is about.
"""

import re
from html.entities import html5

_BLOCK = (
    "p|div|br|hr|li|ul|ol|dl|tr|table|tbody|thead|tfoot|caption|h[1-6]|blockquote|section|article|header|footer|nav|main"
    "|aside|figure|figcaption|form|fieldset|pre|title|head|body|html|center|iframe|noscript|select|option"
)
_CELL = "td|th|dt|dd"
_INLINE = (
    "a|abbr|b|big|button|cite|code|del|em|font|i|img|input|ins|kbd|label|link|mark|meta|q|s|small|source|span|strike"
    "|strong|sub|sup|svg|textarea|time|tt|u|var|video"
)
_ANY = f"(?:{_BLOCK}|{_CELL}|{_INLINE})"

_HIDDEN = re.compile(  # the looks ahead keep the work linear where many open and none closes
    r"<!--(?:(?!<!--).)*?-->|<!doctype\b[^<>]*>|<(script|style)\b[^<>]*>(?:(?!<\1).)*?</\1\s*>",
    re.IGNORECASE | re.DOTALL,
)
_BLOCK_TAG = re.compile(rf"</?(?:{_BLOCK})(?:\s[^<>]*)?/?>", re.IGNORECASE)
_CELL_TAG = re.compile(rf"</?(?:{_CELL})(?:\s[^<>]*)?/?>", re.IGNORECASE)
_INLINE_TAG = re.compile(rf"</?(?:{_INLINE})(?:\s[^<>]*)?/?>", re.IGNORECASE)

# What a passing mention of a tag is not: a closing tag, a line break, attributes, a comment, a script.
_USED_TAG = re.compile(
    rf"</{_ANY}\s*>|<[bh]r\s*/?>|<{_ANY}\s[^<>]*=[^<>]*>|<!--|<!doctype\s+html|<(?:script|style)\b", re.IGNORECASE
)
_OPENS = re.compile(rf"\s*<(?:!--|!doctype\s+html|(?:{_ANY}|script|style)[\s/>])", re.IGNORECASE)
_CLOSES = re.compile(rf"(?:-->|<(?:/?{_ANY}|/script|/style)(?:\s[^<>]*)?/?>)\s*\Z", re.IGNORECASE)
_TAIL_CHARACTERS = 200
_MIN_TAGGED_LINE_FRAC = 0.4  # of 6,326 real documents the most marked-up one that is no drawing has 0.32

_ENTITY = re.compile(r"&(#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});")
_UNESCAPED = re.compile(r'[<>"]')
_ABOUT_MARKUP = re.compile(r"html|xml|\bescap|\bentit|转义|实体|轉義|實體", re.IGNORECASE)
_QUOTED_ENTITY = re.compile(r"[`'\"‘“]&#?\w{1,31};[`'\"’”]")
_ESCAPES = frozenset(("amp", "lt", "gt", "quot", "apos", "nbsp"))
_ADDRESS = re.compile(r"(?:[=(,]|return)\s*\Z")  # before `&sum;` in C, which no escape left there


def strip_html(text: str) -> str:
    """Take out tags, comments, scripts and styles of a marked-up text, and decode entities once."""
    if "<" in text and is_marked_up(text):
        text = _BLOCK_TAG.sub("\n", _HIDDEN.sub(" ", text))
        return _unescape(_INLINE_TAG.sub("", _CELL_TAG.sub(" ", text)))
    if "&" in text and _has_escapes(text):
        return _unescape(text)
    return text


def is_marked_up(text: str) -> bool:
    """Tell a text that is marked up itself: tags enclose it, or many of its lines have tags that do something."""
    num_tags = sum(1 for _ in _USED_TAG.finditer(text))
    if num_tags == 0:
        return False
    if _OPENS.match(text) and _CLOSES.search(text, max(0, len(text) - _TAIL_CHARACTERS)):
        return True
    lines = [line for line in text.split("\n") if line.strip()]
    num_tagged = sum(_USED_TAG.search(line) is not None for line in lines)
    return num_tagged >= _MIN_TAGGED_LINE_FRAC * len(lines)


def _has_escapes(text: str) -> bool:
    """Tell whether entities are what an escape left: nothing is unescaped, or the text is not about markup."""
    names = [match[1] for match in _ENTITY.finditer(text)]
    if not any(_is_known(name) for name in names) or _QUOTED_ENTITY.search(text):
        return False
    if _UNESCAPED.search(text) is None and text.count("&") == len(names):
        return True
    return _ABOUT_MARKUP.search(text) is None and _USED_TAG.search(text) is None


def _unescape(text: str) -> str:
    def decoded(match: re.Match[str]) -> str:
        name = match[1]
        if not _is_known(name):
            return match[0]
        if not name.startswith("#"):
            is_code = name not in _ESCAPES and _ADDRESS.search(text, max(0, match.start() - 8), match.start())
            return match[0] if is_code else html5[name + ";"]
        code_point = _code_point(name)
        return chr(code_point) if code_point not in range(0xD800, 0xE000) else ""

    return _ENTITY.sub(decoded, text)


def _is_known(name: str) -> bool:
    if name.startswith("#"):
        return _code_point(name) < 0x110000
    return name + ";" in html5


def _code_point(name: str) -> int:
    return int(name[1:]) if name[1:].isdigit() else int(f"0{name[1:]}", base=0)
