"""Kinds of clients that there are: what a client is, as people would call it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlalchemy import ColumnElement, and_, not_, or_, select

from idp.directory.clients.models import Client, ClientGrantType
from idp.directory.product import DEVICE_CODE

CODE = "authorization_code"


def kind_of(client: Client) -> str:
    """Return the kind of a client, by the names of `presets`."""
    grants = {row.grant_type for row in client.grant_types}
    if CODE not in grants:
        return "device" if DEVICE_CODE in grants else "service"
    if client.application_type == "native":
        return "native"
    return "web" if client.require_client_secret else "spa"


def is_of(kind: str) -> ColumnElement[bool]:
    """Return in SQL which clients are of a kind."""
    return _CONDITIONS[kind]()


def _has_pages() -> ColumnElement[bool]:
    return _may_use(CODE)


def _may_use(grant_type: str) -> ColumnElement[bool]:
    rows = select(ClientGrantType.id)
    return rows.where(
        ClientGrantType.client_id == Client.id, ClientGrantType.grant_type == grant_type
    ).exists()


def _of_web(*, secret: bool) -> ColumnElement[bool]:
    return and_(
        _has_pages(),
        Client.application_type != "native",
        Client.require_client_secret.is_(secret),
    )


_CONDITIONS: Mapping[str, Callable[[], ColumnElement[bool]]] = {
    "web": lambda: _of_web(secret=True),
    "spa": lambda: _of_web(secret=False),
    "native": lambda: and_(_has_pages(), Client.application_type == "native"),
    "device": lambda: and_(not_(_has_pages()), _may_use(DEVICE_CODE)),
    "service": lambda: not_(or_(_has_pages(), _may_use(DEVICE_CODE))),
}
