"""`burnish show`: the artifacts of a store, or one of them with its evidence and lineage."""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from burnish.artifacts import Artifact, Manifest
from burnish.artifacts.store import verify
from burnish.cli.store import complete_reference, open_store, store_option
from burnish.cli.teaching import Teaching
from burnish.cli.units import in_bytes
from burnish.errors import ArtifactError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.tree import Tree


@click.command(
    cls=Teaching,
    examples=(
        ("burnish show", "list artifacts"),
        ("burnish show 3f2a91", "one of them"),
        ("burnish show 3f2a91 --lineage", "what it came from"),
        ("burnish show --verify", "check the whole store"),
    ),
)
@click.argument("reference", required=False, metavar="[REF]", shell_complete=complete_reference)
@click.option("--lineage", "is_lineage", is_flag=True, help="Only the lineage, back to the sources.")
@click.option("--verify", "is_verify", is_flag=True, help="Hash every byte of what is shown, and of all it came from.")
@store_option
def show(reference: str | None, is_lineage: bool, is_verify: bool, store_path: Path) -> None:
    """Show artifact REF: its card, its evidence, its lineage as a tree. Without REF, list what is in the store.

    REF is the start of a digest (4 digits or more) or a folder.
    """
    from rich.console import Console

    console = Console()
    store = open_store(store_path)
    known = {artifact.digest: artifact for artifact in store.all()}
    if reference is None:
        console.print(_listing(known.values()) if known else f"nothing sealed in {store.root} yet")
        checked = list(known.values())
    else:
        artifact = store.open(reference)
        checked = list(ancestry(artifact, known))
        if not is_lineage:
            _print_card(console, artifact)
        console.print(lineage_tree(artifact, known))
    if is_verify:
        verify_chain(checked)
        console.print(f"verified: {len(checked)} artifacts, every byte as it was sealed")


def ancestry(artifact: Artifact, known: dict[str, Artifact]) -> Iterator[Artifact]:
    """Go from an artifact back to its sources, each ancestor in the store once."""
    seen: set[str] = set()
    waiting = [artifact]
    while waiting:
        current = waiting.pop()
        if current.digest in seen:
            continue
        seen.add(current.digest)
        yield current
        waiting += [known[parent.digest] for parent in current.manifest.parents if parent.digest in known]


def lineage_tree(artifact: Artifact, known: dict[str, Artifact]) -> "Tree":
    """Draw where an artifact came from; a branch that was drawn before is only named again."""
    from rich.markup import escape
    from rich.tree import Tree

    drawn: set[str] = set()

    def grow(tree: Tree, manifest: Manifest) -> None:
        for digest, path in manifest.inputs.items():
            tree.add(f"[dim]input {escape(path)} (SHA-256 {digest[:12]})[/]")
        for parent in manifest.parents:
            again = parent.digest in drawn
            branch = tree.add(_named(parent.stage, parent.kind, parent.digest) + (" [dim](above)[/]" if again else ""))
            drawn.add(parent.digest)
            if parent.digest not in known:
                branch.add("[yellow]not in this store[/]")
            elif not again:
                grow(branch, known[parent.digest].manifest)

    root = Tree(_named(artifact.stage, artifact.kind, artifact.digest))
    grow(root, artifact.manifest)
    return root


def evidence_table(artifact: Artifact) -> "Table":
    """Lay out measurements with intervals and how they were taken."""
    from rich.markup import escape
    from rich.table import Table

    table = Table()
    table.add_column("measured", overflow="fold")
    table.add_column("value", justify="right")
    table.add_column("95 % interval", justify="right")
    table.add_column("unit")
    table.add_column("n", justify="right")
    table.add_column("how", overflow="fold")
    for m in artifact.evidence:
        interval = "exact" if m.low is None or m.high is None else f"{m.low:.4g} – {m.high:.4g}"
        table.add_row(m.name, f"{m.value:.6g}", interval, "" if m.unit == "1" else m.unit, f"{m.n:,}", escape(m.how))
    return table


def verify_chain(artifacts: list[Artifact]) -> None:
    """Hash every byte, and hold each artifact's record of its parents against the parents themselves.

    Raises:
        ArtifactError: something was altered, or a parent is not the one that was read.
    """
    payloads = {artifact.digest: artifact.manifest.payload_digest for artifact in artifacts}
    for artifact in artifacts:
        verify(artifact.payload.parent, artifact.manifest)
        for parent in artifact.manifest.parents:
            if payloads.get(parent.digest, parent.payload_digest) != parent.payload_digest:
                raise ArtifactError(
                    f"{artifact.label} was made from another payload of {parent.kind} {parent.digest[:12]} than is here "
                    "now; the stage does not give the same bytes each time. Delete both and run the recipe again."
                )


def _print_card(console: "Console", artifact: Artifact) -> None:
    from rich.markdown import Markdown

    head, *sections = re.split(r"^## ", artifact.card, flags=re.MULTILINE)
    console.print(Markdown(head))
    if artifact.evidence:
        console.print(evidence_table(artifact))
    for section in sections:
        if section.startswith("Made"):
            console.print(Markdown(f"## {section}"))
    console.print(f"\nin {artifact.payload}\n", soft_wrap=True, highlight=False)


def _named(stage: str, kind: str, digest: str) -> str:
    return f"[bold]{stage.rsplit('.', 1)[-1]}[/] · {kind} [cyan]{digest[:12]}[/]"


def _listing(artifacts: Iterable[Artifact]) -> "Table":
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in ("kind", "stage", "digest", "made"):
        table.add_column(column)
    table.add_column("size", justify="right")
    for artifact in artifacts:
        made = datetime.fromtimestamp(artifact.manifest.created_unix_s, tz=UTC).astimezone()
        size = sum(path.stat().st_size for path in artifact.payload.rglob("*") if path.is_file())
        stage = artifact.stage.rsplit(".", 1)[-1]
        table.add_row(artifact.kind, stage, artifact.digest[:12], f"{made:%Y-%m-%d %H:%M:%S}", in_bytes(size))
    return table
