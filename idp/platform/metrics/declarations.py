"""Every metric: its name, its labels and what it measures.

Whatever counts names a declaration, the table of the guide is made of them, and a test compares
them with the alert rules and the dashboard.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

OTHER = "other"
"""Stands for a value that is not among those of its label."""

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)

Merge = Literal["livesum", "livemax", "max"]
"""How a gauge is added up over processes: the sum or the largest of those that run, or of all."""


@dataclass(frozen=True, slots=True, eq=False)
class Metric:
    """One metric, as Prometheus knows it."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    sentence: str
    labels: tuple[str, ...] = ()
    values: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """The values of a label; other texts count as `other`. Labels without are names of ours:
    routes, limits, jobs, chores."""
    merge: Merge = "livesum"

    def bounded(self, labels: tuple[object, ...]) -> tuple[str, ...]:
        """Return the values of the labels, each of them one that was expected."""
        texts = tuple(map(str, labels))
        if not self.values:
            return texts
        return tuple(
            text if text in self.values.get(name, (text,)) else OTHER
            for name, text in zip(self.labels, texts, strict=True)
        )


def _counter(name: str, sentence: str, *labels: str, **values: str) -> Metric:
    return Metric(name, "counter", sentence, labels, _values(values))


def _gauge(name: str, sentence: str, *labels: str, merge: Merge = "livesum") -> Metric:
    return Metric(name, "gauge", sentence, labels, merge=merge)


def _histogram(name: str, sentence: str, *labels: str) -> Metric:
    return Metric(name, "histogram", sentence, labels)


def _values(texts: Mapping[str, str]) -> Mapping[str, frozenset[str]]:
    return {label: frozenset(text.split()) for label, text in texts.items()}


REQUESTS = _counter(
    "idp_requests_total",
    "Requests that were answered, by route, method and status.",
    *("endpoint", "method", "status"),
    method="GET HEAD POST PUT PATCH DELETE OPTIONS",
)
REQUEST_SECONDS = _histogram(
    "idp_request_seconds",
    "Time from the first look at a request to its answer, by route.",
    "endpoint",
)
SIGN_INS = _counter(
    "idp_sign_ins_total",
    "Attempts to prove an identity: `done`, `refused`, or `delayed` because of earlier failures.",
    *("method", "outcome"),
    method="password sms qr passkey",
    outcome="done refused delayed",
)
TOKENS = _counter(
    "idp_tokens_total",
    "Tokens that the token endpoint issued, by grant type: access tokens as `jwt` or `reference`, "
    "and `refresh` tokens.",
    *("grant", "kind"),
)
REFUSALS = _counter(
    "idp_refusals_total",
    "Refusals of the protocol by endpoint and error; `other` for errors that no RFC names.",
    *("endpoint", "error"),
    error="""
        access_denied account_selection_required consent_required interaction_required
        invalid_client invalid_client_metadata invalid_grant invalid_redirect_uri invalid_request
        invalid_request_object invalid_request_uri invalid_software_statement
        unapproved_software_statement
        invalid_dpop_proof invalid_scope invalid_target invalid_token insufficient_scope
        login_required request_not_supported request_uri_not_supported registration_not_supported
        server_error temporarily_unavailable unauthorized_client unsupported_grant_type
        unsupported_response_type unsupported_token_type use_dpop_nonce
    """,
)
REGISTRATIONS = _counter(
    "idp_registrations_total",
    "Clients that registered themselves, changed or deleted themselves, or were removed because "
    "nobody used them for 30 days (`expired`).",
    "result",
    result="created changed deleted expired",
)
REPLAYS = _counter(
    "idp_replays_total",
    "Codes, refresh tokens, client assertions and DPoP proofs that came a second time.",
    "kind",
    kind="code refresh assertion proof",
)
DELAYS = _counter(
    "idp_delays_total",
    "Requests that were refused because of a limit or of earlier failures, by limit.",
    "scope",
)
DB_CONNECTIONS = _gauge(
    "idp_db_connections",
    "Connections to PostgreSQL of event loops (`loop`) and of threads, `busy` or `idle`.",
    *("pool", "state"),
)
DB_WAIT_SECONDS = _histogram(
    "idp_db_wait_seconds",
    "Time that a statement waited for a connection where none was free at once.",
    "pool",
)
DB_ERRORS = _counter(
    "idp_db_errors_total",
    "Statements that failed because a connection was `lost`, no answer came in time (`timeout`), "
    "the server did not accept changes (`read_only`), or others held the rows (`conflict`).",
    "kind",
    kind="lost timeout read_only conflict",
)
CACHE_LOOKUPS = _counter(
    "idp_cache_lookups_total",
    "Look-ups of configuration: found in memory (`hit`) or read from the database (`miss`).",
    "result",
    result="hit miss",
)
CONFIGURATION_AGE = _gauge(
    "idp_configuration_age_seconds",
    "Time for which the configuration could not be compared with the database, the longest of all "
    "workers.",
    merge="livemax",
)
LOOP_LAG = _histogram(
    "idp_loop_lag_seconds", "How much later than planned an event loop took its next turn."
)
THREADS_BUSY = _gauge(
    "idp_threads_busy", "Requests that a thread answers, or that wait for a thread."
)
PASSWORD_SECONDS = _histogram(
    "idp_password_seconds", "Time to compare a password with its hash, with the wait for a place."
)
OUTBOX_WAITING = _gauge(
    "idp_outbox_waiting", "Messages and jobs that are yet to be done, by lane.", "lane"
)
OUTBOX_OLDEST = _gauge(
    "idp_outbox_oldest_seconds",
    "How long the oldest message or job of a lane has been overdue.",
    "lane",
)
OUTBOX_OLDEST_FORMER = _gauge(
    "outbox_oldest_seconds",
    "The longest `idp_outbox_oldest_seconds`, under its former name; it ends with version 0.3.",
)
OUTBOX_FAILED = _gauge(
    "idp_outbox_failed", "Messages and jobs that were given up, by lane.", "lane"
)
JOBS = _counter(
    "idp_jobs_total",
    "Attempts of jobs: `done`, `put_off` to be tried again, `failed` for good, or `lost` because "
    "they took longer than their lease.",
    *("name", "outcome"),
)
CHORE_SUCCESS = _gauge(
    "idp_chore_last_success_timestamp_seconds",
    "When a chore of the worker was last done; until then, when the worker started.",
    "chore",
    merge="max",
)
KEY_AGE = _gauge(
    "idp_signing_key_age_seconds", "Time since the active key of an algorithm became so.", "alg"
)
KEY_ROTATION = _gauge(
    "idp_signing_key_rotation_seconds", "Age at which keys are replaced (`IDP_KEY_ROTATION_DAYS`)."
)
KEY_NEXT = _gauge(
    "idp_signing_key_next_ready",
    "1 if the key that follows the active one has been published for a day, else 0.",
    "alg",
)
DATABASE_UP = _gauge("idp_database_up", "1 if the database answered within two seconds, else 0.")
THROTTLE_UP = _gauge(
    "idp_throttle_store_up",
    "1 if Redis or Valkey responds, else 0; absent without `IDP_REDIS_URL`.",
)
BUILD = _gauge(
    "idp_build_info",
    "Always 1: the release that runs, and the number of the schema that it brings.",
    *("version", "schema"),
)
MEMORY = _gauge("idp_worker_memory_bytes", "Memory of the largest worker process.", merge="livemax")

METRICS: tuple[Metric, ...] = tuple(
    value for value in list(globals().values()) if isinstance(value, Metric)
)
