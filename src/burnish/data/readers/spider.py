"""Spider: the process that fetches the pages of a crawl, with Scrapy; it keeps robots.txt, whatever it is asked.

It reads its task as one line of JSON and writes, into a folder, each page's bytes and one line of JSON a page to
`pages.part.jsonl`; on its output a line a page too, for the progress bar. Its reactor can run once in a process and
its parsers see strangers' bytes, so it is a process of its own; it ends when its input does, that is, when its parent
is gone.

Source: RFC 9309 (robots.txt): a server error forbids everything, a file that is not there nothing.
"""

import hashlib
import json
import os
import re
import sys
import threading
from collections import deque
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urldefrag, urlsplit

import scrapy
from scrapy import Request, signals
from scrapy.crawler import Crawler, CrawlerProcess
from scrapy.downloadermiddlewares.robotstxt import RobotsTxtMiddleware
from scrapy.exceptions import DownloadCancelledError, DownloadTimeoutError, IgnoreRequest
from scrapy.http import Response, TextResponse
from scrapy.linkextractors import LinkExtractor
from scrapy.robotstxt import RobotParser
from scrapy.spidermiddlewares.httperror import HttpError
from scrapy.utils.misc import build_from_crawler
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from w3lib.url import canonicalize_url

_FORBID_ALL = b"User-agent: *\nDisallow: /\n"
_HTML = ("text/html", "application/xhtml+xml")
# Links found and not yet asked for; a site that makes links without end fills no more memory than this times its URLs.
_MAX_WAITING = 1_000_000
_MAX_REDIRECTS = 5
_ROBOTS_PLACE = 100  # Scrapy's own place for this middleware


@dataclass(frozen=True)
class Task:
    """Say what to crawl; see `crawl.Crawl`."""

    urls: list[str]
    allow_domains: list[str]
    max_pages: int
    depth: int
    rate_per_s: float
    timeout_s: float
    retries: int
    max_page_bytes: int
    user_agent: str
    folder: str


class Robots(RobotsTxtMiddleware):
    """Forbid everything where robots.txt cannot be had for an error of the server; keep its `Crawl-delay`."""

    async def _parse_robots(self, resp: Response, netloc: str, request: Request) -> None:
        if resp.status >= 500:
            resp = resp.replace(body=_FORBID_ALL, status=200)
        elif resp.status >= 400:
            resp = resp.replace(body=b"")
        await super()._parse_robots(resp, netloc, request)

    def _robots_error(self, exc: Exception, netloc: str) -> None:  # noqa: ARG002 - any failure forbids
        waiting = self._parsers[netloc]
        forbidding = build_from_crawler(self._parserimpl, self.crawler, _FORBID_ALL)
        self._parsers[netloc] = forbidding
        if isinstance(waiting, Deferred):
            waiting.callback(forbidding)


class Pages(scrapy.Spider):
    """Fetch pages in the order in which their links were found, and write them into the task's folder."""

    name = "burnish"

    def __init__(self, task: Task) -> None:
        super().__init__(allowed_domains=task.allow_domains)
        self.task = task
        self.left = task.max_pages
        self.num_written = 0
        self.waiting: deque[tuple[str, int]] = deque()
        self.found: set[bytes] = set()
        self.links = LinkExtractor()
        self.host = re.compile("|".join(rf"(.*\.)?{re.escape(domain)}" for domain in task.allow_domains))
        self.index = (Path(task.folder) / "pages.part.jsonl").open("w", encoding="utf-8")

    @classmethod
    def from_crawler(cls, crawler: Crawler, *args: Any, **kwargs: Any) -> "Pages":
        """Make the spider, told of robots.txt files and of its end."""
        spider = super().from_crawler(crawler, *args, **kwargs)
        crawler.signals.connect(spider.keep_delay, signal=signals.robots_parsed)
        crawler.signals.connect(spider.finish, signal=signals.spider_closed)
        return spider

    async def start(self) -> AsyncIterator[Request]:
        """Ask for the pages to start from."""
        for url in self.task.urls:
            self.offer(url, 0)
        for request in self.requests():
            yield request

    def offer(self, url: str, depth: int) -> None:
        """Note a link, where it is new and leads to an allowed domain."""
        url = urldefrag(url).url
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not self.host.fullmatch((parts.hostname or "").lower()):
            return
        key = hashlib.sha1(canonicalize_url(url).encode(), usedforsecurity=False).digest()
        if key not in self.found and len(self.waiting) < _MAX_WAITING:
            self.found.add(key)
            self.waiting.append((url, depth))

    def requests(self) -> Iterator[Request]:
        """Ask for as many of the noted links as may still be asked for."""
        while self.waiting and self.left > 0:
            url, depth = self.waiting.popleft()
            self.left -= 1
            yield Request(url, self.page, errback=self.failure, cb_kwargs={"depth": depth})

    def page(self, response: Response, depth: int) -> Iterator[Request]:
        """Write a page down and follow its links."""
        kind = (response.headers.get("Content-Type") or b"").split(b";")[0].strip().lower().decode("latin-1")
        facts = {"asked": _asked(response.request), "url": response.url, "status": response.status, "depth": depth}
        if not isinstance(response, TextResponse) or kind not in (*_HTML, "text/plain"):
            self.write({**facts, "rule": "unknown_format", "reason": f"its type is {kind or 'not said'}"})
            return
        name = f"page-{self.num_written:07}.{'txt' if kind == 'text/plain' else 'html'}"
        (Path(self.task.folder) / name).write_text(response.text, encoding="utf-8", errors="replace", newline="")
        self.write({**facts, "file": name, "num_bytes": len(response.body)})
        if kind in _HTML and depth < self.task.depth:
            for link in self.links.extract_links(response):
                if not link.nofollow:
                    self.offer(link.url, depth + 1)
            yield from self.requests()

    def failure(self, failure: Failure) -> Iterator[Request]:
        """Write down why there is no page."""
        rule, value, threshold, reason = _fault(failure.value or Exception(), self.task)
        request: Request = failure.request  # type: ignore[attr-defined]  # Scrapy adds it
        depth = request.cb_kwargs["depth"]
        fault = {"rule": rule, "value": value, "threshold": threshold, "reason": reason}
        self.write({"asked": _asked(request), "url": request.url, "depth": depth, **fault})
        if rule == "robots_denied":
            self.left += 1  # it was not fetched
            yield from self.requests()

    def write(self, entry: dict[str, Any]) -> None:
        """Add a line to the index, and tell the parent."""
        self.num_written += 1
        self.index.write(json.dumps(entry) + "\n")
        sys.stdout.write(json.dumps({"url": entry["asked"], "num_bytes": entry.get("num_bytes", 0)}) + "\n")
        sys.stdout.flush()

    def keep_delay(self, robotparser: RobotParser, request: Request) -> None:
        """Ask a host as seldom as its robots.txt wishes."""
        delay_s = robotparser.crawl_delay(self.task.user_agent)
        downloader = self.crawler.engine.downloader
        if delay_s and delay_s > 1 / self.task.rate_per_s:
            key = downloader.get_slot_key(request)
            downloader.per_slot_settings[key] = {"delay": delay_s, "jitter": 0}
            if key in downloader.slots:
                downloader.slots[key].delay = delay_s

    def finish(self) -> None:
        """Close the index."""
        self.index.close()


def _asked(request: Request | None) -> str:
    """Give the URL that was asked for first, before redirections."""
    if request is None:
        return ""
    return str([*request.meta.get("redirect_urls", []), request.url][0])


def _fault(error: BaseException, task: Task) -> tuple[str, float | None, float | None, str]:
    """Give rule, value, threshold and reason of a failed request."""
    text = str(error) or type(error).__name__
    match error:
        case HttpError():
            status = error.response.status
            return "http_error", float(status), None, f"status {status}"
        case DownloadTimeoutError():
            return "timed_out", task.timeout_s, task.timeout_s, f"no answer within {task.timeout_s} s"
        case DownloadCancelledError():
            return "oversized_response", None, float(task.max_page_bytes), "the page is longer"
        case IgnoreRequest() if text.startswith("Forbidden by robots.txt"):
            return "robots_denied", None, None, text
        case IgnoreRequest() if "redirections" in text:
            return "redirect_loop", None, float(_MAX_REDIRECTS), text
        case IgnoreRequest() if "MAXSIZE" in text:
            return "oversized_response", None, float(task.max_page_bytes), text
        case IgnoreRequest():
            return "http_error", None, None, text
        case _:
            return "connection_failed", None, None, text


def settings(task: Task) -> dict[str, Any]:
    """Give Scrapy's settings; pages lie in a cache, so that a crawl that is begun anew asks for none twice."""
    return {
        "USER_AGENT": task.user_agent,
        "ROBOTSTXT_OBEY": True,
        "DOWNLOADER_MIDDLEWARES": {RobotsTxtMiddleware: None, Robots: _ROBOTS_PLACE},
        "DOWNLOAD_DELAY": 1 / task.rate_per_s,
        "DOWNLOAD_DELAY_JITTER": 0,
        "DOWNLOAD_TIMEOUT": task.timeout_s,
        "DOWNLOAD_MAXSIZE": task.max_page_bytes,
        "DOWNLOAD_WARNSIZE": 0,
        "RETRY_TIMES": task.retries,
        "REDIRECT_MAX_TIMES": _MAX_REDIRECTS,
        "DUPEFILTER_CLASS": "scrapy.dupefilters.BaseDupeFilter",  # links are told apart here, redirections never dropped
        "SCHEDULER_MEMORY_QUEUE": "scrapy.squeues.FifoMemoryQueue",
        "DEPTH_PRIORITY": 1,
        "COOKIES_ENABLED": False,
        "TELNETCONSOLE_ENABLED": False,
        "LOG_LEVEL": "CRITICAL",
        "HTTPCACHE_ENABLED": True,
        "HTTPCACHE_DIR": str(Path(task.folder) / "cache"),
        "HTTPCACHE_IGNORE_HTTP_CODES": [*range(400, 600)],
    }


def main() -> None:
    """Crawl what standard input asks for."""
    task = Task(**json.loads(sys.stdin.readline()))

    def end_with_parent() -> None:
        sys.stdin.read()
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()
    process = CrawlerProcess(settings(task), install_root_handler=True)
    process.crawl(Pages, task=task)
    process.start()


if __name__ == "__main__":
    main()
