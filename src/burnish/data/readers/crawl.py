"""Crawl: the pages of web sites, fetched by Scrapy in a process of its own; robots.txt is always kept."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from burnish.data.readers.batches import Batch, Place, Tray
from burnish.data.readers.columns import Columns, Origin, Row, file_aside, to_record
from burnish.data.readers.extract import DocumentLimits
from burnish.data.readers.extractors import Extracted, extract_ahead
from burnish.data.readers.fetching import refuse_other_scheme
from burnish.data.records import Record, Rejection
from burnish.errors import BurnishError, MissingExtra, RecipeError
from burnish.runtime.extras import installed_version

STARTS = ("burnish.data.readers.spider",)
_INDEX = "pages.jsonl"


@dataclass(frozen=True)
class Crawl:
    """Take the main texts of web pages, from some pages on along their links.

    robots.txt is kept, `Crawl-delay` too; a page that it forbids is not fetched and is noted as set aside.

    Attributes:
        urls: to start from.
        allow_domains: domains, with their subdomains, that links may lead to; none given: the hosts of `urls`.
        max_pages: to fetch.
        depth: of links from the pages in `urls`, which have depth 0.
        rate_per_s: requests a second to one host.
        timeout_s: for one page.
        retries: of a page that failed in a way that may pass.
        max_page_bytes: a longer page is refused while it comes.
        user_agent: whom robots.txt and the sites' logs see; give a way to reach you.
        max_document_bytes: a longer text is set aside.
        limits: on what the text of one page may cost.
        edition: enters the lineage; another value fetches anew what a sealed dataset holds already.
    """

    urls: tuple[str, ...]
    allow_domains: tuple[str, ...] = ()
    max_pages: int = 1000
    depth: int = 3
    rate_per_s: float = 1.0
    timeout_s: float = 30.0
    retries: int = 2
    max_page_bytes: int = 8 << 20
    user_agent: str = "burnish"
    max_document_bytes: int = 8 << 20
    limits: DocumentLimits = field(default_factory=DocumentLimits)
    edition: str = ""

    def __post_init__(self) -> None:
        if not self.urls:
            raise RecipeError("urls is empty; name at least one page to start from")
        for url in self.urls:
            refuse_other_scheme("urls", url)
        for domain in self.allow_domains:
            if not domain or "/" in domain or ":" in domain:
                raise RecipeError(f"allow_domains names {domain!r}; give a domain alone, such as example.org")
        for name in ("max_pages", "rate_per_s", "timeout_s", "max_page_bytes", "max_document_bytes"):
            if getattr(self, name) <= 0:
                raise RecipeError(f"{name} is {getattr(self, name)}; it must be above 0")
        if self.depth < 0 or self.retries < 0:
            raise RecipeError(f"depth={self.depth}, retries={self.retries}; neither may be below 0")
        if not self.user_agent.strip():
            raise RecipeError("user_agent is empty; sites must be able to tell who asks")

    @property
    def domains(self) -> tuple[str, ...]:
        """List the domains that may be asked."""
        return self.allow_domains or tuple(dict.fromkeys(str(urlsplit(url).hostname) for url in self.urls))

    @property
    def columns(self) -> Columns:
        """Say how pages are read: all that is known of one stands in `meta`."""
        return Columns(keep_meta=True, max_document_bytes=self.max_document_bytes)


def read_crawl(
    source: Crawl, name: str, spool: Path, place: Place, advance: Callable[[float, str], None]
) -> Iterator[Batch]:
    """Fetch the pages, then read them in the order of their URLs, from `place` on.

    Args:
        spool: folder for the pages as they came.
        advance: told of each page.

    Raises:
        BurnishError: the crawl broke off.
    """
    spool.mkdir(parents=True, exist_ok=True)
    if not (spool / _INDEX).exists():
        _fetch(source, spool, advance)
    entries = enumerate(_entries(spool / _INDEX))
    todo = ((number, entry) for number, entry in entries if number >= place.item)

    def request(item: tuple[int, dict[str, Any]]) -> dict[str, Any] | None:
        file = str(item[1].get("file", ""))
        if not file.endswith(".html"):
            return None
        size = {"max_document_bytes": source.max_document_bytes, "max_page_bytes": 4 * source.max_page_bytes}
        return {"kind": "html", "path": str(spool / file), **size}  # a byte of a page is up to four in UTF-8

    tray = Tray()
    number = place.item - 1
    for (number, entry), extracted in extract_ahead(todo, request, source.limits, len(os.sched_getaffinity(0))):
        _put_page(source, name, spool, entry, extracted, tray)
        if tray.is_full:
            yield tray.empty(Place(number + 1))
    yield tray.empty(Place(number + 1))


def _put_page(
    source: Crawl, name: str, spool: Path, entry: dict[str, Any], extracted: Extracted | None, tray: Tray
) -> None:
    place = Origin(name, f"{name}:{entry['asked']}")
    fault = None
    if "rule" in entry:
        fault = Rejection(entry["rule"], entry.get("value"), entry.get("threshold")), str(entry["reason"])
    elif extracted is not None:
        fault = extracted.fault
    if fault is not None:
        tray.put(file_aside(place, *fault), place.prefix)
        return
    text = extracted.text if extracted else (spool / entry["file"]).read_text(encoding="utf-8")
    title = extracted.values.get("title") if extracted else None
    facts = {"url": entry["url"], "title": title, "status": entry["status"], "depth": entry["depth"]}
    result = to_record(Row(0, {"text": text, **facts}), source.columns, place)
    tray.read_bytes += int(entry["num_bytes"])
    if isinstance(result, Record):
        tray.put(replace(result, id=f"{name}:{entry['url']}"), place.prefix)
    else:
        record, rejection = result
        tray.put((replace(record, id=place.prefix), rejection), place.prefix)


def _entries(index: Path) -> Iterator[dict[str, Any]]:
    """Give what is known of each page, in the order of URLs: pages come in whatever order a site answers."""
    with index.open("rb") as file:
        places, at = [], 0
        for line in file:
            entry = json.loads(line)
            is_moved = entry["url"] != entry["asked"]  # a page comes before those that led to it
            places.append((entry["url"], is_moved, entry["asked"], at))
            at += len(line)
        for *_, at in sorted(places):
            file.seek(at)
            yield json.loads(file.readline())


def _fetch(source: Crawl, spool: Path, advance: Callable[[float, str], None]) -> None:
    """Run the spider; its index of pages appears once it is whole."""
    if installed_version("scrapy") is None:
        raise MissingExtra("scrapy is not installed; type: pip install 'burnish[data]'")
    task = {
        "urls": source.urls,
        "allow_domains": source.domains,
        "max_pages": source.max_pages,
        "depth": source.depth,
        "rate_per_s": source.rate_per_s,
        "timeout_s": source.timeout_s,
        "retries": source.retries,
        "max_page_bytes": source.max_page_bytes,
        "user_agent": source.user_agent,
        "folder": str(spool.resolve()),
    }
    command = [sys.executable, "-W", "ignore", "-m", "burnish.data.readers.spider"]
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as complaints:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaints, text=True, encoding="utf-8"
        )
        with process:
            try:
                code = _follow(process, json.dumps(task), advance)
            except BaseException:
                process.kill()
                raise
        if code != 0 or not (spool / "pages.part.jsonl").exists():
            complaints.seek(0)
            last = (complaints.read()[-2000:].strip().splitlines() or ["it said nothing"])[-1]
            raise BurnishError(f"the crawl broke off with exit code {code} ({last}); the same command goes on with it")
    (spool / "pages.part.jsonl").rename(spool / _INDEX)


def _follow(process: "subprocess.Popen[str]", task: str, advance: Callable[[float, str], None]) -> int:
    if process.stdin is None or process.stdout is None:
        return -1
    process.stdin.write(task + "\n")
    process.stdin.flush()  # and stays open: the spider ends when it closes
    for line in process.stdout:
        advance(1, str(json.loads(line)["url"]))
    return process.wait()
