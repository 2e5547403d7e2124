"""The level of sign-in that a request asks for: `acr_values`, `claims`, and the client's own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from idp.directory import levels
from idp.directory.clients.snapshot import ClientView
from idp.oauth.checks.prompt import ClaimsRequest
from idp.oauth.request import Parameters
from idp.platform.errors import OAuthError
from idp.platform.issuer import Issuer

MOST_VALUES = 10
LONGEST_VALUE = 200


@dataclass(frozen=True, slots=True)
class LevelRequest:
    """What is asked for; a wish that cannot be met is no obstacle, a demand is."""

    wished: tuple[str, ...] = ()
    """Known levels any of which is enough, the preferred one first."""
    accepted: tuple[str, ...] = ()
    """Levels one of which is demanded as the value of the claim `acr`."""
    demanded: str | None = None
    """The lowest level with which the sign-in may go on."""

    def is_demand_met(self, level: str) -> bool:
        """Return whether a level is enough to go on."""
        return self.demanded is None or levels.satisfies(level, self.demanded)

    def is_met(self, level: str) -> bool:
        """Return whether a level is all that is asked for."""
        is_wish_met = any(levels.satisfies(level, wished) for wished in self.wished)
        return self.is_demand_met(level) and (is_wish_met or not self.wished)

    def demanding(self, level: str) -> LevelRequest:
        """Return the same request, which demands at least a level."""
        demanded = max([self.demanded or levels.PWD, level], key=levels.rank)
        return replace(self, demanded=demanded)

    def needs_passkey(self, level: str) -> bool:
        """Return whether what a level lacks is met by the highest level alone."""
        if not self.is_demand_met(level):
            return self.demanded == levels.PHR
        return not self.is_met(levels.MFA)

    def stated(self, level: str) -> str:
        """Return the `acr` of tokens: the highest level asked for that is met, else that reached.

        OpenID Connect Core 5.5.1.1: the value of a demanded claim is one of those asked for.
        """
        asked = self.accepted or self.wished
        met = [name for name in asked if levels.satisfies(level, name)]
        return max(met, key=levels.rank, default=level)


def read(
    issuer: Issuer,
    client: ClientView,
    parameters: Parameters,
    claims: ClaimsRequest,
) -> LevelRequest:
    """Read what a request asks for; refuse a demand that no sign-in here can meet."""
    asked = [str(value) for value in claims.values("id_token", "acr")]
    is_essential = bool(asked) and claims.is_essential("id_token", "acr")
    accepted = _known(asked) if is_essential else ()
    if is_essential and not accepted:
        raise unmet()
    lowest = [min(accepted, key=levels.rank)] if accepted else []
    required = [] if client.require_acr is None else [client.require_acr]
    demanded = max([*lowest, *required], key=levels.rank, default=None)
    if demanded is not None and demanded not in levels.reachable(issuer):
        raise unmet()
    wished = _wished(client, parameters, () if is_essential else asked)
    return LevelRequest(wished, accepted, demanded)


def unmet() -> OAuthError:
    """Return the refusal of a level that cannot be reached (OpenID Connect Core 5.5.1.1)."""
    return OAuthError(
        "No sign-in here has the acr asked for", code="unmet_authentication_requirements"
    )


def _wished(client: ClientView, parameters: Parameters, by_claim: Iterable[str]) -> tuple[str, ...]:
    """Return the levels that are wished for; unknown ones are skipped."""
    text = parameters.get("acr_values")
    by_parameter = [] if text is None else text.split()
    too_long = any(len(value) > LONGEST_VALUE for value in by_parameter)
    if too_long or len(by_parameter) > MOST_VALUES:
        message = f"acr_values has more than {MOST_VALUES} values, or one that is too long"
        raise OAuthError(message)
    return _known([*by_claim, *by_parameter]) or client.default_acr_values


def _known(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value for value in values if value in levels.LEVELS))
