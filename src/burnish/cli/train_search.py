"""`burnish train search`: find the values that a training learns best with."""

import click

from burnish.cli.doors import door
from burnish.cli.run import Order, order_options, run_recipe
from burnish.cli.teaching import Teaching


@click.command(
    "search",
    cls=Teaching,
    examples=(
        ("burnish train search recipes/train/search.yaml", ""),
        ("burnish train search recipes/train/search.yaml search.workers=2", "two trials at a time"),
        ("burnish train search recipes/train/search.yaml search.max_seconds=1800", "half an hour at most"),
        ("burnish train search recipes/train/search.yaml 'search.shape={rank: [4, 8]}'", "another grid"),
        ("burnish train run best.yaml", "train with what was found; the search prints its path"),
    ),
)
@order_options
def search(order: Order) -> int:
    """Search learning rate and batch, then the method's shape, then regularisation, as RECIPE.yaml says.

    Ctrl-C stops; the same command again goes on with the trial where it was, as it does after a crash.
    """
    with door("search"):
        from burnish.loop.search_chain import SearchRecipe, search_chain

    return run_recipe(order, SearchRecipe, search_chain)
