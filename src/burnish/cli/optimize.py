"""`burnish optimize`: one search over the whole chain for the served model that meets the limits."""

from dataclasses import replace
from typing import Any

import click

from burnish.cli.doors import door
from burnish.cli.run import Order, order_options, run_recipe
from burnish.cli.teaching import Teaching

_LIMITS = {
    "min_quality": "limits.min_quality",
    "max_p99_ms": "limits.max_p99_ms",
    "max_memory_gb": "limits.max_memory_gb",
}
_LIMITS |= {"max_size_mb": "limits.max_size_mb", "prefer": "prefer"}


@click.command(
    cls=Teaching,
    examples=(
        ("burnish optimize recipes/optimize/quickstart.yaml", ""),
        ("burnish optimize recipes/optimize/quickstart.yaml --min-quality 0.95 --max-p99-ms 4000", "other limits"),
        ("burnish optimize recipes/optimize/quickstart.yaml --budget 2h", "search longer; what is measured counts"),
        ("burnish optimize recipes/optimize/quickstart.yaml --prefer size", "the smallest within the limits"),
        ("burnish optimize recipes/optimize/quickstart.yaml 'space.ffn_frac=[0.0, 0.2]'", "another space"),
        ("burnish optimize best.yaml", "make what was found; the search prints its path"),
    ),
)
@click.option("--min-quality", type=float, help="Floor of the quality; the low end of its interval must reach it.")
@click.option("--max-p99-ms", type=float, help="Ceiling of the P99 latency of a request at the recipe's load.")
@click.option("--max-memory-gb", type=float, help="Ceiling of the server's memory.")
@click.option("--max-size-mb", type=float, help="Ceiling of the exported files.")
@click.option("--prefer", type=click.Choice(["speed", "size", "quality"]), help="Which of those within the limits.")
@click.option("--budget", metavar="TIME", help="How long to search at most: 90s, 30m, 1.5h.")
@order_options
def optimize(order: Order, budget: str | None, **asked: Any) -> int:
    """Search tuning, pruning, healing, bits and engine settings together, as RECIPE.yaml says.

    Each candidate is served and measured by the real server, unless a cheap proxy shows before that it cannot meet the
    limits. Ctrl-C stops; the same command goes on with what is measured, and other limits use it too. The exit code is 3
    where no candidate meets the limits.
    """
    with door("quickstart"):
        from burnish.loop.optimize_chain import OptimizeRecipe, optimize_chain
        from burnish.loop.optimizing.budget import parse_seconds

    said = [f"{_LIMITS[name]}={value}" for name, value in asked.items() if value is not None]
    said += [] if budget is None else [f"max_seconds={parse_seconds(budget)}"]
    return run_recipe(replace(order, overrides=(*order.overrides, *said)), OptimizeRecipe, optimize_chain)
