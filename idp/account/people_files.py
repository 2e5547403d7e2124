"""People in files: exported as CSV, and imported from it, all of a file or nothing."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import StringIO

from sqlalchemy.orm import Session

from idp.account import administration
from idp.directory.actor import Actor
from idp.directory.users.management import NewPerson
from idp.directory.users.models import User
from idp.platform import runtime
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.errors import BadRequest, Problem, TooManyRequests
from idp.platform.translation import N_
from idp.platform.wire import csv_lines

EXPORTED = ("id", "username", "name", "email", "mobile", "locale", "state", "created_at", "roles")
IMPORTED = ("username", "email", "mobile", "nickname", "locale", "roles")
NEEDED = ("username", "email")
MOST_EXPORTED = 10_000
MOST_IMPORTED = 200
MOST_CHARACTERS = 200_000
LONGEST_CELL = 400
FILES_PER_HOUR = 20
"""Of one importer, checked ones too."""
HOUR = 3600


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a file, and why it is refused; no reasons: it is accepted."""

    number: int
    username: str
    email: str
    roles: Sequence[str]
    problem: Problem | None = None


def write(
    session: Session, actor: Actor, people: Sequence[User], roles: dict[int, list[str]]
) -> str:
    """Return people as CSV whose cells no spreadsheet calculates, and record the export."""
    audit.record(
        session, Tag.USER_EXPORTED, tenant_id=actor.tenant_id, details={"count": len(people)}
    )
    rows = (_cells(user, roles.get(user.id, ())) for user in people)
    return "".join(csv_lines.lines(EXPORTED, rows))


def read(session: Session, actor: Actor, text: str, locale: str) -> list[Row]:
    """Create the people of a file; each is sent a link by which they choose a password.

    The rows that are refused say why. Unless none is, the caller rolls all of them back.
    """
    lines = list(_lines(text))
    # A refusal reveals that a name is taken: about as many as one by one in the same time.
    throttle = runtime.of(session).throttle
    throttle.hit("people import", f"person {actor.person_id}", FILES_PER_HOUR, HOUR)
    return [_create(session, actor, number, cells, locale) for number, cells in lines]


def _create(session: Session, actor: Actor, number: int, cells: dict[str, str], locale: str) -> Row:
    roles = cells.get("roles", "").replace(";", " ").split()
    row = Row(number, cells.get("username", ""), cells.get("email", ""), roles)
    new = NewPerson(
        username=row.username,
        email=row.email or None,
        mobile=cells.get("mobile") or None,
        nick_name=cells.get("nickname") or None,
        locale=cells.get("locale") or None,
        roles=roles,
    )
    try:
        with session.begin_nested():
            administration.create(session, actor, new, by_link=True, locale=locale)
    except TooManyRequests:
        raise
    except Problem as problem:
        return Row(number, row.username, row.email, roles, problem)
    return row


def _lines(text: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Read the lines below the names of the columns, with their numbers."""
    if len(text) > MOST_CHARACTERS or "\0" in text:
        raise BadRequest.at("file", N_("This file is too long or not a text file."))
    try:
        rows = list(csv.reader(StringIO(text.removeprefix("\ufeff").strip(), newline="")))
    except csv.Error:
        raise BadRequest.at("file", N_("This is not a CSV file.")) from None
    names = [name.strip().casefold() for name in rows[0]] if rows else []
    _check_columns(names)
    if len(rows) - 1 > MOST_IMPORTED:
        message = N_("The file has too many lines; at most this number") + f": {MOST_IMPORTED}"
        raise BadRequest.at("file", message)
    for number, row in enumerate(rows[1:], 2):
        if any(cell.strip() for cell in row):
            yield number, dict(zip(names, _clean(row, number), strict=False))


def _check_columns(names: Sequence[str]) -> None:
    for name in names:
        if name not in IMPORTED or names.count(name) > 1:
            message = N_("Unknown or repeated column") + f": {name[:50]}"
            raise BadRequest.at("file", message)
    for name in NEEDED:
        if name not in names:
            raise BadRequest.at("file", N_("This column is missing") + f": {name}")


def _clean(cells: Iterable[str], number: int) -> Iterator[str]:
    for cell in cells:
        if len(cell) > LONGEST_CELL:
            raise BadRequest.at("file", N_("A value is too long in line") + f": {number}")
        text = cell.strip()
        # What an export wrote so that no spreadsheet calculates it.
        is_marked = text[:1] == "'" and text[1:].startswith(csv_lines.FORMULA_STARTS)
        yield text[1:] if is_marked else text


def _cells(user: User, roles: Sequence[str]) -> Sequence[object]:
    state = "disabled" if user.is_disabled else "locked" if user.is_locked else "active"
    return (
        user.id,
        user.username,
        user.full_name,
        user.email,
        user.mobile,
        user.locale,
        state,
        user.created_at,
        " ".join(roles),
    )
