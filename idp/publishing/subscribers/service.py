"""The rules of subscriptions: asked for, confirmed from the mailbox, ended by one click."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from idp.directory.actor import Actor
from idp.directory.resources.models import ApiResource
from idp.directory.tenants import service as tenants
from idp.directory.users import names
from idp.platform import runtime
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.db import count_hits, insert
from idp.platform.errors import NotFound, TooManyRequests
from idp.platform.issuer import PLATFORM_TENANT_ID
from idp.platform.notify import service as notify
from idp.platform.throttle import Key
from idp.publishing import apis
from idp.publishing.subscribers import codes
from idp.publishing.subscribers.codes import Sealed, Use
from idp.publishing.subscribers.models import Subscription

MINUTES = 30
SENT_WHILE_GOOD = 5
"""Links to one address, whoever asks, within the time that one is good."""
GAP_SECONDS = 60
PER_DAY = 10
"""Mails to one address, whatever they are about."""
DAY = 86_400
HOUR = 3600


class Asked(Enum):
    """What came of asking for a subscription."""

    SENT = auto()
    SUBSCRIBED = auto()
    """The address is subscribed already."""
    LIMITED = auto()
    """The address got a mail from this sender a moment ago, or many today."""


@dataclass(frozen=True, slots=True)
class Sender:
    """Who asks, and how often he may in an hour; strangers do not learn who is subscribed."""

    key: Key
    per_hour: int
    is_stranger: bool


def listing(session: Session, actor: Actor, api_id: int) -> Sequence[Subscription]:
    """List the subscribers of an API that the actor manages."""
    api = apis.get_managed(session, actor, api_id)
    return session.scalars(
        select(Subscription)
        .where(Subscription.api_resource_id == api.id)
        .order_by(Subscription.address_key)
    ).all()


def ask(session: Session, api: ApiResource, address: str, locale: str, sender: Sender) -> Asked:
    """Mail a link to an address, by which its owner confirms; TooManyRequests for the sender."""
    address = names.email(address)
    is_subscribed = _is_subscribed(session, api, address)
    if is_subscribed and not sender.is_stranger:
        return Asked.SUBSCRIBED
    throttle = runtime.of(session).throttle
    throttle.hit("subscription sender", sender.key, sender.per_hour, HOUR)
    together = (names.key(address), sender.key)
    try:
        throttle.hit("subscription gap", together, 1, GAP_SECONDS)
        throttle.hit("subscription mails", together, PER_DAY, DAY)
    except TooManyRequests:
        return Asked.LIMITED
    try:
        address_key = names.key(address)
        throttle.hit("subscription links", address_key, SENT_WHILE_GOOD, MINUTES * 60)
    except TooManyRequests:
        return Asked.SENT  # by others too: enough links are good
    if not is_subscribed:
        _mail_link(session, api, Sealed(api.id, address, locale))
    return Asked.SENT


def confirm(session: Session, api_id: int, code: str) -> ApiResource:
    """Subscribe the address of a code, once or again; InvalidCode, or NotFound without the API."""
    sealed = codes.unseal(session, Use.CONFIRM, api_id, code)
    api = apis.get(session, sealed.api_id)
    try:
        with session.begin_nested():
            made = session.scalar(
                insert(session, Subscription)
                .values(
                    api_resource_id=api.id,
                    address=sealed.address,
                    address_key=names.key(sealed.address),
                    locale=sealed.locale,
                )
                .on_conflict_do_nothing()
                .returning(Subscription.id)
            )
    except IntegrityError:  # deleted in this very moment
        raise NotFound from None
    if made is not None:
        _note(session, Tag.SUBSCRIPTION_MADE, api)
    return api


def cancel(session: Session, api_id: int, code: str) -> None:
    """End the subscription of a code's address, if there is one; else InvalidCode."""
    sealed = codes.unseal(session, Use.CANCEL, api_id, code)
    ended = count_hits(
        session,
        delete(Subscription).where(
            Subscription.api_resource_id == sealed.api_id,
            Subscription.address_key == names.key(sealed.address),
        ),
    )
    if ended:
        _note(session, Tag.SUBSCRIPTION_ENDED, apis.get(session, sealed.api_id))


def find_api(session: Session, use: Use, api_id: int, code: str) -> ApiResource | None:
    """Tell what a code is about, to show a page; None for one that is worth nothing."""
    try:
        codes.unseal(session, use, api_id, code)
        return apis.get(session, api_id)
    except (codes.InvalidCode, NotFound):
        return None


def _is_subscribed(session: Session, api: ApiResource, address: str) -> bool:
    found = select(Subscription.id).where(
        Subscription.api_resource_id == api.id, Subscription.address_key == names.key(address)
    )
    return session.scalar(found) is not None


def _mail_link(session: Session, api: ApiResource, sealed: Sealed) -> None:
    issuer = tenants.issuer_of(session, api.tenant_id or PLATFORM_TENANT_ID)
    proof = codes.seal(session, Use.CONFIRM, sealed, MINUTES * 60)
    stop = codes.seal(session, Use.CANCEL, sealed)
    context = {
        "service": issuer.name,
        "api": apis.title(api),
        "link": codes.operation(issuer.url, "AddSubscription", api.id, proof),
        "stop": codes.operation(issuer.url, "DelSubscription", api.id, stop),
        "minutes": str(MINUTES),
    }
    notify.mail(session, sealed.address, "subscription", context, sealed.locale)
    _note(session, Tag.SUBSCRIPTION_ASKED, api)


def _note(session: Session, tag: Tag, api: ApiResource) -> None:
    # Whose address it is stays out of the trail, which keeps things for longer.
    audit.record(session, tag, tenant_id=api.tenant_id, target=f"api:{api.name}")
