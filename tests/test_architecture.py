"""docs/architecture.md: its table is followed, and what it names is there."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from idp.config import Settings
from tests import protocol
from tests.conftest import as_environment
from tests.servers import LiveServer, clean_environment, free_port

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
PATH = re.compile(r"`((?:idp|templates|migrations|tests|docs)/[^`]*)`")
COPIED = ("idp", "migrations", "templates")

pytestmark = pytest.mark.no_database


def row(thing: str) -> str:
    """Return what the table says must be touched."""
    (found,) = re.findall(rf"^\| {re.escape(thing)} \| (.*) \|$", PAGE, re.MULTILINE)
    return str(found)


def filled(path: str, names: Mapping[str, str]) -> str:
    """Return a path with the names in angle brackets replaced."""
    return re.sub(r"<(\w+)>", lambda match: names[match[1]], path)


@dataclass(frozen=True)
class Copy:
    """A copy of the package that things are added to."""

    folder: Path

    def write(self, path: str, text: str) -> None:
        """Add a file."""
        file = self.folder / path
        assert not file.exists()
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def append(self, path: str, text: str) -> None:
        """Add text at the end of a file."""
        file = self.folder / path
        file.write_text(file.read_text(encoding="utf-8") + text, encoding="utf-8")

    def insert(self, path: str, after: str, text: str) -> None:
        """Add text to a file, after a text that is there once or first."""
        file = self.folder / path
        before, found, rest = file.read_text(encoding="utf-8").partition(after)
        assert found, f"{path} has no {after!r}"
        file.write_text(before + found + text + rest, encoding="utf-8")

    def files(self) -> dict[str, bytes]:
        """Return the content of every file."""
        return {
            str(path.relative_to(self.folder)): path.read_bytes()
            for path in self.folder.rglob("*")
            if path.is_file() and path.suffix != ".pyc"
        }


GRANT = '''
"""A grant that plays."""

from idp.oauth import access_tokens
from idp.oauth.checks import scope as scopes
from idp.oauth.grants import GrantRequest, GrantType, token_answer


async def answer(token_request: GrantRequest):
    """Issue a token for a client that names a toy."""
    granted = scopes.validate(token_request.client, ["toys.play"])
    issuer, client, holder = (
        token_request.request.issuer, token_request.client, token_request.holder
    )
    token = await access_tokens.issue_access_token(
        token_request.storage, issuer, client, granted, holder
    )
    toy = token_request.parameters.require("toy")
    return token_answer(token, holder, 60, "toys.play") | {"toy": toy}


GRANT = GrantType("urn:example:toy", frozenset({"toy"}), answer)
'''


def add_grant(copy: Copy) -> None:
    copy.write("idp/oauth/grants/toy.py", GRANT)
    server, product = "idp/oauth/server.py", "idp/directory/product.py"
    copy.insert(server, "from idp.oauth.grants import ", "toy, ")
    copy.insert(server, "GRANTS = (", "toy.GRANT, ")
    copy.insert(product, "GRANT_TYPES = (", '"urn:example:toy", ')


def add_claim(copy: Copy) -> None:
    function = '\n\ndef favourite_toy(subject: Subject) -> str:\n    return "the bear"\n'
    copy.append("idp/claims/profile.py", function)
    line = '\n    "favourite_toy": profile.favourite_toy,'
    copy.insert(
        "idp/claims/registry.py", "CLAIMS: Mapping[str, Callable[[Subject], Any]] = {", line
    )


RULE = '''

def count_privileges(session: Session) -> int:
    """Return how many privileges there are."""
    return len(session.scalars(select(Privilege.id)).all())
'''
OPERATION = '''

class CountShape(AdminShape):
    """How many."""

    schema_name = "Count"

    count = int32()


@admin.operation(
    "privileges-count",
    "GET",
    "/privilege-count",
    scope=Scope.ADMIN_PRIVILEGES_READ,
    tenant=platform,
    result=CountShape(),
)
def count() -> dict[str, int]:
    """Count the privileges."""
    return {"count": role_rules.count_privileges(database())}
'''


def add_operation(copy: Copy) -> None:
    copy.append("idp/directory/roles/management.py", RULE)
    module, texts = "idp/api/admin/privileges.py", "idp/api/admin/texts.py"
    copy.insert(module, "from idp.platform.wire.shapes import ", "int32, ")
    imported = "from idp.directory.roles import management as role_rules\n"
    copy.insert(module, "from idp.directory.roles import catalogue, groups\n", imported)
    copy.append(module, OPERATION)
    title = '\n    "privileges-count": (Text("Count the privileges", "权限数量"),),'
    copy.insert(texts, "OPERATIONS: dict[str, tuple[Text, ...]] = {", title)
    copy.insert(texts, "SCHEMAS = {", '\n    "Count": Text("A number.", "数量。"),')
    copy.insert(texts, "MEMBERS = {", '\n    "count": Text("How many.", "数量。"),')


VIEW = '''
"""A page with a toy."""

from flask import Blueprint, render_template

blueprint = Blueprint("toy", __name__)


@blueprint.get("/toy")
def show() -> str:
    """Show it."""
    return render_template("pages/toy/show.html")
'''
TEMPLATE = """{% extends "base.html" %}
{% block title %}{{ _("A toy") }}{% endblock title %}
{% block main %}<h1>{{ _("A toy") }}</h1>{% endblock main %}
"""


SCREEN = '''
"""A screen with toys."""

from idp.pages.console import layout, screens
from idp.pages.console.gate import Pages

pages = Pages(screens.TOYS)


@pages.get()
def index(workspace):
    """Show it."""
    return layout.page(workspace, "toybox/index.html", screen=screens.TOYS)
'''
SCREEN_TEMPLATE = """{% extends "pages/console/layout.html" %}
{% block title %}{{ _("Toys") }}{% endblock title %}
{% block main %}<h1>{{ _("Toys") }}</h1>{% endblock main %}
"""


def add_screen(copy: Copy) -> None:
    screens, package = "idp/pages/console/screens.py", "idp/pages/console/toybox"
    toys = 'TOYS = Screen("toybox", Group.APIS, _("Toys"), "api", Scope.CLIENT_GET)\n'
    copy.insert(screens, "Scope.CLIENT_GET)\n", toys)
    copy.insert(screens, "SCREENS = (", "TOYS, ")
    copy.write(f"{package}/__init__.py", '"""Toys."""\n')
    copy.write(f"{package}/views.py", SCREEN)
    blueprint = "idp/pages/console/blueprint.py"
    copy.insert(blueprint, "from idp.pages.console.gate import for_workspace\n", TOYBOX)
    copy.insert(blueprint, "PAGES = (", "toybox.pages, ")
    copy.write("templates/pages/console/toybox/index.html", SCREEN_TEMPLATE)
    translate(copy, "Toys", "玩具")


TOYBOX = "from idp.pages.console.toybox import views as toybox\n"


def add_page(copy: Copy) -> None:
    copy.write("idp/pages/toy.py", VIEW)
    copy.insert("idp/pages/blueprints.py", "from idp.pages import (", "\n    toy,")
    copy.insert("idp/pages/blueprints.py", "    return [\n", "        toy.blueprint,\n")
    copy.write("templates/pages/toy/show.html", TEMPLATE)
    translate(copy, "A toy", "玩具")


def translate(copy: Copy, english: str, chinese: str) -> None:
    """Add a text to the catalogue."""
    catalogue = "idp/translations/zh/LC_MESSAGES/messages"
    copy.append(f"{catalogue}.po", f'\nmsgid "{english}"\nmsgstr "{chinese}"\n')
    with (copy.folder / f"{catalogue}.po").open("rb") as texts:
        parsed = read_po(texts, locale="zh")
    with (copy.folder / f"{catalogue}.mo").open("wb") as compiled:
        write_mo(compiled, parsed)


@dataclass(frozen=True)
class Thing:
    """Something that the table says how to add."""

    add: Callable[[Copy], None]
    names: dict[str, str]
    """What the names in angle brackets are."""


THINGS = {
    "a grant": Thing(add_grant, {"grant": "toy"}),
    "a claim": Thing(add_claim, {"subject": "profile"}),
    "an operation": Thing(add_operation, {"package": "roles", "module": "privileges"}),
    "a page": Thing(add_page, {"page": "toy", "name": "show"}),
    "a screen of the console": Thing(add_screen, {"screen": "toybox"}),
}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Copy]:
    """Copy what an application is started from."""
    copy = Copy(tmp_path_factory.mktemp("copy"))
    ignored = shutil.ignore_patterns("__pycache__")
    for name in COPIED:
        shutil.copytree(ROOT / name, copy.folder / name, ignore=ignored)
    yield copy
    shutil.rmtree(copy.folder)


def test_the_table_names_the_files_that_are_touched_and_they_suffice(
    copy: Copy, settings: Settings, tmp_path: Path
) -> None:
    for thing, toy in THINGS.items():
        named = {
            filled(path, toy.names) for path in PATH.findall(row(thing)) if path.startswith(COPIED)
        }
        before = copy.files()
        toy.add(copy)
        touched = {path for path, content in copy.files().items() if before.get(path) != content}
        assert touched == named, thing
    use(copy, settings, tmp_path)


def use(copy: Copy, settings: Settings, folder: Path) -> None:
    """Start the application of the copy, and use what was added."""
    port = free_port()
    served = settings.model_copy(update={"public_url": f"http://127.0.0.1:{port}"})
    environment = as_environment(served) | {"IDP_PUBLIC_URL": served.public_url}

    def idp(*arguments: str) -> dict[str, str]:
        done = subprocess.run(
            [sys.executable, "-c", "from idp.cli import main; main()", *arguments, "--json"],
            cwd=copy.folder,
            env={**clean_environment(), **environment},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        answer: dict[str, str] = json.loads(done.stdout)
        return answer

    reading = "ids4.ms.admin.privileges.read"
    idp("api", "add", "toys", "--scope", "toys.play", "--claim", "favourite_toy")
    scopes = ("--scope", "toys.play", "--scope", reading)
    app = idp("client", "add", "--id", "child", "--grant", "urn:example:toy", *scopes)
    token = idp("token", "--user", "admin", "--client", "child", *scopes)["access_token"]

    server = LiveServer.start(environment, port=port, log=folder / "log", folder=copy.folder)
    try:
        with httpx.Client(base_url=server.url) as http:
            answer = http.post(
                "/connect/token",
                data={"grant_type": "urn:example:toy", "toy": "bear"},
                auth=(app["client_id"], app["client_secret"]),
            )
            assert answer.status_code == 200, answer.text
            assert answer.json()["toy"] == "bear"
            metadata = http.get("/.well-known/openid-configuration").json()
            assert "urn:example:toy" in metadata["grant_types_supported"]

            assert protocol.payload(token)["favourite_toy"] == "the bear"

            headers = {"Authorization": f"Bearer {token}"}
            answer = http.get("/admin/v1/privilege-count", headers=headers)
            assert answer.status_code == 200, answer.text
            assert answer.json()["count"] > 100
            document = http.get("/openapi/admin.json", params={"lang": "zh"}).json()
            described = document["paths"]["/admin/v1/privilege-count"]["get"]
            assert described["summary"] == "权限数量"

            for language, title in (("en", "A toy"), ("zh", "玩具")):
                page = http.get("/toy", headers={"Accept-Language": language})
                assert f"<h1>{title}</h1>" in page.text

            login = http.get("/login")
            token = re.findall(r'name="csrf_token"\s+value="([^"]+)"', login.text)[0]
            password = settings.admin_password
            assert password is not None
            form = {"csrf_token": token, "login": "admin", "password": password.get_secret_value()}
            http.post("/login", data=form)
            page = http.get("/console/platform/toybox", headers={"Accept-Language": "zh"})
            assert "<h1>玩具</h1>" in page.text
            assert page.text.count("/console/platform/toybox") >= 1
    finally:
        server.stop()


@pytest.mark.parametrize("path", sorted(set(PATH.findall(PAGE))))
def test_every_file_that_the_page_names_is_there(path: str) -> None:
    assert list(ROOT.glob(re.sub(r"<\w+>", "*", path))) != []


def test_the_page_names_every_part_of_the_package() -> None:
    parts = {path.name for path in (ROOT / "idp").iterdir() if (path / "__init__.py").exists()}
    missing = {part for part in parts if f"`idp/{part}/`" not in PAGE}
    assert missing == set()


def test_the_index_of_decisions_has_every_decision_once_by_its_title() -> None:
    folder = ROOT / "docs/decisions"
    listed = re.findall(
        r"^- (\d+)\. \[(.+)\]\((.+)\)$", (folder / "README.md").read_text("utf-8"), re.MULTILINE
    )
    titles = {
        path.name: path.read_text("utf-8").partition("\n")[0] for path in folder.glob("[0-9]*.md")
    }
    assert sorted(file for _, _, file in listed) == sorted(titles)
    for number, title, file in listed:
        assert titles[file] == f"# {number}. {title}"
        assert file.startswith(f"{int(number):04}-")
