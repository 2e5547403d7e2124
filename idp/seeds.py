"""The seeds of a new installation; repeated, it adds those of a newer release."""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from pydantic import SecretStr
from sqlalchemy import Select, select, text
from sqlalchemy.orm import Session

from idp.config import Settings
from idp.directory.actor import OPERATOR
from idp.directory.applications import service as applications
from idp.directory.branding.rules import BrandingSpec
from idp.directory.clients import rules
from idp.directory.clients import service as clients
from idp.directory.clients.models import Client, ClientScope
from idp.directory.clients.service import NewClient
from idp.directory.product import DOCS_CLIENT_ID, DOCS_REDIRECT_PATH, MANAGEMENT_API
from idp.directory.resources import service as resources
from idp.directory.resources.models import ApiResource, ApiScope
from idp.directory.resources.service import NewApi, NewScope
from idp.directory.roles import catalogue
from idp.directory.roles.models import Privilege, PrivilegeGroup, Role
from idp.directory.scopes import DEFAULT_PERMISSIONS, Scope
from idp.directory.seeding import service as seeding
from idp.directory.tenants import service as tenants
from idp.directory.tenants import strangers
from idp.directory.tenants.models import Tenant
from idp.directory.tenants.strangers import StrangerSpec
from idp.directory.users import service as users
from idp.directory.users.service import NewUser
from idp.imports import reader
from idp.imports import service as imports
from idp.platform import runtime
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.issuer import PLATFORM_TENANT_ID
from idp.platform.permission_codes import ALL_SUFFIX
from idp.platform.secrets import b64url, random_token
from idp.platform.signing import service as signing
from idp.platform.translation import N_
from idp.publishing import branding

Row = TypeVar("Row", ApiResource, Client, Role)

ADMINISTRATORS = "administrators"
DEMO_USER = "demo"
DEMO_SCOPES = ("demo.read", "demo.write")

DEMO_BRANDING = BrandingSpec(
    accent="#0f6b5c",
    help_uri="https://example.com/help",
    privacy_uri="https://example.com/privacy",
    imprint_uri="https://example.com/imprint",
    texts={
        "en": {"sign_in": "This is a demo installation. Do not use a real password."},
        "zh": {"sign_in": "这是演示环境。请勿使用真实密码。"},
    },
)

DEMO_STRANGERS = StrangerSpec(clients_by_document="any", clients_by_registration="any")

PLATFORM_ROLES: dict[str, tuple[str, frozenset[Scope]]] = {
    ADMINISTRATORS: ("Administrators", frozenset({Scope.ALL})),
    "users": ("Users", DEFAULT_PERMISSIONS),
    "developer": ("Developers", DEFAULT_PERMISSIONS),
    "partners": ("Partners", frozenset()),
}

# OpenID Connect Core 5.4
IDENTITY_RESOURCES = (
    NewScope(
        "openid", N_("Sign you in"), N_("Your account ID"), required=True, user_claims=("sub",)
    ),
    NewScope(
        "profile",
        N_("Your profile"),
        N_("Name, picture, language and similar"),
        user_claims=(
            "name",
            "family_name",
            "given_name",
            "middle_name",
            "nickname",
            "preferred_username",
            "profile",
            "picture",
            "website",
            "gender",
            "birthdate",
            "zoneinfo",
            "locale",
            "updated_at",
        ),
    ),
    NewScope("email", N_("Your e-mail address"), user_claims=("email", "email_verified")),
    NewScope(
        "phone",
        N_("Your phone number"),
        emphasize=True,
        user_claims=("phone_number", "phone_number_verified"),
    ),
    NewScope("address", N_("Your postal address"), emphasize=True, user_claims=("address",)),
)


@dataclass(frozen=True, slots=True)
class DemoClient:
    """A demo client; the secret is known unless it was changed since."""

    client_id: str
    secret: str | None


@dataclass(slots=True)
class Seeded:
    """What `seed` has added, and what is shown to the operator."""

    added: list[str] = field(default_factory=list)
    admin_username: str | None = None
    """Set when the administrator was added."""
    admin_password: str | None = None
    """Set when it was generated; it is shown only once."""
    demo_password: str | None = None
    demo_clients: list[DemoClient] = field(default_factory=list)


def seed(session: Session, settings: Settings) -> Seeded:
    """Add what is missing; several nodes may do so at once. The caller commits."""
    seeding.lock(session)
    seeder = _Seeder(session, settings)
    seeder.tenant()
    seeder.identity_resources()
    seeder.management_api()
    seeder.privileges()
    seeder.roles()
    seeder.administrator()
    seeder.api_docs()
    if settings.demo:
        seeder.demo()
    seeder.link_owners()
    signing.import_pem(session, settings.keys_dir)
    signing.ensure(session)
    if seeder.seeded.added:
        audit.record(session, Tag.SETUP_DONE, details={"count": len(seeder.seeded.added)})
    session.flush()
    return seeder.seeded


class _Seeder:
    """One run: what was seeded before, and what is new."""

    def __init__(self, session: Session, settings: Settings) -> None:
        self.session = session
        self.settings = settings
        self.seeded = Seeded()
        self._recorded = seeding.recorded(session)

    def tenant(self) -> None:
        if self._is_new("tenant") and self.session.get(Tenant, PLATFORM_TENANT_ID) is None:
            row = Tenant(id=PLATFORM_TENANT_ID, name="idp", issuer_tenant_id=PLATFORM_TENANT_ID)
            self.session.add(row)
            self.session.flush()
            _restart_tenant_ids(self.session)
            self._mark("tenant", row.id)

    def identity_resources(self) -> None:
        for new in IDENTITY_RESOURCES:
            if self._is_new(f"identity-resource:{new.name}"):
                row = resources.create_identity(self.session, new)
                self._mark(f"identity-resource:{new.name}", row.id)

    def management_api(self) -> None:
        if self._is_new("api"):
            new = NewApi(MANAGEMENT_API, "Management", user_claims=("permission", "role"))
            self._mark("api", resources.create_api(self.session, new).id)
        api = self._get(ApiResource, "api")
        if api is None:
            return  # deleted since, so its scopes cannot be added
        have = set(self.session.scalars(select(ApiScope.name)))
        for scope in Scope:
            if self._is_new(f"scope:{scope}") and scope not in have:
                row = ApiScope(
                    api_resource_id=api.id,
                    name=scope.value,
                    display_name=scope.text,
                    emphasize=scope.endswith(ALL_SUFFIX),
                )
                self.session.add(row)
                self.session.flush()
                self._mark(f"scope:{scope}", row.id)

    def privileges(self) -> None:
        api = self._get(ApiResource, "api")
        if api is None:
            return
        groups = dict(self.session.execute(select(PrivilegeGroup.code, PrivilegeGroup.id)).all())
        for sort, scope in enumerate(sorted(Scope, key=lambda scope: scope.module)):
            group_id = self._group(scope.module, groups)
            if self._is_new(f"privilege:{scope}"):
                row = Privilege(
                    code=scope.value,
                    name=scope.text,
                    group_id=group_id,
                    api_resource_id=api.id,
                    sort=sort,
                )
                self.session.add(row)
                self.session.flush()
                self._mark(f"privilege:{scope}", row.id)

    def roles(self) -> None:
        for code, (name, privileges) in PLATFORM_ROLES.items():
            if self._is_new(f"role:{code}"):
                row = catalogue.create_role(self.session, code, name)
                self._mark(f"role:{code}", row.id)
            role = catalogue.find_role(self.session, code, None)
            for scope in sorted(privileges):
                privilege = catalogue.find_privilege(self.session, scope)
                mark = f"role-privilege:{code}:{scope}"
                if role is not None and privilege is not None and self._is_new(mark):
                    catalogue.add_privilege(self.session, role, privilege)
                    self._mark(mark)

    def administrator(self) -> None:
        if not self._is_new("administrator"):
            return
        name = self.settings.admin_username
        given = self.settings.admin_password.get_secret_value()
        password = given or random_token(15)
        user = users.create(
            self.session,
            NewUser(
                username=name,
                email=name if "@" in name else None,
                email_verified="@" in name,
                password=password,
                chosen_by_person=False,
            ),
        )
        role = self._get(Role, f"role:{ADMINISTRATORS}")
        if role is not None:
            catalogue.assign(self.session, user.id, role)
        tenants.add_member(self.session, PLATFORM_TENANT_ID, user.id, is_admin=True)
        self._mark("administrator", user.id)
        self.seeded.admin_username = user.username
        self.seeded.admin_password = None if given else password

    def api_docs(self) -> None:
        """Add the client of /docs, and keep its address and scopes up to date."""
        mark, address = (
            f"client:{DOCS_CLIENT_ID}",
            self.settings.public_url + DOCS_REDIRECT_PATH,
        )
        if self._is_new(mark) and clients.find(self.session, DOCS_CLIENT_ID) is None:
            new = NewClient(
                client_id=DOCS_CLIENT_ID,
                client_name="API documentation",
                is_public=True,
                grant_types=("authorization_code",),
                redirect_uris=(address,),
                scopes=self.session.scalars(_management_scopes()).all(),
            )
            client, _ = clients.create(self.session, new)
            self._mark(mark, client.id)
            self._mark(f"docs-address:{address}")
        found = self._get(Client, mark)
        if found is None:
            return
        if self._is_new(f"docs-address:{address}"):
            known = [row.redirect_uri for row in found.redirect_uris]
            clients.set_redirect_uris(self.session, found, {*known, address})
            self._mark(f"docs-address:{address}")
        added = self.seeded.added
        new_scopes = {name.partition(":")[2] for name in added if name.startswith("scope:")}
        for scope in sorted(new_scopes - {row.scope for row in found.scopes}):
            found.scopes.append(ClientScope(scope=scope))

    def demo(self) -> None:
        self._demo_user()
        if self._is_new("demo-api") and resources.find_api(self.session, "demo-api") is None:
            read = NewScope("demo.read", "Read demo data")
            write = NewScope("demo.write", "Change demo data", emphasize=True)
            new = NewApi(
                "demo-api", "Demo API", scopes=(read, write), user_claims=("permission", "role")
            )
            self._mark("demo-api", resources.create_api(self.session, new).id)
        for new_client, given in _demo_clients(self.settings):
            self._demo_client(new_client, given)
        self._demo_application()
        self._demo_branding()
        self._demo_strangers()

    def link_owners(self) -> None:
        """Link what was seeded to the administrator."""
        administrator = self._recorded.get("administrator")
        if administrator is None or users.find(self.session, administrator) is None:
            return
        for name in ("api", "demo-api"):
            api = self._get(ApiResource, name)
            if api is not None and self._is_new(f"owner:{name}"):
                resources.link_owner(self.session, api, administrator)
                self._mark(f"owner:{name}")
        demo = [new.client_id for new, _ in _demo_clients(self.settings)]
        for name in (DOCS_CLIENT_ID, *demo):
            client = self._get(Client, f"client:{name}")
            if client is not None and self._is_new(f"owner:client:{name}"):
                clients.link_owner(self.session, client, administrator)
                self._mark(f"owner:client:{name}")

    def _get(self, model: type[Row], name: str) -> Row | None:
        """Return the row that was seeded under a name, unless it was deleted since."""
        row_id = self._recorded.get(name)
        return self.session.get(model, row_id) if row_id is not None else None

    def _group(self, code: str, groups: dict[str, int]) -> int | None:
        """Return the id of the group of a module, adding it and those above it."""
        mark = f"privilege-group:{code}"
        if code not in groups and self._is_new(mark):
            above = code.rpartition(".")[0]
            parent_id = self._group(above, groups) if above.count(".") else None
            name = Scope(f"{code}.all").text
            row = catalogue.create_group(self.session, code, name, parent_id=parent_id)
            groups[code] = row.id
            self._mark(mark, row.id)
        return groups.get(code)

    def _demo_user(self) -> None:
        given = self.settings.demo_password.get_secret_value()
        generated = [candidate[:16] for candidate in self._candidates(DEMO_USER)]
        if self._is_new("demo-user"):
            if users.find_by_username(self.session, DEMO_USER) is not None:
                return
            user = users.create(
                self.session,
                NewUser(
                    username=DEMO_USER,
                    email="demo@example.com",
                    email_verified=True,
                    nick_name="Demo",
                    password=given or generated[0],
                    chosen_by_person=False,
                ),
            )
            tenants.add_member(self.session, PLATFORM_TENANT_ID, user.id)
            role = catalogue.find_role(self.session, "users", None)
            if role is not None:
                catalogue.assign(self.session, user.id, role)
            self._mark("demo-user", user.id)
        user_id = self._recorded.get("demo-user")
        found = users.find(self.session, user_id) if user_id is not None else None
        for password in (given, *generated):
            if password and users.verify_password(self.session, found, password):
                self.seeded.demo_password = password
                break

    def _demo_client(self, new: NewClient, given: SecretStr | None) -> None:
        mark = f"client:{new.client_id}"
        secret = None
        if given is not None:
            secret = given.get_secret_value() or self._generate(new.client_id)
        client = clients.find(self.session, new.client_id)
        if self._is_new(mark) and client is None:
            scopes = self._existing(new.scopes)
            client, _ = clients.create(self.session, replace(new, secret=secret, scopes=scopes))
            self._mark(mark, client.id)
        if client is None or mark not in self._recorded:
            return
        keyring = runtime.of(self.session).keyring
        known = next(
            (
                candidate
                for candidate in (secret, *self._candidates(new.client_id))
                for row in client.secrets
                if candidate and keyring.mac_matches(rules.PURPOSE, candidate, row.value_hash)
            ),
            None,
        )
        self.seeded.demo_clients.append(DemoClient(new.client_id, known))

    def _demo_application(self) -> None:
        """Add the application of the demo client, unless the client or its API was deleted."""
        stands = (
            resources.find_api(self.session, "demo-api"),
            clients.find(self.session, "demo-web"),
        )
        if self._is_new("demo-app") and None not in stands:
            if applications.find(self.session, "demo-app") is None:
                imports.import_document(self.session, reader.read(imports.DEMO))
            self._mark("demo-app")

    def _demo_branding(self) -> None:
        """Show what branding does, unless somebody has set one already."""
        if self._is_new("demo-branding"):
            if branding.get(self.session, OPERATOR, PLATFORM_TENANT_ID).id is None:
                branding.replace(self.session, OPERATOR, PLATFORM_TENANT_ID, DEMO_BRANDING)
            self._mark("demo-branding")

    def _demo_strangers(self) -> None:
        """Admit applications that nobody registered, where only this computer reaches us."""
        is_local = self.settings.environment == "development" and self.settings.on_loopback
        if is_local and self._is_new("demo-strangers"):
            if strangers.get(self.session, OPERATOR, PLATFORM_TENANT_ID).id is None:
                strangers.replace(self.session, OPERATOR, PLATFORM_TENANT_ID, DEMO_STRANGERS)
            self._mark("demo-strangers")

    def _existing(self, scopes: Sequence[str]) -> tuple[str, ...]:
        """Return the demo scopes without those whose API was deleted."""
        api = resources.find_api(self.session, "demo-api")
        have = {scope.name for scope in api.scopes} if api is not None else set()
        return tuple(name for name in scopes if name in have or name not in DEMO_SCOPES)

    def _generate(self, name: str) -> str:
        return self._candidates(name)[0]

    def _candidates(self, name: str) -> list[str]:
        """Derive a demo secret from each root secret: random, the same at every setup."""
        keyring = runtime.of(self.session).keyring
        return [
            b64url(hmac.digest(keyring.key("demo", root), name.encode(), "sha256"))
            for root in keyring.roots()
        ]

    def _is_new(self, name: str) -> bool:
        return name not in self._recorded

    def _mark(self, name: str, row_id: int | None = None) -> None:
        seeding.mark(self.session, name, row_id)
        self._recorded[name] = row_id
        self.seeded.added.append(name)


def _demo_clients(settings: Settings) -> Iterator[tuple[NewClient, SecretStr | None]]:
    """Yield the demo clients, each with the configured secret (None: it has no secret)."""
    ports = (3000, 5000, 8080)
    bases = [f"http://127.0.0.1:{port}" for port in ports]
    if settings.environment == "development":
        bases += [f"http://localhost:{port}" for port in (*ports, 5173)]
    callbacks = [f"{base}/callback" for base in bases]
    homes = [*bases, *(f"{base}/" for base in bases)]
    people = ("openid", "profile", "email", "phone", "address", "offline_access")
    yield (
        NewClient(
            client_id="demo-web",
            client_name="Demo web application",
            grant_types=("authorization_code", "refresh_token"),
            scopes=(*people, *DEMO_SCOPES),
            redirect_uris=callbacks,
            post_logout_redirect_uris=homes,
        ),
        settings.demo_web_secret,
    )
    yield (
        NewClient(
            client_id="demo-spa",
            client_name="Demo single-page application",
            is_public=True,
            grant_types=("authorization_code", "refresh_token"),
            scopes=(*people, *DEMO_SCOPES),
            redirect_uris=callbacks,
            post_logout_redirect_uris=homes,
            cors_origins=bases,
        ),
        None,
    )
    yield (
        NewClient(
            client_id="demo-service",
            client_name="Demo service",
            grant_types=("client_credentials",),
            scopes=DEMO_SCOPES,
        ),
        settings.demo_service_secret,
    )


def _management_scopes() -> Select[str]:
    """Select the names of the scopes of the management API."""
    query = select(ApiScope.name).join(ApiResource)
    return query.where(ApiResource.name == MANAGEMENT_API).order_by(ApiScope.name)


def _restart_tenant_ids(session: Session) -> None:
    """Make ids of PostgreSQL start after the one that was set here."""
    if session.connection().dialect.name == "postgresql":
        session.execute(
            text("SELECT setval(pg_get_serial_sequence('tenant', 'id'), max(id)) FROM tenant")
        )
