"""Hostile senders on every kind of endpoint: the next one gets the answer that is due."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import urlencode

import pytest

from idp.server.connection import BODY_SECONDS, HEAD_SECONDS, MAX_HEAD
from tests import protocol, samples
from tests.api.center import token_for
from tests.live import callers
from tests.live.callers import Crowd, LostError, Wire
from tests.live.site import OFFLINE, Answer, Site
from tests.live.test_uploads import BEGINNING, END

pytestmark = pytest.mark.no_database

FORM = "application/x-www-form-urlencoded"
ROW = 100
"""Requests that are sent at once."""
STEP = 97
"""Bytes from one cut to the next outside of the requests that are cut at every byte."""
REFUSALS = {400, 408, 414, 431}


@dataclass(frozen=True)
class Endpoint:
    """A request that succeeds, in parts."""

    name: str
    line: str
    headers: tuple[str, ...]
    body: bytes = b""
    status: int = 200

    def request(self, *more: str, framing: bool = True) -> bytes:
        """Write the request, with further headers."""
        length = (f"Content-Length: {len(self.body)}",) if framing and self.body else ()
        lines = (f"{self.line} HTTP/1.1", *self.headers, *length, *more, "", "")
        return "\r\n".join(lines).encode() + (self.body if framing else b"")


@pytest.fixture(scope="module")
def endpoints(site: Site) -> list[Endpoint]:
    """List one endpoint of each kind."""
    app, machine, user = site.web(), site.machine(), site.person()
    access = site.tokens(app, user)["access_token"]
    with site.sessions() as session:
        robot = protocol.register_machine(session, site.name("robot"), ["ids4.ms.file.all"])
        boss = site.person()
        protocol.add_role(session, boss, "administrators", tenant_id=None)
        operator = token_for(session, boss)
    writer = site.machine_token(robot).json()["access_token"]
    query = urlencode(protocol.authorization_parameters(app, scope=OFFLINE))
    token = urlencode({"grant_type": "client_credentials", **machine.post}).encode()
    introspect = urlencode({"token": access, **app.post}).encode()
    host, form = f"Host: {site.host}", f"Content-Type: {FORM}"
    cookie = f"Cookie: {site.cookie(user)['Cookie']}"
    kind = "Content-Type: multipart/form-data; boundary=x"
    upload = (host, f"Authorization: Bearer {writer}", kind)
    boss_header = f"Authorization: Bearer {operator}"
    return [
        Endpoint("token", "POST /connect/token", (host, form), token),
        Endpoint("introspect", "POST /connect/introspect", (host, form), introspect),
        Endpoint("userinfo", "GET /connect/userinfo", (host, f"Authorization: Bearer {access}")),
        Endpoint("authorize", f"GET /connect/authorize?{query}", (host, cookie), status=303),
        Endpoint("discovery", "GET /.well-known/openid-configuration", (host,)),
        Endpoint("page", "GET /login", (host,)),
        Endpoint("operation", f"GET /api/Client/{app.row_id}", (host, boss_header)),
        Endpoint("upload", "POST /api/File", upload, BEGINNING + samples.PDF + END),
    ]


@pytest.fixture(autouse=True)
def _without_counts(site: Site) -> Iterator[None]:
    yield
    site.forget_tries()


@pytest.fixture(scope="module")
def others(site: Site) -> Crowd:
    """Make those who must be served all the time."""
    return callers.crowd(site, 2, callers.seed())


async def are_served(others: Crowd) -> None:
    """Run everything once for the others, and compare what they get."""
    for caller in others.callers:
        wire = await Wire.open(others.site.host)
        for call in (caller.write(), caller._machine_token(), caller.read()):
            await wire.send(call.data)
            others.settle(call, await wire.read())
        wire.close()
    others.check_faults()


async def answers(wire: Wire) -> list[Answer]:
    """Read all answers until the server hangs up; a loss ends the list."""
    found = []
    try:
        while True:
            found.append(await wire.read())
    except LostError:
        wire.close()
        return found


def attack(
    site: Site, others: Crowd, endpoints: list[Endpoint], write: Callable[[Endpoint], bytes]
) -> dict[str, list[Answer]]:
    """Send something to every endpoint at once; return the answers until it hangs up."""

    async def one(endpoint: Endpoint) -> list[Answer]:
        wire = await Wire.open(site.host)
        # Refused in the middle, the rest need not be taken.
        sending = asyncio.create_task(wire.send(write(endpoint)))
        found = await answers(wire)
        await asyncio.gather(sending, return_exceptions=True)
        return found

    async def main() -> list[list[Answer]]:
        tasks = [asyncio.create_task(one(endpoint)) for endpoint in endpoints]
        await are_served(others)
        return await asyncio.gather(*tasks)

    names = [endpoint.name for endpoint in endpoints]
    return dict(zip(names, callers.run(main()), strict=True))


def check_refused(found: dict[str, list[Answer]], statuses: set[int] = REFUSALS) -> None:
    """See that each endpoint gave one refusal, and hung up."""
    seen = {name: [reply.status for reply in replies] for name, replies in found.items()}
    assert all(len(replies) == 1 and set(replies) <= statuses for replies in seen.values()), seen


def test_a_head_without_end(site: Site, others: Crowd, endpoints: list[Endpoint]) -> None:
    filler = "\r\n".join(f"X-{number}: {'x' * 4000}" for number in range(2 * MAX_HEAD // 4000))

    def write(endpoint: Endpoint) -> bytes:
        return endpoint.request(filler, framing=False)[:-4]

    check_refused(attack(site, others, endpoints, write))


def test_more_lines_than_anybody_needs(
    site: Site, others: Crowd, endpoints: list[Endpoint]
) -> None:
    lines = [f"X-{number}: 1" for number in range(1000)]
    check_refused(attack(site, others, endpoints, lambda one: one.request(*lines)))


def test_a_length_and_chunks(site: Site, others: Crowd, endpoints: list[Endpoint]) -> None:
    hidden = f"GET /healthz HTTP/1.1\r\nHost: {site.host}\r\n\r\n".encode()
    for length in (0, 5, len(hidden) + 5):
        more = (f"Content-Length: {length}", "Transfer-Encoding: chunked")
        for order in (more, more[::-1]):

            def write(endpoint: Endpoint, order: tuple[str, ...] = order) -> bytes:
                return endpoint.request(*order, framing=False) + b"0\r\n\r\n" + hidden

            check_refused(attack(site, others, endpoints, write))


@pytest.mark.parametrize("same", [True, False])
def test_two_lengths(site: Site, others: Crowd, endpoints: list[Endpoint], same: bool) -> None:
    hidden = f"GET /healthz HTTP/1.1\r\nHost: {site.host}\r\n\r\n".encode()
    second = len(hidden) if same else 0
    more = (f"Content-Length: {len(hidden)}", f"Content-Length: {second}")
    found = attack(site, others, endpoints, lambda one: one.request(*more, framing=False) + hidden)
    check_refused(found)


def test_lines_that_end_without_cr(site: Site, others: Crowd, endpoints: list[Endpoint]) -> None:
    def write(endpoint: Endpoint) -> bytes:
        head, _, body = endpoint.request().partition(b"\r\n\r\n")
        return head.replace(b"\r\n", b"\n") + b"\n\n" + body

    check_refused(attack(site, others, endpoints, write))


def test_a_hundred_at_once_are_answered_in_order(
    site: Site, others: Crowd, endpoints: list[Endpoint]
) -> None:
    last = "Connection: close"

    def write(endpoint: Endpoint) -> bytes:
        return endpoint.request() * (ROW - 1) + endpoint.request(last)

    found = attack(site, others, endpoints, write)
    for endpoint in endpoints:
        statuses = [reply.status for reply in found[endpoint.name]]
        assert len(statuses) == ROW, endpoint.name
        # An account may only upload so many files in a minute.
        due = {endpoint.status, 429} if endpoint.name == "upload" else {endpoint.status}
        assert endpoint.status in statuses, endpoint.name
        assert set(statuses) <= due, endpoint.name
        assert len({reply.headers["x-request-id"] for reply in found[endpoint.name]}) == ROW


@pytest.mark.parametrize("share", [1.0, 0.5, 0.01])
def test_who_sends_no_more_gets_what_was_asked_for(
    site: Site, others: Crowd, endpoints: list[Endpoint], share: float
) -> None:
    async def one(endpoint: Endpoint) -> list[Answer]:
        wire = await Wire.open(site.host)
        data = endpoint.request()
        await wire.send(data[: int(len(data) * share)])
        wire.half_close()
        return await answers(wire)

    async def main() -> list[list[Answer]]:
        found = await asyncio.gather(*map(one, endpoints))
        await are_served(others)
        return found

    for endpoint, replies in zip(endpoints, callers.run(main()), strict=True):
        statuses = [reply.status for reply in replies]
        if share == 1:
            assert statuses == [endpoint.status], endpoint.name
        else:
            assert set(statuses) <= {400, 408}, endpoint.name


def test_who_hangs_up_hard_leaves_nothing_behind(
    site: Site, others: Crowd, endpoints: list[Endpoint]
) -> None:
    async def main() -> None:
        for endpoint in endpoints:
            data = endpoint.request()
            for cut in (1, len(data) // 2, len(data) - 1, len(data)):
                for pause in (0, 0.002):
                    wire = await Wire.open(site.host)
                    await wire.send(data[:cut])
                    await asyncio.sleep(pause)
                    wire.reset()
            await are_served(others)

    callers.run(main())


def test_slow_heads_and_bodies_are_given_up_and_leave_others_alone(
    site: Site, others: Crowd, endpoints: list[Endpoint]
) -> None:
    longest = max(HEAD_SECONDS, BODY_SECONDS)

    async def one(data: bytes) -> tuple[list[Answer], float]:
        wire = await Wire.open(site.host)
        started = time.monotonic()

        async def trickle() -> None:
            for position in range(len(data) - 1):  # the last byte never comes
                await wire.send(data[position : position + 1])
                await asyncio.sleep(1)

        sending = asyncio.create_task(trickle())
        found = await answers(wire)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        return found, time.monotonic() - started

    async def body(endpoint: Endpoint) -> tuple[list[Answer], float]:
        data = endpoint.request()
        head = len(data) - len(endpoint.body)
        wire = await Wire.open(site.host)
        await wire.send(data[: head + 10])
        started = time.monotonic()
        return await answers(wire), time.monotonic() - started

    async def main() -> list[tuple[list[Answer], float]]:
        # An upload may take longer; see test_uploads.
        bodies = [one for one in endpoints if one.body and one.name != "upload"]
        slow = [one(endpoint.request()) for endpoint in endpoints] + list(map(body, bodies))
        tasks = list(map(asyncio.create_task, slow))
        while not all(task.done() for task in tasks):
            await are_served(others)
            await asyncio.sleep(0.5)
        return [await task for task in tasks]

    for replies, seconds in callers.run(main()):
        assert [reply.status for reply in replies] in ([408], [])
        assert longest / 2 < seconds < longest + 10


def test_who_does_not_read_is_waited_for_and_leaves_others_alone(
    site: Site, others: Crowd, endpoints: list[Endpoint]
) -> None:
    async def one(endpoint: Endpoint) -> list[Answer]:
        wire = await Wire.open(site.host)
        wire.pause()
        await wire.send(endpoint.request() * 19 + endpoint.request("Connection: close"))
        await asyncio.sleep(3)
        wire.resume()
        return await answers(wire)

    async def main() -> list[list[Answer]]:
        tasks = [asyncio.create_task(one(endpoint)) for endpoint in endpoints]
        for _ in range(5):
            await are_served(others)
            await asyncio.sleep(0.3)
        return await asyncio.gather(*tasks)

    for endpoint, replies in zip(endpoints, callers.run(main()), strict=True):
        assert [reply.status for reply in replies] == [endpoint.status] * 20, endpoint.name


def test_a_row_that_is_reset_at_any_byte_leaves_no_answer_to_the_next_caller(
    site: Site, others: Crowd, endpoints: list[Endpoint]
) -> None:
    kinds = [one for one in endpoints if one.name not in {"page", "operation", "upload"}]
    row = [kinds[number % len(kinds)].request() for number in range(ROW)]
    data = b"".join(row)
    before = sum(map(len, row[: ROW // 10]))
    # One request with a body, in full, and what surrounds it.
    every = range(before, before + len(row[ROW // 10]) + len(row[ROW // 10 + 1]) + 4)
    cuts = sorted({*every, *range(1, len(data), STEP * 10), len(data)})

    async def cut_off(size: int) -> None:
        wire = await Wire.open(site.host)
        await wire.send(data[:size])
        if size % 2:
            await asyncio.sleep(0.001)
        wire.reset()

    async def main() -> None:
        caller = others.callers[0]
        wire = await Wire.open(site.host)
        for size in cuts:
            await cut_off(size)
            call = caller._machine_token() if size % 3 else caller.read()
            next_one = await Wire.open(site.host)
            for line in (next_one, wire):
                await line.send(call.data)
                others.settle(call, await line.read())
                call = caller.read()
            next_one.close()
        wire.close()

    callers.run(main())
    others.check_faults()
