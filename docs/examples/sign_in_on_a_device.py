"""Sign in where there is no browser (RFC 8628): show a code and wait for the tokens."""

from __future__ import annotations

import json
import sys
import time
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"


def send(address: str, form: dict[str, str] | None = None) -> dict[str, Any]:
    """Return the JSON of an answer, also of one that refuses."""
    body = None if form is None else urlencode(form).encode()
    try:
        with urlopen(Request(address, body), timeout=30) as answer:
            return dict(json.load(answer))
    except HTTPError as refusal:
        return dict(json.load(refusal))


def sign_in(issuer: str, client_id: str, scope: str) -> dict[str, Any]:
    """Show the code, wait for its person, and return the tokens; SystemExit without them."""
    server = send(f"{issuer}/.well-known/openid-configuration")
    asked = {"client_id": client_id, "scope": scope}
    codes = send(server["device_authorization_endpoint"], asked)
    if "error" in codes:
        raise SystemExit(codes["error_description"])
    print(f"Open {codes['verification_uri']} and enter {codes['user_code']}.", file=sys.stderr)
    interval, end = codes.get("interval", 5), time.monotonic() + codes["expires_in"]
    form = {
        "grant_type": DEVICE_CODE,
        "client_id": client_id,
        "device_code": codes["device_code"],
    }
    while time.monotonic() < end:
        time.sleep(interval)
        answer = send(server["token_endpoint"], form)
        error = answer.get("error")
        if error is None:
            return answer
        if error == "slow_down":
            interval += 5
        elif error != "authorization_pending":
            raise SystemExit(answer["error_description"])
    raise SystemExit("The code has expired")


if __name__ == "__main__":
    print(json.dumps(sign_in(*sys.argv[1:4])))
