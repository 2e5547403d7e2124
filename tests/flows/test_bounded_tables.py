"""Tables of the protocol under days of load: bounded, and cleaned without holding anybody up."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select

from idp.jobs import EXPIRIES
from idp.oauth import pending
from idp.oauth.models import AuthorizationRequest, Grant, RefreshFamily
from idp.platform.jobs import cleanup
from idp.platform.jobs.cleanup import Expiry
from tests import protocol
from tests.protocol import add_api, add_person, obtain, refresh, register, register_machine

HOUR = 3600
DAY = 24 * HOUR


def sizes(session):
    models = {RefreshFamily, *(expiry.column.class_ for expiry in EXPIRIES)}
    return {
        model.__tablename__: session.scalar(select(func.count()).select_from(model))
        for model in models
    }


def test_tables_stay_bounded_under_days_of_load(client, session, runtime, clock):
    add_api(session)
    short = {"absolute_refresh_token_lifetime": HOUR, "access_token_lifetime": HOUR}
    app = register(session, scopes=("openid", "orders.read"), **short)
    machine = register_machine(session, scopes=["orders.read"], access_token_type=1, **short)
    user = add_person(session)
    seen = []
    for _ in range(24):  # half a day each
        for _ in range(3):
            protocol.sign_in(client, session, user)
            tokens = obtain(client, app, "openid orders.read offline_access")
            assert refresh(client, app, tokens.refresh).status_code == 200
            client.post("/connect/revocation", data={"token": tokens.access, **app.post})
            form = {"grant_type": "client_credentials", **machine.post}
            assert client.post("/connect/token", data=form).status_code == 200
        clock.shift(DAY / 2)
        session.commit()
        cleanup.run(runtime, threading.Event(), EXPIRIES)
        seen.append(sizes(session))
        session.commit()
    # What lives longest here is a session: ten hours and the week that it is known afterwards.
    assert seen[-1] == seen[-2] == seen[-3]
    assert 0 < seen[-1]["grant"] <= 9
    assert seen[-1]["refresh_family"] == seen[-1]["grant"]
    assert seen[-1]["refresh_token"] == 0
    assert 0 < seen[-1]["browser_session"] <= 48
    assert seen[-1]["reference_token"] == seen[-1]["revoked_token"] == 0


@pytest.mark.parametrize(
    ("language", "said"), [("en", "Too many sign-ins are under way"), ("zh", "正在进行的登录过多")]
)
def test_requests_that_wait_fill_the_database_to_a_bound(
    client, session, monkeypatch, clock, language, said
):
    monkeypatch.setattr(pending, "BYTES_OF_ALL", 50_000)
    app = register(session)
    form = {**protocol.authorization_parameters(app), "state": "x" * 20_000}
    client.set_cookie("lang", language, domain="127.0.0.1")

    def keep(number):
        client.environ_base["REMOTE_ADDR"] = f"192.0.2.{number}"
        return client.post("/connect/authorize", data=form, headers={"Accept": "text/html"})

    assert [keep(number).status_code for number in range(2)] == [303, 303]
    refused = keep(2)
    assert refused.status_code == 503
    assert int(refused.headers["Retry-After"]) > 0
    assert said in refused.get_data(as_text=True)
    assert session.scalar(select(func.count()).select_from(AuthorizationRequest)) == 2
    clock.shift(HOUR + 1)
    assert keep(3).status_code == 303


@pytest.mark.postgresql
def test_a_token_request_waits_for_no_clean_up(client, session, runtime, clock):
    app = register(session)
    protocol.sign_in(client, session, add_person(session))
    for _ in range(5):
        obtain(client, app, "openid offline_access")
    clock.shift(40 * DAY)
    protocol.sign_in(client, session, add_person(session, "bob"))
    tokens = obtain(client, app, "openid offline_access")
    with runtime.sessions() as cleaner:
        assert cleanup.remove_batch(cleaner, Expiry(Grant.expires_at, DAY)) == 5
        # Not committed yet: whoever waits for its locks waits for ever.
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(refresh, client, app, tokens.refresh).result(timeout=20)
        assert answer.status_code == 200
        cleaner.commit()


@pytest.mark.postgresql
def test_a_grant_in_use_is_cleaned_later(client, session, runtime, clock):
    app = register(session)
    protocol.sign_in(client, session, add_person(session))
    for _ in range(2):
        obtain(client, app, "openid")
    clock.shift(40 * DAY)
    used = session.scalars(select(Grant).order_by(Grant.id).limit(1).with_for_update()).one()
    with runtime.sessions() as cleaner:
        assert cleanup.remove_batch(cleaner, Expiry(Grant.expires_at, DAY)) == 1
        cleaner.commit()
    assert session.scalars(select(Grant.id)).all() == [used.id]
