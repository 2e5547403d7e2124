"""Business codes of the Authorization Center, with their texts."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Any, NamedTuple

from idp.platform.wire.shapes import Shape, int64, text


class Entry(NamedTuple):
    """A code with its texts; names and their spelling are part of the contract."""

    code: int
    zh: str
    en: str


class Code(Enum):
    """Every code; the member's name is `codeName` on the wire."""

    Status200OK = Entry(200, "成功", "Success")
    NotFound = Entry(404, "不存在或无权查看", "Not found, or not visible to the caller")
    ExpectationFailed = Entry(417, "服务器处理失败, 请稍后再试", "Internal error; try again later")
    UnprocessableEntity = Entry(422, "提交的数据有误", "The input is not valid")

    Register_PhoneNumberExists = Entry(
        100001, "手机号已被使用", "The phone number is already in use"
    )
    Register_PhoneNumberVerifyCodeError = Entry(
        100002, "手机验证码错误或已过期", "The phone code is incorrect or has expired"
    )
    Register_EmailExists = Entry(100003, "邮箱已被使用", "The e-mail address is already in use")
    Register_EmailVerifyCodeError = Entry(
        100004, "邮箱验证码错误或已过期", "The e-mail code is incorrect or has expired"
    )
    VerifyPhone_CallLimited = Entry(
        100005,
        "该手机号今日获取验证码次数已达上限",
        "No more codes can be sent to this number today",
    )
    VerifyPhone_TooManyRequests = Entry(
        100006, "请在{seconds}秒后重新获取验证码", "Ask again in {seconds} seconds"
    )
    VerifyEmail_CallLimited = Entry(
        100007,
        "该邮箱今日获取验证码次数已达上限",
        "No more codes can be sent to this address today",
    )
    VerifyEmail_TooManyRequests = Entry(
        100008, "请在{seconds}秒后重新获取验证码", "Ask again in {seconds} seconds"
    )
    Post_CreateUserFail = Entry(100009, "账号创建失败", "The account could not be created")

    GenerateClient_GetSwaggerFialed = Entry(
        200001,
        "获取接口描述失败: {why}",
        "The API description could not be used: {why}",
    )
    NpmOptions_GetOptionsFialed = Entry(200002, "尚未保存 NPM 设置", "No NPM options are stored")
    GithubOptions_GetOptionsFialed = Entry(
        200003, "尚未保存 Github 设置", "No GitHub options are stored"
    )
    CodeGen_GeneratorMissing = Entry(
        200006,
        "未安装代码生成器, 请执行 pip install 'idp[codegen]'",
        "The code generator is not installed: pip install 'idp[codegen]'",
    )

    Versions_IdCanNotBeNull = Entry(
        300001, "微服务 id 不能为空", "The id of the microservice is missing"
    )
    Versions_GetDetailFailed = Entry(
        300002, "网关中没有该接口", "The API was not found at the gateway"
    )
    Versions_GetVersionListFailed = Entry(
        300003, "获取网关版本列表失败", "The versions could not be read from the gateway"
    )
    PublishRevision_GetDetailFailed = Entry(
        300004, "网关中没有该接口, 无法发布修订", "The API to revise was not found at the gateway"
    )
    PublishRevision_PublishFailed = Entry(
        300005, "导入修订失败", "The description could not be imported into the revision"
    )
    PublishRevision_CreateReleaseFailed = Entry(
        300006, "创建修订的发布说明失败", "The release note of the revision could not be created"
    )
    Releases_IdCanNotBeNull = Entry(
        300007,
        "网关接口 id 或发布 id 不能为空",
        "The id of the API or release at the gateway is missing",
    )
    Releases_GetVersionListFailed = Entry(
        300008, "获取网关发布列表失败", "The release notes could not be read from the gateway"
    )
    Subscription_PostFailed = Entry(300009, "订阅失败", "The subscription could not be stored")
    Subscription_VerfifyCodeFailed = Entry(
        300010, "确认码无效或已过期", "The confirmation code is invalid or has expired"
    )
    Subscription_VerifyEmailFailed = Entry(
        300010, "确认邮件发送失败", "The confirmation mail could not be sent"
    )
    SetOnlineVersion_PostFailed = Entry(
        300010, "切换当前版本失败", "The version could not be made current"
    )
    Publish_PublishFailed = Entry(300011, "发布失败", "Publishing failed")
    Subscription_DelSubscriptionFailed = Entry(
        300012, "取消订阅失败", "The subscription could not be cancelled"
    )
    VerifyEmail_AddEmailFailed = Entry(
        300013, "该邮箱已订阅", "The e-mail address is already subscribed"
    )
    Packages_PostFailed = Entry(300014, "添加开发包失败", "The package could not be added")
    Packages_DelPackageFailed = Entry(300015, "移除开发包失败", "The package could not be removed")

    @property
    def number(self) -> int:
        """The code on the wire."""
        return self.value.code

    def message(self, language: str, **values: object) -> str:
        """Return the text in `zh` or `en`."""
        text = self.value.en if language == "en" else self.value.zh
        return text.format(**values)


USER_CODES = tuple(code for code in Code if code.number // 100_000 == 1)
"""Codes that `user-codes` lists."""

MICROSERVICE_CODES = tuple(code for code in Code if code.number // 100_000 == 3)  # noqa: PLR2004
"""Codes that `apiresource-codes` lists."""


class CodeShape(Shape):
    """A code as the `*-codes` operations list it."""

    code = int64(required=True)
    name = text(required=True)
    description = text(required=True)


def listed(codes: Iterable[Code], language: str) -> list[dict[str, Any]]:
    """Describe codes as a `*-codes` operation lists them."""
    return [
        {"code": code.number, "name": code.name, "description": code.message(language, seconds="N")}
        for code in codes
    ]
