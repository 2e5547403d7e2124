"""What somebody should look at, and what a new installation still lacks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from flask_babel import gettext as _
from flask_babel import lazy_gettext, ngettext
from sqlalchemy.orm import Session

from idp.directory.clients import management as clients
from idp.directory.overview import TO_DO, Installation
from idp.directory.scopes import Scope
from idp.pages.console import times
from idp.pages.console.workspaces import Workspace
from idp.platform import clock
from idp.platform.signing import service as signing

SOON = timedelta(days=14)
MOST_NAMES = 3

STEPS = {
    "mail": (
        lazy_gettext("Mail server"),
        lazy_gettext("Without one no mail is sent."),
        lazy_gettext("A mail server is set."),
        "settings",
    ),
    "https": (
        lazy_gettext("https"),
        lazy_gettext("Sign-ins must not cross a network unencrypted."),
        lazy_gettext("Pages are served over https."),
        "settings",
    ),
    "second_administrator": (
        lazy_gettext("Second administrator"),
        lazy_gettext("If the only one is locked out, nobody can help."),
        lazy_gettext("There is more than one administrator."),
        "users",
    ),
}


@dataclass(frozen=True, slots=True)
class Item:
    """A line with an icon and a page to go to."""

    icon: str
    mood: str
    title: str
    detail: str
    href: str | None


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the installation."""

    title: str
    detail: str
    is_done: bool
    href: str | None


def items(
    session: Session, workspace: Workspace, installation: Installation | None
) -> Iterator[Item]:
    """List what somebody should look at, as far as the person may see it."""
    if workspace.may(Scope.CLIENT_GET):
        yield from _secrets(session, workspace)
    if installation is None:
        return
    if installation.messages_failed:
        yield Item(
            "mail",
            "bad",
            ngettext(
                "%(num)s message could not be delivered",
                "%(num)s messages could not be delivered",
                installation.messages_failed,
            ),
            _("Retry them, or drop them."),
            workspace.link("messages", state="failed"),
        )
    yield from _keys(session, workspace, installation)


def steps(workspace: Workspace, installation: Installation) -> list[Step]:
    """List the steps of the installation, the open ones first."""
    found = []
    for name in TO_DO:
        title, detail, done, screen = STEPS[name]
        is_done = name not in installation.to_do
        found.append(
            Step(str(done if is_done else title), str(detail), is_done, workspace.link(screen))
        )
    return sorted(found, key=lambda step: step.is_done)


def _secrets(session: Session, workspace: Workspace) -> Iterator[Item]:
    until = clock.now() + SOON
    names = clients.names_with_ending_secrets(session, workspace.actor, until)
    if not names:
        return
    yield Item(
        "time",
        "warn",
        ngettext(
            "A secret of %(num)s client expires within 14 days",
            "Secrets of %(num)s clients expire within 14 days",
            len(names),
        ),
        _short(names),
        workspace.link("clients"),
    )


def _keys(session: Session, workspace: Workspace, installation: Installation) -> Iterator[Item]:
    for key in installation.active_keys:
        due_at = signing.rotation_due_at(session, key)
        if due_at <= clock.now() + SOON:
            yield Item(
                "keys",
                "info",
                _("The key for %(alg)s rotates %(when)s", alg=key.alg, when=times.ago(due_at)),
                _("The next key is already published."),
                workspace.link("keys"),
            )


def _short(names: Sequence[str]) -> str:
    shown = ", ".join(names[:MOST_NAMES])
    return shown if len(names) <= MOST_NAMES else f"{shown}, …"
