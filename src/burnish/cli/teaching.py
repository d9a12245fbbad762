"""Commands whose `--help` ends with examples, as they are typed."""

from typing import Any

import click


class Teaching(click.Command):
    """A command with examples.

    Args:
        examples: pairs of what to type and what it does.
    """

    def __init__(self, *args: Any, examples: tuple[tuple[str, str], ...] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples, then what else the command says at its end."""
        width = max((len(typed) for typed, _ in self.examples), default=0)
        with formatter.section("Examples"):
            for typed, what in self.examples:
                formatter.write(f"  {typed:<{width}}  {what}".rstrip() + "\n")
        super().format_epilog(ctx, formatter)
