"""How a transaction ends that was not committed."""

from __future__ import annotations

from sqlalchemy import event, select, text

from idp.oauth.models import RevokedToken
from idp.platform import clock, db


def endings(runtime):
    seen = []
    event.listen(runtime.engine, "commit", lambda _connection: seen.append("commit"))
    event.listen(runtime.engine, "rollback", lambda _connection: seen.append("rollback"))
    return seen


def revoked(session, jti="x"):
    return RevokedToken(jti=jti, expires_at=clock.now())


def test_what_only_read_is_committed_so_that_statements_stay_prepared(runtime):
    seen = endings(runtime)
    with runtime.sessions() as session:
        session.scalars(select(RevokedToken)).all()
        db.end(session)
        assert not session.in_transaction()
    assert seen == ["commit"]


def test_what_wrote_and_never_committed_is_rolled_back(runtime):
    seen = endings(runtime)
    for write in (
        lambda session: session.add(revoked(session)) or session.flush(),
        lambda session: session.execute(text("DELETE FROM revoked_token")),
    ):
        with runtime.sessions() as session:
            write(session)
            session.scalars(select(RevokedToken)).all()
            db.end(session)
    assert seen == ["rollback", "rollback"]
    with runtime.sessions() as session:
        assert session.scalars(select(RevokedToken)).all() == []


def test_what_was_added_and_never_flushed_is_not_written(runtime):
    with runtime.sessions() as session:
        session.scalars(select(RevokedToken)).all()
        session.add(revoked(session))
        db.end(session)
    with runtime.sessions() as session:
        assert session.scalars(select(RevokedToken)).all() == []


def test_a_connection_starts_anew_for_its_next_user(runtime):
    with runtime.sessions() as session:
        session.execute(text("DELETE FROM revoked_token"))
        session.commit()
    seen = endings(runtime)
    with runtime.sessions() as session:
        session.scalars(select(RevokedToken)).all()
        db.end(session)
    assert seen == ["commit"]


def test_a_transaction_that_failed_is_ended_too(runtime):
    with runtime.sessions() as session:
        session.add(revoked(session))
        session.commit()
        session.add(revoked(session))
        try:
            session.flush()
        except Exception:  # noqa: BLE001
            db.end(session)
        assert not session.in_transaction()
