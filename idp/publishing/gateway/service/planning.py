"""Changes of a publication, each as a plan from one state to the next."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain
from typing import Any

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from idp.directory.actor import Actor
from idp.directory.resources.models import ApiResource, ApiScope
from idp.platform import clock
from idp.platform.errors import BadRequest, NotFound
from idp.platform.issuer import PLATFORM_TENANT_ID
from idp.platform.translation import N_
from idp.publishing.gateway import breaking, drivers, products, tables
from idp.publishing.gateway.models import PublicationVersion
from idp.publishing.gateway.reasons import NotPublished, Reason
from idp.publishing.gateway.service.settling import Plan, make
from idp.publishing.gateway.state import Published, Release, Revision, Version
from idp.publishing.gateway.upstreams import choose
from idp.publishing.gateway.validation import Description

RESERVED = frozenset(
    {
        *("account", "admin", "api", "apiresource", "apis", "cancel", "choose", "client"),
        *("codegen", "connect", "consent", "console", "device", "docs", "file", "files"),
        *("forgot", "gateway", "healthz", "identityresource", "language", "login", "logout"),
        *("metrics", "oauth", "openapi", "readyz", "register", "role", "sdk", "static"),
        *("subscriptions", "tenant", "theme", "user"),
    }
)
"""First segments of our own paths: behind a shared host, no API may take their place."""

_AID = re.compile(r"[A-Za-z0-9_-]{1,80}", re.ASCII)
_SUFFIX = re.compile(r"[A-Za-z0-9]{1,32}", re.ASCII)
_VERSION = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}", re.ASCII)
_EPOCH_TICKS = 621_355_968_000_000_000
"""Ticks of 100 nanoseconds from the year 1 to 1970; releases are named after the time in ticks."""


@dataclass(frozen=True, slots=True)
class PublishRequest:
    """A publish request, which is also returned as the last configuration."""

    aid: str
    name: str | None = None
    description: str | None = None
    suffix: str | None = None
    swagger_url: str | None = None
    product_ids: Sequence[str] = ()
    authorization_server_id: str | None = None
    scope: str | None = None
    openid: str | None = None
    policy: str | None = None


def split(text: str) -> tuple[str, int | None]:
    """Read `aid` or `aid;rev=n`, with or without `/apis/` before it; NotFound for anything else."""
    aid, mark, number = text.strip().removeprefix("/apis/").partition(";rev=")
    if not mark:
        return aid, None
    if not (number.isascii() and number.isdigit() and len(number) < 10):  # noqa: PLR2004 - int32
        raise NotFound
    return aid, int(number)


def publish(
    session: Session,
    actor: Actor,
    api: ApiResource,
    request: PublishRequest,
    description: Description,
) -> Plan:
    """Publish a microservice for the first time or again: settings, and a changed description."""
    before, after = published(session, api, request, description)
    return make(session, actor, "publish", before, after)


def published(
    session: Session, api: ApiResource, request: PublishRequest, description: Description
) -> tuple[Published | None, Published]:
    """Return a publication as it is and as it will be published."""
    before = tables.find(session, api.id)
    aid = _check_aid(session, api, before, request.aid)
    suffix = _check_suffix(request.suffix or "")
    tenant_id = api.tenant_id or PLATFORM_TENANT_ID
    pids = _check_names(session, api, request, tenant_id)
    version = before.find(aid) if before else None
    version = version or Version(aid, "", (), ())
    version = _with_description(session, tenant_id, version, description)
    after = Published(
        api_id=api.id,
        tenant_id=tenant_id,
        stamp=before.stamp if before else "",
        suffix=suffix,
        name=_given(request.name) or (before.name if before else None),
        # The contract sends a description together with a name only.
        description=_published_description(request, before),
        authorization_server=_given(request.authorization_server_id),
        scope=_given(request.scope),
        openid=_given(request.openid),
        configuration=orjson.dumps(asdict(request)).decode(),
        number=before.number + 1 if before else 1,
        versions=before.versions if before else (),
    ).replacing(replace(version, products=tuple(pids)))
    return before, after


def revise(
    session: Session,
    actor: Actor,
    api: ApiResource,
    aid_text: str,
    description: Description,
    note: str,
) -> Plan:
    """Add a revision to a version; it is not online yet."""
    before, after = revised(session, api, aid_text, description, note)
    return make(session, actor, "revise", before, after)


def revised(
    session: Session, api: ApiResource, aid_text: str, description: Description, note: str
) -> tuple[Published, Published]:
    """Return a publication as it is and with a further revision."""
    before, version = get_version(session, api.id, split(aid_text)[0])
    revision = _revision(session, before.tenant_id, version, description, note)
    changed = replace(version, revisions=(*version.revisions, revision))
    return before, before.replacing(changed)


def add_version(
    session: Session, actor: Actor, api: ApiResource, revision_id: str, name: str
) -> Plan:
    """Make a version of a revision; it is called with `api-version`."""
    aid, number = split(revision_id)
    before, source = get_version(session, api.id, aid)
    revision = _get_revision(source, number)
    name = name.strip().lower()
    if not _VERSION.fullmatch(name):
        message = N_("Must have letters, digits, dots, hyphens and underscores only.")
        raise BadRequest.at("api_version_name", message)
    if any(version.name == name for version in before.versions):
        raise BadRequest.at("api_version_name", N_("A version with this name already exists."))
    packed = tables.packed(session, aid, revision.number)
    first = replace(revision, number=1, is_current=True, packed=packed, breaking=(), note="")
    # Never only digits: those are the ids of microservices.
    new = Version(f"a{secrets.token_hex(16)[1:]}", name, source.products, (first,))
    return make(session, actor, "add-version", before, before.replacing(new))


@dataclass(frozen=True, slots=True)
class Switch:
    """A revision that may go online, and what breaks for clients of the present one."""

    state: Published
    version: Version
    revision: Revision
    breaking: Sequence[str]


def switch(session: Session, api: ApiResource, revision_id: str) -> Switch:
    """Return what putting a revision online would change."""
    aid, number = split(revision_id)
    state, version = get_version(session, api.id, aid)
    revision = _get_revision(version, number)
    lost: Sequence[str] = ()
    if revision.number != version.current.number:
        lost = _compare(session, version, tables.document(session, aid, revision.number))
    return Switch(state, version, revision, lost)


def go_online(
    session: Session,
    actor: Actor,
    api: ApiResource,
    revision_id: str,
    *,
    stamp: str | None = None,
) -> Plan:
    """Put a revision online; the release note lists what breaks for existing clients.

    `stamp` is the state that the list was shown of; a later one is refused.
    """
    found = switch(session, api, revision_id)
    if stamp is not None and stamp != found.state.stamp:
        raise NotPublished(Reason.CHANGED_MEANWHILE)
    notes = breaking.as_note("", found.breaking)
    number = found.revision.number
    changed = _released(found.version.with_online(number), number, notes)
    return make(session, actor, "go-online", found.state, found.state.replacing(changed))


def add_release(
    session: Session, actor: Actor, api: ApiResource, aid_text: str, notes: str
) -> Plan:
    """Add a note about a revision, by default the one online; it puts nothing online."""
    aid, number = split(aid_text)
    before, version = get_version(session, api.id, aid)
    revision = _get_revision(version, number)
    changed = _released(version, revision.number, notes)
    return make(session, actor, "add-release", before, before.replacing(changed))


def change_release(session: Session, actor: Actor, api: ApiResource, name: str, notes: str) -> Plan:
    """Change the text of a release."""
    before, version, release = _get_release(session, api.id, name)
    rows = tuple(replace(row, notes=notes) if row is release else row for row in version.releases)
    after = before.replacing(replace(version, releases=rows))
    return make(session, actor, "change-release", before, after)


def remove_release(session: Session, actor: Actor, api: ApiResource, name: str) -> Plan:
    """Remove a release; the revision that it was about stays as it is."""
    before, version, release = _get_release(session, api.id, name)
    rows = tuple(row for row in version.releases if row is not release)
    after = before.replacing(replace(version, releases=rows))
    return make(session, actor, "remove-release", before, after)


def get_version(session: Session, api_id: int, aid: str) -> tuple[Published, Version]:
    """Return a microservice's publication with one of its versions."""
    state = tables.find(session, api_id)
    version = state.find(aid) if state else None
    if state is None or version is None:
        raise NotPublished(Reason.NO_SUCH_API)
    return state, version


def _get_revision(version: Version, number: int | None) -> Revision:
    revision = version.current if number is None else version.find(number)
    if revision is None:
        raise NotPublished(Reason.NO_SUCH_API)
    return revision


def _get_release(session: Session, api_id: int, name: str) -> tuple[Published, Version, Release]:
    state = tables.find(session, api_id)
    for version in state.versions if state else ():
        for release in version.releases:
            if state is not None and release.name == name:
                return state, version, release
    raise NotFound


def _check_aid(session: Session, api: ApiResource, before: Published | None, text: str) -> str:
    """Refuse ids of other microservices, and a second id for this one."""
    aid = text.strip().removeprefix("/apis/")
    if not aid:
        raise NotPublished(Reason.MISSING, "apiId")
    if not _AID.fullmatch(aid):
        raise BadRequest.at(
            "aid", N_("Must have up to 80 letters, digits, hyphens and underscores.")
        )
    if aid.isdigit() and aid != str(api.id):
        raise BadRequest.at("aid", N_("A number must be the id of the microservice itself."))
    if before is not None and before.find(aid) is None:
        known = ", ".join(version.aid for version in before.versions)
        raise BadRequest.at("aid", N_("This microservice is published as") + f": {known}")
    used = select(PublicationVersion.id).where(PublicationVersion.aid == aid)
    if before is None and session.scalar(used) is not None:
        raise BadRequest.at("aid", N_("Another microservice is published under this id."))
    return aid


def _check_suffix(text: str) -> str:
    suffix = text.strip()
    if not suffix:
        raise NotPublished(Reason.MISSING, "suffix")
    if not _SUFFIX.fullmatch(suffix):
        raise BadRequest.at("suffix", N_("Must have up to 32 letters and digits."))
    if suffix.lower() in RESERVED:
        raise BadRequest.at("suffix", N_("This suffix is reserved."))
    return suffix


def _check_names(
    session: Session, api: ApiResource, request: PublishRequest, tenant_id: int
) -> list[str]:
    """Refuse products, servers, scopes and policies that would have no effect."""
    driver = drivers.of(session, tenant_id)
    pids = [pid.strip().removeprefix("/products/") for pid in request.product_ids]
    for index, pid in enumerate(pids):
        if not _AID.fullmatch(pid):
            raise BadRequest.at(f"product_ids[{index}]", N_("Not the id of a product."))
    if not driver.keeps_products:
        _check_rows(session, tenant_id, request, pids)
    scope = _given(request.scope)
    if scope is not None:
        own = select(ApiScope.id).where(ApiScope.api_resource_id == api.id, ApiScope.name == scope)
        if session.scalar(own) is None:
            raise BadRequest.at("scope", N_("Not a scope of this microservice."))
    if _given(request.policy) is not None and not driver.takes_policies:
        raise BadRequest.at("policy", N_("This gateway does not support policies."))
    return list(dict.fromkeys(pids))


def _check_rows(
    session: Session, tenant_id: int, request: PublishRequest, pids: Sequence[str]
) -> None:
    """Refuse products and authorization servers that do not exist."""
    known = {row.pid for row in products.list_products(session, tenant_id)}
    for index, pid in enumerate(pids):
        if pid not in known:
            raise BadRequest.at(f"product_ids[{index}]", N_("Product not found."))
    servers = {row.sid for row in products.list_servers(session, tenant_id)}
    for field in ("authorization_server_id", "openid"):
        sid = _given(getattr(request, field))
        if sid is not None and sid not in servers:
            raise BadRequest.at(field, N_("Authorization server not found."))


def _published_description(request: PublishRequest, before: Published | None) -> str | None:
    if _given(request.name) is not None:
        return request.description
    return before.description if before else None


def _with_description(
    session: Session, tenant_id: int, version: Version, description: Description
) -> Version:
    """Import a description into a version and put it online, unless it is online already."""
    revision = _revision(session, tenant_id, version, description, "")
    if version.revisions:
        current = version.current
        same = (current.upstream, current.kind) == (revision.upstream, revision.kind)
        if same and tables.packed(session, version.aid, current.number) == revision.packed:
            return version
    lost = _compare(session, version, description.document)
    changed = replace(version, revisions=(*version.revisions, revision))
    changed = changed.with_online(revision.number)
    if not version.revisions:
        return changed
    return _released(changed, revision.number, breaking.as_note("", lost))


def _revision(
    session: Session, tenant_id: int, version: Version, description: Description, note: str
) -> Revision:
    """Make the next revision, with the first server that the operator allows."""
    servers = description.servers()
    upstream = choose(servers, tables.upstreams(session).get(tenant_id, []))
    if upstream is None:
        raise NotPublished(Reason.UPSTREAM_REFUSED, ", ".join(servers))
    lost: Sequence[str] = ()
    if version.revisions:
        earlier = tables.document(session, version.aid, version.newest.number)
        lost = breaking.between(earlier, description.document)
    return Revision(
        number=version.newest.number + 1 if version.revisions else 1,
        note=note,
        upstream=upstream.url,
        source_url=description.url,
        kind=description.kind,
        breaking=tuple(lost),
        packed=description.packed(),
    )


def _compare(session: Session, version: Version, later: dict[str, Any]) -> Sequence[str]:
    """Return the changes that break callers of the current revision."""
    if not version.revisions:
        return ()
    return breaking.between(tables.document(session, version.aid, version.current.number), later)


def _released(version: Version, number: int, notes: str) -> Version:
    """Add a release, named after the time, later than all others."""
    now = int(clock.now().timestamp() * 10_000_000) + _EPOCH_TICKS
    taken = (int(row.name) + 1 for row in version.releases if row.name.isdigit())
    release = Release(str(max(chain([now], taken))), number, notes)
    return replace(version, releases=(*version.releases, release))


def _given(text: str | None) -> str | None:
    return (text or "").strip() or None
