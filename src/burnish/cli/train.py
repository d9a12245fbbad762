"""`burnish train`: tune a model, and search for the values that it tunes best with."""

import click

from burnish.cli.doors import door
from burnish.cli.run import Order, order_options, run_recipe
from burnish.cli.teaching import Chapter, Teaching
from burnish.cli.train_search import search


@click.group(
    cls=Chapter,
    steps=(
        ("burnish plan models --for lora", "which model fits this machine"),
        ("burnish train search recipes/train/search.yaml", "which values it learns best with"),
        ("burnish train run recipes/train/lora.yaml", "train, and measure before and after"),
        ("burnish report --open", "the page: loss, quality, lineage"),
    ),
)
def train() -> None:
    """Tune a model by any method: LoRA, full, prefix, prompt, layer by layer; on labels, chats, text or preferences."""


@train.command(
    "run",
    cls=Teaching,
    examples=(
        ("burnish train run recipes/train/lora.yaml", ""),
        ("burnish train run recipes/train/lora.yaml profile=tiny", "in a minute, to see it work"),
        ("burnish train run recipes/train/lora.yaml train.method.rank=8", "another value"),
        ("burnish train run recipes/train/dpo.yaml --dry-run", "the plan only"),
        ("burnish train run recipes/train/full.yaml 'track=[mlflow]'", "followed in MLflow"),
    ),
)
@order_options
def run(order: Order) -> int:
    """Train what RECIPE.yaml describes. What is sealed already is not made again.

    Ctrl-C stops; the same command again goes on from the last snapshot, as it does after a crash.
    """
    with door("quickstart"):
        from burnish.loop.search_chain import SearchRecipe
        from burnish.loop.train_chain import TrainRecipe, train_chain

    return run_recipe(order, TrainRecipe, train_chain, others={"burnish train search": SearchRecipe})


train.add_command(search)
