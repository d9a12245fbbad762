"""PDF: the text of a file by a stranger, within limits on pages, unpacked bytes and characters."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from burnish.errors import BurnishError
from burnish.runtime import need

_STREAM_LIMITS = (
    "zlib_maximum_output_length",
    "lzw_maximum_output_length",
    "run_length_maximum_output_length",
    "array_based_stream_maximum_output_length",
)


class OverLimit(BurnishError):
    """Say which limit a file breaks: the rule, what was found, and the bound."""

    def __init__(self, rule: str, value: float | None, threshold: float | None, reason: str) -> None:
        super().__init__(reason)
        self.rule, self.value, self.threshold = rule, value, threshold


@dataclass(frozen=True)
class PdfText:
    """Hold what was read of a PDF; the text is empty where it holds pictures only."""

    text: str
    title: str | None
    num_pages: int


def read_pdf(path: Path, *, max_pages: int, max_stream_bytes: int, max_document_bytes: int) -> PdfText:
    """Read the text of all pages.

    Call it in a process of its own whose memory and time are limited: what a PDF asks of its reader has no bound.

    Raises:
        OverLimit: it breaks a limit, or is encrypted.
        Exception: it is broken; pypdf meets malformed objects with whatever they cause.
    """
    pypdf, errors = need("pypdf", extra="data"), need("pypdf.errors", extra="data")
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # it logs each oddity of a page; the text is what counts
    bounds = dict.fromkeys(_STREAM_LIMITS, max_stream_bytes)
    try:
        with pypdf.apply_configuration(**bounds), path.open("rb") as file:
            reader = pypdf.PdfReader(file)
            if reader.is_encrypted and not reader.decrypt(""):
                raise OverLimit("encrypted_file", None, None, "it asks for a password")
            num_pages = len(reader.pages)
            if num_pages > max_pages:
                raise OverLimit("too_many_pages", num_pages, max_pages, f"it has {num_pages} pages")
            text = _text(reader, max_document_bytes)
            title = reader.metadata.title if reader.metadata else None
            return PdfText(text, str(title) if title else None, num_pages)
    except errors.LimitReachedError as error:
        if "page" in str(error).lower():
            raise OverLimit("too_many_pages", max_pages, max_pages, str(error)) from error
        raise OverLimit("oversized_document", max_stream_bytes, max_stream_bytes, str(error)) from error
    except errors.DependencyError as error:
        raise OverLimit("encrypted_file", None, None, str(error)) from error


def _text(reader: Any, max_document_bytes: int) -> str:
    parts: list[str] = []
    num_bytes = 0
    for page in reader.pages:
        part = page.extract_text().encode("utf-8", "replace")
        num_bytes += len(part)
        if num_bytes > max_document_bytes:
            raise OverLimit("oversized_document", num_bytes, max_document_bytes, "its text is too long")
        parts.append(part.decode())
    return "\n".join(parts).strip()
