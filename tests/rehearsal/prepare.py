"""Make clients and people, by the code of whichever release runs this file as a program.

The rehearsal hands the source of this file to Python in the folder of a release, so it uses only
what the present release and the one before it have.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from idp.config import Settings
from idp.runtime import create
from tests import protocol
from tests.api.center import token_for


def prepare(host: str, counts: dict[str, int]) -> dict[str, Any]:
    """Make what visitors need and return it as values of JSON."""
    runtime = create(Settings())
    with runtime.sessions() as session:
        made: dict[str, Any] = {
            "web": vars(protocol.register(session, "rehearsal-web")),
            "machines": [
                vars(protocol.register_machine(session, f"machine-{number}", settings_of(session)))
                for number in range(counts["machines"])
            ],
        }
        for kind in ("visitor", "guest", "changer", "bystander"):
            number = counts.get(kind, 0)
            made[kind] = [person(session, host, f"{kind}-{n}") for n in range(number)]
        administrator = protocol.add_person(session, "rehearsal-administrator")
        protocol.add_role(session, administrator, "administrators", tenant_id=None)
        made["bearer"] = token_for(session, administrator)
    runtime.engine.dispose()
    return made


def settings_of(session: Any) -> list[str]:
    """Return the scopes of an API, which is made once."""
    names = protocol.scope_names(session, "rehearsal")
    return names or protocol.scope_names(session, protocol.add_api(session, "rehearsal").name)


def person(session: Any, host: str, name: str) -> dict[str, Any]:
    """Add a person who is signed in."""
    email = f"{name}@example.com"
    user = protocol.add_person(session, name, email=email, email_verified=True)
    cookie = "=".join(protocol.start_session(session, host, user))
    return {"id": user.id, "username": name, "email": email, "cookie": cookie}


if __name__ == "__main__":
    print(json.dumps(prepare(sys.argv[1], json.loads(sys.argv[2]))))  # noqa: T201
