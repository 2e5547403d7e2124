"""The rules about applications: owner, name and number."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Select, func, select, true
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from idp.directory.applications.models import Application, ApplicationClient, Menu
from idp.directory.bundles import service as bundles
from idp.directory.clients.models import Client
from idp.directory.resources.models import ApiResource
from idp.directory.roles import catalogue
from idp.directory.tenants.models import Tenant
from idp.platform.audit import service as audit
from idp.platform.audit.difference import Rows, State
from idp.platform.audit.tags import Tag
from idp.platform.errors import BadRequest, Conflict, NotFound
from idp.platform.integers import INT64_MAX
from idp.platform.issuer import PLATFORM_TENANT_ID
from idp.platform.translation import N_, filled

LONGEST_CODE = 100
RESERVED = frozenset({"page", "privileges"})
"""Codes that would be read as another path."""
_LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class ApplicationSpec:
    """The values of an application."""

    name: str
    code: str | None = None
    id: int | None = None
    tenant_id: int | None = None


def visible(tenant_id: int | None) -> ColumnElement[bool]:
    """Return in SQL which applications a tenant sees: its own and the platform's; None: all."""
    return (
        true() if tenant_id is None else Application.tenant_id.in_({tenant_id, PLATFORM_TENANT_ID})
    )


def list_query(tenant_id: int | None, *, name: str = "") -> Select[Application]:
    """Return the query of the applications that a tenant sees; `name` is a part of theirs."""
    query = select(Application).where(visible(tenant_id))
    return query.where(Application.name.icontains(name, autoescape=True)) if name else query


def get(session: Session, code: str, tenant_id: int | None = None) -> Application:
    """Return an application that a tenant sees; None: any."""
    found = find(session, code, tenant_id)
    if found is None:
        raise NotFound(N_("There is no such application."))
    return found


def find(session: Session, code: str, tenant_id: int | None = None) -> Application | None:
    """Find an application that a tenant sees; None: any."""
    return session.scalar(list_query(tenant_id).where(Application.code == code))


def get_visible(session: Session, application_id: int, tenant_id: int | None) -> Application:
    """Return an application that a tenant sees (None: any) by its id."""
    query = list_query(tenant_id).where(Application.id == min(application_id, INT64_MAX))
    found = session.scalar(query)
    if found is None:
        raise NotFound(N_("There is no such application."))
    return found


def get_own(
    session: Session, application_id: int, tenant_id: int | None, *, lock: bool = False
) -> Application:
    """Return an application that a tenant may change (None: any): its own, and no other.

    With `lock`, as it is until this transaction ends.
    """
    query = select(Application).where(Application.id == min(application_id, INT64_MAX))
    if tenant_id is not None:
        query = query.where(Application.tenant_id == tenant_id)
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    found = session.scalar(query)
    if found is None:
        raise NotFound(N_("There is no such application."))
    return found


def get_of_client(session: Session, client_id: str, tenant_id: int | None) -> Application:
    """Return the application that an OAuth client signs people in for."""
    query = (
        list_query(tenant_id)
        .join(ApplicationClient, ApplicationClient.application_id == Application.id)
        .join(Client, Client.id == ApplicationClient.client_id)
        .where(Client.client_id == client_id)
    )
    found = session.scalar(query)
    if found is None:
        raise NotFound(N_("No application has this client."))
    return found


def find_by_id(session: Session, application_id: int) -> Application | None:
    """Find an application by its id."""
    return session.get(Application, application_id) if application_id <= INT64_MAX else None


def get_named(session: Session, spec: ApplicationSpec) -> Application:
    """Return the application named by id, else by code; both must name the same one."""
    if not spec.id:
        return get(session, spec.code or "")
    found = find_by_id(session, spec.id)
    if found is None:
        raise NotFound(N_("There is no such application."))
    if spec.code and spec.code != found.code:
        raise BadRequest.at("code", N_("The code of an application cannot be changed."))
    return found


def create(
    session: Session, spec: ApplicationSpec, *, api: ApiResource | None = None
) -> Application:
    """Create an application of a tenant, as many as its bundle allows."""
    if spec.tenant_id is None:
        raise BadRequest.at("tenant_id", N_("An application must belong to a tenant."))
    code = _check_code(spec.code or "")
    name = _check_name(spec.name)
    _check_limit(session, spec.tenant_id)
    application = Application(
        tenant_id=spec.tenant_id,
        code=code,
        name=name,
        api_resource_id=api.id if api is not None else None,
    )
    try:
        with session.begin_nested():
            session.add(application)
    except IntegrityError:
        raise Conflict.at(
            "code", filled(N_("The code %(code)s is taken."), code=code), code="application_taken"
        ) from None
    _record(session, Tag.APPLICATION_CREATED, application, {}, {"name": name})
    return application


def change(session: Session, application: Application, spec: ApplicationSpec) -> None:
    """Rename an application; its code and its tenant cannot change."""
    if spec.tenant_id not in {None, application.tenant_id}:
        raise BadRequest.at("tenant_id", N_("The tenant of an application cannot be changed."))
    name = _check_name(spec.name)
    if name != application.name:
        before = {"name": application.name}
        application.name = name
        session.flush()
        _record(session, Tag.APPLICATION_CHANGED, application, before, {"name": name})


def delete(session: Session, application: Application) -> None:
    """Delete an application that no menu and no client refers to."""
    own = (
        select(Menu.id).where(Menu.application_id == application.id).exists(),
        select(ApplicationClient.client_id)
        .where(ApplicationClient.application_id == application.id)
        .exists(),
    )
    if any(session.execute(select(*own)).one()):
        raise _in_use()
    try:
        with session.begin_nested():
            session.delete(application)
    except IntegrityError:
        raise _in_use() from None
    _record(session, Tag.APPLICATION_DELETED, application, {"name": application.name}, {})


def link_client(session: Session, application: Application, client: Client) -> None:
    """Make a client sign people in for this application only."""
    if client.tenant_id not in {None, application.tenant_id}:
        raise BadRequest.at("client_id", N_("This client belongs to another tenant."))
    link = session.get(ApplicationClient, client.id)
    if link is None:
        session.add(ApplicationClient(client_id=client.id, application_id=application.id))
    else:
        link.application_id = application.id
    session.flush()
    after = {"clients": Rows({client.id: client.client_id})}
    _record(session, Tag.APPLICATION_CHANGED, application, {}, after)


def _check_limit(session: Session, tenant_id: int) -> None:
    """Refuse an application beyond the limit; concurrent creations wait here."""
    turn = select(Tenant.id).where(Tenant.id == min(tenant_id, INT64_MAX))
    if session.scalar(turn.with_for_update(key_share=True)) is None:
        raise NotFound(N_("There is no such tenant."))
    bundle = bundles.of_tenant(session, tenant_id)
    if bundle is None or bundle.number_of_app is None:
        return
    count = session.scalar(
        select(func.count(Application.id)).where(Application.tenant_id == tenant_id)
    )
    if (count or 0) >= bundle.number_of_app:
        raise Conflict.at(
            "tenant_id",
            filled(
                N_("The tenant's bundle allows at most %(number_of_app)s applications."),
                number_of_app=bundle.number_of_app,
            ),
            code="quota_reached",
        )


def _check_code(code: str) -> str:
    catalogue.check_code(code, LONGEST_CODE)
    if code in RESERVED:
        raise BadRequest.at("code", filled(N_("%(code)s is reserved."), code=code))
    return code


def _check_name(text: str) -> str:
    name = text.strip()
    if not name or len(name) > _LONGEST_NAME or not name.isprintable():
        raise BadRequest.at("name", N_("A name must have 1 to 200 printable characters."))
    return name


def _in_use() -> Conflict:
    return Conflict(
        N_("This application is still used by menus or clients."), code="application_in_use"
    )


def _record(
    session: Session, tag: Tag, application: Application, before: State, after: State
) -> None:
    target = f"application:{application.code}"
    audit.record_change(session, tag, target, before, after, tenant_id=application.tenant_id)
