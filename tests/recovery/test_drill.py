"""Real servers: a backup while people sign in, and everything lost but backup and secret."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import func, select

from idp.directory.users.models import User
from idp.oauth.models import Grant, RefreshFamily
from idp.publishing.files import storage
from idp.runtime import create as create_runtime
from tests.conftest import SECRET_KEY, _migrate_and_seed, as_environment
from tests.databases import create_database
from tests.live.site import Site, running
from tests.nursery import NURSERY
from tests.protocol import App
from tests.recovery.conftest import Place
from tests.recovery.test_backup import add_file, manifest_of
from tests.servers import Postgres, clean_environment

VISITORS = 4
ROOT = Path(__file__).parent.parent.parent
NAME = "lost"


def command(environment: Mapping[str, str], *arguments: str | Path) -> Any:
    """Run `idp` in a process of its own and read its answer."""
    done = NURSERY.run(
        (*map(str, arguments), "--json"), {**clean_environment(), **environment}, ROOT, 300
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class Crowd:
    """People who sign in and refresh their tokens, one every few hundredths of a second."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.app = site.web()
        self.statuses: set[int] = set()
        self.rounds = 0
        self._stop = threading.Event()

    def visit(self) -> None:
        """Come as a new person again and again."""
        while not self._stop.is_set():
            tokens = self.site.tokens(self.app, self.site.person())
            answer = self.site.refresh(self.app, tokens["refresh_token"])
            self.statuses.add(answer.status)
            self.rounds += 1
            time.sleep(0.05)

    def during(self, action: Callable[[], Any]) -> Any:
        """Visit while something is done."""
        with ThreadPoolExecutor(VISITORS) as pool:
            tasks = [pool.submit(self.visit) for _ in range(VISITORS)]
            try:
                time.sleep(0.5)
                return action()
            finally:
                self._stop.set()
                for task in tasks:
                    task.result()


def test_a_backup_while_people_sign_in_is_consistent(
    database_url: str, tmp_path: Path, new_place: Callable[[], Place]
) -> None:
    path = tmp_path / "busy.tar"
    with running(tmp_path, database_url) as site:
        crowd = Crowd(site)
        before = [site.person().id for _ in range(3)]
        environment = site.server.environment
        crowd.during(lambda: command(environment, "backup", "--to", path))
        assert crowd.statuses == {200}
        assert crowd.rounds > 0
    place = new_place()
    # Foreign keys and the rows of each table are compared with the manifest.
    told = command(as_environment(place.settings), "restore", path)
    assert told["rows"] == sum(manifest_of(path)["rows"].values())
    runtime = create_runtime(place.settings)
    with runtime.sessions() as session:
        assert set(before) <= set(session.scalars(select(User.id)))
        # A grant and its family are written by one statement.
        grants = session.scalar(select(func.count()).select_from(Grant))
        families = session.scalar(select(func.count()).select_from(RefreshFamily))
        dangling = select(RefreshFamily.grant_id).where(
            RefreshFamily.grant_id.not_in(select(Grant.id))
        )
        assert session.scalars(dangling).all() == []
        assert 0 <= grants - families <= VISITORS
    runtime.engine.dispose()


def use(site: Site) -> tuple[App, User, Sequence[str]]:
    """Have a person sign in; return also the tokens of before."""
    app, user = site.web(), site.person()
    tokens = site.tokens(app, user)
    assert site.sign_in(user).status == 303
    return app, user, (tokens["access_token"], tokens["refresh_token"])


def test_everything_is_lost_but_backup_and_secret(
    database_url: str,
    tmp_path: Path,
    new_place: Callable[[], Place],
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "kept.tar"
    with running(tmp_path, database_url) as site:
        with site.sessions() as session:
            picture = add_file(session, site.runtime)
        app, user, (access, refresh) = use(site)
        command(site.server.environment, "backup", "--files", "--to", path)
        late = site.person()
    shutil.rmtree(tmp_path / "data")

    place = new_place()
    begun = time.monotonic()
    environment = as_environment(place.settings)
    assert environment["IDP_SECRET_KEY"] == SECRET_KEY
    command(environment, "restore", path)
    with running_at(place) as site:
        site._numbers = 1000  # names of the former one are taken
        assert site.sign_in(user).status == 303
        seconds = time.monotonic() - begun
        with capsys.disabled():
            print(f"\neverything lost, served again after {seconds:.1f} s")  # noqa: T201 - what a drill is for
        assert site.machine_token(site.machine()).status == 200
        assert not site.is_active(app, access)
        assert site.refresh(app, refresh).status == 400
        assert site.person().id > late.id
        assert site.tokens(app, user)["refresh_token"]
        name = picture.name
        assert storage.open_store(place.settings).read(name).startswith(b"\x89PNG")
        assert site.ask("GET", f"/files/{name}").status == 200


def running_at(place: Place) -> Any:
    """Serve a place; its settings are those that `running` makes for its folder."""
    folder = place.folder.parent / f"{place.folder.name}-served"
    folder.mkdir()
    return running(folder, place.settings.database, data_dir=place.folder)


@pytest.fixture
def archived() -> Any:
    """Return a PostgreSQL that archives its log, and a copy of its files."""
    primary, copy = Postgres(durable=True), Postgres(durable=True)
    archive = primary.folder / "archive"
    archive.mkdir(mode=0o777)
    archive.chmod(0o777)
    primary.options = {
        "archive_mode": "on",
        "archive_command": f"cp %p {archive}/%f",
        "shared_buffers": "32MB",
    }
    copy.options = {"shared_buffers": "32MB"}
    primary.start()
    yield primary, copy, archive
    for server in (primary, copy):
        server.stop()


@pytest.mark.no_database
def test_a_database_is_recovered_to_a_moment(
    archived: tuple[Postgres, Postgres, Path], tmp_path: Path
) -> None:
    primary, copy, archive = archived
    create_database(primary, NAME)
    _migrate_and_seed(primary.url(NAME), tmp_path)
    copy.make(primary)  # pg_basebackup
    for name in ("first", "again"):
        (tmp_path / name).mkdir()
    with running(tmp_path / "first", primary.url(NAME)) as site:
        app, user, (access, refresh) = use(site)
        moment = server_time(primary)
        time.sleep(0.1)
        late = site.person()
        late_access = site.tokens(app, late)["access_token"]
        with psycopg.connect(primary.maintenance, autocommit=True) as operator:
            operator.execute("SELECT pg_switch_wal()")
            operator.execute("CHECKPOINT")
    primary.kill()

    recover_to(copy, archive, moment)
    environment = {"IDP_DATABASE_URL": copy.url(NAME), "IDP_SECRET_KEY": SECRET_KEY}
    environment |= {"IDP_DATA_DIR": str(tmp_path / "again"), "IDP_ENVIRONMENT": "development"}
    told = command(environment, "recover", "--yes")
    assert told["ended_grants"] == 1
    with running(tmp_path / "again", copy.url(NAME)) as site:
        assert site.sign_in(user).status == 303
        assert site.sign_in(late).status == 400
        assert site.person().id > late.id
        assert not site.is_active(app, access)
        assert not site.is_active(app, late_access)
        assert site.refresh(app, refresh).status == 400


def server_time(server: Postgres) -> datetime:
    with psycopg.connect(server.maintenance) as connection:
        row = connection.execute("SELECT clock_timestamp()").fetchone()
    assert row is not None
    moment: datetime = row[0]
    return moment


def recover_to(copy: Postgres, archive: Path, moment: datetime) -> None:
    """Start a copy of the files, with the archived log up to a moment."""
    assert copy.data is not None
    with (copy.data / "postgresql.auto.conf").open("a") as settings:
        settings.write(
            "primary_conninfo = ''\n"
            f"restore_command = 'cp {archive}/%f %p'\n"
            f"recovery_target_time = '{moment.isoformat()}'\n"
            "recovery_target_action = 'promote'\n"
        )
    (copy.data / "standby.signal").rename(copy.data / "recovery.signal")
    copy.serve()
    end = time.monotonic() + 60
    while is_recovering(copy):
        assert time.monotonic() < end
        time.sleep(0.1)


def is_recovering(server: Postgres) -> bool:
    with psycopg.connect(server.maintenance) as connection:
        row = connection.execute("SELECT pg_is_in_recovery()").fetchone()
    return row is not None and bool(row[0])
