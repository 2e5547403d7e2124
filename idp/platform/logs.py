"""Structured logs: JSON lines in production, readable ones in development, secrets in neither."""

from __future__ import annotations

import asyncio
import functools
import logging
import re
import sys
import threading
from collections.abc import Mapping, MutableMapping
from datetime import UTC, datetime
from typing import Any, ClassVar

import orjson
import structlog

from idp import __version__
from idp.config import Settings
from idp.platform import tracing

HIDDEN = "[hidden]"

_SECRET_WORDS = frozenset(
    {
        *("password", "passwords", "secret", "secrets", "token", "tokens", "jwt", "assertion"),
        *("authorization", "cookie", "cookies", "code", "codes", "verifier", "otp", "pin"),
        *("credential", "credentials", "seed", "handle", "payload", "private", "nonce", "state"),
    }
)
_HARMLESS = frozenset(
    {"exit_code", "status_code", "error_code", "token_type", "country_code", "seed_mark"}
)
# What looks like a credential hides inside longer text, such as the message of an exception.
_CREDENTIAL = re.compile(
    r"eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){0,4}"
    r"|(?i:(?:bearer|basic|dpop)\s+)[A-Za-z0-9._~+/=-]{8,}"
    r"|(?i:(?:password|secret|token|code|assertion|verifier)=)[^&\s'\"]+"
)
# Looked for in one step of a path: of our random values the shortest have 22 letters. Every part
# has a fixed length, so the search is linear.
_PERSONAL = re.compile(r"@|%40|[0-9]{7}|[A-Za-z0-9_=-]{22}")


ECS_VERSION = "8.11.0"
_ECS_NAMES = {
    "event": "message",
    "level": "log.level",
    "timestamp": "@timestamp",
    "logger": "log.logger",
    "exception": "error.stack_trace",
    "error": "error.type",
    "request_id": "http.request.id",
    "trace_id": "trace.id",
    "method": "http.request.method",
    "status": "http.response.status_code",
    "path": "url.path",
    "host": "url.domain",
    "remote_addr": "client.ip",
    "pid": "process.pid",
    "address": "server.address",
}
"""Our names → those of the Elastic Common Schema; the others stand below `idp`."""
_ECS_SERVICE = {
    "ecs.version": ECS_VERSION,
    "service.name": "idp",
    "service.version": __version__,
}


class _State:
    """How this process logs, for the one line that skips the processors."""

    level = logging.INFO
    readable = False
    ecs = False
    is_traced = False
    loop: asyncio.AbstractEventLoop | None = None
    loop_thread = 0
    lines: ClassVar[list[str]] = []


def configure(settings: Settings) -> None:
    """Configure every logger of the process by the settings."""
    form = settings.log_form
    _State.is_traced = bool(settings.otlp_url)
    setup(settings.log_level, readable=form == "readable", ecs=form == "ecs")


def setup(level: str, *, readable: bool, ecs: bool = False) -> None:
    """Configure every logger of the process; libraries never speak below INFO."""
    number = logging.getLevelNamesMapping()[level]
    _State.level, _State.readable, _State.ecs = number, readable, ecs
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        hide_secrets,
    ]
    renderer: structlog.typing.Processor = _as_ecs if ecs else _as_json
    if readable:
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=_StderrLogger,
        cache_logger_on_first_use=False,
    )
    handler = _StderrHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    for old in [old for old in root.handlers if isinstance(old, _StderrHandler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    # Authlib logs whole token answers, SQLAlchemy statements with their values, at DEBUG.
    root.setLevel(max(number, logging.INFO))
    for name in ("authlib", "sqlalchemy"):
        logging.getLogger(name).setLevel(max(number, logging.WARNING))


def hide_secrets(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Hide values whose name or form shows that they are secret."""
    for key, value in event.items():
        event[key] = HIDDEN if is_secret_name(key) else _hidden(value)
    return event


@functools.lru_cache(maxsize=1024)
def is_secret_name(name: str) -> bool:
    """Whether values of this name are secrets."""
    if name in _HARMLESS:
        return False
    return not _SECRET_WORDS.isdisjoint(re.split(r"[_\-. ]", name.lower()))


def access(**fields: Any) -> None:
    """Log an answered request: the one line that is on the way of every answer.

    In production it goes past the processors, so the caller gives no field that they would hide.
    """
    if _State.is_traced and (span := tracing.under_way()) is not None:
        fields["trace_id"] = span.trace_id
    if _State.readable:
        structlog.get_logger().info("request_served", **fields)
        return
    if _State.level > logging.INFO:
        return
    if _State.ecs:
        fields = _access_as_ecs(fields)
    else:
        fields["event"] = "request_served"
        fields["level"] = "info"
        fields["timestamp"] = datetime.now(UTC)
    line = orjson.dumps(fields, option=orjson.OPT_UTC_Z).decode()
    if threading.get_ident() != _State.loop_thread or _State.loop is None:
        _StderrLogger.msg(line)
        return
    if not _State.lines:
        _State.loop.call_soon(_write_lines)
    _State.lines.append(line)


def begin_turns(loop: asyncio.AbstractEventLoop) -> None:
    """Write the `access` lines of one turn of this thread's event loop together from now on."""
    _State.loop, _State.loop_thread = loop, threading.get_ident()


def end_turns() -> None:
    """Write what is left, and every line by itself again."""
    _State.loop, _State.loop_thread = None, 0
    _write_lines()


def _write_lines() -> None:
    lines, _State.lines = _State.lines, []
    if lines:
        _StderrLogger.msg("\n".join(lines))


def mask_path(path: str) -> str:
    """Hide what in a path may be a person's address or number, or a one-time link."""
    return "/".join("***" if _PERSONAL.search(step) else step for step in path.split("/"))


def _hidden(value: Any) -> Any:
    if isinstance(value, str):
        return _CREDENTIAL.sub(HIDDEN, value)
    if isinstance(value, Mapping):
        return {
            name: HIDDEN if is_secret_name(str(name)) else _hidden(item)
            for name, item in value.items()
        }
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_hidden(item) for item in value]
    return value


def _as_json(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    return orjson.dumps(dict(event), default=str).decode()


def _as_ecs(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    """Write an event with the names of the Elastic Common Schema."""
    own, named = {}, dict[str, Any](_ECS_SERVICE)
    for name, value in event.items():
        if name in _ECS_NAMES:
            named[_ECS_NAMES[name]] = value
        else:
            own[name] = value
    named["event.action"] = event.get("event")
    if own:
        named["idp"] = own
    return orjson.dumps(named, default=str).decode()


def _access_as_ecs(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of an answered request with the names of the Elastic Common Schema."""
    trace = {"trace.id": fields["trace_id"]} if "trace_id" in fields else {}
    return {
        "@timestamp": datetime.now(UTC),
        "log.level": "info",
        "message": "request_served",
        "event.action": "request_served",
        "event.duration": int(fields["milliseconds"] * 1_000_000),  # nanoseconds
        "http.request.id": fields["request_id"],
        "http.request.method": fields["method"],
        "http.response.status_code": fields["status"],
        "url.path": fields["path"],
        "url.domain": fields["host"],
        "client.ip": fields["remote_addr"],
        **trace,
        **_ECS_SERVICE,
    }


class _StderrLogger:
    """Writes to what is standard error now; tests and servers replace it."""

    def __init__(self, *_names: Any) -> None:
        pass

    @staticmethod
    def msg(line: str) -> None:
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()

    debug = info = warning = error = critical = exception = log = msg


class _StderrHandler(logging.Handler):
    """The same for loggers of the standard library."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        try:
            _StderrLogger.msg(self.format(record))
        except ValueError:  # standard error is closed already
            self.handleError(record)
