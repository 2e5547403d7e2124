"""Refused requests: which check refused is kept, without secrets and within bounds."""

from __future__ import annotations

import importlib
import inspect
import threading

import pytest
from sqlalchemy import func, select

from idp.explain import refusals, rules
from idp.jobs import EXPIRIES
from idp.oauth import refused_requests
from idp.oauth.models import Refusal
from idp.oauth.refused_requests import LONGEST_ID, PER_CLIENT, PER_WORKER, shown
from idp.platform.jobs import cleanup
from tests import protocol
from tests.protocol import add_api, add_person, register, register_machine

DAY = 24 * 3600


def kept(session):
    session.rollback()
    return list(session.scalars(select(Refusal).order_by(Refusal.id)))


def explained(session, answer):
    session.rollback()
    return refusals.explain(session, answer.headers["X-Request-Id"], within=None)


def test_a_refused_token_request_leads_to_the_check_and_its_rule(client, session):
    add_api(session)
    app = register_machine(session, scopes=["orders.read"])
    answer = protocol.machine_token(client, app, scope="orders.write")
    found = explained(session, answer)
    assert found.path == "/connect/token"
    assert found.client_id == "machine"
    assert found.refused.error == answer.get_json()["error"] == "invalid_scope"
    assert found.refused.description == answer.get_json()["error_description"]
    assert (found.refused.check, found.refused.rule) == ("Scopes of the client", "RFC 6749 3.3")


def test_what_the_caller_is_not_told_is_kept(client, session):
    app = register_machine(session)
    form = {"grant_type": "client_credentials", **app.post, "client_secret": "wrong-" + "x" * 30}
    found = explained(session, client.post("/connect/token", data=form))
    assert found.reason == "client_secret_post failed"
    assert found.refused.check == "Client authentication"


def test_the_verifier_that_does_not_fit_is_named(client, session):
    app = register(session)
    protocol.sign_in(client, session, add_person(session))
    code = protocol.code_of(protocol.authorize(client, app))
    answer = protocol.redeem(client, app, code, code_verifier="b" * 50)
    found = explained(session, answer)
    assert found.refused.check == "PKCE verifier"
    assert found.refused.rule is not None
    assert "RFC 7636 4.6" in found.refused.rule


def test_a_refused_authorization_request_is_kept_once(client, session):
    app = register(session)
    for parameters, check in (
        ({"scope": "openid ids4.ms.all"}, "Scopes of the client"),
        ({"code_challenge": None}, "PKCE challenge"),
        ({"prompt": "none"}, "Sign-in without a page"),
        ({"response_mode": "form_post", "scope": "ids4.ms.all"}, "Scopes of the client"),
        ({"redirect_uri": "https://evil.example/"}, "Client and return address"),
        ({"client_id": "unknown"}, "Client and return address"),
    ):
        before = len(kept(session))
        answer = protocol.authorize(client, app, **parameters)
        assert explained(session, answer).refused.check == check, parameters
        assert len(kept(session)) == before + 1, parameters


def test_the_id_on_an_error_page_leads_to_the_refusal(client, session):
    app = register(session)
    answer = client.get(
        "/connect/authorize",
        query_string=protocol.authorization_parameters(app, redirect_uri="https://evil.example/"),
        headers={"Accept": "text/html"},
    )
    request_id = answer.headers["X-Request-Id"]
    assert request_id in answer.get_data(as_text=True)
    assert refusals.explain(session, request_id, within=None).client_id == "web"


def test_a_refused_logout_is_kept(client, session):
    answer = client.get(
        "/connect/endsession", query_string={"id_token_hint": "x", "ui_locales": "en"}
    )
    assert answer.status_code == 400
    assert explained(session, answer).path == "/connect/endsession"


def test_a_refused_bearer_is_kept_without_the_token(client, session):
    answer = client.get("/connect/userinfo", headers=protocol.bearer("a.b.c"))
    found = explained(session, answer)
    assert found.refused.error == "invalid_token"
    assert found.refused.check == "Access token"


def test_no_secret_and_no_token_is_kept(client, session):
    add_api(session)
    app = register_machine(session, scopes=["orders.read"])
    token = protocol.machine_token(client, app).get_json()["access_token"]
    reference = "at_" + "Zz09-" * 9
    assert app.secret is not None
    for text in (token, reference, app.secret, f"x {app.secret} y"):
        protocol.machine_token(client, app, scope=text)
        protocol.machine_token(client, app, resource=text)
        client.post("/connect/token", data={"grant_type": text, "client_id": text})
        client.post(
            "/connect/token", data={"grant_type": "refresh_token", **app.post, "scope": text}
        )
        client.get("/connect/authorize", query_string={"client_id": text, "redirect_uri": text})
    rows = kept(session)
    assert len(rows) >= PER_CLIENT
    for row in rows:
        told = " ".join(map(str, (row.description, row.reason, row.client_id, row.path)))
        for secret in (*token.split("."), reference, app.secret):
            assert secret[:22] not in told, told


@pytest.mark.no_database
def test_misplaced_secrets_are_hidden_and_names_are_not():
    assert shown("There is no scope 'orders.everything_that_there_is'", 200).endswith("there_is'")
    assert shown("code Aa0" + "b" * 40 + " and", 200) == "code [hidden] and"
    assert shown("a\nb\0c", 200) == "a?b?c"
    assert len(shown("A" * 9999 + " b" * 999, 500)) <= 500


def test_a_client_is_named_whatever_its_id_looks_like(client, session):
    app = register_machine(session, "3F2504E0-4F89-41D3-9A0C-0305E82C3301")
    answer = protocol.machine_token(client, app, scope="nonsense")
    assert explained(session, answer).client_id == app.client_id


def test_a_flood_leaves_few_rows_and_costs_no_statement(client, session, runtime):
    app = register_machine(session)
    for _ in range(3 * PER_CLIENT):
        assert protocol.machine_token(client, app, scope="nonsense").status_code == 400
    assert len(kept(session)) == PER_CLIENT
    for number in range(3 * PER_CLIENT):
        client.post("/connect/token", data={"grant_type": "x", "client_id": f"invented{number}"})
    assert len(kept(session)) == 2 * PER_CLIENT
    for _ in range(PER_WORKER):
        runtime.throttle.allows_here("refusals", "", PER_WORKER, 60)
    other = register_machine(session, "other")
    protocol.machine_token(client, other, scope="nonsense")
    assert len(kept(session)) == 2 * PER_CLIENT


def test_one_flood_does_not_hide_the_refusals_of_others(client, session):
    app, other = register_machine(session), register_machine(session, "other")
    for _ in range(2 * PER_WORKER):
        protocol.machine_token(client, app, scope="nonsense")
    answer = protocol.machine_token(client, other, scope="nonsense")
    assert explained(session, answer).client_id == "other"


def test_what_cannot_be_kept_changes_no_answer(client, session, monkeypatch):
    app = register_machine(session)

    def fail(*_):
        raise RuntimeError

    monkeypatch.setattr(refused_requests, "_values", fail)
    answer = protocol.machine_token(client, app, scope="nonsense")
    assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_scope")
    assert kept(session) == []


def test_refusals_are_removed_after_three_days(client, session, runtime, clock):
    protocol.machine_token(client, register_machine(session), scope="nonsense")
    for days, left in ((2, 1), (2, 0)):
        clock.shift(days * DAY)
        session.commit()
        cleanup.run(runtime, threading.Event(), EXPIRIES)
        assert session.scalar(select(func.count()).select_from(Refusal)) == left
        session.commit()


def test_a_request_id_that_a_proxy_made_fits(client, session):
    client.environ_base["REMOTE_ADDR"] = "127.0.0.1"
    app = register_machine(session)
    protocol.machine_token(client, app, scope="nonsense")
    assert len(kept(session)[0].request_id) <= LONGEST_ID


@pytest.mark.no_database
def test_every_check_that_has_a_rule_exists():
    for path in rules.CHECKS:
        module_name, _, function = path.rpartition(".")
        module = importlib.import_module(f"idp.oauth.{module_name}")
        owners = [module, *(kind for _, kind in inspect.getmembers(module, inspect.isclass))]
        assert any(hasattr(owner, function) for owner in owners), path
