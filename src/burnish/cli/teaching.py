"""Commands, and groups of them, whose `--help` ends with examples, as they are typed."""

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


class Chapter(click.Group):
    """A group that lists its commands in the order in which they are used, and ends with the way through them.

    Args:
        steps: pairs of what to type and what it does, in the usual order.
    """

    def __init__(self, *args: Any, steps: tuple[tuple[str, str], ...] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.steps = steps

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Name the commands in the order in which they were added."""
        return list(self.commands)

    def format_epilog(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the usual way."""
        with formatter.section("Examples, in the usual order" if len(self.steps) > 1 else "Example"):
            formatter.write_dl(list(self.steps), col_max=48)
