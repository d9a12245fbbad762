"""`burnish claims`: what the field publishes, beside what is measured here."""

import json
import shlex
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from burnish.artifacts import ReportArtifact, Store
from burnish.cli.doors import door
from burnish.cli.stopping import say_stopped, stops_cleanly
from burnish.cli.store import new_folder, store_option
from burnish.cli.teaching import Teaching
from burnish.cli.telling import open_screen, plain_option, told
from burnish.runtime import Run
from burnish.runtime.events import EventLog, RunStarted

if TYPE_CHECKING:
    from burnish.claims.claim import Claim
    from burnish.claims.ledger import Reading


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
@plain_option
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
        return say_stopped()
    made, ledger = done
    _show(read_together(wanted, made), is_json=is_json, has_settings=True)
    if not is_json:
        click.echo(f"ledger: {ledger.payload / 'index.html'}")
    return 0


def _known_claims() -> "tuple[Claim, ...]":
    with door("quickstart"):
        from burnish.claims import all_claims

        return all_claims()


def _measure(
    store: Store, wanted: "Sequence[Claim]", seed: int, *, is_plain: bool, is_json: bool
) -> tuple[list[ReportArtifact], ReportArtifact] | None:
    """Measure claims and write the ledger, which shows the last reading of every other claim too; None if stopped."""
    from burnish.claims.ledger import last_readings
    from burnish.claims.page import LedgerConfig, write_ledger

    screen = None if is_json else open_screen(is_plain=is_plain)  # with --json standard output is for the result alone
    folder = new_folder(store, "claims")  # `latest` stays with the last recipe's run, whose report people ask for
    events = EventLog(folder / "events.jsonl", () if screen is None else (screen,))
    with stops_cleanly(lambda words: click.echo(words, err=True)):
        try:
            with screen or nullcontext(), told(events):
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
            return None


def _show(readings: "Sequence[Reading]", *, is_json: bool, has_settings: bool) -> None:
    if is_json:
        click.echo(json.dumps({"claims": [reading.as_json() for reading in readings]}, indent=1, ensure_ascii=False))
        return
    from burnish.claims.table import print_ledger

    print_ledger(readings, has_settings=has_settings)
