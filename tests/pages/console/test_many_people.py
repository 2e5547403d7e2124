"""Searches among many people find beginnings; members of what has many are not all counted."""

from __future__ import annotations

import re

import pytest

from idp.directory.users import searches
from idp.pages.console import lists
from tests.pages.browsing import readable
from tests.protocol import add_person, add_role, add_tenant

LIST = "/console/platform/users"
SENTENCE = "people: the search finds names, user names, e-mail addresses and mobile numbers"


@pytest.fixture
def many(monkeypatch):
    """Make few people many."""
    monkeypatch.setattr(searches, "MOST_SEARCHED", 2)


def found(client, text, path=LIST):
    page = readable(client.get(path, query_string={"q": text}))
    assert (SENTENCE in page) == (searches.MOST_SEARCHED == 2)
    return {name for name in ("ann", "joann", "bob") if f'/users/{IDS[name]}"' in page}


IDS: dict[str, int] = {}


@pytest.fixture
def three(session, root):
    """Add three people."""
    IDS["ann"] = add_person(
        session,
        "ann",
        nick_name="Öztürk 100%",
        email="Ann@Mail.example",
        email_key="ann@mail.example",
    ).id
    IDS["joann"] = add_person(session, "joann", mobile="+8613800138000").id
    IDS["bob"] = add_person(session, "bob", display_name="Annika_Ek").id
    session.commit()


def test_a_text_is_found_anywhere_among_few_people(client, three):
    assert found(client, "ann") == {"ann", "joann", "bob"}
    assert found(client, "138001") == {"joann"}


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("ann", {"ann", "bob"}),
        ("ANN", {"ann", "bob"}),
        ("jo", {"joann"}),
        ("oann", set()),
        ("ann@mail", {"ann"}),
        ("Öztürk 100%", {"ann"}),
        ("annika_e", {"bob"}),
        ("annika%", set()),
        ("+86138", {"joann"}),
        ("86138", {"joann"}),
        ("_", set()),
        ("%", set()),
        ("\\", set()),
        ("/", set()),
        ("'; --", set()),
    ],
)
def test_beginnings_are_found_among_many(client, three, text, names):
    assert found(client, text) == names


@pytest.mark.usefixtures("many")
def test_an_id_is_found_among_many(client, three):
    assert found(client, str(IDS["joann"])) == {"joann"}


@pytest.mark.usefixtures("many")
def test_a_small_tenant_is_searched_whole(client, session, boss):
    joann = add_person(session, "joann", tenant_ids=(boss,))
    page = readable(client.get(f"/console/t/{boss}/users?q=oann"))
    assert SENTENCE not in page
    assert f'/users/{joann.id}"' in page
    add_person(session, "third", tenant_ids=(boss,))
    page = readable(client.get(f"/console/t/{boss}/users?q=oann"))
    assert SENTENCE in page
    assert f'/users/{joann.id}"' not in page


@pytest.mark.usefixtures("many")
def test_sessions_and_the_search_of_everything_find_beginnings_too(client, session, three):
    for address in ("sessions", "sessions/grants"):
        page = readable(client.get(f"/console/platform/{address}?q=oot"))
        assert SENTENCE in page
        assert "root" not in page[page.index('id="rows"') :]
    hit = f"/console/platform/users/{IDS['joann']}"
    assert hit in readable(client.get("/console/platform/search?q=joa"))
    assert hit not in readable(client.get("/console/platform/search?q=oann"))


def test_members_and_holders_are_counted_no_further_than_lists_count(
    client, session, root, monkeypatch
):
    acme = add_tenant(session)
    users = [add_person(session, f"p{number}", tenant_ids=(acme,)) for number in range(4)]
    for user in users:
        add_role(session, user, "everybody", tenant_id=None)
    for most, shown in ((4, "4"), (3, "more than 3")):
        monkeypatch.setattr(lists, "MOST_COUNTED", most)
        page = readable(client.get("/console/platform/tenants"))
        assert re.search(rf'data-label="Members">\s*{shown}\s*</td>', page), most
        assert f"{shown} people" in " ".join(
            readable(client.get("/console/platform/roles?q=everybody")).split()
        )
