"""Second factors of people by our own API: seen, removed, reset, set up anew by a code."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from sqlalchemy import select

from idp.directory.factors import enrolment, recovery
from idp.directory.factors.models import EnrolmentCode, RecoveryCode, Totp
from idp.platform.audit.models import AuditEvent
from idp.platform.audit.tags import Tag
from idp.platform.sessions.models import BrowserSession
from tests import protocol
from tests.api import admin, center

READ = "ids4.ms.admin.factors.read"
WRITE = "ids4.ms.admin.factors.write"
HOST = "127.0.0.1:8000"
ANY = {"If-Match": "*"}


@pytest.fixture
def root(client, session):
    return admin.root(client, session)


@pytest.fixture
def acme(session):
    return protocol.add_tenant(session)


@pytest.fixture
def mary(client, session, acme):
    """Add somebody who manages the second factors of Acme's people."""
    return center.manager(client, session, READ, WRITE, tenant_id=acme)


@pytest.fixture
def ann(session, acme):
    return protocol.add_person(session, tenant_ids=[acme], email="ann@acme.example", locale="en")


def of(user, tenant_id):
    return f"/tenants/{tenant_id}/users/{user.id}"


def apps(session, user):
    session.rollback()
    return list(session.scalars(select(Totp.id).where(Totp.user_id == user.id).order_by(Totp.id)))


def event(session, tag):
    session.rollback()
    return session.scalars(select(AuditEvent).where(AuditEvent.tag == tag)).one()


def test_factors_are_shown_without_their_secrets(mary, session, ann, acme):
    protocol.add_authenticator(session, ann, "Phone")
    recovery.replace_all(session, ann.id)
    session.commit()
    answer = admin.send(mary, "GET", f"{of(ann, acme)}/factors")
    shown = answer.get_json()
    (factor,) = shown.pop("factors")
    assert factor.pop("created_at").endswith("Z")
    assert factor == {
        "id": f"totp-{apps(session, ann)[0]}",
        "kind": "totp",
        "name": "Phone",
        "last_used_at": None,
    }
    assert shown == {
        "recovery_codes_left": recovery.NUMBER,
        "needs_enrolment_code": False,
        "enrolment_code_expires_at": None,
        "codes_sent_to": [],
    }
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_passkey_is_shown_and_removed_like_an_app(mary, session, ann, acme, outbox):
    protocol.add_passkey(session, ann, "https://login.acme.example")
    path = f"{of(ann, acme)}/factors"
    (only,) = admin.data(mary, "GET", path)["factors"]
    assert (only["kind"], only["name"]) == ("passkey", "Laptop")
    assert admin.refused(mary, "DELETE", f"{path}/{only['id']}", headers=ANY)[0] == 422
    protocol.add_authenticator(session, ann)
    app, passkey = admin.data(mary, "GET", path)["factors"]
    assert (app["kind"], passkey) == ("totp", only)
    gone = admin.send(mary, "DELETE", f"{path}/{only['id']}", headers=ANY)
    assert gone.status_code == 204
    assert admin.data(mary, "GET", path)["factors"] == [app]
    assert admin.refused(mary, "DELETE", f"{path}/{only['id']}", headers=ANY)[0] == 404
    assert event(session, Tag.USER_FACTOR_REMOVED).details == {"factor": "passkey"}
    assert "passkey" in outbox()[0].subject


def test_a_reset_removes_passkeys_too(mary, session, ann, acme):
    protocol.add_passkey(session, ann, "https://login.acme.example")
    assert admin.data(mary, "POST", f"{of(ann, acme)}/factors/reset")["code"]
    assert admin.data(mary, "GET", f"{of(ann, acme)}/factors")["factors"] == []


@pytest.mark.parametrize("apps_of_ann", [1, 5])
def test_the_number_of_statements_is_constant(mary, session, ann, acme, runtime, apps_of_ann):
    for n in range(apps_of_ann):
        protocol.add_authenticator(session, ann, f"Phone {n}")
    path = f"{of(ann, acme)}/factors"
    admin.data(mary, "GET", path)
    with center.statements(runtime.engine) as seen:
        admin.data(mary, "GET", path)
    assert sum("totp" in each or "recovery_code" in each for each in seen) == 2


def test_one_of_several_is_removed_in_the_state_that_was_read(mary, session, ann, acme, outbox):
    protocol.add_authenticator(session, ann, "Old")
    protocol.add_authenticator(session, ann, "New")
    first, second = apps(session, ann)
    path = f"{of(ann, acme)}/factors"
    tag = admin.send(mary, "GET", path).headers["ETag"]
    assert admin.send(mary, "DELETE", f"{path}/totp-{first}").status_code == 428
    stale = {"If-Match": '"stale"'}
    assert admin.send(mary, "DELETE", f"{path}/totp-{first}", headers=stale).status_code == 412
    assert apps(session, ann) == [first, second]
    done = admin.send(mary, "DELETE", f"{path}/totp-{first}", headers={"If-Match": tag})
    assert done.status_code == 204
    assert apps(session, ann) == [second]
    removed = event(session, Tag.USER_FACTOR_REMOVED)
    assert (removed.user_id, removed.target) == (mary.user.id, f"user:{ann.id}")
    assert (removed.tenant_id, removed.details) == (acme, {"factor": "totp"})
    (mail,) = outbox()
    assert (mail.to, "removed" in mail.subject) == ("ann@acme.example", True)
    # The last one is never removed by itself: a password alone would be left.
    refused = admin.refused(mary, "DELETE", f"{path}/totp-{second}", headers=ANY)
    assert refused[0] == 422
    assert apps(session, ann) == [second]


@pytest.mark.parametrize(
    "factor",
    ["totp-0", "totp-99", "totp-", "totp-x", "totp-1e3", "passkey-9", "1", "totp-" + "9" * 40],
)
def test_what_names_no_factor_is_not_found(mary, session, ann, acme, factor):
    for name in ("One", "Two"):
        protocol.add_authenticator(session, ann, name)
    path = f"{of(ann, acme)}/factors/{factor}"
    assert admin.refused(mary, "DELETE", path, headers=ANY)[0] == 404
    assert len(apps(session, ann)) == 2


def test_a_factor_of_someone_else_is_not_found(mary, session, ann, acme):
    bob = protocol.add_person(session, "bob", tenant_ids=[acme])
    for user in (ann, ann, bob, bob):
        protocol.add_authenticator(session, user)
    path = f"{of(ann, acme)}/factors/totp-{apps(session, bob)[0]}"
    assert admin.refused(mary, "DELETE", path, headers=ANY)[0] == 404
    assert len(apps(session, bob)) == 2


def test_a_reset_removes_all_ends_access_and_hands_out_a_code_once(
    mary, session, ann, acme, outbox
):
    protocol.add_authenticator(session, ann)
    recovery.replace_all(session, ann.id)
    protocol.start_session(session, HOST, ann)
    stamp = ann.security_stamp
    new = admin.data(mary, "POST", f"{of(ann, acme)}/factors/reset")
    assert re.fullmatch(r"[0-9A-Z]{5}-[0-9A-Z]{5}", new["code"])
    assert new["expires_at"].endswith("Z")
    assert apps(session, ann) == []
    assert session.scalars(select(RecoveryCode)).all() == []
    session.expire_all()
    assert ann.security_stamp != stamp
    (row,) = session.scalars(select(BrowserSession).where(BrowserSession.user_id == ann.id))
    assert row.ended_at is not None
    shown = admin.data(mary, "GET", f"{of(ann, acme)}/factors")
    assert shown["needs_enrolment_code"] is True
    assert shown["enrolment_code_expires_at"] == new["expires_at"]
    assert new["code"] not in str(shown)
    done = event(session, Tag.USER_FACTORS_RESET)
    assert (done.user_id, done.target, done.details) == (
        mary.user.id,
        f"user:{ann.id}",
        {"count": 1},
    )
    (mail,) = outbox()
    assert new["code"] not in mail.text
    assert "reset" in mail.subject


def test_a_code_is_made_for_people_without_a_factor_and_replaces_the_last_one(
    mary, session, ann, acme, outbox
):
    path = f"{of(ann, acme)}/enrolment-codes"
    first = admin.data(mary, "POST", path)["code"].replace("-", "")
    second = admin.data(mary, "POST", path)["code"].replace("-", "")
    assert enrolment.use(session, ann.id, first) is False
    assert enrolment.use(session, ann.id, second) is True
    session.commit()
    assert [first in mail.text or second in mail.text for mail in outbox()] == [False, False]
    protocol.add_authenticator(session, ann)
    assert admin.refused(mary, "POST", path)[0] == 422


@pytest.mark.parametrize("act", ["factors/reset", "enrolment-codes"])
def test_nobody_resets_their_own_factors(mary, session, acme, act):
    assert admin.refused(mary, "POST", f"{of(mary.user, acme)}/{act}")[0] == 422


@pytest.mark.parametrize(
    ("method", "act"),
    [
        ("GET", "factors"),
        ("DELETE", "factors/totp-1"),
        ("POST", "factors/reset"),
        ("POST", "enrolment-codes"),
    ],
)
def test_people_who_belong_elsewhere_are_out_of_reach(mary, session, acme, method, act):
    other = protocol.add_tenant(session, "Other")
    eve = protocol.add_person(session, "eve", tenant_ids=[other])
    both = protocol.add_person(session, "both", tenant_ids=[acme, other])
    protocol.add_authenticator(session, eve)
    for user in (eve, both):
        answer = admin.refused(mary, method, f"{of(user, acme)}/{act}", headers=ANY)
        assert answer[0] == 404
    refused = admin.send(mary, method, f"{of(eve, other)}/{act}", headers=ANY)
    assert refused.status_code in {403, 404}
    assert len(apps(session, eve)) == 1
    assert session.scalars(select(EnrolmentCode)).all() == []


def test_people_with_platform_rights_are_reset_by_platform_administrators_alone(
    client, session, root
):
    boss = protocol.add_person(session, "boss")
    protocol.add_role(session, boss, "administrators", tenant_id=None)
    protocol.add_authenticator(session, boss)
    helper = center.manager(client, session, READ, WRITE, username="helper")
    path = f"/tenants/1/users/{boss.id}/factors/reset"
    assert admin.send(helper, "POST", path).status_code in {403, 404}
    assert len(apps(session, boss)) == 1
    assert admin.data(root, "POST", path)["code"]


@pytest.mark.parametrize("act", ["factors/reset", "enrolment-codes"])
def test_a_caller_with_a_factor_must_have_proven_it(mary, session, client, ann, acme, act):
    protocol.add_authenticator(session, mary.user)
    path = f"{of(ann, acme)}/{act}"
    answer = admin.send(mary, "POST", path)
    assert answer.status_code == 401
    assert 'acr_values="mfa"' in answer.headers["WWW-Authenticate"]
    assert session.scalars(select(EnrolmentCode)).all() == []
    app = protocol.register(session, "cli", scopes=("openid", WRITE))
    protocol.sign_in(client, session, mary.user, has_both=True)
    high = replace(mary, token=protocol.obtain(client, app, f"openid {WRITE}").access)
    assert admin.send(high, "POST", path).status_code == 200
