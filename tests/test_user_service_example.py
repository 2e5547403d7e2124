"""The worked example of the user service is run as printed, against a server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from idp.config import Settings
from idp.seeds import seed
from tests.test_tasks import ROOT, documents, run_page  # noqa: F401 - a fixture

pytestmark = [pytest.mark.no_database, pytest.mark.settings(demo=True)]


def test_the_roles_decide_what_token_and_menu_show(
    run_page: Callable[[str], str],  # noqa: F811 - the fixture above
    session: Session,
    settings: Settings,
    tmp_path: Path,
) -> None:
    seed(session, settings)
    session.commit()
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    _, imported, clerk, both = documents(run_page("../user-service-example.md"))
    assert {row["section"] for row in imported["added"]} == {
        "applications",
        "bundles",
        "menus",
        "privilege_groups",
        "privileges",
        "tenant_types",
    }
    assert clerk == {
        "tenant": "Acme",
        "role": ["clerk", "developer", "users"],
        "permission": ["desk.orders.read"],
        "menu": [["Order desk", ["Orders", ["All orders"]]]],
    }
    assert both == {
        "tenant": "Acme",
        "role": ["auditor", "clerk", "developer", "users"],
        "permission": ["desk.orders.read", "desk.reports.read"],
        "menu": [["Order desk", ["Orders", ["All orders"]], ["Reports"]]],
    }
