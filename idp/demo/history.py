"""Thirty days of the organisations: who signs in, what goes wrong and what administrators do.

The clock is set to each moment in turn, and the services are called that answer people, clients and
the console. So events, sessions, grants and figures are those of an installation that is in use.
Chance is seeded: two demos differ in their ids and secrets alone.
"""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from operator import itemgetter

import orjson
from PIL import Image, ImageDraw
from sqlalchemy.orm import Session

from idp.account import administration
from idp.demo import content
from idp.demo.content import App, Person, Publication
from idp.demo.organisations import Organisations
from idp.demo.visits import Application, Browser, Site
from idp.directory.actor import Actor
from idp.directory.bundles import applying
from idp.directory.bundles import service as bundles
from idp.directory.clients import management as clients
from idp.directory.resources import service as resources
from idp.directory.roles import tenant_roles as roles
from idp.directory.users import management as people
from idp.oauth import consents
from idp.platform import clock
from idp.platform.jobs import service as outbox
from idp.publishing.codegen import jobs as sdks
from idp.publishing.codegen.jobs import Order
from idp.publishing.gateway import products
from idp.publishing.gateway import service as publications
from idp.publishing.gateway.service import PublishRequest

WEEKEND = 5
"""First of the days on which few people work."""
OFFICE, CLINIC, ATTACKER = "198.51.100.7", "192.0.2.40", "203.0.113.99"
DESKTOP = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
LAPTOP = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)"
    " Version/18.5 Safari/605.1.15"
)
PHONE = (
    "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko)"
    " Chrome/138.0.0.0 Mobile Safari/537.36"
)
PROGRAM = "python-httpx/0.28"
GUESSED = ("admin", "root", "test", "olivia.chen", "support")
SDK_SOURCE = "https://orders.acme.example/openapi.json"

Act = Callable[[], object]
Moment = tuple[datetime, Act]


def make(session: Session, organisations: Organisations) -> None:
    """Play all days up to now; each is committed when it is over."""
    _History(session, organisations).play()


@dataclass(slots=True)
class _Workplace:
    """A person with the browser and the application that they work with."""

    person: Person
    browser: Browser
    application: Application
    refresh_tokens: list[str] = field(default_factory=list)


class _History:
    def __init__(self, session: Session, organisations: Organisations) -> None:
        self._session = session
        self._all = organisations
        self._now = clock.now()
        self._chance = random.Random("thirty days")  # noqa: S311 - no secret
        self._site = Site(session)
        apps = {app.client_id: self._application(app) for app in content.APPS}
        self._apps = apps
        self._places = {
            person.username: _Workplace(person, self._browser(person), apps[person.client])
            for person in content.PEOPLE
            if person.client is not None
        }

    def play(self) -> None:
        """Carry out what happened, in the order of time."""
        for ago in range(content.DAYS - 1, -1, -1):
            day = (self._now - timedelta(days=ago)).replace(hour=0, minute=0, second=0)
            moments = [*self._usual(day, ago), *self._unusual(day, ago)]
            for moment, act in sorted(moments, key=itemgetter(0)):
                if moment < self._now:
                    with clock.at(moment):
                        act()
            self._session.info.pop("context", None)
            self._session.commit()

    def _unusual(self, day: datetime, ago: int) -> Iterator[Moment]:
        for days_ago, hour, act in self._events():
            if days_ago == ago:
                yield day + timedelta(hours=hour), act

    # --- What happens every day ------------------------------------------------------------------

    def _usual(self, day: datetime, ago: int) -> Iterator[Moment]:
        busy = 0.25 if day.weekday() >= WEEKEND else 0.65
        for place in self._places.values():
            if place.person.days < ago or self._chance.random() > busy:
                continue
            begin = day + timedelta(minutes=self._chance.randrange(7 * 60, 10 * 60))
            yield begin, partial(self._begin_work, place)
            later = begin + timedelta(minutes=self._chance.randrange(60, 400))
            yield later, partial(self._work_on, place)
            if not place.person.remember and self._chance.random() < 1 / 3:
                yield begin + timedelta(hours=8), partial(self._site.sign_out, place.browser)
        night = day + timedelta(hours=2, minutes=15)
        yield night, partial(self._export, self._apps["acme-export"])

    def _begin_work(self, place: _Workplace) -> None:
        """Sign in, after a wrong password now and then, and open the application."""
        if not self._site.is_signed_in(place.browser):
            if self._chance.random() < 1 / 10:
                self._site.mistype(place.browser, place.person.username, place.application)
            self._site.sign_in(place.browser, place.application, remember=place.person.remember)
        self._open(place)

    def _open(self, place: _Workplace) -> None:
        tenant_id = self._all.tenants[place.person.organisation]
        tokens = self._site.enter(place.browser, place.application, tenant_id)
        if tokens is not None and "refresh_token" in tokens:
            place.refresh_tokens = [tokens["refresh_token"]]

    def _work_on(self, place: _Workplace) -> None:
        """Use the refresh token, or without one open the application again."""
        if not place.refresh_tokens:
            self._open(place)
            return
        tokens = self._site.refresh(place.browser, place.application, place.refresh_tokens[-1])
        if tokens is None:
            place.refresh_tokens = []
        else:
            place.refresh_tokens.append(tokens["refresh_token"])

    def _export(self, application: Application) -> None:
        server = Browser(OFFICE, PROGRAM)
        self._site.ask_for_token(server, application, {"grant_type": "client_credentials"})

    # --- What happens once -----------------------------------------------------------------------

    def _events(self) -> Iterator[tuple[int, float, Act]]:
        """Yield what happened how many days ago, and at which hour."""
        olivia, hannah = self._administrator("olivia.chen"), self._administrator("hannah.moore")
        admin = replace(self._all.administrator, permitted="platform")
        ids, acme = self._all.people, self._all.tenants[content.ACME]
        for ago in range(content.DAYS - 2, 0, -7):
            yield ago, 8, partial(self._visit_console, admin.person_id)
        yield 24, 11, partial(self._act, olivia, self._rotate_secret)
        orders, visits = content.PUBLICATIONS
        yield 22, 10, partial(self._act, olivia, self._publish, orders)
        yield 21, 15, partial(self._act, hannah, self._publish, visits)
        yield 20, 14, partial(self._act, admin, self._switch_bundle)
        yield 19, 12, self._choose_picture
        yield 18, 9, partial(self._act, hannah, people.disable, ids["emily.stone"])
        yield 17, 7, partial(self._act, hannah, people.enable, ids["emily.stone"])
        for attempt, name in enumerate(GUESSED):
            yield 13, 3 + attempt / 60, partial(self._guess, name)
        yield 11, 16, partial(self._act, olivia, administration.sign_out, ids["joao.costa"])
        yield 10, 10, partial(self._act, admin, administration.add_member, ids["noah.klein"], acme)
        yield 10, 11, partial(self._act, olivia, roles.bind, "noah.klein", ["clerk"])
        sara = self._places["sara.lindt"]
        yield 9, 13, partial(self._begin_work, sara)
        yield 9, 14, partial(self._work_on, sara)
        yield 9, 15, partial(self._steal, sara)
        yield 6, 15, partial(self._act, olivia, roles.set_privileges, "clerk", ["orders.read"])
        yield 5, 10, partial(self._act, admin, self._order_sdk)
        yield 4, 12, partial(self._withdraw_consent, ids["wang.fang"])
        yield 3, 11, partial(self._act, hannah, self._send_reset_link)
        for ago in (2, 1):
            yield ago, 9, self._ask_wrongly

    def _administrator(self, username: str) -> Actor:
        return self._all.actor(next(row for row in content.PEOPLE if row.username == username))

    def _act(self, actor: Actor, do: Callable[..., object], *arguments: object) -> None:
        """Call a service as the console does for a person who manages."""
        self._site.arrive(Browser(OFFICE, DESKTOP), actor.user_id)
        do(self._session, actor, *arguments)
        self._session.flush()

    def _visit_console(self, user_id: int) -> None:
        self._site.sign_in(Browser(OFFICE, DESKTOP, user_id))

    def _rotate_secret(self, session: Session, actor: Actor) -> None:
        """Add a secret that soon needs attention."""
        clients.issue_secret(
            session,
            actor,
            self._all.clients["acme-order-desk"],
            description="Until the move to the new servers",
            expires_at=self._now + timedelta(days=9),
        )

    def _publish(self, session: Session, actor: Actor, row: Publication) -> None:
        """Publish an API at the gateway, by a description that is sent as a file."""
        products.allow_upstream(session, actor.tenant_id, row.server)
        answer = {"responses": {"200": {"description": "Found"}}}
        document = {
            "openapi": "3.0.3",
            "info": {"title": row.title, "version": "1"},
            "servers": [{"url": row.server}],
            "paths": {
                path: {"get": {"summary": text, **answer, "parameters": _parameters(path)}}
                for path, text in row.operations.items()
            },
        }
        api = resources.find_api(session, row.api)
        assert api is not None  # noqa: S101 - the demo created it
        source = publications.Source(None, orjson.dumps(document), f"{row.api}.json")
        request = PublishRequest(row.title.lower(), name=row.title, suffix=row.title.lower())
        draft = publications.check_draft(session, actor, api, request, source)
        plan = publications.carry_out_draft(session, actor, api, draft.id)
        publications.carry_out(session, plan)

    def _choose_picture(self) -> None:
        """Upload a picture at the account page."""
        place = self._places["priya.nair"]
        self._site.upload_picture(place.browser, _picture(), "priya.png")

    def _switch_bundle(self, session: Session, _actor: Actor) -> None:
        bundle = bundles.get(session, "trading-plus")
        applying.switch(session, self._all.tenants[content.ACME], bundle)

    def _guess(self, name: str) -> None:
        self._site.mistype(Browser(ATTACKER, PROGRAM), name, self._apps["acme-order-desk"])

    def _steal(self, place: _Workplace) -> None:
        """Use a refresh token that was used before, which ends the grant."""
        thief = Browser(ATTACKER, PROGRAM)
        self._site.refresh(thief, place.application, place.refresh_tokens[0])

    def _order_sdk(self, session: Session, actor: Actor) -> None:
        """Order an SDK and cancel it, so that a worker has nothing to build."""
        document = {
            "openapi": "3.0.3",
            "info": {"title": "Orders", "version": "1"},
            "paths": {"/orders": {"get": {"responses": {"200": {"description": "Orders"}}}}},
        }
        job = sdks.create(session, actor, Order("python", document, SDK_SOURCE))
        sdks.cancel(session, actor, job.id)
        taken = outbox.take(session, sdks.LANE, "demo")
        if taken is not None:
            outbox.finish(session, taken)

    def _withdraw_consent(self, user_id: int) -> None:
        self._site.arrive(Browser(CLINIC, LAPTOP))
        for consent in consents.list_consents(self._session, user_id):
            consents.revoke_consent(self._session, user_id, consent.id)

    def _send_reset_link(self, session: Session, actor: Actor) -> None:
        """Send a link for a new password, whose mail the receiving server refuses."""
        administration.send_reset_link(session, actor, self._all.people["anil.patel"], "en")
        taken = outbox.take(session, "notify", "demo")
        if taken is not None:
            outbox.give_up(session, taken, "550 5.7.1 Message refused: sender not authorized")

    def _ask_wrongly(self) -> None:
        """Send requests of applications that are configured wrongly."""
        place = self._places["priya.nair"]
        for changed in (
            {"callback": "http://127.0.0.1:5000/other"},
            {"scope": "openid visits.read"},
            {"secret": "the-secret-of-another-server"},
        ):
            self._site.sign_in(place.browser, place.application)
            wrong = replace(place.application, **changed)
            self._site.enter(place.browser, wrong, self._all.tenants[content.ACME])

    # --- What people and applications have -------------------------------------------------------

    def _application(self, app: App) -> Application:
        return Application(
            app.client_id, self._all.secrets[app.client_id], " ".join(app.scopes), content.CALLBACK
        )

    def _browser(self, person: Person) -> Browser:
        address = OFFICE if person.organisation == content.ACME else CLINIC
        if person.role == "picker":
            return Browser("198.51.100.23", PHONE, self._all.people[person.username])
        name = self._chance.choice((DESKTOP, LAPTOP))
        return Browser(address, name, self._all.people[person.username])


def _parameters(path: str) -> list[dict[str, object]]:
    """Describe the parameters that a path names."""
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in names
    ]


def _picture() -> io.BytesIO:
    """Draw a face that needs no licence."""
    image = Image.new("RGB", (96, 96), "#d9e8e6")
    draw = ImageDraw.Draw(image)
    draw.ellipse((30, 16, 66, 52), fill="#2b6f69")
    draw.ellipse((12, 60, 84, 132), fill="#2b6f69")
    stream = io.BytesIO()
    image.save(stream, "PNG")
    stream.seek(0)
    return stream
