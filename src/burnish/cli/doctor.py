"""`burnish doctor`: what this machine has, what is missing, and how to get it."""

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import click

from burnish import __version__
from burnish.cli.store import store_option
from burnish.cli.teaching import Teaching
from burnish.cli.units import in_bytes
from burnish.runtime.assets import ASSETS, cache_folder, cached_path
from burnish.runtime.extras import EXTRAS, missing
from burnish.runtime.hardware import hardware

ADDS = {
    "data": "collect, clean, select, augment, balance and split text",
    "embed": "embeddings of 100 languages without a network",
    "grammar": "check grammar with a parser, English and Chinese",
    "ray": "curate on a Ray cluster",
    "translate": "back-translate between English and Portuguese",
    "train": "fine-tune, merge and evaluate models",
    "search": "search for the values that a training learns best with",
    "compress": "quantize and export for OpenVINO",
    "export": "write GGUF, ONNX and compressed-tensors, and check",
    "executorch": "write ExecuTorch programs for phones",
    "serve": "serve a model behind an OpenAI-compatible address",
    "load": "measure a server through the OpenAI client",
    "track": "follow runs in MLflow (sqlite)",
    "wandb": "follow runs in Weights & Biases (offline)",
}
_SHOWN = 7  # of the distributions that are missing; they come together anyway
_CORE = ("click", "hydra-core", "omegaconf", "jinja2", "rich")


@click.command(
    cls=Teaching,
    examples=(
        ("burnish doctor", ""),
        ("burnish doctor > doctor.txt", "to send with a question"),
    ),
)
@store_option
def doctor(store_path: Path) -> None:
    """Say what this machine has, which parts of burnish are installed, and how to get the rest."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    facts = Table(box=None, show_header=False, pad_edge=False)
    facts.add_column(style="bold")
    facts.add_column(overflow="fold")
    for name, value in (*_machine(hardware()), *_software(), *_places(store_path)):
        facts.add_row(name, value)
    console.print(facts, "")
    extras = Table(box=None, pad_edge=False)
    for column in ("extra", "adds", "state"):
        extras.add_column(column, overflow="fold")
    for row in extra_rows():
        extras.add_row(*row)
    console.print(extras)


def extra_rows() -> list[tuple[str, str, str]]:
    """Say of each extra what it adds and whether it is complete, else what to type."""
    rows = []
    for extra in EXTRAS:
        lacking = missing(extra)
        more = f" and {len(lacking) - _SHOWN} more" if len(lacking) > _SHOWN else ""
        remedy = f"pip install 'burnish\\[{extra}]' (missing: {', '.join(lacking[:_SHOWN])}{more})"
        rows.append((extra, ADDS[extra], remedy if lacking else "complete"))
    return rows


def processor_notes(features: list[str]) -> list[str]:
    """Say what the processor's instruction sets mean for training and serving."""
    has = set(features)
    notes = []
    if has & {"amx_bf16", "avx512_bf16", "bf16"}:
        notes.append("bf16 in hardware: training in bf16 is worth a try")
    else:
        notes.append("no bf16 in hardware: fp32 trains faster")
    if has & {"amx_int8", "avx512_vnni", "i8mm"}:
        notes.append("int8 dot products in hardware (VNNI, AMX or i8mm): INT8 models run fast")
    else:
        notes.append("no int8 dot products in hardware: INT8 saves memory more than time")
    if "asimd" not in has:
        notes.append("AVX-512" if "avx512f" in has else "no AVX-512")
    return notes


def _machine(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "processor", f"{found['cpu']} ({found['architecture']}), {found['num_cores']} cores for this process"
    yield "", "; ".join(processor_notes(found["cpu_features"]))
    yield "memory", in_bytes(found["memory_bytes"])
    yield "GPU", "; ".join(found["gpus"]) or "none: everything runs on the processor"


def _software() -> Iterator[tuple[str, str]]:
    yield "burnish", f"{__version__} in {Path(__file__).parents[1]}"
    yield "Python", f"{platform.python_version()} at {sys.executable}"
    yield "", ", ".join(f"{name} {metadata.version(name)}" for name in _CORE)


def _places(store: Path) -> Iterator[tuple[str, str]]:
    nearest = next(folder for folder in (store.resolve(), *store.resolve().parents) if folder.exists())
    state = "" if store.exists() else ", not made yet"
    access = "" if os.access(nearest, os.W_OK) else ", NOT WRITABLE: choose another with --store"
    yield "store", f"{store.resolve()} ({in_bytes(shutil.disk_usage(nearest).free)} free{state}{access})"
    here = [asset for asset in ASSETS.values() if cached_path(asset).exists()]
    remedy = "" if len(here) == len(ASSETS) else "; the rest: burnish assets all"
    yield "assets", f"{len(here)} of {len(ASSETS)} in {cache_folder()}{remedy}"
