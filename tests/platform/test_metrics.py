"""Metrics of one process and of all workers together."""

from __future__ import annotations

import pytest
from prometheus_client import generate_latest
from sqlalchemy import text

from idp.platform import metrics
from idp.platform.errors import TooManyRequests
from idp.platform.metrics import scraping
from idp.platform.metrics.counts import Counts
from idp.platform.metrics.declarations import (
    JOBS,
    KEY_AGE,
    METRICS,
    REFUSALS,
    REPLAYS,
    REQUESTS,
    SIGN_INS,
)
from idp.platform.throttle import Throttle
from tests import protocol


@pytest.fixture
def shown(app):
    """Return the metrics as Prometheus reads them."""

    def read():
        return generate_latest(app.wsgi_app._entrance.metrics.registry).decode()

    return read


def orders(session):
    """Register an API; return the names of its scopes."""
    return [scope.name for scope in protocol.add_api(session).scopes]


def value(text, series):
    """Return the value of a series; None: there is none."""
    lines = [line for line in text.splitlines() if line.startswith(f"{series} ")]
    return float(lines[0].rpartition(" ")[2]) if lines else None


@pytest.mark.no_database
def test_requests_are_counted_by_route_method_and_status(client, shown):
    client.get("/healthz")
    client.get("/healthz")
    client.post("/connect/token", data={"client_id": "nobody"})
    client.get("/forgot/a-secret-that-must-not-be-a-label")
    client.open("/nothing/at/all", method="BREW")
    text = shown()
    assert 'idp_requests_total{endpoint="/healthz",method="GET",status="200"} 2.0' in text
    assert 'idp_requests_total{endpoint="/connect/token",method="POST",status="401"} 1.0' in text
    assert 'idp_request_seconds_count{endpoint="/connect/token"} 1.0' in text
    assert 'endpoint="(none)",method="other"' in text
    assert "a-secret" not in text


@pytest.mark.no_database
def test_what_callers_invent_makes_no_new_series(client, session, shown, runtime):
    app = protocol.register(session)

    def ask(number):
        client.get(f"/nothing/{number}")
        client.open("/healthz", method=f"BREW{number}")
        client.get("/healthz", headers={"Host": f"host{number}.example"})
        client.post("/connect/token", data={"client_id": f"client{number}", "grant_type": "a"})
        client.post("/connect/token", data={"grant_type": f"grant{number}", **app.post})
        client.get("/connect/authorize", query_string={"client_id": f"client{number}"})
        client.get("/connect/userinfo", headers={"Authorization": f"Bearer token{number}"})
        form = {"grant_type": "client_credentials", "scope": f"scope{number}", **app.post}
        client.post("/connect/token", data=form)

    def series():
        return {line.rpartition(" ")[0] for line in shown().splitlines() if line[0] != "#"}

    for number in range(12):  # until the limits are reached, which are counted too
        ask(number)
    before = series()
    for number in range(12, 24):
        ask(number)
    assert len(runtime.counts._added) < 40  # nobody need hand them on for memory to be bounded
    assert series() == before
    assert not any("example" in line or "client0" in line for line in before)


@pytest.mark.no_database
def test_labels_have_the_values_that_were_expected():
    assert REFUSALS.bounded(("/connect/token", "invalid_grant"))[1] == "invalid_grant"
    assert REFUSALS.bounded(("/connect/token", "made_up"))[1] == "other"
    assert SIGN_INS.bounded(("retina", "done")) == ("other", "done")
    assert REQUESTS.bounded(("/healthz", "GET", 200)) == ("/healthz", "GET", "200")
    assert JOBS.bounded(("notify.mail", "done")) == ("notify.mail", "done")


@pytest.mark.no_database
def test_counters_of_rare_events_begin_at_zero(shown):
    text = shown()
    for kind in REPLAYS.values["kind"]:
        assert value(text, f'idp_replays_total{{kind="{kind}"}}') == 0
    assert value(text, 'idp_db_errors_total{kind="lost"}') == 0


def test_tokens_refusals_and_replays_are_counted(client, session, shown):
    app = protocol.register(session)
    user = protocol.add_person(session, "ann")
    protocol.sign_in(client, session, user)
    code = protocol.code_of(protocol.authorize(client, app, scope="openid offline_access"))
    tokens = protocol.redeem(client, app, code).get_json()
    protocol.refresh(client, app, tokens["refresh_token"])
    assert protocol.redeem(client, app, code).status_code == 400
    machine = protocol.register_machine(session, scopes=orders(session))
    assert protocol.machine_token(client, machine).status_code == 200
    text = shown()
    for grant in ("authorization_code", "refresh_token"):
        for kind in ("jwt", "refresh"):
            assert value(text, f'idp_tokens_total{{grant="{grant}",kind="{kind}"}}') == 1
    assert value(text, 'idp_tokens_total{grant="client_credentials",kind="jwt"}') == 1
    assert value(text, 'idp_replays_total{kind="code"}') == 1
    refused = 'idp_refusals_total{endpoint="/connect/token",error="invalid_grant"}'
    assert value(text, refused) == 1


def test_a_refresh_token_that_comes_back_late_is_a_replay(client, session, clock, shown):
    app = protocol.register(session)
    protocol.sign_in(client, session, protocol.add_person(session, "ann"))
    code = protocol.code_of(protocol.authorize(client, app, scope="openid offline_access"))
    first = protocol.redeem(client, app, code).get_json()["refresh_token"]
    second = protocol.refresh(client, app, first).get_json()["refresh_token"]
    protocol.refresh(client, app, second)
    clock.shift(3600)
    assert protocol.refresh(client, app, first).status_code == 400
    assert value(shown(), 'idp_replays_total{kind="refresh"}') == 1


def test_sign_ins_are_counted_by_outcome(client, session, shown):
    protocol.add_person(session, "ann")
    page = client.get("/login", headers={"Accept": "text/html"}).get_data(as_text=True)
    token = page.partition('name="csrf_token"')[2].partition('value="')[2].partition('"')[0]

    def sign_in(password):
        data = {"csrf_token": token, "login": "ann", "password": password}
        return client.post("/login", data=data)

    for _ in range(7):
        sign_in("wrong-horse-battery")
    text = shown()
    refused = value(text, 'idp_sign_ins_total{method="password",outcome="refused"}')
    delayed = value(text, 'idp_sign_ins_total{method="password",outcome="delayed"}')
    assert refused >= 5
    assert delayed >= 1
    assert refused + delayed == 7
    assert value(text, 'idp_delays_total{scope="sign-in"}') == delayed
    assert value(text, "idp_password_seconds_count") == refused


def test_a_right_password_is_counted_as_done(client, session, shown):
    protocol.add_person(session, "ann")
    page = client.get("/login", headers={"Accept": "text/html"}).get_data(as_text=True)
    token = page.partition('name="csrf_token"')[2].partition('value="')[2].partition('"')[0]
    data = {"csrf_token": token, "login": "ann", "password": protocol.PASSWORD}
    assert client.post("/login", data=data).status_code == 303
    assert value(shown(), 'idp_sign_ins_total{method="password",outcome="done"}') == 1


@pytest.mark.no_database
def test_limits_are_counted_by_name_and_by_nothing_else():
    counts = Counts()
    throttle = Throttle("", counts)
    throttle.hit("registration", "ann", 1, 60)
    for key in ("ann", "ann", "ann"):
        with pytest.raises(TooManyRequests):
            throttle.hit("registration", key, 1, 60)
    added, _, _ = counts.take()
    assert [(metric.name, labels, amount) for (metric, labels), amount in added.items()] == [
        ("idp_delays_total", ("registration",), 3)
    ]


def test_look_ups_are_counted_as_found_in_memory_or_not(client, session, runtime, shown):
    app = protocol.register_machine(session, scopes=orders(session))
    runtime.cache._poll_seconds = 60
    protocol.machine_token(client, app)
    before = shown()
    protocol.machine_token(client, app)
    after = shown()
    hit, miss = (f'idp_cache_lookups_total{{result="{result}"}}' for result in ("hit", "miss"))
    assert value(after, hit) > value(before, hit)
    assert value(after, miss) == value(before, miss)
    assert value(after, "idp_configuration_age_seconds") == 0


@pytest.mark.postgresql
def test_connections_of_threads_are_shown(session, shown):
    session.execute(text("SELECT 1"))
    assert value(shown(), 'idp_db_connections{pool="threads",state="busy"}') >= 1


@pytest.mark.no_database
def test_gauges_of_the_database_carry_their_labels(tmp_path):
    registry = scraping.combined(tmp_path, lambda: [(KEY_AGE, ("RS256",), 60.0)])
    text = generate_latest(registry).decode()
    assert f"# HELP idp_signing_key_age_seconds {KEY_AGE.sentence}" in text
    assert value(text, 'idp_signing_key_age_seconds{alg="RS256"}') == 60


@pytest.mark.no_database
def test_what_is_shown_is_declared(client, shown):
    client.get("/healthz")
    names = {line.split()[2] for line in shown().splitlines() if line.startswith("# TYPE")}
    declared = {metric.name for metric in METRICS}
    assert {name for name in names if not name.endswith("_created")} <= declared


@pytest.mark.no_database
@pytest.mark.parametrize("text", ["", "8000", "host:", "host:0", "host:70000", "host:-1", "a:b"])
def test_addresses_that_cannot_be_listened_on_are_refused(text):
    with pytest.raises(ValueError, match="HOST:PORT"):
        metrics.parse_address(text)


@pytest.mark.no_database
def test_addresses_are_read():
    assert metrics.parse_address("127.0.0.1:9100") == ("127.0.0.1", 9100)
    assert metrics.parse_address("[::1]:9100") == ("::1", 9100)
    assert metrics.parse_address(":9100") == ("0.0.0.0", 9100)  # noqa: S104
