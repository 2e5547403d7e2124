"""The job that hands a text message to the configured gateway."""

from __future__ import annotations

import base64
import http.client
import ssl
from collections.abc import Mapping
from contextlib import closing
from http import HTTPStatus
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

import orjson

from idp.platform import tracing
from idp.platform.errors import Unavailable, Unprocessable
from idp.platform.notify import folder
from idp.platform.runtime import Runtime
from idp.platform.translation import N_, filled

JOB = "notify.sms"
TIMEOUT_SECONDS = 10.0
# The gateway understood and says no; the same again would get the same answer.
_FINAL = frozenset((
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.GONE,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
))  # fmt: skip


def send(runtime: Runtime, payload: Mapping[str, Any]) -> None:
    """Send one message; without a gateway it goes to the outbox folder, in development only."""
    settings = runtime.settings
    if settings.sms_url:
        _post(settings.sms_url, payload)
    elif settings.environment == "development":
        text = f"To: {payload['to']}\nTemplate: {payload['template']}\n\n{payload['text']}\n"
        folder.keep(settings, text.encode(), "txt")
    else:
        raise Unavailable(N_("Short messages cannot be sent: set IDP_SMS_URL to an HTTP gateway."))


def check(sms_url: str) -> None:
    """Connect to the gateway, with TLS where it is https; Unavailable says why that failed."""
    url = urlsplit(sms_url)
    try:
        with closing(_connection(url)) as connection:
            connection.connect()
    except ssl.SSLCertVerificationError:
        raise Unavailable("The gateway's certificate is not trusted.") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _no_answer(error) from None


def _post(sms_url: str, payload: Mapping[str, Any]) -> None:
    """Post `{to, text, template}` as JSON. Redirects and proxies are not followed."""
    url = urlsplit(sms_url)
    if url.scheme not in {"http", "https"} or not url.hostname:
        raise Unavailable(N_("IDP_SMS_URL must be http(s)://host[:port]/path."))
    body = orjson.dumps({name: payload[name] for name in ("to", "text", "template")})
    headers = {
        "Content-Type": "application/json",
        # Made once, so that a message sent twice is recognised as one.
        "Idempotency-Key": payload["message_id"],
    }
    if url.username:
        pair = f"{unquote(url.username)}:{unquote(url.password or '')}"
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    try:
        with tracing.step("text message", {"server.address": url.hostname}, kind="client"):
            status = _ask(url, body, headers)
    except ssl.SSLCertVerificationError:
        raise Unavailable(N_("The gateway's certificate is not trusted.")) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _no_answer(error) from None
    if not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        sentence = filled(N_("The gateway answers with status %(status)s."), status=status)
        raise (Unprocessable if status in _FINAL else Unavailable)(sentence)


def _ask(url: SplitResult, body: bytes, headers: Mapping[str, str]) -> int:
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    with closing(_connection(url)) as connection:
        connection.request("POST", path, body, dict(headers))
        return connection.getresponse().status


def _connection(url: SplitResult) -> http.client.HTTPConnection:
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    return kind(url.hostname or "", url.port, timeout=TIMEOUT_SECONDS)


def _no_answer(error: Exception) -> Unavailable:
    kind = type(error).__name__
    return Unavailable(filled(N_("The gateway did not answer (%(error)s)."), error=kind))
