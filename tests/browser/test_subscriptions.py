"""The pages of subscriptions in a real browser, from the public page to the end of it."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from idp.publishing.packages import service as packages
from idp.publishing.packages.service import Content
from idp.publishing.subscribers import codes
from idp.publishing.subscribers.codes import Sealed, Use
from idp.publishing.subscribers.models import Subscription
from tests.browser.test_look import Visit
from tests.protocol import add_api

pytestmark = [pytest.mark.browser, pytest.mark.no_database]

ANN = "ann@mail.example"


def addresses(session):
    found = session.scalars(select(Subscription.address)).all()
    session.rollback()  # on SQLite looking locks the server out
    return found


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_page_is_readable_for_everybody(chromium, live_server, session, language):
    server = live_server()
    api = add_api(session, "lantern-shop")
    api.display_name = "Lantern Shop"
    api.description = "Orders, parts and deliveries of the Lantern Shop."
    for name, kind in (("@lantern/orders-client-with-a-rather-long-name", "typescript"),
                       ("lantern-orders", "python")):  # fmt: skip
        address = f"https://registry.example/{kind}"
        content = Content(name, "Lantern", address, address, "npm", kind, "1.4.0", "Calls the API.")
        packages.enter(session, api, content)
    about = Sealed(api.id, ANN, language)
    confirm = codes.page("confirm", api.id, codes.seal(session, Use.CONFIRM, about, 600))
    cancel = codes.page("cancel", api.id, codes.seal(session, Use.CANCEL, about))
    page = f"/subscriptions/{api.id}"
    session.commit()

    locale = {"en": "en-GB", "zh": "zh-CN"}[language]
    context = chromium.new_context(locale=locale)
    context.route("**/*.js", lambda route: route.abort())
    visit = Visit(context.new_page(), server.url, language)
    button = "main button[type=submit]"
    visit.open(page, "subscribe")
    visit.press("subscribe-refused", button)
    visit.page.fill("#email", ANN)
    visit.press("subscribe-sent", button)
    # What the link in the mail leads to; the address of the contract sends people there.
    visit.open(confirm.replace("/subscriptions/", "/ApiResource/").replace("confirm?",
               "AddSubscription?"), "subscribe-confirm")  # fmt: skip
    assert addresses(session) == []
    visit.press("subscribe-confirmed", button)
    assert addresses(session) == [ANN]
    visit.open(cancel, "subscribe-cancel")
    visit.press("subscribe-cancelled", button)
    assert addresses(session) == []
    visit.open(f"{page}/confirm?code=x", "subscribe-stale")
    context.close()
