"""The store as commands see it: an option, a folder that must be there, and the runs in it."""

import os
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from burnish.artifacts import Store
from burnish.artifacts.kinds import KINDS
from burnish.artifacts.store import storage_error
from burnish.errors import BurnishError

F = TypeVar("F")
LATEST = "latest"


def store_option(command: F) -> F:
    """Add `--store` to a command."""
    option: Any = click.option(
        "--store",
        "store_path",
        envvar="BURNISH_STORE",
        show_envvar=True,
        default=Path(".burnish"),
        show_default=True,
        type=click.Path(path_type=Path, file_okay=False),
        help="Folder where artifacts are kept.",
    )
    decorated: F = option(command)
    return decorated


def open_store(path: Path) -> Store:
    """Open a store that must be there.

    Raises:
        BurnishError: there is none.
    """
    if not (path / "runs").is_dir():
        raise BurnishError(f"there is no store at {path}; run a recipe first, or name the store with --store")
    return Store(path)


def new_run(store: Store) -> Path:
    """Make the folder of a new run, and point `latest` at it.

    Raises:
        BurnishError: the store cannot be written.
    """
    folder = new_folder(store)
    pointer = folder.parent / f".{LATEST}.{os.getpid()}"
    try:
        pointer.write_text(f"{folder.name}\n", encoding="utf-8")
        pointer.replace(folder.parent / LATEST)
    except OSError as error:
        raise storage_error(error, store.root) from error
    return folder


def new_folder(store: Store, *words: str) -> Path:
    """Make a folder for events, named by local time, `words`, and four hex digits.

    Raises:
        BurnishError: the store cannot be written.
    """
    now = datetime.now(tz=UTC).astimezone()
    folder = store.root / "runs" / "-".join((f"{now:%Y%m%d-%H%M%S}", *words, secrets.token_hex(2)))
    try:
        folder.mkdir()
    except OSError as error:
        raise storage_error(error, store.root) from error
    return folder


def find_run(store: Path, name: str = LATEST) -> Path:
    """Find a run's folder by its id, by an unambiguous start of it, or as `latest`.

    Raises:
        BurnishError: there is none, or more than one.
    """
    runs = store / "runs"
    pointer = runs / LATEST
    if name == LATEST:
        if not pointer.is_file():
            raise BurnishError(f"no run yet in {store}; give `burnish run RECIPE.yaml`, or name another --store")
        name = pointer.read_text(encoding="utf-8").strip()
    matches = sorted(folder for folder in runs.glob(f"{name}*") if folder.is_dir())
    if len(matches) == 1:
        return matches[0]
    held = ", ".join(folder.name for folder in (matches or newest_runs(store))[:5]) or "none"
    state = "matches more than one run" if matches else "is no run"
    raise BurnishError(f"{name!r} {state} in {store}; runs there: {held}")


def newest_runs(store: Path) -> list[Path]:
    """List the folders of runs, newest first; the ids are times, so their order is the order of the runs."""
    return sorted((folder for folder in (store / "runs").glob("*") if folder.is_dir()), reverse=True)


def complete_reference(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the digests in the store to the shell."""
    root = ctx.params.get("store_path") or Path(os.environ.get("BURNISH_STORE", ".burnish"))
    folders = (folder for kind in KINDS for folder in (root / kind).glob(f"{incomplete}*"))
    return [CompletionItem(folder.name[:12], help=folder.parent.name) for folder in folders]
