"""Reasons by their codes, with a sentence for each."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from idp.explain.results import Reason

TEXTS: Mapping[str, str] = MappingProxyType(
    {
        # Scopes
        "granted": "The client may have the scope.",
        "releases": "Releases the claims {}.",
        "refresh_token": "The client gets a refresh token.",
        "unknown_scope": "There is no such scope; it is ignored.",
        "not_offline": "The client may not have refresh tokens; the scope is ignored.",
        "not_of_client": "The client does not list the scope.",
        "api_disabled": "The API {} is disabled.",
        "identity_disabled": "The identity resource {} is disabled.",
        "other_tenant": "The scope belongs to a tenant that the client does not belong to.",
        "needs_person": "The scope needs a person.",
        "other_resource": "The API {} is not among the resources asked for.",
        # Claims
        "protocol": "Set by the protocol in every token of this kind.",
        "each_token": "Another value in every token.",
        "sign_in": "Depends on the sign-in.",
        "api_asks": "The API {} asks for it.",
        "scope_asks": "The scope {} asks for it.",
        "scope_releases": "The scope {} releases it.",
        "account": "From the person's account.",
        "kept_for_person": "Kept for the person by an administrator.",
        "kept_for_role": "Kept for the role {}.",
        "client_claim": "Kept for the client.",
        "client_claim_withheld": "Kept for the client, which does not send it for people.",
        "reserved": "The name is reserved; a claim that is kept under it is never sent.",
        "no_value": "The person has no value for it.",
        "at_userinfo": "Sent by the userinfo endpoint; the client has it left out of ID tokens.",
        "too_large": "Too large for the token; {} has it.",
        "by_roles": "Roles of the person; see the roles.",
        "by_permissions": "Permissions of the person; see the permissions.",
        "no_api": "No API is in the audience.",
        "nothing": "There are none.",
        # Roles and permissions
        "tenant_role": "A role of the tenant.",
        "platform_role": "A role of the platform.",
        "other_issuer": "The platform role {} counts only in tokens of the platform's issuer.",
        "role": "The role {} has it.",
        "role_of_platform": "The platform role {} has it.",
        "direct_grant": "Granted directly in the tenant.",
        "platform_grant": "Granted directly at the platform.",
        "outside_bundle": "The bundle {} of the tenant does not contain it; it is kept, and cannot "
        "be granted again.",
        "not_in_bundle": "The bundle {} of the tenant does not contain it, so it cannot be granted "
        "there.",
        "other_audience": "Belongs to the API {}, which is not in the audience.",
        "permission_not_asked": "Belongs to no API, and no API in the audience asks for such.",
        "disabled": "The permission is disabled.",
        "folded": "Folded into {}.",
        "covered": "Covered by {}.",
        "not_held": "No role of the person has it, and it is not granted directly.",
        "role_has": "The role {} has it, but the person does not have the role.",
        "unknown_permission": "There is no such permission.",
        "no_person": "Tokens without a person have no roles and permissions.",
    }
)


def reason(code: str, subject: str | None = None) -> Reason:
    """Make a reason; its sentence names the subject."""
    return Reason(code, subject, TEXTS[code].format(subject))
