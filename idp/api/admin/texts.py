"""What the document says about operations, schemas and members of our own API."""

from __future__ import annotations

from idp.api.texts import PROBLEM, PROBLEM_MEMBERS, Text, Texts

TITLE = Text("Administration", "平台管理")

DESCRIPTION = Text(
    """\
What an administrator of the whole installation needs and the two agreed contracts do not have: keeping people out and
letting them in again, their browser sessions, branding of tenants, privileges, failed messages.

Names are snake_case, times RFC 3339 in UTC. Lists have `limit` and `after`; their answer is `items` and `next`: give
`next` as `after` to get the page that follows, until it is null. Refusals are problem details (RFC 9457) with the
fitting HTTP status; `fields` maps each invalid field to its messages. A member or parameter that is not described here is
refused.

A caller is a person with the scope of the operation and the permission of the same name at the platform: by a role of the
platform, or as a direct grant there. For sessions and branding the permission may also be held in the tenant that the
path names.
Programs without a person are refused.
""",
    """\
供整个平台的管理员使用，补充两份约定接口所没有的功能：停用和启用账号、管理登录会话和权限、设置租户的品牌、处理发送失败的消息。

名称一律为 snake_case，时间为 RFC 3339 格式（UTC）。列表用 `limit` 和 `after` 分页，返回 `items` 和 `next`：把 `next` 作为 `after` 传入即可取得下一页，`next` 为 null 表示没有更多数据。请求被拒绝时返回相应的 HTTP 状态码和错误详情（RFC 9457），`fields` 列出各字段的错误信息。未在此说明的字段和参数一律拒绝。

调用方须为用户，令牌须带有接口的 scope，且用户在平台拥有同名权限（通过平台角色或平台上的直接授权）。登录会话和品牌设置的接口也接受在路径所指租户内拥有的权限。没有用户的程序不能调用。
""",
)

MODULES = {
    "users": Text("Users of all tenants", "账号"),
    "sessions": Text("Browser sessions of users", "登录会话"),
    "branding": Text("How pages and mails of a tenant look", "品牌设置"),
    "privileges": Text("Privileges (permissions)", "权限"),
    "messages": Text("Messages and jobs that wait or failed", "消息"),
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
    "branding-get": (
        Text("Read the branding of a tenant", "查看租户的品牌设置"),
        Text(
            "What the tenant sets; null where a default is used. For tenant 1, the platform itself, the permission is "
            "needed at the platform.",
            "返回租户自己的设置，null 表示使用默认值。租户 1 即平台本身，须在平台拥有权限。",
        ),
    ),
    "branding-replace": (
        Text("Replace the branding of a tenant", "修改租户的品牌设置"),
        Text(
            "All values are replaced; one that is missing or null gets the default. Colours with a contrast below 4.5:1, "
            "links other than https and pictures of other tenants are refused. Pages show the change at once.",
            "整体替换：缺少的值或 null 恢复默认值。对比度低于 4.5:1 的颜色、非 https 的链接、其他租户的图片一律拒绝。页面立即生效。",
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
}

SCHEMAS = {
    "Problem": PROBLEM,
    "User": Text("An account.", "账号。"),
    "UserDetail": Text("An account with its tenants and roles.", "账号及其租户和角色。"),
    "RoleOfUser": Text("A role that a user has.", "账号拥有的角色。"),
    "Session": Text("A browser session.", "浏览器中的登录会话。"),
    "EndedSessions": Text("How many sessions were ended.", "已结束的会话数。"),
    "Branding": Text("How pages and mails of a tenant look.", "租户页面和邮件的外观。"),
    "BrandingLanguages": Text("Texts by language.", "各语言的文字。"),
    "BrandingTexts": Text("Texts in one language.", "一种语言的文字。"),
    "Privilege": Text("A privilege.", "权限。"),
    "NewPrivilege": Text("A privilege to be created.", "待新建的权限。"),
    "Message": Text("A message or job that is not done.", "未完成的消息或任务。"),
    "UserPage": Text("A page of users.", "一页账号。"),
    "SessionPage": Text("A page of sessions.", "一页登录会话。"),
    "PrivilegePage": Text("A page of privileges.", "一页权限。"),
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
    # Branding
    "Branding.name": Text(
        "Name on pages and in mails; null: the name of the tenant.",
        "页面和邮件中显示的名称，null 表示租户名称。",
    ),
    "accent": Text(
        "Colour of buttons and links, as `#rrggbb`, with a contrast of 4.5:1 to white.",
        "按钮和链接的颜色，格式为 `#rrggbb`，与白色的对比度不低于 4.5:1。",
    ),
    "accent_dark": Text(
        "Colour of links on dark pages, with a contrast of 4.5:1 to `#151d2a`; null: derived from `accent`.",
        "深色页面上链接的颜色，与 `#151d2a` 的对比度不低于 4.5:1，null 表示由 `accent` 推算。",
    ),
    "logo": Text(
        "Name of a picture that was uploaded for this tenant by `POST /api/File/Image`: the last part of its address.",
        "徽标：通过 `POST /api/File/Image` 为该租户上传的图片名称，即其地址的最后一段。",
    ),
    "icon": Text("Icon of browser tabs; a picture as `logo`.", "浏览器标签页图标，要求同 `logo`。"),
    "help_uri": Text("https address of help.", "帮助页面的 https 地址。"),
    "privacy_uri": Text("https address of the privacy policy.", "隐私政策的 https 地址。"),
    "imprint_uri": Text("https address of the imprint.", "版权与主体信息页面的 https 地址。"),
    "texts": Text("Texts in the languages of the pages.", "页面各语言的文字。"),
    "en": Text("In English.", "英文。"),
    "zh": Text("In Chinese.", "中文。"),
    "sign_in": Text("Text on the sign-in page.", "登录页上的文字。"),
    "register": Text("Text on the registration page.", "注册页上的文字。"),
    "mail": Text("Text at the end of every mail.", "每封邮件末尾的文字。"),
    "concurrency_stamp": Text(
        "Stamp of the state that was read; a change with an older one is refused (409). Without it nothing is compared.",
        "读取时的版本标记；提交过期的标记返回 409，不提交则不比较。",
    ),
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
