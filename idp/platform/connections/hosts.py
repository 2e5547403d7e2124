"""The hosts of one database: which of them is tried first, and whether any is tried now."""

from __future__ import annotations

import time
from functools import cache

TIMELINE = "SELECT left(pg_walfile_name(pg_current_wal_lsn()), 8)"
"""A primary has a later one than the primary that it replaced: promotion begins it."""

SILENT_SECONDS = 10.0
"""How long a host that did not answer is not asked whether it leads."""

PAUSE_SECONDS = 1.0
"""How long nobody tries to connect after a try that had to be given up."""

Host = tuple[str, str]
"""Name and port; without a port that of PostgreSQL."""


class Hosts:
    """The hosts that an address names, shared by the threads and the event loop of a process."""

    def __init__(self, hosts: list[Host]) -> None:
        self.in_order = hosts
        """The one that was connected to last stands first."""
        self._paused_until = 0.0
        self.troubles = 0
        """How often a server was lost, or did not answer. Another one may lead since then."""
        self._settled = 0
        self._silent: dict[Host, float] = {}
        """Hosts that did not answer, and until when they are not asked."""

    def note_trouble(self) -> None:
        """Note that a server was lost, or did not answer."""
        self.troubles += 1

    def settle(self, troubles: int) -> None:
        """Note that it is known which host leads after so many troubles."""
        self._settled = max(self._settled, troubles)

    @property
    def is_in_doubt(self) -> bool:
        """Whether another host may lead than the one that says so.

        A primary that was frozen and replaced still says so when it thaws.
        """
        return self.troubles != self._settled

    def note_silence(self, *hosts: Host) -> None:
        """Note that hosts did not answer."""
        until = time.monotonic() + SILENT_SECONDS
        self._silent.update(dict.fromkeys(hosts, until))

    def behind(self, name: str, port: str) -> list[Host]:
        """Return the hosts to be asked whether they lead: those after one that was reached.

        Those before it have just been tried in vain.
        """
        places = [n for n, host in enumerate(self.in_order) if host in {(name, port), (name, "")}]
        if not places:
            return []
        self.note_silence(*self.in_order[: places[0]])
        return self.worth_asking(self.in_order[places[0] + 1 :])

    def worth_asking(self, hosts: list[Host]) -> list[Host]:
        """Return those of the hosts that have not been silent a moment ago."""
        now = time.monotonic()
        return [host for host in hosts if self._silent.get(host, now) <= now]

    def prefer(self, name: str, port: str) -> None:
        """Try a host before the others from now on, since it can be worked with."""
        first = self.in_order[0] if self.in_order else None
        for host in self.in_order:
            if host[0] == name and host[1] in {port, ""} and host != first:
                self.in_order = [host, *(other for other in self.in_order if other != host)]
                return

    def gave_up(self, seconds: float) -> None:
        """Note that connecting failed after so many seconds.

        Those who wait for a thread or a connection are refused at once then, not one after the
        other.
        """
        self.note_trouble()
        if seconds >= PAUSE_SECONDS:
            self._paused_until = time.monotonic() + PAUSE_SECONDS

    def are_paused(self) -> bool:
        """Return whether no host answered a moment ago."""
        return time.monotonic() < self._paused_until


@cache
def known(host: str, port: str) -> Hosts:
    """Return the hosts that libpq reads in two parameters, always the same object."""
    if not host:
        return Hosts([])
    names, ports = host.split(","), port.split(",")
    if len(ports) == 1:
        ports *= len(names)
    return Hosts(list(zip(names, ports, strict=True)))
