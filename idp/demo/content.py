"""Who and what is in the demo: people, APIs and clients of the two organisations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from idp.directory.resources.service import NewScope

ACME, LAKESIDE = "acme", "lakeside"
"""What `organisations.yaml` calls the organisations."""
ORGANISATIONS = {ACME: "Acme Trading", LAKESIDE: "Lakeside Clinic"}
BUNDLES = {ACME: "trading-standard", LAKESIDE: "clinic-standard"}
DAYS = 30
"""Of the history."""
CALLBACK = "http://127.0.0.1:5000/callback"


@dataclass(frozen=True, slots=True)
class Person:
    """A member of an organisation."""

    username: str
    name: str
    organisation: str
    role: str
    locale: str = "en"
    client: str | None = None
    """Where they sign in day by day; None: hardly ever."""
    remember: bool = False
    days: int = 30
    """Since when they have an account."""


@dataclass(frozen=True, slots=True)
class Api:
    """An API of an organisation."""

    name: str
    title: str
    organisation: str
    scopes: Sequence[NewScope]


@dataclass(frozen=True, slots=True)
class Publication:
    """An API at the gateway."""

    api: str
    title: str
    organisation: str
    server: str
    operations: Mapping[str, str]
    """Summaries, by path."""


@dataclass(frozen=True, slots=True)
class App:
    """A client of an organisation, of one of the kinds in `presets`."""

    client_id: str
    title: str
    organisation: str
    kind: str
    scopes: Sequence[str]
    settings: Mapping[str, Any] = field(default_factory=dict)


PEOPLE = (
    Person("olivia.chen", "Olivia Chen", ACME, "administrator", client="acme-order-desk"),
    Person("marcus.webb", "Marcus Webb", ACME, "manager", client="acme-order-desk"),
    Person("priya.nair", "Priya Nair", ACME, "clerk", client="acme-order-desk"),
    Person("li.wei", "李伟", ACME, "clerk", "zh", client="acme-order-desk", remember=True),
    Person("tom.becker", "Tom Becker", ACME, "clerk", client="acme-order-desk", days=6),
    Person("joao.costa", "João Costa", ACME, "picker", client="acme-scanner", remember=True),
    Person(
        "sara.lindt", "Sara Lindt", ACME, "picker", client="acme-scanner", remember=True, days=21
    ),
    Person("hannah.moore", "Hannah Moore", LAKESIDE, "administrator", client="lakeside-booking"),
    Person("anil.patel", "Anil Patel", LAKESIDE, "doctor", client="lakeside-booking"),
    Person("wang.fang", "王芳", LAKESIDE, "nurse", "zh", client="lakeside-booking", remember=True),
    Person("emily.stone", "Emily Stone", LAKESIDE, "reception", client="lakeside-booking", days=26),
    Person("noah.klein", "Noah Klein", LAKESIDE, "reception", days=12),
)
ADMINISTRATOR, MEMBER = PEOPLE[0], PEOPLE[2]
"""The two accounts that setup prints."""

APIS = (
    Api(
        "acme-orders",
        "Orders",
        ACME,
        (NewScope("orders.read", "Read orders"), NewScope("orders.write", "Change orders")),
    ),
    Api("acme-stock", "Stock", ACME, (NewScope("stock.write", "Count and move stock"),)),
    Api(
        "lakeside-visits",
        "Visits",
        LAKESIDE,
        (
            NewScope("visits.read", "Read the calendar"),
            NewScope("visits.write", "Book and cancel visits", emphasize=True),
        ),
    ),
)

PUBLICATIONS = (
    Publication(
        "acme-orders",
        "Orders",
        ACME,
        "https://orders.acme.example",
        {"/orders": "List orders", "/orders/{number}": "Read an order"},
    ),
    Publication(
        "lakeside-visits",
        "Visits",
        LAKESIDE,
        "https://visits.lakeside.example",
        {"/visits": "List visits of a day"},
    ),
)

APPS = (
    App(
        "acme-order-desk",
        "Order desk",
        ACME,
        "web",
        ("openid", "profile", "email", "offline_access", "orders.read", "orders.write"),
        {"require_consent": False},
    ),
    App(
        "acme-scanner",
        "Warehouse scanner",
        ACME,
        "native",
        ("openid", "profile", "offline_access", "stock.write"),
        {"require_consent": False},
    ),
    App("acme-export", "Nightly export", ACME, "service", ("orders.read",)),
    App(
        "lakeside-booking",
        "Appointments",
        LAKESIDE,
        "spa",
        ("openid", "profile", "email", "visits.read", "visits.write"),
    ),
)
