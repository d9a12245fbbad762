"""Run a service: bind, load, say that it is ready, serve until told to stop."""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn

from burnish.errors import BurnishError, RecipeError
from burnish.serve.engine.completion import EngineDown
from burnish.serve.engine.process import EngineProcess
from burnish.serve.engine.settings import EngineSettings
from burnish.serve.openai.routes import application
from burnish.serve.service import Limits, Service

DRAIN_WITHIN_S = 10  # completions that run longer after SIGTERM end with an error
_BACKLOG = 2048


@dataclass(frozen=True)
class ServerSettings:
    """Say what to serve, and where.

    Attributes:
        folder: the model in OpenVINO form.
        name: the model's name in the API.
        host: loopback by default: a model without an API key is not for the network.
        port: 0 takes any free one.
        lifeline: a file descriptor at whose end of file the server stops, so that whoever started it through a
            pipe need not live to stop it.
    """

    folder: Path
    name: str
    host: str = "127.0.0.1"
    port: int = 8000
    engine: EngineSettings = field(default_factory=EngineSettings)
    limits: Limits = field(default_factory=Limits)
    lifeline: int | None = None


@dataclass(frozen=True)
class Ready:
    """The server listens and its model is loaded."""

    url: str
    model: str
    process_id: int
    engine_process_id: int | None


def run(settings: ServerSettings, on_ready: Callable[[Ready], None]) -> int:
    """Serve until SIGTERM or SIGINT, then finish what runs, within `DRAIN_WITHIN_S` seconds.

    Returns:
        The exit status: 0 when told to stop, 1 when the engine kept dying.

    Raises:
        BurnishError: the port is taken, or the folder cannot be served.
    """
    with _bound(settings.host, settings.port) as listener:
        return asyncio.run(_serve(settings, listener, on_ready))


async def _serve(settings: ServerSettings, listener: socket.socket, on_ready: Callable[[Ready], None]) -> int:
    status = 0

    def give_up() -> None:
        nonlocal status
        status, server.should_exit = 1, True

    engine = EngineProcess(settings.folder, settings.engine, give_up)
    service = Service(
        settings.folder, name=settings.name, settings=settings.engine, limits=settings.limits, engine=engine
    )
    server = _Server(
        uvicorn.Config(
            application(service),
            log_config=None,
            access_log=False,
            lifespan="off",
            backlog=_BACKLOG,
            timeout_graceful_shutdown=DRAIN_WITHIN_S + 2,
            server_header=False,
            proxy_headers=False,
        )
    )
    if settings.lifeline is not None:
        asyncio.get_running_loop().add_reader(settings.lifeline, server.stop_at_end, settings.lifeline)
    try:
        await engine.start()
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        url = f"http://{host}:{listener.getsockname()[1]}"
        server.on_overdue = lambda: engine.fail_all(EngineDown("the server is stopping"))
        server.on_started = lambda: on_ready(Ready(url, settings.name, os.getpid(), engine.process_id))
        await server.serve(sockets=[listener])
    finally:
        await engine.close()
    return status


class _Server(uvicorn.Server):  # type: ignore[misc]  # mypy is told not to follow uvicorn
    """uvicorn's server, which says when it listens and whose process ends with our own status after a signal."""

    on_started: Callable[[], None]
    on_overdue: Callable[[], None]

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.on_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        overdue = asyncio.get_running_loop().call_later(DRAIN_WITHIN_S, self.on_overdue)
        await super().shutdown(sockets)
        overdue.cancel()

    def stop_at_end(self, descriptor: int) -> None:
        """Read what came on the lifeline; stop when its other end is closed."""
        if not os.read(descriptor, 4096):
            asyncio.get_running_loop().remove_reader(descriptor)
            self.should_exit = True

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for name in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(name, self.handle_exit, name, None)
        yield


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise BurnishError(
            f"port {port} on {host} cannot be had ({error.strerror}); choose another with --port, 0 for any free one"
        ) from error
    except OverflowError as error:
        listener.close()
        raise RecipeError(f"port is {port}; it must be 0 to 65535") from error
    listener.set_inheritable(False)
    return listener
