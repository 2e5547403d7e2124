"""What a thief of the database, of the logs or of an answer would find: nothing to use."""

from __future__ import annotations

import base64
import email
import json
import logging
import re
from datetime import datetime
from urllib.parse import quote, unquote

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from sqlalchemy import MetaData, select

from idp.directory.clients import service as clients
from idp.directory.resources import service as resources
from idp.directory.tenants import service as tenants
from idp.directory.users import service as users
from idp.directory.users.models import User
from idp.directory.users.service import NewUser
from idp.oauth.models import AuthorizationRequest
from idp.platform.audit.models import AuditEvent
from idp.platform.jobs import worker
from idp.platform.signing.algorithms import load_private
from idp.platform.signing.models import SigningKey
from idp.platform.signing.service import PURPOSE
from tests import protocol
from tests.attacks import forging, forms
from tests.conftest import ADMIN_PASSWORD, SECRET_KEY, IssuerClient
from tests.protocol import App, add_api, authorize, redeem, refresh, register, register_machine

TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
OLD_PASSWORD = "copper-lantern-meadow-71"
NEW_PASSWORD = "willow-harbour-thunder-38"
MISPLACED = "typed-into-the-wrong-field-64"
WRONG_PASSWORD = "typed-by-mistake-entirely-55"
PROPERTY = "private-setting-of-the-tenant-90210"


class Loot:
    """Everything that was handed out or shown, and in which forms it could turn up again."""

    def __init__(self):
        self.found = {}

    def add(self, what, *values):
        """Remember secrets."""
        for value in values:
            assert len(value) >= 16, (what, value)
            self.found[value] = what

    def tokens(self, what, answer):
        """Remember the tokens of an answer."""
        body = answer.get_json()
        for name in ("access_token", "refresh_token", "id_token"):
            if name in body:
                self.add(f"{what} {name}", body[name])
        return body

    def forms(self):
        """List the texts and bytes to look for."""
        for value, what in self.found.items():
            core = re.sub(r"^(rt_|at_)", "", value)
            if core.count(".") == 2:
                # Header and payload of a JWT are no secret; what makes it usable is the signature.
                core = core.rpartition(".")[2]
            raw = core.encode()
            yield what, raw
            yield what, quote(core, safe="").encode()
            yield what, base64.b64encode(raw).rstrip(b"=")[:-2]
            yield what, raw.hex().encode()
            if re.fullmatch(r"[A-Za-z0-9_-]{22,}", core) and len(core) % 4 != 1:
                decoded = base64.urlsafe_b64decode(core + "=" * (-len(core) % 4))
                yield what, decoded
                yield what, decoded.hex().encode()

    def search(self, where, content):
        """Fail when one of the secrets is there."""
        for what, form in self.forms():
            assert form not in content, f"{what} is readable in {where}"


def dumped(session):
    """Give every column of every table as the bytes that a dump would have."""
    connection = session.connection()
    metadata = MetaData()
    metadata.reflect(connection)
    assert len(metadata.tables) > 40
    for table in metadata.sorted_tables:
        for row in connection.execute(select(table)):
            for column, value in row._mapping.items():
                where = f"{table.name}.{column}"
                if isinstance(value, bytes):
                    yield where, value
                    yield where, value.hex().encode()
                elif isinstance(value, str):
                    yield where, value.encode()
                    yield where, unquote(value).encode()
                elif value is not None and not isinstance(value, (int, float, datetime)):
                    yield where, json.dumps(value, default=str).encode()


def private_parts(session, runtime):
    """Give the numbers of our private keys as text."""
    for row in session.scalars(select(SigningKey)):
        pem = runtime.keyring.decrypt(PURPOSE, row.private_encrypted)
        key = load_private(pem)
        if isinstance(key, rsa.RSAPrivateKey):
            number = key.private_numbers().d
            yield forging.encode(number.to_bytes((number.bit_length() + 7) // 8, "big"))
        elif isinstance(key, ec.EllipticCurvePrivateKey):
            yield forging.encode(key.private_numbers().private_value.to_bytes(32, "big"))
        else:
            assert isinstance(key, ed25519.Ed25519PrivateKey)
            yield forging.encode(key.private_bytes_raw())


def mailed_link(settings):
    """Read the link out of the last mail."""
    files = sorted(settings.outbox_dir.glob("*.eml"))
    message = email.message_from_bytes(files[-1].read_bytes())
    part = next(part for part in message.walk() if part.get_content_type() == "text/plain")
    text = part.get_payload(decode=True).decode()
    return re.search(r"/forgot/([A-Za-z0-9_-]+)", text)[1]


@pytest.mark.settings(log_level="DEBUG")
def test_nothing_that_was_handed_out_can_be_read_anywhere(
    client, session, runtime, settings, new_client, caplog, capsys, monkeypatch
):
    # Rows 25, 43 and 44: one full run with everything that works and much that does not.
    caplog.set_level(logging.DEBUG)
    loot, answers = Loot(), []
    loot.add("root secret", SECRET_KEY)
    loot.add("password", ADMIN_PASSWORD, OLD_PASSWORD, NEW_PASSWORD, WRONG_PASSWORD)
    loot.add("verifier", protocol.VERIFIER)
    loot.add("password in place of a name", MISPLACED)
    loot.add("private key", *private_parts(session, runtime))
    opened = IssuerClient.open

    def recorded(self, *args, **kwargs):
        answer = opened(self, *args, **kwargs)
        answers.append((answer.request.path, answer.get_data(as_text=True)))
        return answer

    monkeypatch.setattr(IssuerClient, "open", recorded)

    # Clients, an API, a tenant, a person
    key = forging.new_rsa()
    api = add_api(session)
    orders = App("orders", resources.add_secret(session, api), api.id)
    chosen = "a-secret-that-the-caller-chose-1"
    web = register(session, scopes=("openid", "profile", "orders.read"), require_consent=True)
    second = clients.add_secret(session, clients.get(session, "web"), chosen)
    opaque = register(session, "opaque", access_token_type=1)
    machine = register_machine(session, scopes=["orders.read"], access_token_type=1)
    register_machine(
        session,
        "signing",
        scopes=["orders.read"],
        token_endpoint_auth_method="private_key_jwt",
        jwks={"keys": [forging.rsa_jwk(key, kid="one")]},
    )
    loot.add("client secret", web.secret, second, opaque.secret, machine.secret, orders.secret)
    tenants.set_properties(session, tenants.get(session, 1), {"smtp": PROPERTY})
    loot.add("tenant property", PROPERTY)
    new = NewUser("ann", email="ann@app.example", password=OLD_PASSWORD)
    user = users.create(session, new, tenant_id=1)
    tenants.add_member(session, 1, user.id)
    session.commit()

    # Sign-in by the pages, with a mistake or two
    asked = authorize(client, web, scope="openid profile orders.read offline_access")
    handle = asked.location.partition("request=")[2]
    loot.add("handle", handle)
    forms.send(client, asked.location, login="ann", password=WRONG_PASSWORD)
    forms.send(client, asked.location, login=MISPLACED, password="x")
    signed_in = forms.sign_in(client, user, asked.location, OLD_PASSWORD)
    loot.add("session", client.get_cookie("idp_1", domain="127.0.0.1").value)
    consent = client.get(signed_in.location)
    allowed = forms.allow(
        client, consent.location, "openid", "profile", "orders.read", "offline_access"
    )
    code = protocol.code_of(client.get(allowed.location))
    loot.add("code", code)

    # Tokens of every kind, refusals among them
    redeem(client, web, code, code_verifier="w" * 43)
    redeem(client, web, code, client_secret=WRONG_PASSWORD)
    first = loot.tokens("first", redeem(client, web, code))
    newer = loot.tokens("second", refresh(client, web, first["refresh_token"]))
    loot.tokens("retry", refresh(client, web, first["refresh_token"]))
    last = loot.tokens("third", refresh(client, web, newer["refresh_token"]))
    answer = authorize(client, opaque, scope="openid offline_access")
    loot.add("code", protocol.code_of(answer))
    reference = loot.tokens("reference", redeem(client, opaque, protocol.code_of(answer)))
    loot.tokens("machine", protocol.machine_token(client, machine))
    assertion = forging.by_rsa(
        {"alg": "RS256", "kid": "one"},
        forging.assertion_claims("signing", "http://127.0.0.1:8000"),
        key,
    )
    loot.add("assertion", assertion)
    for _ in range(2):
        answer = client.post(
            "/connect/token",
            data={
                "grant_type": "client_credentials",
                "client_assertion_type": TYPE,
                "client_assertion": assertion,
            },
        )
        if answer.status_code == 200:
            loot.tokens("signing", answer)
    unused = protocol.code_of(authorize(client, web, scope="openid"))
    loot.add("unused code", unused)
    for token in (last["access_token"], reference["access_token"], last["refresh_token"]):
        for app in (web, opaque, orders):
            protocol.introspect(client, app, token)
        client.get("/connect/userinfo", headers=protocol.bearer(token))
        client.get("/connect/userinfo", headers=protocol.bearer(token + "x"))
        client.get("/connect/userinfo", query_string={"access_token": token})
        client.post("/connect/token", query_string={"refresh_token": token}, data=web.post)
    client.post("/connect/token", data={"grant_type": last["refresh_token"], **web.post})
    client.post("/connect/revocation", data={"token": reference["access_token"], **opaque.post})

    # Requests that wait, with an ID token in them
    hint = last["id_token"]
    kept = client.post(
        "/connect/authorize", data=protocol.authorization_parameters(web, id_token_hint=hint)
    )
    loot.add("handle", kept.location.partition("continue=")[2])
    waiting = new_client().get(
        "/connect/authorize",
        query_string=protocol.authorization_parameters(web, id_token_hint=hint),
    )
    loot.add("handle", waiting.location.partition("request=")[2])
    loot_logout = client.post("/connect/endsession", data={"id_token_hint": hint})
    loot.add("handle", loot_logout.location.partition("continue=")[2])
    assert session.scalars(select(AuthorizationRequest)).all()

    # A forgotten password
    stranger = new_client()
    for login in ("ann@app.example", MISPLACED):
        assert forms.send(stranger, "/forgot", login=login).status_code == 303
    queued = [content for _, content in dumped(session)]
    assert any(b"password_reset" in content for content in queued)
    for where, content in dumped(session):
        loot.search(where, content)
        assert b"ann@app.example" not in content or where.startswith("user."), where
    session.commit()
    while worker.deliver_due(runtime):
        pass
    link = mailed_link(settings)
    loot.add("link", link)
    done = forms.send(stranger, f"/forgot/{link}", password=NEW_PASSWORD, repeated=NEW_PASSWORD)
    assert done.status_code == 303, done.get_data(as_text=True)
    forms.sign_in(stranger, user, "/login", NEW_PASSWORD)
    loot.add("session", stranger.get_cookie("idp_1", domain="127.0.0.1").value)
    forms.send(stranger, "/logout", answer="yes")

    # The dump
    columns = set()
    for where, content in dumped(session):
        columns.add(where)
        loot.search(where, content)
    for where in (
        "authorization_code.code_hash",
        "refresh_token.token_hash",
        "reference_token.token_hash",
        "browser_session.token_hash",
        "client_secret.value_hash",
        "api_secret.value_hash",
        "one_time_key.key_hash",
        "signing_key.private_encrypted",
        "tenant_property.value_encrypted",
        "authorization_request.parameters",
        "audit_event.tag",
        "user.password_hash",
    ):
        assert where in columns, where
    if settings.database.startswith("sqlite"):
        session.close()
        for path in settings.data_dir.glob("*.sqlite3*"):
            loot.search(path.name, path.read_bytes())
    hashes = session.scalars(select(User.password_hash).where(User.password_hash.is_not(None)))
    assert all(text.startswith("$argon2id$") for text in hashes)

    # The logs, and the trail
    captured = capsys.readouterr()
    logged = captured.err + captured.out + caplog.text
    assert "request_served" in logged
    loot.search("the logs", logged.encode())
    assert "the-nonce" not in logged
    trail = session.scalars(select(AuditEvent)).all()
    assert len(trail) > 20
    for event in trail:
        text = json.dumps([event.tag, event.client_id, event.target, event.details])
        loot.search(f"audit event {event.tag}", text.encode())

    # The answers: a secret leaves once, in the answer that hands it out, and hashes never
    stamps = session.scalars(select(User.security_stamp)).all()
    hashes = [row.value_hash for row in clients.get(session, "web").secrets]
    assert len(answers) > 50
    for path, text in answers:
        for value in (*stamps, *hashes, "$argon2", "value_hash", "security_stamp", PROPERTY):
            assert value not in text, (path, value)
        for value, what in loot.found.items():
            if what in {"root secret", "password", "client secret", "verifier", "private key"}:
                assert value not in text, (path, what)
            if what == "session":
                assert value not in text, (path, what)
    gave = [path for path, text in answers if last["refresh_token"] in text]
    assert gave == ["/connect/token"]
