"""The rules of the market: one row for each package of an API."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from idp.directory.actor import Actor
from idp.directory.clients import addresses
from idp.directory.resources.models import ApiResource
from idp.platform import clock
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.db import count_hits, insert
from idp.platform.errors import BadRequest, Conflict
from idp.platform.translation import N_, filled
from idp.publishing import apis
from idp.publishing.packages.models import SdkPackage

MOST = 500
"""Packages of one API."""
LONGEST_NAME = 200
_NAME = re.compile(r"[\w@](?:[\w@.+/ -]*[\w+])?")
_ANY_WEB_ADDRESS = addresses.Rules(native=False, development=True)


@dataclass(frozen=True, slots=True)
class Content:
    """The description of a package."""

    name: str
    publisher: str
    link: str
    icon: str
    platform: str
    language: str
    version: str | None = None
    description: str | None = None
    show_index: int = 0
    tags: str | None = None


def list_visible(session: Session, actor: Actor, api_id: int) -> Sequence[SdkPackage]:
    """List the packages of an API that the actor may see, in the order of the market."""
    return listing(session, apis.get_visible(session, actor, api_id).id)


def listing(session: Session, api_id: int) -> Sequence[SdkPackage]:
    """List the packages of an API, in the order of the market."""
    return session.scalars(
        select(SdkPackage)
        .where(SdkPackage.api_resource_id == api_id)
        .order_by(SdkPackage.show_index, SdkPackage.name)
    ).all()


def count_of(session: Session, api_ids: Collection[int]) -> dict[int, int]:
    """Return how many packages each of several APIs has."""
    column = SdkPackage.api_resource_id
    query = select(column, func.count()).where(column.in_(api_ids)).group_by(column)
    return dict.fromkeys(api_ids, 0) | dict(session.execute(query).all())


def add(session: Session, actor: Actor, api_id: int, content: Content) -> int:
    """Add a package to an API that the actor manages; return its id."""
    return enter(session, apis.get_managed(session, actor, api_id), content)


def enter(session: Session, api: ApiResource, content: Content, *, replace: bool = False) -> int:
    """Add a package and return its id; Conflict if the name is in use, unless it is replaced."""
    check(content)
    count = session.scalar(
        select(func.count()).select_from(SdkPackage).where(SdkPackage.api_resource_id == api.id)
    )
    if count and count >= MOST and not replace:
        raise Conflict(filled(N_("An API may have at most %(most)s packages."), most=MOST))
    values = asdict(content)
    statement = insert(session, SdkPackage).values(api_resource_id=api.id, **values)
    key = [SdkPackage.api_resource_id, SdkPackage.name]
    if replace:
        statement = statement.on_conflict_do_update(
            index_elements=key, set_={**values, "updated_at": clock.now()}
        )
    else:
        statement = statement.on_conflict_do_nothing(index_elements=key)
    row_id: int | None = session.scalar(statement.returning(SdkPackage.id))
    if row_id is None:
        raise Conflict.at("name", N_("This API already has a package of this name."))
    audit.record(
        session,
        Tag.PACKAGE_ENTERED,
        tenant_id=api.tenant_id,
        target=f"api:{api.name}",
        details={"package": content.name, "version": content.version},
    )
    return row_id


def remove(session: Session, actor: Actor, api_id: int, name: str) -> None:
    """Remove a package from the market, if it is there."""
    api = apis.get_managed(session, actor, api_id)
    removed = count_hits(
        session,
        delete(SdkPackage).where(SdkPackage.api_resource_id == api.id, SdkPackage.name == name),
    )
    if removed:
        audit.record(
            session,
            Tag.PACKAGE_REMOVED,
            tenant_id=api.tenant_id,
            target=f"api:{api.name}",
            details={"package": name},
        )


def check(content: Content) -> None:
    """Refuse names that no address can contain, and addresses that are not on the web."""
    check_name(content.name)
    addresses.document(content.link, "link", _ANY_WEB_ADDRESS)
    addresses.document(content.icon, "icon", _ANY_WEB_ADDRESS)


def check_name(name: str) -> None:
    """Refuse a name that a package cannot have."""
    fits = len(name) <= LONGEST_NAME and _NAME.fullmatch(name)
    if not fits or not {"", ".", ".."}.isdisjoint(name.split("/")):
        raise BadRequest.at(
            "name",
            filled(
                N_("Must have up to %(most)s letters, digits and @ . _ + - /."), most=LONGEST_NAME
            ),
        )
