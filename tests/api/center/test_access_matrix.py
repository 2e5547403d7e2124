"""Every operation of the Authorization Center, called by everybody who must not, and by who may.

`CASES` holds what each operation needs to be called; an operation that is missing there fails.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pytest
import time_machine

from idp.api.center.dialect import center as dialect
from idp.directory.actor import OPERATOR, Actor
from idp.directory.clients import service as clients
from idp.directory.resources import service as resources
from idp.directory.resources.service import NewScope
from idp.directory.roles.models import Role, UserRole
from idp.directory.tenants import service as tenants
from idp.directory.users import service as users
from idp.publishing.gateway import products
from idp.publishing.gateway import service as publications
from idp.publishing.gateway.service import planning
from idp.publishing.gateway.validation import Description
from idp.publishing.packages import service as packages
from idp.publishing.subscribers.models import Subscription
from idp.seeds import PLATFORM_ROLES
from tests import protocol, samples
from tests.api import center
from tests.api.center import Caller, File

if TYPE_CHECKING:
    from sqlalchemy.orm import Session
    from werkzeug.test import TestResponse

    from idp.api.dialect import Operation
    from idp.directory.users.models import User
    from tests.conftest import IssuerClient

HIDDEN = "404"
"""The row is there, and the answer is that of a row that is not."""
REFUSED = "403"
DONE = "200"
UNRELATED = "ids4.ms.us.menu.page"
OWN_DESCRIPTION = "http://127.0.0.1:8000/openapi/authorization-center.json"
NPM_OPTIONS = {
    "name": "@acme/orders",
    "sdkName": "Orders",
    "version": "1.0.0",
    "homepage": "https://acme.example",
    "token": "a-token",
}
UPSTREAM = "https://orders.example"


class World:
    """Two tenants, a person who may call the operation in one of them, and their rows."""

    def __init__(self, browser: IssuerClient, session: Session, operation: Operation) -> None:
        self.browser = browser
        self.session = session
        self.operation = operation
        self.home = protocol.add_tenant(session, "Home")
        self.away = protocol.add_tenant(session, "Away")
        self.count = 0
        case = CASES[operation.id]
        self.owner = self.person("owner", self.home)
        if case.by_administrator:
            protocol.add_role(session, self.owner, "administrators", tenant_id=None)
        else:
            self.permit(self.owner, self.home)

    @cached_property
    def root(self) -> Caller:
        """A person who may do everything, to look and to prepare."""
        return center.administrator(self.browser, self.session)

    def fresh(self, name: str = "row") -> str:
        """Make a name that nothing has yet."""
        self.count += 1
        return f"{name}-{self.count}"

    def person(self, name: str, *tenant_ids: int, **columns: Any) -> User:
        """Add a member of tenants."""
        return protocol.add_person(self.session, name, tenant_ids=tenant_ids, **columns)

    def permit(self, user: User, tenant_id: int) -> None:
        """Grant a person the permission of the operation in a tenant, where it requires one."""
        if self.operation.permission is None:
            return
        protocol.grant_directly(self.session, user, self.operation.permission, tenant_id=tenant_id)

    def token(self, user: User, tenant_id: int, scope: str | None = None) -> str:
        """Make a token with the one scope of the operation, or another."""
        wanted = scope or self.operation.scope
        assert wanted is not None
        return center.token_for(self.session, user, [wanted], tenant_id)


Prepare = Callable[[World], int]
Write = Callable[[World, int], Any]


@dataclass(frozen=True)
class Case:
    """What one operation needs, and what it answers whom."""

    row: Prepare = lambda world: 0
    """Makes a row of the owner's in the tenant, and gives its id."""
    body: Write = lambda world, row: None
    query: Callable[[World], dict[str, str]] = lambda world: {}
    abroad: str = DONE
    """For a person who may do it in another tenant."""
    neighbour: str = DONE
    """For another member of the tenant, who may do it as well."""
    neighbour_sees_rows: bool = False
    """Of a list: whether rows belong to the tenant and not to one person."""
    right: str = DONE
    query_of_row: Callable[[int], dict[str, str]] = lambda row: {}
    lists_of_row: bool = False
    """Of a list: whether it is about one row, whose id is no row of the list."""
    path: Callable[[World, int], dict[str, str]] = lambda world, row: {}
    """What the path holds besides the id of the row."""
    by_administrator: bool = False


def a_client(world: World) -> int:
    app = protocol.register(world.session, world.fresh(), tenant_id=world.home, scopes=["openid"])
    clients.link_owner(world.session, clients.get(world.session, app.client_id), world.owner.id)
    world.session.commit()
    return app.row_id


def an_api(world: World) -> int:
    name = world.fresh()
    api = protocol.add_api(world.session, name, [f"{name}.read"], tenant_id=world.home)
    resources.link_owner(world.session, api, world.owner.id)
    world.session.commit()
    return api.id


def an_api_to_publish(world: World) -> int:
    row = an_api(world)
    for path, body in (
        ("NpmOptions/angular2", NPM_OPTIONS),
        ("GithubOptions", {"owner": "acme", "repo": "sdk"}),
    ):
        assert world.root.data("PUT", f"/CodeGen/{row}/{path}", body) is True
    return row


def a_package(world: World, row: int) -> Any:
    address = "https://registry.example/sdk"
    return {
        "name": world.fresh("sdk"),
        "publisher": "Home",
        "link": address,
        "icon": address,
        "packagePlatform": "npm",
        "language": "typescript",
    }


def an_api_with_a_package(world: World) -> int:
    row = an_api(world)
    said = {**a_package(world, row), "platform": "npm"}
    del said["packagePlatform"]
    packages.add(world.session, OPERATOR, row, packages.Content(**said))
    world.session.commit()
    return row


def a_subscribed_api(world: World) -> int:
    row = an_api(world)
    address = "ann@app.example"
    world.session.add(
        Subscription(api_resource_id=row, address=address, address_key=address, locale="en")
    )
    world.session.commit()
    return row


def a_publication(world: World) -> int:
    """Publish an API of the owner's, with a revision that waits and a note."""
    row = an_api(world)
    api = resources.get_api(world.session, OPERATOR, row)
    products.allow_upstream(world.session, world.home, UPSTREAM)
    actor = Actor(world.owner.id, world.home)

    def settle(plan: publications.Plan) -> None:
        publications.carry_out(world.session, plan)

    described = described_as("First")
    request = publications.PublishRequest(str(row), suffix=f"row{row}")
    settle(planning.publish(world.session, actor, api, request, described))
    settle(planning.revise(world.session, actor, api, str(row), described_as("Second"), ""))
    settle(publications.add_release(world.session, actor, api, str(row), "A note"))
    return row


def described_as(title: str) -> Description:
    answer = {"description": "Done"}
    document = {
        "openapi": "3.0.3",
        "info": {"title": title, "version": "1"},
        "paths": {"/": {"get": {"responses": {"200": answer}}}},
    }
    return Description(f"{UPSTREAM}/openapi.json", "3.0", document)


def publishing(world: World, row: int) -> Any:
    """Publish without an address: those who may publish are told that it is missing."""
    return {"apiId": str(row), "suffix": f"row{row}"}


def the_release(world: World, row: int) -> str:
    found = publications.find(world.session, row)
    assert found is not None
    releases = found.versions[0].releases
    return releases[0].name if releases else "gone"


def an_identity_resource(world: World) -> int:
    row = resources.create_identity(world.session, NewScope(world.fresh()))
    world.session.commit()
    return row.id


def a_role(world: World) -> int:
    row = Role(code=world.fresh(), name="Row", tenant_id=world.home)
    world.session.add(row)
    world.session.commit()
    return row.id


def a_tenant(world: World) -> int:
    row = protocol.add_tenant(world.session, world.fresh())
    tenants.add_member(world.session, row, world.owner.id, is_admin=True)
    if not CASES[world.operation.id].by_administrator:
        world.permit(world.owner, row)
    world.session.commit()
    return row


def a_person(world: World) -> int:
    below = {"parent_user_id": world.owner.id, "lineage": users.lineage_below(world.owner)}
    return world.person(world.fresh(), world.home, **below).id


def as_read(module: str) -> Write:
    """Send back what reading gives."""
    return lambda world, row: world.root.data("GET", f"/{module}/{row}")


def a_number(world: World) -> str:
    world.count += 1
    return f"1380013{world.count:04}"


def an_application(world: World, row: int) -> Any:
    return {
        "nickName": "Ben",
        "email": f"{world.fresh()}@app.example",
        "gender": "m",
        "address": "1 Way",
        "birthday": "1990-05-06T00:00:00Z",
        "stature": 1.8,
        "weight": 77,
        "phoneNumber": a_number(world),
        "phoneNumberVerifyCode": "123456",
        "password": "tall-birch-window-8",
    }


def of_nobody_else(row: Prepare, **more: Any) -> Case:
    """Describe an operation on a row that only its owner sees."""
    return Case(row=row, abroad=HIDDEN, neighbour=HIDDEN, **more)


def of_the_tenant(row: Prepare, **more: Any) -> Case:
    """Describe an operation on a row that the whole tenant sees."""
    return Case(row=row, abroad=HIDDEN, **more)


def of_the_platform(row: Prepare = lambda world: 0, **more: Any) -> Case:
    """Describe an operation that needs its permission at the platform, not in a tenant."""
    return Case(row=row, abroad=REFUSED, neighbour=REFUSED, by_administrator=True, **more)


CASES: dict[str, Case] = {
    "apiresource-get": Case(row=an_api),
    "apiresource-put": of_nobody_else(an_api, body=as_read("ApiResource")),
    "apiresource-post": Case(body=lambda world, row: {"name": world.fresh("api")}),
    "apiresource-detail": of_nobody_else(an_api),
    "apiresource-delete": of_nobody_else(an_api),
    "apiresource-codes": Case(),
    # The market shows what the tenant has; only who manages a microservice changes it.
    "apiresource-packages": Case(
        row=an_api_with_a_package, abroad=HIDDEN, neighbour_sees_rows=True
    ),
    "apiresource-postpackage": of_nobody_else(an_api, body=a_package),
    "apiresource-deletepackage": of_nobody_else(an_api),
    "apiresource-subscriptions": of_nobody_else(a_subscribed_api),
    # Anybody in the tenant may name a microservice.
    "apiresource-verifyemail": Case(
        row=an_api,
        body=lambda world, row: {"email": f"{world.fresh()}@app.example"},
        abroad=HIDDEN,
    ),
    "apiresource-addsubscription": Case(query=lambda world: {"code": "x"}, right="300010"),
    "apiresource-delsubscription": Case(query=lambda world: {"code": "x"}, right="300012"),
    "apiresource-scopes": Case(),
    # Nothing is fetched, so the owner is told what is missing; what works has tests of its own.
    "apiresource-publish": of_nobody_else(an_api, body=publishing, right="300011"),
    "apiresource-authservers": Case(),
    "apiresource-products": Case(),
    "apiresource-publishrevision": of_nobody_else(a_publication, body=publishing, right="300005"),
    "apiresource-publishversion": of_nobody_else(
        a_publication,
        body=lambda world, row: {"revisionId": f"{row};rev=1", "apiVersionName": world.fresh()},
    ),
    "apiresource-publishconfiguration": of_nobody_else(a_publication),
    "apiresource-versions": of_nobody_else(a_publication, lists_of_row=True),
    "apiresource-setonlineversion": of_nobody_else(
        a_publication, path=lambda world, row: {"revisionId": f"{row};rev=2"}
    ),
    "apiresource-releases": of_nobody_else(
        a_publication, query_of_row=lambda row: {"apiId": str(row)}, lists_of_row=True
    ),
    "apiresource-postrelease": of_nobody_else(
        a_publication, body=lambda world, row: {"aid": str(row), "notes": "Another note"}
    ),
    "apiresource-putrelease": of_nobody_else(
        a_publication,
        body=lambda world, row: {"notes": "Other words"},
        path=lambda world, row: {"releaseId": the_release(world, row)},
    ),
    "apiresource-deleterelease": of_nobody_else(
        a_publication, path=lambda world, row: {"releaseId": the_release(world, row)}
    ),
    "client-get": Case(row=a_client),
    "client-put": of_nobody_else(a_client, body=as_read("Client")),
    "client-post": Case(
        body=lambda world, row: {
            "clientId": world.fresh("app"),
            "requireClientSecret": False,
            "allowedGrantTypes": [{"grantType": "authorization_code"}],
            "redirectUris": [{"redirectUri": "https://app.example/callback"}],
            "allowedScopes": [{"scope": "openid"}],
        }
    ),
    "client-detail": of_nobody_else(a_client),
    "client-delete": of_nobody_else(a_client),
    "client-codes": Case(),
    "client-issuetoken": Case(body=lambda world, row: {}),
    "client-postsecretkey": of_nobody_else(a_client, body=lambda world, row: {}),
    "codegen-clients": Case(),
    "codegen-servers": Case(),
    "codegen-releasesdk": of_nobody_else(
        an_api_to_publish,
        body=lambda world, row: {
            "platform": 0,
            "language": "angular2",
            "apiId": str(row),
            "swaggerUrl": OWN_DESCRIPTION,
        },
    ),
    "codegen-npmoptions": of_nobody_else(an_api_to_publish),
    "codegen-putnpmoptions": of_nobody_else(an_api, body=lambda world, row: NPM_OPTIONS),
    "codegen-githuboptions": of_nobody_else(an_api_to_publish),
    "codegen-putgithuboptions": of_nobody_else(
        an_api, body=lambda world, row: {"owner": "acme", "repo": "sdk", "token": "a-token"}
    ),
    "codegen-gen": Case(
        body=lambda world, row: {"genName": "readthedocs.gen", "swaggerUrl": OWN_DESCRIPTION}
    ),
    "file-codes": Case(),
    "file-image": Case(body=lambda world, row: File(samples.png())),
    "file-post": Case(body=lambda world, row: File(samples.PDF)),
    "identityresource-get": of_the_platform(an_identity_resource),
    "identityresource-put": of_the_platform(an_identity_resource, body=as_read("IdentityResource")),
    "identityresource-post": of_the_platform(
        body=lambda world, row: {"name": world.fresh("identity")}
    ),
    "identityresource-detail": of_the_platform(an_identity_resource),
    "identityresource-delete": of_the_platform(an_identity_resource),
    "identityresource-codes": Case(),
    "role-get": Case(row=a_role, neighbour_sees_rows=True),
    "role-put": of_the_tenant(a_role, body=as_read("Role")),
    "role-post": Case(body=lambda world, row: {"name": world.fresh("clerk")}),
    "role-detail": of_the_tenant(a_role),
    "role-delete": of_the_tenant(a_role),
    "role-codes": Case(),
    "tenant-get": Case(row=a_tenant),
    "tenant-put": of_nobody_else(a_tenant, body=as_read("Tenant")),
    "tenant-post": Case(body=lambda world, row: {"name": world.fresh("tenant")}),
    "tenant-detail": of_nobody_else(a_tenant),
    "tenant-delete": of_nobody_else(a_tenant),
    "tenant-info": Case(query=lambda world: {"host": "127.0.0.1:8000"}),
    "tenant-codes": Case(),
    "user-get": Case(row=a_person),
    "user-put": of_nobody_else(a_person, body=as_read("User")),
    "user-post": Case(body=lambda world, row: {"userName": world.fresh("ben")}),
    "user-detail": of_nobody_else(a_person),
    "user-delete": of_nobody_else(a_person),
    "user-head": Case(
        query=lambda world: {"PhoneNumber": a_number(world)},
        abroad=HIDDEN,
        neighbour=HIDDEN,
        right=HIDDEN,
    ),
    "user-codes": Case(),
    # Without the code that was sent, whoever may ask is told that it is wrong.
    "user-register": Case(body=an_application, abroad="100002", neighbour="100002", right="100002"),
    "user-verifyphone": Case(body=lambda world, row: {"phoneNumber": a_number(world)}),
    "user-verifyemail": Case(body=lambda world, row: {"email": f"{world.fresh()}@app.example"}),
}

OPERATIONS = {operation.id: operation for operation in dialect.operations}
GUARDED = sorted(name for name, operation in OPERATIONS.items() if operation.scope is not None)
OPEN = sorted(name for name, operation in OPERATIONS.items() if operation.scope is None)


@pytest.mark.no_database
def test_every_operation_has_a_case():
    assert OPERATIONS.keys() == CASES.keys()


@pytest.mark.no_database
@pytest.mark.usefixtures("listed_generators")
@pytest.mark.parametrize("name", GUARDED)
def test_nobody_calls_who_may_not(client, session, name):
    operation, case = OPERATIONS[name], CASES[name]
    world = World(client, session, operation)
    row = case.row(world)
    answers: dict[str, TestResponse] = {}

    def call(who: str, token: str | None) -> None:
        answers[who] = send(world, row, token)

    call("no token", None)

    with time_machine.travel(datetime.now(UTC) - timedelta(hours=1)):
        old = world.token(world.owner, world.home)
    call("expired token", old)

    nobody = world.person("nobody", world.home)
    call("wrong scope", world.token(nobody, world.home, UNRELATED))
    call("scope without permission", world.token(nobody, world.home))
    call("permission without scope", world.token(world.owner, world.home, UNRELATED))

    stranger = world.person("stranger", world.away)
    world.permit(stranger, world.away)
    call("other tenant", world.token(stranger, world.away))

    both = world.person("both", world.home, world.away)
    world.permit(both, world.away)
    call("right elsewhere", world.token(both, world.home))

    namesake = world.person("namesake", world.home)
    role = Role(code="administrators", name="Administrators", tenant_id=world.home)
    session.add(role)
    session.flush()
    session.add(UserRole(user_id=namesake.id, role_id=role.id))
    if case.by_administrator:
        world.permit(namesake, world.home)
    call("namesake of a platform role", world.token(namesake, world.home))

    if case.by_administrator:
        of_role = world.person("of-role", world.home)
        protocol.add_role(session, of_role, "keepers", [operation.permission], tenant_id=None)
        call("permission by a role of the platform", world.token(of_role, world.home))
        row = case.row(world) if operation.method == "DELETE" else row
        granted = world.person("granted", world.home)
        protocol.grant_directly(session, granted, operation.permission, tenant_id=None)
        call("permission given on the platform", world.token(granted, world.home))
        row = case.row(world) if operation.method == "DELETE" else row

    robot = protocol.register_machine(session, "robot", [operation.scope])
    answer = protocol.machine_token(client, robot)
    call("machine", answer.get_json()["access_token"])

    neighbour = world.person("neighbour", world.home)
    world.permit(neighbour, world.home)
    call("other owner", world.token(neighbour, world.home))

    if operation.method == "DELETE":
        row = case.row(world)  # the other one may be gone by now
    call("right caller", world.token(world.owner, world.home))

    # Where no permission is named the scope suffices, also of machines; rows stay the owner's.
    unnamed = operation.permission is None
    by_scope = case.neighbour if unnamed else REFUSED
    on_platform = {
        "permission by a role of the platform": case.right,
        "permission given on the platform": case.right,
    }
    assert {who: outcome(answer) for who, answer in answers.items()} == {
        "no token": "401",
        "expired token": "401",
        "wrong scope": REFUSED,
        "scope without permission": by_scope,
        "permission without scope": REFUSED,
        "other tenant": case.abroad,
        "right elsewhere": by_scope,
        "namesake of a platform role": by_scope,
        "machine": case.right if operation.machine or unnamed else REFUSED,
        "other owner": case.neighbour,
        "right caller": case.right,
        **(on_platform if case.by_administrator else {}),
    }
    check_challenges(operation, answers)
    if operation.form == "list" and not case.lists_of_row:
        seen = {who for who, answer in answers.items() if row in listed(answer)}
        assert "right caller" in seen
        assert "other tenant" not in seen
        assert ("other owner" in seen) == case.neighbour_sees_rows


@pytest.mark.usefixtures("listed_generators")
def test_every_path_is_served_without_the_prefix_as_well(client):
    for operation in OPERATIONS.values():
        path = path_of(operation, 1)
        with_prefix, without = (
            client.open(prefix + path, method=operation.method) for prefix in ("/api", "")
        )
        assert with_prefix.status_code == without.status_code
        assert with_prefix.content_type == without.content_type
        assert with_prefix.status_code == (200 if operation.scope is None else 401)
        # Paths are compared letter by letter: the old indifference to case is gone.
        assert client.open(f"/api{path.lower()}", method=operation.method).status_code == 404


def test_a_tenants_role_cannot_be_named_like_one_of_the_platform(client, session):
    home = protocol.add_tenant(session, "Home")
    mary = center.manager(client, session, "ids4.ms.role.post", tenant_id=home)
    for name in PLATFORM_ROLES:
        assert mary.call("POST", "/Role", {"name": name})["code"] == 422
        assert mary.call("POST", "/Role", {"name": name.title()})["code"] == 422


@pytest.mark.usefixtures("listed_generators")
@pytest.mark.parametrize("name", OPEN)
def test_what_is_open_is_so_for_everybody(client, session, name):
    operation = OPERATIONS[name]
    assert operation.permission is None
    for headers in ({}, protocol.bearer("no-token")):
        answer = client.get(
            f"/api{path_of(operation, 1)}",
            headers={**headers, "Accept": "application/json"},
            query_string=CASES[name].query(None),
        )
        assert outcome(answer) == CASES[name].right


def send(world: World, row: int, token: str | None) -> TestResponse:
    """Call the operation with a body made for this call."""
    operation, case = world.operation, CASES[world.operation.id]
    who = Caller(world.browser, world.owner, token)
    body = case.body(world, row)
    path = path_of(operation, row, **case.path(world, row))
    query = case.query(world) | case.query_of_row(row)
    return who.send(operation.method, path, body, **query)


def path_of(operation: Operation, row: int, **more: str) -> str:
    known = {"id": str(row), "language": "angular2", **more}
    return re.sub(r"<(?:\w+:)?(\w+)>", lambda found: known.get(found[1], "some"), operation.path)


def outcome(answer: TestResponse) -> str:
    """Return the outcome: the HTTP status, or the code of the envelope."""
    if answer.status_code != 200:
        return str(answer.status_code)
    content = answer.get_json()
    return str(content["code"]) if isinstance(content, dict) else "200"


def listed(answer: TestResponse) -> set[int]:
    """List the ids of an answered list."""
    content = answer.get_json()
    rows = content.get("data") or []
    return {int(row.get("id", row.get("userId", row.get("partitionKey", 0)))) for row in rows}


def check_challenges(operation: Operation, answers: dict[str, TestResponse]) -> None:
    """Refusals are problem details, and say what token would do (RFC 6750 3)."""
    for answer in answers.values():
        if answer.status_code in {401, 403}:
            assert answer.content_type == "application/problem+json"
    assert answers["no token"].headers["WWW-Authenticate"] == 'Bearer realm="idp"'
    assert 'error="invalid_token"' in answers["expired token"].headers["WWW-Authenticate"]
    for who in ("wrong scope", "permission without scope"):
        challenge = answers[who].headers["WWW-Authenticate"]
        assert 'error="insufficient_scope"' in challenge
        assert f'scope="{operation.scope}"' in challenge
