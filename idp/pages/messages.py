"""What services say, in the visitor's language.

Services speak English. The sentences that pages hand on are listed here, so that the catalogues
have them; one that is missing is shown as it is.
"""

from __future__ import annotations

from flask_babel import gettext, lazy_gettext, ngettext

from idp.platform.errors import Busy, Problem, TooManyRequests

KNOWN = (
    # idp.directory.users.passwords
    lazy_gettext("The password needs 8 characters or more."),
    lazy_gettext("The password has 128 characters at most."),
    lazy_gettext("The password has no control characters."),
    lazy_gettext("This password is among the commonest ones."),
    lazy_gettext("The password is not the user's own name."),
    lazy_gettext("Too many people are signing in right now. Please try again in a few seconds."),
    # idp.directory.registration, when somebody registers
    lazy_gettext("No more text messages can be sent at the moment. Please try again later."),
    lazy_gettext("Control characters are not allowed."),
    lazy_gettext("This e-mail address is taken."),
    lazy_gettext("This is not a mobile number."),
    lazy_gettext("This is not an e-mail address."),
    lazy_gettext("This mobile number is taken."),
    lazy_gettext("This user name is taken."),
    # idp.directory.users.profile
    lazy_gettext("This is not an http(s) address."),
    lazy_gettext("A day is written like 1990-05-06."),
    lazy_gettext("This day is not possible."),
    lazy_gettext("This is not a time zone such as Asia/Shanghai."),
    lazy_gettext("This is not a language such as zh-CN."),
    # idp.publishing.files
    lazy_gettext("The virus scanner refuses this file."),
    # idp.oauth, before the application is proven or when its request is gone
    lazy_gettext("The application is not known here. Tell the people who run it."),
    lazy_gettext("The application's return address isn't registered. Tell the people who run it."),
    lazy_gettext("Too many sign-ins are under way. Please try again later."),
    lazy_gettext("Missing parameter"),
    lazy_gettext("Parameter given more than once"),
    lazy_gettext("id_token_hint is not an ID token of this issuer"),
    lazy_gettext("client_id differs from the audience of id_token_hint"),
    # idp.platform.web
    lazy_gettext("Something went wrong here; the request id helps to find out what"),
    lazy_gettext("The database does not answer; try again"),
    lazy_gettext("This page was shown to another account. Nothing was sent or changed."),
    lazy_gettext("This form was sent from another site and was not accepted."),
    lazy_gettext("This page was open for too long. Please send the form again."),
    lazy_gettext(
        "Your browser sent no cookie with this form. Allow cookies for this site and send it again."
    ),
    lazy_gettext("The request cannot be understood."),
    lazy_gettext("The address may be wrong, or the page is gone."),
    lazy_gettext("This page cannot be opened this way."),
    lazy_gettext("More was sent than is accepted here."),
    lazy_gettext("A value is out of range"),
    # idp.pages.console
    lazy_gettext("Disable the client first."),
    lazy_gettext("Given more than once"),
    lazy_gettext("The list cannot be sorted by this"),
    lazy_gettext("The search text is too long."),
    lazy_gettext("This page of the list is not known; start at the first one."),
    lazy_gettext("Unknown value of a filter"),
    lazy_gettext("You lack a permission here"),
    # idp.platform.errors
    lazy_gettext("Bad request"),
    lazy_gettext("Client authentication failed"),
    lazy_gettext("Forbidden"),
    lazy_gettext("Internal error"),
    lazy_gettext("Not found"),
    lazy_gettext("Temporarily unavailable"),
    lazy_gettext("Too many requests"),
)


def say(text: str) -> str:
    """Translate a sentence of a service; unlike `_` in a template it is still to be escaped."""
    said: str = gettext(text)
    sentence, colon, name = text.partition(": ")
    if said == text and colon:  # "Missing parameter: client_id"
        said = f"{gettext(sentence)}: {name}"
    return said


def reasons(problem: Problem) -> list[str]:
    """List why something was refused, one sentence each."""
    told = [text for texts in problem.fields.values() for text in texts] or [problem.detail]
    return [say(text) for text in told]


def come_back(refusal: TooManyRequests | Busy) -> str:
    """Return when to try again, and whether their own tries or a crowd are the cause."""
    if isinstance(refusal, Busy):
        return say(refusal.detail)
    return wait_message(refusal.retry_after)


def wait_message(seconds: int) -> str:
    """Tell a visitor who tried too often how long to wait."""
    text: str = ngettext(
        "Too many tries. Please wait one second and try again.",
        "Too many tries. Please wait %(num)s seconds and try again.",
        seconds,
    )
    return text
