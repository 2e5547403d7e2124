"""Unverified descriptions: what is read, and everything that must not be."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import Any

import orjson
import pytest

from idp.platform.errors import BadRequest, Unavailable
from idp.platform.fetch import Fetcher
from idp.publishing import slots
from idp.publishing.codegen import source
from idp.publishing.descriptions import fetching, operations, parsing
from idp.publishing.descriptions.flaws import UnusableError
from tests.publishing.serving import Site

pytestmark = pytest.mark.no_database

SMALL: dict[str, Any] = {
    "openapi": "3.0.0",
    "info": {"title": "Orders", "version": "1"},
    "paths": {"/orders": {"get": {"operationId": "list", "responses": {"200": {}}}}},
}
YAML = """
openapi: 3.0.0
info: {title: Orders, version: '1', x-day: 2026-01-02}
paths:
  /orders:
    get:
      operationId: list
      responses: {200: {description: Done}}
"""
ISSUER = "https://id.example"
OWN = {"/openapi/authorization-center.json": lambda _issuer_url: orjson.dumps(SMALL)}


def with_part(part: Any) -> bytes:
    return orjson.dumps({**SMALL, "components": {"schemas": {"A": part}}})


@pytest.fixture(scope="module")
def site():
    with Site() as site:
        yield site


def test_json_and_yaml_are_read_alike():
    assert parsing.read(orjson.dumps(SMALL)) == SMALL
    document = parsing.read(YAML.encode())
    assert document["paths"]["/orders"]["get"]["responses"] == {"200": {"description": "Done"}}
    assert [operation.id for operation in operations.of(document)] == ["list"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"just words",
        b"\xff\xfe",
        b"\0",
        orjson.dumps({**SMALL, "openapi": 3}),
        orjson.dumps({**SMALL, "openapi": "1.2"}),
        b"{" * 10_000,
        b"[" * 100_000 + b"]" * 100_000,
        YAML.replace("'1'", "!!python/object/apply:os.system ['true']").encode(),
        YAML.replace("'1'", "!!timestamp x").encode(),
        YAML.replace("'1'", "!!binary aGk=").encode(),
        YAML.replace("'1'", "9" * 5000).encode(),
        YAML.replace("'1'", "123456789012345678901234567890").encode(),
        YAML.encode() + b"\n? [a, b]\n: 1\n",
        b"# a comment that makes it YAML\n" + b"a" * parsing.MAX_YAML_BYTES,
    ],
    ids=lambda content: repr(content[:24]),
)
def test_what_is_no_description_is_refused(content):
    with pytest.raises(UnusableError):
        parsing.read(content)


@pytest.mark.parametrize("paths", [{}, [], None])
def test_nothing_is_made_from_a_description_without_operations(paths):
    with pytest.raises(UnusableError, match="no operations"):
        source.check(parsing.read(orjson.dumps({**SMALL, "paths": paths})))


def test_a_bomb_of_aliases_does_not_go_off():
    lines = [YAML, "a: &a [x, x, x, x, x, x, x, x, x]"]
    for number, name in enumerate("bcdefghij"):
        lines.append(f"{name}: &{name} [{', '.join(['*' + 'abcdefghij'[number]] * 9)}]")
    begun = time.monotonic()
    with pytest.raises(UnusableError, match="values"):
        parsing.read("\n".join(lines).encode())
    assert time.monotonic() - begun < 1


def test_numbers_to_the_base_of_sixty_are_text():
    long = "1" + ":59" * 100_000
    document = parsing.read(YAML.replace("2026-01-02", long).encode())
    assert document["info"]["x-day"] == long


def test_names_without_end_are_refused():
    parsing.read(with_part({"x" * parsing.LONGEST_NAME: 1}))
    with pytest.raises(UnusableError, match="name"):
        parsing.read(with_part({"x" * (parsing.LONGEST_NAME + 1): 1}))


def test_many_small_values_are_refused_before_they_are_read():
    with pytest.raises(UnusableError, match="values"):
        parsing.read(b'{"a": [' + b"[]," * 3_000_000 + b"1]}")


def test_deep_nesting_is_refused():
    part: Any = {}
    for _ in range(parsing.MAX_LEVELS):
        part = {"properties": part}
    with pytest.raises(UnusableError, match="deep"):
        parsing.read(with_part(part))
    nested = "a: " + "[" * 5000 + "]" * 5000
    with pytest.raises(UnusableError):
        parsing.read(f"{YAML}{nested}\n".encode())


@pytest.mark.parametrize(
    "part",
    [
        {"$ref": "http://169.254.169.254/latest/meta-data"},
        {"$ref": "file:///etc/passwd"},
        {"$ref": "/etc/passwd"},
        {"$ref": "other.yaml#/A"},
        {"oneOf": [{"properties": {"x": {"$ref": "../x.json"}}}]},
        {"operationRef": "https://evil.example/#/paths"},
        {"discriminator": {"propertyName": "kind", "mapping": {"dog": "./dog.yaml"}}},
        {"discriminator": {"propertyName": "kind", "mapping": {"dog": "file:///etc/passwd"}}},
    ],
)
def test_references_to_the_outside_are_refused(part):
    with pytest.raises(UnusableError, match="external"):
        parsing.read(with_part(part))


@pytest.mark.parametrize("document", [SMALL, {**SMALL, "openapi": "3.1.0"}])
@pytest.mark.parametrize(
    "part",
    [
        {"$id": "CANARY", "properties": {"x": {"$ref": "#/properties/secret"}}},
        {"id": "CANARY", "properties": {"x": {"$ref": "#/properties/secret"}}},
        {"id": "CANARY", "$ref": "#/properties/secret"},
        {"id": "CANARY", "allOf": [{"$ref": "#/properties/secret"}]},
        {"$defs": {"x": {"$id": "CANARY"}}},
        {"$dynamicRef": "CANARY"},
        {"$recursiveRef": "CANARY"},
        {"$schema": "CANARY"},
        {"jsonSchemaDialect": "CANARY"},
        {"examples": {"x": {"externalValue": "CANARY"}}},
    ],
    ids=str,
)
def test_no_word_of_a_description_reads_a_file(tmp_path, document, part):
    canary = tmp_path / "canary.json"
    canary.write_text('{"properties": {"secret": {"type": "string", "default": "canary"}}}')
    for address in (canary.as_uri(), str(canary), f"//localhost{canary}", "../canary.json"):
        said = orjson.dumps({**document, "components": {"schemas": {"A": part}}})
        with pytest.raises(UnusableError, match="external"):
            parsing.read(said.replace(b"CANARY", address.encode()))


def test_identifiers_that_are_values_are_fine():
    part = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$dynamicRef": "#node",
        "properties": {"$id": {"type": "string"}, "id": {"type": "string"}},
        "example": {"id": "https://orders.example/1", "items": [{"id": "a/b"}]},
    }
    assert parsing.read(with_part(part))


def test_references_inside_are_fine():
    part = {
        "oneOf": [{"$ref": "#/components/schemas/A"}],
        "properties": {"$ref": {"type": "string"}},
        "discriminator": {
            "propertyName": "k",
            "mapping": {"a": "#/components/schemas/A", "b": "A"},
        },
    }
    assert parsing.read(with_part(part))


def test_five_thousand_operations_are_listed():
    document = {
        **SMALL,
        "paths": {f"/p{n}": {"get": {"operationId": f"o{n}"}} for n in range(5000)},
    }
    begun = time.monotonic()
    read = parsing.read(orjson.dumps(document))
    assert sum(1 for _ in operations.of(read)) == 5000
    assert time.monotonic() - begun < 2


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9/x",
        "http://169.254.169.254/",
        "file:///etc/passwd",
        "https://user@evil.example/",
        "ftp://x.example/",
        "nonsense",
        f"{ISSUER}:8443/openapi/authorization-center.json",
        f"{ISSUER}.evil.example:1/openapi/authorization-center.json",
    ],
)
def test_inner_and_odd_addresses_are_not_asked(url):
    with pytest.raises(BadRequest) as refused:
        fetching.fetch(Fetcher(""), url, ISSUER, OWN)
    assert list(refused.value.fields) == ["swagger_url"]


def test_a_description_is_fetched_and_a_huge_one_is_not(site):
    fetcher = Fetcher(site.host)
    site.put("/small.json", orjson.dumps(SMALL))
    assert fetching.fetch(fetcher, f"{site.url}/small.json", ISSUER, OWN) == SMALL
    # A hundred megabytes are announced; nobody waits for them.
    site.put("/huge.json", b"[" + b" " * parsing.MAX_BYTES + b"]")
    for path in ("/huge.json", "/missing.json"):
        with pytest.raises(UnusableError, match="No usable response"):
            fetching.fetch(fetcher, f"{site.url}{path}", ISSUER, OWN)
    fetcher.close()


def test_slow_hosts_hold_a_few_slots_and_the_next_one_is_refused_at_once():
    url = "https://slow.example/openapi.json"
    held, release = threading.Semaphore(0), threading.Event()

    class Slow:
        def get(self, *_: Any, **__: Any) -> bytes:
            held.release()
            release.wait(10)
            raise Unavailable("slow")

    def fetch() -> None:
        with suppress(UnusableError):
            fetching.fetch(Slow(), url, ISSUER, OWN)

    threads = [threading.Thread(target=fetch) for _ in range(slots.AT_ONCE)]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert held.acquire(timeout=10)
    begun = time.monotonic()
    with pytest.raises(Unavailable) as caught:
        fetching.fetch(Slow(), url, ISSUER, OWN)
    assert caught.value.headers["Retry-After"]
    assert time.monotonic() - begun < 1
    release.set()
    for thread in threads:
        thread.join()
    # Every slot is free again, whatever became of it.
    for _ in range(2 * slots.AT_ONCE):
        fetch()
