"""The audit trail: what is written, what never is, and that nothing changes it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from idp.platform import clock as time_of
from idp.platform.audit import service as audit
from idp.platform.audit.difference import Rows
from idp.platform.audit.models import AuditEvent, AuditRetention
from idp.platform.audit.service import Filters
from idp.platform.audit.tags import Tag
from idp.platform.runtime import RequestContext, Runtime


def newest(session: Session) -> AuditEvent:
    return audit.search(session, limit=1)[0]


def count(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(AuditEvent)) or 0


def test_an_event_says_who_did_what_to_whom_from_where(runtime: Runtime, session: Session) -> None:
    session.info["context"] = RequestContext(request_id="r-1", remote_addr="192.0.2.7")
    audit.record(
        session,
        Tag.CONSENT_GIVEN,
        user_id=7,
        client_id="web",
        tenant_id=3,
        target="client:web",
        details={"scopes": ["openid", "email"], "remember": True},
    )
    session.commit()
    event = newest(session)
    assert event.tag == "user:consent:given"
    assert (event.user_id, event.client_id, event.tenant_id) == (7, "web", 3)
    assert (event.target, event.remote_addr, event.request_id) == ("client:web", "192.0.2.7", "r-1")
    assert event.details == {"scopes": ["openid", "email"], "remember": True}


def test_a_change_has_one_shape_and_no_private_value(session: Session) -> None:
    before = {
        "name": "Shop",
        "password": "hash1",
        "rows": Rows({1: "a", 2: "b"}),
        "kept": Rows({1: ("k", "v")}),
    }
    after = {**before, "name": "Store", "password": "hash2", "rows": Rows({2: "b", 3: ("c", 4)})}
    after["kept"] = Rows({1: ("k", "w"), 2: ("l", "x")})
    private = ("password", "kept")
    audit.record_change(session, Tag.USER_CHANGED, "user:7", before, after, private=private)
    assert (newest(session).target, newest(session).details) == (
        "user:7",
        {
            "changes": [
                {"field": "name", "before": "Shop", "after": "Store"},
                {"field": "password"},
                {"field": "rows", "removed": ["a"], "added": ["c=4"]},
                {"field": "kept", "removed": ["k"], "added": ["k", "l"]},
            ]
        },
    )


def test_what_is_new_has_no_before_and_what_is_deleted_no_after(session: Session) -> None:
    state = {"name": "Shop", "rows": Rows({1: "a"}), "none": Rows()}
    audit.record_change(session, Tag.TENANT_CREATED, "tenant:7", {}, state)
    assert newest(session).details == {
        "changes": [
            {"field": "name", "before": None, "after": "Shop"},
            {"field": "rows", "removed": [], "added": ["a"]},
        ]
    }
    audit.record_change(session, Tag.TENANT_DELETED, "tenant:7", state, {})
    (name, rows) = (newest(session).details or {})["changes"]
    assert name == {"field": "name", "before": "Shop", "after": None}
    assert rows == {"field": "rows", "removed": ["a"], "added": []}


def test_an_event_goes_with_the_transaction_that_caused_it(session: Session) -> None:
    before = count(session)
    audit.record(session, Tag.SIGN_IN, user_id=7)
    session.rollback()
    assert count(session) == before


@pytest.mark.no_database
def test_a_tag_has_three_parts_and_is_named_once() -> None:
    assert len({tag.value for tag in Tag}) == len(Tag.__members__)
    for tag in Tag:
        assert len(tag.value.split(":")) == 3
        assert all(part and part == part.lower() for part in tag.value.split(":"))


@pytest.mark.parametrize(
    "key",
    [
        *("password", "new_password", "newPassword", "PASSWORD", "client_secret", "secrets"),
        *("code", "codes", "refresh_token", "id_token_hint", "client_assertion", "code_verifier"),
        *("passwordHash", "Authorization", "cookie", "securityStamp", "session_handle", "pin"),
    ],
)
@pytest.mark.no_database
def test_a_key_names_a_secret_in_any_spelling(key: str) -> None:
    assert audit.names_secret(key)


@pytest.mark.parametrize(
    "key",
    [
        *("reason", "token_type", "token_count", "secret_id", "code_challenge_method", "scopes"),
        *("password_changed", "client_id", "secret_expires_at", "kid", "alg", "status"),
    ],
)
@pytest.mark.no_database
def test_a_key_about_a_secret_names_none(key: str) -> None:
    assert not audit.names_secret(key)


def test_a_detail_that_names_a_secret_is_a_mistake(session: Session) -> None:
    before = count(session)
    for details in ({"password": "x"}, {"outer": {"token": "x"}}, {"outer": [{"code": "x"}]}):
        with pytest.raises(audit.SecretInAuditError):
            audit.record(session, Tag.SIGN_IN, details=details)
    session.commit()
    assert count(session) == before


def test_production_masks_what_names_a_secret(runtime: Runtime, session: Session) -> None:
    runtime.settings = runtime.settings.model_copy(update={"environment": "production"})
    audit.record(session, Tag.SIGN_IN, details={"password": "hunter2", "why": "x"})
    session.commit()
    assert newest(session).details == {"password": "***", "why": "x"}


def test_a_jwt_is_masked_under_any_name(session: Session) -> None:
    audit.record(session, Tag.SIGN_IN, details={"given": "eyJhbGciOiJSUzI1NiJ9.e30.c2ln"})
    session.commit()
    assert newest(session).details == {"given": "***"}


def test_hostile_text_is_cut_and_cleaned(session: Session) -> None:
    hostile = "a\x00b\r\nc\ud800" + "x" * 5000
    session.info["context"] = RequestContext(request_id="i" * 500, remote_addr="f" * 500)
    audit.record(
        session, Tag.CLIENT_REFUSED, client_id=hostile, target=hostile, details={"why": hostile}
    )
    session.commit()
    session.expire_all()
    event = newest(session)
    assert event.client_id is not None
    assert event.client_id.startswith("a�b��c�xxx")
    assert len(event.client_id) == 200
    assert len(event.target or "") == 300
    assert len((event.details or {})["why"]) == 500
    assert len(event.request_id or "") == 64


def test_the_search_filters_by_every_field(session: Session) -> None:
    start = time_of.now()
    session.info["context"] = RequestContext(request_id="r-7")
    audit.record(session, Tag.SIGN_IN, user_id=901, client_id="a", tenant_id=11, target="user:7")
    session.info["context"] = RequestContext(request_id="r-8")
    audit.record(session, Tag.SIGN_OUT, user_id=901, client_id="b", tenant_id=12)
    audit.record(session, Tag.SIGN_IN, user_id=902, client_id="b", tenant_id=11)
    session.commit()

    def found(limit: int = 100, **filters: object) -> list[tuple[str, int | None]]:
        searched = Filters(since=start, **filters)  # type: ignore[arg-type]
        events = audit.search(session, searched, limit=limit)
        return [(event.tag, event.user_id) for event in events]

    one, two, three = (Tag.SIGN_IN, 901), (Tag.SIGN_OUT, 901), (Tag.SIGN_IN, 902)
    assert found() == [three, two, one]
    assert found(tag=Tag.SIGN_IN) == [three, one]
    assert found(user_id=901) == [two, one]
    assert found(client_id="b") == [three, two]
    assert found(tenant_id=11) == [three, one]
    assert found(tenant_id=11, user_id=901, tag="user:session:started") == [one]
    assert found(target="user:7") == found(request_id="r-7") == [one]
    assert found(request_id="r-8") == [three, two]
    assert found(limit=2) == [three, two]
    assert found(limit=0) == [three]
    assert found(until=start) == []


def test_pages_of_the_search_follow_each_other_even_when_clocks_differ(session: Session) -> None:
    start = time_of.now()
    # Two nodes, one of them two seconds late: ids and times are in different order.
    for index, seconds in enumerate([5, 3, 3, 6, 4, 3]):
        event = AuditEvent(tag="x:y:z", at=start + timedelta(seconds=seconds), user_id=index)
        session.add(event)
        session.flush()
    session.commit()
    seen: list[int | None] = []
    before = None
    while page := audit.search(session, Filters(tag="x:y:z"), limit=2, before=before):
        seen += [event.user_id for event in page]
        before = audit.position(page[-1])
        assert audit.position_of(session, page[-1].id) == before
    assert seen == [3, 0, 4, 5, 2, 1]


def test_what_concerns_a_person_is_what_they_did_and_what_was_done_to_them(
    session: Session,
) -> None:
    start = time_of.now()
    for seconds, (user_id, target) in enumerate(
        [(901, None), (902, "user:901"), (901, "user:901"), (902, "user:9010"), (901, "user:902")]
    ):
        at = start + timedelta(seconds=seconds)
        session.add(AuditEvent(tag="x:y:z", at=at, user_id=user_id, target=target))
    session.commit()
    found = audit.about_person(session, 901)
    assert [(event.user_id, event.target) for event in found] == [
        (901, "user:902"),
        (901, "user:901"),
        (902, "user:901"),
        (901, None),
    ]
    first = audit.about_person(session, 901, limit=2)
    rest = audit.about_person(session, 901, limit=2, before=audit.position(first[-1]))
    assert [*first, *rest] == found


def test_the_last_of_a_number_of_events_is_known_where_more_follow(session: Session) -> None:
    for seconds in range(3):
        at = time_of.now() + timedelta(seconds=seconds)
        session.add(AuditEvent(tag="x:y:z", at=at))
    session.commit()
    searched = Filters(tag="x:y:z")
    events = audit.search(session, searched)
    assert audit.position_after(session, searched, 2, None) == audit.position(events[1])
    assert audit.position_after(session, searched, 3, None) is None
    assert audit.position_after(session, searched, 2, audit.position(events[1])) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda: update(AuditEvent).values(tag="nothing:to:see"),
        lambda: delete(AuditEvent),
        pytest.param(
            lambda: insert(AuditEvent).prefix_with("OR REPLACE").values(id=1, tag="nothing:to:see"),
            marks=pytest.mark.sqlite,
        ),
        pytest.param(lambda: text("TRUNCATE audit_event"), marks=pytest.mark.postgresql),
    ],
    ids=["update", "delete", "replace", "truncate"],
)
def test_nobody_changes_the_audit_log(session: Session, change: Callable[[], object]) -> None:
    first = (
        AuditEvent(id=1, tag="system:setup:done") if session.get(AuditEvent, 1) is None else None
    )
    if first is not None:
        session.add(first)
    session.commit()
    before = count(session)
    with pytest.raises(IntegrityError, match="append-only"):
        session.execute(change())  # type: ignore[call-overload]
    session.rollback()
    assert count(session) == before
    assert not session.scalars(select(AuditEvent).where(AuditEvent.tag == "nothing:to:see")).all()


def test_retention_removes_batches_of_what_is_old_enough(session: Session) -> None:
    kept = count(session)
    for days in (401, 402, 403, 399):
        session.add(AuditEvent(tag="x:y:z", at=time_of.now() - timedelta(days=days)))
    session.commit()
    assert len(audit.remove_older_than(session, 400, limit=2)) == 2
    session.commit()
    assert len(audit.remove_older_than(session, 400, limit=2)) == 1
    session.commit()
    assert len(audit.remove_older_than(session, 400, limit=2)) == 0
    session.commit()
    assert count(session) == kept + 1


def test_the_guard_is_shut_again_within_the_transaction(session: Session) -> None:
    session.add(AuditEvent(tag="x:y:z"))
    audit.remove_older_than(session, 400)
    assert session.scalar(select(func.count()).select_from(AuditRetention)) == 0
    with pytest.raises(IntegrityError, match="append-only"):
        session.execute(delete(AuditEvent))
