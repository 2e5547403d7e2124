"""Changes of menus: entries are created, changed, arranged in their tree, and deleted."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import orjson
from sqlalchemy import delete as delete_from
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, joinedload

from idp.directory.applications.models import Application, Menu
from idp.directory.roles import catalogue
from idp.directory.roles.models import Privilege
from idp.platform import stamps
from idp.platform.audit import service as audit
from idp.platform.audit.difference import Rows, State
from idp.platform.audit.tags import Tag
from idp.platform.errors import BadRequest, Conflict, NotFound
from idp.platform.integers import INT32_MAX
from idp.platform.translation import N_, filled

DEEPEST = 10
"""Levels of a menu."""
MOST_ENTRIES = 500
"""Entries that an application may have for its menu to be changed here."""
STEP = 10
"""Between the `sort` of neighbours, so that an import can place entries between them."""
LONGEST_CODE, LONGEST_TITLE, LONGEST_ICON, LONGEST_TEXT = 100, 200, 200, 2000
_SCHEMES = frozenset({"", "http", "https"})
_VALUES = ("title", "icon", "url", "comment", "sort", "status")


@dataclass(frozen=True, slots=True)
class MenuSpec:
    """The values of an entry, without its place."""

    title: str
    icon: str | None = None
    url: str | None = None
    comment: str | None = None
    privilege_code: str | None = None
    is_enabled: bool = True


@dataclass(frozen=True, slots=True)
class Place:
    """Where an entry stands, and whether it is shown; listed in the order of the tree."""

    id: int
    parent_id: int | None
    is_enabled: bool


def read(session: Session, application: Application) -> list[Menu]:
    """Return all entries of an application, each before those below it; disabled ones too."""
    rows = session.scalars(
        select(Menu)
        .where(Menu.application_id == application.id)
        .options(joinedload(Menu.privilege))
        .order_by(Menu.sort, Menu.id)
        .execution_options(populate_existing=True)
    ).all()
    below: defaultdict[int | None, list[Menu]] = defaultdict(list)
    for row in rows:
        below[row.parent_id].append(row)
    found, waiting = [], below[None][::-1]
    while waiting:
        found.append(waiting.pop())
        waiting += below[found[-1].id][::-1]
    return found


def find(entries: Iterable[Menu], menu_id: int) -> Menu:
    """Return one of the entries of an application."""
    for entry in entries:
        if entry.id == menu_id:
            return entry
    raise NotFound(N_("There is no such menu."))


def find_by_code(entries: Iterable[Menu], code: str) -> Menu:
    """Return one of the entries of an application by its code."""
    for entry in entries:
        if entry.code == code:
            return entry
    raise NotFound(N_("There is no such menu."))


def levels(entries: Iterable[Menu]) -> dict[int, int]:
    """Return how deep each entry stands; those of the first level have 1."""
    found: dict[int, int] = {}
    for entry in entries:
        found[entry.id] = 1 if entry.parent_id is None else found[entry.parent_id] + 1
    return found


def subtree(entries: Iterable[Menu], root: Menu) -> list[Menu]:
    """Return an entry and all that are below it."""
    inside, found = {root.id}, [root]
    for entry in entries:
        if entry.parent_id in inside:
            inside.add(entry.id)
            found.append(entry)
    return found


def stamp_of(entries: Iterable[Menu]) -> str:
    """Return what distinguishes one state of entries from every other."""
    state = [
        [entry.id, entry.code, entry.parent_id, entry.privilege_id]
        + [getattr(entry, name) for name in _VALUES]
        for entry in entries
    ]
    return hashlib.sha256(orjson.dumps(state)).hexdigest()[:32]


def create(
    session: Session,
    application: Application,
    code: str,
    spec: MenuSpec,
    *,
    parent_id: int | None = None,
) -> Menu:
    """Create an entry, the last one below its parent; None: of the first level."""
    entries = _lock(session, application)
    catalogue.check_code(code, LONGEST_CODE)
    if len(entries) >= MOST_ENTRIES:
        message = f"An application can have at most {MOST_ENTRIES} entries."
        raise Conflict.at("code", message, code="quota_reached")
    if parent_id is not None:
        _check_parent(entries, parent_id)
    sort = max((row.sort for row in entries if row.parent_id == parent_id), default=0)
    made = Menu(
        application_id=application.id,
        parent_id=parent_id,
        code=code,
        sort=min(sort + STEP, INT32_MAX),
    )
    _write(session, application, made, spec)
    try:
        with session.begin_nested():
            session.add(made)
    except IntegrityError:
        raise Conflict.at("code", filled(N_("The code %(code)s is taken."), code=code)) from None
    _record(session, application, {}, _state([made], entries))
    return made


def change(
    session: Session, application: Application, menu_id: int, spec: MenuSpec, stamp: str | None
) -> Menu:
    """Change the values of an entry that is in the state of `stamp` (None: any)."""
    entries = _lock(session, application)
    menu = find(entries, menu_id)
    stamps.check(stamp_of([menu]), stamp)
    before = _state([menu], entries)
    _write(session, application, menu, spec)
    session.flush()
    _record(session, application, before, _state([menu], entries))
    return menu


def arrange(
    session: Session, application: Application, places: Sequence[Place], stamp: str | None
) -> None:
    """Put all entries of an application in their places; `stamp` is that of all of them."""
    entries = _lock(session, application)
    stamps.check(stamp_of(entries), stamp)
    check_places(entries, places)
    before = _state(entries, entries)
    rows = {entry.id: entry for entry in entries}
    old = _order((entry.id, entry.parent_id) for entry in entries)
    new = _order((place.id, place.parent_id) for place in places)
    for place in places:
        row = rows[place.id]
        row.parent_id = place.parent_id
        row.status = int(place.is_enabled)
    for parent_id, ids in new.items():
        if ids != old.get(parent_id):
            for index, menu_id in enumerate(ids, 1):
                rows[menu_id].sort = index * STEP
    session.flush()
    _record(session, application, before, _state(entries, entries))


def delete(
    session: Session,
    application: Application,
    menu_id: int,
    stamp: str | None,
    *,
    with_below: bool = False,
) -> int:
    """Delete an entry in the state of `stamp`; return how many were deleted.

    With those below it, where that is meant; the stamp is then that of all of them.
    """
    entries = _lock(session, application)
    doomed = subtree(entries, find(entries, menu_id))
    if len(doomed) > 1 and not with_below:
        raise Conflict(N_("There are entries below this one. Delete them first."))
    stamps.check(stamp_of(doomed), stamp)
    before = _state(doomed, entries)
    by_level: defaultdict[int, list[int]] = defaultdict(list)
    depth = levels(entries)
    for entry in doomed:
        by_level[depth[entry.id]].append(entry.id)
        session.expunge(entry)
    for level in sorted(by_level, reverse=True):  # an entry goes after those below it
        session.execute(delete_from(Menu).where(Menu.id.in_(by_level[level])))
    _record(session, application, before, {})
    return len(doomed)


def check_places(entries: Iterable[Menu], places: Sequence[Place]) -> None:
    """Refuse places that are not those of the entries: each once, below one that comes before."""
    stored = {entry.id for entry in entries}
    depth: dict[int | None, int] = {None: 0}
    for place in places:
        if place.id in depth or place.id not in stored or place.parent_id not in depth:
            raise BadRequest.at("places", N_("Unknown value in the form."))
        depth[place.id] = depth[place.parent_id] + 1
        if depth[place.id] > DEEPEST:
            raise BadRequest.at("places", _too_deep())
    if len(depth) <= len(stored):
        raise stamps.outdated()


def check_url(url: str | None) -> None:
    """Refuse an address that a browser would run: only paths, http and https are left."""
    text = (url or "").strip()
    try:
        scheme = urlsplit(text).scheme.lower()
    except ValueError:
        scheme = "?"
    if not text.isprintable() or scheme not in _SCHEMES:
        raise BadRequest.at("url", N_("Enter a path, or an address that begins with http(s)://."))


def _lock(session: Session, application: Application) -> list[Menu]:
    """Return the entries of an application; its menu is changed by one after the other."""
    turn = select(Application.id).where(Application.id == application.id).with_for_update()
    if session.scalar(turn) is None:
        raise NotFound(N_("There is no such application."))
    return read(session, application)


def _write(session: Session, application: Application, menu: Menu, spec: MenuSpec) -> None:
    menu.title = _text("title", spec.title, LONGEST_TITLE)
    if not menu.title:
        raise BadRequest.at("title", N_("Enter a title."))
    check_url(spec.url)
    menu.icon = _text("icon", spec.icon, LONGEST_ICON) or None
    menu.url = _text("url", spec.url, LONGEST_TEXT) or None
    menu.comment = _text("comment", spec.comment, LONGEST_TEXT) or None
    menu.status = int(spec.is_enabled)
    code = (spec.privilege_code or "").strip()
    if code != (menu.privilege.code if menu.privilege is not None else ""):
        menu.privilege = _privilege(session, application, code) if code else None


def _text(field: str, value: str | None, longest: int) -> str:
    text = (value or "").strip()
    if len(text) > longest or not text.isprintable():
        raise BadRequest.at(
            field,
            filled(N_("Must have at most %(longest)s printable characters."), longest=longest),
        )
    return text


def _privilege(session: Session, application: Application, code: str) -> Privilege:
    """Return a privilege that people of the application's tenant can hold."""
    found = catalogue.find_visible(session, code, application.tenant_id)
    if found is None:
        raise BadRequest.at("privilege", N_("There is no such privilege."))
    return found


def _check_parent(entries: Sequence[Menu], parent_id: int) -> None:
    depth = levels(entries)
    if parent_id not in depth:
        raise BadRequest.at("parent", N_("There is no such entry."))
    if depth[parent_id] >= DEEPEST:
        raise BadRequest.at("parent", _too_deep())


def _too_deep() -> str:
    return f"Menus can be nested at most {DEEPEST} levels deep."


def _order(pairs: Iterable[tuple[int, int | None]]) -> dict[int | None, list[int]]:
    """Return the entries below each parent, in their order."""
    found: defaultdict[int | None, list[int]] = defaultdict(list)
    for menu_id, parent_id in pairs:
        found[parent_id].append(menu_id)
    return dict(found)


def _state(shown: Collection[Menu], entries: Iterable[Menu]) -> State:
    """Return what the audit log compares of entries: their codes, and a list for each value."""
    codes = {entry.id: entry.code for entry in (*entries, *shown)}
    state: dict[str, Any] = {"menus": Rows({entry.id: entry.code for entry in shown})}
    for name in _VALUES:
        values = {entry.id: (entry.code, getattr(entry, name)) for entry in shown}
        state[f"menus.{name}"] = Rows(values)
    above = {entry.id: (entry.code, codes.get(entry.parent_id or 0)) for entry in shown}
    opening = {
        entry.id: (entry.code, entry.privilege.code if entry.privilege is not None else None)
        for entry in shown
    }
    return {**state, "menus.parent": Rows(above), "menus.privilege": Rows(opening)}


def _record(session: Session, application: Application, before: State, after: State) -> None:
    if before != after:
        target, tenant_id = f"application:{application.code}", application.tenant_id
        audit.record_change(
            session, Tag.APPLICATION_CHANGED, target, before, after, tenant_id=tenant_id
        )
