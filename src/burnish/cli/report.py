"""`burnish report`: the report of a run, its table in the terminal and its page in the browser."""

import shutil
from pathlib import Path

import click

from burnish.artifacts import Artifact, ReportArtifact, Store
from burnish.cli.store import LATEST, complete_reference, find_run, open_store, store_option
from burnish.cli.teaching import Teaching
from burnish.errors import ArtifactError, BurnishError
from burnish.runtime.events import StageCached, StageSealed, read_events

LABEL = "report"


@click.command(
    cls=Teaching,
    examples=(
        ("burnish report", "the latest run's table"),
        ("burnish report --open", "its page in the browser"),
        ("burnish report 20260131-101500-3fa2 --out report.html", "the page of another run, to send"),
    ),
)
@click.argument("run", default=LATEST, metavar="[RUN|REF]", shell_complete=complete_reference)
@click.option("--open", "is_open", is_flag=True, help="Open the page in the browser.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Copy the page, one file, to this path.")
@store_option
def report(run: str, is_open: bool, out: Path | None, store_path: Path) -> None:
    """Print the before/after table of a run's report and the path of its page.

    Without RUN it is the latest run. REF is the digest of a report.
    """
    artifact = find_report(open_store(store_path), run)
    print_report(artifact)
    page = artifact.payload / "index.html"
    if out is not None:
        try:
            shutil.copyfile(page, out)
        except OSError as error:
            raise BurnishError(
                f"the page cannot be copied to {out} ({error.strerror}); choose another --out"
            ) from error
        click.echo(f"copied to {out}")
    if is_open and click.launch(page.resolve().as_uri()) != 0:
        raise BurnishError(f"no browser could be started; open {page.resolve()} yourself")


def find_report(store: Store, reference: str) -> Artifact:
    """Find the report of a run, or the report artifact itself.

    Raises:
        BurnishError: no such run or artifact, or the run has not come to its report.
    """
    is_run = reference == LATEST or any((store.root / "runs").glob(f"{reference}*"))
    artifact = _of_run(store, find_run(store.root, reference)) if is_run else store.open(reference)
    if not isinstance(artifact, ReportArtifact) or not (artifact.payload / "report.json").is_file():
        raise ArtifactError(f"{artifact.label} is no report page; give a run, or the digest of its report")
    return artifact


def print_report(artifact: Artifact) -> None:
    """Print the table of a report, whatever it is of, and where its page is."""
    from burnish.report import data_table, forms_table, optimize_table, search_table
    from burnish.report.table import print_table

    report = artifact.read_json("report.json")
    printers = {
        data_table.KIND: data_table.print_flow,
        forms_table.KIND: forms_table.print_forms,
        optimize_table.KIND: optimize_table.print_optimum,
        search_table.KIND: search_table.print_search,
    }
    printers.get(report.get("kind"), print_table)(report)
    if (artifact.payload / "best.yaml").exists():
        click.echo(f"recipe: {artifact.payload / 'best.yaml'}")
    click.echo(f"report: {artifact.payload / 'index.html'}")


def _of_run(store: Store, folder: Path) -> Artifact:
    found = None
    for _, event in read_events(folder / "events.jsonl"):
        if isinstance(event, StageSealed | StageCached) and event.label == LABEL:
            found = event.digest
    if found is None:
        raise BurnishError(
            f"run {folder.name} has not come to its report; give its command again to finish it, or name another run"
        )
    return store.open(found)
