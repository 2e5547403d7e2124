"""Attack: somebody sends a person the code of their own device, or guesses the code of another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select

from idp.directory.product import DEVICE_CODE
from idp.oauth.models import AuthorizationRequest, DeviceRequest, Grant
from tests import protocol
from tests.pages.browsing import HTML, send, submit
from tests.protocol import App, add_person, register

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.orm import Session

    from tests.conftest import IssuerClient

GRANTS = (DEVICE_CODE, "refresh_token")
MARKUP = "<script>alert(1)</script>\u202etxt"


@pytest.fixture
def tv(session: Session) -> App:
    return register(session, "tv", public=True, grants=GRANTS, client_name=MARKUP)


@pytest.fixture
def victim(client: IssuerClient, session: Session) -> IssuerClient:
    protocol.sign_in(client, session, add_person(session, "victim"))
    return client


def ask(browser: IssuerClient, app: App, **headers: str) -> dict[str, Any]:
    form = {"scope": "openid", **app.post}
    answer = browser.post("/connect/deviceauthorization", data=form, headers=headers)
    assert answer.status_code == 200
    found: dict[str, Any] = answer.get_json()
    return found


def poll(browser: IssuerClient, app: App, codes: dict[str, Any]) -> str:
    form = {"grant_type": DEVICE_CODE, "device_code": codes["device_code"], **app.post}
    return str(browser.post("/connect/token", data=form).get_json()["error"])


def count(session: Session, table: Any) -> int:
    session.rollback()
    return session.scalar(select(func.count()).select_from(table)) or 0


def test_a_link_that_was_mailed_signs_nothing_in(
    victim: IssuerClient, session: Session, tv: App
) -> None:
    codes = ask(victim, tv)
    for _ in range(3):
        page = victim.get(codes["verification_uri_complete"], headers=HTML)
        assert page.status_code == 200
        assert "If you did not start this on your own device" in page.get_data(as_text=True)
    assert count(session, Grant) == count(session, AuthorizationRequest) == 0
    assert poll(victim, tv, codes) == "authorization_pending"


def test_another_site_cannot_answer_for_the_victim(
    victim: IssuerClient, session: Session, tv: App
) -> None:
    codes = ask(victim, tv)
    form = {"user_code": codes["user_code"], "answer": "allow"}
    answer = victim.post("/device/answer", data=form, headers={"Origin": "https://evil.example"})
    assert answer.status_code in {303, 400}
    assert count(session, Grant) == count(session, AuthorizationRequest) == 0


def test_what_the_attacker_compared_does_not_count_for_the_victim(
    victim: IssuerClient, session: Session, tv: App, new_client: Callable[[], IssuerClient]
) -> None:
    codes, attacker = ask(victim, tv), new_client()
    protocol.sign_in(attacker, session, add_person(session, "attacker"))
    page = attacker.get(f"/device?user_code={codes['user_code']}", headers=HTML)
    form = {"user_code": codes["user_code"], "answer": "allow"}
    onward = send(attacker, page, "/device/answer", form).location
    assert victim.get(onward).location == "/device"
    assert count(session, Grant) == 0


def test_what_a_device_says_of_itself_is_text(
    victim: IssuerClient, session: Session, tv: App
) -> None:
    codes = ask(victim, tv, **{"User-Agent": "<b>Bank</b>" + "x" * 3000})
    page = victim.get(f"/device?user_code={codes['user_code']}", headers=HTML)
    text = page.get_data(as_text=True)
    assert page.status_code == 200
    assert "<script>alert" not in text
    assert "<b>Bank" not in text
    assert len(session.scalars(select(DeviceRequest.user_agent)).one() or "") == 300


def test_nobody_guesses_without_a_sign_in_nor_much_with_one(
    victim: IssuerClient, session: Session, tv: App, new_client: Callable[[], IssuerClient]
) -> None:
    codes = ask(victim, tv)
    stranger = new_client()
    right = stranger.get(f"/device?user_code={codes['user_code']}", headers=HTML)
    wrong = stranger.get("/device?user_code=BBBB-BBBB", headers=HTML)
    assert {right.status_code, wrong.status_code} == {303}
    statuses = [submit(victim, "/device", {"user_code": "BBBB-BBBB"}).status_code for _ in range(9)]
    assert statuses.count(400) <= 5
    assert 429 in statuses


def test_a_code_of_another_client_is_worth_nothing(
    victim: IssuerClient, session: Session, tv: App
) -> None:
    other = register(session, "other", public=True, grants=GRANTS)
    codes = ask(victim, tv)
    page = victim.get(f"/device?user_code={codes['user_code']}", headers=HTML)
    form = {"user_code": codes["user_code"], "answer": "allow"}
    send(victim, page, "/device/answer", form, follow_redirects=True)
    assert count(session, Grant) == 1
    assert poll(victim, other, codes) == "invalid_grant"
