"""Messages in the console: listed without content, tried again, and a test to oneself."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select

from idp.platform import clock
from idp.platform.audit.models import AuditEvent
from idp.platform.jobs import service as jobs
from idp.platform.jobs.models import OutboxMessage
from idp.platform.notify import service as notify
from idp.platform.translation import filled
from tests.api.center import statements
from tests.pages.browsing import HTML, readable, send

PATH = "/console/platform/messages"
HOSTILE = '<script>alert(1)</script>\u202e"'


def leave(session, *, failed=False, job="notify.mail", error=None):
    row_id = jobs.enqueue(session, job, {"to": "ann@example.com"})
    row = session.get_one(OutboxMessage, row_id)
    if failed:
        row.failed_at, row.attempts, row.last_error = clock.now(), 12, error or "It was refused."
    session.commit()
    return row_id


def post(client, path):
    return send(client, client.get("/login?prompt=login"), f"{PATH}/{path}", {})


def test_messages_are_listed_without_their_content(client, session, root):
    leave(session)
    leave(session, failed=True, error=HOSTILE[:500])
    answer = client.get(PATH)
    page = answer.get_data(as_text=True)
    assert "ann@example.com" not in page
    assert "<script>alert" not in page
    assert "2 messages" in page
    failed = readable(client.get(f"{PATH}?state=failed"))
    assert "1 message" in failed
    assert "alert(1)" in failed
    assert "alert(1)" not in readable(client.get(f"{PATH}?state=waiting"))
    assert "Nothing matches" in readable(client.get(f"{PATH}?lane=build"))


@pytest.mark.parametrize("query", ["state=x", "lane=x", "sort=payload_encrypted", "after=x"])
def test_what_the_list_does_not_know_is_refused(client, session, root, query):
    leave(session)
    assert client.get(f"{PATH}?{query}", headers=HTML).status_code == 400


def test_a_failed_message_is_tried_again_once(client, session, root):
    failed, other = leave(session, failed=True), leave(session, failed=True)
    for _ in range(2):  # the form is sent twice
        assert post(client, f"{failed}/retry").location == PATH
    session.rollback()
    assert session.get_one(OutboxMessage, failed).failed_at is None
    assert session.get_one(OutboxMessage, other).failed_at is not None
    noted = session.scalars(select(AuditEvent).where(AuditEvent.tag == "system:outbox:retried"))
    assert [event.user_id for event in noted] == [root.id]


def test_a_message_that_is_gone_meanwhile_is_not_found(client, session, root):
    row_id = leave(session, failed=True)
    session.get_one(OutboxMessage, row_id).done_at = clock.now()
    session.commit()
    assert post(client, f"{row_id}/retry").status_code == 404
    assert post(client, "999999999999999999999/retry").status_code == 404


def test_a_failed_message_is_dropped_and_erased(client, session, root):
    failed, job = leave(session, failed=True), jobs.enqueue(session, "sdk", {}, lane="build")
    session.get_one(OutboxMessage, job).failed_at = clock.now()
    session.commit()
    page = readable(client.get(PATH))
    assert f"{failed}/drop" in page
    assert f"{job}/drop" not in page
    assert post(client, f"{failed}/drop").location == PATH
    assert post(client, f"{failed}/drop").status_code == 404
    assert post(client, f"{job}/drop").status_code == 422
    session.rollback()
    assert session.get_one(OutboxMessage, failed).payload_encrypted is None
    assert jobs.count_open(session) == (0, 1)


def test_everything_that_failed_is_tried_again_at_once(client, session, root):
    for _ in range(3):
        leave(session, failed=True)
    assert "Retry 3 failed messages" in readable(client.get(PATH))
    assert post(client, "retry").location == PATH
    assert jobs.count_open(session) == (3, 0)
    assert "Retry 3" not in readable(client.get(PATH))


def test_a_test_goes_to_the_person_who_asks_for_it(client, session, root, outbox):
    answer = post(client, "test")
    assert answer.location == f"{PATH}?sent="
    page = readable(client.get(answer.location))
    assert "A test message is on its way to root@example.com." in page
    (mail,) = outbox()
    assert mail.to == "root@example.com"
    assert "Test message" in mail.subject


def test_tests_have_a_limit(client, session, root):
    for _ in range(notify.TESTS_PER_HOUR):
        assert post(client, "test").status_code == 303
    assert post(client, "test").status_code == 429
    total = session.scalar(select(func.count()).select_from(OutboxMessage))
    assert total == notify.TESTS_PER_HOUR


def test_somebody_without_an_address_sends_no_test(client, session, root):
    root.email = None
    session.commit()
    assert "Send a test" not in readable(client.get(PATH))
    assert post(client, "test").status_code == 422
    assert jobs.count_open(session) == (0, 0)


def test_readers_change_nothing(client, session, reader):
    row_id = leave(session, failed=True)
    page = readable(client.get(PATH))
    assert "ids4.ms.admin.messages.write" in page
    assert "/retry" not in page
    assert "/drop" not in page
    for path in (f"{row_id}/retry", f"{row_id}/drop", "retry", "test"):
        assert post(client, path).status_code == 403
    assert jobs.count_open(session) == (0, 1)


def test_the_number_of_statements_does_not_grow(client, session, root, runtime):
    leave(session)
    client.get(PATH)
    with statements(runtime.engine) as few:
        client.get(PATH)
    for _ in range(24):
        leave(session, failed=True)
    with statements(runtime.engine) as many:
        assert client.get(PATH).status_code == 200
    assert len(many) == len(few) < 30


def test_reasons_with_values_are_in_the_language_of_the_page(client, session, root):
    before = leave(session, failed=True, error="The mail server refuses the mail with code 451.")
    template = "The mail server refuses the mail with code %(code)s."
    for error in (filled(template, code=554), filled("%(what)s is of another release.", what="It")):
        leave(session)
        taken = jobs.take(session, "notify", "worker")
        assert taken is not None
        jobs.give_up(session, taken, error)
        session.commit()
    found = [session.get_one(OutboxMessage, before + number) for number in range(3)]
    assert [row.last_error for row in found][1:] == [
        template % {"code": 554},
        "It is of another release.",
    ]
    assert found[1].reason_parts == {"template": template, "values": {"code": 554}}
    page = readable(client.get(PATH, headers={"Accept-Language": "zh-CN"}))
    assert "邮件服务器拒收该邮件" in page
    # What was stored before, and what this release has no translation for, stays readable.
    assert "The mail server refuses the mail with code 451." in page
    assert "It is of another release." in page
    assert "with code 554" in readable(client.get(PATH))
