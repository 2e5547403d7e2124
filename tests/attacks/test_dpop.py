"""Proofs that prove nothing, and bound tokens in the hands of somebody else."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time

import orjson
import pytest
from joserfc.jwk import ECKey, RSAKey
from sqlalchemy import func, select

from idp.oauth.models import SeenProof
from tests import protocol
from tests.protocol import add_api, add_person, register, register_machine
from tests.provers import Prover, encode

USERINFO = "/connect/userinfo"
TOKEN = "/connect/token"
URL = "http://127.0.0.1:8000"


@pytest.fixture
def prover():
    return Prover()


@pytest.fixture
def machine(session):
    add_api(session)
    return register_machine(session, scopes=["orders.read"])


@pytest.fixture
def token(client, session, prover):
    """Return a person's token that is bound to the key of the prover."""
    app = register(session, "web")
    protocol.sign_in(client, session, add_person(session))
    return redeemed(client, app, prover.shows()).get_json()["access_token"]


def redeemed(client, app, headers, code=None):
    if code is None:
        code = protocol.code_of(protocol.authorize(client, app, scope="openid offline_access"))
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": protocol.CALLBACK,
        "code_verifier": protocol.VERIFIER,
        **app.post,
    }
    return client.post(TOKEN, data=form, headers=headers)


def ask(client, app, proof):
    form = {"grant_type": "client_credentials", **app.post}
    return client.post(TOKEN, data=form, headers={"DPoP": proof})


def seen(session):
    session.rollback()
    found = session.scalar(select(func.count()).select_from(SeenProof))
    session.rollback()
    return found


def without(name):
    return lambda prover: prover.proof(**{name: None})


def with_jwk(**members):
    return lambda prover: prover.proof(header={"jwk": {**prover.jwk, **members}})


def rs256(_prover):
    other = Prover("PS256")
    other.alg = "RS256"
    return other.proof()


def hs256(prover):
    """Sign by the public key as a shared secret."""
    header = encode(orjson.dumps({"typ": "dpop+jwt", "alg": "HS256", "jwk": prover.jwk}))
    text = f"{header}.{encode(orjson.dumps(prover.claims('POST', TOKEN)))}"
    secret = orjson.dumps(prover.jwk, option=orjson.OPT_SORT_KEYS)
    return f"{text}.{encode(hmac.digest(secret, text.encode(), hashlib.sha256))}"


def unsigned(prover):
    header = encode(orjson.dumps({"typ": "dpop+jwt", "alg": "none", "jwk": prover.jwk}))
    return f"{header}.{encode(orjson.dumps(prover.claims('POST', TOKEN)))}."


def small_rsa(_prover):
    other = Prover("PS256")
    other.key = RSAKey.generate_key(1024)
    return other.proof()


def other_curve(_prover):
    other = Prover()
    other.key = ECKey.generate_key("P-384")
    header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": other.key.as_dict(private=False)}
    return f"{encode(orjson.dumps(header))}.e30.{encode(bytes(64))}"


def off_curve(prover):
    return prover.proof(header={"jwk": {**prover.jwk, "x": encode(bytes(31) + b"\x05")}})


def short_number(prover):
    return prover.proof(header={"jwk": {**prover.jwk, "x": encode(b"\x01")}})


def second_spelling(prover):
    """Set an unused bit of the last letter."""
    text = prover.proof()
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return text[:-1] + letters[letters.index(text[-1]) | 1 if text[-1] != "_" else 0]


def padded(prover):
    head, body, signature = prover.proof().split(".")
    return f"{head}.{body}.{signature}=="


def der_signature(prover):
    head, body, signature = prover.proof().split(".")
    return f"{head}.{body}.{encode(base64.urlsafe_b64decode(signature + '==') + bytes(6))}"


def changed(prover):
    head, _, signature = prover.proof().split(".")
    claims = prover.claims("POST", TOKEN)
    return f"{head}.{encode(orjson.dumps(claims))}.{signature}"


BAD = {
    "no jti": without("jti"),
    "no htm": without("htm"),
    "no htu": without("htu"),
    "no iat": without("iat"),
    "no typ": lambda prover: prover.proof(header={"typ": None}),
    "no alg": lambda prover: prover.proof(header={"alg": None}),
    "no jwk": lambda prover: prover.proof(header={"jwk": None}),
    "no key type": with_jwk(kty=None),
    "no number": with_jwk(x=None),
    "a number as number": with_jwk(x=7),
    "a list as key": lambda prover: prover.proof(header={"jwk": [prover.jwk]}),
    "a text as key": lambda prover: prover.proof(header={"jwk": "key"}),
    "a private key": lambda prover: prover.proof(header={"jwk": prover.key.as_dict(private=True)}),
    "a shared key": with_jwk(k="AA"),
    "another type": lambda prover: prover.proof(header={"typ": "JWT"}),
    "an access token's type": lambda prover: prover.proof(header={"typ": "at+jwt"}),
    "critical": lambda prover: prover.proof(header={"crit": ["exp"]}),
    "none": unsigned,
    "RS256": rs256,
    "HS256 by the key": hs256,
    "an algorithm of another key": lambda prover: prover.proof(header={"alg": "EdDSA"}),
    "a weak key": small_rsa,
    "another curve": other_curve,
    "a point elsewhere": off_curve,
    "a short number": short_number,
    "another key": with_jwk(**Prover().jwk),
    "changed claims": changed,
    "DER": der_signature,
    "a second spelling": second_spelling,
    "padding": padded,
    "empty": lambda _prover: "",
    "spaces": lambda prover: f"{prover.proof()} {prover.proof()}",
    "two": lambda prover: f"{prover.proof()}, {prover.proof()}",
    "two parts": lambda prover: prover.proof().rpartition(".")[0],
    "five parts": lambda prover: prover.proof() + ".a.b",
    "too long": lambda prover: prover.proof(x="x" * 4096),
    "16 KiB": lambda prover: prover.proof(x="x" * 16_384),
    "no claims": lambda prover: prover.sign({}, b"[1]"),
    "no JSON": lambda prover: prover.sign({}, b"{"),
    "deep JSON": lambda prover: prover.sign({}, b"[" * 1000),
    "empty jti": lambda prover: prover.proof(jti=""),
    "long jti": lambda prover: prover.proof(jti="x" * 513),
    "jti a number": lambda prover: prover.proof(jti=7),
    "lone surrogate": lambda prover: prover.sign({}, b'{"jti": "\\ud800"}'),
    "iat a text": lambda prover: prover.proof(iat="now"),
    "iat true": lambda prover: prover.proof(iat=True),
    "another method": lambda prover: prover.proof("GET"),
    "method in small letters": lambda prover: prover.proof("post"),
    "another path": lambda prover: prover.proof("POST", "/connect/tokens"),
    "a longer path": lambda prover: prover.proof("POST", "/connect/token/"),
    "steps in the path": lambda prover: prover.proof("POST", "/x/../connect/token"),
    "an escaped slash": lambda prover: prover.proof("POST", "/connect%2Ftoken"),
    "another host": lambda prover: prover.proof("POST", "http://evil.example/connect/token"),
    "another port": lambda prover: prover.proof("POST", "http://127.0.0.1:8001/connect/token"),
    "another scheme": lambda prover: prover.proof("POST", "https://127.0.0.1:8000/connect/token"),
    "a user": lambda prover: prover.proof("POST", "http://a@127.0.0.1:8000/connect/token"),
    "a broken address": lambda prover: prover.proof("POST", "http://[::1/connect/token"),
    "a broken port": lambda prover: prover.proof("POST", "http://127.0.0.1:x/connect/token"),
    "a line break": lambda prover: prover.proof("POST", f"{URL}/connect/to\nken"),
    "htu a list": lambda prover: prover.proof(htu=[f"{URL}/connect/token"]),
    "expired": lambda prover: prover.proof(exp=int(time.time()) - 60),
    "of tomorrow": lambda prover: prover.proof(nbf=int(time.time()) + 60),
    "exp a text": lambda prover: prover.proof(exp="soon"),
    "nonce a number": lambda prover: prover.proof(nonce=7),
}


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")  # of the weak key
@pytest.mark.parametrize("name", BAD)
def test_a_bad_proof_opens_nothing(client, session, machine, prover, name):
    answer = ask(client, machine, BAD[name](prover))
    assert answer.status_code == 400, answer.get_data(as_text=True)
    assert answer.get_json()["error"] == "invalid_dpop_proof"
    assert answer.get_json()["error_description"]
    assert seen(session) == 0


GOOD = {
    "with a query": lambda prover: prover.proof("POST", "/connect/token?a=1#b"),
    "in capitals": lambda prover: prover.proof("POST", "HTTP://127.0.0.1:8000/connect/token"),
    "escaped": lambda prover: prover.proof("POST", "/%63onnect/token"),
    "with more": lambda prover: prover.proof(foo={"a": 1}, header={"kid": "x", "cty": "y"}),
    "with times": lambda prover: prover.proof(
        exp=int(time.time()) + 60, nbf=int(time.time()) - 1, iat=time.time()
    ),
    "with a capital type": lambda prover: prover.proof(header={"typ": "DPoP+JWT"}),
    "with the longest jti": lambda prover: prover.proof(jti="é" * 512),
    "with a key that has a name": with_jwk(kid="mine", use="sig", alg="ES256"),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_good_proof_may_be_written_otherwise(client, machine, prover, name):
    answer = ask(client, machine, GOOD[name](prover))
    assert answer.status_code == 200, answer.get_data(as_text=True)
    assert protocol.payload(answer.get_json()["access_token"])["cnf"] == {"jkt": prover.jkt}


@pytest.mark.settings(public_url="http://id.example")
def test_the_default_port_and_capitals_of_a_host_are_no_other_address(new_client, session):
    add_api(session)
    app = register_machine(session, scopes=["orders.read"])
    client = new_client("http://id.example")
    for number, url in enumerate(
        ("http://id.example:80", "http://ID.Example", "HTTP://id.example")
    ):
        prover = Prover(issuer=url)
        assert ask(client, app, prover.proof(jti=str(number))).status_code == 200, url


@pytest.mark.parametrize("nonce", ["made-up", "A" * 22, "", "é", "x" * 2000])
def test_an_invented_nonce_is_answered_with_a_good_one(client, machine, prover, nonce):
    answer = ask(client, machine, prover.proof(nonce=nonce))
    assert (answer.status_code, answer.get_json()["error"]) == (400, "use_dpop_nonce")
    good = prover.proof(nonce=answer.headers["DPoP-Nonce"])
    assert ask(client, machine, good).status_code == 200


def test_a_nonce_of_another_issuer_is_no_nonce(new_client, session):
    tenant_id = protocol.add_tenant(session, "Acme", ["acme.example"])
    app = register(session, "both")
    prover = Prover(issuer="http://acme.example")
    one, two = new_client("http://127.0.0.1:8000"), new_client("http://acme.example")
    old = int(time.time()) - 3600
    form = {"grant_type": "refresh_token", "refresh_token": "x", **app.post}
    here = one.post(TOKEN, data=form, headers=Prover().shows(iat=old)).headers["DPoP-Nonce"]
    answer = two.post(TOKEN, data=form, headers=prover.shows(nonce=here))
    assert answer.get_json()["error"] == "use_dpop_nonce"
    assert answer.headers["DPoP-Nonce"] != here
    good = prover.shows(nonce=answer.headers["DPoP-Nonce"])
    assert two.post(TOKEN, data=form, headers=good).get_json()["error"] == "invalid_grant"
    assert tenant_id


STOLEN = {
    "another key": lambda prover, token: Prover().uses(token, "GET", USERINFO),
    "another method": lambda prover, token: prover.uses(token, "POST", USERINFO),
    "another address": lambda prover, token: prover.uses(token, "GET", TOKEN),
    "another token": lambda prover, token: {
        "Authorization": f"DPoP {token}",
        "DPoP": prover.proof("GET", USERINFO, token + "x"),
    },
    "no token": lambda prover, token: {
        "Authorization": f"DPoP {token}",
        "DPoP": prover.proof("GET", USERINFO),
    },
    "a token that is a number": lambda prover, token: prover.uses(token, "GET", USERINFO, ath=7),
    "no proof": lambda prover, token: {"Authorization": f"DPoP {token}"},
    "as bearer": lambda prover, token: protocol.bearer(token),
    "as bearer with a proof": lambda prover, token: (
        prover.uses(token, "GET", USERINFO) | protocol.bearer(token)
    ),
    "as basic": lambda prover, token: {"Authorization": f"Basic {token}"},
}


@pytest.mark.parametrize("name", STOLEN)
def test_a_bound_token_is_worth_nothing_to_others(client, session, token, prover, name):
    before = seen(session)
    answer = client.get(USERINFO, headers=STOLEN[name](prover, token))
    assert answer.status_code == 401, answer.get_data(as_text=True)
    assert "sub" not in answer.get_json()
    assert seen(session) == before
    assert client.get(USERINFO, headers=prover.uses(token, "GET", USERINFO)).status_code == 200


def test_a_proof_for_a_token_is_taken_once(client, token, prover):
    headers = prover.uses(token, "GET", USERINFO)
    assert client.get(USERINFO, headers=headers).status_code == 200
    for _ in range(3):  # though the token itself is remembered
        answer = client.get(USERINFO, headers=headers)
        assert (answer.status_code, answer.get_json()["error"]) == (401, "invalid_dpop_proof")


def test_a_token_whose_binding_is_unknown_is_refused(client, session, token, prover):
    """A confirmation that this version does not know must not be ignored."""
    from idp.oauth import possession
    from idp.platform.errors import OAuthError
    from idp.platform.issuer import Issuer
    from idp.platform.storage import SessionStorage, complete

    issuer = Issuer(1, URL, "127.0.0.1:8000", "")
    for cnf in ({}, {"kid": "x"}, {"jkt": prover.jkt, "kid": "x"}):
        for scheme in ("bearer", "dpop"):
            with pytest.raises(OAuthError):
                complete(
                    possession.check(
                        SessionStorage(session), issuer, cnf, (scheme, token), lambda: None
                    )
                )


def test_a_stolen_refresh_token_of_a_public_client_needs_its_key(client, session, prover):
    app = register(session, "spa", public=True)
    protocol.sign_in(client, session, add_person(session))
    token = redeemed(client, app, prover.shows()).get_json()["refresh_token"]
    form = {"grant_type": "refresh_token", "refresh_token": token, **app.post}
    for headers in ({}, Prover().shows()):
        answer = client.post(TOKEN, data=form, headers=headers)
        assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_grant")
    assert client.post(TOKEN, data=form, headers=prover.shows()).status_code == 200
