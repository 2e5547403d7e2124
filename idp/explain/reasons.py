"""Reasons by their codes, with a sentence for each."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from idp.explain.results import Reason
from idp.platform.translation import N_

TEXTS: Mapping[str, str] = MappingProxyType(
    {
        # Scopes
        "granted": N_("The client may have the scope."),
        "releases": N_("Releases the claims {}."),
        "refresh_token": N_("The client gets a refresh token."),
        "unknown_scope": N_("There is no such scope; it is ignored."),
        "not_offline": N_("The client may not have refresh tokens; the scope is ignored."),
        "not_of_client": N_("The client does not list the scope."),
        "api_disabled": N_("The API {} is disabled."),
        "identity_disabled": N_("The identity resource {} is disabled."),
        "other_tenant": N_("The scope belongs to a tenant that the client does not belong to."),
        "needs_person": N_("The scope needs a person."),
        "other_resource": N_("The API {} is not among the resources asked for."),
        # Claims
        "protocol": N_("Set by the protocol in every token of this kind."),
        "each_token": N_("Another value in every token."),
        "sign_in": N_("Depends on the sign-in."),
        "api_asks": N_("The API {} asks for it."),
        "scope_asks": N_("The scope {} asks for it."),
        "scope_releases": N_("The scope {} releases it."),
        "account": N_("From the person's account."),
        "kept_for_person": N_("Kept for the person by an administrator."),
        "kept_for_role": N_("Kept for the role {}."),
        "client_claim": N_("Kept for the client."),
        "client_claim_withheld": N_("Kept for the client, which does not send it for people."),
        "reserved": N_("The name is reserved; a claim that is kept under it is never sent."),
        "no_value": N_("The person has no value for it."),
        "at_userinfo": N_(
            "Sent by the userinfo endpoint; the client has it left out of ID tokens."
        ),
        "too_large": N_("Too large for the token; {} has it."),
        "by_roles": N_("Roles of the person; see the roles."),
        "by_permissions": N_("Permissions of the person; see the permissions."),
        "no_api": N_("No API is in the audience."),
        "nothing": N_("There are none."),
        # Roles and permissions
        "tenant_role": N_("A role of the tenant."),
        "platform_role": N_("A role of the platform."),
        "other_issuer": N_("The platform role {} counts only in tokens of the platform's issuer."),
        "role": N_("The role {} has it."),
        "role_of_platform": N_("The platform role {} has it."),
        "direct_grant": N_("Granted directly in the tenant."),
        "platform_grant": N_("Granted directly at the platform."),
        "outside_bundle": N_(
            "The bundle {} of the tenant does not contain it; it is kept, and cannot "
            "be granted again."
        ),
        "not_in_bundle": N_(
            "The bundle {} of the tenant does not contain it, so it cannot be granted there."
        ),
        "other_audience": N_("Belongs to the API {}, which is not in the audience."),
        "permission_not_asked": N_("Belongs to no API, and no API in the audience asks for such."),
        "disabled": N_("The permission is disabled."),
        "folded": N_("Folded into {}."),
        "covered": N_("Covered by {}."),
        "not_held": N_("No role of the person has it, and it is not granted directly."),
        "role_has": N_("The role {} has it, but the person does not have the role."),
        "unknown_permission": N_("There is no such permission."),
        "no_person": N_("Tokens without a person have no roles and permissions."),
    }
)


def reason(code: str, subject: str | None = None) -> Reason:
    """Make a reason; its sentence names the subject."""
    return Reason(code, subject, TEXTS[code].format(subject))
