"""Telling: on which screen a run's events are shown, and the record of how it ended."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

import click

from burnish.errors import BurnishError, GateFailed
from burnish.runtime.events import EventLog, RunFinished

if TYPE_CHECKING:
    from burnish.cli.console import LiveConsole
    from burnish.cli.plain import PlainConsole

F = TypeVar("F")


def plain_option(command: F) -> F:
    """Add `--plain` to a command."""
    words = "One line an event, no bars (as when the output is a file)."
    option: Any = click.option("--plain", "is_plain", is_flag=True, help=words)
    decorated: F = option(command)
    return decorated


def open_screen(*, is_plain: bool) -> "LiveConsole | PlainConsole":
    """Choose bars on a terminal, lines elsewhere and where they are asked for."""
    from burnish.cli.plain import PlainConsole

    if is_plain or not sys.stdout.isatty():
        return PlainConsole()
    from burnish.cli.console import LiveConsole

    return LiveConsole()


@contextmanager
def told(events: EventLog) -> Iterator[None]:
    """Record how a run ended, however it did."""
    start_s = time.monotonic()
    status, message = "failed", ""
    try:
        yield
        status = "ok"
    except KeyboardInterrupt:
        status = "interrupted"
        raise
    except GateFailed as error:
        status, message = "gate", str(error)
        raise
    except BaseException as error:
        message = f"{type(error).__name__}: {error}"
        raise
    finally:
        with suppress(BurnishError):  # a full disk may refuse this line; the error that matters is on its way
            events.emit(RunFinished(status, round(time.monotonic() - start_s, 3), message))
