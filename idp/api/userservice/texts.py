"""What the documents say about operations, schemas and members of the user service.

Chinese titles of operations are those of the contract.
"""

from __future__ import annotations

from idp.api.texts import PROBLEM, PROBLEM_MEMBERS, Text, Texts

TITLE = Text("User service", "用户服务")

DESCRIPTION = Text(
    """\
Accounts, tenants, bundles, roles, privileges, applications and menus.

Every operation exists twice. V1 under `/user/` answers with the bare value and refuses with problem details
(RFC 9457): 400 for invalid input, 409 for what already exists, is in use or breaks a rule. V2 under `/user/v2/` puts
the same value into `R`: `code` 0 is success; business refusals are HTTP 200 with another code, and `extra.errors` maps
each invalid field to its messages. 401, 403 and 404 are HTTP statuses in both.

Wherever an id or a filter is optional, `0`, an empty text and `null` mean that it is absent.

A machine that acts for a person may say where that person is, by one IP address in the header `End-User-Address`.
Tries are then counted for that person and not for everyone whom the machine serves.
""",
    """\
账号、租户、套餐、角色、权限、应用和菜单的接口。

每个接口有两个版本。V1 位于 `/user/`，直接返回结果；请求被拒绝时返回错误详情（RFC 9457）：参数有误为 400，已存在、正在使用或不符合规则为 409。V2 位于 `/user/v2/`，结果放在 `R` 中：`code` 为 0 表示成功；业务上被拒绝时为 HTTP 200 和其他编码，`extra.errors` 列出各字段的错误信息。两个版本中 401、403 和 404 均为 HTTP 状态码。

凡是可选的 id 和查询条件，`0`、空文本和 `null` 均表示未提供。

代表用户调用的程序可用请求头 `End-User-Address` 传递该用户的 IP 地址（一个地址），尝试次数将按该用户计算，不影响其他用户。
""",
)

MODULES = {
    "accounts-tenants-bundles": Text("Accounts, tenants, bundles", "统一账号-租户、套餐、账号相关"),
    "roles-privileges": Text("Roles and privileges", "统一账号-角色权限"),
    "resources": Text("Applications, menus, resources", "统一账号-资源相关"),
}

OPERATIONS: dict[str, tuple[Text, ...]] = {
    # Accounts
    "getAccountByUsername": (Text("Get an account by user name", "根据用户名获取账号信息"),),
    "createAccount": (
        Text("Create an account", "创建账号"),
        Text("The account belongs to no tenant yet.", "新账号尚不属于任何租户。"),
    ),
    "getAccountByMobile": (Text("Get an account by mobile number", "根据手机号获取账号信息"),),
    "pageAccounts": (
        Text("Search accounts, paged", "检索账号"),
        Text(
            "User name and mobile number match in part. `sortBy` is `id`, `username` or `mobile`. "
            "Searching without a tenant needs the permission at the platform.",
            "用户名和手机号为模糊匹配。`sortBy` 可取 `id`、`username`、`mobile`。不指定租户时需要平台权限。",
        ),
    ),
    "resetAccountPassword": (
        Text("Reset the password of an account", "重置账号密码"),
        Text(
            "The account is named by its id, by its user name, or by both if they agree. Its sessions "
            "and tokens end.",
            "用账号 id 或用户名指定账号，同时提供时二者须一致。该账号的会话和令牌随即失效。",
        ),
    ),
    "listAccountTenants": (
        Text("List the tenants that an account belongs to", "查询某账号所属租户列表"),
    ),
    "createAccountInTenant": (Text("Create an account in a tenant", "创建账号并绑定至某租户"),),
    "authenticateAccount": (
        Text("Authenticate a user", "用户认证"),
        Text(
            "Types are `PASSWORD`, `SMS` and `QRCODE`. The answer is the account; no token is issued. "
            "Wrong credentials are `bad_credential`, with status 400 in V1: a 401 would mean that the "
            "caller's own token is bad.",
            "认证类型为 `PASSWORD`、`SMS`、`QRCODE`。只返回账号，不签发令牌。凭证有误时返回 "
            "`bad_credential`，V1 的状态码为 400：401 表示调用方自身的令牌无效。",
        ),
    ),
    "bindAccountToTenant": (
        Text("Add an existing account to a tenant", "将已存在账号,加入到某租户"),
        Text("Binding twice is not an error.", "重复加入不视为错误。"),
    ),
    "unbindAccountFromTenant": (
        Text(
            "Remove an account from a tenant; its administrator cannot be removed",
            "将某账号从租户内移除,租户管理员不可移除",
        ),
        Text(
            "Roles and tokens of the account in that tenant go as well; the account itself stays. "
            "Removing an account that is not a member is not an error.",
            "该账号在租户内的角色和令牌一并移除，账号本身保留。账号不在租户内时不视为错误。",
        ),
    ),
    "existsAccountByMobile": (
        Text("Check whether an account with a mobile number exists", "根据手机号判断账号是否存在"),
    ),
    "existsAccountByUsername": (
        Text("Check whether an account with a user name exists", "根据用户名判断账号是否存在"),
    ),
    "existsTenantAccountByMobile": (
        Text(
            "Check by mobile number whether an account is in a tenant",
            "根据手机号判断账号是否在某租户内",
        ),
    ),
    "existsTenantAccountByUsername": (
        Text(
            "Check by user name whether an account is in a tenant",
            "根据用户名判断账号是否在某租户内",
        ),
    ),
    "sendSmsCode": (
        Text("Send a verification code by text message", "发送短信验证码"),
        Text(
            "The answer is the `smsKey` that logging in with the code needs. A number without an "
            "account gets the same answer and no message.",
            "返回登录时所需的 `smsKey`。号码没有对应账号时返回相同结果，但不发送短信。",
        ),
    ),
    "login": (
        Text("Log a user in", "用户登录"),
        Text(
            "Types are `PASSWORD`, `SMS` and `QRCODE`. The answer is what the account may do and see in "
            "each of its tenants; no token is issued. Wrong credentials are `bad_credential`, with "
            "status 400 in V1: a 401 would mean that the caller's own token is bad.",
            "认证类型为 `PASSWORD`、`SMS`、`QRCODE`。返回账号在各租户下的权限和资源，不签发令牌。凭证有误时返回 "
            "`bad_credential`，V1 的状态码为 400：401 表示调用方自身的令牌无效。",
        ),
    ),
    # Tenants and bundles
    "createTenantAndLinkAccount": (
        Text(
            "Create a tenant and make an existing account its administrator", "创建租户并关联账号"
        ),
        Text(
            "The account is found by user name, else by mobile number. Its password stays.",
            "先按用户名、再按手机号查找账号，其密码不变。",
        ),
    ),
    "createTenant": (Text("Create a tenant with a new account as its administrator", "创建租户"),),
    "pageTenants": (
        Text("Search tenants, paged", "检索租户"),
        Text(
            "The name matches in part. `sortBy` is `id`, `name`, `tenantTypeCode` or `bundleCode`.",
            "名称为模糊匹配。`sortBy` 可取 `id`、`name`、`tenantTypeCode`、`bundleCode`。",
        ),
    ),
    "getTenantById": (Text("Get a tenant", "获取租户信息"),),
    "initTenantBundle": (
        Text("Initialise the bundle of a tenant", "初始化租户套餐"),
        Text(
            "Creates the roles of the bundle. The tenant must not have a bundle yet.",
            "创建套餐中的角色。租户此前不能有套餐。",
        ),
    ),
    "switchTenantBundle": (
        Text("Switch the bundle of a tenant", "切换租户套餐"),
        Text(
            "Roles follow the new bundle. The tenant must have another bundle already.",
            "角色随新套餐调整。租户此前须已有其他套餐。",
        ),
    ),
    "createBundle": (
        Text("Create a bundle", "新增套餐"),
        Text(
            "The caller must be able to grant the privileges in its ability.",
            "套餐能力中的权限须在调用方可授予的范围内。",
        ),
    ),
    "updateBundle": (
        Text("Update a bundle", "更新套餐"),
        Text(
            "Found by `id`, otherwise by `code`. The caller must be able to grant new privileges.",
            "按 `id` 查找，没有时按 `code`。新增的权限须在调用方可授予的范围内。",
        ),
    ),
    "listBundles": (Text("List all bundles", "查询所有套餐"),),
    "listNonInitialBundlesByTenantType": (
        Text(
            "List the bundles of a tenant type, without initial ones",
            "查询某租户类型的套餐列表(不包含初始化套餐)",
        ),
    ),
    "getBundleByCode": (Text("Get a bundle", "获取某套餐信息"),),
    # Roles and privileges
    "listRolesByCodes": (
        Text(
            "Get roles of a tenant by their codes, without privileges",
            "根据roleCode获取角色(不包含权限)",
        ),
    ),
    "updateTenantRole": (
        Text("Update a role of a tenant, without its privileges", "修改租户内角色(不包含权限)"),
        Text(
            "Found by `id`, otherwise by `tenantId` and `code`. Tenant and code cannot be changed.",
            "按 `id` 查找，没有时按 `tenantId` 和 `code`。租户和编码不可修改。",
        ),
    ),
    "listTenantRoles": (
        Text(
            "List the roles of a tenant, not paged, without privileges",
            "查询某租户下角色(不分页,不包含权限)",
        ),
    ),
    "createTenantRole": (
        Text("Create a role in a tenant, without privileges", "创建租户内角色(不包含权限)"),
    ),
    "deleteTenantRole": (
        Text(
            "Delete a role of a tenant; refused while an account is bound to it",
            "根据角色编码删除租户内角色,如果有账号绑定该角色,禁止删除",
        ),
        Text("Deleting a role that does not exist is not an error.", "角色不存在时不视为错误。"),
    ),
    "setRolePrivileges": (
        Text("Set the privileges of a role: clear, then set", "角色设置权限(清除+设置)"),
        Text(
            "An empty value clears them. The caller must be able to grant new privileges, and they must be part of the "
            "tenant's bundle.",
            "空值表示清除。新增的权限须在调用方可授予的范围内，且包含在租户套餐中。",
        ),
    ),
    "getTenantRoleWithPrivileges": (
        Text(
            "Get a role of a tenant with its privileges",
            "获取租户内的某个角色信息(包含权限信息)",
        ),
    ),
    "bindAccountRoles": (
        Text("Bind roles to an account in a tenant", "绑定角色"),
        Text(
            "The caller must be able to grant the privileges, and they must be part of the tenant's bundle.",
            "角色中的权限须在调用方可授予的范围内，且包含在租户套餐中。",
        ),
    ),
    "unbindAccountRoles": (Text("Unbind roles from an account in a tenant", "解绑角色"),),
    "listPrivilegesByGroup": (
        Text("List the privileges of a privilege group", "获取权限组下所有权限"),
    ),
    "listPrivilegesOfRoles": (
        Text(
            "Get the set of privileges of several roles of a tenant",
            "查找某租户下,多个角色的权限信息集合",
        ),
    ),
    "getPrivilegeTreeOfRoles": (
        Text(
            "Get the privileges of several roles of a tenant as a tree of privilege groups",
            "查找某租户下,多个角色的权限信息集合,并根据权限组组装成为权限树",
        ),
    ),
    "getAccountAuthorizations": (
        Text(
            "Get what an account may do in several tenants", "授权,获取某用户在多个租户下的权限信息"
        ),
        Text("Tenants that the account is not in are left out.", "账号不在其中的租户不返回。"),
    ),
    # Applications, menus, resources
    "createApplication": (Text("Create an application", "创建应用"),),
    "updateApplication": (
        Text("Update an application", "修改应用"),
        Text(
            "Found by `id`, otherwise by `code`. Code and tenant cannot be changed.",
            "按 `id` 查找，没有时按 `code`。编码和所属租户不可修改。",
        ),
    ),
    "pageApplications": (Text("Search applications, paged", "分页条件查找应用"),),
    "listApplicationResources": (
        Text("Get the resources of an application by privileges", "根据权限加载指定应用的资源"),
        Text(
            "The codes are taken as given: this renders menus and authorises nothing. A user may send "
            "only privileges of their own.",
            "权限编码以调用方提交的为准，仅用于展示，不作授权判断。用户只能提交自己拥有的权限。",
        ),
    ),
    "getApplicationByCode": (Text("Get an application by code", "根据应用编码查找应用"),),
    "deleteApplication": (
        Text("Delete an application", "删除应用"),
        Text(
            "Refused while menus or clients refer to it. Deleting one that does not exist is not an "
            "error.",
            "仍有菜单或客户端引用时拒绝删除。应用不存在时不视为错误。",
        ),
    ),
    "getApplicationByClientId": (
        Text("Get the application of an access client", "根据接入客户端获取应用"),
    ),
    "pageMenus": (
        Text("Search menus, paged", "根据条件查询菜单列表"),
        Text("Disabled menus are included.", "包括已停用的菜单。"),
    ),
    "listMenusByPrivileges": (
        Text("List menus by privilege codes", "根据权限编码列表获取菜单"),
        Text(
            "Menus that the privileges open, with the menus above them, in the order of the tree. The "
            "codes are taken as given: this renders menus and authorises nothing. A user may send only "
            "privileges of their own.",
            "返回权限所对应的菜单及其上级菜单，按菜单树的顺序排列。权限编码以调用方提交的为准，仅用于展示，"
            "不作授权判断。用户只能提交自己拥有的权限。",
        ),
    ),
    "listMenusByApplication": (
        Text(
            "List the menus of an application in the order of its tree", "根据应用编码查询菜单列表"
        ),
    ),
    "getMenuById": (Text("Get a menu by id", "根据ID查询菜单"),),
    "resolveTenantResources": (
        Text(
            "Get the resources behind privileges in several tenants, split by application",
            "获取多个租户下权限所对应的资源信息,并按应用拆分",
        ),
        Text(
            "The body is what `getAccountAuthorizations` answers with. The codes are taken as given: "
            "this renders menus and authorises nothing. A user may send only privileges of their own.",
            "请求体即授权接口的返回值。权限编码以调用方提交的为准，仅用于展示，不作授权判断。用户只能提交自己拥有的权限。",
        ),
    ),
}

SCHEMAS = {
    "AccountDTO": Text(
        "An account. `password` and `salt` are always empty.",
        "账号。`password` 和 `salt` 始终为空。",
    ),
    "AccountQueryDTO": Text("Search conditions for accounts.", "账号查询条件。"),
    "AppResDTO": Text("Resources of an application by type.", "应用的资源，按类型划分。"),
    "ApplicationDTO": Text("An application.", "应用。"),
    "ApplicationQueryParams": Text("Search conditions for applications.", "应用查询条件。"),
    "AuthenticationInfo": Text("A credential to check.", "认证请求信息。"),
    "AuthorizationInfoDTO": Text(
        "What an account may do in one tenant, role by role.",
        "账号在某租户下的授权信息，按角色划分。",
    ),
    "BundleDTO": Text("A bundle: what tenants of a type can do.", "套餐：某类型租户可使用的功能。"),
    "ChangeAccountPwdDTO": Text("A new password for an account.", "重置账号密码的请求。"),
    "CreateAccountRequestDTO": Text("An account to create.", "创建账号的请求。"),
    "CreateTenantRequestDTO": Text(
        "A tenant to create, with a new account as administrator.",
        "创建租户的请求，管理员为新账号。",
    ),
    "LinkTenantRequestDTO": Text(
        "A tenant to create, with an existing account as administrator.",
        "创建租户的请求，管理员为已有账号。",
    ),
    "LoginInfoDTO": Text(
        "A user who logged in, with tenants, privileges and resources.",
        "登录用户及其租户、权限和资源。",
    ),
    "LoginRequestDTO": Text("A credential to log in with.", "登录请求信息。"),
    "MenuDTO": Text("A menu of an application.", "应用的菜单。"),
    "MenuQueryDTO": Text("Search conditions for menus.", "菜单查询条件。"),
    "MenuTreeDTO": Text("A menu with the menus below it.", "菜单及其下级菜单。"),
    "PageVO": Text("One page of rows.", "一页数据。"),
    "PrivilegeDTO": Text("A privilege.", "权限。"),
    "PrivilegeTreeDTO": Text(
        "A node of the privilege tree: a group or a privilege.", "权限树的节点：权限组或权限。"
    ),
    "Problem": PROBLEM,
    "R": Text("The envelope of V2.", "V2 的返回结构。"),
    "ResourceDTO": Text(
        "What the privileges open in one application.", "权限在某个应用中所对应的资源。"
    ),
    "RoleDTO": Text("A role of a tenant.", "租户内的角色。"),
    "TenantDTO": Text("A tenant.", "租户。"),
    "TenantQueryDTO": Text("Search conditions for tenants.", "租户查询条件。"),
}

MEMBERS = {
    **PROBLEM_MEMBERS,
    # Accounts
    "AccountDTO.id": Text("Id of the account.", "账号 id"),
    "LoginInfoDTO.id": Text("Id of the account.", "账号 id"),
    "accountId": Text(
        "Id of the account. 0 or null: named by `userName`.",
        "账号 id。0 或 null 表示按用户名指定。",
    ),
    "username": Text("User name.", "用户名"),
    "AccountQueryDTO.username": Text(
        "User name or a part of it. Empty: no filter.", "用户名（模糊匹配），空表示不限。"
    ),
    "CreateTenantRequestDTO.username": Text(
        "User name of the tenant's administrator.", "租户管理员登录用户名"
    ),
    "LinkTenantRequestDTO.username": Text(
        "User name of an existing account, the tenant's administrator.",
        "已有账号的用户名，该账号成为租户管理员",
    ),
    "userName": Text(
        "User name of the account. Empty: named by `accountId`.", "用户名。空表示按账号 id 指定。"
    ),
    "mobile": Text("Mobile number.", "手机号"),
    "AccountQueryDTO.mobile": Text(
        "Mobile number or a part of it. Empty: no filter.", "手机号（模糊匹配），空表示不限。"
    ),
    "CreateTenantRequestDTO.mobile": Text(
        "Mobile number of the tenant's administrator.", "租户管理员登录手机号"
    ),
    "LinkTenantRequestDTO.mobile": Text(
        "Mobile number of an existing account, used when no user name is given.",
        "已有账号的手机号，未提供用户名时使用",
    ),
    "phone": Text("Mobile number that the code is sent to.", "接收验证码的手机号"),
    "password": Text("Password in clear text.", "密码（明文）"),
    "AccountDTO.password": Text("Always empty.", "始终为空。"),
    "CreateTenantRequestDTO.password": Text(
        "Password of the tenant's administrator in clear text.", "租户管理员登录密码（明文）"
    ),
    "LinkTenantRequestDTO.password": Text(
        "Ignored: the account keeps its password.", "忽略：账号保留原密码。"
    ),
    "ChangeAccountPwdDTO.password": Text("New password in clear text.", "新密码（明文）"),
    "salt": Text("Always empty.", "始终为空。"),
    # Logging in
    "authenticationType": Text(
        "`PASSWORD`, `SMS` or `QRCODE`.",
        "认证类型：`PASSWORD`（用户名密码）、`SMS`（短信）、`QRCODE`（二维码）。",
    ),
    "principal": Text(
        "Who logs in: user name, e-mail address or mobile number; the id of a QR code for `QRCODE`.",
        "认证主体：用户名、邮箱或手机号；`QRCODE` 时为二维码的 id。",
    ),
    "certificate": Text(
        "The proof: password, code from the text message, or the secret of the QR code.",
        "凭证：密码、短信验证码或二维码的密钥。",
    ),
    "smsKey": Text(
        "Key that sending the code answered with. Needed for `SMS`.",
        "发送验证码时返回的 key，`SMS` 认证时必填。",
    ),
    "tenants": Text("Tenants that the account belongs to.", "账号所属的租户"),
    "tenantAuthorizationInfoMap": Text(
        "What the account may do, by tenant id.", "账号在各租户下的权限，键为租户 id。"
    ),
    "resources": Text(
        "What the account sees, by tenant id: one entry for each application.",
        "账号在各租户下的资源，键为租户 id，每个应用一项。",
    ),
    "rolePrivilegeMap": Text(
        "Privilege codes by role code.", "角色与权限的对应关系，键为角色编码，值为权限编码的集合。"
    ),
    # Tenants and bundles
    "tenantId": Text("Id of the tenant.", "租户 id"),
    "AccountQueryDTO.tenantId": Text(
        "Tenant that the accounts belong to. 0 or null: all tenants.",
        "账号所属租户的 id。0 或 null 表示所有租户。",
    ),
    "ApplicationDTO.tenantId": Text("Tenant that the application belongs to.", "应用所属租户的 id"),
    "RoleDTO.tenantId": Text("Tenant that the role belongs to.", "角色所属租户的 id"),
    "tenantIds": Text("Ids of tenants.", "租户 id 列表"),
    "TenantDTO.id": Text("Id of the tenant.", "租户 id"),
    "getTenantById.id": Text("Id of the tenant.", "租户 id"),
    "TenantDTO.name": Text("Name of the tenant.", "租户名称"),
    "CreateTenantRequestDTO.name": Text("Name of the tenant.", "租户名称"),
    "LinkTenantRequestDTO.name": Text("Name of the tenant.", "租户名称"),
    "TenantQueryDTO.name": Text(
        "Name of the tenant or a part of it. Empty: no filter.",
        "租户名称（模糊匹配），空表示不限。",
    ),
    "tenantTypeCode": Text("Code of the tenant type.", "租户类型编码"),
    "TenantQueryDTO.tenantTypeCode": Text(
        "Code of the tenant type. Empty: no filter.", "租户类型编码，空表示不限。"
    ),
    "tenantType": Text("Code of the tenant type.", "租户类型编码"),
    "bundleCode": Text("Code of the bundle.", "套餐编码"),
    "CreateTenantRequestDTO.bundleCode": Text(
        "Bundle that the tenant starts with. Empty: the initial bundle of its type.",
        "用于初始化租户的套餐编码。空表示该租户类型的初始化套餐。",
    ),
    "LinkTenantRequestDTO.bundleCode": Text(
        "Bundle that the tenant starts with. Empty: the initial bundle of its type.",
        "用于初始化租户的套餐编码。空表示该租户类型的初始化套餐。",
    ),
    "BundleDTO.id": Text("Id of the bundle.", "套餐 id"),
    "BundleDTO.code": Text("Code of the bundle.", "套餐编码"),
    "BundleDTO.name": Text("Name of the bundle.", "套餐名称"),
    "BundleDTO.comment": Text("Note on the bundle.", "套餐说明"),
    "ability": Text(
        "Roles and privileges of the bundle, as JSON text.", "套餐包含的角色与权限（JSON 文本）"
    ),
    "initialize": Text(
        "Whether it is the initial bundle of its tenant type.", "是否为该租户类型的初始化套餐"
    ),
    "numberOfApp": Text(
        "Applications that a tenant may create; null: no limit.",
        "允许创建的应用数量，null 表示不限。",
    ),
    "numberOfConcurrent": Text("Calls per second; null: no limit.", "每秒并发数，null 表示不限。"),
    "numberOfInvocation": Text(
        "API calls per month; null: no limit.", "每月 API 调用次数，null 表示不限。"
    ),
    # Roles and privileges
    "RoleDTO.id": Text("Id of the role.", "角色 id"),
    "RoleDTO.code": Text("Code of the role, unique in its tenant.", "角色编码，租户内唯一。"),
    "RoleDTO.name": Text("Name of the role.", "角色名称"),
    "roleCode": Text("Code of the role.", "角色编码"),
    "roleCodes": Text(
        "Codes of roles: the parameter repeated, or one value with commas.",
        "角色编码列表：重复该参数，或用逗号分隔。",
    ),
    "privilegeCodes": Text(
        "Codes of privileges: the parameter repeated, or one value with commas.",
        "权限编码列表：重复该参数，或用逗号分隔。",
    ),
    "RoleDTO.privilegeCodes": Text(
        "Codes of the role's privileges. Only the operation that reads them fills the list.",
        "角色包含的权限编码，仅在查询角色权限的接口中返回。",
    ),
    "privileges": Text(
        "Codes of privileges: the parameter repeated, or one value with commas.",
        "权限编码列表：重复该参数，或用逗号分隔。",
    ),
    "privileageCodes": Text(
        "Codes of privileges: the parameter repeated, or one value with commas.",
        "权限编码列表：重复该参数，或用逗号分隔。",
    ),
    "PrivilegeDTO.id": Text("Id of the privilege.", "权限 id"),
    "PrivilegeDTO.code": Text("Code of the privilege.", "权限编码"),
    "PrivilegeDTO.name": Text("Name of the privilege.", "权限名称"),
    "privilegeGroupId": Text("Id of the privilege group.", "权限组 id"),
    "PrivilegeDTO.privilegeGroupId": Text(
        "Group that the privilege is in; null: none.", "所属权限组的 id，null 表示不属于任何组。"
    ),
    "PrivilegeTreeDTO.id": Text(
        "Id of a group, or code of a privilege. A privilege code never consists of digits only, so both "
        "stay apart.",
        "节点标识：权限组为其 id，权限为其编码。权限编码不会是纯数字，因此不会重复。",
    ),
    "PrivilegeTreeDTO.name": Text("Name of the node.", "节点名称"),
    "PrivilegeTreeDTO.parentId": Text("Id of the node above.", "上级节点标识"),
    "group": Text("Whether the node is a group.", "节点是否为权限组"),
    "sort": Text("Position among its siblings.", "排序"),
    "status": Text("1: enabled, 0: disabled.", "状态：1 启用，0 停用。"),
    "children": Text("What is below.", "下级节点"),
    # Applications and menus
    "ApplicationDTO.id": Text("Id of the application.", "应用 id"),
    "ApplicationDTO.code": Text(
        "Code of the application, unique over all tenants.", "应用编码，跨租户唯一。"
    ),
    "ApplicationDTO.name": Text("Name of the application.", "应用名称"),
    "ApplicationQueryParams.name": Text(
        "Name of the application or a part of it. Empty: no filter.",
        "应用名称（模糊匹配），空表示不限。",
    ),
    "applicationCode": Text("Code of the application.", "应用编码"),
    "MenuQueryDTO.applicationCode": Text(
        "Code of the application. Empty: no filter.", "应用编码，空表示不限。"
    ),
    "applicationName": Text("Name of the application.", "应用名称"),
    "application": Text("Name of the application.", "所属应用的名称"),
    "appRes": Text("Resources of the application, by type.", "应用的资源，按类型划分"),
    "menu": Text(
        "The menu tree that the privileges open. Its root is the application itself: id 0, with the code "
        "and name of the application; the first level is in `children`.",
        "权限所对应的菜单树。根节点为应用本身：id 为 0，编码和标题取自应用；第一级菜单在 `children` 中。",
    ),
    "clientId": Text("Client id of the access client.", "接入客户端的 id"),
    "MenuDTO.id": Text("Id of the menu.", "菜单 id"),
    "MenuTreeDTO.id": Text(
        "Id of the menu; 0 for the application itself.", "菜单 id，应用本身为 0。"
    ),
    "getMenuById.id": Text("Id of the menu.", "菜单 id"),
    "parentId": Text("Menu above; null on the first level.", "上级菜单的 id，第一级为 null。"),
    "code": Text("Page identifier.", "页面标识"),
    "title": Text("Title of the menu.", "菜单标题"),
    "MenuQueryDTO.title": Text(
        "Title of the menu or a part of it. Empty: no filter.", "菜单标题（模糊匹配），空表示不限。"
    ),
    "MenuQueryDTO.status": Text(
        "1: only enabled menus. 0 or null: no filter.", "状态：1 仅启用的菜单，0 或 null 表示不限。"
    ),
    "icon": Text("Icon of the menu.", "菜单图标"),
    "url": Text("Address that the menu leads to.", "菜单跳转地址"),
    "comment": Text("Note on the menu.", "菜单说明"),
    "privilegeCode": Text(
        "Privilege that opens the menu; empty: none.", "绑定的权限编码，空表示未绑定。"
    ),
    # Pages and the envelope
    "pageNo": Text("Number of the page, from 1.", "页码，从 1 开始。"),
    "pageSize": Text("Rows per page.", "每页记录数"),
    "order": Text("Direction of the sort: `asc` or `desc`.", "排序方向：`asc` 或 `desc`。"),
    "sortBy": Text("Field to sort by.", "排序字段"),
    "counts": Text("Rows over all pages.", "总记录数"),
    "first": Text("Whether this is the first page.", "是否为第一页"),
    "items": Text("Rows of this page.", "本页数据"),
    "itemsSize": Text("Rows on this page.", "本页记录数"),
    "page": Text("Number of this page.", "当前页码"),
    "pages": Text("Number of pages.", "总页数"),
    "R.code": Text(
        "0: success. `x-error-codes` lists the other codes of each operation.",
        "响应编码：0 表示成功，其他编码见各接口的 `x-error-codes`。",
    ),
    "R.msg": Text("Message for people.", "提示消息"),
    "R.path": Text("Path of the request.", "请求路径"),
    "data": Text(
        "What the operation answers with; null when it was refused.",
        "响应数据，请求被拒绝时为 null。",
    ),
    "extra": Text(
        "Further data. A refusal has `requestId`, `detail` and `errors` (field to messages).",
        "附加数据。请求被拒绝时包含 `requestId`、`detail` 和 `errors`（各字段的错误信息）。",
    ),
    "isError": Text("Whether the request failed.", "请求是否失败"),
    "isSuccess": Text("Whether the request succeeded.", "请求是否成功"),
    "timestamp": Text("Time of the answer in milliseconds since 1970.", "响应时间戳（毫秒）"),
}

TEXTS = Texts(OPERATIONS, SCHEMAS, MEMBERS)
