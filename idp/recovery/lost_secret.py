"""Going on without the root secret: what it protected is made anew, emptied, or listed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Row, delete, select
from sqlalchemy.orm import Session

from idp.directory.clients.models import Client, ClientSecret
from idp.directory.factors import service as factors
from idp.directory.resources.models import ApiResource, ApiSecret
from idp.directory.tenants import service as tenants
from idp.oauth.models import AuthorizationRequest, DeviceRequest, PushedRequest
from idp.platform import runtime
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.jobs import service as jobs
from idp.platform.signing import service as signing
from idp.publishing.codegen import options as sdk_options
from idp.publishing.gateway import tables as publications


@dataclass(frozen=True, slots=True)
class Reset:
    """What was lost with the secret."""

    replaced_keys: Sequence[str]
    """Ids of signing keys."""
    tenant_properties: Sequence[tuple[int, str]]
    """Tenants and names of private settings that were removed."""
    messages: int
    """Waiting messages and jobs that were erased."""
    publish_tokens: Sequence[str]
    """APIs whose tokens of registries and repositories were removed."""
    publications: Sequence[str]
    """Published APIs whose policy was removed from their last request."""
    second_factors: Sequence[int]
    """People whose authenticator apps were removed, by id; they set up a new one."""
    client_secrets: Sequence[str]
    """Clients that need new secrets."""
    api_secrets: Sequence[str]
    """APIs that need new secrets."""


def reset(session: Session) -> Reset:
    """Replace or empty what no root secret opens, and list what needs a new secret."""
    session.execute(delete(AuthorizationRequest))  # some hold an encrypted ID token
    session.execute(delete(PushedRequest))
    session.execute(delete(DeviceRequest))  # their codes are known by a key of the lost secret
    done = Reset(
        replaced_keys=signing.replace_unreadable(session),
        tenant_properties=tenants.drop_unreadable(session),
        messages=jobs.drop_unreadable(session),
        publish_tokens=sdk_options.drop_unreadable(session),
        publications=publications.drop_unreadable(session),
        second_factors=factors.drop_unreadable(session),
        client_secrets=_of_lost_roots(
            session,
            session.execute(
                select(Client.client_id, ClientSecret.value_hash).join(
                    ClientSecret, ClientSecret.client_id == Client.id
                )
            ),
        ),
        api_secrets=_of_lost_roots(
            session,
            session.execute(
                select(ApiResource.name, ApiSecret.value_hash).join(
                    ApiSecret, ApiSecret.api_resource_id == ApiResource.id
                )
            ),
        ),
    )
    audit.record(
        session,
        Tag.ROOT_SECRET_RESET,
        details={
            "replaced_keys": list(done.replaced_keys),
            "properties": len(done.tenant_properties),
            "messages": done.messages,
        },
    )
    return done


def _of_lost_roots(session: Session, rows: Iterable[Row[str, str]]) -> list[str]:
    """Return the names whose secrets were hashed under a root secret that is not here."""
    keyring = runtime.of(session).keyring
    return sorted({name for name, kept in rows if not keyring.holds(kept)})
