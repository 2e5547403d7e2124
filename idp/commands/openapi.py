"""`idp openapi`: the documents about our APIs."""

from __future__ import annotations

from pathlib import Path

import click

from idp.api import docs
from idp.api.texts import LANGUAGES, Language
from idp.commands import opening
from idp.commands.command import Command


@click.command(cls=Command, example="idp openapi user-service --output user-service.json")
@click.argument("name", type=click.Choice(list(docs.CONTRACTS)), default=next(iter(docs.CONTRACTS)))
@click.option(
    "--output",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="File to write; without it the document is printed.",
)
@click.option("--lang", type=click.Choice(LANGUAGES), default="en", help="Language of its texts.")
def openapi(name: str, output: Path | None, lang: Language) -> None:
    """Print an OpenAPI document as it is served at /openapi/NAME.json."""
    issuer_url = opening.load_settings().public_url
    content = docs.document(name, issuer_url, lang, indented=True).decode() + "\n"
    if output is None:
        click.echo(content, nl=False)
    else:
        output.write_text(content, encoding="utf-8")
