"""Business codes of the Authorization Center, with their texts."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from idp.api.shapes import Shape, int32, text


class Entry(NamedTuple):
    """A code with its texts; names and their spelling are part of the contract."""

    code: int
    zh: str
    en: str


class Code(Enum):
    """Every code; the member's name is `codeName` on the wire."""

    Status200OK = Entry(200, "成功", "Success")
    NotFound = Entry(404, "不存在或无权查看", "Missing, or not yours")
    ExpectationFailed = Entry(
        417, "服务器处理失败, 请稍后再试", "The server failed; try again later"
    )
    UnprocessableEntity = Entry(422, "提交的数据有误", "The input is not valid")

    Register_PhoneNumberExists = Entry(
        100001, "手机号已被使用", "The phone number is already in use"
    )
    Register_PhoneNumberVerifyCodeError = Entry(
        100002, "手机验证码错误或已过期", "The phone code is wrong or has expired"
    )
    Register_EmailExists = Entry(100003, "邮箱已被使用", "The e-mail address is already in use")
    Register_EmailVerifyCodeError = Entry(
        100004, "邮箱验证码错误或已过期", "The e-mail code is wrong or has expired"
    )
    VerifyPhone_CallLimited = Entry(
        100005, "该手机号今日获取验证码次数已达上限", "This number has had all its codes for today"
    )
    VerifyPhone_TooManyRequests = Entry(
        100006, "请在{seconds}秒后重新获取验证码", "Ask again in {seconds} seconds"
    )
    VerifyEmail_CallLimited = Entry(
        100007, "该邮箱今日获取验证码次数已达上限", "This address has had all its codes for today"
    )
    VerifyEmail_TooManyRequests = Entry(
        100008, "请在{seconds}秒后重新获取验证码", "Ask again in {seconds} seconds"
    )
    Post_CreateUserFail = Entry(100009, "账号创建失败", "The account was rejected")

    @property
    def number(self) -> int:
        """The code on the wire."""
        return self.value.code

    def message(self, language: str, **values: object) -> str:
        """Give the text in `zh` or `en`."""
        text = self.value.en if language == "en" else self.value.zh
        return text.format(**values)


USER_CODES = tuple(code for code in Code if code.number // 100_000 == 1)
"""What `user-codes` lists."""


class CodeShape(Shape):
    """A code as the `*-codes` operations list it."""

    code = int32()
    name = text()
    description = text()
