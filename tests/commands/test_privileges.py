"""`idp privilege`, and the way from a privilege to a token."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jwt
import pytest
from click.testing import Result
from sqlalchemy import select
from sqlalchemy.orm import Session

from idp.directory.roles import catalogue
from idp.platform.audit.models import AuditEvent

Run = Callable[..., Result]
RunJson = Callable[..., Any]


def test_a_privilege_of_an_own_api_reaches_the_token(idp: Run, idp_json: RunJson) -> None:
    idp("api", "add", "orders", "--scope", "orders.read", "--claim", "permission")
    made = idp_json(
        *("privilege", "add", "orders.refund", "--name", "Refund orders"),
        *("--api", "orders", "--role", "users"),
    )
    assert made == {
        "code": "orders.refund",
        "name": "Refund orders",
        "api": "orders",
        "group": None,
        "roles": ["users"],
    }
    idp("user", "add", "--username", "ann", "--role", "users")
    idp(
        *("client", "add", "--id", "shop", "--kind", "web", "--scope", "orders.read"),
        *("--redirect", "https://shop.example/callback"),
    )
    token = idp_json("token", "--user", "ann", "--client", "shop", "--scope", "orders.read")
    claims = jwt.decode(token["access_token"], options={"verify_signature": False})
    assert claims["permission"] == ["orders.refund"]
    assert claims["aud"] == "orders" or claims["aud"] == ["orders"]


def test_privileges_are_listed_by_api_text_and_page(idp: Run, idp_json: RunJson) -> None:
    idp("api", "add", "orders", "--scope", "orders.read")
    for code in ("orders.a", "orders.b", "orders.c"):
        idp("privilege", "add", code, "--api", "orders")
    idp("privilege", "add", "free.standing", "--name", "Anything")
    listed = idp_json("privilege", "list", "--api", "orders", "--limit", "2")
    assert [row["code"] for row in listed] == ["orders.a", "orders.b"]
    rest = idp_json("privilege", "list", "--api", "orders", "--after", "orders.b")
    assert [row["code"] for row in rest] == ["orders.c"]
    (found,) = idp_json("privilege", "list", "--search", "nything")
    assert found == {"code": "free.standing", "name": "Anything", "api": None, "group": None}


@pytest.mark.no_database
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("ids4.ms.mine",), "Codes that begin with ids4. are reserved for the product."),
        (("123",), "A code must not consist of digits only."),
        (("a b",), "A code must have 1 to 200 characters, no spaces, commas, slashes or quotes."),
        (("a", "--api", "none"), "There is no API none."),
        (("a", "--group", "none"), "There is no privilege group none."),
        (("a", "--role", "none"), "There is no role none of the platform."),
        (("a", "--role", "none", "--tenant", "1"), "There is no role none in tenant 1."),
    ],
)
def test_refusals_are_one_sentence_and_leave_nothing(
    idp: Run, session: Session, arguments: tuple[str, ...], sentence: str
) -> None:
    assert idp("privilege", "add", *arguments, code=1).stderr == f"Error: {sentence}\n"
    assert catalogue.find_privilege(session, "a") is None


def test_a_code_is_taken_once_and_its_making_is_in_the_trail(idp: Run, session: Session) -> None:
    idp("privilege", "add", "orders.refund")
    refused = idp("privilege", "add", "orders.refund", code=1)
    assert refused.stderr == "Error: The code orders.refund is taken.\n"
    tags = session.scalars(
        select(AuditEvent.tag).where(AuditEvent.target == "privilege:orders.refund")
    ).all()
    assert tags == ["admin:privilege:created"]
