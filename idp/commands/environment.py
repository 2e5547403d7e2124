"""`idp env`: the settings of this environment, without a look at the database."""

from __future__ import annotations

import click

from idp import config
from idp.commands import output
from idp.commands.command import Command
from idp.config import SettingInUse, Settings

INDENT = " " * 4


@click.command(cls=Command, example="idp env --json")
@output.json_option
def env(*, as_json: bool) -> None:
    """List every setting with its value, source and meaning, and unknown IDP_ variables.

    The source is `default`, `environment` or `file`. Of a secret only the length is shown, of an
    address with a password only scheme, host and port, and of an unknown variable only the name.
    The database is not opened.
    """
    settings = config.in_use(Settings())
    unknown = config.unknown_variables()
    if as_json:
        rows = [*map(_row, settings), *(_unknown_row(*pair) for pair in unknown.items())]
        output.show_rows(rows, as_json=True)
        return
    for setting in settings:
        print(output.text(f"{setting.name} = {_value(setting)} ({_source(setting)})"))
        print(click.wrap_text(setting.description, 100, INDENT, INDENT))
    for name, nearest in unknown.items():
        print(output.text(f"{name} ({_meaning_of_unknown(nearest)})"))


def _row(setting: SettingInUse) -> dict[str, object]:
    return {
        "name": setting.name,
        "value": setting.value,
        "source": setting.source,
        "file": setting.file or None,
        "secret": setting.is_secret,
        "length": setting.length if setting.is_secret else None,
        "meaning": setting.description,
    }


def _unknown_row(name: str, nearest: str) -> dict[str, object]:
    nothing = {"value": None, "source": "unknown", "file": None, "secret": None, "length": None}
    return {"name": name, **nothing, "meaning": _meaning_of_unknown(nearest)}


def _meaning_of_unknown(nearest: str) -> str:
    return f"not a setting; did you mean {nearest}?" if nearest else "not a setting"


def _value(setting: SettingInUse) -> str:
    if setting.length:
        return f"set, {setting.length} characters"
    return "empty" if setting.value == "" else output.text(setting.value)


def _source(setting: SettingInUse) -> str:
    return f"{setting.source} {setting.file}" if setting.file else setting.source
