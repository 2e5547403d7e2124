"""The details of a change in the audit log."""

from __future__ import annotations

from idp.platform.audit import difference
from idp.platform.audit.difference import Rows


def test_rows_that_read_alike_are_still_different() -> None:
    before = {"claims": Rows({1: ("a", "b=c")}), "name": "x"}
    after = {"claims": Rows({1: ("a=b", "c")}), "name": "x"}
    assert difference.between(before, after) == [
        {"field": "claims", "removed": ["a=b=c"], "added": ["a=b=c"]}
    ]


def test_of_private_rows_only_names_are_told() -> None:
    before = {"properties": Rows({1: ("colour", "red"), 2: ("size", "big")}), "theme": "light"}
    after = {"properties": Rows({1: ("colour", "blue"), 2: ("size", "big")}), "theme": "dark"}
    assert difference.between(before, after, private=("properties",)) == [
        {"field": "properties", "removed": ["colour"], "added": ["colour"]},
        {"field": "theme", "before": "light", "after": "dark"},
    ]


def test_a_setting_that_holds_an_object_is_no_list() -> None:
    before, after = {"jwks": {"keys": []}}, {"jwks": {"keys": [{"kty": "EC"}]}}
    assert difference.between(before, after) == [
        {"field": "jwks", "before": {"keys": []}, "after": {"keys": [{"kty": "EC"}]}}
    ]
