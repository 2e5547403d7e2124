"""Audit events that a day of the provider leaves behind."""

from __future__ import annotations

from sqlalchemy import select

from idp.oauth.models import Grant
from idp.platform.audit.models import AuditEvent
from idp.platform.signing import service as signing
from tests import protocol
from tests.attacks import forms
from tests.protocol import add_api, add_person, register


def trail(session):
    """Return tag, person, client and target of every event, the oldest first."""
    events = session.scalars(
        select(AuditEvent).order_by(AuditEvent.id).execution_options(populate_existing=True)
    )
    return [(event.tag, event.user_id, event.client_id, event.target) for event in events]


def test_a_sign_in_and_its_tokens_can_be_followed(client, session):
    add_api(session)
    app = register(session, scopes=("openid", "orders.read"), require_consent=True)
    user = add_person(session)
    before = len(trail(session))

    asked = protocol.authorize(client, app, scope="openid orders.read offline_access")
    signed_in = forms.sign_in(client, user, asked.location)
    consent = client.get(signed_in.location)
    scopes = ("openid", "orders.read", "offline_access")
    allowed = forms.allow(client, consent.location, *scopes)
    code = protocol.code_of(client.get(allowed.location))
    tokens = protocol.redeem(client, app, code).get_json()
    newer = protocol.refresh(client, app, tokens["refresh_token"]).get_json()
    for token in (newer["access_token"], newer["refresh_token"]):
        form = {"token": token, **app.post}
        assert client.post("/connect/revocation", data=form).status_code == 200

    claims = protocol.payload(newer["access_token"])
    grant = f"grant:{session.scalars(select(Grant.id)).one()}"
    assert trail(session)[before:] == [
        ("user:session:started", user.id, "web", None),
        ("user:consent:given", user.id, "web", None),
        ("client:code:issued", user.id, "web", grant),
        ("client:token:issued", user.id, "web", grant),
        ("client:token:refreshed", user.id, "web", grant),
        ("client:token:revoked", user.id, "web", f"jti:{claims['jti']}"),
        ("client:grant:revoked", user.id, "web", grant),
    ]


def test_the_life_of_a_key_can_be_followed(session):
    keys = {key.status: key.kid for key in signing.list_keys(session) if key.alg == "ES256"}
    before = len(trail(session))
    active = signing.rotate(session, "ES256")
    assert active == keys["next"]
    signing.revoke(session, active)
    session.commit()

    after = {key.status: key.kid for key in signing.list_keys(session) if key.alg == "ES256"}
    events = [(tag, target) for tag, *_, target in trail(session)[before:]]
    assert events[:3] == [
        ("system:key:activated", f"key:{active}"),
        ("system:key:created", events[1][1]),
        ("system:key:rotated", f"key:{keys['active']}"),
    ]
    assert events[3] == ("system:key:revoked", f"key:{active}")
    assert ("system:key:activated", f"key:{after['active']}") in events[4:]
    assert ("system:key:created", f"key:{after['next']}") in events[4:]
