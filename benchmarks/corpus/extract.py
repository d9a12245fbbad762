"""Take plain text out of HTML, roff and pod, and cut it into documents."""

import gzip
import html
import json
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from corpus.fetch import Packages

RE_DROP = re.compile(r"<(script|style|head|nav|footer)\b.*?</\1\s*>", re.DOTALL | re.IGNORECASE)
RE_BLOCK = re.compile(r"</?(p|div|h[1-6]|li|tr|pre|section|table|ul|ol|dl|dt|dd|br|title|page)\b[^>]*>", re.IGNORECASE)
RE_TAG = re.compile(r"<[^>]{0,2000}>", re.DOTALL)
RE_WS = re.compile(r"[ \t\u00a0]+")
RE_NL = re.compile(r"\n\s*\n\s*")
RE_ROFFESC = re.compile(r"\\f(?:\[[^\]]*\]|\([A-Z]{2}|.)|\\s[+-]?\d|\\&|\\c|\\/|\\,|\\[|^]|\\m\[[^\]]*\]")
CJK = re.compile(r"[\u3400-\u9fff]")

MIN_DOCUMENT_CHARS = 250
MAX_DOCUMENT_CHARS = 20_000


def from_html(text: str) -> str:
    """Keep the running text of a page, a blank line between blocks."""
    text = RE_DROP.sub(" ", text)
    text = re.sub(r"\s*\n\s*", " ", text) if "<pre" not in text else text
    text = RE_BLOCK.sub("\n\n", text)
    text = html.unescape(RE_TAG.sub("", text))
    return RE_NL.sub("\n\n", RE_WS.sub(" ", text)).strip()


def from_roff(text: str) -> str:
    """Keep the running text of a manual page."""
    out: list[str] = []
    for line in text.split("\n"):
        if line.startswith(("'\\\"", '.\\"', "'''")):
            continue
        if not line:
            continue  # roff makes paragraphs by macros
        if line[0] not in ".'":
            out.append(line)
            continue
        macro, _, rest = line[1:].strip().partition(" ")
        if macro in ("SH", "SS", "Sh", "Ss"):
            out += ["", rest.strip('"'), ""]
        elif macro in ("PP", "P", "LP", "TP", "IP", "Pp", "sp", "br", "It"):
            out.append("")
        elif macro in ("B", "I", "BR", "BI", "IR", "RB", "IB", "RI", "Nm", "Fl", "Ar", "Xr"):
            out.append(rest.replace('"', ""))
    text = RE_ROFFESC.sub("", "\n".join(out))
    text = text.replace("\\-", "-").replace("\\(aq", "'").replace("\\e", "\\").replace("\\ ", " ")
    return RE_NL.sub("\n\n", text).strip()


def from_pod(text: str) -> str:
    """Keep the running text of Perl's documentation."""
    text = re.sub(r"^=(head\d|item|over|back|cut|pod|begin|end|for|encoding)[ \t]*", "", text, flags=re.MULTILINE)
    text = re.sub(r"[A-Z]<([^<>]*)>", r"\1", text)
    return RE_NL.sub("\n\n", text).strip()


def from_fortunes(text: str) -> str:
    """Drop the colours of a terminal and the `%` between sayings."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text).replace("\n%\n", "\n\n")


def as_is(text: str) -> str:
    """Take plain text."""
    return text


def _kernel_language(path: Path) -> str:
    parts = path.parts[path.parts.index("Documentation") + 1 :]
    return {"zh_CN": "zh", "zh_TW": "zh"}.get(parts[1], parts[1][:2]) if parts[0] == "translations" else "en"


def _handbook_language(path: Path) -> str:
    return next((part for part in path.parts if re.fullmatch(r"[a-z]{2}-[A-Z]{2}", part)), "en-US")[:2]


def _gnome_language(path: Path) -> str:
    code = path.parts[path.parts.index("help") + 1]
    return "en" if code == "C" else code[:2]


@dataclass(frozen=True)
class Source:
    """Say which files of a package are text, how to read them and in which language they are.

    Attributes:
        package: Debian package.
        name: what the rows call it; None = the package.
        under: folder in the package.
    """

    package: str
    lang: str | Callable[[Path], str]
    patterns: tuple[str, ...]
    convert: Callable[[str], str]
    name: str | None = None
    under: str = ""
    wants: Callable[[Path], bool] = lambda _path: True

    def documents(self, unpacked: Path) -> Iterator[tuple[str, str, str]]:
        """Yield (source, language, text) of each file, in a fixed order; what is not UTF-8 is passed over."""
        root = unpacked / self.package / self.under
        found = [path for pattern in self.patterns for path in root.rglob(pattern)]
        for path in sorted(path for path in found if path.is_file() and not path.is_symlink() and self.wants(path)):
            text = read(path)
            if text:
                lang = self.lang if isinstance(self.lang, str) else self.lang(path)
                yield self.name or self.package, lang, self.convert(text)


_PAGES = (
    *(("postgresql-doc-15", "en"), ("libreoffice-help-en-us", "en"), ("libreoffice-help-zh-cn", "zh")),
    *(("libreoffice-help-zh-tw", "zh"), ("debian-edu-doc-zh-cn", "zh"), ("debian-reference-zh-cn", "zh")),
    *(("debian-faq-zh-cn", "zh"), ("maint-guide-zh-cn", "zh"), ("lilypond-doc-html-zh", "zh")),
    *(("python-django-doc", "en"), ("anarchism", "en")),
    *(("maint-guide-fr", "fr"), ("debian-faq-ja", "ja"), ("debian-faq-ru", "ru")),
)
_MANUALS = (("manpages-zh", "zh"), ("manpages", "en"), ("manpages-dev", "en"), ("perl-doc", "en"))

# the order is part of the corpus: every random draw depends on what came before
SOURCES = (
    Source(
        package="linux-doc-6.1",
        lang=_kernel_language,
        patterns=("*.gz", "*.rst", "*.txt", "*.yaml"),
        convert=as_is,
        name="linux-doc",
        under="usr/share/doc/linux-doc-6.1/Documentation",
    ),
    Source("python3.11-doc", "en", ("*.txt",), as_is, name="python-doc"),
    *(Source(package, lang, ("*.html",), from_html) for package, lang in _PAGES),
    Source("debian-handbook", _handbook_language, ("*.html",), from_html),
    Source("gnome-user-docs", _gnome_language, ("*.page",), from_html),
    *(Source(package, lang, ("*.gz",), from_roff, under="usr/share/man") for package, lang in _MANUALS),
    Source("perl-doc", "en", ("*.pod",), from_pod, name="perl-pod"),
    Source("git-doc", "en", ("*.txt",), as_is),
    Source("dict-gcide", "en", ("*.dz",), as_is, name="gcide"),
    Source("dict-foldoc", "en", ("*.dz",), as_is, name="foldoc"),
    Source(
        package="bible-kjv-text",
        lang="en",
        patterns=("*.gz",),
        convert=as_is,
        name="bible",
        wants=lambda path: "bible" in path.name.lower() and "change" not in path.name.lower(),
    ),
    Source(
        package="fortunes-zh",
        lang="zh",
        patterns=("*",),
        convert=from_fortunes,
        under="usr/share/games/fortunes",
        wants=lambda path: not path.suffix,
    ),
)


def read(path: Path) -> str | None:
    """Read a file, unpacking gzip; None where it is not UTF-8."""
    body = path.read_bytes()
    if body[:2] == b"\x1f\x8b":
        body = gzip.decompress(body)
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        return None


def raw_documents(work: Path, packages: Packages) -> Iterator[tuple[str, str, str]]:
    """Yield (source, language, text) of whole files, in a fixed order."""
    for source in SOURCES:
        if source.package in packages.debian:
            yield from source.documents(work / "deb-x")
    if packages.has_poetry:
        yield from _poetry(work / "npm" / "package" / "dist")


def _poetry(dist: Path) -> Iterator[tuple[str, str, str]]:
    for path in sorted(path for path in dist.rglob("*.json") if path.is_file() and not path.is_symlink()):
        if path.parts[len(dist.parts)] in ("rank", "strains", "yudingquantangshi"):
            continue  # rankings, tone patterns, and an overlapping edition
        try:
            body = json.loads(path.read_text("utf-8"))
        except ValueError:
            continue
        poems = [row for row in (body if isinstance(body, list) else [body]) if isinstance(row, dict)]
        yield "poetry", "zh", "\n\n".join(text for text in map(_poem, poems) if text is not None)


def _poem(row: dict[str, object]) -> str | None:
    lines = row.get("paragraphs") or row.get("content") or []
    if not (isinstance(lines, list) and all(isinstance(line, str) for line in lines)):
        return None
    head = " ".join(str(row[key]) for key in ("title", "rhythmic", "author") if row.get(key))
    return head + "\n" + "\n".join(lines)


def cut(text: str, rng: random.Random) -> Iterator[str]:
    """Cut a file into documents of log-normal length at paragraph borders."""
    buffer: list[str] = []
    size = 0
    goal = _goal(rng)
    for paragraph in (part for part in re.split(r"\n\s*\n", text) if part.strip()):
        rest = paragraph
        while len(rest) > MAX_DOCUMENT_CHARS * 1.2:
            yield rest[:MAX_DOCUMENT_CHARS]
            rest = rest[MAX_DOCUMENT_CHARS:]
        buffer.append(rest.rstrip())
        size += len(rest)
        if size >= goal:
            yield "\n\n".join(buffer)
            buffer, size, goal = [], 0, _goal(rng)
    if size >= MIN_DOCUMENT_CHARS:
        yield "\n\n".join(buffer)


def _goal(rng: random.Random) -> int:
    return min(MAX_DOCUMENT_CHARS, max(MIN_DOCUMENT_CHARS, int(rng.lognormvariate(7.5, 0.8))))


def is_chinese(text: str) -> bool:
    """Tell text of which more than a fifth of the letters are Chinese characters."""
    return len(CJK.findall(text)) > 0.2 * max(1, sum(char.isalpha() for char in text))
