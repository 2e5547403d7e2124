"""The example by which an API asks for a higher level, with tokens of a server."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from idp.directory.users.models import User
from tests import protocol
from tests.conformance.browser import Arrival, Browser, Page, Person
from tests.conformance.provider import Provider
from tests.protocol import CALLBACK, payload
from tests.relying_parties.conftest import Service

pytestmark = pytest.mark.no_database  # what is examined stands outside the provider

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "step_up.py"
Challenge = Callable[..., str | None]


@pytest.fixture(scope="module")
def challenge() -> Challenge:
    specification = importlib.util.spec_from_file_location("step_up", EXAMPLE)
    assert specification is not None
    assert specification.loader is not None
    module: ModuleType = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    found: Challenge = module.challenge
    return found


LACKS = 'Bearer error="insufficient_user_authentication", acr_values="mfa"'


@pytest.mark.parametrize(
    ("claims", "wanted", "answer"),
    [
        ({"acr": "pwd"}, ("mfa",), LACKS),
        ({"acr": "mfa"}, ("mfa",), None),
        ({"acr": "phr"}, ("mfa",), None),
        ({"acr": "gold"}, ("mfa",), LACKS),
        ({}, ("mfa",), LACKS),
        ({"acr": "mfa"}, ("mfa", 60), None),
        ({"acr": "mfa", "auth_time": 0}, ("mfa", 60), f"{LACKS}, max_age=60"),
    ],
)
def test_a_level_is_asked_for_where_the_token_has_it_not(
    challenge: Challenge, claims: Mapping[str, Any], wanted: tuple[Any, ...], answer: str | None
) -> None:
    assert challenge({"auth_time": time.time(), **claims}, *wanted) == answer


def test_a_machine_has_no_level(challenge: Challenge) -> None:
    assert challenge({"sub": "orders", "scope": "orders.read"}, "phr") is None


def test_a_person_comes_back_with_the_level(
    challenge: Challenge,
    provider: Provider,
    service: Service,
    browser: Browser,
    careful: Person,
) -> None:
    app = service.web.app
    query = protocol.authorization_parameters(app, scope="openid orders.read")
    address = provider.metadata["authorization_endpoint"]

    def token(stop: Any) -> dict[str, Any]:
        assert isinstance(stop, Arrival)
        form = {
            "grant_type": "authorization_code",
            "code": stop.fields["code"],
            "redirect_uri": CALLBACK,
            "code_verifier": protocol.VERIFIER,
            **app.post,
        }
        answer = provider.http.post(provider.metadata["token_endpoint"], data=form)
        return payload(answer.json()["access_token"])

    low = token(browser.answer(browser.open(address, query), careful))
    assert challenge(low, "mfa") == LACKS
    with provider.sessions() as session:
        secret = protocol.add_authenticator(session, session.get_one(User, careful.id))
    asked = browser.open(address, {**query, "acr_values": "mfa"})
    assert isinstance(asked, Page)
    high = token(browser.submit(asked, code=protocol.app_code(secret)))
    assert challenge(high, "mfa") is None
    assert challenge(high, "phr") is not None
