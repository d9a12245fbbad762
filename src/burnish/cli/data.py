"""`burnish data`: curate a dataset, and ask its ledger."""

import click

from burnish.cli.data_export import export
from burnish.cli.data_ledger import ledger
from burnish.cli.data_sample import sample
from burnish.cli.data_why import why
from burnish.cli.doors import door
from burnish.cli.run import Order, order_options, run_recipe
from burnish.cli.teaching import Chapter, Teaching


@click.group(
    cls=Chapter,
    steps=(
        ("burnish data run recipe.yaml", "sources in, a gated dataset and its report out"),
        ("burnish report --open", "the page: flow, rules, samples, copies, lengths"),
        ("burnish data sample --rule near_copy", "some of what a rule removed"),
        ("burnish data why d0000003", "the whole way of one record"),
        ("burnish data export --to train.jsonl", "what was kept, for any trainer"),
    ),
)
def data() -> None:
    """Curate data: collect, repair, mask, drop copies and what breaks a rule, and say of every record why.

    REF is a run (`latest`, or the start of its id) or a dataset (the start of its digest, 4 digits or more).
    """


@data.command(
    "run",
    cls=Teaching,
    examples=(
        ("burnish data run recipes/data/mixed.yaml", ""),
        ("burnish data run recipes/data/mixed.yaml --dry-run", "the plan only"),
        ("burnish data run recipes/data/mixed.yaml select.min_words=3", "another bound: cleaning is not done again"),
        ("burnish data run recipes/data/mixed.yaml report.samples=10", "more samples on the page"),
    ),
)
@order_options
def run(order: Order) -> int:
    """Curate what RECIPE.yaml describes. What is sealed already is not made again.

    Ctrl-C stops; the same command again goes on at the shard where it was, as it does after a crash.
    """
    with door("data"):
        from burnish.loop.data_chain import DataRecipe, data_chain

    return run_recipe(order, DataRecipe, data_chain)


for _command in (ledger, why, sample, export):
    data.add_command(_command)
