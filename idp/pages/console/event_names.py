"""Audit events in the visitor's language, with their icons and what they are about."""

from __future__ import annotations

from flask_babel import lazy_gettext as _

from idp.platform.audit.tags import Tag

NAMES = {
    Tag.ADDRESS_CHANGED: _("E-mail address or phone number changed"),
    Tag.ADDRESS_CHANGE_REFUSED: _("Change of an address or phone number refused"),
    Tag.CONSENT_GIVEN: _("A person gave their consent"),
    Tag.CONSENT_REFUSED: _("A person refused their consent"),
    Tag.CONSENT_REVOKED: _("A person revoked their consent"),
    Tag.ENROLMENT_CODE_USED: _("Enrolment code used"),
    Tag.DOCUMENT_ACCEPTED: _("An application was let in by its document"),
    Tag.REGISTRATION_CHANGED: _("A client changed its own registration"),
    Tag.REGISTRATION_CREATED: _("A client registered itself"),
    Tag.REGISTRATION_DELETED: _("A client deleted itself"),
    Tag.REGISTRATION_DENIED: _("The registration of a client was refused"),
    Tag.REGISTRATION_EXPIRED: _("A client that nobody used was removed"),
    Tag.REGISTRATION_TOKEN_ISSUED: _("Registration token issued"),
    Tag.REGISTRATION_TOKEN_REVOKED: _("Registration token revoked"),
    Tag.DOCUMENT_CHANGED: _("The document of an application changed"),
    Tag.DEVICE_ALLOWED: _("A device without a browser was signed in"),
    Tag.DEVICE_COPIED: _("Device with copied data removed"),
    Tag.DEVICE_DENIED: _("The sign-in of a device without a browser was denied"),
    Tag.DEVICE_REMEMBERED: _("Device remembered"),
    Tag.DEVICE_REMOVED: _("Device removed"),
    Tag.DEVICES_FORGOTTEN: _("No device is remembered any more"),
    Tag.FACTOR_ADDED: _("Second factor added"),
    Tag.FACTOR_CHANGED: _("Second factor renamed"),
    Tag.FACTOR_REFUSED: _("Code of a second factor refused"),
    Tag.FACTOR_REMOVED: _("Second factor removed"),
    Tag.FACTOR_SUSPENDED: _("Passkey suspended"),
    Tag.EXEMPTION_USED: _("Signed in without the second factor that is required"),
    Tag.FACTOR_PUT_OFF: _("Second factor put off"),
    Tag.LEVEL_RAISED: _("Second factor proven in a session"),
    Tag.PASSWORD_CHANGED: _("Password changed"),
    Tag.PASSWORD_CHANGE_REFUSED: _("Change of a password refused"),
    Tag.PASSWORD_RESET_REQUESTED: _("Link for a new password sent"),
    Tag.PASSWORD_RESET_DONE: _("Password reset"),
    Tag.PROFILE_CHANGED: _("Profile changed"),
    Tag.QR_CONFIRMED: _("QR code confirmed"),
    Tag.QR_DENIED: _("QR code denied"),
    Tag.RECOVERY_CODES_MADE: _("New recovery codes"),
    Tag.RECOVERY_CODE_USED: _("Recovery code used"),
    Tag.REGISTRATION_REFUSED: _("Registration refused"),
    Tag.SESSION_ENDED: _("Session ended"),
    Tag.SIGN_IN: _("A person signed in"),
    Tag.SIGN_IN_REFUSED: _("A sign-in was refused"),
    Tag.SIGN_OUT: _("Signed out"),
    Tag.STOLEN_PASSWORD_USED: _("Sign-in with a common or stolen password"),
    Tag.SUBSCRIPTION_REQUESTED: _("Subscription requested"),
    Tag.SUBSCRIPTION_ENDED: _("Subscription ended"),
    Tag.SUBSCRIPTION_MADE: _("Subscription confirmed"),
    Tag.TENANT_CHOSEN: _("Organisation chosen"),
    Tag.USER_REGISTERED: _("Registered"),
    Tag.VERIFICATION_REFUSED: _("Verification code refused"),
    Tag.VERIFICATION_SENT: _("Verification code sent"),
    Tag.ACCOUNT_AUTHENTICATED: _("Account authenticated by a client"),
    Tag.CLIENT_REFUSED: _("The client's authentication was refused"),
    Tag.CODE_ISSUED: _("Code issued"),
    Tag.CODE_REUSED: _("A code was used twice: its tokens ended"),
    Tag.DEVICE_ASKED: _("A device without a browser asked to be signed in"),
    Tag.GRANT_REVOKED: _("Access ended"),
    Tag.PROOF_REPLAYED: _("A DPoP proof was used twice: the second use was refused"),
    Tag.REQUEST_PUSHED: _("A sign-in request was pushed"),
    Tag.REFRESH_REUSED: _("A refresh token was used twice: its tokens ended"),
    Tag.TOKEN_ISSUED: _("Tokens issued"),
    Tag.TOKEN_REFRESHED: _("Tokens refreshed"),
    Tag.TOKEN_REVOKED: _("A token was revoked"),
    Tag.API_RESOURCE_CHANGED: _("API resource changed"),
    Tag.API_RESOURCE_CREATED: _("API resource created"),
    Tag.API_RESOURCE_DELETED: _("API resource deleted"),
    Tag.APPLICATION_CHANGED: _("Application changed"),
    Tag.APPLICATION_CREATED: _("Application created"),
    Tag.APPLICATION_DELETED: _("Application deleted"),
    Tag.AUDIT_EXPORTED: _("Audit log exported"),
    Tag.BRANDING_CHANGED: _("Branding changed"),
    Tag.BUNDLE_CHANGED: _("Bundle changed"),
    Tag.BUNDLE_CREATED: _("Bundle created"),
    Tag.BUNDLE_DELETED: _("Bundle deleted"),
    Tag.CLIENT_CHANGED: _("Client changed"),
    Tag.CLIENT_CREATED: _("Client created"),
    Tag.CLIENT_DELETED: _("Client deleted"),
    Tag.CLIENT_SECRET_ADDED: _("Client secret added"),
    Tag.CLIENT_SECRET_REMOVED: _("Client secret removed"),
    Tag.CONSENT_ENDED: _("Access of an application removed"),
    Tag.DEVICE_REVOKED: _("Device of a user removed"),
    Tag.FILE_DELETED: _("File deleted"),
    Tag.FILE_REFUSED: _("File refused"),
    Tag.FILE_STORED: _("File stored"),
    Tag.GATEWAY_CHANGED: _("Gateway changed"),
    Tag.GRANT_ENDED: _("Grant ended"),
    Tag.IDENTITY_RESOURCE_CHANGED: _("Identity resource changed"),
    Tag.IDENTITY_RESOURCE_CREATED: _("Identity resource created"),
    Tag.IDENTITY_RESOURCE_DELETED: _("Identity resource deleted"),
    Tag.MEMBER_ADDED: _("Member added"),
    Tag.MEMBER_REMOVED: _("Member removed"),
    Tag.OPERATION_REFUSED: _("Operation refused"),
    Tag.PACKAGE_ENTERED: _("Package entered"),
    Tag.PACKAGE_REMOVED: _("Package removed"),
    Tag.PASSWORD_SET: _("Password set by an administrator"),
    Tag.POLICY_CHANGED: _("Policy changed"),
    Tag.PRIVILEGE_CREATED: _("Privilege created"),
    Tag.PUBLICATION_CHANGED: _("Publication changed"),
    Tag.ROLE_CHANGED: _("Role changed"),
    Tag.ROLE_CREATED: _("Role created"),
    Tag.ROLE_DELETED: _("Role deleted"),
    Tag.ROLE_GIVEN: _("Role assigned"),
    Tag.ROLE_POLICY_CHANGED: _("Policy of a role changed"),
    Tag.ROLE_TAKEN: _("Role removed from a person"),
    Tag.SDK_REQUESTED: _("SDK requested"),
    Tag.SDK_OPTIONS_CHANGED: _("SDK targets changed"),
    Tag.SESSION_REVOKED: _("Session ended by an administrator"),
    Tag.TENANT_BUNDLE_SET: _("Bundle of an organisation set"),
    Tag.STRANGERS_CHANGED: _("Changed which applications may come in"),
    Tag.TENANT_CHANGED: _("Organisation changed"),
    Tag.TENANT_CREATED: _("Organisation created"),
    Tag.TENANT_CLEARING: _("Removal of all members of an organisation begun"),
    Tag.TENANT_DELETED: _("Organisation deleted"),
    Tag.USER_CHANGED: _("Person changed"),
    Tag.USER_CREATED: _("Person added"),
    Tag.USER_DELETED: _("Person deleted"),
    Tag.USER_DISABLED: _("Person disabled"),
    Tag.USER_ENABLED: _("Person enabled"),
    Tag.USER_ENROLMENT_CODE_MADE: _("Enrolment code made"),
    Tag.USER_EXPORTED: _("Users exported"),
    Tag.USER_FACTOR_REMOVED: _("Second factor removed by an administrator"),
    Tag.USER_FACTORS_RESET: _("Second factors reset by an administrator"),
    Tag.USER_LOOKED_UP: _("Account looked up"),
    Tag.USER_SIGNED_OUT: _("Signed out everywhere"),
    Tag.USER_UNLOCKED: _("Person unlocked"),
    Tag.DATABASE_COPIED: _("Database copied"),
    Tag.DATABASE_RESTORED: _("Database restored"),
    Tag.USER_RECOVERED: _("Account recovered by a command"),
    Tag.FACTORS_RESET: _("Second factors removed by a command"),
    Tag.IMPORT_DONE: _("Import done"),
    Tag.KEY_ACTIVATED: _("Signing key activated"),
    Tag.KEY_CREATED: _("Signing key created"),
    Tag.KEY_ERASED: _("Signing key erased"),
    Tag.KEY_IMPORTED: _("Signing key imported"),
    Tag.KEY_REVOKED: _("Signing key revoked"),
    Tag.KEY_REWRAPPED: _("Keys encrypted with the current root secret"),
    Tag.KEY_ROTATED: _("Signing key rotated"),
    Tag.OUTBOX_RETRIED: _("Messages retried"),
    Tag.ROOT_SECRET_RESET: _("Lost root secret replaced"),
    Tag.ROW_ADDED: _("Row added by a command"),
    Tag.ROW_CHANGED: _("Row changed by a command"),
    Tag.SDK_BUILT: _("SDK built"),
    Tag.SDK_FAILED: _("SDK failed"),
    Tag.SETUP_DONE: _("Setup done"),
    Tag.TOKEN_MADE: _("Token issued by a command"),
    Tag.PRIVILEGE_GROUP_CHANGED: _("Group of privileges changed"),
    Tag.PRIVILEGE_GROUP_CREATED: _("Group of privileges created"),
    Tag.PRIVILEGE_GROUP_DELETED: _("Group of privileges deleted"),
    Tag.SDK_CANCELLED: _("SDK job cancelled"),
    Tag.TENANT_TYPE_CHANGED: _("Type of organisations changed"),
    Tag.TENANT_TYPE_CREATED: _("Type of organisations created"),
    Tag.TENANT_TYPE_DELETED: _("Type of organisations deleted"),
    Tag.MAIL_TESTED: _("Test message sent"),
    Tag.OUTBOX_DROPPED: _("Message dropped"),
}

SUBJECTS = {
    "sign-in": _("Sign-in"),
    "people": _("People"),
    "roles": _("Roles & permissions"),
    "clients": _("Clients"),
    "tokens": _("Tokens and consents"),
    "apis": _("APIs"),
    "organisations": _("Organisations"),
    "publishing": _("Gateway and SDKs"),
    "system": _("System"),
    "refusals": _("Refusals"),
}
"""What events are about."""
REFUSALS = "refusals"
_OBJECTS = {
    "sign-in": {"account", "device", "enrolment-code", "factor", "qr-code", "recovery-code"}
    | {"session", "verification-code"},
    "people": {"address", "membership", "password", "profile", "user", "user:registration"},
    "roles": {"privilege", "privilege-group", "role", "role-policy", "user-role"},
    "clients": {"authentication", "client", "client-secret", "document", "registration-token"}
    | {"client:registration", "system:registration"},
    "tokens": {"code", "consent", "grant", "proof", "refresh-token", "request", "token"},
    "apis": {"api-resource", "identity-resource"},
    "organisations": {
        "application",
        "branding",
        "bundle",
        "policy",
        "stranger-policy",
        "tenant",
        "tenant-bundle",
        "tenant-type",
    },
    "publishing": {"file", "gateway", "package", "publication", "sdk", "sdk-options"}
    | {"subscription"},
    "system": {"audit", "database", "import", "key", "mail", "operation", "outbox", "row"}
    | {"root-secret", "setup"},
}
"""The second parts of tags; with the first one where several subjects have the same word."""
_ICONS = {
    ("plus", "is-good"): {
        "accepted",
        "added",
        "allowed",
        "confirmed",
        "created",
        "enabled",
        "entered",
        "given",
    }
    | {"issued", "made", "stored", "unlocked"},
    ("pencil", "is-info"): {"changed", "chosen", "set"},
    ("trash", "is-warn"): {"deleted", "dropped", "erased", "expired", "removed", "reset"}
    | {"taken"},
    ("ban", "is-warn"): {"cancelled", "denied", "disabled", "revoked", "suspended"},
    ("bad", "is-bad"): {"change-refused", "failed", "refused", "replayed", "reused"},
    ("logout", "is-quiet"): {"ended", "signed-out"},
    ("session", "is-quiet"): {"authenticated", "raised", "started", "used"},
    ("download", "is-info"): {"exported"},
    ("rotate", "is-quiet"): {"activated", "refreshed", "rotated"},
}
"""Icon and class by the last parts of tags."""


def in_words(tag: str) -> str:
    """Return what an event is called; one without a name here has its tag."""
    return str(NAMES.get(Tag(tag), tag)) if tag in set(Tag) else tag


def icon(tag: str) -> tuple[str, str]:
    """Return the icon of an event and its class."""
    done = tag.rpartition(":")[2]
    return next((shown for shown, words in _ICONS.items() if done in words), ("info", "is-quiet"))


def tags_of(subject: str) -> frozenset[str]:
    """Return the tags of the events about a subject."""
    if subject == REFUSALS:
        return frozenset(tag for tag in Tag if icon(tag)[0] == "bad")
    objects = _OBJECTS[subject]
    return frozenset(
        tag for tag in Tag if tag.split(":")[1] in objects or tag.rpartition(":")[0] in objects
    )


def named(text: str) -> frozenset[str]:
    """Return the tags of the events whose name, in the visitor's language, holds a text."""
    sought = text.casefold()
    return frozenset(tag for tag, name in NAMES.items() if sought in str(name).casefold())
