"""Uploaded files: the list, where one is used, and deleting it."""

from __future__ import annotations

from functools import partial

from flask_babel import format_decimal, gettext, ngettext
from flask_babel import lazy_gettext as _
from werkzeug.wrappers import Response

from idp.directory.scopes import Scope
from idp.directory.tenants import service as tenants
from idp.directory.users import service as users
from idp.pages.console import deletion, layout, lists, screens
from idp.pages.console.deletion import Deletion
from idp.pages.console.gate import Pages
from idp.pages.console.lists import Filter, Sort
from idp.pages.console.workspaces import Workspace
from idp.platform.web.views import database
from idp.publishing.files import kinds, management
from idp.publishing.files import service as files
from idp.publishing.files.models import StoredFile

WRITE = Scope.ADMIN_FILES_WRITE
GROUPS = {"image": _("Pictures"), "video": _("Videos"), "document": _("Documents")}
SORTS = {
    "created": Sort(_("Uploaded"), StoredFile.created_at),
    "size": Sort(_("Size"), StoredFile.size),
}
FILTERS = {"kind": Filter(_("Kind"), GROUPS)}
LIMITS = (
    (GROUPS["image"], kinds.IMAGES, kinds.IMAGE),
    (GROUPS["video"], [kind for kind in kinds.FILES if kind.largest == kinds.VIDEO], kinds.VIDEO),
    (
        GROUPS["document"],
        [kind for kind in kinds.FILES if kind.largest == kinds.DOCUMENT],
        kinds.DOCUMENT,
    ),
)
"""What is accepted: title, kinds, and how large one may be."""

UNITS = (("MB", 1_000_000), ("kB", 1000), ("B", 1))

pages = Pages(screens.FILES)


@pages.get()
def index(workspace: Workspace) -> Response:
    """List files, the newest first."""
    listing = lists.read(SORTS, FILTERS, usual="-created")
    query = management.select_files(listing.chosen.get("kind"))
    if listing.text:
        columns = (StoredFile.original_name, StoredFile.name, StoredFile.client_id)
        query = query.where(lists.matches(listing.text, *columns))
    session = database()
    page = lists.fetch(session, query, listing, StoredFile.id)
    people = {row.user_id for row in page.rows if row.user_id is not None}
    owners = {row.tenant_id for row in page.rows if row.tenant_id is not None}
    return layout.page(
        workspace,
        "files/index.html",
        screen=screens.FILES,
        size=readable_size,
        page=page,
        names=users.names_of(session, people),
        owners=tenants.names(session, owners),
        addresses={row.id: files.address(session, row, workspace.issuer.url) for row in page.rows},
        total_size=management.total_size(session),
        limits=LIMITS,
        may_write=workspace.may(WRITE),
        write=WRITE,
    )


@pages.get("/<int:row_id>/delete", permission=WRITE, recent=True)
def ask_to_delete(workspace: Workspace, row_id: int) -> Response:
    """Show what names a file."""
    return deletion.ask(workspace, screens.FILES, _deletion(workspace, row_id))


@pages.post("/<int:row_id>/delete", permission=WRITE, recent=True)
def delete(workspace: Workspace, row_id: int) -> Response:
    """Delete a file that nothing names, after its name was typed."""
    delete_file = partial(management.delete, database(), row_id)
    describe = partial(_deletion, workspace, row_id)
    return deletion.carry_out(workspace, screens.FILES, describe, delete_file, "files.index")


def _deletion(workspace: Workspace, row_id: int) -> Deletion:
    row = management.get(database(), row_id)
    uses = management.uses(database(), row)
    warning = _("Browsers and caches may show a copy for a year.")
    advice = _("The file itself is removed from the store.")
    if uses.total:
        warning = _("A file that is still in use cannot be deleted.")
        advice = _("Remove it there first.")
    return Deletion(
        gettext("Delete this file?"),
        row.original_name,
        [layout.Crumb(row.original_name), layout.Crumb(gettext("Delete"))],
        [
            (uses.people, ngettext("profile", "profiles", uses.people)),
            (uses.clients, ngettext("logo of a client", "logos of clients", uses.clients)),
            (uses.packages, ngettext("SDK package", "SDK packages", uses.packages)),
            (uses.brandings, ngettext("branding", "brandings", uses.brandings)),
        ],
        workspace.url("files.index"),
        warning,
        advice,
    )


def readable_size(octets: int) -> str:
    """Return a size as people read it, in the language of the page."""
    unit, factor = next((each for each in UNITS if octets >= each[1]), UNITS[-1])
    return f"{format_decimal(round(octets / factor, 1))} {unit}"
