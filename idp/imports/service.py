"""Importing a document: all of it or nothing, with a report of the changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields
from sqlalchemy.orm import Session

from idp.directory.seeding import service as seeding
from idp.directory.users import password_costs
from idp.imports import gateway, people, sections, shapes
from idp.imports.run import Change, Entry, Run, wrong
from idp.imports.shapes import Entry as EntryShape
from idp.platform import files
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.errors import BadRequest
from idp.platform.wire.messages import flatten

DEMO = files.package_dir() / "imports" / "demo.yaml"
"""The names of the demo data."""


@dataclass(frozen=True, slots=True)
class Section:
    """A section of a file: the schema of its entries, and the function that imports them."""

    name: str
    shape: type[EntryShape]
    import_entries: Callable[[Run, Sequence[Entry]], None]


SECTIONS = (
    Section("tenant_types", shapes.TenantTypeEntry, sections.tenant_types),
    Section("tenants", shapes.TenantEntry, sections.tenants_),
    Section("applications", shapes.ApplicationEntry, sections.applications_),
    Section("privilege_groups", shapes.GroupEntry, sections.privilege_groups),
    Section("privileges", shapes.PrivilegeEntry, sections.privileges),
    Section("bundles", shapes.BundleEntry, sections.bundles),
    Section("menus", shapes.RootMenuEntry, sections.menus),
    Section("people", shapes.PersonEntry, people.people),
    Section("upstreams", shapes.UpstreamEntry, gateway.upstreams),
    Section("products", shapes.ProductEntry, gateway.products_),
    Section(
        "authorization_servers", shapes.AuthorizationServerEntry, gateway.authorization_servers
    ),
    Section("product_subscriptions", shapes.SubscriptionEntry, gateway.product_subscriptions),
)
"""In the order of the import: what is referred to comes before what refers to it."""


def import_document(session: Session, document: Any) -> Run:
    """Add what is missing, change what differs, and delete nothing."""
    content = _checked(document)
    # Hashing takes long, so it comes before the transaction.
    hashes = people.hashes(content.get("people", ()))
    costs = people.costs(hashes)
    seeding.lock(session)
    run = Run(session, hashes=hashes)
    password_costs.note(session, costs)
    for section in SECTIONS:
        if section.name in content:
            section.import_entries(run, content[section.name])
    _record(run)
    return run


def _checked(document: Any) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise BadRequest("The file contains no sections.")
    schema = Schema.from_dict(
        {section.name: fields.List(fields.Nested(section.shape)) for section in SECTIONS}
    )
    try:
        content: dict[str, Any] = schema(unknown=RAISE).load(document)
    except ValidationError as error:
        messages: dict[str, Any] = error.normalized_messages()  # type: ignore[no-untyped-call]
        raise wrong(flatten(messages)) from None
    return content


def _record(run: Run) -> None:
    for tag, changes in ((Tag.ROW_ADDED, run.added), (Tag.ROW_CHANGED, run.changed)):
        for change in changes:
            before, after = (
                {field["field"]: field[side] for field in change.fields}
                for side in ("before", "after")
            )
            audit.record_change(run.session, tag, _target(change), before, after)
    if run.added or run.changed:
        counts = {"added_count": len(run.added), "changed_count": len(run.changed)}
        audit.record(run.session, Tag.IMPORT_DONE, details=counts)


def _target(change: Change) -> str:
    return f"{change.section}:{change.key}"
