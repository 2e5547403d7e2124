"""Whether the sender of an access token may use it: every endpoint that accepts one asks here.

The token was read and is in force; what is left is its scheme, and the key that it is bound to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from idp.oauth.client_auth import mtls
from idp.oauth.dpop import keys, once, proofs
from idp.oauth.holder import CERTIFICATE, THUMBPRINT
from idp.platform.errors import InvalidDpopProof, InvalidToken, OAuthError
from idp.platform.issuer import Issuer
from idp.platform.storage import Storage
from idp.platform.web.authorization import BEARER, DPOP, Credential, Evidence
from idp.platform.web.certificates import thumbprint

UNAUTHORIZED = 401
NO_HEADERS: Mapping[str, str] = {}


async def check(
    storage: Storage,
    issuer: Issuer,
    cnf: Mapping[str, Any] | None,
    credential: Credential,
    evidence: Callable[[], Evidence | None],
) -> Mapping[str, str]:
    """Raise InvalidToken or InvalidDpopProof unless the sender of a token may use it.

    `cnf` is the token's claim (RFC 7800 3). `evidence` is called for what the request shows besides
    the token, None: nothing that can be trusted. Headers for the answer are returned. A proof is
    used up by this, so all else that is needed of the token is checked before.
    """
    scheme, token = credential
    if cnf is None and scheme == BEARER:
        return NO_HEADERS
    if not cnf or not cnf.keys() <= _KNOWN or (scheme == DPOP) is not (THUMBPRINT in cnf):
        # RFC 9449 7.2: a bound token must not pass as a bearer token, nor the other way round.
        raise _refused(InvalidToken(debug="the scheme does not fit the token"), cnf)
    shown = evidence()
    try:
        _check_certificate(cnf, shown)
        return await _check_proof(storage, issuer, cnf, token, shown)
    except OAuthError as problem:
        raise _refused(problem, cnf) from None


def _check_certificate(cnf: Mapping[str, Any], shown: Evidence | None) -> None:
    """Refuse a token whose certificate is not that of the connection, or not in force."""
    if CERTIFICATE not in cnf:
        return
    certificate = None if shown is None else shown.certificate
    if certificate is None or thumbprint(certificate) != cnf[CERTIFICATE]:
        raise InvalidToken(debug="no certificate, or another one")
    if not mtls.is_in_force(certificate):
        raise InvalidToken(debug="certificate not in force")


async def _check_proof(
    storage: Storage,
    issuer: Issuer,
    cnf: Mapping[str, Any],
    token: str,
    shown: Evidence | None,
) -> Mapping[str, str]:
    """Refuse a token whose sender does not prove to hold its key, and use the proof up."""
    if THUMBPRINT not in cnf:
        return NO_HEADERS
    if shown is None or shown.proof is None:
        raise InvalidDpopProof(debug="no proof")
    proof = proofs.check(storage.runtime, issuer, shown, token=token)
    if proof.jkt != cnf[THUMBPRINT]:
        raise InvalidToken(debug="proof of another key")
    await once.spend(storage, proof)
    return proof.headers


_KNOWN = frozenset({THUMBPRINT, CERTIFICATE})


def _refused(problem: OAuthError, cnf: Mapping[str, Any] | None) -> OAuthError:
    """Add the challenge of a protected resource (RFC 9449 7.1); without it, it is Bearer's."""
    problem.status = UNAUTHORIZED
    if cnf is not None and cnf.keys() != {CERTIFICATE}:
        algorithms = " ".join(keys.OFFERED)
        challenge = f'DPoP error="{problem.code}", algs="{algorithms}"'
        problem.headers["WWW-Authenticate"] = challenge
    return problem
