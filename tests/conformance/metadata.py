"""What a metadata document and a key set must look like."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from idp.oauth import authlib_adapter

SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")  # RFC 6749 3.3
LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Z][a-z]{3})?(-[A-Z]{2})?")  # RFC 5646 2.1.1
PRIVATE_MEMBERS = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}


def check_metadata(metadata: Mapping[str, Any], issuer: str) -> None:
    """Check a metadata document (OpenID Connect Discovery 3 and 4.3, RFC 8414 2)."""
    authlib_adapter.check_metadata(metadata, secure=issuer.startswith("https://"))
    assert metadata["issuer"] == issuer
    assert urlsplit(issuer).query == urlsplit(issuer).fragment == ""
    assert "code" in metadata["response_types_supported"]
    assert set(metadata["subject_types_supported"]) <= {"public", "pairwise"}
    assert "RS256" in metadata["id_token_signing_alg_values_supported"]
    assert "RS256" in metadata["userinfo_signing_alg_values_supported"]
    assert "authorization_code" in metadata["grant_types_supported"]
    assert "openid" in metadata["scopes_supported"]
    assert all(SCOPE.fullmatch(scope) for scope in metadata["scopes_supported"])
    assert {"sub", "name", "email"} <= set(metadata["claims_supported"])
    assert all(LANGUAGE.fullmatch(tag) for tag in metadata["ui_locales_supported"])
    assert metadata["claims_parameter_supported"] is True
    assert metadata["request_parameter_supported"] is True
    assert metadata["request_uri_parameter_supported"] is False
    assert "RS256" in metadata["request_object_signing_alg_values_supported"]
    assert "none" not in metadata["request_object_signing_alg_values_supported"]
    assert metadata["code_challenge_methods_supported"] == ["S256"]
    endpoints = {
        name: address for name, address in metadata.items() if name.endswith(("_endpoint", "_uri"))
    }
    assert endpoints.keys() >= {
        "authorization_endpoint",
        "token_endpoint",
        "userinfo_endpoint",
        "jwks_uri",
    }
    for address in endpoints.values():
        assert address.startswith(f"{issuer}/")
        assert urlsplit(address).fragment == ""


def check_keys(keys: list[dict[str, Any]]) -> None:
    """Check published keys (RFC 7517)."""
    assert len({key["kid"] for key in keys}) == len(keys)
    assert any(key["kty"] == "RSA" and key["alg"] == "RS256" for key in keys)
    for key in keys:
        assert not PRIVATE_MEMBERS & key.keys()
        assert key["use"] == "sig"
        if key["kty"] == "RSA":
            modulus = base64.urlsafe_b64decode(key["n"] + "==")
            assert len(modulus) >= 256
            assert modulus[0] != 0  # RFC 7518 6.3.1.1: no leading zero
