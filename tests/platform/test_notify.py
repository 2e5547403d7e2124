"""Mail and short messages: rendered, sent by real protocols, tried again, never leaked."""

from __future__ import annotations

import email
import ipaddress
import json
import ssl
import stat
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email import policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
import time_machine
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from jinja2 import Environment, UndefinedError, meta
from sqlalchemy import select
from sqlalchemy.orm import Session
from structlog.testing import capture_logs

from idp.platform.errors import BadRequest
from idp.platform.files import templates_dir
from idp.platform.jobs import service as jobs
from idp.platform.jobs.models import OutboxMessage
from idp.platform.notify import messages
from idp.platform.notify import service as notify
from idp.platform.runtime import Runtime
from tests.delivery import deliver_due
from tests.servers import free_port

# What the outbox does is tested on every database in test_jobs.py; this is about sending.
pytestmark = pytest.mark.no_database

CODE = "739145"
VALUES = {"service": "Acme 公司", "code": CODE, "minutes": "5"}
LONG_LINK = "https://login.example/forgot/" + "x" * 120


class Inbox:
    """A mail server that keeps what it is given, unless told to refuse."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []
        self.answers: list[str] = []
        self.logins: list[tuple[str, str]] = []

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Envelope) -> str:  # noqa: N802
        if self.answers:
            return self.answers.pop(0)
        self.envelopes.append(envelope)
        return "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, _server: Any, _session: Any, envelope: Envelope, address: str, _options: Any
    ) -> str:
        if address.startswith("nobody@"):
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    def login(self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> Any:
        self.logins.append((data.login.decode(), data.password.decode()))
        return AuthResult(success=data.password == b"p@ss/word", handled=False)

    @property
    def mails(self) -> list[EmailMessage]:
        return [
            email.message_from_bytes(bytes(envelope.content or b""), policy=policy.default)
            for envelope in self.envelopes
        ]


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def mail_server(inbox: Inbox) -> Iterator[Callable[..., int]]:
    """Start mail servers; return the port."""
    started = []

    def start(**options: Any) -> int:
        port = free_port()
        server = Controller(inbox, hostname="127.0.0.1", port=port, **options)
        server.start()
        started.append(server)
        return port

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """Make a certificate for 127.0.0.1 that is not trusted yet."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mail")])
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    files = tmp_path / "certificate.pem", tmp_path / "key.pem"
    files[0].write_bytes(signed.public_bytes(Encoding.PEM))
    files[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return files


def tls_of(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


def configure(runtime: Runtime, **fields: Any) -> None:
    runtime.settings = runtime.settings.model_copy(update=fields)


def leave_code(session: Session, to: str = "ann@example.com", locale: str = "en") -> None:
    notify.mail(session, to, "verification_code", VALUES, locale)
    session.commit()


def error_of(session: Session) -> str:
    session.rollback()
    error = session.scalars(select(OutboxMessage.last_error).order_by(OutboxMessage.id)).all()[-1]
    session.rollback()
    return error or ""


def has_failed(session: Session) -> bool:
    failed = session.scalars(select(OutboxMessage.failed_at).order_by(OutboxMessage.id)).all()[-1]
    session.rollback()
    return failed is not None


# Templates


@pytest.mark.parametrize(
    "template", ["password_reset", "password_changed", "verification_code", "sign_in_code"]
)
@pytest.mark.parametrize("locale", ["zh", "en"])
def test_a_template_takes_the_values_that_are_written_down(template: str, locale: str) -> None:
    source = Path(templates_dir(), "mail", f"{template}.{locale}.txt").read_text()
    used = meta.find_undeclared_variables(Environment().parse(source))  # noqa: S701
    documented = (notify.__doc__ or "").split(f"`{template}`: ")[1].split("\n")[0]
    assert {f"`{name}`" for name in used} <= set(documented.replace(",", "").split())
    mail = messages.mail(template, dict.fromkeys(used, "value"), locale)
    assert mail.subject.isprintable()
    assert "value" in mail.body
    assert not any(mark in mail.subject + mail.body for mark in "{}")


def test_the_language_follows_the_locale() -> None:
    chinese = ["zh", "zh-CN", "zh_TW", "zh-Hans-CN", "ZH"]
    assert [messages.language(locale) for locale in chinese] == ["zh"] * 5
    others = ["en", "en-GB", "de", "", "zhx"]
    assert [messages.language(locale) for locale in others] == ["en"] * 5
    assert "验证码" in messages.mail("verification_code", VALUES, "zh-CN").subject
    assert messages.sms("verification_code", VALUES, "zh").startswith("【Acme 公司】")
    assert messages.sms("verification_code", VALUES, "en").startswith("Acme 公司: 739145")


def test_a_missing_value_is_noticed_when_the_message_is_made() -> None:
    with pytest.raises(UndefinedError):
        messages.mail("verification_code", {"service": "Acme"}, "en")


def test_a_value_cannot_write_lines_of_its_own() -> None:
    service = "Acme\r\nBcc: eve@evil.example\r\n\r\nYour account is locked, call 555\x00\u2028!"
    mail = messages.mail("verification_code", {**VALUES, "service": service}, "en")
    assert mail.subject.isprintable()
    assert all(not line.startswith(("Bcc", "Your account")) for line in mail.body.splitlines())


# Addresses


@pytest.mark.parametrize(
    "to",
    [
        *("", "ann", "@example.com", "ann@", "ann@example.com\r\nBcc: eve@evil.example"),
        *("ann@example.com, eve@evil.example", "Ann <ann@example.com>", "ann@example.com\n"),
        *("ann@example.com\x00", '"a b"@example.com', "ann@example.com;eve@evil.example"),
    ],
)
def test_a_mail_goes_to_one_plain_address(to: str) -> None:
    assert not notify.is_plain_address(to)


@pytest.mark.parametrize("to", ["ann@example.com", "a.n+n@b.example", "用户@例子.公司"])
def test_plain_addresses_are_taken(to: str) -> None:
    assert notify.is_plain_address(to)


def test_hostile_receivers_never_reach_the_outbox(session: Session) -> None:
    with pytest.raises(BadRequest):
        notify.mail(session, "a@b.example\nBcc: c@d.example", "verification_code", VALUES, "en")
    for number in ("13800138000", "+86 138", "+86138\n", "+", "+٣٣٣"):
        with pytest.raises(BadRequest):
            notify.sms(session, number, "verification_code", VALUES, "en")
    assert session.scalars(select(OutboxMessage)).all() == []


def test_a_header_that_would_break_out_is_refused_by_the_sender_too(
    runtime: Runtime, session: Session
) -> None:
    payload = {"to": "a@b.example", "body": "x", "message_id": "1"}
    jobs.enqueue(session, "notify.mail", {**payload, "subject": "x\r\nBcc: c@d.example"})
    session.commit()
    assert deliver_due(runtime) == 0
    assert error_of(session) == "The mail has a header that cannot be written."
    assert has_failed(session)


# Mail


def test_a_mail_arrives_by_smtp(
    runtime: Runtime, session: Session, mail_server: Callable[..., int], inbox: Inbox
) -> None:
    configure(
        runtime,
        smtp_url=f"smtp://127.0.0.1:{mail_server()}",
        mail_from="Acme 登录 <login@acme.example>",
    )
    values = {"service": "Acme 公司", "link": LONG_LINK, "minutes": "30"}
    notify.mail(session, "ann@example.com", "password_reset", values, "zh")
    session.commit()
    assert deliver_due(runtime) == 1
    (envelope,), (mail,) = inbox.envelopes, inbox.mails
    assert (envelope.mail_from, envelope.rcpt_tos) == ("login@acme.example", ["ann@example.com"])
    assert mail["Subject"] == "重置您在 Acme 公司 的密码"
    assert mail["From"] == "Acme 登录 <login@acme.example>"
    assert mail["To"] == "ann@example.com"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Message-ID"].endswith("@acme.example>")
    assert mail["Date"]
    assert LONG_LINK in mail.get_content()


def test_a_server_without_smtputf8_gets_mail_for_an_internationalised_domain(
    runtime: Runtime, session: Session, mail_server: Callable[..., int], inbox: Inbox
) -> None:
    configure(
        runtime,
        smtp_url=f"smtp://127.0.0.1:{mail_server(enable_SMTPUTF8=False)}",
        mail_from="Bücher 登录 <login@bücher.example>",
    )
    values = {"service": "Acme", "link": LONG_LINK, "minutes": "30"}
    notify.mail(session, "ann@例子.example", "password_reset", values, "en")
    # A local part beyond ASCII needs a server that offers it.
    notify.mail(session, "änn@例子.example", "password_reset", values, "en")
    session.commit()
    assert deliver_due(runtime) == 1
    (envelope,), (mail,) = inbox.envelopes, inbox.mails
    wire = ("login@xn--bcher-kva.example", ["ann@xn--fsqu00a.example"])
    assert (envelope.mail_from, envelope.rcpt_tos) == wire
    assert mail["From"] == "Bücher 登录 <login@xn--bcher-kva.example>"
    assert mail["Message-ID"].endswith("@xn--bcher-kva.example>")
    (failed,) = session.scalars(select(OutboxMessage).where(OutboxMessage.failed_at.is_not(None)))
    assert "cannot write to an address of this kind" in (failed.last_error or "")


@pytest.mark.settings(public_url="https://login.acme.example")
def test_the_sender_is_of_the_public_host_when_none_is_set(
    runtime: Runtime, session: Session, mail_server: Callable[..., int], inbox: Inbox
) -> None:
    configure(runtime, smtp_url=f"smtp://127.0.0.1:{mail_server()}")
    leave_code(session)
    assert deliver_due(runtime) == 1
    assert inbox.mails[0]["From"] == "no-reply@login.acme.example"


def test_a_refused_mail_is_tried_again_under_the_same_id(
    runtime: Runtime,
    session: Session,
    mail_server: Callable[..., int],
    inbox: Inbox,
    clock: time_machine.Traveller,
) -> None:
    configure(runtime, smtp_url=f"smtp://127.0.0.1:{mail_server()}")
    inbox.answers = [f"451 try later, not now with {CODE}"]
    leave_code(session)
    assert deliver_due(runtime) == 0
    # What the server says may quote the mail.
    assert error_of(session) == "The mail server refuses the mail with code 451."
    clock.shift(60)
    assert deliver_due(runtime) == 1
    assert len(inbox.mails) == 1


@pytest.mark.parametrize(
    ("to", "answers", "sentence"),
    [
        ("ann@example.com", ["554 spam"], "The mail server refuses the mail with code 554."),
        ("nobody@example.com", [], "The mail server refuses the recipient with code 550."),
    ],
)
def test_a_mail_refused_for_good_is_given_up(
    runtime: Runtime,
    session: Session,
    mail_server: Callable[..., int],
    inbox: Inbox,
    to: str,
    answers: list[str],
    sentence: str,
) -> None:
    configure(runtime, smtp_url=f"smtp://127.0.0.1:{mail_server()}")
    inbox.answers = answers
    leave_code(session, to)
    assert deliver_due(runtime) == 0
    assert error_of(session) == sentence
    assert has_failed(session)


def test_a_mail_server_that_is_away_is_waited_for(
    runtime: Runtime,
    session: Session,
    mail_server: Callable[..., int],
    inbox: Inbox,
    clock: time_machine.Traveller,
) -> None:
    configure(runtime, smtp_url=f"smtp://127.0.0.1:{free_port()}")
    leave_code(session)
    assert deliver_due(runtime) == 0
    assert error_of(session) == "The mail server did not answer (ConnectionRefusedError)."
    configure(runtime, smtp_url=f"smtp://127.0.0.1:{mail_server()}")
    clock.shift(60)
    assert deliver_due(runtime) == 1
    assert len(inbox.mails) == 1


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_mail_and_password_are_encrypted_and_the_certificate_is_checked(
    runtime: Runtime,
    session: Session,
    mail_server: Callable[..., int],
    inbox: Inbox,
    certificate: tuple[Path, Path],
    clock: time_machine.Traveller,
    monkeypatch: pytest.MonkeyPatch,
    scheme: str,
) -> None:
    tls = tls_of(certificate)
    if scheme == "smtps":
        port = mail_server(ssl_context=tls, authenticator=inbox.login, auth_require_tls=False)
    else:
        port = mail_server(
            tls_context=tls, require_starttls=True, authenticator=inbox.login, auth_required=True
        )
    configure(runtime, smtp_url=f"{scheme}://us%40er:p%40ss%2Fword@127.0.0.1:{port}")
    leave_code(session)
    assert deliver_due(runtime) == 0
    assert error_of(session) == "The mail server's certificate is not trusted."
    assert inbox.logins == []

    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    clock.shift(60)
    assert deliver_due(runtime) == 1
    assert inbox.logins == [("us@er", "p@ss/word")]
    assert len(inbox.mails) == 1


def test_a_refused_password_is_told_without_telling_it(
    runtime: Runtime, session: Session, mail_server: Callable[..., int], inbox: Inbox
) -> None:
    port = mail_server(authenticator=inbox.login, auth_require_tls=False)
    configure(runtime, smtp_url=f"smtp://user:wrong-one@127.0.0.1:{port}")
    leave_code(session)
    with capture_logs() as logs:
        assert deliver_due(runtime) == 0
    assert error_of(session) == "The mail server refuses the user or password of IDP_SMTP_URL."
    assert "wrong-one" not in repr(logs)


def test_a_password_is_not_sent_in_clear_to_another_host(
    runtime: Runtime,
    session: Session,
    mail_server: Callable[..., int],
    inbox: Inbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from idp.platform.notify import mail

    monkeypatch.setattr(mail, "_is_loopback", lambda _host: False)
    port = mail_server(authenticator=inbox.login, auth_require_tls=False)
    configure(runtime, smtp_url=f"smtp://user:p%40ss%2Fword@127.0.0.1:{port}")
    leave_code(session)
    assert deliver_due(runtime) == 0
    assert "not sent in clear" in error_of(session)
    assert inbox.logins == []


@pytest.mark.parametrize("url", ["ftp://127.0.0.1:21", "smtp://", "mail.example:25"])
def test_a_mail_address_that_is_none_says_what_to_set(
    runtime: Runtime, session: Session, url: str
) -> None:
    configure(runtime, smtp_url=url)
    leave_code(session)
    assert deliver_due(runtime) == 0
    assert "IDP_SMTP_URL must be" in error_of(session)


# Short messages


class Gateway(BaseHTTPRequestHandler):
    """An HTTP gateway that keeps what is posted to it."""

    seen: ClassVar[list[dict[str, Any]]] = []
    answers: ClassVar[list[int]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append(
            {"path": self.path, "headers": dict(self.headers), "body": json.loads(body)}
        )
        status = self.answers.pop(0) if self.answers else 202
        self.send_response(status)
        if status in {302, 307}:
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Be quiet."""


@pytest.fixture
def gateway() -> Iterator[str]:
    Gateway.seen.clear()
    Gateway.answers.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Gateway)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def leave_sms(session: Session) -> None:
    notify.sms(session, "+8613800138000", "verification_code", VALUES, "zh")
    session.commit()


def test_a_short_message_is_posted_to_the_gateway(
    runtime: Runtime, session: Session, gateway: str
) -> None:
    configure(runtime, sms_url=f"http://acme:s%3Acret@{gateway}/send?line=2")
    leave_sms(session)
    assert deliver_due(runtime) == 1
    (seen,) = Gateway.seen
    assert seen["path"] == "/send?line=2"
    assert seen["body"] == {
        "to": "+8613800138000",
        "text": messages.sms("verification_code", VALUES, "zh"),
        "template": "verification_code",
    }
    assert seen["headers"]["Content-Type"] == "application/json"
    assert seen["headers"]["Authorization"] == "Basic YWNtZTpzOmNyZXQ="


def test_a_gateway_in_trouble_is_asked_again_with_the_same_key(
    runtime: Runtime, session: Session, gateway: str, clock: time_machine.Traveller
) -> None:
    configure(runtime, sms_url=f"http://{gateway}")
    Gateway.answers[:] = [503, 429, 401]
    leave_sms(session)
    for status in (503, 429, 401):
        assert deliver_due(runtime) == 0
        assert error_of(session) == f"The gateway answers with status {status}."
        clock.shift(600)
    assert deliver_due(runtime) == 1
    assert len(Gateway.seen) == 4
    assert len({seen["headers"]["Idempotency-Key"] for seen in Gateway.seen}) == 1


def test_a_message_the_gateway_cannot_use_is_given_up(
    runtime: Runtime, session: Session, gateway: str
) -> None:
    configure(runtime, sms_url=f"http://{gateway}")
    Gateway.answers[:] = [422]
    leave_sms(session)
    assert deliver_due(runtime) == 0
    assert has_failed(session)


def test_a_redirect_of_the_gateway_is_not_followed(
    runtime: Runtime, session: Session, gateway: str
) -> None:
    configure(runtime, sms_url=f"http://{gateway}")
    Gateway.answers[:] = [307]
    leave_sms(session)
    assert deliver_due(runtime) == 0
    assert len(Gateway.seen) == 1
    assert error_of(session) == "The gateway answers with status 307."


@pytest.mark.parametrize("url", ["file:///etc/passwd", "http://", "127.0.0.1:80"])
def test_a_gateway_address_that_is_none_says_what_to_set(
    runtime: Runtime, session: Session, url: str
) -> None:
    configure(runtime, sms_url=url)
    leave_sms(session)
    assert deliver_due(runtime) == 0
    assert "IDP_SMS_URL must be" in error_of(session)


# Without a server


def test_in_development_messages_become_files_that_only_we_read(
    runtime: Runtime, session: Session
) -> None:
    values = {"service": "Acme 公司", "link": LONG_LINK, "minutes": "30"}
    notify.mail(session, "ann@example.com", "password_reset", values, "zh")
    leave_sms(session)
    with capture_logs() as logs:
        assert deliver_due(runtime) == 2
    folder = runtime.settings.outbox_dir
    first, second = sorted(folder.iterdir())
    assert (first.suffix, second.suffix) == (".eml", ".txt")
    for path in (first, second):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert LONG_LINK in first.read_text()
    assert "请在 30 分钟内" in first.read_text()
    assert email.message_from_bytes(first.read_bytes(), policy=policy.default)["To"]
    assert CODE in second.read_text()
    written = [entry["file"] for entry in logs if entry["event"] == "message_written"]
    assert written == [str(first), str(second)]
    for secret in (CODE, "xxxxx", "ann@example.com", "13800138000"):
        assert secret not in repr(logs)


@pytest.mark.parametrize(
    ("leave", "name"), [(leave_code, "IDP_SMTP_URL"), (leave_sms, "IDP_SMS_URL")]
)
def test_in_production_nothing_is_written_and_the_job_says_what_to_set(
    runtime: Runtime,
    session: Session,
    clock: time_machine.Traveller,
    leave: Callable[[Session], None],
    name: str,
) -> None:
    configure(runtime, environment="production")
    leave(session)
    assert deliver_due(runtime) == 0
    assert f"set {name}" in error_of(session)
    assert not has_failed(session)  # it is sent once the operator has set it
    assert not runtime.settings.outbox_dir.exists()


def test_nothing_of_a_message_is_readable_in_the_database(
    runtime: Runtime, session: Session
) -> None:
    leave_code(session)
    (row,) = session.scalars(select(OutboxMessage)).all()
    assert CODE not in (row.payload_encrypted or "")
    assert "ann@" not in (row.payload_encrypted or "")
