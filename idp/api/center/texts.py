"""What the documents say about operations, schemas and members of the Authorization Center."""

from __future__ import annotations

from idp.api.texts import PROBLEM, PROBLEM_MEMBERS, Text, Texts

TITLE = Text("Authorization Center", "授权中心")

DESCRIPTION = Text(
    """\
Manages microservices, OAuth clients, code generation, files, identity resources, roles, tenants and users.

Every business outcome is HTTP 200: `code` tells what happened, 200 is success. With `code` 422, `message` is a JSON
text that maps each invalid field to its messages. HTTP statuses are left to requests that may not be made (401, 403)
or cannot be read (400, 413); their bodies are problem details (RFC 9457).

Every path is served without `/api` as well. Messages are in Chinese or English: `culture` in the query, the cookie of
that name, or `Accept-Language`.

A machine that acts for a person may say where that person is, by one IP address in the header `End-User-Address`.
Calls are then counted for that person and not for everyone whom the machine serves.
""",
    """\
微服务、客户端、代码生成、文件、身份服务、角色、租户和用户的管理接口。

所有业务结果均为 HTTP 200，以 `code` 区分，200 表示成功。`code` 为 422 时，`message` 为 JSON 文本，列出各字段的错误信息。只有无权调用（401、403）或无法读取（400、413）的请求使用 HTTP 状态码，返回体为错误详情（RFC 9457）。

所有路径均可省略 `/api` 前缀。提示信息支持中文和英文，由查询参数 `culture`、同名 Cookie 或 `Accept-Language` 决定。

代表用户调用的程序可用请求头 `End-User-Address` 传递该用户的 IP 地址（一个地址），调用次数将按该用户计算，不影响其他用户。
""",
)

MODULES = {
    "apiresource": Text("Microservices · APIs, scopes, gateway, packages", "微服务"),
    "client": Text("Clients · OAuth clients and their secrets", "客户端"),
    "codegen": Text("Code generation · generators and SDKs", "代码生成"),
    "file": Text("Files · videos, documents and images", "文件"),
    "identityresource": Text(
        "Identity resources · scopes that stand for claims about users", "身份服务"
    ),
    "role": Text("Roles · roles of tenants and of the platform", "角色"),
    "tenant": Text("Tenants · organisations, hosts and settings", "租户"),
    "user": Text("Users · accounts and registration", "用户"),
}

_CODES = Text("A bare array without the envelope.", "直接返回数组，没有外层结构。")
_REPLACES = Text(
    "Replaces every scalar: what is left out gets its default. A list that is absent stays, an empty "
    "one is cleared; rows with an id are changed, rows without one are added, rows that are not "
    "listed are removed. `data` is the id.",
    "整体替换：省略的字段恢复默认值。列表省略时保持不变，为空时清空；带 id 的行被更新，不带 id 的行被新增，"
    "未列出的行被删除。`data` 为 id。",
)
_NEW_ID = Text("`data` is the id of the new row.", "`data` 为新记录的 id。")
_ID = Text("`data` is the id.", "`data` 为 id。")
_TAKEN = Text(
    "`data` is false when the gateway did not accept the change.", "网关未接受时 `data` 为 false。"
)
_LINK = Text(
    "The link in a mail. A caller that asks for JSON subscribes; browsers, and programs that open every "
    "link, are redirected to a page with a button.",
    "邮件中的链接。请求 JSON 的调用方直接完成订阅；浏览器以及会自动打开链接的程序会被重定向到带按钮的页面。",
)

OPERATIONS: dict[str, tuple[Text, ...]] = {
    # Microservices
    "apiresource-get": (
        Text("List microservices", "微服务列表"),
        Text(
            "Only those that the caller made or was linked to; administrators of the platform see all.",
            "只返回调用方创建或关联的微服务，平台管理员可查看全部。",
        ),
    ),
    "apiresource-put": (Text("Update a microservice", "更新微服务"), _REPLACES),
    "apiresource-post": (Text("Create a microservice", "创建微服务"), _NEW_ID),
    "apiresource-detail": (Text("Get a microservice", "微服务详情"),),
    "apiresource-delete": (
        Text("Delete a microservice", "删除微服务"),
        Text(
            "Refused while clients list one of its scopes. `data` is the id.",
            "仍有客户端使用其权限时拒绝删除。`data` 为 id。",
        ),
    ),
    "apiresource-codes": (Text("List error codes of microservices", "微服务错误码表"), _CODES),
    "apiresource-scopes": (
        Text("List scope codes by API", "微服务权限代码"),
        Text(
            "Scopes that the discovery document shows, by the name of their API.",
            "在发现文档中公开的权限，按所属 API 分组。",
        ),
    ),
    "apiresource-publish": (
        Text("Publish a microservice to the gateway or update it", "发布或更新网关版本"),
        Text(
            "If the gateway does not respond, the worker tries again.",
            "网关没有响应时由后台任务重试。",
        ),
    ),
    "apiresource-authservers": (
        Text("List the OAuth servers of the gateway", "网关 OAuth 服务器列表"),
    ),
    "apiresource-products": (Text("List the products of the gateway", "网关产品包列表"),),
    "apiresource-publishrevision": (
        Text("Create a revision at the gateway", "创建网关修订版"),
        Text("It goes online when it is made the current revision.", "设为当前版本后才上线。"),
    ),
    "apiresource-publishversion": (
        Text("Create a version at the gateway", "创建网关新版本"),
        Text(
            "Callers select it by `api-version` and its name. It gets the products of its source.",
            "调用方通过 `api-version` 及版本名称选择。所属产品包与来源相同。",
        ),
    ),
    "apiresource-publishconfiguration": (
        Text("Get the last publishing request", "上次发布配置"),
        Text("`data` is null if nothing was published.", "从未发布时 `data` 为 null。"),
    ),
    "apiresource-versions": (
        Text("List the versions at the gateway with their revisions", "网关版本列表"),
    ),
    "apiresource-setonlineversion": (
        Text("Make a revision the current one", "上线指定版本"),
        Text(
            "Calls go to it from then on. A release note lists what breaks for existing callers.",
            "此后的调用使用该修订版，并自动生成发布说明，列出对现有调用方不兼容的变化。",
        ),
    ),
    "apiresource-releases": (Text("List the release notes of a gateway API", "发布说明列表"),),
    "apiresource-postrelease": (
        Text("Create a release note", "添加发布说明"),
        Text(
            "It puts nothing online. `data` is false when the gateway did not accept it.",
            "不会上线任何版本。网关未接受时 `data` 为 false。",
        ),
    ),
    "apiresource-putrelease": (Text("Update a release note", "更新发布说明"), _TAKEN),
    "apiresource-deleterelease": (Text("Delete a release note", "删除发布说明"), _TAKEN),
    "apiresource-subscriptions": (Text("List the subscribers of a microservice", "订阅者列表"),),
    "apiresource-addsubscription": (Text("Confirm a subscription", "添加订阅者"), _LINK),
    "apiresource-verifyemail": (
        Text("Send a mail that confirms a subscription", "验证订阅者邮箱"),
        Text(
            "One mail a minute and ten a day to an address; beyond that, code 300010.",
            "同一邮箱每分钟一封、每天十封，超出时返回 300010。",
        ),
    ),
    "apiresource-delsubscription": (
        Text("Cancel a subscription", "取消订阅"),
        Text(
            "The link in a mail; succeeds also if there is no subscription. A caller that asks for JSON "
            "cancels; browsers, and programs that open every link, are redirected to a page with a "
            "button.",
            "邮件中的链接，没有订阅时同样成功。请求 JSON 的调用方直接取消；浏览器以及会自动打开链接的程序会被重定向到"
            "带按钮的页面。",
        ),
    ),
    "apiresource-packages": (Text("List the SDK packages of a microservice", "包市场列表"),),
    "apiresource-postpackage": (
        Text("Add an SDK package", "添加开发包"),
        Text(
            "A name that the microservice already has is refused with 300014.",
            "同一微服务下名称重复时返回 300014。",
        ),
    ),
    "apiresource-deletepackage": (
        Text("Remove an SDK package", "删除开发包"),
        Text("Succeeds also if there is none.", "开发包不存在时同样成功。"),
    ),
    # Clients
    "client-get": (
        Text("List OAuth clients", "客户端列表"),
        Text(
            "Only those that the caller made or was linked to; administrators of the platform see all.",
            "只返回调用方创建或关联的客户端，平台管理员可查看全部。",
        ),
    ),
    "client-put": (Text("Update an OAuth client", "更新客户端"), _REPLACES),
    "client-post": (Text("Create an OAuth client", "创建客户端"), _NEW_ID),
    "client-detail": (Text("Get an OAuth client", "客户端详情"),),
    "client-delete": (Text("Delete an OAuth client", "删除客户端"), _ID),
    "client-codes": (Text("List error codes of clients", "客户端错误码表"), _CODES),
    "client-issuetoken": (
        Text("Issue a fresh token to the caller", "创建令牌"),
        Text(
            "`data` is an access token with the rights of the presented one. It never outlives that.",
            "`data` 为与当前令牌权限相同的访问令牌，有效期不超过当前令牌。",
        ),
    ),
    "client-postsecretkey": (
        Text("Add a secret to an OAuth client", "生成密钥"),
        Text(
            "`data` is the secret in clear text, shown only once. Only a hash of it is stored.",
            "`data` 为密钥明文，仅显示一次，服务器只保存其哈希值。",
        ),
    ),
    # Code generation
    "codegen-clients": (
        Text("List the client generators", "客户端生成器列表"),
        Text("Open to everybody, limited by address.", "无需令牌，按来源地址限制频率。"),
    ),
    "codegen-servers": (
        Text("List the server generators", "服务端生成器列表"),
        Text("Open to everybody, limited by address.", "无需令牌，按来源地址限制频率。"),
    ),
    "codegen-releasesdk": (
        Text("Generate an SDK and queue its release", "发布 SDK"),
        Text(
            "Releases go to npm only. The answer comes at once; its `Location` header is the address of "
            "the job.",
            "目前仅支持 npm。立即返回，响应头 `Location` 为任务地址。",
        ),
    ),
    "codegen-npmoptions": (Text("Get the npm options", "NPM 设置"),),
    "codegen-putnpmoptions": (
        Text("Replace the npm options", "更新 NPM 设置"),
        Text("How the SDKs of a microservice are released to npm.", "微服务的 NPM 发布设置。"),
    ),
    "codegen-githuboptions": (Text("Get the GitHub options", "GitHub 设置"),),
    "codegen-putgithuboptions": (
        Text("Replace the GitHub options", "更新 GitHub 设置"),
        Text("The repository that a microservice is pushed to.", "微服务的 GitHub 发布设置。"),
    ),
    "codegen-gen": (
        Text("Run a generator on an API description", "生成"),
        Text(
            "`readthedocs.gen` answers with a page in reStructuredText at once. A generator of the two "
            "lists is run by the worker; `data` is then the address of its job.",
            "`readthedocs.gen` 立即返回 reStructuredText 页面。两个列表中的生成器由后台任务运行，`data` 为任务地址。",
        ),
    ),
    # Files
    "file-post": (
        Text("Upload a video or document", "上传视频或文档"),
        Text(
            "Up to 20,000,000 bytes for a video, 10,000,000 for a document (pdf, doc, docx). `data` is "
            "its public address.",
            "视频不超过 20,000,000 字节，文档（pdf、doc、docx）不超过 10,000,000 字节。`data` 为公开地址。",
        ),
    ),
    "file-image": (
        Text("Upload an image", "上传图片"),
        Text(
            "JPEG or PNG, up to 5,242,880 bytes. It is encoded again without metadata. `data` is its "
            "public address.",
            "JPEG 或 PNG，不超过 5,242,880 字节。图片会重新编码并去除元数据。`data` 为公开地址。",
        ),
    ),
    "file-codes": (Text("List error codes of files", "文件错误码表"), _CODES),
    # Identity resources
    "identityresource-get": (
        Text("List identity resources", "身份服务列表"),
        Text(
            "Needs the permission at the platform, as all operations on identity resources do.",
            "与身份服务的其他接口一样，需要平台级权限。",
        ),
    ),
    "identityresource-put": (Text("Update an identity resource", "更新身份服务"), _REPLACES),
    "identityresource-post": (Text("Create an identity resource", "创建身份服务"), _NEW_ID),
    "identityresource-detail": (Text("Get an identity resource", "身份服务详情"),),
    "identityresource-delete": (
        Text("Delete an identity resource", "删除身份服务"),
        Text(
            "Refused while clients list it. `data` is the id.",
            "仍有客户端使用时拒绝删除。`data` 为 id。",
        ),
    ),
    "identityresource-codes": (
        Text("List error codes of identity resources", "身份服务错误码表"),
        _CODES,
    ),
    # Roles
    "role-get": (
        Text("List roles", "角色列表"),
        Text("Not paged.", "不分页。"),
    ),
    "role-put": (Text("Update a role", "更新角色"), _REPLACES),
    "role-post": (Text("Create a role", "创建角色"), _NEW_ID),
    "role-detail": (Text("Get a role", "角色详情"),),
    "role-delete": (Text("Delete a role", "删除角色"), _ID),
    "role-codes": (Text("List error codes of roles", "角色错误码表"), _CODES),
    # Tenants
    "tenant-get": (
        Text("List tenants", "租户列表"),
        Text(
            "Those that the caller administers and has the permission in; administrators of the platform "
            "see all.",
            "返回调用方管理且拥有相应权限的租户，平台管理员可查看全部。",
        ),
    ),
    "tenant-put": (Text("Update a tenant", "更新租户"), _REPLACES),
    "tenant-post": (
        Text("Create a tenant", "创建租户"),
        Text(
            "The caller becomes its administrator. `data` is the id of the new tenant.",
            "调用方成为租户管理员。`data` 为新租户的 id。",
        ),
    ),
    "tenant-detail": (Text("Get a tenant", "租户详情"),),
    "tenant-delete": (
        Text("Delete a tenant", "删除租户"),
        Text(
            "Refused while it is in use. `data` is the id.",
            "租户仍在使用时拒绝删除。`data` 为 id。",
        ),
    ),
    "tenant-info": (
        Text("Get the public data of a tenant by host", "租户详情（公共）"),
        Text(
            "`data` is a JSON text with `id`, `name` and `claims`.",
            "`data` 为 JSON 文本，包含 `id`、`name` 和 `claims`。",
        ),
    ),
    "tenant-codes": (Text("List error codes of tenants", "租户错误码表"), _CODES),
    # Users
    "user-get": (
        Text("List users", "用户列表"),
        Text(
            "Users of the token's tenant. Its owner and administrators of the platform see all, others "
            "themselves and those whom they referred.",
            "返回令牌所属租户的用户。租户所有者和平台管理员可查看全部，其他人只能查看自己及其推荐的用户。",
        ),
    ),
    "user-put": (Text("Update a user", "更新用户"), _REPLACES),
    "user-post": (Text("Create a user", "创建用户"), _NEW_ID),
    "user-detail": (Text("Get a user", "用户详情"),),
    "user-delete": (
        Text("Delete a user", "删除用户"),
        Text(
            "A user who belongs to other tenants as well only leaves this one. `data` is the id.",
            "同时属于其他租户的用户只退出当前租户。`data` 为 id。",
        ),
    ),
    "user-head": (
        Text("Check whether a phone number is registered", "用户是否存在"),
        Text(
            "A bare number and the HTTP status tell: 200 with the user's id, 404 with 0.",
            "直接返回数字，以 HTTP 状态码区分：200 返回用户 id，404 返回 0。",
        ),
    ),
    "user-codes": (Text("List error codes of users", "用户错误码表"), _CODES),
    "user-register": (
        Text("Register a user", "注册用户"),
        Text(
            "The phone number is verified, and the e-mail address too if its code is sent.",
            "需验证手机号；提交邮箱验证码时同时验证邮箱。",
        ),
    ),
    "user-verifyphone": (
        Text("Send a phone verification code", "发送手机验证码"),
        Text(
            "Six digits, valid for 5 minutes. 60 seconds between two codes, ten a day.",
            "六位数字，5 分钟内有效。两次发送间隔 60 秒，每天不超过十次。",
        ),
    ),
    "user-verifyemail": (
        Text("Send an e-mail verification code", "发送邮件验证码"),
        Text(
            "Six digits, valid for 30 minutes. 60 seconds between two codes, ten a day.",
            "六位数字，30 分钟内有效。两次发送间隔 60 秒，每天不超过十次。",
        ),
    ),
}

SCHEMAS = {
    "ApiResource": Text("A microservice: a protected API.", "微服务：受保护的 API。"),
    "ApiResourceClaim": Text("A user claim.", "用户声明。"),
    "ApiResourceGatewayApiVersion": Text(
        "A gateway API with its revisions.", "网关接口及其修订版。"
    ),
    "ApiResourceGatewayAuthorizationServer": Text(
        "An OAuth server of the gateway. Its secrets are never shown.",
        "网关的 OAuth 服务器，密钥不会返回。",
    ),
    "ApiResourceGatewayAuthorizationServerCollection": Text(
        "The OAuth servers of a gateway.", "网关的 OAuth 服务器集合。"
    ),
    "ApiResourceGatewayProduct": Text(
        "A product of the gateway. Its numbers and booleans are texts.",
        "网关产品包，其中的数字和布尔值为文本。",
    ),
    "ApiResourceGatewayProductCollection": Text("The products of a gateway.", "网关的产品包集合。"),
    "ApiResourceGatewayRelease": Text("A release note.", "发布说明。"),
    "ApiResourceGatewayRevision": Text("A revision of a gateway API.", "网关接口的修订版。"),
    "ApiResourcePackage": Text("A package of the market.", "包市场中的开发包。"),
    "ApiResourcePackageRequest": Text("A package to add.", "要添加的开发包。"),
    "ApiResourcePostReleaseRequest": Text("A release note to create.", "要添加的发布说明。"),
    "ApiResourceProperty": Text(
        "A setting of a microservice. `permission_format`, `signing_alg`, `dpop_required`, `required_acr` and `max_age` have an effect.",
        "微服务的属性，其中 `permission_format`、`signing_alg`、`dpop_required`、`required_acr` 和 `max_age` 有实际作用。",
    ),
    "ApiResourcePublishRequest": Text("How a microservice is published.", "微服务的发布配置。"),
    "ApiResourcePublishRevisionRequest": Text("A revision to create.", "要创建的修订版。"),
    "ApiResourcePublishVersionRequest": Text("A version to create.", "要创建的版本。"),
    "ApiResourcePutReleaseRequest": Text("The new text of a release note.", "发布说明的新内容。"),
    "ApiResourceScope": Text("A scope of a microservice.", "微服务的权限。"),
    "ApiResourceScopeCode": Text("A scope that clients may ask for.", "客户端可申请的权限。"),
    "ApiResourceSecret": Text(
        "A secret for introspection. Its value is never shown.",
        "用于令牌内省的密钥，其值不会返回。",
    ),
    "ApiResourceSubscription": Text("A subscriber.", "订阅者。"),
    "ApiResourceSubscriptionVerifyEmailRequest": Text("The address to confirm.", "待验证的邮箱。"),
    "ApiResultBase": Text("The envelope of an answer.", "返回结构。"),
    "PagingResultBase": Text("The envelope of a list.", "列表的返回结构。"),
    "Client": Text("An OAuth client.", "OAuth 客户端。"),
    "ClientClaim": Text("A claim about the client.", "客户端的声明。"),
    "ClientCorsOrigin": Text("An origin whose scripts may call.", "允许跨域调用的来源。"),
    "ClientGrantType": Text("A grant type that the client may use.", "客户端可使用的授权类型。"),
    "ClientLifetime": Text("How long the new token lives.", "新令牌的有效期。"),
    "ClientNewSecret": Text("A secret to add.", "要添加的密钥。"),
    "ClientPostLogoutRedirectUri": Text(
        "An address that users return to after signing out.", "退出登录后的跳转地址。"
    ),
    "ClientProperty": Text(
        "A free key and value, or a setting under its name in RFC 7591.",
        "自定义的键值，或以 RFC 7591 名称表示的设置。",
    ),
    "ClientRedirectUri": Text("An address that codes are sent to.", "授权码的回调地址。"),
    "ClientRestriction": Text("An external identity provider.", "外部身份提供方。"),
    "ClientScope": Text("A scope that the client may ask for.", "客户端可申请的权限。"),
    "ClientSecret": Text(
        "A secret of the client. Its value is never shown.", "客户端密钥，其值不会返回。"
    ),
    "Code": Text("An error code.", "错误码。"),
    "CodeGenGenRequest": Text("A generator to run.", "要运行的生成器。"),
    "CodeGenGithubOptions": Text("The repository of a microservice.", "微服务的代码仓库。"),
    "CodeGenItem": Text("A generator with its options.", "生成器及其选项。"),
    "CodeGenNpmOptions": Text("How an SDK is released to npm.", "SDK 的 NPM 发布设置。"),
    "CodeGenReleaseSdkRequest": Text("An SDK to release.", "要发布的 SDK。"),
    "FileUpload": Text(
        "One file. Its type is detected from its content.", "一个文件，类型由内容判断。"
    ),
    "IdentityResource": Text(
        "A scope that stands for claims about the user.", "代表一组用户声明的权限。"
    ),
    "Problem": PROBLEM,
    "Role": Text("A role.", "角色。"),
    "RoleClaim": Text(
        "A claim of everybody in the role. Type `permission` grants a permission; it has id 0.",
        "角色的声明。类型 `permission` 表示授予权限，其 id 为 0。",
    ),
    "Tenant": Text("A tenant.", "租户。"),
    "TenantClaim": Text("A public fact about the tenant.", "租户的公开信息。"),
    "TenantHost": Text("A host of the tenant.", "租户的域名。"),
    "TenantProperty": Text(
        "A private setting of the tenant. Its value is never shown.",
        "租户的私有设置，其值不会返回。",
    ),
    "User": Text("An account.", "用户账号。"),
    "UserClaim": Text(
        "A claim of the user. Type `permission` grants a permission.",
        "用户的声明。类型 `permission` 表示授予权限。",
    ),
    "UserFile": Text("Files of the user.", "用户的文件。"),
    "UserItem": Text("A user in a list.", "列表中的用户。"),
    "UserProperty": Text(
        "A note on the user. It is in no token.", "用户的备注属性，不会出现在令牌中。"
    ),
    "UserRegister": Text("A registration.", "注册信息。"),
    "UserRoleLink": Text("A role of the user.", "用户的角色。"),
    "UserRoleName": Text("A role by code and name.", "角色的编码和名称。"),
    "UserTenantLink": Text("A membership of the user.", "用户所属的租户。"),
    "UserVerifyEmail": Text("The address that gets a code.", "接收验证码的邮箱。"),
    "UserVerifyPhone": Text("The number that gets a code.", "接收验证码的手机号。"),
}

_ROW = Text("Id of the row; 0 in a request adds one.", "记录 id，请求中为 0 表示新增。")
_NEVER = Text("Not kept: empty in answers, rows are refused.", "不保存：返回值为空，提交会被拒绝。")
_ZERO = Text("Always 0.", "始终为 0。")
_NULL = Text("Always null.", "始终为 null。")
_TRUE = Text("Always true.", "始终为 true。")
_FALSE = Text("Always false.", "始终为 false。")

MEMBERS = {
    **PROBLEM_MEMBERS,
    "FileUpload.value": Text("Content of the file.", "文件内容"),
    # Answers and lists
    "code": Text(
        "200: success. `x-error-codes` lists the other codes of each operation.",
        "结果编码：200 表示成功，其他编码见各接口的 `x-error-codes`。",
    ),
    "codeName": Text("Name of the code.", "编码名称"),
    "message": Text(
        "A text for people. With code 422 it is a JSON text of fields and their messages.",
        "提示信息。编码为 422 时为 JSON 文本，列出各字段的错误信息。",
    ),
    "data": Text(
        "What the operation answers with. A refusal has null, or no rows.",
        "返回数据，请求被拒绝时为 null 或空列表。",
    ),
    "take": Text("Rows to return.", "返回的记录数"),
    "skip": Text("Rows to skip.", "跳过的记录数"),
    "total": Text("Rows over all pages.", "总记录数"),
    "orderby": Text(
        "Member to sort by. Empty: by id. A name that cannot be sorted by is refused.",
        "排序字段，空表示按 id 排序，不支持的字段会被拒绝。",
    ),
    "asc": Text(
        "true: ascending, false: descending. Only with `orderby`.",
        "true 升序，false 降序，与 `orderby` 一起使用。",
    ),
    "startTime": Text(
        "First day of creation, inclusive. Only the list of users uses it.",
        "创建日期的起始日（含），仅用于用户列表。",
    ),
    "endTime": Text(
        "Last day of creation, inclusive. Only the list of users uses it.",
        "创建日期的截止日（含），仅用于用户列表。",
    ),
    "id": Text("Id of the row.", "记录 id"),
    "enabled": Text("Whether it may be used.", "是否启用"),
    "name": Text("Name.", "名称"),
    "displayName": Text("Name that people read.", "显示名称"),
    "description": Text("Description.", "说明"),
    "concurrencyStamp": Text(
        "Stamp of the row. Sent with an update, it refuses one that someone else has overtaken.",
        "并发标记。更新时提交，若记录已被他人修改则拒绝更新。",
    ),
    "createDate": Text("Time of creation.", "创建时间"),
    "lastUpdateTime": Text("Time of the last change.", "最后修改时间"),
    # Microservices
    "apiresource-get.q.name": Text("Name, exact match.", "名称（精确匹配）"),
    "q.expandScopes": Text("Whether to include `scopes`.", "是否包含 `scopes`"),
    "q.expandClaims": Text("Whether to include `userClaims`.", "是否包含 `userClaims`"),
    "ApiResource.id": Text("Id of the microservice.", "微服务 id"),
    "ApiResource.name": Text(
        "Unique name, the audience of access tokens.", "唯一名称，即访问令牌的受众（aud）。"
    ),
    "ApiResource.enabled": Text(
        "false: no tokens are issued for it.", "是否启用，停用后不再签发令牌。"
    ),
    "secrets": Text("Secrets for introspection.", "用于令牌内省的密钥"),
    "ApiResource.scopes": Text("Scopes of the microservice.", "微服务的权限"),
    "userClaims": Text("User claims that are added to tokens.", "写入令牌的用户声明"),
    "ApiResource.properties": Text("Settings of the microservice.", "微服务的属性"),
    "ApiResourceClaim.id": _ROW,
    "ApiResourceClaim.type": Text("Name of the claim.", "声明名称"),
    "ApiResourceProperty.id": _ROW,
    "ApiResourceSecret.id": _ROW,
    "ApiResourceScope.id": _ROW,
    "ApiResourceScope.name": Text("Scope code, unique over all APIs.", "权限代码，全局唯一。"),
    "required": Text("Whether users cannot deselect it on the consent page.", "授权页面上是否必选"),
    "emphasize": Text("Whether the consent page emphasises it.", "授权页面上是否突出显示"),
    "showInDiscoveryDocument": Text(
        "Whether the discovery document lists it.", "是否在发现文档中公开"
    ),
    "ApiResourceSecret.value": Text(
        "Clear text, stored as a hash. Reads as a mask; absent and the mask keep it.",
        "密钥明文，以哈希保存。返回掩码；省略或提交掩码表示保持不变。",
    ),
    "ApiResourceSecret.type": Text("Always `SharedSecret`.", "始终为 `SharedSecret`。"),
    "expiration": Text("When it expires; null: never.", "过期时间，null 表示永不过期。"),
    "key": Text("Key.", "键"),
    "value": Text("Value.", "值"),
    "ApiResourceScopeCode.code": Text("Scope code.", "权限代码"),
    "ApiResourceScopeCode.name": Text("Name that people read.", "显示名称"),
    # The gateway
    "apiId": Text("Id of the API at the gateway.", "网关接口 id"),
    "ApiResourceGatewayRevision.apiId": Text(
        "`/apis/{aid};rev={number}`.", "修订版标识：`/apis/{aid};rev={number}`。"
    ),
    "aid": Text(
        "Id of the API at the gateway, perhaps with `;rev=n`.", "网关接口 id，可带 `;rev=n`。"
    ),
    "ApiResourcePublishRequest.name": Text("Name at the gateway.", "在网关中的名称"),
    "ApiResourcePublishRequest.description": Text("Description at the gateway.", "在网关中的说明"),
    "suffix": Text(
        "First part of the path at the gateway: up to 32 letters and digits.",
        "网关路径的第一段，最多 32 位字母和数字。",
    ),
    "swaggerUrl": Text("Address of the API description.", "接口描述的地址"),
    "productIds": Text(
        "Products, each as `/products/{pid}`.", "产品包，格式为 `/products/{pid}`。"
    ),
    "authorizationServerId": Text("Id of the OAuth server.", "OAuth 服务器 id"),
    "ApiResourcePublishRequest.scope": Text(
        "Scope that callers need at the gateway.", "通过网关调用所需的权限"
    ),
    "openid": Text("Id of the OpenID provider at the gateway.", "网关中的 OpenID 提供方 id"),
    "policy": Text("Policy of the gateway.", "网关策略"),
    "releaseNote": Text("Note on the revision.", "修订说明"),
    "revisionId": Text(
        "Id of the API at the gateway, perhaps with `;rev=n`.", "网关接口 id，可带 `;rev=n`。"
    ),
    "apiVersionName": Text("Name of the version.", "版本名称"),
    "notes": Text("Text of the note.", "说明内容"),
    "releaseId": Text("Last part of the id of a release note.", "发布说明 id 的最后一段"),
    "ApiResourceGatewayApiVersion.id": Text("`/apis/{aid}`.", "接口标识：`/apis/{aid}`。"),
    "ApiResourceGatewayApiVersion.name": Text("Name at the gateway.", "在网关中的名称"),
    "apiRevision": Text("Number of the revision.", "修订号"),
    "apiVersion": Text("Name of the version; null: the original.", "版本名称，原始版本为 null。"),
    "serviceUrl": Text("Address of the service behind the gateway.", "网关后端服务的地址"),
    "isCurrent": Text("Whether it is the current one.", "是否为当前版本"),
    "isOnline": Text("Whether calls reach it.", "是否在线"),
    "path": Text("First part of the path at the gateway.", "网关路径的第一段"),
    "protocols": Text("Protocols of calls.", "调用协议"),
    "apiRevisionDescription": Text("Note on the current revision.", "当前修订版的说明"),
    "apiVersionSetId": Text("Set that the versions belong to.", "所属版本集"),
    "authenticationSettings": Text(
        "OAuth server, scope and OpenID provider.", "OAuth 服务器、权限和 OpenID 提供方"
    ),
    "subscriptionKeyParameterNames": _NULL,
    "revisions": Text("Revisions, the newest first.", "修订版，最新的在前。"),
    "privateUrl": Text(
        "Path at the gateway while it is the current one.", "作为当前版本时的网关路径"
    ),
    "createdDateTime": Text("Time of creation.", "创建时间"),
    "updatedDateTime": Text("Time of the last change.", "最后修改时间"),
    "ApiResourceGatewayRelease.id": Text(
        "`/apis/{aid}/releases/{releaseId}`.", "说明标识：`/apis/{aid}/releases/{releaseId}`。"
    ),
    "ApiResourceGatewayProduct.id": Text("`/products/{pid}`.", "产品包标识：`/products/{pid}`。"),
    "terms": Text("Terms of use.", "使用条款"),
    "subscriptionRequired": Text(
        "`true` or `false`: whether callers need a subscription.",
        "`true` 或 `false`：调用是否需要订阅。",
    ),
    "approvalRequired": Text(
        "`true` or `false`: whether a subscription needs approval.",
        "`true` 或 `false`：订阅是否需要审批。",
    ),
    "subscriptionsLimit": Text("Subscriptions that a user may have.", "每个用户的订阅数上限"),
    "ApiResourceGatewayProduct.state": Text(
        "`published` or `notPublished`.", "状态：`published` 或 `notPublished`。"
    ),
    "count": Text("Number of entries.", "数量"),
    "nextLink": Text("Address of further entries.", "下一页的地址"),
    "ApiResourceGatewayProductCollection.value": Text("Products.", "产品包列表"),
    "ApiResourceGatewayAuthorizationServerCollection.value": Text(
        "OAuth servers.", "OAuth 服务器列表"
    ),
    "ApiResourceGatewayAuthorizationServer.id": Text(
        "`/authorizationServers/{sid}`.", "服务器标识：`/authorizationServers/{sid}`。"
    ),
    "clientRegistrationEndpoint": Text("Page where clients are registered.", "客户端注册页面"),
    "authorizationEndpoint": Text("Authorization endpoint.", "授权端点"),
    "authorizationMethods": Text(
        "HTTP methods of the authorization endpoint.", "授权端点的 HTTP 方法"
    ),
    "clientAuthenticationMethod": Text("How clients authenticate.", "客户端认证方式"),
    "tokenBodyParameters": Text("Further parameters of token requests.", "令牌请求的附加参数"),
    "tokenEndpoint": Text("Token endpoint.", "令牌端点"),
    "supportState": Text("Whether `state` is used.", "是否使用 `state` 参数"),
    "defaultScope": Text("Scope that is asked for by default.", "默认申请的权限"),
    "grantTypes": Text("Grant types.", "授权类型"),
    "bearerTokenSendingMethods": Text("How access tokens are sent.", "访问令牌的传递方式"),
    "ApiResourceGatewayAuthorizationServer.clientId": Text(
        "Client that the gateway uses.", "网关使用的客户端 id"
    ),
    "clientSecret": _NULL,
    "resourceOwnerUsername": _NULL,
    "resourceOwnerPassword": _NULL,
    # Subscribers and packages
    "partitionKey": Text("Id of the microservice, as text.", "微服务 id（文本）"),
    "timestamp": Text("Time of the last change.", "最后修改时间"),
    "eTag": _NULL,
    "ApiResourceSubscription.rowKey": Text("E-mail address of the subscriber.", "订阅者邮箱"),
    "ApiResourcePackage.rowKey": Text("Name of the package.", "开发包名称"),
    "ApiResourcePackageRequest.name": Text(
        "Name of the package, unique in the microservice.", "开发包名称，在微服务内唯一。"
    ),
    "packageId": Text("Name of the package.", "开发包名称"),
    "version": Text("Version of the package.", "开发包版本"),
    "publisher": Text("Who publishes it.", "发布者"),
    "link": Text("Address of the package.", "开发包地址"),
    "icon": Text("Address of its icon.", "图标地址"),
    "showIndex": Text("Position in the market.", "在市场中的排序"),
    "tags": Text("Tags, with commas between them.", "标签，用逗号分隔。"),
    "packagePlatform": Text("Package manager, such as npm.", "包管理平台，如 npm。"),
    "language": Text("Programming language.", "编程语言"),
    "apiresource-addsubscription.code": Text("Code from the mail.", "邮件中的确认码"),
    "apiresource-delsubscription.code": Text("Code from the mail.", "邮件中的取消码"),
    "email": Text("E-mail address.", "邮箱"),
    # Clients
    "q.ClientID": Text("Client id, exact match.", "客户端标识（精确匹配）"),
    "q.ClientName": Text("Name, exact match.", "客户端名称（精确匹配）"),
    "Client.id": Text(
        "Id of the row; `clientId` is the OAuth identifier.", "记录 id，OAuth 标识为 `clientId`。"
    ),
    "Client.enabled": Text(
        "false: all requests and tokens of the client are refused.",
        "是否启用，停用后其所有请求和令牌均被拒绝。",
    ),
    "clientId": Text("OAuth client identifier, unique.", "OAuth 客户端标识，全局唯一。"),
    "protocolType": Text("Always `oidc`.", "始终为 `oidc`。"),
    "clientSecrets": Text("Secrets of the client.", "客户端密钥"),
    "requireClientSecret": Text(
        "false: a public client without a secret.", "false 表示没有密钥的公开客户端。"
    ),
    "clientName": Text("Name that people read.", "显示名称"),
    "Client.description": Text("Note for administrators.", "供管理员查看的备注"),
    "clientUri": Text("Web page of the client (https).", "客户端网站（https）"),
    "logoUri": Text("Logo of the client (https).", "客户端图标（https）"),
    "requireConsent": Text("Whether users are asked for consent.", "是否需要用户授权"),
    "allowRememberConsent": Text("Whether consent is remembered.", "是否记住用户的授权"),
    "consentLifetime": Text(
        "Seconds until users are asked again; null: never.", "授权的有效秒数，null 表示永久。"
    ),
    "alwaysIncludeUserClaimsInIdToken": Text(
        "Whether the ID token carries what userinfo returns.", "ID 令牌是否包含用户信息"
    ),
    "allowedGrantTypes": Text("Grant types that it may use.", "允许的授权类型"),
    "requirePkce": Text(
        "Whether codes need a proof key (S256). false only for confidential clients.",
        "授权码是否必须使用 PKCE（S256），仅机密客户端可为 false。",
    ),
    "allowPlainTextPkce": _FALSE,
    "allowAccessTokensViaBrowser": _FALSE,
    "redirectUris": Text("Addresses that codes are sent to.", "授权码的回调地址"),
    "postLogoutRedirectUris": Text(
        "Addresses that users return to after signing out.", "退出登录后的跳转地址"
    ),
    "frontChannelLogoutUri": Text("Not offered: null.", "不支持，为 null。"),
    "frontChannelLogoutSessionRequired": _TRUE,
    "backChannelLogoutUri": Text("Not offered: null.", "不支持，为 null。"),
    "backChannelLogoutSessionRequired": _TRUE,
    "allowOfflineAccess": Text(
        "Whether it may ask for refresh tokens (`offline_access`).",
        "是否可申请刷新令牌（`offline_access`）",
    ),
    "allowedScopes": Text("Scopes that it may ask for.", "允许申请的权限"),
    "identityTokenLifetime": Text("Lifetime of ID tokens in seconds.", "ID 令牌的有效秒数"),
    "accessTokenLifetime": Text("Lifetime of access tokens in seconds.", "访问令牌的有效秒数"),
    "authorizationCodeLifetime": Text("Lifetime of codes in seconds.", "授权码的有效秒数"),
    "absoluteRefreshTokenLifetime": Text(
        "Seconds from the sign-in until refresh tokens end.", "刷新令牌自登录起的最长有效秒数"
    ),
    "slidingRefreshTokenLifetime": Text(
        "Seconds without use until refresh tokens end, if `refreshTokenExpiration` is 0.",
        "刷新令牌未使用时的有效秒数，`refreshTokenExpiration` 为 0 时生效。",
    ),
    "refreshTokenUsage": Text(
        "0: refresh tokens can be used again, 1: only once.",
        "刷新令牌的使用方式：0 可重复，1 一次性。",
    ),
    "refreshTokenExpiration": Text(
        "0: sliding and absolute, 1: absolute only.", "刷新令牌的过期方式：0 滑动与绝对，1 仅绝对。"
    ),
    "updateAccessTokenClaimsOnRefresh": Text(
        "Always true: roles and permissions are computed again at each refresh.",
        "始终为 true：每次刷新都会重新计算角色和权限。",
    ),
    "accessTokenType": Text("0: JWT, 1: reference token.", "访问令牌类型：0 JWT，1 引用令牌。"),
    "enableLocalLogin": _TRUE,
    "identityProviderRestrictions": Text("Always empty.", "始终为空。"),
    "includeJwtId": _TRUE,
    "Client.claims": Text("Claims about the client.", "客户端的声明"),
    "alwaysSendClientClaims": Text(
        "Whether tokens of users carry them too.", "用户令牌是否也包含客户端声明"
    ),
    "clientClaimsPrefix": Text("Prefix of the names of its claims.", "客户端声明名称的前缀"),
    "pairWiseSubjectSalt": Text("Not offered: null.", "不支持，为 null。"),
    "allowedCorsOrigins": Text("Origins whose scripts may call.", "允许跨域调用的来源"),
    "Client.properties": Text(
        "Free keys and values, and settings under their names in RFC 7591.",
        "自定义的键值，以及以 RFC 7591 名称表示的设置。",
    ),
    "ClientClaim.id": _ROW,
    "ClientCorsOrigin.id": _ROW,
    "ClientGrantType.id": _ROW,
    "ClientPostLogoutRedirectUri.id": _ROW,
    "ClientProperty.id": _ROW,
    "ClientRedirectUri.id": _ROW,
    "ClientRestriction.id": _ROW,
    "ClientScope.id": _ROW,
    "ClientSecret.id": _ROW,
    "ClientClaim.type": Text("Name of the claim, without the prefix.", "声明名称（不含前缀）"),
    "ClientSecret.type": Text("Always `SharedSecret`.", "始终为 `SharedSecret`。"),
    "ClientSecret.value": Text(
        "Clear text of 24 to 200 characters, stored as a hash. Reads as a mask; absent and the mask "
        "keep it.",
        "密钥明文，24 至 200 个字符，以哈希保存。返回掩码；省略或提交掩码表示保持不变。",
    ),
    "origin": Text("Scheme, host and port, as browsers send it.", "来源：协议、域名和端口。"),
    "grantType": Text(
        "`authorization_code`, `refresh_token` or `client_credentials`.",
        "授权类型：`authorization_code`、`refresh_token` 或 `client_credentials`。",
    ),
    "redirectUri": Text("Address, compared exactly.", "地址，精确匹配。"),
    "postLogoutRedirectUri": Text("Address, compared exactly.", "地址，精确匹配。"),
    "provider": Text("Name of the provider.", "提供方名称"),
    "ClientScope.scope": Text("Scope code.", "权限代码"),
    "lifetime": Text(
        "Seconds; below 1 it is 3600. Never longer than the presented token.",
        "有效秒数，小于 1 时为 3600，不超过当前令牌的有效期。",
    ),
    "keyType": Text(
        "Ignored: the server hashes the secret itself.", "忽略：由服务器自行计算哈希。"
    ),
    "plaintext": Text("Secret to use; null: one is generated.", "密钥明文，null 表示自动生成。"),
    # Code generation
    "fromCache": Text(
        "false: ask the generator again, a few times an hour.",
        "false 表示重新读取，每小时次数有限。",
    ),
    "options": Text("Options of the generator, by name.", "生成器选项，键为选项名称。"),
    "codegen-npmoptions.language": Text(
        "`angular2` or `jQuery`, or 0 or 1.", "语言：`angular2`、`jQuery`，或 0、1。"
    ),
    "codegen-putnpmoptions.language": Text(
        "`angular2` or `jQuery`, or 0 or 1.", "语言：`angular2`、`jQuery`，或 0、1。"
    ),
    "CodeGenItem.language": Text("Name of the generator.", "生成器名称"),
    "genName": Text(
        "`readthedocs.gen`, or a generator of the lists.", "`readthedocs.gen`，或列表中的生成器。"
    ),
    "CodeGenGenRequest.apiId": Text(
        "Microservice that the SDK is entered for.", "SDK 所属微服务的 id"
    ),
    "CodeGenReleaseSdkRequest.apiId": Text("Id of the microservice.", "微服务 id"),
    "CodeGenReleaseSdkRequest.language": Text(
        "0 or `angular2`, 1 or `jQuery`.", "语言：0 或 `angular2`，1 或 `jQuery`。"
    ),
    "platform": Text(
        "0: npm. The others (nuget, gradle, spm) are refused.",
        "平台：0 npm，其他（nuget、gradle、spm）暂不支持。",
    ),
    "CodeGenNpmOptions.name": Text("Name of the package.", "包名称"),
    "sdkName": Text("Name of the generated class.", "生成的类名"),
    "CodeGenNpmOptions.version": Text(
        "Version in three parts; each release raises the last.",
        "三段版本号，每次发布递增最后一段。",
    ),
    "homepage": Text("Home page (http or https).", "主页（http 或 https）"),
    "author": Text("Author.", "作者"),
    "keywords": Text("Keywords.", "关键字"),
    "token": Text(
        "Access token. Reads as a mask; absent and the mask keep it.",
        "访问令牌。返回掩码；省略或提交掩码表示保持不变。",
    ),
    "license": Text("Licence (SPDX).", "许可证（SPDX）"),
    "readme": Text(
        "Readme; `<%SdkCode%>` stands for the generated operations.",
        "说明文件，`<%SdkCode%>` 会替换为生成的接口。",
    ),
    "userAgent": Text("User agent for requests to GitHub.", "访问 GitHub 时的 User-Agent"),
    "owner": Text("Owner of the repository.", "仓库所有者"),
    "repo": Text("Name of the repository.", "仓库名称"),
    "syncLabels": Text("Whether to create a label for each operation.", "是否为每个接口创建标签"),
    "syncDocs": Text("Whether to add documentation pages.", "是否同步文档"),
    # Identity resources
    "q.Name": Text("Name, exact match.", "名称（精确匹配）"),
    "IdentityResource.id": Text("Id of the identity resource.", "身份服务 id"),
    "IdentityResource.name": Text("Unique scope name.", "唯一的权限名称"),
    "IdentityResource.userClaims": Text("Claims that the scope releases.", "该权限对应的用户声明"),
    # Roles
    "Role.id": Text("Id of the role.", "角色 id"),
    "Role.name": Text("Code that programs compare.", "角色编码，供程序判断。"),
    "UserRoleName.id": Text("Id of the role.", "角色 id"),
    "UserRoleName.name": Text("Code that programs compare.", "角色编码，供程序判断。"),
    "normalizedName": Text("Name that people read.", "显示名称"),
    "Role.claims": Text(
        "Claims of everybody in the role; type `permission` is a permission.",
        "角色的声明，类型 `permission` 表示权限。",
    ),
    "Role.tenantId": Text(
        "Tenant of the role; null: a role of the platform.", "所属租户的 id，null 表示平台角色。"
    ),
    "RoleClaim.id": Text("Id of the row; permissions have 0.", "记录 id，权限为 0。"),
    "roleId": Text("Id of the role.", "角色 id"),
    "claimType": Text("Type of the claim.", "声明类型"),
    "claimValue": Text("Value of the claim.", "声明的值"),
    # Tenants
    "q.Host": Text("Host, exact match.", "域名（精确匹配）"),
    "host": Text("Host, with its port if it has one.", "域名，有端口时须包含端口。"),
    "Tenant.id": Text("Id of the tenant.", "租户 id"),
    "Tenant.name": Text("Name of the tenant.", "租户名称"),
    "theme": Text(
        "Name of a palette of the pages, such as `teal`; any other name has no effect.",
        "页面配色名称，例如 `teal`，其他名称不起作用。",
    ),
    "Tenant.status": Text(
        "0: created, 1: enabled, 2: disabled.", "状态：0 已创建，1 启用，2 停用。"
    ),
    "identityServerIssuerUri": Text(
        "Host that issuer addresses are made of; null: the first host.",
        "签发地址所用的域名，null 表示第一个域名。",
    ),
    "hosts": Text("Hosts of the tenant.", "租户的域名"),
    "Tenant.claims": Text("Public facts about the tenant.", "租户的公开信息"),
    "cacheDuration": Text("Seconds that callers may keep the public data.", "公开信息可缓存的秒数"),
    "ownerUserId": Text(
        "User who has been administrator for longest; 0: none.",
        "担任管理员时间最长的用户 id，没有时为 0。",
    ),
    "Tenant.properties": Text("Private settings.", "私有设置"),
    "TenantClaim.id": _ROW,
    "TenantHost.id": _ROW,
    "TenantProperty.id": _ROW,
    "appTenantId": Text("Id of the tenant.", "租户 id"),
    "hostName": Text("Host, with its port if it has one.", "域名，有端口时须包含端口。"),
    "TenantProperty.value": Text(
        "Stored encrypted. Reads as a mask; absent and the mask keep it.",
        "加密保存。返回掩码；省略或提交掩码表示保持不变。",
    ),
    # Users
    "q.email": Text("E-mail address, exact match.", "邮箱（精确匹配）"),
    "user-get.q.name": Text("User name or a part of it.", "用户名（模糊匹配）"),
    "q.phoneNumber": Text("Phone number, exact match.", "手机号（精确匹配）"),
    "q.roles": Text(
        "Ids of roles with commas between them; all must be held.",
        "角色 id，用逗号分隔，须全部拥有。",
    ),
    "PhoneNumber": Text("Phone number.", "手机号"),
    "User.id": Text("Id of the user.", "用户 id"),
    "userId": Text("Id of the user.", "用户 id"),
    "userName": Text(
        "User name; empty in a request: the e-mail address.", "用户名，提交时为空表示使用邮箱。"
    ),
    "normalizedUserName": Text("User name in its comparable form.", "规范化的用户名"),
    "normalizedEmail": Text("E-mail address in its comparable form.", "规范化的邮箱"),
    "emailConfirmed": Text("Whether the e-mail address is verified.", "邮箱是否已验证"),
    "passwordHash": Text(
        "Takes a password in clear text; empty: none, or as before. Always null in answers.",
        "提交密码明文，空表示没有密码或保持不变。返回值始终为 null。",
    ),
    "securityStamp": _NULL,
    "phoneNumber": Text("Phone number.", "手机号"),
    "phoneNumberConfirmed": Text("Whether the phone number is verified.", "手机号是否已验证"),
    "twoFactorEnabled": Text(
        "Whether the user has a second factor. It cannot be set here: another value is refused.",
        "是否已启用两步验证。不能在此修改，提交其他值会被拒绝。",
    ),
    "lockoutEnd": Text("End of the lockout; null: not locked.", "锁定截止时间，null 表示未锁定。"),
    "lockoutEnabled": Text("Whether the account can be locked.", "是否可锁定"),
    "accessFailedCount": Text("Failed sign-ins.", "登录失败次数"),
    "userKey": Text("Second unique id of the user (UUID).", "用户的另一个唯一标识（UUID）"),
    "parentUserID": Text(
        "Referrer; 0 in a request: the caller.", "推荐人 id，提交时为 0 表示调用方。"
    ),
    "parentUserName": Text("User name of the referrer.", "推荐人用户名"),
    "lineage": Text(
        "Ids of the referrers above, such as `/1/5/`.", "各级推荐人的 id，如 `/1/5/`。"
    ),
    "lineageIDs": _NULL,
    "avatar": Text("Address of the picture.", "头像地址"),
    "isDeleted": _FALSE,
    "roles": Text("Roles of the user.", "用户的角色"),
    "claims": Text("Claims of the user.", "用户的声明"),
    "logins": _NEVER,
    "tokens": _NEVER,
    "tenants": Text("Tenants that the user belongs to.", "用户所属的租户"),
    "files": Text("Files of the user.", "用户的文件"),
    "clients": _NEVER,
    "apiResources": _NEVER,
    "distributors": _NEVER,
    "properties": Text("Notes on the user.", "用户的备注属性"),
    "typeIDs": Text("Ids of types, with commas between them.", "类型 id，用逗号分隔。"),
    "nickName": Text("Nickname.", "昵称"),
    "gender": Text("Gender.", "性别"),
    "address": Text("Address.", "地址"),
    "birthday": Text("Day of birth.", "出生日期"),
    "stature": Text("Height.", "身高"),
    "weight": Text("Weight.", "体重"),
    "User.description": Text("What the user says about themselves.", "个人简介"),
    "UserRegister.description": Text("What the user says about themselves.", "个人简介"),
    "remark": Text("Note for administrators.", "供管理员查看的备注"),
    "tenantId": Text("Id of the tenant.", "租户 id"),
    "UserClaim.id": _ROW,
    "UserFile.id": _ROW,
    "UserProperty.id": _ROW,
    "UserTenantLink.id": _ROW,
    "fileType": Text("0: pictures, 1: video, 2: document.", "文件类型：0 图片，1 视频，2 文档。"),
    "UserFile.files": Text(
        "One address; for pictures also a JSON array of them, as text.",
        "文件地址，图片也可以是 JSON 数组文本。",
    ),
    "distributionID": _ZERO,
    "members": _ZERO,
    "membersLastUpdate": _NULL,
    "sales": _ZERO,
    "salesLastUpdate": _NULL,
    "earned": _ZERO,
    "earnedDiff": _ZERO,
    "earnedDiffLastUpdate": _NULL,
    "commission": _ZERO,
    "commissionLastUpdate": _NULL,
    "commissionLv1": _ZERO,
    "commissionLv1LastUpdate": _NULL,
    "commissionLv2": _ZERO,
    "commissionLv2LastUpdate": _NULL,
    "commissionLv3": _ZERO,
    "commissionLv3LastUpdate": _NULL,
    "phoneNumberVerifyCode": Text("Code that the phone received.", "手机验证码"),
    "emailVerifyCode": Text(
        "Code that the e-mail address received; null: the address stays unverified.",
        "邮箱验证码，null 表示不验证邮箱。",
    ),
    "imageUrl": Text("Addresses of pictures.", "图片地址"),
    "video": Text("Address of a video.", "视频地址"),
    "doc": Text("Address of a document.", "文档地址"),
    "UserRegister.password": Text("Password in clear text.", "密码（明文）"),
    # Error codes
    "Code.code": Text("Number of the code.", "错误码"),
    "Code.name": Text("Name of the code.", "错误码名称"),
    "Code.description": Text(
        "What it means, in the language of the caller.", "错误说明，语言随调用方。"
    ),
}

TEXTS = Texts(OPERATIONS, SCHEMAS, MEMBERS)
