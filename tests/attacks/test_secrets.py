"""What a thief of the database, of the logs or of an answer would find: nothing to use."""

from __future__ import annotations

import base64
import email
import json
import logging
import re
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import quote, unquote

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from sqlalchemy import MetaData, select
from sqlalchemy.orm import Session

from idp.config import Settings
from idp.directory.clients import service as clients
from idp.directory.resources import service as resources
from idp.directory.tenants import service as tenants
from idp.directory.users import service as users
from idp.directory.users.models import User
from idp.directory.users.service import NewUser
from idp.oauth.models import AuthorizationRequest
from idp.platform.audit.models import AuditEvent
from idp.platform.signing.algorithms import load_private
from idp.platform.signing.models import SigningKey
from idp.platform.signing.service import PURPOSE
from tests import protocol
from tests.attacks import forging, forms
from tests.conftest import ADMIN_PASSWORD, SECRET_KEY, IssuerClient
from tests.delivery import deliver_due
from tests.protocol import App, add_api, authorize, redeem, refresh, register, register_machine

MAIL = "ann@app.example"
TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
OLD_PASSWORD = "copper-lantern-meadow-71"
NEW_PASSWORD = "willow-harbour-thunder-38"
MISPLACED = "typed-into-the-wrong-field-64"
WRONG_PASSWORD = "typed-by-mistake-entirely-55"
PROPERTY = "private-setting-of-the-tenant-90210"

SHOWN_TO_US_OR_NOBODY = frozenset(
    {"root secret", "password", "client secret", "verifier", "private key", "session"}
)
FILLED = frozenset(
    {
        "api_secret.value_hash",
        "audit_event.tag",
        "authorization_code.code_hash",
        "authorization_request.parameters",
        "browser_session.token_hash",
        "client_secret.value_hash",
        "one_time_key.key_hash",
        "reference_token.token_hash",
        "refresh_family.secret_hash",
        "signing_key.private_encrypted",
        "tenant_property.value_encrypted",
        "user.password_hash",
    }
)


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
    """Return every column of every table as the bytes that a dump would have."""
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
    """Return the numbers of our private keys as text."""
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


@dataclass
class World:
    """Who takes part in the full run."""

    client: IssuerClient
    stranger: IssuerClient
    session: Session
    settings: Settings
    loot: Loot
    key: rsa.RSAPrivateKey = field(default_factory=forging.new_rsa)
    apps: dict[str, App] = field(default_factory=dict)


def register_all(world):
    """Register clients, an API, a tenant's setting and a person."""
    session, loot = world.session, world.loot
    api = add_api(session)
    chosen = "a-secret-that-the-caller-chose-1"
    world.apps = {
        "orders": App("orders", resources.add_secret(session, api), api.id),
        "web": register(session, scopes=("openid", "profile", "orders.read"), require_consent=True),
        "opaque": register(session, "opaque", access_token_type=1),
        "machine": register_machine(session, scopes=["orders.read"], access_token_type=1),
    }
    register_machine(
        session,
        "signing",
        scopes=["orders.read"],
        token_endpoint_auth_method="private_key_jwt",
        jwks={"keys": [forging.rsa_jwk(world.key, kid="one")]},
    )
    loot.add("client secret", clients.add_secret(session, clients.get(session, "web"), chosen))
    loot.add("client secret", *(str(app.secret) for app in world.apps.values()))
    tenants.set_properties(session, tenants.get(session, 1), {"smtp": PROPERTY})
    new = NewUser("ann", email=MAIL, password=OLD_PASSWORD)
    user = users.create(session, new, tenant_id=1)
    tenants.add_member(session, 1, user.id)
    session.commit()
    return user


def sign_in_with_mistakes(world, user):
    """Go through the pages; return a code."""
    client, web = world.client, world.apps["web"]
    asked = authorize(client, web, scope="openid profile orders.read offline_access")
    world.loot.add("handle", asked.location.partition("request=")[2])
    forms.send(client, asked.location, login="ann", password=WRONG_PASSWORD)
    forms.send(client, asked.location, login=MISPLACED, password="x")
    signed_in = forms.sign_in(client, user, asked.location, OLD_PASSWORD)
    world.loot.add("session", client.get_cookie("idp_1", domain="127.0.0.1").value)
    consent = client.get(signed_in.location)
    allowed = forms.allow(
        client, consent.location, "openid", "profile", "orders.read", "offline_access"
    )
    code = protocol.code_of(client.get(allowed.location))
    world.loot.add("code", code)
    return code


def get_tokens(world, code):
    """Get tokens of every kind, with refusals between; return those to go on with."""
    client, loot, apps = world.client, world.loot, world.apps
    web, opaque = apps["web"], apps["opaque"]
    redeem(client, web, code, code_verifier="w" * 43)
    redeem(client, web, code, client_secret=WRONG_PASSWORD)
    first = loot.tokens("first", redeem(client, web, code))
    newer = loot.tokens("second", refresh(client, web, first["refresh_token"]))
    loot.tokens("retry", refresh(client, web, first["refresh_token"]))
    last = loot.tokens("third", refresh(client, web, newer["refresh_token"]))
    answer = authorize(client, opaque, scope="openid offline_access")
    loot.add("code", protocol.code_of(answer))
    reference = loot.tokens("reference", redeem(client, opaque, protocol.code_of(answer)))
    loot.tokens("machine", protocol.machine_token(client, apps["machine"]))
    loot.add("unused code", protocol.code_of(authorize(client, web, scope="openid")))
    claims = forging.assertion_claims("signing", "http://127.0.0.1:8000")
    assertion = forging.by_rsa({"alg": "RS256", "kid": "one"}, claims, world.key)
    loot.add("assertion", assertion)
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": TYPE,
        "client_assertion": assertion,
    }
    loot.tokens("signing", client.post("/connect/token", data=form))
    assert client.post("/connect/token", data=form).status_code == 401
    return last, reference


def show_tokens(world, last, reference):
    """Show tokens where they belong and where they do not."""
    client, apps = world.client, world.apps
    for token in (last["access_token"], reference["access_token"], last["refresh_token"]):
        for name in ("web", "opaque", "orders"):
            protocol.introspect(client, apps[name], token)
        client.get("/connect/userinfo", headers=protocol.bearer(token))
        client.get("/connect/userinfo", headers=protocol.bearer(token + "x"))
        client.get("/connect/userinfo", query_string={"access_token": token})
        query = {"refresh_token": token}
        client.post("/connect/token", query_string=query, data=apps["web"].post)
    misplaced = {"grant_type": last["refresh_token"], **apps["web"].post}
    client.post("/connect/token", data=misplaced)
    revoked = {"token": reference["access_token"], **apps["opaque"].post}
    client.post("/connect/revocation", data=revoked)


def leave_waiting(world, hint):
    """Leave requests with an ID token in them unanswered."""
    query = protocol.authorization_parameters(world.apps["web"], id_token_hint=hint)
    posted = world.client.post("/connect/authorize", data=query)
    asked = world.stranger.get("/connect/authorize", query_string=query)
    logout = world.client.post("/connect/endsession", data={"id_token_hint": hint})
    for answer in (posted, asked, logout):
        world.loot.add("handle", answer.location.partition("=")[2])
    assert len(world.session.scalars(select(AuthorizationRequest)).all()) == 3


def reset_password(world, user, runtime):
    """Forget the password, follow the mailed link, sign out, in and out."""
    browser, loot = world.stranger, world.loot
    for login in (MAIL, MISPLACED):
        assert forms.send(browser, "/forgot", login=login).status_code == 303
    queued = list(dumped(world.session))
    assert any(b"password_reset" in content for _, content in queued)
    for where, content in queued:
        loot.search(where, content)
        assert MAIL.encode() not in content or where.startswith("user."), where
    world.session.commit()
    while deliver_due(runtime):
        pass
    link = mailed_link(world.settings)
    loot.add("link", link)
    new = {"password": NEW_PASSWORD, "repeated": NEW_PASSWORD}
    done = forms.send(browser, f"/forgot/{link}", **new)
    assert done.status_code == 303, done.get_data(as_text=True)
    loot.add("session", browser.get_cookie("idp_1", domain="127.0.0.1").value)
    forms.send(browser, "/logout", answer="yes")
    forms.sign_in(browser, user, "/login", NEW_PASSWORD)
    loot.add("session", browser.get_cookie("idp_1", domain="127.0.0.1").value)
    forms.send(browser, "/logout", answer="yes")


def search_dump(world):
    """Look through every column of every table, and through the files."""
    columns = set()
    for where, content in dumped(world.session):
        columns.add(where)
        world.loot.search(where, content)
    # What holds a secret in some form was filled, or the search would prove nothing.
    assert columns >= FILLED, FILLED - columns
    hashes = world.session.scalars(
        select(User.password_hash).where(User.password_hash.is_not(None))
    )
    assert all(text.startswith("$argon2id$") for text in hashes)
    world.session.close()
    for path in world.settings.data_dir.glob("*.sqlite3*"):
        world.loot.search(path.name, path.read_bytes())


def search_answers(world, answers, last):
    """A secret leaves once, in the answer that hands it out; hashes never do."""
    session = world.session
    never = {
        *session.scalars(select(User.security_stamp)),
        *(row.value_hash for row in clients.get(session, "web").secrets),
        *("$argon2", "value_hash", "security_stamp", PROPERTY),
        *(value for value, what in world.loot.found.items() if what in SHOWN_TO_US_OR_NOBODY),
    }
    assert len(answers) > 50
    for path, text in answers:
        for value in never:
            assert value not in text, (path, value)
    gave = [path for path, text in answers if last["refresh_token"] in text]
    assert gave == ["/connect/token"]


@pytest.mark.settings(log_level="DEBUG")
def test_nothing_that_was_handed_out_can_be_read_anywhere(
    client, session, runtime, settings, new_client, caplog, capsys, monkeypatch
):
    # Rows 25, 43 and 44: one full run with everything that works and much that does not.
    caplog.set_level(logging.DEBUG)
    loot, answers = Loot(), []
    loot.add("root secret", SECRET_KEY)
    loot.add("password", ADMIN_PASSWORD, OLD_PASSWORD, NEW_PASSWORD, WRONG_PASSWORD)
    loot.add("password in place of a name", MISPLACED)
    loot.add("verifier", protocol.VERIFIER)
    loot.add("tenant property", PROPERTY)
    loot.add("private key", *private_parts(session, runtime))
    opened = IssuerClient.open

    def recorded(self, *args, **kwargs):
        answer = opened(self, *args, **kwargs)
        answers.append((answer.request.path, answer.get_data(as_text=True)))
        return answer

    monkeypatch.setattr(IssuerClient, "open", recorded)
    world = World(client, new_client(), session, settings, loot)
    user = register_all(world)
    code = sign_in_with_mistakes(world, user)
    last, reference = get_tokens(world, code)
    show_tokens(world, last, reference)
    leave_waiting(world, last["id_token"])
    reset_password(world, user, runtime)

    search_dump(world)
    captured = capsys.readouterr()
    logged = captured.err + captured.out + caplog.text
    assert "request_served" in logged
    loot.search("the logs", logged.encode())
    trail = session.scalars(select(AuditEvent)).all()
    assert len(trail) > 20
    for event in trail:
        text = json.dumps([event.tag, event.client_id, event.target, event.details])
        loot.search(f"audit event {event.tag}", text.encode())
    search_answers(world, answers, last)
