"""Resource indicators (RFC 8707): which API a token is for, however its address is spelled."""

from __future__ import annotations

import pytest

from idp.directory import api_names
from idp.directory.actor import OPERATOR
from idp.directory.resources import service as resources
from idp.directory.resources.content import ScopeRow
from idp.platform.errors import BadRequest, Conflict, Problem, Unprocessable
from tests import protocol
from tests.protocol import (
    add_api,
    add_person,
    add_tenant,
    authorize,
    code_of,
    machine_token,
    obtain,
    redeem,
    refresh,
    register,
    register_machine,
    returned,
)

pytestmark = pytest.mark.no_database

MCP = "https://mcp.example/mcp"
ROOT = "https://tools.example"
ISSUER = "http://127.0.0.1:8000"
BAD = (
    f"{MCP}#part",
    "#part",
    "orders:read#part",
    "/mcp",
    "//mcp.example/mcp",
    "https:/mcp.example/mcp",
    "mcp",
    f"{MCP}/",
    f"{MCP}?x=1",
    "https://mcp.example/MCP",
    "https://mcp.example:8443/mcp",
    "http://mcp.example/mcp",
    "https://someone@mcp.example/mcp",
    "https://MCP\u212a.example/mcp",
    "https://" + "a" * 10_000 + "/mcp",
    "https://mcp.example/" + "a" * 10_000,
)


def audience(answer):
    assert answer.status_code == 200, answer.get_data(as_text=True)
    return protocol.payload(answer.get_json()["access_token"])["aud"]


def error(answer):
    assert answer.status_code == 400, answer.get_data(as_text=True)
    return answer.get_json()["error"]


@pytest.fixture
def machine(session):
    """Return a client of an API with a path and of one that is a whole host."""
    add_api(session, MCP, ["mcp.read", "mcp.write"])
    add_api(session, ROOT, ["tools.use"])
    return register_machine(session, scopes=["mcp.read", "mcp.write", "tools.use"])


@pytest.fixture
def web(client, session, machine):
    """Return a client of the same APIs, at which Ann is signed in."""
    protocol.sign_in(client, session, add_person(session))
    return register(session, scopes=("openid", "mcp.read", "mcp.write", "tools.use"))


def test_an_address_is_known_in_every_spelling_of_scheme_host_and_port(client, machine):
    for text in (MCP, "HTTPS://MCP.Example/mcp", "https://mcp.example:443/mcp"):
        assert audience(machine_token(client, machine, resource=text)) == MCP
    for text in (ROOT, "https://TOOLS.example", "https://tools.example:443"):
        assert audience(machine_token(client, machine, resource=text)) == ROOT


def test_the_other_spelling_of_a_host_is_an_audience_too(client, session, machine):
    # Some clients look for what they sent, servers for their own name.
    for text in (f"{ROOT}/", "https://Tools.example:443/"):
        assert audience(machine_token(client, machine, resource=text)) == [ROOT, f"{ROOT}/"]
    both = machine_token(client, machine, resource=[f"{ROOT}/", ROOT, ROOT])
    assert audience(both) == [ROOT, f"{ROOT}/"]
    add_api(session, "https://slash.example/", ["slash.use"])
    other = register_machine(session, "other", ["slash.use"])
    assert audience(machine_token(client, other, resource="https://slash.example/")) == (
        "https://slash.example/"
    )
    assert audience(machine_token(client, other, resource="https://slash.example")) == [
        "https://slash.example/",
        "https://slash.example",
    ]
    assert audience(machine_token(client, other)) == "https://slash.example/"


def test_what_names_no_api_of_the_request_is_refused(client, session, machine, web):
    tenant_id = add_tenant(session)
    add_api(session, "https://acme.example/api", ["acme.read"], tenant_id=tenant_id)
    for text in (*BAD, "https://acme.example/api", "ids4.ms", [MCP, "unknown"]):
        answer = machine_token(client, machine, resource=text)
        assert error(answer) == "invalid_target", text
        assert len(answer.get_data()) < 400
        answer = returned(authorize(client, web, scope="openid mcp.read", resource=text))
        assert answer["error"] == "invalid_target", text
        assert answer["state"] == "the-state"
    # RFC 6749 3.1: without a value it counts as left out.
    assert audience(machine_token(client, machine, resource="")) == [MCP, ROOT]
    for body in ("resource=%ff", "resource=https://mcp.example/%c3%28"):
        answer = client.post(
            "/connect/token",
            data=f"grant_type=client_credentials&{body}",
            headers=machine.basic,
            content_type="application/x-www-form-urlencoded",
        )
        assert error(answer) == "invalid_request"


def test_a_token_request_narrows_what_was_asked_for(client, web):
    asked = ["https://MCP.example/mcp", f"{ROOT}/"]
    scope = "openid mcp.read tools.use offline_access"

    def code():
        return code_of(authorize(client, web, scope=scope, resource=asked))

    assert audience(redeem(client, web, code())) == [MCP, ROOT, f"{ROOT}/"]
    assert audience(redeem(client, web, code(), resource=MCP)) == MCP
    assert error(redeem(client, web, code(), resource="https://else.example")) == "invalid_target"
    tokens = obtain(client, web, scope, resource=asked)
    assert audience(refresh(client, web, tokens.refresh, resource=ROOT)) == ROOT
    refused = refresh(client, web, tokens.refresh, resource=[MCP, ISSUER])
    assert error(refused) == "invalid_target"
    alone = refresh(client, web, tokens.refresh, resource=MCP).get_json()
    assert alone["scope"] == "openid mcp.read offline_access"
    # RFC 9700 2.3: a token for one API opens nothing else, and not the person's data.
    answer = client.get("/connect/userinfo", headers=protocol.bearer(alone["access_token"]))
    assert answer.status_code == 401


def test_the_issuer_is_an_audience_when_it_is_named(client, web):
    for named in (ISSUER, f"{ISSUER}/", "HTTP://127.0.0.1:8000"):
        tokens = obtain(client, web, "openid mcp.read", resource=[MCP, named])
        assert tokens.claims["aud"] == [MCP, ISSUER]
        answer = client.get("/connect/userinfo", headers=protocol.bearer(tokens.access))
        assert answer.status_code == 200


def test_an_api_whose_scopes_were_all_declined_is_left_out(client, session, web):
    tokens = obtain(client, web, "openid mcp.read tools.use offline_access", resource=[MCP, ROOT])
    api = resources.find_api(session, ROOT)
    resources.replace_api(session, OPERATOR, resources.spec_of(api, None, enabled=False))
    session.commit()
    again = refresh(client, web, tokens.refresh)
    assert audience(again) == MCP
    assert again.get_json()["scope"] == "openid mcp.read offline_access"
    refused = refresh(client, web, again.get_json()["refresh_token"], resource=ROOT)
    assert error(refused) == "invalid_target"


def test_one_token_for_several_apis_needs_one_signature(client, session):
    for name, alg in (("one", "ES256"), ("two", "ES256"), ("three", "EdDSA"), ("four", "RS256")):
        add_api(session, name, [f"{name}.read"], properties={"signing_alg": alg})
    add_api(session, "five", ["five.read"])
    scopes = [f"{name}.read" for name in ("one", "two", "three", "four", "five")]
    machine = register_machine(session, scopes=scopes)
    same = machine_token(client, machine, resource=["one", "two"]).get_json()["access_token"]
    assert protocol.header(same)["alg"] == "ES256"
    assert protocol.payload(same)["aud"] == ["one", "two"]
    usual = machine_token(client, machine, resource=["four", "five"])
    assert protocol.header(usual.get_json()["access_token"])["alg"] == "RS256"
    assert error(machine_token(client, machine, resource=["one", "three"])) == "invalid_target"
    # Where none was named, no API was promised anything.
    assert machine_token(client, machine, scope="one.read three.read").status_code == 200
    protocol.sign_in(client, session, add_person(session))
    web = register(session, scopes=("openid", *scopes))
    code = code_of(authorize(client, web, scope="one.read three.read", resource=["one", "three"]))
    assert error(redeem(client, web, code)) == "invalid_target"
    assert audience(redeem(client, web, code, resource="three")) == "three"
    opaque = register_machine(session, "opaque", scopes, access_token_type=1)
    assert machine_token(client, opaque, resource=["one", "three"]).status_code == 200


# Default scopes


@pytest.fixture
def default(session, machine):
    """Return the API with a path, which now has a default scope."""
    api = resources.find_api(session, MCP)
    resources.replace_api(
        session, OPERATOR, resources.spec_of(api, None, default_scopes=["mcp.read"])
    )
    session.commit()
    return api


def test_a_request_without_scope_gets_the_default_scopes_of_its_api(client, web, machine, default):
    tokens = obtain(client, web, None, resource="https://MCP.example/mcp")
    assert tokens.body["scope"] == "mcp.read"
    assert tokens.claims["aud"] == MCP
    for scope in ("", " "):
        assert obtain(client, web, scope, resource=MCP).body["scope"] == "mcp.read"
    assert obtain(client, web, "mcp.write", resource=MCP).body["scope"] == "mcp.write"
    parameters = protocol.authorization_parameters(web, scope=None, resource=MCP)
    pushed = client.post("/connect/par", data={**parameters, **web.post}).get_json()
    sent = {"client_id": web.client_id, "request_uri": pushed["request_uri"]}
    code = code_of(client.get("/connect/authorize", query_string=sent))
    assert redeem(client, web, code).get_json()["scope"] == "mcp.read"
    assert machine_token(client, machine, resource=MCP).get_json()["scope"] == "mcp.read"
    wide = machine_token(client, machine, resource=[MCP, ROOT]).get_json()["scope"]
    assert wide == "mcp.read tools.use"
    everything = machine_token(client, machine).get_json()["scope"]
    assert set(everything.split()) == {"mcp.read", "mcp.write", "tools.use"}


def test_default_scopes_are_no_way_around_what_a_client_may_have(client, session, web, default):
    writer = register(session, "reader", scopes=("openid", "mcp.write"))
    for parameters in ({"resource": MCP}, {"resource": ROOT}, {}):
        answer = returned(authorize(client, writer, scope=None, **parameters))
        assert answer["error"] == "invalid_scope", parameters
    # An API without any has to be asked for by a scope.
    assert returned(authorize(client, web, scope=None, resource=ROOT))["error"] == "invalid_scope"
    both = returned(authorize(client, web, scope=None, resource=[MCP, ROOT]))
    assert both["error"] == "invalid_target"


def test_default_scopes_are_scopes_of_the_api(session, default):
    def change(**values):
        spec = resources.spec_of(resources.find_api(session, MCP), None, **values)
        return resources.replace_api(session, OPERATOR, spec)

    with pytest.raises(BadRequest) as refused:
        change(default_scopes=["mcp.read", "tools.use"])
    assert list(refused.value.fields) == ["default_scopes[1]"]
    session.rollback()
    twice = change(default_scopes=["mcp.write", "mcp.read", "mcp.write"])
    assert twice.default_scopes == ["mcp.write", "mcp.read"]
    # Changes that say nothing about them leave them as they are.
    assert change(display_name="MCP").default_scopes == ["mcp.write", "mcp.read"]
    session.rollback()
    fresh = add_api(session, "fresh", ["fresh.a", "fresh.b"], default_scopes=["fresh.a"])
    fewer = [ScopeRow("fresh.b", id=fresh.scopes[1].id)]
    spec = resources.spec_of(fresh, None, scopes=fewer)
    assert resources.replace_api(session, OPERATOR, spec).default_scopes is None


# Names


def refused(session, name, **values):
    with pytest.raises(Problem) as problem:
        add_api(session, name, [], **values)
    session.rollback()
    return problem.value


def test_no_two_apis_have_equal_names(session, machine):
    tenant_id = add_tenant(session, hosts=["acme.example"])
    register_machine(session, "https://robot.example/x")
    for name in (
        *("HTTPS://mcp.example/mcp", "https://MCP.example:443/mcp"),
        *(f"{ROOT}/", "https://tools.example:443", "https://TOOLS.example:443/"),
        "https://Robot.example/x",
    ):
        problem = refused(session, name)
        assert isinstance(problem, Conflict), name
        assert list(problem.fields) == ["name"]
        assert isinstance(refused(session, name, tenant_id=tenant_id), Conflict)
    for name in (ISSUER, "HTTP://127.0.0.1:8000/", "http://acme.example:80/"):
        assert isinstance(refused(session, name), BadRequest), name
    for name in ("https://mcp.example/MCP", "https://mcp.example/mcp/", "http://mcp.example/mcp"):
        add_api(session, name, [])
    with pytest.raises(Conflict):
        register_machine(session, "https://TOOLS.example")
    session.rollback()
    add_api(session, "http://late.example:80/", [])
    with pytest.raises(Conflict):
        add_tenant(session, "Late", hosts=["late.example"])


def test_a_name_may_be_spelled_anew_but_not_as_that_of_another_api(session, machine):
    def rename(name):
        api = resources.find_api(session, "free")
        spec = resources.spec_of(api, None, name=name)
        return resources.replace_api(session, OPERATOR, spec)

    add_api(session, "free", [])
    with pytest.raises(Conflict):
        rename(f"{ROOT}/")
    session.rollback()
    rename("https://free.example")
    spec = resources.spec_of(
        resources.find_api(session, "https://FREE.example/"), None, name="https://Free.example/"
    )
    assert resources.replace_api(session, OPERATOR, spec).name == "https://Free.example/"


def test_an_address_that_could_not_be_asked_for_is_no_name(session):
    for name in (
        *("https://", "https:///x", "https:x", "https://a.example/#x", "https://a.example?x=1"),
        *("https://user@a.example/", "https://a.example:port/", "urn:example#x", "https://[::1/"),
    ):
        problem = refused(session, name)
        assert isinstance(problem, BadRequest), name
        assert list(problem.fields) == ["name"]
    for name in ("urn:example:orders", "orders#1", "https://[::1]:8443/x", "http://localhost/"):
        add_api(session, name, [])


def test_metadata_is_below_the_well_known_path_of_the_host():
    assert {name: api_names.metadata_url(name) for name in (MCP, f"{ROOT}/", "orders")} == {
        MCP: "https://mcp.example/.well-known/oauth-protected-resource/mcp",
        f"{ROOT}/": "https://tools.example/.well-known/oauth-protected-resource",
        "orders": None,
    }


# Applications that nobody registered


def test_what_is_built_in_is_never_open(session):
    api = add_api(session, "free", ["free.use"], open_to_strangers=True)
    assert api.open_to_strangers
    attempts = (
        lambda: add_api(session, "ids4.more", [], open_to_strangers=True),
        lambda: add_api(session, "more", ["ids4.more"], open_to_strangers=True),
        lambda: resources.change_api(
            session, OPERATOR, resources.find_api(session, "ids4.ms").id, None,
            open_to_strangers=True,
        ),
        lambda: resources.change_api(session, OPERATOR, api.id, None, name="IDS4.free"),
        lambda: resources.add_scope(session, api, resources.NewScope("ids4.free")),
    )  # fmt: skip
    for attempt in attempts:
        with pytest.raises(Unprocessable) as refusal:
            attempt()
        assert list(refusal.value.fields) == ["open_to_strangers"]
        session.rollback()
