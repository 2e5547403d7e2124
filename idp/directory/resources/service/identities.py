"""Identity resources: scopes that stand for claims about the person."""

from __future__ import annotations

from sqlalchemy import Select, select
from sqlalchemy.orm import Session, selectinload

from idp.directory.resources import audited, rules
from idp.directory.resources.content import IdentitySpec
from idp.directory.resources.models import IdentityResource
from idp.directory.resources.service import changes, writing
from idp.directory.resources.service.writing import NewScope
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.errors import BadRequest
from idp.platform.translation import N_

_WHOLE = select(IdentityResource).options(selectinload(IdentityResource.user_claims))


def create_identity(
    session: Session, new: NewScope, *, tenant_id: int | None = None
) -> IdentityResource:
    """Create an identity resource: a scope that stands for claims about the person."""
    content = IdentitySpec(
        name=new.name,
        display_name=new.display_name,
        description=new.description,
        required=new.required,
        emphasize=new.emphasize,
        show_in_discovery_document=new.show_in_discovery_document,
        user_claims=writing.claim_rows(new.user_claims),
    )
    return add_identity(session, content, tenant_id=tenant_id)


def add_identity(
    session: Session, content: IdentitySpec, *, tenant_id: int | None = None
) -> IdentityResource:
    """Create an identity resource with its claims."""
    if content.id:
        raise BadRequest.at("id", N_("The server assigns the id of a new row; leave it out."))
    rules.lock_names(session)
    rules.check_scope_names(session, {"name": content.name}, tenant_id)
    resource = IdentityResource(tenant_id=tenant_id)
    writing.write_identity(session, resource, content)
    changes.insert(session, resource)
    audit.record(
        session,
        Tag.IDENTITY_RESOURCE_CREATED,
        tenant_id=tenant_id,
        target=f"identity-resource:{resource.name}",
    )
    return resource


def get_identity(session: Session, resource_id: int) -> IdentityResource:
    """Return an identity resource with its claims."""
    return changes.get(session, _WHOLE, IdentityResource, resource_id)


def select_identities(*, name: str | None = None) -> Select[IdentityResource]:
    """Select the identity resources with their claims."""
    return _WHOLE if name is None else _WHOLE.where(IdentityResource.name == name)


def replace_identity(session: Session, content: IdentitySpec) -> IdentityResource:
    """Replace an identity resource."""
    resource = changes.get(session, _WHOLE, IdentityResource, content.id, lock=True)
    changes.check_stamp(resource, content.concurrency_stamp)
    rules.lock_names(session)
    is_built_in = resource.name == rules.BUILT_IN_IDENTITY
    if content.name != resource.name:
        if is_built_in:
            raise rules.built_in("name")
        rules.refuse_in_use(session, "name", [resource.name])
        rules.check_scope_names(session, {"name": content.name}, resource.tenant_id)
    if is_built_in and not content.enabled:
        raise rules.built_in("enabled")
    before = audited.of_identity(resource)
    writing.write_identity(session, resource, content)
    session.flush()
    after = audited.of_identity(resource)
    changes.note(session, resource, Tag.IDENTITY_RESOURCE_CHANGED, before, after)
    return resource


def delete_identity(session: Session, resource_id: int) -> int:
    """Delete an identity resource that no client uses."""
    query = select(IdentityResource)
    resource = changes.get(session, query, IdentityResource, resource_id, lock=True)
    if resource.name == rules.BUILT_IN_IDENTITY:
        raise rules.built_in("id")
    rules.refuse_in_use(session, "id", [resource.name])
    session.delete(resource)
    session.flush()
    audit.record(
        session,
        Tag.IDENTITY_RESOURCE_DELETED,
        tenant_id=resource.tenant_id,
        target=f"identity-resource:{resource.name}",
    )
    return resource.id
