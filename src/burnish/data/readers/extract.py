"""Extract: a process that takes the text out of one HTML or PDF file after another, within limits of memory and time.

It reads a request a line and writes an answer a line, both JSON. What a stranger's file does to it (a bomb, an
endless page tree, a crash in a library) ends this process, not the run: see `extractors`.
"""

import gzip
import json
import resource
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from burnish.data.readers.pages import read_page
from burnish.data.readers.pdf import OverLimit, read_pdf
from burnish.errors import RecipeError

_GRACE_S = 1  # RLIMIT_CPU counts whole seconds


@dataclass(frozen=True)
class DocumentLimits:
    """Bound what one HTML or PDF file may cost.

    Attributes:
        max_pages: of a PDF. Intel's combined manual, the longest that we know of in daily use, has about 5,000.
        max_stream_bytes: that one stream of a PDF may unpack to; pypdf's own default.
        max_s: of processor time. An ordinary page takes pypdf some 20 ms, 5,000 of them half of this.
        max_memory_bytes: of address space; the 251 pages of Debian's reference manual take a tenth of it.
    """

    max_pages: int = 10_000
    max_stream_bytes: int = 75_000_000
    max_s: int = 180
    max_memory_bytes: int = 1 << 30

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value < 1:
                raise RecipeError(f"{name} is {value}; it must be at least 1")


def main() -> None:
    """Answer requests until there are no more."""
    for line in sys.stdin:
        request = json.loads(line)
        limits = DocumentLimits(**request["limits"])
        used = resource.getrusage(resource.RUSAGE_SELF)
        end_s = int(used.ru_utime + used.ru_stime) + limits.max_s + _GRACE_S
        resource.setrlimit(resource.RLIMIT_CPU, (end_s, resource.RLIM_INFINITY))
        resource.setrlimit(resource.RLIMIT_AS, (limits.max_memory_bytes, resource.RLIM_INFINITY))
        answer = _answer(request, limits)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
        if answer.get("is_spent"):
            return


def _answer(request: dict[str, Any], limits: DocumentLimits) -> dict[str, Any]:
    try:
        return _read(request, limits)
    except OverLimit as fault:
        return _fault(fault.rule, fault.value, fault.threshold, str(fault))
    except MemoryError:
        limit = limits.max_memory_bytes
        return {**_fault("over_memory", limit, limit, "reading it takes more"), "is_spent": True}
    except EOFError as error:
        return _fault("truncated_gzip", None, None, str(error))
    except OSError as error:
        return _fault("unreadable_file" if error.errno else "broken_file", None, None, error.strerror or str(error))
    except Exception as error:  # noqa: BLE001 - the boundary for strangers' files: a library may raise anything
        return _fault("broken_file", None, None, f"{type(error).__name__}: {error}")


def _read(request: dict[str, Any], limits: DocumentLimits) -> dict[str, Any]:
    path, max_document_bytes = Path(request["path"]), int(request["max_document_bytes"])
    if request["kind"] == "pdf":
        pdf = read_pdf(
            path,
            max_pages=limits.max_pages,
            max_stream_bytes=limits.max_stream_bytes,
            max_document_bytes=max_document_bytes,
        )
        return {"text": pdf.text, "values": {"title": pdf.title, "pages": pdf.num_pages}}
    page = read_page(_page_bytes(path, int(request["max_page_bytes"])))
    return {"text": page.text, "values": {"title": page.title}}


def _page_bytes(path: Path, max_page_bytes: int) -> bytes:
    with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
        data: bytes = file.read(max_page_bytes + 1)
    if len(data) > max_page_bytes:
        raise OverLimit("oversized_document", len(data), max_page_bytes, "the page is too long")
    return data


def _fault(rule: str, value: float | None, threshold: float | None, reason: str) -> dict[str, Any]:
    return {"rule": rule, "value": value, "threshold": threshold, "reason": reason}


if __name__ == "__main__":
    main()
