"""The engine in a process of its own, as the server's event loop sees it."""

import asyncio
import contextlib
import logging
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import msgspec

from burnish.errors import BurnishError
from burnish.serve.engine.completion import Completion, EngineCrashed, EngineDown
from burnish.serve.engine.protocol import Delta, Request, RequestRefused, Sampling, Stats
from burnish.serve.engine.settings import EngineSettings
from burnish.serve.engine.wire import (
    HEADER,
    Abort,
    Add,
    Command,
    Failed,
    Ready,
    Refused,
    Report,
    Stepped,
    pack,
    reports,
)

logger = logging.getLogger(__name__)

MAX_CRASHES = 3  # within CRASH_WINDOW_S; then whoever started the server must see it end
CRASH_WINDOW_S = 60.0
_CLOSE_WITHIN_S = 5.0
_STDERR = 2

STARTS = ("burnish.serve.engine.child",)  # run by command, not imported


class EngineProcess:
    """Start the engine's process, talk to it, and start it anew when it dies.

    Requests that were in flight when it died fail with `EngineCrashed`. After `MAX_CRASHES` within
    `CRASH_WINDOW_S` seconds it stays down and `on_down` is called.

    Args:
        folder: what to serve.
        on_down: called once, when the engine will not come back.
    """

    def __init__(self, folder: Path, settings: EngineSettings, on_down: Callable[[], None] = lambda: None) -> None:
        self._folder, self._settings, self._on_down = folder, settings, on_down
        self._completions: dict[int, Completion] = {}
        self._crashes_s: deque[float] = deque(maxlen=MAX_CRASHES)
        self._next_id = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._keeper: asyncio.Task[None] | None = None
        self.stats = Stats()

    @property
    def is_ready(self) -> bool:
        """Tell whether requests can be submitted now."""
        return self._writer is not None

    @property
    def num_in_flight(self) -> int:
        """Count requests that are neither finished nor aborted."""
        return len(self._completions)

    @property
    def process_id(self) -> int | None:
        """Give the process's id while there is one."""
        return self._process.pid if self._process is not None else None

    async def start(self) -> None:
        """Start the process and wait until the model is loaded.

        Raises:
            BurnishError: it cannot be loaded.
        """
        reader = await self._launch()
        self._keeper = asyncio.create_task(self._keep(reader))

    async def close(self) -> None:
        """End the process; requests in flight fail."""
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
        self.fail_all(EngineDown("the server is stopping"))
        await self._reap()

    def fail_all(self, error: BurnishError) -> None:
        """End every request in flight with an error."""
        for completion in self._completions.values():
            completion.fail(error)
        self._completions.clear()

    def submit(self, prompt_tokens: tuple[int, ...], sampling: Sampling) -> Completion:
        """Queue a request.

        Raises:
            EngineDown: nobody would run it now.
        """
        if self._writer is None:
            raise EngineDown("the engine is down; try again in a few seconds")
        self._next_id += 1
        completion = self._completions[self._next_id] = Completion(self._next_id)
        self._send(Add(Request(completion.id, prompt_tokens, sampling)))
        return completion

    def abort(self, completion: Completion) -> None:
        """Drop a request that nobody reads any more; a finished one is left as it is."""
        if self._completions.pop(completion.id, None) is not None:
            self._send(Abort(completion.id))

    def _send(self, command: Command) -> None:
        if self._writer is not None:
            self._writer.write(pack(command))

    async def _launch(self) -> asyncio.StreamReader:
        ours, theirs = socket.socketpair()
        with theirs:
            settings = msgspec.json.encode(self._settings).decode()
            # -P: no module of the current folder may stand in for an installed one.
            command = [sys.executable, "-P", "-m", *STARTS]
            command += [str(theirs.fileno()), str(self._folder), settings]
            # Its words go to stderr: stdout belongs to the server's one line.
            self._process = subprocess.Popen(
                command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=_STDERR
            )
        reader, writer = await asyncio.open_connection(sock=ours)
        try:
            report = await _next_report(reader)
            if isinstance(report, Ready):
                self._writer = writer
                return reader
        finally:
            if self._writer is None:
                writer.close()
        status = await self._reap()
        raise BurnishError(report.reason if isinstance(report, Failed) else f"the engine's process ended ({status})")

    async def _keep(self, reader: asyncio.StreamReader) -> None:
        while True:
            reason = await self._listen(reader)
            self._disconnect()
            self.fail_all(EngineCrashed(f"the engine stopped while it had this request ({reason})"))
            status = await self._reap()
            logger.error("the engine's process ended (%s, %s)", reason, status)
            self._crashes_s.append(time.monotonic())
            is_often = len(self._crashes_s) == MAX_CRASHES and time.monotonic() - self._crashes_s[0] < CRASH_WINDOW_S
            try:
                if is_often:
                    raise EngineCrashed(f"the engine died {MAX_CRASHES} times within {CRASH_WINDOW_S:.0f} s")
                reader = await self._launch()
            except BurnishError as error:
                logger.critical("the engine stays down: %s", error)
                self._on_down()
                return

    async def _listen(self, reader: asyncio.StreamReader) -> str:
        """Hand out reports until the process ends; give the reason."""
        while (report := await _next_report(reader)) is not None:
            match report:
                case Stepped(deltas=deltas, stats=stats):
                    self.stats = stats
                    for delta in deltas:
                        self._hand_over(delta)
                case Refused(id=request_id, reason=reason):
                    refused = self._completions.pop(request_id, None)
                    if refused is not None:
                        refused.fail(RequestRefused(reason))
                case Failed(reason=reason):
                    return reason
                case Ready():
                    continue
        return "killed or crashed"

    def _hand_over(self, delta: Delta) -> None:
        completion = self._completions.get(delta.id)
        if completion is None:
            return  # aborted while the step ran
        completion.put(delta)
        if delta.finish_reason is not None:
            del self._completions[delta.id]

    def _disconnect(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
            self.stats = Stats()

    async def _reap(self) -> str:
        """Wait for the process to end, by force if it takes long; give its status in words."""
        self._disconnect()
        if self._process is None:
            return "not started"
        process, self._process = self._process, None
        try:
            status = await asyncio.to_thread(process.wait, _CLOSE_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            status = await asyncio.to_thread(process.wait)
        return f"status {status}" if status >= 0 else f"signal {-status}"


async def _next_report(reader: asyncio.StreamReader) -> Report | None:
    """Give the next report; None when the process has closed its end."""
    try:
        header = await reader.readexactly(HEADER.size)
        return reports.decode(await reader.readexactly(HEADER.unpack(header)[0]))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
