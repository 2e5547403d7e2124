"""The second factors of a user in the console."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import select

from idp.directory.factors import passkeys
from idp.directory.factors.models import EnrolmentCode, Totp
from idp.directory.policies.models import Policy
from idp.directory.users.models import User
from idp.platform import clock as times
from tests.api.center import statements
from tests.pages.browsing import readable
from tests.pages.console.test_users import post, tags
from tests.protocol import add_authenticator, add_passkey, add_person, add_role, add_tenant, sign_in

CODE = re.compile(r"<code>([0-9A-Z]{5}-[0-9A-Z]{5})</code>")


@pytest.fixture
def ann(session, boss):
    return add_person(session, "ann", tenant_ids=(boss,), email="ann@acme.example")


def page_of(user, tenant_id):
    return f"/console/t/{tenant_id}/users/{user.id}/factors"


def apps(session, user):
    session.rollback()
    return list(session.scalars(select(Totp.id).where(Totp.user_id == user.id).order_by(Totp.id)))


def test_factors_are_shown_and_one_of_several_is_removed(client, session, boss, ann):
    add_authenticator(session, ann, "Old phone")
    only = readable(client.get(page_of(ann, boss)))
    assert "Old phone" in only
    assert "/remove" not in only
    add_authenticator(session, ann, "New phone")
    assert "Remove: Old phone" in readable(client.get(page_of(ann, boss)))
    first, second = apps(session, ann)
    answer = post(client, f"{page_of(ann, boss)}/{first}/remove")
    assert answer.location.endswith("?notice=factor")
    assert apps(session, ann) == [second]
    # Sent twice, and for the last one.
    assert post(client, f"{page_of(ann, boss)}/{first}/remove").status_code == 404
    assert post(client, f"{page_of(ann, boss)}/{second}/remove").status_code == 422
    assert apps(session, ann) == [second]
    assert tags(session, ann)[-1] == "admin:user:factor-removed"
    assert tags(session, ann).count("admin:user:factor-removed") == 1


def test_where_codes_would_be_sent_is_shown_masked(client, session, boss, ann):
    session.add(Policy(tenant_id=1, factors=["totp", "mail"]))
    session.add(Policy(tenant_id=boss, factors=["totp", "mail"], concurrency_stamp="x"))
    ann.email_verified = True
    session.commit()
    page = readable(client.get(page_of(ann, boss)))
    assert "Codes are sent to a•••@a•••.example where a second step is asked for." in page
    assert "ann@acme.example" not in page.partition("Second factors")[2]
    add_authenticator(session, ann)
    assert "Codes are sent to" not in readable(client.get(page_of(ann, boss)))


def test_a_passkey_is_removed_like_an_app(client, session, boss, ann):
    add_passkey(session, ann, "https://login.acme.example")
    assert "/remove" not in readable(client.get(page_of(ann, boss)))
    add_authenticator(session, ann, "Phone")
    page = readable(client.get(page_of(ann, boss)))
    assert "Laptop" in page
    (passkey,) = passkeys.list_of(session, ann.id)
    path = f"/console/t/{boss}/users/{ann.id}/passkeys/{passkey.id}/remove"
    assert path in page
    assert post(client, path).location.endswith("?notice=factor")
    assert passkeys.list_of(session, ann.id) == []
    assert post(client, path).status_code == 404
    assert len(apps(session, ann)) == 1


def test_a_reset_shows_the_code_once(client, session, boss, ann, outbox):
    add_authenticator(session, ann)
    answer = post(client, f"{page_of(ann, boss)}/reset")
    assert answer.location.endswith("/factors?notice=factors")
    shown = client.get(answer.location).get_data(as_text=True)
    assert len(CODE.findall(shown)) == 1
    assert not CODE.search(client.get(answer.location).get_data(as_text=True))
    assert apps(session, ann) == []
    assert tags(session, ann)[-1] == "admin:user:factors-reset"
    assert "reset" in outbox()[0].subject


def test_a_code_is_made_anew(client, session, boss, ann):
    answer = post(client, f"{page_of(ann, boss)}/code")
    first = CODE.findall(client.get(answer.location).get_data(as_text=True))
    answer = post(client, f"{page_of(ann, boss)}/code")
    second = CODE.findall(client.get(answer.location).get_data(as_text=True))
    assert len(first) == len(second) == 1
    assert first != second
    assert len(session.scalars(select(EnrolmentCode)).all()) == 1
    add_authenticator(session, ann)
    assert post(client, f"{page_of(ann, boss)}/code").status_code == 422


@pytest.mark.parametrize("act", ["reset", "code", "1/remove"])
def test_people_of_others_do_not_exist(client, session, boss, act):
    other = add_tenant(session, "Other")
    eve = add_person(session, "eve", tenant_ids=(other,))
    both = add_person(session, "both", tenant_ids=(boss, other))
    add_authenticator(session, eve)
    assert client.get(page_of(eve, boss)).status_code == 404
    for user in (eve, both):
        answer = post(client, f"{page_of(user, boss)}/{act}")
        assert answer.status_code == 404
    assert post(client, f"{page_of(eve, other)}/{act}").status_code == 404
    assert len(apps(session, eve)) == 1
    assert session.scalars(select(EnrolmentCode)).all() == []


def test_factors_of_people_who_belong_elsewhere_too_are_not_shown(client, session, boss):
    both = add_person(session, "both", tenant_ids=(boss, add_tenant(session, "Other")))
    add_authenticator(session, both, "Secret phone")
    page = readable(client.get(page_of(both, boss)))
    assert "Secret phone" not in page
    assert "managed at the platform" in page


@pytest.mark.parametrize("act", ["reset", "code"])
def test_an_old_sign_in_leads_to_the_sign_in(client, session, boss, ann, clock, act):
    path = f"{page_of(ann, boss)}/{act}"
    clock.shift(301)
    assert post(client, path).location.startswith("/login?prompt=login")
    assert session.scalars(select(EnrolmentCode)).all() == []


def test_a_visitor_with_a_factor_must_have_proven_it(client, session, boss, ann):
    own = session.scalars(select(User).where(User.username == "boss")).one()
    add_authenticator(session, own)
    answer = post(client, f"{page_of(ann, boss)}/reset")
    assert answer.location.startswith("/login?prompt=login")
    assert session.scalars(select(EnrolmentCode)).all() == []
    sign_in(client, session, own, has_both=True)
    assert post(client, f"{page_of(ann, boss)}/reset").location.endswith("?notice=factors")


def test_a_reader_sees_factors_and_changes_nothing(client, session, boss, ann):
    add_authenticator(session, ann, "Phone")
    reader = add_person(session, "reader", tenant_ids=(boss,))
    codes = ["ids4.ms.admin.users.read", "ids4.ms.admin.factors.read"]
    add_role(session, reader, "reader", codes, tenant_id=boss)
    sign_in(client, session, reader)
    page = readable(client.get(page_of(ann, boss)))
    assert "Phone" in page
    assert "ids4.ms.admin.factors.write" in page
    assert post(client, f"{page_of(ann, boss)}/reset").status_code == 403
    blind = add_person(session, "blind", tenant_ids=(boss,))
    add_role(session, blind, "blind", codes[:1], tenant_id=boss)
    sign_in(client, session, blind)
    assert client.get(page_of(ann, boss)).status_code == 403
    overview = readable(client.get(page_of(ann, boss).removesuffix("/factors")))
    assert "Second factors" not in overview


def test_own_factors_are_changed_in_the_account(client, session, root):
    path = f"/console/platform/users/{root.id}/factors"
    page = readable(client.get(path))
    assert "Change your own second factors in your account." in page
    assert f"{path}/code" not in page
    assert post(client, f"{path}/code").status_code == 422
    assert session.scalars(select(EnrolmentCode)).all() == []


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "a\u202egnp.exe", "x" * 100])
def test_a_name_is_only_text(client, session, boss, ann, name):
    add_authenticator(session, ann, name)
    add_authenticator(session, ann, name)
    answer = client.get(page_of(ann, boss))
    assert answer.status_code == 200
    assert "<script>alert" not in answer.get_data(as_text=True)


def test_the_number_of_statements_does_not_grow_with_the_factors(
    client, session, boss, ann, runtime
):
    counts = []
    for number in (1, 3):
        for n in range(number):
            add_authenticator(session, ann, f"Phone {number} {n}")
        client.get(page_of(ann, boss))
        with statements(runtime.engine) as seen:
            client.get(page_of(ann, boss))
        counts.append(len(seen))
    assert counts[0] == counts[1]


def test_a_user_who_is_deleted_meanwhile_is_not_found(client, session, boss, ann):
    path = page_of(ann, boss)
    ann.deleted_at = times.now()
    session.commit()
    assert client.get(path).status_code == 404
    assert post(client, f"{path}/reset").status_code == 404
