"""Identity resources in the console: claims, guards, who uses them, and the end of one."""

from __future__ import annotations

from html import unescape

import pytest
from sqlalchemy import select

from idp.directory.resources import service as resources
from idp.directory.resources.models import IdentityResource
from idp.directory.resources.service import NewScope
from idp.pages.console import gate
from idp.platform.audit.tags import Tag
from tests.api.center import statements
from tests.pages.browsing import HTML, csrf_token, events
from tests.protocol import add_person, add_role, register, sign_in

PATH = "/console/platform/identities"
FORM = {"enabled": "y", "show_in_discovery_document": "y"}


@pytest.fixture
def send(client):
    """Send a form to an address, with the token of this browser."""

    def post(address, **form):
        token = csrf_token(client.get("/login?prompt=login"))
        return client.post(PATH + address, data={"csrf_token": token, **form}, headers=HTML)

    return post


@pytest.fixture
def badge(session):
    """Add an identity resource."""
    row = resources.create_identity(session, NewScope("badge", "Badge", user_claims=("number",)))
    session.commit()
    return row


def page_of(client, path: str = "") -> str:
    answer = client.get(PATH + path, headers=HTML)
    assert answer.status_code == 200
    return " ".join(unescape(answer.get_data(as_text=True)).split())


def stored(session, name: str = "badge") -> IdentityResource | None:
    session.expire_all()
    return session.scalar(select(IdentityResource).where(IdentityResource.name == name))


def test_the_standard_ones_are_marked(client, session, root, badge):
    page = page_of(client)
    assert page.count(">Standard<") == len(
        session.scalars(select(IdentityResource.id)).all()
    ) - len(["badge"])
    openid = stored(session, "openid")
    page = page_of(client, f"/{openid.id}")
    assert "Every sign-in asks for this one" in page
    assert f"{openid.id}/delete" not in page


def test_one_is_created_changed_and_deleted(client, session, root, send):
    assert send("/new", name="", **FORM).status_code == 400
    assert send("/new", name="a b", **FORM).status_code == 400
    assert send("/new", name="email", **FORM).status_code == 409
    assert send("/new", name="offline_access", **FORM).status_code == 400
    answer = send("/new", name="badge", claims="number!", **FORM)
    assert answer.status_code == 400
    assert 'id="claims-error"' in answer.get_data(as_text=True)
    assert stored(session) is None
    answer = send("/new", name="badge", claims="number\nfloor number", **FORM)
    row = stored(session)
    assert answer.location == f"{PATH}/{row.id}"
    assert [claim.type for claim in row.user_claims] == ["number", "floor"]
    assert (row.tenant_id, row.enabled, row.required) == (None, True, False)

    stamp = row.concurrency_stamp
    kept = row.user_claims[1].id
    form = {"claims": "floor\nroom", "required": "y", "description": "Where", "stamp": stamp}
    assert send(f"/{row.id}", **form).status_code == 303
    row = stored(session)
    assert {claim.type for claim in row.user_claims} == {"floor", "room"}
    assert kept in {claim.id for claim in row.user_claims}
    assert (row.enabled, row.required, row.description) == (False, True, "Where")
    event = events(session, Tag.IDENTITY_RESOURCE_CHANGED)[-1]
    assert (event.user_id, event.target) == (root.id, "identity-resource:badge")

    row_id = row.id
    assert send(f"/{row_id}/delete", typed="Badge").status_code == 400
    assert send(f"/{row_id}/delete", typed="badge").location == PATH
    assert send(f"/{row_id}/delete", typed="badge").status_code == 404
    assert send(f"/{row_id}", **form).status_code == 404
    assert [one.user_id for one in events(session, Tag.IDENTITY_RESOURCE_DELETED)] == [root.id]


def test_two_who_change_it_do_not_overwrite_each_other(client, session, root, send, badge):
    form = {"stamp": badge.concurrency_stamp, "claims": "number", **FORM}
    assert send(f"/{badge.id}", display_name="First", **form).status_code == 303
    answer = send(f"/{badge.id}", display_name="Second", **form)
    assert answer.status_code == 409
    page = unescape(answer.get_data(as_text=True))
    assert "changed by someone else" in page
    assert "First" in page
    assert stored(session).display_name == "First"


def test_what_sign_in_needs_stays(client, session, root, send):
    openid = stored(session, "openid")
    form = {"claims": "sub", "stamp": openid.concurrency_stamp}
    answer = send(f"/{openid.id}", **form)
    assert answer.status_code == 422
    assert "This is built in" in answer.get_data(as_text=True)
    assert send(f"/{openid.id}/delete", typed="openid").status_code == 422
    assert stored(session, "openid").enabled


def test_one_that_clients_use_is_not_deleted(client, session, root, send, badge):
    register(session, "shop", client_name="The <b>shop", scopes=("openid", "badge"))
    session.commit()
    page = client.get(f"{PATH}/{badge.id}").get_data(as_text=True)
    assert "The &lt;b&gt;shop" in page
    assert "clients use cannot be deleted" in page_of(client, f"/{badge.id}/delete")
    assert send(f"/{badge.id}/delete", typed="badge").status_code == 409
    assert stored(session) is not None


def test_clients_are_named_to_those_who_may_see_them(client, session, badge):
    register(session, "shop", scopes=("openid", "badge"))
    user = add_person(session, "reader")
    codes = ["ids4.ms.identityresource.get", "ids4.ms.identityresource.detail"]
    add_role(session, user, "reader", codes, tenant_id=None)
    sign_in(client, session, user)
    page = page_of(client, f"/{badge.id}")
    assert "You cannot see the clients" in page
    assert ">shop<" not in page
    assert "<textarea" not in page
    assert "ids4.ms.identityresource.delete" in page


def test_a_tenant_has_no_identity_resources(client, boss, badge):
    for path in ("", "/new", f"/{badge.id}", f"/{badge.id}/delete"):
        assert client.get(f"/console/t/{boss}/identities{path}", headers=HTML).status_code == 404
        assert client.get(PATH + path, headers=HTML).status_code == 404


def test_deleting_needs_a_recent_sign_in(client, session, root, send, badge, clock):
    clock.shift(gate.RECENT.total_seconds() + 1)
    answer = send(f"/{badge.id}/delete", typed="badge")
    assert answer.location.startswith("/login?prompt=login")
    assert stored(session) is not None


def test_texts_are_text_and_long_ones_fit_or_are_refused(client, session, root, send):
    title = "<b>Bold</b>\u202e" + "x" * 180
    answer = send("/new", name="n" * 200, display_name=title, description="<i>d</i>", **FORM)
    row = stored(session, "n" * 200)
    for path in ("", f"/{row.id}", f"/{row.id}/delete", "?q=bold"):
        page = client.get(PATH + path, headers=HTML)
        assert page.status_code == 200
        for letters in (b"<b>Bold", b"<i>d"):
            assert letters not in page.data
    form = {"stamp": row.concurrency_stamp, **FORM}
    for field in ("display_name", "description", "claims"):
        answer = send(f"/{row.id}", **{**form, field: "x" * 25_000})
        assert answer.status_code == 400, field
        assert f'id="{field}-error"' in answer.get_data(as_text=True)


def test_the_number_of_queries_does_not_grow(client, session, root, runtime):
    counts = []
    for many in (1, 8):
        for number in range(many):
            new = NewScope(f"s-{many}-{number}", user_claims=("a", "b"))
            resources.create_identity(session, new)
            register(session, f"c-{many}-{number}", scopes=("openid", "email", new.name))
        session.commit()
        email = stored(session, "email")
        with statements(runtime.engine) as of_list:
            assert client.get(PATH).status_code == 200
        with statements(runtime.engine) as of_page:
            assert client.get(f"{PATH}/{email.id}").status_code == 200
        counts.append((len(of_list), len(of_page)))
    assert counts[0] == counts[1]
    assert max(counts[0]) < 40
