"""A software authenticator for Web Authentication that can lie in every member it sends."""

from __future__ import annotations

import hashlib
import json
import secrets
import struct
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from idp.platform.secrets import b64url, from_b64url

UP, UV, BE, BS, AT = 0x01, 0x04, 0x08, 0x10, 0x40
EDDSA, ES256, RS256, ES384 = -8, -7, -257, -35
SYNCED = BE | BS


def _key_for(algorithm: int) -> Any:
    if algorithm == EDDSA:
        return ed25519.Ed25519PrivateKey.generate()
    if algorithm == RS256:
        return rsa.generate_private_key(65537, 2048)
    return ec.generate_private_key(ec.SECP384R1() if algorithm == ES384 else ec.SECP256R1())


def cose(key: Any, algorithm: int) -> bytes:
    """Write a public key as COSE_Key."""
    public = key.public_key()
    if isinstance(public, ed25519.Ed25519PublicKey):
        return cbor2.dumps({1: 1, 3: algorithm, -1: 6, -2: public.public_bytes_raw()})
    numbers = public.public_numbers()
    if isinstance(public, rsa.RSAPublicKey):
        return cbor2.dumps(
            {1: 3, 3: algorithm, -1: numbers.n.to_bytes(256), -2: numbers.e.to_bytes(3)}
        )
    size, curve = (48, 2) if algorithm == ES384 else (32, 1)
    parts = {-2: numbers.x.to_bytes(size), -3: numbers.y.to_bytes(size)}
    return cbor2.dumps({1: 2, 3: algorithm, -1: curve, **parts})


@dataclass
class Authenticator:
    """A credential and the browser in front of it."""

    origin: str
    algorithm: int = ES256
    flags: int = UP | UV
    counts: bool = False
    credential_id: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    user_handle: bytes = b""
    count: int = 0

    def __post_init__(self) -> None:
        self.key = _key_for(self.algorithm)

    def create(self, options: dict[str, Any], **lies: Any) -> str:
        """Answer the options of a registration."""
        self.user_handle = from_b64url(options["user"]["id"])
        client = self._client_data("webauthn.create", options, lies)
        public = lies.get("public_key", cose(self.key, self.algorithm))
        named = lies.get("credential_id", self.credential_id)
        tested = bytes(16) + struct.pack(">H", len(named)) + named + public
        data = self._data(lies.get("rp_id", options["rp"]["id"]), AT, lies) + tested
        statement = lies.get("statement", {})
        if lies.get("fmt") == "packed" and not statement:
            statement = {"alg": self.algorithm, "sig": self._sign(data + _hash(client))}
        attestation = {"fmt": lies.get("fmt", "none"), "attStmt": statement, "authData": data}
        response = {"attestationObject": b64url(cbor2.dumps(attestation))}
        response["transports"] = lies.get("transports", ["internal"])
        return self._written(client, response, lies)

    def get(self, options: dict[str, Any], **lies: Any) -> str:
        """Answer the options of a sign-in."""
        client = self._client_data("webauthn.get", options, lies)
        if self.counts:
            self.count += 1
        data = self._data(lies.get("rp_id", options["rpId"]), 0, lies)
        response = {
            "authenticatorData": b64url(data),
            "signature": b64url(lies.get("signature", self._sign(data + _hash(client)))),
        }
        handle = lies.get("user_handle", self.user_handle)
        if handle is not None:
            response["userHandle"] = b64url(handle)
        return self._written(client, response, lies)

    def _client_data(self, kind: str, options: dict[str, Any], lies: dict[str, Any]) -> bytes:
        content = {
            "type": kind,
            "challenge": options["challenge"],
            "origin": self.origin,
            "crossOrigin": False,
            **lies.get("client", {}),
        }
        return json.dumps(content).encode()

    def _data(self, rp_id: str, more: int, lies: dict[str, Any]) -> bytes:
        flags = lies.get("flags", self.flags) | more
        count = lies.get("count", self.count)
        return _hash(rp_id.encode()) + struct.pack(">BI", flags, count)

    def _sign(self, content: bytes) -> bytes:
        if isinstance(self.key, ed25519.Ed25519PrivateKey):
            return self.key.sign(content)
        if isinstance(self.key, rsa.RSAPrivateKey):
            return self.key.sign(content, padding.PKCS1v15(), SHA256())
        return bytes(self.key.sign(content, ec.ECDSA(SHA256())))

    def _written(self, client: bytes, response: dict[str, Any], lies: dict[str, Any]) -> str:
        named = b64url(lies.get("named", self.credential_id))
        return json.dumps(
            {
                "id": named,
                "rawId": named,
                "type": "public-key",
                "response": {"clientDataJSON": b64url(client), **response},
                "clientExtensionResults": {},
            }
        )


def _hash(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()
