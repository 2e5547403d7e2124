"""Signing and checking our own tokens: the hot path.

Which keys there are is cached configuration; a private key is decrypted and parsed once in the
life of a process. Signing a token costs no query.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import orjson
from cryptography.exceptions import InvalidSignature
from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from idp.platform import clock, runtime
from idp.platform.cache import looked_up
from idp.platform.errors import InvalidToken, Unavailable
from idp.platform.secrets import Keyring, UnknownKeyError
from idp.platform.signing import compact
from idp.platform.signing.algorithms import (
    ALGORITHMS,
    Algorithm,
    PrivateKey,
    PublicKey,
    load_private,
    load_public,
    public_jwk,
    thumbprint,
)
from idp.platform.signing.models import SigningKey
from idp.platform.signing.service import PURPOSE

_OUR_HEADERS = frozenset({"alg", "kid", "typ"})
_MOST_HOURS = 100 * 366 * 24
"""A century of hints is enough, and dates have an end."""
_STATUS_ORDER = {"active": 0, "next": 1, "retired": 2}


@dataclass(slots=True)
class _Key:
    """A published key, as the process uses it."""

    kid: str
    algorithm: Algorithm
    status: str
    public_jwk: dict[str, Any]
    private_encrypted: str | None
    public: PublicKey
    hints_until: datetime | None = None
    """Until when sessions may live in which a key signed that has left the JWKS."""
    headers: dict[str, bytes] = field(default_factory=dict)

    def header(self, typ: str) -> bytes:
        """Return the encoded header of a token type, with its dot."""
        made = self.headers.get(typ)
        if made is None:
            members = {"alg": self.algorithm.name, "typ": typ, "kid": self.kid}
            made = self.headers[typ] = compact.encode(orjson.dumps(members)) + b"."
        return made


# A kid is the hash of its key, so what it names cannot change. Revoked kids are dropped below.
_parsed_private: dict[str, PrivateKey] = {}
_parsed_public: dict[str, PublicKey] = {}


@dataclass(frozen=True, slots=True)
class Keys:
    """All keys at one version of the configuration that tokens may be signed by or checked by."""

    published: dict[str, _Key]
    former: dict[str, _Key]
    """Those that have left the JWKS, of use for hints until `hints_until`."""
    active: dict[str, _Key]
    jwks: bytes
    """JSON of the published keys (RFC 7517 5): active, next and retired ones."""
    algorithms: tuple[str, ...]
    """Algorithms that tokens can be signed by, the service's own first."""
    default_algorithm: str
    """Algorithm of tokens whose client or API names none."""
    keyring: Keyring

    def sign(self, claims: Mapping[str, object], *, alg: str | None, typ: str) -> str:
        """Sign claims as a JWT by the active key of an algorithm (the service's when None)."""
        name = alg or self.default_algorithm
        key = self.active.get(name)
        if key is None:
            raise Unavailable(
                "The service has no signing key; its operator must run `idp setup`.",
                debug=f"no active key for {name}",
            )
        private = _parsed_private.get(key.kid) or _open(key, self.keyring)
        signing_input = key.header(typ) + compact.encode(orjson.dumps(claims))
        signature = key.algorithm.sign(private, signing_input)
        return (signing_input + b"." + compact.encode(signature)).decode()

    def verify(
        self, unverified_jwt: str, *, typ: str | None, as_hint: bool = False
    ) -> dict[str, Any]:
        """Return the claims of a JWT that we signed, or raise InvalidToken.

        `as_hint`: it only hints at a session, so its key may have left the JWKS by now.

        Times, issuer and audience are the caller's to check. RFC 8725 3.1: the algorithm is a
        property of the key, and the header may only agree with it. RFC 8725 3.11: a token of
        another type is refused when `typ` names one.
        """
        try:
            token = compact.split(unverified_jwt)
        except compact.MalformedError as problem:
            raise InvalidToken(debug=str(problem)) from None
        header = token.header
        # We write three members and no other. What brings keys, certificates or `crit` is not ours.
        if not header.keys() <= _OUR_HEADERS:
            raise InvalidToken(debug="header with foreign members")
        key = self._key_of(header.get("kid"), as_hint=as_hint)
        if header.get("alg") != key.algorithm.name:
            raise InvalidToken(debug="algorithm differs from the key's")
        found_typ = header.get("typ")
        if typ is not None and (not isinstance(found_typ, str) or found_typ.lower() != typ.lower()):
            raise InvalidToken(debug="token of another type")
        try:
            key.algorithm.verify(key.public, token.signature, token.signing_input)
            return compact.json_object(token.payload)
        except InvalidSignature:
            raise InvalidToken(debug="wrong signature") from None
        except compact.MalformedError as problem:
            raise InvalidToken(debug=str(problem)) from None

    def _key_of(self, kid: object, *, as_hint: bool) -> _Key:
        key = self.published.get(kid) if isinstance(kid, str) else None
        if key is None and as_hint and isinstance(kid, str):
            key = self.former.get(kid)
        if key is None or (key.hints_until is not None and key.hints_until <= clock.now()):
            raise InvalidToken(debug="unknown key")
        return key


def is_ready(session: Session) -> bool:
    """Return whether there are active keys, and each of them opens."""
    found = keys(session)
    try:
        for key in found.active.values():
            found.keyring.decrypt(PURPOSE, key.private_encrypted or "")
    except UnknownKeyError:
        return False
    return bool(found.active)


@looked_up("signing keys")
def keys(session: Session) -> Keys:
    """Return the keys that tokens are signed by and checked with."""
    settings = runtime.of(session).settings
    now = clock.now()
    hours = max(settings.remember_days * 24, settings.session_hours)
    session_life = timedelta(hours=min(hours, _MOST_HOURS))
    is_published = or_(
        SigningKey.status.in_(("active", "next")),
        (SigningKey.status == "retired") & (SigningKey.publish_until > now),
    )
    rows = session.execute(
        select(
            SigningKey.kid,
            SigningKey.alg,
            SigningKey.status,
            SigningKey.public_jwk,
            SigningKey.private_encrypted,
            SigningKey.retired_at,
            is_published.label("is_published"),
        )
        .where(
            or_(
                is_published,
                SigningKey.status.in_(("retired", "gone"))
                & (SigningKey.retired_at > now - session_life),
            )
        )
        .order_by(SigningKey.id.desc())
    ).all()
    default = settings.signing_alg
    order = [default, *(name for name in ALGORITHMS if name != default)]
    found: list[_Key] = []
    former: dict[str, _Key] = {}
    for row in rows:
        if row.alg not in ALGORITHMS:
            continue
        key = _Key(
            kid=row.kid,
            algorithm=ALGORITHMS[row.alg],
            status=row.status,
            public_jwk=row.public_jwk,
            private_encrypted=row.private_encrypted,
            public=_public(row.kid, row.public_jwk),
        )
        if row.is_published:
            found.append(key)
        else:
            key.hints_until = row.retired_at + session_life
            former[key.kid] = key
    # Verifiers that look at the first key only get the one that most tokens are signed by.
    found.sort(key=lambda key: (order.index(key.algorithm.name), _STATUS_ORDER[key.status]))
    published = {key.kid: key for key in found}
    _forget(_parsed_private, published)
    _forget(_parsed_public, published | former)
    active = {key.algorithm.name: key for key in found if key.status == "active"}
    return Keys(
        published=published,
        former=former,
        active=active,
        jwks=orjson.dumps({"keys": [_published_jwk(key) for key in found]}),
        algorithms=tuple(name for name in order if name in active),
        default_algorithm=default,
        keyring=runtime.of(session).keyring,
    )


def _published_jwk(key: _Key) -> dict[str, str]:
    return {**key.public_jwk, "kid": key.kid, "use": "sig", "alg": key.algorithm.name}


def _public(kid: str, jwk: dict[str, Any]) -> PublicKey:
    found = _parsed_public.get(kid)
    if found is None:
        found = _parsed_public[kid] = load_public(jwk)
    return found


def _forget(parsed: dict[str, Any], kept: Mapping[str, _Key]) -> None:
    for kid in parsed.keys() - kept.keys():
        parsed.pop(kid, None)


def _open(key: _Key, keyring: Keyring) -> PrivateKey:
    """Decrypt and parse a private key; RSA keys cost milliseconds here, once in a process."""
    try:
        private = load_private(keyring.decrypt(PURPOSE, key.private_encrypted or ""))
    except UnknownKeyError:
        raise Unavailable(
            "The service cannot open its signing key; its operator must complete IDP_SECRET_KEY.",
            debug=f"signing key {key.kid} names a root secret that is not set",
        ) from None
    if thumbprint(public_jwk(private)) != key.kid:
        raise Unavailable(
            "The service cannot use its signing key.",
            debug=f"the private part of signing key {key.kid} belongs to another key",
        )
    _parsed_private[key.kid] = private
    return private
