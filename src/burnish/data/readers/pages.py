"""Pages: the main text of an HTML page, without menus and advertisements."""

import functools
import itertools
import logging
import re
from dataclasses import dataclass
from typing import Any

from burnish.runtime import need

_UNREAD = ("script", "style", "noscript", "template", "head", "svg", "iframe", "object", "nav", "form", "button")
_BLOCKS = {
    "p", "div", "br", "li", "ul", "ol", "dl", "dt", "dd", "tr", "table", "section", "article", "main", "header", "footer",
    "aside", "blockquote", "pre", "figure", "hr", "h1", "h2", "h3", "h4", "h5", "h6",
}  # fmt: skip


# trafilatura doubts an article of fewer than 250 characters and adds the menus to it. Of English that is some 42 words;
# as many Chinese words are some 60 characters.
_MIN_HANZI_OF_ARTICLE = 60
_HANZI_OF_PAGE = 20  # more than the names of languages in a menu


@dataclass(frozen=True)
class Page:
    """Hold what was read of a page; the text is empty where there is none."""

    text: str
    title: str | None


def read_page(html: bytes | str) -> Page:
    """Take the main text of a page, or all of its text where no main part can be told.

    Bytes are decoded by what the page says of itself, else as UTF-8 or what they look like.
    """
    trafilatura, utils = need("trafilatura", extra="data"), need("trafilatura.utils", extra="data")
    for name in ("trafilatura", "htmldate"):  # they log an error for each page without text; we count those
        logging.getLogger(name).setLevel(logging.CRITICAL)
    text = utils.decode_file(html) if isinstance(html, bytes) else html
    main = trafilatura.extract(text, include_comments=False, include_tables=True, config=_config(_is_chinese(text)))
    tree = utils.load_html(text)
    if tree is None:  # a fragment, or text without markup
        tree = _fragment(text)
    return Page("", None) if tree is None else Page((main or _all_text(tree)).strip(), _title(tree))


@functools.cache
def _config(is_chinese: bool) -> Any:
    config = need("trafilatura.settings", extra="data").use_config()
    if is_chinese:
        config.set("DEFAULT", "MIN_EXTRACTED_SIZE", str(_MIN_HANZI_OF_ARTICLE))
    return config


def _is_chinese(text: str) -> bool:
    return sum(1 for _ in itertools.islice(re.finditer("[\u4e00-\u9fff]", text), _HANZI_OF_PAGE)) == _HANZI_OF_PAGE


def _fragment(text: str) -> Any:
    html = need("lxml.html", extra="data")
    if not text.strip() or "\0" in text:
        return None
    return html.fragment_fromstring(f"<div>{text}</div>" if "<" in text else f"<pre>{text}</pre>")


def _title(tree: Any) -> str | None:
    found = tree.findtext(".//title")
    return " ".join(found.split()) or None if found else None


def _all_text(tree: Any) -> str:
    """Give the text of a page as a reader would see it, a line a block."""
    etree = need("lxml.etree", extra="data")
    parts: list[str] = []
    skipped = 0
    for event, node in etree.iterwalk(tree, events=("start", "end")):
        tag = node.tag if isinstance(node.tag, str) else ""
        is_unread = tag in _UNREAD or not tag  # comments and processing instructions have no name
        if event == "start":
            skipped += is_unread
            if not skipped:
                parts += ["\n" if tag in _BLOCKS else "", node.text or ""]
        else:
            skipped -= is_unread
            if not skipped:
                parts += ["\n" if tag in _BLOCKS else "", node.tail or ""]
    lines = (re.sub(r"\s+", " ", line).strip() for line in "".join(parts).split("\n"))
    return "\n".join(line for line in lines if line)
