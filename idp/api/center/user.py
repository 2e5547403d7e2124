"""Users: their accounts, and registration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from marshmallow import ValidationError, fields, post_load, validate, validates_schema

from idp.account import second_factors
from idp.api.actor import current_actor
from idp.api.answers import current_language
from idp.api.center.codes import USER_CODES, Code, CodeShape, listed
from idp.api.center.dialect import (
    Page,
    Refusal,
    center,
    written,
)
from idp.api.center.paging import Paging, fetch, within_days
from idp.claims import registry
from idp.directory.factors import service as factors
from idp.directory.registration import codes as verification
from idp.directory.registration import limits
from idp.directory.registration import service as registration
from idp.directory.registration.codes import Channel, MessageContext, Wait
from idp.directory.registration.service import Refused, Registration
from idp.directory.scopes import Scope
from idp.directory.users import management as people
from idp.directory.users.lists import ClaimRow, FileRow, PropertyRow, TenantRow
from idp.directory.users.management import Filters, UserSpec, UserView
from idp.directory.users.models import User
from idp.platform.errors import NotFound
from idp.platform.integers import INT32_MAX
from idp.platform.web.principal import current_principal
from idp.platform.web.views import current_issuer, database
from idp.platform.wire.shapes import (
    Day,
    KeptList,
    Moment,
    Shape,
    Stamp,
    boolean,
    decimal,
    int32,
    int64,
    text,
)

MOST_ROWS = 500
MOST_ROLES = 20
LONGEST_VALUE = 4000


class RoleLinkShape(Shape):
    """A role of the user."""

    user_id = int64(dump_only=True)
    role_id = int64(required=True)

    @post_load
    def to_id(self, data: dict[str, Any], **_: Any) -> int:
        """Return the role as the service takes it."""
        return int(data["role_id"])


class ClaimShape(Shape):
    """A claim; type `permission` grants the permission with that code."""

    id = int32(minimum=0, load_default=0)
    user_id = int64(dump_only=True)
    type = text(200, data_key="claimType", required=True, minimum=1)
    value = text(LONGEST_VALUE, data_key="claimValue", required=True)

    @post_load
    def to_row(self, data: dict[str, Any], **_: Any) -> ClaimRow:
        """Return the claim as the service takes it."""
        return ClaimRow(**data)


class TenantLinkShape(Shape):
    """A membership."""

    id = int64(minimum=0, load_default=0)
    user_id = int64(dump_only=True)
    tenant_id = int64(required=True)

    @post_load
    def to_row(self, data: dict[str, Any], **_: Any) -> TenantRow:
        """Return the membership as the service takes it."""
        return TenantRow(**data)


class FileShape(Shape):
    """Files: 0 images (one address, or a JSON array of them as text), 1 video, 2 document."""

    id = int64(minimum=0, load_default=0)
    user_id = int64(dump_only=True)
    file_type = int32(minimum=0, maximum=2, load_default=0)
    files = text(LONGEST_VALUE, required=True, minimum=1)

    @post_load
    def to_row(self, data: dict[str, Any], **_: Any) -> FileRow:
        """Return the files as the service takes them."""
        return FileRow(**data)


class PropertyShape(Shape):
    """A note on the user; it is in no token."""

    id = int64(minimum=0, load_default=0)
    user_id = int64(dump_only=True)
    key = text(200, required=True, minimum=1)
    value = text(LONGEST_VALUE, required=True)

    @post_load
    def to_row(self, data: dict[str, Any], **_: Any) -> PropertyRow:
        """Return the property as the service takes it."""
        return PropertyRow(**data)


class NeverAny(fields.List[Any]):
    """A list that is not stored: it reads as empty, and rows are refused."""

    null_described = "never"

    def __init__(self) -> None:
        super().__init__(
            fields.Dict(),
            allow_none=True,
            load_default=None,
            dump_default=[],
            validate=validate.Length(max=0, error="Not supported: must be empty."),
        )


def never_true() -> fields.Boolean:
    """Return a field for a flag that is always false."""
    return boolean(
        load_default=False,
        dump_default=False,
        validate=validate.Equal(False, error="Not supported: must be false."),  # noqa: FBT003
    )


@dataclass(frozen=True, slots=True)
class StatedUser:
    """An account as a request states it."""

    id: int
    spec: UserSpec
    has_factor: bool | None
    """Whether it is said to have a second factor; None: nothing is said."""


class UserShape(Shape):
    """An account; `passwordHash` accepts a password in clear text and is never returned."""

    id = int64(minimum=0, load_default=0)
    username = text(256, data_key="userName", allow_none=True, load_default=None)
    normalized_user_name = text(256, allow_none=True, dump_only=True)
    email = text(256, allow_none=True, load_default=None)
    normalized_email = text(256, allow_none=True, dump_only=True)
    email_verified = boolean(data_key="emailConfirmed", load_default=False)
    password = text(1024, data_key="passwordHash", allow_none=True, load_default=None)
    security_stamp = text(allow_none=True, dump_only=True)
    concurrency_stamp = Stamp()
    mobile = text(40, data_key="phoneNumber", allow_none=True, load_default=None)
    mobile_verified = boolean(data_key="phoneNumberConfirmed", load_default=False)
    two_factor_enabled = boolean(load_default=None, allow_none=False, metadata={"default": False})
    lockout_end = Moment(ends=True, allow_none=True, load_default=None)
    lockout_enabled = boolean(load_default=False)
    access_failed_count = int32(minimum=0, load_default=0)
    user_key = fields.String(dump_only=True, metadata={"format": "uuid"})
    parent_user_id = int64(minimum=0, data_key="parentUserID", load_default=0)
    lineage = text(allow_none=True, dump_only=True)
    lineage_ids = text(data_key="lineageIDs", allow_none=True, dump_only=True)
    avatar = text(2000, allow_none=True, load_default=None)
    is_deleted = never_true()
    roles = KeptList(RoleLinkShape, MOST_ROWS)
    claims = KeptList(ClaimShape, MOST_ROWS)
    logins = NeverAny()
    tokens = NeverAny()
    tenants = KeptList(TenantLinkShape, MOST_ROWS)
    files = KeptList(FileShape, MOST_ROWS)
    clients = NeverAny()
    api_resources = NeverAny()
    distributors = NeverAny()
    properties = KeptList(PropertyShape, MOST_ROWS)
    type_ids = text(1000, data_key="typeIDs", allow_none=True, load_default=None)
    nick_name = text(200, allow_none=True, load_default=None)
    gender = text(20, allow_none=True, load_default=None)
    address = text(1000, allow_none=True, load_default=None)
    birthday = Day(allow_none=True, load_default=None)
    stature = decimal(minimum=0, maximum=1000, load_default=0.0)
    weight = decimal(minimum=0, maximum=10_000, load_default=0.0)
    description = text(2000, allow_none=True, load_default=None)
    remark = text(2000, allow_none=True, load_default=None)
    created_at = Moment(data_key="createDate", dump_only=True)
    updated_at = Moment(data_key="lastUpdateTime", dump_only=True)

    @post_load
    def to_spec(self, data: dict[str, Any], **_: Any) -> StatedUser:
        """Return the id and the account as the service takes them."""
        has_factor = data.pop("two_factor_enabled")
        for name in _NOT_KEPT:
            del data[name]
        return StatedUser(data.pop("id"), UserSpec(**data), has_factor)


_NOT_KEPT = (
    "is_deleted",
    "logins",
    "tokens",
    "clients",
    "api_resources",
    "distributors",
)


_AS_STORED = (
    "id",
    "username",
    "email",
    "email_verified",
    "concurrency_stamp",
    "mobile_verified",
    "lockout_end",
    "lockout_enabled",
    "access_failed_count",
    "user_key",
    "lineage",
    "avatar",
    "type_ids",
    "nick_name",
    "gender",
    "address",
    "birthday",
    "stature",
    "weight",
    "description",
    "remark",
    "created_at",
    "updated_at",
)


class RoleNameShape(Shape):
    """A role by code and name."""

    id = int64()
    code = text(data_key="name", allow_none=True)
    name = text(data_key="normalizedName", allow_none=True)


class UserItemShape(Shape):
    """A row of the list; referrals are not counted, so their numbers are 0."""

    tenant_id = int64()
    user_id = int64()
    roles = fields.List(fields.Nested(RoleNameShape()), allow_none=True)
    claims = fields.List(fields.Nested(ClaimShape(exclude=["user_id"])), allow_none=True)
    files = fields.List(fields.Nested(FileShape(exclude=["user_id"])), allow_none=True)
    properties = fields.List(fields.Nested(PropertyShape(exclude=["user_id"])), allow_none=True)
    avatar = text(allow_none=True)
    username = text(data_key="userName", allow_none=True)
    email = text(allow_none=True)
    lineage = text(allow_none=True)
    parent_user_id = int64(data_key="parentUserID")
    parent_user_name = text(allow_none=True)
    type_ids = text(data_key="typeIDs", allow_none=True)
    is_deleted = fields.Boolean(dump_default=False)
    created_at = Moment(data_key="createDate")
    updated_at = Moment(data_key="lastUpdateTime")
    distribution_id = int64(data_key="distributionID", dump_default=0)
    members = int64(dump_default=0)
    members_last_update = Moment(allow_none=True, dump_default=None)
    sales = decimal(minimum=0, maximum=0, dump_default=0)
    sales_last_update = Moment(allow_none=True, dump_default=None)
    earned = decimal(minimum=0, maximum=0, dump_default=0)
    earned_diff = decimal(minimum=0, maximum=0, dump_default=0)
    earned_diff_last_update = Moment(allow_none=True, dump_default=None)
    commission = decimal(minimum=0, maximum=0, dump_default=0)
    commission_last_update = Moment(allow_none=True, dump_default=None)
    commission_lv1 = decimal(minimum=0, maximum=0, dump_default=0)
    commission_lv1_last_update = Moment(allow_none=True, dump_default=None)
    commission_lv2 = decimal(minimum=0, maximum=0, dump_default=0)
    commission_lv2_last_update = Moment(allow_none=True, dump_default=None)
    commission_lv3 = decimal(minimum=0, maximum=0, dump_default=0)
    commission_lv3_last_update = Moment(allow_none=True, dump_default=None)


class ListQuery(Paging):
    """Filters: e-mail address and number match exactly, the user name in part, all roles."""

    email = text(256, data_key="q.email", load_default=None, metadata={"format": "email"})
    name = text(256, data_key="q.name", load_default=None)
    mobile = text(40, data_key="q.phoneNumber", load_default=None)
    roles = text(
        400,
        data_key="q.roles",
        load_default="",
        checks=[validate.Regexp(r"\A[0-9,]*\Z", error="Role ids, separated by commas.")],
    )

    @validates_schema
    def check_roles(self, data: Mapping[str, Any], **_: Any) -> None:
        """Refuse more roles than one query may name."""
        if len(role_ids(data["roles"])) > MOST_ROLES:
            message = f"At most {MOST_ROLES} roles."
            raise ValidationError(message, "q.roles")


class HeadQuery(Shape):
    """The number to look up."""

    phone_number = fields.String(data_key="PhoneNumber", load_default="")


class RegisterShape(Shape):
    """The data of a registration."""

    nick_name = text(50, minimum=2, required=True)
    email = text(100, required=True, metadata={"format": "email"})
    gender = text(10, minimum=1, required=True)
    address = text(500, minimum=1, required=True)
    birthday = Day(required=True)
    stature = decimal(minimum=0.1, maximum=99, required=True)
    weight = decimal(minimum=1, maximum=999, required=True)
    description = text(2000, allow_none=True, load_default=None)
    mobile = text(40, data_key="phoneNumber", required=True)
    mobile_code = text(
        data_key="phoneNumberVerifyCode",
        required=True,
        checks=[validate.Regexp(r"\A[0-9]{4,6}\Z", error="4 to 6 digits.")],
    )
    email_code = text(
        200,
        data_key="emailVerifyCode",
        allow_none=True,
        load_default="",
        metadata={
            "pattern": "^[0-9]{6}$",
            "description": "Required: without it, as with an incorrect one, the answer is 100004.",
        },
    )
    images = fields.List(
        text(2000), data_key="imageUrl", load_default=[], validate=validate.Length(max=20)
    )
    video = text(2000, allow_none=True, load_default=None)
    document = text(2000, data_key="doc", allow_none=True, load_default=None)
    password = text(100, minimum=6, required=True)

    @post_load
    def to_registration(self, data: dict[str, Any], **_: Any) -> Registration:
        """Return the registration as the service takes it."""
        data["email_code"] = data["email_code"] or ""
        return Registration(**data, locale=current_language())


class VerifyPhoneShape(Shape):
    """A number that gets a code."""

    mobile = text(40, data_key="phoneNumber", required=True, minimum=1)


class VerifyEmailShape(Shape):
    """An address that gets a code."""

    email = text(254, required=True, minimum=1, metadata={"format": "email"})


COLUMNS = {
    "userId": User.id,
    "userName": User.username_key,
    "email": User.email_key,
    "lineage": User.lineage,
    "parentUserID": User.parent_user_id,
    "createDate": User.created_at,
    "lastUpdateTime": User.updated_at,
}
OUTCOMES = {
    Refused.PHONE_CODE: Code.Register_PhoneNumberVerifyCodeError,
    Refused.PHONE_TAKEN: Code.Register_PhoneNumberExists,
    Refused.EMAIL_CODE: Code.Register_EmailVerifyCodeError,
    Refused.EMAIL_TAKEN: Code.Register_EmailExists,
}
USER = UserShape()


@center.operation(
    "user-get",
    "GET",
    "/User",
    scope=Scope.USER_GET,
    query=ListQuery(),
    result=UserItemShape(),
    form="list",
)
def list_(query: Mapping[str, Any]) -> Page:
    """List users."""
    actor = current_actor()
    filters = Filters(query["email"], query["name"], query["mobile"], role_ids(query["roles"]))
    statement = people.list_query(database(), actor, filters)
    return fetch(
        database(),
        statement.where(*within_days(query, User.created_at)),
        query,
        COLUMNS,
        key=User.id,
        load=lambda rows: [
            as_item(shown, actor.tenant_id) for shown in people.show(database(), actor, rows)
        ],
    )


@center.operation(
    "user-put",
    "PUT",
    "/User",
    scope=Scope.USER_PUT,
    body=USER,
    result=int64(),
    errors=("NotFound",),
)
def replace(body: StatedUser) -> int:
    """Update a user."""
    user = people.replace(
        database(), current_actor(), body.id, body.spec, reserved_claims=registry.RESERVED
    )
    second_factors.check_stated(database(), user, has_factor=body.has_factor)
    database().commit()
    return user.id


@center.operation(
    "user-post",
    "POST",
    "/User",
    scope=Scope.USER_POST,
    body=USER,
    result=int64(),
    errors=("Post_CreateUserFail",),
)
def create(body: StatedUser) -> int:
    """Create a user."""
    try:
        user = people.create(
            database(), current_actor(), body.spec, reserved_claims=registry.RESERVED
        )
    except people.Rejected as problem:
        reasons = {USER.wire_name(name): texts for name, texts in problem.fields.items()}
        raise Refusal(Code.Post_CreateUserFail, written(reasons)) from None
    second_factors.check_stated(database(), user, has_factor=body.has_factor)
    database().commit()
    return user.id


@center.operation(
    "user-detail",
    "GET",
    "/User/<int:id>",
    scope=Scope.USER_DETAIL,
    result=USER,
    errors=("NotFound",),
)
def detail(id: int) -> dict[str, Any]:
    """Read a user."""
    actor = current_actor()
    (shown,) = people.show(database(), actor, [people.get(database(), actor, id)])
    return as_account(shown) | {"two_factor_enabled": factors.is_enabled(database(), id)}


@center.operation(
    "user-delete",
    "DELETE",
    "/User/<int:id>",
    scope=Scope.USER_DELETE,
    result=int64(),
    errors=("NotFound",),
)
def delete(id: int) -> int:
    """Delete a user."""
    user = people.delete(database(), current_actor(), id)
    database().commit()
    return user.id


@center.operation(
    "user-head",
    "GET",
    "/User/Head",
    scope=Scope.USER_HEAD,
    query=HeadQuery(),
    result=int64(),
    form="number",
)
def head(query: Mapping[str, Any]) -> int:
    """Check whether a phone number is registered."""
    user = people.find_by_mobile(database(), current_actor(), query["phone_number"])
    database().commit()
    if user is None:
        raise NotFound
    return user.id


@center.operation("user-codes", "GET", "/User/Codes", result=CodeShape(), form="bare")
def codes() -> list[dict[str, Any]]:
    """Error codes of the user module."""
    return listed(USER_CODES, current_language())


@center.operation(
    "user-register",
    "POST",
    "/User/Register",
    scope=Scope.USER_REGISTER,
    machine=True,
    body=RegisterShape(),
    result=text(allow_none=True),
    errors=tuple(code.name for code in OUTCOMES.values()),
)
def register(body: Registration) -> None:
    """Register a user with verified phone (and e-mail)."""
    actor = current_actor()
    limits.count_registration(database(), actor)
    outcome = registration.register(
        database(),
        body,
        tenant_id=current_tenant_id(),
        referrer_id=actor.user_id,
    )
    database().commit()
    if isinstance(outcome, Refused):
        raise Refusal(OUTCOMES[outcome])


@center.operation(
    "user-verifyphone",
    "POST",
    "/User/VerifyPhone",
    scope=Scope.USER_VERIFYPHONE,
    machine=True,
    body=VerifyPhoneShape(),
    result=text(allow_none=True),
    errors=("VerifyPhone_CallLimited", "VerifyPhone_TooManyRequests"),
)
def verify_phone(body: Mapping[str, Any]) -> None:
    """Send a phone verification code."""
    wait = send_code(Channel.SMS, body["mobile"])
    database().commit()
    refuse_to_wait(wait, Code.VerifyPhone_CallLimited, Code.VerifyPhone_TooManyRequests)


@center.operation(
    "user-verifyemail",
    "POST",
    "/User/VerifyEmail",
    scope=Scope.USER_VERIFYEMAIL,
    machine=True,
    body=VerifyEmailShape(),
    result=text(allow_none=True),
    errors=("VerifyEmail_CallLimited", "VerifyEmail_TooManyRequests"),
)
def verify_email(body: Mapping[str, Any]) -> None:
    """Send an e-mail verification code."""
    wait = send_code(Channel.MAIL, body["email"])
    database().commit()
    refuse_to_wait(wait, Code.VerifyEmail_CallLimited, Code.VerifyEmail_TooManyRequests)


def current_tenant_id() -> int:
    """Return the tenant that people register in: the token's, the client's, or the host's."""
    principal = current_principal()
    return principal.tenant_id or principal.client_tenant_id or principal.issuer_tenant_id


def send_code(channel: Channel, address: str) -> Wait | None:
    """Send a code on behalf of this issuer."""
    sender = limits.sender_of(database(), current_actor(), limits.CODES_TO_REGISTER)
    message = MessageContext.of(current_issuer(), current_language())
    return verification.send(database(), channel, address, sender, message)


def refuse_to_wait(wait: Wait | None, for_the_day: Code, too_soon: Code) -> None:
    """Refuse the call with the time of the next attempt."""
    if wait is not None:
        outcome = for_the_day if wait.is_for_the_day else too_soon
        raise Refusal(outcome, seconds=wait.seconds)


def role_ids(listed_ids: str) -> list[int]:
    """Read role ids; an id that no row can have matches no user."""
    return [min(int(part[:12]), INT32_MAX) for part in listed_ids.split(",") if part]


def as_account(shown: UserView) -> dict[str, Any]:
    """Return an account without secrets."""
    user = shown.user
    return {
        **{name: getattr(user, name) for name in _AS_STORED},
        "normalized_user_name": user.username_key,
        "normalized_email": user.email_key,
        "password": None,
        "security_stamp": None,
        "lineage_ids": None,
        "mobile": shown.mobile,
        "is_deleted": False,
        "parent_user_id": user.parent_user_id or 0,
        "roles": [{"user_id": user.id, "role_id": role.id} for role in shown.lists.roles],
        "claims": shown.lists.claims,
        "tenants": shown.lists.tenants,
        "files": shown.lists.files,
        "properties": shown.lists.properties,
        "logins": [],
        "tokens": [],
        "clients": [],
        "api_resources": [],
        "distributors": [],
    }


def as_item(shown: UserView, tenant_id: int) -> dict[str, Any]:
    """Return a row of the list."""
    user = shown.user
    return {
        "tenant_id": tenant_id,
        "user_id": user.id,
        "roles": shown.lists.roles,
        "claims": shown.lists.claims,
        "files": shown.lists.files,
        "properties": shown.lists.properties,
        "avatar": user.avatar,
        "username": user.username,
        "email": user.email,
        "lineage": user.lineage,
        "parent_user_id": user.parent_user_id or 0,
        "parent_user_name": shown.parent_username,
        "type_ids": user.type_ids,
        "created_at": user.created_at,
        "updated_at": user.updated_at,
    }
