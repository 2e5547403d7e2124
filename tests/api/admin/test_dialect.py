"""What all operations of our own API have in common: ETags, and requests that are done once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from sqlalchemy import func, select, update

from idp.directory.roles import catalogue
from idp.directory.roles.models import Privilege
from idp.platform import clock as time_of
from idp.platform.idempotency import service as idempotency
from idp.platform.idempotency.models import IdempotencyKey
from idp.platform.idempotency.service import Attempt
from tests import protocol
from tests.api import admin, center
from tests.api.center import Caller

ORDER = {"code": "orders.refund", "name": "Refund"}
KEY = {"Idempotency-Key": "k-1"}


@pytest.fixture
def root(client, session):
    return admin.root(client, session)


def create(caller, body=ORDER, headers=KEY):
    return admin.send(caller, "POST", "/privileges", body, headers=headers)


def count(session):
    session.rollback()
    query = select(func.count()).select_from(Privilege).where(Privilege.code.like("orders.%"))
    return session.scalar(query)


def refusal(answer):
    content = answer.get_json()
    return answer.status_code, content["code"], list(content.get("fields", {}))


def test_one_thing_has_an_etag_that_changes_with_it(root, session):
    ann = protocol.add_person(session)
    path = f"/tenants/1/users/{ann.id}"
    first = admin.send(root, "GET", path).headers["ETag"]
    assert admin.send(root, "GET", path).headers["ETag"] == first
    assert first.startswith('"')
    admin.data(root, "POST", f"{path}/disable")
    assert admin.send(root, "GET", path).headers["ETag"] != first
    assert "ETag" not in admin.send(root, "GET", "/tenants/1/users").headers


def test_a_repetition_has_the_answer_of_the_first_and_does_nothing(root, session):
    first, second = create(root), create(root)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.get_json() == second.get_json()
    for name in ("Location", "Content-Type", "Cache-Control"):
        assert first.headers[name] == second.headers[name]
    assert "Idempotent-Replayed" not in first.headers
    assert second.headers["Idempotent-Replayed"] == "true"
    assert count(session) == 1


def test_without_a_key_a_request_is_done_again(root):
    assert create(root, headers={}).status_code == 201
    assert refusal(create(root, headers={}))[:2] == (409, "conflict")


def test_another_request_under_the_key_is_refused(root, session):
    create(root)
    other = create(root, {**ORDER, "code": "orders.other"})
    assert refusal(other) == (422, "unprocessable", ["Idempotency-Key"])
    assert count(session) == 1


def test_a_key_belongs_to_its_caller_and_its_operation(client, root, session):
    other = center.administrator(client, session, "other", scopes=["ids4.ms.admin.all"])
    create(root)
    assert create(other, {**ORDER, "code": "orders.other"}).status_code == 201
    ann = protocol.add_person(session)
    answer = admin.send(root, "POST", f"/tenants/1/users/{ann.id}/disable", headers=KEY)
    assert answer.status_code == 200
    assert "Idempotent-Replayed" not in answer.headers


def test_the_same_key_for_another_row_is_another_request(root, session):
    ann, bob = protocol.add_person(session), protocol.add_person(session, "bob")
    admin.send(root, "POST", f"/tenants/1/users/{ann.id}/disable", headers=KEY)
    answer = admin.send(root, "POST", f"/tenants/1/users/{bob.id}/disable", headers=KEY)
    assert refusal(answer) == (422, "unprocessable", ["Idempotency-Key"])


def test_whoever_lost_the_right_gets_no_answer_again(root, client, session):
    create(root)
    weaker = Caller(client, root.user, center.token_for(session, root.user, ["ids4.ms.client.get"]))
    assert create(weaker).status_code == 403


def test_a_refused_request_may_be_sent_again(root, session):
    catalogue.create_privilege(session, ORDER["code"], "Taken")
    session.commit()
    assert create(root).status_code == 409
    session.delete(session.scalars(select(Privilege).where(Privilege.code == ORDER["code"])).one())
    session.commit()
    assert create(root).status_code == 201


def test_a_key_is_good_for_a_day(root, session, clock):
    create(root)
    clock.shift(24 * 3600 - 60)
    root = Caller(root.browser, root.user, center.token_for(session, root.user))
    assert create(root).headers["Idempotent-Replayed"] == "true"
    clock.shift(61)
    root = Caller(root.browser, root.user, center.token_for(session, root.user))
    assert create(root).status_code == 409  # done again, and refused by the rule


@pytest.mark.parametrize("key", ["", "a b", "é", "x" * 201, "a\tb"])
def test_what_is_no_key_is_refused(root, session, key):
    answer = create(root, headers={"Idempotency-Key": key})
    assert refusal(answer) == (400, "bad_request", ["Idempotency-Key"])
    assert count(session) == 0


def attempt(root):
    body = b'{"code": "orders.refund", "name": "Refund"}'
    return Attempt(
        f"{center.TOOL} {root.user.id}",
        "privileges-create",
        "k-1",
        b"\0".join((b"/admin/v1/privileges", b"", body)),
    )


def send_claimed(root):
    body = b'{"code": "orders.refund", "name": "Refund"}'
    return admin.send(root, "POST", "/privileges", body, headers=KEY)


def test_a_twin_that_comes_meanwhile_is_refused(root, session):
    assert isinstance(idempotency.claim(session, attempt(root)), int)
    session.commit()
    assert refusal(send_claimed(root)) == (409, "request_under_way", ["Idempotency-Key"])
    assert count(session) == 0


def test_what_a_stopped_server_left_is_done_when_its_lease_is_over(root, session):
    idempotency.claim(session, attempt(root))
    past = time_of.now() - timedelta(seconds=1)
    session.execute(update(IdempotencyKey).values(leased_until=past))
    session.commit()
    assert send_claimed(root).status_code == 201
    assert send_claimed(root).headers["Idempotent-Replayed"] == "true"


def test_what_was_done_without_an_answer_is_not_done_again(root, session):
    claimed = idempotency.claim(session, attempt(root))
    idempotency.mark_done(session, claimed)
    past = time_of.now() - timedelta(seconds=1)
    session.execute(update(IdempotencyKey).values(leased_until=past))
    session.commit()
    assert refusal(send_claimed(root)) == (409, "answer_lost", ["Idempotency-Key"])
    assert count(session) == 0


def test_a_claim_that_another_server_carried_out_meanwhile_is_left_to_it(
    root, session, monkeypatch
):
    claimed = idempotency.claim(session, attempt(root))
    idempotency.mark_done(session, claimed)
    session.commit()
    monkeypatch.setattr(idempotency, "claim", lambda *_: claimed)
    assert refusal(send_claimed(root))[:2] == (409, "request_under_way")
    assert count(session) == 0
    assert session.get(IdempotencyKey, claimed) is not None


def test_the_work_and_its_mark_are_there_together_or_not_at_all(root, session, monkeypatch):
    def fail(*_):
        message = "the server stops"
        raise KeyboardInterrupt(message)

    monkeypatch.setattr(idempotency, "keep", fail)
    with pytest.raises(KeyboardInterrupt):
        create(root)
    monkeypatch.undo()
    assert count(session) == 1
    assert refusal(create(root))[:2] == (409, "answer_lost")


def test_an_answer_is_not_readable_in_the_database(root, session):
    create(root)
    session.rollback()
    (row,) = session.scalars(select(IdempotencyKey))
    assert "Refund" not in (row.answer_encrypted or "")
    assert b"k-1" not in row.key_hash


def test_an_answer_under_a_secret_that_is_gone_is_lost(root, session):
    create(root)
    session.rollback()
    (row,) = session.scalars(select(IdempotencyKey))
    row.answer_encrypted = "00000000" + (row.answer_encrypted or "")[8:]
    session.commit()
    assert refusal(create(root))[:2] == (409, "answer_lost")


def test_of_many_at_once_one_is_carried_out(new_client, root, session):
    callers = [Caller(new_client(), root.user, root.token) for _ in range(4)]
    barrier = Barrier(4)

    def call(caller):
        barrier.wait()
        return create(caller)

    with ThreadPoolExecutor(4) as pool:
        answers = [*pool.map(call, callers)]
    assert count(session) == 1
    created = [answer for answer in answers if answer.status_code == 201]
    assert len({answer.get_data() for answer in created}) == 1
    assert {answer.status_code for answer in answers} <= {201, 409}
    for answer in answers:
        if answer.status_code == 409:
            assert answer.get_json()["code"] in {"request_under_way", "answer_lost"}
