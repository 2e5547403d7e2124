"""What a refresh token says, and what the rules make of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from idp.oauth import refresh_rules
from idp.oauth.models import RefreshFamily
from idp.oauth.refresh_rules import Family, Outcome, Token
from idp.platform.secrets import Keyring, b64url, from_b64url

pytestmark = pytest.mark.no_database

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
OLD, NEW = "the root secret of before", "the root secret of now"


def raw(token: Token) -> bytes:
    return from_b64url(token.text.removeprefix("rt_"))


def test_a_token_says_family_generation_and_secret() -> None:
    keyring = Keyring([NEW])
    token = refresh_rules.write(keyring, 2**40 + 7, 2**31 - 1, b"s" * 32)
    assert refresh_rules.read(keyring, token.text) == token
    assert len(token.text) == 83


def test_no_byte_of_a_token_can_be_changed() -> None:
    keyring = Keyring([NEW])
    whole = raw(refresh_rules.begin(keyring, 7))
    for position in range(len(whole)):
        changed = bytearray(whole)
        changed[position] ^= 1
        assert refresh_rules.read(keyring, "rt_" + b64url(bytes(changed))) is None, position


def test_a_token_is_written_in_one_way() -> None:
    keyring = Keyring([NEW])
    text = next(
        token.text
        for token in (refresh_rules.begin(keyring, 7) for _ in range(100))
        if {"-", "_"} <= set(token.text.removeprefix("rt_"))
    )
    head = text.removeprefix("rt_")
    others = (head, f"RT_{head}", f"{text}=", f"{text}\n", f" {text}", text[:-1])
    translated = "rt_" + head.translate({ord("-"): "+", ord("_"): "/"})
    for other in (*others, translated):
        assert refresh_rules.read(keyring, other) is None, other


def test_nobody_counts_families_or_generations() -> None:
    keyring = Keyring([NEW])
    blocks = [
        raw(refresh_rules.write(keyring, family, generation, b"s" * 32))[:16]
        for family in range(20)
        for generation in range(20)
    ]
    assert len(set(blocks)) == len(blocks)
    for position in range(16):  # numbers one after the other would share bytes
        assert len({block[position] for block in blocks}) > 100


def test_a_successor_is_the_same_every_time_and_depends_on_all_of_its_predecessor() -> None:
    keyring = Keyring([NEW])
    token = refresh_rules.write(keyring, 7, 3, b"s" * 32)
    following = refresh_rules.successor(keyring, token)
    assert refresh_rules.successor(keyring, token) == following
    assert (following.family, following.generation) == (7, 4)
    assert refresh_rules.read(keyring, following.text) == following
    others = [
        refresh_rules.write(keyring, 8, 3, b"s" * 32),
        refresh_rules.write(keyring, 7, 4, b"s" * 32),
        refresh_rules.write(keyring, 7, 3, b"t" * 32),
    ]
    secrets = {refresh_rules.successor(keyring, other).secret for other in others}
    assert len({following.secret, *secrets}) == 4


def test_tokens_of_the_former_root_secret_are_read_while_it_is_set() -> None:
    token = refresh_rules.begin(Keyring([OLD]), 7)
    both = Keyring([NEW, OLD])
    assert refresh_rules.read(both, token.text) == token
    assert refresh_rules.successor(Keyring([OLD]), token) in refresh_rules.successors(both, token)
    assert refresh_rules.read(Keyring([NEW]), token.text) is None


CURRENT = Token(7, 3, b"s" * 32, "")
FAMILY = Family(
    grant_id=7,
    generation=3,
    secret_hash=CURRENT.secret_hash,
    scopes=["openid"],
    created_at=NOW - timedelta(days=3),
    rotated_at=NOW - timedelta(seconds=59),
    expires_at=NOW + timedelta(seconds=1),
    absolute_expires_at=NOW + timedelta(seconds=1),
)
PREVIOUS = replace(CURRENT, generation=2, secret=b"p" * 32)
OLDER = replace(CURRENT, generation=1, secret=b"o" * 32)


@pytest.mark.parametrize(
    ("token", "family", "client", "expected"),
    [
        (CURRENT, {}, {}, Outcome.ROTATE),
        (CURRENT, {}, {"refresh_token_is_reusable": True}, Outcome.KEEP),
        (CURRENT, {}, {"refresh_token_is_reusable": True, "is_public": True}, Outcome.ROTATE),
        (
            CURRENT,
            {"dpop_jkt": "key"},
            {"refresh_token_is_reusable": True, "is_public": True},
            Outcome.KEEP,
        ),
        (CURRENT, {"expires_at": NOW}, {}, Outcome.EXPIRED),
        (CURRENT, {"expires_at": NOW}, {"refresh_token_is_reusable": True}, Outcome.EXPIRED),
        (replace(CURRENT, secret=b"t" * 32), {}, {}, Outcome.UNKNOWN),
        (replace(CURRENT, generation=4), {}, {}, Outcome.UNKNOWN),
        (PREVIOUS, {}, {}, Outcome.REPEAT),
        (PREVIOUS, {"expires_at": NOW}, {}, Outcome.REPEAT),
        (PREVIOUS, {"absolute_expires_at": NOW}, {}, Outcome.EXPIRED),
        (PREVIOUS, {"rotated_at": NOW - timedelta(seconds=60)}, {}, Outcome.REPLAYED),
        (PREVIOUS, {"rotated_at": None}, {}, Outcome.REPLAYED),
        (PREVIOUS, {}, {"refresh_token_reuse_seconds": 0}, Outcome.REPLAYED),
        (PREVIOUS, {}, {"refresh_token_reuse_seconds": 59}, Outcome.REPLAYED),
        (OLDER, {}, {}, Outcome.REPLAYED),
        (OLDER, {"expires_at": NOW}, {}, Outcome.REPLAYED),
        (OLDER, {"absolute_expires_at": NOW}, {}, Outcome.EXPIRED),
    ],
)
def test_what_a_token_leads_to(
    token: Token, family: dict[str, Any], client: dict[str, Any], expected: Outcome
) -> None:
    settings: Any = SimpleNamespace(
        **{
            "refresh_token_is_reusable": False,
            "refresh_token_reuse_seconds": 60,
            "is_public": False,
        }
        | client
    )
    assert refresh_rules.decide(token, replace(FAMILY, **family), settings, NOW) is expected


def test_rotation_changes_no_column_that_has_an_index() -> None:
    assert RefreshFamily.__table__.indexes == set()
    assert [column.name for column in RefreshFamily.__table__.primary_key] == ["grant_id"]
