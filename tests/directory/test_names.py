"""Rules for user names, e-mail addresses and mobile numbers."""

# ruff: noqa: RUF001 - letters that look alike are the subject
from __future__ import annotations

import pytest

from idp.directory.users import names, passwords
from idp.directory.users.models import User
from idp.platform.errors import BadRequest

pytestmark = pytest.mark.no_database


@pytest.mark.parametrize(
    ("one", "other"),
    [("Ann", "aNN"), ("Straße", "STRASSE"), ("Ａnn", "ann"), ("ﬁne", "FINE"), (" ann ", "ann")],
)
def test_names_that_look_the_same_have_one_key(one: str, other: str) -> None:
    assert names.key(one) == names.key(other)


@pytest.mark.parametrize("name", ["ann", "王小明", "a.b-c_d", "x1", "ann lee", "7up"])
def test_ordinary_user_names_are_kept_as_written(name: str) -> None:
    assert names.username(name, None) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "  ",
        "13800138000",
        "１２３",
        "١٢٣",
        "+8613800138000",
        "138 0013-8000",
        "a/b",
        "a\\b",
        "a\x00b",
        "a\nb",
        "a\u200bb",
        "a\u202eb",
        "a\ud800b",
        "apps",
        "Apps",
        "x" * 101,
        "ﷺ" * 20,
    ],
)
def test_confusable_and_unprintable_user_names_are_refused(name: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        names.username(name, None)
    assert list(refusal.value.fields) == ["username"]


def test_a_user_name_with_an_at_sign_is_the_own_e_mail() -> None:
    assert names.username("Ann@Example.com", "ann@example.com") == "Ann@Example.com"
    shown = names.username("Ann@xn--bcher-kva.example", "ann@bücher.example")
    assert shown == "ann@bücher.example"
    for email in (None, "bob@example.com"):
        with pytest.raises(BadRequest):
            names.username("ann@example.com", email)


def test_a_full_width_at_sign_is_an_at_sign() -> None:
    with pytest.raises(BadRequest):
        names.username("ann＠example.com", None)


@pytest.mark.parametrize(
    "address", ["", "ann", "ann@", "@example.com", "a b@example.com", "a@b", "a\n@example.com"]
)
def test_what_is_no_e_mail_is_refused(address: str) -> None:
    with pytest.raises(BadRequest):
        names.email(address)


@pytest.mark.parametrize(
    ("person", "shown"),
    [
        ({}, "ann1"),
        ({"nick_name": "Annie"}, "Annie"),
        ({"nick_name": "Annie", "family_name": "Lee"}, "Annie"),
        ({"nick_name": "Annie", "given_name": "Ann", "family_name": "Lee"}, "Ann Lee"),
        ({"given_name": "Ann", "middle_name": "B.", "family_name": "Lee"}, "Ann B. Lee"),
        ({"given_name": "小明", "family_name": "王"}, "王小明"),
        ({"display_name": "A. Lee", "given_name": "Ann", "family_name": "Lee"}, "A. Lee"),
    ],
)
def test_the_name_that_is_shown_is_written_or_made_of_its_parts(
    person: dict[str, str], shown: str
) -> None:
    assert names.displayed(User(username="ann1", **person)) == shown


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ann@xn--bcher-kva.example", "Ann@Bücher.example"),
        ("ANN@XN--BCHER-KVA.EXAMPLE", "ann@bücher.example"),
        ("ann@mail.xn--fiqs8s", "ann@mail.中国"),
        ("ann@xn--fa-hia.example", "ann@faß.example"),
        ("@xn--bcher-kva.example", "@bücher.example"),
    ],
)
def test_a_domain_in_a_labels_is_the_same_domain(one: str, other: str) -> None:
    assert names.key(one) == names.key(other)


@pytest.mark.parametrize(
    "domain", ["xn--", "xn--a", "xn--9", "xn--\uffff", "a..xn--b", "xn--a" * 99]
)
def test_what_is_no_a_label_stays_as_it_is(domain: str) -> None:
    assert names.key(f"Ann@{domain}").startswith("ann@")


def test_e_mail_is_checked_without_a_look_up() -> None:
    assert names.email("Ann@Nowhere.test") == "Ann@nowhere.test"


@pytest.mark.parametrize(
    "number", ["13800138000", "138 0013 8000", "+8613800138000", "１３８００１３８０００"]
)
def test_mobile_numbers_are_kept_international(number: str) -> None:
    assert names.mobile(number, "CN") == "+8613800138000"


@pytest.mark.parametrize(
    "number", ["", "123", "010-62551234", "abc", "tel:+8613800138000", "13800138000;ext=1", "+1"]
)
def test_what_is_no_mobile_number_is_refused(number: str) -> None:
    with pytest.raises(BadRequest):
        names.mobile(number, "CN")
    assert names.find_mobile(number, "CN") is None


def test_mobile_numbers_are_national_inside_the_region_only() -> None:
    assert names.on_the_wire("+8613800138000", "CN") == "13800138000"
    assert names.on_the_wire("+447400123456", "CN") == "+447400123456"
    assert names.on_the_wire("+447400123456", "GB") == "07400123456"


def test_text_that_is_longer_than_any_name_is_not_normalised():
    marks = "\u0301\u0323" * 1000
    assert names.key(f"A{marks}") == f"a{marks}"
    for refuse in (
        lambda: names.username(marks, None),
        lambda: names.email(f"a@{marks}"),
        lambda: names.mobile(marks, "CN"),
    ):
        with pytest.raises(BadRequest):
            refuse()
    assert names.find_mobile(f"13800138000{marks}", "CN") is None
    with pytest.raises(BadRequest, match="at most"):
        passwords.check_policy(f"Aa1!{marks}")
