"""Many at once ask for what may be given once; two workers and PostgreSQL answer."""

from __future__ import annotations

from collections import Counter
from urllib.parse import urlencode

import pytest

from tests import protocol
from tests.live.site import Site, at_once, redemption
from tests.provers import Prover

pytestmark = pytest.mark.no_database

PARALLEL = 50


def test_of_fifty_parallel_redemptions_one_wins_and_its_tokens_die_of_the_replay(
    site: Site,
) -> None:
    app, user = site.web(), site.person()
    code = site.code(app, user)

    answers = at_once(PARALLEL, lambda: site.token(app, **redemption(code)))

    assert Counter(answer.status for answer in answers) == {200: 1, 400: PARALLEL - 1}
    refused = {answer.json()["error"] for answer in answers if answer.status == 400}
    assert refused == {"invalid_grant"}
    tokens = next(answer.json() for answer in answers if answer.status == 200)
    # RFC 6749 4.1.2: what was issued on a code that came twice is revoked.
    assert not site.is_active(app, tokens["access_token"])
    assert not site.is_active(app, tokens["refresh_token"])
    bearer = protocol.bearer(tokens["access_token"])
    assert site.ask("GET", "/connect/userinfo", headers=bearer).status == 401
    again = site.refresh(app, tokens["refresh_token"])
    assert (again.status, again.json()["error"]) == (400, "invalid_grant")


def test_fifty_parallel_uses_of_a_refresh_token_give_one_and_the_same_successor(
    site: Site,
) -> None:
    app, user = site.web(), site.person()
    first = site.tokens(app, user)["refresh_token"]

    answers = at_once(PARALLEL, lambda: site.refresh(app, first))

    assert {answer.status for answer in answers} == {200}
    (second,) = {answer.json()["refresh_token"] for answer in answers}
    assert second != first
    assert site.rotations(first) == 1
    access = {answer.json()["access_token"] for answer in answers}
    assert len(access) == PARALLEL
    assert all(site.is_active(app, token) for token in access)

    after = site.refresh(app, second)
    assert after.status == 200
    assert after.json()["refresh_token"] not in {first, second}


def test_of_fifty_parallel_uses_of_a_proof_one_succeeds(site: Site) -> None:
    app, person = site.machine(), site.person()
    web = site.web()
    prover = Prover(issuer=site.url)
    form = {"grant_type": "client_credentials", **app.post}

    def statuses(method: str, path: str, form: dict | None, headers: dict) -> Counter:
        answers = at_once(PARALLEL, lambda: site.ask(method, path, form, headers))
        refused = [answer.json()["error"] for answer in answers if answer.status != 200]
        assert set(refused) == {"invalid_dpop_proof"}
        return Counter(answer.status for answer in answers)

    shown = prover.shows()
    assert statuses("POST", "/connect/token", form, shown) == {200: 1, 400: PARALLEL - 1}

    code = redemption(site.code(web, person)) | web.post
    answer = site.ask("POST", "/connect/token", code, prover.shows())
    assert answer.status == 200
    tokens = answer.json()

    # A refresh token that is used at once by one proof is rotated once.
    refreshing = {
        "grant_type": "refresh_token",
        "refresh_token": tokens["refresh_token"],
        **web.post,
    }
    shown = prover.shows()
    assert statuses("POST", "/connect/token", refreshing, shown) == {200: 1, 400: PARALLEL - 1}
    assert site.rotations(tokens["refresh_token"]) == 1

    headers = prover.uses(tokens["access_token"], "GET", "/connect/userinfo")
    assert statuses("GET", "/connect/userinfo", None, headers) == {200: 1, 401: PARALLEL - 1}


def test_of_fifty_who_open_a_pushed_request_at_once_one_gets_a_code(site: Site) -> None:
    app, user = site.web(), site.person()
    form = protocol.authorization_parameters(app, **app.post)
    pushed = site.ask("POST", "/connect/par", form)
    assert pushed.status == 201, pushed
    name = pushed.json()["request_uri"]
    query = urlencode({"client_id": app.client_id, "request_uri": name})
    cookie = site.cookie(user)

    answers = at_once(
        PARALLEL, lambda: site.ask("GET", f"/connect/authorize?{query}", headers=cookie)
    )

    assert Counter(answer.status for answer in answers) == {303: 1, 400: PARALLEL - 1}
    (one,) = [answer for answer in answers if answer.status == 303]
    assert "code=" in one.headers["location"]
