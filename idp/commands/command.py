"""The help of commands: an example for each, and which options may be repeated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

Function = TypeVar("Function", bound=Callable[..., Any])


class Command(click.Command):
    """A command whose help ends with an example."""

    def __init__(self, *args: Any, example: str = "", **fields: Any) -> None:
        super().__init__(*args, **fields)
        self.example = example
        for option in self.params:
            if isinstance(option, click.Option) and option.multiple:
                option.help = f"{option.help or ''} May be repeated.".lstrip()

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Print the example as it is typed, without wrapping."""
        super().format_epilog(ctx, formatter)
        if self.example:
            with formatter.section("Example"):
                for line in self.example.splitlines():
                    formatter.write(f"  {line}\n")


class Group(click.Group):
    """A group of such commands."""

    command_class = Command
    group_class = type


def confirm(question: str, *, yes: bool, as_json: bool) -> None:
    """Ask before something is deleted; Abort unless the answer is yes.

    Programs cannot answer, so with `--json` the option `--yes` is required.
    """
    if yes:
        return
    if as_json:
        raise click.UsageError("With --json there is no prompt; confirm with --yes.")
    click.confirm(question, abort=True, err=True)


def yes_option(command: Function) -> Function:
    """Add `--yes`."""
    return click.option("--yes", is_flag=True, help="Do not ask for confirmation.")(command)
