"""A code is made by one statement exactly when the rules leave nothing to decide."""

from __future__ import annotations

import contextlib
import secrets
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, insert, select, update

from idp.directory.policies.models import Policy, RolePolicy
from idp.directory.roles.models import Role, UserRole
from idp.directory.tenants import service as tenants
from idp.directory.tenants.models import Membership, Tenant, TenantStatus
from idp.directory.users.models import User
from idp.oauth import visitor
from idp.oauth.authorization import answer, checks, code_grants
from idp.oauth.authorization.decide import ToPage, decide
from idp.oauth.checks.levels import LevelRequest
from idp.oauth.checks.prompt import ClaimsRequest
from idp.oauth.models import AuthorizationCode, Grant, PushedRequest
from idp.oauth.request import Parameters
from idp.platform import clock as time_of
from idp.platform.audit.models import AuditEvent
from idp.platform.audit.tags import Tag
from idp.platform.errors import OAuthError
from idp.platform.secrets import digest
from idp.platform.sessions.models import BrowserSession
from idp.platform.storage import SessionStorage, complete
from tests import protocol
from tests.protocol import add_person, add_tenant, register

pytestmark = pytest.mark.postgresql

ROUNDS = settings(
    max_examples=400,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
SECONDS = st.sampled_from([-1] * 8 + [-100, -61, -60, -59, 0, 100])
PROMPTS = st.sampled_from(
    [frozenset()] * 12
    + [frozenset({name}) for name in ("none", "login", "consent", "select_account")]
)
SPOILING = (
    *("ended", "session expired", "another stamp", "deleted", "disabled", "locked", "was locked"),
    *("tenant disabled", "no membership", "second tenant", "second tenant disabled", "no cookie"),
    *("another issuer", "consent", "hint", "sub", "client of the tenant", "client of another"),
    *("asked for the tenant", "asked for another", "chosen before"),
    *("level wished for", "level demanded", "level reached", "level ended", "passkey proven"),
    *("policy of the platform", "policy of the tenant", "policy of another", "lax policy"),
    *("policy of a role", "policy of another role", "passkeys required", "levels end"),
    *("trusted", "trusted until now", "trusted for long", "no devices", "put off"),
)


@pytest.fixture
def scene(client, session, clock):
    app = register(session)
    person = add_person(session, tenant_ids=(add_tenant(session, "First"),))
    protocol.sign_in(client, session, person)
    second = add_tenant(session)
    session.commit()
    return app, person.id, second


def later(seconds):
    return time_of.now() + timedelta(seconds=seconds)


def set_of(session, table, values, *where):
    session.execute(update(table).where(*where).values(**values))


def spoil(session, scene, what):
    """Change what the decision depends on."""
    _, user_id, second = scene
    first = session.scalar(select(Membership.tenant_id).where(Membership.user_id == user_id))
    users, rows = User.id == user_id, BrowserSession.user_id == user_id
    if what == "ended":
        set_of(session, BrowserSession, {"ended_at": later(-1)}, rows)
    elif what == "session expired":
        set_of(session, BrowserSession, {"expires_at": later(0)}, rows)
    elif what == "another stamp":
        set_of(session, BrowserSession, {"security_stamp": "another"}, rows)
    elif what == "deleted":
        set_of(session, User, {"deleted_at": later(-1)}, users)
    elif what == "disabled":
        set_of(session, User, {"is_disabled": True}, users)
    elif what in {"locked", "was locked"}:
        set_of(session, User, {"lockout_end": later(1 if what == "locked" else 0)}, users)
    elif what == "tenant disabled":
        set_of(session, Tenant, {"status": TenantStatus.DISABLED}, Tenant.id == first)
    elif what == "no membership":
        session.execute(delete(Membership).where(Membership.user_id == user_id))
    elif what == "second tenant":
        session.execute(insert(Membership).values(user_id=user_id, tenant_id=second))
    elif what == "second tenant disabled":
        set_of(session, Tenant, {"status": TenantStatus.DISABLED}, Tenant.id == second)
    elif what == "level reached":
        set_of(session, BrowserSession, {"acr": "mfa", "mfa_at": later(-10)}, rows)
    elif what == "level ended":
        set_of(session, BrowserSession, {"acr": "mfa", "mfa_at": later(-301)}, rows)
    elif what == "passkey proven":
        proven = {"acr": "phr", "mfa_at": later(-10), "phr_at": later(-400)}
        set_of(session, BrowserSession, proven, rows)
    elif what.startswith("trusted"):
        until = {"trusted": 10, "trusted until now": 0, "trusted for long": 10_000_000}[what]
        set_of(session, BrowserSession, {"trusted_until": later(until)}, rows)
    elif what == "put off":
        set_of(session, User, {"second_factor_asked_at": later(-10)}, users)
    elif what in POLICIES:
        add_policy(session, first, second, *POLICIES[what])
    elif what in {"policy of a role", "policy of another role"}:
        is_own = what == "policy of a role"
        role = Role(code="r", name="r", tenant_id=first if is_own else second)
        session.add(role)
        session.flush()
        session.add(RolePolicy(role_id=role.id, second_factor="required"))
        if is_own:
            session.add(UserRole(user_id=user_id, role_id=role.id))
        session.flush()
    elif what == "chosen before":
        set_of(session, BrowserSession, {"tenant_id": first}, rows)


POLICIES = {
    "policy of the platform": (1, {"second_factor": "required", "grace_days": 1}),
    "policy of the tenant": (None, {"second_factor": "required"}),
    "policy of another": (0, {"second_factor": "required", "level_minutes": 5}),
    "lax policy": (None, {"password_length": 12}),
    "passkeys required": (None, {"second_factor": "required", "level": "phr"}),
    "levels end": (1, {"level_minutes": 5}),
    "no devices": (1, {"device_days": 0, "second_factor": "required"}),
}
"""Whose policies they are (the platform's, the other tenant's, or its own), and what they set."""


BY_PERSON = {
    *("policy of a role", "policy of another role", "put off", "passkeys required"),
    *("policy of the tenant", "policy of another", "lax policy"),
}
"""What may depend on the person or on a tenant that is not known yet: then there is no haste."""


def add_policy(session, first, second, whose, values):
    """Set columns of a policy, beside those that it has already."""
    tenant_id = {1: 1, 0: second, None: first}[whose]
    row = session.scalar(select(Policy).where(Policy.tenant_id == tenant_id))
    if row is None:
        row = Policy(tenant_id=tenant_id)
        session.add(row)
    for name, value in values.items():
        setattr(row, name, value)
    session.flush()


def changed(asked, what, first, second, user_id):
    """Return the request with what a client or its registration may change."""
    client = asked.client
    sub = ClaimsRequest({"id_token": {"sub": {"value": str(user_id)}}})
    changes = {
        "consent": {"client": replace(client, require_consent=True)},
        "hint": {"hinted_subject": str(user_id)},
        "sub": {"claims": sub},
        "client of the tenant": {"client": replace(client, tenant_id=first)},
        "client of another": {"client": replace(client, tenant_id=second)},
        "asked for the tenant": {"tenant_id": first},
        "asked for another": {"tenant_id": second},
        "level wished for": {"levels": LevelRequest(("mfa", "pwd"))},
        "level demanded": {"levels": LevelRequest((), (), "mfa")},
    }
    return replace(asked, **changes.get(what, {}))


@given(
    spoiled=st.one_of(st.none(), st.sampled_from(SPOILING)),
    more=st.one_of(st.none(), st.none(), st.sampled_from(SPOILING)),
    seen=SECONDS,
    signed_in=SECONDS,
    max_age=st.sampled_from([None] * 6 + [0, 1, 60, 1000]),
    prompts=PROMPTS,
    state=st.sampled_from([None, None, "pushed", "pushed", "pushed and used"]),
)
@ROUNDS
def test_a_code_is_made_at_once_exactly_when_nothing_is_to_be_decided(
    client, session, scene, spoiled, more, seen, signed_in, max_age, prompts, state
):
    session.rollback()  # of the round before
    session.info["runtime"].cache.clear()
    app, user_id, second = scene
    app_tenant = session.scalar(select(Membership.tenant_id).where(Membership.user_id == user_id))
    storage = SessionStorage(session)
    set_of(
        session,
        BrowserSession,
        {"last_seen_at": later(seen), "auth_time": later(signed_in)},
        BrowserSession.user_id == user_id,
    )
    issuer = tenants.find_issuer(session, "127.0.0.1:8000")
    if "another issuer" in {spoiled, more}:
        issuer = replace(issuer, tenant_id=issuer.tenant_id + 1000)
    parameters = Parameters(protocol.authorization_parameters(app, scope="openid").items())
    registered = complete(checks.prove_client(storage, issuer, app.client_id))
    back = answer.return_address(issuer, registered, parameters)
    asked = complete(checks.validate(storage, issuer, registered, back.uri, parameters))
    asked = replace(asked, prompt=prompts, max_age=max_age)
    changes = {spoiled, more}
    for what in sorted(filter(None, changes)):
        spoil(session, scene, what)
        asked = changed(asked, what, app_tenant, second, user_id)
    cookie = (
        None if "no cookie" in changes else client.get_cookie("idp_1", domain="127.0.0.1").value
    )
    # Reading notes that the session is used, once a minute; that is no matter here.
    expected = None
    with session.begin_nested() as before_reading:
        signed = complete(visitor.find_signed_in(storage, issuer, cookie))
        with contextlib.suppress(ToPage, OAuthError):
            expected = complete(decide(storage, asked, signed, None))
        before_reading.rollback()
    has_choice = asked.tenant_id is None and asked.client.tenant_id is None
    is_left_out = (
        seen <= -60
        or bool({"hint", "sub", "consent"} & changes)
        or (has_choice and {"second tenant", "chosen before"} <= changes)
    )
    request = None if state is None else pushed(session, app, is_used=state == "pushed and used")
    if state == "pushed and used":
        expected = None
    written = [select(func.count()).select_from(table) for table in (Grant, AuthorizationCode)]
    before = [session.scalar(query) for query in written]

    pushed_id = None if request is None else request.id
    code = complete(code_grants.grant_at_once(storage, asked, cookie, pushed_id))

    event(f"{spoiled}, {more}: {code is not None}")
    if request is not None:
        session.refresh(request)
        assert (request.used_at is not None) == (code is not None or state == "pushed and used")
    if BY_PERSON & changes:
        assert code is None or (expected is not None and not is_left_out)
    else:
        assert (code is not None) == (expected is not None and not is_left_out)
    added = 0 if code is None else 1
    assert [session.scalar(query) for query in written] == [count + added for count in before]
    if code is None:
        return
    at_once = grant_of(session, code)
    longer = "another code"
    code_grants.GRANT.run(session, code_grants.values(storage, asked, expected, longer))
    assert grant_of(session, longer) == at_once


def pushed(session, app, *, is_used):
    """Keep a request that the client pushed, whatever its parameters were."""
    request = PushedRequest(
        handle_hash=secrets.token_bytes(32),
        issuer_tenant_id=1,
        client_id=app.row_id,
        parameters=[],
        is_signed=False,
        created_at=later(-1),
        expires_at=later(59),
        used_at=later(-1) if is_used else None,
    )
    session.add(request)
    session.flush()
    return request


def grant_of(session, code):
    """Return everything that a code and its grant say, and their event."""
    query = (
        select(AuthorizationCode, Grant)
        .join(Grant, Grant.id == AuthorizationCode.grant_id)
        .where(AuthorizationCode.code_hash == digest(code))
    )
    made, grant = session.execute(query).one()
    told = session.scalars(select(AuditEvent).where(AuditEvent.target == f"grant:{grant.id}")).one()
    assert told.tag == Tag.CODE_ISSUED.value
    own = {"id", "code_hash", "grant_id"}
    return (
        {c.key: getattr(made, c.key) for c in made.__table__.c if c.key not in own},
        {c.key: getattr(grant, c.key) for c in grant.__table__.c if c.key not in own},
        (told.user_id, told.client_id, told.tenant_id, told.request_id),
    )
