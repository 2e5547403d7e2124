"""One installation for all tests of this folder; a test that breaks it repairs it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from tests.conftest import Run
from tests.live.site import Site, filled_database, running
from tests.servers import free_port


class Mailbox:
    """Keeps every mail that arrives."""

    def __init__(self) -> None:
        self.mails: list[Any] = []

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        """Take a mail, as aiosmtpd calls it."""
        self.mails.append(envelope)
        return "250 OK"


@pytest.fixture(scope="session")
def postgresql_url(run: Run) -> Iterator[str]:
    """Return a migrated and seeded PostgreSQL database."""
    with filled_database(run, "live") as name:
        yield run.postgres_server().url(name)


@pytest.fixture(scope="session")
def site(postgresql_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Run `idp serve` with two workers and everything that belongs to it."""
    folder = tmp_path_factory.mktemp("site")
    mailbox = Mailbox()
    smtp = Controller(mailbox, hostname="127.0.0.1", port=free_port())
    smtp.start()
    fields = {
        "environment": "production",
        "smtp_url": f"smtp://127.0.0.1:{smtp.port}",
        "mail_from": "no-reply@login.example",
        "metrics_listen": f"127.0.0.1:{free_port()}",
    }
    try:
        with running(folder, postgresql_url, **fields) as site:
            site.mails = mailbox.mails
            yield site
    finally:
        smtp.stop()
