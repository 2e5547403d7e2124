"""`idp recover`: what was issued, ended or deleted in the time that was lost stays so."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event, func, select
from sqlalchemy.orm import Session

from idp.account import devices as rules
from idp.account.devices import Sent
from idp.directory.authentication import qr
from idp.directory.clients import service as clients
from idp.directory.devices import service as devices
from idp.directory.registration import codes
from idp.directory.registration.codes import Channel, MessageContext, Sender
from idp.directory.tenants import service as tenants
from idp.directory.users import service as users
from idp.directory.users.models import User
from idp.directory.users.service import NewUser
from idp.oauth.models import Grant
from idp.platform import clock as wall
from idp.platform import ids
from idp.platform.audit import exporting
from idp.platform.audit import service as audit
from idp.platform.audit.models import AuditEvent
from idp.platform.audit.tags import Tag
from idp.platform.db import Base, ConfigurationVersion
from idp.platform.onetime import service as onetime
from idp.platform.runtime import Runtime
from idp.platform.sessions.models import BrowserSession
from idp.platform.signing import service as signing
from idp.recovery import service as recovery
from idp.recovery.hints import Hints
from idp.recovery.service import Choices
from tests import protocol
from tests.conftest import IssuerClient
from tests.pages.browsing import submit
from tests.protocol import App, add_person, obtain, refresh, register, register_machine
from tests.recovery.conftest import Place, Run

OFFLINE = "openid offline_access"
JUMP = 1_000_000
SECRET_REMOVED = {
    "at": "2030-01-01T00:00:00Z",
    "tag": Tag.CLIENT_SECRET_REMOVED,
    "target": "client:web",
}


@pytest.fixture
def web(session: Session) -> App:
    return register(session)


def is_refused(answer: Any) -> bool:
    assert answer.status_code == 400, answer.get_data(as_text=True)
    return bool(answer.get_json()["error"] == "invalid_grant")


def signed_in(client: IssuerClient, session: Session, username: str = "ann") -> User:
    user = add_person(session, username)
    protocol.sign_in(client, session, user)
    return user


def kids(browser: IssuerClient) -> list[str]:
    keys = browser.get("/.well-known/openid-configuration/jwks").get_json()["keys"]
    return [key["kid"] for key in keys]


def highest(engine: Engine) -> dict[str, int]:
    with engine.connect() as connection:
        return ids.highest(connection, ids.numbered(connection))


def rows_of(engine: Engine) -> dict[str, Any]:
    with engine.connect() as connection:
        return {
            table.name: connection.execute(select(table).order_by(*table.primary_key.columns)).all()
            for table in Base.metadata.sorted_tables
        }


# (a) ids


def test_no_id_of_the_lost_time_is_assigned_again(
    idp_json: Any,
    session: Session,
    runtime: Runtime,
    client: IssuerClient,
    web: App,
    saved: Callable[..., Path],
    place: Place,
) -> None:
    path = saved()
    lost = signed_in(client, session, "lost")
    tokens = obtain(client, web, OFFLINE)
    assert protocol.is_active(client, web, tokens.access)
    lost_id = lost.id
    session.commit()
    lost_ids = highest(runtime.engine)
    idp_json("restore", path, at=place)

    there = place.open()
    with place.runtime.sessions() as other:
        assert users.find(other, lost_id) is None
        new = signed_in(there, other, "new")
        assert new.id > lost_id
        newer = obtain(there, web, OFFLINE)
        grant = other.scalars(select(Grant).where(Grant.user_id == new.id)).one()
        assert grant.id > lost_ids["grant"]
    assert protocol.is_active(there, web, newer.access)
    # The grant that this token leads to is nobody's.
    assert not protocol.is_active(there, web, tokens.access)
    assert is_refused(refresh(there, web, tokens.refresh))


def test_every_table_starts_above_what_it_ever_assigned(
    idp_json: Any, session: Session, runtime: Runtime
) -> None:
    gone = users.create(session, NewUser("gone"))
    gone_id = gone.id
    session.delete(gone)
    session.commit()
    before = highest(runtime.engine)
    assert before["user"] == gone_id
    told = idp_json("recover", "--yes")
    after = highest(runtime.engine)
    for name, number in before.items():
        assert after[name] >= number + JUMP, name
        assert told["first_ids"][name] == number + JUMP + 1, name
    assert users.create(session, NewUser("new")).id == gone_id + JUMP + 1
    # A table that never had a row could have had one in the time that was lost.
    assert before["menu"] == 0
    assert after["menu"] == JUMP
    assert told["ids_left_out"] == JUMP


def test_ids_start_above_those_of_a_file(
    idp_json: Any, idp: Run, session: Session, runtime: Runtime, tmp_path: Path
) -> None:
    before = highest(runtime.engine)
    known = tmp_path / "highest.json"
    known.write_text(json.dumps({"user": 70_000}))
    assert idp_json("recover", "--yes", "--highest", known, "--ids", "10")["first_ids"] == {
        name: max(number, 70_000 if name == "user" else 0) + 11 for name, number in before.items()
    }
    assert users.create(session, NewUser("new")).id == 70_011
    session.commit()
    known.write_text(json.dumps({"format": 1, "highest_ids": {"tenant": 5_000}}))
    assert idp_json("recover", "--yes", "--highest", known)["first_ids"]["tenant"] == 1_005_001


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", "does not hold the highest ids"),
        ("[1, 2]", "does not hold the highest ids"),
        ('{"user": -1}', "does not hold the highest ids"),
        ('{"user": "7"}', "does not hold the highest ids"),
        ('{"user": 1.5}', "does not hold the highest ids"),
        ('{"highest_ids": null}', "does not hold the highest ids"),
        ('{"user; DROP TABLE user": 7}', "there is no table"),
        ('{"user": 2147483647}', "Ids of user would pass 2147483647"),
        ('{"grant": 9223372036854775807}', "Ids of grant would pass 9223372036854775807"),
        ('{"grant": 99999999999999999999999}', ""),
        ("\ud800", "does not hold the highest ids"),
    ],
)
def test_a_file_of_ids_that_cannot_be_used_is_refused(
    idp: Run, runtime: Runtime, tmp_path: Path, content: str, complaint: str
) -> None:
    known = tmp_path / "highest.json"
    known.write_bytes(content.encode(errors="surrogatepass"))
    before = highest(runtime.engine)
    assert complaint in idp("recover", "--yes", "--highest", str(known), code=1).stderr
    assert highest(runtime.engine) == before


def test_nodes_do_not_take_a_change_for_one_they_have_seen(
    idp: Run, session: Session, client: IssuerClient
) -> None:
    before = session.scalar(select(ConfigurationVersion.version))
    idp("recover", "--yes")
    session.expire_all()
    assert session.scalar(select(ConfigurationVersion.version)) > before + JUMP - 1


# (b) what is used once


def test_codes_end(
    idp: Run,
    session: Session,
    client: IssuerClient,
    web: App,
    saved: Callable[..., Path],
    new_place: Callable[[], Place],
) -> None:
    signed_in(client, session)
    code = protocol.code_of(protocol.authorize(client, web))
    path = str(saved())
    assert protocol.redeem(client, web, code).status_code == 200  # in the time that was lost
    for options in ((), ("--keep-sessions",)):
        place = new_place()
        idp("restore", path, *options, at=place)
        there = place.open()
        assert is_refused(protocol.redeem(there, web, code))
        with place.runtime.sessions() as other:
            # It is not taken for a code that was stolen.
            query = select(func.count()).where(AuditEvent.tag == Tag.CODE_REUSED)
            assert other.scalar(query) == 0


def add_device(session: Session, user: User) -> None:
    """Add a device that is remembered."""
    issuer = tenants.find_issuer(session, "127.0.0.1:8000")
    assert issuer is not None
    rules.note_sign_in(session, issuer, user, Sent(), is_remembered=True)
    session.commit()


def test_links_verification_codes_and_waiting_requests_end(
    idp_json: Any, session: Session, client: IssuerClient, runtime: Runtime, web: App, clock: Any
) -> None:
    ann = add_person(session, mobile="+8613800138000")
    link = onetime.issue(
        session, "reset", user_id=ann.id, security_stamp=ann.security_stamp, seconds=600
    )
    codes.send(
        session,
        Channel.SMS,
        "13800138000",
        Sender("somebody", 5),
        MessageContext("idp", "en"),
    )
    waiting = protocol.authorize(client, web)
    page = waiting.location
    assert client.get(page).status_code == 200
    protocol.add_authenticator(session, ann)
    new = qr.make(session, 1)
    assert qr.answer(session, 1, new.handle, ann, allow=True)
    session.commit()
    client.get("/login")
    add_device(session, ann)
    half = submit(client, "/login", {"login": "ann", "password": protocol.PASSWORD})
    assert half.location == "/login/factor"
    assert client.get("/login/factor").status_code == 200
    assert onetime.peek(session, "reset", link) is not None
    assert codes._count_good(session, Channel.SMS, "+8613800138000") == 1

    ended = idp_json("recover", "--yes", "--keep-sessions")
    assert [ended[f"ended_{name}"] for name in ("links", "verification_codes")] == [1, 1]
    assert [ended[f"ended_{name}"] for name in ("qr_sign_ins", "waiting_requests")] == [1, 1]
    assert ended["ended_sign_ins_under_way"] == 1
    assert ended["ended_devices"] == 1
    session.expire_all()
    assert devices.list_for(session, ann) == []
    assert client.get("/login/factor").status_code == 303
    session.expire_all()
    assert onetime.use(session, "reset", link) is None
    assert codes._count_good(session, Channel.SMS, "+8613800138000") == 0
    assert qr.state_of(qr.find(session, 1, new.handle)) is qr.State.EXPIRED
    assert qr.use(session, 1, new.handle, new.secret) is None
    clock.shift(1)
    form = client.post(page, data={"username": "ann", "password": protocol.PASSWORD})
    assert form.status_code >= 400


# (c) sessions and grants


def test_sessions_grants_and_tokens_end(
    idp: Run,
    session: Session,
    client: IssuerClient,
    web: App,
    saved: Callable[..., Path],
    place: Place,
) -> None:
    api = protocol.add_api(session)
    opaque = register_machine(session, "opaque", ["orders.read"], access_token_type=1)
    user = add_person(session)
    name, cookie = protocol.start_session(session, "127.0.0.1:8000", user)
    client.set_cookie(name, cookie, domain="127.0.0.1")
    tokens = obtain(client, web, OFFLINE)
    reference = protocol.machine_token(client, opaque).get_json()["access_token"]
    assert protocol.is_active(client, opaque, reference)
    path = saved()
    newer = protocol.Tokens(refresh(client, web, tokens.refresh).get_json())
    idp("restore", str(path), at=place)

    there = place.open()
    for token in (tokens, newer):
        assert is_refused(refresh(there, web, token.refresh))
        assert not protocol.is_active(there, web, token.access)
    assert not protocol.is_active(there, opaque, reference)
    there.set_cookie(name, cookie, domain="127.0.0.1")
    assert "/login" in protocol.authorize(there, web).location
    with place.runtime.sessions() as other:
        assert other.scalars(select(Grant.revoked_reason)).all() == [recovery.REASON]
        assert other.scalar(select(func.count()).where(BrowserSession.ended_at.is_(None))) == 0
    # People sign in again with what they know.
    with place.runtime.sessions() as other:
        protocol.sign_in(there, other, users.get(other, user.id))
    assert obtain(there, web, OFFLINE).refresh
    assert api.name == "orders"


def test_sessions_are_kept_when_that_is_chosen(
    idp: Run,
    session: Session,
    client: IssuerClient,
    web: App,
    saved: Callable[..., Path],
    place: Place,
) -> None:
    user = add_person(session)
    name, cookie = protocol.start_session(session, "127.0.0.1:8000", user)
    client.set_cookie(name, cookie, domain="127.0.0.1")
    tokens = obtain(client, web, OFFLINE)
    path = saved()
    newer = protocol.Tokens(refresh(client, web, tokens.refresh).get_json())
    idp("restore", str(path), "--keep-sessions", at=place)
    there = place.open()
    there.set_cookie(name, cookie, domain="127.0.0.1")
    assert protocol.code_of(protocol.authorize(there, web))
    assert protocol.is_active(there, web, tokens.access)
    # The state does not know the rotation that was lost, and takes it for nobody's.
    assert is_refused(refresh(there, web, newer.refresh))
    assert refresh(there, web, tokens.refresh).status_code == 200


# (d) keys


def test_a_key_that_was_revoked_since_is_revoked_again(
    idp: Run,
    idp_json: Any,
    session: Session,
    client: IssuerClient,
    saved: Callable[..., Path],
    new_place: Callable[[], Place],
) -> None:
    protocol.add_api(session)
    machine = register_machine(session, scopes=["orders.read"])
    token = protocol.machine_token(client, machine).get_json()["access_token"]
    kid = protocol.header(token)["kid"]
    path = str(saved())
    signing.revoke(session, kid)
    session.commit()
    assert not protocol.is_active(client, machine, token)

    # Without a word about it the stolen key would be good again: that is what the option is for.
    forgotten = new_place()
    idp("restore", path, at=forgotten)
    assert protocol.is_active(forgotten.open(), machine, token)
    told = idp_json("recover", "--yes", "--revoked", kid, at=forgotten)
    assert told["revoked_keys"] == [kid]
    assert not protocol.is_active(forgotten.open(), machine, token)

    place = new_place()
    idp("restore", path, "--revoked", kid, at=place)
    there = place.open()
    assert not protocol.is_active(there, machine, token)
    assert kid not in kids(there)
    fresh = protocol.machine_token(there, machine).get_json()["access_token"]
    assert protocol.header(fresh)["kid"] != kid
    assert protocol.is_active(there, machine, fresh)


def test_keys_are_replaced_and_old_tokens_run_out(
    idp_json: Any, session: Session, client: IssuerClient
) -> None:
    protocol.add_api(session)
    machine = register_machine(session, scopes=["orders.read"])
    token = protocol.machine_token(client, machine).get_json()["access_token"]
    active = {key.kid for key in signing.list_keys(session) if key.status == "active"}
    told = idp_json("recover", "--yes", "--revoked", "unknown")
    assert set(told["replaced_keys"]) == active
    assert told["unknown_keys"] == ["unknown"]
    session.expire_all()
    now = {key.kid for key in signing.list_keys(session) if key.status == "active"}
    assert len(now) == 4
    assert not now & active
    fresh = protocol.machine_token(client, machine).get_json()["access_token"]
    assert protocol.header(fresh)["kid"] in now
    assert protocol.is_active(client, machine, token)


# (e) people, and (f) what else was taken away


def exported(runtime: Runtime, path: Path, form: str) -> Path:
    events = exporting.read(runtime, audit.ANY, before=None, last=None)
    lines = exporting.as_csv(events) if form == "csv" else exporting.as_json_lines(events)
    path.write_text("".join(lines), encoding="utf-8", newline="")
    return path


@pytest.mark.parametrize("form", ["csv", "jsonl", "ids"])
def test_a_person_who_was_deleted_since_is_deleted_again(
    idp_json: Any,
    session: Session,
    runtime: Runtime,
    client: IssuerClient,
    web: App,
    saved: Callable[..., Path],
    place: Place,
    tmp_path: Path,
    form: str,
) -> None:
    ann, ben, early = (add_person(session, name) for name in ("ann", "ben", "early"))
    users.delete(session, early)
    path = saved()
    late = add_person(session, "late")
    for user in (ann, late):
        users.delete(session, user)
    session.commit()
    trail = tmp_path / f"trail.{form}"
    if form == "ids":
        trail.write_text(f"# deleted on Monday\n{ann.id}\n\n{late.id}  # never known\n")
    else:
        exported(runtime, trail, form)
    told = idp_json("restore", path, "--forget", trail, at=place)
    assert told["deleted_users"] == [ann.id]
    assert told["unknown_users"] == [late.id]
    place.open()
    with place.runtime.sessions() as other:
        gone = other.get_one(User, ann.id)
        assert gone.deleted_at is not None
        assert gone.password_hash is None
        assert users.find_by_username(other, "ann") is None
        assert users.get(other, ben.id).deleted_at is None
        events = other.scalars(
            select(AuditEvent.target)
            .where(AuditEvent.tag == Tag.USER_DELETED)
            .order_by(AuditEvent.id)
        )
        assert events.all() == [f"user:{early.id}", f"user:{ann.id}"]


def test_the_audit_log_names_revoked_keys_and_what_is_to_be_reviewed(
    idp_json: Any,
    session: Session,
    runtime: Runtime,
    client: IssuerClient,
    web: App,
    saved: Callable[..., Path],
    place: Place,
    tmp_path: Path,
) -> None:
    row = clients.get(session, web.client_id)
    clients.add_secret(session, row)
    first, second = row.secrets
    ben = add_person(session, "ben")
    session.commit()
    clients.remove_secret(session, row, first.id)  # before: it does not come back
    path = saved()
    third = clients.add_secret(session, row)
    assert third
    third_id = row.secrets[-1].id
    for secret_id in (second.id, third_id):
        clients.remove_secret(session, row, secret_id)
    users.disable(session, ben)
    kid = next(key.kid for key in signing.list_keys(session) if key.status == "active")
    signing.revoke(session, kid)
    session.commit()
    trail = exported(runtime, tmp_path / "trail.jsonl", "jsonl")
    told = idp_json("restore", path, "--forget", trail, at=place)
    assert told["revoked_keys"] == [kid]
    assert [(event["tag"], event["target"]) for event in told["review"]] == [
        ("admin:client-secret:removed", f"client:{web.client_id}"),
        ("admin:user:disabled", f"user:{ben.id}"),
    ]
    assert told["review"][0]["secret_id"] == second.id


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("ann", "line 1: not the id of a user"),
        ("7\n-8", "line 2: not the id of a user"),
        ("0", "line 1: not the id of a user"),
        ("99999999999999999999", "line 1: not the id of a user"),
        ("9" * 100_000, "line 1: not the id of a user"),
        ("七", "line 1: not the id of a user"),
        ("1" * 2_000_000, "line 1: too long"),
        ("{}", "line 1: not an event"),
        ('{"at": "2030-01-01T00:00:00", "tag": "a", "target": "b", "details": null}', "line 1"),
        ("{" * 100_000, "line 1: not an event"),
        *(
            (json.dumps({**SECRET_REMOVED, "details": {"secret_id": wrong}}), "not an event")
            for wrong in ("7", -1, True, 2**63, [7])
        ),
        (
            "id,at,tag,user_id,client_id,tenant_id,target,remote_addr,request_id,details\n1,2",
            "line 2: not an event",
        ),
        ("\udcff", "is not text in UTF-8"),
    ],
)
def test_a_file_that_names_nobody_is_refused(
    idp: Run, runtime: Runtime, tmp_path: Path, content: str, complaint: str
) -> None:
    named = tmp_path / "named"
    named.write_bytes(content.encode(errors="surrogateescape"))
    before = rows_of(runtime.engine)
    assert complaint in idp("recover", "--yes", "--forget", str(named), code=1).stderr
    assert rows_of(runtime.engine) == before


# (h) the event, and the command


def test_the_event_names_the_gap(
    idp: Run, session: Session, saved: Callable[..., Path], place: Place
) -> None:
    path = saved()
    made_at = wall.now()
    idp("restore", str(path), at=place)
    place.open()
    with place.runtime.sessions() as other:
        found = other.scalars(select(AuditEvent).where(AuditEvent.tag == Tag.DATABASE_RESTORED))
        details = found.one().details
    since, until = (datetime.fromisoformat(details[name]) for name in ("since", "until"))
    assert since <= made_at < until
    assert details["sessions_kept"] is False
    assert details["ids"] == JUMP


def test_a_dry_run_changes_nothing(
    idp: Run,
    idp_json: Any,
    session: Session,
    runtime: Runtime,
    client: IssuerClient,
    web: App,
    tmp_path: Path,
) -> None:
    user = signed_in(client, session)
    tokens = obtain(client, web, OFFLINE)
    rows, numbers = rows_of(runtime.engine), highest(runtime.engine)
    named = tmp_path / "named"
    named.write_text(str(user.id))
    options = ("--forget", str(named), "--revoked", kids(client)[0])
    told = idp_json("recover", "--dry-run", *options)
    assert told["dry_run"] is True
    assert told["ended_grants"] == told["ended_sessions"] == 1
    assert rows_of(runtime.engine) == rows
    # PostgreSQL does not take back numbers that it assigned; none jumped.
    assert all(
        number <= highest(runtime.engine)[name] < number + 100 for name, number in numbers.items()
    )
    assert "ended_grants: 1" in idp("recover", "--dry-run").stdout
    assert refresh(client, web, tokens.refresh).status_code == 200
    told |= {"dry_run": False}
    done = idp_json("recover", "--yes", *options)
    for moving in ("since", "first_ids", "ended_codes"):
        done.pop(moving), told.pop(moving)
    assert done == told


def test_nothing_is_done_without_a_yes(idp: Run, runtime: Runtime) -> None:
    before = rows_of(runtime.engine)
    assert "confirm with --yes" in idp("recover", "--json", code=2).stderr
    assert "Sign everybody out" in idp("recover", code=1).output
    for options in (("--ids", "0"), ("--ids", "-5"), ("--ids", "1000000001"), ("--forget", "/")):
        idp("recover", "--yes", *options, code=2)
    assert rows_of(runtime.engine) == before


def test_recovering_twice_is_harmless(idp: Run, idp_json: Any, session: Session) -> None:
    idp("recover", "--yes")
    again = idp_json("recover", "--yes")
    assert again["ended_grants"] == again["ended_sessions"] == 0
    session.expire_all()
    assert len([key for key in signing.list_keys(session) if key.status == "active"]) == 4


@contextmanager
def counting(engine: Engine) -> Iterator[list[str]]:
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    yield seen
    event.remove(engine, "before_cursor_execute", note)


def test_the_number_of_statements_does_not_follow_the_number_of_rows(
    session: Session, runtime: Runtime, web: App
) -> None:
    def grow(prefix: str, number: int) -> None:
        for index in range(number):
            user = add_person(session, f"{prefix}-{index}")
            protocol.start_session(session, "127.0.0.1:8000", user)
            session.add(protocol.grant_of(user, client_id=web.row_id, tenant_id=1))
        session.commit()

    def measure() -> int:
        with counting(runtime.engine) as seen:
            recovery.recover(session, Choices(hints=Hints(deleted_users=frozenset({10**6}))))
            session.rollback()
        return len(seen)

    grow("few", 2)
    few = measure()
    grow("many", 30)
    assert measure() == few
