"""An authorization request once it is proven, and what was approved of it."""

from __future__ import annotations

from dataclasses import dataclass

from idp.directory.clients.snapshot import ClientView
from idp.oauth.checks import scope as scopes
from idp.oauth.checks.levels import LevelRequest
from idp.oauth.checks.prompt import ClaimsRequest
from idp.oauth.checks.scope import ValidatedScopes
from idp.oauth.visitor import SignedIn
from idp.platform.issuer import Issuer


@dataclass(frozen=True, slots=True)
class ValidatedRequest:
    """An authorization request that may be answered."""

    issuer: Issuer
    client: ClientView
    redirect_uri: str
    scopes: ValidatedScopes
    code_challenge: str | None
    nonce: str | None
    prompt: frozenset[str]
    max_age: int | None
    login_hint: str | None
    hinted_subject: str | None
    claims: ClaimsRequest
    tenant_id: int | None
    resources: tuple[str, ...]
    dpop_jkt: str | None
    """Key whose holder alone may redeem the code (RFC 9449 10)."""
    levels: LevelRequest

    @property
    def consent_scopes(self) -> tuple[str, ...]:
        """Scopes to be consented to, those that cover claims asked for by name included."""
        return scopes.to_consent(self.client, self.scopes.names, self.claims.names)


@dataclass(frozen=True, slots=True)
class Approved:
    """Everything that a grant is made of."""

    visitor: SignedIn
    tenant_id: int
    scopes: ValidatedScopes
    consented: frozenset[str] | None
    """Scopes that the person ticked; None: nothing was held back."""
    is_remembered: bool = False
    """Whether the person's answer counts for later requests too."""
