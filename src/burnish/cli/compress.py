"""`burnish compress`: make a model smaller, measure every form of it, and write it for other engines."""

from pathlib import Path

import click

from burnish.artifacts import ModelArtifact, Store
from burnish.cli.doors import door
from burnish.cli.run import Order, order_options, run_recipe
from burnish.cli.store import new_folder, store_option
from burnish.cli.teaching import Chapter, Teaching
from burnish.cli.telling import open_screen, plain_option, told
from burnish.errors import ArtifactError
from burnish.runtime import Run
from burnish.runtime.events import EventLog


@click.group(
    cls=Chapter,
    steps=(
        ("burnish compress matrix recipes/compress/matrix.yaml", "which scheme: loss, size and speed of each"),
        ("burnish compress run recipes/compress/int4.yaml", "quantise, check, measure"),
        ("burnish compress run recipes/compress/chain.yaml", "trim, prune, heal, quantise"),
        ("burnish compress bits STORE/model/DIGEST/payload", "the bits of every tensor"),
        ("burnish report --open", "the page: every form side by side"),
    ),
)
def compress() -> None:
    """Make a model smaller and faster: prune, distil, quantise, export; each form measured beside the one before."""


@compress.command(
    "run",
    cls=Teaching,
    examples=(
        ("burnish compress run recipes/compress/int4.yaml", ""),
        ("burnish compress run recipes/compress/int4.yaml profile=tiny", "in minutes, to see it work"),
        ("burnish compress run recipes/compress/prune.yaml prune.ffn_frac=0.3", "another value"),
        (
            "burnish compress run recipes/compress/int4.yaml base.source.kind=local_model base.source.path=models/mine",
            "your own model",
        ),
        ("burnish compress run recipes/compress/chain.yaml --dry-run", "the plan only"),
    ),
)
@order_options
def run(order: Order) -> int:
    """Compress what RECIPE.yaml describes, and set every form of the model beside the first.

    What is sealed already is not made again. Ctrl-C stops; the same command again resumes.
    """
    with door("quickstart"):
        from burnish.loop.compress_chain import CompressRecipe, compress_chain
        from burnish.loop.matrix_chain import MatrixRecipe

    return run_recipe(order, CompressRecipe, compress_chain, others={"burnish compress matrix": MatrixRecipe})


@compress.command(
    "matrix",
    cls=Teaching,
    examples=(
        ("burnish compress matrix recipes/compress/matrix.yaml", ""),
        ("burnish compress matrix recipes/compress/matrix.yaml load.concurrency=32", "at another load"),
    ),
)
@order_options
def matrix(order: Order) -> int:
    """Quantise by every scheme that RECIPE.yaml names, serve each, and put loss, size and speed in one table."""
    with door("quickstart"):
        from burnish.loop.compress_chain import CompressRecipe
        from burnish.loop.matrix_chain import MatrixRecipe, matrix_chain

    return run_recipe(order, MatrixRecipe, matrix_chain, others={"burnish compress run": CompressRecipe})


@compress.command(
    "export",
    cls=Teaching,
    examples=(
        ("burnish compress export 3f2a --to gguf,onnx", "a model of the store, by the start of its digest"),
        ("burnish compress export models/mine --to openvino", "a folder of yours"),
    ),
)
@click.argument("model", metavar="DIGEST|FOLDER")
@click.option("--to", "names", required=True, metavar="TARGET[,…]",
              help="openvino, gguf, onnx, compressed-tensors, executorch; several by commas.")  # fmt: skip
@plain_option
@store_option
def export(model: str, names: str, is_plain: bool, store_path: Path) -> None:
    """Write MODEL for other engines: its values on each engine's own grid, sealed, with what fell back in its evidence.

    What is sealed already is not written again.
    """
    with door("export"):
        from burnish.compress.export.write import ExportConfig, targets
        from burnish.compress.export.write import export as write

    kinds = targets()
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    unknown = [name for name in wanted if name not in kinds]
    if unknown or not wanted:
        raise click.UsageError(f"--to is {names!r}; there are: {', '.join(kinds)}")
    store = Store(store_path)
    screen = open_screen(is_plain=is_plain)
    events = EventLog(new_folder(store, "exports") / "events.jsonl", (screen,))
    with screen, told(events):
        run = Run(store, events)
        source = _model_of(run, model)
        written = [run(write, source, config=ExportConfig(kinds[name]()), label=name) for name in wanted]
    for name, artifact in zip(wanted, written, strict=True):
        click.echo(f"{name}: {artifact.payload}")


def _model_of(run: Run, reference: str) -> ModelArtifact:
    """Open a model of the store, or take a folder into it."""
    if Path(reference).is_dir():
        with door("train"):
            from burnish.train.base import BaseConfig, LocalModel, take_base

        return run(take_base, config=BaseConfig(LocalModel(Path(reference))), label="model")
    found = run.store.open(reference)
    if not isinstance(found, ModelArtifact):
        raise ArtifactError(f"{found.label} is no model; `burnish show` lists what there is")
    return found


@compress.command(
    "bits",
    cls=Teaching,
    examples=(("burnish compress bits .burnish/model/3f2a…/payload", "what each tensor is stored in"),),
)
@click.argument("model", type=click.Path(path_type=Path, exists=True, file_okay=False))
def bits(model: Path) -> None:
    """List the bits of every tensor of a quantised MODEL folder, read from the stored grids themselves."""
    with door("compress"):
        from burnish.compress.quantize import bits_of

    found = bits_of(model)
    width = max(map(len, found))
    for name, num_bits in found.items():
        click.echo(f"{name:<{width}}  {num_bits:5.2f}")
