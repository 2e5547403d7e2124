"""Addresses that a page may send the visitor to."""

from __future__ import annotations

import pytest

from idp.pages import return_path

pytestmark = pytest.mark.no_database

LOCAL = ["/", "/account", "/account/sessions", "/login?request=aB3_-x", "/a?b=c&d=e.f~g"]
FOREIGN = [
    "",
    "account",
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "/\\/evil.example",
    "https:evil.example",
    "https://evil.example",
    "https:/evil.example",
    "javascript:alert(1)",
    "/%5Cevil.example",
    "/%2F%2Fevil.example",
    "/%09/evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "\n//evil.example",
    "/account\n",
    "/account\r\nSet-Cookie: a=b",
    " /account",
    "/\x00/evil.example",
    "/./evil",
    "/../evil",
    "/a/../..//evil.example",
    "/a//evil.example",
    "/account#//evil.example",
    "/@evil.example",
    "/account?next=//evil.example",
    "/account?next=https://evil.example",
    "/account?next=%2F%2Fevil.example",
    "/\u2044evil.example",
    "/\uff0fevil.example",
    "/a;b",
    "/" + "a" * 600,
]


@pytest.mark.parametrize("text", LOCAL)
def test_a_page_of_our_own_is_taken_as_it_is(text):
    assert return_path.parse(text) == text


@pytest.mark.parametrize("text", [None, *FOREIGN])
def test_anything_else_is_refused(text):
    assert return_path.parse(text) is None
