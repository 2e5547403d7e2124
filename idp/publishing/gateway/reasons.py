"""Why something does not get to the gateway; a dialect says it in its languages."""

from __future__ import annotations

from enum import Enum

from idp.platform.errors import Problem


class Reason(Enum):
    """Every reason, with its English text; values are filled in by name."""

    BROKEN = "The description cannot be read: {what}"
    CHANGED_MEANWHILE = "Somebody else changed this publication meanwhile"
    EXTERNAL_REFERENCE = "The description refers to something outside of itself: {what}"
    GATEWAY_REFUSED = "The gateway refused: {what}"
    GATEWAY_SILENT = "The gateway does not answer; it will be tried again"
    GATEWAY_UNSET = "The gateway of this tenant is not set up: {what}"
    INVALID = "The description is no valid OpenAPI document: {what}"
    MISSING = "Not given: {what}"
    NO_SUCH_API = "The gateway has no such API"
    NOT_FETCHED = "The address of the description gave no usable answer"
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

    @property
    def may_pass(self) -> bool:
        """Whether trying again later may help."""
        return self.reason is Reason.GATEWAY_SILENT
