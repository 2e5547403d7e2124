"""`idp import`: what it adds and changes, what it refuses, and what it leaves alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import Result
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from idp import seeds
from idp.config import Settings
from idp.directory.applications import resources
from idp.directory.applications import service as applications
from idp.directory.applications.models import Application, Menu
from idp.directory.bundles.models import Bundle, TenantType
from idp.directory.clients import service as clients
from idp.directory.roles.models import Privilege, PrivilegeGroup
from idp.directory.tenants.models import Tenant
from idp.imports import reader, service
from idp.platform.audit.models import AuditEvent
from idp.platform.audit.tags import Tag
from idp.platform.errors import BadRequest
from idp.platform.runtime import Runtime
from idp.publishing.gateway import products
from tests import protocol
from tests.api import center

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "import.yaml"


@pytest.fixture
def ready(session: Session) -> Session:
    """An installation that the example fits."""
    protocol.add_api(session, "shop-api", ["shop.scope"])
    protocol.register(session, "shop-web")
    return session


@pytest.fixture
def write(tmp_path: Path) -> Callable[[Any], str]:
    """Write a document into a file."""

    def make(document: Any, name: str = "file.json") -> str:
        path = tmp_path / name
        text = document if isinstance(document, str) else json.dumps(document)
        path.write_text(text, encoding="utf-8")
        return str(path)

    return make


def everything(session: Session) -> dict[str, list[Any]]:
    """Read the whole database and let go of it: a command is another connection."""
    found = center.whole_database(session)
    session.rollback()
    return found


def refused(session: Session, document: Any) -> dict[str, list[str]]:
    """Bring in what must be refused; return the wrong places."""
    with pytest.raises(BadRequest) as caught:
        service.import_document(session, document)
    session.rollback()
    return dict(caught.value.fields)


def test_the_example_is_brought_in_once(
    idp: Callable[..., Result], idp_json: Callable[..., Any], ready: Session
) -> None:
    before = everything(ready)
    planned = idp_json("import", str(EXAMPLE), "--dry-run")
    assert planned["dry_run"] is True
    assert everything(ready) == before
    assert "15 would be added" in idp("import", str(EXAMPLE), "--dry-run").stdout

    done = idp_json("import", str(EXAMPLE))
    assert done == {**planned, "dry_run": False}
    assert {"section": "menus", "key": "shop/order-list"} in done["added"]
    assert (len(done["added"]), done["changed"], done["unchanged"]) == (15, [], 0)

    after = everything(ready)
    again = idp_json("import", str(EXAMPLE))
    assert again == {
        "dry_run": False,
        "added": [],
        "changed": [],
        "unchanged": 15,
        "without_password": [],
    }
    assert "Nothing to change" in idp("import", str(EXAMPLE)).stdout
    assert everything(ready) == after

    acme = ready.scalar(select(Tenant).where(Tenant.name == "Acme"))
    assert acme.type_code == "company"
    shop = applications.get_of_client(ready, "shop-web", acme.id)
    assert (shop.code, shop.tenant_id) == ("shop", acme.id)
    (seen,) = resources.by_tenant(ready, {acme.id: ["shop.orders.read"]})[acme.id]
    (orders,) = seen.menus
    assert [node.menu.code for node in orders.children] == ["order-list"]
    read = ready.scalar(select(Privilege).where(Privilege.code == "shop.orders.read"))
    assert read.api_resource_id == shop.api_resource_id
    bundle = ready.scalar(select(Bundle).where(Bundle.code == "basic"))
    assert json.loads(bundle.ability)["adminRoleCodes"] == ["manager"]
    assert bundle.initialize
    groups = {row.code: row for row in ready.scalars(select(PrivilegeGroup))}
    assert groups["shop.orders"].parent_id == groups["shop"].id
    tags = [row.tag for row in ready.scalars(select(AuditEvent))]
    assert tags.count("system:row:added") == 15
    assert tags.count("system:import:done") == 1


def test_what_differs_is_changed_and_told(
    idp: Callable[..., Result],
    idp_json: Callable[..., Any],
    write: Callable[..., str],
    ready: Session,
) -> None:
    idp("import", str(EXAMPLE))
    document = yaml.safe_load(EXAMPLE.read_text())
    document["applications"][0]["name"] = "Store"
    document["menus"][0]["children"][0]["status"] = 0
    moved = document["menus"][0]["children"].pop()
    document["menus"].append({**moved, "application": "shop", "privilege": None})
    document["bundles"][0]["roles"][0]["privileges"] = []
    path = write(document)
    text = idp("import", path, "--dry-run").stdout
    assert "~ applications shop\n    name: Web shop -> Store\n" in text
    assert "~ menus shop/order-list\n    status: 1 -> 0\n" in text
    assert "0 would be added, 4 would be changed" in text
    changed = idp_json("import", path)["changed"]
    assert {
        "section": "menus",
        "key": "shop/order-new",
        "fields": [
            {"field": "parent_id", "before": "orders", "after": None},
            {"field": "privilege_id", "before": "shop.orders.edit", "after": None},
        ],
    } in changed
    assert idp_json("import", path)["changed"] == []
    new = ready.scalar(select(Menu).where(Menu.code == "order-new"))
    assert (new.parent_id, new.privilege_id, new.url) == (None, None, "/orders/new")
    event = ready.scalar(
        select(AuditEvent)
        .where(AuditEvent.target == "applications:shop")
        .order_by(AuditEvent.id.desc())
    )
    assert event.details == {"changes": [{"field": "name", "before": "Web shop", "after": "Store"}]}


def test_what_the_gateway_needs_is_brought_in(ready: Session, runtime: Runtime) -> None:
    example = yaml.safe_load(EXAMPLE.read_text())
    service.import_document(ready, example)
    ready.commit()
    acme = ready.scalar(select(Tenant.id).where(Tenant.name == "Acme"))
    gold = products.get_product(ready, "gold")
    assert (gold.tenant_id, gold.scope, gold.subscription_required) == (acme, "shop.scope", True)
    assert products.list_subscriptions(ready) == [("gold", "shop-web")]
    (upstream,) = products.list_upstreams(ready)
    assert (upstream.tenant_id, upstream.url) == (acme, "https://orders.internal/v1")
    (server,) = products.list_servers(ready)
    assert server.token_endpoint.endswith("/connect/token")
    # Whoever keeps the gateway finds in the trail what a command would have left there.
    changed = select(AuditEvent.target).where(AuditEvent.tag == Tag.GATEWAY_CHANGED)
    assert set(ready.scalars(changed)) == {
        "upstream:https://orders.internal/v1",
        "product:gold",
        "authorization-server:main",
    }

    product = {"pid": "gold", "name": " Gold ", "is_published": False, "subscriptions_limit": 0}
    another = {"sid": "main", "name": "Main", "token_endpoint": "https://a.example/token"}
    changes = {
        "upstreams": [{"url": "https://ORDERS.internal:443/v1/"}],
        "products": [product],
        "authorization_servers": [another],
    }
    run = service.import_document(ready, changes)
    assert [(row.section, row.key) for row in run.added] == [
        ("upstreams", "https://orders.internal/v1")
    ]
    fields = {row.key: [field["field"] for field in row.fields] for row in run.changed}
    assert fields == {
        "gold": ["subscriptions_limit", "is_published"],
        "main": ["name", "token_endpoint"],
    }
    ready.commit()
    assert service.import_document(ready, changes).unchanged == 3
    # Who subscribed before the limit sank stays.
    assert products.list_subscriptions(ready, ["gold"]) == [("gold", "shop-web")]
    assert (gold.tenant_id, gold.scope) == (acme, "shop.scope")

    for number in range(3):
        protocol.register(ready, f"more-{number}")
    subscriptions = [{"product": "open", "client": f"more-{number}"} for number in range(3)]
    document = {
        "products": [{"pid": "open", "name": "Open"}],
        "product_subscriptions": subscriptions,
    }
    service.import_document(ready, document)
    ready.commit()
    counts = []
    for size in (1, 3):
        with center.statements(runtime.engine) as sent:
            service.import_document(ready, {"product_subscriptions": subscriptions[:size]})
        ready.commit()
        counts.append(len(sent))
    assert counts[0] == counts[1]


def test_rules_of_the_gateway_hold_for_files_too(ready: Session) -> None:
    example = yaml.safe_load(EXAMPLE.read_text())
    service.import_document(ready, example)
    foreign = protocol.add_tenant(ready, "Foreign")
    protocol.register(ready, "foreign", tenant_id=foreign)
    named = {"tenants": [{"ref": "foreign", "id": foreign}]}
    before = everything(ready)
    product = {"pid": "gold", "name": "Gold"}
    server = {"sid": "main", "name": "Main"}

    def wrong(section: str, *entries: Any, **more: Any) -> list[str]:
        paths = list(refused(ready, {**named, **more, section: entries}))
        assert everything(ready) == before
        return [path.removeprefix(section) for path in paths]

    assert wrong("products", {**product, "tenant": "foreign"}) == ["[0].tenant"]
    assert wrong("products", product, product) == ["[1].pid"]
    assert wrong("products", {"pid": "a b", "name": "A"}) == ["[0].pid"]
    assert wrong("products", {**product, "subscriptions_limit": -1}) == ["[0].subscriptions_limit"]
    assert wrong("authorization_servers", {**server, "tenant": "foreign"}) == ["[0].tenant"]
    assert wrong("authorization_servers", server, server) == ["[1].sid"]
    for field in products.ENDPOINTS:
        for url in ("javascript:alert(1)", "https://a.example/x#y", "https://a@b.example/", "/x"):
            for sid in ("main", "new"):
                entry = {**server, "sid": sid, field: url}
                assert wrong("authorization_servers", entry) == [f"[0].{field}"]
    assert wrong("authorization_servers", {**server, "token_endpoint": None}) == [
        "[0].token_endpoint"
    ]
    assert wrong("upstreams", {"url": "https://a/?b"}) == ["[0].url"]
    assert wrong("upstreams", {"url": "https://a"}, {"url": "https://a:443/"}) == ["[1].url"]
    assert wrong("upstreams", {"url": "https://a", "tenant": "none"}) == ["[0].tenant"]
    section = "product_subscriptions"
    entry = {"product": "gold", "client": "shop-web"}
    assert wrong(section, {**entry, "product": "none"}) == ["[0].product"]
    assert wrong(section, {**entry, "client": "none"}) == ["[0].client"]
    assert wrong(section, entry, entry) == ["[1].client"]
    # A client of another tenant is not let into a product by a file either.
    assert wrong(section, {**entry, "client": "foreign"}) == ["[0].client"]
    full = {"products": [{"pid": "full", "name": "Full", "subscriptions_limit": 0}]}
    assert wrong(section, {**entry, "product": "full"}, **full) == ["[0].product"]


def test_nothing_is_deleted_and_what_is_left_out_stays(session: Session) -> None:
    service.import_document(
        session,
        {
            "applications": [{"code": "a", "name": "A"}],
            "menus": [{"application": "a", "code": "m", "title": "M", "url": "/m", "sort": 4}],
        },
    )
    run = service.import_document(
        session,
        {
            "applications": [{"code": "a", "name": "A"}],
            "menus": [{"application": "a", "code": "n", "title": "N"}],
        },
    )
    assert [change.key for change in run.added] == ["a/n"]
    run = service.import_document(
        session, {"menus": [{"application": "a", "code": "m", "title": "M"}]}
    )
    assert (run.added, run.changed, run.unchanged) == ([], [], 1)
    assert session.scalar(select(Menu.url).where(Menu.code == "m")) == "/m"
    assert service.import_document(session, {}).unchanged == 0


def test_tenants_are_found_by_name_and_type_or_by_id(session: Session) -> None:
    types = [{"code": "company", "name": "C"}]
    first = {"ref": "x", "name": "Acme", "type": "company"}
    plain = {"ref": "y", "name": "Acme"}
    document = {"tenant_types": types, "tenants": [first, plain]}
    assert len(service.import_document(session, document).added) == 3
    assert service.import_document(session, document).unchanged == 3
    ids = session.scalars(select(Tenant.id).where(Tenant.name == "Acme")).all()
    assert len(ids) == 2
    protocol.add_tenant(session, "Acme")
    assert list(refused(session, {"tenants": [plain]})) == ["tenants[0].name"]
    by_id = {"tenants": [{"ref": "y", "id": ids[1]}]}
    assert service.import_document(session, by_id).unchanged == 1
    for wrong, path in (
        ({"ref": "y"}, "tenants[0].name"),
        ({"ref": "y", "id": 1, "name": "Acme"}, "tenants[0].name"),
        ({"ref": "y", "id": 1, "type": "company"}, "tenants[0].type"),
        ({"ref": "y", "id": 999}, "tenants[0].id"),
        ({"ref": "y", "name": "New", "type": "none"}, "tenants[0].type"),
    ):
        assert list(refused(session, {"tenants": [wrong]})) == [path]


@pytest.mark.no_database
@pytest.mark.parametrize(
    ("document", "path"),
    [
        ({"nothing": []}, "nothing"),
        ({"menus": {}}, "menus"),
        ({"tenant_types": [{"code": "a", "name": "A", "more": 1}]}, "tenant_types[0].more"),
        ({"tenant_types": [{"code": "a"}]}, "tenant_types[0].name"),
        ({"tenant_types": [{"code": "IDS4.x", "name": "A"}]}, "tenant_types[0].code"),
        ({"tenant_types": [{"code": "a b", "name": "A"}]}, "tenant_types[0].code"),
        ({"tenant_types": [{"code": "12", "name": "A"}]}, "tenant_types[0].code"),
        ({"tenant_types": [{"code": 12, "name": "A"}]}, "tenant_types[0].code"),
        ({"tenant_types": [{"code": "a", "name": "A"}] * 2}, "tenant_types[1].code"),
        ({"privileges": [{"code": "ids4.ms.all", "name": "A"}]}, "privileges[0].code"),
        ({"privileges": [{"code": "123", "name": "A"}]}, "privileges[0].code"),
        ({"privileges": [{"code": "a", "name": "A", "group": "none"}]}, "privileges[0].group"),
        (
            {"privileges": [{"code": "a", "name": "A", "api_resource": "none"}]},
            "privileges[0].api_resource",
        ),
        (
            {"privileges": [{"code": "a", "name": "A", "application": "none"}]},
            "privileges[0].application",
        ),
        (
            {"privileges": [{"code": "a", "name": "A", "application": "x", "api_resource": "y"}]},
            "privileges[0].application",
        ),
        ({"privileges": [{"code": "a", "name": "A", "status": 2}]}, "privileges[0].status"),
        (
            {
                "privilege_groups": [
                    {"code": "a", "name": "A", "parent": "b"},
                    {"code": "b", "name": "B", "parent": "a"},
                ]
            },
            "privilege_groups[0].parent",
        ),
        (
            {"privilege_groups": [{"code": "a", "name": "A", "parent": "none"}]},
            "privilege_groups[0].parent",
        ),
        ({"applications": [{"code": "page", "name": "A"}]}, "applications[0].code"),
        (
            {"applications": [{"code": "a", "name": "A", "tenant": "none"}]},
            "applications[0].tenant",
        ),
        (
            {"applications": [{"code": "a", "name": "A", "api_resource": "none"}]},
            "applications[0].api_resource",
        ),
        (
            {"applications": [{"code": "a", "name": "A", "clients": ["x"]}]},
            "applications[0].clients[0]",
        ),
        ({"menus": [{"application": "none", "code": "a", "title": "A"}]}, "menus[0].application"),
        (
            {"bundles": [{"code": "a", "name": "A", "tenant_type": "none"}]},
            "bundles[0].tenant_type",
        ),
    ],
)
def test_a_wrong_place_is_named(session: Session, document: Any, path: str) -> None:
    assert list(refused(session, document)) == [path]


def test_wrong_places_of_menus_and_bundles_are_named_exactly(session: Session) -> None:
    application = {"applications": [{"code": "a", "name": "A"}]}
    page = {"application": "a", "code": "p", "title": "P"}

    def menus(*entries: Any) -> list[str]:
        return list(refused(session, {**application, "menus": entries}))

    inner = {"code": "q", "title": "Q", "privilege": "none"}
    assert menus(page, {**page, "code": "r", "children": [inner]}) == [
        "menus[1].children[0].privilege"
    ]
    assert menus(page, {**page, "code": "r", "children": [{"code": "s"}]}) == [
        "menus[1].children[0].title"
    ]
    assert menus({**page, "url": "javascript:alert(1)"}) == ["menus[0].url"]
    assert menus({**page, "children": [{"code": "p", "title": "Twice"}]}) == [
        "menus[0].children[0].code"
    ]
    assert menus({**page, "children": [{**page, "code": "q"}]}) == [
        "menus[0].children[0].application"
    ]
    deep: dict[str, Any] = {"code": "last", "title": "Last"}
    for number in range(10):
        deep = {"code": f"p{number}", "title": "P", "children": [deep]}
    assert menus({**deep, "application": "a"}) == ["menus[0]" + ".children[0]" * 10 + ".children"]

    types = {"tenant_types": [{"code": "t", "name": "T"}]}
    bundle = {"code": "b", "name": "B", "tenant_type": "t", "initialize": True}

    def bundles(*entries: Any) -> list[str]:
        return list(refused(session, {**types, "bundles": entries}))

    role = {"code": "clerk", "name": "Clerk"}
    assert bundles({**bundle, "roles": [role, role]}) == ["bundles[0].roles[1].code"]
    assert bundles({**bundle, "roles": [{**role, "code": "1"}]}) == ["bundles[0].roles[0].code"]
    assert bundles({**bundle, "roles": [{**role, "privileges": ["none"]}]}) == [
        "bundles[0].roles[0].privileges[0]"
    ]
    assert bundles({**bundle, "admin_roles": ["clerk"]}) == ["bundles[0].admin_roles[0]"]
    assert bundles(bundle, {**bundle, "code": "c"}) == ["bundles[1].initialize"]
    assert session.scalar(select(func.count(TenantType.id))) == 0


def test_a_bundle_keeps_what_a_file_leaves_out(session: Session) -> None:
    types = {"tenant_types": [{"code": "t", "name": "T"}]}
    role = {"code": "clerk", "name": "Clerk", "privileges": []}
    first = {"code": "b", "name": "B", "tenant_type": "t", "roles": [role], "number_of_app": 2}
    service.import_document(session, {**types, "bundles": [first]})
    del first["roles"], first["number_of_app"]
    service.import_document(session, {"bundles": [{**first, "name": "Bundle"}]})
    bundle = session.scalar(select(Bundle).where(Bundle.code == "b"))
    assert (bundle.name, bundle.number_of_app) == ("Bundle", 2)
    assert [row["code"] for row in json.loads(bundle.ability)["roles"]] == ["clerk"]
    reserved = {**first, "code": "bundle-list"}
    assert list(refused(session, {"bundles": [reserved]})) == ["bundles[0].code"]


def test_a_limit_of_the_bundle_and_foreign_rows_hold_for_files_too(session: Session) -> None:
    protocol.add_api(session, "foreign", ["foreign.scope"], tenant_id=protocol.add_tenant(session))
    tenant = protocol.add_tenant(session, "Small")
    session.add(Bundle(code="b", name="B", tenant_type_code="t", ability="{}", number_of_app=0))
    session.get(Tenant, tenant).bundle_code = "b"
    session.commit()
    named = {"tenants": [{"ref": "small", "id": tenant}]}
    app = {"code": "a", "name": "A", "tenant": "small"}
    assert list(refused(session, {**named, "applications": [app]})) == ["applications[0].tenant"]
    session.get(Tenant, tenant).bundle_code = None
    session.commit()
    foreign = {**app, "api_resource": "foreign"}
    assert list(refused(session, {**named, "applications": [foreign]})) == [
        "applications[0].api_resource"
    ]
    service.import_document(session, {**named, "applications": [app]})
    session.commit()
    other = {"tenants": [{"ref": "small", "id": 1}], "applications": [app]}
    assert list(refused(session, other)) == ["applications[0].tenant"]


def test_one_wrong_place_changes_nothing_and_is_a_sentence(
    idp: Callable[..., Result], write: Callable[..., str], session: Session
) -> None:
    before = everything(session)
    path = write(
        {
            "tenant_types": [{"code": "t", "name": "T"}],
            "privileges": [{"code": "fine", "name": "Fine"}, {"code": "1", "name": "Not"}],
        }
    )
    said = idp("import", path, code=1).stderr
    assert said.startswith("Error: The file cannot be imported.\n  privileges[1].code: A code")
    assert everything(session) == before
    assert idp("import", "nowhere.yaml", code=2).stderr


@pytest.mark.no_database
@pytest.mark.parametrize(
    "text",
    [
        "a: &x [1]\nb: *x\n",
        "a: 1\na: 2\n",
        "a: !!python/object/apply:os.system [true]\n",
        "a: [",
        "\x00",
        "[" * 100 + "]" * 100,
        "a: " + "9" * 5000,
        "{? [a]: b}",
        "a: !!timestamp x",
        "!!map [1]",
        "a: !!bool zz",
    ],
)
def test_yaml_that_does_more_than_say_things_is_refused(text: str) -> None:
    with pytest.raises(BadRequest):
        reader.parse_yaml(text.encode())


@pytest.mark.no_database
def test_json_and_sizes_are_limited(tmp_path: Path) -> None:
    for text in ("{", "[" * 100_000, '{"a": "\\u0000"}'):
        with pytest.raises(BadRequest):
            reader.parse_json(text.encode())
    large = tmp_path / "large.yaml"
    large.write_bytes(b"#" * (reader.LARGEST_FILE + 1))
    with pytest.raises(BadRequest):
        reader.read(large)
    with pytest.raises(BadRequest):
        reader.parse_yaml(b"\xff\xfe\xff")


def test_a_document_without_sections_is_refused(session: Session) -> None:
    for document in (None, [], "x", 7):
        with pytest.raises(BadRequest):
            service.import_document(session, document)


@pytest.mark.settings(demo=True)
def test_the_demo_is_planted_once(session: Session, settings: Settings) -> None:
    assert "demo-app" in seeds.seed(session, settings).added
    session.commit()
    shown = resources.by_tenant(session, {1: ["demo.orders.read"]})[1]
    assert [row.application.code for row in shown] == ["demo-app"]
    assert applications.get_of_client(session, "demo-web", None).code == "demo-app"
    assert session.scalar(select(Bundle.initialize).where(Bundle.code == "demo-start"))
    for child in (Menu.parent_id.is_not(None), Menu.parent_id.is_(None)):
        session.execute(delete(Menu).where(child))
    clients.delete(session, clients.get(session, "demo-web"))
    applications.delete(session, applications.get(session, "demo-app"))
    session.commit()
    assert seeds.seed(session, settings).added == []
    assert session.scalar(select(func.count(Application.id))) == 0
