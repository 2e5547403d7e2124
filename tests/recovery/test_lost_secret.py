"""`idp keys reset --lost-root-secret`: an installation goes on without its root secret."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import select
from sqlalchemy.orm import Session

from idp.app import create_app
from idp.config import Settings
from idp.directory.clients import service as clients
from idp.directory.factors import recovery
from idp.directory.factors.models import RecoveryCode, Totp
from idp.directory.resources import service as resources
from idp.directory.tenants import service as tenants
from idp.directory.users.models import User
from idp.platform.audit.models import AuditEvent
from idp.platform.audit.tags import Tag
from idp.platform.jobs import service as jobs
from idp.platform.jobs.models import OutboxMessage
from idp.platform.runtime import Runtime
from idp.publishing.codegen.models import GithubOptions, NpmOptions
from tests import protocol
from tests.conftest import SECRET_KEY, IssuerClient
from tests.protocol import App, add_person, obtain, refresh, register, register_machine
from tests.recovery.conftest import Run

NEW = "another root secret of an operator"
COMMAND = ("keys", "reset", "--lost-root-secret", "--yes")


@pytest.fixture
def used(session: Session) -> App:
    """Use everything that the root secret protects."""
    app = register(session)
    api = protocol.add_api(session)
    resources.add_secret(session, api)
    tenants.set_properties(session, tenants.get(session, 1), {"ApiKey": "very secret"})
    jobs.enqueue(session, "mail", {"to": "a@b.example"})
    keyring = protocol.runtime.of(session).keyring
    sealed = keyring.encrypt("publish token", b"token")
    session.add_all(
        [
            NpmOptions(
                api_resource_id=api.id,
                language="javascript",
                name="orders",
                sdk_name="Orders",
                version="1.0.0",
                homepage="https://example.com",
                token_encrypted=sealed,
            ),
            GithubOptions(api_resource_id=api.id, user_agent="idp", token_encrypted=sealed),
        ]
    )
    session.commit()
    return app


def served_with(settings: Settings, secret: str) -> IssuerClient:
    given = {name: getattr(settings, name) for name in settings.model_fields_set}
    app = create_app(Settings(**{**given, "secret_key": SecretStr(secret)}))
    return IssuerClient(app, settings.public_url, None)


def test_an_installation_goes_on_without_its_secret(
    idp: Run,
    idp_json: Any,
    session: Session,
    settings: Settings,
    client: IssuerClient,
    used: App,
) -> None:
    user = add_person(session)
    ben = add_person(session, "ben")
    protocol.add_authenticator(session, ben)
    recovery.replace_all(session, ben.id)
    name, cookie = protocol.start_session(session, "127.0.0.1:8000", user)
    client.set_cookie(name, cookie, domain="127.0.0.1")
    tokens = obtain(client, used, "openid offline_access")
    machine = register_machine(session, scopes=["orders.read"])
    held = session.get_one(User, user.id).password_hash
    before = {key["kid"] for key in idp_json("keys", "list") if key["status"] == "active"}
    session.commit()
    assert "does not open" in idp("keys", "rotate", code=1, IDP_SECRET_KEY=NEW).stderr

    told = idp_json(*COMMAND, IDP_SECRET_KEY=NEW)
    assert before <= set(told["replaced_keys"])
    assert told["tenant_properties"] == ["1:ApiKey"]
    assert told["messages"] == 1
    assert told["publish_tokens"] == ["orders"]
    assert told["client_secrets"] == sorted(["web", "machine"])
    assert told["api_secrets"] == ["orders"]
    assert told["publications"] == []
    assert told["second_factors"] == [ben.id]

    keys = idp_json("keys", "list", IDP_SECRET_KEY=NEW)
    active = {key["kid"] for key in keys if key["status"] == "active"}
    assert len(active) == 4
    assert not active & before
    # What still stands with the former ones is published until it has expired.
    assert before == {key["kid"] for key in keys if key["status"] == "retired"}
    session.expire_all()
    assert session.scalars(select(NpmOptions)).all() == []
    assert session.scalars(select(GithubOptions.token_encrypted)).one() is None
    assert session.scalars(select(Totp)).all() == session.scalars(select(RecoveryCode)).all() == []
    assert session.scalars(select(OutboxMessage.payload_encrypted)).all() == [None]
    assert session.get_one(User, user.id).password_hash == held
    assert idp_json("keys", "rewrap", IDP_SECRET_KEY=NEW)["signing_keys"] == 0

    there = served_with(settings, NEW)
    assert there.get("/readyz").status_code == 200
    refused = protocol.machine_token(there, machine)
    assert refused.status_code == 401
    secret = idp_json("client", "secret", "machine", IDP_SECRET_KEY=NEW)["client_secret"]
    renewed = App("machine", secret, machine.row_id)
    fresh = protocol.machine_token(there, renewed).get_json()["access_token"]
    assert protocol.header(fresh)["kid"] in active
    assert protocol.is_active(there, renewed, fresh)
    web = App("web", idp_json("client", "secret", "web", IDP_SECRET_KEY=NEW)["client_secret"], 0)
    assert refresh(there, web, tokens.refresh).status_code == 400
    there.application.extensions["idp"].engine.dispose()


def test_what_can_be_read_stays(idp_json: Any, session: Session, used: App) -> None:
    before = idp_json("keys", "list")
    told = idp_json(*COMMAND)
    assert [told[name] for name in sorted(told) if name != "messages"] == [[]] * 7
    assert told["messages"] == 0
    assert idp_json("keys", "list") == before
    assert tenants.properties(session, 1) == {"ApiKey": "very secret"}
    told = idp_json(*COMMAND, IDP_SECRET_KEY=f"{NEW},{SECRET_KEY}")
    assert told["client_secrets"] == []
    assert clients.get(session, used.client_id).secrets
    found = session.scalars(select(AuditEvent).where(AuditEvent.tag == Tag.ROOT_SECRET_RESET))
    assert len(found.all()) == 2


def test_a_published_api_stays_published(
    idp_json: Any, session: Session, runtime: Runtime, settings: Settings
) -> None:
    from idp.publishing.gateway import tables
    from idp.publishing.gateway.models import Publication, PublicationVersion

    api_id = protocol.add_api(session).id
    sealed = runtime.keyring.encrypt(tables.PURPOSE, b'{"aid": "orders", "policy": "<secret/>"}')
    session.add(
        Publication(
            api_resource_id=api_id,
            suffix="orders",
            suffix_key="orders",
            configuration_encrypted=sealed,
            versions=[PublicationVersion(aid="orders", name="", product_ids=[])],
        )
    )
    session.commit()
    assert idp_json(*COMMAND, IDP_SECRET_KEY=NEW)["publications"] == ["orders"]
    there = served_with(settings, NEW)
    with there.application.extensions["idp"].sessions() as other:
        state = tables.find(other, api_id)
    assert state is not None
    assert '"aid":"orders"' in state.configuration
    assert "secret" not in state.configuration
    there.application.extensions["idp"].engine.dispose()


def test_it_is_not_run_by_mistake(idp: Run, session: Session, used: App) -> None:
    refused = idp("keys", "reset", "--yes", code=2, IDP_SECRET_KEY=NEW)
    assert "--lost-root-secret" in refused.stderr
    idp("keys", "reset", "--lost-root-secret", code=1, IDP_SECRET_KEY=NEW)
    assert "--yes" in idp("keys", "reset", "--lost-root-secret", "--json", code=2).stderr
    assert tenants.properties(session, 1) == {"ApiKey": "very secret"}
