"""Codes of the user service's envelope, with their texts."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from idp.platform.errors import BadRequest, Conflict, Problem, Unprocessable


class Entry(NamedTuple):
    """A code with its texts."""

    number: int
    zh: str
    en: str


class Code(Enum):
    """Every code; the member's name is that of the problem behind it.

    Below 1000 a code is the HTTP status of the answer; from 10000 on it is a business outcome,
    which the envelope carries with HTTP 200.
    """

    success = Entry(0, "成功", "Success")

    unauthenticated = Entry(401, "未认证或令牌无效", "The access token is missing or invalid")
    forbidden = Entry(403, "没有权限", "Not permitted")
    not_found = Entry(404, "不存在或无权查看", "Not found, or not visible to the caller")
    too_large = Entry(413, "请求体过大", "The request body is too large")
    too_many_requests = Entry(429, "请求过于频繁, 请稍后再试", "Too many requests; try again later")
    internal_error = Entry(500, "服务器处理失败, 请稍后再试", "Internal error; try again later")
    unavailable = Entry(503, "服务暂不可用, 请稍后再试", "A required service is not responding")

    malformed = Entry(10001, "参数格式有误", "The input is malformed")
    not_json = Entry(10002, "请求体不是JSON", "The body is not JSON")
    bad_request = Entry(10003, "参数有误", "The input is not valid")
    overreach = Entry(10004, "超出自身权限", "The value exceeds the rights of the caller")
    conflict = Entry(10005, "与现有数据冲突", "Already exists, or in use")
    unprocessable = Entry(10006, "该操作被拒绝", "Refused by a rule")

    username_taken = Entry(20001, "用户名已存在", "The user name is already in use")
    mobile_taken = Entry(20002, "手机号已存在", "The mobile number is already in use")
    weak_password = Entry(20004, "密码强度不足", "The password is too weak")
    bad_credential = Entry(20005, "账号或凭证有误", "Incorrect account or credential")
    unknown_authentication_type = Entry(
        20006, "不支持的认证类型", "This authentication type is not supported"
    )
    administrator_stays = Entry(
        20007, "租户管理员不可移除", "The tenant's administrator cannot be removed"
    )
    different_accounts = Entry(
        20009, "账号Id与用户名不是同一账号", "Id and user name belong to different accounts"
    )
    second_factor_required = Entry(
        20010,
        "该账号须通过两步验证登录, 请前往登录页面",
        "The account signs in with a second factor, at the sign-in page only",
    )
    password_change_required = Entry(
        20011,
        "该账号须先在登录页面修改密码",
        "The account must choose a new password at the sign-in page first",
    )

    bundle_taken = Entry(30001, "套餐编码已存在", "The code of the bundle is already in use")
    initial_bundle_taken = Entry(
        30002, "该租户类型已有初始化套餐", "The tenant type already has an initial bundle"
    )
    invalid_ability = Entry(30003, "套餐能力无效", "The ability of the bundle is not valid")
    no_initial_bundle = Entry(
        30004, "该租户类型没有初始化套餐", "The tenant type has no initial bundle"
    )
    other_tenant_type = Entry(
        30005, "套餐与租户类型不一致", "Bundle and tenant are of different types"
    )
    bundle_initialised = Entry(30006, "租户已初始化套餐", "The tenant already has a bundle")
    bundle_not_initialised = Entry(30007, "租户尚未初始化套餐", "The tenant has no bundle yet")
    same_bundle = Entry(30008, "租户已使用该套餐", "The tenant already has this bundle")
    unknown_bundle = Entry(30009, "套餐不存在", "Bundle not found")
    bundle_in_use = Entry(30010, "套餐正被租户使用", "The bundle is used by tenants")

    role_taken = Entry(40001, "角色编码已存在", "The code of the role is already in use")
    role_bound = Entry(40002, "有账号绑定该角色, 禁止删除", "The role is bound to accounts")
    unknown_role = Entry(40003, "角色不存在", "Role not found in the tenant")
    unknown_privilege = Entry(
        40004, "权限不存在或不可授予", "Privilege not found, or the caller cannot grant it"
    )

    application_taken = Entry(
        50001, "应用编码已存在", "The code of the application is already in use"
    )
    application_in_use = Entry(
        50002, "应用仍有菜单或客户端", "The application is used by menus or clients"
    )
    quota_reached = Entry(50003, "应用数量已达套餐上限", "The bundle allows no more applications")

    @property
    def number(self) -> int:
        """The code on the wire."""
        return self.value.number

    @property
    def is_business(self) -> bool:
        """Whether the envelope carries it with HTTP 200."""
        return self.number == 0 or self.number >= _BUSINESS

    def message(self, language: str) -> str:
        """Return the text in `zh` or `en`."""
        return self.value.en if language == "en" else self.value.zh

    @classmethod
    def of(cls, problem: Problem) -> Code:
        """Find the code of a refusal: its own, that of its class, or that of its status."""
        if isinstance(problem, BadRequest | Conflict | Unprocessable):
            own = cls.__members__.get(problem.code)
            if own is not None:
                return own
            kinds = (Conflict, Unprocessable, BadRequest)
            return cls[next(kind.code for kind in kinds if isinstance(problem, kind))]
        statuses = {code.number: code for code in cls if not code.is_business}
        return statuses.get(problem.status, cls.internal_error)


_BUSINESS = 10_000
