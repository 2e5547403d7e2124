"""The clean-up: what is over goes, what still matters stays."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from idp import jobs
from idp.directory.clients.models import Client
from idp.directory.tenants.models import Tenant
from idp.directory.users.models import User
from idp.oauth.models import (
    AuthorizationCode,
    AuthorizationRequest,
    Consent,
    FormerRefreshToken,
    Grant,
    ReferenceToken,
    RefreshFamily,
    RevokedToken,
)
from idp.platform import clock as time_of
from idp.platform.audit import service as audit
from idp.platform.audit.models import AuditEvent
from idp.platform.audit.tags import FREQUENT, Tag
from idp.platform.db import Base
from idp.platform.jobs import cleanup
from idp.platform.jobs.cleanup import Expiry
from idp.platform.jobs.models import OutboxMessage
from idp.platform.onetime.models import OneTimeKey
from idp.platform.runtime import Runtime
from idp.platform.secrets import digest, random_token
from idp.platform.sessions.models import BrowserSession

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


class People:
    """A person, a tenant and a client that rows can hang on."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.user = User(username="cleaned", username_key="cleaned")
        self.tenant = Tenant(name="cleaned")
        self.client = Client(client_id="cleaned", client_name="cleaned")
        session.add_all([self.user, self.tenant, self.client])
        session.flush()

    def browser_session(self, **times: Any) -> BrowserSession:
        return self._add(
            BrowserSession(
                token_hash=digest(random_token()),
                sid=random_token(),
                user_id=self.user.id,
                issuer_tenant_id=self.tenant.id,
                security_stamp="x",
                auth_time=time_of.now(),
                acr="1",
                amr=["pwd"],
                **times,
            )
        )

    def grant(self, expires_at: datetime, **fields: Any) -> Grant:
        return self._add(
            Grant(
                user_id=self.user.id,
                client_id=self.client.id,
                tenant_id=self.tenant.id,
                issuer_tenant_id=self.tenant.id,
                sid="x",
                security_stamp="x",
                scopes=["openid"],
                resources=[],
                auth_time=time_of.now(),
                acr="1",
                amr=["pwd"],
                expires_at=expires_at,
                **fields,
            )
        )

    def code(self, grant: Grant, expires_at: datetime) -> AuthorizationCode:
        return self._add(
            AuthorizationCode(
                code_hash=digest(random_token()),
                grant_id=grant.id,
                redirect_uri="https://app.example/callback",
                expires_at=expires_at,
                used_at=time_of.now(),
            )
        )

    def refresh_family(self, grant: Grant, expires_at: datetime) -> RefreshFamily:
        return self._add(
            RefreshFamily(
                secret_hash=digest(random_token()),
                grant_id=grant.id,
                scopes=["openid"],
                expires_at=expires_at,
                absolute_expires_at=expires_at,
            )
        )

    def former_refresh_token(self, grant: Grant, expires_at: datetime) -> FormerRefreshToken:
        return self._add(
            FormerRefreshToken(
                token_hash=digest(random_token()),
                grant_id=grant.id,
                scopes=["openid"],
                expires_at=expires_at,
                absolute_expires_at=expires_at,
            )
        )

    def _add(self, row: Any) -> Any:
        self.session.add(row)
        self.session.flush()
        return row


@pytest.fixture
def people(session: Session) -> People:
    return People(session)


def clean(runtime: Runtime, session: Session) -> int:
    session.commit()
    return cleanup.run(runtime, threading.Event(), jobs.EXPIRIES)


def ids(session: Session, model: type[Base]) -> list[Any]:
    session.rollback()
    (key,) = model.__table__.primary_key.columns
    found = list(session.scalars(select(key).order_by(key)))
    session.rollback()
    return found


def test_requests_under_way_go_an_hour_after_their_time(
    runtime: Runtime, session: Session, people: People
) -> None:
    rows = [
        AuthorizationRequest(
            handle_hash=digest(random_token()),
            issuer_tenant_id=people.tenant.id,
            endpoint="authorize",
            parameters=[],
            expires_at=time_of.now() + later,
        )
        for later in (HOUR, -0.5 * HOUR, -1.5 * HOUR)
    ]
    session.add_all(rows)
    session.flush()
    kept = [row.id for row in rows[:2]]
    assert clean(runtime, session) == 1
    assert ids(session, AuthorizationRequest) == kept


def test_a_used_code_is_known_for_a_week_so_that_its_replay_is_noticed(
    runtime: Runtime, session: Session, people: People
) -> None:
    grant = people.grant(time_of.now() + 30 * DAY)
    kept = people.code(grant, time_of.now() - 6 * DAY).id
    people.code(grant, time_of.now() - 8 * DAY)
    assert clean(runtime, session) == 1
    assert ids(session, AuthorizationCode) == [kept]


def test_a_grant_takes_everything_along_that_hangs_on_it(
    runtime: Runtime, session: Session, people: People
) -> None:
    over = people.grant(time_of.now() - 2 * DAY)
    revoked = people.grant(time_of.now() + DAY, revoked_at=time_of.now() - 9 * DAY)
    for grant in (over, revoked):
        people.code(grant, time_of.now() - 2 * DAY)
        people.refresh_family(grant, time_of.now() - DAY)
        people.former_refresh_token(grant, time_of.now() + DAY)
    kept = revoked.id
    clean(runtime, session)
    # The revoked one stays known: tokens that hang on it must stay refused.
    assert ids(session, Grant) == [kept]
    assert len(ids(session, AuthorizationCode)) == 1
    assert ids(session, RefreshFamily) == [kept]
    assert len(ids(session, FormerRefreshToken)) == 1


def test_tokens_and_marks_go_when_they_mean_nothing_any_more(
    runtime: Runtime, session: Session, people: People
) -> None:
    grant = people.grant(time_of.now() + 30 * DAY)
    for later in (HOUR, -9 * DAY):
        at = time_of.now() + later
        people.former_refresh_token(grant, at)
        session.add(
            ReferenceToken(
                token_hash=digest(random_token()),
                grant_id=grant.id,
                client_id=people.client.id,
                claims={},
                expires_at=at,
            )
        )
        session.add(RevokedToken(jti=random_token(), expires_at=at))
        session.add(OneTimeKey(purpose="x", key_hash=digest(random_token()), expires_at=at))
    session.flush()
    assert clean(runtime, session) == 4
    for model in (FormerRefreshToken, ReferenceToken, RevokedToken, OneTimeKey):
        assert len(ids(session, model)) == 1, model


def test_a_consent_without_an_end_stays(runtime: Runtime, session: Session, people: People) -> None:
    other = Tenant(name="other")
    session.add(other)
    session.flush()
    for tenant, ends in ((people.tenant, None), (other, time_of.now() - HOUR)):
        session.add(
            Consent(
                user_id=people.user.id,
                client_id=people.client.id,
                tenant_id=tenant.id,
                scopes=["openid"],
                expires_at=ends,
            )
        )
    assert clean(runtime, session) == 1
    session.rollback()
    assert session.scalars(select(Consent.expires_at)).all() == [None]


def test_sessions_go_a_week_after_they_ended_and_grants_outlive_them(
    runtime: Runtime, session: Session, people: People
) -> None:
    now = time_of.now()
    kept = [
        people.browser_session(expires_at=now + DAY).id,
        people.browser_session(expires_at=now + DAY, ended_at=now - 6 * DAY).id,
    ]
    ended = people.browser_session(expires_at=now + 30 * DAY, ended_at=now - 8 * DAY)
    people.browser_session(expires_at=now - 8 * DAY)
    grant = people.grant(now + DAY, session_id=ended.id)
    assert clean(runtime, session) == 2
    assert ids(session, BrowserSession) == kept
    session.refresh(grant)
    assert grant.session_id is None


def test_delivered_messages_go_after_a_week_and_failed_ones_after_a_month(
    runtime: Runtime, session: Session
) -> None:
    now = time_of.now()
    times = [
        {},
        {"done_at": now - 6 * DAY},
        {"failed_at": now - 29 * DAY},
        {"done_at": now - 8 * DAY},
        {"failed_at": now - 31 * DAY},
    ]
    rows = [OutboxMessage(lane="notify", job="x", created_at=now - 40 * DAY, **t) for t in times]
    session.add_all(rows)
    session.flush()
    kept = [row.id for row in rows[:3]]
    assert clean(runtime, session) == 2
    assert ids(session, OutboxMessage) == kept


def test_it_works_in_batches_until_nothing_is_left(
    runtime: Runtime, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cleanup, "BATCH", 4)
    monkeypatch.setattr(cleanup, "PAUSE_SECONDS", 0)
    sizes = []
    remove = cleanup.remove_batch

    def counted(session: Session, expiry: Expiry, **options: Any) -> int:
        sizes.append(remove(session, expiry, **options))
        return sizes[-1]

    monkeypatch.setattr(cleanup, "remove_batch", counted)
    for _ in range(10):
        session.add(RevokedToken(jti=random_token(), expires_at=time_of.now() - DAY))
    session.commit()
    expiries = [Expiry(RevokedToken.expires_at, 0)]
    assert cleanup.run(runtime, threading.Event(), expiries) == 10
    assert sizes == [4, 4, 2]


def test_a_batch_takes_the_oldest_first(session: Session) -> None:
    for hours in (3, 1, 2):
        session.add(RevokedToken(jti=f"{hours}", expires_at=time_of.now() - hours * HOUR))
    session.flush()
    assert cleanup.remove_batch(session, Expiry(RevokedToken.expires_at, 0), limit=2) == 2
    assert session.scalars(select(RevokedToken.jti)).all() == ["1"]


def test_it_stops_when_it_is_told_to(runtime: Runtime, session: Session) -> None:
    session.add(RevokedToken(jti="x", expires_at=time_of.now() - DAY))
    session.commit()
    stop = threading.Event()
    stop.set()
    assert cleanup.run(runtime, stop, jobs.EXPIRIES) == 0
    assert ids(session, RevokedToken) == ["x"]


def test_events_of_codes_and_tokens_are_kept_for_a_time_of_their_own(
    runtime: Runtime, session: Session
) -> None:
    kept = {
        *((tag, days) for tag in (*FREQUENT, Tag.REFRESH_REUSED) for days in (10, 80)),
        *((tag, 300) for tag in (Tag.SIGN_IN, Tag.REFRESH_REUSED, Tag.CODE_REUSED)),
    }
    gone = {
        *((tag, days) for tag in FREQUENT for days in (95, 300)),
        *((tag, 405) for tag in (Tag.SIGN_IN, Tag.REFRESH_REUSED, *FREQUENT)),
    }
    now = time_of.now()
    for tag, days in kept | gone:
        session.add(AuditEvent(tag=tag.value, at=now - days * DAY, target=str(days)))
    session.commit()
    assert cleanup.forget_audit(runtime, threading.Event()) == len(gone)
    query = select(AuditEvent.tag, AuditEvent.target).where(AuditEvent.target.is_not(None))
    left = {(tag, int(days)) for tag, days in session.execute(query) if days.isdigit()}
    assert left == {(tag.value, days) for tag, days in kept}


def test_each_batch_of_events_begins_where_the_last_one_ended(
    runtime: Runtime, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Else each would pass all older events that are kept for longer.
    now, tag = time_of.now(), FREQUENT[0]
    times = [now - days * DAY for days in (300, 200, 200, 120, 95)]
    session.add_all(AuditEvent(tag=tag.value, at=time) for time in times)
    session.add_all(AuditEvent(tag=Tag.SIGN_IN.value, at=time) for time in times)
    session.commit()
    monkeypatch.setattr(cleanup, "BATCH", 2)
    begun = []

    def remove(*given: Any, **options: Any) -> Any:
        if options["tag"] is tag:
            begun.append(options["since"])
        return audit.remove_older_than(*given, **options)

    monkeypatch.setattr(cleanup, "audit", SimpleNamespace(remove_older_than=remove))
    assert cleanup.forget_audit(runtime, threading.Event()) == len(times)
    assert begun == [None, times[1], times[3]]


@pytest.mark.settings(audit_days=30)
def test_no_event_outlives_the_retention_of_all(runtime: Runtime, session: Session) -> None:
    session.add(AuditEvent(tag=Tag.TOKEN_REFRESHED.value, at=time_of.now() - 40 * DAY))
    session.commit()
    assert cleanup.forget_audit(runtime, threading.Event()) == 1


def test_two_workers_at_once_do_no_harm(runtime: Runtime, session: Session) -> None:
    for _ in range(300):
        session.add(RevokedToken(jti=random_token(), expires_at=time_of.now() - DAY))
        session.add(AuditEvent(tag="x:y:z", at=time_of.now() - 500 * DAY))
    session.commit()
    removed: list[int] = []
    errors: list[BaseException] = []
    start = threading.Barrier(3)

    def one() -> None:
        start.wait()
        try:
            removed.append(cleanup.run(runtime, threading.Event(), jobs.EXPIRIES))
            cleanup.forget_audit(runtime, threading.Event())
        except BaseException as error:  # noqa: BLE001 - told to the test's thread
            errors.append(error)

    threads = [threading.Thread(target=one) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert sum(removed) == 300
    left = select(func.count()).select_from(AuditEvent).where(AuditEvent.tag == "x:y:z")
    assert session.scalar(left) == 0


@pytest.mark.no_database
def test_every_expiry_is_found_by_an_index() -> None:
    missing = set()
    for expiry in jobs.EXPIRIES:
        table = expiry.column.class_.__table__
        first = {next(iter(index.columns)).name for index in table.indexes}
        if expiry.column.key not in first:
            missing.add(f"{table.name}.{expiry.column.key}")
    # Most sessions end long before they expire, and one index less is written at each sign-in.
    assert missing <= {"browser_session.ended_at"}


def test_old_signing_keys_are_replaced(runtime: Runtime, session: Session, clock: Any) -> None:
    from idp.platform.signing import service as signing

    signing.ensure(session)
    session.commit()
    before = {key.kid for key in signing.list_keys(session) if key.status == "active"}
    session.commit()
    jobs.rotate_keys(runtime, threading.Event())
    assert {key.kid for key in signing.list_keys(session) if key.status == "active"} == before
    session.commit()
    clock.shift(runtime.settings.key_rotation_days * DAY + DAY)
    jobs.rotate_keys(runtime, threading.Event())
    session.expire_all()
    after = {key.kid for key in signing.list_keys(session) if key.status == "active"}
    assert after
    assert not after & before
