"""Whether connections prepare statements."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine

from idp.app import create_app
from idp.platform import revisions, schema
from tests.conftest import make_settings

pytestmark = pytest.mark.no_database


def threshold(engine: Engine) -> int | None:
    """Return after how many uses a connection prepares a statement; None: never."""
    with engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        found: int | None = driver.prepare_threshold
    engine.dispose()
    return found


@pytest.mark.parametrize("prepare", [True, False])
def test_the_application_prepares_unless_it_is_told_not_to(
    new_database: Callable[[], str], tmp_path: Path, prepare: bool
) -> None:
    settings = make_settings(tmp_path, database_url=new_database(), database_prepare=prepare)
    engine = create_app(settings).extensions["idp"].engine
    assert (threshold(engine) is not None) is prepare


def test_connections_that_are_closed_after_use_prepare_nothing(
    new_database: Callable[[], str],
) -> None:
    url = new_database()
    with schema._engine(url) as engine:
        assert threshold(engine) is None
    with revisions.looking(url) as connection:
        assert threshold(connection.engine) is None
