"""`burnish completion`: the script that completes commands, options and digests in a shell."""

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

from burnish.cli.main import burnish
from burnish.cli.teaching import Teaching

_SHELLS: dict[str, type[ShellComplete]] = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}


@click.command(
    cls=Teaching,
    examples=(
        ('eval "$(burnish completion bash)"', "in ~/.bashrc"),
        ('eval "$(burnish completion zsh)"', "in ~/.zshrc"),
        ("burnish completion fish | source", "in ~/.config/fish/config.fish"),
    ),
)
@click.argument("shell", type=click.Choice(list(_SHELLS)))
def completion(shell: str) -> None:
    """Print the script that completes burnish commands in SHELL."""
    script = _SHELLS[shell](burnish, {}, "burnish", "_BURNISH_COMPLETE")
    click.echo(script.source_template % script.source_vars())
