"""Check access tokens of idp in a Python service; needs `pip install "pyjwt[crypto]"`.

As a program it reads tokens from standard input, one a line, and prints whether each is good:

    python verify_token.py --issuer https://id.example.com --audience orders \
        --scope orders.read --permission orders.refund

A line with a second word is a token that came as `Authorization: DPoP`, and its `DPoP` header; the
request that it is for is named by `--method` and `--url`.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import json
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import jwt

ALGORITHMS = {"RS256", "PS256", "ES256", "EdDSA"}
PROOF_ALGORITHMS = ("ES256", "PS256", "EdDSA")
PRIVATE_MEMBERS = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}
PROOF_SECONDS = 60
KEYS_LIVE_SECONDS = 300
FETCH_PAUSE_SECONDS = 10


class RefusedError(Exception):
    """The token does not open this door; `status` is the HTTP status to answer."""

    def __init__(self, reason: str, status: int = 401) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True)
class Shown:
    """What a request shows besides a token that is bound to a key (RFC 9449 7.1)."""

    proof: str
    """The `DPoP` header, which must be there once."""
    method: str
    url: str
    """Address of the request as its sender wrote it, without query."""


class Issuer:
    """An issuer that is trusted, with its published keys."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched = -float("inf")
        self._lock = threading.Lock()
        self.metadata: dict[str, Any] = {}

    def find_key(self, kid: str) -> jwt.PyJWK | None:
        """Find a key, asking again when the answer is old or does not hold it."""
        with self._lock:
            age = time.monotonic() - self._fetched
            # The pause keeps tokens with made-up key ids from becoming requests to the issuer.
            if age > KEYS_LIVE_SECONDS or (kid not in self._keys and age > FETCH_PAUSE_SECONDS):
                self._fetch()
            return self._keys.get(kid)

    def _fetch(self) -> None:
        self.metadata = _get(f"{self.url}/.well-known/openid-configuration")
        if self.metadata["issuer"] != self.url:
            raise RefusedError(f"{self.url} calls itself {self.metadata['issuer']}")
        keys = _get(self.metadata["jwks_uri"])["keys"]
        self._keys = {key["kid"]: jwt.PyJWK(key) for key in keys if key.get("alg") in ALGORITHMS}
        self._fetched = time.monotonic()


class Verifier:
    """Checks tokens for one API."""

    def __init__(
        self, issuers: Iterable[str], audience: str, *, api_secret: str | None = None
    ) -> None:
        self._issuers = {url: Issuer(url) for url in issuers}
        self._audience = audience
        self._api_secret = api_secret
        self._seen: dict[tuple[str, str], float] = {}
        self._lock = threading.Lock()

    def verify(
        self,
        token: str,
        *,
        shown: Shown | None = None,
        scope: str | None = None,
        permission: str | None = None,
    ) -> dict[str, Any]:
        """Return the claims of a good access token; raise RefusedError for any other.

        `shown` for one that came as `Authorization: DPoP`; None for one that came as `Bearer`.
        """
        try:
            header = jwt.get_unverified_header(token)
            unverified = jwt.decode(token, options={"verify_signature": False})
            # All issuers of one installation share their keys: a good signature does not tell
            # them apart, only `iss` does. So it is looked up in our own list, before any request.
            issuer = self._issuers.get(unverified.get("iss", ""))
            if issuer is None:
                raise RefusedError("issued by somebody else")
            key = issuer.find_key(header.get("kid", ""))
            if key is None:
                raise RefusedError("signed by an unknown key")
            # RFC 9068 4: an ID token must not pass for an access token.
            if header.get("typ", "").lower() not in {"at+jwt", "application/at+jwt"}:
                raise RefusedError("not an access token")
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],
                issuer=issuer.url,
                audience=self._audience,
                options={"require": ["iss", "sub", "aud", "exp", "iat", "client_id"]},
            )
        except jwt.InvalidTokenError as problem:
            raise RefusedError(str(problem)) from None
        self._check_holder(token, claims, shown)
        if scope is not None and scope not in claims.get("scope", "").split():
            raise RefusedError(f"the scope {scope} was not granted", 403)
        if permission is not None:
            held = self.permissions(issuer, token, claims)
            if not covers(held, permission):
                raise RefusedError(f"the permission {permission} is not held", 403)
        return claims

    def _check_holder(self, token: str, claims: dict[str, Any], shown: Shown | None) -> None:
        """Refuse a token that is bound to a key unless its sender proves to hold that key."""
        cnf = claims.get("cnf")
        if cnf is None and shown is None:
            return
        # RFC 9449 7.2: a bound token must not pass as a bearer token, nor the other way round.
        if not cnf or cnf.keys() != {"jkt"} or shown is None:
            raise RefusedError("sent by another scheme than it is for")
        key, proof = read_proof(token, shown)
        if not hmac.compare_digest(thumbprint(key), str(cnf["jkt"])):
            raise RefusedError("bound to another key")
        # Several processes share what they have seen, for example in Valkey by SET NX EX.
        now, seen = time.monotonic(), (str(cnf["jkt"]), str(proof["jti"]))
        with self._lock:
            self._seen = {known: end for known, end in self._seen.items() if end > now}
            if seen in self._seen:
                raise RefusedError("the proof was used before")
            self._seen[seen] = now + 2 * PROOF_SECONDS

    def permissions(self, issuer: Issuer, token: str, claims: dict[str, Any]) -> list[str]:
        """List the permissions of the token's person, asking idp when they are too many."""
        if claims.get("permission_ref"):
            claims = self._introspect(issuer, token)
        held: list[str] | str = claims.get("permission", [])
        return held.split(",") if isinstance(held, str) else held

    def _introspect(self, issuer: Issuer, token: str) -> dict[str, Any]:
        """Ask what a token is worth now (RFC 7662), as the API with its secret."""
        if self._api_secret is None:
            raise RefusedError("the permissions are kept at the issuer, and there is no secret")
        pair = f"{self._audience}:{self._api_secret}".encode()
        answer: dict[str, Any] = _get(
            issuer.metadata["introspection_endpoint"],
            form={"token": token},
            authorization=f"Basic {base64.b64encode(pair).decode()}",
        )
        if not answer["active"]:
            raise RefusedError("revoked")
        return answer


def read_proof(token: str, shown: Shown) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the key and the claims of a proof that was made for this request (RFC 9449 4.3)."""
    try:
        header = jwt.get_unverified_header(shown.proof)
        key = header["jwk"]
        if str(header.get("typ")).lower() != "dpop+jwt" or "crit" in header:
            raise RefusedError("not a proof")
        if header.get("alg") not in PROOF_ALGORITHMS or PRIVATE_MEMBERS & key.keys():
            raise RefusedError("a proof by a key that proves nothing")
        claims: dict[str, Any] = jwt.decode(
            shown.proof,
            jwt.PyJWK(key, algorithm=header["alg"]),
            algorithms=[header["alg"]],
            options={"require": ["jti", "htm", "htu", "iat", "ath"], "verify_iat": False},
        )
    except (jwt.PyJWTError, KeyError, TypeError, AttributeError) as problem:
        raise RefusedError(f"a broken proof: {problem}") from None
    digest = base64.urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).rstrip(b"=")
    if claims["ath"] != digest.decode():
        raise RefusedError("a proof for another token")
    if (claims["htm"], str(claims["htu"]).partition("?")[0]) != (shown.method, shown.url):
        raise RefusedError("a proof for another request")
    if not isinstance(claims["iat"], (int, float)) or not isinstance(claims["jti"], str):
        raise RefusedError("a broken proof")
    if abs(time.time() - claims["iat"]) > PROOF_SECONDS:
        raise RefusedError("an old proof")
    return key, claims


def thumbprint(key: dict[str, Any]) -> str:
    """Return the thumbprint of a public key (RFC 7638)."""
    needed = {"RSA": ("e", "kty", "n"), "EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x")}
    members = {name: key[name] for name in needed[key["kty"]]}
    text = json.dumps(members, separators=(",", ":"), sort_keys=True)
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def covers(held: Iterable[str], code: str) -> bool:
    """Return whether permissions hold a code, or a `….all` above it."""
    return any(
        code == one or (one.endswith(".all") and code.startswith(one.removesuffix("all")))
        for one in held
    )


def _get(url: str, *, form: dict[str, str] | None = None, authorization: str = "") -> Any:
    data = urllib.parse.urlencode(form).encode() if form is not None else None
    headers = {"Authorization": authorization} if authorization else {}
    request = urllib.request.Request(url, data=data, headers=headers)
    with urllib.request.urlopen(request, timeout=5) as answer:
        return json.load(answer)


def main() -> None:
    """Print whether each token on standard input is good."""
    parser = argparse.ArgumentParser(description="Check access tokens.")
    parser.add_argument("--issuer", action="append", required=True, help="trusted; may repeat")
    parser.add_argument("--audience", required=True, help="name of the API")
    parser.add_argument("--api-secret", help="secret of the API, for introspection")
    parser.add_argument("--scope")
    parser.add_argument("--permission")
    parser.add_argument("--method", default="GET")
    parser.add_argument("--url", default="")
    given = parser.parse_args()
    verifier = Verifier(given.issuer, given.audience, api_secret=given.api_secret)
    for line in sys.stdin:
        try:
            token, _, proof = line.strip().partition(" ")
            shown = Shown(proof, given.method, given.url) if proof else None
            claims = verifier.verify(
                token, shown=shown, scope=given.scope, permission=given.permission
            )
            print(json.dumps({"claims": claims}))
        except RefusedError as problem:
            print(json.dumps({"refused": str(problem), "status": problem.status}))


if __name__ == "__main__":
    main()
