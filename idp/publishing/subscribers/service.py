"""The rules of subscriptions: requested, confirmed from the mailbox, cancelled by one click."""

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
from idp.platform.issuer import PLATFORM_TENANT_ID, Issuer
from idp.platform.notify import service as notify
from idp.platform.throttle import Key
from idp.publishing import apis
from idp.publishing.subscribers import codes
from idp.publishing.subscribers.codes import Sealed, Use
from idp.publishing.subscribers.models import Subscription

MINUTES = 30
SENT_WHILE_GOOD = 5
"""Links to one address, from all senders, within the time that one is valid."""
GAP_SECONDS = 60
PER_DAY = 10
"""Mails from one sender to one address, about all APIs."""
PER_HOUR = 60
"""Links that a signed-in person may send."""
PER_HOUR_FROM_ADDRESS = 20
"""Links that may be sent without signing in from one network address."""
DAY = 86_400
HOUR = 3600


class Asked(Enum):
    """The outcome of requesting a subscription."""

    SENT = auto()
    SUBSCRIBED = auto()
    """The address is already subscribed."""
    LIMITED = auto()
    """The address got a mail from this sender a moment ago, or many today."""


@dataclass(frozen=True, slots=True)
class Sender:
    """Who requests links, and how many in an hour; only people who signed in see subscriptions."""

    key: Key
    per_hour: int
    is_anonymous: bool


def listing(session: Session, actor: Actor, api_id: int) -> Sequence[Subscription]:
    """List the subscribers of an API that the actor manages."""
    api = apis.get_managed(session, actor, api_id)
    return session.scalars(
        select(Subscription)
        .where(Subscription.api_resource_id == api.id)
        .order_by(Subscription.address_key)
    ).all()


def ask(session: Session, actor: Actor, api_id: int, address: str, locale: str) -> Asked:
    """Mail a link to an address, for a person and an API that they may see."""
    api = apis.get_visible(session, actor, api_id)
    sender = Sender(f"person {actor.person_id}", PER_HOUR, is_anonymous=False)
    return _ask(session, api, address, locale, sender)


def ask_anonymously(
    session: Session, issuer: Issuer, api_id: int, address: str, locale: str, key: Key
) -> Asked:
    """Mail a link to an address, for a visitor and an API with a public page at the issuer."""
    api = apis.get(session, api_id, apis.open_to_all(issuer))
    sender = Sender(key, PER_HOUR_FROM_ADDRESS, is_anonymous=True)
    return _ask(session, api, address, locale, sender)


def _ask(session: Session, api: ApiResource, address: str, locale: str, sender: Sender) -> Asked:
    """Mail a link by which the owner of an address confirms; TooManyRequests for the sender."""
    address = names.email(address)
    is_subscribed = _is_subscribed(session, api, address)
    if is_subscribed and not sender.is_anonymous:
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
        return Asked.SENT  # by other senders too: enough links are valid
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
    except IntegrityError:  # deleted at this moment
        raise NotFound from None
    if made is not None:
        _note(session, Tag.SUBSCRIPTION_MADE, api)
    return api


def cancel(session: Session, api_id: int, code: str) -> None:
    """Cancel the subscription of a code's address, if there is one; InvalidCode otherwise."""
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
    """Return the API that a code is about, to show a page; None for an invalid code."""
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
    to, locale = sealed.address, sealed.locale
    notify.mail(session, to, "subscription", context, locale, brand=issuer.brand)
    _note(session, Tag.SUBSCRIPTION_REQUESTED, api)


def _note(session: Session, tag: Tag, api: ApiResource) -> None:
    # The address stays out of the audit log, which is kept for longer.
    audit.record(session, tag, tenant_id=api.tenant_id, target=f"api:{api.name}")
