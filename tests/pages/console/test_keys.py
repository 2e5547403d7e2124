"""Signing keys in the console: shown, rotated, and revoked by those who typed which one."""

from __future__ import annotations

from datetime import timedelta
from io import BytesIO

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from sqlalchemy import select, update

from idp.pages.console.keys import time_line
from idp.platform import clock as time_of
from idp.platform.audit.models import AuditEvent
from idp.platform.sessions.models import BrowserSession
from idp.platform.signing import service as signing
from idp.platform.signing.models import SigningKey
from tests.api.center import statements
from tests.pages.browsing import HTML, csrf_token, readable, submit

PATH = "/console/platform/keys"
PKCS8 = serialization.PrivateFormat.PKCS8
TRADITIONAL = serialization.PrivateFormat.TraditionalOpenSSL


def key(session, status="active", alg="ES256"):
    session.rollback()
    query = select(SigningKey).where(SigningKey.alg == alg, SigningKey.status == status)
    return session.scalars(query.order_by(SigningKey.id.desc())).first()


def events(session, tag):
    session.rollback()
    return session.scalars(select(AuditEvent).where(AuditEvent.tag == tag)).all()


def newest(page):
    marker = 'name="newest"'
    field = page[page.index(marker) - 100 : page.index(marker) + 100]
    return int(field.split('value="')[1].split('"')[0])


def test_keys_are_shown_by_state_without_what_signs(client, session, root):
    page = readable(client.get(PATH))
    for row in session.scalars(select(SigningKey)):
        assert row.kid in page
        assert row.private_encrypted not in page
    assert page.count("Next key") == page.count('st-good">Signs') == 4
    assert "/.well-known/openid-configuration/jwks" in page


def test_the_navigation_leads_a_tenant_to_no_keys(client, session, boss):
    assert '/keys"' not in readable(client.get(f"/console/t/{boss}/overview"))
    for path in (PATH, f"/console/t/{boss}/keys", f"{PATH}/rotate", f"{PATH}/import"):
        assert client.get(path).status_code == 404


def test_rotation_is_asked_for_and_done_once(client, session, root):
    before, following = key(session).kid, key(session, "next").kid
    page = client.get(f"{PATH}/rotate", headers=HTML)
    form = {"csrf_token": csrf_token(page), "newest": newest(page.get_data(as_text=True))}
    assert client.post(f"{PATH}/rotate", data=form).location == PATH
    assert key(session).kid == following
    assert key(session, "retired").kid == before
    assert {event.user_id for event in events(session, "system:key:rotated")} == {root.id}
    again = client.post(f"{PATH}/rotate", data=form, headers=HTML)
    assert again.status_code == 409
    assert "Nothing was rotated." in readable(again)
    assert key(session).kid == following
    assert "Signing key rotated" in readable(client.get(PATH))


@pytest.mark.parametrize("value", ["", "x", "-1", "9" * 30, "1.5"])
def test_a_rotation_that_names_no_state_is_refused(client, session, root, value):
    before = key(session).kid
    answer = submit(client, f"{PATH}/rotate", {"newest": value})
    assert answer.status_code == 400
    assert key(session).kid == before


def test_a_key_is_revoked_by_typing_its_id(client, session, root):
    stolen = key(session)
    address = f"{PATH}/{stolen.kid}/revoke"
    for typed in ("", "x", key(session, "next").kid, stolen.kid[:7], stolen.kid.swapcase()):
        answer = submit(client, address, {"typed": typed})
        assert answer.status_code == 400, typed
        assert "This is not the id of the key." in readable(answer)
    assert key(session).kid == stolen.kid
    assert submit(client, address, {"typed": f" {stolen.kid[:8]} "}).location == PATH
    assert key(session).kid != stolen.kid
    assert [event.target for event in events(session, "system:key:revoked")] == [
        f"key:{stolen.kid}"
    ]
    assert client.get(address, headers=HTML).status_code == 409
    assert "Revoked" in readable(client.get(PATH))


def test_a_key_that_somebody_else_revokes_meanwhile_is_no_fault(client, session, root):
    stolen = key(session, "next")
    address = f"{PATH}/{stolen.kid}/revoke"
    page = client.get(address)
    signing.revoke(session, stolen.kid)
    session.commit()
    form = {"csrf_token": csrf_token(page), "typed": stolen.kid}
    assert client.post(address, data=form, headers=HTML).status_code == 409
    assert len(events(session, "system:key:revoked")) == 1


@pytest.mark.parametrize("kid", ["x", "..", "%00", "<b>", "k" * 10_000, "\u202e"])
def test_an_unknown_key_is_not_found(client, root, kid):
    answer = client.get(f"{PATH}/{kid}/revoke", headers=HTML)
    assert answer.status_code in {400, 404, 414}
    assert b"<b>" not in answer.data


def test_acts_need_the_permission_and_a_recent_sign_in(client, session, reader):
    page = readable(client.get(PATH))
    assert "ids4.ms.admin.keys.write" in page
    assert "/revoke" not in page
    for path in ("rotate", "import", f"{key(session).kid}/revoke"):
        assert client.get(f"{PATH}/{path}").status_code == 403
        form = {"csrf_token": csrf_token(client.get("/login?prompt=login"))}
        assert client.post(f"{PATH}/{path}", data=form).status_code == 403


def test_an_old_sign_in_is_not_enough(client, session, root):
    old = time_of.now() - timedelta(minutes=6)
    session.execute(update(BrowserSession).values(auth_time=old))
    session.commit()
    assert client.get(PATH).status_code == 200
    for path in ("rotate", "import", f"{key(session).kid}/revoke"):
        answer = client.get(f"{PATH}/{path}")
        assert answer.status_code == 303
        assert answer.location.startswith("/login?prompt=login")


def pem_of(private, form=PKCS8, passphrase=None) -> bytes:
    protection = serialization.NoEncryption()
    if passphrase is not None:
        protection = serialization.BestAvailableEncryption(passphrase)
    return private.private_bytes(serialization.Encoding.PEM, form, protection)


def import_key(browser, content: bytes, alg=""):
    token = csrf_token(browser.get(f"{PATH}/import", headers=HTML))
    data = {"csrf_token": token, "alg": alg, "pem": (BytesIO(content), "<b>key.pem")}
    return browser.post(f"{PATH}/import", data=data, headers=HTML)


def test_an_imported_key_is_the_next_one_and_does_not_sign_at_once(client, session, root):
    active, displaced = key(session).kid, key(session, "next").kid
    content = pem_of(ec.generate_private_key(ec.SECP256R1()))
    assert import_key(client, content).location == PATH
    imported = key(session, "next")
    assert (key(session).kid, imported.alg) == (active, "ES256")
    assert imported.kid != displaced
    assert signing.get(session, displaced).status == "gone"
    (event,) = events(session, "system:key:imported")
    assert (event.target, event.user_id) == (f"key:{imported.kid}", root.id)
    assert content.decode().splitlines()[1] not in imported.private_encrypted
    assert "Signing key imported" in readable(client.get(PATH))
    # Sent twice, and again after it was revoked.
    assert import_key(client, content).status_code == 409
    signing.revoke(session, imported.kid)
    session.commit()
    answer = import_key(client, content)
    assert answer.status_code == 409
    assert "imported only once" in readable(answer)
    assert key(session).kid == active


def test_an_rsa_key_signs_by_what_was_chosen(client, session, root):
    content = pem_of(rsa.generate_private_key(65537, 2048), TRADITIONAL)
    assert import_key(client, content, "ES256").status_code == 422
    assert import_key(client, content, "none").status_code == 400
    assert import_key(client, content, "PS256").location == PATH
    (event,) = events(session, "system:key:imported")
    assert event.target == f"key:{key(session, 'next', 'PS256').kid}"


WRONG = {
    "nothing": b"",
    "text": b"<b>no key</b>",
    "large": b"x" * 10_000,
    "RSA-1024": pem_of(rsa.generate_private_key(65537, 1024)),  # noqa: S505 - to be refused
    "P-384": pem_of(ec.generate_private_key(ec.SECP384R1())),
    "locked": pem_of(ec.generate_private_key(ec.SECP256R1()), passphrase=b"secret"),
    "public": ec.generate_private_key(ec.SECP256R1())
    .public_key()
    .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_cannot_sign_is_not_imported_and_not_repeated(client, session, root, kind, caplog):
    before = key(session, "next").kid
    answer = import_key(client, WRONG[kind])
    assert answer.status_code == 400
    assert 'id="pem-error"' in answer.get_data(as_text=True)
    lines = [line for line in WRONG[kind].decode().splitlines() if len(line) > 40]
    for line in (*lines, "<b>"):
        assert line not in answer.get_data(as_text=True)
        assert line not in caplog.text
    assert key(session, "next").kid == before
    assert events(session, "system:key:imported") == []


def test_imports_have_a_limit(client, session, root):
    for _ in range(signing.IMPORTS_PER_HOUR):
        assert import_key(client, b"x").status_code == 400
    assert import_key(client, pem_of(ed25519.Ed25519PrivateKey.generate())).status_code == 429


def test_rotation_has_a_limit(client, session, root):
    for _ in range(signing.ROTATIONS_PER_HOUR):
        signing.rotate_now(session, "EdDSA")
    session.commit()
    page = client.get(f"{PATH}/rotate", headers=HTML)
    form = {"csrf_token": csrf_token(page), "newest": newest(page.get_data(as_text=True))}
    assert client.post(f"{PATH}/rotate", data=form, headers=HTML).status_code == 429


def test_the_number_of_statements_does_not_grow_with_the_keys(client, session, root, runtime):
    client.get(PATH)
    with statements(runtime.engine) as few:
        client.get(PATH)
    for _ in range(5):
        signing.rotate(session, "EdDSA")
    session.commit()
    client.get(PATH)
    with statements(runtime.engine) as many:
        assert client.get(PATH).status_code == 200
    assert len(many) == len(few) < 40


def test_the_time_line_shows_who_signs_when(app, session):
    for row in session.scalars(select(SigningKey)):
        row.created_at = time_of.now() - timedelta(days=40)
        row.activated_at = None if row.status == "next" else time_of.now() - timedelta(days=40)
    session.commit()
    with app.test_request_context():
        drawn = time_line.of(session.scalars(select(SigningKey)).all(), timedelta(days=90))
    assert len(drawn.rows) == 4
    for row in drawn.rows:
        signs, following = row.bars
        assert (signs.kind, following.kind) == ("a", "next")
        assert signs.x < drawn.today < signs.x + signs.width < following.x
        assert following.x + following.width <= time_line.WIDTH
        assert all(line.x + line.width <= time_line.WIDTH for line in row.lines)


@pytest.mark.parametrize("age", [0, 91, 400])
def test_the_time_line_holds_keys_of_any_age(app, session, age):
    for row in session.scalars(select(SigningKey)):
        row.activated_at = None if row.status == "next" else time_of.now() - timedelta(days=age)
    session.commit()
    with app.test_request_context():
        drawn = time_line.of(session.scalars(select(SigningKey)).all(), timedelta(days=90))
    for bar in (bar for row in drawn.rows for bar in row.bars):
        assert time_line.LEFT <= bar.x <= bar.x + bar.width <= time_line.WIDTH
        assert bar.width >= 1
