"""`idp db copy`: a used installation moves to PostgreSQL, or wherever it is asked to."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from click.testing import Result
from sqlalchemy import create_engine, func, inspect, select
from sqlalchemy.orm import Session

from idp.app import create_app
from idp.config import Settings, sqlite_url
from idp.directory.clients import service as clients
from idp.directory.clients.service import NewClient
from idp.directory.tenants import service as tenants
from idp.directory.tenants.service import NewTenant
from idp.directory.users import service as users
from idp.directory.users.models import User
from idp.directory.users.service import NewUser
from idp.oauth.models import Grant, RefreshFamily
from idp.platform import clock, schema
from idp.platform.db import Base
from idp.platform.runtime import Runtime
from idp.platform.secrets import digest
from idp.runtime import create as create_runtime
from tests import protocol
from tests.conftest import IssuerClient

Run = Callable[..., Result]

OF_ITS_OWN = {"installation", "node"}
"""Tables that describe a database and are not copied."""


@pytest.fixture
def used(session: Session) -> dict[str, Any]:
    """Use an installation: people in a chain, a client, a refresh token, a deleted row."""
    child = users.create(session, NewUser("child", password="correct horse"))
    parent = users.create(session, NewUser("parent", mobile="13800138000"))
    child.parent_user_id = parent.id  # points at a later row
    gone = users.create(session, NewUser("gone"))
    gone_id = gone.id
    session.delete(gone)
    own = tenants.create(session, NewTenant("own", hosts=["own.example"]))
    tenants.set_properties(session, own, {"ApiKey": "very secret"})
    tenants.add_member(session, own.id, child.id, is_admin=True)
    client, secret = clients.create(session, NewClient("app", scopes=["openid"]))
    grant = Grant(
        user_id=child.id,
        client_id=client.id,
        tenant_id=own.id,
        issuer_tenant_id=own.id,
        sid="sid",
        security_stamp=child.security_stamp,
        scopes=["openid"],
        resources=[],
        auth_time=clock.now(),
        acr="1",
        amr=["pwd"],
        expires_at=clock.now() + timedelta(days=1),
    )
    session.add(grant)
    session.flush()
    later = clock.now() + timedelta(days=1)
    refresh = RefreshFamily(
        secret_hash=digest("refresh"),
        grant_id=grant.id,
        scopes=["openid"],
        expires_at=later,
        absolute_expires_at=later,
    )
    session.add(refresh)
    session.commit()
    return {"gone": gone_id, "secret": secret, "child": child.id, "own": own.id}


def check(target: Runtime, used: dict[str, Any]) -> None:
    """Look for everything on the other side."""
    with target.sessions() as session:
        child = users.get(session, used["child"])
        assert users.get(session, child.parent_user_id).username == "parent"
        own = tenants.get(session, used["own"])
        assert own.issuer_tenant_id == own.id
        assert tenants.properties(session, own.id) == {"ApiKey": "very secret"}
        assert tenants.find_issuer(session, "own.example").tenant_id == own.id
        kept = clients.get(session, "app").secrets[0].value_hash
        assert target.keyring.mac_matches("client secret", used["secret"], kept)
        refresh = session.scalar(select(RefreshFamily))
        assert refresh.secret_hash == digest("refresh")
        grant = session.get(Grant, refresh.grant_id)
        assert grant.scopes == ["openid"]
        assert grant.auth_time.tzinfo is not None
        assert session.scalar(select(func.count()).where(Grant.claims_request.is_(None))) == 1
        session.commit()
        assert users.verify_password(session, child, "correct horse")
        fresh = users.create(session, NewUser("fresh"))
        assert fresh.id > used["gone"], "ids of deleted people are never given away again"
        clients.create(session, NewClient("another", scopes=["openid"]))
        tenants.create(session, NewTenant("another", hosts=["another.example"]))
        session.commit()


def test_everything_moves_to_postgresql(
    idp: Run,
    used: dict[str, Any],
    runtime: Runtime,
    new_database: Callable[[], str],
) -> None:
    url = new_database()
    before = counts(runtime)
    told = idp("db", "copy", "--to", url).stdout
    assert f"rows: {sum(before.values())}" in told
    target = open_other(runtime, url)
    after = counts(target)
    assert after.pop("audit_event") == before.pop("audit_event") + 1
    assert after == before
    check(target, used)
    target.engine.dispose()
    again = idp("db", "copy", "--to", url, code=1)
    assert "The target is not empty" in again.stderr
    assert idp("setup", IDP_DATABASE_URL=url).exit_code == 0


def test_a_copy_has_the_same_rows(
    idp: Run, used: dict[str, Any], runtime: Runtime, new_database: Callable[[], str]
) -> None:
    url = new_database()
    idp("db", "copy", "--to", url)
    target = create_engine(url)
    with runtime.engine.begin() as one, target.begin() as other:
        for table in Base.metadata.sorted_tables:
            if table.name in {"audit_event", *OF_ITS_OWN}:
                continue
            query = select(table).order_by(*table.primary_key.columns)
            assert one.execute(query).all() == other.execute(query).all(), table.name
    target.dispose()


def test_back_to_sqlite(idp: Run, used: dict[str, Any], runtime: Runtime, tmp_path: Any) -> None:
    url = sqlite_url(tmp_path / "other" / "copy.sqlite3")
    idp("db", "copy", "--to", url)
    target = open_other(runtime, url)
    check(target, used)
    target.engine.dispose()


def test_a_target_with_rows_keeps_them(
    idp: Run, runtime: Runtime, new_database: Callable[[], str]
) -> None:
    url = new_database()
    schema.upgrade(url)
    target = open_other(runtime, url)
    with target.sessions() as session:
        users.create(session, NewUser("somebody"))
        session.commit()
    refused = idp("db", "copy", "--to", url, code=1)
    assert "The target is not empty" in refused.stderr
    with target.sessions() as session:
        assert session.scalar(select(User.username)) == "somebody"
    target.engine.dispose()


def test_the_database_itself_and_nonsense_are_refused(idp: Run, runtime: Runtime) -> None:
    own = idp("db", "copy", "--to", runtime.settings.database, code=1)
    assert "The target is the database itself." in own.stderr
    for nonsense in ("nonsense", "mysql+nothing://x/y"):
        refused = idp("db", "copy", "--to", nonsense, code=2).stderr
        assert "must be postgresql://user:password@host/name" in refused
    away = idp("db", "copy", "--to", "postgresql+psycopg://u:geheim@127.0.0.1:1/x", code=1)
    assert "geheim" not in away.output


def open_other(runtime: Runtime, url: str) -> Runtime:
    """Open the application on another database."""
    given = {name: getattr(runtime.settings, name) for name in runtime.settings.model_fields_set}
    return create_runtime(Settings(**{**given, "database_url": url}))


def counts(runtime: Runtime) -> dict[str, int]:
    """Count the rows of every table that is copied."""
    with runtime.engine.begin() as connection:
        names = set(inspect(connection).get_table_names())
        return {
            table.name: connection.scalar(select(func.count()).select_from(table))
            for table in Base.metadata.sorted_tables
            if table.name in names - OF_ITS_OWN
        }


def test_a_refresh_token_from_before_works_after(
    idp: Run, client: IssuerClient, runtime: Runtime, session: Session, new_database: Any
) -> None:
    app = protocol.register(session)
    protocol.sign_in(client, session, protocol.add_person(session))
    before = protocol.obtain(client, app, "openid offline_access")
    url = new_database()
    idp("db", "copy", "--to", url)

    settings = runtime.settings
    given = {name: getattr(settings, name) for name in settings.model_fields_set}
    moved = create_app(Settings(**{**given, "database_url": url}))
    browser = IssuerClient(moved, settings.public_url, None)
    answer = protocol.refresh(browser, app, before.refresh)
    assert answer.status_code == 200, answer.get_data(as_text=True)
    after = protocol.Tokens(answer.get_json())
    assert after.refresh != before.refresh
    assert protocol.is_active(browser, app, after.access)
    assert protocol.is_active(browser, app, before.access)
    moved.extensions["idp"].engine.dispose()
