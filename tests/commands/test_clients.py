"""`idp client`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from idp.directory.clients import service as clients
from idp.directory.clients.models import ClientOwner
from idp.oauth import authlib_adapter
from idp.platform.runtime import Runtime
from tests import protocol

Run = Callable[..., Result]
RunJson = Callable[..., Any]
ADD = ("client", "add", "--id", "app")
MACHINE = ("--grant", "client_credentials")
CODE = ("--grant", "authorization_code", "--redirect", "https://app.example/cb")


def test_a_client_speaks_rfc_7591(idp_json: RunJson, session: Session, runtime: Runtime) -> None:
    made = idp_json(
        *(*ADD, *CODE, "--grant", "refresh_token", "--redirect", "http://localhost:9/cb"),
        *("--scope", "openid profile", "--scope", "email", "--name", "My app"),
        *("--post-logout", "https://app.example/", "--set", "requirePkce=false"),
        *("--set", "id_token_signed_response_alg=ES256"),
        *("--set", "grantable_privileges=orders.write,orders.read"),
        *("--set", "refresh_token_reuse_seconds=86400"),
    )
    assert made["client_id"] == "app"
    assert made["client_secret_expires_at"] == 0
    assert made["client_name"] == "My app"
    assert made["grant_types"] == ["authorization_code", "refresh_token"]
    assert made["response_types"] == ["code"]
    assert made["redirect_uris"] == ["https://app.example/cb", "http://localhost:9/cb"]
    assert made["post_logout_redirect_uris"] == ["https://app.example/"]
    assert made["scope"] == "openid profile email offline_access"
    assert made["token_endpoint_auth_method"] == "client_secret_basic"
    assert made["require_pkce"] is False
    row = clients.get(session, "app")
    assert row.id_token_signed_response_alg == "ES256"
    assert row.grantable_privileges == ["orders.read", "orders.write"]
    assert row.refresh_token_reuse_seconds == 86_400
    stored = row.secrets[0].value_hash
    assert runtime.keyring.mac_matches("client secret", made["client_secret"], stored)
    assert session.get(ClientOwner, (1, row.id)) is not None, "the administrator owns it"


@pytest.mark.parametrize("kind", ["web", "spa", "native", "device", "service"])
def test_authlib_reads_what_is_registered(
    kind: str, idp_json: RunJson, session: Session, client: FlaskClient
) -> None:
    protocol.add_api(session)
    redirect = () if kind in {"device", "service"} else ("--redirect", "http://127.0.0.1/callback")
    scope = "orders.read" if kind == "service" else "openid email"
    made = idp_json(*ADD, "--kind", kind, "--scope", scope, *redirect)
    metadata = client.get("/.well-known/oauth-authorization-server").get_json()
    authlib_adapter.check_client(made, metadata)
    for wrong in ({"grant_types": ["password"]}, {"scope": "unheard"}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            authlib_adapter.check_client(made | wrong, metadata)


def test_a_public_client_has_no_secret(idp_json: RunJson) -> None:
    made = idp_json(*ADD, *CODE, "--public")
    assert "client_secret" not in made
    assert made["token_endpoint_auth_method"] == "none"
    assert made["require_pkce"] is True


def test_a_chosen_secret(idp_json: RunJson, idp: Run) -> None:
    chosen = "chosen-by-the-caller-1234"
    assert idp_json(*ADD, *MACHINE, "--secret", chosen)["client_secret"] == chosen
    refused = idp("client", "add", "--id", "b", *MACHINE, "--secret", "geheim", code=1)
    assert refused.stderr == "Error: A secret must have at least 24 characters.\n"


@pytest.mark.no_database
@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ((*MACHINE, "--set", "nonsense=1"), "There is no setting nonsense"),
        ((*MACHINE, "--set", "requirePkce"), "--set takes NAME=VALUE"),
        (("--grant", "password"), "'password' is not supported"),
        ((*MACHINE, "--scope", "none.such"), "There is no scope none.such."),
        ((*MACHINE, "--redirect", "https://*.example/"), "wildcard"),
        ((*MACHINE, "--tenant", "77"), "There is no such tenant."),
        ((*CODE, "--public", "--set", "requirePkce=false"), "must use PKCE"),
        ((*CODE, "--public", "--set", "refresh_token_usage=0"), "public client must be one-time"),
        (
            (*MACHINE, "--id", "https://app.example", "--tenant", "1"),
            "Only a client of the platform",
        ),
    ],
)
def test_refusals_are_sentences(
    idp: Run, session: Session, arguments: tuple[str, ...], part: str
) -> None:
    result = idp(*ADD, *arguments, code=1)
    assert part in result.stderr
    assert result.stdout == ""
    assert clients.find(session, "app") is None


def test_secrets_are_added_and_never_listed(
    idp_json: RunJson, idp: Run, session: Session, runtime: Runtime
) -> None:
    first = idp_json(*ADD, *MACHINE)["client_secret"]
    second = idp_json("client", "secret", "app", "--days", "30", "--description", "next")
    assert second["client_secret"] != first
    assert second["client_secret_expires_at"] > 1_700_000_000
    third = idp("client", "secret", "--id", "app").stdout
    rows = clients.get(session, "app").secrets
    assert [row.description for row in rows] == [None, "next", None]
    assert rows[0].expires_at is None
    session.commit()
    for listing in (idp("client", "list").output, idp("client", "list", "--json").output):
        assert "app" in listing
        assert first not in listing
        assert second["client_secret"] not in listing
        assert third.split("client_secret: ")[1].split("\n")[0] not in listing
        assert not any(row.value_hash in listing for row in rows)
    assert "There is no such client." in idp("client", "secret", "none", code=1).stderr
    assert "Name the client." in idp("client", "secret", code=1).stderr


def test_listing_says_what_a_client_may(idp_json: RunJson) -> None:
    idp_json(*ADD, *CODE)
    listed = {row["client_id"]: row for row in idp_json("client", "list")}
    assert listed["app"]["redirect_uris"] == ["https://app.example/cb"]
    assert listed["app"]["enabled"] is True
    assert idp_json("client", "list", "--tenant", "1") == []


@pytest.mark.parametrize(
    ("kind", "arguments", "wanted"),
    [
        (
            "web",
            ("--redirect", "https://a.example/cb"),
            {
                "grant_types": ["authorization_code"],
                "token_endpoint_auth_method": "client_secret_basic",
                "scope": "openid profile",
            },
        ),
        (
            "spa",
            ("--redirect", "https://a.example/cb", "--scope", "openid"),
            {
                "grant_types": ["authorization_code"],
                "token_endpoint_auth_method": "none",
                "scope": "openid",
                "cors_origins": ["https://a.example"],
            },
        ),
        (
            "native",
            ("--redirect", "com.example.app:/cb"),
            {
                "grant_types": ["authorization_code", "refresh_token"],
                "application_type": "native",
                "token_endpoint_auth_method": "none",
                "scope": "openid profile offline_access",
            },
        ),
        ("service", (), {"grant_types": ["client_credentials"], "scope": ""}),
    ],
)
def test_a_kind_sets_what_a_client_of_it_needs(
    idp_json: RunJson, kind: str, arguments: tuple[str, ...], wanted: dict[str, Any]
) -> None:
    idp_json(*ADD, "--kind", kind, *arguments)
    shown = idp_json("client", "show", "app")
    assert {name: shown[name] for name in wanted} == wanted
    assert shown["require_pkce"] is True


@pytest.mark.no_database
def test_a_client_that_could_do_nothing_is_refused(idp: Run, session: Session) -> None:
    refused = idp(*ADD, code=1).stderr
    assert refused.startswith("Error: A client needs a kind (web, spa, native, device, service)")
    assert "redirect URI" in idp(*ADD, "--kind", "web", code=1).stderr
    assert clients.find(session, "app") is None


def test_a_client_is_changed_list_by_list(idp_json: RunJson, session: Session) -> None:
    idp_json(*ADD, "--kind", "web", "--redirect", "https://a.example/cb")
    changed = idp_json(
        *("client", "change", "app", "--name", "The app", "--set", "access_token_lifetime=600"),
        *("--redirect", "https://b.example/cb", "--redirect", "https://c.example/cb"),
        *("--grant", "authorization_code", "--grant", "refresh_token", "--disable"),
    )
    assert changed["redirect_uris"] == ["https://b.example/cb", "https://c.example/cb"]
    assert changed["grant_types"] == ["authorization_code", "refresh_token"]
    assert changed["scope"] == "openid profile offline_access"
    assert (changed["client_name"], changed["enabled"]) == ("The app", False)
    assert changed["access_token_lifetime"] == 600
    cleared = idp_json("client", "change", "app", "--enable", "--clear", "--scope")
    assert (cleared["scope"], cleared["enabled"]) == ("offline_access", True)
    assert cleared["redirect_uris"] == changed["redirect_uris"]


@pytest.mark.no_database
@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ((), "Name at least one change."),
        (("--clear", "--redirect"), "requires a redirect URI"),
        (("--scope", "none.such"), "There is no scope none.such."),
        (("--set", "nonsense=1"), "There is no setting nonsense"),
    ],
)
def test_a_refused_change_changes_nothing(
    idp: Run, idp_json: RunJson, arguments: tuple[str, ...], part: str
) -> None:
    idp_json(*ADD, "--kind", "web", "--redirect", "https://a.example/cb")
    before = idp_json("client", "show", "app")
    assert part in idp("client", "change", "app", *arguments, code=1).stderr
    assert idp_json("client", "show", "app") == before
    assert "no such client" in idp("client", "change", "none", "--name", "x", code=1).stderr


def test_a_client_is_deleted_after_a_question(idp: Run, idp_json: RunJson) -> None:
    idp_json(*ADD, "--kind", "service")
    asked = idp("client", "remove", "app", code=1)
    assert "Delete app? 0 sign-ins end with it." in asked.output
    assert idp_json("client", "show", "app")["client_id"] == "app"
    unconfirmed = idp("client", "remove", "app", "--json", code=2)
    assert "confirm with --yes" in unconfirmed.stderr
    assert idp_json("client", "remove", "app", "--yes") == {"client_id": "app", "grants_ended": 0}
    assert "There is no such client." in idp("client", "show", "app", code=1).stderr


def test_secrets_are_shown_without_their_values(idp: Run, idp_json: RunJson) -> None:
    first = idp_json(*ADD, "--kind", "service")["client_secret"]
    idp_json("client", "secret", "app", "--description", "next", "--days", "30")
    shown = idp_json("client", "show", "app")
    assert [row["description"] for row in shown["client_secrets"]] == [None, "next"]
    assert shown["client_secrets"][0]["expires_at"] == 0
    assert first not in idp("client", "show", "app").output


def test_a_secret_is_removed_and_the_others_stay(idp: Run, idp_json: RunJson) -> None:
    idp_json(*ADD, "--kind", "service")
    idp_json("client", "secret", "app", "--description", "next")
    old, new = idp_json("client", "show", "app")["client_secrets"]
    remove = ("client", "change", "app", "--remove-secret", str(old["id"]))
    left = idp_json(*remove)
    assert left["client_secrets"] == [new]
    refused = idp(*remove, code=1)
    assert "The client has no such secret." in refused.stderr
