"""Why a description cannot be used."""

from __future__ import annotations

from enum import Enum

from idp.platform.errors import Unprocessable


class Flaw(Enum):
    """What makes a description unusable, with its English text; `what` is filled in."""

    BROKEN = "The description cannot be read: {what}"
    EXTERNAL_REFERENCE = "The description refers to external content: {what}"
    INVALID = "The description is not a valid OpenAPI document: {what}"
    LONG_PAGE = "The page for this description would exceed {what} characters"
    NOT_FETCHED = "No usable response from the address of the description"
    NO_OPERATIONS = "The description has no operations"


class UnusableError(Unprocessable):
    """The description cannot be used."""

    code = "description_unusable"

    def __init__(self, flaw: Flaw, what: str = "", *, debug: str | None = None) -> None:
        self.flaw = flaw
        self.what = what[:200]
        super().__init__(flaw.value.format(what=self.what), debug=debug)
