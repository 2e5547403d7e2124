"""Accounts: create, look up, search, bind to tenants, authenticate and log in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from marshmallow import fields, post_load, validate

from idp.api.actor import current_actor, in_body, platform
from idp.api.answers import current_language
from idp.api.userservice import paging
from idp.api.userservice.applications import ResourceShape
from idp.api.userservice.dialect import userservice
from idp.api.userservice.privileges import AuthorizationShape
from idp.api.userservice.shapes import LONGEST_PASSWORD, Words
from idp.api.userservice.tenants import TenantShape
from idp.directory import levels
from idp.directory.authentication import logins
from idp.directory.authentication import service as authentication
from idp.directory.authentication.logins import Login
from idp.directory.authentication.service import Attempt, Kind, SignInPolicy
from idp.directory.clients import snapshot as clients
from idp.directory.factors import service as factors
from idp.directory.policies import sign_in as policies
from idp.directory.policies.rules import Breached
from idp.directory.registration import limits
from idp.directory.registration.codes import MessageContext
from idp.directory.scopes import Scope
from idp.directory.tenants import service as tenants
from idp.directory.tenants.models import Tenant
from idp.directory.users import accounts, names, password_age
from idp.directory.users.accounts import Account, Filters, NewAccount
from idp.directory.users.models import User
from idp.oauth.sign_out import revoke_member_grants
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.errors import BadRequest
from idp.platform.web.principal import current_principal
from idp.platform.web.views import current_issuer, current_runtime, database
from idp.platform.wire.shapes import Shape, int64, optional_id, text

MODULE = "accounts-tenants-bundles"
LONGEST_NAME = 256

SORTED_BY = {"id": User.id, "username": User.username_key, "mobile": User.mobile}


class AccountShape(Shape):
    """An account; `password` and `salt` are always empty."""

    schema_name = "AccountDTO"

    id = int64()
    username = text()
    mobile = Words(32)
    # No account in an answer has this attribute, so the default is written.
    password = text(dump_default="", checks=[validate.Length(equal=0)])
    salt = text(dump_default="", checks=[validate.Length(equal=0)])


class NewAccountShape(Shape):
    """An account to create."""

    schema_name = "CreateAccountRequestDTO"

    username = text(LONGEST_NAME, minimum=1, required=True)
    password = text(LONGEST_PASSWORD, minimum=1, required=True, load_only=True)
    mobile = Words(32)

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> NewAccount:
        """Return what the service takes."""
        return NewAccount(**data)


class NewPasswordShape(Shape):
    """A password to set, for the account with the id, the name, or both."""

    schema_name = "ChangeAccountPwdDTO"

    account_id = optional_id()
    user_name = Words(LONGEST_NAME)
    password = text(LONGEST_PASSWORD, minimum=1, required=True, load_only=True)


class AccountQueryShape(Shape):
    """Search conditions for accounts; empty: no filter."""

    schema_name = "AccountQueryDTO"

    username = Words(LONGEST_NAME)
    mobile = Words(32)
    tenant_id = optional_id()

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Filters:
        """Return what the service takes."""
        return Filters(**data)


@dataclass(frozen=True, slots=True)
class Credential:
    """A credential as it was sent, of a type that may be unknown."""

    authentication_type: str
    principal: str
    certificate: str = field(repr=False)
    sms_key: str | None = field(default=None, repr=False)


class CredentialShape(Shape):
    """A claimed identity, and its proof."""

    schema_name = "AuthenticationInfo"

    authentication_type = text(50, minimum=1, required=True)
    principal = text(LONGEST_NAME, minimum=1, required=True)
    certificate = text(LONGEST_PASSWORD, minimum=1, required=True, load_only=True)
    sms_key = Words(200)

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Credential:
        """Return the credential."""
        return Credential(**data)


class LoginShape(CredentialShape):
    """The identity of a login, and its proof."""

    schema_name = "LoginRequestDTO"


class LoginInfoShape(Shape):
    """The user who logged in, and their rights by tenant; the keys of both maps are tenant ids."""

    schema_name = "LoginInfoDTO"

    id = int64(attribute="account.id")
    username = text(attribute="account.username")
    mobile = Words(32, attribute="account.mobile")
    tenants = fields.List(fields.Nested(TenantShape))
    tenant_authorization_info_map = fields.Dict(
        keys=fields.String(), values=fields.Nested(AuthorizationShape)
    )
    resources = fields.Dict(keys=fields.String(), values=fields.List(fields.Nested(ResourceShape)))


class PhoneQuery(Shape):
    """The number to which a code is sent."""

    phone = text(32, minimum=1, required=True)


@userservice.operation(
    "getAccountByUsername",
    "GET",
    "/account-information/name/<username>",
    scope=Scope.US_ACCOUNT_INFOBYNAME,
    module=MODULE,
    machine=True,
    tenant=platform,
    result=AccountShape(),
)
def by_username(username: str) -> Account:
    """Get an account by user name."""
    user = accounts.find_by_username(database(), username)
    database().commit()
    return accounts.show(database(), accounts.found(user))


@userservice.operation(
    "getAccountByMobile",
    "GET",
    "/accounts-information/mobile/<mobile>",
    scope=Scope.US_ACCOUNT_INFOBYMOBILE,
    module=MODULE,
    machine=True,
    tenant=platform,
    result=AccountShape(),
)
def by_mobile(mobile: str) -> Account:
    """Get an account by mobile number."""
    user = accounts.find_by_mobile(database(), mobile)
    database().commit()
    return accounts.show(database(), accounts.found(user))


@userservice.operation(
    "createAccount",
    "POST",
    "/accounts",
    scope=Scope.US_ACCOUNT_CREATE,
    module=MODULE,
    machine=True,
    tenant=platform,
    body=NewAccountShape(),
    result=AccountShape(),
    errors=("username_taken", "mobile_taken", "weak_password"),
)
def create(body: NewAccount) -> Account:
    """Create an account that belongs to no tenant yet."""
    user = accounts.create(database(), body)
    database().commit()
    return accounts.show(database(), user)


@userservice.operation(
    "createAccountInTenant",
    "POST",
    "/accounts/tenants/<int:tenantId>",
    scope=Scope.US_ACCOUNT_CREATEINTENANT,
    module=MODULE,
    machine=True,
    tenant="tenantId",
    body=NewAccountShape(),
    result=fields.Boolean(),
    errors=("username_taken", "mobile_taken", "weak_password"),
)
def create_in_tenant(tenantId: int, body: NewAccount) -> bool:
    """Create an account that belongs to a tenant."""
    accounts.create(database(), body, tenant_id=tenantId)
    database().commit()
    return True


@userservice.operation(
    "pageAccounts",
    "POST",
    "/accounts/page",
    scope=Scope.US_ACCOUNT_PAGE,
    module=MODULE,
    machine=True,
    tenant=in_body("tenantId"),
    body=AccountQueryShape(),
    body_required=False,
    query=paging.SortedPageQuery(),
    result=AccountShape(),
    form="page",
)
def page(query: dict[str, Any], body: Filters) -> paging.Page:
    """Search accounts, paged.

    Name and number match in part; `sortBy` is `id`, `username` or `mobile`. Searching without a
    tenant needs the permission at the platform.
    """
    session = database()
    return paging.fetch(
        session,
        accounts.list_query(session, body),
        query,
        SORTED_BY,
        key=User.id,
        load=lambda rows: accounts.show_all(session, rows),
    )


@userservice.operation(
    "resetAccountPassword",
    "POST",
    "/accounts/password",
    scope=Scope.US_ACCOUNT_RESETPASSWORD,
    module=MODULE,
    machine=True,
    tenant=platform,
    body=NewPasswordShape(),
    result=fields.Boolean(),
    errors=("different_accounts", "weak_password"),
)
def reset_password(body: dict[str, Any]) -> bool:
    """Reset the password of an account; its sessions and tokens end."""
    accounts.reset_password(
        database(),
        current_actor(),
        user_id=body["account_id"],
        username=body["user_name"],
        password=body["password"],
    )
    database().commit()
    return True


@userservice.operation(
    "listAccountTenants",
    "GET",
    "/accounts/tenant-list/<username>",
    scope=Scope.US_ACCOUNT_TENANTS,
    module=MODULE,
    machine=True,
    tenant=platform,
    result=TenantShape(),
    form="list",
)
def list_tenants(username: str) -> Sequence[Tenant]:
    """List the tenants that an account belongs to."""
    found = accounts.all_tenants(database(), username)
    database().commit()
    return found


@userservice.operation(
    "authenticateAccount",
    "POST",
    "/authentication",
    scope=Scope.US_ACCOUNT_AUTHENTICATE,
    module=MODULE,
    machine=True,
    person=False,
    body=CredentialShape(),
    result=AccountShape(),
    errors=(
        "bad_credential",
        "second_factor_required",
        "password_change_required",
        "unknown_authentication_type",
    ),
)
def authenticate(body: Credential) -> Account:
    """Authenticate a user; types are `PASSWORD`, `SMS` and `QRCODE`."""
    return accounts.show(database(), proven(body))


@userservice.operation(
    "login",
    "POST",
    "/login",
    scope=Scope.US_ACCOUNT_LOGIN,
    module=MODULE,
    machine=True,
    person=False,
    body=LoginShape(),
    result=LoginInfoShape(),
    errors=(
        "bad_credential",
        "second_factor_required",
        "password_change_required",
        "unknown_authentication_type",
    ),
)
def log_in(body: Credential) -> dict[str, Any]:
    """Log a user in; types are `PASSWORD`, `SMS` and `QRCODE`."""
    user = proven(body)
    return as_login_info(logins.describe(database(), user, current_actor().tenant_in_reach))


@userservice.operation(
    "sendSmsCode",
    "GET",
    "/getMessage",
    scope=Scope.US_ACCOUNT_SENDSMS,
    module=MODULE,
    machine=True,
    person=False,
    query=PhoneQuery(),
    result=fields.String(),
    head=False,
)
def send_code(query: dict[str, Any]) -> str:
    """Send a code for `SMS` and return the `smsKey` that belongs to it.

    A number without an account gets the same answer, and no message.
    """
    if names.find_mobile(query["phone"], current_runtime().settings.phone_region) is None:
        raise BadRequest.at("phone", "Not a valid mobile number.")
    message = MessageContext.of(current_issuer(), current_language())
    sender = limits.sender_of(database(), current_actor(), limits.CODES_TO_SIGN_IN)
    key = authentication.send_code(database(), query["phone"], sender, message, sign_in_policy())
    database().commit()
    return key


@userservice.operation(
    "bindAccountToTenant",
    "POST",
    "/bind/accounts/<username>/tenants/<int:tenantId>",
    scope=Scope.US_ACCOUNT_BINDTENANT,
    module=MODULE,
    machine=True,
    tenant="tenantId",
    result=fields.Boolean(),
)
def bind(username: str, tenantId: int) -> bool:
    """Add an existing account to a tenant; repeating it is not an error."""
    session, everybody = database(), current_actor().tenant_in_reach is None
    user = accounts.find_to_bind(session, username, tenantId, everybody=everybody)
    session.commit()
    tenants.add_member(session, tenantId, accounts.found(user).id, is_bound=True)
    session.commit()
    return True


@userservice.operation(
    "unbindAccountFromTenant",
    "DELETE",
    "/unbind/accounts/<username>/tenants/<int:tenantId>",
    scope=Scope.US_ACCOUNT_UNBINDTENANT,
    module=MODULE,
    machine=True,
    tenant="tenantId",
    result=fields.Boolean(),
    errors=("administrator_stays",),
)
def unbind(username: str, tenantId: int) -> bool:
    """Remove an account from a tenant; its administrator cannot be removed.

    Its roles and tokens there are removed too; the account itself stays. Removing an account that
    is not a member is not an error.
    """
    left = accounts.unbind(database(), username, tenantId)
    if left is not None:
        revoke_member_grants(database(), left, tenantId)
    database().commit()
    return True


@userservice.operation(
    "existsAccountByMobile",
    "GET",
    "/exist/accounts/mobile/<mobile>",
    scope=Scope.US_ACCOUNT_EXISTMOBILE,
    module=MODULE,
    machine=True,
    person=False,
    tenant=platform,
    result=fields.Boolean(),
)
def exists_by_mobile(mobile: str) -> bool:
    """Check whether an account with a mobile number exists."""
    found = accounts.find_by_mobile(database(), mobile)
    database().commit()
    return found is not None


@userservice.operation(
    "existsAccountByUsername",
    "GET",
    "/exist/accounts/name/<username>",
    scope=Scope.US_ACCOUNT_EXISTNAME,
    module=MODULE,
    machine=True,
    person=False,
    tenant=platform,
    result=fields.Boolean(),
)
def exists_by_username(username: str) -> bool:
    """Check whether an account with a user name exists."""
    found = accounts.find_by_username(database(), username)
    database().commit()
    return found is not None


@userservice.operation(
    "existsTenantAccountByMobile",
    "GET",
    "/exist/accounts/tenants/<int:tenantId>/mobiles/<mobile>",
    scope=Scope.US_ACCOUNT_EXISTTENANTMOBILE,
    module=MODULE,
    machine=True,
    tenant="tenantId",
    result=fields.Boolean(),
)
def exists_in_tenant_by_mobile(tenantId: int, mobile: str) -> bool:
    """Check by mobile number whether an account is in a tenant."""
    found = accounts.find_by_mobile(database(), mobile, tenantId)
    database().commit()
    return found is not None


@userservice.operation(
    "existsTenantAccountByUsername",
    "GET",
    "/exist/accounts/<username>/tenants/<int:tenantId>",
    scope=Scope.US_ACCOUNT_EXISTTENANTNAME,
    module=MODULE,
    machine=True,
    tenant="tenantId",
    result=fields.Boolean(),
)
def exists_in_tenant_by_username(username: str, tenantId: int) -> bool:
    """Check by user name whether an account is in a tenant."""
    found = accounts.find_by_username(database(), username, tenantId)
    database().commit()
    return found is not None


def proven(credential: Credential) -> User:
    """Return the user whom a credential proves; the outcome is committed in any case."""
    if credential.authentication_type not in list(Kind):
        raise BadRequest.at(
            "authentication_type",
            f"Must be one of: {', '.join(Kind)}.",
            code="unknown_authentication_type",
        )
    kind = Kind(credential.authentication_type)
    attempt = Attempt(kind, credential.principal, credential.certificate, credential.sms_key)
    policy = sign_in_policy()
    user = authentication.authenticate(database(), attempt, policy)
    exempted: dict[str, Any] = {}
    if user is not None and _needs_second_factor(user):
        if not _is_exempt():
            message = "This account signs in with a second factor, at the sign-in page only."
            _refuse(user, policy, "second factor required", message, "second_factor_required")
        exempted = {"second_factor": "exempt client"}
    if user is not None and kind is Kind.PASSWORD and _needs_password(user, attempt.certificate):
        message = "This account must choose a new password, at the sign-in page."
        _refuse(user, policy, "new password required", message, "password_change_required")
    if user is not None:
        audit.record(
            database(),
            Tag.ACCOUNT_AUTHENTICATED,
            tenant_id=policy.tenant_id,
            target=f"user:{user.id}",
            details={"type": kind.value, **exempted},
        )
    database().commit()
    if user is None:
        raise BadRequest("Incorrect account or credential.", code="bad_credential")
    return user


def _needs_second_factor(user: User) -> bool:
    """Return whether a person signs in with a second factor; exemptions are for the page alone."""
    client_id = current_principal().client_id
    asked = policies.asked_of(database(), current_issuer(), user.id, client_id)
    return asked.waived != levels.PWD or factors.is_required(database(), user.id, asked)


def _needs_password(user: User, password: str) -> bool:
    """Return whether a person must choose a new password, at the sign-in page."""
    if password_age.due(database(), user) is not None:
        return True
    return password_age.after_use(database(), user, password) == Breached.FORCE


def _is_exempt() -> bool:
    """Return whether a platform administrator exempted the calling client from second factors."""
    client = clients.find(database(), current_principal().client_id)
    return client is not None and client.second_factor_exempt


def _refuse(user: User, policy: SignInPolicy, reason: str, message: str, code: str) -> NoReturn:
    """Refuse a login by a program, which cannot ask a person for what is due."""
    audit.record(
        database(),
        Tag.SIGN_IN_REFUSED,
        tenant_id=policy.tenant_id,
        target=f"user:{user.id}",
        details={"reason": reason},
    )
    database().commit()
    raise BadRequest(message, code=code)


def sign_in_policy() -> SignInPolicy:
    """Return who may log in by this client: members of its tenant; all users for the platform's."""
    tenant_id = current_actor().tenant_in_reach

    def admits(user: User) -> bool:
        return tenant_id is None or tenants.find_member(database(), tenant_id, user.id) is not None

    return SignInPolicy(admits, current_issuer().tenant_id, tenant_id)


def as_login_info(login: Login) -> dict[str, Any]:
    """Return a login as its shape reads it."""
    return {
        "account": login.account,
        "tenants": login.tenants,
        "tenant_authorization_info_map": {
            tenant_id: {"role_privilege_map": roles} for tenant_id, roles in login.roles.items()
        },
        "resources": login.resources,
    }
