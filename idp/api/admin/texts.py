"""What the document says about operations, schemas and members of our own API."""

from __future__ import annotations

from idp.api.texts import PROBLEM, PROBLEM_MEMBERS, Text, Texts

TITLE = Text("Administration", "平台管理")

DESCRIPTION = Text(
    """\
What an administrator of the whole installation needs and the two agreed contracts do not have: keeping people out and
letting them in again, their browser sessions, privileges, failed messages, and why a token says what it says.

Names are snake_case, times RFC 3339 in UTC. Lists have `limit` and `after`; their answer is `items` and `next`: give
`next` as `after` to get the page that follows, until it is null. Refusals are problem details (RFC 9457) with the
fitting HTTP status; `fields` maps each invalid field to its messages. A member or parameter that is not described here is
refused.

A caller is a person with the scope of the operation and the permission of the same name at the platform: by a role of the
platform, or as a direct grant there. For sessions and explanations the permission may also be held in the tenant that
the path names.
Programs without a person are refused.
""",
    """\
供整个平台的管理员使用，补充两份约定接口所没有的功能：停用和启用账号、管理登录会话和权限、处理发送失败的消息、解释令牌内容的来源。

名称一律为 snake_case，时间为 RFC 3339 格式（UTC）。列表用 `limit` 和 `after` 分页，返回 `items` 和 `next`：把 `next` 作为 `after` 传入即可取得下一页，`next` 为 null 表示没有更多数据。请求被拒绝时返回相应的 HTTP 状态码和错误详情（RFC 9457），`fields` 列出各字段的错误信息。未在此说明的字段和参数一律拒绝。

调用方须为用户，令牌须带有接口的 scope，且用户在平台拥有同名权限（通过平台角色或平台上的直接授权）。登录会话和令牌解释的接口也接受在路径所指租户内拥有的权限。没有用户的程序不能调用。
""",
)

MODULES = {
    "users": Text("Users of all tenants", "账号"),
    "sessions": Text("Browser sessions of users", "登录会话"),
    "privileges": Text("Privileges (permissions)", "权限"),
    "messages": Text("Messages and jobs that wait or failed", "消息"),
    "explain": Text("Why tokens say what they say", "令牌解释"),
}

_RIGHTS = Text(
    "Only an administrator of the platform may do this to somebody who has rights of the platform (403 otherwise).",
    "对拥有平台权限的账号，只有平台管理员可以操作，否则返回 403。",
)

_REACH = Text(
    "With the permission in the tenant, users who belong to no other tenant and hold no rights that the caller lacks (404 "
    "otherwise). With the permission at the platform, all users of the tenant, and in tenant 1 everybody; "
    "users with rights of the platform by its administrators alone (403 otherwise).",
    "在租户内拥有权限时，只能操作仅属于该租户、且权限不超过调用方的用户，否则返回 404。在平台拥有权限时，可操作该租户的所有用户，"
    "在租户 1 可操作所有用户；拥有平台权限的用户只有平台管理员可以操作，否则返回 403。",
)

_EXPLAINED = Text(
    "With the permission in the tenant alone, clients of the tenant, and its members without rights of the platform (404 "
    "otherwise).",
    "仅在租户内拥有权限时，只能解释该租户的客户端和没有平台权限的成员，否则返回 404。",
)

OPERATIONS: dict[str, tuple[Text, ...]] = {
    "users-list": (Text("List users", "查询账号列表"),),
    "users-get": (Text("Read a user with tenants and roles", "查看账号及其租户和角色"),),
    "users-disable": (
        Text("Disable a user", "停用账号"),
        Text(
            "Sessions and tokens end at once. Disabling twice is not an error. Refused with 422 for one's own account and "
            f"for the last administrator of the platform. {_RIGHTS.en}",
            f"会话和令牌立即失效。重复停用不视为错误。不能停用自己的账号，也不能停用最后一个平台管理员（422）。{_RIGHTS.zh}",
        ),
    ),
    "users-enable": (
        Text("Enable a user", "启用账号"),
        Text(
            f"The person can sign in again. Enabling twice is not an error. {_RIGHTS.en}",
            f"该用户可重新登录。重复启用不视为错误。{_RIGHTS.zh}",
        ),
    ),
    "users-unlock": (
        Text("Unlock a user", "解锁账号"),
        Text(
            "Ends a lock that an administrator set until later; the delay after wrong passwords ends by itself. "
            f"Unlocking twice is not an error. {_RIGHTS.en}",
            f"解除管理员设置的锁定；密码错误后的等待时间会自行结束。重复解锁不视为错误。{_RIGHTS.zh}",
        ),
    ),
    "sessions-list": (
        Text("List the sessions of a user", "查询用户的登录会话列表"),
        Text(
            f"Where the user is signed in now, in any tenant, the oldest first. {_REACH.en}",
            f"用户当前在所有租户的登录会话，最早的在前。{_REACH.zh}",
        ),
    ),
    "sessions-end": (
        Text("End a session", "结束登录会话"),
        Text(
            "Tokens that were issued in the session end too. 404 when the session has ended already.",
            "在该会话中签发的令牌同时失效。会话已结束时返回 404。",
        ),
    ),
    "sessions-end-all": (
        Text("End all sessions of a user", "结束用户的所有登录会话"),
        Text(
            "Tokens that were issued in the sessions end too. Without a session it is not an error.",
            "在这些会话中签发的令牌同时失效。没有会话时不视为错误。",
        ),
    ),
    "privileges-list": (Text("List privileges", "查询权限列表"),),
    "privileges-create": (
        Text("Create a privilege", "新建权限"),
        Text(
            "Nobody holds it until a role carries it. Codes that begin with `ids4.` are reserved.",
            "角色包含该权限之后才有人拥有它。以 `ids4.` 开头的编码为系统保留。",
        ),
    ),
    "privileges-get": (Text("Read a privilege", "查看权限"),),
    "messages-list": (
        Text("List messages that are not sent", "查询未完成的消息列表"),
        Text("What a message says is never shown.", "不显示消息内容。"),
    ),
    "messages-retry": (
        Text("Retry a failed message", "重新发送失败的消息"),
        Text(
            "Starts again with the first attempt. A message that still waits stays as it is.",
            "从第一次尝试重新开始。仍在等待的消息保持不变。",
        ),
    ),
    "explain-token": (
        Text("Explain the token that would be issued", "解释将会签发的令牌"),
        Text(
            "What a client would get now, for a user or (without `user`) for itself: the content of the tokens, where each "
            "scope, claim, role and permission comes from, and why others are missing. Nothing is issued. A refusal of the "
            f"protocol is part of the answer: `refused`. {_EXPLAINED.en}",
            "客户端此刻会为用户（或不带 `user` 时为自身）取得的令牌：内容、每个 scope、claim、角色和权限的来源，以及其他项缺失的原因。"
            f"不会真正签发令牌。协议的拒绝也包含在结果中（`refused`）。{_EXPLAINED.zh}",
        ),
    ),
    "explain-presented": (
        Text("Explain a token", "解释已有的令牌"),
        Text(
            "Takes a token apart, verifies it (signature, issuer, expiry, revocation) and compares it with what would be issued "
            "now. The token is neither kept nor logged. Of a token whose client is out of reach the answer has only what anyone "
            f"who holds the token can find out. {_EXPLAINED.en}",
            "解析令牌，验证签名、签发者、有效期和撤销状态，并与此刻会签发的内容比较。令牌不会保存，也不会写入日志。"
            f"如果令牌的客户端不在可见范围内，只返回任何持有者都能得知的内容。{_EXPLAINED.zh}",
        ),
    ),
    "explain-request": (
        Text("Explain a refused request", "解释被拒绝的请求"),
        Text(
            "Which check of the protocol refused a request, and by which rule. Refusals are kept for three days, at most ten a "
            f"minute for each client and error. {_EXPLAINED.en}",
            f"协议的哪一项检查拒绝了请求，以及所依据的规范。拒绝记录保留三天，每个客户端和错误每分钟最多十条。{_EXPLAINED.zh}",
        ),
    ),
}

SCHEMAS = {
    "Problem": PROBLEM,
    "User": Text("An account.", "账号。"),
    "UserDetail": Text("An account with its tenants and roles.", "账号及其租户和角色。"),
    "RoleOfUser": Text("A role that a user has.", "账号拥有的角色。"),
    "Session": Text("A browser session.", "浏览器中的登录会话。"),
    "EndedSessions": Text("How many sessions were ended.", "已结束的会话数。"),
    "Privilege": Text("A privilege.", "权限。"),
    "NewPrivilege": Text("A privilege to be created.", "待新建的权限。"),
    "Message": Text("A message or job that is not done.", "未完成的消息或任务。"),
    "UserPage": Text("A page of users.", "一页账号。"),
    "SessionPage": Text("A page of sessions.", "一页登录会话。"),
    "PrivilegePage": Text("A page of privileges.", "一页权限。"),
    "Reason": Text("Where something comes from, or why it is missing.", "来源，或缺失的原因。"),
    "ExplainedScope": Text("A scope that was asked for.", "所请求的 scope。"),
    "ExplainedClaim": Text(
        "A claim of a token, or one that it could have.", "令牌中的或可能出现的 claim。"
    ),
    "ExplainedRole": Text("A role of the user.", "用户的角色。"),
    "ExplainedPermission": Text(
        "A permission that the access token has, or could have.", "访问令牌中的或可能出现的权限。"
    ),
    "Refusal": Text("The check that refuses, and its rule.", "拒绝请求的检查及其依据。"),
    "TokenContent": Text("What a token would say.", "令牌内容。"),
    "Explanation": Text(
        "The tokens that a client would get now, and why.", "客户端此刻会取得的令牌及其来源。"
    ),
    "TokenCheck": Text("One thing that a token must satisfy.", "令牌的一项检查。"),
    "PresentedToken": Text("A token, taken apart and verified.", "已解析和验证的令牌。"),
    "RefusedRequest": Text("A request that the protocol refused.", "被协议拒绝的请求。"),
    "TokenToExplain": Text("A token to be explained.", "待解释的令牌。"),
    "MessagePage": Text("A page of messages.", "一页消息。"),
}

MEMBERS = {
    **{name: text for name, text in PROBLEM_MEMBERS.items() if name != "Problem.errors"},
    "Problem.fields": PROBLEM_MEMBERS["Problem.errors"],
    "items": Text("Rows of the page.", "本页数据。"),
    "next": Text(
        "Give it as `after` for the page that follows; null: there is none.",
        "取下一页时作为 `after` 传入；null 表示没有下一页。",
    ),
    "limit": Text("Most rows of the page.", "每页最多条数。"),
    "after": Text("`next` of the page before.", "上一页的 `next`。"),
    "id": Text("Id.", "编号。"),
    "created_at": Text("When it was created.", "创建时间。"),
    # Users
    "users-list.search": Text(
        "Part of a user name, e-mail address or phone number.", "用户名、邮箱或手机号的一部分。"
    ),
    "users-list.tenant": Text("Only members of this tenant.", "只查询该租户的成员。"),
    "users-list.disabled": Text(
        "`true`: only disabled users; `false`: only the others.",
        "`true`：只查询已停用的账号；`false`：只查询未停用的账号。",
    ),
    "username": Text("User name.", "用户名。"),
    "nickname": Text("Nickname.", "昵称。"),
    "email": Text("E-mail address.", "邮箱。"),
    "email_verified": Text("Whether the e-mail address is verified.", "邮箱是否已验证。"),
    "phone_number": Text("Phone number (E.164).", "手机号（E.164）。"),
    "phone_number_verified": Text("Whether the phone number is verified.", "手机号是否已验证。"),
    "locale": Text("Language.", "语言。"),
    "disabled": Text(
        "Whether the user is disabled and cannot sign in.", "是否已停用（不能登录）。"
    ),
    "locked_until": Text(
        "When the lock ends; null: not locked.", "锁定结束时间；null 表示未锁定。"
    ),
    "tenants": Text("Ids of the tenants of the user.", "账号所属租户的编号。"),
    "roles": Text("Roles of the user.", "账号拥有的角色。"),
    "role": Text("Code of the role.", "角色编码。"),
    "RoleOfUser.tenant": Text(
        "Tenant of the role; null: a role of the platform.", "角色所属租户；null 表示平台角色。"
    ),
    # Sessions
    "tenant": Text("Id of the tenant.", "租户编号。"),
    "user": Text("Id of the user.", "账号编号。"),
    "Session.issuer": Text(
        "Tenant at whose address the user signed in; 1: the platform's.",
        "用户登录时所用地址所属的租户；1 表示平台。",
    ),
    "Session.tenant": Text(
        "Tenant that the user chose in this session; null: none was chosen.",
        "用户在此会话中选择的租户；null 表示未选择。",
    ),
    "amr": Text("How the user signed in (RFC 8176).", "登录方式（RFC 8176）。"),
    "remember": Text("Whether the user asked to stay signed in.", "用户是否选择保持登录。"),
    "remote_addr": Text("Address that the user signed in from.", "登录时的 IP 地址。"),
    "user_agent": Text("What the browser said of itself.", "浏览器标识（User-Agent）。"),
    "signed_in_at": Text("When the user last signed in.", "最近一次登录时间。"),
    "last_seen_at": Text("When the session was last used.", "最近一次使用时间。"),
    "expires_at": Text("When the session ends by itself.", "到期时间。"),
    "ended": Text("Number of sessions.", "会话数。"),
    # Privileges
    "privileges-list.search": Text("Part of the code or the name.", "编码或名称的一部分。"),
    "privileges-list.api": Text(
        "Only those of this API (its name).", "只查询该 API（名称）的权限。"
    ),
    "code": Text("Code of the privilege.", "权限编码。"),
    "name": Text("Name shown to administrators.", "显示给管理员的名称。"),
    "api": Text(
        "Name of the API that owns it: only tokens for this API carry it; null: tokens for every API that asks.",
        "所属 API 的名称，只有该 API 的令牌带有此权限；null 表示所有请求权限的 API。",
    ),
    "group": Text("Code of its group in the privilege tree.", "权限树中所属分组的编码。"),
    # Explanations
    "explain-token.client": Text("`client_id` of the client.", "客户端的 `client_id`。"),
    "explain-token.user": Text(
        "Id of the user; without it the client asks for itself.", "账号编号；不带时为客户端自身。"
    ),
    "explain-token.scope": Text("Scopes, separated by spaces.", "scope，以空格分隔。"),
    "explain-token.resource": Text(
        "Resources (RFC 8707), separated by spaces.", "resource（RFC 8707），以空格分隔。"
    ),
    "explain-token.permission": Text(
        "Permissions that are explained in any case, separated by spaces.",
        "无论如何都要解释的权限，以空格分隔。",
    ),
    "explain-request.request": Text(
        "Id of the request, from an error page, a header or the log.",
        "请求编号，见错误页面、响应头或日志。",
    ),
    "TokenToExplain.token": Text("A JWT or reference token.", "JWT 或引用令牌。"),
    "Reason.code": Text("Stable code of the reason.", "原因的固定编码。"),
    "Reason.subject": Text(
        "What the reason names: a role, a scope, an API, a bundle, a permission.",
        "原因所涉及的角色、scope、API、套餐或权限。",
    ),
    "text": Text("The same as a sentence.", "文字说明。"),
    "ExplainedScope.name": Text("Name of the scope.", "scope 名称。"),
    "ExplainedScope.api": Text(
        "Name of the API that it belongs to; null: none.", "所属 API 的名称；null 表示没有。"
    ),
    "granted": Text("Whether the access token is for it.", "访问令牌是否包含它。"),
    "reasons": Text("Where it comes from, or why it is missing.", "来源，或缺失的原因。"),
    "ExplainedClaim.token": Text("`access_token` or `id_token`.", "`access_token` 或 `id_token`。"),
    "ExplainedClaim.name": Text("Name of the claim.", "claim 名称。"),
    "present": Text("Whether the token has it.", "令牌是否包含它。"),
    "ExplainedRole.code": Text("Code of the role.", "角色编码。"),
    "ExplainedRole.platform": Text("Whether it is a role of the platform.", "是否为平台角色。"),
    "error": Text("Error code of the protocol.", "协议的错误代码。"),
    "description": Text("What the caller is told.", "返回给调用方的说明。"),
    "check": Text("What was checked.", "所做的检查。"),
    "rule": Text("Section of the specification; null: none is known.", "规范条款；null 表示未知。"),
    "format": Text("`jwt` or `reference`.", "`jwt` 或 `reference`。"),
    "algorithm": Text(
        "Algorithm of the signature; null: a reference token.", "签名算法；null 表示引用令牌。"
    ),
    "audience": Text("Whom the token is for.", "令牌的受众。"),
    "expires_in": Text("Lifetime in seconds.", "有效秒数。"),
    "TokenContent.claims": Text("Claims as the token would have them.", "令牌中的 claim。"),
    "Explanation.issuer": Text("Address of the issuer.", "签发者地址。"),
    "client": Text("`client_id` of the client.", "客户端的 `client_id`。"),
    "RefusedRequest.client": Text(
        "Client that the request named, proven or not; null: none.",
        "请求所指的客户端（不一定通过验证）；null 表示没有。",
    ),
    "Explanation.user": Text(
        "Id of the user; null: the client itself.", "账号编号；null 表示客户端自身。"
    ),
    "grant_type": Text(
        "`authorization_code` or `client_credentials`.",
        "`authorization_code` 或 `client_credentials`。",
    ),
    "consent": Text(
        "`not_needed`, `given`, or `needed`: the user is asked first.",
        "`not_needed`（无需）、`given`（已同意）或 `needed`（需先征得用户同意）。",
    ),
    "refused": Text(
        "Why there is no token; null: there is one.", "拒绝的原因；null 表示未被拒绝。"
    ),
    "RefusedRequest.refused": Text("What was refused, and why.", "拒绝的内容和原因。"),
    "access_token": Text("Access token; null: refused.", "访问令牌；null 表示被拒绝。"),
    "id_token": Text("ID token; null: there is none.", "ID 令牌；null 表示没有。"),
    "refresh_token": Text("Whether there is a refresh token.", "是否有刷新令牌。"),
    "scopes": Text("Scopes that were asked for.", "所请求的 scope。"),
    "Explanation.claims": Text("Claims of the tokens.", "令牌中的 claim。"),
    "Explanation.roles": Text("Roles of the user.", "用户的角色。"),
    "permissions": Text("Permissions of the access token.", "访问令牌中的权限。"),
    "more_permissions": Text(
        "Whether further permissions are missing that are not listed.", "是否还有未列出的缺失权限。"
    ),
    "TokenCheck.name": Text(
        "`form`, `signature`, `issuer`, `expiry` or `revocation`.",
        "`form`、`signature`、`issuer`、`expiry` 或 `revocation`。",
    ),
    "state": Text("`passed`, `failed` or `skipped`.", "`passed`、`failed` 或 `skipped`。"),
    "kind": Text(
        "`access_token`, `id_token`, `reference_token` or `unknown`.",
        "`access_token`、`id_token`、`reference_token` 或 `unknown`。",
    ),
    "active": Text("Whether the token is in force.", "令牌是否有效。"),
    "checks": Text("What was checked.", "所做的检查。"),
    "header": Text("Header of the JWT.", "JWT 头。"),
    "PresentedToken.claims": Text(
        "Claims; unverified where the signature did not pass.", "claim；签名未通过时未经验证。"
    ),
    "differences": Text("Claims that would be other ones now.", "与此刻会签发的内容不同的 claim。"),
    "now": Text("What would be issued now; null: not told.", "此刻会签发的内容；null 表示不提供。"),
    "request": Text("Id of the request.", "请求编号。"),
    "at": Text("When it was refused.", "拒绝时间。"),
    "path": Text("Address of the endpoint.", "接口地址。"),
    "reason": Text(
        "What the caller was not told; null: nothing.", "未告知调用方的原因；null 表示没有。"
    ),
    # Messages
    "messages-list.failed": Text(
        "`true`: only those that were given up; `false`: only those that still wait.",
        "`true`：只查询已放弃的消息；`false`：只查询仍在等待的消息。",
    ),
    "lane": Text(
        "Queue: `notify`, `gateway` or `build`.", "队列：`notify`、`gateway` 或 `build`。"
    ),
    "job": Text("What is to be done.", "任务名称。"),
    "attempts": Text("Attempts so far.", "已尝试次数。"),
    "due_at": Text("When it is tried next.", "下次尝试时间。"),
    "failed_at": Text("When it was given up; null: it waits.", "放弃时间；null 表示仍在等待。"),
    "last_error": Text("Why the last attempt failed.", "上次失败的原因。"),
}

TEXTS = Texts(OPERATIONS, SCHEMAS, MEMBERS)
