"""`idp audit list`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

from click.testing import Result
from sqlalchemy.orm import Session

from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag


def test_events_are_listed_by_what_is_asked_for(
    idp_json: Callable[..., Any], session: Session
) -> None:
    audit.record(session, Tag.SIGN_IN, user_id=7, client_id="app", tenant_id=3, target="user:7")
    audit.record(session, Tag.SIGN_OUT, user_id=8)
    session.commit()
    newest = idp_json("audit", "list", "--limit", "1")
    assert [event["tag"] for event in newest] == [Tag.SIGN_OUT]
    for arguments in (
        ("--tag", Tag.SIGN_IN),
        ("--user", "7"),
        ("--client", "app"),
        ("--tenant", "3"),
        ("--tag", Tag.SIGN_IN, "--since", "2020-01-01", "--until", "2100-01-01T00:00+08:00"),
    ):
        assert [event["target"] for event in idp_json("audit", "list", *arguments)] == ["user:7"]
    assert idp_json("audit", "list", "--since", "2100-01-01") == []
    [event] = idp_json("audit", "list", "--user", "7")
    today = date.fromisoformat(event["at"][:10])
    period = ("--since", f"{today}", "--until", f"{today}", "--user", "7")
    assert len(idp_json("audit", "list", *period)) == 1
    assert idp_json("audit", "list", "--until", f"{today}T00:00") == []
    assert idp_json("audit", "list", "--until", f"{today - timedelta(days=1)}") == []
    older = idp_json("audit", "list", "--before", str(newest[0]["id"]), "--limit", "1")
    assert older[0]["tag"] == Tag.SIGN_IN


def test_text_of_strangers_does_not_steer_the_terminal(
    idp: Callable[..., Result], session: Session
) -> None:
    audit.record(session, Tag.SIGN_IN_REFUSED, target="\x1b[2Jclear", details={"note": "\x1b]0;x"})
    session.commit()
    assert "\x1b" not in idp("audit", "list").stdout
    assert "is not a date" in idp("audit", "list", "--since", "tomorrow", code=2).stderr
