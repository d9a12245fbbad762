"""Fetching: HTTP GET at a bounded rate, with retries, within limits of time and size, on one host only."""

import json
import logging
import os
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from burnish.data.records import Rejection
from burnish.errors import RecipeError
from burnish.runtime import need
from burnish.runtime.extras import installed_version

_RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})  # RFC 9110: may succeed when asked again
_MAX_WAIT_S = 300.0  # a service that asks for a longer wait is given up for this page
_MAX_REDIRECTS = 5


@dataclass(frozen=True)
class Manners:
    """Say how a service is asked.

    Attributes:
        rate_per_s: requests a second, retries included.
        timeout_s: for one answer, from asking to its last byte.
        retries: of a request that failed in a way that may pass.
        first_wait_s: before the first of them; each later one waits twice as long, or what `Retry-After` says.
        max_response_bytes: a longer answer is refused.
    """

    rate_per_s: float
    timeout_s: float
    retries: int
    first_wait_s: float
    max_response_bytes: int

    def __post_init__(self) -> None:
        for name in ("rate_per_s", "timeout_s", "max_response_bytes"):
            if getattr(self, name) <= 0:
                raise RecipeError(f"{name} is {getattr(self, name)}; it must be above 0")
        for name in ("retries", "first_wait_s"):
            if getattr(self, name) < 0:
                raise RecipeError(f"{name} is {getattr(self, name)}; it must be at least 0")


@dataclass(frozen=True)
class Answer:
    """Hold an answer, or why there is none.

    Attributes:
        body: decoded JSON.
        next_url: what the header `Link` names as the next page.
    """

    body: Any = None
    next_url: str = ""
    num_bytes: int = 0
    fault: tuple[Rejection, str] | None = None

    def save(self, path: Path) -> None:
        """Write it to its place by one rename."""
        partial = path.with_name(f".{path.name}")
        partial.write_text(json.dumps([self.body, self.next_url, self.num_bytes]), encoding="utf-8")
        partial.rename(path)

    @classmethod
    def load(cls, path: Path) -> "Answer":
        """Read what `save` wrote."""
        return cls(*json.loads(path.read_text(encoding="utf-8")))


@dataclass
class _Failed(Exception):
    """An attempt that gave no answer; `wait_s` is what the service asks for."""

    rejection: Rejection
    reason: str
    may_pass: bool = True
    wait_s: float | None = None


@dataclass
class Fetcher:
    """Ask one host for JSON.

    Args:
        url: whose host the secrets in `headers` belong to; no other host is asked.
    """

    url: str
    headers: Mapping[str, str]
    manners: Manners
    _next_s: float = 0.0
    _client: Any = None
    _open: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> "Fetcher":
        httpx = need("httpx", extra="data")
        logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs every URL, and a query may be private
        agent = {"user-agent": f"burnish/{installed_version('burnish') or '0'}", "accept": "application/json"}
        client = httpx.Client(headers={**agent, **self.headers}, timeout=self.manners.timeout_s)
        self._client = self._open.enter_context(client)
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def ask(self, url: str, params: Mapping[str, Any]) -> Answer:
        """Ask for one page, again where that may help; never raises for what a service does."""
        wait_s = self.manners.first_wait_s
        for attempt in range(self.manners.retries + 1):
            self._wait_turn()
            try:
                return self._attempt(url, params)
            except _Failed as failure:
                asked_s = wait_s if failure.wait_s is None else failure.wait_s
                if not failure.may_pass or attempt == self.manners.retries or asked_s > _MAX_WAIT_S:
                    return Answer(fault=(failure.rejection, failure.reason))
                time.sleep(asked_s)
                wait_s = min(2 * wait_s, _MAX_WAIT_S)
        raise AssertionError("unreachable")

    def _wait_turn(self) -> None:
        now_s = time.monotonic()
        if now_s < self._next_s:
            time.sleep(self._next_s - now_s)
        self._next_s = max(now_s, self._next_s) + 1 / self.manners.rate_per_s

    def _attempt(self, url: str, params: Mapping[str, Any]) -> Answer:
        httpx = need("httpx", extra="data")
        timeout_s = self.manners.timeout_s
        end_s = time.monotonic() + timeout_s
        try:
            return self._follow(url, params, end_s)
        except (httpx.TimeoutException, TimeoutError) as error:
            raise _Failed(Rejection("timed_out", timeout_s, timeout_s), f"no answer within {timeout_s} s") from error
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise _Failed(Rejection("http_error"), str(error), may_pass=False) from error
        except httpx.HTTPError as error:
            raise _Failed(Rejection("connection_failed"), str(error) or type(error).__name__) from error

    def _follow(self, url: str, params: Mapping[str, Any], end_s: float) -> Answer:
        for _ in range(_MAX_REDIRECTS + 1):
            self._refuse_other_host(url)
            with self._client.stream("GET", url, params=params or None) as response:
                if response.next_request is None:
                    return self._read(response, end_s)
                url, params = str(response.next_request.url), {}
        raise _Failed(Rejection("redirect_loop"), f"more than {_MAX_REDIRECTS} redirections", may_pass=False)

    def _refuse_other_host(self, url: str) -> None:
        if origin_of(url) != origin_of(self.url):
            reason = f"it leads to another host, {urlsplit(url).hostname}, which is not asked"
            raise _Failed(Rejection("http_error"), reason, may_pass=False)

    def _read(self, response: Any, end_s: float) -> Answer:
        status = response.status_code
        if status >= 400:
            wait_s = retry_after_s(response.headers.get("retry-after", ""))
            raise _Failed(Rejection("http_error", float(status)), f"status {status}", status in _RETRIED, wait_s)
        data = bytearray()
        limit = self.manners.max_response_bytes
        for chunk in response.iter_bytes():
            data += chunk
            if len(data) > limit:
                refused = Rejection("oversized_response", float(len(data)), float(limit))
                raise _Failed(refused, "the answer is longer", may_pass=False)
            if time.monotonic() > end_s:
                raise TimeoutError
        try:
            body = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise _Failed(Rejection("malformed_response"), f"it is not JSON ({error})", may_pass=False) from error
        link = str(response.links.get("next", {}).get("url", ""))
        return Answer(body, str(response.url.join(link)) if link else "", len(data))


def retry_after_s(header: str) -> float | None:
    """Read `Retry-After`, which is seconds or a date (RFC 9110, 10.2.3); None where it says nothing."""
    if header.strip().isdecimal():
        return float(header)
    try:
        when = parsedate_to_datetime(header)
    except ValueError:
        return None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0.0, (when - datetime.now(UTC)).total_seconds())


def origin_of(url: str) -> tuple[str, str | None, int | None]:
    """Give scheme, host and port."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        return parts.scheme, None, None
    return parts.scheme, parts.hostname, port or {"http": 80, "https": 443}.get(parts.scheme)


def refuse_other_scheme(name: str, url: str) -> None:
    """Check that a URL is of the web and holds no password.

    Raises:
        RecipeError: it is not, or does.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise RecipeError(f"{name} is {url!r}; it must begin with http:// or https:// and name a host")
    if parts.username or parts.password:
        raise RecipeError(f"{name} holds a user name or password; recipes are kept in the lineage, so use headers_env")


def secret_headers(headers_env: Mapping[str, str]) -> dict[str, str]:
    """Read the values of headers from the environment.

    Raises:
        RecipeError: a variable is not set.
    """
    for header, variable in headers_env.items():
        if variable not in os.environ:
            raise RecipeError(f"headers_env names {variable} for {header}, which is not set in the environment; set it")
    return {header: os.environ[variable] for header, variable in headers_env.items()}
