"""Requests to PostgreSQL that closes connections, refuses to write or does not answer."""

from __future__ import annotations

import psycopg
import pytest


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
