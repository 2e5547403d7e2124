"""Explanations against tokens that are really issued: 200 random cases over HTTP."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import select

from idp.directory.bundles.models import Bundle
from idp.directory.clients.models import Client, ClientClaim
from idp.directory.resources.models import ApiResource
from idp.directory.roles.models import Privilege, Role, RoleClaim, RolePrivilege, UserRole
from idp.directory.tenants.models import Tenant
from idp.directory.users.models import User, UserClaim
from idp.explain import service
from idp.explain.presented import EACH_TOKEN
from idp.explain.recording import Recorder
from idp.explain.service import Question
from idp.oauth.models import Grant, ReferenceToken
from idp.platform.errors import InvalidToken
from idp.platform.secrets import digest
from idp.platform.signing import signer
from idp.platform.storage import complete
from tests import protocol
from tests.protocol import App, add_api, add_person, add_tenant, register

HOST = "beta.example"
ORIGINS = {"role", "role_of_platform", "direct_grant", "platform_grant"}
USER_CLAIMS = ("permission", "role", "email", "name", "office", "badge", "sub", "birthdate")
SCOPES = ("openid", "profile", "email", "orders.read", "orders.write", "stock.read", "bills.read")
UNKNOWN = ("nonsense", "closed.read", "ids4.ms.user.get", "offline_access", "address")
GRANTS = (
    *[("authorization_code", "refresh_token", "client_credentials")] * 3,
    ("authorization_code",),
    ("client_credentials",),
)
CASES = 20
SEEDS = 10


@dataclass
class World:
    """Tenants, APIs, people and clients that a generator has made."""

    random: random.Random
    tenants: list[int] = field(default_factory=list)
    apis: dict[str, ApiResource] = field(default_factory=dict)
    people: list[User] = field(default_factory=list)
    clients: list[tuple[App, int | None]] = field(default_factory=list)
    grants: dict[int, set[tuple[str | None, int | None, str]]] = field(default_factory=dict)
    """Of each person: role (None: a direct grant), tenant (None: the platform), permission."""

    def some(self, things: Any, most: int) -> list[Any]:
        """Pick a few of several things."""
        things = list(things)
        return self.random.sample(things, self.random.randint(0, min(most, len(things))))

    def maybe(self, chance: float = 0.5) -> bool:
        """Throw a coin."""
        return self.random.random() < chance


def make_world(session, seed: int) -> World:
    world = World(random.Random(seed))
    world.tenants = [1, add_tenant(session, "Acme"), add_tenant(session, "Beta", [HOST])]
    for name, scopes in (
        ("orders", ("orders.read", "orders.write")),
        ("stock", ("stock.read",)),
        ("bills", ("bills.read",)),
        ("closed", ("closed.read",)),
    ):
        as_text = {"permission_format": "text"} if world.maybe(0.2) else {}
        asked = world.some(USER_CLAIMS, 4)
        world.apis[name] = add_api(session, name, scopes, user_claims=asked, properties=as_text)
    world.apis["closed"].enabled = False
    make_rights(session, world)
    make_clients(session, world)
    session.commit()
    return world


def make_rights(session, world: World) -> None:
    codes: list[Privilege] = []
    for api in (*world.apis.values(), None):
        prefix = "any" if api is None else api.name
        count = 250 if world.maybe(0.2) else 5  # more than a token has room for
        names = [f"{prefix}.part{number % 3}.do{number:03}" for number in range(count)]
        names += [f"{prefix}.all", f"{prefix}.part1.all"]
        codes += [
            Privilege(
                code=name,
                name=name,
                api_resource_id=None if api is None else api.id,
                status=0 if world.maybe(0.1) else 1,
            )
            for name in names
        ]
    session.add_all(codes)
    session.flush()
    roles = [
        Role(code=f"role{number}", name="Role", tenant_id=tenant_id)
        for tenant_id in (*world.tenants, None)
        for number in range(3)
    ]
    session.add_all(roles)
    session.flush()
    carried: dict[int, list[Privilege]] = {}
    for role in roles:
        carried[role.id] = world.some(codes, len(codes) if world.maybe(0.2) else 6)
        session.add_all(
            RolePrivilege(role_id=role.id, privilege_id=row.id) for row in carried[role.id]
        )
        if world.maybe(0.3):
            session.add(RoleClaim(role_id=role.id, type="office", value=f"of {role.code}"))
    bundled = [row.code for row in world.some(codes, 10)]
    ability = {"roles": [{"code": "a", "name": "A", "privilegeCodes": bundled}]}
    ability["adminRoleCodes"] = []
    session.add(
        Bundle(code="small", name="Small", tenant_type_code="shop", ability=json.dumps(ability))
    )
    session.get_one(Tenant, world.tenants[1]).bundle_code = "small"
    for number in range(4):
        make_person(session, world, number, roles, carried, codes)


def make_person(session, world, number, roles, carried, codes) -> None:
    of = world.some(world.tenants, 3)
    columns: dict[str, Any] = {"is_disabled": world.maybe(0.1)}
    if world.maybe():
        columns["email"] = f"person{number}@example.com"
    user = add_person(session, f"person{number}", tenant_ids=of, **columns)
    held: set[tuple[str | None, int | None, str]] = set()
    for role in world.some(roles, 6):
        session.add(UserRole(user_id=user.id, role_id=role.id))
        held |= {(role.code, role.tenant_id, row.code) for row in carried[role.id]}
    for row in world.some(codes, 5):
        tenant_id = world.random.choice([None, *world.tenants])
        session.add(
            UserClaim(user_id=user.id, tenant_id=tenant_id, type="permission", value=row.code)
        )
        held.add((None, tenant_id, row.code))
    for name in world.some(("office", "badge", "email"), 2):
        session.add(UserClaim(user_id=user.id, type=name, value=f"{name} {number}"))
    world.grants[user.id] = held
    world.people.append(user)


def make_clients(session, world: World) -> None:
    for number in range(4):
        tenant_id = world.random.choice([None, None, *world.tenants])
        grants = world.random.choice(GRANTS)
        app = register(
            session,
            f"client{number}",
            scopes=["openid", *world.some(SCOPES[1:], 6)],
            grants=grants,
            tenant_id=tenant_id,
            access_token_type=int(world.maybe(0.3)),
            always_send_client_claims=world.maybe(),
            always_include_user_claims_in_id_token=world.maybe(),
            access_token_lifetime=world.random.choice([60, 3600]),
        )
        row = session.get_one(Client, app.row_id)
        if world.maybe():
            row.claims.append(ClientClaim(type="shop", value="7"))
            row.claims.append(ClientClaim(type="sub", value="7"))
        world.clients.append((app, tenant_id))
    session.flush()


def a_question(world: World, app: App) -> Question:
    """Make a question; for a person about half the time."""
    scopes = ["openid", *world.some(SCOPES[1:], 4)] if world.maybe(0.8) else []
    scopes += world.some(UNKNOWN, 1) if world.maybe(0.3) else []
    if world.maybe(0.7):
        user, names = world.random.choice(world.people).id, scopes or ["orders.read"]
    else:
        user, names = None, [name for name in scopes if "." in name or world.maybe(0.1)]
    resources = world.some(("orders", "stock", "other"), 1) if world.maybe(0.2) else []
    tenant_id = world.random.choice(world.tenants)
    return Question(app.client_id, tenant_id, user, tuple(names), tuple(resources))


def really(world: World, session, browser, app: App, question: Question) -> dict[str, Any]:
    """Ask for the tokens over HTTP; the answer, or the error."""
    resources = list(question.resources)
    if question.user_id is None:
        form = {"scope": " ".join(question.scopes), "resource": resources}
        return protocol.machine_token(browser, app, **form).get_json()
    user = session.get_one(User, question.user_id)
    protocol.sign_in(browser, session, user)
    answer = protocol.authorize(
        browser,
        app,
        scope=" ".join(question.scopes),
        resource=resources,
        tenant=question.tenant_id,
    )
    if answer.status_code == 400:  # nothing proves where a refusal could be sent
        is_known = "is not known here" in answer.get_json()["detail"]
        return {"error": "invalid_client" if is_known else "unauthorized_client"}
    if answer.location.startswith("/login"):
        return {"error": "access_denied"}
    fields = protocol.returned(answer)
    if "error" in fields:
        return fields
    return protocol.redeem(browser, app, fields["code"]).get_json()


def content_of(session, token: str) -> dict[str, Any]:
    if not token.startswith("at_"):
        return protocol.payload(token)
    query = select(ReferenceToken.claims).where(ReferenceToken.token_hash == digest(token))
    return session.scalars(query).one()


def stable(claims: Any) -> dict[str, Any]:
    return {name: value for name, value in claims.items() if name not in EACH_TOKEN}


def check_lines(world: World, question: Question, found: Any, claims: dict[str, Any]) -> None:
    """Check that every line agrees with the token, and names where it really comes from."""
    present = {
        line.name for line in found.claims if line.token == "access_token" and line.is_present
    }
    assert present == claims.keys()
    assert all(line.reasons for line in (*found.claims, *found.scopes, *found.permissions))
    granted = {line.name for line in found.scopes if line.is_granted}
    assert granted == set(claims["scope"].split())
    roles = {line.code for line in found.roles if line.is_present}
    assert roles == set(claims.get("role", ()))
    written = claims.get("permission") or []
    codes = written.split(",") if isinstance(written, str) else written
    assert {line.code for line in found.permissions if line.is_present} == set(codes)
    if question.user_id is None:
        return
    at_platform = question.tenant_id != world.tenants[2]
    held = world.grants[question.user_id]
    for line in found.permissions:
        named = {(reason.code, reason.subject) for reason in line.reasons if reason.code in ORIGINS}
        sources = {
            _named(role, tenant_id)
            for role, tenant_id, code in held
            if code == line.code
            and tenant_id in {None, question.tenant_id}
            and (role is None or tenant_id is not None or at_platform)
        }
        assert named == sources, line
        assert sources or not line.is_present, line
        if not line.is_present:
            assert {reason.code for reason in line.reasons} - ORIGINS, line


def _named(role: str | None, tenant_id: int | None) -> tuple[str, str | None]:
    if role is None:
        return ("platform_grant" if tenant_id is None else "direct_grant"), None
    return ("role_of_platform" if tenant_id is None else "role"), role


@pytest.mark.parametrize("seed", range(SEEDS))
def test_an_explanation_equals_the_token_that_is_issued(session, new_client, seed):
    world = make_world(session, seed)
    issued = 0
    for _ in range(CASES):
        app, _tenant_id = world.random.choice(world.clients)
        question = a_question(world, app)
        is_beta = question.tenant_id == world.tenants[2]
        browser = new_client(f"http://{HOST}" if is_beta else None)
        answer = really(world, session, browser, app, question)
        found = service.explain(session, question, within=None)
        session.commit()
        if "error" in answer:
            assert found.refused is not None, (question, answer)
            assert found.refused.error == answer["error"], (question, answer, found.refused)
            assert found.refused.check
            assert found.access_token is None
            continue
        assert found.refused is None, (question, found.refused)
        issued += 1
        claims = content_of(session, answer["access_token"])
        assert found.access_token is not None
        assert stable(found.access_token.claims) == stable(claims), question
        assert found.access_token.claims.keys() == claims.keys()
        assert found.access_token.expires_in == answer["expires_in"]
        assert (found.access_token.format == "reference") == answer["access_token"].startswith(
            "at_"
        )
        assert found.has_refresh_token == ("refresh_token" in answer)
        assert (found.id_token is None) == ("id_token" not in answer)
        if found.id_token is not None:
            identity = protocol.payload(answer["id_token"])
            assert stable(found.id_token.claims) == stable(identity), question
            names = {
                line.name for line in found.claims if line.token == "id_token" and line.is_present
            }
            assert names == identity.keys() - {"nonce"}
        check_lines(world, question, found, claims)
    assert issued > 0


def test_an_explanation_leaves_nothing_behind(session, client):
    add_api(session)
    app = register(session, scopes=("openid", "orders.read"), access_token_type=1)
    user = add_person(session)
    question = Question(app.client_id, 1, user.id, ("openid", "orders.read"))
    found = service.explain(session, question, within=None)
    assert found.access_token is not None
    assert not session.new
    assert not session.dirty
    for table in (Grant, ReferenceToken):
        assert session.scalars(select(table)).all() == []


def test_what_leaves_the_recorder_verifies_nowhere(session):
    recorder = Recorder(session)
    keys = complete(recorder.look_up(signer.keys))
    claims = {"iss": "http://127.0.0.1:8000", "sub": "1"}
    text = keys.sign(claims, alg=None, typ="at+jwt")
    assert recorder.recorded["at+jwt"].claims == claims
    real = signer.keys(session)
    with pytest.raises(InvalidToken):
        real.verify(text, typ=None)
    assert len(text) == len(real.sign(claims, alg=None, typ="at+jwt"))
