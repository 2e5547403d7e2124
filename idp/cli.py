"""The command `idp`: subcommands are found by name and loaded on use."""

from __future__ import annotations

import gc
import importlib
import keyword
import logging
from typing import Any

import click

from idp import __version__

COMMANDS = {
    "api": ("idp.commands.apis", "Manage API resources and their scopes."),
    "audit": ("idp.commands.audit", "Read the audit log."),
    "backup": ("idp.commands.backing", "Write a backup."),
    "client": ("idp.commands.clients", "Manage OAuth clients."),
    "completion": ("idp.commands.completion", "Print the completion script of a shell."),
    "db": ("idp.commands.database", "Move the installation to another database."),
    "doctor": ("idp.commands.doctor", "Check the installation and report what to do."),
    "env": ("idp.commands.environment", "List every setting with its value and source."),
    "explain": ("idp.commands.explain", "Explain tokens and refused requests."),
    "gateway": ("idp.commands.gateway", "Manage gateway products, subscriptions and upstreams."),
    "import": (
        "idp.commands.importing",
        "Import people, applications, menus, privileges and products.",
    ),
    "keys": ("idp.commands.keys", "Manage signing keys and the root secret."),
    "openapi": ("idp.commands.openapi", "Print the OpenAPI documents."),
    "outbox": ("idp.commands.outbox", "List and retry messages and jobs."),
    "passwords": ("idp.commands.passwords", "Prepare the list of stolen passwords."),
    "privilege": ("idp.commands.privileges", "Manage privileges (permissions)."),
    "recover": ("idp.commands.backing", "Make a database of an earlier state safe."),
    "registration": ("idp.commands.registration", "Manage how clients register themselves."),
    "restore": ("idp.commands.backing", "Restore a backup into an empty database."),
    "serve": ("idp.commands.serve", "Run the server and the outbox worker."),
    "setup": ("idp.commands.setup", "Create or update tables, keys and seeds."),
    "tenant": ("idp.commands.tenants", "Manage tenants and their hosts."),
    "token": ("idp.commands.tokens", "Issue an access token for a person."),
    "user": ("idp.commands.users", "Manage user accounts."),
    "worker": ("idp.commands.worker", "Deliver messages, clean up, rotate keys."),
}


class Commands(click.Group):
    """A group that loads commands on use, and reports failures in one sentence."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        del ctx
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of a command."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, _ = COMMANDS[cmd_name]
        # The module of a command that is a reserved word has a trailing underscore.
        attribute = f"{cmd_name}_" if keyword.iskeyword(cmd_name) else cmd_name
        gc.disable()  # imports make a million objects and no garbage
        try:
            command: click.Command = getattr(importlib.import_module(module), attribute)
        finally:
            gc.freeze()  # imported objects stay; the collector need not visit them again
            gc.enable()
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return a command; for an unknown name suggest similar ones."""
        try:
            return super().resolve_command(ctx, args)
        except click.NoSuchCommand as error:
            raise click.NoSuchCommand(error.command_name, possibilities=COMMANDS, ctx=ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without loading them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in sorted(COMMANDS.items())])

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; expected failures end with a sentence and exit code 1 or 2."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as problem:
            # Imported late: a successful command does not need it.
            from idp.commands import failures  # noqa: PLC0415

            refusal = failures.explain(problem)
            if refusal is None:
                raise
            raise refusal from None


@click.group(cls=Commands)
@click.version_option(__version__, package_name="idp", prog_name="idp")
def main() -> None:
    """OAuth 2.0 and OpenID Connect identity provider."""
    # Its lines about every database access are not for the output of commands.
    logging.getLogger("alembic").setLevel(logging.WARNING)


if __name__ == "__main__":
    main()
