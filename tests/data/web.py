"""A web server on the loopback interface, whose pages are functions; it notes when each was asked for."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

Answer = tuple[int, dict[str, str], bytes]


@dataclass(frozen=True)
class Asked:
    """One request."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]
    at_s: float


@dataclass
class Site:
    """Answers requests; a page that is not there is a 404."""

    pages: dict[str, Callable[[Asked], Answer]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    url: str = ""

    def page(self, path: str, body: bytes | str, kind: str = "text/html; charset=utf-8", status: int = 200) -> None:
        content = body if isinstance(body, bytes) else body.encode()
        self.pages[path] = lambda _: (status, {"Content-Type": kind}, content)

    def times(self, path: str) -> int:
        return sum(asked.path == path for asked in self.asked)

    @property
    def paths(self) -> list[str]:
        return [asked.path for asked in self.asked]


def slow(delay_s: float, answer: Answer) -> Callable[[Asked], Answer]:
    """Answer late."""

    def page(_: Asked) -> Answer:
        time.sleep(delay_s)
        return answer

    return page


@contextmanager
def serving(site: Site) -> Iterator[Site]:
    """Serve a site until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            asked = Asked(
                parts.path,
                dict(parse_qsl(parts.query)),
                {name.lower(): value for name, value in self.headers.items()},
                time.monotonic(),
            )
            site.asked.append(asked)
            page = site.pages.get(parts.path)
            status, headers, body = page(asked) if page else (404, {}, b"not here")
            try:
                self.send_response(status)
                for name, value in ({"Content-Length": str(len(body))} | headers).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True  # who asked has gone

        def log_message(self, *_: object) -> None:
            return

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            return

    with Server(("127.0.0.1", 0), Handler) as server:
        site.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield site
        finally:
            server.shutdown()
            thread.join()
