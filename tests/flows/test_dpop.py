"""Tokens that are bound to a key of the client (RFC 9449)."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from idp import jobs
from idp.oauth.dpop import nonces
from idp.oauth.models import SeenProof
from idp.platform import clock
from idp.platform.audit.models import AuditEvent
from idp.platform.audit.tags import Tag
from idp.platform.issuer import Issuer
from idp.platform.jobs import cleanup
from tests import protocol
from tests.pages.browsing import page_of_flow, submit
from tests.protocol import add_api, add_person, register, register_machine
from tests.provers import NEW_KEYS, Prover

USERINFO = "/connect/userinfo"


@pytest.fixture
def prover():
    return Prover()


@pytest.fixture
def machine(session):
    add_api(session)
    return register_machine(session, scopes=["orders.read"])


@pytest.fixture
def web(client, session):
    """Register a confidential client, and sign a person in."""
    app = register(session, "web")
    protocol.sign_in(client, session, add_person(session))
    return app


@pytest.fixture
def spa(client, session):
    """Register a public client, and sign a person in."""
    app = register(session, "spa", public=True)
    protocol.sign_in(client, session, add_person(session))
    return app


def ask(client, app, prover, **claims):
    form = {"grant_type": "client_credentials", **app.post}
    return client.post("/connect/token", data=form, headers=prover.shows(**claims))


def redeem(client, app, prover, scope="openid offline_access", headers=None, **parameters):
    code = protocol.code_of(protocol.authorize(client, app, scope=scope, **parameters))
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": protocol.CALLBACK,
        "code_verifier": protocol.VERIFIER,
        **app.post,
    }
    return client.post("/connect/token", data=form, headers=headers or prover.shows())


def refresh(client, app, token, headers=None):
    form = {"grant_type": "refresh_token", "refresh_token": token, **app.post}
    return client.post("/connect/token", data=form, headers=headers or {})


def error(answer):
    return answer.status_code, answer.get_json()["error"]


def count(session, model=SeenProof):
    session.rollback()
    found = session.scalar(select(func.count()).select_from(model))
    session.rollback()  # SQLite has one writer, and this may be it
    return found


# What is issued


@pytest.mark.parametrize("alg", NEW_KEYS)
def test_a_token_is_bound_to_the_key_of_the_proof(client, machine, alg):
    prover = Prover(alg)
    answer = ask(client, machine, prover)
    assert answer.status_code == 200, answer.get_data(as_text=True)
    body = answer.get_json()
    assert body["token_type"] == "DPoP"
    assert protocol.payload(body["access_token"])["cnf"] == {"jkt": prover.jkt}
    assert "DPoP-Nonce" not in answer.headers
    known = protocol.introspect(client, machine, body["access_token"])
    assert (known["active"], known["token_type"]) == (True, "DPoP")
    assert known["cnf"] == {"jkt": prover.jkt}


def test_a_reference_token_is_bound_too(client, session, machine, prover):
    app = register_machine(session, "opaque", scopes=["orders.read"], access_token_type=1)
    body = ask(client, app, prover).get_json()
    assert body["token_type"] == "DPoP"
    known = protocol.introspect(client, app, body["access_token"])
    assert (known["token_type"], known["cnf"]) == ("DPoP", {"jkt": prover.jkt})


def test_without_a_proof_tokens_are_as_they_were(client, machine):
    body = protocol.machine_token(client, machine).get_json()
    assert body["token_type"] == "Bearer"
    assert "cnf" not in protocol.payload(body["access_token"])
    assert protocol.introspect(client, machine, body["access_token"])["token_type"] == "Bearer"


def test_eddsa_has_two_names(client, machine):
    prover = Prover("EdDSA")
    answer = ask(client, machine, prover, header={"alg": "Ed25519"})
    assert answer.status_code == 200, answer.get_data(as_text=True)


def test_discovery_names_the_algorithms(client):
    metadata = client.get("/.well-known/openid-configuration").get_json()
    assert metadata["dpop_signing_alg_values_supported"] == ["ES256", "PS256", "EdDSA"]


def test_a_client_may_have_to_prove_itself_always(client, session, machine, prover):
    app = register_machine(
        session, "careful", scopes=["orders.read"], dpop_bound_access_tokens=True
    )
    assert error(protocol.machine_token(client, app)) == (400, "invalid_dpop_proof")
    assert ask(client, app, prover).get_json()["token_type"] == "DPoP"


def test_an_api_may_take_bound_tokens_only(client, session, prover):
    add_api(session, "vault", ["vault.open"], properties={"dpop_required": "true"})
    add_api(session)
    app = register_machine(session, scopes=["vault.open", "orders.read"])
    assert error(protocol.machine_token(client, app)) == (400, "invalid_dpop_proof")
    assert error(protocol.machine_token(client, app, scope="vault.open"))[0] == 400
    assert protocol.machine_token(client, app, scope="orders.read").status_code == 200
    assert ask(client, app, prover).status_code == 200
    web = register(session, "web", scopes=("openid", "vault.open"))
    protocol.sign_in(client, session, add_person(session))
    scope = "openid vault.open offline_access"
    tokens = redeem(client, web, prover, scope).get_json()
    before = count(session, AuditEvent)
    assert error(refresh(client, web, tokens["refresh_token"])) == (400, "invalid_dpop_proof")
    assert count(session, AuditEvent) == before  # nothing was rotated
    again = refresh(client, web, tokens["refresh_token"], prover.shows())
    assert again.get_json()["token_type"] == "DPoP"


# Codes and refresh tokens


def test_the_refresh_token_of_a_public_client_is_bound(client, spa, prover):
    tokens = redeem(client, spa, prover).get_json()
    assert error(refresh(client, spa, tokens["refresh_token"])) == (400, "invalid_grant")
    other = refresh(client, spa, tokens["refresh_token"], Prover().shows())
    assert error(other) == (400, "invalid_grant")
    for _ in range(2):
        answer = refresh(client, spa, tokens["refresh_token"], prover.shows())
        assert answer.status_code == 200, answer.get_data(as_text=True)
        tokens = answer.get_json()
        assert protocol.payload(tokens["access_token"])["cnf"] == {"jkt": prover.jkt}
    # One that asks for less takes the other way.
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], **spa.post}
    narrow = form | {"scope": "openid"}
    for shown in ({}, Prover().shows()):
        answer = client.post("/connect/token", data=narrow, headers=shown)
        assert error(answer) == (400, "invalid_grant")
    assert client.post("/connect/token", data=narrow, headers=prover.shows()).status_code == 200


def test_a_confidential_client_may_change_its_key(client, web, prover):
    token = redeem(client, web, prover).get_json()["refresh_token"]
    other = Prover("EdDSA")
    answer = refresh(client, web, token, other.shows()).get_json()
    assert protocol.payload(answer["access_token"])["cnf"] == {"jkt": other.jkt}
    assert refresh(client, web, answer["refresh_token"]).get_json()["token_type"] == "Bearer"


def test_a_refresh_token_that_nothing_binds_stays_free(client, spa, prover):
    code = protocol.code_of(protocol.authorize(client, spa, scope="openid offline_access"))
    token = protocol.redeem(client, spa, code).get_json()["refresh_token"]
    answer = refresh(client, spa, token, prover.shows()).get_json()
    assert answer["token_type"] == "DPoP"
    assert refresh(client, spa, answer["refresh_token"]).get_json()["token_type"] == "Bearer"


def test_a_bound_refresh_token_may_be_reusable(client, session, prover):
    with pytest.raises(Exception, match="one-time"):
        register(session, "free", public=True, refresh_token_usage=0)
    session.rollback()
    app = register(
        session, "spa", public=True, refresh_token_usage=0, dpop_bound_access_tokens=True
    )
    protocol.sign_in(client, session, add_person(session))
    token = redeem(client, app, prover).get_json()["refresh_token"]
    for _ in range(3):
        answer = refresh(client, app, token, prover.shows())
        assert answer.status_code == 200, answer.get_data(as_text=True)
        assert answer.get_json()["refresh_token"] == token
    shown = prover.shows()
    assert refresh(client, app, token, shown).status_code == 200
    assert error(refresh(client, app, token, shown)) == (400, "invalid_dpop_proof")


def test_a_reusable_refresh_token_is_rotated_where_nothing_binds_it(client, session, prover):
    app = register(session, "spa", public=True)
    protocol.sign_in(client, session, add_person(session))
    code = protocol.code_of(protocol.authorize(client, app, scope="openid offline_access"))
    token = protocol.redeem(client, app, code).get_json()["refresh_token"]
    from idp.directory.clients.models import Client

    row = session.get_one(Client, app.row_id)
    row.dpop_bound_access_tokens, row.refresh_token_usage = True, 0
    session.commit()
    answer = refresh(client, app, token, prover.shows()).get_json()
    assert answer["refresh_token"] != token


def test_a_retry_gets_the_same_successor_with_a_new_proof(client, spa, prover):
    token = redeem(client, spa, prover).get_json()["refresh_token"]
    first = refresh(client, spa, token, prover.shows()).get_json()
    second = refresh(client, spa, token, prover.shows())
    assert second.get_json()["refresh_token"] == first["refresh_token"]


# Codes that are asked for by a key


def test_a_code_may_be_asked_for_by_a_key(client, spa, prover):
    stolen = redeem(client, spa, Prover(), dpop_jkt=prover.jkt)
    assert error(stolen) == (400, "invalid_grant")
    code = protocol.code_of(protocol.authorize(client, spa, dpop_jkt=prover.jkt))
    assert error(protocol.redeem(client, spa, code)) == (400, "invalid_grant")
    assert redeem(client, spa, prover, dpop_jkt=prover.jkt).status_code == 200


@pytest.mark.parametrize("jkt", ["x", "é" * 43, "a" * 42, "a" * 44, "a" * 42 + "="])
def test_a_key_is_named_by_its_thumbprint(client, spa, jkt):
    fields = protocol.returned(protocol.authorize(client, spa, dpop_jkt=jkt))
    assert fields["error"] == "invalid_request"
    assert "dpop_jkt" in fields["error_description"]


def test_a_key_is_kept_while_a_page_is_shown(client, session, prover):
    app = register(session, "asking", public=True, require_consent=True)
    protocol.sign_in(client, session, add_person(session))
    address = page_of_flow(client, app, "/consent", dpop_jkt=prover.jkt)
    answer = submit(client, address, {"answer": "allow", "scope": ["openid"]})
    code = protocol.code_of(client.get(answer.location))
    assert error(redeem_code(client, app, code, Prover())) == (400, "invalid_grant")
    assert redeem_code(client, app, code, prover).status_code == 200


PAR = "/connect/par"


def push(client, app, prover=None, headers=None, **parameters):
    form = {**protocol.authorization_parameters(app, **parameters), **app.post}
    shown = prover.shows("POST", PAR) if prover is not None else {}
    return client.post(PAR, data=form, headers=headers or shown)


def pushed_code(client, app, answer):
    assert answer.status_code == 201, answer.get_data(as_text=True)
    query = {"client_id": app.client_id, "request_uri": answer.get_json()["request_uri"]}
    return protocol.code_of(client.get("/connect/authorize", query_string=query))


def redeem_code(client, app, code, prover):
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": protocol.CALLBACK,
        "code_verifier": protocol.VERIFIER,
        **app.post,
    }
    headers = {} if prover is None else prover.shows()
    return client.post("/connect/token", data=form, headers=headers)


def test_a_pushed_request_is_bound_to_the_key_of_its_proof(client, spa, prover):
    for named in (None, prover.jkt):
        code = pushed_code(client, spa, push(client, spa, prover, dpop_jkt=named))
        for other in (None, Prover()):
            assert error(redeem_code(client, spa, code, other)) == (400, "invalid_grant")
        assert redeem_code(client, spa, code, prover).status_code == 200
    code = pushed_code(client, spa, push(client, spa, dpop_jkt=prover.jkt))
    assert error(redeem_code(client, spa, code, Prover())) == (400, "invalid_grant")
    assert redeem_code(client, spa, code, prover).status_code == 200


def test_a_pushed_request_names_the_key_of_its_proof_or_none(client, session, spa, prover):
    answer = push(client, spa, prover, dpop_jkt=Prover().jkt)
    assert error(answer) == (400, "invalid_dpop_proof")
    assert error(push(client, spa, dpop_jkt="x")) == (400, "invalid_request")
    wrong = prover.shows("POST", "/connect/token")
    assert error(push(client, spa, headers=wrong)) == (400, "invalid_dpop_proof")
    assert count(session) == 0


def test_a_proof_pushes_one_request(client, session, spa, prover):
    shown = prover.shows("POST", PAR)
    assert push(client, spa, headers=shown).status_code == 201
    assert error(push(client, spa, headers=shown)) == (400, "invalid_dpop_proof")
    assert count(session) == 1


@pytest.mark.settings(dpop_nonce=True)
def test_pushed_requests_need_nonces_too(client, spa, prover):
    answer = push(client, spa, prover)
    assert error(answer) == (400, "use_dpop_nonce")
    prover.nonce = answer.headers["DPoP-Nonce"]
    answer = push(client, spa, prover)
    assert (answer.status_code, answer.headers["DPoP-Nonce"]) == (201, prover.nonce)
    assert answer.headers["Cache-Control"] == "no-store"


# Protected resources


def test_userinfo_asks_the_holder_for_a_proof(client, web, prover):
    token = redeem(client, web, prover).get_json()["access_token"]
    for method in ("GET", "POST"):
        headers = prover.uses(token, method, USERINFO)
        answer = client.open(USERINFO, method=method, headers=headers)
        assert answer.status_code == 200, answer.get_data(as_text=True)
        assert answer.get_json()["sub"]
    answer = client.get(USERINFO, headers=protocol.bearer(token))
    assert error(answer) == (401, "invalid_token")
    challenge = answer.headers["WWW-Authenticate"]
    assert challenge == 'DPoP error="invalid_token", algs="ES256 PS256 EdDSA"'
    assert error(client.post(USERINFO, data={"access_token": token})) == (401, "invalid_token")


def test_a_scheme_may_be_written_in_any_case(client, web, prover):
    token = redeem(client, web, prover).get_json()["access_token"]
    headers = prover.uses(token, "GET", USERINFO)
    headers["Authorization"] = f"dpop {token}"
    assert client.get(USERINFO, headers=headers).status_code == 200


def test_a_bearer_token_is_no_bound_token(client, web, prover):
    code = protocol.code_of(protocol.authorize(client, web))
    token = protocol.redeem(client, web, code).get_json()["access_token"]
    answer = client.get(USERINFO, headers=prover.uses(token, "GET", USERINFO))
    assert error(answer) == (401, "invalid_token")
    shown = protocol.bearer(token) | {"DPoP": "whatever"}
    assert client.get(USERINFO, headers=shown).status_code == 200


@pytest.fixture
def manager(client, session):
    """Register a client for management operations, and sign a person in who may use all."""
    app = register(session, "console", scopes=("openid", "ids4.ms.client.all"))
    user = add_person(session)
    protocol.grant_directly(session, user, "ids4.ms.client.all")
    protocol.sign_in(client, session, user)
    return app


@pytest.fixture
def managing(client, manager, prover):
    """Return a person's bound token for management operations."""
    return redeem(client, manager, prover, MANAGING).get_json()["access_token"]


MANAGING = "openid ids4.ms.client.all"
FRESH = "/api/Client/IssueToken"


def test_operations_ask_the_holder_for_a_proof(client, session, managing, prover):
    def call(headers):
        return client.post(f"{FRESH}?x=1", json={}, headers=headers)

    headers = prover.uses(managing, "POST", FRESH)
    assert call(headers).status_code == 200
    assert count(session) == 2  # for the code, and for the call
    again = call(headers)
    assert again.status_code == 401
    challenge = 'DPoP error="invalid_dpop_proof", algs="ES256 PS256 EdDSA"'
    assert again.headers["WWW-Authenticate"] == challenge
    answer = call(protocol.bearer(managing))
    assert answer.status_code == 401
    challenge = 'DPoP error="invalid_token", algs="ES256 PS256 EdDSA"'
    assert answer.headers["WWW-Authenticate"] == challenge
    assert call({"Authorization": f"DPoP {managing}"}).status_code == 401
    assert call(prover.uses(managing, "GET", FRESH)).status_code == 401
    assert call(prover.uses(managing, "POST", "/api/Client")).status_code == 401
    assert call(Prover().uses(managing, "POST", FRESH)).status_code == 401


def test_a_call_that_only_reads_uses_its_proof_up(client, session, managing, prover):
    path = "/api/Client"
    headers = prover.uses(managing, "GET", path)
    assert client.get(path, headers=headers).status_code == 200
    assert client.get(path, headers=headers).status_code == 401


def test_a_fresh_token_is_bound_to_the_same_key(client, managing, prover):
    headers = prover.uses(managing, "POST", FRESH)
    token = client.post(FRESH, json={}, headers=headers).get_json()["data"]
    assert protocol.payload(token)["cnf"] == {"jkt": prover.jkt}
    assert client.post(FRESH, json={}, headers=protocol.bearer(token)).status_code == 401


@pytest.mark.settings(dpop_nonce=True)
def test_operations_hand_out_nonces(client, manager, machine, prover):
    prover.nonce = ask(client, machine, prover).headers["DPoP-Nonce"]
    token = redeem(client, manager, prover, MANAGING).get_json()["access_token"]
    path = "/api/Client"
    answer = client.get(path, headers=prover.uses(token, "GET", path, nonce=None))
    assert answer.status_code == 401
    challenge = 'DPoP error="use_dpop_nonce", algs="ES256 PS256 EdDSA"'
    assert answer.headers["WWW-Authenticate"] == challenge
    assert answer.headers["DPoP-Nonce"] == prover.nonce
    answer = client.get(path, headers=prover.uses(token, "GET", path))
    assert (answer.status_code, answer.headers["DPoP-Nonce"]) == (200, prover.nonce)


# Nonces


def now_at(monkeypatch, seconds):
    moment = clock.now() + timedelta(seconds=seconds)
    monkeypatch.setattr(clock, "now", lambda: moment)


def test_a_wrong_clock_is_mended_by_a_nonce(client, machine, prover):
    for wrong in (-3600, 3600):
        iat = int(time.time()) + wrong
        answer = ask(client, machine, prover, iat=iat)
        assert error(answer) == (400, "use_dpop_nonce")
        assert answer.headers["Cache-Control"] == "no-store"
        nonce = answer.headers["DPoP-Nonce"]
        assert ask(client, machine, prover, iat=iat, nonce=nonce).status_code == 200


@pytest.mark.parametrize("seconds", [-50, -10, 10, 50])
def test_clocks_may_differ_by_a_minute(client, machine, prover, seconds):
    assert ask(client, machine, prover, iat=int(time.time()) + seconds).status_code == 200


@pytest.mark.settings(dpop_nonce=True)
def test_nonces_may_be_required_of_everybody(client, web, machine, prover):
    answer = ask(client, machine, prover)
    assert error(answer) == (400, "use_dpop_nonce")
    prover.nonce = answer.headers["DPoP-Nonce"]
    answer = ask(client, machine, prover)
    assert answer.status_code == 200
    assert answer.headers["DPoP-Nonce"] == prover.nonce
    form = {"grant_type": "refresh_token", "refresh_token": "x", **web.post}
    answer = client.post("/connect/token", data=form, headers=prover.shows())
    assert error(answer) == (400, "invalid_grant")
    assert answer.headers["DPoP-Nonce"] == prover.nonce
    token = redeem(client, web, prover).get_json()["access_token"]
    answer = client.get(USERINFO, headers=prover.uses(token, "GET", USERINFO))
    assert (answer.status_code, answer.headers["DPoP-Nonce"]) == (200, prover.nonce)
    answer = client.get(USERINFO, headers=prover.uses(token, "GET", USERINFO, nonce=None))
    assert error(answer) == (401, "use_dpop_nonce")
    challenge = answer.headers["WWW-Authenticate"]
    assert challenge == 'DPoP error="use_dpop_nonce", algs="ES256 PS256 EdDSA"'
    assert answer.headers["DPoP-Nonce"] == prover.nonce


def test_a_nonce_is_good_for_three_steps(client, machine, prover, runtime, monkeypatch):
    issuer = Issuer(1, "http://127.0.0.1:8000", "127.0.0.1:8000", "")
    nonce = nonces.current(runtime.keyring, issuer)
    start = clock.timestamp() // 60 * 60
    begun = clock.now() - timedelta(seconds=clock.now().timestamp() - start)
    for seconds, status in ((1, 200), (179, 200), (181, 400), (-61, 400)):
        monkeypatch.setattr(clock, "now", lambda at=seconds: begun + timedelta(seconds=at))
        answer = ask(client, machine, prover, nonce=nonce)
        assert answer.status_code == status, (seconds, answer.get_data(as_text=True))
        if status == 400:
            assert answer.get_json()["error"] == "use_dpop_nonce"
        if seconds == 179:  # it was good, and the next one is there
            assert answer.headers["DPoP-Nonce"] not in {nonce, None}


def test_nonces_differ_by_issuer_and_survive_a_new_root_secret(runtime):
    from idp.platform.secrets import Keyring

    one, two = (Issuer(number, "http://a", "a", "") for number in (1, 2))
    old = Keyring(["a" * 32])
    nonce = nonces.current(old, one)
    assert len(nonce) == 22
    assert nonces.end_of(old, two, nonce) is None
    assert nonces.end_of(Keyring(["b" * 32, "a" * 32]), one, nonce) is not None
    assert nonces.end_of(Keyring(["b" * 32]), one, nonce) is None
    assert nonces.end_of(old, one, "é") is None


# Once


def test_a_proof_is_taken_once(client, session, machine, prover):
    shown = prover.proof()
    form = {"grant_type": "client_credentials", **machine.post}
    first = client.post("/connect/token", data=form, headers={"DPoP": shown})
    assert first.status_code == 200
    second = client.post("/connect/token", data=form, headers={"DPoP": shown})
    assert error(second) == (400, "invalid_dpop_proof")
    session.rollback()
    event = session.scalars(select(AuditEvent).where(AuditEvent.tag == Tag.PROOF_REPLAYED)).one()
    assert (event.client_id, event.details) == ("machine", {"jkt": prover.jkt})
    assert count(session) == 1


def test_replays_leave_few_traces(client, session, machine, prover):
    shown = {"DPoP": prover.proof()}
    form = {"grant_type": "client_credentials", **machine.post}
    for _ in range(15):
        client.post("/connect/token", data=form, headers=shown)
    session.rollback()
    events = session.scalars(select(AuditEvent).where(AuditEvent.tag == Tag.PROOF_REPLAYED))
    assert len(events.all()) == 10


def test_a_jti_belongs_to_its_key(client, machine, prover):
    for holder in (prover, Prover(), Prover("EdDSA")):
        assert ask(client, machine, holder, jti="the-same").status_code == 200
    assert error(ask(client, machine, prover, jti="the-same"))[1] == "invalid_dpop_proof"


def test_a_refused_request_uses_up_no_proof(client, session, spa, prover):
    shown = prover.shows()
    form = {"grant_type": "authorization_code", "code": "wrong", **spa.post}
    answer = client.post("/connect/token", data=form, headers=shown)
    assert error(answer) == (400, "invalid_grant")
    assert count(session) == 0
    assert redeem(client, spa, prover, headers=shown).status_code == 200
    assert count(session) == 1
    # A proof that came before spends no code.
    code = protocol.code_of(protocol.authorize(client, spa))
    good = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": protocol.CALLBACK,
        "code_verifier": protocol.VERIFIER,
        **spa.post,
    }
    answer = client.post("/connect/token", data=good, headers=shown)
    assert error(answer) == (400, "invalid_dpop_proof")
    assert client.post("/connect/token", data=good, headers=prover.shows()).status_code == 200


def test_a_proof_that_came_before_rotates_nothing(client, session, spa, prover):
    token = redeem(client, spa, prover).get_json()["refresh_token"]
    shown = prover.shows()
    token = refresh(client, spa, token, shown).get_json()["refresh_token"]
    generation = protocol.family_of(session, token).generation
    assert error(refresh(client, spa, token, shown)) == (400, "invalid_dpop_proof")
    session.rollback()
    session.expire_all()
    assert protocol.family_of(session, token).generation == generation
    assert refresh(client, spa, token, prover.shows()).status_code == 200


def test_seen_proofs_are_forgotten_in_time(session, runtime, monkeypatch):
    """A second of clean-up for each second of proofs keeps the table below 200 times the rate."""
    (expiry,) = jobs.PROOFS
    start, rate, most, number = clock.now(), 20, 0, 0
    for second in range(0, 600, jobs.PROOF_SECONDS):
        moment = start + timedelta(seconds=second)
        monkeypatch.setattr(clock, "now", lambda at=moment: at)
        step = int(moment.timestamp()) // 60
        end = (step + nonces.STEPS) * 60  # the longest that one is accepted
        for _ in range(rate * jobs.PROOF_SECONDS):
            number += 1
            session.add(
                SeenProof(
                    key_hash=number.to_bytes(32, "big"),
                    expires_at=moment + timedelta(seconds=end - moment.timestamp() + 5),
                )
            )
        session.commit()
        most = max(most, count(session))
        cleanup.run(runtime, threading.Event(), [expiry])
    assert most < 200 * rate
    assert count(session) > 0


def test_the_chores_forget_proofs_often():
    (chore,) = (one for one in jobs.CHORES if one.name == "seen-proofs")
    assert chore.every_seconds == jobs.PROOF_SECONDS == 5
