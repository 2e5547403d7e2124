"""What tests of the protocol do often: register a client, sign a person in, get tokens."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from sqlalchemy import select
from sqlalchemy.orm import Session

from idp.directory.actor import OPERATOR
from idp.directory.clients import service as clients
from idp.directory.clients.service import NewClient
from idp.directory.factors import passkeys, totp
from idp.directory.factors import service as factors
from idp.directory.factors.models import Totp
from idp.directory.factors.passkeys import Claim
from idp.directory.policies import management as policies
from idp.directory.policies.rules import PolicySpec
from idp.directory.resources import service as resources
from idp.directory.resources.models import ApiResource, ApiScope
from idp.directory.resources.service import NewApi, NewScope
from idp.directory.roles.models import Privilege, Role, RolePrivilege, UserRole
from idp.directory.tenants import service as tenants
from idp.directory.tenants.service import NewTenant
from idp.directory.users.models import User, UserClaim
from idp.oauth import refresh_rules
from idp.oauth.models import Grant, RefreshFamily
from idp.platform import clock, runtime
from idp.platform.issuer import Issuer
from idp.platform.sessions import service as sessions
from idp.platform.sessions.service import Authentication
from tests import quick_hashes
from tests.authenticator import Authenticator

if TYPE_CHECKING:
    from werkzeug.test import TestResponse

    from tests.conftest import IssuerClient

CALLBACK = "https://app.example/callback"
AFTER_LOGOUT = "https://app.example/bye"
PASSWORD = "maple-river-stone-17"
VERIFIER = "a-verifier-that-is-long-enough-for-the-rule-of-43-characters"
CHALLENGE = (
    base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
)
IDENTITY_SCOPES = ("openid", "profile", "email", "phone", "address")


@functools.cache
def password_hash(password: str = PASSWORD) -> str:
    """Hash a password cheaply."""
    return quick_hashes.HASHER.hash(password)


@dataclass(frozen=True)
class App:
    """A registered client with its secret."""

    client_id: str
    secret: str | None
    row_id: int

    @property
    def basic(self) -> dict[str, str]:
        """Header of client_secret_basic."""
        text = f"{self.client_id}:{self.secret}"
        return {"Authorization": "Basic " + base64.b64encode(text.encode()).decode()}

    @property
    def post(self) -> dict[str, str]:
        """Form members by which the client says who it is."""
        if self.secret is None:
            return {"client_id": self.client_id}
        return {"client_id": self.client_id, "client_secret": self.secret}


def register(
    session: Session,
    client_id: str = "web",
    *,
    public: bool = False,
    scopes: Sequence[str] = IDENTITY_SCOPES,
    grants: Sequence[str] = ("authorization_code", "refresh_token"),
    redirect_uris: Sequence[str] = (CALLBACK,),
    tenant_id: int | None = None,
    **settings: Any,
) -> App:
    """Register a client; consent is off unless asked for."""
    offline = "refresh_token" in grants
    has_pages = "authorization_code" in grants
    row, secret = clients.create(
        session,
        NewClient(
            client_id=client_id,
            client_name=settings.pop("client_name", client_id.title()),
            is_public=public,
            grant_types=grants,
            scopes=scopes,
            redirect_uris=redirect_uris if has_pages else (),
            post_logout_redirect_uris=(AFTER_LOGOUT,) if has_pages else (),
            cors_origins=settings.pop("cors_origins", ()),
            tenant_id=tenant_id,
            settings={
                "require_consent": False,
                "allow_offline_access": offline,
                **settings,
            },
        ),
    )
    session.commit()
    return App(client_id, secret, row.id)


def register_machine(
    session: Session, client_id: str = "machine", scopes: Sequence[str] = (), **settings: Any
) -> App:
    """Register a client that asks for itself."""
    return register(session, client_id, scopes=scopes, grants=("client_credentials",), **settings)


def add_api(
    session: Session,
    name: str = "orders",
    scopes: Iterable[str] = ("orders.read", "orders.write"),
    *,
    user_claims: Sequence[str] = (),
    properties: Mapping[str, str] | None = None,
    tenant_id: int | None = None,
    **fields: Any,
) -> ApiResource:
    """Register an API with scopes."""
    api = resources.create_api(
        session,
        NewApi(
            name=name,
            scopes=[NewScope(scope) for scope in scopes],
            user_claims=user_claims,
            properties=properties or {},
            tenant_id=tenant_id,
            **fields,
        ),
    )
    session.commit()
    return api


def add_person(
    session: Session,
    username: str = "ann",
    *,
    password: str = PASSWORD,
    tenant_ids: Sequence[int] = (1,),
    **columns: Any,
) -> User:
    """Add an account that belongs to tenants."""
    user = User(
        username=username,
        username_key=username.casefold(),
        password_hash=password_hash(password),
        **columns,
    )
    if user.email:
        user.email_key = user.email.casefold()
    session.add(user)
    session.flush()
    for tenant_id in tenant_ids:
        tenants.add_member(session, tenant_id, user.id)
    session.commit()
    return user


def add_authenticator(session: Session, user: User, name: str = "Phone") -> bytes:
    """Add an authenticator app past its pages; return the secret."""
    secret = totp.new_secret()
    sealed = runtime.of(session).keyring.encrypt(factors.PURPOSE, secret)
    session.add(Totp(user_id=user.id, name=name, secret_encrypted=sealed, last_step=0))
    session.commit()
    return secret


def add_passkey(session: Session, user: User, url: str, **how: Any) -> Authenticator:
    """Add a passkey at issuer 1 past its pages; return the authenticator that has it."""
    issuer = Issuer(1, url, urlsplit(url).netloc, "idp")
    options = passkeys.creation_options(session, issuer, user, "test")
    assert options is not None
    device = Authenticator(url, **how)
    passkeys.add(session, issuer, user, Claim("test", device.create(options)), "Laptop")
    session.commit()
    return device


def app_code(secret: bytes, steps: int = 0) -> str:
    """Return the code that an authenticator app shows now, or so many steps later."""
    return totp.code_at(secret, totp.step_at(clock.timestamp()) + steps)


def add_tenant(session: Session, name: str = "Acme", hosts: Sequence[str] = ()) -> int:
    """Add a tenant; with hosts it is an issuer."""
    tenant = tenants.create(session, NewTenant(name=name, hosts=hosts))
    session.commit()
    return tenant.id


def add_role(
    session: Session,
    user: User,
    code: str = "clerk",
    privileges: Iterable[str] = (),
    *,
    tenant_id: int | None = 1,
    api: ApiResource | None = None,
) -> Role:
    """Add a person to a role with privileges, made when missing; no tenant: a platform role."""
    role = session.scalars(
        select(Role).where(Role.code == code, Role.tenant_id.is_not_distinct_from(tenant_id))
    ).one_or_none()
    if role is None:
        role = Role(code=code, name=code, tenant_id=tenant_id)
        session.add(role)
    session.flush()
    codes = list(privileges)
    known = {
        row.code: row for row in session.scalars(select(Privilege).where(Privilege.code.in_(codes)))
    }
    missing = [
        Privilege(code=code, name=code, api_resource_id=api.id if api else None)
        for code in codes
        if code not in known
    ]
    session.add_all(missing)
    session.flush()
    session.add_all(
        RolePrivilege(role_id=role.id, privilege_id=row.id) for row in (*known.values(), *missing)
    )
    session.add(UserRole(user_id=user.id, role_id=role.id))
    session.commit()
    return role


def require(session: Session, tenant_id: int, **values: Any) -> None:
    """Set the policy of a tenant, as an operator would."""
    policies.replace(session, OPERATOR, tenant_id, PolicySpec(**values))
    session.commit()


def grant_directly(
    session: Session, user: User, code: str, *, tenant_id: int | None = None
) -> None:
    """Grant a person a permission without a role."""
    session.add(UserClaim(user_id=user.id, tenant_id=tenant_id, type="permission", value=code))
    session.commit()


def scope_names(session: Session, api: str) -> list[str]:
    """List the scopes of an API."""
    query = select(ApiScope.name).join(ApiResource).where(ApiResource.name == api)
    return list(session.scalars(query))


def start_session(
    session: Session, host: str, user: User, *, remember: bool = False, has_both: bool = False
) -> tuple[str, str]:
    """Sign a person in at a host past the sign-in page; return name and value of the cookie."""
    issuer = tenants.find_issuer(session, host)
    assert issuer is not None
    value = sessions.start(
        session,
        issuer,
        user.id,
        user.security_stamp,
        Authentication("mfa", ["pwd", "otp", "mfa"], mfa_at=clock.now())
        if has_both
        else Authentication("pwd", ["pwd"]),
        remember=remember,
    )
    session.commit()
    return sessions.cookie_name(issuer), value


def grant_of(user: User, **columns: Any) -> Grant:
    """Make the row of a live grant, without tokens."""
    now = clock.now()
    values = {
        "user_id": user.id,
        "issuer_tenant_id": 1,
        "sid": "sid",
        "security_stamp": user.security_stamp,
        "scopes": ["openid"],
        "resources": [],
        "auth_time": now,
        "acr": "pwd",
        "amr": ["pwd"],
        "expires_at": now + timedelta(days=365),
    }
    return Grant(**{**values, **columns})


def sign_in(browser: IssuerClient, session: Session, user: User, **level: Any) -> None:
    """Sign a person in with a browser, past the sign-in page."""
    address = urlsplit(browser.base_url)
    cookie = start_session(session, address.netloc, user, **level)
    browser.set_cookie(*cookie, domain=address.hostname)


def authorization_parameters(app: App, **parameters: Any) -> dict[str, Any]:
    """Return the parameters of a complete request; None leaves one out."""
    complete = {
        "client_id": app.client_id,
        "redirect_uri": CALLBACK,
        "response_type": "code",
        "scope": "openid",
        "state": "the-state",
        "nonce": "the-nonce",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        **parameters,
    }
    return {name: value for name, value in complete.items() if value is not None}


def authorize(browser: IssuerClient, app: App, **parameters: Any) -> TestResponse:
    """Send an authorization request."""
    return browser.get(
        "/connect/authorize", query_string=authorization_parameters(app, **parameters)
    )


def returned(response: TestResponse) -> dict[str, str]:
    """Read what an answer sends to the client's address."""
    assert response.status_code == 303, response.get_data(as_text=True)
    parts = urlsplit(response.location)
    fields = parse_qs(parts.query or parts.fragment, keep_blank_values=True)
    return {name: values[0] for name, values in fields.items()}


def code_of(response: TestResponse) -> str:
    """Read the code out of an answer."""
    fields = returned(response)
    assert "code" in fields, fields
    return fields["code"]


def redeem(browser: IssuerClient, app: App, code: str, /, **parameters: Any) -> TestResponse:
    """Redeem a code; None leaves a parameter out."""
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": CALLBACK,
        "code_verifier": VERIFIER,
        **app.post,
        **parameters,
    }
    return browser.post(
        "/connect/token", data={name: value for name, value in form.items() if value is not None}
    )


def refresh(browser: IssuerClient, app: App, token: str, /, **parameters: Any) -> TestResponse:
    """Use a refresh token."""
    form = {"grant_type": "refresh_token", "refresh_token": token, **app.post, **parameters}
    return browser.post("/connect/token", data=form)


def family_of(session: Session, token: str) -> RefreshFamily:
    """Return the row of the family that a refresh token is of."""
    read = refresh_rules.read(runtime.of(session).keyring, token)
    assert read is not None
    return session.get_one(RefreshFamily, read.family)


def machine_token(browser: IssuerClient, app: App, **parameters: Any) -> TestResponse:
    """Ask for a token of the client's own."""
    form = {"grant_type": "client_credentials", **app.post, **parameters}
    return browser.post("/connect/token", data=form)


@dataclass(frozen=True)
class Tokens:
    """What the token endpoint gave."""

    body: Mapping[str, Any] = field(repr=False)

    @property
    def access(self) -> str:
        """Access token."""
        return str(self.body["access_token"])

    @property
    def refresh(self) -> str:
        """Refresh token."""
        return str(self.body["refresh_token"])

    @property
    def claims(self) -> dict[str, Any]:
        """Claims of the access token, unverified."""
        return payload(self.access)

    @property
    def identity(self) -> dict[str, Any]:
        """Claims of the ID token, unverified."""
        return payload(str(self.body["id_token"]))


def obtain(browser: IssuerClient, app: App, scope: str = "openid", **parameters: Any) -> Tokens:
    """Go through the code flow with the person who is signed in."""
    answer = redeem(browser, app, code_of(authorize(browser, app, scope=scope, **parameters)))
    assert answer.status_code == 200, answer.get_data(as_text=True)
    return Tokens(answer.get_json())


def bearer(token: str) -> dict[str, str]:
    """Header that carries an access token."""
    return {"Authorization": f"Bearer {token}"}


def introspect(browser: IssuerClient, app: App, token: str) -> dict[str, Any]:
    """Ask what a token is worth, as the client it was issued to."""
    answer = browser.post("/connect/introspect", data={"token": token, **app.post})
    assert answer.status_code == 200, answer.get_data(as_text=True)
    content: dict[str, Any] = answer.get_json()
    return content


def is_active(browser: IssuerClient, app: App, token: str) -> bool:
    """Return whether a token is still good."""
    return bool(introspect(browser, app, token)["active"])


def header(token: str) -> dict[str, Any]:
    """Read the header of a JWT, unverified."""
    return _part(token, 0)


def payload(token: str) -> dict[str, Any]:
    """Read the claims of a JWT, unverified."""
    return _part(token, 1)


def _part(token: str, index: int) -> dict[str, Any]:
    text = token.split(".")[index]
    content: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return content
