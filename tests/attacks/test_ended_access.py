"""What people and clients still can do after their access ended: nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest

from idp.directory.clients import service as clients
from idp.directory.tenants import service as tenants
from idp.directory.tenants.models import TenantStatus
from idp.directory.users import service as users
from idp.directory.users.models import User
from idp.platform import clock as now
from idp.platform.signing import signer
from tests import protocol
from tests.attacks import forms
from tests.protocol import (
    add_person,
    add_tenant,
    authorize,
    obtain,
    redeem,
    refresh,
    register,
    register_machine,
)


def lock(session, user):
    user.lockout_end = now.now() + timedelta(hours=1)


def change_password(session, user):
    users.set_password(session, user, "another-long-sentence-of-mine-8")


def leave(session, user):
    assert tenants.remove_member(session, 1, user.id)


ENDS = {
    "deleted": users.delete,
    "disabled": users.disable,
    "locked": lock,
    "password changed": change_password,
    "access ended": users.end_access,
    "membership removed": leave,
}


@pytest.mark.parametrize("how", ENDS)
def test_nothing_that_a_person_had_goes_on_working(client, session, new_client, how):
    # Row 24: refresh, userinfo, introspection, code, session; JWT and reference tokens.
    web = register(session)
    opaque = register(session, "opaque", access_token_type=1)
    user = add_person(session)
    protocol.sign_in(client, session, user)
    tokens = obtain(client, web, "openid offline_access")
    reference = obtain(client, opaque, "openid")
    code = protocol.code_of(authorize(client, web))
    other = add_person(session, "bob")
    neighbour = new_client()
    protocol.sign_in(neighbour, session, other)
    untouched = obtain(neighbour, web, "openid offline_access")

    ENDS[how](session, session.get(User, user.id))
    session.commit()

    for app, token in ((web, tokens.access), (opaque, reference.access), (web, tokens.refresh)):
        assert protocol.introspect(client, app, token) == {"active": False}
    for token in (tokens.access, reference.access):
        assert client.get("/connect/userinfo", headers=protocol.bearer(token)).status_code == 401
    assert refresh(client, web, tokens.refresh).get_json()["error"] == "invalid_grant"
    assert redeem(client, web, code).get_json()["error"] == "invalid_grant"
    asked = protocol.returned(authorize(client, web, prompt="none"))
    wanted = "access_denied" if how == "membership removed" else "login_required"
    assert asked["error"] == wanted
    assert protocol.is_active(client, web, untouched.access)
    assert refresh(client, web, untouched.refresh).status_code == 200


@pytest.mark.parametrize("how", ["deleted", "disabled", "locked"])
def test_who_may_not_sign_in_does_not(client, session, how):
    app = register(session)
    user = add_person(session)
    ENDS[how](session, user)
    session.commit()
    login = authorize(client, app).location
    refused = forms.send(client, login, login="ann", password=protocol.PASSWORD)
    wrong = forms.send(client, login, login="nobody", password=protocol.PASSWORD)
    assert refused.status_code == wrong.status_code == 400
    assert client.get_cookie("idp_1", domain="127.0.0.1") is None


@pytest.mark.no_database
def test_a_revocation_while_the_person_is_locked_out_lasts(client, session, clock):
    # The client was told that the token is gone; it must not come back when the lock ends.
    app = register(session)
    user = add_person(session)
    protocol.sign_in(client, session, user)
    kept, gone = obtain(client, app), obtain(client, app)
    lock(session, session.get(User, user.id))
    session.commit()
    answer = client.post("/connect/revocation", data={"token": gone.access, **app.post})
    assert answer.status_code == 200
    session.get(User, user.id).lockout_end = None
    session.commit()
    assert protocol.is_active(client, app, kept.access)
    assert not protocol.is_active(client, app, gone.access)


def test_a_disabled_tenant_ends_what_was_made_in_it(client, session):
    acme = add_tenant(session)
    protocol.add_api(session)
    app = register(session, "acme-web", tenant_id=acme)
    machine = register_machine(session, "acme-job", scopes=["orders.read"], tenant_id=acme)
    protocol.sign_in(client, session, add_person(session, tenant_ids=(acme,)))
    tokens = obtain(client, app, "openid offline_access")
    assert protocol.machine_token(client, machine).status_code == 200
    tenants.change(session, tenants.get(session, acme), status=TenantStatus.DISABLED)
    session.commit()
    assert refresh(client, app, tokens.refresh).status_code == 401
    assert (
        client.get("/connect/userinfo", headers=protocol.bearer(tokens.access)).status_code == 401
    )
    assert authorize(client, app).status_code == 400
    assert protocol.machine_token(client, machine).status_code == 401


def test_a_client_that_was_disabled_or_deleted_has_nothing(client, session):
    web, spy = register(session), register(session, "spy")
    protocol.sign_in(client, session, add_person(session))
    tokens = obtain(client, web, "openid offline_access")
    code = protocol.code_of(authorize(client, web))
    for change in ("disable", "delete"):
        row = clients.get(session, "web")
        if change == "disable":
            clients.update(session, row, {"enabled": False})
        else:
            clients.delete(session, row)
        session.commit()
        assert refresh(client, web, tokens.refresh).status_code == 401
        assert redeem(client, web, code).status_code == 401
        answer = client.get("/connect/userinfo", headers=protocol.bearer(tokens.access))
        assert answer.status_code == 401
        assert authorize(client, web).status_code == 400
        answer = client.post("/connect/introspect", data={"token": tokens.access, **web.post})
        assert answer.status_code == 401
        assert protocol.introspect(client, spy, tokens.access) == {"active": False}


@pytest.mark.no_database
def test_tokens_end_when_they_say_so(client, session, clock):
    app = register(session, access_token_lifetime=60, always_include_user_claims_in_id_token=True)
    opaque = register(session, "opaque", access_token_type=1, access_token_lifetime=60)
    protocol.sign_in(client, session, add_person(session))
    for client_app in (app, opaque):
        token = obtain(client, client_app).access
        clock.shift(59)
        assert protocol.is_active(client, client_app, token)
        clock.shift(1)
        assert not protocol.is_active(client, client_app, token)
        answer = client.get("/connect/userinfo", headers=protocol.bearer(token))
        assert answer.status_code == 401


@pytest.mark.no_database
def test_a_token_of_a_revoked_key_is_refused(client, session):
    from idp.platform.signing import service as signing

    app = register(session)
    protocol.sign_in(client, session, add_person(session))
    tokens = obtain(client, app)
    kid = protocol.header(tokens.access)["kid"]
    signing.revoke(session, kid)
    session.commit()
    assert not protocol.is_active(client, app, tokens.access)
    assert kid.encode() not in signer.keys(session).jwks
    published = client.get("/.well-known/openid-configuration/jwks").get_json()["keys"]
    assert kid not in {key["kid"] for key in published}
    assert protocol.is_active(client, app, obtain(client, app).access)
