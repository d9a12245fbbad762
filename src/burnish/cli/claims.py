"""`burnish claims`: what the field publishes, beside what is measured here."""

import json
import secrets
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from burnish.artifacts import ReportArtifact, Store
from burnish.artifacts.store import storage_error
from burnish.cli.stopping import EXIT_CODE, stops_cleanly
from burnish.cli.store import store_option
from burnish.cli.teaching import Teaching
from burnish.errors import BurnishError, MissingExtra
from burnish.runtime import Run
from burnish.runtime.events import EventLog, RunFinished, RunStarted

if TYPE_CHECKING:
    from burnish.claims.claim import Claim
    from burnish.claims.ledger import Reading
    from burnish.cli.console import LiveConsole
    from burnish.cli.plain import PlainConsole


@click.command(
    cls=Teaching,
    examples=(
        ("burnish claims", "every claim, with the last reading of it"),
        ("burnish claims D1 D3", "measure these"),
        ("burnish claims --all", "measure all"),
        ("burnish claims D1 --seed 1", "with other samples"),
        ("burnish claims --json", "for a program"),
    ),
)
@click.argument("ids", nargs=-1, metavar="[ID …]")
@click.option("--all", "is_all", is_flag=True, help="Measure every claim.")
@click.option("--seed", type=click.IntRange(min=0), help="Draws all samples.  [default: 0]")
@click.option("--json", "is_json", is_flag=True, help="Print JSON in place of the table.")
@click.option("--plain", "is_plain", is_flag=True, help="One line an event, no bars (as when the output is a file).")
@store_option
def claims(
    ids: tuple[str, ...], is_all: bool, seed: int | None, is_json: bool, is_plain: bool, store_path: Path
) -> int:
    """Set published figures beside ours. Without ID, list what was measured last; with ID, measure.

    A figure holds where all of our 95 % interval is at or beyond it, and falls short where all of it is below;
    neither is an error. What is sealed already is not measured again.
    """
    known = _known_claims()
    from burnish.claims.claim import find_claims
    from burnish.claims.ledger import last_readings, read_together

    if is_all and ids:
        raise click.UsageError(f"--all measures every claim; leave out {' '.join(ids)}, or --all")
    wanted = known if is_all else find_claims(known, ids)
    if not wanted:
        if seed is not None or is_plain:
            raise click.UsageError("--seed and --plain are for measuring; name a claim, or give --all")
        store = Store(store_path) if (store_path / "runs").is_dir() else None
        _show(last_readings(known, store), is_json=is_json, has_settings=False)
        return 0
    store = Store(store_path)
    done = _measure(store, wanted, seed or 0, is_plain=is_plain, is_json=is_json)
    if done is None:
        return EXIT_CODE
    made, ledger = done
    _show(read_together(wanted, made), is_json=is_json, has_settings=True)
    if not is_json:
        click.echo(f"ledger: {ledger.payload / 'index.html'}")
    return 0


def _known_claims() -> "tuple[Claim, ...]":
    try:
        from burnish.claims import all_claims

        return all_claims()
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("burnish"):
            raise
        raise MissingExtra(f"{error.name} is not installed; type: pip install 'burnish[quickstart]'") from error


def _measure(
    store: Store, wanted: "Sequence[Claim]", seed: int, *, is_plain: bool, is_json: bool
) -> tuple[list[ReportArtifact], ReportArtifact] | None:
    """Measure claims and write the ledger, which shows the last reading of every other claim too; None if stopped."""
    from burnish.claims.ledger import last_readings
    from burnish.claims.page import LedgerConfig, write_ledger

    screen = _screen(is_plain=is_plain, is_json=is_json)
    folder = _new_folder(store)
    events = EventLog(folder / "events.jsonl", () if screen is None else (screen,))
    with stops_cleanly(lambda words: click.echo(words, err=True)):
        try:
            with _told(events, screen):
                name = f"claims {' '.join(claim.id for claim in wanted)}"
                events.emit(RunStarted(folder.name, name, {"seed": seed}, shlex.join(["burnish", *sys.argv[1:]])))
                run = Run(store, events)
                made = [claim.measure(run, seed) for claim in wanted]
                names = {claim.stage_name for claim in wanted}
                others = [r.artifact for r in last_readings(_known_claims(), store) if r.is_current]
                all_readings = [*made, *(a for a in others if a is not None and a.stage not in names)]
                all_readings.sort(key=lambda artifact: artifact.digest)  # the same readings are the same ledger
                return made, run(write_ledger, *all_readings, config=LedgerConfig(), label="ledger")
        except KeyboardInterrupt:
            click.echo("stopped; what is sealed stays. Give the same command again to resume.", err=True)
            return None


def _screen(*, is_plain: bool, is_json: bool) -> "LiveConsole | PlainConsole | None":
    """Choose who tells what goes on; with --json standard output is for the result alone."""
    from burnish.cli.plain import PlainConsole

    if is_json:
        return None
    if is_plain or not sys.stdout.isatty():
        return PlainConsole()
    from burnish.cli.console import LiveConsole

    return LiveConsole()


def _new_folder(store: Store) -> Path:
    """Make the folder of the events; `latest` stays with the last recipe's run, whose report people ask for."""
    now = datetime.now(tz=UTC).astimezone()
    folder = store.root / "runs" / f"{now:%Y%m%d-%H%M%S}-claims-{secrets.token_hex(2)}"
    try:
        folder.mkdir()
    except OSError as error:
        raise storage_error(error, store.root) from error
    return folder


@contextmanager
def _told(events: EventLog, screen: "LiveConsole | PlainConsole | None") -> Iterator[None]:
    """Show and record how it went, however it ended."""
    start_s = time.monotonic()
    status, message = "failed", ""
    if screen is not None:
        screen.__enter__()
    try:
        yield
        status = "ok"
    except KeyboardInterrupt:
        status = "interrupted"
        raise
    except BaseException as error:
        message = f"{type(error).__name__}: {error}"
        raise
    finally:
        with suppress(BurnishError):  # a full disk may refuse this line; the error that matters is on its way
            events.emit(RunFinished(status, round(time.monotonic() - start_s, 3), message))
        if screen is not None:
            screen.__exit__(None, None, None)


def _show(readings: "Sequence[Reading]", *, is_json: bool, has_settings: bool) -> None:
    if is_json:
        click.echo(json.dumps({"claims": [reading.as_json() for reading in readings]}, indent=1, ensure_ascii=False))
        return
    from burnish.claims.table import print_ledger

    print_ledger(readings, has_settings=has_settings)
