"""Clean: repair what can be repaired, bring text to a normal form, drop what is too short to learn from."""

import html
import re
import unicodedata
from dataclasses import dataclass, replace
from typing import Any

from burnish.artifacts import DatasetArtifact, Draft
from burnish.data.flow import carry_planted, measure_flow, num_records, refuse_none_kept
from burnish.data.records import Record, Rejected, Rejection, read_kept, write_kept, write_rejected
from burnish.data.text import words
from burnish.errors import RecipeError
from burnish.runtime import Workdir, need

RULES = ("too_few_words",)

# Controls but tab and newline; zero-width and direction marks but the joiners that scripts and emoji need
# (U+200C, U+200D); soft hyphen, byte order mark, replacement character, noncharacters, halves of pairs.
_INVALID = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f"
    "\ud800-\udfff\ufdd0-\ufdef\ufeff\ufff9-\uffff]"
)
_LINE_END = re.compile("\r\n?|[\x0b\x0c\x1c-\x1e\u0085\u2028\u2029]")
_SPACES = re.compile(r"[^\S\n]+")
_BLANK_LINES = re.compile(r"\n{3,}")

_HIDDEN = re.compile(r"<!--.*?-->|<(script|style)\b[^<>]*>.*?</\1\s*>", re.IGNORECASE | re.DOTALL)
_BREAKS = re.compile(r"</?(?:p|div|br|hr|li|ul|ol|tr|table|h[1-6]|blockquote|section|article)\b[^<>]*>", re.IGNORECASE)
_TAGS = re.compile(
    r"</?(?:a|abbr|b|big|body|center|cite|code|dd|dl|dt|em|font|footer|form|head|header|html|i|iframe|img|input|label"
    r"|link|main|meta|nav|noscript|option|pre|q|s|select|small|span|strong|sub|sup|tbody|td|tfoot|th|thead|title|u|video)"
    r"(?:\s[^<>]*)?/?>",
    re.IGNORECASE,
)
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});")


@dataclass(frozen=True)
class CleanConfig:
    """Say what is too short.

    Attributes:
        min_words: a word is a run of letters and digits, or one Chinese character. 10 suits sentences;
            half of all news headlines are shorter, so give them 3.
    """

    min_words: int = 10

    def __post_init__(self) -> None:
        if self.min_words < 1:
            raise RecipeError(f"min_words is {self.min_words}; it must be at least 1")


def clean(out: Workdir, raw: DatasetArtifact, *, config: CleanConfig) -> Draft[DatasetArtifact]:
    """Repair and normalise every record's text; set aside those with fewer than `min_words` words.

    Raises:
        RecipeError: no record is left.
    """
    records = read_kept(raw)
    kept: list[Record] = []
    rejected: list[Rejected] = []
    num_repaired = 0
    with out.progress("clean", total=len(records), unit="records") as bar:
        for record in records:
            repaired = repair(record.text)
            cleaned = replace(record, text=normalise(repaired))
            num_words = len(words(cleaned.text))
            if num_words < config.min_words:
                rejected.append((cleaned, Rejection("too_few_words", num_words, config.min_words)))
            else:
                kept.append(cleaned)
                num_repaired += repaired != record.text
            bar.advance()
    refuse_none_kept(kept, rejected, "lower min_words")
    write_kept(out, kept)
    write_rejected(out, rejected)
    evidence = (
        *measure_flow(records, kept, rejected, RULES),
        num_records(
            "repaired_records",
            num_repaired,
            of=len(records),
            how="kept records whose mojibake, HTML residue or invalid characters were repaired",
        ),
        *carry_planted(raw),
    )
    return Draft(
        DatasetArtifact, evidence, f"{len(kept):,} of {len(records):,} records kept, {num_repaired:,} repaired."
    )


def repair(text: str) -> str:
    """Undo damage: mojibake, HTML residue, characters that no text should hold."""
    return drop_invalid(strip_html(fix_mojibake(text)))


def normalise(text: str) -> str:
    """Bring to the normal form: NFC, line ends as newline, single spaces, at most one blank line, trimmed.

    Idempotent. Unlike `text.normal_form`, which only compares, it changes nothing that a reader would miss.
    """
    lines = _LINE_END.sub("\n", unicodedata.normalize("NFC", text)).split("\n")
    joined = "\n".join(_SPACES.sub(" ", line).strip() for line in lines)
    return _BLANK_LINES.sub("\n\n", joined).strip()


def fix_mojibake(text: str) -> str:
    """Undo text that was decoded in the wrong encoding: `cafÃ©` to `café`.

    ftfy looks for marks of damage first and searches for the right encoding only where it finds some. UTF-8
    read as GBK, which it does not know, stays.

    Source: ftfy (Speer 2019, doi:10.5281/zenodo.2591652), its encoding repair alone: quotes and full-width
    forms stay as they are.
    """
    fixed: str = text if text.isascii() else _ftfy().fix_encoding(text)
    return fixed


def strip_html(text: str) -> str:
    """Take out comments, scripts, styles and known tags, and decode entities; `a < b` and `<unknown>` stay."""
    if "<" in text:
        text = _HIDDEN.sub(" ", text)
        text = _TAGS.sub("", _BREAKS.sub("\n", text))
    if "&" in text:
        text = _ENTITY.sub(_decoded, text)
    return text


def drop_invalid(text: str) -> str:
    """Take out control, zero-width, direction and non-characters; tab and newline stay."""
    return _INVALID.sub("", _LINE_END.sub("\n", text))


def _decoded(match: re.Match[str]) -> str:
    return html.unescape(match[0])


def _ftfy() -> Any:
    return need("ftfy", extra="data")
