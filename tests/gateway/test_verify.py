"""`/gateway/verify`: who may call a published API, what it is told, and what that costs."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, replace
from types import SimpleNamespace

import pytest
from sqlalchemy import update

from idp.directory.actor import OPERATOR
from idp.directory.bundles import applying
from idp.directory.bundles import service as bundles
from idp.directory.clients import service as clients
from idp.directory.resources import service as resources
from idp.directory.resources.models import ApiResource, ApiResourceProperty
from idp.directory.users.models import User
from idp.platform import cache
from idp.platform.cache import ConfigurationCache, looked_up
from idp.platform.storage import SessionStorage, complete
from idp.publishing.gateway import products
from idp.publishing.gateway.access import Gatekeeper, Quotas
from tests import protocol
from tests.api import center
from tests.provers import Prover


@dataclass
class Gate:
    """Asks as a gateway does."""

    browser: object
    api: str

    def ask(self, token=None, *, api=None, method="GET", **headers):
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            sent |= protocol.bearer(token)
        query = {"api": self.api if api is None else api}
        return self.browser.open("/gateway/verify", method=method, headers=sent, query_string=query)


@pytest.fixture
def published(orders):
    """Return the microservice `orders`, published without any product."""
    assert orders.publish()["code"] == 200
    return orders


@pytest.fixture
def gate(client, published):
    return Gate(client, str(published.id))


@pytest.fixture
def verify(app):
    """Return the endpoint itself."""
    return app.wsgi_app._endpoints["/gateway/verify"].answer


@pytest.fixture
def machine(session, client, published):
    """Return the token of a machine of tenant 1, for orders."""
    app = protocol.register_machine(session, "robot", ["orders.read"], tenant_id=1)
    return protocol.machine_token(client, app).get_json()["access_token"]


@pytest.fixture
def person(session, published):
    """Return the token of a person of tenant 1, for orders."""
    ann = protocol.add_person(session, "ann")
    protocol.register(session, "shop", scopes=("openid", "orders.read"), tenant_id=1)
    from idp.directory.clients import snapshot
    from idp.oauth.operator_tokens import issue_by_command

    protocol.grant_directly(session, ann, "clerk.sell")
    token = issue_by_command(session, snapshot.find(session, "shop"), ann, 1, ["orders.read"])
    session.commit()
    return token


def error(answer):
    return answer.status_code, answer.get_json()["error"]


# Who calls


def test_a_machine_is_told_apart_from_a_person(gate, machine, person):
    answer = gate.ask(machine)
    assert answer.status_code == 200
    assert answer.get_data() == b""
    assert answer.headers["X-Subject"] == "robot"
    assert answer.headers["X-Tenant"] == "1"
    assert answer.headers["X-Scope"] == "orders.read"
    assert "X-Permission" not in answer.headers
    assert answer.headers["Cache-Control"] == "no-store"
    answer = gate.ask(person)
    assert answer.headers["X-Subject"].isdigit()
    assert answer.headers["X-Tenant"] == "1"


def test_permissions_of_a_person_are_passed_on(session, gate, new_orders, client):
    from idp.directory.clients import snapshot
    from idp.oauth.operator_tokens import issue_by_command

    api = session.get_one(ApiResource, int(gate.api))
    ann = protocol.add_person(session, "ann")
    protocol.add_role(session, ann, "clerk", ["orders.sell", "orders.refund"], api=api)
    protocol.register(session, "shop", scopes=("openid", "orders.read"), tenant_id=1)
    token = issue_by_command(session, snapshot.find(session, "shop"), ann, 1, ["orders.read"])
    session.commit()
    assert gate.ask(token).headers["X-Permission"] == "orders.refund,orders.sell"


def test_forged_headers_are_not_echoed(gate, machine):
    answer = gate.ask(machine, X_Subject="1", X_Permission="ids4.ms.all", X_Tenant="7")
    assert answer.headers["X-Subject"] == "robot"
    assert answer.headers["X-Tenant"] == "1"
    assert "X-Permission" not in answer.headers


def test_any_host_is_served(new_client, gate, machine):
    for host in ("10.0.0.7:8000", "idp.internal", "evil.example"):
        other = Gate(new_client(f"http://{host}"), gate.api)
        assert other.ask(machine).status_code == 200
        assert other.ask().status_code == 401


def test_a_token_of_another_issuer_of_ours_is_known(session, new_client, site, mary, orders):
    from tests.gateway.conftest import Orders
    from tests.gateway.sites import description

    tenant_id = protocol.add_tenant(session, "Acme", ["acme.example"])
    api = protocol.add_api(session, "bills", ["bills.read"], tenant_id=tenant_id)
    resources.link_owner(session, api, mary.user.id)
    products.allow_upstream(session, tenant_id, site.origin)
    root = center.administrator(mary.browser, session)
    url = site.describe("/bills.json", description(site.origin))
    bills = Orders(root, api.id, url)
    assert bills.publish(suffix="bills")["code"] == 200
    app = protocol.register_machine(session, "acme-robot", ["bills.read"], tenant_id=tenant_id)
    acme = new_client("http://acme.example")
    token = protocol.machine_token(acme, app).get_json()["access_token"]
    answer = Gate(new_client("http://10.0.0.7"), str(api.id)).ask(token)
    assert (answer.status_code, answer.headers["X-Tenant"]) == (200, str(tenant_id))
    assert orders.publish()["code"] == 200
    assert error(Gate(acme, str(orders.id)).ask(token)) == (401, "invalid_token")


# Who does not


def test_without_a_good_token_nobody_passes(gate, machine):
    answer = gate.ask()
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="idp"'
    for token in ("", "x", machine[:-3], machine + "x", "at_unknown", "a.b.c", "x" * 20_000):
        answer = gate.ask(token)
        assert answer.status_code == 401, token[:20]
    basic = gate.browser.get("/gateway/verify?api=1", headers={"Authorization": "Basic eDp5"})
    assert basic.status_code == 401
    assert gate.ask(machine, method="POST").status_code == 405
    assert gate.ask(machine, method="HEAD").status_code == 200


def test_a_refusal_says_where_the_api_is_described(session, client, gate, published):
    api = session.get_one(ApiResource, int(gate.api))
    spec = resources.spec_of(api, None, name="https://api.example/orders")
    resources.replace_api(session, OPERATOR, replace(spec, default_scopes=["orders.read"]))
    session.commit()
    url = "https://api.example/.well-known/oauth-protected-resource/orders"
    protocol.add_api(session, "other", ["other.read"])
    app = protocol.register_machine(session, "stranger", ["other.read"])
    foreign = protocol.machine_token(client, app).get_json()["access_token"]
    metadata = f'resource_metadata="{url}", scope="orders.read"'
    # RFC 9728 5.1; RFC 6750 3.1: no error code when no authentication was tried.
    assert gate.ask().headers["WWW-Authenticate"] == f'Bearer realm="idp", {metadata}'
    for token in ("x", foreign):
        answer = gate.ask(token)
        assert error(answer) == (401, "invalid_token")
        assert answer.headers["WWW-Authenticate"] == (
            f'Bearer realm="idp", error="invalid_token", {metadata}'
        )
    document = client.get("/.well-known/oauth-protected-resource/orders", base_url=url)
    assert document.get_json()["resource"] == "https://api.example/orders"
    app = protocol.register_machine(session, "reader", ["orders.read"], tenant_id=1)
    token = protocol.machine_token(client, app).get_json()["access_token"]
    assert gate.ask(token).status_code == 200
    assert published.publish(scope="orders.write")["code"] == 200
    answer = gate.ask(token)
    assert error(answer) == (403, "insufficient_scope")
    assert answer.headers["WWW-Authenticate"] == (
        'Bearer realm="idp", error="insufficient_scope", scope="orders.write",'
        f' resource_metadata="{url}"'
    )
    assert 'scope="orders.write orders.read"' in gate.ask().headers["WWW-Authenticate"]
    assert "WWW-Authenticate" not in gate.ask(token, api="none").headers


def test_an_id_token_and_a_token_for_another_api_are_refused(session, client, gate):
    protocol.add_api(session, "other", ["other.read"])
    app = protocol.register_machine(session, "stranger", ["other.read"])
    token = protocol.machine_token(client, app).get_json()["access_token"]
    assert error(gate.ask(token)) == (401, "invalid_token")


@pytest.mark.parametrize("api", ["", "none", "x" * 200, "%00", "1;rev=1", "../1"])
def test_an_api_that_is_not_published_answers_404(gate, machine, api):
    assert gate.ask(machine, api=api).status_code == 404


def test_an_expired_token_is_refused_although_it_is_remembered(gate, machine, monkeypatch, clock):
    monkeypatch.setattr(cache, "RECENT_SECONDS", 1e9)
    # Its key was made before the clock stopped; the token is as old as the test.
    assert gate.ask(machine).status_code == 200
    clock.shift(3601)
    assert gate.ask(machine).status_code == 401


def test_a_locked_person_is_refused_within_seconds(session, gate, person, monkeypatch):
    assert gate.ask(person).status_code == 200
    session.execute(update(User).where(User.username == "ann").values(is_disabled=True))
    session.commit()
    assert error(gate.ask(person)) == (401, "invalid_token")
    assert cache.RECENT_SECONDS <= 1.0  # what other servers and commands changed


def test_a_disabled_client_or_api_is_closed_at_once(session, gate, machine):
    clients.get(session, "robot").enabled = False
    assert gate.ask(machine).status_code == 401
    clients.get(session, "robot").enabled = True
    assert gate.ask(machine).status_code == 200
    session.get_one(ApiResource, int(gate.api)).enabled = False
    assert gate.ask(machine).status_code == 404


def test_an_upstream_that_is_forbidden_closes_what_is_published_there(session, gate, site, machine):
    products.forbid_upstream(session, 1, site.origin)
    assert gate.ask(machine).status_code == 404


def test_the_scope_of_the_publication_is_asked_for(session, client, gate, published, machine):
    assert published.publish(scope="orders.write")["code"] == 200
    answer = gate.ask(machine)
    assert error(answer) == (403, "insufficient_scope")
    assert 'scope="orders.write"' in answer.headers["WWW-Authenticate"]
    app = protocol.register_machine(session, "writer", ["orders.write"], tenant_id=1)
    token = protocol.machine_token(client, app).get_json()["access_token"]
    assert gate.ask(token).status_code == 200


def test_a_scope_that_the_client_has_lost_does_not_count(session, gate, published, machine):
    assert published.publish(scope="orders.read")["code"] == 200
    assert gate.ask(machine).status_code == 200
    clients.set_scopes(session, clients.get(session, "robot"), ["orders.write"])
    assert error(gate.ask(machine)) == (403, "insufficient_scope")


def test_the_scope_of_the_authorization_server_is_the_default(session, gate, published, machine):
    server = products.NewServer("own", "Own", default_scope="orders.write")
    products.add_server(session, server)
    published.publish(authorizationServerId="own")
    assert gate.ask(machine).status_code == 403
    published.publish(authorizationServerId="own", scope="orders.read")
    assert gate.ask(machine).status_code == 200


def test_openid_asks_for_a_person(session, gate, published, machine, person):
    products.add_server(session, products.NewServer("own", "Own"))
    published.publish(openid="own")
    assert gate.ask(machine).status_code == 403
    assert gate.ask(person).status_code == 200


def test_a_product_opens_to_those_who_subscribed(session, gate, published, machine):
    products.add_product(session, products.NewProduct("gold", "Gold", scope="orders.write"))
    products.add_product(session, products.NewProduct("free", "Free", is_published=False))
    published.publish(productIds=["/products/gold", "/products/free"])
    answer = gate.ask(machine)
    assert answer.status_code == 403
    assert "subscribed" in answer.get_json()["error_description"]
    products.subscribe(session, "gold", "robot")
    answer = gate.ask(machine)
    assert 'scope="orders.write"' in answer.headers["WWW-Authenticate"]
    clients.set_scopes(session, clients.get(session, "robot"), ["orders.read", "orders.write"])
    products.get_product(session, "gold").scope = "orders.read"
    assert gate.ask(machine).status_code == 200
    products.unsubscribe(session, "gold", "robot")
    assert gate.ask(machine).status_code == 403
    products.get_product(session, "gold").subscription_required = False
    assert gate.ask(machine).status_code == 200


# Quotas


def quotas(same):
    """Set the same quotas for every tenant."""
    return looked_up("quotas of a test")(lambda _session, _tenant_id: same)


def test_calls_are_counted_by_tenant_and_second(gate, machine, person, verify):
    verify.gatekeeper = Gatekeeper(quotas(Quotas(per_second=3)))
    # Not across the edge of a second, on a busy machine either: four in one of several tries.
    for _ in range(5):
        answers = [gate.ask(token) for token in (machine, person, machine, person)]
        if answers[-1].status_code == 429:
            break
        time.sleep(1.1)
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[-1].headers["Retry-After"] == "1"
    time.sleep(1.1)
    assert gate.ask(machine).status_code == 200


def test_calls_are_counted_by_tenant_and_month(gate, machine, verify, clock):
    seen = []

    @looked_up("quotas of a test")
    def quotas_of(_session, tenant_id):
        seen.append(tenant_id)
        return Quotas(per_month=2)

    verify.gatekeeper = Gatekeeper(quotas_of)
    assert [gate.ask(machine).status_code for _ in range(3)] == [200, 200, 429]
    assert set(seen) == {1}
    assert 0 < int(gate.ask(machine).headers["Retry-After"]) <= 31 * 86_400


def test_refused_calls_are_not_counted(gate, machine, verify):
    verify.gatekeeper = Gatekeeper(quotas(Quotas(per_month=1)))
    for _ in range(3):
        assert gate.ask("x").status_code == 401
        assert gate.ask(machine, api="none").status_code == 404
    assert gate.ask(machine).status_code == 200
    assert gate.ask(machine).status_code == 429


def test_quotas_are_those_of_the_bundle(session, gate, machine):
    said = bundles.BundleSpec("basic", "Basic", "company", '{"roles": []}', number_of_invocation=2)
    bundle = bundles.create(session, OPERATOR, said)
    applying.initialise(session, 1, bundle)
    session.commit()
    assert [gate.ask(machine).status_code for _ in range(3)] == [200, 200, 429]
    bundles.update(session, OPERATOR, bundle.id, replace(said, number_of_invocation=None))
    session.commit()
    assert gate.ask(machine).status_code == 200


@pytest.mark.no_database
def test_workers_count_together_in_valkey(valkey_url):
    from idp.platform.errors import TooManyRequests
    from idp.platform.throttle import Throttle

    gatekeepers = [
        (Gatekeeper(quotas(Quotas(per_month=3))), Throttle(valkey_url)) for _ in range(2)
    ]
    passed = 0
    for _ in range(3):
        for gatekeeper, throttle in gatekeepers:
            runtime = SimpleNamespace(throttle=throttle, cache=ConfigurationCache())
            storage = SessionStorage(SimpleNamespace(info={"runtime": runtime}))
            with contextlib.suppress(TooManyRequests):
                complete(gatekeeper._count(storage, 1))
                passed += 1
    assert passed == 3


# Cost


@pytest.mark.parametrize("who", ["machine", "person"])
def test_the_common_case_asks_the_database_nothing(
    request, runtime, session, gate, verify, monkeypatch, who
):
    monkeypatch.setattr(cache, "RECENT_SECONDS", 60.0)
    monkeypatch.setattr(runtime.cache, "_poll_seconds", 60.0)
    verify.gatekeeper = Gatekeeper(quotas(Quotas(per_second=1000, per_month=10_000)))
    token = request.getfixturevalue(who)
    session.close()
    assert gate.ask(token).status_code == 200
    assert gate.ask(token).status_code == 200
    with center.statements(runtime.engine) as sent:
        for _ in range(5):
            assert gate.ask(token).status_code == 200
    assert sent == []


# Levels of sign-in (RFC 9470)


def test_an_api_that_demands_a_level_or_a_young_sign_in_says_which(
    gate, session, client, machine, clock
):
    ann = protocol.add_person(session, "ann")
    app = protocol.register(session, "shop", scopes=("openid", "orders.read"), tenant_id=1)
    protocol.sign_in(client, session, ann)
    low = protocol.obtain(client, app, "orders.read").access
    protocol.sign_in(client, session, ann, has_both=True)
    high = protocol.obtain(client, app, "orders.read").access
    assert gate.ask(low).status_code == 200
    api = session.get_one(ApiResource, int(gate.api))
    for key, value in (("required_acr", "mfa"), ("max_age", "60")):
        api.properties.append(ApiResourceProperty(key=key, value=value))
    session.commit()
    refused = gate.ask(low)
    assert error(refused) == (401, "insufficient_user_authentication")
    challenge = refused.headers["WWW-Authenticate"]
    assert 'error="insufficient_user_authentication"' in challenge
    assert 'acr_values="mfa"' in challenge
    assert "max_age" not in challenge
    assert gate.ask(high).status_code == 200
    # A machine does not sign in.
    assert gate.ask(machine).status_code == 200
    clock.shift(61)
    refused = gate.ask(high)
    assert error(refused) == (401, "insufficient_user_authentication")
    assert 'max_age="60"' in refused.headers["WWW-Authenticate"]
    assert "acr_values" not in refused.headers["WWW-Authenticate"]


# Tokens that are bound to a key


PROXY = {"X_Forwarded_Method": "GET", "X_Forwarded_Uri": "/orders/7?day=1"}
PROXY |= {"X_Forwarded_Host": "api.example", "X_Forwarded_Proto": "https"}
CALLED = "https://api.example/orders/7"


@pytest.fixture
def prover():
    return Prover()


@pytest.fixture
def bound(session, client, published, prover):
    """Return the token of a machine that is bound to the prover's key."""
    app = protocol.register_machine(session, "keeper", ["orders.read"], tenant_id=1)
    form = {"grant_type": "client_credentials", **app.post}
    answer = client.post("/connect/token", data=form, headers=prover.shows())
    return answer.get_json()["access_token"]


def call(gate, sent, **more):
    return gate.ask(Authorization=sent["Authorization"], DPoP=sent["DPoP"], **more)


@pytest.mark.settings(trusted_proxies="127.0.0.1")
def test_a_bound_token_comes_with_a_proof_for_the_call_itself(gate, bound, prover):
    sent = prover.uses(bound, "GET", CALLED)
    answer = call(gate, sent, **PROXY)
    assert answer.status_code == 200, answer.get_data(as_text=True)
    assert answer.headers["X-Subject"] == "keeper"
    again = call(gate, sent, **PROXY)
    assert error(again) == (401, "invalid_dpop_proof")
    assert again.headers["WWW-Authenticate"].startswith('DPoP error="invalid_dpop_proof"')
    answer = gate.ask(bound, **PROXY)
    assert error(answer) == (401, "invalid_token")
    assert answer.headers["WWW-Authenticate"].startswith("DPoP ")
    answer = gate.ask(Authorization=f"DPoP {bound}", **PROXY)
    assert error(answer) == (401, "invalid_dpop_proof")


@pytest.mark.settings(trusted_proxies="127.0.0.1")
@pytest.mark.parametrize(
    "wrong",
    [
        {"X_Forwarded_Method": "POST"},
        {"X_Forwarded_Uri": "/orders/8"},
        {"X_Forwarded_Uri": "/orders%2F7"},
        {"X_Forwarded_Host": "evil.example"},
        {"X_Forwarded_Proto": "http"},
        {"X_Forwarded_Method": ""},
        {"X_Forwarded_Uri": ""},
        {"X_Forwarded_Uri": "https://api.example/orders/7"},
        {"X_Forwarded_Host": ""},
    ],
)
def test_a_proof_for_another_call_is_refused(gate, bound, prover, wrong):
    answer = call(gate, prover.uses(bound, "GET", CALLED), **{**PROXY, **wrong})
    assert error(answer) == (401, "invalid_dpop_proof")


def test_what_a_caller_says_of_the_call_is_not_believed(gate, bound, prover):
    """Nobody is a trusted proxy here."""
    for address in (CALLED, "http://127.0.0.1:8000/gateway/verify"):
        answer = call(gate, prover.uses(bound, "GET", address), **PROXY)
        assert error(answer) == (401, "invalid_dpop_proof")


@pytest.mark.settings(trusted_proxies="127.0.0.1")
def test_an_address_may_have_commas_and_escapes(gate, bound, prover):
    for given, called in (
        ("/orders/1,2;3", "https://api.example/orders/1,2;3"),
        ("/orders/a%20b", "https://api.example/orders/%61%20b?day=2"),
        ("/orders/caf%c3%a9", "https://API.example:443/orders/caf%C3%A9"),
    ):
        sent = prover.uses(bound, "GET", called)
        answer = call(gate, sent, **{**PROXY, "X_Forwarded_Uri": given})
        assert answer.status_code == 200, (given, answer.get_data(as_text=True))


@pytest.mark.settings(trusted_proxies="127.0.0.1")
def test_an_api_may_admit_bound_tokens_only(session, gate, bound, machine, prover):
    assert gate.ask(machine).status_code == 200
    api = session.get_one(ApiResource, int(gate.api))
    api.properties.append(ApiResourceProperty(key="dpop_required", value="true"))
    session.commit()
    answer = gate.ask(machine)
    assert error(answer) == (401, "invalid_token")
    assert answer.headers["WWW-Authenticate"].startswith("DPoP ")
    assert call(gate, prover.uses(bound, "GET", CALLED), **PROXY).status_code == 200


@pytest.mark.settings(trusted_proxies="127.0.0.1", dpop_nonce=True)
def test_a_nonce_reaches_the_caller(session, client, gate, prover):
    app = protocol.register_machine(session, "robot", ["orders.read"], tenant_id=1)
    form = {"grant_type": "client_credentials", **app.post}
    first = client.post("/connect/token", data=form, headers=prover.shows())
    prover.nonce = first.headers["DPoP-Nonce"]
    token = client.post("/connect/token", data=form, headers=prover.shows()).get_json()
    sent = prover.uses(token["access_token"], "GET", CALLED, nonce=None)
    answer = call(gate, sent, **PROXY)
    assert error(answer) == (401, "use_dpop_nonce")
    sent = prover.uses(token["access_token"], "GET", CALLED, nonce=answer.headers["DPoP-Nonce"])
    answer = call(gate, sent, **PROXY)
    assert answer.status_code == 200
    assert answer.headers["DPoP-Nonce"]
