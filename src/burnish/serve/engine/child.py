"""The engine's process: take commands, step, report. It ends when the server closes its end or dies."""

import contextlib
import signal
import socket
import sys
from pathlib import Path
from typing import NoReturn

import msgspec

from burnish.errors import BurnishError
from burnish.serve.engine.openvino import OpenvinoEngine
from burnish.serve.engine.protocol import Engine, RequestRefused
from burnish.serve.engine.settings import EngineSettings
from burnish.serve.engine.wire import Abort, Add, Channel, Failed, Ready, Refused, ServerGone, Stepped
from burnish.serve.folder import ServableFolder


def main(descriptor: int, folder: Path, settings: EngineSettings) -> int:
    """Serve the channel at `descriptor`.

    Returns:
        The exit status, once the server is gone (0) or the engine has failed (1).
    """
    for name in (signal.SIGINT, signal.SIGTERM):  # sent to the whole group; the server drains, then closes
        signal.signal(name, signal.SIG_IGN)
    channel = Channel(socket.socket(fileno=descriptor))
    try:
        engine: Engine = OpenvinoEngine(ServableFolder.read(folder), settings)
        with contextlib.suppress(ServerGone):
            channel.send(Ready())
            serve(engine, channel)
        engine.close()
    except (BurnishError, RuntimeError, MemoryError) as error:
        with contextlib.suppress(ServerGone):
            channel.send(Failed(f"{error}" or type(error).__name__))
        return 1
    return 0


def serve(engine: Engine, channel: Channel) -> NoReturn:
    """Step as long as there is work, wait for commands when there is none.

    Raises:
        ServerGone: nobody is there to work for.
    """
    is_idle = True
    while True:
        for command in channel.commands(should_wait=is_idle):
            match command:
                case Add(request=request):
                    try:
                        engine.add(request)
                    except RequestRefused as error:
                        channel.send(Refused(request.id, str(error)))
                case Abort(id=request_id):
                    engine.abort(request_id)
        deltas, stats = engine.step(), engine.stats()
        is_idle = stats.num_running + stats.num_waiting == 0
        if deltas:
            channel.send(Stepped(deltas, stats))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), Path(sys.argv[2]), msgspec.json.decode(sys.argv[3], type=EngineSettings)))
