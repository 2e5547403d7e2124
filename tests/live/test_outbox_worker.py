"""What runs beside the server: the figures of all workers, and the mails."""

from __future__ import annotations

import email
import email.policy
import re
import time
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.live.site import Site

pytestmark = pytest.mark.no_database

MAIL_SECONDS = 30
FIGURES_SECONDS = 10
NEW_PASSWORD = "violet-harbour-lamp-63"


def scrape(site: Site) -> str:
    with urllib.request.urlopen(site.metrics, timeout=10) as answer:
        assert answer.status == 200
        return str(answer.read(), "utf-8")


def count(site: Site, labels: str) -> float:
    found = re.search(re.escape(f"idp_requests_total{{{labels}}} ") + r"(\S+)", scrape(site))
    return float(found[1]) if found else 0.0


def test_the_figures_of_both_workers_are_added_up(site: Site) -> None:
    labels = 'endpoint="/connect/token",method="POST",status="200"'
    app, before = site.machine(), count(site, labels)
    form = {"grant_type": "client_credentials", **app.post}
    for line in site.line_per_worker():
        with line:
            for _ in range(7):
                assert line.ask("POST", "/connect/token", form).status == 200
    end = time.monotonic() + FIGURES_SECONDS
    while count(site, labels) < before + 14:  # workers hand on twice a second what they counted
        assert time.monotonic() < end
        time.sleep(0.1)
    assert count(site, labels) == before + 14
    text = scrape(site)
    assert re.search(r"^outbox_oldest_seconds \d", text, re.MULTILINE)
    assert 'idp_request_seconds_count{endpoint="/connect/token"}' in text


def test_a_forgotten_password_is_mailed_and_can_be_set_anew(site: Site) -> None:
    name = site.name("forgetful")
    user = site.person(email=f"{name}@example.com", email_verified=True)
    app = site.web()
    tokens = site.tokens(app, user)
    asked = site.submit("/forgot", {"login": user.username})
    assert (asked.status, asked.headers["location"]) == (303, "/forgot/sent")

    end = time.monotonic() + MAIL_SECONDS
    while not (mails := [mail for mail in site.mails if mail.rcpt_tos == [user.email]]):
        assert time.monotonic() < end, Path(site.server.log).read_text()[-2000:]
        time.sleep(0.1)
    (mail,) = mails
    assert mail.mail_from == "no-reply@login.example"
    message = email.message_from_bytes(mail.content, policy=email.policy.default)
    link = re.search(re.escape(site.url) + r"/forgot/\S+", message.get_content())
    assert link, message.get_content()
    token = link[0].rpartition("/")[2]
    assert token not in site.server.output()

    form = {"password": NEW_PASSWORD, "repeated": NEW_PASSWORD}
    assert site.submit(urlsplit(link[0]).path, form).status == 303
    assert site.sign_in(user).status == 400
    assert site.sign_in(user, NEW_PASSWORD).status == 303
    # What was signed in with the old password has ended.
    assert not site.is_active(app, tokens["access_token"])
    assert site.refresh(app, tokens["refresh_token"]).status == 400
