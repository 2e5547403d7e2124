"""`idp tenant`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result
from flask.testing import FlaskClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from idp.directory.tenants import service as tenants
from idp.directory.tenants.models import Tenant

Run = Callable[..., Result]
RunJson = Callable[..., Any]


def test_a_tenant_without_hosts_signs_in_at_issuer_1(idp_json: RunJson) -> None:
    made = idp_json("tenant", "add", "Acme")
    assert made == {
        "id": made["id"],
        "name": "Acme",
        "enabled": True,
        "hosts": [],
        "type": None,
        "bundle": None,
        "issuer": idp_json("tenant", "show", "1")["issuer"],
        "administrators": [],
        "members": 0,
    }
    idp_json("user", "add", "--username", "ann", "--tenant", str(made["id"]))
    assert idp_json("tenant", "show", str(made["id"]))["members"] == 1


def test_a_tenant_with_a_host_is_an_issuer_at_once(idp_json: RunJson, client: FlaskClient) -> None:
    made = idp_json("tenant", "add", "Globex", "--host", "login.globex.example")
    assert made["issuer"] == "http://login.globex.example"
    answer = client.get(
        "/.well-known/openid-configuration", headers={"Host": "login.globex.example"}
    )
    assert answer.json["issuer"] == "http://login.globex.example"


def test_name_hosts_and_state_are_changed_each_by_itself(idp_json: RunJson) -> None:
    tenant = str(idp_json("tenant", "add", "Globex", "--host", "a.example")["id"])
    renamed = idp_json("tenant", "change", tenant, "--name", "Globex Ltd")
    assert (renamed["name"], renamed["hosts"]) == ("Globex Ltd", ["a.example"])
    moved = idp_json(
        *("tenant", "change", tenant, "--host", "a.example", "--host", "b.example"),
        *("--issuer-host", "b.example"),
    )
    assert (moved["hosts"], moved["issuer"]) == (["a.example", "b.example"], "http://b.example")
    assert idp_json("tenant", "change", tenant, "--disable")["enabled"] is False
    back = idp_json("tenant", "change", tenant, "--enable", "--no-hosts")
    assert (back["enabled"], back["hosts"]) == (True, [])


def test_tenants_are_listed_page_by_page(idp_json: RunJson) -> None:
    for name in ("A", "B", "C"):
        idp_json("tenant", "add", name)
    first = idp_json("tenant", "list", "--limit", "2")
    assert [row["name"] for row in first][1:] == ["A"]
    rest = idp_json("tenant", "list", "--after", str(first[-1]["id"]))
    assert [row["name"] for row in rest] == ["B", "C"]


@pytest.mark.no_database
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("add", " "), "A name must have 1 to 200 printable characters."),
        (("add", "A", "--host", "no host"), "'no host' is not a host with an optional port."),
        (("add", "A", "--issuer-host", "a.example"), "The issuer host must be one of the hosts."),
        (("show", "77"), "There is no such tenant."),
        (("change", "1", "--disable"), "The platform's own tenant cannot be disabled."),
        (("change", "1", "--host", "a", "--no-hosts"), "Either --host or --no-hosts, not both."),
    ],
)
def test_refusals_are_one_sentence_and_leave_nothing(
    idp: Run, session: Session, arguments: tuple[str, ...], sentence: str
) -> None:
    assert idp("tenant", *arguments, code=1).stderr == f"Error: {sentence}\n"
    assert session.scalar(select(func.count()).select_from(Tenant)) == 1


def test_private_settings_are_stored_encrypted_and_never_shown(
    idp: Run, idp_json: RunJson, session: Session
) -> None:
    tenant = idp_json("tenant", "add", "Globex")["id"]
    change = ("tenant", "change", str(tenant))
    shown = idp(*change, "--set", "ApiKey=very secret", "--set", "Registration=open").output
    assert "very secret" not in shown
    assert tenants.properties(session, tenant) == {
        "ApiKey": "very secret",
        "Registration": "open",
    }
    session.commit()
    idp(*change, "--unset", "ApiKey", "--set", "Registration=closed")
    assert tenants.properties(session, tenant) == {"Registration": "closed"}
    session.commit()
    assert "--set takes NAME=VALUE" in idp(*change, "--set", "ApiKey", code=1).stderr
