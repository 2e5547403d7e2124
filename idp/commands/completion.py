"""`idp completion`: scripts by which shells complete commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from idp.commands.command import Command

VARIABLE = "_IDP_COMPLETE"
"""The variable that Click reads during completion; named after the command."""


@click.command(
    cls=Command,
    example="idp completion bash > /etc/bash_completion.d/idp\n"
    "idp completion zsh > /usr/local/share/zsh/site-functions/_idp\n"
    "idp completion fish > ~/.config/fish/completions/idp.fish",
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(*, shell: str) -> None:
    """Print the completion script of a shell."""
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"There is no completion for {shell}.")
    root = click.get_current_context().find_root().command
    print(kind(root, {}, "idp", VARIABLE).source())
