"""Publications at a real Caddy with two real services behind it."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import threading
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import pytest
from sqlalchemy import select
from werkzeug.serving import WSGIRequestHandler, make_server

from idp.directory.actor import OPERATOR
from idp.directory.clients import service as clients
from idp.directory.resources import service as resources
from idp.platform.jobs.models import OutboxMessage
from idp.publishing.gateway import products, tables
from idp.publishing.gateway import service as gateway
from idp.publishing.gateway.drivers import Caddy
from idp.publishing.gateway.models import Publication
from idp.publishing.gateway.reasons import NotPublished, Reason
from idp.publishing.gateway.state import Difference, Drift
from tests import protocol
from tests.certificates import self_signed
from tests.conftest import changed
from tests.delivery import deliver_due
from tests.gateway import caddy as servers
from tests.gateway.sites import description

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


class _Quiet(WSGIRequestHandler):
    def log_request(self, *_: Any, **__: Any) -> None:
        pass


@pytest.fixture(scope="module")
def caddy(tmp_path_factory):
    """Run one Caddy for all tests of this file."""
    server = servers.make(tmp_path_factory.mktemp("caddy"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def settings(settings, caddy, request):
    """Publish through Caddy, which asks a server of this test's application."""
    request.node.verify_server = server = make_server(
        "127.0.0.1", 0, lambda *_: [], threaded=True, request_handler=_Quiet
    )
    verify = f"http://127.0.0.1:{server.server_port}"
    yield changed(settings, gateway=f"{caddy.setting}&verify={verify}")
    server.server_close()


@pytest.fixture(autouse=True)
def _served(app, caddy, request):
    """Start Caddy empty, with access to `/gateway/verify`."""
    if caddy.process is None:
        caddy.start()
    caddy.clear()
    server = request.node.verify_server
    server.app = app
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield
    server.shutdown()
    thread.join()


@dataclass
class World:
    """Calls what is published."""

    port: int
    token: str | None = None
    session: Any = None

    def call(self, path, method="GET", body=None, headers=(), *, token=None):
        """Call through the gateway; return status and what the service says of the call."""
        if self.session is None or threading.current_thread() is not threading.main_thread():
            return self._call(path, method, body, headers, token)
        self.session.commit()  # on SQLite an open transaction would hold the gate up
        for _ in range(10):
            with contextlib.suppress(ConnectionRefusedError):
                return self._call(path, method, body, headers, token)
            time.sleep(0.05)  # a busy Caddy takes a moment to listen
        return self._call(path, method, body, headers, token)

    def _call(self, path, method, body, headers, token):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.putrequest(method, path)
            bearer = token or self.token
            if bearer:
                connection.putheader("Authorization", f"Bearer {bearer}")
            for name, value in headers:
                connection.putheader(name, value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        content = json.loads(text) if text.startswith(b"{") else {}
        if answer.status != 200:
            content |= {"challenge": answer.headers.get("WWW-Authenticate")}
        return answer.status, content


@pytest.fixture
def world(session, client, caddy, orders):
    """Return a caller with a token of a machine that may read orders."""
    app = protocol.register_machine(session, "robot", ["orders.read"], tenant_id=1)
    token = protocol.machine_token(client, app).get_json()["access_token"]
    return World(caddy.port, token, session)


def seen(content, name):
    """List the values of a header as the service got them."""
    return [value for key, value in content["headers"] if key.lower() == name.lower()]


# Certificates of callers

GATEWAY = "gateway.example"


def over_tls(port, folder, token, certificate=None, headers=()):
    """Call through a gateway that ends TLS, with a certificate or without; return the status."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if certificate is not None:
        chain = folder / f"{certificate.thumbprint}.pem"
        chain.write_text(certificate.pem + certificate.key_pem)
        context.load_cert_chain(chain)
    connection = http.client.HTTPSConnection(GATEWAY, timeout=10)
    plain = socket.create_connection(("127.0.0.1", port), timeout=10)
    connection.sock = context.wrap_socket(plain, server_hostname=GATEWAY)
    bearer = {"Authorization": f"Bearer {token}"}
    connection.request("GET", "/orders/7", headers={**bearer, **dict(headers)})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status


@pytest.mark.settings(client_certificate="caddy", trusted_proxies="127.0.0.1")
def test_the_certificate_of_a_caller_reaches_the_check_of_its_token(
    session, client, caddy, orders, tmp_path
):
    own, other, server = self_signed(), self_signed(), self_signed(f"CN={GATEWAY}")
    app = protocol.register_machine(
        session,
        "bank",
        ["orders.read"],
        tenant_id=1,
        token_endpoint_auth_method="self_signed_tls_client_auth",
        jwks={"keys": [own.jwk]},
        tls_client_certificate_bound_access_tokens=True,
    )
    form = {"grant_type": "client_credentials", "client_id": app.client_id}
    token = client.post("/connect/token", data=form, headers=own.passed()).get_json()
    token = token["access_token"]
    assert orders.publish()["code"] == 200
    plain = World(caddy.port, token, session)
    # Where nobody asks for certificates there is none, whatever a caller writes.
    for headers in ((), own.passed().items()):
        assert plain.call("/orders/7", headers=headers)[0] == 401
    pem = tmp_path / "server.pem"
    pem.write_text(server.pem + server.key_pem)
    files = [{"certificate": str(pem), "key": str(pem)}]
    caddy.admin("PUT", "/config/apps/tls", {"certificates": {"load_files": files}})
    asking = [{"client_authentication": {"mode": "request"}}]
    caddy.admin("PUT", "/config/apps/http/servers/idp/tls_connection_policies", asking)
    session.commit()
    assert over_tls(caddy.port, tmp_path, token, own) == 200
    assert over_tls(caddy.port, tmp_path, token) == 401
    assert over_tls(caddy.port, tmp_path, token, other) == 401
    assert over_tls(caddy.port, tmp_path, token, other, own.passed().items()) == 401


@pytest.mark.no_database
@pytest.mark.parametrize(
    ("setting", "name", "value"),
    [
        ("haproxy", "X-SSL-Client-Cert", "{http.request.tls.client.certificate_der_base64}"),
        ("header:X-Own:der", "X-Own", "{http.request.tls.client.certificate_der_base64}"),
        # Forms that Caddy cannot write: a certificate is not told, and cannot be forged.
        ("nginx", "X-SSL-Client-Cert", ""),
        ("header:X-Own:pem", "X-Own", ""),
    ],
)
def test_a_caller_cannot_write_the_header_of_certificates(setting, name, value):
    driver = Caddy("127.0.0.1", 2019, ":8080", "http://127.0.0.1:8000", setting)
    assert driver._certificate() == {name: [value]}


# Calls


def test_a_call_reaches_the_service_with_who_calls(orders, world):
    assert orders.publish()["code"] == 200
    status, content = world.call("/orders/7/items?day=1&day=2")
    assert (status, content["site"], content["path"]) == (200, "one", "/7/items?day=1&day=2")
    assert seen(content, "X-Subject") == ["robot"]
    assert seen(content, "X-Tenant") == ["1"]
    assert seen(content, "X-Scope") == ["orders.read"]
    assert seen(content, "X-Permission") == []
    assert seen(content, "Host") == [orders.versions()[0]["serviceUrl"].partition("//")[2]]
    assert world.call("/orders")[1]["path"] == "/"
    status, content = world.call("/orders/x", "POST", b"a=1" * 1000)
    assert (status, content["method"], content["body"]) == (200, "POST", "a=1" * 1000)


def test_the_gateway_has_the_metadata_of_what_is_published(session, orders, world):
    clients.set_scopes(session, clients.get(session, "robot"), [])
    name = f"http://127.0.0.1:{world.port}/orders"
    resources.change_api(session, OPERATOR, orders.id, None, name=name)
    path = "/.well-known/oauth-protected-resource"
    assert orders.publish()["code"] == 200
    status, content = world.call(f"{path}/orders")
    assert (status, content["resource"]) == (200, name)
    assert world.call(f"{path}/orders/x")[0] == 404
    assert world.call(f"{path}/orders", "POST", b"")[0] == 405
    assert world.call(path)[0] == 404


def test_forged_identities_do_not_reach_the_service(orders, world):
    assert orders.publish()["code"] == 200
    forged = [
        (spelling, "ids4.ms.all")
        for name in ("X-Subject", "X-Tenant", "X-Scope", "X-Permission", "X-Permission-Ref")
        for spelling in (name, name.lower(), name.replace("-", "_"), name.upper().replace("-", "_"))
    ]
    status, content = world.call("/orders/", headers=forged)
    assert status == 200
    assert "ids4.ms.all" not in str(content["headers"])
    assert seen(content, "X-Subject") == ["robot"]
    assert seen(content, "x_subject") == []


def test_nobody_hides_who_he_is_by_a_connection_header(orders, world):
    assert orders.publish()["code"] == 200
    for value in ("X-Subject", "close, X-Subject, x-tenant", "X-SCOPE,x-subject ,X-Tenant"):
        status, content = world.call("/orders/", headers=[("Connection", value)])
        assert status == 200
        assert seen(content, "X-Subject") == ["robot"], value
        assert seen(content, "X-Tenant") == ["1"], value
        assert seen(content, "X-Scope") == ["orders.read"], value


def test_who_may_not_call_does_not_reach_the_service(session, client, orders, world, site):
    orders.publish(scope="orders.write")
    site.fetched.clear()
    status, content = World(world.port).call("/orders/")
    assert (status, content["challenge"]) == (401, 'Bearer realm="idp", scope="orders.write"')
    assert world.call("/orders/", token="x")[0] == 401
    status, content = world.call("/orders/")
    assert (status, content["error"]) == (403, "insufficient_scope")
    assert 'scope="orders.write"' in content["challenge"]
    assert site.fetched == []
    app = protocol.register_machine(session, "writer", ["orders.write"], tenant_id=1)
    writer = protocol.machine_token(client, app).get_json()["access_token"]
    assert world.call("/orders/", token=writer)[0] == 200


def test_nothing_but_what_is_published_is_there(orders, world, site):
    assert orders.publish()["code"] == 200
    site.fetched.clear()
    for path in ("/", "/other", "/ordersx", "/orders/../other", "/orders/%2e%2e/other"):
        status, _ = world.call(path)
        assert status in {400, 404}, path
    # However the path is spelled, the gate is asked first.
    for path in ("//orders", "/./orders/", "/x/../orders/", "/ORDERS/", "/%6frders/"):
        assert World(world.port).call(path)[0] in {400, 401, 404}, path
    assert site.fetched == []


def test_calls_stay_below_the_path_of_the_upstream(session, orders, world, site):
    site.describe("/orders.json", description(f"{site.origin}/base"))
    assert orders.publish()["code"] == 200
    assert world.call("/orders/a?b=c")[1]["path"] == "/base/a?b=c"
    for path in ("/orders/../../etc", "/orders/%2e%2e/%2e%2e/etc", "/orders/a/..%2f..%2fetc"):
        status, content = world.call(path)
        assert status != 200 or content["path"].startswith("/base/"), path


@pytest.mark.parametrize("base", ["", "/base/deep"])
def test_a_path_that_could_mean_two_things_does_not_reach_the_service(orders, world, site, base):
    site.describe("/orders.json", description(site.origin + base))
    assert orders.publish()["code"] == 200
    site.fetched.clear()
    for step in (
        *("..", ".", "..;", "..;x=1", ".;", "%2e%2e", "%2E.", ".%2e;a", "%252e%252e", "..%3b"),
        *(
            "..%5c",
            "..\\",
            "a\\b",
            "%5c",
            "%255C",
            "%00",
            "a%00b",
            "a%2500",
            "%0a",
            "a%0d%0ab",
            "%7f",
        ),
        *("..%2f", "..%2F..", "a%2f..", "a%2f..%2fb", "a%252f..%252f", "%c0%ae%c0%ae", "%c0%af"),
    ):
        for path in (f"/orders/{step}/x", f"/orders/a/{step}/{step}/x", f"/orders/{step}"):
            status, content = world.call(path)
            assert status in {400, 404}, (path, status, content)
            assert world.call(f"{path}?a=b")[0] in {400, 404}, path
    assert site.fetched == []


def test_dots_and_escapes_that_mean_one_thing_reach_the_service(orders, world, site):
    site.describe("/orders.json", description(f"{site.origin}/base"))
    assert orders.publish()["code"] == 200
    for path in (
        *(
            "/a..b",
            "/...",
            "/.well-known/x",
            "/..a",
            "/a;v=1",
            "/a%2fb",
            "/100%25",
            "/a%20b",
            "/%E4",
        ),
        *("/x?a=../../b", "/x?a=%00%5c..%2f", "/x?/../", "/a%3Fb", "/%C3%A9"),
    ):
        status, content = world.call(f"/orders{path}")
        assert (status, unquote(content.get("path", ""))) == (200, unquote(f"/base{path}")), content


def test_versions_are_told_apart_by_api_version(session, orders, world, site, backends):
    two = backends[1]
    products.allow_upstream(session, 1, two.origin)
    assert orders.publish()["code"] == 200
    site.describe("/orders.json", description(two.origin))
    body = {"apiId": str(orders.id), "swaggerUrl": orders.url}
    path = f"/ApiResource/{orders.id}"
    orders.caller.data("POST", f"{path}/PublishRevision", body)
    body = {"revisionId": f"{orders.id};rev=2", "apiVersionName": "v2"}
    assert orders.caller.data("POST", f"{path}/PublishVersion", body) is True
    assert world.call("/orders/")[1]["site"] == "one"
    assert world.call("/orders/?api-version=")[1]["site"] == "one"
    _, content = world.call("/orders/?api-version=v2&x=1")
    assert (content["site"], content["path"]) == ("two", "/?api-version=v2&x=1")
    assert world.call("/orders/?api-version=v3")[0] == 404
    assert World(world.port).call("/orders/?api-version=v2")[0] == 401


def test_products_of_a_version_are_asked_for(session, orders, world):
    products.add_product(session, products.NewProduct("gold", "Gold"))
    orders.publish(productIds=["gold"])
    assert world.call("/orders/")[0] == 403
    products.subscribe(session, "gold", "robot")
    session.commit()
    assert world.call("/orders/")[0] == 200


# Switching


def test_putting_a_revision_online_drops_no_request(session, orders, world, site, backends):
    two = backends[1]
    products.allow_upstream(session, 1, two.origin)
    assert orders.publish()["code"] == 200
    site.describe("/orders.json", description(two.origin))
    body = {"apiId": str(orders.id), "swaggerUrl": orders.url}
    orders.caller.data("POST", f"/ApiResource/{orders.id}/PublishRevision", body)
    assert world.call("/orders/")[1]["site"] == "one"
    stop, answers = threading.Event(), []

    def keep_calling():
        while not stop.is_set():
            try:
                status, content = world.call("/orders/")
            except OSError as error:
                answers.append((repr(error), ""))
            else:
                answers.append((status, content.get("site")))

    callers = [threading.Thread(target=keep_calling) for _ in range(3)]
    for caller in callers:
        caller.start()
    for number in (2, 1, 2, 1, 2, 1, 2):
        time.sleep(0.2)
        path = f"/ApiResource/{orders.id}/Versions/{orders.id};rev={number}"
        assert orders.caller.data("POST", path) is True
    time.sleep(0.3)
    end = time.monotonic() + 60  # for a machine that is busy with other things
    while len(answers) <= 100 and time.monotonic() < end:
        time.sleep(0.1)
    stop.set()
    for caller in callers:
        caller.join()
    assert len(answers) > 100
    assert {status for status, _ in answers} == {200}
    assert {site for _, site in answers} == {"one", "two"}
    assert world.call("/orders/")[1]["site"] == "two"


# Trouble


def test_a_caddy_that_starts_again_gets_its_routes_back(runtime, orders, new_orders, world, caddy):
    assert orders.publish()["code"] == 200
    bills = new_orders("bills")
    bills.publish(suffix="bills")
    assert world.call("/orders/")[0] == 200
    before = caddy.admin("GET", "/config/apps/http/servers/idp/routes")
    caddy.stop()
    with pytest.raises(OSError):
        world.call("/orders/")
    gateway.watch(runtime, threading.Event())  # it is still away; nothing happens
    caddy.start()
    gateway.watch(runtime, threading.Event())
    assert world.call("/orders/")[0] == 200
    after = caddy.admin("GET", "/config/apps/http/servers/idp/routes")
    assert sorted(map(str, after)) == sorted(map(str, before))
    # What somebody else changed there is put back as well, and left alone when it is right.
    caddy.admin("DELETE", f"/id/idp-api-{orders.id}")
    assert world.call("/orders/")[0] == 404
    gateway.watch(runtime, threading.Event())
    assert world.call("/orders/")[0] == 200


def test_what_is_published_no_more_is_taken_away(session, runtime, orders, world, site):
    assert orders.publish()["code"] == 200
    products.forbid_upstream(session, 1, site.origin)
    session.commit()
    site.fetched.clear()
    assert world.call("/orders/")[0] == 404  # the gate knows at once
    gateway.watch(runtime, threading.Event())
    products.allow_upstream(session, 1, site.origin)
    session.commit()
    gateway.watch(runtime, threading.Event())
    assert world.call("/orders/")[0] == 200
    session.delete(clients.get(session, "robot"))
    session.commit()
    orders.caller.data("DELETE", f"/ApiResource/{orders.id}")
    assert world.call("/orders/")[0] == 401
    gateway.watch(runtime, threading.Event())
    assert world.call("/orders/")[0] == 404


def test_without_an_answer_nothing_is_published_until_the_worker_succeeds(
    session, runtime, orders, world, caddy
):
    caddy.stop()
    found = orders.publish()
    assert (found["code"], found["codeName"]) == (300011, "Publish_PublishFailed")
    assert "重试" in found["message"]
    assert session.scalar(select(Publication)) is None
    assert orders.caller.call("GET", f"/ApiResource/{orders.id}/Versions")["code"] == 300002
    session.commit()
    assert deliver_due(runtime, "gateway") == 0
    caddy.start()
    session.commit()
    make_due(session)
    assert deliver_due(runtime, "gateway") >= 1
    assert len(orders.versions()) == 1
    assert world.call("/orders/")[0] == 200


def make_due(session):
    """Make what waits in the outbox due now."""
    from idp.platform import clock

    for row in session.scalars(select(OutboxMessage).where(OutboxMessage.done_at.is_(None))):
        row.due_at = clock.now()
    session.commit()


def test_a_retry_does_not_undo_what_was_published_since(session, runtime, orders, world, caddy):
    assert orders.publish()["code"] == 200
    caddy.stop()
    assert orders.publish(suffix="late")["code"] == 300011
    caddy.start()
    assert orders.publish(name="Newest", suffix="newest")["code"] == 200
    make_due(session)
    deliver_due(runtime, "gateway")
    assert orders.versions()[0]["path"] == "newest"
    assert world.call("/late/")[0] == 404
    assert world.call("/newest/")[0] == 200


def test_a_retry_asks_again_whether_its_author_may(session, runtime, orders, world, caddy):
    caddy.stop()
    assert orders.publish()["code"] == 300011
    caddy.start()
    from idp.directory.resources.models import ApiResourceOwner

    session.delete(session.get_one(ApiResourceOwner, (orders.caller.user.id, orders.id)))
    make_due(session)
    deliver_due(runtime, "gateway")
    assert session.scalar(select(Publication)) is None
    assert caddy.admin("GET", f"/id/idp-api-{orders.id}") is None


def test_a_process_that_dies_between_gateway_and_rows_leaves_nothing_half_done(
    session, runtime, orders, world, caddy, monkeypatch
):
    """The gateway has it, the rows do not; the job that was left before brings them together."""

    class Died(BaseException):
        pass

    def die(*_):
        raise Died

    from idp.publishing.gateway.service import settling

    with monkeypatch.context() as patch:
        patch.setattr(settling, "_finish", die)
        with pytest.raises(Died):
            orders.publish()
    session.rollback()
    assert session.scalar(select(Publication)) is None
    assert world.call("/orders/")[0] == 404  # nobody passes the gate to what is no publication
    make_due(session)
    deliver_due(runtime, "gateway")
    assert len(orders.versions()) == 1
    assert world.call("/orders/")[0] == 200


def test_a_gateway_that_dies_between_two_steps_is_put_right(
    session, runtime, orders, world, caddy, monkeypatch
):
    """The route is asked for, is not there, and then Caddy dies before it is added."""
    real = Caddy._call
    asked = []

    def dying(self, method, path, *args, **options):
        asked.append(method)
        if method == "PUT":
            caddy.stop()
        return real(self, method, path, *args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Caddy, "_call", dying)
        assert orders.publish()["code"] == 300011
    assert asked == ["PATCH", "PUT"]
    assert session.scalar(select(Publication)) is None
    caddy.start()
    make_due(session)
    deliver_due(runtime, "gateway")
    assert world.call("/orders/")[0] == 200


def test_a_gateway_that_refuses_is_told_and_not_asked_again(session, runtime, orders, monkeypatch):
    def refuse(*_):
        raise NotPublished(Reason.GATEWAY_REFUSED, "status 400", debug="secret of the gateway")

    with monkeypatch.context() as patch:
        patch.setattr(Caddy, "apply", refuse)
        found = orders.publish()
        assert found["code"] == 300011
        assert "secret of the gateway" not in str(found)
    waiting = select(OutboxMessage.job).where(OutboxMessage.done_at.is_(None))
    assert session.scalars(waiting).all() == ["gateway-repair"]
    session.commit()
    assert deliver_due(runtime, "gateway") == 1
    assert session.scalar(select(Publication)) is None


def test_what_succeeded_leaves_no_job_behind(session, orders):
    assert orders.publish()["code"] == 200
    waiting = select(OutboxMessage.job).where(OutboxMessage.done_at.is_(None))
    assert session.scalars(waiting).all() == ["api-published"]
    payloads = select(OutboxMessage.payload_encrypted).where(OutboxMessage.done_at.is_not(None))
    assert session.scalars(payloads).all() == [None]


def test_routes_of_others_are_left_alone(session, runtime, orders, world, caddy):
    assert orders.publish()["code"] == 200
    other = {"@id": "theirs", "match": [{"path": ["/theirs"]}], "terminal": True}
    handle = [{"handler": "static_response", "status_code": 200, "body": "{}"}]
    Caddy.from_settings(runtime.settings)._call(
        "PUT", "/config/apps/http/servers/idp/routes/0", {**other, "handle": handle}
    )
    gateway.watch(runtime, threading.Event())
    orders.publish(name="Again", suffix="again")
    assert world.call("/theirs")[0] == 200
    assert world.call("/again/")[0] == 200
    assert world.call("/orders/")[0] == 404


def test_a_comparison_names_what_differs_and_changes_nothing(
    session, runtime, orders, world, caddy
):
    assert orders.publish()["code"] == 200
    driver = Caddy.from_settings(runtime.settings)
    name = f"idp-api-{orders.id}"
    assert gateway.compare_all(session) == []
    driver._call("PATCH", f"/id/{name}/match", [{"path": ["/elsewhere"]}])
    changed = [Difference(name, Drift.DIFFERENT, orders.id)]
    assert gateway.compare_all(session) == changed
    assert gateway.compare(session, gateway.find(session, orders.id)) == changed
    caddy.admin("DELETE", f"/id/{name}")
    unknown = {"@id": "idp-api-999", "match": [{"path": ["/old"]}], "terminal": True}
    driver._call("PUT", "/config/apps/http/servers/idp/routes/0", unknown)
    assert gateway.compare_all(session) == [
        Difference(name, Drift.MISSING, orders.id),
        Difference("idp-api-999", Drift.UNKNOWN),
    ]
    assert world.call("/orders/")[0] == 404


def test_a_state_survives_the_outbox(session, orders):
    assert orders.publish()["code"] == 200
    state = tables.find(session, orders.id)
    assert type(state).from_json(json.loads(json.dumps(state.to_json(), default=str))) == state
    assert resources.get_api(session, OPERATOR, orders.id).name == "orders"
