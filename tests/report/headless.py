"""A headless Chromium, driven through its DevTools pipe: what a reader sees, and what the page asks for."""

import base64
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


class Browser:
    """One page of a browser; `requests` and `complaints` collect what the page did since it was opened."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self._to, self._from = to_browser, os.fdopen(from_browser, "rb")
        self._number = 0
        self._session: str | None = None
        self.requests: list[str] = []
        self.complaints: list[str] = []
        target = self._call("Target.createTarget", {"url": "about:blank"})["targetId"]
        attached = self._call("Target.attachToTarget", {"targetId": target, "flatten": True})
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self._call(f"{domain}.enable")

    def open(self, page: Path, *, width: int, is_dark: bool = False, media: str = "") -> None:
        """Open a file as a screen `width` CSS pixels wide shows it."""
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self._call("Emulation.setDeviceMetricsOverride", size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}
        self._call("Emulation.setEmulatedMedia", {"media": media, "features": [scheme]})
        self.requests.clear()
        self.complaints.clear()
        self._call("Page.navigate", {"url": page.as_uri()})
        while self.ask("document.readyState") != "complete" or self.ask("location.href") != page.as_uri():
            pass

    def ask(self, expression: str) -> Any:
        """Evaluate JavaScript from outside the page; its own policy does not bind the debugger."""
        answer = self._call("Runtime.evaluate", {"expression": expression, "returnByValue": True})
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def screenshot(self, path: Path) -> None:
        """Write the whole page as PNG."""
        answer = self._call("Page.captureScreenshot", {"captureBeyondViewport": True})
        path.write_bytes(base64.b64decode(answer["data"]))

    def _call(self, method: str, arguments: dict[str, Any] | None = None) -> dict[str, Any]:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": arguments or {}}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer["error"])
                result: dict[str, Any] = answer["result"]
                return result
            self._note(answer.get("method", ""), answer.get("params", {}))

    def _note(self, event: str, facts: dict[str, Any]) -> None:
        if event == "Network.requestWillBeSent":
            self.requests.append(facts["request"]["url"])
        elif event in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"):
            self.complaints.append(json.dumps(facts))

    def _read(self) -> dict[str, Any]:
        data = bytearray()
        while (byte := self._from.read(1)) != b"\0":
            assert byte, "the browser went away"
            data += byte
        message: dict[str, Any] = json.loads(data)
        return message


@contextmanager
def browser() -> Iterator[Browser]:
    """Start a browser and end it; without one the test fails and says what to install."""
    program = next((found for name in _NAMES if (found := shutil.which(name))), None)
    if program is None:
        pytest.fail("no Chromium on this machine; type: apt-get install -y chromium (scripts/test does)")
    browser_reads, to_browser = os.pipe()
    from_browser, browser_writes = os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = _start(program, profile, browser_reads, browser_writes)
        for end in (browser_reads, browser_writes):
            os.close(end)
        page = Browser(to_browser, from_browser)
        try:
            yield page
        finally:
            os.close(to_browser)
            page._from.close()
            process.terminate()
            process.wait(timeout=20)


def _start(program: str, profile: str, reads: int, writes: int) -> subprocess.Popen[bytes]:
    """Start the browser with its ends of the pipes as descriptors 3 and 4, where it looks for them."""
    flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars"]
    flags += ["--disable-background-networking", f"--user-data-dir={profile}", "--remote-debugging-pipe"]
    shell = f'exec "$0" "$@" 3<&{reads} 4>&{writes}'
    return subprocess.Popen(
        ["bash", "-c", shell, program, *flags, "about:blank"],
        pass_fds=(reads, writes),
        env={**os.environ, "TMPDIR": profile},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
