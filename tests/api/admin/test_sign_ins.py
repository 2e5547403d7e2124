"""Grants and consents by our own API: of a user and of a client, listed and ended."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from idp.oauth.models import Consent, Grant
from idp.platform import clock
from idp.platform.audit.models import AuditEvent
from idp.platform.audit.tags import Tag
from idp.platform.jobs.models import OutboxMessage
from tests import protocol
from tests.api import admin, center

READ = "ids4.ms.admin.sessions.read"
WRITE = "ids4.ms.admin.sessions.write"


@pytest.fixture
def root(client, session):
    return admin.root(client, session)


@pytest.fixture
def acme(session):
    return protocol.add_tenant(session)


@pytest.fixture
def boss(client, session, acme):
    return center.manager(client, session, READ, WRITE, tenant_id=acme, scopes=[READ, WRITE])


@pytest.fixture
def shop(session, acme):
    return protocol.register(session, "shop", tenant_id=acme)


def sign_in_at(session, user, shop, tenant_id):
    """Record a grant and a consent of a person at a client; return their ids."""
    names = {"user_id": user.id, "client_id": shop.row_id, "tenant_id": tenant_id}
    consent, grant = Consent(**names, scopes=["openid"]), protocol.grant_of(user, **names)
    session.add_all([consent, grant])
    session.commit()
    return {"grants": grant.id, "consents": consent.id}


def live(session):
    """Return the ids of the grants that have not ended, and of all consents."""
    session.rollback()
    grants = (
        select(Grant.id).where(Grant.revoked_at.is_(None), Grant.sid == "sid").order_by(Grant.id)
    )
    return {
        "grants": list(session.scalars(grants)),
        "consents": list(session.scalars(select(Consent.id).order_by(Consent.id))),
    }


def paths(user, shop, tenant_id, kind):
    return (
        f"/tenants/{tenant_id}/users/{user.id}/{kind}",
        f"/tenants/{tenant_id}/clients/{shop.row_id}/{kind}",
    )


@pytest.mark.parametrize("kind", ["grants", "consents"])
@pytest.mark.parametrize("side", [0, 1])
def test_one_is_listed_and_ended_with_its_tokens(boss, session, acme, shop, kind, side):
    ann = protocol.add_person(session, "ann", tenant_ids=(acme,))
    ids = sign_in_at(session, ann, shop, acme)
    path = paths(ann, shop, acme, kind)[side]
    (row,) = admin.data(boss, "GET", path)["items"]
    assert (row["id"], row["user"], row["client"]) == (ids[kind], ann.id, shop.row_id)
    assert (row["tenant"], row["scopes"]) == (acme, ["openid"])
    assert admin.send(boss, "POST", f"{path}/{row['id']}/end").status_code == 204
    assert admin.data(boss, "GET", path)["items"] == []
    # With a consent go the grants that it allowed; a grant leaves the consent.
    assert live(session) == {
        "grants": [],
        "consents": [] if kind == "consents" else [ids["consents"]],
    }
    assert admin.refused(boss, "POST", f"{path}/{row['id']}/end") == (404, {})
    tag = Tag.CONSENT_ENDED if kind == "consents" else Tag.GRANT_ENDED
    (event,) = session.scalars(select(AuditEvent).where(AuditEvent.tag == tag))
    assert (event.user_id, event.tenant_id, event.target) == (boss.user.id, acme, f"user:{ann.id}")


@pytest.mark.parametrize("kind", ["grants", "consents"])
@pytest.mark.parametrize("side", [0, 1])
def test_all_are_ended_and_those_of_others_stay(boss, session, acme, shop, kind, side):
    ann, bob = (protocol.add_person(session, name, tenant_ids=(acme,)) for name in ("ann", "bob"))
    other = protocol.register(session, "other", tenant_id=acme)
    sign_in_at(session, ann, shop, acme)
    kept = sign_in_at(session, bob, other, acme)
    beside = sign_in_at(session, *((ann, other), (bob, shop))[side], acme)
    path = paths(ann, shop, acme, kind)[side]
    assert admin.data(boss, "POST", f"{path}/end") == {"ended": 2, "remaining": 0}
    assert live(session)[kind] == [kept[kind]]
    assert beside[kind] not in live(session)[kind]
    assert admin.data(boss, "POST", f"{path}/end") == {"ended": 0, "remaining": 0}


@pytest.mark.parametrize("kind", ["grants", "consents"])
def test_what_belongs_to_another_tenant_is_out_of_reach(boss, session, acme, shop, kind):
    elsewhere = protocol.add_tenant(session, "Elsewhere")
    ann = protocol.add_person(session, "ann", tenant_ids=(acme, elsewhere))
    bob = protocol.add_person(session, "bob", tenant_ids=(elsewhere,))
    shared = protocol.register(session, "shared")
    theirs = protocol.register(session, "theirs", tenant_id=elsewhere)
    # Ann is a member of both, so her row is seen; what she did in the other tenant is not.
    far = sign_in_at(session, ann, shared, elsewhere)
    own = sign_in_at(session, ann, shop, acme)
    of_user = paths(ann, shop, acme, kind)[0]
    assert [row["id"] for row in admin.data(boss, "GET", of_user)["items"]] == [own[kind]]
    assert admin.refused(boss, "POST", f"{of_user}/{far[kind]}/end") == (404, {})
    for user, client in ((bob, theirs), (bob, shared)):
        for path in paths(user, client, acme, kind):
            assert admin.refused(boss, "GET", path) == (404, {})
            assert admin.refused(boss, "POST", f"{path}/{far[kind]}/end") == (404, {})
            assert admin.refused(boss, "POST", f"{path}/end") == (404, {})
    assert admin.data(boss, "POST", f"{of_user}/end") == {"ended": 1, "remaining": 0}
    assert live(session)[kind] == [far[kind]]


@pytest.mark.parametrize("kind", ["grants", "consents"])
def test_a_row_of_another_person_or_client_is_not_found(root, session, shop, acme, kind):
    ann, bob = (protocol.add_person(session, name, tenant_ids=(acme,)) for name in ("ann", "bob"))
    ids = sign_in_at(session, ann, shop, acme)
    other = protocol.register(session, "other", tenant_id=acme)
    for path in paths(bob, other, acme, kind):
        for row_id in (ids[kind], 0, 999_999, 2**63 - 1, 2**80):
            assert admin.refused(root, "POST", f"{path}/{row_id}/end") == (404, {})
    assert live(session)[kind] == [ids[kind]]


@pytest.mark.parametrize("kind", ["grants", "consents"])
@pytest.mark.parametrize("side", [0, 1])
def test_lists_are_read_page_by_page_with_a_constant_number_of_statements(
    root, session, runtime, shop, acme, kind, side
):
    ann = protocol.add_person(session, "ann", tenant_ids=(acme,))
    path = paths(ann, shop, 1, kind)[side]

    def count():
        with center.statements(runtime.engine) as sent:
            admin.data(root, "GET", path, limit=200)
        return len(sent)

    sign_in_at(session, ann, shop, acme)
    count()  # what is remembered for a second is remembered
    before = count()
    for number in range(4):
        if side == 0:
            sign_in_at(session, ann, protocol.register(session, f"c{number}"), acme)
        else:
            user = protocol.add_person(session, f"u{number}", tenant_ids=(acme,))
            sign_in_at(session, user, shop, acme)
    count()  # configuration has changed
    assert count() == before
    found = admin.pages(root, path, limit=2)
    assert [len(rows) for rows in found] == [2, 2, 1]


def test_more_than_one_call_can_end_says_what_remains(root, session, shop, acme, monkeypatch):
    monkeypatch.setattr("idp.account.live_access.MOST_ENDED", 2)
    monkeypatch.setattr("idp.account.client_access.MOST_ENDED", 2)
    for number in range(3):
        user = protocol.add_person(session, f"u{number}", tenant_ids=(acme,))
        sign_in_at(session, user, shop, acme)
    for kind in ("grants", "consents"):
        path = f"/tenants/{acme}/clients/{shop.row_id}/{kind}/end"
        assert admin.data(root, "POST", path) == {"ended": 2, "remaining": 1}
        assert admin.data(root, "POST", path) == {"ended": 1, "remaining": 0}


def test_an_expired_consent_is_not_listed(root, session, shop, acme):
    ann = protocol.add_person(session, "ann", tenant_ids=(acme,))
    ids = sign_in_at(session, ann, shop, acme)
    session.get_one(Consent, ids["consents"]).expires_at = clock.now()
    session.commit()
    for path in paths(ann, shop, acme, "consents"):
        assert admin.data(root, "GET", path)["items"] == []


def test_a_test_mail_goes_to_the_caller_alone(root, session):
    assert admin.refused(root, "POST", "/messages/test") == (422, {})
    root.user.email = "root@example.com"
    session.commit()
    assert admin.send(root, "POST", "/messages/test").status_code == 204
    session.rollback()
    assert session.scalars(select(OutboxMessage.job)).all() == ["notify.mail"]
    (event,) = session.scalars(select(AuditEvent).where(AuditEvent.tag == Tag.MAIL_TESTED))
    assert (event.user_id, event.target) == (root.user.id, f"user:{root.user.id}")
    for _ in range(9):
        assert admin.send(root, "POST", "/messages/test").status_code == 204
    assert admin.refused(root, "POST", "/messages/test") == (429, {})
