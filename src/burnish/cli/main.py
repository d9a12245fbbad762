"""The command line: commands that are imported when they are asked for, and one place that ends a command."""

import difflib
import importlib
import os
import sys
from collections.abc import Callable
from typing import TextIO

import click

from burnish import __version__
from burnish.errors import BurnishError

# What the overview says of each command, so that it need not import them all.
COMMANDS = {
    "run": "Make what a recipe describes, or only plan it.",
    "plan": "Plan: which model to take, measured here under limits.",
    "data": "Curate data: run, look, ask why, export.",
    "train": "Tune a model by any method, or search for the best values.",
    "compress": "Make a model smaller and faster; export it to other engines.",
    "optimize": "Search the whole chain for the model that meets your limits.",
    "show": "List artifacts, or show one: card, evidence, lineage.",
    "compare": "Set the evidence of two artifacts side by side.",
    "claims": "Set published figures beside ours; measure them again.",
    "report": "Find a run's report and print its before/after table.",
    "serve": "Serve a model behind an OpenAI-compatible address.",
    "track": "Copy a run's events to MLflow or Weights & Biases.",
    "assets": "List and download the models and data of the recipes.",
    "doctor": "Say what this machine has, and what is missing.",
    "completion": "Print the script that completes commands in your shell.",
}

# Commands whose module has another name.
MODULES = {"plan": "plan_models"}

FIRST_STEPS = {
    "burnish doctor": "what this machine can do",
    "burnish run recipes/quickstart.yaml": "make everything, with evidence",
    "burnish report --open": "before and after",
    "burnish data run recipes/data/mixed.yaml": "raw files to a gated dataset",
    "burnish run --help": "each command shows examples",
}


class Commands(click.Group):
    """A group that imports a command's module when the command is asked for."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Name the commands in the order of the story."""
        return list(COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of one command."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"burnish.cli.{MODULES.get(cmd_name, cmd_name)}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that was typed, or name the nearest."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            nearest = difflib.get_close_matches(name, COMMANDS, n=1)
            hint = f" Did you mean {nearest[0]}?" if nearest else ""
            raise click.UsageError(f"no command {name!r}; there are: {', '.join(COMMANDS)}.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the overview without importing a command."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def format_epilog(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write how to begin, and what the exit codes mean."""
        with formatter.section("First steps"):
            formatter.write_dl(list(FIRST_STEPS.items()), col_max=40)
        with formatter.section("Exit codes"):
            formatter.write_text("0 done, 1 error, 2 wrong recipe or command line, 3 a gate failed, 130 stopped")


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="burnish")
def burnish() -> None:
    """Take a base model, domain text and limits; get back the served model that meets them.

    A run that was stopped, was killed, or had no disk left goes on where it was when the same command is given again.
    """


def main() -> None:
    """Run the command line and leave with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        _survive_any_encoding(stream)
    sys.exit(exit_code(lambda: burnish.main(sys.argv[1:], prog_name="burnish", standalone_mode=False)))


def exit_code(command: Callable[[], object]) -> int:
    """Run a command and give its exit code; a user's mistake is one sentence on stderr."""
    try:
        result = command()
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except BurnishError as error:
        say_error(str(error))
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        return 130
    return result if isinstance(result, int) else 0


def say_error(message: str) -> None:
    """Write one sentence on stderr, in colour on a terminal that wants it."""
    color = False if os.environ.get("NO_COLOR") else None
    click.echo(f"{click.style('error:', fg='red', bold=True)} {message}", err=True, color=color)


def _survive_any_encoding(stream: TextIO) -> None:
    """Replace what a terminal's encoding lacks (●, ✓) instead of failing."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="replace")
