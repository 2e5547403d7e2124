"""Why something does not get to the gateway; a dialect says it in its languages."""

from __future__ import annotations

from enum import Enum
from typing import Self

from idp.platform.errors import Problem
from idp.publishing.descriptions.flaws import Flaw, UnusableError


class Reason(Enum):
    """Every reason, with its English text; values are filled in by name."""

    BROKEN = Flaw.BROKEN.value
    CHANGED_MEANWHILE = "Somebody else changed this publication meanwhile"
    EXTERNAL_REFERENCE = Flaw.EXTERNAL_REFERENCE.value
    GATEWAY_REFUSED = "The gateway refused: {what}"
    GATEWAY_SILENT = "The gateway does not answer; it will be tried again"
    GATEWAY_UNSET = "The gateway of this tenant is not set up: {what}"
    INVALID = Flaw.INVALID.value
    MISSING = "Not given: {what}"
    NO_SUCH_API = "The gateway has no such API"
    NOT_FETCHED = Flaw.NOT_FETCHED.value
    SUFFIX_TAKEN = "Another microservice is published under this suffix"
    TOO_MANY_OPERATIONS = "The description has more than {what} operations"
    UPSTREAM_REFUSED = (
        "No server of the description is on the list of upstreams that the operator allows: {what}"
    )


class NotPublished(Problem):
    """Nothing was changed at the gateway, and nothing is kept."""

    code = "not_published"
    status = 409
    title = "Not published"

    def __init__(self, reason: Reason, what: str = "", *, debug: str | None = None) -> None:
        super().__init__(reason.value.format(what=what[:200]), debug=debug)
        self.reason = reason
        self.what = what[:200]

    @classmethod
    def unusable(cls, problem: UnusableError) -> Self:
        """Refuse what its description makes impossible."""
        return cls(Reason[problem.flaw.name], problem.what, debug=problem.debug)

    @property
    def may_pass(self) -> bool:
        """Whether trying again later may help."""
        return self.reason is Reason.GATEWAY_SILENT
