"""What documents about our APIs say in words, in English and in Chinese.

A contract has three tables beside its declarations, each keyed by a name of the wire, so that what
is said in many places is written once. A narrower key wins: `AccountDTO.id` before `id`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")


class Text(NamedTuple):
    """One text in both languages."""

    en: str
    zh: str

    def of(self, language: Language) -> str:
        """Return the text in a language."""
        return self.zh if language == "zh" else self.en


@dataclass(frozen=True, slots=True)
class Texts:
    """The texts of a contract."""

    operations: Mapping[str, tuple[Text, ...]]
    """By operation id: its title, and perhaps a description."""
    schemas: Mapping[str, Text]
    """By the name of a schema; what only wraps others may have none."""
    members: Mapping[str, Text]
    """Of schemas and of parameters, as `member` or `Schema.member` or `operation.parameter`."""

    def member(self, owner: str, name: str) -> Text | None:
        """Find what is said about a member of a schema, or a parameter of an operation."""
        return self.members.get(f"{owner}.{name}") or self.members.get(name)


OUTCOME = Text("The outcome; look at `code`.", "处理结果，见 `code`。")
BARE = Text("The value itself.", "返回值本身。")
PAGE = Text("One page of rows.", "一页数据。")
TO_A_PAGE = Text(
    "Redirect to a page, for callers that do not ask for JSON.",
    "未请求 JSON 的调用方将被重定向到页面。",
)
INVALID_NUMBER = Text("0: the input is not valid.", "0：参数有误。")
MISSING_NUMBER = Text("0: not found.", "0：不存在。")
DONE = Text("Done; there is no content.", "已完成，无返回内容。")
FILE = Text("A file.", "文件。")
HEADERS = {
    "ETag": Text(
        "State of what is answered; a change names it in `If-Match`.",
        "返回内容的状态标识，修改时在 `If-Match` 中传入。",
    ),
    "Link": Text(
        '`rel="next"`: where the rows that follow are; absent when there are none.',
        '`rel="next"` 为后续数据的地址；没有后续数据时不返回。',
    ),
    "Location": Text("Path of what was created.", "新建内容的路径。"),
}
BEARER = Text(
    "A bearer access token with audience `ids4.ms`.", "受众为 `ids4.ms` 的访问令牌（Bearer）。"
)

PROBLEMS = {
    "BadRequest": Text("The request is not valid.", "请求有误。"),
    "Unauthorized": Text(
        "The access token is missing, expired or invalid.", "缺少访问令牌，或令牌已过期、无效。"
    ),
    "Forbidden": Text(
        "The token lacks the client scope, or the user lacks the permission.",
        "令牌缺少客户端权限（scope），或用户没有权限。",
    ),
    "NotFound": Text("Not found, or not visible to the caller.", "不存在，或调用方无权查看。"),
    "Conflict": Text(
        "Already exists, in use, or refused by a rule.", "已存在、正在使用，或不符合规则。"
    ),
    "Unprocessable": Text(
        "Understood, and refused by a rule.", "请求内容可以理解，但不符合规则，已拒绝。"
    ),
    "PreconditionFailed": Text(
        "It was changed after the caller read it: read it again.",
        "读取之后内容已被修改，请重新读取。",
    ),
    "PreconditionRequired": Text("`If-Match` is missing.", "缺少 `If-Match`。"),
    "TooSlow": Text("The request body did not arrive in time.", "请求体未能在限定时间内到达。"),
    "TooLarge": Text("The request body is too large.", "请求体过大。"),
    "TooLong": Text("The path or the query is too long.", "路径或查询参数过长。"),
    "TooManyRequests": Text(
        "Too many requests; `Retry-After` gives the number of seconds to wait.",
        "请求过于频繁，需等待的秒数见 `Retry-After`。",
    ),
    "Unavailable": Text(
        "A required service is not responding; try again later.", "依赖的服务没有响应，请稍后再试。"
    ),
}

PROBLEM = Text("Problem details (RFC 9457).", "错误详情（RFC 9457）。")
PROBLEM_MEMBERS = {
    "Problem.type": Text("Kind of the problem, as a URI.", "错误类型（URI）。"),
    "Problem.title": Text("Name of the kind of problem.", "错误名称。"),
    "Problem.status": Text("HTTP status code.", "HTTP 状态码。"),
    "Problem.detail": Text("What went wrong in this request.", "本次请求的具体原因。"),
    "Problem.code": Text("Stable code for programs.", "供程序判断的固定编码。"),
    "Problem.request_id": Text(
        "Id of the request. Quote it when you ask for support.", "请求编号，反馈问题时请提供。"
    ),
    "Problem.errors": Text("Each invalid field with its messages.", "各字段的错误信息。"),
}

SCOPES = {
    "ids4.ms.all": "全部接口",
    "ids4.ms.admin.all": "平台管理的全部接口",
    "ids4.ms.admin.apis.all": "平台管理：API 开放范围的全部接口",
    "ids4.ms.admin.apis.read": "平台管理：查看 API 的开放范围",
    "ids4.ms.admin.audit.all": "平台管理：审计日志的全部接口",
    "ids4.ms.admin.audit.read": "平台管理：查看和导出审计日志",
    "ids4.ms.admin.branding.all": "平台管理：品牌设置的全部接口",
    "ids4.ms.admin.bundles.all": "平台管理：套餐的全部接口",
    "ids4.ms.admin.clients.all": "平台管理：客户端的全部接口",
    "ids4.ms.admin.clients.read": "平台管理：查看客户端",
    "ids4.ms.admin.clients.write": "平台管理：新建、修改和删除客户端及其密钥",
    "ids4.ms.admin.explain.all": "平台管理：令牌解释的全部接口",
    "ids4.ms.admin.explain.read": "平台管理：解释令牌和被拒绝的请求",
    "ids4.ms.admin.factors.all": "平台管理：两步验证的全部接口",
    "ids4.ms.admin.factors.write": "平台管理：移除和重置用户的两步验证",
    "ids4.ms.admin.files.all": "平台管理：文件的全部接口",
    "ids4.ms.admin.files.read": "平台管理：查看已上传的文件",
    "ids4.ms.admin.gateway.all": "平台管理：网关的全部接口",
    "ids4.ms.admin.gateway.read": "平台管理：查看网关的产品、订阅、上游地址和状态",
    "ids4.ms.admin.gateway.write": "平台管理：修改网关的产品、订阅和上游地址",
    "ids4.ms.admin.jobs.all": "平台管理：SDK 任务的全部接口",
    "ids4.ms.admin.jobs.read": "平台管理：查看所有人的 SDK 任务",
    "ids4.ms.admin.jobs.write": "平台管理：重试和取消 SDK 任务",
    "ids4.ms.admin.keys.all": "平台管理：签名密钥的全部接口",
    "ids4.ms.admin.keys.read": "平台管理：查看签名密钥",
    "ids4.ms.admin.keys.write": "平台管理：轮换和吊销签名密钥",
    "ids4.ms.admin.menus.all": "平台管理：应用菜单的全部接口",
    "ids4.ms.admin.menus.read": "平台管理：查看应用菜单",
    "ids4.ms.admin.menus.write": "平台管理：新建、修改、调整和删除应用菜单",
    "ids4.ms.admin.messages.all": "平台管理：消息的全部接口",
    "ids4.ms.admin.messages.write": "平台管理：重新发送或丢弃消息",
    "ids4.ms.admin.overview.all": "平台管理：统计数据的全部接口",
    "ids4.ms.admin.policy.all": "平台管理：密码策略的全部接口",
    "ids4.ms.admin.policy.read": "平台管理：查看租户和角色的策略",
    "ids4.ms.admin.policy.write": "平台管理：设置租户和角色的策略",
    "ids4.ms.admin.privileges.all": "平台管理：权限的全部接口",
    "ids4.ms.admin.privileges.read": "平台管理：查看权限",
    "ids4.ms.admin.privileges.write": "平台管理：新建权限，修改权限分组",
    "ids4.ms.admin.sessions.all": "平台管理：登录会话的全部接口",
    "ids4.ms.admin.sessions.read": "平台管理：查询用户的登录会话和授权",
    "ids4.ms.admin.sessions.write": "平台管理：结束用户的登录会话和授权",
    "ids4.ms.admin.settings.all": "平台管理：设置的全部接口",
    "ids4.ms.admin.tenanttypes.all": "平台管理：租户类型的全部接口",
    "ids4.ms.admin.tenanttypes.read": "平台管理：查看租户类型",
    "ids4.ms.admin.tenanttypes.write": "平台管理：新建、重命名和删除租户类型",
    "ids4.ms.admin.users.all": "平台管理：账号的全部接口",
    "ids4.ms.admin.users.read": "平台管理：查看账号",
    "ids4.ms.admin.users.write": "平台管理：新建、停用、启用和解锁账号，使其退出登录",
    "ids4.ms.apiresource.all": "微服务的全部接口",
    "ids4.ms.client.all": "客户端的全部接口",
    "ids4.ms.codegen.all": "代码生成的全部接口",
    "ids4.ms.file.all": "文件的全部接口",
    "ids4.ms.identityresource.all": "身份服务的全部接口",
    "ids4.ms.role.all": "角色的全部接口",
    "ids4.ms.tenant.all": "租户的全部接口",
    "ids4.ms.user.all": "用户的全部接口",
    "ids4.ms.us.all": "用户服务的全部接口",
    "ids4.ms.us.account.all": "用户服务：账号的全部接口",
    "ids4.ms.us.app.all": "用户服务：应用的全部接口",
    "ids4.ms.us.bundle.all": "用户服务：套餐的全部接口",
    "ids4.ms.us.menu.all": "用户服务：菜单的全部接口",
    "ids4.ms.us.privilege.all": "用户服务：权限的全部接口",
    "ids4.ms.us.role.all": "用户服务：租户角色的全部接口",
    "ids4.ms.us.tenant.all": "用户服务：租户及其套餐的全部接口",
}
"""Chinese texts of scopes that open several operations; any other is called as its operation."""
