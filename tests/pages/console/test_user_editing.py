"""The profile of a user in the console: what may be changed, by whom, and who was first."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from idp.directory.tenants import service as tenants
from idp.directory.users.models import User
from idp.platform.audit.tags import Tag
from tests.api.center import statements
from tests.pages.browsing import HTML, csrf_token, events, readable
from tests.protocol import add_person, add_role, add_tenant, sign_in

NAMES = ("username", "email", "mobile")
CLAIMS = ("name", "given_name", "middle_name", "family_name", "nickname", "locale", "zoneinfo")


@pytest.fixture
def owner(client, session):
    """Sign in the owner of a tenant, who holds everything there; return its id."""
    acme = add_tenant(session)
    user = add_person(session, "boss", tenant_ids=())
    tenants.add_member(session, acme, user.id, is_admin=True)
    add_role(session, user, "boss", ["ids4.ms.all"], tenant_id=acme)
    sign_in(client, session, user)
    return acme


@pytest.fixture
def ann(session, owner):
    return add_person(
        session,
        "ann",
        tenant_ids=(owner,),
        email="ann@acme.example",
        email_verified=True,
        mobile="+8613800138000",
        mobile_verified=True,
        nick_name="Ann",
        remark="kept",
    )


@pytest.fixture
def send(client):
    """Send the form of a user with what is stored, except for some fields."""

    def post(tenant_id, user, **changed):
        token = csrf_token(client.get("/login?prompt=login"))
        form = {"csrf_token": token, "stamp": user.concurrency_stamp, "nickname": user.nick_name}
        form |= {name: getattr(user, name) or "" for name in NAMES} | changed
        sent = {name: text for name, text in form.items() if text is not None}
        return client.post(address(tenant_id, user.id), data=sent, headers=HTML)

    return post


def address(tenant_id, user_id) -> str:
    place = "platform" if tenant_id is None else f"t/{tenant_id}"
    return f"/console/{place}/users/{user_id}/edit"


def fresh(session, user_id) -> User:
    session.rollback()
    return session.get_one(User, user_id, populate_existing=True)


def test_a_profile_is_changed(client, session, owner, ann, send):
    assert 'value="Ann"' in readable(client.get(address(owner, ann.id)))
    answer = send(
        owner, ann, name="Ann Lee", family_name="Lee", locale="zh-Hans", zoneinfo="Asia/Shanghai"
    )
    assert answer.location == f"/console/t/{owner}/users/{ann.id}?notice=changed"
    assert "Ann Lee" in readable(client.get(answer.location))
    ann = fresh(session, ann.id)
    assert (ann.display_name, ann.family_name, ann.locale) == ("Ann Lee", "Lee", "zh-Hans")
    assert (ann.zoneinfo, ann.nick_name, ann.remark) == ("Asia/Shanghai", "Ann", "kept")
    assert ann.email_verified
    assert ann.mobile_verified
    (event,) = events(session, Tag.USER_CHANGED)
    changed = {one["field"] for one in event.details["changes"]}
    assert changed == {"display_name", "family_name", "locale", "zoneinfo"}
    assert (event.tenant_id, event.target) == (owner, f"user:{ann.id}")


def test_a_form_without_a_difference_records_nothing(session, owner, ann, send):
    assert send(owner, ann).status_code == 303
    assert send(owner, ann, mobile="13800138000").status_code == 303
    assert events(session, Tag.USER_CHANGED) == []
    ann = fresh(session, ann.id)
    assert (ann.mobile, ann.mobile_verified) == ("+8613800138000", True)


def test_a_new_address_counts_as_not_verified(session, owner, ann, send):
    answer = send(owner, ann, email="ann.lee@acme.example", mobile="139 0013 9000")
    assert answer.status_code == 303
    ann = fresh(session, ann.id)
    assert (ann.email, ann.email_verified) == ("ann.lee@acme.example", False)
    assert (ann.mobile, ann.mobile_verified) == ("+8613900139000", False)
    assert send(owner, ann, email="", mobile="").status_code == 303
    ann = fresh(session, ann.id)
    assert (ann.email, ann.email_key, ann.mobile) == (None, None, None)


def test_a_user_name_that_is_the_address_follows_it(session, owner, send):
    bob = add_person(session, "bob@acme.example", tenant_ids=(owner,), email="bob@acme.example")
    assert send(owner, bob, email="rob@acme.example").status_code == 303
    bob = fresh(session, bob.id)
    assert (bob.username, bob.username_key) == ("rob@acme.example", "rob@acme.example")


@pytest.mark.parametrize(
    ("field", "text", "status"),
    [
        ("username", "taken", 409),
        ("username", "a/b", 400),
        ("username", "12345", 400),
        ("email", "no address", 400),
        ("email", "taken@acme.example", 409),
        ("mobile", "12", 400),
        ("locale", "x" * 30, 400),
        ("zoneinfo", "Mars/Base", 400),
        *((field, "a\u202eb", 400) for field in (*NAMES, *CLAIMS)),
        *((field, "x" * 10_000, 400) for field in (*NAMES, *CLAIMS)),
    ],
)
def test_a_wrong_value_is_named_beside_its_field(session, owner, ann, send, field, text, status):
    add_person(session, "taken", tenant_ids=(owner,), email="taken@acme.example")
    answer = send(owner, ann, **{field: text})
    assert answer.status_code == status
    assert f'id="{field}-error"' in answer.get_data(as_text=True)
    assert events(session, Tag.USER_CHANGED) == []


def test_markup_is_only_text(client, session, owner, ann, send):
    assert send(owner, ann, name="<b>Ann</b>", nickname='"><i>x').status_code == 303
    for path in (address(owner, ann.id), f"/console/t/{owner}/users/{ann.id}"):
        page = client.get(path).get_data(as_text=True)
        assert "&lt;b&gt;Ann" in page
        assert "<b>Ann" not in page
        assert '"><i>' not in page


def test_two_who_change_it_do_not_overwrite_each_other(client, session, owner, ann, send):
    stamp, ann_id = ann.concurrency_stamp, ann.id
    assert send(owner, ann, name="First").status_code == 303
    answer = send(owner, fresh(session, ann_id), name="Second", stamp=stamp)
    assert answer.status_code == 409
    page = readable(answer)
    for text in ("changed by someone else", "Changed by boss", "First", "Second", "data-dirty"):
        assert text in page
    assert fresh(session, ann_id).display_name == "First"
    held = fresh(session, ann_id)
    assert f'value="{held.concurrency_stamp}"' in page
    assert send(owner, held, name="Second").status_code == 303
    assert fresh(session, ann_id).display_name == "Second"


def test_the_identity_of_people_who_belong_elsewhere_too_stays(client, session, owner, ann, send):
    other = add_tenant(session, "Other")
    both = add_person(session, "both", tenant_ids=(owner, other), email="both@acme.example")
    page = readable(client.get(address(owner, both.id)))
    assert "managed at the platform" in page
    assert 'name="email"' not in page
    for field, text in {
        "username": "mine",
        "email": "x@y.example",
        "mobile": "13800138001",
    }.items():
        assert send(owner, both, **{field: text}).status_code == 404
    without = dict.fromkeys(NAMES)
    assert send(owner, both, nickname="Bo", **without).status_code == 303
    both = fresh(session, both.id)
    assert (both.nick_name, both.username, both.email) == ("Bo", "both", "both@acme.example")


def test_people_out_of_reach_do_not_exist(client, session, owner, send):
    eve = add_person(session, "eve", tenant_ids=(add_tenant(session, "Other"),))
    gone = add_person(session, "gone", tenant_ids=(owner,), deleted_at=eve.created_at)
    for user in (eve, gone):
        assert client.get(address(owner, user.id)).status_code == 404
        assert send(owner, user, nickname="X").status_code == 404
        assert client.get(address(None, user.id)).status_code == 404


def test_who_owns_no_tenant_changes_those_below_alone(client, session, owner, ann, send):
    clerk = add_person(session, "clerk", tenant_ids=(owner,))
    codes = ["ids4.ms.user.put", "ids4.ms.admin.users.read"]
    add_role(session, clerk, "clerk", codes, tenant_id=owner)
    below = add_person(
        session, "below", tenant_ids=(owner,), parent_user_id=clerk.id, lineage=f"/{clerk.id}/"
    )
    sign_in(client, session, clerk)
    assert "/edit" not in readable(client.get(f"/console/t/{owner}/users/{ann.id}"))
    assert send(owner, ann, nickname="X").status_code == 404
    assert send(owner, below, nickname="X").status_code == 303
    below = fresh(session, below.id)
    assert (below.nick_name, below.parent_user_id) == ("X", clerk.id)


def test_a_reader_is_told_which_permission_is_missing(client, session, owner, ann, send):
    reader = add_person(session, "reader", tenant_ids=(owner,))
    add_role(session, reader, "reader", ["ids4.ms.admin.users.read"], tenant_id=owner)
    sign_in(client, session, reader)
    assert "ids4.ms.user.put" in readable(client.get(f"/console/t/{owner}/users/{ann.id}"))
    assert send(owner, ann, nickname="X").status_code == 403
    assert fresh(session, ann.id).nick_name == "Ann"


def test_a_user_who_is_deleted_meanwhile_is_not_found(client, session, root, send):
    ann = add_person(session, "ann")
    assert client.get(address(None, ann.id)).status_code == 200
    ann.deleted_at = ann.created_at
    session.commit()
    assert send(None, ann, nickname="X").status_code == 404


def test_the_platform_changes_everyone(session, root, send):
    both_ids = (add_tenant(session), add_tenant(session, "Other"))
    both = add_person(session, "both", tenant_ids=both_ids)
    assert send(None, both, username="two", email="two@acme.example").status_code == 303
    both = fresh(session, both.id)
    assert (both.username, both.email_verified) == ("two", False)
    taken = session.scalar(select(User).where(User.username_key == "root"))
    assert send(None, both, username=taken.username).status_code == 409


def test_the_number_of_queries_does_not_grow(client, session, owner, ann, runtime):
    counts = []
    for many in (1, 6):
        for number in range(many):
            tenant = add_tenant(session, f"T{many}-{number}")
            add_role(session, ann, f"r{many}{number}", ["ids4.ms.client.get"], tenant_id=owner)
            add_person(session, f"p{many}{number}", tenant_ids=(tenant, owner))
        session.commit()
        with statements(runtime.engine) as made:
            assert client.get(address(owner, ann.id)).status_code == 200
        counts.append(len(made))
    assert counts[0] == counts[1]
    assert counts[0] < 45
