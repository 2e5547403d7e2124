"""Azure API Management through its REST contract, signed with a shared-access signature.

The gateway is the tenant's own, so its address is not trusted: the guarded fetcher sends every
request.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Self
from urllib.parse import quote, urlencode

import orjson

from idp.platform import clock
from idp.platform.errors import BadRequest, Unavailable
from idp.platform.fetch import Fetcher
from idp.publishing.gateway.reasons import NotPublished, Reason
from idp.publishing.gateway.state import (
    Difference,
    Drift,
    Published,
    Revision,
    Version,
    unpack,
)

API_VERSION = "2018-01-01"
SIGNATURE_DAYS = 10
TIMEOUT_SECONDS = 30.0
MAX_ANSWER = 4 * 1024 * 1024

_PROPERTY = "Azure:ApiManagement:"
_MEDIA_TYPES = {
    "2.0": "application/vnd.swagger.doc+json",
    "3.0": "application/vnd.oai.openapi+json",
    "3.1": "application/vnd.oai.openapi+json",
}
_POLICY_TYPE = "application/vnd.ms-azure-apim.policy.raw+xml"

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Connection:
    """The address of a tenant's gateway, and the credentials for it."""

    origin: str
    identifier: str
    key: str = field(repr=False)

    @classmethod
    def from_properties(cls, properties: Mapping[str, str]) -> Self:
        """Read the tenant's properties; NotPublished names one that is missing."""
        values = {
            name: properties.get(_PROPERTY + name, "") for name in ("Host", "ApiId", "ApiKey")
        }
        missing = [_PROPERTY + name for name, value in values.items() if not value.strip()]
        if missing:
            raise NotPublished(Reason.GATEWAY_UNSET, ", ".join(missing))
        host = values["Host"].strip().rstrip("/")
        origin = host if "://" in host else f"https://{host}"
        return cls(origin, values["ApiId"].strip(), values["ApiKey"].strip())

    def signature(self) -> str:
        """Make a shared-access signature: HMAC-SHA-512 over identifier and expiry."""
        expiry = clock.now() + timedelta(days=SIGNATURE_DAYS)
        written = f"{expiry:%Y-%m-%dT%H:%M:%S}.0000000Z"
        signed = hmac.digest(self.key.encode(), f"{self.identifier}\n{written}".encode(), "sha512")
        return (
            f"SharedAccessSignature uid={self.identifier}&ex={written}"
            f"&sn={base64.b64encode(signed).decode()}"
        )


@dataclass(frozen=True, slots=True)
class Azure:
    """The API Management service of one tenant."""

    connection: Connection
    fetcher: Fetcher

    takes_policies = True
    keeps_products = True
    is_remote = True

    def apply(self, before: Published | None, after: Published | None) -> None:
        """Send the differences, version by version; every request may be repeated."""
        kept = {version.aid for version in after.versions} if after else set()
        for version in before.versions if before else ():
            if version.aid not in kept:
                self._call("DELETE", f"/apis/{version.aid}", {"deleteRevisions": "true"})
        if after is None:
            return
        original = after.versions[0].aid if after.versions else ""
        for version in after.versions:
            known = before.find(version.aid) if before else None
            if version.name and known is None:
                self._clone(after, version, original)
            self._revisions(after, known, version)
            self._settings(after, before, version)
            self._products(known, version)
            self._releases(known, version)

    def differences(self, states: Sequence[Published], /) -> list[Difference]:
        """Compare path, upstream and revision of every version with what the gateway has."""
        return [found for state in states for found in self._differences(state)]

    def _differences(self, state: Published) -> Iterator[Difference]:
        for version in state.versions:
            status, body = self._ask("GET", f"/apis/{version.aid}", {}, None, "application/json")
            if status == HTTPStatus.NOT_FOUND:
                yield Difference(version.aid, Drift.MISSING, state.api_id)
            elif status != HTTPStatus.OK:
                raise NotPublished(Reason.GATEWAY_REFUSED, f"status {status}")
            elif not _is_same(state, version, body):
                yield Difference(version.aid, Drift.DIFFERENT, state.api_id)

    def products(self) -> Json | None:
        """Return the products as the gateway lists them; None: it is not responding."""
        return self._collection("/products")

    def authorization_servers(self) -> Json | None:
        """Return the authorization servers of the gateway; None: it is not responding."""
        return self._collection("/authorizationServers")

    def _clone(self, state: Published, version: Version, original: str) -> None:
        content = {
            "sourceApiId": f"/apis/{original}",
            "apiVersion": version.name,
            "path": state.suffix,
            "apiVersionSet": {
                "name": original,
                "versioningScheme": "Query",
                "versionQueryName": "api-version",
            },
        }
        self._call("PUT", f"/apis/{version.aid}", content=content)

    def _revisions(self, state: Published, known: Version | None, version: Version) -> None:
        """Import new revisions and remove those that should not exist."""
        numbers = {revision.number for revision in version.revisions}
        for revision in known.revisions if known else ():
            if revision.number not in numbers:
                self._call("DELETE", f"/apis/{version.aid};rev={revision.number}")
        for revision in version.revisions:
            if known is not None and known.find(revision.number) is not None:
                continue
            if revision.packed is None:  # a state from the tables, applied completely
                continue
            name = version.aid
            if revision.number > 1:
                name = f"{version.aid};rev={revision.number}"
                source = {
                    "sourceApiId": f"/apis/{version.aid};rev={revision.number - 1}",
                    "apiRevisionDescription": revision.note,
                }
                self._call("PUT", f"/apis/{name}", content=source)
            self._import(state, name, revision)

    def _import(self, state: Published, name: str, revision: Revision) -> None:
        document = unpack(revision.packed or b"")
        self._send(
            "PUT",
            f"/apis/{name}",
            {"import": "true", "path": state.suffix},
            orjson.dumps(document),
            _MEDIA_TYPES[revision.kind],
        )
        content = {"serviceUrl": revision.upstream, "protocols": ["https"]}
        self._call("PATCH", f"/apis/{name}", content=content)

    def _settings(self, state: Published, before: Published | None, version: Version) -> None:
        """Set or clear OAuth, then policy and name, as the publish request has them."""
        content: Json = {"authenticationSettings": _authentication(state)}
        if state.name:
            content |= {"name": state.name, "description": state.description}
        if before is None or before.find(version.aid) is None or _settings_of(before) != content:
            self._call("PATCH", f"/apis/{version.aid}", content=content)
        policy = _policy(state)
        if policy and (before is None or policy != _policy(before)):
            path = f"/apis/{version.aid}/policy"
            self._send("PUT", path, {}, policy.encode(), _POLICY_TYPE)

    def _products(self, known: Version | None, version: Version) -> None:
        held = known.products if known else ()
        for pid in version.products:
            if pid not in held:
                self._call("PUT", f"/products/{pid}/apis/{version.aid}")
        for pid in held:
            if pid not in version.products:
                self._call("DELETE", f"/products/{pid}/apis/{version.aid}")

    def _releases(self, known: Version | None, version: Version) -> None:
        """Release the revision that goes online; other notes stay in the tables only."""
        online = version.current.number
        before = {release.name: release for release in known.releases} if known else {}
        names = {release.name for release in version.releases}
        for release in version.releases:
            path = f"/apis/{version.aid}/releases/{release.name}"
            earlier = before.get(release.name)
            if earlier is None and release.revision == online:
                content = {"apiId": f"/apis/{version.aid};rev={online}", "notes": release.notes}
                self._call("PUT", path, content=content)
            elif earlier is not None and earlier.notes != release.notes:
                self._call("PATCH", path, content={"notes": release.notes})
        for name in before:
            if name not in names:
                self._call("DELETE", f"/apis/{version.aid}/releases/{name}")
        if known is not None and known.current.number != online and not names - before.keys():
            # Back to the revision that was online, without a release of its own.
            path = f"/apis/{version.aid}/releases/back-{online}"
            content = {"apiId": f"/apis/{version.aid};rev={online}", "notes": ""}
            self._call("PUT", path, content=content)

    def _collection(self, path: str) -> Json | None:
        try:
            status, body = self._ask("GET", path, {}, None, "application/json")
        except NotPublished:
            return None
        try:
            found = orjson.loads(body)
        except orjson.JSONDecodeError:
            return None
        return found if status == HTTPStatus.OK and isinstance(found, dict) else None

    def _call(
        self, method: str, path: str, query: Mapping[str, str] = {}, content: Json | None = None
    ) -> None:
        body = None if content is None else orjson.dumps(content)
        self._send(method, path, query, body, "application/json")

    def _send(
        self, method: str, path: str, query: Mapping[str, str], body: bytes | None, media_type: str
    ) -> None:
        status, answer = self._ask(method, path, query, body, media_type)
        if status < HTTPStatus.MULTIPLE_CHOICES:
            return
        if method == "DELETE" and status == HTTPStatus.NOT_FOUND:
            return
        if status in {HTTPStatus.TOO_MANY_REQUESTS, *range(500, 600)}:
            raise NotPublished(Reason.GATEWAY_SILENT, debug=f"status {status}")
        debug = answer[:500].decode(errors="replace")
        raise NotPublished(Reason.GATEWAY_REFUSED, f"status {status}", debug=debug)

    def _ask(
        self, method: str, path: str, query: Mapping[str, str], body: bytes | None, media_type: str
    ) -> tuple[int, bytes]:
        parameters = urlencode({**query, "api-version": API_VERSION})
        headers = {"Authorization": self.connection.signature(), "Accept": "application/json"}
        if method != "GET":
            headers |= {"Content-Type": media_type, "If-Match": "*"}
        try:
            return self.fetcher.send(
                method,
                f"{self.connection.origin}{quote(path, safe='/;=-_')}?{parameters}",
                headers,
                body,
                max_bytes=MAX_ANSWER,
                timeout=TIMEOUT_SECONDS,
            )
        except BadRequest as problem:
            raise NotPublished(
                Reason.GATEWAY_UNSET, f"{_PROPERTY}Host", debug=str(problem)
            ) from None
        except Unavailable as problem:
            raise NotPublished(Reason.GATEWAY_SILENT, debug=problem.debug) from None


def _is_same(state: Published, version: Version, body: bytes) -> bool:
    """Return whether an API at the gateway has the path, upstream and revision of a version."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    if not isinstance(found, dict):
        return False
    inner = found.get("properties")
    found = found | inner if isinstance(inner, dict) else found
    online = version.current
    return (found.get("path"), found.get("serviceUrl"), found.get("apiRevision")) == (
        state.suffix,
        online.upstream,
        str(online.number),
    )


def _authentication(state: Published) -> Json:
    """Return the OAuth settings; without a server there are none."""
    oauth: Json | None = None
    if state.authorization_server:
        oauth = {"authorizationServerId": state.authorization_server, "scope": state.scope}
    openid: Json | None = {"openidProviderId": state.openid} if state.openid else None
    return {"oAuth2": oauth, "openid": openid}


def _settings_of(state: Published) -> Json:
    content: Json = {"authenticationSettings": _authentication(state)}
    if state.name:
        content |= {"name": state.name, "description": state.description}
    return content


def _policy(state: Published) -> str:
    configuration: Json = orjson.loads(state.configuration)
    return (configuration.get("policy") or "").strip()
