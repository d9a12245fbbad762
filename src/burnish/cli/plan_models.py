"""`burnish plan`: what to expect before anything is made; `models` compares candidate models."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from burnish.cli.teaching import Chapter, Teaching
from burnish.cli.units import in_bytes
from burnish.errors import RecipeError

if TYPE_CHECKING:
    from burnish.plan.model_pick import Choice
    from burnish.plan.models import Limits, Row

_WIDE = 150  # columns of a terminal that has room for every figure
_MEMORY = {"lora": "LoRA", "full": "full"}  # the column of what a purpose takes; serving takes the weights
_SCENES = ("fraud", "defects", "finance", "medical")


@click.group(cls=Chapter, steps=(("burnish plan models --task generate", "which model to take, measured here"),))
def plan() -> None:
    """Plan: say what a choice costs before anything is downloaded or trained."""


@plan.command(
    "models",
    cls=Teaching,
    examples=(
        ("burnish plan models --task generate --max-memory-gb 4", "the largest decoder for 4 GB"),
        ("burnish plan models --scene fraud", "a classifier within the scene's bound on time"),
        ("burnish plan models --for lora --max-memory-gb 24 --seconds 0", "sizes alone, at once"),
        ("burnish plan models --model models/mine --json", "with a model of yours, for a program"),
    ),
)
@click.option("--task", type=click.Choice(["generate", "classify", "embed", "image"]), help="What the model is to do.")
@click.option("--scene", type=click.Choice(_SCENES), help="Take task and bound of a scene; options overrule it.")
@click.option("--for", "purpose", type=click.Choice(["serve", "lora", "full"]), default="serve", show_default=True,
              help="What the memory is for: serving, LoRA, or training every number.")  # fmt: skip
@click.option("--weights", "held", type=click.Choice(["fp32", "bf16", "int8", "int4"]), default="bf16",
              show_default=True, help="Format of the weights that serve.")  # fmt: skip
@click.option("--max-memory-gb", type=float, help="Memory that it may take, in 10^9 bytes.  [default: this machine's]")
@click.option("--max-p50-ms", type=float, help="Median time of one request.")
@click.option("--min-tokens-per-s", type=float, help="New tokens a second (generate), else tokens read.")
@click.option("--model", "models", type=click.Path(path_type=Path), multiple=True,
              help="A model folder or config.json of yours, compared too; may be given again.")  # fmt: skip
@click.option("--seconds", type=click.FloatRange(min=0), default=60.0, show_default=True,
              help="Time to measure speeds in; 0 measures none.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def models(
    task: str | None,
    scene: str | None,
    models: tuple[Path, ...],
    seconds: float,
    as_json: bool,
    **bounds: Any,
) -> int:
    """Compare models by size, memory and the speed of their shape on this machine; pick one under limits.

    Nothing is downloaded: sizes follow from configurations, and speed is timed on a few layers of the real shape
    with random weights, then extrapolated. Exit code 3 says that no candidate meets the limits.
    """
    from burnish.plan.model_catalogue import CATALOGUE, own_candidate
    from burnish.plan.model_pick import pick
    from burnish.plan.models import candidates_for, measure_rows

    limits = _limits(task, scene, bounds)
    if limits.needs_speed and seconds == 0:
        raise RecipeError("--seconds is 0 and a limit is on time, which must be measured; give --seconds above 0")
    sized = candidates_for(limits.task, [*map(own_candidate, models), *CATALOGUE], limits.purpose)
    rows = measure_rows(sized, limits, seconds=seconds, tell=lambda name: click.echo(f"timing {name}", err=True))
    choice = pick(rows, limits)
    if as_json:
        click.echo(json.dumps(_document(rows, limits, choice), indent=2))
    else:
        _print(rows, limits, choice)
    return 0 if choice.picked else 3


def _limits(task: str | None, scene: str | None, bounds: dict[str, Any]) -> "Limits":
    from burnish.plan.models import SCENES, Limits, machine_memory_gb

    if bounds["max_memory_gb"] is None:
        bounds["max_memory_gb"] = round(machine_memory_gb(), 1)
    if scene is not None:
        preset = SCENES[scene]
        task = task or preset.task
        if bounds["max_p50_ms"] is None:
            bounds["max_p50_ms"] = preset.max_p50_ms
        click.echo(f"scene {scene}: {preset.why}", err=True)
    return Limits(task=task or "generate", **bounds)  # type: ignore[arg-type]  # click has checked the choice


def _document(rows: Sequence["Row"], limits: "Limits", choice: "Choice") -> dict[str, Any]:
    from dataclasses import asdict

    from burnish.plan.models import as_json
    from burnish.runtime.hardware import hardware

    return {
        "machine": {**hardware(), "load": os.getloadavg()[0]},
        "limits": asdict(limits),
        "candidates": [as_json(row, limits) for row in rows],
        "pick": choice.picked.candidate.name if choice.picked else None,
        "reason": choice.reason,
    }


def _print(rows: Sequence["Row"], limits: "Limits", choice: "Choice") -> None:
    from rich.console import Console
    from rich.table import Table

    from burnish.plan.model_speed import Speed
    from burnish.plan.models import FORMATS
    from burnish.runtime.hardware import num_cores

    is_image = limits.task == "image"
    table = Table(title=f"models that {limits.task}", title_justify="left", title_style="bold", box=None)
    table.add_column("model", no_wrap=True)
    speeds = ("images/s",) if is_image else ("read tokens/s", *(("new tokens/s",) if limits.task == "generate" else ()))
    columns = (
        "parameters", *FORMATS, *(() if is_image else ("cache/token",)), "full", "LoRA",
        f"GFLOP/{'image' if is_image else 'token'}", *speeds, "p50",
    )  # fmt: skip
    console = Console()
    beside = {*FORMATS, "cache/token", "full", "LoRA", "GFLOP/token", "GFLOP/image"} - {
        _MEMORY.get(limits.purpose, limits.held)
    }
    shown = [at for at, column in enumerate(columns) if console.width >= _WIDE or column not in beside]
    for at in shown:
        table.add_column(columns[at], justify="right", min_width=len(max(columns[at].split(), key=len)))
    for row in rows:
        style = "bold" if row is choice.picked else "dim" if not isinstance(row.speed, Speed) else ""
        name, *cells = _cells(row, limits)
        table.add_row(name, *(cells[at] for at in shown), style=style)
    console.print(table)
    if len(shown) < len(columns):
        click.echo(f"a terminal of {_WIDE} columns shows the other formats too; --json has everything")
    untimed: dict[str, list[str]] = {}
    for row in rows:
        if not isinstance(row.speed, Speed):
            untimed.setdefault(row.speed.reason, []).append(row.candidate.name)
    for reason, names in untimed.items():
        click.echo(f"not timed ({reason}): {', '.join(names)}")
    for how in dict.fromkeys(row.speed.how for row in rows if isinstance(row.speed, Speed)):
        click.echo(f"timed: {how}")
    load, cores = os.getloadavg()[0], num_cores()
    if any(isinstance(row.speed, Speed) for row in rows) and load > cores + 1:
        click.echo(f"the machine is busy (load {load:.1f} on {cores} cores): speeds would be higher on an idle one")
    click.echo(f"pick: {choice.reason}" if choice.picked else choice.reason)


def _cells(row: "Row", limits: "Limits") -> list[str]:
    from burnish.plan.models import FORMATS, LORA_RANK, ROW_TOKENS

    size = row.size
    has_experts = size.active_parameters < size.parameters
    active = f" ({_short(size.active_parameters)} active)" if has_experts else ""
    lora = in_bytes(size.training_bytes(ROW_TOKENS, rank=LORA_RANK)) if size.lora_parameters(1) else ""
    p50_ms = row.p50_ms(limits.task)
    read, new = row.tokens_per_s("classify"), row.tokens_per_s("generate")
    if limits.task == "image":
        speeds = [_number(1000 / p50_ms if p50_ms else None)]
    else:
        speeds = [_number(read), *([_number(new)] if limits.task == "generate" else [])]
    cache = [] if limits.task == "image" else [in_bytes(size.cache_bytes()) if size.cached_numbers else ""]
    return [
        row.candidate.name,
        f"{_short(size.parameters)}{active}",
        *(in_bytes(size.weight_bytes(held)) for held in FORMATS),
        *cache,
        in_bytes(size.training_bytes(ROW_TOKENS)),
        lora,
        f"{row.flops / 1e9:.3g}",
        *speeds,
        "" if p50_ms is None else f"{p50_ms:,.3g} ms" if p50_ms < 1000 else f"{p50_ms / 1000:.3g} s",
    ]


def _short(count: float) -> str:
    return f"{count / 1e9:.3g}B" if count >= 999.5e6 else f"{count / 1e6:.3g}M"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}" if value >= 99.5 else f"{value:.3g}"
