"""The tab of consents: who allows a client what, removed one by one or all."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import select

from idp.directory.clients import service as clients
from idp.directory.users.models import User
from idp.oauth.models import Consent, Grant
from idp.platform import clock
from idp.platform.audit.tags import Tag
from tests.pages.browsing import HTML, csrf_token, events, readable, statements
from tests.protocol import add_person, add_role, add_tenant, grant_of, register, sign_in


@pytest.fixture
def shop(session, boss):
    """Register a client of Acme, which Boss manages."""
    shop = register(session, "shop", tenant_id=boss)
    link(session, session.scalars(select(User).where(User.username == "boss")).one(), shop)
    return shop


@pytest.fixture
def path(boss, shop):
    return f"/console/t/{boss}/clients/{shop.row_id}/consents"


def allow(session, user, app, tenant_id, scopes=("openid",)) -> int:
    names = {"user_id": user.id, "client_id": app.row_id, "tenant_id": tenant_id}
    row = Consent(**names, scopes=list(scopes))
    session.add_all([row, grant_of(user, **names)])
    session.commit()
    return row.id


def post(browser, path, /, **form):
    token = csrf_token(browser.get("/login?prompt=login"))
    return browser.post(path, data={"csrf_token": token, **form}, headers=HTML)


def kept(session):
    session.rollback()
    return list(session.scalars(select(Consent.id).order_by(Consent.id)))


def live_grants(session):
    session.rollback()
    return len(session.scalars(select(Grant.id).where(Grant.revoked_at.is_(None))).all())


def listed(answer):
    assert answer.status_code == 200
    return [int(each) for each in re.findall(r"/consents/(\d+)/end", answer.get_data(as_text=True))]


def test_it_lists_who_allows_what(client, session, boss, shop, path):
    assert "This client does not ask people" in readable(client.get(path))
    ann, bob = (add_person(session, name, tenant_ids=(boss,)) for name in ("ann", "bob"))
    first = allow(session, ann, shop, boss, ["openid", "email"])
    second = allow(session, bob, shop, boss)
    page = client.get(path)
    assert listed(page) == [second, first]
    assert "openid email" in readable(page)
    assert "2 consents" in readable(page)
    assert listed(client.get(f"{path}?sort=since")) == [first, second]
    assert listed(client.get(f"{path}?q=ann")) == [first]
    assert "Nothing matches" in readable(client.get(f"{path}?q=nobody"))


def test_one_is_removed_with_its_tokens_and_only_once(client, session, boss, shop, path):
    ann, bob = (add_person(session, name, tenant_ids=(boss,)) for name in ("ann", "bob"))
    first, second = (allow(session, user, shop, boss) for user in (ann, bob))
    answer = post(client, f"{path}/{first}/end")
    assert answer.status_code == 303
    assert "1 consent was removed." in readable(client.get(answer.location))
    assert kept(session) == [second]
    assert live_grants(session) == 1
    (event,) = events(session, Tag.CONSENT_ENDED)
    assert event.target == f"user:{ann.id}"
    # The same form once more, and a row that was deleted meanwhile.
    assert post(client, f"{path}/{first}/end").status_code == 404
    assert post(client, f"{path}/{2**80}/end").status_code == 404


def test_all_that_a_search_leaves_are_removed_as_counted(client, session, boss, shop, path):
    ann, bob = (add_person(session, name, tenant_ids=(boss,)) for name in ("ann", "bob"))
    allow(session, ann, shop, boss)
    other = allow(session, bob, shop, boss)
    beside = allow(session, ann, register(session, "beside", tenant_id=boss), boss)
    page = client.get(f"{path}/end?q=ann")
    assert "Remove 1 consent?" in readable(page)
    assert post(client, f"{path}/end?q=ann", count="1").status_code == 303
    assert kept(session) == [other, beside]
    page = client.get(f"{path}/end")
    assert "Remove 1 consent?" in readable(page)
    allow(session, ann, shop, boss)  # who comes after the count stays
    assert post(client, f"{path}/end", count="1").status_code == 303
    assert len(kept(session)) == 2
    for wrong in ("", "-1", "x", "\u0661"):
        assert post(client, f"{path}/end", count=wrong).status_code == 400
    assert len(kept(session)) == 2


def test_expired_consents_are_not_listed(client, session, boss, shop, path):
    ann = add_person(session, "ann", tenant_ids=(boss,))
    row = session.get_one(Consent, allow(session, ann, shop, boss))
    row.expires_at = clock.now()
    session.commit()
    assert listed(client.get(path)) == []


def test_rows_and_clients_of_another_tenant_do_not_exist_here(client, session, boss, shop, path):
    far = add_tenant(session, "Far")
    carl = add_person(session, "carl", tenant_ids=(far,))
    theirs = register(session, "theirs", tenant_id=far)
    row_id = allow(session, carl, theirs, far)
    shared = register(session, "shared")
    shared_id = allow(session, carl, shared, far)
    for app, consent_id in ((theirs, row_id), (shared, shared_id)):
        base = f"/console/t/{boss}/clients/{app.row_id}/consents"
        assert client.get(base).status_code == 404
        assert client.get(f"{base}/end").status_code == 404
        assert post(client, f"{base}/{consent_id}/end").status_code == 404
        assert post(client, f"{base}/end", count="9").status_code == 404
        assert post(client, f"{path}/{consent_id}/end").status_code == 404
    assert client.get(f"/console/t/{far}/clients/{theirs.row_id}/consents").status_code == 404
    assert kept(session) == [row_id, shared_id]


def test_who_may_not_see_sessions_has_no_such_tab(client, session, boss, shop, path):
    reader = add_person(session, "reader", tenant_ids=(boss,))
    codes = ["ids4.ms.client.get", "ids4.ms.client.detail"]
    add_role(session, reader, "reader", codes, tenant_id=boss)
    link(session, reader, shop)
    sign_in(client, session, reader)
    base = path.removesuffix("/consents")
    page = client.get(f"{base}/settings")
    assert page.status_code == 200
    assert "/consents" not in page.get_data(as_text=True)
    assert client.get(path, headers=HTML).status_code == 403
    assert post(client, f"{path}/end", count="1").status_code == 403


def test_who_may_only_read_cannot_remove(client, session, boss, shop, path):
    reader = add_person(session, "reader", tenant_ids=(boss,))
    codes = ["ids4.ms.client.get", "ids4.ms.client.detail", "ids4.ms.admin.sessions.read"]
    add_role(session, reader, "reader", codes, tenant_id=boss)
    link(session, reader, shop)
    row_id = allow(session, reader, shop, boss)
    sign_in(client, session, reader)
    page = client.get(path)
    assert listed(page) == []
    assert "ids4.ms.admin.sessions.write" in readable(page)
    assert post(client, f"{path}/{row_id}/end").status_code == 403
    assert kept(session) == [row_id]


def test_the_list_has_pages_and_a_constant_number_of_queries(
    client, session, runtime, boss, shop, path
):
    def count():
        return len(statements(runtime, client, path, "consent", "user", "tenant"))

    allow(session, add_person(session, "first", tenant_ids=(boss,)), shop, boss)
    count()
    before = count()
    for number in range(30):
        allow(session, add_person(session, f"u{number}", tenant_ids=(boss,)), shop, boss)
    assert count() == before
    page = client.get(path)
    assert len(listed(page)) == 25
    following = re.search(r'href="([^"]+)"\s+rel="next"', page.get_data(as_text=True))[1]
    assert len(listed(client.get(following.replace("&amp;", "&")))) == 6
    assert client.get(f"{path}?after=x", headers=HTML).status_code == 400


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "\u202eevil\u202c", "x" * 200])
def test_names_are_shown_as_text(client, session, boss, shop, path, text):
    ann = add_person(session, "ann", tenant_ids=(boss,), nick_name=text)
    allow(session, ann, shop, boss)
    page = client.get(path).get_data(as_text=True)
    assert "<script>alert" not in page
    assert "<bdi>" in page


def link(session, user, app):
    """Link a person to a client, which they then manage."""
    clients.link_owner(session, clients.get(session, app.client_id), user.id)
    session.commit()
