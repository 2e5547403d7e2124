"""Clients that are known by a certificate, and tokens that are bound to one (RFC 8705)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from idp.platform.errors import Problem
from tests import protocol
from tests.certificates import DN, FORMS, Authority, ip_name, self_signed
from tests.client_keys import ClientKey
from tests.conftest import changed
from tests.protocol import App, add_api, add_person, register, register_machine
from tests.provers import Prover

TOKEN, USERINFO = "/connect/token", "/connect/userinfo"

pytestmark = pytest.mark.settings(trusted_proxies="127.0.0.1", client_certificate="rfc9440")


@pytest.fixture(scope="module")
def authority():
    return Authority()


@pytest.fixture
def settings(settings, authority, tmp_path):
    """Trust an authority."""
    return changed(settings, client_ca=authority.written(tmp_path))


@pytest.fixture
def bank(session):
    """Register a machine that an authority of ours vouches for."""
    add_api(session)
    return register_machine(
        session,
        "bank",
        scopes=["orders.read"],
        token_endpoint_auth_method="tls_client_auth",
        tls_client_auth_subject_dn=DN,
        tls_client_certificate_bound_access_tokens=True,
    )


def ask(client, app, headers, **form):
    form = {"grant_type": "client_credentials", "client_id": app.client_id, **form}
    return client.post(TOKEN, data=form, headers=headers)


def error(answer):
    return answer.status_code, answer.get_json()["error"]


# Authentication


def test_a_client_is_known_by_the_subject_of_its_certificate(client, bank, authority):
    certificate = authority.issue()
    assert bank.secret is None
    answer = ask(client, bank, certificate.passed())
    assert answer.status_code == 200, answer.get_data(as_text=True)
    body = answer.get_json()
    assert body["token_type"] == "Bearer"
    expected = {"x5t#S256": certificate.thumbprint}
    assert protocol.payload(body["access_token"])["cnf"] == expected
    form = {"token": body["access_token"], "client_id": "bank"}
    known = client.post("/connect/introspect", data=form, headers=certificate.passed())
    assert known.get_json()["cnf"] == expected
    assert known.get_json()["token_type"] == "Bearer"
    # Also written with other letters; a new certificate of the same name is the same client.
    renewed = authority.issue("CN=Client,O=EXAMPLE bank,C=de")
    assert ask(client, bank, renewed.passed()).status_code == 200


@pytest.mark.parametrize(
    ("kind", "registered", "name", "other"),
    [
        ("dns", "Client.example", x509.DNSName("client.example"), x509.DNSName("other.example")),
        (
            "uri",
            "spiffe://bank/client",
            x509.UniformResourceIdentifier("spiffe://bank/client"),
            x509.UniformResourceIdentifier("spiffe://bank/other"),
        ),
        ("ip", "2001:db8:0::1", ip_name("2001:db8::1"), ip_name("2001:db8::2")),
        (
            "email",
            "client@bank.example",
            x509.RFC822Name("client@bank.example"),
            x509.RFC822Name("Client@bank.example"),
        ),
    ],
)
def test_a_client_is_known_by_an_alternative_name(
    client, session, authority, kind, registered, name, other
):
    add_api(session)
    app = register_machine(
        session,
        scopes=["orders.read"],
        token_endpoint_auth_method="tls_client_auth",
        **{f"tls_client_auth_san_{kind}": registered},
    )
    several = authority.issue(alternatives=[x509.DNSName("a.example"), name])
    assert ask(client, app, several.passed()).status_code == 200
    for wrong in ([other], [], [x509.DNSName("a.example")]):
        certificate = authority.issue(alternatives=wrong)
        assert error(ask(client, app, certificate.passed())) == (401, "invalid_client")


def test_a_client_is_known_by_a_certificate_that_it_registered(client, session):
    add_api(session)
    certificate, other = self_signed(), self_signed()
    app = register_machine(
        session,
        scopes=["orders.read"],
        token_endpoint_auth_method="self_signed_tls_client_auth",
        jwks={"keys": [{**self_signed().jwk, "kid": "a"}, {**certificate.jwk, "kid": "b"}]},
    )
    body = ask(client, app, certificate.passed()).get_json()
    assert "cnf" not in protocol.payload(body["access_token"])  # it did not ask for that
    assert error(ask(client, app, other.passed())) == (401, "invalid_client")
    assert error(ask(client, app, {})) == (401, "invalid_client")


def test_a_certificate_is_no_proof_for_a_client_with_another_method(client, session, authority):
    add_api(session)
    app = register_machine(session, scopes=["orders.read"])
    answer = ask(client, App(app.client_id, None, app.row_id), authority.issue().passed())
    assert error(answer) == (401, "invalid_client")


def test_a_client_shows_nothing_but_its_certificate(client, bank, authority):
    headers = authority.issue().passed()
    assert error(ask(client, bank, headers, client_secret="x" * 30)) == (401, "invalid_client")
    basic = App("bank", "x", 0).basic
    assert error(ask(client, bank, headers | basic)) == (401, "invalid_client")


@pytest.mark.parametrize("how", FORMS)
def test_a_certificate_comes_in_the_form_of_the_proxy(request, new_client, authority, how):
    """The forms are read alike; the settings are those of each proxy."""
    from idp.platform.web.certificates import passing

    certificate = authority.issue()
    ((name, value),) = certificate.passed(how).items()
    variable = "HTTP_" + name.upper().replace("-", "_")
    read = passing(how)
    assert read.certificate({variable: value}) == certificate.der
    assert read.certificate({}) is None


# Bound tokens


@pytest.fixture
def token(client, session, authority):
    """Return a function that gets a person's token, bound to a certificate."""
    app = register(session, "web", tls_client_certificate_bound_access_tokens=True)
    protocol.sign_in(client, session, add_person(session))

    def get(certificate):
        code = protocol.code_of(protocol.authorize(client, app))
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": protocol.CALLBACK,
            "code_verifier": protocol.VERIFIER,
            **app.post,
        }
        answer = client.post(TOKEN, data=form, headers=certificate.passed())
        assert answer.status_code == 200, answer.get_data(as_text=True)
        return answer.get_json()["access_token"]

    return get


def test_a_bound_token_needs_its_certificate(client, token, authority):
    certificate = self_signed()  # whoever vouches for it
    access = token(certificate)
    headers = protocol.bearer(access)
    assert client.get(USERINFO, headers=headers | certificate.passed()).status_code == 200
    for other in ({}, self_signed().passed(), authority.issue().passed()):
        answer = client.get(USERINFO, headers=headers | other)
        assert error(answer) == (401, "invalid_token")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer ")
    prover = Prover()
    with_proof = prover.uses(access, "GET", USERINFO) | certificate.passed()
    assert client.get(USERINFO, headers=with_proof).status_code == 401


def test_a_certificate_that_expires_makes_its_tokens_useless(client, token, monkeypatch):
    from idp.platform import certificates

    certificate = self_signed()
    headers = protocol.bearer(token(certificate)) | certificate.passed()
    monkeypatch.setattr(certificates, "_is_in_force", lambda *_: False)
    assert error(client.get(USERINFO, headers=headers)) == (401, "invalid_token")


def test_operations_need_the_certificate_too(client, session):
    app = register(
        session,
        "console",
        scopes=("openid", "ids4.ms.client.all"),
        tls_client_certificate_bound_access_tokens=True,
    )
    user = add_person(session)
    protocol.grant_directly(session, user, "ids4.ms.client.all")
    protocol.sign_in(client, session, user)
    certificate = self_signed()
    code = protocol.code_of(protocol.authorize(client, app, scope="openid ids4.ms.client.all"))
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": protocol.CALLBACK,
        "code_verifier": protocol.VERIFIER,
        **app.post,
    }
    body = client.post(TOKEN, data=form, headers=certificate.passed()).get_json()
    bearer = protocol.bearer(body["access_token"])
    path = "/api/Client/IssueToken"
    for headers in (bearer, bearer | self_signed().passed()):
        assert client.post(path, json={}, headers=headers).status_code == 401
    answer = client.post(path, json={}, headers=bearer | certificate.passed())
    assert answer.status_code == 200
    again = answer.get_json()["data"]
    assert protocol.payload(again)["cnf"] == {"x5t#S256": certificate.thumbprint}


def test_a_client_that_binds_its_tokens_shows_a_certificate(client, session):
    add_api(session)
    app = register_machine(
        session, scopes=["orders.read"], tls_client_certificate_bound_access_tokens=True
    )
    assert error(protocol.machine_token(client, app)) == (400, "invalid_request")
    expired = self_signed(begins=timedelta(days=-2), ends=timedelta(days=-1))
    form = {"grant_type": "client_credentials", **app.post}
    answer = client.post(TOKEN, data=form, headers=expired.passed())
    assert error(answer) == (400, "invalid_request")
    answer = client.post(TOKEN, data=form, headers=self_signed().passed())
    assert answer.status_code == 200


def test_the_refresh_token_of_a_public_client_is_bound_to_its_certificate(client, session):
    app = register(session, "spa", public=True, tls_client_certificate_bound_access_tokens=True)
    protocol.sign_in(client, session, add_person(session))
    certificate = self_signed()
    code = protocol.code_of(protocol.authorize(client, app, scope="openid offline_access"))
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": protocol.CALLBACK,
        "code_verifier": protocol.VERIFIER,
        **app.post,
    }
    body = client.post(TOKEN, data=form, headers=certificate.passed()).get_json()
    for more in ({}, {"scope": "openid"}):
        form = {"grant_type": "refresh_token", "refresh_token": body["refresh_token"], **app.post}
        other = client.post(TOKEN, data=form | more, headers=self_signed().passed())
        assert error(other) == (400, "invalid_grant")
        answer = client.post(TOKEN, data=form | more, headers=certificate.passed())
        assert answer.status_code == 200, answer.get_data(as_text=True)
        body = answer.get_json()


# The host for certificates


@pytest.fixture
def alias(new_client):
    return new_client("http://mtls.127.0.0.1:8000")


@pytest.mark.settings(
    trusted_proxies="127.0.0.1", client_certificate="rfc9440", mtls_prefix="mtls."
)
def test_programs_have_a_host_of_their_own(client, alias, session, bank, authority):
    metadata = client.get("/.well-known/openid-configuration").get_json()
    aliases = metadata["mtls_endpoint_aliases"]
    url = "http://mtls.127.0.0.1:8000"
    assert aliases["token_endpoint"] == f"{url}/connect/token"
    assert aliases["pushed_authorization_request_endpoint"] == f"{url}/connect/par"
    assert not {"authorization_endpoint", "end_session_endpoint"} & aliases.keys()
    assert metadata["tls_client_certificate_bound_access_tokens"] is True
    certificate = authority.issue()
    body = ask(alias, bank, certificate.passed()).get_json()
    assert protocol.payload(body["access_token"])["iss"] == metadata["issuer"]
    for path in ("/login", "/", "/connect/authorize?client_id=bank", "/api/Client", "/account"):
        assert alias.get(path).status_code == 404, path
    assert alias.get("/.well-known/openid-configuration").status_code == 404
    assert alias.get("/.well-known/openid-configuration/jwks").status_code == 200
    key = ClientKey()
    signing = register_machine(
        session,
        "signing",
        scopes=["orders.read"],
        token_endpoint_auth_method="private_key_jwt",
        jwks=key.jwks,
    )
    form = {"grant_type": "client_credentials"}
    for audience in (f"{url}/connect/token", metadata["issuer"]):
        own = key.assertion(signing, aud=audience)
        assert alias.post(TOKEN, data=form | own).status_code == 200
    own = key.assertion(signing, aud=f"{url}/connect/token")
    assert client.post(TOKEN, data=form | own).status_code == 401
    prover = Prover(issuer=url)
    own = key.assertion(signing)
    assert alias.post(TOKEN, data=form | own, headers=prover.shows()).status_code == 200


def test_without_a_prefix_there_is_no_such_host(client, alias):
    assert alias.get("/.well-known/openid-configuration/jwks").status_code == 400
    metadata = client.get("/.well-known/openid-configuration").get_json()
    assert "mtls_endpoint_aliases" not in metadata
    methods = metadata["token_endpoint_auth_methods_supported"]
    assert {"tls_client_auth", "self_signed_tls_client_auth"} <= set(methods)


@pytest.mark.settings(client_certificate="")
def test_without_the_setting_nothing_is_offered_and_nothing_is_read(client, bank, authority):
    metadata = client.get("/.well-known/openid-configuration").get_json()
    assert "tls_client_auth" not in metadata["token_endpoint_auth_methods_supported"]
    assert "tls_client_certificate_bound_access_tokens" not in metadata
    assert error(ask(client, bank, authority.issue().passed())) == (401, "invalid_client")


# Registration


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"token_endpoint_auth_method": "tls_client_auth"}, "token_endpoint_auth_method"),
        (
            {
                "token_endpoint_auth_method": "tls_client_auth",
                "tls_client_auth_subject_dn": DN,
                "tls_client_auth_san_dns": "a.example",
            },
            "token_endpoint_auth_method",
        ),
        ({"tls_client_auth_subject_dn": DN}, "tls_client_auth_subject_dn"),
        ({"tls_client_auth_subject_dn": "client"}, "tls_client_auth_subject_dn"),
        ({"tls_client_auth_san_dns": "a b"}, "tls_client_auth_san_dns"),
        ({"tls_client_auth_san_uri": "nothing"}, "tls_client_auth_san_uri"),
        ({"tls_client_auth_san_ip": "1.2.3"}, "tls_client_auth_san_ip"),
        ({"tls_client_auth_san_email": "nobody"}, "tls_client_auth_san_email"),
        ({"token_endpoint_auth_method": "self_signed_tls_client_auth"}, "jwks"),
        (
            {
                "tls_client_certificate_bound_access_tokens": True,
                "dpop_bound_access_tokens": True,
            },
            "tls_client_certificate_bound_access_tokens",
        ),
    ],
)
def test_what_contradicts_itself_is_refused(session, wrong, field):
    with pytest.raises(Problem) as refused:
        register_machine(session, **wrong)
    assert list(refused.value.fields) == [field]


# Attacks


def test_a_certificate_of_an_untrusted_peer_counts_for_nothing(client, bank, authority):
    client.environ_base["REMOTE_ADDR"] = "203.0.113.7"
    answer = ask(client, bank, authority.issue().passed())
    assert error(answer) == (401, "invalid_client")


BAD = {
    "two": lambda good, own: {"Client-Cert": f":{good.base64}:, :{good.base64}:"},
    "another's first": lambda good, own: {"Client-Cert": f":{good.base64}:,:{own.base64}:"},
    "cut off": lambda good, own: {"Client-Cert": f":{good.base64[:-8]}:"},
    "one byte more": lambda good, own: {"Client-Cert": f":{good.base64[:-4]}AAAA:"},
    "no colons": lambda good, own: {"Client-Cert": good.base64},
    "spaces": lambda good, own: {"Client-Cert": f":{good.base64[:50]} {good.base64[50:]}:"},
    "empty": lambda good, own: {"Client-Cert": ""},
    "only colons": lambda good, own: {"Client-Cert": "::"},
    "too long": lambda good, own: {"Client-Cert": f":{'A' * 20_000}:"},
    "no base64": lambda good, own: {"Client-Cert": ":%%%:"},
    "the header of another proxy": lambda good, own: good.passed("nginx"),
    "one's own": lambda good, own: own.passed(),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_certificate_is_none(client, bank, authority, name):
    headers = BAD[name](authority.issue(), self_signed())
    assert error(ask(client, bank, headers)) == (401, "invalid_client")


WRONG = {
    "expired": {"begins": timedelta(days=-2), "ends": timedelta(days=-1)},
    "of tomorrow": {"begins": timedelta(days=1), "ends": timedelta(days=2)},
    "for servers": {"use": ExtendedKeyUsageOID.SERVER_AUTH},
}


@pytest.mark.parametrize("name", WRONG)
def test_a_certificate_that_is_not_good_now_proves_nothing(client, bank, authority, name):
    certificate = authority.issue(**WRONG[name])
    assert error(ask(client, bank, certificate.passed())) == (401, "invalid_client")


@pytest.mark.parametrize(
    "dn",
    [
        "CN=other,O=Example Bank,C=DE",
        "CN=client,O=Example Bank",
        "CN=client,OU=x,O=Example Bank,C=DE",
        "C=DE,O=Example Bank,CN=client",
        "CN=client+O=Example Bank,C=DE",
    ],
)
def test_another_name_is_another_client(client, bank, authority, dn):
    assert error(ask(client, bank, authority.issue(dn).passed())) == (401, "invalid_client")


def test_the_same_name_by_another_authority_is_another_client(client, bank, authority):
    for other in (Authority(), Authority("CN=Other")):
        assert error(ask(client, bank, other.issue().passed())) == (401, "invalid_client")
    assert error(ask(client, bank, authority.certificate.passed())) == (401, "invalid_client")


def test_ones_own_certificate_opens_no_other_client(client, session, bank, authority):
    register_machine(
        session,
        "other",
        scopes=["orders.read"],
        token_endpoint_auth_method="tls_client_auth",
        tls_client_auth_subject_dn="CN=other",
    )
    mine = authority.issue("CN=other")
    assert ask(client, App("other", None, 0), mine.passed()).status_code == 200
    assert error(ask(client, bank, mine.passed())) == (401, "invalid_client")


def test_an_unreadable_file_of_authorities_lets_nobody_in(client, bank, authority, settings):
    from pathlib import Path

    from idp.platform import certificates

    certificates.authorities.cache_clear()
    Path(settings.client_ca).write_text("-----BEGIN CERTIFICATE-----\nAAAA\n")
    try:
        answer = ask(client, bank, authority.issue().passed())
        assert error(answer) == (401, "invalid_client")
    finally:
        certificates.authorities.cache_clear()
