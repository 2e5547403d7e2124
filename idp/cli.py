"""The command `idp`: subcommands are found by name and loaded when they are used."""

from __future__ import annotations

import gc
import importlib
import keyword
import logging
from typing import Any

import click
from pydantic import ValidationError
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from idp import __version__
from idp.config import SettingsError
from idp.platform.errors import Problem
from idp.platform.secrets import UnknownKeyError

COMMANDS = {
    "audit": ("idp.commands.audit", "Read the audit trail."),
    "client": ("idp.commands.clients", "Keep OAuth clients."),
    "db": ("idp.commands.database", "Move the installation to another database."),
    "gateway": ("idp.commands.gateway", "Keep what APIs need at the gateway."),
    "import": ("idp.commands.importing", "Bring in applications, menus, privileges, products."),
    "keys": ("idp.commands.keys", "Keep signing keys and the root secret."),
    "openapi": ("idp.commands.openapi", "Print the documents about the APIs."),
    "serve": ("idp.commands.serve", "Serve, with the outbox worker beside."),
    "setup": ("idp.commands.setup", "Make or update tables, keys and seeds."),
    "token": ("idp.commands.tokens", "Make an access token for a person."),
    "user": ("idp.commands.users", "Keep accounts of people."),
    "worker": ("idp.commands.worker", "Send what the outbox holds, clean up, rotate keys."),
}


class UnusableSettings(click.ClickException):
    """The settings must be changed before anything can be done."""

    exit_code = 2


class Commands(click.Group):
    """Loads a command when it is named, and says in one sentence what went wrong."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the names of all commands."""
        del ctx
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of a command."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, _ = COMMANDS[cmd_name]
        # A name that Python keeps for itself has an underscore behind.
        attribute = f"{cmd_name}_" if keyword.iskeyword(cmd_name) else cmd_name
        gc.disable()  # imports make a million objects and no garbage
        try:
            command: click.Command = getattr(importlib.import_module(module), attribute)
        finally:
            gc.enable()
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without loading them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in sorted(COMMANDS.items())])

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; expected failures end with a sentence and exit code 1 or 2."""
        try:
            return super().invoke(ctx)
        except (SettingsError, ValidationError) as problem:
            raise UnusableSettings(_settings_sentence(problem)) from None
        except Problem as problem:
            raise click.ClickException(problem.detail) from None
        except UnknownKeyError:
            raise click.ClickException(
                "A stored value was made under a root secret that IDP_SECRET_KEY does not hold."
            ) from None
        except DBAPIError as problem:
            reason = str(problem.orig).strip().partition("\n")[0]
            raise click.ClickException(f"The database refused: {reason}") from None
        except SQLAlchemyError as problem:
            reason = str(problem).partition("\n")[0]
            raise click.ClickException(f"The database cannot be used: {reason}") from None


@click.group(cls=Commands)
@click.version_option(__version__, package_name="idp", prog_name="idp")
def main() -> None:
    """OAuth 2.0 and OpenID Connect identity provider."""
    # It tells of every look at the database; a command answers in its own words.
    logging.getLogger("alembic").setLevel(logging.WARNING)


def _settings_sentence(problem: SettingsError | ValidationError) -> str:
    if isinstance(problem, SettingsError):
        return f"{problem}."
    wrong = []
    for error in problem.errors(include_input=False, include_url=False):
        name = f"IDP_{str(error['loc'][0]).upper()}: " if error["loc"] else ""
        wrong.append(name + error["msg"].removeprefix("Value error, "))
    return "; ".join(wrong) + "."


if __name__ == "__main__":
    main()
