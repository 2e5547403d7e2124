"""An installation that answers in this process, for pages over large data sets."""

from __future__ import annotations

from pathlib import Path

from pydantic import SecretStr
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from bench.site import where
from idp.app import create_app
from idp.config import Settings
from idp.platform import schema
from idp.platform.runtime import Runtime
from idp.seeds import seed
from tests import protocol
from tests.conftest import IssuerClient, create_database
from tests.servers import Postgres

BARE = "/console/platform/clients/new"
"""A page of the console that shows no rows."""
MOST_OF_BARE = 8.0
"""How much longer than such a page one with rows may take."""
ADMINISTRATOR = "root"


class Installed:
    """An installation on a database of its own, and the browser of its administrator."""

    def __init__(self, postgres: Postgres, folder: Path, name: str) -> None:
        create_database(postgres, name)
        settings = Settings(
            environment="development",
            data_dir=folder,
            keys_dir=folder / "keys",
            database_url=postgres.url(name),
            secret_key=SecretStr("a root secret that only the benchmark knows"),
            log_level="WARNING",
        )
        schema.upgrade(settings.database)
        app = create_app(settings)
        self.where = where(postgres, name)
        """How an operator reaches the database."""
        self.runtime: Runtime = app.extensions["idp"]
        self.runtime.cache._poll_seconds = 3600  # noqa: SLF001 - its statement is nobody's page
        self._browser = IssuerClient(app, settings.public_url, None)
        with self.runtime.sessions() as session:
            seed(session, settings)
            session.commit()

    def close(self) -> None:
        """Close the connections to the database."""
        self.runtime.engine.dispose()

    def sign_in(self, session: Session) -> None:
        """Add an administrator of the platform and sign them in."""
        user = protocol.add_person(session, ADMINISTRATOR, tenant_ids=(1,))
        protocol.add_role(session, user, "administrators", tenant_id=None)
        protocol.sign_in(self._browser, session, user)

    def open(self, path: str) -> TestResponse:
        """Open a page; anything but the page itself is an error."""
        answer = self._browser.get(path)
        if answer.status_code != 200:  # noqa: PLR2004 - HTTP
            raise RuntimeError(f"{path}: {answer.status} {answer.get_data(as_text=True)[:300]}")
        return answer
