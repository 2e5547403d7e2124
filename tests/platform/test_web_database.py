"""Requests to a database that closes connections, has a full disk or refuses to write."""

from __future__ import annotations

import psycopg
import pytest
from sqlalchemy import event, text

from tests import protocol
from tests.api.admin import PREFIX, root
from tests.pages.browsing import HTML, submit
from tests.protocol import PASSWORD, add_person, register

USERS = "/tenants/1/users"
FULL_DISK = """
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100';
    END $$;
    DO $$ DECLARE found regclass; BEGIN
        FOR found IN SELECT oid FROM pg_class
            WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
        LOOP
            EXECUTE format('CREATE TRIGGER full_disk BEFORE INSERT OR UPDATE ON %s'
                ' FOR EACH ROW EXECUTE FUNCTION refuse()', found);
        END LOOP;
    END $$;
    """
"""Has every write fail as where no page can be added to a table."""


@pytest.mark.postgresql
def test_connections_that_are_cut_while_nobody_uses_them_are_not_used(client, settings):
    path = "/connect/userinfo"
    assert client.get(path).status_code == 401
    address = settings.database.replace("postgresql+psycopg", "postgresql")
    with psycopg.connect(address, autocommit=True) as stranger:
        killed = stranger.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).fetchall()
    assert killed
    answers = [client.get(path) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [401, 401, 401]


@pytest.mark.postgresql
def test_a_full_disk_costs_503_for_what_writes_and_nothing_for_what_reads(
    client, new_client, session
):
    stranger = new_client()
    app, person = register(session, scopes=("openid", "profile")), add_person(session)
    administrator = root(client, session)
    protocol.sign_in(client, session, person)
    tokens = protocol.obtain(client, app, "openid offline_access")
    bearer = protocol.bearer(tokens.access)
    writes = {
        "authorize": lambda: protocol.authorize(client, app),
        "refresh": lambda: protocol.refresh(client, app, tokens.refresh),
        "sign-in": lambda: submit(stranger, "/login", {"login": "ann", "password": PASSWORD}),
        "operation": lambda: administrator.send("POST", USERS, {"username": "bob"}, prefix=PREFIX),
    }
    reads = {
        "discovery": lambda: client.get("/.well-known/openid-configuration"),
        "keys": lambda: client.get("/.well-known/openid-configuration/jwks"),
        "userinfo": lambda: client.get("/connect/userinfo", headers=bearer),
        "introspect": lambda: client.post(
            "/connect/introspect", data={"token": tokens.access, **app.post}
        ),
        "sign-in page": lambda: stranger.get("/login", headers=HTML),
        "account": lambda: client.get("/account", headers=HTML),
        "operation": lambda: administrator.send("GET", USERS, prefix=PREFIX),
        "readiness": lambda: client.get("/readyz"),
    }
    session.execute(text(FULL_DISK))
    session.commit()
    seen = {name: write() for name, write in writes.items()}
    assert {name: answer.status_code for name, answer in seen.items()} == dict.fromkeys(seen, 503)
    assert {answer.headers["Retry-After"] for answer in seen.values()} == {"1"}
    read = {name: read().status_code for name, read in reads.items()}
    assert read == dict.fromkeys(read, 200)


@pytest.mark.sqlite
def test_a_file_that_cannot_grow_costs_503(client, session, runtime):
    administrator = root(client, session)

    @event.listens_for(runtime.engine, "checkout")
    def limit(connection, *_):
        connection.execute("PRAGMA max_page_count = 1").close()  # none beyond those it has

    for number in range(50):
        body = {"username": f"bob-{number}"}
        answer = administrator.send("POST", USERS, body, prefix=PREFIX)
        if answer.status_code != 201:
            break
    assert (answer.status_code, answer.headers.get("Retry-After")) == (503, "1")
    assert administrator.send("GET", USERS, prefix=PREFIX).status_code == 200
