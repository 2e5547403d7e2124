"""Caddy through its admin API: one route for each publication, patched by its id.

Every route calls `/gateway/verify` before a request reaches the service behind it. Headers of its
response (such as `X-Subject`) are passed on; those of the same names from a caller are removed.

The response also names the upstream, among those of the route. So a revision goes online without
a new configuration, for which Caddy would open its sockets again and drop waiting connections.
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import parse_qs, urlencode, urlsplit

import orjson

from idp.config import Settings
from idp.directory.api_names import WELL_KNOWN
from idp.publishing.gateway.reasons import NotPublished, Reason
from idp.publishing.gateway.state import Difference, Drift, Published, Version
from idp.publishing.gateway.upstreams import Address

SERVER = "idp"
PASSED_ON = ("X-Subject", "X-Tenant", "X-Scope", "X-Permission", "X-Permission-Ref")
TIMEOUT_SECONDS = 10.0
PAUSES = (0.05, 0.2, 0.5, 0.0)
"""Seconds to wait after each failed connection."""
VERIFY_TIMEOUT = "5s"

_SERVERS = ("apps", "http", "servers")
_ROUTES = f"/config/{'/'.join(_SERVERS)}/{SERVER}/routes"
_PREFIX = "idp-api-"
_PATH_TRICK = (
    r"(?i)^[^?]*(?:"
    # A backslash, a control character, or part of an overlong encoding.
    r"\\|%(?:25)*(?:5c|[01][0-9a-f]|7f|c[01])"
    # A dot segment; `..;x` is one to servers that know path parameters.
    r"|(?:/|%(?:25)*2f)(?:\.|%(?:25)*2e){1,2}(?:;|%(?:25)*(?:3b|2f)|[/?]|$)"
    r")"
)
"""Parts that other servers could read as a different path, escaped any number of times."""
_DER = "{http.request.tls.client.certificate_der_base64}"
"""Replaced by the certificate of the caller; by nothing where there is none."""
_CERTIFICATES = {
    "caddy": ("Client-Cert", f":{_DER}:"),
    "rfc9440": ("Client-Cert", f":{_DER}:"),
    "haproxy": ("X-SSL-Client-Cert", _DER),
    "traefik": ("X-Forwarded-Tls-Client-Cert", _DER),
    "nginx": ("X-SSL-Client-Cert", ""),
    "envoy": ("X-Forwarded-Client-Cert", ""),
}
"""`IDP_CLIENT_CERTIFICATE` → a header, and what Caddy can write there in that form."""
_NAMED = {"search_regexp": "(?i)x[-_][^,]*", "replace": ""}
_JSON = {"Content-Type": ["application/json"]}

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Caddy:
    """A Caddy that is configured by this service."""

    host: str
    port: int
    listen: str
    verify: str
    """Where Caddy reaches this service."""
    client_certificate: str = ""
    """How this service is told the certificate of a caller; empty: it is not."""

    takes_policies = False
    keeps_products = False
    is_remote = True

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Read `caddy+http://HOST:PORT?listen=ADDRESS&verify=URL`."""
        parts = urlsplit(settings.gateway)
        query = parse_qs(parts.query)
        return cls(
            host=parts.hostname or "",
            port=parts.port or 2019,
            listen=query.get("listen", [":8080"])[0],
            verify=query.get("verify", [settings.public_url])[0],
            client_certificate=settings.client_certificate,
        )

    def apply(self, before: Published | None, after: Published | None) -> None:
        """Set or remove the one route of a publication, in one step."""
        if after is None:
            if before is not None:
                self._remove(route_id(before.api_id))
        elif before is None or self.route(before) != self.route(after):
            self._set(self.route(after))

    def synchronise(self, states: Sequence[Published]) -> bool:
        """Set the routes of all publications; return whether anything differed."""
        routes = {route["@id"]: route for route in map(self.route, states)}
        known = self._known()
        if known is None:
            self._create_server(list(routes.values()))
            return True
        changed = [route for name, route in routes.items() if known.get(name) != route]
        removed = [name for name in known if name not in routes]
        for route in changed:
            self._set(route)
        for name in removed:
            self._remove(name)
        return bool(changed or removed)

    def differences(self, states: Sequence[Published], /) -> list[Difference]:
        """Compare the routes of publications with those that Caddy has."""
        known = self._known() or {}
        found = []
        for state in states:
            name = route_id(state.api_id)
            if known.get(name) != self.route(state):
                drift = Drift.DIFFERENT if name in known else Drift.MISSING
                found.append(Difference(name, drift, state.api_id))
        return found

    def unknown(self, states: Sequence[Published]) -> list[Difference]:
        """List the routes of ours that belong to none of all publications."""
        names = {route_id(state.api_id) for state in states}
        known = self._known() or {}
        return [Difference(name, Drift.UNKNOWN) for name in known if name not in names]

    def _known(self) -> dict[str, Json] | None:
        """Return the routes that Caddy has of ours, by id; None: it has no server of ours."""
        status, found = self._call("GET", _ROUTES)
        if status != http.client.OK or found is None:
            return None
        names = ((route.get("@id"), route) for route in found)
        return {
            name: route
            for name, route in names
            if isinstance(name, str) and name.startswith(_PREFIX)
        }

    def route(self, state: Published) -> Json:
        """Write the route of a publication: versions by `api-version`, the original without it."""
        path = f"/{state.suffix}"
        metadata = f"{WELL_KNOWN}{path}"
        described = {"path": [metadata, f"{metadata}/*"]}
        versions = sorted(state.versions, key=lambda version: version.name, reverse=True)
        return {
            "@id": route_id(state.api_id),
            "match": [{"path": [path, f"{path}/*"]}, described],
            "handle": [
                {
                    "handler": "subroute",
                    "routes": [
                        {
                            "match": [
                                {"vars_regexp": {"{http.request.uri}": {"pattern": _PATH_TRICK}}}
                            ],
                            "handle": [_refusal("The path is ambiguous", 400, "invalid_request")],
                            "terminal": True,
                        },
                        {
                            "match": [described],
                            "handle": [self._ask_here({})],
                            "terminal": True,
                        },
                        *(self._version(state, version) for version in versions),
                        {"handle": [_refusal("Version of this API not found")]},
                    ],
                }
            ],
            "terminal": True,
        }

    def _version(self, state: Published, version: Version) -> Json:
        given: Json = {"query": {"api-version": [version.name]}}
        absent: Json = {"not": [{"query": {"api-version": ["*"]}}]}
        return {
            "match": [given] if version.name else [absent, given],
            "handle": [*self._ask(version), _choose(state, version)],
            "terminal": True,
        }

    def _ask(self, version: Version) -> list[Json]:
        """Remove forged headers, and verify the call."""
        # Some servers read X_Subject as X-Subject.
        forged = [name for given in PASSED_ON for name in (given, given.replace("-", "_"))]
        copied = [
            {
                "match": [{"not": [{"vars": {f"{{http.reverse_proxy.header.{name}}}": [""]}}]}],
                "handle": [
                    {
                        "handler": "headers",
                        "request": {"set": {name: [f"{{http.reverse_proxy.header.{name}}}"]}},
                    }
                ],
            }
            for name in PASSED_ON
        ]
        chosen = {"handler": "vars", "upstream": "{http.reverse_proxy.header.X-Upstream}"}
        return [
            {
                "handler": "headers",
                # Named in Connection, a header would be dropped on its way to the service.
                "request": {"delete": forged, "replace": {"Connection": [_NAMED]}},
            },
            self._ask_here(
                {
                    "rewrite": {
                        "method": "GET",
                        "uri": f"/gateway/verify?{urlencode({'api': version.aid})}",
                    },
                    "headers": {
                        "request": {
                            "set": {
                                "Host": [urlsplit(self.verify).netloc],
                                "X-Forwarded-Method": ["{http.request.method}"],
                                "X-Forwarded-Uri": ["{http.request.uri}"],
                                **self._certificate(),
                            }
                        }
                    },
                    "handle_response": [
                        {"match": {"status_code": [2]}, "routes": [*copied, {"handle": [chosen]}]}
                    ],
                }
            ),
        ]

    def _ask_here(self, how: Json) -> Json:
        """Send a request to this service."""
        verify = urlsplit(self.verify)
        return {
            "handler": "reverse_proxy",
            "upstreams": [{"dial": _dial(verify.scheme, verify.hostname or "", verify.port)}],
            "transport": _transport(verify.scheme, response_header_timeout=VERIFY_TIMEOUT),
            **how,
        }

    def _certificate(self) -> Json:
        """Return the header with the certificate of the caller, in place of what they sent."""
        if not self.client_certificate:
            return {}
        named = _CERTIFICATES.get(self.client_certificate)
        if named is None:
            _, name, form = self.client_certificate.split(":")
            named = name, _DER if form == "der" else ""
        return {named[0]: [named[1]]}

    def _set(self, route: Json) -> None:
        status, _ = self._call("PATCH", f"/id/{route['@id']}", route)
        if status != http.client.NOT_FOUND:
            return
        # Before all other routes: the last one refuses what no other matches.
        status, _ = self._call("PUT", f"{_ROUTES}/0", route, may_miss=True)
        if status == http.client.OK:
            return
        status, _ = self._call("GET", _ROUTES)
        if status == http.client.OK:  # another process was faster; an id has one route
            self._call("PATCH", f"/id/{route['@id']}", route)
        else:
            self._create_server([route])

    def _remove(self, name: str) -> None:
        self._call("DELETE", f"/id/{name}")

    def _create_server(self, routes: list[Json]) -> None:
        """Create our server, and the missing objects around it."""
        refusal = _refusal("No API at this address")
        value: Json = {"listen": [self.listen], "routes": [*routes, {"handle": [refusal]}]}
        _, node = self._call("GET", "/config/")
        path, missing = "/config", [*_SERVERS, SERVER]
        while isinstance(node, dict) and missing[0] in node and len(missing) > 1:
            node = node[missing[0]]
            path += f"/{missing.pop(0)}"
        for name in reversed(missing[1:]):
            value = {name: value}
        if path == "/config" and not isinstance(node, dict):
            value, path = {missing[0]: value}, "/config/"
        else:
            path += f"/{missing[0]}"
        self._call("POST", path, value)

    def _call(
        self, method: str, path: str, content: Any = None, *, may_miss: bool = False
    ) -> tuple[int, Any]:
        """Send a request to the admin API; return the status and, of a success, the content.

        Caddy opens the admin API again with each configuration, and drops requests of that moment.
        Every request may be repeated.
        """
        body = None if content is None else orjson.dumps(content)
        for pause in PAUSES:
            try:
                status, text = self._exchange(method, path, body)
                break
            except ConnectionError:
                time.sleep(pause)
        else:
            raise NotPublished(Reason.GATEWAY_SILENT, debug="no connection")
        if status == http.client.OK:
            return status, orjson.loads(text) if text.strip() else None
        if method == "GET" or may_miss or status == http.client.NOT_FOUND:
            return status, None
        raise NotPublished(
            Reason.GATEWAY_REFUSED, f"status {status}", debug=text[:500].decode(errors="replace")
        )

    def _exchange(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=TIMEOUT_SECONDS)
        headers = {"Content-Type": "application/json", "Connection": "close"}
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, response.read()
        except ConnectionError:
            raise
        except (OSError, http.client.HTTPException) as error:
            raise NotPublished(Reason.GATEWAY_SILENT, debug=type(error).__name__) from None
        finally:
            connection.close()


def route_id(api_id: int) -> str:
    """Return the id of the route of a microservice."""
    return f"{_PREFIX}{api_id}"


def _choose(state: Published, version: Version) -> Json:
    """Send a call to the upstream that the verification named."""
    found = {row.upstream: Address.parse(row.upstream) for row in version.revisions}
    addresses = sorted((address for address in found.values() if address), key=lambda it: it.url)
    return {
        "handler": "subroute",
        "routes": [
            *(
                {
                    "match": [{"vars": {"upstream": [address.key]}}],
                    "handle": _pass_on(state, address),
                    "terminal": True,
                }
                for address in addresses
            ),
            {"handle": [_refusal("This version is being updated", 503)]},
        ],
    }


def _pass_on(state: Published, address: Address) -> list[Json]:
    """Forward the call without the suffix, below the path of the upstream."""
    rewriting: list[Json] = [{"handler": "rewrite", "strip_path_prefix": f"/{state.suffix}"}]
    if address.path:
        rewriting.append({"handler": "rewrite", "uri": f"{address.path}{{http.request.uri}}"})
    return [
        *rewriting,
        {
            "handler": "reverse_proxy",
            "upstreams": [{"dial": address.dial}],
            "transport": _transport(address.scheme),
            "headers": {"request": {"set": {"Host": [urlsplit(address.url).netloc]}}},
        },
    ]


def _transport(scheme: str, **options: str) -> Json:
    secure: Json = {"tls": {}} if scheme == "https" else {}
    return {"protocol": "http", **secure, **options}


def _dial(scheme: str, host: str, port: int | None) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"{shown}:{port or (443 if scheme == 'https' else 80)}"


def _refusal(text: str, status: int = 404, error: str = "not_found") -> Json:
    body = orjson.dumps({"error": error, "error_description": text}).decode()
    return {"handler": "static_response", "status_code": status, "headers": _JSON, "body": body}
