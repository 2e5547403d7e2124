"""Audit events in the visitor's language."""

from __future__ import annotations

from flask_babel import lazy_gettext as _

from idp.platform.audit.tags import Tag

NAMES = {
    Tag.ACCOUNT_AUTHENTICATED: _("A person authenticated"),
    Tag.CLIENT_CHANGED: _("Client changed"),
    Tag.CLIENT_CREATED: _("Client created"),
    Tag.CLIENT_DELETED: _("Client deleted"),
    Tag.CLIENT_REFUSED: _("The client's authentication was refused"),
    Tag.CLIENT_SECRET_ADDED: _("Client secret added"),
    Tag.CLIENT_SECRET_REMOVED: _("Client secret removed"),
    Tag.CODE_ISSUED: _("Code issued"),
    Tag.CODE_REUSED: _("A code was used twice: its tokens ended"),
    Tag.CONSENT_GIVEN: _("A person gave their consent"),
    Tag.CONSENT_REFUSED: _("A person refused their consent"),
    Tag.CONSENT_REVOKED: _("A person revoked their consent"),
    Tag.GRANT_REVOKED: _("Access ended"),
    Tag.REFRESH_REUSED: _("A refresh token was used twice: its tokens ended"),
    Tag.SIGN_IN: _("A person signed in"),
    Tag.SIGN_IN_REFUSED: _("A sign-in was refused"),
    Tag.TOKEN_ISSUED: _("Tokens issued"),
    Tag.TOKEN_REFRESHED: _("Tokens refreshed"),
    Tag.TOKEN_REVOKED: _("A token was revoked"),
    Tag.CONSENT_ENDED: _("Access of an application removed"),
    Tag.GRANT_ENDED: _("Grant ended"),
    Tag.MEMBER_ADDED: _("Added to an organisation"),
    Tag.MEMBER_REMOVED: _("Removed from an organisation"),
    Tag.PASSWORD_CHANGED: _("Password changed"),
    Tag.PASSWORD_RESET_ASKED: _("Link for a new password sent"),
    Tag.PASSWORD_RESET_DONE: _("Password reset"),
    Tag.PASSWORD_SET: _("Password set"),
    Tag.PROFILE_CHANGED: _("Profile changed"),
    Tag.ROLE_GIVEN: _("Role assigned"),
    Tag.ROLE_TAKEN: _("Role removed"),
    Tag.SESSION_ENDED: _("Session ended"),
    Tag.SESSION_REVOKED: _("Session ended"),
    Tag.SIGN_OUT: _("Signed out"),
    Tag.USER_CHANGED: _("Account changed"),
    Tag.USER_CREATED: _("Account created"),
    Tag.USER_DELETED: _("Account deleted"),
    Tag.USER_DISABLED: _("Account disabled"),
    Tag.USER_ENABLED: _("Account enabled"),
    Tag.USER_EXPORTED: _("Users exported"),
    Tag.USER_REGISTERED: _("Registered"),
    Tag.USER_SIGNED_OUT: _("Signed out everywhere"),
    Tag.USER_UNLOCKED: _("Account unlocked"),
    Tag.KEY_IMPORTED: _("Signing key imported"),
    Tag.KEY_REVOKED: _("Signing key revoked"),
    Tag.KEY_REWRAPPED: _("Signing keys moved to the new root secret"),
    Tag.KEY_ROTATED: _("Signing key rotated"),
}


def in_words(tag: str) -> str:
    """Return what an event is called; one without a name here has its tag."""
    return str(NAMES.get(Tag(tag), tag)) if tag in set(Tag) else tag
