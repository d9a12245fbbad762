"""Doors: a command's heavy imports, which may find that an extra is not installed."""

from collections.abc import Iterator
from contextlib import contextmanager

from burnish.errors import MissingExtra


@contextmanager
def door(extra: str) -> Iterator[None]:
    """Say what to type where an import finds a package missing.

    Args:
        extra: that installs what is imported inside.

    Raises:
        MissingExtra: a package is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("burnish"):
            raise
        raise MissingExtra(f"{error.name} is not installed; type: pip install 'burnish[{extra}]'") from error
