"""What the document says about operations, schemas and members of our own API."""

from __future__ import annotations

from idp.api.texts import PROBLEM, PROBLEM_MEMBERS, Text, Texts

TITLE = Text("Administration", "平台管理")

DESCRIPTION = Text(
    """\
What administrators of the installation, and of one tenant, do by program: clients, users, sessions, branding,
audit log, keys, privileges, messages, and why a token says what it says.

Names are snake_case, times RFC 3339 in UTC. Lists have `limit` and `after`; their answer is `items` and `next`: pass
`next` as `after` to get the page that follows, until it is null. Refusals are problem details (RFC 9457) with the
fitting HTTP status; `fields` maps each invalid field to its messages. A member or parameter that is not described here is
refused. A secret is answered once, when it is created, and never again.

Reading one thing answers its `ETag`. A change (`PUT`, `PATCH`, `DELETE`) names it in `If-Match`: 428 without it, 412 when
someone else has changed the thing in the meantime; `*` changes it in whatever state it is. A `POST` may have an
`Idempotency-Key`: sent again within 24 hours by the same caller, it is not carried out again and has the same answer
(`Idempotent-Replayed: true`). Another request under the same key is refused with 422, and a repetition with 409 while
the first request is under way.

A caller is a person with the scope of the operation and the permission of the same name: at the platform, by a role of the
platform or as a direct grant there; where the path names a tenant, it may also be held in that tenant. A program without a
person needs the scope alone; a client of a tenant reaches that tenant and no other. In paths with a tenant, tenant 1
stands for the platform: whoever holds the permission there sees the rows of all tenants.
""",
    """\
供整个平台和单个租户的管理员以程序方式使用：客户端、账号、登录会话、品牌设置、审计日志、密钥、权限和消息，以及令牌解释。

名称一律为 snake_case，时间为 RFC 3339 格式（UTC）。列表用 `limit` 和 `after` 分页，返回 `items` 和 `next`：把 `next` 作为 `after` 传入即可取得下一页，`next` 为 null 表示没有更多数据。请求被拒绝时返回相应的 HTTP 状态码和错误详情（RFC 9457），`fields` 列出各字段的错误信息。未在此说明的字段和参数一律拒绝。密钥只在创建时返回一次，此后不再返回。

读取单个对象时返回 `ETag`。修改（`PUT`、`PATCH`、`DELETE`）须在 `If-Match` 中传入该值：缺少时返回 428，对象已被他人修改时返回 412；`*` 表示不检查状态。`POST` 可带 `Idempotency-Key`：同一调用方在 24 小时内重复发送时不会再次执行，返回相同的结果（`Idempotent-Replayed: true`）。同一个键用于其他请求时返回 422，前一请求仍在处理时返回 409。

调用方为用户时，令牌须带有接口的 scope，且用户拥有同名权限：通过平台角色或平台上的直接授权；路径中有租户时，也可以是在该租户内拥有的权限。没有用户的程序只需 scope，租户的客户端只能访问本租户。路径中的租户 1 表示平台：在平台拥有权限的调用方可以看到所有租户的数据。
""",
)

MODULES = {
    "overview": Text("Figures by day", "统计数据"),
    "clients": Text("OAuth clients and their secrets", "客户端及其密钥"),
    "apis": Text("Who may ask for what of APIs", "API 的开放范围"),
    "users": Text("Users of all tenants", "账号"),
    "factors": Text("Second factors of users", "两步验证"),
    "sessions": Text("Browser sessions of users", "登录会话"),
    "audit": Text("Audit log", "审计日志"),
    "branding": Text("How pages and mails of a tenant look", "品牌设置"),
    "policy": Text("What tenants require of passwords", "密码策略"),
    "privileges": Text("Privileges (permissions)", "权限"),
    "tenanttypes": Text("Types of tenants", "租户类型"),
    "bundles": Text("Bundles and who has them", "套餐及其使用情况"),
    "menus": Text("Menus of applications", "应用菜单"),
    "messages": Text("Messages and jobs that wait or failed", "消息"),
    "jobs": Text("Jobs that make SDKs", "SDK 任务"),
    "keys": Text("Signing keys", "签名密钥"),
    "settings": Text("Settings of the installation", "设置"),
    "explain": Text("Why tokens say what they say", "令牌解释"),
    "gateway": Text("Products, subscriptions and upstreams of the gateway", "网关"),
    "files": Text("Uploaded files", "文件"),
}

_REACH = Text(
    "With the permission in the tenant, users who belong to no other tenant and hold no rights that the caller lacks (404 "
    "otherwise). With the permission at the platform, all users of the tenant, and in tenant 1 everybody; "
    "users with rights of the platform by its administrators alone (403 otherwise).",
    "在租户内拥有权限时，只能操作仅属于该租户、且权限不超过调用方的用户，否则返回 404。在平台拥有权限时，可操作该租户的所有用户，"
    "在租户 1 可操作所有用户；拥有平台权限的用户只有平台管理员可以操作，否则返回 403。",
)

_CLIENTS = Text(
    "Clients of the tenant; in tenant 1 those of the platform and of all tenants.",
    "该租户的客户端；租户 1 为平台及所有租户的客户端。",
)

_GIFT = Text(
    "A client may have only management scopes that the caller holds (422); one that has more is not the caller's to change (403).",
    "客户端只能拥有调用方自己拥有的管理权限（scope），否则返回 422；权限更多的客户端，调用方不能修改（403）。",
)

_EXPLAINED = Text(
    "With the permission in the tenant alone, clients of the tenant, and its members without rights of the platform (404 "
    "otherwise).",
    "仅在租户内拥有权限时，只能解释该租户的客户端和没有平台权限的成员，否则返回 404。",
)

_IN_TENANT = Text(
    "Those in the tenant of the path; in tenant 1, with the permission at the platform, of all tenants.",
    "路径中租户的数据；租户 1 且在平台拥有权限时为所有租户的数据。",
)

_STEPS = Text(
    "At most 500 at a time: repeat the call until `remaining` is 0; it is counted up to 10,000. The"
    " tokens end too.",
    "每次最多 500 个：重复调用，直到 `remaining` 为 0（最多计到 10,000）。相关令牌同时失效。",
)

_GRANT_ENDS = Text(
    "Its tokens end; the user stays signed in. 404 when it is over already.",
    "其令牌立即失效，用户的登录会话不受影响。已失效时返回 404。",
)

_CONSENT_ENDS = Text(
    "The client's tokens for this user in this tenant end, and the user is asked again.",
    "该客户端在此租户中为该用户取得的令牌立即失效，下次登录时重新征求同意。",
)

_MENUS = Text(
    "Applications of the tenant and those of the platform, which are changed in tenant 1.",
    "该租户及平台的应用；平台的应用在租户 1 中修改。",
)

_APIS = Text(
    "APIs of the tenant; in tenant 1, with the permission at the platform, of all tenants.",
    "该租户的 API；租户 1 且在平台拥有权限时为所有租户的 API。",
)

OPERATIONS: dict[str, tuple[Text, ...]] = {
    "apis-list": (Text("List APIs", "查询 API 列表"), _APIS),
    "apis-get": (Text("Read an API", "查看 API"), _APIS),
    "apis-change": (
        Text("Change who may ask for what of an API", "修改 API 的开放范围"),
        Text(
            "What is not sent stays. An API of the product itself is never open (422).",
            "未传入的字段保持不变。系统内置的 API 不能开放（422）。",
        ),
    ),
    "overview-get": (
        Text("Read figures by day", "查看每日统计数据"),
        Text(
            "Of the tenant; in tenant 1 of all tenants, with `installation`. Days are those of UTC; the worker counts them "
            "every five minutes.",
            "该租户的数据；租户 1 为所有租户的数据，并包含 `installation`。按 UTC 日期统计，每五分钟更新一次。",
        ),
    ),
    "jobs-list": (
        Text("List SDK jobs", "查询 SDK 任务列表"),
        Text("Those of everybody, the newest first.", "所有人的任务，最新的在前。"),
    ),
    "jobs-get": (Text("Read an SDK job with its log", "查看 SDK 任务及日志"),),
    "jobs-retry": (
        Text("Retry a failed SDK job", "重试失败的 SDK 任务"),
        Text("From where it stands; 409 unless it failed.", "从中断处继续；未失败的任务返回 409。"),
    ),
    "jobs-cancel": (
        Text("Cancel an SDK job", "取消 SDK 任务"),
        Text(
            "One that waits; 409 for one that runs or is over.",
            "只能取消等待中的任务，运行中或已结束的任务返回 409。",
        ),
    ),
    "keys-list": (
        Text("List signing keys", "查询签名密钥列表"),
        Text("The newest first, with those that are gone.", "最新的在前，包括已清除的密钥。"),
    ),
    "keys-get": (Text("Read a signing key", "查看签名密钥"),),
    "keys-rotate": (
        Text("Rotate signing keys", "轮换签名密钥"),
        Text(
            "The next key signs from now on; the former one stays published until no token needs it. Without `alg`, the keys of "
            "all algorithms. At most ten times an hour.",
            "立即使用下一个密钥签名，原密钥继续公布，直到没有令牌需要它。不传 `alg` 时轮换所有算法的密钥。每小时最多十次。",
        ),
    ),
    "keys-import": (
        Text("Import a signing key", "导入签名密钥"),
        Text(
            "It becomes the next key of its algorithm, in place of the generated one, and signs after the next rotation: RSA of "
            "2048 to 4096 bits, P-256 or Ed25519. 409 for a key that was ever known. At most ten times an hour, refused ones included.",
            "导入的密钥将取代系统生成的密钥，成为该算法的下一个密钥，并在下次轮换后开始签名。支持 2048 至 4096 位 RSA、P-256 和 Ed25519。"
            "曾经使用过的密钥返回 409。每小时最多十次，包括被拒绝的请求。",
        ),
    ),
    "keys-revoke": (
        Text("Revoke a stolen signing key", "吊销泄露的签名密钥"),
        Text(
            "It is published no more: tokens that it signed stop verifying. Another key takes its place. Revoking twice is not an error.",
            "立即停止公布，由它签名的令牌不再有效，并由其他密钥接替。重复吊销不视为错误。",
        ),
    ),
    "settings-list": (
        Text("List settings", "查询设置列表"),
        Text(
            "By name. Secrets are masked; of addresses with a password, host and port are shown. Only the environment of the "
            "service changes them.",
            "按名称排序。密钥以掩码显示；含密码的地址只显示主机和端口。只能通过服务的环境变量修改。",
        ),
    ),
    "clients-list": (Text("List clients", "查询客户端列表"), _CLIENTS),
    "clients-create": (
        Text("Create a client by a preset", "按类型新建客户端"),
        Text(
            "`web`: an application with a server; `single_page`: one that runs in the browser; `native`: one on a device; "
            "`service`: a program without users. A client with a secret gets a generated one, which is answered this once. "
            f"{_GIFT.en}",
            "`web` 为有服务端的网站，`single_page` 为浏览器中的单页应用，`native` 为设备上的应用，`service` 为没有用户的程序。"
            f"需要密钥的客户端由系统生成密钥，仅在此返回一次。{_GIFT.zh}",
        ),
    ),
    "clients-get": (Text("Read a client with all settings", "查看客户端及其全部设置"),),
    "clients-change": (
        Text("Change a client", "修改客户端"),
        Text(
            f"What is not sent stays as it is; a list is replaced as a whole. {_GIFT.en}",
            f"未传的字段保持不变，列表整体替换。{_GIFT.zh}",
        ),
    ),
    "clients-delete": (
        Text("Delete a client", "删除客户端"),
        Text(
            "With its secrets, consents, grants and tokens; `live_grants` counts the sign-ins that end. 409 while it is enabled.",
            "同时删除其密钥、用户授权和令牌，`live_grants` 为将失效的登录授权数。客户端仍启用时返回 409。",
        ),
    ),
    "clients-duplicate": (
        Text("Create a client like another", "复制客户端"),
        Text(
            "All settings, lists, claims and properties are copied; secrets are not: a new one is generated where it needs one.",
            "复制全部设置、列表、声明和属性；不复制密钥，需要密钥时重新生成。",
        ),
    ),
    "clients-disable": (
        Text("Disable a client", "停用客户端"),
        Text(
            "All its requests and tokens are refused. Disabling twice is not an error.",
            "其所有请求和令牌均被拒绝。重复停用不视为错误。",
        ),
    ),
    "clients-enable": (
        Text("Enable a client", "启用客户端"),
        Text("Enabling twice is not an error.", "重复启用不视为错误。"),
    ),
    "clients-promote": (
        Text("Register a client that came by itself", "登记自行接入的客户端"),
        Text(
            "It becomes a client like those that were created here, with the scopes that it could have before. Its document "
            "is not read any more, and its people are asked for their consent once more.",
            "该客户端成为普通客户端，保留原可申请的权限范围；不再读取其描述文档，使用者须重新确认授权。",
        ),
    ),
    "clients-registration-token-list": (Text("List registration tokens", "查询注册令牌列表"),),
    "clients-registration-token-issue": (
        Text("Issue a registration token", "签发注册令牌"),
        Text(
            "An initial access token (RFC 7591): with it clients register themselves at `/connect/register`, as far as its "
            "policy goes. The token is answered this once and kept as a hash. Issued by an administrator of a tenant it is "
            "for clients of the tenant, used at the issuer of the tenant; issued at the platform, for clients of the platform.",
            "初始访问令牌（RFC 7591）：客户端凭此在 `/connect/register` 自行注册，注册内容受其策略限制。"
            "令牌仅在此返回一次，只保存摘要。租户管理员签发的令牌用于该租户的客户端，平台签发的令牌用于平台的客户端。",
        ),
    ),
    "clients-registration-token-get": (Text("Read a registration token", "查看注册令牌"),),
    "clients-registration-token-revoke": (
        Text("Revoke a registration token", "吊销注册令牌"),
        Text(
            "Nobody registers with it any more; clients that did stay, and change themselves within its policy. Revoking "
            "twice is not an error.",
            "不能再用它注册客户端；已注册的客户端保留，仍可在其策略内修改自身。重复吊销不视为错误。",
        ),
    ),
    "clients-secret-add": (
        Text("Add a secret", "添加密钥"),
        Text(
            "Generated, answered this once and kept as a hash. Older secrets stay valid.",
            "由系统生成，仅在此返回一次，只保存摘要。原有密钥仍然有效。",
        ),
    ),
    "clients-secret-get": (Text("Read what is known of a secret", "查看密钥信息"),),
    "clients-secret-change": (
        Text("Change description or expiry of a secret", "修改密钥的说明或到期时间"),
        Text("A time that is past ends the secret at once.", "到期时间早于当前时间时立即失效。"),
    ),
    "clients-secret-remove": (
        Text("Remove a secret", "删除密钥"),
        Text("It is refused from now on.", "删除后立即失效。"),
    ),
    "users-list": (
        Text("List users", "查询账号列表"),
        Text("Members of the tenant; in tenant 1 everybody.", "该租户的成员；租户 1 为全部账号。"),
    ),
    "users-create": (
        Text("Create a user", "新建账号"),
        Text(
            "The user is a member of the tenant. A password is generated and answered this once; with `send_link` the user "
            "chooses one by a link that is sent to the e-mail address and is good for 24 hours.",
            "该用户成为该租户的成员。系统生成密码，仅在此返回一次；`send_link` 为 true 时改为向邮箱发送链接，由用户在 24 小时内自行设置密码。",
        ),
    ),
    "users-get": (
        Text("Read a user with tenants and roles", "查看账号及其租户和角色"),
        Text(
            "With the permission in the tenant alone, its membership and roles.",
            "仅在租户内拥有权限时，只返回该租户的成员关系和角色。",
        ),
    ),
    "users-activity": (
        Text("List what a user did, and what was done to them", "查询账号的操作记录和被操作记录"),
        Text(
            "The newest events first; with the permission in the tenant alone, events of the tenant.",
            "最新的事件在前；仅在租户内拥有权限时，只返回该租户的事件。",
        ),
    ),
    "users-reset-link": (
        Text("Send a user a link for a new password", "发送重置密码链接"),
        Text(
            f"To the e-mail address of the account (422 without one). The password stays as it is until then. {_REACH.en}",
            f"发送到账号的邮箱，没有邮箱时返回 422。设置新密码之前，原密码保持不变。{_REACH.zh}",
        ),
    ),
    "users-sign-out": (
        Text("Sign a user out everywhere", "使用户在所有地方退出登录"),
        Text(
            f"All sessions, grants and tokens end at once. {_REACH.en}",
            f"所有登录会话、授权和令牌立即失效。{_REACH.zh}",
        ),
    ),
    "users-disable": (
        Text("Disable a user", "停用账号"),
        Text(
            "Sessions and tokens end at once. Disabling twice is not an error. Refused with 422 for one's own account and "
            f"for the last administrator of the platform. {_REACH.en}",
            f"会话和令牌立即失效。重复停用不视为错误。不能停用自己的账号，也不能停用最后一个平台管理员（422）。{_REACH.zh}",
        ),
    ),
    "users-enable": (
        Text("Enable a user", "启用账号"),
        Text(
            f"The person can sign in again. Enabling twice is not an error. {_REACH.en}",
            f"该用户可重新登录。重复启用不视为错误。{_REACH.zh}",
        ),
    ),
    "users-unlock": (
        Text("Unlock a user", "解锁账号"),
        Text(
            "Ends a lock that an administrator set until later; the delay after wrong passwords ends by itself. "
            f"Unlocking twice is not an error. {_REACH.en}",
            f"解除管理员设置的锁定；密码错误后的等待时间会自行结束。重复解锁不视为错误。{_REACH.zh}",
        ),
    ),
    "factors-get": (
        Text("Read the second factors of a user", "查询用户的两步验证方式"),
        Text(
            f"Authenticator apps, passkeys, the number of recovery codes, and whether an enrolment code is asked for. {_REACH.en}",
            f"包括验证器应用、通行密钥、剩余恢复码数量，以及登录时是否需要绑定码。{_REACH.zh}",
        ),
    ),
    "factors-remove": (
        Text("Remove a second factor of a user", "移除用户的一种两步验证方式"),
        Text(
            "The only one cannot be removed (422): reset the second factors instead. The person is notified by mail. "
            f"{_REACH.en}",
            f"唯一的一种不能移除（422），请改用重置。系统会邮件通知该用户。{_REACH.zh}",
        ),
    ),
    "factors-reset": (
        Text("Reset the second factors of a user", "重置用户的两步验证"),
        Text(
            "Removes all of them after a loss, ends sessions and tokens, and makes an enrolment code, which is answered this "
            f"once. The person is notified by mail and signs in with password and code next. {_REACH.en}",
            "用于用户丢失验证方式后：移除全部两步验证方式，结束会话和令牌，并生成绑定码，绑定码仅在此返回一次。系统会邮件通知该用户，"
            f"下次登录需要密码和绑定码。{_REACH.zh}",
        ),
    ),
    "factors-enrolment-code": (
        Text("Make an enrolment code for a user", "为用户生成绑定码"),
        Text(
            "For a person without a second factor (422 otherwise). The code replaces the last one, is valid for 24 hours, can "
            f"be used once, and is answered this once. {_REACH.en}",
            f"仅适用于未启用两步验证的用户，否则返回 422。新绑定码取代旧的，24 小时内有效，仅可使用一次，且仅在此返回一次。{_REACH.zh}",
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
    "sessions-user-grant-list": (
        Text("List the live grants of a user", "查询用户的有效登录授权列表"),
        Text(
            f"Sign-ins of the user at clients whose tokens are in force, the oldest first. {_IN_TENANT.en}",
            f"用户在各客户端的有效登录授权，最早的在前。{_IN_TENANT.zh}",
        ),
    ),
    "sessions-user-grant-end": (
        Text("End a grant of a user", "结束用户的一个登录授权"),
        _GRANT_ENDS,
    ),
    "sessions-user-grant-end-all": (
        Text("End the live grants of a user", "结束用户的所有登录授权"),
        _STEPS,
    ),
    "sessions-user-device-list": (
        Text("List the devices of a user", "查询用户的设备列表"),
        Text(
            f"Browsers that the user signed in with, by id, and until when no second factor is asked for there. {_REACH.en}",
            f"用户登录过的浏览器，按 id 排列，以及在其上免二次验证的期限。{_REACH.zh}",
        ),
    ),
    "sessions-user-device-remove": (
        Text("Remove a device of a user", "移除用户的设备"),
        Text(
            "The second factor is asked for there again, and the next sign-in counts as one from a new device. "
            "Sessions stay. 404 when it is gone already.",
            "该设备下次登录时须重新进行二次验证，并视为新设备。现有会话不受影响。设备已移除时返回 404。",
        ),
    ),
    "sessions-client-grant-list": (
        Text("List the live grants at a client", "查询客户端的有效登录授权列表"),
        Text(
            f"Sign-ins of people at the client whose tokens are in force, the oldest first. {_IN_TENANT.en}",
            f"用户在该客户端的有效登录授权，最早的在前。{_IN_TENANT.zh}",
        ),
    ),
    "sessions-client-grant-end": (
        Text("End a grant at a client", "结束客户端的一个登录授权"),
        _GRANT_ENDS,
    ),
    "sessions-client-grant-end-all": (
        Text("End the live grants at a client", "结束客户端的所有登录授权"),
        _STEPS,
    ),
    "sessions-user-consent-list": (
        Text("List the consents of a user", "查询用户的授权列表"),
        Text(
            f"What the user allows which clients, the oldest first. {_IN_TENANT.en}",
            f"用户允许各客户端访问的内容，最早的在前。{_IN_TENANT.zh}",
        ),
    ),
    "sessions-user-consent-end": (
        Text("End a consent of a user", "取消用户的一项授权"),
        _CONSENT_ENDS,
    ),
    "sessions-user-consent-end-all": (
        Text("End the consents of a user", "取消用户的所有授权"),
        _STEPS,
    ),
    "sessions-client-consent-list": (
        Text("List the consents to a client", "查询客户端获得的授权列表"),
        Text(
            f"What people allow the client, the oldest first. {_IN_TENANT.en}",
            f"用户允许该客户端访问的内容，最早的在前。{_IN_TENANT.zh}",
        ),
    ),
    "sessions-client-consent-end": (
        Text("End a consent to a client", "取消客户端的一项授权"),
        _CONSENT_ENDS,
    ),
    "sessions-client-consent-end-all": (
        Text("End the consents to a client", "取消客户端的所有授权"),
        _STEPS,
    ),
    "audit-list": (
        Text("Search the audit log", "查询审计日志"),
        Text(
            "The newest events first. `target` finds what people, administrators and the system did; what clients did at the "
            "protocol (`client:…`) is found by client, user, tag, time and request id.",
            "最新的事件在前。`target` 只查询用户、管理员和系统的操作；客户端在协议接口上的操作（`client:…`）可按客户端、用户、类型、时间和请求编号查询。",
        ),
    ),
    "audit-export": (
        Text("Export the audit log", "导出审计日志"),
        Text(
            "The newest events first, 50000 at most; `Link` names where the others are. In CSV a value that a spreadsheet "
            "would take for a formula begins with an apostrophe. That events were exported is an event itself.",
            "最新的事件在前，最多 50000 条，其余数据的地址见 `Link`。CSV 中可能被电子表格当作公式的值以单引号开头。导出操作本身也会记录在审计日志中。",
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
    "policy-get": (
        Text("Read the policy of a tenant", "查看租户的策略"),
        Text(
            "What the tenant sets; null where the policy of the platform applies. `required` is what applies to the people "
            "of the tenant: of both policies the strictest value. Tenant 1 is the platform itself: its policy applies to "
            "everybody, and the permission is needed at the platform.",
            "返回租户自己的设置，null 表示沿用平台策略。`required` 是对该租户成员实际生效的要求，取两者中较严格的值。"
            "租户 1 即平台本身，其策略对所有人生效，须在平台拥有权限。",
        ),
    ),
    "policy-replace": (
        Text("Replace the policy of a tenant", "修改租户的策略"),
        Text(
            "All values are replaced; one that is missing or null is not set. Values below those of the platform, "
            "passwords that expire without a history, and policies with which nobody could sign in are refused. Passwords "
            "that are set already stay valid. Sessions of a lower level than the one that is required are asked for it "
            "when an application next sends the person here. With `end_sessions=true` they end now, up to 500 by one "
            "call, with their tokens: those of the people whom the caller may sign out, but never the caller's own. "
            "`sessions` says how many remain; call again with the same values.",
            "整体替换：缺少的值或 null 表示不设置。低于平台要求的值、只设有效期而不设历史密码数的策略，以及会使所有人无法登录的策略，一律拒绝。"
            "已有密码仍然有效。级别不足的会话在应用下次发起登录时须补充验证。指定 `end_sessions=true` 则立即结束这些会话及其令牌，"
            "每次最多 500 个，范围限于调用者有权使其退出的人员，不含调用者本人。`sessions` 给出剩余数量，以相同的值再次调用即可继续。",
        ),
    ),
    "policy-applications-get": (
        Text("Read which applications may come in", "查看应用接入策略"),
        Text(
            "Which applications that nobody registered here the issuer of a tenant lets in. Tenant 1 is the platform; other "
            "tenants have such a policy if they have hosts of their own.",
            "返回该租户作为颁发者允许哪些未经登记的应用接入。租户 1 即平台；其他租户须有自己的域名才能设置。",
        ),
    ),
    "policy-applications-replace": (
        Text("Replace which applications may come in", "修改应用接入策略"),
        Text(
            "All values are replaced; one that is missing gets its default. Applications that are not let in any more can use "
            "none of their tokens.",
            "整体替换，缺少的值取默认值。不再允许接入的应用，其令牌全部失效。",
        ),
    ),
    "policy-role-get": (
        Text("Read the policy of a role", "查看角色的策略"),
        Text(
            "What is required of those who have the role, beside the policy of the tenant; null where nothing is set. Roles of "
            "the platform belong to tenant 1.",
            "返回对拥有该角色的人员的额外要求，null 表示不设置。平台角色属于租户 1。",
        ),
    ),
    "policy-role-replace": (
        Text("Replace the policy of a role", "修改角色的策略"),
        Text(
            "Both values are replaced. It applies to sign-ins for the tenant of the role; that of a role of the platform to "
            "all sign-ins at issuer 1. Of all policies the strictest value counts.",
            "整体替换。适用于登录该角色所属租户的人员；平台角色的策略适用于在颁发者 1 的全部登录。多个策略取最严格的值。",
        ),
    ),
    "policy-role-delete": (Text("Delete the policy of a role", "删除角色的策略"),),
    "privileges-list": (Text("List privileges", "查询权限列表"),),
    "privileges-create": (
        Text("Create a privilege", "新建权限"),
        Text(
            "Nobody holds it until a role carries it. Codes that begin with `ids4.` are reserved.",
            "角色包含该权限之后才有人拥有它。以 `ids4.` 开头的编码为系统保留。",
        ),
    ),
    "privileges-get": (Text("Read a privilege", "查看权限"),),
    "privileges-group-list": (Text("List groups of the privilege tree", "查询权限分组列表"),),
    "privileges-group-create": (Text("Create a group of the privilege tree", "新建权限分组"),),
    "privileges-group-get": (Text("Read a group of the privilege tree", "查看权限分组"),),
    "privileges-group-change": (
        Text("Change a group of the privilege tree", "修改权限分组"),
        Text("Code and parent stay as they are.", "编码和上级分组不可修改。"),
    ),
    "privileges-group-delete": (
        Text("Delete a group of the privilege tree", "删除权限分组"),
        Text("409 while a group or a privilege is in it.", "其中还有分组或权限时返回 409。"),
    ),
    "gateway-product-list": (Text("List gateway products", "查询网关产品列表"),),
    "gateway-product-create": (
        Text("Add a gateway product", "新建网关产品"),
        Text(
            "Versions of APIs may be in it from then on; clients subscribe to it.",
            "此后接口的版本可以加入该产品，客户端可以订阅。",
        ),
    ),
    "gateway-product-get": (Text("Read a gateway product", "查看网关产品"),),
    "gateway-product-change": (
        Text("Change a gateway product", "修改网关产品"),
        Text("Its id and its tenant stay as they are.", "编号和所属租户不可修改。"),
    ),
    "gateway-product-remove": (
        Text("Remove a gateway product", "删除网关产品"),
        Text(
            "With its subscriptions; 409 while a version is in it.",
            "订阅一并删除；仍有版本属于该产品时返回 409。",
        ),
    ),
    "gateway-subscription-list": (Text("List subscriptions to a product", "查询产品的订阅列表"),),
    "gateway-subscription-add": (
        Text("Subscribe a client to a product", "为客户端订阅产品"),
        Text(
            "Repeating it is not an error. The client calls with its own tokens: a subscription has no key. "
            "409 when the limit of the product is reached.",
            "重复订阅不会报错。客户端用自己的令牌调用，订阅没有单独的密钥。达到产品的订阅上限时返回 409。",
        ),
    ),
    "gateway-subscription-get": (Text("Read a subscription", "查看订阅"),),
    "gateway-subscription-suspend": (
        Text("Suspend a subscription", "暂停订阅"),
        Text(
            "Calls of the client by this product are refused within a second.",
            "该客户端通过此产品的调用会在一秒内被拒绝。",
        ),
    ),
    "gateway-subscription-resume": (Text("Resume a subscription", "恢复订阅"),),
    "gateway-subscription-remove": (Text("End a subscription", "取消订阅"),),
    "gateway-upstream-list": (Text("List allowed upstreams", "查询允许的上游地址列表"),),
    "gateway-upstream-allow": (
        Text("Allow an upstream", "允许上游地址"),
        Text(
            "For the APIs of a tenant; those of the platform use the list of tenant 1. It covers every path below it. "
            "Repeating it is not an error.",
            "供租户的接口使用；平台的接口使用租户 1 的列表。包含其下的所有路径。重复添加不会报错。",
        ),
    ),
    "gateway-upstream-get": (Text("Read an allowed upstream", "查看允许的上游地址"),),
    "gateway-upstream-remove": (
        Text("Remove an upstream", "移除上游地址"),
        Text(
            "What is published there, and at no other address of the list, can no longer be called.",
            "发布在该地址（且不在列表其他地址）的接口将无法调用。",
        ),
    ),
    "gateway-differences": (
        Text("Compare the gateway with the tables", "比较网关与数据库"),
        Text(
            "What the running gateway has, beside what is published. 409 when it does not respond.",
            "正在运行的网关与已发布内容的差异。网关没有响应时返回 409。",
        ),
    ),
    "files-list": (
        Text("List uploaded files", "查询文件列表"),
        Text("Those of all tenants, the newest first.", "所有租户的文件，最新的在前。"),
    ),
    "files-get": (Text("Read what is known of a file", "查看文件信息"),),
    "files-delete": (
        Text("Delete a file", "删除文件"),
        Text(
            "409 while a profile, a branding, the logo of a client or an SDK package names it. The worker removes its content.",
            "仍有个人资料、品牌设置、客户端图标或 SDK 包使用时返回 409。文件内容由后台任务删除。",
        ),
    ),
    "tenanttypes-list": (Text("List types of tenants", "查询租户类型列表"),),
    "tenanttypes-create": (Text("Create a type of tenants", "新建租户类型"),),
    "tenanttypes-get": (Text("Read a type of tenants", "查看租户类型"),),
    "tenanttypes-change": (
        Text("Rename a type of tenants", "重命名租户类型"),
        Text("Its code stays as it is.", "编码不可修改。"),
    ),
    "tenanttypes-delete": (
        Text("Delete a type of tenants", "删除租户类型"),
        Text("409 while a tenant or a bundle has it.", "仍有租户或套餐使用时返回 409。"),
    ),
    "bundles-get": (Text("Read a bundle with the number of its tenants", "查看套餐及其租户数"),),
    "bundles-delete": (
        Text("Delete a bundle that no tenant has", "删除没有租户使用的套餐"),
        Text("409 while a tenant has it.", "仍有租户使用时返回 409。"),
    ),
    "menus-get": (
        Text("Read the menu of an application", "查看应用的菜单"),
        _MENUS,
        Text("The `ETag` is that of all entries together.", "`ETag` 对应全部菜单项。"),
    ),
    "menus-arrange": (
        Text("Put all entries of a menu in their places", "调整菜单结构"),
        Text(
            "The list names every entry once, each after the one above it; entries beside each other in their order.",
            "列表须包含每个菜单项且仅一次，上级在前；同级按顺序排列。",
        ),
    ),
    "menus-entry-create": (
        Text("Create an entry of a menu", "新建菜单项"),
        Text("It is the last one below its parent.", "新菜单项排在上级之下的最后。"),
    ),
    "menus-entry-get": (Text("Read an entry of a menu", "查看菜单项"), _MENUS),
    "menus-entry-change": (
        Text("Change an entry of a menu", "修改菜单项"),
        Text("Its code and its place stay as they are.", "编码和位置保持不变。"),
    ),
    "menus-entry-delete": (
        Text("Delete an entry of a menu", "删除菜单项"),
        Text("409 while there are entries below it.", "仍有下级菜单项时返回 409。"),
    ),
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
    "messages-drop": (
        Text("Drop a message", "丢弃消息"),
        Text(
            "It is erased and not sent. 409 while a worker holds it, 422 for jobs of other queues than `notify`.",
            "消息被清除，不再发送。正在处理时返回 409，`notify` 以外队列的任务返回 422。",
        ),
    ),
    "messages-test": (
        Text("Send a test mail", "发送测试邮件"),
        Text(
            "To the e-mail address of the caller (422 without one), at most ten times an hour. Programs cannot call it.",
            "发送到调用方的邮箱，没有邮箱时返回 422；每小时最多十次。程序不能调用。",
        ),
    ),
}

SCHEMAS = {
    "Problem": PROBLEM,
    "Api": Text("An API.", "一个 API。"),
    "ApiPage": Text("A page of APIs.", "一页 API。"),
    "ApiChange": Text("What changes of an API.", "API 的修改内容。"),
    "Overview": Text("Figures by day.", "每日统计数据。"),
    "DayFigures": Text("What happened on a day.", "某一天的统计数据。"),
    "TokenFigures": Text("Tokens of people by grant type.", "按授权类型统计的用户令牌数。"),
    "Installation": Text("How the installation is.", "平台状态。"),
    "OpenMessages": Text("Messages and jobs that are not done.", "未完成的消息和任务。"),
    "ActiveKey": Text("The key that an algorithm signs by.", "某种算法当前使用的签名密钥。"),
    "Job": Text("A job that makes an SDK.", "SDK 任务。"),
    "Product": Text("A product of the gateway.", "网关产品。"),
    "ProductPage": Text("A page of products.", "一页网关产品。"),
    "NewProduct": Text("A product to be added.", "要新建的网关产品。"),
    "ProductChange": Text("What changes of a product.", "网关产品的修改内容。"),
    "ProductSubscription": Text(
        "The subscription of a client to a product.", "客户端对产品的订阅。"
    ),
    "ProductSubscriptionPage": Text("A page of subscriptions.", "一页订阅。"),
    "NewProductSubscription": Text("The client that subscribes.", "要订阅的客户端。"),
    "Upstream": Text("An address that calls may go to.", "允许的上游地址。"),
    "UpstreamPage": Text("A page of upstreams.", "一页上游地址。"),
    "NewUpstream": Text("An address to be allowed.", "要允许的上游地址。"),
    "Difference": Text(
        "Something in which the gateway differs from the tables.", "网关与数据库的一处差异。"
    ),
    "Comparison": Text("The gateway beside the tables.", "网关与数据库的比较结果。"),
    "File": Text("A file that was uploaded.", "已上传的文件。"),
    "FilePage": Text("A page of files.", "一页文件。"),
    "ListedJob": Text("A job as lists show it.", "列表中的 SDK 任务。"),
    "ListedJobPage": Text("A page of jobs.", "一页 SDK 任务。"),
    "SigningKey": Text("A signing key.", "签名密钥。"),
    "SigningKeyPage": Text("A page of signing keys.", "一页签名密钥。"),
    "KeyRotation": Text("Which keys are rotated.", "要轮换的密钥。"),
    "NewSigningKey": Text("A private key to be imported.", "待导入的私钥。"),
    "RotatedKeys": Text("The keys that sign from now on.", "此后使用的签名密钥。"),
    "Setting": Text("A setting of the installation.", "设置。"),
    "SettingPage": Text("A page of settings.", "一页设置。"),
    "Client": Text("A client with all settings.", "客户端及其全部设置。"),
    "ListedClient": Text("A client as lists show it.", "列表中的客户端。"),
    "NewClient": Text("A client to be created.", "待新建的客户端。"),
    "CreatedClient": Text("A new client.", "新建的客户端。"),
    "ClientCopy": Text("What the copy of a client is called.", "客户端副本的名称。"),
    "ClientSecret": Text("A secret, without its value.", "密钥信息，不含密钥本身。"),
    "NewClientSecret": Text("A secret to be generated.", "待生成的密钥。"),
    "IssuedClientSecret": Text("A new secret with its value.", "新密钥。"),
    "RegistrationToken": Text(
        "A registration token, without its value.", "注册令牌信息，不含令牌本身。"
    ),
    "RegistrationTokenPage": Text("A page of registration tokens.", "一页注册令牌。"),
    "IssuedRegistrationToken": Text("A new registration token with its value.", "新注册令牌。"),
    "NewRegistrationToken": Text("A registration token to be issued.", "待签发的注册令牌。"),
    "ListedClientPage": Text("A page of clients.", "一页客户端。"),
    "User": Text("An account.", "账号。"),
    "UserDetail": Text("An account with its tenants and roles.", "账号及其租户和角色。"),
    "NewUser": Text("An account to be created.", "待新建的账号。"),
    "CreatedUser": Text("A new account.", "新建的账号。"),
    "SignedOut": Text("How many sessions were ended.", "已结束的会话数。"),
    "RoleOfUser": Text("A role that a user has.", "账号拥有的角色。"),
    "Session": Text("A browser session.", "浏览器中的登录会话。"),
    "EndedSessions": Text("How many sessions were ended.", "已结束的会话数。"),
    "Grant": Text("A sign-in of a user at a client.", "用户在客户端的登录授权。"),
    "GrantPage": Text("A page of grants.", "一页登录授权。"),
    "Consent": Text("What a user allows a client.", "用户对客户端的授权。"),
    "ConsentPage": Text("A page of consents.", "一页授权。"),
    "Ended": Text("How many were ended, and how many are left.", "已结束和剩余的数量。"),
    "AuditEvent": Text("An event that the audit log keeps.", "审计事件。"),
    "Branding": Text("How pages and mails of a tenant look.", "租户页面和邮件的外观。"),
    "BrandingLanguages": Text("Texts by language.", "各语言的文字。"),
    "BrandingTexts": Text("Texts in one language.", "一种语言的文字。"),
    "Policy": Text(
        "What a tenant requires of its people; null: what the platform requires.",
        "租户的策略，null 表示沿用平台策略。",
    ),
    "RolePolicy": Text(
        "What is required of those who have a role; null: what the tenant requires.",
        "对拥有该角色的人员的要求，null 表示沿用租户策略。",
    ),
    "RequiredPolicy": Text("What applies to the people of a tenant.", "对租户成员实际生效的要求。"),
    "Privilege": Text("A privilege.", "权限。"),
    "NewPrivilege": Text("A privilege to be created.", "待新建的权限。"),
    "PrivilegeGroup": Text("A group of the privilege tree.", "权限分组。"),
    "NewPrivilegeGroup": Text("A group to be created.", "待新建的权限分组。"),
    "PrivilegeGroupChange": Text("What changes of a group.", "权限分组的修改内容。"),
    "PrivilegeGroupPage": Text("A page of groups.", "一页权限分组。"),
    "TenantType": Text("A type of tenants.", "租户类型。"),
    "NewTenantType": Text("A type to be created.", "待新建的租户类型。"),
    "TenantTypeChange": Text("What changes of a type.", "租户类型的修改内容。"),
    "TenantTypePage": Text("A page of types.", "一页租户类型。"),
    "BundleUse": Text("A bundle and who has it.", "套餐及其使用情况。"),
    "Menu": Text("The menu of an application.", "应用的菜单。"),
    "MenuEntry": Text("An entry of a menu.", "菜单项。"),
    "NewMenuEntry": Text("An entry to be created.", "待新建的菜单项。"),
    "MenuEntryChange": Text("What changes of an entry.", "菜单项的修改内容。"),
    "MenuPlace": Text("Where an entry stands.", "菜单项的位置。"),
    "MenuPlaces": Text("The places of all entries.", "所有菜单项的位置。"),
    "Message": Text("A message or job that is not done.", "未完成的消息或任务。"),
    "UserPage": Text("A page of users.", "一页账号。"),
    "Device": Text("A device that a user signed in with.", "用户登录过的设备。"),
    "DevicePage": Text("A page of devices.", "一页设备。"),
    "SessionPage": Text("A page of sessions.", "一页登录会话。"),
    "AuditEventPage": Text("A page of events.", "一页审计事件。"),
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
    "Factor": Text("A second factor, without its secret.", "一种两步验证方式，不含密钥。"),
    "Factors": Text("The second factors of a user.", "用户的两步验证方式。"),
    "EnrolmentCode": Text("A new enrolment code.", "新的绑定码。"),
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
    "Idempotency-Key": Text(
        "Makes a repetition of this request known: it is carried out once in 24 hours.",
        "标识本次请求：24 小时内重复发送时只执行一次。",
    ),
    "created_at": Text("When it was created.", "创建时间。"),
    "If-Match": Text(
        "ETag of the state that the change is meant for, or `*`.", "修改所针对的 ETag，或 `*`。"
    ),
    # APIs
    "apis-list.name": Text(
        "Only the API of this name. Of an address, any spelling that tokens can be asked for by.",
        "只查询该名称的 API；名称为地址时，接受令牌请求中可用的任何写法。",
    ),
    "Api.name": Text(
        "Its name, the audience of its tokens: a word, or the address that it is called at.",
        "名称，即令牌的受众：一个名称，或 API 的调用地址。",
    ),
    "Api.display_name": Text("Name shown to people; null: none.", "显示名称；null 表示无。"),
    "Api.tenant": Text(
        "Tenant that it belongs to; null: the platform.", "所属租户；null 表示平台。"
    ),
    "Api.enabled": Text("Whether tokens are issued for it.", "是否签发其令牌。"),
    "Api.scopes": Text("Its scopes.", "其 scope。"),
    "Api.default_scopes": Text(
        "Those that a request gets which names the API by `resource` and no `scope`.",
        "请求用 `resource` 指定此 API 而未传 `scope` 时授予的 scope。",
    ),
    "ApiChange.default_scopes": Text(
        "Those that a request gets which names the API by `resource` and no `scope`; scopes of the API.",
        "请求用 `resource` 指定此 API 而未传 `scope` 时授予的 scope，须为此 API 的 scope。",
    ),
    "Api.open_to_strangers": Text(
        "Whether applications that nobody registered may ask for its scopes.",
        "未经登记的应用是否可以申请其 scope。",
    ),
    "ApiChange.open_to_strangers": Text(
        "Whether applications that nobody registered may ask for its scopes.",
        "未经登记的应用是否可以申请其 scope。",
    ),
    "metadata_url": Text(
        "Where its metadata is (RFC 9728), if it is served here; null: its name is no address.",
        "其元数据地址（RFC 9728，由本系统提供时）；null 表示名称不是地址。",
    ),
    # Overview
    "overview-get.days": Text("Number of days, up to today.", "截至今天的天数。"),
    "days": Text("Days, the oldest first.", "每日数据，最早的在前。"),
    "counted_at": Text(
        "When they were last counted; null: not yet.", "最近统计时间；null 表示尚未统计。"
    ),
    "installation": Text(
        "In tenant 1 with the permission at the platform; else null.",
        "租户 1 且在平台拥有权限时返回，否则为 null。",
    ),
    "day": Text("Day (UTC).", "日期（UTC）。"),
    "sign_ins": Text("Sign-ins.", "登录次数。"),
    "sign_in_refusals": Text("Refused sign-ins.", "登录失败次数。"),
    "tokens": Text(
        "Tokens of people by grant type; those of machines leave no event to count.",
        "按授权类型统计的用户令牌数；程序的令牌没有事件，不计入。",
    ),
    "authorization_code": Text("Tokens for codes.", "用授权码换取的令牌数。"),
    "refresh_token": Text("Tokens for refresh tokens.", "用刷新令牌换取的令牌数。"),
    "new_users": Text("New users.", "新账号数。"),
    "version": Text("Version of the service.", "服务版本。"),
    "messages": Text("Messages and jobs that are not done.", "未完成的消息和任务。"),
    "waiting": Text("How many wait.", "等待中的数量。"),
    "failed": Text("How many were given up.", "已放弃的数量。"),
    "active_keys": Text("The keys that sign.", "当前使用的签名密钥。"),
    "to_do": Text(
        "What is still missing: `mail`, `https`, `second_administrator`.",
        "尚未完成的配置：`mail`、`https`、`second_administrator`。",
    ),
    # Jobs
    "jobs-list.state": Text("Only jobs in this state.", "只查询该状态的任务。"),
    "ListedJob.api": Text("Id of the microservice; null: none.", "微服务编号；null 表示无。"),
    "Job.api": Text("Id of the microservice; null: none.", "微服务编号；null 表示无。"),
    "ListedJob.user": Text(
        "Id of the user who asked for it; null: a program.", "发起任务的账号编号；null 表示程序。"
    ),
    "Job.user": Text(
        "Id of the user who asked for it; null: a program.", "发起任务的账号编号；null 表示程序。"
    ),
    "ListedJob.client": Text("Client that asked for it.", "发起任务的客户端。"),
    "Job.client": Text("Client that asked for it.", "发起任务的客户端。"),
    "generator": Text("Generator.", "生成器。"),
    "language": Text("Language; null: made to be downloaded.", "语言；null 表示仅供下载。"),
    "package": Text("Name of the package.", "包名。"),
    "ListedJob.version": Text("Version of the SDK.", "SDK 版本。"),
    "Job.version": Text("Version of the SDK.", "SDK 版本。"),
    "ListedJob.state": Text(
        "`waiting`, `running`, `done` or `failed`.", "`waiting`、`running`、`done` 或 `failed`。"
    ),
    "Job.state": Text(
        "`waiting`, `running`, `done` or `failed`.", "`waiting`、`running`、`done` 或 `failed`。"
    ),
    "error": Text("Why it failed.", "失败原因。"),
    "link": Text("Where it was published.", "发布地址。"),
    "started_at": Text("When it was last begun.", "最近开始时间。"),
    "finished_at": Text("When it was over.", "结束时间。"),
    "log": Text("End of its log, without tokens.", "日志末尾，不含令牌。"),
    # Keys
    "keys-list.state": Text("Only keys in this state.", "只查询该状态的密钥。"),
    "kid": Text("Id of the key (RFC 7638).", "密钥标识（RFC 7638）。"),
    "alg": Text("Algorithm.", "算法。"),
    "NewSigningKey.pem": Text(
        "The private key in PEM form, without a passphrase. No answer repeats it.",
        "PEM 格式的私钥，不能加密码短语。任何响应都不会返回它。",
    ),
    "NewSigningKey.alg": Text(
        "Algorithm; null: that of the key's type, RS256 for RSA.",
        "算法；null 表示按密钥类型确定，RSA 为 RS256。",
    ),
    "KeyRotation.alg": Text("Algorithm; null: all.", "算法；null 表示全部。"),
    "SigningKey.state": Text(
        "`next` (published, does not sign yet), `active`, `retired` (published until no token needs it), `gone` or `revoked`.",
        "`next`（已公布，尚未使用）、`active`、`retired`（继续公布，直到没有令牌需要它）、`gone` 或 `revoked`。",
    ),
    "public_jwk": Text("Public part (RFC 7517).", "公钥（RFC 7517）。"),
    "on_former_secret": Text(
        "Whether its private part hangs on a former secret of `IDP_SECRET_KEY`.",
        "私钥是否仍由 `IDP_SECRET_KEY` 中的旧密钥加密。",
    ),
    "activated_at": Text("When it began to sign.", "启用时间。"),
    "retired_at": Text("When it ceased to sign.", "停用时间。"),
    "publish_until": Text("Until when it stays published.", "公布截止时间。"),
    "keys": Text("The keys.", "密钥。"),
    # Settings
    "Setting.name": Text("Name of the variable.", "变量名。"),
    "Setting.value": Text(
        "Value in use; `***`: a secret that is set.", "当前值；`***` 表示已设置的密钥。"
    ),
    "source": Text("`environment` or `default`.", "`environment` 或 `default`。"),
    "secret": Text("Whether it is a secret.", "是否为密钥。"),
    "Setting.description": Text("What it means.", "含义。"),
    # Clients
    "clients-list.search": Text("Part of the client id or the name.", "客户端标识或名称的一部分。"),
    "clients-list.enabled": Text(
        "`true`: only enabled clients; `false`: only the others.",
        "`true`：只查询已启用的客户端；`false`：只查询已停用的客户端。",
    ),
    "RegistrationToken.tenant": Text(
        "Tenant that the clients belong to; null: the platform.", "客户端所属的租户；null 为平台。"
    ),
    "note": Text("Note for administrators.", "备注。"),
    "RegistrationToken.state": Text(
        "`active`, `revoked`, `expired`, or `used` (no use is left).",
        "`active`、`revoked`（已吊销）、`expired`（已过期）或 `used`（次数用完）。",
    ),
    "uses": Text(
        "How many clients may register with it; null: any number.",
        "可注册的客户端数；null 为不限。",
    ),
    "uses_left": Text(
        "How many more clients may register; null: any number.",
        "剩余可注册的客户端数；null 为不限。",
    ),
    "token": Text("The token, answered this once.", "令牌，仅在此返回一次。"),
    "redirect_hosts": Text(
        "Hosts that redirect URIs may have; `*.` at the beginning stands for one label. Empty: any.",
        "回调地址允许的主机；开头的 `*.` 代表一级域名。空为不限。",
    ),
    "RegistrationToken.scopes": Text(
        "Scopes that the clients may request. Empty: those of all clients that nobody registered.",
        "客户端可申请的权限范围。空为所有自行接入的客户端可申请的范围。",
    ),
    "revoked_at": Text("When it was revoked; null: not yet.", "吊销时间；null 表示未吊销。"),
    "NewRegistrationToken.scopes": Text(
        "Scopes that the clients may request. Empty: those of all clients that nobody registered.",
        "客户端可申请的权限范围。空为所有自行接入的客户端可申请的范围。",
    ),
    "auth_methods": Text(
        "Values of `token_endpoint_auth_method` that the clients may have.",
        "客户端可用的 `token_endpoint_auth_method`。",
    ),
    "trusted": Text(
        "Whether the clients are like those that administrators create: people see no warning.",
        "是否视同管理员登记的客户端：用户不会看到未验证提示。",
    ),
    "requires_pkce": Text(
        "`false`: confidential clients that are trusted may do without PKCE.",
        "`false`：受信任的机密客户端可不使用 PKCE。",
    ),
    "statement_issuer": Text(
        "Issuer of software statements (RFC 7591 2.3); null: none is trusted.",
        "软件声明的签发者（RFC 7591 2.3）；null 为不信任任何签发者。",
    ),
    "statement_jwks_uri": Text("Address of the keys of that issuer.", "该签发者公钥的地址。"),
    "statement_algorithms": Text(
        "Algorithms that statements may be signed with.", "软件声明允许的签名算法。"
    ),
    "statement_required": Text(
        "Whether only clients with a statement may register.", "是否只允许带软件声明的客户端注册。"
    ),
    "client_id": Text(
        "OAuth client identifier, unique; generated where a new client has none.",
        "OAuth 客户端标识，全局唯一；新建时未传则由系统生成。",
    ),
    "client_name": Text("Name that people read.", "显示名称。"),
    "kind": Text(
        "`web`, `single_page`, `native` or `service`.",
        "`web`、`single_page`、`native` 或 `service`。",
    ),
    "origin": Text(
        "Where the client comes from: `operator` (created here), `registered` (by itself), or `document` (described by the "
        "document that its id is the address of).",
        "客户端的来源：`operator`（在此创建）、`registered`（自行注册）或 `document`（由客户端 ID 所指的文档描述）。",
    ),
    "Client.tenant": Text(
        "Tenant whose members it serves; null: those of every tenant.",
        "所服务的租户；null 表示所有租户。",
    ),
    "ListedClient.tenant": Text(
        "Tenant whose members it serves; null: those of every tenant.",
        "所服务的租户；null 表示所有租户。",
    ),
    "CreatedClient.tenant": Text(
        "Tenant whose members it serves; null: those of every tenant.",
        "所服务的租户；null 表示所有租户。",
    ),
    "client_secret": Text(
        "Secret, answered this once; null: the client has none.",
        "密钥，仅返回一次；null 表示该客户端没有密钥。",
    ),
    "value": Text("The secret, answered this once.", "密钥，仅返回一次。"),
    "last_used_at": Text(
        "When it was last used, by the minute; null: not since uses are noted.",
        "最近使用时间，精确到分钟；null 表示尚无使用记录。",
    ),
    "secrets": Text("Secrets, without their values.", "密钥信息，不含密钥本身。"),
    "live_grants": Text("Sign-ins at the client that are in force.", "当前有效的登录授权数。"),
    "updated_at": Text("When it was last changed.", "最近修改时间。"),
    "enabled": Text(
        "false: all requests and tokens of the client are refused.",
        "是否启用，停用后其所有请求和令牌均被拒绝。",
    ),
    "grant_types": Text("Grant types that it may use.", "允许的授权类型。"),
    "scopes": Text("Scopes that it may ask for.", "允许申请的 scope。"),
    "redirect_uris": Text("Addresses that codes are sent to.", "授权码的回调地址。"),
    "post_logout_redirect_uris": Text(
        "Addresses that users return to after signing out.", "退出登录后的跳转地址。"
    ),
    "cors_origins": Text("Origins whose scripts may call.", "允许跨域调用的来源。"),
    "description": Text("Note for administrators.", "供管理员查看的备注。"),
    "client_uri": Text("Web page of the client (https).", "客户端网站（https）。"),
    "logo_uri": Text("Logo of the client (https).", "客户端图标（https）。"),
    "policy_uri": Text("Privacy policy of the client (https).", "隐私政策（https）。"),
    "tos_uri": Text("Terms of service of the client (https).", "服务条款（https）。"),
    "initiate_login_uri": Text(
        "Address that opens the client and signs people in there; linked on their account page (https).",
        "用于打开客户端并发起登录的地址，显示在用户的应用页面（https）。",
    ),
    "application_type": Text("`web` or `native`.", "`web` 或 `native`。"),
    "require_client_secret": Text(
        "false: a public client without a secret.", "false 表示没有密钥的公开客户端。"
    ),
    "token_endpoint_auth_method": Text(
        "How the client authenticates; null: `client_secret_basic` or `client_secret_post`.",
        "客户端认证方式；null 表示 `client_secret_basic` 或 `client_secret_post`。",
    ),
    "token_endpoint_auth_signing_alg": Text(
        "Algorithm of its assertions; null: any that is offered.",
        "断言的签名算法；null 表示任意支持的算法。",
    ),
    "jwks": Text("Its public keys (RFC 7517).", "客户端公钥（RFC 7517）。"),
    "jwks_uri": Text("Address of its public keys.", "客户端公钥的地址。"),
    "strict_assertion_audience": Text(
        "Whether assertions must name the issuer alone as audience.",
        "断言的受众是否只能是签发地址。",
    ),
    "security_profile": Text(
        "`fapi2` or `fapi2_message_signing`: rules that the client keeps to in all respects; null: none.",
        "安全规范：`fapi2` 或 `fapi2_message_signing`，客户端在各方面均须遵守；null 表示无。",
    ),
    "dpop_bound_access_tokens": Text(
        "Whether every token request needs a DPoP proof (RFC 9449); tokens are then bound to its key.",
        "每次请求令牌是否必须携带 DPoP 证明（RFC 9449），令牌随之与其密钥绑定。",
    ),
    "tls_client_certificate_bound_access_tokens": Text(
        "Whether tokens are bound to the certificate of the connection (RFC 8705).",
        "令牌是否与连接所用的证书绑定（RFC 8705）。",
    ),
    "tls_client_auth_subject_dn": Text(
        "Subject of its certificate for `tls_client_auth`, as RFC 4514 writes it.",
        "`tls_client_auth` 所用证书的主题，按 RFC 4514 书写。",
    ),
    "tls_client_auth_san_dns": Text(
        "DNS name in its certificate for `tls_client_auth`.", "`tls_client_auth` 所用证书中的域名。"
    ),
    "tls_client_auth_san_uri": Text(
        "URI in its certificate for `tls_client_auth`.", "`tls_client_auth` 所用证书中的 URI。"
    ),
    "tls_client_auth_san_ip": Text(
        "IP address in its certificate for `tls_client_auth`.",
        "`tls_client_auth` 所用证书中的 IP 地址。",
    ),
    "tls_client_auth_san_email": Text(
        "E-mail address in its certificate for `tls_client_auth`.",
        "`tls_client_auth` 所用证书中的电子邮箱。",
    ),
    "require_pushed_authorization_requests": Text(
        "Whether authorization requests must be pushed (RFC 9126).",
        "授权请求是否必须预先推送（RFC 9126）。",
    ),
    "require_signed_request_object": Text(
        "Whether authorization requests must be signed (RFC 9101).",
        "授权请求是否必须签名（RFC 9101）。",
    ),
    "request_object_signing_alg": Text(
        "Algorithm of signed authorization requests; null: any that is offered.",
        "授权请求的签名算法；null 表示任意支持的算法。",
    ),
    "response_modes": Text(
        "Response modes that it may ask for; null: `query`, `fragment` and `form_post`, and the signed ones if "
        "`authorization_signed_response_alg` is set.",
        "允许请求的响应模式；null 表示 `query`、`fragment` 和 `form_post`，设置了 "
        "`authorization_signed_response_alg` 时还包括签名的响应模式。",
    ),
    "require_pkce": Text(
        "Whether codes need a proof key (S256). false only for confidential clients.",
        "授权码是否必须使用 PKCE（S256），仅机密客户端可为 false。",
    ),
    "require_consent": Text("Whether users are asked for consent.", "是否需要用户授权。"),
    "allow_remember_consent": Text("Whether consent is remembered.", "是否记住用户的授权。"),
    "consent_lifetime": Text(
        "Seconds until users are asked again; null: never.", "授权的有效秒数，null 表示永久。"
    ),
    "allow_offline_access": Text(
        "Whether it may ask for refresh tokens (`offline_access`).",
        "是否可申请刷新令牌（`offline_access`）。",
    ),
    "default_max_age": Text(
        "Seconds after which users sign in again; null: not asked.",
        "超过该秒数须重新登录；null 表示不要求。",
    ),
    "require_acr": Text(
        "Level that every sign-in must reach: `pwd`, `mfa` or `phr`; null: any.",
        "每次登录须达到的级别：`pwd`、`mfa` 或 `phr`；null 表示不限。",
    ),
    "default_acr_values": Text(
        "Levels that are wished for where a request has no `acr_values`, the preferred one first.",
        "请求未带 `acr_values` 时希望达到的级别，优先者在前。",
    ),
    "device_requires_login": Text(
        "Whether users sign in anew for a device that has no browser: after it asked (RFC 8628).",
        "用户在无浏览器的设备上登录时，是否须在设备发起请求之后重新登录（RFC 8628）。",
    ),
    "second_factor_exempt": Text(
        "Whether it logs in people who have a second factor by the user service, without that factor. Only platform "
        "administrators exempt a client.",
        "是否可通过用户服务让已启用两步验证的用户仅凭密码等凭据登录，仅平台管理员可开启。",
    ),
    "authorization_code_lifetime": Text("Lifetime of codes in seconds.", "授权码的有效秒数。"),
    "identity_token_lifetime": Text("Lifetime of ID tokens in seconds.", "ID 令牌的有效秒数。"),
    "access_token_lifetime": Text("Lifetime of access tokens in seconds.", "访问令牌的有效秒数。"),
    "absolute_refresh_token_lifetime": Text(
        "Seconds from the sign-in until refresh tokens end.", "刷新令牌自登录起的最长有效秒数。"
    ),
    "sliding_refresh_token_lifetime": Text(
        "Seconds without use until refresh tokens end, if `refresh_token_expiration` is 0.",
        "刷新令牌未使用时的有效秒数，`refresh_token_expiration` 为 0 时生效。",
    ),
    "refresh_token_usage": Text(
        "0: refresh tokens can be used again, 1: only once.",
        "刷新令牌的使用方式：0 可重复，1 一次性。",
    ),
    "refresh_token_expiration": Text(
        "0: sliding and absolute, 1: absolute only.", "刷新令牌的过期方式：0 滑动与绝对，1 仅绝对。"
    ),
    "refresh_token_reuse_seconds": Text(
        "Seconds in which a used one-time refresh token may come again.",
        "一次性刷新令牌使用后可重复使用的秒数。",
    ),
    "access_token_type": Text("0: JWT, 1: reference token.", "访问令牌类型：0 JWT，1 引用令牌。"),
    "id_token_signed_response_alg": Text(
        "Algorithm of ID tokens; null: that of the installation.",
        "ID 令牌的签名算法；null 表示平台默认算法。",
    ),
    "userinfo_signed_response_alg": Text(
        "Algorithm of signed userinfo; null: plain JSON.",
        "用户信息的签名算法；null 表示普通 JSON。",
    ),
    "introspection_signed_response_alg": Text(
        "Algorithm of signed introspection; null: plain JSON.",
        "令牌内省的签名算法；null 表示普通 JSON。",
    ),
    "authorization_signed_response_alg": Text(
        "Algorithm of signed authorization responses (JARM); null: that of the installation.",
        "授权响应（JARM）的签名算法；null 表示平台默认算法。",
    ),
    "always_include_user_claims_in_id_token": Text(
        "Whether the ID token carries what userinfo returns.", "ID 令牌是否包含用户信息。"
    ),
    "always_send_client_claims": Text(
        "Whether tokens of users carry the client's own claims too.",
        "用户令牌是否也包含客户端声明。",
    ),
    "client_claims_prefix": Text("Prefix of the names of its claims.", "客户端声明名称的前缀。"),
    "grantable_privileges": Text(
        "Permissions that it may grant without a person; null: none.",
        "客户端无需用户即可授予的权限；null 表示无。",
    ),
    # Users
    "users-list.search": Text(
        "Part of a user name, e-mail address or phone number; among more than 20,000 people what"
        " one of these begins with.",
        "用户名、邮箱或手机号的一部分；用户超过 20,000 个时为其开头部分。",
    ),
    "users-list.role": Text(
        "Only those with this role of the tenant, or of the platform.",
        "只查询拥有该租户角色（或平台角色）的账号。",
    ),
    "NewUser.roles": Text(
        "Codes of roles of the tenant (in tenant 1, of the platform) that the user gets besides those of everybody.",
        "除默认角色外授予的租户角色编码（租户 1 为平台角色）。",
    ),
    "send_link": Text(
        "Whether the user chooses the password by a link, sent by e-mail.",
        "是否通过邮件链接由用户自行设置密码。",
    ),
    "password": Text(
        "Generated password, answered this once; null: a link was sent.",
        "系统生成的密码，仅返回一次；null 表示已发送链接。",
    ),
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
    # Audit log
    "at": Text("When it happened.", "发生时间。"),
    "tag": Text("What happened: `subject:object:action`.", "事件类型：`主体:对象:动作`。"),
    "AuditEvent.user": Text(
        "Id of the user who did it; null: no user.", "操作者的账号编号；null 表示没有用户。"
    ),
    "client": Text(
        "Client that did it, or that it was done with.", "执行操作的客户端，或操作时所用的客户端。"
    ),
    "AuditEvent.tenant": Text(
        "Id of the tenant that it happened in; null: none.", "发生操作的租户编号；null 表示无。"
    ),
    "target": Text("What it was done to, such as `user:7`.", "操作对象，例如 `user:7`。"),
    "AuditEvent.remote_addr": Text("Address of the caller.", "调用方的 IP 地址。"),
    "AuditEvent.request_id": Text("Id of the request.", "请求编号。"),
    "details": Text(
        "More about it; `changes` lists fields with the values before and after.",
        "详细信息；`changes` 列出各字段修改前后的值。",
    ),
    "audit-list.user": Text("Only what this user did.", "只查询该用户的操作。"),
    "in_tenant": Text(
        "Only what belongs to this tenant; for tenant 1 alone, with the permission at the platform.",
        "只包括该租户的数据；仅可用于租户 1，且须在平台拥有权限。",
    ),
    "audit-list.request_id": Text("Only events of this request.", "只查询该请求的事件。"),
    "audit-export.user": Text("Only what this user did.", "只导出该用户的操作。"),
    "audit-export.request_id": Text("Only events of this request.", "只导出该请求的事件。"),
    "since": Text("Only events at or after this time.", "只包括该时间及以后的事件。"),
    "until": Text(
        "Only events before this time; a day is included.", "只包括该时间以前的事件；日期包含当天。"
    ),
    "audit-export.after": Text("Only events that follow this one.", "只导出该位置之后的事件。"),
    "format": Text(
        "`csv` or `jsonl` (a JSON object on each line).", "`csv` 或 `jsonl`（每行一个 JSON 对象）。"
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
    "Device.issuer": Text(
        "Tenant at whose address the device is known; 1: the platform.",
        "设备在哪个租户的地址上使用过；1 表示平台。",
    ),
    "first_used_at": Text("When the user first signed in with it.", "首次登录时间。"),
    "Device.last_used_at": Text("When the user last signed in with it.", "最近一次登录时间。"),
    "remembered_until": Text(
        "Until when no second factor is asked for there; null: it is asked for.",
        "在此时间之前免二次验证；null 表示须验证。",
    ),
    "remote_addr": Text("Address that the user signed in from.", "登录时的 IP 地址。"),
    "user_agent": Text("What the browser said of itself.", "浏览器标识（User-Agent）。"),
    "signed_in_at": Text("When the user last signed in.", "最近一次登录时间。"),
    "last_seen_at": Text("When the session was last used.", "最近一次使用时间。"),
    "expires_at": Text("When the session ends by itself.", "到期时间。"),
    "ended": Text("Number of sessions.", "会话数。"),
    "Ended.ended": Text("How many were ended.", "已结束的数量。"),
    "remaining": Text("How many are left.", "剩余的数量。"),
    "Grant.client": Text("Id of the client's row.", "客户端的数字编号。"),
    "Consent.client": Text("Id of the client's row.", "客户端的数字编号。"),
    # Policies
    "password_length": Text(
        "Characters of a new password, at least: 8 to 64.", "新密码的最少字符数，8 到 64。"
    ),
    "password_classes": Text(
        "Kinds of characters in a new password, at least: 0 (off) to 4 of lower case letters, upper case letters, digits and "
        "others.",
        "新密码至少包含的字符种类数：小写字母、大写字母、数字、其他字符，0（不要求）到 4。",
    ),
    "password_history": Text(
        "Last passwords, with the present one, that people cannot choose again: 0 (off) to 5.",
        "不可重复使用的最近密码数（含当前密码），0（不限制）到 5。",
    ),
    "password_expiry_days": Text(
        "Days after which a password must be changed: 0 (off), or 30 to 3650. Needs a history.",
        "密码有效天数：0（不过期），或 30 到 3650。须同时设置历史密码数。",
    ),
    "password_must_change": Text(
        "Whether people must change a password that somebody else has set.",
        "他人设置的密码是否必须由本人修改。",
    ),
    "second_factor": Text(
        "Whether people have a second factor: `off` (they are not offered one), `optional`, or `required`.",
        "两步验证：`off`（不提供）、`optional`（自愿）或 `required`（必须）。",
    ),
    "level": Text(
        "Level of a sign-in where a second factor is required: `mfa`, or `phr` (a passkey).",
        "必须使用两步验证时登录须达到的级别：`mfa`，或 `phr`（通行密钥）。",
    ),
    "Policy.factors": Text(
        "Kinds of second factors that people may use: `passkey`, `totp` (authenticator apps), `sms`, `mail`.",
        "可使用的两步验证方式：`passkey`（通行密钥）、`totp`（验证器应用）、`sms`（短信验证码）、`mail`（邮件验证码）。",
    ),
    "RequiredPolicy.factors": Text(
        "Kinds of second factors that people may use: `passkey`, `totp` (authenticator apps), `sms`, `mail`.",
        "可使用的两步验证方式：`passkey`（通行密钥）、`totp`（验证器应用）、`sms`（短信验证码）、`mail`（邮件验证码）。",
    ),
    "grace_days": Text(
        "Days for which people may put off setting up a second factor that is required, from the first sign-in at which "
        "they are asked for it: 0 (none) to 90.",
        "必须设置两步验证时可推迟的天数，自首次提示之日起算，0（不可推迟）到 90。",
    ),
    "level_minutes": Text(
        "Minutes after which the level of a session ends: 0 (with the session), or 5 to 43200.",
        "会话级别的有效分钟数：0（与会话同时结束），或 5 到 43200。",
    ),
    "device_days": Text(
        "Days for which people may have a device remembered: 0 (none) to 365.",
        "可记住设备的天数，0（不记住）到 365。",
    ),
    "breached_at_sign_in": Text(
        "What follows a sign-in with a common or stolen password: `off` (nothing), `warn` (a mail), or `force` (another one "
        "is chosen).",
        "使用常见或已泄露密码登录后的处理：`off`（不处理）、`warn`（发送邮件提醒）或 `force`（必须修改）。",
    ),
    "identifier_first": Text(
        "Whether the sign-in page asks for the name first, and for the password on the next page.",
        "登录页是否先要求输入账号，再在下一页输入密码。",
    ),
    "session_hours": Text(
        "Hours that a session lasts at most where people do not stay signed in; at most `IDP_SESSION_HOURS`.",
        "未选择保持登录时会话的最长小时数，不超过 `IDP_SESSION_HOURS`。",
    ),
    "remember_days": Text(
        "Days that people stay signed in at most: 0 (they cannot), at most `IDP_REMEMBER_DAYS`.",
        "保持登录的最长天数，0（不提供），不超过 `IDP_REMEMBER_DAYS`。",
    ),
    "idle_minutes": Text(
        "Minutes without use after which a session ends: 0 (off), or 5 to 43200.",
        "会话闲置多少分钟后结束：0（不限制），或 5 到 43200。",
    ),
    "max_sessions": Text(
        "Sessions that a person may have at a time: 0 (any number) to 100. The oldest one ends.",
        "同一用户可同时拥有的会话数，0（不限制）到 100，超出时最早的会话结束。",
    ),
    "Policy.verify": Text(
        "Addresses that people confirm before they go on: `email`, `mobile`.",
        "登录时须验证的联系方式：`email`（邮箱）、`mobile`（手机号）。",
    ),
    "RequiredPolicy.verify": Text(
        "Addresses that people confirm before they go on: `email`, `mobile`.",
        "登录时须验证的联系方式：`email`（邮箱）、`mobile`（手机号）。",
    ),
    "exempt_user_ids": Text(
        "Ids of at most two administrators of the tenant of whom this policy and those of its roles require no second "
        "factor, for emergencies. Each use is mailed to all administrators.",
        "免两步验证的管理员编号，最多两名，仅供应急使用；本策略及租户角色的策略不要求其两步验证。每次使用都会通知全体管理员。",
    ),
    "clients_by_document": Text(
        "Applications whose client id is the https address of a document that describes them: `off`, `listed` (hosts in "
        "`clients_by_document_hosts`), or `any`.",
        "以描述文档的 https 地址作为客户端 ID 的应用：`off`（不允许）、`listed`（仅限 `clients_by_document_hosts` 中的域名）或 `any`（全部允许）。",
    ),
    "clients_by_document_hosts": Text(
        "Hosts that are let in; `*.` at the beginning stands for one label.",
        "允许的域名，开头的 `*.` 代表一级子域名。",
    ),
    "clients_by_document_blocked": Text(
        "Hosts and client ids that are never let in; here `*.` stands for any number of labels.",
        "禁止接入的域名和客户端 ID，此处开头的 `*.` 代表任意级子域名。",
    ),
    "clients_by_registration": Text(
        "Applications that register themselves: `off`, `token` (with an initial access token), or `any`.",
        "自行注册的应用：`off`（不允许）、`token`（须持初始访问令牌）或 `any`（全部允许）。",
    ),
    "stranger_scopes": Text(
        "Scopes that such applications may ask for, beside `openid`, `profile`, `email`, `offline_access` and those of open "
        "APIs.",
        "除 `openid`、`profile`、`email`、`offline_access` 和对外开放的 API 的权限范围外，此类应用还可申请的权限范围。",
    ),
    "end_sessions": Text(
        "Whether sessions below the level that is required end now.", "是否立即结束级别不足的会话。"
    ),
    "Policy.sessions": Text(
        "Sessions below the level that is required; null unless they were to be ended.",
        "级别不足的会话，未要求结束时为 null。",
    ),
    "PolicySessions.ended": Text("Sessions that this call ended.", "本次结束的会话数。"),
    "PolicySessions.remaining": Text("Sessions that are left.", "剩余的会话数。"),
    "Policy.required": Text(
        "What applies to the people of the tenant.", "对租户成员实际生效的要求。"
    ),
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
    # Second factors
    "Factor.id": Text("Id, by which it is removed.", "标识，移除时使用。"),
    "Factor.kind": Text(
        "`totp`: an authenticator app; `passkey`: a passkey.",
        "`totp` 表示验证器应用，`passkey` 表示通行密钥。",
    ),
    "Factor.name": Text("What the user calls it; may be empty.", "用户设置的名称，可为空。"),
    "Factor.last_used_at": Text(
        "When it was last used; null: never.", "最近使用时间；null 表示从未使用。"
    ),
    "factors-remove.factor": Text("Id of the second factor.", "两步验证方式的标识。"),
    "factors": Text(
        "Second factors: apps, then passkeys.", "两步验证方式，先列验证器应用，后列通行密钥。"
    ),
    "codes_sent_to": Text(
        "Masked addresses and numbers that codes are sent to where a policy asks for a second factor; empty for people "
        "with an app or a passkey.",
        "要求两步验证时接收验证码的邮箱和手机号（部分隐藏）；已有身份验证器应用或通行密钥的人员为空。",
    ),
    "recovery_codes_left": Text("Unused recovery codes.", "剩余恢复码数量。"),
    "needs_enrolment_code": Text(
        "Whether the next sign-in asks for an enrolment code.", "下次登录是否需要绑定码。"
    ),
    "enrolment_code_expires_at": Text(
        "Until when the code can be used; null: there is none, or it was used or has expired.",
        "绑定码的失效时间；null 表示没有绑定码，或已使用、已过期。",
    ),
    "EnrolmentCode.code": Text("The code, answered this once.", "绑定码，仅返回一次。"),
    "EnrolmentCode.expires_at": Text("Until when it can be used.", "失效时间。"),
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
    "PrivilegeGroup.code": Text("Code of the group.", "分组编码。"),
    "NewPrivilegeGroup.code": Text("Code of the group.", "分组编码。"),
    "privileges-group-get.code": Text("Code of the group.", "分组编码。"),
    "privileges-group-change.code": Text("Code of the group.", "分组编码。"),
    "privileges-group-delete.code": Text("Code of the group.", "分组编码。"),
    "parent": Text("Code of the group above; null: none.", "上级分组的编码；null 表示无。"),
    "sort": Text("Place beside others, the smallest first.", "排序号，小的在前。"),
    # Types of tenants
    "TenantType.code": Text("Code of the type.", "租户类型编码。"),
    "NewTenantType.code": Text("Code of the type.", "租户类型编码。"),
    # Gateway and files
    "product": Text("Id of the product.", "产品编号。"),
    **{
        f"{shape}.{name}": said
        for shape in ("Product", "NewProduct", "ProductChange")
        for name, said in {
            "id": Text("Id, which cannot be changed.", "编号，不可修改。"),
            "tenant": Text(
                "Tenant whose APIs may be in it; null: those of all.",
                "可加入该产品的接口所属的租户；null 表示所有租户。",
            ),
            "name": Text("Name.", "名称。"),
            "description": Text("Text for developers.", "供开发者阅读的说明。"),
            "scope": Text("Scope that tokens need; null: none.", "令牌所需的 scope；null 表示无。"),
        }.items()
        if shape != "ProductChange" or name not in {"id", "tenant"}
    },
    "terms": Text("Terms of use.", "使用条款。"),
    "subscription_required": Text(
        "false: every client has access by it.", "false 表示所有客户端无需订阅。"
    ),
    "subscriptions_limit": Text(
        "Most subscriptions; null: no limit.", "订阅数上限；null 表示不限。"
    ),
    "published": Text("false: it gives no access.", "false 表示未发布，不提供访问。"),
    "ProductSubscription.id": Text("Id of the subscription.", "订阅编号。"),
    "ProductSubscription.client": Text("`client_id` of the client.", "客户端的 `client_id`。"),
    "NewProductSubscription.client": Text("`client_id` of the client.", "客户端的 `client_id`。"),
    "suspended": Text("true: it gives no access for now.", "是否已暂停，暂停期间不提供访问。"),
    **{
        f"gateway-subscription-{act}.id": Text("Id of the subscription.", "订阅编号。")
        for act in ("get", "suspend", "resume", "remove")
    },
    **{
        f"{shape}.{name}": said
        for shape in ("Upstream", "NewUpstream")
        for name, said in {
            "id": Text("Id of the upstream.", "上游地址编号。"),
            "tenant": Text(
                "Tenant whose APIs may use it; 1: those of the platform.",
                "可使用该地址的租户；1 表示平台。",
            ),
            "url": Text("Scheme, host, port and path.", "协议、主机、端口和路径。"),
        }.items()
        if (shape, name) != ("NewUpstream", "id")
    },
    **{
        f"gateway-upstream-{act}.id": Text("Id of the upstream.", "上游地址编号。")
        for act in ("get", "remove")
    },
    "Comparison.gateway": Text(
        "`caddy`, `azure` or `local` (none).", "`caddy`、`azure` 或 `local`（无）。"
    ),
    "Comparison.differences": Text(
        "Differences; null: no gateway that has all publications.",
        "差异；null 表示没有包含全部发布内容的网关。",
    ),
    "Difference.name": Text("What the gateway calls it.", "网关中的名称。"),
    "drift": Text(
        "`missing` at the gateway, `different`, or `unknown` to the tables.",
        "`missing` 网关中缺少，`different` 不一致，`unknown` 数据库中没有。",
    ),
    "Difference.api": Text("Id of the microservice; null: none.", "微服务编号；null 表示无。"),
    "File.id": Text("Id of the file.", "文件编号。"),
    "files-get.id": Text("Id of the file.", "文件编号。"),
    "files-delete.id": Text("Id of the file.", "文件编号。"),
    "File.name": Text("Name under which it is served.", "对外提供时的文件名。"),
    "original_name": Text("Name that its sender gave it.", "上传时的文件名。"),
    "media_type": Text("Media type, by its content.", "按内容识别的媒体类型。"),
    "size": Text("Bytes.", "字节数。"),
    "File.tenant": Text("Tenant of its sender; null: none.", "上传者所属的租户；null 表示无。"),
    "File.user": Text(
        "Id of the user who uploaded it; null: a program.", "上传的账号编号；null 表示程序。"
    ),
    "File.client": Text("Client that uploaded it.", "上传的客户端。"),
    "tenanttypes-get.code": Text("Code of the type.", "租户类型编码。"),
    "tenanttypes-change.code": Text("Code of the type.", "租户类型编码。"),
    "tenanttypes-delete.code": Text("Code of the type.", "租户类型编码。"),
    # Bundles
    "BundleUse.code": Text("Code of the bundle.", "套餐编码。"),
    "BundleUse.name": Text("Name of the bundle.", "套餐名称。"),
    "tenant_type": Text("Code of the type of tenants that can have it.", "适用的租户类型编码。"),
    "initialize": Text(
        "Whether tenants of the type start with it.", "是否为该类型租户的初始套餐。"
    ),
    "BundleUse.tenants": Text("How many tenants have it.", "使用它的租户数。"),
    "bundles-get.code": Text("Code of the bundle.", "套餐编码。"),
    "bundles-delete.code": Text("Code of the bundle.", "套餐编码。"),
    # Menus
    "application": Text("Code of the application.", "应用编码。"),
    "entries": Text("All entries, each before those below it.", "所有菜单项，上级在前。"),
    "places": Text("All entries, each before those below it.", "所有菜单项，上级在前。"),
    "MenuEntry.code": Text("Code of the entry.", "菜单项编码。"),
    "NewMenuEntry.code": Text("Code of the entry.", "菜单项编码。"),
    "MenuPlace.code": Text("Code of the entry.", "菜单项编码。"),
    "menus-entry-get.code": Text("Code of the entry.", "菜单项编码。"),
    "menus-entry-change.code": Text("Code of the entry.", "菜单项编码。"),
    "menus-entry-delete.code": Text("Code of the entry.", "菜单项编码。"),
    "MenuEntry.parent": Text(
        "Code of the entry above; null: none.", "上级菜单项的编码；null 表示无。"
    ),
    "NewMenuEntry.parent": Text(
        "Code of the entry above; null: none.", "上级菜单项的编码；null 表示无。"
    ),
    "MenuPlace.parent": Text(
        "Code of the entry above; null: none.", "上级菜单项的编码；null 表示无。"
    ),
    "MenuEntry.enabled": Text("Whether it is shown.", "是否显示。"),
    "NewMenuEntry.enabled": Text("Whether it is shown.", "是否显示。"),
    "MenuEntryChange.enabled": Text("Whether it is shown.", "是否显示。"),
    "MenuPlace.enabled": Text("Whether it is shown.", "是否显示。"),
    "MenuEntry.title": Text("Title of the entry.", "菜单项标题。"),
    "NewMenuEntry.title": Text("Title of the entry.", "菜单项标题。"),
    "MenuEntryChange.title": Text("Title of the entry.", "菜单项标题。"),
    "url": Text(
        "A path of the application, or an http(s) address.", "应用内的路径，或 http(s) 地址。"
    ),
    "MenuEntry.icon": Text("Name of an icon, as the application has it.", "图标名称，由应用定义。"),
    "NewMenuEntry.icon": Text(
        "Name of an icon, as the application has it.", "图标名称，由应用定义。"
    ),
    "MenuEntryChange.icon": Text(
        "Name of an icon, as the application has it.", "图标名称，由应用定义。"
    ),
    "comment": Text("Comment.", "备注。"),
    "privilege": Text(
        "Code of the privilege whose holders see the entry; null: none.",
        "看到该菜单项所需的权限编码；null 表示无。",
    ),
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
    "Refusal.error": Text("Error code of the protocol.", "协议的错误代码。"),
    "Refusal.description": Text("What the caller is told.", "返回给调用方的说明。"),
    "check": Text("What was checked.", "所做的检查。"),
    "rule": Text("Section of the specification; null: none is known.", "规范条款；null 表示未知。"),
    "TokenContent.format": Text("`jwt` or `reference`.", "`jwt` 或 `reference`。"),
    "algorithm": Text(
        "Algorithm of the signature; null: a reference token.", "签名算法；null 表示引用令牌。"
    ),
    "audience": Text("Whom the token is for.", "令牌的受众。"),
    "expires_in": Text("Lifetime in seconds.", "有效秒数。"),
    "TokenContent.claims": Text("Claims as the token would have them.", "令牌中的 claim。"),
    "Explanation.issuer": Text("Address of the issuer.", "签发者地址。"),
    "Explanation.client": Text("`client_id` of the client.", "客户端的 `client_id`。"),
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
    "Explanation.refresh_token": Text("Whether there is a refresh token.", "是否有刷新令牌。"),
    "Explanation.scopes": Text("Scopes that were asked for.", "所请求的 scope。"),
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
    "PresentedToken.kind": Text(
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
    "RefusedRequest.at": Text("When it was refused.", "拒绝时间。"),
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
