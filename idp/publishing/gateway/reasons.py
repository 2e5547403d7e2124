"""Reasons why a publication is refused, in two languages."""

from __future__ import annotations

from enum import Enum
from typing import Self

from idp.platform.errors import Problem
from idp.publishing.descriptions.flaws import Flaw, UnusableError


class Reason(Enum):
    """Every reason, with its English text; values are filled in by name."""

    BROKEN = Flaw.BROKEN.value
    CHANGED_MEANWHILE = "This publication was changed by someone else"
    EXTERNAL_REFERENCE = Flaw.EXTERNAL_REFERENCE.value
    GATEWAY_REFUSED = "The gateway refused: {what}"
    GATEWAY_SILENT = "The gateway is not responding; the worker will try again"
    GATEWAY_UNSET = "The gateway of this tenant is not configured: {what}"
    INVALID = Flaw.INVALID.value
    MISSING = "Missing: {what}"
    NO_SUCH_API = "The API was not found at the gateway"
    NOT_FETCHED = Flaw.NOT_FETCHED.value
    SUFFIX_TAKEN = "Another microservice is published under this suffix"
    TOO_MANY_OPERATIONS = "The description has more than {what} operations"
    UPSTREAM_REFUSED = (
        "No server of the description is an allowed upstream address of the tenant: {what}"
    )


CHINESE = {
    Reason.BROKEN: "接口描述无法解析: {what}",
    Reason.CHANGED_MEANWHILE: "该发布已被他人同时修改, 请刷新后重试",
    Reason.EXTERNAL_REFERENCE: "接口描述引用了外部内容: {what}",
    Reason.GATEWAY_REFUSED: "网关拒绝了请求: {what}",
    Reason.GATEWAY_SILENT: "网关没有响应, 稍后将自动重试",
    Reason.GATEWAY_UNSET: "该租户尚未配置网关: {what}",
    Reason.INVALID: "接口描述不是有效的 OpenAPI 文档: {what}",
    Reason.MISSING: "缺少: {what}",
    Reason.NO_SUCH_API: "网关中没有该接口",
    Reason.NOT_FETCHED: "接口描述的地址没有返回可用内容",
    Reason.SUFFIX_TAKEN: "该后缀已被其他微服务使用",
    Reason.TOO_MANY_OPERATIONS: "接口描述的操作超过 {what} 个",
    Reason.UPSTREAM_REFUSED: "接口描述中的服务器地址不在运营方允许的列表中: {what}",
}
"""The texts in Chinese."""


class NotPublished(Problem):
    """Nothing was changed at the gateway, and nothing was stored."""

    code = "not_published"
    status = 409
    title = "Not published"

    def __init__(self, reason: Reason, what: str = "", *, debug: str | None = None) -> None:
        super().__init__(reason.value.format(what=what[:200]), debug=debug)
        self.reason = reason
        self.what = what[:200]

    @classmethod
    def unusable(cls, problem: UnusableError) -> Self:
        """Return the refusal for an unusable description."""
        return cls(Reason[problem.flaw.name], problem.what, debug=problem.debug)

    @property
    def may_pass(self) -> bool:
        """Whether a later attempt may succeed."""
        return self.reason is Reason.GATEWAY_SILENT


def in_words(problem: NotPublished, language: str) -> str:
    """Return why something was refused, in English or Chinese."""
    text: str = problem.reason.value if language == "en" else CHINESE[problem.reason]
    return text.format(what=problem.what)
