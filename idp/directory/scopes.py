"""The codes of the management operations: scopes of clients and permissions of people alike."""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class Scope(StrEnum):
    """One code per operation, `.all` per module, and `.all` over modules.

    Both contracts in `tests/contract/` are the source; a test compares. Modules below `admin` are
    our own: their operations share `read` and `write`.
    """

    text: str
    """What holders may do, for consent pages and administrators."""

    def __new__(cls, code: str, text: str = "") -> Self:
        """Create a member with its text."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.text = text
        return member

    @property
    def module(self) -> str:
        """The part before the last dot, which is also the code of the privilege group."""
        return self.value.rpartition(".")[0]

    ALL = "ids4.ms.all", "Everything"

    ADMIN_ALL = "ids4.ms.admin.all", "Administration: everything"

    ADMIN_APIS_ALL = "ids4.ms.admin.apis.all", "Administration: everything about who may call APIs"
    ADMIN_APIS_READ = "ids4.ms.admin.apis.read", "Administration: read who may call APIs"
    ADMIN_APIS_WRITE = "ids4.ms.admin.apis.write", "Administration: change who may call APIs"

    ADMIN_AUDIT_ALL = "ids4.ms.admin.audit.all", "Administration: everything about the audit log"
    ADMIN_AUDIT_READ = "ids4.ms.admin.audit.read", "Administration: read and export the audit log"

    ADMIN_BRANDING_ALL = "ids4.ms.admin.branding.all", "Administration: everything about branding"
    ADMIN_BRANDING_READ = "ids4.ms.admin.branding.read", "Administration: read branding of tenants"
    ADMIN_BRANDING_WRITE = (
        "ids4.ms.admin.branding.write",
        "Administration: change branding of tenants",
    )

    ADMIN_BUNDLES_ALL = "ids4.ms.admin.bundles.all", "Administration: everything about bundles"
    ADMIN_BUNDLES_READ = "ids4.ms.admin.bundles.read", "Administration: read who has a bundle"
    ADMIN_BUNDLES_WRITE = "ids4.ms.admin.bundles.write", "Administration: delete bundles"

    ADMIN_CLIENTS_ALL = "ids4.ms.admin.clients.all", "Administration: everything about clients"
    ADMIN_CLIENTS_READ = "ids4.ms.admin.clients.read", "Administration: read OAuth clients"
    ADMIN_CLIENTS_WRITE = (
        "ids4.ms.admin.clients.write",
        "Administration: create, change and delete OAuth clients and their secrets",
    )

    ADMIN_EXPLAIN_ALL = "ids4.ms.admin.explain.all", "Administration: everything about explanations"
    ADMIN_EXPLAIN_READ = (
        "ids4.ms.admin.explain.read",
        "Administration: explain tokens and refused requests",
    )

    ADMIN_FACTORS_ALL = (
        "ids4.ms.admin.factors.all",
        "Administration: everything about second factors",
    )
    ADMIN_FACTORS_READ = (
        "ids4.ms.admin.factors.read",
        "Administration: list second factors of users",
    )
    ADMIN_FACTORS_WRITE = (
        "ids4.ms.admin.factors.write",
        "Administration: remove and reset second factors of users",
    )

    ADMIN_FILES_ALL = "ids4.ms.admin.files.all", "Administration: everything about files"
    ADMIN_FILES_READ = "ids4.ms.admin.files.read", "Administration: list uploaded files"
    ADMIN_FILES_WRITE = "ids4.ms.admin.files.write", "Administration: delete uploaded files"

    ADMIN_GATEWAY_ALL = "ids4.ms.admin.gateway.all", "Administration: everything about the gateway"
    ADMIN_GATEWAY_READ = (
        "ids4.ms.admin.gateway.read",
        "Administration: read products, subscriptions, upstreams and the state of the gateway",
    )
    ADMIN_GATEWAY_WRITE = (
        "ids4.ms.admin.gateway.write",
        "Administration: change products, subscriptions and upstreams of the gateway",
    )

    ADMIN_JOBS_ALL = "ids4.ms.admin.jobs.all", "Administration: everything about SDK jobs"
    ADMIN_JOBS_READ = "ids4.ms.admin.jobs.read", "Administration: read SDK jobs of everybody"
    ADMIN_JOBS_WRITE = "ids4.ms.admin.jobs.write", "Administration: retry and cancel SDK jobs"

    ADMIN_KEYS_ALL = "ids4.ms.admin.keys.all", "Administration: everything about signing keys"
    ADMIN_KEYS_READ = "ids4.ms.admin.keys.read", "Administration: list signing keys"
    ADMIN_KEYS_WRITE = "ids4.ms.admin.keys.write", "Administration: rotate and revoke signing keys"

    ADMIN_MENUS_ALL = "ids4.ms.admin.menus.all", "Administration: everything about menus"
    ADMIN_MENUS_READ = "ids4.ms.admin.menus.read", "Administration: read menus, disabled ones too"
    ADMIN_MENUS_WRITE = (
        "ids4.ms.admin.menus.write",
        "Administration: create, change, arrange and delete menus",
    )

    ADMIN_MESSAGES_ALL = "ids4.ms.admin.messages.all", "Administration: everything about messages"
    ADMIN_MESSAGES_READ = (
        "ids4.ms.admin.messages.read",
        "Administration: list messages and jobs that wait or failed",
    )
    ADMIN_MESSAGES_WRITE = "ids4.ms.admin.messages.write", "Administration: retry and drop messages"

    ADMIN_OVERVIEW_ALL = "ids4.ms.admin.overview.all", "Administration: everything about figures"
    ADMIN_OVERVIEW_READ = "ids4.ms.admin.overview.read", "Administration: read figures by day"

    ADMIN_POLICY_ALL = "ids4.ms.admin.policy.all", "Administration: everything about policies"
    ADMIN_POLICY_READ = "ids4.ms.admin.policy.read", "Administration: read policies of tenants"
    ADMIN_POLICY_WRITE = "ids4.ms.admin.policy.write", "Administration: change policies of tenants"

    ADMIN_PRIVILEGES_ALL = (
        "ids4.ms.admin.privileges.all",
        "Administration: everything about privileges",
    )
    ADMIN_PRIVILEGES_READ = "ids4.ms.admin.privileges.read", "Administration: list privileges"
    ADMIN_PRIVILEGES_WRITE = (
        "ids4.ms.admin.privileges.write",
        "Administration: create privileges and change their groups",
    )

    ADMIN_SESSIONS_ALL = "ids4.ms.admin.sessions.all", "Administration: everything about sessions"
    ADMIN_SESSIONS_READ = "ids4.ms.admin.sessions.read", "Administration: list sessions of users"
    ADMIN_SESSIONS_WRITE = "ids4.ms.admin.sessions.write", "Administration: end sessions of users"

    ADMIN_SETTINGS_ALL = "ids4.ms.admin.settings.all", "Administration: everything about settings"
    ADMIN_SETTINGS_READ = (
        "ids4.ms.admin.settings.read",
        "Administration: read the settings of the installation",
    )

    ADMIN_TENANTTYPES_ALL = (
        "ids4.ms.admin.tenanttypes.all",
        "Administration: everything about types of tenants",
    )
    ADMIN_TENANTTYPES_READ = (
        "ids4.ms.admin.tenanttypes.read",
        "Administration: list types of tenants",
    )
    ADMIN_TENANTTYPES_WRITE = (
        "ids4.ms.admin.tenanttypes.write",
        "Administration: create, rename and delete types of tenants",
    )

    ADMIN_USERS_ALL = "ids4.ms.admin.users.all", "Administration: everything about users"
    ADMIN_USERS_READ = "ids4.ms.admin.users.read", "Administration: list users"
    ADMIN_USERS_WRITE = (
        "ids4.ms.admin.users.write",
        "Administration: create users, and disable, enable, unlock and sign them out",
    )

    APIRESOURCE_ALL = "ids4.ms.apiresource.all", "Everything about microservices"
    APIRESOURCE_AUTHSERVERS = (
        "ids4.ms.apiresource.authservers",
        "List authorization servers known to the gateway",
    )
    APIRESOURCE_DELETE = "ids4.ms.apiresource.delete", "Delete a microservice"
    APIRESOURCE_DELETEPACKAGE = ("ids4.ms.apiresource.deletepackage", "Remove an SDK package")
    APIRESOURCE_DELETERELEASE = ("ids4.ms.apiresource.deleterelease", "Delete a release note")
    APIRESOURCE_DETAIL = "ids4.ms.apiresource.detail", "Read a microservice"
    APIRESOURCE_GET = "ids4.ms.apiresource.get", "List microservices"
    APIRESOURCE_PACKAGES = ("ids4.ms.apiresource.packages", "List SDK packages of a microservice")
    APIRESOURCE_POST = "ids4.ms.apiresource.post", "Create a microservice"
    APIRESOURCE_POSTPACKAGES = "ids4.ms.apiresource.postpackages", "Add an SDK package"
    APIRESOURCE_POSTRELEASE = "ids4.ms.apiresource.postrelease", "Create a release note"
    APIRESOURCE_PRODUCTS = "ids4.ms.apiresource.products", "List gateway products"
    APIRESOURCE_PUBLISH = (
        "ids4.ms.apiresource.publish",
        "Publish a microservice to the gateway or update it",
    )
    APIRESOURCE_PUBLISHCONFIGURATION = (
        "ids4.ms.apiresource.publishconfiguration",
        "Read the last publish request",
    )
    APIRESOURCE_PUBLISHREVISION = (
        "ids4.ms.apiresource.publishrevision",
        "Create a gateway revision",
    )
    APIRESOURCE_PUBLISHVERSION = (
        "ids4.ms.apiresource.publishversion",
        "Create a gateway API version",
    )
    APIRESOURCE_PUT = "ids4.ms.apiresource.put", "Update a microservice"
    APIRESOURCE_PUTRELEASE = "ids4.ms.apiresource.putrelease", "Update a release note"
    APIRESOURCE_RELEASES = ("ids4.ms.apiresource.releases", "List release notes of a gateway API")
    APIRESOURCE_SCOPES = "ids4.ms.apiresource.scopes", "List scope codes grouped by API"
    APIRESOURCE_SETONLINEVERSION = (
        "ids4.ms.apiresource.setonlineversion",
        "Make a revision current",
    )
    APIRESOURCE_SUBSCRIPTIONS = (
        "ids4.ms.apiresource.subscriptions",
        "List subscribers of a microservice",
    )
    APIRESOURCE_VERIFYEMAIL = (
        "ids4.ms.apiresource.verifyemail",
        "Send a subscription confirmation mail",
    )
    APIRESOURCE_VERSIONS = (
        "ids4.ms.apiresource.versions",
        "List gateway versions with their revisions",
    )

    CLIENT_ALL = "ids4.ms.client.all", "Everything about clients"
    CLIENT_DELETE = "ids4.ms.client.delete", "Delete an OAuth client"
    CLIENT_DETAIL = "ids4.ms.client.detail", "Read an OAuth client"
    CLIENT_GET = "ids4.ms.client.get", "List OAuth clients"
    CLIENT_ISSUETOKEN = (
        "ids4.ms.client.issuetoken",
        "Issue a token carrying the claims of the caller",
    )
    CLIENT_POST = "ids4.ms.client.post", "Create an OAuth client"
    CLIENT_POSTSECRETKEY = "ids4.ms.client.postsecretkey", "Hash a secret"
    CLIENT_PUT = "ids4.ms.client.put", "Update an OAuth client"

    CODEGEN_ALL = "ids4.ms.codegen.all", "Everything about code generation"
    CODEGEN_CLIENTS = "ids4.ms.codegen.clients", "List client generators"
    CODEGEN_GEN = "ids4.ms.codegen.gen", "Generate from an API description"
    CODEGEN_GET = "ids4.ms.codegen.get", "List client and server generators"
    CODEGEN_GITHUBOPTIONS = "ids4.ms.codegen.githuboptions", "Read GitHub options"
    CODEGEN_NPMOPTIONS = "ids4.ms.codegen.npmoptions", "Read NPM options"
    CODEGEN_PUTGITHUBOPTIONS = ("ids4.ms.codegen.putgithuboptions", "Replace GitHub options")
    CODEGEN_PUTNPMOPTIONS = "ids4.ms.codegen.putnpmoptions", "Replace NPM options"
    CODEGEN_RELEASESDK = ("ids4.ms.codegen.releasesdk", "Generate an SDK and queue its publication")
    CODEGEN_SERVERS = "ids4.ms.codegen.servers", "List server generators"

    FILE_ALL = "ids4.ms.file.all", "Everything about files"
    FILE_IMAGE = "ids4.ms.file.image", "Upload an image"
    FILE_POST = "ids4.ms.file.post", "Upload a video or document"

    IDENTITYRESOURCE_ALL = ("ids4.ms.identityresource.all", "Everything about identity resources")
    IDENTITYRESOURCE_DELETE = ("ids4.ms.identityresource.delete", "Delete an identity resource")
    IDENTITYRESOURCE_DETAIL = ("ids4.ms.identityresource.detail", "Read an identity resource")
    IDENTITYRESOURCE_GET = "ids4.ms.identityresource.get", "List identity resources"
    IDENTITYRESOURCE_POST = ("ids4.ms.identityresource.post", "Create an identity resource")
    IDENTITYRESOURCE_PUT = "ids4.ms.identityresource.put", "Update an identity resource"

    ROLE_ALL = "ids4.ms.role.all", "Everything about roles"
    ROLE_DELETE = "ids4.ms.role.delete", "Delete a role"
    ROLE_DETAIL = "ids4.ms.role.detail", "Read a role"
    ROLE_GET = "ids4.ms.role.get", "List roles"
    ROLE_POST = "ids4.ms.role.post", "Create a role"
    ROLE_PUT = "ids4.ms.role.put", "Update a role"

    TENANT_ALL = "ids4.ms.tenant.all", "Everything about tenants"
    TENANT_DELETE = "ids4.ms.tenant.delete", "Delete a tenant"
    TENANT_DETAIL = "ids4.ms.tenant.detail", "Read a tenant"
    TENANT_GET = "ids4.ms.tenant.get", "List tenants"
    TENANT_POST = "ids4.ms.tenant.post", "Create a tenant"
    TENANT_PUT = "ids4.ms.tenant.put", "Update a tenant"

    USER_ALL = "ids4.ms.user.all", "Everything about users"
    USER_DELETE = "ids4.ms.user.delete", "Delete a user"
    USER_DETAIL = "ids4.ms.user.detail", "Read a user"
    USER_GET = "ids4.ms.user.get", "List users"
    USER_HEAD = "ids4.ms.user.head", "Tell whether a phone number is registered"
    USER_POST = "ids4.ms.user.post", "Create a user"
    USER_PUT = "ids4.ms.user.put", "Update a user"
    USER_REGISTER = ("ids4.ms.user.register", "Register a user with verified phone (and e-mail)")
    USER_VERIFYEMAIL = "ids4.ms.user.verifyemail", "Send an e-mail verification code"
    USER_VERIFYPHONE = "ids4.ms.user.verifyphone", "Send a phone verification code"

    US_ALL = "ids4.ms.us.all", "Everything in the user service"

    US_ACCOUNT_ALL = "ids4.ms.us.account.all", "User service: everything about accounts"
    US_ACCOUNT_AUTHENTICATE = "ids4.ms.us.account.authenticate", "Authenticate a user"
    US_ACCOUNT_BINDTENANT = ("ids4.ms.us.account.bindtenant", "Add an existing account to a tenant")
    US_ACCOUNT_CREATE = "ids4.ms.us.account.create", "Create an account"
    US_ACCOUNT_CREATEINTENANT = (
        "ids4.ms.us.account.createintenant",
        "Create an account and bind it to a tenant",
    )
    US_ACCOUNT_EXISTMOBILE = (
        "ids4.ms.us.account.existmobile",
        "Tell whether an account with a mobile number exists",
    )
    US_ACCOUNT_EXISTNAME = (
        "ids4.ms.us.account.existname",
        "Tell whether an account with a user name exists",
    )
    US_ACCOUNT_EXISTTENANTMOBILE = (
        "ids4.ms.us.account.existtenantmobile",
        "Tell by mobile number whether an account is in a tenant",
    )
    US_ACCOUNT_EXISTTENANTNAME = (
        "ids4.ms.us.account.existtenantname",
        "Tell by user name whether an account is in a tenant",
    )
    US_ACCOUNT_INFOBYMOBILE = ("ids4.ms.us.account.infobymobile", "Get an account by mobile number")
    US_ACCOUNT_INFOBYNAME = ("ids4.ms.us.account.infobyname", "Get an account by user name")
    US_ACCOUNT_LOGIN = "ids4.ms.us.account.login", "Log a user in"
    US_ACCOUNT_PAGE = "ids4.ms.us.account.page", "Search accounts, paged"
    US_ACCOUNT_RESETPASSWORD = (
        "ids4.ms.us.account.resetpassword",
        "Reset the password of an account",
    )
    US_ACCOUNT_SENDSMS = "ids4.ms.us.account.sendsms", "Send an SMS verification code"
    US_ACCOUNT_TENANTS = ("ids4.ms.us.account.tenants", "List the tenants an account belongs to")
    US_ACCOUNT_UNBINDTENANT = (
        "ids4.ms.us.account.unbindtenant",
        "Remove an account from a tenant; the tenant administrator cannot be removed",
    )

    US_APP_ALL = "ids4.ms.us.app.all", "User service: everything about applications"
    US_APP_CREATE = "ids4.ms.us.app.create", "Create an application"
    US_APP_INFO = "ids4.ms.us.app.info", "Find an application by code"
    US_APP_INFOBYCLIENT = ("ids4.ms.us.app.infobyclient", "Get the application of an access client")
    US_APP_PAGE = "ids4.ms.us.app.page", "Search applications, paged"
    US_APP_REMOVE = "ids4.ms.us.app.remove", "Delete an application"
    US_APP_RESOURCES = (
        "ids4.ms.us.app.resources",
        "Load the resources of an application by privileges",
    )
    US_APP_TENANTRESOURCES = (
        "ids4.ms.us.app.tenantresources",
        "Get the resources that privileges in several tenants stand for, split by application",
    )
    US_APP_UPDATE = "ids4.ms.us.app.update", "Update an application"

    US_BUNDLE_ALL = "ids4.ms.us.bundle.all", "User service: everything about bundles"
    US_BUNDLE_CREATE = "ids4.ms.us.bundle.create", "Create a bundle"
    US_BUNDLE_INFO = "ids4.ms.us.bundle.info", "Get a bundle"
    US_BUNDLE_LIST = "ids4.ms.us.bundle.list", "List all bundles"
    US_BUNDLE_LISTBYTYPE = (
        "ids4.ms.us.bundle.listbytype",
        "List the bundles of a tenant type, initial bundles left out",
    )
    US_BUNDLE_UPDATE = "ids4.ms.us.bundle.update", "Update a bundle"

    US_MENU_ALL = "ids4.ms.us.menu.all", "User service: everything about menus"
    US_MENU_INFO = "ids4.ms.us.menu.info", "Get a menu by id"
    US_MENU_LISTBYAPP = "ids4.ms.us.menu.listbyapp", "List the menus of an application"
    US_MENU_LISTBYPRIVILEGES = ("ids4.ms.us.menu.listbyprivileges", "List menus by privilege codes")
    US_MENU_PAGE = "ids4.ms.us.menu.page", "Search menus, paged"

    US_PRIVILEGE_ALL = ("ids4.ms.us.privilege.all", "User service: everything about privileges")
    US_PRIVILEGE_AUTHORIZATIONS = (
        "ids4.ms.us.privilege.authorizations",
        "Authorise: get the privileges of a user in several tenants",
    )
    US_PRIVILEGE_LISTBYGROUP = (
        "ids4.ms.us.privilege.listbygroup",
        "List all privileges of a privilege group",
    )
    US_PRIVILEGE_LISTBYROLES = (
        "ids4.ms.us.privilege.listbyroles",
        "Get the set of privileges of several roles of a tenant",
    )
    US_PRIVILEGE_TREEBYROLES = (
        "ids4.ms.us.privilege.treebyroles",
        "Get the privileges of several roles of a tenant as a tree built from the privilege groups",
    )

    US_ROLE_ALL = ("ids4.ms.us.role.all", "User service: everything about roles of tenants")
    US_ROLE_BIND = "ids4.ms.us.role.bind", "Bind roles to an account in a tenant"
    US_ROLE_CREATE = ("ids4.ms.us.role.create", "Create a role in a tenant, without privileges")
    US_ROLE_INFO = "ids4.ms.us.role.info", "Get a role of a tenant with its privileges"
    US_ROLE_LIST = (
        "ids4.ms.us.role.list",
        "List the roles of a tenant, not paged, without privileges",
    )
    US_ROLE_LISTBYCODES = (
        "ids4.ms.us.role.listbycodes",
        "Get roles of a tenant by role code, without privileges",
    )
    US_ROLE_REMOVE = (
        "ids4.ms.us.role.remove",
        "Delete a role of a tenant by code; refused while an account is bound to it",
    )
    US_ROLE_SETPRIVILEGES = (
        "ids4.ms.us.role.setprivileges",
        "Set the privileges of a role: clear, then set",
    )
    US_ROLE_UNBIND = ("ids4.ms.us.role.unbind", "Unbind roles from an account in a tenant")
    US_ROLE_UPDATE = (
        "ids4.ms.us.role.update",
        "Update a role of a tenant, privileges left untouched",
    )

    US_TENANT_ALL = (
        "ids4.ms.us.tenant.all",
        "User service: everything about tenants and their bundles",
    )
    US_TENANT_CREATE = "ids4.ms.us.tenant.create", "Create a tenant"
    US_TENANT_CREATELINKED = (
        "ids4.ms.us.tenant.createlinked",
        "Create a tenant and link an account to it",
    )
    US_TENANT_INFO = "ids4.ms.us.tenant.info", "Get a tenant"
    US_TENANT_INITBUNDLE = ("ids4.ms.us.tenant.initbundle", "Initialise the bundle of a tenant")
    US_TENANT_PAGE = "ids4.ms.us.tenant.page", "Search tenants, paged"
    US_TENANT_SWITCHBUNDLE = ("ids4.ms.us.tenant.switchbundle", "Switch the bundle of a tenant")


DEFAULT_PERMISSIONS = frozenset(
    {
        Scope.APIRESOURCE_VERIFYEMAIL,
        Scope.APIRESOURCE_PACKAGES,
        Scope.APIRESOURCE_POSTPACKAGES,
        Scope.APIRESOURCE_DELETEPACKAGE,
        Scope.CLIENT_ISSUETOKEN,
    }
)
"""What everyone who registers may do."""
