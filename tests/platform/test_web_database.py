"""What a request meets when the database goes away under it."""

from __future__ import annotations

import psycopg
import pytest


@pytest.mark.postgresql
def test_a_lost_connection_is_one_clear_503_and_then_all_is_well(client, settings):
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
    assert [answer.status_code for answer in answers] == [503, 401, 401]
    assert answers[0].get_json()["error"] == "temporarily_unavailable"
    assert answers[0].headers["Retry-After"] == "1"
