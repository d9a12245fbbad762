"""`burnish serve`: put a model behind an OpenAI-compatible address."""

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Literal

import click

from burnish.artifacts import ModelArtifact
from burnish.cli.store import complete_reference, open_store, store_option
from burnish.cli.teaching import Teaching
from burnish.errors import ArtifactError, MissingExtra, RecipeError
from burnish.runtime.extras import missing


@click.command(
    cls=Teaching,
    examples=(
        ("burnish serve 3f2a91", "serve an artifact on port 8000"),
        ("burnish serve ./model --port 0", "serve a folder on any free port"),
        ("burnish serve 3f2a91 --api-key-env KEY", "ask clients for the key in $KEY"),
    ),
)
@click.argument("reference", metavar="REF", shell_complete=complete_reference)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address; loopback stays on this machine.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0 takes any free one.")
@click.option("--name", help="The model's name in the API; by default the digest's start or the folder's name.")
@click.option("--api-key-env", "key_variable", metavar="NAME", help="Environment variable with the key to ask for.")
@click.option("--threads", type=click.IntRange(1), help="Compute threads; by default every core.")
@click.option("--cache-tokens", type=click.IntRange(32), default=65_536, show_default=True, help="KV cache size.")
@click.option("--prefix-cache", "is_caching", is_flag=True, help="Keep prompts' cache for others that begin alike.")
@click.option(
    "--precision",
    type=click.Choice(["auto", "f32"]),
    default="auto",
    show_default=True,
    help="f32 is exact and slower; auto takes the processor's fastest.",
)
@click.option(
    "--activations",
    type=click.Choice(["auto", "float"]),
    default="auto",
    show_default=True,
    help="float leaves them unrounded; auto takes 8 bits where that is faster.",
)
@click.option("--max-running", type=click.IntRange(1), default=64, show_default=True, help="Requests at once.")
@click.option("--max-waiting", type=click.IntRange(0), default=256, show_default=True, help="Queue; then 429.")
@click.option("--until-stdin-ends", "is_tied", is_flag=True, help="Stop when standard input is closed.")
@store_option
def serve(
    reference: str,
    host: str,
    port: int,
    name: str | None,
    key_variable: str | None,
    threads: int | None,
    cache_tokens: int,
    is_caching: bool,
    precision: Literal["auto", "f32"],
    activations: Literal["auto", "float"],
    max_running: int,
    max_waiting: int,
    is_tied: bool,
    store_path: Path,
) -> int:
    """Serve model REF: chat and plain completions, streaming, /health, /metrics.

    REF is the start of a digest (4 digits or more) or a folder with a model for OpenVINO. When the model is
    loaded and the port listens, one line of JSON says where. Ctrl-C finishes what runs, then stops.
    """
    folder, own_name = _resolve(reference, store_path)
    key = _key(key_variable)
    if absent := missing("serve"):
        raise MissingExtra(f"{', '.join(absent)} not installed; type: pip install 'burnish[serve]'")
    if key is None and host not in ("127.0.0.1", "::1", "localhost"):
        click.echo(f"warning: anyone who reaches {host} can use this model; set --api-key-env", err=True)
    from burnish.serve.engine.settings import EngineSettings
    from burnish.serve.server import ServerSettings, run
    from burnish.serve.service import Limits

    settings = ServerSettings(
        folder=folder,
        name=name or own_name,
        host=host,
        port=port,
        engine=EngineSettings(
            num_threads=threads,
            cache_tokens=cache_tokens,
            max_running=max_running,
            has_prefix_cache=is_caching,
            precision=precision,
            activations=activations,
        ),
        limits=Limits(max_waiting=max_waiting, api_key=key),
        lifeline=sys.stdin.fileno() if is_tied else None,
    )
    return run(settings, lambda ready: click.echo(json.dumps(asdict(ready))))


def _resolve(reference: str, store_path: Path) -> tuple[Path, str]:
    """Find the folder to serve, and a name for it."""
    path = Path(reference)
    if path.is_dir() and not (path / "manifest.json").exists():
        folder = path.resolve()
        is_payload = folder.name == "payload" and (folder.parent / "manifest.json").exists()
        return folder, folder.parent.name[:12] if is_payload else folder.name
    root = path.resolve().parent.parent if path.is_dir() else store_path
    artifact = open_store(root).open(reference)
    if not isinstance(artifact, ModelArtifact):
        raise ArtifactError(f"{artifact.label} is no model; `burnish show` lists the models there are")
    return artifact.payload.resolve(), artifact.digest[:12]


def _key(variable: str | None) -> str | None:
    if variable is None:
        return None
    if not os.environ.get(variable):
        raise RecipeError(f"--api-key-env names {variable}, which is not set; set it to the key clients must send")
    return os.environ[variable]


if __name__ == "__main__":
    from burnish.cli.main import exit_code

    sys.exit(exit_code(lambda: serve.main(prog_name="burnish serve", standalone_mode=False)))
