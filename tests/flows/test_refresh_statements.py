"""The statements that change a family act exactly when the rules allow it."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, select, text

from idp.directory.clients import snapshot as clients
from idp.directory.tenants.models import Membership, Tenant, TenantStatus
from idp.directory.users.models import User
from idp.oauth import refresh_rules, refresh_tokens
from idp.oauth.checks import scope as scopes
from idp.oauth.holder import NO_HOLDER
from idp.oauth.models import FormerRefreshToken, Grant, RefreshFamily
from idp.oauth.refresh_rules import Family, Outcome, Token
from idp.oauth.refresh_tokens import Presented
from idp.platform import clock as time_of
from idp.platform.audit import service as audit
from idp.platform.audit.models import AuditEvent
from idp.platform.audit.tags import Tag
from idp.platform.issuer import Issuer
from idp.platform.runtime import NO_REQUEST
from idp.platform.secrets import digest
from idp.platform.storage import SessionStorage, complete
from tests import protocol
from tests.protocol import add_person, obtain, register

SECRETS = st.sampled_from([b"s" * 32, b"t" * 32])
GENERATIONS = st.integers(0, 3)
SECONDS = st.sampled_from([-100, -1, 0, 1, 100])
CLIENTS = st.fixed_dictionaries(
    {
        "refresh_token_is_reusable": st.booleans(),
        "refresh_token_slides": st.just(True),
        "sliding_refresh_token_lifetime": st.just(7),
        "refresh_token_reuse_seconds": st.sampled_from([0, 1, 50, 1000]),
    }
)
ROUNDS = settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def later(seconds: int) -> datetime:
    return time_of.now() + timedelta(seconds=seconds)


@pytest.fixture
def web(client, session, clock):
    web = register(session)
    protocol.sign_in(client, session, add_person(session))
    obtain(client, web, "openid offline_access")
    session.rollback()
    return web


@pytest.fixture
def grant(session, web):
    grant = session.scalars(select(Grant)).one()
    session.expunge_all()
    session.rollback()
    return grant


def change(session, grant, view, presented: Presented) -> tuple[str | None, int]:
    """Rotate or slide as the client's kind says; return the successor and the events written."""
    if view.refresh_token_is_reusable:
        refresh_tokens.slide(session, view, presented)
        return None, 0
    written = select(func.count()).select_from(AuditEvent)
    before = session.scalar(written)
    columns = audit.columns(
        NO_REQUEST,
        Tag.TOKEN_REFRESHED,
        user_id=grant.user_id,
        client_id=view.client_id,
        tenant_id=grant.tenant_id,
    )
    storage = SessionStorage(session)
    successor = complete(refresh_tokens.rotate(storage, view, presented, columns, None))
    return successor, session.scalar(written) - before


def find(session, text):
    return complete(refresh_tokens.find(SessionStorage(session), text))


def state(session, grant) -> Family | None:
    columns = [getattr(RefreshFamily, field.name) for field in fields(Family)]
    row = session.execute(select(*columns).where(RefreshFamily.grant_id == grant.id)).one_or_none()
    return None if row is None else Family(*row)


@given(
    token=st.tuples(GENERATIONS, SECRETS),
    row=st.tuples(GENERATIONS, SECRETS),
    times=st.tuples(st.one_of(st.none(), SECONDS), SECONDS, SECONDS),
    kind=CLIENTS,
)
@ROUNDS
def test_a_family_is_changed_exactly_when_the_rules_allow_it(
    session, web, grant, runtime, token, row, times, kind
):
    session.rollback()  # of the round before
    view = replace(clients.find(session, web.client_id), **kind)
    presented = refresh_rules.write(runtime.keyring, grant.id, *token)
    rotated, expires, absolute = times
    kept = session.get_one(RefreshFamily, grant.id)
    kept.generation = row[0]
    kept.secret_hash = Token(grant.id, *row, "").secret_hash
    kept.rotated_at = None if rotated is None else later(rotated)
    kept.expires_at = later(expires)
    kept.absolute_expires_at = later(max(expires, absolute))
    session.flush()
    before = state(session, grant)
    found, *_ = find(session, presented.text)
    assert found == Presented(presented, before)
    outcome = found.decide(view)
    event(outcome.name)

    successor, events = change(session, grant, view, found)

    after = state(session, grant)
    expected: dict[str, Any] = {}
    if outcome in refresh_rules.USABLE:
        expected["expires_at"] = min(later(7), before.absolute_expires_at)
    if outcome is Outcome.ROTATE:
        following = refresh_rules.successor(runtime.keyring, presented)
        assert successor == following.text
        expected |= {
            "generation": row[0] + 1,
            "secret_hash": following.secret_hash,
            "rotated_at": time_of.now(),
        }
    assert after == replace(before, **expected)
    assert (successor is not None) == (outcome is Outcome.ROTATE)
    assert events == (1 if outcome is Outcome.ROTATE else 0)


@given(
    generation=GENERATIONS,
    times=st.tuples(st.one_of(st.none(), SECONDS), SECONDS, SECONDS),
    window=st.sampled_from([0, 1, 50, 1000]),
)
@ROUNDS
def test_a_former_token_begins_a_family_exactly_when_the_rules_allow_it(
    session, web, grant, runtime, generation, times, window
):
    session.rollback()  # of the round before
    view = replace(clients.find(session, web.client_id), refresh_token_reuse_seconds=window)
    presented = "rt_" + "x" * 43
    used, expires, absolute = times
    session.delete(session.get_one(RefreshFamily, grant.id))
    session.add(
        FormerRefreshToken(
            token_hash=digest(presented),
            grant_id=grant.id,
            generation=generation,
            scopes=["openid"],
            expires_at=later(expires),
            absolute_expires_at=later(max(expires, absolute)),
            used_at=None if used is None else later(used),
        )
    )
    session.flush()
    found, *_ = find(session, presented)
    outcome = found.decide(view)
    event(outcome.name)

    successor, events = change(session, grant, view, found)

    after = state(session, grant)
    assert (outcome is Outcome.ROTATE) == (used is None and expires > 0)
    if outcome is Outcome.ROTATE:
        following = refresh_rules.read(runtime.keyring, successor)
        assert (after.generation, after.secret_hash) == (generation + 1, following.secret_hash)
        assert following.generation == generation + 1
        assert session.scalar(select(FormerRefreshToken.used_at)) == time_of.now()
    else:
        assert (successor, after) == (None, None)
    assert events == (1 if outcome is Outcome.ROTATE else 0)


def spoil(session, grant, what) -> None:
    """Take away one thing that a grant needs to stand, or that the statement looks at."""
    person = session.get_one(User, grant.user_id)
    tenant = session.get_one(Tenant, grant.tenant_id)
    kept = session.get_one(Grant, grant.id)
    if what == "revoked":
        kept.revoked_at = time_of.now()
    elif what == "resources":
        kept.resources = ["orders"]
    elif what == "issuer":
        kept.issuer_tenant_id = session.scalar(select(func.max(Tenant.id)))
    elif what == "deleted":
        person.deleted_at = time_of.now()
    elif what == "disabled":
        person.is_disabled = True
    elif what == "locked":
        person.lockout_end = later(1)
    elif what == "was locked":
        person.lockout_end = later(-1)
    elif what == "stamp":
        person.security_stamp = "another"
    elif what == "tenant":
        tenant.status = TenantStatus.DISABLED
    elif what == "membership":
        session.execute(delete(Membership).where(Membership.user_id == grant.user_id))
    session.flush()


SPOILING = (
    *("revoked", "resources", "issuer", "deleted", "disabled", "locked", "was locked", "stamp"),
    *("tenant", "membership", "scopes", "no scopes", "client"),
)


@pytest.mark.postgresql
@given(
    row=st.sampled_from([(1, b"s" * 32)] * 4 + [(2, b"s" * 32), (0, b"s" * 32), (1, b"t" * 32)]),
    expires=st.sampled_from([1, 100, 100, 0, -1]),
    kind=CLIENTS,
    spoiled=st.one_of(st.none(), st.sampled_from(SPOILING)),
)
@ROUNDS
def test_one_statement_rotates_exactly_when_the_rules_leave_nothing_to_decide(
    session, web, grant, runtime, row, expires, kind, spoiled
):
    session.rollback()  # of the round before
    view = replace(clients.find(session, web.client_id), **kind)
    if spoiled == "client":
        view = replace(view, row_id=view.row_id + 1)
    elif spoiled == "scopes":
        view = replace(view, allow_offline_access=False)
    presented = refresh_rules.write(runtime.keyring, grant.id, 1, b"s" * 32)
    kept = session.get_one(RefreshFamily, grant.id)
    kept.generation = row[0]
    kept.secret_hash = Token(grant.id, *row, "").secret_hash
    kept.expires_at, kept.absolute_expires_at = later(expires), later(max(expires, 3))
    if spoiled == "no scopes":
        kept.scopes = []
    session.flush()
    spoil(session, grant, spoiled)
    issuer = Issuer(grant.issuer_tenant_id, "https://login.example", "login.example", "Example")
    # The long way reads, and decides by the rules.
    found, held, standing = find(session, presented.text)
    granted = scopes.retain(view, found.family.scopes)
    is_settled = (
        found.decide(view) is Outcome.ROTATE
        and standing is not None
        and held.client_id == view.row_id
        and held.issuer_tenant_id == issuer.tenant_id
        and held.resources == []
        and granted.names == tuple(found.family.scopes) != ()
    )
    event(f"{spoiled}: {is_settled}")
    written = select(func.count()).select_from(AuditEvent)
    before, events = state(session, grant), session.scalar(written)

    columns = audit.columns(NO_REQUEST, Tag.TOKEN_REFRESHED, client_id=view.client_id)
    rotated = complete(
        refresh_tokens.rotate_standing(
            SessionStorage(session),
            issuer,
            view,
            presented.text,
            columns,
            holder=NO_HOLDER,
            proof=None,
        )
    )

    assert (rotated is not None) == is_settled
    if rotated is None:
        assert (state(session, grant), session.scalar(written)) == (before, events)
        return
    following = refresh_rules.successor(runtime.keyring, presented)
    assert rotated == (following.text, found.family.scopes, standing)
    assert state(session, grant) == replace(
        before,
        generation=row[0] + 1,
        secret_hash=following.secret_hash,
        rotated_at=time_of.now(),
        expires_at=min(later(7), before.absolute_expires_at),
    )
    last = session.scalars(select(AuditEvent).order_by(AuditEvent.id.desc()).limit(1)).one()
    assert session.scalar(written) == events + 1
    assert (last.tag, last.client_id) == (Tag.TOKEN_REFRESHED.value, view.client_id)
    told = (last.user_id, last.tenant_id, last.target)
    assert told == (grant.user_id, grant.tenant_id, f"grant:{grant.id}")


@pytest.mark.postgresql
def test_a_rotation_touches_no_index(client, session, web, grant):
    hot = text("SELECT pg_stat_get_xact_tuples_hot_updated('refresh_family'::regclass)")
    view = clients.find(session, web.client_id)
    token = obtain(client, web, "openid offline_access").refresh
    for rotations in range(1, 4):
        found, *_ = find(session, token)
        token, _ = change(session, grant, view, found)
        assert session.scalar(hot) == rotations
    session.rollback()
