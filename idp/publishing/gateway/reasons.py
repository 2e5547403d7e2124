"""Reasons why a publication is refused; a dialect writes them in its languages."""

from __future__ import annotations

from enum import Enum
from typing import Self

from idp.platform.errors import Problem
from idp.publishing.descriptions.flaws import Flaw, UnusableError


class Reason(Enum):
    """Every reason, with its English text; values are filled in by name."""

    BROKEN = Flaw.BROKEN.value
    CHANGED_MEANWHILE = "This publication was changed by someone else"
    EXTERNAL_REFERENCE = Flaw.EXTERNAL_REFERENCE.value
    GATEWAY_REFUSED = "The gateway refused: {what}"
    GATEWAY_SILENT = "The gateway is not responding; the worker will try again"
    GATEWAY_UNSET = "The gateway of this tenant is not configured: {what}"
    INVALID = Flaw.INVALID.value
    MISSING = "Missing: {what}"
    NO_SUCH_API = "The API was not found at the gateway"
    NOT_FETCHED = Flaw.NOT_FETCHED.value
    SUFFIX_TAKEN = "Another microservice is published under this suffix"
    TOO_MANY_OPERATIONS = "The description has more than {what} operations"
    UPSTREAM_REFUSED = (
        "No server of the description is an allowed upstream address of the tenant: {what}"
    )


class NotPublished(Problem):
    """Nothing was changed at the gateway, and nothing was stored."""

    code = "not_published"
    status = 409
    title = "Not published"

    def __init__(self, reason: Reason, what: str = "", *, debug: str | None = None) -> None:
        super().__init__(reason.value.format(what=what[:200]), debug=debug)
        self.reason = reason
        self.what = what[:200]

    @classmethod
    def unusable(cls, problem: UnusableError) -> Self:
        """Return the refusal for an unusable description."""
        return cls(Reason[problem.flaw.name], problem.what, debug=problem.debug)

    @property
    def may_pass(self) -> bool:
        """Whether a later attempt may succeed."""
        return self.reason is Reason.GATEWAY_SILENT
